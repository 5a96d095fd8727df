/* SPDX-License-Identifier: Apache-2.0
 *
 * An allow list, so that what a later kernel brings is refused by itself. Calls made through io_uring pass no filter:
 * io_uring.c restricts each ring to the operations it uses.
 */
#include <io/sandbox.h>

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(SANITIZED)
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

/* Names and not numbers: what an architecture does not have is left out. Libraries need some of them (resolver, TLS,
 * HTTP). */
static const char *const allowed[] = {
    /* files */
    "access",
    "chmod",
    "close",
    "close_range",
    "copy_file_range",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchmod",
    "fchmodat",
    "fcntl",
    "fdatasync",
    "flock",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "getcwd",
    "getdents",
    "getdents64",
    "getxattr",
    "fgetxattr",
    "ioctl",
    "link",
    "linkat",
    "lseek",
    "lstat",
    "mkdir",
    "mkdirat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readlink",
    "readlinkat",
    "readv",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "stat",
    "statfs",
    "statx",
    "sync_file_range",
    "syncfs",
    "truncate",
    "umask",
    "unlink",
    "unlinkat",
    "utimensat",
    "write",
    "writev",
    /* sockets and waiting */
    "accept",
    "accept4",
    "bind",
    "connect",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "getpeername",
    "getsockname",
    "getsockopt",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "listen",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "pselect6",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "select",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "signalfd4",
    "socket",
    "socketpair",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    /* memory, threads, time, signals */
    "arch_prctl",
    "brk",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "exit",
    "exit_group",
    "futex",
    "futex_waitv",
    "get_robust_list",
    "getcpu",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getppid",
    "getpriority",
    "getrandom",
    "getrlimit",
    "getrusage",
    "gettid",
    "gettimeofday",
    "getuid",
    "ioprio_get",
    "ioprio_set",
    "madvise",
    "membarrier",
    "mincore",
    "mlock",
    "mlock2",
    "mmap",
    "mprotect",
    "mremap",
    "msync",
    "munlock",
    "munmap",
    "nanosleep",
    "prctl",
    "prlimit64",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "sched_setaffinity",
    "sched_setattr",
    "sched_yield",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "set_robust_list",
    "set_tid_address",
    "setpriority",
    "setrlimit",
    "sigaltstack",
    "sysinfo",
    "tgkill",
    "time",
    "times",
    "uname",
};

int sandbox_enter(bool cores, struct el_error *err)
{
    static const struct rlimit none = {0, 0};
    umask(0077);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return el_error_set(err, el_error_from_errno(errno), "no_new_privs: %s", strerror(errno));
    }
    if (!cores && setrlimit(RLIMIT_CORE, &none) != 0) {
        return el_error_set(err, el_error_from_errno(errno), "no core files: %s", strerror(errno));
    }
    return 0;
}

/* CAP_IPC_LOCK: no limit holds for this process. */
static bool locks_freely(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & (1u << CAP_IPC_LOCK)) != 0;
}

int sandbox_lock_memory(struct el_error *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        return el_error_set(err, el_error_from_errno(errno), "limit of locked memory: %s", strerror(errno));
    }
    if (limit.rlim_cur != RLIM_INFINITY && !locks_freely()) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "memory.lock: this process may lock %llu KiB; allow it all with LimitMEMLOCK=infinity in "
                            "the unit (ulimit -l unlimited in a shell), or start with memory.lock=false",
                            (unsigned long long)limit.rlim_cur >> 10);
    }
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) {
        return el_error_set(err, el_error_from_errno(errno), "memory.lock: %s", strerror(errno));
    }
    return 0;
}

static int add_rules(scmp_filter_ctx filter)
{
    int rc = 0;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0] && rc == 0; i++) {
        int number = seccomp_syscall_resolve_name(allowed[i]);
        rc = number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    }
    if (rc == 0) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM));
    }
    return rc == 0 ? seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) : rc;
}

int sandbox_filter(struct el_error *err)
{
    if (sanitized) {
        return el_error_set(err, EVLOG_ERR_UNSUPPORTED, "this program was built with a sanitizer");
    }
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "out of memory");
    }
    int rc = add_rules(filter);
    if (rc == 0) {
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    }
    if (rc == 0) {
        rc = seccomp_load(filter);
    }
    seccomp_release(filter);
    return rc == 0 ? 0 : el_error_set(err, EVLOG_ERR_UNSUPPORTED, "%s", strerror(-rc));
}
