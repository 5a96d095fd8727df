/* SPDX-License-Identifier: Apache-2.0
 *
 * The job that makes an object: a pack of what a load has gathered, or a segment of what bundles hold.
 *
 *   1. memory for the whole object; parts in order of topic and partition, their tables, their batches
 *   2. each batch is hashed with its salt, many at once; its leaf goes to the result, for the tree of its partition.
 *      The mark of one that was redacted has its hash, and becomes a row alone
 *   3. one try to put it. Failed: the job is run again, and goes on here
 *
 * Of bundles a segment gets table and batches by ranges, and every batch is hashed again: a byte that has changed in
 * the bucket goes no further.
 */
#include <archive/archive_ledger.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <format/redaction.h>
#include <stdio.h>
#include <stdlib.h>

static void redactions_free(struct result_part *part)
{
    for (uint32_t i = 0; i < part->redaction_count; i++) {
        el_free((void *)(uintptr_t)part->redactions[i].reason.data);
    }
    el_free(part->redactions);
}

void archive_result_free(struct archive_result *result)
{
    if (result != NULL) {
        for (uint32_t i = 0; result->parts != NULL && i < result->part_count; i++) {
            redactions_free(&result->parts[i]);
        }
        el_free(result->bytes);
        el_free(result->parts);
        el_free(result->leaves);
        el_free(result);
    }
}

void archive_results_free(struct archive_result *list)
{
    while (list != NULL) {
        struct archive_result *next = list->next;
        archive_result_free(list);
        list = next;
    }
}

static struct archive_result *result_new(uint32_t part_count, uint32_t batch_count, uint64_t data_len)
{
    EL_ASSERT(part_count > 0);
    EL_ASSERT(batch_count >= part_count); /* no part is empty */
    struct archive_result *result = el_calloc(1, sizeof *result);
    if (result == NULL) {
        return NULL;
    }
    result->object.len = EL_PACK_HEADER_LEN + (uint64_t)part_count * EL_PACK_PART_LEN +
                         (uint64_t)batch_count * EL_PACK_BATCH_LEN + data_len;
    result->bytes = el_malloc(result->object.len);
    result->parts = el_calloc(part_count, sizeof *result->parts);
    result->leaves = el_malloc((size_t)batch_count * sizeof *result->leaves);
    if (result->bytes == NULL || result->parts == NULL || result->leaves == NULL) {
        archive_result_free(result);
        return NULL;
    }
    result->part_count = part_count;
    return result;
}

/* --- from a load -------------------------------------------------------------------------------------------------- */

static int by_partition(const void *left, const void *right)
{
    const struct load_part *a = left, *b = right;
    int order = memcmp(a->topic_id.bytes, b->topic_id.bytes, 16);
    return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

static bool is_mark(const struct archive_pack_job *job, const struct read_entry *e, struct el_redaction_mark *mark)
{
    return el_redaction_mark_get(job->data + e->pos, e->len, mark);
}

/* A batch that is gone: its row says what it was. */
static void row_of_mark(const struct read_entry *e, const struct el_redaction_mark *mark, struct el_pack_batch *row)
{
    *row = (struct el_pack_batch){.leaf = {.first_offset = mark->first_offset,
                                           .record_count = mark->record_count,
                                           .append_time_ns = e->append_time_ns,
                                           .max_timestamp_ms = mark->max_timestamp_ms,
                                           .leader_epoch = e->leader_epoch},
                                  .last_offset_delta = mark->last_offset_delta,
                                  .redacted = true};
    memcpy(row->leaf.digest, mark->digest, sizeof row->leaf.digest);
}

/* Note what the manifest is to state; a mark behind one of the same redaction makes it longer. */
static int redaction_note(struct result_part *out, const struct load_part *lp, const struct el_redaction_mark *mark)
{
    struct el_manifest_redaction *last = out->redaction_count == 0 ? NULL : &out->redactions[out->redaction_count - 1];
    int64_t end = mark->first_offset + (int64_t)mark->last_offset_delta + 1;
    if (last != NULL && last->end_offset == mark->first_offset && last->when_ms == mark->when_ms &&
        el_slice_eq(last->reason, mark->reason)) {
        last->end_offset = end;
        return 0;
    }
    struct el_manifest_redaction *more = el_realloc(out->redactions, (out->redaction_count + 1) * sizeof *more);
    if (more == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    out->redactions = more;
    uint8_t *reason = el_malloc(EL_MAX(mark->reason.len, (size_t)1));
    if (reason == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (mark->reason.len > 0) {
        memcpy(reason, mark->reason.data, mark->reason.len);
    }
    more[out->redaction_count++] = (struct el_manifest_redaction){.topic_id = lp->topic_id,
                                                                  .partition = lp->number,
                                                                  .first_offset = mark->first_offset,
                                                                  .end_offset = end,
                                                                  .when_ms = mark->when_ms,
                                                                  .reason = el_slice_of(reason, mark->reason.len)};
    return 0;
}

static void row_make(const struct archive_pack_job *job, const struct read_entry *e, struct el_pack_batch *row)
{
    const uint8_t *batch = job->data + e->pos;
    memset(row, 0, sizeof *row);
    row->leaf.first_offset = el_batch_base_offset(batch);
    row->leaf.record_count = el_get_be32(batch + EL_BATCH_POS_RECORD_COUNT);
    row->leaf.append_time_ns = e->append_time_ns;
    row->leaf.max_timestamp_ms = e->max_timestamp_ms;
    row->leaf.leader_epoch = e->leader_epoch;
    memcpy(row->salt, e->salt, sizeof row->salt);
    row->len = e->len;
    row->last_offset_delta = (uint32_t)el_batch_last_offset_delta(batch);
}

/* Where the next table and the next batches go. */
struct place {
    uint64_t table_pos, data_pos, leaf;
};

static int part_make(const struct archive_pack_job *job, const struct load_part *lp, struct result_part *out,
                     struct place *at)
{
    struct archive_result *result = job->result;
    out->part = (struct el_archive_part){.topic_id = lp->topic_id,
                                         .partition = lp->number,
                                         .batch_count = lp->count,
                                         .first_leaf = lp->first_leaf,
                                         .table_pos = at->table_pos,
                                         .data_pos = at->data_pos};
    EL_ASSERT(lp->count > 0);
    EL_ASSERT(lp->first_entry + lp->count <= job->entry_count);
    out->leaves = &result->leaves[at->leaf];
    for (uint32_t i = 0; i < lp->count; i++) {
        const struct read_entry *e = &job->entries_end[-1 - (ptrdiff_t)(lp->first_entry + i)];
        struct el_redaction_mark mark;
        struct el_pack_batch row;
        EL_ASSERT((uint64_t)e->pos + e->len <= job->data_len);
        if (is_mark(job, e, &mark)) {
            row_of_mark(e, &mark, &row);
            if (redaction_note(out, lp, &mark) != 0) {
                return EVLOG_ERR_NO_MEMORY;
            }
        } else {
            row_make(job, e, &row);
            EL_ASSERT(at->data_pos + e->len <= result->object.len);
            memcpy(result->bytes + at->data_pos, job->data + e->pos, e->len);
        }
        el_pack_batch_put(result->bytes + at->table_pos, &row);
        at->table_pos += EL_PACK_BATCH_LEN;
        at->data_pos += row.len;
        out->part.data_len += row.len;
        out->part.first_offset = i == 0 ? row.leaf.first_offset : out->part.first_offset;
        out->part.end_offset = row.leaf.first_offset + row.last_offset_delta + 1;
        out->last_append_ns = EL_MAX(out->last_append_ns, row.leaf.append_time_ns);
    }
    uint8_t *table = result->bytes + out->part.table_pos;
    el_pack_digests_put(table, lp->count, result->bytes + out->part.data_pos);
    el_merkle_leaves(table, EL_PACK_BATCH_LEN, EL_LEAF_ENTRY_LEN, lp->count, &result->leaves[at->leaf]);
    at->leaf += lp->count;
    el_sha256(table, at->table_pos - out->part.table_pos, out->part.table_sha256);
    return 0;
}

static uint64_t load_data_len(const struct archive_pack_job *job)
{
    struct el_redaction_mark mark;
    uint64_t len = 0;
    for (uint32_t i = 0; i < job->entry_count; i++) {
        const struct read_entry *e = &job->entries_end[-1 - (ptrdiff_t)i];
        len += is_mark(job, e, &mark) ? 0 : e->len;
    }
    return len;
}

static int build_load(struct archive_pack_job *job)
{
    EL_ASSERT(job->part_count > 0);
    EL_ASSERT(job->kind == EL_PACK_BUNDLE || job->part_count == 1);
    job->result = result_new(job->part_count, job->entry_count, load_data_len(job));
    if (job->result == NULL) {
        return el_error_set(&job->err, EVLOG_ERR_NO_MEMORY, "no memory for an object of the archive");
    }
    qsort(job->parts, job->part_count, sizeof *job->parts, by_partition);
    struct place at = {.table_pos = EL_PACK_HEADER_LEN + (uint64_t)job->part_count * EL_PACK_PART_LEN};
    at.data_pos = at.table_pos + (uint64_t)job->entry_count * EL_PACK_BATCH_LEN;
    for (uint32_t i = 0; i < job->part_count; i++) {
        if (part_make(job, &job->parts[i], &job->result->parts[i], &at) != 0) {
            archive_result_free(job->result);
            job->result = NULL;
            return el_error_set(&job->err, EVLOG_ERR_NO_MEMORY, "no memory for an object of the archive");
        }
    }
    EL_ASSERT(at.data_pos == job->result->object.len);
    EL_ASSERT(at.leaf == job->entry_count);
    EL_ASSERT(at.table_pos == job->result->parts[0].part.data_pos); /* tables, then data, and nothing between */
    return 0;
}

/* --- from bundles ------------------------------------------------------------------------------------------------- */

static int get_range(struct archive_pack_job *job, const char *key, uint64_t pos, uint8_t *buf, uint64_t len)
{
    uint64_t done = 0;
    int code = object_get(job->bucket, key, pos, buf, len, &done, &job->err);
    if (code == 0 && done != len) {
        code = el_error_set(&job->err, EVLOG_ERR_TRUNCATED, "%s ends at %llu, %llu bytes are missing", key,
                            (unsigned long long)(pos + done), (unsigned long long)(len - done));
    }
    return code;
}

/* Table and batches of a source against each other, and leaves of its rows. */
static int source_check(struct archive_pack_job *job, const struct archive_source *source, const uint8_t *table,
                        const uint8_t *data, struct el_hash256 *leaves)
{
    uint8_t sha256[32];
    struct result_part *out = &job->result->parts[0];
    uint64_t len = 0, pos = source->part.data_pos;
    uint32_t bad = 0;
    el_sha256(table, (size_t)source->part.batch_count * EL_PACK_BATCH_LEN, sha256);
    if (memcmp(sha256, source->part.table_sha256, 32) != 0) {
        return el_error_set(&job->err, EVLOG_ERR_CORRUPT, "%s: the batch table at %llu is not what was signed",
                            source->key, (unsigned long long)source->part.table_pos);
    }
    for (uint32_t i = 0; i < source->part.batch_count; i++) {
        struct el_pack_batch row;
        int code = el_pack_batch_get(table + (size_t)i * EL_PACK_BATCH_LEN, &row);
        if (code != 0 || row.len > source->part.data_len - len) {
            return el_error_set(&job->err, EVLOG_ERR_CORRUPT, "%s: row %u of the batch table makes no sense",
                                source->key, i);
        }
        len += row.len;
        out->last_append_ns = EL_MAX(out->last_append_ns, row.leaf.append_time_ns);
    }
    if (el_pack_data_check(table, source->part.batch_count, data, &bad) != 0) {
        for (uint32_t i = 0; i < bad; i++) {
            struct el_pack_batch row;
            (void)el_pack_batch_get(table + (size_t)i * EL_PACK_BATCH_LEN, &row); /* it passed above */
            pos += row.len;
        }
        return el_error_set(&job->err, EVLOG_ERR_CORRUPT, "%s: the batch at %llu is not what was signed", source->key,
                            (unsigned long long)pos);
    }
    el_merkle_leaves(table, EL_PACK_BATCH_LEN, EL_LEAF_ENTRY_LEN, source->part.batch_count, leaves);
    return 0;
}

static int build_task(struct archive_pack_job *job)
{
    const struct archive_task *task = job->task;
    const struct el_archive_part *first = &task->sources[0].part, *last = &task->sources[task->source_count - 1].part;
    if (job->result == NULL) {
        job->result = result_new(1, task->batch_count, task->data_len);
        if (job->result == NULL) {
            return el_error_set(&job->err, EVLOG_ERR_NO_MEMORY, "no memory for an object of the archive");
        }
        job->result->replaces = true;
        job->sources_done = 0;
    }
    struct archive_result *result = job->result;
    uint64_t tables_pos = EL_PACK_HEADER_LEN + EL_PACK_PART_LEN;
    struct place at = {.table_pos = tables_pos,
                       .data_pos = tables_pos + (uint64_t)task->batch_count * EL_PACK_BATCH_LEN};
    uint64_t data_pos = at.data_pos;
    for (uint32_t i = 0; i < task->source_count; i++) {
        const struct archive_source *source = &task->sources[i];
        uint64_t table_len = (uint64_t)source->part.batch_count * EL_PACK_BATCH_LEN;
        uint8_t *table = result->bytes + at.table_pos, *data = result->bytes + at.data_pos;
        if (i >= job->sources_done) {
            int code = get_range(job, source->key, source->part.table_pos, table, table_len);
            code = code != 0 ? code : get_range(job, source->key, source->part.data_pos, data, source->part.data_len);
            code = code != 0 ? code : source_check(job, source, table, data, &result->leaves[at.leaf]);
            if (code != 0) {
                return code;
            }
            job->sources_done = i + 1;
        }
        at.table_pos += table_len;
        at.data_pos += source->part.data_len;
        at.leaf += source->part.batch_count;
    }
    EL_ASSERT(at.data_pos == result->object.len);
    EL_ASSERT(at.table_pos == data_pos);
    EL_ASSERT(at.leaf == task->batch_count);
    struct result_part *out = &result->parts[0];
    out->leaves = result->leaves;
    out->part = (struct el_archive_part){.topic_id = first->topic_id,
                                         .partition = first->partition,
                                         .batch_count = task->batch_count,
                                         .first_offset = first->first_offset,
                                         .end_offset = last->end_offset,
                                         .first_leaf = first->first_leaf,
                                         .table_pos = tables_pos,
                                         .data_pos = data_pos,
                                         .data_len = task->data_len};
    el_sha256(result->bytes + tables_pos, data_pos - tables_pos, out->part.table_sha256);
    return 0;
}

/* --- the object --------------------------------------------------------------------------------------------------- */

static void finish(struct archive_pack_job *job)
{
    struct archive_result *result = job->result;
    struct el_manifest_object *object = &result->object;
    EL_ASSERT(job->kind != EL_PACK_SEGMENT || result->part_count == 1);
    struct el_pack_header header = {.part_count = result->part_count,
                                    .incarnation = job->incarnation,
                                    .shard = job->shard,
                                    .kind = job->kind,
                                    .sequence = job->sequence,
                                    .len = object->len};
    el_pack_header_put(result->bytes, &header);
    for (uint32_t i = 0; i < result->part_count; i++) {
        el_archive_part_put(result->bytes + EL_PACK_HEADER_LEN + (size_t)i * EL_PACK_PART_LEN, &result->parts[i].part);
    }
    object->kind = job->kind;
    object->state = EL_OBJECT_LIVE;
    object->shard = job->shard;
    object->part_count = result->part_count;
    object->sequence = job->sequence;
    if (job->kind == EL_PACK_SEGMENT) {
        object->topic_id = result->parts[0].part.topic_id;
        object->partition = result->parts[0].part.partition;
        object->sequence = (uint64_t)result->parts[0].part.first_offset;
    }
    el_sha256(result->bytes, object->len, object->sha256);
}

int64_t archive_pack_run(struct disk *disk, void *arg)
{
    struct archive_pack_job *job = arg;
    char key[EL_ARCHIVE_KEY_MAX];
    bool built = job->result != NULL && (job->task == NULL || job->sources_done == job->task->source_count);
    if (!built) {
        int code = job->task != NULL ? build_task(job) : build_load(job);
        if (code != 0) {
            return code;
        }
        finish(job);
    }
    el_archive_key_object(key, &job->incarnation, &job->result->object);
    int code = object_put_once(job->bucket, key, job->result->bytes, job->result->object.len,
                               job->result->object.sha256, &job->err);
    if (code == 0) {
        el_free(job->result->bytes);
        job->result->bytes = NULL;
    }
    return code;
}
