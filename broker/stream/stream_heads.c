/* SPDX-License-Identifier: Apache-2.0 */
#include <stream/stream_heads.h>

#include <core/assert.h>
#include <core/bytes.h>
#include <evlog/error.h>

#define HEADS_MAGIC OBJ_MAGIC('H', 'E', 'A', 'D')
#define WAYS 8u

struct head_way {
    struct el_hash128 hash;
    uint64_t place;
    int64_t version;
    uint32_t slot; /* 0: free */
    uint8_t used;  /* asked for since the hand came by */
    uint8_t hand;  /* of the set, in its first place: the next one to look at */
};
EL_STATIC_ASSERT(sizeof(struct head_way) == 40, "what the memory is divided by");

struct stream_heads {
    uint32_t magic;
    struct el_buddy *buddy;
    uint64_t set_count;
    uint64_t *begun;        /* [set_count / 64, rounded up] behind the ways: a bit for each set that is not empty. The
                             * others hold anything: writing all of a large cache would be a pause */
    struct head_way ways[]; /* [set_count * WAYS] */
};

static size_t begun_count(const struct stream_heads *heads)
{
    return (size_t)(heads->set_count + 63) / 64;
}

int stream_heads_create(struct el_buddy *buddy, uint64_t memory_max, struct stream_heads **heads)
{
    EL_ASSERT(memory_max >= STREAM_HEADS_MEMORY_MIN);
    size_t len = STREAM_HEADS_MEMORY_MIN; /* blocks are powers of two */
    while (len <= memory_max / 2) {
        len *= 2;
    }
    struct stream_heads *h = el_buddy_alloc(buddy, len);
    if (h == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    h->magic = HEADS_MAGIC;
    h->buddy = buddy;
    h->set_count = (len - sizeof(*h) - sizeof(uint64_t)) * 8 / (WAYS * sizeof(struct head_way) * 8 + 1);
    EL_ASSERT(h->set_count > 0);
    h->begun = (uint64_t *)(void *)(h->ways + h->set_count * WAYS);
    EL_ASSERT((uint8_t *)(h->begun + begun_count(h)) <= (uint8_t *)h + len);
    stream_heads_clear(h);
    *heads = h;
    return 0;
}

void stream_heads_destroy(struct stream_heads *heads)
{
    if (heads != NULL) {
        OBJ_CHECK(heads, HEADS);
        heads->magic = 0;
        el_buddy_free(heads->buddy, heads);
    }
}

size_t stream_heads_memory(const struct stream_heads *heads)
{
    return el_buddy_block_len(heads->buddy, heads);
}

static uint64_t set_of(const struct stream_heads *heads, uint32_t slot, struct el_hash128 hash)
{
    uint64_t mixed = (hash.low ^ slot * 0x9e3779b97f4a7c15ull) >> 32;
    return mixed * heads->set_count >> 32;
}

static struct head_way *way_find(struct head_way *set, uint32_t slot, struct el_hash128 hash)
{
    for (uint32_t i = 0; i < WAYS; i++) {
        if (set[i].hash.low == hash.low && set[i].hash.high == hash.high && set[i].slot == slot) {
            return &set[i];
        }
    }
    return NULL;
}

bool stream_heads_get(struct stream_heads *heads, uint32_t slot, struct el_hash128 hash, struct stream_head *head)
{
    EL_ASSERT(slot != 0);
    uint64_t number = set_of(heads, slot, hash);
    bool begun = (heads->begun[number / 64] >> number % 64 & 1) != 0;
    struct head_way *way = begun ? way_find(&heads->ways[number * WAYS], slot, hash) : NULL;
    if (way == NULL) {
        return false;
    }
    way->used = 1;
    *head = (struct stream_head){.version = way->version, .place = way->place};
    return true;
}

/* A free place, or the next one that nobody has asked for since the hand was there. */
static struct head_way *way_free(struct head_way *set)
{
    for (uint32_t i = 0; i < WAYS; i++) {
        if (set[i].slot == 0) {
            return &set[i];
        }
    }
    for (;;) {
        struct head_way *way = &set[set[0].hand];
        set[0].hand = (uint8_t)((set[0].hand + 1) % WAYS);
        if (way->used == 0) {
            return way;
        }
        way->used = 0;
    }
}

void stream_heads_put(struct stream_heads *heads, uint32_t slot, struct el_hash128 hash, const struct stream_head *head)
{
    EL_ASSERT(slot != 0);
    EL_ASSERT(head->version >= 0);
    uint64_t number = set_of(heads, slot, hash);
    struct head_way *set = &heads->ways[number * WAYS];
    if ((heads->begun[number / 64] >> number % 64 & 1) == 0) {
        heads->begun[number / 64] |= 1ull << number % 64;
        memset(set, 0, WAYS * sizeof(*set));
    }
    struct head_way *way = way_find(set, slot, hash);
    if (way == NULL) {
        way = way_free(set);
        way->used = 0;
    } else {
        EL_ASSERT(way->version <= head->version);
    }
    way->hash = hash;
    way->slot = slot;
    way->version = head->version;
    way->place = head->place;
}

void stream_heads_clear(struct stream_heads *heads)
{
    memset(heads->begun, 0, begun_count(heads) * sizeof(*heads->begun));
}
