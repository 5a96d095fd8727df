/* SPDX-License-Identifier: Apache-2.0
 *
 * Why an append to streams was refused, in the words of the answer: which streams are not as expected, what they are
 * at, and of what type and time their last events are, which are read for it.
 */
#ifndef EL_API_STREAM_CONFLICTS_H
#define EL_API_STREAM_CONFLICTS_H

#include <api/stream_events.h>
#include <api/stream_write.h>
#include <wire/msg_ext_stream_append.h>

struct stream_conflicts {
    struct stream_write *append;                        /* that was refused */
    int error;                                          /* what it ended with */
    void (*finish)(struct stream_conflicts *conflicts); /* once, perhaps from inside stream_conflicts_start() */
    /* Which of the request's appends, and which of its events, a record is. */
    void (*locate)(const struct stream_conflicts *conflicts, uint32_t record, int32_t *index, int32_t *event);
    /* out, in the request's arena */
    struct el_msg_ext_stream_append_conflict *list; /* [count]; EL_EMPTY without memory */
    uint32_t count;
    struct el_slice message; /* what to do, for people */
    /* private */
    struct stream_events events;
};

/* Is this an error that has conflicts? */
bool stream_conflicts_has(int error);
void stream_conflicts_start(struct stream_conflicts *conflicts);

#endif
