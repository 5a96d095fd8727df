/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes small archives in any object store, as a broker would that is asked round by round: bundles, segments, tiles,
 * checkpoints, manifests, roots, cluster.json. Everything is derived from what is given, so two builders that are told
 * the same put the same bytes. A failed call is an assertion, but for memory that is failed on purpose.
 *
 *   struct archive_builder *b = archive_builder_open(store, &(struct archive_build){.seed = 1, .keys = ...});
 *   archive_builder_topic(b, "orders", 2);
 *   archive_builder_append(b, "orders", 0, 3);    three batches
 *   archive_builder_round(b);                      a bundle with them, and root 1
 *   archive_builder_segment(b, "orders", 0);       with the next round, what is in bundles becomes a segment
 *   archive_builder_round(b);
 */
#ifndef EL_TEST_ARCHIVE_BUILDER_H
#define EL_TEST_ARCHIVE_BUILDER_H

#include <core/sign.h>
#include <store/archive_state.h>
#include <store/archive_tiles.h>

struct archive_build {
    uint64_t seed;                      /* of ids and salts */
    struct el_private_key *const *keys; /* [key_count], borrowed */
    size_t key_count;
    const struct archive_state *parent; /* incarnation that this one continues; NULL: none */
    uint64_t start_ns;                  /* append time of the first batch; 0: 2026-01-01 */
};

struct built_batch {
    struct el_pack_batch row;
    uint8_t *data; /* [row.len] */
};

struct built_partition {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t start_offset; /* of this incarnation */
    int64_t next_offset;
    int64_t log_start;
    struct built_batch *batches; /* [count] of this incarnation, by leaf */
    size_t count, max;
    size_t archived; /* batches in packs */
    size_t in_segments;
    struct el_frontier frontier; /* of what is archived */
    struct archive_tiles *tiles; /* of what is in segments */
    bool wants_segment;
    bool is_new;
    bool moved; /* log start did */
};

struct archive_builder {
    struct object_store *store;
    struct el_uuid cluster, incarnation, parent;
    uint64_t parent_sequence;
    struct el_hash256 parent_root;
    struct el_private_key *keys[EL_SIGN_KEYS_MAX];
    size_t key_count;
    bool keys_new;
    struct el_private_key *retired[EL_SIGN_KEYS_MAX]; /* to be stated with the next round */
    size_t retired_count;
    struct archive_state *state; /* as of the last round */
    struct archive_tiles *root_tiles;
    struct el_manifest_topic *topics; /* to be stated */
    size_t topic_count;
    struct built_partition *partitions[256];
    size_t partition_count;
    struct el_manifest_redaction redactions[16]; /* to be stated */
    size_t redaction_count;
    struct el_manifest_retired leaving[16]; /* to be stated */
    size_t leaving_count;
    uint64_t salt; /* counter */
    uint64_t now_ns;
    uint64_t bundle_sequence;
    uint64_t made_ms;
    bool full; /* the next manifest is a full one */
};

struct archive_builder *archive_builder_open(struct object_store *store, const struct archive_build *build);
void archive_builder_close(struct archive_builder *b);

/* A new topic; its id is derived from the name, but for that of __evlog_meta, which is as it always is. */
void archive_builder_topic(struct archive_builder *b, const char *name, uint32_t partition_count);
void archive_builder_delete_topic(struct archive_builder *b, const char *name);
struct el_uuid archive_builder_topic_id(const char *name);
/* Append batches of two records each, "<topic>/<partition>/<offset>" as values, one second of append time apart; with
 * an event time of a millisecond per offset since 2026-01-01. */
void archive_builder_append(struct archive_builder *b, const char *topic, int32_t partition, uint32_t batch_count);
/* Append a batch as it is; offset, leader epoch and append time are set. */
void archive_builder_append_batch(struct archive_builder *b, const char *topic, int32_t partition,
                                  struct el_slice batch, uint64_t append_time_ns);
/* The next batch is so many offsets further: a gap. */
void archive_builder_skip(struct archive_builder *b, const char *topic, int32_t partition, int64_t offsets);
void archive_builder_log_start(struct archive_builder *b, const char *topic, int32_t partition, int64_t offset);
/* With the next round all batches that are archived but in no segment become one. */
void archive_builder_segment(struct archive_builder *b, const char *topic, int32_t partition);
/* With the next round the batch that has this offset, which must be in a segment, is redacted: that is put anew. */
void archive_builder_redact(struct archive_builder *b, const char *topic, int32_t partition, int64_t offset,
                            const char *reason);
/* With the next round so many of the partition's first parts, segments all, leave by age. */
void archive_builder_retire(struct archive_builder *b, const char *topic, int32_t partition, uint32_t part_count);
/* Sign with these from the next round on; that one is signed by the old ones too, which then are retired. */
void archive_builder_rotate(struct archive_builder *b, struct el_private_key *const *keys, size_t key_count);
/* Put what is pending, a manifest and a root. complete through: the append time of the last batch. */
void archive_builder_round(struct archive_builder *b);
/* Remove objects that were replaced, but for the newest of all; they are stated as removed in the next round. */
void archive_builder_sweep(struct archive_builder *b);
struct built_partition *archive_builder_partition(struct archive_builder *b, const char *topic, int32_t partition);

#endif
