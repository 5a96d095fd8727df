/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

static void on_signal(int signal_number)
{
    (void)signal_number;
    if (cli_interrupted) {
        _Exit(CLI_INTERRUPTED);
    }
    cli_interrupted = 1;
    if (cli_waiting != NULL) {
        evlog_client_give_up(cli_waiting);
    }
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct cli cli = {
        .program = argc > 0 ? argv[0] : "evlog",
        .timeout_ms = -1,
        .now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
    };
    int rc = cli_run(&cli, argc - 1, argv + 1);
    cli_close(&cli);
    if (fflush(stdout) != 0 && rc == CLI_OK) {
        rc = cli_error(&cli, CLI_ERR_OUTPUT, "the output cannot be written");
    }
    return cli_interrupted && rc != CLI_PARTIAL ? CLI_INTERRUPTED : rc;
}
