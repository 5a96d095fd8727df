/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the verifier share. One `struct check` is one incarnation; threads share the `struct verify`.
 */
#ifndef ARCHIVE_VERIFY_INTERNAL_H
#define ARCHIVE_VERIFY_INTERNAL_H

#include "archive_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <store/archive_verify.h>

struct verify {
    struct object_store *store;
    const struct archive_verify_options *options;
    struct archive_report *report;
    struct el_error *err;
    pthread_mutex_t lock; /* report, err, code */
    int code;             /* first error that ends it */
    atomic_bool stop;
    uint64_t total; /* bytes of packs, for progress */
};

/* A tile or a checkpoint that the listing found. */
struct seen_tile {
    uint32_t level;
    uint32_t width;
    uint64_t index;
    bool used; /* it was compared */
};
struct seen_tree {
    struct seen_tile *tiles; /* [tile_count], in the order of the listing until sorted */
    size_t tile_count, tile_max;
    uint64_t *sizes; /* [size_count] of checkpoints, ascending */
    size_t size_count, size_max;
    uint64_t *expected; /* [expected_count] sizes that must have one, ascending; deep only */
    size_t expected_count, expected_max;
    struct archive_partition *partition; /* NULL: the tree of manifests */
    uint8_t key[20];
};

struct check {
    struct verify *v;
    struct archive_reader *reader;
    struct archive_state *state; /* the reader's */
    struct archive_state *since; /* of the earlier visit in this incarnation, or NULL */
    const struct archive_reader *child;
    struct el_map names;         /* key -> struct seen_object */
    struct seen_object *objects; /* [state->object_count] */
    struct el_map trees;         /* topic id, partition -> struct seen_tree */
    struct seen_tree *all_trees; /* [partitions] */
    struct seen_tree manifests;
    uint64_t next_root, next_manifest; /* that the listing should show */
    bool history_done;                 /* every manifest was applied: sizes that were signed are known */
    char **orphans;
    size_t orphan_count, orphan_max;
    atomic_size_t next; /* item of work */
};

struct seen_object {
    char key[EL_ARCHIVE_KEY_MAX];
    struct el_manifest_object object;
    bool seen;
    bool wrong_len;
};

/* Where something is wrong; all but the first may be left out by designated initialisers. */
struct place {
    const char *object;
    const struct el_uuid *topic_id; /* NULL: none */
    int32_t partition;
    int64_t offset_1; /* offset + 1; 0: none */
    uint64_t byte_1;  /* byte + 1; 0: none */
};
void verify_find(struct verify *v, const struct archive_state *state, struct place place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The code of a call on the store or an archive: what is wrong with the archive becomes a finding, all else ends the
 * verification. returns true when the caller may go on with something else; err has the text */
bool verify_settle(struct verify *v, const struct archive_state *state, int code, const struct el_error *err,
                   struct place place);
void verify_fail(struct verify *v, int code, const struct el_error *err);
static inline bool verify_stopped(struct verify *v)
{
    return atomic_load(&v->stop);
}
void verify_progress(struct verify *v, uint64_t len);
/* Run fn(check) on as many threads as were asked for. */
void verify_run(struct check *c, void (*fn)(struct check *c));

/* Do all lines of a note hold, each of a key that the state states; one at least? */
bool verify_note(const struct archive_state *state, const struct el_uuid *cluster, struct el_slice note);
/* "tile/..." taken apart. */
bool verify_tile_name(const char *name, struct seen_tile *tile);

void verify_list(struct check *c);
void verify_trees(struct check *c);
void verify_packs(struct check *c);
void verify_orphans(struct check *c);
void verify_history(struct check *c);
/* Compare a tree's tiles of a size that is not a multiple with what is there; edge at that size. */
int verify_tile(struct check *c, struct seen_tree *seen, uint32_t level, uint64_t index,
                const struct el_hash256 *hashes, uint32_t width);
/* Tiles that were not compared, when the tree is known: edge is its right one. */
void verify_tiles_left(struct check *c, struct seen_tree *seen, const struct archive_tiles *edge);
struct archive_tree verify_tree_of(struct check *c, const struct seen_tree *seen);

#endif
