/* SPDX-License-Identifier: Apache-2.0
 *
 * Packs, byte for byte, and orphans. A pack is read once from its first byte to its last, some MiB at a time: header,
 * parts, tables, then each batch against its row; the hash of all that came must be the one that the manifest states.
 * Objects are divided over threads. Only with `deep`.
 *
 * Every byte is in two hashes, that of its batch and that of its object, and SHA-256 of one message is bound by waiting
 * for its own last round. So a thread goes through several packs at once, step by step: of each as many batches as are
 * there, then all hashes of the step together.
 */
#include "archive_verify_internal.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <evlog/error.h>
#include <inttypes.h>
#include <stdlib.h>

#define CHUNK_LEN (4u << 20)
#define STREAMS 8u        /* packs at once */
#define STEP_LEAVES 128u  /* batches of a pack in one step */
#define NAME_HASH_LEN 16u /* digits of its hash in the name of a pack */

/* Reads an object from the front. */
struct stream {
    struct check *c;
    const char *key;
    const struct el_manifest_object *object; /* as stated; NULL: of an orphan */
    uint8_t *buf;                            /* [cap] */
    size_t cap;
    size_t begin, end; /* bytes that were read and not taken */
    size_t hashed;     /* bytes before begin that are in sha256, <= begin */
    uint64_t read_pos; /* in the object, of buf[end] */
    bool ended;        /* the object has no more */
    struct el_sha256 sha256;
    struct el_pack_header header;
    struct el_archive_part *parts; /* [header.part_count] */
    uint8_t **tables;              /* [header.part_count] */
    uint32_t part, row;            /* of the next batch */
};

/* A batch of a step. */
struct leaf {
    uint32_t part;
    uint32_t stream;
    int64_t offset;
    uint64_t pos; /* in the object */
    uint8_t salt[16];
    uint8_t digest[32], expected[32];
};

/* The packs of a thread. */
struct group {
    struct stream streams[STREAMS];
    bool busy[STREAMS];
    struct leaf leaves[STREAMS * STEP_LEAVES];
    uint32_t leaf_count;
    struct el_sha256_job jobs[STREAMS + STREAMS * STEP_LEAVES]; /* of objects, then of leaves */
};

static struct place at(const struct stream *s, int64_t offset, uint64_t byte)
{
    return (struct place){.object = s->key, .offset_1 = offset + 1, .byte_1 = byte + 1};
}

/* What was taken goes to the object's hash. */
static void stream_hash(struct stream *s)
{
    el_sha256_add(&s->sha256, s->buf + s->hashed, s->begin - s->hashed);
    s->hashed = s->begin;
}

/* At least len bytes together at s->buf + s->begin. returns 0 | EVLOG_ERR_TRUNCATED | what the store says */
static int stream_need(struct stream *s, size_t len, struct el_error *err)
{
    if (s->end - s->begin >= len) {
        return 0;
    }
    if (s->begin > 0) {
        stream_hash(s);
        memmove(s->buf, s->buf + s->begin, s->end - s->begin);
        s->end -= s->begin;
        s->begin = s->hashed = 0;
    }
    size_t want = EL_MAX(len, (size_t)CHUNK_LEN);
    if (want > s->cap) {
        uint8_t *more = el_realloc(s->buf, want);
        if (more == NULL) {
            return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to read %s", s->key);
        }
        s->buf = more;
        s->cap = want;
    }
    while (s->end < len && !s->ended) {
        uint64_t done = 0, room = s->cap - s->end;
        int code = object_get(s->c->v->store, s->key, s->read_pos, s->buf + s->end, room, &done, err);
        if (code != 0) {
            return code;
        }
        verify_progress(s->c->v, done);
        s->read_pos += done;
        s->end += (size_t)done;
        s->ended = done < room;
    }
    return s->end >= len ? 0
                         : el_error_set(err, EVLOG_ERR_TRUNCATED, "%s ends at byte %" PRIu64 ", in the middle", s->key,
                                        s->read_pos);
}

static uint64_t stream_pos(const struct stream *s)
{
    return s->read_pos - (s->end - s->begin);
}

static const uint8_t *stream_take(struct stream *s, size_t len)
{
    const uint8_t *p = s->buf + s->begin;
    s->begin += len;
    return p;
}

/* --- front -------------------------------------------------------------------------------------------------------- */

static bool header_agrees(const struct stream *s)
{
    const struct el_pack_header *h = &s->header;
    const struct el_manifest_object *o = s->object;
    return el_uuid_eq(&h->incarnation, &s->c->state->header.incarnation) &&
           (o == NULL || (h->kind == o->kind && h->shard == o->shard && h->part_count == o->part_count &&
                          h->len == o->len && h->sequence == (o->kind == EL_PACK_BUNDLE ? o->sequence : 0)));
}

static int read_header(struct stream *s, struct el_error *err)
{
    int code = stream_need(s, EL_PACK_HEADER_LEN, err);
    if (code == 0) {
        code = el_pack_header_get(stream_take(s, EL_PACK_HEADER_LEN), &s->header);
        if (code != 0 || !header_agrees(s)) {
            code = el_error_set(err, EVLOG_ERR_CORRUPT, "%s: the header is not that of this pack", s->key);
        }
    }
    return code;
}

/* Parts as the object has them, and as manifests state those that count. */
static int read_parts(struct stream *s, struct el_error *err)
{
    size_t len = (size_t)s->header.part_count * EL_PACK_PART_LEN;
    uint32_t bad = 0;
    int code = stream_need(s, len, err);
    if (code != 0) {
        return code;
    }
    const uint8_t *p = stream_take(s, len);
    if (el_pack_parts_check(&s->header, p, &bad) != 0) {
        verify_find(s->c->v, s->c->state, at(s, -1, EL_PACK_HEADER_LEN + (uint64_t)bad * EL_PACK_PART_LEN),
                    "part %u is malformed, or does not fit to the others", bad);
        return EVLOG_ERR_CORRUPT;
    }
    s->parts = el_malloc(s->header.part_count * sizeof(*s->parts));
    s->tables = el_calloc(s->header.part_count, sizeof(*s->tables));
    if (s->parts == NULL || s->tables == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to read %s", s->key);
    }
    for (uint32_t i = 0; i < s->header.part_count; i++) {
        (void)el_archive_part_get(p + (size_t)i * EL_PACK_PART_LEN, &s->parts[i]);
    }
    return 0;
}

/* Does a part that counts stand in the object as it was stated? */
static void compare_parts(struct stream *s)
{
    for (uint32_t i = 0; s->object != NULL && i < s->header.part_count; i++) {
        const struct el_archive_part *part = &s->parts[i];
        const struct archive_partition *p = archive_state_partition(s->c->state, &part->topic_id, part->partition);
        uint64_t pos = EL_PACK_HEADER_LEN + (uint64_t)i * EL_PACK_PART_LEN;
        struct el_archive_part stated;
        if (p == NULL) {
            verify_find(s->c->v, s->c->state, at(s, part->first_offset, pos), "it has a part of a partition unknown");
            continue;
        }
        if (!archive_partition_part(p, part->first_offset, &stated) || stated.object != s->object->number) {
            continue; /* replaced */
        }
        uint8_t x[EL_PACK_PART_LEN], y[EL_PACK_PART_LEN];
        stated.object = 0;
        el_archive_part_put(x, &stated);
        el_archive_part_put(y, part);
        if (memcmp(x, y, sizeof(x)) != 0) {
            verify_find(s->c->v, s->c->state, at(s, part->first_offset, pos),
                        "a part is not as the manifest states it");
        }
    }
}

static int read_tables(struct stream *s, struct el_error *err)
{
    for (uint32_t i = 0; i < s->header.part_count; i++) {
        struct el_buffer table = {0};
        size_t left = (size_t)s->parts[i].batch_count * EL_PACK_BATCH_LEN;
        uint64_t pos = stream_pos(s);
        uint32_t bad = 0;
        while (left > 0) {
            size_t some = EL_MIN(left, (size_t)CHUNK_LEN);
            int code = stream_need(s, some, err);
            if (code == 0) {
                el_buffer_append(&table, stream_take(s, some), some);
                code = table.err;
            }
            if (code != 0) {
                el_buffer_free(&table);
                return code;
            }
            left -= some;
        }
        s->tables[i] = table.data;
        if (el_pack_table_check(&s->parts[i], table.data, &bad) != 0) {
            verify_find(
                s->c->v, s->c->state,
                at(s, s->parts[i].first_offset, pos + (uint64_t)(bad % s->parts[i].batch_count) * EL_PACK_BATCH_LEN),
                "the batch table is not the one of its part");
            return EVLOG_ERR_CORRUPT;
        }
    }
    return 0;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

static void find_batch(struct stream *s, const struct leaf *leaf)
{
    verify_find(s->c->v, s->c->state,
                (struct place){.object = s->key,
                               .topic_id = &s->parts[leaf->part].topic_id,
                               .partition = s->parts[leaf->part].partition,
                               .offset_1 = leaf->offset + 1,
                               .byte_1 = leaf->pos + 1},
                "the batch is not the one that is signed");
}

/* Batches of this step: those that are there, and one at least. The first may move what is there, the others may not:
 * jobs point to it. returns 0 | EVLOG_ERR_TRUNCATED | what the store says */
static int take_batches(struct group *g, uint32_t stream, struct el_error *err)
{
    struct stream *s = &g->streams[stream];
    uint32_t end = g->leaf_count + STEP_LEAVES;
    bool moved = false;
    while (s->part < s->header.part_count && g->leaf_count < end) {
        struct el_pack_batch row;
        if (s->row == s->parts[s->part].batch_count) {
            s->part++;
            s->row = 0;
            continue;
        }
        (void)el_pack_batch_get(s->tables[s->part] + (size_t)s->row * EL_PACK_BATCH_LEN, &row);
        if (s->end - s->begin < row.len) {
            if (moved) {
                break;
            }
            int code = stream_need(s, row.len, err);
            if (code != 0) {
                return code;
            }
        }
        moved = true;
        s->row++;
        if (row.redacted) {
            continue;
        }
        struct leaf *leaf = &g->leaves[g->leaf_count];
        *leaf = (struct leaf){.part = s->part, .stream = stream, .offset = row.leaf.first_offset, .pos = stream_pos(s)};
        const uint8_t *batch = stream_take(s, row.len);
        if (el_pack_batch_fields_check(&row, batch) != 0) {
            find_batch(s, leaf);
            continue;
        }
        memcpy(leaf->salt, row.salt, sizeof leaf->salt);
        memcpy(leaf->expected, row.leaf.digest, sizeof leaf->expected);
        g->jobs[STREAMS + g->leaf_count++] = el_leaf_job(leaf->salt, batch, row.len, leaf->digest);
    }
    return 0;
}

/* Hashes of all packs of a step at once: the long ones, of what was taken of the objects, first. */
static void hash_step(struct group *g)
{
    uint32_t first = STREAMS;
    for (uint32_t i = 0; i < STREAMS; i++) {
        struct stream *s = &g->streams[i];
        if (g->busy[i] && s->begin > s->hashed) {
            g->jobs[--first] = (struct el_sha256_job){.ctx = &s->sha256,
                                                      .data = el_slice_of(s->buf + s->hashed, s->begin - s->hashed)};
            s->hashed = s->begin;
        }
    }
    el_sha256_many(&g->jobs[first], STREAMS - first + g->leaf_count);
    for (uint32_t i = 0; i < g->leaf_count; i++) {
        const struct leaf *leaf = &g->leaves[i];
        if (memcmp(leaf->digest, leaf->expected, sizeof leaf->digest) != 0) {
            find_batch(&g->streams[leaf->stream], leaf);
        }
    }
    g->leaf_count = 0;
}

/* The whole has the hash that is stated, or of an orphan the one in its name; nothing is behind it. */
static int check_hash(struct stream *s, struct el_error *err)
{
    uint8_t sha256[32];
    char hex[17];
    int code = stream_need(s, 1, err);
    if (code == 0) {
        verify_find(s->c->v, s->c->state, at(s, -1, stream_pos(s)), "the object goes on behind its end");
        return 0;
    }
    if (code != EVLOG_ERR_TRUNCATED) {
        return code;
    }
    stream_hash(s);
    el_sha256_end(&s->sha256, sha256);
    el_hex(hex, sha256, 8);
    if (s->object != NULL ? memcmp(sha256, s->object->sha256, 32) != 0 : strstr(s->key, hex) == NULL) {
        verify_find(s->c->v, s->c->state, at(s, -1, UINT64_MAX), "the object has another hash than %s",
                    s->object != NULL ? "the manifest states" : "its name says");
    }
    return 0;
}

static void stream_begin(struct stream *s, struct check *c, const char *key, const struct el_manifest_object *object)
{
    uint8_t *buf = s->buf;
    size_t cap = s->cap;
    *s = (struct stream){.c = c, .key = key, .object = object, .buf = buf, .cap = cap};
    el_sha256_begin(&s->sha256);
}

/* What stopped it, if anything did, and its memory but for the buffer. */
static void stream_end(struct stream *s, int code, const struct el_error *err)
{
    struct check *c = s->c;
    if (code != 0 && err->code != 0) {
        (void)verify_settle(c->v, c->state, code, err, at(s, -1, stream_pos(s)));
    } else if (code == EVLOG_ERR_NO_MEMORY) {
        verify_fail(c->v, code, NULL);
    }
    for (uint32_t i = 0; s->tables != NULL && i < s->header.part_count; i++) {
        el_free(s->tables[i]);
    }
    el_free(s->tables);
    el_free(s->parts);
}

/* All before the batches of the next object that can be read. returns false when there is none */
static bool next_object(struct check *c, struct stream *s)
{
    while (!verify_stopped(c->v)) {
        size_t i = atomic_fetch_add(&c->next, 1);
        if (i >= c->state->object_count) {
            return false;
        }
        if (!c->objects[i].seen || c->objects[i].wrong_len) {
            continue;
        }
        struct el_error err = {0};
        stream_begin(s, c, c->objects[i].key, &c->objects[i].object);
        int code = read_header(s, &err);
        code = code == 0 ? read_parts(s, &err) : code;
        if (code == 0) {
            compare_parts(s);
            code = read_tables(s, &err);
        }
        if (code == 0) {
            return true;
        }
        stream_end(s, code, &err);
    }
    return false;
}

/* One step of every pack. returns how many of them have more */
static uint32_t step(struct check *c, struct group *g)
{
    uint32_t busy = 0;
    int codes[STREAMS] = {0};
    struct el_error errs[STREAMS] = {{0}};
    for (uint32_t i = 0; i < STREAMS; i++) {
        g->busy[i] = g->busy[i] || next_object(c, &g->streams[i]);
        codes[i] = g->busy[i] ? take_batches(g, i, &errs[i]) : 0;
    }
    hash_step(g);
    for (uint32_t i = 0; i < STREAMS; i++) {
        struct stream *s = &g->streams[i];
        bool whole = g->busy[i] && s->part == s->header.part_count;
        if (whole && codes[i] == 0 && !verify_stopped(c->v)) {
            codes[i] = check_hash(s, &errs[i]);
        }
        if (g->busy[i] && (whole || codes[i] != 0 || verify_stopped(c->v))) {
            stream_end(s, codes[i], &errs[i]);
            g->busy[i] = false;
        }
        busy += g->busy[i] || whole;
    }
    return busy;
}

static void work(struct check *c)
{
    struct group *g = el_calloc(1, sizeof *g);
    if (g == NULL) {
        verify_fail(c->v, EVLOG_ERR_NO_MEMORY, NULL);
        return;
    }
    while (step(c, g) > 0) {
    }
    for (uint32_t i = 0; i < STREAMS; i++) {
        el_free(g->streams[i].buf);
    }
    el_free(g);
}

void verify_packs(struct check *c)
{
    if (c->v->options->deep) {
        verify_run(c, work);
    }
}

/* --- what no root covers ------------------------------------------------------------------------------------------ */

/* Name of a pack that is what its header and parts say. */
static bool pack_is_named(const struct stream *s, const char *key)
{
    char want[EL_ARCHIVE_KEY_MAX];
    struct el_manifest_object o = {.kind = s->header.kind, .shard = s->header.shard, .sequence = s->header.sequence};
    if (s->parts == NULL) {
        return false;
    }
    if (o.kind == EL_PACK_SEGMENT) {
        o.topic_id = s->parts[0].topic_id;
        o.partition = s->parts[0].partition;
        o.sequence = (uint64_t)s->parts[0].first_offset;
    }
    el_archive_key_object(want, &s->c->state->header.incarnation, &o);
    /* all but the hash, which is compared with the content */
    size_t hash_pos = (size_t)(strrchr(want, '-') - want) + 1;
    return strlen(want) == strlen(key) && memcmp(want, key, hash_pos) == 0 &&
           strcmp(want + hash_pos + NAME_HASH_LEN, key + hash_pos + NAME_HASH_LEN) == 0;
}

static void check_orphan_pack(struct check *c, struct stream *s, const char *key)
{
    struct el_error err = {0};
    size_t findings = c->v->report->finding_total;
    stream_begin(s, c, key, NULL);
    int code = read_header(s, &err);
    code = code == 0 ? read_parts(s, &err) : code;
    if (code == 0 && !pack_is_named(s, key)) {
        code = el_error_set(&err, EVLOG_ERR_CORRUPT, "%s is a pack of another name", key);
    }
    while (code == 0 && !s->ended) {
        s->begin = s->end;
        code = stream_need(s, 1, &err);
        code = code == EVLOG_ERR_TRUNCATED ? 0 : code;
    }
    s->begin = s->end;
    code = code == 0 ? check_hash(s, &err) : code;
    if (code != 0 && c->v->report->finding_total == findings) {
        (void)verify_settle(c->v, c->state, code, &err, at(s, -1, UINT64_MAX));
    }
    el_free(s->parts);
    el_free(s->tables);
}

/* A manifest or a root above the one that is verified. */
static void check_orphan_sequence(struct check *c, const char *key)
{
    struct el_error err = {0};
    const char *slash = strrchr(key, '/');
    uint64_t sequence = strtoull(slash + 1, NULL, 16), done = 0;
    int code = 0;
    if (strstr(key, "/root/") != NULL) {
        struct archive_root *root = el_malloc(sizeof(*root));
        code = root == NULL ? EVLOG_ERR_NO_MEMORY
                            : archive_root_get(c->v->store, &c->state->header.incarnation, sequence, root, &err);
        el_free(root);
    } else {
        uint8_t head[EL_MANIFEST_HEADER_LEN] = {0};
        code = object_get(c->v->store, key, 0, head, sizeof(head), &done, &err);
        if (code == 0 &&
            (el_get_le64(head + 32) != sequence || memcmp(head + 16, c->state->header.incarnation.bytes, 16) != 0)) {
            code = el_error_set(&err, EVLOG_ERR_CORRUPT, "%s is a manifest of another name", key);
        }
    }
    (void)verify_settle(c->v, c->state, code, &err, (struct place){.object = key});
}

void verify_orphans(struct check *c)
{
    struct stream s = {.c = c};
    for (size_t i = 0; i < c->orphan_count && !verify_stopped(c->v); i++) {
        const char *key = c->orphans[i];
        c->v->report->orphans++;
        if (!c->v->options->deep) {
            continue;
        }
        if (strstr(key, "/root/") != NULL || strstr(key, "/manifest/") != NULL) {
            check_orphan_sequence(c, key);
        } else if (strstr(key, "/bundles/") != NULL || strstr(key, "/seg/") != NULL) {
            check_orphan_pack(c, &s, key);
        }
    }
    el_free(s.buf);
}
