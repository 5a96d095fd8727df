/* SPDX-License-Identifier: Apache-2.0
 *
 * What the environment says of traces, by OpenTelemetry's names. Any thread.
 *
 * An empty variable counts as none. What has no meaning is refused, not guessed: a typing error would otherwise look
 * like a collector that gets nothing. Values of headers are secrets, and are in no text.
 *
 * Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and the OTLP exporter's.
 */
#include "otlp.h"

#include "fail.h"

#include <core/alloc.h>
#include <core/utf8.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define URL_DEFAULT "http://localhost:4318"
#define TRACES_PATH "/v1/traces"
#define TIMEOUT_MS_MAX 600000
#define QUEUE_MAX 1000000
#define SERVICE_NAME "service.name"

static const char *get(el_env_fn env, const char *name)
{
    const char *value = env(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

/* The variable of traces, else that of all signals. */
static const char *get_either(el_env_fn env, const char *of_traces, const char *of_all, const char **name)
{
    const char *value = get(env, of_traces);
    *name = value != NULL ? of_traces : of_all;
    return value != NULL ? value : get(env, of_all);
}

static int refused(struct evlog_failure *failure, const char *name, const char *why)
{
    return el_fail(failure, EVLOG_ERR_INVALID_CONFIG, "%s: %s", name, why);
}

/* --- numbers ------------------------------------------------------------------------------------------------------ */

static int number(const char *name, const char *text, int64_t max, int64_t *value, struct evlog_failure *failure)
{
    char *end;
    if (text == NULL) {
        return 0;
    }
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || n < 1 || n > max) {
        return el_fail(failure, EVLOG_ERR_INVALID_CONFIG, "%s: a number from 1 to %lld is wanted, not %.60s", name,
                       (long long)max, text);
    }
    *value = n;
    return 0;
}

static int read_numbers(el_env_fn env, struct el_otlp_config *cfg, struct evlog_failure *failure)
{
    const char *name;
    const char *timeout = get_either(env, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT", &name);
    int64_t queue_max = 2048, batch_max = 512;
    cfg->timeout_ms = 10000;
    cfg->delay_ms = 5000;
    int rc = number(name, timeout, TIMEOUT_MS_MAX, &cfg->timeout_ms, failure);
    name = "OTEL_BSP_MAX_QUEUE_SIZE";
    rc = rc == 0 ? number(name, get(env, name), QUEUE_MAX, &queue_max, failure) : rc;
    name = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
    rc = rc == 0 ? number(name, get(env, name), QUEUE_MAX, &batch_max, failure) : rc;
    name = "OTEL_BSP_SCHEDULE_DELAY";
    rc = rc == 0 ? number(name, get(env, name), TIMEOUT_MS_MAX, &cfg->delay_ms, failure) : rc;
    cfg->queue_max = (uint32_t)queue_max;
    cfg->batch_max = (uint32_t)EL_MIN(batch_max, queue_max);
    return rc;
}

/* --- sampler ------------------------------------------------------------------------------------------------------ */

static int read_sampler(el_env_fn env, struct el_otlp_config *cfg, struct evlog_failure *failure)
{
    static const struct {
        const char *name;
        double ratio; /* -1: the argument's */
        bool ignores_parent;
    } samplers[] = {
        {"parentbased_always_on", 1, false},  {"always_on", 1, true},     {"always_off", 0, true},
        {"parentbased_always_off", 0, false}, {"traceidratio", -1, true}, {"parentbased_traceidratio", -1, false},
    };
    const char *name = get(env, "OTEL_TRACES_SAMPLER");
    const char *text = get(env, "OTEL_TRACES_SAMPLER_ARG");
    size_t i = 0;
    while (name != NULL && i < sizeof samplers / sizeof samplers[0] && strcmp(name, samplers[i].name) != 0) {
        i++;
    }
    if (i == sizeof samplers / sizeof samplers[0]) {
        return refused(failure, "OTEL_TRACES_SAMPLER",
                       "always_on, always_off, traceidratio, or one of them behind parentbased_ is wanted");
    }
    cfg->ignores_parent = samplers[i].ignores_parent;
    cfg->sample_ratio = samplers[i].ratio;
    if (cfg->sample_ratio < 0) {
        char *end = NULL;
        cfg->sample_ratio = text == NULL ? 1 : strtod(text, &end);
        bool ok = text == NULL || (end != text && *end == '\0' && cfg->sample_ratio >= 0 && cfg->sample_ratio <= 1);
        return ok ? 0 : refused(failure, "OTEL_TRACES_SAMPLER_ARG", "a ratio from 0 to 1 is wanted, such as 0.1");
    }
    return 0;
}

/* --- pairs -------------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* Undo percent-encoding and trim blanks; NULL: no memory. An escape that is none stays. */
static char *decoded(const char *text, size_t len)
{
    while (len > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t')) {
        len--;
    }
    char *out = el_malloc(len + 1), *to = out;
    for (size_t i = 0; out != NULL && i < len; i++) {
        bool escaped = text[i] == '%' && i + 2 < len && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
        *to++ = escaped ? (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2])) : text[i];
        i += escaped ? 2 : 0;
    }
    if (out != NULL) {
        *to = '\0';
    }
    return out;
}

/* A header must not be able to begin another one; an attribute is text. */
static bool is_good(const struct el_otlp_pair *pair, bool is_header)
{
    if (pair->key[0] == '\0' || !el_utf8_valid(pair->key, strlen(pair->key)) ||
        !el_utf8_valid(pair->value, strlen(pair->value))) {
        return false;
    }
    if (!is_header) {
        return true;
    }
    for (const char *p = pair->key; *p != '\0'; p++) {
        if (*p <= ' ' || *p >= 127 || *p == ':') {
            return false;
        }
    }
    for (const char *p = pair->value; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 127) {
            return false;
        }
    }
    return true;
}

struct pairs {
    struct el_otlp_pair *pairs; /* [max], of which *count are there */
    uint32_t max;
    uint32_t *count;
    bool are_headers;
};

/* "key=value,key=value" behind what is there. */
static int read_pairs(const char *name, const char *text, const struct pairs *to, struct evlog_failure *failure)
{
    for (const char *p = text; p != NULL && *p != '\0';) {
        const char *end = strchrnul(p, ',');
        const char *equals = memchr(p, '=', (size_t)(end - p));
        bool blank = strspn(p, " \t") >= (size_t)(end - p);
        if (!blank && (equals == NULL || *to->count == to->max)) {
            return refused(failure, name, equals == NULL ? "KEY=VALUE[,KEY=VALUE...] is wanted" : "too many of them");
        }
        if (!blank) {
            struct el_otlp_pair *pair = &to->pairs[(*to->count)++];
            pair->key = decoded(p, (size_t)(equals - p));
            pair->value = decoded(equals + 1, (size_t)(end - equals) - 1);
            if (pair->key == NULL || pair->value == NULL) {
                return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an exporter of traces");
            }
            if (!is_good(pair, to->are_headers)) {
                return refused(failure, name, "a key or a value has characters that may not be there");
            }
        }
        p = *end == '\0' ? end : end + 1;
    }
    return 0;
}

/* service.name first: OTEL_SERVICE_NAME, else among the attributes, else nobody's. */
static int read_resource(el_env_fn env, struct el_otlp_config *cfg, struct evlog_failure *failure)
{
    const char *service = get(env, "OTEL_SERVICE_NAME");
    const char *attributes = get(env, "OTEL_RESOURCE_ATTRIBUTES");
    struct el_otlp_pair *first = &cfg->attributes[0];
    cfg->attribute_count = 1;
    first->key = el_strdup(SERVICE_NAME);
    first->value = el_strdup(service == NULL ? "unknown_service" : service);
    if (first->key == NULL || first->value == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an exporter of traces");
    }
    if (!is_good(first, false)) {
        return refused(failure, "OTEL_SERVICE_NAME", "it is no UTF-8");
    }
    struct pairs to = {cfg->attributes, EL_OTLP_ATTRIBUTES_MAX, &cfg->attribute_count, false};
    int rc = read_pairs("OTEL_RESOURCE_ATTRIBUTES", attributes, &to, failure);
    for (uint32_t i = 1; rc == 0 && i < cfg->attribute_count;) {
        struct el_otlp_pair *pair = &cfg->attributes[i];
        if (strcmp(pair->key, SERVICE_NAME) != 0) {
            i++;
            continue;
        }
        if (service == NULL) {
            char *value = first->value;
            first->value = pair->value;
            pair->value = value;
        }
        el_free(pair->key);
        el_free(pair->value);
        *pair = cfg->attributes[--cfg->attribute_count];
        cfg->attributes[cfg->attribute_count] = (struct el_otlp_pair){NULL, NULL};
    }
    return rc;
}

/* --- where to ----------------------------------------------------------------------------------------------------- */

static int read_url(el_env_fn env, struct el_otlp_config *cfg, struct evlog_failure *failure)
{
    const char *name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", *whole = get(env, name), *base = NULL;
    if (whole == NULL) {
        name = "OTEL_EXPORTER_OTLP_ENDPOINT";
        base = get(env, name);
        base = base == NULL ? URL_DEFAULT : base;
    }
    const char *url = whole != NULL ? whole : base;
    size_t len = strlen(url);
    while (base != NULL && len > 0 && url[len - 1] == '/') {
        len--;
    }
    bool http = strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
    bool plain = true;
    for (size_t i = 0; i < len; i++) {
        plain = plain && url[i] > ' ' && url[i] < 127;
    }
    if (!http || !plain || len + sizeof TRACES_PATH > sizeof cfg->url) {
        return refused(failure, name, "a URL such as http://localhost:4318 is wanted");
    }
    (void)snprintf(cfg->url, sizeof cfg->url, "%.*s%s", (int)len, url, base != NULL ? TRACES_PATH : "");
    return 0;
}

static int read_exporter(el_env_fn env, struct el_otlp_config *cfg, struct evlog_failure *failure)
{
    const char *name;
    const char *protocol = get_either(env, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL", &name);
    if (protocol != NULL && strcmp(protocol, "http/json") != 0) {
        return refused(failure, name, "evlog speaks http/json, which collectors take where they take http/protobuf");
    }
    const char *ca_file = get_either(env, "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE",
                                     &name);
    if (ca_file != NULL && strlen(ca_file) >= sizeof cfg->ca_file) {
        return refused(failure, name, "the path is too long");
    }
    (void)snprintf(cfg->ca_file, sizeof cfg->ca_file, "%s", ca_file == NULL ? "" : ca_file);
    const char *headers = get_either(env, "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", &name);
    struct pairs to = {cfg->headers, EL_OTLP_HEADERS_MAX, &cfg->header_count, true};
    int rc = read_pairs(name, headers, &to, failure);
    return rc == 0 ? read_url(env, cfg, failure) : rc;
}

int el_otlp_config_read(el_env_fn env, struct el_otlp_config *cfg, struct evlog_failure *failure)
{
    const char *disabled = get(env, "OTEL_SDK_DISABLED"), *exporter = get(env, "OTEL_TRACES_EXPORTER"), *name;
    bool endpoint = get_either(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", &name) != NULL;
    if (exporter != NULL && strcmp(exporter, "otlp") != 0 && strcmp(exporter, "none") != 0) {
        return refused(failure, "OTEL_TRACES_EXPORTER", "otlp or none is wanted");
    }
    bool wanted = exporter != NULL ? strcmp(exporter, "otlp") == 0 : endpoint;
    cfg->on = wanted && (disabled == NULL || strcasecmp(disabled, "true") != 0);
    if (!cfg->on) {
        return 0;
    }
    int rc = read_exporter(env, cfg, failure);
    rc = rc == 0 ? read_numbers(env, cfg, failure) : rc;
    rc = rc == 0 ? read_sampler(env, cfg, failure) : rc;
    return rc == 0 ? read_resource(env, cfg, failure) : rc;
}

void el_otlp_config_free(struct el_otlp_config *cfg)
{
    for (uint32_t i = 0; i < cfg->header_count; i++) {
        if (cfg->headers[i].value != NULL) {
            explicit_bzero(cfg->headers[i].value, strlen(cfg->headers[i].value));
        }
        el_free(cfg->headers[i].key);
        el_free(cfg->headers[i].value);
    }
    for (uint32_t i = 0; i < cfg->attribute_count; i++) {
        el_free(cfg->attributes[i].key);
        el_free(cfg->attributes[i].value);
    }
    memset(cfg, 0, sizeof *cfg);
}
