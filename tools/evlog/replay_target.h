/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a replay goes: --to stdout, exec:CMD, sqlite:FILE, topic:NAME.
 *
 * 1. A target is opened before anything is read, so that what it refuses is refused at once.
 * 2. take() gets every event that is told, or with the fold every live key, in the order of the replay.
 * 3. finish() makes it whole, after the last one; without it nothing remains of a file, and of a topic what was sent.
 * 4. close() frees it, in every case.
 */
#ifndef EVLOG_TOOLS_REPLAY_TARGET_H
#define EVLOG_TOOLS_REPLAY_TARGET_H

#include "cli.h"

struct replay_target {
    struct cli *cli;
    /* returns CLI_OK | exit code, told */
    int (*take)(struct replay_target *target, const struct evlog_replay_event *event);
    int (*finish)(struct replay_target *target, const struct evlog_replay_summary *summary);
    void (*close)(struct replay_target *target);
    const char *resume_hint; /* what to do after an interruption; NULL: go on behind the last event */
};

/* What was asked for. */
struct replay_wanted {
    const char *topic;   /* that is replayed */
    const char *to;      /* as it was given, NULL: stdout */
    const char *project; /* FILE.sql, or NULL */
    const char *confirm; /* name given with --confirm, or NULL */
    bool fold_latest;
    bool dry_run;
    bool accept_holes;            /* go on where history is missing */
    bool temporary;               /* nobody has asked for the file: it is not talked of */
    bool whole;                   /* all keys, from the beginning */
    struct evlog_key_store *keys; /* opens sealed fields for a projection, or NULL */
};

/* Open what --to names. returns CLI_OK | exit code, told */
int replay_target_open(struct cli *cli, const struct replay_wanted *wanted, struct replay_target **target);
void replay_target_close(struct replay_target *target); /* NULL is allowed */
/* One event as a line of JSON, in line. */
void replay_put_event(struct el_buffer *line, const struct evlog_replay_event *event);

/* --- replay_rows.c --- */

/* A SQLite file: the events as rows, or what the SQL of project makes of them. The file is not there before finish().
 *
 * project  text of a file of SQL is read from it; NULL: a table of events, or of the state with the fold
 */
int replay_rows_open(struct cli *cli, const struct replay_wanted *wanted, const char *path,
                     struct replay_target **target);

/* --- replay_topic.c --- */

/* A topic: a copy of the events, or with the fold the state of a table as it was. */
int replay_topic_open(struct cli *cli, const struct replay_wanted *wanted, const char *name,
                      struct replay_target **target);

#endif
