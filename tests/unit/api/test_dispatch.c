/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what does not decode never reaches a handler, and every row of api.def has one that answers. Method: every API
 * in every version is sent a default request whole, cut at every length, and with a byte too many.
 */
#include "fake.h"

#include <stdlib.h>

static struct fake f;

/* The encoded default request of a row; heap. */
static uint8_t *encode_default(const struct el_api *row, int version, size_t *len)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    void *message = el_schema_new(row->schema[EL_SIDE_REQUEST], &arena, 1);
    struct el_schema_size size;
    el_api_measure(row, EL_SIDE_REQUEST, version, message, SIZE_MAX, &size);
    uint8_t *body = malloc(size.len + 1);
    struct el_writer writer;
    el_writer_init(&writer, body, size.len);
    assert_int_equal(el_api_encode(row, EL_SIDE_REQUEST, version, message, &writer, NULL), 0);
    body[size.len] = 0;
    *len = size.len;
    el_arena_reset(&arena);
    return body;
}

TEST(dispatch, refuses_a_body_cut_anywhere)
{
    fake_begin(&f);
    int64_t refused = 0;
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *row = el_api_at(i);
        for (int version = row->accept_min; version <= row->list_max; version++) {
            size_t len;
            uint8_t *body = encode_default(row, version, &len);
            for (size_t cut = 0; cut < len; cut++) {
                struct fake_request *r = fake_request_bytes(&f, row->key, version, body, cut);
                fake_dispatch(&f, r);
                assert_int_equal(r->outcome, FAKE_REFUSED);
                assert_int_equal(f.refusals, ++refused);
                fake_free(r);
            }
            free(body);
        }
    }
    assert_int_equal(f.replies, 0);
    fake_end(&f);
}

TEST(dispatch, refuses_a_byte_too_many)
{
    fake_begin(&f);
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *row = el_api_at(i);
        size_t len;
        uint8_t *body = encode_default(row, row->list_max, &len);
        struct fake_request *r = fake_request_bytes(&f, row->key, row->list_max, body, len + 1);
        fake_dispatch(&f, r);
        /* librdkafka 2.16 sends such ones. */
        bool taken = row->key == EL_API_Metadata || row->key == EL_API_AlterUserScramCredentials;
        assert_int_equal(r->outcome, taken ? FAKE_REPLIED : FAKE_REFUSED);
        fake_free(r);
        free(body);
    }
    assert_int_equal(f.refusals, EL_API_COUNT - 2);
    fake_end(&f);
}

TEST(dispatch, refuses_unknown_keys_and_versions)
{
    fake_begin(&f);
    static const int16_t unknown[] = {-1, 4, 9999, INT16_MAX, INT16_MIN};
    int64_t refused = 0;
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        struct fake_request *r = fake_request_bytes(&f, unknown[i], 0, "", 0);
        fake_dispatch(&f, r);
        assert_int_equal(r->outcome, FAKE_REFUSED);
        assert_int_equal(f.refusals, ++refused);
        fake_free(r);
    }
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *row = el_api_at(i);
        if (row->key == EL_API_ApiVersions) {
            continue;
        }
        int versions[] = {row->accept_min - 1, row->list_max + 1, INT16_MAX, INT16_MIN};
        for (size_t v = 0; v < 4; v++) {
            struct fake_request *r = fake_request_bytes(&f, row->key, versions[v], "\0\0\0\0\0\0\0\0", 8);
            fake_dispatch(&f, r);
            assert_int_equal(r->outcome, FAKE_REFUSED);
            assert_int_equal(f.refusals, ++refused);
            fake_free(r);
        }
    }
    fake_end(&f);
}

TEST(dispatch, every_listed_api_answers_in_every_version)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 2);
    uint32_t count = 0;
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *row = el_api_at(i);
        for (int version = row->accept_min; version <= row->list_max; version++) {
            size_t len;
            uint8_t *body = encode_default(row, version, &len);
            struct fake_request *r = fake_request_bytes(&f, row->key, version, body, len);
            fake_dispatch(&f, r);
            /* A default Produce has acks 0, and so no answer. */
            assert_int_equal(r->outcome, row->key == EL_API_Produce ? FAKE_SILENT : FAKE_REPLIED);
            fake_free(r);
            free(body);
            count++;
        }
    }
    assert_true(count > EL_API_COUNT);
    assert_int_equal(f.refusals, 0);
    fake_end(&f);
}

TEST(errors, every_code_has_one_that_clients_know)
{
#define EVLOG_ERROR(name, number, class_, kafka_code, text)                                                            \
    assert_int_equal(api_error(number, number == EVLOG_ERR_UNKNOWN_TOPIC_ID), kafka_code);                             \
    assert_string_not_equal(el_kafka_error_name(kafka_code), "UNKNOWN_ERROR_CODE");
#include <evlog/error.def>
#undef EVLOG_ERROR
    assert_int_equal(api_error(0, false), EL_KAFKA_NONE);
    assert_int_equal(api_error(0, true), EL_KAFKA_NONE);
    assert_int_equal(api_error(EVLOG_ERR_UNKNOWN_TOPIC, true), EL_KAFKA_UNKNOWN_TOPIC_ID);
    assert_int_equal(api_error(EVLOG_ERR_UNKNOWN_TOPIC, false), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(api_error(EVLOG_ERR_UNKNOWN_TOPIC_ID, false), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(api_error(-12345, false), EL_KAFKA_UNKNOWN_SERVER_ERROR);
    assert_null(api_error_message(0).data);
}

TEST(errors, every_refusal_is_counted_once)
{
    fake_begin(&f);
    int64_t count = 0;
#define EVLOG_ERROR(name, number, class_, kafka_code, text)                                                            \
    api_count_refusal(&f.api, EVLOG_ERR_##name);                                                                       \
    count++;
#include <evlog/error.def>
#undef EVLOG_ERROR
    int64_t sum = 0;
    for (int id = METRIC_REFUSED_FRAME; id <= METRIC_REFUSED_OTHER; id++) {
        sum += fake_metric(&f, (enum metric_id)id);
    }
    assert_int_equal(sum, count);
    assert_int_equal(fake_metric(&f, METRIC_REFUSED_CORRUPT), 1);
    assert_int_equal(fake_metric(&f, METRIC_REFUSED_UNKNOWN_TOPIC), 2);
    fake_end(&f);
}

static bool name_valid(const char *name)
{
    return api_name_valid(el_slice_str(name));
}

TEST(names, follow_kafkas_rule)
{
    assert_false(name_valid(""));
    assert_false(name_valid("."));
    assert_false(name_valid(".."));
    assert_false(name_valid("a/b"));
    assert_false(name_valid("a b"));
    assert_false(name_valid("\xc3\xa4"));
    assert_false(api_name_valid(el_slice_of("a\0b", 3)));
    char name[EL_TOPIC_NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    assert_true(api_name_valid(el_slice_of(name, EL_TOPIC_NAME_MAX)));
    assert_false(api_name_valid(el_slice_of(name, EL_TOPIC_NAME_MAX + 1)));
    assert_true(name_valid("..."));
    assert_true(name_valid("Az-09_.x"));
}

TEST(names, of_evlog_are_reserved)
{
    assert_true(api_name_reserved(el_slice_str("__evlog_meta")));
    assert_true(api_name_reserved(el_slice_str("__evlog")));
    assert_false(api_name_reserved(el_slice_str("__evlo")));
    assert_false(api_name_reserved(el_slice_str("x__evlog")));
    assert_false(api_name_reserved(el_slice_str("")));
}
