/* SPDX-License-Identifier: Apache-2.0
 *
 * What the uring and the posix backend have in common: op bookkeeping, clocks, wake-up, worker threads, sockets set up
 * by blocking calls. Private to this folder.
 */
#ifndef EL_IO_BACKEND_H
#define EL_IO_BACKEND_H

#include <core/assert.h>
#include <io/worker.h>

#include <errno.h>
#include <stdatomic.h>

#define BACKEND_COMPUTE_COUNT 2 /* threads for jobs in any order, per shard */
#define BACKEND_ARCHIVE_COUNT 2 /* threads for jobs that talk to an object store, per shard, where there is one */
#define BACKEND_READER_COUNT 4  /* threads for file reads, posix only */

/* Where the shard is, for io_wake(): a call between two steps must make the next one return, too. */
enum backend_wake {
    WAKE_AWAKE,    /* in or between steps, nobody has called */
    WAKE_SLEEPING, /* in the kernel: the eventfd must be written */
    WAKE_CALLED,   /* somebody has called since the last sleep */
};

struct backend {
    struct io io;
    struct worker_home home;
    struct worker disk_worker;                    /* IO_JOB_DISK */
    struct worker compute[BACKEND_COMPUTE_COUNT]; /* IO_JOB_COMPUTE */
    struct worker archive[BACKEND_ARCHIVE_COUNT]; /* IO_JOB_ARCHIVE */
    struct worker commit;                         /* IO_WRITE_DURABLE by the thread method */
    struct worker reader[BACKEND_READER_COUNT];   /* IO_READ, posix only */
    struct el_list ended;                         /* ops whose result is known, done is called by the next step */
    int wake_fd;                                  /* eventfd, non-blocking */
    _Atomic int wake;                             /* enum backend_wake */
};

static inline struct backend *backend_of(struct io *io)
{
    return EL_CONTAINER(io, struct backend, io);
}

/* Fill b (zeroed by the caller): eventfd, disk and compute workers; the commit worker when with_commit, readers when
 * with_readers. io.ops, io.name and io.commit_name are the caller's. */
int backend_open(struct backend *b, const struct io_config *cfg, bool with_commit, bool with_readers,
                 struct el_error *err);
/* End the threads, free what backend_open made. Ops still with a worker are run, done is not called. */
void backend_close(struct backend *b);

/* Book an op as submitted. */
void backend_op_begin(struct backend *b, struct io_op *op);
/* Take an op back and call done. From step only. */
void backend_op_done(struct backend *b, struct io_op *op, int64_t result);
/* Have the next step call done. Anywhere. */
void backend_op_end_later(struct backend *b, struct io_op *op, int64_t result);
/* done for everything in ended and for what workers have finished. returns how many */
uint32_t backend_run_finished(struct backend *b);

/* True when the shard may sleep now: nothing is left to run and nobody has called. Then the shard must sleep (with the
 * eventfd among what ends the sleep) and call backend_sleep_end(). */
bool backend_sleep_begin(struct backend *b);
void backend_sleep_end(struct backend *b);
/* Empty the eventfd. */
void backend_wake_drain(struct backend *b);
/* ns to sleep until the earlier of wait_until_ns and the next timer; UINT64_MAX: no limit. Reads the clock. */
uint64_t backend_sleep_ns(struct backend *b, uint64_t wait_until_ns);
/* Messages and due timers, with a fresh now_ns for the latter. */
void backend_run_rest(struct backend *b);

/* io_ops members common to both. */
void backend_wake_up(struct io *io);
uint64_t backend_mono(struct io *io);
uint64_t backend_boot(struct io *io);
uint64_t backend_wall(struct io *io);
void backend_random(struct io *io, void *buf, size_t len);

/* Sockets, by blocking or non-blocking calls (socket.c). */
int socket_listen(struct io *io, const struct io_place *place, int *fd, uint16_t *bound_port, struct el_error *err);
int socket_peer_name(struct io *io, int fd, char *text, size_t text_len);
void socket_shutdown(struct io *io, int fd);

/* op->private_ as both backends use it. */
enum op_private {
    OP_MARK,              /* set while submitted */
    OP_FLAGS,             /* enum op_flags */
    OP_DONE,              /* bytes moved so far */
    OP_TRIM,              /* how iov was changed to skip them: index << 32 | bytes */
    OP_WORKER = OP_FLAGS, /* which worker has it; ops of workers have no flags */
};
enum op_flags {
    OP_CANCELLED = 1,    /* the owner wants it ended */
    OP_QUEUED = 2,       /* in a list of the backend that leads to a system call */
    OP_ENDED = 4,        /* in backend.ended */
    OP_SYNC_DUE = 8,     /* linked method: the fdatasync's completion is still to come */
    OP_WRITE_DUE = 16,   /* linked method: the write's */
    OP_ERRNO_SHIFT = 32, /* linked method: above it, errno of the fdatasync */
};

/* Total length of an op's iov. */
size_t op_iov_len(const struct io_op *op);
/* Change op->iov so that it begins behind the first OP_DONE bytes; returns the index of the first entry to use. Undo
 * gives the array back its first contents. */
int op_iov_trim(struct io_op *op);
void op_iov_restore(struct io_op *op);
/* The errno of a failed system call as an op's result. */
static inline int64_t op_error(int errno_value)
{
    return errno_value == ECANCELED ? EVLOG_ERR_CLOSED : el_error_from_errno(errno_value);
}

#endif
