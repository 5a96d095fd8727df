/* SPDX-License-Identifier: Apache-2.0
 *
 * Follow a topic, or one of its streams, and go on where the last run ended: what is stored first, then what comes. The
 * position is kept in a file; keep it in the transaction that holds what you make of the events, and each of them
 * counts exactly once.
 *
 *     build/examples/subscription TOPIC [KEY [FILE]]      ends when it has caught up and nothing comes for a second
 */
#include <evlog/evlog.h>
#include <stdio.h>
#include <string.h>

static char position[4096];

static const char *load(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t len = file == NULL ? 0 : fread(position, 1, sizeof position - 1, file);
    if (file != NULL) {
        fclose(file);
    }
    position[len] = '\0';
    return len == 0 ? NULL : position;
}

static int keep(const char *path, const char *word)
{
    FILE *file = fopen(path, "w");
    int fine = word != NULL && file != NULL && fputs(word, file) >= 0;
    return file != NULL && fclose(file) == 0 && fine ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_client *client = NULL;
    struct evlog_subscription *subscription = NULL;
    struct evlog_subscription_options options = EVLOG_SUBSCRIPTION_OPTIONS_INIT;
    const struct evlog_subscription_item *item;
    const char *path = argc > 3 ? argv[3] : "position";
    options.topic = argc > 1 ? argv[1] : "orders";
    if (argc > 2 && argv[2][0] != '\0') {
        options.key = (struct evlog_bytes){argv[2], strlen(argv[2])};
    }
    options.position = load(path);
    int rc = evlog_client_open(NULL, &client, &failure);
    rc = rc != 0 ? rc : evlog_subscription_open(client, &options, &subscription, &failure);
    while (rc == 0) {
        int got = evlog_subscription_next(subscription, 1000, &item, &failure);
        if (got <= 0) {
            rc = got;
            break; /* nothing for a second, or a failure */
        }
        if (item->kind == EVLOG_SUBSCRIPTION_EVENT) {
            const struct evlog_stream_event *event = item->event;
            printf("%d/%lld %.*s %.*s\n", event->event->partition, (long long)event->event->offset,
                   (int)event->type.len, event->type.data == NULL ? "" : (const char *)event->type.data,
                   (int)event->data.len, event->data.data == NULL ? "" : (const char *)event->data.data);
        } else if (item->kind == EVLOG_SUBSCRIPTION_CAUGHT_UP) {
            printf("caught up\n");
        }
        rc = keep(path, evlog_subscription_position(subscription));
    }
    if (rc != 0) {
        fprintf(stderr, "subscription: %s\n%s\n", failure.text, failure.hint);
    }
    evlog_subscription_close(subscription);
    evlog_client_close(client);
    return rc == 0 ? 0 : 1;
}
