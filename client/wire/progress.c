/* SPDX-License-Identifier: Apache-2.0
 *
 * Positions in many partitions as one word.
 */
#include <wire/progress.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/base64.h>
#include <core/cursor.h>
#include <core/hash.h>
#include <evlog/error.h>

#define PROGRESS_VERSION 2
#define FLAG_WHOLE 1u
#define HEAD_LEN 18u
#define CHECK_LEN 4u
#define ENTRY_LEN_MAX 20u /* 5 + 10 + 5 */

static void swap_letters(char *text, size_t len, const char *from, const char *to)
{
    for (size_t i = 0; i < len; i++) {
        text[i] = text[i] == from[0] ? to[0] : text[i] == from[1] ? to[1] : text[i];
    }
}

void el_progress_format(struct el_buffer *text, const struct el_progress *progress)
{
    size_t room = HEAD_LEN + (size_t)progress->count * ENTRY_LEN_MAX + 2 + CHECK_LEN;
    uint8_t *bytes = el_malloc(room);
    struct el_writer w;
    int32_t next = 0;
    if (bytes == NULL) {
        text->err = EVLOG_ERR_NO_MEMORY;
        return;
    }
    EL_ASSERT(progress->count <= EL_PROGRESS_ENTRIES_MAX);
    el_writer_init(&w, bytes, room);
    el_write_u8(&w, PROGRESS_VERSION);
    el_write_bytes(&w, progress->topic_id.bytes, sizeof progress->topic_id.bytes);
    el_write_u8(&w, progress->whole ? FLAG_WHOLE : 0);
    for (uint32_t i = 0; i < progress->count; i++) {
        const struct el_progress_entry *entry = &progress->entries[i];
        EL_ASSERT(entry->partition >= next);
        EL_ASSERT(entry->offset >= 0);
        EL_ASSERT(entry->leader_epoch >= -1);
        el_write_uvarint(&w, (uint32_t)(entry->partition - next));
        el_write_uvarlong(&w, (uint64_t)entry->offset);
        el_write_uvarint(&w, (uint32_t)entry->leader_epoch + 1);
        next = entry->partition + 1;
    }
    while ((el_writer_len(&w) + CHECK_LEN) % 3 != 0) {
        el_write_u8(&w, 0);
    }
    el_write_be32(&w, el_crc32c(0, bytes, el_writer_len(&w)));
    EL_ASSERT(w.err == 0);
    size_t len = el_base64_encoded_len(el_writer_len(&w));
    char *out = (char *)el_buffer_room(text, len + 1);
    if (out != NULL) {
        el_base64_encode(out, bytes, el_writer_len(&w));
        swap_letters(out, len, "+/", "-_");
        text->len--; /* the NUL */
    }
    el_free(bytes);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* An entry is at least three bytes, so that zeros at the end, fewer than that, are none. */
static int entries_read(struct el_reader *r, struct el_progress *progress)
{
    uint32_t room = (uint32_t)(el_reader_left(r) / 3);
    int64_t next = 0;
    if (room > EL_PROGRESS_ENTRIES_MAX) {
        return EVLOG_ERR_MALFORMED;
    }
    progress->entries = el_calloc(EL_MAX(room, 1u), sizeof *progress->entries);
    if (progress->entries == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    while (el_reader_left(r) >= 3) {
        struct el_progress_entry *entry = &progress->entries[progress->count++];
        int64_t partition = next + el_read_uvarint(r);
        uint64_t offset = el_read_uvarlong(r);
        uint32_t epoch = el_read_uvarint(r);
        if (r->err != 0 || partition > INT32_MAX - 1 || offset > INT64_MAX || epoch > INT32_MAX) {
            return EVLOG_ERR_MALFORMED;
        }
        *entry = (struct el_progress_entry){(int32_t)partition, (int32_t)epoch - 1, (int64_t)offset};
        next = partition + 1;
    }
    while (el_reader_left(r) > 0) {
        if (el_read_u8(r) != 0) {
            return EVLOG_ERR_MALFORMED;
        }
    }
    return 0;
}

static int one_position(struct el_slice text, struct el_progress *progress)
{
    struct el_position position;
    int code = el_position_parse(text, &position);
    if (code != 0) {
        return code;
    }
    progress->entries = el_calloc(1, sizeof *progress->entries);
    if (progress->entries == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    progress->topic_id = position.topic_id;
    progress->entries[0] = (struct el_progress_entry){position.partition, -1, position.offset};
    progress->count = 1;
    return 0;
}

static int bytes_read(struct el_slice text, const uint8_t *bytes, size_t len, struct el_progress *progress)
{
    if (len < HEAD_LEN + CHECK_LEN || el_get_be32(bytes + len - CHECK_LEN) != el_crc32c(0, bytes, len - CHECK_LEN)) {
        return EVLOG_ERR_MALFORMED;
    }
    struct el_reader r;
    el_reader_init(&r, bytes, len - CHECK_LEN);
    if (el_read_u8(&r) != PROGRESS_VERSION) {
        return EVLOG_ERR_FORMAT;
    }
    memcpy(progress->topic_id.bytes, el_read_bytes(&r, 16), 16);
    uint8_t flags = el_read_u8(&r);
    if ((flags & ~FLAG_WHOLE) != 0) {
        return EVLOG_ERR_FORMAT;
    }
    progress->whole = (flags & FLAG_WHOLE) != 0;
    int code = entries_read(&r, progress);
    if (code != 0) {
        return code;
    }
    /* One word for one content: what is read must be what would be written. */
    struct el_buffer again = {0};
    el_progress_format(&again, progress);
    bool same = again.err == 0 && el_slice_eq(el_buffer_slice(&again), text);
    code = again.err != 0 ? again.err : same ? 0 : EVLOG_ERR_MALFORMED;
    el_buffer_free(&again);
    return code;
}

int el_progress_parse(struct el_slice text, struct el_progress *progress)
{
    struct el_progress found = {.count = 0};
    size_t len = 0;
    if (text.len == EL_POSITION_TEXT_LEN && one_position(text, &found) == 0) {
        *progress = found;
        return 0;
    }
    if (text.len == 0 || text.len % 4 != 0 || text.len > EL_PROGRESS_TEXT_MAX ||
        memchr(text.data, '+', text.len) != NULL || memchr(text.data, '/', text.len) != NULL) {
        return EVLOG_ERR_MALFORMED;
    }
    size_t room = text.len / 4 * 3;
    char *letters = el_malloc(text.len);
    uint8_t *bytes = el_malloc(room);
    int code = letters == NULL || bytes == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    if (code == 0) {
        memcpy(letters, text.data, text.len);
        swap_letters(letters, text.len, "-_", "+/");
        code = el_base64_decode(letters, text.len, bytes, room, &len);
        code = code != 0 ? EVLOG_ERR_MALFORMED : bytes_read(text, bytes, len, &found);
    }
    el_free(letters);
    el_free(bytes);
    if (code != 0) {
        el_progress_free(&found);
        return code;
    }
    *progress = found;
    return 0;
}

void el_progress_free(struct el_progress *progress)
{
    el_free(progress->entries);
    *progress = (struct el_progress){.count = 0};
}

/* --- using -------------------------------------------------------------------------------------------------------- */

const struct el_progress_entry *el_progress_find(const struct el_progress *progress, int32_t partition)
{
    uint32_t low = 0, high = progress->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (progress->entries[middle].partition == partition) {
            return &progress->entries[middle];
        }
        if (progress->entries[middle].partition < partition) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

int el_progress_compare(const struct el_progress *a, const struct el_progress *b, enum el_progress_order *order)
{
    uint32_t common = 0;
    bool before = false, after = false;
    if (!el_uuid_eq(&a->topic_id, &b->topic_id)) {
        return EVLOG_ERR_ARGUMENT;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        const struct el_progress_entry *other = el_progress_find(b, a->entries[i].partition);
        if (other != NULL) {
            common++;
            before = before || a->entries[i].offset < other->offset;
            after = after || a->entries[i].offset > other->offset;
        }
    }
    if (common == 0) {
        return EVLOG_ERR_ARGUMENT;
    }
    *order = before && after ? EL_PROGRESS_APART
             : before        ? EL_PROGRESS_BEFORE
             : after         ? EL_PROGRESS_AFTER
                             : EL_PROGRESS_EQUAL;
    return 0;
}
