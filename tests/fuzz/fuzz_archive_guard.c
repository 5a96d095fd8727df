/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of what a broker signed last, on a disk that anybody may have written. Its hash is made right first, unless
 * the first byte is not the magic's. What is taken lies in the file, and its lengths are those of the file.
 */
#include "memory_disk.h"

#include <archive/archive_ledger_state.h>
#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <evlog/error.h>

#define HEADER_LEN 96u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void make_right(uint8_t *p, size_t len)
{
    struct el_sha256 ctx;
    el_sha256_begin(&ctx);
    el_sha256_add(&ctx, p, 56);
    el_sha256_add(&ctx, p + HEADER_LEN, len - HEADER_LEN);
    el_sha256_end(&ctx, p + 56);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct memory_disk memory;
    struct archive_guard guard;
    struct el_error err = {0};
    uint8_t *copy = el_memdup(data, len);
    EL_ASSERT(copy != NULL || len == 0);
    if (len >= HEADER_LEN && data[0] == 'E') {
        make_right(copy, len);
    }
    memory_disk_init(&memory, copy, len);
    int code = archive_guard_load(&memory.disk, &guard, &err);
    EL_ASSERT(code == 0 || code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT);
    if (code == 0) {
        const uint8_t *end = guard.memory + len;
        EL_ASSERT(guard.cluster.data == guard.memory + HEADER_LEN);
        EL_ASSERT(guard.note.data == guard.cluster.data + guard.cluster.len);
        EL_ASSERT(guard.manifest.data == guard.note.data + guard.note.len);
        EL_ASSERT(guard.manifest.data + guard.manifest.len == end);
    } else {
        EL_ASSERT(err.code == code);
        EL_ASSERT(guard.memory == NULL);
    }
    archive_guard_free(&guard);
    el_free(copy);
    return 0;
}
