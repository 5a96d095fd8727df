/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog bench append: how fast streams are appended to with exact versions.
 *
 * Writers are threads; each has streams of its own and appends to one after the other, with the version that the stream
 * must have and an id of its own, waiting for each answer. So every append is checked, and none may fail.
 */
#include "bench_report.h"
#include "cli.h"

#include <core/alloc.h>
#include <core/rng.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define COUNT_MAX 10000000
#define VALUE_LEN_MAX (1 << 20)
#define WRITERS_MAX 1024
#define STREAMS_MAX 10000000
#define KEY_LEN 64

struct append_bench {
    struct cli *cli;
    const char *topic;
    const char *floor_dir;
    int64_t count, value_len, writer_count, stream_count, partition_count;
    bool create;
    char *value;  /* [value_len], JSON */
    uint64_t run; /* drawn, so that streams of another run are others */
};

struct writer {
    struct append_bench *bench;
    pthread_t thread;
    int64_t first, streams, count; /* streams first .. first + streams, appends */
    struct bench_times times;
    int rc;
    struct evlog_failure failure;
};

/* Append to the writer's streams in turn: round r expects version r - 1. */
static void *write_all(void *arg)
{
    struct writer *w = arg;
    struct append_bench *b = w->bench;
    char key[KEY_LEN];
    struct evlog_new_event event = {
        .type = "bench.appended",
        .content_type = "application/json",
        .data = {b->value, (size_t)b->value_len},
    };
    struct evlog_append append = EVLOG_APPEND_INIT;
    append.topic = b->topic;
    append.events = &event;
    append.event_count = 1;
    for (int64_t i = 0; w->rc == 0 && i < w->count && !cli_interrupted; i++) {
        int64_t round = i / w->streams, stream = w->first + i % w->streams;
        int len = snprintf(key, sizeof key, "bench-%016llx-%lld", (unsigned long long)b->run, (long long)stream);
        append.key = (struct evlog_bytes){key, (size_t)len};
        append.expected = round == 0 ? EVLOG_EXPECT_NONE : round - 1;
        int64_t from_ns = bench_now_ns();
        w->rc = evlog_append(b->cli->client, &append, NULL, &w->failure);
        if (w->rc == 0) {
            bench_note(&w->times, from_ns);
        }
    }
    return NULL;
}

static int start(struct append_bench *b, struct writer *writers)
{
    for (int64_t i = 0; i < b->writer_count; i++) {
        struct writer *w = &writers[i];
        w->bench = b;
        w->failure.size = sizeof w->failure;
        w->first = i * b->stream_count / b->writer_count;
        w->streams = (i + 1) * b->stream_count / b->writer_count - w->first;
        w->count = (i + 1) * b->count / b->writer_count - i * b->count / b->writer_count;
        w->times.room = w->count;
        w->times.us = el_malloc(((size_t)w->count + 1) * sizeof *w->times.us);
        if (w->times.us == NULL || pthread_create(&w->thread, NULL, write_all, w) != 0) {
            el_free(w->times.us);
            w->times.us = NULL;
            b->writer_count = i;
            return cli_error(b->cli, CLI_ERR_VALUE, "no memory or thread for %lld writers", (long long)i + 1);
        }
    }
    return CLI_OK;
}

/* Wait for the writers and gather their times. returns an exit code, told */
static int finish(struct append_bench *b, struct writer *writers, struct bench_times *times)
{
    int rc = CLI_OK;
    for (int64_t i = 0; i < b->writer_count; i++) {
        struct writer *w = &writers[i];
        (void)pthread_join(w->thread, NULL);
        if (w->rc != 0 && rc == CLI_OK) {
            rc = cli_failure(b->cli, &w->failure);
        }
        memcpy(times->us + times->count, w->times.us, (size_t)w->times.count * sizeof *times->us);
        times->count += w->times.count;
        el_free(w->times.us);
    }
    return rc;
}

static int run_writers(struct append_bench *b)
{
    struct writer *writers = el_calloc((size_t)b->writer_count, sizeof *writers);
    struct bench_times times = {.us = el_malloc((size_t)b->count * sizeof *times.us), .room = b->count};
    if (writers == NULL || times.us == NULL) {
        el_free(writers);
        el_free(times.us);
        return cli_error(b->cli, CLI_ERR_VALUE, "no memory");
    }
    int64_t began_ns = bench_now_ns();
    int rc = start(b, writers);
    int its = finish(b, writers, &times);
    rc = rc == CLI_OK ? its : rc;
    struct bench_result result = {
        .what = "append",
        .floor_dir = b->floor_dir,
        .event_count = times.count,
        .value_len = b->value_len,
        .seconds = (double)(bench_now_ns() - began_ns) / BENCH_NS_PER_S,
    };
    rc = rc == CLI_OK ? bench_report(b->cli, &result, &times) : rc;
    el_free(writers);
    el_free(times.us);
    return rc;
}

static int make_topic(struct append_bench *b)
{
    static const struct evlog_setting settings[] = {{"evlog.streams", "true"}};
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    options.name = b->topic;
    options.partition_count = (int32_t)b->partition_count;
    options.settings = settings;
    options.setting_count = 1;
    int rc = evlog_topic_create(b->cli->client, &options, &failure);
    return rc == 0 || rc == EVLOG_ERR_TOPIC_EXISTS ? CLI_OK : cli_failure(b->cli, &failure);
}

static int run(struct append_bench *b)
{
    struct el_rng rng;
    if (b->count < 1 || b->count > COUNT_MAX || b->value_len < 2 || b->value_len > VALUE_LEN_MAX ||
        b->writer_count < 1 || b->writer_count > WRITERS_MAX || b->stream_count < b->writer_count ||
        b->stream_count > STREAMS_MAX || b->partition_count == 0 || b->partition_count > INT32_MAX) {
        return cli_error(
            b->cli, CLI_ERR_VALUE,
            "-n takes 1 to %d, -s 2 to %d, -w 1 to %d, and --streams as many as there are writers, or more", COUNT_MAX,
            VALUE_LEN_MAX, WRITERS_MAX);
    }
    b->value = el_malloc((size_t)b->value_len);
    if (b->value == NULL) {
        return cli_error(b->cli, CLI_ERR_VALUE, "no memory");
    }
    el_rng_seed(&rng, (uint64_t)bench_now_ns() ^ (uint64_t)getpid() << 32);
    b->run = el_rng_next(&rng);
    memset(b->value, '"', (size_t)b->value_len);
    for (int64_t i = 1; i < b->value_len - 1; i++) {
        b->value[i] = (char)('a' + el_rng_below(&rng, 26));
    }
    int rc = cli_connect(b->cli);
    if (rc == CLI_OK && b->create) {
        rc = make_topic(b);
    }
    rc = rc == CLI_OK ? run_writers(b) : rc;
    el_free(b->value);
    return rc;
}

int cmd_bench_append(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct append_bench b = {
        .cli = cli,
        .count = 10000,
        .value_len = 256,
        .writer_count = 8,
        .stream_count = 1000,
        .partition_count = -1,
    };
    const struct cli_option options[] = {
        {"count", 'n', CLI_INT, &b.count, "N", "events (10000)"},
        {"size", 's', CLI_INT, &b.value_len, "BYTES", "of a value (256)"},
        {"writers", 'w', CLI_INT, &b.writer_count, "N", "threads, each waiting for its answer (8)"},
        {"streams", 0, CLI_INT, &b.stream_count, "N", "streams that are appended to in turn (1000)"},
        {"create", 0, CLI_FLAG, &b.create, NULL, "make the topic when it is not there"},
        {"partitions", 'p', CLI_INT, &b.partition_count, "N", "of a topic that is made"},
        {"floor", 0, CLI_TEXT, &b.floor_dir, "DIR", "time synced writes there too, for comparison"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        b.topic = words.items[0];
        rc = run(&b);
    }
    return rc;
}
