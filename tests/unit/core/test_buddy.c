/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: blocks never overlap, everything comes back, any length works, misuse stops the program.
 * Method: a model (a byte per 4 KiB page that says who owns it) under random load; then free all and take the whole
 * range in one piece again.
 */
#include "../../lib/test.h"

#include <core/buddy.h>
#include <core/rng.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MIB (1024ul * 1024ul)

/* Free blocks of all orders, in bytes; also checks that lists and order_of agree. */
static size_t free_len(struct el_buddy *buddy)
{
    size_t len = 0;
    for (unsigned order = 0; order < EL_BUDDY_ORDERS; order++) {
        EL_LIST_EACH(node, &buddy->free_list[order]) {
            size_t index = (size_t)((uint8_t *)node - buddy->base) / EL_BUDDY_BLOCK_MIN;
            assert_int_equal(buddy->order_of[index], 0x80 | (order + 1));
            assert_int_equal(index % ((size_t)1 << order), 0);
            len += (size_t)EL_BUDDY_BLOCK_MIN << order;
        }
    }
    return len;
}

TEST(buddy, impossible_range_is_refused)
{
    struct el_buddy buddy;
    struct el_error err = {0};
    assert_int_equal(el_buddy_init(&buddy, 0, &err), EVLOG_ERR_NO_MEMORY);
    assert_int_equal(el_buddy_init(&buddy, SIZE_MAX, NULL), EVLOG_ERR_NO_MEMORY);
    assert_int_equal(el_buddy_init(&buddy, SIZE_MAX / 2 - 4096, &err), EVLOG_ERR_NO_MEMORY);
    assert_non_null(strstr(err.text, "address space"));
    el_buddy_destroy(&buddy);
}

TEST(buddy, block_is_a_power_of_two_that_fits)
{
    struct el_buddy buddy;
    assert_int_equal(el_buddy_init(&buddy, 16 * MIB, NULL), 0);
    static const size_t lens[] = {0, 1, 4095, 4096, 4097, 8192, 8193, MIB - 1, MIB, MIB + 1, 16 * MIB};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        void *block = el_buddy_alloc(&buddy, lens[i]);
        assert_non_null(block);
        size_t len = el_buddy_block_len(&buddy, block);
        assert_true(len >= lens[i] && len >= EL_BUDDY_BLOCK_MIN);
        assert_true(len == EL_BUDDY_BLOCK_MIN || len / 2 < lens[i]);
        assert_int_equal((uintptr_t)block % EL_BUDDY_BLOCK_MIN, 0);
        assert_int_equal(buddy.used, len);
        memset(block, 0xa5, len);
        el_buddy_free(&buddy, block);
        assert_int_equal(buddy.used, 0);
    }
    assert_null(el_buddy_alloc(&buddy, 16 * MIB + 1));
    assert_null(el_buddy_alloc(&buddy, SIZE_MAX));
    assert_int_equal(buddy.used_max, 16 * MIB);
    el_buddy_free(&buddy, NULL);
    el_buddy_destroy(&buddy);
}

TEST(buddy, every_length_is_used_to_the_last_page)
{
    for (size_t pages = 1; pages < 70; pages++) {
        struct el_buddy buddy;
        assert_int_equal(el_buddy_init(&buddy, pages * 4096 - 100, NULL), 0);
        assert_int_equal(free_len(&buddy), pages * 4096);
        void *blocks[70];
        for (size_t i = 0; i < pages; i++) {
            blocks[i] = el_buddy_alloc(&buddy, 4096);
            assert_non_null(blocks[i]);
        }
        assert_null(el_buddy_alloc(&buddy, 1));
        for (size_t i = 0; i < pages; i++) {
            el_buddy_free(&buddy, blocks[i % 2 == 0 ? i / 2 : pages - 1 - i / 2]); /* from both ends */
        }
        assert_int_equal(free_len(&buddy), pages * 4096);
        size_t largest = (size_t)4096 << (63 - __builtin_clzll(pages));
        void *whole = el_buddy_alloc(&buddy, largest);
        assert_non_null(whole);
        assert_ptr_equal(whole, buddy.base);
        el_buddy_destroy(&buddy);
    }
}

struct held {
    uint8_t *block;
    size_t len;
};

static void mark(uint8_t *owner, const struct el_buddy *buddy, const struct held *h, uint8_t from, uint8_t to)
{
    size_t first = (size_t)(h->block - buddy->base) / 4096;
    for (size_t i = 0; i < h->len / 4096; i++) {
        assert_int_equal(owner[first + i], from);
        owner[first + i] = to;
    }
}

static void random_load(size_t pages, uint64_t seed)
{
    struct el_buddy buddy;
    struct el_rng rng;
    struct held held[200];
    size_t count = 0, used = 0;
    uint8_t *owner = calloc(pages, 1);
    assert_non_null(owner);
    el_rng_seed(&rng, seed);
    assert_int_equal(el_buddy_init(&buddy, pages * 4096, NULL), 0);
    for (int round = 0; round < 20000; round++) {
        if (count < 200 && el_rng_chance(&rng, 520000)) {
            struct held h = {NULL, 0};
            h.block = el_buddy_alloc(&buddy, 1 + el_rng_below(&rng, (size_t)4096 << el_rng_below(&rng, 8)));
            if (h.block == NULL) {
                continue;
            }
            h.len = el_buddy_block_len(&buddy, h.block);
            mark(owner, &buddy, &h, 0, 1);
            h.block[0] = h.block[h.len - 1] = (uint8_t)round;
            used += h.len;
            held[count++] = h;
        } else if (count > 0) {
            size_t i = el_rng_below(&rng, count);
            assert_int_equal(held[i].block[0], held[i].block[held[i].len - 1]);
            mark(owner, &buddy, &held[i], 1, 0);
            used -= held[i].len;
            el_buddy_free(&buddy, held[i].block);
            held[i] = held[--count];
        }
        assert_int_equal(buddy.used, used);
        if (round % 500 == 0) {
            assert_int_equal(free_len(&buddy), buddy.len - used);
        }
    }
    while (count > 0) {
        el_buddy_free(&buddy, held[--count].block);
    }
    assert_int_equal(buddy.used, 0);
    size_t largest = (size_t)4096 << (63 - __builtin_clzll(pages));
    assert_ptr_equal(el_buddy_alloc(&buddy, largest), buddy.base);
    el_buddy_destroy(&buddy);
    free(owner);
}

TEST(buddy, random_load_never_overlaps_and_joins_again)
{
    random_load(4096, 1);
    random_load(1000, 2);
    random_load(777, 3);
    random_load(3, 4);
}

TEST(buddy, same_calls_give_the_same_places)
{
    size_t pos[2][50];
    for (int run = 0; run < 2; run++) {
        struct el_buddy buddy;
        assert_int_equal(el_buddy_init(&buddy, 10 * MIB, NULL), 0);
        void *before = NULL;
        for (size_t i = 0; i < 50; i++) {
            uint8_t *block = el_buddy_alloc(&buddy, i * 1500);
            pos[run][i] = (size_t)(block - buddy.base);
            if (i % 3 == 0) {
                el_buddy_free(&buddy, before);
                before = block;
            }
        }
        el_buddy_destroy(&buddy);
    }
    assert_memory_equal(pos[0], pos[1], sizeof(pos[0]));
}

TEST(buddy, pages_of_a_large_freed_block_go_back)
{
    struct el_buddy buddy;
    unsigned char resident[512];
    assert_int_equal(el_buddy_init(&buddy, 4 * MIB, NULL), 0);
    uint8_t *block = el_buddy_alloc(&buddy, 2 * MIB);
    assert_non_null(block);
    memset(block, 1, 2 * MIB);
    el_buddy_free(&buddy, block);
    assert_int_equal(mincore(block, 2 * MIB, resident), 0);
    size_t count = 0;
    for (size_t i = 0; i < 512; i++) {
        count += resident[i] & 1;
    }
    assert_true(count <= 2); /* the list node */
    el_buddy_destroy(&buddy);
}

static size_t resident_pages(const uint8_t *from, size_t len)
{
    unsigned char resident[8 * MIB / 4096];
    size_t count = 0;
    assert_true(len <= 8 * MIB);
    assert_int_equal(mincore((void *)(uintptr_t)from, len, resident), 0);
    for (size_t i = 0; i < len / 4096; i++) {
        count += resident[i] & 1;
    }
    return count;
}

/* A range of 64 MiB keeps the pages of 2 MiB, and gives the rest back; what it kept is used again. */
TEST(buddy, a_little_of_what_was_freed_stays_warm)
{
    struct el_buddy buddy;
    uint8_t *blocks[6];
    assert_int_equal(el_buddy_init(&buddy, 64 * MIB, NULL), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 6; i++) {
            blocks[i] = el_buddy_alloc(&buddy, MIB);
            assert_non_null(blocks[i]);
            memset(blocks[i], 1, MIB);
        }
        for (int i = 0; i < 6; i++) {
            el_buddy_free(&buddy, blocks[i]);
        }
        size_t pages = resident_pages(buddy.base, 8 * MIB);
        assert_in_range(pages, 2 * MIB / 4096, 2 * MIB / 4096 + 16);
    }
    el_buddy_destroy(&buddy);
}

TEST(buddy, reserving_much_touches_little)
{
    struct el_buddy buddy;
    assert_int_equal(el_buddy_init(&buddy, 64ul << 30, NULL), 0);
    void *small = el_buddy_alloc(&buddy, 1);
    assert_non_null(small);
    el_buddy_free(&buddy, small);
    assert_non_null(el_buddy_alloc(&buddy, 64ul << 30));
    el_buddy_destroy(&buddy);
}

static void free_twice(void *arg)
{
    struct el_buddy *buddy = arg;
    void *block = el_buddy_alloc(buddy, 4096);
    el_buddy_free(buddy, block);
    el_buddy_free(buddy, block);
}
static void free_inside(void *arg)
{
    struct el_buddy *buddy = arg;
    el_buddy_free(buddy, (uint8_t *)el_buddy_alloc(buddy, 8192) + 4096);
}
static void free_unaligned(void *arg)
{
    struct el_buddy *buddy = arg;
    el_buddy_free(buddy, (uint8_t *)el_buddy_alloc(buddy, 8192) + 8);
}
static void free_foreign(void *arg)
{
    el_buddy_free(arg, arg);
}

TEST(buddy, wrong_pointers_stop_the_program)
{
    struct el_buddy buddy;
    assert_int_equal(el_buddy_init(&buddy, MIB, NULL), 0);
    assert_true(el_test_aborts(free_twice, &buddy));
    assert_true(el_test_aborts(free_inside, &buddy));
    assert_true(el_test_aborts(free_unaligned, &buddy));
    assert_true(el_test_aborts(free_foreign, &buddy));
    el_buddy_destroy(&buddy);
}
