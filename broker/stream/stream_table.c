/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of the stream index in memory; the owner shard's, but for what jobs read below a mark.
 *
 * Entries lie in blocks in the order in which they came. The map from (slot, hash) to the newest entry is many small
 * maps, one a block, chosen by other bits of the hash than the place in it: each is zeroed when it is first used, none
 * ever grows, so that no call takes longer than a block takes to zero. Since what came last is taken out first, an
 * undo leaves the maps as they were before.
 *
 * Chains: an entry knows the next older one of its slot and hash, and one further back. Where two jumps of equal length
 * follow each other, the next entry jumps over both, else to its neighbour; a walk that jumps whenever it does not go
 * too far takes at most about three steps per binary digit of the chain's length (E. Myers, "An applicative
 * random-access stack", 1983).
 *
 * Fails with EVLOG_ERR_FULL at the limit, EVLOG_ERR_NO_MEMORY when the shard's memory is used up; nothing has changed
 * then.
 */
#include <stream/stream_batch.h>
#include <stream/stream_table_state.h>

#define BLOCK_LEN_MAX (64u << 10)
#define BLOCK_COUNT_WANTED 64u /* blocks are as small as it takes to have so many within the limit */
#define NAME_BLOCK_LEN_MIN (8u << 10)
#define MAP_SHARE 5u /* of the limit: a place and a half for each entry when each is the only one of its hash */

EL_STATIC_ASSERT(NAME_BLOCK_LEN_MIN >= sizeof(struct table_name) + EL_STREAM_KEY_MAX + 8, "the longest name fits");
EL_STATIC_ASSERT(STREAM_TABLE_MEMORY_MIN / MAP_SHARE >= EL_BUDDY_BLOCK_MIN, "the least table has a map");

static uint32_t block_len_of(uint64_t memory_max)
{
    uint32_t len = EL_BUDDY_BLOCK_MIN;
    while (len < BLOCK_LEN_MAX && (uint64_t)len * 2 * BLOCK_COUNT_WANTED <= memory_max) {
        len *= 2;
    }
    return len;
}

int stream_table_create(struct el_buddy *buddy, uint64_t memory_max, struct stream_table **table)
{
    EL_ASSERT(memory_max >= STREAM_TABLE_MEMORY_MIN);
    struct stream_table t = {.magic = STREAM_TABLE_MAGIC, .buddy = buddy};
    /* More could not be counted by the numbers of entries. */
    t.memory_max = EL_MIN(memory_max, (uint64_t)TABLE_ENTRY_MAX * sizeof(struct table_entry));
    t.block_len = block_len_of(t.memory_max);
    t.name_block_len = EL_MAX(t.block_len, NAME_BLOCK_LEN_MIN);
    t.entries_per_block = t.block_len / (uint32_t)sizeof(struct table_entry);
    t.places_per_block = t.block_len / (uint32_t)sizeof(struct table_place);
    t.place_max = t.places_per_block / 8 * 7;
    t.map_block_count = (uint32_t)(t.memory_max / MAP_SHARE / t.block_len);
    t.block_max = (uint32_t)(t.memory_max / t.block_len);
    t.name_block_max = (uint32_t)(t.memory_max / t.name_block_len);
    EL_ASSERT(t.map_block_count > 0);
    size_t len = sizeof(t) + (t.block_max + t.map_block_count + t.name_block_max) * sizeof(void *) +
                 t.map_block_count * sizeof(uint32_t);
    uint8_t *memory = el_buddy_alloc(buddy, len);
    if (memory == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    memset(memory, 0, len);
    t.memory = el_buddy_block_len(buddy, memory);
    EL_ASSERT(t.memory < t.memory_max);
    t.entry_blocks = (struct table_entry **)(void *)(memory + sizeof(t));
    t.map_blocks = (struct table_place **)(void *)(t.entry_blocks + t.block_max);
    t.name_blocks = (uint8_t **)(void *)(t.map_blocks + t.map_block_count);
    t.map_used = (uint32_t *)(void *)(t.name_blocks + t.name_block_max);
    *table = (struct stream_table *)(void *)memory;
    **table = t;
    return 0;
}

void stream_table_destroy(struct stream_table *table)
{
    if (table == NULL) {
        return;
    }
    OBJ_CHECK(table, STREAM_TABLE);
    struct el_buddy *buddy = table->buddy;
    for (uint32_t i = 0; i < table->entry_block_count; i++) {
        el_buddy_free(buddy, table->entry_blocks[i]);
    }
    for (uint32_t i = 0; i < table->map_block_count; i++) {
        el_buddy_free(buddy, table->map_blocks[i]);
    }
    for (uint32_t i = 0; i < table->name_block_count; i++) {
        el_buddy_free(buddy, table->name_blocks[i]);
    }
    table->magic = 0;
    el_buddy_free(buddy, table);
}

size_t stream_table_memory(const struct stream_table *table)
{
    return table->memory;
}

struct stream_table_mark stream_table_mark(const struct stream_table *table)
{
    return table->mark;
}

/* Half of the places, for chance fills one map before the others. */
bool stream_table_could_hold(const struct stream_table *table, uint32_t entry_count, uint32_t name_count,
                             uint64_t name_len)
{
    uint64_t fixed = el_buddy_block_len(table->buddy, table) + (uint64_t)table->map_block_count * table->block_len;
    uint64_t entry_blocks = ((uint64_t)entry_count + table->entries_per_block - 1) / table->entries_per_block;
    uint64_t name_room = table->name_block_len - sizeof(struct table_name) - EL_STREAM_KEY_MAX;
    uint64_t name_blocks = (name_len + (uint64_t)name_count * (sizeof(struct table_name) + 8)) / name_room + 1;
    return fixed + entry_blocks * table->block_len + name_blocks * table->name_block_len <= table->memory_max &&
           entry_count <= (uint64_t)table->map_block_count * table->places_per_block / 2;
}

/* --- the map ------------------------------------------------------------------------------------------------------ */

struct map_way {
    uint32_t block; /* which of the maps */
    uint32_t home;  /* where to begin in it */
    uint32_t tag;
};

static struct map_way way_of(const struct stream_table *table, uint32_t slot, struct el_hash128 hash)
{
    uint64_t mixed = hash.low ^ slot * 0x9e3779b97f4a7c15ull;
    return (struct map_way){
        .block = (uint32_t)(((mixed >> 32) * table->map_block_count) >> 32),
        .home = (uint32_t)mixed & (table->places_per_block - 1),
        .tag = (uint32_t)(hash.high >> 32),
    };
}

/* Where slot and hash stand, or may be put; NULL when that map was never used. There is always a free place. */
static struct table_place *place_of(const struct stream_table *table, struct map_way way, uint32_t slot,
                                    struct el_hash128 hash)
{
    struct table_place *places = table->map_blocks[way.block];
    if (places == NULL) {
        return NULL;
    }
    for (uint32_t at = way.home;; at = (at + 1) & (table->places_per_block - 1)) {
        if (places[at].entry == 0) {
            return &places[at];
        }
        if (places[at].tag == way.tag) {
            const struct table_entry *e = table_entry_at(table, places[at].entry);
            if (e->slot == slot && e->hash.low == hash.low && e->hash.high == hash.high) {
                return &places[at];
            }
        }
    }
}

static const struct table_entry *newest_of(const struct stream_table *table, uint32_t slot, struct el_hash128 hash)
{
    const struct table_place *place = place_of(table, way_of(table, slot, hash), slot, hash);
    return place == NULL || place->entry == 0 ? NULL : table_entry_at(table, place->entry);
}

/* --- adding ------------------------------------------------------------------------------------------------------- */

static int block_take(struct stream_table *table, size_t len, void **block)
{
    if (table->memory + len > table->memory_max) {
        return EVLOG_ERR_FULL;
    }
    *block = el_buddy_alloc(table->buddy, len);
    if (*block == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    table->memory += len;
    return 0;
}

static int map_block_take(struct stream_table *table, uint32_t index)
{
    void *block;
    int code = block_take(table, table->block_len, &block);
    if (code == 0) {
        memset(block, 0, table->block_len);
        table->map_blocks[index] = block;
    }
    return code;
}

/* Make sure that there is room for one more entry. */
static int entry_room(struct stream_table *table)
{
    if (table->mark.entry_count < (uint64_t)table->entry_block_count * table->entries_per_block) {
        return 0;
    }
    if (table->entry_block_count == table->block_max) {
        return EVLOG_ERR_FULL;
    }
    void *block;
    int code = block_take(table, table->block_len, &block);
    if (code == 0) {
        table->entry_blocks[table->entry_block_count++] = block;
    }
    return code;
}

static uint32_t depth_of(const struct stream_table *table, uint32_t number)
{
    return number == 0 ? 0 : table_entry_at(table, number)->depth_kind & TABLE_ENTRY_MAX;
}

/* Where an entry jumps to that follows `older`. */
static uint32_t jump_over(const struct stream_table *table, uint32_t older)
{
    uint32_t first = table_entry_at(table, older)->jump;
    if (first == 0) {
        return older;
    }
    uint32_t second = table_entry_at(table, first)->jump;
    uint32_t middle = depth_of(table, first);
    return depth_of(table, older) - middle == middle - depth_of(table, second) ? second : older;
}

int stream_table_add(struct stream_table *table, enum stream_kind kind, const struct el_stream_entry *entry)
{
    EL_ASSERT(entry->slot != 0);
    struct map_way way = way_of(table, entry->slot, entry->hash);
    int code = table->map_blocks[way.block] == NULL ? map_block_take(table, way.block) : 0;
    code = code != 0 ? code : entry_room(table);
    if (code != 0) {
        return code;
    }
    struct table_place *place = place_of(table, way, entry->slot, entry->hash);
    uint32_t older = place->entry;
    if (older == 0) {
        if (table->map_used[way.block] >= table->place_max) {
            return EVLOG_ERR_FULL;
        }
        table->map_used[way.block]++;
    } else {
        EL_ASSERT(table_entry_at(table, older)->position < entry->position);
    }
    uint32_t number = ++table->mark.entry_count;
    *table_entry_at(table, number) = (struct table_entry){
        .hash = entry->hash,
        .position = entry->position,
        .place = entry->place,
        .slot = entry->slot,
        .older = older,
        .jump = older == 0 ? 0 : jump_over(table, older),
        .depth_kind = (uint32_t)kind << TABLE_DEPTH_BITS | (depth_of(table, older) + 1),
    };
    *place = (struct table_place){.tag = way.tag, .entry = number};
    return 0;
}

int stream_table_add_name(struct stream_table *table, uint32_t slot, struct el_slice key)
{
    EL_ASSERT(slot != 0);
    EL_ASSERT(key.len <= EL_STREAM_KEY_MAX);
    uint32_t len = (uint32_t)EL_ALIGN_UP(sizeof(struct table_name) + key.len, 8);
    struct stream_table_mark *mark = &table->mark;
    bool first = table->name_block_count == 0;
    if (first || mark->name_pos + len > table->name_block_len) {
        uint32_t next = first ? 0 : mark->name_block + 1;
        if (next == table->name_block_count) {
            void *block;
            int code = next == table->name_block_max ? EVLOG_ERR_FULL
                                                     : block_take(table, table->name_block_len, &block);
            if (code != 0) {
                return code;
            }
            table->name_blocks[table->name_block_count++] = block;
        }
        if (!first && mark->name_pos < table->name_block_len) {
            ((struct table_name *)(void *)(table->name_blocks[mark->name_block] + mark->name_pos))->slot = 0;
        }
        mark->name_block = next;
        mark->name_pos = 0;
    }
    struct table_name *name = (struct table_name *)(void *)(table->name_blocks[mark->name_block] + mark->name_pos);
    name->slot = slot;
    name->len = (uint32_t)key.len;
    if (key.len > 0) {
        memcpy(name->key, key.data, key.len);
    }
    mark->name_pos += len;
    mark->name_count++;
    return 0;
}

void stream_table_undo(struct stream_table *table, struct stream_table_mark mark)
{
    EL_ASSERT(mark.entry_count <= table->mark.entry_count);
    EL_ASSERT(mark.name_count <= table->mark.name_count);
    for (uint32_t number = table->mark.entry_count; number > mark.entry_count; number--) {
        const struct table_entry *e = table_entry_at(table, number);
        struct map_way way = way_of(table, e->slot, e->hash);
        struct table_place *place = place_of(table, way, e->slot, e->hash);
        EL_ASSERT(place->entry == number);
        place->entry = e->older;
        if (e->older == 0) {
            table->map_used[way.block]--;
        }
    }
    table->mark = mark;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

bool stream_table_newest(const struct stream_table *table, uint32_t slot, struct el_hash128 hash,
                         struct el_stream_entry *entry)
{
    const struct table_entry *e = newest_of(table, slot, hash);
    if (e == NULL) {
        return false;
    }
    *entry = table_entry_out(e);
    return true;
}

static const struct table_entry *entry_or_null(const struct stream_table *table, uint32_t number)
{
    return number == 0 ? NULL : table_entry_at(table, number);
}

/* The newest entry of the chain at or behind e with a position of at most high. */
static const struct table_entry *seek_position(const struct stream_table *table, const struct table_entry *e,
                                               uint64_t high)
{
    while (e != NULL && e->position > high) {
        const struct table_entry *jump = entry_or_null(table, e->jump);
        e = jump != NULL && jump->position > high ? jump : entry_or_null(table, e->older);
    }
    return e;
}

/* The entry of that depth, which is at or behind e. */
static const struct table_entry *seek_depth(const struct stream_table *table, const struct table_entry *e,
                                            uint32_t depth)
{
    while ((e->depth_kind & TABLE_ENTRY_MAX) > depth) {
        e = table_entry_at(table, depth_of(table, e->jump) >= depth ? e->jump : e->older);
    }
    return e;
}

uint32_t stream_table_find(const struct stream_table *table, uint32_t slot, struct el_hash128 hash, uint64_t low,
                           uint64_t high, bool descending, struct el_stream_entry *entries, uint32_t room)
{
    const struct table_entry *first = seek_position(table, newest_of(table, slot, hash), high);
    if (first == NULL || first->position < low || room == 0) {
        return 0;
    }
    const struct table_entry *below = low == 0 ? NULL : seek_position(table, first, low - 1);
    uint32_t below_depth = below == NULL ? 0 : below->depth_kind & TABLE_ENTRY_MAX;
    uint32_t count = EL_MIN(room, (first->depth_kind & TABLE_ENTRY_MAX) - below_depth);
    const struct table_entry *e = descending ? first : seek_depth(table, first, below_depth + count);
    for (uint32_t i = 0; i < count; i++) {
        EL_ASSERT(e != NULL);
        entries[descending ? i : count - 1 - i] = table_entry_out(e);
        e = entry_or_null(table, e->older);
    }
    return count;
}

bool stream_table_each_head(const struct stream_table *table, uint64_t *cursor, uint32_t looks,
                            void (*each)(void *arg, const struct el_stream_entry *entry), void *arg)
{
    uint64_t end = (uint64_t)table->map_block_count * table->places_per_block;
    for (; looks > 0 && *cursor < end; looks--) {
        const struct table_place *places = table->map_blocks[*cursor / table->places_per_block];
        if (places == NULL) {
            *cursor += table->places_per_block;
            continue;
        }
        const struct table_entry *e = entry_or_null(table, places[*cursor % table->places_per_block].entry);
        (*cursor)++;
        if (e != NULL && e->depth_kind >> TABLE_DEPTH_BITS == STREAM_KIND_KEY) {
            struct el_stream_entry entry = table_entry_out(e);
            each(arg, &entry);
        }
    }
    return *cursor >= end;
}
