/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog redact TOPIC --partition P --offsets A-B --reason TEXT: take published events out of a log, its disk and its
 * archive.
 *
 * 1. what would go is asked for and said: batches go as a whole. --dry-run ends here
 * 2. the redaction is accepted, and durable
 * 3. the same question again and again, until the bytes are nowhere. Interrupted, the server goes on, and the same
 *    command waits again
 */
#include "cli.h"
#include "table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAUSE_NS 100000000

struct redact {
    struct cli *cli;
    struct evlog_redact wanted;
    const char *offsets, *confirm;
    int64_t partition;
    bool no_wait;
    uint64_t batch_count, event_count; /* found before it was accepted */
};

static bool offsets_parse(const char *text, int64_t *first, int64_t *end)
{
    char *rest = NULL;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    long long from = strtoll(text, &rest, 10), to = from;
    if (rest[0] == '-' && rest[1] >= '0' && rest[1] <= '9') {
        to = strtoll(rest + 1, &rest, 10);
    }
    *first = from;
    *end = to + 1;
    return rest[0] == 0 && to >= from && to < INT64_MAX;
}

static int tell(const struct redact *r, const struct evlog_redacted *d)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    bool range = strcmp(d->state, "nothing") != 0;
    cli_json_begin(&w, &line);
    el_json_add_str(&w, "topic", r->wanted.topic);
    el_json_add_int(&w, "partition", r->wanted.partition);
    el_json_add_str(&w, "state", d->state);
    if (range) {
        el_json_add_int(&w, "first", d->first_offset);
        el_json_add_int(&w, "last", d->end_offset - 1);
        el_json_add_uint(&w, "batches", r->batch_count);
        el_json_add_uint(&w, "events", r->event_count);
    }
    if (d->parent_end > d->first_offset) {
        el_json_add_int(&w, "parent_archive_below", d->parent_end);
    }
    int rc = cli_json_end(r->cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

static int ask(const struct redact *r, bool dry_run, struct evlog_redacted *redacted)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_redact wanted = r->wanted;
    wanted.dry_run = dry_run;
    int code = evlog_redact(r->cli->client, &wanted, redacted, &failure);
    return code == 0 ? CLI_OK : cli_failure(r->cli, &failure);
}

/* Nothing more can be done about it from here: it is said, and is no success. */
static int finish(const struct redact *r, const struct evlog_redacted *d)
{
    int rc = tell(r, d);
    if (rc == CLI_OK && d->parent_end > d->first_offset) {
        cli_say(r->cli,
                "offsets below %" PRId64
                " are also in the archive that this one continues (its parent), which is signed "
                "and closed: they are still there. Delete that archive when nothing else of it is needed",
                d->parent_end);
        rc = CLI_PARTIAL;
    }
    return rc;
}

static int wait_for(const struct redact *r, struct evlog_redacted *d)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    char said[sizeof d->waits_for] = "";
    int rc = CLI_OK;
    while (rc == CLI_OK && strcmp(d->state, "complete") != 0 && strcmp(d->state, "nothing") != 0) {
        if (cli_interrupted) {
            cli_say(r->cli, "the server goes on; the same command waits again");
            return CLI_INTERRUPTED;
        }
        if (d->waits_for[0] != 0 && strcmp(said, d->waits_for) != 0) {
            cli_say(r->cli, "it is tried again: %s", d->waits_for);
            (void)snprintf(said, sizeof said, "%s", d->waits_for);
        }
        (void)nanosleep(&pause, NULL);
        rc = ask(r, false, d);
    }
    return rc;
}

static int redact(struct redact *r)
{
    struct evlog_redacted d = EVLOG_REDACTED_INIT;
    int rc = ask(r, true, &d);
    if (rc != CLI_OK) {
        return rc;
    }
    r->batch_count = d.batch_count;
    r->event_count = d.event_count;
    if (strcmp(d.state, "found") == 0) {
        cli_say(r->cli,
                "offsets %" PRId64 " to %" PRId64 " %s: %" PRIu64 " events in %" PRIu64 " batches, which go as a whole",
                d.first_offset, d.end_offset - 1, r->wanted.dry_run ? "would go" : "go", d.event_count, d.batch_count);
    }
    if (r->wanted.dry_run) {
        return tell(r, &d);
    }
    rc = cli_confirm(r->cli, "events of topic", r->wanted.topic, r->confirm);
    rc = rc == CLI_OK ? ask(r, false, &d) : rc;
    if (rc == CLI_OK && !r->no_wait) {
        rc = wait_for(r, &d);
    }
    return rc == CLI_OK ? finish(r, &d) : rc;
}

static int run(struct redact *r, const struct cli_words *words)
{
    r->wanted.topic = words->items[0];
    r->wanted.partition = (int32_t)r->partition;
    if (r->partition < 0 || r->partition > INT32_MAX || r->offsets == NULL ||
        !offsets_parse(r->offsets, &r->wanted.first_offset, &r->wanted.end_offset)) {
        return cli_error(r->cli, CLI_ERR_VALUE, "--partition P --offsets A-B name the events, as in --offsets 17-19");
    }
    if (!r->wanted.dry_run && (r->wanted.reason == NULL || r->wanted.reason[0] == 0)) {
        return cli_error(r->cli, CLI_ERR_VALUE, "--reason says why: it is signed, and stays in the archive");
    }
    int rc = cli_connect(r->cli);
    return rc == CLI_OK && r->cli->client != NULL ? redact(r) : rc;
}

int cmd_redact(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct redact r = {.cli = cli, .wanted = EVLOG_REDACT_INIT, .partition = -1};
    const struct cli_option options[] = {
        {"partition", 'p', CLI_INT, &r.partition, "P", "the partition"},
        {"offsets", 'o', CLI_TEXT, &r.offsets, "A-B", "first and last offset, or one alone"},
        {"reason", 0, CLI_TEXT, &r.wanted.reason, "TEXT", "why; signed, and shown by every audit"},
        {"dry-run", 0, CLI_FLAG, &r.wanted.dry_run, NULL, "say which offsets would go, change nothing"},
        {"no-wait", 0, CLI_FLAG, &r.no_wait, NULL, "return when the server has accepted it"},
        {"confirm", 0, CLI_TEXT, &r.confirm, "TOPIC", "the topic's name again"},
    };
    const struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc == CLI_PARSED ? run(&r, &words) : rc;
}
