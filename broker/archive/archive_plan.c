/* SPDX-License-Identifier: Apache-2.0
 *
 * What shards are told behind a root: how far their partitions reach, and which parts of bundles are to become
 * segments.
 *
 * A run of bundles' parts becomes a segment when it has segment_len bytes, when it is in RUN_PARTS_MAX bundles, when
 * its oldest bundle is older than segment_ms, when a segment follows it (tiles and checkpoints reach to the first
 * bundle only), or when somebody asks.
 */
#include <archive/archive_ledger_state.h>

#include <core/alloc.h>
#include <core/assert.h>

#define RUN_PARTS_MAX 32u
#define TASKS_A_SHARD 4u
#define TASK_LEN_MAX (64ull << 20) /* of a segment made of bundles: a job holds it in memory */
#define PLAN_ALL_MS 60000u         /* so often ages of all partitions are looked at */

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

static int ages_note(struct archive_ledger *l, uint64_t now_ms)
{
    uint64_t known = l->age_count == 0 ? 0 : l->ages[l->age_count - 1].number;
    for (size_t i = l->state->object_count; i > 0 && l->state->objects[i - 1].now.number > known; i--) {
        if (i > 1 && l->state->objects[i - 2].now.number > known) {
            continue; /* the first unknown one stands for all behind it */
        }
        if (l->age_count == l->age_max) {
            size_t max = EL_MAX(l->age_max * 2, (size_t)64);
            struct object_age *ages = el_realloc(l->ages, max * sizeof *ages);
            if (ages == NULL) {
                return EVLOG_ERR_NO_MEMORY;
            }
            l->ages = ages;
            l->age_max = max;
        }
        l->ages[l->age_count++] = (struct object_age){.number = l->state->objects[i - 1].now.number,
                                                      .since_ms = now_ms};
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
    uint64_t ms = l->began_ms;
    for (size_t i = 0; i < l->age_count && l->ages[i].number <= number; i++) {
        ms = l->ages[i].since_ms;
    }
    return ms;
}

/* --- tasks -------------------------------------------------------------------------------------------------------- */

static bool in_bundle(const struct archive_ledger *l, const struct el_archive_part *part)
{
    const struct archive_object *object = archive_state_object(l->state, part->object);
    EL_ASSERT(object != NULL);
    return object->now.kind == EL_PACK_BUNDLE;
}

static int task_add(struct archive_ledger *l, const struct archive_partition *p, uint32_t from, uint32_t to)
{
    struct archive_told *told = &l->told;
    struct archive_task *task = &told->tasks[told->task_count];
    *task = (struct archive_task){.source_count = to - from};
    task->sources = el_calloc(task->source_count, sizeof *task->sources);
    if (task->sources == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = from; i < to; i++) {
        struct archive_source *source = &task->sources[i - from];
        const struct archive_object *object = archive_state_object(l->state, p->parts[i].object);
        source->part = p->parts[i];
        el_archive_key_object(source->key, &l->incarnation, &object->now);
        task->batch_count += p->parts[i].batch_count;
        task->data_len += p->parts[i].data_len;
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
    while (*to < p->part_count && len < enough && in_bundle(l, &p->parts[*to])) {
        batches += p->parts[*to].batch_count;
        len += p->parts[*to].data_len;
        if (batches > UINT32_MAX) {
            break;
        }
        ++*to;
    }
    return len;
}

static int plan_partition(struct archive_ledger *l, const struct archive_partition *p, bool seal, uint64_t now_ms)
{
    size_t max = (size_t)TASKS_A_SHARD * l->shard_count;
    uint32_t from = 0, to;
    int code = 0;
    while (from < p->part_count && l->told.task_count < max && code == 0) {
        if (!in_bundle(l, &p->parts[from])) {
            from++;
            continue;
        }
        uint64_t len = run_measure(l, p, from, &to);
        bool due = seal || len >= EL_MIN(l->cfg.segment_len, TASK_LEN_MAX) || to - from >= RUN_PARTS_MAX ||
                   (to < p->part_count && !in_bundle(l, &p->parts[to])) ||
                   since_ms(l, p->parts[from].object) + l->cfg.segment_ms <= now_ms;
        if (due) {
            code = task_add(l, p, from, to);
        }
        from = to;
    }
    return code;
}

static int told_add(struct archive_ledger *l, const struct archive_partition *p)
{
    l->told.parts[l->told.part_count++] = (struct archive_told_part){.topic_id = p->now.topic_id,
                                                                     .number = p->now.partition,
                                                                     .end = p->now.end_offset,
                                                                     .leaf = p->now.tree.size,
                                                                     .log_start = p->now.log_start};
    return 0;
}

static bool is_deleted(const struct archive_ledger *l, const struct archive_partition *p)
{
    const struct archive_topic *topic = archive_state_topic(l->state, &p->now.topic_id);
    return topic != NULL && topic->now.deleted;
}

int archive_plan(struct archive_ledger *l, bool all, const struct archive_make_job *make, uint64_t now_ms,
                 struct el_error *err)
{
    size_t count = l->state->partitions.count, draft = l->draft == NULL ? 0 : l->draft->partitions.count;
    bool every = all || now_ms >= l->planned_ms + PLAN_ALL_MS || now_ms < l->planned_ms;
    archive_told_free(&l->told);
    l->told.parts = el_calloc(EL_MAX(count + draft, (size_t)1), sizeof *l->told.parts);
    l->told.tasks = el_calloc((size_t)TASKS_A_SHARD * l->shard_count, sizeof *l->told.tasks);
    int code = l->told.parts == NULL || l->told.tasks == NULL ? EVLOG_ERR_NO_MEMORY : ages_note(l, now_ms);
    for (size_t i = 0; i < count && code == 0; i++) {
        const struct archive_partition *p = l->state->partitions.entries[i].value;
        bool changed = p->changed == l->state->header.sequence;
        bool seal = make != NULL && make->seal &&
                    (el_uuid_is_zero(&make->seal_topic) || el_uuid_eq(&make->seal_topic, &p->now.topic_id));
        if (all || changed) {
            told_add(l, p);
        }
        if ((every || changed || seal) && !is_deleted(l, p)) {
            code = plan_partition(l, p, seal, now_ms);
        }
    }
    for (size_t i = 0; i < draft && code == 0 && l->state->header.sequence == 0; i++) {
        told_add(l, l->draft->partitions.entries[i].value);
    }
    l->planned_ms = every ? now_ms : l->planned_ms;
    return code == 0 ? 0 : el_error_set(err, code, "no memory for what shards are told");
}
