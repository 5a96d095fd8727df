/* SPDX-License-Identifier: Apache-2.0
 *
 * The fold and the digest of a replay. Goal: state, versions and digest are exactly what docs/semantics.md says,
 * whatever the number of partitions. Method: small histories by hand, digests computed by an independent program
 * (given here as numbers), the same history dealt out in two ways, and every allocation failing once.
 */
#include "../../../client/replay_fold.h"
#include "../../lib/test.h"

#include <core/crypto.h>
#include <core/rng.h>
#include <evlog/error.h>
#include <stdio.h>
#include <string.h>

#define NULL_SLICE ((struct el_slice){NULL, 0})

static struct el_fold_event event(const char *key, const char *id, const char *value)
{
    return (struct el_fold_event){
        .key = key == NULL ? NULL_SLICE : el_slice_str(key),
        .id = id == NULL ? NULL_SLICE : el_slice_str(id),
        .value = value == NULL ? NULL_SLICE : el_slice_str(value),
        .data = value == NULL ? NULL_SLICE : el_slice_str(value),
    };
}

static int64_t add(struct el_fold *fold, struct el_fold_event e)
{
    int64_t version = -2;
    assert_int_equal(el_fold_add(fold, &e, &version), 0);
    return version;
}

static void expect_digest(struct el_fold *fold, const char *hex)
{
    uint8_t digest[32];
    char text[65];
    assert_int_equal(el_fold_finish(fold, digest), 0);
    el_hex(text, digest, sizeof digest);
    assert_string_equal(text, hex);
}

TEST(fold, digest_of_nothing_is_that_of_no_bytes)
{
    struct el_fold fold;
    el_fold_init(&fold, &(struct el_fold_options){0});
    expect_digest(&fold, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(fold.key_count, 0);
    el_fold_destroy(&fold);
}

/* Null id, null value, empty key, and two partitions of events without a key. */
TEST(fold, digest_is_the_one_of_the_specification)
{
    struct el_fold fold;
    el_fold_init(&fold, &(struct el_fold_options){0});
    assert_int_equal(add(&fold, event("b", "e1", "one")), 0);
    assert_int_equal(add(&fold, event("a", "e2", "two")), 0);
    assert_int_equal(add(&fold, event("b", "e3", NULL)), 1);
    assert_int_equal(add(&fold, event("", NULL, "")), 0);
    struct el_fold_event keyless = event(NULL, "x", "v");
    keyless.partition = 3;
    assert_int_equal(add(&fold, keyless), -1);
    keyless = event(NULL, NULL, "w");
    keyless.partition = 1;
    add(&fold, keyless);
    keyless = event(NULL, "y", "z");
    keyless.partition = 3;
    add(&fold, keyless);
    expect_digest(&fold, "65bce4694de83513df6fdc17aefd77b4b5c868fe8c42f380c53a25ae93d819ab");
    assert_int_equal(fold.event_count, 7);
    assert_int_equal(fold.keyless_count, 3);
    assert_int_equal(fold.key_count, 5);
    el_fold_destroy(&fold);
}

TEST(fold, event_passed_over_raises_the_version_only)
{
    struct el_fold fold;
    el_fold_init(&fold, &(struct el_fold_options){.keep_latest = true});
    struct el_fold_event outside = event("k", "id", "early");
    assert_int_equal(el_fold_pass(&fold, &outside), 0);
    assert_int_equal(el_fold_pass(&fold, &outside), 0);
    outside = event("other", "id", "never");
    assert_int_equal(el_fold_pass(&fold, &outside), 0);
    assert_int_equal(add(&fold, event("k", "id", "v")), 2);
    expect_digest(&fold, "850a83b32f2dbc306dc14c1a678f4a9a7cafee04bcd798fe03f4e0ee1551d6a0");
    assert_int_equal(fold.key_count, 1);
    el_fold_destroy(&fold);
}

/* The live keys as "key=value@version;" in the order they come. */
static void expect_live(struct el_fold *fold, const char *expected)
{
    char text[512] = "";
    uint8_t digest[32];
    size_t cursor = 0;
    struct el_fold_event e;
    int64_t version;
    assert_int_equal(el_fold_finish(fold, digest), 0);
    while (el_fold_live(fold, &cursor, &e, &version)) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, "%.*s=%.*s@%d;", (int)e.key.len, (const char *)e.key.data,
                       (int)e.value.len, (const char *)e.value.data, (int)version);
    }
    assert_string_equal(text, expected);
}

TEST(fold, latest_event_of_each_key_in_byte_order)
{
    struct el_fold fold;
    el_fold_init(&fold, &(struct el_fold_options){.keep_latest = true});
    add(&fold, event("b", NULL, "1"));
    add(&fold, event("ab", NULL, "2"));
    add(&fold, event("a", NULL, "3"));
    add(&fold, event("b", NULL, "a longer value than before, so that the memory must grow"));
    add(&fold, event("\xff", NULL, "4"));
    add(&fold, event(NULL, NULL, "no key: in no state"));
    add(&fold, event("b", NULL, "5"));
    expect_live(&fold, "a=3@0;ab=2@0;b=5@2;\xff=4@0;");
    el_fold_destroy(&fold);
}

TEST(fold, null_value_removes_and_a_later_event_brings_back)
{
    struct el_fold fold;
    el_fold_init(&fold, &(struct el_fold_options){.keep_latest = true});
    add(&fold, event("gone", NULL, "1"));
    add(&fold, event("back", NULL, "1"));
    add(&fold, event("gone", NULL, NULL));
    add(&fold, event("back", NULL, NULL));
    add(&fold, event("back", NULL, "2"));
    expect_live(&fold, "back=2@2;");
    assert_int_equal(fold.key_count, 2);
    el_fold_destroy(&fold);
}

TEST(fold, dropped_type_removes_its_key_and_stays_in_the_digest)
{
    const char *globs[] = {"file.rem*", "x?z"};
    struct el_fold fold;
    el_fold_init(&fold, &(struct el_fold_options){true, globs, 2});
    struct el_fold_event e = event("k", "1", "v");
    e.type = el_slice_str("file.added");
    add(&fold, e);
    e.key = el_slice_str("l");
    add(&fold, e);
    e.type = el_slice_str("file.removed");
    add(&fold, e);
    e.type = NULL_SLICE; /* no type matches no glob, not even * */
    e.key = el_slice_str("m");
    add(&fold, e);
    expect_live(&fold, "k=v@0;m=v@0;");
    assert_int_equal(fold.key_count, 3);
    el_fold_destroy(&fold);
}

TEST(fold, place_times_type_and_id_of_the_last_event_are_kept)
{
    struct el_fold fold;
    el_fold_init(&fold, &(struct el_fold_options){.keep_latest = true});
    struct el_fold_event e = event("k", "the id", "{\"envelope\":1}");
    e.type = el_slice_str("the type");
    e.data = el_slice_str("inner");
    e.partition = 7;
    e.offset = 42;
    e.timestamp_ms = 1000;
    e.append_time_ns = 2000;
    add(&fold, e);
    uint8_t digest[32];
    assert_int_equal(el_fold_finish(&fold, digest), 0);
    size_t cursor = 0;
    struct el_fold_event got;
    int64_t version;
    assert_true(el_fold_live(&fold, &cursor, &got, &version));
    assert_true(el_slice_eq(got.type, e.type));
    assert_true(el_slice_eq(got.id, e.id));
    assert_true(el_slice_eq(got.value, e.value));
    assert_true(el_slice_eq(got.data, e.data));
    assert_int_equal(got.partition, 7);
    assert_int_equal(got.offset, 42);
    assert_int_equal(got.timestamp_ms, 1000);
    assert_int_equal(got.append_time_ns, 2000);
    assert_false(el_fold_live(&fold, &cursor, &got, &version));
    el_fold_destroy(&fold);
}

TEST(fold, empty_texts_are_not_missing_ones)
{
    struct el_fold fold;
    el_fold_init(&fold, &(struct el_fold_options){.keep_latest = true});
    add(&fold, event("k", "", ""));
    uint8_t digest[32];
    assert_int_equal(el_fold_finish(&fold, digest), 0);
    size_t cursor = 0;
    struct el_fold_event got;
    int64_t version;
    assert_true(el_fold_live(&fold, &cursor, &got, &version));
    assert_non_null(got.id.data);
    assert_null(got.type.data);
    assert_non_null(got.value.data);
    assert_int_equal(got.value.len, 0);
    el_fold_destroy(&fold);
}

/* One history, dealt out to 1 and to 5 partitions by key: each partition in order, partitions one behind the other. */
static void fold_dealt_out(uint32_t partition_count, uint8_t digest[32])
{
    struct el_fold fold;
    el_fold_init(&fold, &(struct el_fold_options){.keep_latest = true});
    for (uint32_t p = 0; p < partition_count; p++) {
        struct el_rng rng;
        el_rng_seed(&rng, 11);
        for (int i = 0; i < 2000; i++) {
            char key[16], id[16], value[32];
            uint32_t k = (uint32_t)el_rng_below(&rng, 97);
            (void)snprintf(key, sizeof key, "key-%u", k);
            (void)snprintf(id, sizeof id, "id-%d", i);
            (void)snprintf(value, sizeof value, "value %d", i);
            if (k % partition_count == p) {
                add(&fold, event(key, id, i % 13 == 0 ? NULL : value));
            }
        }
    }
    assert_int_equal(el_fold_finish(&fold, digest), 0);
    assert_int_equal(fold.event_count, 2000);
    el_fold_destroy(&fold);
}

TEST(fold, digest_is_equal_over_partition_counts)
{
    uint8_t one[32], five[32];
    fold_dealt_out(1, one);
    fold_dealt_out(5, five);
    assert_memory_equal(one, five, sizeof one);
}

TEST_TORTURE(fold, every_allocation_may_fail)
{
    struct el_fold fold;
    uint8_t digest[32];
    int64_t version;
    int rc = 0;
    el_fold_init(&fold, &(struct el_fold_options){.keep_latest = true});
    for (int i = 0; rc == 0 && i < 40; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key-%d", i % 20);
        struct el_fold_event e = event(i % 7 == 0 ? NULL : key, "id", i % 2 == 0 ? "short" : "a much longer value");
        e.partition = i % 3;
        rc = i % 5 == 0 ? el_fold_pass(&fold, &e) : el_fold_add(&fold, &e, &version);
    }
    if (rc == 0) {
        rc = el_fold_finish(&fold, digest);
    }
    assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
    el_fold_destroy(&fold);
}

/* Headers are of the last event, whatever lies beside them, and are in no digest. */
TEST(fold, headers_stay_with_the_last_event)
{
    static const char *const headers[] = {"one", "", "three and longer"};
    uint8_t plain[32], with_headers[32];
    struct el_fold folds[2];
    for (int f = 0; f < 2; f++) {
        el_fold_init(&folds[f], &(struct el_fold_options){.keep_latest = true});
        for (int i = 0; i < 3; i++) {
            struct el_fold_event e = event("k", "id", "value");
            e.data = i == 1 ? el_slice_str("other data") : e.data;
            e.headers = f == 0 ? NULL_SLICE : el_slice_str(headers[i]);
            assert_int_equal(el_fold_version(&folds[f], e.key), (uint64_t)i);
            assert_int_equal(add(&folds[f], e), i);
        }
        assert_int_equal(el_fold_finish(&folds[f], f == 0 ? plain : with_headers), 0);
    }
    assert_memory_equal(plain, with_headers, 32);
    struct el_fold_event e;
    size_t cursor = 0;
    int64_t version;
    assert_true(el_fold_live(&folds[1], &cursor, &e, &version));
    assert_true(el_slice_eq(e.headers, el_slice_str("three and longer")));
    assert_true(el_slice_eq(e.data, el_slice_str("value")));
    assert_int_equal(el_fold_version(&folds[1], el_slice_str("none")), 0);
    el_fold_destroy(&folds[0]);
    el_fold_destroy(&folds[1]);
}

static bool match(const char *pattern, const char *text)
{
    return el_glob_match(pattern, el_slice_str(text));
}

TEST(glob, matches_as_shells_do)
{
    assert_true(match("", ""));
    assert_false(match("", "a"));
    assert_true(match("*", ""));
    assert_true(match("file.*", "file.removed"));
    assert_false(match("file.*", "files"));
    assert_true(match("*.removed", "file.removed.removed"));
    assert_true(match("a*b*c", "axxbxxbxxc"));
    assert_false(match("a*b*c", "axxbxxbxx"));
    assert_true(match("?", "x"));
    assert_false(match("?", ""));
    assert_true(match("[a-c]x", "bx"));
    assert_false(match("[!a-c]x", "bx"));
    assert_true(match("[]x]", "]"));
    assert_false(match("[abc", "a"));
    assert_true(match("\\*", "*"));
    assert_false(match("\\*", "a"));
    assert_true(match("***a", "bba"));
}
