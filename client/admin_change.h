/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that change something at the broker: asked once, of the controller. And those that only look, which any node
 * answers. Blocking, any thread.
 */
#ifndef EL_CLIENT_ADMIN_CHANGE_H
#define EL_CLIENT_ADMIN_CHANGE_H

#include "client_core.h"

/* Looks into an answer: the Kafka error of the one thing that was asked, 0 for success.
 *
 * response  borrowed, as what it points to, for the call
 * message   out: the broker's own words about the error; left alone when it has none
 */
typedef int (*el_outcome_fn)(const void *response, void *arg, struct el_slice *message);

struct el_change {
    struct evlog_client *client;
    enum el_api_key api;
    int16_t version_max;
    const void *request;
    void *response; /* struct of the api's answer; what it points to is gone when the call returns */
    el_outcome_fn outcome;
    void *arg;        /* of outcome */
    const char *what; /* "create topic orders" */
};

/* Make it. An answer that was lost leaves the outcome open, and the failure says so; a controller that moved is found
 * again and asked, and a broker that reads its groups is asked until it has, since they did nothing.
 *
 * returns  0 | what stands for the outcome's error | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_IN_DOUBT | EVLOG_ERR_UNSUPPORTED
 */
int el_change_make(const struct el_change *change, struct evlog_failure *failure);

/* Ask something that changes nothing of whichever node is there, again while answers are lost or the broker
 * reads its groups.
 *
 * code_of   the Kafka code of an answer, or NULL where it has nothing to do with groups
 * call      filled; el_call_free() after success, when the answer is no longer needed
 * response  struct of the api's answer, decoded into call's arena
 * returns   0 | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_TIMED_OUT | EVLOG_ERR_UNSUPPORTED
 */
int el_look(struct evlog_client *client, enum el_api_key api, const void *request, int (*code_of)(const void *response),
            struct el_call *call, void *response, struct evlog_failure *failure);

#endif
