/* SPDX-License-Identifier: Apache-2.0
 *
 * StreamAppend: events for streams of one partition as one record batch, with expected versions. Runs on the
 * connection's shard.
 *
 *   1. the topic, the keys and the events are checked; all keys belong to one partition
 *   2. each event becomes a record, as CloudEvents' Kafka binding has it (binary mode)
 *   3. the batch is appended (stream_write.c)
 *   4. refused for a stream that is not as expected: its last event is read and told (stream_conflicts.c)
 *
 * Source: docs/protocol.md, StreamAppend.
 */
#include <api/stream_conflicts.h>
#include <core/timefmt.h>
#include <stdio.h>
#include <wire/position.h>

#define OWN_HEADERS_MAX 6u /* headers that the fields of an event make */
#define TIME_TEXT_LEN 40u
#define TIME_MS_MAX INT64_C(253402300799999) /* the year 9999: ce_time has four digits */

struct append_call {
    struct stream_write append;
    struct stream_conflicts conflicts;
    const struct el_msg_ext_stream_append_request *ask;
    struct el_header *headers; /* for one event at a time */
    char source[EL_TOPIC_NAME_MAX + 2];
};

/* --- the answer --------------------------------------------------------------------------------------------------- */

static void response_init(const struct append_call *call, struct el_msg_ext_stream_append_response *response)
{
    el_schema_init(&el_schema_ext_stream_append_response, response);
    response->topic_id = call->append.target.topic_id;
    response->partition = call->append.partition;
}

static void refuse(struct append_call *call, int16_t error, struct el_slice message)
{
    struct el_msg_ext_stream_append_response response;
    response_init(call, &response);
    response.error = error;
    response.message = message;
    request_reply(call->append.request, &el_schema_ext_stream_append_response, &response);
}

static void refuse_request(struct append_call *call, struct el_slice message)
{
    api_count_refusal(call->append.api, EVLOG_ERR_INVALID_REQUEST);
    refuse(call, EL_KAFKA_INVALID_REQUEST, message);
}

static void append_on_conflicts(struct stream_conflicts *conflicts)
{
    struct append_call *call = EL_CONTAINER(conflicts, struct append_call, conflicts);
    struct el_msg_ext_stream_append_response response;
    response_init(call, &response);
    response.error = stream_error(conflicts->error);
    response.message = conflicts->message;
    response.conflicts = conflicts->list;
    response.conflict_count = conflicts->count;
    request_reply(call->append.request, &el_schema_ext_stream_append_response, &response);
}

static void append_locate(const struct stream_conflicts *conflicts, uint32_t record, int32_t *index, int32_t *event)
{
    const struct append_call *call = EL_CONTAINER(conflicts, struct append_call, conflicts);
    uint32_t i = 0;
    while (record >= call->ask->appends[i].event_count) {
        record -= call->ask->appends[i++].event_count;
        EL_ASSERT(i < call->ask->append_count);
    }
    *index = (int32_t)i;
    *event = (int32_t)record;
}

static void answer_appended(struct append_call *call)
{
    const struct el_msg_ext_stream_append_request *ask = call->ask;
    const struct stream_write *a = &call->append;
    struct el_msg_ext_stream_append_response response;
    char word[EL_POSITION_TEXT_LEN + 1];
    int64_t last = -1;
    response_init(call, &response);
    response.results = api_new(a->api, a->request, &el_schema_ext_stream_append_result, ask->append_count);
    if (response.results == NULL) {
        return;
    }
    const struct stream_record *record = a->batch.records;
    for (uint32_t i = 0; i < ask->append_count; i++) {
        struct el_msg_ext_stream_append_result *out = &response.results[response.result_count++];
        const struct stream_record *end = record + ask->appends[i].event_count - 1;
        out->first_version = record->version;
        out->first_offset = record->offset;
        out->version = end->version;
        out->offset = end->offset;
        out->duplicate = a->op.duplicate;
        for (; record <= end; record++) {
            last = EL_MAX(last, record->offset);
        }
    }
    EL_ASSERT(record == a->batch.records + a->batch.record_count);
    el_position_format(word, &(struct el_position){a->target.topic_id, a->partition, last + 1});
    response.position = el_slice_str(word);
    response.append_time_ns = a->op.duplicate ? 0 : a->op.append_time_ns;
    request_reply(a->request, &el_schema_ext_stream_append_response, &response);
}

static void append_on_append(struct stream_write *append, int error)
{
    struct append_call *call = EL_CONTAINER(append, struct append_call, append);
    if (error == 0) {
        answer_appended(call);
    } else if (stream_conflicts_has(error)) {
        call->conflicts = (struct stream_conflicts){
            .append = append, .error = error, .finish = append_on_conflicts, .locate = append_locate};
        stream_conflicts_start(&call->conflicts);
    } else {
        refuse(call, stream_error(error), append->message.data != NULL ? append->message : api_append_message(error));
    }
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static bool name_is(struct el_slice name, const char *text)
{
    return el_slice_eq(name, el_slice_str(text));
}

/* Headers that the fields of an event make, or that mean something to evlog. */
static bool header_reserved(struct el_slice name)
{
    static const char own[] = "evlog-";
    return name_is(name, "ce_id") || name_is(name, "ce_type") || name_is(name, "ce_source") ||
           name_is(name, "ce_specversion") || name_is(name, "ce_time") || name_is(name, "content-type") ||
           (name.len >= sizeof own - 1 && memcmp(name.data, own, sizeof own - 1) == 0);
}

/* returns NULL, or what is wrong with it; static */
static const char *event_fault(const struct el_msg_ext_stream_append_event *event)
{
    if ((event->id.data != NULL && event->id.len == 0) || (event->type.data != NULL && event->type.len == 0) ||
        (event->source.data != NULL && event->source.len == 0)) {
        return "id, type and source are null or not empty";
    }
    if (event->id.len > EL_STREAM_ID_MAX || event->type.len > EL_STREAM_ID_MAX) {
        return "an id or type has at most 4096 bytes";
    }
    if (event->time_ms < -1 || event->time_ms > TIME_MS_MAX) {
        return "time_ms is -1, or ms since 1970 up to the year 9999";
    }
    for (uint32_t i = 0; i < event->header_count; i++) {
        if (event->headers[i].name.len == 0) {
            return "a header has a name";
        }
        if (header_reserved(event->headers[i].name)) {
            return "headers may not name what the fields of an event say (ce_id, ce_type, ce_source, ce_specversion, "
                   "ce_time, content-type), nor begin with evlog-";
        }
    }
    return NULL;
}

static size_t event_bytes(const struct append_call *call, const struct el_msg_ext_stream_append_event *event)
{
    size_t bytes = event->data.len + event->id.len + event->type.len + event->content_type.len + 128 +
                   EL_MAX(event->source.len, sizeof call->source);
    for (uint32_t i = 0; i < event->header_count; i++) {
        bytes += event->headers[i].name.len + event->headers[i].value.len + 12;
    }
    return bytes;
}

static void add_header(struct append_call *call, size_t *count, const char *name, struct el_slice value)
{
    if (value.data != NULL) {
        call->headers[(*count)++] = (struct el_header){el_slice_str(name), value};
    }
}

static int add_event(struct append_call *call, const struct el_msg_ext_stream_append_append *append,
                     const struct el_msg_ext_stream_append_event *event, int64_t expected)
{
    char time[TIME_TEXT_LEN];
    size_t count = 0;
    bool whole = event->id.data != NULL && event->type.data != NULL;
    add_header(call, &count, "ce_specversion", whole ? el_slice_str("1.0") : (struct el_slice){0});
    add_header(call, &count, STREAM_HEADER_ID, event->id);
    add_header(call, &count, "ce_source",
               event->source.data == NULL && whole ? el_slice_str(call->source) : event->source);
    add_header(call, &count, STREAM_HEADER_TYPE, event->type);
    if (event->time_ms >= 0) {
        el_time_format(time, event->time_ms * 1000000, 3);
        add_header(call, &count, "ce_time", el_slice_str(time));
    }
    add_header(call, &count, "content-type", event->content_type);
    for (uint32_t i = 0; i < event->header_count; i++) {
        call->headers[count++] = (struct el_header){event->headers[i].name, event->headers[i].value};
    }
    EL_ASSERT(count <= (size_t)event->header_count + OWN_HEADERS_MAX);
    struct stream_write_event record = {
        .key = append->key,
        .id = event->id,
        .type = event->type,
        .value = event->data,
        .headers = call->headers,
        .header_count = count,
        .time_ms = event->time_ms,
        .expected = expected,
    };
    return stream_write_add(&call->append, &record);
}

static int add_all(struct append_call *call, uint32_t event_count, size_t bytes)
{
    const struct el_msg_ext_stream_append_request *ask = call->ask;
    int error = stream_write_begin(&call->append, event_count, bytes, ask->check_count);
    for (uint32_t i = 0; error == 0 && i < ask->append_count; i++) {
        const struct el_msg_ext_stream_append_append *append = &ask->appends[i];
        for (uint32_t e = 0; error == 0 && e < append->event_count; e++) {
            error = add_event(call, append, &append->events[e], e == 0 ? append->expected : STREAM_ANY);
        }
    }
    for (uint32_t i = 0; error == 0 && i < ask->check_count; i++) {
        stream_write_check(&call->append, ask->checks[i].key, ask->checks[i].expected);
    }
    return error;
}

/* --- the request -------------------------------------------------------------------------------------------------- */

static struct el_slice key_fault(struct append_call *call, struct el_slice key, int64_t expected, const char *where)
{
    struct stream_write *a = &call->append;
    const char *fault = stream_key_fault(key);
    if (fault == NULL && !stream_expected_valid(expected)) {
        fault = "expected is a version, -1 none, -2 any or -4 exists";
    }
    if (fault != NULL) {
        return api_textf(a->request, "%s: %s", where, fault);
    }
    int32_t partition = stream_target_partition(&a->target, key);
    if (a->partition < 0) {
        a->partition = partition;
    }
    if (partition != a->partition) {
        char text[STREAM_KEY_TEXT_LEN];
        return api_textf(a->request,
                         "%s: stream %s is in partition %d, and not in partition %d: streams of one request, and its "
                         "checks, belong to one partition",
                         where, stream_key_text(text, key), partition, a->partition);
    }
    return (struct el_slice){0};
}

/* Check keys and events. returns data NULL, or what is wrong */
static struct el_slice request_fault(struct append_call *call, uint32_t *event_count, size_t *bytes,
                                     uint32_t *header_max)
{
    const struct el_msg_ext_stream_append_request *ask = call->ask;
    struct el_slice fault = {0};
    char where[32];
    if (ask->append_count == 0) {
        return el_slice_str("there is nothing to append: appends has at least one entry");
    }
    if (ask->check_count > EL_STREAM_RECORDS_MAX) {
        return el_slice_str("a request has at most 16384 checks");
    }
    for (uint32_t i = 0; i < ask->append_count && fault.data == NULL; i++) {
        const struct el_msg_ext_stream_append_append *append = &ask->appends[i];
        snprintf(where, sizeof where, "appends %u", i);
        fault = key_fault(call, append->key, append->expected, where);
        if (fault.data == NULL && append->event_count == 0) {
            fault = api_textf(call->append.request, "%s: it has no events; a condition alone goes into checks", where);
        }
        for (uint32_t e = 0; e < append->event_count && fault.data == NULL; e++) {
            const char *why = event_fault(&append->events[e]);
            if (why != NULL) {
                fault = api_textf(call->append.request, "%s, event %u: %s", where, e, why);
            }
            *header_max = EL_MAX(*header_max, append->events[e].header_count);
            *bytes += append->key.len + event_bytes(call, &append->events[e]);
        }
        *event_count += append->event_count;
    }
    for (uint32_t i = 0; i < ask->check_count && fault.data == NULL; i++) {
        snprintf(where, sizeof where, "checks %u", i);
        fault = key_fault(call, ask->checks[i].key, ask->checks[i].expected, where);
    }
    return fault;
}

static void append_begin(struct append_call *call)
{
    struct stream_write *a = &call->append;
    uint32_t event_count = 0, header_max = 0;
    size_t bytes = 0;
    struct el_slice fault = request_fault(call, &event_count, &bytes, &header_max);
    if (fault.data != NULL) {
        refuse_request(call, fault);
        return;
    }
    call->headers = api_alloc(a->api, a->request, (size_t)header_max + OWN_HEADERS_MAX, sizeof *call->headers);
    if (call->headers == NULL) {
        return;
    }
    int error = add_all(call, event_count, bytes);
    if (error == EVLOG_ERR_TOO_LARGE) {
        api_count_refusal(a->api, error);
        refuse(call, api_error(error, false),
               api_textf(a->request,
                         "the request is one batch, and larger than max.message.bytes of the topic (%u) or %u events: "
                         "append less at once",
                         a->batch_len_max, EL_STREAM_RECORDS_MAX));
    } else if (error != 0) {
        api_refuse_memory(a->api, a->request);
    } else {
        stream_write_submit(a, call->ask->timeout_ms);
    }
}

void api_ext_stream_append(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_stream_append_request *ask = message;
    struct append_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->ask = ask;
    call->append.api = api;
    call->append.request = request;
    call->append.finish = append_on_append;
    call->append.partition = -1;
    struct stream_target *target = &call->append.target;
    stream_target_find(api, request, ask->topic, &ask->topic_id, target);
    if (target->error != EL_KAFKA_NONE) {
        refuse(call, target->error, target->message);
        return;
    }
    if (ask->partition != -1 && (ask->partition < 0 || ask->partition >= target->partition_count)) {
        api_count_refusal(api, EVLOG_ERR_UNKNOWN_TOPIC);
        refuse(call, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, api_error_message(EVLOG_ERR_UNKNOWN_TOPIC));
        return;
    }
    call->append.partition = ask->partition;
    snprintf(call->source, sizeof call->source, "/%s", target->name);
    append_begin(call);
}
