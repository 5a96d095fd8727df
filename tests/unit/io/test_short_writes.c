/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the commit thread asks for durability on every write, goes on after short and interrupted writes, falls back to
 * fdatasync where the flag is not known, and never tries again after an error. Likewise disk_pwritev().
 * Method: this program's own pwritev2, pwritev, pwrite and fdatasync stand before those of libc and act as told.
 */
#include "backends.h"

#include <core/bytes.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum fault { FAULT_NONE, FAULT_SHORT, FAULT_INTERRUPT, FAULT_NO_FLAG, FAULT_WRITE, FAULT_SYNC, FAULT_ZERO };

/* One thread writes at a time; the ops' queue orders these with the test. */
static enum fault fault;
static uint32_t dsync_count, plain_count, sync_count;

static bool interrupted_now(void)
{
    static bool odd;
    odd = !odd;
    errno = EINTR;
    return fault == FAULT_INTERRUPT && odd;
}

/* The first bytes of an iov, at most 3. */
static ssize_t write_three(int fd, const struct iovec *iov, int count, off_t pos)
{
    while (count > 0 && iov->iov_len == 0) {
        iov++;
        count--;
    }
    return count == 0 ? 0 : syscall(SYS_pwrite64, fd, iov->iov_base, EL_MIN(iov->iov_len, (size_t)3), pos);
}

static ssize_t write_some(int fd, const struct iovec *iov, int count, off_t pos)
{
    if (fault == FAULT_WRITE) {
        errno = EIO;
        return -1;
    }
    if (fault == FAULT_ZERO) {
        return 0;
    }
    if (fault == FAULT_SHORT) {
        return write_three(fd, iov, count, pos);
    }
    return interrupted_now() ? -1 : syscall(SYS_pwritev, fd, iov, (long)count, (long)pos, 0L);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t pos, int flags)
{
    dsync_count += flags == RWF_DSYNC;
    if (fault == FAULT_NO_FLAG || fault == FAULT_SYNC) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return write_some(fd, iov, count, pos);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t pos)
{
    plain_count++;
    return write_some(fd, iov, count, pos);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t pos)
{
    struct iovec iov = {(void *)(uintptr_t)data, len};
    plain_count++;
    return write_some(fd, &iov, 1, pos);
}

int fdatasync(int fd)
{
    sync_count++;
    if (fault == FAULT_SYNC) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static char text_a[] = "seven..", text_b[] = "", text_c[] = "eleven.....";

static int64_t write_with(struct bench *bench, enum fault how, int fd)
{
    struct outcome outcome = {0};
    struct io_op op;
    struct iovec iov[3] = {{text_a, 7}, {text_b, 0}, {text_c, 11}}, before[3];
    memcpy(before, iov, sizeof(iov));
    bench_op(&op, &outcome);
    op.iov = iov;
    op.iov_count = 3;
    op.pos = 5;
    fault = how;
    dsync_count = plain_count = sync_count = 0;
    io_start(bench->io, &op, IO_WRITE_DURABLE, fd);
    int64_t result = bench_result(bench, &outcome);
    fault = FAULT_NONE;
    assert_memory_equal(iov, before, sizeof(iov));
    return result;
}

static void check_text(struct bench *bench, int fd)
{
    char back[32] = {0};
    size_t done = 0;
    assert_int_equal(disk_pread(bench->disk, fd, back, sizeof(back), 5, &done), 0);
    assert_int_equal(done, 18);
    assert_memory_equal(back, "seven..eleven.....", 18);
    assert_int_equal(disk_truncate(bench->disk, fd, 0), 0);
}

EACH_BACKEND_THREAD(durable_writes_survive_short_and_interrupted_calls)
{
    int fd = -1;
    assert_int_equal(disk_open(bench->disk, "f", DISK_WRITE | DISK_CREATE, &fd), 0);
    assert_int_equal(write_with(bench, FAULT_NONE, fd), 18);
    assert_int_equal(dsync_count, 1);
    assert_int_equal(sync_count, 0);
    check_text(bench, fd);
    assert_int_equal(write_with(bench, FAULT_SHORT, fd), 18);
    assert_int_equal(dsync_count, 7); /* 3+3+1, 3+3+3+2: each of them durable */
    check_text(bench, fd);
    assert_int_equal(write_with(bench, FAULT_INTERRUPT, fd), 18);
    check_text(bench, fd);
    assert_int_equal(write_with(bench, FAULT_NO_FLAG, fd), 18);
    assert_int_equal(plain_count, 1);
    assert_int_equal(sync_count, 1);
    check_text(bench, fd);
    assert_int_equal(disk_close(bench->disk, fd), 0);
}

EACH_BACKEND_THREAD(failed_durable_write_is_not_tried_again)
{
    int fd = -1;
    assert_int_equal(disk_open(bench->disk, "f", DISK_WRITE | DISK_CREATE, &fd), 0);
    assert_int_equal(write_with(bench, FAULT_WRITE, fd), EVLOG_ERR_IO);
    assert_int_equal(dsync_count, 1);
    assert_int_equal(write_with(bench, FAULT_ZERO, fd), EVLOG_ERR_IO);
    assert_int_equal(dsync_count, 1);
    assert_int_equal(write_with(bench, FAULT_SYNC, fd), EVLOG_ERR_IO);
    assert_int_equal(sync_count, 1);
    assert_int_equal(disk_close(bench->disk, fd), 0);
}

EACH_BACKEND_THREAD(blocking_writes_survive_short_and_interrupted_calls)
{
    static const enum fault faults[] = {FAULT_NONE, FAULT_SHORT, FAULT_INTERRUPT};
    struct iovec iov[3] = {{text_a, 7}, {text_b, 0}, {text_c, 11}};
    int fd = -1;
    assert_int_equal(disk_open(bench->disk, "f", DISK_WRITE | DISK_CREATE, &fd), 0);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        fault = faults[i];
        int rc = disk_pwritev(bench->disk, fd, iov, 3, 5);
        fault = FAULT_NONE;
        assert_int_equal(rc, 0);
        check_text(bench, fd);
    }
    fault = FAULT_WRITE;
    plain_count = 0;
    int rc = disk_pwritev(bench->disk, fd, iov, 3, 5);
    fault = FAULT_ZERO;
    int zero = disk_pwritev(bench->disk, fd, iov, 3, 5);
    fault = FAULT_NONE;
    assert_int_equal(rc, EVLOG_ERR_IO);
    assert_int_equal(zero, EVLOG_ERR_IO);
    assert_int_equal(plain_count, 2);
    assert_int_equal(disk_close(bench->disk, fd), 0);
}
