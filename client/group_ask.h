/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking requests to the coordinator of a group: found, asked, and found again when it has moved; and evlog's own
 * requests about a group.
 */
#ifndef EL_CLIENT_GROUP_ASK_H
#define EL_CLIENT_GROUP_ASK_H

#include "client_core.h"

struct el_group_ask {
    const char *group;
    enum el_api_key api;
    const void *request;
    int16_t version_max;
    int64_t deadline_ns;
    bool once; /* do not ask again when an answer was lost: it changes something for good */
    /* The Kafka code of an answer, 0 when all is well: decides whether the coordinator has to be found again. */
    int (*code_of)(const void *response);
};

/* Ask and wait, trying again after lost connections and while the coordinator moves or reads its state. Lock not held.
 *
 * call, response  as el_client_ask(); a code that code_of gives beyond those about the coordinator is the caller's
 */
int el_group_ask(struct evlog_client *client, const struct el_group_ask *ask, struct el_call *call, void *response,
                 struct evlog_failure *failure);

/* A request of evlog's own about a group: any node knows where to ask. */
struct el_evlog_ask {
    enum el_api_key api;
    const void *request;
    int (*code_of)(const void *response); /* as above */
    const char *cannot;                   /* what other brokers do not do, for people */
    bool once;                            /* as above */
};
/* Ask and wait; while the broker reads its groups, until it has. Lock not held.
 *
 * returns  0 with the answer in *call | EVLOG_ERR_UNSUPPORTED the broker is not evlog | another failure, told
 */
int el_evlog_ask(struct evlog_client *client, const struct el_evlog_ask *ask, struct el_call *call, void *response,
                 struct evlog_failure *failure);

/* The group's coordinator has moved or is not there: ask again elsewhere or later. */
bool el_coordinator_error(int kafka_code);

/* Fill a request for the coordinator of a group. */
struct el_msg_find_coordinator_request;
void el_coordinator_question(const char *group, struct el_msg_find_coordinator_request *request);
#define EL_FIND_COORDINATOR_VERSION_MAX 3 /* 4 asks for many at once and says it elsewhere */

#endif
