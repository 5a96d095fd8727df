/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog replay: the events of a topic, or the state they add up to, at a point in time, to where --to says
 * (replay_target.h); the digest on stderr.
 *
 * An interrupted replay prints no digest: half a history has none. It says how to go on instead.
 */
#include "replay_source.h"
#include "replay_target.h"
#include "sealing.h"
#include "where.h"

#include <core/timefmt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POSITION_WORD_LEN 40
#define SPEED_MAX 1e9
#define PAUSE_NS 100000000ll /* longest sleep before somebody may interrupt */

struct replay {
    struct cli *cli;
    const char *fold, *from, *speed;
    struct replay_source source;
    struct cli_list drop_types;
    struct replay_wanted wanted;
    struct evlog_replay_options options;
    struct replay_target *target;
    struct sealing sealing;
    bool opens;  /* data is given away opened; a topic gets what there is, a projection opens it itself */
    double pace; /* 0: as fast as it goes */
    int64_t first_ns, begun_ns;
    bool some; /* an event was told: the last one lay here */
    int32_t last_partition;
    int64_t last_offset;
    int exit_code; /* of a target that failed */
};

/* --- pace --------------------------------------------------------------------------------------------------------- */

static int64_t monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Wait until as much time has passed since the first event as lay between it and this one. */
static void keep_pace(struct replay *replay, const struct evlog_event *event)
{
    int64_t ns = replay->options.event_time ? cli_event_ns(event->timestamp_ms) : event->append_time_ns;
    if (ns < 0) {
        return;
    }
    if (replay->begun_ns == 0) {
        replay->begun_ns = monotonic_ns();
        replay->first_ns = ns;
    }
    (void)fflush(NULL); /* what is told already is seen now */
    double ahead_ns = (double)(ns - replay->first_ns) / replay->pace;
    while (!cli_interrupted) {
        double left_ns = ahead_ns - (double)(monotonic_ns() - replay->begun_ns);
        if (left_ns <= 0) {
            return;
        }
        struct timespec pause = {0, (long)(left_ns < PAUSE_NS ? left_ns : PAUSE_NS)};
        (void)nanosleep(&pause, NULL);
    }
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static int on_event(void *arg, const struct evlog_replay_event *replayed)
{
    struct replay *replay = arg;
    if (replay->pace > 0) {
        keep_pace(replay, replayed->event);
    }
    if (cli_interrupted) {
        return EVLOG_ERR_CLOSED;
    }
    struct evlog_replay_event shown = *replayed;
    replay->exit_code = replay->opens ? sealing_open_data(&replay->sealing, replayed->event, replayed->id, &shown.data)
                                      : CLI_OK;
    if (replay->exit_code == CLI_OK) {
        replay->exit_code = replay->target->take(replay->target, &shown);
    }
    if (replay->exit_code != CLI_OK) {
        return EVLOG_ERR_IO;
    }
    replay->some = true;
    replay->last_partition = replayed->event->partition;
    replay->last_offset = replayed->event->offset;
    return 0;
}

static int on_progress(void *arg, uint64_t read_count, uint64_t total_count)
{
    struct replay *replay = arg;
    cli_progress(replay->cli, "replayed", read_count, total_count);
    return cli_interrupted ? EVLOG_ERR_CLOSED : 0;
}

static int interrupted(const struct replay *replay)
{
    char position[EVLOG_REPLAY_POSITION_MAX];
    struct evlog_topic_info *info;
    const char *hint = replay->target->resume_hint;
    cli_progress_end(replay->cli);
    if (hint == NULL && replay->some && !replay->options.fold_latest && replay->cli->client != NULL &&
        evlog_topic_look(replay->cli->client, replay->options.topic, &info, NULL) == 0) {
        evlog_replay_position(info->id, replay->last_partition, replay->last_offset, position);
        evlog_topic_info_free(info);
        cli_say(replay->cli, "interrupted; to go on behind the last event: --from %s (without a digest of all)",
                position);
        return CLI_INTERRUPTED;
    }
    cli_say(replay->cli, "interrupted; %s", hint != NULL ? hint : "run the same command again");
    return CLI_INTERRUPTED;
}

static void print_digest(const struct evlog_replay_summary *summary)
{
    char digest[65];
    for (size_t i = 0; i < 32; i++) {
        (void)snprintf(&digest[2 * i], 3, "%02x", summary->digest[i]);
    }
    (void)fflush(stdout);
    (void)fprintf(stderr, "digest sha256:%s events %llu keys %llu%s\n", digest,
                  (unsigned long long)summary->event_count, (unsigned long long)summary->key_count,
                  summary->partial ? " partial" : "");
}

static int replay_all(struct replay *replay)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_replay_summary summary = EVLOG_REPLAY_SUMMARY_INIT;
    int rc = evlog_replay_run(replay->cli->client, &replay->options, &summary, &failure);
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
    rc = replay->target->finish == NULL ? CLI_OK : replay->target->finish(replay->target, &summary);
    if (rc == CLI_OK) {
        print_digest(&summary);
    }
    return rc;
}

static int run(struct replay *replay)
{
    bool to_topic = replay->wanted.to != NULL && strncmp(replay->wanted.to, "topic:", 6) == 0;
    int rc = to_topic ? cli_connect(replay->cli) : replay_source_connect(replay->cli, &replay->options);
    if (rc == CLI_OK) {
        rc = replay_target_open(replay->cli, &replay->wanted, &replay->target);
    }
    if (rc == CLI_OK) {
        rc = replay_all(replay);
    }
    replay_target_close(replay->target);
    return rc;
}

/* --- what was asked for ------------------------------------------------------------------------------------------- */

/* --from: a position, the version of a stream's event, or a time. */
static int take_from(struct replay *replay)
{
    struct evlog_replay_options *options = &replay->options;
    const char *from = replay->from;
    struct el_error err = {0};
    if (from == NULL) {
        return CLI_OK;
    }
    if (where_count(from, &options->from_version)) {
        return options->key.data != NULL
                   ? CLI_OK
                   : cli_error_remedy(replay->cli,
                                      (struct cli_remedy){CLI_ERR_VALUE, "name the KEY, or begin "
                                                                         "at a time or a position"},
                                      "--from %s: a number is the version of a stream's event", from);
    }
    options->from_version = -1;
    bool word = strlen(from) == POSITION_WORD_LEN && strpbrk(from, " :+.") == NULL;
    if (word || strchr(from, '/') != NULL) {
        options->from_position = from;
        return CLI_OK;
    }
    if (el_time_parse(from, replay->cli->now_ns, &options->from_ns, &err) == 0) {
        return CLI_OK;
    }
    return cli_error_remedy(replay->cli,
                            (struct cli_remedy){CLI_ERR_VALUE, "a time such as -1h, a version of KEY, "
                                                               "TOPIC/PARTITION/OFFSET, or the word that an append or "
                                                               "an interrupted replay printed"},
                            "--from %s: %s", from, err.text);
}

/* --speed: max, original, or N times that. */
static int take_speed(struct replay *replay)
{
    const char *speed = replay->speed;
    char *end;
    if (speed == NULL || strcmp(speed, "max") == 0) {
        return CLI_OK;
    }
    replay->pace = 1;
    if (strcmp(speed, "original") != 0) {
        errno = 0;
        replay->pace = strtod(speed, &end);
        bool ok = speed[0] >= '0' && speed[0] <= '9' && strcmp(end, "x") == 0 && errno == 0 && replay->pace > 0 &&
                  replay->pace <= SPEED_MAX;
        if (!ok) {
            return cli_error(replay->cli, CLI_ERR_VALUE, "--speed %s: max, original, or 10x for ten times as fast",
                             speed);
        }
    }
    return replay->options.fold_latest
               ? cli_error(replay->cli, CLI_ERR_VALUE, "--speed is for events: a state has no times to keep")
               : CLI_OK;
}

static int take_fold(struct replay *replay)
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

static int check(struct replay *replay, const struct cli_words *words)
{
    struct evlog_replay_options *options = &replay->options;
    struct replay_wanted *wanted = &replay->wanted;
    wanted->topic = options->topic = words->items[0];
    if (words->count > 1) {
        options->key = (struct evlog_bytes){words->items[1], strlen(words->items[1])};
    }
    int rc = take_fold(replay);
    rc = rc == CLI_OK ? take_from(replay) : rc;
    rc = rc == CLI_OK ? take_speed(replay) : rc;
    rc = rc == CLI_OK ? replay_source_take(&replay->source, replay->cli, options) : rc;
    rc = rc == CLI_OK ? sealing_open(&replay->sealing, replay->cli, false) : rc;
    wanted->keys = replay->sealing.store;
    wanted->fold_latest = options->fold_latest;
    wanted->whole = options->key.data == NULL && replay->from == NULL;
    bool to_topic = wanted->to != NULL && strncmp(wanted->to, "topic:", 6) == 0;
    options->with_headers = to_topic;
    replay->opens = !to_topic && wanted->project == NULL;
    if (rc == CLI_OK && !to_topic && (wanted->dry_run || wanted->confirm != NULL || wanted->accept_holes)) {
        rc = cli_error(replay->cli, CLI_ERR_VALUE, "--dry-run, --confirm and --accept-holes are for --to topic:NAME");
    }
    return rc;
}

int cmd_replay(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct replay replay = {.cli = cli};
    replay.options = (struct evlog_replay_options)EVLOG_REPLAY_OPTIONS_INIT;
    replay.options.on_event = on_event;
    replay.options.on_progress = on_progress;
    replay.options.arg = &replay;
    const struct cli_option options[] = {
        {"until", 0, CLI_TIME, &replay.options.until_ns, "TIME", "last point in time, inclusive (now)"},
        {"from", 0, CLI_TEXT, &replay.from, "WHERE",
         "begin at a time, at a version of KEY, at TOPIC/PARTITION/OFFSET, or behind a position (the beginning)"},
        {"event-time", 0, CLI_FLAG, &replay.options.event_time, NULL, "the publishers' times, not the server's"},
        {"fold", 0, CLI_TEXT, &replay.fold, "latest", "the state: the last event of every key"},
        {"drop-type", 0, CLI_LIST, &replay.drop_types, "GLOB", "an event of such a type removes its key; repeatable"},
        {"to", 0, CLI_TEXT, &replay.wanted.to, "TARGET", "stdout (the default), sqlite:FILE, topic:NAME, exec:COMMAND"},
        {"project", 0, CLI_TEXT, &replay.wanted.project, "FILE.sql", "the rows of a projection, into --to sqlite:FILE"},
        {"speed", 0, CLI_TEXT, &replay.speed, "SPEED", "max (the default), original, or 10x: as the times lie apart"},
        REPLAY_SOURCE_OPTIONS(&replay.source),
        {"dry-run", 0, CLI_FLAG, &replay.wanted.dry_run, NULL, "--to topic: say what would change"},
        {"confirm", 0, CLI_TEXT, &replay.wanted.confirm, "NAME", "--to topic: yes, change what NAME holds"},
        {"accept-holes", 0, CLI_FLAG, &replay.wanted.accept_holes, NULL,
         "--to topic: also where compaction or retention took history away"},
        SEALING_KEYS_OPTIONS(&replay.sealing),
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = check(&replay, &words);
        if (rc == CLI_OK) {
            rc = run(&replay);
        }
    }
    sealing_close(&replay.sealing);
    replay_source_free(&replay.source);
    cli_list_free(&replay.drop_types);
    return rc;
}
