/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead letters whose events come back to the group's part, on the shard of their source.
 *
 *   1. the event is read from the source again, for its key and whether the group's filter still wants it
 *   2. the table takes it back (lease_reopen()), its story goes on where the letter's ended
 *   3. the next write of the part carries the block, the base, and a mark: the last letter that this redrive has
 *      brought back. All of it is one batch, so what is asked again after a crash is known to be done
 *
 * No more come back than workers can soon have: the op ends where enough are ready, and says how far it came.
 */
#include <lease/lease_part.h>
#include <lease/lease_redrive.h>

#define PIECE_LEN (64u << 10)
#define RECORDS_MAX 256u
#define READY_ENOUGH 8192u

struct again_call {
    struct lease_part *part;
    struct lease_again_op *op;
    struct lease_mark *mark;
    uint32_t next; /* letter to be done */
    bool back;     /* at least one has come back */
    bool asked;    /* the piece was read for this letter */
    struct read_op read;
    struct io_op job;
    struct lease_decode decode; /* what was read last: from .. end */
    struct lease_filter *filter;
    struct lease_record records[RECORDS_MAX];
};

/* --- marks -------------------------------------------------------------------------------------------------------- */

void lease_again_init(struct lease_part *part)
{
    part->back = (struct lease_again){.base_written = -1};
    el_list_init(&part->back.marks);
}

void lease_again_free(struct lease_part *part)
{
    EL_ASSERT(!part->back.running);
    for (struct el_list *node = el_list_pop_front(&part->back.marks); node != NULL;
         node = el_list_pop_front(&part->back.marks)) {
        lease_free(lease_part_leases(part), EL_CONTAINER(node, struct lease_mark, link));
    }
}

static struct lease_mark *mark_get(struct lease_part *part, const struct el_uuid *dead_id, int32_t dead_partition)
{
    EL_LIST_EACH(node, &part->back.marks) {
        struct lease_mark *mark = EL_CONTAINER(node, struct lease_mark, link);
        if (el_uuid_eq(&mark->dead_id, dead_id) && mark->dead_partition == dead_partition) {
            return mark;
        }
    }
    struct lease_mark *mark = lease_alloc(lease_part_leases(part), sizeof *mark);
    if (mark != NULL) {
        mark->dead_id = *dead_id;
        mark->dead_partition = dead_partition;
        mark->record.letter = -1;
        el_list_push_back(&part->back.marks, &mark->link);
    }
    return mark;
}

int lease_mark_restore(struct lease_part *part, const struct lease_record_key *key,
                       const struct lease_record_mark *record)
{
    struct lease_mark *mark = mark_get(part, &key->dead_id, key->dead_partition);
    if (mark == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    mark->record = *record;
    return 0;
}

/* Those of topics that are gone: what has come back for their letters is known no more, and nothing is to come back. */
static void marks_sweep(struct lease_part *part)
{
    EL_LIST_EACH(node, &part->back.marks) {
        struct lease_mark *mark = EL_CONTAINER(node, struct lease_mark, link);
        if (!mark->ended && store_topic_by_id(lease_part_leases(part)->shard, &mark->dead_id) == NULL) {
            mark->ended = mark->changed = true;
        }
    }
}

/* --- with the part's writes --------------------------------------------------------------------------------------- */

static bool blocks_add(uint64_t *blocks, uint32_t *count, uint32_t max, uint64_t block)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (blocks[i] == block) {
            return true;
        }
    }
    if (*count == max) {
        return false;
    }
    blocks[*count] = block;
    *count += 1;
    return true;
}

void lease_again_write_begin(struct lease_part *part, int64_t start)
{
    struct lease_again *again = &part->back;
    int64_t base = lease_write_base(part->table);
    again->base_writing = base > start ? base : 0;
    EL_ASSERT(again->writing_count == 0);
    memcpy(again->writing, again->blocks, again->block_count * sizeof again->blocks[0]);
    again->writing_count = again->block_count;
    again->block_count = 0;
    EL_LIST_EACH(node, &again->marks) {
        struct lease_mark *mark = EL_CONTAINER(node, struct lease_mark, link);
        mark->writing = mark->changed && mark->record.letter >= 0;
        mark->changed = false;
    }
    if (lease_again_base(part)) {
        again->base_stored = true;
    }
}

void lease_again_write_end(struct lease_part *part, bool durable)
{
    struct lease_again *again = &part->back;
    if (lease_again_base(part)) {
        again->base_written = durable ? again->base_writing : -1;
        again->base_stored = !durable || again->base_writing != 0;
    }
    again->base_writing = again->base_written;
    for (uint32_t i = 0; i < again->writing_count && !durable; i++) {
        bool room = blocks_add(again->blocks, &again->block_count, 2 * LEASE_AGAIN_BLOCKS_MAX, again->writing[i]);
        EL_ASSERT(room); /* twice as many as come between two writes */
    }
    again->writing_count = 0;
    EL_LIST_EACH_SAFE(node, next, &again->marks) {
        struct lease_mark *mark = EL_CONTAINER(node, struct lease_mark, link);
        bool gone = mark->ended && mark->writing && durable && !mark->changed;
        mark->changed = mark->changed || (mark->writing && !durable);
        mark->writing = false;
        if (gone && !again->running) {
            el_list_remove(&mark->link);
            lease_free(lease_part_leases(part), mark);
        }
    }
}

bool lease_again_in(const struct lease_part *part, uint64_t block)
{
    for (uint32_t i = 0; i < part->back.writing_count; i++) {
        if (part->back.writing[i] == block) {
            return true;
        }
    }
    return false;
}

bool lease_again_base(const struct lease_part *part)
{
    const struct lease_again *again = &part->back;
    return again->base_writing != again->base_written && (again->base_writing != 0 || again->base_stored);
}

/* --- one letter --------------------------------------------------------------------------------------------------- */

static void call_end(struct again_call *call, int error)
{
    struct lease_part *part = call->part;
    struct leases *ls = lease_part_leases(part);
    struct lease_again_op *op = call->op;
    op->done_count = call->next;
    bool waits = call->back && part->sm.state == PART_READY && !ls->stopping;
    part->back.running = false;
    store_read_release(&call->read);
    lease_filter_let_go(call->filter);
    el_buddy_free(ls->buddy, call);
    error = op->done_count > 0 ? 0 : error;
    if (part->sm.state != PART_READY || ls->stopping) {
        lease_op_finish(&op->base, ls->stopping ? EVLOG_ERR_CLOSED : part->end_error);
    } else if (!waits) {
        lease_op_finish(&op->base, error);
    } else if (!lease_call_wait(part, &op->base)) {
        lease_op_finish(&op->base, EVLOG_ERR_NO_MEMORY); /* what has come back is asked again */
    }
    lease_part_turn(part);
    lease_part_unpin(part);
}

static const struct lease_record *record_find(const struct again_call *call, int64_t offset)
{
    for (uint32_t i = 0; i < call->decode.record_count; i++) {
        if (call->records[i].offset == offset) {
            return &call->records[i];
        }
    }
    return NULL;
}

static void tell_story(struct again_call *call, const struct lease_again_letter *letter)
{
    struct lease_part *part = call->part;
    lease_story_keep(&part->stories, letter->offset, letter->history);
    lease_story_add(&part->stories, letter->offset,
                    &(struct lease_attempt){.time_ms = lease_wall_ms(lease_part_leases(part)), .outcome = "redriven"});
}

/* The event is there. returns 0 | EVLOG_ERR_AGAIN, EVLOG_ERR_NO_MEMORY: not now */
static int bring_back(struct again_call *call, struct lease_again_letter *letter, const struct lease_record *record)
{
    struct lease_part *part = call->part;
    struct lease_again *again = &part->back;
    bool open = false;
    letter->result = LEASE_AGAIN_BACK;
    if (letter->letter <= call->mark->record.letter) {
        call->back = true;
        return 0;
    }
    /* Its letter is there, and that it is finished is not yet stored. */
    if (lease_bury_intended(part, letter->offset) != LEASE_DEATH_NONE) {
        return EVLOG_ERR_AGAIN;
    }
    if (lease_counts(part->table).of[LEASE_STATE_READY] >= READY_ENOUGH ||
        !blocks_add(again->blocks, &again->block_count, LEASE_AGAIN_BLOCKS_MAX,
                    (uint64_t)letter->offset >> LEASE_BLOCK_BITS)) {
        return EVLOG_ERR_AGAIN;
    }
    int code = lease_reopen(part->table, record, lease_part_now(part), &open);
    if (code != 0) {
        return code;
    }
    part->fill.stale = part->fill.stale || lease_read_next(part->table) <= letter->offset;
    if (!open) {
        tell_story(call, letter);
    }
    call->mark->record.letter = letter->letter;
    call->mark->changed = call->back = true;
    return 0;
}

static void read_begin(struct again_call *call);

/* The letters whose events were read. */
static void call_go(struct again_call *call)
{
    struct lease_part *part = call->part;
    struct lease_again_op *op = call->op;
    while (call->next < op->letter_count && part->sm.state == PART_READY && !lease_part_leases(part)->stopping) {
        struct lease_again_letter *letter = &op->letters[call->next];
        if (letter->offset < call->decode.from || letter->offset >= call->decode.end) {
            read_begin(call);
            return;
        }
        const struct lease_record *record = record_find(call, letter->offset);
        if (record == NULL || record->key_hash != letter->key_hash) {
            letter->result = LEASE_AGAIN_GONE;
        } else if (record->passed != LEASE_PASS_NOT) {
            letter->result = LEASE_AGAIN_PASSED;
        } else {
            int code = bring_back(call, letter, record);
            if (code != 0) {
                call_end(call, code);
                return;
            }
        }
        call->next++;
    }
    call_end(call, 0);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void decoded(struct again_call *call, int error)
{
    struct lease_again_letter *letter = &call->op->letters[call->next];
    store_read_release(&call->read);
    call->read.data = NULL;
    lease_filter_let_go(call->filter);
    call->filter = NULL;
    if (call->decode.end <= letter->offset && error == 0) {
        call->decode.end = letter->offset + 1; /* nothing is there any more */
    }
    if (call->decode.end <= letter->offset) {
        call_end(call, error);
        return;
    }
    call_go(call);
}

static int64_t decode_job(struct disk *disk, void *arg)
{
    (void)disk;
    return lease_decode_run(arg);
}

static void decode_on_done(struct io_op *op)
{
    decoded(op->arg, (int)op->result);
}

static void call_on_read(struct store_op *base)
{
    struct again_call *call = base->arg;
    struct lease_part *part = call->part;
    OBJ_CHECK(part, LEASE_PART);
    int64_t offset = call->read.offset;
    call->decode = (struct lease_decode){.from = offset, .end = offset, .records = call->records};
    if (base->error == EVLOG_ERR_OFFSET_RANGE || (base->error == 0 && call->read.data_len == 0)) {
        call->decode.end = offset + 1; /* nothing is there any more */
        decoded(call, 0);
        return;
    }
    if (base->error != 0 || part->sm.state != PART_READY) {
        call_end(call, base->error);
        return;
    }
    call->filter = lease_filter_hold(part->group->filter);
    call->decode.filter = call->filter == NULL ? NULL : call->filter->pattern;
    call->decode.data = call->read.data;
    call->decode.entries = call->read.entries;
    call->decode.entry_count = call->read.entry_count;
    call->decode.next_offset = call->read.next_offset;
    call->decode.record_max = RECORDS_MAX;
    call->job.done = decode_on_done;
    call->job.arg = call;
    io_job(lease_part_leases(part)->io, &call->job, IO_JOB_COMPUTE, decode_job, &call->decode);
}

static void read_begin(struct again_call *call)
{
    struct lease_part *part = call->part;
    call->read = (struct read_op){
        .base = {.done = call_on_read, .arg = call},
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
        .offset = call->op->letters[call->next].offset,
        .max_bytes = PIECE_LEN,
        .at_least_one = true,
        .want_entries = true,
        .current_leader_epoch = -1,
        .last_fetched_epoch = -1,
    };
    store_read(lease_part_leases(part)->shard, &call->read);
}

/* --- the op ------------------------------------------------------------------------------------------------------- */

static void again_run(struct leases *ls, struct lease_op *base)
{
    struct lease_again_op *op = EL_CONTAINER(base, struct lease_again_op, base);
    struct lease_part *part = lease_part_for(ls, base, &op->topic_id, op->partition);
    if (part == NULL) {
        return;
    }
    base->flags &= ~(uint32_t)LEASE_OP_WAITS;
    if (part->back.running || part->group->filter_broken) {
        lease_op_finish(base, EVLOG_ERR_AGAIN);
        return;
    }
    marks_sweep(part);
    if (store_topic_by_id(ls->shard, &op->dead_id) == NULL) {
        lease_op_finish(base, EVLOG_ERR_NOT_FOUND);
        return;
    }
    struct lease_mark *mark = mark_get(part, &op->dead_id, op->dead_partition);
    struct again_call *call = mark == NULL ? NULL : el_buddy_alloc(ls->buddy, sizeof *call);
    if (call == NULL) {
        lease_op_finish(base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    if (op->task < mark->record.task) {
        el_buddy_free(ls->buddy, call);
        lease_op_refuse(base, EVLOG_ERR_ARGUMENT, "a later redrive of these dead letters has begun");
        return;
    }
    if (op->task > mark->record.task) {
        mark->record = (struct lease_record_mark){.task = op->task, .letter = -1};
    }
    EL_ASSERT(!mark->ended);
    memset(call, 0, sizeof *call);
    call->part = part;
    call->op = op;
    call->mark = mark;
    part->back.running = true;
    lease_part_pin(part);
    call_go(call);
}

void leases_again(struct leases *ls, struct lease_again_op *op)
{
    EL_ASSERT(op->task != 0);
    EL_ASSERT(op->letter_count > 0);
    EL_ASSERT(op->letter_count <= LEASE_LETTERS_MAX);
    op->done_count = 0;
    lease_op_send_part(ls, &op->base, &op->topic_id, op->partition, again_run);
}
