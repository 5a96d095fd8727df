/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_kit.h"

#include <core/alloc.h>
#include <evlog/error.h>

#include <string.h>

#include "test.h"

const struct stream_secret kit_secret = {.bytes = {0x9d, 0x11, 0xe0, 0x37, 0x5c, 0xa4, 0x08, 0x6b, 0xf2, 0x43, 0x81,
                                                   0x2e, 0xd7, 0x90, 0x1a, 0x65, 0x3f, 0xc8, 0x72, 0xbe, 0x04, 0xe9,
                                                   0x56, 0xad, 0x1b, 0x8f, 0x60, 0xd3, 0x27, 0x7a, 0xf5, 0x49}};

#define KIT_MEMORY (64u << 20)

struct run_key {
    uint32_t slot;
    uint32_t zero;
    struct el_hash128 hash;
};

struct run_entry {
    struct run_key key;
    struct el_stream_entry entry;
};

static struct run_entry *run_find(const struct kit *k, uint32_t slot, struct el_hash128 hash)
{
    struct run_key key = {slot, 0, hash};
    return el_map_get(&k->runs, &key, sizeof(key));
}

static bool run_may_hold(void *arg, uint32_t slot, struct el_hash128 hash)
{
    const struct kit *k = arg;
    return k->run_entries > 0 && (k->filters_lie || hash.low % 64 == 0 || run_find(k, slot, hash) != NULL);
}

static void tables_make(struct kit *k)
{
    assert_int_equal(stream_table_create(&k->buddy, k->table_memory, &k->view.active), 0);
    assert_int_equal(stream_heads_create(&k->buddy, k->heads_memory, &k->view.heads), 0);
}

void kit_begin(struct kit *k, uint64_t table_memory, uint64_t heads_memory)
{
    memset(k, 0, sizeof(*k));
    assert_int_equal(el_buddy_init(&k->buddy, KIT_MEMORY, NULL), 0);
    k->table_memory = table_memory;
    k->heads_memory = heads_memory;
    k->view = (struct stream_view){.buddy = &k->buddy, .may_hold = run_may_hold, .arg = k};
    el_map_init(&k->runs, NULL);
    tables_make(k);
}

static void tables_drop(struct kit *k)
{
    stream_admit_forget(&k->view, &k->batch);
    stream_table_destroy(k->view.active);
    stream_table_destroy(k->view.frozen);
    stream_heads_destroy(k->view.heads);
    k->view.frozen = NULL;
}

void kit_end(struct kit *k)
{
    tables_drop(k);
    for (size_t i = 0; i < k->runs.count; i++) {
        el_free(k->runs.entries[i].value);
    }
    el_map_destroy(&k->runs);
    assert_int_equal(k->buddy.used, 0);
    el_buddy_destroy(&k->buddy);
}

void kit_crash(struct kit *k)
{
    tables_drop(k);
    assert_int_equal(k->buddy.used, 0);
    tables_make(k);
}

struct el_hash128 kit_key(const char *key)
{
    return stream_hash_key(&kit_secret, el_slice_str(key));
}

static struct stream_record record_of(const struct kit_record *in, uint32_t index)
{
    struct stream_record out = {.expected = in->expected, .offset_delta = index, .flags = in->tombstone};
    if (in->key != NULL) {
        out.flags |= STREAM_RECORD_KEY;
        out.key_bytes = el_slice_str(in->key);
        out.key = kit_key(in->key);
    }
    if (in->id != NULL) {
        out.flags |= STREAM_RECORD_ID;
        out.id = stream_hash_id(&kit_secret, out.key_bytes, el_slice_str(in->id));
    }
    if (in->type != NULL) {
        out.flags |= STREAM_RECORD_TYPE;
        out.type = stream_hash_type(&kit_secret, el_slice_str(in->type));
    }
    return out;
}

void kit_batch(struct kit *k, const struct kit_record *records, uint32_t record_count, const struct kit_check *checks,
               uint32_t check_count)
{
    assert_true(record_count <= KIT_RECORD_MAX);
    assert_true(check_count <= KIT_CHECK_MAX);
    assert_null(k->batch.private_);
    k->batch = (struct stream_batch){
        .records = k->records,
        .record_count = record_count,
        .checks = k->checks,
        .check_count = check_count,
        .failed_index = -1,
    };
    for (uint32_t i = 0; i < record_count; i++) {
        k->records[i] = record_of(&records[i], i);
    }
    for (uint32_t i = 0; i < check_count; i++) {
        k->checks[i] = (struct stream_check){.key = kit_key(checks[i].key), .expected = checks[i].expected};
        k->checks[i].key_bytes = el_slice_str(checks[i].key);
    }
}

void kit_answer(struct kit *k, struct stream_lookup *lookups, uint32_t count, uint32_t slot)
{
    assert_true(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        const struct run_entry *found = run_find(k, slot, lookups[i].hash);
        lookups[i].found = found != NULL;
        if (found != NULL) {
            lookups[i].position = found->entry.position;
            lookups[i].place = found->entry.place;
        }
    }
}

int kit_admit(struct kit *k, uint32_t slot, int64_t offset)
{
    int code = stream_admit(&k->view, slot, offset, &k->batch);
    if (code == EVLOG_ERR_AGAIN) {
        uint32_t count;
        struct stream_lookup *lookups = stream_admit_lookups(&k->batch, &count);
        kit_answer(k, lookups, count, slot);
        code = stream_admit(&k->view, slot, offset, &k->batch);
        assert_int_not_equal(code, EVLOG_ERR_AGAIN);
    }
    return code;
}

void kit_freeze(struct kit *k)
{
    assert_null(k->view.frozen);
    k->view.frozen = k->view.active;
    assert_int_equal(stream_table_create(&k->buddy, k->table_memory, &k->view.active), 0);
}

static void run_put(struct kit *k, const struct el_stream_entry *entry)
{
    struct run_entry *r = run_find(k, entry->slot, entry->hash);
    if (r == NULL) {
        r = el_calloc(1, sizeof(*r));
        r->key = (struct run_key){entry->slot, 0, entry->hash};
        assert_int_equal(el_map_put(&k->runs, &r->key, sizeof(r->key), r), 0);
    } else {
        assert_true(r->entry.position < entry->position);
    }
    r->entry = *entry;
    k->run_entries++;
}

static void head_put(void *arg, const struct el_stream_entry *entry)
{
    struct kit *k = arg;
    struct stream_head head = {.version = (int64_t)entry->position, .place = entry->place};
    stream_heads_put(k->view.heads, entry->slot, entry->hash, &head);
}

void kit_flush(struct kit *k)
{
    struct stream_table_mark mark = stream_table_mark(k->view.frozen);
    struct stream_sorted *sorted;
    struct el_stream_entry entry;
    struct el_slice name;
    uint32_t slot;
    assert_int_equal(stream_sorted_make(k->view.frozen, &mark, 0, (struct el_slice){0}, &sorted), 0);
    while (stream_sorted_next(sorted, &entry)) {
        run_put(k, &entry);
    }
    while (stream_sorted_next_name(sorted, &slot, &name)) {
        k->run_names++;
    }
    stream_sorted_free(sorted);
    uint64_t cursor = 0;
    while (!stream_table_each_head(k->view.frozen, &cursor, 50, head_put, k)) {
    }
    stream_table_destroy(k->view.frozen);
    k->view.frozen = NULL;
}
