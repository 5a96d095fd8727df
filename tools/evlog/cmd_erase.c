/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog erase SUBJECT: in two steps, since the loss of a key is the loss of the data.
 *
 * 1. The key is disabled: everything that it has sealed is read as erased, nothing more is sealed with it, and
 *    'evlog keys restore' undoes it.
 * 2. The same command, once the time of grace is over (--now does not wait), destroys the key and tells a topic.
 *
 * --report changes nothing: it tells who may still hold decrypted copies.
 */
#include "erase_report.h"
#include "sealing.h"
#include "table.h"

#include <core/base64.h>
#include <core/timefmt.h>
#include <string.h>

#define NS_PER_MS 1000000
#define GRACE_MS (7ll * 24 * 3600 * 1000)

struct erase {
    struct cli *cli;
    struct sealing sealing;
    const char *name; /* as it was given */
    struct evlog_bytes subject;
    const char *confirm, *topic;
    struct cli_list topics, dbs;
    int64_t grace_ms;
    bool now, report;
};

static int tell(const struct erase *e, const char *id, const char *state, int64_t ms, const struct evlog_erased *erased)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    cli_json_begin(&w, &line);
    el_json_add_str(&w, "subject", id);
    el_json_add_str(&w, "state", state);
    cli_json_time(&w, erased == NULL ? "restorable_until" : "erased_at", ms * NS_PER_MS, 3);
    if (erased != NULL) {
        el_json_add_str(&w, "topic", e->topic);
        el_json_add_int(&w, "partition", erased->partition);
        el_json_add_int(&w, "offset", erased->offset);
    }
    int rc = cli_json_end(e->cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

static int disable(struct erase *e)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_key_record record;
    struct evlog_key_store *keys = e->sealing.store;
    int64_t until_ms = e->cli->now_ns / NS_PER_MS + e->grace_ms;
    if (keys->calls->disable(keys, e->subject, until_ms, &record, &failure) != 0) {
        return cli_failure(e->cli, &failure);
    }
    cli_say(e->cli, "the key is disabled: its data is read as erased. The same command destroys it for good once the "
                    "time is over; 'evlog keys restore' makes it live again until then");
    return tell(e, record.id, "disabled", record.until_ms, NULL);
}

static int destroy(struct erase *e)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_erase options = EVLOG_ERASE_INIT;
    struct evlog_erased erased = EVLOG_ERASED_INIT;
    options.subject = e->subject;
    options.now = e->now;
    options.topic = strcmp(e->topic, EVLOG_ERASURES_TOPIC) == 0 ? NULL : e->topic;
    int rc = cli_connect(e->cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_erase(e->cli->client, e->sealing.store, &options, &erased, &failure) != 0) {
        return cli_failure(e->cli, &failure);
    }
    cli_say(e->cli, "the key is destroyed: 'evlog erase %s --report' tells who may still hold copies", erased.subject);
    return tell(e, erased.subject, "destroyed", erased.erased_ms, &erased);
}

static int erase(struct erase *e)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_key_record record;
    struct evlog_key_store *keys = e->sealing.store;
    int rc = keys->calls->look(keys, e->subject, &record, &failure);
    if (rc != 0) {
        return cli_failure(e->cli, &failure);
    }
    rc = cli_confirm(e->cli, "subject", e->name, e->confirm);
    if (rc != CLI_OK) {
        return rc;
    }
    return record.state == EVLOG_KEY_LIVE && !e->now ? disable(e) : destroy(e);
}

/* The pseudonym of a subject, or what was given when it is one already. */
static int report(struct erase *e)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_key_record record;
    struct el_uuid id;
    struct erase_report_wanted wanted = {
        .subject = e->name,
        .erasures = e->topic,
        .topics = &e->topics,
        .dbs = &e->dbs,
    };
    if (el_uuid_parse(e->name, strlen(e->name), &id) != 0) {
        int rc = sealing_open(&e->sealing, e->cli, true);
        if (rc != CLI_OK) {
            return rc;
        }
        struct evlog_key_store *keys = e->sealing.store;
        if (keys->calls->look(keys, e->subject, &record, &failure) != 0) {
            (void)snprintf(failure.hint, sizeof failure.hint,
                           "a subject that is erased is known by its pseudonym only, which the erasure has told");
            return cli_failure(e->cli, &failure);
        }
        wanted.subject = record.id;
    }
    int rc = cli_connect(e->cli);
    return rc == CLI_OK ? erase_report(e->cli, &wanted) : rc;
}

static int run(struct erase *e, const struct cli_words *words)
{
    e->name = words->items[0];
    e->subject = (struct evlog_bytes){e->name, strlen(e->name)};
    if (e->subject.len == 0 || e->grace_ms < 0) {
        return cli_error(e->cli, CLI_ERR_VALUE, "a subject has a name, and a time of grace is not negative");
    }
    if (e->report) {
        return e->confirm == NULL && !e->now
                   ? report(e)
                   : cli_error(e->cli, CLI_ERR_VALUE, "--report erases nothing: leave --confirm and --now out");
    }
    int rc = sealing_open(&e->sealing, e->cli, true);
    return rc == CLI_OK ? erase(e) : rc;
}

int cmd_erase(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct erase e = {.cli = cli, .topic = EVLOG_ERASURES_TOPIC, .grace_ms = GRACE_MS};
    const struct cli_option options[] = {
        SEALING_KEYS_OPTIONS(&e.sealing),
        {"confirm", 0, CLI_TEXT, &e.confirm, "SUBJECT", "the subject's name again"},
        {"grace", 0, CLI_DURATION, &e.grace_ms, "TIME", "how long a disabled key can be restored (7d)"},
        {"now", 0, CLI_FLAG, &e.now, NULL, "destroy the key at once"},
        {"erasures", 0, CLI_TEXT, &e.topic, "TOPIC", "where the fact is appended (evlog.erasures)"},
        {"report", 0, CLI_FLAG, &e.report, NULL, "change nothing; tell who may still hold decrypted copies"},
        {"topic", 't', CLI_LIST, &e.topics, "TOPIC", "look only here for the report; may be repeated (all)"},
        {"db", 0, CLI_LIST, &e.dbs, "DB", "a database of projections for the report; may be repeated"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    rc = rc == CLI_PARSED ? run(&e, &words) : rc;
    sealing_close(&e.sealing);
    cli_list_free(&e.topics);
    cli_list_free(&e.dbs);
    return rc;
}
