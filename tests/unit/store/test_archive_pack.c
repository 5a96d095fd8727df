/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a pack that is filled in place is one that a reader accepts, with the trees of its leaves; what does not fit is
 * refused and leaves the pack as it was. Method: batches of three partitions; the pack is read with the layout's own
 * checks.
 */
#include "test.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <evlog/error.h>
#include <format/batch.h>
#include <stdio.h>
#include <store/archive_pack.h>
#include <store/archive_tiles.h>

#define BUF_LEN 65536u

static const struct el_uuid topic = {{5}};
static const struct el_uuid incarnation = {{9}};

/* A batch with so many records at an offset. returns its length */
static size_t batch_at(uint8_t *p, int64_t offset, int count)
{
    struct el_batch_builder builder;
    struct el_slice made;
    struct el_record_body body = {.value = el_slice_str("some value")};
    el_batch_builder_init(&builder, 4096);
    for (int i = 0; i < count; i++) {
        assert_int_equal(el_batch_builder_add(&builder, 1000 + i, &body), 0);
    }
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &made), 0);
    memcpy(p, made.data, made.len);
    el_batch_assign(p, offset, 2);
    el_batch_builder_destroy(&builder);
    return made.len;
}

static int add(struct archive_pack *pack, int64_t offset, int count)
{
    size_t room = 0;
    uint8_t *p = archive_pack_data(pack, &room);
    assert_true(room > 1000);
    return archive_pack_batch(pack, &(struct archive_pack_entry){.append_time_ns = (uint64_t)offset * 10,
                                                                 .max_timestamp_ms = 1000,
                                                                 .salt = {(uint8_t)offset, 1},
                                                                 .len = (uint32_t)batch_at(p, offset, count)});
}

TEST(archive_pack, refuses_what_does_not_fit)
{
    static uint8_t buf[BUF_LEN];
    struct el_archive_part parts[2];
    struct archive_pack pack;
    struct archive_pack_made made;
    struct el_pack_header header = {.incarnation = incarnation, .kind = EL_PACK_BUNDLE, .sequence = 1};
    archive_pack_begin(&pack, buf, sizeof(buf), parts, 2, 3);
    assert_int_equal(archive_pack_finish(&pack, &header, NULL, &made), EVLOG_ERR_ARGUMENT);
    assert_int_equal(archive_pack_part(&pack, &topic, 0, 0), 0);
    assert_int_equal(archive_pack_finish(&pack, &header, NULL, &made), EVLOG_ERR_ARGUMENT); /* an empty part is none */
    assert_int_equal(archive_pack_part(&pack, &topic, 0, 0), 0);
    assert_int_equal(add(&pack, 10, 2), 0);
    assert_int_equal(add(&pack, 11, 2), EVLOG_ERR_CORRUPT); /* overlaps */
    assert_int_equal(add(&pack, 12, 1), 0);
    assert_int_equal(archive_pack_part(&pack, &topic, 1, 0), 0);
    /* not a batch: cut short, too long for the buffer */
    size_t room = 0;
    uint8_t *p = archive_pack_data(&pack, &room);
    struct archive_pack_entry entry = {.len = (uint32_t)batch_at(p, 0, 1) - 1};
    assert_int_equal(archive_pack_batch(&pack, &entry), EVLOG_ERR_CORRUPT);
    entry.len = (uint32_t)room + 1;
    assert_int_equal(archive_pack_batch(&pack, &entry), EVLOG_ERR_CORRUPT);
    assert_int_equal(add(&pack, 0, 1), 0);
    assert_int_equal(archive_pack_batch_room(&pack), 0);
    assert_int_equal(add(&pack, 1, 1), EVLOG_ERR_LIMIT);
    assert_int_equal(archive_pack_part(&pack, &topic, 2, 0), EVLOG_ERR_LIMIT);
    assert_int_equal(archive_pack_finish(&pack, &header, NULL, &made), 0);
    assert_int_equal(made.part_count, 2);
}

TEST(archive_pack, is_what_a_reader_accepts)
{
    static uint8_t buf[BUF_LEN];
    struct el_archive_part parts[8];
    struct archive_pack pack;
    struct archive_pack_made made;
    struct el_pack_header header = {.incarnation = incarnation, .shard = 3, .kind = EL_PACK_BUNDLE, .sequence = 7}, got;
    struct el_frontier trees[3] = {{.size = 0}}, *frontiers[3] = {&trees[0], NULL, &trees[2]}, folded = {.size = 0};
    archive_pack_begin(&pack, buf, sizeof(buf), parts, 8, 20);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(archive_pack_part(&pack, &topic, i, i == 1 ? 40 : 0), 0);
        for (int k = 0; k <= i; k++) {
            assert_int_equal(add(&pack, 10 * k, 3), 0);
        }
    }
    assert_int_equal(archive_pack_finish(&pack, &header, frontiers, &made), 0);
    assert_int_equal(made.part_count, 3);
    assert_int_equal(trees[0].size, 1);
    assert_int_equal(trees[2].size, 3);
    uint8_t *object = el_memdup(made.object, made.len), sha256[32];
    assert_int_equal(el_pack_header_get(object, &got), 0);
    assert_int_equal(got.len, made.len);
    assert_int_equal(got.part_count, 3);
    assert_int_equal(el_pack_parts_check(&got, object + EL_PACK_HEADER_LEN, NULL), 0);
    el_sha256(object, made.len, sha256);
    assert_memory_equal(sha256, made.sha256, 32);
    uint32_t index = 0;
    for (int i = 0; i < 3; i++) {
        const uint8_t *table = object + parts[i].table_pos, *data = object + parts[i].data_pos;
        assert_int_equal(parts[i].batch_count, i + 1);
        assert_int_equal(parts[i].end_offset, 10 * i + 3);
        assert_int_equal(el_pack_table_check(&parts[i], table, NULL), 0);
        for (uint32_t k = 0; k < parts[i].batch_count; k++) {
            struct el_pack_batch row, same;
            struct el_hash256 leaf;
            assert_int_equal(el_pack_batch_get(table + (size_t)k * EL_PACK_BATCH_LEN, &row), 0);
            archive_pack_get(&made, index++, &same);
            assert_memory_equal(row.leaf.digest, same.leaf.digest, 32);
            assert_int_equal(row.leaf.append_time_ns, 100 * k);
            assert_int_equal(el_pack_batch_check(&row, data), 0);
            el_merkle_leaf(table + (size_t)k * EL_PACK_BATCH_LEN, EL_LEAF_ENTRY_LEN, &leaf);
            data += row.len;
            if (i == 2) {
                el_frontier_add(&folded, &leaf);
            }
        }
    }
    assert_memory_equal(folded.hashes, trees[2].hashes, 2 * 32);
    struct el_manifest_object stated;
    archive_pack_object(&pack, &header, &made, &stated);
    assert_int_equal(stated.sequence, 7);
    assert_int_equal(stated.part_count, 3);
    assert_int_equal(stated.len, made.len);
    el_free(object);
}

TEST(archive_pack, a_row_that_is_known_must_be_of_its_bytes)
{
    static uint8_t buf[BUF_LEN];
    struct el_archive_part parts[1];
    struct archive_pack pack;
    struct archive_pack_made made;
    struct el_pack_header header = {.incarnation = incarnation, .kind = EL_PACK_SEGMENT};
    struct el_pack_batch row = {
        .leaf = {.first_offset = 4, .record_count = 2, .leader_epoch = 2}, .salt = {1}, .last_offset_delta = 1};
    archive_pack_begin(&pack, buf, sizeof(buf), parts, 1, 2);
    assert_int_equal(archive_pack_part(&pack, &topic, 0, 0), 0);
    size_t room = 0;
    uint8_t *p = archive_pack_data(&pack, &room);
    row.len = (uint32_t)batch_at(p, 4, 2);
    assert_int_equal(archive_pack_row(&pack, &row), EVLOG_ERR_CORRUPT);
    el_leaf_digest(row.salt, p, row.len, row.leaf.digest);
    assert_int_equal(archive_pack_row(&pack, &row), 0);
    struct el_pack_batch redacted = {.leaf = row.leaf, .last_offset_delta = 1, .redacted = true};
    redacted.leaf.first_offset = 6;
    assert_int_equal(archive_pack_row(&pack, &redacted), 0);
    assert_int_equal(archive_pack_finish(&pack, &header, NULL, &made), 0);
    archive_pack_get(&made, 1, &row);
    assert_true(row.redacted);
    assert_memory_equal(row.leaf.digest, redacted.leaf.digest, 32);
}
