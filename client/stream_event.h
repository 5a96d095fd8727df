/* SPDX-License-Identifier: Apache-2.0
 *
 * From an event of StreamRead and TypeRead to one that a caller sees, one at a time, in memory that is used again.
 */
#ifndef EL_CLIENT_STREAM_EVENT_H
#define EL_CLIENT_STREAM_EVENT_H

#include <core/bytes.h>
#include <evlog/stream.h>
#include <wire/msg_ext_stream_read.h>

/* All zero is a good one. */
struct el_shown_event {
    struct evlog_stream_event out;
    struct evlog_event event;
    struct evlog_event_view view;
    bool has_view;
    struct evlog_header *headers; /* [header_room] */
    size_t header_room;
};

/* Where the event is from; all of it is borrowed as long as the event is shown, and so is the event on the wire. */
struct el_shown_from {
    const char *topic;
    int32_t partition;
    struct evlog_bytes key; /* of the stream; data NULL: the event says it */
};

/* Show an event in place of the one before. returns 0 | EVLOG_ERR_NO_MEMORY */
int el_show_event(struct el_shown_event *shown, const struct el_shown_from *from,
                  const struct el_msg_ext_stream_read_event *event);
/* Show none, and give all memory back. */
void el_show_none(struct el_shown_event *shown);

#endif
