/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses and credentials of S3. No text that this file writes repeats a secret, nor an address that may hold one.
 */
#include "s3_config.h"

#include <core/alloc.h>
#include <core/timefmt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <store/object_store.h>
#include <unistd.h>

#define PROFILE_FILE_MAX (256u << 10)
#define ACCESS_KEY_MAX 128
#define SECRET_KEY_MAX 200
#define TOKEN_MAX (16u << 10)
#define TIMEOUT_DEFAULT_MS 60000
#define TIMEOUT_MIN_MS 100
#define TIMEOUT_MAX_MS 3600000

/* NULL also when it is empty. */
static const char *value_of(s3_env_fn env, const char *name)
{
    const char *value = env(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

static bool is_made_of(const char *text, const char *allowed, size_t max)
{
    size_t len = strspn(text, allowed);
    return len > 0 && len <= max && text[len] == '\0';
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* --- files of profiles -------------------------------------------------------------------------------------------- */

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    return text;
}

/* Find "name = value" in "[section]". text is changed. returns the value | NULL */
static char *find_in(char *text, const char *section, const char *name)
{
    bool inside = false;
    char *found = NULL, *rest = text, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *word = trim(line);
        if (*word == '[') {
            char *end = strchr(word, ']');
            if (end != NULL) {
                *end = '\0';
                inside = strcmp(trim(word + 1), section) == 0;
            }
            continue;
        }
        char *equals = inside && *word != '#' && *word != ';' ? strchr(word, '=') : NULL;
        if (equals != NULL) {
            *equals = '\0';
            found = strcmp(trim(word), name) == 0 ? trim(equals + 1) : found;
        }
    }
    return found;
}

/* A file's text with a NUL behind it, to be wiped; NULL when it cannot be read. returns 0 | EVLOG_ERR_NO_MEMORY */
static int read_file(const char *path, char **text, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *len = 0;
    *text = NULL;
    if (fd < 0) {
        return 0;
    }
    char *read_to = el_malloc(PROFILE_FILE_MAX + 1);
    ssize_t got = 1;
    while (read_to != NULL && got > 0 && *len < PROFILE_FILE_MAX) {
        got = read(fd, read_to + *len, PROFILE_FILE_MAX - *len);
        got = got < 0 && errno == EINTR ? 1 : got;
        *len += (size_t)EL_MAX(got, 0);
    }
    (void)close(fd);
    if (read_to == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    read_to[*len] = '\0';
    *text = read_to;
    return 0;
}

static const char *profile_of(s3_env_fn env)
{
    const char *profile = value_of(env, "AWS_PROFILE");
    return profile == NULL ? "default" : profile;
}

/* The path of a file of profiles: the variable's, else ~/.aws/name. */
static void path_of(s3_env_fn env, const char *variable, const char *name, char path[PATH_MAX])
{
    const char *given = value_of(env, variable), *home = value_of(env, "HOME");
    if (given != NULL) {
        (void)snprintf(path, PATH_MAX, "%s", given);
    } else {
        (void)snprintf(path, PATH_MAX, "%s/.aws/%s", home == NULL ? "" : home, name);
    }
}

/* A value of a profile as memory of its own, NULL when there is none. returns 0 | EVLOG_ERR_NO_MEMORY */
static int from_profile(const char *path, const char *section, const char *name, char **value)
{
    size_t len;
    char *text;
    int rc = read_file(path, &text, &len);
    char *found = text == NULL ? NULL : find_in(text, section, name);
    *value = found == NULL || *found == '\0' ? NULL : el_strdup(found);
    rc = found != NULL && *found != '\0' && *value == NULL ? EVLOG_ERR_NO_MEMORY : rc;
    if (text != NULL) {
        explicit_bzero(text, len);
        el_free(text);
    }
    return rc;
}

/* --- where -------------------------------------------------------------------------------------------------------- */

static int take_url(const char *url, struct s3_config *cfg, struct el_error *err)
{
    const char *bucket = url + sizeof "s3://" - 1;
    size_t bucket_len = strcspn(bucket, "/");
    const char *prefix = bucket + bucket_len;
    if (bucket_len < 3 || bucket_len > S3_BUCKET_MAX || strspn(bucket, LOWER UPPER DIGITS ".-_") < bucket_len ||
        bucket[0] == '.' || bucket[0] == '-') {
        return el_error_set(err, EVLOG_ERR_ARGUMENT,
                            "s3://BUCKET/PREFIX: a bucket's name has 3 to %d letters, digits, \".\" and \"-\"",
                            S3_BUCKET_MAX);
    }
    memcpy(cfg->bucket, bucket, bucket_len);
    prefix += *prefix == '/';
    size_t len = strlen(prefix);
    len -= len > 0 && prefix[len - 1] == '/';
    if (len > S3_PREFIX_MAX) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "s3://%s/PREFIX: a prefix has at most %d characters", cfg->bucket,
                            S3_PREFIX_MAX);
    }
    memcpy(cfg->prefix, prefix, len);
    if (len > 0 && !object_key_is_fine(cfg->prefix)) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT,
                            "s3://%s/PREFIX: a prefix has parts of [A-Za-z0-9._-] with / between them", cfg->bucket);
    }
    memcpy(cfg->prefix + len, "/", len > 0 ? 2 : 0);
    return 0;
}

static int take_region(s3_env_fn env, struct s3_config *cfg, struct el_error *err)
{
    char path[PATH_MAX], section[128], *from_file = NULL;
    const char *region = value_of(env, "AWS_REGION");
    region = region == NULL ? value_of(env, "AWS_DEFAULT_REGION") : region;
    if (region == NULL) {
        const char *profile = profile_of(env);
        path_of(env, "AWS_CONFIG_FILE", "config", path);
        (void)snprintf(section, sizeof section, "%s%s", strcmp(profile, "default") == 0 ? "" : "profile ", profile);
        if (from_profile(path, section, "region", &from_file) != 0) {
            return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to read %.200s", path);
        }
        region = from_file == NULL ? "us-east-1" : from_file;
    }
    bool fine = is_made_of(region, LOWER DIGITS "-", S3_REGION_MAX);
    if (fine) {
        memcpy(cfg->region, region, strlen(region) + 1);
    }
    el_free(from_file);
    return fine ? 0
                : el_error_set(err, EVLOG_ERR_ARGUMENT,
                               "AWS_REGION is no region's name, such as eu-central-1: small letters, digits and \"-\"");
}

static bool ends(const char *text, size_t len, const char *with)
{
    size_t with_len = strlen(with);
    return len >= with_len && memcmp(text + len - with_len, with, with_len) == 0;
}

/* Does the host name the bucket? returns 0 | EVLOG_ERR_ARGUMENT */
static int take_style(s3_env_fn env, const struct s3_config *cfg, const char *host, bool *is_virtual,
                      struct el_error *err)
{
    const char *style = value_of(env, "EVLOG_S3_STYLE");
    size_t len = strcspn(host, ":");
    if (style != NULL && strcmp(style, "path") != 0 && strcmp(style, "virtual") != 0) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "EVLOG_S3_STYLE is path or virtual");
    }
    bool aws = ends(host, len, ".amazonaws.com") || ends(host, len, ".amazonaws.com.cn");
    /* A certificate for *.s3... does not cover bucket names with a dot in them. */
    *is_virtual = style != NULL ? strcmp(style, "virtual") == 0 : aws && strchr(cfg->bucket, '.') == NULL;
    return 0;
}

static int take_endpoint(s3_env_fn env, struct s3_config *cfg, struct el_error *err)
{
    char aws[S3_REGION_MAX + 64];
    const char *name = "AWS_ENDPOINT_URL_S3", *url = value_of(env, name);
    if (url == NULL) {
        name = "AWS_ENDPOINT_URL";
        url = value_of(env, name);
    }
    if (url == NULL) {
        (void)snprintf(aws, sizeof aws, "https://s3.%s.amazonaws.com%s", cfg->region,
                       strncmp(cfg->region, "cn-", 3) == 0 ? ".cn" : "");
        url = aws;
    }
    size_t scheme_len = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    const char *host = url + scheme_len;
    size_t host_len = strspn(host, LOWER UPPER DIGITS ".-_:[]");
    bool whole = host[host_len] == '\0' || (host[host_len] == '/' && host[host_len + 1] == '\0');
    if (scheme_len == 0 || host_len == 0 || host_len > S3_HOST_MAX || !whole) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT,
                            "%s: it is http://HOST:PORT or https://HOST:PORT, without a path and without credentials",
                            name);
    }
    char bare[S3_HOST_MAX + 1];
    bool is_virtual = false;
    memcpy(bare, host, host_len);
    bare[host_len] = '\0';
    int rc = take_style(env, cfg, bare, &is_virtual, err);
    if (rc == 0) {
        (void)snprintf(cfg->host, sizeof cfg->host, "%s%s%s", is_virtual ? cfg->bucket : "", is_virtual ? "." : "",
                       bare);
        (void)snprintf(cfg->path, sizeof cfg->path, "%s%s", is_virtual ? "" : "/", is_virtual ? "" : cfg->bucket);
        (void)snprintf(cfg->origin, sizeof cfg->origin, "%.*s%s", (int)scheme_len, url, cfg->host);
    }
    return rc;
}

static int take_timeout(s3_env_fn env, struct s3_config *cfg, struct el_error *err)
{
    const char *text = value_of(env, "EVLOG_S3_TIMEOUT");
    cfg->timeout_ms = TIMEOUT_DEFAULT_MS;
    if (text != NULL && (el_duration_parse(text, &cfg->timeout_ms, NULL) != 0 || cfg->timeout_ms < TIMEOUT_MIN_MS ||
                         cfg->timeout_ms > TIMEOUT_MAX_MS)) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "EVLOG_S3_TIMEOUT is a duration such as 60s, 100ms to 1h");
    }
    return 0;
}

int s3_config_read(const char *url, s3_env_fn env, struct s3_config *cfg, struct el_error *err)
{
    const char *bundle = value_of(env, "AWS_CA_BUNDLE");
    *cfg = (struct s3_config){.timeout_ms = 0};
    if (bundle != NULL) {
        (void)snprintf(cfg->ca_bundle, sizeof cfg->ca_bundle, "%s", bundle);
    }
    int rc = take_url(url, cfg, err);
    rc = rc == 0 ? take_region(env, cfg, err) : rc;
    rc = rc == 0 ? take_endpoint(env, cfg, err) : rc;
    return rc == 0 ? take_timeout(env, cfg, err) : rc;
}

/* --- who ---------------------------------------------------------------------------------------------------------- */

static bool is_printable(const char *text, size_t max)
{
    size_t len = 0;
    while (text[len] > ' ' && text[len] <= '~') {
        len++;
    }
    return len > 0 && len <= max && text[len] == '\0';
}

static int take_env(s3_env_fn env, const char *name, char **value)
{
    const char *text = value_of(env, name);
    *value = text == NULL ? NULL : el_strdup(text);
    return text != NULL && *value == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

static int take_file(s3_env_fn env, struct s3_keys *keys, char path[PATH_MAX])
{
    const char *profile = profile_of(env);
    path_of(env, "AWS_SHARED_CREDENTIALS_FILE", "credentials", path);
    int rc = from_profile(path, profile, "aws_access_key_id", &keys->access_key);
    rc = rc == 0 ? from_profile(path, profile, "aws_secret_access_key", &keys->secret_key) : rc;
    return rc == 0 ? from_profile(path, profile, "aws_session_token", &keys->token) : rc;
}

static int check_keys(const struct s3_keys *keys, s3_env_fn env, const char *path, struct el_error *err)
{
    const char *place = path[0] == '\0' ? "the environment" : path;
    if (keys->access_key == NULL || keys->secret_key == NULL) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT,
                            "no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or have them in "
                            "%.200s under [%.60s]",
                            path, profile_of(env));
    }
    bool fine = is_printable(keys->access_key, ACCESS_KEY_MAX) && strpbrk(keys->access_key, "/,=") == NULL;
    if (!fine || !is_printable(keys->secret_key, SECRET_KEY_MAX)) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT,
                            "the %s from %.200s has blanks or characters that no key has, or is too long",
                            fine ? "secret access key" : "access key id", place);
    }
    return keys->token == NULL || is_printable(keys->token, TOKEN_MAX)
               ? 0
               : el_error_set(err, EVLOG_ERR_ARGUMENT,
                              "the session token from %.200s has blanks or characters that none has, or is too long",
                              place);
}

int s3_keys_read(s3_env_fn env, struct s3_keys *keys, struct el_error *err)
{
    char path[PATH_MAX] = "";
    *keys = (struct s3_keys){.access_key = NULL};
    int rc = take_env(env, "AWS_ACCESS_KEY_ID", &keys->access_key);
    rc = rc == 0 ? take_env(env, "AWS_SECRET_ACCESS_KEY", &keys->secret_key) : rc;
    rc = rc == 0 ? take_env(env, "AWS_SESSION_TOKEN", &keys->token) : rc;
    if (rc == 0 && (keys->access_key == NULL || keys->secret_key == NULL)) {
        s3_keys_free(keys);
        rc = take_file(env, keys, path);
    }
    rc = rc == 0 ? check_keys(keys, env, path, err) : el_error_set(err, rc, "no memory for credentials");
    if (rc != 0) {
        s3_keys_free(keys);
        return rc;
    }
    keys->with = (struct s3_credentials){
        .access_key = keys->access_key, .secret_key = keys->secret_key, .token = keys->token};
    return 0;
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool s3_keys_equal(const struct s3_keys *a, const struct s3_keys *b)
{
    return same(a->access_key, b->access_key) && same(a->secret_key, b->secret_key) && same(a->token, b->token);
}

static void wipe(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        el_free(text);
    }
}

void s3_keys_free(struct s3_keys *keys)
{
    wipe(keys->access_key);
    wipe(keys->secret_key);
    wipe(keys->token);
    *keys = (struct s3_keys){.access_key = NULL};
}
