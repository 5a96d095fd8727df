/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding of segment headers, chunks and footers. Layouts: include/format/segment_layout.h.
 */
#include <format/segment_layout.h>

#include <core/hash.h>
#include <evlog/error.h>

#define SEGMENT_MAGIC "EVLOGSEG"
#define CHUNK_MAGIC "EVLOGCHK"
#define FOOTER_MAGIC "EVLOGFTR"
#define TRAILER_MAGIC "EVLOGEND"
#define FOOTER_HEAD_LEN 16u
#define SECTION_HEAD_LEN 16u
#define SHA256_LEN 32u

EL_STATIC_ASSERT(EL_CHUNK_DATA_MAX >= EL_BATCH_LEN_MAX, "the largest batch fits into a chunk");

void el_segment_header_put(uint8_t *p, const struct el_segment_header *h)
{
    memset(p, 0, EL_SEGMENT_HEADER_LEN);
    memcpy(p, SEGMENT_MAGIC, 8);
    el_put_le32(p + 8, EL_SEGMENT_FORMAT);
    el_put_le32(p + 12, (uint32_t)h->partition);
    memcpy(p + 16, h->topic_id.bytes, 16);
    el_put_le64(p + 32, h->segment_id);
    el_put_le64(p + 40, (uint64_t)h->base_offset);
    el_put_le64(p + 48, h->generation);
    el_put_le64(p + 56, h->previous_id);
    el_put_le64(p + 64, h->previous_generation);
    el_put_le64(p + 120, el_xxh3(p, 120));
}

int el_segment_header_get(const uint8_t *p, struct el_segment_header *h)
{
    if (memcmp(p, SEGMENT_MAGIC, 8) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    if (el_get_le32(p + 8) > EL_SEGMENT_FORMAT) {
        return EVLOG_ERR_FORMAT;
    }
    if (el_get_le32(p + 8) != EL_SEGMENT_FORMAT || el_get_le64(p + 120) != el_xxh3(p, 120)) {
        return EVLOG_ERR_CORRUPT;
    }
    h->partition = (int32_t)el_get_le32(p + 12);
    memcpy(h->topic_id.bytes, p + 16, 16);
    h->segment_id = el_get_le64(p + 32);
    h->base_offset = (int64_t)el_get_le64(p + 40);
    h->generation = el_get_le64(p + 48);
    h->previous_id = el_get_le64(p + 56);
    h->previous_generation = el_get_le64(p + 64);
    return 0;
}

void el_chunk_entry_put(uint8_t *p, const struct el_chunk_entry *e)
{
    el_put_le64(p, e->append_time_ns);
    el_put_le64(p + 8, (uint64_t)e->base_offset);
    el_put_le32(p + 16, (uint32_t)e->leader_epoch);
    el_put_le32(p + 20, e->len);
    memcpy(p + 24, e->salt, 16);
    el_put_le64(p + 40, e->checksum);
    el_put_le64(p + 48, (uint64_t)e->max_timestamp_ms);
    el_put_le32(p + 56, e->last_offset_delta);
    el_put_le32(p + 60, e->cleaned_s);
}

void el_chunk_entry_get(const uint8_t *p, struct el_chunk_entry *e)
{
    e->append_time_ns = el_get_le64(p);
    e->base_offset = (int64_t)el_get_le64(p + 8);
    e->leader_epoch = (int32_t)el_get_le32(p + 16);
    e->len = el_get_le32(p + 20);
    memcpy(e->salt, p + 24, 16);
    e->checksum = el_get_le64(p + 40);
    e->max_timestamp_ms = (int64_t)el_get_le64(p + 48);
    e->last_offset_delta = el_get_le32(p + 56);
    e->cleaned_s = el_get_le32(p + 60);
}

/* Header bytes before the checksum, then the hash of the table, hashed together. */
static uint64_t chunk_checksum(const uint8_t *p, uint32_t count)
{
    uint8_t head[EL_CHUNK_HEADER_LEN];
    memcpy(head, p, 56);
    el_put_le64(head + 56, el_xxh3(p + EL_CHUNK_HEADER_LEN, (size_t)count * EL_CHUNK_ENTRY_LEN));
    return el_xxh3(head, sizeof(head));
}

void el_chunk_seal(uint8_t *p, const struct el_chunk_header *h)
{
    EL_ASSERT(h->count > 0);
    EL_ASSERT(h->count <= EL_CHUNK_COUNT_MAX);
    EL_ASSERT(h->data_len <= EL_CHUNK_DATA_MAX);
    memcpy(p, CHUNK_MAGIC, 8);
    memcpy(p + 8, h->topic_id.bytes, 16);
    el_put_le32(p + 24, (uint32_t)h->partition);
    el_put_le32(p + 28, h->count);
    el_put_le64(p + 32, h->segment_id);
    el_put_le64(p + 40, h->pos);
    el_put_le32(p + 48, h->data_len);
    el_put_le32(p + 52, 0);
    el_put_le64(p + 56, chunk_checksum(p, h->count));
}

int el_chunk_header_get(const uint8_t *p, struct el_chunk_header *h)
{
    if (memcmp(p, CHUNK_MAGIC, 8) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    memcpy(h->topic_id.bytes, p + 8, 16);
    h->partition = (int32_t)el_get_le32(p + 24);
    h->count = el_get_le32(p + 28);
    h->segment_id = el_get_le64(p + 32);
    h->pos = el_get_le64(p + 40);
    h->data_len = el_get_le32(p + 48);
    if (h->count == 0 || h->count > EL_CHUNK_COUNT_MAX || h->data_len > EL_CHUNK_DATA_MAX) {
        return EVLOG_ERR_CORRUPT;
    }
    return 0;
}

int el_chunk_check(const uint8_t *p, const struct el_chunk_header *h)
{
    if (el_get_le64(p + 56) != chunk_checksum(p, h->count)) {
        return EVLOG_ERR_CORRUPT;
    }
    uint64_t data_len = 0;
    int64_t next_offset = INT64_MIN;
    for (uint32_t i = 0; i < h->count; i++) {
        struct el_chunk_entry e;
        el_chunk_entry_get(p + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN, &e);
        if (e.base_offset < 0 || e.base_offset < next_offset || e.last_offset_delta > INT32_MAX ||
            e.base_offset > INT64_MAX - 1 - (int64_t)e.last_offset_delta) {
            return EVLOG_ERR_CORRUPT;
        }
        next_offset = e.base_offset + (int64_t)e.last_offset_delta + 1;
        data_len += e.len;
    }
    return data_len == h->data_len ? 0 : EVLOG_ERR_CORRUPT;
}

void el_chunk_guess(const uint8_t *p, size_t len, uint64_t guesses[EL_CHUNK_GUESSES])
{
    uint32_t count = el_get_le32(p + 28), data_len = el_get_le32(p + 48);
    size_t entry_count = EL_MIN((len - EL_CHUNK_HEADER_LEN) / EL_CHUNK_ENTRY_LEN, (size_t)EL_CHUNK_COUNT_MAX);
    uint64_t sum = 0;
    guesses[0] = el_chunk_len(count, data_len);
    guesses[1] = guesses[2] = 0;
    for (uint32_t i = 0; i < entry_count; i++) {
        sum += el_get_le32(p + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN + 20);
        if (i + 1 == count) {
            guesses[1] = el_chunk_len(count, sum);
        }
        if (sum == data_len && guesses[2] == 0) {
            guesses[2] = el_chunk_len(i + 1, data_len);
        }
    }
}

bool el_is_footer(const uint8_t *p)
{
    return memcmp(p, FOOTER_MAGIC, 8) == 0;
}

size_t el_footer_len(size_t index_count, bool with_sha256)
{
    return FOOTER_HEAD_LEN + SECTION_HEAD_LEN + index_count * EL_INDEX_ENTRY_LEN +
           (with_sha256 ? SECTION_HEAD_LEN + SHA256_LEN : 0) + EL_SEGMENT_TRAILER_LEN;
}

static uint8_t *section_head_put(uint8_t *p, uint32_t tag, uint64_t len)
{
    el_put_le32(p, tag);
    el_put_le32(p + 4, 0);
    el_put_le64(p + 8, len);
    return p + SECTION_HEAD_LEN;
}

void el_footer_put(uint8_t *p, uint64_t pos, const struct el_index_entry *index, size_t index_count,
                   const uint8_t *sha256)
{
    uint8_t *start = p;
    memcpy(p, FOOTER_MAGIC, 8);
    el_put_le32(p + 8, sha256 == NULL ? 1 : 2);
    el_put_le32(p + 12, 0);
    p = section_head_put(p + FOOTER_HEAD_LEN, EL_FOOTER_INDEX_TAG, index_count * EL_INDEX_ENTRY_LEN);
    for (size_t i = 0; i < index_count; i++, p += EL_INDEX_ENTRY_LEN) {
        el_put_le64(p, (uint64_t)index[i].base_offset);
        el_put_le64(p + 8, index[i].pos);
        el_put_le64(p + 16, (uint64_t)index[i].max_timestamp_ms);
        el_put_le64(p + 24, index[i].append_time_ns);
        el_put_le64(p + 32, index[i].len);
    }
    if (sha256 != NULL) {
        p = section_head_put(p, EL_FOOTER_SHA256_TAG, SHA256_LEN);
        memcpy(p, sha256, SHA256_LEN);
        p += SHA256_LEN;
    }
    size_t len = (size_t)(p - start);
    el_put_le64(p, pos);
    el_put_le64(p + 8, len);
    el_put_le64(p + 16, el_xxh3(start, len));
    memcpy(p + 24, TRAILER_MAGIC, 8);
    EL_ASSERT(len + EL_SEGMENT_TRAILER_LEN == el_footer_len(index_count, sha256 != NULL));
}

int el_trailer_get(const uint8_t *p, uint64_t file_len, uint64_t *footer_pos, uint64_t *footer_len, uint64_t *checksum)
{
    uint64_t pos = el_get_le64(p), len = el_get_le64(p + 8);
    if (memcmp(p + 24, TRAILER_MAGIC, 8) != 0 || file_len < EL_SEGMENT_TRAILER_LEN ||
        len > file_len - EL_SEGMENT_TRAILER_LEN || pos != file_len - EL_SEGMENT_TRAILER_LEN - len ||
        len < FOOTER_HEAD_LEN) {
        return EVLOG_ERR_CORRUPT;
    }
    *footer_pos = pos;
    *footer_len = len;
    *checksum = el_get_le64(p + 16);
    return 0;
}

int el_footer_section(const uint8_t *footer, size_t footer_len, uint64_t checksum, uint32_t tag,
                      struct el_slice *section)
{
    if (footer_len < FOOTER_HEAD_LEN || memcmp(footer, FOOTER_MAGIC, 8) != 0 ||
        el_xxh3(footer, footer_len) != checksum) {
        return EVLOG_ERR_CORRUPT;
    }
    uint32_t count = el_get_le32(footer + 8);
    const uint8_t *p = footer + FOOTER_HEAD_LEN;
    size_t left = footer_len - FOOTER_HEAD_LEN;
    for (uint32_t i = 0; i < count; i++) {
        if (left < SECTION_HEAD_LEN || el_get_le64(p + 8) > left - SECTION_HEAD_LEN) {
            return EVLOG_ERR_CORRUPT;
        }
        size_t len = (size_t)el_get_le64(p + 8);
        if (el_get_le32(p) == tag) {
            *section = el_slice_of(p + SECTION_HEAD_LEN, len);
            return 0;
        }
        p += SECTION_HEAD_LEN + len;
        left -= SECTION_HEAD_LEN + len;
    }
    return EVLOG_ERR_NOT_FOUND;
}

void el_index_entry_get(const uint8_t *p, struct el_index_entry *e)
{
    e->base_offset = (int64_t)el_get_le64(p);
    e->pos = el_get_le64(p + 8);
    e->max_timestamp_ms = (int64_t)el_get_le64(p + 16);
    e->append_time_ns = el_get_le64(p + 24);
    e->len = el_get_le64(p + 32);
}
