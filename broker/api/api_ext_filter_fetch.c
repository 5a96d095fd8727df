/* SPDX-License-Identifier: Apache-2.0
 *
 * FilterFetch, evlog's own: LogFetch of one topic through a sieve, which says how far it has looked. Runs on the
 * connection's shard. Source: docs/protocol.md, FilterFetch.
 *
 *   1. the request is checked, and the patterns of its filter are compiled into the request's memory
 *   2. a long poll in which every read is a sift: sift.c
 *   3. an event that matches, or more to look at than one answer may cost: the answer leaves at once; else it waits
 */
#include <api/long_poll.h>
#include <api/stream_target.h>
#include <api/throttle.h>
#include <wire/msg_ext_filter_fetch.h>

struct filter_call {
    struct long_poll poll;
    const struct el_msg_ext_filter_fetch_request *ask;
    struct el_sieve sieve;
    struct sift *sifts; /* [part_count] */
    struct el_uuid topic_id;
    char topic[EL_TOPIC_NAME_MAX + 1]; /* empty: there is no such topic */
    int error;                         /* EVLOG_ERR_ then */
};

/* --- the answer --------------------------------------------------------------------------------------------------- */

static void response_init(struct filter_call *call, struct el_msg_ext_filter_fetch_response *response)
{
    el_schema_init(&el_schema_ext_filter_fetch_response, response);
    response->topic_id = call->topic_id;
    if (call->topic[0] != 0) {
        response->topic = el_slice_str(call->topic);
    }
}

static void refuse(struct filter_call *call, int error, int16_t kafka_error, struct el_slice message)
{
    struct el_msg_ext_filter_fetch_response response;
    response_init(call, &response);
    response.error = kafka_error;
    response.message = message;
    api_count_refusal(call->poll.api, error);
    request_reply(call->poll.request, &el_schema_ext_filter_fetch_response, &response);
}

static int fill_batches(const struct sift *sift, struct el_arena *arena, struct el_msg_ext_filter_fetch_result *out)
{
    out->batches = el_schema_new(&el_schema_ext_log_fetch_batch, arena, sift->batch_count);
    if (out->batches == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (const struct sift_find *find = sift->finds; find != NULL; find = find->next) {
        for (uint32_t i = 0; i < find->count; i++) {
            const struct sift_batch *batch = &find->batches[i];
            EL_ASSERT(out->batch_count < sift->batch_count);
            struct el_msg_ext_log_fetch_batch *to = &out->batches[out->batch_count++];
            memcpy(to->salt.bytes, batch->salt, sizeof batch->salt);
            to->batch = batch->batch;
            to->append_time_ns = batch->append_time_ns;
            to->leader_epoch = batch->leader_epoch;
        }
    }
    EL_ASSERT(out->batch_count == sift->batch_count);
    return 0;
}

static int fill_partition(struct filter_call *call, const struct long_poll_part *part,
                          struct el_msg_ext_filter_fetch_result *out)
{
    const struct read_op *read = &part->read;
    out->partition = part->partition;
    out->error = api_error(part->error, part->target.by_id);
    if (part->error != 0) {
        api_count_refusal(call->poll.api, part->error);
        return 0;
    }
    EL_ASSERT(read->next_offset >= part->offset);
    out->next = read->next_offset;
    out->version = part->sift->version;
    out->high_watermark = read->high_watermark;
    out->log_start = read->log_start_offset;
    return read->data_len == 0 ? 0 : fill_batches(part->sift, &call->poll.request->arena, out);
}

static int fill_response(struct filter_call *call, struct el_msg_ext_filter_fetch_response *response)
{
    const struct long_poll *poll = &call->poll;
    int error = 0;
    response_init(call, response);
    response->partitions = el_schema_new(&el_schema_ext_filter_fetch_result, &poll->request->arena, poll->part_count);
    if (response->partitions == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    response->partition_count = poll->part_count;
    for (uint32_t i = 0; i < poll->part_count && error == 0; i++) {
        error = fill_partition(call, &poll->parts[i], &response->partitions[i]);
    }
    return error;
}

static void filter_fetch_on_sent(struct request *request)
{
    long_poll_release(request->user);
}

static void filter_fetch_finish(struct long_poll *poll)
{
    struct filter_call *call = EL_CONTAINER(poll, struct filter_call, poll);
    struct el_msg_ext_filter_fetch_response response;
    if (fill_response(call, &response) != 0) {
        metrics_add(poll->api->metrics, METRIC_REFUSED_MEMORY, 1);
        long_poll_release(poll);
        request_close(poll->request, "no memory left for the answer: raise memory.max");
        return;
    }
    poll->request->user = poll;
    request_reply_release(poll->request, &el_schema_ext_filter_fetch_response, &response, filter_fetch_on_sent);
}

/* --- the filter --------------------------------------------------------------------------------------------------- */

static const char *filter_fault(const struct el_msg_ext_filter_fetch_request *ask)
{
    uint64_t text_len = 0;
    if (ask->key.len > EL_STREAM_KEY_MAX || ask->prefix.len > EL_STREAM_KEY_MAX) {
        return "key and prefix have at most 4096 bytes";
    }
    if (ask->type_count > EL_FILTER_TYPES_MAX) {
        return "a filter names at most 64 types; use a pattern with a prefix or a wildcard";
    }
    for (uint32_t i = 0; i < ask->type_count; i++) {
        if (ask->types[i].len == 0 || ask->types[i].len > EL_STREAM_ID_MAX) {
            return "a type has 1 to 4096 bytes";
        }
    }
    for (uint32_t i = 0; i < ask->filter_count; i++) {
        text_len += ask->filters[i].len;
    }
    if (ask->filter_count > EL_PATTERN_COUNT_MAX || text_len > EL_FILTER_TEXT_MAX) {
        return "a filter has at most 5 patterns, of 32 KiB together";
    }
    return NULL;
}

/* returns 0 | EVLOG_ERR_, refused */
static int sieve_make(struct filter_call *call)
{
    const struct el_msg_ext_filter_fetch_request *ask = call->ask;
    struct request *request = call->poll.request;
    struct el_error err = {0};
    const char *fault = filter_fault(ask);
    if (fault != NULL) {
        refuse(call, EVLOG_ERR_INVALID_REQUEST, EL_KAFKA_INVALID_REQUEST, el_slice_str(fault));
        return EVLOG_ERR_INVALID_REQUEST;
    }
    call->sieve = (struct el_sieve){
        .key = ask->key, .prefix = ask->prefix, .types = ask->types, .type_count = ask->type_count};
    if (ask->filter_count == 0) {
        return 0;
    }
    int code = el_pattern_compile_any(ask->filters, ask->filter_count, NULL, &request->arena, &call->sieve.pattern,
                                      &err);
    if (code == EVLOG_ERR_NO_MEMORY) {
        api_refuse_memory(call->poll.api, request);
    } else if (code != 0) {
        refuse(call, EVLOG_ERR_INVALID_REQUEST, EL_KAFKA_INVALID_REQUEST, api_textf(request, "filter: %s", err.text));
    }
    return code;
}

/* What the index can be asked for. */
static void index_choose(const struct filter_call *call, const struct topic *topic, struct sift *sift)
{
    const struct api *api = call->poll.api;
    const struct el_sieve *sieve = &call->sieve;
    if (topic == NULL || api->streams == NULL || !topic_config_streams(&topic->config)) {
        return;
    }
    const struct stream_secret *secret = streams_secret(api->streams);
    if (sieve->key.data != NULL && sieve->key.len > 0) {
        sift->index = SIFT_BY_KEY;
        sift->hashes[sift->hash_count++] = stream_hash_key(secret, sieve->key);
    } else if (sieve->type_count > 0 && sieve->type_count <= SIFT_TYPES_MAX) {
        sift->index = SIFT_BY_TYPE;
        for (uint32_t i = 0; i < sieve->type_count; i++) {
            sift->hashes[sift->hash_count++] = stream_hash_type(secret, sieve->types[i]);
        }
    }
}

/* A partition named twice would be looked through twice, and so on without end. returns 0 | EVLOG_ERR_, refused */
static int refuse_twice(struct filter_call *call, const struct topic *topic)
{
    const struct el_msg_ext_filter_fetch_request *ask = call->ask;
    struct request *request = call->poll.request;
    if (topic == NULL || ask->partition_count < 2) {
        return 0;
    }
    bool *seen = api_alloc(call->poll.api, request, (size_t)topic->partition_count, sizeof *seen);
    if (seen == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < ask->partition_count; i++) {
        int32_t partition = ask->partitions[i].partition;
        if (!api_partition_exists(topic, partition)) {
            continue; /* told with its answer */
        }
        if (seen[partition]) {
            refuse(call, EVLOG_ERR_INVALID_REQUEST, EL_KAFKA_INVALID_REQUEST,
                   api_textf(request, "partition %d is named twice in the request", partition));
            return EVLOG_ERR_INVALID_REQUEST;
        }
        seen[partition] = true;
    }
    return 0;
}

/* --- the request -------------------------------------------------------------------------------------------------- */

static void part_init(struct filter_call *call, const struct topic *topic, uint32_t n)
{
    const struct el_msg_ext_filter_fetch_partition *ask = &call->ask->partitions[n];
    struct long_poll_part *part = &call->poll.parts[n];
    struct sift *sift = &call->sifts[n];
    uint32_t share = SIFT_SCAN_LEN / call->poll.part_count;
    part->target.by_id = !el_uuid_is_zero(&call->ask->topic_id);
    part->partition = ask->partition;
    part->offset = ask->offset;
    part->bytes_max = (uint32_t)EL_MAX(ask->max_bytes, 0);
    part->current_leader_epoch = ask->leader_epoch;
    part->last_fetched_epoch = -1;
    part->want_entries = true;
    part->sift = sift;
    sift->api = call->poll.api;
    sift->request = call->poll.request;
    sift->sieve = &call->sieve;
    sift->read_len = EL_MAX(EL_MIN(share, SIFT_READ_LEN), SIFT_READ_LEN_MIN);
    sift->scan_len = EL_MAX(share, sift->read_len);
    sift->version = -1;
    index_choose(call, topic, sift);
    bool only_key = call->sieve.prefix.data == NULL && call->sieve.type_count == 0 && call->sieve.pattern == NULL;
    sift->version_wanted = ask->version && only_key && sift->index == SIFT_BY_KEY;
    if (topic == NULL) {
        part->target.error = call->error;
    } else if (!api_partition_exists(topic, ask->partition)) {
        part->target.error = EVLOG_ERR_UNKNOWN_TOPIC;
        part->target.by_id = false;
    } else {
        part->target.topic_id = topic->id;
    }
}

void api_ext_filter_fetch(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_filter_fetch_request *ask = message;
    struct filter_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    const struct topic *topic = api_topic(api, request, ask->topic, &ask->topic_id, &call->error);
    call->ask = ask;
    call->poll.api = api;
    call->poll.request = request;
    call->poll.finish = filter_fetch_finish;
    call->poll.bytes_max = (uint32_t)EL_MIN((int64_t)EL_MAX(ask->max_bytes, 0), api->node->fetch_len_max);
    call->poll.bytes_max = api_throttle_len_max(api, request, call->poll.bytes_max);
    call->poll.bytes_min = 1;
    call->poll.wait_ms = ask->max_wait_ms;
    call->poll.part_count = ask->partition_count;
    call->topic_id = topic != NULL ? topic->id : ask->topic_id;
    if (topic != NULL) {
        memcpy(call->topic, topic->name, sizeof call->topic);
    }
    if (refuse_twice(call, topic) != 0 || sieve_make(call) != 0) {
        return;
    }
    call->poll.parts = api_alloc(api, request, ask->partition_count, sizeof *call->poll.parts);
    call->sifts = call->poll.parts == NULL ? NULL : api_alloc(api, request, ask->partition_count, sizeof *call->sifts);
    if (call->sifts == NULL) {
        return;
    }
    for (uint32_t i = 0; i < ask->partition_count; i++) {
        part_init(call, topic, i);
    }
    long_poll_start(&call->poll);
}
