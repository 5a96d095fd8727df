/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: timers, messages and wake-ups move a shard in the promised order and never get lost.
 * Method: both real backends; other threads post while the shard sleeps without a limit of its own.
 */
#include "backends.h"

#include <core/rng.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct mark {
    struct io_timer timer;
    struct io *io;
    uint32_t *count;   /* fired so far, shared */
    uint32_t place;    /* which one this was, 1 .. */
    uint64_t again_ns; /* arm again this much later, once */
};

static void mark_fire(struct io_timer *timer)
{
    struct mark *mark = timer->arg;
    assert_int_equal(timer->heap_index, 0);
    assert_true(timer->at_ns <= mark->io->now_ns);
    mark->place = ++*mark->count;
    if (mark->again_ns > 0) {
        io_timer_set(mark->io, timer, mark->io->now_ns + mark->again_ns);
        mark->again_ns = 0;
    }
}

static void mark_init(struct mark *mark, struct io *io, uint32_t *count)
{
    *mark = (struct mark){.timer = {.fire = mark_fire, .arg = mark}, .io = io, .count = count};
}

EACH_BACKEND(timers_fire_in_order_of_their_deadlines)
{
    struct mark marks[4];
    uint32_t count = 0;
    uint64_t now_ns = io_mono(bench->io);
    for (int i = 0; i < 4; i++) {
        mark_init(&marks[i], bench->io, &count);
    }
    io_timer_set(bench->io, &marks[0].timer, now_ns + 3000000);
    io_timer_set(bench->io, &marks[1].timer, now_ns + 1000000);
    io_timer_set(bench->io, &marks[2].timer, now_ns + 9000000000000u);
    io_timer_set(bench->io, &marks[3].timer, now_ns + 1000);
    io_timer_set(bench->io, &marks[2].timer, now_ns + 2000000); /* moved */
    assert_int_equal(count, 0);
    bench_wait(bench, &count, 4);
    assert_int_equal(marks[3].place, 1);
    assert_int_equal(marks[1].place, 2);
    assert_int_equal(marks[2].place, 3);
    assert_int_equal(marks[0].place, 4);
    assert_int_equal(io_timer_next(bench->io), UINT64_MAX);
}

EACH_BACKEND(cancelled_timer_does_not_fire_and_rearmed_one_does_again)
{
    struct mark marks[3];
    uint32_t count = 0;
    uint64_t now_ns = io_mono(bench->io);
    for (int i = 0; i < 3; i++) {
        mark_init(&marks[i], bench->io, &count);
        io_timer_set(bench->io, &marks[i].timer, now_ns + 1000);
    }
    io_timer_cancel(bench->io, &marks[1].timer);
    io_timer_cancel(bench->io, &marks[1].timer); /* not armed: nothing */
    marks[0].again_ns = 1000000;
    bench_wait(bench, &count, 3);
    assert_int_equal(marks[1].place, 0);
    assert_int_equal(marks[0].place, 3);
}

EACH_BACKEND(timer_that_arms_itself_for_now_does_not_stop_the_step)
{
    struct mark mark;
    uint32_t count = 0;
    mark_init(&mark, bench->io, &count);
    mark.again_ns = 1;
    io_step(bench->io, 0);
    io_timer_set(bench->io, &mark.timer, bench->io->now_ns);
    io_step(bench->io, 0);
    assert_int_equal(count, 1);
    bench_wait(bench, &count, 2);
}

static void count_fire(struct io_timer *timer)
{
    uint64_t *last = timer->arg;
    assert_true(*last <= timer->at_ns);
    *last = timer->at_ns;
}

/* The heap against its definition: 10,000 timers armed, moved and cancelled at random fire in ascending order. */
TEST(timer, heap_keeps_its_order_under_random_use)
{
    enum { COUNT = 10000 };
    struct io io = {0};
    struct io_timer *timers = calloc(COUNT, sizeof(*timers));
    uint64_t last = 0;
    struct el_rng rng;
    assert_non_null(timers);
    el_rng_seed(&rng, 7);
    for (int i = 0; i < COUNT; i++) {
        timers[i] = (struct io_timer){.fire = count_fire, .arg = &last};
    }
    for (int i = 0; i < 5 * COUNT; i++) {
        struct io_timer *timer = &timers[el_rng_below(&rng, COUNT)];
        if (el_rng_chance(&rng, 300000)) {
            io_timer_cancel(&io, timer);
        } else {
            io_timer_set(&io, timer, 1 + el_rng_below(&rng, 1000000));
        }
    }
    uint32_t armed_count = 0;
    for (int i = 0; i < COUNT; i++) {
        armed_count += timers[i].heap_index != 0;
    }
    assert_int_equal(io.timer_count, armed_count);
    io.now_ns = 500000;
    io_timer_run(&io);
    assert_true(last <= 500000);
    assert_true(io_timer_next(&io) > 500000);
    io.now_ns = 1000000;
    io_timer_run(&io);
    assert_int_equal(io.timer_count, 0);
    io_timer_free(&io);
    free(timers);
}

/* --- messages --------------------------------------------------------------------------------------------------- */

struct note {
    struct io_message message;
    struct poster *poster;
    uint32_t index;
};

struct poster {
    struct io *io;
    pthread_t thread;
    struct note notes[1000];
    uint32_t run_count;
    uint32_t *total;
};

static void note_run(struct io_message *message)
{
    struct note *note = EL_CONTAINER(message, struct note, message);
    assert_int_equal(note->index, note->poster->run_count); /* in each sender's order */
    note->poster->run_count++;
    ++*note->poster->total;
}

static void *poster_main(void *arg)
{
    struct poster *poster = arg;
    for (uint32_t i = 0; i < 1000; i++) {
        poster->notes[i] = (struct note){.message = {.run = note_run}, .poster = poster, .index = i};
        io_post(poster->io, &poster->notes[i].message);
    }
    return NULL;
}

/* Without a lost wake-up the shard gets every message although it never limits its sleep. */
EACH_BACKEND(messages_from_other_threads_wake_a_sleeping_step)
{
    struct poster *posters = calloc(3, sizeof(*posters));
    uint32_t total = 0;
    assert_non_null(posters);
    for (int i = 0; i < 3; i++) {
        posters[i].io = bench->io;
        posters[i].total = &total;
        assert_int_equal(pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]), 0);
    }
    while (total < 3000) {
        io_step(bench->io, UINT64_MAX);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
    }
    free(posters);
}

/* One message at a time, each answered before the next: the shard is asleep for nearly all of them. */
struct ping {
    struct io_message message;
    struct io *io;
    _Atomic uint32_t answered;
    bool stop;
};

static void ping_run(struct io_message *message)
{
    struct ping *ping = EL_CONTAINER(message, struct ping, message);
    ping->answered++;
}

static void *ping_main(void *arg)
{
    struct ping *ping = arg;
    for (uint32_t i = 0; i < 2000; i++) {
        io_post(ping->io, &ping->message);
        while (ping->answered == i) {
        }
    }
    return NULL;
}

EACH_BACKEND(no_wake_up_is_lost_between_steps)
{
    struct ping ping = {.message = {.run = ping_run}, .io = bench->io};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ping_main, &ping), 0);
    while (ping.answered < 2000) {
        io_step(bench->io, UINT64_MAX);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

EACH_BACKEND(wake_between_two_steps_ends_the_next_sleep)
{
    io_step(bench->io, 0);
    io_wake(bench->io);
    io_step(bench->io, UINT64_MAX);
    io_wake(bench->io);
    io_wake(bench->io);
    io_step(bench->io, UINT64_MAX);
}

EACH_BACKEND(step_with_a_limit_returns_and_clocks_move)
{
    uint64_t before = io_mono(bench->io);
    io_step(bench->io, before + 2000000);
    while (io_mono(bench->io) < before + 2000000) {
        io_step(bench->io, before + 2000000);
    }
    assert_true(bench->io->now_ns >= before);
    assert_true(io_boot(bench->io) > 0);
    assert_true(io_wall(bench->io) > 1700000000000000000u);
    uint8_t a[32] = {0}, b[32] = {0};
    io_random(bench->io, a, sizeof(a));
    io_random(bench->io, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}
