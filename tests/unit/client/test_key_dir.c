/* SPDX-License-Identifier: Apache-2.0
 *
 * The key store in a directory. Goal: a subject has one key, whoever asks at the same time; a crash or an error at any
 * step leaves the old state or the new one, and doing it again finishes it; what cannot be read is an error and never
 * an erased key. Method: refusals first; every step that changes the disk is made the last one, by a child that exits
 * in front of it, and by an error of the system.
 */
#include "../../../client/key_dir_state.h"
#include "../../lib/test.h"

#include <core/crypto.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[PATH_MAX], master[PATH_MAX + 16], second[PATH_MAX + 16], keys[PATH_MAX + 16];

/* A new place for a store and two master keys, and nothing there yet. */
static void fresh(void)
{
    (void)snprintf(folder, sizeof folder, "%s", el_test_dir());
    (void)snprintf(master, sizeof master, "%s/master", folder);
    (void)snprintf(second, sizeof second, "%s/second", folder);
    (void)snprintf(keys, sizeof keys, "%s/keys", folder);
}

static struct evlog_bytes text(const char *from)
{
    return (struct evlog_bytes){from, strlen(from)};
}

static struct evlog_key_store *open_store(const char *master_path)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_key_store *store = NULL;
    if (evlog_key_dir_open(keys, master_path, &store, &failure) != 0) {
        fail_msg("%s", failure.text);
    }
    return store;
}

static struct evlog_key_store *make_store(void)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    fresh();
    if (evlog_key_dir_init(keys, master, &failure) != 0) {
        fail_msg("%s", failure.text);
    }
    return open_store(NULL);
}

static void refuse_open(const char *master_path, const char *about)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_key_store *store;
    int rc = evlog_key_dir_open(keys, master_path, &store, &failure);
    if (rc != EVLOG_ERR_KEYS || strstr(failure.text, about) == NULL) {
        fail_msg("%d, \"%s\" does not say \"%s\"", rc, failure.text, about);
    }
}

static void refuse_init(const char *master_path, int code, const char *about)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = evlog_key_dir_init(keys, master_path, &failure);
    if (rc != code || strstr(failure.text, about) == NULL) {
        fail_msg("%d, \"%s\" does not say \"%s\"", rc, failure.text, about);
    }
}

static struct evlog_data_key take(struct evlog_key_store *store, const char *subject)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_data_key key;
    if (store->calls->take(store, text(subject), &key, &failure) != 0) {
        fail_msg("%s", failure.text);
    }
    return key;
}

static int find(struct evlog_key_store *store, const char *id, struct evlog_data_key *key,
                struct evlog_key_record *record)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    return store->calls->find(store, id, key, record, &failure);
}

static void put_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(content, file);
    (void)fclose(file);
}

static int count_keys(void *arg, const struct evlog_key_record *record)
{
    assert_int_equal(strlen(record->id), EVLOG_KEY_ID_MAX - 1);
    (*(int *)arg)++;
    return 0;
}

/* Nothing here is about power: syncs take time. */
static int skip_syncs(const char *step)
{
    (void)step;
    return -1;
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(key_dir, refuses_what_is_no_key_store)
{
    char path[PATH_MAX + 32];
    fresh();
    refuse_open(NULL, "No such file");
    assert_int_equal(mkdir(keys, 0700), 0);
    refuse_open(NULL, "no key store");
    (void)snprintf(path, sizeof path, "%s/mine", keys);
    put_file(path, "x");
    refuse_init(master, EVLOG_ERR_EXISTS, "not empty");
    assert_int_equal(unlink(path), 0);
    refuse_init(path, EVLOG_ERR_ARGUMENT, "inside the key store");
    put_file(master, "abc\n");
    assert_int_equal(chmod(master, 0600), 0);
    refuse_init(master, EVLOG_ERR_KEYS, "64 hexadecimal digits");
    assert_int_equal(unlink(master), 0);
    refuse_init(master, 0, "");
    refuse_init(master, EVLOG_ERR_EXISTS, "key store already");
}

TEST(key_dir, refuses_another_master_key_and_one_that_others_may_read)
{
    struct evlog_key_store *store = make_store();
    struct evlog_data_key key = take(store, "ada");
    evlog_key_store_close(store);
    uint8_t other[EL_AEAD_KEY_LEN];
    struct el_error err = {0};
    assert_int_equal(el_key_master_make(second, other, &err), 0);
    refuse_open(second, "another one");
    refuse_open("/nonexistent/master", "No such file");
    assert_int_equal(chmod(master, 0640), 0);
    refuse_open(NULL, "others may use it");
    assert_int_equal(chmod(master, 0400), 0);
    assert_int_equal(chmod(keys, 0750), 0);
    refuse_open(NULL, "chmod 700");
    assert_int_equal(chmod(keys, 0700), 0);
    store = open_store(master);
    struct evlog_data_key again = take(store, "ada");
    assert_memory_equal(&again, &key, sizeof key);
    evlog_key_store_close(store);
}

TEST(key_dir, tells_a_damaged_key_as_damaged_and_never_as_erased)
{
    struct evlog_key_store *store = make_store();
    struct evlog_data_key key = take(store, "ada"), found;
    struct evlog_key_record record;
    struct el_buffer was = {0};
    struct el_error err = {0};
    const struct el_key_dir *dir = EL_CONTAINER(store, struct el_key_dir, store);
    assert_int_equal(el_key_file_read(dir->keys_fd, key.id, &was, &err), 0);
    char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/keys/%s", keys, key.id);
    for (size_t i = 0; i + 1 < was.len; i++) {
        uint8_t byte = was.data[i];
        was.data[i] = byte == 'x' ? 'y' : 'x';
        FILE *file = fopen(path, "w");
        assert_int_equal(fwrite(was.data, 1, was.len, file), was.len);
        (void)fclose(file);
        int rc = find(store, key.id, &found, &record);
        /* The time of making is for people, and is not bound. */
        if (rc != EVLOG_ERR_KEYS && !(rc == 0 && memcmp(found.bytes, key.bytes, sizeof key.bytes) == 0)) {
            fail_msg("byte %zu: %d", i, rc);
        }
        was.data[i] = byte;
    }
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(find(store, key.id, &found, &record), EVLOG_ERR_KEYS);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(find(store, key.id, &found, &record), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(find(store, "../../../etc/passwd___", &found, &record), EVLOG_ERR_KEYS);
    el_buffer_free(&was);
    evlog_key_store_close(store);
}

TEST(key_dir, believes_no_state_that_it_did_not_write)
{
    struct evlog_key_store *store = make_store();
    struct evlog_data_key key = take(store, "ada"), found;
    struct evlog_key_record record;
    struct el_key_file file;
    struct el_error err = {0};
    struct el_key_dir *dir = EL_CONTAINER(store, struct el_key_dir, store);
    assert_int_equal(store->calls->disable(store, text("ada"), 0, &record, NULL), 0);
    assert_int_equal(el_key_read(dir, key.id, &file, &err), 0);
    file.record.state = EVLOG_KEY_LIVE;
    assert_int_equal(el_key_write(dir, &file, false, &err), 0);
    assert_int_equal(find(store, key.id, &found, &record), EVLOG_ERR_KEYS);
    evlog_key_store_close(store);
}

/* --- life of a key ------------------------------------------------------------------------------------------------ */

TEST(key_dir, gives_a_subject_one_key_for_as_long_as_it_lives)
{
    struct evlog_key_store *store = make_store(), *other = open_store(NULL);
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_key_record record;
    struct evlog_data_key key = take(store, "ada"), bob = take(other, "bob"), found;
    assert_string_not_equal(key.id, bob.id);
    assert_int_equal(find(other, key.id, &found, &record), 0);
    assert_memory_equal(&found, &key, sizeof key);
    assert_int_equal(store->calls->look(store, text("eve"), &record, &failure), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(store->calls->disable(store, text("eve"), 0, &record, &failure), EVLOG_ERR_NOT_FOUND);

    assert_int_equal(store->calls->disable(store, text("ada"), 5000, &record, &failure), 0);
    assert_int_equal(store->calls->disable(store, text("ada"), 400, &record, &failure), 0);
    assert_int_equal(record.until_ms, 5000);
    assert_int_equal(find(other, key.id, &found, &record), EVLOG_ERR_ERASED);
    assert_int_equal(record.state, EVLOG_KEY_DISABLED);
    assert_int_equal(other->calls->take(other, text("ada"), &found, &failure), EVLOG_ERR_ERASED);
    assert_non_null(strstr(failure.text, "disabled"));
    assert_int_equal(other->calls->disable(other, text("ada"), INT64_MAX, &record, &failure), 0);
    assert_true(record.until_ms > 5000);
    assert_true(record.until_ms <= INT64_MAX / 1000000); /* it can be told in nanoseconds */
    assert_int_equal(other->calls->restore(other, text("ada"), &record, &failure), 0);
    found = take(store, "ada");
    assert_memory_equal(&found, &key, sizeof key);

    assert_int_equal(store->calls->destroy(store, text("ada"), &record, &failure), 0);
    assert_true(record.untold);
    assert_int_equal(find(other, key.id, &found, &record), EVLOG_ERR_ERASED);
    assert_int_equal(record.state, EVLOG_KEY_DESTROYED);
    assert_int_equal(store->calls->restore(store, text("ada"), &record, &failure), EVLOG_ERR_ERASED);
    assert_int_equal(other->calls->take(other, text("ada"), &found, &failure), EVLOG_ERR_ERASED);
    assert_int_equal(store->calls->destroy(store, text("ada"), &record, &failure), 0); /* again */
    assert_int_equal(store->calls->told(store, text("ada"), &failure), 0);
    assert_int_equal(store->calls->told(store, text("ada"), &failure), 0);
    assert_int_equal(store->calls->look(store, text("ada"), &record, &failure), EVLOG_ERR_NOT_FOUND);

    struct evlog_data_key anew = take(store, "ada"); /* somebody who comes back is somebody new */
    assert_string_not_equal(anew.id, key.id);
    assert_int_equal(find(other, key.id, &found, &record), EVLOG_ERR_ERASED);
    int count = 0;
    assert_int_equal(store->calls->list(store, count_keys, &count, &failure), 0);
    assert_int_equal(count, 3);
    evlog_key_store_close(store);
    evlog_key_store_close(other);
}

/* Is there any file below a folder that holds these bytes? */
static bool holds(const char *path, const void *bytes, size_t len)
{
    char command[3 * PATH_MAX], hex[200], found[16] = "";
    el_hex(hex, bytes, len);
    (void)snprintf(command, sizeof command, "cat %s/*/* %s/store | od -An -v -tx1 | tr -d ' \\n' | grep -c %s", path,
                   path, hex);
    FILE *pipe = popen(command, "r");
    (void)!fgets(found, sizeof found, pipe);
    (void)pclose(pipe);
    return atoi(found) > 0;
}

TEST(key_dir, holds_neither_keys_nor_subjects_in_clear)
{
    struct evlog_key_store *store = make_store();
    struct evlog_data_key key = take(store, "ada@example.org");
    assert_true(holds(keys, key.id, 22));
    assert_false(holds(keys, key.bytes, 16));
    assert_false(holds(keys, "ada@example", 11));
    evlog_key_store_close(store);
}

/* --- several at once ---------------------------------------------------------------------------------------------- */

#define PROCESS_COUNT 4
#define SUBJECT_COUNT 12

static _Noreturn void take_all(int out)
{
    struct evlog_key_store *store = open_store(NULL);
    for (int i = 0; i < SUBJECT_COUNT; i++) {
        char subject[16];
        (void)snprintf(subject, sizeof subject, "s-%d", i);
        struct evlog_data_key key = take(store, subject);
        if (write(out, &key, sizeof key) != (ssize_t)sizeof key) {
            _exit(1);
        }
    }
    _exit(0);
}

TEST(key_dir, makes_one_key_when_several_processes_ask_at_once)
{
    struct evlog_data_key first[SUBJECT_COUNT], key;
    int ends[PROCESS_COUNT][2], count = 0, status;
    evlog_key_store_close(make_store());
    for (int i = 0; i < PROCESS_COUNT; i++) {
        assert_int_equal(pipe(ends[i]), 0);
        if (fork() == 0) {
            take_all(ends[i][1]);
        }
        (void)close(ends[i][1]);
    }
    for (int i = 0; i < PROCESS_COUNT; i++) {
        for (int j = 0; j < SUBJECT_COUNT; j++) {
            assert_int_equal(read(ends[i][0], &key, sizeof key), sizeof key);
            first[j] = i == 0 ? key : first[j];
            assert_memory_equal(&key, &first[j], sizeof key);
        }
        (void)close(ends[i][0]);
        (void)wait(&status);
        assert_int_equal(status, 0);
    }
    struct evlog_key_store *store = open_store(NULL);
    assert_int_equal(store->calls->list(store, count_keys, &count, NULL), 0);
    assert_int_equal(count, SUBJECT_COUNT);
    evlog_key_store_close(store);
}

/* Seals for one subject until it is erased; every key that was got must be told as live or erased, nothing else. */
static _Noreturn void take_until_erased(int out)
{
    struct evlog_key_store *store = open_store(NULL);
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_data_key key, found;
    struct evlog_key_record record;
    int rc = 0;
    for (int i = 0; rc == 0; i++) {
        rc = store->calls->take(store, text("ada"), &key, &failure);
        int seen = rc == 0 ? find(store, key.id, &found, &record) : 0;
        if ((seen != 0 && seen != EVLOG_ERR_ERASED) || (i == 3 && write(out, "x", 1) != 1)) {
            _exit(2);
        }
    }
    _exit(rc == EVLOG_ERR_ERASED ? 0 : 3);
}

TEST(key_dir, can_erase_and_rotate_while_others_seal)
{
    struct evlog_key_store *store = make_store();
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_key_record record;
    int ends[2], status;
    char byte;
    uint64_t count;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        take_until_erased(ends[1]);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    for (int i = 0; i < 3; i++) {
        if (evlog_key_dir_rotate(store, i == 1 ? second : NULL, &count, &failure) != 0) {
            fail_msg("%s", failure.text);
        }
        assert_int_equal(count, 1);
    }
    assert_int_equal(store->calls->destroy(store, text("ada"), &record, &failure), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    evlog_key_store_close(store);
}

static int wipe_count;

static int count_wipes(const char *step)
{
    wipe_count += strcmp(step, "wipe") == 0;
    return -1;
}

TEST(key_dir, overwrites_every_file_that_held_a_key)
{
    struct evlog_key_store *store = make_store();
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_key_record record;
    (void)take(store, "ada");
    el_key_dir_hook = count_wipes;
    wipe_count = 0;
    assert_int_equal(store->calls->disable(store, text("ada"), 9, &record, &failure), 0);
    assert_int_equal(wipe_count, 1);
    assert_int_equal(store->calls->restore(store, text("ada"), &record, &failure), 0);
    assert_int_equal(wipe_count, 2);
    assert_int_equal(store->calls->destroy(store, text("ada"), &record, &failure), 0);
    assert_int_equal(wipe_count, 3);
    assert_int_equal(store->calls->told(store, text("ada"), &failure), 0);
    assert_int_equal(wipe_count, 3); /* nothing of a key was left */
    el_key_dir_hook = NULL;
    evlog_key_store_close(store);
}

/* --- rotation ----------------------------------------------------------------------------------------------------- */

TEST(key_dir, keeps_every_key_when_the_master_key_is_rotated)
{
    struct evlog_key_store *store = make_store(), *other = open_store(master);
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_data_key before[70], after;
    struct evlog_key_record record;
    uint64_t count = 0;
    char subject[16];
    el_key_dir_hook = skip_syncs;
    for (int i = 0; i < 70; i++) {
        (void)snprintf(subject, sizeof subject, "s-%d", i);
        before[i] = take(store, subject);
    }
    assert_int_equal(store->calls->disable(store, text("s-1"), 9, &record, &failure), 0);
    assert_int_equal(store->calls->destroy(store, text("s-2"), &record, &failure), 0);
    assert_int_equal(evlog_key_dir_rotate(store, second, &count, &failure), 0);
    assert_int_equal(count, 69);
    refuse_open(master, "another one");
    evlog_key_store_close(store);
    store = open_store(second);
    for (int i = 3; i < 70; i++) {
        (void)snprintf(subject, sizeof subject, "s-%d", i);
        after = take(i % 2 == 0 ? store : other, subject); /* other was opened with the old master key */
        assert_memory_equal(&after, &before[i], sizeof after);
    }
    assert_int_equal(find(store, before[1].id, &after, &record), EVLOG_ERR_ERASED);
    assert_int_equal(store->calls->restore(store, text("s-1"), &record, &failure), 0);
    after = take(other, "s-1");
    assert_memory_equal(&after, &before[1], sizeof after);
    assert_int_equal(find(store, before[2].id, &after, &record), EVLOG_ERR_ERASED);
    assert_int_equal(EL_CONTAINER(store, struct el_key_dir, store)->root.generation_count, 1);
    el_key_dir_hook = NULL;
    evlog_key_store_close(store);
    evlog_key_store_close(other);
}

/* --- a crash, and an error, at every step ------------------------------------------------------------------------- */

static int steps_left; /* until the world ends; below 0: never */
static int step_error; /* 0: it ends by _exit() */

static int end_at_step(const char *step)
{
    (void)step;
    if (steps_left < 0 || steps_left-- > 0) {
        return -1;
    }
    if (step_error == 0) {
        _exit(77);
    }
    return step_error;
}

/* An act, and what must hold when it was cut short. */
struct act {
    const char *name;
    int (*run)(void);
    void (*check)(void);
};

static struct evlog_data_key ada; /* her key before the act */

static int with_store(int (*fn)(struct evlog_key_store *store, struct evlog_failure *failure))
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_key_store *store;
    int rc = evlog_key_dir_open(keys, NULL, &store, &failure);
    if (rc == 0) {
        rc = fn(store, &failure);
        evlog_key_store_close(store);
    }
    return rc;
}

static int do_take(struct evlog_key_store *store, struct evlog_failure *failure)
{
    struct evlog_data_key key;
    return store->calls->take(store, text("eve"), &key, failure);
}

static int do_disable(struct evlog_key_store *store, struct evlog_failure *failure)
{
    struct evlog_key_record record;
    return store->calls->disable(store, text("ada"), 7, &record, failure);
}

static int do_destroy(struct evlog_key_store *store, struct evlog_failure *failure)
{
    struct evlog_key_record record;
    return store->calls->destroy(store, text("ada"), &record, failure);
}

static int do_tell(struct evlog_key_store *store, struct evlog_failure *failure)
{
    struct evlog_key_record record;
    int rc = store->calls->look(store, text("ada"), &record, failure);
    if (rc == EVLOG_ERR_NOT_FOUND) {
        return 0;
    }
    rc = rc == 0 ? store->calls->destroy(store, text("ada"), &record, failure) : rc;
    return rc == 0 ? store->calls->told(store, text("ada"), failure) : rc;
}

static int do_rotate(struct evlog_key_store *store, struct evlog_failure *failure)
{
    return evlog_key_dir_rotate(store, second, NULL, failure);
}

static int run_init(void)
{
    return evlog_key_dir_init(keys, master, NULL);
}
static int run_take(void)
{
    return with_store(do_take);
}
static int run_disable(void)
{
    return with_store(do_disable);
}
static int run_destroy(void)
{
    return with_store(do_destroy);
}
static int run_tell(void)
{
    return with_store(do_tell);
}
static int run_rotate(void)
{
    return with_store(do_rotate);
}

/* Ada's key is there, whole. */
static void check_live(void)
{
    struct evlog_key_store *store = open_store(NULL);
    struct evlog_data_key key = take(store, "ada");
    assert_memory_equal(&key, &ada, sizeof key);
    evlog_key_store_close(store);
}

/* Ada's key is there, whole, or it is erased. */
static void check_either(void)
{
    struct evlog_key_store *store = open_store(NULL);
    struct evlog_data_key key;
    struct evlog_key_record record;
    int rc = find(store, ada.id, &key, &record);
    assert_true(rc == EVLOG_ERR_ERASED || (rc == 0 && memcmp(&key, &ada, sizeof key) == 0));
    evlog_key_store_close(store);
}

static void check_init(void)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_key_store *store;
    int rc = evlog_key_dir_open(keys, NULL, &store, &failure);
    assert_true(rc == 0 || rc == EVLOG_ERR_KEYS);
    if (rc == 0) {
        (void)take(store, "eve");
        evlog_key_store_close(store);
    }
}

static const struct act acts[] = {
    {"init", run_init, check_init},         {"take", run_take, check_live},   {"disable", run_disable, check_either},
    {"destroy", run_destroy, check_either}, {"tell", run_tell, check_either}, {"rotate", run_rotate, check_live},
};

/* Run an act whose n-th step does not happen. returns whether it came to that step */
static bool cut_short(const struct act *act, int n, int error)
{
    fresh();
    el_key_dir_hook = skip_syncs;
    if (act->run != run_init) {
        struct evlog_key_store *store = NULL;
        assert_int_equal(evlog_key_dir_init(keys, master, NULL), 0);
        store = open_store(NULL);
        ada = take(store, "ada");
        evlog_key_store_close(store);
    }
    step_error = error;
    steps_left = n;
    el_key_dir_hook = end_at_step;
    int status = 0;
    if (error == 0) {
        pid_t child = fork();
        if (child == 0) {
            _exit(act->run() == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        status = WEXITSTATUS(status);
    } else {
        int rc = act->run();
        status = steps_left >= 0 ? rc == 0 ? 0 : 1 : 77;
    }
    el_key_dir_hook = skip_syncs;
    if (status != 0 && status != 77) {
        fail_msg("%s, step %d: status %d", act->name, n, status);
    }
    return status == 77;
}

static void cut_everywhere(int error)
{
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        int n = 0;
        while (cut_short(&acts[i], n, error)) {
            acts[i].check();
            int again = acts[i].run();
            if (again != 0 && !(acts[i].run == run_init && again == EVLOG_ERR_EXISTS)) {
                fail_msg("%s, step %d: doing it again: %d", acts[i].name, n, again);
            }
            acts[i].check();
            n++;
        }
        assert_true(n >= 4); /* open, write, sync, rename at the least */
        acts[i].check();
    }
    el_key_dir_hook = NULL;
}

TEST(key_dir, goes_on_after_a_crash_at_every_step)
{
    cut_everywhere(0);
}

TEST(key_dir, goes_on_after_an_error_at_every_step)
{
    cut_everywhere(EIO);
}

/* --- what a loss of power leaves ---------------------------------------------------------------------------------- */

static char last_steps[2][16];
static int rename_count;

/* A name leads to bytes that are synced, and the name itself is synced before anything else is begun. */
static int watch_order(const char *step)
{
    if (strcmp(step, "rename") == 0 || strcmp(step, "link") == 0) {
        assert_string_equal(last_steps[0], "sync");
        rename_count++;
    } else if (strcmp(last_steps[0], "rename") == 0 || strcmp(last_steps[0], "unlink") == 0) {
        assert_string_equal(step, "sync_dir");
    }
    memcpy(last_steps[1], last_steps[0], sizeof last_steps[0]);
    (void)snprintf(last_steps[0], sizeof last_steps[0], "%s", step);
    return 0;
}

TEST(key_dir, names_nothing_that_is_not_synced)
{
    fresh();
    el_key_dir_hook = watch_order;
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        (void)acts[i].run();
        if (acts[i].run == run_init) {
            struct evlog_key_store *store = open_store(NULL);
            ada = take(store, "ada");
            evlog_key_store_close(store);
        }
    }
    el_key_dir_hook = NULL;
    assert_string_not_equal(last_steps[0], "rename");
    assert_string_not_equal(last_steps[0], "unlink");
    assert_true(rename_count >= 8);
}
