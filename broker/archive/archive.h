/* SPDX-License-Identifier: Apache-2.0
 *
 * The archiver: brings what is durable here into an object store, signed, and reads it back when it is no longer on
 * this disk. docs/format.md section 15 is what it writes, docs/internals/archive.md how it works.
 *
 * One struct archive a node, one struct archiver a shard; the archive's own state machine, the *root maker*, runs on
 * shard 0. Everything that blocks is a job of the queue IO_JOB_ARCHIVE.
 */
#ifndef EL_ARCHIVE_ARCHIVE_H
#define EL_ARCHIVE_ARCHIVE_H

#include <core/sign.h>
#include <storage/store.h>
#include <store/object_store.h>

struct archive;
struct archiver;

#define ARCHIVE_DIR "archive" /* in the data directory: what was signed last */

struct archive_config {
    struct object_store *bucket;                   /* borrowed until archive_destroy() */
    struct el_private_key *keys[EL_SIGN_KEYS_MAX]; /* borrowed; all of them sign */
    size_t key_count;                              /* at least 1 */
    uint64_t lag_ms;                               /* from round to round */
    uint64_t segment_len;                          /* bytes of a partition that become an object of their own */
    uint64_t segment_ms;                           /* or their age */
    uint64_t replaced_ms;                          /* how long objects stay whose content is in others */
    uint64_t orphan_ms;                            /* age at which what no root names is removed; UINT64_MAX never */
    uint64_t ages_ms;                              /* from look to look for what is too old */
    uint64_t sweep_ms;                             /* from sweep to sweep for it */
    uint64_t sweep_names;                          /* that a pass of one looks at */
    uint64_t memory_max;     /* bytes to know what the archive has, once for the broker and once for each shard */
    uint32_t full_every;     /* manifests from one that says everything to the next, at most 64 */
    uint64_t hold_ms;        /* appends wait at most so long for what the store has to be known */
    bool heals;              /* an older disk is healed, not refused */
    uint64_t silent_ms;      /* when whoever put the newest root was silent for so long */
    void (*news)(void *arg); /* on shard 0: archive_asked() or archive_healed() says something new; may be NULL */
    void *news_arg;
    bool test_clock; /* nothing but the simulator: short waits */
};

/* Defaults for everything but bucket and keys. */
void archive_config_init(struct archive_config *cfg);
/* Before the shards run; ios and buddies are the store's. returns 0 | EVLOG_ERR_NO_MEMORY */
int archive_create(const struct archive_config *cfg, struct store *store, struct archive **archive,
                   struct el_error *err);
/* All shards have ended, idle or not at all (after a crash: with the shards' memory gone). NULL is passed through. */
void archive_destroy(struct archive *archive);
struct archiver *archive_shard(struct archive *archive, uint32_t index);

/* On the shard's thread, after store_shard_start(). Shard 0 begins to read what the bucket has. */
void archiver_start(struct archiver *ar);
/* One more round, or more of them until everything durable is in the archive, at the latest at deadline_ns (monotonic);
 * then nothing more. Every shard is told; archiver_idle() says when it has ended. Says in the log what is not there. */
void archiver_stop(struct archiver *ar, uint64_t deadline_ns);
bool archiver_idle(const struct archiver *ar);

/* --- any thread --------------------------------------------------------------------------------------------------- */

/* Why archiving has ended for good, or NULL. Text lives as long as the archive. */
const char *archive_stopped_reason(const struct archive *archive);
/* A sentence when this disk is older than what was signed and is not healed yet, else false. */
bool archive_behind(struct archive *archive, char *text, size_t text_len);
/* The store was asked what it has, and has answered or could not be reached. */
bool archive_asked(const struct archive *archive);
/* It is healed: to be stopped, and the store closed and opened anew. */
bool archive_healed(const struct archive *archive);
/* A sentence when it is late, else false. */
bool archive_late(const struct archive *archive, char *text, size_t text_len);

/* The same when nothing new is archived for want of memory. */
bool archive_full(const struct archive *archive, char *text, size_t text_len);
/* The same when the object store refuses objects until somebody acts. Any thread. */
bool archive_needs_somebody(struct archive *archive, char *text, size_t text_len);
/* The same when objects that a root covers were looked for in vain. */
bool archive_missing(const struct archive *archive, char *text, size_t text_len);

/* --- questions, on any shard's thread ----------------------------------------------------------------------------- */

enum archive_phase { ARCHIVE_BEGINS, ARCHIVE_WORKS, ARCHIVE_STOPPED };

/* ArchiveStatus and ArchiveNow. The caller keeps it in place until done, on the same thread. */
struct archive_ask {
    struct io_message message; /* private */
    struct el_list link;       /* private */
    struct io *origin;         /* private */
    struct archive *archive;   /* private */
    void (*done)(struct archive_ask *ask);
    void *arg;
    bool now;                /* begin a round at once */
    bool wait;               /* answer when what was durable before the question is in the archive */
    bool seal;               /* with now: what is in bundles becomes segments, of all topics or of topic_id */
    struct el_uuid topic_id; /* zero: all */
    uint64_t goal;           /* private */
    /* --- results ----- */
    int error; /* 0 | EVLOG_ERR_CLOSED stopping | _POLICY archiving has ended for good | _NO_MEMORY nothing new is
                * archived, and that is waited for */
    enum archive_phase phase;
    char text[256]; /* reason, last error of the object store; "" */
    struct el_uuid incarnation;
    uint64_t sequence;     /* of the last root, 0 none */
    uint64_t root_ms;      /* when it was made */
    uint64_t complete_ns;  /* every event appended at or before it is in the archive */
    uint64_t pending_len;  /* bytes, about, that are not */
    uint64_t object_count; /* live */
    uint64_t object_len;
    uint64_t replaced_count;
    uint64_t sweeps; /* for orphans that have ended, in this process */
};
void archive_ask(struct archiver *ar, struct archive_ask *ask);

/* Take what the archive has of a range out of it; this disk has none of it any more (store_redact()). Answered when the
 * bucket has neither. One at a time; it may be asked again. The caller keeps it in place until done, on the same
 * thread. */
struct archive_redact_ask {
    struct io_message message; /* private */
    struct io *origin;         /* private */
    struct archive *archive;   /* private */
    void (*done)(struct archive_redact_ask *ask);
    void *arg;
    struct el_uuid topic_id;
    int32_t partition;
    int64_t first_offset, end_offset;
    uint64_t when_ms;
    struct el_slice reason; /* borrowed until done */
    /* --- results ----- */
    int error; /* 0 | EVLOG_ERR_CLOSED stopping | _POLICY archiving has ended for good | _AGAIN another is under way |
                * _CONFLICT another archive goes on from this one, and needs it as it is */
    int64_t parent_end; /* what lies below is in the archive that this one continues, which is not changed */
    /* Before it is answered, on the thread of shard 0: all that is left is in the newest object of the archive, whose
     * events left by age, and which goes when something else is archived. */
    bool waits;
};
void archive_redact(struct archiver *ar, struct archive_redact_ask *ask);

#endif
