/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits of users, client ids and addresses as people write them, on the command line and in files:
 *
 *     producer_byte_rate=10MiB
 *     user billing client-id nightly, default-user, ip 10.0.0.7
 */
#ifndef EVLOG_TOOLS_QUOTA_WORDS_H
#define EVLOG_TOOLS_QUOTA_WORDS_H

#include "cli.h"

#include <core/address.h>
#include <core/err.h>

#define QUOTA_KEY_COUNT 4
#define QUOTA_REMEDY_MAX 80

/* The value of a limit: a number above 0, of bytes as a size too. returns 0 | EVLOG_ERR_ARGUMENT with a text */
int quota_value_parse(const char *key, const char *text, double *value, struct el_error *err);
/* Is there such a limit, and may the entity have it? remedy[QUOTA_REMEDY_MAX].
 * returns 0 | EVLOG_ERR_ARGUMENT with a text */
int quota_key_check(const struct evlog_quota_entity *entity, const char *key, char *remedy, struct el_error *err);
/* Whom a limit is for, of words as above, which are cut apart; the entity points into them, or to the address, written
 * as the broker does. returns 0 | EVLOG_ERR_ARGUMENT with a text */
int quota_entity_parse(char *words, struct evlog_quota_entity *entity, char address[EL_ADDRESS_TEXT_MAX],
                       struct el_error *err);
/* An entity in such words. */
void quota_entity_say(struct el_buffer *out, const struct evlog_quota_entity *entity);
bool quota_entity_same(const struct evlog_quota_entity *a, const struct evlog_quota_entity *b);

#endif
