/* SPDX-License-Identifier: Apache-2.0
 *
 * The object store of a simulated machine, and an auditor who looks at every root as it appears.
 *
 * Each call is a step at which the machine may crash and jobs may pause, like a call of the disk; faults are those of
 * faults.h. What is there outlives the machine. The auditor applies each manifest by the code that readers use, checks
 * the root's signature and the objects that the manifest states, and remembers every note that was ever put, also by a
 * put that failed: two trees of one size that are signed both are a violation.
 *
 * There is a line of incarnations, each but the first continuing one before it. The newest is that which is looked at;
 * what it begins with is in those that it comes from. A root of one that is continued by another is a violation.
 */
#ifndef EL_SIM_ARCHIVE_BUCKET_H
#define EL_SIM_ARCHIVE_BUCKET_H

#include "../lib/mem_store.h"
#include "world.h"
#include <core/sign.h>
#include <store/archive_state.h>

#define BUCKET_NOTES_FIRST 1024u

struct bucket_note {
    uint64_t origin; /* hash of it */
    uint64_t size;
    uint8_t root[32];
};

#define BUCKET_LINES_MAX 12u

/* An incarnation. */
struct bucket_line {
    struct el_uuid incarnation;
    struct archive_state *state; /* as of its newest root */
    struct bucket_line *parent;  /* NULL: it is the first */
    bool continued;              /* by another one, which has begun */
};

struct bucket {
    struct object_store base;
    struct mem_store *mem;
    struct world *w;
    struct el_public_key publics[EL_SIGN_KEYS_MAX];
    size_t public_count;
    struct el_uuid cluster;                     /* once it is known */
    struct bucket_line lines[BUCKET_LINES_MAX]; /* [line_count] */
    uint32_t line_count;
    struct bucket_line *line;    /* the newest */
    struct archive_state *state; /* its own; without one, that of nothing */
    struct archive_state *nothing;
    struct bucket_note *notes; /* [note_count] */
    uint32_t note_count, note_room;
    bool stopped;
    uint64_t refuses_until_ns;
    int64_t clock_ms; /* the store's clock is so far ahead of the world's */
    uint64_t roots, objects, removed;
};

void bucket_init(struct bucket *b, struct world *w);
void bucket_free(struct bucket *b);
/* A process that opens it again. */
void bucket_reopen(struct bucket *b);
/* Audit everything: objects, tables, batches, leaves, tiles, checkpoints. returns false: a violation was noted */
bool bucket_audit(struct bucket *b);
/* Packs of the newest incarnation that its root does not name and that were put at or before a time of the store's
 * clock. */
uint32_t bucket_orphans(const struct bucket *b, int64_t until_ms);
/* End of what the newest root, with those that it comes from, has of a partition; 0 nothing. */
int64_t bucket_end(const struct bucket *b, const struct el_uuid *topic_id, int32_t partition);
/* What has left by age of a partition; tree.size 0: nothing. */
const struct el_manifest_retired *bucket_retired(const struct bucket *b, const struct el_uuid *topic_id,
                                                 int32_t partition);
/* Is it stated, by the newest root or one that it comes from, that the batch was redacted, and for this reason? */
bool bucket_redacted(const struct bucket *b, const struct el_uuid *topic_id, int32_t partition,
                     const struct el_pack_batch *row, const char *reason);
/* Each batch that the archive has of a partition, in order, from the first incarnation to the newest. fn returns false
 * to end. */
typedef bool (*bucket_batch_fn)(void *arg, const struct el_pack_batch *row, const uint8_t *batch);
void bucket_each(struct bucket *b, const struct el_uuid *topic_id, int32_t partition, bucket_batch_fn fn, void *arg);

#endif
