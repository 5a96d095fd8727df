/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to an order that is checked out: a saga, and the workers that do what it tells them to.
 *
 *     orders --OrderCheckedOut--> saga --ReserveStock, ShipOrder, CancelOrder--> topic shop     --> worker of the shop
 *                                  |---ChargeCard, RefundCard-----------------> topic payments --> worker of payments
 *                                  ^-------- StockReserved, PaymentTaken ...--- topic replies <-----/
 */
#ifndef ORDER_SERVICE_WORK_H
#define ORDER_SERVICE_WORK_H

#include "order.h"

#define TOPIC_SHOP "shop"
#define TOPIC_PAYMENTS "payments"
#define TOPIC_REPLIES "replies"
#define TOPIC_LEDGER "ledger" /* what cards were charged with: a stream an order */
#define SAGA "fulfilment"

/* --- fulfil.c: the saga ------------------------------------------------------------------------------------------- */

/* Its handler; arg: what orders are folded by. */
int fulfil_on_event(void *arg, const struct evlog_saga *saga, const struct evlog_saga_event *event,
                    struct evlog_saga_step *step, struct evlog_failure *failure);

/* --- payment.c: the worker that may fail -------------------------------------------------------------------------- */

struct worker {
    struct evlog_client *client;
    const struct evlog_fold *orders;
    struct evlog_group *group;
};
void payment_on_event(void *arg, const struct evlog_lease *lease, struct evlog_result *result);

/* --- work.c: everything in one process ---------------------------------------------------------------------------- */

/* Work until the saga of an order has ended or is stuck; "-": until SIGINT or SIGTERM. returns 0 | EVLOG_ERR_, told */
int work_run(struct evlog_client *client, const struct evlog_fold *orders, const char *order,
             struct evlog_failure *failure);

int bytes_are(struct evlog_bytes bytes, const char *text);
/* Answer the command in a lease: published together with its acknowledgement, exactly once. */
void reply(struct worker *worker, const struct evlog_lease *lease, const char *type, struct evlog_result *result);

#endif
