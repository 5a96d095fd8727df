/* SPDX-License-Identifier: Apache-2.0
 *
 * Signing a manifest's tree, and putting what belongs to it:
 *
 *   1. the manifest
 *   2. of each partition whose segments reach further: its tiles, then a checkpoint of that size. Leaves come from the
 *      batch tables in the bucket, so that this goes on after a crash without anything else
 *   3. tiles of the tree of manifests, then the root
 *
 * Each step is done again after a failure; what is there already is the same (object_put_once()). What was signed is
 * kept on this disk before the first step.
 */
#include <archive/archive_ledger_state.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>

static void count_put(struct archive_make_job *counts, uint64_t len)
{
    if (counts != NULL) {
        counts->put_count++;
        counts->put_len += len;
    }
}

int archive_put(struct archive_ledger *l, struct archive_make_job *counts, const char *key, const void *data,
                uint64_t len, struct el_error *err)
{
    uint8_t sha256[32];
    el_sha256(data, len, sha256);
    int code = object_put_once(l->cfg.bucket, key, data, len, sha256, err);
    if (code == 0) {
        count_put(counts, len);
    }
    return code;
}

static int sign(struct archive_ledger *l, const char *origin, const struct el_frontier *tree, struct el_buffer *note,
                struct el_error *err)
{
    char name[EL_ARCHIVE_KEY_MAX];
    struct el_hash256 root;
    el_archive_key_name(name, &l->cluster);
    el_frontier_root(tree, &root);
    el_buffer_reset(note);
    int code = el_note_sign(el_slice_str(origin), tree->size, root.bytes, el_slice_str(name), l->cfg.keys,
                            l->cfg.key_count, note);
    return code == 0 ? 0 : el_error_set(err, code, "signing: %s", evlog_error_text(code));
}

int archive_sign_root(struct archive_ledger *l, struct el_error *err)
{
    char origin[EL_ARCHIVE_KEY_MAX];
    el_archive_origin_root(origin, &l->cluster, &l->incarnation);
    return sign(l, origin, &l->state->tree, &l->note, err);
}

/* --- partitions --------------------------------------------------------------------------------------------------- */

int archive_note_tiles(struct archive_ledger *l, struct el_error *err)
{
    size_t count = l->state->partitions.count;
    el_free(l->before);
    l->before_count = 0;
    l->tiles_done = 0;
    l->before = el_calloc(EL_MAX(count, (size_t)1), sizeof *l->before);
    if (l->before == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a manifest");
    }
    for (size_t i = 0; i < count; i++) {
        const struct archive_partition *p = l->state->partitions.entries[i].value;
        l->before[i] = (struct tiled){.topic_id = p->now.topic_id,
                                      .number = p->now.partition,
                                      .leaves = archive_partition_segment_leaves(l->state, p)};
    }
    l->before_count = count;
    return 0;
}

static uint64_t leaves_before(const struct archive_ledger *l, size_t index, const struct archive_partition *p)
{
    for (size_t i = 0; i < l->before_count;
         i++) { /* at its own index, unless partitions were stated in another order */
        const struct tiled *t = &l->before[(index + i) % l->before_count];
        if (t->number == p->now.partition && el_uuid_eq(&t->topic_id, &p->now.topic_id)) {
            return t->leaves;
        }
    }
    return 0;
}

struct tile_put {
    struct object_batch batch; /* settled before anything is put that says that these tiles are there */
    struct archive_make_job *counts;
    const struct archive_tree *tree;
    struct el_error *err;
};

static int put_tile(void *arg, uint32_t level, uint64_t index, const struct el_hash256 *hashes, uint32_t width)
{
    struct tile_put *t = arg;
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t sha256[32];
    uint64_t len = (uint64_t)width * sizeof *hashes;
    archive_tile_key(t->tree, level, index, width, key);
    el_sha256(hashes, len, sha256);
    int code = object_batch_put(&t->batch, key, hashes, len, sha256, t->err);
    if (code == 0) {
        count_put(t->counts, len);
    }
    return code;
}

/* The last tiles, then all of them durable. */
static int settle_tiles(struct archive_tiles *tiles, struct tile_put *put)
{
    int code = archive_tiles_flush(tiles, put_tile, put);
    return code != 0 ? code : object_batch_settle(&put->batch, put->err);
}

static struct archive_tree tree_of(const struct archive_ledger *l, const struct archive_partition *p)
{
    struct archive_tree tree = {.store = l->cfg.bucket, .incarnation = l->incarnation, .of_manifests = p == NULL};
    if (p != NULL) {
        tree.topic_id = p->now.topic_id;
        tree.partition = p->now.partition;
    }
    return tree;
}

/* Add the leaves of a part, as its batch table in the bucket has them. */
static int part_leaves(struct archive_ledger *l, const struct el_archive_part *part, struct archive_tiles *tiles,
                       struct tile_put *put)
{
    struct archive_object object;
    bool known = archive_state_object(l->state, part->object, &object);
    uint64_t len = (uint64_t)part->batch_count * EL_PACK_BATCH_LEN, done = 0;
    uint8_t *table = el_malloc(len);
    struct el_hash256 *leaves = el_malloc((uint64_t)part->batch_count * sizeof *leaves);
    char key[EL_ARCHIVE_KEY_MAX];
    int code = EVLOG_ERR_NO_MEMORY;
    EL_ASSERT(known);
    el_archive_key_object(key, &l->incarnation, &object.now);
    if (table != NULL && leaves != NULL) {
        code = object_get(l->cfg.bucket, key, part->table_pos, table, len, &done, put->err);
    }
    if (code == 0 && (done != len || el_pack_table_leaves(part, table, leaves, NULL) != 0)) {
        code = el_error_set(put->err, EVLOG_ERR_CORRUPT, "%s: the batch table at %llu is not what was signed", key,
                            (unsigned long long)part->table_pos);
    }
    for (uint32_t i = 0; i < part->batch_count && code == 0; i++) {
        code = archive_tiles_add(tiles, &leaves[i], put_tile, put);
    }
    el_free(table);
    el_free(leaves);
    return code;
}

/* A crash between a checkpoint and its root, and other keys after it: the note there has other signatures. It is good
 * when it states the same tree. */
static int put_checkpoint(struct archive_ledger *l, struct archive_make_job *counts, const char *key,
                          const struct el_buffer *note, struct el_error *err)
{
    struct el_checkpoint_note ours, there;
    struct el_error other = {0};
    uint8_t *data = NULL;
    uint64_t len = 0;
    int code = archive_put(l, counts, key, note->data, note->len, err);
    if (code != EVLOG_ERR_CONFLICT) {
        return code;
    }
    int got = object_get_all(l->cfg.bucket, key, EL_NOTE_LEN_MAX, &data, &len, &other);
    if (got != 0) {
        return el_error_set(err, got, "%s", other.text);
    }
    int parsed = el_note_parse(el_buffer_slice(note), &ours);
    EL_ASSERT(parsed == 0);
    bool same = el_note_parse(el_slice_of(data, len), &there) == 0 && el_slice_eq(there.origin, ours.origin) &&
                there.size == ours.size && memcmp(there.root, ours.root, sizeof ours.root) == 0;
    el_free(data);
    return same ? 0 : code;
}

static int put_partition(struct archive_ledger *l, struct archive_make_job *counts, const struct archive_partition *p,
                         uint64_t from, uint64_t to, struct el_error *err)
{
    EL_ASSERT(from < to);
    EL_ASSERT(to <= p->now.tree.size);
    struct archive_tree tree = tree_of(l, p);
    struct tile_put put = {.batch = {.store = l->cfg.bucket}, .counts = counts, .tree = &tree, .err = err};
    struct archive_tiles *tiles = el_malloc(sizeof *tiles);
    struct el_frontier frontier;
    struct el_buffer note = {0};
    char key[EL_ARCHIVE_KEY_MAX];
    if (tiles == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for tiles");
    }
    archive_tiles_init(tiles);
    int code = from == 0 ? 0 : archive_tiles_load(&tree, from, NULL, tiles, err);
    for (uint32_t i = 0; i < p->part_count && code == 0; i++) {
        const struct el_archive_part held = archive_part_at(p, i), *part = &held;
        if (part->first_leaf >= from && part->first_leaf < to) {
            EL_ASSERT(part->first_leaf == tiles->size);
            code = part_leaves(l, part, tiles, &put);
        }
    }
    code = code != 0 ? code : settle_tiles(tiles, &put);
    if (code == 0) {
        EL_ASSERT(tiles->size == to);
        archive_tiles_frontier(tiles, &frontier);
        el_archive_origin_partition(key, &l->cluster, &l->incarnation, &p->now.topic_id, p->now.partition);
        code = sign(l, key, &frontier, &note, err);
    }
    if (code == 0) {
        el_archive_key_checkpoint(key, &l->incarnation, &p->now.topic_id, p->now.partition, to);
        code = put_checkpoint(l, counts, key, &note, err);
    }
    object_batch_drop(&put.batch);
    el_buffer_free(&note);
    el_free(tiles);
    return code;
}

static int put_partitions(struct archive_ledger *l, struct archive_make_job *counts, struct el_error *err)
{
    for (; l->tiles_done < l->state->partitions.count; l->tiles_done++) {
        const struct archive_partition *p = l->state->partitions.entries[l->tiles_done].value;
        uint64_t from = leaves_before(l, l->tiles_done, p), to = archive_partition_segment_leaves(l->state, p);
        if (to > from) {
            int code = put_partition(l, counts, p, from, to, err);
            if (code != 0) {
                return code;
            }
        }
    }
    return 0;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

int archive_publish(struct archive_ledger *l, struct archive_make_job *counts, struct el_error *err)
{
    uint64_t sequence = l->state->header.sequence;
    struct archive_tree tree = tree_of(l, NULL);
    struct tile_put put = {.batch = {.store = l->cfg.bucket}, .counts = counts, .tree = &tree, .err = err};
    struct el_hash256 leaf;
    char key[EL_ARCHIVE_KEY_MAX];
    EL_ASSERT(sequence > 0);
    el_archive_key_manifest(key, &l->incarnation, sequence);
    int code = archive_put(l, counts, key, l->manifest.data, l->manifest.len, err);
    code = code != 0 ? code : put_partitions(l, counts, err);
    if (code != 0) {
        return code;
    }
    struct archive_tiles *grown = el_memdup(&l->tiles, sizeof l->tiles);
    if (grown == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for tiles");
    }
    EL_ASSERT(grown->size == sequence - 1);
    el_merkle_leaf(l->state->sha256, sizeof l->state->sha256, &leaf);
    code = archive_tiles_add(grown, &leaf, put_tile, &put);
    code = code != 0 ? code : settle_tiles(grown, &put);
    if (code == 0) {
        el_archive_key_root(key, &l->incarnation, sequence);
        code = archive_put(l, counts, key, l->note.data, l->note.len, err);
    }
    if (code == 0) {
        EL_ASSERT(grown->size == sequence); /* one leaf for each manifest */
        EL_ASSERT(l->tiles_done == l->state->partitions.count);
        l->tiles = *grown;
    }
    object_batch_drop(&put.batch);
    el_free(grown);
    return code;
}
