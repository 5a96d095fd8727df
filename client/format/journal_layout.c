/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding of journal groups, frames and the durable-end mark. Layouts: include/format/journal_layout.h.
 */
#include <format/journal_layout.h>

#include <core/hash.h>
#include <evlog/error.h>

#define ALIGN_SHIFT 12
EL_STATIC_ASSERT(1u << ALIGN_SHIFT == EL_JOURNAL_ALIGN, "the stored alignment is the one used");
EL_STATIC_ASSERT(EL_GROUP_HEADER_LEN % 8 == 0, "frames are 8-aligned");

/* The checksum covers the whole group with its own field taken as zero: header part, zeros, then the frames. */
static uint64_t group_checksum(const uint8_t *group, size_t len)
{
    uint8_t head[EL_GROUP_HEADER_LEN + 8];
    memcpy(head, group, EL_GROUP_HEADER_LEN);
    memset(head + 104, 0, 8);
    el_put_le64(head + EL_GROUP_HEADER_LEN, el_xxh3(group + EL_GROUP_HEADER_LEN, len - EL_GROUP_HEADER_LEN));
    return el_xxh3(head, sizeof(head));
}

void el_group_seal(uint8_t *group, struct el_group_header *h)
{
    EL_ASSERT(h->len >= EL_GROUP_HEADER_LEN);
    EL_ASSERT(h->len <= EL_GROUP_LEN_MAX);
    EL_ASSERT(h->pos % EL_JOURNAL_ALIGN == 0);
    memcpy(group, EL_GROUP_MAGIC, 8);
    el_put_le16(group + 8, EL_JOURNAL_FORMAT);
    el_put_le16(group + 10, ALIGN_SHIFT);
    el_put_le32(group + 12, h->shard);
    el_put_le32(group + 16, h->slot);
    el_put_le32(group + 20, h->frame_count);
    el_put_le64(group + 24, h->pos);
    el_put_le64(group + 32, h->incarnation);
    el_put_le64(group + 40, h->sequence);
    el_put_le32(group + 48, h->len);
    el_put_le32(group + 52, h->node_tag);
    el_put_le64(group + 56, h->durable_through);
    el_put_le64(group + 64, h->append_time_ns);
    el_put_le64(group + 72, h->previous_checksum);
    el_put_le64(group + 80, h->parent_incarnation);
    el_put_le64(group + 88, h->parent_sequence);
    el_put_le64(group + 96, h->boot);
    h->checksum = group_checksum(group, h->len);
    el_put_le64(group + 104, h->checksum);
}

int el_group_open(const uint8_t *data, size_t len, bool whole, struct el_group_header *h)
{
    if (len < EL_GROUP_HEADER_LEN || memcmp(data, EL_GROUP_MAGIC, 8) != 0) {
        return EVLOG_ERR_NOT_FOUND;
    }
    if (el_get_le16(data + 8) > EL_JOURNAL_FORMAT) {
        return EVLOG_ERR_FORMAT;
    }
    *h = (struct el_group_header){
        .shard = el_get_le32(data + 12),
        .slot = el_get_le32(data + 16),
        .frame_count = el_get_le32(data + 20),
        .pos = el_get_le64(data + 24),
        .incarnation = el_get_le64(data + 32),
        .sequence = el_get_le64(data + 40),
        .len = el_get_le32(data + 48),
        .node_tag = el_get_le32(data + 52),
        .durable_through = el_get_le64(data + 56),
        .append_time_ns = el_get_le64(data + 64),
        .previous_checksum = el_get_le64(data + 72),
        .parent_incarnation = el_get_le64(data + 80),
        .parent_sequence = el_get_le64(data + 88),
        .boot = el_get_le64(data + 96),
        .checksum = el_get_le64(data + 104),
    };
    if (el_get_le16(data + 8) != EL_JOURNAL_FORMAT || el_get_le16(data + 10) != ALIGN_SHIFT ||
        h->len < EL_GROUP_HEADER_LEN || h->len > EL_GROUP_LEN_MAX || h->durable_through >= h->sequence ||
        h->sequence == UINT64_MAX) {
        return EVLOG_ERR_CORRUPT;
    }
    if (h->len > len) {
        return EVLOG_ERR_TRUNCATED;
    }
    if (whole && group_checksum(data, h->len) != h->checksum) {
        return EVLOG_ERR_CORRUPT;
    }
    return 0;
}

size_t el_frame_put(uint8_t *p, const struct el_frame *frame)
{
    EL_ASSERT(frame->type >= EL_FRAME_BATCH);
    EL_ASSERT(frame->payload_len == 0 || frame->payload != NULL);
    p[0] = (uint8_t)frame->type;
    p[1] = p[2] = p[3] = 0;
    el_put_le32(p + 4, frame->payload_len);
    memcpy(p + 8, frame->topic_id.bytes, 16);
    el_put_le32(p + 24, (uint32_t)frame->partition);
    el_put_le32(p + 28, (uint32_t)frame->leader_epoch);
    el_put_le64(p + 32, (uint64_t)frame->base_offset);
    el_put_le64(p + 40, frame->append_time_ns);
    memcpy(p + 48, frame->salt, 16);
    if (frame->payload_len > 0) {
        memcpy(p + EL_FRAME_HEADER_LEN, frame->payload, frame->payload_len);
    }
    size_t len = el_frame_len(frame->payload_len);
    memset(p + EL_FRAME_HEADER_LEN + frame->payload_len, 0, len - EL_FRAME_HEADER_LEN - frame->payload_len);
    return len;
}

int el_frame_next(const uint8_t *group, const struct el_group_header *h, size_t *pos, struct el_frame *frame)
{
    if (*pos == h->len) {
        return EVLOG_ERR_NOT_FOUND;
    }
    if (h->len - *pos < EL_FRAME_HEADER_LEN) {
        return EVLOG_ERR_CORRUPT;
    }
    const uint8_t *p = group + *pos;
    uint32_t payload_len = el_get_le32(p + 4);
    if (p[0] < EL_FRAME_BATCH || p[0] > EL_FRAME_PRODUCER_IDS || payload_len > h->len - *pos - EL_FRAME_HEADER_LEN ||
        el_frame_len(payload_len) > h->len - *pos) {
        return EVLOG_ERR_CORRUPT;
    }
    frame->type = (enum el_frame_type)p[0];
    memcpy(frame->topic_id.bytes, p + 8, 16);
    frame->partition = (int32_t)el_get_le32(p + 24);
    frame->leader_epoch = (int32_t)el_get_le32(p + 28);
    frame->base_offset = (int64_t)el_get_le64(p + 32);
    frame->append_time_ns = el_get_le64(p + 40);
    memcpy(frame->salt, p + 48, 16);
    frame->payload = p + EL_FRAME_HEADER_LEN;
    frame->payload_len = payload_len;
    *pos += el_frame_len(payload_len);
    return 0;
}

void el_mark_put(uint8_t *p, uint32_t shard, uint64_t incarnation, uint64_t sequence)
{
    memset(p, 0, EL_MARK_LEN);
    memcpy(p, EL_MARK_MAGIC, 8);
    el_put_le32(p + 8, EL_JOURNAL_FORMAT);
    el_put_le32(p + 12, shard);
    el_put_le64(p + 16, incarnation);
    el_put_le64(p + 24, sequence);
    el_put_le64(p + 56, el_xxh3(p, 56));
}

int el_mark_get(const uint8_t *p, uint32_t shard, uint64_t *incarnation, uint64_t *sequence)
{
    if (memcmp(p, EL_MARK_MAGIC, 8) != 0 || el_get_le32(p + 8) != EL_JOURNAL_FORMAT || el_get_le32(p + 12) != shard ||
        el_get_le64(p + 56) != el_xxh3(p, 56)) {
        return EVLOG_ERR_CORRUPT;
    }
    *incarnation = el_get_le64(p + 16);
    *sequence = el_get_le64(p + 24);
    return 0;
}
