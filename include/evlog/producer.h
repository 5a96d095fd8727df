/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishing events: batched, compressed, idempotent, in order per partition.
 *
 * Thread safety: any number of threads may publish through one producer. Callbacks run only inside evlog_poll(), on the
 * thread that calls it. Since 1.0.
 *
 * Order: events of one partition are stored in the order in which they were published, also across retries, as long as
 * none of them fails for good. With enable.idempotence a retry is not stored twice. An event whose outcome could not be
 * learned in time fails with in_doubt set: it may or may not be stored.
 */
#ifndef EVLOG_PRODUCER_H
#define EVLOG_PRODUCER_H

#include <evlog/client.h>
#include <evlog/event.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evlog_producer;

/* Where an event was stored. */
struct evlog_receipt {
    size_t size; /* sizeof(struct evlog_receipt), set by the caller where the caller owns it */
    int32_t partition;
    int64_t offset;       /* -1 with acks 0 */
    int64_t timestamp_ms; /* the event's time as stored */
};
#define EVLOG_RECEIPT_INIT                                                                                             \
    {                                                                                                                  \
        .size = sizeof(struct evlog_receipt)                                                                           \
    }

/* The end of an asynchronous publish.
 *
 * receipt  set on success, else NULL
 * failure  set on failure, else NULL; both are borrowed for the call
 */
typedef void (*evlog_delivery_fn)(void *arg, const struct evlog_receipt *receipt, const struct evlog_failure *failure);

/* Make a producer. Does not block.
 *
 * producer  written on success; close with evlog_producer_close() before the client
 * returns   0 | EVLOG_ERR_NO_MEMORY
 */
int evlog_producer_open(struct evlog_client *client, struct evlog_producer **producer, struct evlog_failure *failure);

/* Publish one event and wait until the broker has stored it (acks=all: by the topic's durability). Blocks up to
 * max.block.ms + delivery.timeout.ms.
 *
 * message  borrowed for the call
 * receipt  NULL, or written on success
 * returns  0 | EVLOG_ERR_TOO_LARGE, EVLOG_ERR_INVALID_RECORD, EVLOG_ERR_ARGUMENT caller |
 *          EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNREACHABLE not sent | EVLOG_ERR_IN_DOUBT sent, no answer |
 *          EVLOG_ERR_FULL no room in buffer.memory for max.block.ms | EVLOG_ERR_KAFKA with failure->kafka_code
 */
int evlog_publish(struct evlog_producer *producer, const struct evlog_message *message, struct evlog_receipt *receipt,
                  struct evlog_failure *failure);

/* Publish one event without waiting for the broker. Blocks only while buffer.memory is used up, or while the
 * partitions of a topic are asked for the first time; at most max.block.ms.
 *
 * message  copied
 * fn       called once inside evlog_poll(), after success or failure; NULL: evlog_flush() tells of failures
 * returns  as evlog_publish for what can be told at once; fn is not called when it is not 0
 */
int evlog_publish_async(struct evlog_producer *producer, const struct evlog_message *message, evlog_delivery_fn fn,
                        void *arg, struct evlog_failure *failure);

/* Run the callbacks that are due on this thread.
 *
 * timeout_ms  how long to wait for the first one; 0: do not wait; -1: as long as events are on their way
 * returns     callbacks run, 0 or more
 */
int evlog_poll(struct evlog_producer *producer, int timeout_ms);

/* Send what waits and wait until every event published before this call is stored or has failed. Blocks.
 *
 * timeout_ms  -1: as long as it takes, at most delivery.timeout.ms
 * returns     0 everything without a callback was stored | EVLOG_ERR_TIMED_OUT some are still on their way | the first
 *             failure of an event without a callback since the last flush
 */
int evlog_flush(struct evlog_producer *producer, int timeout_ms, struct evlog_failure *failure);

/* Counts since the producer was made. */
struct evlog_producer_stats {
    size_t size;           /* sizeof(struct evlog_producer_stats), set by the caller */
    uint64_t stored_count; /* events acknowledged */
    uint64_t failed_count; /* events that failed for good */
    uint64_t retry_count;  /* batches sent again */
    uint64_t buffered_len; /* bytes that wait or are on their way */
};
void evlog_producer_stats(struct evlog_producer *producer, struct evlog_producer_stats *stats);

/* Close. Events that wait are given up and fail with EVLOG_ERR_CLOSED (their callbacks run inside this call): flush
 * first. NULL is allowed. */
void evlog_producer_close(struct evlog_producer *producer);

#ifdef __cplusplus
}
#endif
#endif
