/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is in no segment is never evicted, blocks go oldest first, and all memory comes back. Method: a tail
 * over a
 * small buddy, entries hung into lists as partitions do it.
 */
#include <core/bytes.h>
#include <storage/tail.h>
#include <test.h>

#define BATCH_LEN 60000u /* four to a block */

struct fixture {
    struct el_buddy buddy;
    struct tail tail;
    struct el_list entries;
};

static void set_up(struct fixture *f)
{
    assert_int_equal(el_buddy_init(&f->buddy, 8u << 20, NULL), 0);
    tail_init(&f->tail, &f->buddy, 1u << 20);
    el_list_init(&f->entries);
}

static void tear_down(struct fixture *f)
{
    tail_destroy(&f->tail);
    assert_int_equal(f->buddy.used, 0);
    el_buddy_destroy(&f->buddy);
}

static struct batch_entry *add(struct fixture *f, int64_t base, bool in_segment)
{
    struct batch_entry *e = tail_add(&f->tail, BATCH_LEN);
    assert_non_null(e);
    e->part = (struct partition *)(void *)f; /* alive; the tail never looks into it */
    e->base_offset = base;
    e->in_segment = in_segment;
    el_list_push_back(&f->entries, &e->link);
    return e;
}

static int64_t first_offset(const struct fixture *f)
{
    return EL_CONTAINER(f->entries.next, struct batch_entry, link)->base_offset;
}

TEST(tail, evicts_oldest_first_down_to_the_bound)
{
    struct fixture f;
    set_up(&f);
    for (int64_t i = 0; i < 40; i++) {
        add(&f, i, true);
    }
    assert_false(tail_evict(&f.tail, 1u << 20));
    assert_true(f.tail.bytes <= 1u << 20);
    int64_t expected = first_offset(&f);
    assert_in_range(expected, 20, 39);
    EL_LIST_EACH(n, &f.entries) {
        assert_int_equal(EL_CONTAINER(n, struct batch_entry, link)->base_offset, expected++);
    }
    assert_int_equal(expected, 40);
    tear_down(&f);
}

TEST(tail, keeps_a_block_with_one_entry_that_is_in_no_segment)
{
    struct fixture f;
    set_up(&f);
    for (int64_t i = 0; i < 40; i++) {
        add(&f, i, i != 9);
    }
    assert_true(tail_evict(&f.tail, 0)); /* stuck: says so */
    assert_in_range(first_offset(&f), 6, 9);
    uint32_t kept = 0;
    EL_LIST_EACH(n, &f.entries) {
        kept += EL_CONTAINER(n, struct batch_entry, link)->base_offset == 9;
    }
    assert_int_equal(kept, 1);
    tear_down(&f);
}

TEST(tail, frees_a_block_with_its_last_entry)
{
    struct fixture f;
    set_up(&f);
    for (int64_t i = 0; i < 9; i++) {
        add(&f, i, false);
    }
    uint64_t before = f.tail.bytes;
    for (int i = 0; i < 4; i++) {
        struct batch_entry *e = EL_CONTAINER(el_list_pop_front(&f.entries), struct batch_entry, link);
        tail_drop(&f.tail, e);
    }
    assert_true(f.tail.bytes < before);
    tear_down(&f);
}

TEST(tail, takes_a_batch_longer_than_a_block_and_refuses_one_longer_than_memory)
{
    struct fixture f;
    set_up(&f);
    assert_non_null(tail_add(&f.tail, 3u << 20));
    assert_null(tail_add(&f.tail, 7u << 20));
    assert_non_null(tail_add(&f.tail, 100));
    tear_down(&f);
}
