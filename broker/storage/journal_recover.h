/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a journal after a start: which groups count. Blocking, before the shard runs. docs/format.md section 7.
 */
#ifndef EL_STORAGE_JOURNAL_RECOVER_H
#define EL_STORAGE_JOURNAL_RECOVER_H

#include <core/err.h>
#include <format/journal_layout.h>
#include <io/disk.h>
#include <storage/journal.h>

/* Where the chain begins: the checkpoint's cut. */
struct journal_start {
    uint32_t shard;
    uint64_t incarnation;      /* that wrote the cut; 0 for an empty journal */
    uint64_t sequence;         /* the cut */
    uint64_t node_boot;        /* of the node file: no group may come from a later start ... */
    uint64_t node_incarnation; /* ... nor from another start with the same number ... */
    uint32_t node_tag;         /* ... nor from another node */
    bool clean;                /* the last run stopped well: nothing behind the first bad block of a slot can matter */
};

struct scan_group {
    uint32_t slot;
    struct el_group_header header;
};

struct journal_scan {
    struct scan_group *groups; /* accepted, by sequence; el_malloc */
    uint32_t group_count;
    uint64_t last_sequence[JOURNAL_SLOT_COUNT_MAX]; /* by slot: highest that may be needed, 0 none */
    uint32_t slot_count;
    uint64_t incarnation; /* of the last accepted group: parent of the next start */
    uint64_t sequence;    /* last accepted */
    uint64_t discarded;   /* valid groups behind a torn one: never acknowledged */
};

/* returns 0 | EVLOG_ERR_CORRUPT a group at or below the durable end is bad | _FORMAT | _IO | _NO_MEMORY */
int journal_scan(struct disk *disk, const struct journal_start *start, struct journal_scan *scan, struct el_error *err);
void journal_scan_free(struct journal_scan *scan);

typedef int (*journal_frame_fn)(void *arg, const struct el_group_header *group, const struct el_frame *frame);
/* Read the accepted groups again, in order, and hand out their frames. */
int journal_replay(struct disk *disk, uint32_t shard, const struct journal_scan *scan, journal_frame_fn fn, void *arg,
                   struct el_error *err);

#endif
