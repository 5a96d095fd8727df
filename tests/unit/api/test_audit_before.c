/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the record of a change's outcome tells what was there before: all of it as far as there is room, and nothing of
 * what is as it was. Method: changes of settings, rules and limits over a fake store, whose appends to the topic are
 * read.
 */
#include "fake.h"

#include <audit/audit_show.h>
#include <core/json.h>
#include <wire/msg_alter_client_quotas.h>
#include <wire/msg_alter_configs.h>
#include <wire/msg_delete_acls.h>
#include <wire/msg_incremental_alter_configs.h>

#define RECORDS_MAX 16u

static struct fake f;
static char records[RECORDS_MAX][AUDIT_RECORD_LEN_MAX + 1]; /* of each change two */
static uint32_t record_count;

static void take(struct append_op *op)
{
    struct el_reader r;
    struct el_record record;
    const struct topic *topic = store_topic_by_id(NULL, &op->topic_id);
    if (topic == NULL || strcmp(topic->name, AUDIT_TOPIC) != 0) {
        return;
    }
    el_reader_init(&r, op->batch + EL_BATCH_HEADER_LEN, op->batch_len - EL_BATCH_HEADER_LEN);
    assert_int_equal(op->info.record_count, 1);
    assert_int_equal(el_record_next(&r, &record), 0);
    assert_true(record_count < RECORDS_MAX);
    assert_true(record.value.len <= AUDIT_RECORD_LEN_MAX);
    assert_true(el_json_valid(record.value.data, record.value.len));
    memcpy(records[record_count], record.value.data, record.value.len);
    records[record_count++][record.value.len] = 0;
}

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 1);
    fake_add_topic(&f, AUDIT_TOPIC, 1);
    f.topics[1].internal = true;
    f.on_append = take;
    record_count = 0;
    assert_int_equal(audit_create((struct store_shard *)&f, &f.api.audit), 0);
    audit_configure(f.api.audit, &(struct audit_settings){.classes = 1u << CONFIG_AUDIT_CHANGES,
                                                          .required = true,
                                                          .retention_ms = -1,
                                                          .retention_bytes = -1});
    audit_start(f.api.audit);
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
    assert_true(index < record_count);
    return strstr(records[index], text) != NULL;
}

static void alter_events(struct el_msg_incremental_alter_configs_config *configs, uint32_t count, bool validate_only)
{
    struct el_msg_incremental_alter_configs_resource resource = {
        .resource_type = 2, .resource_name = el_slice_str("events"), .configs = configs, .config_count = count};
    struct el_msg_incremental_alter_configs_request ask = {
        .resources = &resource, .resource_count = 1, .validate_only = validate_only};
    fake_free(fake_send(&f, EL_API_IncrementalAlterConfigs, 1, &ask));
}

TEST(audit_before, tells_what_settings_were)
{
    struct el_error err;
    struct el_msg_incremental_alter_configs_config configs[] = {
        {.name = el_slice_str("retention.ms"), .config_operation = 0, .value = el_slice_str("60000")},
        {.name = el_slice_str("segment.bytes"), .config_operation = 1},
        {.name = el_slice_str("segment.ms"), .config_operation = 0, .value = el_slice_str("86400000")},
        {.name = el_slice_str("max.message.bytes"), .config_operation = 1}};
    begin();
    topic_config_set(&f.topics[0].config, el_slice_str("segment.bytes"), el_slice_str("1048576"), &err);
    topic_config_set(&f.topics[0].config, el_slice_str("segment.ms"), el_slice_str("86400000"), &err);
    f.rival_count = 1; /* and what somebody else has set meanwhile is what was there before */
    alter_events(configs, 4, false);
    assert_false(has(0, "\"before\""));
    assert_true(has(1, "\"before\":[{\"resource_type\":2,\"resource_name\":\"events\",\"name\":\"retention.ms\","
                       "\"value\":null},{\"resource_type\":2,\"resource_name\":\"events\",\"name\":\"segment.bytes\","
                       "\"value\":\"1048576\"}]"));
    alter_events(configs, 4, true);
    assert_false(has(3, "\"before\"")); /* nothing has changed */
    configs[0].value = el_slice_str("never");
    alter_events(configs, 4, false);
    assert_true(has(5, "\"failed\""));
    assert_false(has(5, "\"before\""));
    struct el_msg_alter_configs_config config = {el_slice_str("retention.ms"), el_slice_str("60000")};
    struct el_msg_alter_configs_resource resource = {
        .resource_type = 2, .resource_name = el_slice_str("events"), .configs = &config, .config_count = 1};
    struct el_msg_alter_configs_request whole = {.resources = &resource, .resource_count = 1};
    fake_free(fake_send(&f, EL_API_AlterConfigs, 2, &whole));
    assert_true(has(7, "\"name\":\"segment.ms\",\"value\":\"86400000\"")); /* which it does not name */
    end();
}

TEST(audit_before, shows_no_secret_of_before)
{
    struct el_buffer out;
    struct el_json_writer w;
    char text[64];
    el_buffer_fix(&out, text, sizeof text);
    el_json_writer_init(&w, &out);
    audit_show_setting(&w, el_slice_str("ssl.key.password"), el_slice_str("hunter2"));
    assert_int_equal(el_json_writer_end(&w), 0);
    assert_true(el_slice_eq(el_buffer_slice(&out), el_slice_str("\"<7 bytes>\"")));
}

static struct auth_rule rule_of(const char *topic, const char *principal)
{
    return (struct auth_rule){.resource = EL_ACL_RESOURCE_TOPIC,
                              .pattern = EL_ACL_PATTERN_LITERAL,
                              .operation = EL_ACL_OP_READ,
                              .permission = EL_ACL_PERMISSION_ALLOW,
                              .name = el_slice_str(topic),
                              .principal = el_slice_str(principal),
                              .host = el_slice_str("*")};
}

/* Of any rule. */
static void delete_rules(void)
{
    struct el_msg_delete_acls_filter filter = {
        .resource_type_filter = EL_ACL_RESOURCE_ANY,
        .pattern_type_filter = EL_ACL_PATTERN_ANY,
        .operation = EL_ACL_OP_ANY,
        .permission_type = EL_ACL_PERMISSION_ANY,
    };
    struct el_msg_delete_acls_request ask = {.filters = &filter, .filter_count = 1};
    fake_free(fake_send(&f, EL_API_DeleteAcls, 3, &ask));
}

TEST(audit_before, tells_which_rules_a_filter_has_removed)
{
    enum { MANY = 100 };
    char principal[AUTH_PRINCIPAL_LEN_MAX + 1] = "User:";
    struct auth_rule alice = rule_of("events", "User:alice");
    begin();
    snprintf(f.principal, sizeof f.principal, "User:root");
    auth_configure(&f.auth, &(struct auth_settings){.enabled = true, .super_users = "User:root"});
    assert_int_equal(auth_rule_put(&f.auth, &alice), 0);
    f.access_error = EVLOG_ERR_STORAGE;
    delete_rules();
    assert_false(has(1, "\"before\""));
    f.access_error = 0;
    delete_rules();
    assert_true(has(3, "\"before\":[{\"resource_type\":\"Topic\",\"resource_name\":\"events\",\"pattern_type\":"
                       "\"Literal\",\"principal\":\"User:alice\",\"host\":\"*\",\"operation\":\"Read\","
                       "\"permission_type\":\"Allow\"}]"));
    assert_false(has(3, "\"before_cut\""));
    delete_rules();
    assert_false(has(5, "\"before\"")); /* none was left */
    for (uint32_t i = 0; i < MANY; i++) {
        memset(principal + 5, '"', sizeof principal - 6);
        snprintf(principal + 5, 4, "%03u", i);
        principal[8] = '"';
        struct auth_rule rule = rule_of("events", principal);
        assert_int_equal(auth_rule_put(&f.auth, &rule), 0);
    }
    delete_rules();
    assert_true(has(7, "\"before\"") && has(7, "\"before_cut\":true"));
    assert_int_equal(f.auth.rule_count, 0);
    end();
}

TEST(audit_before, tells_what_limits_were)
{
    struct el_msg_alter_client_quotas_entity who = {el_slice_str("user"), el_slice_str("alice")};
    struct el_msg_alter_client_quotas_op ops[] = {{.key = el_slice_str("producer_byte_rate"), .value = 1000},
                                                  {.key = el_slice_str("consumer_byte_rate"), .value = 2000}};
    struct el_msg_alter_client_quotas_entry entry = {.entity = &who, .entity_count = 1, .ops = ops, .op_count = 1};
    struct el_msg_alter_client_quotas_request ask = {.entries = &entry, .entry_count = 1};
    begin();
    fake_free(fake_send(&f, EL_API_AlterClientQuotas, 1, &ask));
    assert_true(has(1, "\"before\":[{\"entity\":[{\"entity_type\":\"user\",\"entity_name\":\"alice\"}],"
                       "\"key\":\"producer_byte_rate\",\"value\":null}]"));
    ops[0].remove = true;
    entry.op_count = 2;
    ask.validate_only = true;
    fake_free(fake_send(&f, EL_API_AlterClientQuotas, 1, &ask));
    assert_false(has(3, "\"before\""));
    ask.validate_only = false;
    fake_free(fake_send(&f, EL_API_AlterClientQuotas, 1, &ask));
    assert_true(has(5, "\"key\":\"producer_byte_rate\",\"value\":1000") &&
                has(5, "\"key\":\"consumer_byte_rate\",\"value\":null"));
    end();
}
