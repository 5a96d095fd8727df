/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings that evlogd would run with, as it says itself (--print-config), so that there is one table of them.
 */
#ifndef EVLOG_TOOLS_SERVER_SETTINGS_H
#define EVLOG_TOOLS_SERVER_SETTINGS_H

#include "cli.h"

struct server_settings {
    struct el_buffer text; /* what evlogd printed */
    int exit_code;         /* its; 0 when they are valid */
};

/* Ask evlogd. file: of --config, or NULL. returns CLI_OK also when they are not valid | CLI_FAILED told */
int server_settings_read(const struct cli *cli, const char *file, struct server_settings *settings);
/* The same of what it prints for a flag: "--explain=NAME". */
int server_settings_ask(const struct cli *cli, const char *flag, const char *file, struct server_settings *settings);
void server_settings_free(struct server_settings *settings);
/* A value by the setting's section and key; "" when it is not set. value[room] */
const char *server_settings_get(const struct server_settings *settings, const char *section, const char *key,
                                char *value, size_t room);
/* The listener by that index, from 0, that has a setting for itself: the name as it stands in the key, name[room].
 * returns false: there are not so many */
bool server_settings_listener(const struct server_settings *settings, const char *setting, size_t index, char *name,
                              size_t room);

#endif
