/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes: events of different keys applied at the same time, each lane on a thread and a connection to the store of its
 * own. Why this way: docs/decisions/0017-lanes.md.
 *
 * 1. A batch is divided by key: a key is always of the same lane, so its events keep their order.
 * 2. Each lane applies its share in transactions of its own. Each of these also stores the lane's place: of this
 *    partition, the events of this lane before this offset are applied.
 * 3. When all lanes have ended, the projection moves the checkpoint behind the batch, and in the same transaction takes
 *    the places of the lanes away. Nothing else moves the checkpoint.
 *
 * Whatever happens in between, the next run finds the checkpoint and the places ahead of it. It applies what lies
 * between, alone, passing over what a lane has applied, until the checkpoint has passed all places; only then are
 * batches divided again, into as many lanes as it likes.
 *
 * The lease is kept by the projection's own thread meanwhile. Each transaction of a lane checks it as every other does.
 */
#include "fail.h"
#include "projection_state.h"

#include <core/alloc.h>
#include <core/hash.h>
#include <signal.h>
#include <stdio.h>

#define LOOK_NS (50 * EL_NS_PER_MS) /* between two looks at the world while lanes work */

/* --- which lane --------------------------------------------------------------------------------------------------- */

int32_t el_projection_lane_of(const struct evlog_projection *projection, const struct evlog_event *event, uint32_t feed,
                              int32_t count)
{
    /* Events without a key keep the order of their partition. */
    int32_t partition = projection->feeds[feed].saved.partition;
    uint64_t hash = event->key.data == NULL ? el_xxh3(&partition, sizeof partition)
                                            : el_xxh3(event->key.data, event->key.len);
    EL_ASSERT(count > 0);
    return (int32_t)(hash % (uint64_t)count);
}

bool el_projection_is_ahead(const struct evlog_projection *projection, const struct evlog_event *event, uint32_t feed)
{
    for (uint32_t i = 0; i < projection->ahead_count; i++) {
        const struct el_projection_ahead *ahead = &projection->ahead[i];
        if (ahead->feed == feed && event->offset < ahead->next_offset &&
            el_projection_lane_of(projection, event, feed, ahead->lane_count) == ahead->lane) {
            return true;
        }
    }
    return false;
}

void el_projection_forget_ahead(struct evlog_projection *projection)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < projection->ahead_count; i++) {
        const struct el_projection_ahead *ahead = &projection->ahead[i];
        if (projection->feeds[ahead->feed].saved.next_offset < ahead->next_offset) {
            projection->ahead[kept++] = *ahead;
        }
    }
    projection->ahead_count = kept;
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

static void *run_thread(void *arg)
{
    struct el_projection_worker *worker = arg;
    struct el_projection_lanes *lanes = &worker->projection->lanes;
    (void)pthread_mutex_lock(&lanes->lock);
    while (true) {
        while (!worker->working && !lanes->ending) {
            (void)pthread_cond_wait(&lanes->changed, &lanes->lock);
        }
        if (!worker->working) {
            break;
        }
        (void)pthread_mutex_unlock(&lanes->lock);
        int rc = el_projection_work(worker, &worker->failure);
        (void)pthread_mutex_lock(&lanes->lock);
        worker->rc = rc;
        worker->working = false;
        (void)pthread_cond_broadcast(&lanes->changed);
    }
    (void)pthread_mutex_unlock(&lanes->lock);
    return NULL;
}

/* Signals are for the program's own threads. */
static int start_thread(struct el_projection_worker *worker, struct evlog_failure *failure)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&worker->thread, NULL, run_thread, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    worker->threaded = rc == 0;
    return rc == 0 ? 0 : el_fail(failure, EVLOG_ERR_IO, "no thread for a lane of a projection");
}

static int open_worker(struct evlog_projection *projection, int32_t lane, struct evlog_failure *failure)
{
    const struct evlog_projection_options *options = &projection->options;
    struct el_projection_worker *worker = &projection->lanes.workers[lane];
    worker->projection = projection;
    worker->lane = lane;
    worker->items = el_calloc(projection->item_room, sizeof *worker->items);
    if (worker->items == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a lane of projection %s", options->name);
    }
    int rc = projection->store->calls->lane(projection->store, &worker->store, failure);
    if (rc == 0 && options->on_start != NULL) {
        rc = options->on_start(options->arg, worker->store, failure);
    }
    worker->started = rc == 0;
    return rc == 0 ? start_thread(worker, failure) : rc;
}

int el_projection_lanes_open(struct evlog_projection *projection, struct evlog_failure *failure)
{
    const struct evlog_projection_options *options = &projection->options;
    struct el_projection_lanes *lanes = &projection->lanes;
    int rc = 0;
    if (options->parallel <= 1) {
        return 0;
    }
    if (projection->store->calls->lane == NULL) {
        (void)el_fail(failure, EVLOG_ERR_UNSUPPORTED, "the store of projection %s has one writer", options->name);
        el_fail_hint(failure, "apply one event after the other there, or use a database that takes several writers");
        return EVLOG_ERR_UNSUPPORTED;
    }
    lanes->workers = el_calloc(options->parallel, sizeof *lanes->workers);
    if (lanes->workers == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for lanes of projection %s", options->name);
    }
    (void)pthread_mutex_init(&lanes->lock, NULL);
    (void)pthread_mutex_init(&lanes->burying, NULL);
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&lanes->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    lanes->ready = true;
    for (uint32_t i = 0; rc == 0 && i < options->parallel; i++) {
        lanes->count = i + 1;
        rc = open_worker(projection, (int32_t)i, failure);
    }
    return rc;
}

void el_projection_lanes_close(struct evlog_projection *projection)
{
    const struct evlog_projection_options *options = &projection->options;
    struct el_projection_lanes *lanes = &projection->lanes;
    if (!lanes->ready) {
        return;
    }
    (void)pthread_mutex_lock(&lanes->lock);
    lanes->ending = true;
    (void)pthread_cond_broadcast(&lanes->changed);
    (void)pthread_mutex_unlock(&lanes->lock);
    for (uint32_t i = 0; i < lanes->count; i++) {
        struct el_projection_worker *worker = &lanes->workers[i];
        if (worker->threaded) {
            (void)pthread_join(worker->thread, NULL);
        }
        if (worker->started && options->on_end != NULL) {
            (void)options->on_end(options->arg, worker->store, NULL);
        }
        evlog_projection_store_close(worker->store);
        el_free(worker->items);
        el_free(worker->steps);
        el_free(worker->moves);
    }
    (void)pthread_cond_destroy(&lanes->changed);
    (void)pthread_mutex_destroy(&lanes->burying);
    (void)pthread_mutex_destroy(&lanes->lock);
    el_free(lanes->workers);
    *lanes = (struct el_projection_lanes){.count = 0};
}

static int grow_worker(struct el_projection_worker *worker, uint32_t feed_room)
{
    struct el_projection_step *steps = el_realloc(worker->steps, feed_room * sizeof *steps);
    if (steps == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    worker->steps = steps;
    struct evlog_projection_move *moves = el_realloc(worker->moves, feed_room * sizeof *moves);
    if (moves == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    worker->moves = moves;
    return 0;
}

int el_projection_lanes_grow(struct evlog_projection *projection, uint32_t feed_room)
{
    int rc = grow_worker(&projection->self, feed_room);
    for (uint32_t i = 0; rc == 0 && i < projection->lanes.count; i++) {
        rc = grow_worker(&projection->lanes.workers[i], feed_room);
    }
    return rc;
}

/* --- a round ------------------------------------------------------------------------------------------------------ */

/* Give each lane its share; what changes nothing is nobody's. */
static void divide(struct evlog_projection *projection)
{
    struct el_projection_lanes *lanes = &projection->lanes;
    for (uint32_t i = 0; i < lanes->count; i++) {
        struct el_projection_worker *worker = &lanes->workers[i];
        worker->item_count = 0;
        worker->rc = 0;
        worker->counts = (struct evlog_projection_counts){.applied = 0};
        memset(worker->steps, 0, projection->feed_count * sizeof *worker->steps);
    }
    for (uint32_t i = 0; i < projection->item_count; i++) {
        struct el_projection_item *item = &projection->items[i];
        EL_ASSERT(!item->done);
        if (item->wanted || projection->options.count_versions) {
            int32_t lane = el_projection_lane_of(projection, &item->event, item->feed, (int32_t)lanes->count);
            struct el_projection_worker *worker = &lanes->workers[lane];
            worker->items[worker->item_count++] = item;
        }
    }
}

static bool is_working(const struct el_projection_lanes *lanes)
{
    for (uint32_t i = 0; i < lanes->count; i++) {
        if (lanes->workers[i].working) {
            return true;
        }
    }
    return false;
}

/* Wait until all lanes have ended; a reason to stop makes that soon. Lock held. returns that reason, or 0 */
static int await(struct evlog_projection *projection, struct evlog_failure *failure)
{
    struct el_projection_lanes *lanes = &projection->lanes;
    int rc = 0;
    while (is_working(lanes)) {
        int64_t until_ns = el_now_ns() + LOOK_NS;
        struct timespec until = {until_ns / (1000 * EL_NS_PER_MS), until_ns % (1000 * EL_NS_PER_MS)};
        (void)pthread_cond_timedwait(&lanes->changed, &lanes->lock, &until);
        if (rc == 0 && is_working(lanes)) {
            (void)pthread_mutex_unlock(&lanes->lock);
            rc = el_projection_tick(projection, failure);
            if (rc != 0) {
                __atomic_store_n(&lanes->halt, 1, __ATOMIC_RELAXED);
            }
            (void)pthread_mutex_lock(&lanes->lock);
        }
    }
    return rc;
}

/* What the lanes have done, and the worst that any of them says: a lost lease before anything else. */
static int gather(struct evlog_projection *projection, struct evlog_failure *failure)
{
    const struct el_projection_worker *worst = NULL;
    uint64_t applied = 0;
    for (uint32_t i = 0; i < projection->lanes.count; i++) {
        const struct el_projection_worker *worker = &projection->lanes.workers[i];
        applied += worker->counts.applied;
        projection->counts.skipped += worker->counts.skipped;
        projection->counts.dead += worker->counts.dead;
        projection->counts.retries += worker->counts.retries;
        projection->counts.transactions += worker->counts.transactions;
        if (worker->rc != 0 && (worst == NULL || worker->rc == EVLOG_ERR_CONFLICT)) {
            worst = worker;
        }
    }
    projection->counts.applied += applied;
    el_projection_measure(projection, (int64_t)applied);
    return worst == NULL ? 0 : el_fail_copy(failure, &worst->failure);
}

int el_projection_lanes_run(struct evlog_projection *projection, struct evlog_failure *failure)
{
    struct el_projection_lanes *lanes = &projection->lanes;
    divide(projection);
    __atomic_store_n(&lanes->halt, 0, __ATOMIC_RELAXED);
    (void)pthread_mutex_lock(&lanes->lock);
    for (uint32_t i = 0; i < lanes->count; i++) {
        lanes->workers[i].working = lanes->workers[i].item_count > 0;
    }
    (void)pthread_cond_broadcast(&lanes->changed);
    int rc = await(projection, failure);
    (void)pthread_mutex_unlock(&lanes->lock);
    int worst = gather(projection, rc == 0 ? failure : NULL);
    return rc != 0 ? rc : worst;
}
