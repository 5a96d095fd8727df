/* SPDX-License-Identifier: Apache-2.0
 *
 * Segment files read from a damaged or hostile disk: file header, a chunk, footer and trailer. Each is tried as the
 * input has it and with its checksum put right, since a mutation hardly ever keeps one.
 *
 *   1. a chunk that passes the check has ascending offsets and lengths that add up to its data;
 *   2. a footer section lies inside the footer.
 */
#include <core/assert.h>
#include <core/hash.h>
#include <evlog/error.h>
#include <format/segment_layout.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_file_header(uint8_t *p)
{
    struct el_segment_header h;
    el_segment_header_get(p, &h);
    el_put_le64(p + 120, el_xxh3(p, 120));
    if (el_segment_header_get(p, &h) == 0) {
        uint8_t again[EL_SEGMENT_HEADER_LEN];
        struct el_segment_header same;
        el_segment_header_put(again, &h);
        EL_ASSERT(el_segment_header_get(again, &same) == 0);
        EL_ASSERT(same.segment_id == h.segment_id);
        EL_ASSERT(same.base_offset == h.base_offset);
    }
}

static void look_at_chunk(const uint8_t *p, const struct el_chunk_header *h)
{
    uint64_t data_len = 0;
    int64_t last_offset = -1;
    if (el_chunk_check(p, h) != 0) {
        return;
    }
    for (uint32_t i = 0; i < h->count; i++) {
        struct el_chunk_entry e;
        el_chunk_entry_get(p + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN, &e);
        EL_ASSERT(e.base_offset > last_offset);
        last_offset = e.base_offset + (int64_t)e.last_offset_delta;
        EL_ASSERT(last_offset >= e.base_offset);
        data_len += e.len;
    }
    EL_ASSERT(data_len == h->data_len);
}

static void try_chunk(uint8_t *p, size_t len)
{
    struct el_chunk_header h;
    uint64_t guesses[EL_CHUNK_GUESSES];
    if (len >= EL_CHUNK_HEADER_LEN) { /* made for bytes that do not verify */
        el_chunk_guess(p, len, guesses);
    }
    if (len < EL_CHUNK_HEADER_LEN || el_chunk_header_get(p, &h) != 0 || el_chunk_len(h.count, 0) > len) {
        return;
    }
    look_at_chunk(p, &h);
    el_chunk_seal(p, &h);
    look_at_chunk(p, &h);
    /* Data length put right as well, so that the sum holds and the order of offsets decides. */
    uint64_t data_len = 0;
    for (uint32_t i = 0; i < h.count; i++) {
        data_len += el_get_le32(p + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN + 20);
    }
    if (data_len <= EL_CHUNK_DATA_MAX) {
        h.data_len = (uint32_t)data_len;
        el_chunk_seal(p, &h);
        look_at_chunk(p, &h);
    }
}

static void look_at_sections(const uint8_t *footer, size_t footer_len, uint64_t checksum)
{
    for (uint32_t tag = 0; tag <= EL_FOOTER_SHA256_TAG + 1; tag++) {
        struct el_slice section;
        int err = el_footer_section(footer, footer_len, checksum, tag, &section);
        if (err == 0) {
            EL_ASSERT(section.data >= footer);
            EL_ASSERT(section.len <= (size_t)(footer + footer_len - section.data));
            el_xxh3(section.data, section.len);
        }
    }
}

/* The input as the last bytes of a file. */
static void try_footer(uint8_t *p, size_t len)
{
    uint64_t pos, footer_len, checksum;
    look_at_sections(p, len, el_xxh3(p, len));
    if (len < EL_SEGMENT_TRAILER_LEN) {
        return;
    }
    uint8_t *trailer = p + len - EL_SEGMENT_TRAILER_LEN;
    for (uint64_t file_len = len; file_len <= len + 4096; file_len += 4096) {
        if (el_trailer_get(trailer, file_len, &pos, &footer_len, &checksum) == 0) {
            EL_ASSERT(pos + footer_len + EL_SEGMENT_TRAILER_LEN == file_len);
            if (file_len == len) {
                look_at_sections(p + pos, (size_t)footer_len, checksum);
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    EL_ASSERT(len <= PTRDIFF_MAX); /* no object is larger; gcc follows a path where it would be */
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    EL_ASSERT(copy != NULL);
    memcpy(copy, data, len);
    try_footer(copy, len);
    try_chunk(copy, len);
    if (len >= EL_SEGMENT_HEADER_LEN) {
        memcpy(copy, data, len);
        try_file_header(copy);
    }
    if (len > EL_SEGMENT_HEADER_LEN) {
        memcpy(copy, data, len);
        try_chunk(copy + EL_SEGMENT_HEADER_LEN, len - EL_SEGMENT_HEADER_LEN);
    }
    free(copy);
    return 0;
}
