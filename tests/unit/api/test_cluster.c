/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: requests about a cluster's replicas, directories, quorum and features get the answers of a cluster of one node.
 * Method: each handler over a catalogue of a few topics.
 */
#include "fake.h"

#include <wire/msg_alter_partition_reassignments.h>
#include <wire/msg_alter_replica_log_dirs.h>
#include <wire/msg_describe_log_dirs.h>
#include <wire/msg_describe_quorum.h>
#include <wire/msg_elect_leaders.h>
#include <wire/msg_list_partition_reassignments.h>
#include <wire/msg_update_features.h>

static struct fake f;

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 2);
    fake_add_topic(&f, "__evlog_meta", 1);
}

/* Send a request and read its answer; to be freed. */
static struct fake_request *ask_for(int key, int version, const void *ask, void *answer)
{
    struct fake_request *r = fake_request(&f, key, version, ask);
    fake_dispatch(&f, r);
    fake_response(r, answer);
    return r;
}

/* --- directories -------------------------------------------------------------------------------------------------- */

TEST(describe_log_dirs, leaves_out_what_does_not_exist)
{
    begin();
    int32_t events[] = {1, 7, -1}, none[] = {0};
    struct el_msg_describe_log_dirs_request_topic topics[] = {{el_slice_str("nothing"), none, 1},
                                                              {el_slice_str("events"), events, 3}};
    struct el_msg_describe_log_dirs_request ask = {.topics = topics, .topic_count = 2};
    for (int version = 1; version <= 5; version++) {
        struct el_msg_describe_log_dirs_response answer;
        struct fake_request *r = ask_for(EL_API_DescribeLogDirs, version, &ask, &answer);
        assert_int_equal(answer.result_count, 1);
        assert_true(el_slice_eq(answer.results[0].log_dir, el_slice_str("/data")));
        assert_int_equal(answer.results[0].topic_count, 1);
        assert_int_equal(answer.results[0].topics[0].partition_count, 1);
        assert_int_equal(answer.results[0].topics[0].partitions[0].partition_index, 1);
        assert_int_equal(answer.results[0].topics[0].partitions[0].partition_size, 1001);
        assert_int_equal(answer.results[0].total_bytes, -1);
        fake_free(r);
    }
    fake_end(&f);
}

TEST(describe_log_dirs, all_are_those_of_clients_and_a_topic_may_go_meanwhile)
{
    begin();
    f.disk_total = 4000;
    struct el_msg_describe_log_dirs_request ask = {.topics = NULL};
    struct el_msg_describe_log_dirs_response answer;
    struct fake_request *r = ask_for(EL_API_DescribeLogDirs, 4, &ask, &answer);
    assert_int_equal(answer.results[0].topic_count, 1);
    assert_int_equal(answer.results[0].topics[0].partition_count, 2);
    assert_int_equal(answer.results[0].total_bytes, 4000);
    assert_int_equal(answer.results[0].usable_bytes, 1000);
    fake_free(r);
    f.defer = true;
    r = fake_request(&f, EL_API_DescribeLogDirs, 4, &ask);
    fake_dispatch(&f, r);
    f.ops[0]->error = EVLOG_ERR_UNKNOWN_TOPIC;
    f.ops[1]->error = EVLOG_ERR_UNKNOWN_TOPIC;
    fake_run_op(&f);
    fake_run_op(&f);
    fake_response(r, &answer);
    assert_int_equal(answer.results[0].topic_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(alter_replica_log_dirs, knows_one_directory)
{
    begin();
    int32_t partitions[] = {0, 2};
    struct el_msg_alter_replica_log_dirs_topic topic = {el_slice_str("events"), partitions, 2};
    struct el_msg_alter_replica_log_dirs_dir dirs[] = {{el_slice_str("/other"), &topic, 1},
                                                       {el_slice_str("/data"), &topic, 1}};
    struct el_msg_alter_replica_log_dirs_request ask = {.dirs = dirs, .dir_count = 2};
    struct el_msg_alter_replica_log_dirs_response answer;
    for (int version = 1; version <= 2; version++) {
        struct fake_request *r = ask_for(EL_API_AlterReplicaLogDirs, version, &ask, &answer);
        assert_int_equal(answer.results[0].partitions[0].error_code, EL_KAFKA_LOG_DIR_NOT_FOUND);
        assert_int_equal(answer.results[1].partitions[0].error_code, 0);
        assert_int_equal(answer.results[1].partitions[1].error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        fake_free(r);
    }
    fake_end(&f);
}

/* --- replicas ----------------------------------------------------------------------------------------------------- */

TEST(elect_leaders, is_never_needed)
{
    begin();
    int32_t partitions[] = {0, 2};
    struct el_msg_elect_leaders_topic topics[] = {{el_slice_str("events"), partitions, 2},
                                                  {el_slice_str("nothing"), partitions, 1}};
    struct el_msg_elect_leaders_request ask;
    struct el_msg_elect_leaders_response answer;
    el_schema_init(&el_schema_elect_leaders_request, &ask);
    ask.topic_partitions = topics;
    ask.topic_partition_count = 2;
    for (int version = 0; version <= 2; version++) {
        struct fake_request *r = ask_for(EL_API_ElectLeaders, version, &ask, &answer);
        struct el_msg_elect_leaders_partition_result *events = answer.replica_election_results[0].partition_result;
        assert_int_equal(answer.error_code, 0);
        assert_int_equal(events[0].error_code, EL_KAFKA_ELECTION_NOT_NEEDED);
        assert_int_equal(events[1].error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(answer.replica_election_results[1].partition_result[0].error_code,
                         EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        fake_free(r);
    }
    ask.election_type = 2;
    struct fake_request *r = ask_for(EL_API_ElectLeaders, 1, &ask, &answer);
    assert_int_equal(answer.error_code, EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(answer.replica_election_result_count, 0);
    fake_free(r);
    ask.election_type = 1;
    ask.topic_partitions = NULL;
    ask.topic_partition_count = 0;
    r = ask_for(EL_API_ElectLeaders, 2, &ask, &answer);
    assert_int_equal(answer.error_code, 0);
    assert_int_equal(answer.replica_election_result_count, 0);
    fake_free(r);
    fake_end(&f);
}

static int16_t reassign(const char *topic, int32_t partition, int32_t *replicas, uint32_t count)
{
    struct el_msg_alter_partition_reassignments_partition target = {partition, replicas, count};
    struct el_msg_alter_partition_reassignments_topic topics[] = {{el_slice_str(topic), &target, 1}};
    struct el_msg_alter_partition_reassignments_request ask;
    struct el_msg_alter_partition_reassignments_response answer;
    el_schema_init(&el_schema_alter_partition_reassignments_request, &ask);
    ask.topics = topics;
    ask.topic_count = 1;
    struct fake_request *r = ask_for(EL_API_AlterPartitionReassignments, 1, &ask, &answer);
    assert_int_equal(answer.error_code, 0);
    assert_true(answer.allow_replication_factor_change);
    const struct el_msg_alter_partition_reassignments_partition_result *result = &answer.responses[0].partitions[0];
    int16_t error = result->error_code;
    assert_int_equal(result->partition_index, partition);
    assert_true((error != 0) == (result->error_message.data != NULL));
    fake_free(r);
    return error;
}

TEST(reassignments, a_partition_may_only_stay_where_it_is)
{
    begin();
    int32_t self = 1, other = 2, both[] = {1, 2};
    assert_int_equal(reassign("nothing", 0, &self, 1), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(reassign("events", 2, &self, 1), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(reassign("events", 0, &other, 1), EL_KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(reassign("events", 0, both, 2), EL_KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(reassign("events", 0, both, 0), EL_KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(reassign("events", 0, NULL, 0), EL_KAFKA_NO_REASSIGNMENT_IN_PROGRESS);
    assert_int_equal(reassign("events", 1, &self, 1), 0);
    fake_end(&f);
}

TEST(reassignments, none_is_ever_under_way)
{
    begin();
    struct el_msg_list_partition_reassignments_request ask;
    struct el_msg_list_partition_reassignments_response answer;
    el_schema_init(&el_schema_list_partition_reassignments_request, &ask);
    struct fake_request *r = ask_for(EL_API_ListPartitionReassignments, 0, &ask, &answer);
    assert_int_equal(answer.error_code, 0);
    assert_null(answer.error_message.data);
    assert_int_equal(answer.topic_count, 0);
    fake_free(r);
    fake_end(&f);
}

/* --- quorum and features ------------------------------------------------------------------------------------------ */

TEST(describe_quorum, one_voter_and_nothing_but_the_metadata)
{
    begin();
    f.partition.high_watermark = 42;
    struct el_msg_describe_quorum_request_partition partitions[] = {{0}, {1}};
    struct el_msg_describe_quorum_request_topic topics[] = {{el_slice_str("__cluster_metadata"), partitions, 2},
                                                            {el_slice_str("events"), partitions, 1}};
    struct el_msg_describe_quorum_request ask = {.topics = topics, .topic_count = 2};
    for (int version = 0; version <= 2; version++) {
        struct el_msg_describe_quorum_response answer;
        struct fake_request *r = ask_for(EL_API_DescribeQuorum, version, &ask, &answer);
        const struct el_msg_describe_quorum_partition *found = answer.topics[0].partitions;
        assert_int_equal(answer.error_code, 0);
        assert_int_equal(found[0].error_code, 0);
        assert_int_equal(found[0].leader_id, 1);
        assert_int_equal(found[0].high_watermark, 42);
        assert_int_equal(found[0].current_voter_count, 1);
        assert_int_equal(found[0].current_voters[0].replica_id, 1);
        assert_int_equal(found[0].current_voters[0].log_end_offset, 42);
        assert_int_equal(found[0].observer_count, 0);
        assert_int_equal(found[1].error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(answer.topics[1].partitions[0].error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(answer.node_count, version >= 2 ? 1 : 0);
        if (version >= 2) {
            assert_int_equal(answer.nodes[0].listeners[0].port, 9092);
        }
        fake_free(r);
    }
    fake_end(&f);
}

TEST(update_features, has_no_level_to_change)
{
    begin();
    struct el_msg_update_features_update update;
    struct el_msg_update_features_request ask;
    struct el_msg_update_features_response answer;
    el_schema_init(&el_schema_update_features_update, &update);
    el_schema_init(&el_schema_update_features_request, &ask);
    update.feature = el_slice_str("metadata.version");
    update.max_version_level = 7;
    ask.feature_updates = &update;
    for (int version = 0; version <= 2; version++) {
        ask.feature_update_count = 1;
        struct fake_request *r = ask_for(EL_API_UpdateFeatures, version, &ask, &answer);
        assert_int_equal(answer.error_code, version < 2 ? 0 : EL_KAFKA_INVALID_UPDATE_VERSION);
        assert_int_equal(answer.result_count, version < 2 ? 1 : 0);
        if (version < 2) {
            assert_int_equal(answer.results[0].error_code, EL_KAFKA_INVALID_UPDATE_VERSION);
        }
        fake_free(r);
        ask.feature_update_count = 0;
        r = ask_for(EL_API_UpdateFeatures, version, &ask, &answer);
        assert_int_equal(answer.error_code, 0);
        fake_free(r);
    }
    fake_end(&f);
}
