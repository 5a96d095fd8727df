/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of a work group's progress read from a damaged or hostile disk. What is accepted is encoded again as the same
 * bytes; and when the whole block is then read again, an event at each place, exactly those finished are skipped and
 * what is encoded is still the same.
 */
#include <core/assert.h>
#include <core/buddy.h>
#include <evlog/error.h>
#include <lease/lease_table.h>

#include <stdlib.h>

#define BLOCK_NUMBER 3u
#define OFFSETS 65536
#define READ_EVERY 16 /* of the accepted inputs, by their length: reading a block is slow */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint64_t no_random(void *arg)
{
    (void)arg;
    return 1;
}

static void check_same(const struct lease_table *t, const uint8_t *data, size_t len)
{
    static uint8_t room[LEASE_BLOCK_LEN_MAX];
    EL_ASSERT(lease_block_encode(t, BLOCK_NUMBER, room, sizeof(room)) == len);
    EL_ASSERT(memcmp(room, data, len) == 0);
}

static void read_again(struct lease_table *t)
{
    struct lease_now now = {.mono_ns = 1, .wall_ms = 1};
    int64_t first = (int64_t)BLOCK_NUMBER * OFFSETS;
    for (int64_t i = first; i < first + OFFSETS; i++) {
        struct lease_record record = {.offset = i};
        EL_ASSERT(lease_add(t, &record, now) == 0);
        EL_ASSERT(lease_read_next(t) > i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct lease_rules rules = {
        .inflight_max = 1, .attempts_max = -1, .lease_ms = 1, .backoff_multiplier_milli = 1000, .age_max_ms = -1};
    struct el_buddy buddy;
    struct lease_memory *memory = NULL;
    struct lease_table *t = NULL;
    if (len == 0) {
        return 0; /* may come without an address, which says that there is no record */
    }
    EL_ASSERT(el_buddy_init(&buddy, 32u << 20, NULL) == 0);
    struct lease_memory_config cfg = {.buddy = &buddy, .bytes_max = 32u << 20, .random = no_random};
    EL_ASSERT(lease_memory_create(&cfg, &memory) == 0);
    uint64_t used = lease_memory_used(memory);
    EL_ASSERT(lease_table_create(memory, &rules, (int64_t)BLOCK_NUMBER * OFFSETS, &t) == 0);
    int err = lease_block_restore(t, BLOCK_NUMBER, el_slice_of(data, len));
    EL_ASSERT(err == 0 || err == EVLOG_ERR_MALFORMED);
    if (err == 0) {
        check_same(t, data, len);
        if (len % READ_EVERY == 0) {
            read_again(t);
            check_same(t, data, len);
        }
    }
    lease_table_destroy(t);
    EL_ASSERT(lease_memory_used(memory) == used);
    lease_memory_destroy(memory);
    el_buddy_destroy(&buddy);
    return 0;
}
