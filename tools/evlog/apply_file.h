/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of 'evlog apply': what is to be at a broker, in sections of "key = value" lines, as in evlogd.conf.
 *
 *     [topic orders]            partitions = N, and settings of topics
 *     [group billing]           settings of work groups
 *     [user billing]            password.file = PATH (from the file's folder), mechanisms = NAME,NAME, iterations = N
 *     [quota user billing]      limits of it: producer_byte_rate = 10MiB; see quota_words.h for the entities
 *     [acl User:billing]        allow = OPERATIONS RESOURCE NAME... [from ADDRESS], deny = the same, as often as wanted
 *
 * A comment begins with "#" at the begin of a line or behind a blank. Everything is checked before anything is sent
 * but what only the broker knows.
 */
#ifndef EVLOG_TOOLS_APPLY_FILE_H
#define EVLOG_TOOLS_APPLY_FILE_H

#include "acl_words.h"
#include "cli.h"
#include "quota_words.h"

#include <core/arena.h>

#define APPLY_ERRORS_MAX 20 /* told of one file */
#define APPLY_PATH_MAX 4096

struct apply_place {
    int line, column; /* from 1 */
};

enum apply_kind { APPLY_TOPIC, APPLY_GROUP, APPLY_USER, APPLY_QUOTA, APPLY_ACL, APPLY_KIND_COUNT };

/* A section. */
struct apply_item {
    enum apply_kind kind;
    const char *name; /* of quotas the entity in words */
    struct apply_place place;
    struct evlog_setting *settings; /* [setting_count] of topics, groups and quotas */
    struct apply_place *places;     /* [setting_count] of their keys */
    size_t setting_count;
    int32_t partition_count; /* of topics, -1 not said */
    const char *password_file;
    struct apply_place password_place;
    int mechanisms[2]; /* [mechanism_count] of users */
    size_t mechanism_count;
    uint32_t iterations; /* of users, 0 not said */
    struct evlog_quota_entity entity;
};

struct apply_file {
    const char *path;
    struct el_arena arena;
    struct apply_item *items; /* [item_count] in the order of the file */
    size_t item_count;
    struct acl_set acls; /* of all sections */
    int error_count;
};

/* Read and check a file. Every mistake is told as PATH:LINE:COLUMN, the first APPLY_ERRORS_MAX of them.
 *
 * file     all zero; free with apply_file_free() whatever is returned
 * returns  CLI_OK | exit code, and has said why
 */
int apply_file_read(const struct cli *cli, const char *path, struct apply_file *file);
void apply_file_free(struct apply_file *file);
/* Tell a mistake. returns CLI_USAGE */
int apply_wrong(const struct cli *cli, struct apply_file *file, struct apply_place place, const char *remedy,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The path of a file that the file names, which lies beside it. path[APPLY_PATH_MAX]. returns false: it is too long */
bool apply_file_beside(const struct apply_file *file, const char *name, char *path);

/* The section of a name, NULL when there is none. */
const struct apply_item *apply_find(const struct apply_file *file, enum apply_kind kind, const char *name);

#endif
