/* SPDX-License-Identifier: Apache-2.0
 *
 * Consuming: from the start while the log is in memory, from the start behind a restart with nothing cached, and at the
 * tail behind a producer. Records are not opened by the reader; it walks the headers of the batches.
 */
#include "lib/bench.h"

#include <core/assert.h>
#include <errno.h>
#include <format/batch.h>
#include <pthread.h>
#include <stdio.h>
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

struct fetch_run {
    const struct bench_options *options;
    struct bench_broker broker;
    const char *topic;
    uint32_t readers;
    int64_t end; /* stop there; 0: when time is over */
    int32_t wait_ms;
    volatile bool *stop; /* set at the end, for the producer */
};

static void reader_open(struct reader *r, const struct fetch_run *run, int epoll_fd, uint32_t index)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = r};
    *r = (struct reader){.topic = run->topic, .wait_ms = run->wait_ms};
    r->partition = (int32_t)(index % run->options->partitions);
    r->fd = bench_connect(run->broker.port, true);
    r->buf = bench_alloc(BUFFER_LEN);
    memset(r->buf, 1, BUFFER_LEN);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, r->fd, &event);
}

static void print_result(const char *name, const struct reader *readers, uint32_t count, const struct bench_cpu *from,
                         const struct bench_cpu *to, const char *note)
{
    double bytes = 0, events = 0, fetches = 0, seconds = (double)(to->at_ns - from->at_ns) / 1e9;
    for (uint32_t i = 0; i < count; i++) {
        bytes += (double)readers[i].bytes;
        events += (double)readers[i].events;
        fetches += (double)readers[i].fetches;
    }
    printf("%-34s %9.1f %12.0f %9.0f %9.3f %6.0f%%  %s\n", name, bytes / seconds / 1e6, events / seconds,
           bytes / fetches / 1024, (double)(to->broker_ns - from->broker_ns) / bytes, bench_cpu_others(from, to) * 100,
           note);
}

static void run_readers(const struct fetch_run *run, const char *name, const char *note)
{
    struct reader *readers = bench_alloc(run->readers * sizeof *readers);
    struct el_arena arena;
    struct bench_cpu from, to;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    el_arena_init(&arena, NULL, 0);
    for (uint32_t i = 0; i < run->readers; i++) {
        reader_open(&readers[i], run, epoll_fd, i);
    }
    bench_wait_quiet(run->end > 0 ? run->options->quiet_seconds : 0);
    bench_cpu_read(&from, run->broker.pid);
    uint64_t until_ns = from.at_ns + (uint64_t)(run->options->seconds * 1e9);
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
    bench_cpu_read(&to, run->broker.pid);
    print_result(name, readers, run->readers, &from, &to, note);
    for (uint32_t i = 0; i < run->readers; i++) {
        close(readers[i].fd);
        free(readers[i].buf);
    }
    close(epoll_fd);
    free(readers);
}

/* bytes of batches in each partition of a topic; returns its end offset */
static int64_t fill(struct fetch_run *run, const char *topic, uint32_t records, size_t value_len, uint64_t bytes)
{
    struct bench_produce produces[BENCH_PARTITION_MAX];
    uint32_t partitions = run->options->partitions;
    int fd = bench_connect(run->broker.port, true);
    bench_topic_create(fd, topic, partitions, false);
    close(fd);
    EL_ASSERT(partitions > 0);
    for (uint32_t p = 0; p < partitions; p++) {
        bench_produce_make(&produces[p], topic, (int32_t)p, records, value_len, -1);
    }
    uint64_t batches = bytes / produces[0].batch_len;
    for (uint32_t p = 0; p < partitions; p++) {
        struct bench_load load = {.port = run->broker.port,
                                  .produces = &produces[p],
                                  .produce_count = 1,
                                  .conns = 8,
                                  .depth = 8,
                                  .request_count = batches,
                                  .broker = run->broker.pid};
        struct bench_load_result result;
        bench_load_run(&load, &result);
    }
    return (int64_t)(batches * records);
}

static void *produce_main(void *arg)
{
    struct bench_load_result result;
    bench_load_run(arg, &result);
    return NULL;
}

static void run_tail(struct fetch_run *run, uint32_t readers)
{
    char topic[32], name[64];
    struct bench_produce produce;
    volatile bool stop = false;
    pthread_t thread;
    snprintf(topic, sizeof topic, "tail-%u", readers);
    snprintf(name, sizeof name, "tail, %u consumer%s, 64 KiB batches", readers, readers == 1 ? "" : "s");
    int fd = bench_connect(run->broker.port, true);
    bench_topic_create(fd, topic, run->options->partitions, false);
    close(fd);
    bench_produce_make(&produce, topic, 0, 64, 1010, -1);
    struct bench_load load = {.port = run->broker.port,
                              .produces = &produce,
                              .produce_count = 1,
                              .conns = 1,
                              .depth = 4,
                              .seconds = run->options->seconds + 1,
                              .stop = &stop,
                              .broker = run->broker.pid};
    if (pthread_create(&thread, NULL, produce_main, &load) != 0) {
        bench_die("thread");
    }
    struct fetch_run tail = *run;
    tail.topic = topic;
    tail.readers = readers;
    tail.end = 0;
    tail.wait_ms = 500;
    run_readers(&tail, name, "cpu counts the producing as well");
    stop = true;
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    static struct fetch_run run;
    struct bench_options options;
    struct bench_limit disk;
    struct bench_stream_limit stream, copied;
    bench_options_parse(&options, argc, argv, "Consuming from the start, cold and at the tail.");
    run.options = &options;
    bench_pin_self(&options);
    bench_limit_read(options.data, 131072, 8, 1, &disk);
    bench_broker_start(&run.broker, &options);
    bench_limit_stream(&options, BENCH_STREAM_MEMORY, 1, &stream);
    bench_limit_stream(&options, BENCH_STREAM_COPIED, 1, &copied);
    printf("%s\nlimit: disk reads of 128 KiB, 8 in flight: %.0f MB/s\n", run.broker.ready, disk.mb_per_second);
    printf("limit: a stream over loopback TCP: %.0f MB/s and %.2f cpu s/GB of its sender, %.0f and %.2f when the bytes "
           "are copied once before\n",
           stream.mb_per_second, stream.cpu_per_gb, copied.mb_per_second, copied.cpu_per_gb);
    printf("%-34s %9s %12s %9s %9s %7s\n", "consume", "MB/s", "events/s", "KiB/fetch", "cpu s/GB", "others");
    if (bench_row_wanted(&options, "tail")) {
        run_tail(&run, 1);
        run_tail(&run, 4);
    }
    run.readers = options.partitions;
    static const struct {
        const char *name;
        const char *topic;
        uint32_t records;
        size_t value_len;
        uint64_t bytes;
    } logs[] = {
        {"from start, in memory, 100 B", "small", 1000, 100, 96u << 20},
        {"from start, in memory, 1 KiB", "large", 64, 1010, 96u << 20},
        {"from start, in memory, 256 B alone", "alone", 1, 256, 32u << 20},
        {"from start, cold, 1 KiB", "cold", 64, 1010, 512u << 20},
    };
    for (size_t i = 0; i < 4; i++) {
        if (!bench_row_wanted(&options, logs[i].name)) {
            continue;
        }
        run.topic = logs[i].topic;
        run.end = fill(&run, logs[i].topic, logs[i].records, logs[i].value_len, logs[i].bytes);
        if (i == 3) {
            bench_broker_restart_cold(&run.broker);
            run_readers(&run, logs[i].name, "restarted, caches dropped");
            run_readers(&run, "from start, again, 1 KiB", "in the kernel's page cache");
        } else {
            run_readers(&run, logs[i].name, "");
        }
    }
    bench_broker_end(&run.broker);
    return 0;
}
