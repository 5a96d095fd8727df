/* SPDX-License-Identifier: Apache-2.0
 *
 * Where requests hand in changes of evlogd's settings, and the main thread takes them. What was changed is a file of
 * the data directory: written beside, synced, renamed, synced, so that after a crash it is the old one or the new one.
 */
#ifndef EL_SETTINGS_DESK_H
#define EL_SETTINGS_DESK_H

#include <api/broker_settings.h>

struct settings_desk {
    struct el_queue queue;
    int wake_fd; /* eventfd that the main thread waits for */
};

void settings_desk_init(struct settings_desk *desk, int wake_fd);
/* A broker_settings_fn; arg is the desk. */
void settings_desk_post(void *arg, struct broker_settings_op *op);
/* Main thread: the next op, or NULL. Each must be answered. */
struct broker_settings_op *settings_desk_take(struct settings_desk *desk);
/* Answer all that are there with EVLOG_ERR_CLOSED: a stop must not wait for them. */
void settings_desk_close(struct settings_desk *desk);
/* Answer one with what its err says. */
void settings_desk_answer(struct broker_settings_op *op);
/* Check the change against the whole configuration and, unless only that is wanted, keep it. Main thread; blocking.
 *
 * dir      the data directory that from's flags name
 * returns  0 | op->err.code
 */
int settings_desk_keep(const char *dir, const struct config_sources *from, struct broker_settings_op *op);

#endif
