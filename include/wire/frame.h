/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: an int32 length and that many bytes. A request frame holds a request header and a body, a response frame a
 * response header and a body. Pure functions; any thread.
 */
#ifndef EL_WIRE_FRAME_H
#define EL_WIRE_FRAME_H

#include <wire/header.h>

#define EL_FRAME_PREFIX_LEN 4u /* the length itself */
#define EL_REQUEST_LEN_MIN 8u  /* key, version, correlation id */
#define EL_RESPONSE_LEN_MIN 4u /* correlation id */

/* Check the length of a frame before anything is allocated for it.
 *
 * prefix   its first four bytes
 * side     which of the two it is to be
 * len_max  most bytes allowed behind the prefix
 * len      bytes behind the prefix
 * returns  0 | EVLOG_ERR_MALFORMED negative or shorter than a header | EVLOG_ERR_LIMIT longer than len_max
 */
int el_frame_len(const uint8_t prefix[EL_FRAME_PREFIX_LEN], enum el_side side, size_t len_max, size_t *len);

/* What a refused prefix looks like: "a TLS hello", "an HTTP request", or NULL. For the log line. */
const char *el_frame_guess(const uint8_t prefix[EL_FRAME_PREFIX_LEN]);

/* Build a whole request frame, prefix included, in arena memory.
 *
 * header   api, version, correlation id, client id
 * body     the request struct of that api
 * frame    the bytes
 * returns  0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_LIMIT longer than EL_REQUEST_LEN_MAX | EVLOG_ERR_UNSUPPORTED version,
 *          or a value it cannot carry
 */
int el_frame_build_request(struct el_arena *arena, const struct el_request_header *header, const void *body,
                           struct el_slice *frame);

/* Build a whole response frame, prefix included.
 *
 * request       its header, for api, version and correlation id
 * body          the response struct of that api
 * copy_len_max  records longer than this are left where they are and must outlive the parts; SIZE_MAX copies all
 * parts         the frame, one part behind the other; arena memory but for the records
 * part_count    at least 1
 * returns       0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_LIMIT | EVLOG_ERR_UNSUPPORTED
 */
int el_frame_build_response(struct el_arena *arena, const struct el_request_header *request, const void *body,
                            size_t copy_len_max, struct el_slice **parts, uint32_t *part_count);

#endif
