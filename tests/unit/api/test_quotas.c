/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: quotas are set and told as Kafka's are, and requests are held to them. Method: the handlers over fakes, with a
 * clock of the test.
 */
#include "fake.h"

#include <api/throttle.h>
#include <wire/msg_alter_client_quotas.h>
#include <wire/msg_describe_acls.h>
#include <wire/msg_describe_client_quotas.h>
#include <wire/msg_describe_user_scram_credentials.h>
#include <wire/msg_fetch.h>
#include <wire/msg_produce.h>

static struct fake f;
static struct quota_budget budget;

static void begin(void)
{
    fake_begin(&f);
    quota_budget_init(&budget);
    f.api.budget = &budget;
    f.cfg.quota_window_s = 1;
    snprintf(f.principal, sizeof f.principal, "User:alice");
}

typedef struct el_msg_alter_client_quotas_entity entity;
typedef struct el_msg_alter_client_quotas_op op;

static entity part(const char *type, const char *name)
{
    return (entity){el_slice_str(type), name == NULL ? (struct el_slice){0} : el_slice_str(name)};
}

/* One entry with one limit. returns Kafka's code */
static int16_t alter(entity *entities, uint32_t count, const char *key, double value, bool remove)
{
    struct el_msg_alter_client_quotas_request ask;
    struct el_msg_alter_client_quotas_response said;
    op limit = {el_slice_str(key), value, remove};
    struct el_msg_alter_client_quotas_entry entry = {entities, count, &limit, 1};
    el_schema_init(&el_schema_alter_client_quotas_request, &ask);
    ask.entries = &entry;
    ask.entry_count = 1;
    struct fake_request *r = fake_send(&f, EL_API_AlterClientQuotas, 1, &ask);
    fake_response(r, &said);
    assert_int_equal(said.entry_count, 1);
    assert_int_equal(said.entries[0].entity_count, count);
    assert_true((said.entries[0].error_code != 0) == (said.entries[0].error_message.data != NULL));
    int16_t code = said.entries[0].error_code;
    fake_free(r);
    return code;
}

static void set(const char *type, const char *name, const char *key, double value)
{
    entity one = part(type, name);
    assert_int_equal(alter(&one, 1, key, value, value <= 0), 0);
}

TEST(quotas, are_set_by_name_and_as_the_default_and_removed)
{
    begin();
    set("user", "alice", "producer_byte_rate", 1000);
    set("user", NULL, "consumer_byte_rate", 2000);
    set("ip", "10.0.0.1", "connection_creation_rate", 3);
    entity pair[] = {part("client-id", "app"), part("user", "alice")};
    assert_int_equal(alter(pair, 2, "request_percentage", 12.5, false), 0);
    assert_int_equal(quota_count(&f.auth.quotas), 4);
    set("user", "alice", "producer_byte_rate", 0);
    set("user", "nobody", "producer_byte_rate", 0); /* none there is no error, as in Kafka */
    assert_int_equal(quota_count(&f.auth.quotas), 3);
    fake_end(&f);
}

TEST(quotas, that_cannot_be_are_refused_one_by_one)
{
    begin();
    entity user = part("user", "a"), ip = part("ip", "10.0.0.1"), odd = part("group", "a");
    entity twice[] = {part("user", "a"), part("user", "b")}, mixed[] = {part("user", "a"), part("ip", "10.0.0.1")};
    assert_int_equal(alter(&user, 1, "no_such_rate", 1, false), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter(&user, 1, "producer_byte_rate", -1, false), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter(&user, 1, "producer_byte_rate", 0, false), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter(&user, 1, "connection_creation_rate", 1, false), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter(&ip, 1, "producer_byte_rate", 1, false), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter(&odd, 1, "producer_byte_rate", 1, false), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter(&odd, 0, "producer_byte_rate", 1, false), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter(twice, 2, "producer_byte_rate", 1, false), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter(mixed, 2, "producer_byte_rate", 1, false), EL_KAFKA_INVALID_REQUEST);
    f.access_error = EVLOG_ERR_STORAGE;
    assert_int_not_equal(alter(&user, 1, "producer_byte_rate", 1, false), 0);
    assert_int_equal(quota_count(&f.auth.quotas), 0);
    fake_end(&f);
}

TEST(quotas, a_bad_entry_stops_no_good_one_and_a_trial_changes_nothing)
{
    struct el_msg_alter_client_quotas_request ask;
    struct el_msg_alter_client_quotas_response said;
    entity users[] = {part("user", "a"), part("user", "b"), part("user", "b")};
    op good[] = {{el_slice_str("producer_byte_rate"), 1, false}, {el_slice_str("consumer_byte_rate"), 2, false}};
    op bad[] = {{el_slice_str("producer_byte_rate"), 1, false}, {el_slice_str("producer_byte_rate"), 2, false}};
    struct el_msg_alter_client_quotas_entry entries[] = {
        {&users[0], 1, bad, 2}, {&users[1], 1, good, 2}, {&users[2], 1, good, 1}};
    begin();
    el_schema_init(&el_schema_alter_client_quotas_request, &ask);
    ask.entries = entries;
    ask.entry_count = 3;
    for (int trial = 1; trial >= 0; trial--) {
        ask.validate_only = trial == 1;
        struct fake_request *r = fake_send(&f, EL_API_AlterClientQuotas, trial, &ask);
        fake_response(r, &said);
        assert_int_equal(said.entries[0].error_code, EL_KAFKA_INVALID_REQUEST);
        assert_int_equal(said.entries[1].error_code, 0);
        assert_int_equal(said.entries[2].error_code, EL_KAFKA_INVALID_REQUEST);
        fake_free(r);
        assert_int_equal(quota_limit_count(&f.auth.quotas), trial == 1 ? 0 : 2);
    }
    fake_end(&f);
}

/* returns how many entries fit; -1: an error */
static int32_t described(const char *type, int8_t match_type, const char *match, bool strict)
{
    struct el_msg_describe_client_quotas_request ask;
    struct el_msg_describe_client_quotas_response said;
    struct el_msg_describe_client_quotas_component component = {
        el_slice_str(type == NULL ? "" : type), match_type, match == NULL ? (struct el_slice){0} : el_slice_str(match)};
    el_schema_init(&el_schema_describe_client_quotas_request, &ask);
    ask.components = &component;
    ask.component_count = type != NULL;
    ask.strict = strict;
    struct fake_request *r = fake_send(&f, EL_API_DescribeClientQuotas, 1, &ask);
    fake_response(r, &said);
    int32_t count = said.error_code != 0 ? -1 : (int32_t)said.entry_count;
    for (uint32_t i = 0; i < said.entry_count; i++) {
        assert_true(said.entries[i].entity_count > 0);
        assert_true(said.entries[i].value_count > 0);
    }
    fake_free(r);
    return count;
}

/* While they are read there are some, or none yet: an answer would say that the others are not set. */
TEST(quotas, are_told_when_all_are_read_and_not_before)
{
    static const struct {
        enum el_api_key key;
        int16_t version;
        const struct el_schema *schema;
    } looks[] = {{EL_API_DescribeClientQuotas, 1, &el_schema_describe_client_quotas_request},
                 {EL_API_DescribeAcls, 1, &el_schema_describe_acls_request},
                 {EL_API_DescribeUserScramCredentials, 0, &el_schema_describe_user_scram_credentials_request}};
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        uint8_t ask[256] = {0};
        begin();
        assert_true(looks[i].schema->size <= sizeof ask);
        el_schema_init(looks[i].schema, ask);
        f.access_unknown = true;
        struct fake_request *waits = fake_send(&f, looks[i].key, looks[i].version, ask);
        assert_int_equal(waits->outcome, FAKE_OPEN);
        f.access_unknown = false;
        api_access_known(&f.api);
        assert_int_equal(waits->outcome, FAKE_REPLIED);
        fake_free(waits);
        f.access_unknown = f.access_failed = true;
        struct fake_request *never = fake_send(&f, looks[i].key, looks[i].version, ask);
        assert_int_equal(never->outcome, FAKE_REFUSED);
        fake_free(never);
        fake_end(&f);
    }
}

TEST(quotas, are_described_by_filters)
{
    begin();
    assert_int_equal(described(NULL, 0, NULL, false), 0);
    set("user", "alice", "producer_byte_rate", 1000);
    set("user", NULL, "producer_byte_rate", 1000);
    set("client-id", "app", "consumer_byte_rate", 1000);
    set("ip", NULL, "connection_creation_rate", 10);
    entity pair[] = {part("client-id", "app"), part("user", "alice")};
    assert_int_equal(alter(pair, 2, "request_percentage", 50, false), 0);
    assert_int_equal(described(NULL, 0, NULL, false), 5);
    assert_int_equal(described("user", 0, "alice", false), 2);
    assert_int_equal(described("user", 0, "alice", true), 1);
    assert_int_equal(described("user", 1, NULL, false), 1);
    assert_int_equal(described("user", 2, NULL, false), 3);
    assert_int_equal(described("client-id", 2, NULL, true), 1);
    assert_int_equal(described("ip", 2, NULL, true), 1);
    assert_int_equal(described("user", 0, "bob", false), 0);
    assert_int_equal(described("group", 0, "a", false), -1);
    assert_int_equal(described("user", 3, NULL, false), -1);
    assert_int_equal(described("user", 0, NULL, false), -1);
    fake_end(&f);
}

/* --- what requests are held to ------------------------------------------------------------------------------------ */

static struct fake_request *produce(const char *client_id, size_t frame_len)
{
    struct el_msg_produce_request ask;
    el_schema_init(&el_schema_produce_request, &ask);
    ask.acks = 1;
    ask.timeout_ms = 1000;
    struct fake_request *r = fake_request(&f, EL_API_Produce, 9, &ask);
    r->request.client_id = el_slice_str(client_id);
    r->request.frame_len = frame_len;
    fake_dispatch(&f, r);
    return r;
}

static uint32_t throttled(struct fake_request *r)
{
    uint32_t throttle_ms = r->request.throttle_ms;
    fake_free(r);
    return throttle_ms;
}

TEST(quotas, hold_producers_by_user_and_client_id)
{
    begin();
    assert_int_equal(throttled(produce("app", 5000000)), 0); /* there is none */
    set("client-id", NULL, "producer_byte_rate", 1000);
    assert_int_equal(throttled(produce("app", 1000)), 0);
    assert_int_equal(throttled(produce("app", 500)), 500);
    assert_int_equal(throttled(produce("other", 1000)), 0); /* a budget of its own */
    fake_advance_ms(&f, 500);
    assert_int_equal(throttled(produce("app", 250)), 250);
    set("user", "alice", "producer_byte_rate", 100000); /* now that of the user counts */
    assert_int_equal(throttled(produce("app", 100000)), 0);
    assert_int_equal(throttled(produce("other", 1000)), 10);
    assert_int_equal(fake_metric(&f, METRIC_THROTTLED_PRODUCE), 3);
    assert_int_equal(fake_metric(&f, METRIC_THROTTLED_PRODUCE_BYTES), 1750);
    snprintf(f.principal, sizeof f.principal, "User:bob");
    assert_int_equal(throttled(produce("bob's", 1000)), 0);
    fake_end(&f);
}

static struct fake_request *fetch(void)
{
    struct el_msg_fetch_request ask;
    el_schema_init(&el_schema_fetch_request, &ask);
    ask.max_bytes = 50 << 20;
    struct fake_request *r = fake_request(&f, EL_API_Fetch, 11, &ask);
    r->request.client_id = el_slice_str("app");
    fake_dispatch(&f, r);
    return r;
}

TEST(quotas, hold_consumers_after_the_answer_and_ask_for_no_more_than_a_burst)
{
    begin();
    struct fake_request *r = fetch();
    assert_false(r->request.metered);
    fake_free(r);
    set("user", "alice", "consumer_byte_rate", 1000);
    r = fetch();
    assert_true(r->request.metered);
    assert_int_equal(api_throttle_len_max(&f.api, &r->request, 50 << 20), 1000);
    assert_int_equal(api_throttle_len_max(&f.api, &r->request, 10), 10);
    r->request.throttle_ms = 0;
    api_throttle_meter(&f.api, &r->request, 3000);
    assert_int_equal(throttled(r), 2000);
    r = fetch(); /* in debt: empty, at once */
    assert_int_equal(r->outcome, FAKE_REPLIED);
    assert_int_equal(r->request.throttle_ms, 2000);
    fake_free(r);
    fake_advance_ms(&f, 2000);
    assert_int_equal(throttled(fetch()), 0);
    assert_int_equal(fake_metric(&f, METRIC_THROTTLED_CONSUME_BYTES), 3000);
    fake_end(&f);
}

TEST(quotas, refuse_addresses_that_connect_too_often)
{
    begin();
    struct el_slice here = el_slice_str("10.0.0.1"), there = el_slice_str("10.0.0.2");
    for (int i = 0; i < 100; i++) {
        assert_true(api_throttle_admit(&f.api, here));
    }
    set("ip", NULL, "connection_creation_rate", 4);
    for (int i = 0; i < 4; i++) {
        assert_true(api_throttle_admit(&f.api, here));
    }
    assert_false(api_throttle_admit(&f.api, here));
    assert_true(api_throttle_admit(&f.api, there));
    fake_advance_ms(&f, 250);
    assert_true(api_throttle_admit(&f.api, here));
    assert_false(api_throttle_admit(&f.api, here));
    fake_end(&f);
}
