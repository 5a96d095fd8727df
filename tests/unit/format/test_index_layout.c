/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the bytes of a run of the stream index are read as they were written, take the room that they should, and what
 * contradicts itself is refused even under a right checksum. Method: blocks cut, flipped and made to lie; random
 * entries and names packed until a block is full. Items to be read are exact copies on the heap.
 */
#include "test.h"

#include <core/alloc.h>
#include <core/rng.h>
#include <evlog/error.h>
#include <format/index_layout.h>
#include <stdio.h>

#define ITEMS_LEN (EL_RUN_BLOCK_LEN - EL_RUN_BLOCK_HEADER_LEN)
#define NAME_ITEMS_LEN (EL_RUN_NAME_LEN - EL_RUN_BLOCK_HEADER_LEN)
#define PACKED_MAX 2100u

static struct el_hash128 random_hash(struct el_rng *rng)
{
    return (struct el_hash128){.low = el_rng_next(rng), .high = el_rng_next(rng)};
}

/* Read all of exact bytes. returns the last code, 0 when all were read */
static int unpack_all(const uint8_t *items, size_t len, uint16_t count, struct el_stream_entry *read)
{
    uint8_t *copy = el_memdup(items, len);
    struct el_entry_unpacker u;
    int code = 1;
    el_entry_unpacker_init(&u, copy, len, count);
    for (uint32_t i = 0; code > 0; i++) {
        code = el_entry_unpack(&u);
        if (code > 0 && read != NULL) {
            read[i] = u.last;
        }
    }
    el_free(copy);
    return code;
}

static int unpack_names(const uint8_t *items, size_t len, uint16_t count, bool index)
{
    uint8_t *copy = el_memdup(items, len);
    struct el_name_unpacker *u = el_malloc(sizeof(*u));
    int code = 1;
    el_name_unpacker_init(u, copy, len, count, index);
    while (code > 0) {
        code = el_name_unpack(u);
    }
    el_free(u);
    el_free(copy);
    return code;
}

TEST(index_layout, entries_that_contradict_themselves_are_refused)
{
    static const uint8_t zeros[16];
    uint8_t p[64] = {0};
    /* no bytes; the first entry is of no slot; slot 0; an unknown tag; a hash cut short */
    assert_int_equal(unpack_all(p, 0, 1, NULL), EVLOG_ERR_CORRUPT);
    assert_int_equal(unpack_all((const uint8_t[]){0xe0}, 1, 1, NULL), EVLOG_ERR_CORRUPT);
    assert_int_equal(unpack_all((const uint8_t[]){0xb0}, 1, 1, NULL), EVLOG_ERR_CORRUPT);
    memcpy(p, (const uint8_t[]){0xb1, 0}, 2);
    assert_int_equal(unpack_all(p, 18, 1, NULL), EVLOG_ERR_CORRUPT);
    memcpy(p, (const uint8_t[]){0xb2, 1}, 2);
    assert_int_equal(unpack_all(p, 18, 1, NULL), EVLOG_ERR_CORRUPT);
    memcpy(p, (const uint8_t[]){0xb1, 1}, 2);
    for (size_t len = 0; len < 18; len++) {
        assert_int_equal(unpack_all(p, len, 1, NULL), EVLOG_ERR_CORRUPT);
    }
    assert_int_equal(unpack_all(p, 18, 1, NULL), 0);
    /* the same hash again as a new one; a hash below the one before; more entries than there are */
    memcpy(p + 18, (const uint8_t[]){0xaf, 0}, 2);
    assert_int_equal(unpack_all(p, 20, 2, NULL), EVLOG_ERR_CORRUPT);
    p[19] = 1;
    assert_int_equal(unpack_all(p, 20, 2, NULL), 0);
    memcpy(p + 20, (const uint8_t[]){0xaf, 0}, 2);
    assert_int_equal(unpack_all(p, 22, 3, NULL), EVLOG_ERR_CORRUPT);
    assert_int_equal(unpack_all(p, 20, 3, NULL), EVLOG_ERR_CORRUPT);
    /* a position beyond the last there is, a slot beyond the last, and a varint without an end */
    memcpy(p, (const uint8_t[]){0x91, 1}, 2);
    memcpy(p + 2, zeros, 16);
    memcpy(p + 18, (const uint8_t[]){0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0xb0}, 11);
    assert_int_equal(unpack_all(p, 28, 1, NULL), 0);
    assert_int_equal(unpack_all(p, 29, 2, NULL), EVLOG_ERR_CORRUPT);
    p[27] = 3;
    assert_int_equal(unpack_all(p, 28, 1, NULL), EVLOG_ERR_CORRUPT);
    memcpy(p, (const uint8_t[]){0xb1, 0xff, 0xff, 0xff, 0xff, 0x1f}, 6);
    assert_int_equal(unpack_all(p, 22, 1, NULL), EVLOG_ERR_CORRUPT);
}

TEST(index_layout, names_that_contradict_themselves_are_refused)
{
    assert_int_equal(unpack_names((const uint8_t[]){0}, 0, 1, false), EVLOG_ERR_CORRUPT);
    assert_int_equal(unpack_names((const uint8_t[]){0, 0, 1, 'a'}, 4, 1, false), EVLOG_ERR_CORRUPT); /* slot 0 */
    assert_int_equal(unpack_names((const uint8_t[]){1, 0, 2, 'a'}, 4, 1, false), EVLOG_ERR_CORRUPT); /* cut */
    assert_int_equal(unpack_names((const uint8_t[]){1, 1, 1, 'a'}, 4, 1, false),
                     EVLOG_ERR_CORRUPT);                                                            /* shares nothing */
    assert_int_equal(unpack_names((const uint8_t[]){1, 0, 1, 'a'}, 4, 1, true), EVLOG_ERR_CORRUPT); /* no block */
    assert_int_equal(unpack_names((const uint8_t[]){1, 0, 1, 'a'}, 4, 1, false), 0);
    assert_int_equal(unpack_names((const uint8_t[]){1, 0, 0}, 3, 1, false), 0); /* an empty name */
    const uint8_t twice[] = {1, 0, 1, 'b', 0, 1, 0}, below[] = {1, 0, 1, 'b', 0, 0, 1, 'a'};
    const uint8_t far[] = {1, 0, 1, 'b', 0, 2, 1, 'a'}, above[] = {1, 0, 1, 'b', 0, 1, 1, 'a'};
    assert_int_equal(unpack_names(twice, sizeof(twice), 2, false), EVLOG_ERR_CORRUPT);
    assert_int_equal(unpack_names(below, sizeof(below), 2, false), EVLOG_ERR_CORRUPT);
    assert_int_equal(unpack_names(far, sizeof(far), 2, false), EVLOG_ERR_CORRUPT);
    assert_int_equal(unpack_names(above, sizeof(above), 2, false), 0);
    /* longer than a key may be: alone, and together with what is shared */
    uint8_t *longest = el_calloc(1, 2 * EL_RUN_NAME_KEY_MAX);
    memcpy(longest, (const uint8_t[]){1, 0, 0x81, 0x20}, 4);
    assert_int_equal(unpack_names(longest, 4 + 4097, 1, false), EVLOG_ERR_CORRUPT);
    longest[2] = 0x80;
    assert_int_equal(unpack_names(longest, 4 + 4096, 1, false), 0);
    memcpy(longest + 4 + 4096, (const uint8_t[]){0, 0x80, 0x20, 1, 'x'}, 5);
    assert_int_equal(unpack_names(longest, 4 + 4096 + 5, 2, false), EVLOG_ERR_CORRUPT);
    el_free(longest);
}

TEST(index_layout, a_block_is_that_block_of_that_run_or_refused)
{
    uint8_t p[EL_RUN_BLOCK_LEN] = {0};
    struct el_run_block block = {.run_id = 7, .number = 3, .kind = EL_RUN_ENTRIES, .count = 5}, found;
    el_run_block_seal(p, sizeof(p), &block);
    found = (struct el_run_block){.run_id = 8, .number = 3};
    assert_int_equal(el_run_block_open(p, sizeof(p), &found), EVLOG_ERR_CORRUPT);
    found = (struct el_run_block){.run_id = 7, .number = 4};
    assert_int_equal(el_run_block_open(p, sizeof(p), &found), EVLOG_ERR_CORRUPT);
    found = (struct el_run_block){.run_id = 7, .number = 3};
    for (size_t i = 0; i < sizeof(p); i++) {
        p[i] ^= 0x10;
        assert_int_equal(el_run_block_open(p, sizeof(p), &found), EVLOG_ERR_CORRUPT);
        p[i] ^= 0x10;
    }
    assert_int_equal(el_run_block_open(p, sizeof(p), &found), 0);
    assert_int_equal(found.kind, EL_RUN_ENTRIES);
    assert_int_equal(found.count, 5);
}

TEST(index_layout, a_newer_format_is_told_from_damage)
{
    uint8_t p[EL_RUN_BLOCK_LEN];
    uint64_t run_id = 0;
    el_run_header_put(p, 77);
    for (size_t i = 0; i < sizeof(p); i++) {
        p[i] ^= 1;
        assert_int_equal(el_run_header_get(p, &run_id), EVLOG_ERR_CORRUPT);
        p[i] ^= 1;
    }
    assert_int_equal(el_run_header_get(p, &run_id), 0);
    assert_int_equal(run_id, 77);
    p[8] = 2;
    el_put_le64(p + EL_RUN_BLOCK_LEN - 8, el_xxh3(p, EL_RUN_BLOCK_LEN - 8));
    assert_int_equal(el_run_header_get(p, &run_id), EVLOG_ERR_FORMAT);
    p[8] = 0;
    el_put_le64(p + EL_RUN_BLOCK_LEN - 8, el_xxh3(p, EL_RUN_BLOCK_LEN - 8));
    assert_int_equal(el_run_header_get(p, &run_id), EVLOG_ERR_CORRUPT);
}

TEST(index_layout, a_footer_whose_parts_do_not_fill_the_file_is_refused)
{
    const struct el_index_run_info good = {.run_id = 5,
                                           .entry_count = 900,
                                           .name_count = 3,
                                           .block_count = 4,
                                           .hash_count = 100,
                                           .filter_len = 2 * EL_RUN_LINE_LEN,
                                           .file_len = 13 * EL_RUN_BLOCK_LEN,
                                           .group_count = 1,
                                           .names_block = 7,
                                           .name_block_count = 1,
                                           .top_block = 11};
    struct el_index_run_info found;
    uint8_t p[EL_RUN_BLOCK_LEN];
    el_run_footer_put(p, &good);
    assert_int_equal(el_run_footer_get(p, 5, good.file_len, &found), 0);
    assert_memory_equal(&found, &good, sizeof(good));
    assert_int_equal(el_run_footer_get(p, 6, good.file_len, &found), EVLOG_ERR_CORRUPT);
    assert_int_equal(el_run_footer_get(p, 5, good.file_len + 1, &found), EVLOG_ERR_CORRUPT);
    assert_int_equal(el_run_footer_get(p, 5, good.file_len + EL_RUN_BLOCK_LEN, &found), EVLOG_ERR_CORRUPT);
    assert_int_equal(el_run_footer_get(p, 5, EL_RUN_BLOCK_LEN, &found), EVLOG_ERR_CORRUPT);
    struct el_index_run_info lies[12];
    for (size_t i = 0; i < 12; i++) {
        lies[i] = good;
    }
    lies[0].entry_count = 3;
    lies[1].entry_count = 0;
    lies[2].name_count = 0;
    lies[3].block_count = 7;
    lies[4].hash_count = 901;
    lies[5].filter_len = 7 * EL_RUN_BLOCK_LEN;
    lies[6].group_count = 0;
    lies[7].names_block = 0;
    lies[8].names_block = 3;
    lies[9].name_block_count = 0x40000001;
    lies[10].top_block = 10;
    lies[11].group_count = 102;
    for (size_t i = 0; i < 12; i++) {
        el_run_footer_put(p, &lies[i]);
        assert_int_equal(el_run_footer_get(p, 5, good.file_len, &found), EVLOG_ERR_CORRUPT);
    }
}

TEST(index_layout, random_entries_are_read_as_they_were_packed)
{
    struct el_rng rng;
    struct el_stream_entry *given = el_malloc(PACKED_MAX * sizeof(*given)),
                           *read = el_malloc(PACKED_MAX * sizeof(*read));
    el_rng_seed(&rng, 11);
    for (int round = 0; round < 400; round++) {
        uint8_t items[ITEMS_LEN];
        struct el_entry_packer k;
        struct el_stream_entry e = {.slot = 1 + (uint32_t)el_rng_below(&rng, 3), .hash = random_hash(&rng)};
        uint32_t count = 0;
        el_entry_packer_init(&k, items, sizeof(items));
        while (el_entry_pack(&k, &e)) {
            given[count++] = e;
            uint64_t step = el_rng_below(&rng, 4) == 0 ? el_rng_next(&rng) >> el_rng_below(&rng, 60) : 0;
            switch (el_rng_below(&rng, 8)) {
            case 0:
                e.slot += 1 + (uint32_t)el_rng_below(&rng, 1000);
                e.hash = random_hash(&rng);
                e.position = step;
                break;
            case 1:
                e.hash.low += 1 + (step < UINT64_MAX - e.hash.low ? step : 0);
                e.hash.high += e.hash.low == 0;
                e.position = step;
                break;
            case 2:
                e.hash.high += 1 + (step >> 8);
                e.position = step;
                break;
            default:
                e.position += e.position < UINT64_MAX - 1 - step ? 1 + step : 1;
            }
            e.place = el_rng_below(&rng, 3) == 0 ? el_rng_next(&rng) : e.place + el_rng_below(&rng, 3);
            if (el_stream_entry_compare(&given[count - 1], &e) >= 0) {
                break; /* a number has turned over */
            }
        }
        assert_int_equal(k.count, count);
        assert_int_equal(unpack_all(items, (size_t)(k.p - items), k.count, read), 0);
        assert_memory_equal(read, given, count * sizeof(*read));
    }
    el_free(read);
    el_free(given);
}

/* Bytes of an entry, on average, of as many as fit. */
static double bytes_each(void (*next)(struct el_rng *rng, struct el_stream_entry *e))
{
    uint8_t items[ITEMS_LEN];
    struct el_entry_packer k;
    struct el_rng rng;
    struct el_stream_entry e = {.slot = 1, .position = 0, .place = 1000000};
    el_rng_seed(&rng, 12);
    el_entry_packer_init(&k, items, sizeof(items));
    next(&rng, &e);
    while (el_entry_pack(&k, &e)) {
        next(&rng, &e);
    }
    return (double)(k.p - items) / k.count;
}
static void next_of_hot_stream(struct el_rng *rng, struct el_stream_entry *e)
{
    e->position++;
    e->place += 1 + el_rng_below(rng, 50);
}
static void next_of_type(struct el_rng *rng, struct el_stream_entry *e)
{
    e->position += 1 + el_rng_below(rng, 50);
    e->place = 0;
}
/* Of ten million. */
static void next_unrelated(struct el_rng *rng, struct el_stream_entry *e)
{
    e->hash.high += el_rng_below(rng, 2 * (UINT64_MAX / 10000000));
    e->hash.low = el_rng_next(rng);
    e->position = 10000000 + el_rng_below(rng, 10000000);
    e->place = el_rng_below(rng, 30);
}

TEST(index_layout, what_belongs_together_takes_few_bytes)
{
    assert_true(bytes_each(next_of_hot_stream) < 3.0);
    assert_true(bytes_each(next_of_type) < 2.1);
    assert_true(bytes_each(next_unrelated) < 21.0);
}

TEST(index_layout, random_names_are_read_as_they_were_packed)
{
    struct el_rng rng;
    uint8_t *items = el_malloc(NAME_ITEMS_LEN);
    struct el_name_packer *k = el_malloc(sizeof(*k));
    struct el_name_unpacker *u = el_malloc(sizeof(*u));
    char text[64];
    el_rng_seed(&rng, 13);
    for (int round = 0; round < 40; round++) {
        bool index = round % 2 == 1;
        uint64_t seed = el_rng_next(&rng);
        uint32_t count = 0;
        el_name_packer_init(k, items, NAME_ITEMS_LEN, index);
        for (;; count++) {
            int len = snprintf(text, sizeof(text), "order-%08u-%u", count * 3, (unsigned)(seed % 1000));
            if (!el_name_pack(k, 1 + count / 700, el_slice_of(text, (size_t)len), count * 5)) {
                break;
            }
        }
        assert_true(count > 800);
        el_name_unpacker_init(u, items, (size_t)(k->p - items), k->count, index);
        for (uint32_t i = 0; i < count; i++) {
            int len = snprintf(text, sizeof(text), "order-%08u-%u", i * 3, (unsigned)(seed % 1000));
            assert_int_equal(el_name_unpack(u), 1);
            assert_int_equal(u->slot, 1 + i / 700);
            assert_int_equal(u->block, index ? i * 5 : 0);
            assert_int_equal(u->key_len, len);
            assert_memory_equal(u->key, text, u->key_len);
        }
        assert_int_equal(el_name_unpack(u), 0);
    }
    el_free(u);
    el_free(k);
    el_free(items);
}

TEST(index_layout, a_block_of_the_tree_holds_three_of_the_longest_names)
{
    uint8_t *items = el_malloc(NAME_ITEMS_LEN), *key = el_malloc(EL_RUN_NAME_KEY_MAX);
    struct el_name_packer *k = el_malloc(sizeof(*k));
    el_name_packer_init(k, items, NAME_ITEMS_LEN, true);
    for (int i = 0; i < 4; i++) {
        memset(key, i, EL_RUN_NAME_KEY_MAX);
        assert_int_equal(el_name_pack(k, UINT32_MAX, el_slice_of(key, EL_RUN_NAME_KEY_MAX), UINT32_MAX), i < 3);
    }
    assert_int_equal(unpack_names(items, NAME_ITEMS_LEN, k->count, true), 0);
    el_free(k);
    el_free(key);
    el_free(items);
}

TEST(index_layout, the_filter_has_all_that_was_added_and_little_else)
{
    struct el_rng rng;
    uint32_t count = 20000, line_count = el_run_line_count(count), wrong = 0;
    struct el_hash128 *hashes = el_malloc(count * sizeof(*hashes));
    uint8_t *lines = el_calloc(line_count, EL_RUN_LINE_LEN);
    el_rng_seed(&rng, 14);
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = random_hash(&rng);
        hashes[i].high &= (1ull << 50) - 1; /* neighbours in the order are alike at the top */
        el_run_filter_add(lines, line_count, 1 + i % 5, hashes[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_true(el_run_filter_has(lines, line_count, 1 + i % 5, hashes[i]));
        wrong += el_run_filter_has(lines, line_count, 6 + i % 5, hashes[i]); /* another slot is another thing */
        wrong += el_run_filter_has(lines, line_count, 1, random_hash(&rng));
    }
    assert_true(wrong < 2 * count * 17 / 1000);
    assert_true(wrong > 0);
    el_free(lines);
    el_free(hashes);
}
