/* SPDX-License-Identifier: Apache-2.0
 *
 * What a table of the stream index is made of. Private to stream_table.c and stream_sorted.c.
 */
#ifndef EL_STREAM_STREAM_TABLE_STATE_H
#define EL_STREAM_STREAM_TABLE_STATE_H

#include <core/assert.h>
#include <stream/stream_table.h>

#define STREAM_TABLE_MAGIC OBJ_MAGIC('S', 'T', 'B', 'L')
#define TABLE_DEPTH_BITS 30u
#define TABLE_ENTRY_MAX ((1u << TABLE_DEPTH_BITS) - 1)

/* Entries of one slot and hash are a chain, newest first. jump leads over many of them, so that any place of a chain is
 * found in a logarithm of its length. Entries are named by index + 1; 0 is none. */
struct table_entry {
    struct el_hash128 hash;
    uint64_t position;
    uint64_t place;
    uint32_t slot;
    uint32_t older;
    uint32_t jump;
    uint32_t depth_kind; /* of the oldest of its chain 1; enum stream_kind in the top two bits */
};
EL_STATIC_ASSERT(sizeof(struct table_entry) == 48, "what the limit is divided by");

/* A place of the map. */
struct table_place {
    uint32_t tag;   /* of slot and hash, so that most others are told apart without a look at the entry */
    uint32_t entry; /* newest of them; 0 the place is free */
};

/* Before each name; the next one begins at a multiple of 8 bytes. */
struct table_name {
    uint32_t slot; /* 0: no further name in this block */
    uint32_t len;
    uint8_t key[];
};

struct stream_table {
    uint32_t magic;
    struct el_buddy *buddy;
    uint64_t memory_max;
    uint64_t memory;               /* bytes of all blocks */
    uint32_t block_len;            /* of entries and of the map, a power of two */
    uint32_t name_block_len;       /* a power of two, the longest name fits */
    uint32_t entries_per_block;    /* rounded down */
    uint32_t places_per_block;     /* a power of two */
    uint32_t place_max;            /* of a map block that may be taken */
    uint32_t map_block_count;      /* blocks of the map, each a map of its own; NULL until used */
    uint32_t entry_block_count;    /* taken */
    uint32_t name_block_count;     /* taken */
    uint32_t block_max;            /* room in entry_blocks */
    uint32_t name_block_max;       /* room in name_blocks */
    struct stream_table_mark mark; /* how much is in it */
    struct table_entry **entry_blocks;
    struct table_place **map_blocks;
    uint32_t *map_used; /* [map_block_count] places taken */
    uint8_t **name_blocks;
};

static inline struct table_entry *table_entry_at(const struct stream_table *table, uint32_t number)
{
    uint32_t index = number - 1;
    EL_DEBUG_ASSERT(number != 0);
    return &table->entry_blocks[index / table->entries_per_block][index % table->entries_per_block];
}

static inline struct el_stream_entry table_entry_out(const struct table_entry *e)
{
    return (struct el_stream_entry){.slot = e->slot, .hash = e->hash, .position = e->position, .place = e->place};
}

#endif
