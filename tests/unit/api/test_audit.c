/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: whatever changes something is in the audit log before it is made, and its outcome before it is acknowledged;
 * nothing else fills the log, and no secret is in it. Method: every API in every version over a fake store, whose
 * appends to the topic are read, or fail.
 */
#include "fake.h"
#include "filled.h"

#include <audit/audit_relay.h>
#include <audit/audit_show.h>
#include <core/json.h>
#include <net/net.h>
#include <stdlib.h>
#include <wire/msg_alter_configs.h>
#include <wire/msg_alter_user_scram_credentials.h>
#include <wire/msg_create_topics.h>
#include <wire/msg_metadata.h>
#include <wire/msg_offset_commit.h>

#define RECORDS_MAX 200u

static struct fake f;
static char records[RECORDS_MAX][AUDIT_RECORD_LEN_MAX + 1];
static uint32_t record_count, others; /* appends of other topics */
static uint32_t changes_at[RECORDS_MAX], others_at[RECORDS_MAX], replies_at[RECORDS_MAX];
static uint32_t refuse_from; /* appends to the topic fail from this one on */
static uint32_t tries;
static bool goes; /* the client, when its first record is written */

static bool is_audit(const struct append_op *op)
{
    const struct topic *topic = store_topic_by_id(NULL, &op->topic_id);
    return topic != NULL && strcmp(topic->name, AUDIT_TOPIC) == 0;
}

static void take(struct append_op *op)
{
    if (!is_audit(op)) {
        others++;
        return;
    }
    f.gone = f.gone || goes;
    bool fails = tries++ >= refuse_from;
    if (fails) {
        op->base.error = EVLOG_ERR_STORAGE;
        return;
    }
    struct el_reader r;
    el_reader_init(&r, op->batch + EL_BATCH_HEADER_LEN, op->batch_len - EL_BATCH_HEADER_LEN);
    for (uint32_t i = 0; i < (uint32_t)op->info.record_count; i++) {
        struct el_record record;
        assert_int_equal(el_record_next(&r, &record), 0);
        assert_true(record_count < RECORDS_MAX);
        assert_true(record.value.len <= AUDIT_RECORD_LEN_MAX);
        assert_true(el_json_valid(record.value.data, record.value.len));
        memcpy(records[record_count], record.value.data, record.value.len);
        records[record_count][record.value.len] = 0;
        changes_at[record_count] = f.change_count;
        others_at[record_count] = others;
        replies_at[record_count] = f.replies;
        record_count++;
    }
}

static void begin(uint32_t classes, bool required)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 1);
    fake_add_topic(&f, AUDIT_TOPIC, 1);
    f.topics[1].internal = true;
    f.node.auto_create = false;
    f.on_append = take;
    record_count = others = tries = 0;
    goes = false;
    refuse_from = UINT32_MAX;
    assert_int_equal(audit_create((struct store_shard *)&f, &f.api.audit), 0);
    audit_configure(
        f.api.audit,
        &(struct audit_settings){.classes = classes, .required = required, .retention_ms = -1, .retention_bytes = -1});
    audit_start(f.api.audit);
    f.change_count = 0; /* the topic's own settings */
}

static void end(void)
{
    audit_stop(f.api.audit);
    assert_true(audit_idle(f.api.audit));
    audit_destroy(f.api.audit);
    f.api.audit = NULL;
    fake_end(&f);
}

static bool has(uint32_t index, const char *text)
{
    return index < record_count && strstr(records[index], text) != NULL;
}

static const struct api_audit_rule *rule(const struct el_api *row)
{
    return api_audit_rule_at((uint32_t)(row - el_api_at(0)));
}

static struct audit_outcome outcome_of(struct fake_request *r)
{
    struct audit_outcome outcome;
    const struct el_schema *schema = r->request.api->schema[EL_SIDE_RESPONSE];
    void *response = el_schema_new(schema, &r->reply_arena, 1);
    fake_response(r, response);
    audit_show_answer(NULL, schema, r->request.api_version, response, &outcome);
    return outcome;
}

#define EVERYTHING 0x1fu
#define CHANGES (1u << CONFIG_AUDIT_CHANGES)

/* --- every API ---------------------------------------------------------------------------------------------------- */

TEST(audit, every_change_is_recorded_before_it_is_made_and_before_it_is_acknowledged)
{
    uint32_t changing = 0;
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *row = el_api_at(i);
        bool change = rule(row)->kind == API_AUDIT_CHANGE && rule(row)->when == NULL;
        changing += change;
        for (int version = row->accept_min; change && version <= row->list_max; version++) {
            char api[64];
            begin(CHANGES, true);
            struct fake_request *r = filled_send(&f, row, version);
            snprintf(api, sizeof api, "\"api\":\"%s\",\"version\":%d,", row->name, version);
            if (record_count != 2 || !has(0, "\"phase\":\"asked\"") || !has(1, "\"phase\":\"done\"") || !has(0, api) ||
                !has(1, api) || !has(1, "\"outcome\":") || has(0, "\"outcome\":")) {
                fail_msg("%s version %d: %u records: %s", row->name, version, record_count, records[0]);
            }
            assert_int_equal(changes_at[0] + others_at[0], 0);
            assert_true(has(1, "\"principal\":\"User:ANONYMOUS\",\"address\":\"127.0.0.1\""));
            assert_int_equal(r->outcome, FAKE_REPLIED);
            fake_free(r);
            end();
        }
    }
    assert_true(changing >= 20);
}

TEST(audit, what_changes_nothing_leaves_no_record)
{
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *row = el_api_at(i);
        if (rule(row)->kind == API_AUDIT_CHANGE && rule(row)->when == NULL) {
            continue;
        }
        if (row->key == EL_API_OffsetCommit) {
            continue; /* the one of filled_send() comes from no member */
        }
        begin(CHANGES, true);
        fake_free(filled_send(&f, row, row->list_max));
        if (record_count != 0) {
            fail_msg("%s: %s", row->name, records[0]);
        }
        end();
    }
}

/* Old versions of a few answers have no place for an error. */
static bool says_nothing(const struct el_api *row, int version)
{
    return row->key == EL_API_ElectLeaders && version < 1;
}

TEST(audit, without_its_record_nothing_is_changed)
{
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *row = el_api_at(i);
        bool change = rule(row)->kind == API_AUDIT_CHANGE && rule(row)->when == NULL;
        for (int version = row->accept_min; change && version <= row->list_max; version++) {
            begin(CHANGES, true);
            refuse_from = 0;
            struct fake_request *r = filled_send(&f, row, version);
            struct audit_outcome outcome = outcome_of(r);
            if (!says_nothing(row, version) && (outcome.failed == 0 || outcome.failed != outcome.count ||
                                                (outcome.first != api_error(EVLOG_ERR_STORAGE, false) &&
                                                 outcome.first != api_group_error(EVLOG_ERR_STORAGE)))) {
                fail_msg("%s version %d: %u of %u failed, with %d", row->name, version, outcome.failed, outcome.count,
                         outcome.first);
            }
            assert_int_equal(f.change_count + others, 0);
            assert_int_equal(fake_metric(&f, METRIC_AUDIT_REFUSED), 1);
            assert_int_equal(fake_metric(&f, METRIC_DENIED), 0);
            fake_free(r);
            end();
        }
    }
}

/* --- one change --------------------------------------------------------------------------------------------------- */

static struct fake_request *create(const char *name)
{
    struct el_msg_create_topics_request ask;
    struct el_msg_create_topics_topic topic;
    el_schema_init(&el_schema_create_topics_request, &ask);
    el_schema_init(&el_schema_create_topics_topic, &topic);
    topic.name = el_slice_str(name);
    topic.num_partitions = 1;
    topic.replication_factor = 1;
    ask.topics = &topic;
    ask.topic_count = 1;
    return fake_send(&f, EL_API_CreateTopics, 7, &ask);
}

TEST(audit, not_required_it_goes_on_and_counts_what_is_missing)
{
    begin(EVERYTHING, false);
    refuse_from = 0;
    struct fake_request *r = create("orders");
    assert_int_equal(outcome_of(r).failed, 0);
    assert_int_equal(f.change_count, 1);
    assert_int_equal(fake_metric(&f, METRIC_AUDIT_DROPPED), 2);
    fake_free(r);
    refuse_from = UINT32_MAX;
    fake_advance_ms(&f, 2000);
    assert_true(has(0, "\"action\":\"audit_records_lost\""));
    assert_true(has(0, "\"count\":2"));
    end();
}

TEST(audit, a_change_whose_outcome_cannot_be_kept_is_not_acknowledged)
{
    begin(CHANGES, true);
    refuse_from = 1;
    struct fake_request *r = create("orders");
    assert_int_equal(f.change_count, 1);
    assert_int_equal(r->outcome, FAKE_REFUSED);
    assert_int_equal(record_count, 1);
    assert_int_equal(fake_metric(&f, METRIC_AUDIT_REFUSED), 1);
    fake_free(r);
    end();
}

TEST(audit, a_change_is_not_made_for_who_has_gone)
{
    begin(CHANGES, true);
    goes = true;
    struct fake_request *r = create("orders");
    assert_int_equal(f.change_count, 0);
    assert_int_equal(r->outcome, FAKE_SILENT);
    assert_int_equal(record_count, 2);
    assert_true(has(1, "\"phase\":\"done\"") && has(1, "\"outcome\":\"abandoned\""));
    fake_free(r);
    end();
}

TEST(audit, the_outcome_names_what_failed)
{
    begin(CHANGES, true);
    f.change_error = EVLOG_ERR_TOPIC_EXISTS;
    fake_free(create("orders"));
    assert_true(has(1, "\"outcome\":\"failed\",\"error\":\"TOPIC_ALREADY_EXISTS\",\"failed\":1,\"of\":1,"
                       "\"errors\":[{\"error\":\"TOPIC_ALREADY_EXISTS\",\"name\":\"orders\"}]"));
    end();
}

TEST(audit, the_topic_is_made_for_the_first_record)
{
    begin(CHANGES, true);
    f.topic_count = 1; /* it is not there */
    f.change_error = EVLOG_ERR_STORAGE;
    struct fake_request *r = create("orders");
    assert_int_equal(outcome_of(r).first, api_error(EVLOG_ERR_STORAGE, false));
    assert_int_equal(f.change_count, 1);
    assert_true(el_slice_eq(f.changes[0]->name, el_slice_str(AUDIT_TOPIC)));
    assert_true(f.changes[0]->internal);
    assert_int_equal(f.changes[0]->partition_count, 1);
    fake_free(r);
    f.topic_count = 2; /* what the kit has of it */
    end();
}

TEST(audit, metadata_is_a_change_when_it_makes_a_topic)
{
    struct el_msg_metadata_request_topic topic = {.name = el_slice_str("fresh")};
    struct el_msg_metadata_request ask;
    el_schema_init(&el_schema_metadata_request, &ask);
    ask.topics = &topic;
    ask.topic_count = 1;
    ask.allow_auto_topic_creation = true;
    begin(CHANGES, true);
    f.node.auto_create = true;
    fake_free(fake_send(&f, EL_API_Metadata, 9, &ask));
    assert_int_equal(f.change_count, 1);
    assert_true(has(0, "\"api\":\"Metadata\"") && has(1, "\"outcome\":"));
    refuse_from = 0;
    topic.name = el_slice_str("fresher");
    struct fake_request *r = fake_send(&f, EL_API_Metadata, 9, &ask);
    assert_int_equal(f.change_count, 1); /* not once more */
    assert_true(outcome_of(r).failed > 0);
    fake_free(r);
    end();
}

TEST(audit, a_commit_is_a_change_when_no_member_makes_it)
{
    struct el_msg_offset_commit_partition partition;
    struct el_msg_offset_commit_topic topic = {.name = el_slice_str("events"), .partitions = &partition};
    struct el_msg_offset_commit_request ask;
    el_schema_init(&el_schema_offset_commit_partition, &partition);
    partition.committed_offset = 7;
    partition.committed_metadata = el_slice_str("a note of theirs");
    topic.partition_count = 1;
    el_schema_init(&el_schema_offset_commit_request, &ask);
    ask.group_id = el_slice_str("g");
    ask.topics = &topic;
    ask.topic_count = 1;
    begin(CHANGES, true);
    ask.generation_id_or_member_epoch = 3;
    ask.member_id = el_slice_str("m");
    struct fake_request *r = fake_send(&f, EL_API_OffsetCommit, 8, &ask);
    fake_advance_ms(&f, 10000);
    assert_int_equal(record_count, 0);
    fake_free(r);
    ask.generation_id_or_member_epoch = -1;
    ask.member_id = (struct el_slice){.data = (const uint8_t *)""};
    r = fake_send(&f, EL_API_OffsetCommit, 8, &ask);
    fake_advance_ms(&f, 10000);
    assert_true(has(0, "\"committed_offset\":7"));
    assert_false(has(0, "a note of theirs"));
    fake_free(r);
    end();
}

/* --- what is shown ------------------------------------------------------------------------------------------------ */

TEST(audit, shows_no_secret)
{
    struct el_msg_alter_user_scram_credentials_upsertion user;
    struct el_msg_alter_user_scram_credentials_request ask;
    el_schema_init(&el_schema_alter_user_scram_credentials_request, &ask);
    el_schema_init(&el_schema_alter_user_scram_credentials_upsertion, &user);
    user.name = el_slice_str("alice");
    user.mechanism = EL_SCRAM_SHA256;
    user.iterations = 8192;
    user.salt = el_slice_str("saltsaltsaltsalt");
    user.salted_password = el_slice_str("hunter2hunter2hunter2hunter2hunt");
    ask.upsertions = &user;
    ask.upsertion_count = 1;
    begin(CHANGES, true);
    fake_free(fake_send(&f, EL_API_AlterUserScramCredentials, 0, &ask));
    assert_true(has(0, "\"alice\"") && has(0, "\"<32 bytes>\""));
    assert_false(has(0, "hunter2") || has(1, "hunter2") || has(0, "saltsalt"));
    struct el_msg_alter_configs_config config = {el_slice_str("sasl.jaas.config"), el_slice_str("hunter2")};
    struct el_msg_alter_configs_resource resource = {
        .resource_type = 2, .resource_name = el_slice_str("events"), .configs = &config, .config_count = 1};
    struct el_msg_alter_configs_request alter = {.resources = &resource, .resource_count = 1};
    fake_free(fake_send(&f, EL_API_AlterConfigs, 2, &alter));
    assert_true(has(2, "sasl.jaas.config"));
    assert_false(has(2, "hunter2") || has(3, "hunter2"));
    end();
}

TEST(audit, long_requests_are_cut_and_stay_whole_json)
{
    enum { COUNT = 100 };
    static char names[COUNT][250];
    static struct el_msg_create_topics_topic topics[COUNT];
    struct el_msg_create_topics_request ask;
    el_schema_init(&el_schema_create_topics_request, &ask);
    for (uint32_t i = 0; i < COUNT; i++) {
        memset(names[i], i % 3 == 0 ? '"' : i % 3 == 1 ? '\xff' : '\n', 249);
        el_schema_init(&el_schema_create_topics_topic, &topics[i]);
        topics[i].name = el_slice_of(names[i], 249);
    }
    ask.topics = topics;
    ask.topic_count = COUNT;
    begin(CHANGES, true);
    fake_free(fake_send(&f, EL_API_CreateTopics, 4, &ask));
    assert_int_equal(record_count, 2); /* take() has looked whether they are JSON */
    assert_true(has(0, "\"parameters_cut\":true"));
    end();
}

/* --- sums --------------------------------------------------------------------------------------------------------- */

static uint32_t count_of(const char *text)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < record_count; i++) {
        count += has(i, text);
    }
    return count;
}

static void strict(void)
{
    auth_configure(&f.auth, &(struct auth_settings){.enabled = true});
}

TEST(audit, denials_are_told_at_once_and_then_once_a_minute)
{
    begin(EVERYTHING, true);
    strict();
    for (int i = 0; i < 10; i++) {
        fake_free(create("orders"));
    }
    /* It has the right to make no topic at all: nothing but the denial. */
    assert_int_equal(record_count, 1);
    assert_true(has(0, "\"class\":\"denials\"") && has(0, "\"count\":1") && has(0, "\"resource\":\"Topic orders\"") &&
                has(0, "\"action\":\"CreateTopics\"") && has(0, "\"detail\":\"Create\""));
    assert_int_equal(f.change_count, 0);
    fake_advance_ms(&f, 61000);
    assert_int_equal(record_count, 2);
    assert_true(has(1, "\"count\":9"));
    fake_advance_ms(&f, 200000);
    assert_int_equal(record_count, 2);
    end();
}

TEST(audit, a_crowd_is_told_of_as_others)
{
    begin(EVERYTHING, true);
    strict();
    for (int i = 0; i < 500; i++) {
        snprintf(f.principal, sizeof f.principal, "User:%d", i);
        fake_free(create("orders"));
    }
    assert_int_equal(record_count, 47);
    fake_advance_ms(&f, 61000);
    assert_int_equal(record_count, 48);
    assert_true(has(47, "\"others\":true") && has(47, "\"count\":453"));
    end();
}

/* --- proofs by TLS ------------------------------------------------------------------------------------------------ */

static void shaken(const char *principal, const char *address, const char *failure)
{
    static const struct config_listener listener = {.name = "SSL"};
    struct net_handshake handshake = {.listener = &listener,
                                      .address = el_slice_str(address),
                                      .principal = principal,
                                      .certificate = {0x1f, 0xe0},
                                      .version = "TLSv1.2",
                                      .cipher = "ECDHE-ECDSA-CHACHA20-POLY1305-SHA256",
                                      .failure = failure};
    api_audit_handshake(&f.api, &handshake);
}

TEST(audit, a_proof_by_certificate_is_told_as_one_by_password)
{
    begin(EVERYTHING, true);
    for (int i = 0; i < 3; i++) {
        shaken("User:CN=app", "10.0.0.7", NULL);
    }
    assert_int_equal(record_count, 1);
    assert_true(has(0, "\"class\":\"authentication\"") && has(0, "\"outcome\":\"ok\"") &&
                has(0, "\"principal\":\"User:CN=app\"") && has(0, "\"address\":\"10.0.0.7\"") &&
                has(0, "\"listener\":\"SSL\"") && has(0, "\"action\":\"TLS\""));
    assert_true(has(0, "\"resource\":\"Certificate sha256:1fe00000") &&
                has(0, "\"detail\":\"TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305-SHA256\""));
    fake_advance_ms(&f, 61000);
    assert_int_equal(record_count, 2);
    assert_true(has(1, "\"count\":2"));
    end();
}

TEST(audit, handshakes_that_fail_are_summed_by_address_and_reason)
{
    begin(EVERYTHING, true);
    for (int i = 0; i < 1000; i++) {
        shaken(NULL, "10.0.0.7", "no_tls");
        shaken(NULL, "10.0.0.7", i % 2 == 0 ? "no_certificate" : "no_tls");
        shaken(NULL, "10.0.0.8", "no_tls");
    }
    assert_int_equal(record_count, 3);
    assert_int_equal(count_of("\"outcome\":\"failed\""), 3);
    assert_int_equal(count_of("\"address\":\"10.0.0.7\""), 2);
    assert_int_equal(count_of("\"principal\""), 0);
    fake_advance_ms(&f, 61000);
    assert_int_equal(record_count, 6);
    assert_int_equal(count_of("\"count\":1499,"), 1);
    assert_int_equal(count_of("\"count\":499,"), 1);
    assert_int_equal(count_of("\"detail\":\"no_certificate\""), 2);
    end();
}

/* A scanner with an address for each attempt: little is written, and who has proved who it is is told by name. */
TEST(audit, a_crowd_that_fails_hides_nobody_who_does_not)
{
    char address[32];
    begin(EVERYTHING, true);
    for (int i = 0; i < 5000; i++) {
        snprintf(address, sizeof address, "10.0.%d.%d", i / 250, i % 250);
        shaken(NULL, address, "no_tls");
    }
    assert_int_equal(record_count, 23);
    shaken("User:CN=app", "10.0.0.7", NULL);
    assert_int_equal(record_count, 24);
    assert_true(has(23, "\"principal\":\"User:CN=app\""));
    fake_advance_ms(&f, 61000);
    assert_int_equal(record_count, 25);
    assert_true(has(24, "\"others\":true") && has(24, "\"count\":4977"));
    end();
}

TEST(audit, what_cannot_be_stored_is_summed_until_it_can)
{
    begin(EVERYTHING, true);
    strict();
    refuse_from = 0;
    for (int i = 0; i < 5; i++) {
        fake_free(create("orders"));
    }
    fake_advance_ms(&f, 5000);
    assert_int_equal(record_count, 0);
    refuse_from = UINT32_MAX;
    fake_advance_ms(&f, 62000);
    assert_int_equal(count_of("\"class\":\"denials\""), 2);
    assert_int_equal(count_of("\"count\":1"), 1);
    assert_int_equal(count_of("\"count\":4"), 1);
    end();
}

TEST(audit, reads_and_writes_are_summed_by_topic)
{
    begin(EVERYTHING, true);
    for (int i = 0; i < 3; i++) {
        fake_free(filled_send(&f, el_api_find(EL_API_StreamRead), 0));
        fake_free(filled_send(&f, el_api_find(EL_API_ListOffsets), 1));
    }
    fake_advance_ms(&f, 61000);
    assert_int_equal(count_of("\"class\":\"access\""), 1);
    assert_int_equal(count_of("\"action\":\"read\",\"resource\":\"events\",\"outcome\":\"ok\",\"count\":3"), 1);
    end();
}

TEST(audit, faults_are_told)
{
    begin(EVERYTHING, true);
    metrics_add(f.metrics, METRIC_CLOCK_JUMPS, 2);
    fake_advance_ms(&f, 2000);
    assert_int_equal(count_of("\"action\":\"clock_jump\",\"outcome\":\"found\",\"count\":2"), 1);
    end();
}

TEST(audit, keeps_only_the_classes_that_are_wanted)
{
    begin(1u << CONFIG_AUDIT_ACCESS, true);
    fake_free(create("orders"));
    metrics_add(f.metrics, METRIC_CLOCK_JUMPS, 2);
    fake_advance_ms(&f, 62000);
    assert_int_equal(record_count, 0);
    end();
}

/* --- who reads it ------------------------------------------------------------------------------------------------- */

static void allow(const char *name, int pattern)
{
    struct auth_rule given = {.resource = EL_ACL_RESOURCE_TOPIC,
                              .pattern = pattern,
                              .operation = EL_ACL_OP_READ,
                              .permission = EL_ACL_PERMISSION_ALLOW,
                              .name = el_slice_str(name),
                              .principal = el_slice_str("User:*"),
                              .host = el_slice_str("*")};
    assert_int_equal(auth_rule_put(&f.auth, &given), 0);
}

static bool may(int operation)
{
    struct request request = {.magic = REQUEST_MAGIC};
    return api_could(&f.api, &request, operation, EL_ACL_RESOURCE_TOPIC, el_slice_str(AUDIT_TOPIC));
}

TEST(audit, is_read_by_a_rule_that_names_it)
{
    begin(EVERYTHING, true);
    strict();
    allow("*", EL_ACL_PATTERN_LITERAL);
    assert_false(may(EL_ACL_OP_READ));
    allow(AUDIT_TOPIC, EL_ACL_PATTERN_LITERAL);
    assert_true(may(EL_ACL_OP_READ));
    assert_true(may(EL_ACL_OP_DESCRIBE));
    assert_false(may(EL_ACL_OP_WRITE));
    end();
}

/* --- notes of other threads --------------------------------------------------------------------------------------- */

static int wakes;

static void count_wake(struct io *io)
{
    (void)io;
    wakes++;
}

/* The shard takes what has come. returns how many messages that was */
static uint32_t take_messages(struct io *io)
{
    uint32_t count = 0;
    for (struct el_qnode *node = el_queue_pop(&io->inbox); node != NULL; node = el_queue_pop(&io->inbox)) {
        struct io_message *message = EL_CONTAINER(node, struct io_message, node);
        message->run(message);
        count++;
    }
    return count;
}

/* Of all records with both texts. */
static uint64_t counted(const char *text, const char *other)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < record_count; i++) {
        const char *count = strstr(records[i], "\"count\":");
        if (has(i, text) && has(i, other)) {
            assert_non_null(count);
            sum += strtoull(count + 8, NULL, 10);
        }
    }
    return sum;
}

static void relay_notes(struct audit_relay *relay, int class, const char *outcome, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char name[2000], address[] = "192.0.2.7";
        memset(name, 'x', sizeof name);
        (void)snprintf(name, sizeof name, "User:u%u", i % 3);
        audit_relay_note(relay, &(struct audit_note){.class = class,
                                                     .principal = el_slice_of(name, i % 3 == 2 ? 2000 : strlen(name)),
                                                     .address = el_slice_str(address),
                                                     .listener = el_slice_str("HTTP"),
                                                     .action = el_slice_str("Basic"),
                                                     .outcome = outcome});
        memset(name, 0, sizeof name); /* it was copied */
        memset(address, 0, sizeof address);
    }
}

TEST(audit, a_crowd_of_another_thread_is_told_in_a_few_records_whose_counts_add_up)
{
    static const struct io_ops ops = {.wake = count_wake};
    static struct io io;
    struct audit_relay *relay;
    begin(EVERYTHING, false);
    io = (struct io){.ops = &ops};
    el_queue_init(&io.inbox);
    assert_int_equal(audit_relay_create(&io, f.api.audit, "HTTP", &relay), 0);
    relay_notes(relay, CONFIG_AUDIT_AUTHENTICATION, "failed", 2);
    assert_int_equal(record_count, 0); /* nothing happens on this thread */
    assert_int_equal(take_messages(&io), 2);
    assert_true(record_count >= 1 &&
                has(0, "\"principal\":\"User:u0\",\"address\":\"192.0.2.7\",\"listener\":\"HTTP\""));
    relay_notes(relay, CONFIG_AUDIT_AUTHENTICATION, "failed", 500);
    relay_notes(relay, CONFIG_AUDIT_AUTHENTICATION, "ok", 70);
    relay_notes(relay, CONFIG_AUDIT_DENIALS, "denied", 30);
    assert_int_equal(take_messages(&io), AUDIT_RELAY_NOTES);
    relay_notes(relay, CONFIG_AUDIT_DENIALS, "denied", 40); /* places are free again */
    assert_int_equal(take_messages(&io), AUDIT_RELAY_NOTES);
    assert_true(wakes > 0);
    audit_stop(f.api.audit); /* writes what is summed */
    assert_int_equal(counted("\"class\":\"authentication\"", "\"outcome\":\"failed\""), 502);
    assert_int_equal(counted("\"class\":\"authentication\"", "\"outcome\":\"ok\""), 70);
    assert_int_equal(counted("\"class\":\"denials\"", "\"outcome\":\"denied\""), 70);
    assert_int_equal(counted("\"action\":\"others\"", "failed"), 500 - AUDIT_RELAY_NOTES);
    assert_true(record_count < 20);
    audit_relay_destroy(relay);
    audit_relay_destroy(NULL);
    end();
}
