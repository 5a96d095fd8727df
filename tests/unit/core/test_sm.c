/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: only moves of the table happen, and the invariant sees each.
 */
#include "../../lib/test.h"

#include <core/assert.h>
#include <core/sm.h>

enum door_state { DOOR_OPEN, DOOR_SHUT, DOOR_LOCKED, DOOR_STATE_COUNT };

struct door {
    struct el_sm sm;
    int key_count;
    int check_count;
};

static void door_check(const void *object, unsigned state)
{
    const struct door *door = object;
    ((struct door *)(uintptr_t)object)->check_count++;
    if (state == DOOR_LOCKED) {
        EL_ASSERT(door->key_count > 0);
    }
}

static const struct el_sm_state door_states[DOOR_STATE_COUNT] = {
    [DOOR_OPEN] = {"open", EL_SM_TO(DOOR_SHUT)},
    [DOOR_SHUT] = {"shut", EL_SM_TO(DOOR_OPEN) | EL_SM_TO(DOOR_LOCKED)},
    [DOOR_LOCKED] = {"locked", EL_SM_TO(DOOR_SHUT)},
};
static const struct el_sm_table door_sm = {"door", door_states, DOOR_STATE_COUNT, door_check};

static void lock(void *arg)
{
    struct door *door = arg;
    el_sm_move(&door->sm, door, DOOR_LOCKED);
}
static void stay(void *arg)
{
    struct door *door = arg;
    el_sm_move(&door->sm, door, door->sm.state);
}
static void leave_the_table(void *arg)
{
    struct door *door = arg;
    el_sm_move(&door->sm, door, DOOR_STATE_COUNT);
}

TEST(sm, allowed_moves_happen)
{
    struct door door = {.key_count = 1};
    el_sm_init(&door.sm, &door_sm, DOOR_OPEN);
    assert_string_equal(el_sm_name(&door.sm), "open");
    assert_true(el_sm_may(&door.sm, DOOR_SHUT));
    assert_false(el_sm_may(&door.sm, DOOR_LOCKED));
    el_sm_move(&door.sm, &door, DOOR_SHUT);
    el_sm_move(&door.sm, &door, DOOR_LOCKED);
    assert_int_equal(door.sm.state, DOOR_LOCKED);
    assert_string_equal(el_sm_name(&door.sm), "locked");
    assert_int_equal(door.check_count, 2);
}

TEST(sm, other_moves_stop_the_program)
{
    struct door door = {.key_count = 1};
    el_sm_init(&door.sm, &door_sm, DOOR_OPEN);
    assert_true(el_test_aborts(lock, &door));
    assert_true(el_test_aborts(stay, &door));
    assert_true(el_test_aborts(leave_the_table, &door));
}

TEST(sm, broken_invariant_stops_the_program)
{
    struct door door = {.key_count = 0};
    el_sm_init(&door.sm, &door_sm, DOOR_SHUT);
    assert_true(el_test_aborts(lock, &door));
}

static void init_bad_table(void *arg)
{
    static const struct el_sm_state states[] = {{"only", EL_SM_TO(1)}};
    static const struct el_sm_table table = {"bad", states, 1, NULL};
    el_sm_init(arg, &table, 0);
}

TEST(sm, move_out_of_the_table_is_found_at_init)
{
    struct el_sm sm;
    assert_true(el_test_aborts(init_bad_table, &sm));
}
