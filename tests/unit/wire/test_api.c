/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: requests are found by key and name, and versions outside the accepted ones are refused before they are read.
 * Method: the whole table, and its neighbours.
 */
#include "test.h"

#include <evlog/error.h>
#include <wire/api.h>
#include <wire/error_code.h>
#include <wire/msg_produce.h>

TEST(api, is_found_by_key_and_name)
{
    int key_last = -1;
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *api = el_api_at(i);
        assert_true(api->key > key_last);
        key_last = api->key;
        assert_ptr_equal(el_api_find(api->key), api);
        assert_ptr_equal(el_api_find_name(api->name), api);
        assert_true(api->list_min <= api->accept_min);
        assert_true(api->accept_min <= api->list_max);
    }
    assert_null(el_api_find(-1));
    assert_null(el_api_find(4));
    assert_null(el_api_find(0x4023));
    assert_null(el_api_find_name("produce"));
}

TEST(api, produce_is_listed_lower_than_accepted)
{
    const struct el_api *api = el_api_find(EL_API_Produce);
    assert_int_equal(api->list_min, 0);
    assert_false(el_api_accepts(api, 2));
    assert_true(el_api_accepts(api, 3));
    assert_true(el_api_accepts(api, 13));
    assert_false(el_api_accepts(api, 14));
}

TEST(api, other_versions_are_neither_read_nor_written)
{
    const struct el_api *api = el_api_find(EL_API_Produce);
    struct el_msg_produce_request request;
    struct el_arena arena;
    uint8_t room[64] = {0};
    el_arena_init(&arena, NULL, 0);
    el_schema_init(api->schema[EL_SIDE_REQUEST], &request);
    static const int versions[] = {-1, 0, 2, 14, 31, 32, 32767};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        struct el_reader r;
        struct el_writer w;
        el_reader_init(&r, room, sizeof room);
        el_writer_init(&w, room, sizeof room);
        assert_int_equal(el_api_decode(api, EL_SIDE_REQUEST, versions[i], &r, &arena, &request), EVLOG_ERR_UNSUPPORTED);
        assert_int_equal(el_api_encode(api, EL_SIDE_REQUEST, versions[i], &request, &w, NULL), EVLOG_ERR_UNSUPPORTED);
        assert_int_equal(el_reader_left(&r), sizeof room);
    }
}

TEST(error_code, names_and_retries)
{
    assert_string_equal(el_kafka_error_name(EL_KAFKA_UNKNOWN_SERVER_ERROR), "UNKNOWN_SERVER_ERROR");
    assert_string_equal(el_kafka_error_name(0), "NONE");
    assert_string_equal(el_kafka_error_name(100), "UNKNOWN_TOPIC_ID");
    assert_string_equal(el_kafka_error_name(133), "SHARE_SESSION_LIMIT_REACHED");
    assert_string_equal(el_kafka_error_name(134), "UNKNOWN_ERROR_CODE");
    assert_string_equal(el_kafka_error_name(-2), "UNKNOWN_ERROR_CODE");
    assert_true(el_kafka_error_retriable(EL_KAFKA_NOT_LEADER_OR_FOLLOWER));
    assert_false(el_kafka_error_retriable(EL_KAFKA_NONE));
    assert_false(el_kafka_error_retriable(EL_KAFKA_MESSAGE_TOO_LARGE));
    assert_false(el_kafka_error_retriable(9999));
}

TEST(error_code, every_code_of_evlog_has_a_name_on_the_wire)
{
#define EVLOG_ERROR(name, number, class_, kafka_code, text)                                                            \
    assert_string_not_equal(el_kafka_error_name(evlog_error_kafka(number)), "UNKNOWN_ERROR_CODE");
#include <evlog/error.def>
#undef EVLOG_ERROR
}
