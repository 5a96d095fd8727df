/* SPDX-License-Identifier: Apache-2.0
 *
 * See fake_leases.h. All of leases.h is defined here, so that the archive's own is never linked in.
 */
#include "fake_leases.h"

#include <stdlib.h>

struct fake_leases leases_fake;

static struct fake_leases *const L = &leases_fake;

struct leases *fake_leases_begin(void)
{
    memset(L, 0, sizeof *L);
    L->lease_ms = 20000;
    L->why_partition = L->parked_partition = -1;
    L->offsets_answer.halted_at = -1;
    return (struct leases *)L;
}

void fake_leases_end(void)
{
    assert_int_equal(L->op_count, 0);
    assert_int_equal(L->watch_count, 0);
    assert_int_equal(L->block_count, 0);
}

static int topic_index(const struct el_uuid *id)
{
    for (uint32_t i = 0; i < fake->topic_count; i++) {
        if (el_uuid_eq(id, &fake->topics[i].id)) {
            return (int)i;
        }
    }
    return -1;
}

uint64_t leases_session(struct leases *ls)
{
    return ++L->session_last;
}

static void finish(struct lease_op *op)
{
    if (L->defer) {
        assert_true(L->op_count < FAKE_OP_MAX);
        L->ops[L->op_count++] = op;
    } else {
        op->done(op);
    }
}

void fake_lease_run(void)
{
    assert_true(L->op_count > 0);
    struct lease_op *op = L->ops[0];
    memmove(&L->ops[0], &L->ops[1], --L->op_count * sizeof L->ops[0]);
    op->done(op);
}

static void *take_block(struct lease_op *op, size_t len)
{
    assert_null(op->block);
    op->block = malloc(len);
    L->block_count++;
    return op->block;
}

void lease_op_release(struct lease_op *op)
{
    if (op->block != NULL) {
        free(op->block);
        op->block = NULL;
        L->block_count--;
    }
}

static void note(const struct lease_fetch_op *op)
{
    struct fake_lease_call *call = &L->calls[L->call_count++];
    assert_true(L->call_count <= sizeof L->calls / sizeof L->calls[0]);
    *call = (struct fake_lease_call){
        .topic_id = op->topic_id,
        .partition = op->partition,
        .session = op->session,
        .outcome_count = op->outcome_count,
        .records_max = op->records_max,
        .bytes_max = op->bytes_max,
        .range_fill = op->range_fill,
        .window_ms = op->window_ms,
    };
    for (uint32_t i = 0; i < op->outcome_count && i < 4; i++) {
        call->outcomes[i] = op->outcomes[i];
    }
    if (op->outcome_count > 0) {
        const struct lease_outcome *first = &op->outcomes[0];
        for (uint32_t i = 0; i < EL_MIN(first->emit_count, 4u); i++) {
            call->emit_partitions[i] = first->emits[i].partition;
        }
        snprintf(call->reason, sizeof call->reason, "%.*s", (int)first->reason.len, (const char *)first->reason.data);
        snprintf(call->error, sizeof call->error, "%.*s", (int)first->error.len, (const char *)first->error.data);
    }
}

void leases_fetch(struct leases *ls, struct lease_fetch_op *op)
{
    struct block {
        struct lease_range range;
        uint8_t data[];
    } * block;
    int topic = topic_index(&op->topic_id);
    note(op);
    assert_true(op->base.group_id.len > 0);
    assert_true(op->worker.len > 0);
    op->lease_ms = L->lease_ms;
    if (topic < 0 || op->partition >= fake->topics[topic].partition_count) {
        op->base.error = topic < 0 ? EVLOG_ERR_UNKNOWN_TOPIC_ID : EVLOG_ERR_UNKNOWN_TOPIC;
        finish(&op->base);
        return;
    }
    assert_true(op->partition < FAKE_PARTITION_MAX);
    op->base.error = L->error[topic][op->partition];
    op->outcome_error = op->outcome_count > 0 ? L->outcome_error : 0;
    int64_t *next = &L->next[topic][op->partition];
    int64_t count = EL_MIN(L->end[topic][op->partition] - *next, (int64_t)op->records_max);
    count = EL_MIN(count, EL_MAX((int64_t)(op->bytes_max / FAKE_RECORD_LEN), 1));
    if (op->base.error == 0 && count > 0) {
        size_t len = (size_t)count * FAKE_RECORD_LEN;
        block = take_block(&op->base, sizeof *block + len);
        block->range = (struct lease_range){*next, *next + count - 1, 1};
        memset(block->data, 'r', len);
        op->ranges = &block->range;
        op->range_count = 1;
        op->data = block->data;
        op->data_len = (uint32_t)len;
        *next += count;
    }
    finish(&op->base);
}

void leases_release(struct leases *ls, struct lease_release_op *op)
{
    struct fake_lease_call *call = &L->calls[L->call_count++];
    assert_true(L->call_count <= sizeof L->calls / sizeof L->calls[0]);
    *call = (struct fake_lease_call){
        .topic_id = op->topic_id, .partition = op->partition, .session = op->session, .release = true};
    assert_true(op->base.group_id.len > 0);
    finish(&op->base);
}

uint32_t fake_lease_releases(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < L->call_count; i++) {
        count += L->calls[i].release;
    }
    return count;
}

/* --- watches ------------------------------------------------------------------------------------------------------ */

static bool is_ready(const struct lease_watch_op *op)
{
    int topic = topic_index(&op->topic_id);
    return topic < 0 || L->next[topic][op->partition] < L->end[topic][op->partition];
}

void leases_watch(struct leases *ls, struct lease_watch_op *op)
{
    if (is_ready(op)) {
        op->base.error = 0;
        finish(&op->base);
        return;
    }
    assert_true(L->watch_count < FAKE_OP_MAX);
    L->watches[L->watch_count++] = &op->base;
}

static struct lease_op *watch_take(uint32_t index)
{
    struct lease_op *op = L->watches[index];
    memmove(&L->watches[index], &L->watches[index + 1], (--L->watch_count - index) * sizeof L->watches[0]);
    return op;
}

void leases_cancel(struct lease_op *op)
{
    L->cancel_count++;
    for (uint32_t i = 0; i < L->watch_count; i++) {
        if (L->watches[i] == op) {
            watch_take(i)->error = EVLOG_ERR_CLOSED;
            finish(op);
            return;
        }
    }
    fail_msg("a watch is cancelled that is not under way");
}

void fake_lease_ready(int32_t partition, int64_t count)
{
    L->end[0][partition] += count;
    for (uint32_t i = 0; i < L->watch_count;) {
        struct lease_watch_op *op = EL_CONTAINER(L->watches[i], struct lease_watch_op, base);
        if (is_ready(op)) {
            struct lease_op *base = watch_take(i);
            base->error = 0;
            finish(base);
            i = 0; /* others may have come and gone */
        } else {
            i++;
        }
    }
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

void leases_heartbeat(struct leases *ls, struct share_heartbeat_op *op)
{
    op->base.error = L->heartbeat_error;
    op->member_epoch_out = op->member_epoch < 0 ? op->member_epoch : op->member_epoch + 1;
    op->heartbeat_ms = 5000;
    op->assigned = L->assigned;
    op->assignments = L->assignments;
    op->assignment_count = L->assignment_count;
    L->heartbeat = *op;
    take_block(&op->base, 1);
    finish(&op->base);
}

void leases_describe(struct leases *ls, struct share_describe_op *op)
{
    op->base.error = L->group_error;
    op->state = L->member_count > 0 ? "Stable" : "Empty";
    op->epoch = 3;
    op->assignment_epoch = 2;
    op->members = L->members;
    op->member_count = L->member_count;
    take_block(&op->base, 1);
    finish(&op->base);
}

void leases_offsets(struct leases *ls, struct lease_offsets_op *op)
{
    const struct lease_offsets_op *answer = &L->offsets_answer;
    assert_true(topic_index(&op->topic_id) >= 0);
    assert_true(L->offsets_count < FAKE_OP_MAX);
    L->offsets_asked[L->offsets_count++] = *op;
    op->base.error = answer->base.error;
    op->exists = answer->exists;
    op->start = answer->start;
    op->lag = answer->lag;
    op->ready = answer->ready;
    op->leased = answer->leased;
    op->waiting = answer->waiting;
    op->backoff = answer->backoff;
    op->delayed = answer->delayed;
    op->dying = answer->dying;
    op->halted_at = answer->halted_at;
    finish(&op->base);
}

void leases_why(struct leases *ls, struct lease_why_op *op)
{
    op->base.error = L->group_error;
    if (op->partition == L->why_partition) {
        op->known = L->why_answer.known;
        op->offset = L->why_answer.offset;
        op->state = L->why_answer.state;
        op->attempts = L->why_answer.attempts;
        op->due_ms = L->why_answer.due_ms;
        op->behind = L->why_answer.behind;
        memcpy(op->base.message_text, L->why_answer.base.message_text, sizeof op->base.message_text);
    }
    op->parked = op->partition == L->parked_partition;
    finish(&op->base);
}

void leases_release_key(struct leases *ls, struct lease_release_key_op *op)
{
    op->base.error = L->group_error != 0                    ? L->group_error
                     : op->partition == L->parked_partition ? 0
                                                            : EVLOG_ERR_NOT_FOUND;
    finish(&op->base);
}

/* --- redrives ----------------------------------------------------------------------------------------------------- */

static void say(struct lease_op *op)
{
    op->error = L->redrive_error;
    snprintf(op->message_text, sizeof op->message_text, "%s", L->redrive_message == NULL ? "" : L->redrive_message);
}

void leases_redrive(struct leases *ls, struct lease_redrive_op *op)
{
    L->redrive_asked = *op;
    L->redrive_selection = *op->selection;
    say(&op->base);
    op->id = L->redrive_error == 0 ? 7 : 0;
    finish(&op->base);
}

void leases_redrives(struct leases *ls, struct lease_redrives_op *op)
{
    L->redrives_asked = *op;
    say(&op->base);
    op->views = L->redrives;
    op->view_count = L->redrive_error == 0 ? L->redrive_count : 0;
    take_block(&op->base, 1);
    finish(&op->base);
}

void leases_letters(struct leases *ls, struct lease_letters_op *op)
{
    L->letters_asked = *op;
    say(&op->base);
    op->ranges = L->letter_ranges;
    op->range_count = L->letter_range_count;
    op->end = op->last + 1;
    take_block(&op->base, 1);
    finish(&op->base);
}
