/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: durable writes, reads and jobs give the same results on both backends and by each commit method.
 * Method: real files in a temporary folder.
 */
#include "backends.h"

#include <core/bytes.h>
#include <core/limits.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK EL_JOURNAL_ALIGN

static uint8_t *block_alloc(size_t len, uint8_t fill)
{
    uint8_t *p = aligned_alloc(BLOCK, len);
    assert_non_null(p);
    memset(p, fill, len);
    return p;
}

static int open_new(struct bench *bench, const char *name, int flags)
{
    int fd = -1;
    assert_int_equal(disk_open(bench->disk, name, DISK_WRITE | DISK_CREATE | flags, &fd), 0);
    return fd;
}

static void write_and_read_back(struct bench *bench)
{
    struct outcome outcome = {0};
    struct io_op op;
    uint8_t *head = block_alloc(BLOCK, 'h'), *tail = block_alloc(3 * BLOCK, 't'), *back = block_alloc(8 * BLOCK, 0);
    int fd = open_new(bench, "journal", DISK_DIRECT);
    struct iovec iov[3] = {{head, BLOCK}, {tail, 2 * BLOCK}, {tail + 2 * BLOCK, BLOCK}};
    bench_op(&op, &outcome);
    op.iov = iov;
    op.iov_count = 3;
    op.pos = BLOCK;
    io_start(bench->io, &op, IO_WRITE_DURABLE, fd);
    assert_int_equal(outcome.done_count, 0); /* never from inside io_submit() */
    assert_int_equal(bench_result(bench, &outcome), 4 * BLOCK);
    assert_ptr_equal(iov[0].iov_base, head);
    assert_int_equal(iov[0].iov_len, BLOCK);

    io_write_durable(bench->io, &op, fd, tail, BLOCK, 0);
    assert_int_equal(bench_result(bench, &outcome), BLOCK);

    bench_op(&op, &outcome);
    io_read(bench->io, &op, fd, back, 8 * BLOCK, 0);
    assert_int_equal(outcome.done_count, 0);
    assert_int_equal(bench_result(bench, &outcome), 5 * BLOCK); /* short at the end of the file */
    assert_memory_equal(back, tail, BLOCK);
    assert_memory_equal(back + BLOCK, head, BLOCK);
    assert_memory_equal(back + 2 * BLOCK, tail, 3 * BLOCK);

    io_read(bench->io, &op, fd, back, BLOCK, 64 * BLOCK);
    assert_int_equal(bench_result(bench, &outcome), 0);
    assert_int_equal(disk_close(bench->disk, fd), 0);
    free(head);
    free(tail);
    free(back);
}

static void two_in_flight(struct bench *bench)
{
    struct outcome outcome = {0};
    struct io_op ops[2];
    uint8_t *data = block_alloc(2 * BLOCK, 'x');
    int fd = open_new(bench, "two", DISK_DIRECT);
    for (int i = 0; i < 2; i++) {
        bench_op(&ops[i], &outcome);
        io_write_durable(bench->io, &ops[i], fd, data + i * BLOCK, BLOCK, (uint64_t)i * BLOCK);
    }
    assert_int_equal(bench->io->op_count, 2);
    bench_wait(bench, &outcome.done_count, 2);
    uint64_t len = 0;
    assert_int_equal(disk_len(bench->disk, fd, &len), 0);
    assert_int_equal(len, 2 * BLOCK);
    assert_int_equal(disk_close(bench->disk, fd), 0);
    free(data);
}

static void journal_by(struct bench *bench)
{
    write_and_read_back(bench);
    two_in_flight(bench);
}

TEST(uring, ring_dsync_writes_are_read_back)
{
    bench_run(true, IO_COMMIT_RING_DSYNC, journal_by);
}
TEST(uring, thread_writes_are_read_back)
{
    bench_run(true, IO_COMMIT_THREAD, journal_by);
}
TEST(uring, linked_writes_are_read_back)
{
    bench_run(true, IO_COMMIT_LINKED, journal_by);
}
TEST(posix, thread_writes_are_read_back)
{
    bench_run(false, IO_COMMIT_AUTO, journal_by);
}

static void refused_write(struct bench *bench)
{
    struct outcome outcome = {0};
    struct io_op op;
    uint8_t *data = block_alloc(BLOCK, 'x');
    int fd = open_new(bench, "file", 0);
    assert_int_equal(disk_close(bench->disk, fd), 0);
    assert_int_equal(disk_open(bench->disk, "file", DISK_READ, &fd), 0);
    bench_op(&op, &outcome);
    io_write_durable(bench->io, &op, fd, data, BLOCK, 0); /* not open for writing */
    assert_int_equal(bench_result(bench, &outcome), EVLOG_ERR_IO);
    assert_int_equal(disk_close(bench->disk, fd), 0);
    free(data);
}

/* The write succeeds, its sync does not: a device that knows no sync stands for a disk that fails it. */
static void failed_sync(struct bench *bench)
{
    struct outcome outcome = {0};
    struct io_op op;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    bench_op(&op, &outcome);
    io_write_durable(bench->io, &op, fd, "text", 4, 0);
    assert_int_equal(bench_result(bench, &outcome), EVLOG_ERR_IO);
    close(fd);
}

TEST(uring, failed_sync_behind_a_linked_write_is_an_error)
{
    bench_run(true, IO_COMMIT_LINKED, failed_sync);
}

TEST(uring, refused_ring_dsync_write_is_an_error)
{
    bench_run(true, IO_COMMIT_RING_DSYNC, refused_write);
}
TEST(uring, refused_linked_write_is_an_error)
{
    bench_run(true, IO_COMMIT_LINKED, refused_write);
}
TEST(posix, refused_write_is_an_error)
{
    bench_run(false, IO_COMMIT_AUTO, refused_write);
}

/* The kernel writes up to the file size limit and says so; the limit is lifted before the rest is written. */
static void short_write(struct bench *bench)
{
    struct outcome outcome = {0};
    struct io_op op;
    uint8_t *data = block_alloc(4 * BLOCK, 's'), *back = block_alloc(4 * BLOCK, 0);
    struct iovec iov[3] = {{data, BLOCK}, {data + BLOCK, 2 * BLOCK}, {data + 3 * BLOCK, BLOCK}};
    size_t done = 0;
    for (int i = 0; i < 4; i++) {
        memset(data + i * BLOCK, 'a' + i, BLOCK);
    }
    struct rlimit limit, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    low = (struct rlimit){2 * BLOCK, limit.rlim_max};
    int fd = open_new(bench, "short", DISK_DIRECT);
    bench_op(&op, &outcome);
    op.iov = iov;
    op.iov_count = 3;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    io_start(bench->io, &op, IO_WRITE_DURABLE, fd);
    for (int i = 0; i < 100000 && op.private_[2] == 0 && outcome.done_count == 0; i++) {
        io_step(bench->io, 0);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(outcome.done_count, 0);
    assert_int_equal(bench_result(bench, &outcome), 4 * BLOCK);
    assert_ptr_equal(iov[1].iov_base, data + BLOCK);
    assert_int_equal(iov[1].iov_len, 2 * BLOCK);
    assert_int_equal(disk_pread(bench->disk, fd, back, 4 * BLOCK, 0, &done), 0);
    assert_int_equal(done, 4 * BLOCK);
    assert_memory_equal(back, data, 4 * BLOCK);
    assert_int_equal(disk_close(bench->disk, fd), 0);
    free(data);
    free(back);
}

TEST(uring, short_ring_dsync_write_is_continued)
{
    bench_run(true, IO_COMMIT_RING_DSYNC, short_write);
}
TEST(uring, short_linked_write_is_continued)
{
    bench_run(true, IO_COMMIT_LINKED, short_write);
}

static void full_disk(struct bench *bench)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/small", bench->dir);
    assert_int_equal(disk_mkdir(bench->disk, "small"), 0);
    if (mount("tmpfs", path, "tmpfs", 0, "size=1m") != 0) {
        io_destroy(bench->io);
        disk_posix_close(bench->disk);
        el_test_skip("mounting a small tmpfs is not permitted");
    }
    struct outcome outcome = {0};
    struct io_op op;
    uint8_t *data = block_alloc(2u << 20, 'x');
    int fd = open_new(bench, "small/file", DISK_DIRECT);
    bench_op(&op, &outcome);
    io_write_durable(bench->io, &op, fd, data, 2u << 20, 0);
    assert_int_equal(bench_result(bench, &outcome), EVLOG_ERR_NO_SPACE);
    assert_int_equal(disk_pwrite(bench->disk, fd, data, 2u << 20, 0), EVLOG_ERR_NO_SPACE);
    assert_int_equal(disk_allocate(bench->disk, fd, 0, 2u << 20), EVLOG_ERR_NO_SPACE);
    assert_int_equal(disk_truncate(bench->disk, fd, 0), 0);
    io_write_durable(bench->io, &op, fd, data, BLOCK, 0); /* space is back: it goes on */
    assert_int_equal(bench_result(bench, &outcome), BLOCK);
    assert_int_equal(disk_close(bench->disk, fd), 0);
    assert_int_equal(umount2(path, MNT_DETACH), 0);
    free(data);
}

TEST(uring, full_disk_is_no_space_by_ring_dsync)
{
    bench_run(true, IO_COMMIT_RING_DSYNC, full_disk);
}
TEST(uring, full_disk_is_no_space_by_link)
{
    bench_run(true, IO_COMMIT_LINKED, full_disk);
}
TEST(posix, full_disk_is_no_space)
{
    bench_run(false, IO_COMMIT_AUTO, full_disk);
}

/* --- many at once ----------------------------------------------------------------------------------------------- */

EACH_BACKEND(thousands_of_reads_at_once_are_all_answered)
{
    enum { COUNT = 3000 };
    struct outcome outcome = {0};
    struct io_op *ops = calloc(COUNT, sizeof(*ops));
    uint8_t *data = calloc(COUNT, 1);
    assert_non_null(ops);
    assert_non_null(data);
    int fd = open_new(bench, "bytes", 0);
    for (int i = 0; i < COUNT; i++) {
        data[i] = (uint8_t)(i * 7);
    }
    assert_int_equal(disk_pwrite(bench->disk, fd, data, COUNT, 0), 0);
    memset(data, 0, COUNT);
    for (int i = 0; i < COUNT; i++) { /* more than the submission queue holds */
        bench_op(&ops[i], &outcome);
        io_read(bench->io, &ops[i], fd, data + i, 1, (uint64_t)i);
    }
    bench_wait(bench, &outcome.done_count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(ops[i].result, 1);
        assert_int_equal(data[i], (uint8_t)(i * 7));
    }
    assert_int_equal(disk_close(bench->disk, fd), 0);
    free(ops);
    free(data);
}

/* --- jobs ------------------------------------------------------------------------------------------------------- */

struct job_log {
    uint32_t count;
    int order[64];
    const struct disk *disk;
};

struct job_arg {
    struct job_log *log;
    int index;
};

static int64_t job_note(struct disk *disk, void *arg)
{
    struct job_arg *job = arg;
    job->log->order[job->log->count++] = job->index; /* one thread: no lock */
    job->log->disk = disk;
    return job->index * 10;
}

EACH_BACKEND(disk_jobs_run_one_by_one_in_order)
{
    struct job_log log = {0};
    struct outcome outcomes[64] = {0};
    struct job_arg args[64];
    struct io_op ops[64];
    for (int i = 0; i < 64; i++) {
        args[i] = (struct job_arg){&log, i};
        bench_op(&ops[i], &outcomes[i]);
        io_job(bench->io, &ops[i], IO_JOB_DISK, job_note, &args[i]);
        assert_int_equal(outcomes[i].done_count, 0);
    }
    bench_wait(bench, &outcomes[63].done_count, 1);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(log.order[i], i);
        assert_int_equal(outcomes[i].done_count, 1); /* completions in order, too */
        assert_int_equal(outcomes[i].result, i * 10);
    }
    assert_ptr_equal(log.disk, bench->disk);
}

static int64_t job_square(struct disk *disk, void *arg)
{
    const int *value = arg;
    return *value < 0 ? EVLOG_ERR_ARGUMENT : (int64_t)*value * *value;
}

EACH_BACKEND(compute_jobs_return_their_results)
{
    struct outcome outcomes[100] = {0};
    struct io_op ops[100];
    int values[100];
    uint32_t sum = 0;
    for (int i = 0; i < 100; i++) {
        values[i] = i == 50 ? -1 : i;
        bench_op(&ops[i], &outcomes[i]);
        io_job(bench->io, &ops[i], IO_JOB_COMPUTE, job_square, &values[i]);
    }
    for (int i = 0; i < 100; i++) {
        bench_wait(bench, &outcomes[i].done_count, 1);
        assert_int_equal(outcomes[i].result, i == 50 ? EVLOG_ERR_ARGUMENT : i * i);
        sum += outcomes[i].done_count;
    }
    assert_int_equal(sum, 100);
}

static int64_t job_sleep(struct disk *disk, void *arg)
{
    sem_wait(arg);
    return 1;
}

static int64_t job_rouse(struct disk *disk, void *arg)
{
    sem_post(arg);
    return 2;
}

/* A job that waits for the object store for ever holds up nobody else: what wakes it comes behind it. */
EACH_BACKEND(archive_jobs_have_threads_of_their_own)
{
    enum { SLEEPERS = 4 };
    struct outcome outcomes[SLEEPERS + 2] = {0};
    struct io_op ops[SLEEPERS + 2];
    sem_t wake;
    sem_init(&wake, 0, 0);
    for (int i = 0; i < SLEEPERS; i++) {
        bench_op(&ops[i], &outcomes[i]);
        io_job(bench->io, &ops[i], IO_JOB_ARCHIVE, job_sleep, &wake);
    }
    for (int i = SLEEPERS; i < SLEEPERS + 2; i++) {
        bench_op(&ops[i], &outcomes[i]);
        io_job(bench->io, &ops[i], i == SLEEPERS ? IO_JOB_COMPUTE : IO_JOB_DISK, job_rouse, &wake);
        assert_int_equal(bench_result(bench, &outcomes[i]), 2);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        sem_post(&wake);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        assert_int_equal(bench_result(bench, &outcomes[i]), 1);
    }
    sem_destroy(&wake);
}

static void job_again(struct io_op *op)
{
    uint32_t *left = op->arg;
    if (--*left > 0) {
        io_job((struct io *)op->buf, op, IO_JOB_DISK, job_square, op->job_arg);
    }
}

/* An op may be submitted again from inside its own done. */
EACH_BACKEND(an_op_is_free_again_in_done)
{
    uint32_t left = 10;
    int value = 3;
    struct io_op op = {.done = job_again, .arg = &left, .buf = bench->io};
    io_job(bench->io, &op, IO_JOB_DISK, job_square, &value);
    while (left > 0) {
        io_step(bench->io, UINT64_MAX);
    }
    assert_int_equal(op.result, 9);
}

/* --- closing ---------------------------------------------------------------------------------------------------- */

EACH_BACKEND(destroy_waits_for_the_kernel_to_let_go)
{
    struct io *io = NULL;
    struct el_error err;
    struct outcome outcome = {0};
    struct io_op ops[8];
    uint8_t *data = block_alloc(8 * BLOCK, 'd');
    int fd = open_new(bench, "late", DISK_DIRECT);
    int rc = bench->uring ? io_uring_open(&bench->cfg, &io, &err) : io_posix_open(&bench->cfg, &io, &err);
    assert_int_equal(rc, 0);
    io_step(io, 0);
    for (int i = 0; i < 8; i++) {
        bench_op(&ops[i], &outcome);
        io_write_durable(io, &ops[i], fd, data + i * BLOCK, BLOCK, (uint64_t)i * BLOCK);
    }
    io_destroy(io);
    memset(data, 0, 8 * BLOCK);
    free(data);
    assert_int_equal(outcome.done_count, 0);
    assert_int_equal(disk_close(bench->disk, fd), 0);
}

static void *one_step(void *arg)
{
    io_step(arg, 0);
    return NULL;
}

/* A shard's thread ends with a receive under way; whoever joined it destroys the backend. */
EACH_BACKEND(another_thread_may_destroy_after_the_shards_has_ended)
{
    struct io *io = NULL;
    struct el_error err;
    struct outcome outcome = {0};
    struct io_op op;
    pthread_t thread;
    int fds[2];
    char byte;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    int rc = bench->uring ? io_uring_open(&bench->cfg, &io, &err) : io_posix_open(&bench->cfg, &io, &err);
    assert_int_equal(rc, 0);
    bench_op(&op, &outcome);
    io_recv(io, &op, fds[0], &byte, 1);
    assert_int_equal(pthread_create(&thread, NULL, one_step, io), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    io_destroy(io);
    assert_int_equal(outcome.done_count, 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(uring, ring_keeps_the_lock_file)
{
    struct io *io = NULL;
    struct disk *disk = NULL;
    struct el_error err = {0};
    int fd = -1;
    assert_int_equal(disk_posix_open(el_test_dir(), &disk), 0);
    assert_int_equal(disk_open(disk, "lock", DISK_WRITE | DISK_CREATE, &fd), 0);
    struct io_config cfg = {.disk = disk, .commit = IO_COMMIT_AUTO, .shard_count = 1, .lock_fd = fd};
    int rc = io_uring_open(&cfg, &io, &err);
    if (rc == EVLOG_ERR_UNSUPPORTED) {
        disk_posix_close(disk);
        el_test_skip(err.text);
    }
    assert_int_equal(rc, 0);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_int_equal(close(fd), 0); /* the ring's reference keeps the open file, and so the lock */
    assert_int_equal(disk_open(disk, "lock", DISK_WRITE, &fd), 0);
    struct flock again = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &again), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(disk_close(disk, fd), 0);
    io_destroy(io);
    disk_posix_close(disk);
}
