/* SPDX-License-Identifier: Apache-2.0
 *
 * A redrive at work: one partition of letters after the other, each in rising offset, one thing at a time.
 *
 *   1. some letters are read, and those that are settled asked for, on the shard of the letters
 *   2. a worker finds those that are selected
 *   3. their events come back, those of one source at a time (lease_again.c), durable
 *   4. they are marked as redriven, or dropped, durable (lease_letters.c)
 *   5. the task's record says that all of it is done
 *
 * A crash between two of them repeats what came before it: the source knows which letters have come back, and to mark a
 * letter twice changes nothing. So nothing comes back twice, and nothing is left out.
 *
 * What fails is tried again, after a wait that grows; only what cannot get better ends the task.
 */
#include <lease/redrive.h>

#include <core/hash.h>
#include <lease/lease_decode.h>
#include <stdio.h>

#define DELAY_NS_MIN 20000000u
#define DELAY_NS_MAX 5000000000u
#define NS_PER_S 1000000000ull

/* --- waiting ------------------------------------------------------------------------------------------------------ */

void redrive_step_begin(struct redrive *task, enum redrive_step step)
{
    EL_ASSERT(task->step == REDRIVE_IDLE);
    EL_ASSERT(!task->ls->stopping);
    task->step = step;
    task->ls->busy++;
}

bool redrive_step_end(struct redrive *task, enum redrive_step step)
{
    OBJ_CHECK(task, REDRIVE);
    EL_ASSERT(task->step == step);
    EL_ASSERT(task->ls->busy > 0);
    task->step = REDRIVE_IDLE;
    task->ls->busy--;
    return !task->ls->stopping;
}

static void later(struct redrive *task, uint64_t delay_ns)
{
    struct leases *ls = task->ls;
    task->not_before_ns = ls->io->now_ns + delay_ns;
    io_timer_set(ls->io, &task->timer, task->not_before_ns);
}

void redrive_again(struct redrive *task, const char *what, int error)
{
    task->delay_ns = EL_MIN(EL_MAX(task->delay_ns * 2, (uint64_t)DELAY_NS_MIN), (uint64_t)DELAY_NS_MAX);
    if (error == EVLOG_ERR_AGAIN) {
        task->delay_ns = EL_MIN(task->delay_ns, NS_PER_S / 4);
        snprintf(task->why, sizeof task->why, "%s: enough of them wait for workers", what);
    } else {
        snprintf(task->why, sizeof task->why, "%s: %s; trying again", what, evlog_error_text(error));
    }
    later(task, task->delay_ns);
}

void redrive_went_well(struct redrive *task)
{
    task->delay_ns = 0;
    task->why[0] = 0;
}

static bool is_gone(int error)
{
    return error == EVLOG_ERR_UNKNOWN_TOPIC || error == EVLOG_ERR_UNKNOWN_TOPIC_ID;
}

void redrive_piece_free(struct redrive *task)
{
    struct leases *ls = task->ls;
    if (task->scan != NULL) {
        el_buddy_free(ls->buddy, task->scan->copies.buf);
    }
    el_buddy_free(ls->buddy, task->scan);
    task->scan = NULL;
}

/* --- the record --------------------------------------------------------------------------------------------------- */

static void store_on_write(struct lease_write *write, int error)
{
    struct redrive *task = write->arg;
    (void)redrive_step_end(task, REDRIVE_STORING);
    redrive_stored(task, error);
}

static void store(struct redrive *task)
{
    struct leases *ls = task->ls;
    struct lease_write *write;
    struct el_writer w;
    uint8_t text[LEASE_KEY_LEN_MAX];
    struct lease_record_key key = {
        .kind = LEASE_RECORD_REDRIVE, .group_id = task->group_id, .number = (int64_t)task->id};
    size_t len = redrive_record_len(task);
    uint8_t *value = el_buddy_alloc(ls->buddy, len);
    int code = value == NULL ? EVLOG_ERR_NO_MEMORY : lease_write_new(ls, 1, sizeof text + len, &write);
    task->dirty = false;
    if (code != 0) {
        el_buddy_free(ls->buddy, value);
        task->dirty = true;
        redrive_stored(task, code);
        return;
    }
    el_writer_init(&w, text, sizeof text);
    lease_record_key_encode(&w, &key);
    EL_ASSERT(w.err == 0);
    struct el_slice key_text = el_slice_of(text, el_writer_len(&w));
    el_writer_init(&w, value, len);
    redrive_record_encode(&w, task);
    EL_ASSERT(w.err == 0);
    lease_write_put(write, key_text, task->forget ? (struct el_slice){0} : el_slice_of(value, el_writer_len(&w)));
    el_buddy_free(ls->buddy, value);
    task->stored = true;
    redrive_step_begin(task, REDRIVE_STORING);
    lease_write_submit(write, store_on_write, task);
}

/* --- measuring ---------------------------------------------------------------------------------------------------- */

/* The selected letters of the partition, or all: from *first, below *end. */
static void span_of(const struct redrive *task, int32_t partition, int64_t *first, int64_t *end)
{
    const struct lease_selection *selection = &task->selection;
    int64_t low = INT64_MAX, high = 0;
    if (selection->range_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < selection->range_count; i++) {
        if (selection->ranges[i].partition == partition) {
            low = EL_MIN(low, selection->ranges[i].first);
            high = EL_MAX(high, selection->ranges[i].last == INT64_MAX ? INT64_MAX : selection->ranges[i].last + 1);
        }
    }
    *first = EL_MAX(*first, low);
    *end = EL_MIN(*end, high);
}

static void measure_on_stat(struct store_op *base)
{
    struct redrive *task = base->arg;
    if (!redrive_step_end(task, REDRIVE_MEASURING)) {
        return;
    }
    if (is_gone(base->error)) {
        redrive_end(task, LEASE_REDRIVE_FAILED, "the topic of dead letters was deleted");
        return;
    }
    if (base->error != 0) {
        redrive_again(task, "the topic of dead letters cannot be looked at", base->error);
        return;
    }
    redrive_went_well(task);
    EL_ASSERT(task->state == LEASE_REDRIVE_BEGINNING);
    EL_ASSERT(task->partition < task->partition_count);
    int64_t first = task->stat.log_start_offset, end = task->stat.high_watermark;
    task->ends[task->partition] = end;
    span_of(task, task->partition, &first, &end);
    task->counts.total += (uint64_t)EL_MAX(end - first, (int64_t)0);
    if (++task->partition == task->partition_count) {
        task->partition = 0;
        task->state = LEASE_REDRIVE_RUNNING;
        task->dirty = !task->dry_run;
        if (task->dry_run) {
            redrive_stored(task, 0);
            return;
        }
    }
    later(task, 0);
}

static void measure(struct redrive *task)
{
    task->stat = (struct stat_op){
        .base = {.done = measure_on_stat, .arg = task}, .topic_id = task->topic_id, .partition = task->partition};
    redrive_step_begin(task, REDRIVE_MEASURING);
    store_stat(task->ls->shard, &task->stat);
}

/* --- marking ------------------------------------------------------------------------------------------------------ */

/* All of the piece is done: count it, and go on behind it. */
static void piece_end(struct redrive *task)
{
    struct redrive_scan *scan = task->scan;
    struct lease_redrive_counts *counts = &task->counts;
    uint64_t done = 0;
    EL_ASSERT(scan->letter_count <= LEASE_LETTERS_MAX);
    EL_ASSERT(scan->next >= task->offset);
    for (uint32_t i = 0; i < scan->letter_count && !task->dry_run; i++) {
        counts->gone += task->scan->results[i] == LEASE_AGAIN_GONE;
        counts->passed += task->scan->results[i] == LEASE_AGAIN_PASSED;
        done += task->scan->results[i] == LEASE_AGAIN_BACK;
    }
    counts->redriven += task->action == LEASE_REDRIVE_DROP ? 0 : done;
    counts->dropped += task->action == LEASE_REDRIVE_DROP ? done : 0;
    counts->matched += scan->letter_count;
    counts->settled += scan->settled_seen;
    counts->others += scan->others;
    counts->seen += (uint64_t)(scan->next - task->offset);
    task->offset = scan->next;
    task->copy.next = -1;
    task->copy.room = REDRIVE_COPIES_LEN;
    task->dirty = !task->dry_run;
    if (task->rate > 0 && done > 0) {
        task->not_before_ns = task->ls->io->now_ns + done * NS_PER_S / task->rate;
    }
    redrive_piece_free(task);
    redrive_went_well(task);
    redrive_go(task);
}

static void mark_on_op(struct lease_op *base)
{
    struct redrive *task = base->arg;
    int error = base->error;
    lease_op_release(base);
    if (!redrive_step_end(task, REDRIVE_MARKING)) {
        return;
    }
    if (error == 0) {
        task->range_count = 0;
        piece_end(task);
    } else if (is_gone(error) || error == EVLOG_ERR_GROUP_NOT_FOUND) {
        redrive_end(task, LEASE_REDRIVE_FAILED,
                    is_gone(error) ? "the topic of dead letters was deleted" : "the group was deleted");
    } else {
        redrive_again(task, "letters cannot be marked as done", error);
    }
}

static void mark(struct redrive *task)
{
    const struct redrive_scan *scan = task->scan;
    enum lease_letter_state state = task->action == LEASE_REDRIVE_DROP ? LEASE_LETTER_DROPPED : LEASE_LETTER_REDRIVEN;
    task->range_count = 0;
    for (uint32_t i = 0; i < scan->letter_count && !task->dry_run; i++) {
        struct lease_letter_range *last = task->range_count == 0 ? NULL : &task->scan->ranges[task->range_count - 1];
        if (task->scan->results[i] != LEASE_AGAIN_BACK) {
            continue;
        }
        EL_ASSERT(last == NULL || scan->letters[i].letter > last->last);
        if (last != NULL && last->last + 1 == scan->letters[i].letter) {
            last->last++;
        } else {
            task->scan->ranges[task->range_count++] = (struct lease_letter_range){scan->letters[i].letter,
                                                                                  scan->letters[i].letter, state};
        }
    }
    if (task->range_count == 0) {
        piece_end(task);
        return;
    }
    task->letters_op = (struct lease_letters_op){
        .base = {.group_id = task->group_id, .done = mark_on_op, .arg = task},
        .verb = LEASE_LETTERS_MARK,
        .topic_id = task->topic_id,
        .partition = task->partition,
        .ranges = task->scan->ranges,
        .range_count = task->range_count,
    };
    redrive_step_begin(task, REDRIVE_MARKING);
    leases_letters(task->ls, &task->letters_op);
}

/* --- events come back --------------------------------------------------------------------------------------------- */

static void results_set(struct redrive *task, uint32_t count, enum lease_again_result result)
{
    EL_ASSERT(count <= task->scan->letter_count - task->letter_next);
    memset(task->scan->results + task->letter_next, (int)result, count);
    task->letter_next += count;
}

static void back_on_op(struct lease_op *base)
{
    struct redrive *task = base->arg;
    struct lease_again_op *op = &task->again_op;
    int error = base->error;
    lease_op_release(base);
    if (!redrive_step_end(task, REDRIVE_RETURNING)) {
        return;
    }
    if (error == 0) {
        EL_ASSERT(op->done_count <= op->letter_count);
        for (uint32_t i = 0; i < op->done_count; i++) {
            task->scan->results[task->letter_next + i] = (uint8_t)op->letters[i].result;
        }
        task->letter_next += op->done_count;
        redrive_went_well(task);
        if (op->done_count < op->letter_count) {
            redrive_again(task, "events cannot come back now", EVLOG_ERR_AGAIN);
            return;
        }
        redrive_go(task);
    } else if (is_gone(error) || error == EVLOG_ERR_INVALID_TOPIC) {
        results_set(task, op->letter_count, LEASE_AGAIN_GONE);
        redrive_go(task);
    } else if (error == EVLOG_ERR_NOT_FOUND || error == EVLOG_ERR_GROUP_NOT_FOUND) {
        redrive_end(task, LEASE_REDRIVE_FAILED,
                    error == EVLOG_ERR_NOT_FOUND ? "the topic of dead letters was deleted" : "the group was deleted");
    } else {
        redrive_again(task, "events cannot come back now", error);
    }
}

/* Letters from letter_next on that came from one partition. */
static void bring_back(struct redrive *task)
{
    struct leases *ls = task->ls;
    const struct redrive_scan *scan = task->scan;
    const struct redrive_letter *first = &scan->letters[task->letter_next];
    uint32_t count = 0;
    for (uint32_t i = task->letter_next; i < scan->letter_count; i++, count++) {
        const struct redrive_letter *letter = &scan->letters[i];
        if (letter->partition != first->partition || !el_slice_eq(letter->topic, first->topic)) {
            break;
        }
        task->scan->again[count] = (struct lease_again_letter){.letter = letter->letter,
                                                               .offset = letter->offset,
                                                               .key_hash = letter->key_hash,
                                                               .history = letter->history};
    }
    const struct topic *topic = store_topic_by_name(ls->shard, first->topic);
    if (topic == NULL || first->partition >= topic->partition_count) {
        results_set(task, count, LEASE_AGAIN_GONE);
        later(task, 0);
        return;
    }
    task->again_op = (struct lease_again_op){
        .base = {.group_id = task->group_id, .done = back_on_op, .arg = task},
        .topic_id = topic->id,
        .partition = first->partition,
        .dead_id = task->topic_id,
        .dead_partition = task->partition,
        .task = task->id,
        .letters = task->scan->again,
        .letter_count = count,
    };
    redrive_step_begin(task, REDRIVE_RETURNING);
    leases_again(ls, &task->again_op);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void scanned(struct redrive *task, int error)
{
    store_read_release(&task->read);
    lease_op_release(&task->letters_op.base);
    if (!redrive_step_end(task, REDRIVE_SCANNING)) {
        redrive_piece_free(task);
        return;
    }
    if (error != 0) {
        char what[64];
        snprintf(what, sizeof what, "the letter at offset %lld cannot be read", (long long)task->scan->next);
        redrive_piece_free(task);
        redrive_again(task, what, error);
        return;
    }
    if (!redrive_copy_looked(task)) {
        redrive_piece_free(task);
    }
    redrive_go(task);
}

static int64_t scan_job(struct disk *disk, void *arg)
{
    (void)disk;
    return redrive_scan_run(arg);
}

static void scan_on_done(struct io_op *op)
{
    scanned(op->arg, (int)op->result);
}

/* A look that has seen nothing. */
static int piece_new(struct redrive *task)
{
    struct redrive_scan *piece = el_buddy_alloc(task->ls->buddy, sizeof *piece);
    uint32_t step = task->rate == 0 ? LEASE_LETTERS_MAX : EL_MAX(task->rate / 8, 1u);
    if (piece == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    memset(piece, 0, offsetof(struct redrive_scan, letters));
    piece->letter_count = 0;
    piece->settled_seen = piece->others = 0;
    piece->texts_used = 0;
    piece->partition = task->partition;
    piece->group = task->group_id;
    piece->selection = &task->selection;
    piece->pattern = task->pattern;
    piece->emits = task->action != LEASE_REDRIVE_BACK; /* the event that has emitted them is done */
    piece->letter_max = EL_MIN(step, LEASE_LETTERS_MAX);
    task->scan = piece;
    task->letter_next = 0;
    return task->action == LEASE_REDRIVE_COPY && !task->dry_run ? redrive_copy_open(task, piece) : 0;
}

static void scan(struct redrive *task)
{
    const struct lease_letters_op *op = &task->letters_op;
    int code = task->scan == NULL ? piece_new(task) : 0;
    if (code != 0) {
        store_read_release(&task->read);
        lease_op_release(&task->letters_op.base);
        redrive_piece_free(task);
        if (is_gone(code)) {
            redrive_end(task, LEASE_REDRIVE_FAILED, "the topic that letters are copied to was deleted");
        } else {
            redrive_again(task, "letters cannot be looked at", code);
        }
        return;
    }
    struct redrive_scan *piece = task->scan;
    piece->data = task->read.data;
    piece->len = task->read.data_len;
    piece->from = task->letters_op.first;
    piece->end = EL_MIN(op->end, op->last + 1);
    piece->next_offset = task->read.next_offset;
    piece->settled = op->ranges;
    piece->settled_count = op->range_count;
    redrive_step_begin(task, REDRIVE_SCANNING);
    task->job.done = scan_on_done;
    task->job.arg = task;
    io_job(task->ls->io, &task->job, IO_JOB_COMPUTE, scan_job, piece);
}

static void ask_on_op(struct lease_op *base)
{
    struct redrive *task = base->arg;
    if (!redrive_step_end(task, REDRIVE_ASKING) || base->error != 0) {
        int error = base->error;
        lease_op_release(base);
        store_read_release(&task->read);
        if (task->ls->stopping) {
            return;
        }
        if (is_gone(error) || error == EVLOG_ERR_GROUP_NOT_FOUND) {
            redrive_end(task, LEASE_REDRIVE_FAILED,
                        is_gone(error) ? "the topic of dead letters was deleted" : "the group was deleted");
        } else {
            redrive_again(task, "what became of the letters cannot be asked", error);
        }
        return;
    }
    scan(task);
}

/* Where the next letters are looked for. */
static int64_t position(const struct redrive *task)
{
    return task->scan != NULL ? task->scan->next : task->offset;
}

/* There are no letters below that. */
static void skip_to(struct redrive *task, int64_t offset)
{
    if (task->scan != NULL) {
        task->scan->next = EL_MIN(offset, task->copy.next);
    } else {
        task->offset = offset;
        task->copy.next = task->copy.next <= offset ? -1 : task->copy.next;
    }
    later(task, 0);
}

static void read_on_done(struct store_op *base)
{
    struct redrive *task = base->arg;
    struct read_op *read = &task->read;
    int64_t end = task->copy.next >= 0 ? task->copy.next : task->ends[task->partition];
    bool goes_on = redrive_step_end(task, REDRIVE_READING);
    if (!goes_on || base->error != 0 || read->data_len == 0) {
        int64_t start = read->log_start_offset;
        int error = base->error;
        store_read_release(read);
        if (!goes_on) {
            return;
        }
        if (is_gone(error)) {
            redrive_end(task, LEASE_REDRIVE_FAILED, "the topic of dead letters was deleted");
        } else if (error == EVLOG_ERR_OFFSET_RANGE && start > position(task)) {
            task->counts.seen += task->scan == NULL ? (uint64_t)(EL_MIN(start, end) - task->offset) : 0u;
            skip_to(task, start);
        } else if (error == 0) {
            skip_to(task, end);
        } else {
            redrive_again(task, "letters cannot be read", error);
        }
        return;
    }
    task->letters_op = (struct lease_letters_op){
        .base = {.group_id = task->group_id, .done = ask_on_op, .arg = task},
        .verb = LEASE_LETTERS_GET,
        .topic_id = task->topic_id,
        .partition = task->partition,
        .first = position(task),
        .last = EL_MAX(EL_MIN(read->next_offset, end) - 1, position(task)),
    };
    redrive_step_begin(task, REDRIVE_ASKING);
    leases_letters(task->ls, &task->letters_op);
}

static void read_letters(struct redrive *task)
{
    task->read = (struct read_op){
        .base = {.done = read_on_done, .arg = task},
        .topic_id = task->topic_id,
        .partition = task->partition,
        .offset = position(task),
        .max_bytes = REDRIVE_PIECE_LEN,
        .at_least_one = true,
        .current_leader_epoch = -1,
        .last_fetched_epoch = -1,
    };
    redrive_step_begin(task, REDRIVE_READING);
    store_read(task->ls->shard, &task->read);
}

/* --- the next step ------------------------------------------------------------------------------------------------ */

/* To the next letters that may be selected. returns false: there are none */
static bool move_on(struct redrive *task)
{
    for (; task->partition < task->partition_count; task->partition++, task->offset = 0) {
        int64_t first = task->offset, end = task->ends[task->partition];
        span_of(task, task->partition, &first, &end);
        task->offset = EL_MAX(task->offset, first);
        if (first < end) {
            return true;
        }
    }
    return false;
}

/* Some letters of the look have been done, and are not marked. */
static bool is_begun(const struct redrive *task)
{
    return task->copy.next >= 0 ||
           (task->action == LEASE_REDRIVE_BACK && task->scan != NULL && task->letter_next > 0 && !task->dry_run);
}

/* The look has no more letters than those whose events have come back. */
static void cut_short(struct redrive *task)
{
    struct redrive_scan *scan = task->scan;
    if (task->letter_next < scan->letter_count) {
        scan->next = scan->letters[task->letter_next].letter;
        scan->letter_count = task->letter_next;
    }
}

static bool has_open(const struct redrive *task)
{
    return task->scan != NULL && !task->dry_run && task->action != LEASE_REDRIVE_DROP &&
           task->letter_next < task->scan->letter_count;
}

static void running_go(struct redrive *task)
{
    bool back = task->action == LEASE_REDRIVE_BACK;
    if (task->cancel && !is_begun(task)) {
        redrive_piece_free(task);
        redrive_end(task, LEASE_REDRIVE_CANCELLED, "");
        return;
    }
    if (task->cancel && back) {
        cut_short(task);
    }
    if (task->scan != NULL && task->scan->next < task->copy.next) {
        read_letters(task); /* they were one piece before a crash */
    } else if (has_open(task)) {
        if (back) {
            bring_back(task);
        } else {
            redrive_copy_go(task);
        }
    } else if (task->scan != NULL) {
        if (task->action == LEASE_REDRIVE_DROP) {
            task->letter_next = 0;
            results_set(task, task->scan->letter_count, LEASE_AGAIN_BACK);
        }
        mark(task);
    } else if (move_on(task)) {
        read_letters(task);
    } else {
        redrive_end(task, LEASE_REDRIVE_DONE, "");
    }
}

void redrive_go(struct redrive *task)
{
    struct leases *ls = task->ls;
    OBJ_CHECK(task, REDRIVE);
    if (task->step != REDRIVE_IDLE || ls->stopping) {
        return;
    }
    bool writes = task->forget || task->dirty;
    uint64_t at_ns = writes ? task->store_ns : task->not_before_ns;
    if (at_ns > ls->io->now_ns) {
        io_timer_set(ls->io, &task->timer, at_ns);
        return;
    }
    if (writes) {
        if (task->forget) {
            redrive_piece_free(task);
        }
        if (task->forget && !task->stored) {
            redrive_stored(task, 0);
        } else {
            store(task);
        }
    } else if (task->state == LEASE_REDRIVE_BEGINNING) {
        measure(task);
    } else if (task->state == LEASE_REDRIVE_RUNNING) {
        running_go(task);
    }
}

void redrive_on_timer(struct io_timer *timer)
{
    redrive_go(timer->arg);
}
