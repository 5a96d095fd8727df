/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of __consumer_offsets: bytes in, bytes out. Keys say what a record is about, values what holds from then on;
 * a null value ends it. Pure functions, any thread; slices are borrowed. Layout, little-endian (docs/format.md,
 * Groups):
 *
 *   key     0 1 version (1)   1 1 kind: 1 commit, 2 group   2 2 length of the group id   4 the group id
 *           commit only, behind it: 16 topic id, 4 partition
 *   commit  0 1 version (1)   1 1 zero   2 2 length of metadata   4 4 leader epoch, -1 unknown
 *           8 8 offset   16 8 time of the commit, ms   24 metadata
 *   group   0 1 version (1)   1 1 zero   2 2 length of protocol type   4 2 length of protocol, 0xffff none
 *           6 2 length of the leader's id, 0xffff none   8 4 generation   12 4 member count
 *           16 8 time since which it is in this state, ms   24 protocol type, protocol, leader id, then each member:
 *   member  0 2 length of id   2 2 length of instance id, 0xffff none   4 2 length of client id   6 2 length of host
 *           8 4 session timeout, ms   12 4 rebalance timeout, ms   16 4 length of metadata   20 4 length of assignment
 *           24 id, instance id, client id, host, metadata, assignment
 */
#ifndef EL_GROUP_RECORD_H
#define EL_GROUP_RECORD_H

#include <core/bytes.h>
#include <core/cursor.h>

#define GROUP_RECORD_VERSION 1
#define GROUP_KEY_LEN_MAX (4u + 32767u + 20u)
#define GROUP_COMMIT_HEAD_LEN 24u
#define GROUP_STATE_HEAD_LEN 24u
#define GROUP_MEMBER_HEAD_LEN 24u

enum group_record_kind { GROUP_RECORD_COMMIT = 1, GROUP_RECORD_STATE = 2 };

struct group_record_key {
    enum group_record_kind kind;
    struct el_slice group_id;
    struct el_uuid topic_id; /* COMMIT only */
    int32_t partition;       /* COMMIT only, >= 0 */
};

struct group_record_commit {
    int64_t offset; /* as the consumer gave it */
    int32_t leader_epoch;
    int64_t time_ms;
    struct el_slice metadata;
};

struct group_record_state {
    int32_t generation; /* >= 0 */
    int64_t time_ms;
    struct el_slice protocol_type;
    struct el_slice protocol;  /* data NULL: none */
    struct el_slice leader_id; /* data NULL: none */
    uint32_t member_count;
    struct el_reader members; /* over the encoded members, checked; read with group_record_member_next() */
};

struct group_record_member {
    struct el_slice id;
    struct el_slice instance_id; /* data NULL: none */
    struct el_slice client_id;
    struct el_slice host;
    int32_t session_ms;
    int32_t rebalance_ms;
    struct el_slice metadata;
    struct el_slice assignment;
};

size_t group_record_key_len(const struct group_record_key *key);
void group_record_key_encode(struct el_writer *w, const struct group_record_key *key);
/* returns 0 | EVLOG_ERR_FORMAT a newer version | EVLOG_ERR_CORRUPT */
int group_record_key_decode(struct el_slice data, struct group_record_key *key);

void group_record_commit_encode(struct el_writer *w, const struct group_record_commit *commit);
/* returns 0 | EVLOG_ERR_FORMAT | EVLOG_ERR_CORRUPT */
int group_record_commit_decode(struct el_slice data, struct group_record_commit *commit);

/* The part before the members; the caller writes member_count of them behind it. */
void group_record_state_encode(struct el_writer *w, const struct group_record_state *state);
size_t group_record_member_len(const struct group_record_member *member);
void group_record_member_encode(struct el_writer *w, const struct group_record_member *member);
/* Walks all members, so that reading them later cannot fail. returns 0 | EVLOG_ERR_FORMAT | EVLOG_ERR_CORRUPT */
int group_record_state_decode(struct el_slice data, struct group_record_state *state);
/* The next member; false at the end. */
bool group_record_member_next(struct el_reader *members, struct group_record_member *member);

#endif
