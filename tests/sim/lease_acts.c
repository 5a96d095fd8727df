/* SPDX-License-Identifier: Apache-2.0
 *
 * See lease_acts.h. An act is done between steps: workers stop asking, those of the partition let go, and the act's op
 * is waited for. One that ends without an answer may have been done or not: its partitions are left alone until it was
 * repeated and answered, also in later lives; until then the group stands where it stood or where it was to be moved.
 */
#include "lease_acts.h"
#include "lease_topics.h"

#include <core/assert.h>

#define PAUSE_STEPS_MAX 20000u

bool lease_may_work(struct lease_life *l, uint32_t group, uint32_t topic, int32_t partition)
{
    return !lease_model_log(&l->m, topic, partition)->away[group];
}

static struct el_slice id_of(struct lease_life *l, uint32_t group)
{
    return el_slice_str(l->m.groups[group].id);
}

static bool alive(struct lease_life *l)
{
    return l->w.violation[0] == 0 && !sim_disk_crashed(l->w.disk);
}

/* --- workers stand aside ------------------------------------------------------------------------------------------ */

static bool quiet(const struct lease_life *l)
{
    for (uint32_t i = 0; i < l->worker_count; i++) {
        if (l->workers[i].busy) {
            return false;
        }
    }
    return true;
}

/* returns 1 nobody asks for anything | 0 something does not end: not now | -1 crashed, or a violation */
static int pause(struct lease_life *l)
{
    l->lw.serving = false;
    for (uint32_t i = 0; i < PAUSE_STEPS_MAX && !quiet(l); i++) {
        if (!world_step(&l->w)) {
            return -1;
        }
    }
    return quiet(l) ? 1 : 0;
}

static void on_flag(struct lease_op *op)
{
    *(bool *)op->arg = true;
}

static void on_store(struct store_op *op)
{
    *(bool *)op->arg = true;
}

/* topic UINT32_MAX: of all topics. returns false: crashed, or a violation */
static bool release(struct lease_life *l, uint32_t group, uint32_t topic, int32_t partition)
{
    static bool done;
    for (uint32_t i = 0; i < l->worker_count; i++) {
        struct worker *k = &l->workers[i];
        bool here = k->group == group && (topic == UINT32_MAX || (k->topic == topic && k->partition == partition));
        if (k->session == 0 || !here) {
            continue;
        }
        k->release = (struct lease_release_op){.base = {.group_id = id_of(l, group), .done = on_flag, .arg = &done},
                                               .topic_id = l->topic_ids[k->topic],
                                               .partition = k->partition,
                                               .session = k->session};
        k->session = 0;
        k->held_count = k->outcome_count = 0;
        done = false;
        leases_release(l->lw.leases[k->shard], &k->release);
        if (!lease_world_wait(&l->lw, &done)) {
            return false;
        }
        lease_op_release(&k->release.base);
    }
    return true;
}

/* --- moving ------------------------------------------------------------------------------------------------------- */

static int ask_offsets(struct lease_life *l, struct lease_offsets_op *op, int verb, int64_t offset)
{
    const struct lease_acts *a = &l->acts;
    *op = (struct lease_offsets_op){.base = {.group_id = id_of(l, a->group)},
                                    .verb = verb,
                                    .topic_id = l->topic_ids[a->topic],
                                    .partition = a->partition,
                                    .offset = offset};
    int code = lease_world_offsets(&l->lw, op);
    lease_topics_look(l); /* the answer knows of what has expired */
    return code;
}

/* It stands at one of the two. */
static void check_place(struct lease_life *l, const struct lease_offsets_op *op)
{
    const struct lease_acts *a = &l->acts;
    const struct lease_log *log = lease_model_log(&l->m, a->topic, a->partition);
    if (a->from < 0 || log->trimmed > EL_MIN(a->from, a->to)) {
        return;
    }
    bool fine = op->exists && (lease_model_stands(&l->m, log, a->group, op->start, a->from) ||
                               lease_model_stands(&l->m, log, a->group, op->start, a->to));
    if (!fine) {
        world_violation(&l->w, "group %s was moved from %lld to %lld in partition %d and stands at %lld",
                        l->m.groups[a->group].id, (long long)a->from, (long long)a->to, a->partition,
                        op->exists ? (long long)op->start : -1);
    }
}

/* returns false: crashed, or a violation */
static bool move_ask(struct lease_life *l)
{
    static struct lease_offsets_op op;
    struct lease_acts *a = &l->acts;
    struct lease_log *log = lease_model_log(&l->m, a->topic, a->partition);
    int code = ask_offsets(l, &op, LEASE_OFFSETS_GET, 0);
    if (code == 0) {
        check_place(l, &op);
    }
    code = alive(l) ? ask_offsets(l, &op, LEASE_OFFSETS_ALTER, a->to) : EVLOG_ERR_CRASHED;
    if (code == 0 && lease_read_letters(l)) {
        lease_model_moved(&l->m, log, a->group, EL_MAX(op.start, a->to));
        log->away[a->group] = a->moving = false;
        l->w.events[EVENT_MOVED]++;
    }
    return alive(l);
}

static bool move_begin(struct lease_life *l)
{
    static struct lease_offsets_op op;
    struct world *w = &l->w;
    struct lease_acts *a = &l->acts;
    a->group = (uint32_t)world_below(w, l->m.group_count);
    a->topic = (uint32_t)world_below(w, l->m.topic_count);
    a->partition = (int32_t)world_below(w, (uint64_t)l->m.partition_count);
    struct lease_log *log = lease_model_log(&l->m, a->topic, a->partition);
    if (log->end == 0 || log->away[a->group]) {
        return true;
    }
    if (!release(l, a->group, a->topic, a->partition)) {
        return false;
    }
    int code = ask_offsets(l, &op, LEASE_OFFSETS_GET, 0);
    if (code != 0 || op.leased > 0 || op.start > log->end) {
        return alive(l); /* somebody is silent and holds some */
    }
    a->from = op.exists ? op.start : -1;
    a->to = EL_MIN((int64_t)world_below(w, (uint64_t)log->end + 1), log->end);
    a->moving = log->away[a->group] = true;
    return move_ask(l);
}

/* --- the end of a group ------------------------------------------------------------------------------------------- */

static void set_away(struct lease_life *l, uint32_t group, bool away)
{
    for (uint32_t t = 0; t < l->m.topic_count; t++) {
        for (int32_t p = 0; p < l->m.partition_count; p++) {
            struct lease_log *log = lease_model_log(&l->m, t, p);
            log->away[group] = away;
            if (!away) {
                lease_model_moved(&l->m, log, group, 0);
            }
        }
    }
}

static bool end_ask(struct lease_life *l)
{
    static struct lease_delete_op op;
    static struct group_config config;
    static bool done;
    struct lease_acts *a = &l->acts;
    op = (struct lease_delete_op){.base = {.group_id = id_of(l, a->ending_group), .done = on_flag, .arg = &done}};
    done = false;
    leases_delete(l->lw.leases[0], &op);
    if (!lease_world_wait(&l->lw, &done)) {
        return false;
    }
    lease_op_release(&op.base);
    if (op.base.error != 0 && op.base.error != EVLOG_ERR_GROUP_NOT_FOUND) {
        return alive(l);
    }
    if (!lease_read_letters(l)) {
        return false;
    }
    struct lease_model_group next = l->m.groups[a->ending_group];
    lease_choose_group(l, &next, &config);
    if (lease_world_settings(&l->lw, next.id, &config) == 0) {
        l->m.groups[a->ending_group] = next;
        set_away(l, a->ending_group, false);
        a->ending = false;
        l->w.events[EVENT_WORK_ENDED]++;
    }
    return alive(l);
}

static bool end_begin(struct lease_life *l)
{
    struct lease_acts *a = &l->acts;
    a->ending_group = (uint32_t)world_below(&l->w, l->m.group_count);
    if (a->moving) {
        return true;
    }
    if (!release(l, a->ending_group, UINT32_MAX, 0)) {
        return false;
    }
    a->ending = true;
    set_away(l, a->ending_group, true);
    return end_ask(l);
}

/* --- others ------------------------------------------------------------------------------------------------------- */

static bool trim(struct lease_life *l)
{
    static struct trim_op op;
    static bool done;
    struct world *w = &l->w;
    uint32_t topic = (uint32_t)world_below(w, l->m.topic_count);
    int32_t partition = (int32_t)world_below(w, (uint64_t)l->m.partition_count);
    struct lease_log *log = lease_model_log(&l->m, topic, partition);
    if (log->end == 0) {
        return true;
    }
    int64_t offset = (int64_t)world_below(w, (uint64_t)log->end + 1);
    log->trimmed = EL_MAX(log->trimmed, offset);
    op = (struct trim_op){.base = {.done = on_store, .arg = &done},
                          .topic_id = l->topic_ids[topic],
                          .partition = partition,
                          .offset = offset};
    done = false;
    store_trim(store_shard_at(w->store, 0), &op);
    if (!lease_world_wait(&l->lw, &done)) {
        return false;
    }
    l->w.events[EVENT_TRIMMED] += op.base.error == 0;
    return alive(l);
}

bool lease_let_go_on(struct lease_life *l, uint32_t group, uint32_t topic, int32_t partition)
{
    static struct lease_release_key_op op;
    static bool done;
    if (!l->m.groups[group].halts) {
        world_violation(&l->w, "group %s halts, and may not", l->m.groups[group].id);
        return false;
    }
    op = (struct lease_release_key_op){.base = {.group_id = id_of(l, group), .done = on_flag, .arg = &done},
                                       .topic_id = l->topic_ids[topic],
                                       .partition = partition};
    done = false;
    leases_release_key(l->lw.leases[0], &op);
    if (!lease_world_wait(&l->lw, &done)) {
        return false;
    }
    lease_op_release(&op.base);
    l->w.events[EVENT_HALT_ENDED] += op.base.error == 0;
    return alive(l);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static bool go_on(struct lease_life *l)
{
    bool whole = !l->acts.moving || move_ask(l);
    return whole && (!l->acts.ending || end_ask(l));
}

bool lease_act(struct lease_life *l)
{
    struct world *w = &l->w;
    int paused = pause(l);
    bool whole = paused >= 0;
    uint64_t die = world_below(w, 100);
    if (paused == 1 && (l->acts.moving || l->acts.ending)) {
        whole = go_on(l);
    } else if (paused == 1) {
        whole = die < 50 ? move_begin(l) : die < 70 ? end_begin(l) : trim(l);
    }
    l->lw.serving = whole && w->violation[0] == 0;
    return whole;
}

bool lease_acts_end(struct lease_life *l)
{
    uint64_t until_ns = l->w.clock.now_ns + WORLD_WAIT_NS_MIN;
    while ((l->acts.moving || l->acts.ending) && l->w.violation[0] == 0) {
        if (!go_on(l)) {
            return false;
        }
        for (uint32_t i = 0; i < 200; i++) {
            if (!world_step(&l->w)) {
                return false;
            }
        }
        if (l->w.clock.now_ns > until_ns) {
            world_violation(&l->w, "stuck: a group cannot be moved or ended");
        }
    }
    return l->w.violation[0] == 0;
}
