/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog_group_run(): a dispatcher (the caller's thread), workers, and what they hand to each other.
 *
 * 1. The dispatcher fetches as many leases as idle workers can take, keeps them, and queues them.
 * 2. A worker takes one lease, or a batch of one partition, and runs the handler. Outcomes are sent in the background:
 *    one whose answer is lost leads to another delivery, which may come at any time anyhow.
 * 3. A batch that failed as a whole is split when the options say so: halves wait on a stack, the first half runs
 *    first, so that order is kept; leases are kept all the while, so no attempt is used up.
 * 4. The end: nothing more is fetched, queued leases are released, workers end their handlers, outcomes are waited for.
 *
 * The run has a lock of its own; it is never held while the client's is wanted.
 */
#include "fail.h"
#include "lease_state.h"

#include <core/alloc.h>
#include <evlog/consumer.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define WORKER_COUNT_MAX 1024
#define BATCH_SIZE_MAX 10000
#define TURN_MS 100        /* longest wait of the dispatcher */
#define CAUGHT_UP_MS 1000  /* between looks while there is work */
#define SPLIT_DEPTH_MAX 32 /* halves of halves of at most 2^31 items */

/* Ends of the topics' partitions when the run began. */
struct goal {
    const char *topic;
    int32_t partition_count;
    int64_t *ends;                         /* [partition_count], and as many behind them for starts */
    struct evlog_group_progress *progress; /* [partition_count] */
};

struct run {
    struct evlog_group *group;
    struct evlog_group_run_options options;
    size_t batch_size; /* leases of one call of a handler */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const struct evlog_lease **queue; /* ring [queue_room], in the order they came */
    size_t queue_room, queue_first, queue_count;
    size_t idle_count; /* workers that wait */
    size_t busy_count; /* leases in handlers' hands */
    bool ending;
    pthread_t *threads; /* [thread_count] */
    size_t thread_count;
    struct goal *goals; /* [topic_count] of the group, NULL: not wanted */
    int64_t look_at_ns; /* next look at them */
};

/* What one worker needs. */
struct batch {
    const struct evlog_lease **leases; /* [batch_size] */
    struct evlog_result *results;      /* [batch_size] */
    struct evlog_settlement *outcomes; /* [batch_size] */
    size_t count;
};

/* --- handlers ----------------------------------------------------------------------------------------------------- */

static void result_init(struct evlog_result *result)
{
    result->outcome = EVLOG_ACK;
    result->delay_ms = -1;
    result->reason[0] = result->error[0] = '\0';
}

static void settle(const struct run *run, struct batch *batch, size_t first, size_t count, struct evlog_result *whole)
{
    for (size_t i = 0; i < count; i++) {
        struct evlog_result *result = whole != NULL ? whole : &batch->results[first + i];
        result->reason[sizeof result->reason - 1] = result->error[sizeof result->error - 1] = '\0';
        batch->outcomes[i] = (struct evlog_settlement){
            .lease = batch->leases[first + i],
            .outcome = result->outcome,
            .delay_ms = result->delay_ms,
            .reason = result->reason[0] == '\0' ? NULL : result->reason,
            .error = result->error[0] == '\0' ? NULL : result->error,
        };
    }
    (void)evlog_group_settle(run->group, batch->outcomes, count, false, NULL);
}

static void run_single(const struct run *run, struct batch *batch)
{
    result_init(&batch->results[0]);
    run->options.on_event(run->options.arg, batch->leases[0], &batch->results[0]);
    settle(run, batch, 0, 1, NULL);
}

/* Keep the leases of a part of a batch for one more run of the handler. */
static void keep_part(const struct run *run, const struct batch *batch, size_t first, size_t count)
{
    int64_t for_ms = run->options.handler_ms < 0 ? INT64_MAX : run->options.handler_ms;
    for (size_t i = 0; i < count; i++) {
        evlog_group_keep(run->group, batch->leases[first + i], for_ms);
    }
}

/* Run a batch, and its halves when it fails. */
static void run_batch(const struct run *run, struct batch *batch)
{
    struct {
        size_t first, count;
    } stack[SPLIT_DEPTH_MAX + 1] = {{0, batch->count}};
    size_t depth = 1;
    while (depth > 0) {
        size_t first = stack[depth - 1].first, count = stack[depth - 1].count;
        struct evlog_result whole;
        depth--;
        result_init(&whole);
        for (size_t i = 0; i < count; i++) {
            result_init(&batch->results[first + i]);
        }
        run->options.on_batch(run->options.arg, batch->leases + first, count, batch->results + first, &whole);
        if (whole.outcome == EVLOG_ACK) {
            settle(run, batch, first, count, NULL);
        } else if (!run->options.bisect || count == 1 || __atomic_load_n(&run->group->stopping, __ATOMIC_RELAXED)) {
            settle(run, batch, first, count, &whole);
        } else {
            EL_ASSERT(depth + 2 <= SPLIT_DEPTH_MAX + 1);
            for (size_t i = 0; i < count; i++) {
                el_emits_free(el_lease_of(batch->leases[first + i])); /* the halves emit anew */
            }
            keep_part(run, batch, first, count);
            for (size_t i = 0; i < depth; i++) {
                keep_part(run, batch, stack[i].first, stack[i].count);
            }
            stack[depth].first = first + count / 2;
            stack[depth++].count = count - count / 2;
            stack[depth].first = first;
            stack[depth++].count = count / 2;
        }
    }
}

/* --- queue -------------------------------------------------------------------------------------------------------- */

static const struct evlog_lease *peek(const struct run *run, size_t index)
{
    return run->queue[(run->queue_first + index) % run->queue_room];
}

/* Take the first lease, and those behind it that are of the same partition. Lock held, queue not empty. */
static void take_batch(struct run *run, struct batch *batch)
{
    const struct evlog_event *first = peek(run, 0)->event;
    size_t kept = 0;
    batch->count = 0;
    for (size_t i = 0; i < run->queue_count; i++) {
        const struct evlog_lease *lease = peek(run, i);
        bool same = lease->event->partition == first->partition && strcmp(lease->event->topic, first->topic) == 0;
        if (same && batch->count < run->batch_size) {
            batch->leases[batch->count++] = lease;
        } else {
            run->queue[(run->queue_first + kept++) % run->queue_room] = lease;
        }
    }
    run->queue_count = kept;
}

static void *work(void *arg)
{
    struct run *run = arg;
    struct batch batch = {
        .leases = el_calloc(run->batch_size, sizeof(struct evlog_lease *)),
        .results = el_calloc(run->batch_size, sizeof(struct evlog_result)),
        .outcomes = el_calloc(run->batch_size, sizeof(struct evlog_settlement)),
    };
    bool able = batch.leases != NULL && batch.results != NULL && batch.outcomes != NULL;
    (void)pthread_mutex_lock(&run->lock);
    run->idle_count += able;
    (void)pthread_cond_broadcast(&run->changed);
    while (able) {
        while (run->queue_count == 0 && !run->ending) {
            (void)pthread_cond_wait(&run->changed, &run->lock);
        }
        if (run->ending) {
            break;
        }
        take_batch(run, &batch);
        run->idle_count--;
        run->busy_count += batch.count;
        (void)pthread_mutex_unlock(&run->lock);
        if (run->options.on_batch != NULL) {
            run_batch(run, &batch);
        } else {
            run_single(run, &batch);
        }
        (void)pthread_mutex_lock(&run->lock);
        run->busy_count -= batch.count;
        run->idle_count++;
        (void)pthread_cond_broadcast(&run->changed);
    }
    (void)pthread_mutex_unlock(&run->lock);
    el_free(batch.leases);
    el_free(batch.results);
    el_free(batch.outcomes);
    return NULL;
}

/* Wait a little, or until a worker has something to say. Lock held. */
static void pause_turn(struct run *run)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TURN_MS * EL_NS_PER_MS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(&run->changed, &run->lock, &until);
}

/* Leases that can be put to work at once. Waits a little when there are none. */
static size_t room_for(struct run *run)
{
    (void)pthread_mutex_lock(&run->lock);
    size_t room = run->idle_count * run->batch_size;
    if (room <= run->queue_count) {
        pause_turn(run);
        room = run->idle_count * run->batch_size;
    }
    room = room <= run->queue_count ? 0 : room - run->queue_count;
    (void)pthread_mutex_unlock(&run->lock);
    return room;
}

static void enqueue(struct run *run, const struct evlog_lease *const *leases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        evlog_group_keep(run->group, leases[i], run->options.handler_ms < 0 ? INT64_MAX : run->options.handler_ms);
    }
    (void)pthread_mutex_lock(&run->lock);
    for (size_t i = 0; i < count; i++) {
        EL_ASSERT(run->queue_count < run->queue_room);
        run->queue[(run->queue_first + run->queue_count++) % run->queue_room] = leases[i];
    }
    (void)pthread_cond_broadcast(&run->changed);
    (void)pthread_mutex_unlock(&run->lock);
}

static bool all_idle(struct run *run)
{
    (void)pthread_mutex_lock(&run->lock);
    bool idle = run->busy_count == 0 && run->queue_count == 0;
    (void)pthread_mutex_unlock(&run->lock);
    return idle;
}

/* --- caught up ---------------------------------------------------------------------------------------------------- */

static void goals_free(struct run *run)
{
    for (uint32_t i = 0; run->goals != NULL && i < run->group->topic_count; i++) {
        el_free(run->goals[i].ends);
        el_free(run->goals[i].progress);
    }
    el_free(run->goals);
    run->goals = NULL;
}

/* Note where a topic ends now. */
static int goal_set(struct run *run, struct goal *goal, struct evlog_failure *failure)
{
    struct evlog_client *client = run->group->client;
    int rc = evlog_topic_partition_count(client, goal->topic, &goal->partition_count, failure);
    if (rc != 0) {
        return rc;
    }
    size_t count = (size_t)goal->partition_count;
    goal->ends = el_calloc(2 * count, sizeof *goal->ends);
    goal->progress = el_calloc(count, sizeof *goal->progress);
    if (goal->ends == NULL || goal->progress == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a run");
    }
    rc = evlog_offsets_at(client, goal->topic, EVLOG_OFFSET_LATEST, goal->ends, goal->partition_count, failure);
    if (rc == 0) {
        rc = evlog_offsets_at(client, goal->topic, EVLOG_OFFSET_EARLIEST, goal->ends + count, goal->partition_count,
                              failure);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) { /* an empty partition is done, wherever the group stands */
        goal->ends[i] = goal->ends[count + i] == goal->ends[i] ? -1 : goal->ends[i];
    }
    return rc;
}

static int goals_set(struct run *run, struct evlog_failure *failure)
{
    run->goals = el_calloc(run->group->topic_count, sizeof *run->goals);
    int rc = run->goals == NULL ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a run") : 0;
    for (uint32_t i = 0; rc == 0 && i < run->group->topic_count; i++) {
        run->goals[i].topic = run->group->topics[i];
        rc = goal_set(run, &run->goals[i], failure);
    }
    return rc;
}

/* returns 1 everything that was there is done | 0 not yet | negative */
static int goals_reached(struct run *run, struct evlog_failure *failure)
{
    bool all = true;
    for (uint32_t i = 0; all && i < run->group->topic_count; i++) {
        struct goal *goal = &run->goals[i];
        int rc = evlog_group_progress(run->group->client, run->group->name, goal->topic, goal->progress,
                                      goal->partition_count, failure);
        if (rc != 0) {
            bool begins = rc == EVLOG_ERR_GROUP_NOT_FOUND || rc == EVLOG_ERR_UNKNOWN_TOPIC;
            return evlog_error_class_of(rc) == EVLOG_CLASS_CALLER && !begins ? rc : 0;
        }
        for (int32_t j = 0; j < goal->partition_count; j++) {
            all = all && (goal->progress[j].start >= goal->ends[j] ||
                          (goal->progress[j].start >= 0 && goal->progress[j].lag == 0));
        }
    }
    return all;
}

static int look_at_goals(struct run *run, bool idle, struct evlog_failure *failure)
{
    int64_t now_ns = el_now_ns();
    if (run->goals == NULL || (!idle && now_ns < run->look_at_ns)) {
        return 0;
    }
    run->look_at_ns = now_ns + CAUGHT_UP_MS * EL_NS_PER_MS;
    return goals_reached(run, failure);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static bool goes_on(const struct run *run)
{
    struct evlog_group_counts counts;
    if (__atomic_load_n(&run->group->stopping, __ATOMIC_ACQUIRE)) {
        return false;
    }
    if (run->options.on_turn == NULL) {
        return true;
    }
    evlog_group_counts(run->group, &counts);
    return run->options.on_turn(run->options.arg, &counts);
}

/* A fetch has failed. returns 0 go on | its code: it does not mend, or the caller waits for the end */
static int after_failure(struct run *run, int code)
{
    if (code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_INVALID_RECORD) {
        return 0; /* given back, and told in the log */
    }
    if (code == EVLOG_ERR_CLOSED || run->goals != NULL || evlog_error_class_of(code) != EVLOG_CLASS_RETRY) {
        return code;
    }
    (void)pthread_mutex_lock(&run->lock);
    pause_turn(run);
    (void)pthread_mutex_unlock(&run->lock);
    return 0;
}

/* Fetch and hand out until somebody says stop. returns 0 | negative */
static int dispatch(struct run *run, struct evlog_failure *failure)
{
    const struct evlog_lease **leases = el_calloc(run->queue_room, sizeof(struct evlog_lease *));
    int rc = leases == NULL ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a run") : 0;
    while (rc == 0 && goes_on(run)) {
        size_t room = room_for(run);
        int count = room == 0 ? 0 : evlog_group_fetch(run->group, room, TURN_MS, leases, failure);
        if (count > 0) {
            enqueue(run, leases, (size_t)count);
        } else if (count < 0) {
            rc = after_failure(run, count);
        }
        if (rc == 0) {
            rc = look_at_goals(run, room > 0 && count == 0 && all_idle(run), failure);
        }
    }
    el_free(leases);
    return rc > 0 ? 0 : rc;
}

/* Give back what no handler has begun with, let the others end, and wait until the broker knows all of it. */
static void end(struct run *run)
{
    struct evlog_client *client = run->group->client;
    (void)pthread_mutex_lock(&run->lock);
    run->ending = true;
    (void)pthread_cond_broadcast(&run->changed);
    for (; run->queue_count > 0; run->queue_count--) {
        struct evlog_settlement one = {.lease = peek(run, 0), .outcome = EVLOG_RELEASE};
        run->queue_first = (run->queue_first + 1) % run->queue_room;
        (void)pthread_mutex_unlock(&run->lock);
        (void)evlog_group_settle(run->group, &one, 1, false, NULL);
        (void)pthread_mutex_lock(&run->lock);
    }
    (void)pthread_mutex_unlock(&run->lock);
    for (size_t i = 0; i < run->thread_count; i++) {
        (void)pthread_join(run->threads[i], NULL);
    }
    int64_t deadline_ns = el_deadline(client->cfg.request_timeout_ms);
    el_client_lock(client);
    while (!el_list_empty(&run->group->settling) && !client->stopping && el_client_wait(client, deadline_ns)) {
    }
    el_client_unlock(client);
}

static int start(struct run *run, struct evlog_failure *failure)
{
    size_t worker_count = run->options.worker_count;
    run->queue_room = worker_count * run->batch_size;
    run->queue = el_calloc(run->queue_room, sizeof(struct evlog_lease *));
    run->threads = el_calloc(worker_count, sizeof *run->threads);
    if (run->queue == NULL || run->threads == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for %zu workers", worker_count);
    }
    while (run->thread_count < worker_count && pthread_create(&run->threads[run->thread_count], NULL, work, run) == 0) {
        run->thread_count++;
    }
    return run->thread_count > 0 ? 0 : el_fail(failure, EVLOG_ERR_NO_MEMORY, "no thread for a worker");
}

static int check_options(const struct evlog_group_run_options *options, struct evlog_failure *failure)
{
    bool one = (options->on_event == NULL) != (options->on_batch == NULL);
    if (!one || options->worker_count == 0 || options->worker_count > WORKER_COUNT_MAX || options->batch_size == 0 ||
        options->batch_size > BATCH_SIZE_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT,
                       "a run takes one handler, 1 to %d workers and batches of 1 to %d events", WORKER_COUNT_MAX,
                       BATCH_SIZE_MAX);
    }
    return 0;
}

int evlog_group_run(struct evlog_group *group, const struct evlog_group_run_options *given,
                    struct evlog_failure *failure)
{
    struct run run = {.group = group, .options = EVLOG_GROUP_RUN_OPTIONS_INIT};
    if (!EL_OPTIONS_TAKE(&run.options, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    int rc = check_options(&run.options, failure);
    if (rc != 0) {
        return rc;
    }
    run.batch_size = run.options.on_batch == NULL ? 1 : run.options.batch_size;
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&run.changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&run.lock, NULL);
    rc = run.options.until_caught_up ? goals_set(&run, failure) : 0;
    if (rc == 0) {
        rc = start(&run, failure);
    }
    if (rc == 0) {
        rc = dispatch(&run, failure);
    }
    end(&run);
    goals_free(&run);
    el_free(run.queue);
    el_free(run.threads);
    (void)pthread_mutex_destroy(&run.lock);
    (void)pthread_cond_destroy(&run.changed);
    return rc;
}

void evlog_group_stop(struct evlog_group *group)
{
    el_client_lock(group->client);
    __atomic_store_n(&group->stopping, true, __ATOMIC_RELEASE);
    el_client_notify(group->client);
    el_client_unlock(group->client);
}
