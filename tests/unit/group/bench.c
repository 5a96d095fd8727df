/* SPDX-License-Identifier: Apache-2.0
 *
 * See bench.h.
 */
#include "bench.h"

#include <core/logger.h>
#include <core/rng.h>
#include <stdio.h>
#include <stdlib.h>

#define WALL_NS 1700000000000000000u
#define NS_PER_MS 1000000u

struct bench *bench;

/* --- io ----------------------------------------------------------------------------------------------------------- */

static void wake(struct io *io)
{
    (void)io;
}

static void random_fill(struct io *io, void *buf, size_t len)
{
    struct el_rng rng;
    (void)io;
    el_rng_seed(&rng, ++bench->random);
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)buf)[i] = (uint8_t)el_rng_next(&rng);
    }
}

static const struct io_ops ops = {.wake = wake, .random = random_fill};

void bench_run(struct bench *b)
{
    bool busy = true;
    while (busy) {
        busy = false;
        for (uint32_t i = 0; i < BENCH_SHARDS; i++) {
            struct io *io = &b->shards[i].io;
            io->now_ns = (1000 + b->now_ms) * NS_PER_MS;
            busy = busy || !el_queue_empty(&io->inbox) || io_timer_next(io) <= io->now_ns;
            io_inbox_run(io);
            io_timer_run(io);
        }
    }
}

void bench_ms(struct bench *b, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        b->now_ms++;
        atomic_store(&b->clock.estimate, WALL_NS + b->now_ms * NS_PER_MS);
        bench_run(b);
    }
}

/* --- storage ------------------------------------------------------------------------------------------------------ */

struct io *store_shard_io(struct store_shard *shard)
{
    return &shard->io;
}
struct el_buddy *store_shard_buddy(struct store_shard *shard)
{
    return &shard->buddy;
}
struct metrics *store_shard_metrics(struct store_shard *shard)
{
    return shard->metrics;
}
uint32_t store_shard_index(const struct store_shard *shard)
{
    return shard->index;
}
struct store *store_shard_store(struct store_shard *shard)
{
    (void)shard;
    return NULL;
}
struct el_clock *store_clock(struct store *store)
{
    (void)store;
    return &bench->clock;
}

const struct topic *store_topic_by_name(struct store_shard *shard, struct el_slice name)
{
    (void)shard;
    for (uint32_t i = 0; i < bench->topic_count; i++) {
        if (el_slice_eq(name, el_slice_str(bench->topics[i].name))) {
            return &bench->topics[i];
        }
    }
    return NULL;
}

const struct topic *store_topic_by_id(struct store_shard *shard, const struct el_uuid *id)
{
    (void)shard;
    for (uint32_t i = 0; i < bench->topic_count; i++) {
        if (el_uuid_eq(id, &bench->topics[i].id) && bench->topics[i].name[0] != 0) {
            return &bench->topics[i];
        }
    }
    return NULL;
}

struct topic *bench_topic(struct bench *b, const char *name, int32_t partitions)
{
    struct topic *topic = &b->topics[b->topic_count++];
    memset(topic, 0, sizeof *topic);
    memset(topic->id.bytes, (int)b->topic_count, sizeof topic->id.bytes);
    snprintf(topic->name, sizeof topic->name, "%s", name);
    topic->name_len = (uint16_t)strlen(name);
    topic->partition_count = partitions;
    topic->shard_of = calloc((size_t)partitions, sizeof *topic->shard_of);
    for (int32_t i = 0; i < partitions; i++) {
        topic->shard_of[i] = (uint16_t)(i % BENCH_SHARDS);
    }
    return topic;
}

void bench_topic_delete(struct bench *b, const char *name)
{
    for (uint32_t i = 0; i < b->topic_count; i++) {
        if (strcmp(b->topics[i].name, name) == 0) {
            b->topics[i].name[0] = 0;
        }
    }
}

void store_topic_change(struct store_shard *shard, struct topic_op *op)
{
    (void)shard;
    assert_int_equal(op->verb, TOPIC_CREATE);
    assert_true(op->internal);
    op->base.error = bench->change_error;
    if (op->base.error == 0) {
        bench_topic(bench, GROUPS_TOPIC, op->partition_count);
    }
    op->base.done(&op->base);
}

void store_append(struct store_shard *shard, struct append_op *op)
{
    struct bench *b = bench;
    assert_true(b->batch_count < BENCH_BATCHES_MAX);
    assert_int_equal(op->partition % BENCH_SHARDS, shard->index);
    assert_int_equal(el_batch_verify(op->batch, op->batch_len), 0);
    struct bench_batch *batch = &b->batches[b->batch_count++];
    *batch = (struct bench_batch){.data = malloc(op->batch_len), .len = op->batch_len, .partition = op->partition};
    memcpy(batch->data, op->batch, op->batch_len);
    el_batch_assign(batch->data, b->next_offset[op->partition], 0);
    b->next_offset[op->partition] += op->info.last_offset_delta + 1;
    op->sequence = b->batch_count - 1;
    assert_true(b->append_count < BENCH_OPS_MAX);
    b->appends[b->append_count++] = op;
    if (!b->defer) {
        bench_durable(b);
    }
}

void bench_durable(struct bench *b)
{
    assert_true(b->append_count > 0);
    struct append_op *op = b->appends[0];
    memmove(b->appends, b->appends + 1, --b->append_count * sizeof b->appends[0]);
    b->batches[op->sequence].durable = b->append_error == 0;
    op->base.error = b->append_error;
    op->base.done(&op->base);
    bench_run(b);
}

void store_lookup(struct store_shard *shard, struct lookup_op *op)
{
    (void)shard;
    assert_int_equal(op->timestamp, -2);
    op->base.error = 0;
    op->offset = 0;
    op->base.done(&op->base);
}

/* One batch each time. */
void store_read(struct store_shard *shard, struct read_op *op)
{
    op->base.error = bench->read_error;
    op->high_watermark = bench->next_offset[op->partition];
    op->next_offset = op->offset;
    for (uint32_t i = 0; i < bench->batch_count && op->base.error == 0; i++) {
        const struct bench_batch *batch = &bench->batches[i];
        if (batch->partition == op->partition && el_batch_last_offset(batch->data) >= op->offset) {
            op->data = el_buddy_alloc(&shard->buddy, batch->len);
            op->data_len = batch->len;
            memcpy(op->data, batch->data, batch->len);
            op->next_offset = el_batch_last_offset(batch->data) + 1;
            break;
        }
    }
    op->private_[0] = &shard->buddy;
    op->base.done(&op->base);
}

void store_read_release(struct read_op *op)
{
    el_buddy_free(op->private_[0], op->data);
    op->data = NULL;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static int subscribes(struct el_slice metadata, struct el_slice topic)
{
    return memmem(metadata.data, metadata.len, topic.data, topic.len) != NULL;
}

static void groups_up(struct bench *b)
{
    for (uint32_t i = 0; i < BENCH_SHARDS; i++) {
        b->peers[i] = &b->groups[i];
        groups_init(&b->groups[i], &b->shards[i], b->peers, &b->cfg);
    }
    for (uint32_t i = 0; i < BENCH_SHARDS; i++) {
        groups_start(&b->groups[i]);
    }
    bench_run(b);
}

void bench_begin(struct bench *b)
{
    memset(b, 0, sizeof *b);
    bench = b;
    el_log_setup(EL_LOG_ERROR, false);
    b->cfg = (struct groups_config){
        .session_min_ms = 100,
        .session_max_ms = 10000,
        .size_max = 4,
        .metadata_len_max = 10,
        .retention_ms = 100000,
        .check_interval_ms = 5000,
        .partition_count = BENCH_PARTITIONS,
        .memory_max = 8u << 20,
        .subscribes = subscribes,
    };
    for (uint32_t i = 0; i < BENCH_SHARDS; i++) {
        struct store_shard *shard = &b->shards[i];
        shard->index = i;
        shard->io.ops = &ops;
        el_queue_init(&shard->io.inbox);
        shard->io.now_ns = 1000ull * NS_PER_MS;
        assert_int_equal(el_buddy_init(&shard->buddy, 64u << 20, NULL), 0);
        assert_int_equal(metrics_create(&shard->metrics), 0);
    }
    atomic_store(&b->clock.estimate, WALL_NS);
    groups_up(b);
}

static void groups_down(struct bench *b)
{
    for (uint32_t i = 0; i < BENCH_SHARDS; i++) {
        groups_stop(&b->groups[i]);
    }
    b->append_error = b->append_count > 0 ? EVLOG_ERR_CLOSED : 0;
    while (b->append_count > 0) {
        bench_durable(b);
    }
    b->append_error = 0;
    bench_run(b);
    for (uint32_t i = 0; i < BENCH_SHARDS; i++) {
        groups_destroy(&b->groups[i]);
        assert_int_equal(b->shards[i].buddy.used, 0);
        assert_int_equal(b->shards[i].io.timer_count, 0);
    }
}

void bench_restart(struct bench *b)
{
    uint32_t kept = 0;
    groups_down(b);
    memset(b->next_offset, 0, sizeof b->next_offset);
    for (uint32_t i = 0; i < b->batch_count; i++) {
        struct bench_batch batch = b->batches[i];
        if (!batch.durable) {
            free(batch.data);
            continue;
        }
        el_batch_assign(batch.data, b->next_offset[batch.partition], 0);
        b->next_offset[batch.partition] += el_batch_last_offset_delta(batch.data) + 1;
        b->batches[kept++] = batch;
    }
    b->batch_count = kept;
    b->defer = false;
    groups_up(b);
}

void bench_end(struct bench *b)
{
    groups_down(b);
    for (uint32_t i = 0; i < b->batch_count; i++) {
        free(b->batches[i].data);
    }
    for (uint32_t i = 0; i < b->topic_count; i++) {
        free(b->topics[i].shard_of);
    }
    for (uint32_t i = 0; i < BENCH_SHARDS; i++) {
        io_timer_free(&b->shards[i].io);
        metrics_destroy(b->shards[i].metrics);
        el_buddy_destroy(&b->shards[i].buddy);
    }
}

int64_t bench_metric(const struct bench *b, enum metric_id id)
{
    return metrics_get(b->shards[0].metrics, id) + metrics_get(b->shards[1].metrics, id);
}

/* --- clients ------------------------------------------------------------------------------------------------------ */

/* Everybody's connection is on shard 0. */
static struct groups *near(void)
{
    return &bench->groups[0];
}

static void on_flag(struct group_op *op)
{
    *(bool *)op->arg = false;
}

static bool waits;
static void begin(struct group_op *op, const char *group)
{
    op->group_id = el_slice_str(group);
    op->done = on_flag;
    op->arg = &waits;
    waits = true;
}

static void end(void)
{
    bench_run(bench);
    assert_false(waits);
}

static struct el_slice text(const char *t)
{
    return t[0] == 0 ? (struct el_slice){0} : el_slice_str(t);
}

void caller_init(struct caller *c)
{
    memset(c, 0, sizeof *c);
    c->generation = -1;
    c->protocols[0] = (struct group_protocol){el_slice_str("range"), el_slice_str("topics: events")};
    c->protocol_count = 1;
    c->session_ms = 1000;
    c->rebalance_ms = 2000;
    c->type = "consumer";
}

static void copy_text(char *out, size_t room, struct el_slice in)
{
    snprintf(out, room, "%.*s", (int)in.len, in.len == 0 ? "" : (const char *)in.data);
}

static void on_join(struct group_op *op)
{
    struct caller *c = op->arg;
    c->joining = false;
    c->error = op->error;
    c->skip = c->join.skip;
    c->member_count = c->join.member_count;
    copy_text(c->leader, sizeof c->leader, c->join.leader_id);
    copy_text(c->protocol, sizeof c->protocol, c->join.protocol);
    for (uint32_t i = 0; i < c->member_count && i < 8; i++) {
        copy_text(c->members[i], sizeof c->members[i], c->join.members[i].id);
    }
    if (c->join.member_id_out.data != NULL) {
        copy_text(c->id, sizeof c->id, c->join.member_id_out);
    }
    if (op->error == 0) {
        c->generation = c->join.generation;
    }
    group_op_release(op);
}

void caller_join(struct caller *c, const char *group)
{
    assert_false(c->joining);
    memset(&c->join, 0, sizeof c->join);
    c->join.base.group_id = el_slice_str(group);
    c->join.base.done = on_join;
    c->join.base.arg = c;
    c->join.member_id = el_slice_str(c->id);
    c->join.instance_id = text(c->instance);
    c->join.client_id = el_slice_str("client");
    c->join.host = el_slice_str("/127.0.0.1");
    c->join.protocol_type = el_slice_str(c->type);
    c->join.protocols = c->protocols;
    c->join.protocol_count = c->protocol_count;
    c->join.session_ms = c->session_ms;
    c->join.rebalance_ms = c->rebalance_ms;
    c->join.two_steps = c->two_steps;
    c->joining = true;
    groups_join(near(), &c->join);
    bench_run(bench);
}

static void on_sync(struct group_op *op)
{
    struct caller *c = op->arg;
    c->syncing = false;
    copy_text(c->assignment, sizeof c->assignment, c->sync.assignment);
    group_op_release(op);
}

static void sync_with(struct caller *c, const char *group, uint32_t assignment_count)
{
    assert_false(c->syncing);
    memset(&c->sync, 0, sizeof c->sync);
    c->sync.base.group_id = el_slice_str(group);
    c->sync.base.done = on_sync;
    c->sync.base.arg = c;
    c->sync.member_id = el_slice_str(c->id);
    c->sync.instance_id = text(c->instance);
    c->sync.generation = c->generation;
    c->sync.protocol_type = el_slice_str(c->sync_type);
    c->sync.protocol = el_slice_str(c->sync_protocol);
    c->sync.assignments = c->assignments;
    c->sync.assignment_count = assignment_count;
    c->syncing = true;
    groups_sync(near(), &c->sync);
    bench_run(bench);
}

void caller_sync(struct caller *c, const char *group)
{
    sync_with(c, group, 0);
}

void caller_assign(struct caller *c, const char *group, const char *prefix)
{
    static char texts[8][32];
    assert_true(c->member_count <= 8);
    for (uint32_t i = 0; i < c->member_count; i++) {
        snprintf(texts[i], sizeof texts[i], "%s%u", prefix, i);
        c->assignments[i] = (struct group_assignment){el_slice_str(c->members[i]), el_slice_str(texts[i])};
    }
    sync_with(c, group, c->member_count);
}

void caller_alone(struct caller *c, const char *group)
{
    caller_join(c, group);
    assert_false(c->joining);
    assert_int_equal(c->error, 0);
    caller_assign(c, group, "part");
}

int bench_heartbeat(const struct caller *c, const char *group)
{
    struct heartbeat_op op = {
        .member_id = el_slice_str(c->id), .instance_id = text(c->instance), .generation = c->generation};
    begin(&op.base, group);
    groups_heartbeat(near(), &op);
    end();
    return op.base.error;
}

int bench_leave(const struct caller *c, const char *group)
{
    struct leave_entry entry = {.member_id = el_slice_str(c->id), .instance_id = text(c->instance)};
    struct leave_op op = {.entries = &entry, .entry_count = 1};
    begin(&op.base, group);
    groups_leave(near(), &op);
    end();
    assert_int_equal(op.base.error, 0);
    return entry.error;
}

int bench_commit(const struct caller *c, const char *group, const struct topic *topic, int32_t partition,
                 int64_t offset)
{
    struct commit_entry entry = {.topic_id = topic->id, .partition = partition, .offset = offset, .leader_epoch = 3};
    struct commit_op op = {.entries = &entry, .entry_count = 1, .generation = -1, .member_id = el_slice_str("")};
    if (c != NULL) {
        op.member_id = el_slice_str(c->id);
        op.instance_id = text(c->instance);
        op.generation = c->generation;
    }
    begin(&op.base, group);
    groups_commit(near(), &op);
    end();
    return op.base.error != 0 ? op.base.error : entry.error;
}

int64_t bench_offset(const char *group, const struct topic *topic, int32_t partition)
{
    struct offset_view view = {.topic_id = topic->id, .partition = partition};
    struct offsets_op op = {.views = &view, .view_count = 1};
    begin(&op.base, group);
    groups_offsets(near(), &op);
    end();
    assert_int_equal(op.base.error, 0);
    group_op_release(&op.base);
    return view.offset;
}

static struct describe_op described(const char *group)
{
    struct describe_op op;
    memset(&op, 0, sizeof op);
    begin(&op.base, group);
    groups_describe(near(), &op);
    end();
    struct describe_op out = op; /* by value for the numbers; the block goes */
    group_op_release(&op.base);
    bench_run(bench);
    return out;
}

const char *bench_state(const char *group)
{
    return described(group).state;
}

uint32_t bench_members(const char *group)
{
    return described(group).member_count;
}

int bench_delete(const char *group)
{
    struct delete_group_op op;
    memset(&op, 0, sizeof op);
    begin(&op.base, group);
    groups_delete(near(), &op);
    end();
    return op.base.error;
}
