/* SPDX-License-Identifier: Apache-2.0
 *
 * Two shards of groups over the storage of a few arrays in tests/fakes.
 */
#ifndef EL_TEST_GROUP_BENCH_H
#define EL_TEST_GROUP_BENCH_H

#include <fake_store.h>
#include <group/group_state.h>
#include <test.h>

#define BENCH_PARTITIONS 4 /* of __consumer_offsets; even ones are shard 0's */

struct bench {
    struct fake_store store;
    struct groups groups[FAKE_SHARDS];
    struct groups *peers[FAKE_SHARDS];
    struct groups_config cfg;
};

extern struct bench *bench;

/* Groups that nobody has used yet. cfg may be changed before; NULL: defaults. */
void bench_begin(struct bench *b);
void bench_end(struct bench *b);
/* The process ends and starts again: what is not durable is gone. */
void bench_restart(struct bench *b);
/* --- a client ----------------------------------------------------------------------------------------------------- */

/* One member, or one who would like to be. */
struct caller {
    char id[128], instance[64];
    int32_t generation;
    int error;            /* of the last join */
    char leader[128];     /* of the last join */
    char protocol[32];    /* of the last join */
    bool skip;            /* of the last join */
    char members[8][128]; /* [member_count] of the last join */
    uint32_t member_count;
    struct group_protocol protocols[4];
    uint32_t protocol_count;
    struct join_op join;
    struct sync_op sync;
    bool joining, syncing; /* no answer yet */
    struct group_assignment assignments[8];
    char assignment[64]; /* answered */
    bool two_steps;
    int32_t session_ms, rebalance_ms;
    const char *type;
    const char *sync_type, *sync_protocol; /* said when syncing; NULL: not */
};

/* A caller with the strategy "range". */
void caller_init(struct caller *c);
/* Ask; the answer may come later. */
void caller_join(struct caller *c, const char *group);
void caller_sync(struct caller *c, const char *group);
/* What the leader says: everybody gets "<prefix><number in the list>". */
void caller_assign(struct caller *c, const char *group, const char *prefix);
/* Join, be answered, and sync; alone or with others that have joined. */
void caller_alone(struct caller *c, const char *group);
int bench_heartbeat(const struct caller *c, const char *group);
int bench_leave(const struct caller *c, const char *group);
/* generation -1 and no id: without membership. */
int bench_commit(const struct caller *c, const char *group, const struct topic *topic, int32_t partition,
                 int64_t offset);
/* -1: none. */
int64_t bench_offset(const char *group, const struct topic *topic, int32_t partition);
const char *bench_state(const char *group);
uint32_t bench_members(const char *group);
int bench_delete(const char *group);

#endif
