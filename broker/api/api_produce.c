/* SPDX-License-Identifier: Apache-2.0
 *
 * Produce: check each batch, append it, answer when its promise holds. Runs on the connection's shard; large
 * decompressions run on a worker.
 *
 *   1. every partition of the request becomes a part; what is wrong with its topic is known at once
 *   2. a request waits behind an earlier one of its connection whose batches are still being checked, so that batches
 *      reach a partition in the order in which the connection sent them
 *   3. each batch is checked (el_batch_check), its records decompressed into the shard's scratch memory, or by a worker
 *      into a block of the budget when there is more than API_SCRATCH_LEN of them
 *      On a topic with streams, what the index is to know of the records is made there as well (produce_streams.c)
 *   4. once all checks of the request are done, its good parts are appended, in order; then the next request may go
 *   5. the answer leaves when every append is done, or at the request's deadline with REQUEST_TIMED_OUT for those that
 *      are not: the appends go on, so the request is held until the last one is done
 *
 * A bad part fails alone. With acks 0 there is no answer, and a failure closes the connection: it is the client's only
 * signal. Source: docs/protocol.md, Produce; the order of the checks is the order of its table.
 */
#include <api/produce_streams.h>
#include <wire/msg_produce.h>

#define TIMEOUT_MS_DEFAULT 30000 /* for a timeout that is not positive: it would refuse what is about to be stored */
#define VERSION_STORAGE_ERROR 4
#define VERSION_ZSTD 7          /* first version whose readers know zstd */
#define VERSION_TOPIC_IDS 13    /* first version that names topics by id */
#define VERSION_ABORTABLE 11    /* first version that knows TRANSACTION_ABORTABLE */
#define VERSION_RECORD_ERRORS 8 /* first version that names the record */
#define SCRATCH_ALIGN 16u       /* of what lies behind the records in a worker's block */

#define PRODUCE_MAGIC OBJ_MAGIC('p', 'r', 'o', 'd')

struct produce_call;

/* One batch for one partition. */
struct produce_part {
    struct append_op op;
    struct produce_call *call;
    struct el_slice records; /* as sent; in the request's body */
    struct io_op job;        /* check on a worker */
    uint8_t *scratch;        /* block of the budget while a worker decompresses, else NULL */
    size_t scratch_len;      /* bytes of it that are for records; more with streams */
    const struct el_msg_produce_partition *ask;
    uint32_t batch_len_max;          /* the topic's max.message.bytes */
    int64_t before_ms, after_ms;     /* how old and how far ahead records may be; -1: not checked */
    bool keys;                       /* every record must have a key: the topic is compacted */
    struct produce_streams *streams; /* NULL: the keys of the topic are no streams */
    struct el_slice message;         /* says more than the error; data NULL none */
    int error;                       /* EVLOG_ERR_ of what was refused before the append, else 0 */
    int16_t kafka_error;             /* what the client is told when evlog has no code of its own, else 0 */
    int32_t record_index;            /* record at fault, -1 for the batch as a whole */
    bool submitted;                  /* the append is under way or done */
    bool done;                       /* the append is done */
};

struct produce_call {
    uint32_t magic;
    struct api *api;
    struct request *request;
    const struct el_msg_produce_request *ask;
    struct produce_part *parts; /* [part_count] in request order */
    uint32_t part_count;
    uint32_t checks_pending;  /* checks on workers */
    uint32_t appends_pending; /* appends under way, and 1 while they are being submitted */
    uint64_t conn_id;
    struct el_list link; /* api->produce_list until all checks are done */
    struct io_timer deadline;
    bool checking; /* the checks have begun */
    bool replied;
};

/* --- the answer --------------------------------------------------------------------------------------------------- */

static int16_t part_result(struct produce_part *part, int *error)
{
    *error = part->error;
    if (part->kafka_error != 0) {
        return part->kafka_error;
    }
    if (*error == 0 && part->submitted) {
        *error = part->done ? part->op.base.error : EVLOG_ERR_TIMED_OUT;
    }
    int version = part->call->request->api_version;
    return api_error_since(*error, version >= VERSION_TOPIC_IDS, version, VERSION_STORAGE_ERROR);
}

/* What the error text says; a slice that lasts. */
static struct el_slice part_message(const struct produce_part *part, int error)
{
    if (part->message.data != NULL) {
        return part->message;
    }
    if (part->kafka_error == EL_KAFKA_INVALID_TXN_STATE || part->kafka_error == EL_KAFKA_TRANSACTION_ABORTABLE) {
        return el_slice_str("evlogd has no transactions: send batches without a transactional id");
    }
    if (part->kafka_error == EL_KAFKA_INVALID_TOPIC_EXCEPTION) {
        return el_slice_str("topics of evlog itself cannot be written by clients");
    }
    if (error == EVLOG_ERR_INVALID_RECORD && part->keys && part->record_index >= 0 &&
        part->record_index == part->op.info.keyless_index) {
        return el_slice_str("the topic is compacted: every record needs a key");
    }
    return part->submitted ? api_append_message(error) : api_error_message(error);
}

static int fill_part(struct produce_call *call, struct produce_part *part, struct el_msg_produce_partition_result *out)
{
    int error;
    out->index = part->ask->index;
    out->error_code = part_result(part, &error);
    if (out->error_code == EL_KAFKA_NONE) {
        out->base_offset = part->op.base_offset;
        out->log_append_time_ms = part->op.append_time_ms;
        out->log_start_offset = part->op.log_start_offset;
        return 0;
    }
    if (part->streams != NULL && part->message.data == NULL) {
        part->message = produce_streams_refusal(part->streams, call->request, error, &part->record_index);
    }
    out->base_offset = -1;
    out->error_message = part_message(part, error);
    if (part->record_index >= 0 && call->request->api_version >= VERSION_RECORD_ERRORS) {
        struct el_arena *arena = &call->request->arena;
        out->record_errors = el_schema_new(&el_schema_produce_record_error, arena, 1);
        if (out->record_errors == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        out->record_error_count = 1;
        out->record_errors[0].batch_index = part->record_index;
        out->record_errors[0].batch_index_error_message = out->error_message;
    }
    return 0;
}

/* The response in the request's arena; EVLOG_ERR_NO_MEMORY when that is spent. */
static int build_response(struct produce_call *call, struct el_msg_produce_response *response)
{
    const struct el_msg_produce_request *ask = call->ask;
    struct el_arena *arena = &call->request->arena;
    el_schema_init(&el_schema_produce_response, response);
    response->responses = el_schema_new(&el_schema_produce_topic_result, arena, ask->topic_data_count);
    if (response->responses == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    response->response_count = ask->topic_data_count;
    uint32_t n = 0;
    for (uint32_t t = 0; t < ask->topic_data_count; t++) {
        struct el_msg_produce_topic_result *out = &response->responses[t];
        uint32_t count = ask->topic_data[t].partition_data_count;
        out->name = ask->topic_data[t].name;
        out->topic_id = ask->topic_data[t].topic_id;
        out->partition_responses = el_schema_new(&el_schema_produce_partition_result, arena, count);
        if (out->partition_responses == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        out->partition_response_count = count;
        for (uint32_t p = 0; p < count; p++) {
            int error = fill_part(call, &call->parts[n++], &out->partition_responses[p]);
            if (error != 0) {
                return error;
            }
        }
    }
    return 0;
}

static void end_without_answer(struct produce_call *call)
{
    for (uint32_t i = 0; i < call->part_count; i++) {
        int error;
        if (part_result(&call->parts[i], &error) != EL_KAFKA_NONE) {
            request_close(call->request, "a batch sent with acks 0 was refused: closing is the only way to tell");
            return;
        }
    }
    request_end_silent(call->request);
}

/* Answer, or end without one. Everything may be gone afterwards, unless the request is held. */
static void produce_reply(struct produce_call *call)
{
    EL_ASSERT(!call->replied);
    call->replied = true;
    io_timer_cancel(call->api->io, &call->deadline);
    if (call->ask->acks == 0) {
        end_without_answer(call);
        return;
    }
    struct el_msg_produce_response response;
    if (build_response(call, &response) != 0) {
        metrics_add(call->api->metrics, METRIC_REFUSED_MEMORY, 1);
        request_close(call->request, "no memory left for the answer: raise memory.max");
        return;
    }
    request_reply(call->request, &el_schema_produce_response, &response);
}

static void produce_on_deadline(struct io_timer *timer)
{
    struct produce_call *call = timer->arg;
    OBJ_CHECK(call, PRODUCE);
    EL_ASSERT(call->appends_pending > 0);
    metrics_add(call->api->metrics, METRIC_REFUSED_OTHER, 1);
    request_hold(call->request);
    produce_reply(call);
}

/* --- appends ------------------------------------------------------------------------------------------------------ */

static void appends_release(struct produce_call *call)
{
    EL_ASSERT(call->appends_pending > 0);
    if (--call->appends_pending > 0) {
        return;
    }
    call->magic = 0;
    if (call->replied) {
        request_unhold(call->request);
    } else {
        produce_reply(call);
    }
}

static void produce_on_append(struct store_op *op)
{
    struct produce_part *part = op->arg;
    OBJ_CHECK(part->call, PRODUCE);
    EL_ASSERT(!part->done);
    part->done = true;
    const struct api *api = part->call->api;
    if (op->error != 0) {
        api_count_refusal(part->call->api, op->error);
    } else if (!part->op.no_wait) {
        request_mark(part->call->request, REQUEST_STORED, api->io->now_ns);
        metrics_observe_ns(api->metrics, METRIC_APPEND_SECONDS, api->io->now_ns - part->call->request->received_ns);
    }
    appends_release(part->call);
}

static void produce_append(struct produce_call *call)
{
    struct api *api = call->api;
    int64_t wait_ms = call->ask->timeout_ms > 0 ? call->ask->timeout_ms : TIMEOUT_MS_DEFAULT;
    request_mark(call->request, REQUEST_CHECKED, io_mono(api->io)); /* checks take time within one step */
    call->appends_pending = 1;
    call->deadline.fire = produce_on_deadline;
    call->deadline.arg = call;
    if (call->ask->acks != 0) {
        io_timer_set(api->io, &call->deadline, call->request->received_ns + (uint64_t)wait_ms * 1000000u);
    }
    for (uint32_t i = 0; i < call->part_count; i++) {
        struct produce_part *part = &call->parts[i];
        if (part->error != 0 || part->kafka_error != 0) {
            continue;
        }
        part->submitted = true;
        part->op.base.done = produce_on_append;
        part->op.base.arg = part;
        part->op.batch = part->records.data;
        part->op.batch_len = (uint32_t)part->records.len;
        part->op.no_wait = call->ask->acks == 0;
        part->op.wait_by_ns = call->request->received_ns + (uint64_t)wait_ms * 1000000u;
        part->op.observed = part->streams == NULL ? NULL : &part->streams->batch;
        call->appends_pending++;
        store_append(api->shard, &part->op);
    }
    appends_release(call);
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static void part_refuse(struct produce_part *part, int error, int16_t kafka_error)
{
    part->error = error;
    part->kafka_error = kafka_error;
    api_count_refusal(part->call->api, error);
}

/* What is left to check once the batch itself is sound. */
static void part_check_rules(struct produce_part *part)
{
    const struct el_batch_info *info = &part->op.info;
    struct produce_call *call = part->call;
    if ((info->attributes & EL_BATCH_ATTR_TRANSACTIONAL) != 0) {
        bool abortable = call->request->api_version >= VERSION_ABORTABLE;
        part_refuse(part, EVLOG_ERR_POLICY, abortable ? EL_KAFKA_TRANSACTION_ABORTABLE : EL_KAFKA_INVALID_TXN_STATE);
        return;
    }
    part->record_index = api_timestamp_fault(call->api, info, part->before_ms, part->after_ms);
    if (part->record_index >= 0) {
        part_refuse(part, EVLOG_ERR_TIMESTAMP, 0);
    } else if (part->keys && info->keyless_index >= 0) {
        part->record_index = info->keyless_index;
        part_refuse(part, EVLOG_ERR_INVALID_RECORD, 0);
    } else if (part->streams != NULL) {
        int error = produce_streams_place(part->streams, call->request, &part->record_index, &part->message);
        if (error != 0) {
            part_refuse(part, error, 0);
        }
    }
}

static void part_checked(struct produce_part *part, int error)
{
    if (error != 0) {
        part->record_index = part->op.info.invalid_index;
        part_refuse(part, error, 0);
        return;
    }
    part_check_rules(part);
}

/* On a worker; touches only the part. */
static int64_t part_check_job(struct disk *disk, void *arg)
{
    struct produce_part *part = arg;
    int error = el_batch_check(part->records.data, part->records.len, part->batch_len_max, part->scratch,
                               part->scratch_len, &part->op.info);
    if (error != 0 || part->streams == NULL) {
        return error;
    }
    struct el_arena arena; /* the rest of the block */
    el_arena_init_fixed(&arena, part->scratch + part->scratch_len,
                        produce_streams_room(&part->op.info, part->scratch_len));
    return produce_streams_make(part->streams, part->records, part->scratch, part->scratch_len, &arena);
}

static bool part_send_to_worker(struct produce_part *part, size_t scratch_len);
static void produce_advance(struct api *api, uint64_t conn_id);

static void part_on_job(struct io_op *op)
{
    struct produce_part *part = op->arg;
    struct produce_call *call = part->call;
    OBJ_CHECK(call, PRODUCE);
    int error = (int)op->result;
    if (error == 0 && part->streams != NULL) {
        error = produce_streams_keep(part->streams, &call->request->arena);
    }
    el_buddy_free(call->api->buddy, part->scratch);
    part->scratch = NULL;
    size_t wanted = part->op.info.scratch_len_wanted;
    if (error == EVLOG_ERR_NO_MEMORY && wanted > part->scratch_len && part_send_to_worker(part, wanted)) {
        return;
    }
    part_checked(part, error);
    EL_ASSERT(call->checks_pending > 0);
    if (--call->checks_pending == 0) {
        produce_advance(call->api, call->conn_id);
    }
}

static bool part_send_to_worker(struct produce_part *part, size_t scratch_len)
{
    struct api *api = part->call->api;
    EL_ASSERT(scratch_len <= EL_BATCH_OUTPUT_MAX);
    scratch_len = EL_ALIGN_UP(scratch_len, SCRATCH_ALIGN);
    size_t room = part->streams == NULL ? 0 : produce_streams_room(&part->op.info, scratch_len);
    part->scratch = el_buddy_alloc(api->buddy, scratch_len + room);
    if (part->scratch == NULL) {
        return false;
    }
    part->scratch_len = scratch_len;
    part->job.done = part_on_job;
    part->job.arg = part;
    io_job(api->io, &part->job, IO_JOB_COMPUTE, part_check_job, part);
    return true;
}

static void part_check(struct produce_part *part)
{
    struct produce_call *call = part->call;
    struct api *api = call->api;
    struct el_batch_info *info = &part->op.info;
    if (call->request->api_version < VERSION_ZSTD &&
        el_batch_header(part->records.data, part->records.len, info) == 0 && info->codec == EL_CODEC_ZSTD) {
        part_refuse(part, EVLOG_ERR_COMPRESSION, 0);
        return;
    }
    int error = el_batch_check(part->records.data, part->records.len, part->batch_len_max, api->scratch,
                               API_SCRATCH_LEN, info);
    if (error == EVLOG_ERR_NO_MEMORY && info->scratch_len_wanted > API_SCRATCH_LEN) {
        call->checks_pending++;
        if (part_send_to_worker(part, info->scratch_len_wanted)) {
            return;
        }
        call->checks_pending--;
    }
    if (error == 0 && part->streams != NULL) {
        error = produce_streams_make(part->streams, part->records, api->scratch, API_SCRATCH_LEN,
                                     &call->request->arena);
    }
    part_checked(part, error);
}

static struct produce_call *first_of_connection(struct api *api, uint64_t conn_id)
{
    EL_LIST_EACH(node, &api->produce_list) {
        struct produce_call *call = EL_CONTAINER(node, struct produce_call, link);
        if (call->conn_id == conn_id) {
            return call;
        }
    }
    return NULL;
}

/* Go on with a connection's requests until one has to wait for a worker. A loop, because a hundred small requests may
 * wait behind a large one. */
static void produce_advance(struct api *api, uint64_t conn_id)
{
    for (struct produce_call *call = first_of_connection(api, conn_id); call != NULL;
         call = first_of_connection(api, conn_id)) {
        OBJ_CHECK(call, PRODUCE);
        if (!call->checking) {
            call->checking = true;
            request_mark(call->request, REQUEST_BEGUN, io_mono(api->io));
            for (uint32_t i = 0; i < call->part_count; i++) {
                if (call->parts[i].error == 0) {
                    part_check(&call->parts[i]);
                }
            }
        }
        if (call->checks_pending > 0) {
            return;
        }
        el_list_remove(&call->link);
        produce_append(call);
    }
}

/* --- from the request to its parts -------------------------------------------------------------------------------- */

static void part_init(struct produce_part *part, struct produce_call *call,
                      const struct el_msg_produce_topic *topic_ask, const struct topic *topic, int error)
{
    const struct el_msg_produce_request *ask = call->ask;
    bool by_id = call->request->api_version >= VERSION_TOPIC_IDS;
    part->op.partition = part->ask->index;
    part->op.topic_id = topic == NULL ? topic_ask->topic_id : topic->id;
    part->records = part->ask->records;
    part->record_index = -1;
    if (ask->acks < -1 || ask->acks > 1) {
        part_refuse(part, EVLOG_ERR_INVALID_ACKS, 0);
        return;
    }
    if (error == EVLOG_ERR_TOPIC_DENIED) {
        part_refuse(part, error, 0);
        return;
    }
    if (topic == NULL || !api_partition_exists(topic, part->ask->index)) {
        part_refuse(part, by_id && topic == NULL ? EVLOG_ERR_UNKNOWN_TOPIC_ID : EVLOG_ERR_UNKNOWN_TOPIC,
                    by_id && topic != NULL ? EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION : 0);
        return;
    }
    if (topic->internal) {
        part_refuse(part, EVLOG_ERR_POLICY, EL_KAFKA_INVALID_TOPIC_EXCEPTION);
        return;
    }
    if (part->records.len == 0) {
        part_refuse(part, EVLOG_ERR_INVALID_RECORD, 0);
        return;
    }
    const struct topic_config *defaults = &call->api->node->topic_defaults;
    part->batch_len_max = (uint32_t)topic_config_int(&topic->config, defaults, TOPIC_MAX_MESSAGE_BYTES);
    bool stamped = topic_config_int(&topic->config, defaults, TOPIC_TIMESTAMP_TYPE) == TOPIC_LOG_APPEND_TIME;
    part->keys = topic_config_int(&topic->config, defaults, TOPIC_CLEANUP_POLICY) != TOPIC_CLEANUP_DELETE;
    part->before_ms = stamped ? -1 : topic_config_int(&topic->config, defaults, TOPIC_TIMESTAMP_BEFORE_MAX_MS);
    part->after_ms = stamped ? -1 : topic_config_int(&topic->config, defaults, TOPIC_TIMESTAMP_AFTER_MAX_MS);
    if (!topic_config_streams(&topic->config)) {
        return;
    }
    if (call->api->streams == NULL) {
        part_refuse(part, EVLOG_ERR_UNSUPPORTED, 0);
    } else {
        part->streams = produce_streams_new(call->api, call->request, topic, part->ask->index);
        if (part->streams == NULL) {
            part_refuse(part, EVLOG_ERR_NO_MEMORY, 0);
        }
    }
}

static bool make_parts(struct produce_call *call)
{
    const struct el_msg_produce_request *ask = call->ask;
    struct api *api = call->api;
    for (uint32_t t = 0; t < ask->topic_data_count; t++) {
        call->part_count += ask->topic_data[t].partition_data_count;
    }
    call->parts = api_alloc(api, call->request, call->part_count, sizeof *call->parts);
    if (call->parts == NULL) {
        return false;
    }
    bool by_id = call->request->api_version >= VERSION_TOPIC_IDS;
    uint32_t n = 0;
    for (uint32_t t = 0; t < ask->topic_data_count; t++) {
        const struct el_msg_produce_topic *topic_ask = &ask->topic_data[t];
        int error = EVLOG_ERR_UNKNOWN_TOPIC_ID;
        const struct topic *topic = NULL;
        if (!by_id || !el_uuid_is_zero(&topic_ask->topic_id)) {
            topic = api_topic(api, call->request, topic_ask->name, by_id ? &topic_ask->topic_id : NULL, &error);
        }
        for (uint32_t p = 0; p < topic_ask->partition_data_count; p++, n++) {
            call->parts[n].call = call;
            call->parts[n].ask = &topic_ask->partition_data[p];
            part_init(&call->parts[n], call, topic_ask, topic, error);
        }
    }
    return true;
}

void api_produce(struct api *api, struct request *request, const void *message)
{
    struct produce_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->magic = PRODUCE_MAGIC;
    call->api = api;
    call->request = request;
    call->ask = message;
    call->conn_id = request_conn_id(request);
    if (!make_parts(call)) {
        return;
    }
    bool waits = first_of_connection(api, call->conn_id) != NULL;
    el_list_push_back(&api->produce_list, &call->link);
    if (!waits) {
        produce_advance(api, call->conn_id);
    }
}
