/* SPDX-License-Identifier: Apache-2.0
 *
 * The levels of the log while evlogd runs, as Kafka's requests read and change them: resource BROKER_LOGGER. They are
 * the process', and last until they are deleted or evlogd ends. KIP-412.
 */
#ifndef EL_API_LOGGER_LEVELS_H
#define EL_API_LOGGER_LEVELS_H

#include <core/err.h>
#include <core/logger.h>
#include <wire/msg_incremental_alter_configs.h>

/* Java's word for a level. */
const char *logger_level_name(enum el_log_level level);
/* Check the changes of a resource and, unless only that is wanted, make all of them; with a fault none.
 *
 * returns  0 | EVLOG_ERR_INVALID_REQUEST, EVLOG_ERR_INVALID_CONFIG with a text
 */
int logger_levels_change(const struct el_msg_incremental_alter_configs_resource *ask, bool validate_only,
                         struct el_error *err);

#endif
