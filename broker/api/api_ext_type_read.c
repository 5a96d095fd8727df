/* SPDX-License-Identifier: Apache-2.0
 *
 * TypeRead: events of one type in a partition, in the order of the log. Runs on the connection's shard.
 *
 * The index says where they are, stream_events.c reads them. Source: docs/protocol.md, TypeRead.
 */
#include <api/stream_events.h>
#include <api/stream_target.h>
#include <api/throttle.h>
#include <wire/msg_ext_type_read.h>

struct type_call {
    struct api *api;
    struct request *request;
    const struct el_msg_ext_type_read_request *ask;
    struct stream_target target;
    struct stream_find_op find;
    struct stream_events events;
};

static void response_init(const struct type_call *call, struct el_msg_ext_type_read_response *response)
{
    el_schema_init(&el_schema_ext_type_read_response, response);
    response->topic_id = call->target.topic_id;
}

static void refuse(struct type_call *call, int16_t error, struct el_slice message)
{
    struct el_msg_ext_type_read_response response;
    response_init(call, &response);
    response.error = error;
    response.message = message;
    request_reply(call->request, &el_schema_ext_type_read_response, &response);
}

static void refuse_error(struct type_call *call, int error)
{
    api_count_refusal(call->api, error);
    refuse(call, stream_error(error), api_error_message(error));
}

static void fill_next(const struct type_call *call, struct el_msg_ext_type_read_response *out)
{
    const struct stream_find_op *find = &call->find;
    uint32_t done = call->events.place_done;
    out->more = done < find->count || find->count == find->count_max;
    if (done < find->count) {
        out->next = find->places[done].offset;
    } else if (out->more) {
        out->next = find->places[find->count - 1].offset + (find->backward ? -1 : 1);
    } else {
        out->next = find->backward ? -1 : EL_MAX(find->end_offset, call->ask->from);
    }
    out->more = out->more && out->next >= 0;
}

static void type_on_events(struct stream_events *events, int error)
{
    struct type_call *call = EL_CONTAINER(events, struct type_call, events);
    struct el_msg_ext_type_read_response response;
    response_init(call, &response);
    fill_next(call, &response);
    response.end_offset = call->find.end_offset;
    response.events = events->events;
    response.event_count = events->event_count;
    streams_find_release(call->api->streams, &call->find);
    if (error != 0) {
        refuse_error(call, error);
        return;
    }
    request_reply_release(call->request, &el_schema_ext_type_read_response, &response, NULL);
}

static void type_on_find(struct store_op *op)
{
    struct type_call *call = op->arg;
    if (op->error != 0) {
        streams_find_release(call->api->streams, &call->find);
        refuse_error(call, op->error);
        return;
    }
    call->events = (struct stream_events){
        .api = call->api,
        .request = call->request,
        .topic_id = call->target.topic_id,
        .partition = call->ask->partition,
        .places = call->find.places,
        .place_count = call->find.count,
        .type = call->ask->type,
        .claims = true,
        .bytes_max = api_throttle_len_max(call->api, call->request, call->ask->max_bytes),
        .finish = type_on_events,
    };
    stream_events_start(&call->events);
}

static const char *request_fault(const struct el_msg_ext_type_read_request *ask)
{
    if (ask->type.len == 0 || ask->type.len > EL_STREAM_ID_MAX) {
        return "type has 1 to 4096 bytes";
    }
    if (ask->from < -1) {
        return "from is an offset, or -1";
    }
    return ask->max_bytes < 0 || ask->max_events < 1 ? "max_bytes is at least 0, max_events at least 1" : NULL;
}

void api_ext_type_read(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_type_read_request *ask = message;
    struct type_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->api = api;
    call->request = request;
    call->ask = ask;
    stream_target_find(api, request, ask->topic, &ask->topic_id, &call->target);
    if (call->target.error != EL_KAFKA_NONE) {
        refuse(call, call->target.error, call->target.message);
        return;
    }
    if (ask->partition < 0 || ask->partition >= call->target.partition_count) {
        refuse_error(call, EVLOG_ERR_UNKNOWN_TOPIC);
        return;
    }
    const char *fault = request_fault(ask);
    if (fault != NULL) {
        api_count_refusal(api, EVLOG_ERR_INVALID_REQUEST);
        refuse(call, EL_KAFKA_INVALID_REQUEST, el_slice_str(fault));
        return;
    }
    call->find.topic_id = call->target.topic_id;
    call->find.partition = ask->partition;
    call->find.hash = stream_hash_type(streams_secret(api->streams), ask->type);
    call->find.of_type = true;
    call->find.backward = ask->backward;
    call->find.from = ask->from;
    call->find.count_max = (uint32_t)EL_MIN(ask->max_events, (int32_t)STREAM_FIND_MAX);
    call->find.base.done = type_on_find;
    call->find.base.arg = call;
    streams_find(api->streams, &call->find);
}
