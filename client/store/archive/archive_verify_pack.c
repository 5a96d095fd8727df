/* SPDX-License-Identifier: Apache-2.0
 *
 * Packs, byte for byte, and orphans. A pack is read once from its first byte to its last, some MiB at a time: header,
 * parts, tables, then each batch against its row; the hash of all that came must be the one that the manifest states.
 * Objects are divided over threads. Only with `deep`.
 */
#include "archive_verify_internal.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <evlog/error.h>
#include <inttypes.h>
#include <stdlib.h>

#define CHUNK_LEN (4u << 20)
#define NAME_HASH_LEN 16u /* digits of its hash in the name of a pack */

/* Reads an object from the front. */
struct stream {
    struct check *c;
    const char *key;
    const struct el_manifest_object *object; /* as stated; NULL: of an orphan */
    uint8_t *buf;                            /* [cap] */
    size_t cap;
    size_t begin, end; /* bytes that were read and not taken */
    uint64_t read_pos; /* in the object, of buf[end] */
    bool ended;        /* the object has no more */
    struct el_sha256 sha256;
    struct el_pack_header header;
    struct el_archive_part *parts; /* [header.part_count] */
    uint8_t **tables;              /* [header.part_count] */
};

static struct place at(const struct stream *s, int64_t offset, uint64_t byte)
{
    return (struct place){.object = s->key, .offset_1 = offset + 1, .byte_1 = byte + 1};
}

/* At least len bytes together at s->buf + s->begin. returns 0 | EVLOG_ERR_TRUNCATED | what the store says */
static int stream_need(struct stream *s, size_t len, struct el_error *err)
{
    if (s->end - s->begin >= len) {
        return 0;
    }
    if (s->begin > 0) {
        memmove(s->buf, s->buf + s->begin, s->end - s->begin);
        s->end -= s->begin;
        s->begin = 0;
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
        el_sha256_add(&s->sha256, s->buf + s->end, (size_t)done);
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
        const struct el_archive_part *stated = p == NULL ? NULL : archive_partition_part(p, part->first_offset);
        if (p == NULL) {
            verify_find(s->c->v, s->c->state, at(s, part->first_offset, pos), "it has a part of a partition unknown");
            continue;
        }
        if (stated == NULL || stated->object != s->object->number) {
            continue; /* replaced */
        }
        struct el_archive_part same = *stated;
        uint8_t x[EL_PACK_PART_LEN], y[EL_PACK_PART_LEN];
        same.object = 0;
        el_archive_part_put(x, &same);
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

static int read_batches(struct stream *s, struct el_error *err)
{
    for (uint32_t i = 0; i < s->header.part_count; i++) {
        for (uint32_t k = 0; k < s->parts[i].batch_count && !verify_stopped(s->c->v); k++) {
            struct el_pack_batch row;
            (void)el_pack_batch_get(s->tables[i] + (size_t)k * EL_PACK_BATCH_LEN, &row);
            if (row.redacted) {
                continue;
            }
            int code = stream_need(s, row.len, err);
            if (code != 0) {
                return code;
            }
            uint64_t pos = stream_pos(s);
            if (el_pack_batch_check(&row, stream_take(s, row.len)) != 0) {
                verify_find(s->c->v, s->c->state,
                            (struct place){.object = s->key,
                                           .topic_id = &s->parts[i].topic_id,
                                           .partition = s->parts[i].partition,
                                           .offset_1 = row.leaf.first_offset + 1,
                                           .byte_1 = pos + 1},
                            "the batch is not the one that is signed");
            }
        }
    }
    return 0;
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
    el_sha256_end(&s->sha256, sha256);
    el_hex(hex, sha256, 8);
    if (s->object != NULL ? memcmp(sha256, s->object->sha256, 32) != 0 : strstr(s->key, hex) == NULL) {
        verify_find(s->c->v, s->c->state, at(s, -1, UINT64_MAX), "the object has another hash than %s",
                    s->object != NULL ? "the manifest states" : "its name says");
    }
    return 0;
}

static void check_object(struct check *c, struct stream *s, const char *key, const struct el_manifest_object *object)
{
    struct el_error err = {0};
    uint8_t *buf = s->buf;
    size_t cap = s->cap;
    *s = (struct stream){.c = c, .key = key, .object = object, .buf = buf, .cap = cap};
    el_sha256_begin(&s->sha256);
    int code = read_header(s, &err);
    code = code == 0 ? read_parts(s, &err) : code;
    if (code == 0) {
        compare_parts(s);
        code = read_tables(s, &err);
    }
    code = code == 0 ? read_batches(s, &err) : code;
    code = code == 0 && !verify_stopped(c->v) ? check_hash(s, &err) : code;
    if (code != 0 && err.code != 0) {
        (void)verify_settle(c->v, c->state, code, &err, at(s, -1, stream_pos(s)));
    } else if (code == EVLOG_ERR_NO_MEMORY) {
        verify_fail(c->v, code, NULL);
    }
    for (uint32_t i = 0; s->tables != NULL && i < s->header.part_count; i++) {
        el_free(s->tables[i]);
    }
    el_free(s->tables);
    el_free(s->parts);
}

static void work(struct check *c)
{
    struct stream s = {.c = c};
    while (!verify_stopped(c->v)) {
        size_t i = atomic_fetch_add(&c->next, 1);
        if (i >= c->state->object_count) {
            break;
        }
        if (c->objects[i].seen && !c->objects[i].wrong_len) {
            check_object(c, &s, c->objects[i].key, &c->state->objects[i].now);
        }
    }
    el_free(s.buf);
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
    uint8_t *buf = s->buf;
    size_t cap = s->cap, findings = c->v->report->finding_total;
    *s = (struct stream){.c = c, .key = key, .buf = buf, .cap = cap};
    el_sha256_begin(&s->sha256);
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
