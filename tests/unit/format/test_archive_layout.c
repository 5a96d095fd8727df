/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: leaf entries, packs and manifests are read as they were written, and whatever is out of range, reserved, cut or
 * unknown is refused. Method: a good one of each kind, and a list of places with values that it may not have; all to be
 * read lies in exact copies on the heap.
 */
#include "test.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <evlog/error.h>
#include <format/archive_layout.h>
#include <format/batch.h>

#define TEN(x) x, x, x, x, x, x, x, x, x, x

/* A field that is not as it may be. */
struct lie {
    size_t pos;
    uint32_t len; /* 1, 2, 4 or 8 */
    uint64_t value;
};

static void put_number(uint8_t *p, const struct lie *lie)
{
    for (uint32_t i = 0; i < lie->len; i++) {
        p[lie->pos + i] = (uint8_t)(lie->value >> (8 * i));
    }
}

static const struct el_uuid topic_id = {{7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
static const struct el_uuid incarnation = {{0xab, 0xcd, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff}};
static const struct el_uuid cluster = {{TEN(0x11), 0x22, 0x22, 0x22, 0x22, 0x22, 0x22}};

static struct el_leaf_entry good_leaf(void)
{
    return (struct el_leaf_entry){.first_offset = 100,
                                  .record_count = 3,
                                  .append_time_ns = 1700000000000000000u,
                                  .max_timestamp_ms = -1,
                                  .leader_epoch = 5,
                                  .digest = {TEN(9)}};
}

static struct el_pack_batch good_batch(void)
{
    return (struct el_pack_batch){.leaf = good_leaf(), .salt = {1, 2, 3}, .len = 70, .last_offset_delta = 4};
}

static struct el_archive_part good_part(void)
{
    return (struct el_archive_part){.topic_id = topic_id,
                                    .partition = 3,
                                    .batch_count = 2,
                                    .first_offset = 100,
                                    .end_offset = 110,
                                    .first_leaf = 8,
                                    .table_pos = 176,
                                    .data_pos = 368,
                                    .data_len = 140,
                                    .table_sha256 = {TEN(4)}};
}

static struct el_pack_header good_pack(void)
{
    return (struct el_pack_header){
        .part_count = 1, .incarnation = incarnation, .shard = 2, .kind = EL_PACK_BUNDLE, .sequence = 9, .len = 508};
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(archive_layout, leaf_entries_out_of_range_are_refused)
{
    static const struct lie lies[] = {{0, 8, UINT64_MAX}, {0, 8, INT64_MAX},   {8, 4, 1u << 31},
                                      {12, 4, 0},         {32, 4, UINT32_MAX}, {36, 4, 1}};
    struct el_leaf_entry e = good_leaf(), got;
    uint8_t good[EL_LEAF_ENTRY_LEN], p[EL_LEAF_ENTRY_LEN];
    el_leaf_entry_put(good, &e);
    assert_int_equal(el_leaf_entry_get(good, &got), 0);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        memcpy(p, good, sizeof(p));
        put_number(p, &lies[i]);
        assert_int_equal(el_leaf_entry_get(p, &got), EVLOG_ERR_CORRUPT);
    }
    memcpy(p, good, sizeof(p));
    p[12] = 2;
    assert_int_equal(el_leaf_entry_get(p, &got), EVLOG_ERR_FORMAT);
}

TEST(archive_layout, rows_out_of_range_are_refused)
{
    static const struct lie lies[] = {
        {0, 8, INT64_MAX - 2}, /* the last offset is beyond the last there is */
        {8, 4, 6},             /* more records than offsets */
        {88, 4, 0},
        {88, 4, 60},
        {88, 4, EL_BATCH_LEN_MAX + 1},
        {92, 4, 1u << 31 | 4}, /* redacted, with bytes and salt */
        {36, 4, 1},
    };
    struct el_pack_batch b = good_batch(), got;
    uint8_t good[EL_PACK_BATCH_LEN], p[EL_PACK_BATCH_LEN];
    el_pack_batch_put(good, &b);
    assert_int_equal(el_pack_batch_get(good, &got), 0);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        memcpy(p, good, sizeof(p));
        put_number(p, &lies[i]);
        assert_int_equal(el_pack_batch_get(p, &got), EVLOG_ERR_CORRUPT);
    }
    /* a redacted one keeps no salt */
    b = (struct el_pack_batch){.leaf = good_leaf(), .last_offset_delta = 4, .redacted = true};
    el_pack_batch_put(p, &b);
    assert_int_equal(el_pack_batch_get(p, &got), 0);
    assert_true(got.redacted);
    assert_int_equal(got.last_offset_delta, 4);
    p[80] = 1;
    assert_int_equal(el_pack_batch_get(p, &got), EVLOG_ERR_CORRUPT);
}

TEST(archive_layout, headers_of_packs_out_of_range_are_refused)
{
    static const struct lie lies[] = {{0, 1, 'e'},    {8, 4, 0},         {12, 4, 0}, {12, 4, EL_PACK_PARTS_MAX + 1},
                                      {32, 4, 10000}, {36, 4, 0},        {36, 4, 3}, {36, 4, EL_PACK_SEGMENT},
                                      {40, 8, 0},     {48, 8, 64 + 112}, {12, 4, 3}, {48, 8, EL_PACK_LEN_MAX + 1},
                                      {56, 8, 1},     {63, 1, 1}};
    struct el_pack_header h = good_pack(), got;
    uint8_t good[EL_PACK_HEADER_LEN], p[EL_PACK_HEADER_LEN];
    el_pack_header_put(good, &h);
    assert_int_equal(el_pack_header_get(good, &got), 0);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        memcpy(p, good, sizeof(p));
        put_number(p, &lies[i]);
        assert_int_equal(el_pack_header_get(p, &got), EVLOG_ERR_CORRUPT);
    }
    memcpy(p, good, sizeof(p));
    memset(p + 16, 0, 16);
    assert_int_equal(el_pack_header_get(p, &got), EVLOG_ERR_CORRUPT);
    memcpy(p, good, sizeof(p));
    p[8] = 2;
    assert_int_equal(el_pack_header_get(p, &got), EVLOG_ERR_FORMAT);
    /* a segment has one part and no sequence */
    h.kind = EL_PACK_SEGMENT;
    h.sequence = 0;
    el_pack_header_put(p, &h);
    assert_int_equal(el_pack_header_get(p, &got), 0);
    p[12] = 2;
    assert_int_equal(el_pack_header_get(p, &got), EVLOG_ERR_CORRUPT);
}

TEST(archive_layout, parts_out_of_range_are_refused)
{
    static const struct lie lies[] = {
        {16, 4, UINT32_MAX},
        {20, 4, 0},
        {20, 4, 11},
        {20, 4, UINT32_MAX},
        {24, 8, UINT64_MAX},
        {24, 8, 111},
        {32, 8, 101},
        {40, 8, UINT64_MAX},
        {40, 8, EL_MERKLE_LEAVES_MAX - 1},
        {56, 8, 175},
        {56, 8, 177},
        {56, 8, UINT64_MAX},
        {64, 8, 367},
        {64, 8, UINT64_MAX},
        {72, 8, UINT64_MAX},
        {72, 8, EL_PACK_LEN_MAX - 10},
        {72, 8, 2ull * EL_BATCH_LEN_MAX + 1},
    };
    struct el_archive_part part = good_part(), got;
    uint8_t good[EL_PACK_PART_LEN], p[EL_PACK_PART_LEN];
    el_archive_part_put(good, &part);
    assert_int_equal(el_archive_part_get(good, &got), 0);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        memcpy(p, good, sizeof(p));
        put_number(p, &lies[i]);
        assert_int_equal(el_archive_part_get(p, &got), EVLOG_ERR_CORRUPT);
    }
    memcpy(p, good, sizeof(p));
    memset(p, 0, 16);
    assert_int_equal(el_archive_part_get(p, &got), EVLOG_ERR_CORRUPT);
}

/* Two parts of 1 and 2 batches, 61, 62 and 63 bytes. */
struct two_parts {
    struct el_pack_header header;
    struct el_archive_part parts[2];
    struct el_pack_batch rows[3];
    uint8_t encoded[2 * EL_PACK_PART_LEN];
    uint8_t tables[3 * EL_PACK_BATCH_LEN];
};

static void two_parts_seal(struct two_parts *t)
{
    for (size_t i = 0; i < 3; i++) {
        el_pack_batch_put(t->tables + i * EL_PACK_BATCH_LEN, &t->rows[i]);
    }
    el_sha256(t->tables, EL_PACK_BATCH_LEN, t->parts[0].table_sha256);
    el_sha256(t->tables + EL_PACK_BATCH_LEN, 2 * EL_PACK_BATCH_LEN, t->parts[1].table_sha256);
    for (size_t i = 0; i < 2; i++) {
        el_archive_part_put(t->encoded + i * EL_PACK_PART_LEN, &t->parts[i]);
    }
}

static void two_parts_make(struct two_parts *t)
{
    uint64_t tables = EL_PACK_HEADER_LEN + 2 * EL_PACK_PART_LEN, data = tables + 3 * EL_PACK_BATCH_LEN;
    *t = (struct two_parts){.header = good_pack()};
    t->header.part_count = 2;
    t->header.len = data + 61 + 62 + 63;
    for (size_t i = 0; i < 3; i++) {
        t->rows[i] = good_batch();
        t->rows[i].len = (uint32_t)(61 + i);
    }
    t->rows[2].leaf.first_offset = 107;
    t->parts[0] = (struct el_archive_part){.topic_id = topic_id,
                                           .batch_count = 1,
                                           .first_offset = 100,
                                           .end_offset = 105,
                                           .table_pos = tables,
                                           .data_pos = data,
                                           .data_len = 61};
    t->parts[1] = (struct el_archive_part){.topic_id = topic_id,
                                           .partition = 1,
                                           .batch_count = 2,
                                           .first_offset = 100,
                                           .end_offset = 112,
                                           .table_pos = tables + EL_PACK_BATCH_LEN,
                                           .data_pos = data + 61,
                                           .data_len = 125};
    two_parts_seal(t);
}

TEST(archive_layout, parts_of_a_pack_that_do_not_fit_together_are_refused)
{
    struct two_parts t;
    uint32_t bad = 9;
    two_parts_make(&t);
    assert_int_equal(el_pack_parts_check(&t.header, t.encoded, NULL), 0);
#define BROKEN(change, part)                                                                                           \
    do {                                                                                                               \
        two_parts_make(&t);                                                                                            \
        change;                                                                                                        \
        two_parts_seal(&t);                                                                                            \
        assert_int_equal(el_pack_parts_check(&t.header, t.encoded, &bad), EVLOG_ERR_CORRUPT);                          \
        assert_int_equal(bad, part);                                                                                   \
    } while (0)
    BROKEN(t.parts[1].partition = 0, 1); /* twice the same */
    BROKEN(t.parts[0].partition = 2, 1); /* not in order */
    BROKEN(t.parts[0].topic_id.bytes[0] = 8, 1);
    BROKEN(t.parts[0].object = 1, 0);
    BROKEN(t.parts[0].table_pos--, 0);
    BROKEN(t.parts[1].table_pos--, 1);
    BROKEN(t.parts[1].data_pos++, 1);
    BROKEN(t.parts[0].data_len++, 1);
    BROKEN(t.parts[1].data_len--, 1); /* the object does not end there */
    BROKEN(t.header.len++, 1);
    BROKEN((t.parts[0].data_pos++, t.parts[1].data_pos++, t.header.len++), 1); /* a hole behind the tables */
#undef BROKEN
}

TEST(archive_layout, tables_that_contradict_their_part_are_refused)
{
    struct two_parts t;
    uint32_t bad = 9;
    two_parts_make(&t);
    const uint8_t *table = t.tables + EL_PACK_BATCH_LEN;
    assert_int_equal(el_pack_table_check(&t.parts[1], table, &bad), 0);
    t.tables[EL_PACK_BATCH_LEN + 20] ^= 1;
    assert_int_equal(el_pack_table_check(&t.parts[1], table, &bad), EVLOG_ERR_CORRUPT);
    assert_int_equal(bad, 2);
#define BROKEN(change, row)                                                                                            \
    do {                                                                                                               \
        two_parts_make(&t);                                                                                            \
        change;                                                                                                        \
        two_parts_seal(&t);                                                                                            \
        assert_int_equal(el_pack_table_check(&t.parts[1], table, &bad), EVLOG_ERR_CORRUPT);                            \
        assert_int_equal(bad, row);                                                                                    \
    } while (0)
    BROKEN(t.rows[2].leaf.first_offset = 104, 1); /* overlaps the first */
    BROKEN(t.rows[1].leaf.first_offset = 101, 0); /* not where the part begins */
    BROKEN(t.rows[2].leaf.first_offset = 106, 2); /* ends before the part does */
    BROKEN(t.rows[2].len++, 2);
#undef BROKEN
    /* a row that is out of range, under a right hash */
    two_parts_make(&t);
    t.tables[EL_PACK_BATCH_LEN * 2 + 36] = 1;
    el_sha256(table, 2 * EL_PACK_BATCH_LEN, t.parts[1].table_sha256);
    assert_int_equal(el_pack_table_check(&t.parts[1], table, &bad), EVLOG_ERR_CORRUPT);
    assert_int_equal(bad, 1);
    t.tables[EL_PACK_BATCH_LEN * 2 + 36] = 0;
    t.tables[EL_PACK_BATCH_LEN * 2 + 12] = 2;
    el_sha256(table, 2 * EL_PACK_BATCH_LEN, t.parts[1].table_sha256);
    assert_int_equal(el_pack_table_check(&t.parts[1], table, NULL), EVLOG_ERR_FORMAT);
}

TEST(archive_layout, a_batch_that_is_not_its_row_is_refused)
{
    struct el_batch_builder builder;
    struct el_slice made;
    struct el_record_body body = {.value = el_slice_str("event")};
    el_batch_builder_init(&builder, 4096);
    assert_int_equal(el_batch_builder_add(&builder, 1000, &body), 0);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &made), 0);
    uint8_t *batch = el_memdup(made.data, made.len);
    el_batch_assign(batch, 100, 5);
    struct el_pack_batch good = {.leaf = good_leaf(), .salt = {1}, .len = (uint32_t)made.len}, row;
    good.leaf.record_count = 1;
    el_leaf_digest(good.salt, batch, made.len, good.leaf.digest);
    assert_int_equal(el_pack_batch_check(&good, batch), 0);
#define BROKEN(change)                                                                                                 \
    do {                                                                                                               \
        row = good;                                                                                                    \
        change;                                                                                                        \
        assert_int_equal(el_pack_batch_check(&row, batch), EVLOG_ERR_CORRUPT);                                         \
    } while (0)
    BROKEN(row.leaf.first_offset++);
    BROKEN(row.leaf.record_count = 0);
    BROKEN(row.leaf.leader_epoch = 4);
    BROKEN(row.last_offset_delta++);
    BROKEN(row.len--);
    BROKEN(row.salt[15] = 1);
    BROKEN(row.leaf.digest[31] ^= 1);
#undef BROKEN
    batch[made.len - 1] ^= 1;
    assert_int_equal(el_pack_batch_check(&good, batch), EVLOG_ERR_CORRUPT);
    el_free(batch);
    el_batch_builder_destroy(&builder);
}

/* More rows than are hashed at once, batches of every length, every seventh redacted: each as it is by itself. */
TEST(archive_layout, rows_together_are_what_each_is)
{
    enum { COUNT = 150 };
    static struct el_pack_batch rows[COUNT];
    static uint8_t table[COUNT * EL_PACK_BATCH_LEN];
    struct el_buffer data = {0};
    size_t ends[COUNT];
    uint32_t bad = COUNT;
    for (uint32_t i = 0; i < COUNT; i++) {
        struct el_batch_builder builder;
        struct el_slice made;
        char value[700];
        memset(value, 'a' + (int)(i % 26), sizeof value);
        struct el_record_body body = {.value = el_slice_of((const uint8_t *)value, i * 4)};
        el_batch_builder_init(&builder, 4096);
        assert_int_equal(el_batch_builder_add(&builder, 1000, &body), 0);
        assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &made), 0);
        rows[i] = (struct el_pack_batch){.leaf = good_leaf(), .salt = {(uint8_t)i}, .len = (uint32_t)made.len};
        rows[i].leaf.first_offset = 100 + i;
        rows[i].leaf.record_count = 1;
        if (i % 7 == 3) {
            rows[i].redacted = true;
            rows[i].len = 0;
            memset(rows[i].salt, 0, sizeof rows[i].salt);
        } else {
            el_buffer_append(&data, made.data, made.len);
            assert_int_equal(data.err, 0);
            el_batch_assign(data.data + data.len - made.len, 100 + i, 5);
        }
        ends[i] = data.len;
        el_batch_builder_destroy(&builder);
        el_pack_batch_put(table + (size_t)i * EL_PACK_BATCH_LEN, &rows[i]);
    }
    el_pack_digests_put(table, COUNT, data.data);
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct el_pack_batch before = rows[i];
        uint8_t digest[32];
        assert_int_equal(el_pack_batch_get(table + (size_t)i * EL_PACK_BATCH_LEN, &rows[i]), 0);
        el_leaf_digest(before.salt, data.data + ends[i] - before.len, before.len, digest);
        assert_memory_equal(rows[i].leaf.digest, before.redacted ? before.leaf.digest : digest, 32);
    }
    assert_int_equal(el_pack_rows_check(rows, COUNT, data.data, &bad), 0);
    assert_int_equal(el_pack_data_check(table, COUNT, data.data, &bad), 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        for (size_t pos = 1; !rows[i].redacted && pos < 70; pos += 60) { /* its last byte, and one of its header */
            data.data[ends[i] - pos] ^= 1;
            assert_int_equal(el_pack_rows_check(rows, COUNT, data.data, &bad), EVLOG_ERR_CORRUPT);
            assert_int_equal(bad, i);
            assert_int_equal(el_pack_data_check(table, COUNT, data.data, &bad), EVLOG_ERR_CORRUPT);
            assert_int_equal(bad, i);
            data.data[ends[i] - pos] ^= 1;
        }
    }
    el_buffer_free(&data);
}

TEST(archive_layout, leaves_of_a_table_come_with_its_check)
{
    struct two_parts t;
    struct el_hash256 leaves[2], leaf;
    uint32_t bad = 0;
    two_parts_make(&t);
    const uint8_t *table = t.tables + EL_PACK_BATCH_LEN;
    assert_int_equal(el_pack_table_leaves(&t.parts[1], table, leaves, &bad), 0);
    for (size_t i = 0; i < 2; i++) {
        el_merkle_leaf(table + i * EL_PACK_BATCH_LEN, EL_LEAF_ENTRY_LEN, &leaf);
        assert_memory_equal(&leaves[i], &leaf, sizeof leaf);
    }
    t.tables[EL_PACK_BATCH_LEN + 20] ^= 1;
    assert_int_equal(el_pack_table_leaves(&t.parts[1], table, leaves, &bad), EVLOG_ERR_CORRUPT);
}

/* --- what is written is read -------------------------------------------------------------------------------------- */

TEST(archive_layout, a_pack_is_read_as_it_was_written)
{
    struct el_pack_header h = good_pack(), got_h;
    struct el_archive_part part = good_part(), got_part;
    struct el_pack_batch b = good_batch(), got_b;
    uint8_t p[EL_PACK_PART_LEN];
    part.object = 77;
    el_pack_header_put(p, &h);
    assert_int_equal(el_pack_header_get(p, &got_h), 0);
    assert_int_equal(got_h.part_count, 1);
    assert_true(el_uuid_eq(&got_h.incarnation, &incarnation));
    assert_int_equal(got_h.shard, 2);
    assert_int_equal(got_h.kind, EL_PACK_BUNDLE);
    assert_int_equal(got_h.sequence, 9);
    assert_int_equal(got_h.len, 508);
    el_archive_part_put(p, &part);
    assert_int_equal(el_archive_part_get(p, &got_part), 0);
    assert_memory_equal(&got_part, &part, sizeof(part));
    el_pack_batch_put(p, &b);
    assert_int_equal(el_pack_batch_get(p, &got_b), 0);
    assert_int_equal(got_b.leaf.first_offset, 100);
    assert_int_equal(got_b.leaf.record_count, 3);
    assert_int_equal(got_b.leaf.append_time_ns, b.leaf.append_time_ns);
    assert_int_equal(got_b.leaf.max_timestamp_ms, -1);
    assert_int_equal(got_b.leaf.leader_epoch, 5);
    assert_memory_equal(got_b.leaf.digest, b.leaf.digest, 32);
    assert_memory_equal(got_b.salt, b.salt, 16);
    assert_int_equal(got_b.len, 70);
    assert_int_equal(el_pack_batch_end(&got_b), 105);
    assert_false(got_b.redacted);
}

TEST(archive_layout, names_are_those_of_the_specification)
{
    char key[EL_ARCHIVE_KEY_MAX];
    struct el_manifest_object o = {.kind = EL_PACK_BUNDLE, .shard = 3, .sequence = 0x1f, .sha256 = {0xaa, TEN(0xbb)}};
#define ID "abcd02030405060708090a0b0c0d0eff"
#define TOPIC "070102030405060708090a0b0c0d0e0f"
    el_archive_key_cluster(key, &incarnation);
    assert_string_equal(key, ID "/cluster.json");
    el_archive_key_root(key, &incarnation, 255);
    assert_string_equal(key, ID "/root/00000000000000ff");
    el_archive_key_manifest(key, &incarnation, 16);
    assert_string_equal(key, ID "/manifest/0000000000000010");
    el_archive_key_object(key, &incarnation, &o);
    assert_string_equal(key, ID "/bundles/0003/000000000000001f-aabbbbbbbbbbbbbb");
    o.kind = EL_PACK_SEGMENT;
    o.topic_id = topic_id;
    o.partition = 12;
    o.sequence = 1000;
    el_archive_key_object(key, &incarnation, &o);
    assert_string_equal(key, ID "/topics/" TOPIC "/12/seg/00000000000000001000-aabbbbbbbbbbbbbb.seg");
    el_archive_key_tile(key, &incarnation, NULL, 0, 0, 1234067, 256);
    assert_string_equal(key, ID "/tile/0/x001/x234/067");
    el_archive_key_tile(key, &incarnation, &topic_id, 12, 1, 5, 17);
    assert_string_equal(key, ID "/topics/" TOPIC "/12/tile/1/005.p/17");
    el_archive_key_checkpoint(key, &incarnation, &topic_id, 0, 70);
    assert_string_equal(key, ID "/topics/" TOPIC "/0/checkpoint/00000000000000000070");
    el_archive_origin_root(key, &cluster, &incarnation);
    assert_string_equal(key, "evlog/11111111111111111111222222222222/" ID "/root");
    el_archive_origin_partition(key, &cluster, &incarnation, &topic_id, 12);
    assert_string_equal(key, "evlog/11111111111111111111222222222222/" ID "/" TOPIC "/12");
    el_archive_key_name(key, &cluster);
    assert_string_equal(key, "evlog/11111111111111111111222222222222");
}
