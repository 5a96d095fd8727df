/* SPDX-License-Identifier: Apache-2.0
 *
 * Who reads which partition: the strategies by which the leader of a consumer group divides partitions among the
 * members. Pure functions of their input; no network, no clock.
 *
 * An outcome is one owner for each partition, so that no partition can be given to two members. The three strategies
 * are named as Kafka's clients name them and give what members of other clients expect of them: range and roundrobin
 * the same owners, cooperative-sticky a balanced assignment in which a partition changes hands only after its present
 * holder has let it go.
 */
#ifndef EL_CLIENT_ASSIGNOR_H
#define EL_CLIENT_ASSIGNOR_H

#include <core/arena.h>
#include <core/bytes.h>

#define EL_ASSIGN_PARTITION_MAX (1u << 20) /* partitions of one division */

enum el_assignor {
    EL_ASSIGNOR_RANGE,
    EL_ASSIGNOR_ROUNDROBIN,
    EL_ASSIGNOR_COOPERATIVE_STICKY,
    EL_ASSIGNOR_COUNT,
};

/* A run of partitions of one topic that a member holds. */
struct el_assign_held {
    struct el_slice topic;
    const int32_t *partitions; /* [partition_count], any order */
    uint32_t partition_count;
};

struct el_assign_member {
    struct el_slice id;
    struct el_slice instance_id;   /* data NULL: not static */
    const struct el_slice *topics; /* [topic_count] subscribed to, any order */
    uint32_t topic_count;
    const struct el_assign_held *held; /* [held_count] */
    uint32_t held_count;
    int32_t generation; /* in which held was assigned, -1 unknown */
};

struct el_assign_topic {
    struct el_slice name;
    int32_t partition_count; /* 0 or more */
    uint32_t first;          /* index of its partition 0 in owners; filled in by el_assign() */
};

struct el_assign_input {
    const struct el_assign_member *members; /* [member_count], ids differ */
    uint32_t member_count;
    struct el_assign_topic *topics; /* [topic_count], ascending by name, names differ; at least those subscribed to
                                     * that exist */
    uint32_t topic_count;
};

/* "range", "roundrobin" or "cooperative-sticky"; -1 for another name. */
int el_assignor_by_name(struct el_slice name);
const char *el_assignor_name(enum el_assignor assignor);
/* Members keep reading through a rebalance, and let go only of what moves. */
bool el_assignor_cooperative(enum el_assignor assignor);

/* Divide.
 *
 * input    topics[].first is written
 * arena    takes owners and what the division needs
 * owners   written on success: [partitions of all topics], index of the member or -1 for nobody
 * returns  0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_LIMIT more than EL_ASSIGN_PARTITION_MAX partitions
 */
int el_assign(enum el_assignor assignor, const struct el_assign_input *input, struct el_arena *arena, int32_t **owners);

/* --- shared by the strategies ------------------------------------------------------------------------------------ */

/* What a strategy works on. */
struct el_assign_work {
    const struct el_assign_input *input;
    struct el_arena *arena;
    uint32_t partition_count; /* of all topics */
    uint8_t *subscribed;      /* bit set, members times topics */
    uint32_t *order;          /* [member_count] members, static ones by instance id first, then by id */
    int32_t *owners;          /* [partition_count], -1 */
};

bool el_assign_subscribed(const struct el_assign_work *work, uint32_t member, uint32_t topic);
/* Index of a topic; -1: not there. */
int32_t el_assign_topic_index(const struct el_assign_input *input, struct el_slice name);
/* assignor_sticky.c. returns 0 | EVLOG_ERR_NO_MEMORY */
int el_assign_sticky(struct el_assign_work *work);

#endif
