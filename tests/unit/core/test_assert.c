/* SPDX-License-Identifier: Apache-2.0 */
#include "../../lib/test.h"

#include <core/assert.h>

#define THING_MAGIC OBJ_MAGIC('T', 'H', 'N', 'G')

struct thing {
    uint32_t magic;
};

static int evaluated;

static void fail_plain(void *arg)
{
    EL_ASSERT(*(int *)arg == 1);
}
static void check_object(void *arg)
{
    struct thing *thing = arg;
    OBJ_CHECK(thing, THING);
}

TEST(assert, false_condition_aborts_and_true_does_not)
{
    int value = 0;
    assert_true(el_test_aborts(fail_plain, &value));
    value = 1;
    assert_false(el_test_aborts(fail_plain, &value));
    EL_ASSERT(++evaluated == 1);
    assert_int_equal(evaluated, 1);
}

TEST(assert, object_without_its_magic_aborts)
{
    struct thing thing = {THING_MAGIC};
    assert_int_equal(THING_MAGIC, 0x54484e47u);
    check_object(&thing);
    thing.magic = 0;
    assert_true(el_test_aborts(check_object, &thing));
    assert_true(el_test_aborts(check_object, NULL));
}
