/* SPDX-License-Identifier: Apache-2.0
 *
 * Journal groups, their frames and the durable-end mark, read from a damaged or hostile disk. An input is tried as it
 * is and with its checksum put right, since a mutation hardly ever keeps one.
 *
 *   1. the two strengths of el_group_open() agree: what passes whole passes by its header;
 *   2. frames lie inside the group, move on by at least a frame header each, and end exactly at its end or are refused;
 *   3. a group that was read and sealed again is read the same.
 */
#include <core/assert.h>
#include <core/hash.h>
#include <evlog/error.h>
#include <format/journal_layout.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void walk_frames(const uint8_t *group, const struct el_group_header *h)
{
    size_t pos = EL_GROUP_HEADER_LEN;
    struct el_frame frame;
    for (;;) {
        size_t before = pos;
        int err = el_frame_next(group, h, &pos, &frame);
        if (err != 0) {
            EL_ASSERT(err == EVLOG_ERR_NOT_FOUND || err == EVLOG_ERR_CORRUPT);
            EL_ASSERT(pos == before);
            EL_ASSERT(err == EVLOG_ERR_CORRUPT || pos == h->len);
            return;
        }
        EL_ASSERT(pos >= before + EL_FRAME_HEADER_LEN);
        EL_ASSERT(pos <= h->len);
        EL_ASSERT(frame.payload >= group + before + EL_FRAME_HEADER_LEN);
        EL_ASSERT(frame.payload + frame.payload_len <= group + pos);
        el_xxh3(frame.payload, frame.payload_len);
    }
}

static void try_group(const uint8_t *group, size_t len)
{
    struct el_group_header header, whole;
    int header_err = el_group_open(group, len, false, &header);
    int whole_err = el_group_open(group, len, true, &whole);
    EL_ASSERT(header_err == 0 || whole_err == header_err);
    if (whole_err == 0) {
        EL_ASSERT(whole.len <= len);
        walk_frames(group, &whole);
    }
}

static void try_sealed(uint8_t *group, size_t len)
{
    struct el_group_header h, again;
    if (el_group_open(group, len, false, &h) != 0 || h.pos % EL_JOURNAL_ALIGN != 0) {
        return;
    }
    el_group_seal(group, &h);
    EL_ASSERT(el_group_open(group, len, true, &again) == 0);
    EL_ASSERT(again.sequence == h.sequence);
    EL_ASSERT(again.len == h.len);
    walk_frames(group, &again);
}

static void try_mark(uint8_t *mark)
{
    uint64_t incarnation, sequence;
    uint32_t shard = el_get_le32(mark + 12);
    el_mark_get(mark, shard, &incarnation, &sequence);
    el_put_le64(mark + 56, el_xxh3(mark, 56));
    if (el_mark_get(mark, shard, &incarnation, &sequence) == 0) {
        EL_ASSERT(el_mark_get(mark, shard + 1, &incarnation, &sequence) == EVLOG_ERR_CORRUPT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    EL_ASSERT(copy != NULL);
    memcpy(copy, data, len);
    try_group(copy, len);
    try_sealed(copy, len);
    if (len >= EL_MARK_LEN) {
        memcpy(copy, data, len);
        try_mark(copy);
    }
    free(copy);
    return 0;
}
