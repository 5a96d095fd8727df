/* SPDX-License-Identifier: Apache-2.0 */
#include "topic_scan.h"

#include <core/alloc.h>

#define WAIT_MS 200 /* between looks at whether to stop */

/* First and last offsets of all partitions: starts[count], then ends[count]. returns NULL: failed */
static int64_t *bounds_of(struct cli *cli, const char *topic, int32_t count, struct evlog_failure *failure)
{
    int64_t *bounds = el_calloc(2 * (size_t)count, sizeof *bounds);
    if (bounds == NULL) {
        failure->code = EVLOG_ERR_NO_MEMORY;
        (void)snprintf(failure->text, sizeof failure->text, "no memory");
        return NULL;
    }
    if (evlog_offsets_at(cli->client, topic, EVLOG_OFFSET_EARLIEST, bounds, count, failure) != 0 ||
        evlog_offsets_at(cli->client, topic, EVLOG_OFFSET_LATEST, bounds + count, count, failure) != 0) {
        el_free(bounds);
        return NULL;
    }
    return bounds;
}

static int read_all(struct cli *cli, struct evlog_consumer *consumer, topic_scan_fn fn, void *arg)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_event *event;
    while (!cli_interrupted && !evlog_consumer_at_end(consumer)) {
        int rc = evlog_consumer_next(consumer, WAIT_MS, &event, &failure);
        if (rc < 0) {
            return cli_failure(cli, &failure);
        }
        if (rc == 1 && !fn(arg, event)) {
            return CLI_OK;
        }
    }
    return CLI_OK;
}

int topic_scan(struct cli *cli, const char *topic, topic_scan_fn fn, void *arg)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_consumer_options options = EVLOG_CONSUMER_OPTIONS_INIT;
    struct evlog_consumer *consumer;
    options.topic = topic;
    if (evlog_consumer_open(cli->client, &options, &consumer, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    int32_t count = evlog_consumer_partition_count(consumer);
    int64_t *bounds = bounds_of(cli, topic, count, &failure);
    int rc = bounds == NULL ? failure.code : 0;
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        rc = evlog_consumer_assign(consumer, i, bounds[i], bounds[count + i], &failure);
    }
    el_free(bounds);
    rc = rc == 0 ? read_all(cli, consumer, fn, arg) : cli_failure(cli, &failure);
    evlog_consumer_close(consumer);
    return rc;
}

int topic_scan_bounds(struct cli *cli, const char *topic, int32_t *count, int64_t **bounds)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    *bounds = evlog_topic_partition_count(cli->client, topic, count, &failure) != 0
                  ? NULL
                  : bounds_of(cli, topic, *count, &failure);
    return *bounds == NULL ? cli_failure(cli, &failure) : CLI_OK;
}
