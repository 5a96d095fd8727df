/* SPDX-License-Identifier: Apache-2.0
 *
 * Request and response headers; layout in wire/header.h. Hand-written, because the client id's length does not follow
 * the version. Runs on any thread.
 */
#include <wire/header.h>

#include <core/assert.h>
#include <evlog/error.h>

#define REQUEST_FIXED_LEN 10u /* key, version, correlation id, length of the client id */

int el_tagged_section_skip(struct el_reader *r)
{
    uint32_t count = el_read_uvarint(r);
    int64_t tag_last = -1;
    for (uint32_t i = 0; i < count && r->err == 0; i++) {
        uint32_t tag = el_read_uvarint(r);
        uint32_t len = el_read_uvarint(r);
        if (r->err == 0 && tag <= tag_last) {
            el_reader_fail(r, EVLOG_ERR_MALFORMED);
        }
        tag_last = tag;
        el_read_bytes(r, len);
    }
    return r->err;
}

int el_request_header_decode(struct el_reader *r, struct el_request_header *header)
{
    struct el_request_header h = {0};
    h.api_key = (int16_t)el_read_be16(r);
    h.version = (int16_t)el_read_be16(r);
    h.correlation_id = (int32_t)el_read_be32(r);
    int16_t len = (int16_t)el_read_be16(r);
    if (r->err == 0 && len < -1) {
        el_reader_fail(r, EVLOG_ERR_MALFORMED);
    }
    if (r->err == 0 && len >= 0) {
        h.client_id = el_slice_of(el_read_bytes(r, (size_t)len), (size_t)len);
    }
    h.api = el_api_find(h.api_key);
    if (r->err == 0 && h.api != NULL && el_api_accepts(h.api, h.version) &&
        el_api_request_header_version(h.api, h.version) == 2) {
        el_tagged_section_skip(r);
    }
    if (r->err == 0) {
        *header = h;
    }
    return r->err;
}

int el_request_header_encode(const struct el_request_header *header, struct el_writer *w)
{
    EL_ASSERT(header->api != NULL);
    if (header->client_id.len > EL_STRING_LEN_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    el_write_be16(w, (uint16_t)header->api->key);
    el_write_be16(w, (uint16_t)header->version);
    el_write_be32(w, (uint32_t)header->correlation_id);
    el_write_be16(w, header->client_id.data == NULL ? UINT16_MAX : (uint16_t)header->client_id.len);
    if (header->client_id.len > 0) {
        el_write_bytes(w, header->client_id.data, header->client_id.len);
    }
    if (el_api_request_header_version(header->api, header->version) == 2) {
        el_write_u8(w, 0);
    }
    return w->err;
}

size_t el_request_header_len(const struct el_request_header *header)
{
    EL_ASSERT(header->api != NULL);
    size_t tagged_len = el_api_request_header_version(header->api, header->version) == 2 ? 1 : 0;
    return REQUEST_FIXED_LEN + header->client_id.len + tagged_len;
}

int el_response_header_decode(struct el_reader *r, const struct el_api *api, int version, int32_t *correlation_id)
{
    int32_t id = (int32_t)el_read_be32(r);
    if (r->err == 0 && el_api_response_header_version(api, version) == 1) {
        el_tagged_section_skip(r);
    }
    if (r->err == 0) {
        *correlation_id = id;
    }
    return r->err;
}

int el_response_header_encode(struct el_writer *w, const struct el_api *api, int version, int32_t correlation_id)
{
    el_write_be32(w, (uint32_t)correlation_id);
    if (el_api_response_header_version(api, version) == 1) {
        el_write_u8(w, 0);
    }
    return w->err;
}

size_t el_response_header_len(const struct el_api *api, int version)
{
    return el_api_response_header_version(api, version) == 1 ? 5 : 4;
}
