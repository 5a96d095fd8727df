/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a work group stands in several partitions, or a change of it, for the requests that ask: the group is looked up
 * first, then all partitions are asked at the same time.
 */
#ifndef EL_API_SHARE_OFFSETS_H
#define EL_API_SHARE_OFFSETS_H

#include <api/api.h>

struct share_offsets {
    /* the owner's */
    struct api_call *call; /* waits for it */
    struct el_slice group_id;
    bool must_be_empty;           /* a group with members is an error */
    struct lease_offsets_op *ops; /* [op_count] with verb, topic id, partition and offset; not asked with an error */
    uint32_t op_count;
    /* results; those of the partitions are in ops */
    int error; /* EVLOG_ERR_ of the group; then no partition was asked */
    /* private */
    struct share_describe_op group;
};

void share_offsets_start(struct share_offsets *offsets);
/* The ops for all partitions of a topic, from at on; returns where to go on. */
struct lease_offsets_op *share_offsets_topic(struct lease_offsets_op *at, const struct topic *topic);
/* Partitions of all topics but internal ones. */
uint32_t share_offsets_partition_count(struct api *api);

#endif
