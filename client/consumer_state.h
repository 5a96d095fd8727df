/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a consumer. Everything belongs to the thread that reads, but for fetches on their way: those belong to
 * the internal thread until they are finished, and are told apart under the client's lock.
 */
#ifndef EL_CLIENT_CONSUMER_STATE_H
#define EL_CLIENT_CONSUMER_STATE_H

#include "client_core.h"

#include <evlog/consumer.h>
#include <format/batch.h>
#include <wire/msg_ext_log_fetch.h>
#include <wire/msg_fetch.h>

/* One fetched batch inside a chunk. */
struct el_chunk_batch {
    size_t pos; /* in chunk->data */
    size_t len;
    int64_t append_time_ns; /* -1 unknown */
    int64_t last_offset;
    int32_t leader_epoch;
};

/* What one answer gave for one partition: batches, checked, in one block. */
struct el_chunk {
    struct el_chunk *next;
    uint8_t *data; /* behind batches, in the same block */
    uint32_t batch_count;
    uint32_t batch_index;            /* next to be read */
    struct el_chunk_batch batches[]; /* [batch_count] */
};

/* One partition being read. */
struct el_feed {
    struct el_chunk *head; /* oldest chunk, NULL none */
    struct el_chunk *tail;
    uint32_t chunk_count;
    int32_t partition;
    int64_t position;       /* offset of the next event given to the caller */
    int64_t fetch_offset;   /* next offset to ask for */
    int64_t end_offset;     /* first offset not wanted, INT64_MAX for none */
    int64_t high_watermark; /* of the last answer; INT64_MAX before the first */
    bool assigned;
    bool fetching;
};

struct el_fetch {
    struct el_list link; /* consumer->fetches */
    struct el_call call;
    struct evlog_consumer *consumer; /* NULL: closed meanwhile */
    bool finished;                   /* under the client's lock */
    bool is_log;                     /* LogFetch, else Fetch */
    union {
        struct el_msg_fetch_request plain;
        struct el_msg_ext_log_fetch_request log;
    } request;
    struct el_arena arena; /* of the request's arrays */
    int32_t *partitions;   /* [partition_count], in the arena */
    uint32_t partition_count;
    char topic[]; /* NUL-terminated */
};

struct evlog_consumer {
    struct evlog_client *client;
    char *topic; /* owned */
    bool ordered;
    bool has_append_times; /* the broker is evlog */
    bool started;
    struct el_feed *feeds; /* [partition_count], by partition */
    int32_t partition_count;
    int32_t turn;           /* partition to look at first when unordered */
    struct el_list fetches; /* struct el_fetch on their way or finished */
    int64_t trouble_ns;     /* since when nothing works, 0: all is well */
    int64_t retry_at_ns;
    uint32_t trouble_count;
    struct evlog_failure trouble; /* what does not work */
    /* the batch being read */
    struct el_feed *open; /* NULL: none */
    const struct el_chunk_batch *batch;
    struct el_batch_iter iter;
    uint8_t *scratch; /* [scratch_len] decompressed records */
    size_t scratch_len;
    struct evlog_event event;
    struct evlog_header *headers; /* [header_room] of event */
    size_t header_room;
};

/* --- consumer_fetch.c --- */

/* Send the fetches that are due. Lock held. returns 0 | EVLOG_ERR_NO_MEMORY */
int el_consumer_fetch(struct evlog_consumer *consumer);
/* Take finished answers in. Lock not held. returns 0 | a failure that reading ends with */
int el_consumer_take(struct evlog_consumer *consumer, struct evlog_failure *failure);
/* True when an answer waits to be taken in. Lock held. */
bool el_consumer_has_answer(const struct evlog_consumer *consumer);
/* No fetch could be sent because no leader is known: 0, or the failure once that has lasted too long. Lock held. */
int el_consumer_no_leader(struct evlog_consumer *consumer, struct evlog_failure *failure);
/* Let go of every fetch. Lock not held. */
void el_consumer_detach(struct evlog_consumer *consumer);

/* A feed that wants no more. */
static inline bool el_feed_at_end(const struct el_feed *feed)
{
    return feed->position >= feed->end_offset;
}

/* Check the batches of a plain Fetch answer (the last one may be cut short) or of one LogFetch batch, and count them.
 *
 * returns  0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_INVALID_RECORD a message format before version 2
 */
int el_batches_check(struct el_slice records, uint32_t *batch_count, size_t *len);

#endif
