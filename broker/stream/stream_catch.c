/* SPDX-License-Identifier: Apache-2.0
 *
 * Catching up: what the log of a partition has above the end of the index is read, batch by batch, and goes into the
 * tables as if it were appended, without any check. Done once after a start, before the first append or question is
 * taken; appends wait meanwhile, so that the log has an end.
 *
 *   1. read a part of the log from sp->noted on
 *   2. a job makes a stream_batch of some of its batches
 *   3. stream_admit_replay() takes them, maybe after lookups, maybe waiting for a table to become a run; noted moves
 *   4. again until noted is the log's end
 *
 * A batch may have been taken in part when a table was full: noted is exact to the record, also over a restart.
 */
#include <stream/stream_state.h>

#include <core/alloc.h>
#include <core/logger.h>

#define CATCH_MAX 4u /* partitions that catch up at the same time */

static void catch_read(struct stream_catch *c);

static void batches_free(struct stream_catch *c)
{
    for (uint32_t i = 0; i < c->batch_count; i++) {
        stream_admit_forget(&c->sp->st->view, &c->batches[i].batch);
        el_free(c->batches[i].batch.records);
    }
    c->batch_count = c->batch_index = 0;
    c->begun = false;
}

/* It is at its end, or cannot go on. */
static void catch_end(struct stream_catch *c, int error)
{
    struct stream_part *sp = c->sp;
    struct streams *st = sp->st;
    EL_ASSERT(sp->catching == c);
    EL_ASSERT(sp->state == STREAM_PART_CATCHING);
    batches_free(c);
    store_read_release(&c->read);
    el_pool_put(&st->catch_pool, c);
    sp->catching = NULL;
    EL_ASSERT(st->catch_count > 0);
    EL_ASSERT(st->ops > 0);
    st->catch_count--;
    st->ops--;
    sp->anew = false;
    if (error == 0) {
        sp->state = STREAM_PART_READY;
        sp->catch_error = 0;
    } else {
        bool broken = error == EVLOG_ERR_CORRUPT || error == EVLOG_ERR_OFFSET_RANGE;
        sp->state = broken ? STREAM_PART_BROKEN : STREAM_PART_COLD;
        sp->catch_error = broken ? 0 : error;
        if (broken) {
            el_log(EL_LOG_ERROR, "stream",
                   "partition %d of a topic with evlog.streams cannot be indexed from offset %lld on (%s): its appends "
                   "and streams are refused; repairing the index cannot help, restore the partition from a copy",
                   sp->partition, (long long)sp->noted, evlog_error_text(error));
        }
    }
    struct el_list questions;
    el_list_init(&questions);
    el_list_splice_back(&questions, &sp->questions);
    for (struct el_list *n; (n = el_list_pop_front(&questions)) != NULL;) {
        int answer = error == EVLOG_ERR_OFFSET_RANGE ? EVLOG_ERR_CORRUPT : error;
        stream_question_go(sp, EL_CONTAINER(n, struct store_op, link), answer);
    }
    if (sp->part != NULL) {
        store_observed_resume(sp->part);
    }
    if (sp->part != NULL && sp->raising && error != 0) {
        sp->raising = false;
        store_observed_floor(sp->part, error == EVLOG_ERR_OFFSET_RANGE ? EVLOG_ERR_CORRUPT : error);
    }
    st->want_flush = st->want_flush || (sp->raising && error == 0);
    streams_soon(st); /* the next one's turn; not from here, for many may end one after the other */
    stream_part_unpin(sp);
    stream_rebuild_look(st);
}

static int ended(const struct stream_part *sp)
{
    if (sp->part == NULL) {
        return EVLOG_ERR_UNKNOWN_TOPIC;
    }
    const struct streams *st = sp->st;
    return st->stopping ? EVLOG_ERR_CLOSED : st->failed || st->rebuilding || st->dead ? EVLOG_ERR_STORAGE : 0;
}

/* --- looking through batches -------------------------------------------------------------------------------------- */

static int batch_make(struct stream_catch *c, const uint8_t *batch, size_t len)
{
    EL_ASSERT(c->batch_count < CATCH_BATCHES_MAX);
    struct catch_batch *out = &c->batches[c->batch_count];
    struct el_batch_iter iter;
    const char *why = "";
    void *scratch = NULL;
    size_t scratch_len = 0;
    memset(out, 0, sizeof *out);
    out->base_offset = el_batch_base_offset(batch);
    out->end_offset = el_batch_last_offset(batch) + 1;
    int code = out->end_offset > (int64_t)INDEX_POSITION_END ? EVLOG_ERR_CORRUPT
                                                             : el_batch_open(&iter, batch, len, NULL, 0);
    while (code == EVLOG_ERR_NO_MEMORY && iter.info.scratch_len_wanted > scratch_len) {
        scratch_len = iter.info.scratch_len_wanted;
        el_free(scratch);
        scratch = el_malloc(scratch_len);
        if (scratch == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        code = el_batch_open(&iter, batch, len, scratch, scratch_len);
    }
    code = code != 0
               ? code
               : stream_batch_make(&c->sp->st->secret, batch, len, scratch, scratch_len, NULL, true, &out->batch, &why);
    el_free(scratch);
    if (code == 0) {
        c->batch_count++;
    }
    return code;
}

static int64_t digest_run(struct disk *disk, void *arg)
{
    struct stream_catch *c = arg;
    uint32_t record_count = 0;
    (void)disk;
    while (c->next_entry < c->read.entry_count && c->batch_count < CATCH_BATCHES_MAX &&
           record_count < CATCH_RECORDS_MAX) {
        const struct read_entry *entry = &c->read.entries[c->next_entry];
        EL_ASSERT((uint64_t)entry->pos + entry->len <= c->read.data_len);
        int code = batch_make(c, c->read.data + entry->pos, entry->len);
        if (code != 0) {
            return code == EVLOG_ERR_NO_MEMORY ? code : EVLOG_ERR_CORRUPT;
        }
        record_count += c->batches[c->batch_count - 1].batch.record_count;
        c->next_entry++;
    }
    return 0;
}

static void digest_on_done(struct io_op *op)
{
    struct stream_catch *c = EL_CONTAINER(op, struct stream_catch, op);
    stream_catch_go(c->sp, (int)op->result);
}

static void digest_start(struct stream_catch *c)
{
    batches_free(c);
    c->op.done = digest_on_done;
    io_job(c->sp->st->io, &c->op, IO_JOB_COMPUTE, digest_run, c);
}

/* --- taking them -------------------------------------------------------------------------------------------------- */

/* The first record of a batch that is not in yet. */
static uint32_t first_record(const struct catch_batch *b, int64_t noted)
{
    uint32_t i = 0;
    while (i < b->batch.record_count && b->base_offset + b->batch.records[i].offset_delta < noted) {
        i++;
    }
    return i;
}

static int batch_take(struct stream_catch *c)
{
    EL_ASSERT(c->batch_index < c->batch_count);
    struct catch_batch *b = &c->batches[c->batch_index];
    struct stream_part *sp = c->sp;
    struct streams *st = sp->st;
    if (!c->begun) {
        c->done = first_record(b, sp->noted);
        c->begun = true;
    }
    int code = EVLOG_ERR_FULL;
    for (int i = 0; i < 2 && code == EVLOG_ERR_FULL; i++) {
        code = i == 0 ? 0 : stream_work_freeze(st);
        code = code != 0 ? EVLOG_ERR_NO_MEMORY
                         : stream_admit_replay(&st->view, sp->slot, b->base_offset, &b->batch, &c->done);
        EL_ASSERT(c->done <= b->batch.record_count);
        bool whole = code == 0 || c->done == b->batch.record_count;
        int64_t noted = whole ? b->end_offset : b->base_offset + b->batch.records[c->done].offset_delta;
        sp->noted = c->done > 0 || code == 0 ? EL_MAX(sp->noted, noted) : sp->noted;
    }
    if (code == 0) {
        c->batch_index++;
        c->begun = false;
    }
    return code;
}

void stream_catch_go(struct stream_part *sp, int error)
{
    struct stream_catch *c = sp->catching;
    struct streams *st = sp->st;
    EL_ASSERT(c != NULL);
    int code = ended(sp) != 0 ? ended(sp) : error;
    while (code == 0 && c->batch_index < c->batch_count) {
        code = batch_take(c);
    }
    streams_count(st);
    if (code == EVLOG_ERR_AGAIN) {
        stream_resolve_start(sp, NULL, &c->batches[c->batch_index].batch);
    } else if (code == EVLOG_ERR_NO_MEMORY || code == EVLOG_ERR_FULL) {
        if (el_list_empty(&sp->wait_link)) {
            el_list_push_back(&st->starved, &sp->wait_link);
        }
        streams_retry(st);
    } else if (code != 0) {
        catch_end(c, code);
    } else if (c->next_entry < c->read.entry_count) {
        digest_start(c);
    } else {
        catch_read(c);
    }
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void read_on_durable(struct journal_wait *wait, int error)
{
    struct stream_catch *c = EL_CONTAINER(wait, struct stream_catch, durable);
    stream_catch_go(c->sp, error);
}

static void read_on_done(struct store_op *base)
{
    struct stream_catch *c = base->arg;
    struct stream_part *sp = c->sp;
    c->next_entry = 0;
    if (base->error == 0 && c->read.entry_count == 0 && sp->part != NULL) { /* the rest is not durable yet */
        c->durable.done = read_on_durable;
        store_when_durable(sp->st->shard, &c->durable);
        return;
    }
    stream_catch_go(sp, base->error);
}

static void catch_read(struct stream_catch *c)
{
    struct stream_part *sp = c->sp;
    batches_free(c);
    store_read_release(&c->read);
    c->next_entry = 0;
    c->read.entry_count = 0;
    if (sp->noted >= store_observed_next_offset(sp->part)) {
        EL_ASSERT(sp->noted == store_observed_next_offset(sp->part));
        catch_end(c, 0);
        return;
    }
    c->read = (struct read_op){.base = {.done = read_on_done, .arg = c},
                               .topic_id = sp->topic_id,
                               .partition = sp->partition,
                               .offset = sp->noted,
                               .max_bytes = CATCH_READ_LEN,
                               .at_least_one = true,
                               .want_entries = true,
                               .unshown = true,
                               .current_leader_epoch = -1,
                               .last_fetched_epoch = -1};
    store_read(sp->st->shard, &c->read);
}

/* --- whose turn it is --------------------------------------------------------------------------------------------- */

void stream_catch_next(struct streams *st)
{
    while (!el_list_empty(&st->catch_queue) && st->catch_count < CATCH_MAX) {
        struct stream_part *sp = EL_CONTAINER(st->catch_queue.next, struct stream_part, wait_link);
        struct stream_catch *c = el_pool_get(&st->catch_pool);
        if (c == NULL) {
            streams_retry(st);
            return;
        }
        el_list_remove(&sp->wait_link);
        EL_ASSERT(sp->catching == NULL);
        EL_ASSERT(sp->state == STREAM_PART_CATCHING);
        c->sp = sp;
        sp->catching = c;
        sp->pins++;
        st->ops++;
        st->catch_count++;
        stream_catch_go(sp, 0);
    }
}

void stream_catch_want(struct stream_part *sp)
{
    if (sp->state != STREAM_PART_COLD) {
        return;
    }
    if (sp->noted == store_observed_next_offset(sp->part)) {
        sp->state = STREAM_PART_READY; /* nothing to read: a new partition, or a clean stop */
        return;
    }
    sp->state = STREAM_PART_CATCHING;
    el_list_push_back(&sp->st->catch_queue, &sp->wait_link);
    stream_catch_next(sp->st);
}
