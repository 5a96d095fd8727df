/* SPDX-License-Identifier: Apache-2.0
 *
 * Read-ahead of a part: the events that its table will want next.
 *
 *   1. while too few events can be leased, a piece is read from where the table says, at most PIECE_LEN
 *   2. its records are looked at, by a worker when that is more than a little work, and added to the table, some in
 *      each turn of the shard's loop
 *   3. at the end of the log a watch waits for more
 *
 * It pauses while the budget of work groups is used up: a metric counts such parts, and the log says so once a minute.
 * A piece that cannot be read, or a batch that cannot be understood, is tried again every second, with a line in the
 * log a minute: what is in front of it is delivered, what is behind it waits for an operator.
 */
#include <lease/lease_part.h>

#include <core/logger.h>
#include <inttypes.h>

#define PIECE_LEN (256u << 10)
#define RECORDS_MAX 4096u /* of one look */
#define ADDS_MAX 512u     /* of one turn */
#define READY_MIN 1024u   /* events that should be ready, or max.inflight ... */
#define READY_MAX 16384u  /* ... but no more than this */
#define PAUSE_NS 100000000u
#define RETRY_NS 1000000000u

/* Enough can be leased, or is in work, to go on from for a while. */
static bool enough(const struct lease_part *part)
{
    struct lease_counts counts = lease_counts(part->table);
    const struct lease_rules *rules = lease_rules_of(part->table);
    uint32_t wanted = EL_MIN(EL_MAX(rules->inflight_max, READY_MIN), READY_MAX);
    uint32_t ready = rules->order == LEASE_ORDER_PARTITION ? counts.total : counts.of[LEASE_STATE_READY];
    return ready >= wanted || part->rules_wait || part->group->filter_broken || lease_halted(part->table) >= 0;
}

static void complain(struct lease_part *part, int64_t offset, int error)
{
    struct leases *ls = lease_part_leases(part);
    struct lease_fill *fill = &part->fill;
    char text[LEASE_PART_TEXT_MAX];
    if (fill->said_ns != 0 && ls->io->now_ns - fill->said_ns < LEASE_MINUTE_NS) {
        return;
    }
    fill->said_ns = ls->io->now_ns;
    el_log(EL_LOG_WARN, "lease", "%s: events from offset %" PRId64 " on cannot be read (%s): trying again",
           lease_part_text(part, text, sizeof text), offset, evlog_error_text(error));
}

static void set_paused(struct lease_part *part, bool paused)
{
    struct leases *ls = lease_part_leases(part);
    char text[LEASE_PART_TEXT_MAX];
    if (paused != part->fill.paused) {
        metrics_add(ls->metrics, METRIC_LEASE_PAUSED, paused ? 1 : -1);
    }
    part->fill.paused = paused;
    if (paused && (ls->paused_ns == 0 || ls->io->now_ns - ls->paused_ns >= LEASE_MINUTE_NS)) {
        ls->paused_ns = ls->io->now_ns;
        el_log(
            EL_LOG_WARN, "lease",
            "%s: reading ahead waits, group.memory.max is used up by events that wait for others of their key or for "
            "a retry; keys that are not read yet wait as well",
            lease_part_text(part, text, sizeof text));
    }
}

/* --- adding ------------------------------------------------------------------------------------------------------- */

static void records_free(struct lease_part *part)
{
    struct lease_fill *fill = &part->fill;
    el_buddy_free(lease_part_leases(part)->buddy, fill->decode.records);
    fill->decode.records = NULL;
    lease_filter_let_go(fill->filter);
    fill->filter = NULL;
    store_read_release(&fill->read);
}

/* All that was read is added, or, full, no more of it can be. */
static void piece_end(struct lease_part *part, bool full)
{
    struct leases *ls = lease_part_leases(part);
    struct lease_fill *fill = &part->fill;
    set_paused(part, full);
    if (full) {
        fill->retry_ns = ls->io->now_ns + PAUSE_NS;
    } else {
        lease_read_to(part->table, fill->decode.end);
    }
    if (!full && fill->error != 0) {
        complain(part, fill->decode.end, fill->error);
        fill->retry_ns = ls->io->now_ns + (fill->error == EVLOG_ERR_NO_MEMORY ? PAUSE_NS : RETRY_NS);
    }
    records_free(part);
    fill->state = FILL_IDLE;
    lease_part_unpin(part);
}

static void count_passed(struct lease_part *part, enum lease_pass passed)
{
    static const enum metric_id metrics[] = {
        [LEASE_PASS_UNMATCHED] = METRIC_LEASES_PASSED,
        [LEASE_PASS_UNPARSABLE] = METRIC_LEASES_UNPARSABLE,
        [LEASE_PASS_TOO_LONG] = METRIC_LEASES_TOO_LONG,
    };
    metrics_add(lease_part_leases(part)->metrics, metrics[passed], 1);
    part->passing = true;
}

/* Some of what was read. */
static void add_some(struct lease_part *part)
{
    struct lease_fill *fill = &part->fill;
    struct lease_now now = lease_part_now(part);
    uint32_t end = EL_MIN(fill->added + ADDS_MAX, fill->decode.record_count);
    if (fill->stale) {
        records_free(part);
        fill->state = FILL_IDLE;
        lease_part_unpin(part);
        return;
    }
    for (; fill->added < end; fill->added++) {
        struct lease_record *record = &fill->decode.records[fill->added];
        record->death = lease_bury_intended(part, record->offset);
        record->emits = lease_emit_intended(part, record->offset);
        bool passes = record->passed != LEASE_PASS_NOT && record->offset >= lease_read_next(part->table);
        uint32_t before = lease_counts(part->table).total;
        int code = lease_add(part->table, record, now);
        if (code != 0) {
            piece_end(part, true);
            return;
        }
        if (passes && lease_counts(part->table).total == before) {
            count_passed(part, record->passed);
        }
    }
    if (fill->added == fill->decode.record_count) {
        piece_end(part, false);
    }
}

static void decoded(struct lease_part *part, int error)
{
    struct lease_fill *fill = &part->fill;
    fill->error = error;
    fill->added = 0;
    fill->state = FILL_ADDING;
    if (part->sm.state != PART_READY || lease_part_leases(part)->stopping) {
        records_free(part);
        fill->state = FILL_IDLE;
        lease_part_unpin(part);
        return;
    }
    lease_part_turn(part);
}

static int64_t decode_job(struct disk *disk, void *arg)
{
    (void)disk;
    return lease_decode_run(arg);
}

static void decode_on_done(struct io_op *op)
{
    struct lease_part *part = op->arg;
    OBJ_CHECK(part, LEASE_PART);
    decoded(part, (int)op->result);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* Without a piece. */
static void read_failed(struct lease_part *part, int error)
{
    struct leases *ls = lease_part_leases(part);
    struct lease_fill *fill = &part->fill;
    int64_t offset = fill->read.offset;
    store_read_release(&fill->read);
    fill->state = FILL_IDLE;
    if (error == EVLOG_ERR_UNKNOWN_TOPIC || error == EVLOG_ERR_UNKNOWN_TOPIC_ID) {
        lease_part_end(part, EVLOG_ERR_UNKNOWN_TOPIC);
    } else if (error == EVLOG_ERR_OFFSET_RANGE) {
        lease_fill_log_start(part);
        fill->retry_ns = ls->io->now_ns + PAUSE_NS;
    } else {
        complain(part, offset, error);
        fill->retry_ns = ls->io->now_ns + (error == EVLOG_ERR_NO_MEMORY ? PAUSE_NS : RETRY_NS);
    }
}

static void fill_on_read(struct store_op *base)
{
    struct lease_part *part = base->arg;
    struct leases *ls = lease_part_leases(part);
    struct lease_fill *fill = &part->fill;
    OBJ_CHECK(part, LEASE_PART);
    EL_ASSERT(fill->state == FILL_READING);
    if (base->error != 0 || part->sm.state != PART_READY || ls->stopping) {
        int error = base->error;
        if (error == 0 || part->sm.state != PART_READY || ls->stopping) {
            store_read_release(&fill->read);
            fill->state = FILL_IDLE;
        } else {
            read_failed(part, error);
        }
        lease_part_turn(part);
        lease_part_unpin(part);
        return;
    }
    part->start_wanted = EL_MAX(part->start_wanted, fill->read.log_start_offset);
    bool small;
    EL_ASSERT(fill->filter == NULL);
    fill->filter = lease_filter_hold(part->group->filter);
    fill->decode = (struct lease_decode){
        .filter = fill->filter == NULL ? NULL : fill->filter->pattern,
        .data = fill->read.data,
        .entries = fill->read.entries,
        .entry_count = fill->read.entry_count,
        .from = fill->read.offset,
        .next_offset = fill->read.next_offset,
        .end = fill->read.offset,
    };
    uint32_t count = EL_MIN(lease_decode_measure(&fill->decode, &small), RECORDS_MAX);
    fill->decode.record_max = EL_MAX(count, 1u);
    fill->decode.records = el_buddy_alloc(ls->buddy, fill->decode.record_max * sizeof(struct lease_record));
    fill->state = FILL_DECODING;
    if (fill->decode.records == NULL) {
        decoded(part, EVLOG_ERR_NO_MEMORY);
    } else if (small) {
        decoded(part, lease_decode_run(&fill->decode));
    } else {
        fill->job.done = decode_on_done;
        fill->job.arg = part;
        io_job(ls->io, &fill->job, IO_JOB_COMPUTE, decode_job, &fill->decode);
    }
}

static void fill_on_watch(struct store_op *base)
{
    struct lease_part *part = base->arg;
    OBJ_CHECK(part, LEASE_PART);
    EL_ASSERT(part->fill.state == FILL_WATCHING);
    part->fill.state = FILL_IDLE;
    if (base->error == EVLOG_ERR_UNKNOWN_TOPIC && part->sm.state == PART_READY) {
        lease_part_end(part, EVLOG_ERR_UNKNOWN_TOPIC);
    }
    lease_part_turn(part);
    lease_part_unpin(part);
}

static void watch_begin(struct lease_part *part, int64_t offset)
{
    struct lease_fill *fill = &part->fill;
    fill->state = FILL_WATCHING;
    fill->watch = (struct watch_op){
        .base = {.done = fill_on_watch, .arg = part},
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
        .offset = offset,
    };
    lease_part_pin(part);
    store_watch(lease_part_leases(part)->shard, &fill->watch);
}

static void read_begin(struct lease_part *part, int64_t offset)
{
    struct lease_fill *fill = &part->fill;
    fill->state = FILL_READING;
    fill->stale = false;
    fill->read = (struct read_op){
        .base = {.done = fill_on_read, .arg = part},
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
        .offset = offset,
        .max_bytes = PIECE_LEN,
        .at_least_one = true,
        .want_entries = true,
        .current_leader_epoch = -1,
        .last_fetched_epoch = -1,
    };
    lease_part_pin(part);
    store_read(lease_part_leases(part)->shard, &fill->read);
}

void lease_fill_turn(struct lease_part *part)
{
    struct leases *ls = lease_part_leases(part);
    struct lease_fill *fill = &part->fill;
    if (fill->state == FILL_ADDING) {
        add_some(part);
    }
    if (fill->state != FILL_IDLE || fill->retry_ns > ls->io->now_ns || enough(part)) {
        return;
    }
    int64_t offset = lease_read_next(part->table);
    /* What the last read found tells whether there is more; a read says so otherwise. */
    if (fill->read.base.done != NULL && fill->read.base.error == 0 && offset >= fill->read.high_watermark) {
        fill->read.high_watermark = INT64_MAX; /* once: the watch says when */
        watch_begin(part, offset);
    } else {
        read_begin(part, offset);
    }
}

uint64_t lease_fill_next(const struct lease_part *part)
{
    const struct lease_fill *fill = &part->fill;
    uint64_t now = lease_part_leases(part)->io->now_ns;
    if (fill->state == FILL_ADDING) {
        return now;
    }
    if (fill->state != FILL_IDLE || enough(part)) {
        return UINT64_MAX;
    }
    return EL_MAX(fill->retry_ns, now);
}

/* --- the start of the log ----------------------------------------------------------------------------------------- */

static void fill_on_stat(struct store_op *base)
{
    struct lease_part *part = base->arg;
    OBJ_CHECK(part, LEASE_PART);
    part->fill.statting = false;
    if (base->error == 0) {
        part->start_wanted = EL_MAX(part->start_wanted, part->fill.stat.log_start_offset);
    }
    lease_part_turn(part);
    lease_part_unpin(part);
}

void lease_fill_log_start(struct lease_part *part)
{
    struct lease_fill *fill = &part->fill;
    if (fill->statting || part->sm.state != PART_READY) {
        return;
    }
    fill->statting = true;
    fill->stat = (struct stat_op){
        .base = {.done = fill_on_stat, .arg = part},
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
    };
    lease_part_pin(part);
    store_stat(lease_part_leases(part)->shard, &fill->stat);
}

void lease_fill_stop(struct lease_part *part)
{
    struct lease_fill *fill = &part->fill;
    set_paused(part, false);
    if (fill->state == FILL_WATCHING) {
        store_watch_cancel(&fill->watch);
    } else if (fill->state == FILL_ADDING) {
        records_free(part);
        fill->state = FILL_IDLE;
        lease_part_unpin(part);
    }
}
