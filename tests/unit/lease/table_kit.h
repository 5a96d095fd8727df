/* SPDX-License-Identifier: Apache-2.0
 *
 * One lease table with its memory, a clock that the test sets, and a disk that keeps what durable writes have carried.
 */
#ifndef EL_TEST_LEASE_TABLE_KIT_H
#define EL_TEST_LEASE_TABLE_KIT_H

#include <core/buddy.h>
#include <evlog/error.h>
#include <lease/lease_table.h>
#include <test.h>

#define KIT_BLOCKS_MAX 512
#define KIT_SESSION 7ull

struct kit_block {
    uint64_t number;
    uint8_t *data; /* NULL: no record */
    size_t len;
};

struct kit {
    struct el_buddy buddy;
    struct lease_memory *memory;
    uint64_t memory_empty; /* bytes used by a memory without tables */
    struct lease_rules rules;
    struct lease_table *t;
    struct lease_now now;
    uint64_t draw; /* what random gives */
    /* the disk, and what the write under way would put there */
    struct kit_block stored[KIT_BLOCKS_MAX], pending[KIT_BLOCKS_MAX];
    uint32_t stored_count, pending_count;
    int64_t stored_start, pending_start;
    int64_t stored_base, pending_base;
    uint32_t gone_count; /* blocks told as gone, ever */
    uint8_t room[LEASE_BLOCK_LEN_MAX];
};

/* Order by key, 1,000 in flight, 3 attempts, leases of 30 s, backoff 1 s doubled up to 10 s without jitter, skip. */
struct lease_rules kit_rules(void);
/* A table that starts at 0; memory_max bytes of budget (0: 16 MiB). */
void kit_open(struct kit *k, const struct lease_rules *rules, uint64_t memory_max);
/* Asserts that no memory is left in use. */
void kit_close(struct kit *k);

/* Add, assert that it worked. key 0: none */
void kit_add(struct kit *k, int64_t offset, uint64_t key);
/* Lease up to max, assert that exactly count came; the first offset | -1 */
int64_t kit_take(struct kit *k, uint64_t session, uint32_t max, uint32_t count);
/* Lease one, assert offset and attempts. */
void kit_take_one(struct kit *k, uint64_t session, int64_t offset, uint32_t attempts);
int kit_settle(struct kit *k, uint64_t session, int64_t first, int64_t last, enum lease_outcome_kind kind);
/* Let time pass on both clocks, and tick. */
void kit_pass(struct kit *k, int64_t ms);
enum lease_state kit_state(const struct kit *k, int64_t offset);

void kit_write_begin(struct kit *k);
void kit_write_end(struct kit *k, bool durable);
/* Both, durable. */
void kit_write(struct kit *k);
/* A new table from what is on the disk. */
void kit_restart(struct kit *k);
/* The record of a block on the disk | NULL */
const struct kit_block *kit_stored(const struct kit *k, uint64_t number);

#endif
