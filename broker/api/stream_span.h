/* SPDX-License-Identifier: Apache-2.0
 *
 * Which versions of a stream a reader may see, and where its events are: the state of the stream, cut at an append time
 * and at the topic's maximum age when they are asked for. In the way of StreamRead.
 */
#ifndef EL_API_STREAM_SPAN_H
#define EL_API_STREAM_SPAN_H

#include <api/stream_target.h>

struct stream_span {
    /* set by the caller, all else zero */
    struct api *api;
    const struct stream_target *target;
    int32_t partition;
    struct el_slice key;
    uint64_t as_of_ns; /* 0: now */
    bool backward;
    int64_t from, to; /* versions, in the direction of reading; -1 open */
    uint32_t count_max;
    void (*finish)(struct stream_span *span, int error); /* once, perhaps from inside stream_span_start() */
    /* out */
    int64_t first_version; /* first one that can be seen */
    int64_t last_version;  /* last one that can be seen, -1 none */
    int64_t last_offset;   /* of it, -1 none */
    int64_t start, stop;   /* what was asked for of these, inclusive, in the direction of reading: may be nothing */
    bool deleted, ended;
    int64_t end_offset;
    struct stream_find_op find; /* find.places[first .. first + count) are within start .. stop */
    uint32_t first, count;

    /* private */
    struct cut_op cut;
    struct cut_result cut_result;
    bool cut_off; /* the stream went on after the time asked for: all questions are raw */
    struct lookup_op age;
    int64_t offset_below;      /* only events below it */
    int64_t offset_from;       /* only events from it on */
    int64_t low, high, sought; /* of a search among versions */
    int64_t low_offset;        /* of the last event found below what is sought, -1 none */
    int64_t probe;             /* version asked for */
    int error;
    bool waiting, looping, held; /* held: find has an answer that is to be given back */
    uint8_t stage;               /* what comes next */
    struct stream_find_op probe_find;
};

void stream_span_start(struct stream_span *span);
/* Give the places back; once, after finish. */
void stream_span_release(struct stream_span *span);

/* Is there anything from start to stop? */
static inline bool stream_span_empty(const struct stream_span *span)
{
    return span->backward ? span->start < span->stop : span->start > span->stop;
}

#endif
