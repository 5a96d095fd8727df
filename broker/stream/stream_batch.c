/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes of a record batch what the stream index must know of it. Any thread.
 *
 * 1. the batch is opened; its records are gone through once to see how many bytes of keys are to be kept
 * 2. one block is taken for records and keys; a key that is that of the record before is kept once
 * 3. each record's headers are looked through once, and its key, id and type are hashed
 *
 * The batch has passed el_batch_check(), but what its keys and headers say is the sender's: refused with words that
 * tell the sender what is wrong.
 */
#include <stream/stream_batch.h>

#include <core/alloc.h>
#include <core/arena.h>
#include <evlog/error.h>

#define HASHED_LEN_MAX (5 + EL_STREAM_KEY_MAX + EL_STREAM_ID_MAX)

/* --- hashes: what kind of thing it is comes first ----------------------------------------------------------------- */

static struct el_hash128 hash_of(const struct stream_secret *secret, uint8_t kind, struct el_slice a, struct el_slice b)
{
    uint8_t bytes[HASHED_LEN_MAX];
    size_t len = 0;
    bytes[len++] = kind;
    if (b.data != NULL) { /* two parts: the first one's length says where the second begins */
        el_put_le32(bytes + len, (uint32_t)a.len);
        len += 4;
    }
    if (a.len > 0) {
        memcpy(bytes + len, a.data, a.len);
    }
    len += a.len;
    if (b.len > 0) {
        memcpy(bytes + len, b.data, b.len);
    }
    return el_xxh3_128(bytes, len + b.len, secret->bytes);
}

struct el_hash128 stream_hash_key(const struct stream_secret *secret, struct el_slice key)
{
    EL_ASSERT(key.len <= EL_STREAM_KEY_MAX);
    return hash_of(secret, 'S', key, (struct el_slice){0});
}

struct el_hash128 stream_hash_type(const struct stream_secret *secret, struct el_slice type)
{
    EL_ASSERT(type.len <= EL_STREAM_ID_MAX);
    return hash_of(secret, 'T', type, (struct el_slice){0});
}

struct el_hash128 stream_hash_id(const struct stream_secret *secret, struct el_slice key, struct el_slice id)
{
    EL_ASSERT(key.len <= EL_STREAM_KEY_MAX);
    EL_ASSERT(id.len <= EL_STREAM_ID_MAX);
    EL_ASSERT(id.data != NULL);
    return hash_of(secret, 'I', key, id);
}

/* --- headers ------------------------------------------------------------------------------------------------------ */

/* What the headers of a record say; data NULL: nothing. */
struct record_words {
    struct el_slice id;
    struct el_slice type;
    struct el_slice expected;
    struct el_slice deleted;
    uint32_t expected_count;
    uint32_t deleted_count;
};

static bool is_word(struct el_slice text, const char *word)
{
    return el_slice_eq(text, el_slice_str(word)) != 0;
}

/* Of a header that is there more than once the last one counts, as for every Kafka client. */
static void words_read(const struct el_record *record, struct record_words *words)
{
    struct el_reader headers = record->headers;
    struct el_header header;
    *words = (struct record_words){0};
    while (el_header_next(&headers, &header)) {
        if (is_word(header.key, STREAM_HEADER_ID)) {
            words->id = header.value;
        } else if (is_word(header.key, STREAM_HEADER_TYPE)) {
            words->type = header.value;
        } else if (is_word(header.key, STREAM_HEADER_EXPECTED)) {
            words->expected = header.value;
            words->expected_count++;
        } else if (is_word(header.key, STREAM_HEADER_DELETED)) {
            words->deleted = header.value;
            words->deleted_count++;
        }
    }
}

/* none, any, exists, or digits without anything before or behind them. */
static bool expected_parse(struct el_slice text, int64_t *expected)
{
    if (is_word(text, "none") || is_word(text, "any") || is_word(text, "exists")) {
        *expected = is_word(text, "none") ? STREAM_NONE : is_word(text, "any") ? STREAM_ANY : STREAM_EXISTS;
        return true;
    }
    if (text.len == 0 || text.len > 19 || (text.len > 1 && text.data[0] == '0')) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *expected = (int64_t)value;
    return value <= INT64_MAX;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

struct maker {
    const struct stream_secret *secret;
    struct stream_batch *out;
    uint8_t *keys; /* where the next key goes */
    bool trusted;
    bool with_producer;
};

/* Rules of what a client may send; NULL: it may. */
static const char *words_refused(const struct maker *m, const struct record_words *words, bool keyed,
                                 struct stream_record *record)
{
    if (words->deleted_count > 0) {
        return "header " STREAM_HEADER_DELETED " is not for clients: delete a stream with 'evlog streams delete'";
    }
    if (words->expected_count == 0) {
        return NULL;
    }
    if (words->expected_count > 1) {
        return "header " STREAM_HEADER_EXPECTED " is there twice";
    }
    if (!expected_parse(words->expected, &record->expected)) {
        return "header " STREAM_HEADER_EXPECTED " must be none, any, exists or a version number";
    }
    if (!keyed) {
        return "header " STREAM_HEADER_EXPECTED " is on a record without a key, which is in no stream";
    }
    if (!m->with_producer && (record->flags & STREAM_RECORD_ID) == 0) {
        return "header " STREAM_HEADER_EXPECTED " needs an idempotent producer (enable.idempotence=true) or a header "
               "ce_id, else a retry could not be told from a conflict";
    }
    return NULL;
}

static void tombstone_read(const struct record_words *words, struct stream_record *record)
{
    if (words->deleted_count == 1 && (record->flags & STREAM_RECORD_KEY) != 0) {
        record->flags |= is_word(words->deleted, "soft") ? STREAM_RECORD_SOFT : 0;
        record->flags |= is_word(words->deleted, "hard") ? STREAM_RECORD_HARD : 0;
    }
}

static const char *lengths_refused(const struct el_record *in, const struct record_words *words)
{
    if (in->key.len > EL_STREAM_KEY_MAX) {
        return "key is longer than 4096 bytes, the most in a topic with streams";
    }
    if (words->id.len > EL_STREAM_ID_MAX || words->type.len > EL_STREAM_ID_MAX) {
        return "ce_id or ce_type is longer than 4096 bytes, the most in a topic with streams";
    }
    return NULL;
}

static void key_keep(struct maker *m, struct el_slice key, const struct stream_record *before,
                     struct stream_record *record)
{
    if (before != NULL && before->key_bytes.data != NULL && el_slice_eq(before->key_bytes, key)) {
        record->key_bytes = before->key_bytes;
        record->key = before->key;
        return;
    }
    if (key.len > 0) {
        memcpy(m->keys, key.data, key.len);
    }
    record->key_bytes = el_slice_of(m->keys, key.len);
    m->keys += key.len;
    record->key = stream_hash_key(m->secret, key);
}

/* returns NULL | what is wrong */
static const char *record_make(struct maker *m, const struct el_record *in, const struct stream_record *before,
                               struct stream_record *record)
{
    struct record_words words;
    words_read(in, &words);
    bool keyed = in->key.data != NULL;
    *record = (struct stream_record){.expected = STREAM_ANY, .version = -1, .offset = -1};
    record->offset_delta = (uint32_t)in->offset_delta;
    const char *why = lengths_refused(in, &words);
    if (why != NULL) {
        return why;
    }
    if (keyed) {
        record->flags |= STREAM_RECORD_KEY;
        key_keep(m, in->key, before, record);
    }
    if (keyed && words.id.len > 0) {
        record->flags |= STREAM_RECORD_ID;
        record->id = stream_hash_id(m->secret, in->key, words.id);
    }
    if (words.type.len > 0) {
        record->flags |= STREAM_RECORD_TYPE;
        record->type = stream_hash_type(m->secret, words.type);
    }
    if (m->trusted) {
        tombstone_read(&words, record);
        return NULL;
    }
    return words_refused(m, &words, keyed, record);
}

/* Bytes of the keys that are to be kept. */
static int keys_measure(struct el_batch_iter iter, size_t *len)
{
    struct el_batch_record record;
    struct el_slice before = {0};
    int code;
    *len = 0;
    for (code = el_batch_next(&iter, &record); code == 1; code = el_batch_next(&iter, &record)) {
        struct el_slice key = record.record.key;
        bool kept = key.data == NULL || (before.data != NULL && el_slice_eq(before, key));
        *len += kept ? 0 : key.len;
        before = key;
    }
    return code;
}

static int records_make(struct maker *m, struct el_batch_iter *iter, const char **why)
{
    struct el_batch_record record;
    struct stream_batch *out = m->out;
    int code;
    uint32_t i = 0;
    for (code = el_batch_next(iter, &record); code == 1; code = el_batch_next(iter, &record)) {
        EL_ASSERT(i < out->record_count);
        const char *wrong = record_make(m, &record.record, i == 0 ? NULL : &out->records[i - 1], &out->records[i]);
        if (wrong != NULL) {
            *why = wrong;
            out->failed_index = (int32_t)i;
            return EVLOG_ERR_INVALID_RECORD;
        }
        i++;
    }
    EL_ASSERT(code != 0 || i == out->record_count);
    return code;
}

int stream_batch_make(const struct stream_secret *secret, const void *batch, size_t len, void *scratch,
                      size_t scratch_len, struct el_arena *arena, bool trusted, struct stream_batch *out,
                      const char **why)
{
    struct el_batch_iter iter;
    size_t keys_len;
    *out = (struct stream_batch){.failed_index = -1, .cited = -1};
    *why = "the batch cannot be read";
    int code = el_batch_open(&iter, batch, len, scratch, scratch_len);
    if (code == 0 && iter.info.record_count > (int32_t)EL_STREAM_RECORDS_MAX) {
        *why = "a batch of a topic with streams holds at most 16384 records: let the producer make smaller ones";
        return EVLOG_ERR_TOO_LARGE;
    }
    code = code != 0 ? code : keys_measure(iter, &keys_len);
    if (code != 0) {
        return code;
    }
    out->record_count = (uint32_t)iter.info.record_count;
    size_t records_len = out->record_count * sizeof(struct stream_record);
    uint8_t *memory = arena == NULL ? el_malloc(records_len + keys_len + 1)
                                    : el_arena_alloc(arena, records_len + keys_len + 1);
    if (memory == NULL) {
        *why = "out of memory";
        return EVLOG_ERR_NO_MEMORY;
    }
    out->records = (struct stream_record *)(void *)memory;
    struct maker m = {.secret = secret, .out = out, .keys = memory + records_len, .trusted = trusted};
    m.with_producer = iter.info.producer_id >= 0;
    code = records_make(&m, &iter, why);
    EL_ASSERT(m.keys <= memory + records_len + keys_len);
    if (code != 0) {
        out->records = NULL;
        out->record_count = 0;
        if (arena == NULL) {
            el_free(memory);
        }
    }
    return code;
}
