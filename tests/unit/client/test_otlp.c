/* SPDX-License-Identifier: Apache-2.0
 *
 * The exporter's settings and its JSON. Goal: what OpenTelemetry's variables say is done, what has no meaning is
 * refused by the variable's name and without a secret, and any span becomes JSON. Method: an environment of the
 * test's own.
 */
#include "../../../client/otlp.h"
#include "../../lib/test.h"

#include <core/json.h>
#include <evlog/error.h>
#include <stdlib.h>
#include <string.h>

static const char *variables[16]; /* NAME, VALUE, ... NULL */

static const char *env(const char *name)
{
    for (size_t i = 0; variables[i] != NULL; i += 2) {
        if (strcmp(variables[i], name) == 0) {
            return variables[i + 1];
        }
    }
    return NULL;
}

static int read_cfg(struct el_otlp_config *cfg, struct evlog_failure *failure, const char *const *pairs)
{
    size_t n = 0;
    for (; pairs[n] != NULL; n++) {
        assert_true(n + 1 < sizeof variables / sizeof variables[0]);
        variables[n] = pairs[n];
    }
    variables[n] = NULL;
    memset(cfg, 0, sizeof *cfg);
    return el_otlp_config_read(env, cfg, failure);
}

#define READ(cfg, failure, ...) read_cfg(cfg, failure, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

TEST(otlp, nothing_is_on_unless_it_is_asked_for)
{
    struct el_otlp_config cfg;
    assert_int_equal(READ(&cfg, NULL, "OTEL_SERVICE_NAME", "shop", "OTEL_TRACES_SAMPLER", "what"), 0);
    assert_false(cfg.on);
    el_otlp_config_free(&cfg);
    assert_int_equal(READ(&cfg, NULL, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://h", "OTEL_SDK_DISABLED", "TRUE"), 0);
    assert_false(cfg.on);
    el_otlp_config_free(&cfg);
    assert_int_equal(READ(&cfg, NULL, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://h", "OTEL_TRACES_EXPORTER", "none"), 0);
    assert_false(cfg.on);
    el_otlp_config_free(&cfg);
    assert_int_equal(READ(&cfg, NULL, "OTEL_EXPORTER_OTLP_ENDPOINT", ""), 0);
    assert_false(cfg.on);
    el_otlp_config_free(&cfg);
}

TEST(otlp, settings_have_opentelemetrys_defaults_and_names)
{
    struct el_otlp_config cfg;
    assert_int_equal(READ(&cfg, NULL, "OTEL_TRACES_EXPORTER", "otlp"), 0);
    assert_true(cfg.on);
    assert_string_equal(cfg.url, "http://localhost:4318/v1/traces");
    assert_int_equal(cfg.timeout_ms, 10000);
    assert_int_equal(cfg.queue_max, 2048);
    assert_int_equal(cfg.batch_max, 512);
    assert_int_equal(cfg.delay_ms, 5000);
    assert_true(cfg.sample_ratio == 1);
    assert_false(cfg.ignores_parent);
    assert_string_equal(cfg.attributes[0].value, "unknown_service");
    el_otlp_config_free(&cfg);
    assert_int_equal(READ(&cfg, NULL, "OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:1/x//", "OTEL_EXPORTER_OTLP_HEADERS",
                          " api-key = a%20b%zz ,, x=1=2", "OTEL_RESOURCE_ATTRIBUTES", "k=v,service.name=shop,l=w",
                          "OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.25"),
                     0);
    assert_string_equal(cfg.url, "https://c:1/x/v1/traces");
    assert_int_equal(cfg.header_count, 2);
    assert_string_equal(cfg.headers[0].key, "api-key");
    assert_string_equal(cfg.headers[0].value, "a b%zz");
    assert_string_equal(cfg.headers[1].value, "1=2");
    assert_int_equal(cfg.attribute_count, 3);
    assert_string_equal(cfg.attributes[0].value, "shop");
    assert_true(cfg.sample_ratio == 0.25);
    assert_true(cfg.ignores_parent);
    el_otlp_config_free(&cfg);
    assert_int_equal(READ(&cfg, NULL, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/there",
                          "OTEL_EXPORTER_OTLP_ENDPOINT", "http://d", "OTEL_SERVICE_NAME", "own",
                          "OTEL_RESOURCE_ATTRIBUTES", "service.name=shop"),
                     0);
    assert_string_equal(cfg.url, "http://c/there");
    assert_string_equal(cfg.attributes[0].value, "own");
    assert_int_equal(cfg.attribute_count, 1);
    el_otlp_config_free(&cfg);
}

TEST(otlp, what_has_no_meaning_is_refused_by_its_name_and_without_secrets)
{
    static const char *const bad[][2] = {
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "file:///etc/passwd"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a b"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
        {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10s"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT", "0"},
        {"OTEL_BSP_MAX_QUEUE_SIZE", "99999999999999999999"},
        {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"},
        {"OTEL_BSP_SCHEDULE_DELAY", "x"},
        {"OTEL_TRACES_SAMPLER", "sometimes"},
        {"OTEL_TRACES_EXPORTER", "jaeger"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "key-without-value-secret"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "k=a%0d%0asecret: 1"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "k k=secret"},
        {"OTEL_RESOURCE_ATTRIBUTES", "k=%ff"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct el_otlp_config cfg;
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        bool is_endpoint = strcmp(bad[i][0], "OTEL_EXPORTER_OTLP_ENDPOINT") == 0;
        int rc = is_endpoint ? READ(&cfg, &failure, bad[i][0], bad[i][1])
                             : READ(&cfg, &failure, bad[i][0], bad[i][1], "OTEL_EXPORTER_OTLP_ENDPOINT", "http://h");
        if (rc != EVLOG_ERR_INVALID_CONFIG || strstr(failure.text, bad[i][0]) == NULL ||
            strstr(failure.text, "secret") != NULL) {
            fail_msg("%s=%s: %d %s", bad[i][0], bad[i][1], rc, failure.text);
        }
        el_otlp_config_free(&cfg);
    }
    for (const char *const *arg = (const char *const[]){"", "-0.1", "1.1", "nan", "0.5x", NULL}; *arg != NULL; arg++) {
        struct el_otlp_config cfg;
        int rc = READ(&cfg, NULL, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://h", "OTEL_TRACES_SAMPLER",
                      "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", *arg);
        assert_int_equal(rc, (*arg)[0] == '\0' ? 0 : EVLOG_ERR_INVALID_CONFIG);
        el_otlp_config_free(&cfg);
    }
}

#define LINK "{\"traceId\":\"01000000000000000000000000000000\",\"spanId\":\"0200000000000000\",\"flags\":1,"
#define LINKS                                                                                                          \
    "\"links\":[" LINK "\"attributes\":[{\"key\":\"messaging.destination.partition.id\","                              \
    "\"value\":{\"stringValue\":\"3\"}},{\"key\":\"messaging.kafka.offset\",\"value\":{\"intValue\":\"7\"}}]}," LINK   \
    "\"attributes\":[]}],\"droppedLinksCount\":5,\"status\""

TEST_TORTURE(otlp, settings_and_json_survive_a_lack_of_memory)
{
    struct el_otlp_config cfg;
    struct el_buffer out = {0};
    struct evlog_span span = {
        .context = {.trace_id = {1}, .span_id = {2}, .flags = 1},
        .operation = "publish",
        .operation_type = "send",
        .topic = "\"t\"",
        .client_id = "c",
        .partition = -1,
        .offset = -1,
        .body_len = -1,
        .error_type = "EVLOG_ERR_FULL",
    };
    struct evlog_span_link links[] = {{span.context, 3, 7}, {span.context, -1, -1}};
    struct evlog_span linked = span;
    linked.projection = "p";
    linked.links = links;
    linked.link_count = 2;
    linked.links_left_out = 5;
    const struct evlog_span *spans[] = {&span, &linked};
    int rc = READ(&cfg, NULL, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://h", "OTEL_RESOURCE_ATTRIBUTES", "a=b",
                  "OTEL_EXPORTER_OTLP_HEADERS", "k=v");
    rc = rc == 0 ? el_otlp_encode(&cfg, spans, 2, &out) : rc;
    if (rc != 0) {
        assert_true(el_test_failing());
        assert_int_equal(rc, EVLOG_ERR_NO_MEMORY);
    } else {
        const char *text = el_buffer_text(&out);
        assert_true(text != NULL || el_test_failing());
        assert_true(text == NULL || strstr(text, "\"name\":\"publish \\\"t\\\"\"") != NULL);
        assert_true(text == NULL || strstr(text, "\"traceId\":\"01000000000000000000000000000000\"") != NULL);
        assert_true(text == NULL || strstr(text, LINKS) != NULL);
    }
    el_buffer_free(&out);
    el_otlp_config_free(&cfg);
}

TEST(otlp, a_collector_says_how_many_spans_it_refuses)
{
    static const struct {
        const char *answer;
        uint32_t refused;
        const char *message;
    } rows[] = {
        {"", 0, ""},
        {"not JSON", 0, ""},
        {"{}", 0, ""},
        {"[]", 0, ""},
        {"{\"partialSuccess\":null}", 0, ""},
        {"{\"partialSuccess\":[1]}", 0, ""},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"old\"}}", 3, "old"},
        {"{\"partialSuccess\":{\"rejectedSpans\":3}}", 3, ""},
        {"{\"partialSuccess\":{\"rejectedSpans\":11}}", 10, ""},
        {"{\"partialSuccess\":{\"rejectedSpans\":-1}}", 0, ""},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"-1\"}}", 0, ""},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"18446744073709551617\"}}", 0, ""},
        {"{\"partialSuccess\":{\"rejectedSpans\":true,\"errorMessage\":1}}", 0, ""},
        {"{\"partialSuccess\":{\"errorMessage\":\"come\\nless often, please\"}}", 0, "come?less often"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char message[16] = "x";
        assert_int_equal(el_otlp_refused(el_slice_str(rows[i].answer), 10, message, sizeof message), rows[i].refused);
        assert_string_equal(message, rows[i].message);
    }
}
