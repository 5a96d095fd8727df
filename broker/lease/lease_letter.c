/* SPDX-License-Identifier: Apache-2.0
 *
 * See lease_letter.h. Key, value and headers are the event's, byte for byte. Headers of an earlier death are left out,
 * because readers take the last one of a name and would see two stories; only its history stays.
 */
#include <lease/lease_letter.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <inttypes.h>
#include <stdio.h>

#define OWN_HEADERS 9u
#define NUMBER_LEN_MAX 24u

const char *lease_death_word(enum lease_death death)
{
    switch (death) {
    case LEASE_DEATH_EXHAUSTED:
        return "exhausted";
    case LEASE_DEATH_REJECTED:
        return "rejected";
    case LEASE_DEATH_TOO_OLD:
        return "too-old";
    case LEASE_DEATH_PARKED_KEY:
    case LEASE_DEATH_CHECK:
        return "parked-key";
    case LEASE_DEATH_NONE:
        break;
    }
    return "none";
}

/* Headers that are being put together. */
struct headers {
    struct el_header *list;
    size_t count;
    char numbers[4][NUMBER_LEN_MAX];
    size_t number_count;
};

static void add(struct headers *headers, const char *name, struct el_slice value)
{
    headers->list[headers->count++] = (struct el_header){el_slice_str(name), value};
}

static void add_number(struct headers *headers, const char *name, int64_t number)
{
    EL_ASSERT(headers->number_count < sizeof headers->numbers / sizeof headers->numbers[0]);
    char *text = headers->numbers[headers->number_count++];
    snprintf(text, NUMBER_LEN_MAX, "%" PRId64, number);
    add(headers, name, el_slice_str(text));
}

/* Of a death before this one, but for its history. */
static bool is_old(struct el_slice name)
{
    static const char prefix[] = LEASE_LETTER_PREFIX;
    return name.len >= sizeof prefix - 1 && memcmp(name.data, prefix, sizeof prefix - 1) == 0 &&
           !el_slice_eq(name, el_slice_str(LEASE_LETTER_PREFIX "history"));
}

static void collect(struct headers *headers, const struct lease_letter *letter, const struct el_batch_record *record)
{
    struct el_reader old = record->record.headers;
    for (struct el_header header; el_header_next(&old, &header);) {
        if (!is_old(header.key)) {
            headers->list[headers->count++] = header;
        }
    }
    const char *word = lease_death_word(letter->death);
    add(headers, LEASE_LETTER_PREFIX "topic", letter->topic);
    add_number(headers, LEASE_LETTER_PREFIX "partition", letter->partition);
    add_number(headers, LEASE_LETTER_PREFIX "offset", letter->offset);
    add_number(headers, LEASE_LETTER_PREFIX "timestamp", record->timestamp_ms);
    add(headers, LEASE_LETTER_PREFIX "group", letter->group);
    add_number(headers, LEASE_LETTER_PREFIX "attempts", letter->attempts);
    add(headers, LEASE_LETTER_PREFIX "reason", letter->reason.data != NULL ? letter->reason : el_slice_str(word));
    if (letter->error.data != NULL) {
        add(headers, LEASE_LETTER_PREFIX "error", letter->error);
    }
    if (letter->history.data != NULL) {
        add(headers, LEASE_LETTER_PREFIX "history", letter->history);
    }
}

static int write_record(struct lease_letter *letter, const struct el_batch_record *record)
{
    struct headers headers = {.list = el_calloc(record->record.header_count + OWN_HEADERS, sizeof(struct el_header))};
    if (headers.list == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    collect(&headers, letter, record);
    struct el_record_body body = {.key = record->record.key,
                                  .value = record->record.value,
                                  .headers = headers.list,
                                  .header_count = headers.count};
    el_batch_builder_init_fixed(&letter->builder, letter->buf, letter->buf_len);
    letter->wanted_len = el_batch_builder_len_with(&letter->builder, letter->now_ms, &body);
    int code = letter->wanted_len > letter->buf_len ? EVLOG_ERR_LIMIT
                                                    : el_batch_builder_add(&letter->builder, letter->now_ms, &body);
    el_free(headers.list);
    if (code != 0) {
        return code;
    }
    struct el_reader r;
    struct el_record own;
    el_reader_init(&r, letter->buf + EL_BATCH_HEADER_LEN, letter->builder.len - EL_BATCH_HEADER_LEN);
    code = el_record_next(&r, &own);
    EL_ASSERT(code == 0);
    letter->key = own.key;
    return 0;
}

/* The event in its batch. returns 0 with *record | EVLOG_ERR_ */
static int find_record(const struct lease_letter *letter, struct el_batch_iter *iter, struct el_batch_record *record)
{
    int more;
    while ((more = el_batch_next(iter, record)) == 1) {
        if (record->offset >= letter->offset) {
            return record->offset == letter->offset ? 0 : EVLOG_ERR_NOT_FOUND;
        }
    }
    return more == 0 ? EVLOG_ERR_NOT_FOUND : more;
}

static int build_from(struct lease_letter *letter, const uint8_t *batch, size_t len)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    void *scratch = NULL;
    size_t scratch_len = 0;
    int code = el_batch_open(&iter, batch, len, NULL, 0);
    /* More than once: a codec that does not know how long the records are guesses, and then more. */
    while (code == EVLOG_ERR_NO_MEMORY && iter.info.scratch_len_wanted > scratch_len) {
        scratch_len = iter.info.scratch_len_wanted;
        el_free(scratch);
        scratch = el_malloc(scratch_len);
        if (scratch == NULL) {
            break;
        }
        code = el_batch_open(&iter, batch, len, scratch, scratch_len);
    }
    code = code != 0 ? code : find_record(letter, &iter, &record);
    code = code != 0 ? code : write_record(letter, &record);
    el_free(scratch);
    return code;
}

int lease_letter_build(struct lease_letter *letter)
{
    EL_ASSERT(letter->buf_len >= EL_BATCH_HEADER_LEN);
    for (size_t pos = 0; pos < letter->len;) {
        struct el_batch_info info;
        int code = el_batch_header(letter->data + pos, letter->len - pos, &info);
        if (code != 0) {
            return code;
        }
        if (el_batch_last_offset(letter->data + pos) >= letter->offset) {
            return build_from(letter, letter->data + pos, info.len);
        }
        pos += info.len;
    }
    return EVLOG_ERR_NOT_FOUND;
}
