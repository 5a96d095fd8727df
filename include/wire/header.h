/* SPDX-License-Identifier: Apache-2.0
 *
 * Request and response headers: what stands between the frame's length and the body.
 *
 *   request   api key int16 | version int16 | correlation id int32 | client id int16 length, bytes (-1 null)
 *             | tagged section, only in header version 2
 *   response  correlation id int32 | tagged section, only in header version 1
 *
 * The client id keeps its 16-bit length in every version, and the response to ApiVersions never has a tagged section,
 * because both must be readable by a peer that does not know the version. Pure functions; any thread.
 */
#ifndef EL_WIRE_HEADER_H
#define EL_WIRE_HEADER_H

#include <wire/api.h>

struct el_request_header {
    const struct el_api *api;  /* NULL for an unknown key */
    struct el_slice client_id; /* borrowed from the frame; data NULL for null */
    int32_t correlation_id;    /* any value, echoed */
    int16_t api_key;
    int16_t version;
};

/* Decode a request header; the body is next in r.
 *
 * The tagged section is read only when the key is known and the version is one that is answered. For others, which
 * the caller refuses, r stands behind the client id: ask el_api_accepts(header->api, header->version).
 *
 * returns  0 | EVLOG_ERR_TRUNCATED | EVLOG_ERR_MALFORMED
 */
int el_request_header_decode(struct el_reader *r, struct el_request_header *header);
/* Encode a request header from api, version, correlation id and client id. returns 0 | EVLOG_ERR_LIMIT */
int el_request_header_encode(const struct el_request_header *header, struct el_writer *w);
size_t el_request_header_len(const struct el_request_header *header);

/* Decode the response header of a request sent in this version; the body is next in r. */
int el_response_header_decode(struct el_reader *r, const struct el_api *api, int version, int32_t *correlation_id);
int el_response_header_encode(struct el_writer *w, const struct el_api *api, int version, int32_t correlation_id);
size_t el_response_header_len(const struct el_api *api, int version);

/* Skip a tagged section by its sizes. returns 0 | EVLOG_ERR_TRUNCATED | EVLOG_ERR_MALFORMED tags not ascending */
int el_tagged_section_skip(struct el_reader *r);

#endif
