/* SPDX-License-Identifier: Apache-2.0
 *
 * Passwords of users: asked for on a terminal, read from a file, or made. Never from a word of the command, which
 * others on the machine can see.
 */
#ifndef EVLOG_TOOLS_PASSWORD_H
#define EVLOG_TOOLS_PASSWORD_H

#include "cli.h"

struct password {
    char text[EVLOG_PASSWORD_LEN_MAX + 1]; /* "" none yet */
};

/* Read one from a file: all of it but a line break at its end. A file that everybody may read is refused.
 *
 * path     "-" is the standard input
 * returns  CLI_OK | exit code, and has said why
 */
int password_read(const struct cli *cli, const char *path, struct password *password);
/* Ask for one twice, without an echo. returns CLI_OK | exit code, and has said why, also where nobody can be asked */
int password_ask(const struct cli *cli, const char *user, struct password *password);
/* Make one of 32 characters with 192 random bits. returns CLI_OK | CLI_FAILED told */
int password_make(const struct cli *cli, struct password *password);
void password_wipe(struct password *password);

#endif
