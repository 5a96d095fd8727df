/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of the configuration against each other. Start-up's thread, and again whenever it is read anew.
 */
#ifndef EL_CONFIG_CONFIG_CHECK_H
#define EL_CONFIG_CONFIG_CHECK_H

#include <config/config.h>

#define CONFIG_MEMORY_MIN ((uint64_t)64 << 20) /* smallest memory.max */

/* Check all values, and make the table of listeners.
 *
 * returns  0 | EVLOG_ERR_INVALID_CONFIG with a text that names where the values come from
 */
int config_check(struct config *cfg, struct el_error *err);
/* Is each word of the list a mechanism of SASL? setting: its name, for the text. returns 0 |
 * EVLOG_ERR_INVALID_CONFIG */
int config_check_mechanisms(const char *setting, const char *list, struct el_error *err);

#endif
