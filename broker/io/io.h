/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel seam of a shard: durable journal writes, file reads, sockets, timers, jobs, messages from other shards,
 * clocks and random numbers. Nothing else in a shard talks to the kernel.
 *
 * Everything but io_post() and io_wake() belongs to the shard's thread. Operations are asynchronous: the caller fills
 * an io_op (or lets a helper below do it), keeps it and its buffers in place until `done` is called, and learns the
 * outcome from op->result. `done` is called from io_step() only, never from inside io_submit(). Three backends: uring,
 * posix (epoll and threads), and the simulator in tests/sim.
 */
#ifndef EL_IO_IO_H
#define EL_IO_IO_H

#include <core/bytes.h>
#include <core/err.h>
#include <core/list.h>
#include <core/queue.h>
#include <io/disk.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct io;
struct io_op;

typedef void (*io_done_fn)(struct io_op *op);
/* Runs off the shard, may block; returns what becomes op->result. */
typedef int64_t (*io_job_fn)(struct disk *disk, void *arg);

enum io_code {
    IO_NONE,
    IO_WRITE_DURABLE, /* write iov at pos and make it durable before done; all bytes or an error */
    IO_READ,          /* read up to len bytes at pos into buf; result: bytes, short only at the end of the file */
    IO_ACCEPT,        /* one connection from listening socket fd; result: its descriptor, non-blocking, TCP_NODELAY */
    IO_RECV,          /* 1 .. len bytes into buf; 0: the peer closed its side */
    IO_SEND,          /* all of iov; result: bytes. The iov array may be changed by the backend */
    IO_JOB_DISK,      /* run job(arg) on the shard's disk thread: one after the other, in order of submission */
    IO_JOB_COMPUTE,   /* run job(arg) on a worker of a small pool, in any order */
    IO_JOB_ARCHIVE,   /* the same on a pool of its own, for calls that may take minutes; io_config.archive */
};

struct io_op {
    struct el_list link;  /* backend's; the owner may use it while the op is not submitted */
    struct el_qnode node; /* backend's: way back from a thread */
    io_done_fn done;      /* called once per submission */
    void *arg;            /* the owner's */
    int64_t result;       /* >= 0, or a negative EVLOG_ERR_ code */
    enum io_code code;    /* IO_NONE while not submitted */
    int fd;
    void *buf;         /* IO_READ, IO_RECV; pinned */
    size_t len;        /* bytes of buf */
    uint64_t pos;      /* file position */
    struct iovec *iov; /* IO_SEND, IO_WRITE_DURABLE; pinned */
    int iov_count;     /* 1 .. IO_IOV_MAX */
    bool more;         /* IO_RECV: the backend's hint to itself: bytes were left when the last one ended */
    io_job_fn job;
    void *job_arg;
    struct iovec one;     /* room for a single-buffer iov */
    uint64_t private_[4]; /* backend's */
};

#define IO_IOV_MAX 64

/* A timer is one shot; the owner keeps it in place while armed. */
struct io_timer {
    uint64_t at_ns;      /* monotonic deadline */
    uint32_t heap_index; /* 1-based place in the heap, 0 while not armed */
    void (*fire)(struct io_timer *timer);
    void *arg;
};

/* A message to another shard: run() is called on the target's thread, in the order posted by each sender. */
struct io_message {
    struct el_qnode node;
    void (*run)(struct io_message *message);
};

/* How IO_WRITE_DURABLE reaches the disk. */
enum io_commit_method {
    IO_COMMIT_AUTO,       /* the backend's choice */
    IO_COMMIT_RING_DSYNC, /* one ring write with RWF_DSYNC: least CPU; uring only */
    IO_COMMIT_THREAD,     /* a thread with blocking pwritev2(RWF_DSYNC): most even when all cores are busy */
    IO_COMMIT_LINKED,     /* ring write linked to fdatasync; uring only */
};

/* Where to listen. */
struct io_place {
    const char *host; /* NULL, "": on all addresses */
    uint16_t port;    /* 0: the kernel's choice */
    /* Another listener of this process has the port: share it (SO_REUSEPORT, for every shard listens). Otherwise nobody
     * may listen there. */
    bool join;
    bool only_v6; /* an address of IPv6 that is all of them is none of IPv4: those are another listener's */
};

struct io_ops {
    void (*submit)(struct io *io, struct io_op *op);
    void (*cancel)(struct io *io, struct io_op *op);
    void (*step)(struct io *io, uint64_t wait_until_ns);
    void (*wake)(struct io *io);
    uint64_t (*mono)(struct io *io);
    uint64_t (*boot)(struct io *io);
    uint64_t (*wall)(struct io *io);
    void (*random)(struct io *io, void *buf, size_t len);
    int (*listen)(struct io *io, const struct io_place *place, int *fd, uint16_t *bound_port, struct el_error *err);
    int (*peer_name)(struct io *io, int fd, char *text, size_t text_len);
    void (*shutdown)(struct io *io, int fd);
    void (*close)(struct io *io, int fd);
    void (*destroy)(struct io *io);
};

struct io {
    const struct io_ops *ops;
    struct disk *disk;        /* blocking calls, for start-up; jobs are handed theirs */
    const char *name;         /* "uring", "posix", "sim" */
    const char *commit_name;  /* "ring-dsync", "thread", "linked", "sim" */
    uint64_t now_ns;          /* monotonic, read once per step: deadlines, leases */
    struct el_queue inbox;    /* messages from other shards */
    struct io_timer **timers; /* binary heap, [1 .. timer_count] */
    uint32_t timer_count;
    uint32_t timer_max;
    uint32_t op_count; /* submitted and not yet done */
};

/* Hand an op to the backend. Asserts that it is not submitted already. */
static inline void io_submit(struct io *io, struct io_op *op)
{
    io->ops->submit(io, op);
}
/* Ask for an early end of a submitted IO_ACCEPT, IO_RECV or IO_SEND; done still comes, with EVLOG_ERR_CLOSED unless
 * it had ended already. Disk operations cannot be cancelled. */
static inline void io_cancel(struct io *io, struct io_op *op)
{
    io->ops->cancel(io, op);
}
/* Submit what is pending, wait for at least one completion, message, due timer or wait_until_ns (monotonic; 0: do not
 * wait, UINT64_MAX: no limit of its own), then run completions, messages and due timers. */
static inline void io_step(struct io *io, uint64_t wait_until_ns)
{
    io->ops->step(io, wait_until_ns);
}
/* Make a sleeping io_step() return. Any thread. */
static inline void io_wake(struct io *io)
{
    io->ops->wake(io);
}
/* Real time and CLOCK_BOOTTIME now, ns. */
static inline uint64_t io_wall(struct io *io)
{
    return io->ops->wall(io);
}
static inline uint64_t io_boot(struct io *io)
{
    return io->ops->boot(io);
}
/* Monotonic now, ns, for measuring; deadlines use io->now_ns. */
static inline uint64_t io_mono(struct io *io)
{
    return io->ops->mono(io);
}
static inline void io_random(struct io *io, void *buf, size_t len)
{
    io->ops->random(io, buf, len);
}
/* returns 0 | EVLOG_ERR_EXISTS port taken | EVLOG_ERR_ARGUMENT host | ... with a text */
static inline int io_listen(struct io *io, const struct io_place *place, int *fd, uint16_t *bound_port,
                            struct el_error *err)
{
    return io->ops->listen(io, place, fd, bound_port, err);
}
/* "address:port" of the other side. */
static inline int io_peer_name(struct io *io, int fd, char *text, size_t text_len)
{
    return io->ops->peer_name(io, fd, text, text_len);
}
/* Half-close for sending, so that the peer reads to the end. */
static inline void io_shutdown(struct io *io, int fd)
{
    io->ops->shutdown(io, fd);
}
/* Close a socket. No op on it may be under way. */
static inline void io_close(struct io *io, int fd)
{
    io->ops->close(io, fd);
}
static inline void io_destroy(struct io *io)
{
    io->ops->destroy(io);
}

/* Post a message to a shard; any thread. The receiver sleeps seldom: it is woken only when its inbox was empty. */
static inline void io_post(struct io *target, struct io_message *message)
{
    if (el_queue_push(&target->inbox, &message->node)) {
        io_wake(target);
    }
}

/* Arm (or move) a timer to fire at the first step at or after at_ns; disarm it. Shard's thread; implemented for all
 * backends in timer.c. */
void io_timer_set(struct io *io, struct io_timer *timer, uint64_t at_ns);
void io_timer_cancel(struct io *io, struct io_timer *timer);
/* Backends: deadline of the earliest timer (UINT64_MAX: none); fire all that are due at io->now_ns; free the heap. */
uint64_t io_timer_next(const struct io *io);
void io_timer_run(struct io *io);
void io_timer_free(struct io *io);
/* Backends: run all messages in the inbox. */
void io_inbox_run(struct io *io);

/* --- helpers that fill an op and submit it ---------------------------------------------------------------------- */
static inline void io_start(struct io *io, struct io_op *op, enum io_code code, int fd)
{
    op->code = code;
    op->fd = fd;
    io_submit(io, op);
}
/* buf, len and pos are multiples of EL_JOURNAL_ALIGN on a DISK_DIRECT file. */
static inline void io_write_durable(struct io *io, struct io_op *op, int fd, const void *buf, size_t len, uint64_t pos)
{
    op->one = (struct iovec){(void *)(uintptr_t)buf, len};
    op->iov = &op->one;
    op->iov_count = 1;
    op->pos = pos;
    io_start(io, op, IO_WRITE_DURABLE, fd);
}
static inline void io_read(struct io *io, struct io_op *op, int fd, void *buf, size_t len, uint64_t pos)
{
    op->buf = buf;
    op->len = len;
    op->pos = pos;
    io_start(io, op, IO_READ, fd);
}
static inline void io_recv(struct io *io, struct io_op *op, int fd, void *buf, size_t len)
{
    op->buf = buf;
    op->len = len;
    io_start(io, op, IO_RECV, fd);
}
static inline void io_send(struct io *io, struct io_op *op, int fd, struct iovec *iov, int iov_count)
{
    op->iov = iov;
    op->iov_count = iov_count;
    io_start(io, op, IO_SEND, fd);
}
static inline void io_accept(struct io *io, struct io_op *op, int fd)
{
    io_start(io, op, IO_ACCEPT, fd);
}
static inline void io_job(struct io *io, struct io_op *op, enum io_code queue, io_job_fn job, void *arg)
{
    op->job = job;
    op->job_arg = arg;
    io_start(io, op, queue, -1);
}

struct io_config {
    struct disk *disk;            /* shared by all shards; borrowed */
    enum io_commit_method commit; /* IO_COMMIT_AUTO: ring-dsync, or thread when shard_count >= cores */
    uint32_t shard_count;
    bool archive; /* IO_JOB_ARCHIVE is used */
    int lock_fd;  /* descriptor that holds the data directory's lock, kept by the ring as a
                                        * registered file until its last request has ended; -1: none */
};

/* EVLOG_ERR_UNSUPPORTED where the kernel refuses io_uring (err says why); the caller falls back to posix. */
int io_uring_open(const struct io_config *cfg, struct io **io, struct el_error *err);
int io_posix_open(const struct io_config *cfg, struct io **io, struct el_error *err);

#endif
