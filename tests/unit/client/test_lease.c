/* SPDX-License-Identifier: Apache-2.0
 *
 * A member of a work group. Goal: whatever a broker says, each event that was leased gets one outcome or comes again,
 * nobody is told that an outcome counts when it does not, and what cannot be read is given back. Method: a broker that
 * follows a script and keeps a table of events; every test says what must stand in its notes and in its table.
 */
#include "../../../client/lease_state.h"
#include "../../lib/test.h"
#include "scripted_lease.h"

#include <evlog/error.h>
#include <stdio.h>
#include <string.h>
#include <wire/error_code.h>

#define PATIENCE_MS SCRIPTED_PATIENCE_MS

static void set(struct scripted_lease *l, int *error, int code, bool once)
{
    el_client_lock(&l->s.client);
    *error = code;
    l->once = once;
    el_client_unlock(&l->s.client);
}

static void set_flag(struct scripted_lease *l, bool *flag)
{
    el_client_lock(&l->s.client);
    *flag = true;
    el_client_unlock(&l->s.client);
}

static void finish(struct scripted_lease *l, struct evlog_group *group)
{
    assert_int_equal(evlog_group_close(group, -1, NULL), 0);
    scripted_end(&l->s);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(lease, options_without_group_or_topic_are_refused)
{
    static struct scripted_lease l;
    struct evlog_group *group = NULL;
    struct evlog_group_options options = EVLOG_GROUP_OPTIONS_INIT;
    const char *topic = "a*";
    scripted_lease_begin(&l, NULL);
    assert_int_equal(evlog_group_open(&l.s.client, &options, &group, NULL), EVLOG_ERR_ARGUMENT);
    options.group = "g";
    assert_int_equal(evlog_group_open(&l.s.client, &options, &group, NULL), EVLOG_ERR_ARGUMENT);
    options.topics = &topic;
    options.topic_count = 1;
    assert_int_equal(evlog_group_open(&l.s.client, &options, &group, NULL), EVLOG_ERR_INVALID_TOPIC);
    options.size = 0;
    assert_int_equal(evlog_group_open(&l.s.client, &options, &group, NULL), EVLOG_ERR_ARGUMENT);
    assert_null(group);
    scripted_end(&l.s);
}

TEST(lease, a_group_that_does_not_take_it_is_told_by_every_call)
{
    static const struct {
        int kafka_code, code;
    } cases[] = {
        {EL_KAFKA_GROUP_ID_NOT_FOUND, EVLOG_ERR_GROUP_KIND},
        {EL_KAFKA_INCONSISTENT_GROUP_PROTOCOL, EVLOG_ERR_GROUP_KIND},
        {EL_KAFKA_GROUP_MAX_SIZE_REACHED, EVLOG_ERR_GROUP_FULL},
        {EL_KAFKA_GROUP_AUTHORIZATION_FAILED, EVLOG_ERR_GROUP_DENIED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct scripted_lease l;
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        const struct evlog_lease *lease;
        scripted_lease_begin(&l, NULL);
        set(&l, &l.beat_error, cases[i].kafka_code, false);
        struct evlog_group *group = scripted_lease_open(&l);
        assert_int_equal(evlog_group_fetch(group, 1, PATIENCE_MS, &lease, &failure), cases[i].code);
        assert_int_equal(failure.kafka_code, cases[i].kafka_code);
        assert_int_equal(evlog_group_fetch(group, 1, 0, &lease, &failure), cases[i].code);
        finish(&l, group);
    }
}

TEST(lease, fetches_of_nothing_or_of_too_much_are_refused)
{
    static struct scripted_lease l;
    const struct evlog_lease *lease;
    scripted_lease_begin(&l, NULL);
    struct evlog_group *group = scripted_lease_open(&l);
    assert_int_equal(evlog_group_fetch(group, 0, 0, &lease, NULL), EVLOG_ERR_ARGUMENT);
    assert_int_equal(evlog_group_fetch(group, 100001, 0, &lease, NULL), EVLOG_ERR_ARGUMENT);
    finish(&l, group);
}

TEST(lease, an_outcome_of_a_lease_that_ended_is_told_and_spoils_no_other)
{
    static struct scripted_lease l;
    const struct evlog_lease *leases[4];
    struct evlog_settlement all[4];
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_counts counts;
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 4;
    l.refused_offset = 2;
    struct evlog_group *group = scripted_lease_open(&l);
    scripted_lease_fetch(group, leases, 4);
    for (int i = 0; i < 4; i++) {
        all[i] = (struct evlog_settlement){.lease = leases[i], .outcome = EVLOG_ACK, .delay_ms = -1};
    }
    assert_int_equal(evlog_group_settle(group, all, 4, true, &failure), EVLOG_ERR_LEASE);
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_DONE), 3);
    evlog_group_counts(group, &counts);
    assert_int_equal(counts.acked, 3);
    assert_int_equal(counts.lost, 1);
    finish(&l, group);
}

TEST(lease, a_batch_that_does_not_pass_its_checks_is_given_back_and_told)
{
    static struct scripted_lease l;
    const struct evlog_lease *leases[2];
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 2;
    l.spoils = true;
    struct evlog_group *group = scripted_lease_open(&l);
    assert_int_equal(evlog_group_fetch(group, 2, PATIENCE_MS, leases, &failure), EVLOG_ERR_CORRUPT);
    assert_non_null(strstr(failure.text, "t[0]"));
    scripted_lease_fetch(group, leases, 2);
    assert_int_equal(leases[0]->attempt, 2);
    (void)scripted_wait(&l.s, 0, "0:0-1=2");
    finish(&l, group);
}

TEST(lease, an_old_broker_says_that_it_cannot_extend)
{
    static struct scripted_lease l;
    const struct evlog_lease *leases[1];
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 1;
    struct evlog_group *group = scripted_lease_open(&l);
    scripted_lease_fetch(group, leases, 1);
    scripted_lease_versions(&l, 1, -1);
    assert_int_equal(evlog_group_extend(group, leases[0], NULL), EVLOG_ERR_UNSUPPORTED);
    assert_int_equal(evlog_group_ack(group, leases[0], NULL), 0);
    finish(&l, group);
}

/* --- leasing ------------------------------------------------------------------------------------------------------ */

TEST(lease, leases_in_order_and_acknowledges_in_ranges)
{
    static struct scripted_lease l;
    const struct evlog_lease *leases[5];
    struct evlog_settlement all[5];
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 5;
    struct evlog_group *group = scripted_lease_open(&l);
    scripted_lease_fetch(group, leases, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(leases[i]->event->offset, i);
        assert_int_equal(leases[i]->attempt, 1);
        assert_int_equal(leases[i]->event->value.len, 1);
        assert_int_equal(((const char *)leases[i]->event->value.data)[0], '0' + i);
        all[4 - i] = (struct evlog_settlement){.lease = leases[i], .outcome = i == 3 ? EVLOG_DEAD : EVLOG_ACK};
    }
    assert_int_equal(evlog_group_settle(group, all, 5, true, NULL), 0);
    size_t pos = scripted_wait(&l.s, 0, "join(1)");
    pos = scripted_wait(&l.s, pos, "fetch(0 +0)");
    (void)scripted_wait(&l.s, pos, "ack(1 0:0-2=1 0:3=3 0:4=1)");
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_DONE), 4);
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_DEAD), 1);
    finish(&l, group);
}

TEST(lease, a_failure_is_told_in_full_where_the_broker_listens)
{
    static struct scripted_lease l;
    const struct evlog_lease *leases[2];
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 2;
    struct evlog_group *group = scripted_lease_open(&l);
    scripted_lease_fetch(group, leases, 2);
    assert_int_equal(evlog_group_nack(group, leases[0], 100, "why", "text", NULL), 0);
    (void)scripted_wait(&l.s, 0, "ack(1 0:0=2)"); /* it knows no other way */
    scripted_lease_versions(&l, 2, 0);
    assert_int_equal(evlog_group_nack(group, leases[1], 100, "why", "bad \xff\xc3", NULL), 0);
    (void)scripted_wait(&l.s, 0, "full( 0:1=5 100 why bad ?");
    scripted_lease_fetch(group, leases, 1);
    assert_int_equal(evlog_group_dead(group, leases[0], NULL, NULL, NULL), 0);
    (void)scripted_wait(&l.s, 0, "=3)");
    finish(&l, group);
}

TEST(lease, a_lost_session_ends_its_leases_and_the_events_come_again)
{
    static struct scripted_lease l;
    const struct evlog_lease *leases[2], *again[2];
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 2;
    struct evlog_group *group = scripted_lease_open(&l);
    scripted_lease_fetch(group, leases, 2);
    set_flag(&l, &l.breaks);
    assert_true(evlog_group_ack(group, leases[0], &failure) != 0);
    assert_true(failure.in_doubt);
    assert_false(evlog_group_holds(group, leases[1]));
    assert_int_equal(evlog_group_ack(group, leases[1], &failure), EVLOG_ERR_LEASE);
    scripted_lease_fetch(group, again, 2);
    assert_int_equal(again[0]->attempt, 2);
    size_t pos = scripted_wait(&l.s, 0, "broken");
    (void)scripted_wait(&l.s, pos, "fetch(0 +0)");
    finish(&l, group);
}

TEST(lease, a_refused_session_epoch_opens_a_new_session)
{
    static struct scripted_lease l;
    const struct evlog_lease *leases[1];
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 1;
    struct evlog_group *group = scripted_lease_open(&l);
    set(&l, &l.fetch_error, EL_KAFKA_SHARE_SESSION_NOT_FOUND, true);
    scripted_lease_fetch(group, leases, 1);
    size_t pos = scripted_wait(&l.s, 0, "fetch(0 +0)");
    (void)scripted_wait(&l.s, pos, "fetch(0 +0)");
    assert_int_equal(evlog_group_ack(group, leases[0], NULL), 0);
    finish(&l, group);
}

TEST(lease, a_member_that_is_fenced_joins_anew_and_keeps_its_leases)
{
    static struct scripted_lease l;
    const struct evlog_lease *leases[1];
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 1;
    struct evlog_group *group = scripted_lease_open(&l);
    scripted_lease_fetch(group, leases, 1);
    size_t pos = scripted_pos(&l.s);
    set(&l, &l.beat_error, EL_KAFKA_FENCED_MEMBER_EPOCH, true);
    pos = scripted_wait(&l.s, pos, "beat(1)");
    (void)scripted_wait(&l.s, pos, "join(1)");
    assert_int_equal(evlog_group_ack(group, leases[0], NULL), 0);
    finish(&l, group);
}

TEST(lease, a_kept_lease_is_extended_by_itself)
{
    static struct scripted_lease l;
    const struct evlog_lease *leases[1];
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 1;
    l.lease_ms = 200;
    struct evlog_group *group = scripted_lease_open(&l);
    scripted_lease_fetch(group, leases, 1);
    scripted_lease_versions(&l, 2, -1);
    evlog_group_keep(group, leases[0], PATIENCE_MS);
    size_t pos = scripted_wait(&l.s, 0, "renew 0:0=4)");
    pos = scripted_wait(&l.s, pos, "renew 0:0=4)");
    assert_true(evlog_group_holds(group, leases[0]));
    assert_int_equal(evlog_group_extend(group, leases[0], NULL), 0);
    assert_int_equal(evlog_group_ack(group, leases[0], NULL), 0);
    finish(&l, group);
}

TEST(lease, closing_sends_what_waits_and_releases_the_rest)
{
    static struct scripted_lease l;
    const struct evlog_lease *leases[3];
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 3;
    struct evlog_group *group = scripted_lease_open(&l);
    scripted_lease_fetch(group, leases, 3);
    struct evlog_settlement one = {.lease = leases[0], .outcome = EVLOG_ACK};
    assert_int_equal(evlog_group_settle(group, &one, 1, false, NULL), 0);
    assert_int_equal(evlog_group_close(group, -1, NULL), 0);
    size_t pos = scripted_wait(&l.s, 0, "0:0=1)");
    pos = scripted_wait(&l.s, pos, "close");
    (void)scripted_wait(&l.s, pos, "leave");
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_DONE), 1);
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_OUT), 0);
    scripted_end(&l.s);
}

TEST(lease, a_call_without_patience_asks_and_a_later_one_takes)
{
    static struct scripted_lease l;
    const struct evlog_lease *leases[1];
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 1;
    struct evlog_group *group = scripted_lease_open(&l);
    assert_int_equal(evlog_group_fetch(group, 1, 0, leases, NULL), 0);
    el_client_lock(&l.s.client);
    int64_t deadline_ns = el_deadline(PATIENCE_MS);
    while (!el_group_has_due(group) && el_client_wait(&l.s.client, deadline_ns)) {
    }
    el_client_unlock(&l.s.client);
    assert_int_equal(evlog_group_fetch(group, 1, 0, leases, NULL), 1);
    finish(&l, group);
}

TEST_TORTURE(lease, running_out_of_memory_loses_nothing)
{
    static struct scripted_lease l;
    struct evlog_group *group = NULL;
    struct evlog_group_options options = EVLOG_GROUP_OPTIONS_INIT;
    const char *topic = "t";
    const struct evlog_lease *leases[3];
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 3;
    options.group = "g";
    options.topics = &topic;
    options.topic_count = 1;
    int rc = evlog_group_open(&l.s.client, &options, &group, NULL);
    assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
    int64_t deadline_ns = el_now_ns() + PATIENCE_MS * EL_NS_PER_MS;
    while (rc == 0 && scripted_lease_count(&l, 0, LEASED_DONE) < 3 && el_now_ns() < deadline_ns) {
        int n = evlog_group_fetch(group, 3, 100, leases, NULL);
        assert_true(n >= 0 || el_test_failing());
        for (int i = 0; i < n; i++) {
            (void)evlog_group_ack(group, leases[i], NULL);
        }
        if (el_test_failing() && scripted_lease_count(&l, 0, LEASED_OUT) > 0) {
            el_client_lock(&l.s.client); /* a lease nobody could be told of ends by its time */
            for (int i = 0; i < 3; i++) {
                l.state[0][i] = l.state[0][i] == LEASED_OUT ? LEASED_HERE : l.state[0][i];
            }
            el_client_unlock(&l.s.client);
        }
    }
    assert_true(rc != 0 || scripted_lease_count(&l, 0, LEASED_DONE) == 3);
    if (rc == 0) {
        rc = evlog_group_close(group, -1, NULL);
        assert_true(rc == 0 || el_test_failing());
    }
    scripted_end(&l.s);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

/* What handlers saw: "0 1 2 " or "[0 3][0 1]" for batches. */
struct seen {
    struct evlog_group *group;
    pthread_mutex_t lock;
    char text[1024];
    size_t len;
    int64_t poison; /* a batch with it fails as a whole */
};

static void see(struct seen *seen, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void see(struct seen *seen, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    seen->len += (size_t)vsnprintf(seen->text + seen->len, sizeof seen->text - seen->len, format, args);
    va_end(args);
}

static void on_event(void *arg, const struct evlog_lease *lease, struct evlog_result *result)
{
    struct seen *seen = arg;
    (void)pthread_mutex_lock(&seen->lock);
    see(seen, "%lld ", (long long)lease->event->offset);
    (void)pthread_mutex_unlock(&seen->lock);
    if (lease->event->offset == seen->poison) {
        result->outcome = lease->attempt < 3 ? EVLOG_NACK : EVLOG_DEAD;
    }
}

static void on_batch(void *arg, const struct evlog_lease *const *leases, size_t count, struct evlog_result *results,
                     struct evlog_result *whole)
{
    struct seen *seen = arg;
    see(seen, "[%lld %lld]", (long long)leases[0]->event->offset, (long long)leases[count - 1]->event->offset);
    (void)results;
    for (size_t i = 0; i < count; i++) {
        if (leases[i]->event->offset == seen->poison) {
            whole->outcome = EVLOG_DEAD;
        }
    }
}

static void run_to_end(struct evlog_group *group, struct evlog_group_run_options *options, struct seen *seen)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    (void)pthread_mutex_init(&seen->lock, NULL);
    seen->group = group;
    options->arg = seen;
    options->until_caught_up = true;
    int rc = evlog_group_run(group, options, &failure);
    if (rc != 0) {
        fail_msg("run: %d %s", rc, failure.text);
    }
    (void)pthread_mutex_destroy(&seen->lock);
}

TEST(lease_run, options_that_make_no_sense_are_refused)
{
    static struct scripted_lease l;
    struct evlog_group_run_options options = EVLOG_GROUP_RUN_OPTIONS_INIT;
    scripted_lease_begin(&l, NULL);
    struct evlog_group *group = scripted_lease_open(&l);
    assert_int_equal(evlog_group_run(group, &options, NULL), EVLOG_ERR_ARGUMENT);
    options.on_event = on_event;
    options.on_batch = on_batch;
    assert_int_equal(evlog_group_run(group, &options, NULL), EVLOG_ERR_ARGUMENT);
    options.on_batch = NULL;
    options.worker_count = 0;
    assert_int_equal(evlog_group_run(group, &options, NULL), EVLOG_ERR_ARGUMENT);
    finish(&l, group);
}

TEST(lease_run, runs_every_event_until_it_is_done_or_dead)
{
    static struct scripted_lease l;
    struct evlog_group_run_options options = EVLOG_GROUP_RUN_OPTIONS_INIT;
    struct seen seen = {.poison = 4};
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 20;
    struct evlog_group *group = scripted_lease_open(&l);
    options.on_event = on_event;
    options.worker_count = 3;
    run_to_end(group, &options, &seen);
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_DONE), 19);
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_DEAD), 1);
    assert_int_equal(l.deliveries[0][4], 3);
    finish(&l, group);
}

TEST(lease_run, a_failed_batch_is_split_until_the_event_stands_alone)
{
    static struct scripted_lease l;
    struct evlog_group_run_options options = EVLOG_GROUP_RUN_OPTIONS_INIT;
    struct seen seen = {.poison = 5};
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 8;
    struct evlog_group *group = scripted_lease_open(&l);
    options.on_batch = on_batch;
    options.batch_size = 8;
    options.bisect = true;
    run_to_end(group, &options, &seen);
    assert_string_equal(seen.text, "[0 7][0 3][4 7][4 5][4 4][5 5][6 7]");
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_DONE), 7);
    assert_int_equal(l.state[0][5], LEASED_DEAD);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(l.deliveries[0][i], 1);
    }
    finish(&l, group);
}

TEST(lease_run, without_splitting_a_failed_batch_fails_whole)
{
    static struct scripted_lease l;
    struct evlog_group_run_options options = EVLOG_GROUP_RUN_OPTIONS_INIT;
    struct seen seen = {.poison = 1};
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 4;
    struct evlog_group *group = scripted_lease_open(&l);
    options.on_batch = on_batch;
    options.batch_size = 4;
    run_to_end(group, &options, &seen);
    assert_string_equal(seen.text, "[0 3]");
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_DEAD), 4);
    finish(&l, group);
}

static bool stop_at_once(void *arg, const struct evlog_group_counts *counts)
{
    const struct seen *seen = arg;
    (void)counts;
    return seen->len == 0;
}

TEST(lease_run, stops_when_the_caller_says_so_and_gives_back_what_was_not_begun)
{
    static struct scripted_lease l;
    struct evlog_group_run_options options = EVLOG_GROUP_RUN_OPTIONS_INIT;
    struct seen seen = {.poison = -1};
    scripted_lease_begin(&l, NULL);
    l.s.ends[0] = 20;
    struct evlog_group *group = scripted_lease_open(&l);
    (void)pthread_mutex_init(&seen.lock, NULL);
    options.on_event = on_event;
    options.on_turn = stop_at_once;
    options.arg = &seen;
    assert_int_equal(evlog_group_run(group, &options, NULL), 0);
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_OUT), 0);
    assert_true(scripted_lease_count(&l, 0, LEASED_DONE) >= 1);
    (void)pthread_mutex_destroy(&seen.lock);
    finish(&l, group);
}

/* --- chains ------------------------------------------------------------------------------------------------------- */

static const char *header_of(const struct evlog_message *message, const char *key, char *text, size_t room)
{
    struct evlog_event event = {.headers = message->headers, .header_count = message->header_count};
    struct evlog_bytes value;
    if (!evlog_event_header(&event, key, &value)) {
        return NULL;
    }
    (void)snprintf(text, room, "%.*s", (int)value.len, (const char *)value.data);
    return text;
}

TEST(lease_link, a_message_names_its_cause_and_its_chain)
{
    struct evlog_event cause = {.topic = "t", .partition = 3, .offset = 9};
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    struct evlog_linked_message *linked = NULL;
    char text[100];
    assert_int_equal(evlog_message_link(&message, &cause, &linked, NULL), 0);
    const struct evlog_message *m = evlog_linked_message(linked);
    assert_string_equal(header_of(m, EVLOG_CORRELATION_ID, text, sizeof text), "t/3/9");
    assert_string_equal(header_of(m, EVLOG_CAUSATION_ID, text, sizeof text), "t/3/9");
    evlog_linked_message_free(linked);

    struct evlog_header headers[] = {
        {{"ce_id", 5}, {"id-1", 4}},
        {{EVLOG_CORRELATION_ID, sizeof EVLOG_CORRELATION_ID - 1}, {"chain", 5}},
    };
    cause.headers = headers;
    cause.header_count = 2;
    assert_int_equal(evlog_message_link(&message, &cause, &linked, NULL), 0);
    m = evlog_linked_message(linked);
    assert_string_equal(header_of(m, EVLOG_CORRELATION_ID, text, sizeof text), "chain");
    assert_string_equal(header_of(m, EVLOG_CAUSATION_ID, text, sizeof text), "id-1");
    assert_null(header_of(m, "ce_id", text, sizeof text));
    evlog_linked_message_free(linked);

    message.headers = headers; /* what it says itself is kept */
    message.header_count = 2;
    assert_int_equal(evlog_message_link(&message, &cause, &linked, NULL), 0);
    m = evlog_linked_message(linked);
    assert_int_equal(m->header_count, 3);
    evlog_linked_message_free(linked);
}
