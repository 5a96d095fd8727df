/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscriptions: the events of a topic, of one of its streams, or those that a filter takes; first what is stored, then
 * what comes, without a gap and without an event twice in between.
 *
 *     struct evlog_subscription_options options = EVLOG_SUBSCRIPTION_OPTIONS_INIT;
 *     options.topic = "orders";
 *     options.types = (const char *const[]){"OrderPaid"};
 *     options.type_count = 1;
 *     options.position = kept;              // NULL: from the beginning
 *     int rc = evlog_subscription_open(client, &options, &subscription, &failure);
 *     while ((rc = evlog_subscription_next(subscription, -1, &item, &failure)) == 1) {
 *         if (item->kind == EVLOG_SUBSCRIPTION_EVENT) { ... item->event->data ... }
 *         keep(evlog_subscription_position(subscription));
 *     }
 *
 * A subscription belongs to nobody but its reader: no group, nothing is stored at the broker. Whoever keeps the
 * position beside what was made of the events goes on exactly behind them. Against evlog the filter is evaluated at
 * the broker, and of one stream, or of few types, only those events are read there; other brokers send everything, and
 * it is filtered here. Events come in the order of the log in each partition, and so in each stream.
 *
 * Thread safety: a subscription belongs to one thread at a time and is closed before its client; different ones are
 * independent. Everything that takes a client or a subscription may block. Since 1.0.
 */
#ifndef EVLOG_SUBSCRIPTION_H
#define EVLOG_SUBSCRIPTION_H

#include <evlog/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evlog_subscription;

/* Where reading begins when no position is given. */
enum evlog_subscription_start {
    EVLOG_SUBSCRIPTION_BEGINNING, /* the first event that is still there */
    EVLOG_SUBSCRIPTION_END,       /* behind the last one: only what comes */
    EVLOG_SUBSCRIPTION_TIME, /* the first event appended at or after start_ns; of brokers other than evlog, the first
                                   * with such a time of its own */
};

/* What becomes of it when retention, or somebody, has removed events before they were read. */
enum evlog_subscription_on_missing {
    EVLOG_SUBSCRIPTION_FAIL, /* EVLOG_ERR_OFFSET_RANGE, again and again */
    EVLOG_SUBSCRIPTION_TELL, /* an item EVLOG_SUBSCRIPTION_MISSING says which, and reading goes on behind them */
};

struct evlog_subscription_options {
    size_t size; /* sizeof(struct evlog_subscription_options) */
    const char *topic;
    struct evlog_bytes key;     /* only events of this key: one stream; null: of any */
    struct evlog_bytes prefix;  /* only events whose key begins so; null: of any, and those without */
    const char *const *types;   /* [type_count] only events whose header ce_type is one of these; at most 64 */
    size_t type_count;          /* 0: of any type */
    const char *const *filters; /* [filter_count] only events that one of these patterns takes; at most 5 */
    size_t filter_count;        /* 0: any event */
    const char *position; /* a word of evlog_subscription_position(), or, of a topic with one partition or with key,
                                 * that of an append (then what comes behind it); NULL: see start */
    enum evlog_subscription_start start;
    int64_t start_ns; /* since 1970 */
    enum evlog_subscription_on_missing on_missing;
    int64_t behind_max; /* events that it may be behind, once it has caught up, before it has fallen behind */
    int progress_ms;    /* without an event for so long, EVLOG_SUBSCRIPTION_POSITION tells that it has come further */
};
#define EVLOG_SUBSCRIPTION_OPTIONS_INIT                                                                                \
    {                                                                                                                  \
        .size = sizeof(struct evlog_subscription_options), .behind_max = 10000, .progress_ms = 5000                    \
    }

enum evlog_subscription_kind {
    EVLOG_SUBSCRIPTION_EVENT,
    EVLOG_SUBSCRIPTION_POSITION,    /* nothing matched, but the position has moved: worth being kept */
    EVLOG_SUBSCRIPTION_CAUGHT_UP,   /* all that was stored has been given out; what follows is new */
    EVLOG_SUBSCRIPTION_FELL_BEHIND, /* it had caught up, and is more than behind_max events behind now */
    EVLOG_SUBSCRIPTION_MISSING,     /* events are gone that were not read */
};

/* What comes next. The library makes it; fields are only ever added at the end. */
struct evlog_subscription_item {
    enum evlog_subscription_kind kind;
    const struct evlog_stream_event *event; /* EVENT. Its version is known when one stream of a topic with
                                             * evlog.streams=true is read and key is the whole filter, else -1 */
    int64_t behind;                         /* FELL_BEHIND: events of the log that are left, matching or not */
    int32_t partition;                      /* MISSING: offsets from from_offset on, up to to_offset, which is there */
    int64_t from_offset, to_offset;
};

/* Begin. Blocks until the topic is known. A filter or a position that cannot be right is refused here.
 *
 * options       borrowed for the call
 * subscription  written on success; close with evlog_subscription_close()
 * returns       0 | EVLOG_ERR_ARGUMENT, EVLOG_ERR_LIMIT caller | EVLOG_ERR_MALFORMED, EVLOG_ERR_FORMAT no position, or
 *               no pattern | EVLOG_ERR_CONFLICT the position is not of this log: the topic was made anew under its
 *               name, or the log ends before it | EVLOG_ERR_OFFSET_RANGE events at the position are gone (FAIL) |
 *               EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int evlog_subscription_open(struct evlog_client *client, const struct evlog_subscription_options *options,
                            struct evlog_subscription **subscription, struct evlog_failure *failure);

/* The next item.
 *
 * timeout_ms  how long to wait; -1: until there is one
 * item        written when 1 is returned; valid until the next call with this subscription
 * returns     1 | 0 nothing within the time | EVLOG_ERR_OFFSET_RANGE events are gone (FAIL) | EVLOG_ERR_UNKNOWN_TOPIC,
 *             EVLOG_ERR_UNKNOWN_TOPIC_ID the topic is deleted | EVLOG_ERR_UNREACHABLE after request.timeout.ms of
 *             trying | EVLOG_ERR_CORRUPT | EVLOG_ERR_NO_MEMORY. After a failure the next call tries again from the
 *             same place
 */
int evlog_subscription_next(struct evlog_subscription *subscription, int timeout_ms,
                            const struct evlog_subscription_item **item, struct evlog_failure *failure);

/* Where it stands: behind the item given out last. A printable word, to be kept and passed on as it is; valid until the
 * next call with this subscription. NULL: no memory. Does not block. */
const char *evlog_subscription_position(struct evlog_subscription *subscription);

/* True when all that was in the log, as far as known, has been given out. */
bool evlog_subscription_is_caught_up(const struct evlog_subscription *subscription);

/* Events that were left out because no pattern could be tried: the payload is neither JSON nor CBOR, or it would take
 * too long. */
void evlog_subscription_left_out(const struct evlog_subscription *subscription, uint64_t *unparsable_count,
                                 uint64_t *too_long_count);

void evlog_subscription_close(struct evlog_subscription *subscription); /* NULL is allowed */

enum evlog_position_order {
    EVLOG_POSITION_EQUAL,
    EVLOG_POSITION_BEFORE, /* a is before b */
    EVLOG_POSITION_AFTER,
    EVLOG_POSITION_APART, /* of several partitions: each is further somewhere */
};
/* Compare two positions, of subscriptions or appends, in the partitions that both know of: a subscription whose
 * position is not before that of an append has given its events out. Does not block.
 *
 * returns  0 and *order | EVLOG_ERR_MALFORMED one is no position | EVLOG_ERR_FORMAT one is of a newer version |
 *          EVLOG_ERR_ARGUMENT they are of different topics, or of different partitions | EVLOG_ERR_NO_MEMORY
 */
int evlog_position_compare(const char *a, const char *b, enum evlog_position_order *order);

#ifdef __cplusplus
}
#endif
#endif
