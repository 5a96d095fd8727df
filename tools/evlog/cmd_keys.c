/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog keys init, ls, rotate, restore: the key store of sealed fields.
 */
#include "sealing.h"
#include "table.h"

#include <core/timefmt.h>
#include <string.h>

#define NS_PER_MS 1000000

int cmd_keys_init(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const char *master = NULL;
    const struct cli_option options[] = {
        {"master", 0, CLI_TEXT, &master, "FILE", "master key, outside of DIR; made when it is not there"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (master == NULL || master[0] == '\0') {
        return cli_error(cli, CLI_ERR_VALUE, "--master FILE says where the master key is, or is to be made");
    }
    if (evlog_key_dir_init(words.items[0], master, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "made key store %s; its master key is %s: keep a copy of both, apart from each other and from the log",
            words.items[0], master);
    return CLI_OK;
}

/* --- ls ----------------------------------------------------------------------------------------------------------- */

struct listing {
    struct cli *cli;
    struct el_buffer line;
};

static const char *state_of(const struct evlog_key_record *record)
{
    switch (record->state) {
    case EVLOG_KEY_LIVE:
        return "live";
    case EVLOG_KEY_DISABLED:
        return "disabled";
    case EVLOG_KEY_DESTROYED:
        return record->untold ? "destroyed, log not told" : "destroyed";
    }
    return "?";
}

static void put_time(struct el_buffer *line, const char *gap, int64_t ms)
{
    char text[40] = "-";
    if (ms > 0 && ms < INT64_MAX / NS_PER_MS) {
        el_time_format(text, ms * NS_PER_MS, 3);
    }
    el_buffer_printf(line, "%s%-24s", gap, text);
}

static int list_one(void *arg, const struct evlog_key_record *record)
{
    struct listing *l = arg;
    struct el_json_writer w;
    const char *gap = l->cli->plain ? "\t" : "  ";
    if (l->cli->json) {
        cli_json_begin(&w, &l->line);
        el_json_add_str(&w, "subject", record->id);
        el_json_add_str(&w, "state", record->untold ? "destroyed-untold" : state_of(record));
        cli_json_time(&w, "made", record->made_ms * NS_PER_MS, 3);
        cli_json_time(&w, "changed", record->changed_ms == 0 ? -1 : record->changed_ms * NS_PER_MS, 3);
        cli_json_time(&w, "until", record->until_ms == 0 ? -1 : record->until_ms * NS_PER_MS, 3);
        return cli_json_end(l->cli, &w, &l->line) == CLI_OK ? 0 : EVLOG_ERR_IO;
    }
    el_buffer_printf(&l->line, "%s", record->id);
    put_time(&l->line, gap, record->made_ms);
    put_time(&l->line, gap, record->changed_ms);
    put_time(&l->line, gap, record->until_ms);
    el_buffer_printf(&l->line, "%s%s\n", gap, state_of(record));
    return cli_put(l->cli, &l->line) == CLI_OK ? 0 : EVLOG_ERR_IO;
}

static int list(struct cli *cli, struct sealing *s)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct listing l = {.cli = cli};
    int rc = sealing_open(s, cli, true);
    if (rc != CLI_OK) {
        return rc;
    }
    if (!cli->json && !cli->plain) {
        (void)printf("%-22s  %-24s  %-24s  %-24s  %s\n", "SUBJECT", "MADE", "CHANGED", "RESTORABLE UNTIL", "STATE");
    }
    rc = s->store->calls->list(s->store, list_one, &l, &failure);
    el_buffer_free(&l.line);
    return rc == 0 ? CLI_OK : rc == EVLOG_ERR_IO && failure.code == 0 ? CLI_FAILED : cli_failure(cli, &failure);
}

int cmd_keys_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct sealing s = {.cli = cli};
    const struct cli_option options[] = {SEALING_KEYS_OPTIONS(&s)};
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 0, 0};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    rc = rc == CLI_PARSED ? list(cli, &s) : rc;
    sealing_close(&s);
    return rc;
}

/* --- rotate, restore ---------------------------------------------------------------------------------------------- */

static int rotate(struct cli *cli, struct sealing *s, const char *new_master)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    uint64_t count = 0;
    int rc = sealing_open(s, cli, true);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_key_dir_rotate(s->store, new_master, &count, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "%llu keys wrapped anew%s", (unsigned long long)count,
            new_master == NULL ? "" : "; destroy the old master key's file and its copies");
    return CLI_OK;
}

int cmd_keys_rotate(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct sealing s = {.cli = cli};
    const char *new_master = NULL;
    const struct cli_option options[] = {
        SEALING_KEYS_OPTIONS(&s),
        {"new-master", 0, CLI_TEXT, &new_master, "FILE", "another master key, made when it is not there (the same)"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 0, 0};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    rc = rc == CLI_PARSED ? rotate(cli, &s, new_master) : rc;
    sealing_close(&s);
    return rc;
}

static int restore(struct cli *cli, struct sealing *s, const char *subject)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_key_record record;
    int rc = sealing_open(s, cli, true);
    if (rc != CLI_OK) {
        return rc;
    }
    rc = s->store->calls->restore(s->store, (struct evlog_bytes){subject, strlen(subject)}, &record, &failure);
    if (rc != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "key %s is live: what was erased is read again, and can be applied by a rebuild", record.id);
    return CLI_OK;
}

int cmd_keys_restore(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct sealing s = {.cli = cli};
    const struct cli_option options[] = {SEALING_KEYS_OPTIONS(&s)};
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    rc = rc == CLI_PARSED ? restore(cli, &s, words.items[0]) : rc;
    sealing_close(&s);
    return rc;
}
