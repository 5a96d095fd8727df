/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog-sim: runs the storage engine on simulated machines.
 *
 *   evlog-sim --seeds N [--from S]   N seeds from S (1) on; exit 1 when one breaks a promise
 *   evlog-sim --seed S [-v]          one seed, with its story
 *   evlog-sim --mode broker ...      the whole broker with network and clients: broker_main.c
 *   --hash                           print a hash of everything that happened in each seed; --trace: print it all
 *
 * A seed: a store with 1 to 3 shards and small limits, so that slots are recycled, segments rolled and checkpoints
 * taken all the time; producers (idempotent and not) with retries, consumers that read and wait, trims, cuts, lookups
 * by time, topics made, grown and deleted; several lives, each ended by a crash at a random disk call, a crash in
 * recovery, a process that just ends, a failed sync or a clean stop, some with a shard more than before. After each
 * start the whole log is compared with what the clients know (model.c), and a second recovery of the same disk must
 * give the same. Of 20 seeds one has a device that lies (its data may go, but nothing may be made up), one has bytes of
 * its files changed between two lives (rot.c: refused, or an error for that range, and nothing else).
 */
#include "broker_main.h"
#include "life.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/logger.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void report(uint64_t seed, struct life *l)
{
    printf("seed %llu: %s: %llu steps, %u batches sent, %llu answers, %u crashes, trace %016llx\n",
           (unsigned long long)seed, l->w.violation[0] == 0 ? "ok" : "FAILED", (unsigned long long)l->w.steps,
           l->m.sent_count, (unsigned long long)l->producers.appends, l->crashes, (unsigned long long)l->w.trace->hash);
    if (l->w.violation[0] != 0) {
        printf("  %s\n  again: evlog-sim --seed %llu -v\n", l->w.violation, (unsigned long long)seed);
    }
}

static uint64_t running_seed;

/* An assertion of the engine failed: say in which seed. */
static void on_abort(int signal_number)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "in seed %llu\n", (unsigned long long)running_seed);
    (void)signal_number;
    (void)!write(2, text, (size_t)len);
}

static void log_drop(void *arg, enum el_log_level level, const char *area, const char *text)
{
    (void)arg, (void)level, (void)area, (void)text;
}

/* A process that just ends leaves its heap to nobody; what is left after a clean stop is counted (world.c). */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int main(int argc, char **argv)
{
    uint64_t seeds = 50, from = 1, one = 0;
    bool verbose = false, hash = false, trace = false, broker = false;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "-v") == 0) {
            verbose = true;
        } else if (strcmp(argv[i], "--hash") == 0) {
            hash = true;
        } else if (more && strcmp(argv[i], "--mode") == 0) {
            broker = strcmp(argv[++i], "broker") == 0;
        } else if (strcmp(argv[i], "--trace") == 0) {
            trace = true;
        } else if (more && strcmp(argv[i], "--seeds") == 0) {
            seeds = strtoull(argv[++i], NULL, 10);
        } else if (more && strcmp(argv[i], "--from") == 0) {
            from = strtoull(argv[++i], NULL, 10);
        } else if (more && strcmp(argv[i], "--seed") == 0) {
            one = strtoull(argv[++i], NULL, 10);
        } else {
            fprintf(
                stderr,
                "usage: evlog-sim [--mode store|broker] [--seeds N] [--from S] [--seed S] [-v] [--hash] [--trace]\n");
            return 2;
        }
    }
    el_log_setup(verbose ? EL_LOG_DEBUG : EL_LOG_ERROR, false);
    if (!verbose) {
        el_log_sink(log_drop, NULL);
    }
    signal(SIGABRT, on_abort);
    from = one != 0 ? one : from;
    seeds = one != 0 ? 1 : seeds;
    if (broker) {
        return broker_main(&(struct broker_run){from, seeds, verbose, hash, trace, &running_seed});
    }
    uint64_t passed = 0, failed = 0, steps = 0, batches = 0, crashes = 0, refused = 0;
    struct life *l = malloc(sizeof(*l));
    EL_ASSERT(l != NULL);
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        running_seed = seed;
        bool good = life_run(l, &(struct plan){.seed = seed, .verbose = verbose, .trace = trace});
        passed += good;
        failed += !good;
        steps += l->w.steps;
        batches += l->m.events_stored + l->producers.appends;
        crashes += l->crashes;
        refused += l->refused_starts;
        if (hash) {
            printf("%llu %016llx %llu\n", (unsigned long long)seed, (unsigned long long)l->w.trace->hash,
                   (unsigned long long)l->w.trace->event_count);
        } else if (!good || one != 0) {
            report(seed, l);
        }
        life_free(l);
    }
    free(l);
    printf("%llu steps, %llu batches stored, %llu crashes, %llu starts refused on lying devices\n",
           (unsigned long long)steps, (unsigned long long)batches, (unsigned long long)crashes,
           (unsigned long long)refused);
    printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)failed);
    return failed == 0 ? 0 : 1;
}
