/* SPDX-License-Identifier: Apache-2.0
 *
 * The traceparent of W3C Trace Context: to which trace something belongs. Source: https://www.w3.org/TR/trace-context/
 */
#ifndef EL_CORE_TRACEPARENT_H
#define EL_CORE_TRACEPARENT_H

#include <stddef.h>
#include <stdint.h>

#define EL_TRACEPARENT_NAME "traceparent" /* of the header */
#define EL_TRACEPARENT_LEN 55u            /* of version 00 */

struct el_traceparent {
    uint8_t trace_id[16]; /* not all zero */
    uint8_t span_id[8];   /* not all zero */
    uint8_t flags;        /* as they are */
};

/* Read one, as strictly as W3C says: lower case, no zero ids, not version ff, nothing behind version 00. Pure; any
 * thread.
 *
 * text     [len]
 * out      written on success
 * returns  0 | EVLOG_ERR_MALFORMED
 */
int el_traceparent_read(const void *text, size_t len, struct el_traceparent *out);

#endif
