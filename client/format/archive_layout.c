/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding of leaf entries and packs. Layouts: docs/format.md sections 15.2 and 15.3; manifests are in
 * archive_manifest.c, names in archive_names.c.
 */
#include <format/archive_layout.h>

#include <core/crypto.h>
#include <evlog/error.h>
#include <format/batch.h>

#define PACK_MAGIC "EVLOGPAK"
#define LEAF_DIGEST_POS 40u
#define MANY 64u /* batches that are hashed at once */
#define REDACTED_BIT (1u << 31)

EL_STATIC_ASSERT(EL_LEAF_ENTRY_LEN + 16 + 4 + 4 == EL_PACK_BATCH_LEN, "a row is entry, salt, length and delta");

static bool all_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

/* --- leaf entries ------------------------------------------------------------------------------------------------- */

void el_leaf_entry_put(uint8_t p[EL_LEAF_ENTRY_LEN], const struct el_leaf_entry *e)
{
    EL_ASSERT(e->first_offset >= 0);
    EL_ASSERT(e->record_count <= INT32_MAX);
    EL_ASSERT(e->leader_epoch >= 0);
    el_put_le64(p, (uint64_t)e->first_offset);
    el_put_le32(p + 8, e->record_count);
    el_put_le32(p + 12, EL_ARCHIVE_FORMAT);
    el_put_le64(p + 16, e->append_time_ns);
    el_put_le64(p + 24, (uint64_t)e->max_timestamp_ms);
    el_put_le32(p + 32, (uint32_t)e->leader_epoch);
    el_put_le32(p + 36, 0);
    memcpy(p + LEAF_DIGEST_POS, e->digest, 32);
}

int el_leaf_entry_get(const uint8_t p[EL_LEAF_ENTRY_LEN], struct el_leaf_entry *e)
{
    if (el_get_le32(p + 12) > EL_ARCHIVE_FORMAT) {
        return EVLOG_ERR_FORMAT;
    }
    if (el_get_le32(p + 12) != EL_ARCHIVE_FORMAT || el_get_le64(p) >= INT64_MAX || el_get_le32(p + 8) > INT32_MAX ||
        el_get_le32(p + 32) > INT32_MAX || el_get_le32(p + 36) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    e->first_offset = (int64_t)el_get_le64(p);
    e->record_count = el_get_le32(p + 8);
    e->append_time_ns = el_get_le64(p + 16);
    e->max_timestamp_ms = (int64_t)el_get_le64(p + 24);
    e->leader_epoch = (int32_t)el_get_le32(p + 32);
    memcpy(e->digest, p + LEAF_DIGEST_POS, 32);
    return 0;
}

void el_leaf_digest(const uint8_t salt[16], const void *batch, size_t len, uint8_t digest[32])
{
    struct el_sha256 ctx;
    el_sha256_begin(&ctx);
    el_sha256_add(&ctx, salt, 16);
    el_sha256_add(&ctx, batch, len);
    el_sha256_end(&ctx, digest);
}

struct el_sha256_job el_leaf_job(const uint8_t salt[16], const void *batch, size_t len, uint8_t digest[32])
{
    return (struct el_sha256_job){.head = el_slice_of(salt, 16), .data = el_slice_of(batch, len), .digest = digest};
}

/* --- packs -------------------------------------------------------------------------------------------------------- */

static bool header_fits(const struct el_pack_header *h)
{
    if (h->part_count == 0 || h->part_count > EL_PACK_PARTS_MAX || h->shard > EL_PACK_SHARD_MAX ||
        el_uuid_is_zero(&h->incarnation) || h->len > EL_PACK_LEN_MAX ||
        h->len < EL_PACK_HEADER_LEN + (uint64_t)h->part_count * (EL_PACK_PART_LEN + EL_PACK_BATCH_LEN)) {
        return false;
    }
    switch (h->kind) {
    case EL_PACK_BUNDLE:
        return h->sequence > 0;
    case EL_PACK_SEGMENT:
        return h->sequence == 0 && h->part_count == 1;
    }
    return false;
}

void el_pack_header_put(uint8_t p[EL_PACK_HEADER_LEN], const struct el_pack_header *h)
{
    EL_ASSERT(header_fits(h));
    memcpy(p, PACK_MAGIC, 8);
    el_put_le32(p + 8, EL_ARCHIVE_FORMAT);
    el_put_le32(p + 12, h->part_count);
    memcpy(p + 16, h->incarnation.bytes, 16);
    el_put_le32(p + 32, h->shard);
    el_put_le32(p + 36, (uint32_t)h->kind);
    el_put_le64(p + 40, h->sequence);
    el_put_le64(p + 48, h->len);
    el_put_le64(p + 56, 0);
}

int el_pack_header_get(const uint8_t p[EL_PACK_HEADER_LEN], struct el_pack_header *h)
{
    if (memcmp(p, PACK_MAGIC, 8) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    if (el_get_le32(p + 8) != EL_ARCHIVE_FORMAT) {
        return el_get_le32(p + 8) > EL_ARCHIVE_FORMAT ? EVLOG_ERR_FORMAT : EVLOG_ERR_CORRUPT;
    }
    struct el_pack_header got = {
        .part_count = el_get_le32(p + 12),
        .shard = el_get_le32(p + 32),
        .kind = (enum el_pack_kind)el_get_le32(p + 36),
        .sequence = el_get_le64(p + 40),
        .len = el_get_le64(p + 48),
    };
    memcpy(got.incarnation.bytes, p + 16, 16);
    if (!header_fits(&got) || el_get_le64(p + 56) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    *h = got;
    return 0;
}

static bool batch_fits(const struct el_pack_batch *b)
{
    if (b->last_offset_delta > INT32_MAX || b->leaf.first_offset > INT64_MAX - 1 - (int64_t)b->last_offset_delta ||
        b->leaf.record_count > b->last_offset_delta + 1u) {
        return false;
    }
    return b->redacted ? b->len == 0 && all_zero(b->salt, 16)
                       : b->len >= EL_BATCH_LEN_MIN && b->len <= EL_BATCH_LEN_MAX;
}

void el_pack_batch_put(uint8_t p[EL_PACK_BATCH_LEN], const struct el_pack_batch *b)
{
    EL_ASSERT(batch_fits(b));
    el_leaf_entry_put(p, &b->leaf);
    memcpy(p + 72, b->salt, 16);
    el_put_le32(p + 88, b->len);
    el_put_le32(p + 92, b->last_offset_delta | (b->redacted ? REDACTED_BIT : 0));
}

int el_pack_batch_get(const uint8_t p[EL_PACK_BATCH_LEN], struct el_pack_batch *b)
{
    struct el_pack_batch got;
    int code = el_leaf_entry_get(p, &got.leaf);
    if (code != 0) {
        return code;
    }
    memcpy(got.salt, p + 72, 16);
    got.len = el_get_le32(p + 88);
    got.last_offset_delta = el_get_le32(p + 92) & ~REDACTED_BIT;
    got.redacted = (el_get_le32(p + 92) & REDACTED_BIT) != 0;
    if (!batch_fits(&got)) {
        return EVLOG_ERR_CORRUPT;
    }
    *b = got;
    return 0;
}

static bool part_fits(const struct el_archive_part *part)
{
    uint64_t table_len = (uint64_t)part->batch_count * EL_PACK_BATCH_LEN;
    if (el_uuid_is_zero(&part->topic_id) || part->partition < 0 || part->batch_count == 0 || part->first_offset < 0 ||
        part->end_offset < part->first_offset || part->end_offset - part->first_offset < part->batch_count) {
        return false;
    }
    if (part->first_leaf > EL_MERKLE_LEAVES_MAX - part->batch_count || part->table_pos > EL_PACK_LEN_MAX ||
        part->data_pos > EL_PACK_LEN_MAX || part->data_len > EL_PACK_LEN_MAX - part->data_pos) {
        return false;
    }
    return part->table_pos >= EL_PACK_HEADER_LEN + EL_PACK_PART_LEN && part->table_pos + table_len <= part->data_pos &&
           part->data_len <= (uint64_t)part->batch_count * EL_BATCH_LEN_MAX;
}

void el_archive_part_put(uint8_t p[EL_PACK_PART_LEN], const struct el_archive_part *part)
{
    EL_ASSERT(part_fits(part));
    memcpy(p, part->topic_id.bytes, 16);
    el_put_le32(p + 16, (uint32_t)part->partition);
    el_put_le32(p + 20, part->batch_count);
    el_put_le64(p + 24, (uint64_t)part->first_offset);
    el_put_le64(p + 32, (uint64_t)part->end_offset);
    el_put_le64(p + 40, part->first_leaf);
    el_put_le64(p + 48, part->object);
    el_put_le64(p + 56, part->table_pos);
    el_put_le64(p + 64, part->data_pos);
    el_put_le64(p + 72, part->data_len);
    memcpy(p + 80, part->table_sha256, 32);
}

int el_archive_part_get(const uint8_t p[EL_PACK_PART_LEN], struct el_archive_part *part)
{
    struct el_archive_part got = {
        .partition = (int32_t)el_get_le32(p + 16),
        .batch_count = el_get_le32(p + 20),
        .first_offset = (int64_t)el_get_le64(p + 24),
        .end_offset = (int64_t)el_get_le64(p + 32),
        .first_leaf = el_get_le64(p + 40),
        .object = el_get_le64(p + 48),
        .table_pos = el_get_le64(p + 56),
        .data_pos = el_get_le64(p + 64),
        .data_len = el_get_le64(p + 72),
    };
    memcpy(got.topic_id.bytes, p, 16);
    memcpy(got.table_sha256, p + 80, 32);
    if (!part_fits(&got)) {
        return EVLOG_ERR_CORRUPT;
    }
    *part = got;
    return 0;
}

/* --- what belongs together ---------------------------------------------------------------------------------------- */

static bool part_follows(const struct el_archive_part *before, const struct el_archive_part *part)
{
    int order = memcmp(before->topic_id.bytes, part->topic_id.bytes, 16);
    return (order < 0 || (order == 0 && before->partition < part->partition)) &&
           part->table_pos == before->table_pos + (uint64_t)before->batch_count * EL_PACK_BATCH_LEN &&
           part->data_pos == before->data_pos + before->data_len;
}

int el_pack_parts_check(const struct el_pack_header *h, const uint8_t *parts, uint32_t *bad)
{
    struct el_archive_part before = {.object = 0}, first = {.object = 0}, part;
    for (uint32_t i = 0; i < h->part_count; i++, before = part) {
        if (bad != NULL) {
            *bad = i;
        }
        int code = el_archive_part_get(parts + (size_t)i * EL_PACK_PART_LEN, &part);
        if (code != 0) {
            return code;
        }
        bool fits = i == 0 ? part.table_pos == EL_PACK_HEADER_LEN + (uint64_t)h->part_count * EL_PACK_PART_LEN
                           : part_follows(&before, &part);
        if (!fits || part.object != 0) {
            return EVLOG_ERR_CORRUPT;
        }
        if (i == 0) {
            first = part;
        }
    }
    /* The first data follows the last table, the object ends with the last data. */
    return first.data_pos == before.table_pos + (uint64_t)before.batch_count * EL_PACK_BATCH_LEN &&
                   before.data_pos + before.data_len == h->len
               ? 0
               : EVLOG_ERR_CORRUPT;
}

static int table_check(const struct el_archive_part *part, const uint8_t *table, const uint8_t sha256[32],
                       uint32_t *bad)
{
    uint64_t data_len = 0;
    int64_t end_offset = part->first_offset;
    bool same = memcmp(sha256, part->table_sha256, 32) == 0;
    for (uint32_t i = 0; same && i < part->batch_count; i++) {
        struct el_pack_batch row;
        if (bad != NULL) {
            *bad = i;
        }
        int code = el_pack_batch_get(table + (size_t)i * EL_PACK_BATCH_LEN, &row);
        if (code != 0) {
            return code;
        }
        if (row.leaf.first_offset < end_offset || (i == 0 && row.leaf.first_offset != part->first_offset)) {
            return EVLOG_ERR_CORRUPT;
        }
        end_offset = el_pack_batch_end(&row);
        data_len += row.len;
    }
    if (bad != NULL) {
        *bad = part->batch_count;
    }
    return same && end_offset == part->end_offset && data_len == part->data_len ? 0 : EVLOG_ERR_CORRUPT;
}

int el_pack_table_check(const struct el_archive_part *part, const uint8_t *table, uint32_t *bad)
{
    uint8_t sha256[32];
    el_sha256(table, (size_t)part->batch_count * EL_PACK_BATCH_LEN, sha256);
    return table_check(part, table, sha256, bad);
}

int el_pack_table_leaves(const struct el_archive_part *part, const uint8_t *table, struct el_hash256 *leaves,
                         uint32_t *bad)
{
    uint8_t sha256[32];
    el_merkle_leaves(table, EL_PACK_BATCH_LEN, EL_LEAF_ENTRY_LEN, part->batch_count, leaves);
    el_sha256(table, (size_t)part->batch_count * EL_PACK_BATCH_LEN, sha256);
    return table_check(part, table, sha256, bad);
}

int el_pack_batch_fields_check(const struct el_pack_batch *row, const void *batch)
{
    struct el_batch_info info;
    EL_ASSERT(!row->redacted);
    if (el_batch_header(batch, row->len, &info) != 0 || el_batch_total_len(batch) != row->len ||
        el_batch_base_offset(batch) != row->leaf.first_offset ||
        (uint32_t)el_batch_last_offset_delta(batch) != row->last_offset_delta ||
        el_batch_leader_epoch(batch) != row->leaf.leader_epoch ||
        (uint32_t)info.record_count != row->leaf.record_count) {
        return EVLOG_ERR_CORRUPT;
    }
    return 0;
}

int el_pack_batch_check(const struct el_pack_batch *row, const void *batch)
{
    uint8_t digest[32];
    int code = el_pack_batch_fields_check(row, batch);
    if (code != 0) {
        return code;
    }
    el_leaf_digest(row->salt, batch, row->len, digest);
    return memcmp(digest, row->leaf.digest, 32) == 0 ? 0 : EVLOG_ERR_CORRUPT;
}

/* Digests of up to MANY rows; data goes on behind them. */
static void rows_hash(const struct el_pack_batch *rows, uint32_t count, const uint8_t **data, uint8_t (*digests)[32])
{
    struct el_sha256_job jobs[MANY];
    uint32_t job_count = 0;
    EL_ASSERT(count <= MANY);
    for (uint32_t i = 0; i < count; i++) {
        if (!rows[i].redacted) {
            jobs[job_count++] = el_leaf_job(rows[i].salt, *data, rows[i].len, digests[i]);
            *data += rows[i].len;
        }
    }
    el_sha256_many(jobs, job_count);
}

int el_pack_rows_check(const struct el_pack_batch *rows, uint32_t count, const uint8_t *data, uint32_t *bad)
{
    uint8_t digests[MANY][32];
    for (uint32_t from = 0, some = 0; from < count; from += some) {
        const uint8_t *batch = data;
        some = EL_MIN(count - from, MANY);
        rows_hash(&rows[from], some, &data, digests);
        for (uint32_t i = 0; i < some; i++) {
            const struct el_pack_batch *row = &rows[from + i];
            *bad = from + i;
            if (!row->redacted && (el_pack_batch_fields_check(row, batch) != 0 ||
                                   memcmp(digests[i], row->leaf.digest, sizeof(digests[i])) != 0)) {
                return EVLOG_ERR_CORRUPT;
            }
            batch += row->len;
        }
    }
    return 0;
}

/* returns how many there are: MANY at most */
static uint32_t rows_get(const uint8_t *table, uint32_t from, uint32_t count, struct el_pack_batch rows[MANY])
{
    uint32_t some = EL_MIN(count - from, MANY);
    for (uint32_t i = 0; i < some; i++) {
        int code = el_pack_batch_get(table + (size_t)(from + i) * EL_PACK_BATCH_LEN, &rows[i]);
        EL_ASSERT(code == 0);
    }
    return some;
}

int el_pack_data_check(const uint8_t *table, uint32_t count, const uint8_t *data, uint32_t *bad)
{
    struct el_pack_batch rows[MANY];
    for (uint32_t from = 0, some = 0; from < count; from += some) {
        some = rows_get(table, from, count, rows);
        if (el_pack_rows_check(rows, some, data, bad) != 0) {
            *bad += from;
            return EVLOG_ERR_CORRUPT;
        }
        for (uint32_t i = 0; i < some; i++) {
            data += rows[i].len;
        }
    }
    return 0;
}

void el_pack_digests_put(uint8_t *table, uint32_t count, const uint8_t *data)
{
    struct el_pack_batch rows[MANY];
    uint8_t digests[MANY][32];
    for (uint32_t from = 0, some = 0; from < count; from += some) {
        some = rows_get(table, from, count, rows);
        rows_hash(rows, some, &data, digests);
        for (uint32_t i = 0; i < some; i++) {
            if (!rows[i].redacted) {
                memcpy(table + (size_t)(from + i) * EL_PACK_BATCH_LEN + LEAF_DIGEST_POS, digests[i], 32);
            }
        }
    }
}
