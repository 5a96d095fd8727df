/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what other brokers and servers were once brought down with does nothing here. Method: numbers that claim much,
 * with little behind them. Which is which: docs/security.md, Faults of others.
 */
#include <core/alloc.h>
#include <core/arena.h>
#include <evlog/error.h>
#include <test.h>
#include <wire/api.h>
#include <wire/frame.h>
#include <wire/header.h>
#include <wire/msg_metadata.h>

#include <string.h>

#define ARENA_MAX (64u << 10)

/* The header of a request whose last bytes are what it says. */
static int header_with(const void *tail, size_t len)
{
    uint8_t bytes[64] = {0, EL_API_Metadata, 0, 12, 0, 0, 0, 7, 0, 1, 'c'};
    struct el_request_header header;
    struct el_reader r;
    memcpy(bytes + 11, tail, len);
    el_reader_init(&r, bytes, 11 + len);
    return el_request_header_decode(&r, &header);
}

TEST(cve_2026_111115, tagged_fields_of_a_header_are_counted_by_what_is_there)
{
    assert_int_equal(header_with("\0", 1), 0);
    assert_int_equal(header_with("\xff\xff\xff\xff\x0f", 5), EVLOG_ERR_TRUNCATED);
    assert_int_equal(header_with("\xff\xff\xff\xff\x0f\x01\x00", 7), EVLOG_ERR_TRUNCATED);
    assert_int_equal(header_with("\x02\x01\x00\x01\x00", 5), EVLOG_ERR_MALFORMED);                 /* the same again */
    assert_int_equal(header_with("\x01\x01\xff\xff\xff\xff\x0f", 7), EVLOG_ERR_TRUNCATED);         /* its length */
    assert_int_equal(header_with("\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9), EVLOG_ERR_MALFORMED); /* no count */
}

/* Decode a body with little memory at hand. used: out, bytes of it */
static int decode(int key, int version, const void *body, size_t len, size_t *used)
{
    const struct el_api *api = el_api_find(key);
    const struct el_schema *schema = api->schema[EL_SIDE_REQUEST];
    void *message = el_calloc(1, schema->size);
    struct el_arena arena;
    struct el_reader r;
    el_arena_init(&arena, NULL, ARENA_MAX);
    el_reader_init(&r, body, len);
    int rc = el_api_decode(api, EL_SIDE_REQUEST, version, &r, &arena, message);
    *used = arena.used;
    el_arena_reset(&arena);
    el_free(message);
    return rc;
}

TEST(cve_2026_111108, a_count_is_believed_as_far_as_bytes_are_there)
{
    static const uint8_t plain[] = {0x7f, 0xff, 0xff, 0xff, 0, 1, 'a'};
    static const uint8_t compact[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 2, 'a', 0};
    /* one topic that claims all the partitions there can be */
    static const uint8_t nested[] = {0xff, 0xff, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 'a', 0x7f, 0xff, 0xff, 0xff};
    size_t used;
    assert_int_equal(decode(EL_API_Metadata, 1, plain, sizeof plain, &used), EVLOG_ERR_TRUNCATED);
    assert_int_equal(used, 0);
    assert_int_equal(decode(EL_API_Metadata, 9, compact, sizeof compact, &used), EVLOG_ERR_TRUNCATED);
    assert_int_equal(used, 0);
    assert_int_equal(decode(EL_API_Produce, 3, nested, sizeof nested, &used), EVLOG_ERR_TRUNCATED);
    assert_true(used <= 8192);
    static const uint8_t negative[] = {0x80, 0, 0, 0};
    assert_int_equal(decode(EL_API_Metadata, 1, negative, sizeof negative, &used), EVLOG_ERR_MALFORMED);
    assert_int_equal(used, 0);
}

TEST(cve_2021_32765, a_count_times_a_size_never_wraps)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, ARENA_MAX);
    /* As 32 bits each of these products is small. */
    size_t size = el_schema_metadata_request_topic.size;
    assert_null(el_schema_new(&el_schema_metadata_request_topic, &arena, (uint32_t)((1ull << 32) / size + 1)));
    assert_null(el_schema_new(&el_schema_metadata_request_topic, &arena, UINT32_MAX));
    assert_null(el_arena_alloc(&arena, SIZE_MAX));
    assert_null(el_arena_alloc(&arena, SIZE_MAX - 15));
    assert_null(el_arena_zalloc(&arena, (size_t)PTRDIFF_MAX + 1));
    assert_int_equal(arena.used, 0);
    el_arena_reset(&arena);
}

TEST(cve_2021_32627, a_frame_over_the_limit_is_refused_by_its_length)
{
    static const uint8_t lengths[][4] = {
        {0x7f, 0xff, 0xff, 0xff}, {0x80, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 0}};
    size_t len = 77;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        assert_int_not_equal(el_frame_len(lengths[i], EL_SIDE_REQUEST, 1u << 20, &len), 0);
        assert_int_equal(len, 77);
    }
}

/* The smallest elements that there are take a fixed multiple of their bytes, and no more. */
TEST(cve_2021_32675, many_small_elements_take_a_multiple_of_their_bytes)
{
    enum { COUNT = 4000 };
    static uint8_t body[8 + 2 * COUNT];
    size_t used;
    memset(body, 0, sizeof body);
    body[2] = COUNT >> 8;
    body[3] = COUNT & 0xff;
    struct el_arena arena;
    struct el_reader r;
    struct el_msg_metadata_request ask;
    el_arena_init(&arena, NULL, 0);
    el_reader_init(&r, body, 4 + 2 * COUNT);
    assert_int_equal(el_api_decode(el_api_find(EL_API_Metadata), EL_SIDE_REQUEST, 1, &r, &arena, &ask), 0);
    assert_int_equal(ask.topic_count, COUNT);
    assert_true(arena.used <= (4 + 2 * COUNT) * 32);
    el_arena_reset(&arena);
    /* and no more than there is */
    assert_int_equal(decode(EL_API_Metadata, 1, body, 4 + 2 * COUNT, &used), EVLOG_ERR_NO_MEMORY);
    assert_true(used <= ARENA_MAX);
}
