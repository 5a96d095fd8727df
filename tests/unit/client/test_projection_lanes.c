/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes of a projection on a store in memory. Goal: a key keeps its order, the checkpoint moves only behind a batch
 * that is whole, and what a lane has committed before it was cut short is not applied a second time, whatever the
 * number of lanes then; each event that is kept is in one span. Method: events of some keys, of which one is refused;
 * then again from what the store holds.
 */
#include "../../../client/projection_state.h"
#include "../../lib/test.h"

#include <evlog/failure.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS 64
#define KEYS 16

/* What the store holds, under its lock; a transaction that is open is in its place. */
struct memory {
    pthread_mutex_t lock;
    int64_t checkpoint; /* -1 none */
    int64_t lanes[EVLOG_PROJECTION_PARALLEL_MAX];
    int32_t lane_count;
    int applied[EVENTS]; /* times, committed */
    int order_faults;
    int64_t refused; /* offset of the event whose handler fails, -1 none */
    int opened;
    int traced; /* events in spans of transactions that were committed */
};
struct place {
    struct evlog_projection_store store; /* first */
    struct memory *memory;
    int64_t offsets[EVENTS]; /* [count] applied in this transaction */
    size_t count;
    int64_t checkpoint, lane_offset; /* as saved in it, -1: not */
    int32_t lane, lane_count;
};

static int begin(struct evlog_projection_store *store, struct evlog_failure *failure)
{
    struct place *place = (struct place *)store;
    (void)failure;
    place->count = 0;
    place->checkpoint = place->lane_offset = -1;
    return 0;
}

static int save(struct evlog_projection_store *store, const struct evlog_projection_lease *lease,
                const struct evlog_projection_move *moves, size_t move_count, const struct evlog_projection_gain *gain,
                struct evlog_failure *failure)
{
    struct place *place = (struct place *)store;
    (void)lease, (void)gain, (void)failure;
    assert_int_equal(move_count, 1);
    if (moves->position.lane_count > 0) {
        place->lane = moves->position.lane;
        place->lane_count = moves->position.lane_count;
        place->lane_offset = moves->position.next_offset;
    } else {
        place->checkpoint = moves->position.next_offset;
    }
    return 0;
}

static int commit(struct evlog_projection_store *store, struct evlog_failure *failure)
{
    struct place *place = (struct place *)store;
    struct memory *memory = place->memory;
    (void)failure;
    (void)pthread_mutex_lock(&memory->lock);
    for (size_t i = 0; i < place->count; i++) {
        int64_t offset = place->offsets[i];
        memory->applied[offset]++;
        for (int64_t later = offset + KEYS; later < EVENTS; later += KEYS) {
            memory->order_faults += memory->applied[later];
        }
    }
    if (place->lane_offset >= 0) {
        memory->lane_count = place->lane_count;
        memory->lanes[place->lane] = place->lane_offset;
    }
    if (place->checkpoint >= 0) {
        memory->checkpoint = place->checkpoint;
    }
    (void)pthread_mutex_unlock(&memory->lock);
    return 0;
}

static void rollback(struct evlog_projection_store *store)
{
    ((struct place *)store)->count = 0;
}

static int renew(struct evlog_projection_store *store, const struct evlog_projection_lease *lease, bool *paused,
                 struct evlog_failure *failure)
{
    (void)store, (void)lease, (void)failure;
    *paused = false;
    return 0;
}

static void close_place(struct evlog_projection_store *store, bool drop)
{
    (void)drop;
    ((struct place *)store)->memory->opened--;
    free(store);
}

static int lane(struct evlog_projection_store *store, struct evlog_projection_store **opened,
                struct evlog_failure *failure)
{
    struct place *place = calloc(1, sizeof *place);
    (void)failure;
    assert_non_null(place);
    *place = (struct place){.store = *store, .memory = ((struct place *)store)->memory};
    place->memory->opened++;
    *opened = &place->store;
    return 0;
}

static const struct evlog_projection_store_calls calls = {
    .size = sizeof calls,
    .renew = renew,
    .begin = begin,
    .save = save,
    .commit = commit,
    .rollback = rollback,
    .lane = lane,
    .close = close_place,
};

static int handle(void *arg, struct evlog_projection_store *store, const struct evlog_projection_event *event,
                  struct evlog_failure *failure)
{
    const struct memory *memory = arg;
    struct place *place = (struct place *)store;
    if (event->event->offset == memory->refused) {
        failure->code = EVLOG_ERR_ARGUMENT;
        (void)snprintf(failure->text, sizeof failure->text, "refused");
        return EVLOG_ERR_ARGUMENT;
    }
    place->offsets[place->count++] = event->event->offset;
    return 0;
}

static void on_span(void *arg, const struct evlog_span *span)
{
    struct memory *memory = arg;
    (void)pthread_mutex_lock(&memory->lock);
    memory->traced += span->error_type == NULL ? span->message_count : 0;
    (void)pthread_mutex_unlock(&memory->lock);
}

/* All events in one batch, on what the store holds. */
static int run(struct memory *memory, uint32_t parallel)
{
    static char keys[KEYS];
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct place place = {.store = {&calls}, .memory = memory};
    struct el_projection_feed feed = {.saved = {.topic = "t", .next_offset = EL_MAX(memory->checkpoint, 0)},
                                      .stored = memory->checkpoint >= 0};
    struct el_projection_item items[EVENTS];
    struct el_feed *reading = calloc(1, sizeof *reading + 2);
    struct el_projection_item *order[EVENTS];
    static struct evlog_client client;
    client.tracer = (struct evlog_tracer){sizeof client.tracer, on_span, memory, 1, false};
    struct evlog_projection projection = {
        .client = &client,
        .store = &place.store,
        .options = EVLOG_PROJECTION_OPTIONS_INIT,
        .feeds = &feed,
        .feed_count = 1,
        .items = items,
        .item_room = EVENTS,
        .self = {.projection = &projection, .store = &place.store, .lane = -1, .items = order},
        .renew_at_ns = INT64_MAX,
        .turn_at_ns = INT64_MAX,
        .consumer = {.feeds = &reading, .feed_count = 1},
    };
    assert_non_null(reading);
    reading->position = EVENTS;
    reading->topic[0] = 't';
    projection.options.on_event = handle;
    projection.options.arg = memory;
    projection.options.parallel = parallel;
    projection.options.retry_max = 0;
    projection.options.batch_count_max = 5;
    for (int32_t i = 0; i < memory->lane_count && memory->checkpoint >= 0; i++) {
        projection.ahead = realloc(projection.ahead, (projection.ahead_count + 1) * sizeof *projection.ahead);
        assert_non_null(projection.ahead);
        projection.ahead[projection.ahead_count++] = (struct el_projection_ahead){0, i, memory->lane_count,
                                                                                  memory->lanes[i]};
    }
    el_projection_forget_ahead(&projection);
    for (int64_t offset = feed.saved.next_offset; offset < EVENTS; offset++) {
        struct el_projection_item *item = &items[projection.item_count++];
        char *key = &keys[offset % KEYS];
        *key = (char)('a' + offset % KEYS);
        *item = (struct el_projection_item){.event = {.topic = "t", .offset = offset, .key = {key, 1}}, .wanted = true};
        item->done = el_projection_is_ahead(&projection, &item->event, 0);
    }
    assert_int_equal(el_projection_lanes_open(&projection, &failure), 0);
    assert_int_equal(el_projection_lanes_grow(&projection, 1), 0);
    int rc = el_projection_apply(&projection, &failure);
    el_projection_lanes_close(&projection);
    assert_int_equal(memory->opened, 0);
    free(projection.self.steps);
    free(projection.self.moves);
    free(projection.ahead);
    free(reading);
    return rc;
}

static void check_once(const struct memory *memory)
{
    for (size_t i = 0; i < EVENTS; i++) {
        if (memory->applied[i] != 1) {
            fail_msg("event %zu was applied %d times", i, memory->applied[i]);
        }
    }
    assert_int_equal(memory->order_faults, 0);
    assert_int_equal(memory->checkpoint, EVENTS);
    assert_int_equal(memory->traced, EVENTS);
}

static struct memory fresh_memory(int64_t refused)
{
    return (struct memory){.lock = PTHREAD_MUTEX_INITIALIZER, .checkpoint = -1, .refused = refused};
}

TEST(projection_lanes, apply_each_event_once_in_the_order_of_its_key)
{
    static const uint32_t counts[] = {1, 2, 3, 7, 64};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct memory memory = fresh_memory(-1);
        assert_int_equal(run(&memory, counts[i]), 0);
        check_once(&memory);
    }
}

TEST(projection_lanes, an_event_that_is_refused_holds_the_checkpoint_and_its_key)
{
    struct memory memory = fresh_memory(2 * KEYS + 3);
    int applied = 0;
    assert_int_equal(run(&memory, 4), EVLOG_ERR_ARGUMENT);
    assert_int_equal(memory.checkpoint, 0);
    for (size_t i = 0; i < EVENTS; i++) {
        applied += memory.applied[i];
    }
    assert_true(applied > EVENTS / 2); /* the other lanes went on */
    assert_int_equal(memory.applied[2 * KEYS + 3], 0);
    assert_int_equal(memory.applied[3 * KEYS + 3], 0);
}

TEST(projection_lanes, what_was_applied_ahead_is_passed_over_by_any_number_of_lanes)
{
    static const uint32_t counts[] = {1, 2, 4, 5};
    for (int64_t refused = 0; refused < EVENTS; refused += 7) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            struct memory memory = fresh_memory(refused);
            assert_int_equal(run(&memory, 4), EVLOG_ERR_ARGUMENT);
            memory.refused = -1;
            assert_int_equal(run(&memory, counts[i]), 0);
            check_once(&memory);
        }
    }
}
