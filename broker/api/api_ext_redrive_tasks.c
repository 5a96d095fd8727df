/* SPDX-License-Identifier: Apache-2.0
 *
 * RedriveTasks: redrives of dead letters, those that run and the last that have ended; or cancel one.
 */
#include <api/api.h>
#include <wire/msg_ext_redrive_tasks.h>

struct tasks_call {
    struct api_call base;
    struct lease_redrives_op op;
    bool asking; /* a task is described, to see whose it is, before it is cancelled */
};

/* A list leaves out what the caller may not see. */
static bool may(const struct tasks_call *call, struct el_slice group)
{
    return call->op.verb == LEASE_REDRIVES_LIST
               ? api_could(call->base.api, call->base.request, 0, EL_ACL_RESOURCE_GROUP, group)
               : api_may(call->base.api, call->base.request, 0, EL_ACL_RESOURCE_GROUP, group);
}

static struct el_slice state_name(enum lease_redrive_state state)
{
    static const char *const names[] = {
        [LEASE_REDRIVE_BEGINNING] = "beginning", [LEASE_REDRIVE_RUNNING] = "running", [LEASE_REDRIVE_DONE] = "done",
        [LEASE_REDRIVE_CANCELLED] = "cancelled", [LEASE_REDRIVE_FAILED] = "failed",
    };
    return el_slice_str(names[state]);
}

static void fill(const struct lease_redrive_view *view, struct el_msg_ext_redrive_tasks_task *out)
{
    out->id = view->id;
    out->to = view->target;
    out->why = view->why;
    out->rate = (int32_t)view->rate;
    out->group = view->group;
    out->state = state_name(view->state);
    out->topic = view->topic;
    out->action = (int8_t)view->action;
    out->partition = view->partition;
    out->offset = view->offset;
    out->dry_run = view->dry_run;
    out->began_ms = view->began_ms;
    out->ended_ms = view->ended_ms;
    out->total = view->counts.total;
    out->seen = view->counts.seen;
    out->matched = view->counts.matched;
    out->redriven = view->counts.redriven;
    out->dropped = view->counts.dropped;
    out->gone = view->counts.gone;
    out->passed = view->counts.passed;
    out->settled = view->counts.settled;
    out->others = view->counts.others;
}

static void tasks_finish(struct api_call *base)
{
    struct tasks_call *call = EL_CONTAINER(base, struct tasks_call, base);
    struct lease_redrives_op *op = &call->op;
    struct el_msg_ext_redrive_tasks_response response;
    el_schema_init(&el_schema_ext_redrive_tasks_response, &response);
    response.tasks = api_new(base->api, base->request, &el_schema_ext_redrive_tasks_task, op->view_count);
    if (response.tasks == NULL) {
        lease_op_release(&op->base);
        return;
    }
    if (op->base.error == EVLOG_ERR_NOT_FOUND) {
        response.error = EL_KAFKA_RESOURCE_NOT_FOUND;
        response.message = el_slice_str("there is no such redrive, or it is not kept any more");
    } else if (op->base.error != 0) {
        response.error = api_share_group_error(op->base.error);
        response.message = op->base.message_text[0] != 0 ? el_slice_str(op->base.message_text)
                                                         : api_error_message(op->base.error);
    }
    for (uint32_t i = 0; i < op->view_count; i++) {
        if (may(call, op->views[i].group)) {
            fill(&op->views[i], &response.tasks[response.task_count++]);
        } else if (op->verb != LEASE_REDRIVES_LIST) {
            response.error = api_error(EVLOG_ERR_GROUP_DENIED, false);
            response.message = api_error_message(EVLOG_ERR_GROUP_DENIED);
        }
    }
    request_reply(base->request, &el_schema_ext_redrive_tasks_response, &response);
    lease_op_release(&op->base);
}

static void tasks_on_op(struct lease_op *op)
{
    struct tasks_call *call = EL_CONTAINER(op, struct tasks_call, op.base);
    if (call->asking && op->error == 0 && call->op.view_count == 1 &&
        api_could(call->base.api, call->base.request, 0, EL_ACL_RESOURCE_GROUP, call->op.views[0].group)) {
        struct api *api = call->base.api;
        struct lease_redrives_op again = {.base = {.done = tasks_on_op, .arg = &call->base},
                                          .verb = LEASE_REDRIVES_CANCEL,
                                          .id = call->op.id,
                                          .topic = call->op.topic};
        lease_op_release(op);
        call->asking = false;
        call->op = again;
        leases_redrives(api->leases, &call->op);
        return;
    }
    api_call_release(op->arg);
}

void api_ext_redrive_tasks(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_redrive_tasks_request *ask = message;
    if (ask->verb < 0 || ask->verb > 2) {
        struct el_msg_ext_redrive_tasks_response response;
        el_schema_init(&el_schema_ext_redrive_tasks_response, &response);
        response.error = EL_KAFKA_INVALID_REQUEST;
        response.message = el_slice_str("verb is 0 to list, 1 to describe or 2 to cancel");
        request_reply(request, &el_schema_ext_redrive_tasks_response, &response);
        return;
    }
    struct tasks_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->op.verb = ask->verb == 0   ? LEASE_REDRIVES_LIST
                    : ask->verb == 1 ? LEASE_REDRIVES_DESCRIBE
                                     : LEASE_REDRIVES_CANCEL;
    call->op.id = ask->id;
    call->op.topic = ask->topic;
    api_call_init(&call->base, api, request, tasks_finish);
    if (call->op.verb == LEASE_REDRIVES_CANCEL && api->auth != NULL && api->auth->enabled) {
        call->op.verb = LEASE_REDRIVES_DESCRIBE;
        call->asking = true;
    }
    api_call_add_lease(&call->base, &call->op.base, tasks_on_op);
    leases_redrives(api->leases, &call->op);
    api_call_release(&call->base);
}
