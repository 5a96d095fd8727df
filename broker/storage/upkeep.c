/* SPDX-License-Identifier: Apache-2.0
 *
 * Timers of a shard.
 *
 *   space      every second: how much the disk has left. Below the reserve appends of clients are refused with a code
 *              that they retry; reads, deletions and internal records go on; service resumes by itself
 *   retention  by append time and by bytes, on the guarded clock: one jump of the machine's clock deletes nothing. The
 *              new log start is durable before it shows; segments wholly below it leave at the next checkpoint
 */
#include <storage/upkeep.h>

#include <core/assert.h>
#include <core/logger.h>

#define SPACE_INTERVAL_NS 1000000000u

/* --- space -------------------------------------------------------------------------------------------------------- */

static int64_t space_run(struct disk *disk, void *arg)
{
    struct store_shard *shard = arg;
    return disk_space(disk, &shard->disk_free_bytes, &shard->disk_total_bytes);
}

static void space_on_done(struct io_op *op)
{
    struct store_shard *shard = op->arg;
    shard->space_busy = false;
    shard->jobs--;
    if (op->result != 0) {
        return;
    }
    uint64_t wanted = shard->store->cfg.disk_reserve_len + shard->journal.bytes_since_cut;
    bool full = shard->disk_free_bytes < wanted;
    if (full != shard->disk_full) {
        el_log(full ? EL_LOG_WARN : EL_LOG_INFO, "storage",
               full ? "shard %u: %llu MiB of disk are left, below the reserve: appends are refused until space returns"
                    : "shard %u: %llu MiB of disk are left: appends are taken again",
               shard->index, (unsigned long long)(shard->disk_free_bytes >> 20));
    }
    shard->disk_full = full;
    atomic_store(&shard->full_flag, full);
    metrics_set(shard->metrics, METRIC_MEMORY_USED_BYTES, (int64_t)shard->buddy->used);
    metrics_set(shard->metrics, METRIC_JOURNAL_USED_BYTES, (int64_t)journal_used(&shard->journal));
}

static void space_on_timer(struct io_timer *timer)
{
    struct store_shard *shard = timer->arg;
    io_timer_set(shard->io, timer, shard->io->now_ns + SPACE_INTERVAL_NS);
    if (shard->space_busy) {
        return;
    }
    shard->space_busy = true;
    shard->jobs++;
    shard->space_op.done = space_on_done;
    shard->space_op.arg = shard;
    io_job(shard->io, &shard->space_op, IO_JOB_COMPUTE, space_run, shard);
}

/* --- retention ---------------------------------------------------------------------------------------------------- */

/* First offset to be kept. */
static int64_t retention_start(const struct partition *part, uint64_t now_ns)
{
    const struct topic_config *defaults = &part->shard->store->cfg.topic_defaults;
    int64_t ms = topic_config_int(&part->topic->config, defaults, TOPIC_RETENTION_MS);
    int64_t bytes = topic_config_int(&part->topic->config, defaults, TOPIC_RETENTION_BYTES);
    uint64_t left = part->segment_bytes + part->pending_bytes;
    int64_t start = part->log_start;
    EL_LIST_EACH(n, &part->segments) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        bool old = ms >= 0 && now_ns > seg->last_append_ns && (now_ns - seg->last_append_ns) / 1000000 > (uint64_t)ms;
        bool over = bytes >= 0 && left >= seg->len && left - seg->len >= (uint64_t)bytes;
        if (!old && !over) {
            break;
        }
        left -= EL_MIN(left, seg->len);
        start = EL_MAX(start, seg->end_offset);
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
        segment_seal_rolled(part);
        int64_t start = retention_start(part, now);
        if (start > part->log_start && partition_trim(part, start) == 0) {
            shard->checkpoint.wanted = true;
        }
    }
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
