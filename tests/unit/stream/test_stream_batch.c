/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: of a batch exactly what the rules of streams need is read, and what a client may not say is refused with words.
 * Method: batches made record by record, refusals first; hashes compared with those of the parts.
 */
#include <core/alloc.h>
#include <core/arena.h>
#include <stream/stream_batch.h>

#include <stdio.h>
#include <string.h>

#include "test.h"

static const struct stream_secret secret = {.bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9}};
static struct el_batch_builder builder;
static struct stream_batch made;
static const char *why;

static void begin(void)
{
    el_batch_builder_init(&builder, EL_BATCH_OUTPUT_MAX);
}

/* A record with a key (NULL none) and up to three headers by name and value, NULL at the end. */
static void add(const char *key, ...)
{
    struct el_header headers[3];
    size_t count = 0;
    va_list args;
    va_start(args, key);
    for (const char *name = va_arg(args, const char *); name != NULL; name = va_arg(args, const char *)) {
        headers[count++] = (struct el_header){el_slice_str(name), el_slice_str(va_arg(args, const char *))};
    }
    va_end(args);
    struct el_record_body body = {el_slice_str(key), el_slice_str("v"), headers, count};
    assert_int_equal(el_batch_builder_add(&builder, 1000, &body), 0);
}

static int make(int64_t producer_id, bool trusted, struct el_arena *arena)
{
    struct el_batch_origin origin = {producer_id, producer_id < 0 ? -1 : 0, producer_id < 0 ? -1 : 0, 0};
    struct el_slice batch;
    why = NULL;
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, &origin, &batch), 0);
    int code = stream_batch_make(&secret, batch.data, batch.len, NULL, 0, arena, trusted, &made, &why);
    if (code != 0) {
        assert_non_null(why);
    }
    return code;
}

static void end(void)
{
    el_free(made.records);
    made.records = NULL;
    el_batch_builder_destroy(&builder);
}

/* A batch of one record with this header is refused, in words that contain text. */
static void refused_with(const char *key, const char *name, const char *value, const char *text)
{
    begin();
    add(key, name, value, NULL);
    assert_int_equal(make(7, false, NULL), EVLOG_ERR_INVALID_RECORD);
    assert_int_equal(made.failed_index, 0);
    assert_null(made.records);
    if (strstr(why, text) == NULL) {
        print_message("%s\n", why);
        fail();
    }
    end();
}

TEST(stream_batch, refuses_expected_versions_that_say_nothing)
{
    static const char *const words[] = {"",
                                        " ",
                                        "None",
                                        "none ",
                                        "-1",
                                        "+1",
                                        "01",
                                        "1 ",
                                        "0x1",
                                        "1e3",
                                        "two",
                                        "exists1",
                                        "9223372036854775808",
                                        "99999999999999999999",
                                        NULL};
    for (uint32_t i = 0; words[i] != NULL; i++) {
        refused_with("k", STREAM_HEADER_EXPECTED, words[i], "must be none, any, exists or a version number");
    }
    refused_with("k", STREAM_HEADER_EXPECTED, NULL, "must be none, any, exists or a version number");
}

TEST(stream_batch, refuses_an_expected_version_twice)
{
    begin();
    add("k", NULL);
    add("k", STREAM_HEADER_EXPECTED, "1", STREAM_HEADER_EXPECTED, "1", NULL);
    assert_int_equal(make(7, false, NULL), EVLOG_ERR_INVALID_RECORD);
    assert_int_equal(made.failed_index, 1);
    assert_non_null(strstr(why, "twice"));
    end();
}

TEST(stream_batch, refuses_an_expected_version_without_a_key)
{
    refused_with(NULL, STREAM_HEADER_EXPECTED, "none", "without a key");
}

TEST(stream_batch, refuses_an_expected_version_whose_retry_nobody_could_tell)
{
    begin();
    add("k", STREAM_HEADER_EXPECTED, "none", NULL);
    assert_int_equal(make(-1, false, NULL), EVLOG_ERR_INVALID_RECORD);
    assert_non_null(strstr(why, "ce_id"));
    end();
    begin();
    add("k", STREAM_HEADER_EXPECTED, "none", STREAM_HEADER_ID, "", NULL); /* an empty id is none */
    assert_int_equal(make(-1, false, NULL), EVLOG_ERR_INVALID_RECORD);
    end();
    begin();
    add("k", STREAM_HEADER_EXPECTED, "none", STREAM_HEADER_ID, "1", NULL);
    assert_int_equal(make(-1, false, NULL), 0);
    end();
    begin();
    add("k", STREAM_HEADER_EXPECTED, "none", NULL);
    assert_int_equal(make(0, false, NULL), 0);
    end();
}

TEST(stream_batch, refuses_tombstones_of_clients)
{
    refused_with("k", STREAM_HEADER_DELETED, "soft", "not for clients");
    refused_with("k", STREAM_HEADER_DELETED, "hard", "not for clients");
    refused_with("k", STREAM_HEADER_DELETED, "", "not for clients");
}

TEST(stream_batch, refuses_what_is_too_long)
{
    static char text[EL_STREAM_KEY_MAX + 2];
    memset(text, 'x', EL_STREAM_KEY_MAX + 1);
    refused_with(text, "h", "v", "key is longer");
    refused_with("k", STREAM_HEADER_ID, text, "ce_id");
    refused_with("k", STREAM_HEADER_TYPE, text, "ce_type");
    text[EL_STREAM_KEY_MAX] = '\0';
    begin();
    add(text, STREAM_HEADER_ID, text, STREAM_HEADER_TYPE, text, NULL);
    assert_int_equal(make(7, false, NULL), 0);
    assert_int_equal(made.records[0].key_bytes.len, EL_STREAM_KEY_MAX);
    end();
    text[EL_STREAM_KEY_MAX] = 'x';
}

TEST(stream_batch, refuses_too_many_records)
{
    begin();
    for (uint32_t i = 0; i < EL_STREAM_RECORDS_MAX; i++) {
        add("k", NULL);
    }
    assert_int_equal(make(7, false, NULL), 0);
    assert_int_equal(made.record_count, EL_STREAM_RECORDS_MAX);
    el_free(made.records);
    add("k", NULL);
    assert_int_equal(make(7, false, NULL), EVLOG_ERR_TOO_LARGE);
    assert_non_null(strstr(why, "16384"));
    end();
}

TEST(stream_batch, refuses_what_it_cannot_open)
{
    uint8_t bytes[EL_BATCH_HEADER_LEN] = {0};
    assert_int_not_equal(stream_batch_make(&secret, bytes, 3, NULL, 0, NULL, false, &made, &why), 0);
    assert_int_not_equal(stream_batch_make(&secret, bytes, sizeof(bytes), NULL, 0, NULL, false, &made, &why), 0);
    assert_null(made.records);
}

TEST(stream_batch, reads_every_expected_version)
{
    static const struct {
        const char *text;
        int64_t expected;
    } cases[] = {{"none", STREAM_NONE},
                 {"any", STREAM_ANY},
                 {"exists", STREAM_EXISTS},
                 {"0", 0},
                 {"7", 7},
                 {"9223372036854775807", INT64_MAX}};
    begin();
    for (uint32_t i = 0; i < 6; i++) {
        add("k", STREAM_HEADER_EXPECTED, cases[i].text, NULL);
    }
    add("k", NULL);
    assert_int_equal(make(7, false, NULL), 0);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(made.records[i].expected, cases[i].expected);
    }
    assert_int_equal(made.records[6].expected, STREAM_ANY);
    end();
}

TEST(stream_batch, tells_records_apart)
{
    begin();
    add("a", STREAM_HEADER_ID, "1", STREAM_HEADER_TYPE, "t", NULL);
    add("b", STREAM_HEADER_ID, "1", STREAM_HEADER_TYPE, "t", NULL);
    add(NULL, STREAM_HEADER_ID, "1", STREAM_HEADER_TYPE, "t", NULL);
    add("", NULL);
    add("t", NULL);
    assert_int_equal(make(-1, false, NULL), 0);
    const struct stream_record *r = made.records;
    assert_int_equal(made.record_count, 5);
    assert_int_equal(made.failed_index, -1);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(r[i].offset_delta, i);
    }
    assert_int_equal(r[0].flags, STREAM_RECORD_KEY | STREAM_RECORD_ID | STREAM_RECORD_TYPE);
    assert_int_equal(r[2].flags, STREAM_RECORD_TYPE); /* an id is of a stream */
    assert_int_equal(r[3].flags, STREAM_RECORD_KEY);  /* the empty key is one */
    assert_true(r[0].id.low != r[1].id.low);
    assert_true(r[0].type.low == r[1].type.low);
    assert_true(r[4].key.low != r[0].type.low); /* a key and a type of the same bytes */
    assert_true(el_slice_eq(r[1].key_bytes, el_slice_str("b")));
    struct el_hash128 key = stream_hash_key(&secret, el_slice_str("b"));
    struct el_hash128 id = stream_hash_id(&secret, el_slice_str("b"), el_slice_str("1"));
    assert_memory_equal(&key, &r[1].key, sizeof(key));
    assert_memory_equal(&id, &r[1].id, sizeof(id));
    end();
}

TEST(stream_batch, an_id_does_not_run_into_its_key)
{
    struct el_hash128 a = stream_hash_id(&secret, el_slice_str("ab"), el_slice_str("c"));
    struct el_hash128 b = stream_hash_id(&secret, el_slice_str("a"), el_slice_str("bc"));
    assert_true(a.low != b.low || a.high != b.high);
    struct stream_secret other;
    for (uint32_t i = 0; i < sizeof(other.bytes); i++) {
        other.bytes[i] = (uint8_t)(i * 7 + 3);
    }
    struct el_hash128 c = stream_hash_id(&other, el_slice_str("ab"), el_slice_str("c"));
    assert_true(a.low != c.low || a.high != c.high);
}

TEST(stream_batch, takes_the_last_id_and_type)
{
    begin();
    add("k", STREAM_HEADER_ID, "1", STREAM_HEADER_ID, "2", NULL);
    assert_int_equal(make(-1, false, NULL), 0);
    struct el_hash128 id = stream_hash_id(&secret, el_slice_str("k"), el_slice_str("2"));
    assert_memory_equal(&id, &made.records[0].id, sizeof(id));
    end();
}

TEST(stream_batch, keeps_the_key_of_following_records_once)
{
    begin();
    add("same", NULL);
    add("same", NULL);
    add(NULL, NULL);
    add("same", NULL);
    assert_int_equal(make(7, false, NULL), 0);
    assert_ptr_equal(made.records[0].key_bytes.data, made.records[1].key_bytes.data);
    assert_ptr_not_equal(made.records[0].key_bytes.data, made.records[3].key_bytes.data);
    assert_memory_equal(&made.records[0].key, &made.records[3].key, sizeof(struct el_hash128));
    end();
}

TEST(stream_batch, obeys_tombstones_of_its_own_only)
{
    begin();
    add("k", STREAM_HEADER_DELETED, "soft", NULL);
    add("k", STREAM_HEADER_DELETED, "hard", NULL);
    add("k", STREAM_HEADER_DELETED, "gone", NULL);
    add(NULL, STREAM_HEADER_DELETED, "soft", NULL);
    add("k", STREAM_HEADER_EXPECTED, "nonsense", NULL);
    assert_int_equal(make(-1, true, NULL), 0);
    assert_int_equal(made.records[0].flags, STREAM_RECORD_KEY | STREAM_RECORD_SOFT);
    assert_int_equal(made.records[1].flags, STREAM_RECORD_KEY | STREAM_RECORD_HARD);
    assert_int_equal(made.records[2].flags, STREAM_RECORD_KEY);
    assert_int_equal(made.records[3].flags, 0);
    assert_int_equal(made.records[4].expected, STREAM_ANY);
    end();
}

TEST(stream_batch, outlives_the_batch_in_an_arena)
{
    struct el_buddy buddy;
    struct el_arena arena;
    assert_int_equal(el_buddy_init(&buddy, 1 << 20, NULL), 0);
    el_arena_init(&arena, &buddy, 64 << 10);
    begin();
    add("first", STREAM_HEADER_ID, "1", NULL);
    assert_int_equal(make(-1, false, &arena), 0);
    el_batch_builder_destroy(&builder);
    assert_true(el_slice_eq(made.records[0].key_bytes, el_slice_str("first")));
    begin();
    for (int i = 0; i < 2000; i++) {
        add("first", NULL);
    }
    assert_int_equal(make(-1, false, &arena), EVLOG_ERR_NO_MEMORY); /* above the arena's limit */
    made.records = NULL;
    end();
    el_arena_reset(&arena);
    assert_int_equal(buddy.used, 0);
    el_buddy_destroy(&buddy);
}

TEST_TORTURE(stream_batch, survives_without_memory)
{
    uint8_t bytes[512];
    struct el_slice batch;
    struct el_batch_builder fixed;
    struct el_record_body body = {.key = el_slice_str("k"), .value = el_slice_str("v")};
    el_batch_builder_init_fixed(&fixed, bytes, sizeof(bytes));
    assert_int_equal(el_batch_builder_add(&fixed, 1, &body), 0);
    assert_int_equal(el_batch_builder_finish(&fixed, EL_CODEC_NONE, NULL, &batch), 0);
    int code = stream_batch_make(&secret, batch.data, batch.len, NULL, 0, NULL, false, &made, &why);
    assert_true(code == 0 || (code == EVLOG_ERR_NO_MEMORY && el_test_failing()));
    if (code == 0) {
        el_free(made.records);
    }
    made.records = NULL;
}
