/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client does to a store on the simulated machine. Everything is decided by the number of the start
 * (client.life): two machines with the same disk and the same client do the same.
 */
#include "workload.h"

#include <core/assert.h>
#include <core/hash.h>
#include <stdio.h>
#include <stdlib.h>
#include <storage/shard_state.h>

#define BATCH_ROOM (16u << 10)
#define CHUNK_LEN 4096u    /* pending bytes at which a chunk is written */
#define CARRY_LEN 512u     /* a smaller remainder goes back to the journal */
#define VALUE_LEN 1400u    /* of an append: three sectors, and three of them make a chunk */
#define NEIGHBOUR_LEN 200u /* of the other topic's: carried */
#define ROLL_LEN 4400u     /* a chunk by itself */
#define APPENDS_MAX 3u     /* of one action */
#define SETTLE_STEPS_MAX 5000u
#define LIFE_NS 1000000000000ull /* a machine starts so long after the one before */

enum stage { STAGE_TOPIC, STAGE_ASKED, STAGE_ROLL, STAGE_SEAL, STAGE_DONE };

/* One thing that was asked for. */
struct action {
    enum verb verb;
    enum stage stage;
    uint32_t topic;
    uint32_t append_count;
    uint32_t sent[APPENDS_MAX];
    bool flags[APPENDS_MAX]; /* an answer has come */
    struct machine *machine;
    uint64_t checkpoint; /* it is done when the shard's newest one is above this */
    uint8_t *batches[APPENDS_MAX];
    struct append_op appends[APPENDS_MAX];
    struct topic_op topic_op;
    struct trim_op trim;
    struct topic_config config;
};

const char *verb_name(enum verb verb)
{
    static const char *const names[VERB_COUNT] = {"append", "roll", "checkpoint", "delete", "trim", "restart"};
    return names[verb];
}

/* --- client ------------------------------------------------------------------------------------------------------- */

void client_copy(struct client *out, const struct client *from)
{
    *out = *from;
    out->m.sent = malloc(SENT_MAX * sizeof(*out->m.sent));
    EL_ASSERT(out->m.sent != NULL);
    out->m.sent_room = SENT_MAX;
    if (from->m.sent_count > 0) {
        memcpy(out->m.sent, from->m.sent, from->m.sent_count * sizeof(*out->m.sent));
    }
}

void client_free(struct client *c)
{
    model_free(&c->m);
}

static uint64_t mix(uint64_t digest, uint64_t v)
{
    digest = (digest ^ v) * 0x9e3779b97f4a7c15ull;
    return digest ^ digest >> 29;
}

uint64_t client_digest(const struct client *c)
{
    uint64_t digest = mix(mix(c->life, (uint64_t)c->producer_id), (uint64_t)c->epoch * 2 + c->stopping);
    for (uint32_t i = 0; i < c->m.topic_count; i++) {
        const struct model_topic *t = &c->m.topics[i];
        const struct model_partition *p = &t->partitions[0];
        digest = mix(mix(digest, t->state), el_xxh3(&t->id, sizeof(t->id)));
        digest = mix(mix(digest, (uint64_t)t->partition_count), (uint64_t)t->partition_asked);
        digest = mix(mix(digest, (uint64_t)p->log_start_min), (uint64_t)p->log_start_max);
        digest = mix(mix(digest, (uint64_t)p->end_shown), (uint64_t)c->next_sequence[i]);
    }
    for (uint32_t i = 0; i < c->m.sent_count; i++) {
        const struct sent *s = &c->m.sent[i];
        digest = mix(mix(mix(digest, s->state), (uint64_t)s->offset), s->append_ns);
        digest = mix(mix(digest, s->topic), c->value_len[i]);
    }
    return digest;
}

/* --- machine ------------------------------------------------------------------------------------------------------ */

static void machine_power(struct machine *m, struct sim_disk *take_disk)
{
    world_init(&m->w, 1000 + m->c.life, 1, false);
    if (take_disk != NULL) {
        sim_disk_free(m->w.disk);
        m->w.disk = take_disk;
        m->w.trace = sim_disk_trace(take_disk);
    }
    sim_disk_fault_set(m->w.disk, FAULT_JOB_PAUSE, 0);
    m->w.clock.now_ns = (1 + m->c.life) * LIFE_NS;
    struct store_config *cfg = &m->w.cfg;
    m->w.shard_count = cfg->shard_count = 1;
    cfg->journal_slot_len = cfg->journal_first_slot_len = 16u << 10;
    cfg->journal_ring_len = 8 * cfg->journal_slot_len;
    cfg->adaptive_commit = true;
    cfg->chunk_len = CHUNK_LEN;
    cfg->carry_len = CARRY_LEN;
    cfg->open_segments_max = 4;
    cfg->sync_files_max = 64;
    cfg->retention_interval_ms = 86400000; /* what is rolled is rolled by a workload */
    m->c.m.w = &m->w;
}

void machine_init(struct machine *m)
{
    memset(m, 0, sizeof(*m));
    struct client nothing = {.producer_id = -1, .epoch = -1};
    client_copy(&m->c, &nothing);
    machine_power(m, NULL);
}

void machine_free(struct machine *m)
{
    client_free(&m->c);
    world_free(&m->w);
}

void machine_become(struct machine *m, struct sim_disk *take_disk, const struct client *c)
{
    memset(m, 0, sizeof(*m));
    client_copy(&m->c, c);
    machine_power(m, take_disk);
}

/* The client has learned something: a crash from now on meets another client. */
static void told(struct machine *m)
{
    if (m->point != NULL) {
        m->point(m->point_arg);
    }
}

/* An epoch that two runs share, of which the first did not stop well, hides what it did not keep. */
static void look_at_epoch(struct machine *m)
{
    struct client *c = &m->c;
    int32_t epoch = store_leader_epoch(m->w.store);
    if (epoch < c->epoch || (epoch == c->epoch && !c->stopping)) {
        world_violation(&m->w, "the leader epoch is %d after %d", epoch, c->epoch);
    }
    c->epoch = epoch;
    c->stopping = false;
    told(m);
}

int machine_try(struct machine *m, struct el_error *err)
{
    m->c.life++;
    int code = world_open(&m->w, err);
    if (code == 0) {
        look_at_epoch(m);
    }
    return code;
}

bool machine_start(struct machine *m)
{
    struct el_error err = {0};
    if (machine_try(m, &err) != 0) {
        world_violation(&m->w, "a start was refused: %s", err.text);
    }
    return m->w.violation[0] == 0;
}

bool machine_stop(struct machine *m)
{
    m->c.stopping = true;
    told(m);
    if (world_stop(&m->w) && !m->w.stopped_well) {
        world_violation(&m->w, "a stop left no clean mark");
    }
    return m->w.violation[0] == 0;
}

void machine_kill(struct machine *m)
{
    world_abandon(&m->w);
}

static struct store_shard *shard_of(struct machine *m)
{
    return store_shard_at(m->w.store, 0);
}

bool machine_settle(struct machine *m)
{
    const struct store_shard *shard = shard_of(m);
    const struct checkpoint *c = &shard->checkpoint;
    for (uint32_t i = 0; i < SETTLE_STEPS_MAX; i++) {
        const struct journal *j = &shard->journal;
        bool quiet = i > 20 && journal_idle(j) && j->marked_sequence == j->durable_sequence && shard->jobs == 0 &&
                     checkpoint_idle(c) && !c->wanted;
        if (quiet) {
            return true;
        }
        if (!world_step(&m->w)) {
            return false;
        }
        if (world_failed_shard(&m->w)) {
            world_violation(&m->w, "a shard stopped: %s", store_not_ready_reason(m->w.store));
            return false;
        }
    }
    world_violation(&m->w, "stuck: the store never comes to rest");
    return false;
}

/* --- topics ------------------------------------------------------------------------------------------------------- */

static void on_topic(struct store_op *base)
{
    struct action *a = base->arg;
    struct model_topic *t = &a->machine->c.m.topics[a->topic];
    a->flags[0] = true;
    if (base->error != 0) {
        world_violation(&a->machine->w, "a change of the catalogue failed: %s", evlog_error_text(base->error));
        return;
    }
    t->state = a->topic_op.verb == TOPIC_CREATE ? TOPIC_THERE : TOPIC_GONE;
    t->id = a->topic_op.id;
    t->partition_count = t->partition_asked;
    told(a->machine);
}

static void topic_create(struct action *a)
{
    struct model *model = &a->machine->c.m;
    EL_ASSERT(model->topic_count < MODEL_TOPICS_MAX);
    a->topic = model->topic_count++;
    struct model_topic *t = &model->topics[a->topic];
    snprintf(t->name, sizeof(t->name), "topic-%u", a->topic);
    t->partition_asked = 1;
    t->state = TOPIC_MAYBE;
    topic_config_init(&a->config);
    a->topic_op = (struct topic_op){.base = {.done = on_topic, .arg = a},
                                    .verb = TOPIC_CREATE,
                                    .name = el_slice_str(t->name),
                                    .partition_count = 1,
                                    .config = &a->config};
    a->flags[0] = false;
    store_topic_change(shard_of(a->machine), &a->topic_op);
}

static void topic_delete(struct action *a)
{
    struct model_topic *t = &a->machine->c.m.topics[a->topic];
    t->state = TOPIC_MAYBE_GONE;
    a->topic_op = (struct topic_op){.base = {.done = on_topic, .arg = a}, .verb = TOPIC_DELETE, .id = t->id};
    store_topic_change(shard_of(a->machine), &a->topic_op);
}

/* The first topic from `from` on that is there; UINT32_MAX none. */
static uint32_t topic_from(const struct model *model, uint32_t from)
{
    for (uint32_t i = from; i < model->topic_count; i++) {
        if (model->topics[i].state == TOPIC_THERE) {
            return i;
        }
    }
    return UINT32_MAX;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

static void on_append(struct store_op *base)
{
    struct append_op *op = EL_CONTAINER(base, struct append_op, base);
    struct action *a = base->arg;
    struct machine *m = a->machine;
    uint32_t i = (uint32_t)(op - a->appends);
    struct sent *s = &m->c.m.sent[a->sent[i]];
    a->flags[i] = true;
    if (base->error != 0) {
        if (m->c.m.topics[s->topic].state == TOPIC_THERE) {
            world_violation(&m->w, "an append failed: %s", evlog_error_text(base->error));
        }
        return;
    }
    if (s->state == SENT_STORED && s->offset != op->base_offset) {
        world_violation(&m->w, "batch %llu was acknowledged at %lld and again at %lld", (unsigned long long)s->id,
                        (long long)s->offset, (long long)op->base_offset);
    }
    s->state = SENT_STORED;
    s->offset = op->base_offset;
    s->append_ns = op->append_time_ns;
    told(m);
}

/* Ask for a sent batch to be appended. */
static void append_ask(struct action *a, uint32_t sent)
{
    struct client *c = &a->machine->c;
    const struct sent *s = &c->m.sent[sent];
    uint32_t i = a->append_count++;
    a->sent[i] = sent;
    a->flags[i] = false;
    a->batches[i] = malloc(BATCH_ROOM);
    EL_ASSERT(a->batches[i] != NULL);
    struct append_op *op = &a->appends[i];
    *op = (struct append_op){
        .base = {.done = on_append, .arg = a}, .topic_id = c->m.topics[s->topic].id, .batch = a->batches[i]};
    int64_t pid = s->first_sequence < 0 ? -1 : c->producer_id;
    op->batch_len = (uint32_t)model_batch(&c->m, s, pid, c->value_len[sent], a->batches[i], BATCH_ROOM);
    int code = el_batch_check(op->batch, op->batch_len, BATCH_ROOM, NULL, 0, &op->info);
    EL_ASSERT(code == 0);
    store_append(shard_of(a->machine), op);
}

/* A new batch with one record; idempotent ones have a sequence. */
static uint32_t batch_new(struct client *c, uint32_t topic, uint32_t value_len, bool idempotent)
{
    int32_t sequence = idempotent ? c->next_sequence[topic]++ : -1;
    uint32_t sent = model_send(&c->m, topic, 0, 0, 1, sequence);
    EL_ASSERT(sent < SENT_MAX);
    c->value_len[sent] = value_len;
    return sent;
}

static void action_free(struct action *a)
{
    for (uint32_t i = 0; i < a->append_count; i++) {
        free(a->batches[i]);
    }
    a->append_count = 0;
}

/* --- actions ------------------------------------------------------------------------------------------------------ */

static void trim_on_done(struct store_op *base)
{
    struct action *a = base->arg;
    struct model_partition *p = &a->machine->c.m.topics[a->topic].partitions[0];
    a->flags[0] = true;
    if (base->error == 0) {
        p->log_start_min = EL_MAX(p->log_start_min, a->trim.log_start_offset);
        told(a->machine);
    } else if (a->machine->c.m.topics[a->topic].state == TOPIC_THERE) {
        world_violation(&a->machine->w, "a trim failed: %s", evlog_error_text(base->error));
    }
}

/* Half of what is known to be there. */
static void trim_ask(struct action *a)
{
    const struct model *model = &a->machine->c.m;
    struct model_partition *p = &a->machine->c.m.topics[a->topic].partitions[0];
    int64_t end = p->log_start_min;
    for (uint32_t i = 0; i < model->sent_count; i++) {
        const struct sent *s = &model->sent[i];
        if (s->topic == a->topic && s->state == SENT_STORED) {
            end = EL_MAX(end, s->offset + s->record_count);
        }
    }
    int64_t offset = p->log_start_min + (end - p->log_start_min + 1) / 2;
    p->log_start_max = EL_MAX(p->log_start_max, offset);
    a->trim = (struct trim_op){
        .base = {.done = trim_on_done, .arg = a}, .topic_id = model->topics[a->topic].id, .offset = offset};
    store_trim(shard_of(a->machine), &a->trim);
}

/* The topic is there: now what the action is about. */
static void action_ask(struct action *a)
{
    struct client *c = &a->machine->c;
    uint32_t neighbour = topic_from(&c->m, a->topic + 1);
    a->stage = STAGE_ASKED;
    memset(a->flags, 0, sizeof(a->flags));
    switch (a->verb) {
    case VERB_APPEND:
    case VERB_ROLL:
        append_ask(a, batch_new(c, a->topic, a->verb == VERB_ROLL ? ROLL_LEN : VALUE_LEN, true));
        if (a->verb == VERB_APPEND) {
            append_ask(a, a->sent[0]); /* without patience: once more while it is under way */
        }
        if (neighbour != UINT32_MAX) {
            append_ask(a, batch_new(c, neighbour, NEIGHBOUR_LEN, true));
        }
        break;
    case VERB_DELETE:
        topic_delete(a);
        break;
    case VERB_TRIM:
        trim_ask(a);
        break;
    case VERB_CHECKPOINT:
    case VERB_RESTART:
    case VERB_COUNT:
        break;
    }
}

static void action_begin(struct machine *m, struct action *a, enum verb verb)
{
    struct checkpoint *c = &shard_of(m)->checkpoint;
    memset(a, 0, sizeof(*a));
    a->machine = m;
    a->verb = verb;
    if (verb == VERB_CHECKPOINT) {
        a->checkpoint = c->sequence + !checkpoint_idle(c); /* one under way does not count */
        c->wanted = true;
    }
    if (verb == VERB_CHECKPOINT || verb == VERB_RESTART) {
        a->stage = STAGE_ASKED;
        return;
    }
    a->topic = topic_from(&m->c.m, 0);
    if (a->topic == UINT32_MAX) {
        a->stage = STAGE_TOPIC;
        topic_create(a);
        return;
    }
    action_ask(a);
}

/* The batch is in a segment: begin the next one, and write the footer. */
static void roll(struct action *a)
{
    struct model_topic *t = &a->machine->c.m.topics[a->topic];
    struct partition *part = partition_find(shard_of(a->machine), &t->id, 0);
    a->stage = STAGE_SEAL;
    if (part != NULL) {
        segment_roll_old(part, UINT64_MAX);
        segment_seal_rolled(part);
    }
}

/* A clean stop and a start. */
static void restart(struct machine *m)
{
    if (machine_stop(m)) {
        sim_disk_process_exit(m->w.disk);
        machine_start(m);
    }
}

/* Go on with an action; true when it is done. `alone`: nothing else is under way. */
static bool action_go(struct action *a, bool alone)
{
    struct machine *m = a->machine;
    bool answered = a->flags[0];
    for (uint32_t i = 1; i < a->append_count; i++) {
        answered = answered && a->flags[i];
    }
    switch (a->stage) {
    case STAGE_TOPIC:
        if (a->flags[0]) {
            action_ask(a);
        }
        break;
    case STAGE_ASKED:
        if (a->verb == VERB_CHECKPOINT) {
            a->stage = shard_of(m)->checkpoint.sequence > a->checkpoint ? STAGE_DONE : STAGE_ASKED;
        } else if (a->verb == VERB_RESTART && alone) {
            restart(m);
            a->stage = STAGE_DONE;
        } else if (answered) {
            a->stage = a->verb == VERB_ROLL ? STAGE_ROLL : STAGE_DONE;
        }
        break;
    case STAGE_ROLL:
        if (shard_of(m)->chunk_jobs == 0 && el_list_empty(&shard_of(m)->behind)) {
            roll(a);
        }
        break;
    case STAGE_SEAL:
        a->stage = shard_of(m)->jobs == 0 ? STAGE_DONE : STAGE_SEAL;
        break;
    case STAGE_DONE:
        break;
    }
    return a->stage == STAGE_DONE;
}

static void on_bound(struct store_op *base)
{
    bool *came = base->arg;
    *came = true;
}

/* Somebody asks for the ends of the topics while things go on: what he is told stays true. */
static void look_at_bounds(struct machine *m)
{
    struct model *model = &m->c.m;
    for (uint32_t t = topic_from(model, 0); t != UINT32_MAX; t = topic_from(model, t + 1)) {
        struct model_partition *p = &model->topics[t].partitions[0];
        int64_t bounds[2] = {-1, -1}, start = p->log_start_min, end = p->end_shown;
        for (int i = 0; i < 2; i++) {
            bool came = false;
            struct lookup_op op = {.base = {.done = on_bound, .arg = &came},
                                   .topic_id = model->topics[t].id,
                                   .timestamp = i == 0 ? -2 : -1,
                                   .current_leader_epoch = -1};
            store_lookup(shard_of(m), &op);
            EL_ASSERT(came); /* there is one shard, and nothing is read */
            bounds[i] = op.base.error == 0 ? op.offset : -1;
        }
        if (bounds[0] > start) {
            model_see_start(model, t, 0, bounds[0]);
        }
        if (bounds[1] >= 0) {
            model_see_end(model, t, 0, end, bounds[1]);
        }
        if (p->log_start_min != start || p->end_shown != end) {
            told(m);
        }
    }
}

/* Step until the actions are done. */
static bool actions_wait(struct machine *m, struct action *actions, uint32_t count)
{
    for (uint32_t i = 0; i < SETTLE_STEPS_MAX && m->w.violation[0] == 0; i++) {
        uint32_t left = 0;
        look_at_bounds(m);
        for (uint32_t k = 0; k < count && m->w.violation[0] == 0; k++) {
            left += !action_go(&actions[k], left == 0);
        }
        if (left == 0 && m->w.violation[0] == 0) {
            return true;
        }
        if (m->w.violation[0] == 0 && !world_step(&m->w)) {
            return false;
        }
    }
    world_violation(&m->w, "stuck: something that was asked for never ended");
    return false;
}

bool machine_work(struct machine *m, const enum verb *verbs, uint32_t count, bool together,
                  void (*before)(void *arg, uint32_t index), void *arg)
{
    static struct action actions[ACTIONS_MAX];
    bool good = true;
    uint32_t begun = 0;
    EL_ASSERT(count <= ACTIONS_MAX);
    for (; begun < count && good; begun++) {
        if (before != NULL) {
            before(arg, begun);
        }
        bool restarts = verbs[begun] == VERB_RESTART;
        good = !restarts || actions_wait(m, actions, begun); /* what follows a restart is asked for after it */
        if (good) {
            action_begin(m, &actions[begun], verbs[begun]);
            good = (together && !restarts) || actions_wait(m, &actions[begun], 1);
        }
    }
    good = good && actions_wait(m, actions, begun) && machine_settle(m);
    for (uint32_t i = 0; i < begun; i++) {
        action_free(&actions[i]);
    }
    return good;
}

/* --- prepare and look --------------------------------------------------------------------------------------------- */

bool machine_topic(struct machine *m)
{
    static struct action a;
    a = (struct action){.machine = m, .verb = VERB_COUNT};
    topic_create(&a);
    return world_wait(&m->w, &a.flags[0]) && m->w.violation[0] == 0;
}

bool machine_prepare(struct machine *m, bool used)
{
    static const enum verb use[] = {VERB_ROLL, VERB_APPEND, VERB_APPEND, VERB_CHECKPOINT, VERB_APPEND};
    bool good = machine_start(m) && machine_topic(m) && machine_topic(m);
    good = good && model_producer_id(&m->c.m, &m->c.producer_id) && m->c.producer_id >= 0;
    if (good) {
        told(m);
    }
    good = good && machine_settle(m);
    return good && (!used || machine_work(m, use, sizeof(use) / sizeof(use[0]), false, NULL, NULL));
}

/* The last stored batch of each topic once more, as a client sends it whose answer was lost: it stands where it did. */
static bool look_at_repeats(struct machine *m)
{
    static struct action a;
    for (uint32_t t = 0; t < m->c.m.topic_count; t++) {
        uint32_t last = UINT32_MAX;
        for (uint32_t i = 0; i < m->c.m.sent_count; i++) {
            const struct sent *s = &m->c.m.sent[i];
            if (s->topic == t && s->state == SENT_STORED && s->first_sequence >= 0) {
                last = i;
            }
        }
        if (m->c.m.topics[t].state != TOPIC_THERE || last == UINT32_MAX) {
            continue;
        }
        uint64_t append_ns = m->c.m.sent[last].append_ns;
        a = (struct action){.machine = m, .verb = VERB_APPEND, .topic = t};
        append_ask(&a, last);
        bool came = world_wait(&m->w, &a.flags[0]);
        action_free(&a);
        if (came && !a.appends[0].duplicate) {
            world_violation(&m->w, "batch %u was stored and is taken again", last + 1);
        }
        m->c.m.sent[last].append_ns = append_ns;
        if (!came || m->w.violation[0] != 0) {
            return false;
        }
    }
    return true;
}

bool machine_look(struct machine *m)
{
    model_check_catalogue(&m->c.m);
    return m->w.violation[0] == 0 && model_check_log(&m->c.m) && look_at_repeats(m);
}

bool machine_goes_on(struct machine *m)
{
    static struct action a;
    int64_t producer_id = -1;
    if (!model_producer_id(&m->c.m, &producer_id) || producer_id < 0 || producer_id == m->c.producer_id) {
        world_violation(&m->w, "producer id %lld after %lld", (long long)producer_id, (long long)m->c.producer_id);
        return false;
    }
    uint32_t topic = topic_from(&m->c.m, 0);
    if (topic == UINT32_MAX) {
        return true;
    }
    a = (struct action){.machine = m, .verb = VERB_APPEND, .topic = topic};
    append_ask(&a, batch_new(&m->c, topic, NEIGHBOUR_LEN, false));
    bool came = world_wait(&m->w, &a.flags[0]);
    action_free(&a);
    return came && m->w.violation[0] == 0 && model_check_log(&m->c.m);
}
