/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog groups create | set | why | release: work groups.
 *
 * create and set change settings of the group, which is made by that; a setting without a value goes back to its
 * default. why asks what events of a key wait for. release lets halted partitions go on.
 */
#include "cli.h"
#include "setting_words.h"
#include "table.h"

#include <core/alloc.h>
#include <string.h>

#define SETTING_MAX 256

/* --- create, set -------------------------------------------------------------------------------------------------- */

/* "NAME=VALUE" or "NAME=" into a setting; copies lie in texts and number. */
static int take_setting(const struct cli *cli, const char *word, char *texts, char number[SETTING_NUMBER_MAX],
                        struct evlog_setting *setting)
{
    const char *equals = strchr(word, '=');
    if (equals == NULL || equals == word) {
        return cli_error(cli, CLI_ERR_VALUE, "a setting is NAME=VALUE, or NAME= for its default, not %s", word);
    }
    memcpy(texts, word, strlen(word) + 1);
    texts[equals - word] = '\0';
    setting->key = texts;
    setting->value = setting_plain(texts, equals[1] == '\0' ? NULL : texts + (equals - word) + 1, number);
    return CLI_OK;
}

static int change(struct cli *cli, const char *group, char *const *words, size_t count, bool dry_run)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_setting settings[SETTING_MAX];
    char numbers[SETTING_MAX][SETTING_NUMBER_MAX];
    size_t len = 1;
    if (count > SETTING_MAX) {
        return cli_error(cli, CLI_ERR_VALUE, "at most %d settings", SETTING_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        len += strlen(words[i]) + 1;
    }
    char *texts = el_malloc(len), *next = texts;
    int rc = texts == NULL ? cli_error(cli, CLI_ERR_VALUE, "no memory") : CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < count; i++) {
        rc = take_setting(cli, words[i], next, numbers[i], &settings[i]);
        next += strlen(words[i]) + 1;
    }
    if (rc == CLI_OK) {
        rc = cli_connect(cli);
    }
    if (rc == CLI_OK && evlog_group_set(cli->client, group, settings, count, dry_run, &failure) != 0) {
        rc = cli_failure(cli, &failure);
    }
    el_free(texts);
    return rc;
}

int cmd_groups_create(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    const char *start = "latest";
    struct cli_list settings = {0};
    const struct cli_option options[] = {
        {"start", 0, CLI_TEXT, &start, "WHERE", "where the group begins in a topic: latest (default), earliest"},
        {"set", 0, CLI_LIST, &settings, "NAME=VALUE", "a setting; may be repeated"},
    };
    struct cli_grammar grammar = {options, 2, 1, 1};
    struct cli_words words;
    char first[128];
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    char **all = rc != CLI_PARSED ? NULL : el_calloc(settings.count + 1, sizeof(char *));
    if (rc == CLI_PARSED && all == NULL) {
        rc = cli_error(cli, CLI_ERR_VALUE, "no memory");
    }
    if (rc == CLI_PARSED) {
        (void)snprintf(first, sizeof first, "start=%.100s", start);
        all[0] = first;
        for (size_t i = 0; i < settings.count; i++) {
            all[i + 1] = (char *)(uintptr_t)settings.items[i];
        }
        rc = change(cli, words.items[0], all, settings.count + 1, false);
        if (rc == CLI_OK) {
            cli_say(cli, "work group %s begins at %s", words.items[0], start);
        }
    }
    el_free(all);
    cli_list_free(&settings);
    return rc;
}

int cmd_groups_set(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    bool dry_run = false;
    const struct cli_option options[] = {
        {"dry-run", 0, CLI_FLAG, &dry_run, NULL, "check, change nothing"},
    };
    struct cli_grammar grammar = {options, 1, 2, -1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = change(cli, words.items[0], words.items + 1, (size_t)words.count - 1, dry_run);
        if (rc == CLI_OK) {
            cli_say(cli, "%d settings of work group %s %s", words.count - 1, words.items[0],
                    dry_run ? "would be changed" : "changed");
        }
    }
    return rc;
}

/* --- why ---------------------------------------------------------------------------------------------------------- */

static int why_json(const struct cli *cli, const struct evlog_group_wait *wait)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    cli_json_begin(&w, &line);
    el_json_add_int(&w, "partition", wait->partition);
    el_json_add_str(&w, "state", wait->state);
    el_json_add_bool(&w, "parked", wait->parked);
    el_json_add_int(&w, "offset", wait->offset);
    el_json_add_int(&w, "attempts", wait->attempt);
    el_json_add_int(&w, "due_ms", wait->due_ms);
    el_json_add_uint(&w, "behind", wait->behind);
    el_json_add_str(&w, "message", wait->message);
    int rc = cli_json_end(cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

static int show_waits(const struct cli *cli, const struct evlog_group_waits *waits)
{
    static const struct table_column columns[] = {
        {"PARTITION", true}, {"OFFSET", true}, {"STATE", false}, {"PARKED", false},
        {"ATTEMPTS", true},  {"DUE", true},    {"BEHIND", true},
    };
    struct table table;
    char age[32];
    int rc = CLI_OK;
    table_begin(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; rc == CLI_OK && i < waits->wait_count; i++) {
        const struct evlog_group_wait *wait = &waits->waits[i];
        if (cli->json) {
            rc = why_json(cli, wait);
            continue;
        }
        table_cell(&table, "%d", wait->partition);
        table_number(&table, wait->offset);
        table_cell(&table, "%s", wait->state[0] == '\0' ? "-" : wait->state);
        table_cell(&table, "%s", wait->parked ? "yes" : "no");
        table_cell(&table, "%d", wait->attempt);
        table_cell(&table, "%s", cli_age(wait->due_ms, age, sizeof age));
        table_cell(&table, "%llu", (unsigned long long)wait->behind);
    }
    int its = table_end(cli, &table);
    return rc != CLI_OK ? rc : its;
}

static int ask_why(struct cli *cli, const char *group, const char *key, const char *topic, int64_t partition)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_waits *waits;
    struct evlog_bytes bytes = {key, strlen(key)};
    int rc = topic == NULL ? cli_error(cli, CLI_ERR_VALUE, "-t TOPIC is missing: it says where the key is")
                           : cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_group_why(cli->client, group, topic, (int32_t)partition, bytes, &waits, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    rc = show_waits(cli, waits);
    for (size_t i = 0; i < waits->wait_count && !cli->json; i++) {
        if (waits->waits[i].message[0] != '\0') {
            cli_say(cli, "%s %d: %s", topic, waits->waits[i].partition, waits->waits[i].message);
        }
    }
    if (waits->wait_count == 0) {
        cli_say(cli, "key %s of %s does not wait in group %s", key, topic, group);
    }
    evlog_group_waits_free(waits);
    return rc;
}

int cmd_groups_why(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    const char *topic = NULL;
    int64_t partition = -1;
    const struct cli_option options[] = {
        {"topic", 't', CLI_TEXT, &topic, "TOPIC", "whose events have the key"},
        {"partition", 'p', CLI_INT, &partition, "N", "only this partition"},
    };
    struct cli_grammar grammar = {options, 2, 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED && (partition < -1 || partition > INT32_MAX)) {
        rc = cli_error(cli, CLI_ERR_VALUE, "-p takes a partition");
    }
    return rc == CLI_PARSED ? ask_why(cli, words.items[0], words.items[1], topic, partition) : rc;
}

/* --- release ------------------------------------------------------------------------------------------------------ */

int cmd_groups_release(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const char *topic = NULL;
    int64_t partition = -1;
    const struct cli_option options[] = {
        {"topic", 't', CLI_TEXT, &topic, "TOPIC", "whose partitions halt"},
        {"partition", 'p', CLI_INT, &partition, "N", "only this partition"},
    };
    struct cli_grammar grammar = {options, 2, 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED && (partition < -1 || partition > INT32_MAX)) {
        rc = cli_error(cli, CLI_ERR_VALUE, "-p takes a partition");
    } else if (rc == CLI_PARSED && topic == NULL) {
        rc = cli_error(cli, CLI_ERR_VALUE, "-t TOPIC is missing: it says what halts");
    }
    rc = rc == CLI_PARSED ? cli_connect(cli) : rc;
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_group_go_on(cli->client, words.items[0], topic, (int32_t)partition, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "work group %s goes on in %s", words.items[0], topic);
    return CLI_OK;
}
