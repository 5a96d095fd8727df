/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a restore that was interrupted. Checksums are made right first, so that what is behind them is reached;
 * with a first byte that is not the magic's, they are as they are. What is taken has an entry of a checkpoint for each
 * log, once, and ends within the file.
 */
#include "../../client/store/restore/new_dir_state.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/hash.h>
#include <evlog/error.h>
#include <format/checkpoint_layout.h>

#define PURPOSE "a"
#define HEAD_LEN 24u
#define RECORD_HEAD_LEN 56u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void make_right(uint8_t *p, size_t len)
{
    size_t head_len = len < HEAD_LEN ? 0 : HEAD_LEN + (size_t)el_get_le32(p + 12);
    if (head_len == 0 || len < head_len + 8) {
        return;
    }
    el_put_le64(p + head_len, el_xxh3(p, head_len));
    for (size_t pos = head_len + 8; len - pos >= RECORD_HEAD_LEN + 8;) {
        size_t whole = RECORD_HEAD_LEN + (size_t)el_get_le32(p + pos);
        if (len - pos < whole + 8) {
            return;
        }
        el_put_le64(p + pos + whole, el_xxh3(p + pos, whole));
        pos += whole + 8;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct new_dir *dir = el_calloc(1, sizeof *dir);
    uint8_t *copy = el_memdup(data, len);
    EL_ASSERT(dir != NULL);
    EL_ASSERT(copy != NULL || len == 0);
    dir->path = el_strdup("there");
    dir->fd = dir->restoring_fd = -1;
    (void)pthread_mutex_init(&dir->lock, NULL);
    el_map_init(&dir->whole, NULL);
    if (len > 0 && data[0] == 'E') {
        make_right(copy, len);
    }
    int code = new_restoring_take(dir, copy, len, PURPOSE, NULL);
    EL_ASSERT(code == 0 || code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_EXISTS || code == EVLOG_ERR_FORMAT);
    if (code == 0) {
        EL_ASSERT(dir->restoring_len <= len);
        EL_ASSERT(dir->counts.logs == dir->whole.count);
        for (size_t i = 0; i < dir->whole.count; i++) {
            const struct new_whole *whole = dir->whole.entries[i].value;
            EL_ASSERT(whole->entry.len >= EL_CHECKPOINT_ENTRY_LEN);
            EL_ASSERT(memcmp(whole->entry.data, whole->key, sizeof whole->key) == 0);
        }
    }
    el_free(copy);
    new_dir_close(dir);
    return 0;
}
