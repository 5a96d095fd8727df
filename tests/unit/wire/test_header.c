/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: frame lengths and headers are refused when they lie, and have the version each request calls for.
 * Method: bytes by hand; every prefix of a valid header.
 */
#include "test.h"

#include <core/limits.h>
#include <evlog/error.h>
#include <wire/frame.h>

static int frame_len(uint32_t n, enum el_side side, size_t *len)
{
    uint8_t prefix[4];
    el_put_be32(prefix, n);
    return el_frame_len(prefix, side, EL_REQUEST_LEN_MAX, len);
}

TEST(frame, lengths_outside_the_limits_are_refused)
{
    size_t len = 1;
    assert_int_equal(frame_len(0xffffffff, EL_SIDE_REQUEST, &len), EVLOG_ERR_MALFORMED);
    assert_int_equal(frame_len(0x80000000, EL_SIDE_RESPONSE, &len), EVLOG_ERR_MALFORMED);
    assert_int_equal(frame_len(0, EL_SIDE_REQUEST, &len), EVLOG_ERR_MALFORMED);
    assert_int_equal(frame_len(7, EL_SIDE_REQUEST, &len), EVLOG_ERR_MALFORMED);
    assert_int_equal(frame_len(3, EL_SIDE_RESPONSE, &len), EVLOG_ERR_MALFORMED);
    assert_int_equal(frame_len(EL_REQUEST_LEN_MAX + 1, EL_SIDE_REQUEST, &len), EVLOG_ERR_LIMIT);
    assert_int_equal(frame_len(0x47455420, EL_SIDE_REQUEST, &len), EVLOG_ERR_LIMIT);
    assert_int_equal(len, 1);
    assert_int_equal(frame_len(8, EL_SIDE_REQUEST, &len), 0);
    assert_int_equal(len, 8);
    assert_int_equal(frame_len(4, EL_SIDE_RESPONSE, &len), 0);
    assert_int_equal(frame_len(EL_REQUEST_LEN_MAX, EL_SIDE_REQUEST, &len), 0);
    assert_int_equal(len, EL_REQUEST_LEN_MAX);
}

TEST(frame, strangers_are_recognised)
{
    assert_string_equal(el_frame_guess((const uint8_t *)"\x16\x03\x01\x02"), "a TLS hello");
    assert_string_equal(el_frame_guess((const uint8_t *)"GET "), "an HTTP request");
    assert_null(el_frame_guess((const uint8_t *)"\0\0\0\x10"));
}

TEST(header, versions_follow_the_request)
{
    const struct el_api *produce = el_api_find(0), *versions = el_api_find(18), *cut = el_api_find(0x4001);
    assert_int_equal(el_api_request_header_version(produce, 8), 1);
    assert_int_equal(el_api_request_header_version(produce, 9), 2);
    assert_int_equal(el_api_response_header_version(produce, 8), 0);
    assert_int_equal(el_api_response_header_version(produce, 9), 1);
    assert_int_equal(el_api_request_header_version(versions, 2), 1);
    assert_int_equal(el_api_request_header_version(versions, 3), 2);
    for (int version = 0; version <= 5; version++) {
        assert_int_equal(el_api_response_header_version(versions, version), 0);
    }
    assert_int_equal(el_api_request_header_version(cut, 0), 2);
    assert_int_equal(el_api_response_header_version(cut, 0), 1);
}

static int decode(const uint8_t *data, size_t len, struct el_request_header *header, size_t *left)
{
    struct el_reader r;
    el_reader_init(&r, data, len);
    int err = el_request_header_decode(&r, header);
    *left = el_reader_left(&r);
    return err;
}

TEST(header, every_prefix_is_refused)
{
    /* Metadata 9: one unknown tag in the header */
    static const uint8_t bytes[] = {0, 3, 0, 9, 0xff, 0xff, 0xff, 0xfe, 0, 1, 'c', 1, 5, 2, 8, 9};
    struct el_request_header header;
    size_t left;
    for (size_t len = 0; len < sizeof bytes; len++) {
        assert_int_equal(decode(bytes, len, &header, &left), EVLOG_ERR_TRUNCATED);
    }
    assert_int_equal(decode(bytes, sizeof bytes, &header, &left), 0);
    assert_int_equal(left, 0);
    assert_int_equal(header.correlation_id, -2);
    assert_string_equal(header.api->name, "Metadata");
}

TEST(header, client_id_may_be_null_but_not_negative)
{
    static const uint8_t null_id[] = {0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff};
    static const uint8_t bad_id[] = {0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xfe};
    static const uint8_t empty_id[] = {0, 3, 0, 1, 0, 0, 0, 1, 0, 0};
    struct el_request_header header;
    size_t left;
    assert_int_equal(decode(bad_id, sizeof bad_id, &header, &left), EVLOG_ERR_MALFORMED);
    assert_int_equal(decode(null_id, sizeof null_id, &header, &left), 0);
    assert_null(header.client_id.data);
    assert_int_equal(decode(empty_id, sizeof empty_id, &header, &left), 0);
    assert_non_null(header.client_id.data);
    assert_int_equal(header.client_id.len, 0);
}

TEST(header, unknown_keys_and_versions_are_read_as_far_as_the_client_id)
{
    /* whatever follows, nothing of it may be taken for tags */
    static const uint8_t unknown_key[] = {0x12, 0x34, 0, 9, 0, 0, 0, 1, 0, 1, 'c', 0xff, 0xff};
    static const uint8_t unknown_version[] = {0, 18, 0, 99, 0, 0, 0, 1, 0, 1, 'c', 0xff, 0xff};
    static const uint8_t listed_only[] = {0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 'c', 0xff, 0xff};
    struct el_request_header header;
    size_t left;
    assert_int_equal(decode(unknown_key, sizeof unknown_key, &header, &left), 0);
    assert_null(header.api);
    assert_int_equal(header.api_key, 0x1234);
    assert_int_equal(left, 2);
    assert_int_equal(decode(unknown_version, sizeof unknown_version, &header, &left), 0);
    assert_false(el_api_accepts(header.api, header.version));
    assert_int_equal(left, 2);
    assert_int_equal(decode(listed_only, sizeof listed_only, &header, &left), 0);
    assert_false(el_api_accepts(header.api, header.version));
}

TEST(header, tags_out_of_order_are_malformed)
{
    static const uint8_t bytes[] = {0, 3, 0, 9, 0, 0, 0, 1, 0, 0, 2, 5, 0, 5, 0};
    static const uint8_t response[] = {0, 0, 0, 1, 2, 5, 0, 4, 0};
    struct el_request_header header;
    size_t left;
    assert_int_equal(decode(bytes, sizeof bytes, &header, &left), EVLOG_ERR_MALFORMED);
    struct el_reader r;
    int32_t correlation_id = 5;
    el_reader_init(&r, response, sizeof response);
    assert_int_equal(el_response_header_decode(&r, el_api_find(3), 9, &correlation_id), EVLOG_ERR_MALFORMED);
    assert_int_equal(correlation_id, 5);
}

TEST(header, lengths_are_exact)
{
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *api = el_api_at(i);
        for (int version = api->accept_min; version <= api->list_max; version++) {
            struct el_request_header header = {
                .api = api, .client_id = el_slice_str("name"), .version = (int16_t)version};
            uint8_t room[64];
            struct el_writer w;
            el_writer_init(&w, room, sizeof room);
            assert_int_equal(el_request_header_encode(&header, &w), 0);
            assert_int_equal(el_writer_len(&w), el_request_header_len(&header));
            el_writer_init(&w, room, sizeof room);
            assert_int_equal(el_response_header_encode(&w, api, version, 1), 0);
            assert_int_equal(el_writer_len(&w), el_response_header_len(api, version));
        }
    }
}
