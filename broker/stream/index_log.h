/* SPDX-License-Identifier: Apache-2.0
 *
 * Holding the index of a shard against the log: is each event of the segments where the index says, with the version,
 * id, type and tombstone that it has? Blocking; while no evlogd runs on the directory. Changes nothing.
 */
#ifndef EL_STREAM_INDEX_LOG_H
#define EL_STREAM_INDEX_LOG_H

#include <core/err.h>
#include <io/disk.h>

#define INDEX_LOG_TOLD_MAX 10u /* differences that are told in words */

struct index_log_count {
    uint32_t partition_count;
    uint64_t event_count;      /* looked up */
    uint64_t unseen_count;     /* offsets that the index covers, behind the last event that was seen in the segments */
    uint64_t difference_count; /* events of which the index says something else, or nothing */
    uint64_t damage_count;     /* places of the log that do not verify, and gaps between its events */
};

/* Memory is bounded whatever the index and the log hold: the tops of the runs, their filters up to 256 MiB, one chunk,
 * and a table of the streams seen last. Damage of a chunk ends the look into its segment.
 *
 * tell      called for the first INDEX_LOG_TOLD_MAX differences and damages
 * returns   0 | EVLOG_ERR_NOT_FOUND the index was made with another secret, so that a start makes it anew |
 *           EVLOG_ERR_CORRUPT the index itself is damaged | _FORMAT | _NO_MEMORY | _IO
 */
int index_log_check(struct disk *disk, uint32_t shard, void (*tell)(void *arg, const char *text), void *arg,
                    struct index_log_count *count, struct el_error *err);

#endif
