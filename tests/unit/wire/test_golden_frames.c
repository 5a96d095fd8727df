/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: frames are what Kafka's documentation says, byte for byte, in both directions.
 * Method: frames written by hand, field by field, for an old and a flexible version of the requests every client
 * begins with; each is built from its struct and read back into one.
 */
#include "test.h"

#include <core/arena.h>
#include <evlog/error.h>
#include <wire/frame.h>
#include <wire/msg_api_versions.h>
#include <wire/msg_fetch.h>
#include <wire/msg_metadata.h>
#include <wire/msg_produce.h>

/* clang-format off */
#define SLICE(text) {(const uint8_t *)(text), sizeof(text) - 1}

static struct el_arena arena;

static struct el_request_header header_of(int key, int version)
{
    return (struct el_request_header){.api = el_api_find(key), .client_id = SLICE("me"), .correlation_id = 7,
                                      .api_key = (int16_t)key, .version = (int16_t)version};
}

/* Build the frame and compare; then read it back into out. */
static void check_request(int key, int version, const void *body, const uint8_t *golden, size_t golden_len, void *out)
{
    struct el_request_header header = header_of(key, version), read;
    struct el_slice frame;
    el_arena_reset(&arena);
    el_arena_init(&arena, NULL, 0);
    assert_int_equal(el_frame_build_request(&arena, &header, body, &frame), 0);
    assert_int_equal(frame.len, golden_len);
    assert_memory_equal(frame.data, golden, golden_len);
    size_t len;
    assert_int_equal(el_frame_len(golden, EL_SIDE_REQUEST, 1000, &len), 0);
    assert_int_equal(len, golden_len - EL_FRAME_PREFIX_LEN);
    struct el_reader r;
    el_reader_init(&r, golden + EL_FRAME_PREFIX_LEN, len);
    assert_int_equal(el_request_header_decode(&r, &read), 0);
    assert_ptr_equal(read.api, header.api);
    assert_int_equal(read.api_key, key);
    assert_int_equal(read.version, version);
    assert_int_equal(read.correlation_id, 7);
    assert_true(el_slice_eq(read.client_id, header.client_id));
    assert_int_equal(el_api_decode(read.api, EL_SIDE_REQUEST, version, &r, &arena, out), 0);
}

static void check_response(int key, int version, const void *body, const uint8_t *golden, size_t golden_len, void *out)
{
    struct el_request_header header = header_of(key, version);
    struct el_slice *parts;
    uint32_t part_count;
    el_arena_reset(&arena);
    el_arena_init(&arena, NULL, 0);
    assert_int_equal(el_frame_build_response(&arena, &header, body, SIZE_MAX, &parts, &part_count), 0);
    assert_int_equal(part_count, 1);
    assert_int_equal(parts[0].len, golden_len);
    assert_memory_equal(parts[0].data, golden, golden_len);
    struct el_reader r;
    int32_t correlation_id;
    el_reader_init(&r, golden + EL_FRAME_PREFIX_LEN, golden_len - EL_FRAME_PREFIX_LEN);
    assert_int_equal(el_response_header_decode(&r, header.api, version, &correlation_id), 0);
    assert_int_equal(correlation_id, 7);
    assert_int_equal(el_api_decode(header.api, EL_SIDE_RESPONSE, version, &r, &arena, out), 0);
}

#define KEY_VERSION(key, version) 0, key, 0, version
#define CORRELATION 0, 0, 0, 7
#define CLIENT 0, 2, 'm', 'e'

TEST(golden, api_versions_request_0_is_a_header)
{
    static const uint8_t golden[] = {0, 0, 0, 12, KEY_VERSION(18, 0), CORRELATION, CLIENT};
    struct el_msg_api_versions_request in, out;
    el_schema_init(&el_schema_api_versions_request, &in);
    check_request(EL_API_ApiVersions, 0, &in, golden, sizeof golden, &out);
    assert_int_equal(out.node_id, -1);
    assert_null(out.cluster_id.data);
    el_arena_reset(&arena);
}

TEST(golden, api_versions_request_3_is_flexible_but_for_the_client_id)
{
    static const uint8_t golden[] = {
        0, 0, 0, 24, KEY_VERSION(18, 3), CORRELATION, CLIENT,
        0,                            /* tags of the header */
        6, 'e', 'v', 'l', 'o', 'g',   /* client software */
        4, '0', '.', '1',             /* its version */
        0,                            /* tags */
    };
    struct el_msg_api_versions_request in, out;
    el_schema_init(&el_schema_api_versions_request, &in);
    in.client_software_name = (struct el_slice)SLICE("evlog");
    in.client_software_version = (struct el_slice)SLICE("0.1");
    check_request(EL_API_ApiVersions, 3, &in, golden, sizeof golden, &out);
    assert_true(el_slice_eq(out.client_software_name, in.client_software_name));
    assert_true(el_slice_eq(out.client_software_version, in.client_software_version));
    el_arena_reset(&arena);
}

static struct el_msg_api_versions_response api_versions_response(struct el_msg_api_versions_key *keys)
{
    struct el_msg_api_versions_response in;
    el_schema_init(&el_schema_api_versions_response, &in);
    keys[0] = (struct el_msg_api_versions_key){.api_key = 0, .min_version = 0, .max_version = 13};
    keys[1] = (struct el_msg_api_versions_key){.api_key = 0x4000, .min_version = 0, .max_version = 0};
    in.api_keys = keys;
    in.api_key_count = 2;
    return in;
}

TEST(golden, api_versions_response_0)
{
    static const uint8_t golden[] = {
        0, 0, 0, 22, CORRELATION,
        0, 35,                      /* UNSUPPORTED_VERSION */
        0, 0, 0, 2,                 /* keys */
        0, 0, 0, 0, 0, 13,
        0x40, 0, 0, 0, 0, 0,
    };
    struct el_msg_api_versions_key keys[2];
    struct el_msg_api_versions_response in = api_versions_response(keys), out;
    in.error_code = 35;
    check_response(EL_API_ApiVersions, 0, &in, golden, sizeof golden, &out);
    assert_int_equal(out.error_code, 35);
    assert_int_equal(out.api_key_count, 2);
    assert_int_equal(out.api_keys[1].api_key, 0x4000);
    el_arena_reset(&arena);
}

TEST(golden, api_versions_response_3_has_header_0)
{
    static const uint8_t golden[] = {
        0, 0, 0, 46, CORRELATION,   /* no tags here, though the body is flexible */
        0, 0,                       /* no error */
        3,                          /* two keys */
        0, 0, 0, 0, 0, 13, 0,
        0x40, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0,                 /* throttle time */
        2,                          /* two tags */
        1, 8, 0, 0, 0, 0, 0, 0, 0, 5,           /* epoch of the finalized features */
        2, 8, 2, 2, 'f', 0, 2, 0, 1, 0,         /* finalized: f, 2 to 1 levels, tags */
    };
    struct el_msg_api_versions_key keys[2];
    struct el_msg_api_versions_finalized_feature feature = {SLICE("f"), 2, 1};
    struct el_msg_api_versions_response in = api_versions_response(keys), out;
    in.finalized_features_epoch = 5;
    in.finalized_features = &feature;
    in.finalized_feature_count = 1;
    check_response(EL_API_ApiVersions, 3, &in, golden, sizeof golden, &out);
    assert_int_equal(out.finalized_features_epoch, 5);
    assert_int_equal(out.finalized_feature_count, 1);
    assert_int_equal(out.supported_feature_count, 0);
    el_arena_reset(&arena);
}

TEST(golden, metadata_request_1_for_all_topics)
{
    static const uint8_t golden[] = {0, 0, 0, 16, KEY_VERSION(3, 1), CORRELATION, CLIENT, 0xff, 0xff, 0xff, 0xff};
    struct el_msg_metadata_request in, out;
    el_schema_init(&el_schema_metadata_request, &in);
    in.topics = NULL;
    check_request(EL_API_Metadata, 1, &in, golden, sizeof golden, &out);
    assert_null(out.topics);
    assert_true(out.allow_auto_topic_creation);
    el_arena_reset(&arena);
}

TEST(golden, metadata_request_12_by_id)
{
    static const uint8_t golden[] = {
        0, 0, 0, 35, KEY_VERSION(3, 12), CORRELATION, CLIENT, 0,
        2,                                                       /* one topic */
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,   /* its id */
        0, 0,                                                    /* null name, tags */
        0, 1,                                                    /* no creation, with operations */
        0,
    };
    struct el_msg_metadata_request_topic topic;
    struct el_msg_metadata_request in, out;
    el_schema_init(&el_schema_metadata_request, &in);
    el_schema_init(&el_schema_metadata_request_topic, &topic);
    for (uint8_t i = 0; i < 16; i++) {
        topic.topic_id.bytes[i] = (uint8_t)(i + 1);
    }
    topic.name.data = NULL;
    in.topics = &topic;
    in.topic_count = 1;
    in.allow_auto_topic_creation = false;
    in.include_topic_authorized_operations = true;
    check_request(EL_API_Metadata, 12, &in, golden, sizeof golden, &out);
    assert_int_equal(out.topic_count, 1);
    assert_null(out.topics[0].name.data);
    assert_true(el_uuid_eq(&out.topics[0].topic_id, &topic.topic_id));
    el_arena_reset(&arena);
}

static int32_t one_node[] = {1};

static void metadata_response(struct el_msg_metadata_response *in, struct el_msg_metadata_broker *broker,
                              struct el_msg_metadata_topic *topic, struct el_msg_metadata_partition *partition)
{
    el_schema_init(&el_schema_metadata_response, in);
    el_schema_init(&el_schema_metadata_broker, broker);
    el_schema_init(&el_schema_metadata_topic, topic);
    el_schema_init(&el_schema_metadata_partition, partition);
    broker->node_id = 1;
    broker->host = (struct el_slice)SLICE("h");
    broker->port = 9092;
    partition->leader_id = 1;
    partition->leader_epoch = 4;
    partition->replica_nodes = one_node;
    partition->replica_node_count = 1;
    partition->isr_nodes = one_node;
    partition->isr_node_count = 1;
    topic->name = (struct el_slice)SLICE("t");
    topic->partitions = partition;
    topic->partition_count = 1;
    in->brokers = broker;
    in->broker_count = 1;
    in->cluster_id = (struct el_slice)SLICE("c");
    in->controller_id = 1;
    in->topics = topic;
    in->topic_count = 1;
}

TEST(golden, metadata_response_1_drops_what_it_cannot_carry)
{
    static const uint8_t golden[] = {
        0, 0, 0, 65, CORRELATION,
        0, 0, 0, 1,                             /* brokers */
        0, 0, 0, 1, 0, 1, 'h', 0, 0, 0x23, 0x84, 0xff, 0xff,
        0, 0, 0, 1,                             /* controller */
        0, 0, 0, 1,                             /* topics */
        0, 0, 0, 1, 't', 0,                     /* error, name, internal */
        0, 0, 0, 1,                             /* partitions */
        0, 0, 0, 0, 0, 0, 0, 0, 0, 1,           /* error, index, leader */
        0, 0, 0, 1, 0, 0, 0, 1,                 /* replicas */
        0, 0, 0, 1, 0, 0, 0, 1,                 /* in sync */
    };
    struct el_msg_metadata_broker broker;
    struct el_msg_metadata_topic topic;
    struct el_msg_metadata_partition partition;
    struct el_msg_metadata_response in, out;
    metadata_response(&in, &broker, &topic, &partition);
    check_response(EL_API_Metadata, 1, &in, golden, sizeof golden, &out);
    assert_null(out.cluster_id.data);
    assert_int_equal(out.topics[0].partitions[0].leader_epoch, -1);
    assert_int_equal(out.topics[0].topic_authorized_operations, INT32_MIN);
    el_arena_reset(&arena);
}

TEST(golden, metadata_response_12)
{
    static const uint8_t golden[] = {
        0, 0, 0, 83, CORRELATION, 0,
        0, 0, 0, 0,                             /* throttle time */
        2,                                      /* brokers */
        0, 0, 0, 1, 2, 'h', 0, 0, 0x23, 0x84, 0, 0,
        2, 'c',                                 /* cluster id */
        0, 0, 0, 1,                             /* controller */
        2,                                      /* topics */
        0, 0, 2, 't',                           /* error, name */
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0,                                      /* not internal */
        2,                                      /* partitions */
        0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4,
        2, 0, 0, 0, 1, 2, 0, 0, 0, 1, 1, 0,     /* replicas, in sync, none offline, tags */
        0x80, 0, 0, 0, 0,                       /* operations, tags of the topic */
        0,                                      /* tags */
    };
    struct el_msg_metadata_broker broker;
    struct el_msg_metadata_topic topic;
    struct el_msg_metadata_partition partition;
    struct el_msg_metadata_response in, out;
    metadata_response(&in, &broker, &topic, &partition);
    check_response(EL_API_Metadata, 12, &in, golden, sizeof golden, &out);
    assert_int_equal(out.brokers[0].port, 9092);
    assert_int_equal(out.topics[0].partitions[0].leader_epoch, 4);
    el_arena_reset(&arena);
}

static void produce_request(struct el_msg_produce_request *in, struct el_msg_produce_topic *topic,
                            struct el_msg_produce_partition *partition)
{
    el_schema_init(&el_schema_produce_request, in);
    el_schema_init(&el_schema_produce_topic, topic);
    el_schema_init(&el_schema_produce_partition, partition);
    partition->index = 2;
    partition->records = (struct el_slice)SLICE("rec");
    topic->name = (struct el_slice)SLICE("t");
    topic->partition_data = partition;
    topic->partition_data_count = 1;
    in->acks = -1;
    in->timeout_ms = 1000;
    in->topic_data = topic;
    in->topic_data_count = 1;
}

TEST(golden, produce_request_3)
{
    static const uint8_t golden[] = {
        0, 0, 0, 42, KEY_VERSION(0, 3), CORRELATION, CLIENT,
        0xff, 0xff,                     /* no transactional id */
        0xff, 0xff, 0, 0, 3, 0xe8,      /* acks, timeout */
        0, 0, 0, 1, 0, 1, 't',          /* topics */
        0, 0, 0, 1, 0, 0, 0, 2,         /* partitions */
        0, 0, 0, 3, 'r', 'e', 'c',
    };
    struct el_msg_produce_topic topic;
    struct el_msg_produce_partition partition;
    struct el_msg_produce_request in, out;
    produce_request(&in, &topic, &partition);
    check_request(EL_API_Produce, 3, &in, golden, sizeof golden, &out);
    assert_null(out.transactional_id.data);
    assert_int_equal(out.topic_data[0].partition_data[0].records.len, 3);
    el_arena_reset(&arena);
}

TEST(golden, produce_request_9)
{
    static const uint8_t golden[] = {
        0, 0, 0, 35, KEY_VERSION(0, 9), CORRELATION, CLIENT, 0,
        0,                              /* no transactional id */
        0xff, 0xff, 0, 0, 3, 0xe8,      /* acks, timeout */
        2, 2, 't',                      /* topics */
        2, 0, 0, 0, 2,                  /* partitions */
        4, 'r', 'e', 'c', 0,            /* records, tags of the partition */
        0, 0,                           /* tags of the topic, tags */
    };
    struct el_msg_produce_topic topic;
    struct el_msg_produce_partition partition;
    struct el_msg_produce_request in, out;
    produce_request(&in, &topic, &partition);
    check_request(EL_API_Produce, 9, &in, golden, sizeof golden, &out);
    assert_int_equal(out.acks, -1);
    assert_int_equal(out.topic_data[0].partition_data[0].index, 2);
    el_arena_reset(&arena);
}

static void fetch_request(struct el_msg_fetch_request *in, struct el_msg_fetch_topic *topic,
                          struct el_msg_fetch_partition *partition)
{
    el_schema_init(&el_schema_fetch_request, in);
    el_schema_init(&el_schema_fetch_topic, topic);
    el_schema_init(&el_schema_fetch_partition, partition);
    partition->partition = 1;
    partition->fetch_offset = 5;
    partition->partition_max_bytes = 256;
    topic->topic = (struct el_slice)SLICE("t");
    topic->partitions = partition;
    topic->partition_count = 1;
    in->max_wait_ms = 500;
    in->min_bytes = 1;
    in->max_bytes = 1024;
    in->isolation_level = 1;
    in->topics = topic;
    in->topic_count = 1;
}

TEST(golden, fetch_request_4)
{
    static const uint8_t golden[] = {
        0, 0, 0, 56, KEY_VERSION(1, 4), CORRELATION, CLIENT,
        0xff, 0xff, 0xff, 0xff,                 /* replica */
        0, 0, 1, 0xf4, 0, 0, 0, 1, 0, 0, 4, 0,  /* wait, least and most bytes */
        1,                                      /* committed */
        0, 0, 0, 1, 0, 1, 't',                  /* topics */
        0, 0, 0, 1, 0, 0, 0, 1,                 /* partitions */
        0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 1, 0,     /* offset, most bytes */
    };
    struct el_msg_fetch_topic topic;
    struct el_msg_fetch_partition partition;
    struct el_msg_fetch_request in, out;
    fetch_request(&in, &topic, &partition);
    check_request(EL_API_Fetch, 4, &in, golden, sizeof golden, &out);
    assert_int_equal(out.session_epoch, -1);
    assert_int_equal(out.topics[0].partitions[0].current_leader_epoch, -1);
    el_arena_reset(&arena);
}

TEST(golden, fetch_request_12_with_a_cluster_id)
{
    static const uint8_t golden[] = {
        0, 0, 0, 83, KEY_VERSION(1, 12), CORRELATION, CLIENT, 0,
        0xff, 0xff, 0xff, 0xff,                 /* replica */
        0, 0, 1, 0xf4, 0, 0, 0, 1, 0, 0, 4, 0,  /* wait, least and most bytes */
        1,                                      /* committed */
        0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,     /* session */
        2, 2, 't',                              /* topics */
        2, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff,  /* partitions; leader epoch */
        0, 0, 0, 0, 0, 0, 0, 5,                 /* offset */
        0xff, 0xff, 0xff, 0xff,                 /* last epoch */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0, 0, 1, 0, 0,                          /* most bytes, tags of the partition */
        0,                                      /* tags of the topic */
        1,                                      /* nothing forgotten */
        1,                                      /* rack */
        1, 0, 2, 2, 'c',                        /* one tag: cluster id */
    };
    struct el_msg_fetch_topic topic;
    struct el_msg_fetch_partition partition;
    struct el_msg_fetch_request in, out;
    fetch_request(&in, &topic, &partition);
    in.cluster_id = (struct el_slice)SLICE("c");
    check_request(EL_API_Fetch, 12, &in, golden, sizeof golden, &out);
    assert_true(el_slice_eq(out.cluster_id, in.cluster_id));
    assert_int_equal(out.replica_state.replica_id, -1);
    el_arena_reset(&arena);
}

TEST(golden, fetch_response_12_with_a_diverging_epoch)
{
    static const uint8_t golden[] = {
        0, 0, 0, 76, CORRELATION, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0,           /* throttle time, error, session */
        2, 2, 't',                              /* topics */
        2, 0, 0, 0, 1, 0, 0,                    /* partitions: index, error */
        0, 0, 0, 0, 0, 0, 0, 9,                 /* high watermark */
        0, 0, 0, 0, 0, 0, 0, 9,                 /* last stable offset */
        0, 0, 0, 0, 0, 0, 0, 2,                 /* log start */
        0,                                      /* no list of aborted transactions */
        0xff, 0xff, 0xff, 0xff,                 /* this replica */
        4, 'r', 'e', 'c',                       /* records */
        1, 0, 13, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 8, 0,   /* one tag: epoch 3 ends at 8 */
        0,                                      /* tags of the topic */
        0,                                      /* tags */
    };
    struct el_msg_fetch_partition_result partition;
    struct el_msg_fetch_topic_result topic;
    struct el_msg_fetch_response in, out;
    el_schema_init(&el_schema_fetch_response, &in);
    el_schema_init(&el_schema_fetch_topic_result, &topic);
    el_schema_init(&el_schema_fetch_partition_result, &partition);
    partition.partition_index = 1;
    partition.high_watermark = partition.last_stable_offset = 9;
    partition.log_start_offset = 2;
    partition.aborted_transactions = NULL;
    partition.records = (struct el_slice)SLICE("rec");
    partition.diverging_epoch = (struct el_msg_fetch_diverging_epoch){3, 8};
    topic.topic = (struct el_slice)SLICE("t");
    topic.partitions = &partition;
    topic.partition_count = 1;
    in.responses = &topic;
    in.response_count = 1;
    check_response(EL_API_Fetch, 12, &in, golden, sizeof golden, &out);
    assert_int_equal(out.responses[0].partitions[0].diverging_epoch.end_offset, 8);
    assert_int_equal(out.responses[0].partitions[0].current_leader.leader_id, -1);
    el_arena_reset(&arena);
}

TEST(golden, produce_response_10_tags_leader_and_nodes)
{
    static const uint8_t golden[] = {
        0, 0, 0, 74, CORRELATION, 0,
        2, 2, 't',                                      /* topics */
        2, 0, 0, 0, 2, 0, 6,                            /* partitions: index, NOT_LEADER_OR_FOLLOWER */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* base offset */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* append time */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* log start */
        1, 0,                                           /* no record errors, no text */
        1, 0, 9, 0, 0, 0, 4, 0, 0, 0, 6, 0,             /* one tag: leader 4, epoch 6 */
        0,                                              /* tags of the topic */
        0, 0, 0, 0,                                     /* throttle time */
        1, 0, 13, 2, 0, 0, 0, 4, 2, 'h', 0, 0, 0x23, 0x84, 0, 0, /* one tag: node 4 is h:9092 */
    };
    struct el_msg_produce_partition_result partition;
    struct el_msg_produce_topic_result topic;
    struct el_msg_produce_node node;
    struct el_msg_produce_response in, out;
    el_schema_init(&el_schema_produce_response, &in);
    el_schema_init(&el_schema_produce_topic_result, &topic);
    el_schema_init(&el_schema_produce_partition_result, &partition);
    el_schema_init(&el_schema_produce_node, &node);
    partition.index = 2;
    partition.error_code = 6;
    partition.base_offset = -1;
    partition.current_leader = (struct el_msg_produce_leader){4, 6};
    topic.name = (struct el_slice)SLICE("t");
    topic.partition_responses = &partition;
    topic.partition_response_count = 1;
    node.node_id = 4;
    node.host = (struct el_slice)SLICE("h");
    node.port = 9092;
    in.responses = &topic;
    in.response_count = 1;
    in.node_endpoints = &node;
    in.node_endpoint_count = 1;
    check_response(EL_API_Produce, 10, &in, golden, sizeof golden, &out);
    assert_int_equal(out.node_endpoints[0].port, 9092);
    assert_int_equal(out.responses[0].partition_responses[0].current_leader.leader_epoch, 6);
    /* the same answer in version 9 may not carry them */
    struct el_request_header header = header_of(EL_API_Produce, 9);
    struct el_slice *parts;
    uint32_t part_count;
    assert_int_equal(el_frame_build_response(&arena, &header, &in, SIZE_MAX, &parts, &part_count),
                     EVLOG_ERR_UNSUPPORTED);
    el_arena_reset(&arena);
}
