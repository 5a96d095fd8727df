/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: decompression never writes past its room and refuses what other Kafka clients could not read.
 * Method: every prefix and every smaller room for each codec, frames built by hand, bit flips, then round trips. Rooms
 * are followed by guard bytes, so that a write past the end also shows without a sanitizer.
 */
#include "test.h"

#include <core/alloc.h>
#include <core/compress.h>
#include <core/rng.h>
#include <evlog/error.h>

#define GUARD 0xa5
#define GUARD_LEN 64u

static const enum el_codec packers[] = {EL_CODEC_GZIP, EL_CODEC_SNAPPY, EL_CODEC_LZ4, EL_CODEC_ZSTD};
#define PACKER_COUNT (sizeof(packers) / sizeof(packers[0]))

/* Text-like bytes: a few words in random order. */
static uint8_t *make_text(size_t len)
{
    static const char *const words[] = {"order ", "placed ", "paid ", "shipped ", "lost ", "found "};
    struct el_rng rng;
    el_rng_seed(&rng, len);
    uint8_t *text = el_malloc(len + 8);
    for (size_t pos = 0; pos < len;) {
        const char *word = words[el_rng_below(&rng, 6)];
        size_t word_len = strlen(word);
        memcpy(text + pos, word, EL_MIN(word_len, len + 8 - pos));
        pos += word_len;
    }
    return text;
}

static uint8_t *make_noise(size_t len)
{
    struct el_rng rng;
    el_rng_seed(&rng, len + 1);
    uint8_t *noise = el_malloc(len + 8);
    for (size_t pos = 0; pos < len; pos += 8) {
        el_put_le64(noise + pos, el_rng_next(&rng));
    }
    return noise;
}

/* Compressed bytes on the heap, exactly as long as they are, so that a sanitizer sees every read past the end. */
static uint8_t *pack(enum el_codec codec, const void *data, size_t len, size_t *packed_len)
{
    size_t bound = el_compress_bound(codec, len);
    uint8_t *buf = el_malloc(bound);
    assert_int_equal(el_compress(codec, data, len, buf, bound, packed_len), 0);
    assert_true(*packed_len <= bound);
    uint8_t *packed = el_memdup(buf, *packed_len);
    el_free(buf);
    return packed;
}

/* Decompress into room bytes with guards behind them; the guards must stay. */
static int unpack_guarded(enum el_codec codec, struct el_slice in, uint8_t *out, size_t room, size_t *out_len)
{
    memset(out + room, GUARD, GUARD_LEN);
    int err = el_decompress(codec, in.data, in.len, out, room, out_len);
    for (size_t i = 0; i < GUARD_LEN; i++) {
        assert_int_equal(out[room + i], GUARD);
    }
    if (err == 0) {
        assert_true(*out_len <= room);
    }
    return err;
}

TEST(compress, refuses_every_prefix)
{
    size_t len = 300;
    uint8_t *text = make_text(len);
    uint8_t *out = el_malloc(len + GUARD_LEN);
    for (size_t i = 0; i < PACKER_COUNT; i++) {
        size_t packed_len;
        uint8_t *packed = pack(packers[i], text, len, &packed_len);
        for (size_t cut = 0; cut < packed_len; cut++) {
            uint8_t *prefix = el_memdup(packed, cut);
            size_t out_len = 0;
            int err = unpack_guarded(packers[i], el_slice_of(prefix, cut), out, len, &out_len);
            if (packers[i] == EL_CODEC_SNAPPY && cut == 16) {
                assert_int_equal(err, 0); /* xerial's header alone is a stream without blocks */
                assert_int_equal(out_len, 0);
            } else {
                assert_int_not_equal(err, 0);
            }
            el_free(prefix);
        }
        el_free(packed);
    }
    el_free(out);
    el_free(text);
}

TEST(compress, says_limit_for_every_smaller_room)
{
    size_t len = 300;
    uint8_t *text = make_text(len);
    uint8_t *out = el_malloc(len + GUARD_LEN);
    for (size_t i = 0; i < PACKER_COUNT; i++) {
        size_t packed_len;
        uint8_t *packed = pack(packers[i], text, len, &packed_len);
        size_t out_len = 77;
        for (size_t room = 0; room < len; room++) {
            int err = unpack_guarded(packers[i], el_slice_of(packed, packed_len), out, room, &out_len);
            assert_int_equal(err, EVLOG_ERR_LIMIT);
            assert_int_equal(out_len, 77);
        }
        assert_int_equal(el_decompress(packers[i], packed, packed_len, NULL, 0, &out_len), EVLOG_ERR_LIMIT);
        assert_int_equal(unpack_guarded(packers[i], el_slice_of(packed, packed_len), out, len, &out_len), 0);
        assert_int_equal(out_len, len);
        el_free(packed);
    }
    el_free(out);
    el_free(text);
}

TEST(compress, stops_a_bomb_at_the_room)
{
    size_t len = 4u << 20;
    size_t room = 10000;
    uint8_t *zeros = el_calloc(1, len);
    uint8_t *out = el_malloc(room + GUARD_LEN);
    for (size_t i = 0; i < PACKER_COUNT; i++) {
        size_t packed_len;
        size_t out_len = 0;
        uint8_t *packed = pack(packers[i], zeros, len, &packed_len);
        assert_true(packed_len < len / 15);
        int err = unpack_guarded(packers[i], el_slice_of(packed, packed_len), out, room, &out_len);
        assert_int_equal(err, EVLOG_ERR_LIMIT);
        el_free(packed);
    }
    el_free(out);
    el_free(zeros);
}

TEST(compress, survives_every_flipped_bit)
{
    size_t len = 200;
    uint8_t *text = make_text(len);
    uint8_t *out = el_malloc(len + GUARD_LEN);
    for (size_t i = 0; i < PACKER_COUNT; i++) {
        size_t packed_len;
        uint8_t *packed = pack(packers[i], text, len, &packed_len);
        for (size_t bit = 0; bit < packed_len * 8; bit++) {
            size_t out_len = 0;
            packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
            (void)unpack_guarded(packers[i], el_slice_of(packed, packed_len), out, len, &out_len);
            (void)el_decompress_hint(packers[i], packed, packed_len);
            packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        el_free(packed);
    }
    el_free(out);
    el_free(text);
}

TEST(compress, refuses_bytes_behind_the_end)
{
    static const enum el_codec strict[] = {EL_CODEC_GZIP, EL_CODEC_SNAPPY, EL_CODEC_LZ4, EL_CODEC_ZSTD};
    uint8_t *text = make_text(300);
    uint8_t out[600];
    for (size_t i = 0; i < sizeof(strict) / sizeof(strict[0]); i++) {
        size_t packed_len;
        size_t out_len = 0;
        uint8_t *packed = pack(strict[i], text, 300, &packed_len);
        uint8_t *longer = el_calloc(1, packed_len + 1);
        memcpy(longer, packed, packed_len);
        assert_int_equal(el_decompress(strict[i], longer, packed_len + 1, out, sizeof(out), &out_len),
                         EVLOG_ERR_CORRUPT);
        el_free(longer);
        el_free(packed);
    }
    el_free(text);
}

TEST(compress, refuses_an_unknown_codec)
{
    uint8_t out[8];
    size_t out_len;
    assert_int_equal(el_decompress((enum el_codec)5, "x", 1, out, 8, &out_len), EVLOG_ERR_COMPRESSION);
    assert_int_equal(el_compress((enum el_codec)7, "x", 1, out, 8, &out_len), EVLOG_ERR_COMPRESSION);
    assert_int_equal(el_decompress_hint((enum el_codec)7, "x", 1), 0);
}

/* A zstd frame without content: header as given, then one empty last block. */
static int unpack_zstd_header(const uint8_t *header, size_t header_len)
{
    uint8_t frame[32] = {0x28, 0xb5, 0x2f, 0xfd};
    uint8_t out[8];
    size_t out_len = 0;
    memcpy(frame + 4, header, header_len);
    memcpy(frame + 4 + header_len, "\x01\x00\x00", 3);
    return el_decompress(EL_CODEC_ZSTD, frame, 4 + header_len + 3, out, sizeof(out), &out_len);
}

TEST(compress, zstd_window_ends_at_8_mib)
{
    assert_int_equal(unpack_zstd_header((const uint8_t[]){0x00, 13 << 3}, 2), 0);
    assert_int_equal(unpack_zstd_header((const uint8_t[]){0x00, 13 << 3 | 1}, 2), EVLOG_ERR_COMPRESSION);
    assert_int_equal(unpack_zstd_header((const uint8_t[]){0x00, 14 << 3}, 2), EVLOG_ERR_COMPRESSION);
    assert_int_equal(unpack_zstd_header((const uint8_t[]){0x00, 0xff}, 2), EVLOG_ERR_COMPRESSION);
    /* single segment: the window is the content, here 8 MiB + 1 */
    assert_int_equal(unpack_zstd_header((const uint8_t[]){0xa0, 0x01, 0x00, 0x80, 0x00}, 5), EVLOG_ERR_COMPRESSION);
    /* dictionary 5 */
    assert_int_equal(unpack_zstd_header((const uint8_t[]){0x01, 13 << 3, 0x05}, 3), EVLOG_ERR_COMPRESSION);
}

TEST(compress, zstd_refuses_skippable_frames)
{
    static const uint8_t frame[] = {0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'h', 'i'};
    uint8_t out[8];
    size_t out_len = 0;
    assert_int_equal(el_decompress(EL_CODEC_ZSTD, frame, sizeof(frame), out, 8, &out_len), EVLOG_ERR_CORRUPT);
}

TEST(compress, zstd_reads_frames_in_a_row)
{
    size_t packed_len;
    size_t out_len = 0;
    uint8_t *packed = pack(EL_CODEC_ZSTD, "evlog", 5, &packed_len);
    uint8_t *twice = el_malloc(2 * packed_len);
    uint8_t out[10];
    memcpy(twice, packed, packed_len);
    memcpy(twice + packed_len, packed, packed_len);
    assert_int_equal(el_decompress(EL_CODEC_ZSTD, twice, 2 * packed_len, out, sizeof(out), &out_len), 0);
    assert_int_equal(out_len, 10);
    assert_memory_equal(out, "evlogevlog", 10);
    el_free(twice);
    el_free(packed);
}

TEST(compress, lz4_refuses_what_java_cannot_read)
{
    size_t packed_len;
    size_t out_len = 0;
    uint8_t out[64];
    uint8_t *packed = pack(EL_CODEC_LZ4, "evlog", 5, &packed_len);
    assert_true((packed[4] & 0x20) != 0);
    packed[4] ^= 0x20; /* blocks depend on each other */
    assert_int_equal(el_decompress(EL_CODEC_LZ4, packed, packed_len, out, 64, &out_len), EVLOG_ERR_COMPRESSION);
    packed[4] ^= 0x21; /* a dictionary */
    assert_int_equal(el_decompress(EL_CODEC_LZ4, packed, packed_len, out, 64, &out_len), EVLOG_ERR_COMPRESSION);
    packed[4] ^= 0x01;
    packed[0] ^= 1; /* not a frame */
    assert_int_equal(el_decompress(EL_CODEC_LZ4, packed, packed_len, out, 64, &out_len), EVLOG_ERR_CORRUPT);
    packed[0] ^= 1;
    assert_int_equal(el_decompress(EL_CODEC_LZ4, packed, packed_len, out, 64, &out_len), 0);

    uint8_t *twice = el_malloc(2 * packed_len); /* readers stop at the end of the first frame */
    memcpy(twice, packed, packed_len);
    memcpy(twice + packed_len, packed, packed_len);
    assert_int_equal(el_decompress(EL_CODEC_LZ4, twice, 2 * packed_len, out, 64, &out_len), EVLOG_ERR_CORRUPT);
    el_free(twice);
    el_free(packed);
}

TEST(compress, gzip_reads_members_in_a_row)
{
    size_t packed_len;
    size_t out_len = 0;
    uint8_t out[10];
    uint8_t *packed = pack(EL_CODEC_GZIP, "evlog", 5, &packed_len);
    uint8_t *twice = el_malloc(2 * packed_len);
    memcpy(twice, packed, packed_len);
    memcpy(twice + packed_len, packed, packed_len);
    assert_int_equal(el_decompress(EL_CODEC_GZIP, twice, 2 * packed_len, out, sizeof(out), &out_len), 0);
    assert_int_equal(out_len, 10);
    assert_memory_equal(out, "evlogevlog", 10);
    el_free(twice);
    el_free(packed);
}

TEST(compress, snappy_claims_are_not_believed)
{
    static const uint8_t four_gib[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0x00};
    uint8_t stream[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0};
    uint8_t out[16];
    size_t out_len = 0;
    assert_int_equal(el_decompress(EL_CODEC_SNAPPY, four_gib, sizeof(four_gib), out, 16, &out_len), EVLOG_ERR_LIMIT);
    assert_int_equal(el_decompress_hint(EL_CODEC_SNAPPY, four_gib, sizeof(four_gib)), UINT32_MAX);
    assert_int_equal(el_decompress(EL_CODEC_SNAPPY, stream, sizeof(stream), out, 16, &out_len), EVLOG_ERR_CORRUPT);
    assert_int_equal(el_decompress_hint(EL_CODEC_SNAPPY, stream, sizeof(stream)), 0);
    stream[11] = 0; /* version 0 */
    assert_int_equal(el_decompress(EL_CODEC_SNAPPY, stream, 16, out, 16, &out_len), EVLOG_ERR_CORRUPT);
}

TEST(compress, snappy_reads_a_raw_block)
{
    static const uint8_t raw[] = {5, 4 << 2, 'e', 'v', 'l', 'o', 'g'}; /* length 5, one literal of 5 */
    uint8_t out[5];
    size_t out_len = 0;
    assert_int_equal(el_decompress(EL_CODEC_SNAPPY, raw, sizeof(raw), out, sizeof(out), &out_len), 0);
    assert_int_equal(out_len, 5);
    assert_memory_equal(out, "evlog", 5);
    assert_int_equal(el_decompress_hint(EL_CODEC_SNAPPY, raw, sizeof(raw)), 5);
}

TEST(compress, snappy_writes_the_framing_of_java)
{
    static const uint8_t head[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1};
    size_t len = 32768 + 1; /* two blocks */
    size_t packed_len;
    uint8_t *text = make_text(len);
    uint8_t *packed = pack(EL_CODEC_SNAPPY, text, len, &packed_len);
    assert_memory_equal(packed, head, sizeof(head));
    size_t first_len = el_get_be32(packed + 16);
    size_t second_len = el_get_be32(packed + 20 + first_len);
    assert_int_equal(16 + 4 + first_len + 4 + second_len, packed_len);
    assert_int_equal(el_decompress_hint(EL_CODEC_SNAPPY, packed + 20, first_len), 32768);
    assert_int_equal(el_decompress_hint(EL_CODEC_SNAPPY, packed + 24 + first_len, second_len), 1);
    assert_int_equal(el_decompress_hint(EL_CODEC_SNAPPY, packed, packed_len), len);
    el_free(packed);
    el_free(text);
}

TEST(compress, fits_or_says_limit_when_packing)
{
    size_t len = 300;
    uint8_t *text = make_text(len);
    uint8_t *out = el_malloc(1000 + GUARD_LEN);
    for (size_t i = 0; i < PACKER_COUNT; i++) {
        size_t packed_len;
        uint8_t *packed = pack(packers[i], text, len, &packed_len);
        for (size_t room = 0; room <= packed_len; room++) {
            size_t out_len = 0;
            memset(out + room, GUARD, GUARD_LEN);
            int err = el_compress(packers[i], text, len, out, room, &out_len);
            assert_true(err == 0 || err == EVLOG_ERR_LIMIT);
            assert_int_equal(err == 0, room == packed_len);
            for (size_t k = 0; k < GUARD_LEN; k++) {
                assert_int_equal(out[room + k], GUARD);
            }
        }
        el_free(packed);
    }
    el_free(out);
    el_free(text);
}

static void round_trip(enum el_codec codec, const uint8_t *data, size_t len)
{
    size_t packed_len;
    size_t out_len = 1;
    uint8_t *packed = pack(codec, data, len, &packed_len);
    uint8_t *out = el_malloc(len + GUARD_LEN);
    assert_int_equal(unpack_guarded(codec, el_slice_of(packed, packed_len), out, len, &out_len), 0);
    assert_int_equal(out_len, len);
    assert_memory_equal(out, data, len);
    size_t hint = el_decompress_hint(codec, packed, packed_len);
    assert_true(hint == len || (hint == 0 && codec == EL_CODEC_LZ4));
    el_free(out);
    el_free(packed);
}

TEST(compress, round_trips_of_all_codecs_and_lengths)
{
    static const size_t lens[] = {0, 1, 2, 17, 1000, 32767, 32768, 32769, 65536, 65537, 300000, 3u << 20};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        uint8_t *text = make_text(lens[i]);
        uint8_t *noise = make_noise(lens[i]);
        for (int codec = EL_CODEC_NONE; codec <= EL_CODEC_ZSTD; codec++) {
            round_trip((enum el_codec)codec, text, lens[i]);
            round_trip((enum el_codec)codec, noise, lens[i]);
        }
        el_free(noise);
        el_free(text);
    }
}

TEST(compress, names_and_numbers_agree)
{
    static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (int codec = EL_CODEC_NONE; codec <= EL_CODEC_ZSTD; codec++) {
        assert_string_equal(el_codec_name(codec), names[codec]);
        assert_int_equal(el_codec_by_name(names[codec]), codec);
    }
    assert_null(el_codec_name(-1));
    assert_null(el_codec_name(5));
    assert_int_equal(el_codec_by_name("lzma"), -1);
    assert_int_equal(el_codec_by_name(""), -1);
    assert_int_equal(el_codec_by_name(NULL), -1);
}
