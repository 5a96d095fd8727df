/* SPDX-License-Identifier: Apache-2.0
 *
 * A pack read from a damaged or hostile bucket, as it is, and with lengths and hashes put right, since a mutation
 * hardly ever keeps those:
 *
 *   1. whatever is accepted lies inside the object, and every batch of it can be looked at;
 *   2. what was accepted is written as it was read.
 */
#include <core/assert.h>
#include <core/crypto.h>
#include <evlog/error.h>
#include <format/archive_layout.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look_at_rows(const uint8_t *p, size_t len, const struct el_archive_part *part)
{
    uint64_t pos = part->data_pos;
    int64_t end = part->first_offset;
    for (uint32_t i = 0; i < part->batch_count; i++) {
        const uint8_t *at = p + part->table_pos + (size_t)i * EL_PACK_BATCH_LEN;
        struct el_pack_batch row;
        uint8_t again[EL_PACK_BATCH_LEN];
        EL_ASSERT(el_pack_batch_get(at, &row) == 0);
        el_pack_batch_put(again, &row);
        EL_ASSERT(memcmp(again, at, sizeof(again)) == 0);
        EL_ASSERT(row.leaf.first_offset >= end);
        EL_ASSERT(pos + row.len <= len);
        if (!row.redacted) {
            (void)el_pack_batch_check(&row, p + pos);
        }
        end = el_pack_batch_end(&row);
        pos += row.len;
    }
    EL_ASSERT(end == part->end_offset);
    EL_ASSERT(pos == part->data_pos + part->data_len);
}

static void look_at(const uint8_t *p, size_t len)
{
    struct el_pack_header h;
    struct el_archive_part part;
    uint8_t again[EL_PACK_PART_LEN];
    uint32_t bad = 0;
    if (len < EL_PACK_HEADER_LEN || el_pack_header_get(p, &h) != 0 || h.len != len) {
        return;
    }
    el_pack_header_put(again, &h);
    EL_ASSERT(memcmp(again, p, EL_PACK_HEADER_LEN) == 0);
    if (el_pack_parts_check(&h, p + EL_PACK_HEADER_LEN, &bad) != 0) {
        return;
    }
    for (uint32_t i = 0; i < h.part_count; i++) {
        const uint8_t *at = p + EL_PACK_HEADER_LEN + (size_t)i * EL_PACK_PART_LEN;
        EL_ASSERT(el_archive_part_get(at, &part) == 0);
        el_archive_part_put(again, &part);
        EL_ASSERT(memcmp(again, at, EL_PACK_PART_LEN) == 0);
        EL_ASSERT(part.data_pos + part.data_len <= len);
        if (el_pack_table_check(&part, p + part.table_pos, &bad) == 0) {
            look_at_rows(p, len, &part);
        }
    }
}

/* Length of the whole, and hashes of the tables that lie inside. */
static void mend(uint8_t *p, size_t len)
{
    el_put_le64(p + 48, len);
    uint64_t part_max = (len - EL_PACK_HEADER_LEN) / EL_PACK_PART_LEN;
    for (uint64_t i = 0; i < el_get_le32(p + 12) && i < part_max; i++) {
        uint8_t *at = p + EL_PACK_HEADER_LEN + i * EL_PACK_PART_LEN;
        uint64_t pos = el_get_le64(at + 56), table_len = (uint64_t)el_get_le32(at + 20) * EL_PACK_BATCH_LEN;
        if (pos <= len && table_len <= len - pos) {
            el_sha256(p + pos, table_len, at + 80);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    look_at(data, len);
    if (len < EL_PACK_HEADER_LEN) {
        return 0;
    }
    uint8_t *copy = malloc(len);
    EL_ASSERT(copy != NULL);
    memcpy(copy, data, len);
    mend(copy, len);
    look_at(copy, len);
    free(copy);
    return 0;
}
