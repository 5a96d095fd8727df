/* SPDX-License-Identifier: Apache-2.0
 *
 * The scripted broker's streams: an array of events per partition, looked through from its start for every question.
 */
#include "scripted_stream.h"

#include "../../lib/test.h"

#include <stdio.h>
#include <string.h>
#include <wire/error_code.h>
#include <wire/msg_create_topics.h>
#include <wire/msg_ext_stream_delete.h>
#include <wire/msg_ext_stream_list.h>
#include <wire/msg_ext_stream_read.h>
#include <wire/msg_ext_type_read.h>

#define POSITION "posposposposposposposposposposposposposp"
#define ANSWER_EVENTS 64
#define SHOWN_HEADERS (SCRIPTED_HEADERS + 2)

static struct scripted_stream *of(struct scripted *s)
{
    return EL_CONTAINER(s, struct scripted_stream, s);
}

static int part_of(struct el_slice key)
{
    return key.len > 0 ? key.data[0] & 1 : 0;
}

static void text(char *out, struct el_slice from)
{
    (void)snprintf(out, SCRIPTED_TEXT_LEN, "%.*s", (int)from.len, from.data == NULL ? "" : (const char *)from.data);
}

static struct el_slice slice(const char *from)
{
    return from[0] == '\0' ? (struct el_slice){0} : el_slice_str(from);
}

static bool is_second(const struct scripted_stream *st, struct el_slice topic)
{
    return st->s.second_topic != NULL && el_slice_eq(topic, el_slice_str(st->s.second_topic));
}

/* A key as it stands in the logs; room[SCRIPTED_TEXT_LEN]. */
static struct el_slice key_in(const struct scripted_stream *st, struct el_slice topic, struct el_slice key, char *room)
{
    (void)snprintf(room, SCRIPTED_TEXT_LEN, "%s%.*s", is_second(st, topic) ? "~" : "", (int)key.len,
                   (const char *)key.data);
    return el_slice_str(room);
}

static bool is(const struct scripted_event *event, struct el_slice key)
{
    return el_slice_eq(el_slice_str(event->key), key);
}

/* The last event of a stream among the first count, NULL: none. */
static const struct scripted_event *last(const struct scripted_stream *st, struct el_slice key, int count)
{
    const struct scripted_event *log = st->log[part_of(key)], *found = NULL;
    for (int i = 0; i < count; i++) {
        found = is(&log[i], key) ? &log[i] : found;
    }
    return found;
}

static const struct scripted_event *by_id(const struct scripted_stream *st, struct el_slice key, struct el_slice id)
{
    const struct scripted_event *log = st->log[part_of(key)];
    for (int i = 0; id.data != NULL && i < st->count[part_of(key)]; i++) {
        if (is(&log[i], key) && el_slice_eq(el_slice_str(log[i].id), id)) {
            return &log[i];
        }
    }
    return NULL;
}

static bool ended_at(const struct scripted_event *event)
{
    return event != NULL && (event->soft || event->hard);
}

static bool as_expected(const struct scripted_event *head, int64_t expected)
{
    switch (expected) {
    case EVLOG_EXPECT_ANY:
        return true;
    case EVLOG_EXPECT_NONE:
        return head == NULL || ended_at(head);
    case EVLOG_EXPECT_EXISTS:
        return head != NULL && !ended_at(head);
    default:
        return head != NULL && head->version == expected;
    }
}

/* --- appends ------------------------------------------------------------------------------------------------------ */

static struct scripted_event *add(struct scripted_stream *st, struct el_slice key)
{
    int part = part_of(key);
    const struct scripted_event *head = last(st, key, st->count[part]);
    struct scripted_event *event = &st->log[part][st->count[part]++];
    *event = (struct scripted_event){.version = head == NULL ? 0 : head->version + 1};
    text(event->key, key);
    return event;
}

static int offset_of(const struct scripted_stream *st, const struct scripted_event *event)
{
    return (int)(event - st->log[part_of(el_slice_str(event->key))]);
}

static void conflict(const struct scripted_stream *st, struct el_slice key, int64_t expected, const char *reason,
                     struct el_msg_ext_stream_append_conflict *out)
{
    const struct scripted_event *head = last(st, key, st->count[part_of(key)]);
    el_schema_init(&el_schema_ext_stream_append_conflict, out);
    out->key = key;
    out->expected = expected;
    out->reason = el_slice_str(reason);
    out->event = -1;
    out->current_version = head == NULL ? -1 : head->version;
    out->current_type = head == NULL ? (struct el_slice){0} : slice(head->type);
    out->current_time_ms = head == NULL ? -1 : 1767225600000;
    out->deleted = ended_at(head);
}

/* Everything that is not as it should be. returns how many */
static uint32_t find_conflicts(const struct scripted_stream *st, const struct el_msg_ext_stream_append_request *request,
                               struct el_msg_ext_stream_append_conflict *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->append_count; i++) {
        const struct el_msg_ext_stream_append_append *append = &request->appends[i];
        const struct scripted_event *head = last(st, append->key, st->count[part_of(append->key)]);
        uint32_t known = 0;
        for (uint32_t j = 0; j < append->event_count; j++) {
            known += by_id(st, append->key, append->events[j].id) != NULL;
        }
        const char *reason = head != NULL && head->hard                 ? "ended"
                             : known > 0 && known < append->event_count ? "id"
                             : known > 0                                ? NULL
                             : as_expected(head, append->expected)      ? NULL
                                                                        : "version";
        if (reason != NULL) {
            conflict(st, append->key, append->expected, reason, &out[count]);
            out[count++].index = (int32_t)i;
        }
    }
    for (uint32_t i = 0; i < request->check_count; i++) {
        struct el_slice key = request->checks[i].key;
        if (!as_expected(last(st, key, st->count[part_of(key)]), request->checks[i].expected)) {
            conflict(st, key, request->checks[i].expected, "version", &out[count]);
            out[count].check = true;
            out[count++].index = (int32_t)i;
        }
    }
    return count;
}

static void store(struct scripted_stream *st, const struct el_msg_ext_stream_append_append *append,
                  struct el_msg_ext_stream_append_result *result)
{
    el_schema_init(&el_schema_ext_stream_append_result, result);
    result->duplicate = by_id(st, append->key, append->events[0].id) != NULL;
    for (uint32_t j = 0; j < append->event_count; j++) {
        const struct scripted_event *there = by_id(st, append->key, append->events[j].id);
        if (there == NULL) {
            struct scripted_event *event = add(st, append->key);
            text(event->id, append->events[j].id);
            text(event->type, append->events[j].type);
            text(event->data, append->events[j].data);
            for (uint32_t k = 0; k < EL_MIN(append->events[j].header_count, SCRIPTED_HEADERS); k++) {
                text(event->headers[k][0], append->events[j].headers[k].name);
                text(event->headers[k][1], append->events[j].headers[k].value);
            }
            there = event;
        }
        if (j == 0) {
            result->first_version = there->version;
            result->first_offset = offset_of(st, there);
        }
        result->version = there->version;
        result->offset = offset_of(st, there);
    }
}

static void note_append(struct scripted *s, const struct el_msg_ext_stream_append_request *request)
{
    for (uint32_t i = 0; i < request->append_count; i++) {
        const struct el_msg_ext_stream_append_append *append = &request->appends[i];
        scripted_note(s, "append(%.*s@%lld", (int)append->key.len, (const char *)append->key.data,
                      (long long)append->expected);
        for (uint32_t j = 0; j < append->event_count; j++) {
            scripted_note(s, " %.*s", (int)append->events[j].id.len, (const char *)append->events[j].id.data);
        }
        scripted_note(s, ") ");
    }
}

static void answer_append(struct scripted_stream *st, struct el_call *call)
{
    struct el_msg_ext_stream_append_request own = *(const struct el_msg_ext_stream_append_request *)call->request;
    const struct el_msg_ext_stream_append_request *request = &own;
    struct el_msg_ext_stream_append_response response;
    struct el_msg_ext_stream_append_append first = own.appends[0];
    char key[SCRIPTED_TEXT_LEN];
    struct el_msg_ext_stream_append_result results[16];
    struct el_msg_ext_stream_append_conflict conflicts[16];
    assert_true(request->append_count <= 16 && request->append_count + request->check_count <= 16);
    if (is_second(st, own.topic)) {
        first.key = key_in(st, own.topic, first.key, key);
        own.appends = &first;
    }
    note_append(&st->s, request);
    st->append_count++;
    if (st->before_append != NULL) {
        st->before_append(st);
    }
    el_schema_init(&el_schema_ext_stream_append_response, &response);
    response.conflict_count = find_conflicts(st, request, conflicts);
    response.conflicts = conflicts;
    response.partition = part_of(request->appends[0].key);
    if (response.conflict_count > 0) {
        response.error = EL_KAFKA_INVALID_RECORD;
        conflicts[0].index += st->unfit ? 100 : 0;
        scripted_give(&st->s, call, &response);
        return;
    }
    for (uint32_t i = 0; i < request->append_count; i++) {
        store(st, &request->appends[i], &results[i]);
    }
    response.results = results;
    response.result_count = request->append_count - (st->unfit ? 1 : 0);
    response.position = el_slice_str(POSITION);
    call->sent = true;
    scripted_give(&st->s, call, st->lost > 0 && st->lost-- > 0 ? NULL : &response);
}

static void answer_delete(struct scripted_stream *st, struct el_call *call)
{
    const struct el_msg_ext_stream_delete_request *request = call->request;
    struct el_msg_ext_stream_delete_response response;
    struct el_msg_ext_stream_append_conflict found;
    int part = part_of(request->key);
    const struct scripted_event *head = last(st, request->key, st->count[part]);
    scripted_note(&st->s, "delete(%.*s) ", (int)request->key.len, (const char *)request->key.data);
    el_schema_init(&el_schema_ext_stream_delete_response, &response);
    response.partition = part;
    response.position = el_slice_str(POSITION);
    response.conflicts = &found;
    response.duplicate = head != NULL && (request->hard ? head->hard : ended_at(head));
    if (!response.duplicate && !as_expected(head, request->expected)) {
        conflict(st, request->key, request->expected, head != NULL && head->hard ? "ended" : "version", &found);
        response.error = EL_KAFKA_INVALID_RECORD;
        response.conflict_count = 1;
    } else if (!response.duplicate) {
        struct scripted_event *event = add(st, request->key);
        event->soft = !request->hard;
        event->hard = request->hard;
        head = event;
    }
    if (response.conflict_count == 0) {
        response.version = head->version;
        response.offset = offset_of(st, head);
    }
    scripted_give(&st->s, call, &response);
}

/* --- questions ---------------------------------------------------------------------------------------------------- */

static void show(const struct scripted_event *event, int offset, struct el_msg_ext_stream_read_header *headers,
                 struct el_msg_ext_stream_read_event *out)
{
    el_schema_init(&el_schema_ext_stream_read_event, out);
    out->headers = headers;
    for (int i = 0; i < SHOWN_HEADERS; i++) {
        const char *name = i == 0 ? "ce_id" : i == 1 ? "ce_type" : event->headers[i - 2][0];
        const char *value = i == 0 ? event->id : i == 1 ? event->type : event->headers[i - 2][1];
        if (value[0] != '\0') {
            el_schema_init(&el_schema_ext_stream_read_header, &headers[out->header_count]);
            headers[out->header_count].name = el_slice_str(name);
            headers[out->header_count++].value = el_slice_str(value);
        }
    }
    out->value = slice(event->data);
    out->offset = offset;
    out->version = event->version;
    out->append_time_ns = 1000 * ((uint64_t)offset + 1);
    out->time_ms = 1767225600000;
}

static void answer_read(struct scripted_stream *st, struct el_call *call)
{
    struct el_msg_ext_stream_read_request own = *(const struct el_msg_ext_stream_read_request *)call->request;
    const struct el_msg_ext_stream_read_request *request = &own;
    struct el_msg_ext_stream_read_response response;
    struct el_msg_ext_stream_read_event events[ANSWER_EVENTS];
    struct el_msg_ext_stream_read_header headers[SHOWN_HEADERS * ANSWER_EVENTS];
    char key[SCRIPTED_TEXT_LEN];
    own.key = key_in(st, own.topic, own.key, key);
    int part = part_of(request->key), count = st->count[part];
    if (request->as_of_ns > 0) {
        count = (int)EL_MIN((uint64_t)count, request->as_of_ns / 1000);
    }
    const struct scripted_event *head = last(st, request->key, count);
    scripted_note(&st->s, "read(%.*s %lld..%lld) ", (int)request->key.len, (const char *)request->key.data,
                  (long long)request->from, (long long)request->to);
    el_schema_init(&el_schema_ext_stream_read_response, &response);
    response.events = events;
    response.partition = part;
    response.last_version = head == NULL ? -1 : head->version;
    response.deleted = ended_at(head);
    response.ended = head != NULL && head->hard;
    response.next = -1;
    bool back = request->backward;
    int64_t first = back ? (request->to < 0 ? 0 : request->to) : EL_MAX(request->from, 0);
    int64_t end = back ? request->from : request->to;
    end = end < 0 ? INT64_MAX : end;
    for (int i = 0; i < count; i++) {
        int at = back ? count - 1 - i : i;
        const struct scripted_event *event = &st->log[part][at];
        if (!is(event, request->key) || event->version < first || event->version > end || event->soft || event->hard) {
            continue;
        }
        if (response.event_count == (uint32_t)st->page) {
            response.more = true;
            response.next = event->version;
            break;
        }
        show(event, at, &headers[SHOWN_HEADERS * response.event_count], &events[response.event_count]);
        response.event_count++;
    }
    if (st->unfit && response.more) {
        response.next = request->from < 0 ? 0 : request->from;
    }
    scripted_give(&st->s, call, &response);
}

static void answer_type(struct scripted_stream *st, struct el_call *call)
{
    const struct el_msg_ext_type_read_request *request = call->request;
    struct el_msg_ext_type_read_response response;
    struct el_msg_ext_stream_read_event events[ANSWER_EVENTS];
    struct el_msg_ext_stream_read_header headers[SHOWN_HEADERS * ANSWER_EVENTS];
    int part = request->partition, count = st->count[part];
    scripted_note(&st->s, "type(%d %lld) ", part, (long long)request->from);
    el_schema_init(&el_schema_ext_type_read_response, &response);
    response.events = events;
    for (int i = 0; i < count; i++) {
        int at = request->backward ? count - 1 - i : i;
        const struct scripted_event *event = &st->log[part][at];
        bool before = request->from >= 0 && (request->backward ? at > request->from : at < request->from);
        if (before || !el_slice_eq(el_slice_str(event->type), request->type)) {
            continue;
        }
        if (response.event_count == (uint32_t)st->page) {
            response.more = true;
            response.next = at;
            break;
        }
        show(event, at, &headers[SHOWN_HEADERS * response.event_count], &events[response.event_count]);
        events[response.event_count].key = el_slice_str(event->key);
        events[response.event_count++].version = -1;
    }
    if (st->unfit && response.event_count > 1) {
        events[1].offset = events[0].offset;
    }
    scripted_give(&st->s, call, &response);
}

/* The lowest key of a partition above `after`, NULL: none. */
static const char *key_above(const struct scripted_stream *st, int part, const char *after)
{
    const char *found = NULL;
    for (int i = 0; i < st->count[part]; i++) {
        const char *key = st->log[part][i].key;
        if (strcmp(key, after) > 0 && (found == NULL || strcmp(key, found) < 0)) {
            found = key;
        }
    }
    return found;
}

static void answer_list(struct scripted_stream *st, struct el_call *call)
{
    const struct el_msg_ext_stream_list_request *request = call->request;
    struct el_msg_ext_stream_list_response response;
    struct el_msg_ext_stream_list_stream streams[ANSWER_EVENTS];
    int part = request->partition;
    char after[SCRIPTED_TEXT_LEN];
    scripted_note(&st->s, "list(%d) ", part);
    text(after, request->after);
    el_schema_init(&el_schema_ext_stream_list_response, &response);
    response.streams = streams;
    for (const char *key = key_above(st, part, after); key != NULL; key = key_above(st, part, key)) {
        const struct scripted_event *head = last(st, el_slice_str(key), st->count[part]);
        if (strncmp(key, (const char *)request->prefix.data, request->prefix.len) != 0 ||
            (ended_at(head) && !request->with_deleted)) {
            continue;
        }
        if (response.stream_count == (uint32_t)st->page) {
            response.more = true;
            break;
        }
        struct el_msg_ext_stream_list_stream *stream = &streams[response.stream_count++];
        el_schema_init(&el_schema_ext_stream_list_stream, stream);
        stream->key = el_slice_str(st->unfit ? "?" : key);
        stream->last_version = head->version;
        stream->deleted = ended_at(head);
        stream->ended = head->hard;
    }
    scripted_give(&st->s, call, &response);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

/* Answer with nothing but an error. */
static void refuse(struct scripted_stream *st, struct el_call *call)
{
    union {
        struct el_msg_ext_stream_append_response append;
        struct el_msg_ext_stream_read_response read;
        struct el_msg_ext_stream_list_response list;
        struct el_msg_ext_stream_delete_response delete;
        struct el_msg_ext_type_read_response type;
    } r;
    el_schema_init(call->api->schema[EL_SIDE_RESPONSE], &r);
    int16_t code = (int16_t)st->error;
    scripted_note(&st->s, "refused ");
    switch ((int)call->api->key) {
    case EL_API_StreamAppend:
        r.append.error = code;
        break;
    case EL_API_StreamRead:
        r.read.error = code;
        break;
    case EL_API_StreamList:
        r.list.error = code;
        break;
    case EL_API_StreamDelete:
        r.delete.error = code;
        break;
    default:
        r.type.error = code;
        break;
    }
    scripted_give(&st->s, call, &r);
}

static void answer_create(struct scripted_stream *st, struct el_call *call)
{
    const struct el_msg_create_topics_request *request = call->request;
    struct el_msg_create_topics_response response;
    struct el_msg_create_topics_topic_result result;
    el_schema_init(&el_schema_create_topics_response, &response);
    el_schema_init(&el_schema_create_topics_topic_result, &result);
    result.name = request->topics[0].name;
    scripted_note(&st->s, "create(%.*s", (int)result.name.len, (const char *)result.name.data);
    for (uint32_t i = 0; i < request->topics[0].config_count; i++) {
        const struct el_msg_create_topics_config *config = &request->topics[0].configs[i];
        scripted_note(&st->s, " %.*s=%.*s", (int)config->name.len, (const char *)config->name.data,
                      (int)config->value.len, (const char *)config->value.data);
    }
    scripted_note(&st->s, ") ");
    st->s.has_second = st->s.has_second || is_second(st, result.name);
    response.topics = &result;
    response.topic_count = 1;
    scripted_give(&st->s, call, &response);
}

static bool answer(struct scripted *s, struct el_call *call)
{
    struct scripted_stream *st = of(s);
    if ((int)call->api->key == EL_API_CreateTopics) {
        answer_create(st, call);
        return true;
    }
    if (st->unsupported) {
        call->failure.code = EVLOG_ERR_UNSUPPORTED;
        el_call_end(&s->client, call);
        return true;
    }
    if (st->silent) {
        call->sent = true;
        scripted_give(s, call, NULL);
        return true;
    }
    if (st->error_count > 0) {
        st->error_count--;
        refuse(st, call);
        return true;
    }
    switch ((int)call->api->key) {
    case EL_API_StreamAppend:
        answer_append(st, call);
        return true;
    case EL_API_StreamRead:
        answer_read(st, call);
        return true;
    case EL_API_StreamList:
        answer_list(st, call);
        return true;
    case EL_API_StreamDelete:
        answer_delete(st, call);
        return true;
    case EL_API_TypeRead:
        answer_type(st, call);
        return true;
    default:
        scripted_give(s, call, NULL);
        return true;
    }
}

void scripted_stream_begin(struct scripted_stream *st, const char *const *settings)
{
    memset(st, 0, sizeof *st);
    scripted_begin(&st->s, settings);
    el_client_lock(&st->s.client);
    st->s.other = answer;
    st->s.second_topic = "t.snapshots";
    st->page = ANSWER_EVENTS;
    el_client_unlock(&st->s.client);
}

void scripted_stream_end(struct scripted_stream *st)
{
    scripted_end(&st->s);
}

void scripted_stream_add(struct scripted_stream *st, const char *key, const char *id, const char *type,
                         const char *data)
{
    struct scripted_event *event = add(st, el_slice_str(key));
    (void)snprintf(event->id, sizeof event->id, "%s", id == NULL ? "" : id);
    (void)snprintf(event->type, sizeof event->type, "%s", type == NULL ? "" : type);
    (void)snprintf(event->data, sizeof event->data, "%s", data == NULL ? "" : data);
}

void scripted_stream_put(struct scripted_stream *st, const char *key, const char *id, const char *type,
                         const char *data)
{
    el_client_lock(&st->s.client);
    scripted_stream_add(st, key, id, type, data);
    el_client_unlock(&st->s.client);
}
