/* SPDX-License-Identifier: Apache-2.0
 *
 * Each claim is looked at in a child: what a sandbox takes away is gone for good.
 */
#include "../../lib/test.h"

#include <io/sandbox.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* body's result in a child of its own */
static int in_child(int (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(body());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

enum { NO_FILTERS = 77 };

static int filtered(void)
{
    struct el_error err = {0};
    int error = sandbox_enter(false, &err);
    error = error == 0 ? sandbox_filter(&err) : error;
    return error == EVLOG_ERR_UNSUPPORTED ? NO_FILTERS : error;
}

static void check(int result)
{
    if (result == NO_FILTERS) {
        el_test_skip("no filters here: a sanitizer, or the kernel has none");
    }
    assert_int_equal(result, 0);
}

static int run_a_program(void)
{
    int entered = filtered();
    char name[] = "/bin/true", *words[] = {name, NULL};
    return entered != 0 ? entered : execv(words[0], words) == -1 && errno == EPERM ? 0 : 1;
}

static int make_a_process(void)
{
    int entered = filtered();
    if (entered != 0) {
        return entered;
    }
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    return pid == -1 && errno == EPERM ? 0 : 1;
}

static int trace_and_mount(void)
{
    int entered = filtered();
    if (entered != 0) {
        return entered;
    }
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != -1 || errno != EPERM) {
        return 1;
    }
    return mount("none", "/tmp", "tmpfs", 0, NULL) == -1 && errno == EPERM ? 0 : 2;
}

static void *count_up(void *arg)
{
    (*(int *)arg)++;
    return NULL;
}

static int make_a_thread(void)
{
    int entered = filtered(), count = 0;
    pthread_t thread;
    if (entered != 0) {
        return entered;
    }
    if (pthread_create(&thread, NULL, count_up, &count) != 0 || pthread_join(thread, NULL) != 0) {
        return 1;
    }
    return count == 1 ? 0 : 2;
}

static int make_a_file_and_no_core(void)
{
    struct el_error err = {0};
    struct stat is;
    struct rlimit core;
    if (sandbox_enter(false, &err) != 0 || getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0) {
        return 1;
    }
    FILE *file = tmpfile();
    if (file == NULL || fstat(fileno(file), &is) != 0) {
        return 2;
    }
    return (umask(0) & 0777) == 0077 && (is.st_mode & 077) == 0 ? 0 : 3;
}

TEST(sandbox, no_program_is_run)
{
    check(in_child(run_a_program));
}

TEST(sandbox, no_process_is_made)
{
    check(in_child(make_a_process));
}

TEST(sandbox, nothing_is_traced_or_mounted)
{
    check(in_child(trace_and_mount));
}

TEST(sandbox, threads_are_made)
{
    check(in_child(make_a_thread));
}

TEST(sandbox, files_are_the_owners_alone_and_a_crash_leaves_none)
{
    check(in_child(make_a_file_and_no_core));
}

/* --- Landlock ----------------------------------------------------------------------------------------------------- */

#define VERSION_TRUNCATE 3 /* of Landlock: from here on it keeps files from being cut */

static char inside[600], outside[600];

static const char *below(const char *dir, const char *name)
{
    static char paths[4][700];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static int made(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? errno : close(fd);
}

static int write_only(void)
{
    struct el_error err = {0};
    const char *dirs[] = {inside};
    int error = sandbox_write_only(dirs, 1, &err);
    return error == EVLOG_ERR_UNSUPPORTED ? NO_FILTERS : error;
}

static int write_inside_and_outside(void)
{
    int entered = write_only();
    if (entered != 0) {
        return entered;
    }
    bool allowed = made(below(inside, "new")) == 0 && mkdir(below(inside, "folder"), 0700) == 0 &&
                   rename(below(inside, "new"), below(inside, "folder/moved")) == 0 &&
                   truncate(below(inside, "folder/moved"), 7) == 0 && unlink(below(inside, "folder/moved")) == 0 &&
                   rmdir(below(inside, "folder")) == 0 && open("/dev/null", O_RDWR | O_CLOEXEC) >= 0;
    if (!allowed) {
        return 1;
    }
    if (made(below(outside, "new")) != EACCES || made(below(outside, "old")) != EACCES) {
        return 2;
    }
    if (unlink(below(outside, "old")) != -1 || errno != EACCES || mkdir(below(outside, "folder"), 0700) != -1) {
        return 3;
    }
    if (rename(below(outside, "old"), below(inside, "old")) != -1 || symlink("/", below(inside, "link")) != -1) {
        return 4;
    }
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version >= VERSION_TRUNCATE && (truncate(below(outside, "old"), 0) != -1 || errno != EACCES)) {
        return 6;
    }
    if (execl("/bin/false", "false", NULL) != -1 || errno != EACCES) { /* else it ends with 1 */
        return 7;
    }
    int fd = open(below(outside, "old"), O_RDONLY | O_CLOEXEC);
    return fd >= 0 && access(below(outside, "old"), R_OK) == 0 ? 0 : 5;
}

static void *make_outside(void *arg)
{
    *(int *)arg = made(below(outside, "new"));
    return NULL;
}

static int write_from_a_thread(void)
{
    int entered = write_only(), result = 0;
    pthread_t thread;
    if (entered != 0) {
        return entered;
    }
    if (pthread_create(&thread, NULL, make_outside, &result) != 0 || pthread_join(thread, NULL) != 0) {
        return 1;
    }
    return result == EACCES ? 0 : 2;
}

static void check_landlock(int (*body)(void))
{
    snprintf(inside, sizeof inside, "%s/in", el_test_dir());
    snprintf(outside, sizeof outside, "%s/out", el_test_dir());
    (void)mkdir(inside, 0700);
    (void)mkdir(outside, 0700);
    assert_int_equal(made(below(outside, "old")), 0);
    int result = in_child(body);
    if (result == NO_FILTERS) {
        el_test_skip("no Landlock here");
    }
    assert_int_equal(result, 0);
}

TEST(sandbox, nothing_is_written_outside)
{
    check_landlock(write_inside_and_outside);
}

TEST(sandbox, threads_write_nothing_outside)
{
    check_landlock(write_from_a_thread);
}

/* As a unit or a container may have it. */
static int ask_behind_a_filter(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof code[0], code};
    struct el_error err = {0};
    const char *dirs[] = {"/tmp"};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        return NO_FILTERS;
    }
    return sandbox_write_only(dirs, 1, &err) == EVLOG_ERR_UNSUPPORTED && strstr(err.text, "filter") != NULL ? 0 : 1;
}

TEST(sandbox, a_filter_that_hides_landlock_is_told)
{
    int result = in_child(ask_behind_a_filter);
    if (result == NO_FILTERS) {
        el_test_skip("no filters of system calls here");
    }
    assert_int_equal(result, 0);
}

TEST(sandbox, a_folder_that_is_none_is_refused)
{
    struct el_error err = {0};
    const char *dirs[] = {"/nowhere/at/all"};
    int error = sandbox_write_only(dirs, 1, &err);
    assert_true(error < 0);
    assert_true(error == EVLOG_ERR_UNSUPPORTED || strstr(err.text, "/nowhere/at/all: No such file") != NULL);
}
