/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a key store as text: JSON objects, one a file. docs/format.md, "Key store", describes the same.
 *
 * Bound to what is wrapped, so that files cannot be exchanged: which store, which key, under which generation, and
 * whether it is disabled until when.
 */
#include "key_dir_state.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/json.h>
#include <core/json_writer.h>
#include <stdio.h>

#define ROOT_HEAD "evlog store 1"
#define KEY_HEAD "evlog key 1"
#define INDEX_NUMBER 0 /* of the key for naming subjects, where a generation's number stands */

static const char *const states[] = {"live", "disabled", "destroyed"};

/* --- wrapping ----------------------------------------------------------------------------------------------------- */

struct binding {
    uint8_t bytes[96];
    size_t len;
};

static void add(struct binding *b, const void *data, size_t len)
{
    EL_ASSERT(b->len + len <= sizeof b->bytes);
    memcpy(b->bytes + b->len, data, len);
    b->len += len;
}

static void add_number(struct binding *b, uint64_t number)
{
    uint8_t bytes[8];
    el_put_be64(bytes, number);
    add(b, bytes, sizeof bytes);
}

static struct binding root_binding(const struct el_key_root *root, uint32_t number)
{
    struct binding b = {.len = 0};
    add(&b, ROOT_HEAD, sizeof ROOT_HEAD);
    add(&b, root->id.bytes, sizeof root->id.bytes);
    add_number(&b, number);
    return b;
}

static struct binding key_binding(const struct el_key_root *root, const struct el_key_file *file)
{
    struct binding b = {.len = 0};
    add(&b, KEY_HEAD, sizeof KEY_HEAD);
    add(&b, root->id.bytes, sizeof root->id.bytes);
    add(&b, file->record.id, sizeof file->record.id);
    add_number(&b, file->generation);
    add_number(&b, (uint64_t)file->record.state);
    add_number(&b, (uint64_t)file->record.until_ms);
    return b;
}

static int wrap(const uint8_t *key, const struct binding *b, struct el_slice text, struct el_key_wrap *out)
{
    EL_ASSERT(text.len + EL_AEAD_TAG_LEN <= sizeof out->sealed);
    int rc = el_random_fill(out->nonce, sizeof out->nonce);
    out->len = text.len + EL_AEAD_TAG_LEN;
    return rc == 0 ? el_aead_seal(&(struct el_aead){key, out->nonce, el_slice_of(b->bytes, b->len)}, text, out->sealed)
                   : rc;
}

/* text has room for wrap->len - EL_AEAD_TAG_LEN bytes */
static int unwrap(const uint8_t *key, const struct binding *b, const struct el_key_wrap *wrap, uint8_t *text)
{
    int rc = el_aead_open(&(struct el_aead){key, wrap->nonce, el_slice_of(b->bytes, b->len)},
                          el_slice_of(wrap->sealed, wrap->len), text);
    return rc == EVLOG_ERR_CORRUPT ? EVLOG_ERR_KEYS : rc;
}

const struct el_key_generation *el_key_generation_of(const struct el_key_root *root, uint32_t number)
{
    for (uint32_t i = 0; i < root->generation_count; i++) {
        if (root->generations[i].number == number) {
            return &root->generations[i];
        }
    }
    return NULL;
}

int el_key_unwrap(const struct el_key_root *root, const struct el_key_file *file, struct el_key_content *content)
{
    const struct el_key_generation *generation = el_key_generation_of(root, file->generation);
    uint8_t text[EL_KEY_WRAP_LEN_MAX];
    if (generation == NULL || file->wrap.len < EVLOG_DATA_KEY_LEN + EL_AEAD_TAG_LEN) {
        return EVLOG_ERR_KEYS;
    }
    struct binding b = key_binding(root, file);
    int rc = unwrap(generation->key, &b, &file->wrap, text);
    if (rc == 0) {
        memcpy(content->key, text, sizeof content->key);
        content->subject_len = file->wrap.len - EL_AEAD_TAG_LEN - EVLOG_DATA_KEY_LEN;
        memcpy(content->subject, text + EVLOG_DATA_KEY_LEN, content->subject_len);
    }
    explicit_bzero(text, sizeof text);
    return rc;
}

int el_key_wrap(const struct el_key_root *root, struct el_key_file *file, const struct el_key_content *content)
{
    const struct el_key_generation *newest = &root->generations[root->generation_count - 1];
    uint8_t text[EL_KEY_WRAP_LEN_MAX];
    EL_ASSERT(file->record.state != EVLOG_KEY_DESTROYED);
    memcpy(text, content->key, sizeof content->key);
    memcpy(text + EVLOG_DATA_KEY_LEN, content->subject, content->subject_len);
    file->generation = newest->number;
    struct binding b = key_binding(root, file);
    int rc = wrap(newest->key, &b, el_slice_of(text, EVLOG_DATA_KEY_LEN + content->subject_len), &file->wrap);
    explicit_bzero(text, sizeof text);
    return rc;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

static void put_wrap(struct el_json_writer *w, const struct el_key_wrap *wrap)
{
    el_json_key(w, "n");
    el_json_put_base64(w, el_slice_of(wrap->nonce, sizeof wrap->nonce));
    el_json_key(w, "c");
    el_json_put_base64(w, el_slice_of(wrap->sealed, wrap->len));
}

static int get_wrap(const struct el_json *json, struct el_key_wrap *wrap, struct el_error *err)
{
    struct el_slice nonce, sealed;
    size_t nonce_len = 0;
    int rc = el_json_get_string(json, "n", &nonce, err);
    rc = rc == 0 ? el_json_get_string(json, "c", &sealed, err) : rc;
    if (rc != 0) {
        return EVLOG_ERR_KEYS;
    }
    if (el_base64_decode((const char *)nonce.data, nonce.len, wrap->nonce, sizeof wrap->nonce, &nonce_len) != 0 ||
        el_base64_decode((const char *)sealed.data, sealed.len, wrap->sealed, sizeof wrap->sealed, &wrap->len) != 0 ||
        nonce_len != sizeof wrap->nonce) {
        return el_error_set(err, EVLOG_ERR_KEYS, "\"n\" or \"c\" is no base64 of its length");
    }
    return 0;
}

static int get_version(const struct el_json *json, struct el_error *err)
{
    int64_t version;
    int rc = el_json_get_int(json, "v", &version, err);
    return rc == 0 && version == 1 ? 0
           : rc == 0 ? el_error_set(err, EVLOG_ERR_KEYS, "version %lld, and this program knows 1", (long long)version)
                     : EVLOG_ERR_KEYS;
}

static int get_number(const struct el_json *json, const char *name, int64_t max, int64_t *number, struct el_error *err)
{
    int rc = el_json_get_int(json, name, number, err);
    if (rc == 0 && (*number < 0 || *number > max)) {
        rc = el_error_set(err, EVLOG_ERR_KEYS, "\"%s\" is out of range", name);
    }
    return rc == 0 ? 0 : EVLOG_ERR_KEYS;
}

void el_key_text_write(struct el_buffer *out, const struct el_key_file *file)
{
    struct el_json_writer w;
    el_json_writer_init(&w, out);
    el_json_begin_object(&w);
    el_json_add_int(&w, "v", 1);
    el_json_add_str(&w, "id", file->record.id);
    el_json_add_str(&w, "state", states[file->record.state]);
    el_json_add_int(&w, "made", file->record.made_ms);
    el_json_add_int(&w, "changed", file->record.changed_ms);
    if (file->record.state == EVLOG_KEY_DESTROYED) {
        el_json_add_bool(&w, "untold", file->record.untold);
    } else {
        el_json_add_int(&w, "until", file->record.until_ms);
        el_json_add_int(&w, "g", file->generation);
        put_wrap(&w, &file->wrap);
    }
    el_json_end_object(&w);
    if (el_json_writer_end(&w) != 0) {
        out->err = EVLOG_ERR_NO_MEMORY;
    }
    el_buffer_append_char(out, '\n');
}

static int read_state(const struct el_json *json, struct evlog_key_record *record, struct el_error *err)
{
    const char *text;
    if (el_json_get_text(json, "state", &text, err) != 0) {
        return EVLOG_ERR_KEYS;
    }
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(text, states[i]) == 0) {
            record->state = (enum evlog_key_state)i;
            return 0;
        }
    }
    return el_error_set(err, EVLOG_ERR_KEYS, "\"state\" is none");
}

static int read_record(const struct el_json *json, struct evlog_key_record *record, struct el_error *err)
{
    const char *id;
    struct el_uuid uuid;
    int rc = get_version(json, err);
    rc = rc == 0 ? el_json_get_text(json, "id", &id, err) : rc;
    if (rc == 0 && el_uuid_parse(id, strlen(id), &uuid) != 0) {
        rc = el_error_set(err, EVLOG_ERR_KEYS, "\"id\" is none");
    }
    if (rc == 0) {
        memcpy(record->id, id, EL_UUID_TEXT_LEN + 1);
    }
    rc = rc == 0 ? read_state(json, record, err) : rc;
    rc = rc == 0 ? get_number(json, "made", EL_KEY_TIME_MAX_MS, &record->made_ms, err) : rc;
    rc = rc == 0 ? get_number(json, "changed", EL_KEY_TIME_MAX_MS, &record->changed_ms, err) : rc;
    return rc == 0 ? 0 : EVLOG_ERR_KEYS;
}

static int read_key(const struct el_json *json, struct el_key_file *file, struct el_error *err)
{
    int64_t generation;
    int rc = read_record(json, &file->record, err);
    if (rc == 0 && file->record.state == EVLOG_KEY_DESTROYED) {
        return el_json_get_bool(json, "untold", &file->record.untold, err) == 0 ? 0 : EVLOG_ERR_KEYS;
    }
    rc = rc == 0 ? get_number(json, "until", EL_KEY_TIME_MAX_MS, &file->record.until_ms, err) : rc;
    rc = rc == 0 ? get_number(json, "g", INT32_MAX, &generation, err) : rc;
    rc = rc == 0 ? get_wrap(json, &file->wrap, err) : rc;
    file->generation = rc == 0 ? (uint32_t)generation : 0;
    return rc;
}

int el_key_text_read(struct el_slice text, struct el_key_file *file, struct el_error *err)
{
    struct el_json *json;
    int rc = el_json_parse(text.data, text.len, 4, &json, err);
    if (rc != 0) {
        return rc == EVLOG_ERR_NO_MEMORY ? rc : EVLOG_ERR_KEYS;
    }
    memset(file, 0, sizeof *file);
    rc = read_key(json, file, err);
    el_json_free(json);
    return rc;
}

/* --- the file "store" --------------------------------------------------------------------------------------------- */

static int put_wrapped(struct el_json_writer *w, const struct el_key_root *root, uint32_t number, const uint8_t key[32])
{
    struct el_key_wrap wrapped;
    struct binding b = root_binding(root, number);
    int rc = wrap(root->master, &b, el_slice_of(key, 32), &wrapped);
    el_json_begin_object(w);
    el_json_add_int(w, "g", number);
    if (rc == 0) {
        put_wrap(w, &wrapped);
    }
    el_json_end_object(w);
    return rc;
}

int el_key_root_write(struct el_buffer *out, const struct el_key_root *root, struct el_error *err)
{
    char id[EL_UUID_TEXT_LEN + 1];
    struct el_json_writer w;
    int rc = 0;
    el_uuid_format(id, &root->id);
    el_json_writer_init(&w, out);
    el_json_begin_object(&w);
    el_json_add_int(&w, "v", 1);
    el_json_add_str(&w, "id", id);
    el_json_add_str(&w, "master", root->master_path);
    el_json_key(&w, "index");
    rc = put_wrapped(&w, root, INDEX_NUMBER, root->index);
    el_json_key(&w, "generations");
    el_json_begin_array(&w);
    for (uint32_t i = 0; i < root->generation_count; i++) {
        int wrapped = put_wrapped(&w, root, root->generations[i].number, root->generations[i].key);
        rc = rc == 0 ? wrapped : rc;
    }
    el_json_end_array(&w);
    el_json_end_object(&w);
    int written = el_json_writer_end(&w);
    el_buffer_append_char(out, '\n');
    rc = rc == 0 ? written : rc;
    rc = rc == 0 ? out->err : rc;
    return rc == 0 ? 0 : el_error_set(err, rc, "the key store cannot be written: %s", evlog_error_text(rc));
}

static int read_wrapped(const struct el_json *json, const struct el_key_root *root, uint32_t number, uint8_t key[32],
                        struct el_error *err)
{
    struct el_key_wrap wrapped;
    struct binding b = root_binding(root, number);
    int rc = get_wrap(json, &wrapped, err);
    if (rc == 0 && wrapped.len != 32 + EL_AEAD_TAG_LEN) {
        rc = el_error_set(err, EVLOG_ERR_KEYS, "\"c\" has another length");
    }
    if (rc == 0) {
        rc = unwrap(root->master, &b, &wrapped, key);
        if (rc != 0) {
            (void)el_error_set(err, rc, "the master key is another one");
        }
    }
    return rc;
}

static int read_keys(const struct el_json *json, struct el_key_root *root, struct el_error *err)
{
    const struct el_json *index, *list;
    int rc = el_json_get_object(json, "index", &index, err);
    rc = rc == 0 ? el_json_get_array(json, "generations", &list, err) : rc;
    if (rc != 0 || el_json_count(list) == 0 || el_json_count(list) > EL_KEY_GENERATION_MAX) {
        return rc != 0 ? EVLOG_ERR_KEYS
                       : el_error_set(err, EVLOG_ERR_KEYS, "1 to %d generations", EL_KEY_GENERATION_MAX);
    }
    rc = read_wrapped(index, root, INDEX_NUMBER, root->index, err);
    root->generation_count = 0;
    for (size_t i = 0; rc == 0 && i < el_json_count(list); i++) {
        struct el_key_generation *generation = &root->generations[i];
        int64_t number;
        rc = get_number(el_json_at(list, i), "g", INT32_MAX, &number, err);
        if (rc == 0 && (number < 1 || (i > 0 && (uint32_t)number <= root->generations[i - 1].number))) {
            rc = el_error_set(err, EVLOG_ERR_KEYS, "generations are not ascending");
        }
        if (rc == 0) {
            generation->number = (uint32_t)number;
            rc = read_wrapped(el_json_at(list, i), root, generation->number, generation->key, err);
        }
        root->generation_count += rc == 0;
    }
    return rc;
}

static int read_head(const struct el_json *json, struct el_key_root *root, struct el_error *err)
{
    const char *id, *master;
    int rc = get_version(json, err);
    rc = rc == 0 ? el_json_get_text(json, "id", &id, err) : rc;
    rc = rc == 0 ? el_json_get_text(json, "master", &master, err) : rc;
    if (rc != 0) {
        return EVLOG_ERR_KEYS;
    }
    if (el_uuid_parse(id, strlen(id), &root->id) != 0 || strlen(master) >= sizeof root->master_path) {
        return el_error_set(err, EVLOG_ERR_KEYS, "\"id\" or \"master\" is none");
    }
    (void)snprintf(root->master_path, sizeof root->master_path, "%s", master);
    return 0;
}

/* With the master key of one file. */
static int try_master(const struct el_json *json, const char *path, struct el_key_root *root, struct el_error *err)
{
    int rc = el_key_master_read(path, root->master, err);
    if (rc == 0) {
        rc = read_keys(json, root, err);
        if (rc != 0) {
            (void)el_error_wrap(err, "master key %.200s", path);
        }
    }
    return rc == EVLOG_ERR_NOT_FOUND ? EVLOG_ERR_KEYS : rc;
}

int el_key_root_read(struct el_slice text, const char *given, struct el_key_root *root, struct el_error *err)
{
    struct el_json *json;
    int rc = el_json_parse(text.data, text.len, 4, &json, err);
    if (rc != 0) {
        return rc == EVLOG_ERR_NO_MEMORY ? rc : EVLOG_ERR_KEYS;
    }
    memset(root, 0, sizeof *root);
    rc = read_head(json, root, err);
    rc = rc == 0 ? try_master(json, given == NULL ? root->master_path : given, root, err) : rc;
    el_json_free(json);
    if (rc != 0) {
        explicit_bzero(root, sizeof *root);
    }
    return rc;
}
