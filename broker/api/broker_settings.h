/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of the broker's own settings, on their way from a request to the main thread, which has them, and back.
 */
#ifndef EL_API_BROKER_SETTINGS_H
#define EL_API_BROKER_SETTINGS_H

#include <config/config_request.h>
#include <core/err.h>
#include <io/io.h>

#define BROKER_SETTING_SHOWN_MAX 304u /* of a value, with its NUL: more than the audit log shows */

struct broker_settings_op {
    struct io_message message;           /* private: the way back */
    struct el_qnode node;                /* private: the way there */
    struct io *origin;                   /* of the caller */
    const struct config_change *changes; /* [change_count]; in place until done, as the op is */
    uint32_t change_count;
    char (*before)[BROKER_SETTING_SHOWN_MAX]; /* out: [change_count] what each was; NULL: nobody asks */
    bool validate_only;
    const char *who;                             /* for the log */
    void (*done)(struct broker_settings_op *op); /* on the caller's shard; all shards have the settings then */
    void *arg;
    struct el_error err; /* code 0: they are kept and in force | EVLOG_ERR_INVALID_CONFIG | _POLICY | _CLOSED | what the
                          * disk says: they are not | EVLOG_ERR_IN_DOUBT the next start may have them */
};

/* Sends an op; any shard's thread. */
typedef void (*broker_settings_fn)(void *arg, struct broker_settings_op *op);

#endif
