/* SPDX-License-Identifier: Apache-2.0
 *
 * What a lease table must do, told a second time and as plainly as possible: one array of all events of a small log,
 * every question answered by going through it, nothing remembered that could be found by looking. Slow on purpose, and
 * sharing nothing with the table but the words of its interface.
 *
 * Events have real keys here; several keys share a hash, as they may in life.
 */
#ifndef EL_TEST_LEASE_MODEL_H
#define EL_TEST_LEASE_MODEL_H

#include <lease/lease_table.h>

#define MODEL_EVENTS_MAX 512
#define MODEL_HASHES 6 /* 0: no key */
#define MODEL_FINISHED LEASE_STATE_COUNT

struct model_event {
    /* of the log */
    int64_t offset;
    uint32_t hash; /* 0 .. MODEL_HASHES - 1 */
    int64_t append_ms, not_before_ms;
    bool passed;
    /* of the group */
    bool read;
    int state; /* enum lease_state, or MODEL_FINISHED */
    uint32_t attempts;
    uint64_t due_ns;
    uint64_t session;
    bool must_check;
    enum lease_death death;
    bool undelayed; /* it could have been leased once: its delay counts no more */
    bool returned;  /* it has come back, maybe behind a later one */
    /* what was restored says of it, until it is read */
    bool ahead_finished, ahead_rejected;
    uint32_t ahead_attempts;
    /* of the disk: what the last durable write has carried; what the write under way would */
    bool stored_finished, pending_finished;
    uint32_t stored_attempts, pending_attempts;
    bool stored_rejected, pending_rejected;
    enum lease_death intent; /* stored at once */
    bool emits;              /* the same of what it has emitted */
    bool unordered;          /* that was stored when it was read: it is done, and holds up nobody */
    /* what the world outside has seen */
    bool acknowledged, buried;
    bool accepted; /* its outcome was ACCEPT or GAP, not durable yet */
};

struct model {
    struct lease_rules rules;
    struct lease_now now;
    uint64_t draw;
    struct model_event events[MODEL_EVENTS_MAX];
    uint32_t count;
    uint32_t from, to; /* no event outside of these is live: the others need not be looked at */
    uint32_t parked[MODEL_HASHES];
    int64_t floor;
    int64_t log_start;
    bool writing;
    bool returned, returned_writing; /* events have come back, and that is not durable */
    int64_t pending_start, stored_start;
};

uint64_t model_hash(uint32_t hash);
/* Leave finished ones out of the looking. */
void model_narrow(struct model *m);
bool model_live(const struct model_event *e);
uint32_t model_count(const struct model *m, int state);
/* Index of the event at that offset | -1 */
int model_find(const struct model *m, int64_t offset);
/* Another event that is not finished and is ordered with it comes before it, or is in work. */
bool model_is_behind(const struct model *m, uint32_t i);
/* The same, of those that come before it only; its index | -1 */
int model_before(const struct model *m, uint32_t i);

void model_add(struct model *m, uint32_t i);
/* returns false: it is unfinished already; *ending: and about to be finished */
bool model_reopen(struct model *m, uint32_t i, bool *ending);
uint32_t model_acquire(struct model *m, uint64_t session, struct lease_grant *out, uint32_t max);
void model_unacquire(struct model *m, uint32_t i);
/* read_next: as the table has it */
bool model_settle(struct model *m, uint64_t session, const struct lease_outcome *o, uint32_t count, int64_t read_next);
void model_release_session(struct model *m, uint64_t session);
uint64_t model_tick(struct model *m);
bool model_ready(const struct model *m);
int64_t model_halted(const struct model *m);
void model_resume(struct model *m);
bool model_next_dying(struct model *m, struct lease_dead *out);
bool model_dead_waits(const struct model *m, int64_t offset);
bool model_dead_done(struct model *m, int64_t offset);
bool model_dead_retry(struct model *m, int64_t offset);
bool model_check_passed(struct model *m, int64_t offset);
bool model_emit_done(struct model *m, int64_t offset, int64_t read_next);
void model_park(struct model *m, uint32_t hash);
void model_unpark(struct model *m, uint32_t hash);
void model_write_begin(struct model *m, int64_t read_next);
void model_write_end(struct model *m, bool durable);
void model_restart(struct model *m);
void model_set_start(struct model *m, int64_t offset);
void model_reset(struct model *m, int64_t offset);
void model_set_rules(struct model *m, const struct lease_rules *rules);
/* The first offset that is not finished, where anything is read and is not; else -1 */
int64_t model_start(const struct model *m);

#endif
