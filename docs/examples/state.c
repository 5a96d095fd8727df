/* SPDX-License-Identifier: Apache-2.0
 *
 * Print the state that a topic's events add up to, the last value of every key, and the digest of the history behind
 * it: build/examples/state TOPIC [MILLISECONDS SINCE 1970]
 *
 * With a time the state is that of the events whose event time is not later.
 */
#include <evlog/evlog.h>
#include <stdio.h>
#include <stdlib.h>

static int print_key(void *arg, const struct evlog_replay_event *replayed)
{
    const struct evlog_event *event = replayed->event;
    (void)arg;
    fwrite(event->key.data, 1, event->key.len, stdout);
    printf(" version %lld: ", (long long)replayed->version);
    fwrite(replayed->data.data, 1, replayed->data.len, stdout);
    putchar('\n');
    return 0; /* anything else would end the replay */
}

int main(int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_client *client = NULL;
    struct evlog_replay_options options = EVLOG_REPLAY_OPTIONS_INIT;
    struct evlog_replay_summary summary = EVLOG_REPLAY_SUMMARY_INIT;
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: state TOPIC [MILLISECONDS SINCE 1970]\n");
        return 2;
    }
    options.topic = argv[1];
    options.fold_latest = true;
    options.on_event = print_key;
    if (argc == 3) {
        options.event_time = true;
        options.until_ns = strtoll(argv[2], NULL, 10) * 1000000;
    }
    int rc = evlog_client_open(NULL, &client, &failure);
    rc = rc != 0 ? rc : evlog_replay_run(client, &options, &summary, &failure);
    if (rc == 0) {
        printf("%llu events, %llu keys, digest ", (unsigned long long)summary.event_count,
               (unsigned long long)summary.key_count);
        for (int i = 0; i < 32; i++) {
            printf("%02x", summary.digest[i]);
        }
        putchar('\n');
    } else {
        fprintf(stderr, "state: %s\n%s\n", failure.text, failure.hint);
    }
    evlog_client_close(client);
    return rc == 0 ? 0 : 1;
}
