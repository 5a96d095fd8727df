/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a change of users and rules that was answered holds on every shard, and after every crash; one that was not is
 * there whole or not at all. Method: a node of one to three shards on the simulated machine, several lives for each
 * seed, power cuts at random calls of the disk, and a model that knows what was answered.
 */
#include "node.h"

#define SEEDS 200u
#define LIVES 6u
#define CHANGES 12u
#define CALLS_MAX 60u /* of the disk, before the power is cut */

static void one_life(struct node *n, bool cut)
{
    struct el_error err = {0};
    sim_disk_crash_at(n->w.disk, 0);
    assert_int_equal(world_open(&n->w, &err), 0);
    sim_disk_crash_at(n->w.disk, cut ? 1 + world_below(&n->w, CALLS_MAX) : 0);
    bool on = await_known(n);
    if (on) {
        look_after_start(n);
        on = work(n, CHANGES);
    }
    if (on && world_chance(&n->w, 500000)) {
        on = world_stop(&n->w);
    }
    n->cut_count += !on;
    life_end(n);
}

TEST(access, changes_survive_every_crash_whole_or_not_at_all)
{
    static struct node n;
    uint32_t cut_count = 0, kept_count = 0, lost_count = 0, answered_count = 0;
    el_test_may_leak(true); /* what a machine has in memory when its power is cut is left behind */
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        node_init(&n, seed, 3);
        for (uint32_t life = 0; life < LIVES; life++) {
            one_life(&n, life + 1 < LIVES);
        }
        cut_count += n.cut_count;
        kept_count += n.kept_count;
        lost_count += n.lost_count;
        answered_count += n.answered_count;
        world_free(&n.w);
    }
    el_test_may_leak(false);
    /* All that can happen has happened. */
    assert_true(cut_count > SEEDS && answered_count > SEEDS * CHANGES);
    assert_true(kept_count > SEEDS / 4 && lost_count > SEEDS / 4);
}
