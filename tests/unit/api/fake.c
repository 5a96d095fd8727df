/* SPDX-License-Identifier: Apache-2.0
 *
 * See fake.h. store_* and request_* are defined here, so that the archives' own are never linked in.
 */
#include "fake.h"
#include "fake_lease_groups.h"
#include "fake_streams.h"

#include <format/batch.h>
#include <stdlib.h>

struct fake *fake;

#define CLUSTER_ID "AAAAAAAAAAAAAAAAAAAAAA"
#define LEADER_EPOCH 7

/* --- io ----------------------------------------------------------------------------------------------------------- */

static void io_submit_fake(struct io *io, struct io_op *op)
{
    assert_int_equal(op->code, IO_JOB_COMPUTE);
    assert_true(fake->job_count < FAKE_OP_MAX);
    fake->jobs[fake->job_count++] = op;
}

static uint64_t io_wall_fake(struct io *io)
{
    return fake->wall_ns;
}

static void io_random_fake(struct io *io, void *buf, size_t len)
{
    static uint8_t next;
    memset(buf, next++, len);
}

static uint64_t io_mono_fake(struct io *io)
{
    return io->now_ns;
}

static const struct io_ops io_ops_fake = {.submit = io_submit_fake,
                                          .mono = io_mono_fake,
                                          .wall = io_wall_fake,
                                          .random = io_random_fake};

void fake_run_job(struct fake *f, uint32_t index)
{
    assert_true(index < f->job_count);
    struct io_op *op = f->jobs[index];
    memmove(&f->jobs[index], &f->jobs[index + 1], (f->job_count - index - 1) * sizeof f->jobs[0]);
    f->job_count--;
    op->result = op->job(NULL, op->job_arg);
    op->code = IO_NONE;
    op->done(op);
}

void fake_advance_ms(struct fake *f, uint64_t ms)
{
    f->io.now_ns += ms * 1000000u;
    f->wall_ns += ms * 1000000u;
    io_timer_run(&f->io);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

void fake_begin(struct fake *f)
{
    memset(f, 0, sizeof *f);
    fake = f;
    f->io.ops = &io_ops_fake;
    f->io.now_ns = 1000000000u;
    f->wall_ns = 1700000000000000000u;
    assert_int_equal(el_buddy_init(&f->buddy, 256u << 20, NULL), 0);
    assert_int_equal(metrics_create(&f->metrics), 0);
    f->node.id = 1;
    f->cfg.listener_table = (struct config_listeners){.list = {{.name = "PLAINTEXT"}}, .count = 1};
    f->node.advertised[0] = (struct config_address){.host = "broker.example", .port = 9092};
    snprintf(f->principal, sizeof f->principal, "%s", NET_PRINCIPAL_ANONYMOUS);
    f->node.data_path = "/data";
    f->node.fetch_len_max = EL_FETCH_LEN_MAX;
    f->node.auto_create = true;
    f->node.partition_count = 3;
    topic_config_init(&f->node.topic_defaults);
    f->node.config = &f->cfg;
    f->node.shard_count = 1;
    f->node.share_sessions_max = 100;
    assert_int_equal(api_init(&f->api, (struct store_shard *)f, &f->node), 0);
    struct groups_config groups_cfg = {
        .session_min_ms = 6000,
        .session_max_ms = 1800000,
        .size_max = 100,
        .metadata_len_max = 4096,
        .retention_ms = 604800000,
        .check_interval_ms = 600000,
        .partition_count = 4,
        .memory_max = 16u << 20,
        .subscribes = api_group_subscribes,
    };
    f->peers[0] = &f->groups;
    groups_init(&f->groups, (struct store_shard *)f, f->peers, &groups_cfg);
    f->api.groups = &f->groups;
    auth_init(&f->auth, &f->buddy);
    f->api.auth = &f->auth;
    f->api.access = (struct access *)f;
    static const uint8_t secret[SASL_SECRET_LEN] = "secret";
    f->api.sasl_secret = secret;
    f->api.leases = fake_leases_begin();
    fake_lease_groups_begin();
    f->api.streams = fake_streams_begin();
}

void fake_end(struct fake *f)
{
    for (uint64_t id = 0; id < FAKE_CONN_MAX; id++) {
        fake_close_conn(f, id);
    }
    fake_leases_end();
    fake_streams_end();
    assert_int_equal(f->watch_count, 0);
    assert_int_equal(f->read_release_count, f->read_count);
    assert_int_equal(f->job_count, 0);
    groups_destroy(&f->groups);
    auth_destroy(&f->auth);
    assert_int_equal(f->io.timer_count, 0);
    api_destroy(&f->api);
    assert_int_equal(f->buddy.used, 0);
    io_timer_free(&f->io);
    metrics_destroy(f->metrics);
    el_buddy_destroy(&f->buddy);
    for (uint32_t i = 0; i < f->topic_count; i++) {
        free(f->topics[i].shard_of);
    }
}

struct topic *fake_add_topic(struct fake *f, const char *name, int32_t partitions)
{
    struct topic *topic = &f->topics[f->topic_count++];
    memset(topic, 0, sizeof *topic);
    memset(topic->id.bytes, (int)f->topic_count, sizeof topic->id.bytes);
    snprintf(topic->name, sizeof topic->name, "%s", name);
    topic->name_len = (uint16_t)strlen(name);
    topic->partition_count = partitions;
    topic->internal = strncmp(name, "__", 2) == 0;
    topic->shard_of = calloc((size_t)partitions, sizeof *topic->shard_of);
    topic_config_init(&topic->config);
    return topic;
}

int64_t fake_metric(struct fake *f, enum metric_id id)
{
    return metrics_get(f->metrics, id);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

struct fake_request *fake_request_bytes(struct fake *f, int api_key, int version, const void *body, size_t len)
{
    struct fake_request *r = calloc(1, sizeof *r);
    r->frame = malloc(len + 1);
    memcpy(r->frame, body, len);
    r->conn_id = 1;
    r->request = (struct request){
        .magic = REQUEST_MAGIC,
        .api = el_api_find(api_key),
        .api_key = (int16_t)api_key,
        .api_version = (int16_t)version,
        .body = {r->frame, len},
        .received_ns = f->io.now_ns,
    };
    el_list_init(&r->request.link);
    el_arena_init(&r->request.arena, &f->buddy, 0);
    el_arena_init(&r->reply_arena, NULL, 0);
    return r;
}

struct fake_request *fake_request(struct fake *f, int api_key, int version, const void *message)
{
    const struct el_api *row = el_api_find(api_key);
    assert_non_null(row);
    struct el_schema_size size;
    el_api_measure(row, EL_SIDE_REQUEST, version, message, SIZE_MAX, &size);
    uint8_t *body = malloc(size.len + 1);
    struct el_writer writer;
    el_writer_init(&writer, body, size.len);
    assert_int_equal(el_api_encode(row, EL_SIDE_REQUEST, version, message, &writer, NULL), 0);
    struct fake_request *r = fake_request_bytes(f, api_key, version, body, size.len);
    free(body);
    return r;
}

void fake_dispatch(struct fake *f, struct fake_request *r)
{
    api_dispatch(&f->api, &r->request);
}

struct fake_request *fake_send(struct fake *f, int api_key, int version, const void *message)
{
    struct fake_request *r = fake_request(f, api_key, version, message);
    fake_dispatch(f, r);
    return r;
}

void fake_response(struct fake_request *r, void *out)
{
    if (r->outcome != FAKE_REPLIED) {
        fail_msg("no answer: outcome %d, %s", r->outcome, r->reason);
    }
    struct el_reader reader;
    el_reader_init(&reader, r->reply, r->reply_len);
    assert_int_equal(el_api_decode(el_api_find(r->request.api_key), EL_SIDE_RESPONSE, r->request.api_version, &reader,
                                   &r->reply_arena, out),
                     0);
}

void fake_free(struct fake_request *r)
{
    assert_int_not_equal(r->outcome, FAKE_OPEN);
    if (r->held) {
        assert_true(r->unheld);
    }
    assert_true(el_list_empty(&r->request.link));
    el_arena_reset(&r->request.arena);
    el_arena_reset(&r->reply_arena);
    free(r->frame);
    free(r->reply);
    free(r);
}

static struct fake_request *of(struct request *request)
{
    return EL_CONTAINER(request, struct fake_request, request);
}

static void end(struct request *request, enum fake_outcome outcome)
{
    assert_int_equal(of(request)->outcome, FAKE_OPEN);
    of(request)->outcome = outcome;
}

void request_reply(struct request *request, const struct el_schema *schema, const void *response)
{
    request_reply_release(request, schema, response, NULL);
}

void request_reply_release(struct request *request, const struct el_schema *schema, const void *response,
                           request_fn release)
{
    if (request->on_reply != NULL) {
        request->on_reply(request, schema, (void *)(uintptr_t)response);
    }
    if (request->on_replied == NULL) {
        end(request, FAKE_REPLIED);
    }
    const struct el_api *row = el_api_find(request->api_key);
    assert_ptr_equal(row->schema[EL_SIDE_RESPONSE], schema);
    fake->replies++;
    fake->reads_held = fake->read_count - fake->read_release_count;
    struct el_schema_size size;
    el_api_measure(row, EL_SIDE_RESPONSE, request->api_version, response, SIZE_MAX, &size);
    struct fake_request *r = of(request);
    r->reply = malloc(size.len + 1);
    r->reply_len = size.len;
    struct el_writer writer;
    el_writer_init(&writer, r->reply, size.len);
    assert_int_equal(el_api_encode(row, EL_SIDE_RESPONSE, request->api_version, response, &writer, NULL), 0);
    if (request->on_replied != NULL) {
        assert_null(release);
        request->on_replied(request);
        return;
    }
    if (release != NULL && !r->held) {
        release(request);
    } else {
        r->release = release;
    }
}

void request_go(struct request *request)
{
    end(request, FAKE_REPLIED);
}

void request_withhold(struct request *request, const char *reason)
{
    request_close(request, reason);
}

void request_end_silent(struct request *request)
{
    end(request, FAKE_SILENT);
}

void request_refuse(struct request *request, const char *reason)
{
    fake->refusals++;
    request_close(request, reason);
}

void request_close(struct request *request, const char *reason)
{
    end(request, FAKE_REFUSED);
    snprintf(of(request)->reason, sizeof of(request)->reason, "%s", reason);
}

void request_mark(struct request *request, enum request_mark mark, uint64_t now_ns)
{
    request->mark_ns[mark] = now_ns;
}

void request_wait_begin(struct request *request)
{
    request->wait_from_ns = 1;
}

void request_wait_end(struct request *request)
{
    request->wait_from_ns = 0;
}

void request_hold(struct request *request)
{
    assert_int_equal(of(request)->outcome, FAKE_OPEN);
    of(request)->held = true;
}

void request_unhold(struct request *request)
{
    assert_true(of(request)->held);
    assert_false(of(request)->unheld);
    assert_int_not_equal(of(request)->outcome, FAKE_OPEN);
    of(request)->unheld = true;
    if (of(request)->release != NULL) {
        of(request)->release(request);
    }
}

uint64_t request_conn_id(const struct request *request)
{
    return EL_CONTAINER(request, struct fake_request, request)->conn_id;
}

uint32_t request_listener_index(const struct request *request)
{
    return 0;
}

const struct config_listener *request_listener(const struct request *request)
{
    return &fake->cfg.listener_table.list[0];
}

const char *request_principal(const struct request *request)
{
    return fake->principal;
}

int request_set_principal(struct request *request, const char *text)
{
    snprintf(fake->principal, sizeof fake->principal, "%s", text);
    return 0;
}

void **request_conn_user(struct request *request)
{
    uint64_t id = of(request)->conn_id;
    assert_true(id < FAKE_CONN_MAX);
    return &fake->conn_users[id];
}

void fake_close_conn(struct fake *f, uint64_t conn_id)
{
    void *user = f->conn_users[conn_id];
    f->conn_users[conn_id] = NULL;
    if (user != NULL) {
        api_conn_closed(&f->api, user);
    }
}

const char *request_peer(const struct request *request)
{
    return "127.0.0.1:1";
}

void request_caller(const struct request *request, struct auth_caller *caller)
{
    caller->host = el_slice_str("127.0.0.1");
    caller->principal = el_slice_str(fake->principal);
}

bool request_trusted(const struct request *request)
{
    bool expired = fake->proof.until_ns != 0 && fake->io.now_ns >= fake->proof.until_ns;
    return !config_protocol_has_sasl(request_listener(request)->protocol) || (fake->trusted && !expired);
}

int request_proved_by(const struct request *request)
{
    return fake->trusted ? fake->proof.mechanism : 0;
}

struct net_proof request_proof(const struct request *request)
{
    return fake->trusted ? fake->proof : (struct net_proof){0};
}

int request_trust(struct request *request, const char *principal, const struct net_proof *proof)
{
    fake->trusted = true;
    fake->proof = *proof;
    return request_set_principal(request, principal);
}

struct sasl *request_sasl(const struct request *request)
{
    return fake->sasl_under_way ? &fake->sasl : NULL;
}

int request_sasl_begin(struct request *request, int mechanism)
{
    fake->sasl_under_way = true;
    sasl_begin(&fake->sasl, mechanism);
    return 0;
}

void request_sasl_end(struct request *request)
{
    fake->sasl_under_way = false;
}

void request_throttle(struct request *request, uint32_t throttle_ms)
{
    request->throttle_ms = EL_MAX(request->throttle_ms, throttle_ms);
}

void request_is_last(struct request *request)
{
    of(request)->last = true;
}

bool request_abandoned(const struct request *request)
{
    return fake->gone;
}

/* --- storage ------------------------------------------------------------------------------------------------------ */

const char *store_cluster_id(const struct store *store)
{
    return CLUSTER_ID;
}

int32_t store_leader_epoch(const struct store *store)
{
    return LEADER_EPOCH;
}

struct io *store_shard_io(struct store_shard *shard)
{
    return &fake->io;
}

struct el_buddy *store_shard_buddy(struct store_shard *shard)
{
    return &fake->buddy;
}

struct metrics *store_shard_metrics(struct store_shard *shard)
{
    return fake->metrics;
}

uint32_t store_shard_index(const struct store_shard *shard)
{
    return 0;
}

struct el_clock *store_clock(struct store *store)
{
    static struct el_clock clock;
    atomic_store(&clock.estimate, fake->wall_ns);
    return &clock;
}

struct store *store_shard_store(struct store_shard *shard)
{
    return NULL;
}

const struct topic *store_topic_by_name(struct store_shard *shard, struct el_slice name)
{
    for (uint32_t i = 0; i < fake->topic_count; i++) {
        if (el_slice_eq(name, el_slice_str(fake->topics[i].name))) {
            return &fake->topics[i];
        }
    }
    return NULL;
}

const struct topic *store_topic_by_id(struct store_shard *shard, const struct el_uuid *id)
{
    for (uint32_t i = 0; i < fake->topic_count; i++) {
        if (el_uuid_eq(id, &fake->topics[i].id)) {
            return &fake->topics[i];
        }
    }
    return NULL;
}

uint32_t store_topic_count(struct store_shard *shard)
{
    return fake->topic_count;
}

const struct topic *store_topic_at(struct store_shard *shard, uint32_t index)
{
    return &fake->topics[index];
}

static void finish(struct store_op *op)
{
    if (fake->defer) {
        assert_true(fake->op_count < FAKE_OP_MAX);
        fake->ops[fake->op_count++] = op;
    } else {
        op->done(op);
    }
}

void fake_run_op(struct fake *f)
{
    assert_true(f->op_count > 0);
    struct store_op *op = f->ops[0];
    memmove(&f->ops[0], &f->ops[1], --f->op_count * sizeof f->ops[0]);
    op->done(op);
}

void store_append(struct store_shard *shard, struct append_op *op)
{
    assert_true(fake->append_count < FAKE_OP_MAX);
    op->base_offset = (int64_t)fake->append_count * 100;
    op->log_start_offset = 0;
    op->append_time_ms = -1;
    op->base.error = fake->append_error;
    fake->appends[fake->append_count++] = op;
    if (fake->on_append != NULL) {
        fake->on_append(op);
    }
    finish(&op->base);
}

static void read_entries(struct read_op *op)
{
    struct el_batch_info info;
    for (uint32_t pos = 0; pos < op->data_len; pos += info.len) {
        assert_int_equal(el_batch_header(op->data + pos, op->data_len - pos, &info), 0);
        op->entries[op->entry_count++] = (struct read_entry){
            .append_time_ns = fake->partition.append_time_ns + (uint64_t)info.base_offset,
            .leader_epoch = LEADER_EPOCH,
            .pos = pos,
            .len = info.len,
        };
    }
}

/* The batches from the one that holds the offset on, as many as fit. */
static const uint8_t *batch_of(int64_t offset, uint32_t *len)
{
    const struct fake_partition *p = &fake->partition;
    struct el_batch_info info;
    for (uint32_t pos = 0; pos < p->data_len; pos += info.len) {
        assert_int_equal(el_batch_header(p->data + pos, p->data_len - pos, &info), 0);
        if (info.base_offset + info.last_offset_delta >= offset) {
            *len = info.len;
            return p->data + pos;
        }
    }
    return NULL;
}

/* As the archive gives what is wanted: batches that lie next to one another, and each once. */
static void read_wanted(struct read_op *op)
{
    const uint8_t *last = NULL;
    uint32_t len = 0;
    op->data = el_buddy_alloc(&fake->buddy, op->wanted_bytes + op->wanted_count * sizeof *op->entries + 16);
    assert_non_null(op->data);
    assert_int_equal(op->wanted[0], op->offset);
    for (uint32_t i = 0; i < op->wanted_count; i++) {
        const uint8_t *batch = batch_of(op->wanted[i], &len);
        if (batch == NULL || batch == last) {
            continue;
        }
        if (op->data_len + len > op->wanted_bytes) {
            break;
        }
        memcpy(op->data + op->data_len, batch, len);
        op->data_len += len;
        last = batch;
    }
    op->entries = (struct read_entry *)(void *)(op->data + EL_ALIGN_UP(op->data_len, 16));
    read_entries(op);
}

static void read_data(struct read_op *op)
{
    if (fake->remote && op->wanted_count > 0) {
        read_wanted(op);
        return;
    }
    const struct fake_partition *p = &fake->partition;
    struct el_batch_info info;
    uint32_t start = UINT32_MAX, end_pos = 0;
    for (uint32_t pos = 0; pos < p->data_len; pos += info.len) {
        assert_int_equal(el_batch_header(p->data + pos, p->data_len - pos, &info), 0);
        int64_t last = info.base_offset + info.last_offset_delta;
        if (last < op->offset || last >= p->high_watermark) {
            continue;
        }
        uint32_t len_with = start == UINT32_MAX ? info.len : pos + info.len - start;
        bool first = start == UINT32_MAX && op->at_least_one;
        if (first && op->first_len_max > 0 && info.len > EL_MAX(op->first_len_max, op->max_bytes)) {
            op->first_len = info.len;
            break;
        }
        if (len_with > op->max_bytes && !first) {
            break;
        }
        start = start == UINT32_MAX ? pos : start;
        end_pos = pos + info.len;
        op->next_offset = last + 1;
    }
    if (start != UINT32_MAX) {
        op->data_len = end_pos - start;
        size_t entries_pos = EL_ALIGN_UP(op->data_len, 16);
        size_t room = op->want_entries ? (op->data_len / EL_BATCH_LEN_MIN + 1) * sizeof *op->entries : 0;
        op->data = el_buddy_alloc(&fake->buddy, entries_pos + room);
        op->memory_len = el_buddy_block_len(&fake->buddy, op->data);
        memcpy(op->data, p->data + start, op->data_len);
        op->entries = (struct read_entry *)(void *)(op->data + entries_pos);
        if (op->want_entries) {
            read_entries(op);
        }
    }
}

void store_read(struct store_shard *shard, struct read_op *op)
{
    fake->read_count++;
    op->base.error = 0;
    op->data = NULL;
    op->data_len = op->entry_count = op->first_len = 0;
    op->memory_len = 0;
    op->diverging_epoch = -1;
    op->next_offset = op->offset;
    const struct topic *topic = store_topic_by_id(shard, &op->topic_id);
    if (topic == NULL) {
        op->base.error = EVLOG_ERR_UNKNOWN_TOPIC;
    } else if (op->current_leader_epoch >= 0 && op->current_leader_epoch != LEADER_EPOCH) {
        op->base.error = op->current_leader_epoch < LEADER_EPOCH ? EVLOG_ERR_FENCED_EPOCH : EVLOG_ERR_UNKNOWN_EPOCH;
    } else if ((fake->read_len_max > 0 && op->max_bytes > fake->read_len_max) ||
               (fake->starved != 0 && op->partition == fake->starved)) {
        op->base.error = EVLOG_ERR_NO_MEMORY;
        op->high_watermark = fake->partition.high_watermark;
        op->log_start_offset = 0;
    } else if (op->offset < fake->partition.log_start || op->offset > fake->partition.high_watermark) {
        op->base.error = EVLOG_ERR_OFFSET_RANGE;
    } else {
        op->high_watermark = op->partition == 0 ? fake->partition.high_watermark : 0;
        op->log_start_offset = fake->partition.log_start;
        if (op->partition == 0) {
            read_data(op);
        }
    }
    finish(&op->base);
}

void store_read_release(struct read_op *op)
{
    fake->read_release_count++;
    op->memory_len = 0;
    el_buddy_free(&fake->buddy, op->data);
    op->data = NULL;
}

void store_watch(struct store_shard *shard, struct watch_op *op)
{
    assert_true(fake->watch_count < FAKE_OP_MAX);
    fake->watches[fake->watch_count++] = op;
}

void fake_fire(struct fake *f, uint32_t index, int error)
{
    assert_true(index < f->watch_count);
    struct watch_op *op = f->watches[index];
    memmove(&f->watches[index], &f->watches[index + 1], (f->watch_count - index - 1) * sizeof f->watches[0]);
    f->watch_count--;
    op->base.error = error;
    op->base.done(&op->base);
}

void store_watch_cancel(struct watch_op *op)
{
    fake->cancel_count++;
    if (fake->defer_cancel) {
        return;
    }
    for (uint32_t i = 0; i < fake->watch_count; i++) {
        if (fake->watches[i] == op) {
            fake_fire(fake, i, EVLOG_ERR_CLOSED);
            return;
        }
    }
    fail_msg("a watch is cancelled that is not under way");
}

void store_lookup(struct store_shard *shard, struct lookup_op *op)
{
    op->offset = op->by_append_time ? fake->young : op->timestamp == -2 ? 0 : fake->partition.high_watermark;
    op->found_timestamp = -1;
    op->leader_epoch = LEADER_EPOCH;
    op->base.error = fake->lookup_error;
    finish(&op->base);
}

void store_epoch_end(struct store_shard *shard, struct epoch_op *op)
{
    op->epoch = op->asked_epoch;
    op->end_offset = fake->partition.high_watermark;
    finish(&op->base);
}

void store_trim(struct store_shard *shard, struct trim_op *op)
{
    op->log_start_offset = op->offset == -1 ? fake->partition.high_watermark : op->offset;
    finish(&op->base);
}

void store_cut(struct store_shard *shard, struct cut_op *op)
{
    op->time_ns = op->time_ns == 0 ? fake->wall_ns : op->time_ns;
    op->base.error = op->time_ns > fake->wall_ns ? EVLOG_ERR_ARGUMENT : 0;
    for (uint32_t i = 0; i < op->result_count; i++) {
        op->results[i].end_offset = fake->cut_end > 0 ? fake->cut_end : fake->partition.high_watermark;
        op->results[i].error = i + 1 == fake->cut_gone ? EVLOG_ERR_UNKNOWN_TOPIC : 0;
    }
    finish(&op->base);
}

void store_producer_id(struct store_shard *shard, struct producer_id_op *op)
{
    op->producer_id = 4000;
    finish(&op->base);
}

void store_stat(struct store_shard *shard, struct stat_op *op)
{
    const struct topic *topic = store_topic_by_id(shard, &op->topic_id);
    op->base.error = topic == NULL ? EVLOG_ERR_UNKNOWN_TOPIC : 0;
    op->stored_len = 1000 + (uint64_t)op->partition;
    op->high_watermark = fake->partition.high_watermark;
    op->log_start_offset = fake->partition.log_start;
    finish(&op->base);
}

bool store_shard_space(const struct store_shard *shard, uint64_t *free_bytes, uint64_t *total_bytes)
{
    *free_bytes = fake->disk_total / 4;
    *total_bytes = fake->disk_total;
    return fake->disk_total > 0;
}

void store_topic_change(struct store_shard *shard, struct topic_op *op)
{
    assert_true(fake->change_count < FAKE_OP_MAX);
    fake->changes[fake->change_count++] = op;
    op->base.error = fake->change_error;
    if (op->config != NULL) {
        fake->change_config = *op->config;
    }
    if (fake->rival_count > 0 && op->verb == TOPIC_ALTER) {
        /* Somebody else was faster. */
        struct topic *topic = (struct topic *)(uintptr_t)store_topic_by_id(shard, &op->id);
        struct el_error err;
        assert_int_equal(topic_config_set(&topic->config, el_slice_str("segment.bytes"), el_slice_str("1048576"), &err),
                         0);
        fake->rival_count--;
    }
    if (op->expected != NULL) {
        const struct topic *topic = store_topic_by_id(shard, &op->id);
        op->base.error = topic_config_equal(op->expected, &topic->config) ? op->base.error : EVLOG_ERR_AGAIN;
    }
    if (op->base.error == 0 && op->verb == TOPIC_CREATE && !op->validate_only) {
        char name[EL_TOPIC_NAME_MAX + 1];
        snprintf(name, sizeof name, "%.*s", (int)op->name.len, (const char *)op->name.data);
        op->id = fake_add_topic(fake, name, op->partition_count)->id;
    }
    finish(&op->base);
}
