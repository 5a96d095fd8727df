/* SPDX-License-Identifier: Apache-2.0
 *
 * What the HTTP listener asks, on its threads: metrics of all shards with the lag of groups, health by health.h, and
 * who may see what by http_access.
 *
 * Listener and answers end at different times: a shard that was asked late answers after the listener has stopped.
 */
#include <http_port.h>

#include <api/audit_call.h>
#include <config/config_target.h>
#include <core/alloc.h>
#include <core/logger.h>
#include <health.h>
#include <http/http.h>
#include <http_access.h>
#include <lag_look.h>

#define READY_TEXT_MAX 512

struct http_port {
    struct http *http; /* NULL: stopped */
    struct audit_relay *audit;
    struct http_access *access;
    struct lag_look *lag; /* NULL: nobody is asked */
    struct metrics **metrics;
    uint32_t shard_count;
    struct health health;
    const struct principal_rules *rules;
};

static int on_render(void *arg, char **text, size_t *len)
{
    struct http_port *port = arg;
    struct lag_page lag;
    char reason[READY_TEXT_MAX];
    metrics_set(port->metrics[0], METRIC_READY, health_ready(&port->health, reason, sizeof reason));
    if (port->lag != NULL) {
        lag_look_take(port->lag, &lag);
    }
    return metrics_render(port->metrics, port->shard_count, port->lag == NULL ? NULL : &lag, text, len);
}

static enum http_verdict on_judge(void *arg, const struct http_caller *caller, char *reason, size_t reason_max)
{
    struct http_port *port = arg;
    return http_access_judge(port->access, caller, reason, reason_max);
}

static int on_name(void *arg, const struct principal_names *names, char *principal, size_t principal_max,
                   struct principal_refusal *refusal)
{
    struct http_port *port = arg;
    return principal_rules_of_names(port->rules, names, principal, principal_max, refusal);
}

static void on_shaken(void *arg, const struct net_handshake *handshake)
{
    struct http_port *port = arg;
    struct api_audit_texts texts;
    struct audit_note note;
    api_audit_tls(handshake, HTTP_AUDIT_LISTENER, &texts, &note);
    audit_relay_note(port->audit, &note);
}

static bool on_ready(void *arg, char *reason, size_t reason_max)
{
    const struct http_port *port = arg;
    return health_ready(&port->health, reason, reason_max);
}

static bool on_live(void *arg, char *reason, size_t reason_max)
{
    const struct http_port *port = arg;
    return health_live(&port->health, reason, reason_max);
}

static int make(const struct http_port_config *port_cfg, struct http_port *port, struct el_error *err)
{
    const struct config *cfg = port_cfg->cfg;
    struct http_tokens *tokens = NULL;
    int error = CONFIG_BLAME(cfg, err, http_tokens_open(cfg->http_tokens_file, &tokens, err), CONFIG_http_tokens_file);
    if (error != 0) {
        return error;
    }
    error = audit_relay_create(port_cfg->shards[0].io, port_cfg->shards[0].audit, HTTP_AUDIT_LISTENER, &port->audit);
    if (error == 0) {
        error = http_access_create(&port_cfg->shards[0], port->audit, cfg, &port->access);
    }
    if (error == 0 && cfg->group_rows_max > 0) {
        error = lag_look_create(port_cfg->shards, port_cfg->shard_count, (uint32_t)cfg->group_rows_max, &port->lag);
    }
    if (error != 0) {
        http_tokens_free(tokens);
        return el_error_set(err, error, "out of memory for the HTTP port");
    }
    http_access_renew(port->access, cfg, &tokens);
    return 0;
}

int http_port_start(const struct http_port_config *port_cfg, struct http_port **port, uint16_t *bound_port,
                    struct el_error *err)
{
    const struct config *cfg = port_cfg->cfg;
    struct http_port *made = el_calloc(1, sizeof *made);
    if (made == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "out of memory for the HTTP port");
    }
    made->metrics = port_cfg->metrics;
    made->shard_count = port_cfg->shard_count;
    made->health.shards = port_cfg->shards;
    made->health.metrics = port_cfg->metrics;
    made->health.shard_count = port_cfg->shard_count;
    made->health.store = port_cfg->store;
    made->health.archive = port_cfg->archive;
    health_configure(&made->health, cfg);
    made->rules = port_cfg->tls->http_rules;
    struct http_config http_cfg = {
        .host = cfg->http.host,
        .port = cfg->http.port,
        .tls = port_cfg->tls->http,
        .metrics = port_cfg->metrics[0],
        .name = on_name,
        .shaken = on_shaken,
        .render_metrics = on_render,
        .ready = on_ready,
        .live = on_live,
        .judge = on_judge,
        .arg = made,
    };
    int error = make(port_cfg, made, err);
    if (error == 0 && http_start(&http_cfg, &made->http, bound_port, err) != 0) {
        error = el_error_wrap(err, "http %s:%u", cfg->http.host, cfg->http.port);
    }
    if (error != 0) {
        http_port_destroy(made);
        return error;
    }
    *port = made;
    return 0;
}

int http_port_read_tokens(const struct http_port *port, const struct config *cfg, const char *why,
                          struct http_tokens **tokens)
{
    struct el_error err = {0};
    *tokens = NULL;
    int error = port == NULL ? 0 : http_tokens_open(cfg->http_tokens_file, tokens, &err);
    if (CONFIG_BLAME(cfg, &err, error, CONFIG_http_tokens_file) != 0) {
        el_log(EL_LOG_ERROR, "server", "%s: %s; the tokens of the HTTP port stay as they were", why, err.text);
    }
    return error;
}

void http_port_renew(struct http_port *port, const struct config *cfg, const struct tls_files *tls,
                     struct http_tokens **take_tokens)
{
    if (port == NULL) {
        return;
    }
    health_configure(&port->health, cfg);
    if (tls->http != NULL) {
        http_renew_tls(port->http, tls->http);
    }
    http_access_renew(port->access, cfg, take_tokens);
}

void http_port_stop(struct http_port *port)
{
    if (port != NULL) {
        http_stop(port->http);
        port->http = NULL;
    }
}

void http_port_destroy(struct http_port *port)
{
    if (port == NULL) {
        return;
    }
    EL_ASSERT(port->http == NULL);
    lag_look_destroy(port->lag);
    http_access_destroy(port->access);
    audit_relay_destroy(port->audit);
    el_free(port);
}
