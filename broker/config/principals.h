/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of principals as settings list them: Kafka's form, "User:admin;User:CN=operator,O=evlog", separated by
 * semicolons because a name may hold commas.
 */
#ifndef EL_CONFIG_PRINCIPALS_H
#define EL_CONFIG_PRINCIPALS_H

#include <core/bytes.h>
#include <core/err.h>
#include <stdbool.h>

#define CONFIG_PRINCIPAL_MAX 511u  /* bytes of one */
#define CONFIG_PRINCIPALS_MAX 100u /* in a list */

/* "User:" and a name. */
bool config_principal_valid(struct el_slice principal);
/* The next one; *rest moves behind it. returns false at the end of the list */
bool config_principal_next(const char **rest, struct el_slice *principal);
/* The same of any words with commas between them. */
bool config_word_next(const char **rest, struct el_slice *word);
/* Check a list, for a setting of this name. returns 0 | EVLOG_ERR_INVALID_CONFIG with a text */
int config_principals_check(const char *setting, const char *list, struct el_error *err);

#endif
