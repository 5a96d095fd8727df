/* SPDX-License-Identifier: Apache-2.0
 *
 * StreamRead: events of one stream. Runs on the connection's shard.
 *
 *   1. which versions can be seen and where their events are (stream_span.c)
 *   2. the events (stream_events.c), as many as the answer may have
 *
 * Source: docs/protocol.md, StreamRead.
 */
#include <api/stream_events.h>
#include <api/stream_span.h>
#include <api/throttle.h>

struct read_call {
    struct api *api;
    struct request *request;
    const struct el_msg_ext_stream_read_request *ask;
    struct stream_target target;
    struct stream_span span;
    struct stream_events events;
    int32_t partition;
};

static void response_init(const struct read_call *call, struct el_msg_ext_stream_read_response *response)
{
    el_schema_init(&el_schema_ext_stream_read_response, response);
    response->topic_id = call->target.topic_id;
    response->partition = call->partition;
}

static void refuse(struct read_call *call, int16_t error, struct el_slice message)
{
    struct el_msg_ext_stream_read_response response;
    response_init(call, &response);
    response.error = error;
    response.message = message;
    request_reply(call->request, &el_schema_ext_stream_read_response, &response);
}

static void refuse_error(struct read_call *call, int error)
{
    api_count_refusal(call->api, error);
    if (error == EVLOG_ERR_ARGUMENT && call->ask->as_of_ns != 0) {
        refuse(call, EL_KAFKA_INVALID_REQUEST, el_slice_str("as_of_ns lies in the future: nothing is known of it yet"));
        return;
    }
    refuse(call, stream_error(error), api_error_message(error));
}

/* Where to go on: behind what was looked at. */
static void fill_next(const struct read_call *call, struct el_msg_ext_stream_read_response *out)
{
    const struct stream_span *span = &call->span;
    uint32_t done = call->events.place_done;
    const struct stream_place *places = span->find.places + span->first;
    if (span->count == 0) {
        out->next = span->start;
    } else if (done < span->count) {
        out->next = places[done].version;
    } else {
        out->next = places[span->count - 1].version + (span->backward ? -1 : 1);
    }
    if (span->backward) {
        out->more = out->next >= span->stop;
        out->next = out->next >= span->first_version ? out->next : -1;
    } else {
        out->more = out->next <= span->stop;
    }
}

static void read_on_events(struct stream_events *events, int error)
{
    struct read_call *call = EL_CONTAINER(events, struct read_call, events);
    const struct stream_span *span = &call->span;
    struct el_msg_ext_stream_read_response response;
    if (error != 0) {
        stream_span_release(&call->span);
        refuse_error(call, error);
        return;
    }
    response_init(call, &response);
    fill_next(call, &response);
    response.ended = span->ended;
    response.deleted = span->deleted;
    response.end_offset = span->end_offset;
    response.last_offset = span->last_offset;
    response.last_version = span->last_version;
    response.first_version = span->first_version;
    response.events = events->events;
    response.event_count = events->event_count;
    stream_span_release(&call->span);
    request_reply_release(call->request, &el_schema_ext_stream_read_response, &response, NULL);
}

static void read_on_span(struct stream_span *span, int error)
{
    struct read_call *call = EL_CONTAINER(span, struct read_call, span);
    if (error != 0) {
        stream_span_release(span);
        refuse_error(call, error);
        return;
    }
    uint32_t wanted = (uint32_t)EL_MIN((int64_t)span->count, (int64_t)call->ask->max_events);
    call->events = (struct stream_events){
        .api = call->api,
        .request = call->request,
        .topic_id = call->target.topic_id,
        .partition = call->partition,
        .places = span->find.places + span->first,
        .place_count = wanted,
        .key = call->ask->key,
        .claims = true,
        .bytes_max = api_throttle_len_max(call->api, call->request, call->ask->max_bytes),
        .finish = read_on_events,
    };
    stream_events_start(&call->events);
}

static const char *request_fault(const struct el_msg_ext_stream_read_request *ask)
{
    if (ask->from < -1 || ask->to < -1) {
        return "from and to are versions, or -1";
    }
    if (ask->max_bytes < 0 || ask->max_events < 0) {
        return "max_bytes and max_events are not negative";
    }
    if (ask->as_of_ns > INT64_MAX) {
        return "as_of_ns is ns since 1970, up to the year 2262";
    }
    return stream_key_fault(ask->key);
}

void api_ext_stream_read(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_stream_read_request *ask = message;
    struct read_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->api = api;
    call->request = request;
    call->ask = ask;
    call->partition = -1;
    stream_target_find(api, request, ask->topic, &ask->topic_id, &call->target);
    if (call->target.error != EL_KAFKA_NONE) {
        refuse(call, call->target.error, call->target.message);
        return;
    }
    const char *fault = request_fault(ask);
    if (fault != NULL) {
        api_count_refusal(api, EVLOG_ERR_INVALID_REQUEST);
        refuse(call, EL_KAFKA_INVALID_REQUEST, el_slice_str(fault));
        return;
    }
    call->partition = stream_target_partition(&call->target, ask->key);
    call->span = (struct stream_span){
        .api = api,
        .target = &call->target,
        .partition = call->partition,
        .key = ask->key,
        .as_of_ns = ask->as_of_ns,
        .backward = ask->backward,
        .from = ask->from,
        .to = ask->to,
        .count_max = (uint32_t)EL_MIN(EL_MAX(ask->max_events, 1), (int32_t)STREAM_FIND_MAX),
        .finish = read_on_span,
    };
    stream_span_start(&call->span);
}
