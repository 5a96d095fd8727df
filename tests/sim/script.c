/* SPDX-License-Identifier: Apache-2.0
 *
 * What the clients of a life do, step by step: topics come, grow and go, logs are trimmed, cut and looked up, producers
 * and readers work.
 */
#include "keyed.h"
#include "life.h"

#include <core/assert.h>
#include <core/hash.h>
#include <stdio.h>

/* --- topics ------------------------------------------------------------------------------------------------------- */

static void on_flag(struct store_op *op)
{
    bool *flag = op->arg;
    *flag = true;
}

static bool topic_change(struct life *l, struct topic_op *op, bool *done)
{
    *done = false;
    op->base.done = on_flag;
    op->base.arg = done;
    store_topic_change(store_shard_at(l->w.store, (uint32_t)world_below(&l->w, l->w.shard_count)), op);
    bool told = world_wait(&l->w, done);
    SIM_TRACE(l->w.trace, "topic", (uint64_t)op->verb, told, (uint64_t)op->base.error,
              el_xxh3(&op->id, sizeof(op->id)));
    return told;
}

static void topic_create(struct life *l)
{
    struct model *m = &l->m;
    if (m->topic_count >= EL_MIN(MODEL_TOPICS_MAX, l->plan.limits[LIMIT_TOPICS])) {
        return;
    }
    struct model_topic *t = &m->topics[m->topic_count++];
    memset(t, 0, sizeof(*t));
    snprintf(t->name, sizeof(t->name), "topic-%u", m->topic_count);
    t->partition_asked = 1 + (int32_t)world_below(&l->w, 3);
    t->state = TOPIC_MAYBE;
    struct topic_config config;
    topic_config_init(&config);
    topic_config_set(&config, el_slice_str("segment.bytes"), el_slice_str("65536"), NULL);
    if (world_chance(&l->w, 200000)) {
        t->retention = true;
        topic_config_set(&config, el_slice_str("retention.bytes"), el_slice_str("100000"), NULL);
    }
    if (world_chance(&l->w, 300000)) {
        topic_config_set(&config, el_slice_str("segment.ms"), el_slice_str("10000"), NULL);
    }
    if (world_chance(&l->w, 200000)) {
        t->memory = true;
        topic_config_set(&config, el_slice_str("evlog.durability"), el_slice_str("memory"), NULL);
    }
    if (world_chance(&l->w, 250000)) {
        t->stamped = true;
        topic_config_set(&config, el_slice_str("message.timestamp.type"), el_slice_str("LogAppendTime"), NULL);
    }
    if (world_chance(&l->w, 350000)) {
        struct keyed_setting settings[KEYED_SETTINGS_MAX];
        uint32_t count = keyed_configure(m, t, settings);
        for (uint32_t i = 0; i < count; i++) {
            topic_config_set(&config, el_slice_str(settings[i].name), el_slice_str(settings[i].value), NULL);
        }
    }
    if (l->w.tier != NULL && !t->memory && world_chance(&l->w, 300000)) {
        t->awaited = true;
        topic_config_set(&config, el_slice_str("evlog.durability"),
                         el_slice_str(world_chance(&l->w, 500000) ? "store" : "both"), NULL);
    }
    if (l->w.tier != NULL && !t->compacted && world_chance(&l->w, 600000)) {
        topic_config_set(&config, el_slice_str("local.retention.bytes"),
                         el_slice_str(world_chance(&l->w, 500000) ? "0" : "70000"), NULL);
    }
    bool done;
    struct topic_op op = {
        .verb = TOPIC_CREATE, .name = el_slice_str(t->name), .partition_count = t->partition_asked, .config = &config};
    if (topic_change(l, &op, &done) && op.base.error == 0) {
        t->state = TOPIC_THERE;
        t->id = op.id;
        t->partition_count = t->partition_asked;
        world_say(&l->w, "created topic, partitions", m->topic_count, t->partition_count);
    }
}

static void topic_delete(struct life *l, uint32_t index)
{
    struct model_topic *t = &l->m.topics[index];
    bool done;
    struct topic_op op = {.verb = TOPIC_DELETE, .id = t->id};
    t->state = TOPIC_MAYBE_GONE;
    producers_topic_gone(&l->producers, index);
    if (topic_change(l, &op, &done) && op.base.error == 0) {
        t->state = TOPIC_GONE;
        world_say(&l->w, "deleted topic", index, 0);
    }
}

static void topic_grow(struct life *l, uint32_t index)
{
    struct model_topic *t = &l->m.topics[index];
    if (t->partition_count >= MODEL_PARTITIONS_MAX) {
        return;
    }
    bool done;
    t->partition_asked = t->partition_count + 1;
    struct topic_op op = {.verb = TOPIC_GROW, .id = t->id, .partition_count = t->partition_asked};
    if (topic_change(l, &op, &done) && op.base.error == 0) {
        t->partition_count = t->partition_asked;
    }
}

/* More of it, or less, is to be on the disk. */
static void topic_local(struct life *l, uint32_t index)
{
    static const char *const values[] = {"0", "70000", "-2"};
    const struct model_topic *t = &l->m.topics[index];
    const struct topic *topic = store_topic_by_id(store_shard_at(l->w.store, 0), &t->id);
    if (l->w.tier == NULL || t->compacted || topic == NULL) {
        return;
    }
    bool done;
    struct topic_config config = topic->config;
    topic_config_set(&config, el_slice_str("local.retention.bytes"), el_slice_str(values[world_below(&l->w, 3)]), NULL);
    struct topic_op op = {.verb = TOPIC_ALTER, .id = t->id, .config = &config};
    topic_change(l, &op, &done);
}

/* Somebody asks for the beginning while it is being moved: what he is told stays true, even when the power goes now.
 * returns false when it went */
static bool trim_look(struct life *l, uint32_t index, int32_t partition)
{
    bool done = false;
    struct lookup_op op = {.base = {.done = on_flag, .arg = &done},
                           .topic_id = l->m.topics[index].id,
                           .partition = partition,
                           .timestamp = -2,
                           .current_leader_epoch = -1};
    store_lookup(store_shard_at(l->w.store, (uint32_t)world_below(&l->w, l->w.shard_count)), &op);
    if (!world_wait(&l->w, &done)) {
        return false;
    }
    SIM_TRACE(l->w.trace, "start", (uint64_t)op.base.error, (uint64_t)op.offset);
    if (op.base.error == 0) {
        model_see_start(&l->m, index, partition, op.offset);
    }
    if (world_chance(&l->w, l->w.knobs.ppm[FAULT_CRASH] > 0 ? 50000 : 0)) {
        sim_disk_crash_at(l->w.disk, 1 + world_below(&l->w, 3));
    }
    return true;
}

static void trim(struct life *l, uint32_t index)
{
    struct model_topic *t = &l->m.topics[index];
    int32_t partition = (int32_t)world_below(&l->w, (uint64_t)t->partition_count);
    struct model_partition *p = &t->partitions[partition];
    int64_t end = 0;
    for (uint32_t i = 0; i < l->m.sent_count; i++) {
        const struct sent *s = &l->m.sent[i];
        if (s->topic == index && s->partition == partition && s->state == SENT_STORED) {
            end = EL_MAX(end, s->offset + s->record_count);
        }
    }
    int64_t offset = (int64_t)world_below(&l->w, (uint64_t)end + 1);
    bool done = false;
    struct trim_op op = {
        .base = {.done = on_flag, .arg = &done}, .topic_id = t->id, .partition = partition, .offset = offset};
    p->log_start_max = EL_MAX(p->log_start_max, offset);
    p->trim_max = EL_MAX(p->trim_max, offset);
    store_trim(store_shard_at(l->w.store, (uint32_t)world_below(&l->w, l->w.shard_count)), &op);
    if (!trim_look(l, index, partition)) {
        return;
    }
    bool told = world_wait(&l->w, &done);
    SIM_TRACE(l->w.trace, "trim", told, (uint64_t)op.base.error, (uint64_t)op.log_start_offset);
    if (told && op.base.error == 0) {
        p->log_start_min = EL_MAX(p->log_start_min, offset);
        if (op.log_start_offset < offset) {
            world_violation(&l->w, "a trim to %lld answered %lld", (long long)offset, (long long)op.log_start_offset);
        }
    }
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

static void act(struct life *l)
{
    struct world *w = &l->w;
    uint64_t what = world_below(w, 10000);
    uint32_t topic = model_topic_any(&l->m);
    if (what < 7000) {
        producers_act(&l->producers);
    } else if (what >= 9000) {
        readers_act(&l->readers);
    } else if (what < 7030) {
        producers_make(&l->producers);
    } else if (what < 7045) {
        topic_create(l);
    } else if (topic == UINT32_MAX) {
        return;
    } else if (what < 7049) {
        topic_delete(l, topic);
    } else if (what < 7059) {
        topic_grow(l, topic);
    } else if (what < 7079) {
        trim(l, topic);
    } else if (what < 7099) {
        bool again = l->m.cut_count > 0 && world_chance(w, 500000);
        uint64_t now_ns = world_chance(w, 500000) ? 0 : el_clock_now(store_clock(w->store));
        model_cut_now(&l->m, again ? l->m.cuts[world_below(w, l->m.cut_count)].time_ns : now_ns);
    } else if (what < 7101) {
        model_check_log(&l->m);
    } else if (what < 7130) {
        model_check_lookup(&l->m, topic, (int32_t)world_below(w, (uint64_t)l->m.topics[topic].partition_count));
    } else if (what < 7140) {
        topic_local(l, topic);
    } else if (what < 7180) {
        redacts_act(&l->redacts);
    }
}

bool script_waits(const struct life *l)
{
    return producers_busy(&l->producers) || readers_busy(&l->readers) || l->redacts.busy;
}

/* After a fail-stop everything that was asked for is answered, and the rest of the store goes on. */
static bool work_failed(struct life *l)
{
    for (uint64_t i = world_below(&l->w, 500); i > 0 && l->w.violation[0] == 0; i--) {
        act(l);
        if (sim_disk_crashed(l->w.disk) || !world_step(&l->w)) {
            return false;
        }
    }
    uint64_t until_ns = l->w.clock.now_ns + WORLD_WAIT_NS_MIN;
    for (uint64_t i = 0; (i < 20000 || l->w.clock.now_ns < until_ns) && script_waits(l); i++) {
        if (!world_step(&l->w)) {
            return false;
        }
    }
    if (script_waits(l)) {
        world_violation(&l->w, "stuck: a shard stopped, and something that was asked for has no answer");
    }
    return true;
}

bool script_work(struct life *l, uint64_t steps)
{
    steps = EL_MIN(steps, l->plan.limits[LIMIT_STEPS]);
    for (uint64_t i = 0; i < steps && l->w.violation[0] == 0; i++) {
        l->steps_longest = EL_MAX(l->steps_longest, i + 1);
        act(l);
        if (sim_disk_crashed(l->w.disk) || !world_step(&l->w)) {
            return false;
        }
        if (world_failed_shard(&l->w)) {
            return work_failed(l);
        }
    }
    return true;
}
