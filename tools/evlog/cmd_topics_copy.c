/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog topics copy | export | import: all events of a topic into another one, into a file, and back. Partition, key,
 * value, headers and time stay as they are.
 *
 * A file of an export is text: a first line that names topic and partitions, then one JSON object for each event, bytes
 * in base64, each partition in the order of its offsets. An export that was interrupted goes on behind the last whole
 * line of its file; an import or a copy goes on behind what the target holds (transfer.c). The end of the source is
 * fixed when reading begins.
 */
#include "cli.h"
#include "line_input.h"
#include "transfer.h"

#include <core/alloc.h>
#include <core/base64.h>
#include <core/json.h>
#include <core/limits.h>
#include <string.h>
#include <unistd.h>

#define JSON_DEPTH 4
#define EXPORT_VERSION 1
#define WAIT_MS 1000
#define HEADER_MAX 10000

/* --- the source -------------------------------------------------------------------------------------------------- */

/* Read every event of a topic from from[partition] (-1: the start) to the end as it is now. */
struct source {
    struct cli *cli;
    const char *topic;
    struct evlog_consumer *consumer;
    int32_t partition_count;
};

static int source_open(struct source *s)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_consumer_options options = EVLOG_CONSUMER_OPTIONS_INIT;
    options.topic = s->topic;
    if (evlog_consumer_open(s->cli->client, &options, &s->consumer, &failure) != 0) {
        return cli_failure(s->cli, &failure);
    }
    s->partition_count = evlog_consumer_partition_count(s->consumer);
    return CLI_OK;
}

static int source_assign(struct source *s, const int64_t *from)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int64_t *ends = el_calloc(2 * (size_t)s->partition_count, sizeof *ends);
    if (ends == NULL) {
        return cli_error(s->cli, CLI_ERR_VALUE, "no memory");
    }
    int64_t *starts = ends + s->partition_count;
    int rc = evlog_offsets_at(s->cli->client, s->topic, EVLOG_OFFSET_LATEST, ends, s->partition_count, &failure);
    if (rc == 0) {
        rc = evlog_offsets_at(s->cli->client, s->topic, EVLOG_OFFSET_EARLIEST, starts, s->partition_count, &failure);
    }
    for (int32_t i = 0; rc == 0 && i < s->partition_count; i++) {
        int64_t start = from != NULL ? EL_MAX(from[i], starts[i]) : starts[i];
        rc = evlog_consumer_assign(s->consumer, i, start, ends[i], &failure);
    }
    el_free(ends);
    return rc == 0 ? CLI_OK : cli_failure(s->cli, &failure);
}

/* Show every event to fn. returns an exit code, told */
static int source_read(struct source *s, int (*fn)(void *arg, const struct evlog_event *event), void *arg)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_event *event;
    while (!cli_interrupted && !evlog_consumer_at_end(s->consumer)) {
        int rc = evlog_consumer_next(s->consumer, WAIT_MS, &event, &failure);
        if (rc < 0) {
            return cli_failure(s->cli, &failure);
        }
        rc = rc == 1 ? fn(arg, event) : CLI_OK;
        if (rc != CLI_OK) {
            return rc;
        }
    }
    return CLI_OK;
}

/* --- copy -------------------------------------------------------------------------------------------------------- */

static int copy_event(void *arg, const struct evlog_event *event)
{
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    message.partition = event->partition;
    message.timestamp_ms = event->timestamp_ms;
    message.key = event->key;
    message.value = event->value;
    message.headers = event->headers;
    message.header_count = event->header_count;
    return transfer_event(arg, &message);
}

static int copy_all(struct source *s, struct transfer *t)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_info *info;
    int32_t count;
    int rc = source_open(s);
    if (rc != CLI_OK) {
        return rc;
    }
    /* Settings are for a target that is to be made. */
    int looked = evlog_topic_partition_count(t->cli->client, t->topic, &count, &failure);
    if (looked != 0 && looked != EVLOG_ERR_UNKNOWN_TOPIC) {
        return cli_failure(t->cli, &failure);
    }
    if ((looked == 0 ? evlog_topic_look : evlog_topic_describe)(s->cli->client, s->topic, &info, &failure) != 0) {
        return cli_failure(s->cli, &failure);
    }
    rc = transfer_begin(t, s->partition_count, info->settings, info->setting_count);
    evlog_topic_info_free(info);
    if (rc == CLI_OK) {
        rc = source_assign(s, NULL);
    }
    if (rc == CLI_OK) {
        rc = source_read(s, copy_event, t);
    }
    return transfer_end(t, rc);
}

int cmd_topics_copy(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    const char *to = NULL;
    const struct cli_option options[] = {
        {"to", 0, CLI_TEXT, &to, "HOST:PORT", "the target lies in another cluster"},
    };
    struct cli_grammar grammar = {options, 1, 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (to == NULL && strcmp(words.items[0], words.items[1]) == 0) {
        return cli_error(cli, CLI_ERR_WORDS, "topic %s cannot be copied into itself", words.items[0]);
    }
    struct source s = {.cli = cli, .topic = words.items[0]};
    struct transfer t = {.cli = cli, .topic = words.items[1]};
    struct cli other = *cli;
    rc = cli_connect(cli);
    if (rc == CLI_OK && to != NULL) {
        other.bootstrap = to;
        t.cli = &other;
        rc = cli_connect(&other);
    }
    if (rc == CLI_OK) {
        rc = copy_all(&s, &t);
    }
    evlog_consumer_close(s.consumer);
    transfer_free(&t);
    if (to != NULL) {
        evlog_client_close(other.client);
    }
    return rc;
}

/* --- export ------------------------------------------------------------------------------------------------------ */

struct export
{
    struct cli *cli;
    FILE *file;
    struct el_buffer line;
    uint64_t count;
    uint64_t passed_count;
};

static void put_bytes(struct el_json_writer *w, struct evlog_bytes bytes)
{
    if (bytes.data == NULL) {
        el_json_put_null(w);
    } else {
        el_json_put_base64(w, el_slice_of(bytes.data, bytes.len));
    }
}

static int write_line(struct export *e)
{
    el_buffer_append_char(&e->line, '\n');
    bool ok = e->line.err == 0 && fwrite(e->line.data, 1, e->line.len, e->file) == e->line.len;
    el_buffer_reset(&e->line);
    return ok ? CLI_OK : cli_error(e->cli, CLI_ERR_OUTPUT, "the file cannot be written");
}

static int export_event(void *arg, const struct evlog_event *event)
{
    struct export *e = arg;
    struct el_json_writer w;
    el_json_writer_init(&w, &e->line);
    el_json_begin_object(&w);
    el_json_add_int(&w, "partition", event->partition);
    el_json_add_int(&w, "offset", event->offset);
    el_json_add_int(&w, "timestamp", event->timestamp_ms);
    el_json_key(&w, "key");
    put_bytes(&w, event->key);
    el_json_key(&w, "value");
    put_bytes(&w, event->value);
    el_json_key(&w, "headers");
    el_json_begin_array(&w);
    for (size_t i = 0; i < event->header_count; i++) {
        el_json_begin_array(&w);
        put_bytes(&w, event->headers[i].key);
        put_bytes(&w, event->headers[i].value);
        el_json_end_array(&w);
    }
    el_json_end_array(&w);
    el_json_end_object(&w);
    if (el_json_writer_end(&w) != 0) {
        e->line.err = EVLOG_ERR_NO_MEMORY;
    }
    if (++e->count % 1024 == 0) {
        cli_progress(e->cli, "exported", e->count, 0);
    }
    return write_line(e);
}

/* The first line of a file: whose events it holds. returns CLI_OK | an exit code, told */
static int read_head(const struct cli *cli, struct el_slice line, const char *path, int64_t *partition_count)
{
    struct el_json *json = NULL;
    struct el_error err = {0};
    int64_t version = 0;
    int rc = el_json_parse(line.data, line.len, JSON_DEPTH, &json, &err);
    if (rc == 0) {
        rc = el_json_get_int(json, "evlog_export", &version, &err);
    }
    if (rc == 0) {
        rc = el_json_get_int(json, "partitions", partition_count, &err);
    }
    el_json_free(json);
    if (rc != 0 || version != EXPORT_VERSION || *partition_count < 1 || *partition_count > EL_PARTITION_COUNT_MAX) {
        return cli_error(cli, CLI_ERR_EXPORT, "%s: this is no export of a topic, or one of a newer version", path);
    }
    return CLI_OK;
}

/* Where a file that is there already stops: next offset of each partition, and bytes of whole lines. */
static int read_stand(const struct cli *cli, const char *path, int64_t *next, int32_t partition_count, struct export *e)
{
    struct el_error err = {0};
    struct line_input *input;
    struct el_slice line;
    if (line_input_open(path, &input, &err) != 0) {
        return cli_error(cli, CLI_ERR_FILE, "%s", err.text);
    }
    int64_t count = 0;
    int its = line_input_next(input, &line, &err);
    int rc = its == 1 ? read_head(cli, line, path, &count) : CLI_OK;
    if (rc == CLI_OK && its == 1 && count != partition_count) {
        rc = cli_error(cli, CLI_ERR_EXPORT, "%s holds a topic of %lld partitions, not %d", path, (long long)count,
                       partition_count);
    }
    while (rc == CLI_OK && its == 1 && (its = line_input_next(input, &line, &err)) == 1) {
        struct el_json *json = NULL;
        int64_t partition = -1, offset = -1;
        bool ok = el_json_parse(line.data, line.len, JSON_DEPTH, &json, &err) == 0 &&
                  el_json_get_int(json, "partition", &partition, &err) == 0 &&
                  el_json_get_int(json, "offset", &offset, &err) == 0 && partition >= 0 &&
                  partition < partition_count && offset >= 0 && offset < INT64_MAX;
        if (ok) {
            next[partition] = EL_MAX(next[partition], offset + 1);
            e->passed_count++;
        }
        el_json_free(json);
        if (!ok) {
            rc = cli_error(cli, CLI_ERR_EXPORT, "%s:%llu: this is no event of an export", path,
                           (unsigned long long)line_input_number(input));
        }
    }
    line_input_close(input);
    return rc != CLI_OK || its >= 0 ? rc : cli_error(cli, CLI_ERR_FILE, "%s: %s", path, err.text);
}

/* Cut off what stands behind the last line feed: it was being written when something stopped the export. */
static int cut_last_line(const struct cli *cli, const char *path, bool *empty)
{
    FILE *file = fopen(path, "r+e");
    *empty = true;
    if (file == NULL) {
        return CLI_OK;
    }
    bool ok = fseeko(file, 0, SEEK_END) == 0;
    off_t len = ok ? ftello(file) : -1, pos = len;
    while (ok && pos > 0) {
        ok = fseeko(file, pos - 1, SEEK_SET) == 0;
        if (ok && fgetc(file) == '\n') {
            break;
        }
        pos--;
    }
    ok = ok && len >= 0 && (pos == len || ftruncate(fileno(file), pos) == 0);
    *empty = pos <= 0;
    ok = fclose(file) == 0 && ok;
    return ok ? CLI_OK : cli_error(cli, CLI_ERR_FILE, "%s cannot be read or cut", path);
}

static int export_to(struct source *s, struct export *e, const char *path)
{
    bool empty;
    int rc = cut_last_line(s->cli, path, &empty);
    int64_t *next = rc == CLI_OK ? el_calloc((size_t)s->partition_count, sizeof *next) : NULL;
    if (rc == CLI_OK && next == NULL) {
        return cli_error(s->cli, CLI_ERR_VALUE, "no memory");
    }
    if (rc == CLI_OK && !empty) {
        rc = read_stand(s->cli, path, next, s->partition_count, e);
    }
    if (rc == CLI_OK) {
        rc = source_assign(s, next);
    }
    el_free(next);
    e->file = rc == CLI_OK ? fopen(path, "ae") : NULL;
    if (rc == CLI_OK && e->file == NULL) {
        return cli_error(s->cli, CLI_ERR_OUTPUT, "%s cannot be written", path);
    }
    if (rc == CLI_OK && empty) {
        el_buffer_printf(&e->line, "{\"evlog_export\":%d,\"topic\":\"%s\",\"partitions\":%d}", EXPORT_VERSION, s->topic,
                         s->partition_count);
        rc = write_line(e);
    }
    if (rc == CLI_OK) {
        rc = source_read(s, export_event, e);
    }
    if (e->file != NULL) {
        bool ok = fflush(e->file) == 0 && fsync(fileno(e->file)) == 0;
        ok = fclose(e->file) == 0 && ok;
        rc = rc == CLI_OK && !ok ? cli_error(s->cli, CLI_ERR_OUTPUT, "%s cannot be written", path) : rc;
        cli_progress_end(s->cli);
        cli_say(s->cli, "%llu events written to %s, %llu were there already%s", (unsigned long long)e->count, path,
                (unsigned long long)e->passed_count,
                rc != CLI_OK || cli_interrupted ? "; the same command goes on from there" : "");
    }
    return rc == CLI_OK && cli_interrupted ? CLI_INTERRUPTED : rc;
}

int cmd_topics_export(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct cli_grammar grammar = {NULL, 0, 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    struct source s = {.cli = cli, .topic = words.items[0]};
    struct export e = {.cli = cli};
    rc = cli_connect(cli);
    if (rc == CLI_OK) {
        rc = source_open(&s);
    }
    if (rc == CLI_OK) {
        rc = export_to(&s, &e, words.items[1]);
    }
    evlog_consumer_close(s.consumer);
    el_buffer_free(&e.line);
    return rc;
}

/* --- import ------------------------------------------------------------------------------------------------------ */

/* One line taken apart; everything lies in bytes. */
struct import {
    struct transfer *t;
    struct el_buffer bytes;
    struct evlog_header *headers; /* [HEADER_MAX] */
};

/* Base64 of a member into bytes, which has room; null is null. */
static bool take_bytes(struct import *im, const struct el_json *json, struct evlog_bytes *out)
{
    struct el_slice text;
    size_t len;
    *out = (struct evlog_bytes){NULL, 0};
    if (json == NULL || el_json_type_of(json) == EL_JSON_NULL) {
        return json != NULL;
    }
    uint8_t *place = im->bytes.data + im->bytes.len;
    bool ok = el_json_string(json, &text) == 0 &&
              el_base64_decode((const char *)text.data, text.len, place, text.len, &len) == 0;
    if (ok) {
        im->bytes.len += len;
        *out = (struct evlog_bytes){place, len};
    }
    return ok;
}

static bool take_event(struct import *im, const struct el_json *json, size_t line_len, struct evlog_message *message)
{
    struct el_error err = {0};
    int64_t partition = -1;
    el_buffer_reset(&im->bytes);
    static const uint8_t filler[1024];
    for (size_t room = 0; room <= line_len; room += sizeof filler) { /* what is decoded is shorter than its line */
        el_buffer_append(&im->bytes, filler, sizeof filler);
    }
    if (im->bytes.err != 0) {
        return false;
    }
    im->bytes.len = 0;
    const struct el_json *headers = el_json_get(json, "headers");
    size_t count = headers == NULL ? 0 : el_json_count(headers);
    bool ok = el_json_get_int(json, "partition", &partition, &err) == 0 && partition >= 0 && partition <= INT32_MAX &&
              el_json_get_int(json, "timestamp", &message->timestamp_ms, &err) == 0 && message->timestamp_ms >= -1 &&
              take_bytes(im, el_json_get(json, "key"), &message->key) &&
              take_bytes(im, el_json_get(json, "value"), &message->value) && count <= HEADER_MAX;
    for (size_t i = 0; ok && i < count; i++) {
        const struct el_json *pair = el_json_at(headers, i);
        ok = el_json_type_of(pair) == EL_JSON_ARRAY && el_json_count(pair) == 2 &&
             take_bytes(im, el_json_at(pair, 0), &im->headers[i].key) && im->headers[i].key.data != NULL &&
             take_bytes(im, el_json_at(pair, 1), &im->headers[i].value);
    }
    message->partition = (int32_t)partition;
    message->headers = im->headers;
    message->header_count = count;
    return ok;
}

static int import_lines(struct import *im, struct line_input *input, const char *path)
{
    struct el_error err = {0};
    struct el_slice line;
    int its, rc = CLI_OK;
    while (rc == CLI_OK && !cli_interrupted && (its = line_input_next(input, &line, &err)) != 0) {
        struct el_json *json = NULL;
        struct evlog_message message = EVLOG_MESSAGE_INIT;
        if (its < 0) {
            return cli_error(im->t->cli, CLI_ERR_FILE, "%s: %s", path, err.text);
        }
        if (el_json_parse(line.data, line.len, JSON_DEPTH, &json, &err) == 0 &&
            take_event(im, json, line.len, &message)) {
            rc = transfer_event(im->t, &message);
        } else {
            rc = cli_error(im->t->cli, CLI_ERR_EXPORT, "%s:%llu: this is no event of an export", path,
                           (unsigned long long)line_input_number(input));
        }
        el_json_free(json);
    }
    return rc;
}

static int import_from(struct cli *cli, struct transfer *t, const char *path)
{
    struct el_error err = {0};
    struct line_input *input;
    struct el_slice line;
    int64_t partition_count = 0;
    if (line_input_open(path, &input, &err) != 0) {
        return cli_error(cli, CLI_ERR_FILE, "%s", err.text);
    }
    int its = line_input_next(input, &line, &err);
    int rc = its < 0 ? cli_error(cli, CLI_ERR_FILE, "%s: %s", path, err.text)
                     : read_head(cli, its == 1 ? line : el_slice_of("", 0), path, &partition_count);
    struct import im = {.t = t};
    im.headers = el_calloc(HEADER_MAX, sizeof *im.headers);
    if (rc == CLI_OK && im.headers == NULL) {
        rc = cli_error(cli, CLI_ERR_VALUE, "no memory");
    }
    if (rc == CLI_OK) {
        rc = cli_connect(cli);
    }
    if (rc == CLI_OK) {
        rc = transfer_begin(t, (int32_t)partition_count, NULL, 0);
    }
    if (rc == CLI_OK) {
        rc = import_lines(&im, input, path);
    }
    rc = transfer_end(t, rc);
    line_input_close(input);
    el_buffer_free(&im.bytes);
    el_free(im.headers);
    return rc;
}

int cmd_topics_import(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct cli_grammar grammar = {NULL, 0, 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    struct transfer t = {.cli = cli, .topic = words.items[1]};
    rc = import_from(cli, &t, words.items[0]);
    transfer_free(&t);
    return rc;
}
