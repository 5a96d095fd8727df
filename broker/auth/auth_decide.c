/* SPDX-License-Identifier: Apache-2.0
 *
 * May somebody do something? The order is Kafka's:
 *
 *   1. the authorizer is off, or the caller is a super user: yes
 *   2. a rule about the resource denies the operation, or all of them: no
 *   3. a rule allows it, or one that includes it, or all: yes
 *   4. no rule is about the resource: as allow.everyone.if.no.acl.found says. Else: no
 *
 * A rule that denies Read does not deny Describe: inclusion works in favour only.
 */
#include <auth/auth_state.h>

#include <core/address.h>

#define OP(name) (1u << EL_ACL_OP_##name)

struct question {
    const struct auth *auth;
    const struct auth_principal *self; /* NULL: no rule names the caller */
    const struct auth_principal *all;  /* NULL: none names everybody */
    struct el_slice host;
    uint32_t seen_rules;
    uint32_t denied, allowed; /* what rules about the resource say of the caller */
};

static struct el_slice principal_of(const struct auth_caller *caller)
{
    return caller->principal.data == NULL ? el_slice_str(AUTH_ANONYMOUS) : caller->principal;
}

static bool is_super(const struct auth *auth, struct el_slice principal)
{
    for (uint32_t i = 0; i < auth->super_count; i++) {
        if (el_slice_eq(el_slice_of(auth->supers[i], auth->super_len[i]), principal)) {
            return true;
        }
    }
    return false;
}

static bool entry_is_about(const struct question *q, const struct auth_entry *entry)
{
    if (entry->principal != q->self && entry->principal != q->all) {
        return false;
    }
    struct el_slice host = el_slice_of(entry->host, entry->host_len);
    return el_slice_eq(host, el_slice_str("*")) || el_slice_eq(host, q->host) ||
           (entry->respelled && el_address_same(host, q->host));
}

static void look_at(struct question *q, const struct auth_pattern *pattern)
{
    if (pattern == NULL) {
        return;
    }
    EL_LIST_EACH(node, &pattern->entries) {
        const struct auth_entry *entry = EL_CONTAINER(node, struct auth_entry, link);
        q->seen_rules++;
        if (!entry_is_about(q, entry)) {
            continue;
        }
        if (entry->permission == EL_ACL_PERMISSION_DENY) {
            q->denied |= 1u << entry->operation;
        } else {
            q->allowed |= 1u << entry->operation;
        }
    }
}

/* What all rules about the resource say of the caller. */
static void ask(struct question *q, const struct auth *auth, const struct auth_caller *caller, int resource,
                struct el_slice name)
{
    *q = (struct question){
        .auth = auth,
        .self = auth_principal_find(auth, principal_of(caller)),
        .all = auth_principal_find(auth, el_slice_str("User:*")),
        .host = caller->host,
    };
    look_at(q, auth_pattern_find(auth, resource, EL_ACL_PATTERN_LITERAL, name));
    if (!el_slice_eq(name, el_slice_str("*"))) {
        look_at(q, auth_pattern_find(auth, resource, EL_ACL_PATTERN_LITERAL, el_slice_str("*")));
    }
    EL_ASSERT(q->allowed == 0 || q->seen_rules > 0); /* what allows was seen */
    const uint32_t *count = auth->prefix_count[resource];
    for (size_t len = 1; len <= AUTH_NAME_LEN_MAX && len <= name.len; len++) {
        if (count[len] > 0) {
            look_at(q, auth_pattern_find(auth, resource, EL_ACL_PATTERN_PREFIXED, el_slice_of(name.data, len)));
        }
    }
}

static bool answer(const struct question *q, int operation)
{
    EL_ASSERT(operation > EL_ACL_OP_ALL);
    EL_ASSERT(operation < EL_ACL_OP_COUNT);
    EL_ASSERT((q->allowed | q->denied) == 0 || q->seen_rules > 0);
    if ((q->denied & (OP(ALL) | 1u << operation)) != 0) {
        return false;
    }
    if ((q->allowed & el_acl_enough_for(operation)) != 0) {
        return true;
    }
    return q->seen_rules == 0 && q->auth->allow_if_none;
}

bool auth_allowed(const struct auth *auth, const struct auth_caller *caller, int operation, int resource,
                  struct el_slice name)
{
    OBJ_CHECK(auth, AUTH);
    EL_ASSERT(operation > EL_ACL_OP_ALL && operation < EL_ACL_OP_COUNT);
    EL_ASSERT(resource > EL_ACL_RESOURCE_ANY && resource < EL_ACL_RESOURCE_COUNT);
    if (!auth->enabled || is_super(auth, principal_of(caller))) {
        return true;
    }
    struct question q;
    ask(&q, auth, caller, resource, resource == EL_ACL_RESOURCE_CLUSTER ? el_slice_str(EL_ACL_CLUSTER_NAME) : name);
    return answer(&q, operation);
}

bool auth_named(const struct auth *auth, const struct auth_caller *caller, int operation, int resource,
                struct el_slice name)
{
    OBJ_CHECK(auth, AUTH);
    struct question all, named;
    if (!auth->enabled || is_super(auth, principal_of(caller))) {
        return true;
    }
    ask(&all, auth, caller, resource, name);
    named = all;
    named.allowed = 0;
    look_at(&named, auth_pattern_find(auth, resource, EL_ACL_PATTERN_LITERAL, name));
    for (size_t len = 1; len <= AUTH_NAME_LEN_MAX && len <= name.len; len++) {
        look_at(&named, auth_pattern_find(auth, resource, EL_ACL_PATTERN_PREFIXED, el_slice_of(name.data, len)));
    }
    named.seen_rules = 1; /* allow.everyone.if.no.acl.found is not meant for it */
    return answer(&named, operation);
}

uint32_t auth_operations(const struct auth *auth, const struct auth_caller *caller, int resource, struct el_slice name)
{
    OBJ_CHECK(auth, AUTH);
    uint32_t known = el_acl_operations_of(resource), may = 0;
    if (!auth->enabled || is_super(auth, principal_of(caller))) {
        return known;
    }
    struct question q;
    ask(&q, auth, caller, resource, resource == EL_ACL_RESOURCE_CLUSTER ? el_slice_str(EL_ACL_CLUSTER_NAME) : name);
    for (int operation = EL_ACL_OP_ALL + 1; operation < EL_ACL_OP_COUNT; operation++) {
        if ((known & 1u << operation) != 0 && answer(&q, operation)) {
            may |= 1u << operation;
        }
    }
    return may;
}

/* --- somewhere ---------------------------------------------------------------------------------------------------- */

/* Does a rule of this pattern, or of one that contains all of it, deny the operation to the caller? */
static bool pattern_denied(const struct auth *auth, const struct auth_caller *caller, int operation,
                           const struct auth_pattern *pattern)
{
    struct question q;
    int resource = auth_pattern_resource(pattern);
    struct el_slice name = auth_pattern_name(pattern);
    ask(&q, auth, caller, resource, name);
    if (auth_pattern_kind(pattern) == EL_ACL_PATTERN_PREFIXED) {
        /* A rule that denies the one name which equals the prefix leaves all longer ones. */
        q.denied = 0;
        look_at(&q, auth_pattern_find(auth, resource, EL_ACL_PATTERN_LITERAL, el_slice_str("*")));
        for (size_t len = 1; len <= name.len; len++) {
            look_at(&q, auth_pattern_find(auth, resource, EL_ACL_PATTERN_PREFIXED, el_slice_of(name.data, len)));
        }
    }
    return (q.denied & (OP(ALL) | 1u << operation)) != 0;
}

bool auth_allowed_somewhere(const struct auth *auth, const struct auth_caller *caller, int operation, int resource)
{
    OBJ_CHECK(auth, AUTH);
    EL_ASSERT(resource > EL_ACL_RESOURCE_ANY && resource < EL_ACL_RESOURCE_COUNT);
    if (!auth->enabled || is_super(auth, principal_of(caller))) {
        return true;
    }
    struct question q;
    ask(&q, auth, caller, resource, el_slice_str("*"));
    if ((q.denied & (OP(ALL) | 1u << operation)) != 0) {
        return false;
    }
    if (auth->allow_if_none) {
        return true; /* there are always resources that no rule is about */
    }
    for (size_t i = 0; i < auth->patterns.count; i++) {
        const struct auth_pattern *pattern = auth->patterns.entries[i].value;
        if (auth_pattern_resource(pattern) != resource) {
            continue;
        }
        q.allowed = 0;
        look_at(&q, pattern);
        if ((q.allowed & el_acl_enough_for(operation)) != 0 && !pattern_denied(auth, caller, operation, pattern)) {
            return true;
        }
    }
    return false;
}
