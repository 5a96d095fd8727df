/* SPDX-License-Identifier: Apache-2.0
 *
 * One segment of one partition after the other, from the first one on this disk backwards, so that what is here stays
 * one piece:
 *
 *   1. where does it begin? The archive is asked for the offset from which on there are so many bytes up to the first
 *      segment, and for the one that is young enough
 *   2. batches are read from there on, as any remote read, and written by jobs into a new file
 *   3. footer, syncs, and the segment takes its place in front of the others; the next checkpoint lists it
 *
 * Whatever prevents it (the archive, space, memory), the file goes and it is tried again at the next look. An error
 * of writing or syncing stops the shard, as for chunks.
 */
#include <storage/refill.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/hash.h>
#include <core/logger.h>
#include <storage/compact.h>
#include <storage/remote.h>
#include <storage/segment_out.h>

#define READ_ENTRIES 1024u
#define SEGMENT_LEN_MAX (64ull << 20) /* of one that comes back */
#define AGAIN_NS 60000000000u         /* after a failure */
#define SPACE_FACTOR 2u               /* so much more than the reserve must be free, in its lengths */

enum refill_step { REFILL_BY_SIZE, REFILL_BY_AGE, REFILL_READING };

struct refill {
    struct store_shard *shard;
    struct partition *part; /* pinned */
    enum refill_step step;
    struct remote remote;
    struct io_op op;
    struct segment_out out;
    struct segment *seg; /* in no list yet; NULL before the first batch */
    int64_t from;        /* where it begins */
    int64_t end;         /* the first offset on this disk */
    int64_t next;        /* where the next read begins */
    bool holes;          /* between its batches */
    bool finishing;
    uint64_t len; /* bytes asked for */
    uint8_t *buf;
    size_t buf_len;
    struct read_entry entries[READ_ENTRIES];
};

static int64_t setting(const struct partition *part, enum topic_setting_id id)
{
    return topic_config_int(&part->topic->config, &part->shard->topic_defaults, id);
}

/* --- what is due -------------------------------------------------------------------------------------------------- */

/* Bytes that the next segment may have; 0: none is wanted. What compaction keeps, and evlog's own topics, belong here
 * whole. */
static uint64_t wanted_len(const struct partition *part)
{
    int64_t bytes = setting(part, TOPIC_LOCAL_RETENTION_BYTES), ms = setting(part, TOPIC_LOCAL_RETENTION_MS);
    uint64_t here = part->segment_bytes + part->pending_bytes;
    uint64_t most = EL_MIN((uint64_t)setting(part, TOPIC_SEGMENT_BYTES), SEGMENT_LEN_MAX);
    if (!tier_has_more(part) || part->deleted) {
        return 0;
    }
    if (part->topic->internal || compact_wanted(part)) {
        return most;
    }
    if (ms >= 0 && ms <= part->tier.refill_old_ms) {
        return 0;
    }
    if (bytes < 0) {
        return most;
    }
    uint64_t room = (uint64_t)bytes > here ? (uint64_t)bytes - here : 0;
    return room >= most / 2 ? EL_MIN(room, most) : 0; /* no crumbs */
}

/* Can it be now? */
static bool is_ready(const struct partition *part)
{
    return part->tier.archived_end >= 0 && !part->trimming && !part->tier.held &&
           part->shard->io->now_ns >= part->tier.refill_again_ns;
}

static bool has_space(const struct store_shard *shard, uint64_t len)
{
    return !shard->disk_full && shard->disk_total_bytes > 0 &&
           shard->disk_free_bytes > shard->disk_reserve_len + shard->journal.bytes_since_cut + SPACE_FACTOR * len;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void refill_end(struct refill *r)
{
    struct store_shard *shard = r->shard;
    struct partition *part = r->part;
    segment_out_give(shard, &r->out);
    el_buddy_free(shard->buddy, r->buf);
    if (r->seg != NULL) {
        segment_destroy(shard, r->seg);
    }
    shard->refill = NULL;
    el_buddy_free(shard->buddy, r);
    partition_unpin(part);
}

bool refill_is_of(const struct partition *part)
{
    return part->shard->refill != NULL && part->shard->refill->part == part;
}

void refill_free(struct store_shard *shard)
{
    struct refill *r = shard->refill;
    if (r != NULL) { /* in the middle of one */
        segment_out_close(shard->store->disk, &r->out);
        segment_out_give(shard, &r->out);
        if (r->seg != NULL) {
            segment_destroy(shard, r->seg);
        }
        el_buddy_free(shard->buddy, r->buf);
        el_buddy_free(shard->buddy, r);
        shard->refill = NULL;
    }
}

static int64_t drop_run(struct disk *disk, void *arg)
{
    return segment_out_unlink(disk, arg);
}

static void drop_on_done(struct io_op *op)
{
    struct refill *r = op->arg;
    EL_ASSERT(r->shard->jobs > 0);
    r->shard->jobs--;
    refill_end(r);
}

static void job_start(struct refill *r, io_job_fn job, void *arg, io_done_fn done)
{
    r->op.done = done;
    r->op.arg = r;
    r->shard->jobs++;
    io_job(r->shard->io, &r->op, IO_JOB_COMPUTE, job, arg);
}

/* Try it again later. */
static void give_up(struct refill *r)
{
    r->part->tier.refill_again_ns = r->shard->io->now_ns + AGAIN_NS;
    job_start(r, drop_run, &r->out, drop_on_done);
}

/* Does it still fit in front of what is here? */
static bool is_welcome(const struct refill *r)
{
    const struct partition *part = r->part;
    return !part->deleted && !part->tier.held && !r->shard->failed && !r->shard->stopping && tier_has_more(part) &&
           tier_local_start(part) == r->end && part->log_start < r->end;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static bool read_on(struct refill *r);

static int64_t write_run(struct disk *disk, void *arg)
{
    struct refill *r = arg;
    int code = 0;
    for (uint32_t i = 0; i < r->remote.read.entry_count && code == 0; i++) {
        const struct read_entry *from = &r->entries[i];
        const uint8_t *batch = r->buf + from->pos;
        struct el_batch_info info;
        code = el_batch_verify(batch, from->len);
        code = code != 0 ? code : el_batch_header(batch, from->len, &info);
        if (code != 0 || info.base_offset < r->next) {
            return code != 0 ? code : EVLOG_ERR_CORRUPT;
        }
        struct el_chunk_entry e = {
            .append_time_ns = from->append_time_ns,
            .base_offset = info.base_offset,
            .leader_epoch = from->leader_epoch,
            .len = from->len,
            .checksum = el_xxh3(batch, from->len),
            .max_timestamp_ms = from->max_timestamp_ms,
            .last_offset_delta = (uint32_t)info.last_offset_delta,
        };
        memcpy(e.salt, from->salt, sizeof(e.salt));
        r->holes = r->holes || info.base_offset > r->next;
        r->next = info.base_offset + info.last_offset_delta + 1;
        code = segment_out_add(disk, &r->out, &e, batch);
    }
    if (code == 0 && r->finishing) {
        r->holes = r->holes || r->next < r->end;
        code = segment_out_finish(disk, &r->out);
    }
    return code;
}

static void segment_place(struct refill *r)
{
    struct partition *part = r->part;
    struct segment *seg = r->seg;
    const struct segment_out *out = &r->out;
    uint64_t now_ns = el_clock_now(store_clock(r->shard->store));
    EL_ASSERT(r->end == tier_local_start(part)); /* it fits in front */
    EL_ASSERT(!part->tier.held);
    EL_ASSERT(out->len >= EL_SEGMENT_HEADER_LEN);
    seg->end_offset = seg->written_end = r->end;
    seg->len = seg->written_len = out->len;
    seg->max_timestamp_ms = out->max_timestamp_ms;
    seg->first_append_ns = out->first_append_ns;
    seg->last_append_ns = out->last_append_ns;
    seg->created_ns = now_ns;
    seg->exists = seg->trimmed = seg->name_durable = true;
    seg->sealed = seg->rolled = seg->dirty = true;
    seg->compacted = r->holes;
    segment_insert(part, seg);
    part->segment_bytes += seg->len;
    part->directory_known = true;
    part->tier.drop_end = EL_MIN(part->tier.drop_end, seg->base_offset);
    r->seg = NULL;
    r->out.made = false; /* it is the partition's now */
    partition_mark_dirty(part);
    metrics_add(r->shard->metrics, METRIC_SEGMENTS_REFILLED, 1);
    el_log(EL_LOG_DEBUG, "storage", "topic %s partition %d: %llu KiB from offset %lld on are back from the archive",
           part->topic->name, part->key.partition, (unsigned long long)(seg->len >> 10), (long long)seg->base_offset);
}

static void write_on_done(struct io_op *op)
{
    struct refill *r = op->arg;
    struct store_shard *shard = r->shard;
    struct partition *part = r->part;
    EL_ASSERT(shard->refill == r);
    EL_ASSERT(shard->jobs > 0);
    shard->jobs--;
    if (op->result < 0 && r->out.disk_failed && !part->deleted) {
        shard_fail(shard, "writing %s failed (%s)", r->out.path, evlog_error_text((int)op->result));
    }
    if (op->result == EVLOG_ERR_CORRUPT) {
        el_log(EL_LOG_ERROR, "storage", "partition %d: what the archive has from offset %lld on does not verify",
               part->key.partition, (long long)r->next);
    }
    if (op->result < 0 || !is_welcome(r)) {
        give_up(r);
    } else if (r->finishing) {
        segment_place(r);
        refill_end(r);
        refill_look(shard);
    } else if (!read_on(r)) {
        give_up(r);
    }
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* The segment begins with what came first: its batch may hold the offset that was asked for. */
static bool segment_make(struct refill *r, int64_t base_offset)
{
    EL_ASSERT(r->seg == NULL);
    struct partition *part = r->part;
    r->seg = segment_new(part, part->next_segment_id, base_offset);
    if (r->seg == NULL) {
        return false;
    }
    part->next_segment_id++;
    partition_mark_dirty(part);
    segment_out_begin(&r->out, r->seg);
    r->out.make_dirs = !part->directory_known;
    r->next = base_offset;
    return true;
}

static bool batches_came(struct refill *r)
{
    const struct tier_read *read = &r->remote.read;
    bool none = read->first_offset < 0;
    if (r->seg == NULL && !segment_make(r, none ? r->from : read->first_offset)) {
        return false;
    }
    if (!none && read->entry_count == 0) {
        return false; /* it makes no sense */
    }
    r->finishing = none || read->next_offset >= r->end;
    job_start(r, write_run, r, write_on_done);
    return true;
}

/* One batch is longer than the buffer. */
static bool buffer_grow(struct refill *r, size_t len)
{
    uint8_t *larger = len > EL_BATCH_LEN_MAX ? NULL : el_buddy_alloc(r->shard->buddy, len);
    if (larger == NULL) {
        return false;
    }
    el_buddy_free(r->shard->buddy, r->buf);
    r->buf = larger;
    r->buf_len = len;
    return true;
}

static bool ask(struct refill *r, enum refill_step step, int64_t time);

/* Where it begins is known. */
static bool begin_known(struct refill *r, int64_t from)
{
    r->from = r->next = EL_MIN(EL_MAX(r->from, from), r->end - 1);
    int64_t ms = setting(r->part, TOPIC_LOCAL_RETENTION_MS);
    uint64_t now_ns = el_clock_now(store_clock(r->shard->store));
    if (r->step == REFILL_BY_SIZE && ms >= 0 && !r->part->topic->internal && !compact_wanted(r->part)) {
        uint64_t age_ns = (uint64_t)EL_MIN(ms, INT64_MAX / 1000000) * 1000000;
        return ask(r, REFILL_BY_AGE, (int64_t)(now_ns > age_ns ? now_ns - age_ns : 0));
    }
    return read_on(r);
}

static bool answered(struct refill *r, int code)
{
    const struct tier_read *read = &r->remote.read;
    if (!is_welcome(r)) {
        return false;
    }
    if (code == EVLOG_ERR_LIMIT && r->step == REFILL_READING) {
        return buffer_grow(r, read->wanted_len) && read_on(r);
    }
    if (code != 0) {
        return false;
    }
    switch (r->step) {
    case REFILL_BY_SIZE:
        return begin_known(r, read->first_offset < 0 ? r->end : read->first_offset);
    case REFILL_BY_AGE:
        if (read->first_offset < 0) { /* all of it is too old, and gets no younger */
            r->part->tier.refill_old_ms = setting(r->part, TOPIC_LOCAL_RETENTION_MS);
            return false;
        }
        return begin_known(r, read->first_offset);
    case REFILL_READING:
        return batches_came(r);
    }
    return false;
}

static void remote_on_done(struct remote *remote, int code, bool over)
{
    struct refill *r = EL_CONTAINER(remote, struct refill, remote);
    if (over && !answered(r, code)) { /* else it still writes to the buffer */
        give_up(r);
    }
}

static void remote_on_gone(struct remote *remote)
{
    give_up(EL_CONTAINER(remote, struct refill, remote));
}

static bool ask(struct refill *r, enum refill_step step, int64_t time)
{
    bool reads = step == REFILL_READING;
    r->step = step;
    memset(&r->remote, 0, sizeof(r->remote));
    r->remote.done = remote_on_done;
    r->remote.gone = remote_on_gone;
    r->remote.read = (struct tier_read){
        .by = reads                    ? TIER_BY_OFFSET
              : step == REFILL_BY_SIZE ? TIER_BY_SIZE
                                       : TIER_BY_APPEND_TIME,
        .time = time,
        .offset = reads ? r->next : r->from,
        .end_offset = r->end,
        .buf = reads ? r->buf : NULL,
        .buf_len = reads ? r->buf_len : 0,
        .data_max = reads ? r->buf_len : 0,
        .at_least_one = true,
        .entries = reads ? r->entries : NULL,
        .entry_max = reads ? READ_ENTRIES : 0,
    };
    return remote_start(r->part, &r->remote) == 0;
}

static bool read_on(struct refill *r)
{
    return ask(r, REFILL_READING, 0);
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

static void refill_begin(struct partition *part, uint64_t len)
{
    struct store_shard *shard = part->shard;
    struct refill *r = el_buddy_alloc(shard->buddy, sizeof(*r));
    if (r == NULL) {
        return; /* no memory now */
    }
    memset(r, 0, sizeof(*r));
    r->shard = shard;
    r->part = part;
    r->from = part->log_start;
    r->end = tier_local_start(part);
    EL_ASSERT(shard->refill == NULL);
    EL_ASSERT(r->from < r->end);
    r->len = len;
    r->buf_len = REMOTE_LEN_MAX;
    r->buf = el_buddy_alloc(shard->buddy, r->buf_len);
    part->pins++;
    shard->refill = r;
    if (!segment_out_take(shard, &r->out) || r->buf == NULL || !ask(r, REFILL_BY_SIZE, (int64_t)len)) {
        refill_end(r);
    }
}

/* Say how much is to come, and when there is nothing any more. */
static void refill_tell(struct store_shard *shard)
{
    uint32_t due = 0;
    for (size_t i = 0; i < shard->partitions.count; i++) {
        due += wanted_len(shard->partitions.entries[i].value) > 0;
    }
    shard->refill_due = due > 0;
    metrics_set(shard->metrics, METRIC_REFILL_PARTITIONS, due);
    if (due > 0 && shard->refill_begun_ns == 0) {
        shard->refill_begun_ns = EL_MAX(shard->io->now_ns, (uint64_t)1);
        el_log(EL_LOG_INFO, "storage", "shard %u: events of %u partitions come back from the archive to this disk",
               shard->index, due);
    } else if (due == 0 && shard->refill_begun_ns != 0) {
        el_log(EL_LOG_INFO, "storage",
               "shard %u: what belongs on this disk is back from the archive, %llu s after that began", shard->index,
               (unsigned long long)((shard->io->now_ns - shard->refill_begun_ns) / 1000000000u));
        shard->refill_begun_ns = 0;
    }
}

void refill_look(struct store_shard *shard)
{
    if (shard->tier == NULL || shard->refill != NULL || shard->failed || shard->stopping) {
        return;
    }
    refill_tell(shard);
    for (size_t i = 0; i < shard->partitions.count && shard->refill_due; i++) {
        struct partition *part = shard->partitions.entries[(shard->refill_turn + i) % shard->partitions.count].value;
        uint64_t len = wanted_len(part);
        if (len == 0 || !is_ready(part) || !has_space(shard, len)) {
            continue;
        }
        if (!shard->swept || shard->sweeping) { /* first go the files that the last run left behind */
            shard->checkpoint.wanted = shard->checkpoint.wanted || !shard->swept;
            return;
        }
        shard->refill_turn += i + 1; /* one of another partition comes next */
        refill_begin(part, len);
        return;
    }
}
