/* SPDX-License-Identifier: Apache-2.0
 *
 * The first unfinished event of each key: linear hashing over buckets in pages of the buddy's smallest block. With each
 * key above one a bucket, one bucket is split; with each below half of that, the last ones are joined again. So there
 * is never a moment in which everything is hashed anew, and memory goes back.
 *
 *   hash in 0 .. 2 * base - 1;  where that bucket does not exist yet: in 0 .. base - 1
 *
 * Hashes of keys are known to whoever chooses the keys, therefore a secret is mixed in. Without memory for another page
 * nothing is split: buckets become longer, and no call fails.
 */
#include <evlog/error.h>
#include <lease/lease_node.h>

#define PAGE_BUCKETS (EL_BUDDY_BLOCK_MIN / (uint32_t)sizeof(uint32_t))
#define PAGES_FIRST (EL_BUDDY_BLOCK_MIN / (uint32_t)sizeof(uint32_t *))
#define BUCKETS_MAX (1u << 30)
#define SHRINK_STEPS 3 /* buckets that go with one key: with two, twice as many as keys is the most there are */

EL_STATIC_ASSERT((PAGE_BUCKETS & (PAGE_BUCKETS - 1)) == 0, "the first page is a whole round");

static uint64_t mix(const struct lease_index *index, uint32_t table, uint64_t key_hash)
{
    uint64_t z = (key_hash ^ index->secret) + (uint64_t)table * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint32_t *bucket_at(const struct lease_index *index, uint32_t number)
{
    EL_DEBUG_ASSERT(number < index->bucket_count);
    return &index->pages[number / PAGE_BUCKETS][number % PAGE_BUCKETS];
}

static uint32_t *bucket_of(const struct lease_index *index, uint32_t table, uint64_t key_hash)
{
    uint64_t hash = mix(index, table, key_hash);
    uint32_t number = (uint32_t)hash & (2 * index->base - 1);
    if (number >= index->bucket_count) {
        number &= index->base - 1;
    }
    return bucket_at(index, number);
}

/* Another list of pages, of that length; false without memory, and nothing has changed. */
static bool pages_resize(struct lease_memory *m, uint32_t page_max)
{
    struct lease_index *index = &m->index;
    size_t len = (size_t)page_max * sizeof(*index->pages);
    size_t old_len = (size_t)index->page_max * sizeof(*index->pages);
    if (len > old_len && m->used + (len - old_len) > m->cfg.bytes_max) {
        return false;
    }
    uint32_t **pages = el_buddy_alloc(m->cfg.buddy, len);
    if (pages == NULL) {
        return false;
    }
    memcpy(pages, index->pages, EL_MIN(len, old_len));
    el_buddy_free(m->cfg.buddy, index->pages);
    index->pages = pages;
    index->page_max = page_max;
    m->used = m->used - old_len + len;
    return true;
}

int lease_index_init(struct lease_memory *m)
{
    struct lease_index *index = &m->index;
    uint32_t **pages = lease_chunk_get(m, true);
    uint32_t *page = lease_chunk_get(m, true);
    if (pages == NULL || page == NULL) {
        if (pages != NULL) {
            lease_chunk_put(m, pages);
        }
        if (page != NULL) {
            lease_chunk_put(m, page);
        }
        return EVLOG_ERR_NO_MEMORY;
    }
    memset(page, 0, EL_BUDDY_BLOCK_MIN);
    pages[0] = page;
    *index = (struct lease_index){.pages = pages,
                                  .page_max = PAGES_FIRST,
                                  .base = PAGE_BUCKETS,
                                  .bucket_count = PAGE_BUCKETS,
                                  .secret = m->cfg.random(m->cfg.random_arg)};
    return 0;
}

void lease_index_destroy(struct lease_memory *m)
{
    struct lease_index *index = &m->index;
    EL_ASSERT(index->count == 0);
    for (uint32_t i = 0; i * PAGE_BUCKETS < index->bucket_count; i++) {
        lease_chunk_put(m, index->pages[i]);
    }
    m->used -= (uint64_t)index->page_max * sizeof(*index->pages);
    el_buddy_free(m->cfg.buddy, index->pages);
    index->pages = NULL;
}

/* Split the next bucket in turn: half of its keys move to a new one at the end. */
static void index_grow(struct lease_memory *m)
{
    struct lease_index *index = &m->index;
    uint32_t number = index->bucket_count;
    if (number == BUCKETS_MAX) {
        return;
    }
    if (number % PAGE_BUCKETS == 0) {
        if (number / PAGE_BUCKETS == index->page_max && !pages_resize(m, 2 * index->page_max)) {
            return;
        }
        uint32_t *page = lease_chunk_get(m, true);
        if (page == NULL) {
            return;
        }
        memset(page, 0, EL_BUDDY_BLOCK_MIN);
        index->pages[number / PAGE_BUCKETS] = page;
    }
    index->bucket_count++;
    uint32_t *from = bucket_at(index, number - index->base);
    uint32_t *to = bucket_at(index, number);
    while (*from != 0) {
        struct lease_node *node = lease_node(m, *from);
        if (((uint32_t)mix(index, node->table, node->key_hash) & (2 * index->base - 1)) == number) {
            uint32_t id = *from;
            *from = node->bucket_next;
            node->bucket_next = *to;
            *to = id;
        } else {
            from = &node->bucket_next;
        }
    }
    if (index->bucket_count == 2 * index->base) {
        index->base *= 2;
    }
}

/* Take the last split back. */
static void index_shrink(struct lease_memory *m)
{
    struct lease_index *index = &m->index;
    if (index->bucket_count == index->base) {
        index->base /= 2;
    }
    uint32_t number = index->bucket_count - 1;
    uint32_t *last = bucket_at(index, number);
    uint32_t *into = bucket_at(index, number - index->base);
    while (*into != 0) {
        into = &lease_node(m, *into)->bucket_next;
    }
    *into = *last;
    *last = 0;
    index->bucket_count--;
    if (number % PAGE_BUCKETS == 0) {
        lease_chunk_put(m, index->pages[number / PAGE_BUCKETS]);
        if (index->page_max > PAGES_FIRST && number / PAGE_BUCKETS <= index->page_max / 4) {
            (void)pages_resize(m, index->page_max / 2);
        }
    }
}

uint32_t lease_index_find(const struct lease_memory *m, uint32_t table, uint64_t key_hash)
{
    uint32_t id = *bucket_of(&m->index, table, key_hash);
    while (id != 0) {
        const struct lease_node *node = lease_node(m, id);
        if (node->key_hash == key_hash && node->table == table) {
            break;
        }
        id = node->bucket_next;
    }
    return id;
}

void lease_index_put(struct lease_memory *m, uint32_t id)
{
    struct lease_index *index = &m->index;
    struct lease_node *node = lease_node(m, id);
    EL_DEBUG_ASSERT(lease_index_find(m, node->table, node->key_hash) == 0);
    index->count++;
    if (index->count > index->bucket_count) {
        index_grow(m);
    }
    uint32_t *bucket = bucket_of(index, node->table, node->key_hash);
    node->bucket_next = *bucket;
    *bucket = id;
}

/* What names the node: its bucket, or the one before it there. */
static uint32_t *index_link(const struct lease_memory *m, uint32_t id)
{
    const struct lease_node *node = lease_node(m, id);
    uint32_t *link = bucket_of(&m->index, node->table, node->key_hash);
    while (*link != id) {
        EL_ASSERT(*link != 0);
        link = &lease_node(m, *link)->bucket_next;
    }
    return link;
}

void lease_index_remove(struct lease_memory *m, uint32_t id)
{
    struct lease_index *index = &m->index;
    *index_link(m, id) = lease_node(m, id)->bucket_next;
    EL_ASSERT(index->count > 0);
    index->count--;
    for (int i = 0; i < SHRINK_STEPS && index->bucket_count > PAGE_BUCKETS; i++) {
        if (index->count >= index->bucket_count / 2) {
            break;
        }
        index_shrink(m);
    }
}

void lease_index_replace(struct lease_memory *m, uint32_t id, uint32_t other)
{
    struct lease_node *node = lease_node(m, id), *taker = lease_node(m, other);
    EL_ASSERT(taker->key_hash == node->key_hash);
    EL_ASSERT(taker->table == node->table);
    *index_link(m, id) = other;
    taker->bucket_next = node->bucket_next;
}
