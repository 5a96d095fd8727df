/* SPDX-License-Identifier: Apache-2.0
 *
 * traceparent headers as other programs send them.
 *
 *   1. what is taken has ids, and is written as version 00 with the same ids in the same places;
 *   2. what was written is taken, and means the same;
 *   3. what is taken ends after 55 bytes, or goes on with a dash in a version above 00.
 */
#include <core/assert.h>
#include <evlog/trace.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct evlog_trace_context context, again;
    char text[EVLOG_TRACEPARENT_LEN + 1];
    if (evlog_traceparent_parse(data, len, &context) != 0) {
        return 0;
    }
    evlog_traceparent_format(&context, text);
    EL_ASSERT(strlen(text) == EVLOG_TRACEPARENT_LEN);
    EL_ASSERT(memcmp(text, "00", 2) == 0);
    EL_ASSERT(memcmp(text + 2, data + 2, 51) == 0);
    EL_ASSERT(evlog_traceparent_parse(text, EVLOG_TRACEPARENT_LEN, &again) == 0);
    EL_ASSERT(memcmp(&context, &again, sizeof context) == 0);
    EL_ASSERT(len == EVLOG_TRACEPARENT_LEN || (memcmp(data, "00", 2) != 0 && data[EVLOG_TRACEPARENT_LEN] == '-'));
    return 0;
}
