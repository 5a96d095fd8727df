/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files about archives share.
 */
#ifndef ARCHIVE_INTERNAL_H
#define ARCHIVE_INTERNAL_H

#include <store/archive_reader.h>
#include <store/archive_state.h>

void archive_partition_key(uint8_t key[20], const struct el_uuid *topic_id, int32_t partition);
/* A partition of which nothing is known; NULL when memory is short. */
struct archive_partition *archive_partition_new(void);
void archive_partition_free(struct archive_partition *partition);
/* This has left it. returns 0 | EVLOG_ERR_NO_MEMORY */
int archive_partition_retire(struct archive_partition *partition, const struct el_manifest_retired *stated);
/* The manifest that was applied last has these bytes: its hash, and the tree with it. */
void archive_state_stand_at(struct archive_state *state, const uint8_t *manifest, size_t len);
/* A text for errors: "topic 0123.../4" */
#define ARCHIVE_PLACE_MAX 64
const char *archive_place(char text[ARCHIVE_PLACE_MAX], const struct el_uuid *topic_id, int32_t partition);

/* Public keys that are believed. */
struct archive_trust {
    struct el_public_key keys[EL_SIGN_KEYS_MAX];
    size_t count;
};
/* Is the root signed by a key that is trusted? returns 0 | EVLOG_ERR_NOT_FOUND none of them signed it |
 * EVLOG_ERR_CORRUPT with a text */
int archive_trust_check(const struct archive_trust *trust, const struct archive_root *root, struct el_error *err);
/* Keys that a state states, which a trusted root covers, are trusted too; those that it calls retired are no more. */
void archive_trust_learn(struct archive_trust *trust, const struct archive_state *state);
/* The root is not signed by a trusted key: go along the keys' successors until one is found that signed it.
 * returns 0 the root is signed, trust has grown | EVLOG_ERR_CORRUPT with a text | what the store says */
int archive_trust_follow(struct archive_trust *trust, struct object_store *store, const struct archive_root *root,
                         struct el_error *err);

/* One manifest, whole. *manifest is freed by el_free(). */
int archive_manifest_get(struct object_store *store, const struct el_uuid *incarnation, uint64_t sequence,
                         uint8_t **manifest, uint64_t *len, struct el_error *err);

/* A batch table that was read and agrees with its part: rows[part.batch_count], encoded. */
struct archive_table {
    uint64_t object; /* 0: none */
    uint64_t table_pos;
    uint64_t used; /* when, to find the one that was not used for longest */
    uint8_t *rows; /* [len] */
    uint64_t len;
};
#define ARCHIVE_TABLES 8

/* The batch table of a part of the reader's own incarnation. *rows is valid until the next call. */
int archive_table_get(struct archive_reader *r, const struct el_archive_part *part, const uint8_t **rows,
                      struct el_error *err);

struct archive_reader {
    struct object_store *store;
    struct archive_trust trust;
    struct archive_root root;
    struct archive_state *state;
    struct archive_reader *parent; /* opened when it is asked for */
    struct archive_table tables[ARCHIVE_TABLES];
    uint64_t clock; /* of the tables */
    uint32_t depth; /* readers that are opening because of each other */
};

#endif
