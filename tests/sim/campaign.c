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

struct sums {
    uint64_t passed, failed;
    uint64_t compactions;
    uint64_t steps, batches, crashes, refused_starts, virtual_ns;
    uint64_t answers, repeats, lost;
    uint64_t faults[FAULT_COUNT], seeds[FAULT_COUNT]; /* how often each happened, and in how many seeds */
    struct verdict failures[SHRUNK_MAX];
};

static void print_failure(const struct verdict *v)
{
    printf("seed %llu: FAILED after %llu steps, %llu batches, %llu crashes, trace %016llx\n  %s\n",
           (unsigned long long)v->seed, (unsigned long long)v->steps, (unsigned long long)v->batches,
           (unsigned long long)v->crashes, (unsigned long long)v->hash, v->text);
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
    s->compactions += v->compactions;
    s->crashes += v->crashes;
    s->refused_starts += v->refused_starts;
    s->virtual_ns += v->virtual_ns;
    s->answers += v->answers;
    s->repeats += v->repeats;
    s->lost += v->lost;
    for (int i = 0; i < FAULT_COUNT; i++) {
        s->faults[i] += v->faults[i];
        s->seeds[i] += v->faults[i] > 0;
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

/* How often each fault has happened. returns how many of them never have, when every one should */
static uint32_t print_faults(const struct sums *s, bool every)
{
    uint32_t never = 0;
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (s->faults[i] > 0) {
            printf("%-22s %10llu times in %llu seeds\n", sim_fault_table[i].name, (unsigned long long)s->faults[i],
                   (unsigned long long)s->seeds[i]);
        } else if (every) {
            printf("%-22s never happened\n", sim_fault_table[i].name);
            never++;
        }
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
    uint32_t never = c->hash ? 0 : print_faults(&s, c->every_fault);
    uint64_t took_ms = EL_MAX(trial_now_ms() - began_ms, 1);
    printf("%llu steps, %llu batches stored, %llu crashes, %llu starts refused for a fault, %llu compactions\n",
           (unsigned long long)s.steps, (unsigned long long)s.batches, (unsigned long long)s.crashes,
           (unsigned long long)s.refused_starts, (unsigned long long)s.compactions);
    if (c->plan.broker) {
        printf("%llu answers, %llu sent again, %llu connections lost\n", (unsigned long long)s.answers,
               (unsigned long long)s.repeats, (unsigned long long)s.lost);
    }
    printf("%llu virtual seconds in %.1f s\n", (unsigned long long)(s.virtual_ns / 1000000000), (double)took_ms / 1000);
    s.failed += never;
    printf("%llu passed, %llu failed\n", (unsigned long long)s.passed, (unsigned long long)s.failed);
    return s.failed == 0;
}
