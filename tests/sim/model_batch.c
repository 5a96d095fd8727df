/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches of the model: made of what was sent, and recognized when they are read.
 */
#include "keyed.h"

#include <core/assert.h>
#include <format/redaction.h>
#include <stdlib.h>

/* The value's bytes follow from id and index, so that a reader can tell whether they are right. */
static void value_fill(uint8_t *p, size_t len, uint64_t id, uint32_t index)
{
    struct el_rng rng;
    el_put_le64(p, id);
    el_put_le32(p + 8, index);
    el_rng_seed(&rng, id * 1000003 + index);
    uint64_t word = el_rng_next(&rng);
    for (size_t i = 12; i < len; i += 8) {
        uint8_t random[8];
        el_put_le64(random, word);
        word = len >= MODEL_PLAIN_LEN ? word : el_rng_next(&rng);
        memcpy(p + i, random, EL_MIN((size_t)8, len - i));
    }
}

void model_word(const struct sent *s, uint32_t index, uint8_t word[MODEL_WORD_LEN])
{
    uint8_t value[12 + MODEL_WORD_LEN];
    value_fill(value, sizeof value, s->id, index);
    memcpy(word, value + 12, MODEL_WORD_LEN);
}

static void batch_fill(struct el_batch_builder *builder, const struct sent *s, uint32_t value_len)
{
    uint8_t *value = malloc(value_len);
    EL_ASSERT(value != NULL);
    EL_ASSERT(value_len >= 12);
    for (uint32_t i = 0; i < s->record_count; i++) {
        value_fill(value, value_len, s->id, i);
        struct el_record_body body = {.value = el_slice_of(value, value_len)};
        struct el_header header = {.key = el_slice_str("id"), .value = el_slice_of(value, 12)};
        char key[12];
        if (s->spread > 0) {
            keyed_key(s, i, key);
            body.key = el_slice_str(key);
        }
        if (s->key_count > 0) {
            EL_ASSERT(i < KEYED_RECORDS_MAX);
            keyed_key(s, i, key);
            body.key = el_slice_str(key);
            if (keyed_tombstone(s, i)) {
                body = (struct el_record_body){.key = body.key, .headers = &header, .header_count = 1};
            }
        }
        int code = el_batch_builder_add(builder, 1000 + (int64_t)s->id, &body);
        EL_ASSERT(code == 0);
    }
    free(value);
}

static struct el_slice batch_finish(struct el_batch_builder *builder, const struct sent *s, int64_t pid,
                                    enum el_codec codec)
{
    struct el_slice batch;
    struct el_batch_origin origin = {.producer_id = pid, .producer_epoch = 0, .base_sequence = s->first_sequence};
    int code = el_batch_builder_finish(builder, codec, pid < 0 ? NULL : &origin, &batch);
    EL_ASSERT(code == 0);
    return batch;
}

size_t model_batch(struct model *m, const struct sent *s, int64_t pid, uint32_t value_len, uint8_t *out, size_t out_len)
{
    struct el_batch_builder builder;
    el_batch_builder_init_fixed(&builder, out, out_len);
    batch_fill(&builder, s, value_len);
    (void)m;
    return batch_finish(&builder, s, pid, EL_CODEC_NONE).len;
}

size_t model_batch_packed(const struct sent *s, int64_t pid, uint32_t value_len, enum el_codec codec, uint8_t *out,
                          size_t out_len)
{
    struct el_batch_builder builder;
    el_batch_builder_init(&builder, EL_BATCH_OUTPUT_MAX);
    batch_fill(&builder, s, value_len);
    struct el_slice batch = batch_finish(&builder, s, pid, codec);
    EL_ASSERT(batch.len <= out_len);
    memcpy(out, batch.data, batch.len);
    el_batch_builder_destroy(&builder);
    return batch.len;
}

static void see_record(struct model *m, const struct el_batch_record *record, const struct sent *sent, uint32_t index)
{
    const struct el_slice *v = &record->record.value;
    char key[12];
    if (sent->spread > 0) {
        keyed_key(sent, index, key);
    }
    if ((sent->spread > 0 && !el_slice_eq(record->record.key, el_slice_str(key))) ||
        (sent->key_count > 0 && !keyed_right(sent, index, record))) {
        world_violation(m->w, "offset %lld has another key than was sent", (long long)record->offset);
    }
    if (sent->key_count > 0 && keyed_tombstone(sent, index)) {
        return;
    }
    uint8_t *whole = malloc(v->len + 12);
    EL_ASSERT(whole != NULL);
    if (v->len >= 12) {
        value_fill(whole, v->len, sent->id, index);
    }
    if (v->len < 12 || memcmp(whole, v->data, v->len) != 0) {
        world_violation(m->w, "offset %lld holds other bytes than were sent", (long long)record->offset);
    }
    free(whole);
}

static struct sent *see_identify(struct model *m, uint32_t topic, int32_t partition,
                                 const struct el_batch_record *record)
{
    uint64_t id = 0;
    uint32_t index;
    if (!keyed_identify(record, &id, &index) || id == 0 || id > m->sent_count) {
        world_violation(m->w, "offset %lld holds a batch that nobody sent", (long long)record->offset);
        return NULL;
    }
    struct sent *sent = &m->sent[id - 1];
    if (sent->topic != topic || sent->partition != partition) {
        world_violation(m->w, "offset %lld holds a batch of another partition", (long long)record->offset);
        return NULL;
    }
    return sent;
}

/* One record of a batch of which others may be left out. returns its index */
static uint32_t see_some(struct model *m, const struct el_batch_record *record, struct sent *sent)
{
    uint64_t id = 0;
    uint32_t index = 0;
    bool known = keyed_identify(record, &id, &index) && id == sent->id && index < sent->record_count;
    int64_t base = record->offset - index;
    if (!known || sent->state == SENT_REFUSED || (sent->state == SENT_STORED && sent->offset != base)) {
        world_violation(m->w, "offset %lld holds another record than was sent there", (long long)record->offset);
        return 0;
    }
    if (sent->state == SENT_UNKNOWN) {
        model_acked(m, sent, base, 0);
    }
    sent->read_records |= 1u << index % KEYED_RECORDS_MAX;
    return index;
}

static struct sent *walk_records(struct model *m, uint32_t topic, int32_t partition, struct el_batch_iter *iter,
                                 const struct read_entry *e, bool some)
{
    struct el_batch_record record;
    struct sent *sent = NULL;
    uint32_t index = 0;
    while (el_batch_next(iter, &record) == 1) {
        if (index == 0) {
            sent = see_identify(m, topic, partition, &record);
            if (sent == NULL) {
                return NULL;
            }
            sent->read_records = 0;
        }
        if (some) {
            index = see_some(m, &record, sent);
        } else if (sent->key_count > 0) {
            index = (uint32_t)(record.offset - iter->info.base_offset);
            sent->read_records |= 1u << index % KEYED_RECORDS_MAX;
        }
        see_record(m, &record, sent, index++);
        uint64_t append_ns = e->append_time_ns != 0 ? e->append_time_ns : sent->append_ns;
        bool stamped = m->topics[topic].stamped;
        int64_t time_ms = stamped ? (int64_t)(append_ns / 1000000) : 1000 + (int64_t)sent->id;
        if (record.timestamp_ms != time_ms && !(stamped && append_ns == 0)) {
            world_violation(m->w, "offset %lld has time %lld and not %lld", (long long)record.offset,
                            (long long)record.timestamp_ms, (long long)time_ms);
        }
    }
    bool whole = some || sent == NULL || sent->key_count > 0 || index == sent->record_count;
    if (sent == NULL || !whole || index > sent->record_count) {
        world_violation(m->w, "a batch at offset %lld has %u records", (long long)iter->info.base_offset, index);
        return NULL;
    }
    return sent;
}

/* The batch's records are those of one sent batch; NULL after a violation. */
static struct sent *see_records(struct model *m, uint32_t topic, int32_t partition, const uint8_t *batch,
                                const struct read_entry *e, bool some)
{
    struct el_batch_iter iter;
    struct sent *sent = NULL;
    uint8_t *scratch = NULL;
    int code = el_batch_verify(batch, e->len);
    code = code != 0 ? code : el_batch_open(&iter, batch, e->len, NULL, 0);
    while (code == EVLOG_ERR_NO_MEMORY) { /* not every codec says at once how much it is */
        size_t scratch_len = iter.info.scratch_len_wanted;
        scratch = realloc(scratch, scratch_len);
        EL_ASSERT(scratch != NULL);
        code = el_batch_open(&iter, batch, e->len, scratch, scratch_len);
    }
    if (code != 0) {
        world_violation(m->w, "batch at offset %lld does not verify", (long long)el_batch_base_offset(batch));
    } else {
        sent = walk_records(m, topic, partition, &iter, e, some);
    }
    free(scratch);
    return sent;
}

const struct sent *model_see_some(struct model *m, uint32_t topic, int32_t partition, const uint8_t *batch,
                                  uint32_t len)
{
    struct read_entry e = {.len = len, .leader_epoch = -1};
    return see_records(m, topic, partition, batch, &e, true);
}

uint64_t model_gone_step(const struct model *m, const struct sent *s)
{
    uint64_t step = 0;
    for (uint32_t i = 0; i < m->gone_count && s->state == SENT_STORED; i++) {
        const struct model_gone *gone = &m->gone[i];
        if (s->topic == gone->topic && s->partition == gone->partition && s->offset < gone->end &&
            s->offset + s->record_count > gone->first) {
            step = EL_MIN(step == 0 ? UINT64_MAX : step, gone->complete ? gone->complete_step : UINT64_MAX);
        }
    }
    return step;
}

/* The batch whose place a mark has taken; NULL after a violation. */
static struct sent *see_mark(struct model *m, uint32_t topic, int32_t partition, const uint8_t *batch,
                             const struct read_entry *e, const struct el_redaction_mark *mark)
{
    struct sent *sent = NULL;
    for (uint32_t i = 0; i < m->sent_count && sent == NULL; i++) {
        struct sent *s = &m->sent[i];
        bool here = s->topic == topic && s->partition == partition && s->state == SENT_STORED;
        sent = here && s->offset == mark->first_offset ? s : NULL;
    }
    if (sent == NULL || model_gone_step(m, sent) == 0) {
        world_violation(m->w, "offset %lld of topic %u partition %d is redacted, and nobody asked for it",
                        (long long)mark->first_offset, topic, partition);
        return NULL;
    }
    bool stamped = m->topics[topic].stamped;
    int64_t time_ms = stamped ? (int64_t)(e->append_time_ns / 1000000) : 1000 + (int64_t)sent->id;
    if (el_batch_verify(batch, e->len) != 0 || mark->record_count != sent->record_count ||
        mark->last_offset_delta + 1 != sent->record_count || mark->max_timestamp_ms != time_ms) {
        world_violation(m->w, "the mark at offset %lld is not of the batch that was there",
                        (long long)mark->first_offset);
    }
    return sent;
}

struct sent *model_see(struct model *m, uint32_t topic, int32_t partition, int64_t next, bool inside,
                       const uint8_t *batch, const struct read_entry *e)
{
    struct world *w = m->w;
    struct el_redaction_mark mark;
    bool redacted = el_redaction_mark_get(batch, e->len, &mark);
    struct sent *sent = redacted ? see_mark(m, topic, partition, batch, e, &mark)
                                 : see_records(m, topic, partition, batch, e, false);
    if (sent == NULL) {
        return NULL;
    }
    int64_t base = el_batch_base_offset(batch);
    inside = inside && base <= next && base + sent->record_count > next;
    if (base != next && !inside && !(m->topics[topic].compacted && base > next)) {
        world_violation(w, "topic %u partition %d: batch at %lld, expected %lld", topic, partition, (long long)base,
                        (long long)next);
        return NULL;
    }
    if (sent->state == SENT_REFUSED || (sent->state == SENT_STORED && sent->offset != base)) {
        world_violation(w, "batch %llu stands at %lld, was %s %lld", (unsigned long long)sent->id, (long long)base,
                        sent->state == SENT_REFUSED ? "refused" : "at", (long long)sent->offset);
    }
    if (sent->append_ns != 0 && e->append_time_ns != 0 && sent->append_ns != e->append_time_ns) {
        world_violation(w, "batch %llu has another append time than before", (unsigned long long)sent->id);
    }
    m->events_stored += sent->state != SENT_STORED;
    sent->state = SENT_STORED;
    sent->offset = base;
    sent->append_ns = e->append_time_ns != 0 ? e->append_time_ns : sent->append_ns;
    return sent;
}
