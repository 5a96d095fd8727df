/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog audit tail: the records of the audit log, from the broker or from an archive; with --follow those that come.
 *
 * A change has two records: that it was asked for, and what became of it. The second says all that the first does, so
 * that is shown; of a change without it nobody knows whether it was made (the broker has ended in between, or it is
 * under way): it is shown at the end, as "unknown".
 */
#include "cli.h"
#include "replay_source.h"
#include "table.h"

#include <core/alloc.h>
#include <core/json.h>
#include <string.h>

#define AUDIT_TOPIC "__evlog_audit"
#define WAIT_MS 200      /* between looks at whether to stop */
#define OPEN_CALLS 1024u /* changes without outcome that are remembered */
#define DEPTH_MAX 32

struct open_call {
    char *call; /* NULL: free */
    char *text; /* the record */
};

struct audit_tail {
    struct cli *cli;
    const char *principal, *topic, *api, *outcome, *class;
    int64_t since_ns; /* -1: from the start */
    bool follow, all;
    struct replay_source source;
    struct evlog_replay_options archive; /* what the source says */
    struct open_call open[OPEN_CALLS];
};

/* --- which -------------------------------------------------------------------------------------------------------- */

static const char *text_of(const struct el_json *json, const char *name)
{
    const char *text;
    return el_json_get_text(json, name, &text, NULL) == 0 ? text : NULL;
}

static bool fits(const char *wanted, const char *found)
{
    return wanted == NULL || (found != NULL && strcmp(wanted, found) == 0);
}

/* Is this text a value anywhere in it? The depth of what evlogd writes is bounded; that of what is read as well. */
static bool holds(const struct el_json *json, const char *text, int depth)
{
    struct el_slice found;
    if (json == NULL || depth == DEPTH_MAX) {
        return false;
    }
    if (el_json_string(json, &found) == 0) {
        return el_slice_eq(found, el_slice_str(text));
    }
    for (size_t i = 0; el_json_type_of(json) == EL_JSON_ARRAY && i < el_json_count(json); i++) {
        if (holds(el_json_at(json, i), text, depth + 1)) {
            return true;
        }
    }
    for (void *iter = el_json_first(json); iter != NULL; iter = el_json_next(json, iter)) {
        if (holds(el_json_iter_value(iter), text, depth + 1)) {
            return true;
        }
    }
    return false;
}

/* Of a change a topic is among the parameters, or in what was there before (a rule that a filter has found); of a sum
 * it is the resource, of a denial with its kind before it. */
static bool is_about(const struct el_json *json, const char *topic)
{
    const char *resource = text_of(json, "resource");
    if (topic == NULL || holds(el_json_get(json, "parameters"), topic, 0) ||
        holds(el_json_get(json, "before"), topic, 0)) {
        return true;
    }
    return resource != NULL &&
           (strcmp(resource, topic) == 0 || (strncmp(resource, "Topic ", 6) == 0 && strcmp(resource + 6, topic) == 0));
}

static bool wanted(const struct audit_tail *t, const struct el_json *json, bool pending)
{
    const char *api = text_of(json, "api");
    return fits(t->principal, text_of(json, "principal")) && fits(t->class, text_of(json, "class")) &&
           fits(t->api, api != NULL ? api : text_of(json, "action")) &&
           fits(t->outcome, pending ? "unknown" : text_of(json, "outcome")) && is_about(json, t->topic);
}

/* --- one record --------------------------------------------------------------------------------------------------- */

static void word(struct el_buffer *line, const char *text)
{
    if (text != NULL && text[0] != 0) {
        el_buffer_append_str(line, "  ");
        cli_text(line, (struct evlog_bytes){text, strlen(text)}, CLI_SHOWN_MAX);
    }
}

static int show(const struct audit_tail *t, const struct el_json *json, struct el_slice raw, bool pending)
{
    struct el_buffer line = {0};
    struct el_slice parameters = {0}, before = {0};
    int64_t count = 1;
    if (t->cli->json) {
        el_buffer_append(&line, raw.data, raw.len);
    } else {
        const char *api = text_of(json, "api"), *time = text_of(json, "time"), *phase = text_of(json, "phase");
        bool asked = phase != NULL && strcmp(phase, "asked") == 0;
        el_buffer_append_str(&line, time == NULL ? "-" : time);
        word(&line, pending ? "unknown" : asked ? "asked" : text_of(json, "outcome"));
        word(&line, text_of(json, "class"));
        word(&line, text_of(json, "principal"));
        word(&line, text_of(json, "address"));
        word(&line, api != NULL ? api : text_of(json, "action"));
        word(&line, text_of(json, "resource"));
        word(&line, text_of(json, "detail"));
        word(&line, text_of(json, "error"));
        if (el_json_get_int(json, "count", &count, NULL) == 0 && count > 1) {
            el_buffer_printf(&line, "  (%lld times)", (long long)count);
        }
        if (el_json_raw_member(raw.data, raw.len, "parameters", &parameters, NULL) == 0) {
            el_buffer_append_str(&line, "  ");
            cli_text(&line, (struct evlog_bytes){parameters.data, parameters.len}, CLI_SHOWN_MAX);
        }
        if (el_json_raw_member(raw.data, raw.len, "before", &before, NULL) == 0) {
            el_buffer_append_str(&line, "  before ");
            cli_text(&line, (struct evlog_bytes){before.data, before.len}, CLI_SHOWN_MAX);
        }
    }
    el_buffer_append_char(&line, '\n');
    int rc = cli_put(t->cli, &line);
    el_buffer_free(&line);
    return rc;
}

static void open_end(struct open_call *open)
{
    el_free(open->call);
    el_free(open->text);
    *open = (struct open_call){0};
}

static char *copy(struct el_slice text)
{
    char *to = el_malloc(text.len + 1);
    if (to != NULL) {
        memcpy(to, text.data, text.len);
        to[text.len] = 0;
    }
    return to;
}

/* Remember that a change is asked for, until its outcome comes. */
static void open_note(struct audit_tail *t, const char *call, bool asked, struct el_slice raw)
{
    struct open_call *free_place = NULL;
    for (uint32_t i = 0; i < OPEN_CALLS; i++) {
        if (t->open[i].call == NULL) {
            free_place = free_place == NULL ? &t->open[i] : free_place;
        } else if (strcmp(t->open[i].call, call) == 0) {
            open_end(&t->open[i]);
            return;
        }
    }
    if (asked && free_place != NULL) {
        free_place->call = el_strdup(call);
        free_place->text = copy(raw);
        if (free_place->call == NULL || free_place->text == NULL) {
            open_end(free_place);
        }
    }
}

static int take(struct audit_tail *t, const struct evlog_event *event)
{
    struct el_slice raw = el_slice_of(event->value.data, event->value.len);
    struct el_error err = {0};
    struct el_json *json;
    int rc = CLI_OK;
    if (t->since_ns >= 0 && cli_event_ns(event->timestamp_ms) < t->since_ns) {
        return CLI_OK;
    }
    if (el_json_parse(raw.data, raw.len, DEPTH_MAX, &json, &err) != 0) {
        cli_say(t->cli, "offset %lld is no record of an audit log: %s", (long long)event->offset, err.text);
        return CLI_OK;
    }
    const char *call = text_of(json, "call"), *phase = text_of(json, "phase");
    bool asked = phase != NULL && strcmp(phase, "asked") == 0;
    if (call != NULL) {
        open_note(t, call, asked, raw);
    }
    if (wanted(t, json, false) && (!asked || t->all)) {
        rc = show(t, json, raw, false);
    }
    el_json_free(json);
    return rc;
}

/* Changes without outcome. */
static int finish(struct audit_tail *t)
{
    int rc = CLI_OK;
    for (uint32_t i = 0; i < OPEN_CALLS; i++) {
        struct el_json *json;
        struct el_slice raw = el_slice_str(t->open[i].text == NULL ? "" : t->open[i].text);
        if (rc == CLI_OK && raw.len > 0 && !t->all && !cli_interrupted &&
            el_json_parse(raw.data, raw.len, DEPTH_MAX, &json, NULL) == 0) {
            rc = wanted(t, json, true) ? show(t, json, raw, true) : CLI_OK;
            el_json_free(json);
        }
        open_end(&t->open[i]);
    }
    return rc;
}

/* --- from the broker ---------------------------------------------------------------------------------------------- */

static int read_on(struct audit_tail *t, struct evlog_consumer *consumer)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_event *event;
    int rc = CLI_OK;
    while (rc == CLI_OK && !cli_interrupted && !evlog_consumer_at_end(consumer)) {
        int got = evlog_consumer_next(consumer, WAIT_MS, &event, &failure);
        if (got < 0) {
            return cli_failure(t->cli, &failure);
        }
        if (got == 1) {
            rc = take(t, event);
        } else {
            (void)fflush(stdout);
        }
    }
    return rc;
}

static int assign(struct audit_tail *t, struct evlog_consumer *consumer, struct evlog_failure *failure)
{
    int64_t start = EVLOG_OFFSET_EARLIEST, end = -1;
    int code = 0;
    if (t->since_ns >= 0) {
        code = evlog_offset_at(t->cli->client, AUDIT_TOPIC, 0, t->since_ns / 1000000, &start, failure);
        start = code == 0 && start < 0 ? EVLOG_OFFSET_LATEST : start;
    }
    if (code == 0 && !t->follow) {
        code = evlog_offset_at(t->cli->client, AUDIT_TOPIC, 0, EVLOG_OFFSET_LATEST, &end, failure);
    }
    return code != 0 ? code : evlog_consumer_assign(consumer, 0, start, end, failure);
}

static int from_broker(struct audit_tail *t)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_consumer_options options = EVLOG_CONSUMER_OPTIONS_INIT;
    struct evlog_consumer *consumer;
    int rc = cli_connect(t->cli);
    if (rc != CLI_OK || t->cli->client == NULL) {
        return rc;
    }
    options.topic = AUDIT_TOPIC;
    if (evlog_consumer_open(t->cli->client, &options, &consumer, &failure) != 0) {
        return cli_failure(t->cli, &failure);
    }
    rc = assign(t, consumer, &failure) != 0 ? cli_failure(t->cli, &failure) : read_on(t, consumer);
    evlog_consumer_close(consumer);
    return rc;
}

/* --- from an archive ---------------------------------------------------------------------------------------------- */

static int from_archive(struct audit_tail *t)
{
    struct evlog_archive_options options = EVLOG_ARCHIVE_OPTIONS_INIT;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_archive *archive;
    const struct evlog_event *event;
    int rc = CLI_OK, got = 1;
    options.url = t->archive.archive_url;
    options.public_keys = t->source.key_text;
    options.topic = AUDIT_TOPIC;
    if (evlog_archive_open(&options, &archive, &failure) != 0) {
        return cli_failure(t->cli, &failure);
    }
    while (rc == CLI_OK && got == 1 && !cli_interrupted) {
        got = evlog_archive_next(archive, &event, &failure);
        rc = got == 1 ? take(t, event) : got < 0 ? cli_failure(t->cli, &failure) : CLI_OK;
    }
    evlog_archive_close(archive);
    return rc;
}

/* ------------------------------------------------------------------------------------------------------------------ */

static int run(struct audit_tail *t)
{
    struct evlog_replay_options options = EVLOG_REPLAY_OPTIONS_INIT;
    t->archive = options;
    int rc = replay_source_take(&t->source, t->cli, &t->archive);
    if (rc != CLI_OK) {
        return rc;
    }
    bool archived = t->archive.archive_url != NULL;
    if (archived && t->follow) {
        return cli_error(t->cli, CLI_ERR_VALUE, "--follow reads a broker; evlog archive tail follows an archive");
    }
    rc = archived ? from_archive(t) : from_broker(t);
    int rest = finish(t);
    return rc == CLI_OK ? rest : rc;
}

int cmd_audit_tail(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    static struct audit_tail t;
    t = (struct audit_tail){.cli = cli, .since_ns = -1};
    const struct cli_option options[] = {
        {"follow", 'F', CLI_FLAG, &t.follow, NULL, "go on with what comes"},
        {"principal", 0, CLI_TEXT, &t.principal, "P", "only what this principal has done, as User:alice"},
        {"topic", 't', CLI_TEXT, &t.topic, "TOPIC", "only what is about this topic"},
        {"api", 0, CLI_TEXT, &t.api, "API", "only this request, as CreateTopics, or read, write, clock_jump ..."},
        {"outcome", 0, CLI_TEXT, &t.outcome, "WORD", "only ok, denied, failed, partial, found or unknown"},
        {"class", 0, CLI_TEXT, &t.class, "CLASS", "only changes, denials, authentication, access or faults"},
        {"since", 0, CLI_TIME, &t.since_ns, "TIME", "only what was written at or after a time"},
        {"all", 0, CLI_FLAG, &t.all, NULL, "also the records that a change is asked for"},
        REPLAY_SOURCE_OPTIONS(&t.source),
    };
    const struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 0, 0};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    rc = rc == CLI_PARSED ? run(&t) : rc;
    replay_source_free(&t.source);
    return rc;
}
