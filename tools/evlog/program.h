/* SPDX-License-Identifier: Apache-2.0
 *
 * Running another program and waiting for it.
 */
#ifndef EVLOG_TOOLS_PROGRAM_H
#define EVLOG_TOOLS_PROGRAM_H

#include "cli.h"

#include <sys/types.h>

/* Start a program with the environment as it is.
 *
 * argv       NULL-terminated; argv[0] is looked for on the PATH
 * stdin_fd   what it reads; stdout_fd: where its output goes, -1: the same as ours
 * process    written on success; program_wait() ends it
 * returns    CLI_OK | CLI_FAILED told
 */
int program_start(const struct cli *cli, const char *const *argv, int stdin_fd, int stdout_fd, pid_t *process);
/* Wait until it has ended. returns its exit code | -N: signal N ended it */
int program_wait(pid_t process);

#endif
