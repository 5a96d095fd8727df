/* SPDX-License-Identifier: Apache-2.0
 *
 * Letters of some batches: which are selected, where their events came from. On a worker: takes memory from the heap
 * for compressed batches and for the pattern.
 */
#include <lease/redrive.h>

#include <core/alloc.h>
#include <lease/lease_decode.h>
#include <lease/lease_filter.h>
#include <lease/lease_letter.h>

#define HISTORY_LEN_MAX (32u << 10) /* a story has 16 attempts at most */
#define NUMBER_DIGITS_MAX 19u

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

/* returns false: there is no room for it */
static bool take(struct redrive_scan *scan, const struct el_batch_record *record, void *match)
{
    const struct el_record *r = &record->record;
    struct el_slice topic = text_of(r, LEASE_LETTER_PREFIX "topic"), history;
    struct redrive_letter letter = {.letter = record->offset, .offset = number_of(r, LEASE_LETTER_PREFIX "offset")};
    int64_t partition = number_of(r, LEASE_LETTER_PREFIX "partition");
    bool good = topic.len > 0 && topic.len <= EL_TOPIC_NAME_MAX && letter.offset >= 0 && partition >= 0 &&
                partition <= INT32_MAX && el_slice_eq(text_of(r, LEASE_LETTER_PREFIX "group"), scan->group);
    if (!good) {
        scan->others++;
        return true;
    }
    if (!is_selected(scan, record, match)) {
        return true;
    }
    if (is_settled(scan, record->offset)) {
        scan->settled_seen++;
        return true;
    }
    history = text_of(r, LEASE_LETTER_PREFIX "history");
    history = history.len > HISTORY_LEN_MAX ? (struct el_slice){0} : history;
    if (scan->letter_count == scan->letter_max || topic.len + history.len > sizeof scan->texts - scan->texts_used) {
        return false;
    }
    letter.partition = (int32_t)partition;
    letter.key_hash = lease_key_hash(r->key);
    letter.topic = text_keep(scan, topic);
    letter.history = text_keep(scan, history);
    scan->letters[scan->letter_count++] = letter;
    return true;
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
        if (record.offset >= scan->from && !take(scan, &record, scratch->match)) {
            scan->next = record.offset;
            return 1;
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
    scan->letter_count = 0;
    scan->settled_seen = scan->others = 0;
    scan->texts_used = 0;
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
