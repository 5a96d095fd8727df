/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a new group finds nothing of an earlier one with its id, whenever the end of that was cut short. Method: the
 * desk, where the machine stops when the end is durable on shard 0 and nowhere else; the part's shard is the other one
 * or reads its records late.
 */
#include "part_kit.h"

/* Event 0 is done, the group deleted; nothing but that is durable when the machine stops. */
static void cut_end(void)
{
    static struct lease_delete_op op;
    part_begin("start=earliest");
    part_source->shard_of[0] = 1; /* settings are on shard 0 */
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), 0);
    fake_store_ms(&desk->store, 500);
    desk->store.defer = true;
    op = (struct lease_delete_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer}};
    leases_delete(desk->leases[1], &op);
    fake_store_run(&desk->store);
    fake_store_durable(&desk->store);
}

static void read_late(void)
{
    desk->store.unread = store_topic_by_name(&desk->store.shards[0], el_slice_str(LEASES_TOPIC));
    desk->store.unread_partition = desk->leases[1]->partition;
}

/* The new group begins anew. */
static void expect_anew(void)
{
    int64_t offset = -1;
    for (int i = 0; i < 20 && offset != 0; i++) {
        fake_store_ms(&desk->store, 200);
        offset = part_lease(7);
    }
    assert_int_equal(offset, 0);
}

TEST(lease_end, cut_short_leaves_nothing_to_the_next_group)
{
    cut_end();
    desk_restart(desk);
    assert_int_equal(desk_set("g", "start=earliest"), 0);
    expect_anew();
    part_end();
}

TEST(lease_end, cut_short_leaves_nothing_to_a_group_that_is_made_while_records_are_read)
{
    cut_end();
    read_late();
    desk_restart(desk);
    assert_int_equal(desk_set("g", "start=earliest"), EVLOG_ERR_GROUP_LOADING);
    desk->store.unread = NULL;
    fake_store_ms(&desk->store, 3000);
    assert_int_equal(desk_set("g", "start=earliest"), 0);
    desk_restart(desk); /* what was left is gone for good */
    expect_anew();
    part_end();
}
