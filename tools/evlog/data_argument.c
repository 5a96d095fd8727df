/* SPDX-License-Identifier: Apache-2.0 */
#include "data_argument.h"

#include <errno.h>
#include <string.h>

#define DATA_LEN_MAX (64u << 20)
#define CHUNK_LEN 65536

int data_read(const struct cli *cli, const char *option, const char *path, struct el_buffer *out)
{
    const char *name = path == NULL ? "stdin" : path;
    FILE *file = path == NULL ? stdin : fopen(path, "rb");
    if (file == NULL) {
        return cli_error(cli, CLI_ERR_FILE, "%s%s: %s", option, path, strerror(errno));
    }
    size_t got = 1;
    while (got > 0 && out->len <= DATA_LEN_MAX) {
        uint8_t *room = el_buffer_room(out, CHUNK_LEN);
        got = room == NULL ? 0 : fread(room, 1, CHUNK_LEN, file);
        out->len -= room == NULL ? 0 : CHUNK_LEN - got;
    }
    bool failed = ferror(file) != 0;
    if (path != NULL) {
        (void)fclose(file);
    }
    if (failed || out->err != 0) {
        return cli_error(cli, CLI_ERR_FILE, "%s%s: %s", option, name, failed ? "it cannot be read" : "no memory");
    }
    return out->len > DATA_LEN_MAX
               ? cli_error(cli, CLI_ERR_FILE, "%s%s: more than %u MiB", option, name, DATA_LEN_MAX >> 20)
               : CLI_OK;
}

int data_argument(const struct cli *cli, const char *text, struct el_buffer *room, struct evlog_bytes *bytes)
{
    if (strcmp(text, "-") != 0 && text[0] != '@') {
        *bytes = (struct evlog_bytes){text, strlen(text)};
        return CLI_OK;
    }
    int rc = data_read(cli, text[0] == '@' ? "--data @" : "--data ", text[0] == '@' ? text + 1 : NULL, room);
    if (rc == CLI_OK) {
        *bytes = (struct evlog_bytes){room->len == 0 ? (const void *)"" : room->data, room->len};
    }
    return rc;
}
