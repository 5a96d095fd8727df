/* SPDX-License-Identifier: Apache-2.0
 *
 * See segment_out.h.
 */
#include <storage/segment_out.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <storage/shard_state.h>

#define INDEX_ROOM_FIRST 64u
EL_STATIC_ASSERT(SEGMENT_OUT_TABLE_LEN <= 64u << 10, "a block of 64 KiB");

/* --- on the shard ------------------------------------------------------------------------------------------------- */

bool segment_out_take(struct store_shard *shard, struct segment_out *out)
{
    *out = (struct segment_out){.fd = -1, .direct_fd = -1};
    out->data_max = shard->chunk_buf_len;
    out->write_buf_len = SEGMENT_OUT_WRITE_LEN;
    out->data = el_buddy_alloc(shard->buddy, out->data_max);
    out->table = el_buddy_alloc(shard->buddy, SEGMENT_OUT_TABLE_LEN);
    out->write_buf = el_buddy_alloc(shard->buddy, out->write_buf_len);
    return out->data != NULL && out->table != NULL && out->write_buf != NULL;
}

void segment_out_give(struct store_shard *shard, struct segment_out *out)
{
    el_buddy_free(shard->buddy, out->data);
    el_buddy_free(shard->buddy, out->table);
    el_buddy_free(shard->buddy, out->write_buf);
    out->data = out->table = out->write_buf = NULL;
}

void segment_out_begin(struct segment_out *out, const struct segment *seg)
{
    out->header = (struct el_segment_header){.topic_id = seg->topic_id,
                                             .partition = seg->partition,
                                             .segment_id = seg->id,
                                             .base_offset = seg->base_offset,
                                             .generation = seg->generation};
    EL_ASSERT(out->fd < 0); /* the one before is finished */
    EL_ASSERT(out->index_count == 0);
    segment_path(out->path, sizeof(out->path), &seg->topic_id, seg->partition, seg->id);
    out->len = out->data_len = 0;
    out->count = out->tombstones_s = 0;
    out->first_append_ns = out->last_append_ns = 0;
    out->max_timestamp_ms = INT64_MIN;
    out->made = false;
}

/* --- of jobs ------------------------------------------------------------------------------------------------------ */

/* Errors of writing stop the shard, but for a lack of space or descriptors. */
static int write_outcome(struct segment_out *out, int code)
{
    out->disk_failed = code != 0 && code != EVLOG_ERR_NO_SPACE && code != EVLOG_ERR_NO_FILES &&
                       code != EVLOG_ERR_NO_MEMORY;
    return code;
}

static int make_dirs(struct disk *disk, const struct segment_out *out)
{
    char path[SEGMENT_PATH_MAX];
    segment_topic_path(path, sizeof(path), &out->header.topic_id);
    int code = disk_mkdir(disk, path);
    segment_dir_path(path, sizeof(path), &out->header.topic_id, out->header.partition);
    return code != 0 ? code : disk_mkdir(disk, path);
}

static int out_open(struct disk *disk, struct segment_out *out)
{
    if (out->fd >= 0) {
        return 0;
    }
    int code = out->make_dirs ? make_dirs(disk, out) : 0;
    code = code != 0 ? code : disk_open(disk, out->path, DISK_WRITE | DISK_CREATE, &out->fd);
    out->made = code == 0;
    if (code == 0) {
        code = disk_truncate(disk, out->fd, 0);
    }
    code = code != 0 ? code : disk_open(disk, out->path, DISK_WRITE | DISK_DIRECT, &out->direct_fd);
    return write_outcome(out, code);
}

static int index_room(struct segment_out *out)
{
    if (out->index_count < out->index_room) {
        return 0;
    }
    uint32_t room = out->index_room == 0 ? INDEX_ROOM_FIRST : out->index_room * 2;
    struct el_index_entry *grown = el_realloc(out->index, room * sizeof(*grown));
    if (grown == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    out->index = grown;
    out->index_room = room;
    return 0;
}

/* Write the chunk that was gathered; its batches are at data. */
static int chunk_flush(struct disk *disk, struct segment_out *out, const uint8_t *data, size_t data_len)
{
    uint8_t head[EL_SEGMENT_HEADER_LEN];
    struct iovec iov[3];
    int iov_count = 0;
    if (out->count == 0) {
        return 0;
    }
    EL_ASSERT(out->count <= SEGMENT_OUT_CHUNK_BATCHES);
    EL_ASSERT(out->len % EL_SEGMENT_ALIGN == 0);
    EL_ASSERT(data_len <= EL_CHUNK_DATA_MAX);
    int code = index_room(out);
    code = code != 0 ? code : out_open(disk, out);
    if (code != 0) {
        return code;
    }
    if (out->len == 0) {
        el_segment_header_put(head, &out->header);
        iov[iov_count++] = (struct iovec){head, sizeof(head)};
    }
    uint64_t pos = out->len + (out->len == 0 ? EL_SEGMENT_HEADER_LEN : 0);
    struct el_chunk_header h = {out->header.topic_id, out->header.partition, out->count, out->header.segment_id, pos,
                                (uint32_t)data_len};
    el_chunk_seal(out->table, &h);
    iov[iov_count++] = (struct iovec){out->table, el_chunk_len(out->count, 0)};
    iov[iov_count++] = (struct iovec){(void *)(uintptr_t)data, data_len};
    uint64_t end = el_chunk_end(pos, out->count, data_len);
    code = segment_write_direct(disk, out->direct_fd, iov, iov_count, out->write_buf, out->write_buf_len, out->len);
    if (code != 0) {
        return write_outcome(out, code);
    }
    EL_ASSERT(end > pos);
    EL_ASSERT(out->index_count < out->index_room);
    out->next.pos = pos;
    out->next.len = end - pos;
    out->next.max_timestamp_ms = out->max_timestamp_ms;
    out->index[out->index_count++] = out->next;
    out->written_bytes += end - out->len;
    out->len = end;
    out->count = 0;
    out->data_len = 0;
    return 0;
}

int segment_out_add(struct disk *disk, struct segment_out *out, const struct el_chunk_entry *e, const uint8_t *batch)
{
    int code = 0;
    if (out->count == SEGMENT_OUT_CHUNK_BATCHES || out->data_len + e->len > out->data_max) {
        code = chunk_flush(disk, out, out->data, out->data_len);
    }
    if (code != 0) {
        return code;
    }
    EL_ASSERT(out->data_len <= out->data_max);
    EL_ASSERT(out->count < SEGMENT_OUT_CHUNK_BATCHES);
    if (out->count == 0) {
        EL_ASSERT(out->data_len == 0);
        out->next = (struct el_index_entry){.base_offset = e->base_offset, .append_time_ns = e->append_time_ns};
    }
    el_chunk_entry_put(out->table + EL_CHUNK_HEADER_LEN + (size_t)out->count++ * EL_CHUNK_ENTRY_LEN, e);
    out->max_timestamp_ms = EL_MAX(out->max_timestamp_ms, e->max_timestamp_ms);
    out->first_append_ns = out->first_append_ns == 0 ? e->append_time_ns : out->first_append_ns;
    out->last_append_ns = e->append_time_ns;
    if (e->len > out->data_max) {
        EL_ASSERT(out->count == 1); /* alone in its chunk */
        return chunk_flush(disk, out, batch, e->len);
    }
    memcpy(out->data + out->data_len, batch, e->len);
    out->data_len += e->len;
    return 0;
}

static int write_footer(struct disk *disk, struct segment_out *out)
{
    size_t len = el_footer_len(out->index_count, false);
    uint8_t *footer = el_malloc(len);
    if (footer == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    el_footer_put(footer, out->len, out->index, out->index_count, NULL);
    int code = disk_pwrite(disk, out->fd, footer, len, out->len);
    el_free(footer);
    return code != 0 ? code : disk_truncate(disk, out->fd, out->len + len);
}

/* The file first, then its name; the folders above may be as new as the oldest input. */
static int out_sync(struct disk *disk, const struct segment_out *out)
{
    char path[SEGMENT_PATH_MAX];
    int code = disk_sync(disk, out->fd);
    segment_dir_path(path, sizeof(path), &out->header.topic_id, out->header.partition);
    code = code != 0 ? code : disk_sync_dir(disk, path);
    segment_topic_path(path, sizeof(path), &out->header.topic_id);
    code = code != 0 ? code : disk_sync_dir(disk, path);
    return code != 0 ? code : disk_sync_dir(disk, "topics");
}

void segment_out_close(struct disk *disk, struct segment_out *out)
{
    if (out->direct_fd >= 0) {
        disk_close(disk, out->direct_fd);
    }
    if (out->fd >= 0) {
        disk_close(disk, out->fd);
    }
    out->fd = out->direct_fd = -1;
    el_free(out->index);
    out->index = NULL;
    out->index_count = out->index_room = 0;
}

int segment_out_finish(struct disk *disk, struct segment_out *out)
{
    int code = chunk_flush(disk, out, out->data, out->data_len);
    code = code != 0 ? code : out_open(disk, out);
    if (code != 0) {
        return code;
    }
    if (out->len == 0) { /* nothing is left: a header says so */
        uint8_t head[EL_SEGMENT_HEADER_LEN];
        el_segment_header_put(head, &out->header);
        code = write_outcome(out, disk_pwrite(disk, out->fd, head, sizeof(head), 0));
        out->len = sizeof(head);
    }
    code = code != 0 ? code : write_outcome(out, write_footer(disk, out));
    if (code == 0) {
        code = out_sync(disk, out);
        out->disk_failed = code != 0; /* also for want of space: bytes were lost */
    }
    if (code == 0) {
        segment_out_close(disk, out);
    }
    return code;
}

int segment_out_unlink(struct disk *disk, struct segment_out *out)
{
    segment_out_close(disk, out);
    return out->made ? disk_unlink(disk, out->path) : 0;
}
