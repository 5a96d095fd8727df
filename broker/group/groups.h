/* SPDX-License-Identifier: Apache-2.0
 *
 * Consumer groups, as the rest of the broker sees them: one struct groups per shard. A group belongs to a partition of
 * the internal topic __consumer_offsets, chosen by its id, and lives on the shard that owns this partition: its
 * coordinator. What must survive is a record of that partition, durable before anybody is told.
 *
 * Requests are ops, as in storage/store.h: the caller fills one that it owns (in its request's arena), submits it on
 * its own shard, and keeps it and all it points to in place until op->base.done is called, once, on the same thread,
 * maybe from inside the submit call. base.error is then 0 or an EVLOG_ERR_ code. Results that vary in length lie in
 * op->base.block until group_op_release().
 *
 * join and sync wait for other members; groups_cancel() ends the wait.
 */
#ifndef EL_GROUP_GROUPS_H
#define EL_GROUP_GROUPS_H

#include <core/map.h>
#include <core/pool.h>
#include <storage/store.h>

#define GROUPS_TOPIC "__consumer_offsets"
#define GROUPS_CLASSES 6

struct groups;
struct group;
struct group_partition;
struct group_op;
struct member;

struct groups_config {
    int64_t session_min_ms, session_max_ms; /* what members may ask for */
    int64_t initial_delay_ms;               /* an empty group waits for more members */
    int64_t size_max;                       /* members of a group */
    int64_t metadata_len_max;               /* text of a commit, bytes */
    int64_t retention_ms;                   /* of commits */
    int64_t check_interval_ms;              /* between looks for expired ones */
    int32_t partition_count;                /* of __consumer_offsets when it is made */
    uint64_t memory_max;                    /* of this shard's groups, bytes */
    /* Does a consumer's metadata name this topic? The layout is the wire's, which groups do not know.
     * returns 1 yes | 0 no | EVLOG_ERR_MALFORMED it cannot be read */
    int (*subscribes)(struct el_slice metadata, struct el_slice topic);
};

/* The groups of one shard; its thread only. */
struct groups {
    uint32_t magic;
    struct store_shard *shard;
    struct io *io;
    struct el_buddy *buddy;
    struct metrics *metrics;
    struct groups *const *peers; /* [shard_count] by shard; set before the first op */
    struct groups_config cfg;
    struct el_map partitions; /* int32 index -> struct group_partition: those that this shard owns */
    struct el_map by_id;      /* group id -> struct group */
    struct el_map members;    /* number of the group, member id -> struct member */
    struct el_map offsets;    /* number of the group, topic id, partition -> struct group_offset */
    struct el_pool classes[GROUPS_CLASSES];
    uint64_t memory_used;
    bool replacing;        /* what is there is about to be replaced: that may go an eighth above the limit */
    uint64_t group_number; /* given to the last group made */
    uint32_t state_count[8];
    struct el_list create_waiting; /* ops that wait until the topic is made */
    struct topic_op create_op;
    struct topic_config create_config;
    bool creating;
    bool stopping;
    uint32_t loading_count;
    struct io_timer expiry_timer;
    size_t expiry_cursor; /* of the look under way, into by_id */
    uint64_t log_second;  /* rate limit of log lines */
    uint32_t log_count;
};

/* --- life --------------------------------------------------------------------------------------------------------- */

/* peers and shard are borrowed. No other shard may send ops before all have been set up. */
void groups_init(struct groups *gs, struct store_shard *shard, struct groups *const *peers,
                 const struct groups_config *cfg);
/* On the shard's thread, once: begin to read the partitions that it owns. */
void groups_start(struct groups *gs);
/* New settings (SIGHUP). */
void groups_configure(struct groups *gs, const struct groups_config *cfg);
/* The shard stops: nothing waits any more. Ops that wait here end with EVLOG_ERR_CLOSED. */
void groups_stop(struct groups *gs);
/* Free everything; no op may be under way. */
void groups_destroy(struct groups *gs);
/* The partition of __consumer_offsets that a group belongs to, by Kafka's formula. */
int32_t groups_partition_of(struct el_slice group_id, int32_t partition_count);

/* --- ops ---------------------------------------------------------------------------------------------------------- */

struct group_block;
typedef void (*group_op_fn)(struct group_op *op);

struct group_op {
    struct io_message message;        /* private: the way between shards */
    struct io_message cancel_message; /* private */
    struct el_list link;              /* private: place in a list of the owner */
    struct groups *origin, *owner;    /* private */
    void (*run)(struct groups *gs, struct group_partition *part, struct group_op *op); /* private */
    struct member *waiter;                /* private: member that it waits at */
    bool creates;                         /* private: makes the topic when there is none */
    bool whole_shard;                     /* private: about all groups of a shard */
    bool unblocked;                       /* private */
    bool at_owner;                        /* private: owner's view: not answered yet */
    bool cancel_sent, cancel_back, ended; /* private: origin's view */
    struct el_slice group_id;             /* the caller's */
    group_op_fn done;                     /* the caller's */
    void *arg;                            /* the caller's */
    struct group_block *block;            /* results, see group_op_release() */
    int error;                            /* 0 or EVLOG_ERR_ */
};

/* Give the results back; on the origin's thread, once, after done. No effect without any. */
void group_op_release(struct group_op *op);
/* End the wait of a join or sync op: done comes soon, mostly with EVLOG_ERR_CLOSED. */
void groups_cancel(struct group_op *op);

struct group_protocol {
    struct el_slice name;
    struct el_slice metadata;
};

/* A member as the leader and tools see it. */
struct group_member_view {
    struct el_slice id;
    struct el_slice instance_id; /* data NULL: none */
    struct el_slice client_id;
    struct el_slice host;
    struct el_slice metadata;
    struct el_slice assignment;
};

struct join_op {
    struct group_op base;
    struct el_slice member_id;
    struct el_slice instance_id; /* data NULL: none */
    struct el_slice client_id, host;
    struct el_slice protocol_type;
    struct el_slice reason;
    const struct group_protocol *protocols; /* [protocol_count] */
    uint32_t protocol_count;
    int32_t session_ms, rebalance_ms;
    bool two_steps;       /* a new member gets its id first (EVLOG_ERR_MEMBER_ID_REQUIRED) */
    bool skip_assignment; /* the client understands skip_assignment */
    /* out: slices point into the block */
    int32_t generation;
    struct el_slice member_id_out, leader_id, protocol, protocol_type_out;
    bool skip;                               /* the leader need not assign */
    const struct group_member_view *members; /* [member_count] for the leader */
    uint32_t member_count;
};
void groups_join(struct groups *gs, struct join_op *op);

struct group_assignment {
    struct el_slice member_id;
    struct el_slice assignment;
};

struct sync_op {
    struct group_op base;
    struct el_slice member_id, instance_id;
    int32_t generation;
    struct el_slice protocol_type, protocol;    /* data NULL: not said */
    const struct group_assignment *assignments; /* [assignment_count] */
    uint32_t assignment_count;
    /* out */
    struct el_slice assignment, protocol_type_out, protocol_out;
};
void groups_sync(struct groups *gs, struct sync_op *op);

struct heartbeat_op {
    struct group_op base;
    struct el_slice member_id, instance_id;
    int32_t generation;
};
void groups_heartbeat(struct groups *gs, struct heartbeat_op *op);

struct leave_entry {
    struct el_slice member_id, instance_id, reason;
    int error; /* out */
};
struct leave_op {
    struct group_op base;
    struct leave_entry *entries; /* [entry_count] */
    uint32_t entry_count;
};
void groups_leave(struct groups *gs, struct leave_op *op);

struct commit_entry {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t offset;
    int32_t leader_epoch;
    struct el_slice metadata;
    int error; /* in: not 0 is left out; out */
};
struct commit_op {
    struct group_op base;
    struct el_slice member_id, instance_id;
    int32_t generation;           /* -1: without membership */
    struct commit_entry *entries; /* [entry_count] */
    uint32_t entry_count;
};
void groups_commit(struct groups *gs, struct commit_op *op);

struct offset_view {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t offset; /* -1: none */
    int32_t leader_epoch;
    struct el_slice metadata;
};
struct offsets_op {
    struct group_op base;
    struct offset_view *views; /* [view_count] in: topic_id and partition; NULL: all, out in the block, by topic */
    uint32_t view_count;
    bool all; /* views are to be made */
};
void groups_offsets(struct groups *gs, struct offsets_op *op);

struct describe_op {
    struct group_op base;
    /* out */
    const char *state; /* static */
    struct el_slice protocol_type, protocol;
    const struct group_member_view *members; /* [member_count] */
    uint32_t member_count;
};
void groups_describe(struct groups *gs, struct describe_op *op);

struct group_view {
    struct el_slice id, protocol_type;
    const char *state; /* static */
};
struct list_op {
    struct group_op base;
    uint32_t shard; /* whose */
    /* out */
    const struct group_view *groups; /* [group_count] */
    uint32_t group_count;
};
void groups_list(struct groups *gs, struct list_op *op);

struct delete_group_op {
    struct group_op base;
};
void groups_delete(struct groups *gs, struct delete_group_op *op);

struct offset_delete_entry {
    struct el_uuid topic_id;
    struct el_slice topic;
    int32_t partition;
    int error; /* in: not 0 is left out; out */
};
struct offset_delete_op {
    struct group_op base;
    struct offset_delete_entry *entries; /* [entry_count] */
    uint32_t entry_count;
};
void groups_offset_delete(struct groups *gs, struct offset_delete_op *op);

/* List what the groups of this shard have committed, for a look at how far they are behind. Its thread, at once. */
struct lag_list;
void groups_lag(struct groups *gs, struct lag_list *list);

#endif
