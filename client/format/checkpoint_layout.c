/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding of checkpoint files. Layouts: include/format/checkpoint_layout.h.
 */
#include <format/checkpoint_layout.h>

#include <core/hash.h>
#include <evlog/error.h>

#define CHECKPOINT_MAGIC "EVLOGCKP"

void el_checkpoint_seal(uint8_t *p, const struct el_checkpoint_header *h)
{
    memset(p, 0, EL_CHECKPOINT_HEADER_LEN);
    memcpy(p, CHECKPOINT_MAGIC, 8);
    el_put_le32(p + 8, EL_CHECKPOINT_FORMAT);
    el_put_le32(p + 12, h->shard);
    el_put_le64(p + 16, h->sequence);
    el_put_le32(p + 24, h->kind);
    el_put_le32(p + 28, h->entry_count);
    el_put_le64(p + 32, h->base_sequence);
    el_put_le64(p + 40, h->incarnation);
    el_put_le64(p + 48, h->cut);
    el_put_le64(p + 56, h->clock_ns);
    el_put_le64(p + 64, (uint64_t)h->producer_counter);
    el_put_le64(p + 72, h->body_len);
    el_put_le64(p + 80, el_xxh3(p + EL_CHECKPOINT_HEADER_LEN, (size_t)h->body_len));
    el_put_le64(p + 88, h->delta_len);
    el_put_le64(p + 96, h->previous_cut);
    el_put_le64(p + 120, el_xxh3(p, 120));
}

int el_checkpoint_open(const uint8_t *p, size_t len, struct el_checkpoint_header *h)
{
    if (len < EL_CHECKPOINT_HEADER_LEN) {
        return EVLOG_ERR_TRUNCATED;
    }
    if (memcmp(p, CHECKPOINT_MAGIC, 8) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    if (el_get_le32(p + 8) > EL_CHECKPOINT_FORMAT) {
        return EVLOG_ERR_FORMAT;
    }
    if (el_get_le32(p + 8) != EL_CHECKPOINT_FORMAT || el_get_le64(p + 120) != el_xxh3(p, 120)) {
        return EVLOG_ERR_CORRUPT;
    }
    *h = (struct el_checkpoint_header){
        .shard = el_get_le32(p + 12),
        .sequence = el_get_le64(p + 16),
        .kind = el_get_le32(p + 24),
        .entry_count = el_get_le32(p + 28),
        .base_sequence = el_get_le64(p + 32),
        .incarnation = el_get_le64(p + 40),
        .cut = el_get_le64(p + 48),
        .clock_ns = el_get_le64(p + 56),
        .producer_counter = (int64_t)el_get_le64(p + 64),
        .body_len = el_get_le64(p + 72),
        .delta_len = el_get_le64(p + 88),
        .previous_cut = el_get_le64(p + 96),
    };
    if (h->body_len != len - EL_CHECKPOINT_HEADER_LEN) {
        return EVLOG_ERR_TRUNCATED;
    }
    if (h->kind > EL_CHECKPOINT_DELTA || h->cut == UINT64_MAX || h->sequence == UINT64_MAX ||
        el_get_le64(p + 80) != el_xxh3(p + EL_CHECKPOINT_HEADER_LEN, (size_t)h->body_len)) {
        return EVLOG_ERR_CORRUPT;
    }
    return 0;
}

void el_checkpoint_entry_put(struct el_writer *w, const struct el_checkpoint_entry *e)
{
    el_write_bytes(w, e->topic_id.bytes, 16);
    el_write_le32(w, (uint32_t)e->partition);
    el_write_le32(w, e->flags);
    el_write_le64(w, (uint64_t)e->log_start);
    el_write_le64(w, (uint64_t)e->next_offset);
    el_write_le64(w, (uint64_t)e->segment_end);
    el_write_le64(w, e->next_segment_id);
    el_write_le64(w, (uint64_t)e->clean_end);
    el_write_le16(w, e->epoch_count);
    el_write_le16(w, 0);
    el_write_le32(w, 0);
    el_write_le32(w, e->segment_count);
    el_write_le32(w, e->producer_count);
}

void el_checkpoint_entry_get(struct el_reader *r, struct el_checkpoint_entry *e)
{
    const uint8_t *id = el_read_bytes(r, 16);
    if (id != NULL) {
        memcpy(e->topic_id.bytes, id, 16);
    }
    e->partition = (int32_t)el_read_le32(r);
    e->flags = el_read_le32(r);
    e->log_start = (int64_t)el_read_le64(r);
    e->next_offset = (int64_t)el_read_le64(r);
    e->segment_end = (int64_t)el_read_le64(r);
    e->next_segment_id = el_read_le64(r);
    e->clean_end = (int64_t)el_read_le64(r);
    e->epoch_count = el_read_le16(r);
    el_read_le16(r);
    el_read_le32(r);
    e->segment_count = el_read_le32(r);
    e->producer_count = el_read_le32(r);
}

void el_checkpoint_epoch_put(struct el_writer *w, const struct el_checkpoint_epoch *e)
{
    el_write_le32(w, (uint32_t)e->epoch);
    el_write_le32(w, 0);
    el_write_le64(w, (uint64_t)e->start_offset);
}

void el_checkpoint_epoch_get(struct el_reader *r, struct el_checkpoint_epoch *e)
{
    e->epoch = (int32_t)el_read_le32(r);
    el_read_le32(r);
    e->start_offset = (int64_t)el_read_le64(r);
}

void el_checkpoint_segment_put(struct el_writer *w, const struct el_checkpoint_segment *s)
{
    el_write_le64(w, s->id);
    el_write_le64(w, (uint64_t)s->base_offset);
    el_write_le64(w, (uint64_t)s->end_offset);
    el_write_le64(w, s->len);
    el_write_le64(w, (uint64_t)s->max_timestamp_ms);
    el_write_le64(w, s->first_append_ns);
    el_write_le64(w, s->last_append_ns);
    el_write_le64(w, s->generation);
    el_write_le64(w, s->created_ns);
    el_write_le32(w, s->flags);
    el_write_le32(w, s->tombstones_s);
}

void el_checkpoint_segment_get(struct el_reader *r, struct el_checkpoint_segment *s)
{
    s->id = el_read_le64(r);
    s->base_offset = (int64_t)el_read_le64(r);
    s->end_offset = (int64_t)el_read_le64(r);
    s->len = el_read_le64(r);
    s->max_timestamp_ms = (int64_t)el_read_le64(r);
    s->first_append_ns = el_read_le64(r);
    s->last_append_ns = el_read_le64(r);
    s->generation = el_read_le64(r);
    s->created_ns = el_read_le64(r);
    s->flags = el_read_le32(r);
    s->tombstones_s = el_read_le32(r);
}

void el_checkpoint_producer_put(struct el_writer *w, const struct el_checkpoint_producer *p)
{
    el_write_le64(w, (uint64_t)p->id);
    el_write_le16(w, (uint16_t)p->epoch);
    el_write_le16(w, p->batch_count);
    el_write_le32(w, 0);
    el_write_le64(w, p->last_append_ns);
}

void el_checkpoint_producer_get(struct el_reader *r, struct el_checkpoint_producer *p)
{
    p->id = (int64_t)el_read_le64(r);
    p->epoch = (int16_t)el_read_le16(r);
    p->batch_count = el_read_le16(r);
    el_read_le32(r);
    p->last_append_ns = el_read_le64(r);
}

void el_checkpoint_batch_put(struct el_writer *w, const struct el_checkpoint_batch *b)
{
    el_write_le32(w, (uint32_t)b->first_sequence);
    el_write_le32(w, (uint32_t)b->last_sequence);
    el_write_le64(w, (uint64_t)b->base_offset);
    el_write_le64(w, b->append_time_ns);
}

void el_checkpoint_batch_get(struct el_reader *r, struct el_checkpoint_batch *b)
{
    b->first_sequence = (int32_t)el_read_le32(r);
    b->last_sequence = (int32_t)el_read_le32(r);
    b->base_offset = (int64_t)el_read_le64(r);
    b->append_time_ns = el_read_le64(r);
}
