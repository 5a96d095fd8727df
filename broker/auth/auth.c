/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of a node: added, removed, listed. The question is auth_decide.c.
 */
#include <auth/auth_state.h>

#include <config/principals.h>
#include <core/address.h>
#include <core/utf8.h>
#include <evlog/error.h>

#include <string.h>

static void tables_init(struct auth *auth, struct el_buddy *buddy)
{
    el_map_init(&auth->patterns, buddy);
    el_map_init(&auth->principals, buddy);
    auth_users_init(auth, buddy);
    quota_init(&auth->quotas, buddy);
    el_pool_init(&auth->pattern_pool, buddy, sizeof(struct auth_pattern));
    el_pool_init(&auth->principal_pool, buddy, sizeof(struct auth_principal));
    el_pool_init(&auth->entry_pool, buddy, sizeof(struct auth_entry));
}

static void tables_destroy(struct auth *auth)
{
    auth_users_destroy(auth);
    quota_destroy(&auth->quotas);
    el_map_destroy(&auth->patterns);
    el_map_destroy(&auth->principals);
    el_pool_destroy(&auth->pattern_pool);
    el_pool_destroy(&auth->principal_pool);
    el_pool_destroy(&auth->entry_pool);
}

void auth_init(struct auth *auth, struct el_buddy *buddy)
{
    memset(auth, 0, sizeof *auth);
    auth->magic = AUTH_MAGIC;
    tables_init(auth, buddy);
}

void auth_destroy(struct auth *auth)
{
    OBJ_CHECK(auth, AUTH);
    tables_destroy(auth);
    auth->magic = 0;
}

void auth_clear(struct auth *auth)
{
    OBJ_CHECK(auth, AUTH);
    tables_destroy(auth);
    auth->rule_count = 0;
    memset(auth->prefix_count, 0, sizeof auth->prefix_count);
    tables_init(auth, auth->patterns.buddy);
}

/* --- settings ----------------------------------------------------------------------------------------------------- */

void auth_configure(struct auth *auth, const struct auth_settings *settings)
{
    OBJ_CHECK(auth, AUTH);
    struct el_slice name;
    auth->enabled = settings->enabled;
    auth->allow_if_none = settings->allow_if_none;
    auth->super_count = 0;
    const char *rest = settings->super_users == NULL ? "" : settings->super_users;
    while (auth->super_count < AUTH_SUPER_USERS_MAX && config_principal_next(&rest, &name)) {
        if (config_principal_valid(name)) {
            memcpy(auth->supers[auth->super_count], name.data, name.len);
            auth->super_len[auth->super_count++] = (uint16_t)name.len;
        }
    }
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static bool text_valid(struct el_slice text, size_t len_max)
{
    return text.len > 0 && text.len <= len_max && memchr(text.data, 0, text.len) == NULL &&
           el_utf8_valid(text.data, text.len);
}

static bool operation_fits(int resource, int operation)
{
    return operation == EL_ACL_OP_ALL || (operation > EL_ACL_OP_ALL && operation < EL_ACL_OP_COUNT &&
                                          (el_acl_operations_of(resource) & 1u << operation) != 0);
}

int auth_rule_check(const struct auth_rule *rule, const char **why)
{
    *why = NULL;
    if (rule->resource < EL_ACL_RESOURCE_TOPIC || rule->resource >= EL_ACL_RESOURCE_COUNT) {
        *why = "rules are about a topic, a group, the cluster or a transactional id";
    } else if (rule->pattern != EL_ACL_PATTERN_LITERAL && rule->pattern != EL_ACL_PATTERN_PREFIXED) {
        *why = "the pattern of a rule is literal or prefixed";
    } else if (!operation_fits(rule->resource, rule->operation)) {
        *why = "there is no such operation on this kind of resource";
    } else if (rule->permission != EL_ACL_PERMISSION_ALLOW && rule->permission != EL_ACL_PERMISSION_DENY) {
        *why = "a rule allows or denies";
    } else if (!text_valid(rule->name, AUTH_NAME_LEN_MAX)) {
        *why = "the name of a resource has 1 to 255 bytes of UTF-8";
    } else if (rule->resource == EL_ACL_RESOURCE_CLUSTER &&
               (rule->pattern != EL_ACL_PATTERN_LITERAL ||
                !el_slice_eq(rule->name, el_slice_str(EL_ACL_CLUSTER_NAME)))) {
        *why = "the cluster's one name is kafka-cluster";
    } else if (!config_principal_valid(rule->principal)) {
        *why = "a principal is User:NAME, or User:* for all, of at most 511 bytes of UTF-8";
    } else if (!text_valid(rule->host, AUTH_HOST_LEN_MAX)) {
        *why = "a host is an address, or * for all";
    }
    return *why == NULL ? 0 : EVLOG_ERR_ARGUMENT;
}

int auth_filter_check(const struct auth_rule *filter, const char **why)
{
    *why = NULL;
    if (filter->resource <= EL_ACL_RESOURCE_UNKNOWN || filter->resource >= EL_ACL_RESOURCE_COUNT) {
        *why = "evlogd does not know this kind of resource";
    } else if (filter->pattern <= EL_ACL_PATTERN_UNKNOWN || filter->pattern >= EL_ACL_PATTERN_COUNT) {
        *why = "evlogd does not know this kind of pattern";
    } else if (filter->operation <= EL_ACL_OP_UNKNOWN || filter->operation >= EL_ACL_OP_COUNT) {
        *why = "evlogd does not know this operation";
    } else if (filter->permission <= EL_ACL_PERMISSION_UNKNOWN || filter->permission >= EL_ACL_PERMISSION_COUNT) {
        *why = "evlogd does not know this permission";
    }
    return *why == NULL ? 0 : EVLOG_ERR_ARGUMENT;
}

/* --- patterns and principals -------------------------------------------------------------------------------------- */

static size_t pattern_key(uint8_t *key, int resource, int kind, struct el_slice name)
{
    EL_ASSERT(name.len <= AUTH_NAME_LEN_MAX);
    key[0] = (uint8_t)resource;
    key[1] = (uint8_t)kind;
    memcpy(key + 2, name.data, name.len);
    return 2 + name.len;
}

struct auth_pattern *auth_pattern_find(const struct auth *auth, int resource, int kind, struct el_slice name)
{
    uint8_t key[AUTH_PATTERN_KEY_MAX];
    if (name.len == 0 || name.len > AUTH_NAME_LEN_MAX) {
        return NULL;
    }
    return el_map_get(&auth->patterns, key, pattern_key(key, resource, kind, name));
}

struct auth_principal *auth_principal_find(const struct auth *auth, struct el_slice text)
{
    return text.len == 0 ? NULL : el_map_get(&auth->principals, text.data, text.len);
}

static struct auth_pattern *pattern_get(struct auth *auth, const struct auth_rule *rule)
{
    struct auth_pattern *pattern = auth_pattern_find(auth, rule->resource, rule->pattern, rule->name);
    if (pattern != NULL) {
        return pattern;
    }
    pattern = el_pool_get(&auth->pattern_pool);
    if (pattern == NULL) {
        return NULL;
    }
    el_list_init(&pattern->entries);
    pattern->key_len = (uint16_t)pattern_key(pattern->key, rule->resource, rule->pattern, rule->name);
    if (el_map_put(&auth->patterns, pattern->key, pattern->key_len, pattern) != 0) {
        el_pool_put(&auth->pattern_pool, pattern);
        return NULL;
    }
    if (rule->pattern == EL_ACL_PATTERN_PREFIXED) {
        auth->prefix_count[rule->resource][rule->name.len]++;
    }
    return pattern;
}

static void pattern_drop_unused(struct auth *auth, struct auth_pattern *pattern)
{
    if (!el_list_empty(&pattern->entries)) {
        return;
    }
    if (auth_pattern_kind(pattern) == EL_ACL_PATTERN_PREFIXED) {
        uint32_t *count = &auth->prefix_count[auth_pattern_resource(pattern)][auth_pattern_name(pattern).len];
        EL_ASSERT(*count > 0);
        (*count)--;
    }
    el_map_remove(&auth->patterns, pattern->key, pattern->key_len);
    el_pool_put(&auth->pattern_pool, pattern);
}

static struct auth_principal *principal_get(struct auth *auth, struct el_slice text)
{
    struct auth_principal *principal = auth_principal_find(auth, text);
    if (principal != NULL) {
        return principal;
    }
    principal = el_pool_get(&auth->principal_pool);
    if (principal == NULL) {
        return NULL;
    }
    EL_ASSERT(text.len <= AUTH_PRINCIPAL_LEN_MAX);
    principal->len = (uint16_t)text.len;
    memcpy(principal->text, text.data, text.len);
    if (el_map_put(&auth->principals, principal->text, principal->len, principal) != 0) {
        el_pool_put(&auth->principal_pool, principal);
        return NULL;
    }
    return principal;
}

static void principal_drop_unused(struct auth *auth, struct auth_principal *principal)
{
    if (principal->use_count == 0) {
        el_map_remove(&auth->principals, principal->text, principal->len);
        el_pool_put(&auth->principal_pool, principal);
    }
}

/* --- rules -------------------------------------------------------------------------------------------------------- */

static struct auth_entry *entry_find(const struct auth *auth, const struct auth_rule *rule)
{
    const struct auth_pattern *pattern = auth_pattern_find(auth, rule->resource, rule->pattern, rule->name);
    const struct auth_principal *principal = auth_principal_find(auth, rule->principal);
    if (pattern == NULL || principal == NULL) {
        return NULL;
    }
    EL_LIST_EACH(node, &pattern->entries) {
        struct auth_entry *entry = EL_CONTAINER(node, struct auth_entry, link);
        if (entry->principal == principal && entry->operation == rule->operation &&
            entry->permission == rule->permission &&
            el_slice_eq(el_slice_of(entry->host, entry->host_len), rule->host)) {
            return entry;
        }
    }
    return NULL;
}

bool auth_rule_has(const struct auth *auth, const struct auth_rule *rule)
{
    OBJ_CHECK(auth, AUTH);
    return entry_find(auth, rule) != NULL;
}

/* An address in another spelling than the one that connections have? */
static bool is_respelled(struct el_slice host)
{
    char address[EL_ADDRESS_TEXT_MAX];
    return el_address_canonical(host, address) && !el_slice_eq(host, el_slice_str(address));
}

int auth_rule_put(struct auth *auth, const struct auth_rule *rule)
{
    OBJ_CHECK(auth, AUTH);
    EL_ASSERT(rule->name.len > 0 && rule->name.len <= AUTH_NAME_LEN_MAX);
    EL_ASSERT(rule->host.len > 0 && rule->host.len <= AUTH_HOST_LEN_MAX);
    if (entry_find(auth, rule) != NULL) {
        return 0;
    }
    struct auth_pattern *pattern = pattern_get(auth, rule);
    struct auth_principal *principal = principal_get(auth, rule->principal);
    struct auth_entry *entry = el_pool_get(&auth->entry_pool);
    if (pattern == NULL || principal == NULL || entry == NULL) {
        if (entry != NULL) {
            el_pool_put(&auth->entry_pool, entry);
        }
        if (principal != NULL) {
            principal_drop_unused(auth, principal);
        }
        if (pattern != NULL) {
            pattern_drop_unused(auth, pattern);
        }
        return EVLOG_ERR_NO_MEMORY;
    }
    entry->principal = principal;
    principal->use_count++;
    entry->operation = (uint8_t)rule->operation;
    entry->permission = (uint8_t)rule->permission;
    entry->host_len = (uint8_t)rule->host.len;
    entry->respelled = is_respelled(rule->host);
    memcpy(entry->host, rule->host.data, rule->host.len);
    el_list_push_back(&pattern->entries, &entry->link);
    auth->rule_count++;
    return 0;
}

void auth_rule_remove(struct auth *auth, const struct auth_rule *rule)
{
    OBJ_CHECK(auth, AUTH);
    struct auth_entry *entry = entry_find(auth, rule);
    if (entry == NULL) {
        return;
    }
    struct auth_pattern *pattern = auth_pattern_find(auth, rule->resource, rule->pattern, rule->name);
    struct auth_principal *principal = entry->principal;
    EL_ASSERT(auth->rule_count > 0);
    EL_ASSERT(principal->use_count > 0);
    auth->rule_count--;
    principal->use_count--;
    el_list_remove(&entry->link);
    el_pool_put(&auth->entry_pool, entry);
    principal_drop_unused(auth, principal);
    pattern_drop_unused(auth, pattern);
}

/* --- filters ------------------------------------------------------------------------------------------------------ */

static bool starts_with(struct el_slice text, struct el_slice prefix)
{
    return text.len >= prefix.len && memcmp(text.data, prefix.data, prefix.len) == 0;
}

static bool name_fits(const struct auth_pattern *pattern, const struct auth_rule *filter)
{
    int kind = auth_pattern_kind(pattern);
    struct el_slice name = auth_pattern_name(pattern);
    if (filter->pattern == EL_ACL_PATTERN_LITERAL || filter->pattern == EL_ACL_PATTERN_PREFIXED) {
        return kind == filter->pattern && (filter->name.data == NULL || el_slice_eq(name, filter->name));
    }
    if (filter->name.data == NULL || el_slice_eq(name, filter->name)) {
        return true;
    }
    if (filter->pattern != EL_ACL_PATTERN_MATCH) {
        return false;
    }
    return kind == EL_ACL_PATTERN_LITERAL ? el_slice_eq(name, el_slice_str("*")) : starts_with(filter->name, name);
}

static bool host_fits(struct el_slice host, struct el_slice wanted)
{
    return wanted.data == NULL || el_slice_eq(wanted, host) || el_address_same(wanted, host);
}

static bool entry_fits(const struct auth_rule *rule, const struct auth_rule *filter)
{
    return (filter->operation == EL_ACL_OP_ANY || filter->operation == rule->operation) &&
           (filter->permission == EL_ACL_PERMISSION_ANY || filter->permission == rule->permission) &&
           (filter->principal.data == NULL || el_slice_eq(filter->principal, rule->principal)) &&
           host_fits(rule->host, filter->host);
}

void auth_rules_each(const struct auth *auth, const struct auth_rule *filter, auth_rule_fn fn, void *arg)
{
    OBJ_CHECK(auth, AUTH);
    for (size_t i = 0; i < auth->patterns.count; i++) {
        const struct auth_pattern *pattern = auth->patterns.entries[i].value;
        int resource = auth_pattern_resource(pattern);
        if ((filter->resource != EL_ACL_RESOURCE_ANY && filter->resource != resource) || !name_fits(pattern, filter)) {
            continue;
        }
        EL_LIST_EACH(node, &pattern->entries) {
            const struct auth_entry *entry = EL_CONTAINER(node, struct auth_entry, link);
            struct auth_rule rule = {
                .resource = resource,
                .pattern = auth_pattern_kind(pattern),
                .operation = entry->operation,
                .permission = entry->permission,
                .name = auth_pattern_name(pattern),
                .principal = el_slice_of(entry->principal->text, entry->principal->len),
                .host = el_slice_of(entry->host, entry->host_len),
            };
            if (entry_fits(&rule, filter) && !fn(arg, &rule)) {
                return;
            }
        }
    }
}
