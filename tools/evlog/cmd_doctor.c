/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog doctor: is this machine fit for evlogd, and is the server well?
 *
 * 1. the machine and the data directory, without a server (doctor_host.c, doctor_disk.c)
 * 2. what the server's settings name: certificates, the archive
 * 3. with -b: the server itself, and its HTTP port
 *
 * Each line is ok, warn or fail, the last two with a remedy. Exit code 1: a line failed.
 */
#include "doctor.h"
#include "http_page.h"
#include "table.h"

#include <core/alloc.h>
#include <core/tls.h>
#include <store/object_store.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define DAYS_WARN 30
#define VALUE_MAX 4096
#define KEY_MAX 128 /* of a setting, with its NUL */
#define REMOTE_TIMEOUT_MS 5000

void doctor_add(struct doctor *doctor, const char *name, enum doctor_verdict verdict, const char *remedy,
                const char *format, ...)
{
    if (doctor->count == DOCTOR_LINES_MAX) {
        return;
    }
    struct doctor_line *line = &doctor->lines[doctor->count++];
    va_list args;
    line->name = name;
    line->verdict = verdict;
    va_start(args, format);
    (void)vsnprintf(line->text, sizeof line->text, format, args);
    va_end(args);
    (void)snprintf(line->remedy, sizeof line->remedy, "%s", remedy == NULL ? "" : remedy);
}

const char *doctor_setting(const struct doctor *doctor, const char *section, const char *key, char *value, size_t room)
{
    return server_settings_get(&doctor->settings, section, key, value, room);
}

/* --- what the settings name --------------------------------------------------------------------------------------- */

static void check_config(struct doctor *doctor)
{
    int rc = server_settings_read(doctor->cli, doctor->config, &doctor->settings);
    if (rc != CLI_OK || doctor->settings.exit_code != 0) {
        doctor_add(doctor, "configuration", DOCTOR_FAIL, "correct what evlogd has said above",
                   "evlogd does not take %s", doctor->config == NULL ? "its settings" : doctor->config);
        return;
    }
    doctor_add(doctor, "configuration", DOCTOR_OK, NULL, "%s",
               doctor->config == NULL ? "the defaults and the environment" : doctor->config);
}

/* prefix: before the names of the settings, "" for those of all listeners */
static void check_certificate(struct doctor *doctor, const char *prefix)
{
    char certificate[VALUE_MAX], key[VALUE_MAX], name[KEY_MAX];
    struct el_tls_config *config = NULL;
    struct el_error err = {.code = 0};
    (void)snprintf(name, sizeof name, "%sssl.certificate.file", prefix);
    doctor_setting(doctor, "network", name, certificate, sizeof certificate);
    (void)snprintf(name, sizeof name, "%sssl.key.file", prefix);
    doctor_setting(doctor, "network", name, key, sizeof key);
    if (certificate[0] == '\0') {
        return;
    }
    struct el_tls_options options = {.server = true, .certificate_file = certificate, .key_file = key};
    if (el_tls_config_open(&options, &config, &err) != 0) {
        doctor_add(doctor, "certificate", DOCTOR_FAIL, "put files there that can serve, then send evlogd SIGHUP", "%s",
                   err.text);
        return;
    }
    int32_t days = el_tls_config_days_left(config);
    el_tls_config_unref(config);
    doctor_add(doctor, "certificate", days < DAYS_WARN ? DOCTOR_WARN : DOCTOR_OK,
               days < DAYS_WARN ? "renew it, then send evlogd SIGHUP" : NULL, "%s ends in %" PRId32 " days",
               certificate, days);
}

static void check_certificates(struct doctor *doctor)
{
    char listener[KEY_MAX / 2], prefix[KEY_MAX];
    check_certificate(doctor, "");
    for (size_t i = 0;
         server_settings_listener(&doctor->settings, "ssl.certificate.file", i, listener, sizeof listener); i++) {
        (void)snprintf(prefix, sizeof prefix, "listener.name.%s.", listener);
        check_certificate(doctor, prefix);
    }
}

static bool first_only(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    (void)key;
    (void)len;
    (void)modified_ms;
    *(bool *)arg = true;
    return false;
}

static void check_archive(struct doctor *doctor)
{
    char url[VALUE_MAX];
    struct object_store *store = NULL;
    struct el_error err = {.code = 0};
    bool any = false;
    if (doctor_setting(doctor, "archive", "url", url, sizeof url)[0] == '\0') {
        doctor_add(doctor, "archive", DOCTOR_OK, NULL, "none: a loss of the disk loses all that no backup has");
        return;
    }
    int rc = object_store_open(url, false, &store, &err);
    rc = rc == 0 ? object_list(store, "", "", first_only, &any, &err) : rc;
    if (rc != 0) {
        doctor_add(doctor, "archive", DOCTOR_FAIL, "check the URL, the credentials in the environment, and the network",
                   "%s", err.text);
    } else {
        doctor_add(doctor, "archive", DOCTOR_OK, NULL, "%s answers%s", store->url, any ? "" : ", and is empty");
    }
    object_store_close(store);
}

/* --- the server itself -------------------------------------------------------------------------------------------- */

static void check_kafka(struct doctor *doctor)
{
    struct cli *cli = doctor->cli;
    cli->timeout_ms = cli->timeout_ms < 0 ? REMOTE_TIMEOUT_MS : cli->timeout_ms;
    if (cli_connect(cli) != CLI_OK) {
        doctor_add(doctor, "kafka port", DOCTOR_FAIL, "see what was said above; is evlogd running, and is -b right?",
                   "%s does not answer as it should", cli->bootstrap);
        return;
    }
    doctor_add(doctor, "kafka port", DOCTOR_OK, NULL, "%s answers", cli->bootstrap);
}

static void check_ready(struct doctor *doctor, const char *address)
{
    struct http_page page = {.status = 0};
    struct el_error err = {.code = 0};
    int rc = http_page_get(doctor->cli, address, "/health/ready", &page, &err);
    const char *text = rc == 0 ? el_buffer_text(&page.text) : err.text;
    bool warned = rc == 0 && page.status == 200 && strstr(text, "\"warning\"") != NULL;
    enum doctor_verdict verdict = rc != 0 || page.status != 200 ? DOCTOR_FAIL : warned ? DOCTOR_WARN : DOCTOR_OK;
    doctor_add(doctor, "readiness", verdict,
               verdict == DOCTOR_OK ? NULL
               : rc != 0            ? "is it running, and is --http right?"
                                    : "docs/runbooks.md; the server's log says more",
               "%.*s", (int)strcspn(text, "\n"), text);
    el_buffer_free(&page.text);
}

static void take_number(void *arg, const char *labels, double value)
{
    (void)labels;
    *(double *)arg += value;
}

static void check_metrics(struct doctor *doctor, const char *address)
{
    struct http_page page = {.status = 0};
    struct el_error err = {.code = 0};
    double jumps = 0, quarantined = 0;
    int rc = http_page_get(doctor->cli, address, "/metrics", &page, &err);
    if (rc != 0 || page.status != 200) {
        char status[32];
        (void)snprintf(status, sizeof status, "HTTP %d", page.status);
        doctor_add(doctor, "metrics", DOCTOR_WARN,
                   rc != 0 ? "is it running, and is --http right?"
                           : "name a user that may Describe the cluster: -X sasl.username and sasl.password, or "
                             "EVLOG_SASL_...",
                   "not seen: %s", rc != 0 ? err.text : status);
        el_buffer_free(&page.text);
        return;
    }
    const char *text = el_buffer_text(&page.text);
    (void)http_page_samples(text, "evlog_clock_jumps_total", take_number, &jumps);
    (void)http_page_samples(text, "evlog_quarantined_bytes", take_number, &quarantined);
    doctor_add(doctor, "clock jumps", jumps > 0 ? DOCTOR_WARN : DOCTOR_OK,
               jumps > 0 ? "see who sets the clock by steps (docs/runbooks.md#clock-jumps)" : NULL,
               "%.0f since the server started", jumps);
    doctor_add(doctor, "damage", quarantined > 0 ? DOCTOR_WARN : DOCTOR_OK,
               quarantined > 0 ? "docs/runbooks.md#quarantine" : NULL, "%.0f bytes put aside at the last start",
               quarantined);
    el_buffer_free(&page.text);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

int doctor_run(struct doctor *doctor)
{
    char address[VALUE_MAX];
    check_config(doctor);
    doctor_host(doctor);
    doctor_disk(doctor);
    check_certificates(doctor);
    check_archive(doctor);
    if (doctor->cli->bootstrap != NULL) {
        check_kafka(doctor);
        doctor_setting(doctor, "network", "http", address, sizeof address);
        if (doctor->http != NULL || (address[0] != '\0' && strcmp(address, "off") != 0)) {
            check_ready(doctor, doctor->http != NULL ? doctor->http : address);
            check_metrics(doctor, doctor->http != NULL ? doctor->http : address);
        }
    }
    return doctor_worst(doctor) == DOCTOR_FAIL ? CLI_FAILED : CLI_OK;
}

void doctor_free(struct doctor *doctor)
{
    server_settings_free(&doctor->settings);
}

enum doctor_verdict doctor_worst(const struct doctor *doctor)
{
    enum doctor_verdict worst = DOCTOR_OK;
    for (size_t i = 0; i < doctor->count; i++) {
        worst = doctor->lines[i].verdict > worst ? doctor->lines[i].verdict : worst;
    }
    return worst;
}

static const char *verdict_name(enum doctor_verdict verdict)
{
    return verdict == DOCTOR_OK ? "ok" : verdict == DOCTOR_WARN ? "warn" : "fail";
}

void doctor_print(const struct doctor *doctor, bool json, struct el_buffer *out)
{
    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_line *line = &doctor->lines[i];
        if (!json) {
            el_buffer_printf(out, "%-4s  %-15s %s\n", verdict_name(line->verdict), line->name, line->text);
            if (line->remedy[0] != '\0') {
                el_buffer_printf(out, "      %-15s remedy: %s\n", "", line->remedy);
            }
            continue;
        }
        struct el_json_writer w;
        el_json_writer_init(&w, out);
        el_json_begin_object(&w);
        el_json_add_str(&w, "check", line->name);
        el_json_add_str(&w, "verdict", verdict_name(line->verdict));
        el_json_add_str(&w, "text", line->text);
        if (line->remedy[0] != '\0') {
            el_json_add_str(&w, "remedy", line->remedy);
        }
        el_json_end_object(&w);
        (void)el_json_writer_end(&w);
        el_buffer_append_char(out, '\n');
    }
}

int cmd_doctor(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct doctor *doctor = el_calloc(1, sizeof *doctor);
    struct el_buffer out = {.err = 0};
    if (doctor == NULL) {
        return cli_error(cli, CLI_ERR_OUTPUT, "no memory");
    }
    const struct cli_option options[] = {
        {"data", 0, CLI_TEXT, &doctor->data, "DIR", "the data directory; default: what the settings say"},
        {"http", 0, CLI_TEXT, &doctor->http, "HOST:PORT", "the server's HTTP port; default: what the settings say"},
    };
    struct cli_grammar grammar = {options, 2, 0, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        doctor->cli = cli;
        doctor->config = words.count > 0 ? words.items[0] : NULL;
        rc = doctor_run(doctor);
        doctor_print(doctor, cli->json, &out);
        int put = cli_put(cli, &out);
        rc = put != CLI_OK ? put : rc;
    }
    cli_close(cli);
    doctor_free(doctor);
    el_buffer_free(&out);
    el_free(doctor);
    return rc;
}
