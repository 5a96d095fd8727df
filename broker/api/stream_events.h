/* SPDX-License-Identifier: Apache-2.0
 *
 * Events whose offsets are known, read from one partition into the arena of a request: for StreamRead and TypeRead, and
 * for what a conflict tells of a stream's last event.
 *
 * Batches are read one after the other, several at once where the events wanted lie close together; what is wanted of
 * a batch is copied and the batch given back. Large batches are decompressed by a worker. A shard does some of this in
 * one go and then lets others run.
 */
#ifndef EL_API_STREAM_EVENTS_H
#define EL_API_STREAM_EVENTS_H

#include <api/api.h>
#include <stream/streams.h>
#include <wire/msg_ext_stream_read.h>

#define STREAM_EVENTS_WANTED_MAX 64u

struct stream_events {
    /* set by the caller, all else zero */
    struct api *api;
    struct request *request;
    struct el_uuid topic_id;
    int32_t partition;
    const struct stream_place *places; /* [place_count] in the order of the answer */
    uint32_t place_count;
    struct el_slice key;  /* only events of this key, compared by their bytes; data NULL: of any, and it is told */
    struct el_slice type; /* only events of this type; data NULL: of any */
    bool without_values;
    bool claims;       /* they are what the request is about: their memory is claimed first, see request_claim() */
    int64_t bytes_max; /* of the events, 0 or more; the first one is given whole. No more than the request's memory or
                          an answer to Fetch may hold */
    void (*finish)(struct stream_events *events, int error); /* once, perhaps from inside stream_events_start() */
    /* out, in the request's arena; places whose events are gone or are not what was asked for give none */
    struct el_msg_ext_stream_read_event *events; /* [event_count] */
    uint32_t event_count;
    uint32_t place_done; /* places dealt with; below place_count when bytes_max or the memory came first */

    /* private */
    size_t bytes_allowed; /* bytes_max, within what the request may take */
    size_t claimed;
    size_t bytes; /* of the events so far */
    struct read_op read;
    uint32_t entry;                           /* batch of the read that is looked at */
    uint32_t bytes_per_offset;                /* of the batch seen last */
    int64_t wanted[STREAM_EVENTS_WANTED_MAX]; /* offsets of the places that the read is for */
    uint32_t wanted_count;
    bool tried;                    /* what was read for the place at hand is here */
    struct stat_op stat;           /* where the log starts, after a read below it */
    struct el_batch_iter iter;     /* over the batch at hand */
    struct el_batch_record *found; /* [RUN_MAX] of a run of places */
    void *scratch;                 /* block of the budget for a worker */
    size_t scratch_len;
    struct io_op job;
    struct io_timer pause;
    uint32_t steps; /* since the last pause */
    int error;      /* what it ends with */
    bool waiting;   /* an op, a job or a pause is under way */
    bool looping;   /* events_go() is on the stack */
    bool ended;
};

void stream_events_start(struct stream_events *events);

#endif
