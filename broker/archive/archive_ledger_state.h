/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger: what is signed, on the heap of the jobs that make manifests. Private to broker/archive.
 */
#ifndef EL_ARCHIVE_ARCHIVE_LEDGER_STATE_H
#define EL_ARCHIVE_ARCHIVE_LEDGER_STATE_H

#include <archive/archive_ledger.h>
#include <archive/archive_memo.h>
#include <format/note.h>
#include <store/archive_state.h>
#include <store/archive_tiles.h>

#define REMOVED_MAX 64u  /* objects that one manifest states as removed */
#define KIN_MAX 256u     /* other incarnations under the prefix */
#define RETIRING_MAX 64u /* partitions of which one manifest retires something */

/* Another incarnation under the prefix; see archive_kin.c. */
struct kin {
    struct el_uuid id;
    bool is_child;    /* its cluster.json names this one as its parent */
    int64_t began_ms; /* when that was put, by the store's clock */
};

/* Where a sweep for orphans stands, between its passes. */
struct archive_sweep {
    uint32_t place;                 /* folder that is looked at */
    char after[EL_ARCHIVE_KEY_MAX]; /* name looked at last, "" none */
    uint64_t removed, removed_len;
    uint64_t young;    /* not old enough */
    uint64_t of_child; /* another incarnation may need them */
};

/* What is kept on this disk of the last root, before anybody is shown it: archive/signed in the data directory. */
struct archive_guard {
    struct el_uuid incarnation;
    uint64_t sequence;        /* of the root; 0: none was signed */
    struct el_slice cluster;  /* cluster.json of the incarnation */
    struct el_slice note;     /* signed; empty at sequence 0 */
    struct el_slice manifest; /* of the root; at sequence 0 the draft of a restored directory, or empty */
    uint8_t *memory;          /* of a guard that was read: the slices lie in it */
};

/* Leaves of a partition that its tiles and newest checkpoint cover. */
struct tiled {
    struct el_uuid topic_id;
    int32_t number;
    uint64_t leaves;
};

/* What had left a partition in the archives that this one continues. */
struct inherited {
    struct el_uuid topic_id;
    int32_t number;
    int64_t end; /* below it they have nothing */
};

/* Since when objects from this number on are there, to the number of the next one of these: when they were stated, or
 * of those that were there at the start, when their events were appended. */
struct object_age {
    uint64_t number, since_ms;
};

struct archive_ledger {
    struct archive_config cfg;
    struct el_uuid cluster;
    uint32_t shard_count;
    struct el_public_key publics[EL_SIGN_KEYS_MAX]; /* [cfg.key_count] of the keys that sign */
    /* of the incarnation */
    struct el_uuid around;  /* incarnation under the prefix that was made last ... */
    uint64_t around_ms;     /* ... and when */
    struct el_uuid heir;    /* incarnation that names this disk's as its parent; zero: none */
    uint64_t heir_ms;       /* when it was made */
    uint64_t heir_sequence; /* last root that it continues */
    uint64_t seen_root;     /* of an archive that this disk is too old for: the newest root, ... */
    bool next_there;        /* and the manifest behind it */
    bool seen_next;
    uint64_t seen_ms; /* ... and when it was first seen, monotonic */
    bool older;       /* the first of these, and the newest root may tell what it lacks */
    bool behind;      /* this disk is older than what was signed, or has an heir */
    struct el_uuid incarnation;
    struct el_buffer cluster_json;
    struct archive_state *state; /* with the manifest below */
    struct archive_state *draft; /* of a restored directory, until the first manifest; NULL */
    struct archive_tiles tiles;  /* of the tree of manifests that are in the bucket */
    bool guard_folder_synced;    /* archive_guard_save() */
    /* of the manifest that is being put */
    struct el_buffer manifest, note;
    uint64_t full_len;    /* of the last full one */
    uint64_t delta_len;   /* of all deltas since */
    struct tiled *before; /* [before_count] as the partitions were before it, in the order of state->partitions */
    size_t before_count;
    size_t tiles_done;                              /* partitions whose tiles are put */
    char removing[REMOVED_MAX][EL_ARCHIVE_KEY_MAX]; /* [removing_count] objects that it states as removed */
    size_t removing_count;
    /* for shards */
    struct archive_told told;
    struct object_age *ages; /* [age_count] by number */
    size_t age_count, age_max;
    uint64_t aged_object; /* number of the newest object that they are about */
    uint64_t began_ms, planned_ms;
    size_t plan_turn;       /* partition where the next plan begins */
    uint32_t tasks_a_shard; /* of a plan */
    bool plan_behind;       /* the last one had more to do than tasks */
    struct archive_sweep sweep;
    /* what is too old; archive_retire.c */
    struct el_map topic_ages;                          /* topic id -> struct topic_age */
    struct el_map first_segments;                      /* topic id, partition -> struct first_segment */
    size_t retire_turn;                                /* partition where the next look begins */
    struct el_manifest_retired retiring[RETIRING_MAX]; /* [retiring_count] for the next manifest */
    size_t retiring_count;
    struct kin kin[KIN_MAX]; /* [kin_count] */
    size_t kin_count;
    struct inherited *inherited; /* [inherited_count] by topic id and number */
    size_t inherited_count;
    struct archive_memo *memo; /* what a start has read that failed; NULL nothing */
};

/* --- archive_begin.c ---------------------------------------------------------------------------------------------- */

/* Nothing is known of the incarnation. returns 0 | EVLOG_ERR_NO_MEMORY */
int archive_start_over(struct archive_ledger *l, struct el_error *err);
/* The state as of a manifest, from the full one that it builds on. The state is empty. */
int archive_load_state(struct archive_ledger *l, uint64_t sequence, struct el_error *err);
/* The state's root is that in the store; guard, unless it is NULL: and, byte for byte, what was signed here. */
int archive_check_root(struct archive_ledger *l, uint64_t sequence, const struct archive_guard *guard,
                       struct el_hash256 *root, struct el_error *err);
/* Sequence of the newest root in the store, 0 none. */
int archive_last_root(struct archive_ledger *l, uint64_t *last, struct el_error *err);

/* --- archive_heal_job.c ------------------------------------------------------------------------------------------- */

/* This disk is older than what was signed: load what was, and say what this disk knew. returns 0: l->told has it |
 * EVLOG_ERR_NOT_FOUND there is no root | _CONFLICT with a text: it cannot be healed | _AGAIN with job->waits: not yet |
 * what is to be tried again */
int archive_catch_up(struct archive_ledger *l, const struct archive_guard *guard, struct archive_begin_job *job,
                     struct el_error *err);

/* --- archive_guard.c ---------------------------------------------------------------------------------------------- */

/* returns 0 | EVLOG_ERR_NOT_FOUND there is none | _CORRUPT | _FORMAT | what the disk says, with a text */
int archive_guard_load(struct disk *disk, struct archive_guard *guard, struct el_error *err);
/* Durable when it returns 0. folder_synced: that the folder is, since the start of this process, which is set and need
 * not be done again; NULL: nobody knows */
int archive_guard_save(struct disk *disk, const struct archive_guard *guard, bool *folder_synced, struct el_error *err);
void archive_guard_free(struct archive_guard *guard);

/* --- archive_redact.c --------------------------------------------------------------------------------------------- */

/* Before a manifest is built: objects that are to take the place of others are put and join the job's results; or it is
 * found that nothing is left to do. */
int archive_redaction_run(struct archive_ledger *l, struct archive_make_job *job, struct el_error *err);
/* Is the object to go at once, because it may hold what is redacted? r may be NULL. */
bool archive_redaction_drops(const struct archive_redaction_job *r, const struct el_manifest_object *object);
/* State a redaction, unless it is stated; and that of the job, which may be NULL. */
void archive_redaction_state(const struct archive_ledger *l, const struct el_manifest_redaction *redaction,
                             struct el_buffer *out);
void archive_redaction_put(const struct archive_ledger *l, const struct archive_redaction_job *r,
                           struct el_buffer *out);

/* --- archive_publish.c -------------------------------------------------------------------------------------------- */

/* Sign the tree with the state's manifest. returns 0 | EVLOG_ERR_ */
int archive_sign_root(struct archive_ledger *l, struct el_error *err);
/* Note how far tiles of partitions reach, before a manifest is applied. returns 0 | EVLOG_ERR_NO_MEMORY */
int archive_note_tiles(struct archive_ledger *l, struct el_error *err);
/* Put the manifest and what belongs to it, the root last; to be repeated until it returns 0. */
int archive_publish(struct archive_ledger *l, struct archive_make_job *counts, struct el_error *err);
/* Put and count. */
int archive_put(struct archive_ledger *l, struct archive_make_job *counts, const char *key, const void *data,
                uint64_t len, struct el_error *err);

/* --- archive_kin.c ------------------------------------------------------------------------------------------------ */

/* Does an incarnation under the prefix go on from this one? *child_ms: when the youngest began, by the store's clock,
 * INT64_MIN none: what was put before stays. To be asked behind the root that says that something is removed.
 * returns 0 | what the store says: then nothing may be removed */
int archive_child_look(struct archive_ledger *l, int64_t *child_ms, struct el_error *err);
/* The other side: a restored directory begins, its cluster.json is put. Is everything there that it goes on from?
 * draft: header of its first manifest. returns 0 | EVLOG_ERR_CONFLICT with a text | what the store says */
int archive_parent_check(struct archive_ledger *l, const struct el_manifest_header *draft, struct el_error *err);

/* What had left by age before this incarnation began: the manifests of those that it continues say it, its own do not.
 * returns 0, also when they are not there or are damaged, which is told | EVLOG_ERR_NO_MEMORY | what the store says */
int archive_inherit(struct archive_ledger *l, struct el_error *err);
/* End of it, 0 nothing. */
int64_t archive_inherited_end(const struct archive_ledger *l, const struct archive_partition *p);

/* --- archive_memory.c --------------------------------------------------------------------------------------------- */

/* Bytes that it takes on the heap, about. In its job. */
uint64_t archive_ledger_memory(const struct archive_ledger *l);

/* --- archive_retire.c --------------------------------------------------------------------------------------------- */

/* What has to leave with the next manifest. returns 0 | what the store says: the next look goes on */
int archive_retire_look(struct archive_ledger *l, struct archive_sweep_job *job);
void archive_retire_free(struct archive_ledger *l);

/* --- archive_plan.c ----------------------------------------------------------------------------------------------- */

/* Forget what shards were told. */
void archive_told_free(struct archive_told *told);
/* How old bundles are that were there before: by the append times of a few of them. To be repeated when it fails.
 * returns 0 | EVLOG_ERR_NO_MEMORY | what the store says */
int archive_ages_find(struct archive_ledger *l, uint64_t now_ms, struct el_error *err);
/* What shards are to know of partitions that the last manifest stated (all: of every one), and the next tasks.
 * returns 0 | EVLOG_ERR_NO_MEMORY */
int archive_plan(struct archive_ledger *l, bool all, const struct archive_make_job *make, uint64_t now_ms,
                 struct el_error *err);

#endif
