/* SPDX-License-Identifier: Apache-2.0
 *
 * See stream_conflicts.h. The last events of the first streams are looked at; when that fails, their type and time stay
 * unknown, and the answer says the rest.
 */
#include <api/stream_conflicts.h>

#include <format/record.h>

#define LOOKED_AT_MAX 64u

bool stream_conflicts_has(int error)
{
    return error == EVLOG_ERR_WRONG_VERSION || error == EVLOG_ERR_ID_CONFLICT || error == EVLOG_ERR_STREAM_ENDED;
}

static const char *reason_of(int error, const struct stream_check *told)
{
    if (told->ended) {
        return "ended";
    }
    return error == EVLOG_ERR_ID_CONFLICT ? "id" : "version";
}

static void conflict_fill(struct stream_conflicts *c, const struct stream_check *told,
                          struct el_msg_ext_stream_append_conflict *out)
{
    el_schema_init(&el_schema_ext_stream_append_conflict, out);
    out->key = told->key_bytes;
    out->reason = el_slice_str(reason_of(c->error, told));
    out->deleted = told->deleted || told->ended;
    out->expected = told->expected;
    out->current_version = told->current;
    out->current_offset = told->current_offset;
}

static struct el_slice message_of(const struct stream_conflicts *c, const struct stream_check *told)
{
    char key[STREAM_KEY_TEXT_LEN], state[STREAM_STATE_TEXT_LEN], expected[STREAM_STATE_TEXT_LEN];
    struct request *request = c->append->request;
    stream_key_text(key, told->key_bytes);
    if (c->error == EVLOG_ERR_ID_CONFLICT) {
        return api_textf(request,
                         "stream %s: %s: nothing was appended; send again exactly what was sent the first time, or "
                         "only what is new",
                         key,
                         told->current_offset >= 0 ? "some events of the request are there already, by their ids, and "
                                                     "others are not"
                                                   : "an event id comes twice in the request");
    }
    if (c->error == EVLOG_ERR_STREAM_ENDED) {
        return api_textf(request, "stream %s was deleted for good: use another key", key);
    }
    return api_textf(request, "stream %s is %s, and %s was expected%s: read it again and decide anew", key,
                     stream_state_text(state, told), stream_expected_text(expected, told->expected),
                     c->count > 1 ? "; other streams are not as expected either" : "");
}

/* What is at fault about the record that the index names. */
static struct stream_check told_of_record(const struct stream_batch *batch, int error)
{
    const struct stream_record *record = &batch->records[batch->failed_index];
    struct stream_check told = batch->told;
    told.key_bytes = record->key_bytes;
    told.expected = record->expected;
    if (error == EVLOG_ERR_ID_CONFLICT) {
        told.current = record->version;
        told.current_offset = record->offset;
        told.ended = told.deleted = false;
    }
    told.ended = told.ended || error == EVLOG_ERR_STREAM_ENDED;
    return told;
}

static void list_fill(struct stream_conflicts *c)
{
    const struct stream_batch *batch = &c->append->batch;
    struct stream_check first = {.current = -1, .current_offset = -1};
    bool told = false;
    if (batch->failed_index >= 0) {
        EL_ASSERT((uint32_t)batch->failed_index < batch->record_count);
        first = told_of_record(batch, c->error);
        told = true;
        struct el_msg_ext_stream_append_conflict *out = &c->list[c->count++];
        conflict_fill(c, &first, out);
        c->locate(c, (uint32_t)batch->failed_index, &out->index, &out->event);
    }
    for (uint32_t i = 0; i < batch->check_count && c->error == EVLOG_ERR_WRONG_VERSION; i++) {
        if (batch->checks[i].failed) {
            EL_ASSERT(c->count <= batch->check_count); /* one for each, and one for a record */
            struct el_msg_ext_stream_append_conflict *out = &c->list[c->count++];
            conflict_fill(c, &batch->checks[i], out);
            out->check = true;
            out->index = (int32_t)i;
            first = told ? first : batch->checks[i];
            told = true;
        }
    }
    c->message = told ? message_of(c, &first) : api_error_message(c->error);
}

/* --- last events -------------------------------------------------------------------------------------------------- */

static void take_event(struct stream_conflicts *c, const struct el_msg_ext_stream_read_event *event)
{
    for (uint32_t i = 0; i < EL_MIN(c->count, LOOKED_AT_MAX); i++) {
        struct el_msg_ext_stream_append_conflict *out = &c->list[i];
        if (out->current_offset != event->offset || !el_slice_eq(out->key, event->key)) {
            continue;
        }
        out->current_time_ms = event->time_ms;
        for (uint32_t h = 0; h < event->header_count; h++) {
            if (el_slice_eq(event->headers[h].name, el_slice_str(STREAM_HEADER_TYPE))) {
                out->current_type = event->headers[h].value;
            }
        }
    }
}

static void conflicts_on_events(struct stream_events *events, int error)
{
    struct stream_conflicts *c = EL_CONTAINER(events, struct stream_conflicts, events);
    for (uint32_t i = 0; error == 0 && i < events->event_count; i++) {
        take_event(c, &events->events[i]);
    }
    c->finish(c);
}

void stream_conflicts_start(struct stream_conflicts *c)
{
    struct stream_write *a = c->append;
    struct el_arena *arena = &a->request->arena;
    struct stream_place *places = el_arena_alloc(arena, LOOKED_AT_MAX * sizeof *places);
    c->list = el_schema_new(&el_schema_ext_stream_append_conflict, arena, a->batch.check_count + 1);
    if (places == NULL || c->list == NULL) {
        c->list = EL_EMPTY;
        c->message = api_error_message(c->error);
        c->finish(c);
        return;
    }
    list_fill(c);
    uint32_t count = 0;
    for (uint32_t i = 0; i < EL_MIN(c->count, LOOKED_AT_MAX); i++) {
        if (c->list[i].current_offset >= 0) {
            places[count++] = (struct stream_place){c->list[i].current_version, c->list[i].current_offset};
        }
    }
    c->events = (struct stream_events){
        .api = a->api,
        .request = a->request,
        .topic_id = a->target.topic_id,
        .partition = a->partition,
        .places = places,
        .place_count = count,
        .without_values = true,
        .bytes_max = INT64_MAX,
        .finish = conflicts_on_events,
    };
    stream_events_start(&c->events);
}
