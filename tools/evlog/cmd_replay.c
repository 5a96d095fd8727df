/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog replay: the events of a topic, or the state they add up to, at a point in time. JSON objects on stdout, one a
 * line; the digest on stderr.
 *
 * An interrupted replay prints no digest: half a history has none. It says how to go on instead.
 */
#include "cli.h"

#include <core/alloc.h>
#include <core/timefmt.h>
#include <string.h>

struct replay {
    struct cli *cli;
    const char *fold;
    struct cli_list drop_types;
    struct evlog_replay_options options;
    struct el_buffer line;
    int64_t last_ns; /* time of the event printed last, -1 none */
    int exit_code;   /* of a callback that failed */
};

static int on_event(void *arg, const struct evlog_replay_event *replayed)
{
    struct replay *replay = arg;
    struct el_json_writer w;
    if (replay->cli->quiet) {
        return 0;
    }
    struct evlog_stream_event row = {
        replayed->event, replayed->version, replayed->type, replayed->id, replayed->data,
    };
    el_json_writer_init(&w, &replay->line);
    cli_json_event(&w, &row);
    if (el_json_writer_end(&w) != 0) {
        replay->line.err = EVLOG_ERR_NO_MEMORY;
    }
    el_buffer_append_char(&replay->line, '\n');
    replay->exit_code = cli_put(replay->cli, &replay->line);
    replay->last_ns = replay->options.event_time ? cli_event_ns(replayed->event->timestamp_ms)
                                                 : replayed->event->append_time_ns;
    return replay->exit_code == CLI_OK ? 0 : EVLOG_ERR_IO;
}

static int on_progress(void *arg, uint64_t read_count, uint64_t total_count)
{
    struct replay *replay = arg;
    cli_progress(replay->cli, "replayed", read_count, total_count);
    return cli_interrupted ? EVLOG_ERR_CLOSED : 0;
}

static int interrupted(const struct replay *replay)
{
    char text[40];
    cli_progress_end(replay->cli);
    if (replay->last_ns >= 0 && !replay->options.fold_latest) {
        el_time_format(text, replay->last_ns, 9);
        cli_say(replay->cli, "interrupted; to go on from the last event printed: --from %s (without a digest of all)",
                text);
    } else {
        cli_say(replay->cli, "interrupted before anything was printed; run the same command again");
    }
    return CLI_INTERRUPTED;
}

static int run(struct replay *replay, const struct cli_words *words)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_replay_summary summary = EVLOG_REPLAY_SUMMARY_INIT;
    char digest[65];
    int rc = cli_connect(replay->cli);
    if (rc != CLI_OK) {
        return rc;
    }
    replay->options.topic = words->items[0];
    if (words->count > 1) {
        replay->options.key = (struct evlog_bytes){words->items[1], strlen(words->items[1])};
    }
    rc = evlog_replay_run(replay->cli->client, &replay->options, &summary, &failure);
    if (rc != 0 && cli_interrupted) {
        return interrupted(replay);
    }
    cli_progress_end(replay->cli);
    if (rc != 0) {
        return replay->exit_code != CLI_OK ? replay->exit_code : cli_failure(replay->cli, &failure);
    }
    if (replay->options.fold_latest && summary.keyless_count > 0) {
        cli_say(replay->cli, "%llu events have no key: they are in the digest, not in the state",
                (unsigned long long)summary.keyless_count);
    }
    (void)fflush(stdout);
    for (size_t i = 0; i < 32; i++) {
        (void)snprintf(&digest[2 * i], 3, "%02x", summary.digest[i]);
    }
    (void)fprintf(stderr, "digest sha256:%s events %llu keys %llu%s\n", digest, (unsigned long long)summary.event_count,
                  (unsigned long long)summary.key_count, summary.partial ? " partial" : "");
    return CLI_OK;
}

static int check(struct replay *replay)
{
    struct evlog_replay_options *options = &replay->options;
    if (replay->fold != NULL && strcmp(replay->fold, "latest") != 0) {
        return cli_error(replay->cli, CLI_ERR_VALUE, "--fold %s: latest is the one fold there is", replay->fold);
    }
    options->fold_latest = replay->fold != NULL;
    options->drop_types = replay->drop_types.items;
    options->drop_type_count = replay->drop_types.count;
    if (options->drop_type_count > 0 && !options->fold_latest) {
        return cli_error(replay->cli, CLI_ERR_VALUE, "--drop-type needs --fold latest");
    }
    return CLI_OK;
}

int cmd_replay(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct replay replay = {.cli = cli, .last_ns = -1};
    replay.options = (struct evlog_replay_options)EVLOG_REPLAY_OPTIONS_INIT;
    replay.options.on_event = on_event;
    replay.options.on_progress = on_progress;
    replay.options.arg = &replay;
    const struct cli_option options[] = {
        {"until", 0, CLI_TIME, &replay.options.until_ns, "TIME", "last point in time, inclusive (now)"},
        {"from", 0, CLI_TIME, &replay.options.from_ns, "TIME", "first point in time, inclusive (the beginning)"},
        {"event-time", 0, CLI_FLAG, &replay.options.event_time, NULL, "the publishers' times, not the server's"},
        {"fold", 0, CLI_TEXT, &replay.fold, "latest", "the state: the last event of every key"},
        {"drop-type", 0, CLI_LIST, &replay.drop_types, "GLOB", "an event of such a type removes its key; repeatable"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = check(&replay);
        if (rc == CLI_OK) {
            rc = run(&replay, &words);
        }
    }
    el_buffer_free(&replay.line);
    cli_list_free(&replay.drop_types);
    return rc;
}
