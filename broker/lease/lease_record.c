/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of __evlog_groups; all numbers little-endian.
 *
 *   key      u8 version 1, u8 kind, u16 length of the group id, group id
 *            all but 1, 8: then topic id (16), i32 partition
 *            kind 3, 5, 6, 10: then i64 number of the block, or offset
 *            kind 8:       then i64 id of the redrive
 *            kind 9:       then topic id (16) and i32 partition of the dead letters
 *            kind 4:       then the event's key to the end
 *   part     u8 version 1, u8 0, u16 intent count, i32 next sequence, i64 start, i64 producer id, then for each intent:
 *            i64 offset, topic id (16), i32 partition, i32 sequence, i32 attempts, u32 reason
 *   parked   u8 version 1, 7 zero bytes, i64 offset, i64 time
 *   emits    u8 version 1, u8 0 or 1, u16 batch count, u32 event count, where it is 1: u64 place, at least 1; then i64
 *            offset of each event, then for each batch: topic id (16), i32 partition, u32 length, the batch with its
 *            producer id and sequence
 *   base     u8 version 1, 7 zero bytes, i64 base
 *   mark     u8 version 1, 7 zero bytes, u64 id of the redrive, i64 letter
 *
 * Values of settings, blocks and stories are made elsewhere (control.c, lease_set.c, lease_story.c,
 * redrive_record.c, lease_letters.c).
 */
#include <lease/lease_record.h>

#include <core/assert.h>
#include <evlog/error.h>
#include <lease/lease_table.h>

#define INTENT_LEN 40u
#define BLOCK_NUMBER_MAX (INT64_MAX >> LEASE_BLOCK_BITS)

/* --- key ---------------------------------------------------------------------------------------------------------- */

static bool has_number(enum lease_record_kind kind)
{
    return kind == LEASE_RECORD_BLOCK || kind == LEASE_RECORD_STORY || kind == LEASE_RECORD_EMITS ||
           kind == LEASE_RECORD_LETTERS;
}

static bool has_part(enum lease_record_kind kind)
{
    return kind != LEASE_RECORD_SETTINGS && kind != LEASE_RECORD_REDRIVE;
}

static bool is_known(uint8_t kind)
{
    return kind >= LEASE_RECORD_SETTINGS && kind <= LEASE_RECORD_LETTERS;
}

/* One that has a next one. */
static bool is_offset(int64_t offset)
{
    return offset >= 0 && offset < INT64_MAX;
}

static bool number_fits(enum lease_record_kind kind, int64_t number)
{
    bool of_block = kind == LEASE_RECORD_BLOCK || kind == LEASE_RECORD_LETTERS;
    return is_offset(number) && (!of_block || number <= BLOCK_NUMBER_MAX);
}

size_t lease_record_key_len(const struct lease_record_key *key)
{
    size_t len = 4 + key->group_id.len;
    if (!has_part(key->kind)) {
        return len + (key->kind == LEASE_RECORD_REDRIVE ? 8 : 0);
    }
    return len + 20 + (key->kind == LEASE_RECORD_MARK ? 20 : 0) + (has_number(key->kind) ? 8 : 0) +
           (key->kind == LEASE_RECORD_PARKED ? key->key.len : 0);
}

void lease_record_key_encode(struct el_writer *w, const struct lease_record_key *key)
{
    el_write_u8(w, LEASE_RECORD_VERSION);
    el_write_u8(w, (uint8_t)key->kind);
    el_write_le16(w, (uint16_t)key->group_id.len);
    el_write_bytes(w, key->group_id.data, key->group_id.len);
    if (key->kind == LEASE_RECORD_REDRIVE) {
        el_write_le64(w, (uint64_t)key->number);
    }
    if (!has_part(key->kind)) {
        return;
    }
    el_write_bytes(w, key->topic_id.bytes, sizeof key->topic_id.bytes);
    el_write_le32(w, (uint32_t)key->partition);
    if (has_number(key->kind)) {
        el_write_le64(w, (uint64_t)key->number);
    } else if (key->kind == LEASE_RECORD_PARKED) {
        el_write_bytes(w, key->key.data, key->key.len);
    } else if (key->kind == LEASE_RECORD_MARK) {
        el_write_bytes(w, key->dead_id.bytes, sizeof key->dead_id.bytes);
        el_write_le32(w, (uint32_t)key->dead_partition);
    }
}

static void read_part(struct el_reader *r, struct el_uuid *topic_id, int32_t *partition)
{
    const uint8_t *id = el_read_bytes(r, sizeof topic_id->bytes);
    if (id != NULL) {
        memcpy(topic_id->bytes, id, sizeof topic_id->bytes);
    }
    *partition = (int32_t)el_read_le32(r);
}

int lease_record_key_decode(struct el_slice data, struct lease_record_key *out)
{
    struct el_reader r;
    struct lease_record_key key = {.kind = LEASE_RECORD_SETTINGS};
    el_reader_init(&r, data.data, data.len);
    uint8_t version = el_read_u8(&r), kind = el_read_u8(&r);
    if (r.err == 0 && (version != LEASE_RECORD_VERSION || !is_known(kind))) {
        return EVLOG_ERR_FORMAT;
    }
    key.kind = (enum lease_record_kind)kind;
    key.group_id.len = el_read_le16(&r);
    key.group_id.data = el_read_bytes(&r, key.group_id.len);
    if (has_part(key.kind)) {
        read_part(&r, &key.topic_id, &key.partition);
    }
    if (has_number(key.kind) || key.kind == LEASE_RECORD_REDRIVE) {
        key.number = (int64_t)el_read_le64(&r);
    }
    if (key.kind == LEASE_RECORD_MARK) {
        read_part(&r, &key.dead_id, &key.dead_partition);
    }
    if (key.kind == LEASE_RECORD_PARKED && r.err == 0) {
        key.key.len = el_reader_left(&r);
        key.key.data = el_read_bytes(&r, key.key.len);
    }
    bool good = r.err == 0 && el_reader_left(&r) == 0 && key.group_id.len > 0 &&
                key.group_id.len <= LEASE_GROUP_ID_LEN_MAX && key.partition >= 0 && number_fits(key.kind, key.number) &&
                key.dead_partition >= 0;
    if (!good) {
        return EVLOG_ERR_CORRUPT;
    }
    *out = key;
    return 0;
}

/* --- part --------------------------------------------------------------------------------------------------------- */

static void intent_encode(struct el_writer *w, const struct lease_intent *intent)
{
    el_write_le64(w, (uint64_t)intent->offset);
    el_write_bytes(w, intent->topic_id.bytes, sizeof intent->topic_id.bytes);
    el_write_le32(w, (uint32_t)intent->partition);
    el_write_le32(w, (uint32_t)intent->sequence);
    el_write_le32(w, (uint32_t)intent->attempts);
    el_write_le32(w, intent->reason);
}

void lease_record_part_encode(struct el_writer *w, const struct lease_record_part *part)
{
    el_write_u8(w, LEASE_RECORD_VERSION);
    el_write_u8(w, 0);
    el_write_le16(w, (uint16_t)part->intent_count);
    el_write_le32(w, (uint32_t)part->next_sequence);
    el_write_le64(w, (uint64_t)part->start);
    el_write_le64(w, (uint64_t)part->producer_id);
    for (uint32_t i = 0; i < part->intent_count; i++) {
        intent_encode(w, &part->intents[i]);
    }
}

static bool intent_decode(struct el_reader *r, struct lease_intent *intent)
{
    intent->offset = (int64_t)el_read_le64(r);
    const uint8_t *id = el_read_bytes(r, sizeof intent->topic_id.bytes);
    if (id == NULL) {
        return false;
    }
    memcpy(intent->topic_id.bytes, id, sizeof intent->topic_id.bytes);
    intent->partition = (int32_t)el_read_le32(r);
    intent->sequence = (int32_t)el_read_le32(r);
    intent->attempts = (int32_t)el_read_le32(r);
    uint32_t reason = el_read_le32(r);
    intent->reason = (uint8_t)reason;
    return r->err == 0 && is_offset(intent->offset) && intent->partition >= 0 && intent->sequence >= 0 &&
           intent->attempts >= 0 && reason <= UINT8_MAX;
}

int lease_record_part_decode(struct el_slice data, struct lease_record_part *out)
{
    struct el_reader r;
    struct lease_record_part part = {0};
    el_reader_init(&r, data.data, data.len);
    uint8_t version = el_read_u8(&r);
    if (r.err == 0 && version != LEASE_RECORD_VERSION) {
        return EVLOG_ERR_FORMAT;
    }
    el_read_u8(&r);
    part.intent_count = el_read_le16(&r);
    part.next_sequence = (int32_t)el_read_le32(&r);
    part.start = (int64_t)el_read_le64(&r);
    part.producer_id = (int64_t)el_read_le64(&r);
    if (r.err != 0 || part.intent_count > LEASE_INTENTS_MAX || !is_offset(part.start) || part.producer_id < -1 ||
        part.next_sequence < 0 || el_reader_left(&r) != (size_t)part.intent_count * INTENT_LEN) {
        return EVLOG_ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < part.intent_count; i++) {
        if (!intent_decode(&r, &part.intents[i])) {
            return EVLOG_ERR_CORRUPT;
        }
    }
    *out = part;
    return 0;
}

/* --- parked key --------------------------------------------------------------------------------------------------- */

void lease_record_parked_encode(struct el_writer *w, const struct lease_record_parked *parked)
{
    el_write_le64(w, LEASE_RECORD_VERSION);
    el_write_le64(w, (uint64_t)parked->offset);
    el_write_le64(w, (uint64_t)parked->time_ms);
}

int lease_record_parked_decode(struct el_slice data, struct lease_record_parked *out)
{
    if (data.len != LEASE_RECORD_PARKED_LEN) {
        return EVLOG_ERR_CORRUPT;
    }
    if (el_get_le64(data.data) != LEASE_RECORD_VERSION) {
        return EVLOG_ERR_FORMAT;
    }
    struct lease_record_parked parked = {(int64_t)el_get_le64(data.data + 8), (int64_t)el_get_le64(data.data + 16)};
    if (!is_offset(parked.offset)) {
        return EVLOG_ERR_CORRUPT;
    }
    *out = parked;
    return 0;
}

/* --- emits -------------------------------------------------------------------------------------------------------- */

void lease_record_emits_begin(struct el_writer *w, uint64_t place, uint32_t batch_count, const int64_t *offsets,
                              uint32_t event_count)
{
    EL_ASSERT(event_count > 0);
    EL_ASSERT(event_count <= LEASE_EMITS_EVENTS_MAX);
    EL_ASSERT(batch_count > 0);
    EL_ASSERT(batch_count <= LEASE_EMITS_BATCHES_MAX);
    el_write_u8(w, LEASE_RECORD_VERSION);
    el_write_u8(w, place != 0);
    el_write_le16(w, (uint16_t)batch_count);
    el_write_le32(w, event_count);
    if (place != 0) {
        el_write_le64(w, place);
    }
    for (uint32_t i = 0; i < event_count; i++) {
        el_write_le64(w, (uint64_t)offsets[i]);
    }
}

void lease_record_emits_batch_head(struct el_writer *w, const struct el_uuid *topic_id, int32_t partition, uint32_t len)
{
    el_write_bytes(w, topic_id->bytes, sizeof topic_id->bytes);
    el_write_le32(w, (uint32_t)partition);
    el_write_le32(w, len);
}

int64_t lease_record_emits_offset(const struct lease_record_emits *emits, uint32_t i)
{
    EL_ASSERT(i < emits->event_count);
    return (int64_t)el_get_le64(emits->offsets + (size_t)i * 8);
}

/* The batch behind the next head. returns false: it is not one that may be appended */
static bool emits_batch_decode(struct el_reader *r, struct lease_record_emits_batch *out, const uint8_t **batch)
{
    const uint8_t *id = el_read_bytes(r, sizeof out->topic_id.bytes);
    int32_t partition = (int32_t)el_read_le32(r);
    uint32_t len = el_read_le32(r);
    *batch = len > EL_BATCH_LEN_MAX ? NULL : el_read_bytes(r, len);
    if (r->err != 0 || *batch == NULL || partition < 0) {
        return false;
    }
    memcpy(out->topic_id.bytes, id, sizeof out->topic_id.bytes);
    out->partition = partition;
    return el_batch_check(*batch, len, EL_BATCH_LEN_MAX, NULL, 0, &out->info) == 0 &&
           out->info.attributes == EL_CODEC_NONE && out->info.producer_id >= 0 && out->info.producer_epoch == 0 &&
           out->info.base_sequence >= 0;
}

int lease_record_emits_decode(struct el_slice data, struct lease_record_emits *out)
{
    struct el_reader r;
    struct lease_record_emits emits = {.begin = data.data};
    int64_t before = -1;
    el_reader_init(&r, data.data, data.len);
    uint8_t version = el_read_u8(&r), placed = el_read_u8(&r);
    if (r.err == 0 && version != LEASE_RECORD_VERSION) {
        return EVLOG_ERR_FORMAT;
    }
    emits.batch_count = el_read_le16(&r);
    emits.event_count = el_read_le32(&r);
    emits.place = placed == 1 ? el_read_le64(&r) : 0;
    if (r.err != 0 || placed > 1 || placed != (emits.place != 0) || emits.event_count == 0 ||
        emits.event_count > LEASE_EMITS_EVENTS_MAX || emits.batch_count == 0 ||
        emits.batch_count > LEASE_EMITS_BATCHES_MAX) {
        return EVLOG_ERR_CORRUPT;
    }
    emits.offsets = el_read_bytes(&r, (size_t)emits.event_count * 8);
    for (uint32_t i = 0; i < emits.event_count && emits.offsets != NULL; i++) {
        int64_t offset = lease_record_emits_offset(&emits, i);
        if (offset <= before || !is_offset(offset)) {
            return EVLOG_ERR_CORRUPT;
        }
        before = offset;
    }
    emits.batches = r;
    for (uint32_t i = 0; i < emits.batch_count; i++) {
        struct lease_record_emits_batch batch = {0};
        const uint8_t *bytes;
        if (!emits_batch_decode(&r, &batch, &bytes)) {
            return EVLOG_ERR_CORRUPT;
        }
    }
    if (r.err != 0 || el_reader_left(&r) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    *out = emits;
    return 0;
}

void lease_record_emits_next(struct lease_record_emits *emits, struct lease_record_emits_batch *batch)
{
    const uint8_t *bytes;
    bool good = emits_batch_decode(&emits->batches, batch, &bytes);
    EL_ASSERT(good); /* lease_record_emits_decode() has seen it */
    batch->pos = (uint32_t)(bytes - emits->begin);
}

/* --- events that come back ---------------------------------------------------------------------------------------- */

void lease_record_base_encode(struct el_writer *w, int64_t base)
{
    el_write_le64(w, LEASE_RECORD_VERSION);
    el_write_le64(w, (uint64_t)base);
}

int lease_record_base_decode(struct el_slice data, int64_t *out)
{
    if (data.len != LEASE_RECORD_BASE_LEN) {
        return EVLOG_ERR_CORRUPT;
    }
    if (el_get_le64(data.data) != LEASE_RECORD_VERSION) {
        return EVLOG_ERR_FORMAT;
    }
    int64_t base = (int64_t)el_get_le64(data.data + 8);
    if (!is_offset(base)) {
        return EVLOG_ERR_CORRUPT;
    }
    *out = base;
    return 0;
}

void lease_record_mark_encode(struct el_writer *w, const struct lease_record_mark *mark)
{
    el_write_le64(w, LEASE_RECORD_VERSION);
    el_write_le64(w, mark->task);
    el_write_le64(w, (uint64_t)mark->letter);
}

int lease_record_mark_decode(struct el_slice data, struct lease_record_mark *out)
{
    if (data.len != LEASE_RECORD_MARK_LEN) {
        return EVLOG_ERR_CORRUPT;
    }
    if (el_get_le64(data.data) != LEASE_RECORD_VERSION) {
        return EVLOG_ERR_FORMAT;
    }
    struct lease_record_mark mark = {el_get_le64(data.data + 8), (int64_t)el_get_le64(data.data + 16)};
    if (!is_offset(mark.letter)) {
        return EVLOG_ERR_CORRUPT;
    }
    *out = mark;
    return 0;
}
