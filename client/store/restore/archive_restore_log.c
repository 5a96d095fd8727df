/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of a partition: from its log start to the last batch of the time. Batches of one that is in several
 * incarnations come one after the other; a redacted one leaves its offsets missing.
 */
#include "archive_restore_state.h"

#include <core/assert.h>

#define READ_LEN (8u << 20)

bool restore_goes_on(struct restore *r)
{
    bool go_on = true;
    (void)pthread_mutex_lock(&r->lock);
    if (r->options->progress != NULL) {
        go_on = r->options->progress(r->options->arg, &r->counts);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return go_on;
}

int restore_count(struct restore *r, const struct archive_batches *batches, struct el_error *err)
{
    (void)pthread_mutex_lock(&r->lock);
    r->counts.bytes += batches->data_len;
    (void)pthread_mutex_unlock(&r->lock);
    return restore_goes_on(r)
               ? 0
               : el_error_set(err, EVLOG_ERR_CLOSED, "stopped: begin again, and it goes on where it was");
}

/* The batches of one read. *more: those of the time go on behind them */
static int put_all(struct new_log *log, const struct archive_batches *batches, const struct restore_part *part,
                   int64_t *end, uint64_t *redacted, bool *more, struct el_error *err)
{
    const uint8_t *batch = batches->data;
    int code = 0;
    for (uint32_t i = 0; i < batches->count && code == 0; i++) {
        const struct el_pack_batch *row = &batches->rows[i];
        if (part->until_ns != 0 && row->leaf.append_time_ns > part->until_ns) {
            *more = false;
            return 0;
        }
        code = row->redacted ? 0 : new_log_put(log, row, batch, err);
        *redacted += row->redacted;
        batch += row->redacted ? 0 : row->len;
        *end = el_pack_batch_end(row);
    }
    return code;
}

int restore_read(struct restore *r, struct archive_reader *reader, const struct restore_part *part, int64_t offset,
                 size_t len_max, struct archive_batches *batches, struct el_error *err)
{
    uint32_t tries = 0;
    int code;
    do {
        code = archive_reader_read(reader, &part->topic_id, part->partition, offset, len_max, batches, err);
    } while (object_try_again(code, &tries) && restore_goes_on(r));
    return code;
}

static int copy(struct restore *r, struct archive_reader *reader, struct restore_part *part, struct new_log *log,
                uint64_t *redacted, struct el_error *err)
{
    struct archive_batches batches = {0};
    bool more = true;
    int code = 0;
    for (int64_t offset = part->local_start; more && code == 0; offset = batches.next_offset) {
        code = restore_read(r, reader, part, offset, READ_LEN, &batches, err);
        if (code != 0 || batches.count == 0) {
            break;
        }
        code = put_all(log, &batches, part, &part->end_offset, redacted, &more, err);
        code = code != 0 ? code : restore_count(r, &batches, err);
    }
    archive_batches_free(&batches);
    return code;
}

/* Where a log that is whole already ends: as the archive says, for it was written from there. */
static int find_end(struct archive_reader *reader, struct restore_part *part, const struct archive_range *range,
                    struct el_error *err)
{
    int64_t offset = -1;
    part->end_offset = EL_MAX(range->end_offset, part->log_start);
    if (part->until_ns == 0 || part->until_ns >= (uint64_t)INT64_MAX) {
        return 0;
    }
    int code = archive_reader_seek(reader, &part->topic_id, part->partition, ARCHIVE_APPEND_TIME_NS,
                                   (int64_t)part->until_ns + 1, &offset, err);
    part->end_offset = code == 0 && offset >= 0 ? EL_MAX(offset, part->log_start) : part->end_offset;
    return code;
}

/* The first offset that is restored: of a partition that need not be whole, of the newest events or of the last one. */
static int find_local(struct restore *r, struct archive_reader *reader, struct restore_part *part,
                      const struct archive_range *range, struct el_error *err)
{
    uint64_t complete_ns = archive_reader_state(reader)->header.cut_ns;
    uint64_t from_ns = complete_ns > r->options->recent_ns ? complete_ns - r->options->recent_ns : 0;
    int64_t offset = -1;
    uint32_t tries = 0;
    int code;
    part->local_start = part->log_start;
    if (part->whole || range->last_append_ns == 0) {
        return 0;
    }
    from_ns = EL_MIN(EL_MIN(from_ns, range->last_append_ns), (uint64_t)INT64_MAX);
    do {
        code = archive_reader_seek(reader, &part->topic_id, part->partition, ARCHIVE_APPEND_TIME_NS, (int64_t)from_ns,
                                   &offset, err);
    } while (object_try_again(code, &tries) && restore_goes_on(r));
    if (code == 0 && offset > part->log_start && offset < range->end_offset) {
        part->local_start = offset;
    }
    return code;
}

static void add_bytes(struct restore *r, const struct archive_reader *reader, const struct restore_part *part)
{
    const struct archive_partition *p = archive_state_partition(archive_reader_state(reader), &part->topic_id,
                                                                part->partition);
    (void)pthread_mutex_lock(&r->lock);
    r->counts.left += part->local_start > part->log_start;
    for (uint32_t i = 0; p != NULL && !part->whole && i < p->part_count; i++) {
        struct el_archive_part has = archive_part_at(p, i);
        r->counts.bytes_all += has.end_offset > part->local_start ? has.data_len : 0;
    }
    (void)pthread_mutex_unlock(&r->lock);
}

int restore_log(struct restore *r, struct archive_reader *reader, struct restore_part *part, struct el_error *err)
{
    struct archive_range range;
    struct new_log *log;
    uint64_t redacted = 0;
    part->end_offset = -1;
    int code = archive_reader_range(reader, &part->topic_id, part->partition, &range, err);
    if (code == EVLOG_ERR_UNKNOWN_TOPIC) {
        return 0; /* nothing was appended before the root */
    }
    /* Above the end: what is between was deleted before it was archived. Those offsets are not given out again. */
    part->log_start = code == 0 ? EL_MAX(range.start_offset, range.log_start) : 0;
    if (code == 0 && new_dir_has(r->dir, &part->topic_id, part->partition)) {
        return find_end(reader, part, &range, err);
    }
    code = code != 0 ? code : find_local(r, reader, part, &range, err);
    if (code == 0) {
        add_bytes(r, reader, part);
    }
    struct new_log_head head = {part->topic_id, part->partition, part->shard, part->log_start, part->local_start};
    code = code != 0 ? code : new_log_begin(r->dir, &head, 0, &log, err);
    if (code != 0) {
        return code;
    }
    part->end_offset = part->local_start;
    code = copy(r, reader, part, log, &redacted, err);
    if (code != 0) {
        new_log_drop(log);
        return code;
    }
    code = new_log_end(log, part->end_offset, err);
    (void)pthread_mutex_lock(&r->lock);
    r->counts.partitions += code == 0;
    r->counts.redacted += redacted;
    (void)pthread_mutex_unlock(&r->lock);
    return code;
}
