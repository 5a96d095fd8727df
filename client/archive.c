/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the events of an archived topic, partitions merged by append time.
 *
 * 1. each partition holds a few batches that were read (and compared with their leaves); the heap has on top the one
 *    whose next batch was appended first
 * 2. events come out of that batch until it is used up; then the partition takes its place in the heap anew, after
 *    reading on when it has none left
 *
 * A partition without batches is out of the heap until a refresh. An error leaves everything as it was, so that the
 * call may be made again.
 */
#include "archive_reading.h"

#include "fail.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <store/archive_cluster.h>

#define BUFFERED_MAX (64u << 20) /* bytes of batches, over all partitions */
#define READ_MIN (64u << 10)
#define READ_MAX (4u << 20)

/* --- heap --------------------------------------------------------------------------------------------------------- */

static const struct el_pack_batch *next_row(const struct archive_part *part)
{
    return &part->batches.rows[part->row];
}

static bool comes_before(const struct archive_part *a, const struct archive_part *b)
{
    uint64_t x = next_row(a)->leaf.append_time_ns, y = next_row(b)->leaf.append_time_ns;
    return x != y ? x < y : a->partition < b->partition;
}

static void heap_swap(struct evlog_archive *a, uint32_t i, uint32_t k)
{
    struct archive_part *kept = a->heap[i];
    a->heap[i] = a->heap[k];
    a->heap[k] = kept;
}

static void heap_down(struct evlog_archive *a, uint32_t i)
{
    for (;;) {
        uint32_t least = i, left = 2 * i + 1, right = left + 1;
        if (left < a->heap_count && comes_before(a->heap[left], a->heap[least])) {
            least = left;
        }
        if (right < a->heap_count && comes_before(a->heap[right], a->heap[least])) {
            least = right;
        }
        if (least == i) {
            return;
        }
        heap_swap(a, i, least);
        i = least;
    }
}

static void heap_add(struct evlog_archive *a, struct archive_part *part)
{
    uint32_t i = a->heap_count++;
    a->heap[i] = part;
    part->in_heap = true;
    while (i > 0 && comes_before(a->heap[i], a->heap[(i - 1) / 2])) {
        heap_swap(a, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static void heap_drop_first(struct evlog_archive *a)
{
    a->heap[0]->in_heap = false;
    a->heap[0] = a->heap[--a->heap_count];
    heap_down(a, 0);
}

/* --- partitions --------------------------------------------------------------------------------------------------- */

static size_t read_len(const struct evlog_archive *a)
{
    size_t share = BUFFERED_MAX / EL_MAX(a->part_count, 1u);
    return EL_MIN(EL_MAX(share, (size_t)READ_MIN), (size_t)READ_MAX);
}

/* Pass over redacted batches, and read on when none is left. part->row is then at one, or batches.count is 0. */
static int part_fill(struct evlog_archive *a, struct archive_part *part, struct el_error *err)
{
    for (;;) {
        while (part->row < part->batches.count && next_row(part)->redacted) {
            a->redacted_batches++;
            part->offset = EL_MAX(part->offset, el_pack_batch_end(next_row(part)));
            part->row++;
        }
        if (part->row < part->batches.count) {
            return 0;
        }
        int code = archive_reader_read(a->reader, &a->topic_id, part->partition, part->read_offset, read_len(a),
                                       &part->batches, err);
        part->row = 0;
        part->pos = 0;
        if (code != 0 || part->batches.count == 0) {
            part->batches.count = 0;
            return code == EVLOG_ERR_UNKNOWN_TOPIC ? 0 : code; /* nothing was ever published to it, or not archived */
        }
        part->read_offset = part->batches.next_offset;
    }
}

/* Partitions that are out of the heap are looked at again: after opening, seeking, and a newer root. */
static int fill_all(struct evlog_archive *a, struct el_error *err)
{
    while (a->unfilled < a->part_count) {
        struct archive_part *part = &a->parts[a->unfilled];
        if (!part->in_heap) {
            int code = part_fill(a, part, err);
            if (code != 0) {
                return code;
            }
            if (part->batches.count > 0) {
                heap_add(a, part);
            }
        }
        a->unfilled++;
    }
    return 0;
}

/* Room for the partitions that the topic has now; new ones begin at their start. */
static int parts_grow(struct evlog_archive *a, struct el_error *err)
{
    const struct archive_topic *topic = archive_state_topic(archive_reader_state(a->reader), &a->topic_id);
    uint32_t count = topic == NULL ? 0 : topic->now.partition_count;
    if (count > a->part_count) {
        struct archive_part *parts = el_calloc(count, sizeof(*parts));
        struct archive_part **heap = el_calloc(count, sizeof(*heap));
        if (parts == NULL || heap == NULL) {
            el_free(parts);
            el_free(heap);
            return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for %u partitions", count);
        }
        if (a->part_count > 0) {
            memcpy(parts, a->parts, a->part_count * sizeof(*parts));
        }
        for (uint32_t i = 0; i < a->heap_count; i++) {
            heap[i] = &parts[a->heap[i] - a->parts];
        }
        el_free(a->parts);
        el_free(a->heap);
        a->parts = parts;
        a->heap = heap;
        for (; a->part_count < count; a->part_count++) {
            parts[a->part_count].partition = (int32_t)a->part_count;
            parts[a->part_count].leader_epoch = -1;
            parts[a->part_count].is_new = true;
        }
    }
    for (uint32_t i = 0; i < a->part_count; i++) {
        struct archive_range range = {.start_offset = 0};
        if (!a->parts[i].is_new) {
            continue;
        }
        int code = archive_reader_range(a->reader, &a->topic_id, (int32_t)i, &range, err);
        if (code != 0 && code != EVLOG_ERR_UNKNOWN_TOPIC) {
            return code;
        }
        /* One that the archive has nothing of yet is looked at again with the next root. */
        a->parts[i].is_new = code != 0;
        a->parts[i].offset = a->parts[i].read_offset = EL_MAX(range.start_offset, range.log_start);
    }
    return 0;
}

/* Forget what was read ahead of part->offset. */
static void restart(struct evlog_archive *a)
{
    for (uint32_t i = 0; i < a->part_count; i++) {
        a->parts[i].batches.count = 0;
        a->parts[i].row = 0;
        a->parts[i].pos = 0;
        a->parts[i].in_heap = false;
        a->parts[i].read_offset = a->parts[i].offset;
    }
    a->heap_count = 0;
    a->unfilled = 0;
    a->open = false;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int take_position(struct evlog_archive *a, const char *word, struct evlog_failure *failure)
{
    struct el_progress progress;
    int code = el_progress_parse(el_slice_str(word), &progress);
    if (code != 0) {
        return el_fail(failure, code, "\"%.60s\" is no position", word);
    }
    bool fits = el_uuid_eq(&progress.topic_id, &a->topic_id);
    for (uint32_t i = 0; fits && i < progress.count; i++) {
        const struct el_progress_entry *entry = &progress.entries[i];
        if (entry->partition < 0 || (uint32_t)entry->partition >= a->part_count) {
            fits = false;
            break;
        }
        struct archive_part *part = &a->parts[entry->partition];
        part->offset = part->read_offset = EL_MAX(part->offset, entry->offset);
        part->leader_epoch = entry->leader_epoch;
        part->is_new = false;
    }
    el_progress_free(&progress);
    return fits ? 0 : el_fail(failure, EVLOG_ERR_CONFLICT, "the position is not of this topic of the archive");
}

static int take_topic(struct evlog_archive *a, const struct evlog_archive_options *options,
                      struct evlog_failure *failure)
{
    struct el_error err = {0};
    const struct archive_topic *topic = archive_state_topic_named(archive_reader_state(a->reader),
                                                                  el_slice_str(options->topic));
    if (topic == NULL) {
        int code = el_fail(failure, EVLOG_ERR_UNKNOWN_TOPIC, "the archive has no topic %.249s", options->topic);
        el_fail_hint(failure, "evlog archive ls lists what it has");
        return code;
    }
    a->topic = el_strdup(options->topic);
    if (a->topic == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to open an archive");
    }
    a->topic_id = topic->now.id;
    if (parts_grow(a, &err) != 0) {
        return el_fail_from(failure, &err);
    }
    return options->position == NULL ? 0 : take_position(a, options->position, failure);
}

int el_archive_keys(const char *pem, struct el_public_key keys[EL_SIGN_KEYS_MAX], size_t *count,
                    struct evlog_failure *failure)
{
    struct el_error err = {0};
    *count = 0;
    int code = pem == NULL ? 0 : el_public_keys_parse(el_slice_str(pem), keys, count, &err);
    return code == 0 ? 0 : el_fail_from(failure, &err);
}

int el_archive_incarnation(const char *text, struct el_uuid *id, struct evlog_failure *failure)
{
    return text == NULL || archive_id_parse(el_slice_str(text), id) == 0
               ? 0
               : el_fail(failure, EVLOG_ERR_ARGUMENT, "an incarnation has 32 digits of 0-9 and a-f");
}

static int open_reader(struct evlog_archive *a, const struct evlog_archive_options *options,
                       struct evlog_failure *failure)
{
    struct el_public_key keys[EL_SIGN_KEYS_MAX];
    struct el_uuid incarnation;
    struct el_error err = {0};
    struct archive_reader_options open = {.keys = keys, .sequence = options->root};
    int code = el_archive_keys(options->public_keys, keys, &open.key_count, failure);
    if (code == 0) {
        code = el_archive_incarnation(options->incarnation, &incarnation, failure);
    }
    if (code != 0) {
        return code;
    }
    open.incarnation = options->incarnation == NULL ? NULL : &incarnation;
    code = object_store_open(options->url, false, &a->store, &err);
    if (code == 0) {
        code = archive_reader_open(a->store, &open, &a->reader, &err);
    }
    return code == 0 ? 0 : el_fail_from(failure, &err);
}

int evlog_archive_open(const struct evlog_archive_options *given, struct evlog_archive **archive,
                       struct evlog_failure *failure)
{
    struct evlog_archive_options options = EVLOG_ARCHIVE_OPTIONS_INIT;
    if (!EL_OPTIONS_TAKE(&options, given) || options.url == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "options of an archive need their size and a URL");
    }
    struct evlog_archive *a = el_calloc(1, sizeof *a);
    if (a == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to open an archive");
    }
    int code = open_reader(a, &options, failure);
    if (code == 0 && options.topic != NULL) {
        code = take_topic(a, &options, failure);
    }
    if (code != 0) {
        evlog_archive_close(a);
        return code;
    }
    *archive = a;
    return 0;
}

void evlog_archive_close(struct evlog_archive *a)
{
    if (a == NULL) {
        return;
    }
    for (uint32_t i = 0; i < a->part_count; i++) {
        archive_batches_free(&a->parts[i].batches);
    }
    el_free(a->parts);
    el_free(a->heap);
    el_free(a->topic);
    el_free(a->scratch);
    el_free(a->headers);
    el_buffer_free(&a->position);
    archive_reader_close(a->reader);
    object_store_close(a->store);
    el_free(a);
}

void evlog_archive_info(const struct evlog_archive *a, struct evlog_archive_info *info)
{
    const struct archive_root *root = archive_reader_root(a->reader);
    const struct el_manifest_header *h = &archive_reader_state(a->reader)->header;
    struct evlog_archive_info full = {
        .size = info->size,
        .root = root->sequence,
        .complete_ns = h->cut_ns == 0 || h->cut_ns > INT64_MAX ? -1 : (int64_t)h->cut_ns,
        .made_ms = (int64_t)EL_MIN(h->made_ms, (uint64_t)INT64_MAX),
        .partition_count = (int32_t)a->part_count,
        .redacted_batches = a->redacted_batches,
    };
    el_hex(full.cluster, root->cluster.bytes, 16);
    el_hex(full.incarnation, root->incarnation.bytes, 16);
    memcpy(info, &full, EL_MIN(info->size, sizeof full));
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static int open_batch(struct evlog_archive *a, struct archive_part *part, struct evlog_failure *failure)
{
    const uint8_t *data = part->batches.data + part->pos;
    size_t len = next_row(part)->len;
    int code = el_batch_open(&a->iter, data, len, a->scratch, a->scratch_len);
    while (code == EVLOG_ERR_NO_MEMORY && a->iter.info.scratch_len_wanted > a->scratch_len) {
        size_t want = EL_MIN(a->iter.info.scratch_len_wanted, (size_t)EL_BATCH_OUTPUT_MAX);
        uint8_t *scratch = el_malloc(want);
        if (scratch == NULL) {
            break;
        }
        el_free(a->scratch);
        a->scratch = scratch;
        a->scratch_len = want;
        code = el_batch_open(&a->iter, data, len, a->scratch, a->scratch_len);
    }
    if (code != 0) {
        return el_fail(failure, code, "%s[%d]: the batch at offset %lld cannot be read: %s", a->topic, part->partition,
                       (long long)next_row(part)->leaf.first_offset, evlog_error_text(code));
    }
    a->open = true;
    return 0;
}

static int fill_headers(struct evlog_archive *a, const struct el_record *record)
{
    if (record->header_count > a->header_room) {
        struct evlog_header *grown = el_realloc(a->headers, record->header_count * sizeof *grown);
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        a->headers = grown;
        a->header_room = record->header_count;
    }
    struct el_reader headers = record->headers;
    struct el_header header;
    size_t count = 0;
    while (count < record->header_count && el_header_next(&headers, &header)) {
        a->headers[count++] = (struct evlog_header){{header.key.data, header.key.len},
                                                    {header.value.data, header.value.len}};
    }
    a->event.headers = a->headers;
    a->event.header_count = count;
    return 0;
}

static int fill_event(struct evlog_archive *a, const struct archive_part *part, const struct el_batch_record *record)
{
    const struct el_leaf_entry *leaf = &next_row(part)->leaf;
    a->event.topic = a->topic;
    a->event.partition = part->partition;
    a->event.leader_epoch = leaf->leader_epoch;
    a->event.offset = record->offset;
    a->event.timestamp_ms = record->timestamp_ms;
    a->event.append_time_ns = leaf->append_time_ns > INT64_MAX ? -1 : (int64_t)leaf->append_time_ns;
    a->event.key = (struct evlog_bytes){record->record.key.data, record->record.key.len};
    a->event.value = (struct evlog_bytes){record->record.value.data, record->record.value.len};
    return fill_headers(a, &record->record);
}

/* The batch on top of the heap is used up. */
static int close_batch(struct evlog_archive *a, struct el_error *err)
{
    struct archive_part *part = a->heap[0];
    part->offset = EL_MAX(part->offset, el_pack_batch_end(next_row(part)));
    part->leader_epoch = next_row(part)->leaf.leader_epoch;
    part->pos += next_row(part)->len;
    part->row++;
    a->open = false;
    if (part->row < part->batches.count && !next_row(part)->redacted) {
        heap_down(a, 0);
        return 0;
    }
    /* Out of the heap until it is filled again, which may have to be tried again. */
    heap_drop_first(a);
    int code = part_fill(a, part, err);
    if (code != 0) {
        a->unfilled = (uint32_t)(part - a->parts);
    } else if (part->batches.count > 0) {
        heap_add(a, part);
    }
    return code;
}

/* returns 1 an event | 0 none left in the batch | negative */
static int next_in_batch(struct evlog_archive *a, struct archive_part *part, struct evlog_failure *failure)
{
    struct el_batch_record record;
    int code = 0;
    if ((a->iter.info.attributes & EL_BATCH_ATTR_CONTROL) != 0) {
        return 0;
    }
    while ((code = el_batch_next(&a->iter, &record)) == 1) {
        if (record.offset < part->offset) {
            continue;
        }
        code = fill_event(a, part, &record);
        if (code != 0) {
            return el_fail(failure, code, "no memory for an event");
        }
        part->offset = record.offset + 1;
        part->leader_epoch = a->event.leader_epoch;
        return 1;
    }
    return code == 0 ? 0
                     : el_fail(failure, code, "%s[%d]: a record at or behind offset %lld cannot be read: %s", a->topic,
                               part->partition, (long long)part->offset, evlog_error_text(code));
}

int evlog_archive_next(struct evlog_archive *a, const struct evlog_event **event, struct evlog_failure *failure)
{
    struct el_error err = {0};
    if (fill_all(a, &err) != 0) {
        return el_fail_from(failure, &err);
    }
    while (a->heap_count > 0) {
        struct archive_part *part = a->heap[0];
        int code = a->open ? 0 : open_batch(a, part, failure);
        code = code == 0 ? next_in_batch(a, part, failure) : code;
        if (code != 0) {
            *event = &a->event;
            return code;
        }
        if (close_batch(a, &err) != 0) {
            return el_fail_from(failure, &err);
        }
    }
    return 0;
}

int evlog_archive_seek(struct evlog_archive *a, int64_t append_time_ns, struct evlog_failure *failure)
{
    struct el_error err = {0};
    int64_t *offsets = el_calloc(EL_MAX(a->part_count, 1u), sizeof *offsets);
    if (offsets == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to look for a time");
    }
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < a->part_count; i++) {
        struct archive_range range;
        code = archive_reader_range(a->reader, &a->topic_id, (int32_t)i, &range, &err);
        if (code == EVLOG_ERR_UNKNOWN_TOPIC) {
            code = 0;
            continue;
        }
        if (code == 0) {
            code = archive_reader_seek(a->reader, &a->topic_id, (int32_t)i, ARCHIVE_APPEND_TIME_NS, append_time_ns,
                                       &offsets[i], &err);
            offsets[i] = offsets[i] < 0 ? range.end_offset
                                        : EL_MAX(offsets[i], EL_MAX(range.start_offset, range.log_start));
        }
    }
    if (code == 0) {
        for (uint32_t i = 0; i < a->part_count; i++) {
            a->parts[i].offset = offsets[i];
        }
        restart(a);
    }
    el_free(offsets);
    return code == 0 ? 0 : el_fail_from(failure, &err);
}

const char *evlog_archive_position(struct evlog_archive *a)
{
    struct el_progress progress = {.topic_id = a->topic_id, .whole = true, .count = a->part_count};
    if (a->topic == NULL) {
        return NULL;
    }
    progress.entries = el_calloc(EL_MAX(a->part_count, 1u), sizeof *progress.entries);
    if (progress.entries == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < a->part_count; i++) {
        progress.entries[i] = (struct el_progress_entry){
            .partition = (int32_t)i, .leader_epoch = a->parts[i].leader_epoch, .offset = a->parts[i].offset};
    }
    el_buffer_reset(&a->position);
    el_progress_format(&a->position, &progress);
    el_progress_free(&progress);
    return el_buffer_text(&a->position);
}

int evlog_archive_refresh(struct evlog_archive *a, struct evlog_failure *failure)
{
    struct el_error err = {0};
    bool moved = false;
    int code = archive_reader_refresh(a->reader, &moved, &err);
    if (code == 0 && moved && a->topic != NULL) {
        code = parts_grow(a, &err);
        a->unfilled = 0;
    }
    return code == 0 ? moved : el_fail_from(failure, &err);
}
