/* SPDX-License-Identifier: Apache-2.0
 *
 * StreamDelete: a tombstone for a stream. Runs on the connection's shard.
 *
 *   1. what the stream is at: without events there is nothing to delete, and what is deleted already is a success, so
 *      that a retry is one
 *   2. the tombstone is appended as any event, with the expected version (stream_write.c)
 *
 * Source: docs/protocol.md, StreamDelete.
 */
#include <api/stream_conflicts.h>
#include <wire/msg_ext_stream_delete.h>
#include <wire/position.h>

struct delete_call {
    struct stream_write append;
    struct stream_conflicts conflicts;
    struct stream_find_op find;
    const struct el_msg_ext_stream_delete_request *ask;
};

static void response_init(const struct delete_call *call, struct el_msg_ext_stream_delete_response *response)
{
    el_schema_init(&el_schema_ext_stream_delete_response, response);
    response->topic_id = call->append.target.topic_id;
    response->partition = call->append.partition;
}

static void refuse(struct delete_call *call, int16_t error, struct el_slice message)
{
    struct el_msg_ext_stream_delete_response response;
    response_init(call, &response);
    response.error = error;
    response.message = message;
    request_reply(call->append.request, &el_schema_ext_stream_delete_response, &response);
}

static void answer(struct delete_call *call, int64_t version, int64_t offset, bool duplicate)
{
    struct el_msg_ext_stream_delete_response response;
    char word[EL_POSITION_TEXT_LEN + 1];
    response_init(call, &response);
    response.version = version;
    response.offset = offset;
    response.duplicate = duplicate;
    el_position_format(
        word, &(struct el_position){call->append.target.topic_id, call->append.partition, EL_MAX(offset, -1) + 1});
    response.position = el_slice_str(word);
    request_reply(call->append.request, &el_schema_ext_stream_delete_response, &response);
}

static void delete_on_conflicts(struct stream_conflicts *conflicts)
{
    struct delete_call *call = EL_CONTAINER(conflicts, struct delete_call, conflicts);
    struct el_msg_ext_stream_delete_response response;
    response_init(call, &response);
    response.error = stream_error(conflicts->error);
    response.message = conflicts->message;
    response.conflicts = conflicts->list;
    response.conflict_count = conflicts->count;
    request_reply(call->append.request, &el_schema_ext_stream_delete_response, &response);
}

static void delete_locate(const struct stream_conflicts *conflicts, uint32_t record, int32_t *index, int32_t *event)
{
    *index = 0;
    *event = -1;
}

static void delete_on_append(struct stream_write *append, int error)
{
    struct delete_call *call = EL_CONTAINER(append, struct delete_call, append);
    if (error == 0) {
        answer(call, append->batch.records[0].version, append->batch.records[0].offset, false);
    } else if (stream_conflicts_has(error)) {
        call->conflicts = (struct stream_conflicts){
            .append = append, .error = error, .finish = delete_on_conflicts, .locate = delete_locate};
        stream_conflicts_start(&call->conflicts);
    } else {
        refuse(call, stream_error(error), api_append_message(error));
    }
}

static void tombstone_append(struct delete_call *call)
{
    struct stream_write *a = &call->append;
    const struct el_msg_ext_stream_delete_request *ask = call->ask;
    struct el_header header = {el_slice_str(STREAM_HEADER_DELETED), el_slice_str(ask->hard ? "hard" : "soft")};
    struct stream_write_event event = {
        .key = ask->key,
        .headers = &header,
        .header_count = 1,
        .time_ms = -1,
        .expected = ask->expected,
        .flags = ask->hard ? STREAM_RECORD_HARD : STREAM_RECORD_SOFT,
    };
    int error = stream_write_begin(a, 1, ask->key.len, 0);
    error = error == 0 ? stream_write_add(a, &event) : error;
    if (error == EVLOG_ERR_TOO_LARGE) {
        api_count_refusal(a->api, error);
        refuse(call, api_error(error, false), api_error_message(error));
    } else if (error != 0) {
        api_refuse_memory(a->api, a->request);
    } else {
        stream_write_submit(a, ask->timeout_ms);
    }
}

static void delete_on_find(struct store_op *op)
{
    struct delete_call *call = op->arg;
    struct api *api = call->append.api;
    const struct stream_find_op *find = &call->find;
    int64_t version = find->last_version, offset = find->last_offset;
    bool gone = find->ended || (find->deleted && !call->ask->hard);
    streams_find_release(api->streams, &call->find);
    if (op->error != 0) {
        api_count_refusal(api, op->error);
        refuse(call, stream_error(op->error), api_error_message(op->error));
    } else if (version < 0) {
        char key[STREAM_KEY_TEXT_LEN];
        api_count_refusal(api, EVLOG_ERR_NOT_FOUND);
        refuse(call, EL_KAFKA_RESOURCE_NOT_FOUND,
               api_textf(call->append.request, "topic %s has no stream %s", call->append.target.name,
                         stream_key_text(key, call->ask->key)));
    } else if (gone) {
        answer(call, version, offset, true);
    } else {
        tombstone_append(call);
    }
}

void api_ext_stream_delete(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_stream_delete_request *ask = message;
    struct delete_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    struct stream_write *a = &call->append;
    call->ask = ask;
    a->api = api;
    a->request = request;
    a->finish = delete_on_append;
    a->partition = -1;
    stream_target_find(api, request, ask->topic, &ask->topic_id, &a->target);
    if (a->target.error != EL_KAFKA_NONE) {
        refuse(call, a->target.error, a->target.message);
        return;
    }
    const char *fault = stream_key_fault(ask->key);
    if (fault == NULL && !stream_expected_valid(ask->expected)) {
        fault = "expected is a version, -1 none, -2 any or -4 exists";
    }
    if (fault != NULL) {
        api_count_refusal(api, EVLOG_ERR_INVALID_REQUEST);
        refuse(call, EL_KAFKA_INVALID_REQUEST, el_slice_str(fault));
        return;
    }
    a->partition = stream_target_partition(&a->target, ask->key);
    call->find.topic_id = a->target.topic_id;
    call->find.partition = a->partition;
    call->find.hash = stream_hash_key(streams_secret(api->streams), ask->key);
    call->find.backward = true;
    call->find.from = -1;
    call->find.count_max = 1;
    call->find.base.done = delete_on_find;
    call->find.base.arg = call;
    streams_find(api->streams, &call->find);
}
