/* SPDX-License-Identifier: Apache-2.0
 *
 * A partition that a group works on, on the shard that owns the partition. Private to broker/lease; owner shard only.
 */
#ifndef EL_LEASE_LEASE_PART_H
#define EL_LEASE_LEASE_PART_H

#include <core/sm.h>
#include <lease/lease_group.h>

#define LEASE_PART_MAGIC OBJ_MAGIC('l', 's', 'p', 't')

struct lease_part_key {
    uint64_t group_number;
    struct el_uuid topic_id;
    int32_t partition;
    int32_t zero;
};
EL_STATIC_ASSERT(sizeof(struct lease_part_key) == 32, "no padding, for it is hashed as bytes");

/* A record as it was read, until somebody uses the part. */
struct lease_stored {
    struct el_list link;
    struct lease_part *part;
    enum lease_record_kind kind;
    struct el_slice key; /* of the record, as bytes */
    struct el_slice value;
};

struct lease_part {
    uint32_t magic;
    struct el_list link; /* in group->parts */
    struct lease_group *group;
    struct lease_part_key key; /* of the map */
    struct el_list stored;     /* struct lease_stored.link */
};

struct lease_part *lease_part_find(struct lease_group *group, const struct el_uuid *topic_id, int32_t partition);
/* Without anything in it yet; NULL without memory. */
struct lease_part *lease_part_create(struct lease_group *group, const struct el_uuid *topic_id, int32_t partition);
/* Forget records that were read: all of them. */
void lease_part_forget_stored(struct lease_part *part);
/* Nothing is under way for it. */
void lease_part_destroy(struct lease_part *part);

#endif
