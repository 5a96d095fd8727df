/* SPDX-License-Identifier: Apache-2.0
 *
 * Replay through the library: the whole log, a point in time, single streams.
 *
 * 1. A topic with streams is filled: events of 1 KB, not compressed, of many keys in turn.
 * 2. Limits of the same run: the disk's reads, a stream over loopback TCP, and the same log read by a consumer of the
 *    library that looks at nothing.
 * 3. The log is replayed from memory and page cache, then behind a restart with nothing cached.
 *
 * MB are of values, keys and headers; a replay also reads what frames them. Every row checks what it got: events,
 * keys, and that the same history has the same digest.
 */
#include "lib/bench.h"

#include <evlog/evlog.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VALUE_LEN 1000u
#define EVENTS_PER_KEY 20u
#define EVENTS_A_SECOND 64000u /* of --seconds: how much is filled */
#define STREAMS_READ 400u

struct replay_bench {
    struct bench_options options;
    struct bench_broker broker;
    struct evlog_client *client;
    uint64_t event_count, key_count;
    uint64_t log_bytes;
    int64_t middle_ns; /* append time when half was stored */
    uint8_t digest[32];
    double disk_mb, read_mb; /* limits */
};

static void check(int rc, const struct evlog_failure *failure, const char *what)
{
    if (rc < 0) {
        bench_die("%s: %s", what, failure->text);
    }
}

static void open_client(struct replay_bench *b)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_settings *settings;
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", b->broker.port);
    if (evlog_settings_new(&settings) != 0) {
        bench_die("out of memory");
    }
    check(evlog_settings_set(settings, "bootstrap.servers", address, &failure), &failure, "settings");
    check(evlog_settings_set(settings, "compression.type", "none", &failure), &failure, "settings");
    check(evlog_settings_set(settings, "linger.ms", "5", &failure), &failure, "settings");
    check(evlog_client_open(settings, &b->client, &failure), &failure, "client");
    evlog_settings_free(settings);
}

/* --- filling ------------------------------------------------------------------------------------------------------ */

#define KEY_LEN 15u

static void key_of(char key[KEY_LEN + 1], uint64_t number)
{
    snprintf(key, KEY_LEN + 1, "stream-%08u", (uint32_t)(number % 100000000));
}

static void publish(struct replay_bench *b, struct evlog_producer *producer, uint64_t index, uint8_t *value)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    const struct evlog_header type = {{"ce_type", 7}, {"Bench", 5}};
    char key[KEY_LEN + 1];
    key_of(key, index % b->key_count);
    memcpy(value, &index, sizeof index);
    message.topic = "replay";
    message.key = (struct evlog_bytes){key, KEY_LEN};
    message.value = (struct evlog_bytes){value, VALUE_LEN};
    message.headers = &type;
    message.header_count = 1;
    check(evlog_publish_async(producer, &message, NULL, NULL, &failure), &failure, "publish");
    b->log_bytes += VALUE_LEN + KEY_LEN + 12;
}

static int64_t now_since_1970_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fill(struct replay_bench *b)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_create_options topic = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    const struct evlog_setting streams = {"evlog.streams", "true"};
    struct evlog_producer *producer;
    uint8_t value[VALUE_LEN];
    topic.name = "replay";
    topic.partition_count = (int32_t)b->options.partitions;
    topic.settings = &streams;
    topic.setting_count = 1;
    check(evlog_topic_create(b->client, &topic, &failure), &failure, "topic");
    check(evlog_producer_open(b->client, &producer, &failure), &failure, "producer");
    memset(value, 'x', sizeof value);
    for (uint64_t i = 0; i < b->event_count; i++) {
        if (i == b->event_count / 2) {
            check(evlog_flush(producer, -1, &failure), &failure, "flush");
            b->middle_ns = now_since_1970_ns();
        }
        publish(b, producer, i, value);
    }
    check(evlog_flush(producer, -1, &failure), &failure, "flush");
    evlog_producer_close(producer);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

struct timing {
    double seconds;
    double others;
};

static void print_row(const struct replay_bench *b, const char *name, const struct timing *t, uint64_t events)
{
    double mb = (double)b->log_bytes * ((double)events / (double)b->event_count) / 1e6;
    printf("%-38s %9.1f %12.0f %8.0f%% %8.0f%% %7.0f%%\n", name, mb / t->seconds, (double)events / t->seconds,
           b->disk_mb > 0 ? mb / t->seconds / b->disk_mb * 100 : 0,
           b->read_mb > 0 ? mb / t->seconds / b->read_mb * 100 : 0, t->others * 100);
    fflush(stdout);
}

/* The quietest of several runs of something. */
static void measure(struct replay_bench *b, void (*run)(struct replay_bench *b, void *arg), void *arg, uint32_t repeats,
                    struct timing *best)
{
    *best = (struct timing){.others = 2};
    for (uint32_t i = 0; i < repeats && best->others > 0.12; i++) {
        struct bench_cpu from, to;
        bench_wait_quiet(b->options.quiet_seconds);
        bench_cpu_read(&from, b->broker.pid);
        run(b, arg);
        bench_cpu_read(&to, b->broker.pid);
        double others = bench_cpu_others(&from, &to);
        if (others < best->others) {
            *best = (struct timing){(double)(to.at_ns - from.at_ns) / 1e9, others};
        }
    }
}

static void read_alone(struct replay_bench *b, void *arg)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_consumer_options options = EVLOG_CONSUMER_OPTIONS_INIT;
    struct evlog_consumer *consumer;
    const struct evlog_event *event;
    uint64_t count = 0;
    int rc;
    (void)arg;
    options.topic = "replay";
    check(evlog_consumer_open(b->client, &options, &consumer, &failure), &failure, "consumer");
    for (int32_t i = 0; i < (int32_t)b->options.partitions; i++) {
        int64_t end;
        check(evlog_offset_at(b->client, "replay", i, EVLOG_OFFSET_LATEST, &end, &failure), &failure, "offset");
        check(evlog_consumer_assign(consumer, i, 0, end, &failure), &failure, "assign");
    }
    while ((rc = evlog_consumer_next(consumer, -1, &event, &failure)) == 1) {
        count++;
    }
    check(rc, &failure, "read");
    evlog_consumer_close(consumer);
    if (count != b->event_count) {
        bench_die("%llu events read, not %llu", (unsigned long long)count, (unsigned long long)b->event_count);
    }
}

struct replay_ask {
    bool fold, half;
    bool sets_digest; /* the first one says what the others must have */
};

static void replay(struct replay_bench *b, void *arg)
{
    const struct replay_ask *ask = arg;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_replay_options options = EVLOG_REPLAY_OPTIONS_INIT;
    struct evlog_replay_summary summary = EVLOG_REPLAY_SUMMARY_INIT;
    options.topic = "replay";
    options.fold_latest = ask->fold;
    options.until_ns = ask->half ? b->middle_ns : EVLOG_TIME_NONE;
    check(evlog_replay_run(b->client, &options, &summary, &failure), &failure, "replay");
    uint64_t events = ask->half ? b->event_count / 2 : b->event_count;
    if (summary.event_count != events || summary.key_count != b->key_count ||
        (ask->fold && summary.live_count != b->key_count)) {
        bench_die("a replay of %llu events and %llu keys", (unsigned long long)summary.event_count,
                  (unsigned long long)summary.key_count);
    }
    if (ask->sets_digest) {
        memcpy(b->digest, summary.digest, sizeof b->digest);
    } else if (!ask->half && memcmp(b->digest, summary.digest, sizeof b->digest) != 0) {
        bench_die("two replays of one history have two digests");
    }
}

static void replay_row(struct replay_bench *b, const char *name, struct replay_ask ask, uint32_t repeats)
{
    struct timing timing;
    if (bench_row_wanted(&b->options, name) || ask.sets_digest) {
        measure(b, replay, &ask, repeats, &timing);
        print_row(b, name, &timing, ask.half ? b->event_count / 2 : b->event_count);
    }
}

/* Single streams, each by a replay of its key. */
static void streams_row(struct replay_bench *b, const char *name)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct bench_histogram *times = bench_alloc(sizeof *times);
    char key[KEY_LEN + 1];
    if (!bench_row_wanted(&b->options, name)) {
        free(times);
        return;
    }
    uint64_t reads = b->key_count < STREAMS_READ ? b->key_count : STREAMS_READ;
    for (uint64_t i = 0; i < reads; i++) {
        struct evlog_replay_options options = EVLOG_REPLAY_OPTIONS_INIT;
        struct evlog_replay_summary summary = EVLOG_REPLAY_SUMMARY_INIT;
        key_of(key, i * 7919 % b->key_count);
        options.topic = "replay";
        options.key = (struct evlog_bytes){key, KEY_LEN};
        uint64_t begin_ns = bench_now_ns();
        check(evlog_replay_run(b->client, &options, &summary, &failure), &failure, "replay of a stream");
        bench_histogram_add(times, bench_now_ns() - begin_ns);
        if (!summary.indexed || summary.event_count != EVENTS_PER_KEY) {
            bench_die("stream %s has %llu events", key, (unsigned long long)summary.event_count);
        }
    }
    printf("%-38s p50 %.0f us, p99 %.0f us for %u events\n", name, bench_histogram_us(times, 0.5),
           bench_histogram_us(times, 0.99), EVENTS_PER_KEY);
    fflush(stdout);
    free(times);
}

static void restart_cold(struct replay_bench *b)
{
    evlog_client_close(b->client);
    bench_broker_restart_cold(&b->broker);
    open_client(b);
}

static void cold_rows(struct replay_bench *b)
{
    const struct {
        const char *name;
        struct replay_ask ask;
    } rows[] = {
        {"cold: digest of the whole log", {.fold = false}},
        {"cold: state as of the middle", {.fold = true, .half = true}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (bench_row_wanted(&b->options, rows[i].name)) {
            restart_cold(b);
            replay_row(b, rows[i].name, rows[i].ask, 1);
        }
    }
    if (bench_row_wanted(&b->options, "cold: streams by the index")) {
        restart_cold(b);
        streams_row(b, "cold: streams by the index");
    }
}

int main(int argc, char **argv)
{
    static struct replay_bench b;
    struct bench_limit disk;
    struct bench_stream_limit stream;
    struct timing timing;
    bench_options_parse(&b.options, argc, argv, "Replay: the whole log, a point in time, single streams.");
    b.key_count = (uint64_t)(b.options.seconds * EVENTS_A_SECOND) / EVENTS_PER_KEY;
    b.key_count = b.key_count < 100 ? 100 : b.key_count;
    b.event_count = b.key_count * EVENTS_PER_KEY;
    bench_pin_self(&b.options);
    bench_limit_read(b.options.data, 131072, 8, 1, &disk);
    bench_limit_stream(&b.options, BENCH_STREAM_MEMORY, 1, &stream);
    bench_broker_start(&b.broker, &b.options);
    open_client(&b);
    fill(&b);
    b.disk_mb = disk.mb_per_second;
    printf("%s\nlimit: disk reads of 128 KiB, 8 in flight: %.0f MB/s\nlimit: a stream over loopback TCP: %.0f MB/s\n",
           b.broker.ready, disk.mb_per_second, stream.mb_per_second);
    printf("%llu events of %llu keys, %.0f MB\n", (unsigned long long)b.event_count, (unsigned long long)b.key_count,
           (double)b.log_bytes / 1e6);
    printf("%-38s %9s %12s %9s %9s %8s\n", "replay", "MB/s", "events/s", "of disk", "of read", "others");
    measure(&b, read_alone, NULL, b.options.repeats, &timing);
    b.read_mb = (double)b.log_bytes / 1e6 / timing.seconds;
    print_row(&b, "limit: read by a consumer", &timing, b.event_count);
    replay_row(&b, "digest of the whole log", (struct replay_ask){.sets_digest = true}, b.options.repeats);
    replay_row(&b, "state of the whole log", (struct replay_ask){.fold = true}, b.options.repeats);
    replay_row(&b, "state as of the middle", (struct replay_ask){.fold = true, .half = true}, b.options.repeats);
    streams_row(&b, "streams by the index");
    cold_rows(&b);
    evlog_client_close(b.client);
    bench_broker_end(&b.broker);
    return 0;
}
