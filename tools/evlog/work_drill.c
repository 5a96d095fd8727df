/* SPDX-License-Identifier: Apache-2.0 */
#include "work_drill.h"

#include <core/hash.h>
#include <core/rng.h>
#include <string.h>

#define ONE_IN 4           /* events that one kind of trouble hits */
#define CRASH_MS_BELOW 100 /* longest life of a handler that is killed */
#define LATE_MS_BELOW 2000

bool work_drill_parse(const char *text, struct work_drill *drill)
{
    static const char *const names[] = {"duplicate", "crash", "late"};
    bool *const flags[] = {&drill->duplicate, &drill->crash, &drill->late};
    for (const char *p = text;; p += strcspn(p, ",") + 1) {
        size_t len = strcspn(p, ",");
        bool found = false;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (strlen(names[i]) == len && strncmp(p, names[i], len) == 0) {
                *flags[i] = found = true;
            }
        }
        if (!found) {
            return false;
        }
        if (p[len] == '\0') {
            return true;
        }
    }
}

struct work_drill_plan work_drill_plan(const struct work_drill *drill, const struct evlog_event *event)
{
    struct work_drill_plan plan = {false, -1, 0};
    uint64_t place[4] = {
        drill->seed,
        el_xxh3(event->topic, strlen(event->topic)),
        (uint64_t)event->partition,
        (uint64_t)event->offset,
    };
    struct el_rng rng;
    el_rng_seed(&rng, el_xxh3(place, sizeof place));
    bool duplicate = el_rng_below(&rng, ONE_IN) == 0, crash = el_rng_below(&rng, ONE_IN) == 0;
    bool late = el_rng_below(&rng, ONE_IN) == 0;
    int64_t crash_ms = (int64_t)el_rng_below(&rng, CRASH_MS_BELOW);
    int64_t late_ms = 1 + (int64_t)el_rng_below(&rng, LATE_MS_BELOW - 1);
    plan.duplicate = drill->duplicate && duplicate;
    plan.crash_ms = drill->crash && crash ? crash_ms : -1;
    plan.late_ms = drill->late && late ? late_ms : 0;
    return plan;
}
