/* SPDX-License-Identifier: Apache-2.0 */
#include "server_process.h"

/* The server knows its settings; it is asked, so that there is one table of them and not two. */
static int ask_server(struct cli *cli, const struct cli_command *command, int argc, char **argv, const char *flag)
{
    struct cli_grammar grammar = {NULL, 0, 0, 1};
    struct cli_words words;
    char program[SERVER_PATH_MAX];
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    server_program(program);
    const char *file = words.count > 0 ? words.items[0] : cli->config;
    const char *server_argv[] = {program, flag, file == NULL ? NULL : "--config", file, NULL};
    (void)fflush(stdout);
    return server_run(cli, server_argv);
}

int cmd_config_check(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return ask_server(cli, command, argc, argv, "--check-config");
}

int cmd_config_print(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return ask_server(cli, command, argc, argv, "--print-config");
}
