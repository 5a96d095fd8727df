/* SPDX-License-Identifier: Apache-2.0
 *
 * Options and words. One table of the options that every command takes, one of each command.
 *
 * --name VALUE, --name=VALUE, -n VALUE, -nVALUE; letters of flags may be joined (-qv); "--" ends the options; a single
 * "-" is a word. A value may begin with a dash ("--until -1h"). The first mistake is told, with the nearest known name.
 */
#include "cli.h"

#include <core/alloc.h>
#include <core/nearest.h>
#include <core/timefmt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GLOBAL_COUNT 12
#define OPTION_MAX 40

struct parser {
    struct cli *cli;
    const struct cli_command *command;
    const struct cli_grammar *grammar;
    struct cli_option globals[GLOBAL_COUNT];
    bool help;
    int argc;
    char **argv;
    int index;
};

static void fill_globals(struct parser *p)
{
    struct cli *cli = p->cli;
    const struct cli_option globals[GLOBAL_COUNT] = {
        {"bootstrap", 'b', CLI_TEXT, &cli->bootstrap, "HOST:PORT", "where the server is (127.0.0.1:9092)"},
        {"context", 0, CLI_TEXT, &cli->context, "NAME", "settings from ~/.config/evlog/NAME.conf"},
        {"config", 0, CLI_TEXT, &cli->config, "FILE", "settings from a file of key = value lines"},
        {"client-set", 'X', CLI_LIST, &cli->settings, "KEY=VALUE", "one client setting, such as linger.ms=0"},
        {"timeout", 0, CLI_DURATION, &cli->timeout_ms, "TIME", "longest wait for one answer (30s)"},
        {"json", 0, CLI_FLAG, &cli->json, NULL, "one JSON object a line"},
        {"plain", 0, CLI_FLAG, &cli->plain, NULL, "tab-separated, no headings"},
        {"quiet", 'q', CLI_FLAG, &cli->quiet, NULL, "no talk"},
        {"verbose", 'v', CLI_FLAG, &cli->verbose, NULL, "more talk"},
        {"no-color", 0, CLI_FLAG, &cli->no_color, NULL, "no colours"},
        {"no-input", 0, CLI_FLAG, &cli->no_input, NULL, "never ask"},
        {"help", 'h', CLI_FLAG, &p->help, NULL, "this text"},
    };
    memcpy(p->globals, globals, sizeof globals);
}

static const struct cli_option *find(const struct parser *p, const char *name, size_t len, char letter)
{
    for (size_t i = 0; i < p->grammar->option_count + GLOBAL_COUNT; i++) {
        const struct cli_option *o = i < p->grammar->option_count ? &p->grammar->options[i]
                                                                  : &p->globals[i - p->grammar->option_count];
        bool same = name == NULL ? o->letter == letter : strlen(o->name) == len && memcmp(o->name, name, len) == 0;
        if (same) {
            return o;
        }
    }
    return NULL;
}

static int unknown_option(const struct parser *p, const char *word, size_t len)
{
    const char *names[OPTION_MAX + GLOBAL_COUNT];
    char copy[64], remedy[128];
    size_t count = 0;
    for (size_t i = 0; i < p->grammar->option_count && i < OPTION_MAX; i++) {
        names[count++] = p->grammar->options[i].name;
    }
    for (size_t i = 0; i < GLOBAL_COUNT; i++) {
        names[count++] = p->globals[i].name;
    }
    (void)snprintf(copy, sizeof copy, "%.*s", (int)len, word);
    const char *near = len > 2 && word[0] == '-' && word[1] == '-' ? el_nearest(copy + 2, names, count) : NULL;
    if (near != NULL) {
        (void)snprintf(remedy, sizeof remedy, "did you mean --%s?", near);
        return cli_error_remedy(p->cli, (struct cli_remedy){CLI_ERR_OPTION, remedy}, "evlog %s has no option %s",
                                p->command->name, copy);
    }
    return cli_error(p->cli, CLI_ERR_OPTION, "evlog %s has no option %s", p->command->name, copy);
}

static int bad_value(const struct parser *p, const struct cli_option *o, const char *value, const char *why)
{
    return cli_error(p->cli, CLI_ERR_VALUE, "--%s %s: %s", o->name, value, why);
}

static int list_add(struct cli_list *list, const char *item)
{
    const char **grown = el_realloc(list->items, (list->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    grown[list->count++] = item;
    list->items = grown;
    return 0;
}

void cli_list_free(struct cli_list *list)
{
    el_free(list->items);
    list->items = NULL;
    list->count = 0;
}

static int set_value(const struct parser *p, const struct cli_option *o, const char *value)
{
    struct el_error err = {0};
    char *end;
    long long number;
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)o->target = true;
        return 0;
    case CLI_TEXT:
        *(const char **)o->target = value;
        return 0;
    case CLI_INT:
        errno = 0;
        number = strtoll(value, &end, 10);
        if (end == value || *end != '\0' || errno != 0) {
            return bad_value(p, o, value, "a whole number is needed");
        }
        *(int64_t *)o->target = number;
        return 0;
    case CLI_TIME:
        return el_time_parse(value, p->cli->now_ns, o->target, &err) == 0 ? 0 : bad_value(p, o, value, err.text);
    case CLI_DURATION:
        return el_duration_parse(value, o->target, &err) == 0 ? 0 : bad_value(p, o, value, err.text);
    case CLI_LIST:
        return list_add(o->target, value) == 0 ? 0 : bad_value(p, o, value, "no memory");
    }
    return 0;
}

/* An option with its value; value NULL: the next word is it. */
static int take_option(struct parser *p, const struct cli_option *o, const char *value)
{
    if (o->kind == CLI_FLAG) {
        return value == NULL ? set_value(p, o, "") : bad_value(p, o, value, "this option takes no value");
    }
    if (value == NULL) {
        if (p->index + 1 >= p->argc) {
            return cli_error(p->cli, CLI_ERR_VALUE, "--%s needs a value: %s", o->name, o->value_name);
        }
        value = p->argv[++p->index];
    }
    return set_value(p, o, value);
}

static int take_long(struct parser *p, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t len = equals == NULL ? strlen(word) : (size_t)(equals - word);
    const struct cli_option *o = find(p, word + 2, len - 2, 0);
    return o == NULL ? unknown_option(p, word, len) : take_option(p, o, equals == NULL ? NULL : equals + 1);
}

static int take_letters(struct parser *p, const char *word)
{
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        const struct cli_option *o = find(p, NULL, 0, *letter);
        if (o == NULL) {
            return unknown_option(p, word, strlen(word));
        }
        if (o->kind != CLI_FLAG) {
            return take_option(p, o, letter[1] == '\0' ? NULL : letter + 1);
        }
        int rc = take_option(p, o, NULL);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int check_words(const struct parser *p, int count)
{
    if (p->help || ((p->grammar->word_min < 0 || count >= p->grammar->word_min) &&
                    (p->grammar->word_max < 0 || count <= p->grammar->word_max))) {
        return 0;
    }
    return cli_error(p->cli, CLI_ERR_WORDS, "usage: evlog %s %s", p->command->name, p->command->arguments);
}

int cli_parse(struct cli *cli, const struct cli_command *command, const struct cli_grammar *grammar, int argc,
              char **argv, struct cli_words *words)
{
    struct parser p = {.cli = cli, .command = command, .grammar = grammar, .argc = argc, .argv = argv};
    bool words_only = false;
    int count = 0;
    fill_globals(&p);
    for (; p.index < argc; p.index++) {
        char *word = argv[p.index];
        int rc = 0;
        if (words_only || word[0] != '-' || word[1] == '\0') {
            argv[count++] = word;
        } else if (strcmp(word, "--") == 0) {
            words_only = true;
        } else {
            rc = word[1] == '-' ? take_long(&p, word) : take_letters(&p, word);
        }
        if (rc != 0) {
            return rc;
        }
    }
    if (check_words(&p, count) != 0) {
        return CLI_USAGE;
    }
    if (p.help) {
        cli_help_command(command, grammar, stdout);
        return CLI_OK;
    }
    *words = (struct cli_words){argv, count};
    return CLI_PARSED;
}

int cli_expected(const struct cli *cli, const char *option, const char *text, int64_t *expected)
{
    static const char *const names[] = {"none", "any", "exists"};
    static const int64_t values[] = {EVLOG_EXPECT_NONE, EVLOG_EXPECT_ANY, EVLOG_EXPECT_EXISTS};
    char *end, remedy[64];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *expected = values[i];
            return CLI_OK;
        }
    }
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0 && number >= 0) {
        *expected = number;
        return CLI_OK;
    }
    const char *near = el_nearest(text, names, sizeof names / sizeof names[0]);
    (void)snprintf(remedy, sizeof remedy,
                   near == NULL ? "say what the stream must be: none, any, exists, or a version" : "did you mean %s?",
                   near);
    return cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_VALUE, remedy},
                            "%s %.60s: it is none, any, exists, or the version of the last event, from 0 on", option,
                            text);
}

/* --- help ------------------------------------------------------------------------------------------------------- */

static void help_option(const struct cli_option *o, FILE *out)
{
    char left[64];
    int len = o->letter == 0 ? snprintf(left, sizeof left, "    --%s", o->name)
                             : snprintf(left, sizeof left, "-%c, --%s", o->letter, o->name);
    if (o->value_name != NULL && len > 0 && (size_t)len < sizeof left) {
        (void)snprintf(left + len, sizeof left - (size_t)len, " %s", o->value_name);
    }
    (void)fprintf(out, "  %-30s %s\n", left, o->help);
}

void cli_help_command(const struct cli_command *command, const struct cli_grammar *grammar, FILE *out)
{
    struct cli unused = {0};
    struct parser p = {.cli = &unused};
    fill_globals(&p);
    (void)fprintf(out, "usage: evlog %s%s%s\n\n%s.\n", command->name, command->arguments[0] == '\0' ? "" : " ",
                  command->arguments, command->summary);
    if (command->detail != NULL) {
        (void)fprintf(out, "%s\n", command->detail);
    }
    if (grammar->option_count > 0) {
        (void)fprintf(out, "\noptions:\n");
    }
    for (size_t i = 0; i < grammar->option_count; i++) {
        help_option(&grammar->options[i], out);
    }
    (void)fprintf(out, "\nfor every command:\n");
    for (size_t i = 0; i < GLOBAL_COUNT; i++) {
        help_option(&p.globals[i], out);
    }
}
