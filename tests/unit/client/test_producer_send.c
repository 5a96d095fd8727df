/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending with idempotence: sequences, retries, gaps. Goal: whatever a broker answers, events are stored in order, none
 * twice, and one whose outcome is not known is not sent again under another producer id. Method: the internal thread's
 * turns are taken by hand, without a thread and without a broker; every request is looked at before it is answered.
 */
#include "../../../client/producer_state.h"
#include "../../lib/test.h"

#include <core/alloc.h>
#include <evlog/evlog.h>
#include <string.h>
#include <wire/error_code.h>
#include <wire/msg_produce.h>

#define ANSWER_VERSION 9
#define NEVER_ERROR (-99) /* the answer does not come */

struct fixture {
    struct evlog_client client;
    struct evlog_producer *producer;
    uint32_t told_count; /* callbacks */
    int told_code;       /* of the last failure */
    bool told_doubt;
    int64_t told_offset;
};

static void add_topic(struct evlog_client *client)
{
    struct el_topic *topic = el_calloc(1, sizeof *topic);
    assert_non_null(topic);
    topic->name = el_strdup("t");
    topic->partition_count = 1;
    topic->partitions = el_calloc(1, sizeof *topic->partitions);
    topic->partitions[0].leader = 1;
    assert_int_equal(el_map_put(&client->cluster.topics, topic->name, 1, topic), 0);
}

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    struct evlog_settings *settings;
    assert_int_equal(evlog_settings_new(&settings), 0);
    assert_int_equal(evlog_settings_set(settings, "retry.backoff.ms", "0", NULL), 0);
    assert_int_equal(evlog_settings_set(settings, "compression.type", "none", NULL), 0);
    assert_int_equal(evlog_settings_set(settings, "linger.ms", "0", NULL), 0);
    assert_int_equal(el_client_config_make(settings, &f->client.cfg, NULL), 0);
    evlog_settings_free(settings);
    f->client.magic = EL_CLIENT_MAGIC;
    f->client.wake_fd = -1;
    f->client.wake_sent = true;
    f->client.bootstrap_count = 1;
    (void)pthread_mutex_init(&f->client.lock, NULL);
    (void)pthread_cond_init(&f->client.changed, NULL);
    el_rng_seed(&f->client.rng, 1);
    el_list_init(&f->client.calls);
    el_list_init(&f->client.conns);
    el_list_init(&f->client.producers);
    el_list_init(&f->client.subscribers);
    el_list_init(&f->client.log);
    f->client.event_fd = -1;
    el_map_init(&f->client.cluster.topics, NULL);
    add_topic(&f->client);
    assert_int_equal(evlog_producer_open(&f->client, &f->producer, NULL), 0);
}

static void turn(struct fixture *f)
{
    int64_t until_ns = INT64_MAX;
    el_client_lock(&f->client);
    el_producers_tick(&f->client, el_now_ns(), &until_ns);
    el_client_unlock(&f->client);
}

static void end(struct fixture *f)
{
    f->producer->closing = true;
    turn(f);
    evlog_producer_close(f->producer);
    el_client_lock(&f->client);
    el_conns_close(&f->client);
    el_client_unlock(&f->client);
    el_cluster_destroy(&f->client.cluster);
    el_client_config_free(&f->client.cfg);
}

static void on_delivery(void *arg, const struct evlog_receipt *receipt, const struct evlog_failure *failure)
{
    struct fixture *f = arg;
    f->told_count++;
    f->told_code = failure == NULL ? 0 : failure->code;
    f->told_doubt = failure != NULL && failure->in_doubt;
    f->told_offset = receipt == NULL ? -1 : receipt->offset;
}

/* One event in a batch of its own. */
static void publish(struct fixture *f)
{
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    message.topic = "t";
    assert_int_equal(evlog_publish_async(f->producer, &message, on_delivery, f, NULL), 0);
    struct el_producer_topic *topic = el_map_get(&f->producer->topics, "t", 1);
    EL_CONTAINER(topic->partitions[0]->queue.prev, struct el_producer_batch, link)->closed = true;
}

/* The request that waits, NULL when there is none. */
static struct el_call *next_call(struct fixture *f)
{
    struct el_list *node = el_list_pop_front(&f->client.calls);
    return node == NULL ? NULL : EL_CONTAINER(node, struct el_call, link);
}

static void give(struct fixture *f, struct el_call *call, int version, const void *response)
{
    uint8_t bytes[512];
    struct el_writer w;
    el_writer_init(&w, bytes, sizeof bytes);
    assert_int_equal(el_api_encode(call->api, EL_SIDE_RESPONSE, version, response, &w, NULL), 0);
    call->version = (int16_t)version;
    call->sent = true;
    call->frame = el_memdup(bytes, el_writer_len(&w));
    call->frame_len = el_writer_len(&w);
    el_client_lock(&f->client);
    el_call_end(&f->client, call);
    el_client_unlock(&f->client);
}

/* InitProducerId is asked for and answered. */
static void give_id(struct fixture *f, int64_t producer_id)
{
    turn(f);
    struct el_call *call = next_call(f);
    assert_non_null(call);
    assert_int_equal(call->api->key, EL_API_InitProducerId);
    struct el_msg_init_producer_id_response response;
    el_schema_init(&el_schema_init_producer_id_response, &response);
    response.producer_id = producer_id;
    response.producer_epoch = 0;
    give(f, call, 4, &response);
    turn(f);
}

/* The produce request that waits must carry this producer id and sequence. */
static struct el_call *expect_batch(struct fixture *f, int64_t producer_id, int32_t sequence)
{
    struct el_call *call = next_call(f);
    assert_non_null(call);
    assert_int_equal(call->api->key, EL_API_Produce);
    const struct el_msg_produce_request *request = call->request;
    assert_int_equal(request->topic_data_count, 1);
    assert_int_equal(request->topic_data[0].partition_data_count, 1);
    struct el_batch_info info;
    struct el_slice records = request->topic_data[0].partition_data[0].records;
    assert_int_equal(el_batch_header(records.data, records.len, &info), 0);
    assert_int_equal(info.producer_id, producer_id);
    assert_int_equal(info.base_sequence, sequence);
    return call;
}

static void answer(struct fixture *f, struct el_call *call, int kafka_code, int64_t base_offset)
{
    if (kafka_code == NEVER_ERROR) {
        call->sent = true;
        call->failure.code = EVLOG_ERR_CLOSED;
        el_client_lock(&f->client);
        el_call_end(&f->client, call);
        el_client_unlock(&f->client);
        return;
    }
    struct el_msg_produce_response response;
    struct el_msg_produce_topic_result topic;
    struct el_msg_produce_partition_result partition;
    el_schema_init(&el_schema_produce_response, &response);
    el_schema_init(&el_schema_produce_topic_result, &topic);
    el_schema_init(&el_schema_produce_partition_result, &partition);
    partition.error_code = (int16_t)kafka_code;
    partition.base_offset = base_offset;
    topic.name = el_slice_str("t");
    topic.partition_responses = &partition;
    topic.partition_response_count = 1;
    response.responses = &topic;
    response.response_count = 1;
    give(f, call, ANSWER_VERSION, &response);
}

/* The producer has its id, and its first batch is stored: several may fly now. */
static void warm_up(struct fixture *f)
{
    publish(f);
    give_id(f, 100);
    answer(f, expect_batch(f, 100, 0), 0, 0);
    assert_int_equal(evlog_poll(f->producer, 0), 1);
}

TEST(producer_send, who_gets_no_producer_id_for_want_of_a_right_learns_it_at_once)
{
    struct fixture f;
    begin(&f);
    publish(&f);
    turn(&f);
    struct el_call *call = next_call(&f);
    assert_non_null(call);
    assert_int_equal(call->api->key, EL_API_InitProducerId);
    struct el_msg_init_producer_id_response response;
    el_schema_init(&el_schema_init_producer_id_response, &response);
    response.error_code = EL_KAFKA_CLUSTER_AUTHORIZATION_FAILED;
    give(&f, call, 4, &response);
    assert_int_equal(evlog_poll(f.producer, 0), 1);
    assert_int_equal(f.told_count, 1);
    assert_int_equal(f.told_code, EVLOG_ERR_CLUSTER_DENIED);
    assert_false(f.told_doubt);
    end(&f);
}

TEST(producer_send, nothing_follows_the_first_batch_before_its_answer)
{
    struct fixture f;
    begin(&f);
    publish(&f);
    publish(&f);
    give_id(&f, 100);
    struct el_call *first = expect_batch(&f, 100, 0);
    turn(&f);
    assert_null(next_call(&f));
    answer(&f, first, EL_KAFKA_NOT_LEADER_OR_FOLLOWER, -1);
    turn(&f);
    answer(&f, expect_batch(&f, 100, 0), 0, 0);
    turn(&f);
    answer(&f, expect_batch(&f, 100, 1), 0, 1);
    assert_int_equal(evlog_poll(f.producer, 0), 2);
    assert_int_equal(f.told_offset, 1);
    end(&f);
}

TEST(producer_send, lost_answer_is_asked_for_again_with_the_same_sequence)
{
    struct fixture f;
    begin(&f);
    warm_up(&f);
    publish(&f);
    turn(&f);
    answer(&f, expect_batch(&f, 100, 1), NEVER_ERROR, -1);
    turn(&f);
    answer(&f, expect_batch(&f, 100, 1), 0, 1);
    assert_int_equal(evlog_poll(f.producer, 0), 1);
    assert_int_equal(f.told_code, 0);
    end(&f);
}

TEST(producer_send, batches_behind_a_failed_one_are_sent_again_in_order)
{
    struct fixture f;
    begin(&f);
    warm_up(&f);
    publish(&f);
    publish(&f);
    turn(&f);
    turn(&f);
    struct el_call *one = expect_batch(&f, 100, 1), *two = expect_batch(&f, 100, 2);
    answer(&f, one, EL_KAFKA_NOT_LEADER_OR_FOLLOWER, -1);
    turn(&f);
    assert_null(next_call(&f)); /* the second one is still on its way */
    answer(&f, two, EL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    turn(&f);
    one = expect_batch(&f, 100, 1);
    turn(&f);
    assert_null(next_call(&f)); /* one at a time until it works again */
    answer(&f, one, 0, 1);
    turn(&f);
    answer(&f, expect_batch(&f, 100, 2), 0, 2);
    assert_int_equal(evlog_poll(f.producer, 0), 2);
    assert_int_equal(f.told_offset, 2);
    end(&f);
}

TEST(producer_send, gap_left_by_a_refused_batch_takes_a_new_producer_id)
{
    struct fixture f;
    begin(&f);
    warm_up(&f);
    publish(&f);
    publish(&f);
    turn(&f);
    turn(&f);
    struct el_call *one = expect_batch(&f, 100, 1), *two = expect_batch(&f, 100, 2);
    answer(&f, one, EL_KAFKA_MESSAGE_TOO_LARGE, -1);
    assert_int_equal(evlog_poll(f.producer, 0), 1);
    assert_int_equal(f.told_code, EVLOG_ERR_TOO_LARGE);
    assert_false(f.told_doubt);
    turn(&f);
    assert_null(next_call(&f)); /* no new id while something of the old one is on its way */
    answer(&f, two, EL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    give_id(&f, 200);
    answer(&f, expect_batch(&f, 200, 0), 0, 1);
    assert_int_equal(evlog_poll(f.producer, 0), 1);
    assert_int_equal(f.told_code, 0);
    end(&f);
}

TEST(producer_send, what_may_be_stored_is_not_sent_under_a_new_id)
{
    struct fixture f;
    begin(&f);
    warm_up(&f);
    publish(&f);
    publish(&f);
    turn(&f);
    turn(&f);
    struct el_call *one = expect_batch(&f, 100, 1), *two = expect_batch(&f, 100, 2);
    answer(&f, one, NEVER_ERROR, -1);
    answer(&f, two, NEVER_ERROR, -1);
    turn(&f);
    /* The broker has forgotten the producer: whether the lost tries were stored nobody can say any more. */
    answer(&f, expect_batch(&f, 100, 1), EL_KAFKA_UNKNOWN_PRODUCER_ID, -1);
    turn(&f);
    assert_int_equal(evlog_poll(f.producer, 0), 2);
    assert_int_equal(f.told_code, EVLOG_ERR_IN_DOUBT);
    assert_true(f.told_doubt);
    assert_null(next_call(&f));
    publish(&f);
    give_id(&f, 200);
    answer(&f, expect_batch(&f, 200, 0), 0, 7);
    assert_int_equal(evlog_poll(f.producer, 0), 1);
    assert_int_equal(f.told_offset, 7);
    end(&f);
}

TEST(producer_send, duplicate_of_an_old_batch_counts_as_stored)
{
    struct fixture f;
    begin(&f);
    warm_up(&f);
    publish(&f);
    turn(&f);
    answer(&f, expect_batch(&f, 100, 1), EL_KAFKA_DUPLICATE_SEQUENCE_NUMBER, -1);
    assert_int_equal(evlog_poll(f.producer, 0), 1);
    assert_int_equal(f.told_code, 0);
    end(&f);
}

TEST(producer_send, closing_gives_up_what_is_on_its_way_and_says_so)
{
    struct fixture f;
    begin(&f);
    warm_up(&f);
    publish(&f);
    turn(&f);
    publish(&f);
    assert_int_equal(f.told_count, 1);
    end(&f);
    assert_int_equal(f.told_count, 3);
    assert_int_equal(f.told_code, EVLOG_ERR_CLOSED);
}

TEST(producer_send, answer_for_another_partition_leaves_the_outcome_open)
{
    struct fixture f;
    begin(&f);
    warm_up(&f);
    publish(&f);
    turn(&f);
    struct el_call *call = expect_batch(&f, 100, 1);
    struct el_msg_produce_response response;
    el_schema_init(&el_schema_produce_response, &response);
    response.responses = EL_EMPTY;
    give(&f, call, ANSWER_VERSION, &response);
    turn(&f);
    answer(&f, expect_batch(&f, 100, 1), 0, 1);
    assert_int_equal(evlog_poll(f.producer, 0), 1);
    assert_int_equal(f.told_code, 0);
    end(&f);
}
