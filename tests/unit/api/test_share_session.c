/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: share sessions keep the rules of epochs and bounds, and what one holds is released exactly when it ends, behind
 * all that may still take leases. Method: a fake of the leases that notes every call and ends them when told.
 */
#include "share_ask.h"

static struct fake f;

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 8);
}

static int16_t acknowledge_error(int32_t epoch)
{
    struct el_msg_share_acknowledge_request message;
    struct el_msg_share_acknowledge_response answer;
    el_schema_init(&el_schema_share_acknowledge_request, &message);
    message.group_id = el_slice_str("g");
    message.member_id = el_slice_str("m");
    message.share_session_epoch = epoch;
    struct fake_request *r = fake_request(&f, EL_API_ShareAcknowledge, 2, &message);
    fake_dispatch(&f, r);
    fake_response(r, &answer);
    fake_free(r);
    return answer.error_code;
}

TEST(share_session, refuses_empty_names_and_modes_to_come)
{
    begin();
    struct share_ask a = share_defaults;
    a.group = "";
    assert_int_equal(share_error(&f, &a), EL_KAFKA_INVALID_REQUEST);
    a.group = NULL;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_INVALID_REQUEST);
    a = share_defaults;
    a.member = "";
    assert_int_equal(share_error(&f, &a), EL_KAFKA_INVALID_REQUEST);
    a = share_defaults;
    a.mode = 2;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_INVALID_REQUEST);
    a.mode = -1;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(leases_fake.call_count, 0);
    fake_end(&f);
}

TEST(share_session, refuses_epochs_out_of_turn)
{
    begin();
    struct share_ask a = share_defaults;
    a.epoch = 1;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_SHARE_SESSION_NOT_FOUND);
    a.epoch = -1;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_SHARE_SESSION_NOT_FOUND);
    assert_int_equal(acknowledge_error(1), EL_KAFKA_SHARE_SESSION_NOT_FOUND);
    assert_int_equal(acknowledge_error(0), EL_KAFKA_INVALID_SHARE_SESSION_EPOCH);
    a.epoch = 0;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    static const int32_t wrong[] = {2, 3, INT32_MAX, -2, INT32_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        a.epoch = wrong[i];
        assert_int_equal(share_error(&f, &a), EL_KAFKA_INVALID_SHARE_SESSION_EPOCH);
        assert_int_equal(acknowledge_error(wrong[i]), EL_KAFKA_INVALID_SHARE_SESSION_EPOCH);
    }
    a.epoch = 1;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    assert_int_equal(share_error(&f, &a), EL_KAFKA_INVALID_SHARE_SESSION_EPOCH);
    assert_int_equal(acknowledge_error(2), EL_KAFKA_NONE);
    a.epoch = 3;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    fake_end(&f);
}

TEST(share_session, a_new_one_has_nothing_to_acknowledge)
{
    begin();
    struct share_ask a = share_defaults;
    a.ack_types = "1";
    assert_int_equal(share_error(&f, &a), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(leases_fake.session_last, 0);
    fake_end(&f);
}

TEST(share_session, is_one_of_group_and_member)
{
    begin();
    struct share_ask a = share_defaults;
    a.group = "ab";
    a.member = "c";
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.epoch = 1;
    a.group = "a";
    a.member = "bc";
    assert_int_equal(share_error(&f, &a), EL_KAFKA_SHARE_SESSION_NOT_FOUND);
    fake_end(&f);
}

TEST(share_session, more_than_allowed_are_refused_until_one_ends)
{
    begin();
    f.node.share_sessions_max = 2;
    struct share_ask a = share_defaults;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.member = "n";
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.member = "o";
    assert_int_equal(share_error(&f, &a), EL_KAFKA_SHARE_SESSION_LIMIT_REACHED);
    a.member = "n"; /* in place of its own */
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.epoch = -1;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.epoch = 0;
    a.member = "o";
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    fake_end(&f);
}

TEST(share_session, partitions_of_all_are_bounded)
{
    begin();
    f.node.share_sessions_max = 1; /* and so 64 partitions */
    struct el_uuid unknown = {{0xee}};
    struct share_ask a = share_defaults;
    a.count = 40;
    a.topic_id = &unknown;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.epoch = 1;
    a.first = 40;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_SHARE_SESSION_LIMIT_REACHED);
    assert_int_equal(share_error(&f, &a), EL_KAFKA_SHARE_SESSION_NOT_FOUND); /* it has ended with that */
    a.epoch = 0;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    fake_end(&f);
}

TEST(share_session, epochs_begin_again_at_one)
{
    begin();
    struct share_ask a = share_defaults;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    struct share_session *session = share_session_find(&f.api.share, el_slice_str("g"), el_slice_str("m"));
    assert_non_null(session);
    session->epoch = INT32_MAX;
    share_session_give_back(session);
    a.epoch = INT32_MAX;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.epoch = 1;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    fake_end(&f);
}

TEST(share_session, closing_releases_before_it_is_answered)
{
    begin();
    leases_fake.end[0][0] = 10;
    struct share_ask a = share_defaults;
    a.count = 2;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.epoch = -1;
    a.count = 1;
    a.ack_types = "1";
    a.ack_last = 3;
    leases_fake.defer = true;
    struct fake_request *r = share_send(&f, &a, 2);
    assert_int_equal(leases_fake.op_count, 1); /* its outcomes come first */
    assert_int_equal(fake_lease_releases(), 0);
    fake_lease_run();
    assert_int_equal(fake_lease_releases(), 1);
    assert_int_equal(r->outcome, FAKE_OPEN);
    fake_lease_run();
    assert_int_equal(fake_lease_releases(), 2); /* it was asked for leases of both */
    assert_int_equal(r->outcome, FAKE_OPEN);
    fake_lease_run();
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_int_equal(answer.error_code, 0);
    assert_int_equal(answer.response_count, 1);
    assert_int_equal(answer.responses[0].partition_count, 1);
    assert_int_equal(answer.responses[0].partitions[0].acknowledge_error_code, 0);
    assert_int_equal(answer.responses[0].partitions[0].acquired_record_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(share_session, two_requests_may_close_it_and_the_second_finds_none)
{
    begin();
    struct share_ask a = share_defaults;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.epoch = -1;
    a.ack_types = "1";
    leases_fake.defer = true;
    struct fake_request *r = share_send(&f, &a, 2);
    assert_int_equal(acknowledge_error(-1), EL_KAFKA_SHARE_SESSION_NOT_FOUND);
    while (leases_fake.op_count > 0) {
        fake_lease_run();
    }
    assert_int_equal(share_answer(r).error_code, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(share_session, acknowledge_may_close_it)
{
    begin();
    leases_fake.end[0][0] = 10;
    struct share_ask a = share_defaults;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    assert_int_equal(acknowledge_error(-1), EL_KAFKA_NONE);
    assert_int_equal(fake_lease_releases(), 1);
    assert_int_equal(acknowledge_error(-1), EL_KAFKA_SHARE_SESSION_NOT_FOUND);
    fake_end(&f);
}

TEST(share_session, ends_with_its_connection)
{
    begin();
    leases_fake.end[0][0] = leases_fake.end[0][1] = 10;
    struct share_ask a = share_defaults;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.member = "n";
    a.first = 1;
    a.conn_id = 2;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    fake_close_conn(&f, 2);
    assert_int_equal(fake_lease_releases(), 1);
    const struct fake_lease_call *last = &leases_fake.calls[leases_fake.call_count - 1];
    assert_true(last->release);
    assert_int_equal(last->partition, 1);
    assert_int_equal(last->session, 2);
    a.epoch = 1;
    a.conn_id = 3;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_SHARE_SESSION_NOT_FOUND);
    a = share_defaults;
    a.epoch = 1;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE); /* the other lives */
    fake_end(&f);
}

TEST(share_session, releases_behind_a_fetch_that_is_under_way)
{
    begin();
    leases_fake.end[0][0] = 10;
    leases_fake.defer = true;
    struct fake_request *r = share_send(&f, &share_defaults, 2);
    assert_int_equal(leases_fake.op_count, 1);
    fake_close_conn(&f, 1);
    r->request.on_abandon(&r->request);
    assert_int_equal(fake_lease_releases(), 0);
    leases_fake.defer = false;
    fake_lease_run(); /* brings leases nobody will get */
    assert_int_equal(fake_lease_releases(), 1);
    fake_free(r);
    fake_end(&f);
}

TEST(share_session, a_new_one_of_the_member_takes_over_and_the_old_is_released)
{
    begin();
    leases_fake.end[0][0] = 10;
    assert_int_equal(share_error(&f, &share_defaults), EL_KAFKA_NONE);
    assert_int_equal(share_error(&f, &share_defaults), EL_KAFKA_NONE);
    assert_int_equal(fake_lease_releases(), 1);
    assert_int_equal(leases_fake.session_last, 2);
    uint64_t released = 0;
    for (uint32_t i = 0; i < leases_fake.call_count; i++) {
        released = leases_fake.calls[i].release ? leases_fake.calls[i].session : released;
    }
    assert_int_equal(released, 1);
    fake_end(&f);
}

TEST(share_session, forgotten_partitions_are_not_read_but_released_at_the_end)
{
    begin();
    leases_fake.end[0][0] = leases_fake.end[0][1] = 2;
    struct share_ask a = share_defaults;
    a.count = 2;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    fake_lease_ready(0, 5);
    fake_lease_ready(1, 5);
    a.epoch = 1;
    a.count = 0;
    a.forget_first = 0;
    a.forget_count = 1;
    struct fake_request *r = share_send(&f, &a, 2);
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_null(share_part_of(&answer, 0));
    assert_non_null(share_part_of(&answer, 1));
    fake_free(r);
    a.epoch = 2;
    a.count = 1; /* comes back */
    a.forget_count = 0;
    r = share_send(&f, &a, 2);
    answer = share_answer(r);
    assert_non_null(share_part_of(&answer, 0));
    fake_free(r);
    a.epoch = 3;
    a.count = 0;
    a.forget_count = 1;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    fake_close_conn(&f, 1);
    assert_int_equal(fake_lease_releases(), 2);
    fake_end(&f);
}

TEST(share_session, one_partition_may_be_acknowledged_in_and_forgotten_at_once)
{
    begin();
    leases_fake.end[0][0] = 2;
    struct share_ask a = share_defaults;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    fake_lease_ready(0, 5);
    a.epoch = 1;
    a.ack_types = "1";
    a.ack_last = 1;
    a.forget_count = 1;
    struct fake_request *r = share_send(&f, &a, 2);
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_int_equal(share_part_of(&answer, 0)->acquired_record_count, 0);
    assert_int_equal(leases_fake.calls[leases_fake.call_count - 1].outcome_count, 1);
    fake_free(r);
    fake_end(&f);
}

TEST(share_session, nothing_is_released_when_the_shard_stops)
{
    begin();
    leases_fake.end[0][0] = 10;
    assert_int_equal(share_error(&f, &share_defaults), EL_KAFKA_NONE);
    api_stop(&f.api);
    fake_close_conn(&f, 1);
    assert_int_equal(fake_lease_releases(), 0);
    fake_end(&f);
}

TEST(share_session, a_release_may_end_after_the_handlers)
{
    begin();
    leases_fake.end[0][0] = leases_fake.end[0][1] = 10;
    struct share_ask a = share_defaults;
    a.count = 2;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    leases_fake.defer = true;
    fake_close_conn(&f, 1);
    assert_int_equal(leases_fake.op_count, 1);
    api_stop(&f.api);
    share_sessions_destroy(&f.api.share);
    fake_lease_run();
    assert_int_equal(fake_lease_releases(), 1);
    leases_fake.defer = false;
    share_sessions_init(&f.api.share, &f.api); /* for fake_end() */
    fake_end(&f);
}
