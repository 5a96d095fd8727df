/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_event.h"

#include <core/alloc.h>

static int show_headers(struct el_shown_event *shown, const struct el_msg_ext_stream_read_event *event)
{
    if (event->header_count > shown->header_room) {
        struct evlog_header *grown = el_realloc(shown->headers, event->header_count * sizeof *grown);
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        shown->headers = grown;
        shown->header_room = event->header_count;
    }
    for (uint32_t i = 0; i < event->header_count; i++) {
        const struct el_msg_ext_stream_read_header *header = &event->headers[i];
        shown->headers[i] = (struct evlog_header){
            {header->name.data, header->name.len},
            {header->value.data, header->value.len},
        };
    }
    return 0;
}

static void drop_view(struct el_shown_event *shown)
{
    if (shown->has_view) {
        evlog_event_view_free(&shown->view);
        shown->has_view = false;
    }
}

int el_show_event(struct el_shown_event *shown, const struct el_shown_from *from,
                  const struct el_msg_ext_stream_read_event *event)
{
    drop_view(shown);
    if (show_headers(shown, event) != 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    shown->event = (struct evlog_event){
        .topic = from->topic,
        .partition = from->partition,
        .leader_epoch = event->leader_epoch,
        .offset = event->offset,
        .timestamp_ms = event->time_ms,
        .append_time_ns = event->append_time_ns > INT64_MAX ? -1 : (int64_t)event->append_time_ns,
        .key = from->key.data != NULL ? from->key : (struct evlog_bytes){event->key.data, event->key.len},
        .value = {event->value.data, event->value.len},
        .headers = shown->headers,
        .header_count = event->header_count,
    };
    shown->view = (struct evlog_event_view){.size = sizeof shown->view};
    if (evlog_event_view(&shown->event, &shown->view) != 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    shown->has_view = true;
    shown->out = (struct evlog_stream_event){
        .event = &shown->event,
        .version = event->version,
        .type = shown->view.type,
        .id = shown->view.id,
        .data = shown->view.data,
    };
    return 0;
}

void el_show_none(struct el_shown_event *shown)
{
    drop_view(shown);
    el_free(shown->headers);
    *shown = (struct el_shown_event){0};
}
