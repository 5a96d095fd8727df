/* SPDX-License-Identifier: Apache-2.0
 *
 * The key store in a directory: making, opening, and its files as structs.
 *
 * Any number of processes and threads may use one. What is cached is only the root (wrapping keys), behind a mutex;
 * keys are read from their files each time, so that a key that somebody else destroys is gone for everybody at once,
 * and none lies around in memory.
 */
#include "key_dir_state.h"

#include "fail.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OTHERS 077

int64_t el_key_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

int el_key_read(const struct el_key_dir *dir, const char *id, struct el_key_file *file, struct el_error *err)
{
    struct el_buffer text = {0};
    struct el_uuid uuid;
    if (el_uuid_parse(id, strlen(id), &uuid) != 0) {
        return el_error_set(err, EVLOG_ERR_KEYS, "\"%.40s\" is no id of a key", id);
    }
    int rc = el_key_file_read(dir->keys_fd, id, &text, err);
    if (rc == 0) {
        rc = el_key_text_read(el_buffer_slice(&text), file, err);
        if (rc == 0 && strcmp(file->record.id, id) != 0) {
            rc = el_error_set(err, EVLOG_ERR_KEYS, "it is the file of key %s", file->record.id);
        }
        if (rc != 0) {
            (void)el_error_wrap(err, "key store %.200s, key %s", dir->path, id);
        }
    }
    el_buffer_free(&text);
    return rc;
}

int el_key_write(const struct el_key_dir *dir, const struct el_key_file *file, bool wipe, struct el_error *err)
{
    struct el_buffer text = {0};
    el_key_text_write(&text, file);
    int rc = text.err != 0 ? el_error_set(err, text.err, "no memory for a key")
                           : el_key_file_replace(dir->keys_fd, file->record.id, el_buffer_slice(&text), wipe, err);
    el_buffer_free(&text);
    return rc;
}

static int each(DIR *listing, int (*fn)(void *arg, const char *id), void *arg)
{
    const struct dirent *entry;
    int rc = 0;
    while (rc == 0 && (entry = readdir(listing)) != NULL) {
        rc = entry->d_name[0] == '.' ? 0 : fn(arg, entry->d_name);
    }
    return rc;
}

int el_key_each(const struct el_key_dir *dir, int (*fn)(void *arg, const char *id), void *arg, struct el_error *err)
{
    int fd = openat(dir->fd, "keys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (listing == NULL) {
        int error = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return el_error_set(err, EVLOG_ERR_KEYS, "key store %.300s cannot be listed: %s", dir->path, strerror(error));
    }
    int rc = each(listing, fn, arg);
    (void)closedir(listing);
    return rc;
}

/* --- the root ----------------------------------------------------------------------------------------------------- */

int el_key_dir_load(struct el_key_dir *dir, struct el_error *err)
{
    struct el_buffer text = {0};
    struct el_key_root root;
    char path[PATH_MAX];
    (void)pthread_mutex_lock(&dir->mutex);
    memcpy(path, dir->master_path, sizeof path);
    bool again = dir->root.generation_count > 0;
    (void)pthread_mutex_unlock(&dir->mutex);
    const char *given = path[0] == '\0' ? NULL : path;
    int rc = el_key_file_read(dir->fd, "store", &text, err);
    if (rc == 0) {
        rc = el_key_root_read(el_buffer_slice(&text), given, &root, err);
    }
    if (rc == EVLOG_ERR_KEYS && given != NULL && again) {
        /* It was rotated since: the store knows where its new master key is. */
        rc = el_key_root_read(el_buffer_slice(&text), NULL, &root, err);
    }
    el_buffer_free(&text);
    if (rc != 0) {
        (void)el_error_wrap(err, "key store %.200s", dir->path);
        err->code = rc == EVLOG_ERR_NOT_FOUND ? EVLOG_ERR_KEYS : rc;
        return err->code;
    }
    (void)pthread_mutex_lock(&dir->mutex);
    dir->root = root;
    (void)pthread_mutex_unlock(&dir->mutex);
    explicit_bzero(&root, sizeof root);
    return 0;
}

void el_key_dir_root(struct el_key_dir *dir, struct el_key_root *root)
{
    (void)pthread_mutex_lock(&dir->mutex);
    *root = dir->root;
    (void)pthread_mutex_unlock(&dir->mutex);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int open_part(struct el_key_dir *dir, const char *name, int *fd, struct el_error *err)
{
    *fd = openat(dir->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd >= 0
               ? 0
               : el_error_set(err, EVLOG_ERR_KEYS, "%.300s is no key store: %s: %s", dir->path, name, strerror(errno));
}

static int open_parts(struct el_key_dir *dir, struct el_error *err)
{
    struct stat st;
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0 || fstat(dir->fd, &st) != 0) {
        return el_error_set(err, EVLOG_ERR_KEYS, "key store %.300s: %s", dir->path, strerror(errno));
    }
    if ((st.st_mode & OTHERS) != 0) {
        return el_error_set(err, EVLOG_ERR_KEYS, "key store %.300s: others may enter it: chmod 700 it", dir->path);
    }
    int rc = open_part(dir, "keys", &dir->keys_fd, err);
    return rc == 0 ? open_part(dir, "subjects", &dir->subjects_fd, err) : rc;
}

static int open_dir(struct el_key_dir *dir, const char *path, const char *master_path, struct el_error *err)
{
    if (strlen(path) >= sizeof dir->path || (master_path != NULL && strlen(master_path) >= sizeof dir->master_path)) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "the path of a key store or master key is too long");
    }
    (void)snprintf(dir->path, sizeof dir->path, "%s", path);
    (void)snprintf(dir->master_path, sizeof dir->master_path, "%s", master_path == NULL ? "" : master_path);
    int rc = open_parts(dir, err);
    return rc == 0 ? el_key_dir_load(dir, err) : rc;
}

static int told(struct evlog_failure *failure, const struct el_error *err)
{
    int rc = el_fail_from(failure, err);
    if (rc == EVLOG_ERR_KEYS) {
        el_fail_hint(failure,
                     "'evlog keys init DIR --master FILE' makes a key store; nothing counts as erased without it");
    }
    return rc;
}

int evlog_key_dir_open(const char *path, const char *master_path, struct evlog_key_store **store,
                       struct evlog_failure *failure)
{
    struct el_error err = {0};
    struct el_key_dir *dir = el_calloc(1, sizeof *dir);
    if (path == NULL || dir == NULL) {
        el_free(dir);
        return el_fail(failure, path == NULL ? EVLOG_ERR_ARGUMENT : EVLOG_ERR_NO_MEMORY, "no path, or no memory");
    }
    dir->store.calls = &el_key_dir_calls;
    dir->fd = dir->keys_fd = dir->subjects_fd = -1;
    (void)pthread_mutex_init(&dir->mutex, NULL);
    if (open_dir(dir, path, master_path, &err) != 0) {
        el_key_dir_calls.close(&dir->store);
        return told(failure, &err);
    }
    *store = &dir->store;
    return 0;
}

/* --- making ------------------------------------------------------------------------------------------------------- */

/* Is there nothing in it but what an interrupted init left? */
static int is_free(const char *path, int fd, struct el_error *err)
{
    static const char *const ours[] = {"keys", "subjects", "lock", ".store.tmp"};
    const struct dirent *entry;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    int rc = listing == NULL ? el_error_set(err, EVLOG_ERR_KEYS, "%.300s: %s", path, strerror(errno)) : 0;
    while (rc == 0 && (entry = readdir(listing)) != NULL) {
        bool known = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
            known = known || strcmp(entry->d_name, ours[i]) == 0;
        }
        if (!known) {
            rc = el_error_set(
                err, EVLOG_ERR_EXISTS,
                strcmp(entry->d_name, "store") == 0 ? "%.300s is a key store already" : "%.300s is not empty", path);
        }
    }
    if (listing != NULL) {
        (void)closedir(listing);
    } else if (copy >= 0) {
        (void)close(copy);
    }
    return rc;
}

/* Make or read the master key, which must lie outside of the store, and find its whole path. */
static int take_master(const char *path, const char *master_path, uint8_t master[EL_AEAD_KEY_LEN],
                       char resolved[PATH_MAX], struct el_error *err)
{
    char outer[PATH_MAX], folder[PATH_MAX], inner[PATH_MAX];
    (void)snprintf(folder, sizeof folder, "%s", master_path);
    if (strlen(master_path) >= sizeof folder || realpath(path, outer) == NULL ||
        realpath(dirname(folder), inner) == NULL) {
        return el_error_set(err, EVLOG_ERR_KEYS, "master key %.300s: %s", master_path, strerror(errno));
    }
    size_t len = strlen(outer);
    if (strncmp(inner, outer, len) == 0 && (inner[len] == '/' || inner[len] == '\0')) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT,
                            "the master key %.300s lies inside the key store: a copy of the store would hold both",
                            master_path);
    }
    int rc = el_key_master_make(master_path, master, err);
    if (rc == 0 && realpath(master_path, resolved) == NULL) {
        rc = el_error_set(err, EVLOG_ERR_KEYS, "master key %.300s: %s", master_path, strerror(errno));
    }
    return rc;
}

static int fill_root(struct el_key_root *root, const char *path, const char *master_path, struct el_error *err)
{
    int rc = take_master(path, master_path, root->master, root->master_path, err);
    root->generation_count = 1;
    root->generations[0].number = 1;
    bool drawn = rc == 0 && el_random_fill(root->id.bytes, sizeof root->id.bytes) == 0 &&
                 el_random_fill(root->index, sizeof root->index) == 0 &&
                 el_random_fill(root->generations[0].key, sizeof root->generations[0].key) == 0;
    return rc == 0 && !drawn ? el_error_set(err, EVLOG_ERR_KEYS, "the system has no random bytes") : rc;
}

static int write_root(int fd, const struct el_key_root *root, struct el_error *err)
{
    struct el_buffer text = {0};
    int rc = el_key_root_write(&text, root, err);
    rc = rc == 0 ? el_key_file_replace(fd, "store", el_buffer_slice(&text), true, err) : rc;
    el_buffer_free(&text);
    return rc;
}

/* The directory is there and locked: everything in it, the file "store" last. */
static int make_inside(int fd, const char *path, const char *master_path, struct el_error *err)
{
    struct el_key_root root = {0};
    int rc = is_free(path, fd, err);
    rc = rc == 0 ? fill_root(&root, path, master_path, err) : rc;
    rc = rc == 0 ? el_key_dir_make(fd, "keys", err) : rc;
    rc = rc == 0 ? el_key_dir_make(fd, "subjects", err) : rc;
    rc = rc == 0 ? write_root(fd, &root, err) : rc;
    explicit_bzero(&root, sizeof root);
    return rc;
}

/* The store's own directory, whose name is durable as well. */
static int make_outer(const char *path, struct el_error *err)
{
    char folder[PATH_MAX], name[PATH_MAX];
    if (strlen(path) >= sizeof folder) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "the path of the key store is too long");
    }
    (void)snprintf(folder, sizeof folder, "%s", path);
    (void)snprintf(name, sizeof name, "%s", path);
    int fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return el_error_set(err, EVLOG_ERR_KEYS, "key store %.300s cannot be made: %s", path, strerror(errno));
    }
    int rc = el_key_dir_make(fd, basename(name), err);
    (void)close(fd);
    return rc;
}

static int make_dir(const char *path, const char *master_path, struct el_error *err)
{
    int rc = make_outer(path, err);
    int fd = rc == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int lock = -1;
    if (rc == 0 && fd < 0) {
        rc = el_error_set(err, EVLOG_ERR_KEYS, "%.300s: %s", path, strerror(errno));
    }
    if (rc == 0) {
        rc = is_free(path, fd, err); /* before a file is made in a directory that is somebody else's */
    }
    if (rc == 0 && fchmod(fd, S_IRWXU) != 0) {
        rc = el_error_set(err, EVLOG_ERR_KEYS, "%.300s: %s", path, strerror(errno));
    }
    if (rc == 0) {
        lock = el_key_dir_lock(fd, err);
        rc = lock < 0 ? lock : make_inside(fd, path, master_path, err);
    }
    if (lock >= 0) {
        (void)close(lock);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return rc;
}

int evlog_key_dir_init(const char *path, const char *master_path, struct evlog_failure *failure)
{
    struct el_error err = {0};
    if (path == NULL || master_path == NULL || path[0] == '\0' || master_path[0] == '\0') {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a key store has a directory, and a file for its master key");
    }
    return make_dir(path, master_path, &err) == 0 ? 0 : told(failure, &err);
}

/* --- rotation ----------------------------------------------------------------------------------------------------- */

#define CHUNK_COUNT 64 /* keys between two releases of the lock */

struct rotation {
    struct el_key_dir *dir;
    uint32_t target; /* the generation that all keys are to come to */
    uint32_t in_chunk;
    bool hold; /* the lock, to the end */
    int lock;
    uint64_t count;
    struct el_error *err;
};

static int lock_and_load(struct rotation *r)
{
    r->in_chunk = 0;
    r->lock = el_key_dir_lock(r->dir->fd, r->err);
    return r->lock < 0 ? r->lock : el_key_dir_load(r->dir, r->err);
}

static void unlock(struct rotation *r)
{
    if (r->lock >= 0) {
        (void)close(r->lock);
        r->lock = -1;
    }
}

/* Wrap what a file holds under the newest generation. */
static int wrap_anew(const struct rotation *r, struct el_key_file *file)
{
    struct el_key_content content;
    struct el_key_root root;
    el_key_dir_root(r->dir, &root);
    int rc = el_key_unwrap(&root, file, &content);
    if (rc != 0) {
        (void)el_error_set(r->err, rc, "key %s cannot be unwrapped: it is damaged", file->record.id);
    } else {
        rc = el_key_wrap(&root, file, &content);
        explicit_bzero(&content, sizeof content);
    }
    explicit_bzero(&root, sizeof root);
    return rc;
}

/* Wrap one key anew, under the lock. */
static int rewrap(struct rotation *r, const char *id)
{
    struct el_key_file file;
    int rc = el_key_read(r->dir, id, &file, r->err);
    if (rc == EVLOG_ERR_NOT_FOUND || (rc == 0 && file.record.state == EVLOG_KEY_DESTROYED) ||
        (rc == 0 && file.generation >= r->target)) {
        return 0;
    }
    rc = rc == 0 ? wrap_anew(r, &file) : rc;
    rc = rc == 0 ? el_key_write(r->dir, &file, true, r->err) : rc;
    r->count += rc == 0;
    return rc;
}

static int on_key(void *arg, const char *id)
{
    struct rotation *r = arg;
    int rc = 0;
    if (r->in_chunk == CHUNK_COUNT && !r->hold) {
        unlock(r);
        rc = lock_and_load(r);
    }
    r->in_chunk++;
    return rc == 0 ? rewrap(r, id) : rc;
}

static int write_root_of(struct rotation *r, struct el_key_root *root)
{
    int rc = write_root(r->dir->fd, root, r->err);
    return rc == 0 ? el_key_dir_load(r->dir, r->err) : rc;
}

/* A new generation under the new master key, beside the old ones: from now on both master keys' files are needed only
 * until nobody has the old root in memory. */
static int begin_rotation(struct rotation *r, const char *master_path)
{
    struct el_key_root root;
    uint8_t master[EL_AEAD_KEY_LEN];
    char resolved[PATH_MAX];
    el_key_dir_root(r->dir, &root);
    memcpy(master, root.master, sizeof master);
    int rc = master_path == NULL ? 0 : take_master(r->dir->path, master_path, master, resolved, r->err);
    bool same = rc == 0 && memcmp(master, root.master, sizeof master) == 0;
    r->target = root.generations[root.generation_count - 1].number;
    bool goes_on = same && root.generation_count > 1;
    if (rc == 0 && !goes_on && root.generation_count == EL_KEY_GENERATION_MAX) {
        rc = el_error_set(r->err, EVLOG_ERR_LIMIT,
                          "%u rotations were begun and none was finished: rotate with the "
                          "present master key %.200s first",
                          root.generation_count - 1, root.master_path);
    }
    if (rc == 0 && !goes_on) {
        struct el_key_generation *fresh = &root.generations[root.generation_count++];
        fresh->number = ++r->target;
        memcpy(root.master, master, sizeof master);
        if (master_path != NULL) {
            memcpy(root.master_path, resolved, sizeof root.master_path);
        }
        rc = el_random_fill(fresh->key, sizeof fresh->key);
        if (rc == 0 && master_path != NULL) {
            (void)pthread_mutex_lock(&r->dir->mutex);
            memcpy(r->dir->master_path, resolved, sizeof resolved);
            (void)pthread_mutex_unlock(&r->dir->mutex);
        }
        rc = rc == 0 ? write_root_of(r, &root) : rc;
    }
    explicit_bzero(master, sizeof master);
    explicit_bzero(&root, sizeof root);
    return rc;
}

/* All keys have come to the target: what wrapped them before goes. */
static int end_rotation(struct rotation *r)
{
    struct el_key_root root;
    uint32_t kept = 0;
    el_key_dir_root(r->dir, &root);
    for (uint32_t i = 0; i < root.generation_count; i++) {
        if (root.generations[i].number >= r->target) {
            root.generations[kept++] = root.generations[i];
        }
    }
    bool fewer = kept < root.generation_count;
    root.generation_count = kept;
    int rc = fewer ? write_root_of(r, &root) : 0;
    explicit_bzero(&root, sizeof root);
    return rc;
}

/* Holding the lock, until a look at all keys finds none that is not at the target: a listing may miss what is renamed
 * while it goes on. */
static int wrap_the_rest(struct rotation *r)
{
    uint64_t before;
    unlock(r);
    r->hold = true;
    int rc = lock_and_load(r);
    do {
        before = r->count;
        rc = rc == 0 ? el_key_each(r->dir, on_key, r, r->err) : rc;
    } while (rc == 0 && r->count > before);
    return rc;
}

int evlog_key_dir_rotate(struct evlog_key_store *store, const char *master_path, uint64_t *count,
                         struct evlog_failure *failure)
{
    struct el_error err = {0};
    if (store == NULL || store->calls != &el_key_dir_calls) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "only a key store in a directory can be rotated");
    }
    struct rotation r = {.dir = EL_CONTAINER(store, struct el_key_dir, store), .lock = -1, .err = &err};
    int rc = lock_and_load(&r);
    rc = rc == 0 ? begin_rotation(&r, master_path) : rc;
    rc = rc == 0 ? el_key_each(r.dir, on_key, &r, &err) : rc;
    rc = rc == 0 ? wrap_the_rest(&r) : rc;
    rc = rc == 0 ? end_rotation(&r) : rc;
    unlock(&r);
    if (count != NULL) {
        *count = r.count;
    }
    if (rc != 0 && err.code == 0) {
        (void)el_error_set(&err, rc, "the keys cannot be wrapped anew: %s", evlog_error_text(rc));
    }
    return rc == 0 ? 0 : told(failure, &err);
}
