/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding the first batch (or record) at or after a time.
 *
 *   0. what only the archive has: it finds the batch, and a job looks into it when a record is wanted
 *   1. the first segment whose bounds say that it may hold it: a job looks through its index and tables, and into the
 *      batch when a record is wanted
 *   2. not there after all (a bound may be a producer's claim): the next segment
 *   3. then the batches in memory that are in no readable chunk; when a record is wanted, a job looks into a copy
 */
#include <storage/seek.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <storage/remote.h>

#define REMOTE_BATCH_LEN ((size_t)64 << 10) /* what is asked for first */

static void seek_finish(struct seek *seek, int error)
{
    struct partition *part = seek->part;
    el_buddy_free(part->shard->buddy, seek->buf);
    seek->buf = NULL;
    error = error == EVLOG_ERR_IO || error == EVLOG_ERR_CRASHED ? EVLOG_ERR_STORAGE : error;
    seek->done(seek, error); /* may free the seek */
    partition_unpin(part);
}

/* --- looking into a batch (on a worker) --------------------------------------------------------------------------- */

static int batch_look(struct seek *seek, const uint8_t *batch, size_t len)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    uint8_t *scratch = NULL;
    int code = el_batch_open(&iter, batch, len, NULL, 0);
    if (code == EVLOG_ERR_NO_MEMORY && iter.info.scratch_len_wanted > 0) {
        size_t scratch_len = iter.info.scratch_len_wanted;
        scratch = el_malloc(scratch_len);
        code = scratch == NULL ? EVLOG_ERR_NO_MEMORY : el_batch_open(&iter, batch, len, scratch, scratch_len);
    }
    int more = 0;
    while (code == 0 && (more = el_batch_next(&iter, &record)) == 1) {
        if (record.offset >= seek->from_offset && record.timestamp_ms >= seek->value) {
            seek->found_offset = record.offset;
            seek->found_timestamp_ms = record.timestamp_ms;
            seek->found_epoch = el_batch_leader_epoch(batch);
            break;
        }
    }
    el_free(scratch);
    return code != 0 ? code : more < 0 ? EVLOG_ERR_CORRUPT : 0;
}

/* Read one batch at a time from from_offset on until one of its records matches. */
static int segment_look(struct disk *disk, struct seek *seek)
{
    struct segment_read *read = &seek->read;
    size_t len = 1u << 20;
    uint8_t *buf = el_malloc(len);
    int code = buf == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    while (code == 0 && seek->found_offset < 0) {
        struct segment_index *kept = read->new_index;
        if (kept != NULL) {
            read->index = kept; /* built in the round before */
        }
        read->buf = buf;
        read->buf_len = len;
        read->at_least_one = true;
        read->from_offset = seek->from_offset;
        code = segment_read_run(disk, read);
        if (read->new_index == NULL) {
            read->new_index = kept;
        } else if (read->new_index != kept) {
            segment_index_release(kept);
        }
        if (code == EVLOG_ERR_LIMIT) {
            uint8_t *larger = el_realloc(buf, read->wanted_len);
            code = larger == NULL ? EVLOG_ERR_NO_MEMORY : 0;
            buf = larger == NULL ? buf : larger;
            len = larger == NULL ? len : read->wanted_len;
            continue;
        }
        if (code != 0 || read->data_len == 0) {
            break;
        }
        EL_ASSERT(read->found.len <= read->data_len);
        EL_ASSERT(read->first_offset + (int64_t)read->found.last_offset_delta >= seek->from_offset);
        code = batch_look(seek, buf, read->found.len);
        seek->from_offset = EL_MAX(seek->from_offset, read->first_offset + (int64_t)read->found.last_offset_delta + 1);
    }
    el_free(buf);
    return code;
}

static int64_t segment_job(struct disk *disk, void *arg)
{
    struct seek *seek = arg;
    if (seek->refine) {
        return segment_look(disk, seek);
    }
    int code = segment_read_run(disk, &seek->read);
    seek->found_offset = seek->read.first_offset;
    seek->found_epoch = seek->read.found.leader_epoch;
    return code;
}

static int64_t memory_job(struct disk *disk, void *arg)
{
    struct seek *seek = arg;
    (void)disk;
    return batch_look(seek, seek->batch, seek->batch_len);
}

/* --- on the shard ------------------------------------------------------------------------------------------------- */

static void seek_next(struct seek *seek);

static void segment_on_done(struct io_op *op)
{
    struct seek *seek = EL_CONTAINER(op, struct seek, op);
    struct segment *seg = seek->seg;
    int64_t seg_end = seek->read.end_offset;
    EL_ASSERT(seek->part->shard->jobs > 0);
    seek->part->shard->jobs--;
    segment_read_end(seg, &seek->read);
    if (op->result != 0 || seek->found_offset >= 0) {
        seek_finish(seek, (int)op->result);
        return;
    }
    seek->from_offset = EL_MAX(seek->from_offset, seg_end);
    seek_next(seek);
}

static bool segment_may_match(const struct seek *seek, const struct segment *seg)
{
    if (seg->written_end <= EL_MAX(seek->from_offset, seg->base_offset) || seg->removed) {
        return false; /* it may have no file yet */
    }
    return seek->kind == SEEK_TIMESTAMP ? seg->max_timestamp_ms >= seek->value
                                        : seg->last_append_ns >= (uint64_t)seek->value;
}

static void segment_start(struct seek *seek, struct segment *seg)
{
    struct store_shard *shard = seek->part->shard;
    EL_ASSERT(seg->written_end > seek->from_offset); /* it goes on, whatever is found */
    seek->seg = seg;
    memset(&seek->read, 0, sizeof(seek->read));
    segment_read_begin(seg, &seek->read);
    seek->read.kind = seek->kind;
    seek->read.value = seek->value;
    seek->read.from_offset = seek->from_offset;
    seek->read.end_offset = seg->written_end;
    seek->op.done = segment_on_done;
    shard->jobs++;
    io_job(shard->io, &seek->op, IO_JOB_COMPUTE, segment_job, seek);
}

static void memory_on_done(struct io_op *op)
{
    struct seek *seek = EL_CONTAINER(op, struct seek, op);
    EL_ASSERT(seek->part->shard->jobs > 0);
    seek->part->shard->jobs--;
    el_buddy_free(seek->part->shard->buddy, seek->buf);
    seek->buf = NULL;
    if (op->result != 0 || seek->found_offset >= 0) {
        seek_finish(seek, (int)op->result);
        return;
    }
    seek->from_offset = seek->batch_end;
    seek_next(seek);
}

static void memory_start(struct seek *seek, const struct batch_entry *e)
{
    struct store_shard *shard = seek->part->shard;
    EL_ASSERT(seek->buf == NULL);
    EL_ASSERT(batch_entry_next(e) > seek->from_offset);
    seek->buf = el_buddy_alloc(shard->buddy, e->len);
    if (seek->buf == NULL) {
        seek_finish(seek, EVLOG_ERR_NO_MEMORY);
        return;
    }
    memcpy(seek->buf, e->batch, e->len);
    seek->batch = seek->buf;
    seek->batch_len = e->len;
    seek->batch_end = batch_entry_next(e);
    seek->op.done = memory_on_done;
    shard->jobs++;
    io_job(shard->io, &seek->op, IO_JOB_COMPUTE, memory_job, seek);
}

/* --- in the archive ----------------------------------------------------------------------------------------------- */

struct seek_remote {
    struct remote remote;
    struct seek *seek;
    struct read_entry entry;
    uint8_t data[];
};

static void remote_found(struct seek *seek, const struct seek_remote *sr)
{
    const struct tier_read *read = &sr->remote.read;
    struct store_shard *shard = seek->part->shard;
    if (!seek->refine) {
        seek->found_offset = read->first_offset;
        seek->found_epoch = sr->entry.leader_epoch;
        seek_finish(seek, 0);
        return;
    }
    EL_ASSERT(seek->buf == NULL);
    EL_ASSERT(read->data_len <= read->buf_len);
    seek->buf = el_buddy_alloc(shard->buddy, EL_MAX(read->data_len, (size_t)1));
    if (seek->buf == NULL) {
        seek_finish(seek, EVLOG_ERR_NO_MEMORY);
        return;
    }
    memcpy(seek->buf, sr->data, read->data_len);
    seek->batch = seek->buf;
    seek->batch_len = read->data_len;
    seek->batch_end = read->next_offset;
    seek->op.done = memory_on_done;
    shard->jobs++;
    io_job(shard->io, &seek->op, IO_JOB_COMPUTE, memory_job, seek);
}

static void remote_on_done(struct remote *remote, int code, bool over)
{
    struct seek_remote *sr = EL_CONTAINER(remote, struct seek_remote, remote);
    struct seek *seek = sr->seek;
    struct store_shard *shard = seek->part->shard;
    const struct tier_read *read = &remote->read;
    if (!over) { /* it took too long, and the archive may still write to sr */
        seek_finish(seek, code);
        return;
    }
    size_t wanted_len = read->wanted_len;
    if (code == 0 && read->first_offset >= 0) {
        remote_found(seek, sr);
    } else if (code == 0) {
        seek->from_offset = EL_MAX(seek->from_offset, read->end_offset);
        seek_next(seek);
    } else if (code == EVLOG_ERR_LIMIT && wanted_len <= EL_BATCH_LEN_MAX && seek->refine) {
        seek->remote_len = wanted_len;
        seek_next(seek);
    } else {
        seek_finish(seek, code);
    }
    el_buddy_free(shard->buddy, sr);
}

static void remote_on_gone(struct remote *remote)
{
    struct seek_remote *sr = EL_CONTAINER(remote, struct seek_remote, remote);
    el_buddy_free(remote->part->shard->buddy, sr);
}

/* returns false when it could not be asked */
static bool remote_ask(struct seek *seek, size_t len)
{
    struct partition *part = seek->part;
    struct seek_remote *sr = el_buddy_alloc(part->shard->buddy, sizeof(*sr) + len);
    if (sr == NULL) {
        return false;
    }
    memset(sr, 0, sizeof(*sr));
    sr->seek = seek;
    sr->remote.done = remote_on_done;
    sr->remote.gone = remote_on_gone;
    sr->remote.read = (struct tier_read){
        .by = seek->kind == SEEK_TIMESTAMP ? TIER_BY_TIMESTAMP : TIER_BY_APPEND_TIME,
        .time = seek->value,
        .offset = seek->from_offset,
        .end_offset = tier_local_start(part),
        .buf = seek->refine ? sr->data : NULL,
        .buf_len = seek->refine ? len : 0,
        .data_max = seek->refine ? len : 0,
        .at_least_one = true,
        .entries = &sr->entry,
        .entry_max = 1,
    };
    if (remote_start(part, &sr->remote) == 0) {
        return true;
    }
    el_buddy_free(part->shard->buddy, sr);
    return false;
}

/* May what is looked for be among what only the archive has? Append times rise. */
static bool remote_may_match(const struct seek *seek)
{
    const struct partition *part = seek->part;
    if (!tier_has_more(part) || seek->from_offset >= tier_local_start(part)) {
        return false;
    }
    if (seek->kind != SEEK_APPEND_TIME) {
        return true;
    }
    EL_LIST_EACH(n, &part->segments) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (!seg->removed) {
            return (uint64_t)seek->value <= seg->first_append_ns;
        }
    }
    return part->pending == NULL || (uint64_t)seek->value <= part->pending->append_time_ns;
}

static void seek_next(struct seek *seek)
{
    struct partition *part = seek->part;
    if (remote_may_match(seek)) {
        seek->from_offset = EL_MAX(seek->from_offset, part->log_start);
        if (!remote_ask(seek, EL_MAX(REMOTE_BATCH_LEN, seek->remote_len))) {
            seek_finish(seek, part->shard->tier == NULL ? EVLOG_ERR_ARCHIVE : EVLOG_ERR_NO_MEMORY);
        }
        return;
    }
    EL_LIST_EACH(n, &part->segments) {
        struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (segment_may_match(seek, seg)) {
            segment_start(seek, seg);
            return;
        }
    }
    EL_LIST_EACH(n, &part->entries) {
        const struct batch_entry *e = EL_CONTAINER(n, struct batch_entry, link);
        bool match = seek->kind == SEEK_TIMESTAMP ? e->max_timestamp_ms >= seek->value
                                                  : e->append_time_ns >= (uint64_t)seek->value;
        if (e->in_segment || batch_entry_next(e) <= seek->from_offset || !match) {
            continue;
        }
        if (batch_entry_next(e) > seek->end_offset) {
            break;
        }
        if (seek->refine) {
            memory_start(seek, e);
            return;
        }
        seek->found_offset = e->base_offset;
        seek->found_epoch = e->leader_epoch;
        break;
    }
    seek_finish(seek, 0);
}

void seek_start(struct seek *seek)
{
    EL_ASSERT(seek->kind != SEEK_OFFSET);
    EL_ASSERT(seek->done != NULL);
    EL_ASSERT(seek->end_offset <= seek->part->next_offset);
    seek->found_offset = -1;
    seek->found_timestamp_ms = -1;
    seek->found_epoch = -1;
    seek->buf = NULL;
    seek->batch = NULL;
    seek->remote_len = 0;
    seek->part->pins++;
    seek_next(seek);
}
