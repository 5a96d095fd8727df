/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets of a replay that take lines: stdout, and the stdin of a program.
 *
 * A program runs once, gets every line, and its exit code decides: other than 0 is a failure. One that ends before the
 * last line ends the replay.
 */
#include "replay_target.h"
#include "program.h"

#include <core/alloc.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct lines {
    struct replay_target base;
    struct el_buffer line;
    FILE *pipe; /* NULL: stdout, or the program has ended */
    pid_t process;
    const char *command;
    struct sigaction pipe_action; /* as it was */
};

void replay_put_event(struct el_buffer *line, const struct evlog_replay_event *event)
{
    struct el_json_writer w;
    const struct evlog_stream_event row = {event->event, event->version, event->type, event->id, event->data};
    el_json_writer_init(&w, line);
    cli_json_event(&w, &row);
    if (el_json_writer_end(&w) != 0) {
        line->err = EVLOG_ERR_NO_MEMORY;
    }
    el_buffer_append_char(line, '\n');
}

static int lines_take(struct replay_target *target, const struct evlog_replay_event *event)
{
    struct lines *lines = (struct lines *)target;
    if (lines->command == NULL && target->cli->quiet) {
        return CLI_OK;
    }
    replay_put_event(&lines->line, event);
    if (lines->command == NULL) {
        return cli_put(target->cli, &lines->line);
    }
    bool ok = lines->line.err == 0 && fwrite(lines->line.data, 1, lines->line.len, lines->pipe) == lines->line.len;
    el_buffer_reset(&lines->line);
    return ok ? CLI_OK
              : cli_error(target->cli, CLI_ERR_OUTPUT, "%s has ended before the last event: %s", lines->command,
                          strerror(errno));
}

/* Let the program see the end, and wait for it.
 *
 * returns  its exit code | -N: signal N ended it | INT32_MAX: it did not read everything
 */
static int end_program(struct lines *lines)
{
    bool written = fclose(lines->pipe) == 0;
    lines->pipe = NULL;
    int status = program_wait(lines->process);
    (void)sigaction(SIGPIPE, &lines->pipe_action, NULL);
    return status == 0 && !written ? INT32_MAX : status;
}

static int program_finish(struct replay_target *target, const struct evlog_replay_summary *summary)
{
    struct lines *lines = (struct lines *)target;
    (void)summary;
    int status = end_program(lines);
    if (status < 0) {
        return cli_error(target->cli, CLI_ERR_PROGRAM, "%s was ended by signal %d", lines->command, -status);
    }
    if (status == INT32_MAX) {
        return cli_error(target->cli, CLI_ERR_OUTPUT, "%s has ended before the last event", lines->command);
    }
    return status == 0 ? CLI_OK
                       : cli_error_remedy(target->cli, (struct cli_remedy){CLI_ERR_PROGRAM, "its messages stand above"},
                                          "%s ended with exit code %d", lines->command, status);
}

static void lines_close(struct replay_target *target)
{
    struct lines *lines = (struct lines *)target;
    if (lines->pipe != NULL) {
        (void)end_program(lines);
    }
    el_buffer_free(&lines->line);
    el_free(lines);
}

static int start_program(struct lines *lines, const char *topic)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    const char *const argv[] = {"/bin/sh", "-c", lines->command, NULL};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return cli_error(lines->base.cli, CLI_ERR_PROGRAM, "%s: %s", lines->command, strerror(errno));
    }
    (void)setenv("EVLOG_TOPIC", topic, 1);
    int rc = program_start(lines->base.cli, argv, ends[0], -1, &lines->process);
    (void)close(ends[0]);
    if (rc == CLI_OK) {
        lines->pipe = fdopen(ends[1], "w");
    }
    if (lines->pipe == NULL) {
        (void)close(ends[1]);
        return rc != CLI_OK ? rc : cli_error(lines->base.cli, CLI_ERR_VALUE, "no memory");
    }
    (void)sigemptyset(&ignore.sa_mask);
    (void)sigaction(SIGPIPE, &ignore, &lines->pipe_action); /* after the start: the program has its own */
    return CLI_OK;
}

static int open_lines(struct cli *cli, const struct replay_wanted *wanted, const char *command,
                      struct replay_target **target)
{
    struct lines *lines = el_calloc(1, sizeof *lines);
    if (lines == NULL) {
        return cli_error(cli, CLI_ERR_VALUE, "no memory");
    }
    lines->base = (struct replay_target){.cli = cli, .take = lines_take, .close = lines_close};
    lines->command = command;
    int rc = command == NULL ? CLI_OK : start_program(lines, wanted->topic);
    if (rc != CLI_OK) {
        lines_close(&lines->base);
        return rc;
    }
    lines->base.finish = command == NULL ? NULL : program_finish;
    *target = &lines->base;
    return CLI_OK;
}

/* What stands behind "kind:", NULL when it is another kind. */
static const char *behind(const char *to, const char *kind)
{
    size_t len = strlen(kind);
    return strncmp(to, kind, len) == 0 && to[len] == ':' ? to + len + 1 : NULL;
}

int replay_target_open(struct cli *cli, const struct replay_wanted *wanted, struct replay_target **target)
{
    const char *to = wanted->to == NULL ? "stdout" : wanted->to, *rest;
    if (wanted->project != NULL && behind(to, "sqlite") == NULL) {
        return cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_VALUE, "such as --to sqlite:then.db"},
                                "--project needs --to sqlite:FILE, where the rows go");
    }
    if (strcmp(to, "stdout") == 0 || strcmp(to, "-") == 0) {
        return open_lines(cli, wanted, NULL, target);
    }
    if ((rest = behind(to, "exec")) != NULL && rest[strspn(rest, " ")] != '\0') {
        return open_lines(cli, wanted, rest, target);
    }
    if ((rest = behind(to, "sqlite")) != NULL && rest[0] != '\0') {
        return replay_rows_open(cli, wanted, rest, target);
    }
    if ((rest = behind(to, "topic")) != NULL && rest[0] != '\0') {
        return replay_topic_open(cli, wanted, rest, target);
    }
    return cli_error(cli, CLI_ERR_VALUE, "--to %s: stdout, sqlite:FILE, topic:NAME or exec:COMMAND", to);
}

void replay_target_close(struct replay_target *target)
{
    if (target != NULL) {
        target->close(target);
    }
}
