/* SPDX-License-Identifier: Apache-2.0
 *
 * A run of the stream index read from a damaged or hostile disk, as it is and with the sum, run id and number of every
 * block put right, since a mutation hardly ever keeps one; and its bytes as packed entries and names.
 *
 *   1. whatever an open run is walked, sought in and asked for, it ends, in order and in range;
 *   2. a walk that ends without damage gave as many entries and names as the footer says, or a find may miss some.
 */
#include "memory_disk.h"

#include <core/assert.h>
#include <evlog/error.h>
#include <stdlib.h>
#include <stream/index_run.h>

#define ROOM 64u
#define RUN_ID 7u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_entries(const uint8_t *data, size_t len)
{
    struct el_entry_unpacker u;
    struct el_stream_entry before = {.slot = 0};
    el_entry_unpacker_init(&u, data, len, UINT16_MAX);
    while (el_entry_unpack(&u) > 0) {
        EL_ASSERT(el_stream_entry_compare(&before, &u.last) < 0);
        before = u.last;
    }
}

static void try_names(const uint8_t *data, size_t len, bool index)
{
    static struct el_name_unpacker u, before;
    el_name_unpacker_init(&u, data, len, UINT16_MAX, index);
    before.slot = 0;
    before.key_len = 0;
    while (el_name_unpack(&u) > 0) {
        EL_ASSERT(u.key_len <= EL_RUN_NAME_KEY_MAX);
        EL_ASSERT(el_name_compare(before.slot, el_slice_of(before.key, before.key_len), u.slot,
                                  el_slice_of(u.key, u.key_len)) < 0);
        before = u;
    }
}

static void ask(const struct index_run *run, const struct el_stream_entry *e, uint64_t low, uint64_t high)
{
    for (int descending = 0; descending < 2; descending++) {
        struct el_stream_entry found[ROOM];
        uint32_t count = 0;
        if (index_run_find(run, e->slot, e->hash, low, high, descending == 1, found, ROOM, &count) != 0) {
            continue;
        }
        EL_ASSERT(count <= ROOM);
        for (uint32_t i = 0; i < count; i++) {
            EL_ASSERT(el_stream_entry_same_hash(&found[i], e));
            EL_ASSERT(found[i].position >= low);
            EL_ASSERT(found[i].position <= high);
        }
    }
    index_run_may_hold(run, e->slot, e->hash);
}

static void walk_entries(const struct index_run *run, struct index_cursor *c)
{
    struct el_stream_entry before = {.slot = 0}, e;
    uint32_t asked = 0;
    while (index_cursor_next(c, &e) > 0) {
        EL_ASSERT(el_stream_entry_compare(&before, &e) < 0);
        if (asked++ < 40) {
            ask(run, &e, e.position, UINT64_MAX);
            ask(run, &e, 0, e.position);
            ask(run, &before, 0, UINT64_MAX);
        }
        before = e;
    }
}

static void walk_names(struct index_cursor *c)
{
    static uint8_t kept[EL_RUN_NAME_KEY_MAX];
    struct el_slice key, before = {kept, 0};
    uint32_t slot = 0, before_slot = 0, count = 0;
    while (index_cursor_next_name(c, &slot, &key) > 0) {
        EL_ASSERT(before_slot == 0 || el_name_compare(before_slot, before, slot, key) < 0);
        memcpy(kept, key.data, key.len);
        before.len = key.len;
        before_slot = slot;
        count++;
    }
    for (uint32_t i = 0; i < 6 && count > 0; i++) {
        struct el_slice part = {kept, before.len / (i + 1)};
        if (index_cursor_seek_name(c, before_slot, part, i % 2 == 0 ? part : (struct el_slice){NULL, 0}) == 0 &&
            index_cursor_next_name(c, &slot, &key) > 0) {
            int order = el_name_compare(slot, key, before_slot, part);
            EL_ASSERT(i % 2 == 0 ? order > 0 : order >= 0);
        }
    }
}

static void look_into(const uint8_t *data, size_t len)
{
    struct memory_disk m;
    struct el_index_run_info info;
    struct index_run run;
    struct index_cursor *c = NULL;
    memory_disk_init(&m, data, len);
    if (index_run_peek(&m.disk, "run", &info, NULL) != 0) {
        return;
    }
    EL_ASSERT(info.file_len == len);
    for (int with_filter = 0; with_filter < 2; with_filter++) {
        void *memory = malloc(index_run_memory(&info, with_filter == 1));
        EL_ASSERT(memory != NULL);
        if (index_run_open(&m.disk, "run", &info, memory, with_filter == 1, &run, NULL) == 0) {
            EL_ASSERT(index_cursor_open(&run, &c) == 0);
            walk_entries(&run, c);
            walk_names(c);
            index_cursor_close(c);
            index_run_close(&run);
        }
        free(memory);
    }
}

/* Put right what a check would stop at. The kind says how long a block is. */
static void mend(uint8_t *p, size_t len)
{
    uint32_t end = (uint32_t)(len / EL_RUN_BLOCK_LEN), number = 1;
    el_run_header_put(p, RUN_ID);
    while (number < end) {
        uint8_t *block = p + (size_t)number * EL_RUN_BLOCK_LEN;
        bool names = block[20] == EL_RUN_NAMES || block[20] == EL_RUN_NAME_INDEX;
        uint32_t count = names && end - number > 4 ? 4 : 1;
        el_run_block_seal(block, (size_t)count * EL_RUN_BLOCK_LEN,
                          &(struct el_run_block){.run_id = RUN_ID,
                                                 .number = number,
                                                 .kind = (enum el_run_block_kind)block[20],
                                                 .count = el_get_le16(block + 22)});
        number += count;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    try_entries(data, len);
    try_names(data, len, false);
    try_names(data, len, true);
    look_into(data, len);
    if (len < 2 * EL_RUN_BLOCK_LEN) {
        return 0;
    }
    size_t whole = len - len % EL_RUN_BLOCK_LEN;
    uint8_t *copy = malloc(whole);
    EL_ASSERT(copy != NULL);
    memcpy(copy, data, whole);
    mend(copy, whole);
    look_into(copy, whole);
    free(copy);
    return 0;
}
