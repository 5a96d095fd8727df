/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading partitions of one topic, from offsets or times. No group: the caller says where to begin and keeps where it
 * stands.
 *
 * Thread safety: one thread at a time per consumer; different consumers are independent. Against evlog every event has
 * its append time; against Apache Kafka only events of topics with message.timestamp.type=LogAppendTime do. Since 1.0.
 */
#ifndef EVLOG_CONSUMER_H
#define EVLOG_CONSUMER_H

#include <evlog/client.h>
#include <evlog/event.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evlog_consumer;

struct evlog_consumer_options {
    size_t size;       /* sizeof(struct evlog_consumer_options) */
    const char *topic; /* NUL-terminated, copied */
    bool ordered;      /* over all partitions in the order of append times (then of partitions); needs evlog; without
                        * append times: one partition behind the other. Partitions need an end, or next() waits for
                        * the slowest */
};
#define EVLOG_CONSUMER_OPTIONS_INIT                                                                                    \
    {                                                                                                                  \
        .size = sizeof(struct evlog_consumer_options)                                                                  \
    }

/* Make a consumer without partitions. Blocks until the topic is known.
 *
 * consumer  written on success; close with evlog_consumer_close() before the client
 * returns   0 | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_ARGUMENT
 */
int evlog_consumer_open(struct evlog_client *client, const struct evlog_consumer_options *options,
                        struct evlog_consumer **consumer, struct evlog_failure *failure);

/* Partitions of the topic when the consumer was opened. */
int32_t evlog_consumer_partition_count(const struct evlog_consumer *consumer);

/* Read a partition. Before the first evlog_consumer_next() only.
 *
 * start_offset  first offset, or EVLOG_OFFSET_EARLIEST, EVLOG_OFFSET_LATEST (asked when reading begins; may block)
 * end_offset    first offset that is not read any more; -1: no end
 * returns       0 | EVLOG_ERR_ARGUMENT | EVLOG_ERR_NO_MEMORY | what asking for the offset returns
 */
int evlog_consumer_assign(struct evlog_consumer *consumer, int32_t partition, int64_t start_offset, int64_t end_offset,
                          struct evlog_failure *failure);

/* The next event. Blocks.
 *
 * timeout_ms  how long to wait; -1: until there is one or every partition has reached its end
 * event       written when 1 is returned; valid until the next call with this consumer
 * returns     1 an event | 0 none within the time, or all partitions are at their end (evlog_consumer_at_end) |
 *             EVLOG_ERR_OFFSET_RANGE the log no longer reaches so far back | EVLOG_ERR_UNREACHABLE |
 *             EVLOG_ERR_CORRUPT, EVLOG_ERR_INVALID_RECORD a batch does not pass its checks | EVLOG_ERR_NO_MEMORY
 */
int evlog_consumer_next(struct evlog_consumer *consumer, int timeout_ms, const struct evlog_event **event,
                        struct evlog_failure *failure);

/* True when every assigned partition has been read up to its end offset. */
bool evlog_consumer_at_end(const struct evlog_consumer *consumer);

/* Offset of the event that next() would give for a partition; -1 when it is not assigned. */
int64_t evlog_consumer_position(const struct evlog_consumer *consumer, int32_t partition);

/* Close; NULL is allowed. */
void evlog_consumer_close(struct evlog_consumer *consumer);

/* Ask where a time or an end lies in a partition. Blocks.
 *
 * time_ms  EVLOG_OFFSET_LATEST, EVLOG_OFFSET_EARLIEST, or an event time: the first event at or after it
 * offset   written on success; -1 when no event is that late
 * returns  0 | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_KAFKA
 */
int evlog_offset_at(struct evlog_client *client, const char *topic, int32_t partition, int64_t time_ms, int64_t *offset,
                    struct evlog_failure *failure);

/* The same for all partitions of a topic in few requests.
 *
 * offsets  [partition_count], written on success; -1 where no event is that late
 * returns  as evlog_offset_at() | EVLOG_ERR_ARGUMENT the topic has another number of partitions
 */
int evlog_offsets_at(struct evlog_client *client, const char *topic, int64_t time_ms, int64_t *offsets,
                     int32_t partition_count, struct evlog_failure *failure);

/* Ask evlog for every partition's end offset at an append time: all events taken at or before it lie below. The answer
 * is final: asking again gives the same offsets. Blocks.
 *
 * time_ns   ns since 1970, not in the future; 0: now
 * offsets   [partition_count], written on success
 * returns   0 | EVLOG_ERR_UNSUPPORTED the broker is not evlog | EVLOG_ERR_ARGUMENT a time in the future, or the topic
 *           has another number of partitions | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNREACHABLE
 */
int evlog_cut(struct evlog_client *client, const char *topic, int64_t time_ns, int64_t *offsets,
              int32_t partition_count, struct evlog_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
