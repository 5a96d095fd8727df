/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a consumer. Everything belongs to the thread that reads, but for fetches on their way: those belong to
 * the internal thread until they are finished, and are told apart under the client's lock.
 */
#ifndef EL_CLIENT_CONSUMER_STATE_H
#define EL_CLIENT_CONSUMER_STATE_H

#include "client_core.h"
#include "trace.h"

#include <evlog/consumer.h>
#include <format/batch.h>
#include <format/sieve.h>
#include <wire/msg_ext_filter_fetch.h>
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
    struct el_span_batch *receive; /* span of the fetch, for what was read of it; NULL: not traced */
    uint8_t *data;                 /* behind batches, in the same block */
    uint32_t batch_count;
    uint32_t batch_index;            /* next to be read */
    int64_t next_offset;             /* of a filtered answer: nothing else is wanted below it; else 0 */
    int64_t version;                 /* of a filtered answer: of the first event of the stream, -1 unknown */
    struct el_chunk_batch batches[]; /* [batch_count] */
};

/* One partition being read. */
struct el_feed {
    struct el_list link;   /* consumer->dropped, once it is dropped with a fetch on its way */
    struct el_chunk *head; /* oldest chunk, NULL none */
    struct el_chunk *tail;
    uint32_t chunk_count;
    int32_t partition;
    uint32_t jump_count;    /* an answer to what was asked before the last jump does not count */
    int64_t position;       /* offset of the next event given to the caller */
    int64_t fetch_offset;   /* next offset to ask for */
    int64_t end_offset;     /* first offset not wanted, INT64_MAX for none */
    int64_t high_watermark; /* of the last answer; INT64_MAX before the first */
    int64_t stored_offset;  /* of a subscriber: what a commit would say, -1 nothing */
    int64_t sent_offset;    /* of a subscriber: what the last commit that succeeded said, -1 none */
    int32_t stored_epoch;   /* leader epoch of the last event below stored_offset, -1 unknown */
    int64_t version;        /* with a filter for one stream: of its next event, -1 unknown */
    bool fetching;
    bool dropped; /* no longer read; freed when its fetch has ended */
    bool paused;
    bool astray;  /* the log has no such offset, and the consumer resets: somebody must place it */
    char topic[]; /* NUL-terminated */
};

/* A feed as a fetch asked for it. */
struct el_fetch_slot {
    struct el_feed *feed;
    uint32_t jump_count; /* of the feed then */
};

struct el_fetch {
    struct el_list link; /* consumer->fetches */
    struct el_call call;
    struct evlog_consumer *consumer; /* NULL: closed meanwhile */
    bool finished;                   /* under the client's lock */
    int64_t sent_ns, arrived_ns;     /* monotonic */
    enum el_api_key api;             /* Fetch, LogFetch or FilterFetch */
    union {
        struct el_msg_fetch_request plain;
        struct el_msg_ext_log_fetch_request log;
        struct el_msg_ext_filter_fetch_request filter;
    } request;
    struct el_arena arena;       /* of the request's arrays */
    struct el_fetch_slot *slots; /* [slot_count], in the arena; by topic, then partition */
    uint32_t slot_count;
    uint32_t slot_turn; /* where the next part of the answer is looked for */
};

/* What a consumer of one topic wants of it. Against evlog the broker passes over batches without a match; against
 * others everything is fetched. */
struct el_consumer_filter {
    struct el_sieve sieve;
    void *scratch;                  /* of the sieve */
    const struct el_slice *filters; /* [filter_count] texts that sieve.pattern was made of */
    uint32_t filter_count;
    struct el_uuid topic_id; /* zero: by name */
    bool one_stream;         /* sieve is a key of a topic with streams, and no more: versions are counted */
    bool unsupported;        /* the broker has no FilterFetch */
    uint64_t unparsable_count, too_long_count; /* events that were left out because the pattern could not tell */
};

struct evlog_consumer {
    struct evlog_client *client;
    char *topic;             /* of a reader of one topic, owned; NULL in a subscriber */
    int32_t partition_count; /* of that topic */
    bool ordered;
    bool has_append_times; /* the broker is evlog */
    bool started;
    bool resets;                       /* an offset outside the log makes a feed go astray instead of failing */
    bool has_astray;                   /* a feed has gone astray */
    uint32_t lane;                     /* of fetches */
    const char *group;                 /* for spans; borrowed, NULL none */
    const char *projection;            /* the same */
    bool quiet;                        /* reads for the library's own sake: no spans */
    struct el_consumer_filter *filter; /* borrowed; NULL: everything is wanted */
    uint64_t answer_count;             /* taken in so far */
    struct el_feed **feeds;            /* [feed_count] of feed_room, by topic, then partition */
    uint32_t feed_count;
    uint32_t feed_room;
    uint32_t turn;          /* feed to look at first when unordered */
    struct el_list dropped; /* struct el_feed that fetches on their way still point to */
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
    int64_t event_version;        /* of it, in its stream; -1 unknown */
    struct evlog_header *headers; /* [header_room] of event */
    size_t header_room;
};

/* --- consumer.c --- */

/* Make a consumer without feeds, in place. */
void el_consumer_init(struct evlog_consumer *consumer, struct evlog_client *client);
/* Free everything in it; fetches on their way are let go. */
void el_consumer_destroy(struct evlog_consumer *consumer);
/* The feed of a partition, NULL when it is not read. */
struct el_feed *el_consumer_find(const struct evlog_consumer *consumer, const char *topic, int32_t partition);
/* Read a partition from an offset on; NULL: no memory. It must not be read yet. */
struct el_feed *el_consumer_add(struct evlog_consumer *consumer, const char *topic, int32_t partition, int64_t offset);
/* Read it no more. */
void el_consumer_drop(struct evlog_consumer *consumer, struct el_feed *feed);
/* Go on at another offset; what was read ahead is forgotten. */
void el_consumer_jump(struct evlog_consumer *consumer, struct el_feed *feed, int64_t offset);
/* An event that is at hand. returns 1 | 0 none is, ask and wait | negative */
int el_consumer_event(struct evlog_consumer *consumer, struct evlog_failure *failure);
/* Ask for more and wait for an answer. returns 1 something came | 0 the time is over | negative */
int el_consumer_wait(struct evlog_consumer *consumer, int64_t deadline_ns, struct evlog_failure *failure);
/* Send what is due and wait once for an answer, at most until the deadline. Lock held. returns 0 | negative */
int el_consumer_await(struct evlog_consumer *consumer, int64_t deadline_ns, struct evlog_failure *failure);

/* --- consumer_fetch.c --- */

/* Send the fetches that are due. Lock held. returns 0 | EVLOG_ERR_NO_MEMORY */
int el_consumer_fetch(struct evlog_consumer *consumer);
/* Take finished answers in. Lock not held. returns 0 | a failure that reading ends with */
int el_consumer_take(struct evlog_consumer *consumer, struct evlog_failure *failure);
/* True when an answer waits to be taken in. Lock held. */
bool el_consumer_has_answer(const struct evlog_consumer *consumer);
/* True when a feed waits for its leader to become known; *feed: the first. Lock held. */
bool el_consumer_lacks_leader(struct evlog_consumer *consumer, const struct el_feed **feed);
/* That is so: 0, or the failure once it has lasted too long. Lock held. */
int el_consumer_no_leader(struct evlog_consumer *consumer, const struct el_feed *feed, struct evlog_failure *failure);
/* Let go of every fetch. Lock not held. */
void el_consumer_detach(struct evlog_consumer *consumer);

/* A feed that wants no more. */
static inline bool el_feed_at_end(const struct el_feed *feed)
{
    return feed->position >= feed->end_offset;
}

/* --- consumer_chunk.c --- */

/* Take what an answer has for a feed. returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_CORRUPT | EVLOG_ERR_INVALID_RECORD */
int el_feed_take_plain(struct el_feed *feed, const struct el_msg_fetch_partition_result *result);
int el_feed_take_log(struct el_feed *feed, const struct el_msg_ext_log_fetch_partition_result *result);
int el_feed_take_filter(struct el_feed *feed, const struct el_msg_ext_filter_fetch_result *result);

/* Check the batches of a plain Fetch answer (the last one may be cut short) or of one LogFetch batch, and count them.
 *
 * returns  0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_INVALID_RECORD a message format before version 2
 */
int el_batches_check(struct el_slice records, uint32_t *batch_count, size_t *len);

#endif
