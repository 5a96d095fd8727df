/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what: the rules (ACLs) of a node, as one shard has them, and the one question that is asked of them. Each
 * shard has a copy of its own, kept the same by broker/access; this layer knows neither disk nor network.
 *
 * Kafka's model: a rule names a principal, a host, an operation, and a resource by its name or by how its name
 * begins. A rule that denies wins over all that allow; Read, Write, Delete and Alter include Describe, and
 * AlterConfigs includes DescribeConfigs. Where no rule is about a resource, nobody may, unless
 * allow.everyone.if.no.acl.found says else. Super users may everything. Source: docs/security.md, Access rules.
 */
#ifndef EL_AUTH_AUTH_H
#define EL_AUTH_AUTH_H

#include <auth/quota.h>
#include <config/principals.h>
#include <core/acl.h>
#include <core/assert.h>
#include <core/list.h>
#include <core/map.h>
#include <core/pool.h>
#include <core/scram.h>

#define AUTH_MAGIC OBJ_MAGIC('a', 'u', 't', 'h')

#define AUTH_NAME_LEN_MAX 255u /* of a resource in a rule */
#define AUTH_PRINCIPAL_LEN_MAX                                                                                         \
    CONFIG_PRINCIPAL_MAX      /* "User:alice", with the kind in front; that of a certificate is long */
#define AUTH_HOST_LEN_MAX 45u /* an address as text, or "*" */
#define AUTH_RULES_MAX 20000u /* of a node */
#define AUTH_SUPER_USERS_MAX CONFIG_PRINCIPALS_MAX
#define AUTH_ANONYMOUS "User:ANONYMOUS" /* who has not said who it is */

/* A rule, or, where it says so, a filter of rules. All borrowed. */
struct auth_rule {
    int resource;   /* enum el_acl_resource */
    int pattern;    /* enum el_acl_pattern */
    int operation;  /* enum el_acl_operation */
    int permission; /* enum el_acl_permission */
    struct el_slice name;
    struct el_slice principal;
    struct el_slice host;
};

/* Who asks. Borrowed; principal.data NULL: nobody in particular, who is AUTH_ANONYMOUS. */
struct auth_caller {
    struct el_slice principal; /* such as "User:alice" */
    struct el_slice host;      /* address without port */
};

/* Settings; the text is borrowed for the call. */
struct auth_settings {
    bool enabled;            /* authorizer */
    bool allow_if_none;      /* allow.everyone.if.no.acl.found */
    const char *super_users; /* see config/principals.h; NULL: none */
};

#define AUTH_USER_NAME_MAX 255u
#define AUTH_USERS_MAX 20000u /* of a node; one for each mechanism */
#define AUTH_SALT_LEN_MIN 8u
#define AUTH_SALT_LEN_MAX 64u
#define AUTH_SCRAM_KEY_MAX 64u

/* What a password is checked with (RFC 5802); the password itself is nowhere. */
struct auth_user {
    int mechanism;        /* enum el_scram_mechanism */
    struct el_slice name; /* borrowed; "alice", whose principal is "User:alice" */
    uint32_t iterations;
    uint32_t salt_len;
    uint8_t salt[AUTH_SALT_LEN_MAX];
    uint8_t stored_key[AUTH_SCRAM_KEY_MAX]; /* as long as the mechanism's hash */
    uint8_t server_key[AUTH_SCRAM_KEY_MAX];
};

struct auth {
    uint32_t magic;
    bool enabled;
    bool allow_if_none;
    struct el_map patterns;   /* kind of resource and pattern, name -> struct auth_pattern */
    struct el_map principals; /* text -> struct auth_principal */
    struct el_map users;      /* mechanism, name -> struct auth_user_entry */
    uint64_t user_births;     /* entries of users that were ever made; never goes back */
    uint64_t user_deaths;     /* the same of those that were removed */
    struct el_pool user_pool;
    struct quota_table quotas;
    struct el_pool pattern_pool, principal_pool, entry_pool;
    uint32_t rule_count;
    uint32_t prefix_count[EL_ACL_RESOURCE_COUNT][AUTH_NAME_LEN_MAX + 1]; /* patterns by length of their prefix */
    uint32_t super_count;
    uint16_t super_len[AUTH_SUPER_USERS_MAX];
    char supers[AUTH_SUPER_USERS_MAX][AUTH_PRINCIPAL_LEN_MAX + 1];
};

/* No rules, and nothing enforced. Memory comes from the buddy, or from the heap when it is NULL. */
void auth_init(struct auth *auth, struct el_buddy *buddy);
void auth_destroy(struct auth *auth);
/* Forget all users, rules and limits; settings stay. */
void auth_clear(struct auth *auth);
/* Take settings over; super_users has been checked. */
void auth_configure(struct auth *auth, const struct auth_settings *settings);

/* May the caller do this? Always true while the authorizer is off.
 *
 * resource  a kind, not ANY
 * name      of the resource; for the cluster it is not looked at
 */
bool auth_allowed(const struct auth *auth, const struct auth_caller *caller, int operation, int resource,
                  struct el_slice name);
/* The same, by rules that name the resource or how it begins; those for all ("*") may only deny. */
bool auth_named(const struct auth *auth, const struct auth_caller *caller, int operation, int resource,
                struct el_slice name);
/* May the caller do this to any resource of the kind at all? */
bool auth_allowed_somewhere(const struct auth *auth, const struct auth_caller *caller, int operation, int resource);
/* All that it may do: a set of 1 << operation, out of those that the kind knows. */
uint32_t auth_operations(const struct auth *auth, const struct auth_caller *caller, int resource, struct el_slice name);

/* Can this be a rule? returns 0 | EVLOG_ERR_ARGUMENT with what is wrong in *why, a static text */
int auth_rule_check(const struct auth_rule *rule, const char **why);
/* Can this be a filter? A slice whose data is NULL fits everything. The same returns. */
int auth_filter_check(const struct auth_rule *filter, const char **why);
/* Add a rule that was checked. returns 0 also when it is there | EVLOG_ERR_NO_MEMORY nothing has changed */
int auth_rule_put(struct auth *auth, const struct auth_rule *rule);
/* Remove exactly this rule, if it is there. */
void auth_rule_remove(struct auth *auth, const struct auth_rule *rule);
bool auth_rule_has(const struct auth *auth, const struct auth_rule *rule);

/* Each rule that a filter fits, until fn returns false; the rule is borrowed for the call. Nothing may change
 * meanwhile. */
typedef bool (*auth_rule_fn)(void *arg, const struct auth_rule *rule);
void auth_rules_each(const struct auth *auth, const struct auth_rule *filter, auth_rule_fn fn, void *arg);

/* Bytes of the keys of a mechanism; 0: there is none of this number. */
size_t auth_mechanism_key_len(int mechanism);
/* returns 0 | EVLOG_ERR_ARGUMENT with what is wrong in *why, a static text */
int auth_user_name_check(struct el_slice name, const char **why);
int auth_user_check(const struct auth_user *user, const char **why);
/* NULL: there is none. Valid until the next change. */
const struct auth_user *auth_user_find(const struct auth *auth, int mechanism, struct el_slice name);
/* Add or replace one that was checked. returns 0 | EVLOG_ERR_NO_MEMORY nothing has changed */
int auth_user_put(struct auth *auth, const struct auth_user *user);
void auth_user_remove(struct auth *auth, int mechanism, struct el_slice name);
/* Is the user, with keys of the mechanism, the one that was there when user_births was so? One that was removed is
 * another, also when its name is there again; another password makes no other.
 *
 * mechanism  0: with keys of any, while it was never without
 */
bool auth_user_since(const struct auth *auth, int mechanism, struct el_slice name, uint64_t births);
/* All of them, in no order that means anything; index 0 .. count - 1. */
uint32_t auth_user_count(const struct auth *auth);
const struct auth_user *auth_user_at(const struct auth *auth, uint32_t index);

#endif
