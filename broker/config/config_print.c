/* SPDX-License-Identifier: Apache-2.0
 *
 * --print-config and --help. What config_print() writes is a configuration file that gives the same values again.
 */
#include <config/config.h>
#include <config/setting.h>
#include <config/value.h>

#include <inttypes.h>

#define TOPIC_SECTION "topics"
#define COMMENT_COLUMN 52
#define HELP_COLUMNS 100

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
        if (section_ends(i) && strcmp(row->section, TOPIC_SECTION) == 0) {
            print_topic_settings(cfg, out);
        }
    }
}

/* --- help -------------------------------------------------------------------------------------------------------- */

/* Words of text, wrapped at HELP_COLUMNS and indented. */
static void print_wrapped(const char *text, int indent, FILE *out)
{
    int column = 0;
    while (*text != 0) {
        int len = (int)strcspn(text, " ");
        if (column != 0 && column + 1 + len > HELP_COLUMNS) {
            fputc('\n', out);
            column = 0;
        }
        if (column == 0) {
            fprintf(out, "%*s", indent, "");
            column = indent;
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

static void print_help_setting(enum config_setting_id id, FILE *out)
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
    fprintf(out, "  %s=%s%s", setting_flag_name(row->name, flag, sizeof flag), choice ? row->choices : forms[row->kind],
            off);
    fprintf(out, row->default_text[0] != 0 ? "  (%s)\n" : "\n", row->default_text);
    print_wrapped(row->doc, 6, out);
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
        print_help_setting((enum config_setting_id)i, out);
    }
    fputs("\nDefaults of topics, also in [" TOPIC_SECTION "]:\n", out);
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        topic_config_describe(NULL, NULL, (enum topic_setting_id)id, &entry);
        if (entry.setting->behaviour == OVERRIDE_HONOURED) {
            fprintf(out, "  %s=VALUE  (%s)\n", setting_flag_name(entry.setting->name, flag, sizeof flag), entry.value);
            print_wrapped(entry.setting->doc, 6, out);
        }
    }
}
