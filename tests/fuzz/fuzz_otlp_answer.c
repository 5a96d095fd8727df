/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of a collector of traces: never more spans are refused than were sent, and what it says is a text that fits.
 */
#include "../../client/otlp.h"

#include <core/assert.h>
#include <core/utf8.h>

#define COUNT 512
#define MESSAGE_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char message[MESSAGE_MAX];
    uint32_t refused = el_otlp_refused(el_slice_of(data, len), COUNT, message, sizeof message);
    EL_ASSERT(refused <= COUNT);
    EL_ASSERT(strlen(message) < sizeof message);
    EL_ASSERT(el_utf8_valid(message, strlen(message)));
    return 0;
}
