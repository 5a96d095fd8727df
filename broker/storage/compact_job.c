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
    EL_ASSERT(!work->reading);
    EL_ASSERT(work->input < work->input_count);
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
    bool beyond = read->entry_count > 0 && read->next_offset > in->end_offset;
    if ((hole && !in->compacted) || beyond || (read->first_offset >= 0 && read->entry_count == 0)) {
        return EVLOG_ERR_CORRUPT;
    }
    EL_ASSERT(read->entry_count == 0 || read->next_offset > work->next_offset); /* it comes to an end */
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

static int filter_entries(struct disk *disk, struct compact_work *work, const struct run *run)
{
    int code = 0;
    for (uint32_t i = 0; i < work->read.entry_count && code == 0; i++) {
        struct compact_kept kept;
        EL_ASSERT(run->entries[i].len == run->table[i].len);
        EL_ASSERT((uint64_t)run->entries[i].pos + run->entries[i].len <= work->read.data_len);
        const uint8_t *batch = run->buf + run->entries[i].pos;
        code = work->rules.redact_end > 0
                   ? compact_batch_redact(&work->rules, batch, &run->table[i], &kept, &work->scratch)
                   : compact_batch_filter(&work->rules, batch, &run->table[i], &kept, &work->scratch);
        if (code == 0) {
            work->dropped_records += kept.dropped;
            work->redacted_batches += kept.redacted;
            code = kept.batch.len == 0 ? 0 : segment_out_add(disk, &work->out, &kept.entry, kept.batch.data);
            if (code == 0 && kept.tombstone_waiting) {
                work->out.tombstones_s = EL_MAX(work->out.tombstones_s, kept.entry.cleaned_s);
            }
        }
    }
    return code;
}

static int64_t write_step(struct disk *disk, struct compact_work *work, struct run *run)
{
    while (run->budget > 0) {
        EL_ASSERT(work->input <= work->group_end);
        if (work->input == work->group_end) {
            int code = segment_out_finish(disk, &work->out);
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
    segment_out_close(disk, &work->out);
    compact_scratch_free(&work->scratch);
}

int64_t compact_job_close(struct disk *disk, void *arg)
{
    struct compact_work *work = arg;
    compact_work_drop(disk, work);
    return segment_out_unlink(disk, &work->out);
}
