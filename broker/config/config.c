/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading evlogd's configuration. Start-up's thread, before any shard runs, and again on SIGHUP.
 *
 * 1. Flags are walked once for --config, --help and their like, and for their syntax.
 * 2. Defaults are parsed from the table by the same code as everything else.
 * 3. The file, then the environment, then the flags are laid over them, and last what requests have set while evlogd
 *    ran; each value remembers where it came from.
 * 4. Values are checked against each other (config_check.c).
 *
 * What can fail: anything a person wrote. The first fault ends it with a text that names flag, variable or
 * file:line:column; a key that does not exist is answered with the nearest that does.
 * Invariant: a struct config that was returned with 0 has passed every check.
 */
#include <config/broker_name.h>
#include <config/config.h>
#include <config/config_check.h>
#include <config/config_request.h>
#include <config/config_target.h>
#include <config/ini.h>
#include <config/listener_settings.h>
#include <config/machine.h>
#include <config/setting.h>
#include <config/value.h>
#include <core/alloc.h>
#include <core/assert.h>
#include <core/logger.h>

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#define NAME_TEXT_MAX CONFIG_NAME_MAX
#define MEMORY_AUTO_MAX ((uint64_t)1 << 30) /* memory.max when it is 0 */

static bool target_has_key(int target, struct el_slice key)
{
    return el_slice_eq(key, el_slice_str(config_target_key(target))) ||
           (config_target_is_topic(target) && el_slice_eq(key, el_slice_str(config_target_other_name(target))));
}

static bool target_is_bool(int target)
{
    return config_target_is_topic(target) ? topic_setting(config_target_topic(target))->type == OVERRIDE_BOOLEAN
                                          : setting_at((enum config_setting_id)target)->kind == SETTING_BOOL;
}

/* Settings of topics are plain numbers to Kafka's tools; in evlogd's own configuration they may have units. */
static int assign_topic(struct config *cfg, enum topic_setting_id id, struct el_slice value, struct el_error *err)
{
    const char *name = topic_setting(id)->name;
    char digits[24];
    int64_t number = 0;
    bool has_unit = (value_ends_with(name, ".ms") && setting_duration(value, &number)) ||
                    (value_ends_with(name, ".bytes") && setting_size(value, &number));
    if (has_unit) {
        snprintf(digits, sizeof digits, "%" PRId64, number);
        value = el_slice_str(digits);
    }
    struct topic_config with = cfg->topic_defaults;
    int error = topic_config_set(&with, el_slice_str(name), value, err);
    if (error == 0 && topic_setting_is_own(id) &&
        topic_config_int(&with, NULL, id) != topic_setting(id)->default_value) {
        error = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                             "%s has no default for all topics: it is set when a topic is made, and stays", name);
    }
    if (error == 0) {
        cfg->topic_defaults = with;
    }
    return error;
}

static int assign(struct config *cfg, int target, struct el_slice value, struct config_origin origin,
                  struct el_error *err)
{
    EL_ASSERT(target >= 0 && target < CONFIG_TARGET_COUNT);
    int result = config_target_is_topic(target) ? assign_topic(cfg, config_target_topic(target), value, err)
                                                : setting_parse(cfg, (enum config_setting_id)target, value, err);
    if (result == 0) {
        *config_target_origin(cfg, target) = origin;
    }
    return result;
}

static void load_defaults(struct config *cfg)
{
    memset(cfg, 0, sizeof *cfg);
    topic_config_init(&cfg->topic_defaults);
    for (int id = 0; id < CONFIG_SETTING_COUNT; id++) {
        struct el_slice value = el_slice_str(setting_at((enum config_setting_id)id)->default_text);
        int result = setting_parse(cfg, (enum config_setting_id)id, value, NULL);
        EL_ASSERT(result == 0);
    }
}

/* --- file -------------------------------------------------------------------------------------------------------- */

static bool section_exists(struct el_slice section)
{
    for (int target = 0; target < CONFIG_TARGET_COUNT; target++) {
        if (el_slice_eq(section, el_slice_str(config_target_section(target)))) {
            return true;
        }
    }
    return false;
}

/* A file that is being read. */
struct walk {
    struct config *cfg;
    const char *path;
    enum config_origin_kind kind;
};

static const char *request_refusal(int target)
{
    return config_target_is_topic(target) ? NULL : config_request_refusal((enum config_setting_id)target);
}

static int refuse_section(const struct walk *walk, const struct ini_entry *entry, struct el_error *err)
{
    const char *words[CONFIG_TARGET_COUNT];
    char hint[96];
    for (int target = 0; target < CONFIG_TARGET_COUNT; target++) {
        words[target] = config_target_section(target);
    }
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s:%u:1: unknown section [%.*s]%s", walk->path,
                        entry->section_line, value_shown_len(entry->section), (const char *)entry->section.data,
                        value_nearest_text(entry->section, words, CONFIG_TARGET_COUNT, hint, sizeof hint));
}

static int refuse_key(const struct walk *walk, const struct ini_entry *entry, struct el_error *err)
{
    const char *words[CONFIG_TARGET_COUNT], *elsewhere = NULL;
    char hint[96];
    for (int target = 0; target < CONFIG_TARGET_COUNT; target++) {
        bool same_section = el_slice_eq(entry->section, el_slice_str(config_target_section(target)));
        words[target] = same_section ? config_target_key(target) : NULL;
        if (!same_section && el_slice_eq(entry->key, el_slice_str(config_target_key(target)))) {
            elsewhere = config_target_section(target);
        }
    }
    if (elsewhere != NULL) {
        snprintf(hint, sizeof hint, "; it belongs into [%s]", elsewhere);
    } else {
        value_nearest_text(entry->key, words, CONFIG_TARGET_COUNT, hint, sizeof hint);
    }
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s:%u:%u: unknown key '%.*s' in [%.*s]%s", walk->path,
                        entry->line, entry->key_column, value_shown_len(entry->key), (const char *)entry->key.data,
                        value_shown_len(entry->section), (const char *)entry->section.data, hint);
}

/* A setting of one listener. */
static int on_listener_entry(const struct walk *walk, const struct ini_entry *entry, struct config_origin origin,
                             struct el_error *err)
{
    struct listener_place place;
    if (!el_slice_eq(entry->section, el_slice_str(LISTENER_SETTING_SECTION))) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "%s:%u:%u: unknown key '%.*s' in [%.*s]; it belongs into [" LISTENER_SETTING_SECTION "]",
                            walk->path, entry->line, entry->key_column, value_shown_len(entry->key),
                            (const char *)entry->key.data, value_shown_len(entry->section),
                            (const char *)entry->section.data);
    }
    int error = listener_setting_find(LISTENER_KEY, entry->key, &place, err);
    if (error != 0) {
        el_error_wrap(err, "%s:%u:%u", walk->path, entry->line, entry->key_column);
        return error;
    }
    if (walk->kind == CONFIG_FROM_REQUEST) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s:%u:%u: '%.*s' cannot stand in this file: %s", walk->path,
                            entry->line, entry->key_column, value_shown_len(entry->key), (const char *)entry->key.data,
                            LISTENER_SETTING_REFUSAL);
    }
    const struct listener_value *before = listener_setting_own(walk->cfg, place.listener, place.id);
    if (before != NULL && before->origin.kind == walk->kind) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s:%u:%u: '%.*s' was set already in line %u", walk->path,
                            entry->line, entry->key_column, value_shown_len(entry->key), (const char *)entry->key.data,
                            before->origin.line);
    }
    error = listener_setting_assign(walk->cfg, &place, entry->value, origin, err);
    if (error != 0) {
        el_error_wrap(err, "%s:%u:%u", walk->path, entry->line, entry->value_column);
    }
    return error;
}

static int on_entry(void *arg, const struct ini_entry *entry, struct el_error *err)
{
    const struct walk *walk = arg;
    struct config *cfg = walk->cfg;
    struct config_origin origin = {.kind = walk->kind, .line = entry->line, .column = entry->value_column};
    if (!section_exists(entry->section)) {
        return refuse_section(walk, entry, err);
    }
    if (listener_setting_is(LISTENER_KEY, entry->key)) {
        return on_listener_entry(walk, entry, origin, err);
    }
    for (int target = 0; target < CONFIG_TARGET_COUNT; target++) {
        if (!el_slice_eq(entry->section, el_slice_str(config_target_section(target))) ||
            !target_has_key(target, entry->key)) {
            continue;
        }
        if (config_target_origin(cfg, target)->kind == walk->kind) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s:%u:%u: '%s' was set already in line %u", walk->path,
                                entry->line, entry->key_column, config_target_key(target),
                                config_target_origin(cfg, target)->line);
        }
        const char *refusal = walk->kind == CONFIG_FROM_REQUEST ? request_refusal(target) : NULL;
        if (refusal != NULL) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s:%u:%u: '%s' cannot stand in this file: %s",
                                walk->path, entry->line, entry->key_column, config_target_key(target), refusal);
        }
        int result = assign(cfg, target, entry->value, origin, err);
        if (result != 0) {
            el_error_wrap(err, "%s:%u:%u", walk->path, entry->line, entry->value_column);
        }
        return result;
    }
    return refuse_key(walk, entry, err);
}

static int read_file(const char *path, uint8_t *data, size_t *len, struct el_error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        int saved = errno;
        return el_error_set(err, el_error_from_errno(saved), "configuration file %s: %s", path, strerror(saved));
    }
    *len = fread(data, 1, CONFIG_FILE_MAX + 1, file);
    int saved = errno;
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed) {
        return el_error_set(err, el_error_from_errno(saved), "configuration file %s: %s", path, strerror(saved));
    }
    if (*len > CONFIG_FILE_MAX) {
        return el_error_set(err, EVLOG_ERR_LIMIT, "configuration file %s is over %u bytes long", path, CONFIG_FILE_MAX);
    }
    return 0;
}

/* absent: not an error when the file is not there, nor, for who only looks at settings, when it is not his to read */
static int load_path(const struct walk *walk, bool absent, struct el_error *err)
{
    size_t len = 0;
    uint8_t *data = el_malloc(CONFIG_FILE_MAX + 1);
    if (data == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to read the configuration file");
    }
    bool looks = walk->cfg->action >= CONFIG_CHECK;
    bool passed = absent && access(walk->path, R_OK) != 0 &&
                  (errno == ENOENT || errno == ENOTDIR || (looks && errno == EACCES));
    int result = passed ? 0 : read_file(walk->path, data, &len, err);
    if (result == 0) {
        result = ini_parse(walk->path, data, len, on_entry, (void *)(uintptr_t)walk, err);
    }
    el_free(data);
    return result;
}

static int load_file(struct config *cfg, struct el_error *err)
{
    const struct walk walk = {.cfg = cfg, .path = cfg->path, .kind = CONFIG_FROM_FILE};
    return cfg->path[0] == 0 ? 0 : load_path(&walk, false, err);
}

/* What requests have set: text, or when it is NULL the file in the data directory. */
static int load_requested(struct config *cfg, const struct el_slice *text, struct el_error *err)
{
    char path[CONFIG_PATH_MAX + sizeof CONFIG_REQUEST_FILE];
    const struct walk walk = {.cfg = cfg, .path = path, .kind = CONFIG_FROM_REQUEST};
    if (text == NULL && cfg->data[0] == 0) {
        return 0;
    }
    snprintf(path, sizeof path, "%s%s" CONFIG_REQUEST_FILE, cfg->data, cfg->data[0] == 0 ? "" : "/");
    return text == NULL ? load_path(&walk, true, err)
                        : ini_parse(path, text->data, text->len, on_entry, (void *)(uintptr_t)&walk, err);
}

/* --- environment ------------------------------------------------------------------------------------------------- */

/* EVLOG_<SECTION>__... with a section that settings of evlogd have? */
static bool is_own_section(struct el_slice name)
{
    char known[NAME_TEXT_MAX];
    for (int target = 0; target < CONFIG_TARGET_COUNT; target++) {
        setting_variable_name(config_target_section(target), "", known, sizeof known);
        if (name.len >= strlen(known) && memcmp(name.data, known, strlen(known)) == 0) {
            return true;
        }
    }
    return false;
}

/* Who uses the command line in the same shell has variables of its settings: EVLOG_BOOTSTRAP__SERVERS. They are passed
 * over, slips of the pen are not. */
static int unknown_variable(struct el_slice name, struct el_error *err)
{
    const char *words[CONFIG_TARGET_COUNT];
    char hint[96], known[CONFIG_TARGET_COUNT][NAME_TEXT_MAX];
    for (int target = 0; target < CONFIG_TARGET_COUNT; target++) {
        words[target] = setting_variable_name(config_target_section(target), config_target_key(target), known[target],
                                              NAME_TEXT_MAX);
    }
    value_nearest_text(name, words, CONFIG_TARGET_COUNT, hint, sizeof hint);
    if (hint[0] == 0 && !is_own_section(name)) {
        return 0;
    }
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "environment: unknown variable %.*s%s", value_shown_len(name),
                        (const char *)name.data, hint);
}

/* other: it has the target's other name */
static bool is_variable(int target, struct el_slice name, bool *other)
{
    char known[NAME_TEXT_MAX];
    setting_variable_name(config_target_section(target), config_target_key(target), known, sizeof known);
    *other = !el_slice_eq(name, el_slice_str(known));
    if (!*other) {
        return true;
    }
    setting_variable_name(config_target_section(target), config_target_other_name(target), known, sizeof known);
    return config_target_is_topic(target) && el_slice_eq(name, el_slice_str(known));
}

static int load_listener_variable(struct config *cfg, struct el_slice name, struct el_slice value, struct el_error *err)
{
    struct listener_place place;
    int error = listener_setting_find(LISTENER_VARIABLE, name, &place, err);
    if (error != 0) {
        el_error_wrap(err, "environment");
        return error;
    }
    error = listener_setting_assign(cfg, &place, value, (struct config_origin){.kind = CONFIG_FROM_ENVIRONMENT}, err);
    if (error != 0) {
        el_error_wrap(err, "environment variable %.*s", (int)name.len, (const char *)name.data);
    }
    return error;
}

static int load_variable(struct config *cfg, struct el_slice name, struct el_slice value, struct el_error *err)
{
    struct config_origin origin = {.kind = CONFIG_FROM_ENVIRONMENT};
    if (listener_setting_is(LISTENER_VARIABLE, name)) {
        return load_listener_variable(cfg, name, value, err);
    }
    for (int target = 0; target < CONFIG_TARGET_COUNT; target++) {
        if (is_variable(target, name, &origin.other_name)) {
            int result = assign(cfg, target, value, origin, err);
            if (result != 0) {
                el_error_wrap(err, "environment variable %.*s", (int)name.len, (const char *)name.data);
            }
            return result;
        }
    }
    return unknown_variable(name, err);
}

/* Variables of evlogd's settings have two underscores after the section. */
static int load_environment(struct config *cfg, char *const *env, struct el_error *err)
{
    for (; env != NULL && *env != NULL; env++) {
        const char *equals = strchr(*env, '=');
        const char *twice = strstr(*env, "__");
        if (strncmp(*env, "EVLOG_", 6) != 0 || equals == NULL || twice == NULL || twice > equals) {
            continue;
        }
        int result = load_variable(cfg, el_slice_of(*env, (size_t)(equals - *env)), el_slice_str(equals + 1), err);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/* --- flags ------------------------------------------------------------------------------------------------------- */

/* Flags that are no settings. */
static const struct {
    const char *name;
    enum config_action action;
} action_flags[] = {
    {"--check-config", CONFIG_CHECK}, {"--print-config", CONFIG_PRINT}, {"--help", CONFIG_HELP}, {"-h", CONFIG_HELP},
    {"--version", CONFIG_VERSION},    {"--init-config", CONFIG_INIT},
};
#define ACTION_FLAG_COUNT (sizeof action_flags / sizeof action_flags[0])

static int refuse_flag(struct el_slice name, struct el_error *err)
{
    const char *words[CONFIG_TARGET_COUNT + ACTION_FLAG_COUNT + 3];
    char hint[96], known[CONFIG_TARGET_COUNT][NAME_TEXT_MAX];
    size_t count = 0;
    if (name.len == 0 || name.data[0] != '-') {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "unexpected argument '%.*s': settings are given as --name=value", value_shown_len(name),
                            (const char *)name.data);
    }
    words[count++] = "--config";
    words[count++] = "--repair";
    words[count++] = "--explain";
    for (size_t i = 0; i < ACTION_FLAG_COUNT; i++) {
        words[count++] = action_flags[i].name;
    }
    for (int target = 0; target < CONFIG_TARGET_COUNT; target++) {
        words[count++] = setting_flag_name(config_target_name(target), known[target], NAME_TEXT_MAX);
    }
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "unknown flag %.*s%s (evlogd --help lists all)",
                        value_shown_len(name), (const char *)name.data,
                        value_nearest_text(name, words, count, hint, sizeof hint));
}

/* other: it has the target's other name. returns the target, -1: there is none */
static int find_flag(struct el_slice name, bool *other)
{
    char known[NAME_TEXT_MAX];
    for (int target = 0; target < CONFIG_TARGET_COUNT; target++) {
        *other = !el_slice_eq(name, el_slice_str(setting_flag_name(config_target_name(target), known, sizeof known)));
        if (!*other ||
            el_slice_eq(name, el_slice_str(setting_flag_name(config_target_other_name(target), known, sizeof known)))) {
            return target;
        }
    }
    return -1;
}

static int set_path(struct config *cfg, struct el_slice value, struct el_error *err)
{
    if (value.len == 0 || value.len >= sizeof cfg->path) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "it needs the path of a file, at most %d bytes",
                            CONFIG_PATH_MAX - 1);
    }
    memcpy(cfg->path, value.data, value.len);
    cfg->path[value.len] = 0;
    return 0;
}

/* --help wins over --version, that over --init-config, --explain, --print-config and --check-config in this order. */
static bool take_action(struct config *cfg, struct el_slice name)
{
    for (size_t i = 0; i < ACTION_FLAG_COUNT; i++) {
        if (el_slice_eq(name, el_slice_str(action_flags[i].name))) {
            bool help_taken = cfg->action == CONFIG_HELP;
            bool wins = action_flags[i].action == CONFIG_HELP || action_flags[i].action > cfg->action;
            cfg->action = wins && !help_taken ? action_flags[i].action : cfg->action;
            return true;
        }
    }
    return false;
}

/* --repair: what it is to do follows it. */
static int take_repair(struct config *cfg, const char *what, struct el_error *err)
{
    bool check = what != NULL && strcmp(what, "--check") == 0;
    if (!check && (what == NULL || strcmp(what, "indexes") != 0)) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "--repair needs a word more: `--repair --check` looks for damage, `--repair indexes` "
                            "removes damaged indexes");
    }
    cfg->action = EL_MAX(cfg->action, check ? CONFIG_REPAIR_CHECK : CONFIG_REPAIR_INDEXES);
    return 0;
}

/* --explain: the setting's name follows it. */
static int take_explain(struct config *cfg, const char *name, struct el_error *err)
{
    if (name == NULL || name[0] == 0 || strlen(name) >= sizeof cfg->explained) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "--explain needs the name of a setting");
    }
    snprintf(cfg->explained, sizeof cfg->explained, "%s", name);
    cfg->action = EL_MAX(cfg->action, CONFIG_EXPLAIN);
    return 0;
}

/* What a flag is about. */
struct flag {
    struct el_slice name;
    int target;                     /* -1: no setting of evlogd or of topics */
    struct listener_place listener; /* a setting of one listener */
    bool is_path;                   /* --config */
    bool is_bool, other_name;
};

static int find_flag_of(struct el_slice name, struct flag *flag, struct el_error *err)
{
    *flag = (struct flag){.name = name, .target = -1};
    flag->is_path = el_slice_eq(name, el_slice_str("--config"));
    if (flag->is_path) {
        return 0;
    }
    if (listener_setting_is(LISTENER_FLAG, name)) {
        return listener_setting_find(LISTENER_FLAG, name, &flag->listener, err);
    }
    flag->target = find_flag(name, &flag->other_name);
    flag->is_bool = flag->target >= 0 && target_is_bool(flag->target);
    return flag->target >= 0 ? 0 : refuse_flag(name, err);
}

static int take_flag(struct config *cfg, const struct flag *flag, struct el_slice value, bool settings_wanted,
                     struct el_error *err)
{
    const struct config_origin origin = {.kind = CONFIG_FROM_FLAG, .other_name = flag->other_name};
    int result = 0;
    if (flag->is_path) {
        result = settings_wanted ? 0 : set_path(cfg, value, err);
    } else if (settings_wanted && flag->target >= 0) {
        result = assign(cfg, flag->target, value, origin, err);
    } else if (settings_wanted) {
        result = listener_setting_assign(cfg, &flag->listener, value, origin, err);
    }
    if (result != 0) {
        el_error_wrap(err, "flag %.*s", (int)flag->name.len, (const char *)flag->name.data);
    }
    return result;
}

/* Walk the flags. settings_wanted false: take what is no setting, and check the syntax; true: take the settings. */
static int walk_flags(struct config *cfg, int argc, char *const *argv, bool settings_wanted, struct el_error *err)
{
    struct flag flag;
    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        struct el_slice name = el_slice_of(argv[i], equals == NULL ? strlen(argv[i]) : (size_t)(equals - argv[i]));
        if (equals == NULL && take_action(cfg, name)) {
            continue;
        }
        bool repairs = el_slice_eq(name, el_slice_str("--repair"));
        if (repairs || el_slice_eq(name, el_slice_str("--explain"))) {
            const char *word = equals != NULL ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
            int result = repairs ? take_repair(cfg, word, err) : take_explain(cfg, word, err);
            if (result != 0) {
                return result;
            }
            continue;
        }
        int result = find_flag_of(name, &flag, err);
        if (result != 0) {
            return result;
        }
        if (equals == NULL && !flag.is_bool && i + 1 == argc) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s needs a value", argv[i]);
        }
        const char *value = equals != NULL ? equals + 1 : flag.is_bool ? "true" : argv[++i];
        result = take_flag(cfg, &flag, el_slice_str(value), settings_wanted, err);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/* --- load and reload --------------------------------------------------------------------------------------------- */

int config_load_requested(struct config *cfg, const struct config_sources *from, const struct el_slice *requested,
                          struct el_error *err)
{
    int argc = from->argc;
    char *const *argv = from->argv, *const *env = from->environ;
    load_defaults(cfg);
    int result = walk_flags(cfg, argc, argv, false, err);
    if (result != 0 || cfg->action == CONFIG_HELP || cfg->action == CONFIG_VERSION) {
        return result;
    }
    result = load_file(cfg, err);
    if (result == 0) {
        result = load_environment(cfg, env, err);
    }
    if (result == 0) {
        result = walk_flags(cfg, argc, argv, true, err);
    }
    if (result == 0) {
        result = load_requested(cfg, requested, err);
    }
    return result != 0 ? result : config_check(cfg, err);
}

int config_load(struct config *cfg, int argc, char *const *argv, char *const *env, struct el_error *err)
{
    return config_load_requested(cfg, &(struct config_sources){argc, argv, env}, NULL, err);
}

int config_reload(struct config *cfg, int argc, char *const *argv, char *const *env, struct el_error *err)
{
    return config_reload_requested(cfg, &(struct config_sources){argc, argv, env}, NULL, err);
}

int config_reload_requested(struct config *cfg, const struct config_sources *from, const struct el_slice *requested,
                            struct el_error *err)
{
    char waiting[EL_ERROR_TEXT_MAX] = "";
    struct config *fresh = el_malloc(sizeof *fresh);
    if (fresh == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to read the configuration");
    }
    int result = config_load_requested(fresh, from, requested, err);
    if (result == 0) {
        result = listener_settings_reload(cfg, fresh, waiting, sizeof waiting, err);
    }
    size_t used = strlen(waiting);
    for (int i = 0; i < CONFIG_SETTING_COUNT && result == 0; i++) {
        enum config_setting_id id = (enum config_setting_id)i;
        if (setting_at(id)->reload) {
            setting_copy(cfg, fresh, id);
            cfg->origin[i] = fresh->origin[i];
        } else if (!setting_equal(cfg, fresh, id) && used < sizeof waiting) {
            used += (size_t)snprintf(waiting + used, sizeof waiting - used, "%s%s", used == 0 ? "" : ", ",
                                     setting_at(id)->name);
        }
    }
    if (result == 0) {
        cfg->listener_values = fresh->listener_values;
        cfg->topic_defaults = fresh->topic_defaults;
        memcpy(cfg->topic_origin, fresh->topic_origin, sizeof cfg->topic_origin);
        if (waiting[0] != 0) {
            el_log(EL_LOG_WARN, "config", "changed, but in effect only after a restart: %s", waiting);
        }
    }
    el_free(fresh);
    return result;
}

uint32_t config_shard_count(const struct config *cfg)
{
    uint32_t count = cfg->shards != 0 ? (uint32_t)cfg->shards : machine_cpu_count();
    return EL_MIN(count, (uint32_t)EL_SHARD_COUNT_MAX);
}

uint64_t config_memory_max(const struct config *cfg)
{
    uint64_t quarter = machine_memory_len() / 4;
    uint64_t chosen = EL_MAX(EL_MIN(quarter, MEMORY_AUTO_MAX), CONFIG_MEMORY_MIN);
    return cfg->memory_max != 0 ? (uint64_t)cfg->memory_max : chosen;
}

uint64_t config_group_memory_max(const struct config *cfg)
{
    return cfg->group_memory_max != 0 ? (uint64_t)cfg->group_memory_max : config_memory_max(cfg) / 8;
}

uint64_t config_archive_memory_max(const struct config *cfg)
{
    return cfg->archive_memory_max != 0 ? (uint64_t)cfg->archive_memory_max : config_memory_max(cfg) / 8;
}

uint64_t config_stream_memory_max(const struct config *cfg)
{
    return cfg->stream_memory_max != 0 ? (uint64_t)cfg->stream_memory_max : config_memory_max(cfg) / 8;
}
