/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of a partition as sealed segments, and its entry of the checkpoint: epochs, segments, and the last batches of
 * idempotent producers, as evlogd would have noted them.
 *
 * Of a log that is to be here only from an offset on, the entry says that the archive has what comes before.
 *
 * A segment's file header is written last: only then is known whether offsets are missing in it, which only compacted
 * segments may say. Files are synced before the log counts as whole.
 */
#include "new_dir_state.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <core/hash.h>
#include <errno.h>
#include <fcntl.h>
#include <format/batch.h>
#include <format/checkpoint_layout.h>
#include <format/segment_layout.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_DATA_LEN (1u << 20) /* of a chunk, but for one batch that is longer */
#define CHUNK_BATCHES 1024u
#define PRODUCER_BATCHES 5u
#define PRODUCER_KEPT_NS (25ull * 3600 * 1000000000) /* evlogd forgets one after a day */
#define EPOCHS_MAX 65535u
#define COUNTER_MASK ((1ll << 40) - 1)

struct log_producer {
    int64_t id; /* key of the map */
    struct el_checkpoint_producer head;
    struct el_checkpoint_batch batches[PRODUCER_BATCHES];
};

struct new_log {
    struct new_dir *dir;
    struct new_log_head head;
    uint64_t segment_len;
    char folder[96];
    int64_t next_offset; /* of the next batch, when none are missing; -1: none has come */
    struct new_dir_counts counts;
    int64_t producer_counter;
    /* of the checkpoint */
    struct el_checkpoint_epoch *epochs;
    uint32_t epoch_count, epoch_max;
    struct el_checkpoint_segment *segments;
    uint32_t segment_count, segment_max;
    struct el_map producers;
    /* the segment that is written */
    int fd; /* -1: none */
    uint64_t pos;
    struct el_checkpoint_segment *segment; /* the last of segments */
    bool holes;
    struct el_index_entry *index;
    uint32_t index_count, index_max;
    /* the chunk */
    struct el_buffer data;
    struct el_chunk_entry rows[CHUNK_BATCHES];
    uint32_t row_count;
    uint8_t *front; /* header and table */
};

static int no_memory(struct el_error *err)
{
    return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to write a log");
}

static bool grow(void *list, uint32_t count, uint32_t *max, size_t len)
{
    void **at = list;
    if (count < *max) {
        return true;
    }
    uint32_t more = *max == 0 ? 16 : *max * 2;
    void *grown = el_realloc(*at, more * len);
    if (grown == NULL) {
        return false;
    }
    *at = grown;
    *max = more;
    return true;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

int new_log_begin(struct new_dir *dir, const struct new_log_head *head, uint64_t segment_len, struct new_log **out,
                  struct el_error *err)
{
    struct new_log *log = el_calloc(1, sizeof *log);
    uint8_t *front = el_malloc(EL_CHUNK_HEADER_LEN + CHUNK_BATCHES * EL_CHUNK_ENTRY_LEN);
    char hex[33], topic[64];
    if (log == NULL || front == NULL) {
        el_free(log);
        el_free(front);
        return no_memory(err);
    }
    log->dir = dir;
    log->head = *head;
    log->segment_len = segment_len == 0 ? NEW_DIR_SEGMENT_LEN : segment_len;
    log->next_offset = -1;
    log->counts.max_timestamp_ms = INT64_MIN;
    log->fd = -1;
    log->front = front;
    el_map_init(&log->producers, NULL);
    el_hex(hex, head->topic_id.bytes, 16);
    snprintf(topic, sizeof topic, "topics/%s", hex);
    snprintf(log->folder, sizeof log->folder, "topics/%s/%d", hex, head->partition);
    int code = new_dir_folder(dir, topic, err);
    code = code != 0 ? code : new_dir_folder(dir, log->folder, err);
    if (code != 0) {
        new_log_drop(log);
        return code;
    }
    *out = log;
    return 0;
}

void new_log_drop(struct new_log *log)
{
    if (log == NULL) {
        return;
    }
    if (log->fd >= 0) {
        (void)close(log->fd);
    }
    for (size_t i = 0; i < log->producers.count; i++) {
        el_free(log->producers.entries[i].value);
    }
    el_map_destroy(&log->producers);
    el_buffer_free(&log->data);
    el_free(log->front);
    el_free(log->epochs);
    el_free(log->segments);
    el_free(log->index);
    el_free(log);
}

/* --- chunks and segments ------------------------------------------------------------------------------------------ */

static int segment_failed(const struct new_log *log, const char *what, struct el_error *err)
{
    char name[160];
    snprintf(name, sizeof name, "%s/%08llu.seg", log->folder, (unsigned long long)log->segment->id);
    return new_failed(err, name, what);
}

static int chunk_flush(struct new_log *log, struct el_error *err)
{
    static const uint8_t zeros[EL_SEGMENT_ALIGN];
    if (log->row_count == 0) {
        return 0;
    }
    size_t front_len = EL_CHUNK_HEADER_LEN + (size_t)log->row_count * EL_CHUNK_ENTRY_LEN;
    uint64_t end = el_chunk_end(log->pos, log->row_count, log->data.len);
    uint64_t filled = log->pos + front_len + log->data.len;
    struct el_chunk_header header = {.topic_id = log->head.topic_id,
                                     .partition = log->head.partition,
                                     .count = log->row_count,
                                     .segment_id = log->segment->id,
                                     .pos = log->pos,
                                     .data_len = (uint32_t)log->data.len};
    for (uint32_t i = 0; i < log->row_count; i++) {
        el_chunk_entry_put(log->front + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN, &log->rows[i]);
    }
    el_chunk_seal(log->front, &header);
    if (!grow(&log->index, log->index_count, &log->index_max, sizeof *log->index)) {
        return no_memory(err);
    }
    log->index[log->index_count++] = (struct el_index_entry){.base_offset = log->rows[0].base_offset,
                                                             .pos = log->pos,
                                                             .max_timestamp_ms = log->segment->max_timestamp_ms,
                                                             .append_time_ns = log->rows[0].append_time_ns,
                                                             .len = end - log->pos};
    if (new_write(log->fd, log->front, front_len, log->pos) != 0 ||
        new_write(log->fd, log->data.data, log->data.len, log->pos + front_len) != 0 ||
        new_write(log->fd, zeros, (size_t)(end - filled), filled) != 0) {
        return segment_failed(log, "written", err);
    }
    log->pos = log->segment->len = end;
    log->row_count = 0;
    el_buffer_reset(&log->data);
    return 0;
}

static int segment_open(struct new_log *log, int64_t base_offset, const struct el_pack_batch *row, struct el_error *err)
{
    char name[160];
    if (!grow(&log->segments, log->segment_count, &log->segment_max, sizeof *log->segments)) {
        return no_memory(err);
    }
    log->segment = &log->segments[log->segment_count++];
    *log->segment = (struct el_checkpoint_segment){.id = log->segment_count,
                                                   .base_offset = base_offset,
                                                   .len = EL_SEGMENT_HEADER_LEN,
                                                   .max_timestamp_ms = INT64_MIN,
                                                   .first_append_ns = row->leaf.append_time_ns,
                                                   .generation = log->dir->generation,
                                                   .created_ns = row->leaf.append_time_ns,
                                                   .flags = EL_CHECKPOINT_SEGMENT_SEALED};
    snprintf(name, sizeof name, "%s/%08llu.seg", log->folder, (unsigned long long)log->segment->id);
    log->fd = openat(log->dir->fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, NEW_FILE_MODE);
    log->pos = EL_SEGMENT_HEADER_LEN;
    log->holes = false;
    log->index_count = 0;
    return log->fd < 0 ? segment_failed(log, "made", err) : 0;
}

/* The offsets up to end are this segment's. */
static int segment_close(struct new_log *log, int64_t end_offset, struct el_error *err)
{
    uint8_t head[EL_SEGMENT_HEADER_LEN];
    if (log->fd < 0) {
        return 0;
    }
    int code = chunk_flush(log, err);
    struct el_checkpoint_segment *segment = log->segment;
    const struct el_checkpoint_segment *before = log->segment_count < 2 ? NULL : segment - 1;
    bool chained = before != NULL && !log->holes;
    size_t footer_len = el_footer_len(log->index_count, false);
    uint8_t *footer = el_malloc(footer_len);
    segment->end_offset = end_offset;
    segment->flags |= log->holes ? EL_CHECKPOINT_SEGMENT_COMPACTED : 0u;
    el_segment_header_put(head, &(struct el_segment_header){.topic_id = log->head.topic_id,
                                                            .partition = log->head.partition,
                                                            .segment_id = segment->id,
                                                            .base_offset = segment->base_offset,
                                                            .generation = segment->generation,
                                                            .previous_id = chained ? before->id : 0,
                                                            .previous_generation = chained ? before->generation : 0});
    if (code == 0 && footer == NULL) {
        code = no_memory(err);
    }
    if (code == 0) {
        el_footer_put(footer, log->pos, log->index, log->index_count, NULL);
        if (new_write(log->fd, head, sizeof head, 0) != 0 || new_write(log->fd, footer, footer_len, log->pos) != 0 ||
            fsync(log->fd) != 0) {
            code = segment_failed(log, "written", err);
        }
    }
    el_free(footer);
    (void)close(log->fd);
    log->fd = -1;
    return code;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

static bool note_epoch(struct new_log *log, const struct el_pack_batch *row)
{
    if (log->epoch_count > 0 && log->epochs[log->epoch_count - 1].epoch >= row->leaf.leader_epoch) {
        return true;
    }
    if (log->epoch_count == EPOCHS_MAX) { /* more starts than there is room for: the oldest tell least */
        memmove(log->epochs, log->epochs + 1, (--log->epoch_count) * sizeof *log->epochs);
    }
    if (!grow(&log->epochs, log->epoch_count, &log->epoch_max, sizeof *log->epochs)) {
        return false;
    }
    log->epochs[log->epoch_count++] = (struct el_checkpoint_epoch){row->leaf.leader_epoch, row->leaf.first_offset};
    return true;
}

static bool note_producer(struct new_log *log, const struct el_pack_batch *row, const struct el_batch_info *info)
{
    if (info->producer_id < 0) {
        return true;
    }
    struct log_producer *p = el_map_get(&log->producers, &info->producer_id, sizeof info->producer_id);
    if (p == NULL) {
        p = el_calloc(1, sizeof *p);
        if (p == NULL) {
            return false;
        }
        p->id = p->head.id = info->producer_id;
        if (el_map_put(&log->producers, &p->id, sizeof p->id, p) != 0) {
            el_free(p);
            return false;
        }
    }
    if (p->head.batch_count > 0 && p->head.epoch != info->producer_epoch) {
        p->head.batch_count = 0;
    }
    if (p->head.batch_count == PRODUCER_BATCHES) {
        memmove(p->batches, p->batches + 1, (PRODUCER_BATCHES - 1) * sizeof p->batches[0]);
        p->head.batch_count--;
    }
    p->head.epoch = info->producer_epoch;
    p->head.last_append_ns = row->leaf.append_time_ns;
    p->batches[p->head.batch_count++] = (struct el_checkpoint_batch){.first_sequence = info->base_sequence,
                                                                     .last_sequence = el_batch_last_sequence(info),
                                                                     .base_offset = row->leaf.first_offset,
                                                                     .append_time_ns = row->leaf.append_time_ns};
    log->producer_counter = EL_MAX(log->producer_counter, info->producer_id & COUNTER_MASK);
    return true;
}

/* Where the batch goes: the segment and chunk that take it, and what is missing before it. */
static int make_place(struct new_log *log, const struct el_pack_batch *row, struct el_error *err)
{
    int64_t first = row->leaf.first_offset, expected = log->next_offset;
    int64_t start = EL_MAX(log->head.log_start, log->head.local_start);
    expected = expected >= 0 ? expected : EL_MIN(start, first);
    int code = 0;
    if (log->fd >= 0 && (log->row_count == CHUNK_BATCHES || log->data.len + row->len > CHUNK_DATA_LEN)) {
        code = chunk_flush(log, err);
    }
    if (code == 0 && log->fd >= 0 && log->row_count == 0 && log->pos >= log->segment_len) {
        code = segment_close(log, expected, err);
    }
    if (code == 0 && log->fd < 0) {
        code = segment_open(log, expected, row, err);
    }
    log->holes = log->holes || first > expected;
    return code;
}

int new_log_put(struct new_log *log, const struct el_pack_batch *row, const uint8_t *batch, struct el_error *err)
{
    struct el_batch_info info;
    EL_ASSERT(!row->redacted);
    int code = el_batch_header(batch, row->len, &info);
    if (code != 0 || info.len != row->len || info.base_offset != row->leaf.first_offset ||
        row->leaf.first_offset < log->next_offset) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "%s: what comes behind offset %lld is no batch of its place",
                            log->folder, (long long)log->next_offset);
    }
    code = make_place(log, row, err);
    if (code != 0) {
        return code;
    }
    el_buffer_append(&log->data, batch, row->len);
    if (log->data.err != 0 || !note_epoch(log, row) || !note_producer(log, row, &info)) {
        return no_memory(err);
    }
    log->rows[log->row_count] = (struct el_chunk_entry){.append_time_ns = row->leaf.append_time_ns,
                                                        .base_offset = row->leaf.first_offset,
                                                        .leader_epoch = row->leaf.leader_epoch,
                                                        .len = row->len,
                                                        .checksum = el_xxh3(batch, row->len),
                                                        .max_timestamp_ms = row->leaf.max_timestamp_ms,
                                                        .last_offset_delta = row->last_offset_delta};
    memcpy(log->rows[log->row_count++].salt, row->salt, sizeof row->salt);
    log->next_offset = el_pack_batch_end(row);
    log->segment->end_offset = log->next_offset;
    log->segment->max_timestamp_ms = EL_MAX(log->segment->max_timestamp_ms, row->leaf.max_timestamp_ms);
    log->segment->last_append_ns = row->leaf.append_time_ns;
    log->counts.batches++;
    log->counts.records += row->leaf.record_count;
    log->counts.bytes += row->len;
    log->counts.last_append_ns = EL_MAX(log->counts.last_append_ns, row->leaf.append_time_ns);
    log->counts.max_timestamp_ms = EL_MAX(log->counts.max_timestamp_ms, row->leaf.max_timestamp_ms);
    return 0;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static bool is_partly(const struct new_log *log)
{
    return log->head.local_start > log->head.log_start;
}

static int write_entry(struct new_log *log, int64_t end_offset, struct el_buffer *out)
{
    uint64_t kept_from = log->counts.last_append_ns < PRODUCER_KEPT_NS ? 0
                                                                       : log->counts.last_append_ns - PRODUCER_KEPT_NS;
    uint32_t producer_count = 0;
    for (size_t i = 0; i < log->producers.count; i++) {
        const struct log_producer *p = log->producers.entries[i].value;
        producer_count += p->head.last_append_ns >= kept_from;
    }
    size_t len = EL_CHECKPOINT_ENTRY_LEN + (size_t)log->epoch_count * EL_CHECKPOINT_EPOCH_LEN +
                 (size_t)log->segment_count * EL_CHECKPOINT_SEGMENT_LEN +
                 (size_t)producer_count * (EL_CHECKPOINT_PRODUCER_LEN + PRODUCER_BATCHES * EL_CHECKPOINT_BATCH_LEN);
    uint8_t *bytes = el_malloc(len);
    struct el_writer w;
    if (bytes == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    el_writer_init(&w, bytes, len);
    el_checkpoint_entry_put(&w,
                            &(struct el_checkpoint_entry){.topic_id = log->head.topic_id,
                                                          .partition = log->head.partition,
                                                          .flags = is_partly(log) ? EL_CHECKPOINT_ENTRY_ARCHIVED : 0u,
                                                          .log_start = EL_MIN(log->head.log_start, end_offset),
                                                          .next_offset = end_offset,
                                                          .segment_end = end_offset,
                                                          .next_segment_id = log->segment_count + 1u,
                                                          .epoch_count = (uint16_t)log->epoch_count,
                                                          .segment_count = log->segment_count,
                                                          .producer_count = producer_count});
    for (uint32_t i = 0; i < log->epoch_count; i++) {
        el_checkpoint_epoch_put(&w, &log->epochs[i]);
    }
    for (uint32_t i = 0; i < log->segment_count; i++) {
        el_checkpoint_segment_put(&w, &log->segments[i]);
    }
    for (size_t i = 0; i < log->producers.count; i++) {
        const struct log_producer *p = log->producers.entries[i].value;
        if (p->head.last_append_ns < kept_from) {
            continue;
        }
        el_checkpoint_producer_put(&w, &p->head);
        for (uint32_t b = 0; b < p->head.batch_count; b++) {
            el_checkpoint_batch_put(&w, &p->batches[b]);
        }
    }
    EL_ASSERT(w.err == 0);
    el_buffer_append(out, bytes, el_writer_len(&w));
    el_free(bytes);
    return out->err;
}

/* A log without batches: nothing is served of it, and it goes on there. */
static void stand_at_end(struct new_log *log, int64_t end_offset)
{
    if (log->next_offset < 0 && !is_partly(log)) {
        log->head.log_start = end_offset;
    }
}

int new_log_end(struct new_log *log, int64_t end_offset, struct el_error *err)
{
    struct el_buffer entry = {0};
    EL_ASSERT(end_offset >= log->next_offset);
    log->holes = log->holes || end_offset > log->next_offset;
    stand_at_end(log, end_offset);
    int code = segment_close(log, end_offset, err);
    code = code != 0 ? code : new_sync_folder(log->dir, log->folder, err);
    if (code == 0 && write_entry(log, end_offset, &entry) != 0) {
        code = no_memory(err);
    }
    code = code != 0 ? code
                     : new_note_whole(log->dir, &log->head, el_buffer_slice(&entry), &log->counts,
                                      log->producer_counter, err);
    el_buffer_free(&entry);
    new_log_drop(log);
    return code;
}
