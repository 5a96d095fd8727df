/* SPDX-License-Identifier: Apache-2.0
 *
 * Positions: any word is refused, or is the one word of what it stands for.
 */
#include <core/assert.h>
#include <evlog/error.h>
#include <wire/position.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct el_position position;
    char text[EL_POSITION_TEXT_LEN + 1];
    int rc = el_position_parse(el_slice_of(data, len), &position);
    if (rc != 0) {
        EL_ASSERT(rc == EVLOG_ERR_MALFORMED || rc == EVLOG_ERR_FORMAT);
        return 0;
    }
    el_position_format(text, &position);
    EL_ASSERT(len == EL_POSITION_TEXT_LEN);
    EL_ASSERT(memcmp(text, data, len) == 0);
    return 0;
}
