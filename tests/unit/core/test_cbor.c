/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the CBOR cursor reads what RFC 8949 says, refuses what evlog does not speak, and believes no length or count
 * that the bytes left cannot hold.
 * Method: examples of RFC 8949 appendix A, each also cut at every byte; lies by hand; noise.
 */
#include "test.h"

#include <core/alloc.h>
#include <core/cbor.h>
#include <core/rng.h>
#include <evlog/error.h>

static struct el_reader reader;

static void use(const uint8_t *data, size_t len)
{
    el_reader_init(&reader, data, len);
}

#define BYTES(...)                                                                                                     \
    do {                                                                                                               \
        static const uint8_t bytes_[] = {__VA_ARGS__};                                                                 \
        use(bytes_, sizeof bytes_);                                                                                    \
    } while (0)

static int read_item(struct el_cbor_item *item)
{
    return el_cbor_read(&reader, item);
}

TEST(cbor, cut_heads_are_truncated)
{
    static const uint8_t values[][9] = {
        {0x18, 0x64}, {0x19, 3, 0xe8},       {0x1a, 0, 1, 0, 0}, {0x1b, 1, 0, 0, 0, 0, 0, 0, 0}, {0x38, 0x63},
        {0x42, 1, 2}, {0x63, 'a', 'b', 'c'}, {0x58, 2, 1, 2},    {0xfb, 0, 0, 0, 0, 0, 0, 0, 0},
    };
    static const uint8_t lens[] = {2, 3, 5, 9, 2, 3, 4, 4, 9};
    struct el_cbor_item item;
    for (size_t i = 0; i < sizeof lens; i++) {
        for (size_t len = 0; len < lens[i]; len++) {
            uint8_t *copy = el_memdup(values[i], len);
            use(copy, len);
            assert_int_equal(read_item(&item), EVLOG_ERR_TRUNCATED);
            el_free(copy);
        }
        use(values[i], lens[i]);
        assert_int_equal(read_item(&item), 0);
        assert_int_equal(el_reader_left(&reader), 0);
    }
}

TEST(cbor, lying_lengths_and_counts_are_truncated)
{
    struct el_cbor_item item;
    BYTES(0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3);
    assert_int_equal(read_item(&item), EVLOG_ERR_TRUNCATED);
    BYTES(0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3);
    assert_int_equal(read_item(&item), EVLOG_ERR_TRUNCATED);
    BYTES(0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3);
    assert_int_equal(read_item(&item), EVLOG_ERR_TRUNCATED);
    BYTES(0xbb, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3);
    assert_int_equal(read_item(&item), EVLOG_ERR_TRUNCATED);
    BYTES(0x84, 1, 2, 3);
    assert_int_equal(el_cbor_read_array(&reader), 0);
    assert_int_equal(reader.err, EVLOG_ERR_TRUNCATED);
    BYTES(0xa2, 1, 2, 3);
    assert_int_equal(el_cbor_read_map(&reader), 0);
    assert_int_equal(reader.err, EVLOG_ERR_TRUNCATED);
    BYTES(0xa2, 1, 2, 3, 4);
    assert_int_equal(el_cbor_read_map(&reader), 2);
}

TEST(cbor, indefinite_and_reserved_heads_are_malformed)
{
    static const uint8_t heads[] = {0x5f, 0x7f, 0x9f, 0xbf, 0xff, 0x1c, 0x3d, 0x5e, 0x7c, 0x9d, 0xbe, 0xfc};
    struct el_cbor_item item;
    for (size_t i = 0; i < sizeof heads; i++) {
        uint8_t bytes[] = {heads[i], 0x40, 0x40, 0xff};
        use(bytes, sizeof bytes);
        assert_int_equal(read_item(&item), EVLOG_ERR_MALFORMED);
        assert_int_equal(el_reader_left(&reader), 0);
        assert_int_equal(read_item(&item), EVLOG_ERR_MALFORMED);
    }
}

TEST(cbor, read_any_takes_what_others_write)
{
    struct el_cbor_item item;
    static const uint8_t opens[][2] = {
        {0x5f, EL_CBOR_BYTES}, {0x7f, EL_CBOR_TEXT}, {0x9f, EL_CBOR_ARRAY}, {0xbf, EL_CBOR_MAP}, {0xff, EL_CBOR_BREAK},
    };
    for (size_t i = 0; i < sizeof opens / sizeof opens[0]; i++) {
        use(&opens[i][0], 1);
        assert_int_equal(el_cbor_read_any(&reader, &item), 0);
        assert_int_equal(item.type, opens[i][1]);
        assert_int_equal(item.open, item.type != EL_CBOR_BREAK);
    }
    BYTES(0xf9, 0x3e, 0x00, 0xfa, 0x40, 0x20, 0, 0, 0xfb, 0xc0, 0x10, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66);
    static const double values[] = {1.5, 2.5, -4.1};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(el_cbor_read_any(&reader, &item), 0);
        assert_int_equal(item.type, EL_CBOR_REAL);
        assert_true(item.real == values[i]);
        assert_int_equal(item.single, i < 2);
    }
    BYTES(0xfb, 0xc0, 0x10, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66);
    assert_int_equal(read_item(&item), 0);
    assert_int_equal(item.type, EL_CBOR_OTHER);
    BYTES(0xf9, 0x3e);
    assert_int_equal(el_cbor_read_any(&reader, &item), EVLOG_ERR_TRUNCATED);
    BYTES(0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3);
    assert_int_equal(el_cbor_read_any(&reader, &item), EVLOG_ERR_TRUNCATED);
    BYTES(0x1c);
    assert_int_equal(el_cbor_read_any(&reader, &item), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_cbor_read_any(&reader, &item), EVLOG_ERR_MALFORMED);
}

TEST(cbor, another_type_is_malformed)
{
    BYTES(0x20);
    el_cbor_read_uint(&reader);
    assert_int_equal(reader.err, EVLOG_ERR_MALFORMED);
    BYTES(0x61, 'a');
    assert_null(el_cbor_read_bytes(&reader).data);
    assert_int_equal(reader.err, EVLOG_ERR_MALFORMED);
    BYTES(0x41, 'a');
    assert_null(el_cbor_read_text(&reader).data);
    assert_int_equal(reader.err, EVLOG_ERR_MALFORMED);
    BYTES(0x01);
    assert_false(el_cbor_read_bool(&reader));
    assert_int_equal(reader.err, EVLOG_ERR_MALFORMED);
    BYTES(0xa0);
    assert_int_equal(el_cbor_read_array(&reader), 0);
    assert_int_equal(reader.err, EVLOG_ERR_MALFORMED);
    BYTES(0xf5);
    assert_int_equal(el_cbor_read_int(&reader), 0);
    assert_int_equal(reader.err, EVLOG_ERR_MALFORMED);
}

TEST(cbor, integers_keep_their_range)
{
    BYTES(0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    assert_true(el_cbor_read_uint(&reader) == UINT64_MAX);
    BYTES(0x1b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    assert_true(el_cbor_read_int(&reader) == INT64_MAX);
    BYTES(0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    assert_true(el_cbor_read_int(&reader) == INT64_MIN);
    BYTES(0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0);
    el_cbor_read_int(&reader);
    assert_int_equal(reader.err, EVLOG_ERR_MALFORMED);
    BYTES(0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0);
    el_cbor_read_int(&reader);
    assert_int_equal(reader.err, EVLOG_ERR_MALFORMED);
}

TEST(cbor, a_map_is_read_by_cursor)
{
    BYTES(0xa3, 0x61, 'a', 0x38, 0x63, 0x62, 'b', 'b', 0x82, 0xf5, 0xf6, 0x63, 'c', 'c', 'c', 0x42, 1, 2);
    assert_int_equal(el_cbor_read_map(&reader), 3);
    assert_true(el_slice_eq(el_cbor_read_text(&reader), el_slice_str("a")));
    assert_int_equal(el_cbor_read_int(&reader), -100);
    assert_true(el_slice_eq(el_cbor_read_text(&reader), el_slice_str("bb")));
    assert_int_equal(el_cbor_read_array(&reader), 2);
    assert_false(el_cbor_read_null(&reader));
    assert_true(el_cbor_read_bool(&reader));
    assert_true(el_cbor_read_null(&reader));
    assert_true(el_slice_eq(el_cbor_read_text(&reader), el_slice_str("ccc")));
    assert_int_equal(el_cbor_read_bytes(&reader).len, 2);
    assert_int_equal(reader.err, 0);
    assert_int_equal(el_reader_left(&reader), 0);
    assert_false(el_cbor_read_null(&reader));
}

TEST(cbor, skip_takes_exactly_one_value)
{
    BYTES(0xa2, 0x61, 'a', 0x82, 1, 0x82, 2, 0xf9, 0, 0, 0x61, 'b', 0xc1, 0x1a, 0, 0, 0, 1, 0x07);
    assert_int_equal(el_cbor_skip(&reader, 3), 0);
    assert_int_equal(el_cbor_read_uint(&reader), 7);
    BYTES(0x80, 0x07);
    assert_int_equal(el_cbor_skip(&reader, 1), 0);
    assert_int_equal(el_cbor_read_uint(&reader), 7);
    BYTES(0xf7, 0x07);
    assert_int_equal(el_cbor_skip(&reader, 0), 0);
    assert_int_equal(el_cbor_read_uint(&reader), 7);
    BYTES(0x82, 1);
    assert_int_equal(el_cbor_skip(&reader, 1), EVLOG_ERR_TRUNCATED);
}

TEST(cbor, skip_bounds_the_nesting)
{
    uint8_t nested[EL_CBOR_DEPTH_MAX + 2];
    memset(nested, 0x81, sizeof nested);
    nested[sizeof nested - 1] = 0;
    use(nested, sizeof nested);
    assert_int_equal(el_cbor_skip(&reader, EL_CBOR_DEPTH_MAX), EVLOG_ERR_LIMIT);
    use(nested + 1, sizeof nested - 1);
    assert_int_equal(el_cbor_skip(&reader, EL_CBOR_DEPTH_MAX), 0);
    BYTES(0x80);
    assert_int_equal(el_cbor_skip(&reader, 0), EVLOG_ERR_LIMIT);
    BYTES(0xc1, 0xc1, 0);
    assert_int_equal(el_cbor_skip(&reader, 1), EVLOG_ERR_LIMIT);
}

TEST(cbor, writes_the_shortest_head)
{
    static const struct {
        int64_t value;
        uint8_t len;
    } cases[] = {{0, 1},           {23, 1},         {24, 2},        {255, 2},
                 {256, 3},         {65535, 3},      {65536, 5},     {-1, 1},
                 {-24, 1},         {-25, 2},        {-256, 2},      {-257, 3},
                 {UINT32_MAX, 5},  {INT64_MAX, 9},  {INT64_MIN, 9}, {(int64_t)UINT32_MAX + 1, 9},
                 {-4294967296, 5}, {-4294967297, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t room[16];
        struct el_writer w;
        el_writer_init(&w, room, sizeof room);
        el_cbor_write_int(&w, cases[i].value);
        assert_int_equal(el_writer_len(&w), cases[i].len);
        assert_int_equal(el_cbor_int_len(cases[i].value), cases[i].len);
        use(room, el_writer_len(&w));
        assert_true(el_cbor_read_int(&reader) == cases[i].value);
    }
}

TEST(cbor, writes_each_type)
{
    static const uint8_t golden[] = {
        0xa1, 0x61, 'k', 0x86, 0x18, 0x19, 0x20, 0xf4, 0xf5, 0xf6, 0x42, 1, 2,
    };
    uint8_t room[32];
    struct el_writer w;
    el_writer_init(&w, room, sizeof room);
    el_cbor_write_map(&w, 1);
    el_cbor_write_cstr(&w, "k");
    el_cbor_write_array(&w, 6);
    el_cbor_write_uint(&w, 25);
    el_cbor_write_int(&w, -1);
    el_cbor_write_bool(&w, false);
    el_cbor_write_bool(&w, true);
    el_cbor_write_null(&w);
    el_cbor_write_bytes(&w, el_slice_of("\1\2", 2));
    assert_int_equal(el_writer_len(&w), sizeof golden);
    assert_memory_equal(room, golden, sizeof golden);
    el_writer_init(&w, room, 2);
    el_cbor_write_text(&w, el_slice_str("ab"));
    assert_int_equal(w.err, EVLOG_ERR_LIMIT);
}

TEST(cbor, keys_are_ordered_by_length_then_bytes)
{
    assert_true(el_cbor_key_before("b", "aa"));
    assert_false(el_cbor_key_before("aa", "b"));
    assert_true(el_cbor_key_before("a", "b"));
    assert_false(el_cbor_key_before("a", "a"));
}

TEST(cbor, noise_does_no_harm)
{
    struct el_rng rng;
    el_rng_seed(&rng, 42);
    for (uint32_t round = 0; round < 20000; round++) {
        size_t len = el_rng_below(&rng, 24);
        uint8_t *data = el_malloc(len);
        for (size_t i = 0; i < len; i++) {
            data[i] = (uint8_t)el_rng_next(&rng);
        }
        use(data, len);
        while (reader.err == 0 && el_reader_left(&reader) > 0) {
            const uint8_t *before = reader.p;
            el_cbor_skip(&reader, (uint32_t)el_rng_below(&rng, EL_CBOR_DEPTH_MAX + 1));
            assert_true(reader.p > before);
        }
        assert_true(reader.p <= reader.end);
        el_free(data);
    }
}
