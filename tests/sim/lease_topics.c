/* SPDX-License-Identifier: Apache-2.0
 *
 * See lease_topics.h.
 */
#include "lease_topics.h"

#include <core/assert.h>
#include <lease/lease_record.h>
#include <stdio.h>
#include <storage/partition.h>

#define DELETED_MAX 4u       /* topics of a kind in a seed */
#define AGAIN_PPM 50000u     /* what failed, in each step */
#define EXPIRE_MS_MAX 20000u /* events live so long at most */
/* Letters of a partition that are taken in one turn with the end of it: mostly none, at most all that are under way. */
#define LAST_TURN LEASE_INTENTS_MAX

bool lease_topic_there(const struct lease_life *l, uint32_t topic)
{
    const struct lease_topics *t = &l->topics;
    return t->state == TOPICS_WHOLE || t->kind != TOPIC_OF_EVENTS || t->topic != topic;
}

static struct store_shard *shard_of(struct lease_life *l)
{
    return store_shard_at(l->w.store, 0);
}

static void set_number(struct topic_config *config, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    int code = topic_config_set(config, el_slice_str(name), el_slice_str(text), NULL);
    EL_ASSERT(code == 0);
}

void lease_topics_config(struct lease_life *l, uint32_t topic, struct topic_config *config)
{
    struct world *w = &l->w;
    topic_config_init(config);
    if (l->topics.expire[topic]) {
        set_number(config, "retention.ms", 500 + world_below(w, EXPIRE_MS_MAX));
        set_number(config, "segment.ms", 200 + world_below(w, 5000));
    }
}

/* --- what has expired --------------------------------------------------------------------------------------------- */

/* On whichever shard: a shard may know later than others that its topic is gone. */
static const struct partition *partition_of(struct lease_life *l, const struct el_uuid *id, int32_t partition)
{
    const struct partition *part = NULL;
    for (uint32_t i = 0; i < l->w.shard_count && part == NULL; i++) {
        part = partition_find(store_shard_at(l->w.store, i), id, partition);
    }
    return part;
}

static void look_at(struct lease_life *l, uint32_t topic, int32_t partition)
{
    struct lease_log *log = lease_model_log(&l->m, topic, partition);
    const struct partition *part = partition_of(l, &l->topic_ids[topic], partition);
    if (part == NULL || part->log_start <= log->trimmed) {
        return;
    }
    for (uint32_t i = 0; i < l->worker_count; i++) {
        const struct worker *k = &l->workers[i];
        bool here = k->session != 0 && k->topic == topic && k->partition == partition;
        for (uint32_t n = 0; n < k->held_count && here; n++) {
            l->w.events[EVENT_LEASED_EXPIRED] += k->held[n].offset >= log->trimmed &&
                                                 k->held[n].offset < part->log_start;
        }
    }
    log->trimmed = part->log_start;
    sim_disk_fault_count(l->w.disk, FAULT_EVENTS_EXPIRE);
}

void lease_topics_look(struct lease_life *l)
{
    for (uint32_t t = 0; t < l->m.topic_count && l->w.store != NULL; t++) {
        for (int32_t p = 0; p < l->m.partition_count && l->topics.expire[t]; p++) {
            look_at(l, t, p);
        }
    }
}

/* --- deleting ----------------------------------------------------------------------------------------------------- */

static void on_done(struct store_op *base)
{
    struct lease_life *l = base->arg;
    l->topics.busy = false;
}

static void ask(struct lease_life *l)
{
    struct lease_topics *t = &l->topics;
    t->op = (struct topic_op){.base = {.done = on_done, .arg = l}};
    if (t->state == TOPICS_DELETING) {
        t->op.verb = TOPIC_DELETE;
        t->op.id = t->id;
    } else {
        t->op.verb = TOPIC_CREATE;
        t->op.name = el_slice_str(t->name);
        t->op.config = &t->config;
        t->op.partition_count = t->kind == TOPIC_OF_EMITS ? EMIT_PARTITIONS : l->m.partition_count;
    }
    t->busy = true;
    store_topic_change(store_shard_at(l->w.store, (uint32_t)world_below(&l->w, l->w.shard_count)), &t->op);
}

static struct lease_log *log_of(struct lease_life *l, int32_t partition)
{
    return lease_model_log(&l->m, l->topics.topic, partition);
}

/* What is in its partitions, for as long as they are there, and what may come in the turn that ends them. returns
 * false: none is */
static bool look_at_ends(struct lease_life *l)
{
    bool there = false;
    for (int32_t p = 0; p < l->m.partition_count; p++) {
        const struct partition *part = partition_of(l, &l->topics.id, p);
        there = there || part != NULL;
        l->topics.ends[p] = part != NULL ? part->next_offset + LAST_TURN : l->topics.ends[p];
    }
    return there;
}

static void letters_gone(struct lease_life *l, bool known)
{
    const struct lease_topics *t = &l->topics;
    lease_work_late(l);
    for (int32_t p = 0; p < l->m.partition_count; p++) {
        lease_model_letters_gone(&l->m, log_of(l, p), t->group, known ? t->ends[p] : -1);
    }
    for (uint32_t i = 0; i < l->worker_count; i++) { /* what they are told now may have been before it */
        struct worker *k = &l->workers[i];
        k->asked = k->busy && k->group == t->group && k->topic == t->topic ? 0 : k->asked;
    }
}

/* It is gone for sure. */
static void gone(struct lease_life *l)
{
    struct lease_topics *t = &l->topics;
    static const enum sim_fault faults[] = {[TOPIC_OF_EVENTS] = FAULT_TOPIC_DELETED,
                                            [TOPIC_OF_LETTERS] = FAULT_DEAD_TOPIC_DELETED,
                                            [TOPIC_OF_EMITS] = FAULT_EMIT_TOPIC_DELETED};
    world_say(&l->w, t->name, 0, 0);
    world_say(&l->w, "is deleted; kind", (long long)t->kind, 0);
    sim_disk_fault_count(l->w.disk, faults[t->kind]);
    t->deleted[t->kind]++;
    t->state = t->kind == TOPIC_OF_LETTERS ? TOPICS_WHOLE : TOPICS_MAKING;
    topic_config_init(&t->config);
    if (t->kind == TOPIC_OF_EMITS) {
        lease_emits_config(t->topic, &t->config);
    }
    switch (t->kind) {
    case TOPIC_OF_EVENTS:
        for (int32_t p = 0; p < l->m.partition_count; p++) {
            lease_model_deleted(&l->m, log_of(l, p));
        }
        t->generations[t->topic]++;
        t->expire[t->topic] = false;
        snprintf(l->topic_names[t->topic], sizeof(l->topic_names[0]), "t%u-%u", t->topic, t->generations[t->topic]);
        snprintf(t->name, sizeof(t->name), "%s", l->topic_names[t->topic]);
        break;
    case TOPIC_OF_LETTERS:
        letters_gone(l, true);
        lease_emits_letters_gone(&l->emits, t->group, t->topic);
        break;
    case TOPIC_OF_EMITS:
    case LEASE_TOPIC_KINDS:
        break;
    }
}

/* There is one again. */
static void made(struct lease_life *l, const struct el_uuid *id)
{
    struct lease_topics *t = &l->topics;
    t->state = TOPICS_WHOLE;
    if (t->kind == TOPIC_OF_EVENTS) {
        l->topic_ids[t->topic] = *id;
    } else {
        lease_emits_anew(&l->emits, t->topic, id);
    }
}

/* there: a shard still takes what is for the topic that is deleted. */
static void go_on(struct lease_life *l, bool there)
{
    struct lease_topics *t = &l->topics;
    const struct topic *found;
    if (t->state == TOPICS_DELETING) {
        found = store_topic_by_id(shard_of(l), &t->id);
        if (found == NULL && !there) {
            gone(l);
        } else if (found != NULL && world_chance(&l->w, AGAIN_PPM)) {
            ask(l);
        }
        return;
    }
    found = store_topic_by_name(shard_of(l), el_slice_str(t->name));
    if (found != NULL) {
        made(l, &found->id);
    } else if (world_chance(&l->w, AGAIN_PPM)) {
        ask(l);
    }
}

/* --- beginning ---------------------------------------------------------------------------------------------------- */

/* Which one, of a kind. returns false: none now */
static bool choose(struct lease_life *l, enum lease_topic_kind kind)
{
    struct lease_topics *t = &l->topics;
    struct world *w = &l->w;
    t->topic = (uint32_t)world_below(w, kind == TOPIC_OF_EMITS ? EMIT_TOPICS : l->m.topic_count);
    t->group = (uint32_t)world_below(w, l->m.group_count);
    if (kind == TOPIC_OF_EMITS) {
        snprintf(t->name, sizeof(t->name), "%s", lease_emits_topic(t->topic));
    } else if (kind == TOPIC_OF_EVENTS) {
        snprintf(t->name, sizeof(t->name), "%s", l->topic_names[t->topic]);
    } else {
        group_config_dead_topic(NULL, el_slice_str(l->topic_names[t->topic]), el_slice_str(l->m.groups[t->group].id),
                                t->name);
    }
    const struct topic *found = store_topic_by_name(shard_of(l), el_slice_str(t->name));
    if (found == NULL || (kind == TOPIC_OF_LETTERS && t->expire[t->topic])) {
        return false; /* letters of an expiring topic are kept: its own settings would let them expire as well */
    }
    t->id = found->id;
    return true;
}

static void begin(struct lease_life *l, enum lease_topic_kind kind, enum sim_fault fault)
{
    struct lease_topics *t = &l->topics;
    if (t->state != TOPICS_WHOLE || t->deleted[kind] >= DELETED_MAX ||
        !world_chance(&l->w, sim_disk_fault_ppm(l->w.disk, fault)) || !choose(l, kind)) {
        return;
    }
    t->kind = kind;
    t->state = TOPICS_DELETING;
    if (kind == TOPIC_OF_LETTERS) {
        look_at_ends(l);
        letters_gone(l, false);
    }
    ask(l);
    if (world_chance(&l->w, l->w.knobs.ppm[FAULT_CRASH] > 0 ? 300000 : 0)) {
        sim_disk_crash_at(l->w.disk, 1 + world_below(&l->w, 60)); /* parts end in the next life */
    }
}

void lease_topics_step(struct lease_life *l)
{
    struct lease_topics *t = &l->topics;
    lease_topics_look(l);
    if (t->state != TOPICS_WHOLE) {
        bool there = t->state == TOPICS_DELETING && look_at_ends(l);
        if (!t->busy) {
            go_on(l, there);
        }
        return;
    }
    if (l->behave || l->acts.moving || l->acts.ending) {
        return;
    }
    begin(l, TOPIC_OF_EVENTS, FAULT_TOPIC_DELETED);
    begin(l, TOPIC_OF_LETTERS, FAULT_DEAD_TOPIC_DELETED);
    begin(l, TOPIC_OF_EMITS, FAULT_EMIT_TOPIC_DELETED);
}

void lease_topics_lose(struct lease_life *l)
{
    l->topics.busy = false;
}

bool lease_topics_end(struct lease_life *l)
{
    uint64_t until_ns = l->w.clock.now_ns + WORLD_WAIT_NS_MIN;
    while (l->topics.state != TOPICS_WHOLE && l->w.violation[0] == 0) {
        if (!world_step(&l->w)) {
            return false;
        }
        if (l->w.clock.now_ns > until_ns) {
            world_violation(&l->w, "stuck: a topic cannot be deleted or made");
        }
    }
    return l->w.violation[0] == 0;
}
