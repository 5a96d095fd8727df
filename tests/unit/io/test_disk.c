/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: struct disk over a real folder keeps the promises of io/disk.h: refusals, order, whole reads and writes.
 */
#include "../../lib/test.h"

#include <io/disk.h>

#include <evlog/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct disk *disk_new(void)
{
    struct disk *disk = NULL;
    assert_int_equal(disk_posix_open(el_test_dir(), &disk), 0);
    return disk;
}

static void touch(struct disk *disk, const char *path)
{
    int fd = -1;
    assert_int_equal(disk_open(disk, path, DISK_WRITE | DISK_CREATE, &fd), 0);
    assert_int_equal(disk_close(disk, fd), 0);
}

TEST(disk, refuses_what_is_not_there_and_what_is_there_already)
{
    struct disk *disk = disk_new();
    struct disk *other = NULL;
    int fd = -7;
    assert_int_equal(disk_posix_open("/nonexistent/evlog", &other), EVLOG_ERR_NOT_FOUND);
    assert_null(other);
    assert_int_equal(disk_open(disk, "none", DISK_READ, &fd), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(disk_open(disk, "none/file", DISK_WRITE | DISK_CREATE, &fd), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(fd, -7);
    assert_int_equal(disk_unlink(disk, "none"), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(disk_rmdir(disk, "none"), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(disk_rename(disk, "none", "other"), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(disk_sync_dir(disk, "none"), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(disk_list(disk, "none", NULL, NULL), EVLOG_ERR_NOT_FOUND);
    touch(disk, "file");
    assert_int_equal(disk_open(disk, "file", DISK_WRITE | DISK_CREATE | DISK_EXCL, &fd), EVLOG_ERR_EXISTS);
    assert_int_equal(disk_open(disk, "file", DISK_WRITE | DISK_CREATE | DISK_EXCL | DISK_DIRECT, &fd),
                     EVLOG_ERR_EXISTS);
    assert_int_equal(disk_mkdir(disk, "file"), EVLOG_ERR_EXISTS);
    assert_int_equal(disk_mkdir(disk, "dir"), 0);
    assert_int_equal(disk_mkdir(disk, "dir"), 0);
    disk_posix_close(disk);
}

struct names {
    char text[256];
};

static void names_add(void *arg, const char *name, bool is_dir)
{
    struct names *names = arg;
    strcat(names->text, name);
    strcat(names->text, is_dir ? "/ " : " ");
}

TEST(disk, lists_in_byte_order_and_renames_over)
{
    struct disk *disk = disk_new();
    struct names names = {""};
    assert_int_equal(disk_mkdir(disk, "b"), 0);
    touch(disk, "c");
    touch(disk, "a");
    touch(disk, "B");
    touch(disk, "10");
    touch(disk, "9");
    assert_int_equal(disk_list(disk, "", names_add, &names), 0);
    assert_string_equal(names.text, "10 9 B a b/ c ");
    assert_int_equal(disk_rename(disk, "c", "a"), 0);
    assert_int_equal(disk_rename(disk, "a", "b/a"), 0);
    assert_int_equal(disk_sync_dir(disk, "b"), 0);
    assert_int_equal(disk_sync_dir(disk, ""), 0);
    assert_int_equal(disk_unlink(disk, "B"), 0);
    names.text[0] = '\0';
    assert_int_equal(disk_list(disk, "", names_add, &names), 0);
    assert_string_equal(names.text, "10 9 b/ ");
    names.text[0] = '\0';
    assert_int_equal(disk_list(disk, "b", names_add, &names), 0);
    assert_string_equal(names.text, "a ");
    assert_int_not_equal(disk_rmdir(disk, "b"), 0);
    assert_int_equal(disk_unlink(disk, "b/a"), 0);
    assert_int_equal(disk_rmdir(disk, "b"), 0);
    disk_posix_close(disk);
}

TEST(disk, writes_all_buffers_and_reads_to_the_end)
{
    struct disk *disk = disk_new();
    struct iovec iov[100];
    char letters[100], back[256];
    int fd = -1;
    size_t done = 0;
    uint64_t len = 0;
    for (int i = 0; i < 100; i++) { /* more buffers than one system call is given; some are empty */
        letters[i] = (char)('a' + i % 26);
        iov[i] = (struct iovec){&letters[i], i % 10 != 9};
    }
    assert_int_equal(disk_open(disk, "f", DISK_WRITE | DISK_CREATE | DISK_EXCL, &fd), 0);
    assert_int_equal(disk_pwritev(disk, fd, iov, 100, 7), 0);
    assert_int_equal(disk_sync(disk, fd), 0);
    assert_int_equal(disk_sync_all(disk), 0);
    assert_int_equal(disk_len(disk, fd, &len), 0);
    assert_int_equal(len, 97);
    assert_int_equal(disk_pread(disk, fd, back, sizeof(back), 7, &done), 0);
    assert_int_equal(done, 90);
    size_t at = 0;
    for (int i = 0; i < 100; i++) {
        if (i % 10 != 9) {
            assert_int_equal(back[at++], letters[i]);
        }
    }
    assert_int_equal(disk_pread(disk, fd, back, 10, 1000, &done), 0);
    assert_int_equal(done, 0);
    assert_int_equal(disk_allocate(disk, fd, 0, 1u << 20), 0);
    assert_int_equal(disk_len(disk, fd, &len), 0);
    assert_int_equal(len, 97); /* reserved, not longer */
    assert_int_equal(disk_truncate(disk, fd, 5), 0);
    assert_int_equal(disk_len(disk, fd, &len), 0);
    assert_int_equal(len, 5);
    assert_int_equal(disk_close(disk, fd), 0);
    disk_posix_close(disk);
}

TEST(disk, files_and_folders_are_closed_to_others)
{
    const char *dir = el_test_dir();
    char path[512];
    struct disk *disk = NULL;
    struct stat st;
    mode_t mask = umask(0);
    assert_int_equal(disk_posix_open(dir, &disk), 0);
    touch(disk, "file");
    assert_int_equal(disk_mkdir(disk, "folder"), 0);
    (void)umask(mask);
    snprintf(path, sizeof(path), "%s/file", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    snprintf(path, sizeof(path), "%s/folder", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0750);
    disk_posix_close(disk);
}

TEST(disk, links_are_not_followed_and_space_is_told)
{
    const char *dir = el_test_dir();
    char path[512];
    struct disk *disk = NULL;
    uint64_t free_bytes = 0, total_bytes = 0;
    int fd = -1;
    assert_int_equal(disk_posix_open(dir, &disk), 0);
    snprintf(path, sizeof(path), "%s/link", dir);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_int_not_equal(disk_open(disk, "link", DISK_READ, &fd), 0);
    assert_int_equal(disk_space(disk, &free_bytes, &total_bytes), 0);
    assert_true(total_bytes > 0);
    assert_true(free_bytes <= total_bytes);
    disk_posix_close(disk);
}
