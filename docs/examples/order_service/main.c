/* SPDX-License-Identifier: Apache-2.0
 *
 * The shop's counter: order_service TOPIC COMMAND ORDER [ARGUMENT...]
 *
 *     place ORDER CUSTOMER           add ORDER ITEM CENTS        pay ORDER CENTS
 *     ship ORDER                     cancel ORDER                show ORDER
 *     checkout ORDER CARD            the saga does the rest
 *     work ORDER                     be the saga's runner and its workers until this order has come to an end; "-": no
  * end
 *     rush ORDER THREADS EACH CENTS  so many threads, each adding so many items at the same time
 *
 * COMMAND may have an id, as in pay:7f3a: the same id again is the same command and happens once. Exit codes: 0 done,
 * 1 failed, 2 usage, 3 the shop refuses. OTEL_EXPORTER_OTLP_ENDPOINT turns traces on.
 */
#include "work.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAPSHOT_EVERY 100
#define THREADS_MAX 64

struct shop {
    struct evlog_client *client;
    struct evlog_fold fold;
    const char *order;
};

static int usage(void)
{
    fprintf(stderr,
            "usage: order_service TOPIC place|add|checkout|pay|ship|cancel|show|rush|work[:ID] ORDER [ARGUMENT...]\n");
    return 2;
}

static int tell(int rc, const struct evlog_failure *failure)
{
    if (rc > 0) {
        fprintf(stderr, "refused: %s\n", order_refusal_text(rc));
        return 3;
    }
    if (rc < 0) {
        fprintf(stderr, "order_service: %s\n%s\n", failure->text, failure->hint);
    }
    return rc == 0 ? 0 : 1;
}

static int run_command(struct shop *shop, const struct order_command *command)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    int rc = order_do(shop->client, &shop->fold, shop->order, command, &appended, &failure);
    if (rc == 0) {
        printf("version %lld%s\n", (long long)appended.version, appended.duplicate ? " (done before)" : "");
    }
    return tell(rc, &failure);
}

static int show(struct shop *shop)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_aggregate_info info = {.size = sizeof info};
    struct evlog_aggregate *aggregate;
    struct evlog_bytes key = {shop->order, strlen(shop->order)};
    int rc = evlog_load(shop->client, &shop->fold, key, &aggregate, &failure);
    if (rc != 0) {
        return tell(rc, &failure);
    }
    const struct order *order = evlog_aggregate_state(aggregate);
    evlog_aggregate_info(aggregate, &info);
    printf("%s: %s, customer %s, %lld items, %lld of %lld cents paid, version %lld\n", shop->order,
           order_status_text(order->status), order->customer, (long long)order->item_count,
           (long long)order->paid_cents, (long long)order->total_cents, (long long)info.version);
    evlog_aggregate_close(aggregate);
    return 0;
}

/* --- many at the same time --------------------------------------------------------------------------------------- */

struct rush {
    struct shop *shop;
    long each;
    struct order_command command;
    int rc;
    struct evlog_failure failure;
};

static void *add_items(void *arg)
{
    struct rush *rush = arg;
    for (long i = 0; rush->rc == 0 && i < rush->each; i++) {
        rush->rc = order_do(rush->shop->client, &rush->shop->fold, rush->shop->order, &rush->command, NULL,
                            &rush->failure);
    }
    return NULL;
}

static int run_rush(struct shop *shop, long threads, long each, int64_t cents)
{
    static struct rush rushes[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    int rc = 0;
    if (threads < 1 || threads > THREADS_MAX || each < 1) {
        return usage();
    }
    for (long i = 0; i < threads; i++) {
        rushes[i] = (struct rush){.shop = shop, .each = each, .failure = EVLOG_FAILURE_INIT};
        rushes[i].command = (struct order_command){.verb = VERB_ADD, .item = "thing", .cents = cents};
        if (pthread_create(&ids[i], NULL, add_items, &rushes[i]) != 0) {
            threads = i;
        }
    }
    for (long i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        rc = rc == 0 ? tell(rushes[i].rc, &rushes[i].failure) : rc;
    }
    return rc == 0 ? show(shop) : rc;
}

/* --- all --------------------------------------------------------------------------------------------------------- */

static int run(struct shop *shop, char *verb, int argc, char **argv)
{
    static const struct {
        const char *name;
        enum order_verb verb;
        int arguments;
    } verbs[] = {{"place", VERB_PLACE, 1}, {"add", VERB_ADD, 2},   {"checkout", VERB_CHECKOUT, 1},
                 {"pay", VERB_PAY, 1},     {"ship", VERB_SHIP, 0}, {"cancel", VERB_CANCEL, 0}};
    if (strcmp(verb, "show") == 0) {
        return show(shop);
    }
    if (strcmp(verb, "rush") == 0 && argc == 3) {
        return run_rush(shop, strtol(argv[0], NULL, 10), strtol(argv[1], NULL, 10), strtoll(argv[2], NULL, 10));
    }
    if (strcmp(verb, "work") == 0 && argc == 0) {
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        return tell(work_run(shop->client, &shop->fold, shop->order, &failure), &failure);
    }
    char *id = strchr(verb, ':');
    if (id != NULL) {
        *id++ = '\0';
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verb, verbs[i].name) == 0 && argc == verbs[i].arguments) {
            struct order_command command = {.verb = verbs[i].verb, .id = id};
            command.customer = command.item = command.card = argc > 0 ? argv[0] : NULL;
            command.cents = argc > 0 ? strtoll(argv[argc - 1], NULL, 10) : 0;
            return run_command(shop, &command);
        }
    }
    return usage();
}

int main(int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_settings *settings = NULL;
    struct shop shop = {.client = NULL};
    struct evlog_otlp *otlp = NULL;
    struct evlog_tracer tracer = EVLOG_TRACER_INIT;
    const char *bootstrap = getenv("EVLOG_BOOTSTRAP__SERVERS");
    if (argc < 4) {
        return usage();
    }
    int rc = evlog_settings_new(&settings);
    if (rc == 0 && bootstrap != NULL) {
        rc = evlog_settings_set(settings, "bootstrap.servers", bootstrap, &failure);
    }
    rc = rc != 0 ? rc : evlog_client_open(settings, &shop.client, &failure);
    evlog_settings_free(settings);
    rc = rc != 0 ? rc : evlog_otlp_open(&otlp, &failure); /* NULL: the environment asks for no traces */
    evlog_otlp_tracer(otlp, &tracer);
    rc = rc != 0 ? rc : evlog_client_set_tracer(shop.client, &tracer, &failure);
    if (rc != 0) {
        evlog_client_close(shop.client);
        evlog_otlp_close(otlp, 0);
        return tell(rc, &failure);
    }
    shop.fold = order_fold(argv[1], SNAPSHOT_EVERY);
    shop.order = argv[3];
    rc = run(&shop, argv[2], argc - 4, argv + 4);
    evlog_client_close(shop.client);
    evlog_otlp_close(otlp, 3000);
    return rc;
}
