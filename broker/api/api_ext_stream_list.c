/* SPDX-License-Identifier: Apache-2.0
 *
 * StreamList: streams of a partition by their keys. Source: docs/protocol.md, StreamList.
 */
#include <api/stream_target.h>
#include <wire/msg_ext_stream_list.h>

struct list_call {
    struct api *api;
    struct request *request;
    struct stream_target target;
    struct stream_list_op list;
};

static void refuse(struct list_call *call, int16_t error, struct el_slice message)
{
    struct el_msg_ext_stream_list_response response;
    el_schema_init(&el_schema_ext_stream_list_response, &response);
    response.topic_id = call->target.topic_id;
    response.error = error;
    response.message = message;
    request_reply(call->request, &el_schema_ext_stream_list_response, &response);
}

static void refuse_error(struct list_call *call, int error)
{
    api_count_refusal(call->api, error);
    refuse(call, stream_error(error), api_error_message(error));
}

static void list_on_sent(struct request *request)
{
    struct list_call *call = request->user;
    streams_list_release(call->api->streams, &call->list);
}

static struct el_msg_ext_stream_list_stream *fill_streams(const struct list_call *call)
{
    const struct stream_list_op *list = &call->list;
    struct el_msg_ext_stream_list_stream *streams = el_schema_new(&el_schema_ext_stream_list_stream,
                                                                  &call->request->arena, list->count);
    for (uint32_t i = 0; streams != NULL && i < list->count; i++) {
        streams[i] = (struct el_msg_ext_stream_list_stream){
            .key = list->names[i].key,
            .ended = list->names[i].ended,
            .deleted = list->names[i].deleted || list->names[i].ended,
            .last_offset = list->names[i].last_offset,
            .last_version = list->names[i].last_version,
        };
    }
    return streams;
}

static void list_on_names(struct store_op *op)
{
    struct list_call *call = op->arg;
    struct el_msg_ext_stream_list_response response;
    el_schema_init(&el_schema_ext_stream_list_response, &response);
    response.topic_id = call->target.topic_id;
    response.more = call->list.more;
    response.stream_count = call->list.count;
    response.streams = op->error == 0 ? fill_streams(call) : NULL;
    if (response.streams != NULL) {
        call->request->user = call;
        request_reply_release(call->request, &el_schema_ext_stream_list_response, &response, list_on_sent);
        return;
    }
    streams_list_release(call->api->streams, &call->list);
    if (op->error != 0) {
        refuse_error(call, op->error);
    } else {
        api_refuse_memory(call->api, call->request);
    }
}

void api_ext_stream_list(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_stream_list_request *ask = message;
    struct list_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->api = api;
    call->request = request;
    stream_target_find(api, request, ask->topic, &ask->topic_id, &call->target);
    if (call->target.error != EL_KAFKA_NONE) {
        refuse(call, call->target.error, call->target.message);
        return;
    }
    if (ask->partition < 0 || ask->partition >= call->target.partition_count) {
        refuse_error(call, EVLOG_ERR_UNKNOWN_TOPIC);
        return;
    }
    if (ask->max < 1 || ask->after.len > EL_STREAM_KEY_MAX || ask->prefix.len > EL_STREAM_KEY_MAX) {
        api_count_refusal(api, EVLOG_ERR_INVALID_REQUEST);
        refuse(call, EL_KAFKA_INVALID_REQUEST,
               el_slice_str("max is at least 1, prefix and after have at most 4096 bytes, as keys have"));
        return;
    }
    call->list.topic_id = call->target.topic_id;
    call->list.partition = ask->partition;
    call->list.prefix = ask->prefix;
    call->list.after = ask->after;
    call->list.count_max = (uint32_t)EL_MIN(ask->max, (int32_t)STREAM_FIND_MAX);
    call->list.with_deleted = ask->with_deleted;
    call->list.base.done = list_on_names;
    call->list.base.arg = call;
    streams_list(api->streams, &call->list);
}
