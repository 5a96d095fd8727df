/* SPDX-License-Identifier: Apache-2.0
 *
 * The limits of the machine: durable writes, reads, round trips. What a broker cannot beat.
 *
 * Writes go to a file of 64 MiB that was filled with zeros and synced before: on blocks that were only allocated every
 * write also commits a change of metadata, and takes twice as long.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_LEN (64u << 20)
#define ALIGN 4096u
#define DEPTH_MAX 64u
#define REQUEST_LEN 300
#define REPLY_LEN 64

struct device_file {
    int fd;
    char path[512];
    uint8_t *buf; /* 1 MiB */
};

static void file_open(struct device_file *file, const char *folder, bool written, size_t len)
{
    snprintf(file->path, sizeof file->path, "%s/bench-limit-XXXXXX", folder);
    file->fd = mkostemp(file->path, O_DIRECT | O_CLOEXEC);
    if (file->fd < 0 || posix_memalign((void **)&file->buf, ALIGN, 1u << 20) != 0) {
        bench_die("a file with O_DIRECT in %s: %s", folder, strerror(errno));
    }
    memset(file->buf, 0, 1u << 20);
    if (posix_fallocate(file->fd, 0, (off_t)len) != 0) {
        bench_die("no room for a file of %zu MiB in %s", len >> 20, folder);
    }
    for (size_t pos = 0; written && pos < len; pos += 1u << 20) {
        if (pwrite(file->fd, file->buf, 1u << 20, (off_t)pos) != 1 << 20) {
            bench_die("write: %s", strerror(errno));
        }
    }
    if (fsync(file->fd) != 0) {
        bench_die("fsync: %s", strerror(errno));
    }
    memset(file->buf, 0xa5, 1u << 20);
}

static void file_close(struct device_file *file)
{
    unlink(file->path);
    close(file->fd);
    free(file->buf);
}

static void limit_fill(struct bench_limit *limit, const struct bench_histogram *h, double seconds, size_t len)
{
    limit->per_second = (double)h->count / seconds;
    limit->p50_us = bench_histogram_us(h, 0.5);
    limit->p99_us = bench_histogram_us(h, 0.99);
    limit->mb_per_second = limit->per_second * (double)len / 1e6;
}

/* One blocking write after the other. */
static void flush_one(struct device_file *file, size_t len, double seconds, struct bench_limit *limit)
{
    struct bench_histogram *h = bench_alloc(sizeof *h);
    uint64_t from_ns = bench_now_ns(), now_ns = from_ns, pos = 0;
    uint64_t until_ns = from_ns + (uint64_t)(seconds * 1e9);
    while (now_ns < until_ns) {
        struct iovec iov = {file->buf, len};
        if (pwritev2(file->fd, &iov, 1, (off_t)pos, RWF_DSYNC) != (ssize_t)len) {
            bench_die("durable write: %s", strerror(errno));
        }
        uint64_t end_ns = bench_now_ns();
        bench_histogram_add(h, end_ns - now_ns);
        now_ns = end_ns;
        pos = (pos + len) % FILE_LEN;
    }
    limit_fill(limit, h, (double)(now_ns - from_ns) / 1e9, len);
    free(h);
}

/* depth requests in flight: writes with RWF_DSYNC, or reads. */
static void ring_run(struct device_file *file, bool write, size_t len, uint32_t depth, double seconds, size_t file_len,
                     struct bench_limit *limit)
{
    struct io_uring ring;
    struct bench_histogram *h = bench_alloc(sizeof *h);
    uint64_t since_ns[DEPTH_MAX];
    uint64_t pos = 0, from_ns = bench_now_ns(), until_ns = from_ns + (uint64_t)(seconds * 1e9);
    if (depth > DEPTH_MAX || io_uring_queue_init(DEPTH_MAX, &ring, 0) != 0) {
        bench_die("io_uring");
    }
    uint32_t flying = 0, next = 0;
    uint64_t now_ns = from_ns;
    while (flying > 0 || now_ns < until_ns) {
        for (; flying < depth && next < depth && now_ns < until_ns; flying++, next++) {
            struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
            uint8_t *at = file->buf + (size_t)next * len % (1u << 20);
            if (write) {
                io_uring_prep_write(sqe, file->fd, at, (unsigned)len, pos);
                sqe->rw_flags = RWF_DSYNC;
            } else {
                io_uring_prep_read(sqe, file->fd, at, (unsigned)len, pos);
            }
            sqe->user_data = next;
            since_ns[next] = bench_now_ns();
            pos = (pos + len) % file_len;
        }
        struct io_uring_cqe *cqe;
        if (io_uring_submit_and_wait(&ring, 1) < 0 || io_uring_peek_cqe(&ring, &cqe) != 0 || cqe->res != (int)len) {
            bench_die("a request of %zu bytes failed", len);
        }
        now_ns = bench_now_ns();
        next = (uint32_t)cqe->user_data;
        io_uring_cqe_seen(&ring, cqe);
        bench_histogram_add(h, now_ns - since_ns[next]);
        flying--;
        if (flying + 1 < depth) { /* ending: slots are not refilled */
            next = depth;
        }
    }
    limit_fill(limit, h, (double)(bench_now_ns() - from_ns) / 1e9, len);
    io_uring_queue_exit(&ring);
    free(h);
}

void bench_limit_flush(const char *folder, size_t len, uint32_t depth, double seconds, struct bench_limit *limit)
{
    struct device_file file;
    file_open(&file, folder, true, FILE_LEN);
    if (depth == 1) {
        flush_one(&file, len, seconds, limit);
    } else {
        ring_run(&file, true, len, depth, seconds, FILE_LEN, limit);
    }
    file_close(&file);
}

void bench_limit_flush_unwritten(const char *folder, size_t len, double seconds, struct bench_limit *limit)
{
    struct device_file file;
    file_open(&file, folder, false, FILE_LEN);
    flush_one(&file, len, seconds, limit);
    file_close(&file);
}

void bench_limit_read(const char *folder, size_t len, uint32_t depth, double seconds, struct bench_limit *limit)
{
    struct device_file file;
    size_t file_len = 4 * (size_t)FILE_LEN;
    file_open(&file, folder, true, file_len);
    ring_run(&file, false, len, depth, seconds, file_len, limit);
    file_close(&file);
}

/* --- round trips -------------------------------------------------------------------------------------------------- */

static void echo_child(const struct bench_options *options, int listen_fd)
{
    uint8_t buf[REQUEST_LEN];
    int one = 1;
    bench_pin_broker(options);
    int fd = accept(listen_fd, NULL, NULL);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (recv(fd, buf, REQUEST_LEN, MSG_WAITALL) == REQUEST_LEN) {
        if (send(fd, buf, REPLY_LEN, MSG_NOSIGNAL) != REPLY_LEN) {
            break;
        }
    }
    _exit(0);
}

void bench_limit_rtt(const struct bench_options *options, double seconds, struct bench_limit *limit)
{
    uint16_t port;
    int listen_fd = bench_listen(&port);
    pid_t pid = fork();
    if (pid == 0) {
        echo_child(options, listen_fd);
    }
    int fd = bench_connect(port, true);
    struct bench_histogram *h = bench_alloc(sizeof *h);
    uint8_t buf[REQUEST_LEN] = {0};
    uint64_t from_ns = bench_now_ns(), now_ns = from_ns, until_ns = from_ns + (uint64_t)(seconds * 1e9);
    while (now_ns < until_ns) {
        if (send(fd, buf, REQUEST_LEN, MSG_NOSIGNAL) != REQUEST_LEN ||
            recv(fd, buf, REPLY_LEN, MSG_WAITALL) != REPLY_LEN) {
            bench_die("round trip: %s", strerror(errno));
        }
        uint64_t end_ns = bench_now_ns();
        bench_histogram_add(h, end_ns - now_ns);
        now_ns = end_ns;
    }
    limit_fill(limit, h, (double)(now_ns - from_ns) / 1e9, REQUEST_LEN);
    close(fd);
    close(listen_fd);
    waitpid(pid, NULL, 0);
    free(h);
}
