/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions of a projection: a run of events and the checkpoint behind them, both or neither.
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

#define CLOCK_ITEMS 16 /* between two looks at the clock */
#define STORE_BACKOFF_MS 50
#define STORE_BACKOFF_MAX_MS 1000
#define RATE_NS (2000 * EL_NS_PER_MS)

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
    return code == EVLOG_ERR_DATABASE || code == EVLOG_ERR_NO_MEMORY || code == EVLOG_ERR_CLOSED ||
           code == EVLOG_ERR_CONFLICT || el_projection_may_pass(code);
}

bool el_projection_may_pass(int code)
{
    return code == EVLOG_ERR_LOCKED || code == EVLOG_ERR_UNREACHABLE;
}

/* --- one transaction ---------------------------------------------------------------------------------------------- */

static void touch(struct evlog_projection *projection, const struct el_projection_item *item)
{
    struct el_projection_feed *feed = &projection->feeds[item->feed];
    if (!feed->touched) {
        feed->touched = true;
        feed->next = feed->saved;
    }
    size_t len = EL_MIN(item->view.id.len, sizeof feed->next.last_id - 1);
    feed->next.next_offset = item->event.offset + 1;
    feed->next.leader_epoch = item->event.leader_epoch;
    feed->next.append_time_ns = item->event.append_time_ns;
    memcpy(feed->next.last_id, len == 0 ? "" : item->view.id.data, len);
    feed->next.last_id[len] = '\0';
}

/* The first transaction places every partition: one that comes later can be told from one that was there. */
static void touch_unstored(struct evlog_projection *projection)
{
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        struct el_projection_feed *feed = &projection->feeds[i];
        if (!feed->stored && !feed->touched) {
            feed->touched = true;
            feed->next = feed->saved;
        }
    }
}

/* Where the reader has come behind its last event: control batches, compacted ranges. */
static void touch_ends(struct evlog_projection *projection)
{
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        struct el_projection_feed *feed = &projection->feeds[i];
        const struct el_feed *reading = el_consumer_find(&projection->consumer, feed->saved.topic,
                                                         feed->saved.partition);
        int64_t at = feed->touched ? feed->next.next_offset : feed->saved.next_offset;
        if (reading->position > at) {
            if (!feed->touched) {
                feed->touched = true;
                feed->next = feed->saved;
            }
            feed->next.next_offset = reading->position;
        }
    }
}

static int apply_item(struct evlog_projection *projection, struct attempt *attempt,
                      const struct el_projection_item *item, struct evlog_failure *failure)
{
    const struct evlog_projection_options *options = &projection->options;
    const struct el_projection_feed *feed = &projection->feeds[item->feed];
    int64_t version = -1;
    if (options->count_versions && feed->saved.whole && item->event.key.data != NULL &&
        projection->store->calls->count != NULL) {
        int rc = projection->store->calls->count(projection->store, &projection->lease, &item->event, &version,
                                                 failure);
        if (rc != 0) {
            return el_projection_is_store_fault(rc) ? rc : EVLOG_ERR_DATABASE;
        }
    }
    if (!item->wanted || item->fate != EL_FATE_APPLY) {
        attempt->gain.skipped += item->fate == EL_FATE_SKIP;
        attempt->gain.dead += item->fate == EL_FATE_DEAD;
        return 0;
    }
    struct evlog_projection_event event = {
        .event = &item->event,
        .type = item->view.type,
        .id = item->view.id,
        .data = item->view.data,
        .version = version,
        .replaying = item->event.offset < feed->saved.history_offset,
    };
    attempt->in_handler = true;
    int rc = options->on_event(options->arg, projection->store, &event, failure);
    if (rc == 0) {
        attempt->in_handler = false;
        attempt->gain.applied++;
    }
    return rc;
}

static int apply_items(struct evlog_projection *projection, struct attempt *attempt, struct evlog_failure *failure)
{
    int64_t until_ns = el_deadline(projection->options.batch_ms_max);
    for (uint32_t i = attempt->first; i < attempt->limit; i++) {
        const struct el_projection_item *item = &projection->items[i];
        int rc = apply_item(projection, attempt, item, failure);
        if (rc != 0) {
            return rc;
        }
        touch(projection, item);
        attempt->reached = i + 1;
        bool look = attempt->reached % CLOCK_ITEMS == 0;
        if (look && el_now_ns() >= until_ns) {
            break;
        }
    }
    return 0;
}

static int save(struct evlog_projection *projection, struct attempt *attempt, struct evlog_failure *failure)
{
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        const struct el_projection_feed *feed = &projection->feeds[i];
        if (feed->touched) {
            projection->moves[attempt->move_count++] = (struct evlog_projection_move){
                .old_offset = feed->stored ? feed->saved.next_offset : -1,
                .position = feed->next,
            };
        }
    }
    attempt->gain.rate_milli = projection->rate_milli;
    return projection->store->calls->save(projection->store, &projection->lease, projection->moves, attempt->move_count,
                                          &attempt->gain, failure);
}

static void untouch(struct evlog_projection *projection)
{
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        projection->feeds[i].touched = false;
    }
}

static int transact(struct evlog_projection *projection, struct attempt *attempt, bool careful,
                    struct evlog_failure *failure)
{
    const struct evlog_projection_store_calls *calls = projection->store->calls;
    untouch(projection);
    attempt->reached = attempt->first;
    int rc = calls->begin(projection->store, failure);
    if (rc != 0) {
        return rc;
    }
    attempt->hurried = !careful && calls->hurry != NULL;
    if (attempt->hurried) {
        calls->hurry(projection->store);
    }
    rc = apply_items(projection, attempt, failure);
    if (rc == 0 && attempt->hurried) {
        rc = calls->settle(projection->store, failure);
    }
    attempt->hurried = attempt->hurried && rc != 0;
    if (rc == 0) {
        touch_unstored(projection);
        if (attempt->reached == projection->item_count) {
            touch_ends(projection);
        }
        rc = save(projection, attempt, failure);
    }
    if (rc == 0) {
        attempt->committing = true;
        rc = calls->commit(projection->store, failure);
    }
    if (rc != 0) {
        calls->rollback(projection->store);
    }
    return rc;
}

/* --- afterwards --------------------------------------------------------------------------------------------------- */

static void measure(struct evlog_projection *projection, int64_t applied)
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

static void settle(struct evlog_projection *projection, const struct attempt *attempt)
{
    int64_t now_ns = el_now_ns();
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        struct el_projection_feed *feed = &projection->feeds[i];
        if (feed->touched) {
            feed->saved = feed->next;
            feed->stored = true;
            feed->touched = false;
        }
    }
    projection->counts.applied += (uint64_t)attempt->gain.applied;
    projection->counts.skipped += (uint64_t)attempt->gain.skipped;
    projection->counts.dead += (uint64_t)attempt->gain.dead;
    projection->counts.transactions++;
    projection->renew_at_ns = now_ns + projection->options.lease_ms * EL_NS_PER_MS / 3;
    projection->save_at_ns = now_ns;
    measure(projection, attempt->gain.applied);
}

/* --- a commit whose answer was lost ------------------------------------------------------------------------------- */

struct lookup {
    const struct evlog_projection *projection;
    uint32_t made, left;
};

static int look_up(void *arg, const struct evlog_projection_position *position)
{
    struct lookup *lookup = arg;
    for (uint32_t i = 0; i < lookup->projection->feed_count; i++) {
        const struct el_projection_feed *feed = &lookup->projection->feeds[i];
        if (feed->touched && feed->saved.partition == position->partition &&
            strcmp(feed->saved.topic, position->topic) == 0) {
            bool moved = feed->next.next_offset != feed->saved.next_offset || !feed->stored;
            lookup->made += moved && position->next_offset == feed->next.next_offset;
            lookup->left += position->next_offset == feed->saved.next_offset;
        }
    }
    return 0;
}

/* Was it made? returns 1 | 0 | negative */
static int was_made(struct evlog_projection *projection, struct evlog_failure *failure)
{
    struct lookup lookup = {.projection = projection};
    int rc = projection->store->calls->begin(projection->store, failure);
    if (rc == 0) {
        rc = projection->store->calls->positions(projection->store, projection->lease.name, look_up, &lookup, failure);
        projection->store->calls->rollback(projection->store);
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

/* The store is locked or away. returns 0: try again | negative */
static int wait_for_store(struct evlog_projection *projection, struct trouble *trouble, int code,
                          struct evlog_failure *failure)
{
    int64_t now_ns = el_now_ns();
    trouble->since_ns = trouble->since_ns == 0 ? now_ns : trouble->since_ns;
    bool patient = now_ns - trouble->since_ns < projection->options.store_patience_ms * EL_NS_PER_MS;
    if (!el_projection_may_pass(code) || !patient || el_projection_stopping(projection)) {
        return code;
    }
    int64_t ms = backoff_ms(projection, ++trouble->store_tries, STORE_BACKOFF_MS, STORE_BACKOFF_MAX_MS);
    return el_projection_wait(projection, ms, failure);
}

/* An event was tried for the last time. returns 0: it has a fate, try again | negative */
static int give_up(struct evlog_projection *projection, struct el_projection_item *item, int code,
                   struct evlog_failure *failure)
{
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
static int treat_event(struct evlog_projection *projection, const struct attempt *attempt, struct trouble *trouble,
                       int code, uint32_t *limit, struct evlog_failure *failure)
{
    uint32_t index = attempt->reached;
    if (index > attempt->first) {
        *limit = index; /* what came before it first */
        return 0;
    }
    trouble->event_tries = trouble->event_index == index ? trouble->event_tries + 1 : 1;
    trouble->event_index = index;
    *limit = index + 1;
    if (el_projection_stopping(projection)) {
        return code;
    }
    if (trouble->event_tries > projection->options.retry_max) {
        return give_up(projection, &projection->items[index], code, failure);
    }
    projection->counts.retries++;
    return el_projection_wait(projection,
                              backoff_ms(projection, trouble->event_tries, projection->options.retry_backoff_ms,
                                         projection->options.retry_backoff_max_ms),
                              failure);
}

/* Whose fault is it that a handler failed with code? returns code: the event's | what a lost lease or the store say */
static int blame(struct evlog_projection *projection, int code, struct evlog_failure *failure)
{
    struct evlog_failure lost = EVLOG_FAILURE_INIT;
    int rc = projection->store->calls->renew(projection->store, &projection->lease, &projection->paused, &lost);
    return rc == 0 ? code : el_fail_copy(failure, &lost);
}

/* One turn of the loop below. returns 0 | negative */
static int turn(struct evlog_projection *projection, struct attempt *attempt, struct trouble *trouble, uint32_t *limit,
                struct evlog_failure *failure)
{
    int rc = trouble->doubt ? was_made(projection, failure) : 0;
    if (rc < 0) {
        return wait_for_store(projection, trouble, rc, failure);
    }
    if (rc == 1) {
        settle(projection, attempt); /* touched, reached and gain are still those of that try */
        trouble->doubt = false;
        *limit = projection->item_count;
        return 0;
    }
    uint32_t first = trouble->doubt ? attempt->first : attempt->reached; /* not made: all of it again */
    trouble->doubt = false;
    *attempt = (struct attempt){.first = first, .limit = *limit};
    rc = transact(projection, attempt, trouble->careful, failure);
    if (rc == 0) {
        settle(projection, attempt);
        *limit = projection->item_count;
        trouble->since_ns = 0;
        trouble->store_tries = 0;
        return 0;
    }
    if (attempt->hurried && rc != EVLOG_ERR_CLOSED && !el_projection_may_pass(rc)) {
        trouble->careful = true; /* which one was it? */
        attempt->reached = first;
        return 0;
    }
    if (attempt->in_handler && rc != EVLOG_ERR_CLOSED && !el_projection_may_pass(rc)) {
        rc = blame(projection, rc, failure);
    }
    if (attempt->in_handler && !el_projection_is_store_fault(rc)) {
        rc = treat_event(projection, attempt, trouble, rc, limit, failure);
        attempt->reached = first;
        return rc;
    }
    trouble->doubt = attempt->committing && rc == EVLOG_ERR_UNREACHABLE;
    attempt->reached = trouble->doubt ? attempt->reached : first;
    return wait_for_store(projection, trouble, rc, failure);
}

int el_projection_apply(struct evlog_projection *projection, struct evlog_failure *failure)
{
    struct attempt attempt = {.reached = 0};
    struct trouble trouble = {.event_index = UINT32_MAX};
    uint32_t limit = projection->item_count;
    int rc;
    do {
        rc = turn(projection, &attempt, &trouble, &limit, failure);
        EL_ASSERT(limit <= projection->item_count);
    } while (rc == 0 && (attempt.reached < projection->item_count || trouble.doubt));
    return rc;
}
