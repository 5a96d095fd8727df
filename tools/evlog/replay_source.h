/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the events of a replay come from: the options --source, --archive and --archive-key, which every command that
 * replays has.
 */
#ifndef EVLOG_TOOLS_REPLAY_SOURCE_H
#define EVLOG_TOOLS_REPLAY_SOURCE_H

#include "cli.h"

struct replay_source {
    const char *source, *archive, *archive_key; /* as given; NULL: not */
    char *key_text;                             /* what that file holds, NUL-terminated */
};

#define REPLAY_SOURCE_OPTIONS(s)                                                                                       \
    {                                                                                                                  \
        "source",                                                                                                      \
        0,                                                                                                             \
        CLI_TEXT,                                                                                                      \
        &(s)->source,                                                                                                  \
        "SOURCE",                                                                                                      \
        "broker, archive (and no broker), or auto: an archive if one is named, and behind it the broker (auto)"},      \
        {"archive", 0, CLI_TEXT, &(s)->archive, "URL", "an archive: s3://BUCKET/PREFIX or file:///DIR"},               \
    {                                                                                                                  \
        "archive-key", 0, CLI_TEXT, &(s)->archive_key, "FILE", "public keys (PEM) of which one must have signed it"    \
    }

/* Write what they say to the options of a replay, which borrow from the source. returns CLI_OK | exit code, told */
int replay_source_take(struct replay_source *source, struct cli *cli, struct evlog_replay_options *options);
/* Connect to the broker, unless the archive alone is read: cli->client is NULL then.
 * returns CLI_OK | exit code, told */
int replay_source_connect(struct cli *cli, const struct evlog_replay_options *options);
void replay_source_free(struct replay_source *source);

#endif
