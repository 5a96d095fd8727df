/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is read of an event, and what a dead letter keeps of it, is what the event says, whatever its batch looks
 * like. Method: batches made here, looked at byte for byte.
 */
#include <core/cbor.h>
#include <lease/lease_decode.h>
#include <lease/lease_letter.h>
#include <lease/lease_record.h>
#include <stdio.h>
#include <test.h>

#define BASE 100

static uint8_t batch_buf[4096];

/* Events with keys "k0", "k1" ..., the second one without, and one header each. */
static struct el_slice batch_of(uint32_t count, const char *header, const char *header_value)
{
    struct el_batch_builder builder;
    struct el_slice batch;
    struct el_header headers[] = {{el_slice_str("evlog-dlq-error"), el_slice_str("of an earlier death")},
                                  {el_slice_str(header), el_slice_str(header_value)}};
    el_batch_builder_init_fixed(&builder, batch_buf, sizeof batch_buf);
    for (uint32_t i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        struct el_record_body body = {.key = i == 1 ? (struct el_slice){0} : el_slice_str(key),
                                      .value = el_slice_str("value"),
                                      .headers = headers,
                                      .header_count = 2};
        assert_int_equal(el_batch_builder_add(&builder, 5000 + i, &body), 0);
    }
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    el_batch_assign(batch_buf, BASE, 0);
    return batch;
}

/* --- looking at events -------------------------------------------------------------------------------------------- */

static int64_t not_before(const char *value)
{
    struct el_slice batch = batch_of(1, LEASE_NOT_BEFORE_HEADER, value);
    struct el_batch_iter iter;
    struct el_batch_record record;
    assert_int_equal(el_batch_open(&iter, batch.data, batch.len, NULL, 0), 0);
    assert_int_equal(el_batch_next(&iter, &record), 1);
    return lease_not_before_ms(&record.record);
}

TEST(lease_decode, a_not_before_that_is_no_time_holds_nothing_back)
{
    static const char *const bad[] = {"",    "soon", "-5",  "12x",         "1234567890123456789012",
                                      "now", "-1h",  "1.5", "today 14:00", "2026-13-01T00:00:00Z"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(not_before(bad[i]), 0);
    }
}

TEST(lease_decode, a_not_before_is_ms_or_rfc_3339)
{
    assert_int_equal(not_before("1772366400123"), 1772366400123);
    assert_int_equal(not_before("2026-03-01T12:00:00Z"), 1772366400000);
    assert_int_equal(not_before("2026-03-01T13:00:00.5+01:00"), 1772366400500);
}

static struct lease_decode decode_of(struct el_slice batch, struct read_entry *entry, struct lease_record *records,
                                     uint32_t max)
{
    *entry = (struct read_entry){.append_time_ns = 77000000, .len = (uint32_t)batch.len};
    return (struct lease_decode){.data = batch.data,
                                 .entries = entry,
                                 .entry_count = 1,
                                 .from = BASE,
                                 .next_offset = BASE + 4,
                                 .records = records,
                                 .record_max = max};
}

TEST(lease_decode, a_damaged_batch_ends_the_look_in_front_of_it)
{
    struct read_entry entry;
    struct lease_record records[4];
    struct lease_decode decode = decode_of(batch_of(4, "h", "v"), &entry, records, 4);
    batch_buf[EL_BATCH_HEADER_LEN] = 0x7f; /* the first record's length */
    assert_int_equal(lease_decode_run(&decode), EVLOG_ERR_INVALID_RECORD);
    assert_int_equal(decode.end, BASE);
}

TEST(lease_decode, goes_on_where_there_was_no_more_room)
{
    struct read_entry entry;
    struct lease_record records[3];
    struct lease_decode decode = decode_of(batch_of(4, "h", "v"), &entry, records, 3);
    bool small;
    assert_int_equal(lease_decode_measure(&decode, &small), 4);
    assert_true(small);
    assert_int_equal(lease_decode_run(&decode), 0);
    assert_int_equal(decode.record_count, 3);
    assert_int_equal(decode.end, BASE + 3);
    assert_int_equal(records[0].key_hash, lease_key_hash(el_slice_str("k0")));
    assert_int_equal(records[1].key_hash, 0);
    assert_int_equal(records[2].offset, BASE + 2);
    assert_int_equal(records[2].append_ms, 77);
    decode.from = decode.end;
    assert_int_equal(lease_decode_run(&decode), 0);
    assert_int_equal(decode.record_count, 1);
    assert_int_equal(records[0].offset, BASE + 3);
    assert_int_equal(decode.end, decode.next_offset);
}

/* --- dead letters ------------------------------------------------------------------------------------------------- */

static uint8_t letter_buf[4096];

static struct lease_letter letter_of(struct el_slice batch, int64_t offset)
{
    return (struct lease_letter){.data = batch.data,
                                 .len = batch.len,
                                 .offset = offset,
                                 .now_ms = 9000,
                                 .topic = el_slice_str("orders"),
                                 .partition = 3,
                                 .group = el_slice_str("mail"),
                                 .attempts = 4,
                                 .death = LEASE_DEATH_EXHAUSTED,
                                 .error = el_slice_str("no such address"),
                                 .buf = letter_buf,
                                 .buf_len = sizeof letter_buf};
}

static void expect(const struct el_record *record, const char *name, const char *value)
{
    struct el_slice found;
    assert_true(el_header_find(record, name, &found));
    assert_int_equal(found.len, strlen(value));
    assert_memory_equal(found.data, value, found.len);
}

TEST(lease_letter, an_event_that_is_not_there_makes_none)
{
    struct lease_letter letter = letter_of(batch_of(2, "h", "v"), BASE + 2);
    assert_int_equal(lease_letter_build(&letter), EVLOG_ERR_NOT_FOUND);
    letter.len = 0;
    assert_int_equal(lease_letter_build(&letter), EVLOG_ERR_NOT_FOUND);
}

TEST(lease_letter, says_how_much_room_it_wants)
{
    struct lease_letter letter = letter_of(batch_of(1, "h", "v"), BASE);
    letter.buf_len = EL_BATCH_HEADER_LEN + 10;
    assert_int_equal(lease_letter_build(&letter), EVLOG_ERR_LIMIT);
    size_t wanted = letter.wanted_len;
    letter.buf_len = wanted - 1;
    assert_int_equal(lease_letter_build(&letter), EVLOG_ERR_LIMIT);
    letter.buf_len = wanted;
    assert_int_equal(lease_letter_build(&letter), 0);
}

TEST(lease_letter, keeps_the_event_and_tells_its_end)
{
    struct lease_letter letter = letter_of(batch_of(3, "h", "v"), BASE + 2);
    struct el_batch_origin origin = {.producer_id = 5, .base_sequence = 7};
    struct el_batch_iter iter;
    struct el_batch_record record;
    struct el_slice batch;
    assert_int_equal(lease_letter_build(&letter), 0);
    assert_true(el_slice_eq(letter.key, el_slice_str("k2")));
    assert_int_equal(el_batch_builder_finish(&letter.builder, EL_CODEC_NONE, &origin, &batch), 0);
    assert_int_equal(el_batch_open(&iter, batch.data, batch.len, NULL, 0), 0);
    assert_int_equal(iter.info.producer_id, 5);
    assert_int_equal(iter.info.base_sequence, 7);
    assert_int_equal(el_batch_next(&iter, &record), 1);
    assert_true(el_slice_eq(record.record.key, el_slice_str("k2")));
    assert_true(el_slice_eq(record.record.value, el_slice_str("value")));
    expect(&record.record, "h", "v");
    expect(&record.record, "evlog-dlq-topic", "orders");
    expect(&record.record, "evlog-dlq-partition", "3");
    expect(&record.record, "evlog-dlq-offset", "102");
    expect(&record.record, "evlog-dlq-timestamp", "5002");
    expect(&record.record, "evlog-dlq-group", "mail");
    expect(&record.record, "evlog-dlq-attempts", "4");
    expect(&record.record, "evlog-dlq-reason", "exhausted");
    expect(&record.record, "evlog-dlq-error", "no such address");
    assert_int_equal(record.record.header_count, 9); /* that of the earlier death is gone */
}

TEST(lease_letter, finds_an_event_in_a_batch_that_compresses_well)
{
    static const enum el_codec codecs[] = {EL_CODEC_GZIP, EL_CODEC_SNAPPY, EL_CODEC_LZ4, EL_CODEC_ZSTD};
    static uint8_t value[200000], buf[300000];
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        struct el_batch_builder builder;
        struct el_slice batch;
        struct el_record_body body = {.key = el_slice_str("k"), .value = el_slice_of(value, sizeof value)};
        el_batch_builder_init(&builder, 4u << 20);
        for (int n = 0; n < 10; n++) {
            assert_int_equal(el_batch_builder_add(&builder, 1, &body), 0);
        }
        assert_int_equal(el_batch_builder_finish(&builder, codecs[i], NULL, &batch), 0);
        struct lease_letter letter = letter_of(batch, 9);
        letter.buf = buf;
        letter.buf_len = sizeof buf;
        assert_int_equal(lease_letter_build(&letter), 0);
        assert_int_equal(letter.builder.record_count, 1);
        el_batch_builder_destroy(&builder);
    }
}

/* --- records ------------------------------------------------------------------------------------------------------ */

TEST(lease_record, refuses_keys_that_are_cut_or_strange)
{
    uint8_t text[LEASE_KEY_LEN_MAX];
    struct el_writer w;
    struct lease_record_key key = {.kind = LEASE_RECORD_STORY, .group_id = el_slice_str("g"), .number = 5}, out;
    el_writer_init(&w, text, sizeof text);
    lease_record_key_encode(&w, &key);
    size_t len = el_writer_len(&w);
    assert_int_equal(len, lease_record_key_len(&key));
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(lease_record_key_decode(el_slice_of(text, i), &out), EVLOG_ERR_CORRUPT);
    }
    assert_int_equal(lease_record_key_decode(el_slice_of(text, len), &out), 0);
    assert_int_equal(out.number, 5);
    text[0] = 2;
    assert_int_equal(lease_record_key_decode(el_slice_of(text, len), &out), EVLOG_ERR_FORMAT);
    text[0] = 1;
    text[1] = 77;
    assert_int_equal(lease_record_key_decode(el_slice_of(text, len), &out), EVLOG_ERR_FORMAT);
}

TEST(lease_record, a_part_comes_back_with_its_intents)
{
    uint8_t text[LEASE_RECORD_PART_LEN_MAX];
    struct el_writer w;
    struct lease_record_part part = {.start = 7, .producer_id = 9, .next_sequence = 3, .intent_count = 2}, out;
    part.intents[0] = (struct lease_intent){.offset = 8, .partition = 1, .sequence = 1, .reason = 1, .attempts = 5};
    part.intents[1] = (struct lease_intent){.offset = 9, .partition = 1, .sequence = 2, .reason = 2, .attempts = 1};
    el_writer_init(&w, text, sizeof text);
    lease_record_part_encode(&w, &part);
    size_t len = el_writer_len(&w);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(lease_record_part_decode(el_slice_of(text, i), &out), EVLOG_ERR_CORRUPT);
    }
    assert_int_equal(lease_record_part_decode(el_slice_of(text, len), &out), 0);
    assert_int_equal(out.intents[1].offset, 9);
    assert_int_equal(out.intents[1].reason, 2);
    assert_int_equal(out.next_sequence, 3);
    text[2] = 6; /* more intents than an idempotent producer's window */
    assert_int_equal(lease_record_part_decode(el_slice_of(text, len), &out), EVLOG_ERR_CORRUPT);
}

/* Two batches for two events. returns its length */
static size_t emits_encode(uint8_t *text, size_t room, uint64_t place, uint16_t epoch)
{
    static const int64_t offsets[2] = {5, 9};
    struct el_writer w;
    el_writer_init(&w, text, room);
    lease_record_emits_begin(&w, place, 2, offsets, 2);
    for (int32_t i = 0; i < 2; i++) {
        uint8_t buf[256];
        struct el_batch_builder builder;
        struct el_slice batch;
        struct el_record_body body = {.key = el_slice_str("k"), .value = el_slice_str("v")};
        struct el_batch_origin origin = {
            .producer_id = 7 + i, .producer_epoch = (int16_t)epoch, .base_sequence = 3 * i};
        el_batch_builder_init_fixed(&builder, buf, sizeof buf);
        assert_int_equal(el_batch_builder_add(&builder, 1, &body), 0);
        assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, &origin, &batch), 0);
        lease_record_emits_batch_head(&w, &(struct el_uuid){{1}}, i, (uint32_t)batch.len);
        el_write_bytes(&w, batch.data, batch.len);
    }
    assert_int_equal(w.err, 0);
    return el_writer_len(&w);
}

TEST(lease_record, refuses_emits_that_are_cut_or_spoilt)
{
    uint8_t text[512];
    struct lease_record_emits emits;
    for (uint64_t place = 0; place < 2; place++) {
        size_t len = emits_encode(text, sizeof text, place, 0), offsets = place == 0 ? 8 : 16;
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(lease_record_emits_decode(el_slice_of(text, i), &emits), EVLOG_ERR_CORRUPT);
        }
        assert_int_equal(lease_record_emits_decode(el_slice_of(text, len), &emits), 0);
        text[len - 1] ^= 1; /* of a batch: its checksum */
        assert_int_equal(lease_record_emits_decode(el_slice_of(text, len), &emits), EVLOG_ERR_CORRUPT);
        text[len - 1] ^= 1;
        text[0] = 2;
        assert_int_equal(lease_record_emits_decode(el_slice_of(text, len), &emits), EVLOG_ERR_FORMAT);
        text[0] = 1;
        text[1] = 2;
        assert_int_equal(lease_record_emits_decode(el_slice_of(text, len), &emits), EVLOG_ERR_CORRUPT);
        text[1] = (uint8_t)place;
        text[offsets] = 9; /* offsets that do not rise */
        assert_int_equal(lease_record_emits_decode(el_slice_of(text, len), &emits), EVLOG_ERR_CORRUPT);
        len = emits_encode(text, sizeof text, place, 1); /* an epoch that nobody gave */
        assert_int_equal(lease_record_emits_decode(el_slice_of(text, len), &emits), EVLOG_ERR_CORRUPT);
    }
    size_t len = emits_encode(text, sizeof text, 1, 0);
    text[8] = 0; /* a place that nobody gave */
    assert_int_equal(lease_record_emits_decode(el_slice_of(text, len), &emits), EVLOG_ERR_CORRUPT);
}

TEST(lease_record, emits_come_back_as_batches)
{
    uint8_t text[512];
    struct lease_record_emits emits;
    struct lease_record_emits_batch batch = {0};
    size_t len = emits_encode(text, sizeof text, 77, 0);
    assert_int_equal(lease_record_emits_decode(el_slice_of(text, len), &emits), 0);
    assert_int_equal(emits.place, 77);
    assert_int_equal(emits.event_count, 2);
    assert_int_equal(lease_record_emits_offset(&emits, 1), 9);
    for (int32_t i = 0; i < 2; i++) {
        lease_record_emits_next(&emits, &batch);
        assert_int_equal(batch.partition, i);
        assert_int_equal(batch.info.producer_id, 7 + i);
        assert_int_equal(batch.info.base_sequence, 3 * i);
        assert_int_equal(el_batch_verify(text + batch.pos, batch.info.len), 0);
    }
}
