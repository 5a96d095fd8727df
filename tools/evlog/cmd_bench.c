/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog bench produce | consume | e2e | latency: how fast this client and that server are together.
 *
 * produce   publishes as fast as it can (or --rate), and times each event from publish to acknowledgement
 * latency   publishes one event after the other, each waiting for its acknowledgement
 * consume   reads events that are there
 * e2e       publishes at a rate and reads at the same time: each event is timed from publish to reader
 *
 * --floor DIR times small synced writes in a directory beside the result: what the device itself takes, when DIR lies
 * on the server's disk. All times are kept and sorted, so that percentiles are exact. Events of a bench stay in the
 * topic.
 */
#include "bench_report.h"
#include "cli.h"
#include "publishing.h"

#include <core/alloc.h>
#include <core/rng.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 10000000
#define VALUE_LEN_MAX (16 << 20)
#define STAMP_LEN 16 /* run and time at the head of a value */
#define WAIT_MS 1000
#define LATE_MS 30000 /* without any event, a bench gives up */
#define NS_PER_S BENCH_NS_PER_S
#define PROGRESS_EVENTS 1024

struct bench {
    struct cli *cli;
    const char *topic;
    const char *floor_dir;
    int64_t count;
    int64_t value_len;
    int64_t rate; /* events a second, 0: as fast as it goes */
    bool create;
    int64_t partition_count;
    struct evlog_producer *producer;
    uint8_t *value; /* [value_len] */
    struct bench_times times;
    uint64_t run; /* drawn, so that events of another run are told apart */
    int64_t failed_count;
    struct evlog_failure failure; /* of the first that failed */
};

/* One event on its way. */
struct shot {
    struct bench *bench;
    int64_t sent_ns;
};

static int report(struct bench *b, const char *what, int64_t event_count, double seconds)
{
    struct bench_result result = {what, b->floor_dir, event_count, b->failed_count, b->value_len, seconds};
    return bench_report(b->cli, &result, &b->times);
}

/* --- publishing -------------------------------------------------------------------------------------------------- */

static void stamp(struct bench *b, int64_t sent_ns)
{
    memcpy(b->value, &b->run, sizeof b->run);
    memcpy(b->value + sizeof b->run, &sent_ns, sizeof sent_ns);
}

static void on_delivery(void *arg, const struct evlog_receipt *receipt, const struct evlog_failure *failure)
{
    struct shot *shot = arg;
    struct bench *b = shot->bench;
    if (receipt != NULL) {
        bench_note(&b->times, shot->sent_ns);
    } else {
        b->failure = b->failed_count == 0 ? *failure : b->failure;
        b->failed_count++;
    }
    el_free(shot);
}

/* Of an event that nobody times. */
static void on_refusal(void *arg, const struct evlog_receipt *receipt, const struct evlog_failure *failure)
{
    struct bench *b = arg;
    if (receipt == NULL) {
        b->failure = b->failed_count == 0 ? *failure : b->failure;
        b->failed_count++;
    }
}

/* Publish one event without waiting. timed: note when it is acknowledged. returns an exit code, told */
static int fire(struct bench *b, bool timed)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    struct shot *shot = timed ? el_malloc(sizeof *shot) : NULL;
    if (timed && shot == NULL) {
        return cli_error(b->cli, CLI_ERR_VALUE, "no memory");
    }
    int64_t sent_ns = bench_now_ns();
    if (timed) {
        *shot = (struct shot){b, sent_ns};
    }
    stamp(b, sent_ns);
    message.topic = b->topic;
    message.value = (struct evlog_bytes){b->value, (size_t)b->value_len};
    if (evlog_publish_async(b->producer, &message, timed ? on_delivery : on_refusal, timed ? (void *)shot : b,
                            &failure) != 0) {
        el_free(shot);
        return cli_failure(b->cli, &failure);
    }
    (void)evlog_poll(b->producer, 0);
    return CLI_OK;
}

/* Wait until event number i is due. */
static void pace(const struct bench *b, int64_t began_ns, int64_t i)
{
    if (b->rate <= 0) {
        return;
    }
    int64_t due_ns = began_ns + (int64_t)((double)i * (double)NS_PER_S / (double)b->rate);
    int64_t left_ns = due_ns - bench_now_ns();
    while (left_ns > 0 && !cli_interrupted) {
        (void)evlog_poll(b->producer, (int)EL_MIN(left_ns / 1000000, 100));
        if (left_ns < 1000000) {
            struct timespec rest = {0, (long)left_ns};
            (void)nanosleep(&rest, NULL);
        }
        left_ns = due_ns - bench_now_ns();
    }
}

static int run_produce(struct bench *b)
{
    int64_t began_ns = bench_now_ns(), sent = 0;
    int rc = CLI_OK;
    for (; rc == CLI_OK && sent < b->count && !cli_interrupted && b->failed_count == 0; sent++) {
        pace(b, began_ns, sent);
        rc = fire(b, true);
        if (sent % PROGRESS_EVENTS == 0) {
            cli_progress(b->cli, "published", (uint64_t)sent, (uint64_t)b->count);
        }
    }
    (void)evlog_flush(b->producer, -1, NULL);
    while (evlog_poll(b->producer, 0) > 0) {
    }
    double seconds = (double)(bench_now_ns() - began_ns) / NS_PER_S;
    cli_progress_end(b->cli);
    if (rc == CLI_OK && b->failed_count > 0) {
        rc = cli_failure(b->cli, &b->failure);
    }
    int its = report(b, "produce", b->times.count, seconds);
    return rc != CLI_OK ? rc : its;
}

static int run_latency(struct bench *b)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int64_t began_ns = bench_now_ns(), done = 0;
    for (; done < b->count && !cli_interrupted; done++) {
        struct evlog_message message = EVLOG_MESSAGE_INIT;
        pace(b, began_ns, done);
        int64_t sent_ns = bench_now_ns();
        stamp(b, sent_ns);
        message.topic = b->topic;
        message.value = (struct evlog_bytes){b->value, (size_t)b->value_len};
        if (evlog_publish(b->producer, &message, NULL, &failure) != 0) {
            cli_progress_end(b->cli);
            return cli_failure(b->cli, &failure);
        }
        bench_note(&b->times, sent_ns);
        cli_progress(b->cli, "published", (uint64_t)done, (uint64_t)b->count);
    }
    cli_progress_end(b->cli);
    return report(b, "latency", done, (double)(bench_now_ns() - began_ns) / NS_PER_S);
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static int open_reader(struct bench *b, int64_t place, struct evlog_consumer **consumer)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_consumer_options options = EVLOG_CONSUMER_OPTIONS_INIT;
    options.topic = b->topic;
    int rc = evlog_consumer_open(b->cli->client, &options, consumer, &failure);
    for (int32_t i = 0; rc == 0 && i < evlog_consumer_partition_count(*consumer); i++) {
        rc = evlog_consumer_assign(*consumer, i, place, -1, &failure);
    }
    return rc == 0 ? CLI_OK : cli_failure(b->cli, &failure);
}

static int run_consume(struct bench *b)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_consumer *consumer = NULL;
    const struct evlog_event *event;
    int rc = open_reader(b, EVLOG_OFFSET_EARLIEST, &consumer);
    int64_t began_ns = bench_now_ns(), count = 0, len = 0, last_ns = began_ns;
    while (rc == CLI_OK && count < b->count && !cli_interrupted) {
        int its = evlog_consumer_next(consumer, WAIT_MS, &event, &failure);
        if (its == 0) {
            break; /* that was all */
        }
        if (its < 0) {
            rc = cli_failure(b->cli, &failure);
            break;
        }
        len += (int64_t)event->value.len;
        last_ns = ++count % PROGRESS_EVENTS == 0 || count == b->count ? bench_now_ns() : last_ns;
        if (count % PROGRESS_EVENTS == 0) {
            cli_progress(b->cli, "read", (uint64_t)count, (uint64_t)b->count);
        }
    }
    cli_progress_end(b->cli);
    evlog_consumer_close(consumer);
    if (rc != CLI_OK) {
        return rc;
    }
    if (count < b->count) {
        cli_say(b->cli, "the topic holds %lld events", (long long)count);
    }
    b->value_len = count == 0 ? 0 : len / count;
    return report(b, "consume", count, (double)(last_ns - began_ns) / NS_PER_S);
}

/* Take what has come. returns an exit code, told */
static int take(struct bench *b, struct evlog_consumer *consumer, int timeout_ms)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_event *event;
    int rc = evlog_consumer_next(consumer, timeout_ms, &event, &failure);
    for (; rc == 1; rc = evlog_consumer_next(consumer, 0, &event, &failure)) {
        uint64_t run;
        int64_t sent_ns;
        if (event->value.len < STAMP_LEN) {
            continue;
        }
        memcpy(&run, event->value.data, sizeof run);
        memcpy(&sent_ns, (const uint8_t *)event->value.data + sizeof run, sizeof sent_ns);
        if (run == b->run) {
            bench_note(&b->times, sent_ns);
        }
    }
    return rc < 0 ? cli_failure(b->cli, &failure) : CLI_OK;
}

static int run_e2e(struct bench *b)
{
    struct evlog_consumer *consumer = NULL;
    int rc = open_reader(b, EVLOG_OFFSET_LATEST, &consumer);
    int64_t began_ns = bench_now_ns(), sent = 0, late_ns = 0;
    while (rc == CLI_OK && b->times.count < b->count && !cli_interrupted) {
        int64_t due_ns = began_ns + (int64_t)((double)sent * (double)NS_PER_S / (double)b->rate);
        int64_t before = b->times.count, left_ms = (due_ns - bench_now_ns()) / 1000000;
        if (sent < b->count && left_ms <= 0) {
            rc = fire(b, false);
            sent++;
            continue;
        }
        rc = take(b, consumer, sent < b->count ? (int)EL_MIN(left_ms, WAIT_MS) : WAIT_MS);
        (void)evlog_poll(b->producer, 0);
        if (rc == CLI_OK && b->failed_count > 0 && b->failure.error_class == EVLOG_CLASS_CALLER) {
            rc = cli_failure(b->cli, &b->failure); /* the others will not come either */
        }
        late_ns = b->times.count > before || sent < b->count ? bench_now_ns() : late_ns;
        if (rc == CLI_OK && bench_now_ns() - late_ns > LATE_MS * 1000000ll) {
            rc = cli_error(b->cli, CLI_ERR_PARTIAL, "%lld of %lld events came", (long long)b->times.count,
                           (long long)b->count);
        }
        cli_progress(b->cli, "came", (uint64_t)b->times.count, (uint64_t)b->count);
    }
    double seconds = (double)(bench_now_ns() - began_ns) / NS_PER_S;
    cli_progress_end(b->cli);
    evlog_consumer_close(consumer);
    int its = rc == CLI_OK ? report(b, "e2e", b->times.count, seconds) : rc;
    return its;
}

/* --- commands ---------------------------------------------------------------------------------------------------- */

static int prepare(struct bench *b, bool publishes)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct el_rng rng;
    b->failure.size = sizeof b->failure;
    b->value = el_malloc((size_t)EL_MAX(b->value_len, STAMP_LEN));
    b->times.us = el_malloc((size_t)b->count * sizeof *b->times.us);
    b->times.room = b->count;
    if (b->value == NULL || b->times.us == NULL) {
        return cli_error(b->cli, CLI_ERR_VALUE, "no memory");
    }
    el_rng_seed(&rng, (uint64_t)bench_now_ns() ^ (uint64_t)getpid() << 32);
    b->run = el_rng_next(&rng);
    for (int64_t i = 0; i < b->value_len; i++) {
        b->value[i] = (uint8_t)(' ' + el_rng_below(&rng, 64)); /* compresses about as text does */
    }
    int rc = cli_connect(b->cli);
    if (rc == CLI_OK) {
        rc = publishing_topic(b->cli, b->topic, b->create, b->partition_count);
    }
    if (rc == CLI_OK && publishes && evlog_producer_open(b->cli->client, &b->producer, &failure) != 0) {
        rc = cli_failure(b->cli, &failure);
    }
    return rc;
}

struct kind {
    int64_t count;
    int64_t rate;
    bool publishes;
    int (*run)(struct bench *b);
};

static int bench(struct cli *cli, const struct cli_command *command, const struct kind *kind, int argc, char **argv)
{
    struct bench b = {
        .cli = cli,
        .count = kind->count,
        .rate = kind->rate,
        .value_len = 256,
        .partition_count = -1,
    };
    const struct cli_option options[] = {
        {"count", 'n', CLI_INT, &b.count, "N", "events"},
        {"size", 's', CLI_INT, &b.value_len, "BYTES", "of a value (256)"},
        {"rate", 'r', CLI_INT, &b.rate, "N", "events a second; 0: as fast as it goes"},
        {"create", 0, CLI_FLAG, &b.create, NULL, "make the topic when it is not there"},
        {"partitions", 'p', CLI_INT, &b.partition_count, "N", "of a topic that is made"},
        {"floor", 0, CLI_TEXT, &b.floor_dir, "DIR", "time synced writes there too, for comparison"},
    };
    size_t option_count = kind->publishes ? sizeof options / sizeof options[0] : 1;
    struct cli_grammar grammar = {options, option_count, 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (b.count < 1 || b.count > COUNT_MAX || b.value_len < STAMP_LEN || b.value_len > VALUE_LEN_MAX || b.rate < 0 ||
        (kind->rate > 0 && b.rate == 0)) {
        return cli_error(cli, CLI_ERR_VALUE, "-n takes 1 to %d, -s %d to %d, --rate %d or more", COUNT_MAX, STAMP_LEN,
                         VALUE_LEN_MAX, kind->rate > 0);
    }
    b.topic = words.items[0];
    rc = prepare(&b, kind->publishes);
    if (rc == CLI_OK) {
        rc = kind->run(&b);
    }
    evlog_producer_close(b.producer);
    el_free(b.value);
    el_free(b.times.us);
    return rc;
}

int cmd_bench_produce(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    static const struct kind kind = {1000000, 0, true, run_produce};
    return bench(cli, command, &kind, argc, argv);
}

int cmd_bench_consume(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    static const struct kind kind = {1000000, 0, false, run_consume};
    return bench(cli, command, &kind, argc, argv);
}

int cmd_bench_e2e(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    static const struct kind kind = {10000, 1000, true, run_e2e};
    return bench(cli, command, &kind, argc, argv);
}

int cmd_bench_latency(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    static const struct kind kind = {1000, 0, true, run_latency};
    return bench(cli, command, &kind, argc, argv);
}
