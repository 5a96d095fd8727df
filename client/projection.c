/* SPDX-License-Identifier: Apache-2.0
 *
 * A projection that runs: its lease, and the loop.
 *
 * 1. evlog_projection_open(): the lease is claimed (which makes the projection when it is new), on_start runs, the
 *    checkpoint is compared with the log, and reading begins behind it.
 * 2. evlog_projection_run(): read a batch, apply it, until there is a reason to stop. A few times a second it looks up:
 *    is the lease to be renewed, is a pause asked for, have topics grown.
 * 3. evlog_projection_close() gives the lease back, with the error that ended the run, so that a status can tell it.
 *
 * A lease that is lost is noticed at the next renewal or commit, which then keeps nothing.
 */
#include "fail.h"
#include "process_mark.h"
#include "projection_state.h"

#include <core/alloc.h>
#include <stdio.h>
#include <time.h>

#define STEP_MS 20         /* of a wait, between looks at whether to stop */
#define GROW_MS 5000       /* between looks for new partitions */
#define SAVE_MS 1000       /* a checkpoint that moves without events is saved so often */
#define CLAIM_AGAIN_MS 100 /* in a database that is held by somebody else */
#define READ_AGAIN_MS 500  /* behind a broker that is away */
#define BATCH_MAX 100000   /* events */
#define LEASE_MIN_MS 100

bool el_projection_stopping(const struct evlog_projection *projection)
{
    return __atomic_load_n(&projection->stop, __ATOMIC_RELAXED) != 0;
}

void evlog_projection_stop(struct evlog_projection *projection)
{
    __atomic_store_n(&projection->stop, 1, __ATOMIC_RELAXED);
}

/* --- looking up --------------------------------------------------------------------------------------------------- */

static int renew(struct evlog_projection *projection, struct evlog_failure *failure)
{
    int64_t now_ns = el_now_ns();
    if (now_ns < projection->renew_at_ns) {
        return 0;
    }
    /* A pause is to be seen soon, also while the lease has time. */
    int64_t pause_ms = EL_MIN(projection->options.lease_ms / 3, 1000);
    projection->renew_at_ns = now_ns + pause_ms * EL_NS_PER_MS;
    int rc = projection->store->calls->renew(projection->store, &projection->lease, &projection->paused, failure);
    return el_projection_may_pass(rc) ? 0 : rc;
}

static void count_lag(struct evlog_projection *projection)
{
    uint64_t lag = 0;
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        const struct evlog_projection_position *saved = &projection->feeds[i].saved;
        const struct el_feed *reading = el_consumer_find(&projection->consumer, saved->topic, saved->partition);
        int64_t end = reading->high_watermark == INT64_MAX ? projection->feeds[i].target_offset
                                                           : reading->high_watermark;
        lag += end > saved->next_offset ? (uint64_t)(end - saved->next_offset) : 0;
    }
    projection->counts.lag = lag;
}

int el_projection_tick(struct evlog_projection *projection, struct evlog_failure *failure)
{
    int64_t now_ns = el_now_ns();
    int rc = renew(projection, failure);
    if (rc == 0 && now_ns >= projection->turn_at_ns) {
        projection->turn_at_ns = now_ns + EL_PROJECTION_TURN_MS * EL_NS_PER_MS;
        (void)el_client_tell_log(projection->client);
        count_lag(projection);
        if (projection->options.on_turn != NULL) {
            rc = projection->options.on_turn(projection->options.turn_arg, projection);
        }
    }
    return rc;
}

int el_projection_wait(struct evlog_projection *projection, int64_t ms, struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(ms);
    while (!el_projection_stopping(projection) && el_now_ns() < deadline_ns) {
        struct timespec step = {0, STEP_MS * EL_NS_PER_MS};
        int64_t left_ns = deadline_ns - el_now_ns();
        step.tv_nsec = (long)EL_MAX(EL_MIN(left_ns, step.tv_nsec), 1);
        (void)nanosleep(&step, NULL);
        int rc = el_projection_tick(projection, failure);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int look_up(struct evlog_projection *projection, struct evlog_failure *failure)
{
    int64_t now_ns = el_now_ns();
    int rc = el_projection_tick(projection, failure);
    if (rc == 0 && now_ns >= projection->grow_at_ns && projection->options.until == NULL) {
        projection->grow_at_ns = now_ns + GROW_MS * EL_NS_PER_MS;
        rc = el_projection_grow(projection, failure);
        rc = evlog_error_class_of(rc) == EVLOG_CLASS_RETRY ? 0 : rc;
    }
    return rc;
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static bool is_caught_up(const struct evlog_projection *projection)
{
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        const struct el_projection_feed *feed = &projection->feeds[i];
        if (!feed->stored || feed->saved.next_offset < feed->target_offset) {
            return false;
        }
    }
    return true;
}

/* The reader has come further without an event. */
static bool has_moved(const struct evlog_projection *projection)
{
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        const struct el_projection_feed *feed = &projection->feeds[i];
        const struct el_feed *reading = el_consumer_find(&projection->consumer, feed->saved.topic,
                                                         feed->saved.partition);
        if (!feed->stored || reading->position > feed->saved.next_offset) {
            return true;
        }
    }
    return false;
}

static int read_and_apply(struct evlog_projection *projection, struct evlog_failure *failure)
{
    bool ends = projection->options.until_caught_up || projection->options.until != NULL;
    int rc = el_projection_read(projection, EL_PROJECTION_TURN_MS, failure);
    if (rc != 0) {
        /* A live projection outlives its broker's restarts. */
        return rc == EVLOG_ERR_UNREACHABLE && !ends ? el_projection_wait(projection, READ_AGAIN_MS, failure) : rc;
    }
    bool due = ends || el_now_ns() - projection->save_at_ns >= SAVE_MS * EL_NS_PER_MS;
    if (projection->item_count > 0 || (due && has_moved(projection))) {
        rc = el_projection_apply(projection, failure);
    }
    return rc;
}

static int run(struct evlog_projection *projection, struct evlog_failure *failure)
{
    bool ends = projection->options.until_caught_up || projection->options.until != NULL;
    int rc = 0;
    while (rc == 0 && !el_projection_stopping(projection)) {
        if (ends && is_caught_up(projection)) {
            break;
        }
        rc = look_up(projection, failure);
        if (rc != 0) {
            break;
        }
        rc = projection->paused ? el_projection_wait(projection, EL_PROJECTION_TURN_MS, failure)
                                : read_and_apply(projection, failure);
    }
    return rc;
}

static void keep_error(struct evlog_projection *projection, int rc, const struct evlog_failure *failure)
{
    projection->error[0] = '\0';
    if (rc != 0) {
        (void)snprintf(projection->error, sizeof projection->error, "%s",
                       failure->text[0] == '\0' ? evlog_error_text(rc) : failure->text);
    }
}

/* A callback may return a code and say nothing. */
static void give(const struct evlog_projection *projection, int rc, struct evlog_failure *full,
                 struct evlog_failure *failure)
{
    if (full->code != rc) {
        (void)el_fail(full, rc, "projection %s: %s", projection->options.name, evlog_error_text(rc));
    }
    (void)el_fail_copy(failure, full);
}

int evlog_projection_run(struct evlog_projection *projection, struct evlog_failure *failure)
{
    struct evlog_failure full = EVLOG_FAILURE_INIT;
    int rc = run(projection, &full);
    if (rc != 0 && el_projection_stopping(projection) && rc != EVLOG_ERR_CONFLICT) {
        rc = 0; /* it was about to be tried again */
    }
    keep_error(projection, rc == EVLOG_ERR_CLOSED ? 0 : rc, &full);
    if (rc != 0) {
        give(projection, rc, &full, failure);
    }
    count_lag(projection);
    return rc;
}

void evlog_projection_counts(const struct evlog_projection *projection, struct evlog_projection_counts *counts)
{
    *counts = projection->counts;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static bool is_name(const char *name)
{
    size_t len = name == NULL ? 0 : strlen(name);
    return len > 0 && len <= EVLOG_PROJECTION_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

static int check_options(const struct evlog_projection_options *options, struct evlog_failure *failure)
{
    if (!is_name(options->name)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a projection's name has 1 to %d letters, digits, '.', '_' and '-'",
                       EVLOG_PROJECTION_NAME_MAX);
    }
    if (options->topic_count == 0 || options->on_event == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "projection %s needs a topic and a handler", options->name);
    }
    if (options->batch_count_max < 1 || options->batch_count_max > BATCH_MAX || options->lease_ms < LEASE_MIN_MS) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a batch has 1 to %d events, a lease at least %d ms", BATCH_MAX,
                       LEASE_MIN_MS);
    }
    if (options->parallel > EVLOG_PROJECTION_PARALLEL_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "at most %d events are applied in parallel",
                       EVLOG_PROJECTION_PARALLEL_MAX);
    }
    return 0;
}

static int claim(struct evlog_projection *projection, struct evlog_failure *failure)
{
    const struct evlog_projection_options *options = &projection->options;
    char mark[EL_PROCESS_MARK_MAX], who[EL_PROCESS_MARK_MAX];
    el_process_mark(mark, who);
    struct evlog_projection_claim claim = {
        .name = options->name,
        .who = who,
        .mark = mark,
        .definition = options->definition,
        .accept_change = options->accept_change,
        .lease_ms = options->lease_ms,
        .on_setup = options->on_setup,
        .arg = options->arg,
    };
    int64_t deadline_ns = el_deadline(options->store_patience_ms);
    int rc = projection->store->calls->claim(projection->store, &claim, &projection->lease, failure);
    while (el_projection_may_pass(rc) && el_now_ns() < deadline_ns) {
        rc = options->on_turn == NULL ? 0 : options->on_turn(options->turn_arg, projection);
        if (rc != 0) {
            break;
        }
        struct timespec step = {0, CLAIM_AGAIN_MS * EL_NS_PER_MS};
        (void)nanosleep(&step, NULL);
        rc = projection->store->calls->claim(projection->store, &claim, &projection->lease, failure);
    }
    projection->claimed = rc == 0;
    return rc;
}

static int start(struct evlog_projection *projection, struct evlog_failure *failure)
{
    const struct evlog_projection_options *options = &projection->options;
    projection->item_room = options->batch_count_max * EL_MAX(options->parallel, 1u);
    projection->items = el_calloc(projection->item_room, sizeof *projection->items);
    projection->self.items = el_calloc(projection->item_room, sizeof *projection->self.items);
    if (projection->items == NULL || projection->self.items == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for batches of %u events", options->batch_count_max);
    }
    int rc = el_projection_filter(projection, failure);
    if (rc == 0) {
        rc = claim(projection, failure);
    }
    if (rc == 0 && options->on_start != NULL) {
        rc = options->on_start(options->arg, projection->store, failure);
    }
    projection->started = rc == 0;
    if (rc == 0) {
        rc = el_projection_lanes_open(projection, failure);
    }
    if (rc == 0) {
        rc = el_projection_place(projection, failure);
    }
    return rc;
}

int evlog_projection_open(struct evlog_client *client, struct evlog_projection_store *store,
                          const struct evlog_projection_options *given, struct evlog_projection **projection,
                          struct evlog_failure *failure)
{
    struct evlog_projection_options options = EVLOG_PROJECTION_OPTIONS_INIT;
    struct evlog_failure full = EVLOG_FAILURE_INIT;
    if (!EL_OPTIONS_TAKE(&options, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    int rc = check_options(&options, failure);
    if (rc != 0) {
        return rc;
    }
    struct evlog_projection *fresh = el_calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a projection");
    }
    fresh->client = client;
    fresh->store = store;
    fresh->self = (struct el_projection_worker){.projection = fresh, .store = store, .lane = -1};
    fresh->options = options;
    fresh->rate_milli = -1;
    el_arena_init(&fresh->pattern_arena, NULL, 0);
    el_arena_init(&fresh->arena, NULL, 0);
    rc = start(fresh, &full);
    if (rc != 0) {
        keep_error(fresh, rc == EVLOG_ERR_CLOSED ? 0 : rc, &full);
        give(fresh, rc, &full, failure);
        (void)evlog_projection_close(fresh, NULL);
        return rc;
    }
    fresh->grow_at_ns = el_deadline(GROW_MS);
    *projection = fresh;
    return 0;
}

int evlog_projection_close(struct evlog_projection *projection, struct evlog_failure *failure)
{
    int rc = 0;
    if (projection == NULL) {
        return 0;
    }
    const struct evlog_projection_options *options = &projection->options;
    el_projection_lanes_close(projection);
    if (projection->started && options->on_end != NULL) {
        (void)options->on_end(options->arg, projection->store, NULL);
    }
    if (projection->claimed) {
        rc = projection->store->calls->release(projection->store, &projection->lease,
                                               projection->error[0] == '\0' ? NULL : projection->error, failure);
    }
    if (projection->reading) {
        el_consumer_destroy(&projection->consumer);
    }
    for (uint32_t i = 0; i < projection->item_count; i++) {
        evlog_event_view_free(&projection->items[i].view);
    }
    evlog_producer_close(projection->producer);
    el_arena_reset(&projection->arena);
    el_arena_reset(&projection->pattern_arena);
    el_free(projection->pattern_scratch);
    el_free(projection->items);
    el_free(projection->feeds);
    el_free(projection->ahead);
    el_free(projection->self.items);
    el_free(projection->self.steps);
    el_free(projection->self.moves);
    el_free(projection);
    return rc;
}
