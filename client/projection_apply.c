/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions of a projection: a run of events and the checkpoint behind them, both or neither.
 *
 * Who does so is a worker: the projection itself, or one of its lanes (projection_lanes.c), whose checkpoint is a place
 * of its own ahead of the projection's.
 *
 * 1. transact() applies items from first on, up to a limit or until the time of one transaction is over, moves the
 *    checkpoint and commits.
 * 2. When a handler fails, nothing of the transaction is kept. The lease is looked at first: rows of a runner that has
 *    taken over make handlers fail, and such a failure says nothing of the event. Then the items before the one that
 *    failed are applied again and committed; it is tried alone, with backoff, and at last stops the run, is skipped, or
 *    becomes a dead letter.
 *    A store that need not be waited for statement by statement tells of a fault late: the same transaction is run
 *    again then, in steps, and finds whose it is.
 * 3. When the store fails (locked, away), the same transaction is tried again for store_patience_ms. A commit whose
 *    answer was lost is looked up first: the checkpoint tells whether it was made.
 * 4. A checkpoint that somebody else has moved ends the run: another runner has taken over.
 */
#include "fail.h"
#include "projection_state.h"

#include <stdio.h>
#include <time.h>

#define CLOCK_ITEMS 16 /* between two looks at the clock */
#define STORE_BACKOFF_MS 50
#define STORE_BACKOFF_MAX_MS 1000
#define RATE_NS (2000 * EL_NS_PER_MS)
#define LANE_STEP_NS 20000000 /* of a wait, between looks at whether to stop */

/* One try. */
struct attempt {
    uint32_t first, limit;
    uint32_t reached; /* behind the last item applied */
    bool in_handler;  /* what failed is the handler of item reached */
    bool committing;  /* what failed is the commit */
    bool hurried;     /* what failed may be any item: answers were not waited for */
    struct evlog_projection_gain gain;
    size_t move_count;
};

bool el_projection_is_store_fault(int code)
{
    return code == EVLOG_ERR_DATABASE || code == EVLOG_ERR_NO_MEMORY || code == EVLOG_ERR_KEYS ||
           code == EVLOG_ERR_SEALED || code == EVLOG_ERR_CLOSED || code == EVLOG_ERR_CONFLICT ||
           el_projection_may_pass(code);
}

bool el_projection_may_pass(int code)
{
    return code == EVLOG_ERR_LOCKED || code == EVLOG_ERR_UNREACHABLE;
}

/* --- one transaction ---------------------------------------------------------------------------------------------- */

static struct el_projection_step *step_of(struct el_projection_worker *worker, uint32_t feed)
{
    struct el_projection_step *step = &worker->steps[feed];
    if (!step->touched) {
        step->touched = true;
        step->next = worker->projection->feeds[feed].saved;
        step->next.lane = EL_MAX(worker->lane, 0);
        step->next.lane_count = worker->lane < 0 ? 0 : (int32_t)worker->projection->lanes.count;
    }
    return step;
}

static void touch(struct el_projection_worker *worker, const struct el_projection_item *item)
{
    struct evlog_projection_position *next = &step_of(worker, item->feed)->next;
    size_t len = EL_MIN(item->view.id.len, sizeof next->last_id - 1);
    next->next_offset = item->event.offset + 1;
    next->leader_epoch = item->event.leader_epoch;
    next->append_time_ns = item->event.append_time_ns;
    memcpy(next->last_id, len == 0 ? "" : item->view.id.data, len);
    next->last_id[len] = '\0';
}

/* The first transaction places every partition: one that comes later can be told from one that was there. */
static void touch_unstored(struct el_projection_worker *worker)
{
    for (uint32_t i = 0; i < worker->projection->feed_count; i++) {
        if (!worker->projection->feeds[i].stored) {
            (void)step_of(worker, i);
        }
    }
}

/* Where the reader has come behind its last event: control batches, compacted ranges. */
static void touch_ends(struct el_projection_worker *worker)
{
    const struct evlog_projection *projection = worker->projection;
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        const struct evlog_projection_position *saved = &projection->feeds[i].saved;
        const struct el_feed *reading = el_consumer_find(&projection->consumer, saved->topic, saved->partition);
        const struct el_projection_step *step = &worker->steps[i];
        if (reading->position > (step->touched ? step->next.next_offset : saved->next_offset)) {
            step_of(worker, i)->next.next_offset = reading->position;
        }
    }
}

/* Number of the event in its stream, -1: not counted. */
static int count(struct el_projection_worker *worker, const struct el_projection_item *item, int64_t *version,
                 struct evlog_failure *failure)
{
    const struct evlog_projection *projection = worker->projection;
    *version = -1;
    if (!projection->options.count_versions || !projection->feeds[item->feed].saved.whole ||
        item->event.key.data == NULL || worker->store->calls->count == NULL) {
        return 0;
    }
    return worker->store->calls->count(worker->store, &projection->lease, &item->event, version, failure);
}

/* Sealed fields of an event, for handlers that do not see to it themselves. */
static int open_fields(const struct evlog_projection_options *options, const struct el_projection_item *item,
                       struct evlog_opened *opened, struct evlog_failure *failure)
{
    if (options->takes_sealed) {
        opened->data = item->view.data;
        return 0;
    }
    int rc = evlog_open(options->keys, item->event.key, item->view.id, item->view.data, opened, failure);
    if (rc == 0 && opened->erased_count > 0 && !options->takes_erased) {
        size_t i = 0;
        while (opened->fields[i].state != EVLOG_FIELD_ERASED) {
            i++;
        }
        rc = el_fail(failure, EVLOG_ERR_ERASED, "field \"%s\" was erased, and the handler does not take that",
                     opened->fields[i].path);
        evlog_opened_free(opened);
    }
    if (rc != 0) {
        el_fail_wrap(failure, "%s[%d] offset %lld", item->event.topic, item->event.partition,
                     (long long)item->event.offset);
    }
    return rc;
}

/* The transaction's spans: one for each topic whose events it applies. */
static void trace(struct el_projection_worker *worker, const struct evlog_event *event)
{
    if (el_trace_on(worker->projection->client)) {
        struct el_span_about about = {
            .kind = EVLOG_SPAN_CONSUMER,
            .operation = "process",
            .operation_type = "process",
            .topic = event->topic,
            .projection = worker->projection->options.name,
            .partition = -1,
        };
        el_span_batches_add(&worker->spans, &about, event);
    }
}

static int apply_item(struct el_projection_worker *worker, struct attempt *attempt,
                      const struct el_projection_item *item, struct evlog_failure *failure)
{
    const struct evlog_projection_options *options = &worker->projection->options;
    int64_t version;
    if (item->done) {
        return 0;
    }
    int rc = count(worker, item, &version, failure);
    if (rc != 0) {
        return el_projection_is_store_fault(rc) ? rc : EVLOG_ERR_DATABASE;
    }
    if (!item->wanted || item->fate != EL_FATE_APPLY) {
        attempt->gain.skipped += item->fate == EL_FATE_SKIP;
        attempt->gain.dead += item->fate == EL_FATE_DEAD;
        return 0;
    }
    struct evlog_opened opened = EVLOG_OPENED_INIT;
    rc = open_fields(options, item, &opened, failure);
    if (rc != 0) {
        attempt->in_handler = true; /* unless it is the key store's fault, it is the event's */
        return rc;
    }
    struct evlog_projection_event event = {
        .event = &item->event,
        .type = item->view.type,
        .id = item->view.id,
        .data = opened.data,
        .opened = opened.field_count > 0 ? &opened : NULL,
        .version = version,
        .replaying = item->event.offset < worker->projection->feeds[item->feed].saved.history_offset,
    };
    attempt->in_handler = true;
    trace(worker, &item->event);
    rc = options->on_event(options->arg, worker->store, &event, failure);
    evlog_opened_free(&opened);
    if (rc == 0) {
        attempt->in_handler = false;
        attempt->gain.applied++;
    }
    return rc;
}

static int apply_items(struct el_projection_worker *worker, struct attempt *attempt, struct evlog_failure *failure)
{
    int64_t until_ns = el_deadline(worker->projection->options.batch_ms_max);
    for (uint32_t i = attempt->first; i < attempt->limit; i++) {
        const struct el_projection_item *item = worker->items[i];
        int rc = apply_item(worker, attempt, item, failure);
        if (rc != 0) {
            return rc;
        }
        touch(worker, item);
        attempt->reached = i + 1;
        bool look = attempt->reached % CLOCK_ITEMS == 0;
        if (look && el_now_ns() >= until_ns) {
            break;
        }
    }
    return 0;
}

static int save(struct el_projection_worker *worker, struct attempt *attempt, struct evlog_failure *failure)
{
    const struct evlog_projection *projection = worker->projection;
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        const struct el_projection_step *step = &worker->steps[i];
        const struct el_projection_feed *feed = &projection->feeds[i];
        bool stored = worker->lane < 0 ? feed->stored : step->stored;
        if (step->touched) {
            worker->moves[attempt->move_count++] = (struct evlog_projection_move){
                .old_offset = !stored            ? -1
                              : worker->lane < 0 ? feed->saved.next_offset
                                                 : step->saved_offset,
                .levels = worker->lane < 0 && (projection->lanes.count > 0 || projection->ahead_count > 0),
                .position = step->next,
            };
        }
    }
    attempt->gain.rate_milli = projection->rate_milli;
    return worker->store->calls->save(worker->store, &projection->lease, worker->moves, attempt->move_count,
                                      &attempt->gain, failure);
}

static void untouch(struct el_projection_worker *worker)
{
    for (uint32_t i = 0; i < worker->projection->feed_count; i++) {
        worker->steps[i].touched = false;
    }
}

/* All of it but beginning and commit. */
static int fill_transaction(struct el_projection_worker *worker, struct attempt *attempt, bool careful,
                            struct evlog_failure *failure)
{
    const struct evlog_projection_store_calls *calls = worker->store->calls;
    attempt->hurried = !careful && calls->hurry != NULL;
    if (attempt->hurried) {
        calls->hurry(worker->store);
    }
    int rc = apply_items(worker, attempt, failure);
    if (rc == 0 && attempt->hurried) {
        rc = calls->settle(worker->store, failure);
    }
    if (rc != 0) {
        return rc;
    }
    attempt->hurried = false;
    if (worker->lane < 0) {
        touch_unstored(worker);
        if (attempt->reached == worker->item_count && !worker->placing) {
            touch_ends(worker);
        }
    }
    return save(worker, attempt, failure);
}

static void begin_spans(struct el_projection_worker *worker)
{
    const struct evlog_client *client = worker->projection->client;
    bool traced = el_trace_on(client);
    worker->spans = (struct el_span_batches){client, traced ? el_trace_now_ns() : 0, NULL};
}

static void end_spans(struct el_projection_worker *worker, int rc, const struct evlog_failure *failure)
{
    const char *text = failure->code == rc ? failure->text : evlog_error_text(rc);
    el_span_batches_end(&worker->spans, rc == 0 ? NULL : evlog_error_name(rc), rc == 0 ? NULL : text);
}

static int transact(struct el_projection_worker *worker, struct attempt *attempt, bool careful,
                    struct evlog_failure *failure)
{
    const struct evlog_projection_store_calls *calls = worker->store->calls;
    untouch(worker);
    attempt->reached = attempt->first;
    int rc = calls->begin(worker->store, failure);
    if (rc != 0) {
        return rc;
    }
    begin_spans(worker);
    rc = fill_transaction(worker, attempt, careful, failure);
    if (rc == 0) {
        attempt->committing = true;
        rc = calls->commit(worker->store, failure);
    }
    end_spans(worker, rc, failure);
    if (rc != 0) {
        calls->rollback(worker->store);
    }
    return rc;
}

/* --- afterwards --------------------------------------------------------------------------------------------------- */

void el_projection_measure(struct evlog_projection *projection, int64_t applied)
{
    int64_t now_ns = el_now_ns();
    projection->rate_count += (uint64_t)applied;
    if (projection->rate_since_ns == 0) {
        projection->rate_since_ns = now_ns;
        projection->rate_count = 0;
    } else if (now_ns - projection->rate_since_ns >= RATE_NS) {
        int64_t ms = (now_ns - projection->rate_since_ns) / EL_NS_PER_MS;
        projection->rate_milli = (int64_t)projection->rate_count * 1000000 / ms;
        projection->rate_since_ns = now_ns;
        projection->rate_count = 0;
    }
}

static void settle_steps(struct el_projection_worker *worker)
{
    for (uint32_t i = 0; i < worker->projection->feed_count; i++) {
        struct el_projection_feed *feed = &worker->projection->feeds[i];
        struct el_projection_step *step = &worker->steps[i];
        if (!step->touched) {
            continue;
        }
        step->touched = false;
        step->stored = true;
        step->saved_offset = step->next.next_offset;
        if (worker->lane < 0) {
            feed->saved = step->next;
            feed->stored = true;
        }
    }
}

static void settle(struct el_projection_worker *worker, const struct attempt *attempt)
{
    struct evlog_projection *projection = worker->projection;
    int64_t now_ns = el_now_ns();
    settle_steps(worker);
    worker->counts.applied += (uint64_t)attempt->gain.applied;
    worker->counts.skipped += (uint64_t)attempt->gain.skipped;
    worker->counts.dead += (uint64_t)attempt->gain.dead;
    worker->counts.transactions++;
    if (worker->lane < 0) {
        projection->renew_at_ns = now_ns + projection->options.lease_ms * EL_NS_PER_MS / 3;
        projection->save_at_ns = now_ns;
        el_projection_forget_ahead(projection);
        el_projection_measure(projection, attempt->gain.applied);
    }
}

/* --- a commit whose answer was lost ------------------------------------------------------------------------------- */

struct lookup {
    const struct el_projection_worker *worker;
    uint32_t made;
};

static int look_up(void *arg, const struct evlog_projection_position *position)
{
    struct lookup *lookup = arg;
    const struct el_projection_worker *worker = lookup->worker;
    for (uint32_t i = 0; i < worker->projection->feed_count; i++) {
        const struct el_projection_step *step = &worker->steps[i];
        if (step->touched && step->next.lane_count == position->lane_count && step->next.lane == position->lane &&
            step->next.partition == position->partition && strcmp(step->next.topic, position->topic) == 0) {
            bool stored = worker->lane < 0 ? worker->projection->feeds[i].stored : step->stored;
            int64_t old = worker->lane < 0 ? worker->projection->feeds[i].saved.next_offset : step->saved_offset;
            bool moved = step->next.next_offset != old || !stored;
            lookup->made += moved && position->next_offset == step->next.next_offset;
        }
    }
    return 0;
}

/* Was it made? returns 1 | 0 | negative */
static int was_made(struct el_projection_worker *worker, struct evlog_failure *failure)
{
    struct lookup lookup = {.worker = worker};
    const struct evlog_projection_store_calls *calls = worker->store->calls;
    int rc = calls->begin(worker->store, failure);
    if (rc == 0) {
        rc = calls->positions(worker->store, worker->projection->lease.name, look_up, &lookup, failure);
        calls->rollback(worker->store);
    }
    return rc != 0 ? rc : lookup.made > 0;
}

/* --- trouble ------------------------------------------------------------------------------------------------------ */

struct trouble {
    int64_t since_ns; /* since when the store fails, 0: it does not */
    uint32_t store_tries;
    uint32_t event_tries; /* of the event at event_index */
    uint32_t event_index;
    bool careful; /* each answer is waited for: something in this batch is wrong */
    bool doubt;   /* the last commit's answer is not known */
};

static int64_t backoff_ms(struct evlog_projection *projection, uint32_t tries, int64_t first_ms, int64_t max_ms)
{
    el_client_lock(projection->client);
    int64_t ns = el_client_backoff_ns(projection->client, tries, first_ms, max_ms);
    el_client_unlock(projection->client);
    return ns / EL_NS_PER_MS + 1;
}

/* A lane's round is to end. */
static bool is_halted(const struct el_projection_worker *worker)
{
    return worker->lane >= 0 && __atomic_load_n(&worker->projection->lanes.halt, __ATOMIC_RELAXED) != 0;
}

static bool is_stopping(const struct el_projection_worker *worker)
{
    return el_projection_stopping(worker->projection) || is_halted(worker);
}

/* A lane only waits: the lease is kept by the projection meanwhile. */
static int pause_worker(struct el_projection_worker *worker, int64_t ms, struct evlog_failure *failure)
{
    if (worker->lane < 0) {
        return el_projection_wait(worker->projection, ms, failure);
    }
    int64_t deadline_ns = el_deadline(ms);
    while (!is_stopping(worker) && el_now_ns() < deadline_ns) {
        struct timespec step = {0, LANE_STEP_NS};
        (void)nanosleep(&step, NULL);
    }
    return 0;
}

/* The store is locked or away. returns 0: try again | negative */
static int wait_for_store(struct el_projection_worker *worker, struct trouble *trouble, int code,
                          struct evlog_failure *failure)
{
    const struct evlog_projection *projection = worker->projection;
    int64_t now_ns = el_now_ns();
    trouble->since_ns = trouble->since_ns == 0 ? now_ns : trouble->since_ns;
    bool patient = now_ns - trouble->since_ns < projection->options.store_patience_ms * EL_NS_PER_MS;
    if (!el_projection_may_pass(code) || !patient || is_stopping(worker)) {
        return code;
    }
    int64_t ms = backoff_ms(worker->projection, ++trouble->store_tries, STORE_BACKOFF_MS, STORE_BACKOFF_MAX_MS);
    return pause_worker(worker, ms, failure);
}

/* An event was tried for the last time. returns 0: it has a fate, try again | negative */
static int give_up(struct el_projection_worker *worker, struct el_projection_item *item, int code,
                   struct evlog_failure *failure)
{
    struct evlog_projection *projection = worker->projection;
    switch (projection->options.on_error) {
    case EVLOG_PROJECTION_STOP:
        return code;
    case EVLOG_PROJECTION_SKIP:
        item->fate = EL_FATE_SKIP;
        return 0;
    case EVLOG_PROJECTION_DEAD_LETTER: {
        char error[EVLOG_FAILURE_TEXT_MAX];
        (void)snprintf(error, sizeof error, "%s", failure->text);
        int rc = el_projection_bury(projection, item, error, failure);
        item->fate = rc == 0 ? EL_FATE_DEAD : item->fate;
        return rc;
    }
    }
    return code;
}

/* A handler has failed. returns 0: try again, up to *limit | negative */
static int treat_event(struct el_projection_worker *worker, const struct attempt *attempt, struct trouble *trouble,
                       int code, uint32_t *limit, struct evlog_failure *failure)
{
    const struct evlog_projection_options *options = &worker->projection->options;
    uint32_t index = attempt->reached;
    if (index > attempt->first) {
        *limit = index; /* what came before it first */
        return 0;
    }
    trouble->event_tries = trouble->event_index == index ? trouble->event_tries + 1 : 1;
    trouble->event_index = index;
    *limit = index + 1;
    if (is_stopping(worker)) {
        return code;
    }
    if (trouble->event_tries > options->retry_max) {
        return give_up(worker, worker->items[index], code, failure);
    }
    worker->counts.retries++;
    int64_t ms = backoff_ms(worker->projection, trouble->event_tries, options->retry_backoff_ms,
                            options->retry_backoff_max_ms);
    return pause_worker(worker, ms, failure);
}

/* Whose fault is it that a handler failed with code? returns code: the event's | what a lost lease or the store say */
static int blame(struct el_projection_worker *worker, int code, struct evlog_failure *failure)
{
    struct evlog_failure lost = EVLOG_FAILURE_INIT;
    bool paused;
    int rc = worker->store->calls->renew(worker->store, &worker->projection->lease, &paused, &lost);
    return rc == 0 ? code : el_fail_copy(failure, &lost);
}

/* A transaction failed. returns 0: try again | negative */
static int treat(struct el_projection_worker *worker, struct attempt *attempt, struct trouble *trouble, int rc,
                 uint32_t *limit, struct evlog_failure *failure)
{
    uint32_t first = attempt->first;
    if (attempt->hurried && rc != EVLOG_ERR_CLOSED && !el_projection_may_pass(rc)) {
        trouble->careful = true; /* which one was it? */
        attempt->reached = first;
        return 0;
    }
    if (attempt->in_handler && rc != EVLOG_ERR_CLOSED && !el_projection_may_pass(rc)) {
        rc = blame(worker, rc, failure);
    }
    if (attempt->in_handler && !el_projection_is_store_fault(rc)) {
        rc = treat_event(worker, attempt, trouble, rc, limit, failure);
        attempt->reached = first;
        return rc;
    }
    trouble->doubt = attempt->committing && rc == EVLOG_ERR_UNREACHABLE;
    attempt->reached = trouble->doubt ? attempt->reached : first;
    return wait_for_store(worker, trouble, rc, failure);
}

/* So much at most in one transaction. */
static uint32_t next_limit(const struct el_projection_worker *worker, const struct attempt *attempt)
{
    uint32_t limit = attempt->reached, left = worker->projection->options.batch_count_max;
    while (limit < worker->item_count && left > 0) {
        left -= !worker->items[limit++]->done;
    }
    return limit;
}

/* One turn of the loop below. returns 0 | negative */
static int turn(struct el_projection_worker *worker, struct attempt *attempt, struct trouble *trouble, uint32_t *limit,
                struct evlog_failure *failure)
{
    int rc = trouble->doubt ? was_made(worker, failure) : 0;
    if (rc < 0) {
        return wait_for_store(worker, trouble, rc, failure);
    }
    if (rc == 1) {
        settle(worker, attempt); /* touched, reached and gain are still those of that try */
        trouble->doubt = false;
        *limit = next_limit(worker, attempt);
        return 0;
    }
    uint32_t first = trouble->doubt ? attempt->first : attempt->reached; /* not made: all of it again */
    trouble->doubt = false;
    *attempt = (struct attempt){.first = first, .limit = *limit};
    rc = transact(worker, attempt, trouble->careful, failure);
    if (rc != 0) {
        return treat(worker, attempt, trouble, rc, limit, failure);
    }
    settle(worker, attempt);
    *limit = next_limit(worker, attempt);
    trouble->since_ns = 0;
    trouble->store_tries = 0;
    return 0;
}

int el_projection_work(struct el_projection_worker *worker, struct evlog_failure *failure)
{
    struct attempt attempt = {.reached = 0};
    struct trouble trouble = {.event_index = UINT32_MAX};
    uint32_t limit = next_limit(worker, &attempt);
    int rc;
    do {
        rc = turn(worker, &attempt, &trouble, &limit, failure);
        EL_ASSERT(limit <= worker->item_count);
    } while (rc == 0 && (attempt.reached < worker->item_count || trouble.doubt) && !is_halted(worker));
    for (uint32_t i = 0; worker->lane >= 0 && i < attempt.reached; i++) {
        worker->items[i]->done = true;
    }
    return rc;
}

/* The projection itself, over the whole batch, where what lanes have done is passed over; placing: over none of it. */
static int apply_self(struct evlog_projection *projection, bool placing, struct evlog_failure *failure)
{
    struct el_projection_worker *self = &projection->self;
    self->placing = placing;
    self->item_count = placing ? 0 : projection->item_count;
    for (uint32_t i = 0; i < self->item_count; i++) {
        self->items[i] = &projection->items[i];
    }
    self->counts = (struct evlog_projection_counts){.applied = 0};
    int rc = el_projection_work(self, failure);
    projection->counts.applied += self->counts.applied;
    projection->counts.skipped += self->counts.skipped;
    projection->counts.dead += self->counts.dead;
    projection->counts.retries += self->counts.retries;
    projection->counts.transactions += self->counts.transactions;
    return rc;
}

static bool is_placed(const struct evlog_projection *projection)
{
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        if (!projection->feeds[i].stored) {
            return false;
        }
    }
    return true;
}

/* Lanes begin from a checkpoint that is whole: no partition without a place, no place of a lane ahead of it. */
static int divide(struct evlog_projection *projection, struct evlog_failure *failure)
{
    int rc = is_placed(projection) ? 0 : apply_self(projection, true, failure);
    return rc == 0 ? el_projection_lanes_run(projection, failure) : rc;
}

int el_projection_apply(struct evlog_projection *projection, struct evlog_failure *failure)
{
    bool divided = projection->lanes.count > 0 && projection->ahead_count == 0 && projection->item_count > 1;
    int rc = divided ? divide(projection, failure) : 0;
    return rc == 0 ? apply_self(projection, false, failure) : rc;
}
