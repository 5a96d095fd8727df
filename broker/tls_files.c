/* SPDX-License-Identifier: Apache-2.0
 *
 * Listeners SSL and SASL_SSL have a context each: clients of the second say who they are by SASL, so they are asked
 * for no certificate, as in Kafka. At the HTTP port one may be shown where SSL asks for it, and never must: what asks
 * for health has none.
 */
#include <config/config_target.h>
#include <core/logger.h>
#include <tls_files.h>

#include <inttypes.h>

#define DAYS_LEFT_WARN 30

static const char *or_null(const char *path)
{
    return path[0] == 0 ? NULL : path;
}

/* Who wants certificate and key. */
struct wish {
    const char *what; /* "a listener with SSL" */
    int target;       /* the setting that says so */
    enum el_tls_auth auth;
};

static int open_one(const struct config *cfg, const struct wish *wish, struct el_tls_config **tls, struct el_error *err)
{
    struct el_tls_options options = {
        .server = true,
        .certificate_file = or_null(cfg->ssl_certificate_file),
        .key_file = or_null(cfg->ssl_key_file),
        .ca_file = or_null(cfg->ssl_ca_file),
        .auth = wish->auth,
    };
    if (options.certificate_file == NULL || options.key_file == NULL) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "%s needs a certificate and its key: set ssl.certificate.file and ssl.key.file",
                                wish->what);
        return CONFIG_BLAME(cfg, err, code, wish->target, CONFIG_ssl_certificate_file, CONFIG_ssl_key_file);
    }
    if (options.auth != EL_TLS_AUTH_NONE && options.ca_file == NULL) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "ssl.client.auth asks clients for certificates: set ssl.ca.file to the CA that signs "
                                "them");
        return CONFIG_BLAME(cfg, err, code, CONFIG_ssl_client_auth, CONFIG_ssl_ca_file);
    }
    int error = el_tls_config_open(&options, tls, err);
    error = error == 0 ? 0 : el_error_wrap(err, "TLS");
    return CONFIG_BLAME(cfg, err, error, CONFIG_ssl_certificate_file, CONFIG_ssl_key_file, CONFIG_ssl_ca_file);
}

static int open_listener(const struct config *cfg, enum config_protocol protocol, struct tls_files *files,
                         struct el_error *err)
{
    char what[64];
    enum el_tls_auth auth = protocol == CONFIG_SSL ? (enum el_tls_auth)cfg->ssl_client_auth : EL_TLS_AUTH_NONE;
    snprintf(what, sizeof what, "a listener with %s", config_protocol_name(protocol));
    const struct wish wish = {what, CONFIG_listeners, auth};
    return open_one(cfg, &wish, &files->tls[protocol], err);
}

static int open_http(const struct config *cfg, struct tls_files *files, struct el_error *err)
{
    enum el_tls_auth auth = cfg->ssl_client_auth == EL_TLS_AUTH_NONE ? EL_TLS_AUTH_NONE : EL_TLS_AUTH_REQUESTED;
    const struct wish wish = {"an HTTP port with https", CONFIG_http, auth};
    return cfg->http.tls ? open_one(cfg, &wish, &files->http, err) : 0;
}

static bool is_wanted(const struct config *cfg, enum config_protocol protocol)
{
    for (uint32_t i = 0; i < cfg->listener_table.count; i++) {
        if (cfg->listener_table.list[i].protocol == protocol) {
            return config_protocol_has_tls(protocol);
        }
    }
    return false;
}

/* All have one certificate. NULL: none has any */
static const struct el_tls_config *any_of(const struct tls_files *files)
{
    const struct el_tls_config *any = files->http;
    for (int i = 0; i < CONFIG_PROTOCOL_COUNT && any == NULL; i++) {
        any = files->tls[i];
    }
    return any;
}

void tls_files_say(const struct config *cfg, const struct tls_files *files)
{
    const struct el_tls_config *any = any_of(files);
    int32_t days = any == NULL ? INT32_MAX : el_tls_config_days_left(any);
    if (days < DAYS_LEFT_WARN) {
        el_log(EL_LOG_WARN, "server", "%s: the certificate ends in %" PRId32 " days: renew it, then send SIGHUP",
               cfg->ssl_certificate_file, days);
    }
}

int tls_files_open(const struct config *cfg, struct tls_files *files, struct el_error *err)
{
    *files = (struct tls_files){.rules = NULL};
    int error = CONFIG_BLAME(cfg, err, principal_rules_parse(cfg->ssl_principal_rules, &files->rules, err),
                             CONFIG_ssl_principal_rules);
    if (error == 0) {
        principal_rules_take_uri(files->rules, cfg->ssl_principal_from == CONFIG_PRINCIPAL_URI);
    }
    for (int i = 0; i < CONFIG_PROTOCOL_COUNT && error == 0; i++) {
        if (is_wanted(cfg, (enum config_protocol)i)) {
            error = open_listener(cfg, (enum config_protocol)i, files, err);
        }
    }
    error = error == 0 ? open_http(cfg, files, err) : error;
    if (error != 0) {
        tls_files_close(files);
        return error;
    }
    tls_files_say(cfg, files);
    return 0;
}

void tls_files_close(struct tls_files *files)
{
    for (int i = 0; i < CONFIG_PROTOCOL_COUNT; i++) {
        el_tls_config_unref(files->tls[i]);
        files->tls[i] = NULL;
    }
    el_tls_config_unref(files->http);
    files->http = NULL;
    principal_rules_free(files->rules);
    files->rules = NULL;
}

int64_t tls_files_end_s(const struct tls_files *files)
{
    const struct el_tls_config *any = any_of(files);
    int64_t end_s = any == NULL ? INT64_MAX : el_tls_config_end_s(any);
    return end_s == INT64_MAX ? 0 : end_s;
}

/* Is a certificate missing that clients were shown until now? */
static int check_whole(const struct config *cfg, const struct tls_files *fresh, const struct tls_files *files,
                       struct el_error *err)
{
    const struct el_tls_config *now = any_of(fresh), *before = any_of(files);
    char name[160];
    if (now == NULL || before == NULL || !el_tls_config_lacks(now, before, name, sizeof name)) {
        return 0;
    }
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                        "TLS: %.200s: its chain is not complete: the certificate of %s is missing behind it, which was "
                        "there until now",
                        cfg->ssl_certificate_file, name);
}

bool tls_files_renew(const struct config *cfg, const char *why, struct tls_files *files, struct tls_files *before)
{
    struct tls_files fresh;
    struct el_error err = {0};
    int error = tls_files_open(cfg, &fresh, &err);
    if (error == 0 && check_whole(cfg, &fresh, files, &err) != 0) {
        tls_files_close(&fresh);
        error = err.code;
    }
    if (error != 0) {
        el_log(EL_LOG_ERROR, "server", "%s: %s; certificate and key stay as they were", why, err.text);
        return false;
    }
    memcpy(before->tls, files->tls, sizeof before->tls);
    before->http = files->http;
    memcpy(files->tls, fresh.tls, sizeof fresh.tls);
    files->http = fresh.http;
    before->rules = fresh.rules;
    return true;
}
