/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog quota: list, set and remove limits of users, client ids and addresses.
 */
#include "quota_words.h"
#include "table.h"

#include <core/alloc.h>
#include <string.h>

#define LIMIT_MAX 16 /* in one command */

struct quota {
    struct cli *cli;
    struct evlog_quota_entity entity;
};

/* --- ls ----------------------------------------------------------------------------------------------------------- */

static void add_name(struct el_json_writer *w, const char *kind, const char *name, bool is_default)
{
    if (name != NULL || is_default) {
        el_json_key(w, kind);
        el_json_put_str(w, name); /* null: the default, as in Kafka */
    }
}

static int list_json(const struct cli *cli, const void *list, size_t index, struct el_buffer *line)
{
    const struct evlog_quota *quota = &((const struct evlog_quota_list *)list)->quotas[index];
    struct el_json_writer w;
    const struct evlog_quota_entity *entity = &quota->entity;
    cli_json_begin(&w, line);
    add_name(&w, "user", entity->user, entity->default_user);
    add_name(&w, "client_id", entity->client_id, entity->default_client_id);
    add_name(&w, "ip", entity->ip, entity->default_ip);
    el_json_add_str(&w, "key", quota->key);
    el_json_key(&w, "value");
    el_json_put_real(&w, quota->value);
    return cli_json_end(cli, &w, line);
}

static void name_cell(struct table *table, const char *name, bool is_default)
{
    table_cell(table, "%s", is_default ? "(default)" : name == NULL ? "-" : name);
}

static void list_cells(struct table *table, const void *list, size_t index)
{
    const struct evlog_quota *quota = &((const struct evlog_quota_list *)list)->quotas[index];
    name_cell(table, quota->entity.user, quota->entity.default_user);
    name_cell(table, quota->entity.client_id, quota->entity.default_client_id);
    name_cell(table, quota->entity.ip, quota->entity.default_ip);
    table_cell(table, "%s", quota->key);
    table_cell(table, "%.15g", quota->value);
}

int cmd_quota_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    static const struct table_column columns[] = {
        {"USER", false}, {"CLIENT-ID", false}, {"IP", false}, {"LIMIT", false}, {"VALUE", true}};
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_quota_list *list;
    int rc = cli_connect_bare(cli, command, argc, argv);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (evlog_quota_list(cli->client, &list, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    rc = table_show(cli, &(struct table_list){columns, sizeof columns / sizeof columns[0], list, list->quota_count,
                                              list_json, list_cells,
                                              "no quotas; 'evlog quota set --user NAME producer_byte_rate=10MiB' "
                                              "makes one"});
    evlog_quota_list_free(list);
    return rc;
}

/* --- set and rm --------------------------------------------------------------------------------------------------- */

/* "producer_byte_rate=10MiB". The word is cut at the sign. returns CLI_OK | CLI_USAGE told */
static int limit_parse(const struct quota *q, char *word, struct evlog_quota *limit)
{
    struct el_error err = {0};
    char remedy[QUOTA_REMEDY_MAX];
    char *sign = strchr(word, '=');
    if (sign == NULL || sign == word || sign[1] == 0) {
        return cli_error(q->cli, CLI_ERR_VALUE, "'%s' is no NAME=VALUE, such as producer_byte_rate=10MiB", word);
    }
    *sign = 0;
    *limit = (struct evlog_quota){.entity = q->entity, .key = word};
    if (quota_key_check(&q->entity, word, remedy, &err) != 0) {
        return cli_error_remedy(q->cli, (struct cli_remedy){CLI_ERR_VALUE, remedy[0] == '\0' ? NULL : remedy}, "%s",
                                err.text);
    }
    return quota_value_parse(word, sign + 1, &limit->value, &err) == 0
               ? CLI_OK
               : cli_error_remedy(q->cli, (struct cli_remedy){CLI_ERR_VALUE, "'evlog quota rm' removes a limit"},
                                  "%s=%s", word, err.text);
}

static int change(const struct quota *q, const struct evlog_quota *limits, size_t count)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    return evlog_quota_set(q->cli->client, limits, count, &failure) == 0 ? CLI_OK : cli_failure(q->cli, &failure);
}

static int set_run(struct quota *q, const struct cli_words *words)
{
    struct evlog_quota limits[LIMIT_MAX];
    int rc = CLI_OK;
    for (int i = 0; rc == CLI_OK && i < words->count; i++) {
        rc = limit_parse(q, words->items[i], &limits[i]);
    }
    rc = rc == CLI_OK ? cli_connect(q->cli) : rc;
    rc = rc == CLI_OK ? change(q, limits, (size_t)words->count) : rc;
    if (rc == CLI_OK) {
        cli_say(q->cli, "%d limits set", words->count);
    }
    return rc;
}

/* Limits of the entity by these names, or all of them, out of the list. returns how many */
static size_t find(const struct quota *q, const struct evlog_quota_list *list, const struct cli_words *words,
                   struct evlog_quota *limits)
{
    size_t count = 0;
    for (size_t i = 0; i < list->quota_count && count < LIMIT_MAX; i++) {
        bool wanted = words->count == 0;
        for (int k = 0; k < words->count; k++) {
            wanted = wanted || strcmp(list->quotas[i].key, words->items[k]) == 0;
        }
        if (wanted && quota_entity_same(&list->quotas[i].entity, &q->entity)) {
            limits[count] = list->quotas[i];
            limits[count++].value = 0;
        }
    }
    return count;
}

static int rm_run(struct quota *q, const struct cli_words *words)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_quota limits[LIMIT_MAX];
    struct evlog_quota_list *list;
    int rc = cli_connect(q->cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_quota_list(q->cli->client, &list, &failure) != 0) {
        return cli_failure(q->cli, &failure);
    }
    size_t count = find(q, list, words, limits);
    rc = count == 0 ? cli_error(q->cli, CLI_ERR_NO_QUOTA, "there is no such limit of it") : change(q, limits, count);
    evlog_quota_list_free(list);
    if (rc == CLI_OK) {
        cli_say(q->cli, "%zu limits removed", count);
    }
    return rc;
}

static int run(struct cli *cli, const struct cli_command *command, int argc, char **argv, bool sets)
{
    struct quota q = {.cli = cli};
    struct evlog_quota_entity *entity = &q.entity;
    const struct cli_option options[] = {
        {"user", 'u', CLI_TEXT, &entity->user, "NAME", "of this user"},
        {"client-id", 'i', CLI_TEXT, &entity->client_id, "ID", "of this client id, of all users or with --user of one"},
        {"ip", 0, CLI_TEXT, &entity->ip, "ADDRESS", "of this address"},
        {"default-user", 0, CLI_FLAG, &entity->default_user, NULL, "of each user without a limit of its own"},
        {"default-client-id", 0, CLI_FLAG, &entity->default_client_id, NULL, "of each client id without one"},
        {"default-ip", 0, CLI_FLAG, &entity->default_ip, NULL, "of each address without one"},
    };
    const struct cli_grammar grammar = {options, sizeof options / sizeof options[0], sets ? 1 : 0, LIMIT_MAX};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    char address[EL_ADDRESS_TEXT_MAX];
    bool is_address = entity->ip != NULL && el_address_canonical(el_slice_str(entity->ip), address);
    if (entity->ip != NULL && !is_address && sets) {
        return cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_VALUE, "names of hosts are not looked up"},
                                "\"%.60s\" is no address, IPv4 or IPv6", entity->ip);
    }
    entity->ip = is_address ? address : entity->ip;
    bool twice = (entity->user != NULL && entity->default_user) || (entity->ip != NULL && entity->default_ip) ||
                 (entity->client_id != NULL && entity->default_client_id);
    bool some = entity->user != NULL || entity->client_id != NULL || entity->default_user || entity->default_client_id;
    bool of_ip = entity->ip != NULL || entity->default_ip;
    if (twice || some == of_ip) {
        return cli_error(cli, CLI_ERR_VALUE,
                         "--user, --client-id, both, or --ip say whom the limit is for, by name or "
                         "as --default-user and so on");
    }
    return sets ? set_run(&q, &words) : rm_run(&q, &words);
}

int cmd_quota_set(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return run(cli, command, argc, argv, true);
}

int cmd_quota_rm(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return run(cli, command, argc, argv, false);
}
