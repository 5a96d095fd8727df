/* SPDX-License-Identifier: Apache-2.0
 *
 * Append time: nanoseconds since 1970 that never repeat and never go back, whatever is done to the machine's clock.
 * One per process. Time readings are passed in, so the simulator drives it like the real loop does.
 *
 * real_ns is CLOCK_REALTIME, boot_ns is CLOCK_BOOTTIME (counts suspend, never set by anybody). All functions but
 * el_clock_start() may be called from any thread.
 */
#ifndef EL_CORE_CLOCK_H
#define EL_CORE_CLOCK_H

#include <core/err.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define EL_CLOCK_SLEW_PPM 500                        /* the estimate runs at most this much faster or slower */
#define EL_CLOCK_STEP_NS (60ull * 1000000000)        /* a jump forward beyond this is not slewed but confirmed ... */
#define EL_CLOCK_CONFIRM_NS (60ull * 1000000000)     /* ... by a second reading this much later */
#define EL_CLOCK_AGREE_NS (1ull * 1000000000)        /* readings agree when they differ by no more */
#define EL_CLOCK_BACK_MAX_NS (86400ull * 1000000000) /* a start may be this much before the last time */
#define EL_CLOCK_AHEAD_MAX_NS (3652ull * 86400ull * 1000000000)       /* and this much after it: ten years */
#define EL_CLOCK_END_NS ((uint64_t)INT64_MAX - EL_CLOCK_AHEAD_MAX_NS) /* the year 2252: later times are damage */

struct el_clock {
    _Atomic uint64_t last;     /* greatest time handed out or raised to */
    _Atomic uint64_t estimate; /* slewed real time of the last tick */
    _Atomic int64_t error_ns;  /* real time minus estimate at the last tick */
    _Atomic bool ticking;      /* one thread at a time moves the fields below; others skip their tick */
    uint64_t boot_ns;          /* of the last tick */
    uint64_t slew_left;        /* slew allowed but below 1 ns, in 1e-6 ns */
    bool step_seen;            /* a jump forward waits for its second reading: */
    uint64_t step_boot_ns;     /* when it was first read */
    int64_t step_error_ns;     /* how far ahead it was */
};

/* Begin; not while other threads use the clock.
 *
 * floor_ns   greatest time stored here, 0 when nothing is
 * returns    0 | EVLOG_ERR_POLICY the machine's clock is more than a day before or ten years after floor_ns and
 *            allow_jump is false; the text names both times and the flag --accept-clock | EVLOG_ERR_CORRUPT floor_ns is
 *            at EL_CLOCK_END_NS or above: there may be no time above it
 */
int el_clock_start(struct el_clock *clock, uint64_t floor_ns, uint64_t real_ns, uint64_t boot_ns, bool allow_jump,
                   struct el_error *err);
/* Take a reading, once per loop pass. A reading older than the last one is ignored. */
void el_clock_tick(struct el_clock *clock, uint64_t real_ns, uint64_t boot_ns);
/* The next append time: max(last + 1, estimate). */
uint64_t el_clock_next(struct el_clock *clock);
/* The estimate, guarded against jumps: what retention compares ages with. Does not count as handed out. */
uint64_t el_clock_now(const struct el_clock *clock);
/* Every later time will be above floor_ns. */
void el_clock_raise(struct el_clock *clock, uint64_t floor_ns);
/* The greatest time handed out or raised to. */
uint64_t el_clock_last(const struct el_clock *clock);
/* Machine's clock minus estimate at the last tick, for metrics: stays large while a jump is being refused or slewed. */
int64_t el_clock_error_ns(const struct el_clock *clock);

#endif
