/* SPDX-License-Identifier: Apache-2.0
 *
 * Names: one listing of an incarnation, in order. Roots and manifests are counted, packs compared with what manifests
 * say, tiles and checkpoints noted for when the trees are known. What belongs to no root yet is an orphan: a round that
 * did not end leaves some; they are looked at last. All other names are findings.
 */
#include "archive_verify_internal.h"

#include <core/alloc.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/archive_cluster.h>

#define KEEP_MS (7ull * 24 * 3600 * 1000) /* replaced objects are kept so long */
#define GROW_FIRST 16u

struct listing {
    struct check *c;
    size_t prefix_len; /* of "<incarnation>/" */
    bool no_memory;
};

/* A number of exactly `width` digits (0: any, without zeros in front) at *p, which moves behind it. */
static bool take_number(const char **p, int base, size_t width, uint64_t *value)
{
    const char *digits = base == 16 ? "0123456789abcdef" : "0123456789";
    size_t len = strspn(*p, digits);
    if (len == 0 || len > 20 || (width != 0 && len != width) || (width == 0 && len > 1 && **p == '0')) {
        return false;
    }
    char text[24];
    memcpy(text, *p, len);
    text[len] = '\0';
    *value = strtoull(text, NULL, base);
    *p += len;
    return true;
}

static bool take_word(const char **p, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*p, word, len) != 0) {
        return false;
    }
    *p += len;
    return true;
}

bool verify_tile_name(const char *name, struct seen_tile *tile)
{
    char again[EL_TILE_NAME_MAX];
    uint64_t level = 0, index = 0, group = 0, width = EL_TILE_HASHES;
    const char *p = name;
    if (!take_word(&p, "tile/") || !take_number(&p, 10, 0, &level) || level > EL_TILE_LEVEL_MAX) {
        return false;
    }
    for (int groups = 0; groups < 6; groups++) {
        bool more = take_word(&p, "/x");
        if ((!more && !take_word(&p, "/")) || !take_number(&p, 10, 3, &group)) {
            return false;
        }
        index = index * 1000 + group;
        if (!more) {
            break;
        }
    }
    if (take_word(&p, ".p/") && (!take_number(&p, 10, 0, &width) || width == 0 || width >= EL_TILE_HASHES)) {
        return false;
    }
    *tile = (struct seen_tile){.level = (uint32_t)level, .width = (uint32_t)width, .index = index};
    el_tile_name(again, tile->level, tile->index, tile->width);
    return *p == '\0' && strcmp(again, name) == 0;
}

/* --- noting ------------------------------------------------------------------------------------------------------- */

static bool room_for(void **items, size_t count, size_t *max, size_t item_len)
{
    if (count < *max) {
        return true;
    }
    size_t more = *max == 0 ? GROW_FIRST : *max * 2;
    void *moved = el_realloc(*items, more * item_len);
    if (moved == NULL) {
        return false;
    }
    *items = moved;
    *max = more;
    return true;
}

static void note_orphan(struct listing *l, const char *key)
{
    struct check *c = l->c;
    void *orphans = c->orphans;
    char *copy = el_strdup(key);
    if (copy == NULL || !room_for(&orphans, c->orphan_count, &c->orphan_max, sizeof(*c->orphans))) {
        el_free(copy);
        l->no_memory = true;
        return;
    }
    c->orphans = orphans;
    c->orphans[c->orphan_count++] = copy;
}

static void note_tile(struct listing *l, struct seen_tree *tree, const char *key, const char *name, uint64_t len)
{
    struct seen_tile tile;
    void *tiles = tree->tiles;
    if (!verify_tile_name(name, &tile)) {
        verify_find(l->c->v, l->c->state, (struct place){.object = key}, "it is not the name of a tile");
        return;
    }
    if (len != (uint64_t)tile.width * EL_MERKLE_HASH_LEN) {
        verify_find(l->c->v, l->c->state, (struct place){.object = key}, "the tile has %" PRIu64 " bytes, not %u", len,
                    tile.width * EL_MERKLE_HASH_LEN);
        return;
    }
    if (!room_for(&tiles, tree->tile_count, &tree->tile_max, sizeof(*tree->tiles))) {
        l->no_memory = true;
        return;
    }
    tree->tiles = tiles;
    tree->tiles[tree->tile_count++] = tile;
}

/* --- kinds of names ----------------------------------------------------------------------------------------------- */

/* "root/<sequence>" or "manifest/<sequence>": each from 1 to that of the root is there. */
static bool take_sequence(struct listing *l, const char *key, const char *digits, const char *kind, uint64_t *next)
{
    struct check *c = l->c;
    uint64_t sequence = 0, end = c->state->header.sequence;
    if (!take_number(&digits, 16, 16, &sequence) || *digits != '\0' || sequence == 0) {
        return false;
    }
    for (; *next < EL_MIN(sequence, end + 1); (*next)++) {
        char missing[EL_ARCHIVE_KEY_MAX];
        if (kind[0] == 'r') {
            el_archive_key_root(missing, &c->state->header.incarnation, *next);
        } else {
            el_archive_key_manifest(missing, &c->state->header.incarnation, *next);
        }
        verify_find(c->v, c->state, (struct place){.object = missing}, "the %s is not there", kind);
    }
    if (sequence > end) {
        note_orphan(l, key);
    } else {
        *next = sequence + 1;
    }
    return true;
}

static bool take_pack(struct listing *l, const char *key, uint64_t len)
{
    struct check *c = l->c;
    struct seen_object *seen = el_map_get(&c->names, key, strlen(key));
    if (seen == NULL) {
        note_orphan(l, key);
        return true;
    }
    seen->seen = true;
    if (len != seen->object.len) {
        seen->wrong_len = true;
        verify_find(c->v, c->state, (struct place){.object = key, .byte_1 = EL_MIN(len, seen->object.len) + 1},
                    "the object has %" PRIu64 " bytes, the manifest says %" PRIu64, len, seen->object.len);
    }
    return true;
}

/* "topics/<id>/<partition>/..." */
static bool take_topic(struct listing *l, const char *key, const char *name, uint64_t len)
{
    struct check *c = l->c;
    struct el_uuid id;
    uint64_t partition = 0, size = 0;
    uint8_t tree_key[20];
    if (strlen(name) < 34 || archive_id_parse(el_slice_of(name, 32), &id) != 0 || name[32] != '/') {
        return false;
    }
    name += 33;
    if (!take_number(&name, 10, 0, &partition) || partition >= EL_PARTITION_COUNT_MAX || !take_word(&name, "/")) {
        return false;
    }
    archive_partition_key(tree_key, &id, (int32_t)partition);
    struct seen_tree *tree = el_map_get(&c->trees, tree_key, sizeof(tree_key));
    if (strncmp(name, "seg/", 4) == 0) {
        return take_pack(l, key, len);
    }
    if (tree == NULL) {
        note_orphan(l, key); /* of a partition that no root covers yet */
        return true;
    }
    if (strncmp(name, "tile/", 5) == 0) {
        note_tile(l, tree, key, name, len);
        return true;
    }
    if (!take_word(&name, "checkpoint/") || !take_number(&name, 10, 20, &size) || *name != '\0') {
        return false;
    }
    void *sizes = tree->sizes;
    if (!room_for(&sizes, tree->size_count, &tree->size_max, sizeof(*tree->sizes))) {
        l->no_memory = true;
        return true;
    }
    tree->sizes = sizes;
    tree->sizes[tree->size_count++] = size;
    return true;
}

static bool take_key(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    struct listing *l = arg;
    struct check *c = l->c;
    const char *name = key + l->prefix_len, *rest = name;
    bool known = false;
    (void)modified_ms;
    if (take_word(&rest, "root/")) {
        known = take_sequence(l, key, rest, "root", &c->next_root);
    } else if (take_word(&rest, "manifest/")) {
        known = take_sequence(l, key, rest, "manifest", &c->next_manifest);
    } else if (take_word(&rest, "topics/")) {
        known = take_topic(l, key, rest, len);
    } else if (take_word(&rest, "bundles/")) {
        known = take_pack(l, key, len);
    } else if (take_word(&rest, "tile/")) {
        note_tile(l, &c->manifests, key, name, len);
        known = true;
    } else {
        known = strcmp(name, "cluster.json") == 0;
    }
    if (!known) {
        verify_find(c->v, c->state, (struct place){.object = key}, "no archive has an object of this name");
    }
    return !verify_stopped(c->v) && !l->no_memory;
}

/* --- cluster.json ------------------------------------------------------------------------------------------------- */

static void check_cluster(struct check *c)
{
    const struct archive_root *root = archive_reader_root(c->reader);
    struct archive_cluster cluster;
    struct el_buffer again = {0};
    struct el_error err = {0};
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t *text = NULL;
    uint64_t len = 0;
    struct place place = {.object = key};
    el_archive_key_cluster(key, &root->incarnation);
    int code = object_get_all(c->v->store, key, ARCHIVE_CLUSTER_LEN_MAX, &text, &len, &err);
    if (code == 0) {
        code = archive_cluster_parse(el_slice_of(text, (size_t)len), &cluster, &err);
    }
    if (code == 0) {
        const struct el_manifest_header *h = &c->state->header;
        if (!el_uuid_eq(&cluster.cluster, &root->cluster) || !el_uuid_eq(&cluster.incarnation, &root->incarnation) ||
            !el_uuid_eq(&cluster.parent, &h->parent) || cluster.parent_sequence != h->parent_sequence) {
            code = el_error_set(&err, EVLOG_ERR_CORRUPT, "it tells of another archive than the manifests");
        } else if (archive_cluster_write(&cluster, &again) != 0 ||
                   !el_slice_eq(el_buffer_slice(&again), el_slice_of(text, (size_t)len))) {
            code = el_error_set(&err, EVLOG_ERR_CORRUPT, "it is not as it was written");
        }
    }
    for (size_t i = 0; code == 0 && i < cluster.key_count; i++) {
        bool stated = false;
        for (size_t k = 0; k < c->state->key_count; k++) {
            stated = stated ||
                     el_slice_eq(el_slice_of(cluster.keys[i].bytes, cluster.keys[i].len), c->state->keys[k].now.bytes);
        }
        if (!stated) {
            code = el_error_set(&err, EVLOG_ERR_CORRUPT, "it names a key that no manifest states");
        }
    }
    (void)verify_settle(c->v, c->state, code, &err, place);
    el_buffer_free(&again);
    el_free(text);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static void check_objects(struct check *c)
{
    /* A parent may have gone on itself, and nothing leaves it any more since its child began. */
    uint64_t now_ms = c->child != NULL ? c->child->state->header.made_ms : c->state->header.made_ms;
    for (size_t i = 0; i < c->state->object_count; i++) {
        const struct seen_object *seen = &c->objects[i];
        const struct el_manifest_object *o = &seen->object;
        bool may_be_gone = o->state != EL_OBJECT_LIVE && now_ms >= o->replaced_ms && now_ms - o->replaced_ms >= KEEP_MS;
        if (seen->seen) {
            c->v->report->objects++;
        } else if (!may_be_gone) {
            verify_find(c->v, c->state, (struct place){.object = seen->key}, "the object is not there");
        }
    }
}

static void missing_to_end(struct check *c)
{
    for (uint64_t i = c->next_root; i <= c->state->header.sequence; i++) {
        char key[EL_ARCHIVE_KEY_MAX];
        el_archive_key_root(key, &c->state->header.incarnation, i);
        verify_find(c->v, c->state, (struct place){.object = key}, "the root is not there");
    }
    for (uint64_t i = c->next_manifest; i <= c->state->header.sequence; i++) {
        char key[EL_ARCHIVE_KEY_MAX];
        el_archive_key_manifest(key, &c->state->header.incarnation, i);
        verify_find(c->v, c->state, (struct place){.object = key}, "the manifest is not there");
    }
}

void verify_list(struct check *c)
{
    struct listing l = {.c = c};
    struct el_error err = {0};
    char prefix[EL_ARCHIVE_KEY_MAX];
    el_archive_key_cluster(prefix, &c->state->header.incarnation);
    *strchr(prefix, '/') = '\0';
    (void)strcat(prefix, "/");
    l.prefix_len = strlen(prefix);
    check_cluster(c);
    int code = object_list(c->v->store, prefix, "", take_key, &l, &err);
    if (l.no_memory) {
        verify_fail(c->v, EVLOG_ERR_NO_MEMORY, NULL);
        return;
    }
    if (verify_settle(c->v, c->state, code, &err, (struct place){.object = prefix}) && code == 0) {
        missing_to_end(c);
        check_objects(c);
    }
}
