/* SPDX-License-Identifier: Apache-2.0
 *
 * Cooperative-sticky: as balanced as subscriptions allow, moving as little as that takes, and nothing that is still
 * held.
 *
 * 1. Each partition begins with the member that holds it; of several, the one whose claim is of the latest generation
 *    (of two in the same generation nobody: one of them must be wrong).
 * 2. Partitions without a holder go to the subscriber with the fewest, those with the fewest subscribers first.
 * 3. A partition moves while its owner has two more than another subscriber of it has. Each move makes the sum of
 *    squares of the counts smaller, so this ends; in the end no single move could improve the balance.
 * 4. A partition that some other member still holds is withheld: its holder learns that it is no longer its own, lets
 *    it go and joins again, and the division after that gives it away.
 *
 * Nothing depends on the order in which members are listed: they are taken by id.
 */
#include "assignor.h"

#include <core/assert.h>
#include <evlog/error.h>
#include <stdlib.h>
#include <string.h>

#define CLAIMS_MANY 2
#define CONTRADICTED 3

struct sticky {
    struct el_assign_work *work;
    uint32_t *counts;     /* [member_count] partitions owned */
    int32_t *claims;      /* [partition_count] the member that holds it, -1 none */
    uint8_t *claim_count; /* [partition_count] members that say they hold it; above one CLAIMS_MANY, CONTRADICTED */
    uint32_t *topics;     /* [topic_count] fewest subscribers first */
    uint32_t *width;      /* [topic_count] subscribers */
};

static int compare_width(const void *a, const void *b, void *arg)
{
    const uint32_t *width = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (width[x] != width[y]) {
        return width[x] < width[y] ? -1 : 1;
    }
    return (x > y) - (x < y);
}

static int sticky_make(struct sticky *s)
{
    const struct el_assign_input *input = s->work->input;
    struct el_arena *arena = s->work->arena;
    s->counts = el_arena_zalloc(arena, (input->member_count + 1) * sizeof *s->counts);
    s->claims = el_arena_alloc(arena, (s->work->partition_count + 1) * sizeof *s->claims);
    s->claim_count = el_arena_zalloc(arena, s->work->partition_count + 1);
    s->topics = el_arena_alloc(arena, (input->topic_count + 1) * sizeof *s->topics);
    s->width = el_arena_zalloc(arena, (input->topic_count + 1) * sizeof *s->width);
    if (s->counts == NULL || s->claims == NULL || s->claim_count == NULL || s->topics == NULL || s->width == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < s->work->partition_count; i++) {
        s->claims[i] = -1;
    }
    for (uint32_t t = 0; t < input->topic_count; t++) {
        s->topics[t] = t;
        for (uint32_t i = 0; i < input->member_count; i++) {
            s->width[t] += el_assign_subscribed(s->work, i, t);
        }
    }
    qsort_r(s->topics, input->topic_count, sizeof *s->topics, compare_width, s->width);
    return 0;
}

/* A member says that it holds a partition. */
static void claim(struct sticky *s, uint32_t member, uint32_t partition)
{
    const struct el_assign_member *members = s->work->input->members;
    int32_t other = s->claims[partition];
    if (other == (int32_t)member) {
        return;
    }
    s->claim_count[partition] = other < 0 ? 1 : CLAIMS_MANY;
    if (other < 0 || members[member].generation > members[other].generation) {
        s->claims[partition] = (int32_t)member;
    }
}

/* Two latest claims of one generation contradict each other. */
static bool contradicted(const struct sticky *s, uint32_t topic, int32_t partition, int32_t member)
{
    const struct el_assign_input *input = s->work->input;
    for (uint32_t i = 0; i < input->member_count; i++) {
        if ((int32_t)i == member || input->members[i].generation != input->members[member].generation) {
            continue;
        }
        for (uint32_t j = 0; j < input->members[i].held_count; j++) {
            const struct el_assign_held *held = &input->members[i].held[j];
            if (!el_slice_eq(held->topic, input->topics[topic].name)) {
                continue;
            }
            for (uint32_t k = 0; k < held->partition_count; k++) {
                if (held->partitions[k] == partition) {
                    return true;
                }
            }
        }
    }
    return false;
}

static void collect_claims(struct sticky *s)
{
    const struct el_assign_input *input = s->work->input;
    for (uint32_t i = 0; i < input->member_count; i++) {
        const struct el_assign_member *member = &input->members[i];
        for (uint32_t j = 0; j < member->held_count; j++) {
            int32_t topic = el_assign_topic_index(input, member->held[j].topic);
            for (uint32_t k = 0; topic >= 0 && k < member->held[j].partition_count; k++) {
                int32_t partition = member->held[j].partitions[k];
                if (partition >= 0 && partition < input->topics[topic].partition_count) {
                    claim(s, i, input->topics[topic].first + (uint32_t)partition);
                }
            }
        }
    }
}

/* Every partition begins with its holder. */
static void keep_held(struct sticky *s)
{
    const struct el_assign_input *input = s->work->input;
    for (uint32_t t = 0; t < input->topic_count; t++) {
        for (int32_t p = 0; p < input->topics[t].partition_count; p++) {
            uint32_t index = input->topics[t].first + (uint32_t)p;
            int32_t holder = s->claims[index];
            bool keeps = holder >= 0 && el_assign_subscribed(s->work, (uint32_t)holder, t);
            if (s->claim_count[index] == CLAIMS_MANY && contradicted(s, t, p, holder)) {
                s->claim_count[index] = CONTRADICTED;
                keeps = false;
            }
            if (keeps) {
                s->work->owners[index] = holder;
                s->counts[holder]++;
            }
        }
    }
}

/* The subscriber of a topic with the fewest partitions, the first by order; -1: nobody subscribes. */
static int32_t least(const struct sticky *s, uint32_t topic)
{
    int32_t best = -1;
    for (uint32_t i = 0; i < s->work->input->member_count; i++) {
        uint32_t member = s->work->order[i];
        if (el_assign_subscribed(s->work, member, topic) && (best < 0 || s->counts[member] < s->counts[best])) {
            best = (int32_t)member;
        }
    }
    return best;
}

static void place_rest(struct sticky *s)
{
    const struct el_assign_input *input = s->work->input;
    for (uint32_t i = 0; i < input->topic_count; i++) {
        uint32_t t = s->topics[i];
        for (int32_t p = 0; s->width[t] > 0 && p < input->topics[t].partition_count; p++) {
            uint32_t index = input->topics[t].first + (uint32_t)p;
            if (s->work->owners[index] < 0) {
                int32_t member = least(s, t);
                s->work->owners[index] = member;
                s->counts[member]++;
            }
        }
    }
}

/* One look at every partition; false when none moved. Only members with more than keep give. */
static bool balance_once(struct sticky *s, uint32_t keep)
{
    const struct el_assign_input *input = s->work->input;
    bool moved = false;
    for (uint32_t t = 0; t < input->topic_count; t++) {
        int32_t to = s->width[t] > 1 ? least(s, t) : -1;
        for (int32_t p = input->topics[t].partition_count - 1; to >= 0 && p >= 0; p--) {
            uint32_t index = input->topics[t].first + (uint32_t)p;
            int32_t from = s->work->owners[index];
            if (from >= 0 && s->counts[from] > keep && s->counts[from] >= s->counts[to] + 2) {
                s->work->owners[index] = to;
                s->counts[from]--;
                s->counts[to]++;
                moved = true;
                to = least(s, t);
            }
        }
    }
    return moved;
}

static void withhold_held(struct sticky *s)
{
    for (uint32_t i = 0; i < s->work->partition_count; i++) {
        int32_t holder = s->claims[i], owner = s->work->owners[i];
        if (holder >= 0 && (holder != owner || s->claim_count[i] == CONTRADICTED)) {
            s->work->owners[i] = -1;
        }
    }
}

int el_assign_sticky(struct el_assign_work *work)
{
    struct sticky s = {.work = work};
    int rc = sticky_make(&s);
    if (rc != 0) {
        return rc;
    }
    collect_claims(&s);
    keep_held(&s);
    place_rest(&s);
    /* First only from those above the average, so that nobody gives who would have to be given to afterwards. */
    uint32_t member_count = EL_MAX(work->input->member_count, 1u);
    uint32_t average = work->partition_count / member_count;
    const uint32_t keeps[] = {average + (work->partition_count % member_count > 0), average, 0};
    for (size_t i = 0; i < sizeof keeps / sizeof keeps[0]; i++) {
        while (balance_once(&s, keeps[i])) {
        }
    }
    withhold_held(&s);
    return 0;
}
