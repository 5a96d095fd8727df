/* SPDX-License-Identifier: Apache-2.0
 *
 * Append-time clock. Any thread; the hand-out is one compare-and-swap, the estimate is moved by one thread at a time.
 *
 * 1. start: the estimate is real time, unless that is absurd next to the last stored time
 * 2. tick: the estimate advances by the boot clock, which nobody sets, and leans towards real time by at most 500 ppm,
 *    so it never goes back and an administrator's small correction is absorbed
 * 3. a jump forward of more than 60 s (a machine that started with a wrong clock, a forged time server) is followed
 *    only when a reading 60 s later still says the same; until then the estimate runs by the boot clock alone
 * 4. a jump back, however far, is only ever slewed: times already handed out lie above it
 * 5. next: max(last + 1, estimate)
 *
 * Several shards tick the same clock. One that finds another ticking skips: the estimate is fresh then.
 */
#include <core/assert.h>
#include <core/bytes.h>
#include <core/clock.h>
#include <core/timefmt.h>
#include <inttypes.h>

#define PPM 1000000ull

EL_STATIC_ASSERT(EL_CLOCK_AHEAD_MAX_NS < INT64_MAX / 4, "differences of times fit into int64_t");

static int refuse_start(uint64_t floor_ns, uint64_t real_ns, struct el_error *err)
{
    char floor_text[40], real_text[40];
    el_time_format(floor_text, (int64_t)EL_MIN(floor_ns, (uint64_t)INT64_MAX), 3);
    el_time_format(real_text, (int64_t)EL_MIN(real_ns, (uint64_t)INT64_MAX), 3);
    return el_error_set(err, EVLOG_ERR_POLICY,
                        "the machine's clock says %s, but the last event was appended at %s: more than %s; correct the "
                        "clock, or start with --accept-clock if it is right",
                        real_text, floor_text, real_ns < floor_ns ? "a day later" : "ten years earlier");
}

int el_clock_start(struct el_clock *clock, uint64_t floor_ns, uint64_t real_ns, uint64_t boot_ns, bool allow_jump,
                   struct el_error *err)
{
    if (floor_ns >= EL_CLOCK_END_NS) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "no event was appended at %" PRIu64 " ns since 1970, as is stored",
                            floor_ns);
    }
    bool before = floor_ns > real_ns && floor_ns - real_ns > EL_CLOCK_BACK_MAX_NS;
    bool after = real_ns > floor_ns && real_ns - floor_ns > EL_CLOCK_AHEAD_MAX_NS;
    if (floor_ns != 0 && (before || after) && !allow_jump) {
        return refuse_start(floor_ns, real_ns, err);
    }
    atomic_init(&clock->last, floor_ns);
    atomic_init(&clock->estimate, real_ns);
    atomic_init(&clock->error_ns, 0);
    atomic_init(&clock->ticking, false);
    clock->boot_ns = boot_ns;
    clock->slew_left = 0;
    clock->step_seen = false;
    clock->step_boot_ns = 0;
    clock->step_error_ns = 0;
    return 0;
}

/* How far the estimate leans towards real time after elapsed_ns, never more than 500 ppm of it. */
static int64_t slew(struct el_clock *clock, uint64_t elapsed_ns, int64_t error_ns)
{
    uint64_t whole = elapsed_ns / PPM * EL_CLOCK_SLEW_PPM;
    uint64_t parts = elapsed_ns % PPM * EL_CLOCK_SLEW_PPM + clock->slew_left;
    int64_t slew_max = (int64_t)(whole + parts / PPM);
    clock->slew_left = parts % PPM;
    return EL_MAX(-slew_max, EL_MIN(error_ns, slew_max));
}

/* A jump forward of error_ns was read: true once two readings a minute apart agree. */
static bool step_confirmed(struct el_clock *clock, uint64_t boot_ns, int64_t error_ns)
{
    int64_t differs = error_ns - clock->step_error_ns;
    if (!clock->step_seen || differs > (int64_t)EL_CLOCK_AGREE_NS || differs < -(int64_t)EL_CLOCK_AGREE_NS) {
        clock->step_seen = true;
        clock->step_boot_ns = boot_ns;
        clock->step_error_ns = error_ns;
        return false;
    }
    return boot_ns - clock->step_boot_ns >= EL_CLOCK_CONFIRM_NS;
}

static void tick_alone(struct el_clock *clock, uint64_t real_ns, uint64_t boot_ns)
{
    if (boot_ns <= clock->boot_ns) {
        return;
    }
    uint64_t elapsed_ns = boot_ns - clock->boot_ns;
    uint64_t before = atomic_load_explicit(&clock->estimate, memory_order_relaxed);
    uint64_t estimate = before + elapsed_ns;
    int64_t error_ns = (int64_t)(real_ns - estimate);
    if (error_ns > (int64_t)EL_CLOCK_STEP_NS) {
        if (step_confirmed(clock, boot_ns, error_ns)) {
            estimate = real_ns;
            clock->step_seen = false;
        }
    } else {
        clock->step_seen = false;
        estimate += (uint64_t)slew(clock, elapsed_ns, error_ns);
    }
    EL_ASSERT(estimate >= before);
    clock->boot_ns = boot_ns;
    atomic_store_explicit(&clock->error_ns, (int64_t)(real_ns - estimate), memory_order_relaxed);
    atomic_store_explicit(&clock->estimate, estimate, memory_order_release);
}

void el_clock_tick(struct el_clock *clock, uint64_t real_ns, uint64_t boot_ns)
{
    if (atomic_exchange_explicit(&clock->ticking, true, memory_order_acquire)) {
        return;
    }
    tick_alone(clock, real_ns, boot_ns);
    atomic_store_explicit(&clock->ticking, false, memory_order_release);
}

uint64_t el_clock_next(struct el_clock *clock)
{
    uint64_t estimate = atomic_load_explicit(&clock->estimate, memory_order_acquire);
    uint64_t last = atomic_load_explicit(&clock->last, memory_order_relaxed);
    uint64_t next;
    do {
        EL_ASSERT(last < UINT64_MAX);
        next = EL_MAX(last + 1, estimate);
    } while (
        !atomic_compare_exchange_weak_explicit(&clock->last, &last, next, memory_order_seq_cst, memory_order_relaxed));
    return next;
}

uint64_t el_clock_now(const struct el_clock *clock)
{
    return atomic_load_explicit(&clock->estimate, memory_order_acquire);
}

void el_clock_raise(struct el_clock *clock, uint64_t floor_ns)
{
    uint64_t last = atomic_load_explicit(&clock->last, memory_order_relaxed);
    while (last < floor_ns && !atomic_compare_exchange_weak_explicit(&clock->last, &last, floor_ns,
                                                                     memory_order_seq_cst, memory_order_relaxed)) {
    }
}

uint64_t el_clock_last(const struct el_clock *clock)
{
    return atomic_load_explicit(&clock->last, memory_order_seq_cst);
}

int64_t el_clock_error_ns(const struct el_clock *clock)
{
    return atomic_load_explicit(&clock->error_ns, memory_order_relaxed);
}
