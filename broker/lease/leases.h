/* SPDX-License-Identifier: Apache-2.0
 *
 * Work groups (Kafka's share groups), as the rest of the broker sees them: one struct leases per shard. What a group
 * is, its settings and members, is decided on shard 0, the control; what is leased of a partition, on the shard that
 * owns the partition. What must survive is a record of the internal topic __evlog_groups, durable before anybody is
 * told.
 *
 * Requests are ops, as in storage/store.h and group/groups.h: the caller fills one that it owns (in its request's
 * arena), submits it on its own shard, and keeps it and all it points to in place until op->base.done is called, once,
 * on the same thread, maybe from inside the submit call. base.error is then 0 or an EVLOG_ERR_ code, base.message says
 * more where it is not empty. Results that vary in length lie in op->base.block until lease_op_release().
 *
 * Rules: docs/semantics.md, Work groups. Protocol: KIP-932.
 */
#ifndef EL_LEASE_LEASES_H
#define EL_LEASE_LEASES_H

#include <core/map.h>
#include <lease/lease_outcome.h>
#include <storage/store.h>

#define LEASES_TOPIC "__evlog_groups"
#define LEASE_MESSAGE_LEN 256u
#define LEASE_RANGES_MAX 1024u /* of one partition in one answer */

struct group_config; /* config/group_config.h */
struct leases;
struct lease_op;
struct lease_block;

/* Is an id free, or has a group of another kind got it? Asked on shard 0 before a work group is made. */
#define LEASE_KIND_ROOM 512u
struct lease_kind_question {
    struct el_slice group_id;
    /* The answer, once, on the same thread, maybe from inside: 0 free | EVLOG_ERR_GROUP_KIND | why nobody knows */
    void (*told)(struct lease_kind_question *question, int error);
    _Alignas(16) uint8_t room[LEASE_KIND_ROOM]; /* of the one who answers */
};

struct leases_config {
    const struct topic_config *topic_defaults; /* borrowed, lives as long as the leases */
    uint64_t memory_max;                       /* of this shard's work groups, bytes (group.memory.max) */
    int32_t members_max;                       /* of a group (group.share.max.size) */
    /* NULL: every id is free. */
    void (*ask_kind)(void *kind_arg, struct lease_kind_question *question);
    void *kind_arg;
};

/* --- life --------------------------------------------------------------------------------------------------------- */

/* peers and shard are borrowed. No other shard may send ops before all have been made.
 * returns 0 | EVLOG_ERR_NO_MEMORY */
int leases_create(struct store_shard *shard, struct leases *const *peers, const struct leases_config *cfg,
                  struct leases **leases);
/* On the shard's thread, once: begin to read the records of this shard. */
void leases_start(struct leases *ls);
/* New settings (SIGHUP). */
void leases_configure(struct leases *ls, const struct leases_config *cfg);
/* The shard stops: nothing waits any more. Ops that wait here end with EVLOG_ERR_CLOSED. */
void leases_stop(struct leases *ls);
/* No write, read or op is under way: the store may stop. */
bool leases_idle(const struct leases *ls);
/* No op may be under way. */
void leases_destroy(struct leases *ls);
/* A session number that is given once in the life of the process; never 0. */
uint64_t leases_session(struct leases *ls);

/* List where the work groups of this shard stand, and their topics of dead letters, for a look at how far they are
 * behind. Its thread, at once. */
struct lag_list;
void leases_lag(struct leases *ls, struct lag_list *list);

/* Is there such a work group? As this shard knows, which is told before the one who made the group is. */
bool leases_has(struct leases *ls, struct el_slice group_id);

/* --- ops ---------------------------------------------------------------------------------------------------------- */

typedef void (*lease_op_fn)(struct lease_op *op);

struct lease_op {
    struct io_message message;                           /* private: the way between shards */
    struct io_message cancel_message;                    /* private */
    struct el_list link;                                 /* private: place in a list of the owner */
    struct leases *origin, *owner;                       /* private */
    void (*run)(struct leases *ls, struct lease_op *op); /* private */
    uint32_t flags;                                      /* private */
    bool at_owner;                                       /* private: it runs or waits there; owner's view */
    bool cancel_sent, cancel_back, ended;                /* private: origin's view */
    struct el_slice group_id;                            /* the caller's */
    lease_op_fn done;                                    /* the caller's */
    void *arg;                                           /* the caller's */
    struct lease_block *block;                           /* results, see lease_op_release() */
    int error;                                           /* out: 0 or EVLOG_ERR_ */
    char message_text[LEASE_MESSAGE_LEN];                /* out: for people; empty: none */
};

/* Give the results back; on the origin's thread, once, after done. No effect without any. */
void lease_op_release(struct lease_op *op);
/* End the wait of a watch op: done comes soon, mostly with EVLOG_ERR_CLOSED. */
void leases_cancel(struct lease_op *op);

/* --- groups: run on shard 0 --------------------------------------------------------------------------------------- */

struct share_assignment {
    struct el_uuid topic_id;
    const int32_t *partitions; /* [count] */
    uint32_t count;
};

/* A sign of life of a member: member_epoch 0 joins, -1 leaves.
 * errors: UNKNOWN_MEMBER, MEMBER_EPOCH, GROUP_FULL, GROUP_KIND (a consumer group has this id), NO_MEMORY, ARGUMENT */
struct share_heartbeat_op {
    struct lease_op base;
    struct el_slice member_id;
    int32_t member_epoch;
    struct el_slice rack; /* data NULL: unchanged or none */
    struct el_slice client_id, host;
    const struct el_slice *topics; /* [topic_count] names subscribed to; NULL: unchanged */
    uint32_t topic_count;
    /* out */
    int32_t member_epoch_out;
    int32_t heartbeat_ms;
    bool assigned;                              /* the assignment is told (it is new to the member) */
    const struct share_assignment *assignments; /* [assignment_count] */
    uint32_t assignment_count;
};
void leases_heartbeat(struct leases *ls, struct share_heartbeat_op *op);

struct share_member_view {
    struct el_slice id, rack, client_id, host; /* rack: data NULL: none */
    int32_t epoch;
    const struct el_slice *topics; /* [topic_count] */
    uint32_t topic_count;
    const struct share_assignment *assignments; /* [assignment_count] */
    uint32_t assignment_count;
};
/* errors: GROUP_NOT_FOUND */
struct share_describe_op {
    struct lease_op base;
    /* out */
    const char *state; /* static: Empty, Stable, Dead */
    int32_t epoch, assignment_epoch;
    const struct share_member_view *members; /* [member_count] */
    uint32_t member_count;
};
void leases_describe(struct leases *ls, struct share_describe_op *op);

struct lease_group_view {
    struct el_slice id;
    const char *state; /* static */
};
struct lease_list_op {
    struct lease_op base;                  /* group_id unused */
    const struct lease_group_view *groups; /* out: [group_count] */
    uint32_t group_count;
};
void leases_list(struct leases *ls, struct lease_list_op *op);

/* An empty group, its settings and all it knows of any partition.
 * errors: GROUP_NOT_FOUND, GROUP_NOT_EMPTY */
struct lease_delete_op {
    struct lease_op base;
};
void leases_delete(struct leases *ls, struct lease_delete_op *op);

/* Settings of a group. SET replaces the overrides by config, and makes the group when there is none.
 * errors: as topic_op's; AGAIN: the overrides are not the expected ones any more */
struct lease_settings_op {
    struct lease_op base;
    enum { LEASE_SETTINGS_GET, LEASE_SETTINGS_SET } verb;
    bool validate_only;
    const struct group_config *config;   /* SET; borrowed */
    const struct group_config *expected; /* SET: NULL, or the overrides that config was made from; borrowed */
    struct group_config *current;        /* NULL, or where the overrides as they are now are written: may be expected */
    bool exists;                         /* out */
};
void leases_settings(struct leases *ls, struct lease_settings_op *op);

/* --- redrive of dead letters: run on shard 0 ---------------------------------------------------------------------- */

#define LEASE_SELECT_RANGES_MAX 64u
#define LEASE_SELECT_TEXT_MAX (64u << 10) /* of a key, reason or pattern */

/* Which letters: those that are all of it. Letters of other groups, and those redriven or dropped before, never are. */
struct lease_selection {
    struct lease_select_range {
        int32_t partition;
        int64_t first, last; /* inclusive */
    } ranges[LEASE_SELECT_RANGES_MAX];
    uint32_t range_count;       /* 0: all offsets */
    struct el_slice key;        /* of the event; data NULL: any */
    struct el_slice reason;     /* as the letter's header has it; data NULL: any */
    struct el_slice pattern;    /* event pattern on the letter; data NULL: none */
    int64_t since_ms, until_ms; /* of the letter's own time, since <= time < until; -1: open */
};

enum lease_redrive_action {
    LEASE_REDRIVE_BACK, /* events come back to their group */
    LEASE_REDRIVE_DROP, /* nothing becomes of them */
    LEASE_REDRIVE_COPY, /* they are appended to a topic, as they were */
};
enum lease_redrive_state {
    LEASE_REDRIVE_BEGINNING, /* nobody was told of it */
    LEASE_REDRIVE_RUNNING,
    LEASE_REDRIVE_DONE,
    LEASE_REDRIVE_CANCELLED,
    LEASE_REDRIVE_FAILED,
};

/* Begin a redrive of the letters that are in the topic now: a task that runs until it has seen them all, also over
 * restarts. A dry run is one that changes nothing, is not stored and only counts.
 * errors: GROUP_NOT_FOUND; UNKNOWN_TOPIC, INVALID_TOPIC of the letters; CONFLICT another one of this topic is running;
 *         ARGUMENT the selection, or the target, cannot be; NO_MEMORY, STORAGE, LIMIT too many tasks */
struct lease_redrive_op {
    struct lease_op base;
    struct el_slice topic; /* of the letters */
    enum lease_redrive_action action;
    struct el_slice target; /* COPY: name of the topic; else data NULL */
    bool dry_run;
    uint32_t rate;                           /* events a second, 0: as fast as it goes */
    const struct lease_selection *selection; /* borrowed */
    uint64_t id;                             /* out */
};
void leases_redrive(struct leases *ls, struct lease_redrive_op *op);

struct lease_redrive_counts {
    uint64_t total;    /* offsets in all that are to be looked at, about */
    uint64_t seen;     /* of those */
    uint64_t matched;  /* letters that were selected */
    uint64_t redriven; /* come back, or copied */
    uint64_t dropped;
    uint64_t gone;    /* the source does not have the event any more; they stay open */
    uint64_t passed;  /* the group's filter lets the event pass by, or the target does not take it; they stay open */
    uint64_t settled; /* selected, but redriven or dropped before */
    uint64_t others;  /* of another group, or no letters at all */
};

struct lease_redrive_view {
    uint64_t id;
    struct el_slice group, topic, why; /* why: data NULL: nothing to say */
    struct el_slice target;            /* COPY; else data NULL */
    enum lease_redrive_action action;
    enum lease_redrive_state state;
    bool dry_run;
    uint32_t rate;
    int64_t began_ms, ended_ms; /* ended: -1 not yet */
    int32_t partition;          /* where it stands */
    int64_t offset;
    struct lease_redrive_counts counts;
};

/* LIST: all, or of one topic of letters; DESCRIBE, CANCEL: one. A cancel is answered when it has ended.
 * errors: NOT_FOUND, CONFLICT it has ended before */
struct lease_redrives_op {
    struct lease_op base; /* group_id unused */
    enum { LEASE_REDRIVES_LIST, LEASE_REDRIVES_DESCRIBE, LEASE_REDRIVES_CANCEL } verb;
    uint64_t id;
    struct el_slice topic;                  /* LIST: data NULL: of all */
    const struct lease_redrive_view *views; /* out: [view_count] */
    uint32_t view_count;
};
void leases_redrives(struct leases *ls, struct lease_redrives_op *op);

/* --- leases: run on the shard that owns the partition ------------------------------------------------------------- */

struct lease_range {
    int64_t first, last; /* inclusive */
    int32_t deliveries;  /* this one counted */
};

/* What one answer to a worker may bring, and how long it waits for that once there is something, by the settings of the
 * group as this shard knows them. */
struct lease_batch {
    uint32_t records_max, bytes_max;
    int64_t window_ms;
};
struct lease_batch leases_batch(struct leases *ls, struct el_slice group_id);

/* Outcomes first, then lease what is ready. All outcomes of an op are taken, or none.
 * errors: of the op: UNKNOWN_TOPIC, STORAGE, CLOSED, NO_MEMORY, GROUP_LOADING (records are being read; try again)
 * outcome_error: 0 | EVLOG_ERR_LEASE (not leased by this session, or finished) | EVLOG_ERR_TOO_LARGE (what is emitted;
 * the events are still leased) | EVLOG_ERR_NO_MEMORY, EVLOG_ERR_STORAGE, EVLOG_ERR_CLOSED */
struct lease_fetch_op {
    struct lease_op base;
    struct el_uuid topic_id;
    int32_t partition;
    uint64_t session;
    struct el_slice worker;               /* who, for stories: member id */
    const struct lease_outcome *outcomes; /* [outcome_count] */
    uint32_t outcome_count;
    uint32_t records_max; /* 0: outcomes only */
    uint32_t bytes_max;   /* of data; the first batch may be larger */
    uint32_t range_fill;  /* a range of so many offsets ends where its batch does; 0: only gaps and attempts end one */
    int64_t window_ms;    /* without outcomes: once an event is there, wait so long for as many as are asked for */
    /* out */
    int outcome_error;
    bool emits_refused; /* outcome_error is about what was to be emitted */
    int32_t lease_ms;
    const struct lease_range *ranges; /* [range_count] rising */
    uint32_t range_count;
    uint8_t *data; /* whole batches, back to back, rising; in the owner's memory, until lease_op_release() */
    uint32_t data_len;
    size_t memory_len; /* bytes of memory that it lies in */
    uint64_t until_ns; /* private: the window ends then; 0 not begun */
};
void leases_fetch(struct leases *ls, struct lease_fetch_op *op);

/* Fires (error 0) when something of the partition may be leased, at once when it may be now. */
struct lease_watch_op {
    struct lease_op base;
    struct el_uuid topic_id;
    int32_t partition;
};
void leases_watch(struct leases *ls, struct lease_watch_op *op);

/* A session ends: all it holds of this partition is available again. */
struct lease_release_op {
    struct lease_op base;
    struct el_uuid topic_id;
    int32_t partition;
    uint64_t session;
};
void leases_release(struct leases *ls, struct lease_release_op *op);

/* Where a group stands in a partition.
 * ALTER needs an empty group (GROUP_NOT_EMPTY); offset -1 latest, -2 earliest. DELETE forgets the partition. */
struct lease_offsets_op {
    struct lease_op base;
    enum { LEASE_OFFSETS_GET, LEASE_OFFSETS_ALTER, LEASE_OFFSETS_DELETE } verb;
    struct el_uuid topic_id;
    int32_t partition;
    int64_t offset; /* ALTER */
    bool exists;    /* out */
    int64_t start;  /* out: first offset that is not finished; -1 none */
    int64_t lag;    /* out: events that are not finished; -1 unknown */
    uint64_t ready, leased, waiting, backoff, delayed, dying, emitting; /* out: events by state */
    int64_t halted_at;                                                  /* out: -1 no */
    struct stat_op stat;                                                /* private */
};
void leases_offsets(struct leases *ls, struct lease_offsets_op *op);

/* Why a key waits. */
struct lease_why_op {
    struct lease_op base;
    struct el_uuid topic_id;
    int32_t partition;
    struct el_slice key;
    /* out */
    bool known; /* it waits, or is leased */
    bool parked;
    int64_t offset;    /* the event that the others wait for */
    const char *state; /* static */
    int32_t attempts;
    int64_t due_ms;  /* until the lease or the wait ends; -1 no end */
    uint64_t behind; /* events behind it */
};
void leases_why(struct leases *ls, struct lease_why_op *op);

/* Release a parked key, or, key.data NULL, a halted partition.
 * A key can be released on condition that no letter of it has come since its token was asked for.
 * errors: NOT_FOUND (nothing is parked or halted), CONFLICT the token is not that of the key any more */
struct lease_release_key_op {
    struct lease_op base;
    struct el_uuid topic_id;
    int32_t partition;
    struct el_slice key;
    bool ask;       /* only tell the token of a parked key */
    uint64_t token; /* in: 0: release it in any case; out, with ask */
};
void leases_release_key(struct leases *ls, struct lease_release_key_op *op);

/* A letter is open, and may be redriven or dropped, until it is one of the others. */
enum lease_letter_state {
    LEASE_LETTER_OPEN,
    LEASE_LETTER_REDRIVEN,
    LEASE_LETTER_DROPPED,
};

struct lease_letter_range {
    int64_t first, last; /* inclusive */
    enum lease_letter_state state;
};

/* MARK: durable when it is answered. GET: those of first .. last that are not open, as far as `end`.
 * errors: GROUP_NOT_FOUND, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC, NO_MEMORY, STORAGE; AGAIN: another MARK is under way */
struct lease_letters_op {
    struct lease_op base;
    enum { LEASE_LETTERS_GET, LEASE_LETTERS_MARK } verb;
    struct el_uuid topic_id; /* of the letters */
    int32_t partition;
    int64_t first, last;               /* GET */
    struct lease_letter_range *ranges; /* MARK: [range_count] rising, none open; GET: out */
    uint32_t range_count;
    int64_t end; /* GET, out: below it all is told; above last when that is all */
};
void leases_letters(struct leases *ls, struct lease_letters_op *op);

#endif
