/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker asks of a part: outcomes of what it has, then more.
 *
 *   1. outcomes are taken by the table, all or none, and noted in the stories of events that failed
 *   2. what is ready is leased to its session
 *   3. the batches that hold it are read, a span of offsets that lie close after the other, at most SPANS_MAX: what
 *      does not fit is given back as if it had not been leased. Records that nobody was given are taken out of them
 *      (lease_trim.c)
 *   4. the answer leaves when the data is there and what must not be forgotten is durable: that events are done, or
 *      rejected. That they were delivered, failed or were given back is written soon, and nobody waits
 *
 * An event that was leased and is in no batch any more, because compaction or retention took it, is done with here.
 */
#include <lease/lease_part.h>
#include <lease/lease_trim.h>

#define SPANS_MAX 16u
#define GAP_MAX 64           /* offsets between events of one span */
#define SPAN_LEN_MIN 4096u   /* bytes that a span is read with at least */
#define EVENT_LEN_GUESS 512u /* before anything was read */

struct lease_call {
    struct el_list link; /* in part->settled or part->carried */
    struct lease_part *part;
    struct lease_op *base;      /* to be answered */
    struct lease_fetch_op *op;  /* the same; NULL: it is no fetch */
    uint32_t pending;           /* what it waits for, and 1 while it is being begun */
    int error;                  /* of the op */
    struct lease_staged staged; /* of outcomes with emits */
    /* reading; 0 grants: none */
    struct lease_grant *grants; /* [grant_count] rising, in the op's results */
    uint32_t grant_count;
    uint32_t grant_next; /* the first that was not looked for */
    uint32_t kept_len;   /* bytes of all batches that go out */
    uint32_t span_count;
    struct read_op reads[SPANS_MAX];
};
#define CALL_HEAD_LEN offsetof(struct lease_call, reads)

struct lease_call *lease_call_of(struct el_list *link)
{
    return EL_CONTAINER(link, struct lease_call, link);
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

static void call_end(struct lease_call *call)
{
    struct lease_part *part = call->part;
    struct lease_op *op = call->base;
    int error = call->error;
    el_buddy_free(lease_part_leases(part)->buddy, call);
    lease_op_finish(op, error);
    lease_part_unpin(part);
}

static void call_release(struct lease_call *call)
{
    EL_ASSERT(call->pending > 0);
    if (--call->pending == 0) {
        call_end(call);
    }
}

void lease_call_written(struct lease_call *call, int error)
{
    if (error != 0 && call->op != NULL) {
        call->op->outcome_error = error;
    } else if (error != 0) {
        call->error = error;
    }
    call_release(call);
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

/* Give back what was leased from grant n on. */
static void give_back(struct lease_call *call, uint32_t n)
{
    struct lease_part *part = call->part;
    EL_ASSERT(n <= call->grant_count);
    for (uint32_t i = n; i < call->grant_count && part->sm.state == PART_READY; i++) {
        lease_unacquire(part->table, call->op->session, call->grants[i].offset, lease_part_now(part));
    }
    call->grant_count = n;
}

/* The event is nowhere in the log any more. */
static void grant_gone(struct lease_call *call, uint32_t n)
{
    EL_ASSERT(n < call->grant_count);
    struct lease_outcome gone = {
        .first = call->grants[n].offset, .last = call->grants[n].offset, .kind = LEASE_GAP, .delay_ms = -1};
    if (call->part->sm.state == PART_READY) {
        lease_settle(call->part->table, call->op->session, &gone, 1, lease_part_now(call->part));
    }
    memmove(&call->grants[n], &call->grants[n + 1], (call->grant_count - n - 1) * sizeof *call->grants);
    call->grant_count--;
}

/* Keep what holds grants of the batches, pushed together at the beginning of the read's data. */
static void keep_batches(struct lease_call *call, struct read_op *read)
{
    uint32_t kept = 0;
    for (uint32_t pos = 0; pos < read->data_len && call->grant_next < call->grant_count;) {
        const uint8_t *batch = read->data + pos;
        uint32_t len = (uint32_t)el_batch_total_len(batch);
        int64_t base = el_batch_base_offset(batch), last = el_batch_last_offset(batch);
        EL_ASSERT(len >= EL_BATCH_LEN_MIN);
        EL_ASSERT(len <= read->data_len - pos);
        while (call->grant_next < call->grant_count && call->grants[call->grant_next].offset < base) {
            grant_gone(call, call->grant_next);
        }
        uint32_t first = call->grant_next;
        while (call->grant_next < call->grant_count && call->grants[call->grant_next].offset <= last) {
            call->grant_next++;
        }
        if (call->grant_next > first) {
            call->grants[first].opens_batch = true;
            memmove(read->data + kept, batch, len);
            kept += lease_trim_batch(read->data + kept, len, &call->grants[first], call->grant_next - first);
        }
        pos += len;
    }
    while (call->grant_next < call->grant_count && call->grants[call->grant_next].offset < read->next_offset) {
        grant_gone(call, call->grant_next);
    }
    EL_ASSERT(kept <= read->data_len);
    read->data_len = kept;
    call->kept_len += kept;
}

/* The range goes on with the grant. A full one does not leave its batch: clients acknowledge by ranges, and
 * whole batches cost the least. */
static bool range_takes(const struct lease_range *range, const struct lease_grant *grant, uint32_t range_fill)
{
    bool full = range_fill > 0 && range->last - range->first >= (int64_t)range_fill - 1;
    return range->last + 1 == grant->offset && range->deliveries == (int32_t)grant->attempts &&
           !(full && grant->opens_batch);
}

static bool fill_ranges(struct lease_call *call)
{
    struct lease_fetch_op *op = call->op;
    struct lease_range *ranges = lease_op_take(&op->base, call->grant_count * sizeof *ranges);
    uint32_t count = 0;
    for (uint32_t i = 0; i < call->grant_count; i++) {
        const struct lease_grant *grant = &call->grants[i];
        struct lease_range *last = count == 0 ? NULL : &ranges[count - 1];
        EL_ASSERT(last == NULL || grant->offset > last->last);
        if (last != NULL && range_takes(last, grant, op->range_fill)) {
            last->last++;
        } else {
            ranges[count++] = (struct lease_range){grant->offset, grant->offset, (int32_t)grant->attempts};
        }
    }
    op->ranges = ranges;
    op->range_count = count;
    return count > 0;
}

/* All spans have been read, as far as they could be. */
static void spans_end(struct lease_call *call)
{
    struct lease_fetch_op *op = call->op;
    struct leases *ls = lease_part_leases(call->part);
    uint32_t with_data = 0, n = 0;
    give_back(call, call->grant_next);
    if (call->part->sm.state != PART_READY) {
        call->grant_count = 0;
        call->error = call->part->end_error;
    }
    for (uint32_t i = 0; i < call->span_count; i++) {
        with_data += call->reads[i].data_len > 0;
        n = call->reads[i].data_len > 0 ? i : n;
    }
    uint8_t *all = with_data <= 1 ? NULL : el_buddy_alloc(ls->buddy, call->kept_len);
    if (with_data > 1 && all == NULL) {
        give_back(call, 0);
    }
    if (call->grant_count > 0 && fill_ranges(call)) {
        metrics_add(ls->metrics, METRIC_LEASES, call->grant_count);
        op->data_len = call->kept_len;
    }
    uint32_t kept = UINT32_MAX; /* the read whose memory the results have */
    if (op->range_count > 0 && with_data == 1) {
        kept = n;
        op->data = call->reads[n].data;
        op->memory_len = call->reads[n].memory_len;
        lease_op_keep_read(&op->base, &call->reads[n]);
    } else if (op->range_count > 0) {
        uint32_t pos = 0;
        for (uint32_t i = 0; i < call->span_count; i++) {
            if (call->reads[i].data_len > 0) {
                memcpy(all + pos, call->reads[i].data, call->reads[i].data_len);
            }
            pos += call->reads[i].data_len;
        }
        EL_ASSERT(pos == call->kept_len);
        op->data = all;
        op->memory_len = el_buddy_block_len(ls->buddy, all);
        lease_op_keep_memory(&op->base, all);
        all = NULL;
    }
    el_buddy_free(ls->buddy, all);
    for (uint32_t i = 0; i < call->span_count; i++) {
        if (i != kept) {
            store_read_release(&call->reads[i]);
        }
    }
    call->span_count = 0;
    call_release(call);
}

/* --- spans -------------------------------------------------------------------------------------------------------- */

static void span_read(struct lease_call *call);

static void span_on_read(struct store_op *base)
{
    struct lease_call *call = base->arg;
    struct lease_part *part = call->part;
    EL_ASSERT(call->span_count < SPANS_MAX);
    struct read_op *read = &call->reads[call->span_count++];
    int64_t before = read->offset;
    EL_ASSERT(before == call->grants[call->grant_next].offset);
    if (base->error == 0 && read->next_offset > before) {
        part->event_len = (uint32_t)(read->data_len / (uint64_t)(read->next_offset - before)) + 1;
        part->start_wanted = EL_MAX(part->start_wanted, read->log_start_offset);
        keep_batches(call, read);
        span_read(call);
        return;
    }
    if (base->error == EVLOG_ERR_OFFSET_RANGE) {
        lease_fill_log_start(part);
    } else if (base->error != 0 && call->grant_next == 0) {
        call->error = base->error;
    }
    spans_end(call);
}

/* Offsets of the span that begins at the next grant. */
static int64_t span_offsets(const struct lease_call *call)
{
    uint32_t i = call->grant_next;
    while (i + 1 < call->grant_count && call->grants[i + 1].offset - call->grants[i].offset <= GAP_MAX) {
        i++;
    }
    return call->grants[i].offset - call->grants[call->grant_next].offset + 1;
}

static void span_read(struct lease_call *call)
{
    struct lease_part *part = call->part;
    uint32_t left = call->op->bytes_max > call->kept_len ? call->op->bytes_max - call->kept_len : 0;
    bool first = call->kept_len == 0;
    if (call->grant_next >= call->grant_count || call->span_count == SPANS_MAX || (left == 0 && !first)) {
        spans_end(call);
        return;
    }
    uint64_t event_len = part->event_len == 0 ? EVENT_LEN_GUESS : part->event_len;
    uint64_t guess = (uint64_t)span_offsets(call) * event_len + SPAN_LEN_MIN;
    struct read_op *read = &call->reads[call->span_count];
    *read = (struct read_op){
        .base = {.done = span_on_read, .arg = call},
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
        .offset = call->grants[call->grant_next].offset,
        .max_bytes = (uint32_t)EL_MIN(guess, (uint64_t)left),
        .at_least_one = first,
        .current_leader_epoch = -1,
        .last_fetched_epoch = -1,
    };
    store_read(lease_part_leases(part)->shard, &call->reads[call->span_count]);
}

/* --- outcomes ----------------------------------------------------------------------------------------------------- */

static void tell_stories(struct lease_part *part, const struct lease_fetch_op *op, const struct lease_outcome *outcome)
{
    struct lease_attempt attempt = {
        .time_ms = lease_wall_ms(lease_part_leases(part)),
        .worker = op->worker,
        .outcome = outcome->kind == LEASE_REJECT ? "reject" : "fail",
        .reason = outcome->reason,
        .error = outcome->error,
    };
    int64_t last = EL_MIN(outcome->last, outcome->first + LEASE_RANGES_MAX - 1);
    for (int64_t offset = outcome->first; offset <= last; offset++) {
        lease_story_add(&part->stories, offset, &attempt);
    }
}

static void count_outcome(struct lease_part *part, const struct lease_outcome *outcome)
{
    static const enum metric_id metrics[] = {
        [LEASE_GAP] = METRIC_LEASES_GONE,         [LEASE_ACCEPT] = METRIC_LEASES_ACCEPTED,
        [LEASE_RELEASE] = METRIC_LEASES_RELEASED, [LEASE_REJECT] = METRIC_LEASES_REJECTED,
        [LEASE_EXTEND] = METRIC_LEASES_EXTENDED,  [LEASE_FAIL] = METRIC_LEASES_FAILED,
    };
    int64_t count = outcome->last - outcome->first + 1;
    metrics_add(lease_part_leases(part)->metrics, metrics[outcome->kind], count);
}

/* What is to be emitted may be. returns false: the outcomes are refused for it */
static bool emits_good(struct lease_part *part, struct lease_fetch_op *op)
{
    for (uint32_t i = 0; i < op->outcome_count; i++) {
        int code = op->outcomes[i].emit_count == 0
                       ? 0
                       : lease_emit_check(part, &op->outcomes[i], op->base.message_text, LEASE_MESSAGE_LEN);
        if (code != 0) {
            op->outcome_error = code;
            op->emits_refused = code == EVLOG_ERR_TOO_LARGE;
            return false;
        }
    }
    return true;
}

/* What the answer waits for. */
enum { WAITS_WRITE = 1, WAITS_EMITS = 2 };

/* returns what the answer waits for */
static unsigned take_outcomes(struct lease_part *part, struct lease_fetch_op *op)
{
    unsigned waits = 0;
    if (op->outcome_count == 0 || !emits_good(part, op)) {
        return 0;
    }
    if (lease_settle(part->table, op->session, op->outcomes, op->outcome_count, lease_part_now(part)) != 0) {
        op->outcome_error = EVLOG_ERR_LEASE;
        return 0;
    }
    for (uint32_t i = 0; i < op->outcome_count; i++) {
        const struct lease_outcome *outcome = &op->outcomes[i];
        count_outcome(part, outcome);
        switch (outcome->kind) {
        case LEASE_ACCEPT:
        case LEASE_GAP:
            lease_story_end(&part->stories, outcome->first, outcome->last);
            waits |= outcome->emit_count > 0 ? WAITS_EMITS : WAITS_WRITE;
            break;
        case LEASE_REJECT:
            tell_stories(part, op, outcome);
            waits |= WAITS_WRITE;
            break;
        case LEASE_FAIL:
            tell_stories(part, op, outcome);
            break;
        case LEASE_RELEASE:
        case LEASE_EXTEND:
            break;
        }
    }
    return waits;
}

/* --- the op ------------------------------------------------------------------------------------------------------- */

static struct lease_call *call_new(struct lease_part *part, struct lease_op *base, bool reads)
{
    size_t len = reads ? sizeof(struct lease_call) : CALL_HEAD_LEN;
    struct lease_call *call = el_buddy_alloc(lease_part_leases(part)->buddy, len);
    if (call == NULL) {
        return NULL;
    }
    memset(call, 0, len);
    el_list_init(&call->link);
    el_list_init(&call->staged.link);
    call->part = part;
    call->base = base;
    call->pending = 1;
    base->flags &= ~(uint32_t)LEASE_OP_WAITS;
    lease_part_pin(part);
    return call;
}

bool lease_call_wait(struct lease_part *part, struct lease_op *base)
{
    struct lease_call *call = call_new(part, base, false);
    if (call == NULL) {
        return false;
    }
    el_list_push_back(&part->settled, &call->link);
    return true;
}

/* Room for what may be leased. returns 0: there is nothing, or no memory */
static uint32_t grant_room(struct lease_part *part, struct lease_fetch_op *op)
{
    uint32_t ready = lease_ready(part->table) ? lease_counts(part->table).of[LEASE_STATE_READY] : 0;
    uint32_t max = EL_MIN(EL_MIN(op->records_max, ready), LEASE_RANGES_MAX);
    size_t len = max * (sizeof(struct lease_grant) + sizeof(struct lease_range)) + 16;
    return max > 0 && lease_op_room(&op->base, len) ? max : 0;
}

static void staged_told(struct lease_staged *staged, int error)
{
    lease_call_written(EL_CONTAINER(staged, struct lease_call, staged), error);
}

static void stage(struct lease_call *call, const struct lease_fetch_op *op)
{
    call->staged.outcomes = op->outcomes;
    call->staged.outcome_count = op->outcome_count;
    call->staged.told = staged_told;
    call->pending++;
    bool staged = lease_emit_stage(call->part, &call->staged);
    EL_ASSERT(staged); /* lease_emit_check() has made what it needs */
}

/* There is something and might be more, and the time for that is not over. */
static bool gathers(const struct lease_part *part, struct lease_fetch_op *op)
{
    struct lease_counts counts = lease_counts(part->table);
    uint64_t ready = lease_ready(part->table) ? counts.of[LEASE_STATE_READY] : 0;
    uint64_t now = lease_part_leases(part)->io->now_ns;
    bool most = ready + counts.of[LEASE_STATE_LEASED] >= lease_rules_of(part->table)->inflight_max;
    if (op->window_ms <= 0 || op->outcome_count > 0 || ready == 0 || most || ready >= op->records_max ||
        ready * part->event_len >= op->bytes_max) {
        return false;
    }
    op->until_ns = op->until_ns == 0 ? now + (uint64_t)op->window_ms * 1000000u : op->until_ns;
    return op->until_ns > now;
}

void lease_gather_turn(struct lease_part *part)
{
    struct el_list over;
    el_list_init(&over);
    EL_LIST_EACH_SAFE(node, next, &part->gathering) {
        if (!gathers(part, EL_CONTAINER(node, struct lease_fetch_op, base.link))) {
            el_list_remove(node);
            el_list_push_back(&over, node);
        }
    }
    for (struct el_list *node = el_list_pop_front(&over); node != NULL; node = el_list_pop_front(&over)) {
        struct lease_op *op = EL_CONTAINER(node, struct lease_op, link);
        EL_CONTAINER(op, struct lease_fetch_op, base)->window_ms = 0;
        op->run(lease_part_leases(part), op);
    }
}

uint64_t lease_gather_next(const struct lease_part *part)
{
    uint64_t next = UINT64_MAX;
    EL_LIST_EACH(node, &part->gathering) {
        next = EL_MIN(next, EL_CONTAINER(node, struct lease_fetch_op, base.link)->until_ns);
    }
    return next;
}

static void fetch_run(struct leases *ls, struct lease_op *base)
{
    struct lease_fetch_op *op = EL_CONTAINER(base, struct lease_fetch_op, base);
    struct lease_part *part = lease_part_for(ls, base, &op->topic_id, op->partition);
    if (part == NULL) {
        return;
    }
    if (gathers(part, op)) {
        base->flags |= LEASE_OP_WAITS;
        el_list_push_back(&part->gathering, &base->link);
        lease_part_turn(part);
        return;
    }
    struct lease_call *call = call_new(part, base, op->records_max > 0);
    if (call == NULL) {
        lease_op_finish(base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    call->op = op;
    op->lease_ms = (int32_t)lease_rules_of(part->table)->lease_ms;
    unsigned waits = take_outcomes(part, op);
    if ((waits & WAITS_WRITE) != 0) {
        call->pending++;
        el_list_push_back(&part->settled, &call->link);
    }
    if ((waits & WAITS_EMITS) != 0) {
        stage(call, op);
    }
    uint32_t max = grant_room(part, op);
    if (max > 0) {
        call->grants = lease_op_take(base, max * sizeof *call->grants);
        call->grant_count = lease_acquire(part->table, op->session, lease_part_now(part), call->grants, max);
        call->pending++;
        span_read(call);
    }
    lease_part_pin(part);
    call_release(call);
    lease_part_turn(part);
    lease_part_unpin(part);
}

struct lease_batch leases_batch(struct leases *ls, struct el_slice group_id)
{
    const struct lease_group *group = group_id.len == 0 ? NULL : lease_group_find(ls, group_id);
    const struct group_config *config = group == NULL ? NULL : group->config;
    return (struct lease_batch){
        .records_max = (uint32_t)group_config_int(config, GROUP_SETTING_BATCH_SIZE),
        .bytes_max = (uint32_t)group_config_int(config, GROUP_SETTING_BATCH_BYTES),
        .window_ms = group_config_int(config, GROUP_SETTING_BATCH_WINDOW_MS),
    };
}

void leases_fetch(struct leases *ls, struct lease_fetch_op *op)
{
    op->outcome_error = 0;
    op->emits_refused = false;
    op->lease_ms = 0;
    op->ranges = NULL;
    op->range_count = 0;
    op->data = NULL;
    op->data_len = 0;
    op->until_ns = 0;
    EL_ASSERT(op->session != 0);
    lease_op_send_part(ls, &op->base, &op->topic_id, op->partition, fetch_run);
}

/* --- watches and sessions ----------------------------------------------------------------------------------------- */

static void watch_run(struct leases *ls, struct lease_op *base)
{
    struct lease_watch_op *op = EL_CONTAINER(base, struct lease_watch_op, base);
    struct lease_part *part = lease_part_for(ls, base, &op->topic_id, op->partition);
    if (part == NULL) {
        return;
    }
    base->flags |= LEASE_OP_WAITS;
    el_list_push_back(&part->watchers, &base->link);
    lease_part_turn(part);
}

void leases_watch(struct leases *ls, struct lease_watch_op *op)
{
    lease_op_send_part(ls, &op->base, &op->topic_id, op->partition, watch_run);
}

static void release_run(struct leases *ls, struct lease_op *base)
{
    struct lease_release_op *op = EL_CONTAINER(base, struct lease_release_op, base);
    struct lease_group *group = lease_group_find(ls, base->group_id);
    struct lease_part *part = group == NULL ? NULL : lease_part_find(group, &op->topic_id, op->partition);
    if (part != NULL && part->sm.state == PART_READY) {
        lease_release_session(part->table, op->session, lease_part_now(part));
        lease_part_turn(part);
    }
    lease_op_finish(base, 0); /* who is not known holds nothing */
}

void leases_release(struct leases *ls, struct lease_release_op *op)
{
    lease_op_send_part(ls, &op->base, &op->topic_id, op->partition, release_run);
}
