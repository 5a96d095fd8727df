/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries and names of a table in the order of a run. What is sorted is short keys, with the entry or name behind them
 * looked at only where those are equal. In jobs: the table may grow meanwhile, but not below the mark.
 */
#include <stream/stream_table_state.h>

#include <core/alloc.h>
#include <stdlib.h>

struct sort_key {
    uint64_t lead; /* of the hash, or of the name: its first bytes as a number */
    uint32_t slot;
    uint32_t at; /* number of the entry; of a name its place in units of 8 bytes */
};

struct stream_sorted {
    const struct stream_table *table;
    uint32_t entry_count;
    uint32_t name_count;
    uint32_t entry_next;
    uint32_t name_next;
    struct sort_key *entries; /* [entry_count] */
    struct sort_key *names;   /* [name_count] */
};

static const struct table_name *name_at(const struct stream_table *table, uint32_t at)
{
    uint32_t per_block = table->name_block_len / 8;
    return (const struct table_name *)(const void *)(table->name_blocks[at / per_block] + (size_t)(at % per_block) * 8);
}

static int keys_compare(const struct sort_key *a, const struct sort_key *b)
{
    if (a->slot != b->slot) {
        return a->slot < b->slot ? -1 : 1;
    }
    return a->lead == b->lead ? 0 : a->lead < b->lead ? -1 : 1;
}

static int entries_compare(const void *a, const void *b, void *arg)
{
    const struct sort_key *x = a, *y = b;
    int order = keys_compare(x, y);
    if (order != 0) {
        return order;
    }
    const struct table_entry *e = table_entry_at(arg, x->at), *f = table_entry_at(arg, y->at);
    if (e->hash.low != f->hash.low) {
        return e->hash.low < f->hash.low ? -1 : 1;
    }
    return e->position == f->position ? 0 : e->position < f->position ? -1 : 1;
}

static int names_compare(const void *a, const void *b, void *arg)
{
    const struct sort_key *x = a, *y = b;
    int order = keys_compare(x, y);
    if (order != 0) {
        return order;
    }
    const struct table_name *n = name_at(arg, x->at), *o = name_at(arg, y->at);
    order = memcmp(n->key, o->key, EL_MIN(n->len, o->len));
    return order != 0 ? order : n->len == o->len ? 0 : n->len < o->len ? -1 : 1;
}

static uint64_t name_lead(const struct table_name *name)
{
    uint8_t lead[8] = {0};
    memcpy(lead, name->key, EL_MIN(name->len, sizeof(lead)));
    return el_get_be64(lead);
}

static void entries_collect(struct stream_sorted *sorted, uint32_t count)
{
    for (uint32_t number = 1; number <= count; number++) {
        const struct table_entry *e = table_entry_at(sorted->table, number);
        sorted->entries[number - 1] = (struct sort_key){.lead = e->hash.high, .slot = e->slot, .at = number};
    }
    sorted->entry_count = count;
    qsort_r(sorted->entries, count, sizeof(*sorted->entries), entries_compare, (void *)(uintptr_t)sorted->table);
}

static void names_collect(struct stream_sorted *sorted, uint32_t count, uint32_t slot, struct el_slice prefix)
{
    const struct stream_table *table = sorted->table;
    uint32_t block = 0, pos = 0;
    for (uint32_t seen = 0; seen < count; seen++) {
        if (pos + sizeof(struct table_name) > table->name_block_len ||
            ((const struct table_name *)(const void *)(table->name_blocks[block] + pos))->slot == 0) {
            block++;
            pos = 0;
        }
        EL_ASSERT(block < table->name_block_count);
        EL_ASSERT(pos % 8 == 0);
        uint32_t at = block * (table->name_block_len / 8) + pos / 8;
        const struct table_name *name = name_at(table, at);
        EL_ASSERT(name->slot != 0);
        pos += (uint32_t)EL_ALIGN_UP(sizeof(*name) + name->len, 8);
        bool wanted = slot == 0 || (name->slot == slot && name->len >= prefix.len &&
                                    (prefix.len == 0 || memcmp(name->key, prefix.data, prefix.len) == 0));
        if (wanted) {
            EL_ASSERT(sorted->name_count < count);
            sorted->names[sorted->name_count++] = (struct sort_key){
                .lead = name_lead(name), .slot = name->slot, .at = at};
        }
    }
    qsort_r(sorted->names, sorted->name_count, sizeof(*sorted->names), names_compare, (void *)(uintptr_t)table);
}

int stream_sorted_make(const struct stream_table *table, const struct stream_table_mark *mark, uint32_t slot,
                       struct el_slice prefix, struct stream_sorted **sorted)
{
    OBJ_CHECK(table, STREAM_TABLE);
    uint32_t entry_count = slot == 0 ? mark->entry_count : 0;
    struct stream_sorted *s = el_calloc(1, sizeof(*s));
    if (s == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    s->table = table;
    s->entries = el_malloc(entry_count * sizeof(*s->entries));
    s->names = el_malloc(mark->name_count * sizeof(*s->names));
    if (s->entries == NULL || s->names == NULL) {
        stream_sorted_free(s);
        return EVLOG_ERR_NO_MEMORY;
    }
    entries_collect(s, entry_count);
    names_collect(s, mark->name_count, slot, prefix);
    *sorted = s;
    return 0;
}

bool stream_sorted_next(struct stream_sorted *sorted, struct el_stream_entry *entry)
{
    if (sorted->entry_next == sorted->entry_count) {
        return false;
    }
    *entry = table_entry_out(table_entry_at(sorted->table, sorted->entries[sorted->entry_next++].at));
    return true;
}

bool stream_sorted_next_name(struct stream_sorted *sorted, uint32_t *slot, struct el_slice *key)
{
    if (sorted->name_next == sorted->name_count) {
        return false;
    }
    const struct table_name *name = name_at(sorted->table, sorted->names[sorted->name_next++].at);
    *slot = name->slot;
    *key = el_slice_of(name->key, name->len);
    return true;
}

void stream_sorted_rewind(struct stream_sorted *sorted)
{
    sorted->entry_next = 0;
    sorted->name_next = 0;
}

void stream_sorted_free(struct stream_sorted *sorted)
{
    if (sorted == NULL) {
        return;
    }
    el_free(sorted->entries);
    el_free(sorted->names);
    el_free(sorted);
}
