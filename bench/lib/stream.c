/* SPDX-License-Identifier: Apache-2.0
 *
 * What it takes a sender to move bytes over loopback TCP: the floor under a fetch. A child sends pieces of 1 MiB out of
 * 64 MiB and is charged for it, the caller receives, which is the consumer's part.
 */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOURCE_LEN (64u << 20) /* more than the processor's caches hold */
#define PIECE_LEN (1u << 20)

struct source {
    uint8_t *memory; /* [SOURCE_LEN] */
    uint8_t *piece;  /* [PIECE_LEN] */
    int fd;          /* the same bytes, in the page cache */
};

static void source_open(struct source *source, const char *folder)
{
    char path[512];
    snprintf(path, sizeof path, "%s/bench-stream-XXXXXX", folder);
    source->memory = bench_alloc(SOURCE_LEN);
    source->piece = bench_alloc(PIECE_LEN);
    memset(source->memory, 0x5a, SOURCE_LEN);
    source->fd = mkstemp(path);
    if (source->fd < 0 || unlink(path) != 0) {
        bench_die("a file in %s: %s", folder, strerror(errno));
    }
    for (size_t pos = 0; pos < SOURCE_LEN; pos += PIECE_LEN) {
        if (pwrite(source->fd, source->memory + pos, PIECE_LEN, (off_t)pos) != PIECE_LEN) {
            bench_die("write: %s", strerror(errno));
        }
    }
}

static bool send_piece(int fd, const struct source *source, size_t pos, enum bench_stream how)
{
    off_t file_pos = (off_t)pos;
    const uint8_t *from = source->memory + pos;
    if (how == BENCH_STREAM_COPIED) {
        memcpy(source->piece, from, PIECE_LEN);
        from = source->piece;
    }
    for (size_t done = 0; done < PIECE_LEN;) {
        ssize_t n = how == BENCH_STREAM_FILE ? sendfile(fd, source->fd, &file_pos, PIECE_LEN - done)
                                             : send(fd, from + done, PIECE_LEN - done, MSG_NOSIGNAL);
        if (n <= 0) {
            return false; /* the receiver has seen enough */
        }
        done += (size_t)n;
    }
    return true;
}

static void sender_main(const struct bench_options *options, int listen_fd, const struct source *source,
                        enum bench_stream how)
{
    bench_pin_broker(options);
    signal(SIGPIPE, SIG_IGN);
    int fd = accept(listen_fd, NULL, NULL);
    for (size_t pos = 0; send_piece(fd, source, pos, how); pos = (pos + PIECE_LEN) % SOURCE_LEN) {
    }
    _exit(0);
}

void bench_limit_stream(const struct bench_options *options, enum bench_stream how, double seconds,
                        struct bench_stream_limit *limit)
{
    struct source source;
    struct rusage usage;
    uint16_t port;
    int status, listen_fd = bench_listen(&port);
    source_open(&source, options->data);
    pid_t pid = fork();
    if (pid == 0) {
        sender_main(options, listen_fd, &source, how);
    }
    int fd = bench_connect(port, true);
    uint8_t *buf = bench_alloc(PIECE_LEN);
    uint64_t from_ns = bench_now_ns(), now_ns = from_ns, len = 0;
    while ((double)(now_ns - from_ns) < seconds * 1e9) {
        ssize_t n = recv(fd, buf, PIECE_LEN, 0);
        if (n <= 0) {
            bench_die("the sender has ended");
        }
        len += (uint64_t)n;
        now_ns = bench_now_ns();
    }
    close(fd);
    close(listen_fd);
    if (wait4(pid, &status, 0, &usage) != pid) {
        bench_die("wait: %s", strerror(errno));
    }
    limit->mb_per_second = (double)len / (double)(now_ns - from_ns) * 1e3;
    limit->cpu_per_gb = ((double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6) /
                        ((double)len / 1e9);
    close(source.fd);
    free(source.memory);
    free(source.piece);
    free(buf);
}
