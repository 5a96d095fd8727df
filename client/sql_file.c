/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a SQL projection. Pure: bytes in, tables out, everything in one arena.
 *
 * 1. Comments that begin a line structure the file: "-- name:", "-- topics:", "-- filter:" in its head, then "-- setup"
 *    and "-- on TYPE, TYPE". Other comments mean nothing.
 * 2. What stands in a block is cut into statements at semicolons outside literals.
 * 3. A parameter becomes $1, $2, ... in its statement, each use a number of its own, so that a database may give each
 *    use its own type. Line breaks stay where they are: a fault that a database finds has its line.
 *
 * The first fault ends it, with "path:line: " in front of the text.
 */
#include "sql_file.h"

#include <core/buffer.h>
#include <core/crypto.h>
#include <core/nearest.h>
#include <core/utf8.h>
#include <evlog/projection.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#define ARENA_MAX ((size_t)64 << 20)

enum place { IN_HEAD, IN_SETUP, IN_BLOCK };

struct reading {
    struct el_sql_file *file;
    struct el_error *err;
    struct el_sql_scan scan;
    enum place place;
    const uint8_t *setup_begin;
    struct el_sql_block *block;       /* being read */
    struct el_sql_block **block_tail; /* where the next one is linked */
    struct el_sql_statement **statement_tail;
    struct el_buffer text; /* of the statement being read */
    uint32_t text_line;    /* 0: it has not begun */
    struct el_sql_param params[EL_SQL_PARAM_MAX];
    uint32_t param_count;
};

static int refuse(struct reading *r, uint32_t line, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int refuse(struct reading *r, uint32_t line, const char *format, ...)
{
    char text[EL_ERROR_TEXT_MAX / 2];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return el_error_set(r->err, EVLOG_ERR_MALFORMED, "%.200s:%u: %s", r->file->path, line, text);
}

static int no_memory(struct reading *r)
{
    return el_error_set(r->err, EVLOG_ERR_NO_MEMORY, "%.200s: no memory to read it", r->file->path);
}

/* --- the comments that structure the file ------------------------------------------------------------------------ */

static struct el_slice trimmed(const uint8_t *from, const uint8_t *to)
{
    while (from < to && (*from == ' ' || *from == '\t')) {
        from++;
    }
    while (from < to && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r')) {
        to--;
    }
    return el_slice_of(from, (size_t)(to - from));
}

/* What stands behind a word, when the text begins with it. */
static bool begins(struct el_slice text, const char *word, struct el_slice *rest)
{
    size_t len = strlen(word);
    if (text.len < len || strncasecmp((const char *)text.data, word, len) != 0) {
        return false;
    }
    *rest = trimmed(text.data + len, text.data + text.len);
    return true;
}

/* The next item of a list with commas; false behind the last. */
static bool next_item(struct el_slice *list, struct el_slice *item)
{
    if (list->data == NULL) {
        return false;
    }
    const uint8_t *comma = list->len == 0 ? NULL : memchr(list->data, ',', list->len);
    const uint8_t *end = list->data + list->len;
    *item = trimmed(list->data, comma == NULL ? end : comma);
    *list = comma == NULL ? el_slice_of(NULL, 0) : el_slice_of(comma + 1, (size_t)(end - comma - 1));
    return true;
}

static int is_name(struct el_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '_' || c == '-';
        if (!fine) {
            return false;
        }
    }
    return text.len > 0;
}

static int take_name(struct reading *r, struct el_slice text)
{
    if (r->file->name != NULL) {
        return refuse(r, r->scan.token_line, "the name is given twice");
    }
    if (!is_name(text) || text.len > EVLOG_PROJECTION_NAME_MAX) {
        return refuse(r, r->scan.token_line, "a name has 1 to %d letters, digits, '.', '_' and '-'",
                      EVLOG_PROJECTION_NAME_MAX);
    }
    r->file->name = el_arena_strndup(&r->file->arena, text.data, text.len);
    return r->file->name == NULL ? no_memory(r) : 0;
}

static int take_topics(struct reading *r, struct el_slice text)
{
    struct el_slice item;
    while (next_item(&text, &item)) {
        if (!is_name(item) || item.len > 249) {
            return refuse(r, r->scan.token_line, "\"%.*s\" is no name of a topic: -- topics: orders, payments",
                          (int)EL_MIN(item.len, 60), (const char *)item.data);
        }
        if (r->file->topic_count == EL_SQL_TOPIC_MAX) {
            return refuse(r, r->scan.token_line, "at most %d topics", EL_SQL_TOPIC_MAX);
        }
        for (uint32_t i = 0; i < r->file->topic_count; i++) {
            if (el_slice_eq(el_slice_str(r->file->topics[i]), item)) {
                return refuse(r, r->scan.token_line, "topic %s is named twice", r->file->topics[i]);
            }
        }
        const char *topic = el_arena_strndup(&r->file->arena, item.data, item.len);
        if (topic == NULL) {
            return no_memory(r);
        }
        r->file->topics[r->file->topic_count++] = topic;
    }
    return 0;
}

static int take_filter(struct reading *r, struct el_slice text)
{
    if (text.len == 0 || r->file->filter_count == EL_SQL_FILTER_MAX) {
        return refuse(r, r->scan.token_line,
                      text.len == 0 ? "a filter is an event pattern in JSON, on one line"
                                    : "at most 5 filters, of which any may match");
    }
    const char *filter = el_arena_strndup(&r->file->arena, text.data, text.len);
    if (filter == NULL) {
        return no_memory(r);
    }
    r->file->filters[r->file->filter_count++] = filter;
    return 0;
}

/* A word with a colon in the head that is nearly one of ours is a slip, not a comment. */
static int look_at_comment(struct reading *r, struct el_slice text)
{
    static const char *const words[] = {"name", "topics", "topic", "filter", "filters", "setup"};
    char word[16];
    const uint8_t *colon = text.len == 0 ? NULL : memchr(text.data, ':', EL_MIN(text.len, sizeof word));
    if (r->place != IN_HEAD || colon == NULL) {
        return 0;
    }
    (void)snprintf(word, sizeof word, "%.*s", (int)(colon - text.data), (const char *)text.data);
    const char *near = strchr(word, ' ') == NULL ? el_nearest(word, words, sizeof words / sizeof words[0]) : NULL;
    if (near == NULL) {
        return 0;
    }
    near = strncmp(near, "topic", 5) == 0 ? "topics" : strncmp(near, "filter", 6) == 0 ? "filter" : near;
    return refuse(r, r->scan.token_line, "\"-- %s:\" means nothing here; did you mean \"-- %s%s\"?", word, near,
                  strcmp(near, "setup") == 0 ? "" : ":");
}

/* --- blocks ------------------------------------------------------------------------------------------------------- */

static int end_statement(struct reading *r)
{
    if (r->text_line == 0) {
        return 0;
    }
    if (r->file->statement_count == EL_SQL_STATEMENT_MAX) {
        return refuse(r, r->text_line, "at most %d statements", EL_SQL_STATEMENT_MAX);
    }
    struct el_sql_statement *statement = el_arena_zalloc(&r->file->arena, sizeof *statement);
    struct el_sql_param *params = el_arena_dup(&r->file->arena, r->params, r->param_count * sizeof *params);
    const char *text = el_buffer_text(&r->text);
    if (statement == NULL || params == NULL || text == NULL) {
        return no_memory(r);
    }
    statement->text = el_arena_strndup(&r->file->arena, text, r->text.len);
    if (statement->text == NULL) {
        return no_memory(r);
    }
    statement->line = r->text_line;
    statement->params = params;
    statement->param_count = r->param_count;
    *r->statement_tail = statement;
    r->statement_tail = &statement->next;
    statement->index = r->file->statement_count++;
    el_buffer_reset(&r->text);
    r->text_line = r->param_count = 0;
    return 0;
}

static int end_block(struct reading *r)
{
    if (r->place == IN_SETUP) {
        struct el_slice text = el_slice_of(r->setup_begin, (size_t)(r->scan.token - r->setup_begin));
        r->file->setup = el_arena_strndup(&r->file->arena, text.data, text.len);
        return r->file->setup == NULL ? no_memory(r) : 0;
    }
    return r->place == IN_BLOCK ? end_statement(r) : 0;
}

static int take_types(struct reading *r, struct el_sql_block *block, struct el_slice list)
{
    struct el_slice item, copy = list;
    while (next_item(&copy, &item)) {
        block->type_count++;
    }
    if (block->type_count > EL_SQL_TYPE_MAX) {
        return refuse(r, block->line, "at most %d types in a block", EL_SQL_TYPE_MAX);
    }
    block->types = el_arena_alloc(&r->file->arena, block->type_count * sizeof *block->types);
    if (block->types == NULL) {
        return no_memory(r);
    }
    for (uint32_t i = 0; next_item(&list, &item); i++) {
        bool blank = item.len == 0 || memchr(item.data, ' ', item.len) != NULL;
        if (blank) {
            return refuse(r, block->line,
                          "\"%.*s\" is no event type; a block is \"-- on TYPE, TYPE\", and another "
                          "comment must not begin with \"on\"",
                          (int)EL_MIN(item.len, 60), (const char *)item.data);
        }
        const void *type = el_arena_dup(&r->file->arena, item.data, item.len);
        if (type == NULL) {
            return no_memory(r);
        }
        block->types[i] = el_slice_of(type, item.len);
        block->any = block->any || (item.len == 1 && item.data[0] == '*');
    }
    return 0;
}

static int begin_block(struct reading *r, struct el_slice types)
{
    int rc = end_block(r);
    if (rc != 0) {
        return rc;
    }
    if (types.len == 0) {
        return refuse(r, r->scan.token_line, "\"-- on\" names no event type: \"-- on TYPE, TYPE\", or \"-- on *\"");
    }
    struct el_sql_block *block = el_arena_zalloc(&r->file->arena, sizeof *block);
    if (block == NULL) {
        return no_memory(r);
    }
    block->line = r->scan.token_line;
    *r->block_tail = r->block = block;
    r->block_tail = &block->next;
    r->statement_tail = &block->statements;
    r->place = IN_BLOCK;
    return take_types(r, block, types);
}

static int begin_setup(struct reading *r)
{
    int rc = end_block(r);
    if (rc != 0) {
        return rc;
    }
    if (r->file->setup_line != 0) {
        return refuse(r, r->scan.token_line, "there is a setup already, on line %u", r->file->setup_line);
    }
    r->place = IN_SETUP;
    r->setup_begin = r->scan.p;
    r->file->setup_line = r->scan.token_line;
    return 0;
}

static int take_mark(struct reading *r)
{
    struct el_slice text = trimmed(r->scan.token + 2, r->scan.p), rest;
    static const struct {
        const char *word;
        int (*take)(struct reading *r, struct el_slice text);
    } heads[] = {{"name:", take_name}, {"topics:", take_topics}, {"filter:", take_filter}};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        if (begins(text, heads[i].word, &rest)) {
            if (r->place != IN_HEAD) {
                return refuse(r, r->scan.token_line, "\"-- %s\" belongs before the first block", heads[i].word);
            }
            return heads[i].take(r, rest);
        }
    }
    if (begins(text, "setup", &rest) && (rest.len == 0 || (rest.len == 1 && rest.data[0] == ':'))) {
        return begin_setup(r);
    }
    if (begins(text, "on", &rest) && (text.len == 2 || text.data[2] == ' ' || text.data[2] == '\t')) {
        return begin_block(r, rest);
    }
    return look_at_comment(r, text);
}

/* --- what stands in them ------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    enum el_sql_source source;
} sources[] = {
    {"key", EL_SQL_KEY},     {"version", EL_SQL_VERSION},     {"type", EL_SQL_TYPE},
    {"id", EL_SQL_ID},       {"time", EL_SQL_TIME},           {"append_time", EL_SQL_APPEND_TIME},
    {"topic", EL_SQL_TOPIC}, {"partition", EL_SQL_PARTITION}, {"offset", EL_SQL_OFFSET},
    {"data", EL_SQL_DATA},   {"erased", EL_SQL_ERASED},
};
#define SOURCE_COUNT (sizeof sources / sizeof sources[0])

static int unknown_param(struct reading *r, struct el_slice name)
{
    const char *names[SOURCE_COUNT];
    char word[64];
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        names[i] = sources[i].name;
    }
    (void)snprintf(word, sizeof word, "%.*s", (int)EL_MIN(name.len, sizeof word - 1), (const char *)name.data);
    const char *near = el_nearest(word, names, SOURCE_COUNT);
    if (near != NULL) {
        return refuse(r, r->scan.token_line, "there is no parameter :%s; did you mean :%s?", word, near);
    }
    return refuse(r, r->scan.token_line, "there is no parameter :%s; a field of the event's data is :data.%s", word,
                  word);
}

static int take_path(struct reading *r, struct el_sql_param *param, struct el_slice path)
{
    if (path.len > EL_SQL_PATH_MAX) {
        return refuse(r, param->line, "a path has at most %d bytes", EL_SQL_PATH_MAX);
    }
    if (param->optional && param->source == EL_SQL_SUBJECT) {
        return refuse(r, param->line, ":subject.%.*s? - it is null already where nothing is sealed", (int)path.len,
                      (const char *)path.data);
    }
    param->path = el_arena_strndup(&r->file->arena, path.data, path.len);
    return param->path == NULL ? no_memory(r) : 0;
}

static int read_param(struct reading *r, struct el_sql_param *param)
{
    struct el_slice name = el_slice_of(r->scan.token + 1, (size_t)(r->scan.p - r->scan.token - 1));
    *param = (struct el_sql_param){.line = r->scan.token_line};
    if (name.data[name.len - 1] == '?') {
        param->optional = true;
        name.len--;
    }
    static const struct {
        const char *prefix;
        enum el_sql_source source;
    } with_path[] = {{"data.", EL_SQL_FIELD}, {"subject.", EL_SQL_SUBJECT}};
    for (size_t i = 0; i < sizeof with_path / sizeof with_path[0]; i++) {
        size_t len = strlen(with_path[i].prefix);
        if (name.len > len && memcmp(name.data, with_path[i].prefix, len) == 0) {
            param->source = with_path[i].source;
            return take_path(r, param, el_slice_of(name.data + len, name.len - len));
        }
    }
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        if (el_slice_eq(el_slice_str(sources[i].name), name)) {
            param->source = sources[i].source;
            r->file->uses_version = r->file->uses_version || param->source == EL_SQL_VERSION;
            r->file->uses_erased = r->file->uses_erased || param->source == EL_SQL_ERASED;
            if (param->optional) {
                return refuse(r, param->line, ":%s? - only fields of the data can be missing", sources[i].name);
            }
            return 0;
        }
    }
    return unknown_param(r, name);
}

static int take_param(struct reading *r)
{
    struct el_sql_param param;
    if (r->place == IN_SETUP) {
        return refuse(r, r->scan.token_line, "%.*s: there is no event in the setup, and so no parameter",
                      (int)EL_MIN(r->scan.p - r->scan.token, 60), (const char *)r->scan.token);
    }
    if (r->param_count == EL_SQL_PARAM_MAX) {
        return refuse(r, r->scan.token_line, "at most %d parameters in a statement", EL_SQL_PARAM_MAX);
    }
    int rc = read_param(r, &param);
    if (rc == 0) {
        r->params[r->param_count++] = param;
        el_buffer_printf(&r->text, "$%u", r->param_count);
    }
    return rc;
}

static int take_token(struct reading *r, enum el_sql_token token)
{
    bool empty = token == EL_SQL_SPACE || token == EL_SQL_COMMENT || token == EL_SQL_MARK;
    if (token == EL_SQL_MARK) {
        int rc = take_mark(r);
        if (rc != 0) {
            return rc;
        }
    }
    if (!empty && r->place == IN_HEAD) {
        return refuse(r, r->scan.token_line, "there is SQL before the first block: \"-- setup\" or \"-- on TYPE\"");
    }
    if (token == EL_SQL_PARAM) {
        r->text_line = r->text_line == 0 ? r->scan.token_line : r->text_line;
        return take_param(r);
    }
    if (r->place != IN_BLOCK) {
        return 0;
    }
    if (token == EL_SQL_SEMICOLON) {
        return end_statement(r);
    }
    if (!empty && r->text_line == 0) {
        r->text_line = r->scan.token_line;
    }
    if (r->text_line != 0) {
        el_buffer_append(&r->text, r->scan.token, (size_t)(r->scan.p - r->scan.token));
    }
    return 0;
}

static void hash_text(struct el_sha256 *hash, const void *text, size_t len)
{
    uint8_t head[8];
    el_put_le64(head, len);
    el_sha256_add(hash, head, sizeof head);
    el_sha256_add(hash, text, len);
}

/* Everything that decides what rows come out. */
static void hash_file(struct el_sql_file *file)
{
    struct el_sha256 hash;
    uint8_t digest[32];
    el_sha256_begin(&hash);
    for (uint32_t i = 0; i < file->topic_count; i++) {
        hash_text(&hash, file->topics[i], strlen(file->topics[i]));
    }
    for (uint32_t i = 0; i < file->filter_count; i++) {
        hash_text(&hash, file->filters[i], strlen(file->filters[i]));
    }
    hash_text(&hash, file->setup, file->setup == NULL ? 0 : strlen(file->setup));
    for (const struct el_sql_block *block = file->blocks; block != NULL; block = block->next) {
        for (uint32_t i = 0; i < block->type_count; i++) {
            hash_text(&hash, block->types[i].data, block->types[i].len);
        }
        for (const struct el_sql_statement *s = block->statements; s != NULL; s = s->next) {
            hash_text(&hash, s->text, strlen(s->text));
            for (uint32_t i = 0; i < s->param_count; i++) {
                const struct el_sql_param *param = &s->params[i];
                uint8_t kind[2] = {(uint8_t)param->source, param->optional};
                hash_text(&hash, kind, sizeof kind);
                hash_text(&hash, param->path, param->path == NULL ? 0 : strlen(param->path));
            }
        }
    }
    el_sha256_end(&hash, digest);
    el_hex(file->definition, digest, sizeof digest);
}

static int check_whole(struct reading *r)
{
    const struct el_sql_file *file = r->file;
    if (file->name == NULL) {
        return refuse(r, 1, "the projection has no name: begin the file with \"-- name: NAME\"");
    }
    if (file->topic_count == 0) {
        return refuse(r, 1, "the projection reads no topic: add \"-- topics: TOPIC, TOPIC\" to its head");
    }
    if (file->blocks == NULL) {
        return refuse(r, r->scan.line, "the projection takes no events: add a block \"-- on TYPE\", or \"-- on *\"");
    }
    return 0;
}

static int read_all(struct reading *r)
{
    enum el_sql_token token;
    do {
        token = el_sql_scan_next(&r->scan);
        if (r->scan.fault != NULL) {
            return refuse(r, r->scan.token_line, "%s", r->scan.fault);
        }
        int rc = token == EL_SQL_END ? end_block(r) : take_token(r, token);
        if (rc != 0) {
            return rc;
        }
    } while (token != EL_SQL_END);
    return check_whole(r);
}

int el_sql_file_read(struct el_sql_file *file, const char *path, const void *text, size_t len, struct el_error *err)
{
    struct reading r = {.file = file, .err = err};
    el_arena_init(&file->arena, NULL, ARENA_MAX);
    file->path = el_arena_strndup(&file->arena, path, strlen(path));
    if (file->path == NULL) {
        file->path = "";
        return no_memory(&r);
    }
    if (len > EL_SQL_FILE_LEN_MAX) {
        return el_error_set(err, EVLOG_ERR_LIMIT, "%.200s: %zu bytes, at most %u", path, len, EL_SQL_FILE_LEN_MAX);
    }
    if ((len > 0 && memchr(text, 0, len) != NULL) || !el_utf8_valid(text, len)) {
        return refuse(&r, 1, "this is no text in UTF-8");
    }
    el_sql_scan_init(&r.scan, text, len);
    r.block_tail = &file->blocks;
    int rc = read_all(&r);
    if (rc == 0) {
        hash_file(file);
    }
    el_buffer_free(&r.text);
    return rc;
}

void el_sql_file_free(struct el_sql_file *file)
{
    el_arena_reset(&file->arena);
    *file = (struct el_sql_file){.path = NULL};
}
