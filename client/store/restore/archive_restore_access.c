/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and access rules of a restore: whether the keys that were given open them, and the file of keys in the new
 * directory. The log of their topic was restored as it is; here it is read once more, up to the same time.
 */
#include "archive_restore_state.h"

#include <evlog/error.h>
#include <format/access_names.h>
#include <format/batch.h>

#define READ_LEN (1u << 20)

static const struct restore_part *part_find(const struct restore *r)
{
    for (size_t i = 0; i < r->topic_count; i++) {
        const struct restore_topic *topic = &r->topics[i];
        for (size_t p = 0; topic->wanted && restore_is_access(topic) && p < r->part_count; p++) {
            if (el_uuid_eq(&r->parts[p].topic_id, &topic->id) && r->parts[p].end_offset >= 0) {
                return &r->parts[p];
            }
        }
    }
    return NULL;
}

static int note_batch(const struct el_access_keys *keys, const uint8_t *batch, size_t len,
                      struct el_access_names *names)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    struct el_access_opened opened;
    int code = el_batch_open(&iter, batch, len, NULL, 0); /* evlog does not compress them */
    while (code == 0) {
        int more = el_batch_next(&iter, &record);
        if (more <= 0) {
            return more;
        }
        struct el_slice key = record.record.key;
        bool unopened = el_access_is_sealed(key) &&
                        el_access_open(keys, key, record.record.value, &opened) == EVLOG_ERR_NOT_FOUND;
        code = unopened ? el_access_names_note(names, key, record.record.value.data != NULL, true) : 0;
    }
    return code;
}

static int note_batches(const struct el_access_keys *keys, const struct archive_batches *batches, uint64_t until_ns,
                        struct el_access_names *names, bool *more)
{
    const uint8_t *batch = batches->data;
    int code = 0;
    for (uint32_t i = 0; i < batches->count && *more && code == 0; i++) {
        const struct el_pack_batch *row = &batches->rows[i];
        *more = until_ns == 0 || row->leaf.append_time_ns <= until_ns;
        code = row->redacted || !*more ? 0 : note_batch(keys, batch, row->len, names);
        batch += row->redacted ? 0 : row->len;
    }
    return code;
}

static int note_all(struct restore *r, const struct restore_part *part, const struct el_access_keys *keys,
                    struct el_access_names *names, struct el_error *err)
{
    struct archive_batches batches = {0};
    bool more = true;
    int code = 0;
    for (int64_t offset = part->local_start; more && code == 0; offset = batches.next_offset) {
        code = restore_read(r, r->reader, part, offset, READ_LEN, &batches, err);
        if (code != 0 || batches.count == 0) {
            break;
        }
        code = note_batches(keys, &batches, part->until_ns, names, &more);
        if (code != 0) {
            code = el_error_set(err, code, "users and access rules cannot be read: %s", evlog_error_text(code));
        }
    }
    archive_batches_free(&batches);
    return code;
}

static int keys_write(struct restore *r, const struct el_access_keys *keys, struct el_error *err)
{
    char text[EL_ACCESS_KEYS_TEXT_MAX];
    size_t len = el_access_keys_text(keys, text);
    int code = new_dir_folder(r->dir, EL_ACCESS_KEYS_DIR, err);
    code = code != 0 ? code
                     : new_dir_secret(r->dir, EL_ACCESS_KEYS_DIR, EL_ACCESS_KEYS_NAME, el_slice_of(text, len), err);
    explicit_bzero(text, sizeof text);
    return code;
}

int restore_access(struct restore *r, struct el_error *err)
{
    static const struct el_access_keys none = {.count = 0};
    const struct el_access_keys *keys = r->options->access_keys == NULL ? &none : r->options->access_keys;
    const struct restore_part *part = part_find(r);
    struct el_access_names names;
    el_access_names_init(&names, NULL);
    int code = part == NULL ? 0 : note_all(r, part, keys, &names, err);
    if (code == 0) {
        r->access_unopened = names.unopened_count;
        if (names.unopened_count > 0) {
            el_access_names_missing_key(&names, r->access_key);
        }
    }
    el_access_names_destroy(&names);
    return code != 0 || keys->count == 0 || r->access_unopened > 0 ? code : keys_write(r, keys, err);
}
