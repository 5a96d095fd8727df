/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine: kernel, io_uring, clock, limits of a process. The limits are those of whoever asks; a service has its
 * own, and the line says so.
 */
#include "doctor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define KERNEL_GOOD_MAJOR 5
#define KERNEL_GOOD_MINOR 10 /* rings with restrictions */
#define FILES_GOOD 16384u
#define MEMLOCK_GOOD (8u << 20)
#define BUILD_YEAR 2024
#define URING_PARAMS_LEN 120u /* of struct io_uring_params */

static void check_kernel(struct doctor *doctor)
{
    struct utsname name;
    int major = 0, minor = 0;
    if (uname(&name) != 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2) {
        doctor_add(doctor, "kernel", DOCTOR_WARN, "look at uname -r", "its version cannot be read");
        return;
    }
    bool good = major > KERNEL_GOOD_MAJOR || (major == KERNEL_GOOD_MAJOR && minor >= KERNEL_GOOD_MINOR);
    doctor_add(doctor, "kernel", good ? DOCTOR_OK : DOCTOR_WARN, good ? NULL : "use Linux 5.10 or later", "%s %s, %s",
               name.sysname, name.release, name.machine);
}

static void check_uring(struct doctor *doctor)
{
    char params[URING_PARAMS_LEN] = {0}, io[32];
    long fd = syscall(SYS_io_uring_setup, 1, params);
    doctor_setting(doctor, "server", "io", io, sizeof io);
    if (fd >= 0) {
        (void)close((int)fd);
        doctor_add(doctor, "io_uring", DOCTOR_OK, NULL, "the kernel allows it");
    } else if (strcmp(io, "posix") == 0) {
        doctor_add(doctor, "io_uring", DOCTOR_OK, NULL, "refused (%s), and io=posix does not want it", strerror(errno));
    } else if (strcmp(io, "uring") == 0) {
        doctor_add(doctor, "io_uring", DOCTOR_FAIL,
                   "set io=auto, or allow it: kernel.io_uring_disabled=0, and the seccomp profile of the container",
                   "refused (%s), but io=uring asks for it", strerror(errno));
    } else {
        doctor_add(doctor, "io_uring", DOCTOR_WARN,
                   "allow it for less work for each request: kernel.io_uring_disabled, the container's seccomp profile",
                   "refused (%s): evlogd takes epoll and threads", strerror(errno));
    }
}

static void check_clock(struct doctor *doctor)
{
    struct timex state = {.modes = 0};
    time_t now = time(NULL);
    struct tm parts;
    int rc = adjtimex(&state);
    if (gmtime_r(&now, &parts) == NULL || parts.tm_year + 1900 < BUILD_YEAR) {
        doctor_add(doctor, "clock", DOCTOR_FAIL, "set the machine's clock: append times never go back", "it says %d",
                   parts.tm_year + 1900);
    } else if (rc < 0) {
        doctor_add(doctor, "clock", DOCTOR_WARN, "see whether a service keeps the clock", "the kernel does not say: %s",
                   strerror(errno));
    } else if (rc == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
        doctor_add(doctor, "clock", DOCTOR_WARN, "run chrony or systemd-timesyncd; see timedatectl",
                   "nobody keeps it in time (not synchronised)");
    } else {
        doctor_add(doctor, "clock", DOCTOR_OK, NULL, "kept in time, off by at most %ld ms", state.maxerror / 1000);
    }
}

static void check_files(struct doctor *doctor)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    bool good = limit.rlim_max >= FILES_GOOD;
    doctor_add(doctor, "open files", good ? DOCTOR_OK : DOCTOR_WARN,
               good ? NULL : "raise it: LimitNOFILE= of the service, nofile in limits.conf",
               "%llu, at most %llu, for this user; a connection takes one, a shard up to 512",
               (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
}

static void check_memlock(struct doctor *doctor)
{
    struct rlimit limit;
    char lock[16];
    bool wanted = strcmp(doctor_setting(doctor, "server", "memory.lock", lock, sizeof lock), "true") == 0;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        return;
    }
    bool good = limit.rlim_max == RLIM_INFINITY || (!wanted && limit.rlim_max >= MEMLOCK_GOOD);
    doctor_add(doctor, "locked memory", good ? DOCTOR_OK : DOCTOR_WARN,
               good ? NULL : "raise it: LimitMEMLOCK= of the service, memlock in limits.conf",
               "%lld KiB for this user%s", limit.rlim_max == RLIM_INFINITY ? -1 : (long long)(limit.rlim_max / 1024),
               limit.rlim_max == RLIM_INFINITY ? " (no limit)"
               : wanted                        ? "; memory.lock wants no limit"
                                               : "");
}

static void check_core(struct doctor *doctor)
{
    struct rlimit limit;
    char dumps[16];
    bool wanted = strcmp(doctor_setting(doctor, "server", "core.dumps", dumps, sizeof dumps), "true") == 0;
    if (getrlimit(RLIMIT_CORE, &limit) != 0) {
        return;
    }
    if (!wanted) {
        doctor_add(doctor, "core files", DOCTOR_OK, NULL, "evlogd leaves none (core.dumps=false)");
    } else if (limit.rlim_max == 0) {
        doctor_add(doctor, "core files", DOCTOR_WARN, "raise it: LimitCORE= of the service, or ulimit -c unlimited",
                   "core.dumps=true, but the limit for this user is 0");
    } else {
        doctor_add(doctor, "core files", DOCTOR_WARN, "set core.dumps=false unless you look for a fault",
                   "a crash leaves events and keys in a file (core.dumps=true)");
    }
}

void doctor_host(struct doctor *doctor)
{
    check_kernel(doctor);
    check_uring(doctor);
    check_clock(doctor);
    check_files(doctor);
    check_memlock(doctor);
    check_core(doctor);
}
