/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding of runs of the stream index: blocks, footer, filter, entries. Layouts: include/format/index_layout.h; names
 * are in index_names.c.
 *
 * An entry is told by how it differs from the one before it in its block, the first from zeros:
 *   u8 tag: bits 0-4: bytes that its hash (high, then low, big-endian) shares with the one before, 0 .. 15;
 *           16 the same slot and hash; 17 another slot; bit 5: its position is implied; bits 6-7: how its place is told
 *   17 only: uvarint difference of the slots, above 0
 *   the bytes of the hash behind those that are shared
 *   position: uvarint of it; 16: of the difference less 1. Implied: 0, that is 0, or one more than before
 *   place: 0 uvarint of it, 16: varint of the difference; 1 one more than before; 2 the same as before;
 *          3 uvarint of it turned left by two bits, so that flags at its top cost nothing
 */
#include <format/index_layout.h>

#include <core/assert.h>
#include <core/cursor.h>
#include <evlog/error.h>

#define RUN_MAGIC "EVLOGRUN"
#define FOOTER_LEN 80u
#define SLOT_MIX 0x9e3779b97f4a7c15u /* 2^64 through the golden ratio: spreads small numbers over all bits */
#define PROBE_COUNT 6u
#define PROBE_BITS 9u /* a line has 512 */

#define TAG_SAME 16u
#define TAG_SLOT 17u
#define TAG_SHARED_MASK 31u
#define TAG_POSITION 32u
#define TAG_PLACE_SHIFT 6u
enum place_mode { PLACE_PLAIN, PLACE_NEXT, PLACE_EQUAL, PLACE_TURNED };
#define ENTRY_LEN_MAX (1u + 5 + 16 + 10 + 10)
#define PLACE_FLAGS (3ull << 62)

EL_STATIC_ASSERT(EL_RUN_BLOCK_HEADER_LEN + EL_RUN_KEYS_MAX * EL_RUN_KEY_LEN <= EL_RUN_BLOCK_LEN, "keys fit");
EL_STATIC_ASSERT(EL_RUN_BLOCK_HEADER_LEN + EL_RUN_GROUPS_MAX * EL_RUN_GROUP_LEN <= EL_RUN_BLOCK_LEN, "groups fit");
EL_STATIC_ASSERT(EL_RUN_LINES_POS + EL_RUN_LINES_MAX * EL_RUN_LINE_LEN == EL_RUN_BLOCK_LEN, "lines fill a block");
EL_STATIC_ASSERT(PROBE_COUNT *PROBE_BITS <= 64, "the probes of a line come out of one half of the hash");

/* --- blocks ------------------------------------------------------------------------------------------------------- */

void el_run_header_put(uint8_t *p, uint64_t run_id)
{
    memset(p, 0, EL_RUN_BLOCK_LEN);
    memcpy(p, RUN_MAGIC, 8);
    el_put_le32(p + 8, EL_RUN_FORMAT);
    el_put_le64(p + 16, run_id);
    el_put_le64(p + EL_RUN_BLOCK_LEN - 8, el_xxh3(p, EL_RUN_BLOCK_LEN - 8));
}

int el_run_header_get(const uint8_t *p, uint64_t *run_id)
{
    if (memcmp(p, RUN_MAGIC, 8) != 0 || el_get_le64(p + EL_RUN_BLOCK_LEN - 8) != el_xxh3(p, EL_RUN_BLOCK_LEN - 8)) {
        return EVLOG_ERR_CORRUPT;
    }
    if (el_get_le32(p + 8) != EL_RUN_FORMAT) {
        return el_get_le32(p + 8) > EL_RUN_FORMAT ? EVLOG_ERR_FORMAT : EVLOG_ERR_CORRUPT;
    }
    *run_id = el_get_le64(p + 16);
    return 0;
}

void el_run_block_seal(uint8_t *p, size_t len, const struct el_run_block *block)
{
    EL_ASSERT(len == EL_RUN_BLOCK_LEN || len == EL_RUN_NAME_LEN);
    el_put_le64(p + 8, block->run_id);
    el_put_le32(p + 16, block->number);
    p[20] = (uint8_t)block->kind;
    p[21] = 0;
    el_put_le16(p + 22, block->count);
    el_put_le64(p, el_xxh3(p + 8, len - 8));
}

int el_run_block_open(const uint8_t *p, size_t len, struct el_run_block *block)
{
    if (el_get_le64(p) != el_xxh3(p + 8, len - 8) || el_get_le64(p + 8) != block->run_id ||
        el_get_le32(p + 16) != block->number) {
        return EVLOG_ERR_CORRUPT;
    }
    block->kind = (enum el_run_block_kind)p[20];
    block->count = el_get_le16(p + 22);
    return 0;
}

void el_run_key_put(uint8_t *p, const struct el_stream_entry *key)
{
    el_put_le32(p, key->slot);
    el_put_le64(p + 4, key->hash.high);
    el_put_le64(p + 12, key->hash.low);
    el_put_le64(p + 20, key->position);
}

void el_run_key_get(const uint8_t *p, struct el_stream_entry *key)
{
    *key = (struct el_stream_entry){.slot = el_get_le32(p),
                                    .hash = {.high = el_get_le64(p + 4), .low = el_get_le64(p + 12)},
                                    .position = el_get_le64(p + 20)};
}

void el_run_group_put(uint8_t *p, const struct el_run_group *group)
{
    el_run_key_put(p, &group->first);
    el_put_le32(p + 28, group->first_block);
    el_put_le32(p + 32, group->block_count);
    el_put_le32(p + 36, group->line_count);
}

void el_run_group_get(const uint8_t *p, struct el_run_group *group)
{
    el_run_key_get(p, &group->first);
    group->first_block = el_get_le32(p + 28);
    group->block_count = el_get_le32(p + 32);
    group->line_count = el_get_le32(p + 36);
}

void el_run_footer_put(uint8_t *p, const struct el_index_run_info *info)
{
    struct el_writer w;
    uint64_t block_count = info->file_len / EL_RUN_BLOCK_LEN;
    EL_ASSERT(block_count >= 2);
    EL_ASSERT(block_count <= UINT32_MAX);
    memset(p, 0, EL_RUN_BLOCK_LEN);
    el_writer_init(&w, p + EL_RUN_BLOCK_HEADER_LEN, FOOTER_LEN);
    el_write_le64(&w, info->entry_count);
    el_write_le64(&w, info->name_count);
    el_write_le64(&w, info->block_count);
    el_write_le64(&w, info->hash_count);
    el_write_le64(&w, info->filter_len / EL_RUN_LINE_LEN);
    el_write_le32(&w, info->group_count);
    el_write_le32(&w, info->names_block);
    el_write_le32(&w, info->name_block_count);
    el_write_le32(&w, info->top_block);
    EL_ASSERT(w.err == 0);
    el_run_block_seal(
        p, EL_RUN_BLOCK_LEN,
        &(struct el_run_block){.run_id = info->run_id, .number = (uint32_t)(block_count - 1), .kind = EL_RUN_FOOTER});
}

/* Do the parts fill the file, and do the counts fit into them? */
static bool info_is_sound(const struct el_index_run_info *info)
{
    uint64_t total = info->file_len / EL_RUN_BLOCK_LEN;
    uint64_t names_end = info->names_block + (uint64_t)info->name_block_count * (EL_RUN_NAME_LEN / EL_RUN_BLOCK_LEN);
    uint64_t entry_blocks = info->names_block - 1u;
    return info->names_block >= 1 && names_end == info->top_block &&
           (uint64_t)info->top_block + (info->group_count + (uint64_t)EL_RUN_GROUPS_MAX - 1) / EL_RUN_GROUPS_MAX + 1 ==
               total &&
           info->group_count <= info->block_count && info->block_count <= entry_blocks &&
           info->block_count <= info->entry_count && info->entry_count / EL_RUN_BLOCK_LEN <= info->block_count &&
           (info->entry_count == 0) == (info->group_count == 0) && info->hash_count <= info->entry_count &&
           info->filter_len / EL_RUN_BLOCK_LEN <= entry_blocks &&
           (info->name_count == 0) == (info->name_block_count == 0);
}

int el_run_footer_get(const uint8_t *p, uint64_t run_id, uint64_t file_len, struct el_index_run_info *info)
{
    uint64_t total = file_len / EL_RUN_BLOCK_LEN;
    if (file_len % EL_RUN_BLOCK_LEN != 0 || total < 2 || total > UINT32_MAX) {
        return EVLOG_ERR_CORRUPT;
    }
    struct el_run_block block = {.run_id = run_id, .number = (uint32_t)(total - 1)};
    if (el_run_block_open(p, EL_RUN_BLOCK_LEN, &block) != 0 || block.kind != EL_RUN_FOOTER) {
        return EVLOG_ERR_CORRUPT;
    }
    const uint8_t *items = p + EL_RUN_BLOCK_HEADER_LEN;
    uint64_t line_count = el_get_le64(items + 32);
    struct el_index_run_info found = {.run_id = run_id,
                                      .entry_count = el_get_le64(items),
                                      .name_count = el_get_le64(items + 8),
                                      .block_count = el_get_le64(items + 16),
                                      .hash_count = el_get_le64(items + 24),
                                      .file_len = file_len,
                                      .group_count = el_get_le32(items + 40),
                                      .names_block = el_get_le32(items + 44),
                                      .name_block_count = el_get_le32(items + 48),
                                      .top_block = el_get_le32(items + 52)};
    if (line_count > total * EL_RUN_LINES_MAX) {
        return EVLOG_ERR_CORRUPT;
    }
    found.filter_len = line_count * EL_RUN_LINE_LEN;
    if (!info_is_sound(&found)) {
        return EVLOG_ERR_CORRUPT;
    }
    *info = found;
    return 0;
}

/* --- filter ------------------------------------------------------------------------------------------------------- */

/* Entries of a group are neighbours, so the top bits of their hashes are alike: the line is chosen by other ones. */
static size_t line_of(uint32_t line_count, uint32_t slot, struct el_hash128 hash)
{
    uint32_t spread = (uint32_t)hash.high ^ (uint32_t)((slot * SLOT_MIX) >> 32);
    return (size_t)(((uint64_t)spread * line_count) >> 32) * EL_RUN_LINE_LEN;
}

void el_run_filter_add(uint8_t *lines, uint32_t line_count, uint32_t slot, struct el_hash128 hash)
{
    EL_ASSERT(line_count > 0);
    uint8_t *line = lines + line_of(line_count, slot, hash);
    uint64_t probes = hash.low ^ slot * SLOT_MIX;
    for (unsigned i = 0; i < PROBE_COUNT; i++, probes >>= PROBE_BITS) {
        line[(probes & 511) >> 3] |= (uint8_t)(1u << (probes & 7));
    }
}

bool el_run_filter_has(const uint8_t *lines, uint32_t line_count, uint32_t slot, struct el_hash128 hash)
{
    if (line_count == 0) {
        return true;
    }
    const uint8_t *line = lines + line_of(line_count, slot, hash);
    uint64_t probes = hash.low ^ slot * SLOT_MIX;
    unsigned missing = 0;
    for (unsigned i = 0; i < PROBE_COUNT; i++, probes >>= PROBE_BITS) {
        missing |= ~(unsigned)line[(probes & 511) >> 3] & 1u << (probes & 7);
    }
    return missing == 0;
}

/* --- entries ------------------------------------------------------------------------------------------------------ */

static unsigned shared_bytes(struct el_hash128 a, struct el_hash128 b)
{
    if (a.high != b.high) {
        return (unsigned)__builtin_clzll(a.high ^ b.high) / 8;
    }
    return a.low == b.low ? 16 : 8 + (unsigned)__builtin_clzll(a.low ^ b.low) / 8;
}

static uint64_t turn_left(uint64_t v)
{
    return v << 2 | v >> 62;
}

static enum place_mode place_mode_of(const struct el_stream_entry *last, const struct el_stream_entry *e, bool same)
{
    if (e->place == last->place + 1) {
        return PLACE_NEXT;
    }
    if (e->place == last->place) {
        return PLACE_EQUAL;
    }
    return ((e->place | (same ? last->place : 0)) & PLACE_FLAGS) != 0 ? PLACE_TURNED : PLACE_PLAIN;
}

void el_entry_packer_init(struct el_entry_packer *k, uint8_t *items, size_t len)
{
    *k = (struct el_entry_packer){.p = items, .end = items + len};
}

bool el_entry_pack(struct el_entry_packer *k, const struct el_stream_entry *e)
{
    uint8_t bytes[ENTRY_LEN_MAX], hash[16];
    struct el_writer w;
    const struct el_stream_entry *last = &k->last;
    bool other_slot = e->slot != last->slot;
    unsigned shared = other_slot ? 0 : shared_bytes(e->hash, last->hash);
    bool same = shared == 16;
    bool implied = e->position == (same ? last->position + 1 : 0);
    enum place_mode mode = place_mode_of(last, e, same);
    EL_ASSERT(e->slot > 0);
    EL_DEBUG_ASSERT(k->count == 0 || el_stream_entry_compare(last, e) < 0);
    el_writer_init(&w, bytes, sizeof(bytes));
    el_write_u8(&w, (uint8_t)((other_slot ? TAG_SLOT : shared) | (implied ? TAG_POSITION : 0) |
                              (unsigned)mode << TAG_PLACE_SHIFT));
    if (other_slot) {
        el_write_uvarint(&w, e->slot - last->slot);
    }
    el_put_be64(hash, e->hash.high);
    el_put_be64(hash + 8, e->hash.low);
    el_write_bytes(&w, hash + shared, 16 - shared);
    if (!implied) {
        el_write_uvarlong(&w, same ? e->position - last->position - 1 : e->position);
    }
    if (mode == PLACE_TURNED) {
        el_write_uvarlong(&w, turn_left(e->place));
    } else if (mode == PLACE_PLAIN && same) {
        el_write_varlong(&w, (int64_t)(e->place - last->place));
    } else if (mode == PLACE_PLAIN) {
        el_write_uvarlong(&w, e->place);
    }
    EL_ASSERT(w.err == 0);
    if ((size_t)(k->end - k->p) < el_writer_len(&w)) {
        return false;
    }
    memcpy(k->p, bytes, el_writer_len(&w));
    k->p += el_writer_len(&w);
    k->last = *e;
    k->count++;
    return true;
}

void el_entry_unpacker_init(struct el_entry_unpacker *u, const uint8_t *items, size_t len, uint16_t count)
{
    *u = (struct el_entry_unpacker){.p = items, .end = items + len, .left = count};
}

/* Most numbers have one byte. */
static inline uint64_t read_small(struct el_reader *r)
{
    return __builtin_expect(r->p != r->end && *r->p < 0x80, 1) ? *r->p++ : el_read_uvarlong(r);
}

/* Slot and hash. returns false when they are not above those before */
static bool unpack_hash(struct el_reader *r, unsigned shared, struct el_stream_entry *e)
{
    uint8_t hash[16];
    struct el_hash128 before = e->hash;
    bool other_slot = shared == TAG_SLOT;
    if (other_slot) {
        uint32_t more = el_read_uvarint(r);
        if (more == 0 || more > UINT32_MAX - e->slot) {
            return false;
        }
        e->slot += more;
        shared = 0;
    }
    const uint8_t *bytes = el_read_bytes(r, 16 - shared);
    if (bytes == NULL) {
        return false;
    }
    el_put_be64(hash, before.high);
    el_put_be64(hash + 8, before.low);
    memcpy(hash + shared, bytes, 16 - shared);
    e->hash = (struct el_hash128){.high = el_get_be64(hash), .low = el_get_be64(hash + 8)};
    return other_slot || e->hash.high > before.high || (e->hash.high == before.high && e->hash.low > before.low);
}

static uint64_t unpack_place(struct el_reader *r, enum place_mode mode, bool same, uint64_t before)
{
    uint64_t v = 0;
    switch (mode) {
    case PLACE_PLAIN:
        v = read_small(r);
        return same ? before + (v >> 1 ^ (0 - (v & 1))) : v;
    case PLACE_NEXT:
        return before + 1;
    case PLACE_EQUAL:
        return before;
    case PLACE_TURNED:
        v = read_small(r);
        return v >> 2 | v << 62;
    }
    return 0;
}

int el_entry_unpack(struct el_entry_unpacker *u)
{
    if (u->left == 0) {
        return 0;
    }
    struct el_reader r;
    struct el_stream_entry e = u->last;
    el_reader_init(&r, u->p, (size_t)(u->end - u->p));
    unsigned tag = el_read_u8(&r), shared = tag & TAG_SHARED_MASK;
    bool same = shared == TAG_SAME, implied = (tag & TAG_POSITION) != 0;
    if (r.err != 0 || shared > TAG_SLOT || (e.slot == 0 && shared != TAG_SLOT) ||
        (!same && !unpack_hash(&r, shared, &e))) {
        return EVLOG_ERR_CORRUPT;
    }
    uint64_t position = implied ? 0 : read_small(&r);
    if (same && position > UINT64_MAX - 1 - e.position) {
        return EVLOG_ERR_CORRUPT;
    }
    if (same && e.position == UINT64_MAX) {
        return EVLOG_ERR_CORRUPT;
    }
    e.position = same ? e.position + 1 + position : position;
    e.place = unpack_place(&r, (enum place_mode)(tag >> TAG_PLACE_SHIFT), same, e.place);
    if (r.err != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    u->p = r.p;
    u->last = e;
    u->left--;
    return 1;
}
