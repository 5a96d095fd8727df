/* SPDX-License-Identifier: Apache-2.0
 *
 * Consumers that walk the headers of batches and open nothing: one connection and one partition each, the next fetch
 * when the last one has come.
 */
#include "bench.h"

#include <errno.h>
#include <format/batch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wire/frame.h>
#include <wire/msg_fetch.h>

#define FETCH_VERSION 12
#define PARTITION_BYTES_MAX (1 << 20) /* Kafka's default */
#define BUFFER_LEN (4u << 20)

struct reader {
    int fd;
    const char *topic;
    int32_t partition;
    int64_t offset; /* next wanted */
    int32_t wait_ms;
    uint64_t bytes;
    uint64_t events;
    uint64_t fetches;
    uint8_t *buf;
    size_t filled;
};

static void reader_ask(struct reader *r, struct el_arena *arena)
{
    struct el_msg_fetch_request request;
    struct el_msg_fetch_topic topic;
    struct el_msg_fetch_partition partition;
    el_schema_init(&el_schema_fetch_request, &request);
    el_schema_init(&el_schema_fetch_topic, &topic);
    el_schema_init(&el_schema_fetch_partition, &partition);
    partition.partition = r->partition;
    partition.fetch_offset = r->offset;
    partition.partition_max_bytes = PARTITION_BYTES_MAX;
    topic.topic = el_slice_str(r->topic);
    topic.partitions = &partition;
    topic.partition_count = 1;
    request.topics = &topic;
    request.topic_count = 1;
    request.max_wait_ms = r->wait_ms;
    request.min_bytes = 1;
    request.max_bytes = 50 << 20;
    struct el_request_header header = {.api = el_api_find(EL_API_Fetch), .version = FETCH_VERSION};
    struct el_slice frame;
    if (el_frame_build_request(arena, &header, &request, &frame) != 0 ||
        send(r->fd, frame.data, frame.len, MSG_NOSIGNAL) != (ssize_t)frame.len) {
        bench_die("fetch: %s", strerror(errno));
    }
    el_arena_reset(arena);
}

static void reader_take_records(struct reader *r, struct el_slice records)
{
    size_t pos = 0;
    while (pos < records.len) {
        struct el_batch_info info;
        if (el_batch_header(records.data + pos, records.len - pos, &info) != 0) {
            break;
        }
        r->offset = info.base_offset + info.last_offset_delta + 1;
        r->events += (uint64_t)info.record_count;
        pos += info.len;
    }
    r->bytes += pos;
}

/* Receive; true when a whole answer was taken. */
static bool reader_recv(struct reader *r, struct el_arena *arena)
{
    ssize_t n = recv(r->fd, r->buf + r->filled, BUFFER_LEN - r->filled, 0);
    if (n <= 0) {
        bench_die("evlogd closed a connection");
    }
    r->filled += (size_t)n;
    if (r->filled < 4 || r->filled < 4 + (size_t)el_get_be32(r->buf)) {
        return false;
    }
    const struct el_api *api = el_api_find(EL_API_Fetch);
    struct el_msg_fetch_response response;
    struct el_reader in;
    int32_t id;
    el_reader_init(&in, r->buf + 4, r->filled - 4);
    if (el_response_header_decode(&in, api, FETCH_VERSION, &id) != 0 ||
        el_api_decode(api, EL_SIDE_RESPONSE, FETCH_VERSION, &in, arena, &response) != 0 || response.error_code != 0 ||
        response.response_count != 1 || response.responses[0].partition_count != 1 ||
        response.responses[0].partitions[0].error_code != 0) {
        bench_die("fetch at offset %lld was refused", (long long)r->offset);
    }
    reader_take_records(r, response.responses[0].partitions[0].records);
    r->fetches++;
    r->filled = 0;
    el_arena_reset(arena);
    return true;
}

static void reader_open(struct reader *r, const struct bench_consume *run, int epoll_fd, uint32_t index)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = r};
    *r = (struct reader){.topic = run->topic, .wait_ms = run->wait_ms};
    r->partition = (int32_t)(index % run->partitions);
    r->fd = bench_connect(run->port, true);
    r->buf = bench_alloc(BUFFER_LEN);
    memset(r->buf, 1, BUFFER_LEN);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, r->fd, &event);
}

static void add_up(const struct bench_consume *run, const struct reader *readers, const struct bench_cpu *from,
                   const struct bench_cpu *to, struct bench_consume_result *result)
{
    *result = (struct bench_consume_result){.seconds = (double)(to->at_ns - from->at_ns) / 1e9,
                                            .broker_seconds = (double)(to->broker_ns - from->broker_ns) / 1e9,
                                            .others = bench_cpu_others(from, to)};
    for (uint32_t i = 0; i < run->readers; i++) {
        result->bytes += readers[i].bytes;
        result->events += readers[i].events;
        result->fetches += readers[i].fetches;
    }
}

void bench_consume_run(const struct bench_consume *run, struct bench_consume_result *result)
{
    struct reader *readers = bench_alloc(run->readers * sizeof *readers);
    struct el_arena arena;
    struct bench_cpu from, to;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    el_arena_init(&arena, NULL, 0);
    for (uint32_t i = 0; i < run->readers; i++) {
        reader_open(&readers[i], run, epoll_fd, i);
    }
    bench_wait_quiet(run->quiet_seconds);
    bench_cpu_read(&from, run->broker);
    uint64_t until_ns = from.at_ns + (uint64_t)(run->seconds * 1e9);
    uint32_t active = run->readers;
    for (uint32_t i = 0; i < run->readers; i++) {
        reader_ask(&readers[i], &arena);
    }
    while (active > 0 && bench_now_ns() < until_ns) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll_fd, events, 64, 100);
        for (int i = 0; i < n; i++) {
            struct reader *r = events[i].data.ptr;
            if (!reader_recv(r, &arena)) {
                continue;
            }
            if (run->end > 0 && r->offset >= run->end) {
                active--;
                epoll_ctl(epoll_fd, EPOLL_CTL_DEL, r->fd, NULL);
            } else {
                reader_ask(r, &arena);
            }
        }
    }
    bench_cpu_read(&to, run->broker);
    add_up(run, readers, &from, &to, result);
    for (uint32_t i = 0; i < run->readers; i++) {
        close(readers[i].fd);
        free(readers[i].buf);
    }
    close(epoll_fd);
    free(readers);
}
