/* SPDX-License-Identifier: Apache-2.0
 *
 * What members of a group say to each other. Goal: bytes of other clients are understood in every version, and ours by
 * them; nothing that is cut short is believed. Method: byte strings written out by hand from Kafka's layout.
 */
#include "../../lib/test.h"

#include <evlog/error.h>
#include <string.h>
#include <wire/consumer_protocol.h>

/* Version 3: topics a and bc, user data 01, owned bc[2,0], generation 7, rack null. */
static const uint8_t subscription_3[] = {
    0, 3, 0,   0,   0, 2, 0, 1, 'a', 0, 2, 'b', 'c', 0, 0, 0, 1, 1, 0, 0, 0,    1,
    0, 2, 'b', 'c', 0, 0, 0, 2, 0,   0, 0, 2,   0,   0, 0, 0, 0, 0, 0, 7, 0xff, 0xff,
};
static const uint8_t assignment_3[] = {
    0, 3, 0, 0, 0, 1, 0, 2, 'b', 'c', 0, 0, 0, 1, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff,
};

TEST(consumer_protocol, what_is_cut_short_is_refused)
{
    struct el_msg_consumer_protocol_subscription subscription;
    struct el_msg_consumer_protocol_assignment assignment;
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    for (size_t len = 1; len < sizeof subscription_3; len++) {
        assert_true(el_consumer_protocol_decode(&el_schema_consumer_protocol_subscription,
                                                el_slice_of(subscription_3, len), &arena, &subscription) < 0);
    }
    for (size_t len = 1; len < sizeof assignment_3; len++) {
        assert_true(el_consumer_protocol_decode(&el_schema_consumer_protocol_assignment, el_slice_of(assignment_3, len),
                                                &arena, &assignment) < 0);
    }
    const uint8_t negative[] = {0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    assert_int_equal(el_consumer_protocol_decode(&el_schema_consumer_protocol_subscription,
                                                 el_slice_of(negative, sizeof negative), &arena, &subscription),
                     EVLOG_ERR_MALFORMED);
    const uint8_t many[] = {0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 1, 'a'};
    assert_true(el_consumer_protocol_decode(&el_schema_consumer_protocol_subscription, el_slice_of(many, sizeof many),
                                            &arena, &subscription) < 0);
    el_arena_reset(&arena);
}

TEST(consumer_protocol, a_subscription_has_the_bytes_of_kafkas_layout)
{
    struct el_slice topics[] = {el_slice_str("a"), el_slice_str("bc")};
    int32_t partitions[] = {2, 0};
    struct el_msg_consumer_protocol_partitions owned = {el_slice_str("bc"), partitions, 2};
    struct el_msg_consumer_protocol_subscription subscription;
    struct el_arena arena;
    struct el_slice bytes;
    el_arena_init(&arena, NULL, 0);
    el_schema_init(&el_schema_consumer_protocol_subscription, &subscription);
    subscription.topics = topics;
    subscription.topic_count = 2;
    subscription.user_data = el_slice_of("\x01", 1);
    subscription.owned = &owned;
    subscription.owned_count = 1;
    subscription.generation_id = 7;
    assert_int_equal(
        el_consumer_protocol_encode(&el_schema_consumer_protocol_subscription, &subscription, &arena, &bytes), 0);
    assert_int_equal(bytes.len, sizeof subscription_3);
    assert_memory_equal(bytes.data, subscription_3, bytes.len);
    el_arena_reset(&arena);
}

TEST(consumer_protocol, older_and_newer_versions_are_read)
{
    struct el_msg_consumer_protocol_subscription subscription;
    struct el_arena arena;
    uint8_t bytes[sizeof subscription_3 + 4];
    el_arena_init(&arena, NULL, 0);
    memcpy(bytes, subscription_3, sizeof subscription_3);
    memset(bytes + sizeof subscription_3, 0x55, 4);
    const size_t lens[] = {18, 38, 42, sizeof subscription_3, sizeof bytes};
    for (int version = 0; version <= 4; version++) {
        bytes[1] = (uint8_t)version;
        assert_int_equal(el_consumer_protocol_decode(&el_schema_consumer_protocol_subscription,
                                                     el_slice_of(bytes, lens[version]), &arena, &subscription),
                         0);
        assert_int_equal(subscription.topic_count, 2);
        assert_true(el_slice_eq(subscription.topics[1], el_slice_str("bc")));
        assert_int_equal(subscription.user_data.len, 1);
        assert_int_equal(subscription.owned_count, version >= 1);
        assert_int_equal(subscription.generation_id, version >= 2 ? 7 : -1);
        assert_null(subscription.rack_id.data);
    }
    assert_int_equal(subscription.owned[0].partition_count, 2);
    assert_int_equal(subscription.owned[0].partitions[0], 2);
    el_arena_reset(&arena);
}

TEST(consumer_protocol, an_assignment_is_read_and_written)
{
    struct el_msg_consumer_protocol_assignment assignment;
    struct el_arena arena;
    struct el_slice bytes;
    el_arena_init(&arena, NULL, 0);
    assert_int_equal(el_consumer_protocol_decode(&el_schema_consumer_protocol_assignment,
                                                 el_slice_of(assignment_3, sizeof assignment_3), &arena, &assignment),
                     0);
    assert_int_equal(assignment.assigned_count, 1);
    assert_int_equal(assignment.assigned[0].partitions[0], 5);
    assert_int_equal(el_consumer_protocol_encode(&el_schema_consumer_protocol_assignment, &assignment, &arena, &bytes),
                     0);
    assert_int_equal(bytes.len, sizeof assignment_3);
    assert_memory_equal(bytes.data, assignment_3, bytes.len);
    /* Nothing assigned may also be no bytes at all. */
    assert_int_equal(
        el_consumer_protocol_decode(&el_schema_consumer_protocol_assignment, el_slice_of(NULL, 0), &arena, &assignment),
        0);
    assert_int_equal(assignment.assigned_count, 0);
    el_arena_reset(&arena);
}
