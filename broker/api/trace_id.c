/* SPDX-License-Identifier: Apache-2.0 */
#include <api/trace_id.h>

#include <core/crypto.h>
#include <core/traceparent.h>
#include <format/batch.h>
#include <wire/msg_ext_stream_append.h>
#include <wire/msg_produce.h>

#define DECODE_LEN_MAX (1u << 20) /* of tables of a message */

/* Of the first record of a batch, which may be anything. */
static bool of_batch(struct api *api, struct el_slice batch, struct el_traceparent *found)
{
    struct el_batch_iter iter;
    struct el_batch_record first;
    struct el_slice value;
    bool whole = batch.len >= EL_BATCH_LEN_MIN && batch.data[EL_BATCH_POS_MAGIC] == EL_BATCH_MAGIC &&
                 el_batch_total_len(batch.data) >= EL_BATCH_LEN_MIN && el_batch_total_len(batch.data) <= batch.len &&
                 el_batch_verify(batch.data, (size_t)el_batch_total_len(batch.data)) == 0;
    uint8_t *scratch = whole ? el_buddy_alloc(api->buddy, API_TRACE_SCRATCH_LEN) : NULL;
    if (scratch == NULL) {
        return false;
    }
    int rc = el_batch_open(&iter, batch.data, (size_t)el_batch_total_len(batch.data), scratch, API_TRACE_SCRATCH_LEN);
    bool is_found = false;
    if (rc == 0 && el_batch_next(&iter, &first) == 1) {
        is_found = el_header_find(&first.record, EL_TRACEPARENT_NAME, &value) &&
                   el_traceparent_read(value.data, value.len, found) == 0;
    }
    el_buddy_free(api->buddy, scratch);
    return is_found;
}

static bool of_produce(struct api *api, const struct el_msg_produce_request *ask, struct el_traceparent *found)
{
    bool any = ask->topic_data_count > 0 && ask->topic_data[0].partition_data_count > 0;
    return any && of_batch(api, ask->topic_data[0].partition_data[0].records, found);
}

static bool of_append(const struct el_msg_ext_stream_append_request *ask, struct el_traceparent *found)
{
    if (ask->append_count == 0 || ask->appends[0].event_count == 0) {
        return false;
    }
    const struct el_msg_ext_stream_append_event *event = &ask->appends[0].events[0];
    for (uint32_t i = 0; i < event->header_count; i++) {
        const struct el_msg_ext_stream_append_header *header = &event->headers[i];
        if (el_slice_eq(header->name, el_slice_str(EL_TRACEPARENT_NAME)) &&
            el_traceparent_read(header->value.data, header->value.len, found) == 0) {
            return true;
        }
    }
    return false;
}

bool api_trace_id(void *arg, const struct request *request, char text[NET_TRACE_ID_LEN + 1])
{
    struct api *api = arg;
    union {
        struct el_msg_produce_request produce;
        struct el_msg_ext_stream_append_request append;
    } ask;
    struct el_arena arena;
    struct el_reader reader;
    struct el_traceparent found;
    bool appends = request->api_key == EL_API_StreamAppend;
    OBJ_CHECK(api, API);
    if ((request->api_key != EL_API_Produce && !appends) || request->api == NULL || request->body.data == NULL ||
        !el_api_accepts(request->api, request->api_version)) {
        return false;
    }
    el_arena_init(&arena, api->buddy, DECODE_LEN_MAX);
    el_reader_init(&reader, request->body.data, request->body.len);
    bool is_found = el_api_decode(request->api, EL_SIDE_REQUEST, request->api_version, &reader, &arena, &ask) == 0 &&
                    (appends ? of_append(&ask.append, &found) : of_produce(api, &ask.produce, &found));
    el_arena_reset(&arena);
    if (is_found) {
        el_hex(text, found.trace_id, sizeof found.trace_id);
    }
    return is_found;
}
