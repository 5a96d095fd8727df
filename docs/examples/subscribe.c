/* SPDX-License-Identifier: Apache-2.0
 *
 * Read a topic together with others, at least once: every copy of this program that runs takes its share of the
 * partitions, and what one of them has not finished is read again by another. Stop it with Ctrl-C.
 *
 *     build/examples/subscribe [TOPIC [GROUP [HOST:PORT]]]
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

static void on_rebalance(void *arg, struct evlog_subscriber *subscriber, enum evlog_rebalance what,
                         const struct evlog_partition_offset *partitions, size_t count)
{
    static const char *const words[] = {"assigned", "revoked", "lost"};
    (void)arg;
    (void)subscriber;
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "%s %s[%d] at %lld\n", words[what], partitions[i].topic, partitions[i].partition,
                (long long)partitions[i].offset);
    }
}

int main(int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_settings *settings = NULL;
    struct evlog_client *client = NULL;
    struct evlog_subscriber *subscriber = NULL;
    struct evlog_subscriber_options options = EVLOG_SUBSCRIBER_OPTIONS_INIT;
    const char *topic = argc > 1 ? argv[1] : "orders";

    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    options.topics = &topic;
    options.topic_count = 1;
    options.group = argc > 2 ? argv[2] : "billing";
    options.on_rebalance = on_rebalance;
    if (evlog_settings_new(&settings) != 0 ||
        evlog_settings_set(settings, "bootstrap.servers", argc > 3 ? argv[3] : "127.0.0.1:9092", &failure) != 0 ||
        evlog_settings_set(settings, "auto.offset.reset", "earliest", &failure) != 0 ||
        evlog_client_open(settings, &client, &failure) != 0 ||
        evlog_subscriber_open(client, &options, &subscriber, &failure) != 0) {
        fprintf(stderr, "%s (%s)\n", failure.text, failure.hint);
        return 1;
    }
    while (!stopped) {
        const struct evlog_event *event;
        int rc = evlog_subscriber_next(subscriber, 500, &event, &failure);
        if (rc < 0) {
            fprintf(stderr, "%s (%s)\n", failure.text, failure.hint);
            if (!failure.retriable) {
                break;
            }
        } else if (rc == 1) {
            /* Do the work here. Asking for the next event says that this one is done; if the program dies before,
             * the event is read again. */
            printf("%s[%d]@%lld %.*s\n", event->topic, event->partition, (long long)event->offset,
                   (int)event->value.len, event->value.data == NULL ? "" : (const char *)event->value.data);
            evlog_subscriber_store(subscriber, event);
        }
    }
    if (evlog_subscriber_close(subscriber, 5000, &failure) != 0) { /* commits what is done, and leaves the group */
        fprintf(stderr, "%s (%s)\n", failure.text, failure.hint);
    }
    evlog_client_close(client);
    evlog_settings_free(settings);
    return 0;
}
