/* SPDX-License-Identifier: Apache-2.0
 *
 * The saga of an order: reserve its stock, charge the card, ship. When one of them cannot be done, those before are
 * undone, the newest first.
 *
 * A handler is a function of a state and an event. It calls nobody and stores nothing: it says what is to happen, and
 * all of that is stored at once, or not at all. So there is no moment at which a crash could do half of it.
 */
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAYMENT_MS 60000 /* how long a payment may take; ORDER_SERVICE_PAYMENT_MS is another time */

static struct evlog_saga_command command(const char *topic, const char *type, const char *data)
{
    struct evlog_saga_command made = EVLOG_SAGA_COMMAND_INIT;
    made.topic = topic;
    made.type = type;
    made.content_type = "application/json";
    made.data = (struct evlog_bytes){data, strlen(data)};
    return made;
}

static void send(struct evlog_saga_step *step, const char *topic, const char *type, const char *data)
{
    struct evlog_saga_command made = command(topic, type, data);
    evlog_saga_command(step, &made);
}

/* What undoes a step. What stands before it is undone after the answer has come. */
static void undo_by(struct evlog_saga_step *step, const char *topic, const char *type, const char *answer)
{
    struct evlog_saga_command made = command(topic, type, "{}");
    made.until = answer;
    evlog_saga_undo(step, &made);
}

/* What the saga remembers between its steps, as JSON. */
struct fulfilment {
    char at[16]; /* stock, payment, shipping */
    char card[64];
    int64_t items, cents;
    char text[256];
};

static void state_read(struct fulfilment *state, struct evlog_bytes data)
{
    data_text(data, "at", state->at, sizeof state->at);
    data_text(data, "card", state->card, sizeof state->card);
    state->items = data_int(data, "items");
    state->cents = data_int(data, "cents");
}

static void keep(struct evlog_saga_step *step, const char *at, struct fulfilment *state)
{
    int len = snprintf(state->text, sizeof state->text, "{\"at\":\"%s\",\"card\":\"%s\",\"items\":%lld,\"cents\":%lld}",
                       at, state->card, (long long)state->items, (long long)state->cents);
    evlog_saga_keep(step, (struct evlog_bytes){state->text, (size_t)len});
}

/* The kinds of cards that this version of the shop can do something with: a card is called KIND-NUMBER. */
static int is_known(const char *card)
{
    const char *kinds = getenv("ORDER_SERVICE_CARDS");
    size_t len = strcspn(card, "-");
    for (const char *kind = kinds == NULL ? "visa flaky declined broken" : kinds; *kind != '\0';) {
        size_t kind_len = strcspn(kind, " ");
        if (kind_len == len && memcmp(kind, card, len) == 0) {
            return 1;
        }
        kind += kind_len + (kind[kind_len] == ' ');
    }
    return 0;
}

static int begin(struct evlog_saga_step *step, struct fulfilment *state)
{
    char data[64];
    snprintf(data, sizeof data, "{\"items\":%lld}", (long long)state->items);
    send(step, TOPIC_SHOP, "ReserveStock", data);
    undo_by(step, TOPIC_SHOP, "CancelOrder", NULL);
    undo_by(step, TOPIC_SHOP, "ReleaseStock", "StockReleased");
    keep(step, "stock", state);
    return 0;
}

static int charge(struct evlog_saga_step *step, struct fulfilment *state, struct evlog_failure *failure)
{
    const char *wait = getenv("ORDER_SERVICE_PAYMENT_MS");
    char data[128];
    if (!is_known(state->card)) {
        snprintf(failure->text, sizeof failure->text, "no such kind of card: %s", state->card);
        return EVLOG_ERR_FAILED;
    }
    snprintf(data, sizeof data, "{\"card\":\"%s\",\"cents\":%lld}", state->card, (long long)state->cents);
    send(step, TOPIC_PAYMENTS, "ChargeCard", data);
    /* Said now and not when the card is charged: until then nobody knows whether it is. */
    undo_by(step, TOPIC_PAYMENTS, "RefundCard", "PaymentRefunded");
    evlog_saga_timer(step, "payment", wait == NULL ? PAYMENT_MS : strtoll(wait, NULL, 10));
    keep(step, "payment", state);
    return 0;
}

static int ship(struct evlog_saga_step *step, struct fulfilment *state)
{
    char data[64];
    snprintf(data, sizeof data, "{\"cents\":%lld}", (long long)state->cents);
    send(step, TOPIC_SHOP, "ShipOrder", data);
    keep(step, "shipping", state);
    return 0;
}

static int go_on(const struct evlog_saga_event *event, struct fulfilment *state, struct evlog_saga_step *step,
                 struct evlog_failure *failure)
{
    if (event->timer != NULL) {
        /* A timer is not taken back: the state says that it means nothing any more. */
        return strcmp(state->at, "payment") == 0 ? evlog_saga_fail(step, "the payment took too long") : 0;
    }
    if (bytes_are(event->type, "StockReserved")) {
        return charge(step, state, failure);
    }
    if (bytes_are(event->type, "PaymentTaken") && strcmp(event->topic, TOPIC_REPLIES) == 0) {
        return ship(step, state);
    }
    if (bytes_are(event->type, "OrderShipped")) {
        return evlog_saga_complete(step);
    }
    if (bytes_are(event->type, "StockRefused")) {
        return evlog_saga_fail(step, "not in stock");
    }
    if (bytes_are(event->type, "PaymentDeclined")) {
        return evlog_saga_fail(step, "the card was declined");
    }
    if (bytes_are(event->type, "ShippingRefused")) {
        return evlog_saga_fail(step, "the order cannot be shipped");
    }
    return 0;
}

int fulfil_on_event(void *arg, const struct evlog_saga *saga, const struct evlog_saga_event *event,
                    struct evlog_saga_step *step, struct evlog_failure *failure)
{
    struct fulfilment state;
    struct evlog_bytes kept = evlog_saga_state(saga);
    bool begins = kept.data == NULL;
    (void)arg;
    if (begins && !bytes_are(event->type, "OrderCheckedOut")) {
        return 0; /* it begins no saga */
    }
    state_read(&state, begins ? event->data : kept);
    return begins ? begin(step, &state) : go_on(event, &state, step, failure);
}
