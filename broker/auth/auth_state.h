/* SPDX-License-Identifier: Apache-2.0
 *
 * How rules lie in memory. Private to broker/auth.
 *
 * A name that several rules share is there once, as a pattern with the list of its rules; so is a principal. A question
 * looks up the patterns that can be about its resource (the name itself, "*", and one for each length of prefix that is
 * in use), and compares principals by address.
 */
#ifndef EL_AUTH_AUTH_STATE_H
#define EL_AUTH_AUTH_STATE_H

#include <auth/auth.h>

#define AUTH_PATTERN_KEY_MAX (2u + AUTH_NAME_LEN_MAX)

struct auth_pattern {
    struct el_list entries; /* struct auth_entry.link */
    uint16_t key_len;
    uint8_t key[AUTH_PATTERN_KEY_MAX]; /* kind of resource, kind of pattern, name; of the map */
};

struct auth_principal {
    uint32_t use_count; /* entries */
    uint16_t len;
    char text[AUTH_PRINCIPAL_LEN_MAX]; /* of the map */
};

struct auth_entry {
    struct el_list link; /* in pattern->entries */
    struct auth_principal *principal;
    uint8_t operation;
    uint8_t permission;
    uint8_t host_len;
    bool respelled; /* host is an address that no connection is told by in this spelling: older evlogds kept any */
    char host[AUTH_HOST_LEN_MAX]; /* as it was written, which is a part of its record's key */
};

static inline int auth_pattern_resource(const struct auth_pattern *pattern)
{
    return pattern->key[0];
}

static inline int auth_pattern_kind(const struct auth_pattern *pattern)
{
    return pattern->key[1];
}

static inline struct el_slice auth_pattern_name(const struct auth_pattern *pattern)
{
    return el_slice_of(pattern->key + 2, pattern->key_len - 2u);
}

/* auth_user.c */
void auth_users_init(struct auth *auth, struct el_buddy *buddy);
void auth_users_destroy(struct auth *auth);

/* NULL: no rule has it. */
struct auth_pattern *auth_pattern_find(const struct auth *auth, int resource, int kind, struct el_slice name);
struct auth_principal *auth_principal_find(const struct auth *auth, struct el_slice text);

#endif
