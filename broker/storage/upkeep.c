/* SPDX-License-Identifier: Apache-2.0
 *
 * Timers of a shard.
 *
 *   space      every second: how much the disk has left. Below the reserve appends of clients are refused with a code
 *              that they retry; reads, deletions and internal records go on; service resumes by itself
 *   retention  by append time and by bytes, on the guarded clock: one jump of the machine's clock deletes nothing. The
 *              new log start is durable before it shows; segments wholly below it leave at the next checkpoint. Then
 *              compaction looks for work
 *   sweep      once, after the first checkpoint of a start: segment files that were to be removed when the last run
 *              ended, or that a compaction had begun. They are those that neither this run made nor a list names
 */
#include <storage/compact.h>
#include <storage/refill.h>
#include <storage/upkeep.h>

#include <core/assert.h>
#include <core/logger.h>
#include <stdlib.h>

#define SPACE_INTERVAL_NS 1000000000u
#define SPACE_LOOKS 16u          /* at least so often while as much as the reserve is appended: a fast disk fills ... */
#define SPACE_LEN_MIN (1u << 20) /* ... within the interval; but not for less than this */

/* --- space -------------------------------------------------------------------------------------------------------- */

static int64_t space_run(struct disk *disk, void *arg)
{
    struct store_shard *shard = arg;
    return disk_space(disk, &shard->space_found[0], &shard->space_found[1]);
}

void upkeep_set_full(struct store_shard *shard, bool full)
{
    if (full != shard->disk_full) {
        el_log(full ? EL_LOG_WARN : EL_LOG_INFO, "storage",
               full ? "shard %u: %llu MiB of disk are left, below the reserve: appends are refused until space returns"
                    : "shard %u: %llu MiB of disk are left: appends are taken again",
               shard->index, (unsigned long long)(shard->disk_free_bytes >> 20));
    }
    shard->disk_full = full;
    atomic_store(&shard->full_flag, full);
}

static void space_on_done(struct io_op *op)
{
    struct store_shard *shard = op->arg;
    EL_ASSERT(shard->space_busy);
    EL_ASSERT(shard->jobs > 0);
    shard->space_busy = false;
    shard->jobs--;
    if (op->result != 0) {
        return;
    }
    shard->disk_free_bytes = shard->space_found[0];
    if (shard->index == 0) {
        metrics_set(shard->metrics, METRIC_DISK_FREE_BYTES, (int64_t)shard->space_found[0]);
        metrics_set(shard->metrics, METRIC_DISK_BYTES, (int64_t)shard->space_found[1]);
    }
    shard->disk_total_bytes = shard->space_found[1];
    uint64_t wanted = EL_MAX(shard->disk_reserve_len + shard->journal.bytes_since_cut, (uint64_t)1);
    upkeep_set_full(shard, shard->disk_free_bytes < wanted || shard->chunks_waiting > 0);
    metrics_set(shard->metrics, METRIC_MEMORY_USED_BYTES, (int64_t)shard->buddy->used);
    metrics_set(shard->metrics, METRIC_JOURNAL_USED_BYTES, (int64_t)journal_used(&shard->journal));
    if (shard->refill_due) {
        refill_look(shard);
    }
}

static void space_look(struct store_shard *shard)
{
    if (shard->space_busy) {
        return;
    }
    shard->space_busy = true;
    shard->appended_since_look = 0;
    shard->jobs++;
    shard->space_op.done = space_on_done;
    shard->space_op.arg = shard;
    io_job(shard->io, &shard->space_op, IO_JOB_COMPUTE, space_run, shard);
}

static void space_on_timer(struct io_timer *timer)
{
    struct store_shard *shard = timer->arg;
    io_timer_set(shard->io, timer, shard->io->now_ns + SPACE_INTERVAL_NS);
    shard_refuse_late(shard);
    space_look(shard);
}

void upkeep_appended(struct store_shard *shard, uint64_t len)
{
    shard->appended_since_look += len;
    if (shard->appended_since_look >= EL_MAX(shard->disk_reserve_len / SPACE_LOOKS, (uint64_t)SPACE_LEN_MIN)) {
        space_look(shard);
    }
}

/* --- retention ---------------------------------------------------------------------------------------------------- */

/* First offset to be kept. */
static int64_t retention_start(const struct partition *part, uint64_t now_ns)
{
    const struct topic_config *defaults = &part->shard->topic_defaults;
    int64_t ms = topic_config_int(&part->topic->config, defaults, TOPIC_RETENTION_MS);
    int64_t bytes = topic_config_int(&part->topic->config, defaults, TOPIC_RETENTION_BYTES);
    uint64_t left = part->segment_bytes + part->pending_bytes;
    int64_t start = part->log_start;
    bool whole = true; /* every segment goes */
    EL_LIST_EACH(n, &part->segments) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        bool old = ms >= 0 && now_ns > seg->last_append_ns && (now_ns - seg->last_append_ns) / 1000000 > (uint64_t)ms;
        bool over = bytes >= 0 && left >= seg->len && left - seg->len >= (uint64_t)bytes;
        if (!old && !over) {
            whole = false;
            break;
        }
        left -= EL_MIN(left, seg->len);
        start = EL_MAX(start, seg->end_offset);
    }
    const struct batch_entry *e = whole && ms >= 0 ? part->pending : NULL;
    while (e != NULL && now_ns > e->append_time_ns && (now_ns - e->append_time_ns) / 1000000 > (uint64_t)ms) {
        start = EL_MAX(start, batch_entry_next(e)); /* a quiet partition may have no segment */
        e = e->link.next == &part->entries ? NULL : EL_CONTAINER(e->link.next, struct batch_entry, link);
    }
    return EL_MIN(start, part->high_watermark);
}

static void retention_on_timer(struct io_timer *timer)
{
    struct store_shard *shard = timer->arg;
    uint64_t now = el_clock_now(store_clock(shard->store));
    io_timer_set(shard->io, timer, shard->io->now_ns + (uint64_t)shard->store->cfg.retention_interval_ms * 1000000);
    for (size_t i = 0; i < shard->partitions.count && !shard->failed; i++) {
        struct partition *part = shard->partitions.entries[i].value;
        segment_roll_old(part, now);
        compact_roll(part, now);
        segment_seal_rolled(part);
        int64_t start = compact_deletes(part) ? retention_start(part, now) : 0;
        int wait;
        start = observer_allows(part, EL_MIN(start, tier_floor(part)), &wait);
        if (start > part->log_start && partition_trim(part, start) == 0) {
            shard->checkpoint.wanted = true;
        }
        tier_keep(part, now);
    }
    if (!el_list_empty(&shard->removed_segments)) {
        shard->checkpoint.wanted = true; /* their files wait for it */
    }
    compact_look(shard);
    refill_look(shard);
}

/* --- sweep -------------------------------------------------------------------------------------------------------- */

#define SWEEP_IDS_MAX 448u

/* One partition after the other: its folder is listed, the shard says which files nobody needs, those go. */
struct sweep_job {
    struct io_op op;
    struct store_shard *shard;
    size_t next; /* index of the next partition to look at */
    struct part_key key;
    bool unlinks;  /* ids[] are to be removed; else they are being found */
    uint64_t last; /* ids up to it were looked at */
    uint32_t count;
    uint64_t ids[SWEEP_IDS_MAX]; /* ascending */
};
EL_STATIC_ASSERT(sizeof(struct sweep_job) <= EL_BUDDY_BLOCK_MIN, "one block of the buddy");

static void sweep_find(void *arg, const char *name, bool is_dir)
{
    struct sweep_job *job = arg;
    char *end = NULL;
    uint64_t id = strtoull(name, &end, 10);
    if (!is_dir && end - name >= 8 && strcmp(end, ".seg") == 0 && id > job->last && job->count < SWEEP_IDS_MAX) {
        job->ids[job->count++] = id;
    }
}

static int64_t sweep_run(struct disk *disk, void *arg)
{
    struct sweep_job *job = arg;
    char path[SEGMENT_PATH_MAX];
    int code = 0;
    if (!job->unlinks) {
        segment_dir_path(path, sizeof(path), &job->key.topic_id, job->key.partition);
        code = disk_list(disk, path, sweep_find, job); /* in byte order: that of ids */
        return code == EVLOG_ERR_NOT_FOUND ? 0 : code;
    }
    for (uint32_t i = 0; i < job->count && code == 0; i++) {
        segment_path(path, sizeof(path), &job->key.topic_id, job->key.partition, job->ids[i]);
        code = disk_unlink(disk, path);
        code = code == EVLOG_ERR_NOT_FOUND ? 0 : code;
    }
    return code;
}

static bool is_in_list(const struct el_list *list, const struct part_key *key, uint64_t id)
{
    EL_LIST_EACH(n, list) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (seg->id == id && seg->partition == key->partition && el_uuid_eq(&seg->topic_id, &key->topic_id)) {
            return true;
        }
    }
    return false;
}

/* A file of the runs before that no checkpoint lists any more, or none ever has. What this run makes has an id from
 * recovered_id on; one from next_segment_id on is made behind the removal, by the same thread. */
static bool is_left_over(const struct store_shard *shard, const struct partition *part, uint64_t id)
{
    bool of_this_run = id >= part->recovered_id && id < part->next_segment_id;
    return !of_this_run && !is_in_list(&part->segments, &part->key, id) &&
           !is_in_list(&part->replaced, &part->key, id) && !is_in_list(&shard->removed_segments, &part->key, id);
}

static void sweep_go(struct sweep_job *job)
{
    struct store_shard *shard = job->shard;
    const struct partition *part = NULL;
    while (part == NULL && job->next < shard->partitions.count) {
        part = shard->partitions.entries[job->next++].value;
        part = part->recovered_id > 1 ? part : NULL; /* else it had no files */
    }
    if (part == NULL || shard->failed || shard->stopping) {
        shard->sweeping = false;
        el_buddy_free(shard->buddy, job);
        return;
    }
    job->key = part->key;
    job->last = 0;
    job->count = 0;
    job->unlinks = false;
    shard->jobs++;
    io_job(shard->io, &job->op, IO_JOB_DISK, sweep_run, job);
}

/* Names were found, or files removed: go on in the same folder when there may be more. */
static void sweep_on_done(struct io_op *op)
{
    struct sweep_job *job = EL_CONTAINER(op, struct sweep_job, op);
    struct store_shard *shard = job->shard;
    EL_ASSERT(shard->sweeping);
    EL_ASSERT(shard->jobs > 0);
    EL_ASSERT(job->count <= SWEEP_IDS_MAX);
    const struct partition *part = partition_find(shard, &job->key.topic_id, job->key.partition);
    shard->jobs--;
    if (op->result != 0) {
        el_log(EL_LOG_WARN, "storage", "segment files that are no longer needed stay behind: %s",
               evlog_error_text((int)op->result));
    }
    if (op->result != 0 || part == NULL || shard->failed || (job->unlinks && job->last == 0)) {
        sweep_go(job);
        return;
    }
    if (!job->unlinks) {
        uint32_t found = job->count;
        job->last = found == SWEEP_IDS_MAX ? job->ids[found - 1] : 0;
        job->count = 0;
        for (uint32_t i = 0; i < found; i++) {
            if (is_left_over(shard, part, job->ids[i])) {
                job->ids[job->count++] = job->ids[i];
            }
        }
        if (job->count == 0 && job->last == 0) {
            sweep_go(job);
            return;
        }
    } else {
        job->count = 0;
    }
    job->unlinks = !job->unlinks;
    shard->jobs++;
    io_job(shard->io, &job->op, IO_JOB_DISK, sweep_run, job);
}

void upkeep_sweep(struct store_shard *shard)
{
    struct sweep_job *job = shard->swept ? NULL : el_buddy_alloc(shard->buddy, sizeof(*job));
    if (job == NULL) {
        return; /* done, or no memory now: the next checkpoint comes here again */
    }
    EL_ASSERT(!shard->sweeping);
    shard->swept = shard->sweeping = true;
    memset(job, 0, sizeof(*job));
    job->shard = shard;
    job->op.done = sweep_on_done;
    sweep_go(job);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

void upkeep_init(struct store_shard *shard)
{
    shard->space_timer.fire = space_on_timer;
    shard->space_timer.arg = shard;
    shard->retention_timer.fire = retention_on_timer;
    shard->retention_timer.arg = shard;
}

void upkeep_start(struct store_shard *shard)
{
    space_on_timer(&shard->space_timer);
    io_timer_set(shard->io, &shard->retention_timer,
                 shard->io->now_ns + (uint64_t)shard->store->cfg.retention_interval_ms * 1000000);
}

void upkeep_stop(struct store_shard *shard)
{
    io_timer_cancel(shard->io, &shard->space_timer);
    io_timer_cancel(shard->io, &shard->retention_timer);
}

void upkeep_free(struct store_shard *shard)
{
    upkeep_stop(shard);
}
