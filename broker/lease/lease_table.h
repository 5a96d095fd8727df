/* SPDX-License-Identifier: Apache-2.0
 *
 * Lease table: the unfinished events of one partition, as one work group sees them. A pure state machine: no input or
 * output, no clock of its own, nothing depends on anything but the calls made. Owner shard only.
 *
 *                      +----------- release, end of backoff -------------+
 *                      v                                                 |
 *   add -> waiting -> ready -> leased -> settling -> finished (gone) ... | ...
 *            |   ^      ^        |  \-> backoff ------------------------>+
 *            v   |      |        v
 *          delayed -----+      dying -> buried -> settling      leased -> emitting -> settling
 *
 * Finished events are not kept: between the start and what has been read, an offset without an entry is finished. So a
 * slow event costs its own entry, however many have been finished behind it. With order=key an entry behind an
 * unfinished one of its key waits, and the first becomes ready when that is finished, which is when the write that
 * carries its outcome is durable. A dead letter may come back (lease_reopen()), also below the start.
 *
 * Progress is stored in blocks of 65,536 offsets, see lease_block_encode(). An entry costs 88 bytes, each
 * operation O(log n); what may touch more says so and is bounded for each call.
 */
#ifndef EL_LEASE_TABLE_H
#define EL_LEASE_TABLE_H

#include <lease/lease_memory.h>
#include <lease/lease_outcome.h>

#define LEASE_BLOCK_BITS 16u      /* offset >> 16 is the number of its block */
#define LEASE_ATTEMPTS_MAX 32767u /* counted no further: Kafka's delivery count has 16 bits */
#define LEASE_STEP_MAX 1024u      /* entries that one call of a tick, a move of the start or a reset works on */
#define LEASE_BLOCK_LEN_MAX (1u + 4u * 65536u) /* of an encoded block, see lease_block_encode() */
#define LEASE_NEVER UINT64_MAX

struct lease_table;

/* A time: leases and backoff run on the monotonic clock, ages and delays on the wall clock. */
struct lease_now {
    uint64_t mono_ns;
    int64_t wall_ms;
};

enum lease_order { LEASE_ORDER_KEY, LEASE_ORDER_PARTITION, LEASE_ORDER_NONE };
enum lease_exhausted { LEASE_SKIP, LEASE_PARK, LEASE_HALT };

struct lease_rules {
    enum lease_order order;
    uint32_t inflight_max;             /* leased at once, at least 1 */
    int32_t attempts_max;              /* deliveries in all, 1 .. LEASE_ATTEMPTS_MAX; -1 no end */
    int64_t lease_ms;                  /* at least 1 */
    int64_t backoff_ms;                /* after the first failure; 0 none */
    int64_t backoff_max_ms;            /* at least backoff_ms */
    uint32_t backoff_multiplier_milli; /* 2000: twice as long after each failure; at least 1000 */
    bool full_jitter;                  /* wait anything in (0, backoff] */
    int64_t age_max_ms;                /* from append; older ones are not tried again; -1 no end */
    enum lease_exhausted on_exhausted;
};

/* Where an entry is. */
enum lease_state {
    LEASE_STATE_READY,    /* may be leased */
    LEASE_STATE_WAITING,  /* behind an unfinished earlier event of its key */
    LEASE_STATE_DELAYED,  /* its not-before has not come; holds its key, as all below do */
    LEASE_STATE_LEASED,   /* with a session */
    LEASE_STATE_BACKOFF,  /* failed, waits for its next attempt */
    LEASE_STATE_SETTLING, /* its outcome is known and not yet part of a write */
    LEASE_STATE_WRITING,  /* its outcome is part of the write that is under way */
    LEASE_STATE_DYING,    /* to be told by lease_next_dying(): goes to the dead-letter topic */
    LEASE_STATE_BURIED,   /* told: the engine appends it */
    LEASE_STATE_CHECK,    /* to be told: its hash is that of a parked key, the bytes must be compared */
    LEASE_STATE_CHECKING, /* told: the engine compares */
    LEASE_STATE_HALTED,   /* exhausted, and the partition halts at it */
    LEASE_STATE_EMITTING, /* done, but for what it has emitted: lease_emit_done() ends that */
    LEASE_STATE_COUNT,
};
/* As people see it. */
const char *lease_state_name(enum lease_state state);

/* Why an event goes to the dead-letter topic. */
enum lease_death {
    LEASE_DEATH_NONE,
    LEASE_DEATH_EXHAUSTED,  /* as many attempts as are allowed */
    LEASE_DEATH_REJECTED,   /* a worker said so */
    LEASE_DEATH_TOO_OLD,    /* tried, and older than age_max_ms */
    LEASE_DEATH_PARKED_KEY, /* an earlier event of its key is parked */
    LEASE_DEATH_CHECK,      /* not dead: compare its key with the parked ones, see lease_next_dying() */
};

/* --- life --------------------------------------------------------------------------------------------------------- */

/* A table that has read nothing: everything below start is finished.
 *
 * memory    borrowed, outlives the table
 * start     at least 0
 * returns   0 | EVLOG_ERR_NO_MEMORY */
int lease_table_create(struct lease_memory *memory, const struct lease_rules *rules, int64_t start,
                       struct lease_table **table);
/* NULL is ignored. Takes time for each entry left; call lease_reset() until it is true first where that matters. */
void lease_table_destroy(struct lease_table *t);
/* New rules, for what is there as well: attempts and age are looked at when an entry would next be leased, leases and
 * backoff that run keep their end; what is halted dies when on_exhausted is not HALT any more.
 * returns   0 | EVLOG_ERR_AGAIN: another order while entries are there; nothing is changed */
int lease_set_rules(struct lease_table *t, const struct lease_rules *rules);
const struct lease_rules *lease_rules_of(const struct lease_table *t);

/* --- filling ------------------------------------------------------------------------------------------------------ */

/* Whether the filter lets an event pass by, and why. */
enum lease_pass {
    LEASE_PASS_NOT,        /* it matches, or there is no filter */
    LEASE_PASS_UNMATCHED,  /* it does not */
    LEASE_PASS_UNPARSABLE, /* it cannot, for its payload cannot be read */
    LEASE_PASS_TOO_LONG,   /* it cannot, within the steps there are */
};

struct lease_record {
    int64_t offset;
    uint64_t key_hash;      /* XXH3 of the key bytes, 1 for 0; 0: no key, ordered with nothing when order=key */
    int64_t append_ms;      /* when it was appended, for its age */
    int64_t not_before_ms;  /* wall clock; 0: at once */
    enum lease_pass passed; /* not NOT: finished at once, unless an attempt has been made; stored with the next write */
    enum lease_death death; /* an intent is stored for it: it dies for this when it is first of its key; else NONE */
    bool emits;             /* what it has emitted is stored: it is emitting, and its key is not held up by it */
};

/* Add the next event. Offsets rise; what lies between the last one and this is finished (holes, control records). An
 * event that lies below lease_read_next() is skipped: it is known, or was finished before a restart.
 * returns   0 | EVLOG_ERR_NO_MEMORY: nothing has changed; read-ahead pauses, and goes on when entries have finished */
int lease_add(struct lease_table *t, const struct lease_record *record, struct lease_now now);
/* Everything below offset has been added. */
void lease_read_to(struct lease_table *t, int64_t offset);
/* Where read-ahead goes on: behind all that was added, and behind what is known to be finished there. */
int64_t lease_read_next(const struct lease_table *t);

/* --- leasing ------------------------------------------------------------------------------------------------------ */

struct lease_grant {
    int64_t offset;
    uint32_t attempts; /* this one counted, 1 .. LEASE_ATTEMPTS_MAX */
    bool opens_batch;  /* for the reader: the first grant of its batch; false from here */
};

/* Lease what is ready to a session, lowest offsets first, as far as inflight_max allows; nothing while halted, or while
 * it is not durable that events have come back (lease_reopen()).
 *
 * session   not 0
 * returns   grants written, 0 .. max; they count from the next write on (lease_dirty()), which nobody awaits */
uint32_t lease_acquire(struct lease_table *t, uint64_t session, struct lease_now now, struct lease_grant *out,
                       uint32_t max);
/* The event did not fit into the answer: as if never leased.
 * returns   false: it is not leased by the session any more (its lease has ended, or the event is gone) */
bool lease_unacquire(struct lease_table *t, uint64_t session, int64_t offset, struct lease_now now);
/* Outcomes, all or none. Ranges must rise and not overlap. Each offset in them must be leased by session, and its lease
 * not have ended, whether or not a tick has seen that; only in a GAP there may be offsets without an event. What lies
 * below an offset given to lease_set_start() is left out: the event is gone. A FAIL for which neither an attempt nor
 * time is left goes to the dead letters, or halts.
 *
 * returns   0 | EVLOG_ERR_ARGUMENT: one of them is not so, and nothing has changed */
int lease_settle(struct lease_table *t, uint64_t session, const struct lease_outcome *outcomes, uint32_t count,
                 struct lease_now now);
/* What the event at offset has emitted is published, after an ACCEPT with emits or a restored record with them: it
 * settles.
 * returns   false: not yet, it was not read so far; true also when it is gone */
bool lease_emit_done(struct lease_table *t, int64_t offset);
/* All leases of the session are available again; the deliveries count. O(leased). */
void lease_release_session(struct lease_table *t, uint64_t session, struct lease_now now);
/* Do what is due: leases that end (a failure), backoff and delays that end; at most LEASE_STEP_MAX of them, by time.
 * returns   when to call again, on the monotonic clock (now.mono_ns: at once, there is more) | LEASE_NEVER. The wall
 *           clock may jump: where entries are delayed, call at least every few seconds */
uint64_t lease_tick(struct lease_table *t, struct lease_now now);
/* Be told of each lease that a tick ends, before anything becomes of its event. The table may not be called from
 * there. */
typedef void (*lease_expiry_fn)(void *arg, int64_t offset);
void lease_on_expiry(struct lease_table *t, lease_expiry_fn expired, void *arg);
/* Something can be leased now. */
bool lease_ready(const struct lease_table *t);
/* The lowest event at which the partition halts | -1 */
int64_t lease_halted(const struct lease_table *t);
/* Try what is halted anew, with all its attempts; once a write has made that durable. */
void lease_resume(struct lease_table *t, struct lease_now now);

/* --- dead letters ------------------------------------------------------------------------------------------------- */

struct lease_dead {
    int64_t offset;
    uint32_t attempts;
    enum lease_death death;
};

/* The next event that is to go to the dead-letter topic, lowest offset first; each is told once. For death CHECK the
 * caller compares the key and goes on with lease_check_passed(), or as with a PARKED_KEY. What is told may vanish when
 * the start moves; the calls below then return false and change nothing.
 * returns   false: none, *out is not written */
bool lease_next_dying(struct lease_table *t, struct lease_dead *out);
/* It was dead when it was read (struct lease_record.death), and an earlier event of its key has come back meanwhile: it
 * is not told before that one is finished. */
bool lease_dead_waits(const struct lease_table *t, int64_t offset);
/* It is in the dead-letter topic: finished with the next write. Also for one that waits so: then the others of its key
 * go on without it. */
bool lease_dead_done(struct lease_table *t, int64_t offset);
/* That failed: it is told again. */
bool lease_dead_retry(struct lease_table *t, int64_t offset);
/* Its key is not parked: it goes on as any other. */
bool lease_check_passed(struct lease_table *t, int64_t offset, struct lease_now now);
/* Events with this hash are to be checked from now on, before they are leased. Counted: once for each parked key.
 * returns   0 | EVLOG_ERR_NO_MEMORY */
int lease_park_hash(struct lease_table *t, uint64_t key_hash);
/* One key less is parked with this hash. After the last one those not yet told are leased again. O(to be checked). */
void lease_unpark_hash(struct lease_table *t, uint64_t key_hash, struct lease_now now);

/* --- durability --------------------------------------------------------------------------------------------------- */

/* There is something to write. */
bool lease_dirty(const struct lease_table *t);
typedef void (*lease_block_fn)(void *arg, uint64_t number, bool gone);
/* Begin a write; one at a time. What is settling now belongs to it. block is called for each block to be written,
 * inside of this call, and for each whose record may be deleted (gone), because the start has passed it. */
void lease_write_begin(struct lease_table *t, lease_block_fn block, void *arg);
/* The start that holds when the write is durable, to be stored with it. */
int64_t lease_write_start(const struct lease_table *t);
/* The write has ended. Durable: its events are finished and their keys go on. Else they belong to the next one. */
void lease_write_end(struct lease_table *t, bool durable, struct lease_now now);
/* One block, from lease_write_begin() to lease_write_end().
 *
 *   u8       1, the version
 *   runs, each of length 1 .. 65,536, in all at most 65,536, no two neighbours alike, the last one not untouched:
 *   uvarint  (length - 1) * 4 + kind: 0 untouched, 1 finished, 2 attempted, 3 rejected by a worker
 *   uvarint  attempts, 1 .. 32,767 (32,766 when rejected); kinds 2 and 3 only
 *
 * room      LEASE_BLOCK_LEN_MAX is always enough
 * returns   bytes written | 0: room is too small */
size_t lease_block_encode(const struct lease_table *t, uint64_t number, uint8_t *buf, size_t room);
/* A stored block, in any order, before anything is added; a later one for the same number replaces it, and one with
 * data NULL (its record was deleted) forgets it. Bytes from disk: all is checked.
 * returns   0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_NO_MEMORY: as if not called, or as if forgotten */
int lease_block_restore(struct lease_table *t, uint64_t number, struct el_slice data);

/* --- start -------------------------------------------------------------------------------------------------------- */

/* The first offset that is not finished. */
int64_t lease_start(const struct lease_table *t);
/* What the start becomes when the log is found to begin at that offset. */
int64_t lease_start_from(const struct lease_table *t, int64_t offset);
/* The log begins at offset now: all below is finished, leases there end. A lower offset than the start has no effect.
 * returns   false: LEASE_STEP_MAX entries are gone and there are more; call again */
bool lease_set_start(struct lease_table *t, int64_t offset, struct lease_now now);
/* Forget everything and begin at offset, which may lie below; leases end, stored blocks are written again as untouched.
 * Parked hashes stay. A write that is under way carries what was before: it holds when the next one is durable.
 * returns   false: LEASE_STEP_MAX entries are gone and there are more; call nothing else until it is true */
bool lease_reset(struct lease_table *t, int64_t offset);

/* --- again -------------------------------------------------------------------------------------------------------- */

/* A finished event becomes unfinished, without attempts: it was a dead letter, and is to be worked on once more. Its
 * key's other events wait for it as they do for any earlier one; it only waits for a later one that is in work already.
 * Where it lies below the start, that goes back to it. Its key, when parked, does not hold it up before it fails. With
 * the next write it is durable, and so is the block of its offset; lease_write_base() belongs to that write as well.
 * Nothing is leased before: a crash would forget that it is back, and later ones of its key would come after it.
 *
 * record    as it was read from the log again; its death is NONE, and it does not pass by
 * *open     out: it is unfinished already, or was not read yet: nothing has changed
 * returns   0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_AGAIN it is about to be finished, or more of its key wait than one call
 *           looks at. Nothing has changed then */
int lease_reopen(struct lease_table *t, const struct lease_record *record, struct lease_now now, bool *open);
/* Blocks without a record are finished below it, and were not read above. To be stored with a write while it is above
 * lease_write_start(). */
int64_t lease_write_base(const struct lease_table *t);
/* That which was stored, before anything is added. */
void lease_base_restore(struct lease_table *t, int64_t base);

/* --- looking ------------------------------------------------------------------------------------------------------ */

struct lease_counts {
    uint32_t of[LEASE_STATE_COUNT];
    uint32_t total;
};
struct lease_counts lease_counts(const struct lease_table *t);
/* Offsets in [from, end) that were not read yet and are known to be finished, from what was restored. At most
 * LEASE_STEP_MAX blocks and runs are looked at: with more of them it is a lower bound.
 *
 * from   not below lease_read_next() */
int64_t lease_finished_ahead(const struct lease_table *t, int64_t from, int64_t end);

struct lease_why {
    int64_t offset; /* the event that its key waits for, or that is in work */
    enum lease_state state;
    uint32_t attempts;
    uint64_t due_ns;  /* monotonic: when its lease or backoff ends; else LEASE_NEVER */
    int64_t due_ms;   /* wall: when its delay ends; else -1 */
    uint64_t session; /* leased by; else 0 */
    uint32_t behind;  /* events of the key that wait behind it */
};
/* Why a key waits. With order=partition the key does not matter; with order=none no key waits.
 * returns   false: no event of this key is unfinished */
bool lease_why(const struct lease_table *t, uint64_t key_hash, struct lease_why *out);

#endif
