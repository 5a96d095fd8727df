/* SPDX-License-Identifier: Apache-2.0
 *
 * One batch for streams of one partition, appended with expected versions: for StreamAppend and StreamDelete. The
 * caller says how large it can get, adds its events, and submits; the answer is finish(), at the latest at the
 * deadline.
 */
#ifndef EL_API_STREAM_WRITE_H
#define EL_API_STREAM_WRITE_H

#include <api/stream_target.h>

struct stream_write;
typedef void (*stream_write_fn)(struct stream_write *append, int error);

struct stream_write {
    struct api *api;
    struct request *request;
    struct stream_target target;
    int32_t partition;
    stream_write_fn finish;    /* once: 0, an error of store_append(), or EVLOG_ERR_TIMED_OUT while it goes on */
    struct append_op op;       /* out: what storage answers */
    struct stream_batch batch; /* out: versions, offsets and conflicts */
    struct el_slice message;   /* out: text that says more than the error, data NULL none */

    /* private */
    struct el_batch_builder builder;
    struct io_timer deadline;
    uint32_t record_max, check_max;
    uint32_t batch_len_max; /* the topic's max.message.bytes */
    int64_t before_ms, after_ms;
    int64_t now_ms;
    bool answered;
};

/* One event. */
struct stream_write_event {
    struct el_slice key;
    struct el_slice id;   /* data NULL none */
    struct el_slice type; /* data NULL none */
    struct el_slice value;
    const struct el_header *headers; /* [header_count] */
    size_t header_count;
    int64_t time_ms;  /* -1: now */
    int64_t expected; /* STREAM_ANY: no check */
    uint8_t flags;    /* STREAM_RECORD_SOFT, _HARD or 0 */
};

/* Memory for record_max events of `bytes` in all, and check_max checks; sizes of what the request holds.
 *
 * returns 0 | EVLOG_ERR_TOO_LARGE | EVLOG_ERR_NO_MEMORY
 */
int stream_write_begin(struct stream_write *append, uint32_t record_max, size_t bytes, uint32_t check_max);
/* Slices are borrowed until the request ends; headers only for the call. returns 0 | EVLOG_ERR_TOO_LARGE */
int stream_write_add(struct stream_write *append, const struct stream_write_event *event);
void stream_write_check(struct stream_write *append, struct el_slice key, int64_t expected);
/* timeout_ms: 0 and below 30 s. finish may be called from inside. */
void stream_write_submit(struct stream_write *append, int32_t timeout_ms);

#endif
