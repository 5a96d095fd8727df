/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of a client: one table of names, defaults, kinds and bounds; texts in, numbers out.
 *
 * 1. evlog_settings_set() checks name and value at once, so that a mistake is told where it was made.
 * 2. el_client_config_make() turns all texts into numbers and checks what no single value shows.
 *
 * Fails with EVLOG_ERR_INVALID_CONFIG and a hint, or for want of memory; a failed change leaves the old value.
 */
#include "client_config.h"
#include "fail.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/buffer.h>
#include <core/nearest.h>
#include <core/timefmt.h>
#include <errno.h>
#include <evlog/client.h>
#include <stdio.h>
#include <strings.h>

#define MS_MAX 2147483647ll
#define LEN_MAX (1ll << 40)
#define REQUEST_MAX (100ll << 20)
#define PATH_LEN_MAX 4095
#define FILE_LEN_MAX (1u << 20)
#define PROTOCOL_TLS 1 /* bits of KIND_PROTOCOL's places */
#define PROTOCOL_SASL 2

enum kind {
    KIND_TEXT,
    KIND_MS,
    KIND_LEN,
    KIND_COUNT,
    KIND_BOOL,
    KIND_CODEC,
    KIND_ACKS,
    KIND_STRATEGIES,
    KIND_RESET,
    KIND_PROTOCOL,
    KIND_NAME_CHECK,
    KIND_MECHANISM,
    KIND_SECRET, /* never shown */
};

enum setting {
    SETTING_BOOTSTRAP,
    SETTING_CLIENT_ID,
    SETTING_REQUEST_TIMEOUT,
    SETTING_CONNECT_TIMEOUT,
    SETTING_RECONNECT_BACKOFF,
    SETTING_RECONNECT_BACKOFF_MAX,
    SETTING_RETRY_BACKOFF,
    SETTING_RETRY_BACKOFF_MAX,
    SETTING_METADATA_MAX_AGE,
    SETTING_AUTO_CREATE,
    SETTING_ACKS,
    SETTING_IDEMPOTENCE,
    SETTING_DELIVERY_TIMEOUT,
    SETTING_LINGER,
    SETTING_BATCH_LEN,
    SETTING_REQUEST_LEN_MAX,
    SETTING_CODEC,
    SETTING_BUFFER_LEN_MAX,
    SETTING_BLOCK_MAX,
    SETTING_IN_FLIGHT_MAX,
    SETTING_FETCH_LEN_MAX,
    SETTING_PARTITION_FETCH_LEN_MAX,
    SETTING_FETCH_LEN_MIN,
    SETTING_FETCH_WAIT,
    SETTING_GROUP,
    SETTING_INSTANCE,
    SETTING_STRATEGIES,
    SETTING_SESSION_TIMEOUT,
    SETTING_HEARTBEAT,
    SETTING_POLL_INTERVAL,
    SETTING_AUTO_COMMIT,
    SETTING_AUTO_COMMIT_INTERVAL,
    SETTING_AUTO_STORE,
    SETTING_RESET,
    SETTING_PROTOCOL,
    SETTING_TLS_CA,
    SETTING_TLS_CERTIFICATE,
    SETTING_TLS_KEY,
    SETTING_TLS_NAME,
    SETTING_SASL_MECHANISM,
    SETTING_SASL_USERNAME,
    SETTING_SASL_PASSWORD,
    SETTING_COUNT,
};

static const struct row {
    const char *key;
    const char *initial;
    enum kind kind;
    int64_t min;
    int64_t max;
} rows[SETTING_COUNT] = {
    [SETTING_BOOTSTRAP] = {"bootstrap.servers", "127.0.0.1:9092", KIND_TEXT, 1, 4096},
    [SETTING_CLIENT_ID] = {"client.id", "evlog", KIND_TEXT, 0, 249},
    [SETTING_REQUEST_TIMEOUT] = {"request.timeout.ms", "30000", KIND_MS, 1, MS_MAX},
    [SETTING_CONNECT_TIMEOUT] = {"socket.connection.setup.timeout.ms", "10000", KIND_MS, 1, MS_MAX},
    [SETTING_RECONNECT_BACKOFF] = {"reconnect.backoff.ms", "50", KIND_MS, 0, MS_MAX},
    [SETTING_RECONNECT_BACKOFF_MAX] = {"reconnect.backoff.max.ms", "1000", KIND_MS, 0, MS_MAX},
    [SETTING_RETRY_BACKOFF] = {"retry.backoff.ms", "100", KIND_MS, 0, MS_MAX},
    [SETTING_RETRY_BACKOFF_MAX] = {"retry.backoff.max.ms", "1000", KIND_MS, 0, MS_MAX},
    [SETTING_METADATA_MAX_AGE] = {"metadata.max.age.ms", "300000", KIND_MS, 1, MS_MAX},
    [SETTING_AUTO_CREATE] = {"allow.auto.create.topics", "true", KIND_BOOL, 0, 1},
    [SETTING_ACKS] = {"acks", "all", KIND_ACKS, -1, 1},
    [SETTING_IDEMPOTENCE] = {"enable.idempotence", "true", KIND_BOOL, 0, 1},
    [SETTING_DELIVERY_TIMEOUT] = {"delivery.timeout.ms", "120000", KIND_MS, 1, MS_MAX},
    [SETTING_LINGER] = {"linger.ms", "5", KIND_MS, 0, MS_MAX},
    [SETTING_BATCH_LEN] = {"batch.size", "16384", KIND_LEN, 0, REQUEST_MAX},
    [SETTING_REQUEST_LEN_MAX] = {"max.request.size", "1048576", KIND_LEN, 1, REQUEST_MAX / 2},
    [SETTING_CODEC] = {"compression.type", "lz4", KIND_CODEC, 0, 4},
    [SETTING_BUFFER_LEN_MAX] = {"buffer.memory", "33554432", KIND_LEN, 1, LEN_MAX},
    [SETTING_BLOCK_MAX] = {"max.block.ms", "60000", KIND_MS, 0, MS_MAX},
    [SETTING_IN_FLIGHT_MAX] = {"max.in.flight.requests.per.connection", "5", KIND_COUNT, 1, 1000},
    [SETTING_FETCH_LEN_MAX] = {"fetch.max.bytes", "8388608", KIND_LEN, 1, REQUEST_MAX / 2},
    [SETTING_PARTITION_FETCH_LEN_MAX] = {"max.partition.fetch.bytes", "1048576", KIND_LEN, 1, REQUEST_MAX / 2},
    [SETTING_FETCH_LEN_MIN] = {"fetch.min.bytes", "1", KIND_LEN, 0, REQUEST_MAX / 2},
    [SETTING_FETCH_WAIT] = {"fetch.max.wait.ms", "500", KIND_MS, 0, MS_MAX},
    [SETTING_GROUP] = {"group.id", "", KIND_TEXT, 0, 249},
    [SETTING_INSTANCE] = {"group.instance.id", "", KIND_TEXT, 0, 249},
    [SETTING_STRATEGIES] = {"partition.assignment.strategy", "cooperative-sticky", KIND_STRATEGIES, 1,
                            EL_ASSIGNOR_COUNT},
    [SETTING_SESSION_TIMEOUT] = {"session.timeout.ms", "45000", KIND_MS, 1, MS_MAX},
    [SETTING_HEARTBEAT] = {"heartbeat.interval.ms", "3000", KIND_MS, 1, MS_MAX},
    [SETTING_POLL_INTERVAL] = {"max.poll.interval.ms", "300000", KIND_MS, 1, MS_MAX},
    [SETTING_AUTO_COMMIT] = {"enable.auto.commit", "true", KIND_BOOL, 0, 1},
    [SETTING_AUTO_COMMIT_INTERVAL] = {"auto.commit.interval.ms", "5000", KIND_MS, 1, MS_MAX},
    [SETTING_AUTO_STORE] = {"enable.auto.offset.store", "true", KIND_BOOL, 0, 1},
    [SETTING_RESET] = {"auto.offset.reset", "latest", KIND_RESET, EVLOG_OFFSET_EARLIEST, EL_RESET_NONE},
    [SETTING_PROTOCOL] = {"security.protocol", "plaintext", KIND_PROTOCOL, 0, 3},
    [SETTING_TLS_CA] = {"ssl.ca.location", "", KIND_TEXT, 0, PATH_LEN_MAX},
    [SETTING_TLS_CERTIFICATE] = {"ssl.certificate.location", "", KIND_TEXT, 0, PATH_LEN_MAX},
    [SETTING_TLS_KEY] = {"ssl.key.location", "", KIND_TEXT, 0, PATH_LEN_MAX},
    [SETTING_TLS_NAME] = {"ssl.endpoint.identification.algorithm", "https", KIND_NAME_CHECK, 0, 1},
    [SETTING_SASL_MECHANISM] = {"sasl.mechanism", "SCRAM-SHA-256", KIND_MECHANISM, 0, 2},
    [SETTING_SASL_USERNAME] = {"sasl.username", "", KIND_TEXT, 0, EL_SCRAM_NAME_MAX},
    [SETTING_SASL_PASSWORD] = {"sasl.password", "", KIND_SECRET, 0, EL_SASL_PASSWORD_MAX},
};

struct evlog_settings {
    char *text[SETTING_COUNT]; /* NULL: the default */
};

/* "range,cooperative-sticky", each at most once, into assignors. returns their number, 0 when the text is not
 * allowed */
static uint32_t parse_strategies(const char *text, enum el_assignor *assignors)
{
    uint32_t count = 0;
    for (const char *end = text; *end != '\0'; text = end + 1) {
        end = strchrnul(text, ',');
        int assignor = el_assignor_by_name(el_slice_of(text, (size_t)(end - text)));
        for (uint32_t i = 0; i < count; i++) {
            assignor = assignors[i] == (enum el_assignor)assignor ? -1 : assignor;
        }
        if (assignor < 0) {
            return 0;
        }
        assignors[count++] = (enum el_assignor)assignor;
    }
    return count;
}

/* Kafka's words, and those that older clients know too. */
static bool parse_reset(const char *text, int64_t *value)
{
    static const struct {
        const char *word;
        int64_t value;
    } words[] = {
        {"latest", EVLOG_OFFSET_LATEST},
        {"end", EVLOG_OFFSET_LATEST},
        {"largest", EVLOG_OFFSET_LATEST},
        {"earliest", EVLOG_OFFSET_EARLIEST},
        {"beginning", EVLOG_OFFSET_EARLIEST},
        {"smallest", EVLOG_OFFSET_EARLIEST},
        {"none", EL_RESET_NONE},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i].word) == 0) {
            *value = words[i].value;
            return true;
        }
    }
    return false;
}

/* The words of a kind, whose values are their places. */
static const char *words_of(enum kind kind)
{
    if (kind == KIND_MECHANISM) {
        return "SCRAM-SHA-256|SCRAM-SHA-512|PLAIN";
    }
    return kind == KIND_PROTOCOL ? "plaintext|ssl|sasl_plaintext|sasl_ssl" : "none|https";
}

/* The place of a word among others; case does not matter, as in Kafka. */
static bool parse_word(const char *p, const char *text, int64_t *value)
{
    size_t len = strlen(text);
    for (int64_t place = 0; len > 0; place++) {
        size_t word_len = strcspn(p, "|");
        if (word_len == len && strncasecmp(p, text, len) == 0) {
            *value = place;
            return true;
        }
        if (p[word_len] == '\0') {
            return false;
        }
        p += word_len + 1;
    }
    return false;
}

static bool parse_number(const struct row *row, const char *text, int64_t *value)
{
    enum el_assignor assignors[EL_ASSIGNOR_COUNT];
    uint64_t len;
    switch (row->kind) {
    case KIND_MS:
        return el_duration_parse(text, value, NULL) == 0;
    case KIND_LEN:
    case KIND_COUNT:
        if (el_size_parse(text, &len, NULL) != 0 || len > INT64_MAX) {
            return false;
        }
        *value = (int64_t)len;
        return true;
    case KIND_BOOL:
        *value = strcmp(text, "true") == 0;
        return *value == 1 || strcmp(text, "false") == 0;
    case KIND_CODEC:
        *value = el_codec_by_name(text);
        return *value >= 0;
    case KIND_ACKS:
        *value = strcmp(text, "1") == 0 ? 1 : strcmp(text, "0") == 0 ? 0 : -1;
        return *value >= 0 || strcmp(text, "all") == 0 || strcmp(text, "-1") == 0;
    case KIND_STRATEGIES:
        *value = parse_strategies(text, assignors);
        return true;
    case KIND_RESET:
        return parse_reset(text, value);
    case KIND_PROTOCOL:
    case KIND_NAME_CHECK:
    case KIND_MECHANISM:
        return parse_word(words_of(row->kind), text, value);
    case KIND_TEXT:
    case KIND_SECRET:
        *value = (int64_t)strlen(text);
        return true;
    }
    return false;
}

static const char *kind_help(enum kind kind)
{
    switch (kind) {
    case KIND_PROTOCOL:
    case KIND_NAME_CHECK:
    case KIND_MECHANISM:
        return words_of(kind);
    case KIND_MS:
        return "a duration such as 500, 500ms or 5s";
    case KIND_LEN:
        return "a size such as 16384 or 16KiB";
    case KIND_COUNT:
        return "a number";
    case KIND_BOOL:
        return "true or false";
    case KIND_CODEC:
        return "none, gzip, snappy, lz4 or zstd";
    case KIND_ACKS:
        return "all, 1 or 0";
    case KIND_STRATEGIES:
        return "range, roundrobin, cooperative-sticky, or several with commas between them";
    case KIND_RESET:
        return "earliest, latest or none";
    case KIND_TEXT:
    case KIND_SECRET:
        return "a text of allowed length";
    }
    return "";
}

static bool value_ok(const struct row *row, const char *text, int64_t *value)
{
    return parse_number(row, text, value) && *value >= row->min && *value <= row->max;
}

/* Free a text that may be a password. */
static void text_free(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        el_free(text);
    }
}

int evlog_settings_new(struct evlog_settings **settings)
{
    struct evlog_settings *fresh = el_calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    *settings = fresh;
    return 0;
}

void evlog_settings_free(struct evlog_settings *settings)
{
    if (settings != NULL) {
        for (int i = 0; i < SETTING_COUNT; i++) {
            text_free(settings->text[i]);
        }
        el_free(settings);
    }
}

static int find(const char *key)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(rows[i].key, key) == 0) {
            return i;
        }
    }
    return -1;
}

static int unknown_key(const char *key, struct evlog_failure *failure)
{
    const char *keys[SETTING_COUNT];
    for (int i = 0; i < SETTING_COUNT; i++) {
        keys[i] = rows[i].key;
    }
    const char *near = el_nearest(key, keys, SETTING_COUNT);
    int code = el_fail(failure, EVLOG_ERR_INVALID_CONFIG, "unknown client setting \"%.100s\"", key);
    if (near != NULL) {
        el_fail_hint(failure, "did you mean %s?", near);
    }
    return code;
}

int evlog_settings_set(struct evlog_settings *settings, const char *key, const char *value,
                       struct evlog_failure *failure)
{
    int index = find(key);
    if (index < 0) {
        return unknown_key(key, failure);
    }
    int64_t number;
    if (!value_ok(&rows[index], value, &number)) {
        bool secret = rows[index].kind == KIND_SECRET;
        (void)el_fail(failure, EVLOG_ERR_INVALID_CONFIG,
                      secret ? "%s: the value%.0s is not allowed" : "%s: \"%.100s\" is not allowed", key, value);
        el_fail_hint(failure, "%s takes %s", key, kind_help(rows[index].kind));
        return EVLOG_ERR_INVALID_CONFIG;
    }
    char *copy = el_strdup(value);
    if (copy == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for setting %s", key);
    }
    text_free(settings->text[index]);
    settings->text[index] = copy;
    return 0;
}

static const char *text_of(const struct evlog_settings *settings, int index)
{
    return settings == NULL || settings->text[index] == NULL ? rows[index].initial : settings->text[index];
}

const char *evlog_settings_get(const struct evlog_settings *settings, const char *key)
{
    int index = find(key);
    return index < 0 ? NULL : text_of(settings, index);
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    return text;
}

static int load_line(struct evlog_settings *settings, char *line, struct evlog_failure *failure)
{
    char *key = trim(line);
    if (*key == '\0' || *key == '#') {
        return 0;
    }
    char *equals = strchr(key, '=');
    if (equals == NULL) {
        size_t word_len = strcspn(key, " \t:"); /* no more of it: what follows may be a password */
        return el_fail(failure, EVLOG_ERR_INVALID_CONFIG, "expected \"key = value\", found \"%.*s\" without \"=\"",
                       (int)EL_MIN(word_len, 60u), key);
    }
    *equals = '\0';
    return evlog_settings_set(settings, trim(key), trim(equals + 1), failure);
}

static int read_file(const char *path, struct el_buffer *text, struct evlog_failure *failure)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        int code = el_error_from_errno(errno);
        return el_fail(failure, code, "%s: cannot be read: %s", path, evlog_error_text(code));
    }
    char chunk[4096];
    size_t len;
    while (text->err == 0 && text->len < FILE_LEN_MAX && (len = fread(chunk, 1, sizeof chunk, file)) > 0) {
        el_buffer_append(text, chunk, len);
    }
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    if (failed) {
        return el_fail(failure, EVLOG_ERR_IO, "%s: cannot be read", path);
    }
    return text->err == 0 ? 0 : el_fail(failure, EVLOG_ERR_NO_MEMORY, "%s: no memory to read it", path);
}

int evlog_settings_load(struct evlog_settings *settings, const char *path, struct evlog_failure *failure)
{
    struct el_buffer text = {0};
    int rc = read_file(path, &text, failure);
    char *line = rc == 0 ? (char *)(uintptr_t)el_buffer_text(&text) : NULL;
    if (rc == 0 && line == NULL) {
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "%s: no memory to read it", path);
    }
    for (int number = 1; rc == 0 && line != NULL; number++) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        rc = load_line(settings, line, failure);
        if (rc != 0) {
            el_fail_wrap(failure, "%s:%d", path, number);
        }
        line = end == NULL ? NULL : end + 1;
    }
    el_buffer_free(&text);
    return rc;
}

/* --- numbers ---------------------------------------------------------------------------------------------------- */

static int64_t number_of(const struct evlog_settings *settings, int index)
{
    int64_t value = 0;
    bool ok = value_ok(&rows[index], text_of(settings, index), &value);
    EL_ASSERT(ok);
    return value;
}

static int check_together(const struct evlog_settings *settings, struct el_client_config *cfg,
                          struct evlog_failure *failure)
{
    bool asked = settings != NULL && settings->text[SETTING_IDEMPOTENCE] != NULL;
    if (cfg->idempotence && (cfg->acks != -1 || cfg->in_flight_max > 5)) {
        if (asked) {
            return el_fail(failure, EVLOG_ERR_INVALID_CONFIG,
                           "enable.idempotence needs acks=all and at most 5 "
                           "max.in.flight.requests.per.connection");
        }
        cfg->idempotence = false;
    }
    if (cfg->delivery_timeout_ms < cfg->linger_ms) {
        return el_fail(failure, EVLOG_ERR_INVALID_CONFIG, "delivery.timeout.ms is shorter than linger.ms");
    }
    if (cfg->heartbeat_ms >= cfg->session_timeout_ms) {
        return el_fail(failure, EVLOG_ERR_INVALID_CONFIG,
                       "heartbeat.interval.ms must be shorter than session.timeout.ms: a third of it is usual");
    }
    return 0;
}

static void make_group(const struct evlog_settings *settings, struct el_client_config *cfg)
{
    cfg->assignor_count = parse_strategies(text_of(settings, SETTING_STRATEGIES), cfg->assignors);
    cfg->session_timeout_ms = number_of(settings, SETTING_SESSION_TIMEOUT);
    cfg->heartbeat_ms = number_of(settings, SETTING_HEARTBEAT);
    cfg->poll_interval_ms = number_of(settings, SETTING_POLL_INTERVAL);
    cfg->auto_commit = number_of(settings, SETTING_AUTO_COMMIT) != 0;
    cfg->auto_commit_ms = number_of(settings, SETTING_AUTO_COMMIT_INTERVAL);
    cfg->auto_store = number_of(settings, SETTING_AUTO_STORE) != 0;
    cfg->reset_offset = number_of(settings, SETTING_RESET);
}

static int make_security(const struct evlog_settings *settings, struct el_client_config *cfg,
                         struct evlog_failure *failure)
{
    int64_t protocol = number_of(settings, SETTING_PROTOCOL);
    cfg->tls = (protocol & PROTOCOL_TLS) != 0;
    cfg->sasl = (protocol & PROTOCOL_SASL) != 0;
    cfg->tls_check_name = number_of(settings, SETTING_TLS_NAME) != 0;
    cfg->sasl_mechanism = EL_SCRAM_SHA256 + (int)number_of(settings, SETTING_SASL_MECHANISM);
    bool named = text_of(settings, SETTING_SASL_USERNAME)[0] != '\0' &&
                 text_of(settings, SETTING_SASL_PASSWORD)[0] != '\0';
    if (cfg->sasl && !named) {
        (void)el_fail(failure, EVLOG_ERR_INVALID_CONFIG, "security.protocol=%s needs sasl.username and sasl.password",
                      text_of(settings, SETTING_PROTOCOL));
        el_fail_hint(failure, "set them in a file of settings that only you can read, or in the environment");
        return EVLOG_ERR_INVALID_CONFIG;
    }
    if (cfg->sasl && !cfg->tls && cfg->sasl_mechanism == EL_SASL_PLAIN) {
        (void)el_fail(failure, EVLOG_ERR_INVALID_CONFIG,
                      "sasl.mechanism=PLAIN shows the password to the broker, and to everybody on the way without TLS");
        el_fail_hint(failure, "set security.protocol=sasl_ssl, or sasl.mechanism=SCRAM-SHA-256");
        return EVLOG_ERR_INVALID_CONFIG;
    }
    return 0;
}

int el_client_config_make(const struct evlog_settings *settings, struct el_client_config *cfg,
                          struct evlog_failure *failure)
{
    memset(cfg, 0, sizeof *cfg);
    cfg->request_timeout_ms = number_of(settings, SETTING_REQUEST_TIMEOUT);
    cfg->connect_timeout_ms = number_of(settings, SETTING_CONNECT_TIMEOUT);
    cfg->reconnect_backoff_ms = number_of(settings, SETTING_RECONNECT_BACKOFF);
    cfg->reconnect_backoff_max_ms = number_of(settings, SETTING_RECONNECT_BACKOFF_MAX);
    cfg->retry_backoff_ms = number_of(settings, SETTING_RETRY_BACKOFF);
    cfg->retry_backoff_max_ms = number_of(settings, SETTING_RETRY_BACKOFF_MAX);
    cfg->metadata_max_age_ms = number_of(settings, SETTING_METADATA_MAX_AGE);
    cfg->auto_create = number_of(settings, SETTING_AUTO_CREATE) != 0;
    cfg->acks = (int16_t)number_of(settings, SETTING_ACKS);
    cfg->idempotence = number_of(settings, SETTING_IDEMPOTENCE) != 0;
    cfg->delivery_timeout_ms = number_of(settings, SETTING_DELIVERY_TIMEOUT);
    cfg->linger_ms = number_of(settings, SETTING_LINGER);
    cfg->batch_len = (size_t)number_of(settings, SETTING_BATCH_LEN);
    cfg->request_len_max = (size_t)number_of(settings, SETTING_REQUEST_LEN_MAX);
    cfg->codec = (enum el_codec)number_of(settings, SETTING_CODEC);
    cfg->buffer_len_max = (size_t)number_of(settings, SETTING_BUFFER_LEN_MAX);
    cfg->block_max_ms = number_of(settings, SETTING_BLOCK_MAX);
    cfg->in_flight_max = (uint32_t)number_of(settings, SETTING_IN_FLIGHT_MAX);
    cfg->fetch_len_max = (int32_t)number_of(settings, SETTING_FETCH_LEN_MAX);
    cfg->partition_fetch_len_max = (int32_t)number_of(settings, SETTING_PARTITION_FETCH_LEN_MAX);
    cfg->fetch_len_min = (int32_t)number_of(settings, SETTING_FETCH_LEN_MIN);
    cfg->fetch_wait_ms = (int32_t)number_of(settings, SETTING_FETCH_WAIT);
    make_group(settings, cfg);
    int rc = check_together(settings, cfg, failure);
    if (rc == 0) {
        rc = make_security(settings, cfg, failure);
    }
    if (rc != 0) {
        return rc;
    }
    cfg->sasl_username = el_strdup(text_of(settings, SETTING_SASL_USERNAME));
    cfg->sasl_password = el_strdup(text_of(settings, SETTING_SASL_PASSWORD));
    cfg->tls_ca = el_strdup(text_of(settings, SETTING_TLS_CA));
    cfg->tls_certificate = el_strdup(text_of(settings, SETTING_TLS_CERTIFICATE));
    cfg->tls_key = el_strdup(text_of(settings, SETTING_TLS_KEY));
    cfg->bootstrap = el_strdup(text_of(settings, SETTING_BOOTSTRAP));
    cfg->client_id = el_strdup(text_of(settings, SETTING_CLIENT_ID));
    cfg->group = el_strdup(text_of(settings, SETTING_GROUP));
    cfg->instance_id = el_strdup(text_of(settings, SETTING_INSTANCE));
    if (cfg->bootstrap == NULL || cfg->client_id == NULL || cfg->group == NULL || cfg->instance_id == NULL ||
        cfg->tls_ca == NULL || cfg->tls_certificate == NULL || cfg->tls_key == NULL || cfg->sasl_username == NULL ||
        cfg->sasl_password == NULL) {
        el_client_config_free(cfg);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a client");
    }
    return 0;
}

void el_client_config_free(struct el_client_config *cfg)
{
    el_free(cfg->bootstrap);
    el_free(cfg->client_id);
    el_free(cfg->group);
    el_free(cfg->instance_id);
    el_free(cfg->tls_ca);
    el_free(cfg->tls_certificate);
    el_free(cfg->tls_key);
    el_free(cfg->sasl_username);
    text_free(cfg->sasl_password);
    cfg->sasl_username = cfg->sasl_password = NULL;
    cfg->tls_ca = cfg->tls_certificate = cfg->tls_key = NULL;
    cfg->bootstrap = cfg->client_id = cfg->group = cfg->instance_id = NULL;
}
