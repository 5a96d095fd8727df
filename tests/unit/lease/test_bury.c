/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a dead letter that was under way when the machine stopped is appended once, and gives its place back, whatever
 * has become of its event. Method: the desk, whose topics take whatever number a batch has: a letter that is appended
 * again is there twice.
 */
#include "part_kit.h"

#define LETTERS "source.g.dlq"
#define BEFORE 1030 /* more than are read ahead of what is leased */

/* Everything that is written becomes durable one by one, until the topic of letters has so many. */
static void until_letters(uint32_t count)
{
    for (int i = 0; i < 20 && part_durable(LETTERS) < count; i++) {
        fake_store_durable(&desk->store);
    }
    assert_int_equal(part_durable(LETTERS), count);
}

static void lease_all(uint32_t count)
{
    static struct lease_fetch_op op;
    for (uint32_t leased = 0, tries = 0; leased < count; tries++) {
        assert_true(tries < 20);
        op = part_fetch_of(7, count);
        part_fetch(&op);
        assert_false(part_waits);
        for (uint32_t i = 0; i < op.range_count; i++) {
            leased += (uint32_t)(op.ranges[i].last - op.ranges[i].first + 1);
        }
        lease_op_release(&op.base);
        fake_store_ms(&desk->store, 100);
    }
}

/* The letter is in its topic, and its event far behind what is read ahead: the table does not tell it for long. */
TEST(lease_bury, a_letter_that_is_in_its_topic_is_not_appended_after_a_second_restart)
{
    static struct part_event events[BEFORE];
    part_begin("start=earliest max.inflight=2000");
    for (uint32_t i = 0; i < BEFORE; i++) {
        events[i] = (struct part_event){NULL, "v"};
    }
    part_append_batch(events, BEFORE, EL_CODEC_NONE);
    part_append("a");
    lease_all(BEFORE + 1);
    assert_int_equal(desk_set("g", "start=earliest max.inflight=10"), 0);
    fake_store_ms(&desk->store, 500);
    desk->store.defer = true;
    part_settle_begin(7, BEFORE, LEASE_REJECT);
    until_letters(1);
    desk_restart(desk); /* before the end of the event was stored */
    assert_int_equal(part_lease(7), 0);
    fake_store_ms(&desk->store, 500);
    assert_int_equal(part_durable(LETTERS), 2); /* for a real partition it was the same one */
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), 0);
    desk_restart(desk);
    assert_int_equal(part_lease(7), 1);
    fake_store_ms(&desk->store, 5000);
    assert_int_equal(part_durable(LETTERS), 2);
    part_end();
}

TEST(lease_bury, letters_whose_events_are_gone_after_a_restart_give_their_places_back)
{
    part_begin("start=earliest");
    fake_topic(&desk->store, LETTERS, 2);
    desk->store.held = store_topic_by_name(&desk->store.shards[0], el_slice_str(LETTERS));
    for (int64_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        part_append(NULL);
        assert_int_equal(part_lease(7), i);
        assert_int_equal(part_settle(7, i, LEASE_REJECT), 0);
    }
    fake_store_ms(&desk->store, 500);
    desk->store.trimmed = part_source;
    desk->store.log_start = LEASE_INTENTS_MAX;
    desk_restart(desk);
    part_append(NULL);
    fake_store_ms(&desk->store, 500);
    assert_int_equal(part_lease(7), LEASE_INTENTS_MAX);
    assert_int_equal(part_settle(7, LEASE_INTENTS_MAX, LEASE_REJECT), 0);
    fake_store_ms(&desk->store, 5000);
    assert_int_equal(part_durable(LETTERS), 1);
    desk->store.trimmed = NULL;
    part_end();
}

TEST(lease_bury, a_letter_whose_topic_is_deleted_under_way_goes_to_the_next_one)
{
    part_begin("start=earliest");
    fake_topic(&desk->store, LETTERS, 2);
    part_append("a");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    fake_store_ms(&desk->store, 100);
    desk->store.held = store_topic_by_name(&desk->store.shards[0], el_slice_str(LETTERS));
    assert_int_equal(part_settle(7, 0, LEASE_REJECT), 0);
    fake_store_ms(&desk->store, 500);
    assert_int_equal(part_lease(7), -1); /* its key waits */
    fake_topic_delete(&desk->store, LETTERS);
    desk->store.held = NULL;
    desk->store.append_error = EVLOG_ERR_UNKNOWN_TOPIC_ID; /* what appends to it end with */
    fake_store_durable(&desk->store);
    desk->store.append_error = 0;
    fake_store_ms(&desk->store, 5000);
    assert_int_equal(part_durable(LETTERS), 1);
    assert_int_equal(part_lease(7), 1);
    part_end();
}
