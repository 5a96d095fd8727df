/* SPDX-License-Identifier: Apache-2.0
 *
 * The order: from events to its state, and from a command and its state to events.
 */
#include "order.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA 2 /* of struct order as bytes: raise it when the struct changes */
#define TRIES 50 /* many may work on one order at the same time */

const char *order_refusal_text(int refusal)
{
    switch (refusal) {
    case REFUSED_THERE:
        return "the order is there already";
    case REFUSED_NONE:
        return "there is no such order";
    case REFUSED_CLOSED:
        return "the order is shipped or cancelled, or it is too late for that";
    case REFUSED_UNPAID:
        return "the order is not paid";
    case REFUSED_AMOUNT:
        return "that is not what is owed";
    case REFUSED_CARD:
        return "a card is called KIND-NUMBER, in small letters";
    default:
        return "refused";
    }
}

const char *order_status_text(enum order_status status)
{
    static const char *const texts[] = {"none", "placed", "paid", "shipped", "cancelled"};
    return texts[status];
}

/* --- events to state --------------------------------------------------------------------------------------------- */

static void *begin(void *arg)
{
    (void)arg;
    return calloc(1, sizeof(struct order));
}

static void end(void *arg, void *state)
{
    (void)arg;
    free(state);
}

static int is(const struct evlog_stream_event *event, const char *type)
{
    return event->type.len == strlen(type) && memcmp(event->type.data, type, event->type.len) == 0;
}

/* Events of types that are not known are passed over: a newer program may have written them. */
static int apply(void *arg, void *state, const struct evlog_stream_event *event)
{
    struct order *order = state;
    (void)arg;
    json_t *data = event->data.data == NULL ? json_object() : json_loadb(event->data.data, event->data.len, 0, NULL);
    if (data == NULL) {
        return EVLOG_ERR_MALFORMED;
    }
    int64_t cents = json_integer_value(json_object_get(data, "cents"));
    if (is(event, "OrderPlaced")) {
        const char *customer = json_string_value(json_object_get(data, "customer"));
        snprintf(order->customer, sizeof order->customer, "%s", customer == NULL ? "" : customer);
        order->status = ORDER_PLACED;
    } else if (is(event, "ItemAdded")) {
        order->item_count++;
        order->total_cents += cents;
        order->status = ORDER_PLACED;
    } else if (is(event, "OrderCheckedOut")) {
        order->checked_out = 1;
    } else if (is(event, "PaymentTaken")) {
        order->paid_cents += cents;
        order->status = order->paid_cents == order->total_cents ? ORDER_PAID : ORDER_PLACED;
    } else if (is(event, "OrderShipped")) {
        order->status = ORDER_SHIPPED;
    } else if (is(event, "OrderCancelled")) {
        order->status = ORDER_CANCELLED;
    }
    json_decref(data);
    return 0;
}

static int save(void *arg, const void *state, struct evlog_bytes *bytes)
{
    (void)arg;
    *bytes = (struct evlog_bytes){state, sizeof(struct order)};
    return 0;
}

static void *restore(void *arg, struct evlog_bytes bytes)
{
    void *order = bytes.len == sizeof(struct order) ? begin(arg) : NULL;
    if (order != NULL) {
        memcpy(order, bytes.data, bytes.len);
    }
    return order;
}

struct evlog_fold order_fold(const char *topic, int64_t snapshot_every)
{
    struct evlog_fold fold = EVLOG_FOLD_INIT;
    fold.topic = topic;
    fold.begin = begin;
    fold.apply = apply;
    fold.end = end;
    fold.schema = SCHEMA;
    fold.snapshot_every = snapshot_every;
    fold.save = save;
    fold.restore = restore;
    return fold;
}

/* --- command and state to events --------------------------------------------------------------------------------- */

static int emit(struct evlog_decision *decision, const struct order_command *command, const char *type, json_t *data)
{
    char *text = data == NULL ? NULL : json_dumps(data, JSON_COMPACT);
    json_decref(data);
    if (text == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct evlog_new_event event = {
        .id = command->id, /* so that the same command again is a duplicate */
        .type = type,
        .content_type = "application/json",
        .data = {text, strlen(text)},
    };
    int rc = evlog_decision_emit(decision, &event);
    free(text);
    return rc;
}

static int add(const struct order *order, const struct order_command *command, struct evlog_decision *decision)
{
    if (order->status == ORDER_NONE) {
        return REFUSED_NONE;
    }
    if (order->status == ORDER_SHIPPED || order->status == ORDER_CANCELLED || order->checked_out) {
        return REFUSED_CLOSED;
    }
    if (command->cents <= 0) {
        return REFUSED_AMOUNT;
    }
    return emit(decision, command, "ItemAdded",
                json_pack("{s:s,s:I}", "item", command->item, "cents", (json_int_t)command->cents));
}

static int checkout(const struct order *order, const struct order_command *command, struct evlog_decision *decision)
{
    if (order->status == ORDER_NONE || order->item_count == 0) {
        return REFUSED_NONE;
    }
    if (order->status != ORDER_PLACED || order->checked_out) {
        return REFUSED_CLOSED;
    }
    if (command->card[strspn(command->card, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0') {
        return REFUSED_CARD;
    }
    return emit(decision, command, "OrderCheckedOut",
                json_pack("{s:s,s:I,s:I}", "card", command->card, "items", (json_int_t)order->item_count, "cents",
                          (json_int_t)(order->total_cents - order->paid_cents)));
}

static int pay(const struct order *order, const struct order_command *command, struct evlog_decision *decision)
{
    if (order->status == ORDER_NONE) {
        return REFUSED_NONE;
    }
    if (order->status == ORDER_SHIPPED || order->status == ORDER_CANCELLED) {
        return REFUSED_CLOSED;
    }
    if (command->cents <= 0 || command->cents > order->total_cents - order->paid_cents) {
        return REFUSED_AMOUNT;
    }
    return emit(decision, command, "PaymentTaken", json_pack("{s:I}", "cents", (json_int_t)command->cents));
}

/* The rules. Called again, with a newer state, when another has changed the order meanwhile. */
static int decide(void *arg, const struct evlog_aggregate *aggregate, struct evlog_decision *decision)
{
    const struct order_command *command = arg;
    const struct order *order = evlog_aggregate_state(aggregate);
    switch (command->verb) {
    case VERB_PLACE:
        return order->status != ORDER_NONE
                   ? REFUSED_THERE
                   : emit(decision, command, "OrderPlaced", json_pack("{s:s}", "customer", command->customer));
    case VERB_ADD:
        return add(order, command, decision);
    case VERB_CHECKOUT:
        return checkout(order, command, decision);
    case VERB_PAY:
        return pay(order, command, decision);
    case VERB_SHIP:
        return order->status == ORDER_NONE   ? REFUSED_NONE
               : order->status != ORDER_PAID ? REFUSED_UNPAID
                                             : emit(decision, command, "OrderShipped", json_object());
    case VERB_CANCEL:
        return order->status == ORDER_NONE ? REFUSED_NONE
               : order->status == ORDER_SHIPPED || order->status == ORDER_CANCELLED
                   ? REFUSED_CLOSED
                   : emit(decision, command, "OrderCancelled", json_object());
    }
    return EVLOG_ERR_ARGUMENT;
}

int order_do(struct evlog_client *client, const struct evlog_fold *fold, const char *order,
             const struct order_command *command, struct evlog_appended *appended, struct evlog_failure *failure)
{
    struct evlog_decide_options options = EVLOG_DECIDE_OPTIONS_INIT;
    struct order_command copy = *command;
    options.decide = decide;
    options.arg = &copy;
    options.tries_max = TRIES;
    struct evlog_bytes key = {order, strlen(order)};
    int rc = evlog_decide(client, fold, key, &options, appended, failure);
    if (rc > 0 && command->id != NULL && evlog_event_find(client, fold->topic, key, command->id, appended, NULL) == 0) {
        return 0; /* refused because it has happened: the caller did not hear of it the first time */
    }
    return rc;
}

/* --- data --------------------------------------------------------------------------------------------------------- */

int64_t data_int(struct evlog_bytes data, const char *name)
{
    json_t *object = data.data == NULL ? NULL : json_loadb(data.data, data.len, 0, NULL);
    int64_t value = json_integer_value(json_object_get(object, name));
    json_decref(object);
    return value;
}

void data_text(struct evlog_bytes data, const char *name, char *text, size_t room)
{
    json_t *object = data.data == NULL ? NULL : json_loadb(data.data, data.len, 0, NULL);
    const char *value = json_string_value(json_object_get(object, name));
    snprintf(text, room, "%s", value == NULL ? "" : value);
    json_decref(object);
}
