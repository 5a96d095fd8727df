/* SPDX-License-Identifier: Apache-2.0
 *
 * The client of a command: settings by precedence, and a first sign of life, so that an absent server is told at once
 * and not after the patience of a long-running service.
 *
 * Flag over environment (EVLOG_BOOTSTRAP__SERVERS) over --config FILE over --context NAME over default.
 */
#include "cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTING_NAME_MAX 128
#define TRACES_MS 3000 /* longest wait for the collector of traces at the end */
#define PATH_LEN_MAX 4096

static int told(const struct cli *cli, const struct evlog_failure *failure)
{
    return cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_SETTING, failure->hint}, "%s", failure->text);
}

static int load_context(const struct cli *cli, struct evlog_settings *settings)
{
    char path[PATH_LEN_MAX];
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (strchr(cli->context, '/') != NULL) {
        return cli_error(cli, CLI_ERR_SETTING, "a context is a name without slashes: %s", cli->context);
    }
    if (base != NULL && base[0] == '/') {
        (void)snprintf(path, sizeof path, "%s/evlog/%s.conf", base, cli->context);
    } else {
        (void)snprintf(path, sizeof path, "%s/.config/evlog/%s.conf", home == NULL ? "" : home, cli->context);
    }
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    return evlog_settings_load(settings, path, &failure) == 0 ? CLI_OK : told(cli, &failure);
}

/* "EVLOG_BOOTSTRAP__SERVERS" to "bootstrap.servers"; false for a variable that is not shaped like a setting. */
static bool setting_of_variable(const char *variable, size_t len, char *key)
{
    static const char prefix[] = "EVLOG_";
    size_t out = 0;
    if (len <= sizeof prefix - 1 || len >= SETTING_NAME_MAX || strncmp(variable, prefix, sizeof prefix - 1) != 0) {
        return false;
    }
    for (size_t i = sizeof prefix - 1; i < len; i++) {
        bool twice = variable[i] == '_' && i + 1 < len && variable[i + 1] == '_';
        key[out++] = variable[i] == '_' ? '.' : (char)tolower((unsigned char)variable[i]);
        i += twice;
    }
    key[out] = '\0';
    return true;
}

static int load_environment(const struct cli *cli, struct evlog_settings *settings)
{
    for (char **entry = environ; *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        char key[SETTING_NAME_MAX];
        if (equals == NULL || !setting_of_variable(*entry, (size_t)(equals - *entry), key) ||
            evlog_settings_get(settings, key) == NULL) {
            continue; /* not a client's setting: it may be the server's */
        }
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        if (evlog_settings_set(settings, key, equals + 1, &failure) != 0) {
            return told(cli, &failure);
        }
    }
    return CLI_OK;
}

static int set_one(const struct cli *cli, struct evlog_settings *settings, const char *pair)
{
    char key[SETTING_NAME_MAX];
    const char *equals = strchr(pair, '=');
    if (equals == NULL || (size_t)(equals - pair) >= sizeof key) {
        return cli_error(cli, CLI_ERR_SETTING, "-X takes KEY=VALUE, not %.*s", (int)strcspn(pair, " :="), pair);
    }
    memcpy(key, pair, (size_t)(equals - pair));
    key[equals - pair] = '\0';
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    return evlog_settings_set(settings, key, equals + 1, &failure) == 0 ? CLI_OK : told(cli, &failure);
}

/* --timeout. What a command that ends at once has published, it waits for no longer than that either; who runs on
 * keeps delivery.timeout.ms, in which a server may come back. */
static int load_timeout(const struct cli *cli, struct evlog_settings *settings, struct evlog_failure *failure)
{
    static const char *const names[] = {"request.timeout.ms", "socket.connection.setup.timeout.ms",
                                        "delivery.timeout.ms", "linger.ms"};
    const char *linger = evlog_settings_get(settings, "linger.ms");
    bool lingers = linger != NULL && strtoll(linger, NULL, 10) > cli->timeout_ms;
    size_t count = !cli->ends_at_once ? 2 : lingers ? 4 : 3;
    char number[32];
    int rc = 0;
    (void)snprintf(number, sizeof number, "%lld", (long long)cli->timeout_ms);
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = evlog_settings_set(settings, names[i], number, failure);
    }
    return rc;
}

static int load_flags(const struct cli *cli, struct evlog_settings *settings)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = 0;
    if (cli->bootstrap != NULL) {
        rc = evlog_settings_set(settings, "bootstrap.servers", cli->bootstrap, &failure);
    }
    if (rc == 0 && cli->timeout_ms >= 0) {
        rc = load_timeout(cli, settings, &failure);
    }
    if (rc != 0) {
        return told(cli, &failure);
    }
    for (size_t i = 0; i < cli->settings.count; i++) {
        rc = set_one(cli, settings, cli->settings.items[i]);
        if (rc != CLI_OK) {
            return rc;
        }
    }
    return CLI_OK;
}

static int load_all(const struct cli *cli, struct evlog_settings *settings)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    (void)evlog_settings_set(settings, "client.id", "evlog-cli", NULL);
    (void)evlog_settings_set(settings, "allow.auto.create.topics", "false", NULL);
    int rc = CLI_OK;
    for (const char *const *pair = cli->defaults; rc == CLI_OK && pair != NULL && *pair != NULL; pair++) {
        rc = set_one(cli, settings, *pair);
    }
    if (rc == CLI_OK && cli->context != NULL) {
        rc = load_context(cli, settings);
    }
    if (rc == CLI_OK && cli->config != NULL && evlog_settings_load(settings, cli->config, &failure) != 0) {
        rc = told(cli, &failure);
    }
    if (rc == CLI_OK) {
        rc = load_environment(cli, settings);
    }
    return rc == CLI_OK ? load_flags(cli, settings) : rc;
}

int cli_settings(const struct cli *cli, struct evlog_settings **settings)
{
    struct evlog_settings *fresh;
    if (evlog_settings_new(&fresh) != 0) {
        return cli_error(cli, CLI_ERR_SETTING, "no memory");
    }
    int rc = load_all(cli, fresh);
    if (rc != CLI_OK) {
        evlog_settings_free(fresh);
        return rc;
    }
    *settings = fresh;
    return CLI_OK;
}

/* Traces, where OpenTelemetry's variables ask for them. */
static int trace(struct cli *cli, struct evlog_failure *failure)
{
    struct evlog_tracer tracer = EVLOG_TRACER_INIT;
    int rc = evlog_otlp_open(&cli->otlp, failure);
    evlog_otlp_tracer(cli->otlp, &tracer);
    return rc != 0 ? rc : evlog_client_set_tracer(cli->client, &tracer, failure);
}

/* Send the spans that wait, and say what was lost. */
static void end_trace(struct cli *cli)
{
    struct evlog_otlp_stats stats = {.size = sizeof stats};
    if (!evlog_otlp_flush(cli->otlp, TRACES_MS)) {
        evlog_otlp_stats(cli->otlp, &stats);
        cli_say(cli, "traces: not all spans have reached the collector%s%s", stats.last_failure[0] == '\0' ? "" : ": ",
                stats.last_failure);
    }
    evlog_otlp_close(cli->otlp, 0);
    cli->otlp = NULL;
}

int cli_connect(struct cli *cli)
{
    struct evlog_settings *settings;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = cli_settings(cli, &settings);
    if (rc != CLI_OK) {
        return rc;
    }
    const char *user = evlog_settings_get(settings, "sasl.username"),
               *protocol = evlog_settings_get(settings, "security.protocol");
    if (user != NULL && user[0] != '\0' && protocol != NULL && strncmp(protocol, "sasl", 4) == 0) {
        (void)snprintf(cli->principal, sizeof cli->principal, "User:%s", user);
    }
    rc = evlog_client_open(settings, &cli->client, &failure);
    evlog_settings_free(settings);
    if (rc != 0) {
        return failure.code == EVLOG_ERR_INVALID_CONFIG ? told(cli, &failure) : cli_failure(cli, &failure);
    }
    if (cli->ends_at_once) {
        cli_waiting = cli->client;
    }
    if (cli->ends_at_once && cli_interrupted) { /* before it was there */
        evlog_client_give_up(cli->client);
    }
    rc = trace(cli, &failure);
    if (rc != 0) {
        return failure.code == EVLOG_ERR_INVALID_CONFIG ? told(cli, &failure) : cli_failure(cli, &failure);
    }
    rc = evlog_client_ping(cli->client, -1, &failure);
    if (rc != 0) {
        failure.code = failure.code == EVLOG_ERR_TIMED_OUT || failure.code == EVLOG_ERR_CLOSED ? EVLOG_ERR_UNREACHABLE
                                                                                               : failure.code;
        return cli_failure(cli, &failure);
    }
    return CLI_OK;
}

int cli_connect_bare(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    const struct cli_grammar grammar = {NULL, 0, 0, 0};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = cli_connect(cli);
    return rc == CLI_OK ? CLI_PARSED : rc;
}

void cli_close(struct cli *cli)
{
    cli_waiting = NULL;
    evlog_client_close(cli->client);
    cli->client = NULL;
    end_trace(cli);
    cli_list_free(&cli->settings);
}
