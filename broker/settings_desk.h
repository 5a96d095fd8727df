/* SPDX-License-Identifier: Apache-2.0
 *
 * Where requests hand in changes of evlogd's settings, and the main thread takes them. What was changed is a file of
 * the data directory: written beside, synced, renamed, synced, so that after a crash it is the old one or the new one.
 */
#ifndef EL_SETTINGS_DESK_H
#define EL_SETTINGS_DESK_H

#include <api/broker_settings.h>
#include <io/disk.h>

struct settings_desk {
    struct el_queue queue;
    int wake_fd;             /* eventfd that the main thread waits for; -1: it looks by itself */
    bool doubtful;           /* a change that was refused may be in the file, or come back with a crash */
    struct el_buffer before; /* what is to be there, while doubtful */
};

void settings_desk_init(struct settings_desk *desk, int wake_fd);
/* Nothing is in the queue, or nobody waits for it. */
void settings_desk_free(struct settings_desk *desk);
/* A broker_settings_fn; arg is the desk. */
void settings_desk_post(void *arg, struct broker_settings_op *op);
/* Main thread: the next op, or NULL. Each must be answered. */
struct broker_settings_op *settings_desk_take(struct settings_desk *desk);
/* Answer all that are there with EVLOG_ERR_CLOSED: a stop must not wait for them. */
void settings_desk_close(struct settings_desk *desk);
/* Answer one with what its err says. */
void settings_desk_answer(struct broker_settings_op *op);
/* Note what the settings are that it changes. */
void settings_desk_note(struct broker_settings_op *op, const struct config *cfg);
/* Check the change against the whole configuration and, unless only that is wanted, keep it. Main thread; blocking.
 *
 * disk     the data directory that from's flags name
 * kept     empty; with 0 and when it was kept, all that is in force now, to be put in force
 * returns  0 | op->err.code: EVLOG_ERR_IN_DOUBT the next start may have it, any other: it has not
 */
int settings_desk_keep(struct settings_desk *desk, struct disk *disk, const struct config_sources *from,
                       struct broker_settings_op *op, struct el_buffer *kept);
/* Before the file is read again: take back what is in doubt. Main thread; blocking. returns 0 | what the disk says */
int settings_desk_settle(struct settings_desk *desk, struct disk *disk, struct el_error *err);
/* Append the text of the file, nothing when there is none. Blocking. returns 0 | _LIMIT | what the disk says */
int settings_desk_read(struct disk *disk, struct el_buffer *text, struct el_error *err);

#endif
