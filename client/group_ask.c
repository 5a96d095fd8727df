/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking requests to a group's coordinator, and evlog's own about a group. Any thread.
 *
 * 1. Any node is asked who the coordinator is; the answer is a node, and the cluster is asked for again when its
 *    address is not known.
 * 2. The coordinator is asked. "Not the coordinator", "loading" and lost connections lead back to 1, with backoff,
 *    until the deadline.
 *
 * A request that must not be sent twice (once) ends in doubt when its answer is lost.
 */
#include "group_ask.h"
#include "fail.h"

#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_find_coordinator.h>

bool el_coordinator_error(int kafka_code)
{
    return kafka_code == EL_KAFKA_NOT_COORDINATOR || kafka_code == EL_KAFKA_COORDINATOR_NOT_AVAILABLE ||
           kafka_code == EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
}

void el_coordinator_question(const char *group, struct el_msg_find_coordinator_request *request)
{
    el_schema_init(&el_schema_find_coordinator_request, request);
    request->key = el_slice_str(group);
    request->key_type = 0;
}

/* What the request needs of its group. Finding its coordinator needs Describe, which each of these includes. */
static const char *right_of(enum el_api_key api)
{
    switch ((int)api) {
    case EL_API_DeleteGroups:
    case EL_API_OffsetDelete:
    case EL_API_DeleteShareGroupOffsets:
        return "delete group";
    case EL_API_OffsetCommit:
    case EL_API_AlterShareGroupOffsets:
        return "read group";
    default:
        return "describe group";
    }
}

static int of_group(struct evlog_failure *failure, int kafka_code, const struct el_group_ask *ask)
{
    char what[300];
    (void)snprintf(what, sizeof what, "group %s", ask->group);
    int rc = el_fail_kafka(failure, kafka_code, el_slice_of(NULL, 0), what);
    el_fail_right(failure, right_of(ask->api), ask->group);
    return rc;
}

/* Who coordinates the group. returns 0 | a failure, retriable or not */
static int find(struct evlog_client *client, const struct el_group_ask *ask, int32_t *node_id,
                struct evlog_failure *failure)
{
    struct el_msg_find_coordinator_request request;
    struct el_msg_find_coordinator_response response;
    struct el_call call;
    el_coordinator_question(ask->group, &request);
    struct el_ask question = {
        .api = EL_API_FindCoordinator,
        .request = &request,
        .version_max = EL_FIND_COORDINATOR_VERSION_MAX,
        .node_id = EL_NODE_ANY,
        .deadline_ns = ask->deadline_ns,
        .once = true,
    };
    int rc = el_client_ask(client, &question, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    int kafka_code = response.error_code;
    *node_id = response.node_id;
    el_call_free(&call);
    if (kafka_code != 0) {
        return of_group(failure, kafka_code, ask);
    }
    el_client_lock(client);
    bool known = el_cluster_node(client, *node_id) != NULL;
    el_client_unlock(client);
    return known ? 0 : el_cluster_refresh(client, NULL, false, ask->deadline_ns, failure);
}

static bool may_mend(const struct evlog_failure *failure)
{
    return failure->code == EVLOG_ERR_CLOSED || failure->code == EVLOG_ERR_UNREACHABLE ||
           failure->code == EVLOG_ERR_TIMED_OUT || el_coordinator_error(failure->kafka_code);
}

int el_group_ask(struct evlog_client *client, const struct el_group_ask *ask, struct el_call *call, void *response,
                 struct evlog_failure *failure)
{
    int32_t node_id = -1;
    for (uint32_t tries = 1;; tries++) {
        struct evlog_failure why = EVLOG_FAILURE_INIT;
        int rc = find(client, ask, &node_id, &why);
        if (rc == 0) {
            struct el_ask question = {
                .api = ask->api,
                .request = ask->request,
                .version_max = ask->version_max,
                .node_id = node_id,
                .deadline_ns = ask->deadline_ns,
                .once = true,
            };
            rc = el_client_ask(client, &question, call, response, &why);
            int kafka_code = rc == 0 ? ask->code_of(response) : 0;
            if (rc == 0 && !el_coordinator_error(kafka_code)) {
                return 0;
            }
            if (rc == 0) {
                el_call_free(call);
                rc = of_group(&why, kafka_code, ask);
                why.in_doubt = false;
            }
        }
        if (!may_mend(&why) || (ask->once && why.in_doubt) || !el_pause_before_retry(client, tries, ask->deadline_ns)) {
            if (!ask->once) {
                why.in_doubt = false; /* asking again does no harm */
            }
            (void)el_fail_copy(failure, &why);
            return rc;
        }
    }
}

int el_evlog_ask(struct evlog_client *client, const struct el_evlog_ask *ask, struct el_call *call, void *response,
                 struct evlog_failure *failure)
{
    struct el_ask question = {
        .api = ask->api,
        .request = ask->request,
        .version_max = INT16_MAX,
        .node_id = EL_NODE_ANY,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
        .once = ask->once,
    };
    for (uint32_t tries = 1;; tries++) {
        int rc = el_client_ask(client, &question, call, response, failure);
        if (rc == EVLOG_ERR_UNSUPPORTED) {
            (void)el_fail(failure, rc, "the broker does not %s", ask->cannot);
            el_fail_hint(failure, "only evlog does");
            return rc;
        }
        if (rc != 0 || !el_coordinator_error(ask->code_of(response)) ||
            !el_pause_before_retry(client, tries, question.deadline_ns)) {
            return rc;
        }
        el_call_free(call);
    }
}
