/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_source.h"

#include <core/alloc.h>
#include <string.h>

#define KEY_FILE_LEN_MAX (64u << 10)

static int take_keys(struct replay_source *source, struct cli *cli, struct evlog_replay_options *options)
{
    size_t room = KEY_FILE_LEN_MAX, len = 0;
    FILE *file = fopen(source->archive_key, "rb");
    source->key_text = file == NULL ? NULL : el_malloc(room);
    len = source->key_text == NULL ? room : fread(source->key_text, 1, room, file);
    if (file != NULL) {
        (void)fclose(file);
    }
    if (len == room) {
        return cli_error(cli, CLI_ERR_FILE, "%.200s cannot be read", source->archive_key);
    }
    source->key_text[len] = 0;
    options->archive_keys = (struct evlog_bytes){source->key_text, len};
    return CLI_OK;
}

/* Where events come from: with --archive that first, and behind it the broker, unless one of them is named. */
int replay_source_take(struct replay_source *source, struct cli *cli, struct evlog_replay_options *options)
{
    const char *word = source->source == NULL ? "auto" : source->source;
    bool from_archive = strcmp(word, "archive") == 0;
    if (!from_archive && strcmp(word, "auto") != 0 && strcmp(word, "broker") != 0) {
        return cli_error(cli, CLI_ERR_VALUE, "--source %s: broker, archive or auto", word);
    }
    if (from_archive && source->archive == NULL) {
        return cli_error(cli, CLI_ERR_VALUE, "--source archive: --archive URL says which");
    }
    if (strcmp(word, "broker") == 0) {
        return source->archive == NULL ? CLI_OK : cli_error(cli, CLI_ERR_VALUE, "--source broker reads no archive");
    }
    options->archive_url = source->archive;
    options->archive_only = from_archive;
    return source->archive_key == NULL ? CLI_OK : take_keys(source, cli, options);
}

int replay_source_connect(struct cli *cli, const struct evlog_replay_options *options)
{
    return options->archive_only ? CLI_OK : cli_connect(cli);
}

void replay_source_free(struct replay_source *source)
{
    el_free(source->key_text);
}
