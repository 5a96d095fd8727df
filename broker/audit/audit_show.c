/* SPDX-License-Identifier: Apache-2.0 */
#include <audit/audit_show.h>

#include <config/principals.h>
#include <core/acl.h>
#include <core/assert.h>
#include <core/timefmt.h>
#include <core/utf8.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <wire/error_code.h>

#define ROOM_LEN (2 * AUDIT_TEXT_SHOWN_MAX + 128u) /* any one value, its name, and what closes around it */

struct show {
    struct el_json_writer w;
    int version;
    bool cut;
};

/* --- small things ------------------------------------------------------------------------------------------------- */

/* How much of a text is shown: whole characters. */
static size_t shown_len(struct el_slice text, size_t len_max)
{
    size_t len = EL_MIN(text.len, len_max);
    while (len > 0 && len < text.len && (text.data[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

static void show_bounded(struct el_json_writer *w, struct el_slice text, size_t len_max)
{
    uint8_t shown[CONFIG_PRINCIPAL_MAX];
    EL_ASSERT(len_max <= sizeof shown);
    if (text.data == NULL) {
        el_json_put_null(w);
        return;
    }
    size_t len = shown_len(text, len_max);
    EL_ASSERT(len <= len_max);
    bool valid = el_utf8_valid(text.data, len);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text.data[i];
        shown[i] = c < ' ' || c == 0x7f || (c >= 0x80 && !valid) ? '?' : c;
    }
    el_json_put_slice(w, el_slice_of(shown, len));
}

void audit_show_text(struct el_json_writer *w, struct el_slice text)
{
    show_bounded(w, text, AUDIT_TEXT_SHOWN_MAX);
}

void audit_show_principal(struct el_json_writer *w, struct el_slice principal)
{
    show_bounded(w, principal, CONFIG_PRINCIPAL_MAX);
}

static void show_bytes(struct el_json_writer *w, struct el_slice bytes)
{
    char text[40];
    snprintf(text, sizeof text, "<%zu bytes>", bytes.len);
    el_json_put_str(w, bytes.data == NULL ? NULL : text);
}

/* A setting whose value is nobody's business. */
static bool is_secret(struct el_slice name)
{
    static const char *const words[] = {"password", "secret", "token", "credential", "jaas", "private", "key"};
    char text[AUDIT_TEXT_SHOWN_MAX + 1];
    snprintf(text, sizeof text, "%.*s", (int)EL_MIN(name.len, (size_t)AUDIT_TEXT_SHOWN_MAX),
             name.data == NULL ? "" : (const char *)name.data);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasestr(text, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

void audit_show_setting(struct el_json_writer *w, struct el_slice name, struct el_slice value)
{
    if (is_secret(name)) {
        show_bytes(w, value);
    } else {
        audit_show_text(w, value);
    }
}

void audit_show_time(struct el_json_writer *w, uint64_t wall_ns)
{
    char text[40];
    el_time_format(text, (int64_t)wall_ns, 3);
    el_json_put_str(w, text);
}

void audit_show_head(struct el_json_writer *w, const char *id, const char *class, uint64_t wall_ns)
{
    el_json_add_int(w, "v", AUDIT_VERSION);
    el_json_add_str(w, "id", id);
    el_json_key(w, "time");
    audit_show_time(w, wall_ns);
    el_json_add_str(w, "class", class);
}

static const void *at(const void *message, uint16_t offset)
{
    return (const uint8_t *)message + offset;
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    size_t i = 0;
    while (i < count && strcmp(name, names[i]) != 0) {
        i++;
    }
    return i < count;
}

static bool present(const struct el_field *field, int version)
{
    return (field->versions & 1u << version) != 0;
}

/* The next struct of a field that holds structs; NULL behind the last. */
static const void *struct_of(const struct el_field *field, const void *message, uint32_t index)
{
    if (field->array) {
        const uint8_t *list = *(const uint8_t *const *)at(message, field->offset);
        uint32_t count = *(const uint32_t *)at(message, field->count_offset);
        return list == NULL || index >= count ? NULL : list + (size_t)index * field->schema->size;
    }
    const void *inside = at(message, field->offset);
    return index > 0 ? NULL : field->pointer ? *(const void *const *)inside : inside;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static bool hides(const struct el_schema *schema, const struct el_field *field, const void *message)
{
    static const char *const always[] = {"committed_metadata", "metadata"};
    if (is_one_of(field->name, always, sizeof always / sizeof always[0])) {
        return true;
    }
    if (strcmp(field->name, "value") != 0) {
        return false;
    }
    for (uint16_t i = 0; i < schema->field_count; i++) {
        const struct el_field *other = &schema->fields[i];
        if (strcmp(other->name, "name") == 0 && other->type == EL_TYPE_STRING && !other->array) {
            return is_secret(*(const struct el_slice *)at(message, other->offset));
        }
    }
    return false;
}

/* Numbers of access rules by their names. returns false when it is none */
static bool show_rule_word(struct show *s, const struct el_schema *schema, const struct el_field *field, int value)
{
    const char *word = NULL;
    if (strstr(schema->name, "acls") == NULL) {
        return false;
    }
    if (strcmp(field->name, "operation") == 0) {
        word = el_acl_operation_name(value);
    } else if (strncmp(field->name, "permission", 10) == 0) {
        word = el_acl_permission_name(value);
    } else if (strstr(field->name, "pattern_type") != NULL) {
        word = el_acl_pattern_name(value);
    } else if (strncmp(field->name, "resource_type", 13) == 0) {
        word = el_acl_resource_name(value);
    }
    if (word != NULL) {
        el_json_put_str(&s->w, word);
    }
    return word != NULL;
}

static void show_id(struct show *s, const uint8_t id[16])
{
    char text[37];
    snprintf(text, sizeof text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0], id[1],
             id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12], id[13], id[14], id[15]);
    el_json_put_str(&s->w, text);
}

static void show_value(struct show *s, const struct el_schema *schema, const struct el_field *field, const void *value,
                       bool hidden)
{
    switch ((enum el_type)field->type) {
    case EL_TYPE_BOOL:
        el_json_put_bool(&s->w, *(const bool *)value);
        return;
    case EL_TYPE_INT8:
        if (!show_rule_word(s, schema, field, *(const int8_t *)value)) {
            el_json_put_int(&s->w, *(const int8_t *)value);
        }
        return;
    case EL_TYPE_INT16:
        el_json_put_int(&s->w, *(const int16_t *)value);
        return;
    case EL_TYPE_UINT16:
        el_json_put_int(&s->w, *(const uint16_t *)value);
        return;
    case EL_TYPE_INT32:
        el_json_put_int(&s->w, *(const int32_t *)value);
        return;
    case EL_TYPE_UINT32:
        el_json_put_int(&s->w, *(const uint32_t *)value);
        return;
    case EL_TYPE_INT64:
        el_json_put_int(&s->w, *(const int64_t *)value);
        return;
    case EL_TYPE_UINT64:
        el_json_put_uint(&s->w, *(const uint64_t *)value);
        return;
    case EL_TYPE_FLOAT64:
        el_json_put_real(&s->w, *(const double *)value);
        return;
    case EL_TYPE_UUID:
        show_id(s, value);
        return;
    case EL_TYPE_STRING:
        if (hidden) {
            show_bytes(&s->w, *(const struct el_slice *)value);
        } else {
            audit_show_text(&s->w, *(const struct el_slice *)value);
        }
        return;
    case EL_TYPE_BYTES:
    case EL_TYPE_RECORDS:
        show_bytes(&s->w, *(const struct el_slice *)value);
        return;
    case EL_TYPE_STRUCT:
        EL_ASSERT(false);
    }
}

static bool room(struct show *s)
{
    EL_ASSERT(s->w.out->len <= s->w.out->cap);
    bool there = s->w.out->cap - s->w.out->len >= ROOM_LEN;
    s->cut = s->cut || !there;
    return there;
}

static void show_struct(struct show *s, const struct el_schema *schema, const void *message, unsigned depth);

static void show_list(struct show *s, const struct el_schema *schema, const struct el_field *field, const void *message,
                      unsigned depth)
{
    const uint8_t *list = *(const uint8_t *const *)at(message, field->offset);
    uint32_t count = *(const uint32_t *)at(message, field->count_offset);
    if (list == NULL) {
        el_json_put_null(&s->w);
        return;
    }
    el_json_begin_array(&s->w);
    for (uint32_t i = 0; i < count && room(s); i++) {
        if (i == AUDIT_ITEMS_SHOWN_MAX) {
            s->cut = true;
            break;
        }
        if (field->type == EL_TYPE_STRUCT) {
            show_struct(s, field->schema, struct_of(field, message, i), depth + 1);
        } else {
            show_value(s, schema, field, list + i * el_field_size(field), false);
        }
    }
    el_json_end_array(&s->w);
}

static void show_struct(struct show *s, const struct el_schema *schema, const void *message, unsigned depth)
{
    EL_ASSERT(depth < EL_SCHEMA_DEPTH_MAX);
    el_json_begin_object(&s->w);
    for (uint16_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        if (!present(field, s->version) || !room(s)) {
            continue;
        }
        el_json_key(&s->w, field->name);
        if (field->array) {
            show_list(s, schema, field, message, depth);
        } else if (field->type != EL_TYPE_STRUCT) {
            show_value(s, schema, field, at(message, field->offset), hides(schema, field, message));
        } else if (struct_of(field, message, 0) == NULL) {
            el_json_put_null(&s->w);
        } else {
            show_struct(s, field->schema, struct_of(field, message, 0), depth + 1);
        }
    }
    el_json_end_object(&s->w);
}

void audit_show_request(struct el_buffer *out, const struct el_schema *schema, int version, const void *message,
                        bool *cut)
{
    struct show s = {.version = version};
    EL_ASSERT(out->fixed);
    EL_ASSERT(out->cap >= AUDIT_PARAMETERS_LEN_MAX);
    el_json_writer_init(&s.w, out);
    show_struct(&s, schema, message, 0);
    int code = el_json_writer_end(&s.w);
    EL_ASSERT(code == 0);
    *cut = s.cut;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static const struct el_field *field_among(const struct el_schema *schema, int version, enum el_type type,
                                          const char *const *names, size_t count)
{
    for (uint16_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        if (field->type == type && !field->array && present(field, version) && is_one_of(field->name, names, count)) {
            return field;
        }
    }
    return NULL;
}

static const struct el_field *error_field(const struct el_schema *schema, int version)
{
    static const char *const names[] = {"error_code", "error"};
    return field_among(schema, version, EL_TYPE_INT16, names, sizeof names / sizeof names[0]);
}

static void show_error(struct el_json_writer *w, const struct el_schema *schema, int version, const void *message,
                       int16_t error)
{
    static const char *const names[] = {"name", "topic", "topic_name", "resource_name", "group_id", "group", "user"};
    const struct el_field *about = field_among(schema, version, EL_TYPE_STRING, names, sizeof names / sizeof names[0]);
    el_json_begin_object(w);
    el_json_add_str(w, "error", el_kafka_error_name(error));
    if (about != NULL) {
        el_json_key(w, about->name);
        audit_show_text(w, *(const struct el_slice *)at(message, about->offset));
    }
    el_json_end_object(w);
}

static bool denies(int16_t error)
{
    return error == EL_KAFKA_TOPIC_AUTHORIZATION_FAILED || error == EL_KAFKA_GROUP_AUTHORIZATION_FAILED ||
           error == EL_KAFKA_CLUSTER_AUTHORIZATION_FAILED || error == EL_KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
}

/* What is done with each struct of an answer. */
struct walk {
    int version;
    struct el_json_writer *w;
    struct audit_outcome *outcome;
    bool replaces;
    int16_t error;
    struct el_slice text;
};

static void look(struct walk *walk, const struct el_schema *schema, const void *message)
{
    const struct el_field *field = error_field(schema, walk->version);
    if (field == NULL) {
        return;
    }
    int16_t error = *(const int16_t *)at(message, field->offset);
    walk->outcome->count++;
    if (error == 0) {
        return;
    }
    walk->outcome->first = walk->outcome->failed == 0 ? error : walk->outcome->first;
    walk->outcome->denied = walk->outcome->denied || denies(error);
    if (walk->w != NULL && walk->outcome->failed < AUDIT_ERRORS_SHOWN_MAX) {
        show_error(walk->w, schema, walk->version, message, error);
    }
    walk->outcome->failed++;
}

static void replace(const struct walk *walk, const struct el_schema *schema, uint8_t *message)
{
    static const char *const texts[] = {"error_message", "message"};
    const struct el_field *field = error_field(schema, walk->version);
    const struct el_field *text = field_among(schema, walk->version, EL_TYPE_STRING, texts, 2);
    if (field == NULL || *(int16_t *)(void *)(message + field->offset) == 0) {
        return;
    }
    *(int16_t *)(void *)(message + field->offset) = walk->error;
    if (text != NULL) {
        *(struct el_slice *)(void *)(message + text->offset) = walk->text;
    }
}

static void walk_struct(struct walk *walk, const struct el_schema *schema, const void *message, unsigned depth)
{
    EL_ASSERT(depth < EL_SCHEMA_DEPTH_MAX);
    if (walk->replaces) {
        replace(walk, schema, (uint8_t *)(uintptr_t)message);
    } else {
        look(walk, schema, message);
    }
    for (uint16_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        if (field->type != EL_TYPE_STRUCT || !present(field, walk->version)) {
            continue;
        }
        const void *inside = struct_of(field, message, 0);
        for (uint32_t k = 1; inside != NULL; k++) {
            walk_struct(walk, field->schema, inside, depth + 1);
            inside = struct_of(field, message, k);
        }
    }
}

void audit_show_answer(struct el_json_writer *w, const struct el_schema *schema, int version, const void *message,
                       struct audit_outcome *outcome)
{
    struct walk walk = {.version = version, .w = w, .outcome = outcome};
    *outcome = (struct audit_outcome){0};
    walk_struct(&walk, schema, message, 0);
}

void audit_answer_replace(const struct el_schema *schema, int version, void *message, int16_t error,
                          struct el_slice text)
{
    struct walk walk = {.version = version, .replaces = true, .error = error, .text = text};
    walk_struct(&walk, schema, message, 0);
}
