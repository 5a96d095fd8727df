/* SPDX-License-Identifier: Apache-2.0
 *
 * What became of the letters of a partition of dead letters: redriven or dropped, so that the next redrive leaves them
 * out. Kept as the runs of blocks of 65,536 offsets (lease_set.h), which is how they are stored: finished is redriven,
 * attempted is dropped. Beside that the part has nothing to do: its group need not work on the letters.
 *
 * One change at a time. It makes new runs of the blocks that it is about, stores them, and puts them in place.
 */
#include <lease/lease_part.h>
#include <lease/lease_redrive.h>
#include <lease/lease_set.h>

#define RUN_DROPPED 1u
#define RANGES_MAX 1024u /* of one answer */
#define BLOCKS_MAX 16u   /* of one change */

struct letters_block {
    struct el_list link;
    int64_t number;
    struct el_slice runs; /* owned */
};

static int64_t block_of(int64_t offset)
{
    return offset >> LEASE_BLOCK_BITS;
}

static int64_t begin_of(int64_t number)
{
    return (int64_t)((uint64_t)number << LEASE_BLOCK_BITS);
}

/* --- blocks ------------------------------------------------------------------------------------------------------- */

void lease_letters_init(struct lease_part *part)
{
    part->letters = (struct lease_letters){.op = NULL};
    el_list_init(&part->letters.blocks);
    el_list_init(&part->letters.writing);
}

static void block_free(struct lease_part *part, struct letters_block *block)
{
    el_list_remove(&block->link);
    lease_drop(lease_part_leases(part), &block->runs);
    lease_free(lease_part_leases(part), block);
}

static void blocks_free(struct lease_part *part, struct el_list *blocks)
{
    while (!el_list_empty(blocks)) {
        block_free(part, EL_CONTAINER(blocks->next, struct letters_block, link));
    }
}

void lease_letters_free(struct lease_part *part)
{
    EL_ASSERT(part->letters.op == NULL);
    blocks_free(part, &part->letters.blocks);
    blocks_free(part, &part->letters.writing);
}

/* The first block with this number or a higher one. */
static struct letters_block *block_ceil(const struct lease_part *part, int64_t number)
{
    EL_LIST_EACH(node, &part->letters.blocks) {
        struct letters_block *block = EL_CONTAINER(node, struct letters_block, link);
        if (block->number >= number) {
            return block;
        }
    }
    return NULL;
}

static struct letters_block *block_find(const struct lease_part *part, int64_t number)
{
    struct letters_block *block = block_ceil(part, number);
    return block != NULL && block->number == number ? block : NULL;
}

bool lease_letters_next(const struct lease_part *part, int64_t *number)
{
    const struct letters_block *block = block_ceil(part, *number + 1);
    if (block != NULL) {
        *number = block->number;
    }
    return block != NULL;
}

/* In its place, instead of the one there. */
static void block_put(struct lease_part *part, struct letters_block *block)
{
    struct letters_block *next = block_ceil(part, block->number);
    struct el_list *before = next == NULL ? &part->letters.blocks : &next->link;
    el_list_push_back(before, &block->link); /* in front of that node */
    if (next != NULL && next->number == block->number) {
        block_free(part, next);
    }
}

static struct letters_block *block_new(struct lease_part *part, int64_t number, struct el_slice runs)
{
    struct leases *ls = lease_part_leases(part);
    struct letters_block *block = lease_alloc(ls, sizeof *block);
    if (block == NULL || !lease_copy(ls, runs, &block->runs)) {
        lease_free(ls, block);
        return NULL;
    }
    el_list_init(&block->link);
    block->number = number;
    return block;
}

static int runs_check(struct el_slice runs)
{
    struct lease_run_reader rr;
    struct lease_run run;
    lease_run_reader_init(&rr, runs);
    int got = lease_run_read(&rr, &run);
    while (got == 1) {
        if (run.what != LEASE_RUN_FINISHED && run.what != RUN_DROPPED) {
            return EVLOG_ERR_CORRUPT;
        }
        got = lease_run_read(&rr, &run);
    }
    return got == 0 ? 0 : EVLOG_ERR_CORRUPT;
}

int lease_letters_restore(struct lease_part *part, uint64_t number, struct el_slice value)
{
    struct letters_block *old = block_find(part, (int64_t)number);
    if (value.data == NULL) {
        if (old != NULL) {
            block_free(part, old);
        }
        return 0;
    }
    if (number > (uint64_t)INT64_MAX >> LEASE_BLOCK_BITS || runs_check(value) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    struct letters_block *block = block_new(part, (int64_t)number, value);
    if (block == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    block_put(part, block);
    return 0;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

static void get_block(struct lease_letters_op *op, const struct letters_block *block)
{
    struct lease_run_reader rr;
    struct lease_run run;
    lease_run_reader_init(&rr, block->runs);
    while (lease_run_read(&rr, &run) == 1) {
        struct lease_letter_range range = {
            .first = EL_MAX(begin_of(block->number) + run.first, op->first),
            .last = EL_MIN(begin_of(block->number) + run.last, op->last),
            .state = run.what == LEASE_RUN_FINISHED ? LEASE_LETTER_REDRIVEN : LEASE_LETTER_DROPPED,
        };
        if (range.first > range.last) {
            continue;
        }
        if (op->range_count == RANGES_MAX) {
            op->end = range.first;
            return;
        }
        op->ranges[op->range_count++] = range;
    }
}

static void get(struct lease_letters_op *op, const struct lease_part *part)
{
    if (!lease_op_room(&op->base, RANGES_MAX * sizeof *op->ranges)) {
        lease_op_finish(&op->base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    op->ranges = lease_op_take(&op->base, RANGES_MAX * sizeof *op->ranges);
    const struct letters_block *block = part == NULL ? NULL : block_ceil(part, block_of(op->first));
    while (block != NULL && block->number <= block_of(op->last) && op->end > op->last) {
        get_block(op, block);
        block = block_ceil(part, block->number + 1);
    }
    lease_op_finish(&op->base, 0);
}

/* --- changing ----------------------------------------------------------------------------------------------------- */

/* States of a block's letters as bytes, which may take any change. */
static void states_read(uint8_t *states, const struct letters_block *block)
{
    struct lease_run_reader rr;
    struct lease_run run;
    memset(states, LEASE_LETTER_OPEN, LEASE_BLOCK_OFFSETS);
    if (block == NULL) {
        return;
    }
    lease_run_reader_init(&rr, block->runs);
    while (lease_run_read(&rr, &run) == 1) {
        enum lease_letter_state state = run.what == LEASE_RUN_FINISHED ? LEASE_LETTER_REDRIVEN : LEASE_LETTER_DROPPED;
        memset(states + run.first, (int)state, run.last - run.first + 1u);
    }
}

static size_t states_write(const uint8_t *states, uint8_t *buf, size_t room)
{
    static const uint16_t runs[] = {[LEASE_LETTER_OPEN] = LEASE_RUN_UNTOUCHED,
                                    [LEASE_LETTER_REDRIVEN] = LEASE_RUN_FINISHED,
                                    [LEASE_LETTER_DROPPED] = RUN_DROPPED};
    struct lease_run_writer rw;
    lease_run_writer_init(&rw, buf, room);
    for (uint32_t i = 0; i < LEASE_BLOCK_OFFSETS; i++) {
        lease_run_push(&rw, 1, runs[states[i]]);
    }
    return lease_run_writer_end(&rw);
}

static void states_set(uint8_t *states, int64_t number, const struct lease_letters_op *op)
{
    int64_t begin = begin_of(number);
    for (uint32_t i = 0; i < op->range_count; i++) {
        int64_t first = EL_MAX(op->ranges[i].first - begin, (int64_t)0);
        int64_t last = EL_MIN(op->ranges[i].last - begin, (int64_t)LEASE_BLOCK_OFFSETS - 1);
        if (first <= last) {
            memset(states + first, (int)op->ranges[i].state, (size_t)(last - first) + 1);
        }
    }
}

/* New runs of each block that the op is about. */
static int blocks_change(struct lease_part *part, const struct lease_letters_op *op, uint8_t *states)
{
    struct leases *ls = lease_part_leases(part);
    int64_t last = -1;
    uint32_t count = 0;
    for (uint32_t i = 0; i < op->range_count; i++) {
        int64_t number = EL_MAX(block_of(op->ranges[i].first), last + 1);
        for (; number <= block_of(op->ranges[i].last); number++) {
            if (++count > BLOCKS_MAX) {
                return EVLOG_ERR_ARGUMENT;
            }
            states_read(states, block_find(part, number));
            states_set(states, number, op);
            size_t len = states_write(states, ls->scratch, LEASE_SCRATCH_LEN);
            EL_ASSERT(len > 0);
            struct letters_block *block = block_new(part, number, el_slice_of(ls->scratch, len));
            if (block == NULL) {
                return EVLOG_ERR_NO_MEMORY;
            }
            el_list_push_back(&part->letters.writing, &block->link);
            last = number;
        }
    }
    return 0;
}

static void mark_on_write(struct lease_write *write, int error)
{
    struct lease_part *part = write->arg;
    struct lease_op *op = &part->letters.op->base;
    OBJ_CHECK(part, LEASE_PART);
    while (!el_list_empty(&part->letters.writing) && error == 0) {
        struct letters_block *block = EL_CONTAINER(part->letters.writing.next, struct letters_block, link);
        el_list_remove(&block->link);
        block_put(part, block);
    }
    blocks_free(part, &part->letters.writing);
    part->letters.op = NULL;
    lease_op_finish(op, error);
    lease_part_unpin(part);
}

static int mark_write(struct lease_part *part)
{
    struct lease_write *write;
    uint8_t text[LEASE_KEY_LEN_MAX];
    size_t len = 0;
    uint32_t count = 0;
    EL_LIST_EACH(node, &part->letters.writing) {
        len += sizeof text + EL_CONTAINER(node, struct letters_block, link)->runs.len;
        count++;
    }
    int code = lease_write_new(lease_part_leases(part), count, len, &write);
    if (code != 0) {
        return code;
    }
    EL_LIST_EACH(node, &part->letters.writing) {
        const struct letters_block *block = EL_CONTAINER(node, struct letters_block, link);
        struct lease_record_key key = {.kind = LEASE_RECORD_LETTERS,
                                       .group_id = part->group->id,
                                       .topic_id = part->key.topic_id,
                                       .partition = part->key.partition,
                                       .number = block->number};
        struct el_writer w;
        el_writer_init(&w, text, sizeof text);
        lease_record_key_encode(&w, &key);
        EL_ASSERT(w.err == 0);
        lease_write_put(write, el_slice_of(text, el_writer_len(&w)), block->runs);
    }
    lease_part_pin(part);
    lease_write_submit(write, mark_on_write, part);
    return 0;
}

static void mark(struct leases *ls, struct lease_letters_op *op, struct lease_part *part)
{
    uint8_t *states = el_buddy_alloc(ls->buddy, LEASE_BLOCK_OFFSETS);
    if (part->letters.op != NULL || states == NULL || part->sm.state == PART_ENDING) {
        el_buddy_free(ls->buddy, states);
        lease_op_finish(&op->base, EVLOG_ERR_AGAIN);
        return;
    }
    int code = blocks_change(part, op, states);
    el_buddy_free(ls->buddy, states);
    part->letters.op = op;
    code = code != 0 ? code : mark_write(part);
    if (code != 0) {
        part->letters.op = NULL;
        blocks_free(part, &part->letters.writing);
        lease_op_finish(&op->base, code);
    }
}

static void letters_run(struct leases *ls, struct lease_op *base)
{
    struct lease_letters_op *op = EL_CONTAINER(base, struct lease_letters_op, base);
    struct lease_group *group = lease_group_find(ls, base->group_id);
    if (group == NULL || !group->exists) {
        lease_op_finish(base,
                        ls->state == LEASES_READY && !ls->known ? EVLOG_ERR_GROUP_LOADING : EVLOG_ERR_GROUP_NOT_FOUND);
        return;
    }
    struct lease_part *part = lease_part_find(group, &op->topic_id, op->partition);
    base->flags &= ~(uint32_t)LEASE_OP_WAITS;
    if (op->verb == LEASE_LETTERS_GET) {
        get(op, part);
        return;
    }
    part = part != NULL ? part : lease_part_create(group, &op->topic_id, op->partition);
    if (part == NULL) {
        lease_op_finish(base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    mark(ls, op, part);
}

void leases_letters(struct leases *ls, struct lease_letters_op *op)
{
    if (op->verb == LEASE_LETTERS_GET) {
        op->ranges = NULL;
        op->range_count = 0;
        op->end = op->last + 1;
        EL_ASSERT(op->first >= 0);
        EL_ASSERT(op->first <= op->last);
    }
    lease_op_send_part(ls, &op->base, &op->topic_id, op->partition, letters_run);
}
