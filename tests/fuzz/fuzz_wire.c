/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: requests and responses as they come from a peer.
 *
 * Input: one byte for the side (odd: response), then what stands behind a frame's length. For a response, whose frame
 * does not name its request, api key and version (int16 each) come first. An accepted body must encode to exactly its
 * measured length, decode again, and encode to the same bytes again. (The first encoding may differ from the input,
 * which may hold unknown tags and keys or longer varints than needed.) What the audit log shows of it is JSON.
 */
#include <audit/audit_show.h>
#include <core/alloc.h>
#include <core/assert.h>
#include <core/json.h>
#include <wire/frame.h>

#define ARENA_LEN_MAX (64U << 20)
#define ERRORS_LEN_MAX 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct subject {
    const struct el_api *api;
    enum el_side side;
    int version;
    struct el_arena arena;
};

/* Encode a message whole; arena memory. */
static struct el_slice encode_whole(struct subject *s, const void *message)
{
    struct el_schema_size size;
    el_api_measure(s->api, s->side, s->version, message, SIZE_MAX, &size);
    uint8_t *room = el_arena_alloc(&s->arena, size.len);
    EL_ASSERT(room != NULL || size.len == 0);
    struct el_writer w;
    el_writer_init(&w, room, size.len);
    int err = el_api_encode(s->api, s->side, s->version, message, &w, NULL);
    EL_ASSERT(err == 0);
    EL_ASSERT(el_writer_len(&w) == size.len);
    return el_slice_of(room, size.len);
}

static void *decode_whole(struct subject *s, struct el_reader *r)
{
    void *message = el_arena_alloc(&s->arena, s->api->schema[s->side]->size);
    EL_ASSERT(message != NULL);
    return el_api_decode(s->api, s->side, s->version, r, &s->arena, message) == 0 ? message : NULL;
}

/* The audit log shows what was decoded: JSON, whatever it holds, within its bounds. */
static void show(const struct subject *s, const void *message)
{
    uint8_t room[ERRORS_LEN_MAX];
    struct el_buffer out;
    struct el_json_writer w;
    struct audit_outcome outcome;
    bool cut;
    el_buffer_fix(&out, room, s->side == EL_SIDE_REQUEST ? AUDIT_PARAMETERS_LEN_MAX : sizeof room);
    if (s->side == EL_SIDE_REQUEST) {
        audit_show_request(&out, s->api->schema[s->side], s->version, message, &cut);
    } else {
        el_json_writer_init(&w, &out);
        el_json_begin_array(&w);
        audit_show_answer(&w, s->api->schema[s->side], s->version, message, &outcome);
        el_json_end_array(&w);
        EL_ASSERT(el_json_writer_end(&w) == 0);
        EL_ASSERT(outcome.failed <= outcome.count);
    }
    EL_ASSERT(el_json_valid(out.data, out.len));
}

static void check_body(struct subject *s, struct el_reader *r)
{
    const void *message = decode_whole(s, r);
    if (message == NULL) {
        EL_ASSERT(r->err < 0);
        return;
    }
    show(s, message);
    struct el_slice first = encode_whole(s, message);
    struct el_reader again;
    el_reader_init(&again, first.data, first.len);
    message = decode_whole(s, &again);
    EL_ASSERT(message != NULL);
    struct el_slice second = encode_whole(s, message);
    EL_ASSERT(el_slice_eq(first, second));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct el_reader r;
    el_reader_init(&r, data, len);
    struct subject s = {.side = (el_read_u8(&r) & 1) != 0 ? EL_SIDE_RESPONSE : EL_SIDE_REQUEST};
    int err;
    if (s.side == EL_SIDE_REQUEST) {
        struct el_request_header header = {0};
        err = el_request_header_decode(&r, &header);
        s.api = header.api;
        s.version = header.version;
    } else {
        int32_t correlation_id;
        s.api = el_api_find((int16_t)el_read_be16(&r));
        s.version = (int16_t)el_read_be16(&r);
        err = s.api == NULL ? r.err : el_response_header_decode(&r, s.api, s.version, &correlation_id);
    }
    if (err != 0 || s.api == NULL || !el_api_accepts(s.api, s.version)) {
        return 0;
    }
    el_arena_init(&s.arena, NULL, ARENA_LEN_MAX);
    check_body(&s, &r);
    el_arena_reset(&s.arena);
    return 0;
}
