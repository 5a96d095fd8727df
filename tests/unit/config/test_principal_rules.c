/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a certificate's name becomes the principal that the operator's rules say, and rules that mean more than is
 * known here are refused. Method: Kafka's own examples, and each thing that is left out.
 */
#include <config/principal_rules.h>

#include "../../lib/test.h"

#include <string.h>

#define NAME "CN=Writer User,OU=ServiceUsers,O=Example,L=Bonn,ST=NRW,C=DE"

static char principal[256];

static int map(const char *text, const char *name)
{
    struct principal_rules *rules = NULL;
    struct el_error err = {0};
    if (principal_rules_parse(text, &rules, &err) != 0) {
        fail_msg("%s", err.text);
    }
    principal[0] = 0;
    int rc = principal_rules_apply(rules, name, principal, sizeof principal);
    principal_rules_free(rules);
    return rc;
}

static void assert_maps(const char *rules, const char *name, const char *expected)
{
    assert_int_equal(map(rules, name), 0);
    assert_string_equal(principal, expected);
}

static void assert_refused(const char *rules, const char *said)
{
    struct principal_rules *made = NULL;
    struct el_error err = {0};
    assert_int_equal(principal_rules_parse(rules, &made, &err), EVLOG_ERR_INVALID_CONFIG);
    if (strstr(err.text, said) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, said);
    }
}

TEST(principal_rules, what_is_no_rule_is_refused)
{
    assert_refused("RULE", "a rule is");
    assert_refused("RULE:^CN=(.*)$", "a rule is");
    assert_refused("RULE:^CN=(.*)$/$1", "a rule is");
    assert_refused("default", "a rule is");
    assert_refused("DEFAULT,", "a rule is");
    assert_refused("DEFAULT x", "a comma is expected");
    assert_refused("RULE:a/b/X", "a comma is expected");
    assert_refused("RULE:(a/b/", "not closed");
    assert_refused("RULE:a)/b/", "not closed");
    assert_refused("RULE:(a)*/b/", "repeated");
    assert_refused("RULE:(?:a)/b/", "special kinds");
    assert_refused("RULE:((a))/b/", "side by side");
    assert_refused("RULE:a|b/c/", "alternatives");
    assert_refused("RULE:a{2}/c/", "alternatives");
    assert_refused("RULE:*/c/", "alternatives");
    assert_refused("RULE:a**/c/", "alternatives");
    assert_refused("RULE:[a/c/", "set");
    assert_refused("RULE:[z-a]/c/", "set");
    assert_refused("RULE:\\b/c/", "backslash");
    assert_refused("RULE:a/$1/", "$ names a group");
    assert_refused("RULE:(a)/$0/", "$ names a group");
    assert_refused("RULE:(a)/$/", "$ names a group");
    assert_refused("RULE:(a)/\\$1/", "neither backslashes");
}

TEST(principal_rules, kafkas_examples_do_what_kafka_says)
{
    assert_maps("RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/", NAME, "User:Writer User");
    assert_maps("RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L", NAME,
                "User:writer user@serviceusers");
    assert_maps("RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L", "cn=adminUser,ou=Unknown", "User:adminuser");
    assert_maps("RULE:^cn=(.*?),ou=(.*?),dc=(.*?),dc=(.*?)$/$1@$2/U", "cn=kate,ou=dev,dc=x,dc=y", "User:KATE@DEV");
    assert_maps("RULE:^OU=.*$/x/,DEFAULT", NAME, "User:" NAME);
    assert_maps("", NAME, "User:" NAME);
    assert_int_equal(principal_rules_apply(NULL, NAME, principal, sizeof principal), 0);
    assert_string_equal(principal, "User:" NAME);
}

TEST(principal_rules, the_first_rule_that_fits_the_whole_name_wins)
{
    assert_maps("RULE:CN=a/part/, RULE:^CN=(\\w+)\\.(\\d+).*$/$2-$1/ ,RULE:.*/any/", "CN=app.42,O=x", "User:42-app");
    assert_maps("RULE:CN=(.*),O=x/$1/", "CN=a,O=x,O=x", "User:a,O=x");
    assert_maps("RULE:CN=(.*?),O=x.*/<$1>/", "CN=a,O=x,O=x", "User:<a>");
    assert_int_equal(map("RULE:^OU=.*$/x/", NAME), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(map("RULE:^CN=(.*?),OU.*$/$1/", "CN=,OU=x"), EVLOG_ERR_NOT_FOUND); /* nobody */
}

TEST(principal_rules, a_pattern_that_takes_too_long_is_given_up)
{
    char name[200];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(map("RULE:a*a*a*a*a*a*b/x/", name), EVLOG_ERR_LIMIT);
    struct principal_rules *rules = NULL;
    assert_int_equal(principal_rules_parse("RULE:(.*)/$1$1/", &rules, NULL), 0);
    assert_int_equal(principal_rules_apply(rules, name, principal, sizeof principal), EVLOG_ERR_LIMIT); /* too long */
    principal_rules_free(rules);
}

static int of_uri(const char *text, const char *uri, uint32_t count)
{
    struct principal_rules *rules = NULL;
    struct principal_refusal refusal = {0};
    struct principal_names names = {
        .subject = el_slice_of("\x30\0", 2), .uri = el_slice_str(uri), .uri_count = count};
    assert_int_equal(principal_rules_parse(text, &rules, NULL), 0);
    principal_rules_take_uri(rules, true);
    principal[0] = 0;
    int rc = principal_rules_of_names(rules, &names, principal, sizeof principal, &refusal);
    assert_true(rc == 0 || (refusal.why != NULL && refusal.failure != NULL));
    principal_rules_free(rules);
    return rc;
}

TEST(principal_rules, the_one_uri_of_a_certificate_is_its_name_where_that_is_wanted)
{
    static const char rule[] = "RULE:^spiffe:\\/\\/example\\.org\\/(.*)$/$1/";
    char lengthy[600];
    assert_int_equal(of_uri("", "spiffe://example.org/orders", 1), 0);
    assert_string_equal(principal, "User:spiffe://example.org/orders");
    assert_int_equal(of_uri(rule, "spiffe://example.org/orders", 1), 0);
    assert_string_equal(principal, "User:orders");
    assert_int_equal(of_uri(rule, "spiffe://example.com/orders", 1), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(of_uri("", "", 0), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(of_uri("", "spiffe://example.org/orders", 2), EVLOG_ERR_POLICY);
    assert_int_equal(of_uri("", "", 1), EVLOG_ERR_POLICY);
    assert_int_equal(of_uri("", "spiffe://a b", 1), EVLOG_ERR_POLICY);
    assert_int_equal(of_uri("", "spiffe://\xc3\xa9", 1), EVLOG_ERR_POLICY);
    assert_int_equal(of_uri("", "spiffe://a\n", 1), EVLOG_ERR_POLICY);
    memset(lengthy, 'a', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = 0;
    assert_int_equal(of_uri("", lengthy, 1), EVLOG_ERR_LIMIT);
}
