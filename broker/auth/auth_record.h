/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of __evlog_access: bytes in, bytes out. A key says what a record is about; a null value ends it. Slices are
 * borrowed. Layout, little-endian (docs/format.md, Access):
 *
 *   key of a rule   0 1 version (1)   1 1 kind (1)   2 1 resource   3 1 pattern   4 1 operation   5 1 permission
 *                   6 2 length of name   8 2 length of principal   10 2 length of host   12 name, principal, host
 *   its value       0 1 version (1)
 *   key of a user   0 1 version (1)   1 1 kind (2)   2 1 mechanism: 1 SCRAM-SHA-256, 2 SCRAM-SHA-512   3 1 zero
 *                   4 2 length of name   6 name
 *   its value       0 1 version (1)   1 1 length of salt   2 2 zero   4 4 iterations   8 salt, StoredKey, ServerKey
 *   key of a limit  0 1 version (1)   1 1 kind (3)   2 1 limit: 1 producer_byte_rate, 2 consumer_byte_rate,
 *                   3 request_percentage, 4 connection_creation_rate   3 1 user   4 1 client id   5 1 address:
 *                   0 not named, 1 the default, 2 by name   6 2 length of user or address   8 2 length of client id
 *                   10 names
 *   its value       0 1 version (1)   1 8 the limit, IEEE 754
 */
#ifndef EL_AUTH_AUTH_RECORD_H
#define EL_AUTH_AUTH_RECORD_H

#include <auth/auth.h>
#include <core/cursor.h>

#define AUTH_RECORD_VERSION 1
#define AUTH_RECORD_KEY_MAX (12u + AUTH_NAME_LEN_MAX + AUTH_PRINCIPAL_LEN_MAX + AUTH_HOST_LEN_MAX)
EL_STATIC_ASSERT(AUTH_RECORD_KEY_MAX >= 10u + QUOTA_USER_LEN_MAX + QUOTA_NAME_LEN_MAX, "keys of limits fit, too");
#define AUTH_RECORD_VALUE_MAX (8u + AUTH_SALT_LEN_MAX + 2u * AUTH_SCRAM_KEY_MAX)

enum auth_record_kind { AUTH_RECORD_RULE = 1, AUTH_RECORD_USER = 2, AUTH_RECORD_LIMIT = 3 };

/* Into a writer with room for AUTH_RECORD_KEY_MAX, or AUTH_RECORD_VALUE_MAX. The rule or user has been checked. */
void auth_record_rule_key(struct el_writer *w, const struct auth_rule *rule);
void auth_record_rule_value(struct el_writer *w);
void auth_record_user_key(struct el_writer *w, const struct auth_user *user);
void auth_record_user_value(struct el_writer *w, const struct auth_user *user);
void auth_record_limit_key(struct el_writer *w, const struct quota_entity *entity, enum quota_kind limit);
void auth_record_limit_value(struct el_writer *w, double value);

/* A record as it was read. */
struct auth_record {
    enum auth_record_kind kind;
    bool gone; /* its value is null */
    struct auth_rule rule;
    struct auth_user user; /* only mechanism and name when it is gone */
    struct quota_entity entity;
    enum quota_kind limit;
    double value; /* 0 when it is gone */
};

/* returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT a newer evlogd has written it */
int auth_record_decode(struct el_slice key, struct el_slice value, struct auth_record *record);
/* The value of a record with this key that says what is in force now.
 *
 * value    with room for AUTH_RECORD_VALUE_MAX
 * there    out: false: nothing is; value is as it was
 * returns  0 | as auth_record_decode(), of the key
 */
int auth_record_now(const struct auth *auth, struct el_slice key, struct el_writer *value, bool *there);
/* Put what it says into force. returns 0 | EVLOG_ERR_NO_MEMORY nothing has changed */
int auth_record_apply(struct auth *auth, const struct auth_record *record);

#endif
