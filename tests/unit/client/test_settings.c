/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of a client. Goal: a mistake is told where it is made, and a good value arrives as the right number. Method:
 * refusals first, then values, a file with lines that are good and bad, every allocation failing once.
 */
#include "../../../client/client_config.h"
#include "../../lib/test.h"

#include <evlog/evlog.h>
#include <stdio.h>
#include <string.h>

static struct evlog_settings *settings_new(void)
{
    struct evlog_settings *settings;
    assert_int_equal(evlog_settings_new(&settings), 0);
    return settings;
}

TEST(settings, refuse_unknown_keys_and_name_the_nearest)
{
    struct evlog_settings *settings = settings_new();
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    assert_int_equal(evlog_settings_set(settings, "linger.sm", "5", &failure), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(failure.hint, "linger.ms"));
    assert_int_equal(failure.error_class, EVLOG_CLASS_CALLER);
    assert_false(failure.retriable);
    assert_null(evlog_settings_get(settings, "linger.sm"));
    evlog_settings_free(settings);
}

TEST(settings, refuse_values_out_of_range_and_keep_the_old_one)
{
    static const char *const bad[][2] = {
        {"linger.ms", "-1"},
        {"linger.ms", ""},
        {"linger.ms", "soon"},
        {"acks", "2"},
        {"compression.type", "rar"},
        {"enable.idempotence", "yes"},
        {"max.in.flight.requests.per.connection", "0"},
        {"batch.size", "1TB"},
        {"bootstrap.servers", ""},
        {"request.timeout.ms", "0"},
        {"fetch.max.bytes", "0"},
        {"security.protocol", "tls"},
        {"security.protocol", ""},
        {"security.protocol", "plaintext|ssl"},
        {"ssl.endpoint.identification.algorithm", "http"},
    };
    struct evlog_settings *settings = settings_new();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char before[128];
        (void)snprintf(before, sizeof before, "%s", evlog_settings_get(settings, bad[i][0]));
        if (evlog_settings_set(settings, bad[i][0], bad[i][1], NULL) != EVLOG_ERR_INVALID_CONFIG) {
            fail_msg("%s = %s was taken", bad[i][0], bad[i][1]);
        }
        assert_string_equal(evlog_settings_get(settings, bad[i][0]), before);
    }
    evlog_settings_free(settings);
}

TEST(settings, a_password_is_in_no_text_of_a_failure)
{
    char path[512], line[1200], secret[1100];
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_settings *settings = settings_new();
    memset(secret, 'Z', sizeof secret);
    secret[sizeof secret - 1] = '\0';
    assert_int_equal(evlog_settings_set(settings, "sasl.password", secret, &failure), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(failure.text, "sasl.password"));
    assert_null(strstr(failure.text, "ZZZZZZZZ"));
    assert_null(strstr(failure.hint, "ZZZZZZZZ"));
    (void)snprintf(line, sizeof line, "sasl.password %.20s\n", secret);
    FILE *file = fopen((snprintf(path, sizeof path, "%s/secret", el_test_dir()), path), "w");
    assert_non_null(file);
    assert_true(fputs(line, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(evlog_settings_load(settings, path, &failure), EVLOG_ERR_INVALID_CONFIG);
    assert_null(strstr(failure.text, "ZZZZZZZZ"));
    evlog_settings_free(settings);
}

TEST(settings, sasl_wants_a_name_a_password_and_for_plain_tls)
{
    struct evlog_settings *settings = settings_new();
    struct el_client_config cfg;
    assert_int_equal(evlog_settings_set(settings, "security.protocol", "SASL_PLAINTEXT", NULL), 0);
    assert_int_equal(el_client_config_make(settings, &cfg, NULL), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(evlog_settings_set(settings, "sasl.username", "alice", NULL), 0);
    assert_int_equal(el_client_config_make(settings, &cfg, NULL), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(evlog_settings_set(settings, "sasl.password", "pw", NULL), 0);
    assert_int_equal(evlog_settings_set(settings, "sasl.mechanism", "PLAIN", NULL), 0);
    assert_int_equal(el_client_config_make(settings, &cfg, NULL), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(evlog_settings_set(settings, "security.protocol", "sasl_ssl", NULL), 0);
    assert_int_equal(el_client_config_make(settings, &cfg, NULL), 0);
    assert_true(cfg.sasl && cfg.tls);
    assert_int_equal(cfg.sasl_mechanism, EL_SASL_PLAIN);
    el_client_config_free(&cfg);
    assert_int_equal(evlog_settings_set(settings, "sasl.mechanism", "GSSAPI", NULL), EVLOG_ERR_INVALID_CONFIG);
    evlog_settings_free(settings);
}

TEST(settings, defaults_are_those_of_the_header)
{
    struct el_client_config cfg;
    assert_int_equal(el_client_config_make(NULL, &cfg, NULL), 0);
    assert_string_equal(cfg.bootstrap, "127.0.0.1:9092");
    assert_int_equal(cfg.acks, -1);
    assert_true(cfg.idempotence);
    assert_int_equal(cfg.codec, EL_CODEC_LZ4);
    assert_int_equal(cfg.linger_ms, 5);
    assert_int_equal(cfg.in_flight_max, 5);
    el_client_config_free(&cfg);
}

TEST(settings, units_are_understood)
{
    struct evlog_settings *settings = settings_new();
    struct el_client_config cfg;
    assert_int_equal(evlog_settings_set(settings, "linger.ms", "2s", NULL), 0);
    assert_int_equal(evlog_settings_set(settings, "buffer.memory", "64MiB", NULL), 0);
    assert_int_equal(evlog_settings_set(settings, "compression.type", "zstd", NULL), 0);
    assert_int_equal(el_client_config_make(settings, &cfg, NULL), 0);
    assert_int_equal(cfg.linger_ms, 2000);
    assert_int_equal(cfg.buffer_len_max, 64 << 20);
    assert_int_equal(cfg.codec, EL_CODEC_ZSTD);
    el_client_config_free(&cfg);
    evlog_settings_free(settings);
}

TEST(settings, idempotence_yields_to_acks_unless_it_was_asked_for)
{
    struct evlog_settings *settings = settings_new();
    struct el_client_config cfg;
    assert_int_equal(evlog_settings_set(settings, "acks", "1", NULL), 0);
    assert_int_equal(el_client_config_make(settings, &cfg, NULL), 0);
    assert_false(cfg.idempotence);
    el_client_config_free(&cfg);
    assert_int_equal(evlog_settings_set(settings, "enable.idempotence", "true", NULL), 0);
    assert_int_equal(el_client_config_make(settings, &cfg, NULL), EVLOG_ERR_INVALID_CONFIG);
    evlog_settings_free(settings);
}

static void write_file(char *path, size_t path_len, const char *text)
{
    (void)snprintf(path, path_len, "%s/settings", el_test_dir());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

TEST(settings, file_is_read_and_a_bad_line_is_named)
{
    char path[512];
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_settings *settings = settings_new();
    write_file(path, sizeof path, "# a comment\n\n  client.id = me  \r\nlinger.ms=7");
    assert_int_equal(evlog_settings_load(settings, path, &failure), 0);
    assert_string_equal(evlog_settings_get(settings, "client.id"), "me");
    assert_string_equal(evlog_settings_get(settings, "linger.ms"), "7");
    write_file(path, sizeof path, "client.id = other\nlinger.ms\n");
    assert_int_equal(evlog_settings_load(settings, path, &failure), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(failure.text, "settings:2"));
    assert_int_equal(evlog_settings_load(settings, "/nowhere/at/all", &failure), EVLOG_ERR_NOT_FOUND);
    evlog_settings_free(settings);
}

TEST_TORTURE(settings, every_allocation_may_fail)
{
    struct evlog_settings *settings = NULL;
    struct el_client_config cfg;
    int rc = evlog_settings_new(&settings);
    if (rc == 0) {
        rc = evlog_settings_set(settings, "client.id", "x", NULL);
    }
    if (rc == 0) {
        rc = el_client_config_make(settings, &cfg, NULL);
    }
    if (rc == 0) {
        el_client_config_free(&cfg);
    }
    assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
    evlog_settings_free(settings);
}

TEST(failure, shorter_object_of_an_older_program_is_not_overrun)
{
    struct {
        struct evlog_failure failure;
        char guard[16];
    } old;
    memset(&old, 0x5a, sizeof old);
    old.failure.size = offsetof(struct evlog_failure, hint);
    struct evlog_settings *settings = settings_new();
    assert_int_equal(evlog_settings_set(settings, "nothing.like.it", "5", &old.failure), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(old.failure.code, EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(old.failure.size, offsetof(struct evlog_failure, hint));
    assert_int_equal(old.failure.hint[0], 0x5a);
    assert_int_equal(old.guard[0], 0x5a);
    struct evlog_failure unset;
    memset(&unset, 0, sizeof unset);
    assert_int_equal(evlog_settings_set(settings, "nothing.like.it", "5", &unset), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(unset.code, 0);
    evlog_settings_free(settings);
}

TEST(settings, words_are_taken_in_any_case)
{
    struct evlog_settings *settings = settings_new();
    struct el_client_config cfg;
    assert_int_equal(el_client_config_make(settings, &cfg, NULL), 0);
    assert_false(cfg.tls);
    assert_true(cfg.tls_check_name);
    el_client_config_free(&cfg);
    assert_int_equal(evlog_settings_set(settings, "security.protocol", "SSL", NULL), 0);
    assert_int_equal(evlog_settings_set(settings, "ssl.ca.location", "ca.pem", NULL), 0);
    assert_int_equal(evlog_settings_set(settings, "ssl.endpoint.identification.algorithm", "none", NULL), 0);
    assert_int_equal(el_client_config_make(settings, &cfg, NULL), 0);
    assert_true(cfg.tls);
    assert_false(cfg.tls_check_name);
    assert_string_equal(cfg.tls_ca, "ca.pem");
    el_client_config_free(&cfg);
    evlog_settings_free(settings);
}

TEST(settings, a_client_says_at_once_which_file_of_tls_is_not_there)
{
    struct evlog_settings *settings = settings_new();
    struct evlog_client *client = NULL;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    assert_int_equal(evlog_settings_set(settings, "security.protocol", "ssl", NULL), 0);
    assert_int_equal(evlog_settings_set(settings, "ssl.ca.location", "/nowhere/ca.pem", NULL), 0);
    assert_int_equal(evlog_client_open(settings, &client, &failure), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(failure.text, "/nowhere/ca.pem: No such file"));
    assert_null(client);
    evlog_settings_free(settings);
}
