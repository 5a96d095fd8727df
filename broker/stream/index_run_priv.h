/* SPDX-License-Identifier: Apache-2.0
 *
 * What the readers of a run share: its top in memory, and checked blocks.
 */
#ifndef EL_STREAM_INDEX_RUN_PRIV_H
#define EL_STREAM_INDEX_RUN_PRIV_H

#include <stream/index_run.h>

/* A group in memory. Behind the last one follows an end whose first_line is the number of all lines. */
struct index_run_top {
    struct el_hash128 hash; /* first entry */
    uint64_t position;
    uint32_t slot;
    uint32_t first_block;
    uint32_t block_count;
    uint32_t first_line; /* of the filter; the next group's less this are its lines */
};

/* Read one block into p[len] and check that it is that block, of that kind.
 * returns 0 | EVLOG_ERR_CORRUPT | _IO */
int index_run_block(const struct index_run *run, uint32_t number, size_t len, enum el_run_block_kind kind, uint8_t *p,
                    uint16_t *count);
/* Read blocks of one kind that follow each other, unchecked. returns 0 | EVLOG_ERR_CORRUPT the file is short | _IO */
int index_run_bytes(const struct index_run *run, uint32_t number, uint8_t *p, size_t len);

#endif
