/* SPDX-License-Identifier: Apache-2.0
 *
 * Events out of an archive: batch tables, batches, and where a time is.
 *
 * 1. the part that holds or follows an offset; below the incarnation's start offset the parent's
 * 2. its batch table, read once and kept for a while: its hash is in the manifest
 * 3. the bytes of as many rows as were asked for, by one range; each batch against its row
 *
 * An object that is not there any more may have been replaced since: the reader looks for a newer root, once.
 */
#include "archive_internal.h"

#include <core/alloc.h>
#include <inttypes.h>

#define PARENTS_MAX 64u

static void object_key(const struct archive_reader *r, uint64_t number, char key[EL_ARCHIVE_KEY_MAX])
{
    struct archive_object object;
    bool known = archive_state_object(r->state, number, &object);
    EL_ASSERT(known); /* a part that counts has a live one */
    el_archive_key_object(key, &r->root.incarnation, &object.now);
}

int archive_table_get(struct archive_reader *r, const struct el_archive_part *part, const uint8_t **rows,
                      struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    struct archive_table *oldest = &r->tables[0];
    uint8_t *read = NULL;
    uint32_t bad = 0;
    for (size_t i = 0; i < ARCHIVE_TABLES; i++) {
        struct archive_table *table = &r->tables[i];
        if (table->object == part->object && table->table_pos == part->table_pos) {
            table->used = ++r->clock;
            *rows = table->rows;
            return 0;
        }
        oldest = table->used < oldest->used ? table : oldest;
    }
    object_key(r, part->object, key);
    int code = archive_fetch(r->store, key, part->table_pos, (uint64_t)part->batch_count * EL_PACK_BATCH_LEN, &read,
                             err);
    if (code != 0) {
        return code == EVLOG_ERR_TRUNCATED ? EVLOG_ERR_CORRUPT : code;
    }
    code = el_pack_table_check(part, read, &bad);
    if (code != 0) {
        el_free(read);
        return el_error_set(err, EVLOG_ERR_CORRUPT,
                            "%s: the batch table at byte %" PRIu64 " is not the one that is signed", key,
                            part->table_pos);
    }
    el_free(oldest->rows);
    *oldest = (struct archive_table){.object = part->object,
                                     .table_pos = part->table_pos,
                                     .used = ++r->clock,
                                     .rows = read,
                                     .len = (uint64_t)part->batch_count * EL_PACK_BATCH_LEN};
    *rows = read;
    return 0;
}

static void row_get(const uint8_t *rows, uint32_t index, struct el_pack_batch *row)
{
    int code = el_pack_batch_get(rows + (size_t)index * EL_PACK_BATCH_LEN, row);
    EL_ASSERT(code == 0); /* the table was checked */
}

/* First row that ends above offset, and where its bytes are. */
static uint32_t row_find(const struct el_archive_part *part, const uint8_t *rows, int64_t offset, uint64_t *pos)
{
    uint32_t index = 0;
    struct el_pack_batch row;
    *pos = part->data_pos;
    for (; index < part->batch_count; index++) {
        row_get(rows, index, &row);
        if (el_pack_batch_end(&row) > offset) {
            break;
        }
        *pos += row.len;
    }
    return index;
}

static int rows_room(struct archive_batches *out, uint32_t count)
{
    if (count <= out->row_max) {
        return 0;
    }
    size_t max = EL_MAX((size_t)count, out->row_max * 2);
    struct el_pack_batch *rows = el_realloc(out->rows, max * sizeof(*rows));
    if (rows == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    out->rows = rows;
    out->row_max = max;
    return 0;
}

/* Rows from index on, of len_max bytes together, one at least, and those only that begin below limit. */
static int rows_take(const struct el_archive_part *part, const uint8_t *rows, uint32_t index, int64_t limit,
                     size_t len_max, struct archive_batches *out)
{
    out->count = 0;
    out->data_len = 0;
    for (uint32_t i = index; i < part->batch_count; i++) {
        struct el_pack_batch row;
        row_get(rows, i, &row);
        if (row.leaf.first_offset >= limit || (out->count > 0 && row.len > len_max - EL_MIN(len_max, out->data_len))) {
            break;
        }
        if (rows_room(out, out->count + 1) != 0) {
            return EVLOG_ERR_NO_MEMORY;
        }
        out->rows[out->count++] = row;
        out->data_len += row.len;
        out->next_offset = el_pack_batch_end(&row);
    }
    return 0;
}

/* Read the bytes of the rows, and compare them. */
static int data_get(struct archive_reader *r, const struct el_archive_part *part, uint64_t pos,
                    struct archive_batches *out, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t *data = NULL;
    size_t at = 0;
    if (out->data_len == 0) {
        return 0;
    }
    object_key(r, part->object, key);
    int code = archive_fetch(r->store, key, pos, out->data_len, &data, err);
    if (code != 0) {
        return code == EVLOG_ERR_TRUNCATED ? EVLOG_ERR_CORRUPT : code;
    }
    el_free(out->data);
    out->data = data;
    out->data_max = out->data_len;
    uint32_t bad = 0;
    if (el_pack_rows_check(out->rows, out->count, data, &bad) != 0) {
        for (uint32_t i = 0; i < bad; i++) {
            at += out->rows[i].len;
        }
        return el_error_set(err, EVLOG_ERR_CORRUPT,
                            "%s: the batch at byte %" PRIu64 ", offset %" PRId64 ", is not the one that is signed", key,
                            pos + at, out->rows[bad].leaf.first_offset);
    }
    return 0;
}

/* The next batches of this incarnation that begin below limit. count 0: none. */
static int read_here(struct archive_reader *r, const struct archive_partition *p, int64_t offset, int64_t limit,
                     size_t len_max, struct archive_batches *out, struct el_error *err)
{
    struct el_archive_part held, *part = &held;
    const uint8_t *rows = NULL;
    uint64_t pos = 0;
    out->count = 0;
    out->data_len = 0;
    if (!archive_partition_part(p, offset, part) || part->first_offset >= limit) {
        return 0;
    }
    int code = archive_table_get(r, part, &rows, err);
    if (code != 0) {
        return code;
    }
    uint32_t index = row_find(part, rows, offset, &pos);
    EL_ASSERT(index < part->batch_count);
    if (rows_take(part, rows, index, limit, len_max, out) != 0) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for rows of a batch table");
    }
    out->first_leaf = part->first_leaf + index;
    out->incarnation = r->root.incarnation;
    return out->count == 0 ? 0 : data_get(r, part, pos, out, err);
}

static int read_chain(struct archive_reader *r, const struct el_uuid *topic_id, int32_t partition, int64_t offset,
                      size_t len_max, struct archive_batches *out, struct el_error *err)
{
    const struct archive_partition *chain[PARENTS_MAX];
    struct archive_reader *readers[PARENTS_MAX];
    uint32_t depth = 0;
    int64_t limit = INT64_MAX;
    char place[ARCHIVE_PLACE_MAX];
    struct archive_reader *at = r;
    /* Down to the incarnation that holds the offset ... */
    for (;;) {
        const struct archive_partition *p = archive_state_partition(at->state, topic_id, partition);
        if (p == NULL && depth == 0) {
            return el_error_set(err, EVLOG_ERR_UNKNOWN_TOPIC, "the archive has nothing of %s",
                                archive_place(place, topic_id, partition));
        }
        if (p == NULL) {
            break;
        }
        readers[depth] = at;
        chain[depth++] = p;
        if (offset >= p->now.start_offset || depth == PARENTS_MAX) {
            break;
        }
        struct archive_reader *parent = NULL;
        int code = archive_reader_parent(at, &parent, err);
        if (code != 0) {
            return code;
        }
        if (parent == NULL) {
            break;
        }
        at = parent;
    }
    /* ... and up again, when nothing follows there. */
    int64_t end_offset = chain[0]->now.end_offset;
    while (depth-- > 0) {
        limit = depth == 0 ? INT64_MAX : chain[depth - 1]->now.start_offset;
        int code = read_here(readers[depth], chain[depth], offset, limit, len_max, out, err);
        if (code != 0 || out->count > 0) {
            return code;
        }
    }
    out->next_offset = EL_MAX(end_offset, offset);
    return 0;
}

int archive_reader_read(struct archive_reader *r, const struct el_uuid *topic_id, int32_t partition, int64_t offset,
                        size_t len_max, struct archive_batches *out, struct el_error *err)
{
    bool moved = false;
    int code = read_chain(r, topic_id, partition, offset, len_max, out, err);
    if (code == EVLOG_ERR_NOT_FOUND && archive_reader_refresh(r, &moved, NULL) == 0 && moved) {
        code = read_chain(r, topic_id, partition, offset, len_max, out, err);
    }
    if (code != 0) {
        out->count = 0;
        out->data_len = 0;
    }
    return code == EVLOG_ERR_NOT_FOUND ? EVLOG_ERR_CORRUPT : code; /* what a root covers must be there */
}

void archive_batches_free(struct archive_batches *batches)
{
    el_free(batches->rows);
    el_free(batches->data);
    *batches = (struct archive_batches){.count = 0};
}

/* --- where a time is -----------------------------------------------------------------------------------------------
 * */

static bool reached(const struct el_pack_batch *row, enum archive_time by, int64_t time)
{
    return by == ARCHIVE_APPEND_TIME_NS ? row->leaf.append_time_ns >= (uint64_t)EL_MAX(time, 0)
                                        : row->leaf.max_timestamp_ms >= time;
}

/* First row of the part, ending above seek->from and beginning below limit, that reaches the time; *offset -1: none. */
static int seek_part(struct archive_reader *r, const struct el_archive_part *part, const struct archive_seek *seek,
                     int64_t limit, int64_t *offset, struct el_error *err)
{
    const uint8_t *rows = NULL;
    int code = archive_table_get(r, part, &rows, err);
    *offset = -1;
    for (uint32_t i = 0; code == 0 && i < part->batch_count; i++) {
        struct el_pack_batch row;
        row_get(rows, i, &row);
        if (row.leaf.first_offset >= limit) {
            break;
        }
        if (el_pack_batch_end(&row) > seek->from_offset && reached(&row, seek->by, seek->time)) {
            *offset = row.leaf.first_offset;
            break;
        }
    }
    return code;
}

/* Parts whose last batch was appended before `time` lie below the one that is returned: append times do not fall. */
static int first_part(struct archive_reader *r, const struct archive_partition *p, int64_t time, uint32_t *first,
                      struct el_error *err)
{
    uint32_t low = 0, high = p->part_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const uint8_t *rows = NULL;
        struct el_pack_batch last;
        struct el_archive_part part = archive_part_at(p, mid);
        int code = archive_table_get(r, &part, &rows, err);
        if (code != 0) {
            return code;
        }
        row_get(rows, part.batch_count - 1, &last);
        if (reached(&last, ARCHIVE_APPEND_TIME_NS, time)) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    *first = low;
    return 0;
}

static int seek_here(struct archive_reader *r, const struct archive_partition *p, const struct archive_seek *seek,
                     int64_t limit, int64_t *offset, struct el_error *err)
{
    uint32_t from = 0;
    int code = seek->by == ARCHIVE_APPEND_TIME_NS ? first_part(r, p, seek->time, &from, err) : 0;
    *offset = -1;
    for (uint32_t i = from; code == 0 && i < p->part_count && *offset < 0; i++) {
        struct el_archive_part part = archive_part_at(p, i);
        if (part.first_offset >= limit) {
            break;
        }
        if (part.end_offset > seek->from_offset) {
            code = seek_part(r, &part, seek, limit, offset, err);
        }
    }
    return code;
}

static int seek_chain(struct archive_reader *r, const struct el_uuid *topic_id, int32_t partition,
                      const struct archive_seek *seek, int64_t *offset, struct el_error *err)
{
    const struct archive_partition *chain[PARENTS_MAX];
    struct archive_reader *readers[PARENTS_MAX], *at = r;
    uint32_t depth = 0;
    while (at != NULL && depth < PARENTS_MAX) {
        const struct archive_partition *p = archive_state_partition(at->state, topic_id, partition);
        if (p == NULL) {
            break;
        }
        readers[depth] = at;
        chain[depth++] = p;
        int code = archive_reader_parent(at, &at, err);
        if (code != 0) {
            return code;
        }
    }
    if (depth == 0) {
        char place[ARCHIVE_PLACE_MAX];
        return el_error_set(err, EVLOG_ERR_UNKNOWN_TOPIC, "the archive has nothing of %s",
                            archive_place(place, topic_id, partition));
    }
    *offset = -1;
    while (depth-- > 0 && *offset < 0) {
        int64_t limit = depth == 0 ? INT64_MAX : chain[depth - 1]->now.start_offset;
        int code = seek_here(readers[depth], chain[depth], seek, limit, offset, err);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

int archive_reader_seek_from(struct archive_reader *r, const struct el_uuid *topic_id, int32_t partition,
                             const struct archive_seek *seek, int64_t *offset, struct el_error *err)
{
    bool moved = false;
    int code = seek_chain(r, topic_id, partition, seek, offset, err);
    if (code == EVLOG_ERR_NOT_FOUND && archive_reader_refresh(r, &moved, NULL) == 0 && moved) {
        code = seek_chain(r, topic_id, partition, seek, offset, err);
    }
    return code == EVLOG_ERR_NOT_FOUND ? EVLOG_ERR_CORRUPT : code; /* what a root covers must be there */
}

int archive_reader_seek(struct archive_reader *r, const struct el_uuid *topic_id, int32_t partition,
                        enum archive_time by, int64_t time, int64_t *offset, struct el_error *err)
{
    struct archive_seek seek = {.by = by, .time = time, .from_offset = INT64_MIN};
    return archive_reader_seek_from(r, topic_id, partition, &seek, offset, err);
}

/* --- where so many bytes begin --------------------------------------------------------------------------------------
 * */

int archive_reader_seek_size(struct archive_reader *r, const struct el_uuid *topic_id, int32_t partition,
                             int64_t end_offset, uint64_t len, int64_t *offset, struct el_error *err)
{
    struct archive_reader *at = r;
    int64_t limit = end_offset;
    uint64_t left = len;
    char place[ARCHIVE_PLACE_MAX];
    *offset = -1;
    for (uint32_t depth = 0; at != NULL && depth < PARENTS_MAX; depth++) {
        const struct archive_partition *p = archive_state_partition(at->state, topic_id, partition);
        if (p == NULL) {
            break;
        }
        for (uint32_t i = p->part_count; i > 0; i--) {
            const struct el_archive_part held = archive_part_at(p, i - 1), *part = &held;
            if (part->first_offset >= limit) {
                continue;
            }
            int64_t last = EL_MIN(part->end_offset, limit);
            double each = (double)part->data_len / (double)(part->end_offset - part->first_offset);
            uint64_t share = last == part->end_offset ? part->data_len
                                                      : (uint64_t)(each * (double)(last - part->first_offset));
            if (share > left) {
                *offset = EL_MAX(last - (int64_t)((double)left / each), part->first_offset);
                return 0;
            }
            left -= share;
        }
        limit = EL_MIN(limit, p->now.start_offset);
        *offset = limit;
        int code = archive_reader_parent(at, &at, err);
        if (code != 0) {
            return code;
        }
    }
    return *offset >= 0 ? 0
                        : el_error_set(err, EVLOG_ERR_UNKNOWN_TOPIC, "the archive has nothing of %s",
                                       archive_place(place, topic_id, partition));
}
