/* SPDX-License-Identifier: Apache-2.0
 *
 * A reader of an archive: opening it at a root, going to newer roots, parents. What it reads is archive_read.c.
 *
 * Opening: 1. which incarnation; 2. which root; 3. is its note signed by who is trusted; 4. the full manifest that it
 * builds on and the deltas up to it, whose tree must have the root's hash.
 *
 * A refresh applies the manifests that are new to the state that is there, so whatever rule says what may follow is
 * checked; when there are many, it begins anew with a full one, has the tiles prove that the old tree of manifests is
 * the beginning of the new, and compares the states.
 */
#include "archive_internal.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <inttypes.h>
#include <stdio.h>
#include <store/archive_cluster.h>

#define INCARNATIONS_MAX 256u
#define APPLY_MAX EL_MANIFEST_CHAIN_MAX /* manifests that a refresh applies one by one */
#define PARENTS_MAX 64u

/* --- which incarnation ---------------------------------------------------------------------------------------------
 * */

static int cluster_get(struct object_store *store, const struct el_uuid *incarnation, struct archive_cluster *cluster,
                       struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t *text = NULL;
    uint64_t len = 0;
    el_archive_key_cluster(key, incarnation);
    int code = object_get_all(store, key, ARCHIVE_CLUSTER_LEN_MAX, &text, &len, err);
    if (code != 0) {
        return code;
    }
    code = archive_cluster_parse(el_slice_of(text, (size_t)len), cluster, err);
    el_free(text);
    if (code == 0 && !el_uuid_eq(&cluster->incarnation, incarnation)) {
        code = el_error_set(err, EVLOG_ERR_MALFORMED, "it is that of another archive");
    }
    if (code != 0) {
        el_error_wrap(err, "%s", key);
    }
    return code;
}

/* Which incarnations an archive says it continues: its cluster.json, and its newest manifest. Neither is believed, both
 * are asked, so that one that was changed does not make strangers of them; zeros where they say nothing. */
static int parents_of(struct object_store *store, const struct el_uuid *incarnation, uint64_t newest,
                      struct el_uuid parents[2], struct el_error *err)
{
    struct archive_cluster cluster;
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t head[EL_MANIFEST_HEADER_LEN] = {0};
    uint64_t done = 0;
    memset(parents, 0, 2 * sizeof(*parents));
    int code = cluster_get(store, incarnation, &cluster, err);
    if (code == 0) {
        parents[0] = cluster.parent;
    } else if (code != EVLOG_ERR_NOT_FOUND && code != EVLOG_ERR_MALFORMED && code != EVLOG_ERR_FORMAT &&
               code != EVLOG_ERR_LIMIT) {
        return code;
    }
    el_archive_key_manifest(key, incarnation, newest);
    code = object_get(store, key, 0, head, sizeof(head), &done, err);
    memcpy(parents[1].bytes, head + 96, 16);
    return code == EVLOG_ERR_NOT_FOUND ? 0 : code;
}

/* Those that have a root and are nobody's parent. */
static int choose(struct object_store *store, struct el_uuid *ids, size_t count, struct el_uuid *chosen,
                  struct el_error *err)
{
    bool out[INCARNATIONS_MAX] = {false};
    for (size_t i = 0; i < count; i++) {
        struct el_uuid parents[2];
        uint64_t newest = 0;
        int code = archive_root_newest(store, &ids[i], 0, &newest, err);
        if (code == 0 && newest == 0) {
            out[i] = true; /* it has not begun: nothing counts, and its parent is still the newest */
            continue;
        }
        code = code == 0 ? parents_of(store, &ids[i], newest, parents, err) : code;
        if (code != 0) {
            return code;
        }
        for (size_t k = 0; k < count; k++) {
            out[k] = out[k] || (k != i && (el_uuid_eq(&parents[0], &ids[k]) || el_uuid_eq(&parents[1], &ids[k])));
        }
    }
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        if (!out[i]) {
            *chosen = ids[i];
            left++;
        }
    }
    if (left == 0) {
        return el_error_set(err, EVLOG_ERR_NOT_FOUND, "%s holds no archive with a root%s", store->url,
                            count == 0 ? "" : ": the first round has not ended");
    }
    if (left > 1) {
        char hex[33];
        el_hex(hex, chosen->bytes, 16);
        return el_error_set(err, EVLOG_ERR_CONFLICT,
                            "%s holds %zu archives that do not continue one another: say which, say %s", store->url,
                            left, hex);
    }
    return 0;
}

static int find_incarnation(struct object_store *store, struct el_uuid *chosen, struct el_error *err)
{
    struct el_uuid *ids = el_malloc(INCARNATIONS_MAX * sizeof(*ids));
    size_t count = 0;
    if (ids == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to look for archives");
    }
    int code = archive_incarnations(store, ids, INCARNATIONS_MAX, &count, err);
    if (code == 0) {
        code = choose(store, ids, count, chosen, err);
    }
    el_free(ids);
    return code;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

/* A root that no trusted key signed is believed when a newer one is signed, out of whose tree it proves to be. */
static int believe_older(struct archive_reader *r, struct el_error *err)
{
    struct archive_tree tree = {.store = r->store, .incarnation = r->root.incarnation, .of_manifests = true};
    struct archive_root *newest = el_malloc(sizeof(*newest));
    uint64_t sequence = 0;
    if (newest == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a root");
    }
    int code = archive_root_newest(r->store, &r->root.incarnation, r->root.sequence, &sequence, err);
    if (code == 0 && sequence == 0) {
        code = EVLOG_ERR_NOT_FOUND;
    }
    if (code == 0) {
        code = archive_root_get(r->store, &r->root.incarnation, sequence, newest, err);
    }
    if (code == 0) {
        code = archive_trust_check(&r->trust, newest, err);
    }
    if (code == 0) {
        code = archive_tiles_consistent(&tree, r->root.sequence, &r->root.hash, newest->sequence, &newest->hash, err);
    }
    el_free(newest);
    return code;
}

/* A key may have been followed by another in the incarnation that this one continues. Which one that is says a manifest
 * that nobody has vouched for yet: when its root is signed, then a successor must have signed this one. */
static int believe_child(struct archive_reader *r, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t head[EL_MANIFEST_HEADER_LEN] = {0};
    uint64_t done = 0;
    struct el_uuid parent;
    struct archive_reader *opened = NULL;
    el_archive_key_manifest(key, &r->root.incarnation, r->root.sequence);
    int code = object_get(r->store, key, 0, head, sizeof(head), &done, err);
    memcpy(parent.bytes, head + 96, 16);
    if (code != 0 || done < sizeof(head) || el_uuid_is_zero(&parent) || el_uuid_eq(&parent, &r->root.incarnation)) {
        return code != 0 ? code : EVLOG_ERR_NOT_FOUND;
    }
    struct archive_reader_options options = {.keys = r->trust.keys,
                                             .key_count = r->trust.count,
                                             .incarnation = &parent,
                                             .sequence = el_get_le64(head + 112),
                                             .depth = r->depth + 1};
    if (r->depth == PARENTS_MAX || options.sequence == 0) {
        return EVLOG_ERR_NOT_FOUND;
    }
    code = archive_reader_open(r->store, &options, &opened, NULL);
    if (code != 0) {
        return code == EVLOG_ERR_NO_MEMORY || code == EVLOG_ERR_AGAIN ? code : EVLOG_ERR_NOT_FOUND;
    }
    r->trust = opened->trust;
    archive_reader_close(opened);
    return archive_trust_check(&r->trust, &r->root, err);
}

static int check_signature(struct archive_reader *r, struct el_error *err)
{
    if (r->trust.count == 0) {
        return 0;
    }
    int code = archive_trust_check(&r->trust, &r->root, err);
    if (code == EVLOG_ERR_NOT_FOUND) {
        code = believe_older(r, err);
    }
    if (code == EVLOG_ERR_NOT_FOUND) {
        code = believe_child(r, err);
    }
    if (code == EVLOG_ERR_NOT_FOUND) {
        code = archive_trust_follow(&r->trust, r->store, &r->root, err);
    }
    return code;
}

static int open_at(struct archive_reader *r, const struct el_uuid *incarnation,
                   const struct archive_reader_options *options, struct el_error *err)
{
    uint64_t sequence = options->sequence;
    int code = 0;
    if (sequence == 0) {
        code = archive_root_newest(r->store, incarnation, 0, &sequence, err);
        if (code == 0 && sequence == 0) {
            char hex[33];
            el_hex(hex, incarnation->bytes, 16);
            code = el_error_set(err, EVLOG_ERR_NOT_FOUND, "%s: archive %s has no root", r->store->url, hex);
        }
    }
    if (code == 0) {
        code = archive_root_get(r->store, incarnation, sequence, &r->root, err);
    }
    if (code == 0 && options->root != NULL && memcmp(options->root, &r->root.hash, sizeof(r->root.hash)) != 0) {
        char key[EL_ARCHIVE_KEY_MAX];
        el_archive_key_root(key, incarnation, sequence);
        code = el_error_set(err, EVLOG_ERR_CORRUPT, "%s is not the root that the archive continues", key);
    }
    if (code == 0) {
        code = check_signature(r, err);
    }
    if (code == 0) {
        code = archive_state_load(r->store, incarnation, sequence, &r->root.hash, &r->state, err);
    }
    if (code == 0 && r->trust.count > 0) {
        archive_trust_learn(&r->trust, r->state);
    }
    return code;
}

int archive_reader_open(struct object_store *store, const struct archive_reader_options *options,
                        struct archive_reader **reader, struct el_error *err)
{
    struct el_uuid incarnation;
    struct archive_reader *r = el_calloc(1, sizeof(*r));
    if (r == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to open an archive");
    }
    EL_ASSERT(options->key_count <= EL_SIGN_KEYS_MAX);
    r->store = store;
    r->depth = options->depth;
    r->trust.count = options->key_count;
    for (size_t i = 0; i < options->key_count; i++) {
        r->trust.keys[i] = options->keys[i];
    }
    int code = 0;
    if (options->incarnation != NULL) {
        incarnation = *options->incarnation;
    } else {
        code = find_incarnation(store, &incarnation, err);
    }
    if (code == 0) {
        code = open_at(r, &incarnation, options, err);
    }
    if (code != 0) {
        archive_reader_close(r);
        return code;
    }
    *reader = r;
    return 0;
}

void archive_reader_close(struct archive_reader *r)
{
    while (r != NULL) {
        struct archive_reader *parent = r->parent;
        for (size_t i = 0; i < ARCHIVE_TABLES; i++) {
            el_free(r->tables[i].rows);
        }
        archive_state_free(r->state);
        el_free(r);
        r = parent;
    }
}

const struct archive_root *archive_reader_root(const struct archive_reader *r)
{
    return &r->root;
}

const struct archive_state *archive_reader_state(const struct archive_reader *r)
{
    return r->state;
}

uint64_t archive_reader_memory(const struct archive_reader *r)
{
    uint64_t len = 0;
    for (; r != NULL; r = r->parent) {
        len += sizeof(*r) + (r->state == NULL ? 0 : archive_state_memory(r->state));
        for (size_t i = 0; i < ARCHIVE_TABLES; i++) {
            len += r->tables[i].len;
        }
    }
    return len;
}

struct archive_state *archive_reader_take_state(struct archive_reader *r)
{
    struct archive_state *state = r->state;
    r->state = NULL;
    archive_reader_close(r);
    return state;
}

size_t archive_reader_keys(const struct archive_reader *r, struct el_public_key keys[EL_SIGN_KEYS_MAX])
{
    memcpy(keys, r->trust.keys, r->trust.count * sizeof(*keys));
    return r->trust.count;
}

/* --- going on ------------------------------------------------------------------------------------------------------
 * */

/* All manifests between the root that the reader stands at and the next, one after the other. The state must not show
 * what no root covers, so all are fetched before the first is applied. */
static int apply_new(struct archive_reader *r, const struct archive_root *next, struct el_error *err)
{
    size_t count = (size_t)(next->sequence - r->root.sequence);
    uint8_t *manifests[APPLY_MAX] = {NULL};
    uint64_t lens[APPLY_MAX];
    int code = 0;
    EL_ASSERT(count <= APPLY_MAX);
    for (size_t i = 0; code == 0 && i < count; i++) {
        code = archive_manifest_get(r->store, &r->root.incarnation, r->root.sequence + 1 + i, &manifests[i], &lens[i],
                                    err);
    }
    /* Their hashes first: a state that is broken is not to be repaired. */
    struct el_frontier tree = r->state->tree;
    for (size_t i = 0; code == 0 && i < count; i++) {
        uint8_t sha256[32];
        struct el_hash256 leaf;
        el_sha256(manifests[i], (size_t)lens[i], sha256);
        el_merkle_leaf(sha256, sizeof(sha256), &leaf);
        el_frontier_add(&tree, &leaf);
    }
    struct el_hash256 hash;
    el_frontier_root(&tree, &hash);
    if (code == 0 && memcmp(&hash, &next->hash, sizeof(hash)) != 0) {
        code = el_error_set(err, EVLOG_ERR_CORRUPT,
                            "root %" PRIu64 " is signed over other manifests than root %" PRIu64 " and those behind it",
                            next->sequence, r->root.sequence);
    }
    for (size_t i = 0; code == 0 && i < count; i++) {
        code = archive_state_apply(r->state, manifests[i], (size_t)lens[i], err);
    }
    for (size_t i = 0; i < count; i++) {
        el_free(manifests[i]);
    }
    return code;
}

static int load_anew(struct archive_reader *r, const struct archive_root *next, struct el_error *err)
{
    struct archive_tree tree = {.store = r->store, .incarnation = r->root.incarnation, .of_manifests = true};
    struct archive_state *state = NULL;
    int code = archive_tiles_consistent(&tree, r->root.sequence, &r->root.hash, next->sequence, &next->hash, err);
    if (code == 0) {
        code = archive_state_load(r->store, &r->root.incarnation, next->sequence, &next->hash, &state, err);
    }
    if (code == 0) {
        code = archive_state_continues(r->state, state, err);
    }
    if (code != 0) {
        archive_state_free(state);
        return code;
    }
    archive_state_free(r->state);
    r->state = state;
    return 0;
}

int archive_reader_refresh(struct archive_reader *r, bool *moved, struct el_error *err)
{
    uint64_t sequence = 0;
    if (moved != NULL) {
        *moved = false;
    }
    if (r->state->broken) {
        return el_error_set(err, EVLOG_ERR_CORRUPT,
                            "the archive went on from root %" PRIu64 " in a way that it may not", r->root.sequence);
    }
    int code = archive_root_newest(r->store, &r->root.incarnation, r->root.sequence, &sequence, err);
    if (code != 0 || sequence == 0) {
        return code;
    }
    struct archive_root *next = el_malloc(sizeof(*next));
    if (next == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a root");
    }
    code = archive_root_get(r->store, &r->root.incarnation, sequence, next, err);
    if (code == 0 && !el_uuid_eq(&next->cluster, &r->root.cluster)) {
        code = el_error_set(err, EVLOG_ERR_CORRUPT, "root %" PRIu64 " is of another cluster", sequence);
    }
    if (code == 0 && r->trust.count > 0) {
        code = archive_trust_check(&r->trust, next, err);
        if (code == EVLOG_ERR_NOT_FOUND) {
            code = archive_trust_follow(&r->trust, r->store, next, err);
        }
    }
    if (code == 0) {
        code = sequence - r->root.sequence <= APPLY_MAX ? apply_new(r, next, err) : load_anew(r, next, err);
    }
    if (code == 0) {
        r->root = *next;
        if (r->trust.count > 0) {
            archive_trust_learn(&r->trust, r->state);
        }
        if (moved != NULL) {
            *moved = true;
        }
    }
    el_free(next);
    return code;
}

/* --- parents ------------------------------------------------------------------------------------------------------ */

int archive_reader_parent(struct archive_reader *r, struct archive_reader **parent, struct el_error *err)
{
    const struct el_manifest_header *h = &r->state->header;
    if (r->parent != NULL || el_uuid_is_zero(&h->parent)) {
        *parent = r->parent;
        return 0;
    }
    struct el_hash256 root;
    struct archive_reader *opened = NULL;
    memcpy(root.bytes, h->parent_root, sizeof(root.bytes));
    struct archive_reader_options options = {.incarnation = &h->parent, .sequence = h->parent_sequence, .root = &root};
    int code = archive_reader_open(r->store, &options, &opened, err);
    if (code == 0 && !el_uuid_eq(&opened->root.cluster, &r->root.cluster)) {
        char key[EL_ARCHIVE_KEY_MAX];
        el_archive_key_root(key, &h->parent, h->parent_sequence);
        code = el_error_set(err, EVLOG_ERR_CORRUPT, "%s is the root of another cluster", key);
        archive_reader_close(opened);
    }
    if (code == 0) {
        r->parent = opened;
        *parent = opened;
    }
    return code;
}

int archive_reader_range(struct archive_reader *r, const struct el_uuid *topic_id, int32_t partition,
                         struct archive_range *range, struct el_error *err)
{
    const struct archive_partition *p = archive_state_partition(r->state, topic_id, partition);
    char place[ARCHIVE_PLACE_MAX];
    if (p == NULL) {
        return el_error_set(err, EVLOG_ERR_UNKNOWN_TOPIC, "the archive has nothing of %s",
                            archive_place(place, topic_id, partition));
    }
    struct archive_range got = {.start_offset = p->now.start_offset,
                                .log_start = EL_MAX(p->now.log_start, p->retired->end_offset),
                                .end_offset = p->now.end_offset,
                                .last_append_ns = p->now.last_append_ns};
    struct archive_reader *at = r;
    for (uint32_t i = 0; i < PARENTS_MAX && got.start_offset > 0; i++) { /* from there on they have no say */
        struct archive_reader *parent = NULL;
        int code = archive_reader_parent(at, &parent, err);
        if (code != 0) {
            return code;
        }
        p = parent == NULL ? NULL : archive_state_partition(parent->state, topic_id, partition);
        if (p == NULL) {
            break;
        }
        got.log_start = EL_MAX(got.log_start, EL_MIN(p->retired->end_offset, got.start_offset));
        if (got.last_append_ns == 0) {
            got.last_append_ns = p->now.last_append_ns;
        }
        got.start_offset = EL_MIN(got.start_offset, p->now.start_offset); /* it may have nothing of its own */
        at = parent;
    }
    *range = got;
    return 0;
}
