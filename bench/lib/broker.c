/* SPDX-License-Identifier: Apache-2.0
 *
 * A broker of the benchmark's own: a child process on a data directory that is removed at the end.
 */
#include "bench.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARG_MAX_COUNT 16

static void exec_broker(const struct bench_broker *broker, int out_fd)
{
    const struct bench_options *o = broker->options;
    char text[8][600];
    char *argv[ARG_MAX_COUNT] = {(char *)(uintptr_t)o->evlogd};
    int n = 0;
    snprintf(text[n++], sizeof text[0], "--data=%s", broker->data);
    bool listeners = o->extra[0] != NULL && strncmp(o->extra[0], "--listeners", strlen("--listeners")) == 0;
    if (!listeners) { /* an option of its own takes the place of this one */
        snprintf(text[n++], sizeof text[0], "--listen=127.0.0.1:0");
    }
    snprintf(text[n++], sizeof text[0], "--http=off");
    snprintf(text[n++], sizeof text[0], "--log-level=warn");
    snprintf(text[n++], sizeof text[0], "--io-commit=%s", o->commit);
    snprintf(text[n++], sizeof text[0], "--io=%s", o->io);
    snprintf(text[n++], sizeof text[0], "--shards=%u", o->shards);
    for (int i = 0; i < n; i++) {
        argv[i + 1] = text[i];
    }
    for (size_t i = 0; i < sizeof o->extra / sizeof o->extra[0] && o->extra[i] != NULL; i++) {
        argv[++n] = (char *)(uintptr_t)o->extra[i];
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    bench_pin_broker(o);
    dup2(out_fd, STDOUT_FILENO);
    execv(o->evlogd, argv);
    fprintf(stderr, "bench: cannot run %s\n", o->evlogd);
    _exit(127);
}

/* Its first line says where it listens. */
static void read_ready(struct bench_broker *broker, int fd)
{
    size_t len = 0;
    while (len < sizeof broker->ready - 1 && memchr(broker->ready, '\n', len) == NULL) {
        ssize_t n = read(fd, broker->ready + len, sizeof broker->ready - 1 - len);
        if (n <= 0) {
            bench_die("evlogd ended before it was ready");
        }
        len += (size_t)n;
    }
    broker->ready[strcspn(broker->ready, "\n")] = '\0';
    const char *address = strstr(broker->ready, "kafka=");
    const char *colon = address == NULL ? NULL : strchr(address, ':');
    broker->port = colon == NULL ? 0 : (uint16_t)strtoul(colon + 1, NULL, 10);
    if (broker->port == 0) {
        bench_die("evlogd's first line has no port: %s", broker->ready);
    }
}

void bench_broker_restart(struct bench_broker *broker)
{
    int fds[2];
    memset(broker->ready, 0, sizeof broker->ready);
    if (pipe2(fds, O_CLOEXEC) != 0) {
        bench_die("pipe");
    }
    broker->pid = fork();
    if (broker->pid < 0) {
        bench_die("fork");
    }
    if (broker->pid == 0) {
        exec_broker(broker, fds[1]);
    }
    close(fds[1]);
    read_ready(broker, fds[0]);
    close(fds[0]);
}

void bench_broker_start(struct bench_broker *broker, const struct bench_options *options)
{
    *broker = (struct bench_broker){.options = options};
    snprintf(broker->data, sizeof broker->data, "%s/bench-data-XXXXXX", options->data);
    if (mkdtemp(broker->data) == NULL) {
        bench_die("cannot make a folder in %s", options->data);
    }
    bench_broker_restart(broker);
}

void bench_broker_stop(struct bench_broker *broker)
{
    int status = 0;
    kill(broker->pid, SIGTERM);
    if (waitpid(broker->pid, &status, 0) != broker->pid || status != 0) {
        bench_die("evlogd ended with status %d", status);
    }
    broker->pid = 0;
}

static int drop_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    int fd = type == FTW_F ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    return 0;
}

void bench_broker_restart_cold(struct bench_broker *broker)
{
    bench_broker_stop(broker);
    sync();
    nftw(broker->data, drop_entry, 16, FTW_PHYS);
    bench_broker_restart(broker);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    return remove(path);
}

void bench_broker_end(struct bench_broker *broker)
{
    if (broker->pid > 0) {
        bench_broker_stop(broker);
    }
    if (broker->options->keep) {
        printf("data directory: %s\n", broker->data);
        return;
    }
    if (nftw(broker->data, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        bench_die("cannot remove %s", broker->data);
    }
}
