/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading batches.
 *
 *   1. on the owner: check epoch and offset; nothing at or above the high watermark is ever given out, but what is
 *      durable to the archiver
 *   2. recent batches: copied from the tail's memory into one block
 *   3. older ones: a job reads them from their segment into the block, verifying each; a first batch larger than the
 *      block makes the job run again with a larger one
 *   4. those that only the archive has: it is asked (remote.h); what it gives ends at the first offset on this disk
 *   5. a compacted segment, or the archive, may have nothing from the offset on: then the read goes on behind it
 *   6. the block travels back with the op; store_read_release() returns it to the owner's memory
 *
 * A range that does not verify is EVLOG_ERR_CORRUPT for that range alone.
 */
#include <storage/remote.h>

#include <core/assert.h>
#include <core/logger.h>

/* The memory of one answer: this header, the data, then the entries. */
struct read_block {
    struct io_message message; /* way home */
    struct store_shard *shard; /* whose buddy it comes from */
    struct partition *part;    /* while a job runs */
    struct segment *seg;
    struct read_op *op;
    struct io_op io_op;
    struct segment_read read;
    struct remote remote;
    int64_t from; /* batches that end at or below it are not wanted */
    _Alignas(16) uint8_t data[];
};

EL_STATIC_ASSERT(sizeof(struct read_block) <= STORE_READ_HEAD_LEN, "store_read_memory() counts so much for it");

static struct read_block *block_new(struct store_shard *shard, struct read_op *op, size_t data_len, uint32_t entry_max)
{
    size_t entries_pos = EL_ALIGN_UP(data_len, 16);
    EL_ASSERT(op->private_[0] == NULL); /* one block at a time, or the first would be lost */
    struct read_block *block = el_buddy_alloc(shard->buddy, sizeof(*block) + entries_pos +
                                                                (size_t)entry_max * sizeof(struct read_entry));
    if (block == NULL) {
        return NULL;
    }
    memset(block, 0, sizeof(*block));
    block->shard = shard;
    block->op = op;
    op->private_[0] = block;
    op->memory_len = el_buddy_block_len(shard->buddy, block);
    op->data = block->data;
    op->entries = entry_max == 0 ? NULL : (struct read_entry *)(void *)(block->data + entries_pos);
    return block;
}

static void block_free(struct read_op *op)
{
    struct read_block *block = op->private_[0];
    if (block != NULL) {
        EL_ASSERT(block->op == op);
        el_buddy_free(block->shard->buddy, block);
        op->private_[0] = NULL;
        op->memory_len = 0;
    }
    op->data = NULL;
    op->data_len = 0;
    op->entries = NULL;
    op->entry_count = 0;
}

static void read_finish(struct read_op *op, int error)
{
    if (error != 0 || op->data_len == 0) {
        block_free(op);
    } else {
        EL_ASSERT(op->private_[0] != NULL);
        EL_ASSERT(!op->want_entries || op->entry_count > 0);
    }
    if (error != 0 && error != EVLOG_ERR_NO_MEMORY && error != EVLOG_ERR_OFFSET_RANGE) {
        op->high_watermark = -1;
        op->log_start_offset = -1;
    } else {
        metrics_add(op->base.owner->metrics, METRIC_FETCH_BYTES, op->data_len);
    }
    store_op_finish(&op->base, error);
}

/* The first batch is not to be given: it is longer than first_len_max. */
static void read_too_long(struct read_op *op)
{
    EL_ASSERT(op->first_len > op->first_len_max);
    block_free(op);
    op->next_offset = op->offset;
    read_finish(op, 0);
}

/* What the log spans now; for EVLOG_ERR_OFFSET_RANGE, too: who asked goes on where it begins. */
static void span_tell(const struct partition *part, struct read_op *op)
{
    op->high_watermark = part->high_watermark;
    op->log_start_offset = part->log_start;
}

/* Nothing at or above it is given out. */
static int64_t read_end(const struct partition *part, const struct read_op *op)
{
    return op->for_archive ? part->durable_end
           : op->unshown   ? EL_MAX(part->durable_end, part->high_watermark)
                           : part->high_watermark;
}

static uint32_t entry_room(const struct read_op *op)
{
    return op->want_entries ? STORE_READ_ENTRIES_MAX : 0;
}

/* May the first batch be given, whatever max_bytes? If not, the op learns how long it is. */
static bool first_fits(struct read_op *op, size_t len)
{
    bool fits = op->first_len_max == 0 || len <= op->first_len_max;
    op->first_len = fits ? 0 : (uint32_t)len;
    return fits;
}

/* --- from memory -------------------------------------------------------------------------------------------------- */

/* The run of visible, consecutive entries from `first` on that fits. */
static uint32_t memory_measure(const struct partition *part, struct read_op *op, const struct batch_entry *first,
                               uint32_t max, size_t *len)
{
    uint32_t count = 0;
    int64_t next = first->base_offset;
    *len = 0;
    for (const struct batch_entry *e = first;;) {
        bool fits = *len + e->len <= max || (count == 0 && op->at_least_one && first_fits(op, e->len));
        if (e->base_offset != next || batch_entry_next(e) > read_end(part, op) || !fits ||
            (op->want_entries && count == STORE_READ_ENTRIES_MAX)) {
            break;
        }
        next = batch_entry_next(e);
        *len += e->len;
        count++;
        if (e->link.next == &part->entries) {
            break;
        }
        e = EL_CONTAINER(e->link.next, struct batch_entry, link);
    }
    return count;
}

static int read_memory(struct partition *part, struct read_op *op, struct batch_entry *first)
{
    size_t len;
    uint32_t max = EL_MIN(op->max_bytes, STORE_READ_LEN_MAX);
    uint32_t count = memory_measure(part, op, first, max, &len);
    if (count == 0) {
        return 0;
    }
    while (block_new(part->shard, op, len, op->want_entries ? count : 0) == NULL) {
        if (count == 1 || max < STORE_READ_LEN_MIN) {
            return EVLOG_ERR_NO_MEMORY;
        }
        max = EL_MIN(max, (uint32_t)len) / 2; /* memory is tight: a smaller answer */
        count = memory_measure(part, op, first, max, &len);
        if (count == 0) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    struct batch_entry *e = first, *last = first;
    for (uint32_t i = 0; i < count; i++) {
        last = e;
        EL_ASSERT(e->part == part);
        memcpy(op->data + op->data_len, e->batch, e->len);
        if (op->want_entries) {
            struct read_entry *out = &op->entries[op->entry_count++];
            *out = (struct read_entry){.append_time_ns = e->append_time_ns,
                                       .max_timestamp_ms = e->max_timestamp_ms,
                                       .leader_epoch = e->leader_epoch,
                                       .pos = op->data_len,
                                       .len = e->len};
            memcpy(out->salt, e->salt, sizeof(out->salt));
        }
        op->data_len += e->len;
        op->next_offset = batch_entry_next(e);
        e = EL_CONTAINER(e->link.next, struct batch_entry, link);
    }
    EL_ASSERT(op->data_len == len);
    EL_ASSERT(op->next_offset > op->offset);
    EL_ASSERT(op->next_offset <= read_end(part, op));
    partition_bookmark(part, last);
    return 0;
}

/* --- from a segment ----------------------------------------------------------------------------------------------- */

static int64_t segment_job(struct disk *disk, void *arg)
{
    struct read_block *block = arg;
    return segment_read_run(disk, &block->read);
}

/* What a read of a segment needs to be told. */
struct segment_ask {
    struct segment *seg;
    int64_t from;
    size_t len;   /* of the block */
    size_t least; /* a block below it is of no use */
};

static int segment_start(struct partition *part, struct read_op *op, const struct segment_ask *ask);
static bool read_from(struct partition *part, struct read_op *op, int64_t from, int *error);

static void segment_on_done(struct io_op *io_op)
{
    struct read_block *block = EL_CONTAINER(io_op, struct read_block, io_op);
    struct read_op *op = block->op;
    struct partition *part = block->part;
    struct segment *seg = block->seg;
    struct store_shard *shard = block->shard;
    int code = (int)io_op->result;
    size_t wanted_len = block->read.wanted_len;
    int64_t from = block->from, behind = block->read.first_offset < 0 ? seg->end_offset : -1;
    op->data_len = (uint32_t)block->read.data_len;
    op->entry_count = block->read.entry_count;
    op->next_offset = block->read.next_offset;
    EL_ASSERT(op->private_[0] == block);
    EL_ASSERT(block->read.data_len <= block->read.buf_len);
    EL_ASSERT(block->read.entry_count <= block->read.entry_max);
    EL_ASSERT(shard->jobs > 0);
    shard->jobs--;
    part->pins++;
    segment_read_end(seg, &block->read);
    if (code == EVLOG_ERR_LIMIT && part->deleted) {
        code = EVLOG_ERR_UNKNOWN_TOPIC; /* meanwhile */
    }
    if (code == EVLOG_ERR_LIMIT && wanted_len <= EL_BATCH_LEN_MAX && !first_fits(op, wanted_len)) {
        partition_unpin(part);
        read_too_long(op);
        return;
    }
    if (code == EVLOG_ERR_LIMIT && wanted_len <= EL_BATCH_LEN_MAX) {
        block_free(op);
        code = segment_start(part, op, &(struct segment_ask){seg, from, wanted_len, wanted_len});
        if (code == 0) {
            partition_unpin(part);
            return;
        }
    }
    if (code == 0 && behind >= 0 && part->deleted) {
        code = EVLOG_ERR_UNKNOWN_TOPIC; /* what lies behind cannot be looked for any more */
    } else if (code == 0 && behind >= 0 && !seg->compacted) {
        code = EVLOG_ERR_CORRUPT; /* all others have a batch for each offset */
    } else if (code == 0 && behind >= 0) {
        block_free(op);
        op->next_offset = op->offset;
        if (read_from(part, op, behind, &code)) {
            partition_unpin(part);
            return;
        }
    }
    if (code == EVLOG_ERR_CORRUPT) {
        el_log(EL_LOG_ERROR, "storage",
               "segment %llu of partition %d: offset %lld cannot be read: a checksum is wrong or the file is gone; "
               "other offsets are not affected",
               (unsigned long long)seg->id, part->key.partition, (long long)op->offset);
    }
    partition_unpin(part);
    read_finish(op, code == EVLOG_ERR_CRASHED || code == EVLOG_ERR_IO ? EVLOG_ERR_STORAGE : code);
}

static int segment_start(struct partition *part, struct read_op *op, const struct segment_ask *ask)
{
    struct store_shard *shard = part->shard;
    struct read_block *block;
    size_t len = ask->len, least = ask->least;
    EL_ASSERT(ask->from >= ask->seg->base_offset);
    EL_ASSERT(ask->from < ask->seg->written_end);
    while ((block = block_new(shard, op, len, entry_room(op))) == NULL) {
        if (len <= STORE_READ_LEN_MIN || len <= least) {
            return EVLOG_ERR_NO_MEMORY;
        }
        len = EL_MAX(len / 2, least); /* memory is tight: a smaller answer */
    }
    block->part = part;
    block->seg = ask->seg;
    block->from = ask->from;
    segment_read_begin(ask->seg, &block->read);
    block->read.kind = SEEK_OFFSET;
    block->read.value = ask->from;
    block->read.end_offset = read_end(part, op);
    block->read.buf = block->data;
    block->read.buf_len = len;
    block->read.data_max = EL_MIN(op->max_bytes, STORE_READ_LEN_MAX);
    block->read.entries = op->entries;
    block->read.entry_max = entry_room(op);
    block->read.at_least_one = op->at_least_one;
    block->io_op.done = segment_on_done;
    shard->jobs++;
    io_job(shard->io, &block->io_op, IO_JOB_COMPUTE, segment_job, block);
    return 0;
}

/* --- from the archive --------------------------------------------------------------------------------------------- */

static int remote_ask(struct partition *part, struct read_op *op, int64_t from, size_t least);

static bool is_remote(const struct partition *part, int64_t offset)
{
    return tier_has_more(part) && offset < tier_local_start(part);
}

static void remote_on_done(struct remote *remote, int code, bool over)
{
    struct read_block *block = EL_CONTAINER(remote, struct read_block, remote);
    struct read_op *op = block->op;
    struct partition *part = remote->part;
    const struct tier_read *read = &remote->read;
    if (!over) { /* it took too long: the op goes its way, and the block stays while the archive may write to it */
        op->private_[0] = NULL;
        op->memory_len = 0;
        read_finish(op, code);
        return;
    }
    int64_t from = block->from, behind = read->first_offset < 0 ? read->end_offset : -1;
    size_t wanted_len = read->wanted_len;
    if ((code == 0 || code == EVLOG_ERR_LIMIT) && part->deleted) {
        code = EVLOG_ERR_UNKNOWN_TOPIC; /* meanwhile */
    }
    if ((behind >= 0 || code == EVLOG_ERR_LIMIT) && op->offset < part->log_start) {
        code = EVLOG_ERR_OFFSET_RANGE; /* likewise */
        span_tell(part, op);
    }
    if (code == 0 && behind < 0) {
        EL_ASSERT(read->data_len <= read->buf_len);
        EL_ASSERT(read->data_len == 0 || read->next_offset <= read->end_offset);
        op->data_len = (uint32_t)read->data_len;
        op->entry_count = read->entry_count;
        op->next_offset = read->data_len > 0 ? read->next_offset : op->offset;
        read_finish(op, 0);
        return;
    }
    if (code == EVLOG_ERR_LIMIT && wanted_len <= EL_BATCH_LEN_MAX && !first_fits(op, wanted_len)) {
        read_too_long(op);
        return;
    }
    block_free(op);
    op->next_offset = op->offset;
    if (code == 0) { /* a gap, which the archive vouches for */
        if (!read_from(part, op, behind, &code)) {
            read_finish(op, code);
        }
        return;
    }
    if (code == EVLOG_ERR_LIMIT && wanted_len <= EL_BATCH_LEN_MAX && !part->deleted) {
        code = is_remote(part, from) ? remote_ask(part, op, from, wanted_len) : EVLOG_ERR_AGAIN;
        if (code == 0 || (code == EVLOG_ERR_AGAIN && read_from(part, op, from, &code))) {
            return;
        }
    }
    if (code == EVLOG_ERR_CORRUPT) {
        el_log(EL_LOG_ERROR, "storage", "partition %d: offset %lld in the archive does not verify", part->key.partition,
               (long long)op->offset);
    }
    read_finish(op, code);
}

static void remote_on_gone(struct remote *remote)
{
    struct read_block *block = EL_CONTAINER(remote, struct read_block, remote);
    el_buddy_free(block->shard->buddy, block);
}

/* Of what the asker names, what the archive is asked for. */
static void wanted_take(struct tier_read *read, const struct read_op *op)
{
    for (uint32_t i = 0; i < op->wanted_count && read->wanted_count < TIER_WANTED_MAX; i++) {
        if (op->wanted[i] >= read->end_offset || op->wanted[i] < op->log_start_offset) {
            continue;
        }
        read->wanted[read->wanted_count++] = op->wanted[i];
    }
}

/* least: bytes of a first batch that did not fit the last time, or 0. */
static int remote_ask(struct partition *part, struct read_op *op, int64_t from, size_t least)
{
    struct store_shard *shard = part->shard;
    struct read_block *block;
    EL_ASSERT(from < tier_local_start(part));
    EL_ASSERT(from < read_end(part, op));
    uint32_t max_bytes = op->wanted_count > 0 ? EL_MAX(op->max_bytes, op->wanted_bytes) : op->max_bytes;
    size_t len = EL_MAX(EL_MIN(EL_MAX(max_bytes, STORE_READ_LEN_MIN), REMOTE_LEN_MAX), least);
    while ((block = block_new(shard, op, len, entry_room(op))) == NULL) {
        if (len <= STORE_READ_LEN_MIN || len <= least) {
            return EVLOG_ERR_NO_MEMORY;
        }
        len = EL_MAX(len / 2, least); /* memory is tight: a smaller answer */
    }
    block->from = from;
    block->remote.done = remote_on_done;
    block->remote.gone = remote_on_gone;
    block->remote.read = (struct tier_read){
        .by = TIER_BY_OFFSET,
        .offset = from,
        .end_offset = EL_MIN(tier_local_start(part), read_end(part, op)),
        .buf = block->data,
        .buf_len = len,
        .data_max = EL_MIN(max_bytes, REMOTE_LEN_MAX),
        .at_least_one = op->at_least_one,
        .entries = op->entries,
        .entry_max = entry_room(op),
    };
    if (op->want_entries) {
        wanted_take(&block->remote.read, op);
    }
    int code = remote_start(part, &block->remote);
    if (code != 0) {
        block_free(op);
    }
    return code;
}

/* --- the op ------------------------------------------------------------------------------------------------------- */

static int read_check(struct partition *part, struct read_op *op)
{
    int32_t epoch = store_leader_epoch(part->shard->store);
    if (op->current_leader_epoch >= 0 && op->current_leader_epoch != epoch) {
        return op->current_leader_epoch < epoch ? EVLOG_ERR_FENCED_EPOCH : EVLOG_ERR_UNKNOWN_EPOCH;
    }
    if (part->shard->tier_holds && op->offset > part->next_offset) {
        return EVLOG_ERR_ARCHIVE; /* it may go further than this disk */
    }
    span_tell(part, op);
    if (op->offset < part->log_start || op->offset > part->next_offset) {
        return EVLOG_ERR_OFFSET_RANGE;
    }
    if (tier_settling(part) && op->offset >= part->high_watermark && !op->unshown) {
        return EVLOG_ERR_ARCHIVE; /* how far it goes is not known yet */
    }
    if (op->last_fetched_epoch >= 0) {
        int32_t found;
        int64_t end;
        partition_epoch_end(part, op->last_fetched_epoch, &found, &end);
        if (end < op->offset || found < op->last_fetched_epoch) {
            if (part->shard->tier_holds && found < op->last_fetched_epoch) {
                return EVLOG_ERR_ARCHIVE;
            }
            op->diverging_epoch = found;
            op->diverging_end_offset = end;
        }
    }
    return 0;
}

/* Batches from the one that contains `from`, or is the next behind it. returns true when a job reads them; else *error
 * or what memory held is the answer */
static bool read_from(struct partition *part, struct read_op *op, int64_t from, int *error)
{
    *error = 0;
    span_tell(part, op); /* what is shown now lies below it */
    if (from >= read_end(part, op)) {
        return false;
    }
    from = EL_MAX(from, part->log_start); /* it may have moved, with the segments below */
    struct batch_entry *entry = partition_entry_at(part, from);
    if (entry != NULL) {
        *error = read_memory(part, op, entry);
        return false;
    }
    if (is_remote(part, from)) {
        *error = op->for_archive ? EVLOG_ERR_OFFSET_RANGE : remote_ask(part, op, from, 0);
        return *error == 0;
    }
    struct segment_ask ask = {.seg = segment_at(part, from),
                              .from = from,
                              .len = EL_MAX(EL_MIN(op->max_bytes, STORE_READ_LEN_MAX), STORE_READ_LEN_MIN)};
    *error = ask.seg == NULL ? EVLOG_ERR_CORRUPT : segment_start(part, op, &ask);
    return *error == 0;
}

static void read_run(struct store_op *base)
{
    struct read_op *op = EL_CONTAINER(base, struct read_op, base);
    struct partition *part = partition_find(base->owner, &op->topic_id, op->partition);
    int code = part == NULL ? EVLOG_ERR_UNKNOWN_TOPIC : read_check(part, op);
    metrics_add(base->owner->metrics, METRIC_FETCHES, 1);
    if (code != 0 || op->diverging_epoch >= 0 || op->offset >= read_end(part, op) ||
        (op->max_bytes == 0 && !op->at_least_one)) {
        read_finish(op, code);
        return;
    }
    if (!read_from(part, op, op->offset, &code)) {
        read_finish(op, code);
    }
}

void store_read(struct store_shard *shard, struct read_op *op)
{
    op->data = NULL;
    op->data_len = 0;
    op->entries = NULL;
    op->entry_count = 0;
    op->high_watermark = op->log_start_offset = -1;
    op->next_offset = op->offset;
    op->diverging_epoch = -1;
    op->diverging_end_offset = -1;
    op->private_[0] = NULL;
    op->first_len = 0;
    op->memory_len = 0;
    op->unshown = op->unshown || op->for_archive;
    struct store_shard *owner = shard_owner(shard, &op->topic_id, op->partition);
    if (owner == NULL) {
        op->base.origin = op->base.owner = shard;
        op->base.returned = NULL;
        store_op_finish(&op->base, EVLOG_ERR_UNKNOWN_TOPIC);
        return;
    }
    store_op_send(shard, owner, &op->base, read_run);
}

static void block_home(struct io_message *message)
{
    struct read_block *block = EL_CONTAINER(message, struct read_block, message);
    el_buddy_free(block->shard->buddy, block);
}

void store_read_release(struct read_op *op)
{
    struct read_block *block = op->private_[0];
    op->private_[0] = NULL;
    op->memory_len = 0;
    op->data = NULL;
    if (block == NULL) {
        return;
    }
    if (block->shard == op->base.origin) {
        el_buddy_free(block->shard->buddy, block);
        return;
    }
    block->message.run = block_home;
    io_post(block->shard->io, &block->message);
}
