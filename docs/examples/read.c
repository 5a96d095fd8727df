/* SPDX-License-Identifier: Apache-2.0
 *
 * Print every event of a topic, from the first that is there up to the end as it is now, in the order in which the
 * server took them: build/examples/read TOPIC
 *
 *   1. a cut at "now" gives the end of every partition, exact for one moment
 *   2. each partition is read from its first event up to that end, all of them merged by append time
 */
#include <evlog/evlog.h>
#include <stdio.h>
#include <stdlib.h>

static int assign_all(struct evlog_client *client, struct evlog_consumer *consumer, const char *topic,
                      struct evlog_failure *failure)
{
    int32_t count = evlog_consumer_partition_count(consumer);
    int64_t *ends = calloc((size_t)count, sizeof *ends);
    if (ends == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int rc = evlog_cut(client, topic, 0, ends, count, failure);
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        rc = evlog_consumer_assign(consumer, i, EVLOG_OFFSET_EARLIEST, ends[i], failure);
    }
    free(ends);
    return rc;
}

static void print_event(const struct evlog_event *event)
{
    printf("%d/%lld %lld ns ", event->partition, (long long)event->offset, (long long)event->append_time_ns);
    fwrite(event->key.data, 1, event->key.len, stdout);
    putchar('=');
    fwrite(event->value.data, 1, event->value.len, stdout);
    putchar('\n');
}

static int read_all(struct evlog_consumer *consumer, struct evlog_failure *failure)
{
    const struct evlog_event *event;
    int rc;
    while ((rc = evlog_consumer_next(consumer, -1, &event, failure)) == 1) {
        print_event(event);
    }
    return rc; /* 0: every partition has been read to its end */
}

int main(int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_client *client = NULL;
    struct evlog_consumer *consumer = NULL;
    struct evlog_consumer_options options = EVLOG_CONSUMER_OPTIONS_INIT;
    if (argc != 2) {
        fprintf(stderr, "usage: read TOPIC\n");
        return 2;
    }
    options.topic = argv[1];
    options.ordered = true;
    int rc = evlog_client_open(NULL, &client, &failure);
    rc = rc != 0 ? rc : evlog_consumer_open(client, &options, &consumer, &failure);
    rc = rc != 0 ? rc : assign_all(client, consumer, argv[1], &failure);
    rc = rc != 0 ? rc : read_all(consumer, &failure);
    if (rc != 0) {
        fprintf(stderr, "read: %s\n%s\n", failure.text, failure.hint);
    }
    evlog_consumer_close(consumer);
    evlog_client_close(client);
    return rc == 0 ? 0 : 1;
}
