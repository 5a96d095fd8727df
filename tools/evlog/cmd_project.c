/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog project run, rebuild, verify: a read model out of a file of SQL.
 *
 * run keeps the rows up with the topics until it is stopped, or, with --until-caught-up, until what is there now is
 * applied. rebuild makes the rows anew beside the live ones and puts them in their place. verify makes them anew and
 * compares.
 */
#include "cli.h"
#include "project_db.h"
#include "sealing.h"

#include <string.h>

struct project {
    struct cli *cli;
    const char *db, *on_error;
    int64_t batch, retries, lease_ms, patience_ms, parallel;
    bool until_caught_up, rebuild, accept_change;
    struct evlog_sql_projection *file;
    struct sealing sealing;
    struct evlog_projection_store *store;
    struct evlog_projection_options options;
    uint64_t total;                        /* events to be applied, as seen first */
    struct evlog_projection_counts counts; /* as told last */
};

static int on_turn(void *arg, const struct evlog_projection *projection)
{
    struct project *project = arg;
    evlog_projection_counts(projection, &project->counts);
    uint64_t done = project->counts.applied + project->counts.skipped + project->counts.dead;
    project->total = done + project->counts.lag > project->total ? done + project->counts.lag : project->total;
    cli_progress(project->cli, "applied", done, project->total);
    return cli_interrupted ? EVLOG_ERR_CLOSED : 0;
}

static void on_log(void *arg, enum evlog_log_level level, const char *text)
{
    (void)level;
    cli_say(arg, "%s", text);
}

static int check(struct project *project)
{
    struct evlog_projection_options *options = &project->options;
    if (project->on_error == NULL || strcmp(project->on_error, "stop") == 0) {
        options->on_error = EVLOG_PROJECTION_STOP;
    } else if (strcmp(project->on_error, "skip") == 0) {
        options->on_error = EVLOG_PROJECTION_SKIP;
    } else if (strcmp(project->on_error, "dead-letter") == 0) {
        options->on_error = EVLOG_PROJECTION_DEAD_LETTER;
    } else {
        return cli_error(project->cli, CLI_ERR_VALUE, "--on-error %s: stop, skip or dead-letter", project->on_error);
    }
    if (project->batch < 1 || project->batch > 100000 || project->retries < 0 || project->retries > 1000000) {
        return cli_error(project->cli, CLI_ERR_VALUE, "--batch takes 1 to 100000, --retries 0 to 1000000");
    }
    if (project->lease_ms < 100 || project->lease_ms > 3600000) {
        return cli_error(project->cli, CLI_ERR_VALUE, "--lease takes 100ms to 1h");
    }
    if (project->parallel < 1 || project->parallel > EVLOG_PROJECTION_PARALLEL_MAX) {
        return cli_error(project->cli, CLI_ERR_VALUE, "--parallel takes 1 to %d", EVLOG_PROJECTION_PARALLEL_MAX);
    }
    if (project->patience_ms < 0 || project->patience_ms > 3600000) {
        return cli_error(project->cli, CLI_ERR_VALUE, "--patience takes 0 to 1h");
    }
    options->store_patience_ms = (uint32_t)project->patience_ms;
    options->parallel = (uint32_t)project->parallel;
    options->batch_count_max = (uint32_t)project->batch;
    options->retry_max = (uint32_t)project->retries;
    options->lease_ms = (uint32_t)project->lease_ms;
    options->until_caught_up = project->until_caught_up;
    options->accept_change = project->accept_change;
    options->on_turn = on_turn;
    options->turn_arg = project;
    return CLI_OK;
}

static void sum_up(const struct project *project, uint64_t differences, bool verified)
{
    const struct evlog_projection_counts *counts = &project->counts;
    if (project->cli->json && !verified) {
        (void)printf("{\"projection\":\"%s\",\"applied\":%llu,\"skipped\":%llu,\"dead\":%llu,\"retries\":%llu,"
                     "\"transactions\":%llu,\"lag\":%llu}\n",
                     project->options.name, (unsigned long long)counts->applied, (unsigned long long)counts->skipped,
                     (unsigned long long)counts->dead, (unsigned long long)counts->retries,
                     (unsigned long long)counts->transactions, (unsigned long long)counts->lag);
    } else if (project->cli->json) {
        (void)printf("{\"projection\":\"%s\",\"differences\":%llu}\n", project->options.name,
                     (unsigned long long)differences);
    }
    if (verified) {
        cli_say(project->cli, "%s: %llu differences", project->options.name, (unsigned long long)differences);
        return;
    }
    cli_say(project->cli, "%s: %llu applied, %llu skipped, %llu dead letters, %llu behind", project->options.name,
            (unsigned long long)counts->applied, (unsigned long long)counts->skipped, (unsigned long long)counts->dead,
            (unsigned long long)counts->lag);
}

/* How it ended. */
static int ended(const struct project *project, int rc, const struct evlog_failure *failure)
{
    cli_progress_end(project->cli);
    if (rc == EVLOG_ERR_CLOSED && cli_interrupted) {
        return CLI_INTERRUPTED;
    }
    return rc == 0 ? CLI_OK : cli_failure(project->cli, failure);
}

static int run(struct project *project)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection *projection;
    int rc = evlog_projection_open(project->cli->client, project->store, &project->options, &projection, &failure);
    if (rc != 0) {
        return ended(project, rc, &failure);
    }
    rc = evlog_projection_run(projection, &failure);
    evlog_projection_counts(projection, &project->counts);
    int code = ended(project, rc, &failure);
    if (evlog_projection_close(projection, &failure) != 0 && code == CLI_OK) {
        code = cli_failure(project->cli, &failure);
    }
    sum_up(project, 0, false);
    return code;
}

static int rebuild(struct project *project)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = evlog_projection_rebuild(project->cli->client, project->store, &project->options, &failure);
    int code = ended(project, rc, &failure);
    if (code == CLI_OK) {
        cli_say(project->cli, "%s: rebuilt and swapped", project->options.name);
    } else if (code == CLI_INTERRUPTED) {
        cli_say(project->cli, "interrupted; the same command goes on where this one was");
    }
    return code;
}

static void on_difference(void *arg, const char *text)
{
    const struct project *project = arg;
    cli_say(project->cli, "%s", text);
}

static int verify(struct project *project)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    uint64_t count = 0;
    int rc = evlog_projection_verify(project->cli->client, project->store, &project->options, on_difference, project,
                                     &count, &failure);
    int code = ended(project, rc, &failure);
    if (code != CLI_OK) {
        return code;
    }
    sum_up(project, count, true);
    return count == 0 ? CLI_OK : CLI_INTEGRITY;
}

/* Read the file, open the database, reach the server. */
static int prepare(struct project *project, const char *path, bool create)
{
    int rc = check(project);
    if (rc == CLI_OK) {
        rc = project_file_read(project->cli, path, &project->file);
    }
    if (rc == CLI_OK) {
        rc = sealing_open(&project->sealing, project->cli, false);
    }
    if (rc == CLI_OK) {
        evlog_sql_projection_keys(project->file, project->sealing.store);
        evlog_sql_projection_options(project->file, &project->options);
        rc = cli_connect(project->cli);
    }
    if (rc == CLI_OK) {
        evlog_client_set_log(project->cli->client, project->cli->verbose ? EVLOG_LOG_INFO : EVLOG_LOG_WARNING, on_log,
                             project->cli);
        rc = project_db_open(project->cli, project->db, create, &project->store);
    }
    return rc;
}

static void finish(struct project *project)
{
    evlog_projection_store_close(project->store);
    evlog_sql_projection_free(project->file);
    sealing_close(&project->sealing);
}

static struct project fresh_project(struct cli *cli)
{
    struct project project = {
        .cli = cli, .batch = 1000, .retries = 5, .lease_ms = 10000, .patience_ms = 60000, .parallel = 1};
    project.options = (struct evlog_projection_options)EVLOG_PROJECTION_OPTIONS_INIT;
    return project;
}

#define DB_OPTION                                                                                                      \
    {                                                                                                                  \
        "db", 0, CLI_TEXT, &project.db, "DB", "where the rows are: sqlite:FILE, postgres://..."                        \
    }
#define ERROR_OPTIONS                                                                                                  \
    SEALING_KEYS_OPTIONS(&project.sealing),                                                                            \
        {"on-error",        0,      CLI_TEXT,                                                                          \
         &project.on_error, "WHAT", "an event that cannot be applied: stop, skip, dead-letter"},                       \
        {"parallel", 0, CLI_INT, &project.parallel, "N", "events of so many keys at once; PostgreSQL only (1)"},       \
        {"retries", 0, CLI_INT, &project.retries, "N", "further tries before that (5)"},                               \
    {                                                                                                                  \
        "batch", 0, CLI_INT, &project.batch, "N", "events of one transaction (1000)"                                   \
    }

int cmd_project_run(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct project project = fresh_project(cli);
    const struct cli_option options[] = {
        DB_OPTION,
        {"until-caught-up", 0, CLI_FLAG, &project.until_caught_up, NULL, "end when what is there now is applied"},
        {"rebuild", 0, CLI_FLAG, &project.rebuild, NULL, "make the rows anew beside the live ones, swap, then go on"},
        {"accept-change", 0, CLI_FLAG, &project.accept_change, NULL, "go on with the rows that another file has made"},
        ERROR_OPTIONS,
        {"patience", 0, CLI_DURATION, &project.patience_ms, "TIME",
         "how long a locked or lost database is waited for (1m)"},
        {"lease", 0, CLI_DURATION, &project.lease_ms, "TIME", "silence after which another runner may take over (10s)"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = prepare(&project, words.items[0], true);
        if (rc == CLI_OK && project.rebuild) {
            rc = rebuild(&project);
        }
        if (rc == CLI_OK) {
            rc = run(&project);
        }
        finish(&project);
    }
    return rc;
}

int cmd_project_rebuild(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct project project = fresh_project(cli);
    const struct cli_option options[] = {DB_OPTION, ERROR_OPTIONS};
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = prepare(&project, words.items[0], true);
        rc = rc == CLI_OK ? rebuild(&project) : rc;
        finish(&project);
    }
    return rc;
}

int cmd_project_verify(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct project project = fresh_project(cli);
    const struct cli_option options[] = {DB_OPTION, ERROR_OPTIONS};
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = prepare(&project, words.items[0], false);
        rc = rc == CLI_OK ? verify(&project) : rc;
        finish(&project);
    }
    return rc;
}
