/* SPDX-License-Identifier: Apache-2.0
 *
 * All records of a partition in order, from the beginning of its log to the high watermark: how a start reads what
 * evlog keeps in topics of its own. For layers above storage; owner shard only.
 */
#ifndef EL_STORAGE_RECORD_SCAN_H
#define EL_STORAGE_RECORD_SCAN_H

#include <storage/store.h>

struct record_scan {
    /* the owner's */
    struct store_shard *shard;
    struct io *io;
    struct metrics *metrics;
    const bool *stopping; /* of the shard: ends it with EVLOG_ERR_CLOSED */
    struct el_uuid topic_id;
    int32_t partition;
    const char *module, *topic; /* for lines of the log; static */
    char waiters[48];           /* the same: who is refused or waits */
    enum metric_id damaged;     /* counts an end by damage */
    /* returns 0 | EVLOG_ERR_: the end, told in the log */
    int (*take)(void *arg, const struct el_record *record);
    /* All was read (0), or not; last, the scan may be freed. */
    void (*end)(void *arg, int error);
    void *arg;
    /* private */
    struct lookup_op lookup;
    struct read_op read;
    struct io_timer timer;
    int64_t offset; /* to be read next */
    uint64_t record_count;
    uint64_t began_ns;
    bool complained; /* of a read that failed */
};

/* Begin; everything private is set here. end may come from inside. */
void record_scan_start(struct record_scan *scan);
/* The shard is over: end does not come. No read may be under way. */
void record_scan_drop(struct record_scan *scan);

#endif
