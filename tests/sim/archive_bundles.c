/* SPDX-License-Identifier: Apache-2.0
 *
 * What bundles become in the archive mode. At the end, without faults, time goes on: whatever is in bundles becomes
 * segments when it is old enough, a deleted topic keeps no bundle that is mostly elsewhere, and objects that nobody
 * needs are removed.
 */
#include "archive_life.h"

#define ROUNDS_MAX 300
#define LOOKED_AT_MS 61000u /* ages of all partitions are looked at once a minute */

/* Bytes of the object's batches that count and whose topic is deleted; *others: those of other topics. */
static uint64_t live_of_deleted(const struct archive_state *state, uint64_t number, uint64_t *others)
{
    uint64_t len = 0;
    *others = 0;
    for (size_t i = 0; i < state->partitions.count; i++) {
        const struct archive_partition *p = state->partitions.entries[i].value;
        const struct archive_topic *topic = archive_state_topic(state, &p->now.topic_id);
        bool deleted = topic != NULL && topic->now.deleted;
        for (uint32_t k = 0; k < p->part_count; k++) {
            struct el_archive_part part = archive_part_at(p, k);
            bool its = part.object == number;
            len += its && deleted ? part.data_len : 0;
            *others += its && !deleted ? part.data_len : 0;
        }
    }
    return len;
}

/* Is it a bundle that should be gone? what: why */
static bool bundle_lingers(const struct archive_state *state, const struct archive_object *o, const char **what)
{
    uint64_t others, deleted;
    if (o->now.kind != EL_PACK_BUNDLE || o->now.state != EL_OBJECT_LIVE) {
        return false;
    }
    deleted = live_of_deleted(state, o->now.number, &others);
    *what = others > 0 ? "holds what should be in a segment" : "holds less of deleted topics than of nothing";
    return others > 0 || deleted < o->now.len / 2;
}

/* Is it an object that nobody needs, and that should be gone? The newest one stays: its number is not given again. */
static bool replaced_lingers(const struct archive_life *l, const struct archive_object *o, const char **what)
{
    const struct archive_state *state = l->bucket->state;
    *what = "was replaced for long, and is not removed";
    return o->now.state == EL_OBJECT_REPLACED && o->now.number != state->last_object &&
           o->now.replaced_ms + l->cfg.replaced_ms < state->header.made_ms;
}

/* The first that was there at `last` and lingers; number 0: none. */
static struct archive_object lingering(const struct archive_life *l, uint64_t last, const char **what)
{
    const struct archive_state *state = l->bucket->state;
    for (size_t i = 0; i < state->object_count; i++) {
        struct archive_object o = archive_object_at(state, i);
        if (o.now.number > last) {
            break;
        }
        if (bundle_lingers(state, &o, what) || replaced_lingers(l, &o, what)) {
            return o;
        }
    }
    return (struct archive_object){.now = {.number = 0}};
}

/* Nothing happens for so long. The archive's time does not go back when the machine's is set back, so it may be ahead:
 * until it has come so far as well. */
static void time_passes(struct archive_life *l, uint64_t ms)
{
    uint64_t wall_ms = (uint64_t)((int64_t)l->w.clock.now_ns + l->w.clock.wall_offset) / 1000000;
    uint64_t made_ms = l->bucket->state->header.made_ms;
    ms += made_ms > wall_ms ? made_ms - wall_ms : 0;
    l->w.clock.now_ns += ms * 1000000;
    world_say(&l->w, "time passes, ms", (long long)ms, 0);
}

void arch_check_bundles(struct archive_life *l)
{
    /* What a deleted topic has in a bundle is looked at when the rest of it is elsewhere. */
    const uint64_t waits_ms[] = {l->cfg.segment_ms + LOOKED_AT_MS, LOOKED_AT_MS, l->cfg.replaced_ms + 1};
    uint64_t last = l->bucket->state->last_object;
    struct archive_object o = {.now = {.number = 0}};
    const char *what = "";
    int code = 0;
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0] && l->w.violation[0] == 0; i++) {
        time_passes(l, waits_ms[i]);
        for (int k = 0; k < ROUNDS_MAX; k++) {
            if (!arch_now(l, true, false, &code)) {
                return;
            }
            o = lingering(l, last, &what);
            if (o.now.number == 0) {
                break;
            }
        }
    }
    if (o.now.number != 0 && l->w.violation[0] == 0) {
        world_violation(&l->w, "object %llu, of %u parts of which %u count, %llu of %llu bytes, %s",
                        (unsigned long long)o.now.number, o.now.part_count, o.part_count,
                        (unsigned long long)o.live_len, (unsigned long long)o.now.len, what);
    }
}
