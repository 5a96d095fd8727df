/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing a directory in the byte order of whole keys.
 *
 * A folder's keys go on with "/" behind its name, so its entries are sorted as if folders' names ended with that:
 * "a-b", then what is in "a", then "a0". Folders that can hold no key of the prefix, or none above `after`, are not
 * read. Folders being read form a stack; it is as deep as keys can be.
 */
#include "dir_state.h"

#include <core/alloc.h>
#include <core/buffer.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX (OBJECT_KEY_MAX / 2 + 1)

struct level {
    int fd;
    size_t path_len;        /* of the folder's path, with the "/" at its end; 0: the root */
    struct el_buffer names; /* one behind the other, each with its NUL; folders' end with "/" */
    const char **sorted;    /* [count] */
    size_t count;
    size_t next;
};

struct walk {
    struct dir_store *store;
    const char *prefix;
    const char *after;
    object_list_fn fn;
    void *arg;
    struct el_error *err;
    char path[OBJECT_KEY_MAX + 2]; /* of the entry looked at */
    size_t depth;
    struct level levels[DEPTH_MAX];
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Can a folder whose path ends with "/" hold keys that are asked for? */
static bool is_wanted(const struct walk *walk, const char *path)
{
    bool in_prefix = begins(path, walk->prefix) || begins(walk->prefix, path);
    return in_prefix && (begins(walk->after, path) || strcmp(path, walk->after) > 0);
}

/* What kind of thing is it? returns true when it may be an object or a folder of them */
static bool kind_of(int fd, const struct dirent *entry, bool *is_folder)
{
    unsigned char type = entry->d_type;
    struct stat st;
    if (type == DT_UNKNOWN && fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        type = S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
    }
    *is_folder = type == DT_DIR;
    return (type == DT_DIR || type == DT_REG) && object_key_is_fine(entry->d_name);
}

/* Names that a folder holds and whose paths are not too long. returns 0 | -1 with errno set */
static int read_names(struct level *level)
{
    struct dirent *entry;
    /* The directory is read through a descriptor of its own, since closedir() closes it. */
    int fd = dir_step("read_dir") != 0 ? -1 : fcntl(level->fd, F_DUPFD_CLOEXEC, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int error = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        errno = error;
        return -1;
    }
    rewinddir(dir);
    errno = 0;
    while ((entry = readdir(dir)) != NULL) {
        bool is_folder;
        size_t len = strlen(entry->d_name);
        if (kind_of(fd, entry, &is_folder) && level->path_len + len <= OBJECT_KEY_MAX) {
            el_buffer_append(&level->names, entry->d_name, len);
            el_buffer_append(&level->names, "/", is_folder ? 1 : 0);
            el_buffer_append(&level->names, "", 1);
            level->count++;
        }
        errno = 0;
    }
    int error = level->names.err != 0 ? ENOMEM : errno;
    (void)closedir(dir);
    errno = error;
    return error != 0 ? -1 : 0;
}

/* Read and sort a folder, whose descriptor is taken over. returns 0 | -1 with errno set */
static int enter(struct walk *walk, int fd, size_t path_len)
{
    struct level *level = &walk->levels[walk->depth++];
    *level = (struct level){.fd = fd, .path_len = path_len};
    if (read_names(level) != 0) {
        return -1;
    }
    level->sorted = el_malloc(level->count * sizeof *level->sorted);
    if (level->sorted == NULL) {
        errno = ENOMEM;
        return -1;
    }
    const char *name = (const char *)level->names.data;
    for (size_t i = 0; i < level->count; i++) {
        level->sorted[i] = name;
        name += strlen(name) + 1;
    }
    qsort(level->sorted, level->count, sizeof *level->sorted, by_name);
    return 0;
}

static void leave(struct walk *walk)
{
    struct level *level = &walk->levels[--walk->depth];
    (void)close(level->fd);
    el_free((void *)level->sorted);
    el_buffer_free(&level->names);
}

/* returns 0 | 1 the listing is to end | -1 with errno set */
static int visit_file(struct walk *walk, const struct level *level, const char *name)
{
    struct stat st;
    if (!begins(walk->path, walk->prefix) || strcmp(walk->path, walk->after) <= 0) {
        return 0;
    }
    if (fstatat(level->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : -1;
    }
    int64_t modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return walk->fn(walk->arg, walk->path, (uint64_t)st.st_size, modified_ms) ? 0 : 1;
}

static int visit_folder(struct walk *walk, const struct level *level, size_t path_len)
{
    char name[OBJECT_KEY_MAX + 2];
    if (!is_wanted(walk, walk->path) || walk->depth == DEPTH_MAX) {
        return 0;
    }
    size_t len = path_len - level->path_len - 1;
    memcpy(name, walk->path + level->path_len, len);
    name[len] = '\0';
    int fd = openat(level->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? enter(walk, fd, path_len) : errno == ENOENT ? 0 : -1;
}

/* The next entry of the innermost folder. returns as visit_file() does */
static int step(struct walk *walk)
{
    struct level *level = &walk->levels[walk->depth - 1];
    if (level->next == level->count) {
        leave(walk);
        return 0;
    }
    const char *name = level->sorted[level->next++];
    size_t len = strlen(name);
    memcpy(walk->path + level->path_len, name, len + 1);
    return name[len - 1] == '/' ? visit_folder(walk, level, level->path_len + len) : visit_file(walk, level, name);
}

/* Begin with the innermost folder that all keys of the prefix lie in. returns 0 | 1 it is not there | -1 errno */
static int begin(struct walk *walk)
{
    const char *last, *slash = strrchr(walk->prefix, '/');
    size_t path_len = slash == NULL ? 0 : (size_t)(slash - walk->prefix) + 1;
    memcpy(walk->path, walk->prefix, path_len);
    walk->path[path_len] = '\0';
    if (path_len > 0) {
        walk->path[path_len - 1] = '\0';
        bool fine = object_key_is_fine(walk->path);
        walk->path[path_len - 1] = '/';
        if (!fine) {
            return 1;
        }
    }
    int fd = dir_parent(walk->store, walk->path, false, &last);
    return fd >= 0 ? enter(walk, fd, path_len) : errno == ENOENT ? 1 : -1;
}

int dir_list(struct object_store *base, const char *prefix, const char *after, object_list_fn fn, void *arg,
             struct el_error *err)
{
    struct dir_store *store = dir_store_of(base);
    if (strlen(prefix) > OBJECT_KEY_MAX) {
        return 0;
    }
    struct walk *walk = el_calloc(1, sizeof *walk);
    if (walk == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to list %.200s", prefix);
    }
    walk->store = store;
    walk->prefix = prefix;
    walk->after = after == NULL ? "" : after;
    walk->fn = fn;
    walk->arg = arg;
    int rc = begin(walk);
    while (rc == 0 && walk->depth > 0) {
        errno = ECANCELED;
        rc = atomic_load(&store->stopped) ? -1 : step(walk);
    }
    if (rc < 0) {
        rc = dir_unreached(store, prefix[0] == '\0' ? "the directory" : prefix, "listed", err);
    }
    while (walk->depth > 0) {
        leave(walk);
    }
    el_free(walk);
    return EL_MIN(rc, 0);
}
