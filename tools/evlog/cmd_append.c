/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog append TOPIC KEY: append one event to a stream that is as expected, and say where it is.
 *
 * What can be checked without the broker is checked first: JSON that is none would be stored for good. Exit codes: 6
 * the stream is not as expected, 5 no such topic.
 */
#include "cli.h"
#include "data_argument.h"
#include "sealing.h"
#include "table.h"

#include <core/json.h>
#include <string.h>

#define NS_PER_MS 1000000
#define HEADER_MAX 256
#define CHECK_MAX 256
#define JSON_TYPE "application/json"

struct append {
    struct cli *cli;
    const char *expect;
    const char *type, *id, *source;
    const char *data;
    const char *content_type;
    struct cli_list headers;
    struct cli_list checks;
    int64_t time_ns;
    struct evlog_header header_array[HEADER_MAX];
    struct evlog_stream_check check_array[CHECK_MAX];
    struct el_buffer bytes; /* of a file or of stdin */
    struct evlog_new_event event;
    struct sealing sealing;
    char made_id[EVLOG_ID_MAX]; /* sealed data is bound to the id, so it is made first */
};

static int fill_headers(struct append *a)
{
    if (a->headers.count > HEADER_MAX || a->checks.count > CHECK_MAX) {
        return cli_error(a->cli, CLI_ERR_VALUE, "at most %d headers and %d checks", HEADER_MAX, CHECK_MAX);
    }
    for (size_t i = 0; i < a->headers.count; i++) {
        const char *pair = a->headers.items[i], *equals = strchr(pair, '=');
        if (equals == NULL || equals == pair) {
            return cli_error(a->cli, CLI_ERR_VALUE, "-H takes NAME=VALUE, not %s", pair);
        }
        a->header_array[i] = (struct evlog_header){
            {pair, (size_t)(equals - pair)},
            {equals + 1, strlen(equals + 1)},
        };
    }
    for (size_t i = 0; i < a->checks.count; i++) {
        const char *pair = a->checks.items[i], *equals = strrchr(pair, '=');
        if (equals == NULL || equals == pair) {
            return cli_error(a->cli, CLI_ERR_VALUE, "--check takes KEY=EXPECTED, not %s", pair);
        }
        a->check_array[i].key = (struct evlog_bytes){pair, (size_t)(equals - pair)};
        int rc = cli_expected(a->cli, "--check", equals + 1, &a->check_array[i].expected);
        if (rc != CLI_OK) {
            return rc;
        }
    }
    return CLI_OK;
}

/* --- data -------------------------------------------------------------------------------------------------------- */

static bool is_json(const char *content_type)
{
    size_t len = strcspn(content_type, "; \t");
    return (len == strlen(JSON_TYPE) && strncasecmp(content_type, JSON_TYPE, len) == 0) ||
           (len > 5 && strncasecmp(content_type + len - 5, "+json", 5) == 0);
}

static int fill_data(struct append *a)
{
    struct evlog_new_event *event = &a->event;
    struct el_error err = {0};
    if (a->data == NULL) {
        event->content_type = a->content_type;
        return CLI_OK;
    }
    int rc = data_argument(a->cli, a->data, &a->bytes, &event->data);
    event->content_type = a->content_type == NULL ? JSON_TYPE : a->content_type;
    if (rc != CLI_OK || !is_json(event->content_type)) {
        return rc;
    }
    const char *text = event->data.data;
    while (event->data.len > 0 && strchr(" \t\r\n", text[event->data.len - 1]) != NULL) {
        event->data.len--; /* the line's end of a file is not part of the document */
    }
    if (el_json_check(event->data.data, event->data.len, EL_JSON_DEPTH_MAX, &err) != 0) {
        return cli_error_remedy(a->cli,
                                (struct cli_remedy){CLI_ERR_VALUE, "quote it for the shell, as in --data "
                                                                   "'{\"total\":7}', or name its kind: --content-type "
                                                                   "text/plain"},
                                "--data is no JSON: %s", err.text);
    }
    return CLI_OK;
}

/* --- all --------------------------------------------------------------------------------------------------------- */

static int tell(const struct append *a, const struct evlog_appended *appended)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    cli_json_begin(&w, &line);
    el_json_add_int(&w, "version", appended->version);
    el_json_add_int(&w, "partition", appended->partition);
    el_json_add_int(&w, "offset", appended->offset);
    el_json_add_bool(&w, "duplicate", appended->duplicate);
    el_json_add_str(&w, "position", appended->position);
    int rc = cli_json_end(a->cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

static int check(struct append *a, int64_t *expected)
{
    int rc = cli_expected(a->cli, "--expect", a->expect, expected);
    if (rc == CLI_OK && (a->type == NULL || a->type[0] == '\0')) {
        rc = cli_error(a->cli, CLI_ERR_VALUE, "--type NAME says what kind of event it is");
    }
    if (rc == CLI_OK && a->id != NULL && a->id[0] == '\0') {
        rc = cli_error(a->cli, CLI_ERR_VALUE, "--id is empty: leave it out, and the event gets one");
    }
    if (rc == CLI_OK) {
        rc = fill_headers(a);
    }
    rc = rc == CLI_OK ? fill_data(a) : rc;
    return rc == CLI_OK ? sealing_open_to_seal(&a->sealing, a->cli) : rc;
}

static int seal(struct append *a, struct evlog_bytes key)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (!sealing_wanted(&a->sealing)) {
        return CLI_OK;
    }
    int rc = sealing_seal(&a->sealing, key, a->event.id, &a->event.data, &failure);
    int code = rc == 0 ? CLI_OK : cli_failure(a->cli, &failure);
    return rc == EVLOG_ERR_ERASED ? CLI_CONFLICT : code;
}

static int run(struct append *a, const struct cli_words *words)
{
    struct evlog_append append = EVLOG_APPEND_INIT;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = check(a, &append.expected);
    if (a->id == NULL) {
        evlog_event_id_make(a->made_id);
    }
    a->event.id = a->id == NULL ? a->made_id : a->id;
    if (rc == CLI_OK) {
        rc = seal(a, (struct evlog_bytes){words->items[1], strlen(words->items[1])});
    }
    if (rc == CLI_OK) {
        a->cli->ends_at_once = true;
        rc = cli_connect(a->cli);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    a->event.type = a->type;
    a->event.source = a->source;
    a->event.timestamp_ms = a->time_ns == EVLOG_TIME_NONE ? 0 : a->time_ns / NS_PER_MS;
    a->event.headers = a->header_array;
    a->event.header_count = a->headers.count;
    append.topic = words->items[0];
    append.key = (struct evlog_bytes){words->items[1], strlen(words->items[1])};
    append.events = &a->event;
    append.event_count = 1;
    append.checks = a->check_array;
    append.check_count = a->checks.count;
    rc = evlog_append(a->cli->client, &append, &appended, &failure);
    if (rc != 0) {
        if (rc == EVLOG_ERR_IN_DOUBT) {
            (void)snprintf(failure.hint, sizeof failure.hint,
                           "append it again with --id %s: what is stored already is not stored twice", a->event.id);
        }
        bool told = rc == EVLOG_ERR_WRONG_VERSION || rc == EVLOG_ERR_STREAM_ENDED;
        return cli_failure_conflict(a->cli, &failure, told ? &appended.conflict : NULL);
    }
    return tell(a, &appended);
}

int cmd_append(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    static struct append a; /* too large for a stack */
    a = (struct append){.cli = cli, .expect = "any", .time_ns = EVLOG_TIME_NONE};
    const struct cli_option options[] = {
        {"expect", 'e', CLI_TEXT, &a.expect, "EXPECTED", "none, any, exists, or the version of the last event (any)"},
        {"type", 't', CLI_TEXT, &a.type, "NAME", "type of the event"},
        {"id", 0, CLI_TEXT, &a.id, "ID", "id of the event: appended once, however often (a new one)"},
        {"data", 'd', CLI_TEXT, &a.data, "JSON", "what it says; @FILE: of a file, -: of stdin (nothing)"},
        {"content-type", 0, CLI_TEXT, &a.content_type, "TYPE", "of the data (application/json, which is checked)"},
        {"source", 0, CLI_TEXT, &a.source, "URI", "where the event is from (the topic)"},
        {"time", 0, CLI_TIME, &a.time_ns, "TIME", "event time (now)"},
        {"header", 'H', CLI_LIST, &a.headers, "NAME=VALUE", "a header more; may be repeated"},
        SEALING_SEAL_OPTIONS(&a.sealing),
        SEALING_KEYS_OPTIONS(&a.sealing),
        {"check", 0, CLI_LIST, &a.checks, "KEY=EXPECTED", "a condition on another stream of the partition; repeatable"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = run(&a, &words);
    }
    sealing_close(&a.sealing);
    el_buffer_free(&a.bytes);
    cli_list_free(&a.headers);
    cli_list_free(&a.checks);
    return rc;
}
