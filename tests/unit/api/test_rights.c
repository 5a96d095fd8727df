/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: no request does anything without its right, and none needs more than its right. Method: every API in every
 * version is sent with one resource of each kind, by a caller with no right, with exactly the rights that a table here
 * lists, with all of them but one, and with every single other right there is. The answer is searched for codes that
 * say denied, wherever its schema has codes.
 */
#include "fake.h"
#include "fake_lease_groups.h"
#include "fake_leases.h"
#include "filled.h"

#include <stdlib.h>
#include <wire/msg_describe_groups.h>
#include <wire/msg_ext_cut.h>
#include <wire/msg_list_groups.h>
#include <wire/msg_metadata.h>

#define NEEDS_MAX 3
#define TESTER "User:tester"

static struct fake f;
#define auth f.auth

/* What one API needs; a right is one operation on one kind of resource. */
struct right {
    int operation, resource;
};
struct needs {
    int key;
    struct right rights[NEEDS_MAX]; /* all of them; operation 0: no more */
    struct right instead;           /* does as well as the first one; operation 0: nothing does */
};

#define T(op)                                                                                                          \
    {                                                                                                                  \
        EL_ACL_OP_##op, EL_ACL_RESOURCE_TOPIC                                                                          \
    }
#define G(op)                                                                                                          \
    {                                                                                                                  \
        EL_ACL_OP_##op, EL_ACL_RESOURCE_GROUP                                                                          \
    }
#define C(op)                                                                                                          \
    {                                                                                                                  \
        EL_ACL_OP_##op, EL_ACL_RESOURCE_CLUSTER                                                                        \
    }

static const struct needs table[] = {
    {EL_API_Produce, {T(WRITE)}, {0}},
    {EL_API_Fetch, {T(READ)}, {0}},
    {EL_API_ListOffsets, {T(DESCRIBE)}, {0}},
    {EL_API_Metadata, {T(DESCRIBE)}, {0}},
    {EL_API_OffsetCommit, {G(READ), T(READ)}, {0}},
    {EL_API_OffsetFetch, {G(DESCRIBE), T(DESCRIBE)}, {0}},
    {EL_API_FindCoordinator, {G(DESCRIBE)}, {0}},
    {EL_API_JoinGroup, {G(READ)}, {0}},
    {EL_API_Heartbeat, {G(READ)}, {0}},
    {EL_API_LeaveGroup, {G(READ)}, {0}},
    {EL_API_SyncGroup, {G(READ)}, {0}},
    {EL_API_DescribeGroups, {G(DESCRIBE)}, {0}},
    {EL_API_CreateTopics, {T(CREATE)}, C(CREATE)},
    {EL_API_DeleteTopics, {T(DELETE)}, {0}},
    {EL_API_DeleteRecords, {T(DELETE)}, {0}},
    {EL_API_InitProducerId, {C(IDEMPOTENT_WRITE)}, T(WRITE)},
    {EL_API_OffsetForLeaderEpoch, {T(DESCRIBE)}, {0}},
    {EL_API_DescribeConfigs, {T(DESCRIBE_CONFIGS)}, {0}},
    {EL_API_AlterConfigs, {T(ALTER_CONFIGS)}, {0}},
    {EL_API_AlterReplicaLogDirs, {C(ALTER)}, {0}},
    {EL_API_DescribeLogDirs, {C(DESCRIBE)}, {0}},
    {EL_API_CreatePartitions, {T(ALTER)}, {0}},
    {EL_API_DeleteGroups, {G(DELETE)}, {0}},
    {EL_API_ElectLeaders, {C(ALTER)}, {0}},
    {EL_API_IncrementalAlterConfigs, {T(ALTER_CONFIGS)}, {0}},
    {EL_API_AlterPartitionReassignments, {C(ALTER)}, {0}},
    {EL_API_ListPartitionReassignments, {C(DESCRIBE)}, {0}},
    {EL_API_OffsetDelete, {G(DELETE), T(READ)}, {0}},
    {EL_API_DescribeQuorum, {C(DESCRIBE)}, {0}},
    {EL_API_UpdateFeatures, {C(ALTER)}, {0}},
    {EL_API_ListConfigResources, {C(DESCRIBE_CONFIGS)}, {0}},
    {EL_API_DescribeTopicPartitions, {T(DESCRIBE)}, {0}},
    {EL_API_ShareGroupHeartbeat, {G(READ), T(DESCRIBE)}, {0}},
    {EL_API_ShareGroupDescribe, {G(DESCRIBE)}, {0}},
    {EL_API_ShareFetch, {G(READ), T(READ)}, {0}},
    {EL_API_ShareAcknowledge, {G(READ), T(READ)}, {0}},
    {EL_API_DescribeShareGroupOffsets, {G(DESCRIBE), T(DESCRIBE)}, {0}},
    {EL_API_AlterShareGroupOffsets, {G(READ), T(READ)}, {0}},
    {EL_API_DeleteShareGroupOffsets, {G(DELETE), T(READ)}, {0}},
    {EL_API_LogFetch, {T(READ)}, {0}},
    {EL_API_Cut, {T(DESCRIBE)}, {0}},
    {EL_API_StreamAppend, {T(WRITE)}, {0}},
    {EL_API_StreamRead, {T(READ)}, {0}},
    {EL_API_StreamList, {T(READ)}, {0}},
    {EL_API_StreamDelete, {T(DELETE)}, {0}},
    {EL_API_TypeRead, {T(READ)}, {0}},
    {EL_API_FilterFetch, {T(READ)}, {0}},
    {EL_API_LeaseOutcome, {G(READ), T(READ)}, {0}},
    {EL_API_GroupWhy, {G(DESCRIBE), T(DESCRIBE)}, {0}},
    {EL_API_ReleaseKey, {G(READ), T(READ)}, {0}},
    {EL_API_GroupProgress, {G(DESCRIBE), T(DESCRIBE)}, {0}},
    {EL_API_RedriveStart, {G(READ), T(READ)}, {0}},
    {EL_API_RedriveTasks, {G(READ)}, {0}},
    {EL_API_LetterStates, {G(DESCRIBE), T(DESCRIBE)}, {0}},
    {EL_API_DescribeAcls, {C(DESCRIBE)}, {0}},
    {EL_API_CreateAcls, {C(ALTER)}, {0}},
    {EL_API_DeleteAcls, {C(ALTER)}, {0}},
    {EL_API_DescribeUserScramCredentials, {C(DESCRIBE)}, {0}},
    {EL_API_AlterUserScramCredentials, {C(ALTER)}, {0}},
    {EL_API_DescribeClientQuotas, {C(DESCRIBE_CONFIGS)}, {0}},
    {EL_API_AlterClientQuotas, {C(ALTER_CONFIGS)}, {0}},
    {EL_API_ArchiveStatus, {C(DESCRIBE)}, {0}},
    {EL_API_ArchiveNow, {C(ALTER)}, {0}},
    {EL_API_Redact, {C(ALTER)}, {0}},
};

/* These leave out what the caller may not see, or need no right; tests of their own are below. */
static const int others[] = {EL_API_ApiVersions, EL_API_DescribeCluster, EL_API_ListGroups, EL_API_SaslHandshake,
                             EL_API_SaslAuthenticate};

static const struct needs *needs_of(int key)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].key == key) {
            return &table[i];
        }
    }
    return NULL;
}

/* --- rights ------------------------------------------------------------------------------------------------------- */

static const char *resource_name(int resource)
{
    return resource == EL_ACL_RESOURCE_TOPIC ? "events" : resource == EL_ACL_RESOURCE_GROUP ? "g" : EL_ACL_CLUSTER_NAME;
}

static void grant(struct right right, bool given)
{
    struct auth_rule rule = {.resource = right.resource,
                             .pattern = EL_ACL_PATTERN_LITERAL,
                             .operation = right.operation,
                             .permission = EL_ACL_PERMISSION_ALLOW,
                             .name = el_slice_str(resource_name(right.resource)),
                             .principal = el_slice_str(TESTER),
                             .host = el_slice_str("*")};
    const char *why;
    assert_int_equal(auth_rule_check(&rule, &why), 0);
    if (given) {
        assert_int_equal(auth_rule_put(&auth, &rule), 0);
    } else {
        auth_rule_remove(&auth, &rule);
    }
}

/* Is a right as good as another one? */
static bool covers(struct right have, struct right want)
{
    if (have.resource != want.resource) {
        return false;
    }
    bool describes = have.operation == EL_ACL_OP_READ || have.operation == EL_ACL_OP_WRITE ||
                     have.operation == EL_ACL_OP_DELETE || have.operation == EL_ACL_OP_ALTER;
    return have.operation == want.operation || have.operation == EL_ACL_OP_ALL ||
           (want.operation == EL_ACL_OP_DESCRIBE && describes) ||
           (want.operation == EL_ACL_OP_DESCRIBE_CONFIGS && have.operation == EL_ACL_OP_ALTER_CONFIGS);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

#define SAYS(code) (1u << ((code)-EL_KAFKA_TOPIC_AUTHORIZATION_FAILED))

/* Which codes that say denied are in an answer: of topic, group or cluster. */
static uint32_t denials(const struct el_schema *schema, const uint8_t *message)
{
    uint32_t said = 0;
    for (uint16_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        const void *at = message + field->offset;
        if (field->type == EL_TYPE_INT16 && !field->array && strstr(field->name, "error") != NULL) {
            int16_t code = *(const int16_t *)at;
            if (code >= EL_KAFKA_TOPIC_AUTHORIZATION_FAILED && code <= EL_KAFKA_CLUSTER_AUTHORIZATION_FAILED) {
                said |= SAYS(code);
            }
        } else if (field->type == EL_TYPE_STRUCT && field->array) {
            const uint8_t *elements = *(const uint8_t *const *)at;
            uint32_t count = *(const uint32_t *)(const void *)(message + field->count_offset);
            for (uint32_t k = 0; k < count; k++) {
                said |= denials(field->schema, elements + (size_t)k * field->schema->size);
            }
        } else if (field->type == EL_TYPE_STRUCT && !field->pointer) {
            said |= denials(field->schema, at);
        }
    }
    return said;
}

/* A share session of the tester's member, which outcomes are for. */
static void open_session(void)
{
    snprintf(f.principal, sizeof f.principal, "User:root");
    fake_free(filled_send(&f, el_api_find(EL_API_ShareFetch), 1));
    snprintf(f.principal, sizeof f.principal, "%s", TESTER);
}

static uint32_t ask(const struct el_api *row, int version)
{
    if (row->key == EL_API_ShareAcknowledge || row->key == EL_API_LeaseOutcome) {
        open_session();
    }
    struct fake_request *r = filled_send(&f, row, version);
    const struct el_schema *schema = row->schema[EL_SIDE_RESPONSE];
    uint32_t said = 0;
    if (r->outcome != FAKE_REPLIED) {
        fail_msg("%s version %d: outcome %d, %s", row->name, version, r->outcome, r->reason);
    }
    uint8_t *response = el_schema_new(schema, &r->reply_arena, 1);
    fake_response(r, response);
    said = denials(schema, response);
    fake_free(r);
    return said;
}

/* These have no place for the error in their first versions, and an empty answer there. */
static bool says_nothing(const struct el_api *row, int version)
{
    return (row->key == EL_API_DescribeLogDirs && version < 3) || (row->key == EL_API_ElectLeaders && version < 1);
}

static uint32_t code_of(struct right right)
{
    return right.resource == EL_ACL_RESOURCE_TOPIC   ? SAYS(EL_KAFKA_TOPIC_AUTHORIZATION_FAILED)
           : right.resource == EL_ACL_RESOURCE_GROUP ? SAYS(EL_KAFKA_GROUP_AUTHORIZATION_FAILED)
                                                     : SAYS(EL_KAFKA_CLUSTER_AUTHORIZATION_FAILED);
}

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 1);
    f.node.auto_create = false;
    auth_configure(&auth, &(struct auth_settings){.enabled = true, .super_users = "User:root"});
    f.api.denied_log_ns = f.io.now_ns; /* this second has its line */
    snprintf(f.principal, sizeof f.principal, "%s", TESTER);
    static struct lease_redrive_view view = {.id = 0};
    view.group = el_slice_str("g");
    view.topic = el_slice_str("events");
    leases_fake.redrives[0] = view;
    leases_fake.redrive_count = 1;
}

static void end(void)
{
    fake_end(&f);
}

static void begin_again(void)
{
    end();
    begin();
}

TEST(rights, every_api_is_in_the_table)
{
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        int key = el_api_at(i)->key;
        bool other = false;
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
            other = other || others[k] == key;
        }
        if ((needs_of(key) != NULL) == other) {
            fail_msg("%s is in neither list of this test, or in both", el_api_at(i)->name);
        }
    }
}

TEST(rights, without_any_every_api_says_denied_in_every_version)
{
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *row = el_api_at(i);
        const struct needs *needs = needs_of(row->key);
        for (int version = row->accept_min; needs != NULL && version <= row->list_max; version++) {
            begin();
            uint32_t said = ask(row, version);
            if (said != code_of(needs->rights[0]) && !says_nothing(row, version)) {
                fail_msg("%s version %d says %x without a right", row->name, version, said);
            }
            assert_true(fake_metric(&f, METRIC_DENIED) > 0);
            assert_int_equal(f.append_count + f.change_count + f.read_count, 0);
            end();
        }
    }
}

TEST(rights, exactly_those_in_the_table_are_enough_in_every_version)
{
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *row = el_api_at(i);
        const struct needs *needs = needs_of(row->key);
        for (int version = row->accept_min; needs != NULL && version <= row->list_max; version++) {
            begin();
            for (int n = 0; n < NEEDS_MAX && needs->rights[n].operation != 0; n++) {
                grant(needs->rights[n], true);
            }
            if (row->key == EL_API_RedriveStart) {
                grant((struct right)T(WRITE), true); /* of the topic that letters are copied to */
            }
            uint32_t said = ask(row, version);
            if (said != 0) {
                fail_msg("%s version %d says %x with its rights", row->name, version, said);
            }
            end();
        }
    }
}

TEST(rights, without_one_of_them_its_resource_is_denied)
{
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *row = el_api_at(i);
        const struct needs *needs = needs_of(row->key);
        for (int without = 0; needs != NULL && without < NEEDS_MAX && needs->rights[without].operation != 0;
             without++) {
            begin();
            for (int n = 0; n < NEEDS_MAX && needs->rights[n].operation != 0; n++) {
                if (n != without) {
                    grant(needs->rights[n], true);
                }
            }
            uint32_t said = ask(row, row->list_max);
            if (said != code_of(needs->rights[without])) {
                fail_msg("%s says %x without its right %d", row->name, said, without);
            }
            end();
        }
    }
}

static void grant_all_but(const struct needs *needs, int without)
{
    for (int n = 0; n < NEEDS_MAX && needs->rights[n].operation != 0; n++) {
        if (n != without) {
            grant(needs->rights[n], true);
        }
    }
}

TEST(rights, no_other_right_stands_in_for_one)
{
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *row = el_api_at(i);
        const struct needs *needs = needs_of(row->key);
        begin();
        for (int without = 0; needs != NULL && without < NEEDS_MAX && needs->rights[without].operation != 0;
             without++) {
            for (int resource = EL_ACL_RESOURCE_TOPIC; resource <= EL_ACL_RESOURCE_CLUSTER; resource++) {
                for (int operation = EL_ACL_OP_ALL; operation < EL_ACL_OP_COUNT; operation++) {
                    struct right right = {operation, resource};
                    if (operation != EL_ACL_OP_ALL && (el_acl_operations_of(resource) & 1u << operation) == 0) {
                        continue;
                    }
                    begin_again();
                    grant_all_but(needs, without);
                    grant(right, true);
                    bool enough = covers(right, needs->rights[without]) ||
                                  (without == 0 && needs->instead.operation != 0 && covers(right, needs->instead));
                    if (row->key == EL_API_RedriveStart) {
                        grant((struct right)T(WRITE), true);
                    }
                    uint32_t said = ask(row, row->list_max);
                    if ((said == 0) != enough) {
                        fail_msg("%s says %x with %s on %s in place of right %d", row->name, said,
                                 el_acl_operation_name(operation), el_acl_resource_name(resource), without);
                    }
                }
            }
        }
        end();
    }
}

/* Of all topics, or of none: it is written to every journal all the same. */
TEST(rights, who_may_describe_no_topic_has_no_journal_written_by_a_cut)
{
    static const struct right rights[] = {T(DESCRIBE), C(DESCRIBE), G(DESCRIBE)};
    struct el_slice none = el_slice_str("");
    for (size_t i = 0; i < 6; i++) {
        begin();
        struct el_msg_ext_cut_request ask;
        struct el_msg_ext_cut_response answer;
        el_schema_init(&el_schema_ext_cut_request, &ask);
        ask.topics = i % 2 == 0 ? NULL : &none;
        struct fake_request *r = fake_send(&f, EL_API_Cut, 0, &ask);
        fake_response(r, &answer);
        assert_int_equal(answer.error, EL_KAFKA_TOPIC_AUTHORIZATION_FAILED);
        assert_int_equal(metrics_get(f.metrics, METRIC_DENIED), 1);
        fake_free(r);
        grant(rights[i / 2], true);
        r = fake_send(&f, EL_API_Cut, 0, &ask);
        fake_response(r, &answer);
        assert_int_equal(answer.error, i / 2 < 2 ? 0 : EL_KAFKA_TOPIC_AUTHORIZATION_FAILED);
        fake_free(r);
        end();
    }
}

TEST(rights, denied_of_one_leave_the_other_resources_of_a_request_alone)
{
    begin();
    fake_add_topic(&f, "open", 1);
    f.topics[1].name[0] = 'o';
    grant((struct right)T(DESCRIBE), true);
    struct el_msg_metadata_request_topic topics[3];
    struct el_msg_metadata_request ask_all, ask_some;
    el_schema_init(&el_schema_metadata_request, &ask_all);
    ask_all.topics = NULL;
    struct fake_request *r = fake_send(&f, EL_API_Metadata, 12, &ask_all);
    struct el_msg_metadata_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.topic_count, 1); /* what the caller may not describe is not shown */
    assert_true(el_slice_eq(answer.topics[0].name, el_slice_str("events")));
    fake_free(r);
    el_schema_init(&el_schema_metadata_request, &ask_some);
    for (int i = 0; i < 3; i++) {
        el_schema_init(&el_schema_metadata_request_topic, &topics[i]);
    }
    topics[0].name = el_slice_str("open");
    topics[1].name = el_slice_str("events");
    topics[2].name = (struct el_slice){0};
    topics[2].topic_id = f.topics[1].id;
    ask_some.topics = topics;
    ask_some.topic_count = 3;
    r = fake_send(&f, EL_API_Metadata, 12, &ask_some);
    fake_response(r, &answer);
    assert_int_equal(answer.topics[0].error_code, EL_KAFKA_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(answer.topics[0].partition_count, 0);
    assert_int_equal(answer.topics[1].error_code, 0);
    assert_int_equal(answer.topics[2].error_code, EL_KAFKA_UNKNOWN_TOPIC_ID); /* an id tells no name */
    assert_null(answer.topics[2].name.data);
    fake_free(r);
    end();
}

TEST(rights, to_make_a_topic_are_asked_for_when_metadata_would)
{
    begin();
    f.node.auto_create = true;
    struct el_msg_metadata_request ask_one;
    struct el_msg_metadata_request_topic topic;
    el_schema_init(&el_schema_metadata_request, &ask_one);
    el_schema_init(&el_schema_metadata_request_topic, &topic);
    topic.name = el_slice_str("new");
    ask_one.topics = &topic;
    ask_one.topic_count = 1;
    ask_one.allow_auto_topic_creation = true;
    struct auth_rule rule = {EL_ACL_RESOURCE_TOPIC, EL_ACL_PATTERN_LITERAL, EL_ACL_OP_DESCRIBE, EL_ACL_PERMISSION_ALLOW,
                             el_slice_str("new"),   el_slice_str(TESTER),   el_slice_str("*")};
    assert_int_equal(auth_rule_put(&auth, &rule), 0);
    for (int may = 0; may < 2; may++) {
        struct fake_request *r = fake_send(&f, EL_API_Metadata, 12, &ask_one);
        struct el_msg_metadata_response answer;
        fake_response(r, &answer);
        assert_int_equal(answer.topics[0].error_code, may ? 0 : EL_KAFKA_TOPIC_AUTHORIZATION_FAILED);
        assert_int_equal(f.change_count, may);
        fake_free(r);
        rule.operation = EL_ACL_OP_CREATE;
        assert_int_equal(auth_rule_put(&auth, &rule), 0);
    }
    end();
}

/* A rule for all topics is no way around them. */
TEST(cve_2026_33217, rights_on_evlogs_own_topics_come_with_the_cluster)
{
    begin();
    fake_add_topic(&f, "__evlog_groups", 1);
    struct auth_rule rule = {EL_ACL_RESOURCE_TOPIC, EL_ACL_PATTERN_LITERAL, EL_ACL_OP_ALL,    EL_ACL_PERMISSION_ALLOW,
                             el_slice_str("*"),     el_slice_str(TESTER),   el_slice_str("*")};
    assert_int_equal(auth_rule_put(&auth, &rule), 0);
    struct fake_request *r = fake_request_bytes(&f, EL_API_Fetch, 12, "", 0);
    struct el_slice own = el_slice_str("__evlog_groups"), events = el_slice_str("events");
    assert_true(api_may(&f.api, &r->request, EL_ACL_OP_READ, EL_ACL_RESOURCE_TOPIC, events));
    assert_false(api_may(&f.api, &r->request, EL_ACL_OP_READ, EL_ACL_RESOURCE_TOPIC, own));
    grant((struct right)C(CLUSTER_ACTION), true);
    assert_true(api_may(&f.api, &r->request, EL_ACL_OP_READ, EL_ACL_RESOURCE_TOPIC, own));
    r->outcome = FAKE_REFUSED;
    fake_free(r);
    end();
}

TEST(rights, to_read_what_passwords_are_checked_with_are_nobodys)
{
    for (int enabled = 0; enabled < 2; enabled++) {
        begin();
        auth_configure(&auth, &(struct auth_settings){.enabled = enabled != 0, .super_users = TESTER});
        struct fake_request *r = fake_request_bytes(&f, EL_API_Fetch, 12, "", 0);
        struct el_slice name = el_slice_str(ACCESS_TOPIC);
        assert_false(api_may(&f.api, &r->request, EL_ACL_OP_READ, EL_ACL_RESOURCE_TOPIC, name));
        assert_true(api_may(&f.api, &r->request, EL_ACL_OP_DESCRIBE, EL_ACL_RESOURCE_TOPIC, name));
        r->outcome = FAKE_REFUSED;
        fake_free(r);
        end();
    }
}
