/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: connections are counted by address and by principal over all shards, a limit holds, and nothing is left of who
 * has gone; strangers with many names neither break the count of others nor make the table grow. Method: refusals,
 * a table that is filled, and threads that come and go.
 */
#include <net/census.h>

#include "../../lib/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct census *census_make(void)
{
    struct census *census = aligned_alloc(64, sizeof *census);
    assert_non_null(census);
    memset(census, 0, sizeof *census);
    memset(census->secret, 7, sizeof census->secret);
    return census;
}

static void assert_empty(struct census *census)
{
    for (uint32_t row = 0; row < CENSUS_ROW_COUNT; row++) {
        for (uint32_t i = 0; i < CENSUS_ROW_LEN; i++) {
            assert_true(atomic_load(&census->rows[row][i]) == 0);
        }
    }
    free(census);
}

static uint64_t id_of(const struct census *census, enum census_kind kind, const char *name)
{
    return census_id(census, kind, el_slice_str(name));
}

TEST(census, who_is_over_the_limit_is_refused_and_owes_nothing)
{
    struct census *census = census_make();
    uint64_t id = id_of(census, CENSUS_ADDRESS, "10.0.0.1");
    bool seated = true;
    assert_false(census_enter(census, id, 0, &seated));
    assert_false(seated);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(census_count(census, id), i);
        assert_true(census_enter(census, id, 3, &seated));
        assert_true(seated);
    }
    assert_false(census_enter(census, id, 3, &seated));
    assert_false(seated);
    assert_int_equal(census_count(census, id), 3);
    census_leave(census, id);
    assert_true(census_enter(census, id, 3, &seated)); /* there is room again */
    for (uint32_t i = 0; i < 3; i++) {
        census_leave(census, id);
    }
    assert_empty(census);
}

TEST(census, an_address_and_a_principal_of_one_name_are_two)
{
    struct census *census = census_make();
    uint64_t address = id_of(census, CENSUS_ADDRESS, "x"), principal = id_of(census, CENSUS_PRINCIPAL, "x");
    bool seated;
    assert_true(address != principal);
    assert_true(census_enter(census, address, 1, &seated));
    assert_true(census_enter(census, principal, 1, &seated));
    census_leave(census, address);
    assert_int_equal(census_count(census, principal), 1);
    census_leave(census, principal);
    assert_empty(census);
}

#define CROWD (2 * CENSUS_ROW_COUNT * CENSUS_ROW_LEN)

TEST(census, a_crowd_that_fills_the_table_leaves_nothing_and_takes_nobodys_seat)
{
    static bool seated[CROWD];
    struct census *census = census_make();
    uint64_t own = id_of(census, CENSUS_PRINCIPAL, "User:own");
    bool own_seated;
    uint32_t left_out = 0;
    char name[32];
    assert_true(census_enter(census, own, 2, &own_seated));
    assert_true(own_seated);
    for (uint32_t i = 0; i < CROWD; i++) {
        (void)snprintf(name, sizeof name, "stranger %u", i);
        assert_true(census_enter(census, id_of(census, CENSUS_ADDRESS, name), 1, &seated[i]));
        left_out += !seated[i];
        assert_true(seated[i] || i > CROWD / 4); /* half the table has room for all */
    }
    assert_true(left_out >= CROWD / 2);
    assert_true(census_enter(census, own, 2, &own_seated)); /* its own seat is still there */
    assert_true(own_seated);
    assert_false(census_enter(census, own, 2, &own_seated));
    for (uint32_t i = 0; i < CROWD; i++) {
        (void)snprintf(name, sizeof name, "stranger %u", i);
        if (seated[i]) {
            census_leave(census, id_of(census, CENSUS_ADDRESS, name));
        }
    }
    census_leave(census, own);
    census_leave(census, own);
    assert_empty(census);
}

#define THREADS 4
#define ROUNDS 20000
#define LIMIT 2

/* Asserts nothing: it is no test's thread. returns how often it was over what can be */
static void *come_and_go(void *arg)
{
    struct census *census = arg;
    uint64_t ids[2] = {id_of(census, CENSUS_ADDRESS, "a"), id_of(census, CENSUS_PRINCIPAL, "b")};
    uintptr_t over = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint64_t id = ids[i % 2];
        bool seated;
        if (census_enter(census, id, LIMIT, &seated) && seated) {
            over += census_count(census, id) > LIMIT + THREADS; /* each may take the last place at the same moment */
            census_leave(census, id);
        }
    }
    return (void *)over;
}

TEST(census, threads_that_come_and_go_keep_the_limit_and_leave_nothing)
{
    struct census *census = census_make();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, census), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *over;
        assert_int_equal(pthread_join(threads[i], &over), 0);
        assert_null(over);
    }
    assert_empty(census);
}
