/* SPDX-License-Identifier: Apache-2.0 */
#include "store_cases.h"
#include "../../lib/test.h"

#include <core/crypto.h>
#include <stdio.h>

static const char *const bad_keys[] = {"",     "/",      "/a",   "a/",    "a//b",   ".",    "..",       "../a",
                                       "a/..", "a/../b", "./a",  "a/./b", "a/b/..", "a b",  "a\\b",     "a\nb",
                                       "~put", "~put/x", "a/~b", "a:b",   "a%2fb",  "a*",   "\xc3\xa4", "a?b",
                                       "a#b",  "a&b",    "a+b",  "a=b",   "a\x7f",  "a\x01"};

int store_put_text(struct object_store *store, const char *key, const char *text)
{
    uint8_t sha256[32];
    el_sha256(text, strlen(text), sha256);
    return object_put(store, key, text, strlen(text), sha256, NULL);
}

void store_refuses_bad_keys(struct object_store *store)
{
    char buf[8], longest[OBJECT_KEY_MAX + 2];
    uint64_t done;
    struct object_info info;
    for (size_t i = 0; i < sizeof bad_keys / sizeof bad_keys[0]; i++) {
        struct el_error err = {.code = 0};
        assert_int_equal(object_put(store, bad_keys[i], "x", 1, (const uint8_t[32]){0}, &err), EVLOG_ERR_ARGUMENT);
        assert_int_equal(err.code, EVLOG_ERR_ARGUMENT);
        assert_int_equal(object_get(store, bad_keys[i], 0, buf, 8, &done, NULL), EVLOG_ERR_ARGUMENT);
        assert_int_equal(object_head(store, bad_keys[i], &info, NULL), EVLOG_ERR_ARGUMENT);
        assert_int_equal(object_remove(store, bad_keys[i], NULL), EVLOG_ERR_ARGUMENT);
    }
    for (size_t i = 0; i < sizeof longest - 1; i++) {
        longest[i] = i % 100 == 99 ? '/' : 'k';
    }
    longest[OBJECT_KEY_MAX + 1] = '\0';
    assert_int_equal(object_head(store, longest, &info, NULL), EVLOG_ERR_ARGUMENT);
    longest[OBJECT_KEY_MAX] = '\0';
    assert_int_equal(store_put_text(store, longest, "long"), 0);
    assert_string_equal(store_keys(store, "kkk", NULL), longest);
    assert_int_equal(object_remove(store, longest, NULL), 0);
}

void store_keeps_what_was_put(struct object_store *store)
{
    char buf[16];
    uint64_t done = 99;
    struct object_info info;
    struct el_error err;
    uint8_t sha256[32];
    assert_int_equal(object_get(store, "a/b", 0, buf, 16, &done, &err), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(done, 99);
    assert_non_null(strstr(err.text, "a/b"));
    assert_int_equal(object_head(store, "a/b", &info, NULL), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(object_remove(store, "a/b", NULL), 0);
    assert_int_equal(store_put_text(store, "a/b", "hello"), 0);
    assert_int_equal(store_put_text(store, "a/b", "hello"), EVLOG_ERR_EXISTS);
    assert_int_equal(store_put_text(store, "a/b", "other"), EVLOG_ERR_EXISTS);

    assert_int_equal(object_get(store, "a/b", 0, buf, 16, &done, NULL), 0);
    assert_int_equal(done, 5);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(object_get(store, "a/b", 1, buf, 3, &done, NULL), 0);
    assert_int_equal(done, 3);
    assert_memory_equal(buf, "ell", 3);
    assert_int_equal(object_get(store, "a/b", 5, buf, 3, &done, NULL), 0);
    assert_int_equal(done, 0);
    assert_int_equal(object_get(store, "a/b", UINT64_MAX, buf, 3, &done, NULL), 0);
    assert_int_equal(done, 0);
    assert_int_equal(object_get(store, "a/b", 2, buf, 0, &done, NULL), 0);
    assert_int_equal(done, 0);
    assert_int_equal(object_get(store, "a", 0, buf, 3, &done, NULL), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(object_get(store, "a/c/b", 0, buf, 3, &done, NULL), EVLOG_ERR_NOT_FOUND);

    assert_int_equal(object_head(store, "a/b", &info, NULL), 0);
    el_sha256("hello", 5, sha256);
    assert_int_equal(info.len, 5);
    assert_true(info.has_sha256);
    assert_memory_equal(info.sha256, sha256, 32);
    assert_true(info.modified_ms > 1600000000000);

    assert_int_equal(store_put_text(store, "empty", ""), 0);
    assert_int_equal(object_get(store, "empty", 0, buf, 3, &done, NULL), 0);
    assert_int_equal(done, 0);
    assert_int_equal(object_head(store, "empty", &info, NULL), 0);
    assert_int_equal(info.len, 0);
    assert_int_equal(object_remove(store, "a/b", NULL), 0);
    assert_int_equal(object_head(store, "a/b", &info, NULL), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(object_remove(store, "empty", NULL), 0);
    assert_string_equal(store_keys(store, "", NULL), "");
}

struct keys {
    char text[1024];
    size_t len;
    size_t left; /* calls until false is returned */
};

static bool take_key(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    struct keys *keys = arg;
    assert_true(modified_ms > 0);
    (void)len;
    keys->len += (size_t)snprintf(keys->text + keys->len, sizeof keys->text - keys->len, "%s%s",
                                  keys->len > 0 ? " " : "", key);
    assert_true(keys->len < sizeof keys->text);
    return --keys->left > 0;
}

const char *store_keys(struct object_store *store, const char *prefix, const char *after)
{
    static struct keys keys;
    keys = (struct keys){.left = SIZE_MAX};
    assert_int_equal(object_list(store, prefix, after, take_key, &keys, NULL), 0);
    return keys.text;
}

void store_lists_in_order(struct object_store *store)
{
    static const char *const keys[] = {"b", "a/y", "a0", "a-b", "a/x/2", "a.c", "a/x-1", "A/z", "a/x/10", "a/x0"};
    assert_string_equal(store_keys(store, "", NULL), "");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_int_equal(store_put_text(store, keys[i], keys[i]), 0);
    }
    assert_string_equal(store_keys(store, "", NULL), "A/z a-b a.c a/x-1 a/x/10 a/x/2 a/x0 a/y a0 b");
    assert_string_equal(store_keys(store, "a/", NULL), "a/x-1 a/x/10 a/x/2 a/x0 a/y");
    assert_string_equal(store_keys(store, "a", "a/x/10"), "a/x/2 a/x0 a/y a0");
    assert_string_equal(store_keys(store, "a/x", ""), "a/x-1 a/x/10 a/x/2 a/x0");
    assert_string_equal(store_keys(store, "a/x/", "a/x/"), "a/x/10 a/x/2");
    assert_string_equal(store_keys(store, "a/x/1", NULL), "a/x/10");
    assert_string_equal(store_keys(store, "", "a/x"), "a/x-1 a/x/10 a/x/2 a/x0 a/y a0 b");
    assert_string_equal(store_keys(store, "", "a/x/3"), "a/x0 a/y a0 b");
    assert_string_equal(store_keys(store, "", "b"), "");
    assert_string_equal(store_keys(store, "a/x/", "b"), "");
    assert_string_equal(store_keys(store, "b", "a"), "b");
    assert_string_equal(store_keys(store, "c/d", NULL), "");
    assert_string_equal(store_keys(store, "c/", NULL), "");
    assert_string_equal(store_keys(store, "../", NULL), "");
    assert_string_equal(store_keys(store, "/", NULL), "");
    assert_string_equal(store_keys(store, "a//", NULL), "");
    static struct keys some;
    some = (struct keys){.left = 3};
    assert_int_equal(object_list(store, "a/", NULL, take_key, &some, NULL), 0);
    assert_string_equal(some.text, "a/x-1 a/x/10 a/x/2");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_int_equal(object_remove(store, keys[i], NULL), 0);
    }
}

void store_stops(struct object_store *store)
{
    char buf[8];
    uint64_t done;
    struct object_info info;
    struct keys keys = {.left = 1};
    assert_int_equal(store_put_text(store, "a", "b"), 0);
    object_store_stop(store);
    assert_int_equal(store_put_text(store, "b", "b"), EVLOG_ERR_CLOSED);
    assert_int_equal(object_get(store, "a", 0, buf, 8, &done, NULL), EVLOG_ERR_CLOSED);
    assert_int_equal(object_head(store, "a", &info, NULL), EVLOG_ERR_CLOSED);
    assert_int_equal(object_list(store, "", NULL, take_key, &keys, NULL), EVLOG_ERR_CLOSED);
    assert_int_equal(object_remove(store, "a", NULL), EVLOG_ERR_CLOSED);
}
