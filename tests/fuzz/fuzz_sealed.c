/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed data and files of key stores as anybody may write them. The first byte says what the rest is.
 *
 *   data      1. opening gives data, or a code with a text, and never a part
 *             2. what was opened holds nothing sealed any more
 *             3. where nothing is sealed or erased the data comes back as it is
 *             4. without a key store the answer is the same, or that it is sealed
 *   box       what is read is written and read as the same
 *   key file  the same
 *   path      what is taken is a JSON pointer
 */
#include "../../client/key_dir_state.h"
#include "../../client/seal_format.h"

#include <core/assert.h>
#include <core/json.h>
#include <evlog/error.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Keys that are nothing but their ids: an input can hit one, and its first byte says whether it is erased. */
static int find(struct evlog_key_store *store, const char *id, struct evlog_data_key *key,
                struct evlog_key_record *record, struct evlog_failure *failure)
{
    (void)store;
    (void)failure;
    memset(key, 0, sizeof *key);
    memcpy(key->id, id, sizeof key->id);
    *record = (struct evlog_key_record){.state = id[0] == 'B' ? EVLOG_KEY_DESTROYED : EVLOG_KEY_LIVE, .changed_ms = 7};
    return id[0] == 'B' ? EVLOG_ERR_ERASED : id[0] == 'C' ? EVLOG_ERR_NOT_FOUND : 0;
}

static void open_it(struct evlog_bytes data)
{
    static const struct evlog_key_store_calls calls = {.size = sizeof calls, .find = find};
    struct evlog_key_store store = {&calls};
    struct evlog_bytes key = {"k", 1}, id = {"i", 1};
    struct evlog_opened opened = EVLOG_OPENED_INIT, without = EVLOG_OPENED_INIT;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    bool sealed = evlog_is_sealed(data);
    int rc = evlog_open(&store, key, id, data, &opened, &failure);
    int rc_without = evlog_open(NULL, key, id, data, &without, &failure);
    EL_ASSERT(rc == 0 || failure.text[0] != '\0');
    EL_ASSERT(rc == 0 || rc == EVLOG_ERR_MALFORMED || rc == EVLOG_ERR_CORRUPT || rc == EVLOG_ERR_KEYS ||
              rc == EVLOG_ERR_LIMIT);
    EL_ASSERT(rc_without == rc || rc_without == EVLOG_ERR_SEALED);
    if (rc == 0) {
        EL_ASSERT(!evlog_is_sealed(opened.data));
        EL_ASSERT(opened.erased_count <= opened.field_count);
        EL_ASSERT(sealed || opened.erased_count == opened.field_count);
        EL_ASSERT(opened.field_count > 0 || opened.data.data == data.data);
        EL_ASSERT(!sealed || opened.field_count > 0);
    } else {
        EL_ASSERT(opened.owned == NULL);
    }
    evlog_opened_free(&opened);
    evlog_opened_free(&without);
}

static void read_box(struct el_slice raw)
{
    struct el_buffer room = {0}, room_again = {0}, out = {0};
    struct el_seal_box box, again;
    struct el_error err = {0};
    if (el_seal_read_field(raw, &room, &box, &err) == 0) {
        el_seal_write_field(&out, &box);
        EL_ASSERT(el_seal_read_field(el_buffer_slice(&out), &room_again, &again, &err) == 0);
        EL_ASSERT(el_uuid_eq(&box.key_id, &again.key_id));
        EL_ASSERT(el_slice_eq(box.sealed, again.sealed));
        EL_ASSERT(memcmp(box.nonce, again.nonce, sizeof box.nonce) == 0);
    }
    el_buffer_free(&room);
    el_buffer_free(&room_again);
    el_buffer_free(&out);
}

static void read_key(struct el_slice text)
{
    static struct el_key_file file, again;
    struct el_buffer out = {0};
    struct el_error err = {0};
    int rc = el_key_text_read(text, &file, &err);
    EL_ASSERT(rc == 0 || rc == EVLOG_ERR_KEYS);
    if (rc == 0) {
        el_key_text_write(&out, &file);
        EL_ASSERT(out.err == 0);
        EL_ASSERT(el_key_text_read(el_buffer_slice(&out), &again, &err) == 0);
        EL_ASSERT(memcmp(&file.record, &again.record, sizeof file.record) == 0);
        EL_ASSERT(file.wrap.len == again.wrap.len);
    }
    el_buffer_free(&out);
}

static void read_path(struct el_slice text)
{
    struct el_buffer out = {0};
    struct el_error err = {0};
    char path[2048];
    size_t len = EL_MIN(text.len, sizeof path - 1);
    memcpy(path, text.data, len);
    path[len] = '\0';
    if (el_seal_pointer(&out, path, &err) == 0) {
        EL_ASSERT(out.len == 0 || out.data[0] == '/');
        EL_ASSERT(out.len <= 2 * EVLOG_SEAL_PATH_MAX + 1);
    } else {
        EL_ASSERT(err.text[0] != '\0');
    }
    el_buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    struct el_slice rest = el_slice_of(data + 1, len - 1);
    switch (data[0]) {
    case 'b':
        read_box(rest);
        break;
    case 'k':
        read_key(rest);
        break;
    case 'p':
        read_path(rest);
        break;
    default:
        open_it((struct evlog_bytes){rest.data, rest.len});
        break;
    }
    return 0;
}
