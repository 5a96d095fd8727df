/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of a saga's stream, to text and back.
 *
 * Bytes are a string where they are UTF-8, else a string of base64 under NAME_base64; a member that is not there is
 * null. Members that are not known are passed over, so that a newer library may add some. Whatever stands in the stream
 * is checked: other programs may append to it.
 */
#include "saga_state.h"

#include <core/base64.h>
#include <core/json.h>
#include <core/json_writer.h>
#include <core/utf8.h>
#include <evlog/error.h>
#include <stdio.h>

#define NAME_ROOM 64
#define DEPTH_MAX 8

static const char *const status_names[] = {
    [EVLOG_SAGA_NEW] = "new",
    [EVLOG_SAGA_RUNNING] = "running",
    [EVLOG_SAGA_STUCK] = "stuck",
    [EVLOG_SAGA_COMPENSATING] = "compensating",
    [EVLOG_SAGA_COMPLETED] = "completed",
    [EVLOG_SAGA_COMPENSATED] = "compensated",
};

const char *evlog_saga_status_name(enum evlog_saga_status status)
{
    return (size_t)status < sizeof status_names / sizeof status_names[0] ? status_names[status] : "unknown";
}

/* --- copies ------------------------------------------------------------------------------------------------------- */

bool el_saga_bytes_copy(struct el_arena *arena, struct evlog_bytes *bytes)
{
    if (bytes->data == NULL) {
        return true;
    }
    bytes->data = el_arena_strndup(arena, bytes->data, bytes->len);
    return bytes->data != NULL;
}

static bool copy_text(struct el_arena *arena, const char **text)
{
    if (*text == NULL) {
        return true;
    }
    *text = el_arena_strndup(arena, *text, strlen(*text));
    return *text != NULL;
}

static size_t text_len(const char *text)
{
    return text == NULL ? 0 : strlen(text);
}

size_t el_saga_command_len(const struct evlog_saga_command *command)
{
    return text_len(command->topic) + text_len(command->type) + text_len(command->content_type) +
           text_len(command->until) + command->key.len + command->data.len + 256;
}

int el_saga_commands_add(struct el_arena *arena, struct el_saga_commands *list,
                         const struct evlog_saga_command *command)
{
    struct evlog_saga_command copy = *command;
    if (list->count == list->room) {
        size_t room = EL_MAX(2 * list->room, 8);
        struct evlog_saga_command *items = el_arena_alloc(arena, room * sizeof *items);
        if (items == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        if (list->count > 0) {
            memcpy(items, list->items, list->count * sizeof *items);
        }
        list->items = items;
        list->room = room;
    }
    if (!copy_text(arena, &copy.topic) || !copy_text(arena, &copy.type) || !copy_text(arena, &copy.content_type) ||
        !copy_text(arena, &copy.until) || !el_saga_bytes_copy(arena, &copy.key) ||
        !el_saga_bytes_copy(arena, &copy.data)) {
        return EVLOG_ERR_NO_MEMORY;
    }
    list->items[list->count++] = copy;
    return 0;
}

bool el_saga_note_copy(struct el_arena *arena, struct el_saga_note *to, const struct el_saga_note *from)
{
    *to = *from;
    return copy_text(arena, &to->event.topic) && copy_text(arena, &to->event.timer) &&
           el_saga_bytes_copy(arena, &to->event.key) && el_saga_bytes_copy(arena, &to->event.type) &&
           el_saga_bytes_copy(arena, &to->event.id) && el_saga_bytes_copy(arena, &to->event.data);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void put_bytes(struct el_json_writer *w, const char *name, struct evlog_bytes bytes)
{
    char encoded[NAME_ROOM];
    if (bytes.data == NULL) {
        return;
    }
    if (el_utf8_valid(bytes.data, bytes.len)) {
        el_json_key(w, name);
        el_json_put_slice(w, el_slice_of(bytes.data, bytes.len));
        return;
    }
    (void)snprintf(encoded, sizeof encoded, "%s_base64", name);
    el_json_key(w, encoded);
    el_json_put_base64(w, el_slice_of(bytes.data, bytes.len));
}

static void put_text(struct el_json_writer *w, const char *name, const char *text)
{
    if (text != NULL) {
        el_json_add_str(w, name, text);
    }
}

static void put_note(struct el_json_writer *w, const struct el_saga_note *note)
{
    const struct evlog_saga_event *event = &note->event;
    if (note->hash[0] == '\0') {
        return;
    }
    el_json_key(w, "event");
    el_json_begin_object(w);
    el_json_add_str(w, "hash", note->hash);
    put_bytes(w, "type", event->type);
    put_text(w, "timer", event->timer);
    put_bytes(w, "id", event->id);
    put_text(w, "topic", event->topic);
    el_json_add_int(w, "partition", event->partition);
    el_json_add_int(w, "offset", event->offset);
    el_json_add_int(w, "time_ms", event->timestamp_ms);
    put_bytes(w, "key", event->key);
    put_bytes(w, "data", event->data);
    el_json_end_object(w);
}

static void put_commands(struct el_json_writer *w, const char *name, const struct el_saga_commands *list)
{
    if (list->count == 0) {
        return;
    }
    el_json_key(w, name);
    el_json_begin_array(w);
    for (size_t i = 0; i < list->count; i++) {
        const struct evlog_saga_command *command = &list->items[i];
        el_json_begin_object(w);
        put_text(w, "topic", command->topic);
        put_text(w, "type", command->type);
        put_bytes(w, "key", command->key);
        put_text(w, "content_type", command->content_type);
        put_bytes(w, "data", command->data);
        put_text(w, "until", command->until);
        el_json_end_object(w);
    }
    el_json_end_array(w);
}

static void put_timers(struct el_json_writer *w, const struct el_saga_record *record)
{
    if (record->timer_count == 0) {
        return;
    }
    el_json_key(w, "timers");
    el_json_begin_array(w);
    for (size_t i = 0; i < record->timer_count; i++) {
        el_json_begin_object(w);
        el_json_add_str(w, "name", record->timers[i].name);
        el_json_add_int(w, "due_ms", record->timers[i].due_ms);
        el_json_end_object(w);
    }
    el_json_end_array(w);
}

int el_saga_record_write(struct el_buffer *out, const struct el_saga_record *record)
{
    struct el_json_writer w;
    el_json_writer_init(&w, out);
    el_json_begin_object(&w);
    el_json_add_str(&w, "status", evlog_saga_status_name(record->status));
    put_text(&w, "reason", record->reason);
    put_note(&w, &record->note);
    if (record->has_state && record->state.data == NULL) {
        el_json_key(&w, "state");
        el_json_put_null(&w);
    } else if (record->has_state) {
        put_bytes(&w, "state", record->state);
    }
    put_commands(&w, "commands", &record->commands);
    put_commands(&w, "undo", &record->undo);
    put_timers(&w, record);
    if (record->undone > 0) {
        el_json_add_int(&w, "undone", record->undone);
    }
    put_text(&w, "until", record->until);
    put_bytes(&w, "correlation", record->correlation);
    el_json_end_object(&w);
    int rc = el_json_writer_end(&w);
    return out->err != 0 ? out->err : rc;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

struct reading {
    struct el_arena *arena;
    int err;
};

static void read_base64(struct reading *r, const struct el_json *object, const char *name, struct evlog_bytes *bytes)
{
    char encoded[NAME_ROOM];
    struct el_slice text;
    size_t len;
    (void)snprintf(encoded, sizeof encoded, "%s_base64", name);
    int rc = el_json_get_string(object, encoded, &text, NULL);
    if (rc == EVLOG_ERR_NOT_FOUND) {
        return;
    }
    uint8_t *out = rc == 0 ? el_arena_alloc(r->arena, text.len + 1) : NULL;
    if (rc == 0 && out == NULL) {
        rc = EVLOG_ERR_NO_MEMORY;
    }
    if (rc == 0 && el_base64_decode((const char *)text.data, text.len, out, text.len + 1, &len) != 0) {
        rc = EVLOG_ERR_MALFORMED;
    }
    if (rc != 0) {
        r->err = r->err != 0 ? r->err : rc;
        return;
    }
    *bytes = (struct evlog_bytes){out, len};
}

static void read_bytes(struct reading *r, const struct el_json *object, const char *name, struct evlog_bytes *bytes)
{
    struct el_slice text;
    *bytes = (struct evlog_bytes){NULL, 0};
    const struct el_json *member = el_json_get(object, name);
    if (member == NULL) {
        read_base64(r, object, name, bytes);
        return;
    }
    if (el_json_type_of(member) == EL_JSON_NULL) {
        return;
    }
    if (el_json_string(member, &text) != 0) {
        r->err = r->err != 0 ? r->err : EVLOG_ERR_MALFORMED;
        return;
    }
    *bytes = (struct evlog_bytes){el_arena_strndup(r->arena, text.data, text.len), text.len};
    if (bytes->data == NULL) {
        r->err = EVLOG_ERR_NO_MEMORY;
    }
}

static const char *read_text(struct reading *r, const struct el_json *object, const char *name)
{
    const char *text;
    int rc = el_json_get_text(object, name, &text, NULL);
    if (rc == EVLOG_ERR_NOT_FOUND) {
        return NULL;
    }
    if (rc == 0 && !copy_text(r->arena, &text)) {
        rc = EVLOG_ERR_NO_MEMORY;
    }
    if (rc != 0) {
        r->err = r->err != 0 ? r->err : rc;
        return NULL;
    }
    return text;
}

static int64_t read_int(struct reading *r, const struct el_json *object, const char *name)
{
    int64_t value = 0;
    int rc = el_json_get_int(object, name, &value, NULL);
    if (rc != 0 && rc != EVLOG_ERR_NOT_FOUND) {
        r->err = r->err != 0 ? r->err : rc;
    }
    return value;
}

static void read_note(struct reading *r, const struct el_json *root, struct el_saga_note *note)
{
    const struct el_json *object = el_json_get(root, "event");
    struct evlog_saga_event *event = &note->event;
    if (object == NULL) {
        return;
    }
    const char *hash = read_text(r, object, "hash");
    if (hash == NULL || hash[0] == '\0' || strlen(hash) >= sizeof note->hash) {
        r->err = r->err != 0 ? r->err : EVLOG_ERR_MALFORMED;
        return;
    }
    memcpy(note->hash, hash, strlen(hash) + 1);
    read_bytes(r, object, "type", &event->type);
    read_bytes(r, object, "id", &event->id);
    read_bytes(r, object, "key", &event->key);
    read_bytes(r, object, "data", &event->data);
    event->timer = read_text(r, object, "timer");
    event->topic = read_text(r, object, "topic");
    event->topic = event->topic == NULL ? "" : event->topic;
    event->partition = (int32_t)EL_MAX(EL_MIN(read_int(r, object, "partition"), (int64_t)INT32_MAX), (int64_t)-1);
    event->offset = read_int(r, object, "offset");
    event->timestamp_ms = read_int(r, object, "time_ms");
}

static void read_commands(struct reading *r, const struct el_json *root, const char *name,
                          struct el_saga_commands *list)
{
    const struct el_json *array = el_json_get(root, name);
    for (size_t i = 0; r->err == 0 && i < el_json_count(array); i++) {
        const struct el_json *object = el_json_at(array, i);
        struct evlog_saga_command command = EVLOG_SAGA_COMMAND_INIT;
        if (object == NULL) {
            r->err = EVLOG_ERR_MALFORMED; /* it is no array */
            return;
        }
        command.topic = read_text(r, object, "topic");
        command.type = read_text(r, object, "type");
        command.content_type = read_text(r, object, "content_type");
        command.until = read_text(r, object, "until");
        read_bytes(r, object, "key", &command.key);
        read_bytes(r, object, "data", &command.data);
        if (r->err == 0 && command.topic == NULL) {
            r->err = EVLOG_ERR_MALFORMED;
        }
        if (r->err == 0) {
            r->err = el_saga_commands_add(r->arena, list, &command);
        }
    }
}

static void read_timers(struct reading *r, const struct el_json *root, struct el_saga_record *record)
{
    const struct el_json *array = el_json_get(root, "timers");
    size_t count = array == NULL ? 0 : el_json_count(array);
    if (count == 0 || r->err != 0) {
        return;
    }
    record->timers = el_arena_zalloc(r->arena, count * sizeof *record->timers);
    for (size_t i = 0; record->timers != NULL && i < count && r->err == 0; i++) {
        const struct el_json *object = el_json_at(array, i);
        record->timers[i].name = read_text(r, object, "name");
        record->timers[i].due_ms = read_int(r, object, "due_ms");
        if (record->timers[i].name == NULL) {
            r->err = r->err != 0 ? r->err : EVLOG_ERR_MALFORMED;
        }
    }
    record->timer_count = record->timers == NULL ? 0 : count;
    r->err = record->timers == NULL ? EVLOG_ERR_NO_MEMORY : r->err;
}

static void read_status(struct reading *r, const struct el_json *root, struct el_saga_record *record)
{
    const char *name = read_text(r, root, "status");
    for (size_t i = 0; name != NULL && i < sizeof status_names / sizeof status_names[0]; i++) {
        if (strcmp(name, status_names[i]) == 0) {
            record->status = (enum evlog_saga_status)i;
            return;
        }
    }
    r->err = r->err != 0 ? r->err : EVLOG_ERR_MALFORMED;
}

int el_saga_record_read(struct el_arena *arena, struct evlog_bytes text, struct el_saga_record *record)
{
    struct reading r = {.arena = arena};
    struct el_json *root;
    memset(record, 0, sizeof *record);
    int rc = text.data == NULL ? EVLOG_ERR_MALFORMED : el_json_parse(text.data, text.len, DEPTH_MAX, &root, NULL);
    if (rc != 0) {
        return rc == EVLOG_ERR_NO_MEMORY ? rc : EVLOG_ERR_MALFORMED;
    }
    read_status(&r, root, record);
    read_note(&r, root, &record->note);
    record->reason = read_text(&r, root, "reason");
    record->until = read_text(&r, root, "until");
    record->has_state = el_json_get(root, "state") != NULL || el_json_get(root, "state_base64") != NULL;
    read_bytes(&r, root, "state", &record->state);
    read_bytes(&r, root, "correlation", &record->correlation);
    read_commands(&r, root, "commands", &record->commands);
    read_commands(&r, root, "undo", &record->undo);
    read_timers(&r, root, record);
    record->undone = read_int(&r, root, "undone");
    if (record->undone < 0) {
        r.err = r.err != 0 ? r.err : EVLOG_ERR_MALFORMED;
    }
    el_json_free(root);
    return r.err;
}
