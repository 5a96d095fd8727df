/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog archive export: the events of an archived topic as files for query engines, below folders that name topic and
 * day:
 *
 *     DIR/topic=orders/date=2026-03-01/00000-00000000000000001000.jsonl.zst     partition, offset of the first event
 *
 * 1. partition by partition, lines are gathered until the day of the append time changes or there are enough
 * 2. they are written beside the file's place, compressed as one piece, synced, and renamed
 * 3. then the position of all partitions is written to DIR/topic=orders/.evlog-position
 *
 * Run again it goes on from that position. Files behind it, of a run that was interrupted between 2 and 3, are removed
 * first: each event is in one file. Times are UTC.
 */
#include "archive_open.h"

#include <core/alloc.h>
#include <core/base64.h>
#include <core/compress.h>
#include <core/timefmt.h>
#include <core/utf8.h>
#include <dirent.h>
#include <errno.h>
#include <format/batch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wire/progress.h>

#define TEXT_MAX (64u << 20) /* of a file before it is compressed */
#define READ_LEN (4u << 20)
#define POSITION_FILE ".evlog-position"
#define DAY_NS (24ll * 3600 * 1000000000)
#define HEADER_MAX 256 /* of a record, that are looked at */

struct exporting {
    struct cli *cli;
    struct archive_reader *reader;
    const char *topic, *format, *dir;
    struct el_uuid topic_id;
    bool csv, gzip, zstd;
    char *folder; /* DIR/topic=T */
    char *position_path;
    int64_t *offsets; /* [partition_count] next ones, as the position file has them */
    uint32_t partition_count;
    struct el_buffer text, packed;
    int64_t day;          /* of the lines gathered, -1: none */
    int64_t first_offset; /* of them */
    uint8_t *scratch;
    size_t scratch_len;
    uint64_t event_count, file_count, total_count, done_count;
};

static int no_memory(const struct exporting *x)
{
    return cli_error(x->cli, CLI_ERR_OUTPUT, "no memory");
}

static int said(const struct exporting *x, const char *path)
{
    return cli_error(x->cli, CLI_ERR_OUTPUT, "%s: %s", path, strerror(errno));
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

static void csv_text(struct el_buffer *out, const void *data, size_t len)
{
    const char *p = data;
    if (data == NULL) {
        return; /* null: nothing, not even quotes */
    }
    el_buffer_append_char(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '"') {
            el_buffer_append_char(out, '"');
        }
        el_buffer_append_char(out, p[i]);
    }
    el_buffer_append_char(out, '"');
}

/* Two columns: as text where it is, else base64. */
static void csv_bytes(struct el_buffer *out, struct evlog_bytes bytes)
{
    bool text = bytes.data == NULL ||
                (el_utf8_valid(bytes.data, bytes.len) && memchr(bytes.data, 0, bytes.len) == NULL);
    if (text) {
        csv_text(out, bytes.data, bytes.len);
        el_buffer_append_char(out, ',');
        return;
    }
    el_buffer_append_char(out, ',');
    char *room = (char *)el_buffer_room(out, el_base64_encoded_len(bytes.len) + 1);
    if (room != NULL) {
        el_base64_encode(room, bytes.data, bytes.len);
        out->len--; /* the NUL */
    }
}

static void csv_time(struct el_buffer *out, int64_t ns, int digits)
{
    char text[40] = "";
    if (ns >= 0) {
        el_time_format(text, ns, digits);
    }
    el_buffer_append_str(out, text);
}

static void csv_line(struct exporting *x, const struct evlog_event *event, const struct evlog_event_view *view)
{
    struct el_buffer *out = &x->text;
    csv_bytes(out, event->key);
    el_buffer_append_char(out, ',');
    csv_text(out, view->type.data, view->type.len);
    el_buffer_append_char(out, ',');
    csv_text(out, view->id.data, view->id.len);
    el_buffer_printf(out, ",%d,%lld,", event->partition, (long long)event->offset);
    csv_time(out, cli_event_ns(event->timestamp_ms), 3);
    el_buffer_append_char(out, ',');
    csv_time(out, event->append_time_ns, 9);
    el_buffer_append_char(out, ',');
    csv_bytes(out, view->data);
    el_buffer_append_char(out, '\n');
}

static void json_line(struct exporting *x, const struct evlog_event *event, const struct evlog_event_view *view)
{
    struct el_json_writer w;
    el_json_writer_init(&w, &x->text);
    el_json_begin_object(&w);
    cli_json_bytes(&w, "key", event->key);
    cli_json_bytes(&w, "type", view->type);
    cli_json_bytes(&w, "id", view->id);
    el_json_add_int(&w, "partition", event->partition);
    el_json_add_int(&w, "offset", event->offset);
    cli_json_time(&w, "time", cli_event_ns(event->timestamp_ms), 3);
    cli_json_time(&w, "append_time", event->append_time_ns, 9);
    cli_json_data(&w, view->data);
    el_json_end_object(&w);
    (void)el_json_writer_end(&w);
    el_buffer_append_char(&x->text, '\n');
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static int make_folder(const struct exporting *x, const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST ? CLI_OK : said(x, path);
}

static int save_position(struct exporting *x)
{
    struct el_progress progress = {.topic_id = x->topic_id, .whole = true, .count = x->partition_count};
    struct el_buffer word = {0};
    progress.entries = el_calloc(EL_MAX(x->partition_count, 1u), sizeof *progress.entries);
    if (progress.entries == NULL) {
        return no_memory(x);
    }
    for (uint32_t i = 0; i < x->partition_count; i++) {
        progress.entries[i] = (struct el_progress_entry){
            .partition = (int32_t)i, .leader_epoch = -1, .offset = x->offsets[i]};
    }
    el_progress_format(&word, &progress);
    el_progress_free(&progress);
    int rc = word.err != 0 ? no_memory(x) : archive_write_file(x->cli, x->position_path, el_buffer_slice(&word));
    el_buffer_free(&word);
    return rc;
}

static int pack(struct exporting *x, struct el_slice *bytes)
{
    enum el_codec codec = x->zstd ? EL_CODEC_ZSTD : EL_CODEC_GZIP;
    size_t room = el_compress_bound(codec, x->text.len), len = 0;
    *bytes = el_buffer_slice(&x->text);
    if (!x->gzip && !x->zstd) {
        return CLI_OK;
    }
    el_buffer_reset(&x->packed);
    uint8_t *out = el_buffer_room(&x->packed, room);
    if (out == NULL || el_compress(codec, x->text.data, x->text.len, out, room, &len) != 0) {
        return no_memory(x);
    }
    *bytes = el_slice_of(out, len);
    return CLI_OK;
}

/* What was gathered becomes a file; then the position says so. */
static int commit(struct exporting *x, int32_t partition, int64_t next_offset)
{
    int rc = CLI_OK;
    if (x->day >= 0) {
        char *path = NULL, when[40];
        struct el_slice bytes;
        el_time_format(when, x->day * DAY_NS, 0);
        if (x->text.err != 0 || (path = el_format("%s/date=%.10s", x->folder, when)) == NULL) {
            return no_memory(x);
        }
        rc = make_folder(x, path);
        el_free(path);
        path = NULL;
        rc = rc == CLI_OK ? pack(x, &bytes) : rc;
        if (rc == CLI_OK && (path = el_format("%s/date=%.10s/%05d-%020lld.%s%s", x->folder, when, partition,
                                              (long long)x->first_offset, x->csv ? "csv" : "jsonl",
                                              x->gzip   ? ".gz"
                                              : x->zstd ? ".zst"
                                                        : "")) == NULL) {
            rc = no_memory(x);
        }
        rc = rc == CLI_OK ? archive_write_file(x->cli, path, bytes) : rc;
        el_free(path);
        x->file_count += rc == CLI_OK;
        el_buffer_reset(&x->text);
        x->day = -1;
    }
    if (rc == CLI_OK) {
        x->offsets[partition] = next_offset;
        rc = save_position(x);
    }
    return rc;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static int add_event(struct exporting *x, const struct evlog_event *event)
{
    struct evlog_event_view view = {.size = sizeof view};
    int64_t day = event->append_time_ns / DAY_NS;
    if (x->day >= 0 && (day != x->day || x->text.len >= TEXT_MAX)) {
        int rc = commit(x, event->partition, event->offset);
        if (rc != CLI_OK) {
            return rc;
        }
    }
    if (evlog_event_view(event, &view) != 0) {
        return no_memory(x);
    }
    if (x->day < 0) {
        x->day = day;
        x->first_offset = event->offset;
        if (x->csv) {
            el_buffer_append_str(&x->text,
                                 "key,key_base64,type,id,partition,offset,time,append_time,data,data_base64\n");
        }
    }
    if (x->csv) {
        csv_line(x, event, &view);
    } else {
        json_line(x, event, &view);
    }
    evlog_event_view_free(&view);
    x->event_count++;
    return CLI_OK;
}

static int open_batch(struct exporting *x, struct el_batch_iter *iter, const uint8_t *data, size_t len)
{
    int code = el_batch_open(iter, data, len, x->scratch, x->scratch_len);
    while (code == EVLOG_ERR_NO_MEMORY && iter->info.scratch_len_wanted > x->scratch_len) {
        size_t want = EL_MIN(iter->info.scratch_len_wanted, (size_t)EL_BATCH_OUTPUT_MAX);
        uint8_t *scratch = el_malloc(want);
        if (scratch == NULL) {
            break;
        }
        el_free(x->scratch);
        x->scratch = scratch;
        x->scratch_len = want;
        code = el_batch_open(iter, data, len, x->scratch, x->scratch_len);
    }
    return code;
}

/* Headers beyond HEADER_MAX cannot make an event unreadable: they are not looked at. */
static void fill_event(struct evlog_event *event, const struct el_batch_record *record, struct evlog_header *headers)
{
    struct el_reader encoded = record->record.headers;
    struct el_header header;
    size_t count = 0;
    while (count < HEADER_MAX && el_header_next(&encoded, &header)) {
        headers[count++] = (struct evlog_header){{header.key.data, header.key.len},
                                                 {header.value.data, header.value.len}};
    }
    event->offset = record->offset;
    event->timestamp_ms = record->timestamp_ms;
    event->key = (struct evlog_bytes){record->record.key.data, record->record.key.len};
    event->value = (struct evlog_bytes){record->record.value.data, record->record.value.len};
    event->headers = headers;
    event->header_count = count;
}

static int add_batch(struct exporting *x, int32_t partition, const struct el_pack_batch *row, const uint8_t *data,
                     int64_t from)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    struct evlog_header headers[HEADER_MAX];
    struct evlog_event event = {.topic = x->topic,
                                .partition = partition,
                                .leader_epoch = row->leaf.leader_epoch,
                                .append_time_ns = (int64_t)EL_MIN(row->leaf.append_time_ns, (uint64_t)INT64_MAX)};
    int code = open_batch(x, &iter, data, row->len), rc = CLI_OK;
    if (code == 0 && (iter.info.attributes & EL_BATCH_ATTR_CONTROL) != 0) {
        return CLI_OK;
    }
    while (rc == CLI_OK && code == 0 && (code = el_batch_next(&iter, &record)) == 1) {
        code = 0;
        if (record.offset >= from) {
            fill_event(&event, &record, headers);
            rc = add_event(x, &event);
        }
    }
    return code >= 0 ? rc
                     : cli_error(x->cli, CLI_ERR_FORMAT, "%s[%d]: the batch at offset %lld cannot be read: %s",
                                 x->topic, partition, (long long)row->leaf.first_offset, evlog_error_text(code));
}

static int export_partition(struct exporting *x, int32_t partition, struct archive_batches *batches)
{
    int64_t offset = x->offsets[partition];
    for (;;) {
        struct el_error err = {0};
        if (cli_interrupted) {
            int rc = commit(x, partition, offset);
            return rc == CLI_OK ? CLI_INTERRUPTED : rc;
        }
        if (archive_reader_read(x->reader, &x->topic_id, partition, offset, READ_LEN, batches, &err) != 0) {
            return archive_failed(x->cli, &err);
        }
        if (batches->count == 0) {
            return offset > x->offsets[partition] ? commit(x, partition, offset) : CLI_OK;
        }
        const uint8_t *data = batches->data;
        for (uint32_t i = 0; i < batches->count; i++) {
            int rc = batches->rows[i].redacted ? CLI_OK : add_batch(x, partition, &batches->rows[i], data, offset);
            if (rc != CLI_OK) {
                return rc;
            }
            data += batches->rows[i].len;
        }
        x->done_count += (uint64_t)(batches->next_offset - offset);
        offset = batches->next_offset;
        cli_progress(x->cli, "exported", x->done_count, x->total_count);
    }
}

/* --- going on ----------------------------------------------------------------------------------------------------- */

/* Where each partition begins, or goes on. */
static int place(struct exporting *x)
{
    struct el_buffer word = {0};
    struct el_progress progress = {.count = 0};
    int rc = CLI_OK;
    if (access(x->position_path, F_OK) == 0) {
        rc = archive_read_file(x->cli, x->position_path, EL_PROGRESS_TEXT_MAX, &word);
        if (rc == CLI_OK && (el_progress_parse(el_buffer_slice(&word), &progress) != 0 ||
                             !el_uuid_eq(&progress.topic_id, &x->topic_id))) {
            rc = cli_error(x->cli, CLI_ERR_TARGET, "%s is no position in this topic: export to another folder",
                           x->position_path);
        }
    }
    for (uint32_t i = 0; rc == CLI_OK && i < x->partition_count; i++) {
        const struct el_progress_entry *entry = el_progress_find(&progress, (int32_t)i);
        struct archive_range range = {.start_offset = 0};
        struct el_error err = {0};
        int code = archive_reader_range(x->reader, &x->topic_id, (int32_t)i, &range, &err);
        if (code != 0 && code != EVLOG_ERR_UNKNOWN_TOPIC) {
            rc = archive_failed(x->cli, &err);
        }
        x->offsets[i] = EL_MAX(range.start_offset, range.log_start);
        x->offsets[i] = entry == NULL ? x->offsets[i] : EL_MAX(entry->offset, x->offsets[i]);
        x->total_count += (uint64_t)EL_MAX(range.end_offset - x->offsets[i], 0);
    }
    el_progress_free(&progress);
    el_buffer_free(&word);
    return rc;
}

/* A file that a run left which did not come to note its position; its events come again. */
static int clear_file(struct exporting *x, const char *folder, const char *name)
{
    char *end = NULL, *path = NULL;
    unsigned long partition = strtoul(name, &end, 10);
    if (end != name + 5 || *end != '-' || partition >= x->partition_count) {
        return CLI_OK;
    }
    long long offset = strtoll(name + 6, &end, 10);
    if (end != name + 26 || *end != '.' || offset < x->offsets[partition]) {
        return CLI_OK;
    }
    if ((path = el_format("%s/%s", folder, name)) == NULL) {
        return no_memory(x);
    }
    int rc = unlink(path) == 0 ? CLI_OK : said(x, path);
    el_free(path);
    return rc;
}

static int clear(struct exporting *x)
{
    DIR *days = opendir(x->folder);
    int rc = days == NULL ? said(x, x->folder) : CLI_OK;
    for (struct dirent *day; rc == CLI_OK && (day = readdir(days)) != NULL;) {
        char *folder = NULL;
        if (strncmp(day->d_name, "date=", 5) != 0) {
            continue;
        }
        if ((folder = el_format("%s/%s", x->folder, day->d_name)) == NULL) {
            rc = no_memory(x);
            break;
        }
        DIR *files = opendir(folder);
        for (struct dirent *file; rc == CLI_OK && files != NULL && (file = readdir(files)) != NULL;) {
            rc = clear_file(x, folder, file->d_name);
        }
        if (files != NULL) {
            (void)closedir(files);
        }
        el_free(folder);
    }
    if (days != NULL) {
        (void)closedir(days);
    }
    return rc;
}

static int begin(struct exporting *x)
{
    const struct archive_topic *topic = archive_state_topic_named(archive_reader_state(x->reader),
                                                                  el_slice_str(x->topic));
    if (topic == NULL) {
        return cli_error(x->cli, CLI_ERR_NO_TOPIC, "the archive has no topic %s", x->topic);
    }
    x->topic_id = topic->now.id;
    x->partition_count = topic->now.partition_count;
    x->offsets = el_calloc(x->partition_count, sizeof *x->offsets);
    if (x->offsets == NULL || (x->folder = el_format("%s/topic=%s", x->dir, x->topic)) == NULL ||
        (x->position_path = el_format("%s/" POSITION_FILE, x->folder)) == NULL) {
        return no_memory(x);
    }
    int rc = make_folder(x, x->dir);
    rc = rc == CLI_OK ? make_folder(x, x->folder) : rc;
    rc = rc == CLI_OK ? place(x) : rc;
    return rc == CLI_OK ? clear(x) : rc;
}

static int run(struct exporting *x)
{
    struct archive_batches batches = {.count = 0};
    int rc = begin(x);
    for (uint32_t i = 0; rc == CLI_OK && i < x->partition_count; i++) {
        if (archive_state_partition(archive_reader_state(x->reader), &x->topic_id, (int32_t)i) != NULL) {
            rc = export_partition(x, (int32_t)i, &batches);
        }
    }
    cli_progress_end(x->cli);
    archive_batches_free(&batches);
    if (rc == CLI_OK) {
        cli_say(x->cli, "%llu events in %llu files below %s", (unsigned long long)x->event_count,
                (unsigned long long)x->file_count, x->folder);
    }
    el_free(x->offsets);
    el_free(x->folder);
    el_free(x->position_path);
    el_buffer_free(&x->text);
    el_buffer_free(&x->packed);
    el_free(x->scratch);
    return rc;
}

static int check(struct exporting *x)
{
    if (x->topic == NULL || x->dir == NULL) {
        return cli_error(x->cli, CLI_ERR_VALUE, "--topic TOPIC and --to DIR are needed");
    }
    if (strcmp(x->format, "jsonl") != 0 && strcmp(x->format, "csv") != 0) {
        return cli_error(x->cli, CLI_ERR_VALUE, "--format is jsonl or csv, not %.100s", x->format);
    }
    x->csv = x->format[0] == 'c';
    return x->gzip && x->zstd ? cli_error(x->cli, CLI_ERR_VALUE, "give --gzip or --zstd, not both") : CLI_OK;
}

int cmd_archive_export(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct archive_arguments a = {.cli = cli};
    struct exporting x = {.cli = cli, .format = "jsonl", .day = -1};
    struct object_store *store = NULL;
    const struct cli_option options[] = {
        ARCHIVE_OPTIONS(&a),
        {"topic", 't', CLI_TEXT, &x.topic, "TOPIC", "whose events are exported"},
        {"format", 0, CLI_TEXT, &x.format, "FORMAT", "jsonl or csv; default jsonl"},
        {"to", 0, CLI_TEXT, &x.dir, "DIR", "folder that the files come below"},
        {"gzip", 0, CLI_FLAG, &x.gzip, NULL, "compress files with gzip"},
        {"zstd", 0, CLI_FLAG, &x.zstd, NULL, "compress files with zstd"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    a.url = words.items[0];
    rc = check(&x);
    rc = rc == CLI_OK ? archive_arguments_check(&a, false) : rc;
    if (rc == CLI_OK) {
        rc = archive_open(&a, &store, &x.reader);
    }
    if (rc == CLI_OK) {
        rc = run(&x);
        archive_reader_close(x.reader);
        object_store_close(store);
    }
    archive_arguments_free(&a);
    return rc;
}
