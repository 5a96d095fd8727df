/* SPDX-License-Identifier: Apache-2.0
 *
 * To which trace a request belongs, for lines of the log.
 */
#ifndef EL_API_TRACE_ID_H
#define EL_API_TRACE_ID_H

#include <api/api.h>

#define API_TRACE_SCRATCH_LEN (256u << 10) /* of decompressed records that are looked at */

/* net_config.trace_id: the trace of the first event that a Produce or StreamAppend carries, by its header traceparent.
 * Reads the request's body again, in memory of the shard that is given back at once: for who writes a line, not for
 * each request. A compressed batch of more than API_TRACE_SCRATCH_LEN is not looked into.
 *
 * arg      struct api
 * text     lower-case hex and a NUL, on success
 * returns  false: it carries none that can be read
 */
bool api_trace_id(void *arg, const struct request *request, char text[NET_TRACE_ID_LEN + 1]);

#endif
