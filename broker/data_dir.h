/* SPDX-License-Identifier: Apache-2.0
 *
 * The data directory before anything in it is read: made when absent, on a file system that keeps what is synced; or a
 * temporary one that goes when evlogd ends. Main thread; blocking.
 */
#ifndef EL_DATA_DIR_H
#define EL_DATA_DIR_H

#include <config/config.h>

struct data_dir {
    char path[CONFIG_PATH_MAX];
    char real_path[CONFIG_PATH_MAX]; /* the same, absolute and without links: what clients are told */
    bool temporary;                  /* removed by data_dir_close() */
    int lock_fd; /* holds the directory's lock; the rings keep it, too, until their last request has ended */
};

/* Make and lock it. A lock whose owner has died is waited for: the kernel may still be writing what it asked for.
 *
 * returns 0 | EVLOG_ERR_LOCKED | EVLOG_ERR_IO, _NO_SPACE ... | EVLOG_ERR_UNSUPPORTED the file system may lose synced
 * writes */
int data_dir_open(const struct config *cfg, struct data_dir *dir, struct el_error *err);
/* From now on this thread and those that it makes write below the data directory alone, and below an archive that is a
 * directory. Says so in the log where the kernel cannot do it. */
void data_dir_confine(const struct config *cfg, const struct data_dir *dir);
void data_dir_close(struct data_dir *dir);

#endif
