/* SPDX-License-Identifier: Apache-2.0
 *
 * What is found out of a batch before it is admitted: each key and event id in it once, and what the index has of them.
 * Private to stream_admit.c and stream_resolve.c.
 */
#ifndef EL_STREAM_STREAM_RESOLVE_H
#define EL_STREAM_STREAM_RESOLVE_H

#include <stream/stream_admit.h>

#define STREAM_RESOLUTION_MAGIC OBJ_MAGIC('R', 'S', 'L', 'V')
#define SUBJECT_NONE UINT32_MAX

enum subject_state { SUBJECT_PENDING, SUBJECT_ABSENT, SUBJECT_FOUND };

/* A key or an event id. */
struct subject {
    struct el_hash128 hash;
    uint64_t position; /* found: of its newest entry */
    uint64_t place;    /* found */
    int64_t version;   /* of a key: with the records of the batch that have been gone through */
    uint64_t flags;    /* of a key: STREAM_PLACE_ flags of its last event, the same way */
    uint32_t lookup;   /* pending: its number in lookups */
    uint8_t state;     /* enum subject_state */
    bool of_id;
};

struct resolution {
    uint32_t magic;
    uint32_t subject_count;
    uint32_t lookup_count;
    uint32_t map_mask;
    bool asked;               /* lookups are being answered */
    int32_t repeated;         /* first record whose id an earlier one has, -1 none */
    uint32_t *map;            /* [map_mask + 1] number of a subject + 1, 0 free */
    uint32_t *key_of;         /* [record_count] number of the record's key, SUBJECT_NONE */
    uint32_t *id_of;          /* [record_count] of its event id, SUBJECT_NONE */
    uint32_t *check_of;       /* [check_count] of the check's key */
    struct subject *subjects; /* [subject_count] keys before ids */
    struct stream_lookup *lookups;
};

/* What the batch needs is known, or is asked for: batch->private_ is the resolution, until stream_admit_forget().
 *
 * with_ids  event ids too; else keys only
 * returns   0 all is known | EVLOG_ERR_AGAIN answer the lookups, then call again | EVLOG_ERR_NO_MEMORY call again
 */
int stream_resolve(struct stream_view *view, uint32_t slot, struct stream_batch *batch, bool with_ids);
/* Go back to what the index has: every key's version and flags without the records of the batch. */
void stream_resolve_rewind(struct resolution *r);

#endif
