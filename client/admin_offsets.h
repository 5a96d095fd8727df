/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetCommit and OffsetFetch as requests: built from and read into struct evlog_partition_offset. Shared by members
 * and by those who look at a group from outside.
 */
#ifndef EL_CLIENT_ADMIN_OFFSETS_H
#define EL_CLIENT_ADMIN_OFFSETS_H

#include "client_core.h"

#include <evlog/subscriber.h>
#include <wire/msg_offset_commit.h>
#include <wire/msg_offset_fetch.h>

#define EL_OFFSET_COMMIT_VERSION_MAX 9 /* 10 wants topic ids */
#define EL_OFFSET_FETCH_VERSION_MAX 7  /* 8 asks for many groups and says it elsewhere */

/* In whose name offsets are committed. */
struct el_committer {
    const char *group;
    const char *member_id;   /* empty: from outside */
    const char *instance_id; /* NULL: not a static member */
    int32_t generation;      /* -1: from outside */
};

/* Fill a request. The committer is copied into the arena, topics are borrowed from the offsets.
 *
 * offsets  [count], those of a topic best side by side
 * returns  0 | EVLOG_ERR_NO_MEMORY
 */
int el_offset_commit_build(const struct el_committer *who, const struct evlog_partition_offset *offsets, size_t count,
                           struct el_arena *arena, struct el_msg_offset_commit_request *request);
/* The first code of an answer that is not 0. */
int el_offset_commit_code(const void *response);
/* The same, and which partition it is about, "" for none. */
int el_offset_commit_refusal(const struct el_msg_offset_commit_response *response, char *which, size_t room);

/* Fill a question; partitions NULL: all of the group. */
int el_offset_fetch_build(const char *group, const struct evlog_partition_offset *partitions, size_t count,
                          struct el_arena *arena, struct el_msg_offset_fetch_request *request);
int el_offset_fetch_code(const void *response);

/* False, with the failure: an offset names no topic, or a number is negative. */
bool el_offsets_valid(const struct evlog_partition_offset *offsets, size_t count, struct evlog_failure *failure);

#endif
