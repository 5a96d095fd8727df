/* SPDX-License-Identifier: Apache-2.0
 *
 * Source: Linux Documentation/admin-guide/cgroup-v2.rst, memory.max and cpu.max. Without version 2 of control
 * groups only the machine counts. Nothing here can fail: what cannot be read sets no limit.
 */
#include <config/machine.h>
#include <core/bytes.h>
#include <core/limits.h>

#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GROUP_DEPTH_MAX 32
#define GROUP_PATH_MAX 1024
#define GROUP_ROOT "/sys/fs/cgroup"

typedef uint64_t (*limit_fn)(const char *text);

static bool read_line(const char *path, char *line, size_t line_max)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool read = fgets(line, (int)line_max, file) != NULL;
    fclose(file);
    return read;
}

static uint64_t memory_limit(const char *text)
{
    uint64_t len = 0;
    return sscanf(text, "%" SCNu64, &len) == 1 ? len : UINT64_MAX;
}

/* "quota period", or "max period" without a limit. */
static uint64_t cpu_limit(const char *text)
{
    uint64_t quota = 0, period = 0;
    if (sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) != 2 || period == 0) {
        return UINT64_MAX;
    }
    return EL_MAX(quota / period + (quota % period != 0 ? 1 : 0), (uint64_t)1);
}

/* The group's own limit and that of every group above it. */
static uint64_t smallest_limit(const char *root, const char *group, const char *file, limit_fn limit)
{
    char above[GROUP_PATH_MAX], path[2 * GROUP_PATH_MAX], line[128];
    uint64_t smallest = UINT64_MAX;
    snprintf(above, sizeof above, "%s", group);
    for (int depth = 0; depth < GROUP_DEPTH_MAX; depth++) {
        snprintf(path, sizeof path, "%s%s/%s", root, above, file);
        if (read_line(path, line, sizeof line)) {
            uint64_t value = limit(line);
            smallest = EL_MIN(smallest, value);
        }
        char *slash = strrchr(above, '/');
        if (slash == NULL) {
            break;
        }
        *slash = 0;
    }
    return smallest;
}

uint64_t machine_group_memory(const char *root, const char *group)
{
    return smallest_limit(root, group, "memory.max", memory_limit);
}

uint64_t machine_group_cpu_count(const char *root, const char *group)
{
    return smallest_limit(root, group, "cpu.max", cpu_limit);
}

/* Path of this process's group: the line "0::/path" of /proc/self/cgroup; "" when there is none. */
static void own_group(char *group, size_t group_max)
{
    char line[GROUP_PATH_MAX];
    FILE *file = fopen("/proc/self/cgroup", "re");
    group[0] = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "0::/", 4) == 0) {
            line[strcspn(line, "\n")] = 0;
            snprintf(group, group_max, "%s", line + 3);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

uint32_t machine_cpu_count(void)
{
    char group[GROUP_PATH_MAX];
    cpu_set_t set;
    uint64_t count = 1;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        count = EL_MAX((uint64_t)CPU_COUNT(&set), (uint64_t)1);
    }
    own_group(group, sizeof group);
    uint64_t granted = machine_group_cpu_count(GROUP_ROOT, group);
    return (uint32_t)EL_MIN(count, granted);
}

uint64_t machine_memory_len(void)
{
    char group[GROUP_PATH_MAX];
    long pages = sysconf(_SC_PHYS_PAGES), page_len = sysconf(_SC_PAGESIZE);
    uint64_t len = pages <= 0 || page_len <= 0 ? UINT64_MAX : (uint64_t)pages * (uint64_t)page_len;
    own_group(group, sizeof group);
    uint64_t granted = machine_group_memory(GROUP_ROOT, group);
    return EL_MIN(len, granted);
}
