/* SPDX-License-Identifier: Apache-2.0
 *
 * What the commands about archives share: their options, keys from a file, errors.
 */
#ifndef EVLOG_TOOLS_ARCHIVE_OPEN_H
#define EVLOG_TOOLS_ARCHIVE_OPEN_H

#include "cli.h"

#include <core/sign.h>
#include <store/archive_reader.h>

struct archive_arguments {
    struct cli *cli;
    const char *url;
    const char *key_path;    /* --key */
    const char *incarnation; /* --incarnation */
    int64_t root;            /* --root, 0: the newest */
    char *pem;               /* what the key file holds */
    struct el_public_key keys[EL_SIGN_KEYS_MAX];
    size_t key_count;
    struct el_uuid incarnation_id;
};

/* Options that every command about an archive has. */
#define ARCHIVE_OPTIONS(a)                                                                                             \
    {"key", 0, CLI_TEXT, &(a)->key_path, "FILE", "public keys, PEM: roots must be signed with one, or a successor"},   \
        {"incarnation", 0, CLI_TEXT, &(a)->incarnation, "ID", "of the archive, where there are several"},              \
    {                                                                                                                  \
        "root", 0, CLI_INT, &(a)->root, "N", "look at it as of this root; default: the newest"                         \
    }

/* Read the key file, and check what was given. returns CLI_OK | exit code, told */
int archive_arguments_check(struct archive_arguments *a, bool needs_key);
void archive_arguments_free(struct archive_arguments *a);
/* Open store and reader. returns CLI_OK | exit code, told */
int archive_open(const struct archive_arguments *a, struct object_store **store, struct archive_reader **reader);
/* Tell an error of an archive. returns its exit code */
int archive_failed(const struct cli *cli, const struct el_error *err);
/* A whole file, at most max bytes. returns CLI_OK | exit code, told */
int archive_read_file(const struct cli *cli, const char *path, size_t max, struct el_buffer *out);
/* Write a file that is whole or not there: beside, synced, renamed. returns CLI_OK | exit code, told */
int archive_write_file(const struct cli *cli, const char *path, struct el_slice text);

#endif
