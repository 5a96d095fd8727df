/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds the index against the log.
 *
 *   1. the runs of the list are opened
 *   2. for each partition of the list its segments are walked in the order of their offsets, chunk by chunk
 *   3. each event below the partition's end offset is looked up: its key at the version that is due, else at the
 *      version that has its offset; its id, type and tombstone at their positions
 *
 * Which version is due is known of the streams seen last; of others the version must have one before it at a lower
 * offset, so that versions rise with the log. What evlogd has in the journal alone is not looked at.
 *
 * The journal alone has what is behind the last event of the segments, never what is between two: topics with streams
 * are not compacted. So a gap is damage of the log, as is all that does not verify. Zeros, or a chunk whose data runs
 * past the end of its file, are what a crash leaves of a write: the journal still has it, unless something comes after.
 */
#include <stream/index_log.h>

#include <core/alloc.h>
#include <core/crypto.h>
#include <core/hash.h>
#include <format/batch.h>
#include <format/segment_layout.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <stream/index_list.h>
#include <stream/index_run.h>
#include <stream/stream_table.h>
#include <stream/streams.h>

#define FILTERS_MAX (256ull << 20)
#define SEEN_COUNT (1u << 18) /* streams whose last version is remembered; a power of two */
#define FILES_MAX 65536u
#define CHUNK_MAX (EL_CHUNK_DATA_MAX + EL_CHUNK_HEADER_LEN + EL_CHUNK_COUNT_MAX * EL_CHUNK_ENTRY_LEN)

struct seen {
    struct el_hash128 hash;
    uint32_t slot; /* 0 free */
    int64_t version;
};

struct file {
    int64_t base_offset;
    char name[32];
};

struct look {
    struct disk *disk;
    uint32_t shard;
    struct index_list list;
    struct stream_secret secret;
    struct index_run *runs; /* [list.run_count] those before run_count are open */
    void **memory;          /* [list.run_count] */
    uint32_t run_count;
    struct seen *seen; /* [SEEN_COUNT] */
    bool seen_any;
    struct index_log_count *count;
    void (*tell)(void *arg, const char *text);
    void *arg;
    /* of the partition that is looked at */
    const struct index_slot *slot;
    char folder[96];
    struct file *files; /* [file_count] */
    uint32_t file_count;
    int64_t next; /* offset */
    uint8_t *chunk;
    size_t chunk_room;
};

static void tell_of(struct look *k, int64_t offset, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static void tell_of(struct look *k, int64_t offset, const char *format, va_list args)
{
    char what[160], text[320];
    if (k->count->difference_count + k->count->damage_count <= INDEX_LOG_TOLD_MAX) {
        vsnprintf(what, sizeof what, format, args);
        snprintf(text, sizeof text, "%s, offset %lld: %s", k->folder, (long long)offset, what);
        k->tell(k->arg, text);
    }
}

static void differ(struct look *k, int64_t offset, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void differ(struct look *k, int64_t offset, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    k->count->difference_count++;
    tell_of(k, offset, format, args);
    va_end(args);
}

/* Events are not seen from offset on, so that of no stream it is known which version is due. */
static void damaged(struct look *k, int64_t offset, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void damaged(struct look *k, int64_t offset, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    k->count->damage_count++;
    tell_of(k, offset, format, args);
    va_end(args);
    if (k->seen_any) {
        memset(k->seen, 0, SEEN_COUNT * sizeof *k->seen);
        k->seen_any = false;
    }
}

/* --- the index ---------------------------------------------------------------------------------------------------- */

static int runs_open(struct look *k, struct el_error *err)
{
    uint64_t filter_len = 0;
    k->runs = el_calloc(k->list.run_count + 1, sizeof *k->runs);
    k->memory = el_calloc(k->list.run_count + 1, sizeof *k->memory);
    int code = k->runs == NULL || k->memory == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    while (code == 0 && k->run_count < k->list.run_count) {
        char path[INDEX_PATH_LEN];
        struct el_index_run_info info;
        index_run_path(path, k->shard, k->list.run_ids[k->run_count]);
        code = index_run_peek(k->disk, path, &info, err);
        if (code != 0) {
            return code;
        }
        filter_len += info.filter_len;
        size_t len = index_run_memory(&info, filter_len <= FILTERS_MAX);
        void *memory = el_malloc(EL_MAX(len, (size_t)1));
        code = memory == NULL ? EVLOG_ERR_NO_MEMORY
                              : index_run_open(k->disk, path, &info, memory, filter_len <= FILTERS_MAX,
                                               &k->runs[k->run_count], err);
        if (code != 0) {
            el_free(memory);
            return code;
        }
        k->memory[k->run_count++] = memory;
    }
    return code;
}

/* One entry with low <= position <= high, the newest run that has one first. */
static int entry_find(struct look *k, struct el_hash128 hash, uint64_t low, uint64_t high,
                      struct el_stream_entry *entry, bool *found)
{
    *found = false;
    for (uint32_t i = 0; i < k->run_count && !*found; i++) {
        uint32_t count = 0;
        if (index_run_may_hold(&k->runs[i], k->slot->slot, hash)) {
            int code = index_run_find(&k->runs[i], k->slot->slot, hash, low, high, true, entry, 1, &count);
            if (code != 0) {
                return code;
            }
        }
        *found = count > 0;
    }
    return 0;
}

static struct seen *seen_of(const struct look *k, struct el_hash128 hash)
{
    return &k->seen[(hash.low ^ k->slot->slot) % SEEN_COUNT];
}

/* The version that the index has for an event: the one that is due, or whichever has its offset. */
static int version_find(struct look *k, struct el_hash128 hash, int64_t due, int64_t offset,
                        struct el_stream_entry *entry, bool *found)
{
    int code = due < 0 ? 0 : entry_find(k, hash, (uint64_t)due, (uint64_t)due, entry, found);
    if (code != 0 || (due >= 0 && *found && stream_place_offset(entry->place) == offset)) {
        return code;
    }
    code = entry_find(k, hash, 0, UINT64_MAX, entry, found);
    uint64_t low = 0, high = *found ? entry->position : 0;
    while (code == 0 && *found && stream_place_offset(entry->place) != offset) {
        if (low >= high) {
            *found = false;
            break;
        }
        uint64_t mid = low + (high - low) / 2;
        code = entry_find(k, hash, mid, mid, entry, found);
        if (*found && stream_place_offset(entry->place) < offset) {
            low = mid + 1;
            code = code != 0 || low != high ? code : entry_find(k, hash, low, low, entry, found);
        } else {
            high = mid;
        }
    }
    return code;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static int key_check(struct look *k, const struct stream_record *record, int64_t offset, int64_t *version)
{
    struct seen *seen = seen_of(k, record->key);
    bool known = seen->slot == k->slot->slot && seen->hash.low == record->key.low &&
                 seen->hash.high == record->key.high;
    struct el_stream_entry entry, before;
    bool found = false;
    int code = version_find(k, record->key, known ? seen->version + 1 : 0, offset, &entry, &found);
    if (code != 0) {
        return code;
    }
    if (!found) {
        differ(k, offset, "the index has no version of its stream there");
        return 0;
    }
    *version = (int64_t)entry.position;
    uint64_t flags = ((record->flags & STREAM_RECORD_SOFT) != 0 ? STREAM_PLACE_SOFT : 0) |
                     ((record->flags & STREAM_RECORD_HARD) != 0 ? STREAM_PLACE_HARD : 0);
    if (known && *version != seen->version + 1) {
        differ(k, offset, "version %lld, where %lld is due", (long long)*version, (long long)seen->version + 1);
    } else if ((entry.place & STREAM_PLACE_FLAGS) != flags) {
        differ(k, offset, "version %lld is %sa deletion", (long long)*version, flags == 0 ? "" : "not ");
    } else if (!known && *version > 0) {
        code = entry_find(k, record->key, (uint64_t)*version - 1, (uint64_t)*version - 1, &before, &found);
        if (code == 0 && (!found || stream_place_offset(before.place) >= offset)) {
            differ(k, offset, "version %lld without the one before it", (long long)*version);
        }
    }
    *seen = (struct seen){.hash = record->key, .slot = k->slot->slot, .version = *version};
    k->seen_any = true;
    return code;
}

static int other_check(struct look *k, struct el_hash128 hash, int64_t position, int64_t offset, uint64_t place,
                       const char *what)
{
    struct el_stream_entry entry;
    bool found = false;
    int code = entry_find(k, hash, (uint64_t)position, (uint64_t)position, &entry, &found);
    if (code == 0 && !found) {
        differ(k, offset, "the index does not have its %s", what);
    } else if (code == 0 && place != UINT64_MAX && entry.place != place) {
        differ(k, offset, "its %s is said to be of version %llu", what, (unsigned long long)entry.place);
    }
    return code;
}

static int event_check(struct look *k, const struct stream_record *record, int64_t offset)
{
    int64_t version = -1;
    int code = 0;
    k->count->event_count++;
    if ((record->flags & STREAM_RECORD_KEY) != 0) {
        code = key_check(k, record, offset, &version);
    }
    if (code == 0 && version >= 0 && (record->flags & (STREAM_RECORD_SOFT | STREAM_RECORD_HARD)) != 0) {
        code = other_check(k, stream_hash_deleted(record->key), version, offset, UINT64_MAX, "deletion");
    }
    if (code == 0 && version >= 0 && (record->flags & STREAM_RECORD_ID) != 0) {
        code = other_check(k, record->id, offset, offset, (uint64_t)version, "event id");
    }
    if (code == 0 && (record->flags & STREAM_RECORD_TYPE) != 0) {
        code = other_check(k, record->type, offset, offset, UINT64_MAX, "type");
    }
    return code;
}

/* The batch of an entry of its chunk, which says the same of it. */
static int batch_check(struct look *k, const struct el_chunk_entry *e, const uint8_t *batch)
{
    struct el_batch_info info;
    size_t len = e->len;
    struct stream_batch made;
    const char *why = "";
    void *scratch = NULL;
    int code = el_batch_check(batch, len, EL_BATCH_LEN_MAX, NULL, 0, &info);
    if (code == EVLOG_ERR_NO_MEMORY && info.scratch_len_wanted > 0) {
        scratch = el_malloc(info.scratch_len_wanted);
        code = scratch == NULL ? EVLOG_ERR_NO_MEMORY
                               : el_batch_check(batch, len, EL_BATCH_LEN_MAX, scratch, info.scratch_len_wanted, &info);
    }
    memset(&made, 0, sizeof made);
    code = code != 0 ? code
                     : stream_batch_make(&k->secret, batch, len, scratch, scratch == NULL ? 0 : info.scratch_len_wanted,
                                         NULL, true, &made, &why);
    if (code == 0 && el_batch_base_offset(batch) != e->base_offset) {
        code = EVLOG_ERR_CORRUPT;
    }
    if (code != 0 && code != EVLOG_ERR_NO_MEMORY) {
        damaged(k, e->base_offset, "the batch cannot be read: %s", evlog_error_text(code));
        code = 0;
    }
    for (uint32_t i = 0; i < made.record_count && code == 0; i++) {
        int64_t offset = e->base_offset + made.records[i].offset_delta;
        code = offset < k->slot->end_offset ? event_check(k, &made.records[i], offset) : 0;
    }
    el_free(made.records);
    el_free(scratch);
    return code;
}

/* --- segments ----------------------------------------------------------------------------------------------------- */

static bool all_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Room for a chunk of so many bytes. */
static int chunk_room(struct look *k, size_t len)
{
    if (len > k->chunk_room) {
        el_free(k->chunk);
        k->chunk = el_malloc(len);
        k->chunk_room = k->chunk == NULL ? 0 : len;
    }
    return k->chunk == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

/* The chunk at pos, into k->chunk.
 * returns 1 | 0 there is none: the file ends, or its footer or zeros follow | EVLOG_ERR_CORRUPT it does not verify |
 *         EVLOG_ERR_NO_MEMORY | _IO */
static int chunk_read(struct look *k, int fd, uint64_t pos, struct el_chunk_header *h)
{
    uint8_t header[EL_CHUNK_HEADER_LEN];
    size_t done = 0;
    int code = disk_pread(k->disk, fd, header, sizeof header, pos, &done);
    if (code != 0 || done < sizeof header || el_is_footer(header) || all_zero(header, sizeof header)) {
        return code;
    }
    if (el_chunk_header_get(header, h) != 0 || h->pos != pos) {
        return EVLOG_ERR_CORRUPT;
    }
    size_t len = (size_t)el_chunk_len(h->count, h->data_len);
    EL_ASSERT(len <= CHUNK_MAX);
    code = chunk_room(k, len);
    code = code != 0 ? code : disk_pread(k->disk, fd, k->chunk, len, pos, &done);
    if (code != 0) {
        return code;
    }
    if (done < len - h->data_len || el_chunk_check(k->chunk, h) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    return done == len;
}

static int chunk_look(struct look *k, const struct el_chunk_header *h)
{
    size_t pos = EL_CHUNK_HEADER_LEN + (size_t)h->count * EL_CHUNK_ENTRY_LEN;
    int code = 0;
    for (uint32_t i = 0; i < h->count && code == 0; i++) {
        struct el_chunk_entry e;
        el_chunk_entry_get(k->chunk + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN, &e);
        if (e.base_offset >= k->next && e.base_offset < k->slot->end_offset) {
            if (e.base_offset > k->next) {
                damaged(k, k->next, "the segments have no event from here to offset %lld", (long long)e.base_offset);
            }
            if (el_xxh3(k->chunk + pos, e.len) != e.checksum) {
                damaged(k, e.base_offset, "the batch does not verify");
            } else {
                code = batch_check(k, &e, k->chunk + pos);
            }
            k->next = e.base_offset + e.last_offset_delta + 1;
        }
        pos += e.len;
    }
    return code;
}

static int segment_look(struct look *k, const struct file *file)
{
    char path[160];
    struct el_chunk_header h;
    int fd = -1;
    uint64_t pos = EL_SEGMENT_HEADER_LEN;
    snprintf(path, sizeof path, "%s/%s", k->folder, file->name);
    int code = disk_open(k->disk, path, DISK_READ, &fd);
    if (code != 0) {
        return code;
    }
    code = 1;
    while (code == 1) {
        code = chunk_read(k, fd, pos, &h);
        if (code == 1) {
            pos = el_chunk_end(pos, h.count, h.data_len);
            int looked = chunk_look(k, &h);
            code = looked != 0 ? looked : 1;
        }
    }
    disk_close(k->disk, fd);
    if (code == EVLOG_ERR_CORRUPT) {
        damaged(k, k->next, "%s: the chunk at position %llu does not verify", file->name, (unsigned long long)pos);
        code = 0;
    }
    return code;
}

static void file_add(void *arg, const char *name, bool is_dir)
{
    struct look *k = arg;
    size_t len = strlen(name);
    if (!is_dir && len > 4 && len < sizeof k->files[0].name && strcmp(name + len - 4, ".seg") == 0 &&
        k->file_count < FILES_MAX) {
        snprintf(k->files[k->file_count++].name, sizeof k->files[0].name, "%s", name);
    }
}

static int file_order(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    return x->base_offset == y->base_offset ? strcmp(x->name, y->name) : x->base_offset < y->base_offset ? -1 : 1;
}

/* Which segments there are, by their first offset. One whose header is damaged is told of and left out. */
static int files_find(struct look *k)
{
    uint32_t kept = 0;
    k->file_count = 0;
    int code = disk_list(k->disk, k->folder, file_add, k);
    for (uint32_t i = 0; i < k->file_count && code == 0; i++) {
        char path[160];
        uint8_t p[EL_SEGMENT_HEADER_LEN];
        struct el_segment_header h;
        size_t done = 0;
        int fd = -1;
        snprintf(path, sizeof path, "%s/%s", k->folder, k->files[i].name);
        code = disk_open(k->disk, path, DISK_READ, &fd);
        code = code != 0 ? code : disk_pread(k->disk, fd, p, sizeof p, 0, &done);
        if (fd >= 0) {
            disk_close(k->disk, fd);
        }
        if (code == 0 && done == sizeof p && el_segment_header_get(p, &h) == 0) {
            k->files[i].base_offset = h.base_offset;
            k->files[kept++] = k->files[i];
        } else if (code == 0 && !all_zero(p, done)) { /* else it was made, and then there was a crash */
            damaged(k, 0, "%s: the header of the file does not verify", k->files[i].name);
        }
    }
    k->file_count = kept;
    qsort(k->files, kept, sizeof *k->files, file_order);
    return code;
}

static int partition_look(struct look *k)
{
    char hex[33];
    el_hex(hex, k->slot->topic_id.bytes, sizeof k->slot->topic_id.bytes);
    snprintf(k->folder, sizeof k->folder, "topics/%s/%d", hex, k->slot->partition);
    int code = files_find(k);
    if (code != 0) {
        return code == EVLOG_ERR_NOT_FOUND ? 0 : code; /* the topic is gone, or all of it is in the journal */
    }
    k->count->partition_count++;
    k->next = k->file_count > 0 ? k->files[0].base_offset : 0;
    for (uint32_t i = 0; i < k->file_count && code == 0; i++) {
        code = segment_look(k, &k->files[i]);
    }
    k->count->unseen_count += k->next < k->slot->end_offset ? (uint64_t)(k->slot->end_offset - k->next) : 0;
    return code;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static void look_free(struct look *k)
{
    for (uint32_t i = 0; i < k->run_count; i++) {
        index_run_close(&k->runs[i]);
        el_free(k->memory[i]);
    }
    el_free(k->runs);
    el_free(k->memory);
    el_free(k->seen);
    el_free(k->files);
    el_free(k->chunk);
    index_list_free(&k->list);
}

static int look_begin(struct look *k, struct el_error *err)
{
    int code = index_list_load(k->disk, k->shard, &k->list, err);
    if (code != 0 || k->list.sequence == 0 || k->list.slot_count == 0) {
        return code;
    }
    code = streams_secret_read(k->disk, &k->secret);
    if (code != 0 && code != EVLOG_ERR_NOT_FOUND && code != EVLOG_ERR_CORRUPT) {
        return el_error_set(err, code, "streams/secret: %s", evlog_error_text(code));
    }
    struct el_hash128 tag = {0};
    if (code == 0) {
        tag = el_xxh3_128(k->secret.bytes, sizeof k->secret.bytes, k->secret.bytes);
    }
    if (code != 0 || memcmp(&tag, k->list.secret_tag, sizeof tag) != 0) {
        return el_error_set(err, EVLOG_ERR_NOT_FOUND, "it was made with another secret than that of streams/secret");
    }
    k->seen = el_calloc(SEEN_COUNT, sizeof *k->seen);
    k->files = el_calloc(FILES_MAX, sizeof *k->files);
    if (k->seen == NULL || k->files == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to look through the log");
    }
    return runs_open(k, err);
}

int index_log_check(struct disk *disk, uint32_t shard, void (*tell)(void *arg, const char *text), void *arg,
                    struct index_log_count *count, struct el_error *err)
{
    struct look k = {.disk = disk, .shard = shard, .tell = tell, .arg = arg, .count = count};
    *count = (struct index_log_count){0};
    int code = look_begin(&k, err);
    for (uint32_t i = 0; i < k.list.slot_count && code == 0 && k.seen != NULL; i++) {
        k.slot = &k.list.slots[i];
        code = partition_look(&k);
        if (code != 0) {
            el_error_set(err, code, "%s: %s", k.folder, evlog_error_text(code));
        }
    }
    look_free(&k);
    return code;
}
