/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog-sim --mode archive: the real store and the archiver on a simulated machine, with an object store that fails,
 * refuses and loses its answers.
 *
 * A seed: a node with 1 to 3 shards, topics that come and go, some of them acknowledged by the archive only, some with
 * so little retention that the archive is all that is left; clients that append batches, operators who delete records,
 * ask for rounds and for segments; several lives, each ended by a crash at any call of the disk or of the object store,
 * a process that just ends or a clean stop. An auditor looks at each root as it appears (archive_bucket.h); between
 * lives and at the end everything in the archive is compared with the logs and with what was acknowledged.
 */
#include "archive_main.h"

#include "../lib/test_keys.h"
#include "archive_bucket.h"
#include "archive_waits.h"
#include "boot.h"
#include <archive/archive.h>
#include <core/alloc.h>
#include <core/assert.h>
#include <core/hash.h>
#include <stdio.h>
#include <stdlib.h>
#include <storage/tier.h>

#define TOPICS_MAX 4u
#define PARTITIONS_MAX 3
#define CLIENTS_MAX 6u
#define BATCH_RECORDS_MAX 4u
#define VALUE_MAX 3000u
#define BUF_LEN 16384u
#define STOP_STEPS_MAX 200000u
#define CLIENTS_NS 5000000u /* clients do something so often */

struct acked {
    int64_t offset;
    uint32_t crc;   /* of the batch */
    uint32_t count; /* of records */
    uint64_t append_time_ns;
};

struct life_part {
    struct acked *acked; /* [acked_count] */
    uint32_t acked_count, acked_room;
    int64_t trimmed; /* operators asked to delete what is below */
};

struct life_topic {
    struct el_uuid id;
    bool there;
    bool awaited; /* evlog.durability=store or both */
    int32_t partition_count;
    struct life_part parts[PARTITIONS_MAX];
};

struct archive_life;
struct client {
    struct archive_life *l;
    struct append_op op;
    uint8_t buf[BUF_LEN];
    uint32_t len, topic;
    bool busy;
};

struct archive_life {
    struct plan plan;
    struct world w;
    struct boot boot;
    struct bucket bucket;
    struct el_private_key *keys[EL_SIGN_KEYS_MAX];
    size_t key_count;
    struct archive *archive; /* NULL while down */
    struct archive_config cfg;
    struct life_topic topics[TOPICS_MAX];
    uint32_t topic_count; /* places used */
    struct client clients[CLIENTS_MAX];
    uint32_t client_count;
    uint64_t names, acks, awaited_acks, numbers;
    bool serving, stopping_store;
    bool trims, deletes;
    struct archive_waits waits[EL_SHARD_COUNT_MAX]; /* of each shard one */
    uint64_t lives, steps_longest;
};

/* --- the node ----------------------------------------------------------------------------------------------------- */

static struct archive_life *of(const struct world *w)
{
    return w->upper_arg;
}

static int up(struct world *w, struct el_error *err)
{
    struct archive_life *l = of(w);
    l->stopping_store = false;
    memset(l->waits, 0, sizeof(l->waits));
    bucket_reopen(&l->bucket);
    l->bucket.cluster = store_cluster_uuid(w->store);
    int code = archive_create(&l->cfg, w->store, &l->archive, err);
    for (uint32_t i = 0; i < w->shard_count && code == 0; i++) {
        store_shard_start(store_shard_at(w->store, i));
        archiver_start(archive_shard(l->archive, i));
    }
    return code;
}

static uint64_t turn(struct world *w, uint32_t shard)
{
    el_alloc_seal(true);
    io_step(w->ios[shard], 0);
    uint64_t wish_ns = sim_disk_crashed(w->disk) ? 0 : store_shard_tick(store_shard_at(w->store, shard));
    el_alloc_seal(false);
    return wish_ns;
}

static bool idle(const struct archive_life *l)
{
    for (uint32_t i = 0; i < l->w.shard_count; i++) {
        if (!archiver_idle(archive_shard(l->archive, i))) {
            return false;
        }
    }
    return true;
}

static void on_stopped(void *arg)
{
    struct world *w = arg;
    w->stopped_count++;
}

static bool stop(struct world *w)
{
    struct archive_life *l = of(w);
    l->serving = false;
    uint64_t deadline_ns = w->clock.now_ns + world_below(w, 20000000000);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        archiver_stop(archive_shard(l->archive, i), deadline_ns);
    }
    for (uint32_t i = 0; i < STOP_STEPS_MAX && !idle(l); i++) {
        if (!world_step(w)) {
            return false;
        }
    }
    if (!idle(l)) {
        world_violation(w, "stuck: the archiver did not stop");
        return false;
    }
    l->stopping_store = true;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        store_shard_stop(store_shard_at(w->store, i), on_stopped, w);
    }
    return true;
}

static void down(struct world *w)
{
    struct archive_life *l = of(w);
    l->serving = false;
    archive_destroy(l->archive);
    l->archive = NULL;
    for (uint32_t i = 0; i < l->client_count; i++) {
        l->clients[i].busy = false;
    }
}

static void client_send(struct client *c);

static void step(struct world *w)
{
    struct archive_life *l = of(w);
    for (uint32_t i = 0; i < l->client_count && l->serving; i++) {
        if (!l->clients[i].busy && world_chance(w, 200000)) {
            client_send(&l->clients[i]);
        }
    }
}

static uint64_t next(const struct world *w)
{
    return of(w)->serving ? w->clock.now_ns + CLIENTS_NS : UINT64_MAX;
}

static const struct world_upper archive_upper =
    {.up = up, .stop = stop, .down = down, .turn = turn, .step = step, .next = next};

/* --- clients ------------------------------------------------------------------------------------------------------ */

static void acked_add(struct life_part *p, struct acked acked)
{
    if (p->acked_count == p->acked_room) {
        p->acked_room = EL_MAX(p->acked_room * 2, 64u);
        p->acked = realloc(p->acked, p->acked_room * sizeof *p->acked);
        EL_ASSERT(p->acked != NULL);
    }
    p->acked[p->acked_count++] = acked;
}

static void client_on_done(struct store_op *base)
{
    struct client *c = base->arg;
    struct archive_life *l = c->l;
    struct life_topic *t = &l->topics[c->topic];
    c->busy = false;
    if (base->error == EVLOG_ERR_CONFLICT) {
        world_violation(&l->w, "an append was refused, for the archive is said to have more than the disk");
    }
    if (base->error != 0 || !el_uuid_eq(&t->id, &c->op.topic_id)) {
        return;
    }
    int64_t end = c->op.base_offset + c->op.info.last_offset_delta + 1;
    acked_add(&t->parts[c->op.partition], (struct acked){.offset = c->op.base_offset,
                                                         .crc = c->op.info.crc,
                                                         .count = (uint32_t)c->op.info.record_count,
                                                         .append_time_ns = c->op.append_time_ns});
    l->acks++;
    if (t->awaited) {
        l->awaited_acks++;
        if (bucket_end(&l->bucket, &t->id, c->op.partition) < end) {
            world_violation(&l->w, "offset %lld of partition %d was acknowledged by the archive, which ends at %lld",
                            (long long)end - 1, c->op.partition,
                            (long long)bucket_end(&l->bucket, &t->id, c->op.partition));
        }
    }
}

static void batch_build(struct client *c)
{
    static uint8_t value[VALUE_MAX];
    struct world *w = &c->l->w;
    struct el_batch_builder builder;
    struct el_slice batch;
    uint64_t count = 1 + world_below(w, BATCH_RECORDS_MAX);
    size_t value_max = world_chance(w, 50000) ? VALUE_MAX : 200;
    el_batch_builder_init(&builder, BUF_LEN);
    for (uint64_t i = 0; i < count; i++) {
        size_t len = 8 + world_below(w, value_max - 8);
        el_put_le64(value, ++c->l->numbers);
        struct el_record_body body = {.value = el_slice_of(value, len)};
        int code = el_batch_builder_add(&builder, 1000, &body);
        EL_ASSERT(code == 0);
    }
    int code = el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch);
    EL_ASSERT(code == 0);
    EL_ASSERT(batch.len <= sizeof c->buf);
    memcpy(c->buf, batch.data, batch.len);
    c->len = (uint32_t)batch.len;
    el_batch_builder_destroy(&builder);
}

static void client_send(struct client *c)
{
    static uint8_t scratch[64u << 10];
    struct archive_life *l = c->l;
    c->topic = (uint32_t)world_below(&l->w, TOPICS_MAX);
    const struct life_topic *t = &l->topics[c->topic];
    if (!t->there) {
        return;
    }
    batch_build(c);
    c->op = (struct append_op){.base = {.done = client_on_done, .arg = c},
                               .topic_id = t->id,
                               .partition = (int32_t)world_below(&l->w, (uint64_t)t->partition_count),
                               .batch = c->buf,
                               .batch_len = c->len};
    int code = el_batch_check(c->buf, c->len, EL_BATCH_LEN_MAX, scratch, sizeof scratch, &c->op.info);
    EL_ASSERT(code == 0);
    c->busy = true;
    store_append(store_shard_at(l->w.store, (uint32_t)world_below(&l->w, l->w.shard_count)), &c->op);
}

/* Nobody waits for an answer any more. Those of the archive come when it is there. returns false: crashed, or stuck */
static bool clients_rest(struct archive_life *l)
{
    bool waits = true;
    l->serving = false;
    for (uint32_t i = 0; i < STOP_STEPS_MAX && waits; i++) {
        waits = false;
        for (uint32_t k = 0; k < l->client_count; k++) {
            waits = waits || l->clients[k].busy;
        }
        if (waits && !world_step(&l->w)) {
            return false;
        }
        if (i == STOP_STEPS_MAX / 2 && l->w.disk_bounded) {
            world_space_returns(&l->w);
        }
    }
    if (waits) {
        world_violation(&l->w, "stuck: an append is never answered");
    }
    return !waits;
}

/* --- operators ---------------------------------------------------------------------------------------------------- */

static bool flag;

static void on_op(struct store_op *op)
{
    (void)op;
    flag = true;
}

static struct store_shard *ask(struct archive_life *l, struct store_op *op)
{
    flag = false;
    op->done = on_op;
    return store_shard_at(l->w.store, 0);
}

static int told(struct archive_life *l, const struct store_op *op)
{
    return world_wait(&l->w, &flag) ? op->error : EVLOG_ERR_CRASHED;
}

static void set(struct topic_config *config, const char *name, const char *value)
{
    int code = topic_config_set(config, el_slice_str(name), el_slice_str(value), NULL);
    EL_ASSERT(code == 0);
}

static bool topic_make(struct archive_life *l, uint32_t index)
{
    static struct topic_op op;
    struct life_topic *t = &l->topics[index];
    struct topic_config config;
    char name[16];
    topic_config_init(&config);
    for (int32_t i = 0; i < PARTITIONS_MAX; i++) {
        free(t->parts[i].acked);
    }
    *t = (struct life_topic){.partition_count = 1 + (int32_t)world_below(&l->w, PARTITIONS_MAX),
                             .awaited = world_chance(&l->w, 300000)};
    if (t->awaited) {
        set(&config, "evlog.durability", world_chance(&l->w, 500000) ? "store" : "both");
    }
    if (world_chance(&l->w, 400000)) {
        set(&config, "segment.bytes", "65536");
        set(&config, "retention.bytes", "100000");
    }
    snprintf(name, sizeof name, "t%llu", (unsigned long long)++l->names);
    op = (struct topic_op){
        .verb = TOPIC_CREATE, .name = el_slice_str(name), .partition_count = t->partition_count, .config = &config};
    store_topic_change(ask(l, &op.base), &op);
    int code = told(l, &op.base);
    t->id = op.id;
    t->there = code == 0;
    return code != EVLOG_ERR_CRASHED;
}

static bool topic_delete(struct archive_life *l, uint32_t index)
{
    static struct topic_op op;
    struct life_topic *t = &l->topics[index];
    if (!t->there) {
        return true;
    }
    t->there = false;
    op = (struct topic_op){.verb = TOPIC_DELETE, .id = t->id};
    store_topic_change(ask(l, &op.base), &op);
    return told(l, &op.base) != EVLOG_ERR_CRASHED;
}

static bool trim(struct archive_life *l, uint32_t index)
{
    static struct trim_op op;
    struct life_topic *t = &l->topics[index];
    if (!t->there) {
        return true;
    }
    int32_t partition = (int32_t)world_below(&l->w, (uint64_t)t->partition_count);
    struct life_part *p = &t->parts[partition];
    int64_t offset = -1;
    if (p->acked_count > 0 && world_chance(&l->w, 800000)) {
        offset = p->acked[world_below(&l->w, p->acked_count)].offset;
    }
    op = (struct trim_op){.topic_id = t->id, .partition = partition, .offset = offset};
    p->trimmed = offset < 0 ? INT64_MAX : EL_MAX(p->trimmed, offset); /* also when nobody is told of it */
    store_trim(ask(l, &op.base), &op);
    int code = told(l, &op.base);
    if (code == 0 && p->trimmed == INT64_MAX) {
        p->trimmed = op.log_start_offset;
    }
    return code != EVLOG_ERR_CRASHED;
}

/* --- looks -------------------------------------------------------------------------------------------------------- */

/* Nothing left the disk that the archive does not have, unless an operator wanted it. */
static void check_floors(struct archive_life *l)
{
    for (uint32_t i = 0; i < l->w.shard_count; i++) {
        struct store_shard *shard = store_shard_at(l->w.store, i);
        size_t cursor = 0;
        for (struct partition *part; (part = store_tier_next(shard, &cursor)) != NULL;) {
            struct tier_view view;
            int64_t allowed = 0;
            store_tier_view(part, &view);
            for (uint32_t k = 0; k < TOPICS_MAX; k++) {
                if (el_uuid_eq(&l->topics[k].id, &view.topic_id) && view.partition < PARTITIONS_MAX) {
                    allowed = l->topics[k].parts[view.partition].trimmed;
                }
            }
            allowed = EL_MAX(allowed, bucket_end(&l->bucket, &view.topic_id, view.partition));
            if (view.local_start > allowed || view.log_start > allowed) {
                world_violation(&l->w, "partition %d begins at offset %lld (local %lld), the archive ends at %lld",
                                view.partition, (long long)view.log_start, (long long)view.local_start,
                                (long long)allowed);
            }
        }
    }
}

struct compare {
    struct archive_life *l;
    const struct life_part *part;
    uint32_t index;
};

static int by_offset(const void *left, const void *right)
{
    const struct acked *a = left, *b = right;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Acknowledged batches are in the archive as they were sent, but those that were deleted before. */
static bool compare_batch(void *arg, const struct el_pack_batch *row, const uint8_t *batch)
{
    struct compare *c = arg;
    const struct life_part *p = c->part;
    while (c->index < p->acked_count && p->acked[c->index].offset < row->leaf.first_offset) {
        const struct acked *a = &p->acked[c->index++];
        if (a->offset + a->count > p->trimmed) {
            world_violation(&c->l->w, "offset %lld was acknowledged and is not in the archive, which goes on behind it",
                            (long long)a->offset);
            return false;
        }
    }
    if (c->index == p->acked_count || p->acked[c->index].offset != row->leaf.first_offset) {
        return true; /* nobody was told of it */
    }
    const struct acked *a = &p->acked[c->index++];
    if (el_get_be32(batch + EL_BATCH_POS_CRC) != a->crc || row->leaf.record_count != a->count) {
        world_violation(&c->l->w, "offset %lld is another batch in the archive than was acknowledged",
                        (long long)a->offset);
        return false;
    }
    return true;
}

static void compare_topics(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        struct life_topic *t = &l->topics[i];
        for (int32_t k = 0; k < t->partition_count && t->there; k++) {
            struct compare c = {.l = l, .part = &t->parts[k]};
            if (t->parts[k].acked_count > 0) {
                qsort(t->parts[k].acked, t->parts[k].acked_count, sizeof(struct acked), by_offset);
            }
            bucket_each(&l->bucket, &t->id, k, compare_batch, &c);
        }
    }
}

/* Everything acknowledged with an append time up to this one is in the archive. */
static void check_whole(struct archive_life *l, uint64_t through_ns)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        const struct life_topic *t = &l->topics[i];
        for (int32_t k = 0; k < t->partition_count && t->there; k++) {
            const struct life_part *p = &t->parts[k];
            for (uint32_t n = 0; n < p->acked_count; n++) {
                int64_t end = p->acked[n].offset + p->acked[n].count;
                bool due = p->acked[n].append_time_ns <= through_ns && end > p->trimmed;
                if (due && end > bucket_end(&l->bucket, &t->id, k)) {
                    world_violation(&l->w, "offset %lld of partition %d was acknowledged; the archive ends at %lld",
                                    (long long)p->acked[n].offset, k, (long long)bucket_end(&l->bucket, &t->id, k));
                    return;
                }
            }
        }
    }
}

/* Batches of a log as they are on the disk. */
struct log_look {
    struct archive_life *l;
    struct log_batch {
        int64_t offset;
        uint64_t hash;
    } * batches; /* [count] */
    uint32_t count, room, at;
};

static uint64_t batch_hash(const uint8_t *batch, size_t len, const uint8_t salt[16], uint64_t append_time_ns)
{
    return el_xxh3(batch, len) * 31 + el_xxh3(salt, 16) + append_time_ns;
}

static void log_take(struct log_look *look, const struct read_op *op)
{
    for (uint32_t i = 0; i < op->entry_count; i++) {
        const struct read_entry *e = &op->entries[i];
        const uint8_t *batch = op->data + e->pos;
        if (look->count == look->room) {
            look->room = EL_MAX(look->room * 2, 64u);
            look->batches = realloc(look->batches, look->room * sizeof *look->batches);
            EL_ASSERT(look->batches != NULL);
        }
        look->batches[look->count++] = (struct log_batch){
            .offset = el_batch_base_offset(batch), .hash = batch_hash(batch, e->len, e->salt, e->append_time_ns)};
    }
}

static void log_read(struct log_look *look, const struct life_topic *t, int32_t partition)
{
    static struct read_op op;
    int64_t offset = 0;
    for (bool more = true; more;) {
        op = (struct read_op){.topic_id = t->id,
                              .partition = partition,
                              .offset = offset,
                              .max_bytes = 1u << 20,
                              .at_least_one = true,
                              .want_entries = true,
                              .for_archive = true,
                              .current_leader_epoch = -1,
                              .last_fetched_epoch = -1};
        store_read(ask(look->l, &op.base), &op);
        int code = told(look->l, &op.base);
        if (code == EVLOG_ERR_OFFSET_RANGE) { /* it begins later: one after the other is tried */
            offset++;
            continue;
        }
        more = code == 0 && op.entry_count > 0;
        if (code == 0) {
            log_take(look, &op);
            offset = op.next_offset;
            store_read_release(&op);
        }
    }
}

/* What the disk still has is what the archive has. */
static bool log_compare(void *arg, const struct el_pack_batch *row, const uint8_t *batch)
{
    struct log_look *look = arg;
    while (look->at < look->count && look->batches[look->at].offset < row->leaf.first_offset) {
        look->at++;
    }
    bool both = look->at < look->count && look->batches[look->at].offset == row->leaf.first_offset;
    if (both && look->batches[look->at].hash != batch_hash(batch, row->len, row->salt, row->leaf.append_time_ns)) {
        world_violation(&look->l->w, "offset %lld is another batch in the archive than in the log",
                        (long long)row->leaf.first_offset);
        return false;
    }
    return true;
}

static void compare_logs(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        const struct life_topic *t = &l->topics[i];
        for (int32_t k = 0; k < t->partition_count && t->there; k++) {
            struct log_look look = {.l = l};
            log_read(&look, t, k);
            bucket_each(&l->bucket, &t->id, k, log_compare, &look);
            free(look.batches);
        }
    }
}

static void on_ask(struct archive_ask *ask)
{
    flag = true;
}

static bool archive_now(struct archive_life *l, bool wait, bool seal, int *code)
{
    static struct archive_ask question;
    question = (struct archive_ask){.done = on_ask, .now = true, .wait = wait, .seal = seal};
    flag = false;
    archive_ask(archive_shard(l->archive, (uint32_t)world_below(&l->w, l->w.shard_count)), &question);
    bool answered = world_wait(&l->w, &flag);
    *code = question.error;
    if (answered && question.phase == ARCHIVE_STOPPED) {
        world_violation(&l->w, "archiving has ended for good: %s", question.text);
    }
    return answered;
}

/* --- lives -------------------------------------------------------------------------------------------------------- */

static void choose_faults(struct archive_life *l)
{
    struct world *w = &l->w;
    world_faults(w, true);
    if (world_chance(w, w->knobs.ppm[FAULT_CRASH])) {
        sim_disk_crash_at(w->disk, 1 + world_below(w, 4000));
    }
}

static void end_faults(struct archive_life *l)
{
    world_faults(&l->w, false);
    sim_disk_crash_at(l->w.disk, 0);
    l->bucket.refuses_until_ns = 0;
}

/* Something that is not an append. returns false: crashed or a violation */
static bool act(struct archive_life *l)
{
    uint32_t index = (uint32_t)world_below(&l->w, TOPICS_MAX);
    int code;
    if (l->w.disk_bounded) {
        world_space_returns(&l->w); /* what is asked now is waited for */
    }
    check_floors(l);
    for (uint32_t i = 0; i < l->w.shard_count; i++) {
        archive_waits_check(&l->w, i, &l->waits[i]);
    }
    if (!l->topics[index].there && world_chance(&l->w, 500000)) {
        return topic_make(l, index);
    }
    if (l->trims && world_chance(&l->w, 300000)) {
        return trim(l, index);
    }
    if (l->deletes && world_chance(&l->w, 150000)) {
        return topic_delete(l, index);
    }
    if (world_chance(&l->w, 300000)) {
        return archive_now(l, false, world_chance(&l->w, 300000), &code);
    }
    return l->w.violation[0] == 0;
}

static void end_life(struct archive_life *l, bool crashed)
{
    struct world *w = &l->w;
    l->boot.stopped = false;
    if (!crashed && world_chance(w, 400000)) {
        bool failed = world_failed_shard(w);
        world_say(w, "stop", 0, 0);
        if (world_stop(w)) {
            l->boot.stopped = !failed && w->stopped_well;
            sim_disk_process_exit(w->disk);
            return;
        }
        if (w->violation[0] != 0) {
            return;
        }
        crashed = sim_disk_crashed(w->disk);
    }
    boot_kill(&l->boot, crashed);
}

static void live(struct archive_life *l)
{
    struct world *w = &l->w;
    choose_faults(l);
    uint64_t steps = EL_MIN(500 + world_below(w, 5000), l->plan.limits[LIMIT_STEPS]);
    bool whole = true;
    l->lives++;
    l->steps_longest = EL_MAX(l->steps_longest, steps);
    if (!l->topics[0].there) {
        whole = topic_make(l, 0);
    }
    l->serving = whole;
    for (uint64_t k = 0; k < steps && whole && w->violation[0] == 0; k++) {
        whole = world_step(w);
        if (whole && world_chance(w, 1500)) {
            whole = act(l);
        }
    }
    l->serving = false;
    if (w->violation[0] == 0) {
        bool crashed = sim_disk_crashed(w->disk);
        if (!crashed) {
            check_floors(l);
        }
        end_life(l, crashed);
        end_faults(l);
        if (w->violation[0] == 0 && bucket_audit(&l->bucket)) {
            compare_topics(l);
            check_whole(l, l->bucket.state->header.cut_ns);
        }
    }
}

/* Without faults everything that is durable comes into the archive. */
static void last_look(struct archive_life *l)
{
    struct world *w = &l->w;
    int code = 0;
    world_say(w, "the last look", 0, 0);
    bool seal = world_chance(w, 500000);
    if (!clients_rest(l) || !archive_now(l, true, false, &code) || (seal && !archive_now(l, true, true, &code))) {
        return;
    }
    if (code != 0) {
        world_violation(w, "the last round was refused: %s", evlog_error_text(code));
    }
    check_floors(l);
    check_whole(l, UINT64_MAX);
    if (w->violation[0] == 0 && bucket_audit(&l->bucket)) {
        compare_topics(l);
        compare_logs(l);
    }
}

static void keys_make(struct archive_life *l)
{
    const char *pem = world_chance(&l->w, 200000) ? TEST_KEY_P256 TEST_KEY_ED25519 : TEST_KEY_ED25519;
    int code = el_private_keys_parse(el_slice_str(pem), l->keys, &l->key_count, NULL);
    EL_ASSERT(code == 0);
    archive_config_init(&l->cfg);
    for (size_t i = 0; i < l->key_count; i++) {
        l->cfg.keys[i] = l->keys[i];
        el_private_key_public(l->keys[i], &l->bucket.publics[i]);
    }
    l->cfg.key_count = l->bucket.public_count = l->key_count;
    l->cfg.bucket = &l->bucket.base;
    /* In some seeds no round comes by itself: who waits for the archive must not wait for it. */
    l->cfg.lag_ms = world_chance(&l->w, 200000) ? 3600000 : 100 + world_below(&l->w, 5000);
    l->cfg.segment_len = (4u << 10) << world_below(&l->w, 8);
    l->cfg.segment_ms = 1000 + world_below(&l->w, 60000);
    l->cfg.replaced_ms = world_below(&l->w, 10000);
    l->cfg.full_every = 1 + (uint32_t)world_below(&l->w, 64);
}

static void run_seed(const struct plan *plan, struct archive_life *l)
{
    struct world *w = &l->w;
    struct el_rng knobs;
    l->plan = *plan;
    world_init(w, plan->seed, (uint32_t)EL_MIN(plan->limits[LIMIT_SHARDS], WORLD_SHARDS_MAX), plan->verbose);
    w->trace->print = plan->trace;
    w->mode = plan->mode;
    w->jump_kinds = 2;
    w->upper = &archive_upper;
    w->upper_arg = l;
    el_rng_seed(&knobs, ~plan->seed);
    sim_knobs_draw(&w->knobs, &knobs, plan->faults_off);
    for (int i = 0; i < FAULT_COUNT; i++) {
        w->knobs.ppm[i] = sim_fault_applies((enum sim_fault)i, w->mode) ? w->knobs.ppm[i] : 0;
    }
    world_faults(w, false);
    bucket_init(&l->bucket, w);
    keys_make(l);
    boot_init(&l->boot, w, NULL, &l->plan);
    l->client_count = 1 + (uint32_t)world_below(w, CLIENTS_MAX);
    l->trims = world_chance(w, 400000);
    l->deletes = world_chance(w, 400000);
    for (uint32_t i = 0; i < l->client_count; i++) {
        l->clients[i].l = l;
    }
    uint64_t lives = EL_MIN(1 + world_below(w, 5), plan->limits[LIMIT_LIVES]);
    for (uint64_t i = 0; i < lives && w->violation[0] == 0 && boot_start(&l->boot); i++) {
        live(l);
    }
    if (w->violation[0] == 0 && boot_start(&l->boot)) {
        last_look(l);
    }
}

void archive_trial(const struct plan *plan, struct verdict *v)
{
    struct archive_life *l = calloc(1, sizeof *l);
    EL_ASSERT(l != NULL);
    memset(v, 0, sizeof *v);
    run_seed(plan, l);
    verdict_take(v, &l->w);
    v->batches = l->acks;
    v->crashes = l->boot.crashes;
    v->answers = l->bucket.roots;
    v->repeats = l->bucket.objects;
    v->lost = l->awaited_acks;
    v->lives = l->lives;
    v->steps_longest = l->steps_longest;
    v->topics = l->names;
    world_free(&l->w);
    bucket_free(&l->bucket);
    for (size_t i = 0; i < l->key_count; i++) {
        el_private_key_free(l->keys[i]);
    }
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < PARTITIONS_MAX; k++) {
            free(l->topics[i].parts[k].acked);
        }
    }
    free(l);
}
