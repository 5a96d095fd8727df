/* SPDX-License-Identifier: Apache-2.0
 *
 * What an answer gave for one partition: every batch is checked (length, checksum) and copied into a chunk, which goes
 * to the end of the partition's feed. Runs on the reading thread.
 */
#include "consumer_state.h"

#include <core/alloc.h>
#include <core/limits.h>

int el_batches_check(struct el_slice records, uint32_t *batch_count, size_t *len)
{
    size_t pos = 0;
    uint32_t count = 0;
    while (records.len - pos >= EL_BATCH_LEN_MIN) {
        const uint8_t *batch = records.data + pos;
        uint64_t batch_len = el_batch_total_len(batch);
        if (batch[EL_BATCH_POS_MAGIC] != EL_BATCH_MAGIC) {
            return EVLOG_ERR_INVALID_RECORD;
        }
        if (batch_len > records.len - pos) {
            break;
        }
        if (batch_len < EL_BATCH_LEN_MIN || el_batch_verify(batch, (size_t)batch_len) != 0) {
            return EVLOG_ERR_CORRUPT;
        }
        struct el_batch_info info;
        int rc = el_batch_header(batch, (size_t)batch_len, &info);
        if (rc != 0) {
            return rc;
        }
        if (info.base_offset < 0 || info.base_offset > INT64_MAX - info.last_offset_delta - 1) {
            return EVLOG_ERR_CORRUPT;
        }
        pos += (size_t)batch_len;
        count++;
    }
    *batch_count = count;
    *len = pos;
    return 0;
}

static struct el_chunk *chunk_new(uint32_t batch_count, size_t len)
{
    size_t table_len = sizeof(struct el_chunk) + batch_count * sizeof(struct el_chunk_batch);
    struct el_chunk *chunk = el_malloc(table_len + len);
    if (chunk != NULL) {
        chunk->next = NULL;
        chunk->receive = NULL;
        chunk->data = (uint8_t *)chunk + table_len;
        chunk->batch_count = 0;
        chunk->batch_index = 0;
        chunk->next_offset = 0;
        chunk->version = -1;
    }
    return chunk;
}

static void chunk_add(struct el_chunk *chunk, const uint8_t *batch, size_t len, int64_t append_time_ns, int32_t epoch)
{
    size_t pos = 0;
    if (chunk->batch_count > 0) {
        const struct el_chunk_batch *last = &chunk->batches[chunk->batch_count - 1];
        pos = last->pos + last->len;
    }
    memcpy(chunk->data + pos, batch, len);
    chunk->batches[chunk->batch_count++] = (struct el_chunk_batch){
        .pos = pos,
        .len = len,
        .append_time_ns = append_time_ns,
        .last_offset = el_batch_last_offset(batch),
        .leader_epoch = epoch,
    };
}

/* Hand a chunk to its feed; one without anything new is dropped. */
static void feed_add(struct el_feed *feed, struct el_chunk *chunk)
{
    int64_t last_offset = chunk->batch_count == 0 ? -1 : chunk->batches[chunk->batch_count - 1].last_offset;
    if (last_offset < feed->fetch_offset) {
        el_free(chunk);
        return;
    }
    if (feed->tail == NULL) {
        feed->head = chunk;
    } else {
        feed->tail->next = chunk;
    }
    feed->tail = chunk;
    feed->chunk_count++;
    feed->fetch_offset = last_offset + 1;
}

int el_feed_take_plain(struct el_feed *feed, const struct el_msg_fetch_partition_result *result)
{
    uint32_t count;
    size_t len;
    int rc = el_batches_check(result->records, &count, &len);
    if (rc != 0) {
        return rc;
    }
    struct el_chunk *chunk = chunk_new(count, len);
    if (chunk == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    const uint8_t *p = result->records.data;
    for (uint32_t i = 0; i < count; i++) {
        bool stamped = (el_batch_attributes(p) & EL_BATCH_ATTR_APPEND_TIME) != 0;
        int64_t ms = el_batch_max_timestamp(p);
        bool fits = stamped && ms >= 0 && ms <= INT64_MAX / EL_NS_PER_MS;
        size_t batch_len = (size_t)el_batch_total_len(p);
        chunk_add(chunk, p, batch_len, fits ? ms * EL_NS_PER_MS : -1, el_batch_leader_epoch(p));
        p += batch_len;
    }
    feed->high_watermark = result->high_watermark;
    feed_add(feed, chunk);
    return 0;
}

/* Batches with what evlog keeps beside them. */
struct log_batches {
    const struct el_msg_ext_log_fetch_batch *items;
    uint32_t count;
};

/* returns 0 and a chunk | EVLOG_ERR_ */
static int check_log(const struct log_batches *batches, struct el_chunk **chunk)
{
    size_t total_len = 0;
    for (uint32_t i = 0; i < batches->count; i++) {
        uint32_t count;
        size_t len;
        int rc = el_batches_check(batches->items[i].batch, &count, &len);
        if (rc != 0) {
            return rc;
        }
        if (count != 1 || len != batches->items[i].batch.len || batches->items[i].append_time_ns > INT64_MAX) {
            return EVLOG_ERR_CORRUPT;
        }
        total_len += len;
    }
    *chunk = chunk_new(batches->count, total_len);
    if (*chunk == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < batches->count; i++) {
        const struct el_msg_ext_log_fetch_batch *batch = &batches->items[i];
        chunk_add(*chunk, batch->batch.data, batch->batch.len, (int64_t)batch->append_time_ns, batch->leader_epoch);
    }
    return 0;
}

int el_feed_take_log(struct el_feed *feed, const struct el_msg_ext_log_fetch_partition_result *result)
{
    const struct log_batches batches = {result->batches, result->batch_count};
    struct el_chunk *chunk;
    int rc = check_log(&batches, &chunk);
    if (rc == 0) {
        feed->high_watermark = result->high_watermark;
        feed_add(feed, chunk);
    }
    return rc;
}

/* Batches of a filtered answer rise, but what is between them is not there; all lie below next. */
static bool filter_fits(const struct el_feed *feed, const struct el_msg_ext_filter_fetch_result *result)
{
    int64_t at = feed->fetch_offset;
    for (uint32_t i = 0; i < result->batch_count; i++) {
        const struct el_slice batch = result->batches[i].batch;
        int64_t last = el_batch_last_offset(batch.data);
        if (last < at) {
            return false;
        }
        at = last + 1;
    }
    return result->next >= at && result->high_watermark >= 0 && result->version >= -1;
}

int el_feed_take_filter(struct el_feed *feed, const struct el_msg_ext_filter_fetch_result *result)
{
    const struct log_batches batches = {result->batches, result->batch_count};
    struct el_chunk *chunk;
    int rc = check_log(&batches, &chunk);
    if (rc != 0) {
        return rc;
    }
    if (!filter_fits(feed, result)) {
        el_free(chunk);
        return EVLOG_ERR_CORRUPT;
    }
    feed->high_watermark = result->high_watermark;
    chunk->next_offset = result->next;
    chunk->version = result->version;
    if (result->batch_count > 0) {
        feed_add(feed, chunk);
    } else {
        el_free(chunk);
        if (feed->tail != NULL) {
            feed->tail->next_offset = EL_MAX(feed->tail->next_offset, result->next);
        } else {
            feed->position = EL_MAX(feed->position, result->next);
            feed->version = result->version >= 0 ? result->version : feed->version;
        }
    }
    feed->fetch_offset = EL_MAX(feed->fetch_offset, result->next);
    return 0;
}
