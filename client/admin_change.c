/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_change.h"
#include "fail.h"
#include "group_ask.h"

#include <wire/error_code.h>

#define CONTROLLER_TRIES 5

static int32_t controller(struct evlog_client *client)
{
    el_client_lock(client);
    int32_t id = client->cluster.controller_id;
    bool known = id >= 0 && el_cluster_node(client, id) != NULL;
    el_client_unlock(client);
    return known ? id : EL_NODE_ANY;
}

static int change_once(const struct el_change *change, int64_t deadline_ns, int *kafka_code,
                       struct evlog_failure *failure)
{
    struct el_call call;
    struct el_ask ask = {
        .api = change->api,
        .request = change->request,
        .version_max = change->version_max,
        .node_id = controller(change->client),
        .deadline_ns = deadline_ns,
        .once = true,
    };
    *kafka_code = 0;
    int rc = el_client_ask(change->client, &ask, &call, change->response, failure);
    if (rc != 0) {
        el_fail_wrap(failure, "%s", change->what);
        return rc;
    }
    struct el_slice message = {NULL, 0};
    *kafka_code = change->outcome(change->response, change->arg, &message);
    if (*kafka_code != 0) {
        rc = el_fail_kafka(failure, *kafka_code, message, change->what);
    }
    el_call_free(&call);
    return rc;
}

int el_change_make(const struct el_change *change, struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(change->client->cfg.request_timeout_ms);
    int kafka_code;
    for (uint32_t tries = 1;; tries++) {
        if (controller(change->client) == EL_NODE_ANY) {
            int rc = el_cluster_refresh(change->client, NULL, false, deadline_ns, failure);
            if (rc != 0) {
                return rc;
            }
        }
        int rc = change_once(change, deadline_ns, &kafka_code, failure);
        if (kafka_code == EL_KAFKA_NOT_CONTROLLER && tries < CONTROLLER_TRIES) {
            el_client_lock(change->client);
            change->client->cluster.controller_id = -1;
            el_client_unlock(change->client);
        } else if (!el_coordinator_error(kafka_code) || !el_pause_before_retry(change->client, tries, deadline_ns)) {
            return rc;
        }
    }
}

int el_look(struct evlog_client *client, enum el_api_key api, const void *request, int (*code_of)(const void *response),
            struct el_call *call, void *response, struct evlog_failure *failure)
{
    struct el_ask ask = {
        .api = api,
        .request = request,
        .version_max = INT16_MAX,
        .node_id = EL_NODE_ANY,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
    };
    for (uint32_t tries = 1;; tries++) {
        int rc = el_client_ask(client, &ask, call, response, failure);
        if (rc != 0 || code_of == NULL || !el_coordinator_error(code_of(response)) ||
            !el_pause_before_retry(client, tries, ask.deadline_ns)) {
            return rc;
        }
        el_call_free(call);
    }
}
