/* SPDX-License-Identifier: Apache-2.0
 *
 * evlogd as a program beside this one: where it is, how it is started in the background or run to its end. POSIX only.
 */
#ifndef EVLOG_TOOLS_SERVER_PROCESS_H
#define EVLOG_TOOLS_SERVER_PROCESS_H

#include "cli.h"

#define SERVER_PATH_MAX 4096
#define SERVER_READY_MAX 512

/* A server that "up" started, as its pid file says. */
struct server_note {
    long pid;
    char kafka[256]; /* HOST:PORT it listens on */
};

/* Path of evlogd: beside this program, else by the name alone for a search on the PATH. path[SERVER_PATH_MAX] */
void server_program(char *path);
/* Default data directory; dir[SERVER_PATH_MAX]. returns CLI_OK | exit code, told */
int server_data_dir(const struct cli *cli, char *dir);
/* Make a directory and those above it. returns 0 or -1 with errno */
int server_make_dir(const char *dir);
/* Run evlogd to its end with our stdin, stdout and stderr; argv is NULL-terminated. returns its exit code */
int server_run(const struct cli *cli, const char *const *argv);
/* Start it in the background: stdout to a pipe, stderr to a file. returns CLI_OK | exit code, told */
struct server_start {
    const char *const *argv;
    const char *log_path;
    int ready_fd; /* its stdout */
    long pid;
};
int server_start(const struct cli *cli, struct server_start *start);
/* The note in a data directory; false when there is none, or its process is gone or another program's. */
bool server_note_read(const char *dir, struct server_note *note);
int server_note_write(const char *dir, const struct server_note *note);
void server_note_remove(const char *dir);
/* True while the process runs and is an evlogd. */
bool server_alive(long pid);

#endif
