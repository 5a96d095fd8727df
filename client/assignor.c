/* SPDX-License-Identifier: Apache-2.0
 *
 * Range and round robin, and what all strategies share: the order of members, and who subscribes to what.
 *
 * 1. el_assign() numbers all partitions, sorts the members and notes subscriptions in a bit set.
 * 2. Range gives each topic's subscribers one run of neighbouring partitions; the first ones get one more.
 * 3. Round robin deals all partitions out one by one, passing over members that do not subscribe.
 *
 * Members are ordered as the Java client orders them, so that a group whose leader changes between clients keeps its
 * assignment. Fails only for want of memory or by the bound on partitions.
 */
#include "assignor.h"

#include <core/assert.h>
#include <evlog/error.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool cooperative;
} assignors[EL_ASSIGNOR_COUNT] = {
    [EL_ASSIGNOR_RANGE] = {"range", false},
    [EL_ASSIGNOR_ROUNDROBIN] = {"roundrobin", false},
    [EL_ASSIGNOR_COOPERATIVE_STICKY] = {"cooperative-sticky", true},
};

int el_assignor_by_name(struct el_slice name)
{
    for (int i = 0; i < EL_ASSIGNOR_COUNT; i++) {
        if (el_slice_eq(name, el_slice_str(assignors[i].name))) {
            return i;
        }
    }
    return -1;
}

const char *el_assignor_name(enum el_assignor assignor)
{
    EL_ASSERT(assignor < EL_ASSIGNOR_COUNT);
    return assignors[assignor].name;
}

bool el_assignor_cooperative(enum el_assignor assignor)
{
    EL_ASSERT(assignor < EL_ASSIGNOR_COUNT);
    return assignors[assignor].cooperative;
}

/* --- shared ------------------------------------------------------------------------------------------------------ */

static int compare(struct el_slice a, struct el_slice b)
{
    size_t len = EL_MIN(a.len, b.len);
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int32_t el_assign_topic_index(const struct el_assign_input *input, struct el_slice name)
{
    uint32_t low = 0, high = input->topic_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare(input->topics[middle].name, name);
        if (order == 0) {
            return (int32_t)middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return -1;
}

bool el_assign_subscribed(const struct el_assign_work *work, uint32_t member, uint32_t topic)
{
    size_t bit = (size_t)member * work->input->topic_count + topic;
    return (work->subscribed[bit / 8] >> (bit % 8) & 1) != 0;
}

static int compare_members(const void *a, const void *b, void *arg)
{
    const struct el_assign_member *members = arg;
    const struct el_assign_member *x = &members[*(const uint32_t *)a], *y = &members[*(const uint32_t *)b];
    bool x_static = x->instance_id.data != NULL, y_static = y->instance_id.data != NULL;
    if (x_static != y_static) {
        return x_static ? -1 : 1;
    }
    return x_static ? compare(x->instance_id, y->instance_id) : compare(x->id, y->id);
}

static int prepare(struct el_assign_work *work)
{
    const struct el_assign_input *input = work->input;
    uint64_t total = 0;
    for (uint32_t i = 0; i < input->topic_count; i++) {
        EL_ASSERT(input->topics[i].partition_count >= 0);
        EL_ASSERT(i == 0 || compare(input->topics[i - 1].name, input->topics[i].name) < 0);
        input->topics[i].first = (uint32_t)total;
        total += (uint32_t)input->topics[i].partition_count;
        if (total > EL_ASSIGN_PARTITION_MAX) {
            return EVLOG_ERR_LIMIT;
        }
    }
    work->partition_count = (uint32_t)total;
    size_t bit_count = (size_t)input->member_count * input->topic_count;
    work->subscribed = el_arena_zalloc(work->arena, bit_count / 8 + 1);
    work->order = el_arena_alloc(work->arena, (input->member_count + 1) * sizeof *work->order);
    work->owners = el_arena_alloc(work->arena, (total + 1) * sizeof *work->owners);
    if (work->subscribed == NULL || work->order == NULL || work->owners == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < input->member_count; i++) {
        const struct el_assign_member *member = &input->members[i];
        work->order[i] = i;
        for (uint32_t j = 0; j < member->topic_count; j++) {
            int32_t topic = el_assign_topic_index(input, member->topics[j]);
            if (topic >= 0) {
                size_t bit = (size_t)i * input->topic_count + (uint32_t)topic;
                work->subscribed[bit / 8] = (uint8_t)(work->subscribed[bit / 8] | 1u << (bit % 8));
            }
        }
    }
    for (uint32_t i = 0; i < work->partition_count; i++) {
        work->owners[i] = -1;
    }
    qsort_r(work->order, input->member_count, sizeof *work->order, compare_members, (void *)(uintptr_t)input->members);
    return 0;
}

/* --- strategies -------------------------------------------------------------------------------------------------- */

static void assign_range(struct el_assign_work *work)
{
    const struct el_assign_input *input = work->input;
    for (uint32_t t = 0; t < input->topic_count; t++) {
        uint32_t subscriber_count = 0;
        for (uint32_t i = 0; i < input->member_count; i++) {
            subscriber_count += el_assign_subscribed(work, i, t);
        }
        if (subscriber_count == 0) {
            continue;
        }
        uint32_t count = (uint32_t)input->topics[t].partition_count;
        uint32_t each = count / subscriber_count, more = count % subscriber_count;
        uint32_t next = input->topics[t].first, rank = 0;
        for (uint32_t i = 0; i < input->member_count; i++) {
            if (!el_assign_subscribed(work, work->order[i], t)) {
                continue;
            }
            uint32_t share = each + (rank++ < more);
            for (uint32_t j = 0; j < share; j++) {
                work->owners[next++] = (int32_t)work->order[i];
            }
        }
        EL_ASSERT(next == input->topics[t].first + count);
    }
}

static void assign_roundrobin(struct el_assign_work *work)
{
    const struct el_assign_input *input = work->input;
    uint32_t turn = 0;
    for (uint32_t t = 0; t < input->topic_count; t++) {
        for (int32_t p = 0; p < input->topics[t].partition_count; p++) {
            for (uint32_t i = 0; i < input->member_count; i++) {
                uint32_t rank = (turn + i) % input->member_count;
                if (el_assign_subscribed(work, work->order[rank], t)) {
                    work->owners[input->topics[t].first + (uint32_t)p] = (int32_t)work->order[rank];
                    turn = rank + 1;
                    break;
                }
            }
        }
    }
}

int el_assign(enum el_assignor assignor, const struct el_assign_input *input, struct el_arena *arena, int32_t **owners)
{
    struct el_assign_work work = {.input = input, .arena = arena};
    int rc = prepare(&work);
    if (rc != 0) {
        return rc;
    }
    switch (assignor) {
    case EL_ASSIGNOR_RANGE:
        assign_range(&work);
        break;
    case EL_ASSIGNOR_ROUNDROBIN:
        assign_roundrobin(&work);
        break;
    case EL_ASSIGNOR_COOPERATIVE_STICKY:
        rc = el_assign_sticky(&work);
        break;
    case EL_ASSIGNOR_COUNT:
        rc = EVLOG_ERR_ARGUMENT;
        break;
    }
    if (rc == 0) {
        *owners = work.owners;
    }
    return rc;
}
