/* SPDX-License-Identifier: Apache-2.0
 *
 * The leader's work: subscriptions of all members in, assignments of all members out. Internal thread, lock held.
 *
 * 1. The members' metadata is decoded, and the topics they name are collected, each once.
 * 2. Topics that exist, with the partition counts known now, and the members go to the strategy agreed on.
 * 3. Its owners become one encoded assignment for each member.
 *
 * A member whose metadata cannot be read gets nothing: it must not stop the others. What a leader divided is
 * remembered, so that a topic that grows leads to a new division.
 */
#include "subscriber_state.h"

#include <core/alloc.h>
#include <stdlib.h>
#include <wire/msg_join_group.h>
#include <wire/msg_sync_group.h>

static int compare_names(const void *a, const void *b)
{
    const struct el_slice *x = a, *y = b;
    size_t len = EL_MIN(x->len, y->len);
    int order = len == 0 ? 0 : memcmp(x->data, y->data, len);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Subscriptions of all members; one that cannot be read is empty. returns NULL: no memory */
static struct el_msg_consumer_protocol_subscription *subscriptions(const struct el_msg_join_group_response *joined,
                                                                   struct el_arena *arena)
{
    struct el_msg_consumer_protocol_subscription *all = el_schema_new(&el_schema_consumer_protocol_subscription, arena,
                                                                      joined->member_count);
    for (uint32_t i = 0; all != NULL && i < joined->member_count; i++) {
        int rc = el_consumer_protocol_decode(&el_schema_consumer_protocol_subscription, joined->members[i].metadata,
                                             arena, &all[i]);
        if (rc == EVLOG_ERR_NO_MEMORY) {
            return NULL;
        }
        if (rc != 0) {
            el_schema_init(&el_schema_consumer_protocol_subscription, &all[i]);
        }
    }
    return all;
}

/* Names of the topics that are subscribed to, each once, ascending. */
static struct el_slice *collect(const struct el_msg_consumer_protocol_subscription *all, uint32_t member_count,
                                struct el_arena *arena, uint32_t *count)
{
    size_t room = 1;
    for (uint32_t i = 0; i < member_count; i++) {
        room += all[i].topic_count;
    }
    struct el_slice *names = el_arena_alloc(arena, room * sizeof *names);
    uint32_t found = 0;
    for (uint32_t i = 0; names != NULL && i < member_count; i++) {
        for (uint32_t j = 0; j < all[i].topic_count; j++) {
            names[found++] = all[i].topics[j];
        }
    }
    *count = 0;
    if (names == NULL) {
        return NULL;
    }
    qsort(names, found, sizeof *names, compare_names);
    for (uint32_t i = 0; i < found; i++) {
        if (*count == 0 || !el_slice_eq(names[*count - 1], names[i])) {
            names[(*count)++] = names[i];
        }
    }
    return names;
}

struct el_slice *el_member_topics_of_all(const struct el_msg_join_group_response *joined, struct el_arena *arena,
                                         uint32_t *count)
{
    struct el_msg_consumer_protocol_subscription *all = subscriptions(joined, arena);
    return all == NULL ? NULL : collect(all, joined->member_count, arena, count);
}

/* Remember what was divided. */
static int remember(struct evlog_subscriber *subscriber, const struct el_slice *names, uint32_t count)
{
    struct el_member *member = &subscriber->member;
    el_arena_reset(&member->divided_arena);
    member->divided_count = 0;
    member->divided = el_arena_alloc(&member->divided_arena, (count + 1) * sizeof *member->divided);
    for (uint32_t i = 0; member->divided != NULL && i < count; i++) {
        const uint8_t *copy = el_arena_dup(&member->divided_arena, names[i].data, names[i].len);
        if (copy == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        member->divided[member->divided_count++] = el_slice_of(copy, names[i].len);
    }
    member->divided_hash = el_member_hash(subscriber->client, member->divided, member->divided_count, true);
    return member->divided == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

/* The members as strategies see them. returns NULL: no memory */
static struct el_assign_member *as_members(const struct el_msg_join_group_response *joined,
                                           const struct el_msg_consumer_protocol_subscription *all,
                                           struct el_arena *arena)
{
    struct el_assign_member *members = el_arena_zalloc(arena, (joined->member_count + 1) * sizeof *members);
    for (uint32_t i = 0; members != NULL && i < joined->member_count; i++) {
        struct el_assign_held *held = el_arena_alloc(arena, (all[i].owned_count + 1) * sizeof *held);
        if (held == NULL) {
            return NULL;
        }
        for (uint32_t j = 0; j < all[i].owned_count; j++) {
            held[j] = (struct el_assign_held){all[i].owned[j].topic, all[i].owned[j].partitions,
                                              all[i].owned[j].partition_count};
        }
        members[i] = (struct el_assign_member){
            .id = joined->members[i].member_id,
            .instance_id = joined->members[i].group_instance_id,
            .topics = all[i].topics,
            .topic_count = all[i].topic_count,
            .held = held,
            .held_count = all[i].owned_count,
            .generation = all[i].generation_id,
        };
    }
    return members;
}

/* What one member owns, encoded. */
static int encode(const struct el_assign_input *input, const int32_t *owners, uint32_t member, struct el_arena *arena,
                  struct el_slice *out)
{
    struct el_msg_consumer_protocol_assignment assignment;
    el_schema_init(&el_schema_consumer_protocol_assignment, &assignment);
    assignment.assigned = el_schema_new(&el_schema_consumer_protocol_partitions, arena, input->topic_count);
    if (assignment.assigned == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t t = 0; t < input->topic_count; t++) {
        const struct el_assign_topic *topic = &input->topics[t];
        struct el_msg_consumer_protocol_partitions run = {.topic = topic->name};
        uint32_t count = 0;
        for (int32_t p = 0; p < topic->partition_count; p++) {
            count += owners[topic->first + (uint32_t)p] == (int32_t)member;
        }
        if (count == 0) {
            continue;
        }
        run.partitions = el_arena_alloc(arena, count * sizeof *run.partitions);
        if (run.partitions == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        for (int32_t p = 0; p < topic->partition_count; p++) {
            if (owners[topic->first + (uint32_t)p] == (int32_t)member) {
                run.partitions[run.partition_count++] = p;
            }
        }
        assignment.assigned[assignment.assigned_count++] = run;
    }
    return el_consumer_protocol_encode(&el_schema_consumer_protocol_assignment, &assignment, arena, out);
}

static int fill(const struct el_msg_join_group_response *joined, const struct el_assign_input *input,
                const int32_t *owners, struct el_arena *arena, struct el_msg_sync_group_request *request)
{
    request->assignments = el_schema_new(&el_schema_sync_group_assignment, arena, joined->member_count);
    request->assignment_count = joined->member_count;
    int rc = request->assignments == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    for (uint32_t i = 0; rc == 0 && i < joined->member_count; i++) {
        struct el_slice id = joined->members[i].member_id;
        const uint8_t *copy = el_arena_dup(arena, id.data, id.len); /* the join is freed before this is sent */
        request->assignments[i].member_id = el_slice_of(copy, id.len);
        rc = copy == NULL ? EVLOG_ERR_NO_MEMORY : encode(input, owners, i, arena, &request->assignments[i].assignment);
    }
    return rc;
}

int el_member_divide(struct evlog_subscriber *subscriber, const struct el_msg_join_group_response *joined,
                     struct el_arena *arena, struct el_msg_sync_group_request *request)
{
    uint32_t name_count;
    struct el_msg_consumer_protocol_subscription *all = subscriptions(joined, arena);
    struct el_slice *names = all == NULL ? NULL : collect(all, joined->member_count, arena, &name_count);
    struct el_assign_topic *topics = names == NULL ? NULL : el_arena_alloc(arena, (name_count + 1) * sizeof *topics);
    struct el_assign_member *members = topics == NULL ? NULL : as_members(joined, all, arena);
    if (members == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_assign_input input = {.members = members, .member_count = joined->member_count, .topics = topics};
    for (uint32_t i = 0; i < name_count; i++) {
        const struct el_topic *topic = el_map_get(&subscriber->client->cluster.topics, names[i].data, names[i].len);
        if (topic != NULL) {
            topics[input.topic_count++] = (struct el_assign_topic){names[i], topic->partition_count, 0};
        }
    }
    int32_t *owners;
    int rc = remember(subscriber, names, name_count);
    if (rc == 0) {
        rc = el_assign((enum el_assignor)subscriber->member.assignor, &input, arena, &owners);
    }
    return rc != 0 ? rc : fill(joined, &input, owners, arena, request);
}
