/* SPDX-License-Identifier: Apache-2.0
 *
 * Wardens: they make users, give them other passwords, remove them, add access rules and delete them, several at once,
 * and look at what there is. Each has users and rules of its own, so that it knows what must be there: what it was
 * told; and of a change that it was told nothing of, all or nothing.
 *
 * Such a change may still be made while its request is somewhere under way: until a start has decided on it the warden
 * changes nothing more. What has been seen of it is durable.
 */
#include "clients.h"

#include <core/assert.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_alter_user_scram_credentials.h>
#include <wire/msg_create_acls.h>
#include <wire/msg_delete_acls.h>
#include <wire/msg_describe_acls.h>
#include <wire/msg_describe_user_scram_credentials.h>

#define NAME_LEN 24
#define SALT "0123456789abcdef"
#define PASSWORD "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" /* as if salted */

/* --- things ------------------------------------------------------------------------------------------------------- */

static int mechanism_of(uint32_t thing)
{
    return thing % 2 == 0 ? EL_SCRAM_SHA256 : EL_SCRAM_SHA512;
}

static struct el_slice name_of(const struct warden_client *d, enum warden_kind kind, uint32_t thing, char *text)
{
    int len = snprintf(text, NAME_LEN, "%s-%u-%u", kind == WARDEN_USERS ? "user" : "topic", d->index, thing);
    return el_slice_of(text, (size_t)len);
}

static struct el_slice principal_of(const struct warden_client *d, char *text)
{
    int len = snprintf(text, NAME_LEN, "User:warden-%u", d->index);
    return el_slice_of(text, (size_t)len);
}

static struct auth_rule rule_of(const struct warden_client *d, uint32_t thing, char *name, char *principal)
{
    return (struct auth_rule){.resource = EL_ACL_RESOURCE_TOPIC,
                              .pattern = thing % 2 == 0 ? EL_ACL_PATTERN_LITERAL : EL_ACL_PATTERN_PREFIXED,
                              .operation = EL_ACL_OP_READ,
                              .permission = EL_ACL_PERMISSION_ALLOW,
                              .name = name_of(d, WARDEN_RULES, thing, name),
                              .principal = principal_of(d, principal),
                              .host = el_slice_str("*")};
}

static bool same(const struct warden_state *a, const struct warden_state *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void describe(const struct warden_state *state, char *text, size_t text_len)
{
    size_t len = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < WARDEN_THINGS; i++) {
        len += (size_t)snprintf(text + len, text_len - len, " %u", state->version[i]);
    }
}

/* --- what there is ------------------------------------------------------------------------------------------------ */

/* A device that lies may have lost what was answered; what is there was asked for all the same. */
static void see_after_lies(struct warden_client *d, enum warden_kind kind, const struct warden_state *seen,
                           bool started)
{
    for (uint32_t i = 0; i < WARDEN_THINGS; i++) {
        if (seen->version[i] > d->version) {
            world_violation(d->c->w, "warden %u: version %u of thing %u, and the last was %u", d->index,
                            seen->version[i], i, d->version);
        }
    }
    d->now[kind] = *seen;
    d->unsure = d->unsure && !(started && d->kind == kind);
}

static void see(struct warden_client *d, enum warden_kind kind, const struct warden_state *seen, bool started)
{
    struct world *w = d->c->w;
    bool open = d->unsure && d->kind == kind;
    bool old = same(seen, &d->now[kind]), new = open &&same(seen, &d->next);
    if (w->lying) {
        see_after_lies(d, kind, seen, started);
        return;
    }
    if ((!old && !new) || (started && open && d->witnessed && !new)) {
        char is[64], was[64], next[64];
        describe(seen, is, sizeof(is));
        describe(&d->now[kind], was, sizeof(was));
        describe(&d->next, next, sizeof(next));
        world_violation(w, "warden %u: %s are%s, but were%s%s%s%s", d->index, kind == WARDEN_USERS ? "users" : "rules",
                        is, was, open ? ", with a change under way to" : "", open ? next : "",
                        d->witnessed ? ", which was seen" : "");
        return;
    }
    d->witnessed = d->witnessed || (open && new && !old);
    if (started && open) {
        w->events[new ? EVENT_ACCESS_KEPT : EVENT_ACCESS_LOST]++;
        d->now[kind] = *seen;
        d->unsure = false;
    }
}

void warden_started(struct warden_client *d, const struct auth *auth)
{
    struct warden_state users = {{0}}, rules = {{0}};
    char name[NAME_LEN], principal[NAME_LEN];
    for (uint32_t i = 0; i < WARDEN_THINGS; i++) {
        const struct auth_user *user = auth_user_find(auth, mechanism_of(i), name_of(d, WARDEN_USERS, i, name));
        struct auth_rule rule = rule_of(d, i, name, principal);
        users.version[i] = user == NULL ? 0 : user->iterations - EL_SCRAM_ITERATIONS_MIN;
        rules.version[i] = auth_rule_has(auth, &rule);
    }
    see(d, WARDEN_USERS, &users, true);
    see(d, WARDEN_RULES, &rules, true);
}

/* --- looks -------------------------------------------------------------------------------------------------------- */

static void on_users(void *arg, const void *response)
{
    struct warden_client *d = arg;
    const struct el_msg_describe_user_scram_credentials_response *answer = response;
    struct warden_state seen = {{0}};
    d->busy = false;
    if (answer == NULL) {
        return;
    }
    d->c->answers++;
    EL_ASSERT(answer->result_count == WARDEN_THINGS);
    for (uint32_t i = 0; i < WARDEN_THINGS; i++) {
        const struct el_msg_describe_user_scram_credentials_result *user = &answer->results[i];
        EL_ASSERT((user->error_code == EL_KAFKA_RESOURCE_NOT_FOUND) == (user->credential_info_count == 0));
        if (user->credential_info_count > 0) {
            EL_ASSERT(user->credential_infos[0].mechanism == mechanism_of(i));
            seen.version[i] = (uint32_t)user->credential_infos[0].iterations - EL_SCRAM_ITERATIONS_MIN;
        }
    }
    see(d, WARDEN_USERS, &seen, false);
}

static void look_at_users(struct warden_client *d)
{
    struct el_msg_describe_user_scram_credentials_request request;
    struct el_msg_describe_user_scram_credentials_user users[WARDEN_THINGS];
    char names[WARDEN_THINGS][NAME_LEN];
    el_schema_init(&el_schema_describe_user_scram_credentials_request, &request);
    for (uint32_t i = 0; i < WARDEN_THINGS; i++) {
        users[i].name = name_of(d, WARDEN_USERS, i, names[i]);
    }
    request.users = users;
    request.user_count = WARDEN_THINGS;
    d->busy = true;
    peer_send(&d->peer, EL_API_DescribeUserScramCredentials,
              peer_version(&d->peer, EL_API_DescribeUserScramCredentials), &request, on_users, d);
}

static void on_rules(void *arg, const void *response)
{
    struct warden_client *d = arg;
    const struct el_msg_describe_acls_response *answer = response;
    struct warden_state seen = {{0}};
    char name[NAME_LEN];
    d->busy = false;
    if (answer == NULL) {
        return;
    }
    d->c->answers++;
    EL_ASSERT(answer->error_code == EL_KAFKA_NONE);
    for (uint32_t k = 0; k < answer->resource_count; k++) {
        for (uint32_t i = 0; i < WARDEN_THINGS; i++) {
            seen.version[i] += el_slice_eq(answer->resources[k].resource_name, name_of(d, WARDEN_RULES, i, name));
        }
    }
    see(d, WARDEN_RULES, &seen, false);
}

static void look_at_rules(struct warden_client *d)
{
    struct el_msg_describe_acls_request request;
    char principal[NAME_LEN];
    el_schema_init(&el_schema_describe_acls_request, &request);
    request.resource_type_filter = EL_ACL_RESOURCE_TOPIC;
    request.resource_name_filter = (struct el_slice){0};
    request.pattern_type_filter = EL_ACL_PATTERN_ANY;
    request.principal_filter = principal_of(d, principal);
    request.host_filter = (struct el_slice){0};
    request.operation = EL_ACL_OP_ANY;
    request.permission_type = EL_ACL_PERMISSION_ANY;
    d->busy = true;
    peer_send(&d->peer, EL_API_DescribeAcls, peer_version(&d->peer, EL_API_DescribeAcls), &request, on_rules, d);
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

/* The change has ended, with one code for all of it. */
static void changed(struct warden_client *d, int16_t code)
{
    d->c->answers++;
    if (code == EL_KAFKA_NONE) {
        d->now[d->kind] = d->next;
        d->unsure = false;
        d->c->w->events[EVENT_ACCESS_CHANGED]++;
    } else if (!clients_excuse(d->c, code)) {
        world_violation(d->c->w, "warden %u: a change of %s failed: %s", d->index,
                        d->kind == WARDEN_USERS ? "users" : "rules", el_kafka_error_name(code));
    }
}

/* The code of the first, which must be that of all: a change is made whole. */
static void see_code(struct warden_client *d, uint32_t index, int16_t code, int16_t *first)
{
    *first = index == 0 ? code : *first;
    if (code != *first) {
        world_violation(d->c->w, "warden %u: of one change a part has ended with %s, another with %s", d->index,
                        el_kafka_error_name(*first), el_kafka_error_name(code));
    }
}

static void begin(struct warden_client *d, enum warden_kind kind)
{
    d->kind = kind;
    d->next = d->now[kind];
    d->version++;
    d->unsure = d->busy = true;
    d->witnessed = false;
}

static void on_altered(void *arg, const void *response)
{
    struct warden_client *d = arg;
    const struct el_msg_alter_user_scram_credentials_response *answer = response;
    int16_t code = EL_KAFKA_NONE;
    d->busy = false;
    if (answer != NULL) {
        for (uint32_t i = 0; i < answer->result_count; i++) {
            see_code(d, i, answer->results[i].error_code, &code);
        }
        changed(d, code);
    }
}

/* Some of the users: gone, or with another password, of which the number of iterations is told. */
static void alter_users(struct warden_client *d)
{
    struct el_msg_alter_user_scram_credentials_request request;
    struct el_msg_alter_user_scram_credentials_deletion deletions[WARDEN_THINGS];
    struct el_msg_alter_user_scram_credentials_upsertion upsertions[WARDEN_THINGS];
    char names[WARDEN_THINGS][NAME_LEN];
    uint32_t last = (uint32_t)world_below(d->c->w, WARDEN_THINGS);
    el_schema_init(&el_schema_alter_user_scram_credentials_request, &request);
    request.deletions = deletions;
    request.upsertions = upsertions;
    begin(d, WARDEN_USERS);
    for (uint32_t i = 0; i < WARDEN_THINGS; i++) {
        if (i != last && world_chance(d->c->w, 600000)) {
            continue;
        }
        struct el_slice name = name_of(d, WARDEN_USERS, i, names[i]);
        bool gone = d->next.version[i] != 0 && world_chance(d->c->w, 300000);
        d->next.version[i] = gone ? 0 : d->version;
        if (gone) {
            deletions[request.deletion_count++] = (struct el_msg_alter_user_scram_credentials_deletion){
                .name = name, .mechanism = (int8_t)mechanism_of(i)};
        } else {
            upsertions[request.upsertion_count++] = (struct el_msg_alter_user_scram_credentials_upsertion){
                .name = name,
                .mechanism = (int8_t)mechanism_of(i),
                .iterations = (int32_t)(EL_SCRAM_ITERATIONS_MIN + d->version),
                .salt = el_slice_str(SALT),
                .salted_password = el_slice_of(PASSWORD, el_scram_key_len(mechanism_of(i)))};
        }
    }
    peer_send(&d->peer, EL_API_AlterUserScramCredentials, peer_version(&d->peer, EL_API_AlterUserScramCredentials),
              &request, on_altered, d);
}

static void on_created(void *arg, const void *response)
{
    struct warden_client *d = arg;
    const struct el_msg_create_acls_response *answer = response;
    int16_t code = EL_KAFKA_NONE;
    d->busy = false;
    if (answer != NULL) {
        for (uint32_t i = 0; i < answer->result_count; i++) {
            see_code(d, i, answer->results[i].error_code, &code);
        }
        changed(d, code);
    }
}

/* Some of the rules, those that are there among them. */
static void create_rules(struct warden_client *d)
{
    struct el_msg_create_acls_request request;
    struct el_msg_create_acls_creation creations[WARDEN_THINGS];
    char names[WARDEN_THINGS][NAME_LEN], principal[NAME_LEN];
    uint32_t last = (uint32_t)world_below(d->c->w, WARDEN_THINGS);
    el_schema_init(&el_schema_create_acls_request, &request);
    request.creations = creations;
    begin(d, WARDEN_RULES);
    for (uint32_t i = 0; i < WARDEN_THINGS; i++) {
        if (i == last || world_chance(d->c->w, 400000)) {
            struct auth_rule rule = rule_of(d, i, names[i], principal);
            d->next.version[i] = 1;
            creations[request.creation_count++] = (struct el_msg_create_acls_creation){
                .resource_type = (int8_t)rule.resource,
                .resource_name = rule.name,
                .resource_pattern_type = (int8_t)rule.pattern,
                .principal = rule.principal,
                .host = rule.host,
                .operation = (int8_t)rule.operation,
                .permission_type = (int8_t)rule.permission};
        }
    }
    peer_send(&d->peer, EL_API_CreateAcls, peer_version(&d->peer, EL_API_CreateAcls), &request, on_created, d);
}

static void on_deleted(void *arg, const void *response)
{
    struct warden_client *d = arg;
    const struct el_msg_delete_acls_response *answer = response;
    int16_t code = EL_KAFKA_NONE;
    uint32_t count = 0, gone = 0;
    d->busy = false;
    if (answer == NULL) {
        return;
    }
    for (uint32_t i = 0; i < answer->filter_result_count; i++) {
        const struct el_msg_delete_acls_result *found = &answer->filter_results[i];
        for (uint32_t k = 0; k < found->matching_acl_count; k++) {
            see_code(d, count++, found->matching_acls[k].error_code, &code);
        }
        code = found->error_code != EL_KAFKA_NONE ? found->error_code : code;
    }
    for (uint32_t i = 0; i < WARDEN_THINGS; i++) {
        gone += d->now[WARDEN_RULES].version[i] - d->next.version[i];
    }
    if (code == EL_KAFKA_NONE && count != gone && !d->c->w->lying) {
        world_violation(d->c->w, "warden %u: %u rules were deleted, and %u were there", d->index, count, gone);
    }
    changed(d, code);
}

/* Some of the rules that are there, each by its name, or all of them by their principal. */
static void delete_rules(struct warden_client *d)
{
    struct el_msg_delete_acls_request request;
    struct el_msg_delete_acls_filter filters[WARDEN_THINGS];
    char names[WARDEN_THINGS][NAME_LEN], principal[NAME_LEN];
    bool all = world_chance(d->c->w, 300000);
    el_schema_init(&el_schema_delete_acls_request, &request);
    request.filters = filters;
    begin(d, WARDEN_RULES);
    for (uint32_t i = 0; i < WARDEN_THINGS; i++) {
        if (all || world_chance(d->c->w, 500000)) {
            struct auth_rule rule = rule_of(d, i, names[i], principal);
            d->next.version[i] = 0;
            filters[all ? 0 : request.filter_count] = (struct el_msg_delete_acls_filter){
                .resource_type_filter = EL_ACL_RESOURCE_TOPIC,
                .resource_name_filter = all ? (struct el_slice){0} : rule.name,
                .pattern_type_filter = all ? EL_ACL_PATTERN_ANY : (int8_t)rule.pattern,
                .principal_filter = rule.principal,
                .operation = EL_ACL_OP_ANY,
                .permission_type = EL_ACL_PERMISSION_ANY};
            request.filter_count += !all || request.filter_count == 0;
        }
    }
    peer_send(&d->peer, EL_API_DeleteAcls, peer_version(&d->peer, EL_API_DeleteAcls), &request, on_deleted, d);
}

/* ------------------------------------------------------------------------------------------------------------------ */

void warden_act(struct warden_client *d)
{
    struct world *w = d->c->w;
    if (d->busy || !peer_can_ask(&d->peer)) {
        return;
    }
    uint64_t what = world_below(w, 100);
    bool rules = d->c->rules_on && what % 2 == 0;
    if (d->unsure || what < 30) {
        if (rules) {
            look_at_rules(d);
        } else {
            look_at_users(d);
        }
    } else if (!rules) {
        alter_users(d);
    } else if (what < 75) {
        create_rules(d);
    } else {
        delete_rules(d);
    }
}
