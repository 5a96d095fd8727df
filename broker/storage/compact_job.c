/* SPDX-License-Identifier: Apache-2.0
 *
 * Compaction's jobs, on workers.
 *
 *   map     1. read the dirty inputs front to back, batch by batch; 2. put each record's key into the map
 *   write   1. read the inputs of a group front to back; 2. compact_batch_filter() says what is left of a batch;
 *           3. batches gather in a chunk, which is written past the page cache when it is full; 4. at the end of the
 *           group: footer, length, sync of the file, sync of the folders
 *
 * Memory: the map and what a chunk gathers in are blocks of the shard's buddy. Batches being read, and what they are
 * unpacked to, are on the heap for the time of a job; indexes of segments as well, until the group ends.
 *
 * What cannot be read is an error, and nothing is left out by it: an input that has holes without being compacted, a
 * damaged chunk, a batch that does not decode.
 */
#include <storage/compact_job.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <stdio.h>

#define STEP_LEN (4u << 20) /* bytes that a job reads before it lets others go first */
#define READ_LEN (256u << 10)
#define READ_ENTRIES 256u
#define INDEX_ROOM_FIRST 64u

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* Batches that were read at once; heap of the job. */
struct run {
    uint8_t *buf;
    size_t buf_len;
    struct read_entry *entries;
    struct el_chunk_entry *table;
    uint64_t budget; /* bytes that may still be read */
};

static void run_free(struct run *run)
{
    el_free(run->buf);
    el_free(run->entries);
    el_free(run->table);
}

static int run_init(struct run *run)
{
    *run = (struct run){.buf = el_malloc(READ_LEN),
                        .buf_len = READ_LEN,
                        .entries = el_calloc(READ_ENTRIES, sizeof(*run->entries)),
                        .table = el_calloc(READ_ENTRIES, sizeof(*run->table)),
                        .budget = STEP_LEN};
    if (run->buf == NULL || run->entries == NULL || run->table == NULL) {
        run_free(run);
        return EVLOG_ERR_NO_MEMORY;
    }
    return 0;
}

static void input_close(struct disk *disk, struct compact_work *work)
{
    if (work->reading) {
        if (work->read.fd >= 0) {
            disk_close(disk, work->read.fd);
        }
        segment_index_release(work->read.index);
        work->reading = false;
    }
}

static void input_open(struct compact_work *work, int64_t from)
{
    const struct compact_input *in = &work->inputs[work->input];
    work->read = (struct segment_read){.topic_id = work->topic_id,
                                       .partition = work->partition,
                                       .segment_id = in->id,
                                       .fd = -1,
                                       .written_len = in->written_len,
                                       .sealed = true,
                                       .kind = SEEK_OFFSET};
    segment_path(work->read.path, sizeof(work->read.path), &work->topic_id, work->partition, in->id);
    work->next_offset = EL_MAX(in->base_offset, from);
    work->reading = true;
}

/* Read on in the input that is open. returns 0; read.entry_count is 0 at its end */
static int input_read(struct disk *disk, struct compact_work *work, struct run *run)
{
    const struct compact_input *in = &work->inputs[work->input];
    struct segment_read *read = &work->read;
    int code = EVLOG_ERR_LIMIT;
    read->entry_count = 0;
    if (work->next_offset >= in->end_offset) {
        return 0;
    }
    while (code == EVLOG_ERR_LIMIT) {
        read->value = work->next_offset;
        read->end_offset = INT64_MAX;
        read->buf = run->buf;
        read->buf_len = read->data_max = run->buf_len;
        read->entries = run->entries;
        read->table = run->table;
        read->entry_max = READ_ENTRIES;
        read->at_least_one = true;
        code = segment_read_run(disk, read);
        if (read->new_index != NULL) {
            segment_index_release(read->index);
            read->index = read->new_index;
            read->new_index = NULL;
        }
        if (code == EVLOG_ERR_LIMIT) {
            uint8_t *larger = read->wanted_len > EL_BATCH_LEN_MAX ? NULL : el_realloc(run->buf, read->wanted_len);
            if (larger == NULL) {
                return read->wanted_len > EL_BATCH_LEN_MAX ? EVLOG_ERR_CORRUPT : EVLOG_ERR_NO_MEMORY;
            }
            run->buf = larger;
            run->buf_len = read->wanted_len;
        }
    }
    if (code != 0) {
        return code;
    }
    bool hole = read->first_offset < 0 || read->first_offset > work->next_offset;
    if ((hole && !in->compacted) || (read->first_offset >= 0 && read->entry_count == 0)) {
        return EVLOG_ERR_CORRUPT;
    }
    work->next_offset = read->entry_count == 0 ? in->end_offset : read->next_offset;
    work->read_bytes += read->data_len;
    run->budget -= EL_MIN(run->budget, (uint64_t)read->data_len + 1);
    return 0;
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static int map_entries(struct compact_work *work, const struct run *run)
{
    int code = 0;
    for (uint32_t i = 0; i < work->read.entry_count && code == 0; i++) {
        const struct read_entry *e = &run->entries[i];
        code = compact_batch_map(&work->rules, run->buf + e->pos, e->len, work->map_from, &work->rules.map_end,
                                 &work->scratch);
    }
    return code;
}

static int64_t map_step(struct disk *disk, struct compact_work *work, struct run *run)
{
    while (run->budget > 0) {
        while (work->input < work->input_count && !work->reading && !work->inputs[work->input].dirty) {
            work->input++;
        }
        if (work->input == work->input_count) {
            return COMPACT_DONE;
        }
        if (!work->reading) {
            input_open(work, work->map_from);
        }
        int code = input_read(disk, work, run);
        if (code == 0 && work->read.entry_count == 0) {
            work->rules.map_end = work->inputs[work->input].end_offset;
            input_close(disk, work);
            work->input++;
            continue;
        }
        code = code != 0 ? code : map_entries(work, run);
        if (code == EVLOG_ERR_FULL) {
            input_close(disk, work);
            return COMPACT_DONE;
        }
        if (code != 0) {
            return code;
        }
    }
    return COMPACT_MORE;
}

int64_t compact_job_map(struct disk *disk, void *arg)
{
    struct compact_work *work = arg;
    struct run run;
    int64_t code = run_init(&run);
    if (code == 0 && work->rules.map.key_count == 0) {
        compact_map_clear(&work->rules.map);
    }
    if (code == 0) {
        code = map_step(disk, work, &run);
        run_free(&run);
    }
    compact_scratch_free(&work->scratch);
    return code;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

/* Errors of writing stop the shard, but for a lack of space or descriptors. */
static int write_outcome(struct compact_work *work, int code)
{
    work->disk_failed = code != 0 && code != EVLOG_ERR_NO_SPACE && code != EVLOG_ERR_NO_FILES &&
                        code != EVLOG_ERR_NO_MEMORY;
    return code;
}

static int out_open(struct disk *disk, struct compact_work *work)
{
    struct compact_output *out = &work->out;
    if (out->fd >= 0) {
        return 0;
    }
    int code = disk_open(disk, out->path, DISK_WRITE | DISK_CREATE, &out->fd);
    out->made = code == 0;
    if (code == 0) {
        code = disk_truncate(disk, out->fd, 0);
    }
    code = code != 0 ? code : disk_open(disk, out->path, DISK_WRITE | DISK_DIRECT, &out->direct_fd);
    return write_outcome(work, code);
}

static int index_room(struct compact_output *out)
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
static int chunk_flush(struct disk *disk, struct compact_work *work, const uint8_t *data, size_t data_len)
{
    struct compact_output *out = &work->out;
    uint8_t head[EL_SEGMENT_HEADER_LEN];
    struct iovec iov[3];
    int iov_count = 0;
    if (out->count == 0) {
        return 0;
    }
    int code = index_room(out);
    code = code != 0 ? code : out_open(disk, work);
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
        return write_outcome(work, code);
    }
    out->next.pos = pos;
    out->next.len = end - pos;
    out->next.max_timestamp_ms = out->max_timestamp_ms;
    out->index[out->index_count++] = out->next;
    work->written_bytes += end - out->len;
    out->len = end;
    out->count = 0;
    out->data_len = 0;
    return 0;
}

/* Put one batch behind the others. A chunk takes a batch that is longer than what chunks gather in. */
static int out_add(struct disk *disk, struct compact_work *work, const struct compact_kept *kept)
{
    struct compact_output *out = &work->out;
    const struct el_chunk_entry *e = &kept->entry;
    int code = 0;
    if (out->count == COMPACT_CHUNK_BATCHES || out->data_len + e->len > out->data_max) {
        code = chunk_flush(disk, work, out->data, out->data_len);
    }
    if (code != 0) {
        return code;
    }
    if (out->count == 0) {
        out->next = (struct el_index_entry){.base_offset = e->base_offset, .append_time_ns = e->append_time_ns};
    }
    el_chunk_entry_put(out->table + EL_CHUNK_HEADER_LEN + (size_t)out->count++ * EL_CHUNK_ENTRY_LEN, e);
    out->max_timestamp_ms = EL_MAX(out->max_timestamp_ms, e->max_timestamp_ms);
    out->first_append_ns = out->first_append_ns == 0 ? e->append_time_ns : out->first_append_ns;
    out->last_append_ns = e->append_time_ns;
    if (kept->tombstone_waiting) {
        out->tombstones_s = EL_MAX(out->tombstones_s, e->cleaned_s);
    }
    if (e->len > out->data_max) {
        return chunk_flush(disk, work, kept->batch.data, kept->batch.len);
    }
    memcpy(out->data + out->data_len, kept->batch.data, kept->batch.len);
    out->data_len += kept->batch.len;
    return 0;
}

static int filter_entries(struct disk *disk, struct compact_work *work, const struct run *run)
{
    int code = 0;
    for (uint32_t i = 0; i < work->read.entry_count && code == 0; i++) {
        struct compact_kept kept;
        code = compact_batch_filter(&work->rules, run->buf + run->entries[i].pos, &run->table[i], &kept,
                                    &work->scratch);
        if (code == 0) {
            work->dropped_records += kept.dropped;
            code = kept.batch.len == 0 ? 0 : out_add(disk, work, &kept);
        }
    }
    return code;
}

static int write_footer(struct disk *disk, struct compact_output *out)
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
static int out_sync(struct disk *disk, const struct compact_work *work)
{
    char path[SEGMENT_PATH_MAX];
    int code = disk_sync(disk, work->out.fd);
    segment_dir_path(path, sizeof(path), &work->topic_id, work->partition);
    code = code != 0 ? code : disk_sync_dir(disk, path);
    segment_topic_path(path, sizeof(path), &work->topic_id);
    code = code != 0 ? code : disk_sync_dir(disk, path);
    return code != 0 ? code : disk_sync_dir(disk, "topics");
}

static void out_close(struct disk *disk, struct compact_output *out)
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

static int out_finish(struct disk *disk, struct compact_work *work)
{
    struct compact_output *out = &work->out;
    int code = chunk_flush(disk, work, out->data, out->data_len);
    code = code != 0 ? code : out_open(disk, work);
    if (code != 0) {
        return code;
    }
    if (out->len == 0) { /* nothing is left: a header says so */
        uint8_t head[EL_SEGMENT_HEADER_LEN];
        el_segment_header_put(head, &out->header);
        code = write_outcome(work, disk_pwrite(disk, out->fd, head, sizeof(head), 0));
        out->len = sizeof(head);
    }
    code = code != 0 ? code : write_outcome(work, write_footer(disk, out));
    if (code == 0) {
        code = out_sync(disk, work);
        work->disk_failed = code != 0; /* also for want of space: bytes were lost */
    }
    if (code == 0) {
        out_close(disk, out);
    }
    return code;
}

static int64_t write_step(struct disk *disk, struct compact_work *work, struct run *run)
{
    while (run->budget > 0) {
        if (work->input == work->group_end) {
            int code = out_finish(disk, work);
            return code != 0 ? code : COMPACT_DONE;
        }
        if (!work->reading) {
            input_open(work, 0);
        }
        int code = input_read(disk, work, run);
        if (code == 0 && work->read.entry_count == 0) {
            input_close(disk, work);
            work->input++;
            continue;
        }
        code = code != 0 ? code : filter_entries(disk, work, run);
        if (code != 0) {
            return code;
        }
    }
    return COMPACT_MORE;
}

int64_t compact_job_write(struct disk *disk, void *arg)
{
    struct compact_work *work = arg;
    struct run run;
    int64_t code = run_init(&run);
    if (code == 0) {
        code = write_step(disk, work, &run);
        run_free(&run);
    }
    compact_scratch_free(&work->scratch);
    return code;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

void compact_work_drop(struct disk *disk, struct compact_work *work)
{
    input_close(disk, work);
    out_close(disk, &work->out);
    compact_scratch_free(&work->scratch);
}

int64_t compact_job_close(struct disk *disk, void *arg)
{
    struct compact_work *work = arg;
    compact_work_drop(disk, work);
    return work->out.made ? disk_unlink(disk, work->out.path) : 0;
}
