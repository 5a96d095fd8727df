/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream index of two arrays: where the events of the one stream are, and the names of all. Whatever is asked for is
 * that stream; a test looks at what was asked.
 */
#ifndef EL_TEST_API_FAKE_STREAMS_H
#define EL_TEST_API_FAKE_STREAMS_H

#include "fake.h"

#define FAKE_EVENTS_MAX 8192

struct fake_streams {
    int64_t offsets[FAKE_EVENTS_MAX]; /* by version; of a type: in order */
    uint32_t count;
    int64_t first_version;
    bool deleted, ended;
    int64_t tombs[4]; /* versions of tombstones, rising: what raw questions for stream_hash_deleted() find */
    uint32_t tomb_count;
    struct el_hash128 key_hash; /* of the last question that was not raw */
    int error;                  /* what questions end with */
    struct stream_name *names;  /* [name_count] rising */
    uint32_t name_count;
    uint32_t find_count;
    uint32_t release_count;
    bool defer; /* questions wait until fake_streams_run() */
    struct store_op *waiting[4];
    uint32_t waiting_count;
    /* of the last question */
    struct el_hash128 hash;
    bool of_type;
    int32_t partition;
    struct el_slice prefix, after;
    bool with_deleted;
    uint8_t *log; /* what fake_log_add() has made */
    size_t log_room;
};
extern struct fake_streams fake_streams;

struct streams *fake_streams_begin(void);
void fake_streams_end(void);
/* The oldest question that waits is answered. */
void fake_streams_run(void);

/* --- a topic with streams and its log ----------------------------------------------------------------------------- */

/* Give a topic evlog.streams=true and, when it is not NULL, this partitioner. */
void fake_topic_streams(struct topic *topic, const char *partitioner);
/* One record for fake_log_add(). */
struct fake_record {
    const char *key, *id, *type, *value; /* NULL none */
    const char *header, *header_value;   /* one more header; NULL none */
    int64_t time_ms;
};
/* Add a batch of these records to partition 0's log; returns its base offset. */
int64_t fake_log_add(const struct fake_record *records, uint32_t count, enum el_codec codec);
/* The same with values of so many bytes. */
int64_t fake_log_add_large(const char *key, uint32_t count, size_t value_len, enum el_codec codec);

#endif
