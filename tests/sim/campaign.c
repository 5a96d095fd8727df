/* SPDX-License-Identifier: Apache-2.0
 *
 * The runner: each seed is a process; so many at a time.
 */
#include "campaign.h"

#include "shrink.h"
#include <core/assert.h>
#include <core/bytes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define JOBS_MAX 64
#define SEED_MS_MAX 300000u
#define SHOWN_MAX 50
#define SHRUNK_MAX 3 /* failures of one campaign that are made smaller */

/* How often something happened, and in how many seeds. */
struct tally {
    uint64_t times, seeds;
};

struct sums {
    uint64_t passed, failed;
    uint64_t steps, batches, crashes, virtual_ns;
    uint64_t answers, repeats, lost;
    struct tally faults[FAULT_COUNT], events[EVENT_COUNT];
    struct verdict failures[SHRUNK_MAX];
};

static void print_failure(const struct verdict *v)
{
    printf("seed %llu: FAILED after %llu steps, %llu batches, %llu crashes, trace %016llx\n  %s\n",
           (unsigned long long)v->seed, (unsigned long long)v->steps, (unsigned long long)v->batches,
           (unsigned long long)v->crashes, (unsigned long long)v->hash, v->text);
}

static void tally_add(struct tally *t, uint64_t times)
{
    t->times += times;
    t->seeds += times > 0;
}

static void add(struct sums *s, const struct verdict *v)
{
    if (!v->good) {
        if (s->failed < SHOWN_MAX) {
            print_failure(v);
        }
        if (s->failed < SHRUNK_MAX) {
            s->failures[s->failed] = *v;
        }
    }
    s->passed += v->good;
    s->failed += !v->good;
    s->steps += v->steps;
    s->batches += v->batches;
    s->crashes += v->crashes;
    s->virtual_ns += v->virtual_ns;
    s->answers += v->answers;
    s->repeats += v->repeats;
    s->lost += v->lost;
    for (int i = 0; i < FAULT_COUNT; i++) {
        tally_add(&s->faults[i], v->faults[i]);
    }
    for (int i = 0; i < EVENT_COUNT; i++) {
        tally_add(&s->events[i], v->events[i]);
    }
}

/* The trial whose verdict is there, or whose time is over. */
static uint32_t wait_any(const struct trial *trials, uint32_t jobs)
{
    struct pollfd fds[JOBS_MAX];
    for (;;) {
        uint64_t now_ms = trial_now_ms();
        for (uint32_t i = 0; i < jobs; i++) {
            fds[i] = (struct pollfd){.fd = trials[i].pid != 0 ? trials[i].fd : -1, .events = POLLIN};
        }
        poll(fds, jobs, 1000);
        for (uint32_t i = 0; i < jobs; i++) {
            if (trials[i].pid != 0 && (fds[i].revents != 0 || now_ms >= trials[i].deadline_ms)) {
                return i;
            }
        }
    }
}

static void run_seeds(const struct campaign *c, struct sums *s)
{
    struct trial trials[JOBS_MAX] = {{0}};
    struct verdict *verdicts = c->hash ? calloc(c->count, sizeof(*verdicts)) : NULL;
    uint32_t jobs = (uint32_t)EL_MIN(EL_MIN((uint64_t)c->jobs, c->count), (uint64_t)JOBS_MAX);
    uint64_t begun = 0;
    EL_ASSERT(verdicts != NULL || !c->hash);
    for (uint64_t ended = 0; ended < c->count;) {
        for (uint32_t i = 0; i < jobs && begun < c->count; i++) {
            if (trials[i].pid == 0) {
                struct plan plan = c->plan;
                plan.seed = c->from + begun++;
                trial_begin(&trials[i], &plan, SEED_MS_MAX);
            }
        }
        struct verdict verdict;
        trial_end(&trials[wait_any(trials, jobs)], &verdict);
        ended++;
        add(s, &verdict);
        if (verdicts != NULL) {
            verdicts[verdict.seed - c->from] = verdict;
        }
    }
    for (uint64_t i = 0; i < c->count && verdicts != NULL; i++) {
        printf("%llu %016llx %llu\n", (unsigned long long)verdicts[i].seed, (unsigned long long)verdicts[i].hash,
               (unsigned long long)verdicts[i].event_count);
    }
    free(verdicts);
}

/* returns true when it has never happened, and should */
static bool tally_print(const char *name, const struct tally *t, bool should)
{
    if (t->times > 0) {
        printf("%-22s %10llu times in %llu seeds\n", name, (unsigned long long)t->times, (unsigned long long)t->seeds);
    } else if (should) {
        printf("%-22s never happened\n", name);
    }
    return should && t->times == 0;
}

/* How often each thing has happened. returns how many of them never have, when every one should */
static uint32_t tallies_print(const struct sums *s, const struct campaign *c)
{
    uint32_t never = 0;
    enum sim_mode mode = c->plan.mode;
    for (int i = 0; i < FAULT_COUNT; i++) {
        bool should = c->every_fault && sim_fault_applies((enum sim_fault)i, mode);
        never += tally_print(sim_fault_table[i].name, &s->faults[i], should);
    }
    for (int i = 0; i < EVENT_COUNT; i++) {
        bool should = c->every_fault && sim_event_applies((enum sim_event)i, mode);
        never += tally_print(sim_event_table[i].name, &s->events[i], should);
    }
    return never;
}

bool campaign_run(const struct campaign *c)
{
    struct sums s = {0};
    uint64_t began_ms = trial_now_ms();
    run_seeds(c, &s);
    for (uint64_t i = 0; i < EL_MIN(s.failed, (uint64_t)SHRUNK_MAX) && c->shrink_ms > 0; i++) {
        struct plan plan = c->plan;
        plan.seed = s.failures[i].seed;
        print_failure(&s.failures[i]);
        shrink(&plan, &s.failures[i], c->shrink_ms);
    }
    uint32_t never = c->hash ? 0 : tallies_print(&s, c);
    uint64_t took_ms = EL_MAX(trial_now_ms() - began_ms, 1);
    printf("%llu steps, %llu batches stored, %llu crashes\n", (unsigned long long)s.steps,
           (unsigned long long)s.batches, (unsigned long long)s.crashes);
    if (c->plan.mode == MODE_BROKER) {
        printf("%llu answers, %llu sent again, %llu connections lost\n", (unsigned long long)s.answers,
               (unsigned long long)s.repeats, (unsigned long long)s.lost);
    }
    if (c->plan.mode == MODE_LEASE) {
        printf("the batches were leases; %llu acknowledged, %llu dead letters\n", (unsigned long long)s.answers,
               (unsigned long long)s.repeats);
    }
    if (c->plan.mode == MODE_STREAM) {
        printf("the batches were events of logs; %llu answers, %llu duplicates, %llu conflicts\n",
               (unsigned long long)s.answers, (unsigned long long)s.repeats, (unsigned long long)s.lost);
    }
    if (c->plan.mode == MODE_ARCHIVE) {
        printf("the batches were acknowledged; %llu roots, %llu objects, %llu acknowledged by the archive\n",
               (unsigned long long)s.answers, (unsigned long long)s.repeats, (unsigned long long)s.lost);
    }
    printf("%llu virtual seconds in %.1f s\n", (unsigned long long)(s.virtual_ns / 1000000000), (double)took_ms / 1000);
    s.failed += never;
    printf("%llu passed, %llu failed\n", (unsigned long long)s.passed, (unsigned long long)s.failed);
    return s.failed == 0;
}
