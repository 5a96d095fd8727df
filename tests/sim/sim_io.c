/* SPDX-License-Identifier: Apache-2.0
 *
 * Simulated completions. Order: durable writes and compute jobs end in any order, disk jobs run one after the other in
 * that of submission. A job is a fiber: the disk pauses it before some of its calls, and whatever is due runs before it
 * goes on.
 */
#include "sim_io.h"

#include "fiber.h"
#include <core/assert.h>
#include <stdlib.h>

struct sim_io {
    struct io io;
    struct sim_clock *clock;
    struct sim_disk *disk;
    struct el_rng *rng;
    struct el_list ops; /* under way, in order of submission */
    uint64_t trace;
};

#define DUE(op) ((op)->private_[0])
#define WRITE(op) ((op)->private_[1])
#define JOB(op) ((op)->private_[2])

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

static void trace(struct sim_io *s, uint64_t v)
{
    s->trace = (s->trace ^ v) * 0x9e3779b97f4a7c15ull + (s->trace >> 29);
}

static void sim_submit(struct io *io, struct io_op *op)
{
    struct sim_io *s = self(io);
    uint64_t delay = 20000 + el_rng_below(s->rng, 200000);
    EL_ASSERT(op->code != IO_NONE);
    if (el_rng_chance(s->rng, 20000)) {
        delay += el_rng_below(s->rng, 50000000); /* a slow one */
    }
    DUE(op) = s->clock->now_ns + delay;
    JOB(op) = 0;
    switch (op->code) {
    case IO_WRITE_DURABLE:
        WRITE(op) = (uint64_t)(uintptr_t)sim_disk_write_begin(s->disk, op->fd, op->iov, op->iov_count, op->pos);
        break;
    case IO_READ:
    case IO_JOB_DISK:
    case IO_JOB_COMPUTE:
        break;
    case IO_NONE:
    case IO_ACCEPT:
    case IO_RECV:
    case IO_SEND:
        EL_ASSERT(op->code == IO_READ); /* storage has no sockets */
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
    if (!fiber_run(job->fiber)) {
        DUE(op) = s->clock->now_ns + (el_rng_chance(s->rng, 100000) ? el_rng_below(s->rng, 3000000)
                                                                    : el_rng_below(s->rng, 60000));
        return false;
    }
    *result = job->result;
    free(job);
    return true;
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
        return job_run(s, op, result);
    case IO_NONE:
    case IO_ACCEPT:
    case IO_RECV:
    case IO_SEND:
        break;
    }
    *result = EVLOG_ERR_UNSUPPORTED;
    return true;
}

static struct io_op *op_due(struct sim_io *s)
{
    struct io_op *best = NULL;
    bool disk_job = false;
    EL_LIST_EACH(n, &s->ops) {
        struct io_op *op = EL_CONTAINER(n, struct io_op, link);
        bool waits = op->code == IO_JOB_DISK && disk_job;
        disk_job = disk_job || op->code == IO_JOB_DISK;
        if (!waits && DUE(op) <= s->clock->now_ns && (best == NULL || DUE(op) < DUE(best))) {
            best = op;
        }
    }
    return best;
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
        trace(s, (uint64_t)op->code << 56 ^ (uint64_t)result ^ s->clock->now_ns);
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
    (void)io, (void)op;
}
static void sim_wake(struct io *io)
{
    (void)io;
}
static uint64_t sim_mono(struct io *io)
{
    return self(io)->clock->now_ns;
}
static uint64_t sim_wall(struct io *io)
{
    return (uint64_t)((int64_t)self(io)->clock->now_ns + self(io)->clock->wall_offset);
}
static void sim_random(struct io *io, void *buf, size_t len)
{
    uint8_t *p = buf;
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)el_rng_next(self(io)->rng);
    }
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
    .boot = sim_mono,
    .wall = sim_wall,
    .random = sim_random,
    .destroy = sim_destroy,
};

struct io *sim_io_create(struct sim_clock *clock, struct sim_disk *disk, struct el_rng *rng)
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
    el_list_init(&s->ops);
    return &s->io;
}

uint64_t sim_io_next(struct io *io)
{
    struct sim_io *s = self(io);
    uint64_t next = io_timer_next(io);
    EL_LIST_EACH(n, &s->ops) {
        next = EL_MIN(next, DUE(EL_CONTAINER(n, struct io_op, link)));
    }
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
uint64_t sim_io_trace(struct io *io)
{
    return self(io)->trace;
}
