/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker that charges cards, as members of the work group "payment". What fails is tried again after a while; what
 * fails for the last time is a dead letter, and 'evlog dlq redrive' tries it anew.
 *
 * The ledger stands for a bank. A charge has the id of its command, so that a worker which dies behind the bank's
 * answer charges nobody twice; and it expects the stream of the order to be empty, so that a dead letter which is
 * redriven after the order was called off charges nobody at all.
 */
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CARD_ROOM 64
#define FLAKY_FAILURES 2

/* Append to the ledger. returns as evlog_append() */
static int enter(const struct worker *worker, const struct evlog_lease *lease, const char *type, int64_t expected,
                 struct evlog_failure *failure)
{
    struct evlog_append append = EVLOG_APPEND_INIT;
    struct evlog_bytes id;
    char text[256];
    if (!evlog_event_header(lease->event, "ce_id", &id)) {
        return EVLOG_ERR_ARGUMENT;
    }
    snprintf(text, sizeof text, "%.*s", (int)id.len, (const char *)id.data);
    struct evlog_new_event entry = {.id = text, .type = type, .data = lease->event->value};
    append.topic = TOPIC_LEDGER;
    append.key = lease->event->key;
    append.expected = expected;
    append.events = &entry;
    append.event_count = 1;
    return evlog_append(worker->client, &append, NULL, failure);
}

static void fail(struct evlog_result *result, const char *reason, const char *error)
{
    result->outcome = EVLOG_NACK;
    snprintf(result->reason, sizeof result->reason, "%s", reason);
    snprintf(result->error, sizeof result->error, "%.200s", error);
}

static void charge(struct worker *worker, const struct evlog_lease *lease, struct evlog_result *result)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    char card[CARD_ROOM];
    data_text(lease->event->value, "card", card, sizeof card);
    if (strncmp(card, "declined", 8) == 0) {
        reply(worker, lease, "PaymentDeclined", result);
        return;
    }
    if ((strncmp(card, "flaky", 5) == 0 && lease->attempt <= FLAKY_FAILURES) ||
        (strncmp(card, "broken", 6) == 0 && getenv("ORDER_SERVICE_REPAIRED") == NULL)) {
        fail(result, "bank", "the bank does not answer");
        return;
    }
    int rc = enter(worker, lease, "Charged", EVLOG_EXPECT_NONE, &failure);
    if (rc == 0) {
        reply(worker, lease, "PaymentTaken", result);
    } else if (rc != EVLOG_ERR_WRONG_VERSION) { /* that: it was called off before */
        fail(result, "ledger", failure.text);
    }
}

static void refund(struct worker *worker, const struct evlog_lease *lease, struct evlog_result *result)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = enter(worker, lease, "Refunded", EVLOG_EXPECT_EXISTS, &failure);
    if (rc == EVLOG_ERR_WRONG_VERSION) {
        rc = enter(worker, lease, "CalledOff", EVLOG_EXPECT_NONE,
                   &failure); /* nothing was charged, and nothing will be */
    }
    if (rc != 0) {
        fail(result, "ledger", failure.text);
        return;
    }
    reply(worker, lease, "PaymentRefunded", result);
}

void payment_on_event(void *arg, const struct evlog_lease *lease, struct evlog_result *result)
{
    struct worker *worker = arg;
    struct evlog_bytes type = {NULL, 0};
    evlog_event_header(lease->event, "ce_type", &type);
    if (bytes_are(type, "ChargeCard")) {
        charge(worker, lease, result);
    } else if (bytes_are(type, "RefundCard")) {
        refund(worker, lease, result);
    } else {
        result->outcome = EVLOG_DEAD;
        snprintf(result->reason, sizeof result->reason, "unknown command");
    }
}
