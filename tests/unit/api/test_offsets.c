/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the small handlers: offsets, epochs, producer ids, coordinator, cluster, cut. Method: each over the fake store.
 */
#include "fake.h"

#include <wire/msg_delete_records.h>
#include <wire/msg_describe_cluster.h>
#include <wire/msg_ext_cut.h>
#include <wire/msg_find_coordinator.h>
#include <wire/msg_init_producer_id.h>
#include <wire/msg_list_offsets.h>
#include <wire/msg_offset_for_leader_epoch.h>

static struct fake f;

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 2);
    fake_add_topic(&f, "__evlog_meta", 1);
    f.partition.high_watermark = 42;
}

static int16_t list_error(int version, const char *name, int32_t partition, int64_t timestamp)
{
    struct el_msg_list_offsets_partition part;
    struct el_msg_list_offsets_topic topic = {.name = el_slice_str(name), .partitions = &part, .partition_count = 1};
    struct el_msg_list_offsets_request ask;
    el_schema_init(&el_schema_list_offsets_partition, &part);
    el_schema_init(&el_schema_list_offsets_request, &ask);
    part.partition_index = partition;
    part.timestamp = timestamp;
    ask.topics = &topic;
    ask.topic_count = 1;
    struct fake_request *r = fake_request(&f, EL_API_ListOffsets, version, &ask);
    fake_dispatch(&f, r);
    struct el_msg_list_offsets_response answer;
    fake_response(r, &answer);
    struct el_msg_list_offsets_partition_result out = answer.topics[0].partitions[0];
    if (out.error_code != 0) {
        assert_int_equal(out.offset, -1);
        assert_int_equal(out.timestamp, -1);
    } else {
        assert_int_equal(out.offset, timestamp == -2 ? 0 : 42);
        assert_int_equal(out.leader_epoch, version >= 4 ? 7 : -1);
    }
    fake_free(r);
    return out.error_code;
}

TEST(list_offsets, knows_special_times_by_version)
{
    begin();
    static const int since[] = {0, 1, 1, 7, 8, 9, 11};
    for (int version = 1; version <= 11; version++) {
        for (int special = 1; special <= 6; special++) {
            assert_int_equal(list_error(version, "events", 0, -special),
                             version >= since[special] ? 0 : EL_KAFKA_UNSUPPORTED_VERSION);
        }
        assert_int_equal(list_error(version, "events", 0, -7), EL_KAFKA_UNSUPPORTED_VERSION);
        assert_int_equal(list_error(version, "events", 0, INT64_MIN), EL_KAFKA_UNSUPPORTED_VERSION);
        assert_int_equal(list_error(version, "events", 0, 0), 0);
        assert_int_equal(list_error(version, "events", 2, 0), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(list_error(version, "nothing", 0, 0), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    }
    fake_end(&f);
}

TEST(list_offsets, an_archive_out_of_reach_passes)
{
    begin();
    f.lookup_error = EVLOG_ERR_ARCHIVE;
    for (int version = 1; version <= 11; version++) {
        assert_int_equal(list_error(version, "events", 0, 1000),
                         version >= 5 ? EL_KAFKA_OFFSET_NOT_AVAILABLE : EL_KAFKA_LEADER_NOT_AVAILABLE);
    }
    fake_end(&f);
}

TEST(leader_epoch, answers_each_partition)
{
    begin();
    struct el_msg_offset_for_leader_epoch_partition parts[] = {
        {.partition = 0, .current_leader_epoch = -1, .leader_epoch = 5},
        {.partition = 9, .current_leader_epoch = -1, .leader_epoch = 5},
    };
    struct el_msg_offset_for_leader_epoch_topic topic = {el_slice_str("events"), parts, 2};
    for (int version = 2; version <= 4; version++) {
        struct el_msg_offset_for_leader_epoch_request ask;
        el_schema_init(&el_schema_offset_for_leader_epoch_request, &ask);
        ask.topics = &topic;
        ask.topic_count = 1;
        struct fake_request *r = fake_request(&f, EL_API_OffsetForLeaderEpoch, version, &ask);
        fake_dispatch(&f, r);
        struct el_msg_offset_for_leader_epoch_response answer;
        fake_response(r, &answer);
        assert_int_equal(answer.topics[0].partitions[0].error_code, 0);
        assert_int_equal(answer.topics[0].partitions[0].leader_epoch, 5);
        assert_int_equal(answer.topics[0].partitions[0].end_offset, 42);
        assert_int_equal(answer.topics[0].partitions[1].error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(answer.topics[0].partitions[1].end_offset, -1);
        fake_free(r);
    }
    fake_end(&f);
}

static int16_t trim_error(const char *name, int32_t partition, int64_t offset, int64_t *low)
{
    struct el_msg_delete_records_partition part = {partition, offset};
    struct el_msg_delete_records_topic topic = {el_slice_str(name), &part, 1};
    struct el_msg_delete_records_request ask;
    el_schema_init(&el_schema_delete_records_request, &ask);
    ask.topics = &topic;
    ask.topic_count = 1;
    struct fake_request *r = fake_request(&f, EL_API_DeleteRecords, 2, &ask);
    fake_dispatch(&f, r);
    struct el_msg_delete_records_response answer;
    fake_response(r, &answer);
    int16_t error = answer.topics[0].partitions[0].error_code;
    *low = answer.topics[0].partitions[0].low_watermark;
    fake_free(r);
    return error;
}

TEST(delete_records, refuses_and_answers_the_new_start)
{
    begin();
    int64_t low;
    assert_int_equal(trim_error("nothing", 0, 1, &low), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(trim_error("events", 2, 1, &low), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(trim_error("__evlog_meta", 0, 1, &low), EL_KAFKA_POLICY_VIOLATION);
    assert_int_equal(trim_error("events", 0, -2, &low), EL_KAFKA_OFFSET_OUT_OF_RANGE);
    assert_int_equal(low, -1);
    assert_int_equal(trim_error("events", 0, 5, &low), 0);
    assert_int_equal(low, 5);
    assert_int_equal(trim_error("events", 0, -1, &low), 0);
    assert_int_equal(low, 42);
    struct topic_config *config = &f.topics[0].config;
    assert_int_equal(topic_config_set(config, el_slice_str("cleanup.policy"), el_slice_str("compact"), NULL), 0);
    assert_int_equal(trim_error("events", 0, 5, &low), EL_KAFKA_POLICY_VIOLATION);
    assert_int_equal(topic_config_set(config, el_slice_str("cleanup.policy"), el_slice_str("compact,delete"), NULL), 0);
    assert_int_equal(trim_error("events", 0, 5, &low), 0);
    fake_end(&f);
}

static struct el_msg_init_producer_id_response init_id(int version, const char *transactional_id, int64_t id,
                                                       int16_t epoch)
{
    struct el_msg_init_producer_id_request ask;
    el_schema_init(&el_schema_init_producer_id_request, &ask);
    ask.transactional_id = el_slice_str(transactional_id);
    if (version >= 3) {
        ask.producer_id = id;
        ask.producer_epoch = epoch;
    }
    struct fake_request *r = fake_request(&f, EL_API_InitProducerId, version, &ask);
    fake_dispatch(&f, r);
    struct el_msg_init_producer_id_response answer;
    fake_response(r, &answer);
    fake_free(r);
    return answer;
}

TEST(init_producer_id, refuses_transactions_and_contradictions)
{
    begin();
    assert_int_equal(init_id(5, "tx", -1, -1).error_code, EL_KAFKA_POLICY_VIOLATION);
    assert_int_equal(init_id(0, "tx", -1, -1).producer_id, -1);
    assert_int_equal(init_id(5, "", -1, -1).error_code, EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(init_id(5, NULL, 7, -1).error_code, EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(init_id(5, NULL, -1, 7).error_code, EL_KAFKA_INVALID_REQUEST);
    fake_end(&f);
}

TEST(init_producer_id, hands_out_ids_and_raises_epochs)
{
    begin();
    struct el_msg_init_producer_id_response answer = init_id(0, NULL, -1, -1);
    assert_int_equal(answer.error_code, 0);
    assert_int_equal(answer.producer_id, 4000);
    assert_int_equal(answer.producer_epoch, 0);
    answer = init_id(3, NULL, 77, 5);
    assert_int_equal(answer.producer_id, 77);
    assert_int_equal(answer.producer_epoch, 6);
    answer = init_id(3, NULL, 77, INT16_MAX - 1);
    assert_int_equal(answer.producer_epoch, INT16_MAX);
    answer = init_id(3, NULL, 77, INT16_MAX);
    assert_int_equal(answer.producer_id, 4000);
    assert_int_equal(answer.producer_epoch, 0);
    fake_end(&f);
}

TEST(find_coordinator, is_this_node_for_every_key)
{
    begin();
    for (int version = 0; version <= 6; version++) {
        struct el_slice keys[] = {el_slice_str("a"), el_slice_str("b")};
        for (int type = 0; type <= (version == 0 ? 0 : 3); type++) {
            struct el_msg_find_coordinator_request ask;
            el_schema_init(&el_schema_find_coordinator_request, &ask);
            ask.key_type = (int8_t)type;
            if (version < 4) {
                ask.key = keys[0];
            } else {
                ask.coordinator_keys = keys;
                ask.coordinator_key_count = 2;
            }
            struct fake_request *r = fake_request(&f, EL_API_FindCoordinator, version, &ask);
            fake_dispatch(&f, r);
            struct el_msg_find_coordinator_response answer;
            fake_response(r, &answer);
            int16_t error = version < 4 ? answer.error_code : answer.coordinators[1].error_code;
            int32_t node = version < 4 ? answer.node_id : answer.coordinators[1].node_id;
            assert_int_equal(error, type == 3 ? EL_KAFKA_INVALID_REQUEST : 0);
            assert_int_equal(node, type == 3 ? -1 : 1);
            fake_free(r);
        }
    }
    fake_end(&f);
}

TEST(describe_cluster, has_no_controllers_of_its_own)
{
    begin();
    for (int version = 0; version <= 2; version++) {
        for (int type = 1; type <= (version == 0 ? 1 : 2); type++) {
            struct el_msg_describe_cluster_request ask;
            el_schema_init(&el_schema_describe_cluster_request, &ask);
            ask.endpoint_type = (int8_t)type;
            ask.include_cluster_authorized_operations = true;
            struct fake_request *r = fake_request(&f, EL_API_DescribeCluster, version, &ask);
            fake_dispatch(&f, r);
            struct el_msg_describe_cluster_response answer;
            fake_response(r, &answer);
            assert_int_equal(answer.error_code, type == 1 ? 0 : EL_KAFKA_UNSUPPORTED_ENDPOINT_TYPE);
            assert_int_equal(answer.broker_count, type == 1 ? 1 : 0);
            assert_int_equal(answer.cluster_authorized_operations,
                             (int32_t)el_acl_operations_of(EL_ACL_RESOURCE_CLUSTER));
            fake_free(r);
        }
    }
    fake_end(&f);
}

TEST(cut, covers_every_topic_but_evlogs_own)
{
    begin();
    struct el_msg_ext_cut_request ask;
    el_schema_init(&el_schema_ext_cut_request, &ask);
    ask.topics = NULL;
    struct fake_request *r = fake_request(&f, EL_API_Cut, 0, &ask);
    fake_dispatch(&f, r);
    struct el_msg_ext_cut_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.topic_count, 1);
    assert_int_equal(answer.topics[0].partition_count, 2);
    assert_int_equal(answer.topics[0].partitions[1].end_offset, 42);
    assert_int_equal(answer.time_ns, f.wall_ns);
    fake_free(r);

    struct el_slice name = el_slice_str("nothing");
    ask.topics = &name;
    ask.topic_count = 1;
    r = fake_request(&f, EL_API_Cut, 0, &ask);
    fake_dispatch(&f, r);
    fake_response(r, &answer);
    assert_int_equal(answer.error, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_non_null(answer.message.data);
    fake_free(r);

    /* One topic so often that its partitions are more than can be counted. */
    static struct el_slice often[1 << 13];
    f.topics[0].partition_count = 1 << 20;
    for (size_t i = 0; i < sizeof often / sizeof often[0]; i++) {
        often[i] = el_slice_str("events");
    }
    ask.topics = often;
    ask.topic_count = sizeof often / sizeof often[0];
    r = fake_request(&f, EL_API_Cut, 0, &ask);
    fake_dispatch(&f, r);
    fake_response(r, &answer);
    assert_int_equal(answer.error, EL_KAFKA_KAFKA_STORAGE_ERROR);
    fake_free(r);
    f.topics[0].partition_count = 2;

    ask.topics = NULL;
    ask.topic_count = 0;
    ask.time_ns = f.wall_ns + 1;
    r = fake_request(&f, EL_API_Cut, 0, &ask);
    fake_dispatch(&f, r);
    fake_response(r, &answer);
    assert_int_equal(answer.error, EL_KAFKA_INVALID_REQUEST);
    fake_free(r);
    fake_end(&f);
}

/* The shards answer at different times: a topic may go when one of its partitions has been looked at. */
TEST(cut, leaves_out_a_topic_deleted_half_way)
{
    begin();
    fake_add_topic(&f, "stays", 1);
    f.cut_gone = 2; /* partition 1 of the first topic */
    struct el_msg_ext_cut_request ask;
    el_schema_init(&el_schema_ext_cut_request, &ask);
    ask.topics = NULL;
    struct fake_request *r = fake_request(&f, EL_API_Cut, 0, &ask);
    fake_dispatch(&f, r);
    struct el_msg_ext_cut_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.topic_count, 1);
    assert_true(el_slice_eq(answer.topics[0].topic, el_slice_str("stays")));
    assert_int_equal(answer.topics[0].partition_count, 1);
    assert_int_equal(answer.topics[0].partitions[0].end_offset, 42);
    fake_free(r);
    fake_end(&f);
}
