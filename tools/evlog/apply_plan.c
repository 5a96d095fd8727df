/* SPDX-License-Identifier: Apache-2.0 */
#include "apply_plan.h"

#include "setting_words.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/scram.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

struct planner {
    struct cli *cli;
    struct apply_file *file;
    struct apply_plan *plan;
};

static int no_memory(const struct planner *p)
{
    return cli_error(p->cli, CLI_ERR_APPLY, "no memory");
}

static char *keep(struct planner *p, struct el_buffer *text)
{
    char *copy = text->err != 0 ? NULL
                                : el_arena_strndup(&p->plan->arena,
                                                   text->data == NULL ? (const uint8_t *)"" : text->data, text->len);
    el_buffer_free(text);
    return copy;
}

/* Add a change with its text, which is freed. */
static int add(struct planner *p, struct apply_change change, struct el_buffer *text)
{
    struct apply_plan *plan = p->plan;
    struct apply_change *grown = el_realloc(plan->changes, (plan->change_count + 1) * sizeof *grown);
    change.text = keep(p, text);
    plan->changes = grown == NULL ? plan->changes : grown;
    if (grown == NULL || change.text == NULL) {
        return no_memory(p);
    }
    plan->drop_count += change.verb >= APPLY_RESET;
    plan->changes[plan->change_count++] = change;
    return CLI_OK;
}

static int add_text(struct planner *p, struct apply_change change, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int add_text(struct planner *p, struct apply_change change, const char *format, ...)
{
    struct el_buffer text = {0};
    va_list args;
    va_start(args, format);
    el_buffer_vprintf(&text, format, args);
    va_end(args);
    return add(p, change, &text);
}

/* --- checks by the broker ----------------------------------------------------------------------------------------- */

static int try_settings(struct cli *cli, const struct apply_item *item, bool exists,
                        const struct evlog_setting *settings, size_t count, struct evlog_failure *failure)
{
    if (item->kind == APPLY_GROUP) {
        return evlog_group_set(cli->client, item->name, settings, count, true, failure);
    }
    if (exists) {
        return evlog_topic_alter(cli->client, item->name, settings, count, true, failure);
    }
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    options.name = item->name;
    options.partition_count = item->partition_count;
    options.settings = settings;
    options.setting_count = count;
    options.validate_only = true;
    return evlog_topic_create(cli->client, &options, failure);
}

/* Let the broker look at the settings of an item. When it refuses them, each alone says which of them is meant. */
static int check_settings(struct planner *p, const struct apply_item *item, bool exists)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (exists && item->setting_count == 0) {
        return CLI_OK;
    }
    int code = try_settings(p->cli, item, exists, item->settings, item->setting_count, &failure);
    int errors = p->file->error_count;
    if (code == 0) {
        return CLI_OK;
    }
    if (evlog_error_class_of(code) != EVLOG_CLASS_CALLER || cli_exit_of(&failure) == CLI_DENIED) {
        return cli_failure(p->cli, &failure);
    }
    for (size_t i = 0; i < item->setting_count; i++) {
        struct evlog_failure why = EVLOG_FAILURE_INIT;
        if (try_settings(p->cli, item, exists, &item->settings[i], 1, &why) == code) {
            (void)apply_wrong(p->cli, p->file, item->places[i], setting_units(item->settings[i].key), "%s", why.text);
        }
    }
    if (p->file->error_count == errors) {
        (void)apply_wrong(p->cli, p->file, item->place, "", "%s", failure.text);
    }
    return CLI_OK; /* others are looked at too */
}

/* --- topics and groups -------------------------------------------------------------------------------------------- */

static const char *value_of(const struct evlog_setting *settings, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(settings[i].key, key) == 0) {
            return settings[i].value == NULL ? "" : settings[i].value;
        }
    }
    return NULL;
}

static int plan_create(struct planner *p, const struct apply_item *item)
{
    struct el_buffer text = {0};
    el_buffer_printf(&text, "create topic %s", item->name);
    const char *separator = ": ";
    if (item->partition_count > 0) {
        el_buffer_printf(&text, ": partitions %d", item->partition_count);
        separator = ", ";
    }
    for (size_t i = 0; i < item->setting_count; i++, separator = ", ") {
        el_buffer_printf(&text, "%s%s %s", separator, item->settings[i].key, item->settings[i].value);
    }
    return add(p, (struct apply_change){.verb = APPLY_CREATE, .item = item, .name = item->name}, &text);
}

/* Settings of an item that are not as they are now. */
static int plan_settings(struct planner *p, const struct apply_item *item, const struct evlog_setting_list *now)
{
    struct evlog_setting *changes = el_arena_zalloc(&p->plan->arena, (item->setting_count + 1) * sizeof *changes);
    struct el_buffer text = {0};
    size_t count = 0;
    if (changes == NULL) {
        return no_memory(p);
    }
    el_buffer_printf(&text, "change %s %s", item->kind == APPLY_TOPIC ? "topic" : "group", item->name);
    for (size_t i = 0; i < item->setting_count; i++) {
        const struct evlog_setting *wanted = &item->settings[i];
        const char *own = value_of(now->settings, now->setting_count, wanted->key);
        if (own == NULL || strcmp(own, wanted->value) != 0) {
            const char *old = own != NULL ? own : value_of(now->defaults, now->default_count, wanted->key);
            el_buffer_printf(&text, "%s %s %s -> %s%s", count == 0 ? ":" : ",", wanted->key, old == NULL ? "?" : old,
                             wanted->value, own == NULL ? " (was the default)" : "");
            changes[count++] = *wanted;
        }
    }
    if (count == 0) {
        el_buffer_free(&text);
        return CLI_OK;
    }
    return add(p,
               (struct apply_change){
                   .verb = APPLY_SET, .item = item, .name = item->name, .settings = changes, .setting_count = count},
               &text);
}

/* Settings that a topic has and the file does not name. */
static int plan_reset(struct planner *p, const struct apply_item *item, const struct evlog_setting_list *now)
{
    struct evlog_setting *changes = el_arena_zalloc(&p->plan->arena, (now->setting_count + 1) * sizeof *changes);
    struct el_buffer text = {0};
    size_t count = 0;
    if (changes == NULL) {
        return no_memory(p);
    }
    el_buffer_printf(&text, "reset topic %s", item->name);
    for (size_t i = 0; i < now->setting_count; i++) {
        if (value_of(item->settings, item->setting_count, now->settings[i].key) == NULL) {
            const char *value = now->settings[i].value == NULL ? "" : now->settings[i].value;
            char *key = el_arena_strndup(&p->plan->arena, now->settings[i].key, strlen(now->settings[i].key));
            if (key == NULL) {
                el_buffer_free(&text);
                return no_memory(p);
            }
            el_buffer_printf(&text, "%s %s %s -> the default", count == 0 ? ":" : ",", key, value);
            changes[count++] = (struct evlog_setting){key, NULL};
        }
    }
    if (count == 0) {
        el_buffer_free(&text);
        return CLI_OK;
    }
    return add(p,
               (struct apply_change){
                   .verb = APPLY_RESET, .item = item, .name = item->name, .settings = changes, .setting_count = count},
               &text);
}

static int plan_topic(struct planner *p, const struct apply_item *item)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_info *info;
    int code = evlog_topic_describe(p->cli->client, item->name, &info, &failure);
    if (code == EVLOG_ERR_INVALID_TOPIC) {
        return apply_wrong(p->cli, p->file, item->place, "1 to 249 of the characters a-z A-Z 0-9 . _ - make a name",
                           "%s", failure.text);
    }
    if (code != 0 && code != EVLOG_ERR_UNKNOWN_TOPIC) {
        return cli_failure(p->cli, &failure);
    }
    int rc = check_settings(p, item, code == 0);
    if (code != 0) {
        return rc == CLI_OK ? plan_create(p, item) : rc;
    }
    int32_t count = (int32_t)info->partition_count;
    struct evlog_setting_list now = {info->settings, info->setting_count, info->defaults, info->default_count};
    if (rc == CLI_OK && item->partition_count > count) {
        rc = add_text(p, (struct apply_change){.verb = APPLY_GROW, .item = item, .name = item->name},
                      "change topic %s: partitions %d -> %d", item->name, count, item->partition_count);
    } else if (rc == CLI_OK && item->partition_count > 0 && item->partition_count < count) {
        (void)apply_wrong(p->cli, p->file, item->place, "a topic never loses partitions: copy it into another one",
                          "topic %s has %d partitions, more than %d", item->name, count, item->partition_count);
    }
    rc = rc == CLI_OK ? plan_settings(p, item, &now) : rc;
    if (rc == CLI_OK && p->plan->prune.settings) {
        rc = plan_reset(p, item, &now);
    }
    evlog_topic_info_free(info);
    return rc;
}

static int plan_group(struct planner *p, const struct apply_item *item)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_setting_list *now;
    if (item->setting_count == 0) {
        return apply_wrong(p->cli, p->file, item->place, "a group is made by its settings, such as start = earliest",
                           "group %s has no settings", item->name);
    }
    if (evlog_group_settings(p->cli->client, item->name, &now, &failure) != 0) {
        return cli_failure(p->cli, &failure);
    }
    int rc = check_settings(p, item, true);
    rc = rc == CLI_OK ? plan_settings(p, item, now) : rc;
    evlog_setting_list_free(now);
    return rc;
}

/* --- users -------------------------------------------------------------------------------------------------------- */

static const struct evlog_user *user_of(const struct evlog_user_list *users, const char *name)
{
    for (size_t i = 0; i < users->user_count; i++) {
        if (strcmp(users->users[i].name, name) == 0) {
            return &users->users[i];
        }
    }
    return NULL;
}

static bool has_key(const struct evlog_user *user, int mechanism, uint32_t iterations)
{
    for (size_t i = 0; i < user->key_count; i++) {
        if (user->keys[i].mechanism == mechanism) {
            return user->keys[i].iterations == iterations;
        }
    }
    return false;
}

/* Are mechanisms and iterations as the file has them? Nobody can see whether the password is. */
static bool user_fits(const struct apply_item *item, const struct evlog_user *user)
{
    static const int both[] = {EL_SCRAM_SHA256, EL_SCRAM_SHA512};
    const int *mechanisms = item->mechanism_count == 0 ? both : item->mechanisms;
    size_t count = item->mechanism_count == 0 ? 2 : item->mechanism_count;
    uint32_t iterations = item->iterations == 0 ? EL_SCRAM_ITERATIONS_DEFAULT : item->iterations;
    bool fits = user->key_count == count;
    for (size_t i = 0; fits && i < count; i++) {
        fits = has_key(user, mechanisms[i], iterations);
    }
    return fits;
}

/* Is the file there whose password will be set? */
static int check_file(struct planner *p, const struct apply_item *item)
{
    char path[APPLY_PATH_MAX], reason[64];
    if (!apply_file_beside(p->file, item->password_file, path)) {
        return apply_wrong(p->cli, p->file, item->password_place, "", "the name of the file is too long");
    }
    return access(path, R_OK) == 0 ? CLI_OK
                                   : apply_wrong(p->cli, p->file, item->password_place, "", "%s: %s", path,
                                                 strerror_r(errno, reason, sizeof reason));
}

static int plan_user(struct planner *p, const struct apply_item *item)
{
    const struct evlog_user *user = user_of(p->plan->users, item->name);
    struct apply_change change = {.verb = APPLY_PASSWORD, .item = item, .name = item->name};
    bool is_set = user == NULL || !user_fits(item, user) || p->plan->new_passwords;
    if (is_set && check_file(p, item) != CLI_OK) {
        return CLI_USAGE;
    }
    if (user == NULL) {
        return add_text(p, change, "create user %s", item->name);
    }
    if (!user_fits(item, user)) {
        return add_text(p, change, "change user %s: mechanisms or iterations, and the password", item->name);
    }
    return p->plan->new_passwords ? add_text(p, change, "change user %s: the password", item->name) : CLI_OK;
}

/* --- limits ------------------------------------------------------------------------------------------------------- */

/* The value that an entity's limit has now, 0 none. */
static double limit_of(const struct planner *p, const struct evlog_quota_entity *entity, const char *key)
{
    const struct evlog_quota_list *list = p->plan->quotas;
    for (size_t i = 0; i < list->quota_count; i++) {
        if (strcmp(list->quotas[i].key, key) == 0 && quota_entity_same(&list->quotas[i].entity, entity)) {
            return list->quotas[i].value;
        }
    }
    return 0;
}

static int plan_quota(struct planner *p, const struct apply_item *item)
{
    struct evlog_quota *limits = el_arena_zalloc(&p->plan->arena, (item->setting_count + 1) * sizeof *limits);
    struct el_error err = {0};
    struct el_buffer text = {0};
    size_t count = 0;
    if (limits == NULL) {
        return no_memory(p);
    }
    el_buffer_printf(&text, "change quota %s", item->name);
    for (size_t i = 0; i < item->setting_count; i++) {
        const char *key = item->settings[i].key;
        double wanted = 0, now = limit_of(p, &item->entity, key);
        EL_ASSERT(quota_value_parse(key, item->settings[i].value, &wanted, &err) == 0);
        if (now < wanted || now > wanted) {
            el_buffer_printf(&text, "%s %s ", count == 0 ? ":" : ",", key);
            if (now > 0) {
                el_buffer_printf(&text, "%.15g", now);
            } else {
                el_buffer_append_str(&text, "none");
            }
            el_buffer_printf(&text, " -> %.15g", wanted);
            limits[count++] = (struct evlog_quota){item->entity, key, wanted};
        }
    }
    if (count == 0) {
        el_buffer_free(&text);
        return CLI_OK;
    }
    return add(p,
               (struct apply_change){
                   .verb = APPLY_LIMIT, .item = item, .name = item->name, .quotas = limits, .quota_count = count},
               &text);
}

/* --- rules -------------------------------------------------------------------------------------------------------- */

static bool holds(const struct evlog_acl *acls, size_t count, const struct evlog_acl *acl)
{
    for (size_t i = 0; i < count; i++) {
        if (acl_same(&acls[i], acl)) {
            return true;
        }
    }
    return false;
}

static int plan_rules(struct planner *p)
{
    const struct acl_set *set = &p->file->acls;
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < set->count; i++) {
        if (!holds(p->plan->acls->acls, p->plan->acls->acl_count, &set->acls[i]) &&
            !holds(set->acls, i, &set->acls[i])) {
            struct el_buffer text = {0};
            el_buffer_append_str(&text, "add rule: ");
            acl_say(&text, &set->acls[i]);
            rc = add(p, (struct apply_change){.verb = APPLY_ADD, .acl = &set->acls[i]}, &text);
        }
    }
    return rc;
}

/* --- what the file does not declare ------------------------------------------------------------------------------- */

static int drop_rules(struct planner *p)
{
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < p->plan->acls->acl_count; i++) {
        const struct evlog_acl *acl = &p->plan->acls->acls[i];
        if (!holds(p->file->acls.acls, p->file->acls.count, acl)) {
            struct el_buffer text = {0};
            el_buffer_append_str(&text, "remove rule: ");
            acl_say(&text, acl);
            rc = add(p, (struct apply_change){.verb = APPLY_DROP_RULE, .acl = acl}, &text);
        }
    }
    return rc;
}

static bool declares_limit(const struct apply_file *file, const struct evlog_quota *limit)
{
    for (size_t i = 0; i < file->item_count; i++) {
        const struct apply_item *item = &file->items[i];
        if (item->kind == APPLY_QUOTA && quota_entity_same(&item->entity, &limit->entity) &&
            value_of(item->settings, item->setting_count, limit->key) != NULL) {
            return true;
        }
    }
    return false;
}

static int drop_limits(struct planner *p)
{
    const struct evlog_quota_list *list = p->plan->quotas;
    struct evlog_quota *dropped = el_arena_zalloc(&p->plan->arena, (list->quota_count + 1) * sizeof *dropped);
    int rc = dropped == NULL ? no_memory(p) : CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < list->quota_count; i++) {
        if (!declares_limit(p->file, &list->quotas[i])) {
            struct el_buffer words = {0};
            quota_entity_say(&words, &list->quotas[i].entity);
            const char *name = keep(p, &words);
            dropped[i] = (struct evlog_quota){list->quotas[i].entity, list->quotas[i].key, 0};
            rc = name == NULL
                     ? no_memory(p)
                     : add_text(p,
                                (struct apply_change){
                                    .verb = APPLY_DROP_LIMIT, .name = name, .quotas = &dropped[i], .quota_count = 1},
                                "remove quota %s: %s", name, dropped[i].key);
        }
    }
    return rc;
}

static int drop_users(struct planner *p)
{
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < p->plan->users->user_count; i++) {
        const char *name = p->plan->users->users[i].name;
        bool is_self = p->plan->self != NULL && strcmp(p->plan->self, name) == 0;
        if (!is_self && apply_find(p->file, APPLY_USER, name) == NULL) {
            rc = add_text(p, (struct apply_change){.verb = APPLY_DROP_USER, .name = name}, "remove user %s", name);
        }
    }
    return rc;
}

static int drop_topics(struct planner *p)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_list *topics;
    if (evlog_topic_list(p->cli->client, &topics, &failure) != 0) {
        return cli_failure(p->cli, &failure);
    }
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < topics->topic_count; i++) {
        const char *listed = topics->topics[i].name;
        if (!topics->topics[i].internal && apply_find(p->file, APPLY_TOPIC, listed) == NULL) {
            const char *name = el_arena_strndup(&p->plan->arena, listed, strlen(listed));
            rc = name == NULL ? no_memory(p)
                              : add_text(p, (struct apply_change){.verb = APPLY_DROP_TOPIC, .name = name},
                                         "remove topic %s and its events", name);
        }
    }
    evlog_topic_list_free(topics);
    return rc;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static bool declares(const struct apply_file *file, enum apply_kind kind)
{
    for (size_t i = 0; i < file->item_count; i++) {
        if (file->items[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static int plan_kind(struct planner *p, enum apply_kind kind, int (*fn)(struct planner *p, const struct apply_item *))
{
    int rc = CLI_OK;
    for (size_t i = 0; (rc == CLI_OK || rc == CLI_USAGE) && i < p->file->item_count; i++) {
        rc = p->file->items[i].kind == kind ? fn(p, &p->file->items[i]) : rc;
    }
    return rc == CLI_USAGE ? CLI_OK : rc;
}

/* Users, limits and rules as they are, where the file or pruning asks for them. */
static int look(struct planner *p)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct apply_plan *plan = p->plan;
    if ((plan->prune.users || declares(p->file, APPLY_USER)) &&
        evlog_user_list(p->cli->client, NULL, &plan->users, &failure) != 0) {
        return cli_failure(p->cli, &failure);
    }
    if ((plan->prune.quotas || declares(p->file, APPLY_QUOTA)) &&
        evlog_quota_list(p->cli->client, &plan->quotas, &failure) != 0) {
        return cli_failure(p->cli, &failure);
    }
    if ((plan->prune.acls || p->file->acls.count > 0) &&
        evlog_acl_list(p->cli->client, NULL, &plan->acls, &failure) != 0) {
        return cli_failure(p->cli, &failure);
    }
    return CLI_OK;
}

int apply_plan_make(struct cli *cli, struct apply_file *file, struct apply_plan *plan)
{
    struct planner p = {cli, file, plan};
    int rc = look(&p);
    rc = rc == CLI_OK ? plan_kind(&p, APPLY_TOPIC, plan_topic) : rc;
    rc = rc == CLI_OK ? plan_kind(&p, APPLY_GROUP, plan_group) : rc;
    rc = rc == CLI_OK ? plan_kind(&p, APPLY_USER, plan_user) : rc;
    rc = rc == CLI_OK ? plan_kind(&p, APPLY_QUOTA, plan_quota) : rc;
    rc = rc == CLI_OK && plan->acls != NULL ? plan_rules(&p) : rc;
    rc = rc == CLI_OK && plan->prune.acls ? drop_rules(&p) : rc;
    rc = rc == CLI_OK && plan->prune.quotas ? drop_limits(&p) : rc;
    rc = rc == CLI_OK && plan->prune.users ? drop_users(&p) : rc;
    rc = rc == CLI_OK && plan->prune.topics ? drop_topics(&p) : rc;
    return rc == CLI_OK && file->error_count > 0 ? CLI_USAGE : rc;
}

void apply_plan_free(struct apply_plan *plan)
{
    evlog_acl_list_free(plan->acls);
    evlog_user_list_free(plan->users);
    evlog_quota_list_free(plan->quotas);
    el_free(plan->changes);
    el_arena_reset(&plan->arena);
}
