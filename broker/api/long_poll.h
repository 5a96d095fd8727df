/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads of many partitions for one answer, within byte limits, waiting until there is enough: what Fetch, LogFetch and
 * FilterFetch have in common. The owner fills the parts and the limits, starts it, and gets `finish` once, when the
 * answer is to be built; the data stays until long_poll_release().
 */
#ifndef EL_API_LONG_POLL_H
#define EL_API_LONG_POLL_H

#include <api/api.h>
#include <api/sift.h>

struct long_poll;

struct long_poll_part {
    /* the owner's */
    struct api_target target;
    int32_t partition;
    int64_t offset;
    uint32_t bytes_max; /* most bytes of this partition; lowered when memory is short */
    int32_t current_leader_epoch;
    int32_t last_fetched_epoch;
    bool want_entries;
    struct sift *sift; /* NULL: plain reads. Else want_entries is set, and what is read is in it, not in read.entries */
    /* results; read.data etc. when error is 0 */
    int error; /* EVLOG_ERR_ */
    struct read_op read;
    /* private */
    struct long_poll *poll;
    struct watch_op watch;
    uint32_t reserved;  /* bytes of the limit that the read under way may use */
    uint32_t first_len; /* of the first batch, when it was too long for what had been claimed; else 0 */
    size_t claimed;     /* memory of the read that is claimed, see request_claim() */
    uint32_t place;     /* whose memory that is: index of the partition's shard */
    bool wanted;        /* to be read (again) */
    bool reading;
    bool holding; /* the read is done and not released */
    bool watching;
    bool forced; /* read with its first batch whatever its size */
    bool barred; /* there was no memory for that in time */
};

struct long_poll {
    /* the owner's */
    struct api *api;
    struct request *request;
    struct long_poll_part *parts; /* [part_count] in the order of the request */
    uint32_t part_count;
    uint32_t bytes_max; /* most bytes of all */
    uint32_t bytes_min; /* wait for so many */
    int64_t wait_ms;    /* but not longer */
    void (*finish)(struct long_poll *poll);
    /* private */
    uint32_t magic;
    uint64_t bytes;    /* held in parts */
    uint64_t reserved; /* of reads under way */
    uint32_t reading_count;
    uint32_t watching_count;
    uint32_t cursor; /* parts before it are not wanted */
    struct io_timer deadline;
    struct io_timer recheck;
    uint64_t looked_ns;  /* when partitions were looked at last */
    bool pumping;        /* inside the loop that submits reads: completions only take notes */
    bool started;        /* the first round of reads is over */
    bool expired;        /* answer with what is there */
    bool without_memory; /* for as much as was asked for: likewise when there is anything */
    bool claiming;       /* waits for its principal's share of the memory */
    bool finishing;      /* watches are being cancelled */
};

/* Begin. finish may be called from inside. */
void long_poll_start(struct long_poll *poll);
/* Give all data back; after finish, once, from the release of the answer. */
void long_poll_release(struct long_poll *poll);

#endif
