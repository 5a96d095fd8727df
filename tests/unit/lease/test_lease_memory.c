/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: memory stays within its budget, a refused add changes nothing, what is used up comes back, and a million
 * entries cost what is promised. Method: small budgets filled to their end, a million entries added and taken out in
 * an order of their own; trees are checked node by node.
 */
#include "table_kit.h"

#include <core/rng.h>
#include <lease/lease_table_state.h>

#include <stdlib.h>

static struct kit k;

static struct lease_record record_of(int64_t offset, uint64_t key)
{
    return (struct lease_record){.offset = offset, .key_hash = key, .append_ms = k.now.wall_ms};
}

TEST(lease_memory, a_refused_add_changes_nothing_and_works_when_something_has_finished)
{
    struct lease_rules rules = kit_rules();
    rules.inflight_max = 100000;
    kit_open(&k, &rules, 256u << 10);
    int64_t offset = 0;
    struct lease_record record = record_of(0, 1);
    while (lease_add(k.t, &record, k.now) == 0) {
        offset++;
        record = record_of(offset, (uint64_t)offset + 1);
    }
    assert_true(offset > 1500);
    assert_true(lease_memory_used(k.memory) <= 256u << 10);
    uint64_t used = lease_memory_used(k.memory);
    for (int i = 0; i < 100; i++) {
        record = record_of(offset + 70000 * i, 5);
        assert_int_equal(lease_add(k.t, &record, k.now), EVLOG_ERR_NO_MEMORY);
    }
    assert_int_equal(lease_memory_used(k.memory), used);
    assert_int_equal(lease_counts(k.t).total, offset);
    assert_int_equal(lease_read_next(k.t), offset);
    /* All of a chunk must have finished before there is room. */
    for (int64_t i = 0; i < 192; i += 64) {
        kit_take(&k, KIT_SESSION, 64, 64);
    }
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 191, LEASE_ACCEPT), 0);
    kit_write(&k);
    kit_add(&k, offset, 5);
    kit_close(&k);
}

TEST(lease_memory, a_long_queue_leaves_room_for_the_other_partitions)
{
    struct lease_rules rules = kit_rules();
    kit_open(&k, &rules, 512u << 10);
    int64_t offset = 0;
    struct lease_record record = record_of(0, 1);
    while (lease_add(k.t, &record, k.now) == 0) {
        offset++;
        record = record_of(offset, 1);
    }
    struct lease_table *other = NULL;
    assert_int_equal(lease_table_create(k.memory, &rules, 0, &other), 0);
    for (int64_t i = 0; i < 500; i++) {
        record = record_of(i, 1);
        assert_int_equal(lease_add(other, &record, k.now), 0);
    }
    struct lease_why why;
    assert_true(lease_why(other, 1, &why));
    assert_int_equal(why.behind, 499);
    assert_true(lease_why(k.t, 1, &why));
    assert_int_equal(why.behind, offset - 1);
    lease_table_destroy(other);
    kit_close(&k);
}

TEST(lease_memory, a_budget_that_is_lowered_refuses_until_it_is_met)
{
    struct lease_rules rules = kit_rules();
    kit_open(&k, &rules, 1u << 20);
    for (int64_t i = 0; i < 3000; i++) {
        kit_add(&k, i, 0);
    }
    lease_memory_set_max(k.memory, LEASE_MEMORY_MIN);
    int64_t offset = 3000;
    struct lease_record record = record_of(offset, 0);
    while (lease_add(k.t, &record, k.now) == 0) {
        offset++;
        assert_true(offset < 3100);
        record = record_of(offset, 0);
    }
    while (!lease_set_start(k.t, 2900, k.now)) {
    }
    kit_add(&k, offset, 0);
    kit_close(&k);
}

TEST(lease_memory, a_block_that_does_not_fit_is_refused_and_leaves_nothing)
{
    struct lease_rules rules = kit_rules();
    uint8_t *bytes = malloc(LEASE_BLOCK_LEN_MAX);
    kit_open(&k, &rules, 256u << 10);
    size_t len = 0;
    bytes[len++] = 1;
    for (uint32_t i = 0; i < 65535; i++) {
        bytes[len++] = (uint8_t)(i % 2);
    }
    uint8_t finished = 1;
    bytes[len++] = finished;
    assert_int_equal(lease_block_restore(k.t, 0, el_slice_of(bytes, len)), EVLOG_ERR_NO_MEMORY);
    assert_int_equal(lease_memory_used(k.memory), k.memory_empty);
    lease_memory_set_max(k.memory, 16u << 20);
    assert_int_equal(lease_block_restore(k.t, 0, el_slice_of(bytes, len)), 0);
    /* Half of the offsets are finished, each by itself: seven bytes a run. */
    assert_true(lease_memory_used(k.memory) - k.memory_empty < 32768u * 7 + 8192);
    free(bytes);
    kit_close(&k);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

#define KEYS 4000

TEST(lease_memory, keys_that_share_a_bucket_of_the_index_are_told_apart_in_every_table)
{
    struct lease_rules rules = kit_rules();
    struct lease_table *tables[2];
    static struct lease_grant grants[KEYS];
    rules.inflight_max = KEYS;
    kit_open(&k, &rules, 0);
    tables[0] = k.t;
    assert_int_equal(lease_table_create(k.memory, &rules, 0, &tables[1]), 0);
    for (int64_t i = 0; i < 3 * KEYS; i++) {
        struct lease_record record = record_of(i, (uint64_t)i % KEYS + 1);
        assert_int_equal(lease_add(tables[0], &record, k.now), 0);
        assert_int_equal(lease_add(tables[1], &record, k.now), 0);
    }
    /* More keys than buckets, then fewer and fewer; the two tables are never at the same event. */
    for (int64_t round = 0; round < 4; round++) {
        for (int which = 0; which < 2; which++) {
            int64_t at = round - which;
            struct lease_table *t = tables[which];
            uint32_t count = lease_acquire(t, KIT_SESSION, k.now, grants, KEYS);
            assert_int_equal(count, at < 0 || at > 2 ? (at < 0 ? KEYS : 0) : KEYS);
            if (at < 0) {
                lease_release_session(t, KIT_SESSION, k.now);
                continue;
            }
            for (uint32_t i = 0; i < count; i++) {
                struct lease_why why;
                assert_int_equal(grants[i].offset, at * KEYS + i);
                assert_true(lease_why(t, i + 1u, &why));
                assert_int_equal(why.offset, grants[i].offset);
                assert_int_equal(why.behind, 2 - at);
                struct lease_outcome done = {.first = why.offset, .last = why.offset, .kind = LEASE_ACCEPT};
                assert_int_equal(lease_settle(t, KIT_SESSION, &done, 1, k.now), 0);
            }
            k.t = t;
            kit_write(&k);
        }
    }
    assert_int_equal(lease_counts(tables[0]).total, 0);
    assert_int_equal(lease_counts(tables[1]).total, 0);
    assert_int_equal(k.memory->index.count, 0);
    k.t = tables[0];
    lease_table_destroy(tables[1]);
    kit_close(&k);
}

/* --- trees -------------------------------------------------------------------------------------------------------- */

/* Asserts what must hold of the node and its children; returns nodes below it. */
static uint32_t check_node(const struct lease_memory *m, uint32_t id)
{
    uint32_t stack[64], depth = 0, count = 0;
    stack[depth++] = id;
    while (depth > 0) {
        uint32_t at = stack[--depth];
        const struct lease_node *n = lease_node(m, at);
        int height[2] = {0, 0};
        uint32_t below = n->own;
        uint64_t mono = (n->own & LEASE_BITS_MONO) != 0 ? n->due : LEASE_NEVER;
        uint64_t wall = (n->own & LEASE_BITS_WALL) != 0 ? n->due : LEASE_WALL_NEVER;
        for (int side = 0; side < 2; side++) {
            uint32_t child = side == 0 ? n->left : n->right;
            if (child == 0) {
                continue;
            }
            const struct lease_node *c = lease_node(m, child);
            assert_int_equal(c->parent, at);
            assert_true(side == 0 ? c->at < n->at : c->at > n->at);
            height[side] = c->height;
            below |= c->below;
            mono = EL_MIN(mono, c->mono_min);
            wall = EL_MIN(wall, (uint64_t)c->wall_min);
            assert_true(depth < 64);
            stack[depth++] = child;
        }
        assert_true(abs(height[0] - height[1]) <= 1);
        assert_int_equal(n->height, EL_MAX(height[0], height[1]) + 1);
        assert_int_equal(n->below, below);
        assert_true(n->mono_min == mono);
        assert_true(n->wall_min == wall);
        count++;
    }
    return count;
}

TEST(lease_memory, trees_stay_balanced_and_know_what_is_below)
{
    struct lease_rules rules = kit_rules();
    kit_open(&k, &rules, 0);
    struct lease_memory *m = k.memory;
    struct el_rng rng;
    el_rng_seed(&rng, 11);
    uint32_t root = 0, count = 0;
    static uint32_t ids[1000];
    memset(ids, 0, sizeof(ids));
    for (int step = 0; step < 40000; step++) {
        uint64_t at = el_rng_below(&rng, 1000);
        if (ids[at] == 0) {
            ids[at] = lease_node_get(m, true);
            struct lease_node *n = lease_node(m, ids[at]);
            n->at = (int64_t)at;
            n->own = (uint16_t)LEASE_BIT(el_rng_below(&rng, LEASE_STATE_COUNT));
            n->due = el_rng_below(&rng, 50);
            lease_tree_insert(m, &root, ids[at]);
            count++;
        } else if (el_rng_below(&rng, 3) > 0) {
            lease_tree_remove(m, &root, ids[at]);
            lease_node_put(m, ids[at]);
            ids[at] = 0;
            count--;
        } else {
            struct lease_node *n = lease_node(m, ids[at]);
            n->own = (uint16_t)LEASE_BIT(el_rng_below(&rng, LEASE_STATE_COUNT));
            n->due = el_rng_below(&rng, 50);
            lease_tree_refresh(m, ids[at]);
        }
        if (step % 16 == 0 && root != 0) {
            assert_int_equal(check_node(m, root), count);
            uint32_t bits = (uint32_t)el_rng_below(&rng, 1u << LEASE_STATE_COUNT);
            uint32_t found = lease_tree_first_of(m, root, bits);
            for (int i = 0; i < 1000; i++) {
                if (ids[i] != 0 && (lease_node(m, ids[i])->own & bits) != 0) {
                    assert_int_equal(found, ids[i]);
                    found = lease_tree_next_of(m, found, bits);
                }
            }
            assert_int_equal(found, 0);
        }
    }
    while (root != 0) {
        uint32_t id = lease_tree_first(m, root);
        lease_tree_remove(m, &root, id);
        lease_node_put(m, id);
    }
    kit_close(&k);
}

/* --- a million ---------------------------------------------------------------------------------------------------- */

#ifdef __SANITIZE_ADDRESS__
#define MILLION 100000 /* the sanitizer makes it slow */
#else
#define MILLION 1000000
#endif

TEST(lease_memory, a_million_entries_of_as_many_keys_cost_at_most_96_bytes_each_and_all_of_it_comes_back)
{
    struct lease_rules rules = kit_rules();
    rules.inflight_max = MILLION;
    rules.attempts_max = -1;
    rules.backoff_max_ms = 3600000;
    rules.full_jitter = true;
    kit_open(&k, &rules, 128u << 20);
    for (int64_t i = 0; i < MILLION; i++) {
        kit_add(&k, i, (uint64_t)i * 0x9e3779b97f4a7c15ull + 1);
    }
    assert_true(lease_memory_used(k.memory) - k.memory_empty <= 96ull * MILLION);
    /* All of them fail and wait for a retry. */
    static struct lease_grant grants[1000];
    struct el_rng rng;
    el_rng_seed(&rng, 5);
    for (int64_t i = 0; i < MILLION; i += 1000) {
        assert_int_equal(lease_acquire(k.t, KIT_SESSION, k.now, grants, 1000), 1000);
        k.draw = el_rng_next(&rng);
        assert_int_equal(kit_settle(&k, KIT_SESSION, i, i + 999, LEASE_FAIL), 0);
    }
    assert_int_equal(lease_counts(k.t).of[LEASE_STATE_BACKOFF], MILLION);
    assert_true(lease_memory_used(k.memory) - k.memory_empty <= 96ull * MILLION);
    k.now.mono_ns += 3600000000000ull;
    while (lease_tick(k.t, k.now) == k.now.mono_ns) {
    }
    assert_int_equal(lease_counts(k.t).of[LEASE_STATE_READY], MILLION);
    for (int64_t i = 0; i < MILLION; i += 1000) {
        assert_int_equal(lease_acquire(k.t, KIT_SESSION, k.now, grants, 1000), 1000);
        assert_int_equal(grants[0].offset, i);
        assert_int_equal(grants[0].attempts, 2);
        assert_int_equal(kit_settle(&k, KIT_SESSION, i, i + 999, LEASE_ACCEPT), 0);
    }
    kit_write(&k);
    assert_int_equal(lease_start(k.t), MILLION);
    kit_write(&k);
    assert_true(lease_memory_used(k.memory) <= k.memory_empty + 3 * 4096);
    kit_close(&k);
}

TEST(lease_memory, a_million_that_wait_behind_one_key_cost_one_entry_each)
{
    struct lease_rules rules = kit_rules();
    kit_open(&k, &rules, 128u << 20);
    for (int64_t i = 0; i < MILLION; i++) {
        kit_add(&k, i, 1);
    }
    assert_true(lease_memory_used(k.memory) - k.memory_empty <= 96ull * MILLION);
    struct lease_why why;
    assert_true(lease_why(k.t, 1, &why));
    assert_int_equal(why.behind, MILLION - 1);
    while (!lease_set_start(k.t, MILLION, k.now)) {
    }
    kit_write(&k);
    assert_true(lease_memory_used(k.memory) <= k.memory_empty + 4096);
    kit_close(&k);
}

TEST(lease_memory, one_slow_event_keeps_nothing_of_a_million_behind_it)
{
    struct lease_rules rules = kit_rules();
    kit_open(&k, &rules, 0);
    static struct lease_grant grants[100];
    kit_add(&k, 0, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    for (int64_t i = 1; i < MILLION; i += 100) {
        k.now.mono_ns += 1000;
        for (int64_t j = i; j < i + 100; j++) {
            kit_add(&k, j, (uint64_t)j % 1000 + 2);
        }
        assert_int_equal(lease_acquire(k.t, 8, k.now, grants, 100), 100);
        assert_int_equal(kit_settle(&k, 8, i, i + 99, LEASE_ACCEPT), 0);
        kit_write(&k);
    }
    assert_int_equal(lease_start(k.t), 0);
    assert_int_equal(k.memory->node_count, 1 + MILLION / 65536 + 1);
    assert_true(lease_memory_used(k.memory) <= k.memory_empty + 4 * 4096);
    /* And a restart reads none of it again. */
    kit_restart(&k);
    kit_add(&k, 0, 1);
    assert_int_equal(lease_read_next(k.t), MILLION + 1);
    kit_close(&k);
}
