/* SPDX-License-Identifier: Apache-2.0 */
#include "table_kit.h"

#include <lease/lease_table_state.h>

#include <stdlib.h>

#define KIT_BUDDY_LEN (512ull << 20)

static uint64_t draw(void *arg)
{
    return ((struct kit *)arg)->draw;
}

struct lease_rules kit_rules(void)
{
    return (struct lease_rules){
        .order = LEASE_ORDER_KEY,
        .inflight_max = 1000,
        .attempts_max = 3,
        .lease_ms = 30000,
        .backoff_ms = 1000,
        .backoff_max_ms = 10000,
        .backoff_multiplier_milli = 2000,
        .age_max_ms = -1,
        .on_exhausted = LEASE_SKIP,
    };
}

void kit_open(struct kit *k, const struct lease_rules *rules, uint64_t memory_max)
{
    memset(k, 0, sizeof(*k));
    k->rules = *rules;
    k->now = (struct lease_now){.mono_ns = 5000000000ull, .wall_ms = 1700000000000};
    assert_int_equal(el_buddy_init(&k->buddy, KIT_BUDDY_LEN, NULL), 0);
    struct lease_memory_config cfg = {
        .buddy = &k->buddy, .bytes_max = memory_max == 0 ? 16u << 20 : memory_max, .random = draw, .random_arg = k};
    assert_int_equal(lease_memory_create(&cfg, &k->memory), 0);
    k->memory_empty = lease_memory_used(k->memory);
    assert_int_equal(lease_table_create(k->memory, rules, 0, &k->t), 0);
}

static void blocks_free(struct kit_block *blocks, uint32_t *count)
{
    for (uint32_t i = 0; i < *count; i++) {
        free(blocks[i].data);
    }
    *count = 0;
}

void kit_close(struct kit *k)
{
    blocks_free(k->stored, &k->stored_count);
    blocks_free(k->pending, &k->pending_count);
    lease_table_destroy(k->t);
    assert_int_equal(lease_memory_used(k->memory), k->memory_empty);
    lease_memory_destroy(k->memory);
    assert_int_equal(k->buddy.used, 0);
    el_buddy_destroy(&k->buddy);
}

void kit_add(struct kit *k, int64_t offset, uint64_t key)
{
    struct lease_record record = {.offset = offset, .key_hash = key, .append_ms = k->now.wall_ms};
    assert_int_equal(lease_add(k->t, &record, k->now), 0);
}

int64_t kit_take(struct kit *k, uint64_t session, uint32_t max, uint32_t count)
{
    struct lease_grant grants[64];
    assert_true(max <= 64);
    assert_int_equal(lease_acquire(k->t, session, k->now, grants, max), count);
    return count == 0 ? -1 : grants[0].offset;
}

void kit_take_one(struct kit *k, uint64_t session, int64_t offset, uint32_t attempts)
{
    struct lease_grant grant = {.offset = -1};
    assert_int_equal(lease_acquire(k->t, session, k->now, &grant, 1), 1);
    assert_int_equal(grant.offset, offset);
    assert_int_equal(grant.attempts, attempts);
}

int kit_settle(struct kit *k, uint64_t session, int64_t first, int64_t last, enum lease_outcome_kind kind)
{
    struct lease_outcome outcome = {.first = first, .last = last, .kind = kind, .delay_ms = -1};
    return lease_settle(k->t, session, &outcome, 1, k->now);
}

void kit_pass(struct kit *k, int64_t ms)
{
    k->now.mono_ns += (uint64_t)ms * 1000000u;
    k->now.wall_ms += ms;
    lease_tick(k->t, k->now);
}

enum lease_state kit_state(const struct kit *k, int64_t offset)
{
    uint32_t id = lease_tree_find(k->memory, k->t->entries, offset);
    return id == 0 ? LEASE_STATE_COUNT : lease_entry_state(lease_node(k->memory, id));
}

static void take_block(void *arg, uint64_t number, bool gone)
{
    struct kit *k = arg;
    assert_true(k->pending_count < KIT_BLOCKS_MAX);
    struct kit_block *b = &k->pending[k->pending_count];
    *b = (struct kit_block){.number = number};
    k->pending_count++;
    k->gone_count += gone;
    if (!gone) {
        b->len = lease_block_encode(k->t, number, k->room, sizeof(k->room));
        assert_true(b->len > 0);
        b->data = malloc(b->len);
        memcpy(b->data, k->room, b->len);
    }
}

void kit_write_begin(struct kit *k)
{
    assert_int_equal(k->pending_count, 0);
    lease_write_begin(k->t, take_block, k);
    k->pending_start = lease_write_start(k->t);
    k->pending_base = lease_write_base(k->t);
}

static void store(struct kit *k, struct kit_block block)
{
    uint32_t i = 0;
    while (i < k->stored_count && k->stored[i].number != block.number) {
        i++;
    }
    assert_true(i < KIT_BLOCKS_MAX);
    if (i == k->stored_count) {
        k->stored_count++;
        k->stored[i].data = NULL;
    }
    free(k->stored[i].data);
    k->stored[i] = block;
}

void kit_write_end(struct kit *k, bool durable)
{
    if (durable) {
        for (uint32_t i = 0; i < k->pending_count; i++) {
            store(k, k->pending[i]);
        }
        k->pending_count = 0;
        k->stored_start = k->pending_start;
        k->stored_base = k->pending_base;
    }
    blocks_free(k->pending, &k->pending_count);
    lease_write_end(k->t, durable, k->now);
}

void kit_write(struct kit *k)
{
    kit_write_begin(k);
    kit_write_end(k, true);
}

void kit_restart(struct kit *k)
{
    lease_table_destroy(k->t);
    blocks_free(k->pending, &k->pending_count);
    assert_int_equal(lease_table_create(k->memory, &k->rules, k->stored_start, &k->t), 0);
    lease_base_restore(k->t, k->stored_base);
    for (uint32_t i = 0; i < k->stored_count; i++) {
        if (k->stored[i].data != NULL) {
            struct el_slice data = el_slice_of(k->stored[i].data, k->stored[i].len);
            assert_int_equal(lease_block_restore(k->t, k->stored[i].number, data), 0);
        }
    }
}

const struct kit_block *kit_stored(const struct kit *k, uint64_t number)
{
    for (uint32_t i = 0; i < k->stored_count; i++) {
        if (k->stored[i].number == number && k->stored[i].data != NULL) {
            return &k->stored[i];
        }
    }
    return NULL;
}
