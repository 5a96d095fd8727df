/* SPDX-License-Identifier: Apache-2.0
 *
 * See lease_model.h.
 */
#include "lease_model.h"

#include <core/assert.h>
#include <stdlib.h>

#define POISON_IN 9u /* one of so many events */

void lease_model_init(struct lease_model *m, struct world *w)
{
    memset(m, 0, sizeof(*m));
    m->w = w;
    m->owed = calloc(LEASE_NONCES_MAX, 1);
    m->paid = calloc(LEASE_NONCES_MAX, 1);
    EL_ASSERT(m->owed != NULL);
    EL_ASSERT(m->paid != NULL);
    for (uint32_t t = 0; t < LEASE_TOPICS_MAX; t++) {
        for (int32_t p = 0; p < LEASE_PARTITIONS_MAX; p++) {
            struct lease_log *log = &m->logs[t][p];
            log->partition = p;
            log->events = calloc(LEASE_EVENTS_MAX, sizeof(*log->events));
            EL_ASSERT(log->events != NULL);
        }
    }
}

void lease_model_free(struct lease_model *m)
{
    free(m->owed);
    free(m->paid);
    for (uint32_t t = 0; t < LEASE_TOPICS_MAX; t++) {
        for (int32_t p = 0; p < LEASE_PARTITIONS_MAX; p++) {
            free(m->logs[t][p].events);
        }
    }
}

void lease_model_crash(struct lease_model *m)
{
    for (uint32_t t = 0; t < LEASE_TOPICS_MAX; t++) {
        for (int32_t p = 0; p < LEASE_PARTITIONS_MAX; p++) {
            for (uint32_t g = 0; g < LEASE_GROUPS_MAX; g++) {
                m->logs[t][p].lost[g]++;
                m->logs[t][p].flying[g] = 0;
            }
        }
    }
}

struct lease_log *lease_model_log(struct lease_model *m, uint32_t topic, int32_t partition)
{
    EL_ASSERT(topic < LEASE_TOPICS_MAX);
    EL_ASSERT(partition >= 0);
    EL_ASSERT(partition < LEASE_PARTITIONS_MAX);
    return &m->logs[topic][partition];
}

void lease_model_stored(struct lease_model *m, struct lease_log *log, int64_t offset, uint8_t key, uint64_t number)
{
    EL_ASSERT(offset >= 0);
    EL_ASSERT(offset < (int64_t)LEASE_EVENTS_MAX);
    struct lease_event *event = &log->events[offset];
    if (event->known && (event->key != key || event->number != number)) {
        world_violation(m->w, "the event at offset %lld is another one", (long long)offset);
    }
    event->known = true;
    event->key = key;
    event->number = number;
    event->poison = number % POISON_IN == 0;
    log->end = EL_MAX(log->end, offset + 1);
}

static bool passes(const struct lease_model *m, uint32_t group, const struct lease_event *event)
{
    return m->groups[group].filters && event->number % LEASE_FILTER_OF == 0;
}

/* Has it been rejected, or delivered as often as it may be? */
static bool may_die(const struct lease_model *m, const struct lease_log *log, uint32_t group,
                    const struct lease_view *view)
{
    int32_t attempts_max = m->groups[group].attempts_max;
    uint32_t unseen = log->lost[group] - view->lost_before + log->flying[group];
    return view->rejected ||
           (!m->groups[group].halts && attempts_max > 0 && view->deliveries + unseen >= (uint32_t)attempts_max);
}

/* May an event be finished, as far as is known? */
static bool may_be_finished(const struct lease_model *m, const struct lease_log *log, uint32_t group, int64_t offset)
{
    const struct lease_event *event = &log->events[offset];
    const struct lease_view *view = &event->views[group];
    return !event->known || view->ack_sent || may_die(m, log, group, view) || m->groups[group].parks ||
           view->letter_gone || passes(m, group, event) || offset < log->trimmed || offset < log->skipped[group];
}

/* May b only be delivered once a is finished? */
static bool ordered(const struct lease_model_group *group, const struct lease_event *a, const struct lease_event *b)
{
    switch (group->order) {
    case MODEL_BY_KEY:
        return a->key == b->key && a->key != 0;
    case MODEL_BY_PARTITION:
        return true;
    case MODEL_UNORDERED:
        return false;
    }
    return false;
}

/* asked: when it was asked for; what was delivered once more since then may have come back later. */
static void check_order(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t offset, uint64_t asked)
{
    const struct lease_event *event = &log->events[offset];
    for (int64_t i = 0; i < offset; i++) {
        const struct lease_event *before = &log->events[i];
        const struct lease_view *view = &before->views[group];
        bool later = log->redrives[group] > 0 && view->answered > asked;
        if (!later && !may_be_finished(m, log, group, i) && ordered(&m->groups[group], before, event)) {
            world_violation(m->w,
                            "group %s got offset %lld of partition %d before offset %lld of the same key was "
                            "finished (%u deliveries)",
                            m->groups[group].id, (long long)offset, log->partition, (long long)i, view->deliveries);
            return;
        }
    }
}

/* It was leased after all that was known of it: so it was not finished, whatever was sent before. */
static void open_again(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t offset, int32_t deliveries,
                       uint64_t asked)
{
    struct lease_view *view = &log->events[offset].views[group];
    if (log->redrives[group] == 0 && view->letter_seen > 0 && asked > view->letter_seen) {
        world_violation(m->w, "group %s got offset %lld of partition %d, which is a dead letter", m->groups[group].id,
                        (long long)offset, log->partition);
    }
    view->ack_sent = view->rejected = view->told = view->letter_gone = false;
    view->deliveries = (uint16_t)deliveries;
    view->lost_before = log->lost[group];
    view->returned = view->letters;
}

void lease_model_delivered(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t offset,
                           int32_t deliveries, uint64_t asked)
{
    struct lease_model_group *g = &m->groups[group];
    struct lease_view *view = &log->events[offset].views[group];
    m->deliveries++;
    bool fresh = asked > view->answered; /* else the answer is late, and its lease may have ended long ago */
    if (view->acked && fresh) {
        world_violation(m->w, "group %s got offset %lld of partition %d again, which it had acknowledged", g->id,
                        (long long)offset, log->partition);
    }
    if ((view->told && fresh && log->redrives[group] == 0) || passes(m, group, &log->events[offset])) {
        world_violation(m->w, "group %s got offset %lld of partition %d, which %s", g->id, (long long)offset,
                        log->partition, view->told ? "was rejected" : "its filter does not match");
    }
    if (deliveries < 1 || (g->attempts_max > 0 && deliveries > g->attempts_max)) {
        world_violation(m->w, "group %s got offset %lld of partition %d as delivery %d of %d", g->id, (long long)offset,
                        log->partition, deliveries, g->attempts_max);
    }
    uint32_t unseen = log->lost[group] - view->lost_before + log->flying[group];
    if ((uint32_t)deliveries > view->deliveries + unseen + 1) {
        world_violation(m->w, "group %s got offset %lld of partition %d as delivery %d after %u", g->id,
                        (long long)offset, log->partition, deliveries, view->deliveries);
    }
    check_order(m, log, group, offset, asked);
    if (fresh) {
        open_again(m, log, group, offset, deliveries, asked);
    } else {
        view->deliveries = (uint16_t)EL_MAX(view->deliveries, deliveries);
    }
    view->answered = ++m->clock;
}

void lease_model_buried(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t offset, bool redriven)
{
    struct lease_model_group *g = &m->groups[group];
    if (offset < 0 || offset >= log->end || !log->events[offset].known) {
        world_violation(m->w, "group %s: the dead letter of offset %lld has no event", g->id, (long long)offset);
        return;
    }
    struct lease_view *view = &log->events[offset].views[group];
    view->redriven += redriven;
    if (++view->buried <= view->buried_before + view->buried_late) {
        return;
    }
    view->letter_seen = view->letter_seen == 0 ? ++m->clock : view->letter_seen;
    if (passes(m, group, &log->events[offset])) {
        world_violation(m->w, "group %s: offset %lld of partition %d is dead, and does not match", g->id,
                        (long long)offset, log->partition);
    }
    if ((uint32_t)(view->buried - view->buried_before - view->buried_late) > 1 + log->redrives[group]) {
        world_violation(m->w, "group %s: offset %lld of partition %d is dead twice", g->id, (long long)offset,
                        log->partition);
    }
    if (view->acked && offset >= log->trimmed &&
        log->redrives[group] == 0) { /* what is gone may be acknowledged whatever became of it */
        world_violation(m->w, "group %s: offset %lld of partition %d is dead, and was acknowledged", g->id,
                        (long long)offset, log->partition);
    }
    if (!may_die(m, log, group, view) && !g->parks && log->redrives[group] == 0) {
        world_violation(m->w, "group %s: offset %lld of partition %d is dead after %u deliveries of %d", g->id,
                        (long long)offset, log->partition, view->deliveries, g->attempts_max);
    }
}

void lease_model_start(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t start)
{
    if (start < log->start[group] && log->redrives[group] == 0 &&
        !lease_model_stands(m, log, group, start, log->start[group])) {
        world_violation(m->w, "group %s stood at offset %lld of partition %d and now stands at %lld",
                        m->groups[group].id, (long long)log->start[group], log->partition, (long long)start);
    }
    log->start[group] = start;
    for (int64_t i = 0; i < start && i < log->end; i++) {
        if (!may_be_finished(m, log, group, i)) {
            world_violation(m->w, "group %s stands at offset %lld of partition %d, but nobody finished offset %lld",
                            m->groups[group].id, (long long)start, log->partition, (long long)i);
            return;
        }
    }
}

void lease_model_rejected(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t offset)
{
    log->events[offset].views[group].told = true;
    log->events[offset].views[group].answered = ++m->clock;
}

void lease_model_acked(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t offset)
{
    log->events[offset].views[group].acked = true;
    log->events[offset].views[group].answered = ++m->clock;
    m->acks++;
}

/* It was told that what it emitted counts: it comes, whatever becomes of group and topic. */
static void owe(struct lease_model *m, const struct lease_log *log, int64_t offset, const struct lease_view *view)
{
    if (view->acked && view->emits_wanted > 0 && offset >= log->trimmed) {
        m->owed[view->emit_nonce] = view->emits_wanted;
        m->paid[view->emit_nonce] = 0;
    }
}

void lease_model_deleted(struct lease_model *m, struct lease_log *log)
{
    for (int64_t i = 0; i < log->end; i++) {
        for (uint32_t g = 0; g < m->group_count; g++) {
            owe(m, log, i, &log->events[i].views[g]);
        }
    }
    memset(log->events, 0, LEASE_EVENTS_MAX * sizeof(*log->events));
    for (int64_t i = 0; i < (int64_t)LEASE_EVENTS_MAX; i++) {
        for (uint32_t g = 0; g < m->group_count; g++) {
            log->events[i].views[g].emits_before = m->nonce;
        }
    }
    *log = (struct lease_log){.partition = log->partition, .events = log->events};
}

/* It has used up its attempts, and nothing is on its way that could change that. */
static bool surely_dead(const struct lease_model *m, const struct lease_log *log, uint32_t group,
                        const struct lease_view *view)
{
    int32_t attempts_max = m->groups[group].attempts_max;
    return attempts_max >= 2 && view->deliveries >= attempts_max && !view->ack_sent && !view->rejected &&
           log->lost[group] == view->lost_before && log->flying[group] == 0 && !m->w->disk_bounded;
}

void lease_model_letters_read(struct lease_model *m, struct lease_log *log, uint32_t group, uint64_t since)
{
    for (int64_t i = 0; i < log->end; i++) {
        struct lease_view *view = &log->events[i].views[group];
        /* An event may be back, and dead once more, before its letter says that it has come back. */
        view->letters = (uint16_t)(view->buried - view->buried_before);
        int32_t open = view->letters - EL_MAX(view->redriven, view->returned);
        bool dead = surely_dead(m, log, group, view);
        if (open == 0 && dead && view->dead_at > view->answered) {
            /* It has come back, and nobody has got it yet: it is before all later ones of its key from now on. */
            view->letter_gone = false;
            view->deliveries = 0;
            view->answered = ++m->clock;
            m->w->events[EVENT_BACK_UNSEEN]++;
        }
        view->dead_at = open == 1 && dead ? since : 0;
    }
}

void lease_model_letters_gone(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t count)
{
    log->letters_gone[group] += EL_MAX(count, (int64_t)0);
    for (int64_t i = 0; i < log->end; i++) {
        struct lease_view *view = &log->events[i].views[group];
        if (count >= 0) {
            log->letters_gone[group] -= view->buried_before;
            view->buried = view->buried_before = view->redriven = view->copied = 0;
            view->letters = view->returned = 0;
            view->buried_late = false;
            view->letter_seen = view->dead_at = 0;
            view->copied_more = true;
        }
        view->letter_gone = view->letter_gone || m->groups[group].parks || may_die(m, log, group, view);
    }
}

void lease_model_moved(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t offset)
{
    EL_ASSERT(group < m->group_count);
    bool failed = world_failed_shard(m->w);
    for (int64_t i = 0; i < (int64_t)LEASE_EVENTS_MAX; i++) {
        struct lease_view *view = &log->events[i].views[group];
        bool late = view->buried_late || m->groups[group].parks || may_die(m, log, group, view);
        owe(m, log, i, view);
        *view = (struct lease_view){.buried = view->buried,
                                    .buried_before = view->buried,
                                    .buried_late = failed && late,
                                    .answered = view->answered,
                                    .emits_before = m->nonce};
    }
    log->start[group] = log->skipped[group] = offset;
    log->lost[group] = 0;
    log->letters_gone[group] = 0;
}

bool lease_model_stands(const struct lease_model *m, const struct lease_log *log, uint32_t group, int64_t start,
                        int64_t seen)
{
    for (int64_t i = seen; i < start; i++) {
        if (!may_be_finished(m, log, group, i)) {
            return false;
        }
    }
    for (int64_t i = start; i < seen; i++) {
        if (log->events[i].known && !passes(m, group, &log->events[i])) {
            return false;
        }
    }
    return true;
}

static void check_end(struct lease_model *m, const struct lease_log *log, uint32_t group, int64_t offset)
{
    const struct lease_event *event = &log->events[offset];
    const struct lease_view *view = &event->views[group];
    bool finished = view->ack_sent || view->buried > view->buried_before || view->letter_gone ||
                    passes(m, group, event);
    bool gone = offset < log->trimmed || offset < log->skipped[group];
    int32_t open = view->buried - view->buried_before - view->redriven;
    /* One that came back and then left the log leaves its letter open, when a crash came before that was marked. */
    int32_t most = 1 + view->buried_late + (gone ? (int32_t)log->redrives[group] : 0);
    if (open < 0 || open > most ||
        (log->redrives[group] > 0 &&
         ((view->acked && !gone && open != 0) ||
          (event->known && !view->ack_sent && !gone && open != 1 && !view->letter_gone && !passes(m, group, event))))) {
        world_violation(m->w, "group %s: offset %lld of partition %d has %u letters, %u were redriven, and it was %s",
                        m->groups[group].id, (long long)offset, log->partition, view->buried, view->redriven,
                        view->acked      ? "acknowledged"
                        : view->ack_sent ? "maybe acknowledged"
                                         : "not acknowledged");
    }
    m->dead += view->buried;
    if (event->known && !finished && !gone) {
        world_violation(m->w,
                        "group %s: offset %lld of partition %d was neither acknowledged nor buried (%u deliveries)",
                        m->groups[group].id, (long long)offset, log->partition, view->deliveries);
    }
    if (view->told && view->buried == view->buried_before && !view->letter_gone && !gone) {
        world_violation(m->w, "group %s: offset %lld of partition %d was rejected and is not buried",
                        m->groups[group].id, (long long)offset, log->partition);
    }
}

/* An event may only be nowhere when its letter was in a topic that was deleted. */
static void check_gone(struct lease_model *m, const struct lease_log *log, uint32_t group)
{
    int64_t nowhere = 0;
    for (int64_t i = EL_MAX(log->trimmed, log->skipped[group]); i < log->end; i++) {
        const struct lease_event *event = &log->events[i];
        const struct lease_view *view = &event->views[group];
        bool somewhere = view->ack_sent || view->buried > view->buried_before || passes(m, group, event);
        nowhere += event->known && !somewhere;
    }
    if (log->redrives[group] == 0 && nowhere > log->letters_gone[group]) {
        world_violation(m->w, "group %s: %lld events of partition %d are nowhere, and %lld letters are gone",
                        m->groups[group].id, (long long)nowhere, log->partition, (long long)log->letters_gone[group]);
    }
}

void lease_model_end(struct lease_model *m)
{
    for (uint32_t t = 0; t < m->topic_count; t++) {
        for (int32_t p = 0; p < m->partition_count; p++) {
            const struct lease_log *log = &m->logs[t][p];
            for (uint32_t g = 0; g < m->group_count; g++) {
                for (int64_t i = 0; i < log->end; i++) {
                    check_end(m, log, g, i);
                }
                check_gone(m, log, g);
            }
        }
    }
}
