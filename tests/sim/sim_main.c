/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog-sim: runs the storage engine on simulated machines.
 *
 *   evlog-sim --seeds N [--from S]   N seeds from S (1) on; exit 1 when one breaks a promise
 *   evlog-sim --seed S [-v]          one seed, with its story
 *   evlog-sim --mode broker ...      the whole broker with network and clients: broker_main.c
 *
 * A seed: a store with 1 to 3 shards and small limits, so that slots are recycled, segments rolled and checkpoints
 * taken all the time; producers (idempotent and not) with retries, consumers that read and wait, trims, cuts, lookups
 * by time, topics made, grown and deleted; several lives, each ended by a crash at a random disk call, a crash in
 * recovery, a process that just ends, a failed sync or a clean stop, some with a shard more than before. After each
 * start the whole log is compared with what the clients know (model.c), and a second recovery of the same disk must
 * give the same. Of 20 seeds one has a device that lies (its data may go, but nothing may be made up), one has bytes of
 * its files changed between two lives (rot.c: refused, or an error for that range, and nothing else).
 */
#include "broker_main.h"
#include "readers.h"
#include "rot.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/logger.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PRODUCERS_MAX 6
#define WINDOW 3
#define BATCH_ROOM (160u << 10)

struct in_flight {
    struct append_op op;
    uint32_t sent; /* index in the model */
    bool busy;
    bool again; /* a client without patience: the same batch once more while the first is under way */
    struct life *life;
    uint8_t *batch;
};

struct producer {
    int64_t id; /* -1: not idempotent */
    uint32_t topic;
    int32_t partition;
    int32_t next_sequence;
    uint32_t queue[WINDOW]; /* sent batches without an answer, oldest first */
    uint32_t queue_len;
    uint32_t asked; /* of the queue, how many are under way or answered */
    bool failed;    /* one came back with an error: the rest must come back, then all are sent again */
    bool dead;
};

struct life {
    struct world w;
    struct model m;
    struct producer producers[PRODUCERS_MAX];
    uint32_t producer_count;
    struct in_flight flights[PRODUCERS_MAX][WINDOW];
    struct readers readers;
    struct rot rot;
    bool rots;    /* bytes of files change between lives */
    bool stopped; /* the last life ended with a clean stop */
    bool begun;   /* the store was started once */
    bool served;  /* a start succeeded */
    int32_t epoch; /* leader epoch of the last run */
    uint64_t appends;
    uint32_t crashes;
    uint32_t refused_starts;
};

static void say(struct life *l, const char *text, long long a, long long b)
{
    if (l->w.verbose) {
        printf("  %12llu ns  step %8llu  %s %lld %lld\n", (unsigned long long)l->w.clock.now_ns,
               (unsigned long long)l->w.steps, text, a, b);
    }
}

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
    return world_wait(&l->w, done);
}

static void topic_create(struct life *l)
{
    struct model *m = &l->m;
    if (m->topic_count == MODEL_TOPICS_MAX) {
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
    bool done;
    struct topic_op op = {
        .verb = TOPIC_CREATE, .name = el_slice_str(t->name), .partition_count = t->partition_asked, .config = &config};
    if (topic_change(l, &op, &done) && op.base.error == 0) {
        t->state = TOPIC_THERE;
        t->id = op.id;
        t->partition_count = t->partition_asked;
        say(l, "created topic, partitions", m->topic_count, t->partition_count);
    }
}

static uint32_t topic_any(struct life *l)
{
    for (int i = 0; i < 20; i++) {
        uint32_t t = (uint32_t)world_below(&l->w, l->m.topic_count + 1);
        if (t < l->m.topic_count && l->m.topics[t].state == TOPIC_THERE) {
            return t;
        }
    }
    return UINT32_MAX;
}

static void topic_delete(struct life *l, uint32_t index)
{
    struct model_topic *t = &l->m.topics[index];
    bool done;
    struct topic_op op = {.verb = TOPIC_DELETE, .id = t->id};
    t->state = TOPIC_MAYBE_GONE;
    for (uint32_t i = 0; i < l->producer_count; i++) {
        l->producers[i].dead = l->producers[i].dead || l->producers[i].topic == index;
    }
    if (topic_change(l, &op, &done) && op.base.error == 0) {
        t->state = TOPIC_GONE;
        say(l, "deleted topic", index, 0);
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
    if (op.base.error == 0) {
        model_see_start(&l->m, index, partition, op.offset);
    }
    if (world_chance(&l->w, 50000)) {
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
    store_trim(store_shard_at(l->w.store, (uint32_t)world_below(&l->w, l->w.shard_count)), &op);
    if (!trim_look(l, index, partition)) {
        return;
    }
    if (world_wait(&l->w, &done) && op.base.error == 0) {
        p->log_start_min = EL_MAX(p->log_start_min, offset);
        if (op.log_start_offset < offset) {
            world_violation(&l->w, "a trim to %lld answered %lld", (long long)offset, (long long)op.log_start_offset);
        }
    }
}

/* --- producers ---------------------------------------------------------------------------------------------------- */

static void producer_make(struct life *l)
{
    uint32_t topic = topic_any(l);
    if (topic == UINT32_MAX) {
        return;
    }
    struct producer p = {.id = -1, .topic = topic};
    p.partition = (int32_t)world_below(&l->w, (uint64_t)l->m.topics[topic].partition_count);
    bool idempotent = world_chance(&l->w, 700000) && !l->m.topics[topic].memory;
    if (idempotent && (!model_producer_id(&l->m, &p.id) || p.id < 0)) {
        return;
    }
    for (uint32_t i = 0; i < l->producer_count; i++) {
        if (p.id >= 0 && l->producers[i].id == p.id) {
            world_violation(&l->w, "producer id %lld was given out twice", (long long)p.id);
        }
    }
    for (uint32_t i = 0; i < PRODUCERS_MAX; i++) {
        bool busy = false;
        for (uint32_t k = 0; k < WINDOW; k++) {
            busy = busy || l->flights[i][k].busy;
        }
        if (i == l->producer_count || (l->producers[i].dead && !busy)) {
            l->producers[i] = p;
            l->producer_count = EL_MAX(l->producer_count, i + 1);
            return;
        }
    }
}

/* A batch was answered for good. */
static void queue_drop(struct producer *p, uint32_t sent)
{
    for (uint32_t i = 0; i < p->queue_len && !p->dead; i++) {
        if (p->queue[i] == sent) {
            memmove(&p->queue[i], &p->queue[i + 1], sizeof(p->queue[0]) * (p->queue_len - i - 1));
            p->queue_len--;
            p->asked--;
            return;
        }
    }
}

static bool is_definite(int error)
{
    return error == EVLOG_ERR_FULL || error == EVLOG_ERR_UNKNOWN_TOPIC || error == EVLOG_ERR_TOO_LARGE ||
           error == EVLOG_ERR_UNKNOWN_TOPIC_ID;
}

static void stored(struct life *l, struct sent *s, const struct append_op *op)
{
    if (s->state == SENT_STORED && s->offset != op->base_offset) {
        world_violation(&l->w, "batch %llu was acknowledged at %lld and at %lld", (unsigned long long)s->id,
                        (long long)s->offset, (long long)op->base_offset);
    }
    if (s->append_ns != 0 && s->append_ns != op->append_time_ns) {
        world_violation(&l->w, "batch %llu was appended at two times", (unsigned long long)s->id);
    }
    s->state = SENT_STORED;
    s->offset = op->base_offset;
    s->append_ns = op->append_time_ns;
    l->appends++;
}

static uint32_t flights_busy(const struct life *l, uint32_t producer)
{
    uint32_t busy = 0;
    for (uint32_t k = 0; k < WINDOW; k++) {
        busy += l->flights[producer][k].busy;
    }
    return busy;
}

static void on_append(struct store_op *base)
{
    struct in_flight *f = EL_CONTAINER(base, struct in_flight, op.base);
    struct life *l = f->life;
    struct sent *s = &l->m.sent[f->sent];
    struct producer *p = &l->producers[s->producer];
    f->busy = false;
    if (l->w.verbose && base->error != 0) {
        printf("  producer %u: batch %u: %s\n", s->producer, f->sent, evlog_error_text(base->error));
    }
    free(f->batch);
    f->batch = NULL;
    if (f->again) {
        if (base->error == 0) {
            stored(l, s, &f->op);
        }
    } else if (base->error == 0) {
        stored(l, s, &f->op);
        if (!p->dead && p->queue_len > 0 && p->queue[0] == f->sent) {
            queue_drop(p, f->sent);
        } else if (!p->dead && !p->failed) {
            world_violation(&l->w, "producer %u: batch %u was answered before an earlier one", s->producer, f->sent);
        }
    } else if (p->id < 0) {
        s->state = is_definite(base->error) ? SENT_REFUSED : s->state; /* never sent again */
        queue_drop(p, f->sent);
    } else {
        p->failed = true;
        p->dead = p->dead || base->error == EVLOG_ERR_UNKNOWN_TOPIC || base->error == EVLOG_ERR_UNKNOWN_TOPIC_ID;
    }
    if (p->failed && flights_busy(l, s->producer) == 0) {
        p->failed = false;
        p->asked = 0;
    }
}

static void producer_ask(struct life *l, uint32_t index, uint32_t sent, bool again)
{
    struct producer *p = &l->producers[index];
    struct in_flight *f = NULL;
    for (uint32_t k = 0; k < WINDOW && f == NULL; k++) {
        f = l->flights[index][k].busy ? NULL : &l->flights[index][k];
    }
    EL_ASSERT(f != NULL);
    struct sent *s = &l->m.sent[sent];
    /* the size follows from the id, so that a retry sends the same bytes */
    struct el_rng rng;
    el_rng_seed(&rng, s->id * 77);
    uint32_t value_len = 12 + (uint32_t)(el_rng_chance(&rng, 2000)     ? el_rng_below(&rng, 28000)
                                         : el_rng_chance(&rng, 20000)  ? el_rng_below(&rng, 11000)
                                         : el_rng_chance(&rng, 300000) ? el_rng_below(&rng, 3000)
                                                                       : el_rng_below(&rng, 200));
    f->batch = malloc(BATCH_ROOM);
    EL_ASSERT(f->batch != NULL);
    f->life = l;
    f->sent = sent;
    f->again = again;
    f->busy = true;
    f->op = (struct append_op){.base = {.done = on_append},
                               .topic_id = l->m.topics[p->topic].id,
                               .partition = p->partition,
                               .batch = f->batch};
    f->op.batch_len = (uint32_t)model_batch(&l->m, s, p->id, value_len, f->batch, BATCH_ROOM);
    int code = el_batch_check(f->batch, f->op.batch_len, BATCH_ROOM, NULL, 0, &f->op.info);
    EL_ASSERT(code == 0);
    store_append(store_shard_at(l->w.store, (uint32_t)(s->producer % l->w.shard_count)), &f->op);
}

static void producer_go(struct life *l, uint32_t index)
{
    struct producer *p = &l->producers[index];
    if (p->dead || p->failed || flights_busy(l, index) == WINDOW || l->m.topics[p->topic].state != TOPIC_THERE) {
        return;
    }
    if (p->asked < p->queue_len) { /* again, in order */
        producer_ask(l, index, p->queue[p->asked++], false);
        return;
    }
    if (p->queue_len == WINDOW) {
        return;
    }
    uint32_t records = 1 + (uint32_t)world_below(&l->w, 5);
    uint32_t sent = model_send(&l->m, p->topic, p->partition, index, records, p->id < 0 ? -1 : p->next_sequence);
    p->next_sequence = el_sequence_add(p->next_sequence, (int32_t)records);
    p->queue[p->queue_len++] = sent;
    p->asked++;
    producer_ask(l, index, sent, false);
    if (p->id >= 0 && flights_busy(l, index) < WINDOW && world_chance(&l->w, 20000)) {
        producer_ask(l, index, sent, true);
    }
}

/* After a start nothing is under way: idempotent producers send again what has no answer, others forget it. */
static void producers_restart(struct life *l)
{
    readers_reset(&l->readers);
    for (uint32_t i = 0; i < l->producer_count; i++) {
        struct producer *p = &l->producers[i];
        for (uint32_t k = 0; k < WINDOW; k++) {
            free(l->flights[i][k].batch);
            l->flights[i][k].batch = NULL;
            l->flights[i][k].busy = false;
        }
        p->asked = 0;
        p->failed = false;
        if (p->id < 0) {
            p->queue_len = 0;
        }
        p->dead = p->dead || l->m.topics[p->topic].state != TOPIC_THERE;
    }
}

/* --- one life of the process -------------------------------------------------------------------------------------- */

static void act(struct life *l)
{
    struct world *w = &l->w;
    uint64_t what = world_below(w, 10000);
    uint32_t topic = topic_any(l);
    if (what < 7000) {
        if (l->producer_count > 0) {
            producer_go(l, (uint32_t)world_below(w, l->producer_count));
        }
    } else if (what >= 9000) {
        readers_act(&l->readers);
    } else if (what < 7030) {
        producer_make(l);
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
    }
}

static bool answers_missing(const struct life *l)
{
    for (uint32_t i = 0; i < PRODUCERS_MAX; i++) {
        if (flights_busy(l, i) > 0) {
            return true;
        }
    }
    return readers_busy(&l->readers);
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
    for (uint64_t i = 0; i < 20000 && answers_missing(l); i++) {
        if (!world_step(&l->w)) {
            return false;
        }
    }
    if (answers_missing(l)) {
        world_violation(&l->w, "stuck: a shard stopped, and something that was asked for has no answer");
    }
    return true;
}

/* Work until the crash, or for so many steps. returns false when the machine crashed */
static bool work(struct life *l, uint64_t steps)
{
    for (uint64_t i = 0; i < steps && l->w.violation[0] == 0; i++) {
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

/* Start on what the disk holds; crash in recovery now and then. returns false when the start was refused */
static bool start(struct life *l)
{
    struct world *w = &l->w;
    struct el_error err = {0};
    if (l->begun && w->shard_count < WORLD_SHARDS_MAX && world_chance(w, 60000)) {
        w->cfg.shard_count = ++w->shard_count;
        say(l, "one shard more", w->shard_count, 0);
    }
    l->begun = true;
    for (int tries = 0;; tries++) {
        if (tries < 3 && l->rot.path[0] == 0 && world_chance(w, 200000)) {
            sim_disk_crash_at(w->disk, 1 + world_below(w, 60));
        }
        int code = world_open(w, &err);
        if (code == 0) {
            int32_t epoch = store_leader_epoch(w->store);
            if (epoch < l->epoch || (epoch == l->epoch && l->served && !l->stopped)) {
                world_violation(w, "the leader epoch is %d after %d", epoch, l->epoch);
            }
            l->epoch = epoch;
            l->served = true;
            sim_disk_crash_at(w->disk, 0);
            l->rot.path[0] = 0;
            return true;
        }
        if (!sim_disk_crashed(w->disk)) {
            bool rotten = l->rot.path[0] != 0 && !l->rot.harmless &&
                          (code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT);
            if (rotten) {
                say(l, "refused what has rotted", (long long)l->rot.pos, 0);
                l->refused_starts++;
                rot_undo(w, &l->rot); /* nothing else was changed: with the right byte all is well */
                l->rot.path[0] = 0;
                sim_disk_process_exit(w->disk);
                continue;
            }
            if (!w->lying) {
                world_violation(w, "a start was refused: %s", err.text);
            }
            l->refused_starts++;
            return false;
        }
        say(l, "crash in recovery", tries, 0);
        sim_disk_power_cycle(w->disk);
    }
}

/* Recover, look, end without a word, recover again: the same must be there. */
static bool verify(struct life *l)
{
    struct world *w = &l->w;
    if (!start(l)) {
        return false;
    }
    model_check_catalogue(&l->m);
    producers_restart(l);
    if (w->violation[0] != 0 || !model_check_log(&l->m)) {
        return false;
    }
    if (!world_chance(w, 300000)) {
        return true;
    }
    uint64_t digest = l->m.digest;
    l->stopped = false;
    world_abandon(w);
    model_forget(&l->m);
    sim_disk_power_cycle(w->disk);
    if (!start(l)) {
        return false;
    }
    model_check_catalogue(&l->m);
    if (w->violation[0] == 0 && model_check_log(&l->m) && digest != l->m.digest) {
        world_violation(w, "a second recovery gave another log");
    }
    return w->violation[0] == 0;
}

static void end_life(struct life *l, bool crashed)
{
    struct world *w = &l->w;
    if (w->violation[0] != 0) {
        return;
    }
    l->stopped = false;
    if (!crashed && world_chance(w, 300000)) {
        bool failed = world_failed_shard(w);
        say(l, "stop", failed, 0);
        if (world_stop(w)) {
            l->stopped = !failed && w->stopped_well;
            if (answers_missing(l)) {
                world_violation(w, "a stop left something without an answer");
            }
            if (!l->stopped) {
                model_forget(&l->m);
            }
            sim_disk_process_exit(w->disk);
            return;
        }
        if (w->violation[0] != 0) {
            return;
        }
        crashed = sim_disk_crashed(w->disk);
    }
    world_abandon(w);
    model_forget(&l->m);
    l->crashes++;
    if (!crashed && world_chance(w, 400000)) {
        say(l, "process ended", 0, 0);
        sim_disk_process_exit(w->disk);
    } else {
        say(l, "power cut", (long long)sim_disk_calls(w->disk), 0);
        sim_disk_power_cycle(w->disk);
    }
}

static void choose_faults(struct life *l)
{
    struct world *w = &l->w;
    struct sim_faults faults = {0};
    if (world_chance(w, 200000)) {
        faults.write_error = 200;
        faults.sync_error = 2000;
        faults.short_write = 100;
    }
    if (world_chance(w, 100000)) {
        faults.capacity = sim_disk_used(w->disk) + (1u << 20) + world_below(w, 2u << 20);
        faults.late_full = world_chance(w, 500000) ? 3000 : 0;
    }
    w->read_errors = world_chance(w, 50000);
    faults.read_error = w->read_errors ? 5000 : 0;
    w->disk_bounded = faults.capacity > 0;
    if (w->lying) {
        faults.lost_write = 500;
        faults.misdirected = 500;
    }
    sim_disk_faults(w->disk, &faults);
    if (world_chance(w, 700000)) {
        sim_disk_crash_at(w->disk, 1 + world_below(w, 3000));
    }
}

/* returns true when every promise held */
static bool run_seed(uint64_t seed, bool verbose, struct life *l)
{
    memset(l, 0, sizeof(*l));
    world_init(&l->w, seed, verbose);
    l->w.lying = world_chance(&l->w, 50000);
    l->rots = !l->w.lying && world_chance(&l->w, 50000);
    model_init(&l->m, &l->w);
    readers_init(&l->readers, &l->m);
    uint32_t lives = 1 + (uint32_t)world_below(&l->w, 5);
    bool up = true;
    for (uint32_t i = 0; i < lives && up && l->w.violation[0] == 0; i++) {
        up = verify(l);
        if (up) {
            choose_faults(l);
            bool whole = work(l, 500 + world_below(&l->w, 4000));
            end_life(l, !whole);
            sim_disk_faults(l->w.disk, &(struct sim_faults){0});
            l->w.read_errors = false;
            if (l->rots && world_chance(&l->w, 600000)) {
                l->rot = rot_make(&l->w, l->stopped);
                say(l, l->rot.path, (long long)l->rot.pos, l->rot.harmless);
            }
        }
    }
    if (up && l->w.violation[0] == 0) {
        verify(l);
    }
    producers_restart(l);
    bool good = l->w.violation[0] == 0;
    return good;
}

static void report(uint64_t seed, struct life *l)
{
    printf("seed %llu: %s: %llu steps, %u batches sent, %llu answers, %u crashes, trace %016llx\n",
           (unsigned long long)seed, l->w.violation[0] == 0 ? "ok" : "FAILED", (unsigned long long)l->w.steps,
           l->m.sent_count, (unsigned long long)l->appends, l->crashes, (unsigned long long)l->w.trace);
    if (l->w.violation[0] != 0) {
        printf("  %s\n  again: evlog-sim --seed %llu -v\n", l->w.violation, (unsigned long long)seed);
    }
}

static uint64_t running_seed;

/* An assertion of the engine failed: say in which seed. */
static void on_abort(int signal_number)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "in seed %llu\n", (unsigned long long)running_seed);
    (void)signal_number;
    (void)!write(2, text, (size_t)len);
}

static void log_drop(void *arg, enum el_log_level level, const char *area, const char *text)
{
    (void)arg, (void)level, (void)area, (void)text;
}

/* A process that just ends leaves its heap to nobody; what is left after a clean stop is counted (world.c). */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int main(int argc, char **argv)
{
    uint64_t seeds = 50, from = 1, one = 0;
    bool verbose = false, hash = false, broker = false;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "-v") == 0) {
            verbose = true;
        } else if (strcmp(argv[i], "--hash") == 0) {
            hash = true;
        } else if (more && strcmp(argv[i], "--mode") == 0) {
            broker = strcmp(argv[++i], "broker") == 0;
        } else if (more && strcmp(argv[i], "--seeds") == 0) {
            seeds = strtoull(argv[++i], NULL, 10);
        } else if (more && strcmp(argv[i], "--from") == 0) {
            from = strtoull(argv[++i], NULL, 10);
        } else if (more && strcmp(argv[i], "--seed") == 0) {
            one = strtoull(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "usage: evlog-sim [--mode store|broker] [--seeds N] [--from S] [--seed S] [--hash] [-v]\n");
            return 2;
        }
    }
    el_log_setup(verbose ? EL_LOG_DEBUG : EL_LOG_ERROR, false);
    if (!verbose) {
        el_log_sink(log_drop, NULL);
    }
    signal(SIGABRT, on_abort);
    from = one != 0 ? one : from;
    seeds = one != 0 ? 1 : seeds;
    if (broker) {
        return broker_main(&(struct broker_run){from, seeds, verbose, hash, &running_seed});
    }
    uint64_t passed = 0, failed = 0, steps = 0, batches = 0, crashes = 0, refused = 0;
    struct life *l = malloc(sizeof(*l));
    EL_ASSERT(l != NULL);
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        running_seed = seed;
        bool good = run_seed(seed, verbose, l);
        passed += good;
        failed += !good;
        steps += l->w.steps;
        batches += l->m.events_stored + l->appends;
        crashes += l->crashes;
        refused += l->refused_starts;
        world_free(&l->w);
        if (!good || one != 0) {
            report(seed, l);
        }
        model_free(&l->m);
    }
    free(l);
    printf("%llu steps, %llu batches stored, %llu crashes, %llu starts refused on lying devices\n",
           (unsigned long long)steps, (unsigned long long)batches, (unsigned long long)crashes,
           (unsigned long long)refused);
    printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)failed);
    return failed == 0 ? 0 : 1;
}
