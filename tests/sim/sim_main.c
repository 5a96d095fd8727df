/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog-sim: runs the storage engine on simulated machines.
 *
 *   evlog-sim --seeds N [--from S]   N seeds from S (1) on; exit 1 when one breaks a promise
 *   evlog-sim --seed S [-v]          one seed; with its story
 *   evlog-sim --mode broker ...      the whole broker with network and clients: broker_main.c
 *   evlog-sim --mode lease ...       work groups on the store: lease_main.c
 *   evlog-sim --mode stream ...      streams on the store: stream_main.c
 *   evlog-sim --faults               the tables of faults and events
 *
 *   --jobs N           seeds at the same time; the number of processors
 *   --hash, --trace    a hash of everything that happened in each seed; all of it, of one seed
 *   --every-fault      fail when something of the tables never happened
 *   --shrink-seconds N time to make a failing run smaller (30); 0: leave it as it is
 *   --lives=N --steps=N --topics=N --producers=N --readers=N --shards=N --no-fault=NAME,...
 *                      leave a part of the seed out
 *
 * A seed: a store with 1 to 3 shards and small limits, so that slots are recycled, segments rolled and checkpoints
 * taken all the time; producers (idempotent and not) with retries, consumers that read and wait, trims, cuts, lookups
 * by time, topics made, grown and deleted; several lives, each ended by a crash at a random disk call, a crash in
 * recovery, a process that just ends, a failed sync or a clean stop, some with a shard more than before. After each
 * start the whole log is compared with what the clients know (model.c), and a second recovery of the same disk must
 * give the same. What fails on the way is in the table of faults.c: of 20 seeds one has a device that lies (its data
 * may go, but nothing may be made up), one has bits of its files changed between two lives (rot.c: refused, or an error
 * for that range, and nothing else).
 */
#include "campaign.h"

#include <core/logger.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USAGE                                                                                                          \
    "usage: evlog-sim [--mode store|broker|lease|stream|archive] [--seeds N] [--from S] [--seed S] [-v] [--jobs N]\n"  \
    "                 [--hash] [--trace] [--every-fault] [--shrink-seconds N] [--lives=N] [--steps=N] [--topics=N]\n"  \
    "                 [--producers=N] [--readers=N] [--shards=N] [--no-fault=NAME,...] | --faults\n"

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

/* The value of an option `name`: behind "=" or the next argument; NULL when this is another option. */
static const char *value_of(char **argv, int *i, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(argv[*i], name, len) != 0 || (argv[*i][len] != '=' && argv[*i][len] != 0)) {
        return NULL;
    }
    if (argv[*i][len] == '=') {
        return argv[*i] + len + 1;
    }
    return argv[*i + 1] == NULL ? "" : argv[++*i];
}

/* returns 0 | 2 the command line is wrong */
static int parse(int argc, char **argv, struct campaign *c)
{
    for (int i = 1; i < argc; i++) {
        const char *value;
        int taken = plan_option(&c->plan, argv[i]);
        if (taken > 0) {
            continue;
        }
        if (taken == 0 && (value = value_of(argv, &i, "--mode")) != NULL) {
            c->plan.mode = strcmp(value, "broker") == 0    ? MODE_BROKER
                           : strcmp(value, "lease") == 0   ? MODE_LEASE
                           : strcmp(value, "stream") == 0  ? MODE_STREAM
                           : strcmp(value, "archive") == 0 ? MODE_ARCHIVE
                                                           : MODE_STORE;
        } else if (taken == 0 && (value = value_of(argv, &i, "--seeds")) != NULL) {
            c->count = strtoull(value, NULL, 10);
        } else if (taken == 0 && (value = value_of(argv, &i, "--from")) != NULL) {
            c->from = strtoull(value, NULL, 10);
        } else if (taken == 0 && (value = value_of(argv, &i, "--seed")) != NULL) {
            c->from = strtoull(value, NULL, 10);
            c->count = 1;
        } else if (taken == 0 && (value = value_of(argv, &i, "--jobs")) != NULL) {
            c->jobs = (uint32_t)strtoul(value, NULL, 10);
        } else if (taken == 0 && (value = value_of(argv, &i, "--shrink-seconds")) != NULL) {
            c->shrink_ms = strtoull(value, NULL, 10) * 1000;
        } else if (strcmp(argv[i], "-v") == 0) {
            c->plan.verbose = true;
        } else if (strcmp(argv[i], "--trace") == 0) {
            c->plan.trace = true;
        } else if (strcmp(argv[i], "--hash") == 0) {
            c->hash = true;
        } else if (strcmp(argv[i], "--every-fault") == 0) {
            c->every_fault = true;
        } else {
            return 2;
        }
    }
    return c->count > 0 && c->jobs > 0 ? 0 : 2;
}

static bool run_here(const struct campaign *c)
{
    struct plan plan = c->plan;
    struct verdict v;
    plan.seed = c->from;
    trial_here(&plan, &v);
    printf("seed %llu: %s: %llu steps, %llu batches, %llu crashes, trace %016llx\n", (unsigned long long)v.seed,
           v.good ? "ok" : "FAILED", (unsigned long long)v.steps, (unsigned long long)v.batches,
           (unsigned long long)v.crashes, (unsigned long long)v.hash);
    if (!v.good) {
        printf("  %s\n", v.text);
    }
    return v.good;
}

int main(int argc, char **argv)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct campaign c = {.from = 1, .count = 50, .jobs = processors > 0 ? (uint32_t)processors : 1, .shrink_ms = 30000};
    if (argc == 2 && strcmp(argv[1], "--faults") == 0) {
        sim_fault_list();
        sim_event_list();
        return 0;
    }
    plan_init(&c.plan, 0);
    if (parse(argc, argv, &c) != 0) {
        fprintf(stderr, USAGE);
        return 2;
    }
    el_log_setup(c.plan.verbose ? EL_LOG_DEBUG : EL_LOG_ERROR, false);
    if (!c.plan.verbose) {
        el_log_sink(log_drop, NULL);
    }
    bool here = c.plan.verbose || c.plan.trace; /* without a process of its own, for a debugger */
    bool good = here ? run_here(&c) : campaign_run(&c);
    return good ? 0 : 1;
}
