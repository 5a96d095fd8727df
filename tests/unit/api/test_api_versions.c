/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the first answer every client reads. Method: bytes of the fallback are compared with what the protocol says;
 * the list with api.def.
 */
#include "fake.h"

#include <wire/msg_api_versions.h>

static struct fake f;

static int16_t error_of(int version, const char *name, const char *software_version)
{
    struct el_msg_api_versions_request ask;
    el_schema_init(&el_schema_api_versions_request, &ask);
    ask.client_software_name = el_slice_str(name);
    ask.client_software_version = el_slice_str(software_version);
    struct fake_request *r = fake_request(&f, EL_API_ApiVersions, version, &ask);
    fake_dispatch(&f, r);
    struct el_msg_api_versions_response answer;
    fake_response(r, &answer);
    if (answer.error_code != 0) {
        assert_int_equal(answer.api_key_count, 0);
    }
    fake_free(r);
    return answer.error_code;
}

TEST(api_versions, refuses_client_names_outside_the_rule)
{
    fake_begin(&f);
    for (int version = 3; version <= 5; version++) {
        assert_int_equal(error_of(version, "", "1"), EL_KAFKA_INVALID_REQUEST);
        assert_int_equal(error_of(version, "a", ""), EL_KAFKA_INVALID_REQUEST);
        assert_int_equal(error_of(version, "-a", "1"), EL_KAFKA_INVALID_REQUEST);
        assert_int_equal(error_of(version, "a.", "1"), EL_KAFKA_INVALID_REQUEST);
        assert_int_equal(error_of(version, "a b", "1"), EL_KAFKA_INVALID_REQUEST);
        assert_int_equal(error_of(version, "a", "1_2"), EL_KAFKA_INVALID_REQUEST);
        assert_int_equal(error_of(version, "librdkafka", "v2.0.2-rc.1"), EL_KAFKA_NONE);
        assert_int_equal(error_of(version, "a", "1"), EL_KAFKA_NONE);
    }
    fake_end(&f);
}

TEST(api_versions, compares_cluster_and_node_when_both_are_given)
{
    fake_begin(&f);
    struct {
        const char *cluster;
        int32_t node;
        int16_t error;
    } cases[] = {
        {NULL, -1, 0},
        {"other", -1, 0},
        {NULL, 9, 0},
        {"other", 1, EL_KAFKA_REBOOTSTRAP_REQUIRED},
        {store_cluster_id(NULL), 2, EL_KAFKA_REBOOTSTRAP_REQUIRED},
        {store_cluster_id(NULL), 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct el_msg_api_versions_request ask;
        el_schema_init(&el_schema_api_versions_request, &ask);
        ask.client_software_name = ask.client_software_version = el_slice_str("x");
        ask.cluster_id = el_slice_str(cases[i].cluster);
        ask.node_id = cases[i].node;
        struct fake_request *r = fake_request(&f, EL_API_ApiVersions, 5, &ask);
        fake_dispatch(&f, r);
        struct el_msg_api_versions_response answer;
        fake_response(r, &answer);
        assert_int_equal(answer.error_code, cases[i].error);
        fake_free(r);
    }
    fake_end(&f);
}

TEST(api_versions, unknown_version_is_answered_in_version_0)
{
    fake_begin(&f);
    static const int versions[] = {6, 99, -1, INT16_MAX, INT16_MIN};
    static const uint8_t expected[] = {0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 5};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        /* The body of a version to come cannot be read, and need not be. */
        struct fake_request *r = fake_request_bytes(&f, EL_API_ApiVersions, versions[i], "\xff\xff\xff", 3);
        fake_dispatch(&f, r);
        assert_int_equal(r->outcome, FAKE_REPLIED);
        assert_int_equal(r->request.api_version, 0);
        assert_int_equal(r->reply_len, sizeof expected);
        assert_memory_equal(r->reply, expected, sizeof expected);
        fake_free(r);
    }
    fake_end(&f);
}

TEST(api_versions, lists_every_row_and_ends_in_an_empty_tag_section)
{
    fake_begin(&f);
    for (int version = 0; version <= 5; version++) {
        struct el_msg_api_versions_request ask;
        el_schema_init(&el_schema_api_versions_request, &ask);
        ask.client_software_name = ask.client_software_version = el_slice_str("x");
        struct fake_request *r = fake_request(&f, EL_API_ApiVersions, version, &ask);
        fake_dispatch(&f, r);
        struct el_msg_api_versions_response answer;
        fake_response(r, &answer);
        assert_int_equal(answer.error_code, 0);
        assert_int_equal(answer.api_key_count, EL_API_COUNT);
        for (uint32_t i = 0; i < EL_API_COUNT; i++) {
            const struct el_api *row = el_api_at(i);
            assert_int_equal(answer.api_keys[i].api_key, row->key);
            assert_int_equal(answer.api_keys[i].min_version, row->list_min);
            assert_int_equal(answer.api_keys[i].max_version, row->list_max);
        }
        if (version >= 3) {
            assert_int_equal(r->reply[r->reply_len - 1], 0);
            assert_int_equal(answer.finalized_features_epoch, -1);
        }
        fake_free(r);
    }
    fake_end(&f);
}
