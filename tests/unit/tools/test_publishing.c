/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of a publishing command. Goal: what is stored is told as stored, however late the answers come, and a wait
 * ends. Method: a producer of a few numbers in place of the library's, whose answers come between two looks at it.
 */
#include <evlog/producer.h>

static int fake_flush(struct evlog_producer *producer, int timeout_ms, struct evlog_failure *failure);
static int fake_poll(struct evlog_producer *producer, int timeout_ms);
static void fake_stats(struct evlog_producer *producer, struct evlog_producer_stats *stats);

#define evlog_flush fake_flush
#define evlog_poll fake_poll
#define evlog_producer_stats(producer, stats) fake_stats(producer, stats)
#include "../../../tools/evlog/publishing.c"
#include "../../lib/test.h"

static struct {
    uint64_t sent, stored, failed;
    uint64_t late;    /* answers that come when the numbers are looked at next */
    uint32_t flushes; /* that found events on their way */
    bool silent;      /* no answer ever comes */
} fake;

static int fake_poll(struct evlog_producer *producer, int timeout_ms)
{
    return 0;
}

static int fake_flush(struct evlog_producer *producer, int timeout_ms, struct evlog_failure *failure)
{
    uint64_t left = fake.sent - fake.stored - fake.failed;
    assert_true(timeout_ms >= 0 && timeout_ms <= STEP_MS);
    if (left == 0) {
        return 0;
    }
    assert_true(++fake.flushes < 1000);
    failure->code = EVLOG_ERR_TIMED_OUT;
    (void)snprintf(failure->text, sizeof failure->text, "%llu events are still on their way", (unsigned long long)left);
    return failure->code;
}

static void fake_stats(struct evlog_producer *producer, struct evlog_producer_stats *stats)
{
    uint64_t come = fake.silent ? 0 : EL_MIN(fake.late, fake.sent - fake.stored - fake.failed);
    fake.stored += come;
    stats->stored_count = fake.stored;
    stats->failed_count = fake.failed;
}

static int finish(uint64_t sent, uint64_t stored, uint64_t late)
{
    struct cli cli = {.quiet = true};
    struct publishing p = {.cli = &cli, .topic = "t", .sent_count = sent};
    fake.sent = sent;
    fake.stored = stored;
    fake.late = late;
    fake.failed = fake.flushes = 0;
    return publishing_finish(&p);
}

/* It failed before: "64 events are still on their way", of 64 that were stored. */
TEST(publishing, an_answer_between_two_looks_is_no_failure)
{
    fake.silent = false;
    assert_int_equal(finish(2000, 1936, 64), CLI_OK);
    assert_int_equal(fake.flushes, 1);
    assert_int_equal(finish(2000, 1936, 1), CLI_OK);
    assert_int_equal(fake.flushes, 64);
}

TEST(publishing, after_a_signal_the_wait_ends_and_what_is_not_known_is_told)
{
    cli_interrupted = 1;
    fake.silent = true;
    assert_int_equal(finish(2000, 1936, 64), CLI_INTERRUPTED);
    assert_int_equal(fake.flushes, GRACE_MS / STEP_MS);
    fake.silent = false;
    assert_int_equal(finish(2000, 1936, 64), CLI_OK);
    cli_interrupted = 0;
}
