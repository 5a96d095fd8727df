/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: every request and response in every version is read back as it was written, and no damaged one does harm.
 * Method: messages are made by table (filler.h) with all fields set, at random, and with everything null or default.
 * Each encoding is decoded again, cut at every byte, changed at random places; each time from a block of exactly its
 * length, so that the address sanitizer sees one byte too many. What is accepted must encode and decode to itself.
 */
#include "filler.h"
#include "test.h"

#include <core/alloc.h>
#include <evlog/error.h>

#define RANDOM_ROUNDS 40
#define FLIP_ROUNDS 400
#define SEED 20260301

static struct el_arena arena;
static struct el_rng rng;

static void setup(void)
{
    el_arena_reset(&arena);
    el_arena_init(&arena, NULL, 64U << 20);
    el_rng_seed(&rng, SEED);
}

TEST(schema, tables_keep_their_rules)
{
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        const struct el_api *api = el_api_at(i);
        for (int side = 0; side < 2; side++) {
            const struct el_schema *schema = api->schema[side];
            assert_true(el_schema_check(schema));
            assert_int_equal(schema->valid_min, api->accept_min);
            assert_int_equal(schema->valid_max, api->list_max);
            assert_int_equal(schema->flexible_from, api->flexible_from);
        }
    }
}

static void check_round_trip(const struct el_api *api, int side, int version, enum fill_how how)
{
    struct encoded in = encode_filled(api, side, version, how, &rng, &arena);
    void *message;
    uint8_t *copy;
    int err = decode_copy(api, side, version, in.data, in.len, &arena, &message, &copy);
    if (err != 0 || !message_equal(api->schema[side], version, in.message, message)) {
        fail_msg("%s side %d version %d: %s", api->name, side, version, evlog_error_name(err));
    }
    struct el_writer w;
    el_writer_init(&w, el_arena_alloc(&arena, in.len), in.len);
    assert_int_equal(el_api_encode(api, side, version, message, &w, NULL), 0);
    assert_int_equal(el_writer_len(&w), in.len);
    assert_memory_equal(w.base, in.data, in.len);
    el_free(copy);
    el_arena_reset(&arena);
}

TEST(schema, every_version_of_every_message_comes_back_as_it_was)
{
    setup();
    EACH_MESSAGE(api, side, version)
    {
        check_round_trip(api, side, version, FILL_ALL);
        check_round_trip(api, side, version, FILL_EMPTY);
        for (uint32_t i = 0; i < RANDOM_ROUNDS; i++) {
            check_round_trip(api, side, version, FILL_RANDOM);
        }
    }
}

TEST(schema, every_prefix_is_refused)
{
    setup();
    EACH_MESSAGE(api, side, version)
    {
        struct encoded in = encode_filled(api, side, version, FILL_ALL, &rng, &arena);
        struct el_arena scratch;
        el_arena_init(&scratch, NULL, 16U << 20);
        for (size_t len = 0; len < in.len; len++) {
            void *message;
            uint8_t *copy;
            int err = decode_copy(api, side, version, in.data, len, &scratch, &message, &copy);
            if (err != EVLOG_ERR_TRUNCATED && err != EVLOG_ERR_MALFORMED) {
                fail_msg("%s side %d version %d cut at %zu: %d", api->name, side, version, len, err);
            }
            el_free(copy);
            el_arena_reset(&scratch);
        }
        el_arena_reset(&arena);
    }
}

TEST(schema, bytes_left_over_are_refused)
{
    setup();
    EACH_MESSAGE(api, side, version)
    {
        struct encoded in = encode_filled(api, side, version, FILL_RANDOM, &rng, &arena);
        uint8_t *longer = el_arena_zalloc(&arena, in.len + 1);
        memcpy(longer, in.data, in.len);
        void *message;
        uint8_t *copy;
        assert_int_equal(decode_copy(api, side, version, longer, in.len + 1, &arena, &message, &copy),
                         EVLOG_ERR_MALFORMED);
        el_free(copy);
        el_arena_reset(&arena);
    }
}

/* One damaged message: refused, or accepted and then stable. Memory stays in proportion to the input. */
static void check_damaged(const struct el_api *api, int side, int version, const uint8_t *data, size_t len)
{
    struct el_arena scratch;
    el_arena_init(&scratch, NULL, 16U << 20);
    void *message, *again;
    uint8_t *copy, *copy_again = NULL;
    int err = decode_copy(api, side, version, data, len, &scratch, &message, &copy);
    assert_true(scratch.used <= 256 * len + (256U << 10));
    if (err == 0) {
        struct el_schema_size size;
        el_api_measure(api, side, version, message, SIZE_MAX, &size);
        struct el_writer w;
        el_writer_init(&w, el_arena_alloc(&scratch, size.len), size.len);
        assert_int_equal(el_api_encode(api, side, version, message, &w, NULL), 0);
        assert_int_equal(el_writer_len(&w), size.len);
        err = decode_copy(api, side, version, w.base, size.len, &scratch, &again, &copy_again);
        assert_int_equal(err, 0);
        assert_true(message_equal(api->schema[side], version, message, again));
    }
    el_free(copy);
    el_free(copy_again);
    el_arena_reset(&scratch);
}

TEST(schema, flipped_bytes_do_no_harm)
{
    setup();
    EACH_MESSAGE(api, side, version)
    {
        struct encoded in = encode_filled(api, side, version, FILL_RANDOM, &rng, &arena);
        for (uint32_t i = 0; i < FLIP_ROUNDS && in.len > 0; i++) {
            uint8_t *data = el_arena_dup(&arena, in.data, in.len);
            uint64_t flips = 1 + el_rng_below(&rng, 4);
            for (uint64_t flip = 0; flip < flips; flip++) {
                data[el_rng_below(&rng, in.len)] = (uint8_t)el_rng_next(&rng);
            }
            check_damaged(api, side, version, data, in.len);
        }
        el_arena_reset(&arena);
    }
}

TEST(schema, noise_does_no_harm)
{
    setup();
    EACH_MESSAGE(api, side, version)
    {
        for (uint32_t i = 0; i < RANDOM_ROUNDS; i++) {
            uint8_t data[64];
            for (size_t pos = 0; pos < sizeof data; pos++) {
                /* small numbers reach further: they are plausible counts */
                data[pos] = (uint8_t)(el_rng_below(&rng, 3) == 0 ? el_rng_next(&rng) : el_rng_below(&rng, 3));
            }
            check_damaged(api, side, version, data, el_rng_below(&rng, sizeof data));
        }
    }
}

TEST(schema, too_little_room_is_refused_at_every_length)
{
    setup();
    EACH_MESSAGE(api, side, version)
    {
        struct encoded in = encode_filled(api, side, version, FILL_ALL, &rng, &arena);
        for (size_t len = 0; len < in.len; len++) {
            struct el_writer w;
            uint8_t *room = el_malloc(len);
            el_writer_init(&w, room, len);
            assert_int_equal(el_api_encode(api, side, version, in.message, &w, NULL), EVLOG_ERR_LIMIT);
            el_free(room);
        }
        el_arena_reset(&arena);
    }
}

TEST(schema, gathered_parts_are_the_same_bytes)
{
    setup();
    EACH_MESSAGE(api, side, version)
    {
        struct encoded in = encode_filled(api, side, version, FILL_ALL, &rng, &arena);
        struct el_schema_size size;
        el_api_measure(api, side, version, in.message, 4, &size);
        assert_int_equal(size.len, in.len);
        uint32_t part_max = 2 * size.slice_count + 1;
        struct el_slice *parts = el_arena_alloc(&arena, part_max * sizeof *parts);
        struct el_writer w;
        struct el_gather gather;
        el_writer_init(&w, el_arena_alloc(&arena, in.len), in.len - size.slice_len);
        el_gather_init(&gather, parts, part_max, 4, &w);
        assert_int_equal(el_api_encode(api, side, version, in.message, &w, &gather), 0);
        assert_int_equal(el_writer_len(&w), in.len - size.slice_len);
        size_t pos = 0;
        for (uint32_t i = 0; i < gather.part_count; i++) {
            assert_true(pos + parts[i].len <= in.len);
            assert_memory_equal(parts[i].data, in.data + pos, parts[i].len);
            pos += parts[i].len;
        }
        assert_int_equal(pos, in.len);
        el_arena_reset(&arena);
    }
}

TEST(schema, spent_arena_is_an_error)
{
    setup();
    EACH_MESSAGE(api, side, version)
    {
        struct encoded in = encode_filled(api, side, version, FILL_ALL, &rng, &arena);
        void *message = el_arena_alloc(&arena, api->schema[side]->size);
        struct el_arena tiny;
        el_arena_init(&tiny, NULL, 1);
        struct el_reader r;
        el_reader_init(&r, in.data, in.len);
        int err = el_api_decode(api, side, version, &r, &tiny, message);
        assert_true(err == EVLOG_ERR_NO_MEMORY || (err == 0 && tiny.used == 0));
        el_arena_reset(&tiny);
        el_arena_reset(&arena);
    }
}
