/* SPDX-License-Identifier: Apache-2.0
 *
 * Temporary folders of tests: under $TMPDIR, else /tmp. They are removed when the program exits; after a crash they
 * stay for a look.
 */
#include "test.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_PATH_MAX 512

static char root_path[DIR_PATH_MAX]; /* one folder per program, the tests' folders lie in it */
static pid_t root_owner;             /* a forked child must not remove its parent's folder */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_root(void)
{
    if (getpid() == root_owner) {
        (void)nftw(root_path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
}

const char *el_test_dir(void)
{
    static char path[DIR_PATH_MAX + 32];
    static unsigned count;
    if (root_path[0] == '\0') {
        const char *parent = getenv("TMPDIR");
        int len = snprintf(root_path, sizeof(root_path), "%s/evlog-test-XXXXXX", parent == NULL ? "/tmp" : parent);
        if (len < 0 || (size_t)len >= sizeof(root_path) || mkdtemp(root_path) == NULL) {
            root_path[0] = '\0';
            fail_msg("cannot create a temporary folder");
        }
        root_owner = getpid();
        (void)atexit(remove_root);
    }
    (void)snprintf(path, sizeof(path), "%s/%u", root_path, ++count);
    if (mkdir(path, 0700) != 0) {
        fail_msg("cannot create %s", path);
    }
    return path;
}
