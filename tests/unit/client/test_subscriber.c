/* SPDX-License-Identifier: Apache-2.0
 *
 * Membership of a subscriber. Goal: whatever a coordinator says, nothing is read that is not held, nothing is claimed
 * that was let go, what is processed is committed before it goes, and the reader is told. Method: a broker that
 * follows a script and writes down what it was asked; every test says what must stand in that log and in which order.
 */
#include "../../../client/subscriber_state.h"
#include "../../lib/test.h"
#include "scripted.h"

#include <evlog/error.h>
#include <stdio.h>
#include <string.h>
#include <wire/error_code.h>

#define PATIENCE_NS (10000 * EL_NS_PER_MS)

/* What the reader was told: "assigned 0@0 1@0; revoked 1@5; " */
struct told {
    char text[1024];
    size_t len;
};

static void on_rebalance(void *arg, struct evlog_subscriber *subscriber, enum evlog_rebalance what,
                         const struct evlog_partition_offset *partitions, size_t count)
{
    static const char *const words[] = {"assigned", "revoked", "lost"};
    struct told *told = arg;
    const struct evlog_event *event;
    assert_int_equal(evlog_subscriber_next(subscriber, 0, &event, NULL), EVLOG_ERR_ARGUMENT);
    assert_int_equal(evlog_subscriber_close(subscriber, 0, NULL), EVLOG_ERR_ARGUMENT);
    told->len += (size_t)snprintf(told->text + told->len, sizeof told->text - told->len, "%s", words[what]);
    for (size_t i = 0; i < count; i++) {
        told->len += (size_t)snprintf(told->text + told->len, sizeof told->text - told->len, " %d@%lld",
                                      partitions[i].partition, (long long)partitions[i].offset);
    }
    told->len += (size_t)snprintf(told->text + told->len, sizeof told->text - told->len, "; ");
}

static struct evlog_subscriber *subscribe(struct scripted *s, struct told *told)
{
    struct evlog_subscriber *subscriber = NULL;
    struct evlog_subscriber_options options = EVLOG_SUBSCRIBER_OPTIONS_INIT;
    const char *topic = "t";
    memset(told, 0, sizeof *told);
    options.group = "g";
    options.topics = &topic;
    options.topic_count = 1;
    options.on_rebalance = on_rebalance;
    options.arg = told;
    assert_int_equal(evlog_subscriber_open(&s->client, &options, &subscriber, NULL), 0);
    return subscriber;
}

/* Read without taking events until the reader has been told. */
static void until_told(struct evlog_subscriber *subscriber, const struct told *told, const char *text)
{
    int64_t deadline_ns = el_now_ns() + PATIENCE_NS;
    while (strstr(told->text, text) == NULL && el_now_ns() < deadline_ns) {
        assert_true(evlog_subscriber_poll(subscriber, NULL) >= 0);
        el_client_lock(subscriber->client);
        if (!el_subscriber_has_due(subscriber)) {
            (void)el_client_wait(subscriber->client, el_now_ns() + 10 * EL_NS_PER_MS);
        }
        el_client_unlock(subscriber->client);
    }
    if (strstr(told->text, text) == NULL) {
        fail_msg("not told \"%s\" but \"%s\"", text, told->text);
    }
}

/* The next event, which must come. */
static const struct evlog_event *read_one(struct evlog_subscriber *subscriber)
{
    const struct evlog_event *event = NULL;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = evlog_subscriber_next(subscriber, (int)(PATIENCE_NS / EL_NS_PER_MS), &event, &failure);
    if (rc != 1) {
        fail_msg("no event: %d %s", rc, failure.text);
    }
    return event;
}

/* Call until it fails. returns the code */
static int until_failed(struct evlog_subscriber *subscriber, struct evlog_failure *failure)
{
    int64_t deadline_ns = el_now_ns() + PATIENCE_NS;
    const struct evlog_event *event;
    int rc = 0;
    while (rc >= 0 && el_now_ns() < deadline_ns) {
        rc = evlog_subscriber_next(subscriber, 5, &event, failure);
    }
    return rc;
}

static void set(struct scripted *s, int *error, int code, bool once)
{
    el_client_lock(&s->client);
    *error = code;
    s->once = once;
    el_client_unlock(&s->client);
}

static void give(struct scripted *s, const int32_t *partitions, uint32_t count)
{
    el_client_lock(&s->client);
    memcpy(s->given, partitions, count * sizeof *partitions);
    s->given_count = count;
    el_client_unlock(&s->client);
}

/* --- refusals ---------------------------------------------------------------------------------------------------- */

TEST(subscriber, options_without_group_or_topic_are_refused)
{
    static struct scripted s;
    struct evlog_subscriber *subscriber = NULL;
    struct evlog_subscriber_options options = EVLOG_SUBSCRIBER_OPTIONS_INIT;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const char *topic = "a*b";
    scripted_begin(&s, NULL);
    assert_int_equal(evlog_subscriber_open(&s.client, &options, &subscriber, &failure), EVLOG_ERR_ARGUMENT);
    options.group = "g";
    assert_int_equal(evlog_subscriber_open(&s.client, &options, &subscriber, &failure), EVLOG_ERR_ARGUMENT);
    options.topics = &topic;
    options.topic_count = 1;
    assert_int_equal(evlog_subscriber_open(&s.client, &options, &subscriber, &failure), EVLOG_ERR_INVALID_TOPIC);
    options.size = 0;
    assert_int_equal(evlog_subscriber_open(&s.client, &options, &subscriber, &failure), EVLOG_ERR_ARGUMENT);
    assert_null(subscriber);
    scripted_end(&s);
}

TEST(subscriber, a_group_that_does_not_take_it_is_told_by_every_call)
{
    static const struct {
        int kafka_code, code;
    } cases[] = {
        {EL_KAFKA_INCONSISTENT_GROUP_PROTOCOL, EVLOG_ERR_GROUP_PROTOCOL},
        {EL_KAFKA_GROUP_MAX_SIZE_REACHED, EVLOG_ERR_GROUP_FULL},
        {EL_KAFKA_INVALID_SESSION_TIMEOUT, EVLOG_ERR_SESSION_TIMEOUT},
        {EL_KAFKA_GROUP_AUTHORIZATION_FAILED, EVLOG_ERR_GROUP_DENIED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct scripted s;
        struct told told;
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        scripted_begin(&s, NULL);
        set(&s, &s.join_error, cases[i].kafka_code, false);
        struct evlog_subscriber *subscriber = subscribe(&s, &told);
        assert_int_equal(until_failed(subscriber, &failure), cases[i].code);
        assert_int_equal(failure.kafka_code, cases[i].kafka_code);
        assert_int_equal(until_failed(subscriber, &failure), cases[i].code);
        assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
        scripted_end(&s);
    }
}

TEST(subscriber, an_assignment_that_cannot_be_read_leads_to_another_join)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, NULL);
    s.breaks_sync = true;
    give(&s, (const int32_t[]){0}, 1);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    until_told(subscriber, &told, "assigned 0@0; ");
    size_t pos = scripted_wait(&s, 0, "sync(gen=1");
    (void)scripted_wait(&s, pos, "sync(gen=2");
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

TEST(subscriber, without_an_offset_and_a_reset_it_says_so)
{
    static struct scripted s;
    struct told told;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    scripted_begin(&s, (const char *const[]){"auto.offset.reset", "none", NULL});
    give(&s, (const int32_t[]){1}, 1);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    assert_int_equal(until_failed(subscriber, &failure), EVLOG_ERR_NO_OFFSET);
    assert_non_null(strstr(failure.text, "t[1]"));
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

/* --- joining ----------------------------------------------------------------------------------------------------- */

TEST(subscriber, joins_with_the_id_it_was_given_and_begins_where_the_group_stands)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, NULL);
    s.committed[1] = 3;
    s.ends[0] = s.ends[1] = 5;
    give(&s, (const int32_t[]){0, 1}, 2);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    until_told(subscriber, &told, "assigned 0@0 1@3; ");
    size_t pos = scripted_wait(&s, 0, "join(id= gen=-1 topics=1 owned=)");
    pos = scripted_wait(&s, pos, "join(id=m1 gen=-1 topics=1 owned=)");
    pos = scripted_wait(&s, pos, "sync(gen=1 for=0)");
    (void)scripted_wait(&s, pos, "committed");
    struct evlog_membership membership = {.size = sizeof membership};
    evlog_subscriber_membership(subscriber, &membership);
    assert_string_equal(membership.state, "stable");
    assert_int_equal(membership.generation, 1);
    assert_string_equal(membership.member_id, "m1");
    assert_false(membership.is_leader);
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

TEST(subscriber, as_leader_it_divides_among_all)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, NULL);
    s.leads = true;
    s.partition_count = 3;
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    until_told(subscriber, &told, "assigned 0@0 1@0 2@0; ");
    (void)scripted_wait(&s, 0, "sync(gen=1 for=1)");
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

TEST(subscriber, a_leader_divides_again_when_the_topic_has_grown)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, (const char *const[]){"metadata.max.age.ms", "20", NULL});
    s.leads = true;
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    until_told(subscriber, &told, "assigned 0@0 1@0; ");
    el_client_lock(&s.client);
    s.partition_count = 4;
    el_client_unlock(&s.client);
    until_told(subscriber, &told, "assigned 2@0 3@0; ");
    assert_null(strstr(told.text, "revoked"));
    (void)scripted_wait(&s, 0, "owned=0,1)");
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

TEST(subscriber, a_coordinator_that_loads_or_moves_is_asked_again)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, NULL);
    give(&s, (const int32_t[]){0}, 1);
    set(&s, &s.find_error, EL_KAFKA_COORDINATOR_NOT_AVAILABLE, true);
    s.join_error = EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    s.sync_error = EL_KAFKA_NOT_COORDINATOR;
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    until_told(subscriber, &told, "assigned 0@0; ");
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

/* --- rebalances -------------------------------------------------------------------------------------------------- */

TEST(subscriber, a_cooperative_member_keeps_what_it_is_not_asked_to_give)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, NULL);
    give(&s, (const int32_t[]){0, 1}, 2);
    s.ends[0] = s.ends[1] = 100;
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    (void)read_one(subscriber);
    give(&s, (const int32_t[]){0}, 1);
    size_t pos = scripted_pos(&s);
    set(&s, &s.heartbeat_error, EL_KAFKA_REBALANCE_IN_PROGRESS, true);
    pos = scripted_wait(&s, pos, "join(id=m1 gen=1 topics=1 owned=0,1)");
    pos = scripted_wait(&s, pos, "sync(gen=2");
    until_told(subscriber, &told, "revoked 1@");
    /* What it let go makes room for another: it joins once more, without it. */
    pos = scripted_wait(&s, pos, "join(id=m1 gen=2 topics=1 owned=0)");
    (void)scripted_wait(&s, pos, "sync(gen=3");
    struct evlog_partition_offset held[2];
    assert_int_equal(evlog_subscriber_assignment(subscriber, held, 2), 1);
    assert_int_equal(held[0].partition, 0);
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

TEST(subscriber, an_eager_member_commits_and_lets_go_before_it_joins)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, (const char *const[]){"partition.assignment.strategy", "range", NULL});
    s.strategy = "range";
    s.ends[0] = 100;
    give(&s, (const int32_t[]){0}, 1);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    for (int i = 0; i < 3; i++) {
        (void)read_one(subscriber);
    }
    size_t pos = scripted_pos(&s);
    set(&s, &s.heartbeat_error, EL_KAFKA_REBALANCE_IN_PROGRESS, true);
    (void)scripted_wait(&s, pos, "beat(27)");
    assert_false(scripted_has(&s, pos, "join("));
    until_told(subscriber, &told, "revoked 0@3; ");
    /* Two of the three: nobody has said yet that the third is done. */
    size_t committed = scripted_wait(&s, pos, "commit(gen=1 0=2)");
    (void)scripted_wait(&s, committed, "join(id=m1 gen=-1 topics=1 owned=)");
    until_told(subscriber, &told, "assigned 0@2; ");
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

TEST(subscriber, a_forgotten_member_loses_everything_and_begins_anew)
{
    static const int codes[] = {EL_KAFKA_UNKNOWN_MEMBER_ID, EL_KAFKA_ILLEGAL_GENERATION};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        static struct scripted s;
        struct told told;
        scripted_begin(&s, NULL);
        s.ends[0] = 100;
        give(&s, (const int32_t[]){0}, 1);
        struct evlog_subscriber *subscriber = subscribe(&s, &told);
        (void)read_one(subscriber);
        (void)read_one(subscriber);
        size_t pos = scripted_pos(&s);
        set(&s, &s.heartbeat_error, codes[i], true);
        until_told(subscriber, &told, "lost 0@2; ");
        pos = scripted_wait(&s, pos,
                            i == 0 ? "join(id= gen=-1 topics=1 owned=)" : "join(id=m1 gen=-1 topics=1 owned=)");
        assert_null(strstr(s.log, "commit(")); /* it would be refused */
        until_told(subscriber, &told, "assigned 0@0; lost 0@2; assigned 0@0; ");
        assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
        scripted_end(&s);
    }
}

TEST(subscriber, a_coordinator_that_moves_does_not_end_the_membership)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, NULL);
    give(&s, (const int32_t[]){0}, 1);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    until_told(subscriber, &told, "assigned 0@0; ");
    size_t pos = scripted_pos(&s);
    set(&s, &s.heartbeat_error, EL_KAFKA_NOT_COORDINATOR, true);
    pos = scripted_wait(&s, pos, "beat(16) find ");
    (void)scripted_wait(&s, pos, "beat(0)");
    assert_false(scripted_has(&s, pos, "join("));
    assert_string_equal(told.text, "assigned 0@0; ");
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

TEST(subscriber, a_fenced_instance_stops_and_names_the_reason)
{
    static struct scripted s;
    struct told told;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    scripted_begin(&s, (const char *const[]){"group.instance.id", "one", NULL});
    give(&s, (const int32_t[]){0}, 1);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    until_told(subscriber, &told, "assigned 0@0; ");
    set(&s, &s.heartbeat_error, EL_KAFKA_FENCED_INSTANCE_ID, false);
    assert_int_equal(until_failed(subscriber, &failure), EVLOG_ERR_FENCED_INSTANCE);
    assert_non_null(strstr(failure.hint, "group.instance.id=one"));
    assert_string_equal(told.text, "assigned 0@0; lost 0@0; ");
    assert_int_equal(until_failed(subscriber, &failure), EVLOG_ERR_FENCED_INSTANCE);
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    assert_null(strstr(s.log, "leave("));
    scripted_end(&s);
}

TEST(subscriber, a_reader_that_does_not_come_leaves_the_group_and_is_told)
{
    static struct scripted s;
    struct told told;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    scripted_begin(&s, (const char *const[]){"max.poll.interval.ms", "100", NULL});
    give(&s, (const int32_t[]){0}, 1);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    until_told(subscriber, &told, "assigned 0@0; ");
    size_t pos = scripted_wait(&s, 0, "leave(m1)");
    assert_false(scripted_has(&s, pos, "join(")); /* not before the reader is back */
    assert_int_equal(until_failed(subscriber, &failure), EVLOG_ERR_POLL_INTERVAL);
    assert_string_equal(told.text, "assigned 0@0; lost 0@0; ");
    until_told(subscriber, &told, "assigned 0@0; lost 0@0; assigned 0@0; ");
    (void)scripted_wait(&s, pos, "join(id= gen=-1");
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

/* --- offsets ----------------------------------------------------------------------------------------------------- */

TEST(subscriber, an_event_counts_as_done_when_the_next_is_asked_for)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, (const char *const[]){"enable.auto.commit", "false", NULL});
    s.ends[0] = 10;
    give(&s, (const int32_t[]){0}, 1);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    for (int i = 0; i < 4; i++) {
        const struct evlog_event *event = read_one(subscriber);
        assert_int_equal(event->offset, i);
    }
    assert_int_equal(evlog_subscriber_commit(subscriber, NULL, 0, NULL), 0); /* saying so counts too */
    assert_int_equal(s.committed[0], 4);
    size_t pos = scripted_pos(&s);
    assert_int_equal(evlog_subscriber_commit(subscriber, NULL, 0, NULL), 0);
    assert_false(scripted_has(&s, pos, "commit(")); /* nothing new */
    (void)read_one(subscriber);
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    assert_int_equal(s.committed[0], 4);
    assert_non_null(strstr(s.log, "leave(m1)"));
    scripted_end(&s);
}

TEST(subscriber, only_what_was_stored_is_committed_when_the_program_says_so)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, (const char *const[]){"enable.auto.offset.store", "false", NULL});
    s.ends[0] = 10;
    give(&s, (const int32_t[]){0}, 1);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    (void)read_one(subscriber);
    assert_int_equal(evlog_subscriber_store(subscriber, read_one(subscriber)), 0);
    (void)read_one(subscriber);
    (void)read_one(subscriber);
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    assert_int_equal(s.committed[0], 2);
    scripted_end(&s);
}

TEST(subscriber, commits_happen_by_themselves_in_time)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, (const char *const[]){"auto.commit.interval.ms", "10", NULL});
    s.ends[0] = 3;
    give(&s, (const int32_t[]){0}, 1);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    for (int i = 0; i < 3; i++) {
        (void)read_one(subscriber);
    }
    const struct evlog_event *event;
    int64_t deadline_ns = el_now_ns() + PATIENCE_NS;
    while (!scripted_has(&s, 0, "0=3)") && el_now_ns() < deadline_ns) {
        assert_int_equal(evlog_subscriber_next(subscriber, 5, &event, NULL), 0);
    }
    assert_true(scripted_has(&s, 0, "commit(gen=1 0=3)"));
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

TEST(subscriber, a_commit_the_group_refuses_is_explained)
{
    static struct scripted s;
    struct told told;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    scripted_begin(&s, (const char *const[]){"enable.auto.commit", "false", NULL});
    s.ends[0] = 10;
    give(&s, (const int32_t[]){0}, 1);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    (void)read_one(subscriber);
    set(&s, &s.commit_error, EL_KAFKA_ILLEGAL_GENERATION, true);
    assert_int_equal(evlog_subscriber_commit(subscriber, NULL, 0, &failure), EVLOG_ERR_GENERATION);
    assert_non_null(strstr(failure.hint, "read again"));
    set(&s, &s.commit_error, EL_KAFKA_REBALANCE_IN_PROGRESS, true);
    assert_int_equal(evlog_subscriber_commit(subscriber, NULL, 0, &failure), EVLOG_ERR_REBALANCE);
    set(&s, &s.commit_error, EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS, true); /* that mends itself */
    assert_int_equal(evlog_subscriber_commit(subscriber, NULL, 0, &failure), 0);
    assert_int_equal(s.committed[0], 1);
    struct evlog_partition_offset bad = {.topic = "t", .partition = 0, .offset = -1};
    assert_int_equal(evlog_subscriber_commit(subscriber, &bad, 1, &failure), EVLOG_ERR_ARGUMENT);
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

struct commit_end {
    int count;
    int code;
};

static void on_commit(void *arg, const struct evlog_partition_offset *offsets, size_t count,
                      const struct evlog_failure *failure)
{
    struct commit_end *end = arg;
    assert_int_equal(count, 1);
    assert_string_equal(offsets[0].topic, "t");
    end->count++;
    end->code = failure == NULL ? 0 : failure->code;
}

TEST(subscriber, an_asynchronous_commit_is_told_inside_a_call)
{
    static struct scripted s;
    struct told told;
    struct commit_end end = {0};
    scripted_begin(&s, (const char *const[]){"enable.auto.commit", "false", NULL});
    s.ends[0] = 10;
    give(&s, (const int32_t[]){0}, 1);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    (void)read_one(subscriber);
    size_t pos = scripted_pos(&s);
    assert_int_equal(evlog_subscriber_commit_async(subscriber, NULL, 0, on_commit, &end, NULL), 0);
    (void)scripted_wait(&s, pos, "commit(gen=1 0=1)");
    assert_int_equal(end.count, 0);
    int64_t deadline_ns = el_now_ns() + PATIENCE_NS;
    while (end.count == 0 && el_now_ns() < deadline_ns) {
        assert_true(evlog_subscriber_poll(subscriber, NULL) >= 0);
    }
    assert_int_equal(end.count, 1);
    assert_int_equal(end.code, 0);
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

/* --- moving ------------------------------------------------------------------------------------------------------ */

TEST(subscriber, seeks_and_pauses_what_it_holds_and_nothing_else)
{
    static struct scripted s;
    struct told told;
    const struct evlog_event *event;
    scripted_begin(&s, NULL);
    s.ends[0] = s.ends[1] = 10;
    give(&s, (const int32_t[]){0, 1}, 2);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    until_told(subscriber, &told, "assigned 0@0 1@0; ");
    assert_int_equal(evlog_subscriber_seek(subscriber, "t", 2, 0, NULL), EVLOG_ERR_ARGUMENT);
    assert_int_equal(evlog_subscriber_seek(subscriber, "t", 0, -7, NULL), EVLOG_ERR_ARGUMENT);
    assert_int_equal(evlog_subscriber_pause(subscriber, "u", 0), EVLOG_ERR_ARGUMENT);
    assert_int_equal(evlog_subscriber_pause(subscriber, "t", 0), 0);
    assert_int_equal(evlog_subscriber_seek(subscriber, "t", 1, 8, NULL), 0);
    event = read_one(subscriber);
    assert_int_equal(event->partition, 1);
    assert_int_equal(event->offset, 8);
    assert_int_equal(read_one(subscriber)->offset, 9);
    assert_int_equal(evlog_subscriber_next(subscriber, 20, &event, NULL), 0); /* 0 is paused */
    assert_int_equal(evlog_subscriber_seek(subscriber, "t", 0, EVLOG_OFFSET_LATEST, NULL), 0);
    assert_int_equal(evlog_subscriber_position(subscriber, "t", 0), 10);
    assert_int_equal(evlog_subscriber_seek(subscriber, "t", 0, EVLOG_OFFSET_EARLIEST, NULL), 0);
    assert_int_equal(evlog_subscriber_resume(subscriber, "t", 0), 0);
    assert_int_equal(read_one(subscriber)->offset, 0);
    assert_int_equal(evlog_subscriber_seek(subscriber, "t", 1, 99, NULL), 0); /* outside the log: as the reset says */
    assert_int_equal(evlog_subscriber_pause(subscriber, "t", 0), 0);
    event = read_one(subscriber);
    assert_int_equal(event->partition, 1);
    assert_int_equal(event->offset, 0);
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

TEST(subscriber, an_answer_to_what_was_asked_before_a_seek_does_not_count)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, (const char *const[]){"fetch.max.wait.ms", "60000", NULL});
    s.ends[0] = 2;
    give(&s, (const int32_t[]){0}, 1);
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    const struct evlog_event *event;
    (void)read_one(subscriber);
    (void)read_one(subscriber);
    assert_int_equal(evlog_subscriber_next(subscriber, 20, &event, NULL), 0); /* asks for offset 2, which waits */
    assert_int_equal(evlog_subscriber_seek(subscriber, "t", 0, 0, NULL), 0);
    scripted_append(&s, 0, 1);
    for (int64_t offset = 0; offset < 3; offset++) {
        assert_int_equal(read_one(subscriber)->offset, offset);
    }
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

TEST(subscriber, closes_while_it_waits_for_the_group)
{
    static struct scripted s;
    struct told told;
    scripted_begin(&s, NULL);
    s.holds_joins = true;
    struct evlog_subscriber *subscriber = subscribe(&s, &told);
    (void)scripted_wait(&s, 0, "join(");
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_release(&s);
    scripted_end(&s);
}

/* Whether the answer or the thread's turn comes first is chance: nearly always the answer. */
TEST(subscriber, closes_as_the_group_lets_it_in)
{
    for (int i = 0; i < 20; i++) {
        static struct scripted s;
        struct told told;
        scripted_begin(&s, (const char *const[]){"group.instance.id", "one", NULL});
        s.holds_joins = true;
        struct evlog_subscriber *subscriber = subscribe(&s, &told);
        (void)scripted_wait(&s, 0, "join(");
        el_client_lock(&s.client);
        s.holds_joins = false;
        el_client_unlock(&s.client);
        assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
        scripted_end(&s);
    }
}

TEST_TORTURE(subscriber, running_out_of_memory_loses_nothing)
{
    static struct scripted s;
    struct told told;
    struct evlog_subscriber *subscriber = NULL;
    struct evlog_subscriber_options options = EVLOG_SUBSCRIBER_OPTIONS_INIT;
    const char *topic = "t";
    memset(&told, 0, sizeof told);
    scripted_begin(&s, NULL);
    s.ends[0] = 3;
    give(&s, (const int32_t[]){0}, 1);
    options.group = "g";
    options.topics = &topic;
    options.topic_count = 1;
    options.on_rebalance = on_rebalance;
    options.arg = &told;
    int rc = evlog_subscriber_open(&s.client, &options, &subscriber, NULL);
    assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
    int64_t next_offset = 0, deadline_ns = el_now_ns() + PATIENCE_NS;
    while (rc == 0 && next_offset < 3 && el_now_ns() < deadline_ns) {
        const struct evlog_event *event;
        int its = evlog_subscriber_next(subscriber, 100, &event, NULL);
        assert_true(its >= 0 || el_test_failing());
        if (its == 1) {
            assert_int_equal(event->offset, next_offset++);
        }
    }
    assert_true(rc != 0 || next_offset == 3);
    if (rc == 0) {
        rc = evlog_subscriber_close(subscriber, -1, NULL);
        assert_true(rc == 0 || el_test_failing());
    }
    scripted_end(&s);
}
