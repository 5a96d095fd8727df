/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking through all that the index files of a shard hold, and putting them aside. Blocking; while no evlogd runs on
 * the directory.
 */
#ifndef EL_STREAM_INDEX_CHECK_H
#define EL_STREAM_INDEX_CHECK_H

#include <core/err.h>
#include <io/disk.h>

struct index_check_count {
    uint32_t run_count;
    uint64_t entry_count;
    uint64_t name_count;
};

/* Read the list of a shard and every block of every run that it names, and hold them against each other: order, counts,
 * keys of the index blocks, bits of the filters, the tree of names.
 *
 * returns   0 all is sound, or there is no index | EVLOG_ERR_CORRUPT err says where | _FORMAT | _NO_MEMORY | _IO
 */
int index_check_shard(struct disk *disk, uint32_t shard, struct index_check_count *count, struct el_error *err);
/* Remove the index files of a shard, so that its next start makes them anew from the log. Whenever it is cut short, a
 * start finds an index that it will not use.
 * returns 0 | EVLOG_ERR_IO */
int index_drop(struct disk *disk, uint32_t shard, struct el_error *err);

#endif
