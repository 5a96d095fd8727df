/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: the length check before a byte is allocated, and whole frames built in an arena. Runs on any thread.
 *
 * Building: measure the body; take one block for prefix, header and body without the records that stay in place; write;
 * the written length must be the measured one (asserted). Measuring costs half of writing, so a response is first tried
 * in a short block.
 */
#include <wire/frame.h>

#include <core/assert.h>
#include <core/limits.h>
#include <evlog/error.h>

/* A response of at most so many bytes beside its records is encoded at once; a longer one is measured first. */
#define SHORT_LEN_MAX 256u
#define SHORT_PART_MAX 5u

int el_frame_len(const uint8_t prefix[EL_FRAME_PREFIX_LEN], enum el_side side, size_t len_max, size_t *len)
{
    int32_t n = (int32_t)el_get_be32(prefix);
    uint32_t len_min = side == EL_SIDE_REQUEST ? EL_REQUEST_LEN_MIN : EL_RESPONSE_LEN_MIN;
    if (n < 0 || (uint32_t)n < len_min) {
        return EVLOG_ERR_MALFORMED;
    }
    if ((size_t)n > len_max) {
        return EVLOG_ERR_LIMIT;
    }
    *len = (size_t)n;
    return 0;
}

const char *el_frame_guess(const uint8_t prefix[EL_FRAME_PREFIX_LEN])
{
    static const char *const methods[] = {"GET ", "POST", "PUT ", "HEAD", "DELE", "OPTI"};
    if (prefix[0] == 0x16 && prefix[1] == 0x03) {
        return "a TLS hello";
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (memcmp(prefix, methods[i], EL_FRAME_PREFIX_LEN) == 0) {
            return "an HTTP request";
        }
    }
    return NULL;
}

int el_frame_build_request(struct el_arena *arena, const struct el_request_header *header, const void *body,
                           struct el_slice *frame)
{
    EL_ASSERT(header->api != NULL);
    if (!el_api_accepts(header->api, header->version)) {
        return EVLOG_ERR_UNSUPPORTED;
    }
    struct el_schema_size size;
    el_api_measure(header->api, EL_SIDE_REQUEST, header->version, body, SIZE_MAX, &size);
    size_t len = el_request_header_len(header) + size.len;
    if (len > EL_REQUEST_LEN_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    uint8_t *data = el_arena_alloc(arena, EL_FRAME_PREFIX_LEN + len);
    if (data == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_writer w;
    el_writer_init(&w, data, EL_FRAME_PREFIX_LEN + len);
    el_write_be32(&w, (uint32_t)len);
    int err = el_request_header_encode(header, &w);
    if (err == 0) {
        err = el_api_encode(header->api, EL_SIDE_REQUEST, header->version, body, &w, NULL);
    }
    if (err != 0) {
        return err;
    }
    EL_ASSERT(w.p == w.end);
    *frame = el_slice_of(data, el_writer_len(&w));
    return 0;
}

/* Parts of a response in `room` bytes, prefix included; its length is written last. returns 0 | EVLOG_ERR_LIMIT when
 * it does not fit, or what the encoder refuses */
static int build_parts(const struct el_request_header *request, const void *body, struct el_writer *w,
                       struct el_gather *gather)
{
    el_write_be32(w, 0);
    el_response_header_encode(w, request->api, request->version, request->correlation_id);
    int err = el_api_encode(request->api, EL_SIDE_RESPONSE, request->version, body, w, gather);
    if (err != 0) {
        return err;
    }
    uint64_t len = 0;
    for (uint32_t i = 0; i < gather->part_count; i++) {
        len += gather->parts[i].len;
    }
    EL_ASSERT(len > EL_FRAME_PREFIX_LEN);
    if (len - EL_FRAME_PREFIX_LEN > INT32_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    el_put_be32(w->base, (uint32_t)(len - EL_FRAME_PREFIX_LEN));
    return 0;
}

/* The common case, a short answer: no measuring first. returns false when it has to be measured */
static bool build_short(struct el_arena *arena, const struct el_request_header *request, const void *body,
                        size_t copy_len_max, struct el_slice **parts, uint32_t *part_count)
{
    struct el_slice *list = el_arena_alloc(arena, SHORT_PART_MAX * sizeof *list);
    uint8_t *data = el_arena_alloc(arena, SHORT_LEN_MAX);
    if (list == NULL || data == NULL) {
        return false;
    }
    struct el_writer w;
    struct el_gather gather;
    el_writer_init(&w, data, SHORT_LEN_MAX);
    el_gather_init(&gather, list, SHORT_PART_MAX, copy_len_max, &w);
    if (build_parts(request, body, &w, &gather) != 0) {
        return false;
    }
    *parts = list;
    *part_count = gather.part_count;
    return true;
}

int el_frame_build_response(struct el_arena *arena, const struct el_request_header *request, const void *body,
                            size_t copy_len_max, struct el_slice **parts, uint32_t *part_count)
{
    const struct el_api *api = request->api;
    EL_ASSERT(api != NULL);
    if (!el_api_accepts(api, request->version)) {
        return EVLOG_ERR_UNSUPPORTED;
    }
    if (build_short(arena, request, body, copy_len_max, parts, part_count)) {
        return 0;
    }
    struct el_schema_size size;
    el_api_measure(api, EL_SIDE_RESPONSE, request->version, body, copy_len_max, &size);
    size_t len = el_response_header_len(api, request->version) + size.len;
    if (len > INT32_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    uint32_t part_max = 2 * size.slice_count + 1;
    size_t room = EL_FRAME_PREFIX_LEN + len - size.slice_len;
    struct el_slice *list = el_arena_alloc(arena, part_max * sizeof *list);
    uint8_t *data = el_arena_alloc(arena, room);
    if (list == NULL || data == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_writer w;
    struct el_gather gather;
    el_writer_init(&w, data, room);
    el_gather_init(&gather, list, part_max, copy_len_max, &w);
    int err = build_parts(request, body, &w, &gather);
    if (err != 0) {
        return err;
    }
    EL_ASSERT(w.p == w.end);
    *parts = list;
    *part_count = gather.part_count;
    return 0;
}
