/* SPDX-License-Identifier: Apache-2.0
 *
 * What a member of a work group emits. Goal: a broker that publishes with an acknowledgement is left to do so; for
 * every other one it is published before the acknowledgement goes, under the same ids, and an event whose emits could
 * not be published has failed. Method: the scripted broker, which says what it knows and what it was sent.
 */
#include "../../../client/lease_state.h"
#include "../../lib/test.h"
#include "scripted_lease.h"

#include <evlog/error.h>
#include <string.h>
#include <wire/error_code.h>

#define LEASES_MAX 4

static struct scripted_lease l;
static struct evlog_group *group;
static const struct evlog_lease *leases[LEASES_MAX];

/* A member that holds so many events; outcome: the version of LeaseOutcome that the broker knows, -1 none. */
static void begin(int count, int outcome)
{
    static const char *const settings[] = {"compression.type", "none", "linger.ms", "0", NULL};
    scripted_lease_begin(&l, settings);
    l.s.ends[0] = count;
    group = scripted_lease_open(&l);
    scripted_lease_fetch(group, leases, count);
    scripted_lease_versions(&l, 2, outcome);
}

static void finish(void)
{
    assert_int_equal(evlog_group_close(group, -1, NULL), 0);
    scripted_end(&l.s);
}

static void emit(int lease, const char *value)
{
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    message.topic = "t";
    message.value = (struct evlog_bytes){value, strlen(value)};
    if (evlog_emit(group, leases[lease], &message, &failure) != 0) {
        fail_msg("not emitted: %s", failure.text);
    }
}

static int settle(int lease, enum evlog_outcome outcome, struct evlog_failure *failure)
{
    const struct evlog_settlement settlement = {leases[lease], outcome, -1, NULL, NULL};
    return evlog_group_settle(group, &settlement, 1, true, failure);
}

static void expect_counts(uint64_t emitted, uint64_t refused, int code)
{
    struct evlog_emit_counts counts = EVLOG_EMIT_COUNTS_INIT;
    evlog_emit_counts(group, &counts);
    assert_int_equal(counts.emitted, emitted);
    assert_int_equal(counts.refused, refused);
    assert_int_equal(counts.refusal.code, code);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(lease_emit, what_cannot_be_published_fails_its_event_and_whoever_acknowledges_is_told)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    begin(2, 0);
    l.produce_error = EL_KAFKA_MESSAGE_TOO_LARGE;
    emit(0, "a");
    assert_int_equal(settle(0, EVLOG_ACK, &failure), EVLOG_ERR_TOO_LARGE);
    size_t pos = scripted_wait(&l.s, 0, "refused(0 g/t/0/0/0=a) ");
    (void)scripted_wait(&l.s, pos, "full( 0:0=5 -1 emit ");
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_DONE), 0);
    expect_counts(0, 1, EVLOG_ERR_TOO_LARGE);
    assert_int_equal(settle(1, EVLOG_ACK, &failure), 0); /* an event without any is not concerned */
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_DONE), 1);
    finish();
}

TEST(lease_emit, any_other_outcome_publishes_nothing)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    begin(3, -1);
    for (int i = 0; i < 3; i++) {
        emit(i, "never");
    }
    assert_int_equal(settle(0, EVLOG_NACK, &failure), 0);
    assert_int_equal(settle(1, EVLOG_DEAD, &failure), 0);
    assert_int_equal(settle(2, EVLOG_RELEASE, &failure), 0);
    expect_counts(0, 0, 0);
    finish();
    assert_null(strstr(l.s.log, "produced"));
}

/* --- brokers that do not publish ---------------------------------------------------------------------------------- */

static void expect_published_before(int outcome)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    begin(2, outcome);
    emit(0, "a");
    emit(0, "b");
    assert_int_equal(settle(0, EVLOG_ACK, &failure), 0);
    size_t pos = scripted_wait(&l.s, 0, "produced(0 g/t/0/0/0=a");
    pos = scripted_wait(&l.s, pos - 1, "g/t/0/0/1=b");
    (void)scripted_wait(&l.s, pos, "0:0=1");
    emit(1, "c");
    assert_int_equal(settle(1, EVLOG_ACK, &failure), 0);
    pos = scripted_wait(&l.s, pos, "produced(0 g/t/0/1/0=c");
    (void)scripted_wait(&l.s, pos, "0:1=1");
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_DONE), 2);
    expect_counts(3, 0, 0);
    finish();
    assert_null(strstr(l.s.log, "emits"));
}

TEST(lease_emit, on_apache_kafka_it_is_published_before_the_acknowledgement)
{
    expect_published_before(-1);
}

TEST(lease_emit, on_an_evlog_that_does_not_publish_likewise)
{
    expect_published_before(0);
}

TEST(lease_emit, an_event_that_comes_again_emits_under_the_same_ids)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    begin(1, -1);
    emit(0, "a");
    el_client_lock(&l.s.client);
    l.refused_offset = 0; /* the acknowledgement does not count */
    el_client_unlock(&l.s.client);
    assert_int_not_equal(settle(0, EVLOG_ACK, &failure), 0);
    size_t pos = scripted_wait(&l.s, 0, "produced(0 g/t/0/0/0=a) ");
    el_client_lock(&l.s.client);
    l.refused_offset = -1;
    l.state[0][0] = LEASED_HERE;
    el_client_unlock(&l.s.client);
    assert_int_equal(evlog_group_fetch(group, 1, SCRIPTED_PATIENCE_MS, leases, &failure), 1);
    emit(0, "a");
    assert_int_equal(settle(0, EVLOG_ACK, &failure), 0);
    (void)scripted_wait(&l.s, pos, "produced(0 g/t/0/0/0=a) ");
    finish();
}

/* --- brokers that do ---------------------------------------------------------------------------------------------- */

TEST(lease_emit, goes_with_the_acknowledgement_where_the_broker_publishes_it)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    begin(1, 1);
    emit(0, "a");
    emit(0, "b");
    assert_int_equal(settle(0, EVLOG_ACK, &failure), 0);
    (void)scripted_wait(&l.s, 0, "full( 0:0=1 -1   emits a emits b");
    assert_int_equal(scripted_lease_count(&l, 0, LEASED_DONE), 1);
    expect_counts(2, 0, 0);
    finish();
    assert_null(strstr(l.s.log, "produced"));
}
