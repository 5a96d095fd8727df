/* SPDX-License-Identifier: Apache-2.0
 *
 * A member of a group that uses libevlog; arguments and output as those of tests/compat/member.py.
 *
 *     member BOOTSTRAP GROUP TOPIC [NAME=VALUE ...]
 *
 * Events that were printed are committed when no other one is there at once, and before partitions are given up.
 */
#include <evlog/evlog.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTITIONS_MAX 64
#define UNCOMMITTED_MAX 100

static volatile sig_atomic_t stopped;
static long long since_ms = -1; /* begin at this time; -1: at what is committed */

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static int fail(const struct evlog_failure *failure)
{
    fprintf(stderr, "%s (%s)\n", failure->text, failure->hint);
    return 1;
}

static void commit(struct evlog_subscriber *subscriber)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (evlog_subscriber_commit(subscriber, NULL, 0, &failure) != 0) {
        printf("not committed: %s\n", failure.text); /* a rebalance came in between: the next owner reads them again */
    }
}

static void on_rebalance(void *arg, struct evlog_subscriber *subscriber, enum evlog_rebalance what,
                         const struct evlog_partition_offset *partitions, size_t count)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    (void)arg;
    if (what != EVLOG_PARTITIONS_ASSIGNED && count > 0) {
        printf("revoked\n");
    }
    if (what == EVLOG_PARTITIONS_REVOKED && count > 0) {
        commit(subscriber);
    }
    for (size_t i = 0; what == EVLOG_PARTITIONS_ASSIGNED && since_ms >= 0 && i < count; i++) {
        if (evlog_subscriber_seek_time(subscriber, partitions[i].topic, partitions[i].partition, since_ms, &failure) !=
            0) {
            exit(fail(&failure));
        }
    }
}

/* The partitions that it has now, when they are others than before. */
static void tell_assignment(const struct evlog_subscriber *subscriber)
{
    static char last[8 * PARTITIONS_MAX] = "not told yet";
    char now[sizeof last] = "";
    struct evlog_partition_offset held[PARTITIONS_MAX];
    size_t count = evlog_subscriber_assignment(subscriber, held, PARTITIONS_MAX);
    size_t len = 0;
    for (size_t i = 0; i < count && i < PARTITIONS_MAX; i++) {
        len += (size_t)snprintf(now + len, sizeof now - len, "%s%d", i == 0 ? "" : ",", held[i].partition);
    }
    if (strcmp(now, last) != 0) {
        printf("assigned %s\n", now);
        memcpy(last, now, sizeof last);
    }
}

/* Until it is told to stop. returns 0, or 1 for what trying again cannot mend */
static int read_all(struct evlog_subscriber *subscriber)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    unsigned uncommitted = 0;
    while (!stopped) {
        const struct evlog_event *event;
        int rc = evlog_subscriber_next(subscriber, uncommitted > 0 ? 0 : 100, &event, &failure);
        tell_assignment(subscriber);
        if (rc < 0) {
            (void)fail(&failure);
            if (!failure.retriable) {
                return 1;
            }
        } else if (rc == 1) {
            printf("event %d %lld %.*s\n", event->partition, (long long)event->offset, (int)event->value.len,
                   event->value.data == NULL ? "" : (const char *)event->value.data);
            uncommitted++;
        }
        if ((rc != 1 && uncommitted > 0) || uncommitted == UNCOMMITTED_MAX) {
            commit(subscriber);
            uncommitted = 0;
        }
    }
    return 0;
}

/* NAME=VALUE of the command line. */
static int set_option(struct evlog_settings *settings, const char *word, struct evlog_failure *failure)
{
    static const char *const names[][2] = {{"strategy=", "partition.assignment.strategy"},
                                           {"instance=", "group.instance.id"},
                                           {"session=", "session.timeout.ms"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t len = strlen(names[i][0]);
        if (strncmp(word, names[i][0], len) == 0) {
            const char *value = strcmp(word, "strategy=cooperative") == 0 ? "cooperative-sticky" : word + len;
            return evlog_settings_set(settings, names[i][1], value, failure);
        }
    }
    if (strncmp(word, "since=", 6) == 0) {
        since_ms = atoll(word + 6);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const defaults[][2] = {{"auto.offset.reset", "earliest"},
                                              {"enable.auto.commit", "false"},
                                              {"heartbeat.interval.ms", "300"},
                                              {"fetch.max.wait.ms", "50"},
                                              {"partition.assignment.strategy", "range"}};
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_settings *settings = NULL;
    struct evlog_client *client = NULL;
    struct evlog_subscriber *subscriber = NULL;
    struct evlog_subscriber_options options = EVLOG_SUBSCRIBER_OPTIONS_INIT;
    if (argc < 4 || evlog_settings_new(&settings) != 0) {
        fprintf(stderr, "usage: member BOOTSTRAP GROUP TOPIC [NAME=VALUE ...]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGTERM, on_signal);
    int rc = evlog_settings_set(settings, "bootstrap.servers", argv[1], &failure);
    for (size_t i = 0; rc == 0 && i < sizeof defaults / sizeof defaults[0]; i++) {
        rc = evlog_settings_set(settings, defaults[i][0], defaults[i][1], &failure);
    }
    for (int i = 4; rc == 0 && i < argc; i++) {
        rc = set_option(settings, argv[i], &failure);
    }
    options.group = argv[2];
    options.topics = (const char *const *)&argv[3];
    options.topic_count = 1;
    options.on_rebalance = on_rebalance;
    if (rc != 0 || evlog_client_open(settings, &client, &failure) != 0 ||
        evlog_subscriber_open(client, &options, &subscriber, &failure) != 0) {
        return fail(&failure);
    }
    rc = read_all(subscriber);
    if (evlog_subscriber_close(subscriber, -1, &failure) != 0) {
        rc = fail(&failure);
    }
    evlog_client_close(client);
    evlog_settings_free(settings);
    return rc;
}
