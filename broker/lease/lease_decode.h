/* SPDX-License-Identifier: Apache-2.0
 *
 * From batches to what the lease table wants to know of their events. Pure functions over bytes: on the shard when it
 * is little work, else on a worker.
 */
#ifndef EL_LEASE_LEASE_DECODE_H
#define EL_LEASE_LEASE_DECODE_H

#include <core/pattern.h>
#include <lease/lease_table.h>
#include <storage/store.h>

#define LEASE_NOT_BEFORE_HEADER "evlog-not-before"
/* Records that are looked at on the shard's thread: walking one takes about 150 ns. */
#define LEASE_DECODE_INLINE_MAX 256u

struct lease_decode {
    const uint8_t *data;              /* batches back to back, checked when they were stored */
    const struct read_entry *entries; /* [entry_count] */
    uint32_t entry_count;
    const struct el_pattern *filter; /* NULL: everything matches */
    int64_t from;                    /* records below it are known already */
    int64_t next_offset;             /* behind the batches */
    struct lease_record *records;    /* [record_max] out */
    uint32_t record_max;             /* at least 1 */
    uint32_t record_count;           /* out */
    int64_t end; /* out: everything below has been looked at; below next_offset when there was no room
                                      for more, or something was wrong */
};

/* Records at or above `from` in batches that are not compressed, as far as headers tell; *small says whether looking at
 * them is little work. returns the most records there can be */
uint32_t lease_decode_measure(const struct lease_decode *decode, bool *small);
/* Look at records from `from` on, until all is seen or records is full. Takes memory from the heap for compressed
 * batches and for a filter: only on a worker then.
 *
 * returns   0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_INVALID_RECORD, EVLOG_ERR_COMPRESSION ... the batch at `end` cannot be
 *           read; what was seen before it counts */
int lease_decode_run(struct lease_decode *decode);
/* When an event may be delivered first: a time in ms since 1970, or RFC 3339. 0: at once, also for what is neither. */
int64_t lease_not_before_ms(const struct el_record *record);
/* The hash that stands for a key in the table. */
uint64_t lease_key_hash(struct el_slice key);

#endif
