/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog archive tail: the events of an archived topic, and with --follow those of each new root. Each line has the
 * position to go on from; --state keeps it in a file, so that the same command goes on.
 */
#include "archive_open.h"

#include <core/timefmt.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wire/progress.h>

#define STATE_MAX (8u << 20)
#define STATE_EVENTS 1000 /* between two writes of the state */

struct tailing {
    struct cli *cli;
    struct evlog_archive *archive;
    const char *topic, *from, *state_path;
    int64_t interval_ms, count_max, count;
    bool follow;
    struct el_buffer state;
};

static int print(struct tailing *t, const struct evlog_event *event)
{
    struct evlog_event_view view = {.size = sizeof view};
    struct el_buffer line = {0};
    if (evlog_event_view(event, &view) != 0) {
        return cli_error(t->cli, CLI_ERR_OUTPUT, "no memory for an event");
    }
    if (t->cli->json || t->cli->plain || !isatty(STDOUT_FILENO)) {
        struct el_json_writer w;
        el_json_writer_init(&w, &line);
        el_json_begin_object(&w);
        cli_json_bytes(&w, "key", event->key);
        cli_json_bytes(&w, "type", view.type);
        cli_json_bytes(&w, "id", view.id);
        el_json_add_int(&w, "partition", event->partition);
        el_json_add_int(&w, "offset", event->offset);
        cli_json_time(&w, "time", cli_event_ns(event->timestamp_ms), 3);
        cli_json_time(&w, "append_time", event->append_time_ns, 9);
        cli_json_data(&w, view.data);
        el_json_add_str(&w, "position", evlog_archive_position(t->archive));
        el_json_end_object(&w);
        (void)el_json_writer_end(&w);
    } else {
        char when[40] = "-";
        if (event->append_time_ns >= 0) {
            el_time_format(when, event->append_time_ns, 3);
        }
        el_buffer_printf(&line, "%s  %s[%d] %lld  ", when, t->topic, event->partition, (long long)event->offset);
        cli_text(&line, event->key, CLI_SHOWN_MAX);
        el_buffer_append_str(&line, "  ");
        cli_text(&line, view.data, CLI_SHOWN_MAX);
    }
    el_buffer_append_char(&line, '\n');
    int rc = cli_put(t->cli, &line);
    el_buffer_free(&line);
    evlog_event_view_free(&view);
    return rc;
}

static int save(struct tailing *t)
{
    const char *position = t->state_path == NULL ? NULL : evlog_archive_position(t->archive);
    if (position == NULL) {
        return CLI_OK;
    }
    if (fflush(stdout) != 0) { /* what the state stands for has left */
        return cli_error(t->cli, CLI_ERR_OUTPUT, "%s", strerror(errno));
    }
    return archive_write_file(t->cli, t->state_path, el_slice_str(position));
}

static void wait_ms(int64_t ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL); /* a signal ends it */
}

/* What the bucket cannot say now is asked again while following. */
static bool goes_on(const struct tailing *t, const struct evlog_failure *failure)
{
    if (!t->follow || !failure->retriable) {
        return false;
    }
    cli_say(t->cli, "%s; trying again", failure->text);
    wait_ms(t->interval_ms);
    return true;
}

static int run(struct tailing *t)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_event *event = NULL;
    int rc = CLI_OK;
    while (rc == CLI_OK && !cli_interrupted && t->count != t->count_max) {
        int got = evlog_archive_next(t->archive, &event, &failure);
        if (got == 1) {
            rc = print(t, event);
            t->count++;
            if (rc == CLI_OK && t->count % STATE_EVENTS == 0) {
                rc = save(t);
            }
            continue;
        }
        if (got == 0) {
            rc = save(t);
            if (rc != CLI_OK || !t->follow) {
                break;
            }
            (void)fflush(stdout);
            got = evlog_archive_refresh(t->archive, &failure);
            if (got == 0) {
                wait_ms(t->interval_ms);
            }
        }
        if (got < 0 && !goes_on(t, &failure)) {
            rc = cli_failure(t->cli, &failure);
        }
    }
    int saved = save(t);
    return rc == CLI_OK ? saved : rc;
}

/* --from: a position, start, or a time. The state that was kept goes before it. */
static int begin(struct tailing *t, struct evlog_archive_options *options, int64_t *time_ns)
{
    struct el_error err = {0};
    *time_ns = -1;
    if (t->state_path != NULL && access(t->state_path, F_OK) == 0) {
        int rc = archive_read_file(t->cli, t->state_path, STATE_MAX, &t->state);
        options->position = el_buffer_text(&t->state);
        return rc;
    }
    if (t->from == NULL || strcmp(t->from, "start") == 0) {
        return CLI_OK;
    }
    struct el_progress progress;
    if (el_progress_parse(el_slice_str(t->from), &progress) == 0) {
        el_progress_free(&progress);
        options->position = t->from;
        return CLI_OK;
    }
    return el_time_parse(t->from[0] == '@' && strpbrk(t->from, "-:") != NULL ? t->from + 1 : t->from, t->cli->now_ns,
                         time_ns, &err) == 0
               ? CLI_OK
               : cli_error(t->cli, CLI_ERR_VALUE, "--from is a position, start, or a time: %s", err.text);
}

/* Who follows may be there before the first event was archived. */
static int open_or_wait(struct tailing *t, const struct evlog_archive_options *options)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    bool waiting = false;
    for (;;) {
        int code = evlog_archive_open(options, &t->archive, &failure);
        if (code == 0) {
            return CLI_OK;
        }
        bool may_come = code == EVLOG_ERR_UNKNOWN_TOPIC || code == EVLOG_ERR_NOT_FOUND || failure.retriable;
        if (!t->follow || !may_come || cli_interrupted) {
            return cli_interrupted ? CLI_OK : cli_failure(t->cli, &failure);
        }
        if (!waiting) {
            cli_say(t->cli, "%s: waiting for it", failure.text);
            waiting = true;
        }
        wait_ms(t->interval_ms);
    }
}

static int open_and_run(struct tailing *t, const struct archive_arguments *a)
{
    struct evlog_archive_options options = EVLOG_ARCHIVE_OPTIONS_INIT;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int64_t time_ns = -1;
    options.url = a->url;
    options.public_keys = a->pem;
    options.incarnation = a->incarnation;
    options.root = (uint64_t)a->root;
    options.topic = t->topic;
    int rc = begin(t, &options, &time_ns);
    rc = rc == CLI_OK ? open_or_wait(t, &options) : rc;
    if (rc == CLI_OK && t->archive != NULL && time_ns >= 0 && evlog_archive_seek(t->archive, time_ns, &failure) != 0) {
        rc = cli_failure(t->cli, &failure);
    }
    if (rc == CLI_OK && t->archive != NULL) {
        rc = run(t);
    }
    evlog_archive_close(t->archive);
    return rc;
}

int cmd_archive_tail(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct archive_arguments a = {.cli = cli};
    struct tailing t = {.cli = cli, .interval_ms = 1000, .count_max = -1};
    const struct cli_option options[] = {
        ARCHIVE_OPTIONS(&a),
        {"topic", 't', CLI_TEXT, &t.topic, "TOPIC", "whose events are printed"},
        {"follow", 'F', CLI_FLAG, &t.follow, NULL, "go on with each new root"},
        {"from", 0, CLI_TEXT, &t.from, "WHERE", "behind a position, at start, or at an append time; default: start"},
        {"state", 0, CLI_TEXT, &t.state_path, "FILE", "keep the position there, and go on from it"},
        {"count", 'n', CLI_INT, &t.count_max, "N", "stop after so many events"},
        {"interval", 0, CLI_DURATION, &t.interval_ms, "TIME", "look for a new root so often; default 1s"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    a.url = words.items[0];
    if (t.topic == NULL) {
        return cli_error(cli, CLI_ERR_VALUE, "--topic TOPIC is needed; evlog archive ls shows what there is");
    }
    if (t.follow && a.root != 0) {
        return cli_error(cli, CLI_ERR_VALUE, "--root stands still, --follow does not: give one of them");
    }
    if (t.interval_ms < 10) {
        return cli_error(cli, CLI_ERR_VALUE, "--interval is 10ms at least");
    }
    rc = archive_arguments_check(&a, false);
    if (rc == CLI_OK) {
        rc = open_and_run(&t, &a);
    }
    el_buffer_free(&t.state);
    archive_arguments_free(&a);
    return rc;
}
