/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareFetch: outcomes of what the member had, then leases of what is ready, waiting when nothing is.
 *
 *   1. the session is found or opened, and takes the changes of its partitions
 *   2. outcomes are handed in, and behind them, without waiting for them, the poll is begun (share_poll.c); on a
 *      partition's shard they come in that order. With outcomes nothing is waited for: their answer should not be late
 *   3. both have ended: answered are partitions with outcomes, with records, or with an error; all when the session is
 *      new
 *
 * Epoch -1: only the outcomes; then the session ends, and the answer comes when all that it held has been released.
 * Source: docs/protocol.md, Share groups.
 */
#include <api/share_ack.h>
#include <api/share_poll.h>
#include <api/throttle.h>
#include <wire/msg_share_fetch.h>

/* Neither mode gives more records than max_records. */
enum { MODE_BATCH_OPTIMIZED, MODE_RECORD_LIMIT };

struct fetch_key {
    struct el_uuid topic_id;
    int32_t partition;
    uint32_t zero;
};
EL_STATIC_ASSERT(sizeof(struct fetch_key) == 24, "keys are compared as bytes");

/* A partition of the answer. */
struct fetch_item {
    struct fetch_key key;
    const struct share_ack *ack;        /* NULL: no outcomes */
    const struct share_poll_part *part; /* NULL: neither records nor an error */
    struct el_msg_share_fetch_topic_result *topic;
};

struct fetch_call {
    struct api *api;
    struct request *request;
    const struct el_msg_share_fetch_request *ask;
    struct share_session *session; /* NULL once it has been given back */
    struct share_acks acks;
    struct share_poll poll;
    uint32_t pending;         /* of outcomes and poll */
    struct fetch_item *items; /* [item_max], item_count of them in use */
    uint32_t item_count, item_max;
};

/* --- the answer --------------------------------------------------------------------------------------------------- */

static void call_let_go(struct fetch_call *call)
{
    share_poll_release(&call->poll);
    if (call->session != NULL) {
        share_session_give_back(call->session);
        call->session = NULL;
    }
}

static void fetch_on_sent(struct request *request)
{
    call_let_go(request->user);
}

/* The item of a partition, new when there is none. NULL without memory. */
static struct fetch_item *item_of(struct fetch_call *call, struct el_map *items, const struct el_uuid *topic_id,
                                  int32_t partition)
{
    EL_ASSERT(call->item_count < call->item_max);
    struct fetch_item *item = &call->items[call->item_count];
    item->key = (struct fetch_key){*topic_id, partition, 0};
    struct fetch_item *known = el_map_get(items, &item->key, sizeof item->key);
    if (known != NULL) {
        return known;
    }
    if (el_map_put(items, &item->key, sizeof item->key, item) != 0) {
        return NULL;
    }
    call->item_count++;
    return item;
}

/* What is in the answer. These functions return false without memory. */
static bool collect(struct fetch_call *call, struct el_map *items)
{
    const struct el_msg_share_fetch_request *ask = call->ask;
    uint32_t n = 0;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        for (uint32_t p = 0; p < ask->topics[t].partition_count; p++) {
            const struct el_msg_share_fetch_partition *from = &ask->topics[t].partitions[p];
            const struct share_ack *ack = from->acknowledgement_batch_count > 0 ? &call->acks.acks[n++] : NULL;
            if (ack == NULL && ask->share_session_epoch != SHARE_EPOCH_OPEN) {
                continue;
            }
            struct fetch_item *item = item_of(call, items, &ask->topics[t].topic_id, from->partition_index);
            if (item == NULL) {
                return false;
            }
            EL_ASSERT(n <= call->acks.count);
            item->ack = item->ack == NULL || item->ack->error == EL_KAFKA_NONE ? ack : item->ack;
        }
    }
    for (uint32_t i = 0; i < call->poll.part_count; i++) {
        const struct share_poll_part *part = &call->poll.parts[i];
        if (part->read == NULL) {
            continue;
        }
        struct fetch_item *item = item_of(call, items, &part->topic_id, part->partition);
        if (item == NULL) {
            return false;
        }
        item->part = part;
    }
    EL_ASSERT(n == call->acks.count);
    return true;
}

/* Topics of the answer with room for their partitions, in the order of the items. */
static bool make_topics(struct fetch_call *call, struct el_map *topics, struct el_msg_share_fetch_response *response)
{
    struct el_arena *arena = &call->request->arena;
    response->responses = el_schema_new(&el_schema_share_fetch_topic_result, arena, call->item_count);
    if (response->responses == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < call->item_count; i++) {
        struct fetch_item *item = &call->items[i];
        item->topic = el_map_get(topics, &item->key.topic_id, sizeof item->key.topic_id);
        if (item->topic == NULL) {
            EL_ASSERT(response->response_count < call->item_count);
            item->topic = &response->responses[response->response_count++];
            item->topic->topic_id = item->key.topic_id;
            if (el_map_put(topics, &item->key.topic_id, sizeof item->key.topic_id, item->topic) != 0) {
                return false;
            }
        }
        item->topic->partition_count++;
    }
    for (uint32_t i = 0; i < response->response_count; i++) {
        struct el_msg_share_fetch_topic_result *topic = &response->responses[i];
        topic->partitions = el_schema_new(&el_schema_share_fetch_partition_result, arena, topic->partition_count);
        topic->partition_count = 0;
        if (topic->partitions == NULL) {
            return false;
        }
    }
    return true;
}

static bool fill_read(struct fetch_call *call, const struct lease_fetch_op *read,
                      struct el_msg_share_fetch_partition_result *out)
{
    out->acquired_records = el_schema_new(&el_schema_share_fetch_acquired, &call->request->arena, read->range_count);
    if (out->acquired_records == NULL) {
        return false;
    }
    out->acquired_record_count = read->range_count;
    for (uint32_t i = 0; i < read->range_count; i++) {
        struct el_msg_share_fetch_acquired *to = &out->acquired_records[i];
        to->first_offset = read->ranges[i].first;
        to->last_offset = read->ranges[i].last;
        to->delivery_count = (int16_t)EL_MIN(read->ranges[i].deliveries, INT16_MAX);
    }
    if (read->data_len > 0) {
        out->records = el_slice_of(read->data, read->data_len);
    }
    return true;
}

static bool fill_item(struct fetch_call *call, const struct fetch_item *item)
{
    struct api *api = call->api;
    struct el_msg_share_fetch_partition_result *out = &item->topic->partitions[item->topic->partition_count++];
    out->partition_index = item->key.partition;
    out->current_leader.leader_id = api->node->id;
    out->current_leader.leader_epoch = store_leader_epoch(store_shard_store(api->shard));
    out->records = el_slice_str("");
    if (item->ack != NULL) {
        out->acknowledge_error_code = item->ack->error;
        out->acknowledge_error_message = el_slice_str(item->ack->message);
    }
    if (item->part == NULL) {
        return true;
    }
    EL_ASSERT(item->part->read != NULL);
    int error = item->part->error;
    if (error == 0) {
        return fill_read(call, item->part->read, out);
    }
    out->error_code = share_part_error(error);
    out->error_message = share_op_message(&item->part->read->base);
    api_count_refusal(api, error);
    return true;
}

static bool fill(struct fetch_call *call, struct el_msg_share_fetch_response *response)
{
    struct el_map map;
    el_map_init(&map, call->api->buddy);
    EL_ASSERT(call->pending == 0);
    EL_ASSERT(call->item_count == 0);
    bool filled = collect(call, &map);
    el_map_destroy(&map);
    el_map_init(&map, call->api->buddy);
    filled = filled && make_topics(call, &map, response);
    el_map_destroy(&map);
    for (uint32_t i = 0; i < call->item_count && filled; i++) {
        filled = fill_item(call, &call->items[i]);
    }
    return filled;
}

static void fetch_answer(struct fetch_call *call, int32_t lease_ms)
{
    struct request *request = call->request;
    struct el_msg_share_fetch_response response;
    el_schema_init(&el_schema_share_fetch_response, &response);
    response.acquisition_lock_timeout_ms = lease_ms;
    if (!fill(call, &response)) {
        call_let_go(call);
        api_refuse_memory(call->api, request);
        return;
    }
    request->user = call;
    request_reply_release(request, &el_schema_share_fetch_response, &response, fetch_on_sent);
}

static void fetch_on_closed(void *arg)
{
    EL_ASSERT(((const struct fetch_call *)arg)->session == NULL); /* given back once */
    fetch_answer(arg, 0);
}

static void fetch_release(struct fetch_call *call)
{
    EL_ASSERT(call->pending > 0);
    if (--call->pending > 0) {
        return;
    }
    struct share_session *session = call->session;
    EL_ASSERT(session != NULL);
    if (call->ask->share_session_epoch == SHARE_EPOCH_CLOSE) {
        call->session = NULL;
        share_session_give_back_closed(session, fetch_on_closed, call);
    } else {
        fetch_answer(call, session->lease_ms);
    }
}

static void fetch_on_acks(struct share_acks *acks)
{
    fetch_release(EL_CONTAINER(acks, struct fetch_call, acks));
}

static void fetch_on_poll(struct share_poll *poll)
{
    fetch_release(EL_CONTAINER(poll, struct fetch_call, poll));
}

/* --- the request -------------------------------------------------------------------------------------------------- */

static void refuse(struct api *api, struct request *request, int16_t error, const char *message)
{
    struct el_msg_share_fetch_response response;
    el_schema_init(&el_schema_share_fetch_response, &response);
    response.error_code = error;
    response.error_message = el_slice_str(message);
    metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
    request_reply(request, &el_schema_share_fetch_response, &response);
}

/* Partitions with outcomes; all partitions into *total. */
static uint32_t count_acks(const struct el_msg_share_fetch_request *ask, uint32_t *total)
{
    uint32_t count = 0;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        *total += ask->topics[t].partition_count;
        for (uint32_t p = 0; p < ask->topics[t].partition_count; p++) {
            count += ask->topics[t].partitions[p].acknowledgement_batch_count > 0;
        }
    }
    return count;
}

/* What is wrong with the request as a whole; NULL when nothing is. */
static const char *fault_of(const struct el_msg_share_fetch_request *ask, uint32_t ack_count)
{
    if (ask->group_id.len == 0 || ask->member_id.len == 0) {
        return "group id and member id must not be empty";
    }
    if (ask->share_session_epoch == SHARE_EPOCH_OPEN && ack_count > 0) {
        return "a new share session has nothing to acknowledge";
    }
    if (ask->share_acquire_mode < MODE_BATCH_OPTIMIZED || ask->share_acquire_mode > MODE_RECORD_LIMIT) {
        return "acquire mode must be 0 batch-optimized or 1 record-limit";
    }
    return NULL;
}

static bool take_acks(struct fetch_call *call)
{
    const struct el_msg_share_fetch_request *ask = call->ask;
    struct el_arena *arena = &call->request->arena;
    uint32_t n = 0;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        for (uint32_t p = 0; p < ask->topics[t].partition_count; p++) {
            const struct el_msg_share_fetch_partition *from = &ask->topics[t].partitions[p];
            uint32_t count = from->acknowledgement_batch_count;
            if (count == 0) {
                continue;
            }
            struct share_ack *ack = &call->acks.acks[n++];
            struct share_ack_range *ranges = el_arena_alloc(arena, count * sizeof *ranges);
            for (uint32_t i = 0; ranges != NULL && i < count; i++) {
                const struct el_msg_share_fetch_acknowledgement *batch = &from->acknowledgement_batches[i];
                ranges[i] = (struct share_ack_range){batch->first_offset, batch->last_offset, batch->acknowledge_types,
                                                     batch->acknowledge_type_count};
            }
            if (ranges == NULL || !share_ack_ranges(ack, ranges, count, ask->is_renew_ack, arena)) {
                return false;
            }
            share_ack_target(ack, call->api, call->request, (struct el_slice){0}, &ask->topics[t].topic_id,
                             from->partition_index);
        }
    }
    EL_ASSERT(n == call->acks.count);
    return true;
}

/* Partitions that come and go; one that does both is acknowledged in but not read. */
static int16_t change_parts(struct share_session *session, const struct el_msg_share_fetch_request *ask)
{
    int16_t error = EL_KAFKA_NONE;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        for (uint32_t p = 0; p < ask->topics[t].partition_count && error == EL_KAFKA_NONE; p++) {
            error = share_session_add(session, &ask->topics[t].topic_id, ask->topics[t].partitions[p].partition_index);
        }
    }
    for (uint32_t t = 0; t < ask->forgotten_topics_data_count; t++) {
        const struct el_msg_share_fetch_forgotten_topic *topic = &ask->forgotten_topics_data[t];
        for (uint32_t p = 0; p < topic->partition_count; p++) {
            share_session_forget(session, &topic->topic_id, topic->partitions[p]);
        }
    }
    return error;
}

static void start(struct fetch_call *call)
{
    const struct el_msg_share_fetch_request *ask = call->ask;
    bool reads = ask->share_session_epoch != SHARE_EPOCH_CLOSE && !ask->is_renew_ack;
    call->poll.session = call->session;
    call->poll.records_max = reads ? (uint32_t)EL_MAX(ask->max_records, 0) : 0;
    call->poll.bytes_max = (uint32_t)EL_MIN((int64_t)EL_MAX(ask->max_bytes, 0), call->api->node->fetch_len_max);
    call->poll.range_fill = ask->share_acquire_mode == MODE_RECORD_LIMIT ? 0 : (uint32_t)EL_MAX(ask->batch_size, 0);
    struct lease_batch batch = leases_batch(call->api->leases, ask->group_id);
    call->poll.records_max = EL_MIN(call->poll.records_max, batch.records_max);
    call->poll.bytes_max = EL_MIN(call->poll.bytes_max, batch.bytes_max);
    call->poll.bytes_max = api_throttle_len_max(call->api, call->request, call->poll.bytes_max);
    call->poll.wait_ms = ask->min_bytes > 0 && call->acks.count == 0 ? ask->max_wait_ms : 0;
    call->poll.window_ms = EL_MIN(batch.window_ms, EL_MAX(call->poll.wait_ms, (int64_t)0));
    call->acks.session = call->session;
    if (!share_poll_init(&call->poll)) {
        share_session_give_back(call->session);
        api_refuse_memory(call->api, call->request);
        return;
    }
    uint32_t named = 0;
    count_acks(ask, &named);
    call->item_max = named + call->poll.part_count + 1u;
    call->items = el_arena_zalloc(&call->request->arena, (size_t)call->item_max * sizeof *call->items);
    if (call->items == NULL) {
        share_session_give_back(call->session);
        api_refuse_memory(call->api, call->request);
        return;
    }
    call->pending = 2;
    share_acks_start(&call->acks);
    share_poll_start(&call->poll);
}

void api_share_fetch(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_share_fetch_request *ask = message;
    uint32_t named = 0;
    uint32_t ack_count = count_acks(ask, &named);
    const char *fault = fault_of(ask, ack_count);
    if (fault != NULL) {
        refuse(api, request, EL_KAFKA_INVALID_REQUEST, fault);
        return;
    }
    struct fetch_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->api = call->poll.api = call->acks.api = api;
    call->request = call->poll.request = request;
    call->ask = ask;
    call->poll.group_id = call->acks.group_id = ask->group_id;
    call->poll.member_id = call->acks.member_id = ask->member_id;
    call->poll.finish = fetch_on_poll;
    call->acks.finish = fetch_on_acks;
    call->acks.count = ack_count;
    call->acks.acks = api_alloc(api, request, ack_count, sizeof *call->acks.acks);
    if (call->acks.acks == NULL) {
        return;
    }
    if (!take_acks(call)) {
        api_refuse_memory(api, request);
        return;
    }
    int16_t error = share_session_take(&api->share, request, ask->group_id, ask->member_id, ask->share_session_epoch,
                                       &call->session);
    if (error != EL_KAFKA_NONE) {
        refuse(api, request, error, NULL);
        return;
    }
    if (ask->share_session_epoch != SHARE_EPOCH_CLOSE) {
        error = change_parts(call->session, ask);
    }
    if (error != EL_KAFKA_NONE) {
        share_session_end(call->session);
        share_session_give_back(call->session);
        refuse(api, request, error, "too many partitions in share sessions");
        return;
    }
    start(call);
}
