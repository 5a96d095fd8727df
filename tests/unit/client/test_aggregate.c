/* SPDX-License-Identifier: Apache-2.0
 *
 * Aggregates and decisions. Goal: a state is the fold of the stream's events, whether from a snapshot or not, and a
 * snapshot of something else never counts; of two that decide on the same state one decides anew. Method: a state that
 * is the sum of numbers, a broker of a few arrays, and another writer that is always faster.
 */
#include "../../lib/test.h"
#include "scripted_stream.h"

#include <core/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sum {
    int64_t total;
    int64_t count;
};

struct sums {
    int made, freed, restored;
    int refuses;       /* code that apply returns at a "Bad" event */
    char text[64];     /* of save */
    int64_t emits;     /* number that the decision adds; 0: none */
    int decided;       /* decisions made */
    int64_t seen[32];  /* totals decided on */
    const char *check; /* condition on another stream */
};

static void *begin(void *arg)
{
    struct sum *sum = el_calloc(1, sizeof *sum);
    ((struct sums *)arg)->made += sum != NULL;
    return sum;
}

static int apply(void *arg, void *state, const struct evlog_stream_event *event)
{
    struct sum *sum = state;
    const struct sums *sums = arg;
    char text[32] = "";
    if (event->type.len == 3 && memcmp(event->type.data, "Bad", 3) == 0) {
        return sums->refuses;
    }
    memcpy(text, event->data.data, EL_MIN(event->data.len, sizeof text - 1));
    sum->total += strtoll(text, NULL, 10);
    sum->count++;
    return 0;
}

static void end(void *arg, void *state)
{
    ((struct sums *)arg)->freed++;
    el_free(state);
}

static int save(void *arg, const void *state, struct evlog_bytes *bytes)
{
    const struct sum *sum = state;
    struct sums *sums = arg;
    int len = snprintf(sums->text, sizeof sums->text, "%lld/%lld", (long long)sum->total, (long long)sum->count);
    *bytes = (struct evlog_bytes){sums->text, (size_t)len};
    return 0;
}

static void *restore(void *arg, struct evlog_bytes bytes)
{
    char text[64] = "";
    long long total, count;
    memcpy(text, bytes.data, EL_MIN(bytes.len, sizeof text - 1));
    if (sscanf(text, "%lld/%lld", &total, &count) != 2) { /* NOLINT(cert-err34-c) */
        return NULL;
    }
    struct sum *sum = begin(arg);
    if (sum != NULL) {
        ((struct sums *)arg)->restored++;
        *sum = (struct sum){total, count};
    }
    return sum;
}

static struct evlog_fold fold_of(struct sums *sums)
{
    struct evlog_fold fold = EVLOG_FOLD_INIT;
    fold.topic = "t";
    fold.arg = sums;
    fold.begin = begin;
    fold.apply = apply;
    fold.end = end;
    return fold;
}

static struct evlog_fold snapshot_fold(struct sums *sums, int32_t schema)
{
    struct evlog_fold fold = fold_of(sums);
    fold.schema = schema;
    fold.save = save;
    fold.restore = restore;
    return fold;
}

static const struct evlog_bytes key = {"a", 1};

static void put_number(struct scripted_stream *st, int64_t number)
{
    static int ids;
    char data[32], id[32];
    (void)snprintf(data, sizeof data, "%lld", (long long)number);
    (void)snprintf(id, sizeof id, "n%d", ids++);
    scripted_stream_put(st, "a", id, "Added", data);
}

/* What a load comes to. */
struct loaded {
    int64_t total, count, version, snapshot_version, read_count;
};

static struct loaded look(const struct evlog_aggregate *a)
{
    struct evlog_aggregate_info info = {.size = sizeof info};
    const struct sum *sum = evlog_aggregate_state(a);
    evlog_aggregate_info(a, &info);
    return (struct loaded){sum->total, sum->count, info.version, info.snapshot_version, info.read_count};
}

static struct evlog_aggregate *load(struct scripted_stream *st, const struct evlog_fold *fold)
{
    struct evlog_aggregate *a = NULL;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (evlog_load(&st->s.client, fold, key, &a, &failure) != 0) {
        fail_msg("%s", failure.text);
    }
    return a;
}

static struct loaded load_once(struct scripted_stream *st, const struct evlog_fold *fold)
{
    struct evlog_aggregate *a = load(st, fold);
    struct loaded loaded = look(a);
    evlog_aggregate_close(a);
    return loaded;
}

static void finish(struct scripted_stream *st, const struct sums *sums)
{
    assert_int_equal(sums->made, sums->freed);
    scripted_stream_end(st);
}

/* --- loading ------------------------------------------------------------------------------------------------------ */

TEST(aggregate, folds_that_cannot_be_are_refused)
{
    struct scripted_stream st;
    struct sums sums = {0};
    struct evlog_aggregate *a = NULL;
    scripted_stream_begin(&st, NULL);
    for (int i = 0; i < 6; i++) {
        struct evlog_fold fold = fold_of(&sums);
        struct evlog_bytes its = key;
        fold.size = i == 0 ? 0 : fold.size;
        fold.begin = i == 1 ? NULL : begin;
        fold.apply = i == 2 ? NULL : apply;
        fold.end = i == 3 ? NULL : end;
        fold.topic = i == 4 ? NULL : "t";
        its.data = i == 5 ? NULL : its.data;
        assert_int_equal(evlog_load(&st.s.client, &fold, its, &a, NULL), EVLOG_ERR_ARGUMENT);
    }
    assert_null(a);
    finish(&st, &sums);
}

TEST(aggregate, a_state_is_the_fold_of_the_events)
{
    struct scripted_stream st;
    struct sums sums = {0};
    struct evlog_fold fold = fold_of(&sums);
    scripted_stream_begin(&st, NULL);
    struct loaded none = load_once(&st, &fold);
    assert_int_equal(none.version, -1);
    assert_int_equal(none.count, 0);
    for (int i = 1; i <= 5; i++) {
        put_number(&st, i);
        scripted_stream_put(&st, "b", NULL, "Added", "1000");
    }
    st.page = 2;
    struct evlog_aggregate *a = load(&st, &fold);
    assert_int_equal(look(a).total, 15);
    assert_int_equal(look(a).version, 4);
    put_number(&st, 7);
    assert_int_equal(evlog_aggregate_refresh(a, NULL), 0);
    assert_int_equal(look(a).total, 22);
    assert_int_equal(look(a).read_count, 6);
    assert_int_equal(evlog_aggregate_refresh(a, NULL), 0);
    assert_int_equal(look(a).total, 22);
    evlog_aggregate_close(a);
    finish(&st, &sums);
}

TEST(aggregate, what_the_fold_refuses_ends_the_call_and_is_tried_anew)
{
    struct scripted_stream st;
    struct sums sums = {0};
    struct evlog_fold fold = fold_of(&sums);
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    scripted_stream_begin(&st, NULL);
    put_number(&st, 1);
    struct evlog_aggregate *a = load(&st, &fold);
    scripted_stream_put(&st, "a", NULL, "Bad", "5");
    sums.refuses = 77;
    assert_int_equal(evlog_aggregate_refresh(a, &failure), 77);
    assert_non_null(strstr(failure.text, "version 1 cannot be folded"));
    sums.refuses = 0;
    assert_int_equal(evlog_aggregate_refresh(a, &failure), 0);
    assert_int_equal(look(a).total, 1);
    assert_int_equal(look(a).version, 1);
    evlog_aggregate_close(a);
    finish(&st, &sums);
}

TEST(aggregate, a_stream_that_begins_anew_has_a_new_state)
{
    struct scripted_stream st;
    struct sums sums = {0};
    struct evlog_fold fold = fold_of(&sums);
    struct evlog_stream_delete del = EVLOG_STREAM_DELETE_INIT;
    scripted_stream_begin(&st, NULL);
    put_number(&st, 3);
    put_number(&st, 4);
    struct evlog_aggregate *a = load(&st, &fold);
    del.topic = "t";
    del.key = key;
    assert_int_equal(evlog_stream_delete(&st.s.client, &del, NULL, NULL), 0);
    assert_int_equal(evlog_aggregate_refresh(a, NULL), 0);
    assert_int_equal(look(a).count, 0);
    assert_int_equal(look(a).version, 2);
    evlog_aggregate_close(a);
    /* The topic is made anew, with other events. */
    a = load(&st, &fold);
    st.count[1] = 0;
    put_number(&st, 50);
    put_number(&st, 60);
    put_number(&st, 70);
    put_number(&st, 80);
    assert_int_equal(evlog_aggregate_refresh(a, NULL), 0);
    assert_int_equal(look(a).total, 260);
    st.count[1] = 0;
    for (int i = 0; i < 5; i++) {
        put_number(&st, 1);
    }
    assert_int_equal(evlog_aggregate_refresh(a, NULL), 0);
    assert_int_equal(look(a).total, 5);
    evlog_aggregate_close(a);
    finish(&st, &sums);
}

/* --- snapshots ---------------------------------------------------------------------------------------------------- */

TEST(aggregate, a_snapshot_spares_reading_what_it_stands_for)
{
    struct scripted_stream st;
    struct sums sums = {0};
    struct evlog_fold fold = snapshot_fold(&sums, 1);
    scripted_stream_begin(&st, NULL);
    for (int i = 1; i <= 10; i++) {
        put_number(&st, i);
    }
    struct evlog_aggregate *a = load(&st, &fold);
    assert_int_equal(evlog_aggregate_snapshot(a, NULL), 0);
    evlog_aggregate_close(a);
    assert_true(scripted_has(&st.s, 0, "create(t.snapshots evlog.streams=true) "));
    put_number(&st, 11);
    struct loaded loaded = load_once(&st, &fold);
    assert_int_equal(loaded.total, 66);
    assert_int_equal(loaded.count, 11);
    assert_int_equal(loaded.snapshot_version, 9);
    assert_int_equal(loaded.read_count, 1);
    fold.schema = 2;
    loaded = load_once(&st, &fold);
    assert_int_equal(loaded.total, 66);
    assert_int_equal(loaded.snapshot_version, -1);
    assert_int_equal(loaded.read_count, 11);
    finish(&st, &sums);
}

TEST(aggregate, schemas_have_snapshots_beside_each_other)
{
    struct scripted_stream st;
    struct sums sums = {0};
    struct evlog_fold old = snapshot_fold(&sums, 1), new = snapshot_fold(&sums, 2);
    scripted_stream_begin(&st, NULL);
    for (int i = 0; i < 4; i++) {
        put_number(&st, 1);
        struct evlog_aggregate *a = load(&st, i % 2 == 0 ? &old : &new);
        assert_int_equal(evlog_aggregate_snapshot(a, NULL), 0);
        evlog_aggregate_close(a);
    }
    assert_int_equal(load_once(&st, &old).snapshot_version, 2);
    assert_int_equal(load_once(&st, &new).snapshot_version, 3);
    assert_int_equal(load_once(&st, &old).total, 4);
    finish(&st, &sums);
}

TEST(aggregate, snapshots_are_put_in_passing)
{
    struct scripted_stream st;
    struct sums sums = {0};
    struct evlog_fold fold = snapshot_fold(&sums, 1);
    scripted_stream_begin(&st, NULL);
    fold.snapshot_every = 4;
    for (int i = 1; i <= 3; i++) {
        put_number(&st, i);
    }
    assert_int_equal(load_once(&st, &fold).snapshot_version, -1);
    assert_int_equal(st.count[0], 0);
    put_number(&st, 4);
    assert_int_equal(load_once(&st, &fold).snapshot_version, -1);
    assert_int_equal(st.count[0], 1);
    struct loaded loaded = load_once(&st, &fold);
    assert_int_equal(loaded.snapshot_version, 3);
    assert_int_equal(loaded.total, 10);
    assert_int_equal(st.count[0], 1);
    finish(&st, &sums);
}

TEST(aggregate, a_snapshot_of_another_history_does_not_count)
{
    struct scripted_stream st;
    struct sums sums = {0};
    struct evlog_fold fold = snapshot_fold(&sums, 1);
    scripted_stream_begin(&st, NULL);
    for (int i = 0; i < 4; i++) {
        put_number(&st, 100);
    }
    struct evlog_aggregate *a = load(&st, &fold);
    assert_int_equal(evlog_aggregate_snapshot(a, NULL), 0);
    evlog_aggregate_close(a);
    st.count[1] = 0; /* the topic is made anew; its snapshots are still there */
    put_number(&st, 1);
    assert_int_equal(load_once(&st, &fold).total, 1);
    for (int i = 0; i < 5; i++) {
        put_number(&st, 1);
    }
    struct loaded loaded = load_once(&st, &fold);
    assert_int_equal(loaded.total, 6);
    assert_int_equal(loaded.snapshot_version, -1);
    assert_int_equal(sums.restored, 2);
    finish(&st, &sums);
}

TEST(aggregate, bytes_that_are_no_snapshot_are_passed_over)
{
    static const char *const bad[] = {"", "x", "-1", "99999999999999999999", "1x", "+1"};
    struct scripted_stream st;
    struct sums sums = {0};
    struct evlog_fold fold = snapshot_fold(&sums, 1);
    const struct evlog_snapshot *found = NULL;
    struct evlog_snapshot snapshot = {.size = sizeof snapshot, .version = 0, .schema = 1, .state = {"what", 4}};
    scripted_stream_begin(&st, NULL);
    put_number(&st, 5);
    assert_int_equal(evlog_snapshot_get(&st.s.client, "t", key, &found, NULL), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(evlog_snapshot_put(&st.s.client, "t", key, &snapshot, NULL), 0);
    assert_int_equal(load_once(&st, &fold).total, 5);
    assert_int_equal(evlog_snapshot_get(&st.s.client, "t", key, &found, NULL), 0);
    assert_memory_equal(found->state.data, "what", 4);
    assert_null(found->event_id.data);
    evlog_snapshot_free(found);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (int header = 0; header < 3; header++) {
            struct scripted_event *event = &st.log[0][0];
            char before[SCRIPTED_TEXT_LEN];
            memcpy(before, event->headers[header][1], sizeof before);
            (void)snprintf(event->headers[header][1], SCRIPTED_TEXT_LEN, "%s", bad[i]);
            assert_int_equal(evlog_snapshot_get(&st.s.client, "t", key, &found, NULL), EVLOG_ERR_NOT_FOUND);
            memcpy(event->headers[header][1], before, sizeof before);
        }
    }
    snapshot.version = -1;
    assert_int_equal(evlog_snapshot_put(&st.s.client, "t", key, &snapshot, NULL), EVLOG_ERR_ARGUMENT);
    finish(&st, &sums);
}

/* --- deciding ----------------------------------------------------------------------------------------------------- */

static int decide(void *arg, const struct evlog_aggregate *a, struct evlog_decision *decision)
{
    struct sums *sums = arg;
    const struct sum *sum = evlog_aggregate_state(a);
    char data[32];
    sums->seen[sums->decided++ % 32] = sum->total;
    if (sums->emits < 0) {
        return (int)-sums->emits;
    }
    (void)snprintf(data, sizeof data, "%lld", (long long)sums->emits);
    struct evlog_header header = {{"h", 1}, {data, strlen(data)}};
    struct evlog_new_event event = {
        .type = "Added", .data = {data, strlen(data)}, .headers = &header, .header_count = 1};
    int rc = sums->emits == 0 ? 0 : evlog_decision_emit(decision, &event);
    memset(data, 'x', sizeof data); /* what was emitted is a copy */
    if (rc == 0 && sums->check != NULL) {
        rc = evlog_decision_check(decision, (struct evlog_bytes){sums->check, strlen(sums->check)},
                                  EVLOG_EXPECT_EXISTS);
    }
    return rc;
}

static struct evlog_decide_options deciding(struct sums *sums)
{
    struct evlog_decide_options options = EVLOG_DECIDE_OPTIONS_INIT;
    options.decide = decide;
    options.arg = sums;
    return options;
}

static int faster; /* events that another appends, each just before ours */

static void be_faster(struct scripted_stream *st)
{
    if (faster > 0) {
        faster--;
        scripted_stream_add(st, "a", NULL, "Added", "100");
    }
}

TEST(aggregate, a_decision_is_appended_with_the_version_decided_on)
{
    struct scripted_stream st;
    struct sums sums = {.emits = 5};
    struct evlog_fold fold = fold_of(&sums);
    struct evlog_decide_options options = deciding(&sums);
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    scripted_stream_begin(&st, NULL);
    assert_int_equal(evlog_decide(&st.s.client, &fold, key, &options, &appended, NULL), 0);
    assert_int_equal(appended.version, 0);
    assert_int_equal(evlog_decide(&st.s.client, &fold, key, &options, &appended, NULL), 0);
    assert_int_equal(appended.version, 1);
    assert_true(scripted_has(&st.s, 0, "append(a@-1 "));
    assert_true(scripted_has(&st.s, 0, "append(a@0 "));
    assert_string_equal(st.log[1][1].data, "5");
    assert_string_equal(st.log[1][1].headers[0][1], "5");
    sums.emits = 0;
    assert_int_equal(evlog_decide(&st.s.client, &fold, key, &options, &appended, NULL), 0);
    assert_int_equal(appended.version, 1);
    assert_int_equal(appended.offset, -1);
    sums.emits = -42;
    assert_int_equal(evlog_decide(&st.s.client, &fold, key, &options, &appended, NULL), 42);
    assert_int_equal(st.count[1], 2);
    finish(&st, &sums);
}

TEST(aggregate, who_is_slower_decides_anew)
{
    struct scripted_stream st;
    struct sums sums = {.emits = 1};
    struct evlog_fold fold = fold_of(&sums);
    struct evlog_decide_options options = deciding(&sums);
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    scripted_stream_begin(&st, NULL);
    st.before_append = be_faster;
    faster = 3;
    assert_int_equal(evlog_decide(&st.s.client, &fold, key, &options, &appended, NULL), 0);
    assert_int_equal(appended.version, 3);
    assert_int_equal(sums.decided, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sums.seen[i], 100 * i);
    }
    faster = 100;
    options.tries_max = 3;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    assert_int_equal(evlog_decide(&st.s.client, &fold, key, &options, &appended, &failure), EVLOG_ERR_WRONG_VERSION);
    assert_int_equal(sums.decided, 7);
    assert_non_null(strstr(failure.text, "after 3 decisions: stream a of topic t is at version"));
    assert_memory_equal(appended.conflict.key.data, "a", 1);
    options.tries_max = 0;
    assert_int_equal(evlog_decide(&st.s.client, &fold, key, &options, &appended, NULL), EVLOG_ERR_ARGUMENT);
    finish(&st, &sums);
}

TEST(aggregate, a_state_at_hand_decides_again_and_again)
{
    struct scripted_stream st;
    struct sums sums = {.emits = 2};
    struct evlog_fold fold = fold_of(&sums);
    struct evlog_decide_options options = deciding(&sums);
    scripted_stream_begin(&st, NULL);
    struct evlog_aggregate *a = load(&st, &fold);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(evlog_decide_on(a, &options, NULL, NULL), 0);
    }
    assert_int_equal(sums.decided, 10);
    assert_int_equal(look(a).total, 18);
    assert_int_equal(look(a).read_count, 9);
    evlog_aggregate_close(a);
    assert_int_equal(load_once(&st, &fold).total, 20);
    finish(&st, &sums);
}

TEST(aggregate, a_condition_on_another_stream_is_not_decided_anew)
{
    struct scripted_stream st;
    struct sums sums = {.emits = 1, .check = "c"};
    struct evlog_fold fold = fold_of(&sums);
    struct evlog_decide_options options = deciding(&sums);
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    scripted_stream_begin(&st, NULL);
    assert_int_equal(evlog_decide(&st.s.client, &fold, key, &options, &appended, NULL), EVLOG_ERR_WRONG_VERSION);
    assert_int_equal(sums.decided, 1);
    assert_null(appended.conflict.key.data);
    scripted_stream_put(&st, "c", NULL, NULL, NULL);
    assert_int_equal(evlog_decide(&st.s.client, &fold, key, &options, &appended, NULL), 0);
    finish(&st, &sums);
}

TEST_TORTURE(aggregate, memory_that_runs_out_leaves_nothing_behind)
{
    static const char *const settings[] = {
        "request.timeout.ms", "200", "delivery.timeout.ms", "400", "linger.ms", "0", NULL};
    struct scripted_stream st;
    struct sums sums = {.emits = 1};
    struct evlog_fold fold = snapshot_fold(&sums, 1);
    struct evlog_decide_options options = deciding(&sums);
    scripted_stream_begin(&st, settings);
    put_number(&st, 1);
    put_number(&st, 2);
    fold.snapshot_every = 2;
    for (int i = 0; i < 2; i++) {
        int rc = evlog_decide(&st.s.client, &fold, key, &options, NULL, NULL);
        assert_true(rc == 0 || el_test_failing());
    }
    finish(&st, &sums);
}
