/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a producer: batches waiting per partition, and their way to the broker and back. Guarded by the
 * client's lock. Publishing threads touch only the open batch at a queue's tail; everything else belongs to the
 * internal thread.
 */
#ifndef EL_CLIENT_PRODUCER_STATE_H
#define EL_CLIENT_PRODUCER_STATE_H

#include "client_core.h"
#include "trace.h"

#include <evlog/producer.h>
#include <format/batch.h>
#include <wire/msg_init_producer_id.h>

/* Somebody blocked in evlog_publish(); lies on that thread's stack. */
struct el_waiter {
    bool done;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    struct evlog_failure failure; /* code 0: stored */
};

/* One record that somebody wants to hear of. */
struct el_delivery {
    uint32_t index; /* of the record in its batch */
    int64_t timestamp_ms;
    evlog_delivery_fn fn; /* or */
    void *arg;
    struct el_waiter *waiter; /* one of the two */
    struct el_span *span;     /* owned by the batch once it is there; NULL: not traced */
};

struct el_producer_partition;

struct el_producer_batch {
    struct el_list link; /* partition->queue, then producer->done */
    struct el_producer_partition *partition;
    struct el_batch_builder builder;
    struct el_slice encoded;        /* in the builder, once packed */
    struct el_delivery *deliveries; /* [delivery_count], owned, by index */
    uint32_t delivery_count;
    uint32_t delivery_room;
    uint32_t told_count; /* deliveries that somebody hears of, others are only traced */
    uint32_t record_count;
    uint32_t try_count;
    uint64_t ordinal;   /* rises with every batch of the producer */
    size_t charged_len; /* of buffer.memory */
    int64_t created_ns;
    int64_t deadline_ns;
    int64_t producer_id; /* -1: no sequence yet */
    int32_t base_sequence;
    int16_t producer_epoch;
    bool closed; /* takes no more records */
    bool urgent; /* somebody waits: no linger */
    bool in_flight;
    bool in_doubt;                 /* was sent, and the outcome of that try is not known */
    int64_t base_offset;           /* outcome: -1 unknown */
    int64_t log_append_time_ms;    /* outcome: -1 none */
    struct evlog_failure *failure; /* outcome; NULL: stored, or no memory for it */
    int code;                      /* outcome: 0 stored */
};

struct el_producer_topic;

struct el_producer_partition {
    struct el_list active; /* producer->active, while there are batches */
    struct el_producer_topic *topic;
    struct el_list queue; /* struct el_producer_batch, oldest first, those in flight included */
    int32_t index;
    uint32_t in_flight_count;
    uint32_t failure_count; /* tries in a row that failed: only the oldest batch is sent then */
    int64_t retry_at_ns;
    int64_t acked_ns;    /* last acknowledgement under producer_id, 0: none yet */
    int64_t producer_id; /* -1: none yet */
    int32_t sequence_next;
    int16_t producer_epoch;
    bool reset; /* the sequence is broken: take a new producer id once nothing is in flight */
};

struct el_producer_topic {
    char *name;                                /* key in the map, owned */
    struct el_producer_partition **partitions; /* [partition_count], each NULL until used; owned */
    int32_t partition_count;
    int32_t sticky; /* where records without a key go, -1: choose */
};

struct evlog_producer {
    struct el_list link; /* client->producers */
    struct evlog_client *client;
    struct el_map topics;  /* name -> struct el_producer_topic */
    struct el_list active; /* partitions with batches */
    struct el_list done;   /* batches whose callbacks are due */
    size_t buffered_len;
    uint64_t pending_count; /* records neither stored nor failed */
    uint64_t ordinal_next;
    uint32_t memory_waiters;
    uint32_t flush_waiters;
    uint32_t call_count; /* produce requests on their way */
    int64_t producer_id; /* for partitions that start; -1: ask for one */
    int16_t producer_epoch;
    struct el_call *id_call; /* InitProducerId on its way, NULL */
    int64_t id_retry_at_ns;
    uint32_t id_failure_count;
    bool closing; /* the internal thread shall let go */
    bool closed;  /* and has */
    struct evlog_producer_stats stats;
    struct evlog_failure first_failure; /* of a record nobody is told of, since the last flush */
};

/* --- producer_batch.c --- */

/* Partition of a key as the Java client chooses it; pure. partition_count > 0 */
int32_t el_partition_of_key(const void *key, size_t key_len, int32_t partition_count);
/* The topic's place in the producer, made or grown to partition_count; NULL: no memory. Lock held. */
struct el_producer_topic *el_producer_topic(struct evlog_producer *producer, const char *name, int32_t partition_count);
/* Where a message goes. Lock held. */
int32_t el_producer_choose(struct evlog_producer *producer, struct el_producer_topic *topic,
                           const struct evlog_message *message);
/* Add a record to the open batch of a partition, making one when needed.
 *
 * delivery  copied, index filled in; NULL when nobody wants to hear of it
 * returns   0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_TOO_LARGE | EVLOG_ERR_ARGUMENT
 */
struct el_record_body;
int el_producer_append(struct evlog_producer *producer, struct el_producer_topic *topic, int32_t partition,
                       const struct el_record_body *body, const struct el_delivery *delivery);
/* A batch has its outcome: tell waiters, keep it for evlog_poll() when there are callbacks, else free it. */
void el_producer_batch_end(struct evlog_producer *producer, struct el_producer_batch *batch);
void el_producer_batch_free(struct el_producer_batch *batch);
void el_producer_topics_free(struct evlog_producer *producer);
/* The outcome of a batch that failed; a failure kept in it, or made from its code. */
void el_producer_batch_failure(const struct el_producer_batch *batch, struct evlog_failure *failure);
/* Give a batch the outcome "failed". kafka_code 0 when the broker did not say. */
void el_producer_batch_refuse(struct evlog_producer *producer, struct el_producer_batch *batch, int code,
                              const struct evlog_failure *why);

#endif
