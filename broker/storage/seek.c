/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding the first batch (or record) at or after a time.
 *
 *   1. the first segment whose bounds say that it may hold it: a job looks through its index and tables, and into the
 *      batch when a record is wanted
 *   2. not there after all (a bound may be a producer's claim): the next segment
 *   3. then the batches in memory that are in no readable chunk; when a record is wanted, a job looks into a copy
 */
#include <storage/seek.h>

#include <core/alloc.h>
#include <core/assert.h>

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

static void seek_next(struct seek *seek)
{
    struct partition *part = seek->part;
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
    seek->found_offset = -1;
    seek->found_timestamp_ms = -1;
    seek->found_epoch = -1;
    seek->buf = NULL;
    seek->batch = NULL;
    seek->part->pins++;
    seek_next(seek);
}
