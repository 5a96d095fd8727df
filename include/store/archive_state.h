/* SPDX-License-Identifier: Apache-2.0
 *
 * What the manifests of one incarnation say, in memory: topics, partitions with their parts, objects, keys, redactions.
 * Manifests are applied one after the other, and every rule of docs/format.md section 15.4 is checked on the way, so
 * that who writes manifests (the archiver applies its own before it signs) and who reads them go by the same code.
 * Nothing is read or written here, and no signature is looked at. One thread.
 *
 * A writer's round: put the records that changed into a buffer (el_manifest_*_put), seal it as a delta with
 * archive_state_next(), apply it, and from time to time archive_state_to_full() to publish all there is instead.
 */
#ifndef EL_STORE_ARCHIVE_STATE_H
#define EL_STORE_ARCHIVE_STATE_H

#include <core/err.h>
#include <core/map.h>
#include <format/archive_layout.h>

struct archive_partition {
    struct el_manifest_partition now; /* as stated last */
    /* What left by age; tree.size 0: nothing. Never NULL: of its own, or one that all share where nothing has. */
    const struct el_manifest_retired *retired;
    /* [part_count] that count, by leaf, which is by offset; leaves retired.tree.size .. now.tree.size. Packed: they are
     * read by archive_part_at() */
    struct archive_slim_part *slim_parts;
    uint32_t part_count;
    uint32_t part_max;
    uint32_t wide_count;    /* of those, how many are kept whole, for they do not fit */
    uint32_t index;         /* in the state's partitions */
    uint64_t changed;       /* sequence of the manifest that stated it last */
    uint64_t parts_changed; /* sequence of the manifest that changed its parts last */
    bool dirty;             /* to be checked at the end of the manifest */
    uint8_t key[20];        /* of the map */
};

struct archive_topic {
    struct el_manifest_topic now; /* name and settings are this struct's own */
    uint64_t changed;
    uint8_t *text; /* name, then settings */
};

/* As it is handed out, a copy. */
struct archive_object {
    struct el_manifest_object now;
    uint32_t part_count; /* of its parts, those that count */
    uint64_t live_len;   /* bytes of their batches */
    bool dirty;
};

struct archive_key {
    struct el_manifest_key now; /* bytes are this struct's own */
    uint64_t first_sequence;    /* of the manifest that stated it; of a state that began with a full one: that one's */
    uint8_t *bytes;
};

struct archive_redaction {
    struct el_manifest_redaction now; /* reason is this struct's own */
    uint8_t *reason;
};

struct archive_state {
    struct el_manifest_header header; /* of the manifest applied last; sequence 0: none yet */
    uint8_t sha256[32];               /* of that manifest */
    struct el_frontier before;        /* tree of the manifests before it */
    struct el_frontier tree;          /* and with it: what a root signs */
    struct el_map topics;             /* id -> struct archive_topic, in the order in which they were stated */
    struct el_map partitions;         /* topic id, partition -> struct archive_partition, in that order */
    /* [object_count] live and replaced ones, by number. Packed: they are read by archive_object_at() */
    struct archive_slim_object *slim_objects;
    size_t object_count, object_max;
    size_t wide_count;    /* of those, how many are kept whole, for they do not fit */
    uint64_t last_object; /* highest number given */
    struct archive_key *keys;
    size_t key_count, key_max;
    struct archive_redaction *redactions;
    size_t redaction_count, redaction_max;
    bool broken; /* an apply failed in the middle: good for nothing but archive_state_free() */
};

/* Memory that it takes on the heap, bytes, without what the allocator adds. */
uint64_t archive_state_memory(const struct archive_state *state);

/* Length of the full manifest that archive_state_to_full() makes of it, or a few bytes more. */
uint64_t archive_state_full_len(const struct archive_state *state);

/* An empty state; NULL when memory is short. */
struct archive_state *archive_state_new(void);
void archive_state_free(struct archive_state *state); /* NULL is passed through */

/* Apply the next manifest: of an empty state any full one, else the one behind the last. After a failure other than a
 * refusal of its header the state is broken.
 *
 * returns  0 | EVLOG_ERR_CORRUPT | _TRUNCATED | _FORMAT | _NO_MEMORY, with a text that names record and rule
 */
int archive_state_apply(struct archive_state *state, const uint8_t *manifest, size_t len, struct el_error *err);

/* Is `after` something that `before` can have become: nothing that was stated is gone or goes back?
 * returns 0 | EVLOG_ERR_CORRUPT with a text */
int archive_state_continues(const struct archive_state *before, const struct archive_state *after,
                            struct el_error *err);

/* Header of the next manifest, a delta (the first of all: a full one), to be sealed after cut_ns, made_ms and
 * leader_epoch were set; and the record that it must begin with. */
void archive_state_next(const struct archive_state *state, const struct el_uuid *incarnation,
                        struct el_manifest_header *header);
static inline void archive_state_put_tree(const struct archive_state *state, struct el_buffer *out)
{
    el_manifest_tree_put(out, &state->tree);
}
/* Deltas since the last full one: at EL_MANIFEST_CHAIN_MAX the one just applied must become a full one. */
static inline uint64_t archive_state_chain(const struct archive_state *state)
{
    return state->header.sequence - state->header.full_sequence;
}
/* Write the manifest that was applied last anew as a full one, to be published in its place; the state goes on from it.
 * out is empty. returns 0 | EVLOG_ERR_NO_MEMORY | _LIMIT: the state is as it was */
int archive_state_to_full(struct archive_state *state, struct el_buffer *out);

struct archive_topic *archive_state_topic(const struct archive_state *state, const struct el_uuid *id);
/* The one of this name that is not deleted, else the one deleted last; NULL. */
struct archive_topic *archive_state_topic_named(const struct archive_state *state, struct el_slice name);
struct archive_partition *archive_state_partition(const struct archive_state *state, const struct el_uuid *topic_id,
                                                  int32_t partition);
/* The object at index, below object_count: numbers rise with it. */
struct archive_object archive_object_at(const struct archive_state *state, size_t index);
/* returns false: there is none with this number */
bool archive_state_object(const struct archive_state *state, uint64_t number, struct archive_object *object);
/* The part at index, below part_count: leaves and offsets rise with it. */
struct el_archive_part archive_part_at(const struct archive_partition *partition, uint32_t index);
/* First part that ends above offset. returns false: there is none */
bool archive_partition_part(const struct archive_partition *partition, int64_t offset, struct el_archive_part *part);
/* Leaves that the partition's segments cover, or have covered, from the first on: the size of its tiles and its newest
 * checkpoint. */
uint64_t archive_partition_segment_leaves(const struct archive_state *state, const struct archive_partition *partition);

#endif
