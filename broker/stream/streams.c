/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream index of a shard: life, its partitions, and who waits for what.
 *
 *   1. streams_create() reads the list of runs and opens them. A partition on the list that is gone is forgotten; one
 *      that is not is cold: nothing is read of it before the first append or question
 *   2. its first use reads what the log has more than the runs (stream_catch.c); then appends are admitted
 *      (stream_append.c) and questions answered (stream_find.c, stream_names.c)
 *   3. the active table is full, or a log start is to move: it is frozen, becomes a run, runs are merged
 *      (stream_work.c)
 *
 * Fails: a run or the list cannot be read or written for another reason than want of space. Then appends and
 * questions of topics with streams are refused, and /health/ready says why; a restart begins anew. A damaged index is
 * made anew at once (stream_rebuild.c).
 */
#include <stream/stream_state.h>

#include <core/alloc.h>
#include <core/logger.h>
#include <stdarg.h>
#include <stdio.h>

#define FEED_NS 5000000u /* between tries of those who wait for memory */
#define HEADS_SHARE 8

/* --- partitions --------------------------------------------------------------------------------------------------- */

static struct stream_part *part_add(struct streams *st, struct partition *part, uint32_t slot)
{
    struct stream_part *sp = el_pool_get(&st->part_pool);
    if (sp == NULL) {
        return NULL;
    }
    sp->st = st;
    sp->part = part;
    sp->topic_id = *store_observed_topic(part);
    sp->partition = store_observed_number(part);
    sp->slot = slot;
    el_list_init(&sp->wait_link);
    el_list_init(&sp->questions);
    el_list_push_back(&st->parts, &sp->link);
    *store_observed_state(part) = sp;
    return sp;
}

int streams_tables_make(struct streams *st)
{
    int code = 0;
    if (st->view.heads == NULL) {
        code = stream_heads_create(st->buddy, st->cfg.memory_max / HEADS_SHARE, &st->view.heads);
    }
    if (code == 0 && st->view.active == NULL) {
        code = stream_table_create(st->buddy, st->cfg.memory_max / STREAMS_TABLE_SHARE, &st->view.active);
    }
    return code;
}

struct stream_part *stream_part_of(struct streams *st, struct partition *part)
{
    if (streams_tables_make(st) != 0) {
        return NULL;
    }
    struct stream_part *sp = *store_observed_state(part);
    if (sp == NULL) {
        sp = part_add(st, part, st->next_slot);
        st->next_slot += sp != NULL;
    }
    return sp;
}

static void part_free(struct stream_part *sp)
{
    EL_ASSERT(sp->part == NULL);
    EL_ASSERT(!sp->resolve.busy);
    el_list_remove(&sp->wait_link);
    el_list_remove(&sp->link);
    el_pool_put(&sp->st->part_pool, sp);
}

void stream_part_unpin(struct stream_part *sp)
{
    EL_ASSERT(sp->pins > 0);
    if (--sp->pins == 0 && sp->part == NULL) {
        part_free(sp);
    }
}

static void part_deleted(void *arg, struct partition *part)
{
    struct streams *st = arg;
    struct stream_part *sp = *store_observed_state(part);
    struct el_list questions;
    if (sp == NULL) {
        return;
    }
    el_list_init(&questions);
    el_list_splice_back(&questions, &sp->questions);
    sp->part = NULL;
    sp->pins++;
    for (struct el_list *n; (n = el_list_pop_front(&questions)) != NULL;) {
        stream_question_go(sp, EL_CONTAINER(n, struct store_op, link), EVLOG_ERR_UNKNOWN_TOPIC);
    }
    stream_part_unpin(sp);
    stream_rebuild_look(st);
}

static int64_t part_floor(void *arg, struct partition *part)
{
    const struct stream_part *sp = *store_observed_state(part);
    (void)arg;
    return sp == NULL ? 0 : sp->run_end;
}

static int part_raise(void *arg, struct partition *part, int64_t offset)
{
    struct streams *st = arg;
    struct stream_part *sp = stream_part_of(st, part);
    (void)offset;
    if (sp == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (streams_refusal(st, sp) == 0) {
        stream_catch_want(sp);
    }
    sp->raising = true; /* not before: that may have ended at once */
    st->want_flush = true;
    streams_soon(st); /* nobody is told from inside this call */
    return 0;
}

/* --- who waits ---------------------------------------------------------------------------------------------------- */

int streams_refusal(const struct streams *st, const struct stream_part *sp)
{
    if (st->failed || st->rebuilding || (sp != NULL && sp->anew)) {
        return EVLOG_ERR_STORAGE;
    }
    return sp != NULL && sp->state == STREAM_PART_BROKEN ? EVLOG_ERR_CORRUPT : 0;
}

void streams_retry(struct streams *st)
{
    if (st->retry_timer.heap_index == 0) {
        io_timer_set(st->io, &st->retry_timer, st->io->now_ns + FEED_NS);
    }
}

void streams_soon(struct streams *st)
{
    io_timer_set(st->io, &st->retry_timer, st->io->now_ns);
}

/* Floors that cannot be raised: whoever waits is told so. */
static void floors_refuse(struct streams *st)
{
    EL_LIST_EACH_SAFE(n, tmp, &st->parts) {
        struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        int code = st->stopping && !st->failed ? EVLOG_ERR_CLOSED : streams_refusal(st, sp);
        code = code == 0 && sp->state == STREAM_PART_COLD ? sp->catch_error : code;
        if (sp->raising && sp->part != NULL && code != 0) {
            sp->raising = false;
            store_observed_floor(sp->part, code);
        }
    }
}

void streams_feed(struct streams *st)
{
    struct el_list hungry;
    el_list_init(&hungry);
    el_list_splice_back(&hungry, &st->starved);
    for (struct el_list *n; (n = el_list_pop_front(&hungry)) != NULL;) {
        struct stream_part *sp = EL_CONTAINER(n, struct stream_part, wait_link);
        if (sp->catching != NULL) {
            stream_catch_go(sp, 0);
        } else if (sp->part != NULL) {
            store_observed_resume(sp->part);
        }
    }
}

static void retry_on_timer(struct io_timer *timer)
{
    struct streams *st = timer->arg;
    OBJ_CHECK(st, STREAMS);
    floors_refuse(st);
    streams_feed(st);
    stream_catch_next(st);
    stream_work_go(st);
}

void streams_refuse_all(struct streams *st, const char *reason)
{
    store_observer_failed(st->shard, reason);
    floors_refuse(st);
    EL_LIST_EACH_SAFE(n, tmp, &st->parts) {
        struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        sp->pins++;
        for (struct el_list *q; (q = el_list_pop_front(&sp->questions)) != NULL;) {
            stream_question_go(sp, EL_CONTAINER(q, struct store_op, link), EVLOG_ERR_STORAGE);
        }
        if (sp->part != NULL) {
            store_observed_resume(sp->part);
        }
        stream_part_unpin(sp);
    }
    stream_work_go(st);
}

void streams_fail(struct streams *st, int error, const char *format, ...)
{
    va_list args;
    if (error == EVLOG_ERR_CRASHED) {
        st->dead = true;
    }
    bool damage = error == EVLOG_ERR_CORRUPT;
    if (st->failed || st->dead || (damage && st->rebuilding)) {
        return;
    }
    char what[160];
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (damage && !st->stopping && st->rebuilds < STREAMS_REBUILDS_MAX) {
        stream_rebuild_begin(st, what);
        return;
    }
    st->failed = true;
    st->work.damaged = damage; /* a rebuild that failed leaves the list as it is */
    st->rebuilding = false;
    char *reason = st->reasons[STREAMS_REBUILDS_MAX];
    snprintf(reason, sizeof st->reasons[0], "the stream index of shard %u: %s (%s); %s", st->index, what,
             evlog_error_text(error),
             damage ? "the next start makes it anew from the log" : "it is tried again at the next start");
    el_log(EL_LOG_ERROR, "stream", "%s: topics with evlog.streams are refused", reason);
    streams_refuse_all(st, reason);
}

static void memory_count(struct streams *st)
{
    const struct stream_table *tables[3] = {st->view.active, st->view.frozen, st->work.old};
    size_t len = st->filter_len + (st->view.heads == NULL ? 0 : stream_heads_memory(st->view.heads));
    uint64_t pending = 0;
    for (size_t i = 0; i < 3; i++) {
        len += tables[i] == NULL ? 0 : stream_table_memory(tables[i]);
        pending += tables[i] == NULL || i == 2 ? 0 : stream_table_mark(tables[i]).entry_count;
    }
    metrics_set(st->metrics, METRIC_STREAM_MEMORY, (int64_t)len);
    metrics_set(st->metrics, METRIC_STREAM_PENDING, (int64_t)pending);
}

void streams_count(struct streams *st)
{
    memory_count(st);
    static const enum metric_id ids[4] = {METRIC_STREAM_BY_MEMORY, METRIC_STREAM_BY_HEADS, METRIC_STREAM_BY_FILTERS,
                                          METRIC_STREAM_BY_RUNS};
    uint64_t now[4] = {st->view.by_memory, st->view.by_heads, st->view.by_filters, st->view.by_runs};
    for (size_t i = 0; i < 4; i++) {
        metrics_add(st->metrics, ids[i], now[i] - st->counted[i]);
        st->counted[i] = now[i];
    }
}

/* --- life --------------------------------------------------------------------------------------------------------- */

/* Slots of the list whose partitions are there still. */
static int parts_load(struct streams *st, const struct index_list *list, struct el_error *err)
{
    for (uint32_t i = 0; i < list->slot_count; i++) {
        const struct index_slot *slot = &list->slots[i];
        struct partition *part = store_observed_find(st->shard, &slot->topic_id, slot->partition);
        if (part == NULL) {
            continue;
        }
        if (slot->end_offset > store_observed_next_offset(part) || *store_observed_state(part) != NULL) {
            return el_error_set(
                err, EVLOG_ERR_CORRUPT, "the index of partition %d reaches offset %lld, behind the log's end at %lld",
                slot->partition, (long long)slot->end_offset, (long long)store_observed_next_offset(part));
        }
        struct stream_part *sp = part_add(st, part, slot->slot);
        if (sp == NULL) {
            return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the partitions of the stream index");
        }
        sp->noted = sp->run_end = sp->frozen_end = slot->end_offset;
    }
    return 0;
}

static int run_load(struct streams *st, uint64_t id, struct stream_run **out, struct el_error *err)
{
    char path[INDEX_PATH_LEN];
    struct el_index_run_info info;
    bool with_filter;
    index_run_path(path, st->index, id);
    int code = index_run_peek(st->io->disk, path, &info, err);
    if (code != 0) {
        return code;
    }
    struct stream_run *run = stream_run_new(st, &info, &with_filter);
    if (run == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for an index file: raise stream.memory.max");
    }
    code = index_run_open(st->io->disk, path, &info, run->memory, with_filter, &run->run, err);
    if (code != 0) {
        stream_run_free(st, run);
        return code;
    }
    run->listed = true;
    *out = run;
    return 0;
}

/* Forget what was loaded: the index is made anew. */
static void unload(struct streams *st)
{
    while (!el_list_empty(&st->parts)) {
        struct stream_part *sp = EL_CONTAINER(st->parts.next, struct stream_part, link);
        *store_observed_state(sp->part) = NULL;
        sp->part = NULL;
        part_free(sp);
    }
}

static int runs_load(struct streams *st, const struct index_list *list, struct el_error *err)
{
    struct stream_run **runs = el_calloc(list->run_count + 1, sizeof *runs);
    if (runs == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the list of index files");
    }
    int code = 0;
    uint32_t count = 0;
    while (count < list->run_count && code == 0) {
        code = run_load(st, list->run_ids[count], &runs[count], err);
        count += code == 0;
    }
    struct stream_run_set *set = code == 0 ? stream_runs_make(st, runs, count) : NULL;
    if (set != NULL) {
        stream_runs_replace(st, set);
    } else {
        code = code != 0 ? code : el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the list of index files");
        for (uint32_t i = 0; i < count; i++) {
            index_run_close(&runs[i]->run);
            stream_run_free(st, runs[i]);
        }
    }
    el_free(runs);
    return code;
}

static bool is_damage(int code)
{
    return code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_NOT_FOUND;
}

/* What a newer evlogd has written is no damage, and is left as it is; also when something else is damaged. */
static int newer_look(const struct streams *st, const struct index_list *list, int code, struct el_error *why)
{
    for (uint32_t i = 0; i < list->run_count && is_damage(code); i++) {
        char path[INDEX_PATH_LEN];
        struct el_index_run_info info;
        struct el_error other = {0};
        index_run_path(path, st->index, list->run_ids[i]);
        if (index_run_peek(st->io->disk, path, &info, &other) == EVLOG_ERR_FORMAT) {
            *why = other;
            code = EVLOG_ERR_FORMAT;
        }
    }
    return code;
}

static int index_load(struct streams *st, struct el_error *err)
{
    struct index_list list = {0};
    struct el_error why = {0};
    int code = index_list_load(st->io->disk, st->index, &list, &why);
    bool known = code == 0 && list.sequence > 0;
    if (known && memcmp(list.secret_tag, st->tag, sizeof st->tag) != 0) {
        code = el_error_set(&why, EVLOG_ERR_CORRUPT, "it was made with another secret");
    }
    code = code != 0 ? code : parts_load(st, &list, &why);
    code = code != 0 ? code : runs_load(st, &list, &why);
    code = newer_look(st, &list, code, &why);
    if (is_damage(code) || code == EVLOG_ERR_FORMAT) {
        unload(st);
    }
    if (is_damage(code)) {
        el_log(EL_LOG_WARN, "stream", "shard %u: the stream index cannot be used and is made anew from the log: %s",
               st->index, why.text);
    } else if (code != 0) {
        index_list_free(&list);
        return el_error_set(err, code, "%s%s", why.text,
                            code == EVLOG_ERR_FORMAT
                                ? ": start a newer evlogd, or remove the folder streams: the index "
                                  "is then made anew from logs that begin at offset 0"
                                : "");
    }
    /* A list that cannot be read has an unknown number; one that is made anew must have a greater one. */
    st->list_sequence = known ? list.sequence : code != 0 ? io_wall(st->io) : 0;
    st->next_slot = known ? list.next_slot : 1;
    st->next_run_id = known ? list.next_run_id : code != 0 ? io_wall(st->io) : 1;
    if (code == 0) { /* also without a list: a kill may have come before the first one, but after the first run */
        code = index_list_sweep(st->io->disk, st->index, &list, err);
    }
    index_list_free(&list);
    return is_damage(code) ? 0 : code;
}

static void streams_init(struct streams *st, struct store_shard *shard, const struct stream_secret *secret)
{
    st->magic = STREAMS_MAGIC;
    st->shard = shard;
    st->index = store_shard_index(shard);
    st->io = store_shard_io(shard);
    st->buddy = store_shard_buddy(shard);
    st->metrics = store_shard_metrics(shard);
    st->secret = *secret;
    struct el_hash128 tag = el_xxh3_128(secret->bytes, sizeof secret->bytes, secret->bytes);
    memcpy(st->tag, &tag, sizeof st->tag);
    st->observer = (struct store_observer){.admit = stream_append_admit,
                                           .undo = stream_append_undo,
                                           .ended = stream_append_ended,
                                           .deleted = part_deleted,
                                           .floor = part_floor,
                                           .raise = part_raise,
                                           .arg = st};
    st->view = (struct stream_view){.buddy = st->buddy, .may_hold = stream_runs_may_hold, .arg = st};
    el_list_init(&st->parts);
    el_list_init(&st->starved);
    el_list_init(&st->catch_queue);
    el_pool_init(&st->part_pool, st->buddy, sizeof(struct stream_part));
    el_pool_init(&st->run_pool, st->buddy, sizeof(struct stream_run));
    el_pool_init(&st->catch_pool, st->buddy, sizeof(struct stream_catch));
    st->retry_timer.fire = retry_on_timer;
    st->retry_timer.arg = st;
    stream_work_init(st);
}

int streams_create(struct store_shard *shard, struct streams *const *peers, const struct stream_secret *secret,
                   const struct streams_config *cfg, struct streams **out, struct el_error *err)
{
    struct streams *st = el_calloc(1, sizeof *st);
    if (st == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the stream index");
    }
    streams_init(st, shard, secret);
    st->peers = peers;
    st->cfg = *cfg;
    st->cfg.memory_max = EL_MAX(st->cfg.memory_max, (uint64_t)STREAMS_MEMORY_MIN);
    st->cfg.step_len = cfg->step_len == 0 ? STREAMS_STEP_LEN : cfg->step_len;
    st->runs = stream_runs_make(st, NULL, 0);
    int code = st->runs == NULL ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the stream index")
                                : index_load(st, err);
    if (code != 0) {
        streams_destroy(st);
        return code;
    }
    store_observe(shard, &st->observer);
    *out = st;
    return 0;
}

void streams_start(struct streams *st)
{
    OBJ_CHECK(st, STREAMS);
    stream_work_go(st);
}

void streams_stop(struct streams *st)
{
    OBJ_CHECK(st, STREAMS);
    EL_ASSERT(!st->stopping);
    st->stopping = true;
    st->want_flush = true; /* what is in memory goes to a run */
    EL_LIST_EACH_SAFE(n, tmp, &st->parts) {
        struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        sp->pins++;
        for (struct el_list *q; (q = el_list_pop_front(&sp->questions)) != NULL;) {
            stream_question_go(sp, EL_CONTAINER(q, struct store_op, link), EVLOG_ERR_CLOSED);
        }
        stream_part_unpin(sp);
    }
    floors_refuse(st);
    stream_work_hurry(st);
}

bool streams_idle(const struct streams *st)
{
    return st->dead || (st->ops == 0 && stream_work_idle(st));
}

void streams_destroy(struct streams *st)
{
    if (st == NULL) {
        return;
    }
    EL_ASSERT(st->magic == STREAMS_MAGIC);
    if (st->runs != NULL) {
        stream_runs_drop(st, st->runs);
    }
    stream_work_free(st);
    io_timer_cancel(st->io, &st->retry_timer);
    stream_table_destroy(st->view.active);
    stream_table_destroy(st->view.frozen);
    stream_heads_destroy(st->view.heads);
    el_pool_destroy(&st->part_pool);
    el_pool_destroy(&st->run_pool);
    el_pool_destroy(&st->catch_pool);
    st->magic = 0;
    el_free(st);
}

const struct stream_secret *streams_secret(const struct streams *st)
{
    return &st->secret;
}
