/* SPDX-License-Identifier: Apache-2.0
 *
 * An order: what it is, and what may be done with it. The events of its stream are the only truth; this struct is what
 * they add up to, and every rule is a decision on it.
 */
#ifndef ORDER_SERVICE_ORDER_H
#define ORDER_SERVICE_ORDER_H

#include <evlog/evlog.h>

enum order_status { ORDER_NONE, ORDER_PLACED, ORDER_PAID, ORDER_SHIPPED, ORDER_CANCELLED };

struct order {
    enum order_status status;
    char customer[64];
    int64_t item_count;
    int64_t total_cents;
    int64_t paid_cents;
    int checked_out; /* the customer has given a card: nothing is added any more */
};

/* Why a command is refused: the rules of the shop, told apart from errors, which are negative. */
enum order_refusal {
    REFUSED_THERE = 1, /* the order is there already */
    REFUSED_NONE,      /* there is no such order */
    REFUSED_CLOSED,    /* it is shipped or cancelled, or too late for this */
    REFUSED_UNPAID,    /* it is not paid */
    REFUSED_AMOUNT,    /* more than is owed, or nothing */
    REFUSED_CARD,      /* not the name of a card */
};
const char *order_refusal_text(int refusal);
const char *order_status_text(enum order_status status);

enum order_verb { VERB_PLACE, VERB_ADD, VERB_CHECKOUT, VERB_PAY, VERB_SHIP, VERB_CANCEL };

/* One command. With an id it happens once, however often it is given. */
struct order_command {
    enum order_verb verb;
    const char *id;       /* NULL: none */
    const char *customer; /* place */
    const char *item;     /* add */
    const char *card;     /* checkout */
    int64_t cents;        /* add: its price; pay */
};

/* How orders of a topic are folded; snapshots are kept every so many events, 0: never. */
struct evlog_fold order_fold(const char *topic, int64_t snapshot_every);

/* Do a command, deciding again when another was faster.
 *
 * returns  0 | an order_refusal | an EVLOG_ERR_ code, told in failure
 */
int order_do(struct evlog_client *client, const struct evlog_fold *fold, const char *order,
             const struct order_command *command, struct evlog_appended *appended, struct evlog_failure *failure);

/* --- fields of an event's data, which is an object of JSON -------------------------------------------------------- */

/* A number; 0 when there is none. */
int64_t data_int(struct evlog_bytes data, const char *name);
/* A text, cut where room ends; empty when there is none. */
void data_text(struct evlog_bytes data, const char *name, char *text, size_t room);

#endif
