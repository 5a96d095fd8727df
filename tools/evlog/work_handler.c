/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract between evlog work and a handler in any language.
 *
 * Environment: EVLOG_GROUP, EVLOG_TOPIC, EVLOG_PARTITION, EVLOG_OFFSET, EVLOG_KEY, EVLOG_TYPE, EVLOG_ID, EVLOG_ATTEMPT,
 * EVLOG_TIME, EVLOG_TOMBSTONE where the value is null, and TRACEPARENT where the event is in a trace. A
 * key, type or id that an environment cannot hold (a NUL byte, or more than VALUE_MAX bytes) is left out rather than
 * cut.
 */
#include "work_handler.h"

#include <core/alloc.h>
#include <core/timefmt.h>
#include <string.h>
#include <unistd.h>

#define VALUE_MAX 65536
#define OWN_COUNT 13

/* --- environment -------------------------------------------------------------------------------------------------- */

static const char *const own_names[] = {
    "EVLOG_GROUP", "EVLOG_TOPIC",   "EVLOG_PARTITION", "EVLOG_OFFSET",    "EVLOG_KEY",   "EVLOG_TYPE",
    "EVLOG_ID",    "EVLOG_ATTEMPT", "EVLOG_TIME",      "EVLOG_TOMBSTONE", "TRACEPARENT",
};

static bool is_own(const char *entry)
{
    for (size_t i = 0; i < sizeof own_names / sizeof own_names[0]; i++) {
        size_t len = strlen(own_names[i]);
        if (strncmp(entry, own_names[i], len) == 0 && entry[len] == '=') {
            return true;
        }
    }
    return false;
}

static void add_text(struct el_buffer *texts, const char *name, const char *value)
{
    el_buffer_printf(texts, "%s=%s", name, value);
    el_buffer_append_char(texts, '\0');
}

static void add_bytes(struct el_buffer *texts, const char *name, struct evlog_bytes value)
{
    if (value.data != NULL && value.len <= VALUE_MAX && memchr(value.data, 0, value.len) == NULL) {
        el_buffer_printf(texts, "%s=", name);
        el_buffer_append(texts, value.data, value.len);
        el_buffer_append_char(texts, '\0');
    }
}

static void add_event(struct el_buffer *texts, const struct evlog_event *event, int32_t attempt)
{
    struct evlog_event_view view = {.size = sizeof view};
    char text[48];
    add_text(texts, "EVLOG_TOPIC", event->topic);
    (void)snprintf(text, sizeof text, "%d", event->partition);
    add_text(texts, "EVLOG_PARTITION", text);
    (void)snprintf(text, sizeof text, "%lld", (long long)event->offset);
    add_text(texts, "EVLOG_OFFSET", text);
    (void)snprintf(text, sizeof text, "%d", attempt);
    add_text(texts, "EVLOG_ATTEMPT", text);
    add_bytes(texts, "EVLOG_KEY", event->key);
    if (cli_event_ns(event->timestamp_ms) >= 0) {
        el_time_format(text, cli_event_ns(event->timestamp_ms), 3);
        add_text(texts, "EVLOG_TIME", text);
    }
    if (event->value.data == NULL) {
        add_text(texts, "EVLOG_TOMBSTONE", "1");
    }
    if (evlog_event_view(event, &view) == 0) {
        add_bytes(texts, "EVLOG_TYPE", view.type);
        add_bytes(texts, "EVLOG_ID", view.id);
        evlog_event_view_free(&view);
    }
}

char **work_environment(const char *group, const struct evlog_lease *lease, int32_t attempt,
                        const struct evlog_trace_context *trace)
{
    char parent[EVLOG_TRACEPARENT_LEN + 1];
    struct el_buffer texts = {0};
    size_t count = 0, inherited = 0, pos = 0;
    add_text(&texts, "EVLOG_GROUP", group);
    if (lease != NULL) {
        add_event(&texts, lease->event, attempt);
    }
    if (trace != NULL) {
        evlog_traceparent_format(trace, parent);
        add_text(&texts, "TRACEPARENT", parent);
    }
    while (environ[inherited] != NULL) {
        inherited++;
    }
    char **block = texts.err != 0 ? NULL : el_malloc((inherited + OWN_COUNT + 1) * sizeof(char *) + texts.len);
    if (block != NULL) {
        char *own = (char *)(block + inherited + OWN_COUNT + 1);
        memcpy(own, texts.data, texts.len);
        for (size_t i = 0; i < inherited; i++) {
            if (!is_own(environ[i])) {
                block[count++] = environ[i];
            }
        }
        while (pos < texts.len) {
            block[count++] = own + pos;
            pos += strlen(own + pos) + 1;
        }
        block[count] = NULL;
    }
    el_buffer_free(&texts);
    return block;
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

void work_event_line(struct el_buffer *out, const struct evlog_lease *lease, int32_t attempt)
{
    const struct evlog_event *event = lease->event;
    struct el_json_writer w;
    el_json_writer_init(&w, out);
    el_json_begin_object(&w);
    el_json_add_str(&w, "topic", event->topic);
    el_json_add_int(&w, "partition", event->partition);
    el_json_add_int(&w, "offset", event->offset);
    el_json_add_int(&w, "attempt", attempt);
    cli_json_time(&w, "time", cli_event_ns(event->timestamp_ms), 3);
    cli_json_bytes(&w, "key", event->key);
    el_json_key(&w, "headers");
    el_json_begin_array(&w);
    for (size_t i = 0; i < event->header_count; i++) {
        el_json_begin_object(&w);
        cli_json_bytes(&w, "name", event->headers[i].key);
        cli_json_bytes(&w, "value", event->headers[i].value);
        el_json_end_object(&w);
    }
    el_json_end_array(&w);
    cli_json_data(&w, event->value);
    el_json_end_object(&w);
    if (el_json_writer_end(&w) != 0) {
        out->err = EVLOG_ERR_NO_MEMORY;
    }
    el_buffer_append_char(out, '\n');
}

/* --- what the end says -------------------------------------------------------------------------------------------- */

void work_verdict(const struct handler_run *run, struct evlog_result *result)
{
    const char *error = run->last_line;
    result->outcome = EVLOG_NACK;
    result->delay_ms = -1;
    switch (run->end) {
    case HANDLER_EXITED:
        result->outcome = run->code == 0 ? EVLOG_ACK : run->code == WORK_EXIT_DEAD ? EVLOG_DEAD : EVLOG_NACK;
        (void)snprintf(result->reason, sizeof result->reason, "exit %d", run->code);
        break;
    case HANDLER_SIGNALLED:
        (void)snprintf(result->reason, sizeof result->reason, "signal %d", run->code);
        break;
    case HANDLER_TIMED_OUT:
        (void)snprintf(result->reason, sizeof result->reason, "timeout");
        break;
    case HANDLER_SAID_MUCH:
        (void)snprintf(result->reason, sizeof result->reason, "output");
        error = "the handler said more than is kept";
        break;
    case HANDLER_NOT_STARTED:
        result->outcome = EVLOG_RELEASE;
        (void)snprintf(result->reason, sizeof result->reason, "not started");
        error = strerror(run->code);
        break;
    }
    (void)snprintf(result->error, sizeof result->error, "%s", error);
    if (result->outcome == EVLOG_ACK) {
        result->reason[0] = result->error[0] = '\0';
    }
}

/* A line of digits that is one of the offsets: its index, else count. */
static size_t index_of(const uint8_t *line, size_t len, const struct evlog_lease *const *leases, size_t count)
{
    int64_t offset = 0;
    if (len == 0 || len > 18) {
        return count;
    }
    for (size_t i = 0; i < len; i++) {
        if (line[i] < '0' || line[i] > '9') {
            return count;
        }
        offset = offset * 10 + (line[i] - '0');
    }
    for (size_t i = 0; i < count; i++) {
        if (leases[i]->event->offset == offset) {
            return i;
        }
    }
    return count;
}

bool work_report(struct el_slice report, const struct evlog_lease *const *leases, size_t count,
                 struct evlog_result *results, char why[EVLOG_ERROR_TEXT_MAX])
{
    size_t number = 1;
    for (size_t pos = 0; pos < report.len; number++) {
        const uint8_t *line = report.data + pos, *end = memchr(line, '\n', report.len - pos);
        size_t len = end == NULL ? report.len - pos : (size_t)(end - line);
        size_t index = end == NULL ? count : index_of(line, len, leases, count); /* it may be half an offset */
        if (index == count) {
            (void)snprintf(why, EVLOG_ERROR_TEXT_MAX, "line %zu on descriptor 3 is no offset of this batch%s", number,
                           end == NULL ? ", or has no line end" : "");
            return false;
        }
        results[index].outcome = EVLOG_NACK;
        (void)snprintf(results[index].reason, sizeof results[index].reason, "item");
        pos += len + 1;
    }
    return true;
}

bool work_line_next(struct el_slice output, struct work_line *line)
{
    if (line->next >= output.len) {
        return false;
    }
    const uint8_t *begin = output.data + line->next, *end = memchr(begin, '\n', output.len - line->next);
    line->text = el_slice_of(begin, end == NULL ? output.len - line->next : (size_t)(end - begin));
    line->next += line->text.len + 1;
    line->number++;
    return true;
}

size_t work_line_index(struct el_slice *text, const struct evlog_lease *const *leases, size_t count)
{
    size_t len = 0;
    while (len < text->len && text->data[len] != ' ' && text->data[len] != '\t') {
        len++;
    }
    size_t index = len == text->len ? count : index_of(text->data, len, leases, count);
    if (index < count) {
        *text = el_slice_of(text->data + len + 1, text->len - len - 1);
    }
    return index;
}
