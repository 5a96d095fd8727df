/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog bisect: which event made a command fail.
 *
 * 1. The command judges the state at --good and at --bad, which must be good and bad.
 * 2. The events between are halved (bisect_search.c): the state after so many of them is made by a replay that ends
 *    there, and judged, until one event is left.
 * 3. That event is printed.
 *
 * The order over partitions is that of replays: append time, then partition, then offset. It is exact, since --good and
 * --bad are cuts. A state is given as lines on stdin, in a file that has no name, so that a command which does not read
 * all of it does no harm; or with --project as a SQLite file of its own, which is removed after the judgement.
 */
#include "bisect_search.h"
#include "program.h"
#include "replay_source.h"
#include "replay_target.h"

#include <core/alloc.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_SKIP 125
#define EXIT_BAD_MAX 127
#define LEFT_SHOWN_MAX 20

struct bisect {
    struct cli *cli;
    struct cli quiet; /* of targets, whose talk nobody wants */
    const char *project;
    struct cli_list drop_types;
    int64_t good_ns, bad_ns;
    struct replay_source source;
    struct evlog_replay_options options;
    const char **command; /* NULL-terminated */
    char *folder;         /* of projected files, NULL without */
    struct el_buffer line;
    FILE *state;                  /* that is being written, without a projection */
    struct replay_target *target; /* with one */
    uint64_t base_count;          /* events up to --good */
    uint64_t seen_count, wanted_count;
    int exit_code; /* of a callback */
};

/* --- a state ------------------------------------------------------------------------------------------------------ */

static int on_event(void *arg, const struct evlog_replay_event *event)
{
    struct bisect *bisect = arg;
    if (bisect->target != NULL) {
        bisect->exit_code = bisect->target->take(bisect->target, event);
        return bisect->exit_code == CLI_OK ? 0 : EVLOG_ERR_IO;
    }
    replay_put_event(&bisect->line, event);
    bool ok = bisect->line.err == 0 &&
              fwrite(bisect->line.data, 1, bisect->line.len, bisect->state) == bisect->line.len;
    el_buffer_reset(&bisect->line);
    if (!ok) {
        bisect->exit_code = cli_error(bisect->cli, CLI_ERR_OUTPUT, "a temporary file cannot be written: %s",
                                      strerror(errno));
    }
    return ok ? 0 : EVLOG_ERR_IO;
}

static int on_progress(void *arg, uint64_t read_count, uint64_t total_count)
{
    const struct bisect *bisect = arg;
    cli_progress(bisect->cli, "replayed", read_count, total_count);
    return cli_interrupted ? EVLOG_ERR_CLOSED : 0;
}

static int replay(struct bisect *bisect, struct evlog_replay_summary *summary)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = evlog_replay_run(bisect->cli->client, &bisect->options, summary, &failure);
    cli_progress_end(bisect->cli);
    if (rc != 0 && cli_interrupted) {
        return CLI_INTERRUPTED;
    }
    if (rc != 0) {
        return bisect->exit_code != CLI_OK ? bisect->exit_code : cli_failure(bisect->cli, &failure);
    }
    return CLI_OK;
}

/* What the command says of a state. Its output is talk: stdout belongs to the event that is found. */
static int judge(struct bisect *bisect, int stdin_fd, enum bisect_verdict *verdict)
{
    pid_t process;
    int rc = program_start(bisect->cli, bisect->command, stdin_fd, STDERR_FILENO, &process);
    if (rc != CLI_OK) {
        return rc;
    }
    int status = program_wait(process);
    if (cli_interrupted) {
        return CLI_INTERRUPTED;
    }
    if (status < 0 || status > EXIT_BAD_MAX) {
        return cli_error_remedy(bisect->cli,
                                (struct cli_remedy){CLI_ERR_BISECT, "exit 0 says good, 125 that a state cannot be "
                                                                    "judged, 1 to 127 else bad"},
                                "%s ended with %s %d: the search ends here", bisect->command[0],
                                status < 0 ? "signal" : "exit code", status < 0 ? -status : status);
    }
    *verdict = status == 0 ? BISECT_GOOD : status == EXIT_SKIP ? BISECT_SKIP : BISECT_BAD;
    return CLI_OK;
}

static int judge_lines(struct bisect *bisect, struct evlog_replay_summary *summary, enum bisect_verdict *verdict)
{
    bisect->state = tmpfile();
    if (bisect->state == NULL) {
        return cli_error(bisect->cli, CLI_ERR_OUTPUT, "no temporary file: %s", strerror(errno));
    }
    int rc = replay(bisect, summary);
    if (rc == CLI_OK && (fflush(bisect->state) != 0 || lseek(fileno(bisect->state), 0, SEEK_SET) != 0)) {
        rc = cli_error(bisect->cli, CLI_ERR_OUTPUT, "a temporary file cannot be written: %s", strerror(errno));
    }
    if (rc == CLI_OK) {
        rc = judge(bisect, fileno(bisect->state), verdict);
    }
    (void)fclose(bisect->state);
    bisect->state = NULL;
    return rc;
}

static int judge_null_stdin(struct bisect *bisect, enum bisect_verdict *verdict)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? cli_error(bisect->cli, CLI_ERR_FILE, "/dev/null: %s", strerror(errno))
                    : judge(bisect, fd, verdict);
    if (fd >= 0) {
        (void)close(fd);
    }
    return rc;
}

static int judge_rows(struct bisect *bisect, struct evlog_replay_summary *summary, enum bisect_verdict *verdict)
{
    struct el_buffer name = {0};
    el_buffer_printf(&name, "sqlite:%s/state.db", bisect->folder);
    const char *to = el_buffer_text(&name);
    if (to == NULL) {
        return cli_error(bisect->cli, CLI_ERR_VALUE, "no memory");
    }
    const char *path = to + strlen("sqlite:");
    const struct replay_wanted wanted = {
        .topic = bisect->options.topic,
        .to = to,
        .project = bisect->project,
        .whole = true,
    };
    int rc = replay_target_open(&bisect->quiet, &wanted, &bisect->target);
    if (rc == CLI_OK) {
        rc = replay(bisect, summary);
        rc = rc == CLI_OK ? bisect->target->finish(bisect->target, summary) : rc;
        replay_target_close(bisect->target);
        bisect->target = NULL;
    }
    if (rc == CLI_OK) {
        (void)setenv("EVLOG_DB", path, 1);
        rc = judge_null_stdin(bisect, verdict);
    }
    (void)unlink(path);
    el_buffer_free(&name);
    return rc;
}

/* Make the state up to a time, or of the first count events up to it, and let the command judge. */
static int try_state(struct bisect *bisect, int64_t until_ns, uint64_t count, uint64_t *event_count,
                     enum bisect_verdict *verdict)
{
    struct evlog_replay_summary summary = EVLOG_REPLAY_SUMMARY_INIT;
    bisect->options.until_ns = until_ns;
    bisect->options.count_max = count;
    int rc = bisect->folder != NULL ? judge_rows(bisect, &summary, verdict) : judge_lines(bisect, &summary, verdict);
    if (rc == CLI_OK) {
        static const char *const words[] = {"good", "bad", "cannot be judged"};
        *event_count = summary.event_count;
        cli_say(bisect->cli, "the state after %llu events: %s", (unsigned long long)summary.event_count,
                words[*verdict]);
    }
    return rc;
}

/* --- the search --------------------------------------------------------------------------------------------------- */

static int refused(const struct bisect *bisect, const char *option, const char *text)
{
    return cli_error(bisect->cli, CLI_ERR_BISECT, "the state at %s %s", option, text);
}

/* The two ends: what the user says of them must be so. */
static int try_ends(struct bisect *bisect, uint64_t *count)
{
    enum bisect_verdict verdict = BISECT_SKIP;
    uint64_t bad_count = 0;
    int rc = try_state(bisect, bisect->good_ns, 0, &bisect->base_count, &verdict);
    if (rc == CLI_OK && verdict != BISECT_GOOD) {
        rc = refused(bisect, "--good", verdict == BISECT_BAD ? "is bad already" : "cannot be judged (exit 125)");
    }
    if (rc == CLI_OK) {
        rc = try_state(bisect, bisect->bad_ns, 0, &bad_count, &verdict);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    if (verdict != BISECT_BAD) {
        return refused(bisect, "--bad", verdict == BISECT_GOOD ? "is good" : "cannot be judged (exit 125)");
    }
    *count = bad_count > bisect->base_count ? bad_count - bisect->base_count : 0;
    return *count > 0 ? CLI_OK
                      : cli_error(bisect->cli, CLI_ERR_BISECT,
                                  "the same events lie before --good and --bad, and the command does not say the same "
                                  "of them");
}

/* Print the events number first .. last of the search. */
static int on_shown(void *arg, const struct evlog_replay_event *event)
{
    struct bisect *bisect = arg;
    if (++bisect->seen_count < bisect->wanted_count) {
        return 0;
    }
    replay_put_event(&bisect->line, event);
    bisect->exit_code = cli_put(bisect->cli, &bisect->line);
    return bisect->exit_code == CLI_OK ? 0 : EVLOG_ERR_IO;
}

static int show(struct bisect *bisect, uint64_t first, uint64_t last)
{
    struct evlog_replay_summary summary = EVLOG_REPLAY_SUMMARY_INIT;
    bisect->options.fold_latest = false;
    bisect->options.on_event = on_shown;
    bisect->options.until_ns = bisect->bad_ns;
    bisect->options.count_max = bisect->base_count + last;
    bisect->wanted_count = bisect->base_count + first;
    return replay(bisect, &summary);
}

static int conclude(struct bisect *bisect, const struct bisect_search *search)
{
    uint64_t first = search->good + 1, last = search->bad;
    unsigned long long left_count = last - search->good;
    if (first == last) {
        cli_say(bisect->cli, "the command fails from this event on:");
        return show(bisect, last, last);
    }
    int rc = show(bisect, last - first < LEFT_SHOWN_MAX ? first : last - LEFT_SHOWN_MAX + 1, last);
    if (rc != CLI_OK) {
        return rc;
    }
    return cli_error_remedy(bisect->cli,
                            (struct cli_remedy){CLI_ERR_BISECT_LEFT, "a command that can judge more states finds it"},
                            "one of %llu events is guilty%s: the states between them cannot be judged", left_count,
                            last - first < LEFT_SHOWN_MAX ? "" : ", of which the last are printed");
}

/* The order of events over partitions is evlog's: an archive has it, another broker has none. */
static int check_order(const struct bisect *bisect)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int32_t count = 0;
    int64_t *offsets = NULL;
    int rc = evlog_topic_partition_count(bisect->cli->client, bisect->options.topic, &count, &failure);
    if (rc == 0) {
        offsets = el_calloc((size_t)count, sizeof *offsets);
        rc = offsets == NULL
                 ? EVLOG_ERR_NO_MEMORY
                 : evlog_cut(bisect->cli->client, bisect->options.topic, bisect->bad_ns, offsets, count, &failure);
    }
    el_free(offsets);
    return rc == 0 ? CLI_OK : cli_failure(bisect->cli, &failure);
}

static int search(struct bisect *bisect)
{
    struct bisect_search search;
    uint64_t count, at, event_count;
    int rc = bisect->options.archive_only ? CLI_OK : check_order(bisect);
    rc = rc == CLI_OK ? try_ends(bisect, &count) : rc;
    if (rc != CLI_OK) {
        return rc;
    }
    bisect_begin(&search, count);
    while (rc == CLI_OK && bisect_next(&search, &at)) {
        enum bisect_verdict verdict = BISECT_SKIP;
        cli_say(bisect->cli, "%llu events are left", (unsigned long long)(search.bad - search.good));
        rc = try_state(bisect, bisect->bad_ns, bisect->base_count + at, &event_count, &verdict);
        if (rc == CLI_OK && event_count != bisect->base_count + at) {
            rc = cli_error(bisect->cli, CLI_ERR_HISTORY, "events were removed from topic %s meanwhile",
                           bisect->options.topic);
        }
        if (rc == CLI_OK && bisect_note(&search, at, verdict) != 0) {
            rc = cli_error(bisect->cli, CLI_ERR_VALUE, "no memory");
        }
    }
    rc = rc == CLI_OK ? conclude(bisect, &search) : rc;
    bisect_end(&search);
    return rc;
}

/* --- what was asked for ------------------------------------------------------------------------------------------- */

static int make_folder(struct bisect *bisect)
{
    const char *base = getenv("TMPDIR");
    struct el_buffer name = {0};
    el_buffer_printf(&name, "%s/evlog-bisect-XXXXXX", base == NULL || base[0] == '\0' ? "/tmp" : base);
    const char *text = el_buffer_text(&name);
    bisect->folder = text == NULL ? NULL : el_strdup(text);
    el_buffer_free(&name);
    if (bisect->folder != NULL && mkdtemp(bisect->folder) != NULL) {
        return CLI_OK;
    }
    int rc = cli_error(bisect->cli, CLI_ERR_OUTPUT, "no temporary folder: %s", strerror(errno));
    el_free(bisect->folder);
    bisect->folder = NULL;
    return rc;
}

static int run(struct bisect *bisect, const struct cli_words *words)
{
    struct cli *cli = bisect->cli;
    if (bisect->good_ns == EVLOG_TIME_NONE || bisect->bad_ns == EVLOG_TIME_NONE) {
        return cli_error(cli, CLI_ERR_VALUE, "--good TIME and --bad TIME say between which times to search");
    }
    if (bisect->good_ns >= bisect->bad_ns) {
        return cli_error(cli, CLI_ERR_VALUE, "--good must lie before --bad");
    }
    if (bisect->project != NULL && bisect->drop_types.count > 0) {
        return cli_error(cli, CLI_ERR_VALUE, "--drop-type is for states on stdin, not for --project");
    }
    int rc = replay_source_take(&bisect->source, cli, &bisect->options);
    rc = rc == CLI_OK ? replay_source_connect(cli, &bisect->options) : rc;
    bisect->command = el_calloc((size_t)words->count, sizeof *bisect->command);
    if (rc == CLI_OK && bisect->command == NULL) {
        rc = cli_error(cli, CLI_ERR_VALUE, "no memory");
    }
    if (rc == CLI_OK && bisect->project != NULL) {
        rc = make_folder(bisect);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    bisect->quiet = *cli;
    bisect->quiet.quiet = true;
    for (int i = 1; i < words->count; i++) {
        bisect->command[i - 1] = words->items[i];
    }
    bisect->options.topic = words->items[0];
    bisect->options.fold_latest = bisect->project == NULL;
    bisect->options.drop_types = bisect->drop_types.items;
    bisect->options.drop_type_count = bisect->drop_types.count;
    bisect->options.on_event = on_event;
    bisect->options.on_progress = on_progress;
    bisect->options.arg = bisect;
    (void)setenv("EVLOG_TOPIC", bisect->options.topic, 1);
    rc = search(bisect);
    if (rc == CLI_INTERRUPTED) {
        cli_say(cli, "interrupted; the same command begins anew");
    }
    if (bisect->folder != NULL) {
        (void)rmdir(bisect->folder);
    }
    return rc;
}

int cmd_bisect(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct bisect bisect = {.cli = cli, .good_ns = EVLOG_TIME_NONE, .bad_ns = EVLOG_TIME_NONE};
    bisect.options = (struct evlog_replay_options)EVLOG_REPLAY_OPTIONS_INIT;
    const struct cli_option options[] = {
        {"good", 0, CLI_TIME, &bisect.good_ns, "TIME", "a time at which the command succeeds"},
        {"bad", 0, CLI_TIME, &bisect.bad_ns, "TIME", "a later one at which it fails"},
        {"project", 0, CLI_TEXT, &bisect.project, "FILE.sql", "give the rows of a projection, in the file EVLOG_DB"},
        {"drop-type", 0, CLI_LIST, &bisect.drop_types, "GLOB", "an event of such a type removes its key; repeatable"},
        REPLAY_SOURCE_OPTIONS(&bisect.source),
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 2, -1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = run(&bisect, &words);
    }
    el_free(bisect.folder);
    el_free(bisect.command);
    el_buffer_free(&bisect.line);
    replay_source_free(&bisect.source);
    cli_list_free(&bisect.drop_types);
    return rc;
}
