/* SPDX-License-Identifier: Apache-2.0
 *
 * A run of the stream index: what its bytes are. docs/format.md section 12 is the specification; both change together.
 * All numbers little-endian. Bytes in, bytes out: no I/O here.
 *
 * The file is blocks of 4,096 bytes, block 0 is the header; names have blocks of four of them.
 *   header:  0 8 magic "EVLOGRUN"  8 4 format  12 4 zero  16 8 run id  24 .. zero  4088 8 XXH3-64 of 0..4088
 *   others:  0 8 XXH3-64 of what follows  8 8 run id  16 4 number of the block  20 1 kind  21 1 zero  22 2 item count
 *           24 .. items
 *   groups:  blocks of entries, the index block over them (first key of each), the filter blocks over them
 *   names:   leaves, with the index blocks over them between; the last block is the root
 *   top:     an item for each group; last block of the file: the footer
 */
#ifndef EL_FORMAT_INDEX_LAYOUT_H
#define EL_FORMAT_INDEX_LAYOUT_H

#include <core/bytes.h>
#include <core/hash.h>
#include <stdbool.h>

#define EL_RUN_FORMAT 1
#define EL_RUN_BLOCK_LEN 4096u
#define EL_RUN_NAME_LEN ((size_t)4 * EL_RUN_BLOCK_LEN)
#define EL_RUN_BLOCK_HEADER_LEN 24u
#define EL_RUN_KEY_LEN 28u        /* of an index block: u32 slot, u64 hash high, u64 hash low, u64 position */
#define EL_RUN_KEYS_MAX 145u      /* in an index block */
#define EL_RUN_GROUP_LEN 40u      /* of the top: a key, u32 first block, u32 blocks of entries, u32 filter lines */
#define EL_RUN_GROUPS_MAX 101u    /* in a top block */
#define EL_RUN_LINE_LEN 64u       /* of the filter */
#define EL_RUN_LINES_POS 64u      /* of the first line in a filter block */
#define EL_RUN_LINES_MAX 63u      /* in a filter block */
#define EL_RUN_LINE_KEYS 50u      /* hashes to a line: ten bits each, and a few */
#define EL_RUN_NAME_KEY_MAX 4096u /* of one name */

enum el_run_block_kind {
    EL_RUN_ENTRIES = 1,
    EL_RUN_INDEX = 2,
    EL_RUN_FILTER = 3,
    EL_RUN_NAMES = 4,
    EL_RUN_NAME_INDEX = 5,
    EL_RUN_TOP = 6,
    EL_RUN_FOOTER = 7
};

/* Order: slot, hash.high, hash.low, position. */
struct el_stream_entry {
    uint32_t slot;          /* of the partition, in the list of index files; from 1 */
    struct el_hash128 hash; /* of what it is of, its kind included */
    uint64_t position;      /* version, or offset for types and ids */
    uint64_t place;         /* offset with flags in the top two bits, or version for ids */
};

/* An item of the top: some blocks of entries that follow one another, and what is over them. */
struct el_run_group {
    struct el_stream_entry first; /* its place is 0 */
    uint32_t first_block;         /* of entries; the index block follows them, then the filter */
    uint32_t block_count;         /* of entries, 1 .. EL_RUN_KEYS_MAX */
    uint32_t line_count;          /* of the filter */
};

/* What a run says of itself in its footer. */
struct el_index_run_info {
    uint64_t run_id;
    uint64_t entry_count;
    uint64_t name_count;
    uint64_t block_count; /* of entries */
    uint64_t hash_count;  /* different pairs of slot and hash; one that is in two groups counts twice */
    uint64_t filter_len;  /* bytes */
    uint64_t file_len;
    uint32_t group_count;
    uint32_t names_block;      /* number of the first block of names, or of the top when there are none */
    uint32_t name_block_count; /* blocks of EL_RUN_NAME_LEN, index blocks included */
    uint32_t top_block;
};

/* < 0, 0, > 0 by the order of keys. */
static inline int el_stream_entry_compare(const struct el_stream_entry *a, const struct el_stream_entry *b)
{
    if (a->slot != b->slot) {
        return a->slot < b->slot ? -1 : 1;
    }
    if (a->hash.high != b->hash.high) {
        return a->hash.high < b->hash.high ? -1 : 1;
    }
    if (a->hash.low != b->hash.low) {
        return a->hash.low < b->hash.low ? -1 : 1;
    }
    return a->position == b->position ? 0 : a->position < b->position ? -1 : 1;
}
static inline bool el_stream_entry_same_hash(const struct el_stream_entry *a, const struct el_stream_entry *b)
{
    return a->hash.high == b->hash.high && a->hash.low == b->hash.low && a->slot == b->slot;
}

/* --- blocks ------------------------------------------------------------------------------------------------------- */

/* p[EL_RUN_BLOCK_LEN] */
void el_run_header_put(uint8_t *p, uint64_t run_id);
/* returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT a newer format */
int el_run_header_get(const uint8_t *p, uint64_t *run_id);

struct el_run_block {
    uint64_t run_id;
    uint32_t number; /* in the file, by EL_RUN_BLOCK_LEN */
    enum el_run_block_kind kind;
    uint16_t count; /* items; of the filter lines */
};

/* Write the header of a block whose items are in place; p[len], what is behind the items is zero. */
void el_run_block_seal(uint8_t *p, size_t len, const struct el_run_block *block);
/* Is it that block of that run? Reads p[len]; block->kind and count are written, the rest is asked for.
 * returns 0 | EVLOG_ERR_CORRUPT */
int el_run_block_open(const uint8_t *p, size_t len, struct el_run_block *block);

/* A key of an index block. */
void el_run_key_put(uint8_t *p, const struct el_stream_entry *key);
void el_run_key_get(const uint8_t *p, struct el_stream_entry *key);
/* An item of the top. */
void el_run_group_put(uint8_t *p, const struct el_run_group *group);
void el_run_group_get(const uint8_t *p, struct el_run_group *group);
static inline uint32_t el_run_filter_blocks(uint32_t line_count)
{
    return (line_count + EL_RUN_LINES_MAX - 1) / EL_RUN_LINES_MAX;
}
static inline uint32_t el_run_top_blocks(uint32_t group_count)
{
    return (group_count + EL_RUN_GROUPS_MAX - 1) / EL_RUN_GROUPS_MAX;
}

/* The footer: its items are numbers. Seals the block. p[EL_RUN_BLOCK_LEN] */
void el_run_footer_put(uint8_t *p, const struct el_index_run_info *info);
/* From the last block of a file of file_len bytes; whatever sizes something later is compared with that length.
 * returns 0 | EVLOG_ERR_CORRUPT */
int el_run_footer_get(const uint8_t *p, uint64_t run_id, uint64_t file_len, struct el_index_run_info *info);

/* --- filter ------------------------------------------------------------------------------------------------------- */

/* Lines for so many hashes. */
static inline uint32_t el_run_line_count(uint64_t hash_count)
{
    return (uint32_t)((hash_count + EL_RUN_LINE_KEYS - 1) / EL_RUN_LINE_KEYS);
}
void el_run_filter_add(uint8_t *lines, uint32_t line_count, uint32_t slot, struct el_hash128 hash);
/* false: was not added. line_count 0: true */
bool el_run_filter_has(const uint8_t *lines, uint32_t line_count, uint32_t slot, struct el_hash128 hash);

/* --- entries packed into a block ---------------------------------------------------------------------------------- */

struct el_entry_packer {
    uint8_t *p, *end;
    struct el_stream_entry last;
    uint16_t count;
};
void el_entry_packer_init(struct el_entry_packer *k, uint8_t *items, size_t len);
/* Entries in order. returns false when there is no room */
bool el_entry_pack(struct el_entry_packer *k, const struct el_stream_entry *entry);

struct el_entry_unpacker {
    const uint8_t *p, *end;
    struct el_stream_entry last; /* the entry that was read */
    uint16_t left;
};
void el_entry_unpacker_init(struct el_entry_unpacker *u, const uint8_t *items, size_t len, uint16_t count);
/* Read the next entry into u->last. returns 1 | 0 there is none | EVLOG_ERR_CORRUPT, out of order included */
int el_entry_unpack(struct el_entry_unpacker *u);

/* --- names packed into a block ------------------------------------------------------------------------------------ */

struct el_name_packer {
    uint8_t *p, *end;
    bool index; /* each name has the number of a block */
    uint16_t count;
    uint32_t slot; /* of the last name */
    uint32_t key_len;
    uint8_t key[EL_RUN_NAME_KEY_MAX];
};
void el_name_packer_init(struct el_name_packer *k, uint8_t *items, size_t len, bool index);
/* In order of slot, then bytes. returns false when there is no room; an empty block has room for three at least */
bool el_name_pack(struct el_name_packer *k, uint32_t slot, struct el_slice key, uint32_t block);

struct el_name_unpacker {
    const uint8_t *p, *end;
    bool index;
    uint16_t left;
    uint32_t slot; /* of the name that was read */
    uint32_t block;
    uint32_t key_len;
    uint8_t key[EL_RUN_NAME_KEY_MAX];
};
void el_name_unpacker_init(struct el_name_unpacker *u, const uint8_t *items, size_t len, uint16_t count, bool index);
/* Read the next name into u. returns 1 | 0 there is none | EVLOG_ERR_CORRUPT, out of order included */
int el_name_unpack(struct el_name_unpacker *u);
/* < 0, 0, > 0 by slot, then bytes, a shorter one before a longer that begins with it. */
int el_name_compare(uint32_t slot_a, struct el_slice a, uint32_t slot_b, struct el_slice b);

#endif
