/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: ShareFetch gives what is ready within its limits, fairly among partitions, takes outcomes first, and waits as
 * asked: woken by events, by the deadline, by another request, by the end of the client or of the shard. Method: a fake
 * of the leases with so many events ready in each partition.
 */
#include "share_ask.h"

static struct fake f;

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", FAKE_PARTITION_MAX);
}

/* Records that an answer brings of a partition. */
static int64_t got(const struct el_msg_share_fetch_response *answer, int32_t partition)
{
    const struct el_msg_share_fetch_partition_result *part = share_part_of(answer, partition);
    int64_t count = 0;
    for (uint32_t i = 0; part != NULL && i < part->acquired_record_count; i++) {
        count += part->acquired_records[i].last_offset - part->acquired_records[i].first_offset + 1;
    }
    return count;
}

static int64_t got_all(const struct el_msg_share_fetch_response *answer, int32_t partition_count)
{
    int64_t count = 0;
    for (int32_t p = 0; p < partition_count; p++) {
        count += got(answer, p);
    }
    return count;
}

/* --- errors ------------------------------------------------------------------------------------------------------- */

TEST(share_fetch, unknown_topics_and_partitions_have_their_codes_again_and_again)
{
    begin();
    struct el_uuid unknown = {{0xee}};
    struct share_ask a = share_defaults;
    a.topic_id = &unknown;
    a.max_wait_ms = 10000; /* errors do not wait */
    struct fake_request *r = share_send(&f, &a, 2);
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_int_equal(share_part_of(&answer, 0)->error_code, EL_KAFKA_UNKNOWN_TOPIC_ID);
    assert_non_null(share_part_of(&answer, 0)->error_message.data);
    fake_free(r);
    a.topic_id = NULL;
    a.epoch = 1;
    a.first = FAKE_PARTITION_MAX;
    r = share_send(&f, &a, 2);
    answer = share_answer(r);
    assert_int_equal(share_part_of(&answer, 0)->error_code, EL_KAFKA_UNKNOWN_TOPIC_ID);
    assert_int_equal(share_part_of(&answer, FAKE_PARTITION_MAX)->error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, errors_of_leases_have_their_codes)
{
    begin();
    struct {
        int error;
        int16_t code;
    } cases[] = {
        {EVLOG_ERR_STORAGE, EL_KAFKA_KAFKA_STORAGE_ERROR},
        {EVLOG_ERR_CLOSED, EL_KAFKA_NOT_LEADER_OR_FOLLOWER},
        {EVLOG_ERR_GROUP_UNAVAILABLE, EL_KAFKA_NOT_LEADER_OR_FOLLOWER},
        {EVLOG_ERR_FULL, EL_KAFKA_KAFKA_STORAGE_ERROR},
        {EVLOG_ERR_GROUP_NOT_FOUND, EL_KAFKA_UNKNOWN_SERVER_ERROR}, /* any other would be fatal to the consumer */
        {EVLOG_ERR_CORRUPT, EL_KAFKA_CORRUPT_MESSAGE},
    };
    struct share_ask a = share_defaults;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        leases_fake.error[0][0] = cases[i].error;
        struct fake_request *r = share_send(&f, &a, 1);
        struct el_msg_share_fetch_response answer = share_answer(r);
        assert_int_equal(answer.error_code, 0);
        assert_int_equal(share_part_of(&answer, 0)->error_code, cases[i].code);
        assert_int_equal(share_part_of(&answer, 0)->acknowledge_error_code, 0);
        fake_free(r);
        a.epoch++;
        a.count = 0;
    }
    fake_end(&f);
}

TEST(share_fetch, acknowledgements_that_contradict_themselves_are_refused_whole)
{
    begin();
    struct {
        int64_t first, last;
        const char *types;
        bool renew;
        int64_t second;
    } cases[] = {
        {0, 4, "1", false, 4}, {3, 4, "1", false, 1},  {5, 4, "1", false, 0},   {-1, 4, "1", false, 0},
        {0, 4, "", false, 0},  {0, 4, "11", false, 0}, {0, 1, "111", false, 0}, {0, 0, "5", true, 0},
        {0, 0, "4", false, 0}, {0, 1, "14", false, 0}, {0, 0, "/", false, 0},   {0, 4, "111119", true, 0},
        {0, 0, "9", true, 0},
    };
    struct share_ask a = share_defaults;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    uint32_t before = leases_fake.call_count;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        a.epoch = 1 + (int32_t)i;
        a.max_records = 0;
        a.ack_first = cases[i].first;
        a.ack_last = cases[i].last;
        a.ack_types = cases[i].types;
        a.renew = cases[i].renew;
        a.ack2_first = cases[i].second;
        struct fake_request *r = share_send(&f, &a, 2);
        struct el_msg_share_fetch_response answer = share_answer(r);
        assert_int_equal(answer.error_code, 0);
        assert_int_equal(share_part_of(&answer, 0)->acknowledge_error_code, EL_KAFKA_INVALID_REQUEST);
        assert_int_equal(share_part_of(&answer, 0)->error_code, 0);
        fake_free(r);
    }
    assert_int_equal(leases_fake.call_count, before);
    fake_end(&f);
}

TEST(share_fetch, an_acknowledgement_of_what_is_not_leased_is_told_beside_the_records)
{
    begin();
    leases_fake.end[0][0] = 4;
    struct share_ask a = share_defaults;
    a.max_records = 2;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    leases_fake.outcome_error = EVLOG_ERR_LEASE;
    a.epoch = 1;
    a.ack_types = "1";
    struct fake_request *r = share_send(&f, &a, 2);
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_int_equal(share_part_of(&answer, 0)->acknowledge_error_code, EL_KAFKA_INVALID_RECORD_STATE);
    assert_int_equal(share_part_of(&answer, 0)->error_code, 0);
    assert_int_equal(got(&answer, 0), 2);
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, ranges_that_rise_are_taken_together)
{
    begin();
    struct share_ask a = share_defaults;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.epoch = 1;
    a.ack_types = "1";
    a.ack_last = 4;
    a.ack2_first = 5;
    uint32_t before = leases_fake.call_count;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    assert_int_equal(leases_fake.calls[before].outcome_count, 2);
    assert_int_equal(leases_fake.calls[before].outcomes[1].first, 5);
    fake_end(&f);
}

/* --- outcomes ----------------------------------------------------------------------------------------------------- */

TEST(share_fetch, hands_in_outcomes_before_it_asks_for_leases)
{
    begin();
    leases_fake.end[0][0] = 10;
    struct share_ask a = share_defaults;
    a.max_records = 5;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.epoch = 1;
    a.ack_types = "11233";
    a.ack_last = 4;
    uint32_t before = leases_fake.call_count;
    struct fake_request *r = share_send(&f, &a, 2);
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_int_equal(share_part_of(&answer, 0)->acknowledge_error_code, 0);
    assert_int_equal(got(&answer, 0), 5);
    const struct fake_lease_call *call = &leases_fake.calls[before];
    assert_int_equal(call->records_max, 0);
    assert_int_equal(call->outcome_count, 3);
    assert_int_equal(call->outcomes[0].kind, LEASE_ACCEPT);
    assert_int_equal(call->outcomes[0].first, 0);
    assert_int_equal(call->outcomes[0].last, 1);
    assert_int_equal(call->outcomes[1].kind, LEASE_RELEASE);
    assert_int_equal(call->outcomes[1].first, 2);
    assert_int_equal(call->outcomes[1].last, 2);
    assert_int_equal(call->outcomes[2].kind, LEASE_REJECT);
    assert_int_equal(call->outcomes[2].last, 4);
    assert_int_equal(call->outcomes[2].delay_ms, -1);
    assert_int_equal(call[1].outcome_count, 0);
    assert_int_equal(call[1].records_max, 5);
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, one_type_stands_for_a_range_of_any_length)
{
    begin();
    struct share_ask a = share_defaults;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.epoch = 1;
    a.ack_types = "0";
    a.ack_last = INT64_MAX;
    uint32_t before = leases_fake.call_count;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    assert_int_equal(leases_fake.calls[before].outcome_count, 1);
    assert_int_equal(leases_fake.calls[before].outcomes[0].kind, LEASE_GAP);
    assert_true(leases_fake.calls[before].outcomes[0].last == INT64_MAX);
    fake_end(&f);
}

TEST(share_fetch, renewing_brings_no_records)
{
    begin();
    leases_fake.end[0][0] = 10;
    struct share_ask a = share_defaults;
    a.max_records = 5;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.epoch = 1;
    a.ack_types = "4";
    a.renew = true;
    struct fake_request *r = share_send(&f, &a, 2);
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_int_equal(got(&answer, 0), 0);
    assert_int_equal(answer.acquisition_lock_timeout_ms, 20000);
    assert_int_equal(leases_fake.calls[leases_fake.call_count - 1].outcomes[0].kind, LEASE_EXTEND);
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, answers_outcomes_at_once_even_when_nothing_is_ready)
{
    begin();
    struct share_ask a = share_defaults;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    a.epoch = 1;
    a.max_wait_ms = 10000;
    a.ack_types = "1";
    struct fake_request *r = share_send(&f, &a, 2);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    fake_free(r);
    fake_end(&f);
}

/* --- limits ------------------------------------------------------------------------------------------------------- */

TEST(share_fetch, tells_ranges_data_and_how_long_they_are_leased)
{
    begin();
    leases_fake.next[0][3] = 7;
    leases_fake.end[0][3] = 9;
    struct share_ask a = share_defaults;
    a.first = 3;
    struct fake_request *r = share_send(&f, &a, 1);
    struct el_msg_share_fetch_response answer = share_answer(r);
    const struct el_msg_share_fetch_partition_result *part = share_part_of(&answer, 3);
    assert_int_equal(answer.acquisition_lock_timeout_ms, 20000);
    assert_true(el_uuid_eq(&answer.responses[0].topic_id, &f.topics[0].id));
    assert_int_equal(part->acquired_record_count, 1);
    assert_int_equal(part->acquired_records[0].first_offset, 7);
    assert_int_equal(part->acquired_records[0].last_offset, 8);
    assert_int_equal(part->acquired_records[0].delivery_count, 1);
    assert_int_equal(part->records.len, 2 * FAKE_RECORD_LEN);
    assert_int_equal(part->records.data[0], 'r');
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, gives_no_more_records_than_asked_for_in_either_mode)
{
    begin();
    for (int8_t mode = 0; mode <= 1; mode++) {
        for (int32_t p = 0; p < 20; p++) {
            leases_fake.next[0][p] = 0;
            leases_fake.end[0][p] = 100;
        }
        struct share_ask a = share_defaults;
        a.mode = mode;
        a.count = 20;
        for (int32_t max = 1; max < 400; max += 57) {
            a.max_records = max;
            struct fake_request *r = share_send(&f, &a, 2);
            struct el_msg_share_fetch_response answer = share_answer(r);
            assert_int_equal(got_all(&answer, 20), max);
            fake_free(r);
            a.count = 0;
            a.epoch++;
        }
        a.epoch = -1;
        assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    }
    fake_end(&f);
}

TEST(share_fetch, asks_for_no_more_bytes_than_allowed)
{
    begin();
    for (int32_t p = 0; p < 4; p++) {
        leases_fake.end[0][p] = 10000;
    }
    struct share_ask a = share_defaults;
    a.count = 4;
    a.max_records = 10000;
    a.max_bytes = 300 * FAKE_RECORD_LEN;
    struct fake_request *r = share_send(&f, &a, 2);
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_int_equal(got_all(&answer, 4), 300);
    fake_free(r);
    a.epoch = 1;
    a.count = 0;
    a.max_bytes = 1; /* one event is given all the same */
    r = share_send(&f, &a, 2);
    answer = share_answer(r);
    assert_int_equal(got_all(&answer, 4), 1);
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, an_answer_is_a_batch_of_the_groups_settings)
{
    begin();
    leases_fake.end[0][0] = 10000;
    leases_fake.batch = (struct lease_batch){.records_max = 7, .window_ms = 400};
    struct share_ask a = share_defaults;
    a.max_wait_ms = 300;
    struct fake_request *r = share_send(&f, &a, 1);
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_int_equal(got_all(&answer, 1), 7);
    assert_int_equal(leases_fake.calls[0].window_ms, 300); /* no longer than the client waits */
    fake_free(r);
    leases_fake.batch = (struct lease_batch){.bytes_max = 3 * FAKE_RECORD_LEN, .window_ms = 20};
    a.epoch = 1;
    r = share_send(&f, &a, 1);
    answer = share_answer(r);
    assert_int_equal(got_all(&answer, 1), 3);
    assert_int_equal(leases_fake.calls[1].window_ms, 20);
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, only_batch_optimized_says_when_a_range_is_full)
{
    static const struct {
        int8_t mode;
        int32_t batch_size;
        uint32_t range_fill;
    } cases[] = {{0, 4, 4}, {1, 4, 0}, {0, 0, 0}, {0, -1, 0}, {0, INT32_MAX, INT32_MAX}};
    begin();
    struct share_ask a = share_defaults;
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        leases_fake.end[0][0] = leases_fake.next[0][0] + 10;
        a.mode = cases[i].mode;
        a.batch_size = cases[i].batch_size;
        struct fake_request *r = share_send(&f, &a, 2);
        struct el_msg_share_fetch_response answer = share_answer(r);
        assert_int_equal(leases_fake.calls[leases_fake.call_count - 1].range_fill, cases[i].range_fill);
        assert_int_equal(share_part_of(&answer, 0)->acquired_record_count, 1); /* as the leases are told */
        fake_free(r);
        a.epoch++;
    }
    fake_end(&f);
}

TEST(share_fetch, one_busy_partition_fills_the_answer)
{
    begin();
    leases_fake.end[0][5] = 10000;
    struct share_ask a = share_defaults;
    a.count = 20;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    for (int32_t epoch = 1; epoch < 4; epoch++) {
        a.epoch = epoch;
        a.count = 0;
        struct fake_request *r = share_send(&f, &a, 2);
        struct el_msg_share_fetch_response answer = share_answer(r);
        assert_int_equal(got(&answer, 5), 500);
        assert_int_equal(answer.responses[0].partition_count, 1);
        fake_free(r);
    }
    fake_end(&f);
}

TEST(share_fetch, busy_partitions_take_turns)
{
    begin();
    for (int32_t p = 0; p < 8; p++) {
        leases_fake.end[0][p] = 100000;
    }
    struct share_ask a = share_defaults;
    a.count = 8;
    a.max_records = 32; /* of one partition, at first */
    int64_t sum[8] = {0};
    for (int32_t i = 0; i < 64; i++) {
        struct fake_request *r = share_send(&f, &a, 2);
        struct el_msg_share_fetch_response answer = share_answer(r);
        for (int32_t p = 0; p < 8; p++) {
            sum[p] += got(&answer, p);
        }
        fake_free(r);
        a.count = 0;
        a.epoch++;
    }
    for (int32_t p = 0; p < 8; p++) {
        assert_in_range(sum[p], 7 * 32, 9 * 32);
    }
    fake_end(&f);
}

TEST(share_fetch, reads_a_bounded_number_of_partitions_at_a_time)
{
    begin();
    leases_fake.defer = true;
    struct share_ask a = share_defaults;
    a.count = FAKE_PARTITION_MAX;
    a.max_records = 100000;
    struct fake_request *r = share_send(&f, &a, 2);
    uint32_t most = 0;
    while (leases_fake.op_count > 0) {
        most = EL_MAX(most, leases_fake.op_count);
        fake_lease_run();
    }
    assert_int_equal(most, 16);
    assert_int_equal(leases_fake.call_count, FAKE_PARTITION_MAX);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    leases_fake.defer = false;
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, no_records_asked_for_means_none)
{
    begin();
    leases_fake.end[0][0] = 10;
    struct share_ask a = share_defaults;
    for (a.max_records = 0; a.max_records >= -1; a.max_records--) {
        struct fake_request *r = share_send(&f, &a, 2);
        struct el_msg_share_fetch_response answer = share_answer(r);
        assert_int_equal(got(&answer, 0), 0);
        assert_int_equal(leases_fake.call_count, 0);
        fake_free(r);
    }
    fake_end(&f);
}

TEST(share_fetch, only_a_new_session_is_told_of_partitions_without_records)
{
    begin();
    struct share_ask a = share_defaults;
    a.count = 3;
    struct fake_request *r = share_send(&f, &a, 2);
    assert_int_equal(share_answer(r).responses[0].partition_count, 3);
    fake_free(r);
    a.epoch = 1;
    r = share_send(&f, &a, 2);
    assert_int_equal(share_answer(r).response_count, 0);
    fake_free(r);
    fake_end(&f);
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

TEST(share_fetch, waits_for_an_event_and_then_gives_it)
{
    begin();
    struct share_ask a = share_defaults;
    a.count = 3;
    a.max_wait_ms = 1000;
    struct fake_request *r = share_send(&f, &a, 2);
    assert_int_equal(r->outcome, FAKE_OPEN);
    assert_int_equal(leases_fake.watch_count, 3);
    fake_advance_ms(&f, 999);
    assert_int_equal(r->outcome, FAKE_OPEN);
    fake_lease_ready(1, 2);
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_int_equal(got(&answer, 1), 2);
    assert_int_equal(leases_fake.watch_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, answers_with_nothing_at_the_deadline)
{
    begin();
    struct share_ask a = share_defaults;
    a.max_wait_ms = 1000;
    struct fake_request *r = share_send(&f, &a, 2);
    fake_advance_ms(&f, 1000);
    assert_int_equal(share_answer(r).error_code, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, leases_nothing_while_none_of_its_memory_is_left)
{
    begin();
    struct share_ask a = share_defaults;
    a.max_wait_ms = 1000;
    fake_lease_ready(0, 2);
    f.claim_limit = f.claimed = 1;
    struct fake_request *r = share_send(&f, &a, 2);
    assert_int_equal(r->outcome, FAKE_OPEN);
    assert_ptr_equal(f.claim_waiting, &r->request);
    f.claim_limit = 1 << 24;
    f.claimed = 0;
    fake_claim_again(&f);
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_int_equal(got(&answer, 0), 2);
    fake_free(r);
    f.claim_limit = f.claimed = 1;
    a.epoch = 1;
    r = share_send(&f, &a, 2);
    fake_advance_ms(&f, 999);
    assert_int_equal(r->outcome, FAKE_OPEN);
    fake_advance_ms(&f, 1);
    assert_int_equal(share_answer(r).error_code, 0);
    assert_null(f.claim_waiting);
    fake_free(r);
    a.epoch = 2;
    a.max_wait_ms = 0; /* who does not wait for events waits a little all the same, or would never be the next */
    r = share_send(&f, &a, 2);
    fake_advance_ms(&f, 499);
    assert_int_equal(r->outcome, FAKE_OPEN);
    fake_advance_ms(&f, 1);
    assert_int_equal(share_answer(r).error_code, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, watches_again_when_somebody_else_was_faster)
{
    begin();
    struct share_ask a = share_defaults;
    a.max_wait_ms = 1000;
    struct fake_request *r = share_send(&f, &a, 2);
    leases_fake.defer = true;
    fake_lease_ready(0, 1);
    leases_fake.next[0][0] = 1; /* gone */
    leases_fake.defer = false;
    fake_lease_run();
    assert_int_equal(r->outcome, FAKE_OPEN);
    assert_int_equal(leases_fake.watch_count, 1);
    fake_lease_ready(0, 1);
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_int_equal(got(&answer, 0), 1);
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, a_partition_that_is_being_loaded_is_asked_again_soon)
{
    begin();
    leases_fake.error[0][0] = EVLOG_ERR_GROUP_LOADING;
    leases_fake.end[0][0] = 1;
    struct share_ask a = share_defaults;
    a.max_wait_ms = 1000;
    struct fake_request *r = share_send(&f, &a, 2);
    assert_int_equal(r->outcome, FAKE_OPEN);
    fake_advance_ms(&f, 100);
    assert_int_equal(r->outcome, FAKE_OPEN);
    leases_fake.error[0][0] = 0;
    fake_advance_ms(&f, 100);
    struct el_msg_share_fetch_response answer = share_answer(r);
    assert_int_equal(got(&answer, 0), 1);
    fake_free(r);
    leases_fake.error[0][0] = EVLOG_ERR_GROUP_LOADING; /* until the end: no error, nothing */
    a.count = 0;
    a.epoch = 1;
    r = share_send(&f, &a, 2);
    fake_advance_ms(&f, 1000);
    answer = share_answer(r);
    assert_int_equal(answer.response_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, another_request_of_the_session_ends_the_wait)
{
    begin();
    struct share_ask a = share_defaults;
    a.max_wait_ms = 1000;
    struct fake_request *r = share_send(&f, &a, 2);
    assert_int_equal(r->outcome, FAKE_OPEN);
    a.epoch = 1;
    struct fake_request *second = share_send(&f, &a, 2);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    assert_int_equal(second->outcome, FAKE_OPEN);
    fake_advance_ms(&f, 1000);
    assert_int_equal(second->outcome, FAKE_REPLIED);
    fake_free(r);
    fake_free(second);
    fake_end(&f);
}

TEST(share_fetch, ends_when_the_client_is_gone_and_keeps_its_memory_until_watches_have_ended)
{
    begin();
    struct share_ask a = share_defaults;
    a.max_wait_ms = 1000;
    struct fake_request *r = share_send(&f, &a, 2);
    leases_fake.defer = true;
    r->request.on_abandon(&r->request);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    assert_true(r->held);
    assert_false(r->unheld);
    fake_close_conn(&f, 1);
    assert_int_equal(f.api.share.ending.next == &f.api.share.ending, 0); /* the session is in use until then */
    fake_lease_run();
    assert_true(r->unheld);
    fake_lease_run(); /* the release of what it may hold */
    leases_fake.defer = false;
    assert_true(el_list_empty(&f.api.share.ending));
    fake_free(r);
    fake_end(&f);
}

TEST(share_fetch, does_not_wait_when_the_shard_stops)
{
    begin();
    struct share_ask a = share_defaults;
    a.max_wait_ms = 1000;
    struct fake_request *r = share_send(&f, &a, 2);
    api_stop(&f.api);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    a.epoch = 1;
    struct fake_request *later = share_send(&f, &a, 2);
    assert_int_equal(later->outcome, FAKE_REPLIED);
    fake_free(r);
    fake_free(later);
    fake_end(&f);
}

TEST(share_fetch, does_not_wait_when_no_byte_is_wanted)
{
    begin();
    struct share_ask a = share_defaults;
    a.max_wait_ms = 1000;
    a.min_bytes = 0;
    struct fake_request *r = share_send(&f, &a, 2);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    fake_free(r);
    fake_end(&f);
}
