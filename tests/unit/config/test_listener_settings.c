/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a setting of one listener is in force there and nowhere else, and one that would change nothing is refused with
 * its place and what to do. Method: files, variables and flags through config_load() and config_reload(), as evlogd
 * calls them.
 */
#include <config/config.h>
#include <config/config_request.h>
#include <config/listener_settings.h>
#include <config/setting.h>
#include <core/tls.h>

#include "../../lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 12
#define LISTENERS "listeners = OUTER://127.0.0.1:1,INNER://127.0.0.1:2,LOCAL://127.0.0.1:3\n"
#define MAP "listener.security.protocol.map = OUTER:SSL,INNER:SASL_SSL,LOCAL:SASL_PLAINTEXT\n"
#define HEAD "[network]\n" LISTENERS MAP

static struct config cfg;
static struct el_error err;
static char path[512], path_flag[600];
static char *argv[ARGS_MAX];
static int argc;

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NONE ((const char *const[]){NULL})

static void prepare(const char *text, const char *const *flags)
{
    snprintf(path, sizeof path, "%s/evlogd.conf", el_test_dir());
    snprintf(path_flag, sizeof path_flag, "--config=%s", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    argc = 0;
    argv[argc++] = (char *)(uintptr_t) "evlogd";
    argv[argc++] = (char *)(uintptr_t) "--ephemeral";
    argv[argc++] = path_flag;
    for (; *flags != NULL; flags++) {
        assert_true(argc < ARGS_MAX);
        argv[argc++] = (char *)(uintptr_t)*flags;
    }
    err = (struct el_error){.code = 0};
}

static int load(const char *text, const char *const *env, const char *const *flags)
{
    prepare(text, flags);
    return config_load(&cfg, argc, argv, (char *const *)(uintptr_t)env, &err);
}

static void said(const char *words)
{
    if (strstr(err.text, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    }
    assert_int_equal(err.code, EVLOG_ERR_INVALID_CONFIG);
}

/* The file begins with HEAD, whose last line is the third. place: LINE:COLUMN, or what stands before the text. */
static void assert_refused(const char *line, const char *place, const char *words)
{
    char text[1024], where[700];
    snprintf(text, sizeof text, HEAD "%s\n", line);
    assert_int_equal(load(text, NONE, NONE), EVLOG_ERR_INVALID_CONFIG);
    snprintf(where, sizeof where, "%s:%s: ", path, place);
    assert_int_equal(strncmp(err.text, where, strlen(where)), 0);
    said(words);
}

static const struct config_listener *listener(const char *name)
{
    const struct config_listener *found = config_listener_find(&cfg.listener_table, el_slice_str(name));
    assert_non_null(found);
    return found;
}

static const char *mechanisms(const char *name)
{
    return listener_setting_text(&cfg, listener(name), CONFIG_sasl_mechanisms);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(listener_settings, a_listener_that_does_not_exist_is_refused_with_those_that_do)
{
    assert_refused(
        "listener.name.outr.ssl.client.auth = none", "4:38",
        "listener.name.outr.ssl.client.auth: there is no listener OUTR; did you mean 'OUTER'?; listeners are "
        "OUTER, INNER, LOCAL: name one of them, or add it to the setting listeners; listeners is of ");
    assert_refused("listener.name.elsewhere.ssl.client.auth = none", "4:43",
                   "there is no listener ELSEWHERE; listeners");
    assert_int_equal(load("[network]\nlistener.name.outer.ssl.client.auth = none\n", NONE, NONE),
                     EVLOG_ERR_INVALID_CONFIG);
    said("there is no listener OUTER; listeners are PLAINTEXT");
    assert_int_equal(load(HEAD, NONE, LIST("--listener-name-outr-ssl-client-auth=none")), EVLOG_ERR_INVALID_CONFIG);
    said("flag --listener-name-outr-ssl-client-auth: ");
    assert_int_equal(load(HEAD, LIST("EVLOG_NETWORK__LISTENER_NAME_OUTR_SSL_CLIENT_AUTH=none"), NONE),
                     EVLOG_ERR_INVALID_CONFIG);
    said("environment variable EVLOG_NETWORK__LISTENER_NAME_OUTR_SSL_CLIENT_AUTH: ");
}

TEST(listener_settings, what_is_no_setting_of_a_listener_is_refused_with_the_nearest)
{
    assert_refused("listener.name.outer.ssl.client.aut = none", "4:1",
                   "a listener has no such setting for itself; did you mean 'ssl.client.auth'?; it may have "
                   "ssl.certificate.file, ssl.key.file, ssl.ca.file, ");
    assert_refused("listener.name.outer = none", "4:1", "no such setting for itself; it may have");
    assert_refused("listener.name. = none", "4:1", "no such setting for itself; it may have");
    assert_refused("listener.name..ssl.client.auth = none", "4:1", "no such setting for itself");
    assert_refused("listener.name.ssl.client.auth = none", "4:1", "no such setting for itself");
    assert_refused("listener.name.outer.max.connections = 5", "4:1", "all listeners have one max.connections");
    assert_int_equal(load(HEAD, NONE, LIST("--listener-name-outer-ssl-client-aut=none")), EVLOG_ERR_INVALID_CONFIG);
    said("--listener-name-outer-ssl-client-aut: a listener has no such setting for itself; did you mean "
         "'ssl-client-auth'?");
    assert_int_equal(load(HEAD, LIST("EVLOG_NETWORK__LISTENER_NAME_OUTER_SSL_CLIENT_AUT=none"), NONE),
                     EVLOG_ERR_INVALID_CONFIG);
    said("EVLOG_NETWORK__LISTENER_NAME_OUTER_SSL_CLIENT_AUT: a listener has no such setting for itself; did "
         "you mean 'SSL_CLIENT_AUTH'?");
    assert_int_equal(load(HEAD, NONE, LIST("--listener-name-outer-ssl-client-auth")), EVLOG_ERR_INVALID_CONFIG);
    said("--listener-name-outer-ssl-client-auth needs a value");
}

TEST(listener_settings, bad_values_are_refused_at_their_place)
{
    assert_refused("listener.name.outer.ssl.client.auth = maybe", "4:39",
                   "listener OUTER: ssl.client.auth cannot be 'maybe': allowed is one of none|requested|required");
    assert_refused("listener.name.inner.sasl.enabled.mechanisms = SCRAM-SHA-1", "4:47",
                   "listener.name.inner.sasl.enabled.mechanisms holds 'SCRAM-SHA-1': known are");
    assert_refused("listener.name.inner.sasl.enabled.mechanisms =", "4:46",
                   "so that nobody could get in at listener INNER");
    assert_refused("listener.name.local.sasl.enabled.mechanisms = PLAIN", "4:47",
                   "holds PLAIN, which is taken over TLS only: leave it out, or make listener LOCAL SASL_SSL");
    assert_int_equal(load(HEAD, NONE, LIST("--listener-name-outer-ssl-client-auth=maybe")), EVLOG_ERR_INVALID_CONFIG);
    said("flag --listener-name-outer-ssl-client-auth: listener OUTER: ssl.client.auth cannot be 'maybe'");
}

TEST(listener_settings, what_would_change_nothing_is_refused)
{
    assert_refused("listener.name.local.ssl.client.auth = required", "4:39",
                   "listener LOCAL is SASL_PLAINTEXT, which has no TLS; take it away, or make the listener SSL or "
                   "SASL_SSL");
    assert_refused("listener.name.outer.sasl.enabled.mechanisms = PLAIN", "4:47",
                   "listener OUTER is SSL, which has no SASL; take it away, or make the listener SASL_SSL");
    assert_refused("listener.name.inner.ssl.principal.mapping.rules = DEFAULT", "4:51",
                   "listener INNER is SASL_SSL, where no certificate says who a client is");
}

TEST(listener_settings, certificate_and_key_are_of_a_listener_together)
{
    assert_refused("listener.name.outer.ssl.certificate.file = a.pem", "4:44",
                   "listener.name.outer.ssl.certificate.file needs listener.name.outer.ssl.key.file beside it");
    assert_refused("listener.name.outer.ssl.key.file = a.key", "4:36",
                   "needs listener.name.outer.ssl.certificate.file");
    assert_int_equal(load(HEAD
                          "listener.name.outer.ssl.key.file = a.key\nlistener.name.outer.ssl.certificate.file = a\n",
                          NONE, NONE),
                     0);
    assert_string_equal(listener_setting_text(&cfg, listener("OUTER"), CONFIG_ssl_key_file), "a.key");
    assert_string_equal(listener_setting_text(&cfg, listener("INNER"), CONFIG_ssl_key_file), "");
}

TEST(listener_settings, a_setting_stands_once_and_in_its_section)
{
    assert_refused("listener.name.outer.ssl.client.auth = none\nlistener.name.OUTER.ssl.client.auth = required", "5:1",
                   "'listener.name.OUTER.ssl.client.auth' was set already in line 4");
    assert_refused("[security]\nlistener.name.inner.sasl.enabled.mechanisms = PLAIN", "5:1",
                   "in [security]; it belongs into [network]");
}

TEST(listener_settings, more_than_there_can_be_are_refused)
{
    static char text[1 << 20];
    size_t used = (size_t)snprintf(text, sizeof text, HEAD);
    for (int i = 0; i < 100; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "listener.name.l%d.ssl.client.auth = none\n", i);
    }
    assert_int_equal(load(text, NONE, NONE), EVLOG_ERR_INVALID_CONFIG);
    said("settings of single listeners: at most 64");
    used = (size_t)snprintf(text, sizeof text, HEAD);
    for (int i = 0; i < 5; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "listener.name.l%d.ssl.ca.file = %04000d\n", i, 0);
    }
    assert_int_equal(load(text, NONE, NONE), EVLOG_ERR_INVALID_CONFIG);
    said("16384 bytes together");
}

/* --- in force ----------------------------------------------------------------------------------------------------- */

TEST(listener_settings, each_listener_has_its_own_and_else_that_of_all)
{
    assert_int_equal(load(HEAD "ssl.client.auth = requested\n"
                               "listener.name.outer.ssl.client.auth = required\n"
                               "listener.name.Inner.sasl.enabled.mechanisms = PLAIN,SCRAM-SHA-256\n",
                          NONE, NONE),
                     0);
    assert_int_equal(listener_client_auth(&cfg, listener("OUTER")), EL_TLS_AUTH_REQUIRED);
    assert_int_equal(listener_client_auth(&cfg, listener("INNER")), EL_TLS_AUTH_NONE);
    assert_string_equal(mechanisms("INNER"), "PLAIN,SCRAM-SHA-256");
    assert_string_equal(mechanisms("LOCAL"), "SCRAM-SHA-256,SCRAM-SHA-512");
    assert_int_equal(load(HEAD "ssl.client.auth = requested\n", NONE, NONE), 0);
    assert_int_equal(listener_client_auth(&cfg, listener("OUTER")), EL_TLS_AUTH_REQUESTED);
    /* That of all says nothing of SASL_SSL; its own does. */
    assert_int_equal(load(HEAD "listener.name.inner.ssl.client.auth = required\n", NONE, NONE), 0);
    assert_int_equal(listener_client_auth(&cfg, listener("OUTER")), EL_TLS_AUTH_NONE);
    assert_int_equal(listener_client_auth(&cfg, listener("INNER")), EL_TLS_AUTH_REQUIRED);
}

TEST(listener_settings, a_flag_wins_over_a_variable_and_that_over_the_file)
{
    const char *file = HEAD "listener.name.inner.sasl.enabled.mechanisms = PLAIN\n";
    const char *variable = "EVLOG_NETWORK__LISTENER_NAME_INNER_SASL_ENABLED_MECHANISMS=SCRAM-SHA-256";
    assert_int_equal(load(file, LIST(variable), LIST("--listener-name-inner-sasl-enabled-mechanisms", "SCRAM-SHA-512")),
                     0);
    assert_string_equal(mechanisms("INNER"), "SCRAM-SHA-512");
    assert_int_equal(cfg.listener_values.count, 1);
    assert_int_equal(load(file, LIST(variable), NONE), 0);
    assert_string_equal(mechanisms("INNER"), "SCRAM-SHA-256");
    assert_int_equal(load(file, NONE, NONE), 0);
    assert_string_equal(mechanisms("INNER"), "PLAIN");
}

TEST(listener_settings, a_variable_may_have_underscores_for_dashes_of_a_name)
{
    const char *file = "[network]\nlisteners = OUT-SIDE://h:1\nlistener.security.protocol.map = OUT-SIDE:SSL\n"
                       "listener.name.out-side.ssl.client.auth = requested\n";
    const char *variable = "EVLOG_NETWORK__LISTENER_NAME_OUT_SIDE_SSL_CLIENT_AUTH=required";
    assert_int_equal(load(file, LIST(variable), NONE), 0);
    assert_int_equal(listener_client_auth(&cfg, listener("OUT-SIDE")), EL_TLS_AUTH_REQUIRED);
    assert_int_equal(cfg.listener_values.count, 1);
    assert_int_equal(load(file, LIST(variable), LIST("--listener-name-out-side-ssl-client-auth=none")), 0);
    assert_int_equal(listener_client_auth(&cfg, listener("OUT-SIDE")), EL_TLS_AUTH_NONE);
    assert_int_equal(cfg.listener_values.count, 1);
}

TEST(listener_settings, what_print_config_writes_is_read_again)
{
    char text[32768] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_int_equal(load(HEAD "listener.name.outer.ssl.principal.mapping.rules = RULE:^CN=(.*)$/$1/ # why\n"
                               "listener.name.outer.ssl.client.auth = required\n",
                          NONE, LIST("--listener-name-inner-sasl-enabled-mechanisms=PLAIN")),
                     0);
    config_print(&cfg, out);
    fclose(out);
    assert_non_null(strstr(text, "\nlistener.name.outer.ssl.client.auth = required"));
    assert_non_null(strstr(text, "# flag\n"));
    assert_int_equal(load(text, NONE, NONE), 0);
    assert_int_equal(cfg.listener_values.count, 3);
    assert_string_equal(listener_setting_text(&cfg, listener("OUTER"), CONFIG_ssl_principal_rules),
                        "RULE:^CN=(.*)$/$1/");
    assert_string_equal(mechanisms("INNER"), "PLAIN");
}

static int explain(const char *text, const char *name, char *shown, size_t shown_max)
{
    char flag[200];
    snprintf(flag, sizeof flag, "--explain=%s", name);
    assert_int_equal(load(text, NONE, LIST(flag)), 0);
    FILE *out = fmemopen(shown, shown_max, "w");
    int code = config_explain(&cfg, out, &err);
    fclose(out);
    return code;
}

TEST(listener_settings, one_is_explained_with_where_it_comes_from)
{
    char shown[4096] = "";
    const char *text = HEAD "listener.name.outer.ssl.client.auth = required\n";
    assert_int_equal(explain(text, "listener.name.OUTER.ssl.client.auth", shown, sizeof shown), 0);
    assert_non_null(strstr(shown, "setting:       listener.name.outer.ssl.client.auth\n"));
    assert_non_null(strstr(shown, "value:         required\n"));
    assert_non_null(strstr(shown, "evlogd.conf:4\n"));
    assert_non_null(strstr(shown, "environment:   EVLOG_NETWORK__LISTENER_NAME_OUTER_SSL_CLIENT_AUTH\n"));
    assert_non_null(strstr(shown, "flag:          --listener-name-outer-ssl-client-auth\n"));
    assert_int_equal(explain(text, "listener.name.inner.ssl.client.auth", shown, sizeof shown), 0);
    assert_non_null(strstr(shown, "value:         none\n"));
    assert_int_equal(explain(text, "ssl.client.auth", shown, sizeof shown), 0);
    assert_non_null(strstr(shown, "listener.name.NAME.ssl.client.auth = VALUE is of the listener NAME alone\n"));
    assert_int_equal(explain(text, "listener.name.outr.ssl.client.auth", shown, sizeof shown),
                     EVLOG_ERR_INVALID_CONFIG);
    said("did you mean 'OUTER'?");
}

/* --- reload and requests ------------------------------------------------------------------------------------------ */

static void reload(const char *text)
{
    prepare(text, NONE);
    assert_int_equal(config_reload(&cfg, argc, argv, NULL, &err), 0);
}

TEST(listener_settings, a_reload_takes_what_that_of_all_would_and_keeps_the_rest)
{
    assert_int_equal(load(HEAD "listener.name.outer.ssl.principal.mapping.rules = RULE:a/b/\n", NONE, NONE), 0);
    reload(HEAD "listener.name.outer.ssl.client.auth = required\n"
                "listener.name.outer.ssl.principal.mapping.rules = RULE:c/d/\n");
    assert_int_equal(listener_client_auth(&cfg, listener("OUTER")), EL_TLS_AUTH_REQUIRED);
    assert_string_equal(listener_setting_text(&cfg, listener("OUTER"), CONFIG_ssl_principal_rules), "RULE:a/b/");
    reload(HEAD);
    assert_int_equal(listener_client_auth(&cfg, listener("OUTER")), EL_TLS_AUTH_NONE);
    assert_string_equal(listener_setting_text(&cfg, listener("OUTER"), CONFIG_ssl_principal_rules), "RULE:a/b/");
    prepare(HEAD "listener.name.outr.ssl.client.auth = none\n", NONE);
    assert_int_equal(config_reload(&cfg, argc, argv, NULL, &err), EVLOG_ERR_INVALID_CONFIG);
}

TEST(listener_settings, a_listener_that_a_restart_would_close_keeps_its_own_until_then)
{
    assert_int_equal(load(HEAD "listener.name.outer.ssl.client.auth = required\n", NONE, NONE), 0);
    reload("[network]\nlisteners = INNER://127.0.0.1:2,NEW://127.0.0.1:4\nlistener.security.protocol.map = "
           "INNER:SASL_SSL,NEW:SSL\nlistener.name.new.ssl.client.auth = requested\n");
    assert_int_equal(listener_client_auth(&cfg, listener("OUTER")), EL_TLS_AUTH_REQUIRED);
    reload("[network]\nlisteners = INNER://127.0.0.1:2\nlistener.security.protocol.map = INNER:SASL_SSL\n");
    assert_int_equal(listener_client_auth(&cfg, listener("OUTER")), EL_TLS_AUTH_REQUIRED);
    reload(HEAD);
    assert_int_equal(listener_client_auth(&cfg, listener("OUTER")), EL_TLS_AUTH_NONE);
    assert_int_equal(cfg.listener_values.count, 0);
}

/* Else certificates would be asked for neither by the one nor by the other until the restart. */
TEST(listener_settings, a_listener_that_a_restart_would_give_another_protocol_keeps_its_own_until_then)
{
    assert_int_equal(load(HEAD "listener.name.outer.ssl.client.auth = required\n", NONE, NONE), 0);
    reload("[network]\n" LISTENERS
           "listener.security.protocol.map = OUTER:SASL_SSL,INNER:SASL_SSL,LOCAL:SASL_PLAINTEXT\n"
           "listener.name.outer.sasl.enabled.mechanisms = PLAIN\nlistener.name.outer.ssl.client.auth = none\n"
           "listener.name.inner.sasl.enabled.mechanisms = PLAIN\n");
    assert_int_equal(listener_client_auth(&cfg, listener("OUTER")), EL_TLS_AUTH_REQUIRED);
    assert_string_equal(mechanisms("INNER"), "PLAIN");
    assert_int_equal(cfg.listener_values.count, 2);
    reload(HEAD);
    assert_int_equal(cfg.listener_values.count, 0);
}

TEST(listener_settings, no_request_changes_one)
{
    assert_int_equal(config_request_check(el_slice_str("listener.name.outer.ssl.client.auth"), &err), EVLOG_ERR_POLICY);
    assert_non_null(strstr(err.text, "Set it in [network] of evlogd's configuration, then send it SIGHUP"));
    assert_int_equal(config_request_check(el_slice_str("listener.name.outer.ssl.client.aut"), &err),
                     EVLOG_ERR_INVALID_CONFIG);
    static const char kept[] = "[network]\nlistener.name.outer.ssl.client.auth = \"none\"\n";
    const struct el_slice requested = el_slice_str(kept);
    prepare(HEAD, NONE);
    const struct config_sources from = {argc, argv, NULL};
    assert_int_equal(config_load_requested(&cfg, &from, &requested, &err), EVLOG_ERR_INVALID_CONFIG);
    said("cannot stand in this file: it decides who may come in");
}
