/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory as an object store; a program that reads only directories needs no other one.
 *
 * A key is a path below the directory. An object is written under another name in "~put", a folder that no key can
 * name, synced, renamed to its key only when nothing is there, and the folders above it are synced: what is there is
 * whole, and a put that was acknowledged survives a loss of power. Nothing below the directory is followed that is a
 * symbolic link, and only folders and plain files whose path is a key count as objects.
 */
#ifndef EL_STORE_DIR_STORE_H
#define EL_STORE_DIR_STORE_H

#include <store/object_store.h>

/* Open a directory.
 *
 * path      absolute
 * create    make it, and what is missing above it; else it must be there
 * url       for texts
 * returns   0 and *store | EVLOG_ERR_ARGUMENT the path is not absolute | EVLOG_ERR_NOT_FOUND | EVLOG_ERR_NO_MEMORY |
 *           EVLOG_ERR_IO ... with a text
 */
int dir_store_open(const char *path, bool create, const char *url, struct object_store **store, struct el_error *err);

/* Tests: asked before each call to the system, by name; returns 0 to let it pass, or the errno that it shall end with.
 */
extern int (*dir_store_hook)(const char *step);

#endif
