/* SPDX-License-Identifier: Apache-2.0
 *
 * What jobs of the archiver are told and tell. Private to broker/archive. A struct archive_ledger knows everything that
 * the newest root covers; it lives on the heap and is used by one job at a time.
 */
#ifndef EL_ARCHIVE_ARCHIVE_LEDGER_H
#define EL_ARCHIVE_ARCHIVE_LEDGER_H

#include <archive/archive.h>
#include <format/archive_layout.h>
#include <format/redaction.h>
#include <stdatomic.h>

/* --- one object --------------------------------------------------------------------------------------------------- */

/* A run of batches in a load's buffer. */
struct load_part {
    struct el_uuid topic_id;
    int32_t number;
    uint32_t first_entry; /* of the load's entries */
    uint32_t count;
    uint64_t first_leaf;
};

struct archive_task;

struct archive_pack_job {
    struct object_store *bucket;
    struct el_uuid incarnation;
    uint32_t shard;
    enum el_pack_kind kind;
    uint64_t sequence; /* of a bundle */
    const uint8_t *data;
    size_t data_len;
    const struct read_entry *entries_end; /* entry i is entries_end[-1 - i] */
    uint32_t entry_count;
    struct load_part *parts; /* [part_count], each partition once; the job sorts them */
    uint32_t part_count;
    const struct archive_task *task; /* instead of data: a segment of what bundles hold; NULL none */
    uint32_t sources_done;           /* of the task */
    struct archive_result *result;   /* of the heap, there from the first run on; the caller's when the job succeeds */
    struct el_error err;
};

/* Build the object, if that was not done, and try once to put it. */
int64_t archive_pack_run(struct disk *disk, void *arg);

struct result_part {
    struct el_archive_part part;
    uint64_t last_append_ns;
    const struct el_hash256 *leaves; /* [part.batch_count] */
    struct el_manifest_redaction
        *redactions;          /* [redaction_count] of its batches that came as marks; heap, and so ... */
    uint32_t redaction_count; /* ... are the reasons */
};

struct archive_result {
    struct archive_result *next;
    uint8_t *bytes; /* [object.len], until it is put */
    struct el_manifest_object object;
    bool replaces;    /* parts of bundles, or of objects that held what was redacted */
    uint64_t redacts; /* number of the object that it takes the place of, without what was redacted; 0 none */
    uint32_t part_count;
    struct result_part *parts;
    struct el_hash256 *leaves;
};
void archive_result_free(struct archive_result *result); /* not its next; NULL is passed through */
void archive_results_free(struct archive_result *list);

/* --- what shards are told ----------------------------------------------------------------------------------------- */

struct archive_told_part {
    struct el_uuid topic_id;
    int32_t number;
    int64_t end;       /* the archive reaches so far, and needs nothing of the disk below */
    uint64_t leaf;     /* batches in the tree */
    int64_t log_start; /* as the manifests have it */
    /* while an older disk is healed: */
    int64_t known_end;  /* end when this disk was the archive's */
    int64_t healed_end; /* what the shard has made of it */
    int64_t retired;    /* below it the archive has nothing any more */
};

/* A part in a bundle. */
struct archive_source {
    char key[EL_ARCHIVE_KEY_MAX];
    struct el_archive_part part;
};

/* A segment that is to take the place of parts of bundles. It is made of them, not of what this disk has. */
struct archive_task {
    uint64_t data_len;
    uint32_t batch_count;
    struct archive_source *sources; /* [source_count] of one partition, in order of leaves, without a hole */
    uint32_t source_count;
};

/* Of all shards' partitions: each takes its own; of tasks those whose index is its own modulo the number of shards.
 * Valid until the next job of the ledger. */
struct archive_told {
    struct archive_told_part *parts; /* [part_count] */
    size_t part_count;
    struct archive_task *tasks; /* [task_count] */
    size_t task_count;
};

/* --- what the manifest is made of --------------------------------------------------------------------------------- */

struct archive_move {
    struct el_uuid topic_id;
    int32_t number;
    int64_t log_start;
};

/* All topics of the catalogue, back to back: an entry, name, settings, padded to 8 bytes. */
struct archive_catalogue {
    uint8_t *data; /* of shard 0's buddy; NULL: nothing has changed */
    size_t len;
};
struct archive_topic_entry {
    struct el_uuid id;
    uint32_t partition_count;
    uint16_t name_len, settings_len;
    bool internal;
};

/* --- jobs on the ledger ------------------------------------------------------------------------------------------- */

struct archive_ledger;

struct archive_begin_job {
    struct archive_ledger *ledger;
    struct el_uuid fresh; /* incarnation to begin with when there is none */
    uint64_t now_ms;
    uint64_t mono_ms; /* monotonic */
    uint32_t shard_count;
    struct archive_told told;
    uint64_t bundle_next[EL_SHARD_COUNT_MAX];
    uint64_t sequence, complete_ns, root_ms;
    uint64_t kept_ns;      /* complete_ns of what this disk has signed last, 0 none; also when the job fails */
    uint64_t memory_len;   /* of the ledger, bytes */
    uint64_t manifest_len; /* of a full manifest of what it knows, about, bytes */
    bool readable;         /* also of a job that failed: incarnation and sequence are this disk's */
    struct el_uuid incarnation;
    struct el_uuid parent; /* of one that was restored and has no root yet; zero: none */
    uint64_t parent_sequence;
    bool older;   /* out: this disk is; told says what it lacks */
    bool waits;   /* out: it is, and whoever has the newer one may be at work */
    bool further; /* out: the store has told something that no try before this one knew */
    struct el_error err;
};

/* A disk that was healed becomes one that continues the archive. */
struct archive_adopt_job {
    struct archive_ledger *ledger;
    struct store *store;
    struct archive_told told;
    struct el_uuid fresh; /* the incarnation to come */
    uint64_t now_ms;
    int32_t leader_epoch;
    bool made; /* what is to be written */
    struct el_error err;
};

/* What is to leave the archive. */
struct archive_redaction_job {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t first_offset, end_offset;
    uint64_t when_ms;
    uint8_t reason[EL_REDACTION_REASON_MAX];
    size_t reason_len;
    /* --- of the job ----- */
    int64_t first_found, end_found; /* batches that go with this manifest; end_found 0: none */
    int64_t parent_end; /* what lies below is in the archive that this one continues, which stays as it is */
    bool child;         /* another archive goes on from this one, and needs its objects as they are */
    bool done;          /* nothing of it is left */
    bool waits;         /* all that is left is in the newest object of all, which goes when another one comes */
};

enum archive_make_step {
    MAKE_BUILD,
    MAKE_SIGN,
    MAKE_GUARD,   /* keep it on this disk */
    MAKE_PUBLISH, /* manifest, tiles, checkpoints, root */
    MAKE_FINISH,
};

struct archive_make_job {
    struct archive_ledger *ledger;
    uint64_t now_ms;
    uint64_t cut_ns;                                    /* that everything reaches now, or 0 */
    struct archive_result *results[EL_SHARD_COUNT_MAX]; /* lists; the job frees them */
    const struct archive_move *moves[EL_SHARD_COUNT_MAX];
    uint32_t move_counts[EL_SHARD_COUNT_MAX];
    struct archive_catalogue catalogue;
    bool seal; /* plan segments of everything, of one topic or of all */
    struct el_uuid seal_topic;
    int32_t leader_epoch;
    struct archive_redaction_job *redaction; /* NULL none */
    enum archive_make_step step;             /* where it goes on; MAKE_BUILD at first */
    struct archive_told told;
    uint64_t sequence, complete_ns, root_ms;
    uint64_t put_count, put_len; /* objects put by this run */
    uint64_t memory_len;         /* of the ledger, bytes */
    uint64_t manifest_len;       /* of a full manifest of what it knows, about, bytes */
    uint64_t object_count, object_len, replaced_count;
    uint64_t retired_count; /* partitions of which something left */
    struct el_error err;
};

/* What is done between two rounds: a look for what is too old (archive_retire.c), a pass of a sweep for orphans
 * (archive_sweep.c). */
struct archive_sweep_job {
    struct archive_ledger *ledger;
    const _Atomic bool *hurry; /* somebody waits for the next round */
    bool ages;                 /* look for what is too old */
    uint64_t now_ns;           /* append clock */
    struct topic_config topic_defaults;
    bool orphans;     /* make a pass */
    bool goes_on;     /* behind the last pass, which was not the sweep's last one */
    bool over;        /* result: it was the last one, or failed */
    uint64_t removed; /* result: objects */
    struct el_error err;
};

/* cluster: of the data directory; keys and bucket borrowed. returns 0 | EVLOG_ERR_NO_MEMORY */
int archive_ledger_create(const struct archive_config *cfg, const struct el_uuid *cluster, uint32_t shard_count,
                          struct archive_ledger **ledger);
void archive_ledger_destroy(struct archive_ledger *ledger);
/* Jobs. Each returns 0, or an error, and is then run again, or EVLOG_ERR_CONFLICT with a text: archiving must end for
 * good. */
int64_t archive_begin_run(struct disk *disk, void *arg);
int64_t archive_adopt_run(struct disk *disk, void *arg);
int64_t archive_make_run(struct disk *disk, void *arg);
/* Behind a root that this process has put, and before the next round. returns 0 | EVLOG_ERR_; it is not run again. */
int64_t archive_sweep_run(struct disk *disk, void *arg);

#endif
