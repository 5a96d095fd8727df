/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a batch may be appended to a partition of a topic with streams, and which versions its records get. No I/O:
 * what memory cannot answer is given to the caller as a list of lookups. Owner shard only; one batch of a partition at
 * a time, in the order of the appends.
 *
 *   1. stream_admit() is asked, after the producer's sequence has been checked
 *   2. EVLOG_ERR_AGAIN: a job answers stream_admit_lookups() from the runs, then stream_admit() is asked again;
 *      appends of the same partition wait meanwhile
 *   3. EVLOG_ERR_FULL, _NO_MEMORY: nothing is added; asked again when the active table is another one, or memory is
 *      free
 *   4. 0: the entries are in the active table; if the append then fails, stream_table_undo(view->active, view->undo)
 *   5. any other code is the answer. It speaks of nothing above batch->cited: it is given once that is durable
 *
 * A batch that is given up between 2 or 3 and the next call is told so with stream_admit_forget().
 */
#ifndef EL_STREAM_STREAM_ADMIT_H
#define EL_STREAM_STREAM_ADMIT_H

#include <stream/stream_batch.h>
#include <stream/stream_heads.h>
#include <stream/stream_table.h>

/* What a shard's index knows without I/O. */
struct stream_view {
    struct el_buddy *buddy;      /* for what is remembered of a batch while it waits */
    struct stream_table *active; /* takes the entries */
    struct stream_table *frozen; /* NULL none */
    struct stream_heads *heads;
    /* May any run hold an entry of slot and hash? false only when none does. */
    bool (*may_hold)(void *arg, uint32_t slot, struct el_hash128 hash);
    void *arg;
    struct stream_table_mark undo; /* out: of the last batch that was admitted */
    uint64_t by_memory;            /* counted: keys and ids that were answered by a table */
    uint64_t by_heads;             /* by the cache */
    uint64_t by_filters;           /* by filters: not there */
    uint64_t by_runs;              /* lookups asked for */
};

/* One question to the runs: the newest entry of slot and hash in any of them. */
struct stream_lookup {
    struct el_hash128 hash;
    bool of_id;        /* else of a key */
    bool found;        /* answer */
    uint64_t position; /* answer: of the entry found */
    uint64_t place;    /* answer */
};

/* Ask for the batch, whose first record would get base_offset. Costs time in proportion to its records.
 *
 * returns 0 admitted: versions and offsets of the records are filled in |
 *         EVLOG_ERR_AGAIN lookups are wanted | EVLOG_ERR_FULL | EVLOG_ERR_NO_MEMORY |
 *         EVLOG_ERR_EXISTS all event ids are there already: versions and offsets are those of the events that have them
 *         EVLOG_ERR_ID_CONFLICT records[failed_index] has an id that is there already, while others of the batch are
 *           not (its version and offset say where), or that an earlier record of the batch has (they are -1) |
 *         EVLOG_ERR_STREAM_ENDED the stream of records[failed_index] has been deleted for good; told says so |
 *         EVLOG_ERR_WRONG_VERSION told says what the stream of records[failed_index] is at; or failed_index is -1 and
 *           only separate checks have failed. All failing checks are filled in whatever the record's answer |
 *         EVLOG_ERR_TOO_LARGE its entries do not fit into an empty table
 */
int stream_admit(struct stream_view *view, uint32_t slot, int64_t base_offset, struct stream_batch *batch);

/* Catching up: take a batch of the log from record *done on, without checks. *done moves over what is in the active
 * table, also when the code is not 0; records are filled in.
 * returns 0 all of it | EVLOG_ERR_AGAIN lookups are wanted | EVLOG_ERR_FULL | EVLOG_ERR_NO_MEMORY */
int stream_admit_replay(struct stream_view *view, uint32_t slot, int64_t base_offset, struct stream_batch *batch,
                        uint32_t *done);

/* The questions of a batch that has got EVLOG_ERR_AGAIN: [*count], to be answered in place, on any thread. */
struct stream_lookup *stream_admit_lookups(struct stream_batch *batch, uint32_t *count);
/* Free what is remembered of a batch, if anything is. */
void stream_admit_forget(struct stream_view *view, struct stream_batch *batch);

/* What a stream is at, as far as memory knows.
 * returns 1 *head is set | 0 the stream has no event | EVLOG_ERR_AGAIN a run must be looked into */
int stream_view_head(struct stream_view *view, uint32_t slot, struct el_hash128 key, struct stream_head *head);

#endif
