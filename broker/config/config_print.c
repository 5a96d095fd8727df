/* SPDX-License-Identifier: Apache-2.0
 *
 * --print-config, --init-config, --explain and --help: what the tables say. What config_print() writes is a
 * configuration file that gives the same values again; what config_print_start() writes is one as well, also when its
 * comments of values are none any more.
 */
#include <config/broker_name.h>
#include <config/config.h>
#include <config/config_request.h>
#include <config/config_target.h>
#include <config/listener_settings.h>
#include <config/setting.h>
#include <config/value.h>
#include <core/alloc.h>

#include <inttypes.h>

#define COMMENT_COLUMN 52
#define LABEL_COLUMN 14
#define HELP_COLUMNS 100
#define HELP_INDENT "      "
#define SERVICE_DATA "/var/lib/evlog" /* the packages' */

static bool needs_quotes(const char *text)
{
    size_t len = strlen(text);
    bool blank_at_end = len > 0 && (text[0] == ' ' || text[len - 1] == ' ');
    return strpbrk(text, "#;") != NULL || blank_at_end;
}

static void print_origin(const struct config *cfg, const struct config_origin *origin, FILE *out)
{
    switch (origin->kind) {
    case CONFIG_FROM_DEFAULT:
        fputs("default", out);
        return;
    case CONFIG_FROM_FILE:
        fprintf(out, "%s:%" PRIu32, cfg->path, origin->line);
        return;
    case CONFIG_FROM_ENVIRONMENT:
        fputs("environment", out);
        return;
    case CONFIG_FROM_FLAG:
        fputs("flag", out);
        return;
    case CONFIG_FROM_REQUEST:
        fputs("a request", out);
        return;
    }
}

static void print_pair(const char *key, const char *value, FILE *out)
{
    const char *quote = needs_quotes(value) ? "\"" : "";
    int len = fprintf(out, "%s = %s%s%s", key, quote, value, quote);
    fprintf(out, "%*s# ", len < COMMENT_COLUMN ? COMMENT_COLUMN - len : 1, "");
}

/* 0 stands for a number that depends on the machine: name it. */
static void print_resolved(const struct config *cfg, enum config_setting_id id, FILE *out)
{
    if (id == CONFIG_shards && cfg->shards == 0) {
        fprintf(out, ", here %" PRIu32, config_shard_count(cfg));
    } else if (id == CONFIG_memory_max && cfg->memory_max == 0) {
        fprintf(out, ", here %" PRIu64 " bytes", config_memory_max(cfg));
    }
}

static void print_topic_settings(const struct config *cfg, FILE *out)
{
    struct override_entry entry;
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        topic_config_describe(NULL, &cfg->topic_defaults, (enum topic_setting_id)id, &entry);
        if (entry.setting->behaviour == OVERRIDE_HONOURED || entry.source == OVERRIDE_FROM_BROKER) {
            print_pair(entry.setting->name, entry.value, out);
            print_origin(cfg, &cfg->topic_origin[id], out);
            fputc('\n', out);
        }
    }
}

static void print_listener_settings(const struct config *cfg, FILE *out)
{
    char name[CONFIG_NAME_MAX];
    for (uint32_t i = 0; i < cfg->listener_values.count; i++) {
        const struct listener_value *value = &cfg->listener_values.list[i];
        print_pair(listener_value_name(value, name, sizeof name), listener_value_text(cfg, value), out);
        print_origin(cfg, &value->origin, out);
        fputc('\n', out);
    }
}

static bool section_ends(int id)
{
    return id + 1 == CONFIG_SETTING_COUNT || strcmp(setting_at((enum config_setting_id)id)->section,
                                                    setting_at((enum config_setting_id)(id + 1))->section) != 0;
}

static bool section_begins(int id)
{
    return id == 0 || section_ends(id - 1);
}

void config_print(const struct config *cfg, FILE *out)
{
    char text[SETTING_TEXT_MAX];
    fprintf(out, "# evlogd %s: settings in effect and where each comes from\n", EVLOG_VERSION);
    for (int i = 0; i < CONFIG_SETTING_COUNT; i++) {
        enum config_setting_id id = (enum config_setting_id)i;
        const struct setting *row = setting_at(id);
        if (section_begins(i)) {
            fprintf(out, "\n[%s]\n", row->section);
        }
        print_pair(row->key, setting_text(cfg, id, text, sizeof text), out);
        print_origin(cfg, &cfg->origin[i], out);
        print_resolved(cfg, id, out);
        fputc('\n', out);
        if (section_ends(i) && strcmp(row->section, CONFIG_TOPIC_SECTION) == 0) {
            print_topic_settings(cfg, out);
        }
        if (section_ends(i) && strcmp(row->section, LISTENER_SETTING_SECTION) == 0) {
            print_listener_settings(cfg, out);
        }
    }
}

/* Words of text, wrapped at HELP_COLUMNS, each line behind a prefix. */
static void print_wrapped(const char *text, const char *prefix, FILE *out)
{
    int column = 0;
    while (*text != 0) {
        int len = (int)strcspn(text, " ");
        if (column != 0 && column + 1 + len > HELP_COLUMNS) {
            fputc('\n', out);
            column = 0;
        }
        if (column == 0) {
            fputs(prefix, out);
            column = (int)strlen(prefix);
        } else {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", len, text);
        column += len;
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

/* --- a file to begin with ---------------------------------------------------------------------------------------- */

/* What is set most often. */
static bool is_for_start(enum config_setting_id id)
{
    static const enum config_setting_id list[] = {
        CONFIG_data,
        CONFIG_memory_max,
        CONFIG_listen,
        CONFIG_advertised,
        CONFIG_listeners,
        CONFIG_advertised_listeners,
        CONFIG_ssl_certificate_file,
        CONFIG_ssl_key_file,
        CONFIG_ssl_ca_file,
        CONFIG_ssl_client_auth,
        CONFIG_http,
        CONFIG_authorizer,
        CONFIG_super_users,
        CONFIG_http_tokens_file,
        CONFIG_audit_retention_ms,
        CONFIG_auto_create_topics,
        CONFIG_num_partitions,
        CONFIG_disk_reserve_len,
        CONFIG_archive_url,
        CONFIG_from_archive,
        CONFIG_archive_key_file,
        CONFIG_log_level,
        CONFIG_log_format,
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        if (list[i] == id) {
            return true;
        }
    }
    return false;
}

static void print_start_value(const char *key, const char *value, bool is_default, const char *doc, FILE *out)
{
    const char *quote = needs_quotes(value) ? "\"" : "";
    print_wrapped(doc, "# ", out);
    fprintf(out, "%s%s =%s%s%s%s\n\n", is_default ? "# " : "", key, value[0] == 0 ? "" : " ", quote, value, quote);
}

static void print_start_topics(const struct config *cfg, FILE *out)
{
    static const enum topic_setting_id list[] = {TOPIC_CLEANUP_POLICY, TOPIC_RETENTION_MS, TOPIC_RETENTION_BYTES,
                                                 TOPIC_MAX_MESSAGE_BYTES};
    struct override_entry entry;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        topic_config_describe(NULL, &cfg->topic_defaults, list[i], &entry);
        print_start_value(entry.setting->name, entry.value, cfg->topic_origin[list[i]].kind == CONFIG_FROM_DEFAULT,
                          entry.setting->doc, out);
    }
}

void config_print_start(const struct config *cfg, FILE *out)
{
    char text[SETTING_TEXT_MAX];
    const char *section = "";
    fputs("# Settings of evlogd. What stands behind a '#' is the default; evlogd.conf(5) has all settings,\n"
          "# evlogd --explain NAME tells of one. After a change: evlogd --config FILE --check-config, then\n"
          "# systemctl reload evlogd, or a restart where --explain says so.\n\n",
          out);
    for (int i = 0; i < CONFIG_SETTING_COUNT; i++) {
        enum config_setting_id id = (enum config_setting_id)i;
        const struct setting *row = setting_at(id);
        if (is_for_start(id)) {
            if (strcmp(section, row->section) != 0) {
                section = row->section;
                fprintf(out, "[%s]\n", section);
            }
            bool no_data = id == CONFIG_data && cfg->data[0] == 0;
            print_start_value(row->key, no_data ? SERVICE_DATA : setting_text(cfg, id, text, sizeof text),
                              !no_data && cfg->origin[i].kind == CONFIG_FROM_DEFAULT, row->doc, out);
        }
        if (section_ends(i) && strcmp(row->section, CONFIG_TOPIC_SECTION) == 0) {
            print_start_topics(cfg, out);
        }
    }
}

/* --- one setting ------------------------------------------------------------------------------------------------- */

static void print_label(const char *label, FILE *out)
{
    fprintf(out, "%s:%*s", label, (int)(LABEL_COLUMN - strlen(label)), "");
}

static void print_line(const char *label, const char *text, FILE *out)
{
    print_label(label, out);
    fprintf(out, "%s\n", text);
}

static void print_from(const struct config *cfg, const struct config_origin *origin, FILE *out)
{
    print_label("from", out);
    print_origin(cfg, origin, out);
    fputc('\n', out);
}

static void print_places(const char *section, const char *key, const char *name, FILE *out)
{
    char text[CONFIG_NAME_MAX];
    print_label("file", out);
    fprintf(out, "[%s] %s = VALUE\n", section, key);
    print_line("environment", setting_variable_name(section, key, text, sizeof text), out);
    print_line("flag", setting_flag_name(name, text, sizeof text), out);
}

/* The default as values are shown: 1m for 60s. returns text */
static const char *default_text(enum config_setting_id id, char *text, size_t text_max)
{
    struct config *scratch = el_calloc(1, sizeof *scratch);
    snprintf(text, text_max, "%s", setting_at(id)->default_text);
    if (scratch != NULL && setting_parse(scratch, id, el_slice_str(text), NULL) == 0) {
        setting_text(scratch, id, text, text_max);
    }
    el_free(scratch);
    return text;
}

static const char *change_text(enum config_setting_id id, bool by_request)
{
    if (!setting_at(id)->reload) {
        return "at a restart";
    }
    return by_request ? "at SIGHUP, or while evlogd runs by evlog config set" : "at SIGHUP, and by no request";
}

static bool is_listener_setting(enum config_setting_id wanted)
{
    enum config_setting_id id;
    for (uint32_t i = 0; listener_setting_at(i, &id); i++) {
        if (id == wanted) {
            return true;
        }
    }
    return false;
}

static void explain_setting(const struct config *cfg, enum config_setting_id id, FILE *out)
{
    const struct setting *row = setting_at(id);
    char text[SETTING_TEXT_MAX];
    print_line("setting", row->name, out);
    print_line("meaning", row->doc, out);
    print_line("takes", setting_allowed(row, text, sizeof text), out);
    print_line("default", default_text(id, text, sizeof text), out);
    print_label("value", out);
    fputs(setting_text(cfg, id, text, sizeof text), out);
    print_resolved(cfg, id, out);
    fputc('\n', out);
    print_from(cfg, &cfg->origin[id], out);
    print_line("changes", change_text(id, config_request_refusal(id) == NULL), out);
    print_places(row->section, row->key, row->name, out);
    if (is_listener_setting(id)) {
        print_label("listeners", out);
        fprintf(out, "[" LISTENER_SETTING_SECTION "] listener.name.NAME.%s = VALUE is of the listener NAME alone\n",
                row->name);
    }
}

static int explain_listener_setting(const struct config *cfg, struct el_slice name, FILE *out, struct el_error *err)
{
    struct listener_place place;
    char key[CONFIG_NAME_MAX], text[SETTING_TEXT_MAX];
    int error = listener_setting_find(LISTENER_KEY, name, &place, err);
    if (error != 0) {
        return error;
    }
    const struct config_listener *listener = config_listener_find(&cfg->listener_table, place.listener);
    const struct listener_value *own = listener_setting_own(cfg, place.listener, place.id);
    struct listener_value shown = {.id = place.id};
    if (listener == NULL) {
        return listener_setting_refuse(cfg, place.listener, name, err);
    }
    const struct setting *row = setting_at(place.id);
    memcpy(shown.listener, listener->name, sizeof shown.listener);
    print_line("setting", listener_value_name(&shown, key, sizeof key), out);
    print_label("meaning", out);
    fprintf(out, "What the listener %s has in place of %s. %s\n", listener->name, row->name, row->doc);
    print_line("takes", setting_allowed(row, text, sizeof text), out);
    print_label("default", out);
    fprintf(out, "that of all listeners, %s\n", row->name);
    print_line("value", listener_setting_shown(cfg, listener, place.id, text, sizeof text), out);
    print_from(cfg, own != NULL ? &own->origin : &cfg->origin[place.id], out);
    print_line("changes", change_text(place.id, false), out);
    print_places(LISTENER_SETTING_SECTION, key, key, out);
    return 0;
}

static void explain_topic_setting(const struct config *cfg, enum topic_setting_id id, FILE *out)
{
    struct override_entry entry, table;
    char text[SETTING_ALLOWED_MAX];
    topic_config_describe(NULL, &cfg->topic_defaults, id, &entry);
    topic_config_describe(NULL, NULL, id, &table);
    print_line("setting", entry.setting->name, out);
    if (strcmp(broker_name(id), entry.setting->name) != 0) {
        print_line("also", broker_name(id), out);
    }
    print_line("meaning", entry.setting->doc, out);
    print_label("takes", out);
    fprintf(out, "%s%s\n", override_allowed(entry.setting, text, sizeof text),
            value_ends_with(entry.setting->name, ".ms")      ? " (ms), or a duration such as 30s or 7d"
            : value_ends_with(entry.setting->name, ".bytes") ? ", or bytes such as 64MiB or 1GiB"
                                                             : "");
    print_line("default", table.value, out);
    if (topic_setting_is_own(id)) {
        print_line("changes", "never: it is set when a topic is made", out);
        return;
    }
    print_line("value", entry.value, out);
    print_from(cfg, &cfg->topic_origin[id], out);
    print_line("changes", "at SIGHUP, or while evlogd runs by evlog config set; of one topic by evlog topics alter",
               out);
    print_places(CONFIG_TOPIC_SECTION, entry.setting->name, entry.setting->name, out);
}

/* "name", or "section.key" */
static bool is_called(const struct setting *row, const char *name)
{
    size_t len = strlen(row->section);
    bool by_place = strncmp(name, row->section, len) == 0 && name[len] == '.' && strcmp(name + len + 1, row->key) == 0;
    return by_place || strcmp(name, row->name) == 0;
}

static int unknown_setting(const char *name, struct el_error *err)
{
    const char *words[CONFIG_SETTING_COUNT + 2 * TOPIC_SETTING_COUNT];
    char hint[CONFIG_NAME_MAX];
    size_t count = 0;
    for (int i = 0; i < CONFIG_SETTING_COUNT; i++) {
        words[count++] = setting_at((enum config_setting_id)i)->name;
    }
    for (int i = 0; i < TOPIC_SETTING_COUNT; i++) {
        words[count++] = topic_setting((enum topic_setting_id)i)->name;
        words[count++] = broker_name((enum topic_setting_id)i);
    }
    struct el_slice wanted = el_slice_str(name);
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "there is no setting '%.*s'%s (evlogd --help lists all)",
                        value_shown_len(wanted), name, value_nearest_text(wanted, words, count, hint, sizeof hint));
}

int config_explain(const struct config *cfg, FILE *out, struct el_error *err)
{
    struct el_slice name = el_slice_str(cfg->explained);
    if (listener_setting_is(LISTENER_KEY, name)) {
        return explain_listener_setting(cfg, name, out, err);
    }
    for (int i = 0; i < CONFIG_SETTING_COUNT; i++) {
        if (is_called(setting_at((enum config_setting_id)i), cfg->explained)) {
            explain_setting(cfg, (enum config_setting_id)i, out);
            return 0;
        }
    }
    int topic = topic_setting_find(name);
    topic = topic >= 0 ? topic : broker_name_find(name);
    if (topic < 0) {
        return unknown_setting(cfg->explained, err);
    }
    explain_topic_setting(cfg, (enum topic_setting_id)topic, out);
    return 0;
}

/* --- help -------------------------------------------------------------------------------------------------------- */

static void print_help_setting(enum config_setting_id id, bool of_listener, FILE *out)
{
    static const char *const forms[] = {
        [SETTING_PATH] = "PATH",         [SETTING_TEXT] = "TEXT",         [SETTING_URL] = "URL",
        [SETTING_ADDRESS] = "HOST:PORT", [SETTING_BOOL] = "true|false",   [SETTING_COUNT] = "COUNT",
        [SETTING_SIZE] = "BYTES",        [SETTING_DURATION] = "DURATION",
    };
    const struct setting *row = setting_at(id);
    char flag[96];
    bool choice = row->kind == SETTING_CHOICE;
    const char *off = !choice && row->choices[0] != 0 ? "|off" : "";
    const char *form = choice ? row->choices : forms[row->kind];
    if (of_listener) {
        fprintf(out, "  --listener-name-NAME-%s=%s\n", setting_flag_name(row->name, flag, sizeof flag) + 2, form);
        fprintf(out, HELP_INDENT "%s of the listener NAME alone.\n", row->name);
        return;
    }
    fprintf(out, "  %s=%s%s", setting_flag_name(row->name, flag, sizeof flag), form, off);
    fprintf(out, row->default_text[0] != 0 ? "  (%s)\n" : "\n", row->default_text);
    print_wrapped(row->doc, HELP_INDENT, out);
}

static void print_help_listeners(FILE *out)
{
    enum config_setting_id id;
    for (uint32_t i = 0; listener_setting_at(i, &id); i++) {
        print_help_setting(id, true, out);
    }
}

void config_print_help(FILE *out)
{
    char flag[96];
    struct override_entry entry;
    fputs("evlogd, the event store that speaks Kafka\n\n"
          "usage: evlogd --data=DIR [--name=value ...]\n\n"
          "  --config=FILE    read settings from FILE: [section], key = value, # comment\n"
          "  --check-config   read and check the settings, then exit\n"
          "  --print-config   show all settings and where each comes from, then exit\n"
          "  --explain NAME   show what a setting does, takes and is, then exit\n"
          "  --init-config    write a configuration file to begin with, then exit\n"
          "  --repair --check look for damage in the indexes of a directory that no evlogd runs on, then exit\n"
          "  --repair indexes the same, and remove those that are damaged: the next start makes them anew\n"
          "  --version        show the version, then exit\n"
          "  --help           show this text, then exit\n\n"
          "A flag wins over the environment (EVLOG_SECTION__KEY, dots as underscores), that over the file, that over\n"
          "the default in parentheses. SIGHUP reads everything again.\n",
          out);
    for (int i = 0; i < CONFIG_SETTING_COUNT; i++) {
        if (section_begins(i)) {
            fprintf(out, "\n[%s]\n", setting_at((enum config_setting_id)i)->section);
        }
        print_help_setting((enum config_setting_id)i, false, out);
        if (section_ends(i) && strcmp(setting_at((enum config_setting_id)i)->section, LISTENER_SETTING_SECTION) == 0) {
            print_help_listeners(out);
        }
    }
    fputs("\nDefaults of topics, also in [" CONFIG_TOPIC_SECTION "]:\n", out);
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        topic_config_describe(NULL, NULL, (enum topic_setting_id)id, &entry);
        if (entry.setting->behaviour == OVERRIDE_HONOURED) {
            fprintf(out, "  %s=VALUE  (%s)\n", setting_flag_name(entry.setting->name, flag, sizeof flag), entry.value);
            print_wrapped(entry.setting->doc, HELP_INDENT, out);
        }
    }
}
