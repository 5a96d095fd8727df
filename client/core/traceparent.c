/* SPDX-License-Identifier: Apache-2.0
 *
 * The traceparent of W3C Trace Context. Pure functions; any thread.
 *
 *     00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *     version, trace id, id of the parent span, flags
 *
 * A version above 00 may have more behind the flags, after another dash; what is known of it is read as 00.
 */
#include <core/traceparent.h>

#include <evlog/error.h>
#include <stdbool.h>

#define VERSION_BAD 0xff

/* One digit of lower-case hex; -1: none. */
static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Read count bytes of hex; false when a digit is none. */
static bool read_hex(const uint8_t *text, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
    uint8_t any = 0;
    for (size_t i = 0; i < count; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

int el_traceparent_read(const void *text, size_t len, struct el_traceparent *out)
{
    const uint8_t *p = text;
    uint8_t version;
    struct el_traceparent read;
    if (p == NULL || len < EL_TRACEPARENT_LEN || !read_hex(p, &version, 1) || version == VERSION_BAD) {
        return EVLOG_ERR_MALFORMED;
    }
    if (len > EL_TRACEPARENT_LEN && (version == 0 || p[EL_TRACEPARENT_LEN] != '-')) {
        return EVLOG_ERR_MALFORMED;
    }
    bool ok = p[2] == '-' && read_hex(p + 3, read.trace_id, sizeof read.trace_id) && p[35] == '-' &&
              read_hex(p + 36, read.span_id, sizeof read.span_id) && p[52] == '-' && read_hex(p + 53, &read.flags, 1);
    if (!ok || is_zero(read.trace_id, sizeof read.trace_id) || is_zero(read.span_id, sizeof read.span_id)) {
        return EVLOG_ERR_MALFORMED;
    }
    *out = read;
    return 0;
}
