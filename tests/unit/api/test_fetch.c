/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: Fetch returns what fits, at least one batch, and waits as asked: woken by an append, by a deletion, by the
 * deadline, by the end of the client or of the shard. Method: a store of one partition whose watches the test fires.
 */
#include "fake.h"

#include <stdlib.h>
#include <wire/msg_ext_log_fetch.h>
#include <wire/msg_fetch.h>

static struct fake f;

/* Room for the batches of partition 0. */
static uint8_t log_data[1 << 20];

/* Append a batch of one record of len bytes. */
static void append(size_t len, enum el_codec codec)
{
    struct el_batch_builder builder;
    el_batch_builder_init(&builder, EL_BATCH_OUTPUT_MAX);
    uint8_t *value = calloc(1, len + 1);
    struct el_record_body body = {.value = el_slice_of(value, len)};
    assert_int_equal(el_batch_builder_add(&builder, 1700000000000, &body), 0);
    struct el_slice batch;
    assert_int_equal(el_batch_builder_finish(&builder, codec, NULL, &batch), 0);
    struct fake_partition *p = &f.partition;
    assert_true(p->data_len + batch.len <= sizeof log_data);
    memcpy(p->data + p->data_len, batch.data, batch.len);
    el_batch_assign(p->data + p->data_len, p->high_watermark, 7);
    p->data_len += (uint32_t)batch.len;
    p->high_watermark++;
    free(value);
    el_batch_builder_destroy(&builder);
}

static void begin(void)
{
    fake_begin(&f);
    f.partition.data = log_data;
    fake_add_topic(&f, "events", 2);
}

struct ask {
    const char *name;
    const struct el_uuid *id;
    int32_t partitions[4];
    int partition_count;
    int64_t offset;
    int32_t max_wait_ms, min_bytes, max_bytes, partition_max_bytes;
    int32_t session_id, session_epoch, leader_epoch;
    int8_t isolation;
};

static const struct ask defaults = {
    .name = "events",
    .partition_count = 1,
    .min_bytes = 1,
    .max_bytes = 1 << 24,
    .partition_max_bytes = 1 << 20,
    .session_epoch = -1,
    .leader_epoch = -1,
};

static struct fake_request *send_fetch(const struct ask *a, int version)
{
    struct el_msg_fetch_partition parts[4];
    struct el_msg_fetch_topic topic;
    struct el_msg_fetch_request message;
    el_schema_init(&el_schema_fetch_request, &message);
    el_schema_init(&el_schema_fetch_topic, &topic);
    for (int i = 0; i < a->partition_count; i++) {
        el_schema_init(&el_schema_fetch_partition, &parts[i]);
        parts[i].partition = a->partitions[i];
        parts[i].fetch_offset = a->offset;
        parts[i].partition_max_bytes = a->partition_max_bytes;
        parts[i].current_leader_epoch = a->leader_epoch;
    }
    topic.topic = el_slice_str(a->name);
    if (a->id != NULL) {
        topic.topic_id = *a->id;
    }
    topic.partitions = parts;
    topic.partition_count = (uint32_t)a->partition_count;
    message.topics = &topic;
    message.topic_count = 1;
    message.max_wait_ms = a->max_wait_ms;
    message.min_bytes = a->min_bytes;
    message.max_bytes = a->max_bytes;
    message.isolation_level = a->isolation;
    if (version >= 7) {
        message.session_id = a->session_id;
        message.session_epoch = a->session_epoch;
    }
    struct fake_request *r = fake_request(&f, EL_API_Fetch, version, &message);
    fake_dispatch(&f, r);
    return r;
}

static struct el_msg_fetch_partition_result result_at(struct fake_request *r, uint32_t index)
{
    struct el_msg_fetch_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.error_code, 0);
    assert_int_equal(answer.session_id, 0);
    assert_int_equal(answer.response_count, 1);
    assert_true(index < answer.responses[0].partition_count);
    return answer.responses[0].partitions[index];
}

TEST(fetch, refuses_sessions)
{
    begin();
    struct ask a = defaults;
    a.session_id = 5;
    a.session_epoch = 1;
    struct fake_request *r = send_fetch(&a, 11);
    struct el_msg_fetch_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.error_code, EL_KAFKA_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(answer.response_count, 0);
    fake_free(r);
    a.session_id = 0;
    a.session_epoch = 3;
    r = send_fetch(&a, 11);
    fake_response(r, &answer);
    assert_int_equal(answer.error_code, EL_KAFKA_INVALID_FETCH_SESSION_EPOCH);
    fake_free(r);
    a.session_epoch = 0; /* would like one: gets a full answer without */
    r = send_fetch(&a, 11);
    assert_int_equal(result_at(r, 0).error_code, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, errors_have_their_codes_and_no_offsets)
{
    begin();
    append(10, EL_CODEC_NONE);
    struct ask a = defaults;
    a.max_wait_ms = 10000; /* errors do not wait */
    struct {
        const char *name;
        int32_t partition;
        int64_t offset;
        int32_t epoch;
        int16_t error;
    } cases[] = {
        {"nothing", 0, 0, -1, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION},
        {"events", 2, 0, -1, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION},
        {"events", -1, 0, -1, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION},
        {"events", 0, 2, -1, EL_KAFKA_OFFSET_OUT_OF_RANGE},
        {"events", 0, -1, -1, EL_KAFKA_OFFSET_OUT_OF_RANGE},
        {"events", 0, 0, 6, EL_KAFKA_FENCED_LEADER_EPOCH},
        {"events", 0, 0, 8, EL_KAFKA_UNKNOWN_LEADER_EPOCH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        a.name = cases[i].name;
        a.partitions[0] = cases[i].partition;
        a.offset = cases[i].offset;
        a.leader_epoch = cases[i].epoch;
        struct fake_request *r = send_fetch(&a, 11);
        struct el_msg_fetch_partition_result out = result_at(r, 0);
        assert_int_equal(out.error_code, cases[i].error);
        assert_int_equal(out.high_watermark, -1);
        assert_int_equal(out.last_stable_offset, -1);
        assert_int_equal(out.log_start_offset, -1);
        assert_int_equal(out.records.len, 0);
        fake_free(r);
    }
    fake_end(&f);
}

TEST(fetch, unknown_ids_have_their_own_code)
{
    begin();
    struct el_uuid unknown = {{0xee}};
    struct ask a = defaults;
    a.id = &unknown;
    struct fake_request *r = send_fetch(&a, 13);
    assert_int_equal(result_at(r, 0).error_code, EL_KAFKA_UNKNOWN_TOPIC_ID);
    fake_free(r);
    a.id = &f.topics[0].id;
    r = send_fetch(&a, 13);
    assert_int_equal(result_at(r, 0).error_code, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, old_versions_do_not_get_zstd)
{
    begin();
    append(1000, EL_CODEC_ZSTD);
    struct fake_request *r = send_fetch(&defaults, 9);
    assert_int_equal(result_at(r, 0).error_code, EL_KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
    assert_int_equal(result_at(r, 0).records.len, 0);
    fake_free(r);
    r = send_fetch(&defaults, 10);
    assert_int_equal(result_at(r, 0).error_code, 0);
    assert_int_equal(result_at(r, 0).records.len, f.partition.data_len);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, aborted_list_is_null_or_empty_by_isolation_level)
{
    begin();
    struct ask a = defaults;
    struct fake_request *r = send_fetch(&a, 11);
    assert_null(result_at(r, 0).aborted_transactions);
    fake_free(r);
    a.isolation = 1;
    r = send_fetch(&a, 11);
    assert_non_null(result_at(r, 0).aborted_transactions);
    assert_int_equal(result_at(r, 0).aborted_transaction_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, returns_whole_batches_within_the_limits)
{
    begin();
    append(100, EL_CODEC_NONE);
    uint32_t one = f.partition.data_len;
    append(100, EL_CODEC_NONE);
    append(100, EL_CODEC_NONE);
    struct ask a = defaults;
    a.partition_max_bytes = (int32_t)(2 * one);
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(result_at(r, 0).records.len, 2 * one);
    assert_int_equal(result_at(r, 0).high_watermark, 3);
    fake_free(r);
    a.partition_max_bytes = 1 << 20;
    a.max_bytes = (int32_t)(2 * one + 1);
    r = send_fetch(&a, 11);
    assert_int_equal(result_at(r, 0).records.len, 2 * one);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, first_partition_with_data_gets_one_batch_whatever_its_size)
{
    begin();
    append(1000, EL_CODEC_NONE);
    append(1000, EL_CODEC_NONE);
    uint32_t one = f.partition.data_len / 2;
    struct ask a = defaults;
    a.max_bytes = a.partition_max_bytes = 1;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(result_at(r, 0).records.len, one);
    fake_free(r);
    /* Partition 1 is empty and comes first; partition 0 is asked for twice, and only its first gets the batch. */
    a.partitions[0] = 1;
    a.partition_count = 3;
    r = send_fetch(&a, 11);
    assert_int_equal(result_at(r, 0).records.len, 0);
    assert_int_equal(result_at(r, 1).records.len, one);
    assert_int_equal(result_at(r, 2).records.len, 0);
    fake_free(r);
    a.max_bytes = 0;
    r = send_fetch(&a, 11);
    assert_int_equal(result_at(r, 1).records.len, one);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, asks_for_less_when_memory_is_short)
{
    begin();
    append(1000, EL_CODEC_NONE);
    struct ask a = defaults;
    f.read_len_max = 100000;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(result_at(r, 0).error_code, 0);
    assert_int_equal(result_at(r, 0).records.len, f.partition.data_len);
    fake_free(r);
    f.read_len_max = 1;
    r = send_fetch(&a, 11);
    assert_int_equal(result_at(r, 0).error_code, EL_KAFKA_KAFKA_STORAGE_ERROR);
    fake_free(r);
    r = send_fetch(&a, 5); /* its clients do not know that code */
    assert_int_equal(result_at(r, 0).error_code, EL_KAFKA_NOT_LEADER_OR_FOLLOWER);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, does_not_wait_for_a_partition_without_memory_when_another_has_data)
{
    begin();
    append(10, EL_CODEC_NONE);
    f.starved = 1;
    struct ask a = defaults;
    a.max_wait_ms = 1000;
    a.min_bytes = 1 << 20;
    a.partition_count = 2;
    a.partitions[1] = 1;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    assert_int_equal(f.watch_count, 0);
    assert_int_equal(result_at(r, 0).records.len, f.partition.data_len);
    assert_int_equal(result_at(r, 1).error_code, EL_KAFKA_NONE);
    assert_int_equal(result_at(r, 1).records.len, 0);
    assert_true(f.partition.high_watermark > 0);
    assert_int_equal(result_at(r, 1).high_watermark, f.partition.high_watermark); /* readers measure their lag by it */
    assert_int_equal(result_at(r, 1).last_stable_offset, f.partition.high_watermark);
    assert_int_equal(result_at(r, 1).log_start_offset, 0);
    fake_free(r);
    fake_end(&f);
}

/* --- memory of its principal -------------------------------------------------------------------------------------- */

#define SMALL_MEMORY store_read_memory(64u << 10, false)

TEST(fetch, brings_less_when_less_of_its_memory_is_left)
{
    begin();
    for (int i = 0; i < 20; i++) {
        append(20000, EL_CODEC_NONE);
    }
    struct ask a = defaults;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(result_at(r, 0).records.len, f.partition.data_len);
    fake_free(r);
    f.claim_limit = 2 * SMALL_MEMORY;
    r = send_fetch(&a, 11);
    uint32_t len = result_at(r, 0).records.len;
    assert_in_range(len, 100000, 2 * SMALL_MEMORY);
    assert_int_equal(f.claimed_max, 2 * SMALL_MEMORY);
    assert_int_equal(f.claimed, 0); /* the answer has left */
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, claims_nothing_while_nothing_is_there)
{
    begin();
    f.claim_limit = 1 << 24;
    struct ask a = defaults;
    a.max_wait_ms = 500;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(r->outcome, FAKE_OPEN);
    assert_true(f.claimed_max > 0);
    assert_int_equal(f.claimed, 0);
    append(100, EL_CODEC_NONE);
    fake_fire(&f, 0, 0);
    assert_int_equal(result_at(r, 0).records.len, f.partition.data_len);
    assert_int_equal(f.claimed, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, keeps_no_events_back_when_its_memory_is_over_the_limit)
{
    begin();
    append(40000, EL_CODEC_NONE);
    struct ask a = defaults;
    a.max_wait_ms = 2000;
    a.min_bytes = 1 << 20;
    f.claim_limit = 1 << 24;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(r->outcome, FAKE_OPEN);
    fake_advance_ms(&f, 2000);
    fake_free(r);
    f.claim_limit = SMALL_MEMORY; /* less than it would have */
    r = send_fetch(&a, 11);
    assert_int_equal(result_at(r, 0).records.len, f.partition.data_len);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, waits_for_its_memory_until_its_deadline)
{
    begin();
    append(100, EL_CODEC_NONE);
    f.claim_limit = f.claimed = SMALL_MEMORY;
    struct ask a = defaults;
    a.max_wait_ms = 2000;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(r->outcome, FAKE_OPEN);
    assert_non_null(f.claim_waiting);
    f.claimed = 0;
    fake_claim_again(&f);
    assert_int_equal(result_at(r, 0).records.len, f.partition.data_len);
    fake_free(r);
    for (int i = 0; i < 2; i++) {
        f.claimed = SMALL_MEMORY;
        r = send_fetch(&a, 11);
        fake_advance_ms(&f, i == 0 ? 1999 : 499);
        assert_int_equal(r->outcome, FAKE_OPEN);
        fake_advance_ms(&f, 1);
        struct el_msg_fetch_partition_result out = result_at(r, 0);
        assert_int_equal(out.error_code, 0); /* nothing is wrong, there is just nothing for it now */
        assert_int_equal(out.records.len, 0);
        assert_int_equal(out.high_watermark, 1);
        assert_null(f.claim_waiting);
        fake_free(r);
        a.max_wait_ms = 0; /* who does not wait for events waits a little all the same */
    }
    fake_end(&f);
}

TEST(fetch, a_partition_that_has_grown_waits_for_its_memory)
{
    begin();
    struct ask a = defaults;
    a.partition_count = 2;
    a.partitions[0] = 1; /* has nothing */
    a.partitions[1] = 0;
    a.max_wait_ms = 2000;
    f.claim_limit = 1 << 24;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(f.watch_count, 2);
    append(100, EL_CODEC_NONE);
    f.claimed = f.claim_limit;
    fake_fire(&f, 1, 0);
    assert_int_equal(r->outcome, FAKE_OPEN);
    assert_non_null(f.claim_waiting);
    f.claimed = 0;
    fake_claim_again(&f);
    assert_int_equal(result_at(r, 1).records.len, f.partition.data_len);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, waits_for_its_memory_no_longer_than_its_client)
{
    begin();
    append(100, EL_CODEC_NONE);
    f.claim_limit = f.claimed = SMALL_MEMORY;
    struct ask a = defaults;
    a.max_wait_ms = 2000;
    struct fake_request *r = send_fetch(&a, 11);
    f.gone = true;
    r->request.on_abandon(&r->request);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    assert_null(f.claim_waiting);
    fake_free(r);
    f.gone = false;
    r = send_fetch(&a, 11);
    assert_int_equal(r->outcome, FAKE_OPEN);
    api_stop(&f.api);
    assert_int_equal(result_at(r, 0).records.len, 0);
    fake_free(r);
    f.api.stopping = false;
    fake_end(&f);
}

TEST(fetch, a_batch_longer_than_its_memory_is_claimed_whole)
{
    begin();
    append(400000, EL_CODEC_NONE);
    struct ask a = defaults;
    a.partition_max_bytes = 1000;
    f.claim_limit = store_read_memory(500000, false);
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(f.read_count, 2);
    assert_int_equal(result_at(r, 0).records.len, f.partition.data_len);
    assert_int_equal(f.claimed_max, f.claim_limit);
    assert_int_equal(f.claimed, 0);
    fake_free(r);
    f.claim_limit /= 2; /* it never fits: the fake lets nobody go over the limit */
    r = send_fetch(&a, 11);
    fake_advance_ms(&f, 500);
    assert_int_equal(result_at(r, 0).records.len, 0);
    assert_int_equal(f.claimed, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, waits_for_an_append)
{
    begin();
    struct ask a = defaults;
    a.max_wait_ms = 1000;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(r->outcome, FAKE_OPEN);
    assert_int_equal(f.watch_count, 1);
    append(10, EL_CODEC_NONE);
    fake_fire(&f, 0, 0);
    assert_int_equal(result_at(r, 0).records.len, f.partition.data_len);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, answers_before_its_other_watches_have_ended)
{
    begin();
    f.defer_cancel = true;
    struct ask a = defaults;
    a.max_wait_ms = 1000;
    a.partition_count = 2;
    a.partitions[1] = 1;
    struct fake_request *r = send_fetch(&a, 11);
    append(10, EL_CODEC_NONE);
    fake_fire(&f, 0, 0);
    assert_int_equal(result_at(r, 0).records.len, f.partition.data_len);
    assert_int_equal(f.cancel_count, 1);
    assert_true(r->held);
    assert_false(r->unheld);
    assert_int_equal(f.read_release_count, 1); /* the empty first reading; what is answered is still there */
    fake_fire(&f, 0, EVLOG_ERR_CLOSED);
    assert_true(r->unheld);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, waits_for_enough_bytes)
{
    begin();
    append(100, EL_CODEC_NONE);
    struct ask a = defaults;
    a.max_wait_ms = 1000;
    a.min_bytes = (int32_t)f.partition.data_len + 1;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(r->outcome, FAKE_OPEN);
    append(100, EL_CODEC_NONE);
    fake_fire(&f, 0, 0);
    fake_advance_ms(&f, 10); /* reading again is put off a little, for more to come */
    assert_int_equal(result_at(r, 0).records.len, f.partition.data_len);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, answers_at_the_deadline_with_what_is_there)
{
    begin();
    append(100, EL_CODEC_NONE);
    struct ask a = defaults;
    a.max_wait_ms = 500;
    a.min_bytes = 1 << 20;
    struct fake_request *r = send_fetch(&a, 11);
    fake_advance_ms(&f, 499);
    assert_int_equal(r->outcome, FAKE_OPEN);
    fake_advance_ms(&f, 1);
    assert_int_equal(result_at(r, 0).records.len, f.partition.data_len);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, ends_with_an_error_when_the_topic_is_deleted)
{
    begin();
    struct ask a = defaults;
    a.max_wait_ms = 1000;
    a.partition_count = 2;
    a.partitions[1] = 1;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(f.watch_count, 2);
    f.topics[0].name[0] = 'x';
    f.topics[0].id.bytes[0] = 0xee;
    fake_fire(&f, 1, EVLOG_ERR_UNKNOWN_TOPIC);
    assert_int_equal(result_at(r, 1).error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, ends_when_the_client_is_gone)
{
    begin();
    struct ask a = defaults;
    a.max_wait_ms = 100000;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(r->outcome, FAKE_OPEN);
    assert_non_null(r->request.on_abandon);
    r->request.on_abandon(&r->request);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    assert_int_equal(f.watch_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, ends_when_the_shard_stops_and_waits_no_more)
{
    begin();
    struct ask a = defaults;
    a.max_wait_ms = 100000;
    struct fake_request *first = send_fetch(&a, 11), *second = send_fetch(&a, 11);
    api_stop(&f.api);
    assert_int_equal(first->outcome, FAKE_REPLIED);
    assert_int_equal(second->outcome, FAKE_REPLIED);
    fake_free(first);
    fake_free(second);
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, an_abandoned_read_ends_after_its_operation)
{
    begin();
    f.defer = true;
    struct ask a = defaults;
    a.max_wait_ms = 100000;
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(f.op_count, 1);
    r->request.on_abandon(&r->request);
    assert_int_equal(r->outcome, FAKE_OPEN);
    fake_run_op(&f);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, a_storage_that_stops_ends_the_wait)
{
    begin();
    struct ask a = defaults;
    a.max_wait_ms = 100000;
    struct fake_request *r = send_fetch(&a, 11);
    fake_fire(&f, 0, EVLOG_ERR_CLOSED);
    assert_int_equal(result_at(r, 0).error_code, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(fetch, reads_under_way_share_the_limit)
{
    begin();
    f.defer = true;
    append(1000, EL_CODEC_NONE);
    uint32_t one = f.partition.data_len;
    struct ask a = defaults;
    a.partition_count = 3;
    a.partition_max_bytes = (int32_t)one;
    a.max_bytes = (int32_t)(2 * one);
    struct fake_request *r = send_fetch(&a, 11);
    assert_int_equal(f.op_count, 2); /* the third has no room until one of them is back */
    while (r->outcome == FAKE_OPEN) {
        fake_run_op(&f);
    }
    assert_int_equal(result_at(r, 0).records.len, one);
    assert_int_equal(result_at(r, 1).records.len, one);
    assert_int_equal(result_at(r, 2).records.len, 0);
    assert_int_equal(result_at(r, 2).high_watermark, 1);
    fake_free(r);
    fake_end(&f);
}

TEST(log_fetch, answers_by_name_and_by_id)
{
    begin();
    struct el_msg_ext_log_fetch_partition part;
    struct el_msg_ext_log_fetch_topic topics[3];
    struct el_msg_ext_log_fetch_request message;
    el_schema_init(&el_schema_ext_log_fetch_partition, &part);
    el_schema_init(&el_schema_ext_log_fetch_request, &message);
    for (int i = 0; i < 3; i++) {
        el_schema_init(&el_schema_ext_log_fetch_topic, &topics[i]);
        topics[i].partitions = &part;
        topics[i].partition_count = 1;
    }
    topics[0].topic = el_slice_str("events");
    topics[1].topic_id = f.topics[0].id;
    topics[2].topic = el_slice_str("nothing");
    message.topics = topics;
    message.topic_count = 3;
    struct fake_request *r = fake_request(&f, EL_API_LogFetch, 0, &message);
    fake_dispatch(&f, r);
    struct el_msg_ext_log_fetch_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.error, 0);
    assert_true(el_uuid_eq(&answer.topics[0].topic_id, &f.topics[0].id));
    assert_int_equal(answer.topics[0].partitions[0].error, 0);
    assert_int_equal(answer.topics[1].partitions[0].error, 0);
    assert_int_equal(answer.topics[2].partitions[0].error, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(answer.topics[2].partitions[0].high_watermark, -1);
    fake_free(r);
    fake_end(&f);
}
