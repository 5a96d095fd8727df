/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal of one shard at run time. Recovery reads it in journal_recover.c.
 *
 *   1. journal_room() opens a group: a buffer and an append time; journal_add() copies frames into it
 *   2. journal_tick() closes and submits it: at once when the last flush has ended and as many frames wait as in the
 *      larger of the last two flushes, else after half of an average flush (docs/internals/journal.md). A lone writer
 *      never waits
 *   3. the write completes; groups are acknowledged in order of sequence, never past one that is still in flight
 *   4. ten quiet milliseconds later the durable-end mark closes the window for the last group
 *
 * A failed or short write stops the journal for good; the shard is read-only until a restart has read the disk again.
 * A full disk cannot fail a write, for slots are filled with zeros before they are used; it only delays new slots.
 * Invariants: sequences rise by one; a block with acknowledged bytes is never written again before
 * journal_free_through() passed it; durable_sequence < next_sequence.
 */
#include <storage/journal.h>

#include <core/logger.h>
#include <stdio.h>

#define GROUP_CAP_MIN (8u << 10)
#define SECOND_FLIGHT_EVENTS 128u
#define MARK_DELAY_NS 10000000u
#define PREPARE_RETRY_NS 1000000000u
#define SLOW_FLUSH_NS 1000000000u

static _Alignas(EL_JOURNAL_ALIGN) uint8_t zero_block[256u << 10];

void journal_dir_path(char *path, size_t len, uint32_t shard)
{
    snprintf(path, len, "journal/%04u", shard);
}
void journal_slot_path(char *path, size_t len, uint32_t shard, uint32_t slot)
{
    snprintf(path, len, "journal/%04u/%04u", shard, slot);
}
void journal_mark_path(char *path, size_t len, uint32_t shard)
{
    snprintf(path, len, "journal/%04u/mark", shard);
}

/* --- slots -------------------------------------------------------------------------------------------------------- */

/* Create a slot file, fill it with zeros, make file and name durable. Blocking. */
static int slot_create(struct disk *disk, struct journal_prepare *prepare)
{
    prepare->fd = -1;
    int fd = -1;
    int code = disk_open(disk, prepare->path, DISK_WRITE | DISK_CREATE | DISK_DIRECT, &fd);
    if (code != 0) {
        return code;
    }
    for (uint64_t pos = 0; pos < prepare->len && code == 0; pos += sizeof(zero_block)) {
        code = disk_pwrite(disk, fd, zero_block, (size_t)EL_MIN(sizeof(zero_block), prepare->len - pos), pos);
    }
    if (code == 0) {
        code = disk_sync(disk, fd);
    }
    if (code == 0) {
        code = disk_sync_dir(disk, prepare->dir);
    }
    if (code != 0) {
        disk_close(disk, fd);
        disk_unlink(disk, prepare->path);
        return code;
    }
    prepare->fd = fd;
    return 0;
}

static int64_t prepare_job(struct disk *disk, void *arg)
{
    return slot_create(disk, arg);
}

static void prepare_set(struct journal *j, uint32_t slot)
{
    journal_slot_path(j->prepare.path, sizeof(j->prepare.path), j->cfg.shard, slot);
    journal_dir_path(j->prepare.dir, sizeof(j->prepare.dir), j->cfg.shard);
    j->prepare.len = slot == 0 ? j->cfg.first_slot_len : j->cfg.slot_len;
}

static void slot_add(struct journal *j)
{
    EL_ASSERT(j->slot_count < JOURNAL_SLOT_COUNT_MAX);
    EL_ASSERT(j->prepare.fd >= 0);
    j->slots[j->slot_count++] = (struct jslot){.state = JSLOT_FREE, .fd = j->prepare.fd, .len = j->prepare.len};
}

static void journal_stop(struct journal *j, const char *what, int code);

static void prepare_on_done(struct io_op *op)
{
    struct journal *j = op->arg;
    EL_ASSERT(j->prepare_busy);
    j->prepare_busy = false;
    if (op->result == 0) {
        j->prepare_tries = 0;
        slot_add(j);
    } else if (op->result == EVLOG_ERR_NO_SPACE || op->result == EVLOG_ERR_NO_FILES) {
        if (j->prepare_tries++ == 0) {
            el_log(EL_LOG_WARN, "storage", "shard %u: no room for another journal slot (%s); trying again every second",
                   j->cfg.shard, evlog_error_text((int)op->result));
        }
        io_timer_set(j->io, &j->prepare_timer, j->io->now_ns + PREPARE_RETRY_NS);
    } else {
        journal_stop(j, "preparing a journal slot", (int)op->result);
    }
}

static uint32_t free_slot_count(const struct journal *j)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < j->slot_count; i++) {
        count += j->slots[i].state == JSLOT_FREE;
    }
    return count;
}

/* Begin to make another slot, unless one is under way or the disk was full a moment ago. */
static void prepare_start(struct journal *j)
{
    if (j->prepare_busy || j->stopped || j->prepare_timer.heap_index != 0 || j->slot_count == JOURNAL_SLOT_COUNT_MAX) {
        return;
    }
    prepare_set(j, j->slot_count);
    j->prepare_busy = true;
    j->prepare_op.done = prepare_on_done;
    j->prepare_op.arg = j;
    io_job(j->io, &j->prepare_op, IO_JOB_COMPUTE, prepare_job, &j->prepare);
}

static void prepare_on_timer(struct io_timer *timer)
{
    struct journal *j = timer->arg;
    if (free_slot_count(j) == 0) {
        prepare_start(j);
    }
}

/* Make sure that len bytes fit behind pos in the active slot, moving on to a free one. */
static bool slot_place(struct journal *j, uint64_t len)
{
    struct jslot *active = &j->slots[j->active];
    EL_ASSERT(active->state == JSLOT_ACTIVE);
    EL_ASSERT(j->pos <= active->len);
    EL_ASSERT(len % EL_JOURNAL_ALIGN == 0);
    if (j->pos + len <= active->len) {
        return true;
    }
    if (active->last_sequence <= j->freed_through && len <= active->len) {
        j->pos = 0; /* all of it may be overwritten: once round on the spot, for want of another */
        return true;
    }
    for (uint32_t i = 0; i < j->slot_count; i++) {
        if (j->slots[i].state == JSLOT_FREE && j->slots[i].len >= len) {
            EL_ASSERT(j->slots[i].last_sequence <= j->freed_through); /* nothing that counts is overwritten */
            active->state = active->last_sequence > j->freed_through ? JSLOT_USED : JSLOT_FREE;
            j->slots[i].state = JSLOT_ACTIVE;
            j->active = i;
            j->pos = 0;
            return true;
        }
    }
    prepare_start(j);
    return false;
}

/* --- overwriting -------------------------------------------------------------------------------------------------- */

static int64_t wipe_job(struct disk *disk, void *arg)
{
    const struct journal_wipe *wipe = arg;
    int code = 0;
    for (uint64_t pos = 0; pos < wipe->len && code == 0; pos += sizeof(zero_block)) {
        code = disk_pwrite(disk, wipe->fd, zero_block, (size_t)EL_MIN(sizeof(zero_block), wipe->len - pos), pos);
    }
    return code != 0 ? code : disk_sync(disk, wipe->fd);
}

static void wipe_on_done(struct io_op *op)
{
    struct journal *j = op->arg;
    struct jslot *slot = &j->slots[j->wipe.slot];
    EL_ASSERT(slot->state == JSLOT_WIPED);
    EL_ASSERT(j->wipe_busy);
    EL_ASSERT(slot->last_sequence <= j->freed_through);
    j->wipe_busy = false;
    slot->state = JSLOT_FREE;
    slot->stale = false;
    if (op->result != 0) {
        journal_stop(j, "overwriting a journal slot", (int)op->result);
    }
}

static void wipe_start(struct journal *j, uint32_t index)
{
    struct jslot *slot = &j->slots[index];
    EL_ASSERT(slot->state == JSLOT_FREE);
    EL_ASSERT(index != j->active);
    EL_ASSERT(!j->wipe_busy);
    slot->state = JSLOT_WIPED;
    j->wipe = (struct journal_wipe){.slot = index, .fd = slot->fd, .len = slot->len};
    j->wipe_busy = true;
    j->wipe_op.done = wipe_on_done;
    j->wipe_op.arg = j;
    io_job(j->io, &j->wipe_op, IO_JOB_COMPUTE, wipe_job, &j->wipe);
}

/* What is written from now on goes to another slot, a clean one. */
static void active_leave(struct journal *j)
{
    struct jslot *active = &j->slots[j->active];
    for (uint32_t i = 0; i < j->slot_count; i++) {
        if (j->slots[i].state == JSLOT_FREE && !j->slots[i].stale && j->slots[i].len >= EL_JOURNAL_ALIGN) {
            EL_ASSERT(j->slots[i].last_sequence <= j->freed_through); /* nothing that counts is overwritten */
            active->state = active->last_sequence > j->freed_through ? JSLOT_USED : JSLOT_FREE;
            j->slots[i].state = JSLOT_ACTIVE;
            j->active = i;
            j->pos = 0;
            return;
        }
    }
    prepare_start(j);
}

void journal_wipe(struct journal *j)
{
    for (uint32_t i = 0; i < j->slot_count; i++) {
        j->slots[i].stale = true;
    }
}

bool journal_wipe_go(struct journal *j)
{
    bool clean = !j->wipe_busy;
    for (uint32_t i = 0; i < j->slot_count; i++) {
        struct jslot *slot = &j->slots[i];
        clean = clean && !slot->stale;
        if (slot->stale && slot->state == JSLOT_FREE && !j->wipe_busy && !j->stopped) {
            wipe_start(j, i);
        }
    }
    if (!clean && !j->wipe_busy && !j->stopped && j->slots[j->active].stale) {
        active_leave(j);
    }
    return clean;
}

/* --- open and close ----------------------------------------------------------------------------------------------- */

static int slots_open(struct journal *j, const uint64_t *last_sequence, uint32_t slot_count, struct disk *disk,
                      struct el_error *err)
{
    for (uint32_t i = 0; i < slot_count; i++) {
        char path[48];
        journal_slot_path(path, sizeof(path), j->cfg.shard, i);
        int fd = -1;
        uint64_t len = 0;
        int code = disk_open(disk, path, DISK_WRITE | DISK_DIRECT, &fd);
        if (code == 0) {
            code = disk_len(disk, fd, &len);
        }
        if (code != 0) {
            if (fd >= 0) {
                disk_close(disk, fd);
            }
            return el_error_set(err, code, "%s: %s", path, evlog_error_text(code));
        }
        bool is_free = last_sequence[i] <= j->freed_through;
        if (is_free && i + 1 == slot_count && len < (i == 0 ? j->cfg.first_slot_len : j->cfg.slot_len)) {
            disk_close(disk, fd); /* a crash came while it was filled: make it again, whole */
            code = disk_unlink(disk, path);
            return code == 0 ? 0 : el_error_set(err, code, "%s: %s", path, evlog_error_text(code));
        }
        j->slots[i] = (struct jslot){.state = is_free ? JSLOT_FREE : JSLOT_USED,
                                     .fd = fd,
                                     .len = len / EL_JOURNAL_ALIGN * EL_JOURNAL_ALIGN,
                                     .last_sequence = last_sequence[i]};
        j->slot_count++;
    }
    return 0;
}

/* A new start never writes into a slot that recovery may need: it takes a free one, or makes one. */
static int fresh_slot(struct journal *j, struct disk *disk, struct el_error *err)
{
    uint32_t best = JOURNAL_SLOT_COUNT_MAX;
    for (uint32_t i = 0; i < j->slot_count; i++) {
        if (j->slots[i].state == JSLOT_FREE && j->slots[i].len >= EL_JOURNAL_ALIGN) {
            best = i;
            break;
        }
    }
    if (best == JOURNAL_SLOT_COUNT_MAX) {
        if (j->slot_count == JOURNAL_SLOT_COUNT_MAX) {
            return el_error_set(err, EVLOG_ERR_LIMIT, "journal of shard %u has no free slot", j->cfg.shard);
        }
        prepare_set(j, j->slot_count);
        int code = slot_create(disk, &j->prepare);
        if (code == EVLOG_ERR_NO_SPACE) {
            return el_error_set(err, code,
                                "%s: %s: a start needs %llu KiB for a new journal slot; make room and start "
                                "again, nothing is lost",
                                j->prepare.path, evlog_error_text(code), (unsigned long long)j->prepare.len >> 10);
        }
        if (code != 0) {
            return el_error_set(err, code, "%s: %s", j->prepare.path, evlog_error_text(code));
        }
        best = j->slot_count;
        slot_add(j);
    }
    EL_ASSERT(j->slots[best].last_sequence <= j->freed_through);
    j->slots[best].state = JSLOT_ACTIVE;
    j->active = best;
    j->pos = 0;
    return 0;
}

static int mark_open(struct journal *j, struct disk *disk, struct el_error *err)
{
    struct journal_prepare mark = {.len = (uint64_t)2 * EL_JOURNAL_ALIGN};
    journal_mark_path(mark.path, sizeof(mark.path), j->cfg.shard);
    journal_dir_path(mark.dir, sizeof(mark.dir), j->cfg.shard);
    uint64_t len = 0;
    int code = disk_open(disk, mark.path, DISK_WRITE | DISK_DIRECT, &j->mark_fd);
    if (code == 0) {
        code = disk_len(disk, j->mark_fd, &len);
    }
    if (code == EVLOG_ERR_NOT_FOUND || (code == 0 && len < mark.len)) {
        if (code == 0) {
            disk_close(disk, j->mark_fd);
        }
        j->mark_fd = -1;
        code = slot_create(disk, &mark);
        j->mark_fd = mark.fd;
    }
    return code == 0 ? 0 : el_error_set(err, code, "%s: %s", mark.path, evlog_error_text(code));
}

static void mark_on_timer(struct io_timer *timer);

int journal_open(struct journal *j, const struct journal_config *cfg, const struct journal_state *state,
                 const uint64_t *last_sequence, uint32_t slot_count, uint64_t freed_through, struct disk *disk,
                 struct el_error *err)
{
    EL_ASSERT(slot_count <= JOURNAL_SLOT_COUNT_MAX);
    EL_ASSERT(cfg->slot_len % EL_JOURNAL_ALIGN == 0);
    EL_ASSERT(cfg->first_slot_len % EL_JOURNAL_ALIGN == 0);
    EL_ASSERT(cfg->slot_len > 0);
    EL_ASSERT(cfg->first_slot_len <= cfg->slot_len);
    j->cfg = *cfg;
    j->slot_max = (uint32_t)EL_MAX(4, 1 + (cfg->ring_len - EL_MIN(cfg->first_slot_len, cfg->ring_len)) / cfg->slot_len);
    j->incarnation = state->incarnation;
    j->parent_incarnation = state->parent_incarnation;
    j->parent_sequence = state->parent_sequence;
    j->boot = state->boot;
    j->node_tag = state->node_tag;
    j->next_sequence = state->parent_sequence + 1;
    j->durable_sequence = state->parent_sequence;
    j->marked_sequence = state->parent_sequence;
    j->freed_through = freed_through;
    j->mark_fd = -1;
    el_list_init(&j->ready);
    el_list_init(&j->flight);
    el_pool_init(&j->groups, j->buddy, sizeof(struct jgroup));
    j->mark_timer.fire = mark_on_timer;
    j->mark_timer.arg = j;
    j->prepare_timer.fire = prepare_on_timer;
    j->prepare_timer.arg = j;
    j->mark_buf = el_buddy_alloc(j->buddy, EL_JOURNAL_ALIGN);
    if (j->mark_buf == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the journal of shard %u", cfg->shard);
    }
    int code = slots_open(j, last_sequence, slot_count, disk, err);
    if (code == 0) {
        code = fresh_slot(j, disk, err);
    }
    return code != 0 ? code : mark_open(j, disk, err);
}

static void group_free(struct journal *j, struct jgroup *group)
{
    el_buddy_free(j->buddy, group->buf);
    el_pool_put(&j->groups, group);
}

void journal_close(struct journal *j, struct disk *disk)
{
    for (uint32_t i = 0; i < j->slot_count; i++) {
        disk_close(disk, j->slots[i].fd);
    }
    if (j->mark_fd >= 0) {
        disk_close(disk, j->mark_fd);
    }
    if (j->io != NULL && j->ready.next != NULL) {
        io_timer_cancel(j->io, &j->mark_timer);
        io_timer_cancel(j->io, &j->prepare_timer);
        if (j->filling != NULL) {
            group_free(j, j->filling);
        }
        for (struct el_list *n; (n = el_list_pop_front(&j->ready)) != NULL;) {
            group_free(j, EL_CONTAINER(n, struct jgroup, link));
        }
        for (struct el_list *n; (n = el_list_pop_front(&j->flight)) != NULL;) {
            group_free(j, EL_CONTAINER(n, struct jgroup, link));
        }
        el_pool_destroy(&j->groups);
    }
    el_buddy_free(j->buddy, j->mark_buf);
    j->slot_count = 0;
    j->mark_fd = -1;
    j->mark_buf = NULL;
    j->filling = NULL;
}

/* --- filling ------------------------------------------------------------------------------------------------------ */

uint64_t journal_close_group(struct journal *j)
{
    struct jgroup *group = j->filling;
    if (group != NULL) {
        EL_ASSERT(group->sequence == j->next_sequence - 1); /* groups are closed in their order */
        EL_ASSERT(group->len <= group->cap);
        el_list_push_back(&j->ready, &group->link);
        j->closed_len = group->len;
        j->filling = NULL;
    }
    return j->next_sequence - 1;
}

static int group_grow(struct journal *j, struct jgroup *group, size_t len)
{
    uint8_t *buf = el_buddy_alloc(j->buddy, EL_MAX((size_t)group->cap * 2, len));
    if (buf == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    EL_ASSERT(el_buddy_block_len(j->buddy, buf) >= len);
    memcpy(buf, group->buf, group->len);
    el_buddy_free(j->buddy, group->buf);
    group->buf = buf;
    group->cap = (uint32_t)el_buddy_block_len(j->buddy, buf);
    return 0;
}

static int group_open(struct journal *j, size_t len)
{
    EL_ASSERT(j->filling == NULL);
    struct jgroup *group = el_pool_get(&j->groups);
    if (group == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    /* As long as the last one that was closed, so that groups of a busy shard are not copied while they grow. */
    len = EL_MAX(len, (size_t)GROUP_CAP_MIN);
    group->buf = el_buddy_alloc(j->buddy, EL_MAX(len, EL_MIN((size_t)j->closed_len, (size_t)JOURNAL_GROUP_TARGET_LEN)));
    if (group->buf == NULL) {
        group->buf = el_buddy_alloc(j->buddy, len);
    }
    if (group->buf == NULL) {
        el_pool_put(&j->groups, group);
        return EVLOG_ERR_NO_MEMORY;
    }
    group->cap = (uint32_t)el_buddy_block_len(j->buddy, group->buf);
    group->len = EL_GROUP_HEADER_LEN;
    group->sequence = j->next_sequence++;
    group->append_time_ns = el_clock_next(j->clock);
    group->opened_ns = j->io->now_ns;
    group->entries_end = &group->entries;
    group->journal = j;
    el_list_init(&group->link);
    el_list_init(&group->waiters);
    j->queued_bytes += group->len;
    j->filling = group;
    return 0;
}

int journal_room(struct journal *j, size_t payload_len)
{
    size_t need = el_frame_len(payload_len);
    if (j->stopped) {
        return EVLOG_ERR_STORAGE;
    }
    if (EL_GROUP_HEADER_LEN + need > EL_MIN(j->cfg.slot_len, (uint64_t)EL_GROUP_LEN_MAX)) {
        return EVLOG_ERR_TOO_LARGE;
    }
    uint64_t target = EL_MIN((uint64_t)JOURNAL_GROUP_TARGET_LEN, j->cfg.slot_len / 2);
    if (j->filling != NULL && j->filling->frame_count > 0 && j->filling->len + need > target) {
        journal_close_group(j);
    }
    if (j->filling == NULL) {
        return group_open(j, EL_GROUP_HEADER_LEN + need);
    }
    if (j->filling->len + need <= j->filling->cap || group_grow(j, j->filling, j->filling->len + need) == 0) {
        return 0;
    }
    if (j->filling->frame_count == 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    journal_close_group(j); /* two small blocks may be had where a large one is not */
    return group_open(j, EL_GROUP_HEADER_LEN + need);
}

uint8_t *journal_add(struct journal *j, struct el_frame *frame)
{
    struct jgroup *group = j->filling;
    EL_ASSERT(group != NULL);
    EL_ASSERT(group->cap - group->len >= el_frame_len(frame->payload_len));
    if (frame->append_time_ns == 0) {
        frame->append_time_ns = group->append_time_ns;
    }
    uint8_t *place = group->buf + group->len;
    size_t len = el_frame_put(place, frame);
    EL_ASSERT(len == el_frame_len(frame->payload_len));
    group->len += (uint32_t)len;
    group->frame_count++;
    group->event_count++;
    j->queued_bytes += len;
    return place + EL_FRAME_HEADER_LEN;
}

void journal_wait(struct journal *j, struct journal_wait *wait)
{
    struct jgroup *last = journal_is_filling(j) ? j->filling : NULL;
    if (last == NULL && !el_list_empty(&j->ready)) {
        last = EL_CONTAINER(j->ready.prev, struct jgroup, link);
    }
    if (last == NULL && !el_list_empty(&j->flight)) {
        last = EL_CONTAINER(j->flight.prev, struct jgroup, link);
    }
    if (last == NULL || j->stopped) {
        wait->done(wait, j->stopped ? EVLOG_ERR_STORAGE : 0);
        return;
    }
    el_list_push_back(&last->waiters, &wait->link);
}

/* --- flushing ----------------------------------------------------------------------------------------------------- */

static void waiters_tell(struct jgroup *group, int error)
{
    for (struct el_list *n; (n = el_list_pop_front(&group->waiters)) != NULL;) {
        struct journal_wait *wait = EL_CONTAINER(n, struct journal_wait, link);
        wait->done(wait, error);
    }
}

void journal_abort(struct journal *j)
{
    if (j->stopped) {
        return;
    }
    j->stopped = true;
    struct el_list *lists[] = {&j->flight, &j->ready};
    for (size_t i = 0; i < 2; i++) {
        EL_LIST_EACH_SAFE(n, tmp, lists[i]) {
            waiters_tell(EL_CONTAINER(n, struct jgroup, link), EVLOG_ERR_STORAGE);
        }
    }
    if (j->filling != NULL) {
        waiters_tell(j->filling, EVLOG_ERR_STORAGE);
    }
}

/* The first failure ends the journal: nothing more is written or acknowledged. */
static void journal_stop(struct journal *j, const char *what, int code)
{
    if (j->stopped) {
        return;
    }
    snprintf(j->reason, sizeof(j->reason), "shard %u is read-only: %s failed (%s); restart evlogd to recover",
             j->cfg.shard, what, evlog_error_text(code));
    j->cb.failed(j->cb.arg, j->reason);
    journal_abort(j);
}

static void flush_account(struct journal *j, const struct jgroup *group)
{
    uint64_t now = io_mono(j->io);
    uint64_t took = now - group->submitted_ns;
    uint64_t counted = EL_MIN(took, (uint64_t)SLOW_FLUSH_NS); /* device or machine stood still: so will not the next */
    j->flush_ewma_ns = j->flush_ewma_ns == 0 ? counted : (j->flush_ewma_ns * 7 + counted) / 8;
    j->flush_ended_ns = j->io->now_ns;
    j->flushed_events[0] = j->flushed_events[1];
    j->flushed_events[1] = group->event_count;
    metrics_add(j->metrics, METRIC_FLUSHES, 1);
    metrics_add(j->metrics, METRIC_FLUSH_BYTES, (int64_t)EL_ALIGN_UP(group->len, EL_JOURNAL_ALIGN));
    metrics_observe_ns(j->metrics, METRIC_FLUSH_SECONDS, took);
    if (took > SLOW_FLUSH_NS) {
        metrics_add(j->metrics, METRIC_FLUSH_SLOW, 1);
        el_log(EL_LOG_WARN, "storage", "shard %u: a journal flush took %llu ms", j->cfg.shard,
               (unsigned long long)(took / 1000000));
    }
}

/* Whoever asks for health sees a device that does not answer: nothing else of the shard says so meanwhile. */
static void flight_tell(struct journal *j)
{
    bool any = !el_list_empty(&j->flight);
    EL_ASSERT(any == (j->flight_count > 0));
    uint64_t since_ns = any ? EL_CONTAINER(j->flight.next, struct jgroup, link)->submitted_ns : 0;
    atomic_store_explicit(&j->flight_since_ns, since_ns, memory_order_relaxed);
}

static void group_on_written(struct io_op *op)
{
    struct jgroup *group = EL_CONTAINER(op, struct jgroup, op);
    struct journal *j = group->journal;
    EL_ASSERT(!group->written);
    group->written = true;
    if (op->result < 0 || op->result != (int64_t)EL_ALIGN_UP(group->len, EL_JOURNAL_ALIGN)) {
        journal_stop(j, "a journal write", op->result < 0 ? (int)op->result : EVLOG_ERR_IO);
    }
    while (!el_list_empty(&j->flight)) {
        struct jgroup *head = EL_CONTAINER(j->flight.next, struct jgroup, link);
        if (!head->written) {
            break;
        }
        EL_ASSERT(j->flight_count > 0);
        EL_ASSERT(j->queued_bytes >= head->len);
        el_list_remove(&head->link);
        j->flight_count--;
        j->queued_bytes -= head->len;
        if (!j->stopped) {
            EL_ASSERT(head->sequence == j->durable_sequence + 1);
            j->durable_sequence = head->sequence;
            flush_account(j, head);
            j->cb.durable(j->cb.arg, head);
            waiters_tell(head, 0);
        }
        EL_ASSERT(el_list_empty(&head->waiters)); /* all were told, of this or of the end */
        group_free(j, head);
    }
    EL_ASSERT(j->durable_sequence < j->next_sequence);
    flight_tell(j);
    if (!j->stopped) {
        io_timer_set(j->io, &j->mark_timer, j->io->now_ns + MARK_DELAY_NS);
    }
}

static bool group_submit(struct journal *j, struct jgroup *group)
{
    uint64_t padded = EL_ALIGN_UP(group->len, EL_JOURNAL_ALIGN);
    if (padded > group->cap && group_grow(j, group, padded) != 0) {
        return false;
    }
    if (!slot_place(j, padded)) {
        return false;
    }
    EL_ASSERT(j->pos % EL_JOURNAL_ALIGN == 0);
    EL_ASSERT(j->pos + padded <= j->slots[j->active].len);
    EL_ASSERT(group->sequence > j->slots[j->active].last_sequence);
    EL_ASSERT(group->sequence == j->durable_sequence + j->flight_count + 1); /* none is passed over */
    memset(group->buf + group->len, 0, padded - group->len);
    struct el_group_header h = {
        .shard = j->cfg.shard,
        .slot = j->active,
        .frame_count = group->frame_count,
        .pos = j->pos,
        .incarnation = j->incarnation,
        .sequence = group->sequence,
        .len = group->len,
        .node_tag = j->node_tag,
        .durable_through = j->durable_sequence,
        .append_time_ns = group->append_time_ns,
        .previous_checksum = j->previous_checksum,
        .parent_incarnation = j->parent_incarnation,
        .parent_sequence = j->parent_sequence,
        .boot = j->boot,
    };
    el_group_seal(group->buf, &h);
    j->previous_checksum = h.checksum;
    group->slot = j->active;
    j->slots[j->active].last_sequence = group->sequence;
    el_list_remove(&group->link);
    el_list_push_back(&j->flight, &group->link);
    j->flight_count++;
    j->bytes_since_cut += padded;
    group->submitted_ns = io_mono(j->io);
    flight_tell(j);
    group->op.done = group_on_written;
    io_write_durable(j->io, &group->op, j->slots[j->active].fd, group->buf, padded, j->pos);
    j->pos += padded;
    if (free_slot_count(j) == 0 && j->slot_count < j->slot_max) {
        prepare_start(j);
    }
    return true;
}

/* When the group being filled may go: now (0), later (a monotonic time), or when the flush in flight ends (MAX). */
static uint64_t filling_due(const struct journal *j)
{
    const struct jgroup *group = j->filling;
    if (group->frame_count == 0) {
        return UINT64_MAX;
    }
    if (j->flight_count > 0) {
        return j->flight_count == 1 && group->event_count >= SECOND_FLIGHT_EVENTS ? 0 : UINT64_MAX;
    }
    if (!j->cfg.adaptive || group->event_count >= EL_MAX(j->flushed_events[0], j->flushed_events[1])) {
        return 0;
    }
    uint64_t due = EL_MAX(group->opened_ns, j->flush_ended_ns) + j->flush_ewma_ns / 2;
    return due <= j->io->now_ns ? 0 : due;
}

uint64_t journal_tick(struct journal *j)
{
    while (!j->stopped && j->flight_count < 2) {
        if (el_list_empty(&j->ready)) {
            uint64_t due = j->filling == NULL ? UINT64_MAX : filling_due(j);
            if (due != 0) {
                return due;
            }
            journal_close_group(j);
        }
        if (!group_submit(j, EL_CONTAINER(j->ready.next, struct jgroup, link))) {
            return j->io->now_ns + 1000000;
        }
    }
    return UINT64_MAX;
}

/* --- durable-end mark --------------------------------------------------------------------------------------------- */

static void mark_on_written(struct io_op *op)
{
    struct journal *j = op->arg;
    EL_ASSERT(j->mark_busy);
    j->mark_busy = false;
    if (op->result != EL_JOURNAL_ALIGN) {
        journal_stop(j, "writing the durable-end mark", op->result < 0 ? (int)op->result : EVLOG_ERR_IO);
    } else if (j->marked_sequence != j->durable_sequence && j->mark_timer.heap_index == 0) {
        io_timer_set(j->io, &j->mark_timer, j->io->now_ns + MARK_DELAY_NS); /* it ran out while this was written */
    }
}

static void mark_on_timer(struct io_timer *timer)
{
    struct journal *j = timer->arg;
    if (j->stopped || j->mark_busy || j->marked_sequence == j->durable_sequence) {
        return;
    }
    EL_ASSERT(j->marked_sequence < j->durable_sequence);
    memset(j->mark_buf, 0, EL_JOURNAL_ALIGN);
    el_mark_put(j->mark_buf, j->cfg.shard, j->incarnation, j->durable_sequence);
    j->marked_sequence = j->durable_sequence;
    j->mark_busy = true;
    j->mark_op.done = mark_on_written;
    j->mark_op.arg = j;
    io_write_durable(j->io, &j->mark_op, j->mark_fd, j->mark_buf, EL_JOURNAL_ALIGN,
                     (uint64_t)(j->mark_turn++ % 2) * EL_JOURNAL_ALIGN);
}

void journal_rest(struct journal *j)
{
    EL_ASSERT(journal_quiet(j));
    io_timer_cancel(j->io, &j->mark_timer);
    io_timer_cancel(j->io, &j->prepare_timer);
}

/* --- room --------------------------------------------------------------------------------------------------------- */

void journal_free_through(struct journal *j, uint64_t sequence)
{
    EL_ASSERT(sequence <= j->durable_sequence);
    j->freed_through = EL_MAX(j->freed_through, sequence);
    for (uint32_t i = 0; i < j->slot_count; i++) {
        if (j->slots[i].state == JSLOT_USED && j->slots[i].last_sequence <= j->freed_through) {
            j->slots[i].state = JSLOT_FREE;
        }
    }
}
