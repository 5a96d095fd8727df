/* SPDX-License-Identifier: Apache-2.0
 *
 * evlogd: read the configuration, then run the server until a signal ends it.
 *
 * Exit codes: 0 clean stop, 2 usage or configuration, 6 data directory locked or another node's, 8 refused for
 * corruption, 1 anything else.
 */
#include <archive_keys.h>
#include <config/config.h>
#include <config/config_target.h>
#include <core/logger.h>
#include <http/tokens.h>
#include <io/sandbox.h>
#include <repair.h>
#include <server.h>
#include <store/access_key_file.h>
#include <tls_files.h>

#include <string.h>
#include <unistd.h>

enum exit_code { EXIT_CLEAN = 0, EXIT_OTHER = 1, EXIT_USAGE = 2, EXIT_LOCKED = 6, EXIT_CORRUPT = 8 };

static int exit_code_of(int error)
{
    switch (error) {
    case 0:
        return EXIT_CLEAN;
    case EVLOG_ERR_LOCKED:
    case EVLOG_ERR_CONFLICT:
        return EXIT_LOCKED;
    case EVLOG_ERR_CORRUPT:
        return EXIT_CORRUPT;
    case EVLOG_ERR_INVALID_CONFIG:
        return EXIT_USAGE;
    default:
        return EXIT_OTHER;
    }
}

static int run(struct server_args *args)
{
    struct el_error err = {0};
    el_log_setup((enum el_log_level)args->cfg->log_level, args->cfg->log_format == CONFIG_LOG_JSON);
    int error = sandbox_enter(args->cfg->core_dumps, &err);
    if (error == 0 && args->cfg->memory_lock) {
        error = CONFIG_BLAME(args->cfg, &err, sandbox_lock_memory(&err), CONFIG_memory_lock);
    }
    if (error == 0 && args->cfg->seccomp && sandbox_filter(&err) != 0) {
        el_log(EL_LOG_WARN, "server", "system calls are not filtered: %s", err.text);
    }
    if (error == 0) {
        error = server_run(args, &err);
    }
    if (error != 0) {
        el_log(EL_LOG_ERROR, "server", "%s", err.text);
    }
    return exit_code_of(error);
}

static int repair(const struct config *cfg)
{
    struct el_error err = {0};
    int error = repair_run(cfg, stdout, &err);
    if (error != 0) {
        fprintf(stderr, "evlogd: %s\n", err.text);
    }
    return exit_code_of(error);
}

static int explain(const struct config *cfg)
{
    struct el_error err = {0};
    if (config_explain(cfg, stdout, &err) != 0) {
        fprintf(stderr, "evlogd: %s\n", err.text);
        return EXIT_USAGE;
    }
    return EXIT_CLEAN;
}

static int check_keys(const struct config *cfg, struct el_error *err)
{
    struct el_private_key *keys[EL_SIGN_KEYS_MAX];
    struct el_access_keys access;
    size_t count = 0;
    int error = cfg->archive_key_file[0] == 0 ? 0 : archive_keys_read(cfg->archive_key_file, keys, &count, err);
    error = CONFIG_BLAME(cfg, err, error, CONFIG_archive_key_file);
    for (size_t i = 0; error == 0 && i < count; i++) {
        el_private_key_free(keys[i]);
    }
    if (error == 0 && cfg->access_key_file[0] != 0) {
        error = CONFIG_BLAME(cfg, err, access_key_file_read(cfg->access_key_file, &access, err),
                             CONFIG_access_key_file);
        explicit_bzero(&access, sizeof access);
    }
    return error;
}

/* The files that the settings name, as a start reads them. */
static int check(const struct config *cfg)
{
    struct tls_files tls;
    struct http_tokens *tokens = NULL;
    struct el_error err = {0};
    int error = tls_files_open(cfg, &tls, &err);
    if (error == 0) {
        tls_files_close(&tls);
        error = CONFIG_BLAME(cfg, &err, http_tokens_open(cfg->http_tokens_file, &tokens, &err),
                             CONFIG_http_tokens_file);
        http_tokens_free(tokens);
    }
    error = error == 0 ? check_keys(cfg, &err) : error;
    if (error != 0) {
        fprintf(stderr, "evlogd: %s\n", err.text);
        return EXIT_USAGE;
    }
    printf("evlogd: the configuration is valid\n");
    return EXIT_CLEAN;
}

int main(int argc, char **argv)
{
    static struct config cfg;
    struct el_error err = {0};
    if (config_load(&cfg, argc, argv, environ, &err) != 0) {
        fprintf(stderr, "evlogd: %s\n", err.text);
        return EXIT_USAGE;
    }
    switch (cfg.action) {
    case CONFIG_HELP:
        config_print_help(stdout);
        return EXIT_CLEAN;
    case CONFIG_VERSION:
        printf("evlogd %s\n", EVLOG_VERSION);
        return EXIT_CLEAN;
    case CONFIG_PRINT:
        config_print(&cfg, stdout);
        return EXIT_CLEAN;
    case CONFIG_INIT:
        config_print_start(&cfg, stdout);
        return EXIT_CLEAN;
    case CONFIG_EXPLAIN:
        return explain(&cfg);
    case CONFIG_CHECK:
        return check(&cfg);
    case CONFIG_REPAIR_CHECK:
    case CONFIG_REPAIR_INDEXES:
        return repair(&cfg);
    case CONFIG_RUN:
        break;
    }
    struct server_args args = {.cfg = &cfg, .argc = argc, .argv = argv, .environ = environ};
    return run(&args);
}
