/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading segments: blocking, on a worker (or on the main thread during recovery), never touching shard state.
 *
 *   1. open the file if the shard had it closed
 *   2. bring the chunk index up to the readable length: from the footer of a sealed segment, else by walking chunks
 *   3. find the chunk and in its table the batch
 *   4. read batches from there on, whole ones, as many as fit; verify each against its table entry
 *
 * Everything read is checked: a chunk that does not verify is EVLOG_ERR_CORRUPT for the range asked, and for nothing
 * else: neighbouring chunks stay readable. Walking leads past a damaged chunk when its length can be told; else what
 * lies behind it is damaged as well, and what lies before it is read as ever.
 */
#include <storage/segment.h>

#include <core/alloc.h>
#include <core/hash.h>
#include <evlog/error.h>

struct segment_index {
    uint32_t count;
    uint32_t holders;        /* the segment and reads under way; changed on the shard only, once it is shared */
    uint64_t covered_len;    /* file bytes that it describes */
    bool damaged;            /* by walking: something does not verify; entries of it have length 0 */
    int64_t next_offset;     /* by walking: behind the last good chunk */
    uint64_t last_append_ns; /* by walking: of the last good chunk's last batch */
    struct el_index_entry entries[];
};

uint32_t segment_index_count(const struct segment_index *index)
{
    return index == NULL ? 0 : index->count;
}
bool segment_index_damaged(const struct segment_index *index)
{
    return index != NULL && index->damaged;
}
const struct el_index_entry *segment_index_entries(const struct segment_index *index)
{
    return index == NULL ? NULL : index->entries;
}
struct segment_index *segment_index_hold(struct segment_index *index)
{
    if (index != NULL) {
        index->holders++;
    }
    return index;
}
void segment_index_release(struct segment_index *index)
{
    if (index != NULL) {
        EL_ASSERT(index->holders > 0);
        if (--index->holders == 0) {
            el_free(index);
        }
    }
}

static int read_exact(struct disk *disk, int fd, void *buf, size_t len, uint64_t pos)
{
    size_t done = 0;
    int code = disk_pread(disk, fd, buf, len, pos, &done);
    return code != 0 ? code : done == len ? 0 : EVLOG_ERR_CORRUPT;
}

/* --- one chunk's header and table --------------------------------------------------------------------------------- */

struct chunk_view {
    struct el_chunk_header header;
    uint8_t *table; /* header and entries, el_malloc */
    uint64_t data_pos;
    uint64_t len;
};

static void chunk_view_free(struct chunk_view *view)
{
    el_free(view->table);
    view->table = NULL;
}

static int chunk_view_read(struct disk *disk, const struct segment_read *read, uint64_t pos, struct chunk_view *view)
{
    uint8_t head[EL_CHUNK_HEADER_LEN];
    view->table = NULL;
    if (pos > read->written_len || read->written_len - pos < EL_CHUNK_HEADER_LEN) {
        return EVLOG_ERR_CORRUPT;
    }
    int code = read_exact(disk, read->fd, head, sizeof(head), pos);
    if (code == 0) {
        code = el_chunk_header_get(head, &view->header);
    }
    if (code != 0) {
        return code;
    }
    const struct el_chunk_header *h = &view->header;
    view->len = el_chunk_end(pos, h->count, h->data_len) - pos;
    if (h->pos != pos || h->segment_id != read->segment_id || h->partition != read->partition ||
        !el_uuid_eq(&h->topic_id, &read->topic_id) || view->len > read->written_len - pos) {
        return EVLOG_ERR_CORRUPT;
    }
    size_t table_len = EL_CHUNK_HEADER_LEN + (size_t)h->count * EL_CHUNK_ENTRY_LEN;
    view->table = el_malloc(table_len);
    if (view->table == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    memcpy(view->table, head, sizeof(head));
    code = read_exact(disk, read->fd, view->table + sizeof(head), table_len - sizeof(head), pos + sizeof(head));
    if (code == 0) {
        code = el_chunk_check(view->table, h);
    }
    if (code != 0) {
        chunk_view_free(view);
    }
    view->data_pos = pos + table_len;
    return code;
}

/* Where the chunk behind a damaged one begins: where one is valid, else at the end of what is written. */
static int chunk_skip(struct disk *disk, const struct segment_read *read, uint64_t pos, uint64_t *next)
{
    uint64_t rest = read->written_len - pos, guesses[EL_CHUNK_GUESSES] = {0};
    size_t len = (size_t)EL_MIN(rest, EL_CHUNK_HEADER_LEN + (uint64_t)EL_CHUNK_COUNT_MAX * EL_CHUNK_ENTRY_LEN);
    size_t done = 0;
    uint8_t *head = el_malloc(len);
    if (head == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int code = disk_pread(disk, read->fd, head, len, pos, &done);
    if (code == 0 && done >= EL_CHUNK_HEADER_LEN) {
        el_chunk_guess(head, done, guesses);
    }
    el_free(head);
    *next = read->written_len;
    for (int i = 0; i < EL_CHUNK_GUESSES && code == 0; i++) {
        struct chunk_view view = {0};
        uint64_t behind = EL_ALIGN_UP(pos + guesses[i], (uint64_t)EL_SEGMENT_ALIGN);
        if (guesses[i] == 0 || behind >= *next) {
            continue; /* a wrong length may lead to a chunk farther behind */
        }
        code = chunk_view_read(disk, read, behind, &view);
        *next = code == 0 ? behind : *next;
        code = code == EVLOG_ERR_CORRUPT ? 0 : code;
        chunk_view_free(&view);
    }
    return code;
}

static void chunk_view_entry(const struct chunk_view *view, uint32_t i, struct el_chunk_entry *e)
{
    el_chunk_entry_get(view->table + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN, e);
}

/* --- index -------------------------------------------------------------------------------------------------------- */

static struct segment_index *index_grow(struct segment_index *index, uint32_t room)
{
    struct segment_index *grown = el_realloc(index, sizeof(*index) + (size_t)room * sizeof(index->entries[0]));
    if (grown != NULL) {
        grown->holders = 1;
    }
    return grown;
}

static int index_from_footer(struct disk *disk, struct segment_read *read)
{
    uint8_t trailer[EL_SEGMENT_TRAILER_LEN];
    uint64_t file_len = 0, pos = 0, len = 0, checksum = 0;
    int code = disk_len(disk, read->fd, &file_len);
    if (code != 0 || file_len < EL_SEGMENT_TRAILER_LEN) {
        return code != 0 ? code : EVLOG_ERR_CORRUPT;
    }
    code = read_exact(disk, read->fd, trailer, sizeof(trailer), file_len - sizeof(trailer));
    if (code == 0) {
        code = el_trailer_get(trailer, file_len, &pos, &len, &checksum);
    }
    if (code != 0 || pos != read->written_len) {
        return code != 0 ? code : EVLOG_ERR_CORRUPT;
    }
    uint8_t *footer = el_malloc((size_t)len);
    if (footer == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_slice section;
    code = read_exact(disk, read->fd, footer, (size_t)len, pos);
    if (code == 0) {
        code = el_footer_section(footer, (size_t)len, checksum, EL_FOOTER_INDEX_TAG, &section);
    }
    if (code == 0) {
        uint32_t count = (uint32_t)(section.len / EL_INDEX_ENTRY_LEN);
        struct segment_index *index = index_grow(NULL, count);
        if (index == NULL) {
            code = EVLOG_ERR_NO_MEMORY;
        } else {
            index->count = count;
            index->damaged = false;
            index->covered_len = read->written_len;
            for (uint32_t i = 0; i < count; i++) {
                el_index_entry_get(section.data + (size_t)i * EL_INDEX_ENTRY_LEN, &index->entries[i]);
            }
            read->new_index = index;
        }
    }
    el_free(footer);
    return code;
}

/* Describe one more chunk. */
static void index_add(struct segment_index *index, const struct chunk_view *view)
{
    struct el_chunk_entry e = {0}; /* a chunk has one at least */
    EL_ASSERT(view->header.count > 0);
    EL_ASSERT(view->header.pos == index->covered_len);
    int64_t max = index->count == 0 ? INT64_MIN : index->entries[index->count - 1].max_timestamp_ms;
    for (uint32_t i = 0; i < view->header.count; i++) {
        chunk_view_entry(view, i, &e);
        max = EL_MAX(max, e.max_timestamp_ms);
    }
    index->next_offset = e.base_offset + (int64_t)e.last_offset_delta + 1;
    index->last_append_ns = e.append_time_ns;
    chunk_view_entry(view, 0, &e);
    index->entries[index->count++] = (struct el_index_entry){e.base_offset, view->header.pos, max, e.append_time_ns,
                                                             view->len};
    index->covered_len = view->header.pos + view->len;
}

/* Describe a damaged range up to file position `next`: it begins where the good chunk before it ended, and may hold any
 * event time. */
static void index_add_damage(struct segment_index *index, uint64_t next)
{
    if (index->count == 0 || index->entries[index->count - 1].len > 0) { /* else the range goes on */
        index->entries[index->count++] = (struct el_index_entry){index->next_offset, index->covered_len, INT64_MAX,
                                                                 index->last_append_ns, 0};
    }
    EL_ASSERT(next > index->covered_len); /* the walk goes on */
    index->damaged = true;
    index->covered_len = next;
}

static int index_walk(struct disk *disk, struct segment_read *read, int64_t base_offset)
{
    uint32_t room = segment_index_count(read->index) + 16;
    struct segment_index *index = index_grow(NULL, room);
    if (index == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    index->count = 0;
    index->covered_len = EL_SEGMENT_HEADER_LEN;
    index->damaged = false;
    index->next_offset = base_offset;
    index->last_append_ns = 0;
    if (read->index != NULL) {
        memcpy(index, read->index, sizeof(*index) + read->index->count * sizeof(index->entries[0]));
        index->holders = 1;
    }
    int code = 0;
    while (index->covered_len < read->written_len && code == 0) {
        struct chunk_view view;
        uint64_t next = 0;
        code = chunk_view_read(disk, read, index->covered_len, &view);
        bool damaged = code == EVLOG_ERR_CORRUPT;
        if (damaged) {
            code = chunk_skip(disk, read, index->covered_len, &next);
        }
        if (code == 0 && index->count == room) {
            struct segment_index *larger = index_grow(index, room * 2);
            code = larger == NULL ? EVLOG_ERR_NO_MEMORY : 0;
            index = larger == NULL ? index : larger;
            room *= 2;
        }
        if (code == 0 && damaged) {
            index_add_damage(index, next);
        } else if (code == 0) {
            index_add(index, &view);
        }
        EL_ASSERT(index->count <= room);
        chunk_view_free(&view);
    }
    EL_ASSERT(index->covered_len <= EL_MAX(read->written_len, (uint64_t)EL_SEGMENT_HEADER_LEN));
    read->new_index = index;
    return code;
}

/* --- search ------------------------------------------------------------------------------------------------------- */

/* First chunk that may hold what is sought. */
static uint32_t index_search(const struct segment_index *index, enum seek_kind kind, int64_t value)
{
    uint32_t low = 0, high = index->count;
    while (low < high) { /* first chunk that is certainly not before the answer */
        uint32_t mid = low + (high - low) / 2;
        const struct el_index_entry *e = &index->entries[mid];
        bool before = kind == SEEK_OFFSET      ? e->base_offset <= value
                      : kind == SEEK_TIMESTAMP ? e->max_timestamp_ms < value
                                               : e->append_time_ns < (uint64_t)value;
        if (before) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return kind == SEEK_TIMESTAMP || low == 0 ? low : low - 1;
}

static bool entry_matches(const struct segment_read *read, const struct el_chunk_entry *e)
{
    if (e->base_offset + (int64_t)e->last_offset_delta < read->from_offset) {
        return false;
    }
    switch (read->kind) {
    case SEEK_OFFSET:
        return e->base_offset + (int64_t)e->last_offset_delta >= read->value;
    case SEEK_TIMESTAMP:
        return e->max_timestamp_ms >= read->value;
    case SEEK_APPEND_TIME:
        return e->append_time_ns >= (uint64_t)read->value;
    }
    return false;
}

/* --- data --------------------------------------------------------------------------------------------------------- */

static bool take_entry(struct segment_read *read, const struct el_chunk_entry *e, uint64_t pos)
{
    if (read->first_offset < 0) {
        read->first_offset = e->base_offset;
        read->found = *e;
    }
    bool wanted = read->data_len + e->len <= read->data_max || (read->data_len == 0 && read->at_least_one);
    bool fits = wanted && read->data_len + e->len <= read->buf_len &&
                (read->entries == NULL || read->entry_count < read->entry_max);
    if (read->buf == NULL || e->base_offset >= read->end_offset || !fits) {
        return false;
    }
    if (read->entries != NULL) {
        EL_ASSERT(read->entry_count < read->entry_max);
        struct read_entry *out = &read->entries[read->entry_count++];
        *out = (struct read_entry){.append_time_ns = e->append_time_ns,
                                   .max_timestamp_ms = e->max_timestamp_ms,
                                   .leader_epoch = e->leader_epoch,
                                   .pos = (uint32_t)pos,
                                   .len = e->len};
        memcpy(out->salt, e->salt, sizeof(out->salt));
        if (read->table != NULL) {
            read->table[read->entry_count - 1] = *e;
        }
    }
    return true;
}

/* What a batch says of itself is what its chunk says: who reads it goes by either. */
static bool batch_is_entry(const uint8_t *batch, const struct el_chunk_entry *e)
{
    return e->len >= EL_BATCH_HEADER_LEN && el_batch_total_len(batch) == e->len &&
           el_batch_base_offset(batch) == e->base_offset &&
           el_batch_last_offset_delta(batch) == (int64_t)e->last_offset_delta;
}

/* Read the batches [from, to) of a chunk in one piece and verify each. */
static int read_batches(struct disk *disk, struct segment_read *read, const struct chunk_view *view, uint32_t from,
                        uint32_t to, uint64_t skip)
{
    uint64_t len = 0;
    struct el_chunk_entry e;
    EL_ASSERT(to <= view->header.count);
    for (uint32_t i = from; i < to; i++) {
        chunk_view_entry(view, i, &e);
        len += e.len;
    }
    uint8_t *out = read->buf + read->data_len;
    size_t left = 0; /* the file may end too early: what is there is served */
    EL_ASSERT(len <= read->buf_len - read->data_len);
    EL_ASSERT(skip + len <= view->header.data_len); /* what el_chunk_check() has added up */
    int code = disk_pread(disk, read->fd, out, (size_t)len, view->data_pos + skip, &left);
    for (uint32_t i = from; i < to && code == 0; i++) {
        chunk_view_entry(view, i, &e);
        if (e.len > left || el_xxh3(out, e.len) != e.checksum || !batch_is_entry(out, &e)) {
            code = EVLOG_ERR_CORRUPT;
        } else {
            read->data_len += e.len;
            read->next_offset = e.base_offset + (int64_t)e.last_offset_delta + 1;
            out += e.len;
            left -= e.len;
        }
    }
    return code;
}

/* Take what fits from one chunk. *more: the next chunk may go on. */
static int read_chunk(struct disk *disk, struct segment_read *read, uint64_t pos, bool *more)
{
    struct chunk_view view;
    int code = chunk_view_read(disk, read, pos, &view);
    if (code != 0) {
        return code;
    }
    uint64_t skip = 0, planned = read->data_len;
    uint32_t from = 0;
    struct el_chunk_entry e;
    for (; from < view.header.count && read->first_offset < 0; from++) {
        chunk_view_entry(&view, from, &e);
        if (entry_matches(read, &e)) {
            break;
        }
        skip += e.len;
    }
    if (read->data_len > 0) { /* the first of a further chunk */
        chunk_view_entry(&view, from, &e);
        code = e.base_offset < read->next_offset ? EVLOG_ERR_CORRUPT : 0;
    }
    uint32_t to = from;
    for (; to < view.header.count && code == 0; to++) {
        chunk_view_entry(&view, to, &e);
        size_t before = read->data_len;
        read->data_len = (size_t)planned;
        bool taken = take_entry(read, &e, planned);
        read->data_len = before;
        if (!taken) {
            if (planned == 0 && read->buf != NULL && e.base_offset < read->end_offset) {
                read->wanted_len = e.len;
            }
            break;
        }
        planned += e.len;
    }
    *more = to == view.header.count;
    if (to > from && code == 0) {
        code = read_batches(disk, read, &view, from, to, skip);
    }
    chunk_view_free(&view);
    return code;
}

static int file_check(struct disk *disk, struct segment_read *read, int64_t *base_offset)
{
    uint8_t head[EL_SEGMENT_HEADER_LEN];
    struct el_segment_header h;
    int code = read_exact(disk, read->fd, head, sizeof(head), 0);
    if (code == 0) {
        code = el_segment_header_get(head, &h);
    }
    if (code != 0) {
        return code;
    }
    bool same = h.segment_id == read->segment_id && h.partition == read->partition &&
                el_uuid_eq(&h.topic_id, &read->topic_id);
    *base_offset = h.base_offset;
    return same ? 0 : EVLOG_ERR_CORRUPT;
}

static int index_update(struct disk *disk, struct segment_read *read)
{
    int64_t base_offset = 0;
    if (read->index != NULL && read->index->covered_len >= read->written_len) {
        return 0;
    }
    int code = read->index != NULL ? 0 : file_check(disk, read, &base_offset);
    if (code == 0 && read->sealed && index_from_footer(disk, read) == 0) {
        return 0;
    }
    /* An index is a cache: without it the chunks are walked. */
    return code != 0 ? code : index_walk(disk, read, base_offset);
}

int segment_read_run(struct disk *disk, struct segment_read *read)
{
    read->new_index = NULL;
    read->data_len = 0;
    read->entry_count = 0;
    read->first_offset = -1;
    read->next_offset = -1;
    read->wanted_len = 0;
    /* Opened for writing as well: the shard keeps the descriptor, and the next chunk may use it. */
    int code = read->fd >= 0 ? 0 : disk_open(disk, read->path, DISK_WRITE, &read->fd);
    if (code == EVLOG_ERR_NOT_FOUND) {
        code = EVLOG_ERR_CORRUPT; /* a segment that the checkpoint lists is gone */
    }
    if (code == 0) {
        code = index_update(disk, read);
    }
    const struct segment_index *index = read->new_index != NULL ? read->new_index : read->index;
    uint32_t i = index == NULL ? 0 : index_search(index, read->kind, read->value);
    bool more = true;
    for (; code == 0 && index != NULL && i < index->count && more; i++) {
        const struct el_index_entry *e = &index->entries[i];
        code = e->len == 0 ? EVLOG_ERR_CORRUPT : read_chunk(disk, read, e->pos, &more);
    }
    while (read->entry_count > 0 &&
           (uint64_t)read->entries[read->entry_count - 1].pos + read->entries[read->entry_count - 1].len >
               read->data_len) {
        read->entry_count--; /* planned, but not read */
    }
    EL_ASSERT(read->data_len <= read->buf_len);
    if (read->entry_count > 0) {
        const struct read_entry *last = &read->entries[read->entry_count - 1];
        EL_ASSERT((uint64_t)last->pos + last->len == read->data_len); /* each batch has one */
    }
    if (read->data_len > 0) { /* who reads on from there comes to an end */
        EL_ASSERT(read->next_offset > read->first_offset);
        EL_ASSERT(read->kind != SEEK_OFFSET || read->next_offset > read->value);
    }
    if (code == EVLOG_ERR_CORRUPT && read->data_len > 0) {
        code = 0; /* give what lies before the damage; the next read meets it */
    }
    if (code == 0 && read->wanted_len > 0 && read->data_len == 0 && read->at_least_one) {
        code = EVLOG_ERR_LIMIT;
    }
    return code;
}
