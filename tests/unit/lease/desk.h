/* SPDX-License-Identifier: Apache-2.0
 *
 * Work groups of two shards over the storage of a few arrays in tests/fakes, with members that ask from shard 1, so
 * that every op travels.
 */
#ifndef EL_TEST_DESK_H
#define EL_TEST_DESK_H

#include <fake_store.h>
#include <lease/control.h>

struct desk {
    struct fake_store store;
    struct leases *leases[FAKE_SHARDS];
    struct leases_config cfg;
    int kind_error; /* what the question for the kind of an id ends with */
    bool kind_holds;
    struct lease_kind_question *question; /* held */
    void (*starting)(void);               /* ask something while the next start reads; NULL nothing */
};

extern struct desk *desk;

void desk_begin(struct desk *k);
void desk_end(struct desk *k);
/* The process ends and starts again: what is not durable is gone. */
void desk_restart(struct desk *k);
/* Only the shards stop; for tests of what waits then. desk_end() follows. */
void desk_stop(struct desk *k);

/* Somebody who works, or would like to. */
struct worker {
    const char *id;
    const char *topics[8]; /* NULL after the last; none: as before */
    int32_t epoch;
    struct share_heartbeat_op op;
    struct el_slice names[8];
    bool waits;       /* for the answer */
    bool assigned;    /* the last answer had an assignment */
    char places[256]; /* "a:0,1 b:2" as the last assignment said */
    char text[LEASE_MESSAGE_LEN];
};

struct worker worker_of(const char *id, const char *topic);
/* Ask; the answer may come later. */
void worker_ask(struct worker *w, const char *group);
/* Ask and be answered; takes the epoch over. returns the error */
int worker_beat(struct worker *w, const char *group);
/* Join with what the worker subscribes to. */
int worker_join(struct worker *w, const char *group);
/* Partitions in places. */
uint32_t worker_load(const struct worker *w);

/* Set "name=value ..." as the whole set of overrides. returns the error; the text is in desk_text */
int desk_set(const char *group, const char *settings);
extern char desk_text[LEASE_MESSAGE_LEN];
/* An effective value; *exists: the group does. */
int64_t desk_setting(const char *group, enum group_setting_id id, bool *exists);
int desk_delete(const char *group);
/* "state epoch members", or "error N". */
const char *desk_describe(const char *group);
/* "id:state ..." */
const char *desk_list(void);

#endif
