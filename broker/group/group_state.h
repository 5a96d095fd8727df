/* SPDX-License-Identifier: Apache-2.0
 *
 * What a coordinator is made of. Private to broker/group; owner shard only.
 */
#ifndef EL_GROUP_GROUP_STATE_H
#define EL_GROUP_GROUP_STATE_H

#include <core/assert.h>
#include <core/sm.h>
#include <group/group_record.h>
#include <group/groups.h>

#define GROUPS_MAGIC OBJ_MAGIC('g', 'r', 'p', 's')
#define GROUP_MAGIC OBJ_MAGIC('g', 'r', 'u', 'p')
#define MEMBER_MAGIC OBJ_MAGIC('m', 'e', 'm', 'b')

#define MEMBER_ID_LEN_MAX 1024u         /* longer ones are nobody's */
#define MEMBER_PREFIX_LEN_MAX 512u      /* of the client id or instance id in an id made here */
#define GROUP_PROTOCOLS_MAX 64u         /* of one member */
#define GROUP_CLASS_LEN_MIN 64u         /* of pieces of memory; each class is twice the one before */
#define GROUP_STATE_LEN_MAX (8u << 20)  /* of a group's record: half of the largest batch */
#define NEW_MEMBER_NS_MAX 300000000000u /* a new member waits no longer for its first generation */

enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE, GROUP_DEAD, GROUP_STATE_COUNT };
extern const struct el_sm_table group_sm;

enum partition_state { PART_LOADING, PART_READY, PART_FAILED };

/* One partition of __consumer_offsets that this shard owns. */
struct group_partition {
    struct groups *gs;
    int32_t index;
    enum partition_state state;
    bool patient;           /* it was made just now: ops wait for the end of loading instead of being refused */
    struct el_list waiting; /* struct group_op.link */
    struct el_list groups;  /* struct group.link */
    struct el_uuid topic_id;
    struct group_load *load; /* while it is being read */
};

struct group {
    uint32_t magic;
    struct el_sm sm;
    struct groups *gs;
    struct group_partition *part;
    struct el_list link; /* in part->groups */
    uint64_t number;     /* never used again; part of keys */
    struct el_slice id;
    struct el_slice protocol_type; /* data NULL: none yet */
    struct el_slice protocol;      /* chosen; data NULL: none */
    int32_t generation;
    struct member *leader;
    struct el_list members; /* in order of their coming */
    struct el_list pending; /* members that have an id and have not joined yet */
    uint32_t member_count, pending_count;
    uint32_t joined_count;    /* members that wait for the end of the round */
    struct io_timer timer;    /* end of the round, or of the wait for syncs */
    bool initial;             /* the round waits for more members, whoever is there */
    bool newcomer;            /* one has come since that wait was begun or extended */
    uint64_t initial_left_ns; /* what it may still be extended by */
    bool storing;             /* the leader's assignments are being made durable */
    bool exclusive;           /* is being deleted: everything waits */
    bool stored;              /* the log has a record of it */
    bool halted;              /* private to group_unblock(): the op that ran waits again */
    bool removed;             /* only pins keep its memory */
    uint32_t pins;            /* code under way that looks at it again */
    uint32_t writes;          /* under way */
    struct el_list blocked;   /* struct group_op.link: wait for those, in order */
    int64_t state_ms;         /* wall time since which it is empty or not */
    struct el_list offsets;   /* struct group_offset.link */
    uint32_t offset_count;
    uint64_t data_len; /* bytes of its members' metadata */
};

struct member {
    uint32_t magic;
    struct el_list link;
    struct group *group;
    struct el_slice key; /* number of the group, then the id: of the map */
    struct el_slice id;
    struct el_slice instance_id; /* data NULL: none */
    struct el_slice client_id, host;
    struct group_protocol *protocols; /* [protocol_count], with their bytes behind */
    uint32_t protocol_count;
    uint32_t data_len; /* of all metadata */
    int32_t session_ms, rebalance_ms;
    struct el_slice assignment;      /* in force; data NULL: none */
    struct el_slice next_assignment; /* being made durable */
    struct join_op *join;            /* waits */
    struct sync_op *sync;            /* waits */
    bool pending;                    /* has not joined yet */
    bool synced;                     /* asked for its assignment in this generation */
    bool is_new;                     /* has not been in a generation yet */
    struct io_timer session;
};

struct group_offset_key {
    uint64_t group_number;
    struct el_uuid topic_id;
    int32_t partition;
    int32_t zero;
};

struct group_offset {
    struct group_offset_key key;
    struct el_list link;
    bool committed;
    uint32_t writes; /* under way */
    int64_t offset;
    int32_t leader_epoch;
    int64_t time_ms;
    struct el_slice metadata;
};

/* --- group_memory.c, groups.c, group.c ---------------------------------------------------------------------------- */

/* Zeroed, from the budget of groups; NULL when it is spent. */
void *group_alloc(struct groups *gs, size_t len);
void group_free(struct groups *gs, void *memory);
/* A copy, NULL stays NULL. returns false without memory */
bool group_copy(struct groups *gs, struct el_slice in, struct el_slice *out);
void group_drop(struct groups *gs, struct el_slice *slice);
/* Wall time, guarded against jumps, ms since 1970. */
int64_t group_wall_ms(const struct groups *gs);
bool group_may_log(struct groups *gs);

/* Answer an op. */
void group_op_finish(struct group_op *op, int error);
/* Room for results, zeroed, at least len bytes behind each other; false without memory. */
bool group_op_room(struct group_op *op, size_t len);
void *group_op_take(struct group_op *op, size_t len);
struct el_slice group_op_copy(struct group_op *op, struct el_slice in);

struct group *group_find(struct groups *gs, struct el_slice id);
/* NULL without memory. */
struct group *group_create(struct groups *gs, struct group_partition *part, struct el_slice id);
/* No members, offsets or writes are left. */
void group_remove(struct group *group);
/* At the end of the shard, whatever it has. */
void group_destroy(struct group *group);
/* Does it exist for nothing? Then it goes. returns true when it is gone */
bool group_remove_if_unused(struct group *group);
void group_move(struct group *group, enum group_state state);
/* Keep the memory while code looks at a group that may be removed meanwhile. */
void group_pin(struct group *group);
void group_unpin(struct group *group);
/* For an op that must be alone: wait behind the writes under way. returns true when op waits; else it is alone until
 * group_open() */
bool group_close(struct group *group, struct group_op *op);
/* What waited goes on; the group may be gone afterwards. */
void group_open(struct group *group);
/* It is no more, in the log as well; what waited goes on without it. */
void group_end(struct group *group);
/* Read all of it, or why not. */
void group_partition_loaded(struct group_partition *part, int error);
/* Put a restored group, which is empty so far, into the state that it was stored in. */
void group_enter_stable(struct group *group);
/* At the shard that its group lives on: run it, or let it wait. */
void group_op_arrive(struct group_op *op);
/* Send an op to its group, or to a shard. */
void group_op_send(struct groups *gs, struct group_op *op);
void group_op_send_shard(struct groups *gs, struct group_op *op, uint32_t shard);
const char *group_state_word(const struct group *group);

/* --- group_load.c ------------------------------------------------------------------------------------------------- */

void group_load_start(struct group_partition *part);
/* At the end of the shard; no read may be under way. */
void group_load_drop(struct group_partition *part);

/* --- group_log.c -------------------------------------------------------------------------------------------------- */

struct group_write;
typedef void (*group_write_fn)(struct group_write *write, int error);
struct group_write {
    struct append_op op;
    struct group *group;
    group_write_fn done;
    struct group_op *answer; /* whom it is for; NULL nobody */
    int32_t generation;      /* group's when it was begun */
    bool whole;              /* ends the group */
    void *items;             /* the caller's, in the same memory */
    uint32_t item_count;
    struct el_batch_builder builder;
    uint8_t *scratch;
    size_t scratch_len;
};
/* Memory for record_count records of at most records_len bytes of keys and values, and items_len bytes of the caller's
 * own. returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_TOO_LARGE more than one batch takes */
int group_write_new(struct group *group, uint32_t record_count, size_t records_len, size_t items_len,
                    struct group_write **write);
/* Bytes of the key and the value of a commit. */
size_t group_commit_len(const struct group *group, size_t metadata_len);
void group_write_commit(struct group_write *write, const struct group_offset_key *key,
                        const struct group_record_commit *commit);
/* The end of a commit or, topic_id NULL, of the group. */
void group_write_tombstone(struct group_write *write, const struct group_offset_key *key);
/* Append; done is called once, maybe from inside, and then the memory goes. */
void group_write_submit(struct group_write *write, group_write_fn done);
/* Give a write up that was not submitted. */
void group_write_drop(struct group_write *write);
/* The record of the group as it is (next: with the assignments that are being stored). Errors as group_write_new(). */
int group_write_state(struct group *group, bool next, struct group_write **write);

/* --- member.c ----------------------------------------------------------------------------------------------------- */

struct member *member_find(struct group *group, struct el_slice id);
struct member *member_by_instance(struct group *group, struct el_slice instance_id);
/* The member that a request is from. returns 0 | EVLOG_ERR_UNKNOWN_MEMBER | EVLOG_ERR_FENCED_INSTANCE */
int member_check(struct group *group, struct el_slice id, struct el_slice instance_id, struct member **member);
/* The same, of the present generation. returns also EVLOG_ERR_GENERATION */
int member_check_generation(struct group *group, struct el_slice id, struct el_slice instance_id, int32_t generation,
                            struct member **member);
/* An id of its own, <prefix>-<uuid>, into text[MEMBER_ID_LEN_MAX]. */
struct el_slice member_new_id(struct groups *gs, const struct join_op *op, char *text);
/* A pending member; NULL without memory. */
struct member *member_create(struct group *group, struct el_slice id, const struct join_op *op);
struct member *member_restore(struct group *group, const struct group_record_member *stored, struct el_slice protocol);
/* Take protocols and timeouts of a join over. returns 0 | EVLOG_ERR_NO_MEMORY, nothing has changed then */
int member_update(struct member *member, const struct join_op *op);
/* From pending to a member of the group. */
void member_enter(struct member *member);
/* Waiting ops are answered with error; the caller sees to the group. */
void member_remove(struct member *member, int error);
/* Give it another id, the old one is gone. returns 0 | EVLOG_ERR_NO_MEMORY */
int member_rename(struct member *member, struct el_slice id);
bool member_same_protocols(const struct member *member, const struct join_op *op);
/* Its metadata for a protocol; NULL: none. */
const struct group_protocol *member_protocol(const struct member *member, struct el_slice name);
/* A sign of life. */
void member_alive(struct member *member);
/* The strategy that all can do and most like best; data NULL: none. */
struct el_slice group_choose_protocol(const struct group *group);
/* May somebody with these protocols join? */
bool group_supports(const struct group *group, const struct join_op *op);

/* --- rebalance.c -------------------------------------------------------------------------------------------------- */

/* A member has come, changed or gone. */
void group_changed(struct group *group, const char *why);
/* Begin a new round. */
void group_prepare(struct group *group, const char *why);
/* The round may be over. */
void group_try_complete(struct group *group);
struct join_answer {
    struct el_slice leader_id;
    bool with_members; /* the list is for leaders */
    bool skip;         /* ... who need not assign */
};
/* Answer a join, which waits nowhere any more, with the group's generation. */
void group_answer_join(struct join_op *op, const struct member *member, const struct join_answer *answer);
/* The same for what a member is: leaders get the list. */
void group_answer_member(struct join_op *op, const struct member *member);
void group_member_expired(struct member *member);
/* The waiting op of a member has been cancelled. */
void group_member_cancelled(struct member *member, struct group_op *op);
/* Arm what a restored group needs. */
void group_restored(struct group *group);

/* --- group_sync.c ------------------------------------------------------------------------------------------------- */

/* All who wait for assignments are answered with an error; what was to become of them is dropped. */
void group_end_syncs(struct group *group, int error);

/* --- group_offsets.c ---------------------------------------------------------------------------------------------- */

struct group_offset *group_offset_find(struct group *group, const struct el_uuid *topic_id, int32_t partition);
/* Found or made; NULL without memory. */
struct group_offset *group_offset_get(struct group *group, const struct el_uuid *topic_id, int32_t partition);
void group_offset_remove(struct group *group, struct group_offset *offset);
void group_expiry_start(struct groups *gs);

#endif
