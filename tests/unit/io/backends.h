/* SPDX-License-Identifier: Apache-2.0
 *
 * Run a test body once per real backend. EACH_BACKEND(claim) { ... } defines uring.claim and posix.claim; the body
 * gets a bench with an open backend over a fresh folder. Where the kernel refuses io_uring, that half is skipped.
 */
#ifndef EL_TEST_BACKENDS_H
#define EL_TEST_BACKENDS_H

#include "../../lib/test.h"

#include <io/io.h>

struct bench {
    struct io *io;
    struct disk *disk;
    const char *dir;
    bool uring;
    struct io_config cfg;
};

typedef void (*bench_fn)(struct bench *bench);

/* What a test counts: set done to outcome_done and arg to the outcome. */
struct outcome {
    uint32_t done_count;
    int64_t result;
};

void bench_run(bool uring, enum io_commit_method commit, bench_fn body);
void outcome_done(struct io_op *op);
/* Step until *count is at least wanted; fails the test after a minute. */
void bench_wait(struct bench *bench, const uint32_t *count, uint32_t wanted);
/* Prepare an op that reports to an outcome. */
void bench_op(struct io_op *op, struct outcome *outcome);
/* Run one op that is submitted already to its end. */
int64_t bench_result(struct bench *bench, struct outcome *outcome);

#define EACH_BACKEND(claim) EACH_BACKEND_BY(claim, IO_COMMIT_AUTO)
/* Durable writes by the thread in both. */
#define EACH_BACKEND_THREAD(claim) EACH_BACKEND_BY(claim, IO_COMMIT_THREAD)
#define EACH_BACKEND_BY(claim, commit)                                                                                 \
    static void each_##claim(struct bench *bench);                                                                     \
    TEST(uring, claim)                                                                                                 \
    {                                                                                                                  \
        bench_run(true, commit, each_##claim);                                                                         \
    }                                                                                                                  \
    TEST(posix, claim)                                                                                                 \
    {                                                                                                                  \
        bench_run(false, commit, each_##claim);                                                                        \
    }                                                                                                                  \
    static void each_##claim(struct bench *bench)

#endif
