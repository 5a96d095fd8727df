/* SPDX-License-Identifier: Apache-2.0
 *
 * Letters of some batches: which are selected, where their events came from. On a worker: takes memory from the heap
 * for compressed batches and for the pattern.
 */
#include <lease/redrive.h>

#include <core/alloc.h>
#include <core/hash.h>
#include <lease/lease_decode.h>
#include <lease/lease_filter.h>
#include <lease/lease_letter.h>
#include <stdio.h>

#define HISTORY_LEN_MAX (32u << 10) /* a story has 16 attempts at most */
#define NUMBER_DIGITS_MAX 19u
#define SOURCE_HEADER "evlog-redrive-source" /* GROUP/TOPIC/PARTITION/OFFSET */
#define SOURCE_LEN_MAX (LEASE_GROUP_ID_LEN_MAX + EL_TOPIC_NAME_MAX + 40u)

static struct el_slice text_keep(struct redrive_scan *scan, struct el_slice text)
{
    if (text.data == NULL) {
        return text;
    }
    uint8_t *copy = scan->texts + scan->texts_used;
    EL_ASSERT(text.len <= sizeof scan->texts - scan->texts_used);
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    scan->texts_used += text.len;
    return el_slice_of(copy, text.len);
}

/* A header that is a number; -1: it is none. */
static int64_t number_of(const struct el_record *record, const char *name)
{
    struct el_slice text;
    int64_t number = 0;
    if (!el_header_find(record, name, &text) || text.data == NULL || text.len == 0 || text.len >= NUMBER_DIGITS_MAX) {
        return -1;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return -1;
        }
        number = number * 10 + (text.data[i] - '0');
    }
    return number;
}

static struct el_slice text_of(const struct el_record *record, const char *name)
{
    struct el_slice text = {0};
    return el_header_find(record, name, &text) ? text : (struct el_slice){0};
}

static bool in_ranges(const struct redrive_scan *scan, int64_t offset)
{
    const struct lease_selection *selection = scan->selection;
    for (uint32_t i = 0; i < selection->range_count; i++) {
        if (selection->ranges[i].partition == scan->partition && offset >= selection->ranges[i].first &&
            offset <= selection->ranges[i].last) {
            return true;
        }
    }
    return selection->range_count == 0;
}

static bool is_selected(const struct redrive_scan *scan, const struct el_batch_record *record, void *match)
{
    const struct lease_selection *selection = scan->selection;
    int64_t time_ms = record->timestamp_ms;
    if (!in_ranges(scan, record->offset) || (selection->since_ms >= 0 && time_ms < selection->since_ms) ||
        (selection->until_ms >= 0 && time_ms >= selection->until_ms)) {
        return false;
    }
    if (selection->key.data != NULL &&
        (record->record.key.data == NULL || !el_slice_eq(record->record.key, selection->key))) {
        return false;
    }
    if (selection->reason.data != NULL &&
        !el_slice_eq(text_of(&record->record, LEASE_LETTER_PREFIX "reason"), selection->reason)) {
        return false;
    }
    return scan->pattern == NULL || lease_filter_match(scan->pattern, &record->record, match) == EL_PATTERN_MATCH;
}

static bool is_settled(const struct redrive_scan *scan, int64_t offset)
{
    for (uint32_t low = 0, high = scan->settled_count; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        const struct lease_letter_range *range = &scan->settled[middle];
        if (offset < range->first) {
            high = middle;
        } else if (offset > range->last) {
            low = middle + 1;
        } else {
            return true;
        }
    }
    return false;
}

/* --- copies ------------------------------------------------------------------------------------------------------- */

static bool is_own_header(struct el_slice name)
{
    static const char prefix[] = LEASE_LETTER_PREFIX;
    return (name.len >= sizeof prefix - 1 && memcmp(name.data, prefix, sizeof prefix - 1) == 0) ||
           el_slice_eq(name, el_slice_str(SOURCE_HEADER));
}

static int32_t target_of(const struct redrive_copies *copies, const struct el_record *record, int32_t partition)
{
    uint32_t count = (uint32_t)copies->target.partition_count;
    if (record->key.data == NULL) {
        return (int32_t)((uint32_t)partition % count);
    }
    return (int32_t)((el_murmur2(record->key.data, record->key.len) & 0x7fffffffu) % count);
}

static struct redrive_part *part_of(struct redrive_copies *copies, int32_t partition)
{
    uint32_t i = 0;
    while (i < copies->part_count && copies->parts[i].partition != partition) {
        i++;
    }
    EL_ASSERT(i < LEASE_LETTERS_MAX);
    copies->parts[i].partition = partition;
    copies->parts[i].len = i < copies->part_count ? copies->parts[i].len : EL_BATCH_HEADER_LEN;
    return &copies->parts[i];
}

/* Is there room for a record that is so long in a batch of its own? returns false: not in this piece */
static bool copy_fits(struct redrive_copies *copies, struct redrive_letter *letter, size_t alone)
{
    struct redrive_part *part = part_of(copies, letter->to);
    bool first = part == &copies->parts[copies->part_count];
    size_t len = alone - EL_BATCH_HEADER_LEN + REDRIVE_COPY_OVERHEAD;
    if (alone > copies->target.len_max) {
        letter->to = -1;
        return true;
    }
    if (!first && part->len + len > copies->target.len_max) {
        return false;
    }
    size_t used = copies->used + len + (first ? EL_BATCH_HEADER_LEN : 0u);
    if (used > copies->room) {
        copies->wanted = used;
        return false;
    }
    part->len += (uint32_t)len;
    copies->used = used;
    copies->part_count += first;
    return true;
}

static int64_t time_of(const struct el_batch_record *record)
{
    int64_t time_ms = number_of(&record->record, LEASE_LETTER_PREFIX "timestamp");
    time_ms = time_ms >= 0 ? time_ms : record->timestamp_ms;
    return EL_MIN(EL_MAX(time_ms, (int64_t)-1), INT64_MAX / 2); /* a batch bears no wider span */
}

/* The event as it was, and where it is from. returns 1 | 0 there is no room | EVLOG_ERR_NO_MEMORY */
static int copy_take(struct redrive_scan *scan, const struct el_batch_record *record, struct redrive_letter *letter)
{
    struct redrive_copies *copies = &scan->copies;
    const struct el_record *r = &record->record;
    struct el_slice topic = text_of(r, LEASE_LETTER_PREFIX "topic");
    char source[SOURCE_LEN_MAX];
    letter->to = target_of(copies, r, letter->partition);
    if (r->key.data == NULL && copies->target.keyed) {
        letter->to = -1;
        return 1;
    }
    struct el_header *headers = el_calloc(r->header_count + 1, sizeof *headers);
    if (headers == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_record_body body = {.key = r->key, .value = r->value, .headers = headers};
    struct el_reader old = r->headers;
    for (struct el_header header; el_header_next(&old, &header);) {
        if (!is_own_header(header.key)) {
            headers[body.header_count++] = header;
        }
    }
    snprintf(source, sizeof source, "%.*s/%.*s/%d/%lld", (int)EL_MIN(scan->group.len, (size_t)LEASE_GROUP_ID_LEN_MAX),
             (const char *)scan->group.data, (int)topic.len, (const char *)topic.data, letter->partition,
             (long long)letter->offset);
    headers[body.header_count++] = (struct el_header){el_slice_str(SOURCE_HEADER), el_slice_str(source)};
    struct el_batch_builder alone;
    uint8_t nothing[EL_BATCH_HEADER_LEN];
    el_batch_builder_init_fixed(&alone, nothing, sizeof nothing);
    bool fits = copy_fits(copies, letter, el_batch_builder_len_with(&alone, 0, &body));
    if (fits && letter->to >= 0) {
        int code = el_batch_builder_add(&copies->all, time_of(record), &body);
        EL_ASSERT(code == 0); /* copy_fits() has seen to it */
    }
    el_free(headers);
    return fits;
}

int redrive_scan_batch(struct redrive_scan *scan)
{
    struct redrive_copies *copies = &scan->copies;
    struct el_batch_builder builder;
    struct el_batch_iter iter;
    struct el_batch_record record;
    uint32_t i = 0;
    int code = el_batch_builder_finish(&copies->all, EL_CODEC_NONE, NULL, &copies->batch);
    code = code != 0 ? code : el_batch_open(&iter, copies->batch.data, copies->batch.len, NULL, 0);
    EL_ASSERT(code == 0);
    el_batch_builder_init_fixed(&builder, copies->buf + copies->room, copies->room);
    while (code == 0 && el_batch_next(&iter, &record) == 1) {
        while (scan->letters[i].to < 0) {
            i++;
        }
        EL_ASSERT(i < scan->letter_count);
        if (scan->letters[i++].to != copies->partition) {
            continue;
        }
        struct el_record_body body = {.key = record.record.key, .value = record.record.value};
        struct el_header *headers = el_calloc(record.record.header_count + 1, sizeof *headers);
        if (headers == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        while (el_header_next(&record.record.headers, &headers[body.header_count])) {
            body.header_count++;
        }
        body.headers = headers;
        code = el_batch_builder_add(&builder, record.timestamp_ms, &body);
        EL_ASSERT(code == 0);
        el_free(headers);
    }
    code = code != 0 ? code : el_batch_builder_finish(&builder, EL_CODEC_NONE, &copies->origin, &copies->batch);
    code = code != 0 ? code
                     : el_batch_check(copies->batch.data, copies->batch.len, EL_BATCH_LEN_MAX, NULL, 0, &copies->info);
    return code;
}

/* --- letters ------------------------------------------------------------------------------------------------------ */

/* returns 1 | 0 there is no room for it | EVLOG_ERR_NO_MEMORY */
static int take(struct redrive_scan *scan, const struct el_batch_record *record, void *match)
{
    const struct el_record *r = &record->record;
    struct el_slice topic = text_of(r, LEASE_LETTER_PREFIX "topic"), history;
    struct redrive_letter letter = {.letter = record->offset, .offset = number_of(r, LEASE_LETTER_PREFIX "offset")};
    int64_t partition = number_of(r, LEASE_LETTER_PREFIX "partition");
    bool good = topic.len > 0 && topic.len <= EL_TOPIC_NAME_MAX && letter.offset >= 0 && partition >= 0 &&
                partition <= INT32_MAX && el_slice_eq(text_of(r, LEASE_LETTER_PREFIX "group"), scan->group);
    good = good && (scan->emits || text_of(r, LEASE_LETTER_EMIT_TOPIC).data == NULL);
    if (!good) {
        scan->others++;
        return 1;
    }
    if (!is_selected(scan, record, match)) {
        return 1;
    }
    if (is_settled(scan, record->offset)) {
        scan->settled_seen++;
        return 1;
    }
    history = text_of(r, LEASE_LETTER_PREFIX "history");
    history = history.len > HISTORY_LEN_MAX ? (struct el_slice){0} : history;
    if (scan->copies.room > 0) {
        topic = history = (struct el_slice){0}; /* the copies have what is needed of them */
    }
    if (scan->letter_count == scan->letter_max || topic.len + history.len > sizeof scan->texts - scan->texts_used) {
        return 0;
    }
    letter.partition = (int32_t)partition;
    letter.key_hash = lease_key_hash(r->key);
    int code = scan->copies.room == 0 ? 1 : copy_take(scan, record, &letter);
    if (code != 1) {
        return code;
    }
    letter.topic = text_keep(scan, topic);
    letter.history = text_keep(scan, history);
    scan->letters[scan->letter_count++] = letter;
    return 1;
}

/* What a run takes from the heap. */
struct scratch {
    void *match, *inflate;
    size_t inflate_len;
};

static int batch_open(struct el_batch_iter *iter, const uint8_t *batch, size_t len, struct scratch *scratch)
{
    int code = el_batch_open(iter, batch, len, scratch->inflate, scratch->inflate_len);
    while (code == EVLOG_ERR_NO_MEMORY && iter->info.scratch_len_wanted > scratch->inflate_len) {
        size_t wanted = iter->info.scratch_len_wanted;
        el_free(scratch->inflate);
        scratch->inflate = el_malloc(wanted);
        scratch->inflate_len = scratch->inflate == NULL ? 0 : wanted;
        if (scratch->inflate == NULL) {
            break;
        }
        code = el_batch_open(iter, batch, len, scratch->inflate, scratch->inflate_len);
    }
    return code;
}

/* returns 1: there is no room for more, or the end is reached | 0 | EVLOG_ERR_ */
static int batch_scan(struct redrive_scan *scan, const uint8_t *batch, size_t len, struct scratch *scratch)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    int64_t last = el_batch_last_offset(batch);
    int code = el_batch_header(batch, len, &iter.info);
    if (code != 0) {
        return code;
    }
    if (last < scan->from || (iter.info.attributes & EL_BATCH_ATTR_CONTROL) != 0) {
        return 0;
    }
    code = batch_open(&iter, batch, len, scratch);
    while (code == 0 && (code = el_batch_next(&iter, &record)) == 1) {
        if (record.offset >= scan->end) {
            scan->next = scan->end;
            return 1;
        }
        code = record.offset >= scan->from ? take(scan, &record, scratch->match) : 1;
        if (code != 1) {
            scan->next = record.offset;
            return code == 0 ? 1 : code;
        }
        scan->next = EL_MAX(scan->next, record.offset + 1);
        code = 0;
    }
    return code;
}

int redrive_scan_run(struct redrive_scan *scan)
{
    struct scratch scratch = {0};
    int code = 0;
    EL_ASSERT(scan->letter_max >= 1 && scan->letter_max <= LEASE_LETTERS_MAX);
    scan->next = scan->from;
    scan->copies.wanted = 0;
    if (scan->pattern != NULL) {
        scratch.match = el_malloc(el_pattern_scratch_len(scan->pattern));
        if (scratch.match == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    for (size_t pos = 0; pos < scan->len && code == 0;) {
        struct el_batch_info info;
        code = el_batch_header(scan->data + pos, scan->len - pos, &info);
        code = code != 0 ? code : batch_scan(scan, scan->data + pos, info.len, &scratch);
        pos += code == 0 ? info.len : 0;
    }
    if (code == 0) {
        scan->next = EL_MIN(EL_MAX(scan->next, scan->next_offset), scan->end);
    }
    el_free(scratch.match);
    el_free(scratch.inflate);
    return code < 0 && scan->next == scan->from ? code : 0;
}
