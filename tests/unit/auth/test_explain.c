/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what 'evlog acl explain' works out is what the broker decides. Method: the client's decision and the broker's
 * about the same random rules and questions; the client gets the rules that the broker finds for it.
 */
#include "../../../client/acl_decide.h"

#include <auth/auth.h>
#include <core/rng.h>
#include <string.h>
#include <test.h>

#define RULES 12
#define ROUNDS 4000
#define TEXT_MAX 32

struct found {
    struct evlog_acl acls[RULES];
    char texts[3 * RULES][TEXT_MAX];
    size_t count, text_count;
};

static const char *const principals[] = {"User:a", "User:b", "User:*"};
/* Beside the addresses of callers, two of them as an older evlogd may have kept them. */
static const char *const hosts[] = {"*", "10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1", "::FFFF:a00:2"};
static const char *const names[] = {"*", "o", "or", "orders", "other"};

static const char *keep(struct found *found, struct el_slice text)
{
    char *copy = found->texts[found->text_count++];
    assert_true(text.len < TEXT_MAX);
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return copy;
}

static bool on_rule(void *arg, const struct auth_rule *rule)
{
    struct found *found = arg;
    found->acls[found->count++] = (struct evlog_acl){
        .principal = keep(found, rule->principal),
        .host = keep(found, rule->host),
        .operation = rule->operation,
        .permission = rule->permission,
        .resource = rule->resource,
        .pattern = rule->pattern,
        .name = keep(found, rule->name),
    };
    return true;
}

static void put_random(struct auth *auth, struct el_rng *rng)
{
    static const int operations[] = {EL_ACL_OP_ALL,      EL_ACL_OP_READ,          EL_ACL_OP_WRITE,
                                     EL_ACL_OP_DESCRIBE, EL_ACL_OP_ALTER_CONFIGS, EL_ACL_OP_DESCRIBE_CONFIGS};
    struct auth_rule rule = {
        .resource = EL_ACL_RESOURCE_TOPIC,
        .pattern = el_rng_below(rng, 2) == 0 ? EL_ACL_PATTERN_LITERAL : EL_ACL_PATTERN_PREFIXED,
        .operation = operations[el_rng_below(rng, 6)],
        .permission = el_rng_below(rng, 3) == 0 ? EL_ACL_PERMISSION_DENY : EL_ACL_PERMISSION_ALLOW,
        .name = el_slice_str(names[el_rng_below(rng, 5)]),
        .principal = el_slice_str(principals[el_rng_below(rng, 3)]),
        .host = el_slice_str(hosts[el_rng_below(rng, 5)]),
    };
    assert_int_equal(auth_rule_put(auth, &rule), 0);
}

static void ask(const struct auth *auth, struct el_rng *rng, bool allow_if_none, uint32_t *counts)
{
    static struct found found;
    static const int operations[] = {EL_ACL_OP_READ, EL_ACL_OP_WRITE, EL_ACL_OP_DESCRIBE, EL_ACL_OP_DESCRIBE_CONFIGS};
    struct evlog_acl_question question = EVLOG_ACL_QUESTION_INIT;
    struct acl_settings settings = {.enabled = true, .known = true, .allow_if_none = allow_if_none};
    struct evlog_acl_answer answer;
    question.principal = principals[el_rng_below(rng, 2)];
    question.host = el_rng_below(rng, 3) == 0 ? NULL : hosts[1 + el_rng_below(rng, 2)];
    question.operation = operations[el_rng_below(rng, 4)];
    question.resource = EVLOG_ACL_TOPIC;
    question.name = names[1 + el_rng_below(rng, 4)];
    struct auth_rule filter = {
        .resource = EL_ACL_RESOURCE_TOPIC,
        .pattern = EL_ACL_PATTERN_MATCH,
        .operation = EL_ACL_OP_ANY,
        .permission = EL_ACL_PERMISSION_ANY,
        .name = el_slice_str(question.name),
    };
    found.count = found.text_count = 0;
    auth_rules_each(auth, &filter, on_rule, &found);
    acl_decide(&question, &settings, found.acls, found.count, &answer);
    struct auth_caller caller = {el_slice_str(question.principal),
                                 el_slice_str(question.host == NULL ? "192.0.2.1" : question.host)};
    bool allowed = auth_allowed(auth, &caller, question.operation, EL_ACL_RESOURCE_TOPIC, el_slice_str(question.name));
    assert_int_equal(answer.allowed, allowed);
    assert_int_equal(answer.rule != NULL, answer.reason == EVLOG_ACL_BY_RULE);
    if (answer.rule != NULL) {
        assert_int_equal(answer.rule->permission, allowed ? EVLOG_ACL_ALLOW : EVLOG_ACL_DENY);
    }
    counts[(uint32_t)answer.reason * 2 + allowed]++;
}

TEST(explain, decides_as_the_broker_does)
{
    struct el_rng rng;
    uint32_t counts[10] = {0};
    el_rng_seed(&rng, 7);
    for (int round = 0; round < ROUNDS; round++) {
        struct auth auth;
        bool allow_if_none = el_rng_below(&rng, 2) == 0;
        auth_init(&auth, NULL);
        auth_configure(&auth, &(struct auth_settings){.enabled = true, .allow_if_none = allow_if_none});
        for (uint64_t left = el_rng_below(&rng, RULES); left > 0; left--) {
            put_random(&auth, &rng);
        }
        for (int i = 0; i < 8; i++) {
            ask(&auth, &rng, allow_if_none, counts);
        }
        auth_destroy(&auth);
    }
    /* Each way to decide was taken. */
    assert_true(counts[EVLOG_ACL_BY_RULE * 2] > 0 && counts[EVLOG_ACL_BY_RULE * 2 + 1] > 0);
    assert_true(counts[EVLOG_ACL_BY_DEFAULT * 2] > 0 && counts[EVLOG_ACL_BY_DEFAULT * 2 + 1] > 0);
    assert_true(counts[EVLOG_ACL_BY_NO_RULE * 2] > 0);
}

TEST(explain, knows_super_users_by_their_whole_name)
{
    assert_true(acl_names("User:a", "User:a"));
    assert_true(acl_names("User:b; User:a ;User:c", "User:a"));
    assert_false(acl_names("User:ab;User:b", "User:a"));
    assert_false(acl_names("User:a b", "User:a"));
    assert_false(acl_names("", "User:a"));
    assert_true(acl_names("User:CN=x,O=y;User:z", "User:CN=x,O=y"));
}
