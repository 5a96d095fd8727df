/* SPDX-License-Identifier: Apache-2.0
 *
 * Which partition an event goes to, and how records become batches. Goal: the same partition as Kafka's Java client
 * chooses, and batches that close when they are full. Method: hashes published with the Java client's tests; a producer
 * without a broker, filled through its inner functions.
 */
#include "../../../client/producer_state.h"
#include "../../lib/test.h"

#include <core/alloc.h>
#include <core/hash.h>
#include <evlog/evlog.h>
#include <string.h>

/* From org.apache.kafka.common.utils.UtilsTest.testMurmur2. */
TEST(partitioner, hashes_as_the_java_client)
{
    static const struct {
        const char *key;
        int32_t hash;
    } known[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_int_equal((int32_t)el_murmur2(known[i].key, strlen(known[i].key)), known[i].hash);
        int32_t partition = el_partition_of_key(known[i].key, strlen(known[i].key), 12);
        assert_int_equal(partition, (known[i].hash & 0x7fffffff) % 12);
    }
    assert_int_equal(el_partition_of_key("", 0, 1), 0);
}

struct fixture {
    struct evlog_client client;
    struct evlog_producer producer;
};

/* False only while allocations are being failed. */
static bool fixture_begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    if (el_client_config_make(NULL, &f->client.cfg, NULL) != 0) {
        assert_true(el_test_failing());
        return false;
    }
    f->client.magic = EL_CLIENT_MAGIC;
    f->client.wake_fd = f->client.event_fd = -1;
    f->client.wake_sent = true;
    el_rng_seed(&f->client.rng, 1);
    (void)pthread_cond_init(&f->client.changed, NULL);
    f->producer.client = &f->client;
    el_map_init(&f->producer.topics, NULL);
    el_list_init(&f->producer.active);
    el_list_init(&f->producer.done);
    return true;
}

static void fixture_end(struct fixture *f)
{
    while (!el_list_empty(&f->producer.active)) {
        struct el_producer_partition *p = EL_CONTAINER(f->producer.active.next, struct el_producer_partition, active);
        struct el_producer_batch *batch = EL_CONTAINER(p->queue.next, struct el_producer_batch, link);
        el_producer_batch_refuse(&f->producer, batch, EVLOG_ERR_CLOSED, NULL);
    }
    while (!el_list_empty(&f->producer.done)) {
        struct el_list *node = el_list_pop_front(&f->producer.done);
        el_producer_batch_free(EL_CONTAINER(node, struct el_producer_batch, link));
    }
    el_producer_topics_free(&f->producer);
    el_client_config_free(&f->client.cfg);
}

static int append(struct fixture *f, struct el_producer_topic *topic, int32_t partition, size_t value_len)
{
    static uint8_t value[1 << 16];
    struct el_record_body body = {.value = el_slice_of(value, value_len)};
    struct el_delivery delivery = {.timestamp_ms = 1};
    return el_producer_append(&f->producer, topic, partition, &body, &delivery);
}

static uint32_t queue_length(const struct el_producer_topic *topic, int32_t partition)
{
    uint32_t count = 0;
    EL_LIST_EACH(node, &topic->partitions[partition]->queue) {
        count++;
    }
    return count;
}

TEST(producer_batch, fills_up_and_closes)
{
    struct fixture f;
    assert_true(fixture_begin(&f));
    struct el_producer_topic *topic = el_producer_topic(&f.producer, "t", 3);
    assert_non_null(topic);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(append(&f, topic, 1, 1000), 0);
    }
    assert_int_equal(queue_length(topic, 1), 1);
    assert_int_equal(append(&f, topic, 1, 1000), 0);
    assert_int_equal(queue_length(topic, 1), 2);
    struct el_producer_batch *first = EL_CONTAINER(topic->partitions[1]->queue.next, struct el_producer_batch, link);
    assert_true(first->closed);
    assert_int_equal(first->record_count, 16);
    assert_int_equal(f.producer.pending_count, 17);
    assert_true(f.producer.buffered_len > 17000);
    assert_int_equal(append(&f, topic, 1, 50000), 0); /* larger than batch.size: a batch of its own */
    assert_int_equal(queue_length(topic, 1), 3);
    fixture_end(&f);
    assert_int_equal(f.producer.pending_count, 0);
    assert_int_equal(f.producer.buffered_len, 0);
}

TEST(producer_batch, keyless_events_stick_to_a_partition_until_its_batch_is_full)
{
    struct fixture f;
    assert_true(fixture_begin(&f));
    struct el_producer_topic *topic = el_producer_topic(&f.producer, "t", 50);
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    int32_t first = el_producer_choose(&f.producer, topic, &message);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(el_producer_choose(&f.producer, topic, &message), first);
        assert_int_equal(append(&f, topic, first, 1000), 0);
    }
    assert_int_equal(append(&f, topic, first, 1000), 0);
    assert_int_equal(topic->sticky, -1); /* full: the next one is drawn anew */
    message.partition = 7;
    assert_int_equal(el_producer_choose(&f.producer, topic, &message), 7);
    fixture_end(&f);
}

static void on_delivery(void *arg, const struct evlog_receipt *receipt, const struct evlog_failure *failure)
{
}

TEST_TORTURE(producer_batch, every_allocation_may_fail)
{
    struct fixture f;
    static const uint8_t value[3000];
    uint64_t taken = 0;
    if (!fixture_begin(&f)) {
        return;
    }
    for (int i = 0; i < 12; i++) {
        struct el_producer_topic *topic = el_producer_topic(&f.producer, "t", 1 + i);
        struct el_record_body body = {.value = el_slice_of(value, sizeof value)};
        struct el_delivery delivery = {.timestamp_ms = 1, .fn = on_delivery};
        taken += topic != NULL && el_producer_append(&f.producer, topic, i == 0 ? 0 : i % 2, &body, &delivery) == 0;
    }
    assert_int_equal(f.producer.pending_count, taken);
    fixture_end(&f);
}
