/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects of a directory that become durable together.
 *
 * hold:
 *   1. write the bytes to a name of its own in "~put"; the file stays open
 * settle:
 *   2. sync the file system once, where that is known to reach the device (syncfs(2)): a sync of each file would have
 *      the device write its cache as many times, and whatever else is synced there would wait for it. Elsewhere
 *      each is synced
 *   3. give each its name, as a single put does, and sync each folder once
 *   4. compare what had its name already with what should be there
 *
 * An object has its name only when its bytes are durable, as after a single put; which of them have it is open until
 * settle returns 0. What fails, or is dropped, leaves no file in "~put"; a crash does, and the next open removes it.
 */
#include "dir_state.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#define HELD_MAX 128u /* files that are open at a time */
#define WHOLE_MIN 4u  /* files for which the whole file system is synced */

struct held_file {
    char *key;
    char beside[DIR_BESIDE_MAX];
    int fd;
    bool exists; /* it had its name before */
    uint64_t len;
    uint8_t sha256[32];
};

struct held_folder {
    const char *key; /* of a file in it */
    size_t len;      /* of its name in the key */
    int fd;
};

struct dir_held {
    struct held_file files[HELD_MAX];
    struct held_folder folders[HELD_MAX];
    uint32_t file_count, folder_count;
};

void dir_drop(struct object_store *base, void **held)
{
    struct dir_held *h = *held;
    if (h == NULL) {
        return;
    }
    for (uint32_t i = 0; i < h->folder_count; i++) {
        (void)close(h->folders[i].fd);
    }
    for (uint32_t i = 0; i < h->file_count; i++) {
        dir_beside_drop(dir_store_of(base), h->files[i].beside, h->files[i].fd);
        el_free(h->files[i].key);
    }
    el_free(h);
    *held = NULL;
}

int dir_hold(struct object_store *base, void **held, const char *key, const void *data, uint64_t len,
             const uint8_t sha256[32], struct el_error *err)
{
    struct dir_store *store = dir_store_of(base);
    struct dir_held *h = *held;
    int rc = dir_check_put(store, key, len, err);
    if (rc == 0 && h != NULL && h->file_count == HELD_MAX) {
        rc = dir_settle(base, held, err);
        h = NULL;
    }
    if (rc != 0) {
        return rc;
    }
    h = h != NULL ? h : el_calloc(1, sizeof *h);
    *held = h;
    char *copy = h == NULL ? NULL : el_memdup(key, strlen(key) + 1);
    if (copy == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to put %.200s", key);
    }
    struct held_file *file = &h->files[h->file_count];
    *file = (struct held_file){.key = copy, .len = len};
    memcpy(file->sha256, sha256, sizeof file->sha256);
    file->fd = dir_beside(store, file->beside, data, len);
    if (file->fd < 0) {
        rc = dir_unwritten(store, key, err);
        el_free(copy);
        return rc;
    }
    h->file_count++;
    return 0;
}

/* Keep a folder open until it is synced, unless it is open already. */
static void add_folder(struct dir_held *h, const char *key, int fd)
{
    const char *slash = strrchr(key, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - key);
    for (uint32_t i = 0; i < h->folder_count; i++) {
        const struct held_folder *f = &h->folders[i];
        if (f->len == len && memcmp(f->key, key, len) == 0) {
            (void)close(fd);
            return;
        }
    }
    EL_ASSERT(h->folder_count < HELD_MAX);
    h->folders[h->folder_count++] = (struct held_folder){.key = key, .len = len, .fd = fd};
}

/* Does syncfs(2) see to it that the device has written its cache? Of others it is not known, and FUSE's does not. */
static bool syncs_whole(int fd)
{
    struct statfs st;
    return fstatfs(fd, &st) == 0 && (st.f_type == EXT4_SUPER_MAGIC || st.f_type == XFS_SUPER_MAGIC ||
                                     st.f_type == BTRFS_SUPER_MAGIC);
}

static int sync_whole(int fd)
{
    return dir_step("sync_whole") != 0 ? -1 : syncfs(fd);
}

static int sync_files(struct dir_store *store, const struct dir_held *h, struct el_error *err)
{
    if (h->file_count >= WHOLE_MIN && syncs_whole(h->files[0].fd)) {
        return sync_whole(h->files[0].fd) != 0 ? dir_failed(err, "a batch", "written") : 0;
    }
    for (uint32_t i = 0; i < h->file_count; i++) {
        if (dir_beside_sync(store, h->files[i].fd) != 0) {
            return dir_failed(err, h->files[i].key, "written");
        }
    }
    return 0;
}

static int name_files(struct dir_store *store, struct dir_held *h, struct el_error *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < h->file_count && rc == 0; i++) {
        struct held_file *file = &h->files[i];
        int fd;
        rc = dir_name(store, file->key, file->beside, &fd, err);
        if (fd >= 0) {
            add_folder(h, file->key, fd);
        }
        file->exists = rc == EVLOG_ERR_EXISTS;
        rc = file->exists ? 0 : rc;
    }
    for (uint32_t i = 0; i < h->folder_count && rc == 0; i++) {
        if (dir_sync(h->folders[i].fd, "sync_dir") != 0) {
            rc = dir_failed(err, h->folders[i].key, "synced");
        }
    }
    return rc;
}

int dir_settle(struct object_store *base, void **held, struct el_error *err)
{
    struct dir_store *store = dir_store_of(base);
    struct dir_held *h = *held;
    if (h == NULL) {
        return 0;
    }
    int rc = sync_files(store, h, err);
    rc = rc != 0 ? rc : name_files(store, h, err);
    for (uint32_t i = 0; i < h->file_count && rc == 0; i++) {
        const struct held_file *file = &h->files[i];
        rc = file->exists ? object_compare(base, file->key, file->len, file->sha256, err) : 0;
    }
    dir_drop(base, held);
    return rc;
}
