/* SPDX-License-Identifier: Apache-2.0
 *
 * What this process may ask of the kernel, and what it leaves behind. Called once, before any other thread.
 */
#ifndef EL_IO_SANDBOX_H
#define EL_IO_SANDBOX_H

#include <core/err.h>

#include <stdbool.h>
#include <stddef.h>

/* For good, with and without a filter: files are made for their owner alone (umask 077), no program that is run gains
 * rights (no_new_privs), and with cores == false a crash leaves no core file, which would hold events and keys. */
int sandbox_enter(bool cores, struct el_error *err);

/* From now on only the system calls that a server needs: no programs are run, no processes made, nothing is mounted,
 * traced or loaded into the kernel. All others fail with EPERM, and clone3 with ENOSYS, so that threads are made by
 * clone, whose flags a filter can see. Holds for all threads.
 * EVLOG_ERR_UNSUPPORTED: the kernel has no filters, or this program was built with a sanitizer, which needs more. */
int sandbox_filter(struct el_error *err);

/* From now on nothing is written, made, moved or removed outside some folders, /dev/null apart, and nothing is run;
 * what is open already stays as it is, and reading is as before. Holds for this thread and those that it makes.
 *
 * dirs     [count], which are there
 * returns  0 | EVLOG_ERR_UNSUPPORTED the kernel has no Landlock, or one before version 2 | another code, with a text
 */
int sandbox_write_only(const char *const *dirs, size_t count, struct el_error *err);

/* Every page that this process has touched, or will, stays in memory: nothing of it is written to swap.
 * EVLOG_ERR_INVALID_CONFIG: the limit is finite; what is mapped beyond it would fail later, in the middle of work. */
int sandbox_lock_memory(struct el_error *err);

#endif
