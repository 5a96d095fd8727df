/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of whatever has some: topics, work groups, the broker. Blocking, any thread.
 */
#ifndef EL_CLIENT_ADMIN_SETTINGS_H
#define EL_CLIENT_ADMIN_SETTINGS_H

#include "client_core.h"

#include <evlog/admin.h>

enum { EL_RESOURCE_TOPIC = 2, EL_RESOURCE_BROKER = 4, EL_RESOURCE_GROUP = 32 };

struct el_settings_owner {
    int8_t resource_type;
    const char *noun; /* "topic", "work group" */
    const char *name;
};

/* Change settings; those not named stay.
 *
 * changes  [change_count]; value NULL resets
 * returns  0 | EVLOG_ERR_ARGUMENT nothing to change, or too much | EVLOG_ERR_INVALID_CONFIG | what else it answers
 */
int el_settings_alter(struct evlog_client *client, const struct el_settings_owner *owner,
                      const struct evlog_setting *changes, size_t change_count, bool validate_only,
                      struct evlog_failure *failure);

struct el_settings {
    const struct evlog_setting *settings; /* [count], by key */
    size_t count;
};

/* Read settings.
 *
 * arena     holds what own and defaults point to
 * own       those made on the owner itself; defaults: all others
 * returns   0 | EVLOG_ERR_UNKNOWN_TOPIC and what else it answers | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int el_settings_describe(struct evlog_client *client, const struct el_settings_owner *owner, struct el_arena *arena,
                         struct el_settings *own, struct el_settings *defaults, struct evlog_failure *failure);

#endif
