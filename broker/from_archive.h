/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting on an empty disk: the data directory is restored from the archive before anything in it is read. Main
 * thread; blocking.
 */
#ifndef EL_FROM_ARCHIVE_H
#define EL_FROM_ARCHIVE_H

#include <config/config.h>

/* Restore what must be there before anything is served, when from.archive is set and the directory has no node file;
 * one that is half restored goes on.
 *
 * signal_fd  a signal that is waiting there ends it with EVLOG_ERR_CLOSED; the next start goes on
 * returns    0 | EVLOG_ERR_NOT_FOUND no archive is there | EVLOG_ERR_EXISTS the directory holds something else |
 *            EVLOG_ERR_CORRUPT, _POLICY ... with a text
 */
int from_archive(const struct config *cfg, const char *data_path, int signal_fd, struct el_error *err);

#endif
