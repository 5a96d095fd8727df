/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: when a group is written, in which order groups count, and what a failed write does. Method: a journal over an
 * io
 * whose completions the test gives by hand, on the simulated disk.
 */
#include "../../sim/sim_disk.h"
#include <core/rng.h>
#include <stdlib.h>
#include <storage/journal.h>
#include <test.h>

#define OPS_MAX 16
#define DURABLE_MAX 64
#define SLOT_LEN (256u << 10)

struct fixture {
    struct io io;
    struct el_rng rng;
    struct sim_disk *disk;
    struct el_buddy buddy;
    struct metrics *metrics;
    struct el_clock clock;
    struct journal journal;
    struct io_op *ops[OPS_MAX]; /* submitted, not completed */
    uint32_t op_count;
    uint64_t durable[DURABLE_MAX]; /* sequences told to the store */
    uint32_t durable_count;
    uint32_t failures;
};

static struct fixture *of(struct io *io)
{
    return EL_CONTAINER(io, struct fixture, io);
}

static void fake_submit(struct io *io, struct io_op *op)
{
    struct fixture *f = of(io);
    assert_true(f->op_count < OPS_MAX);
    f->ops[f->op_count++] = op;
}
static void fake_wake(struct io *io)
{
    (void)io;
}
static uint64_t fake_time(struct io *io)
{
    return io->now_ns;
}
static const struct io_ops fake_ops = {.submit = fake_submit,
                                       .wake = fake_wake,
                                       .mono = fake_time,
                                       .boot = fake_time,
                                       .wall = fake_time};

/* End the i-th op under way: what it is for is done, unless code is not 0. */
static void complete(struct fixture *f, uint32_t i, int64_t result)
{
    struct io_op *op = f->ops[i];
    assert_true(i < f->op_count);
    memmove(&f->ops[i], &f->ops[i + 1], sizeof(f->ops[0]) * (--f->op_count - i));
    op->result = result == 0 && op->code == IO_WRITE_DURABLE ? (int64_t)op->iov->iov_len : result;
    if (op->code == IO_JOB_COMPUTE && result == 0) {
        op->result = op->job(sim_disk_as_disk(f->disk), op->job_arg);
    }
    op->code = IO_NONE;
    op->done(op);
}

static void on_durable(void *arg, struct jgroup *group)
{
    struct fixture *f = arg;
    assert_true(f->durable_count < DURABLE_MAX);
    f->durable[f->durable_count++] = group->sequence;
}
static void on_failed(void *arg, const char *reason)
{
    struct fixture *f = arg;
    assert_non_null(strstr(reason, "read-only"));
    f->failures++;
}

static void open_journal(struct fixture *f, uint32_t slot_count, uint64_t first_slot_len)
{
    struct journal_config cfg = {
        .ring_len = 4 * SLOT_LEN, .slot_len = SLOT_LEN, .first_slot_len = first_slot_len, .adaptive = true};
    struct journal_state state = {.incarnation = 77, .boot = 1};
    uint64_t last_sequence[JOURNAL_SLOT_COUNT_MAX] = {0};
    struct el_error err = {0};
    f->journal = (struct journal){.io = &f->io,
                                  .buddy = &f->buddy,
                                  .metrics = f->metrics,
                                  .clock = &f->clock,
                                  .mark_fd = -1,
                                  .cb = {on_durable, on_failed, f}};
    assert_int_equal(
        journal_open(&f->journal, &cfg, &state, last_sequence, slot_count, 0, sim_disk_as_disk(f->disk), &err), 0);
}

static void set_up_with(struct fixture *f, uint64_t first_slot_len)
{
    memset(f, 0, sizeof(*f));
    f->io.ops = &fake_ops;
    f->io.now_ns = 1000000000;
    el_queue_init(&f->io.inbox);
    el_rng_seed(&f->rng, 1);
    f->disk = sim_disk_create(&f->rng);
    f->io.disk = sim_disk_as_disk(f->disk);
    assert_int_equal(el_buddy_init(&f->buddy, 16u << 20, NULL), 0);
    assert_int_equal(metrics_create(&f->metrics), 0);
    assert_int_equal(el_clock_start(&f->clock, 0, 1, 1, true, NULL), 0);
    assert_int_equal(disk_mkdir(f->io.disk, "journal"), 0);
    assert_int_equal(disk_mkdir(f->io.disk, "journal/0000"), 0);
    open_journal(f, 0, first_slot_len);
}

static void set_up(struct fixture *f)
{
    set_up_with(f, SLOT_LEN);
}

static void tear_down(struct fixture *f)
{
    journal_close(&f->journal, f->io.disk);
    assert_int_equal(f->buddy.used, 0);
    io_timer_free(&f->io);
    metrics_destroy(f->metrics);
    el_buddy_destroy(&f->buddy);
    sim_disk_free(f->disk);
}

static void add(struct fixture *f, uint32_t count, uint32_t payload_len)
{
    static const uint8_t payload[SLOT_LEN];
    for (uint32_t i = 0; i < count; i++) {
        struct el_frame frame = {.type = EL_FRAME_BATCH, .payload = payload, .payload_len = payload_len};
        assert_int_equal(journal_room(&f->journal, payload_len), 0);
        journal_add(&f->journal, &frame);
    }
}

/* Ops under way of a kind. */
static uint32_t under_way(const struct fixture *f, enum io_code code)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->op_count; i++) {
        count += f->ops[i]->code == code;
    }
    return count;
}

/* The slot that is prepared in the background is not what these tests are about. */
static void finish_jobs(struct fixture *f)
{
    for (uint32_t i = f->op_count; i > 0; i--) {
        if (f->ops[i - 1]->code == IO_JOB_COMPUTE) {
            complete(f, i - 1, 0);
        }
    }
}

TEST(journal, a_lone_writer_never_waits)
{
    struct fixture f;
    set_up(&f);
    for (int i = 0; i < 3; i++) {
        add(&f, 1, 100);
        journal_tick(&f.journal);
        assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 1);
        finish_jobs(&f);
        f.io.now_ns += 100000;
        complete(&f, 0, 0);
    }
    assert_int_equal(f.durable_count, 3);
    tear_down(&f);
}

TEST(journal, fewer_than_before_wait_half_a_flush_and_no_longer)
{
    struct fixture f;
    set_up(&f);
    add(&f, 10, 100);
    journal_tick(&f.journal);
    finish_jobs(&f);
    f.io.now_ns += 1000000; /* a flush of 1 ms */
    complete(&f, 0, 0);
    add(&f, 4, 100);
    uint64_t due = journal_tick(&f.journal);
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 0);
    assert_int_equal(due, f.io.now_ns + 500000);
    f.io.now_ns = due;
    journal_tick(&f.journal);
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 1);
    complete(&f, 0, 0);
    add(&f, 10, 100);
    journal_tick(&f.journal); /* as many as in the larger of the last two: at once */
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 1);
    complete(&f, 0, 0);
    tear_down(&f);
}

/* A device that hung for hours, or a machine that stood still while a flush was under way. */
TEST(journal, a_flush_that_took_hours_holds_later_ones_up_for_half_a_second_at_most)
{
    struct fixture f;
    set_up(&f);
    add(&f, 10, 100);
    journal_tick(&f.journal);
    finish_jobs(&f);
    f.io.now_ns += 48 * 3600 * 1000000000ull;
    complete(&f, 0, 0);
    add(&f, 1, 100);
    uint64_t due = journal_tick(&f.journal);
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 0);
    assert_int_equal(due, f.io.now_ns + 500000000);
    f.io.now_ns = due;
    journal_tick(&f.journal);
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 1);
    complete(&f, 0, 0);
    tear_down(&f);
}

TEST(journal, a_second_flush_flies_from_128_waiting_events_on)
{
    struct fixture f;
    set_up(&f);
    add(&f, 1, 100);
    journal_tick(&f.journal);
    finish_jobs(&f);
    add(&f, 127, 100);
    journal_tick(&f.journal);
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 1);
    add(&f, 1, 100);
    journal_tick(&f.journal);
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 2);
    complete(&f, 0, 0);
    complete(&f, 0, 0);
    tear_down(&f);
}

TEST(journal, a_group_counts_only_when_all_before_it_are_durable)
{
    struct fixture f;
    set_up(&f);
    add(&f, 1, 100);
    journal_tick(&f.journal);
    finish_jobs(&f);
    add(&f, 128, 100);
    journal_tick(&f.journal);
    complete(&f, 1, 0); /* the later one first */
    assert_int_equal(f.durable_count, 0);
    assert_int_equal(f.journal.durable_sequence, 0);
    complete(&f, 0, 0);
    assert_int_equal(f.durable_count, 2);
    assert_int_equal(f.durable[0], 1);
    assert_int_equal(f.durable[1], 2);
    tear_down(&f);
}

struct told {
    struct journal_wait wait;
    int calls;
    int error;
};

static void on_told(struct journal_wait *wait, int error)
{
    struct told *told = EL_CONTAINER(wait, struct told, wait);
    told->calls++;
    told->error = error;
}

static void failed_write(int64_t result)
{
    struct fixture f;
    set_up(&f);
    struct told told[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        told[i].wait.done = on_told;
        add(&f, i == 0 ? 1 : 128, 100);
        journal_wait(&f.journal, &told[i].wait);
        if (i < 2) {
            journal_tick(&f.journal);
            finish_jobs(&f);
        }
    }
    complete(&f, 1, 0); /* durable, but behind one that fails */
    complete(&f, 0, result);
    assert_int_equal(f.failures, 1);
    assert_int_equal(f.durable_count, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(told[i].calls, 1);
        assert_int_equal(told[i].error, EVLOG_ERR_STORAGE);
    }
    journal_tick(&f.journal);
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 0);
    assert_int_equal(journal_room(&f.journal, 10), EVLOG_ERR_STORAGE);
    tear_down(&f);
}

TEST(journal, a_failed_write_stops_it_and_tells_everybody)
{
    failed_write(EVLOG_ERR_IO);
}

TEST(journal, a_short_write_stops_it_and_tells_everybody)
{
    failed_write(512);
}

TEST(journal, an_open_group_without_frames_holds_nobody_up)
{
    struct fixture f;
    set_up(&f);
    struct told told = {.wait.done = on_told};
    assert_int_equal(journal_room(&f.journal, 100), 0); /* then its caller found no memory */
    journal_wait(&f.journal, &told.wait);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.error, 0);
    assert_true(journal_idle(&f.journal));
    tear_down(&f);
}

TEST(journal, the_mark_follows_when_it_was_slow)
{
    struct fixture f;
    set_up(&f);
    add(&f, 1, 100);
    journal_tick(&f.journal);
    finish_jobs(&f);
    complete(&f, 0, 0);
    f.io.now_ns += 20000000;
    io_timer_run(&f.io); /* the mark of group 1 is on its way */
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 1);
    add(&f, 1, 100);
    journal_tick(&f.journal);
    complete(&f, 1, 0); /* group 2 */
    f.io.now_ns += 20000000;
    io_timer_run(&f.io);
    complete(&f, 0, 0); /* only now the mark */
    f.io.now_ns += 20000000;
    io_timer_run(&f.io);
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 1);
    uint64_t incarnation = 0, sequence = 0;
    assert_int_equal(el_mark_get(f.ops[0]->iov->iov_base, 0, &incarnation, &sequence), 0);
    assert_int_equal(sequence, 2);
    complete(&f, 0, 0);
    tear_down(&f);
}

TEST(journal, nothing_is_overwritten_before_it_is_freed)
{
    struct fixture f;
    struct {
        int fd;
        uint64_t pos;
    } written[40];
    set_up(&f);
    for (size_t i = 0; i < 40; i++) { /* far more than the ring */
        add(&f, 1, 60000);
        journal_tick(&f.journal);
        finish_jobs(&f);
        journal_tick(&f.journal); /* it may have waited for the slot */
        assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 1);
        written[i].fd = f.ops[0]->fd;
        written[i].pos = f.ops[0]->pos;
        for (size_t k = 0; k < i; k++) {
            assert_true(written[k].fd != written[i].fd || written[k].pos != written[i].pos);
        }
        complete(&f, 0, 0);
        finish_jobs(&f);
    }
    journal_free_through(&f.journal, 30);
    assert_true(journal_used(&f.journal) < 20 * 64u * 1024);
    tear_down(&f);
}

TEST(journal, a_slot_that_was_filled_in_part_is_made_again)
{
    struct fixture f;
    set_up(&f);
    journal_close(&f.journal, f.io.disk);
    int fd = -1;
    assert_int_equal(disk_open(f.io.disk, "journal/0000/0001", DISK_WRITE | DISK_CREATE, &fd), 0);
    uint8_t zeros[8192] = {0};
    assert_int_equal(disk_pwrite(f.io.disk, fd, zeros, sizeof(zeros), 0), 0);
    assert_int_equal(disk_close(f.io.disk, fd), 0);
    open_journal(&f, 2, SLOT_LEN);
    assert_int_equal(f.journal.slot_count, 1);
    add(&f, 1, 100);
    journal_tick(&f.journal);
    finish_jobs(&f);
    assert_int_equal(f.journal.slot_count, 2);
    assert_int_equal(f.journal.slots[1].len, SLOT_LEN);
    complete(&f, 0, 0);
    tear_down(&f);
}

TEST(journal, with_one_slot_and_a_full_disk_it_goes_round_on_the_spot)
{
    struct fixture f;
    set_up(&f);
    sim_disk_capacity(f.disk, 1);
    for (int i = 0; i < 3; i++) {
        add(&f, 1, 60000);
        journal_tick(&f.journal);
        finish_jobs(&f);
        complete(&f, 0, 0);
    }
    assert_true(journal_tight(&f.journal));
    add(&f, 1, 100000);
    journal_tick(&f.journal);
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 0); /* no room, and none can be made */
    journal_free_through(&f.journal, 2);
    journal_tick(&f.journal);
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 0); /* group 3 is still needed */
    journal_free_through(&f.journal, 3);
    journal_tick(&f.journal);
    assert_int_equal(under_way(&f, IO_WRITE_DURABLE), 1);
    assert_int_equal(f.ops[0]->pos, 0);
    complete(&f, 0, 0);
    assert_int_equal(f.durable_count, 4);
    tear_down(&f);
}

/* Append groups of one size, as long as appends are taken. */
static void fill_ring(struct fixture *f, uint32_t payload_len)
{
    for (int i = 0; i < 100 && !journal_tight(&f->journal); i++) {
        add(f, 1, payload_len);
        journal_tick(&f->journal);
        while (f->op_count > 0) {
            complete(f, 0, 0);
            journal_tick(&f->journal);
        }
    }
    assert_true(journal_tight(&f->journal)); /* appends wait, and a checkpoint is due */
    assert_true(f->journal.slot_count <= f->journal.slot_max);
}

/* Groups of nearly half a slot never fill three quarters of it: two fit, the next one begins another slot. */
TEST(journal, large_groups_do_not_outgrow_the_ring)
{
    struct fixture f;
    set_up(&f);
    fill_ring(&f, SLOT_LEN / 20 * 7);
    tear_down(&f);
}

/* What was taken before it was full may need a slot beyond the bound, once. */
TEST(journal, a_slot_beyond_the_bound_is_not_filled)
{
    struct fixture f;
    set_up(&f);
    for (int i = 0; f.journal.slot_count <= f.journal.slot_max; i++) {
        assert_true(i < 100);
        add(&f, 1, SLOT_LEN / 20 * 7);
        journal_tick(&f.journal);
        while (f.op_count > 0) {
            complete(&f, 0, 0);
            journal_tick(&f.journal);
        }
    }
    assert_true(journal_tight(&f.journal));
    tear_down(&f);
}

/* The first slot is free, but too small for what comes: it does not count. */
TEST(journal, a_small_free_slot_is_no_room_for_large_groups)
{
    struct fixture f;
    set_up_with(&f, SLOT_LEN / 8);
    add(&f, 1, 100);
    journal_tick(&f.journal);
    finish_jobs(&f);
    complete(&f, 0, 0);
    journal_free_through(&f.journal, f.durable[0]);
    fill_ring(&f, SLOT_LEN / 20 * 7);
    journal_free_through(&f.journal, f.durable[f.durable_count - 1]);
    assert_false(journal_tight(&f.journal)); /* nothing that a checkpoint could free */
    tear_down(&f);
}
