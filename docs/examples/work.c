/* SPDX-License-Identifier: Apache-2.0
 *
 * Work on the events of a topic together with others: each event is leased by one copy of this program, and gets an
 * outcome. An event that fails comes again, without holding up others. Stop it with Ctrl-C.
 *
 *     build/examples/work [TOPIC [GROUP [HOST:PORT]]]
 */
#include <evlog/evlog.h>
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* In one of the worker threads. Without a word from here the event is done. */
static void on_event(void *arg, const struct evlog_lease *lease, struct evlog_result *result)
{
    const struct evlog_event *event = lease->event;
    (void)arg;
    printf("%s[%d]@%lld, attempt %d: %.*s\n", event->topic, event->partition, (long long)event->offset, lease->attempt,
           (int)event->value.len, event->value.data == NULL ? "" : (const char *)event->value.data);
    if (event->value.data == NULL) {
        result->outcome = EVLOG_DEAD; /* nothing can be done with it */
        snprintf(result->reason, sizeof result->reason, "no value");
    }
}

static bool on_turn(void *arg, const struct evlog_group_counts *counts)
{
    (void)arg;
    (void)counts;
    return !stopped;
}

int main(int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_settings *settings = NULL;
    struct evlog_client *client = NULL;
    struct evlog_group *group = NULL;
    struct evlog_group_options options = EVLOG_GROUP_OPTIONS_INIT;
    struct evlog_group_run_options run = EVLOG_GROUP_RUN_OPTIONS_INIT;
    const char *topic = argc > 1 ? argv[1] : "orders";
    const struct evlog_setting begin = {"start", "earliest"};

    signal(SIGINT, on_signal);
    options.group = argc > 2 ? argv[2] : "workers";
    options.topics = &topic;
    options.topic_count = 1;
    options.settings = &begin;
    options.setting_count = 1;
    run.on_event = on_event;
    run.on_turn = on_turn;
    run.worker_count = 4;
    int rc = evlog_settings_new(&settings);
    if (rc == 0 && argc > 3) {
        rc = evlog_settings_set(settings, "bootstrap.servers", argv[3], &failure);
    }
    if (rc == 0) {
        rc = evlog_client_open(settings, &client, &failure);
    }
    if (rc == 0) {
        rc = evlog_group_open(client, &options, &group, &failure);
    }
    if (rc == 0) {
        rc = evlog_group_run(group, &run, &failure);
    }
    if (rc != 0) {
        fprintf(stderr, "%s (%s)\n", failure.text, failure.hint);
    }
    evlog_group_close(group, -1, NULL);
    evlog_client_close(client);
    evlog_settings_free(settings);
    return rc != 0;
}
