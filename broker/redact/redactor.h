/* SPDX-License-Identifier: Apache-2.0
 *
 * Hard redaction: batches that must not be anywhere leave this disk and the archive. One struct redactor a node; its
 * work is on shard 0. What is asked for is durable before anything is done, and is gone on with at the next start
 * until nothing is left of it. docs/internals/redaction.md.
 */
#ifndef EL_REDACT_REDACTOR_H
#define EL_REDACT_REDACTOR_H

#include <archive/archive.h>
#include <format/redaction.h>
#include <storage/store.h>

struct redactor;

#define REDACT_PENDING_MAX 64u /* redactions that are not done */
#define REDACT_DONE_MAX 16u    /* that are remembered after they are done, until the process ends */
#define REDACT_FILE "redactions"

/* After store_open(), before the shards run; archive may be NULL. Blocking: reads what earlier runs left.
 * returns 0 | EVLOG_ERR_CORRUPT | _FORMAT | _NO_MEMORY | ... with a text */
int redactor_create(struct store *store, struct archive *archive, struct disk *disk, struct redactor **redactor,
                    struct el_error *err);
/* All shards have ended. NULL is passed through. */
void redactor_destroy(struct redactor *redactor);
/* On the thread of shard 0, after archiver_start(). */
void redactor_start(struct redactor *redactor);
/* The same: nothing new is begun. */
void redactor_stop(struct redactor *redactor);

enum redact_state {
    REDACT_NOTHING,  /* there is nothing in the range that could be redacted, or not any more */
    REDACT_FOUND,    /* of a dry run: what would be redacted */
    REDACT_LOCAL,    /* accepted, and durable; the bytes leave this disk */
    REDACT_ARCHIVE,  /* they have left it, and are in the archive */
    REDACT_COMPLETE, /* they are nowhere */
};

/* The caller keeps it in place until done, on the same thread. */
struct redact_ask {
    struct io_message message; /* private */
    struct io *origin;         /* private */
    struct el_list link;       /* private */
    struct redactor *redactor; /* private */
    struct read_op read;       /* private */
    bool saving;               /* private: its entry is in the list that is being saved */
    int64_t covered;           /* private: the log has something at every offset of the range below it ... */
    bool holes;                /* private: ... but for some, which the archive may have */
    void (*done)(struct redact_ask *ask);
    void *arg;
    struct el_uuid topic_id;
    int32_t partition;
    int64_t first_offset, end_offset;
    struct el_slice reason; /* borrowed until done */
    bool dry_run;
    /* --- results ----- */
    int error;      /* 0 | EVLOG_ERR_UNKNOWN_TOPIC | _OFFSET_RANGE | _POLICY | _ARGUMENT | _LIMIT | _AGAIN | ... */
    char text[256]; /* what is wrong, or what is waited for; "" */
    enum redact_state state;
    int64_t first_found, end_found; /* offsets that are, or would be, redacted: those of whole batches */
    uint64_t batch_count, event_count;
    int64_t parent_end; /* offsets below it are in the archive that this one continues, which is not changed */
};
/* Redact a range, or look how far that has come: the same question again changes nothing. On any shard's thread. */
void redactor_ask(struct redactor *redactor, struct store_shard *shard, struct redact_ask *ask);

/* --- redact_file.c ------------------------------------------------------------------------------------------------ */

/* One that is not done. */
struct redact_entry {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t first_offset, end_offset;
    uint64_t when_ms;
    uint16_t reason_len;
    uint8_t reason[EL_REDACTION_REASON_MAX];
};
/* Blocking. *count 0: there is no file. returns 0 | EVLOG_ERR_CORRUPT | _FORMAT | what the disk says, with a text */
int redact_file_load(struct disk *disk, struct redact_entry entries[REDACT_PENDING_MAX], uint32_t *count,
                     struct el_error *err);
/* Durable when it returns 0. */
int redact_file_save(struct disk *disk, const struct redact_entry *entries, uint32_t count);

#endif
