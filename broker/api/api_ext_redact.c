/* SPDX-License-Identifier: Apache-2.0
 *
 * Redact: take events out of the log, its disk and its archive. Answered when the redaction is accepted and durable, or
 * with how far one has come that was accepted before.
 */
#include <api/api.h>
#include <wire/msg_ext_redact.h>

struct redact_call {
    struct api_call base;
    struct redact_ask ask;
};

static struct el_slice state_name(enum redact_state state)
{
    switch (state) {
    case REDACT_NOTHING:
        return el_slice_str("nothing");
    case REDACT_FOUND:
        return el_slice_str("found");
    case REDACT_LOCAL:
        return el_slice_str("local");
    case REDACT_ARCHIVE:
        return el_slice_str("archive");
    case REDACT_COMPLETE:
        return el_slice_str("complete");
    }
    return el_slice_str("");
}

static void redact_on_ask(struct redact_ask *ask)
{
    api_call_release(ask->arg);
}

static void redact_finish(struct api_call *base)
{
    struct redact_call *call = EL_CONTAINER(base, struct redact_call, base);
    const struct redact_ask *ask = &call->ask;
    struct el_msg_ext_redact_response response;
    el_schema_init(&el_schema_ext_redact_response, &response);
    response.state = state_name(ask->state);
    response.first = ask->first_found;
    response.end = ask->end_found;
    response.batches = ask->batch_count;
    response.events = ask->event_count;
    response.parent_end = ask->parent_end;
    if (ask->text[0] != 0) {
        response.message = el_slice_str(ask->text);
    }
    if (ask->error != 0) {
        response.error = api_error(ask->error, false);
        response.message = ask->text[0] != 0 ? response.message : api_error_message(ask->error);
    }
    request_reply(base->request, &el_schema_ext_redact_response, &response);
}

static void redact_refuse(struct request *request, int16_t error, const char *text)
{
    struct el_msg_ext_redact_response response;
    el_schema_init(&el_schema_ext_redact_response, &response);
    response.error = error;
    response.message = el_slice_str(text);
    request_reply(request, &el_schema_ext_redact_response, &response);
}

void api_ext_redact(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_redact_request *asked = message;
    const struct topic *topic = store_topic_by_name(api->shard, asked->topic);
    if (topic == NULL) {
        redact_refuse(request, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "there is no such topic");
        return;
    }
    struct redact_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, redact_finish);
    call->ask = (struct redact_ask){.done = redact_on_ask,
                                    .arg = &call->base,
                                    .topic_id = topic->id,
                                    .partition = asked->partition,
                                    .first_offset = asked->first,
                                    .end_offset = asked->end,
                                    .reason = asked->reason,
                                    .dry_run = asked->dry_run};
    call->base.pending++;
    redactor_ask(api->redactor, api->shard, &call->ask);
    api_call_release(&call->base);
}
