/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a directory is a store that never shows a half-written object, never overwrites one, and has on the device what
 * it has acknowledged.
 * Method: refusals by real files of every kind; each call to the system fails in turn, and every answer must agree with
 * what a look from outside finds; the order of syncs is read off a log of the calls.
 */
#include "../../lib/test.h"
#include "store_cases.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <store/dir_store.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[PATH_MAX];

static struct object_store *open_new(void)
{
    struct object_store *store = NULL;
    (void)snprintf(root, sizeof root, "%s", el_test_dir());
    assert_int_equal(dir_store_open(root, false, "file:///test", &store, NULL), 0);
    return store;
}

static const char *path_of(const char *name)
{
    static char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static size_t found_count;

static int count_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    found_count += kind == FTW_F;
    return 0;
}

static size_t files_in(const char *name)
{
    found_count = 0;
    (void)nftw(path_of(name), count_file, 16, FTW_PHYS);
    return found_count;
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(dir_store, refuses_bad_keys)
{
    struct object_store *store = open_new();
    store_refuses_bad_keys(store);
    object_store_close(store);
}

TEST(dir_store, refuses_what_is_no_directory)
{
    struct object_store *store = NULL;
    struct el_error err;
    (void)snprintf(root, sizeof root, "%s", el_test_dir());
    assert_int_equal(dir_store_open("relative/path", true, "x", &store, &err), EVLOG_ERR_ARGUMENT);
    assert_int_equal(dir_store_open(path_of("none"), false, "x", &store, &err), EVLOG_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "none"));
    assert_int_equal(close(creat(path_of("file"), 0600)), 0);
    assert_int_equal(dir_store_open(path_of("file"), true, "x", &store, &err), EVLOG_ERR_IO);
    assert_int_equal(dir_store_open(path_of("file/below"), true, "x", &store, &err), EVLOG_ERR_IO);
    assert_null(store);
    assert_int_equal(dir_store_open(path_of("made/below"), true, "x", &store, &err), 0);
    object_store_close(store);
}

TEST(dir_store, follows_no_symbolic_link_and_waits_for_no_pipe)
{
    struct object_store *store = open_new();
    char buf[8];
    uint64_t done;
    assert_int_equal(symlink("/etc", path_of("etc")), 0);
    assert_int_equal(symlink("/etc/passwd", path_of("passwd")), 0);
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    assert_int_equal(object_get(store, "etc/passwd", 0, buf, 8, &done, NULL), EVLOG_ERR_POLICY);
    assert_int_equal(object_get(store, "passwd", 0, buf, 8, &done, NULL), EVLOG_ERR_IO);
    assert_int_equal(object_get(store, "pipe", 0, buf, 8, &done, NULL), EVLOG_ERR_CORRUPT);
    assert_int_equal(store_put_text(store, "etc/evlog-test", "x"), EVLOG_ERR_POLICY);
    assert_int_equal(store_put_text(store, "passwd", "x"), EVLOG_ERR_POLICY);
    assert_int_equal(store_put_text(store, "pipe", "x"), EVLOG_ERR_POLICY);
    assert_string_equal(store_keys(store, "", NULL), "");
    assert_int_equal(mkdir(path_of("folder"), 0700), 0);
    assert_int_equal(object_get(store, "folder", 0, buf, 8, &done, NULL), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(store_put_text(store, "folder", "x"), EVLOG_ERR_POLICY);
    assert_int_equal(object_remove(store, "folder", NULL), 0);
    assert_int_equal(access(path_of("folder"), F_OK), 0);
    object_store_close(store);
}

TEST(dir_store, lists_only_what_has_a_keys_name)
{
    struct object_store *store = open_new();
    assert_int_equal(store_put_text(store, "good/one", "x"), 0);
    static const char *const others[] = {"~x", "a b", "good/x~", "a:b"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(close(creat(path_of(others[i]), 0600)), 0);
    }
    assert_string_equal(store_keys(store, "", NULL), "good/one");
    object_store_close(store);
}

/* --- what it does ------------------------------------------------------------------------------------------------- */

TEST(dir_store, keeps_what_was_put)
{
    struct object_store *store = open_new();
    store_keeps_what_was_put(store);
    object_store_close(store);
}

TEST(dir_store, lists_in_byte_order_of_whole_keys)
{
    struct object_store *store = open_new();
    store_lists_in_order(store);
    object_store_close(store);
}

TEST(dir_store, stops)
{
    struct object_store *store = open_new();
    store_stops(store);
    object_store_close(store);
}

TEST_TORTURE(dir_store, says_when_memory_is_short)
{
    struct object_store *store = NULL;
    struct object_info info;
    (void)snprintf(root, sizeof root, "%s", el_test_dir());
    int rc = dir_store_open(root, false, "file:///test", &store, NULL);
    if (rc != 0) {
        assert_true(el_test_failing() && rc == EVLOG_ERR_NO_MEMORY);
        return;
    }
    assert_int_equal(store_put_text(store, "a/b", "text"), 0);
    rc = object_head(store, "a/b", &info, NULL);
    assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
    object_store_close(store);
}

struct seen {
    char key[64];
};

static bool see(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    (void)snprintf(((struct seen *)arg)->key, 64, "%s", key);
    return true;
}

TEST_TORTURE(dir_store, lists_all_or_says_when_memory_is_short)
{
    struct object_store *store = NULL;
    struct seen seen = {""};
    (void)snprintf(root, sizeof root, "%s", el_test_dir());
    int rc = dir_store_open(root, false, "file:///test", &store, NULL);
    if (rc != 0) {
        return;
    }
    assert_int_equal(store_put_text(store, "a/b/c", "text"), 0);
    rc = object_list(store, "", NULL, see, &seen, NULL);
    assert_true(rc == 0 ? strcmp(seen.key, "a/b/c") == 0 : el_test_failing() && rc == EVLOG_ERR_NO_MEMORY);
    object_store_close(store);
}

/* --- faults ------------------------------------------------------------------------------------------------------- */

static char steps[1024];       /* names of calls, each with a blank behind it */
static int fail_at, fail_with; /* the n-th call from now, 0 for none */

static int note_step(const char *step)
{
    size_t len = strlen(steps);
    (void)snprintf(steps + len, sizeof steps - len, "%s ", step);
    return fail_at > 0 && --fail_at == 0 ? fail_with : 0;
}

static void hook(int at, int with)
{
    steps[0] = '\0';
    fail_at = at;
    fail_with = with;
    dir_store_hook = note_step;
}

TEST(dir_store, syncs_file_and_folders_before_it_says_that_it_is_there)
{
    struct object_store *store = open_new();
    hook(0, 0);
    assert_int_equal(store_put_text(store, "a/b/c", "text"), 0);
    assert_string_equal(steps, "create write sync mkdir sync_dir open mkdir sync_dir open rename sync_dir ");
    hook(0, 0);
    assert_int_equal(store_put_text(store, "a/b/d", "text"), 0);
    assert_string_equal(steps, "create write sync mkdir open mkdir open rename sync_dir ");
    hook(0, 0);
    assert_int_equal(store_put_text(store, "a/b/d", "text"), EVLOG_ERR_EXISTS);
    assert_non_null(strstr(steps, "rename sync_dir "));
    dir_store_hook = NULL;
    object_store_close(store);
    /* A process that comes later does not know whether the one before has synced. */
    assert_int_equal(dir_store_open(root, true, "file:///test", &store, NULL), 0);
    hook(0, 0);
    assert_int_equal(store_put_text(store, "a/b/e", "text"), 0);
    assert_string_equal(steps, "create write sync mkdir sync_dir open mkdir sync_dir open rename sync_dir ");
    dir_store_hook = NULL;
    object_store_close(store);
}

TEST(dir_store, shows_nothing_or_the_whole_when_a_call_fails)
{
    static const int errors[] = {EIO, ENOSPC, EROFS, EDQUOT, EMFILE};
    struct object_store *store = open_new();
    struct el_error err;
    char key[32], buf[8];
    uint8_t sha256[32];
    uint64_t done;
    el_sha256("text", 4, sha256);
    for (int at = 1; at <= 11; at++) {
        for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
            (void)snprintf(key, sizeof key, "k%d-%zu/b/c", at, i);
            hook(at, errors[i]);
            int rc = object_put(store, key, "text", 4, sha256, &err);
            dir_store_hook = NULL;
            assert_int_equal(rc, errors[i] == EIO      ? EVLOG_ERR_IO
                                 : errors[i] == EROFS  ? EVLOG_ERR_POLICY
                                 : errors[i] == EMFILE ? EVLOG_ERR_NO_FILES
                                                       : EVLOG_ERR_NO_SPACE);
            assert_non_null(strstr(err.text, key));
            rc = object_get(store, key, 0, buf, 8, &done, NULL);
            assert_true(at < 11 ? rc == EVLOG_ERR_NOT_FOUND : rc == 0 && done == 4);
            assert_int_equal(files_in("~put"), 0);
            assert_int_equal(object_put_once(store, key, "text", 4, sha256, NULL), 0);
        }
    }
    object_store_close(store);
}

static int batch_text(struct object_batch *batch, const char *key, const char *text, struct el_error *err)
{
    uint8_t sha256[32];
    el_sha256(text, strlen(text), sha256);
    return object_batch_put(batch, key, text, strlen(text), sha256, err);
}

TEST(dir_store, names_a_batch_behind_its_syncs_and_syncs_each_folder_once)
{
    struct object_store *store = open_new();
    struct object_batch batch = {.store = store};
    hook(0, 0);
    assert_int_equal(batch_text(&batch, "a/1", "one", NULL), 0);
    assert_int_equal(batch_text(&batch, "b/2", "two", NULL), 0);
    assert_int_equal(batch_text(&batch, "a/3", "three", NULL), 0);
    assert_string_equal(steps, "create write create write create write ");
    assert_string_equal(store_keys(store, "", NULL), "");
    hook(0, 0);
    assert_int_equal(object_batch_settle(&batch, NULL), 0);
    assert_string_equal(steps, "sync sync sync mkdir sync_dir open rename mkdir sync_dir open rename mkdir open rename "
                               "sync_dir sync_dir ");
    dir_store_hook = NULL;
    assert_string_equal(store_keys(store, "", NULL), "a/1 a/3 b/2");
    assert_int_equal(files_in("~put"), 0);
    assert_int_equal(object_batch_settle(&batch, NULL), 0);
    object_store_close(store);
}

TEST(dir_store, names_many_behind_one_sync_of_the_file_system_or_behind_one_each)
{
    struct object_store *store = open_new();
    struct object_batch batch = {.store = store};
    assert_int_equal(store_put_text(store, "a/0", "text"), 0);
    for (char key[] = "a/1"; key[2] <= '5'; key[2]++) {
        assert_int_equal(batch_text(&batch, key, "text", NULL), 0);
    }
    hook(0, 0);
    assert_int_equal(object_batch_settle(&batch, NULL), 0);
    dir_store_hook = NULL;
    bool whole = strncmp(steps, "sync_whole mkdir open rename ", 29) == 0;
    assert_true(whole || strncmp(steps, "sync sync sync sync sync mkdir open rename ", 43) == 0);
    if (whole) {
        for (char key[] = "b/1"; key[2] <= '5'; key[2]++) {
            assert_int_equal(batch_text(&batch, key, "text", NULL), 0);
        }
        hook(1, EIO);
        assert_int_equal(object_batch_settle(&batch, NULL), EVLOG_ERR_IO);
        dir_store_hook = NULL;
        assert_string_equal(store_keys(store, "b", NULL), "");
    }
    assert_int_equal(files_in("~put"), 0);
    object_store_close(store);
}

TEST(dir_store, shows_nothing_or_the_whole_of_a_batch_when_a_call_fails)
{
    struct object_store *store = open_new();
    struct object_batch batch = {.store = store};
    struct el_error err;
    char keys[2][32], buf[8];
    uint64_t done;
    for (int at = 1; at <= 14; at++) {
        (void)snprintf(keys[0], sizeof keys[0], "k%d/a/1", at);
        (void)snprintf(keys[1], sizeof keys[1], "k%d/b/2", at);
        hook(at, EIO);
        int rc = batch_text(&batch, keys[0], "text", &err);
        rc = rc != 0 ? rc : batch_text(&batch, keys[1], "text", &err);
        rc = rc != 0 ? rc : object_batch_settle(&batch, &err);
        bool failed = fail_at <= 0;
        dir_store_hook = NULL;
        object_batch_drop(&batch);
        assert_true(failed && rc == EVLOG_ERR_IO);
        assert_int_equal(files_in("~put"), 0);
        for (int i = 0; i < 2; i++) {
            rc = object_get(store, keys[i], 0, buf, sizeof buf, &done, NULL);
            assert_true(rc == EVLOG_ERR_NOT_FOUND || (rc == 0 && done == 4 && at > 6));
            assert_int_equal(batch_text(&batch, keys[i], "text", NULL), 0);
        }
        assert_int_equal(object_batch_settle(&batch, NULL), 0);
    }
    object_store_close(store);
}

static void assert_in_the_way(struct object_store *store, const char *what, const char *wanted)
{
    struct object_batch batch = {.store = store};
    struct el_error err = {.code = 0};
    char said[96];
    (void)snprintf(said, sizeof said, "file:///test/%s is in the way of %s: nothing was overwritten", what, wanted);
    uint8_t sha256[32];
    el_sha256("x", 1, sha256);
    assert_int_equal(object_put_once(store, "a/b/c", "x", 1, sha256, &err), EVLOG_ERR_POLICY);
    assert_non_null(strstr(err.text, said));
    err = (struct el_error){.code = 0};
    int rc = batch_text(&batch, "a/b/c", "x", &err);
    assert_int_equal(rc == 0 ? object_batch_settle(&batch, &err) : rc, EVLOG_ERR_POLICY);
    assert_non_null(strstr(err.text, said));
    object_batch_drop(&batch);
}

/* What somebody has put there is neither removed nor written to, and is no other writer of the archive either. */
TEST(dir_store, what_is_in_the_way_is_named_and_waited_for)
{
    struct object_store *store = open_new();
    static const char *const files[] = {"a", "a/b"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(close(creat(path_of(files[i]), 0600)), 0);
        assert_in_the_way(store, files[i], "a folder");
        assert_int_equal(unlink(path_of(files[i])), 0);
        assert_int_equal(mkdir(path_of(files[i]), 0700), 0);
    }
    assert_int_equal(mkdir(path_of("a/b/c"), 0700), 0);
    assert_in_the_way(store, "a/b/c", "an object");
    assert_int_equal(rmdir(path_of("a/b/c")), 0);
    assert_int_equal(rmdir(path_of("~put")), 0);
    assert_int_equal(close(creat(path_of("~put"), 0600)), 0);
    assert_in_the_way(store, "~put", "a folder");
    assert_int_equal(unlink(path_of("~put")), 0);
    assert_int_equal(store_put_text(store, "a/b/c", "x"), 0);
    object_store_close(store);
}

static bool any_key(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    *(bool *)arg = true;
    return true;
}

/* What a folder held is hidden when something else has its place, and is not gone: nobody may go on as if it were. */
TEST(dir_store, what_is_hidden_is_not_taken_for_nothing)
{
    static const char *const folders[] = {"a", "a/b"}, *const lists[] = {"a/b/", "a/b/c", "a/b/x"};
    struct object_store *store = open_new();
    assert_int_equal(store_put_text(store, "a/b/c", "text"), 0);
    for (int i = 0; i < 4; i++) {
        struct el_error err = {.code = 0};
        struct object_info info;
        char buf[8], said[64], away[PATH_MAX + 64];
        uint64_t done;
        bool found = false;
        (void)snprintf(away, sizeof away, "%s", path_of("~away"));
        (void)snprintf(said, sizeof said, "file:///test/%s is in the way of a folder", folders[i % 2]);
        assert_int_equal(rename(path_of(folders[i % 2]), away), 0);
        assert_int_equal(i < 2 ? close(creat(path_of(folders[i % 2]), 0600)) : symlink(away, path_of(folders[i % 2])),
                         0);
        assert_int_equal(object_get(store, "a/b/c", 0, buf, sizeof buf, &done, &err), EVLOG_ERR_POLICY);
        assert_non_null(strstr(err.text, said));
        assert_int_equal(object_head(store, "a/b/c", &info, &err), EVLOG_ERR_POLICY);
        assert_non_null(strstr(err.text, said));
        assert_int_equal(object_remove(store, "a/b/c", &err), EVLOG_ERR_POLICY);
        assert_non_null(strstr(err.text, said));
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(object_list(store, lists[k], NULL, any_key, &found, &err), EVLOG_ERR_POLICY);
            assert_non_null(strstr(err.text, said));
        }
        assert_false(found);
        assert_int_equal(unlink(path_of(folders[i % 2])), 0);
        assert_int_equal(rename(away, path_of(folders[i % 2])), 0);
        assert_int_equal(object_get(store, "a/b/c", 0, buf, sizeof buf, &done, NULL), 0);
        assert_int_equal(object_get(store, "a/x/c", 0, buf, sizeof buf, &done, NULL), EVLOG_ERR_NOT_FOUND);
        assert_int_equal(object_list(store, "a/x/", NULL, any_key, &found, NULL), 0);
        assert_int_equal(object_remove(store, "a/x/c", NULL), 0);
        assert_false(found);
    }
    object_store_close(store);
}

TEST(dir_store, a_batch_overwrites_nothing)
{
    struct object_store *store = open_new();
    struct object_batch batch = {.store = store};
    struct el_error err;
    char buf[8];
    uint64_t done;
    assert_int_equal(store_put_text(store, "a/1", "one"), 0);
    hook(0, 0);
    assert_int_equal(batch_text(&batch, "a/1", "one", NULL), 0);
    assert_int_equal(batch_text(&batch, "a/2", "two", NULL), 0);
    assert_int_equal(batch_text(&batch, "a/2", "two", NULL), 0);
    assert_int_equal(object_batch_settle(&batch, NULL), 0);
    assert_non_null(strstr(steps, "rename sync_dir "));
    dir_store_hook = NULL;
    assert_int_equal(batch_text(&batch, "a/3", "three", NULL), 0);
    assert_int_equal(batch_text(&batch, "a/1", "other", NULL), 0);
    assert_int_equal(object_batch_settle(&batch, &err), EVLOG_ERR_CONFLICT);
    assert_non_null(strstr(err.text, "a/1"));
    assert_int_equal(object_get(store, "a/1", 0, buf, sizeof buf, &done, NULL), 0);
    assert_int_equal(done, 3);
    assert_int_equal(batch_text(&batch, "../a", "text", NULL), EVLOG_ERR_ARGUMENT);
    assert_int_equal(files_in("~put"), 0);
    object_store_close(store);
}

TEST_TORTURE(dir_store, holds_some_of_a_batch_and_settles_them_between)
{
    struct object_store *store = NULL;
    char key[32];
    int code = 0;
    (void)snprintf(root, sizeof root, "%s", el_test_dir());
    if (dir_store_open(root, false, "file:///test", &store, NULL) != 0) {
        return;
    }
    struct object_batch batch = {.store = store};
    for (int i = 0; i < 130 && code == 0; i++) {
        (void)snprintf(key, sizeof key, "a/%d", i);
        code = batch_text(&batch, key, key, NULL);
    }
    assert_true(code == 0 || (code == EVLOG_ERR_NO_MEMORY && el_test_failing()));
    if (code == 0) {
        assert_int_equal(files_in("~put"), 2);
        assert_int_equal(files_in("a"), 128);
    }
    object_batch_drop(&batch);
    assert_int_equal(files_in("~put"), 0);
    object_store_close(store);
}

TEST(dir_store, writes_once_where_no_exclusive_rename_is_known)
{
    struct object_store *store = open_new();
    hook(0, 0);
    assert_int_equal(store_put_text(store, "c", "text"), 0);
    assert_string_equal(steps, "create write sync rename sync_dir ");
    hook(4, EINVAL);
    assert_int_equal(store_put_text(store, "d", "text"), 0);
    assert_string_equal(steps, "create write sync rename link sync_dir ");
    hook(4, ENOSYS);
    assert_int_equal(store_put_text(store, "d", "other"), EVLOG_ERR_EXISTS);
    dir_store_hook = NULL;
    assert_int_equal(files_in("~put"), 0);
    object_store_close(store);
}

TEST(dir_store, says_when_a_file_becomes_shorter_under_its_hands)
{
    struct object_store *store = open_new();
    uint8_t sha256[32];
    uint64_t done;
    size_t len = 9u << 20; /* more than one call reads */
    uint8_t *data = el_calloc(1, len);
    el_sha256(data, len, sha256);
    assert_int_equal(object_put(store, "big", data, len, sha256, NULL), 0);
    assert_int_equal(truncate(path_of("big"), 1 << 20), 0);
    assert_int_equal(object_get(store, "big", 0, data, len, &done, NULL), 0);
    assert_int_equal(done, 1 << 20);
    assert_int_equal(object_put_once(store, "big", data, len, sha256, NULL), EVLOG_ERR_CONFLICT);
    el_free(data);
    object_store_close(store);
}

TEST(dir_store, says_when_the_device_is_full)
{
    struct object_store *store;
    struct el_error err;
    static uint8_t data[1 << 20];
    uint8_t sha256[32];
    (void)snprintf(root, sizeof root, "%s", el_test_dir());
    if (mount("tmpfs", root, "tmpfs", 0, "size=512k") != 0) {
        el_test_skip("mounting a small file system needs root");
    }
    int rc = dir_store_open(root, false, "file:///test", &store, NULL);
    el_sha256(data, sizeof data, sha256);
    int put = rc != 0 ? rc : object_put(store, "a/big", data, sizeof data, sha256, &err);
    size_t left = files_in("");
    int small = rc != 0 ? rc : store_put_text(store, "a/small", "x");
    if (rc == 0) {
        object_store_close(store);
    }
    (void)umount2(root, MNT_DETACH);
    assert_int_equal(put, EVLOG_ERR_NO_SPACE);
    assert_int_equal(left, 0);
    assert_int_equal(small, 0);
}

TEST(dir_store, removes_what_a_crash_left_a_day_ago)
{
    struct object_store *store = open_new();
    assert_int_equal(store_put_text(store, "a", "x"), 0);
    object_store_close(store);
    assert_int_equal(close(creat(path_of("~put/old"), 0600)), 0);
    assert_int_equal(close(creat(path_of("~put/new"), 0600)), 0);
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, path_of("~put/old"), old, 0), 0);
    assert_int_equal(dir_store_open(root, false, "x", &store, NULL), 0);
    object_store_close(store);
    assert_int_equal(files_in("~put"), 2);
    assert_int_equal(dir_store_open(root, true, "x", &store, NULL), 0);
    object_store_close(store);
    assert_int_equal(access(path_of("~put/old"), F_OK), -1);
    assert_int_equal(access(path_of("~put/new"), F_OK), 0);
}

/* --- several at once ---------------------------------------------------------------------------------------------- */

#define RACERS 8
#define RACES 20

struct racer {
    struct object_store *store;
    int won;
    int lost;
};

static void *race(void *arg)
{
    struct racer *racer = arg;
    char key[32];
    for (int i = 0; i < RACES; i++) {
        (void)snprintf(key, sizeof key, "r/%d/x", i);
        int rc = store_put_text(racer->store, key, "text");
        racer->won += rc == 0;
        racer->lost += rc == EVLOG_ERR_EXISTS;
    }
    return NULL;
}

TEST(dir_store, lets_one_of_many_win)
{
    struct object_store *store = open_new();
    struct racer racers[RACERS] = {{NULL, 0, 0}};
    pthread_t threads[RACERS];
    int won = 0, lost = 0;
    for (size_t i = 0; i < RACERS; i++) {
        racers[i].store = store;
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        won += racers[i].won;
        lost += racers[i].lost;
    }
    assert_int_equal(won, RACES);
    assert_int_equal(lost, RACES * (RACERS - 1));
    assert_int_equal(files_in("~put"), 0);
    object_store_close(store);
}
