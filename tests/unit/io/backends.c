/* SPDX-License-Identifier: Apache-2.0 */
#include "backends.h"

#include <string.h>

#define WAIT_NS_MAX 60000000000u

void bench_run(bool uring, enum io_commit_method commit, bench_fn body)
{
    struct bench bench = {.uring = uring, .dir = el_test_dir()};
    struct el_error err = {0};
    assert_int_equal(disk_posix_open(bench.dir, &bench.disk), 0);
    bench.cfg = (struct io_config){
        .disk = bench.disk, .commit = commit, .shard_count = 1, .archive = true, .lock_fd = -1};
    int rc = uring ? io_uring_open(&bench.cfg, &bench.io, &err) : io_posix_open(&bench.cfg, &bench.io, &err);
    if (rc == EVLOG_ERR_UNSUPPORTED && uring) {
        disk_posix_close(bench.disk);
        el_test_skip(err.text);
    }
    assert_int_equal(rc, 0);
    body(&bench);
    assert_int_equal(bench.io->op_count, 0);
    io_destroy(bench.io);
    disk_posix_close(bench.disk);
}

void outcome_done(struct io_op *op)
{
    struct outcome *outcome = op->arg;
    assert_int_equal(op->code, IO_NONE);
    outcome->done_count++;
    outcome->result = op->result;
}

void bench_wait(struct bench *bench, const uint32_t *count, uint32_t wanted)
{
    uint64_t until = io_mono(bench->io) + WAIT_NS_MAX;
    while (*count < wanted) {
        assert_true(io_mono(bench->io) < until);
        io_step(bench->io, until);
    }
}

void bench_op(struct io_op *op, struct outcome *outcome)
{
    memset(op, 0, sizeof(*op));
    op->done = outcome_done;
    op->arg = outcome;
}

int64_t bench_result(struct bench *bench, struct outcome *outcome)
{
    bench_wait(bench, &outcome->done_count, 1);
    outcome->done_count = 0;
    return outcome->result;
}
