/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a bucket is looked for where AWS's own programs would, and nothing that cannot be right is tried.
 * Method: an environment of the test's own; what a server says to it is asked of real ones (tests/integration).
 */
#include "../../../client/store/objects/s3_config.h"
#include "../../lib/test.h"

#include <core/alloc.h>
#include <evlog/error.h>
#include <stdio.h>

#define VARIABLES_MAX 12

static const char *variables[VARIABLES_MAX][2];
static size_t variable_count;

static const char *env(const char *name)
{
    for (size_t i = 0; i < variable_count; i++) {
        if (strcmp(variables[i][0], name) == 0) {
            return variables[i][1];
        }
    }
    return NULL;
}

static void set(const char *name, const char *value)
{
    assert_true(variable_count < VARIABLES_MAX);
    variables[variable_count][0] = name;
    variables[variable_count++][1] = value;
}

static void clear(void)
{
    variable_count = 0;
    set("AWS_CONFIG_FILE", "/dev/null");
    set("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
}

static struct s3_config config_of(const char *url)
{
    struct s3_config cfg;
    struct el_error err;
    if (s3_config_read(url, env, &cfg, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return cfg;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

TEST(s3_config, refuses_urls_that_name_no_bucket)
{
    static const char *const bad[] = {"s3://",         "s3:///x",       "s3://ab",       "s3://.abc",
                                      "s3://-abc",     "s3://a b c",    "s3://a@b/c",    "s3://abc?x",
                                      "s3://abc//x",   "s3://abc/../x", "s3://abc/x//y", "s3://abc/x?y=z",
                                      "s3://abc/x%20", "s3://abc/x y/", "s3://abc/x#y"};
    struct s3_config cfg;
    clear();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct el_error err = {.code = 0};
        if (s3_config_read(bad[i], env, &cfg, &err) != EVLOG_ERR_ARGUMENT) {
            fail_msg("%s", bad[i]);
        }
        assert_non_null(strstr(err.text, "s3://"));
    }
}

TEST(s3_config, refuses_addresses_that_hold_more_than_one)
{
    static const char *const bad[] = {
        "host",          "ftp://host",      "http://",      "http://user@host",   "https://a:b@c",
        "http://host/x", "http://host?a=b", "http://host ", "http://host\r\nx: y"};
    struct s3_config cfg;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct el_error err;
        clear();
        set("AWS_ENDPOINT_URL", bad[i]);
        assert_int_equal(s3_config_read("s3://bucket/x", env, &cfg, &err), EVLOG_ERR_ARGUMENT);
        assert_non_null(strstr(err.text, "AWS_ENDPOINT_URL"));
        assert_null(strstr(err.text, "user"));
    }
}

TEST(s3_config, names_the_bucket_in_the_host_where_aws_does)
{
    clear();
    struct s3_config cfg = config_of("s3://bucket/a/b");
    assert_string_equal(cfg.origin, "https://bucket.s3.us-east-1.amazonaws.com");
    assert_string_equal(cfg.host, "bucket.s3.us-east-1.amazonaws.com");
    assert_string_equal(cfg.path, "");
    assert_string_equal(cfg.prefix, "a/b/");
    set("AWS_REGION", "cn-north-1");
    cfg = config_of("s3://bucket");
    assert_string_equal(cfg.host, "bucket.s3.cn-north-1.amazonaws.com.cn");
    assert_string_equal(cfg.prefix, "");
    /* No certificate covers a name with a dot in it. */
    cfg = config_of("s3://buck.et/x/");
    assert_string_equal(cfg.path, "/buck.et");
    assert_string_equal(cfg.prefix, "x/");
}

TEST(s3_config, names_the_bucket_in_the_path_elsewhere)
{
    clear();
    set("AWS_ENDPOINT_URL", "http://[::1]:9000/");
    struct s3_config cfg = config_of("s3://bucket/x");
    assert_string_equal(cfg.origin, "http://[::1]:9000");
    assert_string_equal(cfg.path, "/bucket");
    set("AWS_ENDPOINT_URL_S3", "https://s3.example.com");
    set("EVLOG_S3_STYLE", "virtual");
    cfg = config_of("s3://bucket/x");
    assert_string_equal(cfg.origin, "https://bucket.s3.example.com");
    assert_string_equal(cfg.path, "");
    clear();
    set("EVLOG_S3_STYLE", "path");
    cfg = config_of("s3://bucket/x");
    assert_string_equal(cfg.origin, "https://s3.us-east-1.amazonaws.com");
    assert_string_equal(cfg.path, "/bucket");
}

TEST(s3_config, takes_the_region_from_the_first_that_has_one)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/config", el_test_dir());
    write_file(path, "[default]\nregion = eu-one-1\n[profile other]\noutput=json\n region =eu-two-1 \r\n");
    variable_count = 0;
    set("AWS_CONFIG_FILE", path);
    assert_string_equal(config_of("s3://bucket").region, "eu-one-1");
    set("AWS_PROFILE", "other");
    assert_string_equal(config_of("s3://bucket").region, "eu-two-1");
    set("AWS_DEFAULT_REGION", "eu-three-1");
    assert_string_equal(config_of("s3://bucket").region, "eu-three-1");
    set("AWS_REGION", "eu-four-1");
    assert_string_equal(config_of("s3://bucket").region, "eu-four-1");
    assert_int_equal(config_of("s3://bucket").timeout_ms, 60000);
    set("EVLOG_S3_TIMEOUT", "250ms");
    assert_int_equal(config_of("s3://bucket").timeout_ms, 250);
}

TEST(s3_keys, refuses_half_a_pair_and_what_no_key_is)
{
    static const char *const bad[][3] = {{"id", NULL, NULL},    {NULL, "secret", NULL},   {"i d", "secret", NULL},
                                         {"i/d", "x", NULL},    {"id", "sec\nret", NULL}, {"id", "x", "to ken"},
                                         {"id\r\n", "x", NULL}, {"", "x", NULL}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct s3_keys keys;
        struct el_error err;
        clear();
        set("AWS_ACCESS_KEY_ID", bad[i][0]);
        set("AWS_SECRET_ACCESS_KEY", bad[i][1]);
        set("AWS_SESSION_TOKEN", bad[i][2]);
        assert_int_equal(s3_keys_read(env, &keys, &err), EVLOG_ERR_ARGUMENT);
        assert_null(strstr(err.text, "sec\nret"));
        assert_null(strstr(err.text, "to ken"));
        assert_null(keys.secret_key);
    }
}

TEST_TORTURE(s3_keys, come_from_a_profile)
{
    char path[512];
    struct s3_keys keys, others;
    (void)snprintf(path, sizeof path, "%s/credentials", el_test_dir());
    write_file(path, "# aws_access_key_id = none\n[default]\naws_access_key_id=one\naws_secret_access_key=two\n"
                     "aws_session_token = a=b==\n[ other ]\naws_access_key_id = three\n;aws_session_token = no\n"
                     "aws_secret_access_key = four/+=");
    variable_count = 0;
    set("AWS_SHARED_CREDENTIALS_FILE", path);
    int rc = s3_keys_read(env, &keys, NULL);
    if (rc == 0) {
        assert_string_equal(keys.with.access_key, "one");
        assert_string_equal(keys.with.secret_key, "two");
        assert_string_equal(keys.with.token, "a=b==");
        set("AWS_PROFILE", "other");
        rc = s3_keys_read(env, &others, NULL);
        if (rc == 0) {
            assert_string_equal(others.with.access_key, "three");
            assert_string_equal(others.with.secret_key, "four/+=");
            assert_null(others.with.token);
            assert_false(s3_keys_equal(&keys, &others));
            s3_keys_free(&others);
        }
        assert_true(s3_keys_equal(&keys, &keys));
        s3_keys_free(&keys);
    }
    assert_true(rc == 0 || el_test_failing());
}
