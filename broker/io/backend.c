/* SPDX-License-Identifier: Apache-2.0
 *
 * What both real backends share. The shard's thread runs all of it but backend_wake_up().
 *
 * Wake-up: a shard that is about to sleep moves AWAKE -> SLEEPING; a caller of io_wake() moves anything to CALLED and
 * writes the eventfd only where it found SLEEPING. So a wake costs one atomic exchange while the shard is busy, and
 * a call between two steps is not lost: SLEEPING is not reached from CALLED.
 *
 * The queues are looked at after SLEEPING is set; who pushes into an empty queue calls io_wake() after the push. Both
 * sides use sequentially consistent operations, so at least one of them sees the other.
 */
#include <core/limits.h>
#include <io/backend.h>

#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Hashing and packing for the archive have seconds; an append that waits for a processor does not. */
#define ARCHIVE_NICE 10

#define OP_MARK_SUBMITTED 0x65766c6f676f7021u

/* role, nice: as worker_start() */
static int workers_start(struct backend *b, struct worker *workers, uint32_t count, const char *role, int nice,
                         struct el_error *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        rc = worker_start(&workers[i], &b->home, role, nice, err);
    }
    return rc;
}

int backend_open(struct backend *b, const struct io_config *cfg, bool with_commit, bool with_readers,
                 struct el_error *err)
{
    EL_ASSERT(cfg->disk != NULL);
    el_queue_init(&b->io.inbox);
    el_queue_init(&b->home.finished);
    el_list_init(&b->ended);
    b->io.disk = cfg->disk;
    b->home.io = &b->io;
    b->home.disk = cfg->disk;
    atomic_init(&b->wake, WAKE_AWAKE);
    b->io.now_ns = backend_mono(&b->io);
    b->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (b->wake_fd < 0) {
        return el_error_set(err, el_error_from_errno(errno), "eventfd: %s", strerror(errno));
    }
    int rc = workers_start(b, &b->disk_worker, 1, "evlog-disk", 0, err);
    if (rc == 0) {
        rc = workers_start(b, b->compute, BACKEND_COMPUTE_COUNT, "evlog-calc", 0, err);
    }
    if (rc == 0 && cfg->archive) {
        rc = workers_start(b, b->archive, BACKEND_ARCHIVE_COUNT, "evlog-arch", ARCHIVE_NICE, err);
    }
    if (rc == 0 && with_commit) {
        rc = workers_start(b, &b->commit, 1, "evlog-commit", 0, err);
    }
    if (rc == 0 && with_readers) {
        rc = workers_start(b, b->reader, BACKEND_READER_COUNT, "evlog-read", 0, err);
    }
    if (rc != 0) {
        backend_close(b);
    }
    return rc;
}

void backend_close(struct backend *b)
{
    worker_stop(&b->disk_worker);
    for (uint32_t i = 0; i < BACKEND_COMPUTE_COUNT; i++) {
        worker_stop(&b->compute[i]);
    }
    for (uint32_t i = 0; i < BACKEND_ARCHIVE_COUNT; i++) {
        worker_stop(&b->archive[i]);
    }
    worker_stop(&b->commit);
    for (uint32_t i = 0; i < BACKEND_READER_COUNT; i++) {
        worker_stop(&b->reader[i]);
    }
    close(b->wake_fd);
    b->wake_fd = -1;
    io_timer_free(&b->io);
}

void backend_op_begin(struct backend *b, struct io_op *op)
{
    EL_ASSERT(op->code != IO_NONE);
    EL_ASSERT(op->done != NULL);
    EL_ASSERT(op->private_[OP_MARK] != (OP_MARK_SUBMITTED ^ (uintptr_t)op));
    if (op->code == IO_SEND || op->code == IO_WRITE_DURABLE) {
        EL_ASSERT(op->iov_count >= 1);
        EL_ASSERT(op->iov_count <= IO_IOV_MAX);
    }
    op->private_[OP_MARK] = OP_MARK_SUBMITTED ^ (uintptr_t)op;
    op->private_[OP_FLAGS] = 0;
    op->private_[OP_DONE] = 0;
    op->private_[OP_TRIM] = 0;
    el_list_init(&op->link);
    b->io.op_count++;
}

void backend_op_done(struct backend *b, struct io_op *op, int64_t result)
{
    EL_ASSERT(op->private_[OP_MARK] == (OP_MARK_SUBMITTED ^ (uintptr_t)op));
    EL_ASSERT(op->private_[OP_TRIM] == 0); /* its iov is as it was given */
    EL_ASSERT(b->io.op_count > 0);
    b->io.op_count--;
    op->private_[OP_MARK] = 0;
    el_list_remove(&op->link);
    op->code = IO_NONE;
    op->result = result;
    op->done(op);
}

void backend_op_end_later(struct backend *b, struct io_op *op, int64_t result)
{
    EL_ASSERT(op->private_[OP_MARK] == (OP_MARK_SUBMITTED ^ (uintptr_t)op));
    EL_ASSERT((op->private_[OP_FLAGS] & OP_ENDED) == 0); /* an op ends once */
    op->result = result;
    op->private_[OP_FLAGS] |= OP_ENDED;
    el_list_remove(&op->link);
    el_list_push_back(&b->ended, &op->link);
}

uint32_t backend_run_finished(struct backend *b)
{
    uint32_t count = 0;
    struct el_list ended;
    el_list_init(&ended);
    el_list_splice_back(&ended, &b->ended);
    struct el_list *node = el_list_pop_front(&ended);
    while (node != NULL) {
        struct io_op *op = EL_CONTAINER(node, struct io_op, link);
        backend_op_done(b, op, op->result);
        count++;
        node = el_list_pop_front(&ended);
    }
    struct io_op *op = worker_finished(&b->home);
    while (op != NULL) {
        backend_op_done(b, op, op->result);
        count++;
        op = worker_finished(&b->home);
    }
    return count;
}

bool backend_sleep_begin(struct backend *b)
{
    int state = WAKE_AWAKE;
    if (!atomic_compare_exchange_strong(&b->wake, &state, WAKE_SLEEPING)) {
        EL_ASSERT(state == WAKE_CALLED);
        atomic_store(&b->wake, WAKE_AWAKE);
        return false;
    }
    if (!el_list_empty(&b->ended) || !el_queue_empty(&b->io.inbox) || !el_queue_empty(&b->home.finished)) {
        backend_sleep_end(b);
        return false;
    }
    return true;
}

void backend_sleep_end(struct backend *b)
{
    atomic_store(&b->wake, WAKE_AWAKE);
}

void backend_wake_drain(struct backend *b)
{
    uint64_t count;
    ssize_t n = read(b->wake_fd, &count, sizeof(count));
    EL_ASSERT(n == sizeof(count) || errno == EAGAIN || errno == EINTR);
}

void backend_wake_up(struct io *io)
{
    struct backend *b = backend_of(io);
    if (atomic_exchange(&b->wake, WAKE_CALLED) == WAKE_SLEEPING) {
        uint64_t one = 1;
        ssize_t n = write(b->wake_fd, &one, sizeof(one));
        EL_ASSERT(n == sizeof(one) || errno == EAGAIN);
    }
}

uint64_t backend_sleep_ns(struct backend *b, uint64_t wait_until_ns)
{
    uint64_t until = EL_MIN(wait_until_ns, io_timer_next(&b->io));
    if (until == 0 || until == UINT64_MAX) {
        return until;
    }
    uint64_t now_ns = backend_mono(&b->io);
    return until <= now_ns ? 0 : until - now_ns;
}

void backend_run_rest(struct backend *b)
{
    io_inbox_run(&b->io);
    io_timer_run(&b->io);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t backend_mono(struct io *io)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t backend_boot(struct io *io)
{
    return clock_ns(CLOCK_BOOTTIME);
}

uint64_t backend_wall(struct io *io)
{
    return clock_ns(CLOCK_REALTIME);
}

void backend_random(struct io *io, void *buf, size_t len)
{
    uint8_t *p = buf;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0) {
            EL_ASSERT(errno == EINTR);
            continue;
        }
        p += n;
        len -= (size_t)n;
    }
}

size_t op_iov_len(const struct io_op *op)
{
    size_t len = 0;
    EL_ASSERT(op->iov_count <= IO_IOV_MAX);
    for (int i = 0; i < op->iov_count; i++) {
        EL_ASSERT(op->iov[i].iov_len <= SIZE_MAX - len);
        len += op->iov[i].iov_len;
    }
    return len;
}

int op_iov_trim(struct io_op *op)
{
    EL_ASSERT(op->private_[OP_TRIM] == 0);
    EL_ASSERT(op->iov_count >= 1);
    size_t skip = op->private_[OP_DONE];
    int index = 0;
    while (index < op->iov_count - 1 && skip >= op->iov[index].iov_len) {
        skip -= op->iov[index].iov_len;
        index++;
    }
    EL_ASSERT(skip <= op->iov[index].iov_len);
    op->iov[index].iov_base = (uint8_t *)op->iov[index].iov_base + skip;
    op->iov[index].iov_len -= skip;
    EL_ASSERT(skip < UINT64_C(1) << 40); /* it is kept below the index */
    op->private_[OP_TRIM] = (uint64_t)index << 40 | skip;
    return index;
}

void op_iov_restore(struct io_op *op)
{
    int index = (int)(op->private_[OP_TRIM] >> 40);
    size_t skip = op->private_[OP_TRIM] & ((UINT64_C(1) << 40) - 1);
    EL_ASSERT(index < op->iov_count);
    op->iov[index].iov_base = (uint8_t *)op->iov[index].iov_base - skip;
    op->iov[index].iov_len += skip;
    op->private_[OP_TRIM] = 0;
}
