/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of a key store: small, for the owner alone, replaced whole.
 *
 * A file is written under another name, synced, renamed into place, and the directory is synced: whoever reads it sees
 * the old bytes or the new ones, and what was answered for is there after a loss of power. Writers hold the lock, so
 * one name for what is being written is enough, and what a crash left of it is overwritten.
 *
 * A reader that has opened a file just before it is replaced may read what is being wiped: it finds that the file has
 * no name any more, and reads again.
 *
 * Overwriting what a file held, before its blocks are given back, is as much as a program can do: copy-on-write file
 * systems, journals and flash keep old blocks. Rotation (key_dir.c) is what makes such remains useless.
 */
#include "key_dir_state.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LEN_MAX (64u << 10)
#define MASTER_DIGITS 64
#define READ_TRY_MAX 1000 /* while others replace a file */
#define OTHERS 077

int (*el_key_dir_hook)(const char *step);

/* May the next call be made? returns 0 | -1 with errno set */
static int step(const char *name)
{
    int error = el_key_dir_hook == NULL ? 0 : el_key_dir_hook(name);
    errno = error > 0 ? error : errno;
    return error > 0 ? -1 : 0;
}

static int sync_file(int fd, const char *name)
{
    int error = el_key_dir_hook == NULL ? 0 : el_key_dir_hook(name);
    errno = error > 0 ? error : errno;
    return error > 0 ? -1 : error < 0 ? 0 : fsync(fd);
}

static int failed(struct el_error *err, const char *what, const char *name)
{
    int error = errno;
    int code = el_error_from_errno(error);
    return el_error_set(err, code == EVLOG_ERR_NO_SPACE || code == EVLOG_ERR_NO_MEMORY ? code : EVLOG_ERR_KEYS,
                        "%s of the key store cannot be %s: %s", name, what, strerror(error));
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* Read what a descriptor's file holds. returns 0 | 1 it was replaced meanwhile, and so perhaps wiped | -1 errno */
static int read_all(int fd, struct el_buffer *text)
{
    struct stat st;
    ssize_t got = 1;
    el_buffer_reset(text);
    while (got > 0 && text->len <= FILE_LEN_MAX) {
        uint8_t *room = el_buffer_room(text, 4096);
        got = room == NULL ? 0 : read(fd, room, 4096);
        text->len -= room == NULL ? 0 : 4096 - (size_t)EL_MAX(got, 0);
        got = got < 0 && errno == EINTR ? 1 : got;
    }
    /* Wiping begins behind the rename: who reads zeros finds a file without a name. */
    return got < 0 || fstat(fd, &st) != 0 ? -1 : st.st_nlink == 0;
}

int el_key_file_read(int dir_fd, const char *name, struct el_buffer *text, struct el_error *err)
{
    int rc = 1;
    for (int i = 0; i < READ_TRY_MAX && rc == 1; i++) {
        int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            return errno == ENOENT ? el_error_set(err, EVLOG_ERR_NOT_FOUND, "%s is not there", name)
                                   : failed(err, "read", name);
        }
        rc = read_all(fd, text);
        int error = errno;
        (void)close(fd);
        errno = error;
    }
    if (rc != 0) {
        return rc < 0 ? failed(err, "read", name)
                      : el_error_set(err, EVLOG_ERR_KEYS, "%s of the key store is replaced all the time", name);
    }
    if (text->err != 0) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to read %s", name);
    }
    return text->len <= FILE_LEN_MAX
               ? 0
               : el_error_set(err, EVLOG_ERR_KEYS, "%s of the key store is larger than any that evlog writes", name);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static int write_all(int fd, struct el_slice text)
{
    while (text.len > 0) {
        ssize_t len = step("write") != 0 ? -1 : write(fd, text.data, text.len);
        if (len < 0 && errno != EINTR) {
            return -1;
        }
        if (len > 0) {
            text = el_slice_of(text.data + len, text.len - (size_t)len);
        }
    }
    return 0;
}

/* Write and sync a file that nobody reads yet. returns 0 | -1 with errno set */
static int write_beside(int dir_fd, const char *name, struct el_slice text)
{
    int fd = step("open") != 0
                 ? -1
                 : openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return -1;
    }
    int rc = write_all(fd, text);
    if (rc == 0) {
        rc = sync_file(fd, "sync");
    }
    int error = errno;
    (void)close(fd);
    errno = error;
    return rc;
}

/* Zeros over what a descriptor's file holds. It has no name any more, so a failure is nobody's to repair. */
static void wipe_file(int fd)
{
    static const uint8_t zeros[4096];
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return;
    }
    for (off_t pos = 0; pos < st.st_size && step("wipe") == 0; pos += (off_t)sizeof zeros) {
        size_t len = (size_t)EL_MIN(st.st_size - pos, (off_t)sizeof zeros);
        if (pwrite(fd, zeros, len, pos) != (ssize_t)len) {
            return;
        }
    }
    (void)sync_file(fd, "sync");
}

static int sync_dir(int dir_fd)
{
    return sync_file(dir_fd, "sync_dir");
}

int el_key_file_replace(int dir_fd, const char *name, struct el_slice text, bool wipe, struct el_error *err)
{
    char beside[EL_KEY_NAME_MAX + 8];
    EL_ASSERT(strlen(name) < EL_KEY_NAME_MAX);
    (void)snprintf(beside, sizeof beside, ".%s.tmp", name);
    int old_fd = wipe ? openat(dir_fd, name, O_WRONLY | O_CLOEXEC) : -1;
    int rc = write_beside(dir_fd, beside, text);
    if (rc == 0) {
        rc = step("rename") != 0 ? -1 : renameat(dir_fd, beside, dir_fd, name);
    }
    if (rc == 0) {
        rc = sync_dir(dir_fd);
    }
    if (rc != 0) {
        rc = failed(err, "written", name);
    }
    if (old_fd >= 0) {
        if (rc == 0) {
            wipe_file(old_fd);
        }
        (void)close(old_fd);
    }
    return rc;
}

int el_key_file_remove(int dir_fd, const char *name, struct el_error *err)
{
    int rc = step("unlink") != 0 ? -1 : unlinkat(dir_fd, name, 0);
    if (rc != 0 && errno == ENOENT) {
        return 0;
    }
    return rc != 0 || sync_dir(dir_fd) != 0 ? failed(err, "removed", name) : 0;
}

int el_key_dir_make(int parent_fd, const char *name, struct el_error *err)
{
    int rc = step("mkdir") != 0 ? -1 : mkdirat(parent_fd, name, S_IRWXU);
    if (rc != 0 && errno != EEXIST) {
        return failed(err, "made", name);
    }
    return sync_dir(parent_fd) != 0 ? failed(err, "made", name) : 0;
}

int el_key_dir_lock(int dir_fd, struct el_error *err)
{
    int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    int rc = -1;
    while (fd >= 0 && rc != 0) {
        rc = flock(fd, LOCK_EX);
        if (rc != 0 && errno != EINTR) {
            int error = errno;
            (void)close(fd);
            errno = error;
            fd = -1;
        }
    }
    return fd >= 0 ? fd : failed(err, "locked", "lock");
}

/* --- the master key's file ---------------------------------------------------------------------------------------- */

static int from_hex(const char *hex, uint8_t bytes[EL_AEAD_KEY_LEN])
{
    for (size_t i = 0; i < MASTER_DIGITS; i++) {
        char c = hex[i];
        bool digit = c >= '0' && c <= '9', low = c >= 'a' && c <= 'f', high = c >= 'A' && c <= 'F';
        if (!digit && !low && !high) {
            return EVLOG_ERR_KEYS;
        }
        uint8_t value = (uint8_t)(digit ? c - '0' : (c | 0x20) - 'a' + 10);
        bytes[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : bytes[i / 2] | value);
    }
    return 0;
}

static int take_master(int fd, const char *path, uint8_t master[EL_AEAD_KEY_LEN], struct el_error *err)
{
    char text[MASTER_DIGITS + 3];
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return el_error_set(err, EVLOG_ERR_KEYS, "master key %.300s: %s", path, strerror(errno));
    }
    if ((st.st_mode & OTHERS) != 0) {
        return el_error_set(err, EVLOG_ERR_KEYS, "master key %.300s: others may use it: chmod 600 it, and rotate",
                            path);
    }
    ssize_t len = read(fd, text, sizeof text);
    ssize_t end = len;
    while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == '\r')) {
        end--;
    }
    int rc = end == MASTER_DIGITS && len < (ssize_t)sizeof text ? from_hex(text, master) : EVLOG_ERR_KEYS;
    explicit_bzero(text, sizeof text);
    return rc == 0 ? 0
                   : el_error_set(err, EVLOG_ERR_KEYS, "master key %.300s: it is a file with %d hexadecimal digits",
                                  path, MASTER_DIGITS);
}

int el_key_master_read(const char *path, uint8_t master[EL_AEAD_KEY_LEN], struct el_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return el_error_set(err, errno == ENOENT ? EVLOG_ERR_NOT_FOUND : EVLOG_ERR_KEYS, "master key %.300s: %s", path,
                            strerror(errno));
    }
    int rc = take_master(fd, path, master, err);
    (void)close(fd);
    return rc;
}

/* A new key under a name of its own, then linked: a file that is there already is never overwritten. */
static int draw_master(int dir_fd, const char *name, struct el_error *err)
{
    uint8_t master[EL_AEAD_KEY_LEN];
    char text[MASTER_DIGITS + 2], beside[NAME_MAX + 16];
    if (el_random_fill(master, sizeof master) != 0) {
        return el_error_set(err, EVLOG_ERR_KEYS, "the system has no random bytes for a master key");
    }
    el_hex(text, master, sizeof master);
    (void)snprintf(text + MASTER_DIGITS, 2, "\n");
    (void)snprintf(beside, sizeof beside, ".%s.%d", name, (int)getpid());
    int rc = write_beside(dir_fd, beside, el_slice_of(text, MASTER_DIGITS + 1));
    if (rc == 0) {
        rc = step("link") != 0 ? -1 : linkat(dir_fd, beside, dir_fd, name, 0);
        rc = rc != 0 && errno == EEXIST ? 0 : rc;
    }
    int error = errno;
    (void)unlinkat(dir_fd, beside, 0);
    errno = error;
    if (rc == 0) {
        rc = sync_dir(dir_fd);
    }
    explicit_bzero(master, sizeof master);
    explicit_bzero(text, sizeof text);
    return rc == 0 ? 0
                   : el_error_set(err, EVLOG_ERR_KEYS, "master key %.200s cannot be made: %s", name, strerror(errno));
}

int el_key_master_make(const char *path, uint8_t master[EL_AEAD_KEY_LEN], struct el_error *err)
{
    char folder[PATH_MAX], name[PATH_MAX];
    int rc = el_key_master_read(path, master, err);
    if (rc != EVLOG_ERR_NOT_FOUND) {
        return rc;
    }
    (void)snprintf(folder, sizeof folder, "%s", path);
    (void)snprintf(name, sizeof name, "%s", path);
    int fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *base = basename(name);
    if (fd < 0 || strlen(base) > NAME_MAX) {
        rc = el_error_set(err, EVLOG_ERR_KEYS, "master key %.300s cannot be made: %s", path, strerror(errno));
    } else {
        rc = draw_master(fd, base, err);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return rc == 0 ? el_key_master_read(path, master, err) : rc;
}
