/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog bench replay: how fast the history of a topic is read, folded and hashed here, beside reading alone.
 */
#include "bench_report.h"
#include "cli.h"

struct replay_bench {
    struct cli *cli;
    const char *topic;
    bool fold;
    uint64_t event_count, len; /* of what was read */
    double read_s, replay_s;
};

static int on_progress(void *arg, uint64_t read_count, uint64_t total_count)
{
    const struct replay_bench *b = arg;
    cli_progress(b->cli, "replayed", read_count, total_count);
    return cli_interrupted ? EVLOG_ERR_CLOSED : 0;
}

/* Every event up to now, looked at by nobody. */
static int read_alone(struct replay_bench *b, struct evlog_failure *failure)
{
    struct evlog_consumer_options options = EVLOG_CONSUMER_OPTIONS_INIT;
    struct evlog_consumer *consumer;
    const struct evlog_event *event;
    options.topic = b->topic;
    int rc = evlog_consumer_open(b->cli->client, &options, &consumer, failure);
    if (rc != 0) {
        return rc;
    }
    for (int32_t i = 0; rc == 0 && i < evlog_consumer_partition_count(consumer); i++) {
        int64_t end;
        rc = evlog_offset_at(b->cli->client, b->topic, i, EVLOG_OFFSET_LATEST, &end, failure);
        rc = rc == 0 ? evlog_consumer_assign(consumer, i, EVLOG_OFFSET_EARLIEST, end, failure) : rc;
    }
    int64_t began_ns = bench_now_ns();
    while (rc >= 0 && !cli_interrupted && !evlog_consumer_at_end(consumer)) {
        rc = evlog_consumer_next(consumer, 200, &event, failure);
        b->event_count += rc == 1;
        b->len += rc == 1 ? event->key.len + event->value.len : 0;
    }
    b->read_s = (double)(bench_now_ns() - began_ns) / BENCH_NS_PER_S;
    evlog_consumer_close(consumer);
    return cli_interrupted ? EVLOG_ERR_CLOSED : rc < 0 ? rc : 0;
}

static int replay(struct replay_bench *b, struct evlog_replay_summary *summary, struct evlog_failure *failure)
{
    struct evlog_replay_options options = EVLOG_REPLAY_OPTIONS_INIT;
    options.topic = b->topic;
    options.fold_latest = b->fold;
    options.on_progress = on_progress;
    options.arg = b;
    int64_t began_ns = bench_now_ns();
    int rc = evlog_replay_run(b->cli->client, &options, summary, failure);
    b->replay_s = (double)(bench_now_ns() - began_ns) / BENCH_NS_PER_S;
    return rc;
}

static int report(const struct replay_bench *b, const struct evlog_replay_summary *summary)
{
    double mb = (double)b->len / 1e6, events = (double)summary->event_count;
    if (b->cli->json) {
        (void)printf("{\"bench\":\"replay\",\"events\":%llu,\"keys\":%llu,\"bytes\":%llu,\"seconds\":%.6f,"
                     "\"events_per_second\":%.0f,\"mb_per_second\":%.1f,\"read_seconds\":%.6f,"
                     "\"read_mb_per_second\":%.1f}\n",
                     (unsigned long long)summary->event_count, (unsigned long long)summary->key_count,
                     (unsigned long long)b->len, b->replay_s, events / b->replay_s, mb / b->replay_s, b->read_s,
                     mb / b->read_s);
        return CLI_OK;
    }
    (void)printf("replay: %llu events of %llu keys, %.1f MB in %.3f s: %.0f events/s, %.1f MB/s\n",
                 (unsigned long long)summary->event_count, (unsigned long long)summary->key_count, mb, b->replay_s,
                 events / b->replay_s, mb / b->replay_s);
    (void)printf("limit: reading alone %.1f MB/s; the replay has %.0f%% of it\n", mb / b->read_s,
                 b->read_s / b->replay_s * 100);
    return CLI_OK;
}

int cmd_bench_replay(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct replay_bench b = {.cli = cli};
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_replay_summary summary = EVLOG_REPLAY_SUMMARY_INIT;
    bool fold = false;
    const struct cli_option options[] = {
        {"state", 0, CLI_FLAG, &fold, NULL, "keep the last event of each key too, as --fold latest does"},
    };
    struct cli_grammar grammar = {options, 1, 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    b.topic = words.items[0];
    b.fold = fold;
    rc = cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    rc = read_alone(&b, &failure);
    rc = rc == 0 ? replay(&b, &summary, &failure) : rc;
    cli_progress_end(cli);
    if (rc != 0) {
        return cli_interrupted ? CLI_INTERRUPTED : cli_failure(cli, &failure);
    }
    return report(&b, &summary);
}
