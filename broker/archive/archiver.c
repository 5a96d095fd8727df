/* SPDX-License-Identifier: Apache-2.0
 *
 * The archiver of a shard: its partitions, what it hears of them, what it is told.
 *
 *   1. archiver_start(); on shard 0 the root maker has a job read what the bucket has
 *   2. told of it, the shard walks over its partitions and tells storage how far the archive reaches
 *   3. a partition with something new is dirty, until a root covers all of it; rounds are archiver_round.c
 *   4. archiver_stop(): the root maker makes the last rounds; then every shard has ended
 *
 * A partition whose log ends below what the archive has is not touched: storage refuses appends to it, and archiving
 * ends for good.
 */
#include <archive/archiver_state.h>

#include <core/crypto.h>
#include <core/logger.h>
#include <inttypes.h>

#define LOOK_NS 1000000000u /* how often the backlog is looked at */
#define LOAD_SHARE 8        /* of a shard's memory, for the buffer of an object */
#define LOAD_LEN_MIN (256u << 10)

/* --- partitions --------------------------------------------------------------------------------------------------- */

static struct archive_part *part_add(struct archiver *ar, struct partition *part, int64_t next, uint64_t leaf)
{
    struct archive_part *ap = el_pool_get(&ar->part_pool);
    struct tier_view view;
    if (ap == NULL) {
        return NULL;
    }
    EL_ASSERT(*store_tier_state(part) == NULL);
    store_tier_view(part, &view);
    ap->ar = ar;
    ap->part = part;
    ap->topic_id = view.topic_id;
    ap->number = view.partition;
    ap->next = ap->object_end = ap->signed_end = next;
    ap->leaf = leaf;
    ap->goal = view.durable_end; /* of a goal that is open, what was there before it, and more */
    el_list_init(&ap->todo_link);
    el_list_push_back(&ar->parts, &ap->link);
    *store_tier_state(part) = ap;
    return ap;
}

void archiver_part_free(struct archive_part *ap)
{
    EL_ASSERT(ap->part == NULL);
    EL_ASSERT(!ap->held);
    EL_ASSERT(ap->ar->reading != ap);
    el_list_remove(&ap->link);
    el_list_remove(&ap->todo_link);
    el_pool_put(&ap->ar->part_pool, ap);
}

static void part_dirty(struct archive_part *ap)
{
    EL_ASSERT(ap->part != NULL); /* a deleted one is in no list of what is to be done */
    if (el_list_empty(&ap->todo_link)) {
        el_list_push_back(&ap->ar->dirty, &ap->todo_link);
    }
}

/* From inside of storage: nothing of it is called here that changes anything. */
static void on_changed(void *arg, struct partition *part)
{
    struct archiver *ar = arg;
    struct archive_part *ap = *store_tier_state(part);
    struct tier_view view;
    OBJ_CHECK(ar, ARCHIVER);
    if (!ar->known) {
        return; /* all partitions are walked over then */
    }
    store_tier_view(part, &view);
    if (view.deleted) {
        if (ap != NULL) {
            *store_tier_state(part) = NULL;
            ap->part = NULL;
            el_list_remove(&ap->todo_link);
            if (!ap->held) {
                archiver_part_free(ap);
            }
        }
        return;
    }
    if (ap == NULL) {
        ap = part_add(ar, part, 0, 0);
        ar->unentered = ar->unentered || ap == NULL;
        ar->walk_again = true; /* storage is told then, and where there was no memory it is tried again */
    }
    if (ap != NULL) {
        part_dirty(ap);
        if (view.awaited) {
            archiver_want(ar);
        }
    }
}

/* Partitions that the walk or changed() has not entered. The archive has nothing of them. */
void archiver_walk(struct archiver *ar)
{
    size_t cursor = 0;
    ar->walk_again = ar->unentered = false;
    for (struct partition *part; (part = store_tier_next(ar->shard, &cursor)) != NULL;) {
        struct archive_part *ap = *store_tier_state(part);
        struct tier_view view;
        if (ap == NULL) {
            ap = part_add(ar, part, 0, 0);
            if (ap == NULL) {
                ar->walk_again = ar->unentered = true;
                return;
            }
            part_dirty(ap);
            store_tier_settled(part); /* what it was told of before the archive was known is forgotten */
        }
        store_tier_view(part, &view);
        if (view.archived_end < 0) {
            store_tier_archived(part, 0, 0);
        }
        if (view.awaited && view.durable_end > ap->next) {
            archiver_want(ar);
        }
    }
}

/* --- what the root maker tells ------------------------------------------------------------------------------------ */

/* The archive has more than the disk. */
static void part_behind(struct archiver *ar, struct partition *part, const struct tier_view *view, int64_t end)
{
    char id[33];
    el_hex(id, view->topic_id.bytes, 16);
    store_tier_refuse(part);
    el_log(EL_LOG_ERROR, "archive",
           "partition %d of topic %s ends at offset %" PRId64 " on this disk and at %" PRId64
           " in the archive: appends to it are refused",
           view->partition, id, view->durable_end, end);
    archive_fail(
        ar->archive,
        "partition %d of topic %s ends at offset %" PRId64 " on this disk, and the archive has signed it up to "
        "%" PRId64 ": this disk is older than the archive. Nothing is appended to it and nothing archived; start "
        "evlogd --from-archive on an empty data directory, or restore the newer disk",
        view->partition, id, view->durable_end, end);
}

static void take_part(struct archiver *ar, const struct archive_told_part *told, bool first)
{
    struct partition *part = store_tier_find(ar->shard, &told->topic_id, told->number);
    struct tier_view view;
    if (part == NULL) {
        return; /* another shard's, or deleted */
    }
    store_tier_view(part, &view);
    struct archive_part *ap = *store_tier_state(part);
    if (told->end > view.durable_end) {
        part_behind(ar, part, &view, told->end);
        return;
    }
    if (ap == NULL) {
        EL_ASSERT(first);
        ap = part_add(ar, part, told->end, told->leaf);
        if (ap == NULL) {
            archive_fail(ar->archive, "shard %" PRIu32 " has no memory for its partitions: raise memory.max",
                         ar->index);
            return;
        }
    }
    EL_ASSERT(ap->next >= told->end);
    ap->log_start = told->log_start;
    store_tier_retired(part, told->retired);
    if (told->end > view.archived_end) { /* it may be in a gap behind all that is archived */
        ap->signed_end = told->end;
        store_tier_archived(part, told->end, told->end);
    }
    store_tier_settled(part);
    store_tier_view(part, &view);
    if (view.durable_end > ap->next || first) {
        part_dirty(ap);
    }
    if (view.awaited && view.durable_end > told->end) {
        archiver_want(ar);
    }
}

/* Bytes of partitions in a list, from where a root covers them, or no object holds them. */
static uint64_t list_pending(const struct el_list *list, bool in_objects)
{
    uint64_t len = 0;
    EL_LIST_EACH(n, list) {
        const struct archive_part *ap = EL_CONTAINER(n, struct archive_part, todo_link);
        EL_ASSERT(ap->part != NULL);
        EL_ASSERT(ap->signed_end <= ap->object_end);
        EL_ASSERT(ap->object_end <= ap->next);
        len += store_tier_pending(ap->part, in_objects ? ap->signed_end : ap->next);
    }
    return len;
}

/* What no root covers. As long as the archive has not said what it has, that is all there is here. */
static void show_pending(struct archiver *ar)
{
    uint64_t pending = list_pending(&ar->dirty, true) + list_pending(&ar->big, true) + list_pending(&ar->small, true);
    size_t cursor = 0;
    for (struct partition *part; !ar->known && (part = store_tier_next(ar->shard, &cursor)) != NULL;) {
        pending += store_tier_pending(part, 0);
    }
    metrics_set(ar->metrics, METRIC_ARCHIVE_PENDING, (int64_t)pending);
}

static void look(struct archiver *ar)
{
    if (ar->walk_again && ar->known) {
        archiver_walk(ar);
    }
    show_pending(ar);
    if (list_pending(&ar->dirty, false) >= ar->load_len) {
        archiver_want(ar);
    }
}

/* Appends wait, or go on. */
static void hold(struct archiver *ar, bool holds)
{
    if (ar->holds != holds) {
        ar->holds = holds;
        store_tier_hold(ar->shard, holds);
    }
}

/* The store has not answered for so long: what is on this disk was signed by it, for all that is known. */
static void on_hold_timer(struct io_timer *timer)
{
    struct archiver *ar = timer->arg;
    OBJ_CHECK(ar, ARCHIVER);
    if (ar->holds && atomic_load(&ar->archive->behind_shown) == BEHIND_NOT) {
        if (ar->index == 0) {
            el_log(EL_LOG_WARN, "archive",
                   "what %s has is not known after %" PRIu64
                   " s: appends go on, and if this disk is older than what was "
                   "signed, that is found later",
                   ar->archive->cfg.bucket->url, ar->archive->cfg.hold_ms / 1000);
        }
        hold(ar, false);
    }
}

/* Run on the shard when a root covers more, and at first. */
static void on_told(struct archiver *ar)
{
    bool first = !ar->known;
    EL_ASSERT(!ar->in_round);
    if (ar->archive->redacting) { /* set before this was sent, and not changed before it is answered */
        archive_cold_forget(ar);
    }
    for (size_t i = 0; i < ar->told.part_count; i++) {
        take_part(ar, &ar->told.parts[i], first);
    }
    ar->known = true;
    hold(ar, false);
    if (first || ar->walk_again) {
        archiver_walk(ar);
    }
    look(ar);
    if (first) {
        archive_reads_go(ar);
    }
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static void run_to_root(struct io_message *message)
{
    struct archiver *ar = EL_CONTAINER(message, struct archiver, to_root);
    archive_root_answered(ar->archive, ar);
}

void archiver_answer(struct archiver *ar)
{
    ar->to_root.run = run_to_root;
    io_post(ar->archive->io, &ar->to_root);
}

static void run_to_shard(struct io_message *message)
{
    struct archiver *ar = EL_CONTAINER(message, struct archiver, to_shard);
    OBJ_CHECK(ar, ARCHIVER);
    archive_memory_charge(ar);
    switch (ar->order) {
    case ORDER_TELL:
        on_told(ar);
        archiver_answer(ar);
        return;
    case ORDER_ROUND:
        archiver_round_begin(ar);
        return;
    case ORDER_HEAL_LOOK:
        archiver_heal_look(ar);
        return;
    case ORDER_HEAL:
        archiver_heal(ar);
        return;
    }
}

/* Nothing is appended where the archive has more, and something else than would be written now. */
static void refuse_behind(struct archiver *ar)
{
    for (size_t i = 0; i < ar->told.part_count; i++) {
        const struct archive_told_part *told = &ar->told.parts[i];
        struct partition *part = store_tier_find(ar->shard, &told->topic_id, told->number);
        struct tier_view view = {.durable_end = INT64_MAX};
        if (part != NULL) {
            store_tier_view(part, &view);
        }
        if (told->end > view.durable_end) {
            part_behind(ar, part, &view, told->end);
        }
    }
}

static void run_end(struct io_message *message)
{
    struct archiver *ar = EL_CONTAINER(message, struct archiver, end);
    OBJ_CHECK(ar, ARCHIVER);
    EL_ASSERT(!ar->ended);
    ar->ended = true;
    if (archive_stopped_reason(ar->archive) != NULL) {
        store_tier_ended(ar->shard); /* what is not archived goes on to be shown */
    } else {
        io_timer_cancel(ar->io, &ar->look_timer);
    }
    if (ar->older) {
        refuse_behind(ar);
    }
    if (archive_stopped_reason(ar->archive) != NULL) {
        hold(ar, false);
    }
    archiver_heal_stop(ar);
    archiver_loads_stop(ar);
    archiver_round_go(ar); /* a round under way is answered */
    archive_reads_go(ar);
}

void archiver_end(struct archiver *ar)
{
    ar->end.run = run_end;
    io_post(ar->io, &ar->end);
}

void archiver_order(struct archiver *ar, enum archiver_order order)
{
    ar->order = order;
    ar->ledger_share = ar->archive->ledger_len / ar->archive->shard_count;
    ar->to_shard.run = run_to_shard;
    io_post(ar->io, &ar->to_shard);
}

static void run_want_back(struct io_message *message)
{
    struct archiver *ar = EL_CONTAINER(message, struct archiver, want);
    EL_ASSERT(ar->want_sent);
    ar->want_sent = false;
}

static void run_want(struct io_message *message)
{
    struct archiver *ar = EL_CONTAINER(message, struct archiver, want);
    archive_root_want(ar->archive);
    ar->want.run = run_want_back;
    io_post(ar->io, &ar->want);
}

void archiver_want(struct archiver *ar)
{
    if (!ar->want_sent && !ar->ended) {
        ar->want_sent = true;
        ar->want.run = run_want;
        io_post(ar->archive->io, &ar->want);
    }
}

/* --- the backlog -------------------------------------------------------------------------------------------------- */

static void on_look(struct io_timer *timer)
{
    struct archiver *ar = timer->arg;
    OBJ_CHECK(ar, ARCHIVER);
    if (!ar->ended && !ar->known && atomic_load(&ar->archive->behind_shown) != BEHIND_NOT) {
        hold(ar, true);
    }
    if (ar->known && !ar->in_round && !ar->ended) {
        look(ar);
    } else {
        show_pending(ar);
    }
    if (ar->index == 0) {
        metrics_set(ar->metrics, METRIC_ARCHIVE_LAG, (int64_t)(archive_lag_ns(ar->archive) / 1000000000u));
    }
    archive_memory_idle(ar);
    archiver_round_go(ar); /* loads that had no memory */
    io_timer_set(ar->io, &ar->look_timer, ar->io->now_ns + LOOK_NS);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

void archiver_init(struct archive *a, uint32_t index)
{
    struct archiver *ar = &a->shards[index];
    ar->magic = ARCHIVER_MAGIC;
    ar->index = index;
    ar->archive = a;
    ar->shard = store_shard_at(a->store, index);
    ar->io = store_shard_io(ar->shard);
    ar->buddy = store_shard_buddy(ar->shard);
    ar->metrics = store_shard_metrics(ar->shard);
    el_pool_init(&ar->part_pool, ar->buddy, sizeof(struct archive_part));
    el_list_init(&ar->parts);
    el_list_init(&ar->dirty);
    el_list_init(&ar->big);
    el_list_init(&ar->small);
    el_list_init(&ar->read_list);
    el_list_init(&ar->charges);
    ar->load_len = EL_MAX(EL_MIN((size_t)a->cfg.segment_len, ar->buddy->len / LOAD_SHARE), (size_t)LOAD_LEN_MIN);
    for (uint32_t i = 0; i < LOADS; i++) {
        archiver_load_init(ar, &ar->loads[i]);
    }
    ar->look_timer.fire = on_look;
    ar->look_timer.arg = ar;
    ar->go_timer.fire = archiver_on_go;
    ar->go_timer.arg = ar;
    ar->tier = (struct store_tier){.changed = on_changed, .read = archive_read_begin, .arg = ar};
    store_tier_set(ar->shard, &ar->tier);
    ar->hold_timer.fire = on_hold_timer;
    ar->hold_timer.arg = ar;
    hold(ar, a->cfg.hold_ms > 0);
}

void archiver_start(struct archiver *ar)
{
    OBJ_CHECK(ar, ARCHIVER);
    io_timer_set(ar->io, &ar->look_timer, ar->io->now_ns + LOOK_NS);
    io_timer_set(ar->io, &ar->hold_timer, ar->io->now_ns + ar->archive->cfg.hold_ms * 1000000);
    show_pending(ar);
    if (ar->index == 0) {
        archive_root_start(ar->archive);
    }
}

void archiver_stop(struct archiver *ar, uint64_t deadline_ns)
{
    OBJ_CHECK(ar, ARCHIVER);
    ar->leaving = true;
    if (ar->ended) {
        io_timer_cancel(ar->io, &ar->look_timer);
        archive_reads_kick(ar);
    }
    if (ar->index == 0) {
        archive_root_stop(ar->archive, deadline_ns);
    }
}

bool archiver_idle(const struct archiver *ar)
{
    OBJ_CHECK(ar, ARCHIVER);
    return ar->ended && archiver_loads_idle(ar) && ar->go_timer.heap_index == 0 && !ar->want_sent && !ar->kicked &&
           ar->reads == 0 && ar->heal == NULL && ar->heal_timer.heap_index == 0 &&
           (ar->index != 0 || archive_root_idle(ar->archive));
}

void archiver_timers_cancel(struct archiver *ar)
{
    io_timer_cancel(ar->io, &ar->look_timer);
    io_timer_cancel(ar->io, &ar->hold_timer);
    io_timer_cancel(ar->io, &ar->heal_timer);
    io_timer_cancel(ar->io, &ar->go_timer);
    for (uint32_t i = 0; i < LOADS; i++) {
        io_timer_cancel(ar->io, &ar->loads[i].retry);
    }
}

void archiver_destroy(struct archiver *ar)
{
    el_pool_destroy(&ar->part_pool);
    archive_memory_release(ar);
    el_buddy_free(ar->buddy, ar->moves);
    ar->moves = NULL;
}
