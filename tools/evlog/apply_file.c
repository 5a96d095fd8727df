/* SPDX-License-Identifier: Apache-2.0
 *
 * See apply_file.h. A line is taken apart where it lies: the text of the file lives as long as the file, with ends of
 * strings written into it, so that names and values need no copies.
 */
#include "apply_file.h"

#include "data_argument.h"
#include "setting_words.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <core/nearest.h>
#include <core/scram.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LEN_MAX (1u << 20)
#define ITEMS_MAX 20000u
#define SETTINGS_MAX 256u /* of a section */

static const char *const kind_words[APPLY_KIND_COUNT] = {"topic", "group", "user", "quota", "acl"};

struct reader {
    const struct cli *cli;
    struct apply_file *file;
    struct apply_item *item; /* the section that lines belong to, NULL none */
    bool skipping;           /* the section was refused: its lines are not looked at */
    int line;
    const char *line_start;
};

int apply_wrong(const struct cli *cli, struct apply_file *file, struct apply_place place, const char *remedy,
                const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (file->error_count++ < APPLY_ERRORS_MAX) {
        (void)cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_APPLY, remedy}, "%s:%d:%d: %s", file->path, place.line,
                               place.column, text);
    }
    return CLI_USAGE;
}

static struct apply_place place_of(const struct reader *r, const char *at)
{
    return (struct apply_place){r->line, (int)(at - r->line_start) + 1};
}

static int no_memory(const struct reader *r)
{
    r->file->error_count++;
    return cli_error(r->cli, CLI_ERR_APPLY, "no memory for %s", r->file->path);
}

static char *trim(char *text)
{
    size_t len;
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    for (len = strlen(text); len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t' || text[len - 1] == '\r');) {
        text[--len] = '\0';
    }
    return text;
}

const struct apply_item *apply_find(const struct apply_file *file, enum apply_kind kind, const char *name)
{
    for (size_t i = 0; i < file->item_count; i++) {
        if (file->items[i].kind == kind && strcmp(file->items[i].name, name) == 0) {
            return &file->items[i];
        }
    }
    return NULL;
}

bool apply_file_beside(const struct apply_file *file, const char *name, char *path)
{
    const char *slash = strrchr(file->path, '/');
    int folder_len = slash == NULL || name[0] == '/' ? 0 : (int)(slash - file->path) + 1;
    return snprintf(path, APPLY_PATH_MAX, "%.*s%s", folder_len, file->path, name) < APPLY_PATH_MAX;
}

/* --- sections ----------------------------------------------------------------------------------------------------- */

static int add_item(struct reader *r, int kind, const char *name, const char *at)
{
    struct apply_file *file = r->file;
    const struct apply_item *before = apply_find(file, (enum apply_kind)kind, name);
    struct acl_mistake mistake;
    if (before != NULL) {
        return apply_wrong(r->cli, file, place_of(r, at), "", "%s %s has a section already, in line %d",
                           kind_words[kind], name, before->place.line);
    }
    if (kind == APPLY_ACL && acl_principal_check(name, &mistake) != 0) {
        return apply_wrong(r->cli, file, place_of(r, at), mistake.remedy, "%s", mistake.text);
    }
    if (file->item_count == ITEMS_MAX) {
        return apply_wrong(r->cli, file, place_of(r, at), "", "a file has at most %u sections", ITEMS_MAX);
    }
    struct apply_item *grown = el_realloc(file->items, (file->item_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return no_memory(r);
    }
    file->items = grown;
    r->item = &grown[file->item_count++];
    *r->item = (struct apply_item){
        .kind = (enum apply_kind)kind, .name = name, .place = place_of(r, at), .partition_count = -1};
    return CLI_OK;
}

/* "[quota user billing]": what is behind "quota" says whom its limits are for. */
static int add_quota(struct reader *r, char *words)
{
    struct el_error err = {0};
    struct el_buffer text = {0};
    struct evlog_quota_entity entity;
    struct el_arena *arena = &r->file->arena;
    char address[EL_ADDRESS_TEXT_MAX];
    if (quota_entity_parse(words, &entity, address, &err) != 0) {
        return apply_wrong(r->cli, r->file, place_of(r, words), "", "%s", err.text);
    }
    quota_entity_say(&text, &entity);
    const char *name = text.err != 0 ? NULL : el_arena_strndup(arena, text.data, text.len);
    entity.ip = entity.ip == NULL ? NULL : el_arena_strndup(arena, address, strlen(address));
    el_buffer_free(&text);
    if (name == NULL || (entity.ip == NULL && strncmp(name, "ip ", 3) == 0)) {
        return no_memory(r);
    }
    int rc = add_item(r, APPLY_QUOTA, name, words);
    if (rc == CLI_OK) {
        r->item->entity = entity;
    }
    return rc;
}

/* "[topic orders]" */
static int take_section(struct reader *r, char *text)
{
    char remedy[80], *close = strrchr(text, ']');
    r->item = NULL;
    r->skipping = true;
    if (close == NULL || close[1] != '\0') {
        return apply_wrong(r->cli, r->file, place_of(r, text), "", "a section is written [topic NAME] on its own line");
    }
    *close = '\0';
    char *word = trim(text + 1);
    char *name = word + strcspn(word, " \t");
    if (*name != '\0') {
        *name = '\0';
        name = trim(name + 1);
    }
    for (int kind = 0; kind < APPLY_KIND_COUNT; kind++) {
        if (strcmp(word, kind_words[kind]) == 0) {
            if (*name == '\0') {
                return apply_wrong(r->cli, r->file, place_of(r, word), "", "the name of the %s is missing", word);
            }
            int rc = kind == APPLY_QUOTA ? add_quota(r, name) : add_item(r, kind, name, name);
            r->skipping = rc != CLI_OK;
            return rc;
        }
    }
    const char *near = el_nearest(word, kind_words, APPLY_KIND_COUNT);
    (void)snprintf(remedy, sizeof remedy,
                   near == NULL ? "sections are topic, group, user, quota and acl" : "did you mean %s?", near);
    return apply_wrong(r->cli, r->file, place_of(r, word), remedy, "there is no section \"%.60s\"", word);
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

static int add_setting(struct reader *r, const char *key, const char *value)
{
    struct apply_item *item = r->item;
    for (size_t i = 0; i < item->setting_count; i++) {
        if (strcmp(item->settings[i].key, key) == 0) {
            return apply_wrong(r->cli, r->file, place_of(r, key), "", "%s is set already, in line %d", key,
                               item->places[i].line);
        }
    }
    if (item->setting_count == SETTINGS_MAX) {
        return apply_wrong(r->cli, r->file, place_of(r, key), "", "at most %u settings", SETTINGS_MAX);
    }
    struct evlog_setting *settings = el_realloc(item->settings, (item->setting_count + 1) * sizeof *settings);
    item->settings = settings == NULL ? item->settings : settings;
    struct apply_place *places = el_realloc(item->places, (item->setting_count + 1) * sizeof *places);
    item->places = places == NULL ? item->places : places;
    if (settings == NULL || places == NULL) {
        return no_memory(r);
    }
    item->places[item->setting_count] = place_of(r, key);
    item->settings[item->setting_count++] = (struct evlog_setting){key, value};
    return CLI_OK;
}

/* A setting of a topic or group, as requests have it: so that it can be compared with what there is. */
static int add_plain(struct reader *r, const char *key, const char *value)
{
    char number[SETTING_NUMBER_MAX];
    const char *plain = setting_plain(key, value, number);
    if (plain == number) {
        plain = el_arena_strndup(&r->file->arena, number, strlen(number));
    }
    return plain == NULL ? no_memory(r) : add_setting(r, key, plain);
}

static int take_number(struct reader *r, const char *value, int64_t min, int64_t max, int64_t *out)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (end == value || *end != '\0' || errno != 0 || number < min || number > max) {
        return apply_wrong(r->cli, r->file, place_of(r, value), "", "\"%.60s\" is no whole number from %lld to %lld",
                           value, (long long)min, (long long)max);
    }
    *out = number;
    return CLI_OK;
}

static int take_mechanisms(struct reader *r, char *value)
{
    struct apply_item *item = r->item;
    char *rest = value;
    item->mechanism_count = 0;
    for (char *part = strsep(&rest, ","); part != NULL; part = strsep(&rest, ",")) {
        const char *word = trim(part);
        int number = el_scram_find(el_slice_str(word));
        if (number == EL_SCRAM_UNKNOWN || item->mechanism_count == 2 ||
            (item->mechanism_count == 1 && item->mechanisms[0] == number)) {
            return apply_wrong(r->cli, r->file, place_of(r, word), "",
                               "mechanisms are SCRAM-SHA-256 and SCRAM-SHA-512, each once, not \"%.60s\"", word);
        }
        item->mechanisms[item->mechanism_count++] = number;
    }
    return CLI_OK;
}

static int take_user_key(struct reader *r, const char *key, char *value)
{
    static const char *const keys[] = {"password.file", "mechanisms", "iterations"};
    char remedy[80];
    int64_t number = 0;
    if (strcmp(key, keys[0]) == 0) {
        r->item->password_file = value;
        r->item->password_place = place_of(r, value);
        return *value == '\0' || strcmp(value, "-") == 0
                   ? apply_wrong(r->cli, r->file, place_of(r, value), "", "the name of a file is missing")
                   : CLI_OK;
    }
    if (strcmp(key, keys[1]) == 0) {
        return take_mechanisms(r, value);
    }
    if (strcmp(key, keys[2]) == 0) {
        int rc = take_number(r, value, EL_SCRAM_ITERATIONS_MIN, EL_SCRAM_ITERATIONS_MAX, &number);
        r->item->iterations = (uint32_t)number;
        return rc;
    }
    const char *near = el_nearest(key, keys, 3);
    (void)snprintf(remedy, sizeof remedy,
                   near == NULL ? "a user has password.file, mechanisms and iterations" : "did you mean %s?", near);
    return apply_wrong(r->cli, r->file, place_of(r, key), remedy, "a user has no \"%.60s\"", key);
}

static int take_limit(struct reader *r, const char *key, const char *value)
{
    struct el_error err = {0};
    char remedy[QUOTA_REMEDY_MAX];
    double number;
    if (quota_key_check(&r->item->entity, key, remedy, &err) != 0) {
        return apply_wrong(r->cli, r->file, place_of(r, key), remedy, "%s", err.text);
    }
    if (quota_value_parse(key, value, &number, &err) != 0) {
        return apply_wrong(r->cli, r->file, place_of(r, value), "", "%s", err.text);
    }
    return add_setting(r, key, value);
}

/* "read,describe topic orders from 10.0.0.1" */
static int take_rule(struct reader *r, const char *key, char *value)
{
    static const char *const keys[] = {"allow", "deny"};
    const char *words[ACL_WORDS_MAX] = {r->item->name};
    struct acl_words rule = {.words = words, .count = 1};
    struct acl_mistake mistake;
    char remedy[80], *rest = value, *start = value;
    if (strcmp(key, keys[0]) != 0 && strcmp(key, keys[1]) != 0) {
        const char *near = el_nearest(key, keys, 2);
        (void)snprintf(remedy, sizeof remedy, near == NULL ? "rules are allow and deny" : "did you mean %s?", near);
        return apply_wrong(r->cli, r->file, place_of(r, key), remedy, "there is no rule \"%.60s\"", key);
    }
    rule.permission = strcmp(key, keys[0]) == 0 ? EVLOG_ACL_ALLOW : EVLOG_ACL_DENY;
    for (char *word = strsep(&rest, " \t"); word != NULL; word = strsep(&rest, " \t")) {
        if (*word != '\0' && rule.count == ACL_WORDS_MAX) {
            return apply_wrong(r->cli, r->file, place_of(r, word), "write another rule", "a rule has too many words");
        }
        if (*word != '\0') {
            words[rule.count++] = word;
        }
    }
    bool is_cluster = rule.count > 2 && evlog_acl_resource_of(words[2]) == EVLOG_ACL_CLUSTER;
    int plain_count = is_cluster ? 3 : 4; /* words that a rule has without an address */
    if (rule.count > plain_count && strcmp(words[rule.count - 1], "from") == 0) {
        return apply_wrong(r->cli, r->file, place_of(r, words[rule.count - 1]), "",
                           "the address behind from is missing");
    }
    if (rule.count > plain_count + 1 && strcmp(words[rule.count - 2], "from") == 0) {
        rule.host = words[rule.count - 1];
        rule.count -= 2;
    }
    int rc = acl_rules_add(&r->file->acls, &rule, &mistake);
    if (rc == EVLOG_ERR_NO_MEMORY) {
        return no_memory(r);
    }
    if (rc != 0) {
        const char *at = mistake.word == ACL_WORD_HOST                   ? rule.host
                         : mistake.word > 0 && mistake.word < rule.count ? words[mistake.word]
                                                                         : start;
        return apply_wrong(r->cli, r->file, place_of(r, at), mistake.remedy, "%s", mistake.text);
    }
    return CLI_OK;
}

static int take_key(struct reader *r, char *key, char *value)
{
    int64_t number = -1;
    switch (r->item->kind) {
    case APPLY_TOPIC:
        if (strcmp(key, "partitions") == 0) {
            int rc = take_number(r, value, 1, EL_PARTITION_COUNT_MAX, &number);
            r->item->partition_count = (int32_t)number;
            return rc;
        }
        return add_plain(r, key, value);
    case APPLY_GROUP:
        return add_plain(r, key, value);
    case APPLY_USER:
        return take_user_key(r, key, value);
    case APPLY_QUOTA:
        return take_limit(r, key, value);
    case APPLY_ACL:
        return take_rule(r, key, value);
    case APPLY_KIND_COUNT:
        break;
    }
    return CLI_OK;
}

static void cut_comment(char *text)
{
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '#' && (c == text || c[-1] == ' ' || c[-1] == '\t')) {
            *c = '\0';
            return;
        }
    }
}

static int take_line(struct reader *r, char *line)
{
    r->line_start = line;
    for (const char *c = line; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' && *c != '\t' && !(*c == '\r' && c[1] == '\0')) {
            return apply_wrong(r->cli, r->file, place_of(r, c), "", "control characters are not allowed");
        }
    }
    cut_comment(line);
    char *text = trim(line);
    if (*text == '\0') {
        return CLI_OK;
    }
    if (*text == '[') {
        return take_section(r, text);
    }
    char *equals = strchr(text, '=');
    if (r->item == NULL && r->skipping) {
        return CLI_OK;
    }
    if (equals == NULL || equals == text) {
        return apply_wrong(r->cli, r->file, place_of(r, text), "", "expected key = value, [section] or a comment");
    }
    if (r->item == NULL) {
        return apply_wrong(r->cli, r->file, place_of(r, text), "begin with [topic NAME] or the like",
                           "a line stands in a section, and none has begun");
    }
    *equals = '\0';
    return take_key(r, trim(text), trim(equals + 1));
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

/* The text with an end, in the file's arena; NULL told. */
static char *load(const struct cli *cli, struct apply_file *file, int *rc)
{
    struct el_buffer room = {0};
    char *text = NULL;
    *rc = data_read(cli, "", strcmp(file->path, "-") == 0 ? NULL : file->path, &room);
    if (*rc == CLI_OK && room.len > FILE_LEN_MAX) {
        *rc = cli_error(cli, CLI_ERR_APPLY, "%s has more than %u MiB", file->path, FILE_LEN_MAX >> 20);
    } else if (*rc == CLI_OK && room.len > 0 && memchr(room.data, 0, room.len) != NULL) {
        *rc = cli_error(cli, CLI_ERR_APPLY, "%s is no text", file->path);
    } else if (*rc == CLI_OK) {
        text = el_arena_strndup(&file->arena, room.len == 0 ? (const uint8_t *)"" : room.data, room.len);
        *rc = text == NULL ? cli_error(cli, CLI_ERR_APPLY, "no memory for %s", file->path) : CLI_OK;
    }
    el_buffer_free(&room);
    return text;
}

int apply_file_read(const struct cli *cli, const char *path, struct apply_file *file)
{
    struct reader r = {.cli = cli, .file = file};
    int rc;
    file->path = path;
    el_arena_init(&file->arena, NULL, 0);
    char *rest = load(cli, file, &rc);
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        r.line++;
        (void)take_line(&r, line);
    }
    for (size_t i = 0; rc == CLI_OK && i < file->item_count; i++) {
        if (file->items[i].kind == APPLY_USER && file->items[i].password_file == NULL) {
            (void)apply_wrong(cli, file, file->items[i].place, "", "user %s has no password.file", file->items[i].name);
        }
        if (file->items[i].kind == APPLY_QUOTA && file->items[i].setting_count == 0) {
            (void)apply_wrong(cli, file, file->items[i].place, "a limit is such as producer_byte_rate = 10MiB",
                              "%s has no limits", file->items[i].name);
        }
    }
    if (file->error_count > APPLY_ERRORS_MAX) {
        cli_say(cli, "and %d mistakes more", file->error_count - APPLY_ERRORS_MAX);
    }
    return rc == CLI_OK && file->error_count > 0 ? CLI_USAGE : rc;
}

void apply_file_free(struct apply_file *file)
{
    for (size_t i = 0; i < file->item_count; i++) {
        el_free(file->items[i].settings);
        el_free(file->items[i].places);
    }
    el_free(file->items);
    acl_set_free(&file->acls);
    if (file->path != NULL) {
        el_arena_reset(&file->arena);
    }
}
