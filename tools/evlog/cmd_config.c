/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog config: check, print, explain and init ask evlogd itself, for a file that need not be in force; get and set
 * ask a broker that runs.
 */
#include "server_process.h"
#include "server_settings.h"
#include "table.h"

#include <core/nearest.h>
#include <string.h>

#define NAMES_MAX 512
#define CHANGES_MAX 256
#define FLAG_MAX 256

/* The server knows its settings; it is asked, so that there is one table of them and not two. value NULL: without the
 * option */
static int run_server(const struct cli *cli, const char *flag, const char *option, const char *value)
{
    char program[SERVER_PATH_MAX];
    server_program(program);
    const char *server_argv[] = {program, flag, value == NULL ? NULL : option, value, NULL};
    (void)fflush(stdout);
    return server_run(cli, server_argv);
}

static int ask_server(struct cli *cli, const struct cli_command *command, int argc, char **argv, const char *flag)
{
    struct cli_grammar grammar = {NULL, 0, 0, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc != CLI_PARSED ? rc : run_server(cli, flag, "--config", words.count > 0 ? words.items[0] : cli->config);
}

int cmd_config_check(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return ask_server(cli, command, argc, argv, "--check-config");
}

int cmd_config_print(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return ask_server(cli, command, argc, argv, "--print-config");
}

/* "label: text" lines as fields of one object. */
static int show_explained(const struct cli *cli, const char *text)
{
    struct el_buffer line = {.err = 0};
    struct el_json_writer w;
    cli_json_begin(&w, &line);
    while (*text != '\0') {
        size_t label_len = strcspn(text, ":\n"), len = strcspn(text, "\n");
        const char *value = text + label_len;
        value += strspn(value, ": ");
        if (text[label_len] == ':' && value <= text + len) {
            el_json_key_slice(&w, el_slice_of(text, label_len));
            el_json_put_slice(&w, el_slice_of(value, (size_t)(text + len - value)));
        }
        text += len;
        text += *text == '\n';
    }
    int rc = cli_json_end(cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

int cmd_config_explain(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct cli_grammar grammar = {NULL, 0, 1, 2};
    struct cli_words words;
    struct server_settings answer = {.exit_code = 0};
    char flag[FLAG_MAX];
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    (void)snprintf(flag, sizeof flag, "--explain=%s", words.items[0]);
    rc = server_settings_ask(cli, flag, words.count > 1 ? words.items[1] : cli->config, &answer);
    const char *text = el_buffer_text(&answer.text);
    if (rc == CLI_OK && answer.exit_code != 0) {
        rc = CLI_USAGE; /* evlogd has said why */
    } else if (rc == CLI_OK && cli->json) {
        rc = show_explained(cli, text);
    } else if (rc == CLI_OK) {
        (void)fputs(text, stdout);
    }
    server_settings_free(&answer);
    return rc;
}

int cmd_config_init(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    const char *data = NULL;
    const struct cli_option options[] = {{"data", 0, CLI_TEXT, &data, "DIR", "the data directory (/var/lib/evlog)"}};
    struct cli_grammar grammar = {options, 1, 0, 0};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc != CLI_PARSED ? rc : run_server(cli, "--init-config", "--data", data);
}

/* --- of a running broker ------------------------------------------------------------------------------------------ */

struct shown {
    struct cli *cli;
    const struct cli_words *names; /* none: all */
    struct table table;
    size_t count;
};

/* Defaults of topics may be called what topics call them: brokers show them by a name of their own. */
static const char *name_at_broker(const char *name)
{
    static const char *const names[][2] = {
#define BROKER_NAME(ID, own_, name_) {(own_), (name_)},
#include <core/broker_names.def>
#undef BROKER_NAME
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i][0], name) == 0) {
            return names[i][1];
        }
    }
    return name;
}

static bool wanted(const struct shown *shown, const char *key)
{
    for (int i = 0; i < shown->names->count; i++) {
        if (strcmp(name_at_broker(shown->names->items[i]), key) == 0) {
            return true;
        }
    }
    return shown->names->count == 0;
}

static int show(struct shown *shown, const struct evlog_setting *setting, const char *origin)
{
    const char *value = setting->value == NULL ? "" : setting->value;
    if (!wanted(shown, setting->key)) {
        return CLI_OK;
    }
    shown->count++;
    if (!shown->cli->json) {
        table_cell(&shown->table, "%s", setting->key);
        table_cell(&shown->table, "%s", value);
        table_cell(&shown->table, "%s", origin);
        return CLI_OK;
    }
    struct el_buffer line = {.err = 0};
    struct el_json_writer w;
    cli_json_begin(&w, &line);
    el_json_add_str(&w, "name", setting->key);
    el_json_add_str(&w, "value", value);
    el_json_add_str(&w, "origin", origin);
    int rc = cli_json_end(shown->cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

/* The first name that the broker does not know is told, with the nearest that it knows. */
static int check_names(const struct shown *shown, const struct evlog_setting_list *list)
{
    const char *known[NAMES_MAX];
    char remedy[200];
    size_t count = 0;
    for (size_t i = 0; i < list->setting_count && count < NAMES_MAX; i++) {
        known[count++] = list->settings[i].key;
    }
    for (size_t i = 0; i < list->default_count && count < NAMES_MAX; i++) {
        known[count++] = list->defaults[i].key;
    }
    for (int i = 0; i < shown->names->count; i++) {
        const char *name = name_at_broker(shown->names->items[i]);
        size_t k = 0;
        while (k < count && strcmp(known[k], name) != 0) {
            k++;
        }
        if (k == count) {
            const char *near = el_nearest(name, known, count);
            (void)snprintf(remedy, sizeof remedy, near != NULL ? "did you mean %s?" : "evlog config get shows all",
                           near);
            return cli_error_remedy(shown->cli, (struct cli_remedy){CLI_ERR_NO_SETTING, remedy},
                                    "the broker has no setting %s", name);
        }
    }
    return CLI_OK;
}

int cmd_config_get(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    static const struct table_column columns[] = {{"SETTING", false}, {"VALUE", false}, {"ORIGIN", false}};
    struct cli_grammar grammar = {NULL, 0, 0, -1};
    struct cli_words words;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_setting_list *list = NULL;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    struct shown shown = {.cli = cli, .names = &words};
    rc = cli_connect(cli);
    if (rc == CLI_OK && evlog_broker_settings(cli->client, &list, &failure) != 0) {
        rc = cli_failure(cli, &failure);
    }
    table_begin(&shown.table, columns, 3);
    if (rc == CLI_OK) {
        rc = check_names(&shown, list);
    }
    for (size_t i = 0; rc == CLI_OK && i < list->setting_count; i++) {
        rc = show(&shown, &list->settings[i], "configuration");
    }
    for (size_t i = 0; rc == CLI_OK && i < list->default_count; i++) {
        rc = show(&shown, &list->defaults[i], "default");
    }
    if (rc == CLI_OK && !cli->json) {
        rc = table_end(cli, &shown.table);
    }
    evlog_setting_list_free(list);
    cli_close(cli);
    return rc;
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

/* "NAME=VALUE" or "NAME=" into a setting; the word is cut at its "=". */
static int take_change(const struct cli *cli, char *word, struct evlog_setting *change)
{
    char *equals = strchr(word, '=');
    if (equals == NULL || equals == word) {
        return cli_error(cli, CLI_ERR_VALUE,
                         "a setting is NAME=VALUE, or NAME= for what the configuration says, not %s", word);
    }
    *equals = '\0';
    *change = (struct evlog_setting){.key = word, .value = equals[1] == '\0' ? NULL : equals + 1};
    return CLI_OK;
}

int cmd_config_set(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    bool dry_run = false;
    const struct cli_option options[] = {{"dry-run", 0, CLI_FLAG, &dry_run, NULL, "check, and change nothing"}};
    struct cli_grammar grammar = {options, 1, 1, CHANGES_MAX};
    struct cli_words words;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_setting changes[CHANGES_MAX];
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = CLI_OK;
    for (int i = 0; i < words.count && rc == CLI_OK; i++) {
        rc = take_change(cli, words.items[i], &changes[i]);
    }
    rc = rc == CLI_OK ? cli_connect(cli) : rc;
    if (rc == CLI_OK && evlog_broker_set(cli->client, changes, (size_t)words.count, dry_run, &failure) != 0) {
        rc = cli_failure(cli, &failure);
    } else if (rc == CLI_OK) {
        cli_say(cli, dry_run ? "it could be changed" : "changed, and kept over restarts");
    }
    cli_close(cli);
    return rc;
}
