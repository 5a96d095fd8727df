/* SPDX-License-Identifier: Apache-2.0
 *
 * Redactions in the archive mode: somebody redacts what was acknowledged, at any time; machines crash in the middle of
 * it. What was accepted is gone on with, whatever happens. As soon as it is said to be complete, the events of these
 * batches are nowhere: not on the disk, not in what may still get there, not in the bucket. Nothing else is a mark, or
 * a row without bytes, and each of these is stated with its reason.
 */
#include "archive_life.h"

#include <core/assert.h>
#include <stdlib.h>

#define LOOKS_MAX 20000
#define SOON_LOOKS 60
#define CALLS_FIRST 12 /* of the disk, about, that it takes to remember one */
#define CALLS_MAX 600  /* of disk and bucket, about, that a redaction takes */

static bool told;

static void on_told(struct redact_ask *ask)
{
    (void)ask;
    told = true;
}

/* --- what is told ------------------------------------------------------------------------------------------------- */

/* The object that has it, NULL none. */
static const char *in_bucket(const struct archive_life *l, const uint8_t *value)
{
    for (size_t i = 0; i < l->bucket->mem->count; i++) {
        const struct mem_object *o = &l->bucket->mem->objects[i];
        if (memmem(o->data, o->len, value, 8) != NULL) {
            return o->key;
        }
    }
    return NULL;
}

static void check_nowhere(struct archive_life *l, const struct acked *a, bool parents)
{
    for (uint64_t n = a->first_number; n < a->first_number + a->count && l->w.violation[0] == 0; n++) {
        uint8_t value[8];
        el_put_le64(value, arch_value(n));
        const char *path = sim_disk_holds(l->w.disk, value, sizeof value);
        path = path != NULL || parents ? path : in_bucket(l, value);
        if (path != NULL) {
            world_violation(&l->w, "offset %lld was redacted, and is in %s", (long long)a->offset, path);
        }
    }
}

/* All batches of a redaction from an offset on. bucket: also there, but where it is that of a parent, which stays */
static void check_gone(struct archive_life *l, const struct life_part *p, const struct life_gone *gone, int64_t from,
                       bool bucket)
{
    for (uint32_t i = 0; i < p->acked_count; i++) {
        const struct acked *a = &p->acked[i];
        if (a->offset < gone->end && a->offset + a->count > gone->first && a->offset >= from) {
            check_nowhere(l, a, !bucket || l->bucket->line->parent != NULL);
        }
    }
}

/* What is said to be redacted is a mark in the archive, so that a disk from before is not healed with it. */
static void check_stated(struct archive_life *l, const struct life_topic *t, int32_t partition,
                         const struct life_gone *gone)
{
    const struct life_part *p = &t->parts[partition];
    int64_t end = bucket_end(l->bucket, &t->id, partition);
    for (uint32_t i = 0; i < p->acked_count && !t->compacted; i++) {
        const struct acked *a = &p->acked[i];
        if (a->offset < gone->end && a->offset + a->count > EL_MAX(gone->first, end) && a->offset >= p->trimmed) {
            world_violation(&l->w, "offset %lld is said to be redacted, and the archive ends at %lld",
                            (long long)a->offset, (long long)end);
        }
    }
}

/* An answer, and what must be so when it comes. */
static void note_answer(struct archive_life *l, const struct life_topic *t, int32_t partition, struct life_gone *gone,
                        const struct redact_ask *question)
{
    bool anew = question->state == REDACT_LOCAL && question->batch_count > 0;
    if (gone->accepted && !l->strays && (anew || question->error == EVLOG_ERR_OFFSET_RANGE)) {
        world_violation(&l->w,
                        "the redaction of offsets %lld to %lld of partition %d was accepted, and is forgotten: %s",
                        (long long)gone->first, (long long)gone->end, partition, question->text);
    }
    if (question->error != 0) {
        return;
    }
    if (!gone->accepted && (question->state == REDACT_LOCAL || question->state == REDACT_ARCHIVE)) {
        gone->accepted = true;
        gone->life = l->w.life;
    }
    if (question->state == REDACT_COMPLETE && !l->strays) {
        check_stated(l, t, partition, gone);
        check_gone(l, &t->parts[partition], gone, 0, true); /* also of what was deleted before */
        l->w.events[EVENT_REDACTED] += !gone->complete;
        l->w.events[EVENT_REDACTED_LATER] += !gone->complete && gone->accepted && gone->life != l->w.life;
        gone->complete = true;
    }
}

/* returns 0 | EVLOG_ERR_... | EVLOG_ERR_CRASHED */
static int ask(struct archive_life *l, const struct life_topic *t, int32_t partition, struct life_gone *gone,
               struct redact_ask *question)
{
    *question = (struct redact_ask){.done = on_told,
                                    .topic_id = t->id,
                                    .partition = partition,
                                    .first_offset = gone->first,
                                    .end_offset = gone->end,
                                    .reason = el_slice_str(LIFE_REASON)};
    told = false;
    redactor_ask(l->redactor, store_shard_at(l->w.store, (uint32_t)world_below(&l->w, l->w.shard_count)), question);
    if (!world_wait(&l->w, &told)) {
        return EVLOG_ERR_CRASHED;
    }
    note_answer(l, t, partition, gone, question);
    return question->error;
}

/* --- who asks ----------------------------------------------------------------------------------------------------- */

bool arch_redact(struct archive_life *l, uint32_t index)
{
    static struct redact_ask question;
    struct life_topic *t = &l->topics[index];
    if (!t->there) {
        return true;
    }
    int32_t partition = (int32_t)world_below(&l->w, (uint64_t)t->partition_count);
    struct life_part *p = &t->parts[partition];
    if (p->acked_count == 0 || p->gone_count == LIFE_GONE_MAX) {
        return true;
    }
    bool newest = world_chance(&l->w, 300000);
    const struct acked *a = &p->acked[newest ? p->acked_count - 1 : world_below(&l->w, p->acked_count)];
    struct life_gone *gone = &p->gone[p->gone_count++]; /* also when nobody is told that it was accepted */
    gone->first = a->offset + (int64_t)world_below(&l->w, a->count);
    gone->end = gone->first + 1 + (int64_t)world_below(&l->w, 8);
    gone->end = EL_MIN(gone->end, a->offset + a->count + (int64_t)world_below(&l->w, 2) * 8);
    gone->end = EL_MAX(gone->end, gone->first + 1);
    world_say(&l->w, "redact", gone->first, gone->end);
    bool up = ask(l, t, partition, gone, &question) != EVLOG_ERR_CRASHED;
    if (up && question.error == 0 && question.state == REDACT_LOCAL &&
        sim_disk_fault(l->w.disk, FAULT_CRASH_IN_REDACTION)) {
        sim_disk_crash_at(l->w.disk, 1 + world_below(&l->w, world_chance(&l->w, 400000) ? CALLS_FIRST : CALLS_MAX));
    }
    for (int i = 0; i < SOON_LOOKS && newest && up && !gone->complete && l->w.violation[0] == 0; i++) {
        up = ask(l, t, partition, gone, &question) != EVLOG_ERR_CRASHED;
        for (int k = 0; k < 20 && up; k++) {
            up = world_step(&l->w);
        }
    }
    return up;
}

bool arch_redact_look(struct archive_life *l, uint32_t index)
{
    static struct redact_ask question;
    struct life_topic *t = &l->topics[index];
    if (!t->there) {
        return true;
    }
    int32_t partition = (int32_t)world_below(&l->w, (uint64_t)t->partition_count);
    struct life_part *p = &t->parts[partition];
    if (p->gone_count == 0) {
        return true;
    }
    struct life_gone *gone = &p->gone[world_below(&l->w, p->gone_count)];
    return ask(l, t, partition, gone, &question) != EVLOG_ERR_CRASHED;
}

void arch_redact_forget(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX * PARTITIONS_MAX; i++) {
        struct life_part *p = &l->topics[i / PARTITIONS_MAX].parts[i % PARTITIONS_MAX];
        for (uint32_t n = 0; n < p->gone_count; n++) {
            p->gone[n].accepted = false;
        }
    }
}

bool arch_is_gone(const struct life_part *p, int64_t first, int64_t end)
{
    for (uint32_t i = 0; i < p->gone_count; i++) {
        if (first < p->gone[i].end && end > p->gone[i].first) {
            return true;
        }
    }
    return false;
}

/* --- when it is complete ------------------------------------------------------------------------------------------ */

void arch_check_not_back(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < l->topics[i].partition_count && l->topics[i].there; k++) {
            const struct life_part *p = &l->topics[i].parts[k];
            for (uint32_t n = 0; n < p->gone_count; n++) {
                if (p->gone[n].complete) {
                    check_gone(l, p, &p->gone[n], 0, false);
                }
            }
        }
    }
}

/* Ask again until it is done. returns false: it is never */
static bool wait_complete(struct archive_life *l, const struct life_topic *t, int32_t partition, struct life_gone *gone,
                          struct redact_ask *question)
{
    for (int i = 0; i < LOOKS_MAX && l->w.violation[0] == 0; i++) {
        int code = ask(l, t, partition, gone, question);
        if (code == EVLOG_ERR_CRASHED) {
            return false;
        }
        if (code == EVLOG_ERR_OFFSET_RANGE) { /* the log ends before it: it was refused, and is */
            question->state = REDACT_FOUND;
            return true;
        }
        if (code == 0 && (question->state == REDACT_COMPLETE || question->state == REDACT_NOTHING)) {
            world_say(&l->w, "redacted", gone->first, question->state);
            return true;
        }
        l->serving = question->text[0] != 0; /* something else has to be archived first */
        for (int k = 0; k < 20 && world_step(&l->w); k++) {
        }
        if (l->serving && !arch_clients_rest(l)) {
            return false;
        }
    }
    world_violation(&l->w, "stuck: offsets %lld to %lld of partition %d are not redacted (%d): %s",
                    (long long)gone->first, (long long)gone->end, partition, (int)question->state, question->text);
    return false;
}

static void check_part(struct archive_life *l, struct life_topic *t, int32_t partition)
{
    static struct redact_ask question;
    struct life_part *p = &t->parts[partition];
    for (uint32_t i = 0; i < p->gone_count && wait_complete(l, t, partition, &p->gone[i], &question); i++) {
        if ((question.state == REDACT_COMPLETE || question.state == REDACT_NOTHING) && !l->strays) {
            check_gone(l, p, &p->gone[i], p->trimmed, true);
        }
    }
}

void arch_check_redacted(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < l->topics[i].partition_count && l->topics[i].there; k++) {
            check_part(l, &l->topics[i], k);
        }
    }
}
