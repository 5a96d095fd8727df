/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding of manifests: header and records, docs/format.md section 15.4. What the records of several manifests mean
 * together is store/archive_state.h.
 */
#include <format/archive_layout.h>

#include <evlog/error.h>

#define MANIFEST_MAGIC "EVLOGMAN"
#define HEADER_USED 168u
#define RECORD_HEAD_LEN 8u
#define RECORD_MAY_SKIP (1u << 31)
#define TREE_LEN 8u
#define TOPIC_LEN 40u
#define PARTITION_LEN 64u
#define OBJECT_LEN 104u
#define KEY_LEN 16u
#define REDACTION_LEN 48u
#define RETIRED_LEN 64u

EL_STATIC_ASSERT(EL_MANIFEST_HEADER_LEN % 8 == 0, "records begin at a multiple of 8");

static bool all_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

/* --- header ------------------------------------------------------------------------------------------------------- */

static bool header_fits(const struct el_manifest_header *h)
{
    if (h->sequence == 0 || h->sequence > EL_MERKLE_LEAVES_MAX || el_uuid_is_zero(&h->incarnation) ||
        h->leader_epoch < 0 || h->body_len % 8 != 0 || h->body_len > EL_MANIFEST_LEN_MAX - EL_MANIFEST_HEADER_LEN ||
        h->record_count > h->body_len / RECORD_HEAD_LEN) {
        return false;
    }
    bool has_parent = !el_uuid_is_zero(&h->parent);
    if (has_parent ? h->parent_sequence == 0 || h->parent_sequence > EL_MERKLE_LEAVES_MAX ||
                         el_uuid_eq(&h->parent, &h->incarnation)
                   : h->parent_sequence != 0 || !all_zero(h->parent_root, 32)) {
        return false;
    }
    if ((h->sequence == 1) != all_zero(h->previous_sha256, 32)) {
        return false;
    }
    switch (h->kind) {
    case EL_MANIFEST_FULL:
        return h->full_sequence == h->sequence;
    case EL_MANIFEST_DELTA:
        return h->full_sequence > 0 && h->full_sequence < h->sequence &&
               h->sequence - h->full_sequence <= EL_MANIFEST_CHAIN_MAX;
    }
    return false;
}

static void header_put(uint8_t *p, const struct el_manifest_header *h)
{
    EL_ASSERT(header_fits(h));
    memcpy(p, MANIFEST_MAGIC, 8);
    el_put_le32(p + 8, EL_ARCHIVE_FORMAT);
    el_put_le32(p + 12, (uint32_t)h->kind);
    memcpy(p + 16, h->incarnation.bytes, 16);
    el_put_le64(p + 32, h->sequence);
    el_put_le64(p + 40, h->full_sequence);
    el_put_le64(p + 48, h->cut_ns);
    el_put_le64(p + 56, h->made_ms);
    memcpy(p + 64, h->previous_sha256, 32);
    memcpy(p + 96, h->parent.bytes, 16);
    el_put_le64(p + 112, h->parent_sequence);
    memcpy(p + 120, h->parent_root, 32);
    el_put_le64(p + 152, h->body_len);
    el_put_le32(p + 160, (uint32_t)h->leader_epoch);
    el_put_le32(p + 164, h->record_count);
    memset(p + HEADER_USED, 0, EL_MANIFEST_HEADER_LEN - HEADER_USED);
}

int el_manifest_header_get(const uint8_t *p, size_t len, struct el_manifest_header *h)
{
    if (len < EL_MANIFEST_HEADER_LEN) {
        return EVLOG_ERR_TRUNCATED;
    }
    if (memcmp(p, MANIFEST_MAGIC, 8) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    if (el_get_le32(p + 8) != EL_ARCHIVE_FORMAT) {
        return el_get_le32(p + 8) > EL_ARCHIVE_FORMAT ? EVLOG_ERR_FORMAT : EVLOG_ERR_CORRUPT;
    }
    struct el_manifest_header got = {
        .kind = (enum el_manifest_kind)el_get_le32(p + 12),
        .sequence = el_get_le64(p + 32),
        .full_sequence = el_get_le64(p + 40),
        .cut_ns = el_get_le64(p + 48),
        .made_ms = el_get_le64(p + 56),
        .parent_sequence = el_get_le64(p + 112),
        .body_len = el_get_le64(p + 152),
        .leader_epoch = (int32_t)el_get_le32(p + 160),
        .record_count = el_get_le32(p + 164),
    };
    memcpy(got.incarnation.bytes, p + 16, 16);
    memcpy(got.previous_sha256, p + 64, 32);
    memcpy(got.parent.bytes, p + 96, 16);
    memcpy(got.parent_root, p + 120, 32);
    if (!header_fits(&got) || !all_zero(p + HEADER_USED, EL_MANIFEST_HEADER_LEN - HEADER_USED)) {
        return EVLOG_ERR_CORRUPT;
    }
    if (got.body_len != len - EL_MANIFEST_HEADER_LEN) {
        return got.body_len > len - EL_MANIFEST_HEADER_LEN ? EVLOG_ERR_TRUNCATED : EVLOG_ERR_CORRUPT;
    }
    *h = got;
    return 0;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

int el_manifest_tag_rank(uint32_t tag)
{
    static const uint8_t order[] = {EL_MANIFEST_TREE,    EL_MANIFEST_KEY,    EL_MANIFEST_TOPIC, EL_MANIFEST_PARTITION,
                                    EL_MANIFEST_RETIRED, EL_MANIFEST_OBJECT, EL_MANIFEST_PART,  EL_MANIFEST_REDACTION};
    for (int i = 0; i < (int)sizeof(order); i++) {
        if (order[i] == tag) {
            return i;
        }
    }
    return -1;
}

int el_manifest_next(const uint8_t *p, size_t len, size_t *pos, struct el_manifest_record *record)
{
    if (*pos == len) {
        return 0;
    }
    if (*pos > len || len - *pos < RECORD_HEAD_LEN) {
        return EVLOG_ERR_CORRUPT;
    }
    uint32_t tag = el_get_le32(p + *pos), body_len = el_get_le32(p + *pos + 4);
    size_t left = len - *pos - RECORD_HEAD_LEN, padded = EL_ALIGN_UP((size_t)body_len, 8);
    const uint8_t *body = p + *pos + RECORD_HEAD_LEN;
    if (padded > left || !all_zero(body + body_len, padded - body_len)) {
        return EVLOG_ERR_CORRUPT;
    }
    if (el_manifest_tag_rank(tag) < 0 && (tag & RECORD_MAY_SKIP) == 0) {
        return EVLOG_ERR_FORMAT;
    }
    *record = (struct el_manifest_record){.tag = tag, .body = el_slice_of(body, body_len)};
    *pos += RECORD_HEAD_LEN + padded;
    return 1;
}

void el_manifest_begin(struct el_buffer *out)
{
    EL_ASSERT(out->len == 0);
    uint8_t *p = el_buffer_room(out, EL_MANIFEST_HEADER_LEN);
    if (p != NULL) {
        memset(p, 0, EL_MANIFEST_HEADER_LEN);
    }
}

int el_manifest_seal(struct el_buffer *out, struct el_manifest_header *h)
{
    struct el_manifest_record record;
    size_t pos = EL_MANIFEST_HEADER_LEN;
    uint32_t count = 0;
    int rank = 0;
    if (out->err != 0) {
        return out->err;
    }
    if (out->len > EL_MANIFEST_LEN_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    while (el_manifest_next(out->data, out->len, &pos, &record) == 1) {
        EL_ASSERT(el_manifest_tag_rank(record.tag) >= rank);
        rank = el_manifest_tag_rank(record.tag);
        count++;
    }
    EL_ASSERT(pos == out->len);
    h->body_len = out->len - EL_MANIFEST_HEADER_LEN;
    h->record_count = count;
    header_put(out->data, h);
    return 0;
}

/* Head of a record and room for its body, zeros where nothing is written. NULL: sticky failure */
static uint8_t *record_room(struct el_buffer *out, enum el_manifest_tag tag, size_t body_len)
{
    if (out->err == 0 && out->len > EL_MANIFEST_LEN_MAX) {
        out->err = EVLOG_ERR_LIMIT;
    }
    size_t padded = EL_ALIGN_UP(body_len, 8);
    uint8_t *p = el_buffer_room(out, RECORD_HEAD_LEN + padded);
    if (p == NULL) {
        return NULL;
    }
    memset(p, 0, RECORD_HEAD_LEN + padded);
    el_put_le32(p, (uint32_t)tag);
    el_put_le32(p + 4, (uint32_t)body_len);
    return p + RECORD_HEAD_LEN;
}

static size_t frontier_count(uint64_t size)
{
    return (size_t)__builtin_popcountll(size);
}

static void frontier_put(uint8_t *p, const struct el_frontier *tree)
{
    EL_ASSERT(tree->size <= EL_MERKLE_LEAVES_MAX);
    el_put_le64(p, tree->size);
    memcpy(p + 8, tree->hashes, frontier_count(tree->size) * EL_MERKLE_HASH_LEN);
}

/* The frontier that fills p[len], which has room for its size at least. */
static int frontier_get(const uint8_t *p, size_t len, struct el_frontier *tree)
{
    uint64_t size = el_get_le64(p);
    if (size > EL_MERKLE_LEAVES_MAX || len != 8 + frontier_count(size) * EL_MERKLE_HASH_LEN) {
        return EVLOG_ERR_CORRUPT;
    }
    memset(tree, 0, sizeof(*tree));
    tree->size = size;
    memcpy(tree->hashes, p + 8, len - 8);
    return 0;
}

void el_manifest_tree_put(struct el_buffer *out, const struct el_frontier *tree)
{
    uint8_t *p = record_room(out, EL_MANIFEST_TREE, TREE_LEN + frontier_count(tree->size) * EL_MERKLE_HASH_LEN);
    if (p != NULL) {
        frontier_put(p, tree);
    }
}

int el_manifest_tree_get(struct el_slice body, struct el_frontier *tree)
{
    return body.len < TREE_LEN ? EVLOG_ERR_CORRUPT : frontier_get(body.data, body.len, tree);
}

/* --- topics and partitions ---------------------------------------------------------------------------------------- */

static bool topic_fits(const struct el_manifest_topic *t)
{
    return !el_uuid_is_zero(&t->id) && t->partition_count > 0 && t->partition_count <= EL_PARTITION_COUNT_MAX &&
           t->name.len > 0 && t->name.len <= EL_TOPIC_NAME_MAX && t->settings.len <= EL_MANIFEST_SETTINGS_MAX;
}

void el_manifest_topic_put(struct el_buffer *out, const struct el_manifest_topic *t)
{
    EL_ASSERT(topic_fits(t));
    uint8_t *p = record_room(out, EL_MANIFEST_TOPIC, TOPIC_LEN + t->name.len + t->settings.len);
    if (p == NULL) {
        return;
    }
    memcpy(p, t->id.bytes, 16);
    p[16] = t->deleted;
    p[17] = t->internal;
    el_put_le16(p + 18, (uint16_t)t->name.len);
    el_put_le32(p + 20, t->partition_count);
    el_put_le32(p + 24, (uint32_t)t->settings.len);
    el_put_le64(p + 32, t->changed_ms);
    memcpy(p + TOPIC_LEN, t->name.data, t->name.len);
    if (t->settings.len > 0) {
        memcpy(p + TOPIC_LEN + t->name.len, t->settings.data, t->settings.len);
    }
}

int el_manifest_topic_get(struct el_slice body, struct el_manifest_topic *t)
{
    const uint8_t *p = body.data;
    if (body.len < TOPIC_LEN || p[16] > 1 || p[17] > 1 || el_get_le32(p + 28) != 0 ||
        body.len != TOPIC_LEN + (uint64_t)el_get_le16(p + 18) + el_get_le32(p + 24)) {
        return EVLOG_ERR_CORRUPT;
    }
    struct el_manifest_topic got = {
        .deleted = p[16] == 1,
        .internal = p[17] == 1,
        .partition_count = el_get_le32(p + 20),
        .changed_ms = el_get_le64(p + 32),
        .name = el_slice_of(p + TOPIC_LEN, el_get_le16(p + 18)),
        .settings = el_slice_of(p + TOPIC_LEN + el_get_le16(p + 18), el_get_le32(p + 24)),
    };
    memcpy(got.id.bytes, p, 16);
    if (!topic_fits(&got) || memchr(got.name.data, 0, got.name.len) != NULL) {
        return EVLOG_ERR_CORRUPT;
    }
    *t = got;
    return 0;
}

static bool partition_fits(const struct el_manifest_partition *part)
{
    return !el_uuid_is_zero(&part->topic_id) && part->partition >= 0 && part->partition < EL_PARTITION_COUNT_MAX &&
           part->start_offset >= 0 && part->end_offset >= part->start_offset && part->log_start >= 0 &&
           part->tree.size <= (uint64_t)(part->end_offset - part->start_offset) &&
           part->tree.size <= EL_MERKLE_LEAVES_MAX;
}

void el_manifest_partition_put(struct el_buffer *out, const struct el_manifest_partition *part)
{
    EL_ASSERT(partition_fits(part));
    uint8_t *p = record_room(out, EL_MANIFEST_PARTITION,
                             PARTITION_LEN + frontier_count(part->tree.size) * EL_MERKLE_HASH_LEN);
    if (p == NULL) {
        return;
    }
    memcpy(p, part->topic_id.bytes, 16);
    el_put_le32(p + 16, (uint32_t)part->partition);
    el_put_le64(p + 24, (uint64_t)part->start_offset);
    el_put_le64(p + 32, (uint64_t)part->end_offset);
    el_put_le64(p + 40, (uint64_t)part->log_start);
    el_put_le64(p + 48, part->last_append_ns);
    frontier_put(p + 56, &part->tree);
}

int el_manifest_partition_get(struct el_slice body, struct el_manifest_partition *part)
{
    const uint8_t *p = body.data;
    if (body.len < PARTITION_LEN || el_get_le32(p + 20) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    struct el_manifest_partition got = {
        .partition = (int32_t)el_get_le32(p + 16),
        .start_offset = (int64_t)el_get_le64(p + 24),
        .end_offset = (int64_t)el_get_le64(p + 32),
        .log_start = (int64_t)el_get_le64(p + 40),
        .last_append_ns = el_get_le64(p + 48),
    };
    memcpy(got.topic_id.bytes, p, 16);
    if (frontier_get(p + 56, body.len - 56, &got.tree) != 0 || !partition_fits(&got)) {
        return EVLOG_ERR_CORRUPT;
    }
    *part = got;
    return 0;
}

/* --- objects and parts -------------------------------------------------------------------------------------------- */

static bool object_fits(const struct el_manifest_object *o)
{
    if (o->number == 0 || o->shard > EL_PACK_SHARD_MAX || o->part_count == 0 || o->part_count > EL_PACK_PARTS_MAX ||
        o->len > EL_PACK_LEN_MAX ||
        o->len < EL_PACK_HEADER_LEN + (uint64_t)o->part_count * (EL_PACK_PART_LEN + EL_PACK_BATCH_LEN)) {
        return false;
    }
    switch (o->state) {
    case EL_OBJECT_LIVE:
        if (o->replaced_ms != 0) {
            return false;
        }
        break;
    case EL_OBJECT_REPLACED:
    case EL_OBJECT_REMOVED:
        if (o->replaced_ms == 0) {
            return false;
        }
        break;
    default:
        return false;
    }
    switch (o->kind) {
    case EL_PACK_BUNDLE:
        return o->sequence > 0 && el_uuid_is_zero(&o->topic_id) && o->partition == 0;
    case EL_PACK_SEGMENT:
        return o->part_count == 1 && !el_uuid_is_zero(&o->topic_id) && o->partition >= 0 && o->sequence < INT64_MAX;
    }
    return false;
}

void el_manifest_object_put(struct el_buffer *out, const struct el_manifest_object *o)
{
    EL_ASSERT(object_fits(o));
    uint8_t *p = record_room(out, EL_MANIFEST_OBJECT, OBJECT_LEN);
    if (p == NULL) {
        return;
    }
    el_put_le64(p, o->number);
    el_put_le32(p + 8, (uint32_t)o->kind);
    el_put_le32(p + 12, (uint32_t)o->state);
    el_put_le32(p + 16, o->shard);
    el_put_le32(p + 20, o->part_count);
    memcpy(p + 24, o->topic_id.bytes, 16);
    el_put_le32(p + 40, (uint32_t)o->partition);
    el_put_le64(p + 48, o->sequence);
    el_put_le64(p + 56, o->len);
    el_put_le64(p + 64, o->replaced_ms);
    memcpy(p + 72, o->sha256, 32);
}

int el_manifest_object_get(struct el_slice body, struct el_manifest_object *o)
{
    const uint8_t *p = body.data;
    if (body.len != OBJECT_LEN || el_get_le32(p + 44) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    struct el_manifest_object got = {
        .number = el_get_le64(p),
        .kind = (enum el_pack_kind)el_get_le32(p + 8),
        .state = (enum el_object_state)el_get_le32(p + 12),
        .shard = el_get_le32(p + 16),
        .part_count = el_get_le32(p + 20),
        .partition = (int32_t)el_get_le32(p + 40),
        .sequence = el_get_le64(p + 48),
        .len = el_get_le64(p + 56),
        .replaced_ms = el_get_le64(p + 64),
    };
    memcpy(got.topic_id.bytes, p + 24, 16);
    memcpy(got.sha256, p + 72, 32);
    if (!object_fits(&got)) {
        return EVLOG_ERR_CORRUPT;
    }
    *o = got;
    return 0;
}

void el_manifest_part_put(struct el_buffer *out, const struct el_archive_part *part)
{
    EL_ASSERT(part->object > 0);
    uint8_t *p = record_room(out, EL_MANIFEST_PART, EL_PACK_PART_LEN);
    if (p != NULL) {
        el_archive_part_put(p, part);
    }
}

int el_manifest_part_get(struct el_slice body, struct el_archive_part *part)
{
    struct el_archive_part got;
    if (body.len != EL_PACK_PART_LEN || el_archive_part_get(body.data, &got) != 0 || got.object == 0) {
        return EVLOG_ERR_CORRUPT;
    }
    *part = got;
    return 0;
}

/* --- keys and redactions ------------------------------------------------------------------------------------------ */

static bool key_fits(const struct el_manifest_key *k)
{
    if (k->kind == 0 || k->bytes.len == 0 || k->bytes.len > EL_MANIFEST_KEY_BYTES_MAX) {
        return false;
    }
    switch ((enum el_sign_kind)k->kind) {
    case EL_SIGN_ED25519:
        return k->bytes.len == 32;
    case EL_SIGN_ECDSA_P256:
        return k->bytes.len <= EL_SIGN_PUBLIC_MAX;
    }
    return true;
}

void el_manifest_key_put(struct el_buffer *out, const struct el_manifest_key *k)
{
    EL_ASSERT(key_fits(k));
    uint8_t *p = record_room(out, EL_MANIFEST_KEY, KEY_LEN + k->bytes.len);
    if (p == NULL) {
        return;
    }
    el_put_le32(p, k->kind);
    el_put_le32(p + 4, k->retired ? 1 : 0);
    el_put_le64(p + 8, k->changed_ms);
    memcpy(p + KEY_LEN, k->bytes.data, k->bytes.len);
}

int el_manifest_key_get(struct el_slice body, struct el_manifest_key *k)
{
    const uint8_t *p = body.data;
    if (body.len < KEY_LEN || el_get_le32(p + 4) > 1) {
        return EVLOG_ERR_CORRUPT;
    }
    struct el_manifest_key got = {
        .kind = el_get_le32(p),
        .retired = el_get_le32(p + 4) == 1,
        .changed_ms = el_get_le64(p + 8),
        .bytes = el_slice_of(p + KEY_LEN, body.len - KEY_LEN),
    };
    if (!key_fits(&got)) {
        return EVLOG_ERR_CORRUPT;
    }
    *k = got;
    return 0;
}

static bool redaction_fits(const struct el_manifest_redaction *r)
{
    return !el_uuid_is_zero(&r->topic_id) && r->partition >= 0 && r->first_offset >= 0 &&
           r->end_offset > r->first_offset && r->reason.len <= EL_MANIFEST_REASON_MAX;
}

void el_manifest_redaction_put(struct el_buffer *out, const struct el_manifest_redaction *r)
{
    EL_ASSERT(redaction_fits(r));
    uint8_t *p = record_room(out, EL_MANIFEST_REDACTION, REDACTION_LEN + r->reason.len);
    if (p == NULL) {
        return;
    }
    memcpy(p, r->topic_id.bytes, 16);
    el_put_le32(p + 16, (uint32_t)r->partition);
    el_put_le32(p + 20, (uint32_t)r->reason.len);
    el_put_le64(p + 24, (uint64_t)r->first_offset);
    el_put_le64(p + 32, (uint64_t)r->end_offset);
    el_put_le64(p + 40, r->when_ms);
    if (r->reason.len > 0) {
        memcpy(p + REDACTION_LEN, r->reason.data, r->reason.len);
    }
}

int el_manifest_redaction_get(struct el_slice body, struct el_manifest_redaction *r)
{
    const uint8_t *p = body.data;
    if (body.len < REDACTION_LEN || body.len != REDACTION_LEN + (uint64_t)el_get_le32(p + 20)) {
        return EVLOG_ERR_CORRUPT;
    }
    struct el_manifest_redaction got = {
        .partition = (int32_t)el_get_le32(p + 16),
        .first_offset = (int64_t)el_get_le64(p + 24),
        .end_offset = (int64_t)el_get_le64(p + 32),
        .when_ms = el_get_le64(p + 40),
        .reason = el_slice_of(p + REDACTION_LEN, body.len - REDACTION_LEN),
    };
    memcpy(got.topic_id.bytes, p, 16);
    if (!redaction_fits(&got)) {
        return EVLOG_ERR_CORRUPT;
    }
    *r = got;
    return 0;
}

/* --- what left by age --------------------------------------------------------------------------------------------- */

static bool retired_fits(const struct el_manifest_retired *r)
{
    uint64_t newest_ms = r->newest_append_ns / 1000000;
    return !el_uuid_is_zero(&r->topic_id) && r->partition >= 0 && r->partition < EL_PARTITION_COUNT_MAX &&
           r->end_offset > 0 && r->tree.size > 0 && r->tree.size <= (uint64_t)r->end_offset && r->retention_ms >= 0 &&
           newest_ms <= r->when_ms && r->when_ms - newest_ms >= (uint64_t)r->retention_ms;
}

void el_manifest_retired_put(struct el_buffer *out, const struct el_manifest_retired *r)
{
    EL_ASSERT(retired_fits(r));
    uint8_t *p = record_room(out, EL_MANIFEST_RETIRED, RETIRED_LEN + frontier_count(r->tree.size) * EL_MERKLE_HASH_LEN);
    if (p == NULL) {
        return;
    }
    memcpy(p, r->topic_id.bytes, 16);
    el_put_le32(p + 16, (uint32_t)r->partition);
    el_put_le64(p + 24, (uint64_t)r->end_offset);
    el_put_le64(p + 32, r->newest_append_ns);
    el_put_le64(p + 40, r->when_ms);
    el_put_le64(p + 48, (uint64_t)r->retention_ms);
    frontier_put(p + 56, &r->tree);
}

int el_manifest_retired_get(struct el_slice body, struct el_manifest_retired *r)
{
    const uint8_t *p = body.data;
    if (body.len < RETIRED_LEN || el_get_le32(p + 20) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    struct el_manifest_retired got = {
        .partition = (int32_t)el_get_le32(p + 16),
        .end_offset = (int64_t)el_get_le64(p + 24),
        .newest_append_ns = el_get_le64(p + 32),
        .when_ms = el_get_le64(p + 40),
        .retention_ms = (int64_t)el_get_le64(p + 48),
    };
    memcpy(got.topic_id.bytes, p, 16);
    if (frontier_get(p + 56, body.len - 56, &got.tree) != 0 || !retired_fits(&got)) {
        return EVLOG_ERR_CORRUPT;
    }
    *r = got;
    return 0;
}
