/* SPDX-License-Identifier: Apache-2.0
 *
 * From batches to Produce requests and back. Internal thread of the client; lock held, but for packing.
 *
 * 1. el_producers_tick() walks the partitions with batches: what is too late fails, what is due is collected per
 *    leader.
 * 2. With idempotence a partition takes a producer id first (InitProducerId), and a batch its sequence when it is sent
 *    for the first time; every later try repeats both, so that the broker can tell a retry from a new batch.
 * 3. Batches are packed (compressed) without the lock, and leave in one request per node.
 * 4. produce_on_done() gives each batch its outcome, or leaves it in its queue for another try.
 *
 * Order: a queue keeps its batches in order, those in flight included. The first batch under a producer id goes
 * alone. After a failed try a partition sends only its oldest batch, and only when nothing of it is in flight, until
 * one got through. A batch that fails for good leaves a gap in its partition's sequence. Then, once nothing is in
 * flight, the partition takes a new producer id; a batch of it that may have been stored is not sent again under the
 * new id but fails in doubt.
 */
#include "fail.h"
#include "producer_state.h"

#include <core/alloc.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_produce.h>

#define PRODUCE_VERSION_MAX 11          /* 12 begins transactions on its own, 13 wants topic ids */
#define REQUEST_BATCH_MAX 512           /* partitions in one request */
#define FORGET_NS (3600ll * 1000000000) /* brokers keep a silent producer's sequence for a day, or as they are set */

/* A produce request on its way. */
struct produce {
    struct el_call call;
    struct evlog_producer *producer; /* NULL: closed meanwhile */
    struct el_msg_produce_request request;
    struct el_arena arena; /* of the request's arrays and names */
    struct el_producer_batch *batches[REQUEST_BATCH_MAX];
    uint32_t batch_count;
    size_t len;          /* of the batches */
    struct el_list link; /* requests being filled in this turn */
};

static void look_again(int64_t *until_ns, int64_t when_ns)
{
    *until_ns = EL_MIN(*until_ns, when_ns);
}

/* --- outcomes --------------------------------------------------------------------------------------------------- */

static void stored(struct evlog_producer *producer, struct el_producer_batch *batch, int64_t base_offset,
                   int64_t log_append_time_ms)
{
    batch->partition->failure_count = 0;
    batch->partition->acked_ns = batch->producer_id == batch->partition->producer_id ? el_now_ns() : 0;
    batch->base_offset = base_offset;
    batch->log_append_time_ms = log_append_time_ms;
    el_producer_batch_end(producer, batch);
}

static void failed_for_good(struct evlog_producer *producer, struct el_producer_batch *batch, int code,
                            const struct evlog_failure *why)
{
    if (batch->producer_id >= 0) {
        batch->partition->reset = true;
    }
    el_producer_batch_refuse(producer, batch, code, why);
}

static void try_again(struct evlog_producer *producer, struct el_producer_batch *batch)
{
    struct el_producer_partition *partition = batch->partition;
    const struct el_client_config *cfg = &producer->client->cfg;
    partition->failure_count++;
    partition->retry_at_ns = el_now_ns() + el_client_backoff_ns(producer->client, partition->failure_count,
                                                                cfg->retry_backoff_ms, cfg->retry_backoff_max_ms);
    producer->stats.retry_count++;
}

static bool sequence_error(int kafka_code)
{
    return kafka_code == EL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER || kafka_code == EL_KAFKA_UNKNOWN_PRODUCER_ID ||
           kafka_code == EL_KAFKA_INVALID_PRODUCER_EPOCH || kafka_code == EL_KAFKA_PRODUCER_FENCED;
}

/* Errors after which the batch may be in the log all the same. */
static bool doubtful(int kafka_code)
{
    return kafka_code == EL_KAFKA_REQUEST_TIMED_OUT || kafka_code == EL_KAFKA_NOT_ENOUGH_REPLICAS_AFTER_APPEND ||
           kafka_code == EL_KAFKA_UNKNOWN_SERVER_ERROR || kafka_code == EL_KAFKA_KAFKA_STORAGE_ERROR;
}

/* The broker answered with an error. */
static void refused(struct evlog_producer *producer, struct el_producer_batch *batch, int kafka_code,
                    struct el_slice message)
{
    struct el_producer_partition *partition = batch->partition;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    int code = el_fail_kafka(&why, kafka_code, message, "the broker refused");
    el_fail_right(&why, "write topic", partition->topic->name);
    batch->in_doubt = batch->in_doubt || doubtful(kafka_code);
    if (batch->producer_id >= 0 && sequence_error(kafka_code)) {
        bool oldest = partition->queue.next == &batch->link;
        partition->reset = partition->reset || oldest || kafka_code != EL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
        try_again(producer, batch);
        return;
    }
    if (el_kafka_error_retriable(kafka_code)) {
        if (kafka_code == EL_KAFKA_NOT_LEADER_OR_FOLLOWER || kafka_code == EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION ||
            kafka_code == EL_KAFKA_LEADER_NOT_AVAILABLE || kafka_code == EL_KAFKA_FENCED_LEADER_EPOCH) {
            el_cluster_suspect(producer->client);
        }
        try_again(producer, batch);
        return;
    }
    failed_for_good(producer, batch, code, &why);
}

static const struct el_msg_produce_partition_result *result_of(const struct el_msg_produce_response *response,
                                                               const struct el_producer_batch *batch)
{
    struct el_slice name = el_slice_str(batch->partition->topic->name);
    for (uint32_t i = 0; i < response->response_count; i++) {
        const struct el_msg_produce_topic_result *topic = &response->responses[i];
        for (uint32_t j = 0; el_slice_eq(topic->name, name) && j < topic->partition_response_count; j++) {
            if (topic->partition_responses[j].index == batch->partition->index) {
                return &topic->partition_responses[j];
            }
        }
    }
    return NULL;
}

static void take_result(struct evlog_producer *producer, struct el_producer_batch *batch,
                        const struct el_msg_produce_partition_result *result)
{
    if (result == NULL) {
        batch->in_doubt = true;
        try_again(producer, batch);
    } else if (result->error_code == 0 || result->error_code == EL_KAFKA_DUPLICATE_SEQUENCE_NUMBER) {
        stored(producer, batch, result->base_offset, result->log_append_time_ms);
    } else {
        struct el_slice message = result->error_message;
        if (result->record_error_count > 0 && result->record_errors[0].batch_index_error_message.len > 0) {
            message = result->record_errors[0].batch_index_error_message;
        }
        refused(producer, batch, result->error_code, message);
    }
}

/* No answer: lost connection, timeout, or nothing was ever sent. */
static void take_loss(struct evlog_producer *producer, struct el_producer_batch *batch, const struct el_call *call)
{
    batch->in_doubt = batch->in_doubt || call->sent;
    if (call->failure.code == EVLOG_ERR_UNSUPPORTED || call->failure.code == EVLOG_ERR_LIMIT) {
        failed_for_good(producer, batch, call->failure.code, &call->failure);
        return;
    }
    try_again(producer, batch);
}

static void produce_free(struct produce *produce)
{
    el_call_free(&produce->call);
    el_arena_reset(&produce->arena);
    el_free(produce);
}

static void produce_on_done(struct evlog_client *client, struct el_call *call)
{
    struct produce *produce = call->arg;
    struct evlog_producer *producer = produce->producer;
    if (producer == NULL) {
        produce_free(produce);
        return;
    }
    struct el_msg_produce_response response;
    memset(&response, 0, sizeof response);
    if (call->failure.code == 0 && !call->no_answer && el_call_decode(call, &response, &call->failure) != 0) {
        call->sent = true;
    }
    producer->call_count--;
    if (call->failure.code != 0) {
        el_cluster_suspect(client);
    }
    for (uint32_t i = 0; i < produce->batch_count; i++) {
        struct el_producer_batch *batch = produce->batches[i];
        batch->in_flight = false;
        batch->partition->in_flight_count--;
        if (call->failure.code != 0) {
            take_loss(producer, batch, call);
        } else if (call->no_answer) {
            stored(producer, batch, -1, -1);
        } else {
            take_result(producer, batch, result_of(&response, batch));
        }
    }
    produce_free(produce);
}

/* --- producer ids ----------------------------------------------------------------------------------------------- */

struct id_ask {
    struct el_call call;
    struct el_msg_init_producer_id_request request;
    struct evlog_producer *producer; /* NULL: closed meanwhile */
};

/* The broker gives no id to somebody who may publish nowhere: nobody waits for one in vain. */
static void id_denied(struct evlog_producer *producer, int kafka_code)
{
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    int code = el_fail_kafka(&why, kafka_code, (struct el_slice){0}, "publish");
    if (code == EVLOG_ERR_CLUSTER_DENIED) {
        const struct el_producer_partition *first = el_list_empty(&producer->active)
                                                        ? NULL
                                                        : EL_CONTAINER(producer->active.next,
                                                                       struct el_producer_partition, active);
        el_fail_hint(&why, "it may write to no topic: 'evlog acl allow PRINCIPAL write topic %.120s' gives the right",
                     first == NULL ? "NAME" : first->topic->name);
    }
    EL_LIST_EACH_SAFE(node, next, &producer->active) {
        struct el_producer_partition *partition = EL_CONTAINER(node, struct el_producer_partition, active);
        if (partition->producer_id >= 0 || partition->in_flight_count > 0) {
            continue;
        }
        EL_LIST_EACH_SAFE(inner, inner_next, &partition->queue) {
            el_producer_batch_refuse(producer, EL_CONTAINER(inner, struct el_producer_batch, link), code, &why);
        }
    }
}

static bool is_denied(int kafka_code)
{
    return kafka_code == EL_KAFKA_CLUSTER_AUTHORIZATION_FAILED || kafka_code == EL_KAFKA_TOPIC_AUTHORIZATION_FAILED;
}

static void id_on_done(struct evlog_client *client, struct el_call *call)
{
    struct id_ask *ask = call->arg;
    struct evlog_producer *producer = ask->producer;
    struct el_msg_init_producer_id_response response;
    int rc = call->failure.code;
    if (rc == 0) {
        rc = el_call_decode(call, &response, NULL);
    }
    if (rc == 0 && response.error_code != 0) {
        rc = EVLOG_ERR_KAFKA;
    }
    if (producer != NULL) {
        producer->id_call = NULL;
        producer->producer_id = rc == 0 ? response.producer_id : -1;
        producer->producer_epoch = rc == 0 ? response.producer_epoch : -1;
        producer->id_failure_count = rc == 0 ? 0 : producer->id_failure_count + 1;
        producer->id_retry_at_ns = el_now_ns() + el_client_backoff_ns(client, producer->id_failure_count,
                                                                      client->cfg.retry_backoff_ms,
                                                                      client->cfg.retry_backoff_max_ms);
        if (rc == EVLOG_ERR_KAFKA && is_denied(response.error_code)) {
            id_denied(producer, response.error_code);
        }
    }
    el_call_free(call);
    el_free(ask);
}

static void ask_id(struct evlog_producer *producer, int64_t now_ns, int64_t *until_ns)
{
    if (producer->id_call != NULL) {
        return;
    }
    bool pause = producer->id_failure_count > 0 && producer->id_retry_at_ns > now_ns;
    struct id_ask *ask = pause ? NULL : el_calloc(1, sizeof *ask);
    if (ask == NULL) {
        look_again(until_ns, EL_MAX(producer->id_retry_at_ns, now_ns + EL_NS_PER_MS));
        return;
    }
    el_schema_init(&el_schema_init_producer_id_request, &ask->request);
    ask->request.transactional_id = el_slice_of(NULL, 0);
    ask->request.transaction_timeout_ms = INT32_MAX;
    ask->request.producer_id = -1;
    ask->request.producer_epoch = -1;
    ask->producer = producer;
    el_call_init(&ask->call, el_api_find(EL_API_InitProducerId), &ask->request);
    ask->call.deadline_ns = now_ns + producer->client->cfg.request_timeout_ms * EL_NS_PER_MS;
    ask->call.on_done = id_on_done;
    ask->call.arg = ask;
    producer->id_call = &ask->call;
    el_call_submit(producer->client, &ask->call);
}

/* The sequence is broken and nothing is in flight: start again under a new producer id. */
static void reset_partition(struct evlog_producer *producer, struct el_producer_partition *partition)
{
    if (partition->producer_id == producer->producer_id) {
        producer->producer_id = -1;
    }
    partition->producer_id = -1;
    partition->reset = false;
    EL_LIST_EACH_SAFE(node, next, &partition->queue) {
        struct el_producer_batch *batch = EL_CONTAINER(node, struct el_producer_batch, link);
        if (batch->producer_id >= 0 && batch->in_doubt) {
            el_producer_batch_refuse(producer, batch, EVLOG_ERR_IN_DOUBT, NULL);
        } else {
            batch->producer_id = -1;
            batch->base_sequence = -1;
        }
    }
}

/* True when the partition may send: it has a producer id, or needs none. */
static bool has_id(struct evlog_producer *producer, struct el_producer_partition *partition, int64_t now_ns,
                   int64_t *until_ns)
{
    if (!producer->client->cfg.idempotence || partition->producer_id >= 0) {
        return true;
    }
    if (producer->producer_id < 0) {
        ask_id(producer, now_ns, until_ns);
        return false;
    }
    partition->producer_id = producer->producer_id;
    partition->producer_epoch = producer->producer_epoch;
    partition->sequence_next = 0;
    partition->acked_ns = 0;
    return true;
}

/* --- choosing --------------------------------------------------------------------------------------------------- */

static void expire(struct evlog_producer *producer, struct el_producer_partition *partition, int64_t now_ns,
                   int64_t *until_ns)
{
    EL_LIST_EACH_SAFE(node, next, &partition->queue) {
        struct el_producer_batch *batch = EL_CONTAINER(node, struct el_producer_batch, link);
        if (batch->in_flight) {
            continue;
        }
        if (batch->deadline_ns > now_ns) {
            look_again(until_ns, batch->deadline_ns);
            continue;
        }
        const struct evlog_failure *why = &producer->client->connect_failure;
        bool unreachable = why->code != 0;
        failed_for_good(producer, batch, unreachable ? EVLOG_ERR_UNREACHABLE : EVLOG_ERR_TIMED_OUT,
                        unreachable ? why : NULL);
    }
}

static bool is_due(const struct evlog_producer *producer, const struct el_producer_batch *batch, int64_t now_ns,
                   int64_t *until_ns)
{
    int64_t linger_ns = batch->created_ns + producer->client->cfg.linger_ms * EL_NS_PER_MS;
    bool hurry = producer->flush_waiters > 0 || producer->memory_waiters > 0;
    if (batch->closed || batch->urgent || hurry || linger_ns <= now_ns) {
        return true;
    }
    look_again(until_ns, linger_ns);
    return false;
}

/* A broker that knows nothing of a producer id takes any sequence. If the first batch failed there (no leader yet, say)
 * and the second one came through, the order would be lost: so nothing follows the first batch before its answer, and
 * the same after a pause in which the broker may have forgotten the producer. */
static bool broker_knows_us(const struct evlog_producer *producer, const struct el_producer_partition *partition,
                            int64_t now_ns)
{
    return !producer->client->cfg.idempotence || (partition->acked_ns != 0 && now_ns - partition->acked_ns < FORGET_NS);
}

/* The next batch of a partition to send, or NULL. */
static struct el_producer_batch *next_batch(const struct evlog_producer *producer,
                                            const struct el_producer_partition *partition, int64_t now_ns,
                                            int64_t *until_ns)
{
    if (partition->failure_count > 0) {
        if (partition->in_flight_count > 0) {
            return NULL;
        }
        if (partition->retry_at_ns > now_ns) {
            look_again(until_ns, partition->retry_at_ns);
            return NULL;
        }
    }
    if (partition->in_flight_count > 0 && !broker_knows_us(producer, partition, now_ns)) {
        return NULL;
    }
    EL_LIST_EACH(node, &partition->queue) {
        struct el_producer_batch *batch = EL_CONTAINER(node, struct el_producer_batch, link);
        if (!batch->in_flight) {
            return is_due(producer, batch, now_ns, until_ns) ? batch : NULL;
        }
    }
    return NULL;
}

static void assign_sequence(struct evlog_producer *producer, struct el_producer_batch *batch)
{
    struct el_producer_partition *partition = batch->partition;
    if (producer->client->cfg.idempotence && batch->producer_id < 0) {
        batch->producer_id = partition->producer_id;
        batch->producer_epoch = partition->producer_epoch;
        batch->base_sequence = partition->sequence_next;
        partition->sequence_next = el_sequence_add(partition->sequence_next, (int32_t)batch->record_count);
    }
}

/* The request being filled for a node, begun when there is none; NULL: no memory, or the node has enough to do. */
static struct produce *request_for(struct evlog_producer *producer, struct el_list *requests, int32_t node_id)
{
    EL_LIST_EACH(node, requests) {
        struct produce *produce = EL_CONTAINER(node, struct produce, link);
        if (produce->call.node_id == node_id) {
            return produce;
        }
    }
    if (el_conns_in_flight(producer->client, node_id) >= producer->client->cfg.in_flight_max) {
        return NULL;
    }
    struct produce *produce = el_calloc(1, sizeof *produce);
    if (produce != NULL) {
        el_arena_init(&produce->arena, NULL, 0);
        el_call_init(&produce->call, el_api_find(EL_API_Produce), &produce->request);
        produce->call.node_id = node_id;
        produce->producer = producer;
        el_list_push_back(requests, &produce->link);
    }
    return produce;
}

static void collect(struct evlog_producer *producer, struct el_producer_partition *partition, struct el_list *requests,
                    int64_t now_ns, int64_t *until_ns)
{
    if (partition->reset && partition->in_flight_count == 0) {
        reset_partition(producer, partition);
    }
    struct el_producer_batch *batch = partition->reset ? NULL : next_batch(producer, partition, now_ns, until_ns);
    if (batch == NULL || !has_id(producer, partition, now_ns, until_ns)) {
        return;
    }
    int32_t leader = el_cluster_leader(producer->client, partition->topic->name, partition->index);
    if (leader < 0) {
        el_cluster_suspect(producer->client);
        look_again(until_ns, now_ns + producer->client->cfg.retry_backoff_ms * EL_NS_PER_MS + EL_NS_PER_MS);
        return;
    }
    struct produce *produce = request_for(producer, requests, leader);
    size_t len = batch->encoded.data != NULL ? batch->encoded.len : el_batch_builder_len(&batch->builder);
    bool full = produce == NULL || produce->batch_count == REQUEST_BATCH_MAX ||
                (produce->batch_count > 0 && produce->len + len > producer->client->cfg.request_len_max);
    if (full) {
        return;
    }
    assign_sequence(producer, batch);
    batch->closed = true;
    batch->in_flight = true;
    batch->try_count++;
    partition->in_flight_count++;
    produce->batches[produce->batch_count++] = batch;
    produce->len += len;
}

/* --- sending ---------------------------------------------------------------------------------------------------- */

/* Pack what is not packed yet. The lock is not held: the batches are in flight, nobody else touches them. */
static int pack(const struct el_client_config *cfg, struct produce *produce)
{
    for (uint32_t i = 0; i < produce->batch_count; i++) {
        struct el_producer_batch *batch = produce->batches[i];
        struct el_batch_origin origin = {batch->producer_id, batch->base_sequence, batch->producer_epoch, 0};
        int rc = el_batch_builder_finish(&batch->builder, cfg->codec, &origin, &batch->encoded);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static struct el_msg_produce_topic *topic_entry(struct produce *produce, const char *name, uint32_t partition_max)
{
    struct el_msg_produce_request *request = &produce->request;
    for (uint32_t i = 0; i < request->topic_data_count; i++) {
        if (el_slice_eq(request->topic_data[i].name, el_slice_str(name))) {
            return &request->topic_data[i];
        }
    }
    struct el_msg_produce_topic *topic = &request->topic_data[request->topic_data_count];
    const uint8_t *copy = el_arena_dup(&produce->arena, name, strlen(name));
    topic->partition_data = el_schema_new(&el_schema_produce_partition, &produce->arena, partition_max);
    if (topic->partition_data == NULL || copy == NULL) {
        return NULL;
    }
    topic->name = el_slice_of(copy, strlen(name));
    request->topic_data_count++;
    return topic;
}

static int build_request(const struct el_client_config *cfg, struct produce *produce)
{
    struct el_msg_produce_request *request = &produce->request;
    el_schema_init(&el_schema_produce_request, request);
    request->acks = cfg->acks;
    request->timeout_ms = (int32_t)cfg->request_timeout_ms;
    request->transactional_id = el_slice_of(NULL, 0);
    request->topic_data = el_schema_new(&el_schema_produce_topic, &produce->arena, produce->batch_count);
    if (request->topic_data == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < produce->batch_count; i++) {
        const struct el_producer_batch *batch = produce->batches[i];
        struct el_msg_produce_topic *topic = topic_entry(produce, batch->partition->topic->name,
                                                         produce->batch_count - i);
        if (topic == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        struct el_msg_produce_partition *entry = &topic->partition_data[topic->partition_data_count++];
        entry->index = batch->partition->index;
        entry->records = batch->encoded;
    }
    return 0;
}

static void send_request(struct evlog_producer *producer, struct produce *produce)
{
    struct evlog_client *client = producer->client;
    el_client_unlock(client);
    int rc = pack(&client->cfg, produce);
    if (rc == 0) {
        rc = build_request(&client->cfg, produce);
    }
    el_client_lock(client);
    struct el_call *call = &produce->call;
    call->version_max = PRODUCE_VERSION_MAX;
    call->deadline_ns = el_now_ns() + client->cfg.request_timeout_ms * EL_NS_PER_MS;
    call->no_answer = client->cfg.acks == 0;
    call->on_done = produce_on_done;
    call->arg = produce;
    producer->call_count++;
    if (rc != 0) {
        (void)el_fail(&call->failure, rc, "no memory for a request");
        el_call_end(client, call);
        return;
    }
    el_call_submit(client, call);
}

/* --- closing ---------------------------------------------------------------------------------------------------- */

/* Detach requests on their way from a producer that goes; their answers are read and dropped. */
static void detach(struct el_list *calls, const void *producer)
{
    EL_LIST_EACH(node, calls) {
        struct el_call *call = EL_CONTAINER(node, struct el_call, link);
        if (call->on_done == produce_on_done && ((struct produce *)call->arg)->producer == producer) {
            ((struct produce *)call->arg)->producer = NULL;
        } else if (call->on_done == id_on_done && ((struct id_ask *)call->arg)->producer == producer) {
            ((struct id_ask *)call->arg)->producer = NULL;
        }
    }
}

static void let_go(struct evlog_client *client, struct evlog_producer *producer)
{
    /* A request that waits for a connection still points into the batches: it ends here. */
    EL_LIST_EACH_SAFE(node, next, &client->calls) {
        struct el_call *call = EL_CONTAINER(node, struct el_call, link);
        if (call->on_done == produce_on_done && ((struct produce *)call->arg)->producer == producer) {
            el_list_remove(node);
            (void)el_fail(&call->failure, EVLOG_ERR_CLOSED, "the producer is closed");
            el_call_end(client, call);
        }
    }
    detach(&client->calls, producer);
    el_conns_each_list(client, detach, producer);
    EL_LIST_EACH_SAFE(node, next, &producer->active) {
        struct el_producer_partition *partition = EL_CONTAINER(node, struct el_producer_partition, active);
        EL_LIST_EACH_SAFE(inner, inner_next, &partition->queue) {
            struct el_producer_batch *batch = EL_CONTAINER(inner, struct el_producer_batch, link);
            batch->in_doubt = batch->in_doubt || batch->in_flight;
            batch->in_flight = false;
            el_producer_batch_refuse(producer, batch, EVLOG_ERR_CLOSED, NULL);
        }
    }
    el_list_remove(&producer->link);
    producer->closed = true;
    el_client_notify(client);
}

/* --- the turn --------------------------------------------------------------------------------------------------- */

static void producer_tick(struct evlog_producer *producer, int64_t now_ns, int64_t *until_ns)
{
    struct el_list requests;
    el_list_init(&requests);
    EL_LIST_EACH_SAFE(node, next, &producer->active) {
        struct el_producer_partition *partition = EL_CONTAINER(node, struct el_producer_partition, active);
        expire(producer, partition, now_ns, until_ns);
        if (!el_list_empty(&partition->queue)) {
            collect(producer, partition, &requests, now_ns, until_ns);
        }
    }
    if (!el_list_empty(&producer->active)) {
        /* The first partition goes last next time, so that none starves when a request is full. */
        struct el_list *first = el_list_pop_front(&producer->active);
        el_list_push_back(&producer->active, first);
    }
    for (struct el_list *node = el_list_pop_front(&requests); node != NULL; node = el_list_pop_front(&requests)) {
        struct produce *produce = EL_CONTAINER(node, struct produce, link);
        if (produce->batch_count == 0) {
            produce_free(produce);
        } else {
            send_request(producer, produce);
            *until_ns = now_ns; /* there may be more that is due: another turn right away */
        }
    }
}

void el_producers_tick(struct evlog_client *client, int64_t now_ns, int64_t *until_ns)
{
    EL_LIST_EACH_SAFE(node, next, &client->producers) {
        struct evlog_producer *producer = EL_CONTAINER(node, struct evlog_producer, link);
        if (producer->closing) {
            let_go(client, producer);
        } else {
            producer_tick(producer, now_ns, until_ns);
        }
    }
}
