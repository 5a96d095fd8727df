/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog_open(): sealed fields become what they were, or a typed Erased.
 *
 * 1. Data without a sign of the reserved names is given back as it is: what most events are costs one search.
 * 2. One walk finds the objects with reserved names, the outermost only, each with its path.
 * 3. Each box is opened with the key that it names. The key store says whether a key is erased; everything else that
 *    does not open is a failure of the whole, so that a reader never sees a part of an event as if it were all.
 *
 * What is opened is not trusted to be JSON, although it was authenticated: another program may have sealed it.
 */
#include "fail.h"
#include "seal_format.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/base64.h>
#include <core/json.h>
#include <stdio.h>

struct spot {
    struct el_slice raw;
    size_t path_pos; /* in struct opening's paths */
    size_t path_len;
    enum el_seal_mark mark;
};

struct opening {
    struct evlog_key_store *keys;
    struct el_slice key, id, data;
    struct el_buffer paths; /* of the spots, each with a NUL behind it */
    struct el_buffer spots; /* struct spot, in the order of the text */
    struct el_buffer room;  /* of a ciphertext */
    struct el_buffer text;  /* of what was in it */
    struct el_buffer out;
    struct evlog_field *fields; /* [spot_count] */
    size_t field_count, erased_count;
    struct el_error err;
};

/* What evlog_opened owns. */
struct owned {
    struct el_buffer out, paths;
    struct evlog_field *fields;
};

static const struct spot *spots_of(const struct opening *o, size_t *count)
{
    *count = o->spots.len / sizeof(struct spot);
    return (const struct spot *)(const void *)o->spots.data;
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

static int on_value(void *arg, const struct el_seal_value *value)
{
    struct opening *o = arg;
    size_t count;
    if (value->mark == EL_SEAL_PLAIN) {
        return 0;
    }
    const struct spot *spots = spots_of(o, &count);
    while (count > 0 && spots[count - 1].raw.data > value->raw.data) {
        count--; /* inside of this one: its reader will refuse it */
    }
    o->spots.len = count * sizeof(struct spot);
    if (count == EVLOG_SEAL_FIELD_MAX) {
        return el_error_set(&o->err, EVLOG_ERR_LIMIT, "more than %d sealed fields", EVLOG_SEAL_FIELD_MAX);
    }
    struct spot spot = {value->raw, o->paths.len, value->path.len, value->mark};
    el_buffer_append(&o->paths, value->path.data, value->path.len);
    el_buffer_append_char(&o->paths, '\0');
    el_buffer_append(&o->spots, &spot, sizeof spot);
    return o->paths.err != 0 || o->spots.err != 0 ? el_error_set(&o->err, EVLOG_ERR_NO_MEMORY, "no memory") : 0;
}

/* returns 0, with no spot when the data is no JSON | EVLOG_ERR_MALFORMED what has a field is no JSON |
 * EVLOG_ERR_LIMIT | EVLOG_ERR_NO_MEMORY */
static int find_spots(struct opening *o)
{
    int rc = el_seal_suspected(o->data) ? el_seal_walk(o->data, on_value, o, &o->err) : 0;
    bool other = rc == EVLOG_ERR_MALFORMED || rc == EVLOG_ERR_TRUNCATED || rc == EVLOG_ERR_LIMIT;
    return other && o->spots.len == 0 ? 0 : rc; /* data of another kind, or nested so deeply that sealing refuses it */
}

bool evlog_is_sealed(struct evlog_bytes data)
{
    struct opening o = {.data = el_slice_of(data.data, data.len)};
    size_t count;
    if (data.data == NULL) {
        return false;
    }
    if (el_seal_is_bytes(o.data)) {
        return true;
    }
    bool sealed = find_spots(&o) != 0; /* too many, or no memory to look: better yes */
    const struct spot *spots = spots_of(&o, &count);
    for (size_t i = 0; i < count; i++) {
        sealed = sealed || spots[i].mark == EL_SEAL_SEALED;
    }
    el_buffer_free(&o.spots);
    el_buffer_free(&o.paths);
    return sealed;
}

/* --- opening one -------------------------------------------------------------------------------------------------- */

static int refuse(const struct opening *o, const char *path, int code, const char *why, struct evlog_failure *failure)
{
    struct el_slice id = o->id.data == NULL ? el_slice_str("without id") : o->id;
    (void)el_fail(failure, code, "%s%s%s of event %.*s cannot be opened: %s", path == NULL ? "the data" : "field \"",
                  path == NULL ? "" : path, path == NULL ? "" : "\"", (int)EL_MIN(id.len, 80), (const char *)id.data,
                  why);
    if (code == EVLOG_ERR_SEALED) {
        el_fail_hint(failure, "give the key store: --keys DIR, or EVLOG_KEYS__STORE");
    }
    return code;
}

/* The key of a box. returns 0 | EVLOG_ERR_ERASED with record | a failure, told */
static int find_key(struct opening *o, const char *path, const struct el_seal_box *box, struct evlog_data_key *key,
                    struct evlog_key_record *record, struct evlog_failure *failure)
{
    char id[EL_UUID_TEXT_LEN + 1], text[160];
    EL_STATIC_ASSERT(sizeof id == EVLOG_KEY_ID_MAX, "ids of keys are uuids as text");
    el_uuid_format(id, &box->key_id);
    if (o->keys == NULL) {
        return refuse(o, path, EVLOG_ERR_SEALED, evlog_error_text(EVLOG_ERR_SEALED), failure);
    }
    *record = (struct evlog_key_record){.state = EVLOG_KEY_LIVE};
    int rc = o->keys->calls->find(o->keys, id, key, record, failure);
    if (rc == EVLOG_ERR_NOT_FOUND) {
        (void)snprintf(text, sizeof text, "key %s is not in this key store: was it sealed with another one?", id);
        return refuse(o, path, EVLOG_ERR_KEYS, text, failure);
    }
    if (rc == EVLOG_ERR_ERASED && record->state == EVLOG_KEY_LIVE) {
        return refuse(o, path, EVLOG_ERR_KEYS, "the key store does not say since when the key is erased", failure);
    }
    return rc;
}

static int decrypt(struct opening *o, const char *path, const struct el_seal_box *box, const struct evlog_data_key *key,
                   struct evlog_failure *failure)
{
    struct el_seal_place place = {o->key, o->id, path == NULL ? el_slice_of(NULL, 0) : el_slice_str(path)};
    el_buffer_reset(&o->text);
    uint8_t *text = el_buffer_room(&o->text, box->sealed.len);
    if (text == NULL) {
        return refuse(o, path, EVLOG_ERR_NO_MEMORY, "no memory", failure);
    }
    o->text.len = box->sealed.len - EL_AEAD_TAG_LEN;
    int rc = el_seal_decrypt(key->bytes, &place, box, text);
    if (rc == EVLOG_ERR_CORRUPT) {
        return refuse(o, path, rc, "it was altered, or sealed for another event or field", failure);
    }
    return rc == 0 ? 0 : refuse(o, path, rc, evlog_error_text(rc), failure);
}

/* Decrypt a box, or write what stands for an erased one. path NULL: the data as bytes */
static int open_box(struct opening *o, const char *path, const struct el_seal_box *box, struct evlog_field *field,
                    struct evlog_failure *failure)
{
    struct evlog_data_key key;
    struct evlog_key_record record;
    int rc = find_key(o, path, box, &key, &record, failure);
    *field = (struct evlog_field){.path = path == NULL ? "" : path, .state = EVLOG_FIELD_OPENED};
    el_uuid_format(field->subject, &box->key_id);
    if (rc == EVLOG_ERR_ERASED) {
        field->state = EVLOG_FIELD_ERASED;
        field->erased_ms = record.changed_ms;
        field->restorable = record.state == EVLOG_KEY_DISABLED;
        el_seal_write_erased(&o->out, &box->key_id, record.changed_ms, field->restorable);
        return 0;
    }
    if (rc == 0) {
        rc = decrypt(o, path, box, &key, failure);
        explicit_bzero(&key, sizeof key);
    }
    return rc;
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

static int no_mark(void *arg, const struct el_seal_value *value)
{
    (void)arg;
    return value->mark == EL_SEAL_PLAIN ? 0 : EVLOG_ERR_MALFORMED;
}

/* What was in a box goes out, when it is JSON without reserved names. */
static int put_text(struct opening *o, const char *path, struct evlog_failure *failure)
{
    struct el_slice text = el_buffer_slice(&o->text);
    while (text.len > 0 && text.data[text.len - 1] == ' ') {
        text.len--;
    }
    int rc = el_seal_walk(text, no_mark, NULL, &o->err);
    if (rc != 0) {
        return refuse(o, path, rc == EVLOG_ERR_NO_MEMORY ? rc : EVLOG_ERR_MALFORMED,
                      "what was sealed is no JSON value, or sealed once more", failure);
    }
    el_buffer_append(&o->out, text.data, text.len);
    return 0;
}

static int open_spot(struct opening *o, const struct spot *spot, struct evlog_failure *failure)
{
    const char *path = (const char *)o->paths.data + spot->path_pos;
    struct evlog_field *field = &o->fields[o->field_count++];
    struct el_seal_box box;
    int rc;
    if (strlen(path) != spot->path_len) {
        return refuse(o, path, EVLOG_ERR_MALFORMED, "a name has a NUL byte", failure);
    }
    if (spot->mark == EL_SEAL_ERASED) {
        rc = el_seal_read_erased(spot->raw, field, &o->err);
        field->path = path;
        el_buffer_append(&o->out, spot->raw.data, spot->raw.len);
        return rc == 0 ? 0 : refuse(o, path, rc, o->err.text, failure);
    }
    rc = el_seal_read_field(spot->raw, &o->room, &box, &o->err);
    if (rc != 0) {
        return refuse(o, path, rc, o->err.text, failure);
    }
    rc = open_box(o, path, &box, field, failure);
    return rc == 0 && field->state == EVLOG_FIELD_OPENED ? put_text(o, path, failure) : rc;
}

static int open_fields(struct opening *o, struct evlog_failure *failure)
{
    const uint8_t *from = o->data.data;
    size_t count;
    const struct spot *spots = spots_of(o, &count);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        el_buffer_append(&o->out, from, (size_t)(spots[i].raw.data - from));
        from = spots[i].raw.data + spots[i].raw.len;
        rc = open_spot(o, &spots[i], failure);
    }
    el_buffer_append(&o->out, from, (size_t)(o->data.data + o->data.len - from));
    return rc;
}

static int open_bytes(struct opening *o, struct evlog_failure *failure)
{
    struct el_seal_box box;
    int rc = el_seal_read_bytes(o->data, &box, &o->err);
    if (rc != 0) {
        return refuse(o, NULL, rc, o->err.text, failure);
    }
    rc = open_box(o, NULL, &box, &o->fields[o->field_count++], failure);
    if (rc == 0 && o->fields[0].state == EVLOG_FIELD_OPENED) {
        (void)el_buffer_room(&o->out, 1); /* data that is empty is not null */
        o->out.len = 0;
        el_buffer_append(&o->out, o->text.data, o->text.len);
    }
    return rc;
}

static int open_all(struct opening *o, size_t count, struct evlog_failure *failure)
{
    o->fields = el_calloc(count, sizeof *o->fields);
    if (o->fields == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for %zu sealed fields", count);
    }
    int rc = o->spots.len > 0 ? open_fields(o, failure) : open_bytes(o, failure);
    for (size_t i = 0; rc == 0 && i < o->field_count; i++) {
        o->erased_count += o->fields[i].state == EVLOG_FIELD_ERASED;
    }
    return rc == 0 && o->out.err != 0 ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for opened data") : rc;
}

/* --- public ------------------------------------------------------------------------------------------------------- */

static int give(struct opening *o, struct evlog_opened *opened, struct evlog_failure *failure)
{
    struct owned *owned = el_calloc(1, sizeof *owned);
    if (owned == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for opened data");
    }
    *owned = (struct owned){o->out, o->paths, o->fields};
    opened->data = (struct evlog_bytes){o->out.data, o->out.len};
    opened->fields = o->fields;
    opened->field_count = o->field_count;
    opened->erased_count = o->erased_count;
    opened->owned = owned;
    return 0;
}

static void wipe(struct el_buffer *buffer)
{
    if (buffer->cap > 0) {
        explicit_bzero(buffer->data, buffer->cap);
    }
    el_buffer_free(buffer);
}

int evlog_open(struct evlog_key_store *keys, struct evlog_bytes key, struct evlog_bytes id, struct evlog_bytes data,
               struct evlog_opened *opened, struct evlog_failure *failure)
{
    struct opening o = {
        .keys = keys,
        .key = el_slice_of(key.data, key.len),
        .id = el_slice_of(id.data, id.len),
        .data = el_slice_of(data.data, data.len),
    };
    size_t size = opened->size, count = 0;
    bool is_bytes = el_seal_is_bytes(o.data);
    *opened = (struct evlog_opened){.size = size, .data = data};
    int rc = is_bytes || data.data == NULL ? 0 : find_spots(&o);
    if (rc != 0) {
        rc = refuse(&o, NULL, rc == EVLOG_ERR_TRUNCATED ? EVLOG_ERR_MALFORMED : rc, o.err.text, failure);
    }
    (void)spots_of(&o, &count);
    if (rc == 0 && (is_bytes || count > 0)) {
        rc = open_all(&o, EL_MAX(count, 1), failure);
        rc = rc == 0 ? give(&o, opened, failure) : rc;
    }
    if (opened->owned == NULL) {
        wipe(&o.out);
        el_buffer_free(&o.paths);
        el_free(o.fields);
    }
    wipe(&o.text);
    el_buffer_free(&o.spots);
    el_buffer_free(&o.room);
    return rc;
}

void evlog_opened_free(struct evlog_opened *opened)
{
    struct owned *owned = opened->owned;
    if (owned != NULL) {
        wipe(&owned->out);
        el_buffer_free(&owned->paths);
        el_free(owned->fields);
        el_free(owned);
    }
    opened->owned = NULL;
    opened->data = (struct evlog_bytes){NULL, 0};
    opened->fields = NULL;
    opened->field_count = opened->erased_count = 0;
}
