/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog_seal(): fields of an event's data become ciphertexts, in place.
 *
 * 1. The paths become JSON pointers; one inside another is refused.
 * 2. One walk over the document finds the very bytes of each field, and what is sealed already.
 * 3. The subject's key is taken from the key store, which makes it when there is none.
 * 4. The document is written anew: what lies between the fields byte for byte, each field as a box with a nonce of its
 *    own. The text of a field is filled up with blanks, so that two short names are equally long.
 *
 * Nothing of the key store is asked for, and so no key is made, before the document is known to be sealable.
 */
#include "fail.h"
#include "seal_format.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/base64.h>

struct target {
    struct el_slice path; /* inside struct sealing's pointers */
    size_t path_pos;      /* there */
    struct el_slice raw;  /* data NULL: not found */
};

struct sealing {
    const struct evlog_seal *seal;
    struct el_slice data;
    struct el_buffer pointers; /* of all targets, one behind the other */
    struct target *targets;    /* [seal->path_count] */
    uint32_t *order;           /* [found_count] indexes of targets, as they stand in the text */
    uint32_t found_count;
    struct el_buffer room;
    struct el_buffer out;
    struct el_error err; /* of the walk */
};

/* --- paths -------------------------------------------------------------------------------------------------------- */

/* Is inner the path of something inside of what outer names? */
static bool is_inside(struct el_slice inner, struct el_slice outer)
{
    return inner.len > outer.len && inner.data[outer.len] == '/' && memcmp(inner.data, outer.data, outer.len) == 0;
}

static int take_paths(struct sealing *s, struct evlog_failure *failure)
{
    size_t count = s->seal->path_count;
    struct el_error err = {0};
    if (count > EVLOG_SEAL_FIELD_MAX) {
        return el_fail(failure, EVLOG_ERR_LIMIT, "%zu paths, at most %d", count, EVLOG_SEAL_FIELD_MAX);
    }
    s->targets = el_calloc(count, sizeof *s->targets);
    s->order = el_calloc(count, sizeof *s->order);
    if (s->targets == NULL || s->order == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for %zu paths", count);
    }
    for (size_t i = 0; i < count; i++) {
        s->targets[i].path_pos = s->pointers.len;
        int rc = s->seal->paths[i] == NULL ? el_error_set(&err, EVLOG_ERR_ARGUMENT, "a path is NULL")
                                           : el_seal_pointer(&s->pointers, s->seal->paths[i], &err);
        if (rc != 0) {
            return el_fail(failure, rc, "%s", err.text[0] == '\0' ? "no memory for paths" : err.text);
        }
        s->targets[i].path.len = s->pointers.len - s->targets[i].path_pos;
    }
    for (size_t i = 0; i < count; i++) {
        s->targets[i].path.data = s->pointers.len == 0 ? (const uint8_t *)""
                                                       : s->pointers.data + s->targets[i].path_pos;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (i != j && (is_inside(s->targets[i].path, s->targets[j].path) ||
                           el_slice_eq(s->targets[i].path, s->targets[j].path))) {
                return el_fail(failure, EVLOG_ERR_ARGUMENT,
                               "path \"%s\" is \"%s\" or inside of it: one of them is enough", s->seal->paths[i],
                               s->seal->paths[j]);
            }
        }
    }
    return 0;
}

/* --- the document ------------------------------------------------------------------------------------------------- */

/* An object with a reserved name: fine when it is what this library writes, and no target has to do with it. */
static int look_at_mark(struct sealing *s, const struct el_seal_value *value)
{
    struct el_seal_box box;
    struct evlog_field field;
    for (size_t i = 0; i < s->seal->path_count; i++) {
        struct el_slice path = s->targets[i].path;
        if (is_inside(value->path, path) || is_inside(path, value->path)) {
            return el_error_set(&s->err, EVLOG_ERR_EXISTS, "field \"%s\" has something sealed around or inside of it",
                                s->seal->paths[i]);
        }
        if (el_slice_eq(value->path, path)) {
            return el_error_set(&s->err, value->mark == EL_SEAL_SEALED ? EVLOG_ERR_EXISTS : EVLOG_ERR_ERASED,
                                "field \"%s\" is %s already", s->seal->paths[i],
                                value->mark == EL_SEAL_SEALED ? "sealed" : "erased");
        }
    }
    return value->mark == EL_SEAL_SEALED ? el_seal_read_field(value->raw, &s->room, &box, &s->err)
                                         : el_seal_read_erased(value->raw, &field, &s->err);
}

static int on_value(void *arg, const struct el_seal_value *value)
{
    struct sealing *s = arg;
    if (value->mark != EL_SEAL_PLAIN) {
        return look_at_mark(s, value);
    }
    for (uint32_t i = 0; i < s->seal->path_count; i++) {
        struct target *target = &s->targets[i];
        if (!el_slice_eq(target->path, value->path)) {
            continue;
        }
        if (target->raw.data != NULL) {
            return el_error_set(&s->err, EVLOG_ERR_MALFORMED, "field \"%s\" is there twice", s->seal->paths[i]);
        }
        target->raw = value->raw;
        s->order[s->found_count++] = i;
    }
    return 0;
}

static int find_fields(struct sealing *s, struct evlog_failure *failure)
{
    int rc = el_seal_walk(s->data, on_value, s, &s->err);
    if (rc != 0) {
        bool no_json = rc == EVLOG_ERR_MALFORMED || rc == EVLOG_ERR_TRUNCATED;
        (void)el_fail(failure, no_json ? EVLOG_ERR_MALFORMED : rc, "the data cannot be sealed: %s", s->err.text);
        el_fail_hint(failure, "without a path data of any kind is sealed as a whole");
        return no_json ? EVLOG_ERR_MALFORMED : rc;
    }
    for (size_t i = 0; i < s->seal->path_count; i++) {
        if (s->targets[i].raw.data == NULL) {
            return el_fail(failure, EVLOG_ERR_NOT_FOUND, "the data has no field \"%s\" to be sealed",
                           s->seal->paths[i]);
        }
    }
    EL_ASSERT(s->found_count == s->seal->path_count);
    return 0;
}

/* --- encryption --------------------------------------------------------------------------------------------------- */

static struct el_slice slice_of(struct evlog_bytes bytes)
{
    return el_slice_of(bytes.data, bytes.len);
}

/* Encrypt one text; the box lies in s->room. pad: with blanks */
static int encrypt(struct sealing *s, const struct evlog_data_key *key, struct el_slice path, struct el_slice text,
                   struct el_seal_box *box)
{
    size_t len = path.data == NULL ? text.len : EL_ALIGN_UP(EL_MAX(text.len, 1), EL_SEAL_PAD_LEN);
    struct el_seal_place place = {slice_of(s->seal->key), el_slice_str(s->seal->id), path};
    el_buffer_reset(&s->room);
    uint8_t *room = el_buffer_room(&s->room, len + EL_AEAD_TAG_LEN);
    if (room == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int rc = el_uuid_parse(key->id, strlen(key->id), &box->key_id);
    if (rc != 0) {
        return EVLOG_ERR_KEYS; /* a store of somebody else's making */
    }
    memset(room, ' ', len);
    memcpy(room, text.len == 0 ? (const uint8_t *)"" : text.data, text.len);
    rc = el_random_fill(box->nonce, sizeof box->nonce);
    return rc == 0 ? el_seal_encrypt(key->bytes, &place, el_slice_of(room, len), box, room) : rc;
}

static int write_fields(struct sealing *s, const struct evlog_data_key *key)
{
    const uint8_t *from = s->data.data, *end = s->data.data + s->data.len;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->found_count; i++) {
        const struct target *target = &s->targets[s->order[i]];
        struct el_seal_box box;
        EL_ASSERT(target->raw.data >= from);
        el_buffer_append(&s->out, from, (size_t)(target->raw.data - from));
        from = target->raw.data + target->raw.len;
        rc = encrypt(s, key, target->path, target->raw, &box);
        if (rc == 0) {
            el_seal_write_field(&s->out, &box);
        }
    }
    el_buffer_append(&s->out, from, (size_t)(end - from));
    return rc;
}

static int write_bytes(struct sealing *s, const struct evlog_data_key *key)
{
    struct el_seal_box box;
    int rc = encrypt(s, key, el_slice_of(NULL, 0), s->data, &box);
    if (rc == 0) {
        el_seal_write_bytes(&s->out, &box);
    }
    return rc;
}

static int write_all(struct sealing *s, struct evlog_key_store *keys, struct evlog_failure *failure)
{
    struct evlog_data_key key;
    int rc = keys->calls->take(keys, s->seal->subject, &key, failure);
    if (rc != 0) {
        return rc;
    }
    rc = s->seal->path_count == 0 ? write_bytes(s, &key) : write_fields(s, &key);
    explicit_bzero(&key, sizeof key);
    if (rc != 0 || s->out.err != 0) {
        return el_fail(failure, rc != 0 ? rc : EVLOG_ERR_NO_MEMORY, "the data cannot be sealed: %s",
                       evlog_error_text(rc != 0 ? rc : EVLOG_ERR_NO_MEMORY));
    }
    return 0;
}

/* --- public ------------------------------------------------------------------------------------------------------- */

static int check(const struct evlog_key_store *keys, const struct evlog_seal *seal, struct evlog_bytes data,
                 struct evlog_failure *failure)
{
    if (keys == NULL || data.data == NULL || (seal->path_count > 0 && seal->paths == NULL)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "sealing takes a key store and data");
    }
    if (seal->subject.data == NULL || seal->subject.len == 0 || seal->subject.len > EVLOG_SUBJECT_LEN_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a subject has 1 to %d bytes: whom the data is about",
                       EVLOG_SUBJECT_LEN_MAX);
    }
    if (seal->id == NULL || seal->id[0] == '\0') {
        return el_fail(failure, EVLOG_ERR_ARGUMENT,
                       "sealed data is bound to its event's id: make one first, by evlog_event_id_make()");
    }
    if (el_seal_is_bytes(slice_of(data))) {
        return el_fail(failure, EVLOG_ERR_EXISTS, "the data is sealed already");
    }
    if (seal->key.len > INT32_MAX || data.len > INT32_MAX) {
        return el_fail(failure, EVLOG_ERR_LIMIT, "no record can hold that much data");
    }
    return 0;
}

int evlog_seal(struct evlog_key_store *keys, const struct evlog_seal *seal, struct evlog_bytes data,
               struct evlog_sealed *sealed, struct evlog_failure *failure)
{
    struct evlog_seal full = EVLOG_SEAL_INIT;
    struct sealing s = {.seal = &full, .data = slice_of(data)};
    if (!EL_OPTIONS_TAKE(&full, seal)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "struct evlog_seal has no size: begin with EVLOG_SEAL_INIT");
    }
    int rc = check(keys, &full, data, failure);
    if (rc == 0 && full.path_count > 0) {
        rc = take_paths(&s, failure);
        rc = rc == 0 ? find_fields(&s, failure) : rc;
    }
    rc = rc == 0 ? write_all(&s, keys, failure) : rc;
    if (rc == 0) {
        sealed->data = (struct evlog_bytes){s.out.data, s.out.len};
        sealed->owned = s.out.data;
    } else {
        el_buffer_free(&s.out);
    }
    el_buffer_free(&s.room);
    el_buffer_free(&s.pointers);
    el_free(s.targets);
    el_free(s.order);
    return rc;
}

void evlog_sealed_free(struct evlog_sealed *sealed)
{
    el_free(sealed->owned);
    sealed->owned = NULL;
    sealed->data = (struct evlog_bytes){NULL, 0};
}

void evlog_key_store_close(struct evlog_key_store *store)
{
    if (store != NULL) {
        store->calls->close(store);
    }
}
