/* SPDX-License-Identifier: Apache-2.0
 *
 * What shards are told behind a root: how far their partitions reach, and which parts of bundles are to become
 * segments.
 *
 * A run of bundles' parts becomes a segment when it has segment_len bytes, when it is in RUN_PARTS_MAX bundles, when
 * its oldest bundle is older than segment_ms, when a segment follows it (tiles and checkpoints reach to the first
 * bundle only), or when somebody asks.
 *
 * Small segments that follow one another become one, MERGE_PARTS of about one size at a time, so that what a partition
 * has grows with its bytes and not with its age: manifests, and who reads them, hold all objects. A batch is so written
 * anew twice at most, but where sizes alternate.
 *
 * Of deleted topics nothing becomes a segment, but what keeps a bundle alive most of which is elsewhere.
 *
 * Each plan begins behind the partition that the last one ended with, and when there is more to do than it has tasks,
 * the next has twice as many.
 */
#include <archive/archive_ledger_state.h>

#include <core/alloc.h>
#include <core/assert.h>

#define RUN_PARTS_MAX 32u
#define MERGE_PARTS 16u  /* segments of about one size that become one */
#define MERGE_MIXED 64u  /* or of any sizes */
#define TASKS_A_SHARD 4u /* at first */
#define TASKS_A_SHARD_MAX 64u
#define TASK_LEN_MAX (64ull << 20) /* of a segment made of bundles: a job holds it in memory */
#define SAMPLES_MAX 32u    /* bundles whose age is asked for at a start; those between are as old as the one before */
#define PLAN_ALL_MS 60000u /* so often ages of all partitions are looked at */

void archive_told_free(struct archive_told *told)
{
    for (size_t i = 0; i < told->task_count; i++) {
        el_free(told->tasks[i].sources);
    }
    el_free(told->tasks);
    el_free(told->parts);
    memset(told, 0, sizeof *told);
}

/* --- ages --------------------------------------------------------------------------------------------------------- */

static bool is_live_bundle(const struct el_manifest_object *object)
{
    return object->kind == EL_PACK_BUNDLE && object->state == EL_OBJECT_LIVE;
}

static bool age_add(struct archive_ledger *l, uint64_t number, uint64_t since_ms)
{
    EL_ASSERT(l->age_count == 0 || number > l->ages[l->age_count - 1].number); /* since_ms() goes by their order */
    if (l->age_count == l->age_max) {
        size_t max = EL_MAX(l->age_max * 2, (size_t)64);
        struct object_age *ages = el_realloc(l->ages, max * sizeof *ages);
        if (ages == NULL) {
            return false;
        }
        l->ages = ages;
        l->age_max = max;
    }
    l->ages[l->age_count++] = (struct object_age){.number = number, .since_ms = since_ms};
    return true;
}

/* Those that no plan has seen are as old as this one. */
static int ages_note(struct archive_ledger *l, uint64_t now_ms)
{
    if (l->state->last_object > l->aged_object) {
        if (!age_add(l, l->aged_object + 1, now_ms)) {
            return EVLOG_ERR_NO_MEMORY;
        }
        l->aged_object = l->state->last_object;
    }
    size_t old = 0; /* all but the newest that is old enough say nothing more */
    while (old + 1 < l->age_count && l->ages[old + 1].since_ms + l->cfg.segment_ms <= now_ms) {
        old++;
    }
    if (old > 0) {
        memmove(l->ages, l->ages + old, (l->age_count - old) * sizeof *l->ages);
        l->age_count -= old;
    }
    return 0;
}

static uint64_t since_ms(const struct archive_ledger *l, uint64_t number)
{
    uint64_t ms = l->age_count == 0 ? l->began_ms : EL_MIN(l->began_ms, l->ages[0].since_ms); /* or older still */
    for (size_t i = 0; i < l->age_count && l->ages[i].number <= number; i++) {
        ms = l->ages[i].since_ms;
    }
    return ms;
}

struct sample {
    uint64_t number;
    struct el_archive_part part; /* the first that was found in it; without a batch: none was */
};

/* Live bundles, evenly among all of them, the last one too. returns their number */
static size_t samples_choose(const struct archive_ledger *l, struct sample samples[SAMPLES_MAX])
{
    size_t bundles = 0, seen = 0, count = 0;
    for (size_t i = 0; i < l->state->object_count; i++) {
        struct archive_object object = archive_object_at(l->state, i);
        bundles += is_live_bundle(&object.now);
    }
    for (size_t i = 0; i < l->state->object_count && count < SAMPLES_MAX; i++) {
        struct archive_object object = archive_object_at(l->state, i);
        if (is_live_bundle(&object.now) &&
            seen++ >= (bundles <= SAMPLES_MAX ? count : count * (bundles - 1) / (SAMPLES_MAX - 1))) {
            samples[count++] = (struct sample){.number = object.now.number};
        }
    }
    return count;
}

static void samples_place(const struct archive_ledger *l, struct sample *samples, size_t count)
{
    for (size_t i = 0; i < l->state->partitions.count; i++) {
        const struct archive_partition *p = l->state->partitions.entries[i].value;
        for (uint32_t k = 0; k < p->part_count; k++) {
            struct el_archive_part part = archive_part_at(p, k);
            size_t low = 0, high = count;
            while (low < high) {
                size_t middle = (low + high) / 2;
                low = samples[middle].number < part.object ? middle + 1 : low;
                high = samples[middle].number < part.object ? high : middle;
            }
            if (low < count && samples[low].number == part.object && samples[low].part.batch_count == 0) {
                samples[low].part = part;
            }
        }
    }
}

/* When the first batch of a sample was appended. */
static int sample_time(const struct archive_ledger *l, const struct sample *sample, uint64_t *ms, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t bytes[EL_PACK_BATCH_LEN] = {0};
    uint64_t done = 0;
    struct el_pack_batch row;
    struct archive_object object;
    bool known = archive_state_object(l->state, sample->number, &object);
    EL_ASSERT(known);
    el_archive_key_object(key, &l->incarnation, &object.now);
    int code = object_get(l->cfg.bucket, key, sample->part.table_pos, bytes, sizeof bytes, &done, err);
    if (code == 0 && (done < sizeof bytes || el_pack_batch_get(bytes, &row) != 0)) {
        code = EVLOG_ERR_CORRUPT;
    }
    if (code == 0) {
        *ms = row.leaf.append_time_ns / 1000000;
    }
    return code;
}

int archive_ages_find(struct archive_ledger *l, uint64_t now_ms, struct el_error *err)
{
    struct sample samples[SAMPLES_MAX];
    size_t count = samples_choose(l, samples);
    l->age_count = 0;
    l->aged_object = l->state->last_object;
    samples_place(l, samples, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t before_ms = l->age_count == 0 ? 0 : l->ages[l->age_count - 1].since_ms, ms = 0;
        int code = samples[i].part.batch_count == 0 ? EVLOG_ERR_NOT_FOUND : sample_time(l, &samples[i], &ms, err);
        if (code != 0 && code != EVLOG_ERR_NOT_FOUND && code != EVLOG_ERR_CORRUPT) {
            return code;
        }
        if (code != 0) {
            continue; /* those around it say enough; that it is damaged is found elsewhere */
        }
        if (!age_add(l, samples[i].number, EL_MIN(EL_MAX(ms, before_ms), now_ms))) {
            return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for ages of objects");
        }
    }
    return 0;
}

/* --- tasks -------------------------------------------------------------------------------------------------------- */

static bool in_bundle(const struct archive_ledger *l, const struct el_archive_part *part)
{
    struct archive_object object;
    bool known = archive_state_object(l->state, part->object, &object);
    EL_ASSERT(known);
    return object.now.kind == EL_PACK_BUNDLE;
}

static int task_add(struct archive_ledger *l, const struct archive_partition *p, uint32_t from, uint32_t to)
{
    struct archive_told *told = &l->told;
    EL_ASSERT(from < to);
    EL_ASSERT(to <= p->part_count);
    EL_ASSERT(told->task_count < (size_t)l->tasks_a_shard * l->shard_count);
    struct archive_task *task = &told->tasks[told->task_count];
    *task = (struct archive_task){.source_count = to - from};
    task->sources = el_calloc(task->source_count, sizeof *task->sources);
    if (task->sources == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = from; i < to; i++) {
        struct archive_source *source = &task->sources[i - from];
        struct archive_object object;
        source->part = archive_part_at(p, i);
        bool known = archive_state_object(l->state, source->part.object, &object);
        EL_ASSERT(known);
        el_archive_key_object(source->key, &l->incarnation, &object.now);
        task->batch_count += source->part.batch_count;
        task->data_len += source->part.data_len;
    }
    told->task_count++;
    return 0;
}

/* The first run of parts from `from` on that is in bundles and makes a segment; *to: behind it. returns its length */
static uint64_t run_measure(const struct archive_ledger *l, const struct archive_partition *p, uint32_t from,
                            uint32_t *to)
{
    uint64_t len = 0, batches = 0, enough = EL_MIN(l->cfg.segment_len, TASK_LEN_MAX);
    *to = from;
    while (*to < p->part_count && len < enough) {
        struct el_archive_part part = archive_part_at(p, *to);
        if (!in_bundle(l, &part)) {
            break;
        }
        batches += part.batch_count;
        len += part.data_len;
        if (batches > UINT32_MAX) {
            break;
        }
        ++*to;
    }
    return len;
}

/* 0, 1: how small; 2: it stays */
static uint32_t tier_of(uint64_t enough, uint64_t len)
{
    return len < enough / 256 ? 0 : len < enough / MERGE_PARTS ? 1 : 2;
}

/* Segments from `from` on of no more than the tier, and with `same` of no other; *to: behind them. Those that make a
 * whole one are enough. */
static uint32_t small_measure(const struct archive_ledger *l, const struct archive_partition *p, uint32_t from,
                              uint32_t tier, bool same)
{
    uint64_t len = 0, batches = 0, enough = EL_MIN(l->cfg.segment_len, TASK_LEN_MAX);
    uint32_t to = from;
    for (; to < p->part_count; to++) {
        struct el_archive_part part = archive_part_at(p, to);
        uint32_t own = tier_of(enough, part.data_len);
        len += part.data_len;
        batches += part.batch_count;
        if (in_bundle(l, &part) || own > tier || (same && own != tier) || len > enough || batches > UINT32_MAX) {
            break;
        }
    }
    return to - from;
}

/* Small segments from `from` on that become one. returns their number, 0: none yet; *next: where to look on */
static uint32_t merge_measure(const struct archive_ledger *l, const struct archive_partition *p, uint32_t from,
                              uint32_t *next)
{
    uint32_t tier = tier_of(EL_MIN(l->cfg.segment_len, TASK_LEN_MAX), archive_part_at(p, from).data_len);
    *next = from + 1;
    if (tier > 1) {
        return 0;
    }
    uint32_t same = small_measure(l, p, from, tier, true), mixed = small_measure(l, p, from, 1, false);
    uint32_t count = mixed >= MERGE_MIXED ? mixed : same >= MERGE_PARTS ? same : 0;
    *next = from + EL_MAX(EL_MAX(count, same), 1u);
    EL_ASSERT(*next <= p->part_count);
    return count;
}

static bool tasks_full(const struct archive_ledger *l)
{
    return l->told.task_count == (size_t)l->tasks_a_shard * l->shard_count;
}

/* Is most of a bundle of the run content that is elsewhere now, so that the run keeps more alive than it is? */
static bool keeps_dead_weight(const struct archive_ledger *l, const struct archive_partition *p, uint32_t from,
                              uint32_t to, uint64_t now_ms)
{
    for (uint32_t i = from; i < to; i++) {
        struct archive_object object;
        bool known = archive_state_object(l->state, archive_part_at(p, i).object, &object);
        EL_ASSERT(known);
        if (object.live_len < object.now.len / 2 && since_ms(l, object.now.number) + l->cfg.segment_ms <= now_ms) {
            return true;
        }
    }
    return false;
}

/* A deleted topic stays in the archive, and what bundles hold of it may stay there; but it must not keep them alive
 * when most of what else they hold is in segments. */
static int plan_deleted(struct archive_ledger *l, const struct archive_partition *p, uint64_t now_ms)
{
    uint32_t to;
    int code = 0;
    for (uint32_t from = 0; from < p->part_count && !tasks_full(l) && code == 0; from = EL_MAX(to, from + 1)) {
        (void)run_measure(l, p, from, &to);
        if (keeps_dead_weight(l, p, from, to, now_ms)) {
            code = task_add(l, p, from, to);
        }
    }
    return code;
}

static bool followed_by_segment(const struct archive_ledger *l, const struct archive_partition *p, uint32_t to)
{
    if (to == p->part_count) {
        return false;
    }
    struct el_archive_part part = archive_part_at(p, to);
    return !in_bundle(l, &part);
}

static int plan_partition(struct archive_ledger *l, const struct archive_partition *p, bool seal, uint64_t now_ms)
{
    uint32_t from = 0, to;
    int code = 0;
    while (from < p->part_count && !tasks_full(l) && code == 0) {
        struct el_archive_part first = archive_part_at(p, from);
        if (!in_bundle(l, &first)) {
            uint32_t count = merge_measure(l, p, from, &to);
            code = count == 0 ? 0 : task_add(l, p, from, from + count);
            from = to;
            continue;
        }
        uint64_t len = run_measure(l, p, from, &to);
        bool due = seal || len >= EL_MIN(l->cfg.segment_len, TASK_LEN_MAX) || to - from >= RUN_PARTS_MAX ||
                   followed_by_segment(l, p, to) || since_ms(l, first.object) + l->cfg.segment_ms <= now_ms;
        if (due) {
            code = task_add(l, p, from, to);
        }
        from = to;
    }
    return code;
}

static void told_add(struct archive_ledger *l, const struct archive_partition *p)
{
    l->told.parts[l->told.part_count++] = (struct archive_told_part){
        .topic_id = p->now.topic_id,
        .number = p->now.partition,
        .end = p->now.end_offset,
        .leaf = p->now.tree.size,
        .log_start = p->now.log_start,
        .retired = EL_MAX(p->retired->end_offset, archive_inherited_end(l, p))};
}

static bool is_deleted(const struct archive_ledger *l, const struct archive_partition *p)
{
    const struct archive_topic *topic = archive_state_topic(l->state, &p->now.topic_id);
    return topic != NULL && topic->now.deleted;
}

/* Tasks, from the partition on where the last plan ended. every: also of partitions that have not changed */
static int plan_tasks(struct archive_ledger *l, bool every, const struct archive_make_job *make, uint64_t now_ms)
{
    size_t count = l->state->partitions.count, first = count == 0 ? 0 : l->plan_turn % count;
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        size_t at = (first + i) % count;
        const struct archive_partition *p = l->state->partitions.entries[at].value;
        bool seal = make != NULL && make->seal &&
                    (el_uuid_is_zero(&make->seal_topic) || el_uuid_eq(&make->seal_topic, &p->now.topic_id));
        if (is_deleted(l, p)) {
            code = every ? plan_deleted(l, p, now_ms) : 0;
        } else if (every || seal || p->changed == l->state->header.sequence) {
            code = plan_partition(l, p, seal, now_ms);
        }
        if (tasks_full(l)) {
            l->plan_turn = at + 1;
            break;
        }
    }
    return code;
}

int archive_plan(struct archive_ledger *l, bool all, const struct archive_make_job *make, uint64_t now_ms,
                 struct el_error *err)
{
    size_t count = l->state->partitions.count, draft = l->draft == NULL ? 0 : l->draft->partitions.count;
    bool every = all || l->plan_behind || now_ms >= l->planned_ms + PLAN_ALL_MS || now_ms < l->planned_ms;
    bool waits = make != NULL && make->redaction != NULL; /* what bundles hold may be redacted before it is put again */
    archive_told_free(&l->told);
    l->tasks_a_shard = !l->plan_behind ? TASKS_A_SHARD : EL_MIN(l->tasks_a_shard * 2, TASKS_A_SHARD_MAX);
    l->told.parts = el_calloc(EL_MAX(count + draft, (size_t)1), sizeof *l->told.parts);
    l->told.tasks = el_calloc((size_t)l->tasks_a_shard * l->shard_count, sizeof *l->told.tasks);
    int code = l->told.parts == NULL || l->told.tasks == NULL ? EVLOG_ERR_NO_MEMORY : ages_note(l, now_ms);
    for (size_t i = 0; i < count && code == 0; i++) {
        const struct archive_partition *p = l->state->partitions.entries[i].value;
        if (all || p->changed == l->state->header.sequence) {
            told_add(l, p);
        }
    }
    for (size_t i = 0; i < draft && code == 0 && l->state->header.sequence == 0; i++) {
        told_add(l, l->draft->partitions.entries[i].value);
    }
    code = code != 0 || waits ? code : plan_tasks(l, every, make, now_ms);
    l->plan_behind = code == 0 && tasks_full(l);
    l->planned_ms = every && !waits ? now_ms : l->planned_ms;
    return code == 0 ? 0 : el_error_set(err, code, "no memory for what shards are told");
}
