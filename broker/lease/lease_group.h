/* SPDX-License-Identifier: Apache-2.0
 *
 * What a shard knows of each work group: the settings that control told, and the partitions that it works on here.
 * Private to broker/lease; owner shard only.
 */
#ifndef EL_LEASE_LEASE_GROUP_H
#define EL_LEASE_LEASE_GROUP_H

#include <config/group_config.h>
#include <lease/lease_state.h>

#define LEASE_GROUP_MAGIC OBJ_MAGIC('l', 's', 'g', 'r')

struct lease_filter;
struct lease_part;

struct lease_group {
    uint32_t magic;
    struct leases *ls;
    struct el_slice id;
    uint64_t number;      /* never used again; part of keys */
    bool exists;          /* control told it; else only its records are here */
    struct el_list parts; /* struct lease_part.link */
    uint32_t part_count;
    struct el_list enders;       /* struct lease_op.link: wait until all of it is gone */
    uint32_t pins;               /* code or writes that look at it again */
    struct group_config *config; /* overrides, a copy; NULL while it does not exist */
    struct lease_filter *filter; /* compiled; NULL: everything matches */
    bool filter_broken; /* the one that is stored cannot be compiled: nothing is read, for it might not match */
};

void lease_groups_init(struct leases *ls);
void lease_groups_start(struct leases *ls);
void lease_groups_stop(struct leases *ls);
void lease_groups_destroy(struct leases *ls);
/* The partition has been read. */
void lease_groups_loaded(struct leases *ls);

struct lease_group *lease_group_find(struct leases *ls, struct el_slice id);
/* Found or made, without existing; NULL without memory. */
struct lease_group *lease_group_get(struct leases *ls, struct el_slice id);

/* --- for control -------------------------------------------------------------------------------------------------- */

/* On this shard a group exists from now on, with these overrides (borrowed, copied). Its partitions take them over at
 * once. returns 0 | EVLOG_ERR_NO_MEMORY, nothing has changed */
int lease_group_apply(struct leases *ls, struct el_slice group_id, const struct group_config *config);
/* All groups that exist have been told: records of others are leftovers. */
void lease_groups_known(struct leases *ls);
/* The group ends on this shard: what waits ends with GROUP_NOT_FOUND, and all that is kept of it is forgotten. The op
 * has arrived here (lease_op_send() with this function as `run`); it is answered once that is durable. */
void lease_group_end(struct leases *ls, struct lease_op *op);
/* Records of a part cannot be deleted now: who waits for the group's end is told so. */
void lease_group_end_failed(struct lease_group *group, int error);

/* --- for lease_load.c --------------------------------------------------------------------------------------------- */

/* A record of a part (not one of control) as it is read, with its key as bytes; value.data NULL: it is no more.
 * returns 0 | EVLOG_ERR_NO_MEMORY */
int lease_part_restore(struct leases *ls, const struct lease_record_key *key, struct el_slice raw,
                       struct el_slice value);

#endif
