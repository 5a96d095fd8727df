/* SPDX-License-Identifier: Apache-2.0
 *
 * evlogd --repair: looking through what a data directory holds besides the log, and putting aside what is damaged.
 * Main thread; blocking; while no evlogd runs on the directory.
 */
#ifndef EL_REPAIR_H
#define EL_REPAIR_H

#include <config/config.h>
#include <core/err.h>
#include <stdio.h>

/* Check the stream index of every shard and print a line about each. With CONFIG_REPAIR_INDEXES one that is damaged is
 * removed: the next start makes it anew from the log. One that is sound is never touched.
 *
 * returns  0 all is sound, or has been put right | EVLOG_ERR_CORRUPT damage was found, and left | EVLOG_ERR_LOCKED |
 *          EVLOG_ERR_NOT_FOUND no data directory | EVLOG_ERR_IO ...
 */
int repair_run(const struct config *cfg, FILE *out, struct el_error *err);

#endif
