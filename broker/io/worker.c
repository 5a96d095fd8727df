/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker: one thread, one queue in, the shard's queue out.
 *
 * 1. worker_push() queues an op and posts the semaphore when the queue was empty
 * 2. the thread takes all that is there, runs each op's blocking calls and pushes it to home->finished
 * 3. the first op in an empty finished queue wakes the shard
 *
 * A durable write is pwritev2(RWF_DSYNC); where the file system does not know the flag, pwritev and fdatasync. After an
 * error nothing is tried again: the kernel may have marked the pages clean.
 */
#include <core/assert.h>
#include <io/backend.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORKER_STACK_LEN (1u << 20)  /* decompression keeps its tables on the heap */
#define GIVE_WAY_SLICE_NS 100000000u /* the longest that there is */

/* Write iov[index ..] at pos and make it durable. returns bytes written | -errno */
static int64_t write_durable_some(const struct io_op *op, int index, uint64_t pos)
{
    ssize_t n = pwritev2(op->fd, op->iov + index, op->iov_count - index, (off_t)pos, RWF_DSYNC);
    if (n >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) {
        return n >= 0 ? n : -errno;
    }
    n = pwritev(op->fd, op->iov + index, op->iov_count - index, (off_t)pos);
    if (n < 0) {
        return -errno;
    }
    return fdatasync(op->fd) == 0 ? n : -errno;
}

static int64_t run_write_durable(struct io_op *op)
{
    size_t total = op_iov_len(op);
    int64_t result = (int64_t)total;
    op->private_[OP_DONE] = 0;
    while (op->private_[OP_DONE] < total) {
        int index = op_iov_trim(op);
        int64_t n = write_durable_some(op, index, op->pos + op->private_[OP_DONE]);
        op_iov_restore(op);
        if (n == -EINTR) {
            continue;
        }
        if (n <= 0) {
            result = n == 0 ? EVLOG_ERR_IO : op_error((int)-n);
            break;
        }
        op->private_[OP_DONE] += (uint64_t)n;
    }
    EL_ASSERT(op->private_[OP_DONE] <= total);
    EL_ASSERT(op->private_[OP_TRIM] == 0);
    return result;
}

static int64_t run_read(struct io_op *op)
{
    size_t done = 0;
    while (done < op->len) {
        ssize_t n = pread(op->fd, (uint8_t *)op->buf + done, op->len - done, (off_t)(op->pos + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return op_error(errno);
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    EL_ASSERT(done <= op->len);
    return (int64_t)done;
}

static int64_t worker_run_op(struct worker *worker, struct io_op *op)
{
    switch (op->code) {
    case IO_WRITE_DURABLE:
        return run_write_durable(op);
    case IO_READ:
        return run_read(op);
    case IO_JOB_DISK:
    case IO_JOB_COMPUTE:
    case IO_JOB_ARCHIVE:
        return op->job(worker->home->disk, op->job_arg);
    case IO_NONE:
    case IO_ACCEPT:
    case IO_RECV:
    case IO_SEND:
        break;
    }
    EL_ASSERT(op->code == IO_JOB_DISK);
    return EVLOG_ERR_FAILED;
}

/* struct sched_attr of sched_setattr(2); the header that has it does not go with sched.h. */
struct thread_attr {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns; /* of a slice */
    uint64_t deadline_ns;
    uint64_t period_ns;
};

/* Let other threads go first: besides its weight, a long slice, behind which a thread that wakes up is put first (Linux
 * 6.12; before, it is not looked at). Where neither is allowed, others wait longer. */
static void give_way(int nice)
{
    struct thread_attr attr = {
        .size = sizeof attr, .policy = SCHED_OTHER, .nice = nice, .runtime_ns = GIVE_WAY_SLICE_NS};
    if (syscall(SYS_sched_setattr, 0, &attr, 0) != 0) {
        (void)setpriority(PRIO_PROCESS, 0, nice); /* this thread's alone (Linux) */
    }
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    (void)pthread_setname_np(pthread_self(), worker->name); /* of another thread it would be written to a file */
    if (worker->nice != 0) {
        give_way(worker->nice);
    }
    for (;;) {
        struct el_qnode *node = el_queue_pop(&worker->todo);
        if (node == NULL) {
            while (sem_wait(&worker->work) != 0) {
                EL_ASSERT(errno == EINTR);
            }
            continue;
        }
        if (node == &worker->stop) {
            return NULL;
        }
        struct io_op *op = EL_CONTAINER(node, struct io_op, node);
        op->result = worker_run_op(worker, op);
        if (el_queue_push(&worker->home->finished, &op->node)) {
            io_wake(worker->home->io);
        }
    }
}

int worker_start(struct worker *worker, struct worker_home *home, const char *name, int nice, struct el_error *err)
{
    EL_ASSERT(!worker->running);
    worker->home = home;
    worker->name = name;
    worker->nice = nice;
    worker->pending_count = 0;
    el_queue_init(&worker->todo);
    if (sem_init(&worker->work, 0, 0) != 0) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "cannot start thread %s: %s", name, strerror(errno));
    }
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK_LEN);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, &attr, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (failed != 0) {
        sem_destroy(&worker->work);
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "cannot start thread %s: %s", name, strerror(failed));
    }
    worker->running = true;
    return 0;
}

static void worker_hand_over(struct worker *worker, struct el_qnode *node)
{
    if (el_queue_push(&worker->todo, node)) {
        int rc = sem_post(&worker->work);
        EL_ASSERT(rc == 0);
    }
}

void worker_stop(struct worker *worker)
{
    if (!worker->running) {
        return;
    }
    worker_hand_over(worker, &worker->stop);
    int rc = pthread_join(worker->thread, NULL);
    EL_ASSERT(rc == 0);
    EL_ASSERT(el_queue_empty(&worker->todo)); /* what it was given it has run */
    sem_destroy(&worker->work);
    worker->running = false;
}

void worker_push(struct worker *worker, struct io_op *op)
{
    EL_ASSERT(worker->running);
    worker->pending_count++;
    op->private_[OP_WORKER] = (uintptr_t)worker;
    worker_hand_over(worker, &op->node);
}

struct worker *worker_least(struct worker *workers, uint32_t count)
{
    EL_ASSERT(count > 0);
    struct worker *best = &workers[0];
    for (uint32_t i = 1; i < count; i++) {
        if (workers[i].pending_count < best->pending_count) {
            best = &workers[i];
        }
    }
    return best;
}

struct io_op *worker_finished(struct worker_home *home)
{
    struct el_qnode *node = el_queue_pop(&home->finished);
    if (node == NULL) {
        return NULL;
    }
    struct io_op *op = EL_CONTAINER(node, struct io_op, node);
    struct worker *worker = (struct worker *)(uintptr_t)op->private_[OP_WORKER];
    EL_ASSERT(worker->home == home);
    EL_ASSERT(worker->pending_count > 0);
    worker->pending_count--;
    return op;
}
