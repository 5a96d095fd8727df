/* SPDX-License-Identifier: Apache-2.0
 *
 * Runner of the saga, worker of the shop, worker of payments: three threads of one process here, any number of
 * processes on any machines elsewhere. Each of them may be killed at any time.
 *
 * ORDER_SERVICE_DIE_AT=N makes the process kill itself at the N-th point between two writes of the saga's runner;
 * ORDER_SERVICE_DIE_AT=stored:2 at the second one behind a step that was stored.
 */
#include "work.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STOCK_MAX 10 /* items of an order that the shop has in stock */
#define ID_ROOM 256

static atomic_int stopped;

struct member {
    struct worker worker;
    const char *topic, *group, *attempts;
    evlog_work_fn on_event;
    struct evlog_failure failure;
    int rc;
    pthread_t thread;
};

struct watch {
    const char *order;
    struct evlog_client *client;
    const char *orders; /* topic */
    struct evlog_failure failure;
    int rc;
};

int bytes_are(struct evlog_bytes bytes, const char *text)
{
    return bytes.data != NULL && bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

void reply(struct worker *worker, const struct evlog_lease *lease, const char *type, struct evlog_result *result)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    const struct evlog_header headers[] = {
        {{"ce_specversion", 14}, {"1.0", 3}},
        {{"ce_id", 5}, {"", 0}}, /* evlog_emit() gives it one */
        {{"ce_source", 9}, {"order_service", 13}},
        {{"ce_type", 7}, {type, strlen(type)}},
    };
    message.topic = TOPIC_REPLIES;
    message.key = lease->event->key;
    message.value = (struct evlog_bytes){"{}", 2};
    message.headers = headers;
    message.header_count = 4;
    if (evlog_emit(worker->group, lease, &message, &failure) != 0) {
        result->outcome = EVLOG_NACK;
        snprintf(result->error, sizeof result->error, "%.200s", failure.text);
    }
}

/* --- the shop ----------------------------------------------------------------------------------------------------- */

/* A command on the order, with an id that is made of the event's: again is the same command. */
static int order_once(const struct worker *worker, const struct evlog_lease *lease, enum order_verb verb,
                      struct evlog_failure *failure)
{
    const struct evlog_event *event = lease->event;
    struct order_command command = {.verb = verb};
    struct evlog_bytes event_id = {"", 0};
    char id[ID_ROOM], order[ID_ROOM];
    evlog_event_header(event, "ce_id", &event_id);
    snprintf(id, sizeof id, "%.*s:%d", (int)event_id.len, (const char *)event_id.data, verb);
    snprintf(order, sizeof order, "%.*s", (int)event->key.len, (const char *)event->key.data);
    command.id = id;
    if (verb == VERB_PAY) {
        command.cents = data_int(event->value, "cents");
    }
    return order_do(worker->client, worker->orders, order, &command, NULL, failure);
}

static void shop_on_event(void *arg, const struct evlog_lease *lease, struct evlog_result *result)
{
    struct worker *worker = arg;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_bytes type = {NULL, 0};
    int rc = 0;
    evlog_event_header(lease->event, "ce_type", &type);
    if (bytes_are(type, "ReserveStock")) {
        bool has = data_int(lease->event->value, "items") <= STOCK_MAX;
        reply(worker, lease, has ? "StockReserved" : "StockRefused", result);
    } else if (bytes_are(type, "ReleaseStock")) {
        reply(worker, lease, "StockReleased", result);
    } else if (bytes_are(type, "CancelOrder")) {
        rc = order_once(worker, lease, VERB_CANCEL, &failure);
    } else if (bytes_are(type, "ShipOrder")) {
        rc = order_once(worker, lease, VERB_PAY, &failure);
        rc = rc == 0 ? order_once(worker, lease, VERB_SHIP, &failure) : rc;
        if (rc > 0) {
            reply(worker, lease, "ShippingRefused", result);
        }
    }
    if (rc < 0) {
        result->outcome = EVLOG_NACK;
        snprintf(result->error, sizeof result->error, "%.200s", failure.text);
    }
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

static bool go_on(void *arg, const struct evlog_group_counts *counts)
{
    (void)arg;
    (void)counts;
    return !atomic_load(&stopped);
}

static void *run_member(void *arg)
{
    struct member *member = arg;
    struct evlog_group_options options = EVLOG_GROUP_OPTIONS_INIT;
    struct evlog_group_run_options run = EVLOG_GROUP_RUN_OPTIONS_INIT;
    const struct evlog_setting settings[] = {
        {"start", "earliest"}, {"retry.backoff.ms", "100"}, {"retry.max.attempts", member->attempts}};
    options.group = member->group;
    options.topics = &member->topic;
    options.topic_count = 1;
    options.settings = settings;
    options.setting_count = 3;
    run.on_event = member->on_event;
    run.arg = &member->worker;
    run.on_turn = go_on;
    member->rc = evlog_group_open(member->worker.client, &options, &member->worker.group, &member->failure);
    if (member->rc == 0) {
        member->rc = evlog_group_run(member->worker.group, &run, &member->failure);
        evlog_group_close(member->worker.group, -1, NULL);
    }
    if (member->rc != 0) {
        atomic_store(&stopped, 1);
    }
    return NULL;
}

/* Is this the point to die at: "6", the sixth of all, or "stored:2", the second one of that name? */
static bool is_last(const char *last, const char *point)
{
    static atomic_long all, named;
    size_t len = strlen(point);
    if (strncmp(last, point, len) == 0 && last[len] == ':') {
        return atomic_fetch_add(&named, 1) + 1 == strtol(last + len + 1, NULL, 10);
    }
    return atomic_fetch_add(&all, 1) + 1 == strtol(last, NULL, 10);
}

static void on_point(void *arg, const char *point)
{
    const char *last = getenv("ORDER_SERVICE_DIE_AT");
    (void)arg;
    if (last != NULL && is_last(last, point)) {
        fprintf(stderr, "dies at \"%s\"\n", point);
        kill(getpid(), SIGKILL);
        pause();
    }
}

static void *run_saga(void *arg)
{
    struct watch *watch = arg;
    struct evlog_sagas_options options = EVLOG_SAGAS_OPTIONS_INIT;
    const char *topics[] = {watch->orders, TOPIC_REPLIES};
    const struct evlog_setting settings[] = {
        {"retry.backoff.ms", "100"}, {"share.heartbeat.interval.ms", "200"}, {"share.session.timeout.ms", "1000"}};
    options.name = SAGA;
    options.topics = topics;
    options.topic_count = 2;
    options.on_event = fulfil_on_event;
    options.tries_max = 3;
    options.worker_count = 2;
    options.settings = settings; /* one that is killed is replaced after a second */
    options.setting_count = 3;
    options.on_turn = go_on;
    options.on_point = on_point;
    watch->rc = evlog_sagas_run(watch->client, &options, &watch->failure);
    atomic_store(&stopped, 1);
    return NULL;
}

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stopped, 1);
}

/* --- until the order has come to an end --------------------------------------------------------------------------- */

/* The saga and, where it has ended well or was undone, the order: an undone one is cancelled last. */
static int has_ended(const struct watch *watch, const struct evlog_fold *orders)
{
    struct evlog_saga_info info = {.size = sizeof info};
    struct evlog_bytes key = {watch->order, strlen(watch->order)};
    struct evlog_aggregate *aggregate;
    struct evlog_saga *saga;
    if (evlog_saga_load(watch->client, SAGA, key, &saga, NULL) != 0) {
        return 0;
    }
    evlog_saga_info(saga, &info);
    int ended = info.status == EVLOG_SAGA_STUCK || info.status == EVLOG_SAGA_COMPLETED;
    if (info.status == EVLOG_SAGA_COMPENSATED && evlog_load(watch->client, orders, key, &aggregate, NULL) == 0) {
        const struct order *order = evlog_aggregate_state(aggregate);
        ended = order->status == ORDER_CANCELLED || order->status == ORDER_SHIPPED;
        evlog_aggregate_close(aggregate);
    }
    if (ended) {
        printf("%s: %s%s%s\n", watch->order, evlog_saga_status_name(info.status), info.reason[0] == '\0' ? "" : ", ",
               info.reason);
    }
    evlog_saga_close(saga);
    return ended;
}

static int make_topics(struct evlog_client *client, struct evlog_failure *failure)
{
    static const char *const names[] = {TOPIC_SHOP, TOPIC_PAYMENTS, TOPIC_REPLIES, TOPIC_LEDGER};
    static const struct evlog_setting streams = {"evlog.streams", "true"};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof names[0]; i++) {
        struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
        options.name = names[i];
        options.settings = strcmp(names[i], TOPIC_LEDGER) == 0 ? &streams : NULL;
        options.setting_count = options.settings == NULL ? 0 : 1;
        rc = evlog_topic_create(client, &options, failure);
        rc = rc == EVLOG_ERR_TOPIC_EXISTS ? 0 : rc;
    }
    return rc;
}

int work_run(struct evlog_client *client, const struct evlog_fold *orders, const char *order,
             struct evlog_failure *failure)
{
    struct watch watch = {.order = order, .client = client, .orders = orders->topic, .failure = EVLOG_FAILURE_INIT};
    struct worker worker = {client, orders, NULL};
    struct member members[] = {
        {worker, TOPIC_SHOP, "shop", "-1", shop_on_event, EVLOG_FAILURE_INIT, 0, 0},
        {worker, TOPIC_PAYMENTS, "payment", "3", payment_on_event, EVLOG_FAILURE_INIT, 0, 0},
    };
    pthread_t saga;
    int rc = make_topics(client, failure);
    if (rc != 0) {
        return rc;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    for (size_t i = 0; i < 2; i++) {
        pthread_create(&members[i].thread, NULL, run_member, &members[i]);
    }
    pthread_create(&saga, NULL, run_saga, &watch);
    while (!atomic_load(&stopped)) {
        if (strcmp(order, "-") != 0 && has_ended(&watch, orders)) {
            atomic_store(&stopped, 1);
        }
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    pthread_join(saga, NULL);
    rc = watch.rc;
    *failure = watch.failure;
    for (size_t i = 0; i < 2; i++) {
        pthread_join(members[i].thread, NULL);
        if (rc == 0 && members[i].rc != 0) {
            rc = members[i].rc;
            *failure = members[i].failure;
        }
    }
    return rc;
}
