/* SPDX-License-Identifier: Apache-2.0
 *
 * Trees: the leaves of a partition, from its batch tables in order, are folded; on the way the tree is compared with
 * that of an earlier visit, with each checkpoint at its size, with the tiles; at the end with what the manifests say.
 * Partitions are divided over threads.
 *
 * Without `deep` only the newest checkpoint is read, and the tiles of its size that are not full: they show the rest of
 * the tree, and names and lengths of the others were listed.
 */
#include "archive_verify_internal.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <inttypes.h>
#include <stdlib.h>

struct fold {
    struct check *c;
    struct seen_tree *seen;
    const struct archive_partition *p;
    struct archive_tiles *tiles;
    int64_t offset; /* behind the last batch */
    uint64_t append_ns;
    size_t next_size;        /* of seen->sizes */
    uint64_t segment_leaves; /* tiles are there up to it */
    uint64_t since_size;     /* 0: none */
};

static struct place at(const struct fold *f, const char *object, int64_t offset, uint64_t byte)
{
    return (struct place){.object = object,
                          .topic_id = &f->p->now.topic_id,
                          .partition = f->p->now.partition,
                          .offset_1 = offset + 1,
                          .byte_1 = byte + 1};
}

struct archive_tree verify_tree_of(struct check *c, const struct seen_tree *seen)
{
    struct archive_tree tree = {
        .store = c->v->store, .incarnation = c->state->header.incarnation, .of_manifests = seen->partition == NULL};
    if (seen->partition != NULL) {
        tree.topic_id = seen->partition->now.topic_id;
        tree.partition = seen->partition->now.partition;
    }
    return tree;
}

/* --- tiles -------------------------------------------------------------------------------------------------------- */

static int by_tile(const void *a, const void *b)
{
    const struct seen_tile *x = a, *y = b;
    if (x->level != y->level) {
        return x->level < y->level ? -1 : 1;
    }
    if (x->index != y->index) {
        return x->index < y->index ? -1 : 1;
    }
    return x->width < y->width ? -1 : x->width > y->width;
}

int verify_tile(struct check *c, struct seen_tree *seen, uint32_t level, uint64_t index,
                const struct el_hash256 *hashes, uint32_t width)
{
    struct archive_tree tree = verify_tree_of(c, seen);
    struct seen_tile key = {.level = level, .width = width, .index = index};
    struct seen_tile *tile = seen->tile_count == 0 ? NULL
                                                   : bsearch(&key, seen->tiles, seen->tile_count, sizeof(key), by_tile);
    char name[EL_ARCHIVE_KEY_MAX];
    uint8_t buf[EL_TILE_HASHES * EL_MERKLE_HASH_LEN];
    uint64_t done = 0;
    struct el_error err = {0};
    archive_tile_key(&tree, level, index, width, name);
    if (tile == NULL) {
        verify_find(c->v, c->state, (struct place){.object = name}, "the tile is not there");
        return 0;
    }
    if (tile->used) {
        return 0;
    }
    tile->used = true;
    int code = object_get(c->v->store, name, 0, buf, sizeof(buf), &done, &err);
    if (!verify_settle(c->v, c->state, code, &err, (struct place){.object = name})) {
        return code;
    }
    for (uint64_t i = 0; code == 0 && i < (uint64_t)width * EL_MERKLE_HASH_LEN; i++) {
        if (i >= done || buf[i] != ((const uint8_t *)hashes)[i]) {
            verify_find(c->v, c->state, (struct place){.object = name, .byte_1 = i + 1}, "the tile is not of the tree");
            break;
        }
    }
    (void)pthread_mutex_lock(&c->v->lock);
    c->v->report->tiles++;
    (void)pthread_mutex_unlock(&c->v->lock);
    return 0;
}

/* A tile of a size that no root covers yet; what the tree has of it must be so. returns whether it is */
static bool orphan_agrees(struct check *c, const char *name, const struct seen_tile *t,
                          const struct archive_tiles *edge)
{
    uint64_t count = edge->size >> (8 * t->level), done = 0;
    uint32_t known = (uint32_t)(count % EL_TILE_HASHES);
    uint8_t buf[EL_TILE_HASHES * EL_MERKLE_HASH_LEN];
    struct el_error err = {0};
    if (t->index != count / EL_TILE_HASHES || known == 0) {
        return true;
    }
    int code = object_get(c->v->store, name, 0, buf, sizeof(buf), &done, &err);
    if (code != 0) {
        return verify_settle(c->v, c->state, code, &err, (struct place){.object = name});
    }
    size_t len = (size_t)EL_MIN(known, t->width) * EL_MERKLE_HASH_LEN;
    return done >= len && memcmp(buf, edge->edge[t->level], len) == 0;
}

void verify_tiles_left(struct check *c, struct seen_tree *seen, const struct archive_tiles *edge)
{
    uint64_t size = seen->partition == NULL ? c->state->header.sequence
                                            : archive_partition_segment_leaves(c->state, seen->partition);
    struct archive_tree tree = verify_tree_of(c, seen);
    for (size_t i = 0; i < seen->tile_count; i++) {
        const struct seen_tile *t = &seen->tiles[i];
        char name[EL_ARCHIVE_KEY_MAX];
        if (t->used) {
            continue;
        }
        archive_tile_key(&tree, t->level, t->index, t->width, name);
        bool orphan = t->index * EL_TILE_HASHES + t->width > size >> (8 * t->level);
        if (!orphan || !orphan_agrees(c, name, t, edge)) {
            verify_find(c->v, c->state, (struct place){.object = name}, "no tree that was published has this tile");
            continue;
        }
        (void)pthread_mutex_lock(&c->v->lock);
        c->v->report->orphans++;
        (void)pthread_mutex_unlock(&c->v->lock);
    }
}

static int take_tile(void *arg, uint32_t level, uint64_t index, const struct el_hash256 *hashes, uint32_t width)
{
    struct fold *f = arg;
    uint64_t end = ((index * EL_TILE_HASHES) + width) << (8 * level);
    if (end > f->segment_leaves || (!f->c->v->options->deep && width == EL_TILE_HASHES)) {
        return 0;
    }
    return verify_tile(f->c, f->seen, level, index, hashes, width);
}

/* --- sizes that were signed --------------------------------------------------------------------------------------- */

static void check_checkpoint(struct fold *f, uint64_t size)
{
    const struct archive_root *root = archive_reader_root(f->c->reader);
    struct el_checkpoint_note note;
    struct el_frontier frontier;
    struct el_hash256 hash;
    struct el_error err = {0};
    char key[EL_ARCHIVE_KEY_MAX], origin[EL_ARCHIVE_KEY_MAX];
    uint8_t text[EL_NOTE_LEN_MAX + 1];
    uint64_t done = 0;
    el_archive_key_checkpoint(key, &root->incarnation, &f->p->now.topic_id, f->p->now.partition, size);
    int code = object_get(f->c->v->store, key, 0, text, sizeof(text), &done, &err);
    if (!verify_settle(f->c->v, f->c->state, code, &err, at(f, key, -1, UINT64_MAX)) || code != 0) {
        return;
    }
    el_archive_origin_partition(origin, &root->cluster, &root->incarnation, &f->p->now.topic_id, f->p->now.partition);
    archive_tiles_frontier(f->tiles, &frontier);
    el_frontier_root(&frontier, &hash);
    struct el_slice slice = el_slice_of(text, (size_t)done);
    if (done > EL_NOTE_LEN_MAX || el_note_parse(slice, &note) != 0 || note.size != size ||
        !el_slice_eq(note.origin, el_slice_str(origin)) || note.more.len != 0) {
        verify_find(f->c->v, f->c->state, at(f, key, -1, UINT64_MAX), "it is not the checkpoint that its name says");
    } else if (!verify_note(f->c->state, &root->cluster, slice)) {
        verify_find(f->c->v, f->c->state, at(f, key, -1, UINT64_MAX),
                    "it has a line that does not hold, or of a key that no manifest states");
    } else if (memcmp(note.root, hash.bytes, 32) != 0) {
        verify_find(f->c->v, f->c->state, at(f, key, -1, UINT64_MAX), "it was signed over other batches");
    }
    (void)pthread_mutex_lock(&f->c->v->lock);
    f->c->v->report->checkpoints++;
    (void)pthread_mutex_unlock(&f->c->v->lock);
}

/* The tree has this size now: was it signed at it, or seen before? */
static int check_size(struct fold *f)
{
    struct seen_tree *seen = f->seen;
    uint64_t size = f->tiles->size;
    bool newest = size == f->segment_leaves, signed_here = false;
    while (f->next_size < seen->size_count && seen->sizes[f->next_size] <= size) {
        signed_here = signed_here || seen->sizes[f->next_size] == size;
        f->next_size++;
    }
    if (signed_here && (newest || f->c->v->options->deep)) {
        check_checkpoint(f, size); /* one above the segments' is an orphan, but must be of the same tree */
        int code = size > f->segment_leaves ? 0 : archive_tiles_flush(f->tiles, take_tile, f);
        if (code != 0) {
            return code;
        }
    }
    if (newest && size > 0 && !signed_here) {
        char key[EL_ARCHIVE_KEY_MAX];
        el_archive_key_checkpoint(key, &f->c->state->header.incarnation, &f->p->now.topic_id, f->p->now.partition,
                                  size);
        verify_find(f->c->v, f->c->state, at(f, key, -1, UINT64_MAX), "the checkpoint of its segments is not there");
    }
    if (f->since_size == size && size > 0) {
        const struct archive_partition *before = archive_state_partition(f->c->since, &f->p->now.topic_id,
                                                                         f->p->now.partition);
        struct el_frontier frontier;
        archive_tiles_frontier(f->tiles, &frontier);
        if (memcmp(frontier.hashes, before->now.tree.hashes, el_frontier_count(size) * EL_MERKLE_HASH_LEN) != 0) {
            verify_find(f->c->v, f->c->state, at(f, NULL, f->offset, UINT64_MAX),
                        "the batches below this offset are not those that were signed at the earlier visit");
        }
    }
    return 0;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

static void note_gap(struct fold *f, int64_t first, int64_t end)
{
    struct archive_report *report = f->c->v->report;
    (void)pthread_mutex_lock(&f->c->v->lock);
    report->gap_total++;
    if (report->gap_count < ARCHIVE_GAPS_MAX) {
        struct archive_gap *more = el_realloc(report->gaps, (report->gap_count + 1) * sizeof(*report->gaps));
        if (more != NULL) {
            report->gaps = more;
            report->gaps[report->gap_count++] = (struct archive_gap){.topic_id = f->p->now.topic_id,
                                                                     .partition = f->p->now.partition,
                                                                     .first_offset = first,
                                                                     .end_offset = end};
        }
    }
    (void)pthread_mutex_unlock(&f->c->v->lock);
}

static bool is_redacted(const struct fold *f, const struct el_pack_batch *row)
{
    const struct archive_state *state = f->c->state;
    for (size_t i = 0; i < state->redaction_count; i++) {
        const struct el_manifest_redaction *r = &state->redactions[i].now;
        if (el_uuid_eq(&r->topic_id, &f->p->now.topic_id) && r->partition == f->p->now.partition &&
            r->first_offset <= row->leaf.first_offset && r->end_offset >= el_pack_batch_end(row)) {
            return true;
        }
    }
    return false;
}

/* Where the leaves that left are not those that the manifest says left: the first tile of the subtree at fault. */
static void compare_retired(struct fold *f)
{
    const struct el_frontier *stated = &f->p->retired->tree;
    struct archive_tree tree = verify_tree_of(f->c, f->seen);
    struct el_frontier found;
    uint64_t leaf = 0, left = stated->size;
    char key[EL_ARCHIVE_KEY_MAX];
    archive_tiles_frontier(f->tiles, &found);
    for (uint32_t i = 0; i < el_frontier_count(stated->size); i++) {
        uint64_t width = 1ull << (63 - __builtin_clzll(left));
        if (memcmp(&found.hashes[i], &stated->hashes[i], sizeof(found.hashes[i])) != 0) {
            uint64_t index = leaf / EL_TILE_HASHES;
            archive_tile_key(&tree, 0, index, el_tile_width(0, index, f->segment_leaves), key);
            verify_find(f->c->v, f->c->state, at(f, key, -1, UINT64_MAX),
                        "the tile does not have the leaves of the events that were retired");
            return;
        }
        leaf += width;
        left -= width;
    }
}

/* Of what left by age the tiles have the leaves, and nothing else is left. */
static int fold_retired(struct fold *f)
{
    struct archive_tree tree = verify_tree_of(f->c, f->seen);
    uint64_t count = f->p->retired->tree.size;
    struct el_error err = {0};
    int code = 0;
    for (uint64_t at_leaf = 0; code == 0 && at_leaf < count; at_leaf += EL_TILE_HASHES) {
        struct el_hash256 hashes[EL_TILE_HASHES];
        uint64_t index = at_leaf / EL_TILE_HASHES;
        uint32_t width = 0;
        char key[EL_ARCHIVE_KEY_MAX];
        archive_tile_key(&tree, 0, index, el_tile_width(0, index, f->segment_leaves), key);
        code = archive_tile_get(&tree, 0, index, f->segment_leaves, hashes, &width, &err);
        if (code != 0) {
            (void)verify_settle(f->c->v, f->c->state, code, &err, at(f, key, -1, UINT64_MAX));
        }
        for (uint32_t i = 0; code == 0 && i < width && at_leaf + i < count; i++) {
            code = archive_tiles_add(f->tiles, &hashes[i], take_tile, f);
            if (code == 0 && at_leaf + i + 1 == count) {
                compare_retired(f);
                f->offset = f->p->retired->end_offset;
                f->append_ns = f->p->retired->newest_append_ns;
            }
            code = code == 0 ? check_size(f) : code;
        }
    }
    return code;
}

static int fold_part(struct fold *f, const struct el_archive_part *part)
{
    struct verify *v = f->c->v;
    struct archive_object object;
    char key[EL_ARCHIVE_KEY_MAX];
    struct el_error err = {0};
    uint8_t *table = NULL;
    struct el_hash256 *leaves = NULL;
    uint32_t bad = 0;
    uint64_t events = 0, redacted = 0, len = 0;
    bool known = archive_state_object(f->c->state, part->object, &object);
    EL_ASSERT(known); /* a part that counts has a live one */
    el_archive_key_object(key, &f->c->state->header.incarnation, &object.now);
    int code = archive_fetch(v->store, key, part->table_pos, (uint64_t)part->batch_count * EL_PACK_BATCH_LEN, &table,
                             &err);
    if (code == 0) {
        leaves = el_malloc(part->batch_count * sizeof *leaves);
        code = leaves == NULL ? el_error_set(&err, EVLOG_ERR_NO_MEMORY, "no memory for the leaves of %s", key) : 0;
    }
    if (code == 0 && el_pack_table_leaves(part, table, leaves, &bad) != 0) {
        uint64_t byte = part->table_pos + (uint64_t)(bad % part->batch_count) * EL_PACK_BATCH_LEN;
        code = EVLOG_ERR_CORRUPT;
        verify_find(v, f->c->state, at(f, key, part->first_offset, byte),
                    "the batch table is not the one that is signed");
    } else if (code != 0) {
        (void)verify_settle(v, f->c->state, code, &err, at(f, key, part->first_offset, part->table_pos));
    }
    for (uint32_t i = 0; code == 0 && i < part->batch_count; i++) {
        struct el_pack_batch row;
        (void)el_pack_batch_get(table + (size_t)i * EL_PACK_BATCH_LEN, &row);
        if (row.leaf.first_offset > f->offset) {
            note_gap(f, f->offset, row.leaf.first_offset);
        }
        if (row.redacted && !is_redacted(f, &row)) {
            verify_find(v, f->c->state, at(f, key, row.leaf.first_offset, part->table_pos + i * EL_PACK_BATCH_LEN),
                        "the batch is redacted, and no manifest says so");
        }
        f->offset = el_pack_batch_end(&row);
        f->append_ns = row.leaf.append_time_ns;
        events += row.leaf.record_count;
        redacted += row.redacted;
        len += row.len;
        code = archive_tiles_add(f->tiles, &leaves[i], take_tile, f);
        code = code == 0 ? check_size(f) : code;
    }
    el_free(table);
    el_free(leaves);
    (void)pthread_mutex_lock(&v->lock);
    v->report->batches += code == 0 ? part->batch_count : 0;
    v->report->events += events;
    v->report->redacted_batches += redacted;
    v->report->data_len += len;
    (void)pthread_mutex_unlock(&v->lock);
    return code;
}

/* Checkpoints above the tree: left by a round that did not end. */
static void check_orphans(struct fold *f)
{
    for (; f->next_size < f->seen->size_count; f->next_size++) {
        char key[EL_ARCHIVE_KEY_MAX];
        uint8_t text[EL_NOTE_LEN_MAX];
        uint64_t done = 0, size = f->seen->sizes[f->next_size];
        struct el_checkpoint_note note;
        struct el_error err = {0};
        el_archive_key_checkpoint(key, &f->c->state->header.incarnation, &f->p->now.topic_id, f->p->now.partition,
                                  size);
        int code = object_get(f->c->v->store, key, 0, text, sizeof(text), &done, &err);
        if (code == 0 && (el_note_parse(el_slice_of(text, (size_t)done), &note) != 0 || note.size != size)) {
            code = el_error_set(&err, EVLOG_ERR_CORRUPT, "it is not the checkpoint that its name says");
        }
        (void)verify_settle(f->c->v, f->c->state, code, &err, at(f, key, -1, UINT64_MAX));
    }
}

/* Sizes that had to be signed, says the history, and were not. */
static void check_expected(struct fold *f)
{
    size_t k = 0;
    for (size_t i = 0; i < f->seen->expected_count; i++) {
        uint64_t size = f->seen->expected[i];
        while (k < f->seen->size_count && f->seen->sizes[k] < size) {
            k++;
        }
        if (size != f->segment_leaves && (k == f->seen->size_count || f->seen->sizes[k] != size)) {
            char key[EL_ARCHIVE_KEY_MAX];
            el_archive_key_checkpoint(key, &f->c->state->header.incarnation, &f->p->now.topic_id, f->p->now.partition,
                                      size);
            verify_find(f->c->v, f->c->state, at(f, key, -1, UINT64_MAX), "the checkpoint is not there");
        }
    }
    for (size_t i = 0; f->c->history_done && i < f->seen->size_count; i++) {
        uint64_t size = f->seen->sizes[i];
        bool expected = size > f->segment_leaves; /* an orphan */
        for (size_t m = 0; !expected && m < f->seen->expected_count; m++) {
            expected = f->seen->expected[m] == size;
        }
        if (!expected) {
            char key[EL_ARCHIVE_KEY_MAX];
            el_archive_key_checkpoint(key, &f->c->state->header.incarnation, &f->p->now.topic_id, f->p->now.partition,
                                      size);
            verify_find(f->c->v, f->c->state, at(f, key, -1, UINT64_MAX), "its segments never had this size");
        }
    }
}

static void fold_partition(struct check *c, struct seen_tree *seen, struct archive_tiles *tiles)
{
    const struct archive_partition *p = seen->partition;
    struct fold fold = {.c = c,
                        .seen = seen,
                        .p = p,
                        .tiles = tiles,
                        .offset = p->now.start_offset,
                        .segment_leaves = archive_partition_segment_leaves(c->state, p)},
                *f = &fold;
    const struct archive_partition *before = c->since == NULL ? NULL
                                                              : archive_state_partition(c->since, &p->now.topic_id,
                                                                                        p->now.partition);
    f->since_size = before == NULL ? 0 : before->now.tree.size;
    archive_tiles_init(tiles);
    if (seen->tile_count > 0) {
        qsort(seen->tiles, seen->tile_count, sizeof(*seen->tiles), by_tile);
    }
    int code = fold_retired(f);
    for (uint32_t i = 0; code == 0 && i < p->part_count && !verify_stopped(c->v); i++) {
        struct el_archive_part part = archive_part_at(p, i);
        code = fold_part(f, &part);
    }
    if (code != 0 || verify_stopped(c->v)) {
        return; /* said already; the rest of the tree cannot be known */
    }
    if (f->offset < p->now.end_offset) {
        note_gap(f, f->offset, p->now.end_offset);
    }
    struct el_frontier frontier;
    archive_tiles_frontier(tiles, &frontier);
    if (frontier.size != p->now.tree.size ||
        memcmp(frontier.hashes, p->now.tree.hashes, el_frontier_count(frontier.size) * EL_MERKLE_HASH_LEN) != 0) {
        verify_find(c->v, c->state, at(f, NULL, -1, UINT64_MAX),
                    "the batches are not those of the tree that the manifests state");
    }
    if (p->now.tree.size > 0 && p->now.last_append_ns != f->append_ns) {
        verify_find(c->v, c->state, at(f, NULL, -1, UINT64_MAX), "the last append time is not that of the last batch");
    }
    check_expected(f);
    if (c->v->options->deep) {
        check_orphans(f);
        verify_tiles_left(c, seen, tiles);
    }
}

static void work(struct check *c)
{
    struct archive_tiles *tiles = el_malloc(sizeof(*tiles));
    if (tiles == NULL) {
        verify_fail(c->v, EVLOG_ERR_NO_MEMORY, NULL);
    }
    while (!verify_stopped(c->v)) {
        size_t i = atomic_fetch_add(&c->next, 1);
        if (i >= c->state->partitions.count) {
            break;
        }
        fold_partition(c, &c->all_trees[i], tiles);
    }
    el_free(tiles);
}

void verify_trees(struct check *c)
{
    verify_run(c, work);
}
