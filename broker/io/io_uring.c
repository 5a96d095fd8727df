/* SPDX-License-Identifier: Apache-2.0
 *
 * The uring backend: one ring per shard, opened by any thread, from its first step on used by the shard's thread only.
 *
 * 1. io_submit() prepares an SQE (or hands a job to a worker); nothing reaches the kernel before the next step,
 *    unless the submission queue is full
 * 2. io_step() submits and sleeps in one system call, bounded by the next timer
 * 3. completions are copied out of the ring in batches, then each op is continued (short reads, writes and sends) or
 *    done
 *
 * DEFER_TASKRUN keeps completion work out of everything but that system call; it needs SINGLE_ISSUER, so the ring
 * starts disabled and belongs to the thread of the first step. Older kernels get plain flags.
 *
 * user_data is the op's address; its low bits tell the second CQE of a linked write from the first. The wake-up is a
 * multishot poll on the eventfd, which is edge-triggered: the eventfd is never read.
 *
 * When the kernel takes no more submissions for now (out of memory, completion queue over its bound), ops wait in
 * backlog and are tried again by each step; io_submit() never fails.
 */
#include <core/alloc.h>
#include <core/logger.h>
#include <io/backend.h>

#include <liburing.h>

#include <poll.h>
#include <unistd.h>

#define SQ_ENTRIES 1024u
#define SQ_ENTRIES_SMALL 64u /* where RLIMIT_MEMLOCK refuses more */
#define CQ_PER_SQ 8u
#define REAP_BATCH 64u
#define RING_LEN_MAX (1u << 30) /* bytes of one request; longer ones go in parts */
#define DESTROY_WAIT_ROUNDS 100 /* of 100 ms: a disk that does not answer must not keep a process for ever */

enum user_tag {
    TAG_OP = 0,
    TAG_SYNC = 1,   /* fdatasync linked behind the op's write */
    TAG_WAKE = 2,   /* no op: eventfd */
    TAG_IGNORE = 3, /* no op: cancel requests */
    TAG_MASK = 3,
};

struct uring {
    struct backend b;
    struct io_uring ring;
    struct msghdr *headers;       /* [SQ entries] of the SQE in the same place; read by the kernel on submission */
    struct el_list backlog;       /* ops that found no SQE */
    struct el_list cancels;       /* ops with the kernel whose cancel request found no SQE */
    uint32_t kernel_count;        /* CQEs of ops still to come */
    enum io_commit_method commit; /* RING_DSYNC, LINKED or THREAD */
    bool enabled;                 /* a thread owns the ring */
    bool wake_armed;
    bool poll_first; /* the kernel knows IORING_RECVSEND_POLL_FIRST */
};

static struct uring *uring_of(struct io *io)
{
    return EL_CONTAINER(backend_of(io), struct uring, b);
}

/* --- preparing SQEs --------------------------------------------------------------------------------------------- */

/* Have room for count SQEs. */
static bool sq_room(struct uring *u, unsigned count)
{
    if (io_uring_sq_space_left(&u->ring) >= count) {
        return true;
    }
    if (!u->enabled) {
        return false;
    }
    int rc = io_uring_submit(&u->ring);
    EL_ASSERT(rc >= 0 || rc == -EBUSY || rc == -EAGAIN || rc == -EINTR || rc == -ENOMEM);
    return io_uring_sq_space_left(&u->ring) >= count;
}

static struct io_uring_sqe *sqe_get(struct uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    EL_ASSERT(sqe != NULL);
    return sqe;
}

static void prep_write(struct uring *u, struct io_op *op)
{
    struct io_uring_sqe *sqe = sqe_get(u);
    int index = op_iov_trim(op);
    uint64_t pos = op->pos + op->private_[OP_DONE];
    int count = op->iov_count - index;
    if (count == 1) {
        size_t len = EL_MIN(op->iov[index].iov_len, RING_LEN_MAX);
        io_uring_prep_write(sqe, op->fd, op->iov[index].iov_base, (unsigned)len, pos);
    } else {
        io_uring_prep_writev(sqe, op->fd, op->iov + index, (unsigned)count, pos);
    }
    io_uring_sqe_set_data64(sqe, (uintptr_t)op | TAG_OP);
    if (u->commit == IO_COMMIT_RING_DSYNC) {
        sqe->rw_flags = RWF_DSYNC;
        return;
    }
    sqe->flags |= IOSQE_IO_LINK;
    struct io_uring_sqe *sync = sqe_get(u);
    io_uring_prep_fsync(sync, op->fd, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data64(sync, (uintptr_t)op | TAG_SYNC);
    op->private_[OP_FLAGS] = OP_WRITE_DUE | OP_SYNC_DUE;
    u->kernel_count++;
}

static void prep_send(struct uring *u, struct io_op *op)
{
    struct io_uring_sqe *sqe = sqe_get(u);
    int index = op_iov_trim(op);
    int flags = MSG_NOSIGNAL | MSG_WAITALL;
    if (op->iov_count - index == 1) {
        io_uring_prep_send(sqe, op->fd, op->iov[index].iov_base, op->iov[index].iov_len, flags);
    } else {
        struct msghdr *header = &u->headers[sqe - u->ring.sq.sqes];
        *header = (struct msghdr){.msg_iov = op->iov + index, .msg_iovlen = (size_t)(op->iov_count - index)};
        io_uring_prep_sendmsg(sqe, op->fd, header, (unsigned)flags);
    }
    io_uring_sqe_set_data64(sqe, (uintptr_t)op | TAG_OP);
}

static void prep_simple(struct uring *u, struct io_op *op)
{
    struct io_uring_sqe *sqe = sqe_get(u);
    size_t done = op->private_[OP_DONE];
    EL_ASSERT(op->code != IO_READ || done <= op->len);
    if (op->code == IO_READ) {
        unsigned len = (unsigned)EL_MIN(op->len - done, RING_LEN_MAX);
        io_uring_prep_read(sqe, op->fd, (uint8_t *)op->buf + done, len, op->pos + done);
    } else if (op->code == IO_RECV) {
        io_uring_prep_recv(sqe, op->fd, op->buf, EL_MIN(op->len, RING_LEN_MAX), 0);
        if (u->poll_first && !op->more) {
            sqe->ioprio |= IORING_RECVSEND_POLL_FIRST; /* the socket is empty: do not try before it has bytes */
        }
    } else {
        EL_ASSERT(op->code == IO_ACCEPT);
        io_uring_prep_accept(sqe, op->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    io_uring_sqe_set_data64(sqe, (uintptr_t)op | TAG_OP);
}

/* Prepare the SQEs of an op, or what is left of it. */
static void uring_issue(struct uring *u, struct io_op *op)
{
    EL_ASSERT((op->private_[OP_FLAGS] & (OP_CANCELLED | OP_ENDED)) == 0);
    bool linked = op->code == IO_WRITE_DURABLE && u->commit == IO_COMMIT_LINKED;
    if (!sq_room(u, linked ? 2 : 1)) {
        op->private_[OP_FLAGS] |= OP_QUEUED;
        el_list_push_back(&u->backlog, &op->link);
        return;
    }
    op->private_[OP_FLAGS] &= ~(uint64_t)OP_QUEUED;
    u->kernel_count++;
    switch (op->code) {
    case IO_WRITE_DURABLE:
        prep_write(u, op);
        break;
    case IO_SEND:
        prep_send(u, op);
        break;
    case IO_READ:
    case IO_RECV:
    case IO_ACCEPT:
        prep_simple(u, op);
        break;
    case IO_NONE:
    case IO_JOB_DISK:
    case IO_JOB_COMPUTE:
    case IO_JOB_ARCHIVE:
        EL_ASSERT(op->code == IO_READ);
        break;
    }
}

static void uring_submit(struct io *io, struct io_op *op)
{
    struct uring *u = uring_of(io);
    backend_op_begin(&u->b, op);
    switch (op->code) {
    case IO_JOB_DISK:
        worker_push(&u->b.disk_worker, op);
        break;
    case IO_JOB_COMPUTE:
        worker_push(worker_least(u->b.compute, BACKEND_COMPUTE_COUNT), op);
        break;
    case IO_JOB_ARCHIVE:
        worker_push(worker_least(u->b.archive, BACKEND_ARCHIVE_COUNT), op);
        break;
    case IO_WRITE_DURABLE:
        if (u->commit == IO_COMMIT_THREAD) {
            worker_push(&u->b.commit, op);
        } else {
            uring_issue(u, op);
        }
        break;
    case IO_READ:
    case IO_RECV:
    case IO_SEND:
    case IO_ACCEPT:
        uring_issue(u, op);
        break;
    case IO_NONE:
        EL_ASSERT(op->code != IO_NONE);
        break;
    }
}

static void issue_cancel(struct uring *u, struct io_op *op)
{
    EL_ASSERT((op->private_[OP_FLAGS] & OP_CANCELLED) != 0);
    EL_ASSERT((op->private_[OP_FLAGS] & (OP_QUEUED | OP_ENDED)) == 0); /* the kernel has it */
    if (!sq_room(u, 1)) {
        el_list_push_back(&u->cancels, &op->link);
        return;
    }
    struct io_uring_sqe *sqe = sqe_get(u);
    io_uring_prep_cancel64(sqe, (uintptr_t)op | TAG_OP, 0);
    io_uring_sqe_set_data64(sqe, TAG_IGNORE);
}

static void uring_cancel(struct io *io, struct io_op *op)
{
    struct uring *u = uring_of(io);
    EL_ASSERT(op->code == IO_ACCEPT || op->code == IO_RECV || op->code == IO_SEND);
    if ((op->private_[OP_FLAGS] & (OP_CANCELLED | OP_ENDED)) != 0) {
        return;
    }
    op->private_[OP_FLAGS] |= OP_CANCELLED;
    if ((op->private_[OP_FLAGS] & OP_QUEUED) != 0) {
        backend_op_end_later(&u->b, op, EVLOG_ERR_CLOSED);
    } else {
        issue_cancel(u, op);
    }
}

/* --- completions ------------------------------------------------------------------------------------------------ */

/* Go on with the rest, unless the owner wants an end. */
static void uring_continue(struct uring *u, struct io_op *op)
{
    if ((op->private_[OP_FLAGS] & OP_CANCELLED) != 0) {
        backend_op_done(&u->b, op, EVLOG_ERR_CLOSED);
    } else {
        uring_issue(u, op);
    }
}

static bool is_transient(int res)
{
    return res == -EINTR || res == -EAGAIN;
}

static void on_moved(struct uring *u, struct io_op *op, int res, size_t total)
{
    if (is_transient(res)) {
        uring_continue(u, op);
        return;
    }
    if (res < 0) {
        backend_op_done(&u->b, op, op_error(-res));
        return;
    }
    op->private_[OP_DONE] += (uint64_t)res;
    EL_ASSERT(op->private_[OP_DONE] <= total);
    if (op->private_[OP_DONE] == total || (res == 0 && op->code == IO_READ)) {
        backend_op_done(&u->b, op, (int64_t)op->private_[OP_DONE]);
    } else if (res == 0) {
        backend_op_done(&u->b, op, EVLOG_ERR_IO);
    } else {
        uring_continue(u, op);
    }
}

static void on_write(struct uring *u, struct io_op *op, int res)
{
    uint64_t flags = op->private_[OP_FLAGS];
    EL_ASSERT((flags & (OP_SYNC_DUE | OP_WRITE_DUE)) == 0);
    op->private_[OP_FLAGS] = 0;
    op_iov_restore(op);
    int sync_errno = (int)(flags >> OP_ERRNO_SHIFT);
    bool whole = res >= 0 && op->private_[OP_DONE] + (uint64_t)res == op_iov_len(op);
    if (res == -EOPNOTSUPP && u->commit == IO_COMMIT_RING_DSYNC) {
        u->commit = IO_COMMIT_LINKED;
        u->b.io.commit_name = "linked";
        el_log(EL_LOG_WARN, "io",
               "the file system refuses RWF_DSYNC; journal writes are followed by fdatasync instead");
        uring_continue(u, op);
    } else if (whole && sync_errno != 0) {
        backend_op_done(&u->b, op, sync_errno == ECANCELED ? EVLOG_ERR_IO : op_error(sync_errno));
    } else {
        on_moved(u, op, res, op_iov_len(op));
    }
}

/* One of two CQEs of a linked write; the op goes on when both are there. A short or failed write cancels its sync. */
static void on_linked(struct uring *u, struct io_op *op, enum user_tag tag, int res)
{
    if (tag == TAG_SYNC) {
        EL_ASSERT((op->private_[OP_FLAGS] & OP_SYNC_DUE) != 0);
        op->private_[OP_FLAGS] &= ~(uint64_t)OP_SYNC_DUE;
        if (res < 0) {
            op->private_[OP_FLAGS] |= (uint64_t)-res << OP_ERRNO_SHIFT;
        }
    } else {
        EL_ASSERT((op->private_[OP_FLAGS] & OP_WRITE_DUE) != 0);
        op->private_[OP_FLAGS] &= ~(uint64_t)OP_WRITE_DUE;
        op->result = res;
    }
    if ((op->private_[OP_FLAGS] & (OP_SYNC_DUE | OP_WRITE_DUE)) == 0) {
        on_write(u, op, (int)op->result);
    }
}

static void on_accept(struct uring *u, struct io_op *op, int res)
{
    if (is_transient(res) || res == -ECONNABORTED || res == -EPROTO) {
        uring_continue(u, op);
    } else {
        backend_op_done(&u->b, op, res >= 0 ? res : op_error(-res));
    }
}

static void on_cqe(struct uring *u, struct io_op *op, enum user_tag tag, int res)
{
    EL_ASSERT(u->kernel_count > 0);
    u->kernel_count--;
    switch (op->code) {
    case IO_ACCEPT:
        on_accept(u, op, res);
        break;
    case IO_RECV:
        if (is_transient(res)) {
            uring_continue(u, op);
        } else {
            backend_op_done(&u->b, op, res >= 0 ? res : op_error(-res));
        }
        break;
    case IO_SEND:
        op_iov_restore(op);
        on_moved(u, op, res, op_iov_len(op));
        break;
    case IO_READ:
        on_moved(u, op, res, op->len);
        break;
    case IO_WRITE_DURABLE:
        if ((op->private_[OP_FLAGS] & (OP_SYNC_DUE | OP_WRITE_DUE)) != 0) {
            on_linked(u, op, tag, res);
        } else {
            on_write(u, op, res);
        }
        break;
    case IO_NONE:
    case IO_JOB_DISK:
    case IO_JOB_COMPUTE:
    case IO_JOB_ARCHIVE:
        EL_ASSERT(op->code == IO_READ);
        break;
    }
}

struct reaped {
    uint64_t data;
    int res;
    unsigned flags;
};

/* Copy CQEs out and free their places, so that handlers may submit as much as they like. */
static unsigned reap_batch(struct uring *u, struct reaped list[REAP_BATCH])
{
    struct io_uring_cqe *cqes[REAP_BATCH];
    unsigned count = io_uring_peek_batch_cqe(&u->ring, cqes, REAP_BATCH);
    for (unsigned i = 0; i < count; i++) {
        list[i] = (struct reaped){cqes[i]->user_data, cqes[i]->res, cqes[i]->flags};
    }
    io_uring_cq_advance(&u->ring, count);
    return count;
}

/* At most as many CQEs as were there at the start, so that messages and timers get their turn. */
static void uring_reap(struct uring *u)
{
    struct reaped list[REAP_BATCH];
    unsigned left = io_uring_cq_ready(&u->ring);
    while (left > 0) {
        unsigned count = reap_batch(u, list);
        for (unsigned i = 0; i < count; i++) {
            enum user_tag tag = (enum user_tag)(list[i].data & TAG_MASK);
            if (tag == TAG_WAKE) {
                u->wake_armed = (list[i].flags & IORING_CQE_F_MORE) != 0;
            } else if (tag != TAG_IGNORE) {
                struct io_op *op = (struct io_op *)(uintptr_t)(list[i].data & ~(uint64_t)TAG_MASK);
                op->more = (list[i].flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
                on_cqe(u, op, tag, list[i].res);
            }
        }
        left -= EL_MIN(left, count);
        if (count == 0) {
            break;
        }
    }
}

/* --- step ------------------------------------------------------------------------------------------------------- */

static void uring_enable(struct uring *u)
{
    if (u->enabled) {
        return;
    }
    u->enabled = true;
    /* Rings with DEFER_TASKRUN came one version after the flag. */
    u->poll_first = (u->ring.flags & IORING_SETUP_DEFER_TASKRUN) != 0;
    if ((u->ring.flags & IORING_SETUP_R_DISABLED) != 0) {
        int rc = io_uring_enable_rings(&u->ring);
        EL_ASSERT(rc == 0);
    }
    (void)io_uring_register_ring_fd(&u->ring); /* saves a table look-up per call; old kernels refuse */
}

static void wake_arm(struct uring *u)
{
    if (u->wake_armed || !sq_room(u, 1)) {
        return;
    }
    backend_wake_drain(&u->b);
    struct io_uring_sqe *sqe = sqe_get(u);
    io_uring_prep_poll_multishot(sqe, u->b.wake_fd, POLLIN);
    io_uring_sqe_set_data64(sqe, TAG_WAKE);
    u->wake_armed = true;
}

/* Try again what found no SQE. */
static void backlog_run(struct uring *u)
{
    struct el_list list;
    el_list_init(&list);
    el_list_splice_back(&list, &u->cancels);
    struct el_list *node = el_list_pop_front(&list);
    while (node != NULL) {
        issue_cancel(u, EL_CONTAINER(node, struct io_op, link));
        node = el_list_pop_front(&list);
    }
    el_list_splice_back(&list, &u->backlog);
    node = el_list_pop_front(&list);
    while (node != NULL) {
        uring_issue(u, EL_CONTAINER(node, struct io_op, link));
        node = el_list_pop_front(&list);
    }
}

static void uring_enter(struct uring *u, uint64_t sleep_ns)
{
    int rc;
    if (sleep_ns == 0 || !backend_sleep_begin(&u->b)) {
        rc = io_uring_submit_and_get_events(&u->ring);
    } else {
        struct __kernel_timespec ts = {(int64_t)(sleep_ns / 1000000000u), (long long)(sleep_ns % 1000000000u)};
        struct io_uring_cqe *cqe;
        rc = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, sleep_ns == UINT64_MAX ? NULL : &ts, NULL);
        backend_sleep_end(&u->b);
    }
    EL_ASSERT(rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EBUSY || rc == -EAGAIN || rc == -ENOMEM);
}

static void uring_step(struct io *io, uint64_t wait_until_ns)
{
    struct uring *u = uring_of(io);
    uring_enable(u);
    wake_arm(u);
    backlog_run(u);
    bool hurry = io_uring_cq_ready(&u->ring) > 0 || !el_list_empty(&u->backlog) || !el_list_empty(&u->cancels);
    uring_enter(u, hurry ? 0 : backend_sleep_ns(&u->b, wait_until_ns));
    io->now_ns = backend_mono(io);
    uring_reap(u);
    (void)backend_run_finished(&u->b);
    backend_run_rest(&u->b);
}

/* --- opening and closing ---------------------------------------------------------------------------------------- */

static void uring_close(struct io *io, int fd)
{
    close(fd);
}

/* Wait until the kernel has let go of every buffer; done is not called. When the thread that owned the ring has ended,
 * the kernel has cancelled everything by itself and refuses this one. */
static void uring_drain(struct uring *u)
{
    uring_enable(u);
    if (u->kernel_count > 0 && sq_room(u, 1)) {
        struct io_uring_sqe *sqe = sqe_get(u);
        io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
        io_uring_sqe_set_data64(sqe, TAG_IGNORE);
    }
    struct reaped list[REAP_BATCH];
    for (int round = 0; u->kernel_count > 0 && round < DESTROY_WAIT_ROUNDS;) {
        struct __kernel_timespec ts = {0, 100000000};
        struct io_uring_cqe *cqe;
        int rc = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts, NULL);
        unsigned count = reap_batch(u, list);
        for (unsigned i = 0; i < count; i++) {
            if ((list[i].data & TAG_MASK) <= TAG_SYNC) {
                u->kernel_count--;
            }
        }
        round += rc == -ETIME || count == 0;
    }
}

static void uring_destroy(struct io *io)
{
    struct uring *u = uring_of(io);
    uring_drain(u);
    io_uring_queue_exit(&u->ring);
    backend_close(&u->b);
    el_free(u->headers);
    el_free(u);
}

static const struct io_ops uring_ops = {
    .submit = uring_submit,
    .cancel = uring_cancel,
    .step = uring_step,
    .wake = backend_wake_up,
    .mono = backend_mono,
    .boot = backend_boot,
    .wall = backend_wall,
    .random = backend_random,
    .listen = socket_listen,
    .peer_name = socket_peer_name,
    .shutdown = socket_shutdown,
    .close = uring_close,
    .destroy = uring_destroy,
};

/* Set up the ring with the best flags this kernel takes. returns 0 | -errno */
static int ring_setup(struct io_uring *ring)
{
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_COOP_TASKRUN,
        0,
    };
    unsigned entries = SQ_ENTRIES;
    int rc = -EINVAL;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && rc == -EINVAL; i++) {
        struct io_uring_params params = {.flags = flags[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
                                         .cq_entries = entries * CQ_PER_SQ};
        rc = io_uring_queue_init_params(entries, ring, &params);
        if (rc == -ENOMEM && entries == SQ_ENTRIES) {
            entries = SQ_ENTRIES_SMALL;
            params.cq_entries = entries * CQ_PER_SQ;
            rc = io_uring_queue_init_params(entries, ring, &params);
        }
    }
    if (rc != 0) {
        return rc;
    }
    unsigned needed = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE;
    needed |= IORING_FEAT_RSRC_TAGS; /* came with the multishot poll */
    if ((ring->features & needed) != needed) {
        io_uring_queue_exit(ring);
        return -ENOSYS;
    }
    return 0;
}

static const char *setup_reason(int failed)
{
    switch (failed) {
    case ENOSYS:
        return "the kernel has none, is older than 5.13, or a filter hides it (container runtimes do)";
    case EPERM:
        return "it is forbidden here (sysctl kernel.io_uring_disabled, or the filter of a container runtime)";
    case ENOMEM:
        return "too little memory may be locked (ulimit -l)";
    default:
        return strerror(failed);
    }
}

static enum io_commit_method commit_choose(const struct io_config *cfg)
{
    if (cfg->commit != IO_COMMIT_AUTO) {
        return cfg->commit;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return (long)cfg->shard_count >= cores ? IO_COMMIT_THREAD : IO_COMMIT_RING_DSYNC;
}

static const char *commit_name(enum io_commit_method commit)
{
    switch (commit) {
    case IO_COMMIT_RING_DSYNC:
        return "ring-dsync";
    case IO_COMMIT_LINKED:
        return "linked";
    case IO_COMMIT_AUTO:
    case IO_COMMIT_THREAD:
        break;
    }
    return "thread";
}

/* A disabled ring takes these operations and no others for good. What goes through a ring passes no seccomp filter. */
static int ring_restrict(struct io_uring *ring)
{
    static const uint8_t ops[] = {IORING_OP_WRITE,    IORING_OP_WRITEV,      IORING_OP_FSYNC, IORING_OP_SEND,
                                  IORING_OP_SENDMSG,  IORING_OP_READ,        IORING_OP_RECV,  IORING_OP_ACCEPT,
                                  IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL};
    struct io_uring_restriction list[sizeof ops + 4];
    unsigned count = 0;
    if ((ring->flags & IORING_SETUP_R_DISABLED) == 0) {
        return 0; /* kernels before 6.0 */
    }
    memset(list, 0, sizeof list);
    for (; count < sizeof ops; count++) {
        list[count].opcode = IORING_RESTRICTION_SQE_OP;
        list[count].sqe_op = ops[count];
    }
    list[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    list[count++].sqe_flags = IOSQE_IO_LINK;
    static const uint8_t registers[] = {IORING_REGISTER_ENABLE_RINGS, IORING_REGISTER_RING_FDS,
                                        IORING_UNREGISTER_RING_FDS};
    for (size_t i = 0; i < sizeof registers; i++, count++) {
        list[count].opcode = IORING_RESTRICTION_REGISTER_OP;
        list[count].register_op = registers[i];
    }
    return io_uring_register_restrictions(ring, list, count);
}

int io_uring_open(const struct io_config *cfg, struct io **io, struct el_error *err)
{
    struct uring *u = el_calloc(1, sizeof(*u));
    if (u == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "out of memory");
    }
    int rc = ring_setup(&u->ring);
    if (rc != 0) {
        rc = el_error_set(err, EVLOG_ERR_UNSUPPORTED, "%s", setup_reason(-rc));
        goto fail_ring;
    }
    u->headers = el_calloc(u->ring.sq.ring_entries, sizeof(*u->headers));
    if (u->headers == NULL) {
        rc = el_error_set(err, EVLOG_ERR_NO_MEMORY, "out of memory");
        goto fail_headers;
    }
    if (cfg->lock_fd >= 0) {
        rc = io_uring_register_files(&u->ring, &cfg->lock_fd, 1);
        if (rc != 0) {
            rc = el_error_set(err, EVLOG_ERR_UNSUPPORTED, "cannot register a file: %s", strerror(-rc));
            goto fail_lock;
        }
    }
    rc = ring_restrict(&u->ring);
    if (rc != 0) {
        rc = el_error_set(err, EVLOG_ERR_UNSUPPORTED, "cannot restrict the ring: %s", strerror(-rc));
        goto fail_lock;
    }
    el_list_init(&u->backlog);
    el_list_init(&u->cancels);
    u->commit = commit_choose(cfg);
    u->b.io.ops = &uring_ops;
    u->b.io.name = "uring";
    u->b.io.commit_name = commit_name(u->commit);
    rc = backend_open(&u->b, cfg, u->commit == IO_COMMIT_THREAD, false, err);
    if (rc != 0) {
        goto fail_lock;
    }
    *io = &u->b.io;
    return 0;

fail_lock:
    el_free(u->headers);
fail_headers:
    io_uring_queue_exit(&u->ring);
fail_ring:
    el_free(u);
    return rc;
}
