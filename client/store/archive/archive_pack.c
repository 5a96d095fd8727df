/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a pack. The buffer while it is filled:
 *
 *   header room | room for part_max parts | rows as they come | ... | data as it comes
 *
 * Rows and data are where they are because their number is not known before. Finishing moves header, parts and rows
 * together until they touch the data; so the object begins somewhere in the front, and ends with the data.
 */
#include <store/archive_pack.h>

#include <core/assert.h>
#include <core/crypto.h>
#include <evlog/error.h>
#include <format/batch.h>

#define LEAVES 64u /* that are hashed at once */

void archive_pack_begin(struct archive_pack *pack, void *buf, size_t buf_len, struct el_archive_part *parts,
                        uint32_t part_max, uint32_t batch_max)
{
    EL_ASSERT(part_max > 0);
    EL_ASSERT(part_max <= EL_PACK_PARTS_MAX);
    EL_ASSERT(batch_max > 0);
    size_t front = archive_pack_front(part_max, batch_max);
    EL_ASSERT(buf_len >= front);
    *pack = (struct archive_pack){.buf = buf,
                                  .buf_len = buf_len,
                                  .parts = parts,
                                  .part_max = part_max,
                                  .batch_max = batch_max,
                                  .data_begin = front,
                                  .data_end = front};
}

static struct el_archive_part *last_part(const struct archive_pack *pack)
{
    return pack->part_count == 0 ? NULL : &pack->parts[pack->part_count - 1];
}

static uint8_t *row_place(const struct archive_pack *pack, uint32_t index)
{
    return pack->buf + EL_PACK_HEADER_LEN + (size_t)pack->part_max * EL_PACK_PART_LEN +
           (size_t)index * EL_PACK_BATCH_LEN;
}

/* A part without batches is none. */
static void drop_empty(struct archive_pack *pack)
{
    const struct el_archive_part *part = last_part(pack);
    if (part != NULL && part->batch_count == 0) {
        pack->part_count--;
    }
}

int archive_pack_part(struct archive_pack *pack, const struct el_uuid *topic_id, int32_t partition, uint64_t first_leaf)
{
    drop_empty(pack);
    const struct el_archive_part *before = last_part(pack);
    if (pack->part_count == pack->part_max) {
        return EVLOG_ERR_LIMIT;
    }
    EL_ASSERT(partition >= 0);
    if (before != NULL) {
        int order = memcmp(before->topic_id.bytes, topic_id->bytes, 16);
        EL_ASSERT(order < 0 || (order == 0 && before->partition < partition));
    }
    pack->parts[pack->part_count++] = (struct el_archive_part){
        .topic_id = *topic_id, .partition = partition, .first_leaf = first_leaf};
    return 0;
}

/* Put a row that fits behind the others. */
static int take_row(struct archive_pack *pack, const struct el_pack_batch *row)
{
    struct el_archive_part *part = last_part(pack);
    EL_ASSERT(part != NULL);
    if (pack->batch_count == pack->batch_max || pack->data_end + row->len > EL_PACK_LEN_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    if (row->len > pack->buf_len - pack->data_end ||
        (part->batch_count > 0 && row->leaf.first_offset < part->end_offset)) {
        return EVLOG_ERR_CORRUPT;
    }
    if (part->batch_count == 0) {
        part->first_offset = row->leaf.first_offset;
    }
    el_pack_batch_put(row_place(pack, pack->batch_count), row);
    part->batch_count++;
    part->end_offset = el_pack_batch_end(row);
    part->data_len += row->len;
    pack->batch_count++;
    pack->data_end += row->len;
    return 0;
}

int archive_pack_batch(struct archive_pack *pack, const struct archive_pack_entry *entry)
{
    const uint8_t *batch = pack->buf + pack->data_end;
    struct el_batch_info info;
    if (entry->len > pack->buf_len - pack->data_end || entry->len > EL_BATCH_LEN_MAX ||
        el_batch_header(batch, entry->len, &info) != 0 || info.len != entry->len || info.base_offset < 0 ||
        info.base_offset > INT64_MAX - 1 - (int64_t)info.last_offset_delta || info.leader_epoch < 0 ||
        (uint32_t)info.record_count > (uint32_t)info.last_offset_delta + 1u) {
        return EVLOG_ERR_CORRUPT;
    }
    struct el_pack_batch row = {.leaf = {.first_offset = info.base_offset,
                                         .record_count = (uint32_t)info.record_count,
                                         .append_time_ns = entry->append_time_ns,
                                         .max_timestamp_ms = entry->max_timestamp_ms,
                                         .leader_epoch = info.leader_epoch},
                                .len = entry->len,
                                .last_offset_delta = (uint32_t)info.last_offset_delta};
    memcpy(row.salt, entry->salt, sizeof(row.salt));
    return take_row(pack, &row);
}

int archive_pack_row(struct archive_pack *pack, const struct el_pack_batch *row)
{
    if (!row->redacted &&
        (row->len > pack->buf_len - pack->data_end || el_pack_batch_check(row, pack->buf + pack->data_end) != 0)) {
        return EVLOG_ERR_CORRUPT;
    }
    return take_row(pack, row);
}

/* --- finishing ---------------------------------------------------------------------------------------------------- */

/* Digests of a part's rows, its table's hash, its leaves into the frontier (may be NULL). table: where its rows are
 * now; returns the end of its data */
static const uint8_t *finish_part(struct el_archive_part *part, uint8_t *table, const uint8_t *data,
                                  struct el_frontier *frontier)
{
    struct el_hash256 leaves[LEAVES];
    el_pack_digests_put(table, part->batch_count, data);
    for (uint32_t from = 0, some = 0; frontier != NULL && from < part->batch_count; from += some) {
        some = EL_MIN(part->batch_count - from, LEAVES);
        el_merkle_leaves(table + (size_t)from * EL_PACK_BATCH_LEN, EL_PACK_BATCH_LEN, EL_LEAF_ENTRY_LEN, some, leaves);
        for (uint32_t i = 0; i < some; i++) {
            el_frontier_add(frontier, &leaves[i]);
        }
    }
    el_sha256(table, (size_t)part->batch_count * EL_PACK_BATCH_LEN, part->table_sha256);
    return data + part->data_len;
}

int archive_pack_finish(struct archive_pack *pack, struct el_pack_header *header, struct el_frontier *const *frontiers,
                        struct archive_pack_made *made)
{
    drop_empty(pack);
    if (pack->part_count == 0) {
        return EVLOG_ERR_ARGUMENT;
    }
    size_t front = archive_pack_front(pack->part_count, pack->batch_count);
    uint64_t len = front + (pack->data_end - pack->data_begin);
    if (len > EL_PACK_LEN_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    uint8_t *object = pack->buf + pack->data_begin - front;
    uint8_t *tables = object + EL_PACK_HEADER_LEN + (size_t)pack->part_count * EL_PACK_PART_LEN;
    const uint8_t *data = pack->buf + pack->data_begin;
    memmove(tables, row_place(pack, 0), (size_t)pack->batch_count * EL_PACK_BATCH_LEN);
    for (uint32_t i = 0; i < pack->part_count; i++) {
        struct el_archive_part *part = &pack->parts[i];
        part->table_pos = (uint64_t)(tables - object);
        part->data_pos = (uint64_t)(data - object);
        if (frontiers != NULL && frontiers[i] != NULL) {
            EL_ASSERT(frontiers[i]->size == part->first_leaf);
        }
        data = finish_part(part, tables, data, frontiers == NULL ? NULL : frontiers[i]);
        tables += (size_t)part->batch_count * EL_PACK_BATCH_LEN;
        el_archive_part_put(object + EL_PACK_HEADER_LEN + (size_t)i * EL_PACK_PART_LEN, part);
    }
    EL_ASSERT(data == pack->buf + pack->data_end);
    header->part_count = pack->part_count;
    header->len = len;
    el_pack_header_put(object, header);
    *made = (struct archive_pack_made){.object = object, .len = len, .part_count = pack->part_count};
    el_sha256(object, len, made->sha256);
    return 0;
}

void archive_pack_object(const struct archive_pack *pack, const struct el_pack_header *header,
                         const struct archive_pack_made *made, struct el_manifest_object *object)
{
    *object = (struct el_manifest_object){.kind = header->kind,
                                          .state = EL_OBJECT_LIVE,
                                          .shard = header->shard,
                                          .part_count = made->part_count,
                                          .sequence = header->sequence,
                                          .len = made->len};
    memcpy(object->sha256, made->sha256, 32);
    if (header->kind == EL_PACK_SEGMENT) {
        object->topic_id = pack->parts[0].topic_id;
        object->partition = pack->parts[0].partition;
        object->sequence = (uint64_t)pack->parts[0].first_offset;
    }
}

void archive_pack_get(const struct archive_pack_made *made, uint32_t index, struct el_pack_batch *row)
{
    int code = el_pack_batch_get(made->object + EL_PACK_HEADER_LEN + (size_t)made->part_count * EL_PACK_PART_LEN +
                                     (size_t)index * EL_PACK_BATCH_LEN,
                                 row);
    EL_ASSERT(code == 0);
}
