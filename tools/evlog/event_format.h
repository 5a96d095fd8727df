/* SPDX-License-Identifier: Apache-2.0
 *
 * The language of -f: how consume prints an event, and how produce reads a line. Pure functions.
 *
 *     %t topic   %p partition   %o offset     %k key       %v value     %K key's length   %V value's length
 *     %d time    %T time in ms  %a append time             %h headers as name=value,...   %e leader epoch
 *     %%  a percent sign        \n \t \r \0 \\ \xHH  bytes
 */
#ifndef EVLOG_TOOLS_EVENT_FORMAT_H
#define EVLOG_TOOLS_EVENT_FORMAT_H

#include <core/buffer.h>
#include <core/err.h>
#include <evlog/event.h>

#define EVENT_FORMAT_ITEM_MAX 128

struct event_format_item {
    char verb;       /* 0: the bytes of text */
    size_t text_pos; /* in format->text */
    size_t text_len;
};

struct event_format {
    struct event_format_item items[EVENT_FORMAT_ITEM_MAX];
    size_t item_count;
    char text[1024]; /* literal bytes, escapes undone */
    size_t text_len;
};

/* Read a format. returns 0 | EVLOG_ERR_ARGUMENT with what is wrong */
int event_format_parse(const char *source, struct event_format *format, struct el_error *err);
/* Append an event as the format says; nulls are empty. */
void event_format_print(const struct event_format *format, const struct evlog_event *event, struct el_buffer *out);

/* What a line gave; slices point into the line. */
struct event_format_line {
    struct el_slice key;   /* data NULL: the format has no %k */
    struct el_slice value; /* data NULL: the format has no %v */
    struct el_slice time;  /* %d or %T, data NULL: none */
    bool time_is_ms;
    struct el_slice partition;
};
/* Take a line apart: every verb reaches to the next literal text, the last one to the end.
 *
 * returns  0 | EVLOG_ERR_MALFORMED the line does not have the literal text | EVLOG_ERR_UNSUPPORTED a verb that cannot
 *          be read, or two verbs with nothing between them
 */
int event_format_read(const struct event_format *format, struct el_slice line, struct event_format_line *out);

#endif
