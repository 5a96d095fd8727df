/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog topics ls | create | describe | alter | rm.
 *
 * rm asks for the topic's name on a terminal, or wants it in --confirm: what it removes is gone.
 */
#include "cli.h"
#include "setting_words.h"

#include <core/alloc.h>
#include <core/base64.h>
#include <core/limits.h>
#include <string.h>

#define SETTING_MAX 256

/* --- ls --------------------------------------------------------------------------------------------------------- */

static void put_id(char *text, const uint8_t id[16])
{
    struct el_uuid uuid;
    memcpy(uuid.bytes, id, sizeof uuid.bytes);
    el_uuid_format(text, &uuid);
}

static void list_line(const struct cli *cli, const struct evlog_topic_name *topic, int width)
{
    char id[EL_UUID_TEXT_LEN + 1];
    put_id(id, topic->id);
    if (cli->json) {
        (void)printf("{\"name\":\"%s\",\"partitions\":%d,\"id\":\"%s\",\"internal\":%s}\n", topic->name,
                     topic->partition_count, id, topic->internal ? "true" : "false");
    } else if (cli->plain) {
        (void)printf("%s\t%d\t%s\n", topic->name, topic->partition_count, id);
    } else {
        (void)printf("%-*s %10d  %s\n", width, topic->name, topic->partition_count, id);
    }
}

static int list(struct cli *cli, bool internal)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_list *topics;
    int rc = cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_topic_list(cli->client, &topics, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    size_t width = 5, count = 0;
    for (size_t i = 0; i < topics->topic_count; i++) {
        width = EL_MAX(width, strlen(topics->topics[i].name));
    }
    for (size_t i = 0; i < topics->topic_count; i++) {
        if (topics->topics[i].internal && !internal) {
            continue;
        }
        if (count++ == 0 && !cli->json && !cli->plain) {
            (void)printf("%-*s %10s  %s\n", (int)width, "TOPIC", "PARTITIONS", "ID");
        }
        list_line(cli, &topics->topics[i], (int)width);
    }
    evlog_topic_list_free(topics);
    if (count == 0) {
        cli_say(cli, "no topics; 'evlog topics create NAME' makes one");
    }
    return CLI_OK;
}

int cmd_topics_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    bool internal = false;
    const struct cli_option options[] = {
        {"internal", 0, CLI_FLAG, &internal, NULL, "the server's own topics too"},
    };
    struct cli_grammar grammar = {options, 1, 0, 0};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc == CLI_PARSED ? list(cli, internal) : rc;
}

/* --- create ----------------------------------------------------------------------------------------------------- */

/* What settings of the command line point to. */
struct setting_texts {
    char *words[SETTING_MAX]; /* NULL: none */
    char numbers[SETTING_MAX][SETTING_NUMBER_MAX];
};

static void free_texts(struct setting_texts *texts)
{
    for (size_t i = 0; i < SETTING_MAX; i++) {
        el_free(texts->words[i]);
    }
}

/* Settings KEY=VALUE. returns CLI_OK | CLI_USAGE told */
static int split_settings(const struct cli *cli, const struct cli_list *list, struct evlog_setting *settings,
                          struct setting_texts *texts)
{
    if (list->count > SETTING_MAX) {
        return cli_error(cli, CLI_ERR_VALUE, "at most %d settings", SETTING_MAX);
    }
    for (size_t i = 0; i < list->count; i++) {
        char *word = el_strdup(list->items[i]), *equals = word == NULL ? NULL : strchr(word, '=');
        texts->words[i] = word;
        if (equals == NULL || equals == word) {
            return cli_error(cli, CLI_ERR_VALUE, "-c takes KEY=VALUE, not %s", list->items[i]);
        }
        *equals = '\0';
        settings[i] = (struct evlog_setting){word, setting_plain(word, equals + 1, texts->numbers[i])};
    }
    return CLI_OK;
}

struct create {
    struct cli_list settings;
    int64_t partitions;
    int64_t replicas;
    bool if_not_exists;
    bool dry_run;
};

static int create_one(struct cli *cli, const struct create *create, const char *name,
                      const struct evlog_setting *settings)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    options.name = name;
    options.partition_count = (int32_t)create->partitions;
    options.replication_factor = (int16_t)create->replicas;
    options.settings = settings;
    options.setting_count = create->settings.count;
    options.validate_only = create->dry_run;
    int rc = evlog_topic_create(cli->client, &options, &failure);
    if (rc == EVLOG_ERR_TOPIC_EXISTS && create->if_not_exists) {
        cli_say(cli, "topic %s is there already", name);
        return CLI_OK;
    }
    if (rc != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "%s topic %s", create->dry_run ? "could create" : "created", name);
    return CLI_OK;
}

static int create_all(struct cli *cli, const struct create *create, const struct cli_words *words)
{
    struct evlog_setting settings[SETTING_MAX];
    struct setting_texts texts = {.words = {NULL}};
    if (create->partitions == 0 || create->partitions < -1 || create->partitions > EL_PARTITION_COUNT_MAX ||
        create->replicas == 0 || create->replicas < -1 || create->replicas > INT16_MAX) {
        return cli_error(cli, CLI_ERR_VALUE, "a topic has 1 to %d partitions and at least one replica",
                         EL_PARTITION_COUNT_MAX);
    }
    int rc = split_settings(cli, &create->settings, settings, &texts);
    if (rc == CLI_OK) {
        rc = cli_connect(cli);
    }
    for (int i = 0; rc == CLI_OK && i < words->count; i++) {
        rc = create_one(cli, create, words->items[i], settings);
    }
    free_texts(&texts);
    return rc;
}

int cmd_topics_create(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct create create = {.partitions = -1, .replicas = -1};
    const struct cli_option options[] = {
        {"partitions", 'p', CLI_INT, &create.partitions, "N", "partitions (the server's default)"},
        {"replicas", 'r', CLI_INT, &create.replicas, "N", "copies, where the server keeps more than one"},
        {"set", 'c', CLI_LIST, &create.settings, "KEY=VALUE",
         "a setting of the topic, such as retention.ms=7d; may be repeated"},
        {"if-not-exists", 0, CLI_FLAG, &create.if_not_exists, NULL, "a topic that is there already is fine"},
        {"dry-run", 0, CLI_FLAG, &create.dry_run, NULL, "check, change nothing"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, -1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = create_all(cli, &create, &words);
    }
    cli_list_free(&create.settings);
    return rc;
}

/* --- describe --------------------------------------------------------------------------------------------------- */

static void describe_settings_json(struct el_json_writer *w, const char *name, const struct evlog_setting *settings,
                                   size_t count)
{
    el_json_key(w, name);
    el_json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        el_json_add_str(w, settings[i].key, settings[i].value);
    }
    el_json_end_object(w);
}

static int describe_json(const struct cli *cli, const struct evlog_topic_info *info, bool all)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    char id[EL_UUID_TEXT_LEN + 1];
    put_id(id, info->id);
    el_json_writer_init(&w, &line);
    el_json_begin_object(&w);
    el_json_add_str(&w, "name", info->name);
    el_json_add_str(&w, "id", id);
    el_json_add_bool(&w, "internal", info->internal);
    el_json_key(&w, "partitions");
    el_json_begin_array(&w);
    for (size_t i = 0; i < info->partition_count; i++) {
        const struct evlog_partition_info *p = &info->partitions[i];
        el_json_begin_object(&w);
        el_json_add_int(&w, "partition", p->index);
        el_json_add_int(&w, "leader", p->leader);
        el_json_add_int(&w, "leader_epoch", p->leader_epoch);
        el_json_add_int(&w, "start", p->start_offset);
        el_json_add_int(&w, "end", p->end_offset);
        el_json_end_object(&w);
    }
    el_json_end_array(&w);
    describe_settings_json(&w, "settings", info->settings, info->setting_count);
    if (all) {
        describe_settings_json(&w, "defaults", info->defaults, info->default_count);
    }
    el_json_end_object(&w);
    if (el_json_writer_end(&w) != 0) {
        line.err = EVLOG_ERR_NO_MEMORY;
    }
    el_buffer_append_char(&line, '\n');
    int rc = cli_put(cli, &line);
    el_buffer_free(&line);
    return rc;
}

static void describe_text(const struct evlog_topic_info *info, bool all)
{
    char id[EL_UUID_TEXT_LEN + 1];
    put_id(id, info->id);
    (void)printf("topic %s, id %s, %zu partitions\n", info->name, id, info->partition_count);
    (void)printf("%9s %7s %6s %14s %14s %14s\n", "PARTITION", "LEADER", "EPOCH", "START", "END", "EVENTS");
    for (size_t i = 0; i < info->partition_count; i++) {
        const struct evlog_partition_info *p = &info->partitions[i];
        (void)printf("%9d %7d %6d %14lld %14lld %14lld\n", p->index, p->leader, p->leader_epoch,
                     (long long)p->start_offset, (long long)p->end_offset,
                     (long long)(p->end_offset - p->start_offset));
    }
    for (size_t i = 0; i < info->setting_count; i++) {
        (void)printf("%s = %s\n", info->settings[i].key,
                     info->settings[i].value == NULL ? "" : info->settings[i].value);
    }
    for (size_t i = 0; all && i < info->default_count; i++) {
        (void)printf("%s = %s  (default)\n", info->defaults[i].key,
                     info->defaults[i].value == NULL ? "" : info->defaults[i].value);
    }
}

int cmd_topics_describe(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    bool all = false;
    const struct cli_option options[] = {
        {"all", 'a', CLI_FLAG, &all, NULL, "settings at their default too"},
    };
    struct cli_grammar grammar = {options, 1, 1, -1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = cli_connect(cli);
    for (int i = 0; rc == CLI_OK && i < words.count; i++) {
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        struct evlog_topic_info *info;
        if (evlog_topic_describe(cli->client, words.items[i], &info, &failure) != 0) {
            return cli_failure(cli, &failure);
        }
        if (cli->json) {
            rc = describe_json(cli, info, all);
        } else {
            describe_text(info, all);
        }
        evlog_topic_info_free(info);
    }
    return rc;
}

/* --- alter ------------------------------------------------------------------------------------------------------ */

struct alter {
    struct cli_list settings;
    struct cli_list resets;
    int64_t partitions;
    bool dry_run;
};

static int alter_topic(struct cli *cli, const struct alter *alter, const char *name, struct evlog_setting *changes)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    size_t count = alter->settings.count;
    for (size_t i = 0; i < alter->resets.count; i++) {
        changes[count++] = (struct evlog_setting){alter->resets.items[i], NULL};
    }
    int rc = cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (count > 0 && evlog_topic_alter(cli->client, name, changes, count, alter->dry_run, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    if (alter->partitions > 0 && !alter->dry_run &&
        evlog_topic_grow(cli->client, name, (int32_t)alter->partitions, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "%s topic %s", alter->dry_run ? "could change" : "changed", name);
    return CLI_OK;
}

int cmd_topics_alter(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct alter alter = {.partitions = -1};
    struct evlog_setting changes[2 * SETTING_MAX];
    struct setting_texts texts = {.words = {NULL}};
    const struct cli_option options[] = {
        {"set", 'c', CLI_LIST, &alter.settings, "KEY=VALUE", "set, such as retention.ms=7d; may be repeated"},
        {"reset", 0, CLI_LIST, &alter.resets, "KEY", "back to the default; may be repeated"},
        {"partitions", 'p', CLI_INT, &alter.partitions, "N", "raise the number of partitions"},
        {"dry-run", 0, CLI_FLAG, &alter.dry_run, NULL, "check settings, change nothing"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        bool nothing = alter.settings.count + alter.resets.count == 0 && alter.partitions < 0;
        bool too_much = alter.resets.count > SETTING_MAX || alter.partitions > EL_PARTITION_COUNT_MAX ||
                        alter.partitions == 0;
        rc = nothing    ? cli_error(cli, CLI_ERR_WORDS, "nothing to change: -c KEY=VALUE, --reset KEY or -p N")
             : too_much ? cli_error(cli, CLI_ERR_VALUE, "a value is out of range")
                        : split_settings(cli, &alter.settings, changes, &texts);
        if (rc == CLI_OK) {
            rc = alter_topic(cli, &alter, words.items[0], changes);
        }
    }
    free_texts(&texts);
    cli_list_free(&alter.settings);
    cli_list_free(&alter.resets);
    return rc;
}

/* --- rm --------------------------------------------------------------------------------------------------------- */

static int remove_topic(struct cli *cli, const char *name, const char *confirm)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_info *info;
    int rc = cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_topic_look(cli->client, name, &info, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    int64_t count = 0;
    for (size_t i = 0; i < info->partition_count; i++) {
        count += info->partitions[i].end_offset - info->partitions[i].start_offset;
    }
    cli_say(cli, "topic %s with %zu partitions and %lld events will be removed for ever", name, info->partition_count,
            (long long)count);
    evlog_topic_info_free(info);
    rc = cli_confirm(cli, "topic", name, confirm);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_topic_delete(cli->client, name, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "removed topic %s", name);
    return CLI_OK;
}

int cmd_topics_rm(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    const char *confirm = NULL;
    const struct cli_option options[] = {
        {"confirm", 0, CLI_TEXT, &confirm, "NAME", "the topic's name once more"},
    };
    struct cli_grammar grammar = {options, 1, 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc == CLI_PARSED ? remove_topic(cli, words.items[0], confirm) : rc;
}
