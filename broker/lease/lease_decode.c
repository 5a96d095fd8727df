/* SPDX-License-Identifier: Apache-2.0
 *
 * See lease_decode.h. A batch larger than one call has room for is opened again by the next one: whoever sends millions
 * of tiny records in a batch makes the broker inflate it some hundred times, on a worker.
 */
#include <lease/lease_decode.h>
#include <lease/lease_filter.h>

#include <core/alloc.h>
#include <core/hash.h>
#include <core/timefmt.h>

#define NS_PER_MS 1000000
#define TIME_TEXT_MAX 40u
#define DIGITS_MAX 15u /* of ms: enough for 30,000 years */

uint64_t lease_key_hash(struct el_slice key)
{
    if (key.data == NULL) {
        return 0;
    }
    uint64_t hash = el_xxh3(key.data, key.len);
    return hash == 0 ? 1 : hash;
}

static bool only_digits(struct el_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
    }
    return true;
}

int64_t lease_not_before_ms(const struct el_record *record)
{
    struct el_slice text;
    char copy[TIME_TEXT_MAX];
    if (record->header_count == 0 || !el_header_find(record, LEASE_NOT_BEFORE_HEADER, &text) || text.data == NULL ||
        text.len == 0 || text.len >= sizeof copy) {
        return 0;
    }
    if (only_digits(text)) {
        int64_t ms = 0;
        for (size_t i = 0; i < text.len && text.len <= DIGITS_MAX; i++) {
            ms = ms * 10 + (text.data[i] - '0');
        }
        return ms;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    int64_t ns;
    struct el_error err = {0};
    /* A date: times relative to now mean nothing in a stored event. */
    bool date = copy[0] >= '0' && copy[0] <= '9';
    return date && el_time_parse(copy, 0, &ns, &err) == 0 && ns > 0 ? ns / NS_PER_MS : 0;
}

uint32_t lease_decode_measure(const struct lease_decode *decode, bool *small)
{
    uint64_t count = 0;
    *small = decode->filter == NULL;
    for (uint32_t i = 0; i < decode->entry_count; i++) {
        struct el_batch_info info;
        const struct read_entry *entry = &decode->entries[i];
        if (el_batch_header(decode->data + entry->pos, entry->len, &info) != 0) {
            continue; /* the run will say so */
        }
        *small = *small && info.codec == EL_CODEC_NONE;
        count += (uint32_t)info.record_count;
    }
    *small = *small && count <= LEASE_DECODE_INLINE_MAX;
    return (uint32_t)EL_MIN(count, (uint64_t)UINT32_MAX);
}

static enum lease_pass passed(const struct lease_decode *decode, const struct el_record *record, void *scratch)
{
    if (decode->filter == NULL) {
        return LEASE_PASS_NOT;
    }
    switch (lease_filter_match(decode->filter, record, scratch)) {
    case EL_PATTERN_MATCH:
        return LEASE_PASS_NOT;
    case EL_PATTERN_NO_MATCH:
        return LEASE_PASS_UNMATCHED;
    case EL_PATTERN_UNPARSABLE:
        return LEASE_PASS_UNPARSABLE;
    case EL_PATTERN_TOO_MANY_STEPS:
        return LEASE_PASS_TOO_LONG;
    }
    return LEASE_PASS_NOT;
}

/* returns 1: there is no room for the record at *next | 0 | EVLOG_ERR_ */
static int batch_decode(struct lease_decode *decode, struct el_batch_iter *iter, const struct read_entry *entry,
                        void *match_scratch, int64_t *next)
{
    struct el_batch_record record;
    int more;
    while ((more = el_batch_next(iter, &record)) == 1) {
        if (record.offset < decode->from) {
            continue;
        }
        if (decode->record_count == decode->record_max) {
            *next = record.offset;
            return 1;
        }
        decode->records[decode->record_count++] = (struct lease_record){
            .offset = record.offset,
            .key_hash = lease_key_hash(record.record.key),
            .append_ms = (int64_t)(entry->append_time_ns / NS_PER_MS),
            .not_before_ms = lease_not_before_ms(&record.record),
            .passed = passed(decode, &record.record, match_scratch),
        };
    }
    return more;
}

/* What a run takes from the heap. */
struct scratch {
    void *match; /* for the filter */
    void *inflate;
    size_t inflate_len;
};

/* A compressed batch is opened with as much memory as that takes, which codecs can only guess at first. */
static int batch_open(struct el_batch_iter *iter, const uint8_t *batch, size_t len, struct scratch *scratch)
{
    int code = el_batch_open(iter, batch, len, scratch->inflate, scratch->inflate_len);
    while (code == EVLOG_ERR_NO_MEMORY && iter->info.scratch_len_wanted > scratch->inflate_len) {
        size_t wanted = iter->info.scratch_len_wanted;
        if (scratch->inflate != NULL) {
            el_free(scratch->inflate);
        }
        scratch->inflate = el_malloc(wanted);
        scratch->inflate_len = scratch->inflate == NULL ? 0 : wanted;
        if (scratch->inflate == NULL) {
            break;
        }
        code = el_batch_open(iter, batch, len, scratch->inflate, scratch->inflate_len);
    }
    return code;
}

/* The batch of an entry, from its header to its last record. */
static int entry_decode(struct lease_decode *decode, const struct read_entry *entry, struct scratch *scratch)
{
    const uint8_t *batch = decode->data + entry->pos;
    struct el_batch_iter iter;
    int64_t next = el_batch_base_offset(batch);
    int code = el_batch_header(batch, entry->len, &iter.info);
    if (code == 0 &&
        (el_batch_last_offset(batch) < decode->from || (iter.info.attributes & EL_BATCH_ATTR_CONTROL) != 0)) {
        return 0;
    }
    code = batch_open(&iter, batch, entry->len, scratch);
    code = code != 0 ? code : batch_decode(decode, &iter, entry, scratch->match, &next);
    if (code != 0) {
        decode->end = EL_MAX(next, decode->from);
    }
    return code;
}

int lease_decode_run(struct lease_decode *decode)
{
    struct scratch scratch = {0};
    int code = 0;
    EL_ASSERT(decode->record_max > 0);
    decode->record_count = 0;
    decode->end = decode->next_offset;
    if (decode->filter != NULL) {
        scratch.match = el_malloc(el_pattern_scratch_len(decode->filter));
        if (scratch.match == NULL) {
            decode->end = decode->from;
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    for (uint32_t i = 0; i < decode->entry_count && code == 0; i++) {
        code = entry_decode(decode, &decode->entries[i], &scratch);
    }
    EL_ASSERT(decode->record_count <= decode->record_max);
    EL_ASSERT(decode->end >= decode->from);
    el_free(scratch.match);
    el_free(scratch.inflate);
    return code < 0 ? code : 0;
}
