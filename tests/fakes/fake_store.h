/* SPDX-License-Identifier: Apache-2.0
 *
 * Two shards over a storage of a few arrays, for layers above storage. The symbols of store.h that groups and work
 * groups use are defined in fake_store.c: a test decides when a write is durable, what time it is, and what a restart
 * finds. Programs that link it have no real storage.
 */
#ifndef EL_TEST_FAKE_STORE_H
#define EL_TEST_FAKE_STORE_H

#include <storage/store.h>
#include <test.h>

#define FAKE_SHARDS 2
#define FAKE_PARTITIONS_MAX 64 /* of one topic; those with even numbers are shard 0's */
#define FAKE_BATCHES_MAX 2048
#define FAKE_TOPICS_MAX 16
#define FAKE_OPS_MAX 64

struct store_shard {
    uint32_t index;
    struct io io;
    struct el_buddy buddy;
    struct metrics *metrics;
};

struct fake_batch {
    uint8_t *data;
    uint32_t len;
    struct el_uuid topic_id;
    int32_t partition;
    bool durable;
};

struct fake_store {
    struct store_shard shards[FAKE_SHARDS];
    struct el_clock clock;
    struct topic topics[FAKE_TOPICS_MAX]; /* a deleted one has no name */
    int64_t next_offset[FAKE_TOPICS_MAX][FAKE_PARTITIONS_MAX];
    uint32_t topic_count;
    struct fake_batch batches[FAKE_BATCHES_MAX];
    uint32_t batch_count;
    struct io_op *jobs[FAKE_OPS_MAX];
    uint32_t job_count;
    bool defer; /* writes wait for fake_store_durable() */
    struct append_op *appends[FAKE_OPS_MAX];
    uint32_t append_count;
    int append_error;                          /* what writes end with */
    int (*refuse)(const struct append_op *op); /* an append is refused with that, and nothing stored; NULL none is */
    const struct topic *held;                  /* writes to it do not end before it is NULL */
    const struct topic *trimmed;               /* its partitions begin at log_start */
    int64_t log_start;
    const struct topic *unread; /* reads of one of its partitions fail for now */
    int32_t unread_partition;
    int read_error;
    int change_error;
    struct watch_op *watches[FAKE_OPS_MAX]; /* under way */
    uint32_t watch_count;
    int64_t producer_id; /* the last one given */
    uint64_t now_ms;     /* since the start */
    uint64_t random;
};

extern struct fake_store *fake_store;

void fake_store_begin(struct fake_store *fs);
/* Everything above it has been freed. */
void fake_store_end(struct fake_store *fs);
/* The process has ended: what is not durable is gone. */
void fake_store_forget(struct fake_store *fs);
struct topic *fake_topic(struct fake_store *fs, const char *name, int32_t partitions);
void fake_topic_grow(struct topic *topic, int32_t partitions);
void fake_topic_delete(struct fake_store *fs, const char *name);
/* Let messages and timers that are due run. */
void fake_store_run(struct fake_store *fs);
void fake_store_ms(struct fake_store *fs, uint64_t ms);
/* The oldest deferred write that is not held ends, with append_error. */
void fake_store_durable(struct fake_store *fs);
/* The sum over the shards. */
int64_t fake_store_metric(const struct fake_store *fs, enum metric_id id);

#endif
