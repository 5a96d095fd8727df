/* SPDX-License-Identifier: Apache-2.0
 *
 * The language of -f. A format is taken apart once into literal texts and verbs; printing and reading walk the items.
 */
#include "event_format.h"

#include <core/timefmt.h>
#include <evlog/error.h>
#include <string.h>

static const char verbs[] = "tpokvKVdTahe";

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte behind a backslash; *p is moved behind it. -1: no such escape */
static int escape(const char **p)
{
    char c = *(*p)++;
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case '0':
        return 0;
    case '\\':
        return '\\';
    case 'x':
        break;
    default:
        return -1;
    }
    int high = hex_value((*p)[0]);
    int low = high < 0 ? -1 : hex_value((*p)[1]);
    if (low < 0) {
        return -1;
    }
    *p += 2;
    return high << 4 | low;
}

/* Room for one more literal byte, in the item that is open or a new one. */
static int add_byte(struct event_format *format, char c)
{
    bool open = format->item_count > 0 && format->items[format->item_count - 1].verb == 0;
    if (format->text_len == sizeof format->text || (!open && format->item_count == EVENT_FORMAT_ITEM_MAX)) {
        return EVLOG_ERR_ARGUMENT;
    }
    if (!open) {
        format->items[format->item_count++] = (struct event_format_item){0, format->text_len, 0};
    }
    format->items[format->item_count - 1].text_len++;
    format->text[format->text_len++] = c;
    return 0;
}

static int add_verb(struct event_format *format, char verb)
{
    if (format->item_count == EVENT_FORMAT_ITEM_MAX) {
        return EVLOG_ERR_ARGUMENT;
    }
    format->items[format->item_count++] = (struct event_format_item){verb, 0, 0};
    return 0;
}

int event_format_parse(const char *source, struct event_format *format, struct el_error *err)
{
    memset(format, 0, sizeof *format);
    for (const char *p = source; *p != '\0';) {
        int rc;
        char c = *p++;
        if (c == '\\' && *p != '\0') {
            const char *at = p;
            int byte = escape(&p);
            if (byte < 0) {
                return el_error_set(err, EVLOG_ERR_ARGUMENT, "\\%c is no escape: \\n \\t \\r \\0 \\\\ \\xHH are", *at);
            }
            rc = add_byte(format, (char)byte);
        } else if (c == '%' && *p == '%') {
            rc = add_byte(format, *p++);
        } else if (c == '%') {
            if (*p == '\0' || strchr(verbs, *p) == NULL) {
                return el_error_set(err, EVLOG_ERR_ARGUMENT,
                                    "%%%c is no verb: %%t %%p %%o %%k %%v %%K %%V %%d %%T %%a %%h %%e %%%% are",
                                    *p == '\0' ? ' ' : *p);
            }
            rc = add_verb(format, *p++);
        } else {
            rc = add_byte(format, c);
        }
        if (rc != 0) {
            return el_error_set(err, rc, "the format is too long");
        }
    }
    return 0;
}

/* --- printing --------------------------------------------------------------------------------------------------- */

static void print_time(struct el_buffer *out, int64_t ns, int digits)
{
    char text[40];
    if (ns >= 0) {
        el_time_format(text, ns, digits);
        el_buffer_append_str(out, text);
    }
}

static void print_headers(struct el_buffer *out, const struct evlog_event *event)
{
    for (size_t i = 0; i < event->header_count; i++) {
        if (i > 0) {
            el_buffer_append_char(out, ',');
        }
        el_buffer_append(out, event->headers[i].key.data, event->headers[i].key.len);
        el_buffer_append_char(out, '=');
        el_buffer_append(out, event->headers[i].value.data, event->headers[i].value.len);
    }
}

static void print_verb(char verb, const struct evlog_event *event, struct el_buffer *out)
{
    switch (verb) {
    case 't':
        el_buffer_append_str(out, event->topic);
        break;
    case 'p':
        el_buffer_printf(out, "%d", event->partition);
        break;
    case 'o':
        el_buffer_printf(out, "%lld", (long long)event->offset);
        break;
    case 'k':
        el_buffer_append(out, event->key.data, event->key.len);
        break;
    case 'v':
        el_buffer_append(out, event->value.data, event->value.len);
        break;
    case 'K':
        el_buffer_printf(out, "%lld", event->key.data == NULL ? -1ll : (long long)event->key.len);
        break;
    case 'V':
        el_buffer_printf(out, "%lld", event->value.data == NULL ? -1ll : (long long)event->value.len);
        break;
    case 'd':
        print_time(out,
                   event->timestamp_ms < 0 || event->timestamp_ms > INT64_MAX / 1000000 ? -1
                                                                                        : event->timestamp_ms * 1000000,
                   3);
        break;
    case 'T':
        el_buffer_printf(out, "%lld", (long long)event->timestamp_ms);
        break;
    case 'a':
        print_time(out, event->append_time_ns, 9);
        break;
    case 'h':
        print_headers(out, event);
        break;
    case 'e':
        el_buffer_printf(out, "%d", event->leader_epoch);
        break;
    default:
        break;
    }
}

void event_format_print(const struct event_format *format, const struct evlog_event *event, struct el_buffer *out)
{
    for (size_t i = 0; i < format->item_count; i++) {
        const struct event_format_item *item = &format->items[i];
        if (item->verb == 0) {
            el_buffer_append(out, format->text + item->text_pos, item->text_len);
        } else {
            print_verb(item->verb, event, out);
        }
    }
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static int store(struct event_format_line *out, char verb, struct el_slice text)
{
    switch (verb) {
    case 'k':
        out->key = text;
        return 0;
    case 'v':
        out->value = text;
        return 0;
    case 'd':
    case 'T':
        out->time = text;
        out->time_is_ms = verb == 'T';
        return 0;
    case 'p':
        out->partition = text;
        return 0;
    default:
        return EVLOG_ERR_UNSUPPORTED;
    }
}

int event_format_read(const struct event_format *format, struct el_slice line, struct event_format_line *out)
{
    const uint8_t *p = line.data, *end = line.data + line.len;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < format->item_count; i++) {
        const struct event_format_item *item = &format->items[i];
        const struct event_format_item *next = i + 1 < format->item_count ? &format->items[i + 1] : NULL;
        if (item->verb == 0) {
            if ((size_t)(end - p) < item->text_len || memcmp(p, format->text + item->text_pos, item->text_len) != 0) {
                return EVLOG_ERR_MALFORMED;
            }
            p += item->text_len;
            continue;
        }
        const uint8_t *stop = end;
        if (next != NULL && next->verb != 0) {
            return EVLOG_ERR_UNSUPPORTED;
        }
        if (next != NULL) {
            stop = memmem(p, (size_t)(end - p), format->text + next->text_pos, next->text_len);
            if (stop == NULL) {
                return EVLOG_ERR_MALFORMED;
            }
        }
        int rc = store(out, item->verb, el_slice_of(p, (size_t)(stop - p)));
        if (rc != 0) {
            return rc;
        }
        p = stop;
    }
    return p == end ? 0 : EVLOG_ERR_MALFORMED;
}
