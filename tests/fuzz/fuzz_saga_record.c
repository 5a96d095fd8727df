/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of sagas as anybody may append them to NAME.sagas: what is read can be written, and what was written is read
 * as the same.
 */
#include "../../client/saga_state.h"

#include <core/assert.h>
#include <evlog/error.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool read_and_write(struct evlog_bytes text, struct el_buffer *out)
{
    struct el_saga_record record;
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    int rc = el_saga_record_read(&arena, text, &record);
    EL_ASSERT(rc == 0 || rc == EVLOG_ERR_MALFORMED);
    if (rc == 0) {
        EL_ASSERT(record.undone >= 0);
        EL_ASSERT(el_saga_record_write(out, &record) == 0);
    }
    el_arena_reset(&arena);
    return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct el_buffer first = {0}, second = {0};
    if (read_and_write((struct evlog_bytes){data, len}, &first)) {
        EL_ASSERT(read_and_write((struct evlog_bytes){first.data, first.len}, &second));
        EL_ASSERT(first.len == second.len);
        EL_ASSERT(memcmp(first.data, second.data, first.len) == 0);
    }
    el_buffer_free(&first);
    el_buffer_free(&second);
    return 0;
}
