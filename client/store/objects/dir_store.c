/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects as files of a directory; any thread.
 *
 * put:
 *   1. write the bytes to a name of its own in "~put", and sync the file
 *   2. open the folders of the key, each without following symbolic links; make those that miss, and sync the folder
 *      above each that this process has not yet seen durable
 *   3. rename to the key's name if that is free (renameat2; link and unlink where the file system knows no such rename)
 *   4. sync the folder
 *
 * Something else in a folder's place is POLICY, whatever is asked: what lay below is hidden by it, and is not gone. An
 * archive whose folder was a file for a while would else be taken for one that is empty, or was never begun.
 *
 * What is there already is EXISTS, and only after the folder was synced: whoever compares and calls it his success must
 * find it after a loss of power too. A failed sync after step 3 leaves the object there: another put may have been
 * acknowledged for it already.
 *
 * A crash leaves at most a file in "~put", which the next open with `create` removes when it is a day old.
 */
#include "dir_state.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <core/hash.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FOLDER_MODE 0750
#define OBJECT_MODE 0440
#define CALL_LEN (128u << 10) /* by one call: others get a processor between two, and `stopped` is looked at */
#define HASH_LEN (1u << 20)
#define BESIDE_AGE_S 86400

/* Bytes of a file. */
struct span {
    uint64_t pos;
    uint8_t *buf;
    size_t len;
};

int (*dir_store_hook)(const char *step);

int dir_step(const char *name)
{
    int error = dir_store_hook == NULL ? 0 : dir_store_hook(name);
    errno = error > 0 ? error : errno;
    return error > 0 ? -1 : 0;
}

int dir_sync(int fd, const char *name)
{
    return dir_step(name) != 0 ? -1 : fsync(fd);
}

static void close_fd(int fd)
{
    int error = errno;
    (void)close(fd);
    errno = error;
}

int dir_failed(struct el_error *err, const char *key, const char *what)
{
    int error = errno;
    if (error == ENOENT) {
        return el_error_set(err, EVLOG_ERR_NOT_FOUND, "%.200s: not there", key);
    }
    if (error == ECANCELED) {
        return el_error_set(err, EVLOG_ERR_CLOSED, "%.200s: stopping", key);
    }
    int code = el_error_from_errno(error);
    code = error == EDQUOT ? EVLOG_ERR_NO_SPACE : code;
    bool known = code == EVLOG_ERR_NO_SPACE || code == EVLOG_ERR_NO_MEMORY || code == EVLOG_ERR_NO_FILES;
    const char *hint = error == EROFS                      ? ": the file system is read-only"
                       : error == EACCES || error == EPERM ? ": who runs this may not do it there"
                       : code == EVLOG_ERR_NO_SPACE        ? ": make room there"
                       : error == ELOOP                    ? ": a symbolic link stands in its path"
                                                           : "";
    return el_error_set(err,
                        error == EACCES || error == EPERM || error == EROFS ? EVLOG_ERR_POLICY
                        : known                                             ? code
                                                                            : EVLOG_ERR_IO,
                        "%.200s cannot be %s: %s%s", key, what, strerror(error), hint);
}

int dir_check(struct dir_store *store, const char *key, struct el_error *err)
{
    if (!object_key_is_fine(key)) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT,
                            "\"%.100s\" is no object's name: parts of [A-Za-z0-9._-] with / between them, at most %u",
                            key, OBJECT_KEY_MAX);
    }
    return atomic_load(&store->stopped) ? el_error_set(err, EVLOG_ERR_CLOSED, "%.200s: stopping", key) : 0;
}

/* --- folders ------------------------------------------------------------------------------------------------------ */

static bool is_known(struct dir_store *store, uint64_t hash)
{
    (void)pthread_mutex_lock(&store->lock);
    bool known = store->known[hash % DIR_KNOWN] == hash;
    (void)pthread_mutex_unlock(&store->lock);
    return known;
}

static void set_known(struct dir_store *store, uint64_t hash)
{
    (void)pthread_mutex_lock(&store->lock);
    store->known[hash % DIR_KNOWN] = hash;
    (void)pthread_mutex_unlock(&store->lock);
}

/* Make a folder, or find it, and see that its name is durable. path: from the root, of path_len bytes.
 * returns 0 | -1 with errno set */
static int make_folder(struct dir_store *store, int parent_fd, const char *name, const char *path, size_t path_len)
{
    uint64_t hash = el_xxh3(path, path_len);
    int rc = dir_step("mkdir") != 0 ? -1 : mkdirat(parent_fd, name, FOLDER_MODE);
    if (rc != 0 && errno != EEXIST) {
        return -1;
    }
    if (rc != 0 && is_known(store, hash)) {
        return 0;
    }
    if (dir_sync(parent_fd, "sync_dir") != 0) {
        return -1;
    }
    set_known(store, hash);
    return 0;
}

static int open_folder(int parent_fd, const char *name)
{
    return dir_step("open") != 0 ? -1 : openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int dir_parent(struct dir_store *store, const char *key, bool create, const char **name)
{
    char part[OBJECT_KEY_MAX + 1];
    int fd = fcntl(store->root_fd, F_DUPFD_CLOEXEC, 0);
    const char *at = key, *slash = strchr(key, '/');
    while (fd >= 0 && slash != NULL) {
        size_t len = (size_t)(slash - at);
        EL_ASSERT(len > 0 && len < sizeof part);
        memcpy(part, at, len);
        part[len] = '\0';
        int next = create && make_folder(store, fd, part, key, (size_t)(slash - key)) != 0 ? -1 : open_folder(fd, part);
        close_fd(fd);
        fd = next;
        at = slash + 1;
        slash = strchr(at, '/');
    }
    *name = at;
    return fd;
}

/* --- put ---------------------------------------------------------------------------------------------------------- */

/* returns 0 | -1 with errno set, ECANCELED when stopped */
static int write_all(struct dir_store *store, int fd, const uint8_t *data, uint64_t len)
{
    while (len > 0) {
        if (atomic_load(&store->stopped)) {
            errno = ECANCELED;
            return -1;
        }
        ssize_t done = dir_step("write") != 0 ? -1 : write(fd, data, (size_t)EL_MIN(len, CALL_LEN));
        if (done < 0 && errno != EINTR) {
            return -1;
        }
        if (done > 0) {
            data += done;
            len -= (uint64_t)done;
        }
    }
    return 0;
}

int dir_beside(struct dir_store *store, char beside[DIR_BESIDE_MAX], const void *data, uint64_t len)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(beside, DIR_BESIDE_MAX, DIR_BESIDE "/%x-%llx-%llx", (unsigned)getpid(),
                   (unsigned long long)now.tv_sec * 1000000000ull + (unsigned long long)now.tv_nsec,
                   (unsigned long long)atomic_fetch_add(&store->count, 1));
    if (mkdirat(store->root_fd, DIR_BESIDE, FOLDER_MODE) != 0 && errno != EEXIST) {
        return -1;
    }
    int fd = dir_step("create") != 0
                 ? -1
                 : openat(store->root_fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, OBJECT_MODE);
    if (fd >= 0 && write_all(store, fd, data, len) != 0) {
        dir_beside_drop(store, beside, fd);
        return -1;
    }
    return fd;
}

int dir_beside_sync(struct dir_store *store, int fd)
{
    struct stat st;
    int rc = dir_sync(fd, "sync");
    if (rc == 0 && fstat(fd, &st) == 0) { /* the file system's clock, which may be another machine's */
        atomic_store(&store->base.seen_ms, (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
    }
    return rc;
}

void dir_beside_drop(struct dir_store *store, const char *beside, int fd)
{
    close_fd(fd);
    int error = errno;
    (void)unlinkat(store->root_fd, beside, 0); /* not there any more when it was renamed */
    errno = error;
}

/* Give what was written its name, if that is free. returns 0 | -1 with errno set, EEXIST when it is not */
static int give_name(struct dir_store *store, const char *beside, int dir_fd, const char *name)
{
    int rc = dir_step("rename") != 0 ? -1 : renameat2(store->root_fd, beside, dir_fd, name, RENAME_NOREPLACE);
    if (rc != 0 && (errno == EINVAL || errno == ENOSYS)) {
        rc = dir_step("link") != 0 ? -1 : linkat(store->root_fd, beside, dir_fd, name, 0);
    }
    return rc;
}

/* Something that is not this store's stands at the first len bytes of a path: somebody must move it away first. */
static int in_the_way(struct dir_store *store, const char *path, size_t len, const char *wanted, struct el_error *err)
{
    return el_error_set(err, EVLOG_ERR_POLICY,
                        "%.150s/%.*s is in the way of %s: nothing was overwritten; move it away, and it goes on",
                        store->base.url, (int)EL_MIN(len, 200u), path, wanted);
}

/* A folder of the path is something else; not followed when it is a symbolic link. */
static int refuse_path(struct dir_store *store, const char *path, struct el_error *err)
{
    char part[OBJECT_KEY_MAX + DIR_BESIDE_MAX];
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        struct stat st;
        (void)snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (fstatat(store->root_fd, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode)) {
            return in_the_way(store, path, (size_t)(slash - path), "a folder", err);
        }
    }
    return el_error_set(err, EVLOG_ERR_AGAIN, "%.200s: what was in its way is not there any more", path);
}

int dir_unwritten(struct dir_store *store, const char *key, struct el_error *err)
{
    return errno == ENOTDIR ? refuse_path(store, DIR_BESIDE "/", err) : dir_failed(err, key, "written");
}

int dir_unreached(struct dir_store *store, const char *key, const char *what, struct el_error *err)
{
    return errno == ENOTDIR ? refuse_path(store, key, err) : dir_failed(err, key, what);
}

int dir_name(struct dir_store *store, const char *key, const char *beside, int *dir_fd, struct el_error *err)
{
    const char *name;
    struct stat st;
    *dir_fd = dir_parent(store, key, true, &name);
    if (*dir_fd < 0) {
        return dir_unreached(store, key, "written", err);
    }
    if (give_name(store, beside, *dir_fd, name) == 0) {
        return 0;
    }
    if (errno != EEXIST) {
        return dir_failed(err, key, "written");
    }
    bool other = fstatat(*dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode);
    return other ? in_the_way(store, key, strlen(key), "an object", err)
                 : el_error_set(err, EVLOG_ERR_EXISTS, "%.200s: it is there", key);
}

int dir_check_put(struct dir_store *store, const char *key, uint64_t len, struct el_error *err)
{
    int rc = dir_check(store, key, err);
    if (rc == 0 && len > OBJECT_LEN_MAX) {
        rc = el_error_set(err, EVLOG_ERR_LIMIT, "%.200s: longer than an object may be", key);
    }
    return rc;
}

static int dir_put(struct object_store *base, const char *key, const void *data, uint64_t len, const uint8_t sha256[32],
                   struct el_error *err)
{
    struct dir_store *store = dir_store_of(base);
    char beside[DIR_BESIDE_MAX];
    int dir_fd = -1;
    (void)sha256;
    int rc = dir_check_put(store, key, len, err);
    if (rc != 0) {
        return rc;
    }
    int fd = dir_beside(store, beside, data, len);
    if (fd < 0) {
        return dir_unwritten(store, key, err);
    }
    rc = dir_beside_sync(store, fd) != 0 ? dir_failed(err, key, "written") : dir_name(store, key, beside, &dir_fd, err);
    if ((rc == 0 || rc == EVLOG_ERR_EXISTS) && dir_sync(dir_fd, "sync_dir") != 0) {
        rc = dir_failed(err, key, "synced");
    }
    if (dir_fd >= 0) {
        close_fd(dir_fd);
    }
    dir_beside_drop(store, beside, fd);
    return rc;
}

/* --- get, head, remove -------------------------------------------------------------------------------------------- */

/* Open an object. returns a descriptor | EVLOG_ERR_ */
static int open_object(struct dir_store *store, const char *key, struct stat *st, struct el_error *err)
{
    const char *name;
    int rc = dir_check(store, key, err);
    if (rc != 0) {
        return rc;
    }
    int dir_fd = dir_parent(store, key, false, &name);
    if (dir_fd < 0) {
        return dir_unreached(store, key, "read", err);
    }
    /* A pipe would be waited for. */
    int fd = dir_step("open") != 0 ? -1 : openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    close_fd(dir_fd);
    if (fd < 0 || fstat(fd, st) != 0) {
        rc = dir_failed(err, key, "read");
    } else if (S_ISDIR(st->st_mode)) {
        rc = el_error_set(err, EVLOG_ERR_NOT_FOUND, "%.200s: a folder, not an object", key);
    } else if (!S_ISREG(st->st_mode)) {
        rc = el_error_set(err, EVLOG_ERR_CORRUPT, "%.200s: not a plain file", key);
    }
    if (rc != 0 && fd >= 0) {
        close_fd(fd);
    }
    return rc != 0 ? rc : fd;
}

/* Read bytes that must be there. returns 0 | EVLOG_ERR_ */
static int read_all(struct dir_store *store, int fd, const char *key, struct span span, struct el_error *err)
{
    for (size_t done = 0; done < span.len;) {
        errno = ECANCELED;
        ssize_t got = -1;
        if (!atomic_load(&store->stopped) && dir_step("read") == 0) {
            got = pread(fd, span.buf + done, EL_MIN(span.len - done, CALL_LEN), (off_t)(span.pos + done));
        }
        if (got < 0 && errno != EINTR) {
            return dir_failed(err, key, "read");
        }
        if (got == 0) {
            unsigned long long end = span.pos + done;
            return el_error_set(err, EVLOG_ERR_TRUNCATED, "%.200s: became shorter while it was read: ends at byte %llu",
                                key, end);
        }
        done += (size_t)EL_MAX(got, 0);
    }
    return 0;
}

static int dir_get(struct object_store *base, const char *key, uint64_t pos, void *buf, uint64_t len, uint64_t *done,
                   struct el_error *err)
{
    struct dir_store *store = dir_store_of(base);
    struct stat st;
    int fd = open_object(store, key, &st, err);
    if (fd < 0) {
        return fd;
    }
    uint64_t left = pos < (uint64_t)st.st_size ? (uint64_t)st.st_size - pos : 0;
    size_t want = (size_t)EL_MIN(left, len);
    int rc = read_all(store, fd, key, (struct span){pos, buf, want}, err);
    close_fd(fd);
    if (rc == 0) {
        *done = want;
    }
    return rc;
}

static int hash_file(struct dir_store *store, int fd, const char *key, struct object_info *info, struct el_error *err)
{
    struct el_sha256 ctx;
    uint8_t *buf = el_malloc(HASH_LEN);
    int rc = buf != NULL ? 0 : el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to read %.200s", key);
    el_sha256_begin(&ctx);
    for (uint64_t pos = 0; rc == 0 && pos < info->len; pos += HASH_LEN) {
        size_t len = (size_t)EL_MIN(info->len - pos, HASH_LEN);
        rc = read_all(store, fd, key, (struct span){pos, buf, len}, err);
        if (rc == 0) {
            el_sha256_add(&ctx, buf, len);
        }
    }
    el_sha256_end(&ctx, info->sha256);
    el_free(buf);
    return rc;
}

static int dir_head(struct object_store *base, const char *key, struct object_info *info, struct el_error *err)
{
    struct dir_store *store = dir_store_of(base);
    struct stat st;
    int fd = open_object(store, key, &st, err);
    if (fd < 0) {
        return fd;
    }
    struct object_info found = {.len = (uint64_t)st.st_size,
                                .has_sha256 = true,
                                .modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000};
    int rc = hash_file(store, fd, key, &found, err);
    close_fd(fd);
    if (rc == 0) {
        *info = found;
    }
    return rc;
}

static int dir_remove(struct object_store *base, const char *key, struct el_error *err)
{
    struct dir_store *store = dir_store_of(base);
    const char *name;
    int rc = dir_check(store, key, err);
    if (rc != 0) {
        return rc;
    }
    int dir_fd = dir_parent(store, key, false, &name);
    if (dir_fd < 0) {
        return errno == ENOENT ? 0 : dir_unreached(store, key, "removed", err);
    }
    rc = dir_step("unlink") != 0 ? -1 : unlinkat(dir_fd, name, 0);
    bool absent = rc != 0 && (errno == ENOENT || errno == EISDIR);
    if ((rc != 0 && !absent) || dir_sync(dir_fd, "sync_dir") != 0) {
        rc = dir_failed(err, key, "removed");
    } else {
        rc = 0;
    }
    close_fd(dir_fd);
    return rc;
}

/* --- open and close ----------------------------------------------------------------------------------------------- */

static void dir_stop(struct object_store *base)
{
    atomic_store(&dir_store_of(base)->stopped, true);
}

static void dir_close(struct object_store *base)
{
    struct dir_store *store = dir_store_of(base);
    (void)close(store->root_fd);
    (void)pthread_mutex_destroy(&store->lock);
    el_free(store->url);
    el_free(store);
}

static const struct object_store_ops dir_ops = {.put = dir_put,
                                                .hold = dir_hold,
                                                .settle = dir_settle,
                                                .drop = dir_drop,
                                                .get = dir_get,
                                                .head = dir_head,
                                                .list = dir_list,
                                                .remove = dir_remove,
                                                .stop = dir_stop,
                                                .close = dir_close};

/* Make a directory and what is missing above it, each name durable. returns 0 | -1 with errno set */
static int make_root(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(part, path, len + 1);
    for (size_t end = 1; end <= len; end++) {
        if (part[end] != '/' && part[end] != '\0') {
            continue;
        }
        char after = part[end];
        part[end] = '\0';
        bool made = dir_step("mkdir") == 0 && mkdir(part, FOLDER_MODE) == 0;
        int error = errno;
        part[end] = after;
        if (!made && error != EEXIST) {
            errno = error;
            return -1;
        }
        size_t above = end;
        while (above > 1 && part[above - 1] != '/') {
            above--;
        }
        if (made) {
            char kept = part[above];
            part[above] = '\0';
            int fd = open(part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            part[above] = kept;
            int rc = fd < 0 ? -1 : dir_sync(fd, "sync_dir");
            if (fd >= 0) {
                close_fd(fd);
            }
            if (rc != 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* Remove what crashes have left. */
static void clean_beside(int root_fd)
{
    int fd = open_folder(root_fd, DIR_BESIDE);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    struct dirent *entry;
    struct stat st;
    time_t now = time(NULL);
    while ((entry = readdir(dir)) != NULL) {
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_mtime + BESIDE_AGE_S < now) {
            (void)unlinkat(fd, entry->d_name, 0);
        }
    }
    (void)closedir(dir);
}

int dir_store_open(const char *path, bool create, const char *url, struct object_store **result, struct el_error *err)
{
    if (path[0] != '/') {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "%.200s: a directory is named by its whole path", path);
    }
    int root_fd = create && make_root(path) != 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0) {
        return errno == ENOENT ? el_error_set(err, EVLOG_ERR_NOT_FOUND, "%.200s: no such directory", path)
                               : el_error_set(err, EVLOG_ERR_IO, "%.200s cannot be opened as a directory: %s", path,
                                              strerror(errno));
    }
    struct dir_store *store = el_calloc(1, sizeof *store);
    char *kept = el_strdup(url);
    if (store == NULL || kept == NULL) {
        (void)close(root_fd);
        el_free(store);
        el_free(kept);
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to open %.200s", path);
    }
    store->base = (struct object_store){.ops = &dir_ops, .url = kept};
    store->url = kept;
    store->root_fd = root_fd;
    (void)pthread_mutex_init(&store->lock, NULL);
    if (create) {
        clean_beside(root_fd);
    }
    *result = &store->base;
    return 0;
}
