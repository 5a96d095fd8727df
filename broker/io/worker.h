/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads behind a shard, for calls that block: jobs, durable writes by the thread method, and file reads where
 * there is no ring. A worker runs the ops it is given one after the other, in order. Finished ops go to a queue of
 * the shard. No locks: both ways are core/queue.h.
 */
#ifndef EL_IO_WORKER_H
#define EL_IO_WORKER_H

#include <io/io.h>

#include <pthread.h>
#include <semaphore.h>

struct worker;

/* What the shard shares with its workers; lives as long as they do. */
struct worker_home {
    struct io *io;            /* woken when finished was empty */
    struct disk *disk;        /* handed to jobs */
    struct el_queue finished; /* ops with their result, workers to shard */
};

struct worker {
    struct worker_home *home;
    pthread_t thread;
    sem_t work;             /* posted when todo was empty */
    struct el_queue todo;   /* ops, shard to worker */
    struct el_qnode stop;   /* pushed behind the last op */
    const char *name;       /* the thread's, borrowed */
    int nice;               /* its thread's, see setpriority(2) */
    uint32_t pending_count; /* handed over and not yet taken back; the shard's */
    bool running;
};

/* name: the thread's, at most 15 characters, kept; nice: 0..19, its place behind threads that have none
 * returns 0 | EVLOG_ERR_NO_MEMORY the thread cannot be started
 */
int worker_start(struct worker *worker, struct worker_home *home, const char *name, int nice, struct el_error *err);
/* Run what was handed over to its end, then end the thread. Nothing when it was not started. */
void worker_stop(struct worker *worker);
/* Hand over an op: a job, IO_WRITE_DURABLE or IO_READ. */
void worker_push(struct worker *worker, struct io_op *op);
/* The one of workers[count] with the fewest pending ops. */
struct worker *worker_least(struct worker *workers, uint32_t count);

/* Next finished op, or NULL. Shard's thread. */
struct io_op *worker_finished(struct worker_home *home);

#endif
