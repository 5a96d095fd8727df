/* SPDX-License-Identifier: Apache-2.0
 *
 * RedriveStart: a redrive of dead letters begins, or one that drops or copies them.
 */
#include <api/api.h>
#include <wire/msg_ext_redrive_start.h>

struct start_call {
    struct api_call base;
    struct lease_redrive_op op;
    struct lease_selection selection;
};

static void reply(struct request *request, uint64_t id, int error, const char *message)
{
    struct el_msg_ext_redrive_start_response response;
    el_schema_init(&el_schema_ext_redrive_start_response, &response);
    response.id = id;
    response.error = api_share_group_error(error);
    response.message = message[0] != 0 ? el_slice_str(message) : api_error_message(error);
    request_reply(request, &el_schema_ext_redrive_start_response, &response);
}

static void start_finish(struct api_call *base)
{
    const struct start_call *call = EL_CONTAINER(base, struct start_call, base);
    reply(base->request, call->op.id, call->op.base.error, call->op.base.message_text);
}

static bool fill(struct start_call *call, const struct el_msg_ext_redrive_start_request *ask)
{
    struct lease_selection *selection = &call->selection;
    if (ask->range_count > LEASE_SELECT_RANGES_MAX || ask->action < 0 || ask->action > LEASE_REDRIVE_COPY ||
        ask->rate < 0 || (ask->action == LEASE_REDRIVE_COPY) != (ask->to.data != NULL)) {
        return false;
    }
    for (uint32_t i = 0; i < ask->range_count; i++) {
        selection->ranges[i] = (struct lease_select_range){ask->ranges[i].partition, ask->ranges[i].first,
                                                           ask->ranges[i].last};
    }
    selection->range_count = ask->range_count;
    selection->key = ask->key;
    selection->reason = ask->reason;
    selection->pattern = ask->pattern;
    selection->since_ms = ask->since_ms;
    selection->until_ms = ask->until_ms;
    call->op.base.group_id = ask->group;
    call->op.topic = ask->topic;
    call->op.action = (enum lease_redrive_action)ask->action;
    call->op.target = ask->to;
    call->op.dry_run = ask->dry_run;
    call->op.rate = (uint32_t)ask->rate;
    call->op.selection = selection;
    return true;
}

void api_ext_redrive_start(struct api *api, struct request *request, const void *message)
{
    struct start_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    if (!fill(call, message)) {
        reply(request, 0, EVLOG_ERR_ARGUMENT,
              "at most 64 ranges, a rate of 0 or more, and an action of 0, 1, or with a topic to copy to 2");
        return;
    }
    const struct el_msg_ext_redrive_start_request *ask = message;
    if (!api_may(api, request, EL_ACL_OP_READ, EL_ACL_RESOURCE_TOPIC, ask->topic) ||
        (ask->to.data != NULL && !api_may(api, request, EL_ACL_OP_WRITE, EL_ACL_RESOURCE_TOPIC, ask->to))) {
        reply(request, 0, EVLOG_ERR_TOPIC_DENIED, "");
        return;
    }
    api_call_init(&call->base, api, request, start_finish);
    api_call_add_lease(&call->base, &call->op.base, api_call_on_lease_end);
    leases_redrive(api->leases, &call->op);
    api_call_release(&call->base);
}
