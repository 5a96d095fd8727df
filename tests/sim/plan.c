/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan as a command line, both ways.
 */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The least that makes sense: without a topic nothing happens. */
static const struct {
    const char *name;
    uint64_t least;
} limits[LIMIT_COUNT] = {
    [LIMIT_LIVES] = {"--lives=", 1},         [LIMIT_STEPS] = {"--steps=", 0},     [LIMIT_TOPICS] = {"--topics=", 1},
    [LIMIT_PRODUCERS] = {"--producers=", 0}, [LIMIT_READERS] = {"--readers=", 0}, [LIMIT_SHARDS] = {"--shards=", 1},
};

void plan_init(struct plan *plan, uint64_t seed)
{
    *plan = (struct plan){.seed = seed};
    for (int i = 0; i < LIMIT_COUNT; i++) {
        plan->limits[i] = UINT64_MAX;
    }
}

static int faults_leave_out(struct plan *plan, const char *names)
{
    for (;;) {
        size_t len = strcspn(names, ",");
        int fault = sim_fault_find(names, len);
        if (fault < 0) {
            return -1;
        }
        plan->faults_off |= 1ull << fault;
        if (names[len] == 0) {
            return 1;
        }
        names += len + 1;
    }
}

int plan_option(struct plan *plan, const char *option)
{
    static const char no_fault[] = "--no-fault=";
    if (strncmp(option, no_fault, sizeof(no_fault) - 1) == 0) {
        return faults_leave_out(plan, option + sizeof(no_fault) - 1);
    }
    for (int i = 0; i < LIMIT_COUNT; i++) {
        size_t len = strlen(limits[i].name);
        if (strncmp(option, limits[i].name, len) == 0) {
            char *end;
            plan->limits[i] = strtoull(option + len, &end, 10);
            return end != option + len && *end == 0 && plan->limits[i] >= limits[i].least ? 1 : -1;
        }
    }
    return 0;
}

void plan_print(const struct plan *plan, char *text, size_t text_len)
{
    static const char *const modes[] = {[MODE_STORE] = "",
                                        [MODE_BROKER] = " --mode broker",
                                        [MODE_LEASE] = " --mode lease",
                                        [MODE_STREAM] = " --mode stream",
                                        [MODE_ARCHIVE] = " --mode archive"};
    size_t at = (size_t)snprintf(text, text_len, "evlog-sim%s --seed=%llu", modes[plan->mode],
                                 (unsigned long long)plan->seed);
    for (int i = 0; i < LIMIT_COUNT && at < text_len; i++) {
        if (plan->limits[i] != UINT64_MAX) {
            at += (size_t)snprintf(text + at, text_len - at, " %s%llu", limits[i].name,
                                   (unsigned long long)plan->limits[i]);
        }
    }
    const char *before = " --no-fault=";
    for (int i = 0; i < FAULT_COUNT && at < text_len; i++) {
        if ((plan->faults_off >> i & 1) != 0) {
            at += (size_t)snprintf(text + at, text_len - at, "%s%s", before, sim_fault_table[i].name);
            before = ",";
        }
    }
}
