/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading topics as a member of a consumer group: the members share the partitions among themselves, and the group's
 * committed offsets say where reading goes on. At least once: what was not committed is read again, by this member or
 * another.
 *
 *     while (evlog_subscriber_next(subscriber, 1000, &event, &failure) >= 0) {
 *         ... process event: asking for the next one says that it is done
 *     }
 *
 * Thread safety: one thread at a time per subscriber; different subscribers are independent. The client's own thread
 * keeps the membership alive between calls, for at most max.poll.interval.ms. Callbacks run only inside
 * evlog_subscriber_next(), evlog_subscriber_poll() and evlog_subscriber_close(), on the caller's thread; they may call
 * everything of the subscriber but these three (EVLOG_ERR_ARGUMENT). Works with evlog and Apache Kafka, and in one
 * group with their other clients. Since 1.0.
 */
#ifndef EVLOG_SUBSCRIBER_H
#define EVLOG_SUBSCRIBER_H

#include <evlog/client.h>
#include <evlog/event.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evlog_subscriber;

/* A partition and an offset in it. */
struct evlog_partition_offset {
    const char *topic;
    int32_t partition;
    int32_t leader_epoch; /* of the event before the offset, -1 unknown */
    int64_t offset;       /* of the next event to be read; -1 none */
};

enum evlog_rebalance {
    EVLOG_PARTITIONS_ASSIGNED, /* to be read from now on; offset is where reading begins, a seek may change it */
    EVLOG_PARTITIONS_REVOKED,  /* about to go to another member: the last moment to commit */
    EVLOG_PARTITIONS_LOST,     /* gone already: a commit would be refused */
};

/* The group has given or taken partitions.
 *
 * partitions  [count], borrowed for the call; offset is the position
 */
typedef void (*evlog_rebalance_fn)(void *arg, struct evlog_subscriber *subscriber, enum evlog_rebalance what,
                                   const struct evlog_partition_offset *partitions, size_t count);

/* The end of an asynchronous commit, or of an automatic one that failed.
 *
 * offsets  [count] what was to be committed, borrowed for the call; NULL for what was committed before partitions went
 * failure  NULL when all of it was
 */
typedef void (*evlog_commit_fn)(void *arg, const struct evlog_partition_offset *offsets, size_t count,
                                const struct evlog_failure *failure);

struct evlog_subscriber_options {
    size_t size;               /* sizeof(struct evlog_subscriber_options) */
    const char *group;         /* NULL: the setting group.id */
    const char *const *topics; /* [topic_count]; a name that ends in * stands for all topics that begin so */
    size_t topic_count;
    evlog_rebalance_fn on_rebalance; /* NULL: nobody wants to know */
    evlog_commit_fn on_commit;       /* told of automatic commits that failed; NULL */
    void *arg;                       /* of both */
};
#define EVLOG_SUBSCRIBER_OPTIONS_INIT                                                                                  \
    {                                                                                                                  \
        .size = sizeof(struct evlog_subscriber_options)                                                                \
    }

/* Make a subscriber and begin to join its group. Does not wait for the group.
 *
 * subscriber  written on success; close with evlog_subscriber_close() before the client
 * returns     0 | EVLOG_ERR_ARGUMENT no group, no topic | EVLOG_ERR_INVALID_TOPIC | EVLOG_ERR_NO_MEMORY
 */
int evlog_subscriber_open(struct evlog_client *client, const struct evlog_subscriber_options *options,
                          struct evlog_subscriber **subscriber, struct evlog_failure *failure);

/* The next event of the partitions that this member holds. Blocks; while partitions change hands, for at most
 * request.timeout.ms longer than asked for. With enable.auto.offset.store the event given before counts as processed.
 *
 * timeout_ms  how long to wait; -1: until there is one
 * event       written when 1 is returned; valid until the next call of this function
 * returns     1 an event | 0 none within the time | EVLOG_ERR_FENCED_INSTANCE another program has taken this
 *             group.instance.id over | EVLOG_ERR_GROUP_PROTOCOL, EVLOG_ERR_GROUP_FULL, EVLOG_ERR_INVALID_GROUP,
 *             EVLOG_ERR_SESSION_TIMEOUT the group does not take this member: told again by every call |
 *             EVLOG_ERR_POLL_INTERVAL partitions were lost because the last call is too long ago; told once, the next
 *             call joins again | EVLOG_ERR_NO_OFFSET nowhere to begin, see auto.offset.reset | EVLOG_ERR_UNREACHABLE |
 *             EVLOG_ERR_CORRUPT, EVLOG_ERR_INVALID_RECORD a batch does not pass its checks | EVLOG_ERR_NO_MEMORY
 */
int evlog_subscriber_next(struct evlog_subscriber *subscriber, int timeout_ms, const struct evlog_event **event,
                          struct evlog_failure *failure);

/* Run the callbacks that are due, and say that the reader lives (max.poll.interval.ms). Blocks only while partitions
 * change hands. For programs that are busy with one event for long, or hold all partitions paused.
 *
 * returns  callbacks run, 0 or more | negative as evlog_subscriber_next()
 */
int evlog_subscriber_poll(struct evlog_subscriber *subscriber, struct evlog_failure *failure);

/* The partitions that are held now, with their positions.
 *
 * partitions  [room], by topic and partition; topics are valid until partitions change hands
 * returns     how many are held, which may be more than room
 */
size_t evlog_subscriber_assignment(const struct evlog_subscriber *subscriber, struct evlog_partition_offset *partitions,
                                   size_t room);

/* Offset of the event that next() would give for a partition; -1 when it is not held. */
int64_t evlog_subscriber_position(const struct evlog_subscriber *subscriber, const char *topic, int32_t partition);

/* --- offsets ----------------------------------------------------------------------------------------------------- */

/* Say that an event is processed, so that the next commit covers it and all before it in its partition. With
 * enable.auto.offset.store=false nothing else does.
 *
 * returns  0 | EVLOG_ERR_ARGUMENT the partition is not held any more
 */
int evlog_subscriber_store(struct evlog_subscriber *subscriber, const struct evlog_event *event);

/* Commit and wait. Blocks for at most request.timeout.ms.
 *
 * offsets  [count] to be committed; NULL: of every partition held what is processed, the event given last included
 *          (with enable.auto.offset.store=false: what was stored)
 * returns  0 | EVLOG_ERR_GENERATION, EVLOG_ERR_UNKNOWN_MEMBER the group has gone on without this member: what was not
 *          committed will be read again | EVLOG_ERR_REBALANCE call next() or poll(), then commit again |
 *          EVLOG_ERR_FENCED_INSTANCE | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_METADATA_TOO_LARGE | EVLOG_ERR_UNREACHABLE |
 *          EVLOG_ERR_TIMED_OUT
 */
int evlog_subscriber_commit(struct evlog_subscriber *subscriber, const struct evlog_partition_offset *offsets,
                            size_t count, struct evlog_failure *failure);

/* Commit without waiting; not tried again when it fails.
 *
 * offsets  as evlog_subscriber_commit(); copied
 * fn       called once inside next(), poll() or close(); NULL: nobody wants to know
 * returns  0 | EVLOG_ERR_NO_MEMORY; fn is not called when it is not 0
 */
int evlog_subscriber_commit_async(struct evlog_subscriber *subscriber, const struct evlog_partition_offset *offsets,
                                  size_t count, evlog_commit_fn fn, void *arg, struct evlog_failure *failure);

/* Ask for the group's committed offsets. Blocks for at most request.timeout.ms.
 *
 * partitions  [count]; offset is written on success, -1 where there is none
 */
int evlog_subscriber_committed(struct evlog_subscriber *subscriber, struct evlog_partition_offset *partitions,
                               size_t count, struct evlog_failure *failure);

/* --- moving ------------------------------------------------------------------------------------------------------ */

/* Go on elsewhere. Nothing is committed by it. Blocks when the place has to be asked for.
 *
 * offset   an offset, EVLOG_OFFSET_EARLIEST or EVLOG_OFFSET_LATEST
 * returns  0 | EVLOG_ERR_ARGUMENT the partition is not held | what asking for the offset returns
 */
int evlog_subscriber_seek(struct evlog_subscriber *subscriber, const char *topic, int32_t partition, int64_t offset,
                          struct evlog_failure *failure);

/* Go on at the first event whose time is time_ms or later, at the end when there is none. */
int evlog_subscriber_seek_time(struct evlog_subscriber *subscriber, const char *topic, int32_t partition,
                               int64_t time_ms, struct evlog_failure *failure);

/* Give no events of a partition until it is resumed; it stays held. A pause ends when the partition changes hands.
 *
 * returns  0 | EVLOG_ERR_ARGUMENT the partition is not held
 */
int evlog_subscriber_pause(struct evlog_subscriber *subscriber, const char *topic, int32_t partition);
int evlog_subscriber_resume(struct evlog_subscriber *subscriber, const char *topic, int32_t partition);

/* --- membership -------------------------------------------------------------------------------------------------- */

struct evlog_membership {
    size_t size;         /* sizeof(struct evlog_membership), set by the caller */
    const char *state;   /* such as "stable"; static storage */
    int32_t generation;  /* -1: none */
    bool is_leader;      /* divides the partitions */
    char member_id[256]; /* empty: none; cut when longer */
};
void evlog_subscriber_membership(struct evlog_subscriber *subscriber, struct evlog_membership *membership);

/* Close: with enable.auto.commit commit what is processed (the event given last only if it was stored or committed:
 * nobody has said that it is done), then leave the group; a static member stays in it for its session. Callbacks run
 * inside this call. Blocks for at most timeout_ms. NULL is allowed.
 *
 * timeout_ms  -1: request.timeout.ms
 * returns     0 | what the commit returned; the subscriber is closed in any case
 */
int evlog_subscriber_close(struct evlog_subscriber *subscriber, int timeout_ms, struct evlog_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
