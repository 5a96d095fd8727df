/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int program_start(const struct cli *cli, const char *const *argv, int stdin_fd, int stdout_fd, pid_t *process)
{
    posix_spawn_file_actions_t actions;
    (void)fflush(stdout);
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc == 0) {
        rc = posix_spawn_file_actions_adddup2(&actions, stdin_fd, STDIN_FILENO);
        if (rc == 0 && stdout_fd >= 0) {
            rc = posix_spawn_file_actions_adddup2(&actions, stdout_fd, STDOUT_FILENO);
        }
        if (rc == 0) {
            rc = posix_spawnp(process, argv[0], &actions, NULL, (char *const *)argv, environ);
        }
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    const struct cli_remedy remedy = {CLI_ERR_PROGRAM,
                                      "is its name right, and may it be run? Shell syntax needs sh -c"};
    return rc == 0 ? CLI_OK : cli_error_remedy(cli, remedy, "%s cannot be started: %s", argv[0], strerror(rc));
}

int program_wait(pid_t process)
{
    int status;
    while (waitpid(process, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
