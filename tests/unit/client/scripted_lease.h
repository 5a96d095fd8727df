/* SPDX-License-Identifier: Apache-2.0
 *
 * A broker with one work group "g" on the topic "t", for tests of its members: what is leased, the epochs of the member
 * and of its session, faults on request. It writes down what it was asked, beside the scripted broker's own notes:
 *
 *     join(1) beat(2) fetch(0 +0,1) ack(1 0:0-2=1 0:3=3) full(0:4=5 100 why text) close leave
 *
 * Batches that a producer sends are told by their records: produced(0 id=value id=value).
 */
#ifndef EL_TEST_SCRIPTED_LEASE_H
#define EL_TEST_SCRIPTED_LEASE_H

#include "scripted.h"

#define LEASED_EVENTS 64 /* of a partition */
#define SCRIPTED_PATIENCE_MS 10000

enum leased_state { LEASED_HERE, LEASED_OUT, LEASED_DONE, LEASED_DEAD };

struct scripted_lease {
    struct scripted s; /* its ends[] say how many events there are */
    enum leased_state state[SCRIPTED_PARTITIONS][LEASED_EVENTS];
    int16_t deliveries[SCRIPTED_PARTITIONS][LEASED_EVENTS];
    bool hole[SCRIPTED_PARTITIONS][LEASED_EVENTS]; /* removed by compaction */
    int32_t member_epoch;                          /* 0: no member */
    int32_t session_epoch;                         /* expected next, 0: no session */
    const struct el_call *waiting;                 /* the fetch that waits for events: its epoch was taken */
    int32_t lease_ms;
    int64_t refused_offset; /* an outcome of it is refused, -1 none */
    bool spoils;            /* the next batch does not pass its checks */
    bool breaks;            /* the next outcome's connection breaks, and the session is lost */
    int beat_error, fetch_error, full_error,
        produce_error; /* Kafka codes, answered until changed; once as in scripted */
    bool once;
};

void scripted_lease_begin(struct scripted_lease *l, const char *const *settings);
/* Say that the connection of a group's sessions has agreed on these versions; -1: not listed. Call it once the session
 * is open. */
void scripted_lease_versions(struct scripted_lease *l, int acknowledge, int outcome);
/* A member of it. */
struct evlog_group *scripted_lease_open(struct scripted_lease *l);
/* Leases that must come: exactly count of them, in so many calls as it takes. */
void scripted_lease_fetch(struct evlog_group *group, const struct evlog_lease **leases, int count);
/* Events of a partition in a state. */
int scripted_lease_count(struct scripted_lease *l, int32_t partition, enum leased_state state);

#endif
