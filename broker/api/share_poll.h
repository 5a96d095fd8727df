/* SPDX-License-Identifier: Apache-2.0
 *
 * Leases from the partitions of a share session for one answer, within limits of records and bytes, waiting until there
 * is something: what ShareFetch is made of. The owner fills the limits, starts it, and gets `finish` once, when the
 * answer is to be built; the data stays until share_poll_release().
 */
#ifndef EL_API_SHARE_POLL_H
#define EL_API_SHARE_POLL_H

#include <api/api.h>

struct share_poll;

/* A partition that is polled. */
struct share_poll_part {
    struct share_poll *poll;
    struct el_uuid topic_id;
    int32_t partition;
    int error;                   /* out: EVLOG_ERR_, of the last read */
    struct lease_fetch_op *read; /* out: with leases, or with an error; else NULL */
    /* private */
    uint32_t records_reserved, bytes_reserved; /* that the read under way may use */
    size_t claimed;                            /* memory of it, see request_claim() */
    uint32_t place;                            /* whose memory that is: index of the partition's shard */
    bool wanted;                               /* to be read (again) */
    bool reading;
    bool watching;
    bool later; /* it is being loaded, or there is no memory: look again soon */
    struct lease_watch_op watch;
};

struct share_poll {
    /* the owner's */
    struct api *api;
    struct request *request;
    struct share_session *session;       /* in use by the request until finish */
    struct el_slice group_id, member_id; /* in the request */
    uint32_t records_max;                /* leases of all partitions; 0: nothing is read */
    uint32_t bytes_max;                  /* of data; a first batch may be larger */
    uint32_t range_fill;                 /* as in lease_fetch_op */
    int64_t wait_ms;                     /* for the first lease */
    int64_t window_ms;                   /* of a partition, for more of them */
    void (*finish)(struct share_poll *poll);
    /* results */
    struct share_poll_part *parts; /* [part_count] in the order of the session's turns */
    uint32_t part_count;
    /* private */
    uint32_t magic;
    uint32_t records, bytes;                   /* that the reads have brought */
    uint32_t records_reserved, bytes_reserved; /* of reads under way */
    uint32_t wanted_count;
    uint32_t reading_count, watching_count;
    uint32_t cursor;                /* parts before it are not wanted */
    struct lease_fetch_op *free_op; /* of a read that brought nothing */
    struct io_timer deadline;
    struct io_timer recheck;
    bool claiming;  /* waits for its principal's share of the memory */
    bool failed;    /* a partition has an error, or there was no memory */
    bool pumping;   /* inside a loop that submits: completions only take notes */
    bool expired;   /* answer with what is there */
    bool finishing; /* watches are being cancelled */
};

/* Take the partitions of the session as they are now. returns false without memory */
bool share_poll_init(struct share_poll *poll);
/* Begin. finish may be called from inside. */
void share_poll_start(struct share_poll *poll);
/* Give all data back; after finish, once, from the release of the answer. */
void share_poll_release(struct share_poll *poll);

#endif
