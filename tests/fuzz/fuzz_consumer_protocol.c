/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: subscriptions of a group's members, as a leader gets them from the others, and their division.
 *
 * Input: one byte (lowest two bits: the strategy, 3 for an assignment to be read alone), then members: a length byte
 * and that many bytes of metadata each. What can be read is divided by the strategy over topics of up to 9 partitions:
 * every owner must subscribe, and cooperatively no partition goes to one member while another holds it. What was
 * read must encode and be read again as the same.
 */
#include "../../client/assignor.h"

#include <core/assert.h>
#include <evlog/error.h>
#include <stdlib.h>
#include <string.h>
#include <wire/consumer_protocol.h>

#define MEMBER_MAX 16
#define TOPIC_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct subject {
    struct el_arena arena;
    struct el_msg_consumer_protocol_subscription subscriptions[MEMBER_MAX];
    struct el_assign_member members[MEMBER_MAX];
    uint32_t member_count;
    struct el_assign_topic topics[TOPIC_MAX];
    uint32_t topic_count;
};

static void check_again(const struct el_schema *schema, const void *message, void *again, struct el_arena *arena)
{
    struct el_slice first, second;
    int rc = el_consumer_protocol_encode(schema, message, arena, &first);
    EL_ASSERT(rc == 0);
    rc = el_consumer_protocol_decode(schema, first, arena, again);
    EL_ASSERT(rc == 0);
    rc = el_consumer_protocol_encode(schema, again, arena, &second);
    EL_ASSERT(rc == 0);
    EL_ASSERT(el_slice_eq(first, second));
}

static int compare_topics(const void *a, const void *b)
{
    const struct el_assign_topic *x = a, *y = b;
    size_t len = EL_MIN(x->name.len, y->name.len);
    int order = len == 0 ? 0 : memcmp(x->name.data, y->name.data, len);
    return order != 0 ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static void add_topic(struct subject *s, struct el_slice name)
{
    for (uint32_t i = 0; i < s->topic_count; i++) {
        if (el_slice_eq(s->topics[i].name, name)) {
            return;
        }
    }
    if (s->topic_count < TOPIC_MAX) {
        s->topics[s->topic_count++] = (struct el_assign_topic){name, (int32_t)(name.len % 10), 0};
    }
}

static void add_member(struct subject *s, struct el_slice metadata)
{
    static const char ids[] = "abcdefghijklmnop";
    struct el_msg_consumer_protocol_subscription *its = &s->subscriptions[s->member_count], again;
    if (el_consumer_protocol_decode(&el_schema_consumer_protocol_subscription, metadata, &s->arena, its) != 0) {
        return;
    }
    check_again(&el_schema_consumer_protocol_subscription, its, &again, &s->arena);
    struct el_assign_held *held = el_arena_alloc(&s->arena, (its->owned_count + 1) * sizeof *held);
    for (uint32_t i = 0; i < its->owned_count; i++) {
        held[i] = (struct el_assign_held){its->owned[i].topic, its->owned[i].partitions, its->owned[i].partition_count};
    }
    for (uint32_t i = 0; i < its->topic_count; i++) {
        add_topic(s, its->topics[i]);
    }
    s->members[s->member_count] = (struct el_assign_member){
        .id = el_slice_of(&ids[s->member_count], 1),
        .topics = its->topics,
        .topic_count = its->topic_count,
        .held = held,
        .held_count = its->owned_count,
        .generation = its->generation_id,
    };
    s->member_count++;
}

static bool holds(const struct el_assign_member *member, struct el_slice topic, int32_t partition)
{
    for (uint32_t i = 0; i < member->held_count; i++) {
        for (uint32_t j = 0; el_slice_eq(member->held[i].topic, topic) && j < member->held[i].partition_count; j++) {
            if (member->held[i].partitions[j] == partition) {
                return true;
            }
        }
    }
    return false;
}

static bool subscribes(const struct el_assign_member *member, struct el_slice topic)
{
    for (uint32_t i = 0; i < member->topic_count; i++) {
        if (el_slice_eq(member->topics[i], topic)) {
            return true;
        }
    }
    return false;
}

static void check_division(const struct subject *s, enum el_assignor assignor, const int32_t *owners)
{
    for (uint32_t t = 0; t < s->topic_count; t++) {
        for (int32_t p = 0; p < s->topics[t].partition_count; p++) {
            int32_t owner = owners[s->topics[t].first + (uint32_t)p];
            EL_ASSERT(owner >= -1 && owner < (int32_t)s->member_count);
            if (owner < 0) {
                continue;
            }
            EL_ASSERT(subscribes(&s->members[owner], s->topics[t].name));
            for (uint32_t m = 0; el_assignor_cooperative(assignor) && m < s->member_count; m++) {
                bool stale = s->members[m].generation < s->members[owner].generation;
                bool other = (int32_t)m != owner && holds(&s->members[m], s->topics[t].name, p);
                EL_ASSERT(!other || (stale && holds(&s->members[owner], s->topics[t].name, p)));
            }
        }
    }
}

static void divide(struct subject *s, enum el_assignor assignor, const uint8_t *data, size_t len)
{
    int32_t *owners;
    while (len > 0 && s->member_count < MEMBER_MAX) {
        size_t its = EL_MIN((size_t)data[0], len - 1);
        add_member(s, el_slice_of(data + 1, its));
        data += its + 1;
        len -= its + 1;
    }
    qsort(s->topics, s->topic_count, sizeof s->topics[0], compare_topics);
    struct el_assign_input input = {s->members, s->member_count, s->topics, s->topic_count};
    int rc = el_assign(assignor, &input, &s->arena, &owners);
    EL_ASSERT(rc == 0);
    check_division(s, assignor, owners);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct subject s;
    memset(&s, 0, sizeof s);
    el_arena_init(&s.arena, NULL, 0);
    if (len > 0 && (data[0] & 3) == EL_ASSIGNOR_COUNT) {
        struct el_msg_consumer_protocol_assignment assignment, again;
        if (el_consumer_protocol_decode(&el_schema_consumer_protocol_assignment, el_slice_of(data + 1, len - 1),
                                        &s.arena, &assignment) == 0) {
            check_again(&el_schema_consumer_protocol_assignment, &assignment, &again, &s.arena);
        }
    } else if (len > 0) {
        divide(&s, (enum el_assignor)(data[0] & 3), data + 1, len - 1);
    }
    el_arena_reset(&s.arena);
    return 0;
}
