/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what a single try leaves open is settled: an object is put once, another one under its name is a conflict.
 * Method: the store in memory with faults by the script; it is held to the same rules as the others.
 */
#include "../../lib/mem_store.h"
#include "../../lib/test.h"
#include "store_cases.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <stdio.h>

static int put_once(struct mem_store *store, const char *key, const char *text, struct el_error *err)
{
    uint8_t sha256[32];
    el_sha256(text, strlen(text), sha256);
    return object_put_once(&store->base, key, text, strlen(text), sha256, err);
}

TEST(object_open, refuses_what_names_no_store)
{
    static const char *const bad[] = {"",
                                      "dir",
                                      "/dir",
                                      "file:/dir",
                                      "file://host/dir",
                                      "file://",
                                      "http://host/x",
                                      "user:secret@host",
                                      "gs://bucket/x",
                                      "FILE:///dir"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct object_store *store = NULL;
        struct el_error err = {.code = 0};
        assert_int_equal(object_store_open(bad[i], false, &store, &err), EVLOG_ERR_ARGUMENT);
        assert_null(store);
        assert_non_null(strstr(err.text, "file:///DIR"));
    }
}

TEST(object_open, opens_a_directory)
{
    char url[512];
    struct object_store *store;
    (void)snprintf(url, sizeof url, "file://%s", el_test_dir());
    assert_int_equal(object_store_open(url, false, &store, NULL), 0);
    assert_string_equal(store->url, url);
    object_store_close(store);
}

TEST(mem_store, follows_the_rules)
{
    struct mem_store *store = mem_store_open();
    store_refuses_bad_keys(&store->base);
    store_keeps_what_was_put(&store->base);
    store_lists_in_order(&store->base);
    store_stops(&store->base);
    mem_store_reopen(store);
    assert_string_equal(store_keys(&store->base, "", NULL), "a");
    struct mem_store *copy = mem_store_copy(store);
    object_store_close(&store->base);
    assert_string_equal(store_keys(&copy->base, "", NULL), "a");
    object_store_close(&copy->base);
}

/* --- put once ----------------------------------------------------------------------------------------------------- */

TEST(put_once, names_another_object_under_the_key)
{
    struct mem_store *store = mem_store_open();
    struct el_error err;
    assert_int_equal(put_once(store, "a", "first", &err), 0);
    assert_int_equal(put_once(store, "a", "other", &err), EVLOG_ERR_CONFLICT);
    assert_non_null(strstr(err.text, "nothing was overwritten"));
    assert_int_equal(put_once(store, "a", "longer one", &err), EVLOG_ERR_CONFLICT);
    store->no_sha256 = true;
    assert_int_equal(put_once(store, "a", "other", &err), EVLOG_ERR_CONFLICT);
    assert_memory_equal(mem_store_find(store, "a")->data, "first", 5);
    object_store_close(&store->base);
}

TEST(put_once, takes_the_same_object_for_its_own)
{
    struct mem_store *store = mem_store_open();
    assert_int_equal(put_once(store, "a", "first", NULL), 0);
    assert_int_equal(put_once(store, "a", "first", NULL), 0);
    store->no_sha256 = true;
    assert_int_equal(put_once(store, "a", "first", NULL), 0);
    assert_true(store->calls[MEM_GET] > 0);
    object_store_close(&store->base);
}

TEST(put_once, looks_when_the_answer_was_lost)
{
    struct mem_store *store = mem_store_open();
    struct el_error err;
    mem_store_fault(store, (struct mem_fault){.call = MEM_PUT, .key_part = "a", .count = 1, .effect = MEM_LOST});
    assert_int_equal(put_once(store, "a", "first", &err), 0);
    assert_int_equal(store->calls[MEM_PUT], 1);
    mem_store_fault(store,
                    (struct mem_fault){
                        .call = MEM_PUT, .key_part = "b", .count = 1, .effect = MEM_FAIL, .code = EVLOG_ERR_IN_DOUBT});
    assert_int_equal(put_once(store, "b", "first", &err), EVLOG_ERR_AGAIN);
    assert_int_equal(put_once(store, "b", "first", &err), 0);
    mem_store_fault(store, (struct mem_fault){.call = MEM_PUT, .key_part = "c", .count = 1, .effect = MEM_PART});
    assert_int_equal(put_once(store, "c", "first", &err), EVLOG_ERR_CONFLICT);
    object_store_close(&store->base);
}

TEST(put_once, hands_on_what_the_store_says)
{
    static const int codes[] = {EVLOG_ERR_AGAIN, EVLOG_ERR_POLICY, EVLOG_ERR_NO_SPACE, EVLOG_ERR_CLOSED};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct mem_store *store = mem_store_open();
        mem_store_fault(store, (struct mem_fault){.call = MEM_PUT, .count = 1, .effect = MEM_FAIL, .code = codes[i]});
        assert_int_equal(put_once(store, "a", "x", NULL), codes[i]);
        mem_store_fault(store, (struct mem_fault){.call = MEM_HEAD, .count = 1, .effect = MEM_FAIL, .code = codes[i]});
        assert_int_equal(put_once(store, "a", "x", NULL), 0);
        assert_int_equal(put_once(store, "a", "x", NULL), codes[i]);
        object_store_close(&store->base);
    }
}

/* --- get all ------------------------------------------------------------------------------------------------------ */

TEST(get_all, refuses_more_than_is_allowed)
{
    struct mem_store *store = mem_store_open();
    static uint8_t data[200000];
    uint8_t *got = NULL;
    uint64_t len = 7;
    assert_int_equal(object_get_all(&store->base, "a", 10, &got, &len, NULL), EVLOG_ERR_NOT_FOUND);
    static const uint64_t lens[] = {1, 10, 65535, 65536, 65537, 200000};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        assert_int_equal(mem_store_set(store, "a", data, lens[i]), 0);
        assert_int_equal(object_get_all(&store->base, "a", lens[i] - 1, &got, &len, NULL), EVLOG_ERR_LIMIT);
        assert_null(got);
        assert_int_equal(len, 7);
    }
    object_store_close(&store->base);
}

TEST(get_all, says_what_is_missing)
{
    struct mem_store *store = mem_store_open();
    static uint8_t data[200000];
    uint8_t *got = NULL;
    uint64_t len;
    assert_int_equal(mem_store_set(store, "a", data, sizeof data), 0);
    mem_store_fault(store, (struct mem_fault){.call = MEM_GET, .skip = 1, .count = 1, .effect = MEM_SHORT});
    assert_int_equal(object_get_all(&store->base, "a", sizeof data, &got, &len, NULL), EVLOG_ERR_TRUNCATED);
    assert_null(got);
    object_store_close(&store->base);
}

TEST_TORTURE(get_all, reads_any_length)
{
    struct mem_store *store = mem_store_open();
    static uint8_t data[200000];
    static const uint64_t lens[] = {0, 1, 65535, 65536, 65537, 200000};
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i % 251);
    }
    for (size_t i = 0; store != NULL && i < sizeof lens / sizeof lens[0]; i++) {
        uint8_t *got = NULL;
        uint64_t len = 0;
        int rc = mem_store_set(store, "a", data, lens[i]);
        rc = rc == 0 ? object_get_all(&store->base, "a", sizeof data, &got, &len, NULL) : rc;
        if (rc != 0) {
            assert_true(el_test_failing() && rc == EVLOG_ERR_NO_MEMORY);
            continue;
        }
        assert_int_equal(len, lens[i]);
        assert_memory_equal(got, data, len);
        el_free(got);
    }
    object_store_close(store == NULL ? NULL : &store->base);
}
