/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions of a projection on a store made of counters. Goal: an event is found guilty only while the lease is
 * held: what makes a handler fail after another runner has taken over is the other's rows. Method: the handler loses
 * the lease and fails, in each way.
 */
#include "../../../client/projection_state.h"
#include "../../lib/test.h"

#include <evlog/failure.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place {
    struct evlog_projection_store store; /* first */
    int renew_code;
    int handler_code;
    bool hurries, hurrying; /* handlers' faults are told late */
    bool loses;             /* the handler's run is the moment at which the lease is lost */
    int commits, rollbacks, handled;
    int64_t skipped;
    int64_t history_offset;
    bool replaying; /* of the last event */
    const char *data;
    struct evlog_key_store *keys;
    bool takes_erased, takes_sealed;
    size_t erased; /* fields of the last event */
};

static int renew(struct evlog_projection_store *store, const struct evlog_projection_lease *lease, bool *paused,
                 struct evlog_failure *failure)
{
    struct place *place = (struct place *)store;
    (void)lease;
    *paused = false;
    if (place->renew_code != 0) {
        failure->code = place->renew_code;
        (void)snprintf(failure->text, sizeof failure->text, "taken over");
    }
    return place->renew_code;
}

static int begin(struct evlog_projection_store *store, struct evlog_failure *failure)
{
    (void)store, (void)failure;
    return 0;
}

static int save(struct evlog_projection_store *store, const struct evlog_projection_lease *lease,
                const struct evlog_projection_move *moves, size_t move_count, const struct evlog_projection_gain *gain,
                struct evlog_failure *failure)
{
    struct place *place = (struct place *)store;
    (void)lease, (void)moves, (void)move_count, (void)failure;
    place->skipped += gain->skipped;
    return place->renew_code;
}

static void hurry(struct evlog_projection_store *store)
{
    struct place *place = (struct place *)store;
    place->hurrying = true;
}

static int settle(struct evlog_projection_store *store, struct evlog_failure *failure)
{
    struct place *place = (struct place *)store;
    int code = place->hurrying ? place->handler_code : 0;
    (void)snprintf(failure->text, sizeof failure->text, "something before was wrong");
    failure->code = code;
    place->hurrying = false;
    return code;
}

static int commit(struct evlog_projection_store *store, struct evlog_failure *failure)
{
    (void)failure;
    ((struct place *)store)->commits++;
    return 0;
}

static void rollback(struct evlog_projection_store *store)
{
    ((struct place *)store)->rollbacks++;
    ((struct place *)store)->hurrying = false;
}

static int handle(void *arg, struct evlog_projection_store *store, const struct evlog_projection_event *event,
                  struct evlog_failure *failure)
{
    struct place *place = arg;
    (void)store;
    place->handled++;
    place->replaying = event->replaying;
    place->erased = event->opened == NULL ? 0 : event->opened->erased_count;
    if (place->loses) {
        place->renew_code = EVLOG_ERR_CONFLICT;
    }
    if (place->hurrying) {
        return 0;
    }
    failure->code = place->handler_code;
    (void)snprintf(failure->text, sizeof failure->text, "UNIQUE constraint failed");
    return place->handler_code;
}

static const struct evlog_projection_store_calls calls = {
    .size = sizeof calls,
    .renew = renew,
    .begin = begin,
    .save = save,
    .commit = commit,
    .rollback = rollback,
};

static const struct evlog_projection_store_calls hurried_calls = {
    .size = sizeof calls,
    .renew = renew,
    .begin = begin,
    .save = save,
    .hurry = hurry,
    .settle = settle,
    .commit = commit,
    .rollback = rollback,
};

/* A batch of one event. */
static int apply_one(struct place *place, enum evlog_projection_on_error on_error, struct evlog_failure *failure)
{
    struct el_projection_feed feed = {
        .saved = {.topic = "t", .next_offset = 7, .history_offset = place->history_offset}, .stored = true};
    struct el_projection_item item = {.event = {.offset = 7}, .wanted = true};
    struct el_projection_item *items[1];
    struct el_projection_step step = {.touched = false};
    struct evlog_projection_move move;
    struct el_feed *reading = calloc(1, sizeof *reading + 2);
    assert_non_null(reading);
    reading->position = 8;
    reading->topic[0] = 't';
    static struct evlog_client client; /* without a tracer */
    struct evlog_projection projection = {
        .client = &client,
        .store = &place->store,
        .options = EVLOG_PROJECTION_OPTIONS_INIT,
        .feeds = &feed,
        .feed_count = 1,
        .self = {.store = &place->store, .lane = -1, .items = items, .steps = &step, .moves = &move},
        .items = &item,
        .item_count = 1,
    };
    projection.self.projection = &projection;
    projection.consumer.feeds = &reading;
    projection.consumer.feed_count = 1;
    place->store.calls = place->hurries ? &hurried_calls : &calls;
    projection.options.on_event = handle;
    projection.options.arg = place;
    projection.options.on_error = on_error;
    projection.options.retry_max = 0;
    projection.options.takes_erased = place->takes_erased;
    projection.options.takes_sealed = place->takes_sealed;
    projection.options.keys = place->keys;
    if (place->data != NULL) {
        item.view.data = (struct evlog_bytes){place->data, strlen(place->data)};
        item.view.id = (struct evlog_bytes){"e-1", 3};
    }
    int rc = el_projection_apply(&projection, failure);
    free(reading);
    return rc;
}

TEST(projection_apply, a_failure_after_a_take_over_is_told_as_the_take_over)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    static const int codes[] = {EVLOG_ERR_ARGUMENT, EVLOG_ERR_DATABASE};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct place place = {.handler_code = codes[i], .loses = true};
        assert_int_equal(apply_one(&place, EVLOG_PROJECTION_STOP, &failure), EVLOG_ERR_CONFLICT);
        assert_string_equal(failure.text, "taken over");
        assert_int_equal(place.handled, 1);
        assert_int_equal(place.commits, 0);
    }
}

TEST(projection_apply, an_event_is_neither_skipped_nor_buried_by_who_has_lost_the_lease)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct place skips = {.handler_code = EVLOG_ERR_ARGUMENT, .loses = true};
    assert_int_equal(apply_one(&skips, EVLOG_PROJECTION_SKIP, &failure), EVLOG_ERR_CONFLICT);
    assert_int_equal(skips.skipped, 0);
    struct place buries = {.handler_code = EVLOG_ERR_ARGUMENT, .loses = true};
    assert_int_equal(apply_one(&buries, EVLOG_PROJECTION_DEAD_LETTER, &failure), EVLOG_ERR_CONFLICT);
    assert_int_equal(buries.rollbacks, 1);
}

TEST(projection_apply, a_failure_while_the_lease_is_held_is_the_events)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct place place = {.handler_code = EVLOG_ERR_ARGUMENT};
    assert_int_equal(apply_one(&place, EVLOG_PROJECTION_STOP, &failure), EVLOG_ERR_ARGUMENT);
    assert_string_equal(failure.text, "UNIQUE constraint failed");
}

TEST(projection_apply, events_are_history_up_to_where_the_log_ended_when_the_projection_began)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct place before = {.history_offset = 8, .handler_code = EVLOG_ERR_ARGUMENT};
    struct place behind = {.history_offset = 7, .handler_code = EVLOG_ERR_ARGUMENT};
    (void)apply_one(&before, EVLOG_PROJECTION_STOP, &failure);
    (void)apply_one(&behind, EVLOG_PROJECTION_STOP, &failure);
    assert_true(before.replaying);
    assert_false(behind.replaying);
}

TEST(projection_apply, a_fault_that_is_told_late_is_looked_for_event_by_event)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct place stops = {.handler_code = EVLOG_ERR_ARGUMENT, .hurries = true};
    struct place skips = stops;
    assert_int_equal(apply_one(&stops, EVLOG_PROJECTION_STOP, &failure), EVLOG_ERR_ARGUMENT);
    assert_string_equal(failure.text, "UNIQUE constraint failed");
    assert_int_equal(stops.handled, 2);
    assert_int_equal(stops.commits, 0);
    assert_int_equal(apply_one(&skips, EVLOG_PROJECTION_SKIP, &failure), 0);
    assert_int_equal(skips.skipped, 1);
    assert_int_equal(skips.commits, 1);
}

/* --- sealed data -------------------------------------------------------------------------------------------------- */

TEST(projection_apply, sealed_data_without_a_key_store_ends_the_run_and_is_not_the_events_fault)
{
    static const char data[] =
        "{\"a\":{\"$sealed\":{\"v\":1,\"k\":\"EAAAAAAAAAAAAAAAAAAAAA\",\"n\":\"AAAAAAAAAAAAAAAA\","
        "\"c\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}}}";
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct place place = {.data = data};
    assert_int_equal(apply_one(&place, EVLOG_PROJECTION_SKIP, &failure), EVLOG_ERR_SEALED);
    assert_int_equal(place.handled, 0);
    assert_int_equal(place.commits, 0);
    assert_int_equal(place.skipped, 0);
    place.takes_sealed = true;
    assert_int_equal(apply_one(&place, EVLOG_PROJECTION_SKIP, &failure), 0);
    assert_int_equal(place.handled, 1);
}

TEST(projection_apply, an_erased_field_reaches_only_a_handler_that_takes_it)
{
    static const char data[] = "{\"a\":{\"$erased\":{\"subject\":\"EAAAAAAAAAAAAAAAAAAAAA\","
                               "\"at\":\"2026-03-01T12:00:00.123Z\",\"restorable\":false}}}";
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct place place = {.data = data};
    assert_int_equal(apply_one(&place, EVLOG_PROJECTION_STOP, &failure), EVLOG_ERR_ERASED);
    assert_non_null(strstr(failure.text, "/a"));
    assert_int_equal(place.handled, 0);
    assert_int_equal(apply_one(&place, EVLOG_PROJECTION_SKIP, &failure), 0);
    assert_int_equal(place.handled, 0);
    assert_int_equal(place.skipped, 1);
    place.takes_erased = true;
    assert_int_equal(apply_one(&place, EVLOG_PROJECTION_STOP, &failure), 0);
    assert_int_equal(place.handled, 1);
    assert_int_equal(place.erased, 1);
}

/* One key for all subjects. */
static int take_key(struct evlog_key_store *store, struct evlog_bytes subject, struct evlog_data_key *key,
                    struct evlog_failure *failure)
{
    (void)store, (void)subject, (void)failure;
    memset(key, 0, sizeof *key);
    (void)snprintf(key->id, sizeof key->id, "EAAAAAAAAAAAAAAAAAAAAA");
    return 0;
}

static int find_key(struct evlog_key_store *store, const char *id, struct evlog_data_key *key,
                    struct evlog_key_record *record, struct evlog_failure *failure)
{
    (void)id, (void)record;
    return take_key(store, (struct evlog_bytes){NULL, 0}, key, failure);
}

TEST(projection_apply, what_is_told_of_an_erased_field_names_that_field)
{
    static const struct evlog_key_store_calls key_calls = {
        .size = sizeof key_calls, .take = take_key, .find = find_key};
    static const char data[] = "{\"a\":1,\"b\":{\"$erased\":{\"subject\":\"EAAAAAAAAAAAAAAAAAAAAA\","
                               "\"at\":\"2026-03-01T12:00:00.123Z\",\"restorable\":false}}}";
    static const char *const paths[] = {"a"};
    struct evlog_key_store keys = {.calls = &key_calls};
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_sealed sealed = EVLOG_SEALED_INIT;
    struct evlog_seal seal = EVLOG_SEAL_INIT;
    seal.subject = (struct evlog_bytes){"ada", 3};
    seal.id = "e-1";
    seal.paths = paths;
    seal.path_count = 1;
    assert_int_equal(evlog_seal(&keys, &seal, (struct evlog_bytes){data, strlen(data)}, &sealed, &failure), 0);
    char *text = strndup(sealed.data.data, sealed.data.len);
    struct place place = {.data = text, .keys = &keys};
    assert_int_equal(apply_one(&place, EVLOG_PROJECTION_STOP, &failure), EVLOG_ERR_ERASED);
    assert_non_null(strstr(failure.text, "\"/b\" was erased"));
    free(text);
    evlog_sealed_free(&sealed);
}
