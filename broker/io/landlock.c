/* SPDX-License-Identifier: Apache-2.0
 *
 * Landlock: a rule set that is only ever narrowed, asked for by system calls that the C library has no functions for.
 * Rights that a kernel does not know yet are left out, as its own documentation has it. Version 1 is passed over: there
 * nothing can be moved from one folder to another any more, even where writing is allowed.
 *
 * Source: Documentation/userspace-api/landlock.rst of Linux.
 */
#include <io/sandbox.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VERSION_MIN 2
#define VERSION_TRUNCATE 3
#define ACCESS_REFER (UINT64_C(1) << 13)    /* version 2 */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14) /* version 3 */
#define ACCESS_FILE (LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)
#define ACCESS_DIR                                                                                                     \
    (ACCESS_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |      \
     LANDLOCK_ACCESS_FS_MAKE_REG | ACCESS_REFER)
/* Nobody makes these, and nothing is run. */
#define ACCESS_NONE                                                                                                    \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                       \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM)

static int allow(int rules, const char *path, uint64_t access, uint64_t known)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access & known};
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0) {
        return errno;
    }
    long rc = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int saved = rc == 0 ? 0 : errno;
    (void)close(rule.parent_fd);
    return saved;
}

int sandbox_write_only(const char *const *dirs, size_t count, struct el_error *err)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 0 && errno == EPERM) {
        return el_error_set(err, EVLOG_ERR_UNSUPPORTED,
                            "a filter of system calls, a unit's or a container's, hides it");
    }
    if (version < VERSION_MIN) {
        return el_error_set(err, EVLOG_ERR_UNSUPPORTED, "this kernel has no Landlock, or an old one");
    }
    uint64_t known = ACCESS_DIR | ACCESS_NONE;
    known &= version < VERSION_TRUNCATE ? ~ACCESS_TRUNCATE : ~UINT64_C(0);
    struct landlock_ruleset_attr attr = {.handled_access_fs = known};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (rules < 0) {
        return el_error_set(err, EVLOG_ERR_UNSUPPORTED, "%s", strerror(errno));
    }
    int failed = allow(rules, "/dev/null", ACCESS_FILE, known);
    const char *path = "/dev/null";
    for (size_t i = 0; i < count && failed == 0; i++) {
        path = dirs[i];
        failed = allow(rules, path, ACCESS_DIR, known);
    }
    if (failed == 0 &&
        (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, rules, 0) != 0)) {
        path = "landlock";
        failed = errno;
    }
    (void)close(rules);
    return failed == 0 ? 0 : el_error_set(err, el_error_from_errno(failed), "%s: %s", path, strerror(failed));
}
