/* SPDX-License-Identifier: Apache-2.0
 *
 * Each listener with TLS has a context, of its own files and demands or of those of all; listeners that have the same
 * share one. At SASL_SSL clients say who they are by SASL, so they are asked for no certificate but by a setting of
 * that listener's own, as in Kafka. At the HTTP port one may be shown where SSL asks for it, and never must: what asks
 * for health has none.
 */
#include <config/config_target.h>
#include <config/listener_settings.h>
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
    struct el_tls_options options;
    int certificate, key, ca, auth; /* the settings that say each */
};

static int open_one(const struct config *cfg, const struct wish *wish, struct el_tls_config **tls, struct el_error *err)
{
    const struct el_tls_options *options = &wish->options;
    if (options->certificate_file == NULL || options->key_file == NULL) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "%s needs a certificate and its key: set ssl.certificate.file and ssl.key.file",
                                wish->what);
        return CONFIG_BLAME(cfg, err, code, wish->target, wish->certificate, wish->key);
    }
    if (options->auth != EL_TLS_AUTH_NONE && options->ca_file == NULL) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "ssl.client.auth asks clients for certificates: set ssl.ca.file to the CA that signs "
                                "them");
        return CONFIG_BLAME(cfg, err, code, wish->auth, wish->ca);
    }
    int error = el_tls_config_open(options, tls, err);
    error = error == 0 ? 0 : el_error_wrap(err, "TLS");
    return CONFIG_BLAME(cfg, err, error, wish->certificate, wish->key, wish->ca);
}

/* --- listeners ---------------------------------------------------------------------------------------------------- */

static struct el_tls_options options_of(const struct config *cfg, const struct config_listener *listener)
{
    return (struct el_tls_options){
        .server = true,
        .certificate_file = or_null(listener_setting_text(cfg, listener, CONFIG_ssl_certificate_file)),
        .key_file = or_null(listener_setting_text(cfg, listener, CONFIG_ssl_key_file)),
        .ca_file = or_null(listener_setting_text(cfg, listener, CONFIG_ssl_ca_file)),
        .auth = (enum el_tls_auth)listener_client_auth(cfg, listener),
    };
}

static bool same_file(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_options(const struct el_tls_options *a, const struct el_tls_options *b)
{
    return a->auth == b->auth && same_file(a->certificate_file, b->certificate_file) &&
           same_file(a->key_file, b->key_file) && same_file(a->ca_file, b->ca_file);
}

/* The context of a listener before this one that wants the same; NULL: there is none */
static struct el_tls_config *shared(const struct config *cfg, const struct tls_files *files, uint32_t index,
                                    const struct el_tls_options *options)
{
    for (uint32_t i = 0; i < index; i++) {
        struct el_tls_options other = options_of(cfg, &cfg->listener_table.list[i]);
        if (files->tls[i] != NULL && same_options(options, &other)) {
            return files->tls[i];
        }
    }
    return NULL;
}

static int open_context(const struct config *cfg, uint32_t index, struct tls_files *files, struct el_error *err)
{
    const struct config_listener *listener = &cfg->listener_table.list[index];
    char what[64];
    snprintf(what, sizeof what, "a listener with %s", config_protocol_name(listener->protocol));
    const struct wish wish = {
        .what = what,
        .target = CONFIG_listeners,
        .options = options_of(cfg, listener),
        .certificate = listener_setting_target(cfg, listener, CONFIG_ssl_certificate_file),
        .key = listener_setting_target(cfg, listener, CONFIG_ssl_key_file),
        .ca = listener_setting_target(cfg, listener, CONFIG_ssl_ca_file),
        .auth = listener_setting_target(cfg, listener, CONFIG_ssl_client_auth),
    };
    struct el_tls_config *same = shared(cfg, files, index, &wish.options);
    if (same != NULL) {
        files->tls[index] = el_tls_config_ref(same);
        return 0;
    }
    return open_one(cfg, &wish, &files->tls[index], err);
}

static int open_rules(const struct config *cfg, uint32_t index, struct tls_files *files, struct el_error *err)
{
    const struct config_listener *listener = &cfg->listener_table.list[index];
    int error = principal_rules_parse(listener_setting_text(cfg, listener, CONFIG_ssl_principal_rules),
                                      &files->rules[index], err);
    if (error == 0) {
        principal_rules_take_uri(files->rules[index],
                                 listener_setting_choice(cfg, listener, CONFIG_ssl_principal_from) ==
                                     CONFIG_PRINCIPAL_URI);
    }
    return CONFIG_BLAME(cfg, err, error, listener_setting_target(cfg, listener, CONFIG_ssl_principal_rules));
}

static int open_listener(const struct config *cfg, uint32_t index, struct tls_files *files, struct el_error *err)
{
    enum config_protocol protocol = cfg->listener_table.list[index].protocol;
    int error = config_protocol_has_tls(protocol) ? open_context(cfg, index, files, err) : 0;
    return error == 0 && protocol == CONFIG_SSL ? open_rules(cfg, index, files, err) : error;
}

/* --- the HTTP port ------------------------------------------------------------------------------------------------ */

static int open_http(const struct config *cfg, struct tls_files *files, struct el_error *err)
{
    const struct wish wish = {
        .what = "an HTTP port with https",
        .target = CONFIG_http,
        .options = {.server = true,
                    .certificate_file = or_null(cfg->ssl_certificate_file),
                    .key_file = or_null(cfg->ssl_key_file),
                    .ca_file = or_null(cfg->ssl_ca_file),
                    .auth = cfg->ssl_client_auth == EL_TLS_AUTH_NONE ? EL_TLS_AUTH_NONE : EL_TLS_AUTH_REQUESTED},
        .certificate = CONFIG_ssl_certificate_file,
        .key = CONFIG_ssl_key_file,
        .ca = CONFIG_ssl_ca_file,
        .auth = CONFIG_ssl_client_auth,
    };
    int error = CONFIG_BLAME(cfg, err, principal_rules_parse(cfg->ssl_principal_rules, &files->http_rules, err),
                             CONFIG_ssl_principal_rules);
    if (error != 0) {
        return error;
    }
    principal_rules_take_uri(files->http_rules, cfg->ssl_principal_from == CONFIG_PRINCIPAL_URI);
    return cfg->http.tls ? open_one(cfg, &wish, &files->http, err) : 0;
}

/* --- certificates ------------------------------------------------------------------------------------------------- */

#define PLACE_COUNT (CONFIG_LISTENERS_MAX + 1) /* of listeners, and behind them the HTTP port */

/* NULL: it has no TLS, or there is no such listener */
static const struct el_tls_config *context_at(const struct tls_files *files, uint32_t place)
{
    return place < CONFIG_LISTENERS_MAX ? files->tls[place] : files->http;
}

static const char *certificate_at(const struct config *cfg, uint32_t place)
{
    return place < cfg->listener_table.count
               ? listener_setting_text(cfg, &cfg->listener_table.list[place], CONFIG_ssl_certificate_file)
               : cfg->ssl_certificate_file;
}

/* Has a place before this one the same certificate? */
static bool is_told(const struct config *cfg, const struct tls_files *files, uint32_t place)
{
    for (uint32_t i = 0; i < place; i++) {
        if (context_at(files, i) != NULL && strcmp(certificate_at(cfg, i), certificate_at(cfg, place)) == 0) {
            return true;
        }
    }
    return false;
}

void tls_files_say(const struct config *cfg, const struct tls_files *files)
{
    for (uint32_t i = 0; i < PLACE_COUNT; i++) {
        const struct el_tls_config *tls = context_at(files, i);
        int32_t days = tls == NULL || is_told(cfg, files, i) ? INT32_MAX : el_tls_config_days_left(tls);
        if (days < DAYS_LEFT_WARN) {
            el_log(EL_LOG_WARN, "server", "%s: the certificate ends in %" PRId32 " days: renew it, then send SIGHUP",
                   certificate_at(cfg, i), days);
        }
    }
}

int tls_files_open(const struct config *cfg, struct tls_files *files, struct el_error *err)
{
    *files = (struct tls_files){.http = NULL};
    int error = 0;
    for (uint32_t i = 0; i < cfg->listener_table.count && error == 0; i++) {
        error = open_listener(cfg, i, files, err);
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
    for (int i = 0; i < CONFIG_LISTENERS_MAX; i++) {
        el_tls_config_unref(files->tls[i]);
        principal_rules_free(files->rules[i]);
    }
    el_tls_config_unref(files->http);
    principal_rules_free(files->http_rules);
    *files = (struct tls_files){.http = NULL};
}

int64_t tls_files_end_s(const struct tls_files *files)
{
    int64_t end_s = INT64_MAX;
    for (uint32_t i = 0; i < PLACE_COUNT; i++) {
        const struct el_tls_config *tls = context_at(files, i);
        end_s = tls == NULL ? end_s : EL_MIN(end_s, el_tls_config_end_s(tls));
    }
    return end_s == INT64_MAX ? 0 : end_s;
}

/* Is a certificate missing that clients were shown until now? */
static int check_whole(const struct config *cfg, const struct tls_files *fresh, const struct tls_files *files,
                       struct el_error *err)
{
    char name[160];
    for (uint32_t i = 0; i < PLACE_COUNT; i++) {
        const struct el_tls_config *now = context_at(fresh, i), *before = context_at(files, i);
        if (now != NULL && before != NULL && el_tls_config_lacks(now, before, name, sizeof name)) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "TLS: %.200s: its chain is not complete: the certificate of %s is missing behind it, "
                                "which was there until now",
                                certificate_at(cfg, i), name);
        }
    }
    return 0;
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
    memcpy(before->rules, fresh.rules, sizeof before->rules);
    before->http_rules = fresh.http_rules;
    return true;
}
