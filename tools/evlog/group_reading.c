/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading as a member of a group.
 *
 * 1. Events are printed as they come. Nothing is committed automatically.
 * 2. Every second, before partitions are given up, and at the end, what was printed is flushed and then committed: the
 *    reader behind a pipe has it, or it will be printed again.
 * 3. Without --follow reading ends when every partition held has been read up to the end of its log.
 */
#include "group_reading.h"

#include <core/alloc.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define WAIT_MS 200 /* between looks at whether to stop */
#define COMMIT_MS 1000
#define NS_PER_MS 1000000
#define HELD_MAX 10000
#define LEAVE_MS 5000

const char *const group_reading_defaults[] = {
    "auto.offset.reset=earliest",
    "enable.auto.commit=false",
    "enable.auto.offset.store=false",
    NULL,
};

static int64_t monotonic_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

/* What was printed is out: say so. returns an exit code, told */
static int commit(struct group_reading *r)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    r->commit_at_ms = monotonic_ms() + COMMIT_MS;
    if (fflush(stdout) != 0) {
        return cli_error(r->cli, CLI_ERR_OUTPUT, "the output cannot be written");
    }
    int rc = evlog_subscriber_commit(r->subscriber, NULL, 0, &failure);
    if (rc == EVLOG_ERR_REBALANCE || rc == EVLOG_ERR_GENERATION || rc == EVLOG_ERR_UNKNOWN_MEMBER) {
        cli_say(r->cli, "%s", failure.text); /* it will be printed again, here or elsewhere */
        return CLI_OK;
    }
    return rc == 0 ? CLI_OK : cli_failure(r->cli, &failure);
}

static void on_rebalance(void *arg, struct evlog_subscriber *subscriber, enum evlog_rebalance what,
                         const struct evlog_partition_offset *partitions, size_t count)
{
    static const char *const words[] = {"assigned", "revoked", "lost"};
    struct group_reading *r = arg;
    r->subscriber = subscriber;
    if (what == EVLOG_PARTITIONS_REVOKED) {
        (void)commit(r);
    }
    for (size_t i = 0; r->cli->verbose && i < count; i++) {
        cli_say(r->cli, "%s %s[%d] at %lld", words[what], partitions[i].topic, partitions[i].partition,
                (long long)partitions[i].offset);
    }
}

/* True when all that is held has been read, as far as the logs reach now. */
static bool at_end(struct group_reading *r, struct evlog_failure *failure, int *rc)
{
    size_t room = evlog_subscriber_assignment(r->subscriber, NULL, 0);
    struct evlog_partition_offset *held = room == 0 || room > HELD_MAX ? NULL : el_calloc(room, sizeof *held);
    if (held == NULL) {
        return false; /* without partitions there is no end to reach: others may still give some */
    }
    bool end = true;
    size_t count = evlog_subscriber_assignment(r->subscriber, held, room);
    for (size_t i = 0; end && *rc == 0 && i < count; i++) {
        int64_t last;
        *rc = evlog_offset_at(r->cli->client, held[i].topic, held[i].partition, EVLOG_OFFSET_LATEST, &last, failure);
        end = *rc == 0 && held[i].offset >= last;
    }
    el_free(held);
    return end;
}

static int read_on(struct group_reading *r)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_event *event;
    while (!cli_interrupted && (uint64_t)r->count_max != r->count) {
        int rc = evlog_subscriber_next(r->subscriber, WAIT_MS, &event, &failure);
        if (rc == 1) {
            if (r->take(r->arg, event)) {
                rc = r->print(r->arg, event);
                if (rc != CLI_OK) {
                    return rc;
                }
                r->count++;
            }
            (void)evlog_subscriber_store(r->subscriber, event);
            rc = 1;
        }
        if (rc == EVLOG_ERR_POLL_INTERVAL) { /* the output was slow; it goes on from the last commit */
            cli_say(r->cli, "%s", failure.text);
            continue;
        }
        if (rc < 0) {
            return cli_failure(r->cli, &failure);
        }
        if (rc == 0 && fflush(stdout) != 0) {
            return cli_error(r->cli, CLI_ERR_OUTPUT, "the output cannot be written");
        }
        if (monotonic_ms() >= r->commit_at_ms) {
            int its = commit(r);
            if (its != CLI_OK) {
                return its;
            }
        }
        int failed = 0;
        if (rc == 0 && !r->follow && at_end(r, &failure, &failed)) {
            return CLI_OK;
        }
        if (failed != 0) {
            return cli_failure(r->cli, &failure);
        }
    }
    return CLI_OK;
}

int group_reading_run(struct group_reading *r)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_subscriber_options options = EVLOG_SUBSCRIBER_OPTIONS_INIT;
    options.group = r->group;
    options.topics = r->topics;
    options.topic_count = r->topic_count;
    options.on_rebalance = on_rebalance;
    options.arg = r;
    for (size_t i = 0; i < r->topic_count; i++) { /* a group waits for topics that are not there; a person does not */
        int32_t count;
        bool is_pattern = strchr(r->topics[i], '*') != NULL;
        if (!is_pattern && evlog_topic_partition_count(r->cli->client, r->topics[i], &count, &failure) != 0) {
            return cli_failure(r->cli, &failure);
        }
    }
    if (evlog_subscriber_open(r->cli->client, &options, &r->subscriber, &failure) != 0) {
        return cli_failure(r->cli, &failure);
    }
    r->commit_at_ms = monotonic_ms() + COMMIT_MS;
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error, so that the group is left as it should be */
    int rc = read_on(r);
    if (rc == CLI_OK) {
        rc = commit(r);
    }
    if (evlog_subscriber_close(r->subscriber, LEAVE_MS, &failure) != 0 && rc == CLI_OK) {
        rc = cli_failure(r->cli, &failure);
    }
    return rc;
}
