/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog apply FILE: make a broker what a file declares.
 *
 * 1. The file is read and checked; every mistake is told with its place.
 * 2. What is at the broker is compared with it, and the broker checks the settings. Nothing has changed so far.
 * 3. The difference is told, and then made, one change after the other; the first that fails ends it. The same command
 *    goes on from there, for what is made already is no difference any more.
 *
 * Nothing is taken away without --prune, which names the kinds that may lose what the file does not declare.
 */
#include "apply_plan.h"
#include "password.h"
#include "table.h"

#include <core/alloc.h>
#include <core/nearest.h>
#include <string.h>

struct apply {
    const char *path;
    struct cli_list prune;
    const char *confirm;
    bool dry_run;
    bool new_passwords;
};

/* --- changes ------------------------------------------------------------------------------------------------------ */

/* The password of a user, from the file that its section names, which lies in the folder of the file. */
static int read_password(const struct cli *cli, const struct apply_file *file, const struct apply_item *item,
                         struct password *password)
{
    char path[APPLY_PATH_MAX];
    return apply_file_beside(file, item->password_file, path)
               ? password_read(cli, path, password)
               : cli_error(cli, CLI_ERR_APPLY, "user %s: the name of a file is too long", item->name);
}

static int set_password(struct cli *cli, const struct apply_file *file, const struct apply_item *item)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_user_options options = EVLOG_USER_OPTIONS_INIT;
    struct password password = {{0}};
    int rc = read_password(cli, file, item, &password);
    if (rc == CLI_OK) {
        options.name = item->name;
        options.password = password.text;
        options.mechanisms = item->mechanisms;
        options.mechanism_count = item->mechanism_count;
        options.iterations = item->iterations;
        rc = evlog_user_set(cli->client, &options, &failure) == 0 ? CLI_OK : cli_failure(cli, &failure);
    }
    password_wipe(&password);
    return rc;
}

/* Do the files hold passwords that will be set? */
static int check_passwords(const struct cli *cli, const struct apply_file *file, const struct apply_plan *plan)
{
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < plan->change_count; i++) {
        if (plan->changes[i].verb == APPLY_PASSWORD) {
            struct password password = {{0}};
            rc = read_password(cli, file, plan->changes[i].item, &password);
            password_wipe(&password);
        }
    }
    return rc;
}

static int create_topic(struct cli *cli, const struct apply_item *item, struct evlog_failure *failure)
{
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    options.name = item->name;
    options.partition_count = item->partition_count;
    options.settings = item->settings;
    options.setting_count = item->setting_count;
    return evlog_topic_create(cli->client, &options, failure);
}

static int make_one(struct cli *cli, const struct apply_file *file, const struct apply_change *change)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct apply_item *item = change->item;
    int code = 0;
    switch (change->verb) {
    case APPLY_CREATE:
        code = create_topic(cli, item, &failure);
        break;
    case APPLY_GROW:
        code = evlog_topic_grow(cli->client, item->name, item->partition_count, &failure);
        break;
    case APPLY_SET:
    case APPLY_RESET:
        code = item->kind == APPLY_GROUP
                   ? evlog_group_set(cli->client, item->name, change->settings, change->setting_count, false, &failure)
                   : evlog_topic_alter(cli->client, item->name, change->settings, change->setting_count, false,
                                       &failure);
        break;
    case APPLY_PASSWORD:
        return set_password(cli, file, item);
    case APPLY_LIMIT:
    case APPLY_DROP_LIMIT:
        code = evlog_quota_set(cli->client, change->quotas, change->quota_count, &failure);
        break;
    case APPLY_DROP_USER:
        code = evlog_user_delete(cli->client, change->name, &failure);
        break;
    case APPLY_DROP_TOPIC:
        code = evlog_topic_delete(cli->client, change->name, &failure);
        break;
    case APPLY_ADD:
    case APPLY_DROP_RULE:
        break; /* made together */
    }
    return code == 0 ? CLI_OK : cli_failure(cli, &failure);
}

/* The rules that begin here and are treated alike, as one change of the broker. returns how many there were */
static size_t make_rules(struct cli *cli, const struct apply_plan *plan, size_t at, int *rc)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    enum apply_verb verb = plan->changes[at].verb;
    size_t count = 0;
    struct evlog_acl *acls = el_calloc(EVLOG_ACL_COUNT_MAX, sizeof *acls);
    while (acls != NULL && at + count < plan->change_count && plan->changes[at + count].verb == verb &&
           count < EVLOG_ACL_COUNT_MAX) {
        acls[count] = *plan->changes[at + count].acl;
        count++;
    }
    int code = acls == NULL        ? EVLOG_ERR_NO_MEMORY
               : verb == APPLY_ADD ? evlog_acl_add(cli->client, acls, count, &failure)
                                   : evlog_acl_remove(cli->client, acls, count, NULL, &failure);
    el_free(acls);
    *rc = code == 0 ? CLI_OK : cli_failure(cli, &failure);
    return count;
}

static int make_all(struct cli *cli, const struct apply_file *file, const struct apply_plan *plan)
{
    int rc = CLI_OK;
    size_t done = 0;
    while (rc == CLI_OK && done < plan->change_count && !cli_interrupted) {
        const struct apply_change *change = &plan->changes[done];
        size_t count = 1;
        if (change->verb == APPLY_ADD || change->verb == APPLY_DROP_RULE) {
            count = make_rules(cli, plan, done, &rc);
        } else {
            rc = make_one(cli, file, change);
        }
        done += rc == CLI_OK ? count : 0;
    }
    if (done < plan->change_count) {
        cli_say(cli, "made %zu of %zu changes; the same command goes on", done, plan->change_count);
    } else {
        cli_say(cli, "made %zu changes", done);
    }
    return rc;
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static int tell(const struct cli *cli, const struct apply_change *change)
{
    static const char *const verbs[] = {"create", "change", "change", "change", "change", "add",
                                        "reset",  "remove", "remove", "remove", "remove"};
    struct el_buffer line = {0};
    struct el_json_writer w;
    int rc;
    if (cli->json) {
        cli_json_begin(&w, &line);
        el_json_add_str(&w, "change", verbs[change->verb]);
        el_json_add_str(&w, "name", change->name);
        el_json_add_str(&w, "text", change->text);
        rc = cli_json_end(cli, &w, &line);
    } else {
        cli_text(&line, (struct evlog_bytes){change->text, strlen(change->text)}, CLI_SHOWN_MAX);
        el_buffer_append_char(&line, '\n');
        rc = cli_put(cli, &line);
    }
    el_buffer_free(&line);
    return rc;
}

static int take_prune(const struct cli *cli, const struct cli_list *list, struct apply_prune *prune)
{
    static const char *const kinds[] = {"settings", "acls", "quotas", "users", "topics"};
    bool *const flags[] = {&prune->settings, &prune->acls, &prune->quotas, &prune->users, &prune->topics};
    char remedy[80];
    for (size_t i = 0; i < list->count; i++) {
        bool known = false;
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            if (strcmp(list->items[i], kinds[k]) == 0) {
                *flags[k] = known = true;
            }
        }
        if (!known) {
            const char *near = el_nearest(list->items[i], kinds, sizeof kinds / sizeof kinds[0]);
            (void)snprintf(remedy, sizeof remedy,
                           near == NULL ? "--prune takes settings, acls, quotas, users or topics" : "did you mean %s?",
                           near);
            return cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_VALUE, remedy}, "--prune %.60s: no such kind",
                                    list->items[i]);
        }
    }
    return CLI_OK;
}

/* The user that the client is, into plan->self; NULL when it says nothing of itself. */
static int take_self(struct cli *cli, struct apply_plan *plan)
{
    struct evlog_settings *settings;
    int rc = cli_settings(cli, &settings);
    if (rc != CLI_OK) {
        return rc;
    }
    const char *name = evlog_settings_get(settings, "sasl.username");
    plan->self = name == NULL ? NULL : el_arena_strndup(&plan->arena, name, strlen(name));
    evlog_settings_free(settings);
    return CLI_OK;
}

static int carry_out(struct cli *cli, const struct apply *apply, const struct apply_file *file,
                     const struct apply_plan *plan)
{
    int rc = check_passwords(cli, file, plan);
    for (size_t i = 0; rc == CLI_OK && i < plan->change_count; i++) {
        rc = tell(cli, &plan->changes[i]);
    }
    (void)fflush(stdout);
    if (rc != CLI_OK) {
        return rc;
    }
    if (plan->change_count == 0) {
        cli_say(cli, "nothing to do: all is as %s says", apply->path);
        return CLI_OK;
    }
    if (apply->dry_run) {
        cli_say(cli, "%zu changes would be made", plan->change_count);
        return CLI_CONFLICT;
    }
    if (plan->drop_count > 0 && (apply->confirm == NULL || strcmp(apply->confirm, apply->path) != 0)) {
        return cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_CONFIRM, "repeat the name of the file with --confirm"},
                                "nothing was changed: %zu of the changes take something away, and --confirm=%s says "
                                "that you mean it",
                                plan->drop_count, apply->path);
    }
    return make_all(cli, file, plan);
}

static int run(struct cli *cli, const struct apply *apply)
{
    struct apply_file file = {0};
    struct apply_plan plan = {.new_passwords = apply->new_passwords};
    el_arena_init(&plan.arena, NULL, 0);
    int rc = take_prune(cli, &apply->prune, &plan.prune);
    rc = rc == CLI_OK ? apply_file_read(cli, apply->path, &file) : rc;
    rc = rc == CLI_OK ? cli_connect(cli) : rc;
    rc = rc == CLI_OK ? take_self(cli, &plan) : rc;
    rc = rc == CLI_OK ? apply_plan_make(cli, &file, &plan) : rc;
    rc = rc == CLI_OK ? carry_out(cli, apply, &file, &plan) : rc;
    apply_plan_free(&plan);
    apply_file_free(&file);
    return rc;
}

int cmd_apply(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct apply apply = {0};
    const struct cli_option options[] = {
        {"dry-run", 0, CLI_FLAG, &apply.dry_run, NULL,
         "show the difference, change nothing; exit code 6: there is one"},
        {"prune", 0, CLI_LIST, &apply.prune, "KIND",
         "take away what the file does not declare: settings, acls, quotas, users, topics; may be repeated"},
        {"confirm", 0, CLI_TEXT, &apply.confirm, "FILE", "the file's name once more, for --prune"},
        {"passwords", 0, CLI_FLAG, &apply.new_passwords, NULL, "set the passwords of users that are there, too"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        apply.path = words.items[0];
        rc = run(cli, &apply);
    }
    cli_list_free(&apply.prune);
    return rc;
}
