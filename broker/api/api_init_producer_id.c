/* SPDX-License-Identifier: Apache-2.0
 *
 * InitProducerId: a producer id for idempotent writes, or the next epoch of one that the client has.
 *
 * Transactions do not exist: a transactional id is refused with POLICY_VIOLATION, which every client reports and none
 * retries. An authorization error would send the reader to look for an ACL.
 */
#include <api/api.h>
#include <wire/msg_init_producer_id.h>

struct init_call {
    struct api_call base;
    struct producer_id_op op;
};

static void reply(struct request *request, int16_t error, int64_t producer_id, int16_t producer_epoch)
{
    struct el_msg_init_producer_id_response response;
    el_schema_init(&el_schema_init_producer_id_response, &response);
    response.error_code = error;
    response.producer_id = error == 0 ? producer_id : -1;
    response.producer_epoch = error == 0 ? producer_epoch : -1;
    request_reply(request, &el_schema_init_producer_id_response, &response);
}

static void init_finish(struct api_call *base)
{
    struct init_call *call = EL_CONTAINER(base, struct init_call, base);
    if (call->op.base.error != 0) {
        api_count_refusal(base->api, call->op.base.error);
    }
    reply(base->request, api_error(call->op.base.error, false), call->op.producer_id, 0);
}

void api_init_producer_id(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_init_producer_id_request *ask = message;
    if (ask->transactional_id.len > 0 &&
        !api_may(api, request, EL_ACL_OP_WRITE, EL_ACL_RESOURCE_TRANSACTIONAL_ID, ask->transactional_id)) {
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
        reply(request, EL_KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 0, 0);
        return;
    }
    if (ask->transactional_id.data != NULL) {
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
        reply(request, ask->transactional_id.len == 0 ? EL_KAFKA_INVALID_REQUEST : EL_KAFKA_POLICY_VIOLATION, 0, 0);
        return;
    }
    /* Who may write to some topic needs no right of its own for an idempotent producer. */
    if (!api_could_somewhere(api, request, EL_ACL_OP_WRITE, EL_ACL_RESOURCE_TOPIC) &&
        !api_may(api, request, 0, EL_ACL_RESOURCE_CLUSTER, el_slice_str(EL_ACL_CLUSTER_NAME))) {
        api_count_refusal(api, EVLOG_ERR_CLUSTER_DENIED);
        reply(request, api_error(EVLOG_ERR_CLUSTER_DENIED, false), 0, 0);
        return;
    }
    bool has_id = ask->producer_id >= 0, has_epoch = ask->producer_epoch >= 0;
    if (has_id != has_epoch) {
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
        reply(request, EL_KAFKA_INVALID_REQUEST, 0, 0);
        return;
    }
    if (has_id && ask->producer_epoch < INT16_MAX) {
        reply(request, EL_KAFKA_NONE, ask->producer_id, (int16_t)(ask->producer_epoch + 1));
        return;
    }
    struct init_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, init_finish);
    api_call_add(&call->base, &call->op.base);
    store_producer_id(api->shard, &call->op);
    api_call_release(&call->base);
}
