/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog acl ls | allow | deny | rm | explain: who may do what.
 *
 * Rules are written as they are shown; see acl_words.h. allow and deny add what is missing, and say what was there; rm
 * shows what will go and wants the principal once more.
 */
#include "acl_words.h"
#include "table.h"

#include <core/alloc.h>
#include <string.h>

#define OWN_TOPICS "__evlog"

/* --- output ------------------------------------------------------------------------------------------------------- */

static int mistaken(const struct cli *cli, int rc, const struct acl_mistake *mistake)
{
    if (rc == EVLOG_ERR_NO_MEMORY) {
        return cli_error(cli, CLI_ERR_VALUE, "no memory");
    }
    return cli_error_remedy(cli,
                            (struct cli_remedy){CLI_ERR_VALUE, mistake->remedy[0] == '\0' ? NULL : mistake->remedy},
                            "%s", mistake->text);
}

static void acl_members(struct el_json_writer *w, const struct evlog_acl *acl)
{
    el_json_add_str(w, "principal", acl->principal);
    el_json_add_str(w, "host", acl->host);
    el_json_add_str(w, "permission", evlog_acl_permission_name(acl->permission));
    el_json_add_str(w, "operation", evlog_acl_operation_name(acl->operation));
    el_json_add_str(w, "resource", evlog_acl_resource_name(acl->resource));
    el_json_add_str(w, "pattern", evlog_acl_pattern_name(acl->pattern));
    el_json_add_str(w, "name", acl->name);
}

/* A line of JSON about a rule; change NULL: none. */
static int acl_json(const struct cli *cli, const char *change, const struct evlog_acl *acl)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    cli_json_begin(&w, &line);
    if (change != NULL) {
        el_json_add_str(&w, "change", change);
    }
    acl_members(&w, acl);
    int rc = cli_json_end(cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

/* What is done to a rule: data, for that is what the command is about. */
static int tell(const struct cli *cli, const char *change, const struct evlog_acl *acl)
{
    struct el_buffer line = {0};
    if (cli->json) {
        return acl_json(cli, change, acl);
    }
    el_buffer_printf(&line, "%s: ", change);
    acl_say(&line, acl);
    el_buffer_append_char(&line, '\n');
    int rc = cli_put(cli, &line);
    el_buffer_free(&line);
    return rc;
}

/* --- ls ----------------------------------------------------------------------------------------------------------- */

static void row(struct table *table, const struct evlog_acl *acl)
{
    char word[32];
    table_cell(table, "%s", acl->principal);
    table_cell(table, "%s", acl_word(word, evlog_acl_permission_name(acl->permission)));
    table_cell(table, "%s", acl_word(word, evlog_acl_operation_name(acl->operation)));
    table_cell(table, "%s", acl_word(word, evlog_acl_resource_name(acl->resource)));
    table_cell(table, "%s%s", acl->resource == EVLOG_ACL_CLUSTER ? "-" : acl->name, acl_name_mark(acl));
    table_cell(table, "%s", acl->host);
}

/* Has an earlier filter found the rule too? */
static bool found_before(const struct acl_set *filters, size_t index, const struct evlog_acl *acl)
{
    for (size_t i = 0; i < index; i++) {
        const struct evlog_acl *f = &filters->acls[i];
        if ((f->name == NULL || strcmp(f->name, acl->name) == 0) &&
            (f->pattern == EVLOG_ACL_ANY || f->pattern == acl->pattern) &&
            (f->operation == EVLOG_ACL_ANY || f->operation == acl->operation)) {
            return true;
        }
    }
    return false;
}

/* Rules that filters fit, each once, into set; lists are kept in lists[filters->count] for their texts. */
static int find_all(struct cli *cli, const struct acl_set *filters, struct evlog_acl_list **lists, struct acl_set *set)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    for (size_t i = 0; i < filters->count; i++) {
        if (evlog_acl_list(cli->client, &filters->acls[i], &lists[i], &failure) != 0) {
            return cli_failure(cli, &failure);
        }
        for (size_t k = 0; k < lists[i]->acl_count; k++) {
            bool twice = filters->acls[i].pattern != EVLOG_ACL_MATCH && found_before(filters, i, &lists[i]->acls[k]);
            if (!twice && acl_set_put(set, &lists[i]->acls[k]) != 0) {
                return cli_error(cli, CLI_ERR_VALUE, "no memory");
            }
        }
    }
    return CLI_OK;
}

/* Do something with the rules that the words find. */
typedef int (*found_fn)(struct cli *cli, const struct acl_set *found, const void *arg);

static int with_found(struct cli *cli, const struct acl_words *words, bool matching, found_fn fn, const void *arg)
{
    struct acl_set filters = {0}, found = {0};
    struct acl_mistake mistake;
    int rc = acl_filters_add(&filters, words, &mistake);
    rc = rc == 0 ? CLI_OK : mistaken(cli, rc, &mistake);
    for (size_t i = 0; matching && i < filters.count; i++) {
        filters.acls[i].pattern = EVLOG_ACL_MATCH;
    }
    rc = rc == CLI_OK ? cli_connect(cli) : rc;
    struct evlog_acl_list **lists = rc != CLI_OK ? NULL : el_calloc(filters.count, sizeof(struct evlog_acl_list *));
    if (rc == CLI_OK) {
        rc = lists == NULL ? cli_error(cli, CLI_ERR_VALUE, "no memory") : find_all(cli, &filters, lists, &found);
    }
    rc = rc == CLI_OK ? fn(cli, &found, arg) : rc;
    for (size_t i = 0; lists != NULL && i < filters.count; i++) {
        evlog_acl_list_free(lists[i]);
    }
    el_free(lists);
    acl_set_free(&found);
    acl_set_free(&filters);
    return rc;
}

static int show(struct cli *cli, const struct acl_set *found, const void *arg)
{
    static const struct table_column columns[] = {
        {"PRINCIPAL", false}, {"RULE", false}, {"OPERATION", false},
        {"RESOURCE", false},  {"NAME", false}, {"HOST", false},
    };
    struct table table;
    int rc = CLI_OK;
    if (found->count == 0) {
        cli_say(cli, "no rules; 'evlog acl allow' adds some");
        return CLI_OK;
    }
    table_begin(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; rc == CLI_OK && i < found->count; i++) {
        if (cli->json) {
            rc = acl_json(cli, NULL, &found->acls[i]);
        } else {
            row(&table, &found->acls[i]);
        }
    }
    return cli->json ? rc : table_end(cli, &table);
}

/* Which rules ls and rm are about. */
struct which {
    const char *host;
    bool allow, deny, literal;
};

static struct acl_words words_of(const struct which *which, const struct cli_words *words)
{
    return (struct acl_words){
        .words = (const char *const *)words->items,
        .count = words->count,
        .host = which->host,
        .permission = which->allow == which->deny ? EVLOG_ACL_ANY
                      : which->allow              ? EVLOG_ACL_ALLOW
                                                  : EVLOG_ACL_DENY,
        .literal = which->literal,
    };
}

int cmd_acl_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct which which = {0};
    bool matching = false;
    const struct cli_option options[] = {
        {"matching", 0, CLI_FLAG, &matching, NULL,
         "every rule that is about a resource of this name, prefixes and * too"},
        {"host", 0, CLI_TEXT, &which.host, "ADDRESS", "rules for this address; *: those for every one"},
        {"allow", 0, CLI_FLAG, &which.allow, NULL, "rules that allow"},
        {"deny", 0, CLI_FLAG, &which.deny, NULL, "rules that deny"},
        {"literal", 0, CLI_FLAG, &which.literal, NULL, "a * in NAME is a character"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 0, ACL_WORDS_MAX};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (matching && words.count != 4) {
        return cli_error(cli, CLI_ERR_WORDS,
                         "--matching needs the one NAME: evlog acl ls any any topic orders --matching");
    }
    which.literal = which.literal || matching;
    struct acl_words asked = words_of(&which, &words);
    return with_found(cli, &asked, matching, show, NULL);
}

/* --- allow, deny -------------------------------------------------------------------------------------------------- */

struct add {
    int permission;
    const char *host;
    bool literal;
    bool dry_run;
};

static bool is_there(const struct evlog_acl_list *list, const struct evlog_acl *acl)
{
    for (size_t i = 0; i < list->acl_count; i++) {
        if (acl_same(&list->acls[i], acl)) {
            return true;
        }
    }
    return false;
}

/* Tell of each rule whether it is new; what is there is told to stderr. */
static int tell_new(const struct cli *cli, const struct add *add, const struct acl_set *set,
                    const struct evlog_acl_list *list)
{
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < set->count; i++) {
        if (is_there(list, &set->acls[i])) {
            rc = tell(cli, "is there", &set->acls[i]);
        } else {
            rc = tell(cli, add->dry_run ? "would add" : "added", &set->acls[i]);
        }
    }
    return rc;
}

static int add_set(struct cli *cli, const struct add *add, const struct acl_set *set)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_acl filter = EVLOG_ACL_FILTER_INIT;
    struct evlog_acl_list *list;
    filter.principal = set->acls[0].principal;
    if (evlog_acl_list(cli->client, &filter, &list, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    int rc = CLI_OK;
    if (!add->dry_run && evlog_acl_add(cli->client, set->acls, set->count, &failure) != 0) {
        rc = cli_failure(cli, &failure);
    }
    rc = rc == CLI_OK ? tell_new(cli, add, set, list) : rc;
    evlog_acl_list_free(list);
    return rc;
}

static int add_command(struct cli *cli, const struct cli_command *command, int argc, char **argv, int permission)
{
    struct add add = {.permission = permission};
    const struct cli_option options[] = {
        {"host", 0, CLI_TEXT, &add.host, "ADDRESS", "only from this address (every one)"},
        {"literal", 0, CLI_FLAG, &add.literal, NULL, "a * in NAME is a character"},
        {"dry-run", 0, CLI_FLAG, &add.dry_run, NULL, "say what would be added, change nothing"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 3, ACL_WORDS_MAX};
    struct cli_words words;
    struct acl_set set = {0};
    struct acl_mistake mistake;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    struct acl_words asked = {(const char *const *)words.items, words.count, add.host, permission, add.literal};
    rc = acl_rules_add(&set, &asked, &mistake);
    rc = rc == 0 ? cli_connect(cli) : mistaken(cli, rc, &mistake);
    rc = rc == CLI_OK ? add_set(cli, &add, &set) : rc;
    acl_set_free(&set);
    return rc;
}

int cmd_acl_allow(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return add_command(cli, command, argc, argv, EVLOG_ACL_ALLOW);
}

int cmd_acl_deny(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return add_command(cli, command, argc, argv, EVLOG_ACL_DENY);
}

/* --- rm ----------------------------------------------------------------------------------------------------------- */

struct removal {
    const char *principal;
    const char *confirm;
    bool dry_run;
};

static int remove_found(struct cli *cli, const struct acl_set *found, const void *arg)
{
    const struct removal *removal = arg;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    size_t removed = 0;
    int rc = CLI_OK;
    if (found->count == 0) {
        return cli_error(cli, CLI_ERR_NO_RULE, "there is no such rule");
    }
    for (size_t i = 0; rc == CLI_OK && i < found->count; i++) {
        rc = tell(cli, removal->dry_run ? "would remove" : "remove", &found->acls[i]);
    }
    if (rc != CLI_OK || removal->dry_run) {
        return rc;
    }
    (void)fflush(stdout);
    rc = cli_confirm(cli, "rules of principal", removal->principal, removal->confirm);
    if (rc != CLI_OK) {
        return rc;
    }
    for (size_t at = 0; at < found->count; at += EVLOG_ACL_COUNT_MAX) {
        size_t now = 0, count = EL_MIN(found->count - at, (size_t)EVLOG_ACL_COUNT_MAX);
        if (evlog_acl_remove(cli->client, found->acls + at, count, &now, &failure) != 0) {
            return cli_failure(cli, &failure);
        }
        removed += now;
    }
    cli_say(cli, "removed %zu rules", removed);
    return CLI_OK;
}

int cmd_acl_rm(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct which which = {0};
    struct removal removal = {0};
    const struct cli_option options[] = {
        {"host", 0, CLI_TEXT, &which.host, "ADDRESS", "rules for this address; *: those for every one"},
        {"allow", 0, CLI_FLAG, &which.allow, NULL, "rules that allow"},
        {"deny", 0, CLI_FLAG, &which.deny, NULL, "rules that deny"},
        {"literal", 0, CLI_FLAG, &which.literal, NULL, "a * in NAME is a character"},
        {"confirm", 0, CLI_TEXT, &removal.confirm, "PRINCIPAL", "the first word once more"},
        {"dry-run", 0, CLI_FLAG, &removal.dry_run, NULL, "say what would go, change nothing"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, ACL_WORDS_MAX};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    removal.principal = words.items[0];
    struct acl_words asked = words_of(&which, &words);
    return with_found(cli, &asked, false, remove_found, &removal);
}

/* --- explain ------------------------------------------------------------------------------------------------------ */

static const char *reason_of(const struct evlog_acl_answer *answer)
{
    switch (answer->reason) {
    case EVLOG_ACL_BY_SETTING:
        return "the authorizer is off, and everybody may everything";
    case EVLOG_ACL_BY_SUPER:
        return "super.users names it";
    case EVLOG_ACL_BY_RULE:
        return answer->allowed ? "a rule allows it" : "a rule denies it";
    case EVLOG_ACL_BY_NO_RULE:
        return "no rule allows it";
    case EVLOG_ACL_BY_DEFAULT:
        return answer->allowed ? "no rule is about it, and allow.everyone.if.no.acl.found is on"
                               : "no rule is about it";
    }
    return "";
}

static int answer_json(const struct cli *cli, const struct evlog_acl_question *question,
                       const struct evlog_acl_answer *answer)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    cli_json_begin(&w, &line);
    el_json_add_str(&w, "principal", question->principal);
    el_json_add_str(&w, "operation", evlog_acl_operation_name(question->operation));
    el_json_add_str(&w, "resource", evlog_acl_resource_name(question->resource));
    el_json_add_str(&w, "name", question->name);
    el_json_add_bool(&w, "allowed", answer->allowed);
    el_json_add_bool(&w, "settings_known", answer->settings_known);
    el_json_add_str(&w, "reason", reason_of(answer));
    el_json_key(&w, "rule");
    if (answer->rule == NULL) {
        el_json_put_null(&w);
    } else {
        el_json_begin_object(&w);
        acl_members(&w, answer->rule);
        el_json_end_object(&w);
    }
    el_json_key(&w, "others");
    el_json_begin_array(&w);
    for (size_t i = 0; i < answer->other_count; i++) {
        el_json_begin_object(&w);
        acl_members(&w, &answer->others[i]);
        el_json_end_object(&w);
    }
    el_json_end_array(&w);
    int rc = cli_json_end(cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

static int answer_text(const struct cli *cli, const struct evlog_acl_question *question,
                       const struct evlog_acl_answer *answer)
{
    struct el_buffer out = {0};
    char operation[32], resource[32];
    el_buffer_printf(&out, "%s: %s %s %s %s%s%s\n", answer->allowed ? "allowed" : "denied", question->principal,
                     acl_word(operation, evlog_acl_operation_name(question->operation)),
                     acl_word(resource, evlog_acl_resource_name(question->resource)),
                     question->resource == EVLOG_ACL_CLUSTER ? "" : question->name,
                     question->host == NULL ? "" : " from ", question->host == NULL ? "" : question->host);
    el_buffer_printf(&out, "  because %s", reason_of(answer));
    if (answer->rule != NULL) {
        el_buffer_append_str(&out, ": ");
        acl_say(&out, answer->rule);
    }
    el_buffer_append_char(&out, '\n');
    for (size_t i = 0; i < answer->other_count; i++) {
        el_buffer_append_str(&out, "  does not decide: ");
        acl_say(&out, &answer->others[i]);
        el_buffer_append_char(&out, '\n');
    }
    int rc = cli_put(cli, &out);
    el_buffer_free(&out);
    return rc;
}

static int explain_one(struct cli *cli, const struct evlog_acl_question *question, bool *allowed)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_acl_answer *answer;
    if (evlog_acl_explain(cli->client, question, &answer, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    int rc = cli->json ? answer_json(cli, question, answer) : answer_text(cli, question, answer);
    if (!answer->settings_known && answer->reason != EVLOG_ACL_BY_SETTING) {
        cli_say(cli, "super.users is not known: seeing it needs describe-configs on the cluster");
    }
    *allowed = *allowed && answer->allowed;
    evlog_acl_answer_free(answer);
    return rc;
}

static int explain(struct cli *cli, struct evlog_acl_question *question)
{
    bool allowed = true;
    int rc = cli_connect(cli);
    rc = rc == CLI_OK ? explain_one(cli, question, &allowed) : rc;
    if (rc == CLI_OK && question->resource == EVLOG_ACL_TOPIC &&
        strncmp(question->name, OWN_TOPICS, sizeof OWN_TOPICS - 1) == 0) {
        cli_say(cli, "topics of evlog itself ask for cluster-action on the cluster as well:");
        question->operation = EVLOG_ACL_CLUSTER_ACTION;
        question->resource = EVLOG_ACL_CLUSTER;
        rc = explain_one(cli, question, &allowed);
    }
    return rc == CLI_OK && !allowed ? CLI_DENIED : rc;
}

int cmd_acl_explain(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct evlog_acl_question question = EVLOG_ACL_QUESTION_INIT;
    const struct cli_option options[] = {
        {"host", 0, CLI_TEXT, &question.host, "ADDRESS", "asking from this address (one that no rule names)"},
    };
    struct cli_grammar grammar = {options, 1, 3, 4};
    struct cli_words words;
    struct acl_mistake mistake;
    char address[EL_ADDRESS_TEXT_MAX];
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (question.host != NULL) {
        rc = acl_host_check(question.host, address, &mistake);
        if (rc != 0) {
            return mistaken(cli, rc, &mistake);
        }
        question.host = address;
    }
    question.principal = words.items[0];
    question.operation = acl_operation_word(words.items[1], strlen(words.items[1]), &mistake);
    question.resource = question.operation == 0 ? 0 : acl_resource_word(words.items[2], &mistake);
    question.name = words.count == 4 ? words.items[3] : NULL;
    if (question.resource == 0 || acl_principal_check(question.principal, &mistake) != 0) {
        return mistaken(cli, EVLOG_ERR_ARGUMENT, &mistake);
    }
    if (question.operation == EVLOG_ACL_ALL || (question.name == NULL) != (question.resource == EVLOG_ACL_CLUSTER)) {
        return cli_error(cli, CLI_ERR_WORDS, "usage: evlog %s %s", command->name, command->arguments);
    }
    return explain(cli, &question);
}
