/* SPDX-License-Identifier: Apache-2.0
 *
 * See bench.h.
 */
#include "bench.h"

#include <stdio.h>

struct bench *bench;

/* --- life --------------------------------------------------------------------------------------------------------- */

static int subscribes(struct el_slice metadata, struct el_slice topic)
{
    return memmem(metadata.data, metadata.len, topic.data, topic.len) != NULL;
}

static void groups_up(struct bench *b)
{
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        b->peers[i] = &b->groups[i];
        groups_init(&b->groups[i], &b->store.shards[i], b->peers, &b->cfg);
    }
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        groups_start(&b->groups[i]);
    }
    fake_store_run(&b->store);
}

void bench_begin(struct bench *b)
{
    memset(b, 0, sizeof *b);
    bench = b;
    fake_store_begin(&b->store);
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
    groups_up(b);
}

static void groups_down(struct bench *b)
{
    struct fake_store *fs = &b->store;
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        groups_stop(&b->groups[i]);
    }
    fs->append_error = fs->append_count > 0 ? EVLOG_ERR_CLOSED : 0;
    while (fs->append_count > 0) {
        fake_store_durable(fs);
    }
    fs->append_error = 0;
    fake_store_run(fs);
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        groups_destroy(&b->groups[i]);
        assert_int_equal(fs->shards[i].buddy.used, 0);
        assert_int_equal(fs->shards[i].io.timer_count, 0);
    }
}

void bench_restart(struct bench *b)
{
    groups_down(b);
    fake_store_forget(&b->store);
    groups_up(b);
}

void bench_end(struct bench *b)
{
    groups_down(b);
    fake_store_end(&b->store);
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
    fake_store_run(&bench->store);
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
    fake_store_run(&bench->store);
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
    fake_store_run(&bench->store);
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
    fake_store_run(&bench->store);
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
