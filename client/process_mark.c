/* SPDX-License-Identifier: Apache-2.0
 *
 * A process is named by the machine's boot, its namespace of processes, its number and the time it was started: a
 * number that was given to another process since does not match. Where one of them cannot be read the mark names
 * nobody, and its owner counts as alive until its lease ends.
 */
#include "process_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_FIELD 20 /* of /proc/PID/stat, counted behind the command's closing bracket */

static bool read_file(const char *path, char *text, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t len = read(fd, text, room - 1);
    (void)close(fd);
    text[len < 0 ? 0 : len] = '\0';
    return len > 0;
}

/* When a process was started, in ticks since the boot; 0: unknown. */
static unsigned long long start_of(long pid)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    if (!read_file(path, text, sizeof text)) {
        return 0;
    }
    const char *p = strrchr(text, ')'); /* the command may hold blanks and brackets */
    for (int i = 0; p != NULL && i < START_FIELD; i++) {
        p = strchr(p + 1, ' ');
    }
    return p == NULL ? 0 : strtoull(p + 1, NULL, 10);
}

/* What all processes share that can see each other; false: not to be learned. */
static bool read_home(char home[EL_PROCESS_MARK_MAX])
{
    char boot[64], space[64];
    if (!read_file("/proc/sys/kernel/random/boot_id", boot, sizeof boot)) {
        return false;
    }
    boot[strcspn(boot, "\n")] = '\0';
    ssize_t len = readlink("/proc/self/ns/pid", space, sizeof space - 1);
    if (len <= 0) {
        return false;
    }
    space[len] = '\0';
    (void)snprintf(home, EL_PROCESS_MARK_MAX, "%.40s/%.40s", boot, space);
    return true;
}

void el_process_mark(char mark[EL_PROCESS_MARK_MAX], char who[EL_PROCESS_MARK_MAX])
{
    char home[EL_PROCESS_MARK_MAX], host[64] = "";
    long pid = (long)getpid();
    unsigned long long start = start_of(pid);
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(who, EL_PROCESS_MARK_MAX, "process %ld on host %.60s", pid, host[0] == '\0' ? "?" : host);
    mark[0] = '\0';
    if (start != 0 && read_home(home)) {
        (void)snprintf(mark, EL_PROCESS_MARK_MAX, "%.80s/%ld/%llu", home, pid, start);
    }
}

bool el_process_gone(const char *mark)
{
    char home[EL_PROCESS_MARK_MAX];
    if (!read_home(home)) {
        return false;
    }
    home[80] = '\0';
    size_t len = strlen(home);
    if (strncmp(mark, home, len) != 0 || mark[len] != '/') {
        return false;
    }
    char *end;
    long pid = strtol(mark + len + 1, &end, 10);
    if (pid <= 0 || *end != '/') {
        return false;
    }
    unsigned long long start = strtoull(end + 1, &end, 10);
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH) {
        return true;
    }
    unsigned long long now = start_of(pid);
    return now != 0 && now != start;
}
