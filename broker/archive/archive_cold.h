/* SPDX-License-Identifier: Apache-2.0
 *
 * What the reading jobs of a shard remember. Private to broker/archive.
 */
#ifndef EL_ARCHIVE_ARCHIVE_COLD_H
#define EL_ARCHIVE_ARCHIVE_COLD_H

#include <archive/archiver_state.h>
#include <store/archive_reader.h>

#define COLD_SLOTS 4u
#define COLD_SEEN 1024u
#define COLD_NEWEST 16u

/* On the heap of the shard's reading jobs. */
struct archive_cold {
    struct archive_reader *reader; /* NULL: not open */
    struct cold_slot {
        struct el_uuid topic_id;
        int32_t partition;
        struct archive_batches batches;
        int64_t from; /* it was read from here; -1: empty */
        uint64_t used;
    } slots[COLD_SLOTS];
    uint64_t uses;
    /* objects that were seen whole at the store, the oldest forgotten first */
    struct cold_seen {
        struct el_uuid incarnation;
        uint64_t number; /* 0: none */
    } seen[COLD_SEEN];
    uint32_t seen_at;
    /* greatest event times of what begins at the log start, as far as they were looked for */
    struct cold_newest {
        struct el_uuid topic_id;
        int32_t partition;
        int64_t from, upto; /* offsets; upto 0: empty */
        struct archive_newest found;
        uint64_t used;
    } newest[COLD_NEWEST];
};

/* --- archive_memory.c --------------------------------------------------------------------------------------------- */

/* Bytes that it takes on the heap, about; NULL: 0. */
uint64_t archive_cold_memory(const struct archive_cold *cold);

/* --- archive_look.c: in the job, the reader's root covers what is asked for --------------------------------------- */

/* TIER_BY_PRESENCE. Objects that are missing or others are counted, and said once.
 * returns 0 | EVLOG_ERR_CORRUPT | what the store says */
int cold_presence(struct archive_read_job *job, struct tier_read *read, struct el_error *err);
/* TIER_BY_NEWEST. returns 0 | EVLOG_ERR_AGAIN there is more to look at than one question may; the next goes on |
 * as archive_reader_read() */
int cold_newest(struct archive_cold *cold, struct tier_read *read, struct el_error *err);

#endif
