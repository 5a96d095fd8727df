/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process holds, from /proc; hogs that keep the processors busy; a broker that is killed.
 */
#include "bench.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

uint64_t bench_resident_bytes(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        bench_die("cannot read %s", path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmRSS: %llu", &kib) == 1) {
            break;
        }
    }
    fclose(file);
    return (uint64_t)kib << 10;
}

uint32_t bench_open_files(pid_t pid)
{
    char path[64];
    uint32_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        bench_die("cannot read %s", path);
    }
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count - 2; /* . and .. */
}

void bench_hogs_start(pid_t *hogs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        hogs[i] = fork();
        if (hogs[i] < 0) {
            bench_die("fork");
        }
        if (hogs[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (volatile uint64_t n = 0;; n++) {
            }
        }
    }
}

void bench_hogs_stop(const pid_t *hogs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        kill(hogs[i], SIGKILL);
        waitpid(hogs[i], NULL, 0);
    }
}

void bench_broker_kill(struct bench_broker *broker)
{
    kill(broker->pid, SIGKILL);
    if (waitpid(broker->pid, NULL, 0) != broker->pid) {
        bench_die("waitpid");
    }
    broker->pid = 0;
}
