/* SPDX-License-Identifier: Apache-2.0
 *
 * Output that commands share: lines, events as JSON, a progress bar on a terminal.
 */
#include "cli.h"

#include <core/json.h>
#include <core/timefmt.h>
#include <core/utf8.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000ll
#define PROGRESS_NS 100000000ll /* between two drawings of the bar */
#define BAR_COLUMNS 30

volatile int cli_interrupted;
struct evlog_client *volatile cli_waiting;

int cli_put(const struct cli *cli, struct el_buffer *line)
{
    bool ok = line->err == 0 && (line->len == 0 || fwrite(line->data, 1, line->len, stdout) == line->len);
    el_buffer_reset(line);
    return ok ? CLI_OK : cli_error(cli, CLI_ERR_OUTPUT, "the output cannot be written");
}

void cli_text(struct el_buffer *line, struct evlog_bytes bytes, size_t len_max)
{
    const unsigned char *data = bytes.data;
    size_t len = EL_MIN(bytes.len, len_max);
    while (len > 0 && len < bytes.len && (data[len] & 0xc0) == 0x80) {
        len--; /* not within a character */
    }
    bool is_text = el_utf8_valid(data, len);
    for (size_t i = 0; i < len; i++) {
        bool shown = data[i] >= ' ' && data[i] != 0x7f && (is_text || data[i] < 0x80);
        el_buffer_append_char(line, shown ? (char)data[i] : data[i] == '\n' || data[i] == '\t' ? ' ' : '?');
    }
    if (len < bytes.len) {
        el_buffer_append_str(line, "...");
    }
}

void cli_json_bytes(struct el_json_writer *w, const char *name, struct evlog_bytes bytes)
{
    struct el_slice slice = el_slice_of(bytes.data, bytes.len);
    if (bytes.data == NULL || el_utf8_valid(bytes.data, bytes.len)) {
        el_json_key(w, name);
        el_json_put_slice(w, slice);
        return;
    }
    char with_suffix[64];
    (void)snprintf(with_suffix, sizeof with_suffix, "%s_base64", name);
    el_json_key(w, with_suffix);
    el_json_put_base64(w, slice);
}

void cli_json_data(struct el_json_writer *w, struct evlog_bytes data)
{
    if (data.data == NULL) {
        el_json_key(w, "data");
        el_json_put_null(w);
        return;
    }
    if (!el_json_valid(data.data, data.len)) {
        el_json_key(w, "data_base64");
        el_json_put_base64(w, el_slice_of(data.data, data.len));
        return;
    }
    el_json_key(w, "data");
    size_t start = w->out->len;
    el_json_put_raw(w, el_slice_of(data.data, data.len));
    for (size_t i = start; w->out->err == 0 && i < w->out->len; i++) {
        if (w->out->data[i] == '\n' || w->out->data[i] == '\r') {
            w->out->data[i] = ' '; /* inside a string it would be an escape */
        }
    }
}

int64_t cli_event_ns(int64_t timestamp_ms)
{
    return timestamp_ms < 0 || timestamp_ms > INT64_MAX / NS_PER_MS ? -1 : timestamp_ms * NS_PER_MS;
}

void cli_json_time(struct el_json_writer *w, const char *name, int64_t ns, int digits)
{
    char text[40];
    if (ns >= 0) {
        el_time_format(text, ns, digits);
    }
    el_json_add_str(w, name, ns < 0 ? NULL : text);
}

void cli_json_event_members(struct el_json_writer *w, const struct evlog_stream_event *row)
{
    const struct evlog_event *event = row->event;
    cli_json_bytes(w, "key", event->key);
    el_json_key(w, "version");
    if (row->version < 0) {
        el_json_put_null(w);
    } else {
        el_json_put_int(w, row->version);
    }
    cli_json_bytes(w, "type", row->type);
    cli_json_bytes(w, "id", row->id);
    el_json_add_int(w, "partition", event->partition);
    el_json_add_int(w, "offset", event->offset);
    cli_json_time(w, "time", cli_event_ns(event->timestamp_ms), 3);
    cli_json_time(w, "append_time", event->append_time_ns, 9);
    cli_json_data(w, row->data);
}

void cli_json_event(struct el_json_writer *w, const struct evlog_stream_event *row)
{
    el_json_begin_object(w);
    cli_json_event_members(w, row);
    el_json_end_object(w);
}

static int64_t monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool shows_progress(const struct cli *cli)
{
    return !cli->quiet && !cli->json && !cli->plain && isatty(STDERR_FILENO) != 0;
}

void cli_progress(const struct cli *cli, const char *what, uint64_t done, uint64_t total)
{
    static int64_t drawn_ns;
    if (!shows_progress(cli)) {
        return;
    }
    int64_t now_ns = monotonic_ns();
    if (now_ns - drawn_ns < PROGRESS_NS) {
        return;
    }
    drawn_ns = now_ns;
    if (total == 0) {
        (void)fprintf(stderr, "\r%s %llu\033[K", what, (unsigned long long)done);
        return;
    }
    char bar[BAR_COLUMNS + 1];
    size_t filled = (size_t)((done < total ? done : total) * BAR_COLUMNS / total);
    memset(bar, '.', BAR_COLUMNS);
    memset(bar, '#', filled);
    bar[BAR_COLUMNS] = '\0';
    (void)fprintf(stderr, "\r%s [%s] %llu of %llu\033[K", what, bar, (unsigned long long)done,
                  (unsigned long long)total);
}

void cli_progress_end(const struct cli *cli)
{
    if (shows_progress(cli)) {
        (void)fprintf(stderr, "\r\033[K");
    }
}
