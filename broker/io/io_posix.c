/* SPDX-License-Identifier: Apache-2.0
 *
 * The posix backend: epoll for sockets, threads for files. Chosen where io_uring is refused.
 *
 * 1. io_submit() puts a socket op on the ready list, or a file op with a worker
 * 2. io_step() tries every ready op without blocking; one that would block waits in its descriptor's place
 * 3. epoll_wait, edge-triggered: an event tries the ops that wait on its descriptor
 *
 * Each descriptor is added to epoll once, for both directions. An edge that comes while no op waits is of no use and
 * not needed: the next op is tried first. epoll forgets a descriptor when it is closed.
 */
#include <core/alloc.h>
#include <io/backend.h>

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define EVENT_BATCH 256
#define FD_MAX_LIMIT (1u << 20) /* 24 MiB of address space, touched on use */
#define NS_PER_MS 1000000u

/* One descriptor. Accepting counts as receiving. */
struct posix_fd {
    struct io_op *recv_op; /* waits for EPOLLIN */
    struct io_op *send_op; /* waits for EPOLLOUT */
    bool added;            /* known to epoll */
};

struct posix {
    struct backend b;
    int epoll_fd;
    struct posix_fd *fds; /* [fd_max], by descriptor */
    uint32_t fd_max;
    bool no_pwait2;       /* the kernel has no epoll_pwait2: milliseconds must do */
    struct el_list ready; /* socket ops to try */
};

static struct posix *posix_of(struct io *io)
{
    return EL_CONTAINER(backend_of(io), struct posix, b);
}

static void posix_submit(struct io *io, struct io_op *op)
{
    struct posix *p = posix_of(io);
    backend_op_begin(&p->b, op);
    switch (op->code) {
    case IO_JOB_DISK:
        worker_push(&p->b.disk_worker, op);
        break;
    case IO_JOB_COMPUTE:
        worker_push(worker_least(p->b.compute, BACKEND_COMPUTE_COUNT), op);
        break;
    case IO_JOB_ARCHIVE:
        worker_push(worker_least(p->b.archive, BACKEND_ARCHIVE_COUNT), op);
        break;
    case IO_WRITE_DURABLE:
        worker_push(&p->b.commit, op);
        break;
    case IO_READ:
        worker_push(worker_least(p->b.reader, BACKEND_READER_COUNT), op);
        break;
    case IO_RECV:
    case IO_SEND:
    case IO_ACCEPT:
        op->private_[OP_FLAGS] |= OP_QUEUED;
        el_list_push_back(&p->ready, &op->link);
        break;
    case IO_NONE:
        EL_ASSERT(op->code != IO_NONE);
        break;
    }
}

/* Where an op waits on its descriptor. */
static struct io_op **waiting_place(struct posix *p, const struct io_op *op)
{
    EL_ASSERT(op->fd >= 0);
    EL_ASSERT((uint32_t)op->fd < p->fd_max);
    struct posix_fd *place = &p->fds[op->fd];
    return op->code == IO_SEND ? &place->send_op : &place->recv_op;
}

static void posix_cancel(struct io *io, struct io_op *op)
{
    struct posix *p = posix_of(io);
    EL_ASSERT(op->code == IO_ACCEPT || op->code == IO_RECV || op->code == IO_SEND);
    if ((op->private_[OP_FLAGS] & OP_ENDED) != 0) {
        return;
    }
    if ((op->private_[OP_FLAGS] & OP_QUEUED) == 0) {
        struct io_op **place = waiting_place(p, op);
        EL_ASSERT(*place == op);
        *place = NULL;
    }
    backend_op_end_later(&p->b, op, EVLOG_ERR_CLOSED);
}

/* --- trying ----------------------------------------------------------------------------------------------------- */

/* One system call of an op. returns bytes or descriptor | -errno */
static int64_t call_once(struct io_op *op)
{
    ssize_t n;
    if (op->code == IO_RECV) {
        n = recv(op->fd, op->buf, op->len, MSG_DONTWAIT);
    } else if (op->code == IO_SEND) {
        int index = op_iov_trim(op);
        struct msghdr header = {.msg_iov = op->iov + index, .msg_iovlen = (size_t)(op->iov_count - index)};
        n = sendmsg(op->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
        int failed = errno;
        op_iov_restore(op);
        errno = failed;
    } else {
        EL_ASSERT(op->code == IO_ACCEPT);
        n = accept4(op->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (n < 0 && (errno == ECONNABORTED || errno == EPROTO)) {
            errno = EINTR;
        }
    }
    return n < 0 ? -errno : n;
}

/* Try until done or blocked. returns true and the result when done */
static bool op_try(struct io_op *op, int64_t *result)
{
    for (;;) {
        int64_t n = call_once(op);
        if (n == -EINTR) {
            continue;
        }
        if (n == -EAGAIN) {
            return false;
        }
        if (n < 0 || op->code != IO_SEND) {
            *result = n < 0 ? op_error((int)-n) : n;
            return true;
        }
        op->private_[OP_DONE] += (uint64_t)n;
        EL_ASSERT(op->private_[OP_DONE] <= op_iov_len(op));
        if (op->private_[OP_DONE] == op_iov_len(op)) {
            *result = (int64_t)op->private_[OP_DONE];
            return true;
        }
        EL_ASSERT(n > 0);
    }
}

/* Make epoll watch an op's descriptor. returns 0 | EVLOG_ERR_NO_FILES | EVLOG_ERR_NO_MEMORY ... */
static int fd_watch(struct posix *p, int fd)
{
    if (fd < 0 || (uint32_t)fd >= p->fd_max) {
        return EVLOG_ERR_NO_FILES;
    }
    if (p->fds[fd].added) {
        return 0;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        return el_error_from_errno(errno);
    }
    p->fds[fd].added = true;
    return 0;
}

/* returns true when done was called. */
static bool op_run(struct posix *p, struct io_op *op)
{
    EL_ASSERT((op->private_[OP_FLAGS] & OP_ENDED) == 0);
    op->private_[OP_FLAGS] &= ~(uint64_t)OP_QUEUED;
    /* Watched before it is tried: an edge between the two calls would be lost otherwise. */
    int64_t result = fd_watch(p, op->fd);
    if (result != 0 || op_try(op, &result)) {
        backend_op_done(&p->b, op, result);
        return true;
    }
    struct io_op **place = waiting_place(p, op);
    EL_ASSERT(*place == NULL);
    *place = op;
    return false;
}

static uint32_t ready_run(struct posix *p)
{
    uint32_t count = 0;
    struct el_list list;
    el_list_init(&list);
    el_list_splice_back(&list, &p->ready);
    struct el_list *node = el_list_pop_front(&list);
    while (node != NULL) {
        count += op_run(p, EL_CONTAINER(node, struct io_op, link));
        node = el_list_pop_front(&list);
    }
    return count;
}

static void fd_event(struct posix *p, int fd, uint32_t events)
{
    EL_ASSERT(fd >= 0);
    EL_ASSERT((uint32_t)fd < p->fd_max);
    struct io_op *op = p->fds[fd].recv_op;
    EL_ASSERT(op == NULL || op->fd == fd);
    if (op != NULL && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        p->fds[fd].recv_op = NULL;
        (void)op_run(p, op);
    }
    op = p->fds[fd].send_op;
    EL_ASSERT(op == NULL || op->fd == fd);
    if (op != NULL && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
        p->fds[fd].send_op = NULL;
        (void)op_run(p, op);
    }
}

/* --- step ------------------------------------------------------------------------------------------------------- */

static int wait_events(struct posix *p, struct epoll_event *events, uint64_t sleep_ns)
{
    if (!p->no_pwait2) {
        struct timespec ts = {(time_t)(sleep_ns / 1000000000u), (long)(sleep_ns % 1000000000u)};
        int count = epoll_pwait2(p->epoll_fd, events, EVENT_BATCH, sleep_ns == UINT64_MAX ? NULL : &ts, NULL);
        if (count >= 0 || errno != ENOSYS) {
            return count;
        }
        p->no_pwait2 = true;
    }
    int wait_ms = sleep_ns == UINT64_MAX ? -1 : (int)EL_MIN((sleep_ns + NS_PER_MS - 1) / NS_PER_MS, 3600000u);
    return epoll_wait(p->epoll_fd, events, EVENT_BATCH, wait_ms);
}

static void posix_step(struct io *io, uint64_t wait_until_ns)
{
    struct posix *p = posix_of(io);
    struct epoll_event events[EVENT_BATCH];
    uint32_t count = ready_run(p);
    bool hurry = count > 0 || !el_list_empty(&p->ready);
    uint64_t sleep_ns = hurry ? 0 : backend_sleep_ns(&p->b, wait_until_ns);
    bool asleep = sleep_ns > 0 && backend_sleep_begin(&p->b);
    int found = wait_events(p, events, asleep ? sleep_ns : 0);
    EL_ASSERT(found >= 0 || errno == EINTR);
    if (asleep) {
        backend_sleep_end(&p->b);
    }
    io->now_ns = backend_mono(io);
    for (int i = 0; i < found; i++) {
        if (events[i].data.fd != p->b.wake_fd) {
            fd_event(p, events[i].data.fd, events[i].events);
        }
    }
    (void)backend_run_finished(&p->b);
    backend_run_rest(&p->b);
}

/* --- opening and closing ---------------------------------------------------------------------------------------- */

static void posix_close(struct io *io, int fd)
{
    struct posix *p = posix_of(io);
    if (fd >= 0 && (uint32_t)fd < p->fd_max) {
        EL_ASSERT(p->fds[fd].recv_op == NULL);
        EL_ASSERT(p->fds[fd].send_op == NULL);
        p->fds[fd].added = false;
    }
    close(fd);
}

static void posix_destroy(struct io *io)
{
    struct posix *p = posix_of(io);
    backend_close(&p->b);
    close(p->epoll_fd);
    munmap(p->fds, p->fd_max * sizeof(*p->fds));
    el_free(p);
}

static const struct io_ops posix_ops = {
    .submit = posix_submit,
    .cancel = posix_cancel,
    .step = posix_step,
    .wake = backend_wake_up,
    .mono = backend_mono,
    .boot = backend_boot,
    .wall = backend_wall,
    .random = backend_random,
    .listen = socket_listen,
    .peer_name = socket_peer_name,
    .shutdown = socket_shutdown,
    .close = posix_close,
    .destroy = posix_destroy,
};

/* Room for every descriptor the process may have. */
static int fds_reserve(struct posix *p, struct el_error *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return el_error_set(err, el_error_from_errno(errno), "getrlimit: %s", strerror(errno));
    }
    p->fd_max = (uint32_t)EL_MIN(limit.rlim_max, FD_MAX_LIMIT);
    void *fds = mmap(NULL, p->fd_max * sizeof(*p->fds), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fds == MAP_FAILED) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "mmap: %s", strerror(errno));
    }
    p->fds = fds;
    return 0;
}

int io_posix_open(const struct io_config *cfg, struct io **io, struct el_error *err)
{
    struct posix *p = el_calloc(1, sizeof(*p));
    if (p == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "out of memory");
    }
    int rc = fds_reserve(p, err);
    if (rc != 0) {
        goto fail_fds;
    }
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->epoll_fd < 0) {
        rc = el_error_set(err, el_error_from_errno(errno), "epoll_create1: %s", strerror(errno));
        goto fail_epoll;
    }
    el_list_init(&p->ready);
    p->b.io.ops = &posix_ops;
    p->b.io.name = "posix";
    p->b.io.commit_name = "thread";
    rc = backend_open(&p->b, cfg, true, true, err);
    if (rc != 0) {
        goto fail_backend;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = p->b.wake_fd};
    if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->b.wake_fd, &event) != 0) {
        rc = el_error_set(err, el_error_from_errno(errno), "epoll_ctl: %s", strerror(errno));
        goto fail_wake;
    }
    *io = &p->b.io;
    return 0;

fail_wake:
    backend_close(&p->b);
fail_backend:
    close(p->epoll_fd);
fail_epoll:
    munmap(p->fds, p->fd_max * sizeof(*p->fds));
fail_fds:
    el_free(p);
    return rc;
}
