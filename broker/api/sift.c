/* SPDX-License-Identifier: Apache-2.0
 *
 * See sift.h. One loop, sift_go(), in which each turn does one thing:
 *
 *   1. the last read gave nothing, and there is an index: ask it for the next place (sift_locate.c)
 *   2. read from there on, or, when the index knows of none, ask only how long the log is by now
 *   3. look through what was read: here when it is small, else by a worker (sift_run.c)
 *   4. little was found: copy it into the request's memory and go on; more: it stays where it is, and that is all. What
 *      stays fills a good part of the memory that is held for it until the answer is sent
 *
 * A batch that cannot be opened is kept, and a failure after something was found is left for the next time.
 * Invariant: every record below `next` and at or above `from` that is wanted lies in a batch of `finds`.
 */
#include <api/sift.h>

#include <core/alloc.h>

#define STEPS_MAX 32u            /* turns of one read */
#define COPY_LEN_MAX (64u << 10) /* of one find that is copied */
#define COPY_SHARE 4u            /* a find that is so much smaller than its read is copied even at the end */

static void sift_go(struct sift *sift);

void sift_go_on(struct sift *sift)
{
    EL_ASSERT(sift->waiting);
    sift->waiting = false;
    if (!sift->looping) {
        sift_go(sift);
    }
}

static void drop_read(struct sift *sift)
{
    if (sift->holding) {
        sift->holding = false;
        store_read_release(sift->read);
    }
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void fail(struct sift *sift, int error)
{
    sift->error = sift->kept_len > 0 ? 0 : error;
    sift->ended = true;
}

static void finish(struct sift *sift)
{
    struct read_op *read = sift->read;
    if (!sift->in_place) {
        drop_read(sift);
    }
    EL_ASSERT(sift->next >= sift->from);
    read->offset = sift->from;
    read->next_offset = sift->next;
    read->data_len = sift->kept_len;
    read->high_watermark = sift->high_watermark;
    read->log_start_offset = sift->log_start;
    read->base.done = sift->done;
    read->base.arg = sift->arg;
    read->base.error = sift->error;
    read->base.done(&read->base);
}

/* --- what was found ----------------------------------------------------------------------------------------------- */

/* So many of the batches at hand fit; *len are their bytes. */
static uint32_t fitting(const struct sift *sift, uint32_t *len)
{
    const struct read_op *read = sift->read;
    uint32_t count = 0, room = sift->room > sift->kept_len ? sift->room - sift->kept_len : 0;
    *len = 0;
    while (count < sift->found_count) {
        uint32_t more = read->entries[count].len;
        bool fits = *len + more <= room;
        if (!fits && !(sift->forced && sift->kept_len == 0 && count == 0)) {
            break;
        }
        *len += more;
        count++;
    }
    return count;
}

/* Batches of the read as a find, in place or copied. false without memory. */
static bool keep(struct sift *sift, uint32_t count, uint32_t len, bool copy)
{
    const struct read_op *read = sift->read;
    struct el_arena *arena = &sift->request->arena;
    struct sift_find *find = el_arena_alloc(arena, sizeof *find + count * sizeof find->batches[0]);
    const uint8_t *data = copy ? el_arena_dup(arena, read->data, len) : read->data;
    if (find == NULL || data == NULL) {
        return false;
    }
    find->next = NULL;
    find->count = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct read_entry *entry = &read->entries[i];
        struct sift_batch *batch = &find->batches[i];
        EL_ASSERT(entry->pos + entry->len <= len);
        *batch = (struct sift_batch){
            .batch = el_slice_of(data + entry->pos, entry->len),
            .append_time_ns = entry->append_time_ns,
            .leader_epoch = entry->leader_epoch,
        };
        memcpy(batch->salt, entry->salt, sizeof batch->salt);
    }
    if (sift->last == NULL) {
        sift->finds = find;
    } else {
        sift->last->next = find;
    }
    sift->last = find;
    sift->batch_count += count;
    sift->kept_len += len;
    return true;
}

/* Would so little keep much memory? Storage may take for a read as much as was asked for. */
static bool is_scant(const struct read_op *read, uint32_t len)
{
    return len <= COPY_LEN_MAX && len <= EL_MAX(read->max_bytes, read->data_len) / COPY_SHARE;
}

static void take(struct sift *sift)
{
    struct read_op *read = sift->read;
    uint32_t len, count = fitting(sift, &len);
    bool all = count == sift->found_count;
    bool last = !all || len > COPY_LEN_MAX || read->next_offset >= sift->high_watermark ||
                sift->scanned >= sift->scan_len || sift->steps >= STEPS_MAX;
    bool copy = !last || is_scant(read, len);
    if (count > 0 && !keep(sift, count, len, copy)) {
        last = true;
        count = 0;
        if (sift->kept_len == 0) {
            fail(sift, EVLOG_ERR_NO_MEMORY);
            return;
        }
        all = false;
    }
    if (!all) { /* what did not fit comes next time */
        EL_ASSERT(count < read->entry_count);
        sift->next = EL_MAX(sift->next, el_batch_base_offset(read->data + read->entries[count].pos));
        sift->blocked = sift->kept_len == 0;
    } else {
        sift->next = read->next_offset;
        sift->next_version += sift->next_version >= 0 ? (int64_t)sift->matched : 0;
    }
    sift->in_place = !copy && count > 0;
    sift->ended = last;
}

/* The sieve has been over what was read. */
static void sieved(struct sift *sift)
{
    EL_ASSERT(sift->holding);
    EL_ASSERT(sift->found_count <= sift->read->entry_count);
    EL_ASSERT(sift->found_len <= sift->read->data_len);
    sift->located = false;
    sift->dry = sift->found_count == 0;
    if (sift->found_count > 0) {
        take(sift);
    } else {
        sift->next = sift->read->next_offset;
    }
    if (!sift->in_place) {
        drop_read(sift);
    }
    sift->ended = sift->ended || sift->next >= sift->high_watermark || sift->scanned >= sift->scan_len;
}

/* On a worker; touches only what waits for it. */
static int64_t sieve_job(struct disk *disk, void *arg)
{
    struct sift *sift = arg;
    size_t len = el_sieve_scratch_len(sift->sieve);
    void *scratch = el_malloc(len);
    (void)disk;
    if (scratch == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    sift_run(sift, scratch, len);
    el_free(scratch);
    return 0;
}

static void sift_on_job(struct io_op *job)
{
    struct sift *sift = job->arg;
    EL_ASSERT(sift->waiting);
    if (job->result != 0) {
        fail(sift, (int)job->result);
    } else {
        sieved(sift);
    }
    sift_go_on(sift);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* What was read does not need to be looked at: all of it is wanted. */
static void take_all(struct sift *sift)
{
    sift->found_count = sift->read->entry_count;
    sift->found_len = sift->read->data_len;
    sieved(sift);
}

/* returns false when a worker does it, who then goes on */
static bool look_through(struct sift *sift)
{
    uint8_t scratch[16];
    if (el_sieve_is_open(sift->sieve)) {
        take_all(sift);
        return true;
    }
    if (sift_is_small(sift)) {
        sift_run(sift, scratch, sizeof scratch);
        sieved(sift);
        return true;
    }
    sift->job.done = sift_on_job;
    sift->job.arg = sift;
    io_job(sift->api->io, &sift->job, IO_JOB_COMPUTE, sieve_job, sift);
    return false;
}

static void sift_on_read(struct store_op *op)
{
    struct sift *sift = op->arg;
    struct read_op *read = sift->read;
    EL_ASSERT(!sift->holding);
    sift->holding = true;
    if (op->error == 0 || sift->kept_len == 0) {
        sift->high_watermark = read->high_watermark;
        sift->log_start = read->log_start_offset;
    }
    sift->scanned += read->data_len;
    if (op->error == 0 && !sift->checked && read->log_start_offset > sift->from) {
        op->error = EVLOG_ERR_OFFSET_RANGE; /* the index has led beyond events that are gone */
    }
    sift->checked = true;
    sift->next = op->error == 0 ? EL_MAX(sift->next, read->offset) : sift->next;
    if (op->error != 0) {
        fail(sift, op->error);
    } else if (read->diverging_epoch >= 0) {
        sift->ended = true;
    } else if (read->data_len > 0) {
        if (!look_through(sift)) {
            return;
        }
    } else {
        sift->next = EL_MAX(sift->next, read->next_offset);
        sift->ended = !sift->located || sift->next >= sift->high_watermark;
        sift->located = false; /* or the log has grown since the index was asked */
    }
    sift_go_on(sift);
}

static void read_next(struct sift *sift)
{
    struct read_op *read = sift->read;
    bool nothing = sift->located && sift->place < 0; /* up to next, which the index has moved */
    int64_t offset = sift->located && sift->place >= 0 ? sift->place : sift->next;
    uint32_t len = sift->index == SIFT_BY_READING ? sift->read_len
                   : sift->steps == 1             ? SIFT_FIRST_LEN
                                                  : SIFT_READ_LEN_MIN;
    drop_read(sift);
    read->offset = offset;
    len = EL_MIN(len, EL_MAX(sift->room, SIFT_FIRST_LEN)); /* which is less when memory is short */
    read->max_bytes = nothing ? 0 : EL_MIN(len, sift->read_len);
    read->at_least_one = !nothing;
    read->want_entries = true;
    read->base.done = sift_on_read;
    read->base.arg = sift;
    sift->waiting = true;
    store_read(sift->api->shard, read);
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void sift_turn(struct sift *sift)
{
    bool wants_version = sift->version_wanted && sift->version < 0;
    if (sift->steps++ == STEPS_MAX) {
        sift->ended = true;
    } else if (sift->index != SIFT_BY_READING && !sift->located && (sift->dry || wants_version)) {
        sift->waiting = true;
        sift_locate(sift);
    } else {
        read_next(sift);
    }
}

static void sift_go(struct sift *sift)
{
    EL_ASSERT(!sift->looping);
    sift->looping = true;
    while (!sift->waiting && !sift->ended) {
        sift_turn(sift);
    }
    sift->looping = false;
    if (!sift->waiting) {
        finish(sift);
    }
}

void sift_start(struct sift *sift, struct read_op *read)
{
    EL_ASSERT(sift->read_len > 0);
    EL_ASSERT(read->want_entries);
    EL_ASSERT(!sift->holding);
    sift->read = read;
    sift->done = read->base.done;
    sift->arg = read->base.arg;
    sift->from = sift->next = read->offset;
    sift->room = read->max_bytes;
    sift->forced = read->at_least_one;
    sift->high_watermark = sift->log_start = -1;
    sift->version = sift->next_version = -1;
    sift->finds = sift->last = NULL;
    sift->batch_count = sift->kept_len = sift->steps = 0;
    sift->error = 0;
    sift->blocked = sift->checked = sift->located = sift->dry = sift->in_place = sift->ended = false;
    sift_go(sift);
}
