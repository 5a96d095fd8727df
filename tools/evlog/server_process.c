/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting and finding evlogd. The note "evlogd.pid" in the data directory holds the process id and the address;
 * since a process id may belong to another program by now, /proc is asked whether it still is an evlogd.
 */
#include "server_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOTE_NAME "evlogd.pid"
#define EXEC_FAILED 127

void server_program(char *path)
{
    ssize_t len = readlink("/proc/self/exe", path, SERVER_PATH_MAX - 16);
    char *slash = NULL;
    if (len > 0) {
        path[len] = '\0';
        slash = strrchr(path, '/');
    }
    if (slash != NULL) {
        memcpy(slash + 1, "evlogd", sizeof "evlogd");
        if (access(path, X_OK) == 0) {
            return;
        }
    }
    (void)snprintf(path, SERVER_PATH_MAX, "evlogd");
}

int server_data_dir(const struct cli *cli, char *dir)
{
    const char *base = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (base != NULL && base[0] == '/') {
        (void)snprintf(dir, SERVER_PATH_MAX, "%s/evlog", base);
        return CLI_OK;
    }
    if (home == NULL || home[0] != '/') {
        return cli_error(cli, CLI_ERR_VALUE, "neither XDG_DATA_HOME nor HOME is set: --data DIR says where data goes");
    }
    (void)snprintf(dir, SERVER_PATH_MAX, "%s/.local/share/evlog", home);
    return CLI_OK;
}

int server_make_dir(const char *dir)
{
    char path[SERVER_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s", dir);
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p == '/') {
            *p = '\0';
            if (mkdir(path, 0755) != 0 && errno != EEXIST) {
                return -1;
            }
            *p = '/';
        }
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -1;
}

static int cannot_start(const struct cli *cli, const char *program)
{
    char reason[64];
    return cli_error(cli, CLI_ERR_PROGRAM, "%s: %s", program, strerror_r(errno, reason, sizeof reason));
}

int server_run(const struct cli *cli, const char *const *argv)
{
    pid_t pid = fork();
    if (pid < 0) {
        return cannot_start(cli, argv[0]);
    }
    if (pid == 0) {
        (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(EXEC_FAILED);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return cannot_start(cli, argv[0]);
        }
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXEC_FAILED) {
        return cli_error(cli, CLI_ERR_PROGRAM, "%s cannot be started", argv[0]);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : CLI_FAILED;
}

/* In the child: stdin from nowhere, stdout to the pipe, stderr to the log, a session of its own. */
static _Noreturn void become_server(const struct server_start *start, int ready_write, int log_fd)
{
    int nowhere = open("/dev/null", O_RDONLY);
    (void)setsid();
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    if (nowhere >= 0 && dup2(nowhere, STDIN_FILENO) >= 0 && dup2(ready_write, STDOUT_FILENO) >= 0 &&
        dup2(log_fd, STDERR_FILENO) >= 0) {
        (void)execvp(start->argv[0], (char *const *)(uintptr_t)start->argv);
    }
    _exit(EXEC_FAILED);
}

int server_start(const struct cli *cli, struct server_start *start)
{
    int ends[2];
    char reason[64];
    int log_fd = open(start->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) {
        return cli_error(cli, CLI_ERR_FILE, "%s: %s", start->log_path, strerror_r(errno, reason, sizeof reason));
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        (void)close(log_fd);
        return cannot_start(cli, start->argv[0]);
    }
    pid_t pid = fork();
    if (pid == 0) {
        become_server(start, ends[1], log_fd);
    }
    (void)close(ends[1]);
    (void)close(log_fd);
    if (pid < 0) {
        (void)close(ends[0]);
        return cannot_start(cli, start->argv[0]);
    }
    start->ready_fd = ends[0];
    start->pid = pid;
    return CLI_OK;
}

bool server_alive(long pid)
{
    char path[64], name[64] = "", state = 'X';
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = pid > 1 ? fopen(path, "re") : NULL;
    if (file == NULL) {
        return false;
    }
    bool ok = fscanf(file, "%*d (%63[^)]) %c", name, &state) == 2 && strncmp(name, "evlogd", 6) == 0;
    (void)fclose(file);
    return ok && state != 'Z' && state != 'X'; /* a killed one stays as a zombie until its parent asks for it */
}

static void note_path(const char *dir, char *path)
{
    (void)snprintf(path, SERVER_PATH_MAX + 16, "%s/%s", dir, NOTE_NAME);
}

bool server_note_read(const char *dir, struct server_note *note)
{
    char path[SERVER_PATH_MAX + 16];
    note_path(dir, path);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    note->pid = 0;
    note->kafka[0] = '\0';
    int count = fscanf(file, "%ld %255s", &note->pid, note->kafka);
    (void)fclose(file);
    return count == 2 && server_alive(note->pid);
}

int server_note_write(const char *dir, const struct server_note *note)
{
    char path[SERVER_PATH_MAX + 16];
    note_path(dir, path);
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return -1;
    }
    bool ok = fprintf(file, "%ld %s\n", note->pid, note->kafka) > 0;
    return fclose(file) == 0 && ok ? 0 : -1;
}

void server_note_remove(const char *dir)
{
    char path[SERVER_PATH_MAX + 16];
    note_path(dir, path);
    (void)unlink(path);
}
