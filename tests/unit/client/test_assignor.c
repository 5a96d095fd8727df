/* SPDX-License-Identifier: Apache-2.0
 *
 * The strategies of a group's leader. Goal: no partition goes to somebody who does not subscribe, none is given away
 * while it is held, the outcome is as balanced as subscriptions allow and moves as little as that takes. Method:
 * examples whose outcome other clients' documentation fixes, then drawn groups that are joined, left and divided again
 * until they rest, with the laws checked after each round.
 */
#include "../../../client/assignor.h"
#include "../../lib/test.h"

#include <core/rng.h>
#include <evlog/error.h>
#include <stdio.h>
#include <string.h>

#define MEMBERS 12
#define TOPICS 6
#define PARTITIONS 20

/* A group that the test moves from round to round. */
struct group {
    struct el_assign_topic topics[TOPICS];
    uint32_t topic_count;
    struct el_assign_member members[MEMBERS];
    uint32_t member_count;
    char names[TOPICS][8];
    char ids[MEMBERS][16];
    struct el_slice subscriptions[MEMBERS][TOPICS];
    struct el_assign_held held[MEMBERS][TOPICS];
    int32_t held_partitions[MEMBERS][TOPICS][PARTITIONS];
    int32_t *owners; /* of the last round, in arena */
    struct el_arena arena;
};

static void add_topic(struct group *g, int32_t partition_count)
{
    uint32_t t = g->topic_count++;
    (void)snprintf(g->names[t], sizeof g->names[t], "t%u", t);
    g->topics[t].name = el_slice_str(g->names[t]);
    g->topics[t].partition_count = partition_count;
}

static uint32_t add_member(struct group *g, const char *id, uint32_t topic_mask)
{
    uint32_t m = g->member_count++;
    struct el_assign_member *member = &g->members[m];
    memset(member, 0, sizeof *member);
    (void)snprintf(g->ids[m], sizeof g->ids[m], "%s", id);
    member->id = el_slice_str(g->ids[m]);
    member->generation = -1;
    member->topics = g->subscriptions[m];
    member->held = g->held[m];
    for (uint32_t t = 0; t < TOPICS; t++) {
        if ((topic_mask >> t & 1) != 0) {
            static const char *const names[TOPICS] = {"t0", "t1", "t2", "t3", "t4", "t5"};
            g->subscriptions[m][member->topic_count++] = el_slice_str(names[t]);
        }
    }
    return m;
}

static void hold(struct group *g, uint32_t member, uint32_t topic, int32_t partition)
{
    struct el_assign_held *held = &g->held[member][topic];
    held->topic = el_slice_str(topic == 0   ? "t0"
                               : topic == 1 ? "t1"
                               : topic == 2 ? "t2"
                               : topic == 3 ? "t3"
                               : topic == 4 ? "t4"
                                            : "t5");
    held->partitions = g->held_partitions[member][topic];
    g->held_partitions[member][topic][held->partition_count++] = partition;
    g->members[member].held_count = TOPICS;
}

static void divide(struct group *g, enum el_assignor assignor)
{
    struct el_assign_input input = {g->members, g->member_count, g->topics, g->topic_count};
    el_arena_reset(&g->arena);
    assert_int_equal(el_assign(assignor, &input, &g->arena, &g->owners), 0);
}

static int32_t owner(const struct group *g, uint32_t topic, int32_t partition)
{
    return g->owners[g->topics[topic].first + (uint32_t)partition];
}

static bool subscribes(const struct group *g, uint32_t member, uint32_t topic)
{
    for (uint32_t i = 0; i < g->members[member].topic_count; i++) {
        if (el_slice_eq(g->members[member].topics[i], g->topics[topic].name)) {
            return true;
        }
    }
    return false;
}

static bool holds(const struct group *g, uint32_t member, uint32_t topic, int32_t partition)
{
    const struct el_assign_held *held = &g->held[member][topic];
    for (uint32_t i = 0; i < held->partition_count; i++) {
        if (held->partitions[i] == partition) {
            return true;
        }
    }
    return false;
}

/* --- examples ---------------------------------------------------------------------------------------------------- */

TEST(assignor, too_many_partitions_are_refused)
{
    struct el_assign_topic topic = {.name = el_slice_str("t"), .partition_count = EL_ASSIGN_PARTITION_MAX + 1};
    struct el_assign_input input = {.topics = &topic, .topic_count = 1};
    struct el_arena arena;
    int32_t *owners;
    el_arena_init(&arena, NULL, 0);
    for (int i = 0; i < EL_ASSIGNOR_COUNT; i++) {
        assert_int_equal(el_assign((enum el_assignor)i, &input, &arena, &owners), EVLOG_ERR_LIMIT);
    }
    el_arena_reset(&arena);
}

TEST(assignor, names_are_kafkas)
{
    assert_int_equal(el_assignor_by_name(el_slice_str("range")), EL_ASSIGNOR_RANGE);
    assert_int_equal(el_assignor_by_name(el_slice_str("roundrobin")), EL_ASSIGNOR_ROUNDROBIN);
    assert_int_equal(el_assignor_by_name(el_slice_str("cooperative-sticky")), EL_ASSIGNOR_COOPERATIVE_STICKY);
    assert_int_equal(el_assignor_by_name(el_slice_str("sticky")), -1);
    assert_true(el_assignor_cooperative(EL_ASSIGNOR_COOPERATIVE_STICKY));
    assert_false(el_assignor_cooperative(EL_ASSIGNOR_RANGE));
}

TEST(assignor, nobody_gets_nothing)
{
    static struct group g;
    memset(&g, 0, sizeof g);
    add_topic(&g, 3);
    for (int i = 0; i < EL_ASSIGNOR_COUNT; i++) {
        divide(&g, (enum el_assignor)i);
        assert_int_equal(owner(&g, 0, 0), -1);
        assert_int_equal(owner(&g, 0, 2), -1);
    }
    el_arena_reset(&g.arena);
}

/* The example of Kafka's documentation: two topics of three partitions, two members. */
TEST(assignor, range_gives_neighbours_and_the_first_one_more)
{
    static struct group g;
    memset(&g, 0, sizeof g);
    add_topic(&g, 3);
    add_topic(&g, 3);
    add_member(&g, "b", 3);
    add_member(&g, "a", 3);
    divide(&g, EL_ASSIGNOR_RANGE);
    const int32_t expected[] = {1, 1, 0};
    for (int32_t p = 0; p < 3; p++) {
        assert_int_equal(owner(&g, 0, p), expected[p]);
        assert_int_equal(owner(&g, 1, p), expected[p]);
    }
    el_arena_reset(&g.arena);
}

TEST(assignor, roundrobin_deals_all_topics_in_one_round)
{
    static struct group g;
    memset(&g, 0, sizeof g);
    add_topic(&g, 3);
    add_topic(&g, 3);
    add_member(&g, "a", 3);
    add_member(&g, "b", 3);
    divide(&g, EL_ASSIGNOR_ROUNDROBIN);
    const int32_t first[] = {0, 1, 0}, second[] = {1, 0, 1};
    for (int32_t p = 0; p < 3; p++) {
        assert_int_equal(owner(&g, 0, p), first[p]);
        assert_int_equal(owner(&g, 1, p), second[p]);
    }
    el_arena_reset(&g.arena);
}

/* The other example of that documentation: three members that subscribe to one, two and three topics of one, two and
 * three partitions. */
TEST(assignor, roundrobin_passes_over_those_who_do_not_subscribe)
{
    static struct group g;
    memset(&g, 0, sizeof g);
    add_topic(&g, 1);
    add_topic(&g, 2);
    add_topic(&g, 3);
    add_member(&g, "c0", 1);
    add_member(&g, "c1", 3);
    add_member(&g, "c2", 7);
    divide(&g, EL_ASSIGNOR_ROUNDROBIN);
    assert_int_equal(owner(&g, 0, 0), 0);
    assert_int_equal(owner(&g, 1, 0), 1);
    assert_int_equal(owner(&g, 1, 1), 2);
    for (int32_t p = 0; p < 3; p++) {
        assert_int_equal(owner(&g, 2, p), 2);
    }
    el_arena_reset(&g.arena);
}

TEST(assignor, static_members_come_first_by_instance)
{
    static struct group g;
    memset(&g, 0, sizeof g);
    add_topic(&g, 3);
    add_member(&g, "a", 1);
    g.members[add_member(&g, "z1", 1)].instance_id = el_slice_str("2");
    g.members[add_member(&g, "z2", 1)].instance_id = el_slice_str("1");
    divide(&g, EL_ASSIGNOR_RANGE);
    assert_int_equal(owner(&g, 0, 0), 2);
    assert_int_equal(owner(&g, 0, 1), 1);
    assert_int_equal(owner(&g, 0, 2), 0);
    el_arena_reset(&g.arena);
}

TEST(assignor, sticky_withholds_what_moves_until_it_is_let_go)
{
    static struct group g;
    memset(&g, 0, sizeof g);
    add_topic(&g, 4);
    uint32_t old = add_member(&g, "old", 1), fresh = add_member(&g, "new", 1);
    for (int32_t p = 0; p < 4; p++) {
        hold(&g, old, 0, p);
    }
    g.members[old].generation = 3;
    divide(&g, EL_ASSIGNOR_COOPERATIVE_STICKY);
    uint32_t kept = 0;
    for (int32_t p = 0; p < 4; p++) {
        assert_true(owner(&g, 0, p) != (int32_t)fresh);
        kept += owner(&g, 0, p) == (int32_t)old;
    }
    assert_int_equal(kept, 2);
    el_arena_reset(&g.arena);
}

TEST(assignor, sticky_believes_the_later_generation)
{
    static struct group g;
    memset(&g, 0, sizeof g);
    add_topic(&g, 1);
    uint32_t stale = add_member(&g, "a", 1), holder = add_member(&g, "b", 1);
    hold(&g, stale, 0, 0);
    hold(&g, holder, 0, 0);
    g.members[stale].generation = 4;
    g.members[holder].generation = 5;
    divide(&g, EL_ASSIGNOR_COOPERATIVE_STICKY);
    assert_int_equal(owner(&g, 0, 0), (int32_t)holder);
    g.members[stale].generation = 5; /* one of them must be wrong: both let go */
    divide(&g, EL_ASSIGNOR_COOPERATIVE_STICKY);
    assert_int_equal(owner(&g, 0, 0), -1);
    el_arena_reset(&g.arena);
}

TEST(assignor, sticky_ignores_claims_to_what_is_not_there)
{
    static struct group g;
    memset(&g, 0, sizeof g);
    add_topic(&g, 1);
    uint32_t liar = add_member(&g, "a", 1);
    hold(&g, liar, 0, -1);
    hold(&g, liar, 0, 1);
    hold(&g, liar, 0, INT32_MAX);
    hold(&g, liar, 3, 0);
    divide(&g, EL_ASSIGNOR_COOPERATIVE_STICKY);
    assert_int_equal(owner(&g, 0, 0), (int32_t)liar);
    el_arena_reset(&g.arena);
}

/* --- laws -------------------------------------------------------------------------------------------------------- */

static void count_owned(const struct group *g, uint32_t *counts)
{
    memset(counts, 0, MEMBERS * sizeof *counts);
    for (uint32_t t = 0; t < g->topic_count; t++) {
        for (int32_t p = 0; p < g->topics[t].partition_count; p++) {
            if (owner(g, t, p) >= 0) {
                counts[owner(g, t, p)]++;
            }
        }
    }
}

/* No partition to a stranger; none left out that somebody subscribes to and nobody holds. */
static void check_owners(const struct group *g, bool cooperative)
{
    for (uint32_t t = 0; t < g->topic_count; t++) {
        for (int32_t p = 0; p < g->topics[t].partition_count; p++) {
            int32_t its = owner(g, t, p);
            bool wanted = false, held = false;
            for (uint32_t m = 0; m < g->member_count; m++) {
                wanted = wanted || subscribes(g, m, t);
                held = held || holds(g, m, t, p);
                assert_false(cooperative && its >= 0 && its != (int32_t)m && holds(g, m, t, p));
            }
            assert_true(its < 0 || subscribes(g, (uint32_t)its, t));
            assert_true(its >= 0 || !wanted || (cooperative && held));
        }
    }
}

/* No member has two more than another that could take one of its partitions. */
static void check_balance(const struct group *g)
{
    uint32_t counts[MEMBERS];
    count_owned(g, counts);
    for (uint32_t t = 0; t < g->topic_count; t++) {
        for (int32_t p = 0; p < g->topics[t].partition_count; p++) {
            int32_t its = owner(g, t, p);
            for (uint32_t m = 0; its >= 0 && m < g->member_count; m++) {
                assert_false(subscribes(g, m, t) && counts[its] >= counts[m] + 2);
            }
        }
    }
}

/* Members take what they were given. returns partitions that somebody had to let go */
static uint32_t adopt(struct group *g, int32_t generation)
{
    uint32_t let_go = 0;
    for (uint32_t m = 0; m < g->member_count; m++) {
        for (uint32_t t = 0; t < g->topic_count; t++) {
            for (int32_t p = 0; p < g->topics[t].partition_count; p++) {
                let_go += holds(g, m, t, p) && owner(g, t, p) != (int32_t)m;
            }
        }
        memset(g->held[m], 0, sizeof g->held[m]);
        g->members[m].held_count = 0;
        g->members[m].generation = generation;
    }
    for (uint32_t t = 0; t < g->topic_count; t++) {
        for (int32_t p = 0; p < g->topics[t].partition_count; p++) {
            if (owner(g, t, p) >= 0) {
                hold(g, (uint32_t)owner(g, t, p), t, p);
            }
        }
    }
    return let_go;
}

/* Divide until nobody has to let go. returns partitions let go in all */
static uint32_t settle(struct group *g, int32_t *generation)
{
    uint32_t moved = 0;
    for (int round = 0;; round++) {
        assert_true(round < 4);
        divide(g, EL_ASSIGNOR_COOPERATIVE_STICKY);
        check_owners(g, true);
        uint32_t let_go = adopt(g, ++*generation);
        moved += let_go;
        if (let_go == 0 && round > 0) {
            check_balance(g);
            return moved;
        }
    }
}

static void remove_member(struct group *g, uint32_t m)
{
    uint32_t last = --g->member_count;
    memcpy(g->ids[m], g->ids[last], sizeof g->ids[m]);
    memcpy(g->subscriptions[m], g->subscriptions[last], sizeof g->subscriptions[m]);
    memcpy(g->held_partitions[m], g->held_partitions[last], sizeof g->held_partitions[m]);
    g->members[m] = g->members[last];
    g->members[m].id = el_slice_str(g->ids[m]);
    g->members[m].topics = g->subscriptions[m];
    g->members[m].held = g->held[m];
    for (uint32_t t = 0; t < TOPICS; t++) {
        g->held[m][t] = g->held[last][t];
        g->held[m][t].partitions = g->held_partitions[m][t];
        memset(&g->held[last][t], 0, sizeof g->held[last][t]);
    }
}

TEST(assignor, drawn_groups_keep_the_laws)
{
    static struct group g;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct el_rng rng;
        el_rng_seed(&rng, seed);
        el_arena_reset(&g.arena);
        memset(&g, 0, sizeof g);
        uint32_t topics = 1 + (uint32_t)el_rng_below(&rng, TOPICS);
        for (uint32_t t = 0; t < topics; t++) {
            add_topic(&g, (int32_t)el_rng_below(&rng, PARTITIONS + 1));
        }
        int32_t generation = 0;
        uint32_t number = 0;
        for (int step = 0; step < 12; step++) {
            if (g.member_count < MEMBERS && (g.member_count == 0 || el_rng_below(&rng, 3) > 0)) {
                char id[16];
                (void)snprintf(id, sizeof id, "m%u", number++);
                add_member(&g, id, (uint32_t)el_rng_below(&rng, 1u << topics));
            } else {
                remove_member(&g, (uint32_t)el_rng_below(&rng, g.member_count));
            }
            (void)settle(&g, &generation);
            divide(&g, EL_ASSIGNOR_RANGE);
            check_owners(&g, false);
            divide(&g, EL_ASSIGNOR_ROUNDROBIN);
            check_owners(&g, false);
        }
    }
    el_arena_reset(&g.arena);
}

/* All subscribe to all: one who comes takes a fair share and nothing else moves; one who goes moves nothing. */
TEST(assignor, equal_members_move_only_what_balance_takes)
{
    static struct group g;
    memset(&g, 0, sizeof g);
    for (int t = 0; t < 5; t++) {
        add_topic(&g, 12);
    }
    int32_t generation = 0;
    for (uint32_t count = 1; count <= 10; count++) {
        char id[16];
        (void)snprintf(id, sizeof id, "m%u", count);
        add_member(&g, id, 0x1f);
        uint32_t moved = settle(&g, &generation);
        assert_int_equal(moved, count == 1 ? 0 : 60 / count);
    }
    while (g.member_count > 1) {
        remove_member(&g, g.member_count / 2);
        assert_int_equal(settle(&g, &generation), 0);
    }
    el_arena_reset(&g.arena);
}

TEST(assignor, the_order_of_members_changes_nothing)
{
    static struct group g, h;
    for (int i = 0; i < EL_ASSIGNOR_COUNT; i++) {
        memset(&g, 0, sizeof g);
        memset(&h, 0, sizeof h);
        add_topic(&g, 7);
        add_topic(&g, 5);
        add_topic(&h, 7);
        add_topic(&h, 5);
        const char *ids[] = {"a", "b", "c", "d"};
        for (uint32_t m = 0; m < 4; m++) {
            add_member(&g, ids[m], m == 3 ? 1 : 3);
            add_member(&h, ids[3 - m], m == 0 ? 1 : 3);
        }
        divide(&g, (enum el_assignor)i);
        divide(&h, (enum el_assignor)i);
        for (uint32_t t = 0; t < 2; t++) {
            for (int32_t p = 0; p < g.topics[t].partition_count; p++) {
                assert_int_equal(owner(&g, t, p), 3 - owner(&h, t, p));
            }
        }
        el_arena_reset(&g.arena);
        el_arena_reset(&h.arena);
    }
}

TEST_TORTURE(assignor, running_out_of_memory_is_told)
{
    static struct group g;
    memset(&g, 0, sizeof g);
    add_topic(&g, 20);
    add_member(&g, "a", 1);
    struct el_assign_input input = {g.members, g.member_count, g.topics, g.topic_count};
    int rc = el_assign(EL_ASSIGNOR_COOPERATIVE_STICKY, &input, &g.arena, &g.owners);
    assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
    el_arena_reset(&g.arena);
}
