/* SPDX-License-Identifier: Apache-2.0
 *
 * Consumer groups from outside: list, describe, offsets, lag, delete. Reading as a member is subscriber.h.
 *
 * Every function blocks for at most request.timeout.ms a request and may be called from any thread. Results lie in one
 * object, which its _free gives back with everything in it. Since 1.0.
 */
#ifndef EVLOG_GROUPS_H
#define EVLOG_GROUPS_H

#include <evlog/client.h>
#include <evlog/subscriber.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evlog_group_name {
    const char *name;
    const char *state;         /* such as "Stable" or "Empty"; empty where the broker does not say */
    const char *protocol_type; /* "consumer" for consumers; empty for a group that only holds offsets */
    const char *type;          /* such as "classic"; empty where the broker does not say */
};
struct evlog_group_list {
    const struct evlog_group_name *groups; /* [group_count], by name */
    size_t group_count;
};

/* All groups that this client may see; every node is asked.
 *
 * list     written on success; free with evlog_group_list_free()
 * returns  0 | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int evlog_group_list(struct evlog_client *client, struct evlog_group_list **list, struct evlog_failure *failure);
void evlog_group_list_free(struct evlog_group_list *list);

struct evlog_group_member {
    const char *id;
    const char *instance_id; /* NULL: not a static member */
    const char *client_id;
    const char *host;
    const struct evlog_partition_offset *partitions; /* [partition_count] assigned; offsets -1 */
    size_t partition_count;
};
struct evlog_group_info {
    const char *name;
    const char *state;                        /* "Stable", "Empty", "PreparingRebalance", "CompletingRebalance" ... */
    const char *protocol_type;                /* "consumer" for consumers, "share" for a work group */
    const char *strategy;                     /* of assignment, empty without members */
    int32_t coordinator;                      /* node id */
    const struct evlog_group_member *members; /* [member_count], by id */
    size_t member_count;
};

/* Who is in a group, and who reads what.
 *
 * info     written on success; free with evlog_group_info_free()
 * returns  0 | EVLOG_ERR_GROUP_NOT_FOUND | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int evlog_group_describe(struct evlog_client *client, const char *group, struct evlog_group_info **info,
                         struct evlog_failure *failure);
void evlog_group_info_free(struct evlog_group_info *info);

struct evlog_group_lag_partition {
    const char *topic;
    int32_t partition;
    int64_t start_offset;     /* first event that is still there, -1 unknown (the topic is gone) */
    int64_t end_offset;       /* behind the last readable event, -1 unknown */
    int64_t committed_offset; /* of a work group: first event that is not done; -1 none */
    int64_t lag_count;        /* events not yet committed; -1 unknown */
    int64_t lag_ms;           /* age of the first of them; 0 when there is none, -1 unknown */
    const char *member_id;    /* who reads it, NULL nobody */
    const char *client_id;    /* of that member, NULL */
};
struct evlog_group_lag {
    const struct evlog_group_lag_partition *partitions; /* [partition_count], by topic and partition */
    size_t partition_count;
    int64_t total_count; /* sum of lag_count where it is known */
    int64_t lag_ms_max;  /* largest lag_ms, -1 when none is known */
    /* What members read of topics that this client may not describe, by topic and partition: it adds nothing to the
     * sums. Offsets that are committed in such topics are told to nobody who may not describe them. */
    const struct evlog_partition_offset *hidden; /* [hidden_count] */
    size_t hidden_count;
    size_t unread_count;      /* partitions whose lag_ms is unknown, since this client may not read their events */
    const char *unread_topic; /* the topic of one of them, NULL: there is none */
};

/* How far a group is behind: every partition with a committed offset or a reader. Of a work group (also
 * evlog_group_describe()) lag_count are the events that are not done, wherever they are.
 *
 * with_ages  ask for the age of the first event of each partition too; reads that event
 * lag        written on success; free with evlog_group_lag_free()
 * returns    0 | EVLOG_ERR_GROUP_NOT_FOUND no members and no offsets | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int evlog_group_lag(struct evlog_client *client, const char *group, bool with_ages, struct evlog_group_lag **lag,
                    struct evlog_failure *failure);
void evlog_group_lag_free(struct evlog_group_lag *lag);

struct evlog_group_offsets {
    const struct evlog_partition_offset *offsets; /* [offset_count], by topic and partition */
    size_t offset_count;
};

/* All committed offsets of a group; none for a group that is not there.
 *
 * offsets  written on success; free with evlog_group_offsets_free()
 */
int evlog_group_offsets(struct evlog_client *client, const char *group, struct evlog_group_offsets **offsets,
                        struct evlog_failure *failure);
void evlog_group_offsets_free(struct evlog_group_offsets *offsets);

/* Set committed offsets of a group without members; makes the group when it is not there.
 *
 * offsets  [count]
 * returns  0 | EVLOG_ERR_GROUP_NOT_EMPTY | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_ARGUMENT | EVLOG_ERR_UNREACHABLE
 */
int evlog_group_offsets_set(struct evlog_client *client, const char *group,
                            const struct evlog_partition_offset *offsets, size_t count, struct evlog_failure *failure);

/* Remove committed offsets; of topics that no member reads.
 *
 * partitions  [count]; offset is not looked at
 * returns     0 | EVLOG_ERR_GROUP_NOT_FOUND | EVLOG_ERR_GROUP_SUBSCRIBED | EVLOG_ERR_UNKNOWN_TOPIC |
 *             EVLOG_ERR_UNREACHABLE
 */
int evlog_group_offsets_delete(struct evlog_client *client, const char *group,
                               const struct evlog_partition_offset *partitions, size_t count,
                               struct evlog_failure *failure);

/* Remove a group without members, and its offsets.
 *
 * returns  0 | EVLOG_ERR_GROUP_NOT_FOUND | EVLOG_ERR_GROUP_NOT_EMPTY | EVLOG_ERR_UNREACHABLE, in doubt when an answer
 *          was lost
 */
int evlog_group_delete(struct evlog_client *client, const char *group, struct evlog_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
