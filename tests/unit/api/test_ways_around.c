/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: no way around the rights, nothing open because something failed, nothing that grows with the names that
 * strangers make up. Which is which: docs/security.md, Faults of others.
 */
#include "fake.h"

#include <api/throttle.h>
#include <wire/msg_create_topics.h>
#include <wire/msg_fetch.h>
#include <wire/msg_metadata.h>
#include <wire/msg_produce.h>

static struct fake f;

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 1);
    f.auth.enabled = true;
    snprintf(f.principal, sizeof f.principal, "User:mallory");
}

/* Idempotent or not, with a transactional id or without, with an answer or without: a write needs the right. */
TEST(cve_2018_17196, no_kind_of_produce_goes_past_the_rights)
{
    begin();
    for (int i = 0; i < 4; i++) {
        struct el_msg_produce_request ask;
        struct el_msg_produce_topic topic;
        struct el_msg_produce_partition part;
        el_schema_init(&el_schema_produce_request, &ask);
        el_schema_init(&el_schema_produce_topic, &topic);
        el_schema_init(&el_schema_produce_partition, &part);
        part.records = el_slice_str("no batch; nobody looks at it");
        topic.name = el_slice_str("events");
        topic.partition_data = &part;
        topic.partition_data_count = 1;
        ask.topic_data = &topic;
        ask.topic_data_count = 1;
        ask.acks = (i & 1) != 0 ? 0 : -1;
        ask.transactional_id = (i & 2) != 0 ? el_slice_str("t") : (struct el_slice){0};
        struct fake_request *r = fake_send(&f, EL_API_Produce, 9, &ask);
        if (ask.acks == 0) {
            assert_int_equal(r->outcome, FAKE_REFUSED);
        } else {
            struct el_msg_produce_response said;
            fake_response(r, &said);
            assert_int_equal(said.responses[0].partition_responses[0].error_code, EL_KAFKA_TOPIC_AUTHORIZATION_FAILED);
        }
        fake_free(r);
        assert_int_equal(f.append_count, 0);
    }
    fake_end(&f);
}

/* A consumer that says it is a replica gets no other rights, and moves nothing. */
TEST(cve_2018_1288, a_fetch_that_says_it_is_a_replicas_needs_the_same_right)
{
    begin();
    struct el_msg_fetch_request ask;
    struct el_msg_fetch_topic topic;
    struct el_msg_fetch_partition part;
    struct el_msg_fetch_response said;
    el_schema_init(&el_schema_fetch_request, &ask);
    el_schema_init(&el_schema_fetch_topic, &topic);
    el_schema_init(&el_schema_fetch_partition, &part);
    part.fetch_offset = 1000000;
    part.log_start_offset = 1000000;
    topic.topic = el_slice_str("events");
    topic.partitions = &part;
    topic.partition_count = 1;
    ask.topics = &topic;
    ask.topic_count = 1;
    ask.replica_id = 1;
    struct fake_request *r = fake_send(&f, EL_API_Fetch, 11, &ask);
    fake_response(r, &said);
    assert_int_equal(said.responses[0].partitions[0].error_code, EL_KAFKA_TOPIC_AUTHORIZATION_FAILED);
    fake_free(r);
    assert_int_equal(f.read_count, 0);
    assert_int_equal(f.append_count, 0);
    fake_end(&f);
}

/* Rules that are not known yet, or cannot be read, open nothing. */
TEST(cve_2026_110985, rules_that_cannot_be_read_allow_nothing)
{
    begin();
    struct el_msg_metadata_request ask;
    f.access_unknown = true;
    el_schema_init(&el_schema_metadata_request, &ask);
    struct fake_request *r = fake_send(&f, EL_API_Metadata, 5, &ask);
    assert_int_equal(r->outcome, FAKE_OPEN); /* waits */
    f.access_failed = true;
    api_access_known(&f.api);
    assert_int_equal(r->outcome, FAKE_REFUSED);
    fake_free(r);
    r = fake_send(&f, EL_API_Metadata, 5, &ask);
    assert_int_equal(r->outcome, FAKE_REFUSED);
    fake_free(r);
    fake_end(&f);
}

/* Nor are they told of by halves, or changed by who does not see them yet, where the authorizer asks nobody. */
TEST(users, are_not_told_of_before_they_are_known)
{
    static const int keys[] = {EL_API_DescribeUserScramCredentials, EL_API_AlterUserScramCredentials,
                               EL_API_DescribeClientQuotas, EL_API_AlterClientQuotas};
    begin();
    auth_configure(&f.auth, &(struct auth_settings){.enabled = false});
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct el_schema *schema = el_api_find(keys[i])->schema[EL_SIDE_REQUEST];
        f.access_unknown = true;
        struct el_arena arena;
        el_arena_init(&arena, NULL, 0);
        struct fake_request *r = fake_send(&f, keys[i], el_api_find(keys[i])->list_max,
                                           el_schema_new(schema, &arena, 1));
        assert_int_equal(r->outcome, FAKE_OPEN);
        f.access_unknown = false;
        api_access_known(&f.api);
        assert_int_equal(r->outcome, FAKE_REPLIED);
        fake_free(r);
        el_arena_reset(&arena);
    }
    fake_end(&f);
}

/* Names reach no path: topics have ids there. What looks like one is no name at all. */
TEST(go_2023_2066, no_name_of_a_topic_is_a_path)
{
    static const char *const names[] = {"..", ".", "../x", "a/b", "/etc/passwd", "a\\b", "..\\x", "a\nb", "%2e%2e", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_false(api_name_valid(el_slice_str(names[i])));
    }
    assert_false(api_name_valid(el_slice_of("a\0b", 3)));
    assert_true(api_name_valid(el_slice_str("..a")));
}

/* Client ids, and topics that are asked for and not there, leave nothing behind. */
TEST(atom_exhaustion, names_that_strangers_make_up_take_no_memory)
{
    static struct quota_budget budget;
    begin();
    f.auth.enabled = false;
    f.cfg.quota_window_s = 1;
    quota_budget_init(&budget);
    f.api.budget = &budget;
    struct quota_entity all = {.client_id = QUOTA_PART_DEFAULT};
    assert_int_equal(quota_put(&f.auth.quotas, &all, QUOTA_REQUEST, 100), 0);
    assert_int_equal(quota_put(&f.auth.quotas, &all, QUOTA_PRODUCE, 1000), 0);
    size_t used = 0;
    for (int i = 0; i < 20000; i++) {
        char name[32];
        struct el_msg_metadata_request ask;
        struct el_msg_metadata_request_topic topic;
        snprintf(name, sizeof name, "made-up-%d", i);
        el_schema_init(&el_schema_metadata_request, &ask);
        el_schema_init(&el_schema_metadata_request_topic, &topic);
        topic.name = el_slice_str(name);
        ask.topics = &topic;
        ask.topic_count = 1;
        ask.allow_auto_topic_creation = false;
        struct fake_request *r = fake_request(&f, EL_API_Metadata, 5, &ask);
        r->request.client_id = el_slice_str(name);
        fake_dispatch(&f, r);
        fake_free(r);
        used = i == 0 ? f.buddy.used : used;
        assert_int_equal(f.buddy.used, used);
    }
    fake_end(&f);
}
