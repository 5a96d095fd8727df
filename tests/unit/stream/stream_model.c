/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_model.h"

#include <evlog/error.h>

#include <stdlib.h>
#include <string.h>

#include "test.h"

void model_begin(struct model *m)
{
    memset(m, 0, sizeof(*m));
    for (uint32_t s = 0; s < MODEL_SLOTS; s++) {
        for (uint32_t key = 0; key < MODEL_KEYS; key++) {
            memset(m->slots[s].streams[key].id_offset, 0xff, sizeof(m->slots[s].streams[key].id_offset));
        }
    }
}

void model_end(struct model *m)
{
    for (uint32_t s = 0; s < MODEL_SLOTS; s++) {
        for (uint32_t key = 0; key < MODEL_KEYS; key++) {
            free(m->slots[s].streams[key].offsets);
        }
        free(m->slots[s].log);
        free(m->slots[s].batch_at);
    }
}

/* Does a stream of so many events, deleted or not, meet what is expected of it? -1 none, -2 any, -4 exists. */
static bool meets(int64_t expected, int64_t count, bool soft, bool hard)
{
    if (expected == -2) {
        return true;
    }
    if (expected == -1) {
        return count == 0 || soft;
    }
    if (expected == -4) {
        return count > 0 && !soft && !hard;
    }
    return expected == count - 1;
}

static int64_t id_offset(const struct model_slot *slot, const struct model_record *r)
{
    return r->key < 0 || r->id < 0 ? -1 : slot->streams[r->key].id_offset[r->id];
}

static int64_t last_offset(const struct model_stream *stream)
{
    return stream->count == 0 ? -1 : stream->offsets[stream->count - 1];
}

static void refuse(struct model_answer *answer, int code, uint32_t index)
{
    answer->code = code;
    answer->failed_index = (int)index;
}

static void cite(struct model_answer *answer, int64_t offset)
{
    answer->cited = offset > answer->cited ? offset : answer->cited;
}

static bool decide_by_ids(const struct model_slot *slot, const struct model_batch *batch, struct model_answer *answer)
{
    uint32_t there = 0;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const struct model_record *r = &batch->records[i];
        for (uint32_t j = 0; r->key >= 0 && r->id >= 0 && j < i; j++) {
            if (batch->records[j].key == r->key && batch->records[j].id == r->id) {
                refuse(answer, EVLOG_ERR_ID_CONFLICT, i);
                cite(answer, -1);
                return true;
            }
        }
    }
    for (uint32_t i = 0; i < batch->record_count; i++) {
        there += id_offset(slot, &batch->records[i]) >= 0;
    }
    for (uint32_t i = 0; there > 0 && i < batch->record_count; i++) {
        const struct model_record *r = &batch->records[i];
        if (id_offset(slot, r) >= 0) {
            answer->offsets[i] = id_offset(slot, r);
            answer->versions[i] = slot->streams[r->key].id_version[r->id];
            cite(answer, answer->offsets[i]);
            if (there < batch->record_count && answer->failed_index < 0) {
                refuse(answer, EVLOG_ERR_ID_CONFLICT, i);
                cite(answer, last_offset(&slot->streams[r->key]));
            }
        }
    }
    if (there == batch->record_count) {
        answer->code = EVLOG_ERR_EXISTS;
    }
    return there > 0;
}

void model_decide(const struct model *m, uint32_t slot_index, const struct model_batch *batch,
                  struct model_answer *answer)
{
    const struct model_slot *slot = &m->slots[slot_index];
    memset(answer, 0, sizeof(*answer));
    memset(answer->versions, 0xff, sizeof(answer->versions));
    memset(answer->offsets, 0xff, sizeof(answer->offsets));
    answer->failed_index = -1;
    answer->cited = -1;
    if (decide_by_ids(slot, batch, answer)) {
        return;
    }
    struct {
        int64_t count;
        bool soft, hard;
    } now[MODEL_KEYS];
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        now[key].count = slot->streams[key].count;
        now[key].soft = slot->streams[key].soft;
        now[key].hard = slot->streams[key].hard;
    }
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const struct model_record *r = &batch->records[i];
        answer->offsets[i] = slot->log_count + i;
        if (r->key < 0) {
            continue;
        }
        bool holds = meets(r->expected, now[r->key].count, now[r->key].soft, now[r->key].hard);
        if (now[r->key].hard || !holds) {
            refuse(answer, now[r->key].hard ? EVLOG_ERR_STREAM_ENDED : EVLOG_ERR_WRONG_VERSION, i);
            cite(answer, last_offset(&slot->streams[r->key]));
            break;
        }
        answer->versions[i] = now[r->key].count++;
        now[r->key].soft = r->soft;
        now[r->key].hard = r->hard;
    }
    for (uint32_t i = 0; i < batch->check_count; i++) {
        const struct model_stream *stream = &slot->streams[batch->checks[i].key];
        answer->check_failed[i] = !meets(batch->checks[i].expected, stream->count, stream->soft, stream->hard);
        if (answer->check_failed[i]) {
            cite(answer, last_offset(stream));
            answer->code = answer->code == 0 ? EVLOG_ERR_WRONG_VERSION : answer->code;
        }
    }
    if (answer->code != 0) {
        memset(answer->versions, 0xff, sizeof(answer->versions));
        memset(answer->offsets, 0xff, sizeof(answer->offsets));
    }
}

/* Room for one more of len bytes behind count, taken in powers of two. */
static void *grown(void *array, int64_t count, size_t len)
{
    if ((count & (count - 1)) == 0) {
        array = realloc(array, (size_t)(count == 0 ? 1 : count * 2) * len);
        assert_non_null(array);
    }
    return array;
}

void model_append(struct model *m, uint32_t slot_index, const struct model_batch *batch)
{
    struct model_slot *slot = &m->slots[slot_index];
    uint32_t first = (uint32_t)slot->log_count;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const struct model_record *r = &batch->records[i];
        slot->log = grown(slot->log, slot->log_count, sizeof(*slot->log));
        slot->batch_at = grown(slot->batch_at, slot->log_count, sizeof(*slot->batch_at));
        slot->log[slot->log_count] = *r;
        slot->batch_at[slot->log_count] = first;
        if (r->key >= 0) {
            struct model_stream *stream = &slot->streams[r->key];
            if (r->id >= 0) {
                stream->id_offset[r->id] = slot->log_count;
                stream->id_version[r->id] = stream->count;
            }
            stream->offsets = grown(stream->offsets, stream->count, sizeof(*stream->offsets));
            stream->offsets[stream->count++] = slot->log_count;
            stream->soft = r->soft;
            stream->hard = r->hard;
        }
        slot->log_count++;
    }
}
