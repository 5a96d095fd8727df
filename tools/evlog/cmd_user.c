/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog user ls | create | passwd | rm: who may prove to be somebody, by SCRAM.
 *
 * A password comes from a prompt without echo, from a file, or is made and printed once; never from a word of the
 * command. passwd leaves no mechanism with the old password.
 */
#include "cli.h"
#include "password.h"
#include "table.h"

#include <core/nearest.h>
#include <core/scram.h>
#include <string.h>
#include <strings.h>

#define MECHANISM_COUNT 2

/* --- ls ----------------------------------------------------------------------------------------------------------- */

static int user_json(const struct cli *cli, const struct evlog_user *user)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    cli_json_begin(&w, &line);
    el_json_add_str(&w, "user", user->name);
    el_json_key(&w, "mechanisms");
    el_json_begin_array(&w);
    for (size_t i = 0; i < user->key_count; i++) {
        el_json_begin_object(&w);
        el_json_add_str(&w, "mechanism", el_scram_name(user->keys[i].mechanism));
        el_json_add_uint(&w, "iterations", user->keys[i].iterations);
        el_json_end_object(&w);
    }
    el_json_end_array(&w);
    int rc = cli_json_end(cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

static int show_users(const struct cli *cli, const struct evlog_user_list *list, struct table *table)
{
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < list->user_count; i++) {
        const struct evlog_user *user = &list->users[i];
        if (cli->json) {
            rc = user_json(cli, user);
        }
        for (size_t k = 0; !cli->json && k < user->key_count; k++) {
            const char *mechanism = el_scram_name(user->keys[k].mechanism);
            table_cell(table, "%s", user->name);
            table_cell(table, "%s", mechanism == NULL ? "unknown" : mechanism);
            table_cell(table, "%u", user->keys[k].iterations);
        }
    }
    return rc;
}

static int list(struct cli *cli, const struct cli_words *words)
{
    static const struct table_column columns[] = {{"USER", false}, {"MECHANISM", false}, {"ITERATIONS", true}};
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_user_list *users;
    struct table table;
    size_t count = 0;
    int rc = cli_connect(cli), i = 0;
    if (rc != CLI_OK) {
        return rc;
    }
    table_begin(&table, columns, sizeof columns / sizeof columns[0]);
    do {
        if (evlog_user_list(cli->client, words->count == 0 ? NULL : words->items[i], &users, &failure) != 0) {
            rc = cli_failure(cli, &failure);
            break;
        }
        count += users->user_count;
        rc = show_users(cli, users, &table);
        evlog_user_list_free(users);
    } while (rc == CLI_OK && ++i < words->count);
    if (rc == CLI_OK && count == 0) {
        cli_say(cli, "no users; 'evlog user create NAME' makes one");
    }
    int ended = cli->json || count == 0 ? (el_buffer_free(&table.cells), CLI_OK) : table_end(cli, &table);
    return rc == CLI_OK ? ended : rc;
}

int cmd_user_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct cli_grammar grammar = {NULL, 0, 0, -1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc == CLI_PARSED ? list(cli, &words) : rc;
}

/* --- create, passwd ----------------------------------------------------------------------------------------------- */

struct set {
    const char *name;
    const char *password_file;
    struct cli_list mechanisms;
    int64_t iterations;
    bool generate;
    bool create; /* the user must not be there; else it must */
    int numbers[MECHANISM_COUNT];
    size_t number_count;
};

static int take_mechanism(const struct cli *cli, struct set *set, const char *name)
{
    static const char *const names[] = {"SCRAM-SHA-256", "SCRAM-SHA-512"};
    char remedy[80];
    int number = 0;
    for (size_t i = 0; i < MECHANISM_COUNT; i++) {
        number = strcasecmp(name, names[i]) == 0 ? el_scram_find(el_slice_str(names[i])) : number;
    }
    for (size_t i = 0; i < set->number_count; i++) {
        if (set->numbers[i] == number) {
            return CLI_OK;
        }
    }
    if (number != 0) {
        set->numbers[set->number_count++] = number;
        return CLI_OK;
    }
    const char *near = el_nearest(name, names, MECHANISM_COUNT);
    (void)snprintf(remedy, sizeof remedy,
                   near == NULL ? "mechanisms are SCRAM-SHA-256 and SCRAM-SHA-512" : "did you mean %s?", near);
    return cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_VALUE, remedy}, "--mechanism %.60s: there is none", name);
}

static int check(const struct cli *cli, struct set *set)
{
    int rc = CLI_OK;
    if (set->generate && set->password_file != NULL) {
        return cli_error(cli, CLI_ERR_WORDS, "a password is read from a file or generated: not both");
    }
    if (set->iterations != 0 &&
        (set->iterations < EL_SCRAM_ITERATIONS_MIN || set->iterations > EL_SCRAM_ITERATIONS_MAX)) {
        return cli_error(cli, CLI_ERR_VALUE, "--iterations takes %u to %u", EL_SCRAM_ITERATIONS_MIN,
                         EL_SCRAM_ITERATIONS_MAX);
    }
    for (size_t i = 0; rc == CLI_OK && i < set->mechanisms.count; i++) {
        rc = take_mechanism(cli, set, set->mechanisms.items[i]);
    }
    return rc;
}

/* Is the user there, as it must be or must not be? A user keeps its mechanisms when none is named. */
static int look(struct cli *cli, struct set *set)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_user_list *users;
    int rc = evlog_user_list(cli->client, set->name, &users, &failure);
    if (rc == EVLOG_ERR_NOT_FOUND && set->create) {
        return CLI_OK;
    }
    if (rc != 0) {
        return cli_failure(cli, &failure);
    }
    for (size_t i = 0; set->mechanisms.count == 0 && i < users->users[0].key_count && i < MECHANISM_COUNT; i++) {
        set->numbers[set->number_count++] = users->users[0].keys[i].mechanism;
    }
    evlog_user_list_free(users);
    return set->create ? cli_error(cli, CLI_ERR_USER_EXISTS, "user %.255s is there already", set->name) : CLI_OK;
}

static int take_password(const struct cli *cli, const struct set *set, struct password *password)
{
    if (set->generate) {
        return password_make(cli, password);
    }
    return set->password_file != NULL ? password_read(cli, set->password_file, password)
                                      : password_ask(cli, set->name, password);
}

/* A password that was made is printed when it holds, and nowhere else. */
static int print_password(const struct cli *cli, const struct set *set, const struct password *password)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    int rc;
    if (cli->json) {
        cli_json_begin(&w, &line);
        el_json_add_str(&w, "user", set->name);
        el_json_add_str(&w, "password", password->text);
        rc = cli_json_end(cli, &w, &line);
    } else {
        el_buffer_append_str(&line, password->text);
        el_buffer_append_char(&line, '\n');
        rc = cli_put(cli, &line);
    }
    el_buffer_free(&line);
    return rc;
}

static int set_user(struct cli *cli, struct set *set)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_user_options options = EVLOG_USER_OPTIONS_INIT;
    struct password password = {{0}};
    int rc = check(cli, set);
    rc = rc == CLI_OK ? cli_connect(cli) : rc;
    rc = rc == CLI_OK ? look(cli, set) : rc;
    rc = rc == CLI_OK ? take_password(cli, set, &password) : rc;
    if (rc == CLI_OK) {
        options.name = set->name;
        options.password = password.text;
        options.mechanisms = set->numbers;
        options.mechanism_count = set->number_count;
        options.iterations = (uint32_t)set->iterations;
        if (evlog_user_set(cli->client, &options, &failure) != 0) {
            rc = cli_failure(cli, &failure);
        }
    }
    if (rc == CLI_OK && set->generate) {
        rc = print_password(cli, set, &password);
    }
    password_wipe(&password);
    if (rc == CLI_OK) {
        cli_say(cli, set->create ? "created user %s" : "user %s has a new password, and no other", set->name);
    }
    return rc;
}

static int set_command(struct cli *cli, const struct cli_command *command, int argc, char **argv, bool create)
{
    struct set set = {.create = create};
    const struct cli_option options[] = {
        {"password-file", 0, CLI_TEXT, &set.password_file, "FILE", "read the password from a file; -: standard input"},
        {"generate", 0, CLI_FLAG, &set.generate, NULL, "make a password, and print it once"},
        {"mechanism", 0, CLI_LIST, &set.mechanisms, "NAME",
         create ? "SCRAM-SHA-256 or SCRAM-SHA-512 (both); may be repeated"
                : "SCRAM-SHA-256 or SCRAM-SHA-512 (those it has); may be repeated"},
        {"iterations", 0, CLI_INT, &set.iterations, "N", "of the hash: 4096 to 1000000 (8192)"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        set.name = words.items[0];
        rc = set_user(cli, &set);
    }
    cli_list_free(&set.mechanisms);
    return rc;
}

int cmd_user_create(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return set_command(cli, command, argc, argv, true);
}

int cmd_user_passwd(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return set_command(cli, command, argc, argv, false);
}

/* --- rm ----------------------------------------------------------------------------------------------------------- */

/* Rules outlive the user that they name: whoever gets the name gets the rights. */
static void tell_rules(struct cli *cli, const char *name)
{
    struct evlog_acl filter = EVLOG_ACL_FILTER_INIT;
    struct evlog_acl_list *acls;
    char principal[EL_SCRAM_NAME_MAX + 8];
    (void)snprintf(principal, sizeof principal, "User:%.255s", name);
    filter.principal = principal;
    if (evlog_acl_list(cli->client, &filter, &acls, NULL) == 0) {
        if (acls->acl_count > 0) {
            cli_say(cli, "%zu rules that name it stay: 'evlog acl rm %s' removes them", acls->acl_count, principal);
        }
        evlog_acl_list_free(acls);
    }
}

static int remove_user(struct cli *cli, const char *name, const char *confirm)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_user_list *users;
    int rc = cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_user_list(cli->client, name, &users, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "user %s with passwords for %zu mechanisms will be removed", name, users->users[0].key_count);
    evlog_user_list_free(users);
    rc = cli_confirm(cli, "user", name, confirm);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_user_delete(cli->client, name, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "removed user %s", name);
    tell_rules(cli, name);
    return CLI_OK;
}

int cmd_user_rm(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    const char *confirm = NULL;
    const struct cli_option options[] = {
        {"confirm", 0, CLI_TEXT, &confirm, "NAME", "the user's name once more"},
    };
    struct cli_grammar grammar = {options, 1, 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc == CLI_PARSED ? remove_user(cli, words.items[0], confirm) : rc;
}
