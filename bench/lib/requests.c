/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests by the tables of client/wire.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <format/batch.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <wire/frame.h>
#include <wire/msg_create_topics.h>
#include <wire/msg_produce.h>

#define PRODUCE_VERSION 9
#define RESPONSE_LEN_MAX (128u << 20)
#define CLIENT_NAME "evlog-bench"

int bench_connect(uint16_t port, bool blocking)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        bench_die("connect: %s", strerror(errno));
    }
    int one = 1, flags = blocking ? 0 : SOCK_NONBLOCK;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (flags != 0) {
        int copy = fcntl(fd, F_GETFL);
        fcntl(fd, F_SETFL, copy | O_NONBLOCK);
    }
    return fd;
}

int bench_listen(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        bench_die("listen: %s", strerror(errno));
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static struct el_slice build(int key, int version, const void *request, struct el_arena *arena)
{
    struct el_request_header header = {.api = el_api_find(key),
                                       .api_key = (int16_t)key,
                                       .version = (int16_t)version,
                                       .correlation_id = 1,
                                       .client_id = el_slice_str(CLIENT_NAME)};
    struct el_slice frame;
    int error = el_frame_build_request(arena, &header, request, &frame);
    if (error != 0) {
        bench_die("cannot encode request %d: %d", key, error);
    }
    return frame;
}

static void read_all(int fd, uint8_t *to, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, to, len, 0);
        if (n <= 0) {
            bench_die("the broker closed the connection");
        }
        to += n;
        len -= (size_t)n;
    }
}

void bench_call(int fd, int key, int version, const void *request, struct el_arena *arena, void *out)
{
    struct el_slice frame = build(key, version, request, arena);
    const struct el_api *api = el_api_find(key);
    uint8_t prefix[EL_FRAME_PREFIX_LEN];
    size_t len;
    if (send(fd, frame.data, frame.len, MSG_NOSIGNAL) != (ssize_t)frame.len) {
        bench_die("send: %s", strerror(errno));
    }
    read_all(fd, prefix, sizeof prefix);
    if (el_frame_len(prefix, EL_SIDE_RESPONSE, RESPONSE_LEN_MAX, &len) != 0) {
        bench_die("bad frame");
    }
    uint8_t *data = el_arena_alloc(arena, len);
    if (data == NULL) {
        bench_die("out of memory");
    }
    read_all(fd, data, len);
    struct el_reader reader;
    int32_t correlation_id;
    el_reader_init(&reader, data, len);
    if (el_response_header_decode(&reader, api, version, &correlation_id) != 0 ||
        el_api_decode(api, EL_SIDE_RESPONSE, version, &reader, arena, out) != 0) {
        bench_die("cannot decode the answer to %s", api->name);
    }
}

int bench_topic_try(int fd, const struct bench_topic_ask *ask)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    struct el_msg_create_topics_request request;
    struct el_msg_create_topics_response response;
    struct el_msg_create_topics_topic topic;
    struct el_msg_create_topics_config configs[2];
    int32_t config_count = 0;
    if (ask->memory) {
        configs[config_count++] = (struct el_msg_create_topics_config){el_slice_str("evlog.durability"),
                                                                       el_slice_str("memory")};
    }
    if (ask->streams) {
        configs[config_count++] = (struct el_msg_create_topics_config){el_slice_str("evlog.streams"),
                                                                       el_slice_str("true")};
    }
    el_schema_init(&el_schema_create_topics_request, &request);
    el_schema_init(&el_schema_create_topics_topic, &topic);
    topic.name = el_slice_str(ask->name);
    topic.num_partitions = (int32_t)ask->partitions;
    topic.replication_factor = 1;
    topic.configs = configs;
    topic.config_count = config_count;
    request.topics = &topic;
    request.topic_count = 1;
    request.timeout_ms = 10000;
    bench_call(fd, EL_API_CreateTopics, 7, &request, &arena, &response);
    int error = response.topic_count == 1 ? response.topics[0].error_code : -1;
    el_arena_reset(&arena);
    return error;
}

void bench_topic_create(int fd, const char *name, uint32_t partitions, bool memory)
{
    struct bench_topic_ask ask = {.name = name, .partitions = partitions, .memory = memory};
    int error = bench_topic_try(fd, &ask);
    if (error != 0) {
        bench_die("topic %s was not made: error %d", name, error);
    }
}

static void make_batch(struct bench_produce *produce, uint32_t records, size_t value_len, struct el_slice *batch)
{
    struct el_batch_builder builder;
    uint8_t *value = bench_alloc(value_len + 8);
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    uint64_t random = 88172645463325252u;
    el_batch_builder_init(&builder, records * (value_len + 32) + 1024);
    for (uint32_t i = 0; i < records; i++) {
        for (size_t at = 0; at < value_len; at += 8) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            memcpy(value + at, &random, 8);
        }
        struct el_record_body body = {.value = el_slice_of(value, value_len)};
        if (el_batch_builder_add(&builder, now_ms, &body) != 0) {
            bench_die("batch of %u records", records);
        }
    }
    if (el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, batch) != 0) {
        bench_die("batch of %u records", records);
    }
    uint8_t *copy = bench_alloc(batch->len);
    memcpy(copy, batch->data, batch->len);
    batch->data = copy;
    produce->batch_len = batch->len;
    produce->record_count = records;
    free(value);
    el_batch_builder_destroy(&builder);
}

int bench_produce_batch(int fd, const char *topic, int32_t partition, struct el_slice batch)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    struct el_msg_produce_request request;
    struct el_msg_produce_response response;
    struct el_msg_produce_topic ask;
    struct el_msg_produce_partition part = {.index = partition, .records = batch};
    el_schema_init(&el_schema_produce_request, &request);
    el_schema_init(&el_schema_produce_topic, &ask);
    ask.name = el_slice_str(topic);
    ask.partition_data = &part;
    ask.partition_data_count = 1;
    request.acks = -1;
    request.timeout_ms = 30000;
    request.topic_data = &ask;
    request.topic_data_count = 1;
    bench_call(fd, EL_API_Produce, PRODUCE_VERSION, &request, &arena, &response);
    int error = response.response_count == 1 && response.responses[0].partition_response_count == 1
                    ? response.responses[0].partition_responses[0].error_code
                    : -1;
    el_arena_reset(&arena);
    return error;
}

void bench_produce_make(struct bench_produce *produce, const char *topic, int32_t partition, uint32_t records,
                        size_t value_len, int16_t acks)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    struct el_msg_produce_request request;
    struct el_msg_produce_topic ask;
    struct el_msg_produce_partition part = {.index = partition};
    *produce = (struct bench_produce){0};
    el_schema_init(&el_schema_produce_request, &request);
    el_schema_init(&el_schema_produce_topic, &ask);
    make_batch(produce, records, value_len, &part.records);
    ask.name = el_slice_str(topic);
    ask.partition_data = &part;
    ask.partition_data_count = 1;
    request.acks = acks;
    request.timeout_ms = 30000;
    request.topic_data = &ask;
    request.topic_data_count = 1;
    struct el_slice frame = build(EL_API_Produce, PRODUCE_VERSION, &request, &arena);
    uint8_t *copy = bench_alloc(frame.len);
    memcpy(copy, frame.data, frame.len);
    produce->frame = el_slice_of(copy, frame.len);
    /* prefix 4, correlation id 4, tags 1, count 1, name 1 + n, count 1, index 4 */
    produce->error_pos = 4 + 4 + 1 + 1 + 1 + strlen(topic) + 1 + 4;
    el_arena_reset(&arena);
    free((void *)(uintptr_t)part.records.data);
}
