/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: rules decide as Kafka's do, and can be added, listed and removed without a trace. Method: tables of rules and
 * questions; a random run against a model that keeps a plain list.
 */
#include <auth/auth.h>
#include <core/rng.h>
#include <evlog/error.h>
#include <test.h>

#include <stdio.h>
#include <stdlib.h>

static struct auth auth;

static void begin(const char *supers, bool allow_if_none)
{
    auth_init(&auth, NULL);
    auth_configure(&auth,
                   &(struct auth_settings){.enabled = true, .allow_if_none = allow_if_none, .super_users = supers});
}

static struct auth_rule rule(const char *principal, int permission, int operation, int pattern, const char *topic)
{
    return (struct auth_rule){EL_ACL_RESOURCE_TOPIC,   pattern,          operation, permission, el_slice_str(topic),
                              el_slice_str(principal), el_slice_str("*")};
}

static void put(struct auth_rule r)
{
    const char *why;
    assert_int_equal(auth_rule_check(&r, &why), 0);
    assert_int_equal(auth_rule_put(&auth, &r), 0);
}

static void allow(const char *principal, int operation, int pattern, const char *topic)
{
    put(rule(principal, EL_ACL_PERMISSION_ALLOW, operation, pattern, topic));
}

static void deny(const char *principal, int operation, int pattern, const char *topic)
{
    put(rule(principal, EL_ACL_PERMISSION_DENY, operation, pattern, topic));
}

static bool may(const char *principal, int operation, const char *topic)
{
    struct auth_caller caller = {el_slice_str(principal), el_slice_str("10.0.0.1")};
    return auth_allowed(&auth, &caller, operation, EL_ACL_RESOURCE_TOPIC, el_slice_str(topic));
}

TEST(rules, deny_by_default)
{
    begin("", false);
    assert_false(may("User:alice", EL_ACL_OP_READ, "orders"));
    assert_false(may(AUTH_ANONYMOUS, EL_ACL_OP_READ, "orders"));
    allow("User:alice", EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "orders");
    assert_true(may("User:alice", EL_ACL_OP_READ, "orders"));
    assert_false(may("User:alice", EL_ACL_OP_WRITE, "orders"));
    assert_false(may("User:alice", EL_ACL_OP_READ, "orders2"));
    assert_false(may("User:alic", EL_ACL_OP_READ, "orders"));
    assert_false(may("User:bob", EL_ACL_OP_READ, "orders"));
    auth_destroy(&auth);
}

TEST(rules, who_says_nothing_is_anonymous)
{
    begin("", false);
    allow(AUTH_ANONYMOUS, EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "orders");
    struct auth_caller nobody = {{NULL, 0}, el_slice_str("10.0.0.1")};
    assert_true(auth_allowed(&auth, &nobody, EL_ACL_OP_READ, EL_ACL_RESOURCE_TOPIC, el_slice_str("orders")));
    auth_destroy(&auth);
}

TEST(rules, one_that_denies_wins_over_all_that_allow)
{
    begin("", false);
    allow("User:alice", EL_ACL_OP_ALL, EL_ACL_PATTERN_LITERAL, "*");
    allow("User:*", EL_ACL_OP_ALL, EL_ACL_PATTERN_PREFIXED, "o");
    allow("User:alice", EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "orders");
    assert_true(may("User:alice", EL_ACL_OP_READ, "orders"));
    deny("User:*", EL_ACL_OP_READ, EL_ACL_PATTERN_PREFIXED, "ord");
    assert_false(may("User:alice", EL_ACL_OP_READ, "orders"));
    assert_true(may("User:alice", EL_ACL_OP_READ, "or"));
    assert_true(may("User:alice", EL_ACL_OP_WRITE, "orders"));
    deny("User:alice", EL_ACL_OP_ALL, EL_ACL_PATTERN_LITERAL, "*");
    assert_false(may("User:alice", EL_ACL_OP_WRITE, "orders"));
    assert_true(may("User:bob", EL_ACL_OP_WRITE, "orders"));
    auth_destroy(&auth);
}

TEST(rules, of_read_write_delete_and_alter_include_describe)
{
    static const int including[] = {EL_ACL_OP_READ, EL_ACL_OP_WRITE, EL_ACL_OP_DELETE, EL_ACL_OP_ALTER};
    for (size_t i = 0; i < 4; i++) {
        begin("", false);
        allow("User:a", including[i], EL_ACL_PATTERN_LITERAL, "t");
        assert_true(may("User:a", EL_ACL_OP_DESCRIBE, "t"));
        assert_false(may("User:a", EL_ACL_OP_DESCRIBE_CONFIGS, "t"));
        deny("User:a", including[i], EL_ACL_PATTERN_LITERAL, "t");
        assert_false(may("User:a", including[i], "t"));
        assert_true(may("User:a", EL_ACL_OP_DESCRIBE, "t")); /* a denial includes nothing */
        auth_destroy(&auth);
    }
    begin("", false);
    allow("User:a", EL_ACL_OP_CREATE, EL_ACL_PATTERN_LITERAL, "t");
    assert_false(may("User:a", EL_ACL_OP_DESCRIBE, "t"));
    allow("User:a", EL_ACL_OP_ALTER_CONFIGS, EL_ACL_PATTERN_LITERAL, "t");
    assert_true(may("User:a", EL_ACL_OP_DESCRIBE_CONFIGS, "t"));
    assert_false(may("User:a", EL_ACL_OP_DESCRIBE, "t"));
    auth_destroy(&auth);
}

TEST(rules, of_a_host_are_for_that_host)
{
    begin("", false);
    struct auth_rule r = rule("User:a", EL_ACL_PERMISSION_ALLOW, EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "t");
    r.host = el_slice_str("10.0.0.2");
    put(r);
    assert_false(may("User:a", EL_ACL_OP_READ, "t"));
    r.host = el_slice_str("10.0.0.1");
    put(r);
    assert_true(may("User:a", EL_ACL_OP_READ, "t"));
    r.permission = EL_ACL_PERMISSION_DENY;
    r.host = el_slice_str("10.0.0.3");
    put(r);
    assert_true(may("User:a", EL_ACL_OP_READ, "t"));
    auth_destroy(&auth);
}

/* What an older evlogd has kept: new rules have one spelling (api_create_acls.c). Each denial was given as it is read
 * at a start, must hold, and must go by the key that it has in the log. */
TEST(rules, of_an_address_hold_however_an_older_evlogd_has_kept_it)
{
    static const struct {
        const char *kept, *caller;
    } cases[] = {{"::ffff:10.0.0.1", "10.0.0.1"},    {"::FFFF:A00:1", "10.0.0.1"}, {"2001:DB8::1", "2001:db8::1"},
                 {"2001:db8:0:0::1", "2001:db8::1"}, {"0:0:0:0:0:0:0:1", "::1"},   {"::1", "::1"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct auth_caller caller = {el_slice_str("User:a"), el_slice_str(cases[i].caller)};
        struct auth_caller other = {el_slice_str("User:a"), el_slice_str("2001:db8::2")};
        struct auth_rule r = rule("User:a", EL_ACL_PERMISSION_DENY, EL_ACL_OP_READ, EL_ACL_PATTERN_PREFIXED, "t");
        begin("", false);
        allow("User:a", EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "t");
        r.host = el_slice_str(cases[i].kept);
        put(r);
        assert_false(auth_allowed(&auth, &caller, EL_ACL_OP_READ, EL_ACL_RESOURCE_TOPIC, el_slice_str("t")));
        assert_true(auth_allowed(&auth, &other, EL_ACL_OP_READ, EL_ACL_RESOURCE_TOPIC, el_slice_str("t")));
        assert_true(auth_rule_has(&auth, &r));
        auth_rule_remove(&auth, &r);
        assert_true(auth_allowed(&auth, &caller, EL_ACL_OP_READ, EL_ACL_RESOURCE_TOPIC, el_slice_str("t")));
        auth_destroy(&auth);
    }
}

TEST(rules, a_star_is_no_prefix_and_a_prefix_no_star)
{
    begin("", false);
    allow("User:a", EL_ACL_OP_READ, EL_ACL_PATTERN_PREFIXED, "*");
    assert_false(may("User:a", EL_ACL_OP_READ, "t"));
    assert_true(may("User:a", EL_ACL_OP_READ, "*t"));
    allow("User:a", EL_ACL_OP_WRITE, EL_ACL_PATTERN_PREFIXED, "team-");
    assert_false(may("User:a", EL_ACL_OP_WRITE, "team"));
    assert_true(may("User:a", EL_ACL_OP_WRITE, "team-"));
    assert_true(may("User:a", EL_ACL_OP_WRITE, "team-x"));
    assert_false(may("User:a", EL_ACL_OP_WRITE, "xteam-"));
    auth_destroy(&auth);
}

TEST(rules, of_one_kind_of_resource_are_none_of_another)
{
    begin("", false);
    allow("User:a", EL_ACL_OP_ALL, EL_ACL_PATTERN_LITERAL, "*");
    struct auth_caller caller = {el_slice_str("User:a"), el_slice_str("h")};
    assert_false(auth_allowed(&auth, &caller, EL_ACL_OP_READ, EL_ACL_RESOURCE_GROUP, el_slice_str("g")));
    assert_false(auth_allowed(&auth, &caller, EL_ACL_OP_ALTER, EL_ACL_RESOURCE_CLUSTER, el_slice_str("t")));
    auth_destroy(&auth);
}

TEST(rules, names_longer_than_a_rule_can_have_are_seen_by_stars_and_prefixes)
{
    char name[1000];
    begin("", false);
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    assert_false(may("User:a", EL_ACL_OP_READ, name));
    allow("User:a", EL_ACL_OP_READ, EL_ACL_PATTERN_PREFIXED, "xx");
    assert_true(may("User:a", EL_ACL_OP_READ, name));
    deny("User:a", EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "*");
    assert_false(may("User:a", EL_ACL_OP_READ, name));
    auth_destroy(&auth);
}

TEST(rules, super_users_may_everything)
{
    begin(" User:root ;User:CN=ops,O=evlog;", false);
    deny("User:*", EL_ACL_OP_ALL, EL_ACL_PATTERN_LITERAL, "*");
    assert_true(may("User:root", EL_ACL_OP_DELETE, "t"));
    assert_true(may("User:CN=ops,O=evlog", EL_ACL_OP_DELETE, "t"));
    assert_false(may("User:rootx", EL_ACL_OP_DELETE, "t"));
    assert_false(may("User:roo", EL_ACL_OP_DELETE, "t"));
    auth_configure(&auth, &(struct auth_settings){.enabled = true, .super_users = NULL});
    assert_false(may("User:root", EL_ACL_OP_DELETE, "t"));
    auth_destroy(&auth);
}

TEST(rules, that_super_users_cannot_be_are_refused)
{
    struct el_error err;
    static const char *const bad[] = {"root",      "User:",         "User:a;Group:b",         "User:*",
                                      "User:\xff", "User:a,User:b", "User:CN=a,OU=b,  User:c"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(config_principals_check("super.users", bad[i], &err), EVLOG_ERR_INVALID_CONFIG);
    }
    char many[AUTH_SUPER_USERS_MAX * 8 + 64] = "";
    for (uint32_t i = 0; i <= AUTH_SUPER_USERS_MAX; i++) {
        snprintf(many + strlen(many), sizeof many - strlen(many), "User:u;");
    }
    assert_int_equal(config_principals_check("super.users", many, &err), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(config_principals_check("super.users", "", &err), 0);
    assert_int_equal(config_principals_check("super.users", "User:a; User:b", &err), 0);
    assert_int_equal(config_principals_check("super.users", "User:CN=a,OU=User:b;User:c", &err), 0);
}

TEST(rules, none_about_a_resource_lets_the_setting_decide)
{
    begin("", true);
    assert_true(may("User:a", EL_ACL_OP_READ, "free"));
    allow("User:b", EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "kept");
    assert_false(may("User:a", EL_ACL_OP_READ, "kept"));
    assert_true(may("User:a", EL_ACL_OP_READ, "free"));
    allow("User:b", EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "*");
    assert_false(may("User:a", EL_ACL_OP_READ, "free"));
    auth_destroy(&auth);
}

TEST(rules, are_not_asked_while_the_authorizer_is_off)
{
    begin("", false);
    deny("User:*", EL_ACL_OP_ALL, EL_ACL_PATTERN_LITERAL, "*");
    auth_configure(&auth, &(struct auth_settings){.enabled = false});
    assert_true(may("User:a", EL_ACL_OP_READ, "t"));
    auth_destroy(&auth);
}

static bool somewhere(const char *principal)
{
    struct auth_caller caller = {el_slice_str(principal), el_slice_str("10.0.0.1")};
    return auth_allowed_somewhere(&auth, &caller, EL_ACL_OP_WRITE, EL_ACL_RESOURCE_TOPIC);
}

TEST(rules, a_right_somewhere_is_one_that_no_denial_covers)
{
    begin("", false);
    assert_false(somewhere("User:a"));
    allow("User:a", EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "t");
    assert_false(somewhere("User:a"));
    allow("User:a", EL_ACL_OP_WRITE, EL_ACL_PATTERN_LITERAL, "t");
    assert_true(somewhere("User:a"));
    deny("User:a", EL_ACL_OP_WRITE, EL_ACL_PATTERN_LITERAL, "t");
    assert_false(somewhere("User:a"));
    allow("User:a", EL_ACL_OP_WRITE, EL_ACL_PATTERN_PREFIXED, "team-x");
    assert_true(somewhere("User:a"));
    deny("User:a", EL_ACL_OP_WRITE, EL_ACL_PATTERN_LITERAL, "team-x");
    assert_true(somewhere("User:a"));
    deny("User:a", EL_ACL_OP_WRITE, EL_ACL_PATTERN_PREFIXED, "team");
    assert_false(somewhere("User:a"));
    allow("User:b", EL_ACL_OP_WRITE, EL_ACL_PATTERN_LITERAL, "*");
    assert_true(somewhere("User:b"));
    deny("User:b", EL_ACL_OP_WRITE, EL_ACL_PATTERN_LITERAL, "*");
    assert_false(somewhere("User:b"));
    auth_destroy(&auth);
}

TEST(rules, tell_all_operations_at_once)
{
    begin("", false);
    struct auth_caller caller = {el_slice_str("User:a"), el_slice_str("h")};
    assert_int_equal(auth_operations(&auth, &caller, EL_ACL_RESOURCE_TOPIC, el_slice_str("t")), 0);
    allow("User:a", EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "t");
    assert_int_equal(auth_operations(&auth, &caller, EL_ACL_RESOURCE_TOPIC, el_slice_str("t")),
                     1u << EL_ACL_OP_READ | 1u << EL_ACL_OP_DESCRIBE);
    allow("User:a", EL_ACL_OP_ALL, EL_ACL_PATTERN_LITERAL, "t");
    assert_int_equal(auth_operations(&auth, &caller, EL_ACL_RESOURCE_TOPIC, el_slice_str("t")),
                     el_acl_operations_of(EL_ACL_RESOURCE_TOPIC));
    auth_destroy(&auth);
}

/* --- what can be a rule ------------------------------------------------------------------------------------------- */

TEST(rules, that_make_no_sense_are_refused)
{
    const struct auth_rule good = rule("User:a", EL_ACL_PERMISSION_ALLOW, EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "t");
    char long_text[AUTH_PRINCIPAL_LEN_MAX + 2];
    memset(long_text, 'x', sizeof long_text);
    memcpy(long_text, "User:", 5);
    long_text[sizeof long_text - 1] = 0;
    const char *why = NULL;
    assert_int_equal(auth_rule_check(&good, &why), 0);
    struct auth_rule bad[24];
    for (size_t i = 0; i < 24; i++) {
        bad[i] = good;
    }
    bad[0].resource = EL_ACL_RESOURCE_ANY;
    bad[1].resource = 99;
    bad[2].resource = -1;
    bad[3].pattern = EL_ACL_PATTERN_MATCH;
    bad[4].pattern = EL_ACL_PATTERN_ANY;
    bad[5].pattern = 77;
    bad[6].operation = EL_ACL_OP_ANY;
    bad[7].operation = EL_ACL_OP_IDEMPOTENT_WRITE; /* not of topics */
    bad[8].operation = 31;
    bad[9].operation = 200;
    bad[10].permission = EL_ACL_PERMISSION_ANY;
    bad[11].permission = 9;
    bad[12].name = el_slice_str("");
    bad[13].name = el_slice_str(long_text);
    bad[14].name = el_slice_of("a\0b", 3);
    bad[15].name = el_slice_str("\xc3");
    bad[16].principal = el_slice_str("alice");
    bad[17].principal = el_slice_str("Group:a");
    bad[18].principal = el_slice_str("User:");
    bad[19].principal = el_slice_str(long_text);
    bad[20].host = el_slice_str("");
    bad[21].host = el_slice_str(long_text);
    bad[22].resource = EL_ACL_RESOURCE_CLUSTER;
    bad[22].operation = EL_ACL_OP_ALTER; /* of another name than the cluster's */
    bad[23].operation = -1;
    for (size_t i = 0; i < 24; i++) {
        if (auth_rule_check(&bad[i], &why) != EVLOG_ERR_ARGUMENT || why == NULL) {
            fail_msg("rule %zu is taken", i);
        }
    }
}

/* --- lists -------------------------------------------------------------------------------------------------------- */

static bool count_one(void *arg, const struct auth_rule *found)
{
    const char *why;
    assert_int_equal(auth_rule_check(found, &why), 0);
    assert_true(auth_rule_has(&auth, found));
    (*(uint32_t *)arg)++;
    return true;
}

static uint32_t count(int resource, int pattern, const char *name, int operation, const char *principal)
{
    uint32_t n = 0;
    struct auth_rule filter = {resource,
                               pattern,
                               operation,
                               EL_ACL_PERMISSION_ANY,
                               {(const uint8_t *)name, name == NULL ? 0 : strlen(name)},
                               {(const uint8_t *)principal, principal == NULL ? 0 : strlen(principal)},
                               {NULL, 0}};
    auth_rules_each(&auth, &filter, count_one, &n);
    return n;
}

TEST(filters, find_what_kafkas_do)
{
    begin("", false);
    allow("User:a", EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "team-x");
    allow("User:b", EL_ACL_OP_READ, EL_ACL_PATTERN_PREFIXED, "team-");
    allow("User:a", EL_ACL_OP_WRITE, EL_ACL_PATTERN_PREFIXED, "team-x");
    deny("User:a", EL_ACL_OP_WRITE, EL_ACL_PATTERN_LITERAL, "*");
    allow("User:a", EL_ACL_OP_WRITE, EL_ACL_PATTERN_LITERAL, "other");
    int topic = EL_ACL_RESOURCE_TOPIC, any = EL_ACL_OP_ANY;
    assert_int_equal(count(EL_ACL_RESOURCE_ANY, EL_ACL_PATTERN_ANY, NULL, any, NULL), 5);
    assert_int_equal(count(EL_ACL_RESOURCE_GROUP, EL_ACL_PATTERN_ANY, NULL, any, NULL), 0);
    assert_int_equal(count(topic, EL_ACL_PATTERN_LITERAL, NULL, any, NULL), 3);
    assert_int_equal(count(topic, EL_ACL_PATTERN_PREFIXED, NULL, any, NULL), 2);
    assert_int_equal(count(topic, EL_ACL_PATTERN_LITERAL, "team-x", any, NULL), 1);
    assert_int_equal(count(topic, EL_ACL_PATTERN_ANY, "team-x", any, NULL), 2);
    assert_int_equal(count(topic, EL_ACL_PATTERN_MATCH, "team-x", any, NULL), 4);
    assert_int_equal(count(topic, EL_ACL_PATTERN_MATCH, "team-", any, NULL), 2);
    assert_int_equal(count(topic, EL_ACL_PATTERN_MATCH, NULL, any, NULL), 5);
    assert_int_equal(count(topic, EL_ACL_PATTERN_MATCH, "team-x", EL_ACL_OP_WRITE, NULL), 2);
    assert_int_equal(count(topic, EL_ACL_PATTERN_MATCH, "team-x", any, "User:b"), 1);
    assert_int_equal(count(topic, EL_ACL_PATTERN_MATCH, "team-x", any, "User:*"), 0);
    auth_destroy(&auth);
}

TEST(filters, find_an_address_however_it_is_written)
{
    static const char *const hosts[] = {"::1", "0:0:0:0:0:0:0:1", "10.0.0.1", "::ffff:10.0.0.1", "db.example", "*"};
    static const char *const asked[] = {"0:0::1", "10.0.0.1", "db.example", "*", "10.0.0.2"};
    static const int found[] = {2, 2, 1, 1, 0};
    begin("", false);
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct auth_rule r = rule("User:a", EL_ACL_PERMISSION_ALLOW, EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, "t");
        r.host = el_slice_str(hosts[i]);
        put(r);
    }
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        int n = 0;
        struct auth_rule filter = {.resource = EL_ACL_RESOURCE_ANY,
                                   .pattern = EL_ACL_PATTERN_ANY,
                                   .operation = EL_ACL_OP_ANY,
                                   .permission = EL_ACL_PERMISSION_ANY,
                                   .host = el_slice_str(asked[i])};
        auth_rules_each(&auth, &filter, count_one, &n);
        assert_int_equal(n, found[i]);
    }
    auth_destroy(&auth);
}

/* --- a random run ------------------------------------------------------------------------------------------------- */

#define MODEL_MAX 64

static const char *const model_names[] = {"a", "ab", "abc", "b", "*"};
static const char *const model_users[] = {"User:x", "User:y", "User:*"};
static const int model_operations[] = {EL_ACL_OP_READ, EL_ACL_OP_DESCRIBE, EL_ACL_OP_ALL};

static struct auth_rule random_rule(struct el_rng *rng)
{
    return rule(model_users[el_rng_below(rng, 3)],
                el_rng_below(rng, 3) == 0 ? EL_ACL_PERMISSION_DENY : EL_ACL_PERMISSION_ALLOW,
                model_operations[el_rng_below(rng, 3)],
                el_rng_below(rng, 2) == 0 ? EL_ACL_PATTERN_LITERAL : EL_ACL_PATTERN_PREFIXED,
                model_names[el_rng_below(rng, 5)]);
}

static bool same(const struct auth_rule *a, const struct auth_rule *b)
{
    return a->pattern == b->pattern && a->operation == b->operation && a->permission == b->permission &&
           el_slice_eq(a->name, b->name) && el_slice_eq(a->principal, b->principal);
}

static bool model_may(const struct auth_rule *model, size_t n, const char *user, int operation, const char *topic)
{
    bool allowed = false;
    struct el_slice name = el_slice_str(topic);
    for (size_t i = 0; i < n; i++) {
        const struct auth_rule *r = &model[i];
        bool about = r->pattern == EL_ACL_PATTERN_LITERAL
                         ? el_slice_eq(r->name, name) || el_slice_eq(r->name, el_slice_str("*"))
                         : r->name.len <= name.len && memcmp(r->name.data, name.data, r->name.len) == 0;
        bool his = el_slice_eq(r->principal, el_slice_str(user)) || el_slice_eq(r->principal, el_slice_str("User:*"));
        bool exact = r->operation == operation || r->operation == EL_ACL_OP_ALL;
        if (!about || !his) {
            continue;
        }
        if (r->permission == EL_ACL_PERMISSION_DENY && exact) {
            return false;
        }
        allowed = allowed || (r->permission == EL_ACL_PERMISSION_ALLOW &&
                              (exact || (operation == EL_ACL_OP_DESCRIBE && r->operation == EL_ACL_OP_READ)));
    }
    return allowed;
}

TEST(rules, decide_as_a_plain_list_does)
{
    struct el_rng rng;
    el_rng_seed(&rng, 9);
    struct auth_rule model[MODEL_MAX];
    size_t n = 0;
    begin("", false);
    for (int round = 0; round < 3000; round++) {
        struct auth_rule r = random_rule(&rng);
        size_t at = 0;
        while (at < n && !same(&model[at], &r)) {
            at++;
        }
        assert_int_equal(auth_rule_has(&auth, &r), at < n);
        if (el_rng_below(&rng, 2) == 0 && n < MODEL_MAX) {
            assert_int_equal(auth_rule_put(&auth, &r), 0);
            if (at == n) {
                model[n++] = r;
            }
        } else {
            auth_rule_remove(&auth, &r);
            if (at < n) {
                model[at] = model[--n];
            }
        }
        assert_int_equal(auth.rule_count, n);
        for (int i = 0; i < 8; i++) {
            const char *user = model_users[el_rng_below(&rng, 2)], *topic = model_names[el_rng_below(&rng, 4)];
            int operation = el_rng_below(&rng, 2) == 0 ? EL_ACL_OP_READ : EL_ACL_OP_DESCRIBE;
            assert_int_equal(may(user, operation, topic), model_may(model, n, user, operation, topic));
        }
    }
    while (n > 0) {
        auth_rule_remove(&auth, &model[--n]);
    }
    assert_int_equal(auth.patterns.count, 0);
    assert_int_equal(auth.principals.count, 0);
    assert_int_equal(auth.entry_pool.count + auth.pattern_pool.count + auth.principal_pool.count, 0);
    for (int i = 0; i <= (int)AUTH_NAME_LEN_MAX; i++) {
        assert_int_equal(auth.prefix_count[EL_ACL_RESOURCE_TOPIC][i], 0);
    }
    auth_destroy(&auth);
}

TEST(rules, that_find_no_memory_leave_no_trace)
{
    struct el_buddy buddy;
    assert_int_equal(el_buddy_init(&buddy, 1u << 20, NULL), 0);
    auth_init(&auth, &buddy);
    auth_configure(&auth, &(struct auth_settings){.enabled = true});
    char name[32];
    uint32_t n = 0;
    int error = 0;
    while (error == 0) {
        snprintf(name, sizeof name, "topic-%u", n);
        struct auth_rule r = rule("User:a", EL_ACL_PERMISSION_ALLOW, EL_ACL_OP_READ, EL_ACL_PATTERN_LITERAL, name);
        error = auth_rule_put(&auth, &r);
        n += error == 0;
    }
    assert_int_equal(error, EVLOG_ERR_NO_MEMORY);
    assert_true(n > 100);
    assert_int_equal(auth.rule_count, n);
    assert_int_equal(auth.patterns.count, n);
    assert_false(may("User:a", EL_ACL_OP_READ, name));
    assert_true(may("User:a", EL_ACL_OP_READ, "topic-0"));
    auth_destroy(&auth);
    el_buddy_destroy(&buddy);
}

TEST(words, have_names_both_ways)
{
    for (int i = 1; i < EL_ACL_OP_COUNT; i++) {
        assert_int_equal(el_acl_operation_of(el_slice_str(el_acl_operation_name(i))), i);
    }
    for (int i = 1; i < EL_ACL_RESOURCE_COUNT; i++) {
        assert_int_equal(el_acl_resource_of(el_slice_str(el_acl_resource_name(i))), i);
    }
    assert_int_equal(el_acl_operation_of(el_slice_str("describe-configs")), EL_ACL_OP_DESCRIBE_CONFIGS);
    assert_int_equal(el_acl_operation_of(el_slice_str("DESCRIBE_CONFIGS")), EL_ACL_OP_DESCRIBE_CONFIGS);
    assert_int_equal(el_acl_operation_of(el_slice_str("rea")), 0);
    assert_int_equal(el_acl_operation_of(el_slice_str("reads")), 0);
    assert_int_equal(el_acl_operation_of(el_slice_str("")), 0);
    assert_int_equal(el_acl_permission_of(el_slice_str("allow")), EL_ACL_PERMISSION_ALLOW);
    assert_int_equal(el_acl_pattern_of(el_slice_str("PREFIXED")), EL_ACL_PATTERN_PREFIXED);
    assert_string_equal(el_acl_operation_name(99), "Unknown");
    assert_string_equal(el_acl_operation_name(-1), "Unknown");
}
