/* SPDX-License-Identifier: Apache-2.0
 *
 * Simulated completions. Order: durable writes and compute jobs end in any order, disk jobs run one after the other in
 * that of submission. A job is a fiber: the disk pauses it before some of its calls, and whatever is due runs before it
 * goes on. What sockets do is in sim_net.c.
 */
#include "sim_io.h"

#include "fiber.h"
#include <core/alloc.h>
#include <core/assert.h>
#include <core/hash.h>
#include <stdlib.h>

struct sim_io {
    struct io io;
    struct sim_clock *clock;
    struct sim_disk *disk;
    struct sim_net *net; /* NULL: no sockets */
    struct el_rng *rng;
    struct el_list ops; /* under way, in order of submission */
    struct sim_trace *trace;
    uint64_t last_due_ns; /* of the reads and writes so far */
    uint32_t index;       /* which shard's, for the trace */
};

#define DUE(op) ((op)->private_[0])
#define WRITE(op) ((op)->private_[1])
#define JOB(op) ((op)->private_[2])
#define SENT(op) ((op)->private_[1])      /* bytes of an IO_SEND that have left */
#define CANCELLED(op) ((op)->private_[3]) /* the owner wants it ended */

/* A job that has begun. */
struct sim_job {
    struct io_op *op;
    struct disk *disk;
    struct fiber *fiber;
    int64_t result;
};

static struct sim_io *self(struct io *io)
{
    return EL_CONTAINER(io, struct sim_io, io);
}

static bool is_socket(const struct io_op *op)
{
    return op->code == IO_ACCEPT || op->code == IO_RECV || op->code == IO_SEND;
}

/* When an op is to end. Jobs have orders of their own, and the network has its delays. */
static uint64_t due_ns(struct sim_io *s, const struct io_op *op)
{
    uint64_t due = s->clock->now_ns + 20000 + el_rng_below(s->rng, 200000);
    if (sim_disk_fault(s->disk, FAULT_SLOW_IO)) {
        due += el_rng_below(s->rng, 50000000);
    }
    if (is_socket(op)) {
        return due;
    }
    if (sim_disk_fault(s->disk, FAULT_STUCK_IO)) {
        due += 1000000000 + el_rng_below(s->rng, 39000000000);
    }
    if (op->code == IO_JOB_DISK || op->code == IO_JOB_COMPUTE || op->code == IO_JOB_ARCHIVE) {
        return due;
    }
    if (due < s->last_due_ns && !sim_disk_fault(s->disk, FAULT_REORDER)) {
        due = s->last_due_ns;
    }
    s->last_due_ns = EL_MAX(s->last_due_ns, due);
    return due;
}

static void sim_submit(struct io *io, struct io_op *op)
{
    struct sim_io *s = self(io);
    EL_ASSERT(op->code != IO_NONE);
    DUE(op) = due_ns(s, op);
    JOB(op) = 0;
    CANCELLED(op) = 0;
    switch (op->code) {
    case IO_WRITE_DURABLE:
        WRITE(op) = (uint64_t)(uintptr_t)sim_disk_write_begin(s->disk, op->fd, op->iov, op->iov_count, op->pos);
        break;
    case IO_READ:
    case IO_JOB_DISK:
    case IO_JOB_COMPUTE:
    case IO_JOB_ARCHIVE:
        break;
    case IO_ACCEPT:
    case IO_RECV:
    case IO_SEND:
        EL_ASSERT(s->net != NULL);
        SENT(op) = 0;
        DUE(op) = s->clock->now_ns + el_rng_below(s->rng, 50000);
        break;
    case IO_NONE:
        break;
    }
    el_list_push_back(&s->ops, &op->link);
    io->op_count++;
}

static void job_main(void *arg)
{
    struct sim_job *job = arg;
    job->result = job->op->job(job->disk, job->op->job_arg);
}

/* Go on with a job; false when it paused. */
static bool job_run(struct sim_io *s, struct io_op *op, int64_t *result)
{
    struct sim_job *job = (struct sim_job *)(uintptr_t)JOB(op);
    if (job == NULL) {
        job = calloc(1, sizeof(*job));
        EL_ASSERT(job != NULL);
        job->op = op;
        job->disk = s->io.disk;
        job->fiber = fiber_create(job_main, job);
        JOB(op) = (uint64_t)(uintptr_t)job;
    }
    bool sealed = el_alloc_seal(false); /* workers may use the heap */
    bool ended = fiber_run(job->fiber);
    el_alloc_seal(sealed);
    if (!ended) {
        DUE(op) = s->clock->now_ns +
                  (el_rng_chance(s->rng, 100000) ? el_rng_below(s->rng, 3000000) : el_rng_below(s->rng, 60000));
        return false;
    }
    *result = job->result;
    free(job);
    return true;
}

/* A cancelled one may still find what it waited for. */
static bool socket_go(struct sim_io *s, struct io_op *op, int64_t *result)
{
    bool ready = sim_net_ready(s->net, op) <= s->clock->now_ns;
    bool ended = false;
    if (CANCELLED(op) == 0 || (ready && el_rng_chance(s->rng, 500000))) {
        ended = sim_net_go(s->net, op, &SENT(op), result);
    }
    if (!ended && CANCELLED(op) != 0) {
        *result = EVLOG_ERR_CLOSED;
        return true;
    }
    if (!ended) {
        DUE(op) = s->clock->now_ns + 1000 + el_rng_below(s->rng, 100000);
    } else if (op->code == IO_SEND) {
        memset(op->iov, 0xa5, sizeof(*op->iov) * (size_t)op->iov_count); /* backends may change it */
    }
    return ended;
}

/* When an op can go on. */
static uint64_t op_due_ns(struct sim_io *s, const struct io_op *op)
{
    if (!is_socket(op) || CANCELLED(op) != 0) {
        return DUE(op);
    }
    return EL_MAX(DUE(op), sim_net_ready(s->net, op));
}

/* Do what an op is for, or a part of it; false when it is not done yet. */
static bool op_execute(struct sim_io *s, struct io_op *op, int64_t *result)
{
    size_t done = 0;
    int code;
    switch (op->code) {
    case IO_WRITE_DURABLE:
        *result = sim_disk_write_end(s->disk, (struct sim_write *)(uintptr_t)WRITE(op));
        return true;
    case IO_READ:
        code = disk_pread(s->io.disk, op->fd, op->buf, op->len, op->pos, &done);
        *result = code != 0 ? code : (int64_t)done;
        return true;
    case IO_JOB_DISK:
    case IO_JOB_COMPUTE:
    case IO_JOB_ARCHIVE:
        return job_run(s, op, result);
    case IO_ACCEPT:
    case IO_RECV:
    case IO_SEND:
        return socket_go(s, op, result);
    case IO_NONE:
        break;
    }
    *result = EVLOG_ERR_UNSUPPORTED;
    return true;
}

/* The op that can go on first, and when; NULL and UINT64_MAX when none can. Disk jobs wait for the one before. */
static struct io_op *op_first(struct sim_io *s, uint64_t *first_ns)
{
    struct io_op *first = NULL;
    bool disk_job = false;
    *first_ns = UINT64_MAX;
    EL_LIST_EACH(n, &s->ops) {
        struct io_op *op = EL_CONTAINER(n, struct io_op, link);
        bool waits = op->code == IO_JOB_DISK && disk_job;
        disk_job = disk_job || op->code == IO_JOB_DISK;
        uint64_t due_ns = waits ? UINT64_MAX : op_due_ns(s, op);
        if (due_ns < *first_ns) {
            first = op;
            *first_ns = due_ns;
        }
    }
    return first;
}

static struct io_op *op_due(struct sim_io *s)
{
    uint64_t due_ns;
    struct io_op *op = op_first(s, &due_ns);
    return due_ns <= s->clock->now_ns ? op : NULL;
}

static void sim_step(struct io *io, uint64_t wait_until_ns)
{
    struct sim_io *s = self(io);
    (void)wait_until_ns;
    io->now_ns = s->clock->now_ns;
    struct io_op *op;
    for (int turns = 0; turns < 1000 && !sim_disk_crashed(s->disk) && (op = op_due(s)) != NULL; turns++) {
        int64_t result = 0;
        if (!op_execute(s, op, &result)) {
            continue;
        }
        el_list_remove(&op->link);
        SIM_TRACE(s->trace, "done", s->index, (uint64_t)op->code, (uint64_t)result, s->clock->now_ns);
        if (sim_disk_crashed(s->disk)) {
            return; /* the machine is off: nobody is told */
        }
        op->result = result;
        op->code = IO_NONE;
        io->op_count--;
        op->done(op);
    }
    if (!sim_disk_crashed(s->disk)) {
        io_inbox_run(io);
        io_timer_run(io);
    }
}

static void sim_cancel(struct io *io, struct io_op *op)
{
    EL_ASSERT(is_socket(op));
    CANCELLED(op) = 1;
    uint64_t soon_ns = self(io)->clock->now_ns + el_rng_below(self(io)->rng, 50000);
    DUE(op) = EL_MIN(DUE(op), soon_ns);
}
static void sim_wake(struct io *io)
{
    (void)io;
}
static uint64_t sim_mono(struct io *io)
{
    struct sim_io *s = self(io);
    SIM_TRACE(s->trace, "mono", s->index, s->clock->now_ns);
    return s->clock->now_ns;
}
static uint64_t sim_boot(struct io *io)
{
    struct sim_io *s = self(io);
    SIM_TRACE(s->trace, "boot", s->index, s->clock->now_ns);
    return s->clock->now_ns;
}
static uint64_t sim_wall(struct io *io)
{
    struct sim_io *s = self(io);
    uint64_t wall_ns = (uint64_t)((int64_t)s->clock->now_ns + s->clock->wall_offset);
    SIM_TRACE(s->trace, "wall", s->index, wall_ns);
    return wall_ns;
}
static void sim_random(struct io *io, void *buf, size_t len)
{
    struct sim_io *s = self(io);
    uint8_t *p = buf;
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)el_rng_next(s->rng);
    }
    SIM_TRACE(s->trace, "random", s->index, el_xxh3(buf, len));
}
static int sim_listen(struct io *io, const struct io_place *place, int *fd, uint16_t *bound_port, struct el_error *err)
{
    int code = sim_net_listen(self(io)->net, place->port, place->join, fd, bound_port);
    return code == 0 ? 0 : el_error_set(err, code, "cannot listen");
}
static int sim_peer_name(struct io *io, int fd, char *text, size_t text_len)
{
    return sim_net_peer_name(self(io)->net, fd, text, text_len);
}
static void sim_shutdown(struct io *io, int fd)
{
    sim_net_shutdown(self(io)->net, fd);
}
static void sim_close(struct io *io, int fd)
{
    EL_LIST_EACH(n, &self(io)->ops) {
        const struct io_op *op = EL_CONTAINER(n, struct io_op, link);
        EL_ASSERT(!is_socket(op) || op->fd != fd);
    }
    sim_net_close(self(io)->net, fd);
}
static void sim_destroy(struct io *io)
{
    io_timer_free(io);
    free(self(io));
}

static const struct io_ops sim_ops = {
    .submit = sim_submit,
    .cancel = sim_cancel,
    .step = sim_step,
    .wake = sim_wake,
    .mono = sim_mono,
    .boot = sim_boot,
    .wall = sim_wall,
    .random = sim_random,
    .listen = sim_listen,
    .peer_name = sim_peer_name,
    .shutdown = sim_shutdown,
    .close = sim_close,
    .destroy = sim_destroy,
};

struct io *sim_io_create(struct sim_clock *clock, struct sim_disk *disk, struct el_rng *rng, uint32_t index)
{
    struct sim_io *s = calloc(1, sizeof(*s));
    EL_ASSERT(s != NULL);
    s->io.ops = &sim_ops;
    s->io.disk = sim_disk_as_disk(disk);
    s->io.name = s->io.commit_name = "sim";
    s->io.now_ns = clock->now_ns;
    el_queue_init(&s->io.inbox);
    s->clock = clock;
    s->disk = disk;
    s->rng = rng;
    s->index = index;
    s->trace = sim_disk_trace(disk);
    el_list_init(&s->ops);
    return &s->io;
}

void sim_io_network(struct io *io, struct sim_net *net)
{
    self(io)->net = net;
}

uint64_t sim_io_next(struct io *io)
{
    struct sim_io *s = self(io);
    uint64_t next;
    op_first(s, &next);
    next = EL_MIN(next, io_timer_next(io));
    return el_queue_empty(&io->inbox) ? next : EL_MIN(next, s->clock->now_ns);
}

/* With the disk off, every call of a job fails, and it unwinds by its error path. */
void sim_io_kill_jobs(struct io *io)
{
    struct sim_io *s = self(io);
    EL_ASSERT(sim_disk_crashed(s->disk));
    EL_LIST_EACH_SAFE(n, tmp, &s->ops) {
        struct io_op *op = EL_CONTAINER(n, struct io_op, link);
        int64_t result = 0;
        if (JOB(op) != 0) {
            while (!job_run(s, op, &result)) {
            }
            el_list_remove(&op->link);
        }
    }
}

bool sim_io_has_jobs(struct io *io)
{
    EL_LIST_EACH(n, &self(io)->ops) {
        if (JOB(EL_CONTAINER(n, struct io_op, link)) != 0) {
            return true;
        }
    }
    return false;
}

void sim_io_abandon(struct io *io)
{
    sim_destroy(io);
}
