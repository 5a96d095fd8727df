/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines to stderr or to a sink; any thread, no lock, no heap.
 *
 * 1. the sentence is formatted into a local and cut at LOG_TEXT_MAX
 * 2. escaped: control characters and bytes that are not UTF-8 never reach a terminal or break a JSON line
 * 3. one write() per line, so lines of several threads do not mix (a pipe takes up to 4096 bytes at once); of one kind
 *    only so many in a second, for a flood of one line must not hide the others nor fill the disk
 *
 * A failed or short write is not reported: there is nowhere to report it to.
 */
#include <core/bytes.h>
#include <core/logger.h>
#include <core/timefmt.h>
#include <core/utf8.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOG_TEXT_MAX 1536 /* an escaped line, which may be longer, still stays below 4096 in all but hostile cases */
#define LOG_LINE_MAX 4096

static _Atomic bool log_json;
static _Atomic(el_log_sink_fn) log_sink;
static _Atomic(void *) log_sink_arg;

struct line {
    char text[LOG_LINE_MAX];
    size_t len;
};

void el_log_setup(enum el_log_level level, bool json)
{
    el_log_level_configure(level);
    atomic_store(&log_json, json);
}

void el_log_sink(el_log_sink_fn sink, void *arg)
{
    atomic_store(&log_sink_arg, arg);
    atomic_store(&log_sink, sink);
}

static const char *level_name(enum el_log_level level)
{
    switch (level) {
    case EL_LOG_ERROR:
        return "error";
    case EL_LOG_WARN:
        return "warn";
    case EL_LOG_INFO:
        return "info";
    case EL_LOG_DEBUG:
        return "debug";
    }
    return "?";
}

/* Room is kept for the end of the line: a closing quote and brace, and the line feed. */
static void line_add(struct line *line, const char *text, size_t len)
{
    size_t room = sizeof(line->text) - 8 - line->len;
    if (len > room) {
        return;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void line_add_str(struct line *line, const char *text)
{
    line_add(line, text, strlen(text));
}

/* One character of source text, escaped for the shape; returns its bytes. */
static size_t line_add_escaped(struct line *line, const char *text, size_t len, bool json)
{
    char escaped[8];
    uint32_t point = 0;
    size_t char_len = el_utf8_next(text, len, &point);
    if (char_len == 0) {
        (void)snprintf(escaped, sizeof(escaped), "\\x%02x", (unsigned char)text[0]);
        line_add_str(line, json ? "\\ufffd" : escaped);
        return 1;
    }
    if (json && (point == '"' || point == '\\')) {
        line_add_str(line, "\\");
        line_add(line, text, 1);
    } else if (point < 0x20 || (point >= 0x7f && point < 0xa0)) {
        (void)snprintf(escaped, sizeof(escaped), json ? "\\u%04x" : "\\x%02x", (unsigned)point);
        line_add_str(line, point == '\n' ? "\\n" : point == '\t' ? "\\t" : escaped);
    } else {
        line_add(line, text, char_len);
    }
    return char_len;
}

static void line_add_text(struct line *line, const char *text, bool json)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        i += line_add_escaped(line, text + i, len - i, json);
    }
}

static void line_add_field(struct line *line, const struct el_log_field *field, bool json)
{
    char number[24];
    line_add_str(line, json ? ",\"" : " ");
    line_add_str(line, field->name);
    line_add_str(line, json ? "\":" : "=");
    if (field->text == NULL) {
        (void)snprintf(number, sizeof(number), "%" PRId64, field->number);
        line_add_str(line, number);
        return;
    }
    line_add_str(line, "\"");
    line_add_text(line, field->text, true); /* with quotes around it, a text line needs the same escapes */
    line_add_str(line, "\"");
}

/* All of them or, when one does not fit, those before it: half a field would break a JSON line. */
static void line_add_fields(struct line *line, const struct el_log_field *fields, size_t count, bool json)
{
    for (size_t i = 0; i < count; i++) {
        size_t before = line->len, worst = 8;
        worst += strlen(fields[i].name) + (fields[i].text == NULL ? 24 : 6 * strlen(fields[i].text));
        if (worst > sizeof(line->text) - 8 - before) {
            return;
        }
        line_add_field(line, &fields[i], json);
    }
}

static void line_make(struct line *line, enum el_log_level level, const char *area, const char *text,
                      const struct el_log_field *fields, size_t count)
{
    struct timespec now;
    char time_text[40];
    char head[64];
    bool json = atomic_load_explicit(&log_json, memory_order_relaxed);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    el_time_format(time_text, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, 3);
    line->len = 0;
    line_add_str(line, json ? "{\"time\":\"" : "");
    line_add_str(line, time_text);
    if (json) {
        line_add_str(line, "\",\"level\":\"");
        line_add_str(line, level_name(level));
        line_add_str(line, "\",\"area\":\"");
        line_add_text(line, area, true);
        line_add_str(line, "\",\"text\":\"");
    } else {
        (void)snprintf(head, sizeof(head), " %-5s %-8s ", level_name(level), area);
        line_add_str(line, head);
    }
    line_add_text(line, text, json);
    memcpy(line->text + line->len, "\"", 1); /* into the room that is kept */
    line->len += json ? 1 : 0;
    line_add_fields(line, fields, count, json);
    memcpy(line->text + line->len, json ? "}\n" : "\n", json ? 2 : 1);
    line->len += json ? 2 : 1;
}

/* --- not more than so many of one kind ---------------------------------------------------------------------------- */

/* A kind of line is its format. Two that share a place take turns in it, and then both may write more. */
struct kind {
    _Atomic(const char *) format;
    _Atomic uint64_t second;
    _Atomic uint32_t count;
    _Atomic uint32_t dropped;
};
static struct kind kinds[64];

/* returns false when the second has seen enough of them. dropped: how many were left out before this one */
static bool may_write(const char *format, uint32_t *dropped)
{
    struct timespec now;
    struct kind *kind = &kinds[((uintptr_t)format >> 3 ^ (uintptr_t)format >> 9) % (sizeof kinds / sizeof kinds[0])];
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    bool other = atomic_load_explicit(&kind->format, memory_order_relaxed) != format;
    *dropped = 0;
    if (other || atomic_load_explicit(&kind->second, memory_order_relaxed) != (uint64_t)now.tv_sec) {
        *dropped = atomic_exchange_explicit(&kind->dropped, 0, memory_order_relaxed);
        *dropped = other ? 0 : *dropped;
        atomic_store_explicit(&kind->format, format, memory_order_relaxed);
        atomic_store_explicit(&kind->second, (uint64_t)now.tv_sec, memory_order_relaxed);
        atomic_store_explicit(&kind->count, 0, memory_order_relaxed);
    }
    if (atomic_fetch_add_explicit(&kind->count, 1, memory_order_relaxed) < EL_LOG_PER_S_MAX) {
        return true;
    }
    atomic_fetch_add_explicit(&kind->dropped, 1, memory_order_relaxed);
    return false;
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

static void write_line(const struct line *line)
{
    ssize_t done = write(STDERR_FILENO, line->text, line->len);
    (void)done;
}

struct text {
    enum el_log_level level;
    const char *area;
    const char *format; /* the kind */
    const char *text;
};

static void log_write(const struct text *text, const struct el_log_field *fields, size_t count)
{
    struct line line;
    uint32_t dropped;
    el_log_sink_fn sink = atomic_load(&log_sink);
    if (sink != NULL) {
        line.len = 0;
        line_add_str(&line, text->text);
        line_add_fields(&line, fields, count, false);
        line.text[line.len] = 0;
        sink(atomic_load(&log_sink_arg), text->level, text->area, line.text);
        return;
    }
    if (!may_write(text->format, &dropped)) {
        return;
    }
    if (dropped > 0) {
        char said[80];
        (void)snprintf(said, sizeof(said), "%" PRIu32 " lines like the next one were left out", dropped);
        line_make(&line, text->level, text->area, said, NULL, 0);
        write_line(&line);
    }
    line_make(&line, text->level, text->area, text->text, fields, count);
    write_line(&line);
}

void el_log(enum el_log_level level, const char *area, const char *format, ...)
{
    if (!el_log_wanted(level, area)) {
        return;
    }
    char text[LOG_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len >= 0) {
        log_write(&(struct text){.level = level, .area = area, .format = format, .text = text}, NULL, 0);
    }
}

void el_log_fields(enum el_log_level level, const char *area, const struct el_log_field *fields, size_t count,
                   const char *text)
{
    if (el_log_wanted(level, area)) {
        log_write(&(struct text){.level = level, .area = area, .format = text, .text = text}, fields, count);
    }
}
