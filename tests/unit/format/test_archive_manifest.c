/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: manifests are read as they were written, and whatever is out of range, reserved, cut or unknown is refused.
 * Method: a good record of each kind, and a list of places with values that it may not have; whole manifests cut at
 * every byte. All to be read lies in exact copies on the heap.
 */
#include "test.h"

#include <core/alloc.h>
#include <evlog/error.h>
#include <format/archive_layout.h>

struct lie {
    size_t pos;
    uint32_t len; /* 1, 2, 4 or 8 */
    uint64_t value;
};

static const struct el_uuid topic_id = {{7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
static const struct el_uuid incarnation = {{0xab, 0xcd}};
static const struct el_uuid parent = {{0xee}};

static const struct el_manifest_topic good_topic = {.id = {{7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
                                                    .internal = true,
                                                    .partition_count = 4,
                                                    .changed_ms = 5,
                                                    .name = {(const uint8_t *)"orders", 6},
                                                    .settings = {(const uint8_t *)"\0\0\0\0", 4}};
static const struct el_manifest_partition good_partition = {
    .topic_id = {{7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
    .partition = 2,
    .start_offset = 10,
    .end_offset = 30,
    .log_start = 12,
    .last_append_ns = 99,
    .tree = {.size = 6, .hashes = {{{1}}, {{2}}}}};
static const struct el_manifest_object good_bundle = {.number = 8,
                                                      .kind = EL_PACK_BUNDLE,
                                                      .state = EL_OBJECT_LIVE,
                                                      .shard = 1,
                                                      .part_count = 2,
                                                      .sequence = 3,
                                                      .len = 1000,
                                                      .sha256 = {1, 2}};
static const struct el_archive_part good_part = {.topic_id = {{7}},
                                                 .partition = 3,
                                                 .batch_count = 2,
                                                 .first_offset = 100,
                                                 .end_offset = 110,
                                                 .object = 8,
                                                 .first_leaf = 8,
                                                 .table_pos = 176,
                                                 .data_pos = 368,
                                                 .data_len = 140};
static const struct el_manifest_key good_key = {.kind = EL_SIGN_ED25519,
                                                .changed_ms = 4,
                                                .bytes = {(const uint8_t *)"0123456789abcdef0123456789abcdef", 32}};
static const struct el_manifest_redaction good_redaction = {.topic_id = {{7}},
                                                            .partition = 1,
                                                            .first_offset = 5,
                                                            .end_offset = 9,
                                                            .when_ms = 3,
                                                            .reason = {(const uint8_t *)"a password", 10}};
static const struct el_manifest_retired good_retired = {.topic_id = {{7}},
                                                        .partition = 1,
                                                        .end_offset = 9,
                                                        .newest_append_ns = 5000000,
                                                        .when_ms = 12,
                                                        .retention_ms = 7,
                                                        .tree = {.size = 6, .hashes = {{{1}}, {{2}}}}};
static const struct el_frontier good_tree = {.size = 5, .hashes = {{{3}}, {{4}}}};

static void put_all(struct el_buffer *out)
{
    el_manifest_begin(out);
    el_manifest_tree_put(out, &good_tree);
    el_manifest_key_put(out, &good_key);
    el_manifest_topic_put(out, &good_topic);
    el_manifest_partition_put(out, &good_partition);
    el_manifest_retired_put(out, &good_retired);
    el_manifest_object_put(out, &good_bundle);
    el_manifest_part_put(out, &good_part);
    el_manifest_redaction_put(out, &good_redaction);
}

static struct el_manifest_header good_header(void)
{
    return (struct el_manifest_header){.kind = EL_MANIFEST_DELTA,
                                       .incarnation = incarnation,
                                       .sequence = 6,
                                       .full_sequence = 2,
                                       .cut_ns = 77,
                                       .made_ms = 78,
                                       .previous_sha256 = {1},
                                       .parent = parent,
                                       .parent_sequence = 44,
                                       .parent_root = {2},
                                       .leader_epoch = 3};
}

static void make(struct el_buffer *out, struct el_manifest_header *h)
{
    *h = good_header();
    put_all(out);
    assert_int_equal(el_manifest_seal(out, h), 0);
}

/* The body of the record with this tag, copied out exactly. */
static uint8_t *body_of(uint32_t tag, size_t *len)
{
    struct el_buffer out = {0};
    struct el_manifest_header h;
    struct el_manifest_record record;
    size_t pos = EL_MANIFEST_HEADER_LEN;
    uint8_t *copy = NULL;
    make(&out, &h);
    while (el_manifest_next(out.data, out.len, &pos, &record) == 1) {
        if (record.tag == tag) {
            copy = el_memdup(record.body.data, record.body.len);
            *len = record.body.len;
        }
    }
    el_buffer_free(&out);
    assert_non_null(copy);
    return copy;
}

static int get_any(uint32_t tag, const uint8_t *p, size_t len)
{
    struct el_slice body = {p, len};
    union {
        struct el_manifest_topic topic;
        struct el_manifest_partition partition;
        struct el_manifest_object object;
        struct el_archive_part part;
        struct el_manifest_key key;
        struct el_manifest_redaction redaction;
        struct el_manifest_retired retired;
        struct el_frontier tree;
    } got;
    switch ((enum el_manifest_tag)tag) {
    case EL_MANIFEST_TOPIC:
        return el_manifest_topic_get(body, &got.topic);
    case EL_MANIFEST_PARTITION:
        return el_manifest_partition_get(body, &got.partition);
    case EL_MANIFEST_OBJECT:
        return el_manifest_object_get(body, &got.object);
    case EL_MANIFEST_PART:
        return el_manifest_part_get(body, &got.part);
    case EL_MANIFEST_KEY:
        return el_manifest_key_get(body, &got.key);
    case EL_MANIFEST_REDACTION:
        return el_manifest_redaction_get(body, &got.redaction);
    case EL_MANIFEST_TREE:
        return el_manifest_tree_get(body, &got.tree);
    case EL_MANIFEST_RETIRED:
        return el_manifest_retired_get(body, &got.retired);
    }
    return 0;
}

/* Cut at every byte, a byte too long, and with each lie, the record is refused. */
static void refuse(uint32_t tag, const struct lie *lies, size_t count)
{
    size_t len = 0;
    uint8_t *good = body_of(tag, &len);
    assert_int_equal(get_any(tag, good, len), 0);
    for (size_t cut = 0; cut < len; cut++) {
        if (tag == EL_MANIFEST_KEY && cut > 16) {
            continue; /* its bytes are known by their number alone */
        }
        uint8_t *p = el_memdup(good, cut);
        assert_int_equal(get_any(tag, p, cut), EVLOG_ERR_CORRUPT);
        el_free(p);
    }
    uint8_t *longer = el_calloc(1, len + 1);
    memcpy(longer, good, len);
    assert_int_equal(get_any(tag, longer, len + 1), EVLOG_ERR_CORRUPT);
    el_free(longer);
    for (size_t i = 0; i < count; i++) {
        uint8_t *p = el_memdup(good, len);
        for (uint32_t k = 0; k < lies[i].len; k++) {
            p[lies[i].pos + k] = (uint8_t)(lies[i].value >> (8 * k));
        }
        assert_int_equal(get_any(tag, p, len), EVLOG_ERR_CORRUPT);
        el_free(p);
    }
    el_free(good);
}
#define REFUSE(tag, ...)                                                                                               \
    do {                                                                                                               \
        static const struct lie lies_of_it[] = {__VA_ARGS__};                                                          \
        refuse(tag, lies_of_it, sizeof(lies_of_it) / sizeof(lies_of_it[0]));                                           \
    } while (0)

TEST(archive_manifest, records_out_of_range_are_refused)
{
    REFUSE(EL_MANIFEST_TREE, {0, 8, 7}, {0, 8, 1ull << 41 | 1}, {0, 8, UINT64_MAX});
    REFUSE(EL_MANIFEST_KEY, {0, 4, 0}, {4, 4, 2});
    REFUSE(EL_MANIFEST_TOPIC, {16, 1, 2}, {17, 1, 2}, {18, 2, 0}, {18, 2, 7}, {20, 4, 0},
           {20, 4, EL_PARTITION_COUNT_MAX + 1}, {24, 4, 5}, {24, 4, UINT32_MAX}, {28, 4, 1}, {42, 1, 0});
    REFUSE(EL_MANIFEST_PARTITION, {16, 4, UINT32_MAX}, {16, 4, EL_PARTITION_COUNT_MAX}, {20, 4, 1}, {24, 8, UINT64_MAX},
           {24, 8, 31}, {24, 8, 25}, {32, 8, UINT64_MAX}, {40, 8, UINT64_MAX}, {56, 8, 7}, {56, 8, 24});
    REFUSE(EL_MANIFEST_OBJECT, {0, 8, 0}, {8, 4, 0}, {8, 4, 3}, {8, 4, EL_PACK_SEGMENT}, {12, 4, 0}, {12, 4, 4},
           {12, 4, EL_OBJECT_REPLACED}, {16, 4, 10000}, {20, 4, 0}, {20, 4, EL_PACK_PARTS_MAX + 1}, {24, 1, 1},
           {40, 4, 1}, {44, 4, 1}, {48, 8, 0}, {56, 8, EL_PACK_LEN_MAX + 1}, {56, 8, 400}, {64, 8, 1});
    REFUSE(EL_MANIFEST_PART, {48, 8, 0}, {20, 4, 0}, {16, 4, UINT32_MAX});
    REFUSE(EL_MANIFEST_REDACTION, {16, 4, UINT32_MAX}, {20, 4, 9}, {20, 4, UINT32_MAX}, {24, 8, 9}, {24, 8, UINT64_MAX},
           {32, 8, 5});
    REFUSE(EL_MANIFEST_RETIRED, {16, 4, UINT32_MAX}, {16, 4, EL_PARTITION_COUNT_MAX}, {20, 4, 1}, {24, 8, 0},
           {24, 8, 5}, {24, 8, UINT64_MAX}, {32, 8, 6000000}, {32, 8, UINT64_MAX}, {40, 8, 11}, {40, 8, 0}, {48, 8, 8},
           {48, 8, UINT64_MAX}, {56, 8, 0}, {56, 8, 7}, {56, 8, 10});
}

TEST(archive_manifest, keys_of_known_kinds_have_their_length)
{
    size_t len = 0;
    uint8_t *p = body_of(EL_MANIFEST_KEY, &len);
    assert_int_equal(get_any(EL_MANIFEST_KEY, p, len - 1), EVLOG_ERR_CORRUPT);
    p[0] = 9; /* a kind of tomorrow is handed out as it is */
    assert_int_equal(get_any(EL_MANIFEST_KEY, p, len - 1), 0);
    el_free(p);
}

TEST(archive_manifest, headers_out_of_range_are_refused)
{
    static const struct lie lies[] = {
        {0, 1, 'e'},          {8, 4, 0},
        {12, 4, 2},           {12, 4, EL_MANIFEST_FULL},
        {32, 8, 0},           {32, 8, 2},
        {32, 8, 67},          {32, 8, UINT64_MAX},
        {40, 8, 0},           {40, 8, 6},
        {40, 8, 7},           {96, 1, 0xab /* below: its own */},
        {112, 8, 0},          {112, 8, UINT64_MAX},
        {152, 8, 4},          {160, 4, UINT32_MAX},
        {164, 4, UINT32_MAX}, {168, 1, 1},
        {255, 1, 1},
    };
    struct el_buffer out = {0};
    struct el_manifest_header h, got;
    make(&out, &h);
    assert_int_equal(el_manifest_header_get(out.data, out.len, &got), 0);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint8_t *p = el_memdup(out.data, out.len);
        for (uint32_t k = 0; k < lies[i].len; k++) {
            p[lies[i].pos + k] = (uint8_t)(lies[i].value >> (8 * k));
        }
        if (lies[i].pos == 96) {
            memcpy(p + 96, p + 16, 16);
        }
        assert_int_equal(el_manifest_header_get(p, out.len, &got), EVLOG_ERR_CORRUPT);
        el_free(p);
    }
    memset(out.data + 64, 0, 32); /* only the first has none before it */
    assert_int_equal(el_manifest_header_get(out.data, out.len, &got), EVLOG_ERR_CORRUPT);
    out.data[64] = 1;
    memset(out.data + 96, 0, 16); /* no parent, but its root */
    assert_int_equal(el_manifest_header_get(out.data, out.len, &got), EVLOG_ERR_CORRUPT);
    memset(out.data + 96, 0, 56);
    assert_int_equal(el_manifest_header_get(out.data, out.len, &got), 0);
    out.data[8] = 2;
    assert_int_equal(el_manifest_header_get(out.data, out.len, &got), EVLOG_ERR_FORMAT);
    el_buffer_free(&out);
}

TEST(archive_manifest, a_manifest_that_ends_anywhere_else_is_refused)
{
    struct el_buffer out = {0};
    struct el_manifest_header h, got;
    make(&out, &h);
    for (size_t cut = 0; cut < out.len; cut++) {
        uint8_t *p = el_memdup(out.data, cut);
        assert_int_equal(el_manifest_header_get(p, cut, &got), EVLOG_ERR_TRUNCATED);
        el_free(p);
    }
    el_buffer_append(&out, "\0\0\0\0\0\0\0", 8);
    assert_int_equal(el_manifest_header_get(out.data, out.len, &got), EVLOG_ERR_CORRUPT);
    el_buffer_free(&out);
}

TEST(archive_manifest, unknown_records_are_passed_over_only_when_they_say_so)
{
    uint8_t *p = el_calloc(1, 24);
    struct el_manifest_record record;
    size_t pos = 0;
    el_put_le32(p, 9);
    el_put_le32(p + 4, 9);
    assert_int_equal(el_manifest_next(p, 24, &pos, &record), EVLOG_ERR_FORMAT);
    assert_int_equal(pos, 0);
    el_put_le32(p, 0);
    assert_int_equal(el_manifest_next(p, 24, &pos, &record), EVLOG_ERR_FORMAT);
    el_put_le32(p, 9 | 1u << 31);
    assert_int_equal(el_manifest_next(p, 24, &pos, &record), 1);
    assert_int_equal(record.body.len, 9);
    assert_int_equal(pos, 24);
    assert_int_equal(el_manifest_next(p, 24, &pos, &record), 0);
    pos = 0;
    p[17] = 1; /* padding that says something */
    assert_int_equal(el_manifest_next(p, 24, &pos, &record), EVLOG_ERR_CORRUPT);
    el_put_le32(p + 4, 17); /* longer than what there is */
    assert_int_equal(el_manifest_next(p, 24, &pos, &record), EVLOG_ERR_CORRUPT);
    el_put_le32(p + 4, UINT32_MAX);
    assert_int_equal(el_manifest_next(p, 24, &pos, &record), EVLOG_ERR_CORRUPT);
    pos = 20; /* half a head */
    assert_int_equal(el_manifest_next(p, 24, &pos, &record), EVLOG_ERR_CORRUPT);
    el_free(p);
}

TEST(archive_manifest, is_read_as_it_was_written)
{
    struct el_buffer out = {0};
    struct el_manifest_header h, got;
    struct el_manifest_record r[9];
    size_t pos = EL_MANIFEST_HEADER_LEN, count = 0;
    make(&out, &h);
    assert_int_equal(h.record_count, 8);
    assert_int_equal(el_manifest_header_get(out.data, out.len, &got), 0);
    assert_memory_equal(&got.incarnation, &incarnation, 16);
    assert_memory_equal(&got.parent, &parent, 16);
    assert_int_equal(got.kind, EL_MANIFEST_DELTA);
    assert_int_equal(got.sequence, 6);
    assert_int_equal(got.full_sequence, 2);
    assert_int_equal(got.cut_ns, 77);
    assert_int_equal(got.made_ms, 78);
    assert_int_equal(got.parent_sequence, 44);
    assert_int_equal(got.leader_epoch, 3);
    assert_int_equal(got.record_count, 8);
    while (count < 9 && el_manifest_next(out.data, out.len, &pos, &r[count]) == 1) {
        assert_int_equal(el_manifest_tag_rank(r[count].tag), (int)count);
        count++;
    }
    assert_int_equal(count, 8);
    struct el_frontier tree;
    struct el_manifest_key key;
    struct el_manifest_topic topic;
    struct el_manifest_partition partition;
    struct el_manifest_object object;
    struct el_archive_part part;
    struct el_manifest_redaction redaction;
    struct el_manifest_retired retired;
    assert_int_equal(el_manifest_retired_get(r[4].body, &retired), 0);
    assert_memory_equal(&retired, &good_retired, sizeof(retired));
    assert_int_equal(el_manifest_tree_get(r[0].body, &tree), 0);
    assert_memory_equal(&tree, &good_tree, sizeof(tree));
    assert_int_equal(el_manifest_key_get(r[1].body, &key), 0);
    assert_true(el_slice_eq(key.bytes, good_key.bytes));
    assert_int_equal(key.changed_ms, 4);
    assert_int_equal(el_manifest_topic_get(r[2].body, &topic), 0);
    assert_true(el_uuid_eq(&topic.id, &topic_id));
    assert_true(el_slice_eq(topic.name, good_topic.name));
    assert_true(el_slice_eq(topic.settings, good_topic.settings));
    assert_true(topic.internal);
    assert_false(topic.deleted);
    assert_int_equal(el_manifest_partition_get(r[3].body, &partition), 0);
    assert_int_equal(partition.end_offset, 30);
    assert_int_equal(partition.log_start, 12);
    assert_int_equal(partition.last_append_ns, 99);
    assert_memory_equal(&partition.tree, &good_partition.tree, sizeof(partition.tree));
    assert_int_equal(el_manifest_object_get(r[5].body, &object), 0);
    assert_int_equal(object.number, 8);
    assert_int_equal(object.len, 1000);
    assert_memory_equal(object.sha256, good_bundle.sha256, 32);
    assert_int_equal(el_manifest_part_get(r[6].body, &part), 0);
    assert_int_equal(part.object, 8);
    assert_int_equal(el_manifest_redaction_get(r[7].body, &redaction), 0);
    assert_true(el_slice_eq(redaction.reason, good_redaction.reason));
    el_buffer_free(&out);
}

TEST_TORTURE(archive_manifest, memory_that_runs_out_is_reported_by_the_seal)
{
    struct el_buffer out = {0};
    struct el_manifest_header h = good_header();
    put_all(&out);
    int code = el_manifest_seal(&out, &h);
    assert_true(code == 0 || (code == EVLOG_ERR_NO_MEMORY && el_test_failing()));
    el_buffer_free(&out);
}
