/* SPDX-License-Identifier: Apache-2.0
 *
 * See archive_bucket.h.
 */
#include "archive_bucket.h"

#include "sim_disk_priv.h"
#include <core/alloc.h>
#include <core/crypto.h>
#include <core/hash.h>
#include <format/note.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/archive_cluster.h>
#include <store/archive_tiles.h>

#define REFUSES_NS_MAX 60000000000u

static struct bucket *of(struct object_store *base)
{
    return EL_CONTAINER(base, struct bucket, base);
}

/* --- incarnations ------------------------------------------------------------------------------------------------- */

static struct bucket_line *line_of(struct bucket *b, const struct el_uuid *incarnation)
{
    for (uint32_t i = 0; i < b->line_count; i++) {
        if (el_uuid_eq(&b->lines[i].incarnation, incarnation)) {
            return &b->lines[i];
        }
    }
    return NULL;
}

/* That of an object's name. */
static struct bucket_line *line_of_key(struct bucket *b, const char *key)
{
    struct el_uuid incarnation;
    return archive_id_parse(el_slice_of(key, EL_MIN(strlen(key), (size_t)32)), &incarnation) == 0
               ? line_of(b, &incarnation)
               : NULL;
}

/* cluster.json: another incarnation begins. */
static void line_begin(struct bucket *b, const void *data, uint64_t len)
{
    struct archive_cluster cluster;
    struct el_error err = {0};
    int code = archive_cluster_parse(el_slice_of(data, len), &cluster, &err);
    EL_ASSERT(code == 0);
    if (line_of(b, &cluster.incarnation) != NULL) {
        return;
    }
    EL_ASSERT(b->line_count < BUCKET_LINES_MAX);
    struct bucket_line *parent = el_uuid_is_zero(&cluster.parent) ? NULL : line_of(b, &cluster.parent);
    struct bucket_line *line = &b->lines[b->line_count++];
    *line = (struct bucket_line){.incarnation = cluster.incarnation, .state = archive_state_new(), .parent = parent};
    EL_ASSERT(line->state != NULL);
    if (b->line != NULL && line->parent != b->line) {
        world_violation(b->w, "an archive begins that does not continue the one that is there");
    }
    if (line->parent != NULL) {
        line->parent->continued = true;
    }
    if (line->parent != NULL && cluster.parent_sequence != line->parent->state->header.sequence) {
        world_violation(b->w, "an archive continues root %llu of one that has %llu",
                        (unsigned long long)cluster.parent_sequence,
                        (unsigned long long)line->parent->state->header.sequence);
    }
    b->line = line;
    b->state = line->state;
}

/* --- the auditor -------------------------------------------------------------------------------------------------- */

static void note_seen(struct bucket *b, const char *key, const void *data, uint64_t len)
{
    struct el_checkpoint_note note;
    if (el_note_parse(el_slice_of(data, len), &note) != 0) {
        world_violation(b->w, "%s is no note", key);
        return;
    }
    uint64_t origin = el_xxh3(note.origin.data, note.origin.len);
    for (uint32_t i = 0; i < b->note_count; i++) {
        const struct bucket_note *n = &b->notes[i];
        if (n->origin == origin && n->size == note.size && memcmp(n->root, note.root, 32) != 0) {
            world_violation(b->w, "%s: two trees of size %llu were signed", key, (unsigned long long)note.size);
        }
        if (n->origin == origin && n->size == note.size) {
            return;
        }
    }
    if (b->note_count == b->note_room) {
        b->note_room = EL_MAX(2 * b->note_room, BUCKET_NOTES_FIRST);
        b->notes = realloc(b->notes, b->note_room * sizeof *b->notes);
        EL_ASSERT(b->notes != NULL);
    }
    struct bucket_note *n = &b->notes[b->note_count++];
    *n = (struct bucket_note){.origin = origin, .size = note.size};
    memcpy(n->root, note.root, 32);
}

static void check_signature(struct bucket *b, const char *key, struct el_slice bytes)
{
    char name[EL_ARCHIVE_KEY_MAX];
    el_archive_key_name(name, &b->cluster);
    if (el_note_verify(bytes, el_slice_str(name), b->publics, b->public_count, NULL) != 0) {
        world_violation(b->w, "%s is not signed well", key);
    }
}

/* Objects that a manifest states for the first time are there, whole. */
static void check_objects(struct bucket *b, const struct bucket_line *line, uint64_t from)
{
    const struct archive_state *state = line->state;
    for (size_t i = state->object_count; i > 0; i--) {
        const struct archive_object object = archive_object_at(state, i - 1);
        const struct el_manifest_object *o = &object.now;
        if (o->number <= from) {
            break;
        }
        char key[EL_ARCHIVE_KEY_MAX];
        el_archive_key_object(key, &line->incarnation, o);
        const struct mem_object *there = mem_store_find(b->mem, key);
        if (there == NULL || there->len != o->len || memcmp(there->sha256, o->sha256, 32) != 0) {
            world_violation(b->w, "root %llu covers %s, which is not there", (unsigned long long)state->header.sequence,
                            key);
        }
        b->objects++;
    }
}

/* What had left a partition by age before a manifest was applied. */
struct left {
    struct el_uuid topic_id;
    int32_t partition;
    uint64_t leaves, when_ms;
};

/* returns [state->partitions.count], to be freed */
static struct left *left_before(const struct archive_state *state)
{
    struct left *before = calloc(state->partitions.count + 1, sizeof *before);
    EL_ASSERT(before != NULL);
    for (size_t i = 0; i < state->partitions.count; i++) {
        const struct archive_partition *p = state->partitions.entries[i].value;
        before[i] = (struct left){.topic_id = p->now.topic_id,
                                  .partition = p->now.partition,
                                  .leaves = p->retired->tree.size,
                                  .when_ms = p->retired->when_ms};
    }
    return before;
}

/* What left by age does not leave before its time, by the clock that append times come from. A start may set that clock
 * back: then what left before stays as it was stated, whatever else becomes of the partition, and what leaves next is
 * not stated with an earlier time than it. */
static void check_ages(struct bucket *b, const struct archive_state *state, const struct left *before, size_t count)
{
    uint64_t now_ms = el_clock_now(store_clock(b->w->store)) / 1000000;
    for (size_t i = 0; i < state->partitions.count; i++) {
        const struct archive_partition *p = state->partitions.entries[i].value;
        const struct el_manifest_retired *r = p->retired;
        struct left was = {0};
        for (size_t k = 0; k < count; k++) {
            bool same = before[k].partition == p->now.partition && el_uuid_eq(&before[k].topic_id, &p->now.topic_id);
            was = same ? before[k] : was;
        }
        if (r->tree.size > was.leaves && r->when_ms > EL_MAX(now_ms, was.when_ms)) {
            world_violation(b->w, "events below offset %lld left the archive at a time to come",
                            (long long)r->end_offset);
        }
        if (r->tree.size == was.leaves && r->when_ms != was.when_ms) {
            world_violation(b->w, "events below offset %lld left the archive at another time than was stated",
                            (long long)r->end_offset);
        }
    }
}

static void root_seen(struct bucket *b, const char *key, const void *data, uint64_t len)
{
    struct el_checkpoint_note note;
    struct el_error err = {0};
    struct el_hash256 root;
    char name[EL_ARCHIVE_KEY_MAX];
    int code = el_note_parse(el_slice_of(data, len), &note);
    EL_ASSERT(code == 0);
    check_signature(b, key, el_slice_of(data, len));
    struct bucket_line *line = line_of_key(b, key);
    if (line == NULL || line->continued) {
        world_violation(b->w, "%s is of %s", key, line == NULL ? "no archive" : "one that another continues");
        return;
    }
    struct archive_state *state = line->state;
    el_archive_key_manifest(name, &line->incarnation, note.size);
    const struct mem_object *manifest = mem_store_find(b->mem, name);
    if (manifest == NULL || note.size != state->header.sequence + 1) {
        world_violation(b->w, "%s comes behind root %llu%s", key, (unsigned long long)state->header.sequence,
                        manifest == NULL ? ", and its manifest is not there" : "");
        return;
    }
    uint64_t objects = state->last_object;
    size_t count = state->partitions.count;
    struct left *before = left_before(state);
    code = archive_state_apply(state, manifest->data, manifest->len, &err);
    if (code != 0) {
        world_violation(b->w, "manifest %llu: %s", (unsigned long long)note.size, err.text);
    } else {
        check_ages(b, state, before, count);
    }
    free(before);
    if (code != 0) {
        return;
    }
    el_frontier_root(&state->tree, &root);
    if (memcmp(root.bytes, note.root, 32) != 0) {
        world_violation(b->w, "%s is not the root of the manifests", key);
    }
    check_objects(b, line, objects);
    b->roots++;
}

static void put_seen(struct bucket *b, const char *key, const void *data, uint64_t len, bool done)
{
    const char *root = strstr(key, "/root/");
    if (root != NULL || strstr(key, "/checkpoint/") != NULL) {
        note_seen(b, key, data, len);
    }
    if (done && root != NULL && b->w->violation[0] == 0) {
        root_seen(b, key, data, len);
    }
    if (done && strstr(key, "/cluster.json") != NULL) {
        line_begin(b, data, len);
    }
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

/* returns 0: the call is carried out, and its answer is lost when *lost is set */
static int begin(struct bucket *b, const char *key, bool *lost, struct el_error *err)
{
    int code;
    struct world *w = b->w;
    *lost = false;
    b->mem->now_ms = EL_MAX(b->mem->now_ms, b->clock_ms + (int64_t)(w->clock.now_ns / 1000000));
    atomic_store(&b->base.seen_ms, b->mem->now_ms);
    (void)enter(sim_disk_as_disk(w->disk), &code);
    if (code != 0) {
        return el_error_set(err, code, "%s: crashed", key);
    }
    if (b->stopped) {
        return el_error_set(err, EVLOG_ERR_CLOSED, "%s: stopping", key);
    }
    if (w->clock.now_ns < b->refuses_until_ns || sim_disk_fault(w->disk, FAULT_BUCKET_REFUSES)) {
        if (w->clock.now_ns >= b->refuses_until_ns) {
            b->refuses_until_ns = w->clock.now_ns + world_below(w, REFUSES_NS_MAX);
        }
        return el_error_set(err, EVLOG_ERR_POLICY, "%s: refused", key);
    }
    if (sim_disk_fault(w->disk, FAULT_BUCKET_AGAIN)) {
        return el_error_set(err, EVLOG_ERR_AGAIN, "%s: come again", key);
    }
    *lost = sim_disk_fault(w->disk, FAULT_BUCKET_LOST);
    return 0;
}

/* What the store and its auditor keep is no leak of the broker's. */
static void settle(struct bucket *b, uint64_t before)
{
    b->w->heap_blocks += el_alloc_live() - before;
}

static int bucket_put(struct object_store *base, const char *key, const void *data, uint64_t len,
                      const uint8_t sha256[32], struct el_error *err)
{
    struct bucket *b = of(base);
    bool lost;
    int code = begin(b, key, &lost, err);
    uint64_t before = el_alloc_live();
    if (code != 0) {
        put_seen(b, key, data, len, false);
        return code;
    }
    code = object_put(&b->mem->base, key, data, len, sha256, err);
    put_seen(b, key, data, len, code == 0);
    settle(b, before);
    return lost ? el_error_set(err, EVLOG_ERR_IN_DOUBT, "%s: the answer was lost", key) : code;
}

/* What is held is in no bucket, until it is settled: then in any order, and a crash or a refusal leaves some of it. */
struct held_put {
    struct held_put *next;
    void *data;
    uint64_t len;
    uint8_t sha256[32];
    char key[OBJECT_KEY_MAX + 1];
};

static int bucket_hold(struct object_store *base, void **held, const char *key, const void *data, uint64_t len,
                       const uint8_t sha256[32], struct el_error *err)
{
    struct held_put *put = malloc(sizeof *put);
    (void)base;
    (void)err;
    EL_ASSERT(put != NULL);
    *put = (struct held_put){.next = *held, .data = malloc(EL_MAX(len, 1u)), .len = len};
    EL_ASSERT(put->data != NULL);
    memcpy(put->data, data, len);
    memcpy(put->sha256, sha256, sizeof put->sha256);
    (void)snprintf(put->key, sizeof put->key, "%s", key);
    *held = put;
    return 0;
}

static struct held_put *held_take(struct world *w, void **held)
{
    struct held_put *first = *held, **at = &first;
    for (uint32_t skip = w == NULL ? 0 : world_below(w, 8); skip > 0 && (*at)->next != NULL; skip--) {
        at = &(*at)->next;
    }
    struct held_put *put = *at;
    *at = put->next;
    *held = first;
    return put;
}

static void held_free(struct held_put *put)
{
    free(put->data);
    free(put);
}

static void bucket_drop(struct object_store *base, void **held)
{
    (void)base;
    while (*held != NULL) {
        held_free(held_take(NULL, held));
    }
}

static int bucket_settle(struct object_store *base, void **held, struct el_error *err)
{
    int code = 0;
    while (*held != NULL && code == 0) {
        struct held_put *put = held_take(of(base)->w, held);
        code = object_put_once(base, put->key, put->data, put->len, put->sha256, err);
        held_free(put);
    }
    bucket_drop(base, held);
    return code;
}

static int bucket_get(struct object_store *base, const char *key, uint64_t pos, void *buf, uint64_t len, uint64_t *done,
                      struct el_error *err)
{
    struct bucket *b = of(base);
    bool lost;
    int code = begin(b, key, &lost, err);
    code = code != 0 ? code : object_get(&b->mem->base, key, pos, buf, len, done, err);
    if (code == 0 && sim_disk_fault(b->w->disk, FAULT_BUCKET_SHORT)) {
        return el_error_set(err, EVLOG_ERR_TRUNCATED, "%s: half of it arrived", key);
    }
    return code == 0 && lost ? el_error_set(err, EVLOG_ERR_AGAIN, "%s: the answer was lost", key) : code;
}

static int bucket_head(struct object_store *base, const char *key, struct object_info *info, struct el_error *err)
{
    struct bucket *b = of(base);
    bool lost;
    int code = begin(b, key, &lost, err);
    code = code != 0 ? code : object_head(&b->mem->base, key, info, err);
    return code == 0 && lost ? el_error_set(err, EVLOG_ERR_AGAIN, "%s: the answer was lost", key) : code;
}

static int bucket_list(struct object_store *base, const char *prefix, const char *after, object_list_fn fn, void *arg,
                       struct el_error *err)
{
    struct bucket *b = of(base);
    bool lost;
    int code = begin(b, prefix, &lost, err);
    return code != 0 ? code : object_list(&b->mem->base, prefix, after, fn, arg, err);
}

static bool is_named(const struct bucket *b, const char *key)
{
    for (uint32_t n = 0; n < b->line_count; n++) {
        const struct archive_state *state = b->lines[n].state;
        for (size_t i = 0; i < state->object_count; i++) {
            char name[EL_ARCHIVE_KEY_MAX];
            struct archive_object object = archive_object_at(state, i);
            el_archive_key_object(name, &b->lines[n].incarnation, &object.now);
            if (strcmp(name, key) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Nothing leaves that the newest root says is there, also not what it says was replaced: readers have it open. */
static void remove_seen(struct bucket *b, const char *key)
{
    if (is_named(b, key)) {
        world_violation(b->w, "%s is removed, and root %llu names it", key,
                        (unsigned long long)b->state->header.sequence);
    }
    b->removed++;
}

static int bucket_remove(struct object_store *base, const char *key, struct el_error *err)
{
    struct bucket *b = of(base);
    bool lost;
    int code = begin(b, key, &lost, err);
    uint64_t before = el_alloc_live();
    if (code == 0) {
        remove_seen(b, key);
        code = object_remove(&b->mem->base, key, err);
    }
    settle(b, before);
    return code == 0 && lost ? el_error_set(err, EVLOG_ERR_IN_DOUBT, "%s: the answer was lost", key) : code;
}

static void bucket_stop(struct object_store *base)
{
    of(base)->stopped = true;
}

static void bucket_close(struct object_store *base)
{
    (void)base;
}

static const struct object_store_ops ops = {.put = bucket_put,
                                            .hold = bucket_hold,
                                            .settle = bucket_settle,
                                            .drop = bucket_drop,
                                            .get = bucket_get,
                                            .head = bucket_head,
                                            .list = bucket_list,
                                            .remove = bucket_remove,
                                            .stop = bucket_stop,
                                            .close = bucket_close};

void bucket_init(struct bucket *b, struct world *w)
{
    memset(b, 0, sizeof *b);
    b->base = (struct object_store){.ops = &ops, .url = "sim://bucket"};
    b->w = w;
    b->mem = mem_store_open();
    b->clock_ms = 1500000000000 + (int64_t)world_below(w, 400000000000); /* nobody's clock but its own */
    b->nothing = archive_state_new();
    b->state = b->nothing;
    EL_ASSERT(b->mem != NULL);
    b->mem->now_ms = b->clock_ms;
    EL_ASSERT(b->state != NULL);
}

void bucket_free(struct bucket *b)
{
    object_store_close(&b->mem->base);
    archive_state_free(b->nothing);
    for (uint32_t i = 0; i < b->line_count; i++) {
        archive_state_free(b->lines[i].state);
    }
    free(b->notes);
}

void bucket_reopen(struct bucket *b)
{
    b->stopped = false;
}

/* --- looks -------------------------------------------------------------------------------------------------------- */

int64_t bucket_end(const struct bucket *b, const struct el_uuid *topic_id, int32_t partition)
{
    for (const struct bucket_line *line = b->line; line != NULL; line = line->parent) {
        const struct archive_partition *p = archive_state_partition(line->state, topic_id, partition);
        if (p != NULL) {
            return p->now.end_offset;
        }
    }
    return 0;
}

const struct el_manifest_retired *bucket_retired(const struct bucket *b, const struct el_uuid *topic_id,
                                                 int32_t partition)
{
    static const struct el_manifest_retired nothing;
    for (const struct bucket_line *line = b->line; line != NULL; line = line->parent) {
        const struct archive_partition *p = archive_state_partition(line->state, topic_id, partition);
        if (p != NULL && p->retired->tree.size > 0) {
            return p->retired;
        }
    }
    return &nothing;
}

bool bucket_redacted(const struct bucket *b, const struct el_uuid *topic_id, int32_t partition,
                     const struct el_pack_batch *row, const char *reason)
{
    for (const struct bucket_line *line = b->line; line != NULL; line = line->parent) {
        for (size_t i = 0; i < line->state->redaction_count; i++) {
            const struct el_manifest_redaction *r = &line->state->redactions[i].now;
            if (r->partition == partition && el_uuid_eq(&r->topic_id, topic_id) &&
                r->first_offset <= row->leaf.first_offset && r->end_offset >= el_pack_batch_end(row) &&
                el_slice_eq(r->reason, el_slice_str(reason))) {
                return true;
            }
        }
    }
    return false;
}

uint32_t bucket_orphans(const struct bucket *b, int64_t until_ms)
{
    uint32_t count = 0;
    for (size_t i = 0; i < b->mem->count; i++) {
        const struct mem_object *o = &b->mem->objects[i];
        bool pack = strstr(o->key, "/bundles/") != NULL || strstr(o->key, "/seg/") != NULL;
        bool newest = b->line != NULL && line_of_key((struct bucket *)(uintptr_t)b, o->key) == b->line;
        count += pack && newest && o->modified_ms <= until_ms && !is_named(b, o->key);
    }
    return count;
}

static const uint8_t *part_object(struct bucket *b, const struct bucket_line *line, const struct el_archive_part *part)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t sha256[32];
    struct archive_object object;
    bool known = archive_state_object(line->state, part->object, &object);
    EL_ASSERT(known);
    el_archive_key_object(key, &line->incarnation, &object.now);
    const struct mem_object *there = mem_store_find(b->mem, key);
    if (there == NULL) {
        world_violation(b->w, "%s is gone, and its parts count", key);
        return NULL;
    }
    el_sha256(there->data + part->table_pos, (size_t)part->batch_count * EL_PACK_BATCH_LEN, sha256);
    if (memcmp(sha256, part->table_sha256, 32) != 0) {
        world_violation(b->w, "%s: a batch table is not what its part says", key);
        return NULL;
    }
    return there->data;
}

/* Batches of one incarnation, below an offset. returns false when fn wants no more, or something is wrong */
static bool line_each(struct bucket *b, const struct bucket_line *line, const struct archive_partition *p,
                      int64_t below, bucket_batch_fn fn, void *arg)
{
    bool more = true;
    for (uint32_t i = 0; more && i < p->part_count; i++) {
        const struct el_archive_part held = archive_part_at(p, i), *part = &held;
        const uint8_t *object = part_object(b, line, part);
        uint64_t pos = part->data_pos;
        more = object != NULL;
        for (uint32_t k = 0; k < part->batch_count && more; k++) {
            struct el_pack_batch row;
            if (el_pack_batch_get(object + part->table_pos + (size_t)k * EL_PACK_BATCH_LEN, &row) != 0) {
                world_violation(b->w, "a row of a batch table makes no sense");
                return false;
            }
            more = row.leaf.first_offset >= below || fn(arg, &row, object + pos);
            pos += row.len;
        }
    }
    return more;
}

void bucket_each(struct bucket *b, const struct el_uuid *topic_id, int32_t partition, bucket_batch_fn fn, void *arg)
{
    const struct bucket_line *lines[BUCKET_LINES_MAX];
    int64_t below[BUCKET_LINES_MAX], start = INT64_MAX;
    uint32_t count = 0;
    for (const struct bucket_line *line = b->line; line != NULL; line = line->parent) {
        const struct archive_partition *p = archive_state_partition(line->state, topic_id, partition);
        lines[count] = line;
        below[count++] = start;
        start = p == NULL ? start : EL_MIN(start, p->now.start_offset);
    }
    for (bool more = true; more && count > 0; count--) {
        const struct bucket_line *line = lines[count - 1];
        const struct archive_partition *p = archive_state_partition(line->state, topic_id, partition);
        more = p == NULL || line_each(b, line, p, below[count - 1], fn, arg);
    }
}

struct audit {
    struct bucket *b;
    struct el_frontier tree;
    uint64_t checkpoint_at; /* leaves; the frontier there */
    struct el_frontier checkpoint;
};

static bool audit_batch(void *arg, const struct el_pack_batch *row, const uint8_t *batch)
{
    struct audit *a = arg;
    uint8_t digest[32], entry[EL_LEAF_ENTRY_LEN];
    struct el_hash256 leaf;
    el_leaf_digest(row->salt, batch, row->len, digest);
    if (!row->redacted && memcmp(digest, row->leaf.digest, 32) != 0) {
        world_violation(a->b->w, "the batch at offset %lld is not what its leaf says",
                        (long long)row->leaf.first_offset);
        return false;
    }
    el_leaf_entry_put(entry, &row->leaf);
    el_merkle_leaf(entry, sizeof entry, &leaf);
    el_frontier_add(&a->tree, &leaf);
    if (a->tree.size == a->checkpoint_at) {
        a->checkpoint = a->tree;
    }
    return true;
}

static void audit_checkpoint(struct bucket *b, const struct archive_partition *p, const struct audit *a)
{
    struct archive_tree tree = {.store = &b->mem->base,
                                .incarnation = b->line->incarnation,
                                .topic_id = p->now.topic_id,
                                .partition = p->now.partition};
    struct el_hash256 root;
    struct el_error err = {0};
    struct el_checkpoint_note note;
    char key[EL_ARCHIVE_KEY_MAX];
    el_archive_key_checkpoint(key, &b->line->incarnation, &p->now.topic_id, p->now.partition, a->checkpoint_at);
    const struct mem_object *there = mem_store_find(b->mem, key);
    el_frontier_root(&a->checkpoint, &root);
    if (there == NULL || el_note_parse(el_slice_of(there->data, there->len), &note) != 0 ||
        note.size != a->checkpoint_at || memcmp(note.root, root.bytes, 32) != 0) {
        world_violation(b->w, "%s is %s", key, there == NULL ? "not there" : "not of the tree at its size");
        return;
    }
    check_signature(b, key, el_slice_of(there->data, there->len));
    struct archive_tiles *tiles = malloc(sizeof *tiles);
    EL_ASSERT(tiles != NULL);
    if (archive_tiles_load(&tree, a->checkpoint_at, &root, tiles, &err) != 0) {
        world_violation(b->w, "tiles of partition %d at size %llu: %s", p->now.partition,
                        (unsigned long long)a->checkpoint_at, err.text);
    }
    free(tiles);
}

static void audit_roots(struct bucket *b)
{
    struct archive_tree tree = {.store = &b->mem->base, .incarnation = b->line->incarnation, .of_manifests = true};
    struct el_hash256 root;
    struct el_error err = {0};
    struct archive_tiles *tiles = malloc(sizeof *tiles);
    EL_ASSERT(tiles != NULL);
    el_frontier_root(&b->state->tree, &root);
    if (b->state->tree.size > 0 && archive_tiles_load(&tree, b->state->tree.size, &root, tiles, &err) != 0) {
        world_violation(b->w, "tiles of the manifests: %s", err.text);
    }
    free(tiles);
}

/* Objects that were replaced stay until a root says otherwise. */
static void audit_objects(struct bucket *b)
{
    for (size_t i = 0; i < b->state->object_count; i++) {
        char key[EL_ARCHIVE_KEY_MAX];
        struct archive_object object = archive_object_at(b->state, i);
        el_archive_key_object(key, &b->line->incarnation, &object.now);
        if (mem_store_find(b->mem, key) == NULL) {
            world_violation(b->w, "%s is named by root %llu, and not there", key,
                            (unsigned long long)b->state->header.sequence);
        }
    }
}

/* The leaves of what has left are in the tiles, and the tree goes on from them. */
static void audit_retired(struct audit *a, const struct archive_partition *p)
{
    struct archive_tree tree = {.store = &a->b->mem->base,
                                .incarnation = a->b->line->incarnation,
                                .topic_id = p->now.topic_id,
                                .partition = p->now.partition};
    struct el_error err = {0};
    while (a->tree.size < p->retired->tree.size) {
        struct el_hash256 hashes[EL_TILE_HASHES];
        uint32_t width = 0;
        if (archive_tile_get(&tree, 0, a->tree.size / EL_TILE_HASHES, a->checkpoint_at, hashes, &width, &err) != 0) {
            world_violation(a->b->w, "what has left partition %d: %s", p->now.partition, err.text);
            return;
        }
        for (uint32_t i = 0; i < width && a->tree.size < p->retired->tree.size; i++) {
            el_frontier_add(&a->tree, &hashes[i]);
        }
    }
    if (memcmp(a->tree.hashes, p->retired->tree.hashes, el_frontier_count(a->tree.size) * EL_MERKLE_HASH_LEN) != 0) {
        world_violation(a->b->w, "partition %d: the tiles do not have the leaves of what has left", p->now.partition);
    }
    a->checkpoint = a->tree.size == a->checkpoint_at ? a->tree : a->checkpoint;
}

bool bucket_audit(struct bucket *b)
{
    if (b->line == NULL) {
        return b->w->violation[0] == 0;
    }
    audit_objects(b);
    for (size_t i = 0; i < b->state->partitions.count && b->w->violation[0] == 0; i++) {
        const struct archive_partition *p = b->state->partitions.entries[i].value;
        struct audit a = {.b = b, .checkpoint_at = archive_partition_segment_leaves(b->state, p)};
        struct el_hash256 stated, found;
        audit_retired(&a, p);
        (void)line_each(b, b->line, p, INT64_MAX, audit_batch, &a);
        el_frontier_root(&p->now.tree, &stated);
        el_frontier_root(&a.tree, &found);
        if (b->w->violation[0] == 0 && (a.tree.size != p->now.tree.size || memcmp(&stated, &found, 32) != 0)) {
            world_violation(b->w, "partition %d: the batches are not those of its tree", p->now.partition);
        }
        if (b->w->violation[0] == 0 && a.checkpoint_at > 0) {
            audit_checkpoint(b, p, &a);
        }
    }
    audit_roots(b);
    return b->w->violation[0] == 0;
}
