/* SPDX-License-Identifier: Apache-2.0 */
#include <config/listener_settings.h>
#include <config/setting.h>
#include <reload.h>

#include <core/alloc.h>
#include <core/logger.h>

static void keep(struct config *cfg, const struct config *before, enum config_setting_id id)
{
    setting_copy(cfg, before, id);
    cfg->origin[id] = before->origin[id];
    listener_settings_keep(cfg, before, id);
}

static void read_files(struct reload *reload, const struct config *before)
{
    static const enum config_setting_id ids[] = {CONFIG_ssl_certificate_file, CONFIG_ssl_key_file, CONFIG_ssl_ca_file,
                                                 CONFIG_ssl_client_auth};
    reload->certified = tls_files_renew(reload->cfg, reload->why, reload->tls, &reload->replaced);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0] && !reload->certified; i++) {
        keep(reload->cfg, before, ids[i]);
    }
    reload->whole = reload->certified;
    if (http_port_read_tokens(reload->http, reload->cfg, reload->why, &reload->tokens) != 0) {
        keep(reload->cfg, before, CONFIG_http_tokens_file);
        reload->whole = false;
    }
}

int reload_read(struct reload *reload, const struct config_sources *from, const struct el_slice *requested)
{
    struct el_error err = {0};
    struct config *before = el_malloc(sizeof *before);
    int error = before == NULL ? el_error_set(&err, EVLOG_ERR_NO_MEMORY, "no memory to read the configuration") : 0;
    if (error == 0) {
        *before = *reload->cfg;
        error = config_reload_requested(reload->cfg, from, requested, &err);
    }
    if (error == 0) {
        el_log_setup((enum el_log_level)reload->cfg->log_level, reload->cfg->log_format == CONFIG_LOG_JSON);
        read_files(reload, before);
    } else {
        el_log(EL_LOG_ERROR, "server", "%s: %s; the settings stay as they are", reload->why, err.text);
    }
    el_free(before);
    return error;
}
