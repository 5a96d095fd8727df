/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of one listener.
 *
 *   1. config.c finds a name that begins as one: listener_setting_find() takes it apart into a listener and a setting
 *   2. listener_setting_assign() keeps the value in place of one from a weaker source
 *   3. when the table of listeners is made, listener_settings_check() looks whether each changes anything
 *   4. who needs a value in force asks by listener: its own row, else the setting of all
 *
 * What can fail: what a person wrote. A setting that would change nothing is refused, for whoever wrote it believes
 * that it does: a certificate asked for where there is no TLS.
 *
 * A variable has underscores where a name may have dashes: LISTENER_NAME_OUT_SIDE is of OUT-SIDE when there is no
 * OUT_SIDE.
 *
 * Invariants: a row for each listener and setting at most; texts lie one behind the other without gaps.
 */
#include <config/config_check.h>
#include <config/config_target.h>
#include <config/listener_settings.h>
#include <config/principals.h>
#include <config/setting.h>
#include <config/value.h>
#include <core/assert.h>
#include <core/tls.h>

#include <ctype.h>

enum need { NEED_TLS, NEED_NAMES, NEED_SASL };

static const struct own {
    enum config_setting_id id;
    enum need need;
} owns[] = {
#define LISTENER_SETTING(member, need_) {CONFIG_##member, NEED_##need_},
#include <config/listener_settings.def>
#undef LISTENER_SETTING
};
#define OWN_COUNT (sizeof owns / sizeof owns[0])

EL_STATIC_ASSERT(OWN_COUNT * 2 * CONFIG_LISTENERS_MAX <= LISTENER_VALUES_MAX,
                 "a reload keeps those of closed listeners beside those of new ones");

bool listener_setting_at(uint32_t index, enum config_setting_id *id)
{
    if (index < OWN_COUNT) {
        *id = owns[index].id;
    }
    return index < OWN_COUNT;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *prefix;
    char separator;
} forms[] = {
    [LISTENER_KEY] = {"listener.name.", '.'},
    [LISTENER_FLAG] = {"--listener-name-", '-'},
    [LISTENER_VARIABLE] = {"EVLOG_NETWORK__LISTENER_NAME_", '_'},
};

/* The name of a setting in a form. */
static const char *in_form(enum listener_form form, enum config_setting_id id, char text[CONFIG_NAME_MAX])
{
    snprintf(text, CONFIG_NAME_MAX, "%s", setting_at(id)->name);
    for (char *p = text; *p != 0; p++) {
        *p = *p == '.' ? forms[form].separator : form == LISTENER_VARIABLE ? (char)toupper((unsigned char)*p) : *p;
    }
    return text;
}

bool listener_setting_is(enum listener_form form, struct el_slice name)
{
    size_t len = strlen(forms[form].prefix);
    return name.len >= len && memcmp(name.data, forms[form].prefix, len) == 0;
}

static struct el_slice without_prefix(enum listener_form form, struct el_slice name)
{
    size_t len = strlen(forms[form].prefix);
    return el_slice_of(name.data + len, name.len - len);
}

/* Is it NAME, a separator, and that setting? */
static bool ends_with(enum listener_form form, struct el_slice rest, enum config_setting_id id,
                      struct listener_place *place)
{
    char word[CONFIG_NAME_MAX], name[CONFIG_LISTENER_NAME_MAX];
    size_t len = strlen(in_form(form, id, word));
    if (rest.len < len + 2 || memcmp(rest.data + rest.len - len, word, len) != 0 ||
        rest.data[rest.len - len - 1] != (uint8_t)forms[form].separator) {
        return false;
    }
    struct el_slice listener = el_slice_of(rest.data, rest.len - len - 1);
    if (!config_listener_name(listener, name)) {
        return false;
    }
    *place = (struct listener_place){listener, id};
    return true;
}

/* Where the listener's name ends nobody can tell who does not know the setting: every end is tried. */
static const char *nearest(enum listener_form form, struct el_slice rest, char *hint, size_t hint_max)
{
    char known[OWN_COUNT][CONFIG_NAME_MAX];
    const char *words[OWN_COUNT];
    for (size_t i = 0; i < OWN_COUNT; i++) {
        words[i] = in_form(form, owns[i].id, known[i]);
    }
    hint[0] = 0;
    for (size_t i = 1; i + 1 < rest.len && hint[0] == 0; i++) {
        if (rest.data[i] == (uint8_t)forms[form].separator) {
            value_nearest_text(el_slice_of(rest.data + i + 1, rest.len - i - 1), words, OWN_COUNT, hint, hint_max);
        }
    }
    return hint;
}

static int refuse_name(enum listener_form form, struct el_slice name, struct el_error *err)
{
    char hint[CONFIG_NAME_MAX + 32], list[OWN_COUNT * 32] = "", word[CONFIG_NAME_MAX];
    size_t used = 0;
    for (size_t i = 0; i < OWN_COUNT && used < sizeof list; i++) {
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ",
                                 in_form(form, owns[i].id, word));
    }
    nearest(form, without_prefix(form, name), hint, sizeof hint);
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                        "%.*s: a listener has no such setting for itself%s; it may have %s", value_shown_len(name),
                        (const char *)name.data, hint, list);
}

int listener_setting_find(enum listener_form form, struct el_slice name, struct listener_place *place,
                          struct el_error *err)
{
    EL_ASSERT(listener_setting_is(form, name));
    struct el_slice rest = without_prefix(form, name);
    struct listener_place common;
    for (size_t i = 0; i < OWN_COUNT; i++) {
        if (ends_with(form, rest, owns[i].id, place)) {
            return 0;
        }
    }
    for (int id = 0; id < CONFIG_SETTING_COUNT; id++) {
        if (ends_with(form, rest, (enum config_setting_id)id, &common)) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%.*s: all listeners have one %s, set by that name",
                                value_shown_len(name), (const char *)name.data,
                                setting_at((enum config_setting_id)id)->name);
        }
    }
    return refuse_name(form, name, err);
}

const char *listener_value_name(const struct listener_value *value, char *text, size_t text_max)
{
    size_t len = strlen(forms[LISTENER_KEY].prefix);
    snprintf(text, text_max, "%s%s.%s", forms[LISTENER_KEY].prefix, value->listener, setting_at(value->id)->name);
    for (size_t i = len; i < text_max && text[i] != 0; i++) {
        text[i] = (char)tolower((unsigned char)text[i]);
    }
    return text;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

const char *listener_value_text(const struct config *cfg, const struct listener_value *value)
{
    EL_ASSERT(value->text_pos < cfg->listener_values.texts_len);
    return cfg->listener_values.texts + value->text_pos;
}

static struct listener_value *find(struct listener_values *values, const char *listener, enum config_setting_id id)
{
    for (uint32_t i = 0; i < values->count; i++) {
        if (values->list[i].id == id && strcmp(values->list[i].listener, listener) == 0) {
            return &values->list[i];
        }
    }
    return NULL;
}

static void drop(struct listener_values *values, struct listener_value *value)
{
    uint32_t pos = value->text_pos, len = (uint32_t)strlen(values->texts + pos) + 1;
    EL_ASSERT(pos + len <= values->texts_len);
    memmove(values->texts + pos, values->texts + pos + len, values->texts_len - pos - len);
    values->texts_len -= len;
    size_t behind = (size_t)(values->list + values->count - value) - 1;
    memmove(value, value + 1, behind * sizeof *value);
    values->count--;
    for (uint32_t i = 0; i < values->count; i++) {
        values->list[i].text_pos -= values->list[i].text_pos > pos ? len : 0;
    }
}

static bool fits(const struct listener_values *values, size_t len, uint32_t count_max, uint32_t texts_max)
{
    return values->count < count_max && values->texts_len + len + 1 <= texts_max;
}

static void add(struct listener_values *values, const struct listener_value *value, struct el_slice text)
{
    EL_ASSERT(fits(values, text.len, LISTENER_VALUES_MAX, sizeof values->texts));
    struct listener_value *made = &values->list[values->count++];
    *made = *value;
    made->text_pos = values->texts_len;
    if (text.len > 0) {
        memcpy(values->texts + made->text_pos, text.data, text.len);
    }
    values->texts[made->text_pos + text.len] = 0;
    values->texts_len += (uint32_t)text.len + 1;
}

int listener_setting_assign(struct config *cfg, const struct listener_place *place, struct el_slice value,
                            struct config_origin origin, struct el_error *err)
{
    struct listener_values *values = &cfg->listener_values;
    struct listener_value made = {.id = place->id, .origin = origin};
    bool named = config_listener_name(place->listener, made.listener);
    EL_ASSERT(named);
    int error = setting_check(place->id, value, err);
    if (error != 0) {
        el_error_wrap(err, "listener %s", made.listener);
        return error;
    }
    struct el_slice text = value_trim(value);
    struct listener_value *before = find(values, made.listener, made.id);
    if (before != NULL) {
        drop(values, before);
    }
    if (!fits(values, text.len, LISTENER_VALUES_MAX / 2, LISTENER_TEXTS_READ_MAX)) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "settings of single listeners: at most %u, of %u bytes together: evlogd has at most %d "
                            "listeners",
                            LISTENER_VALUES_MAX / 2, LISTENER_TEXTS_READ_MAX, CONFIG_LISTENERS_MAX);
    }
    add(values, &made, text);
    return 0;
}

const struct listener_value *listener_setting_own(const struct config *cfg, struct el_slice listener,
                                                  enum config_setting_id id)
{
    char name[CONFIG_LISTENER_NAME_MAX];
    struct listener_values *values = (struct listener_values *)(uintptr_t)&cfg->listener_values;
    return config_listener_name(listener, name) ? find(values, name, id) : NULL;
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static bool same_variable(const char *a, const char *b)
{
    for (; *a != 0 && *b != 0; a++, b++) {
        if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b)) {
            return false;
        }
    }
    return *a == *b;
}

/* A value of the environment gets the name of the listener that it is of, and the weaker one of two goes. */
static void settle_variable(struct config *cfg, struct listener_value *value)
{
    const struct config_listeners *table = &cfg->listener_table;
    if (value->origin.kind != CONFIG_FROM_ENVIRONMENT ||
        config_listener_find(table, el_slice_str(value->listener)) != NULL) {
        return;
    }
    for (uint32_t i = 0; i < table->count; i++) {
        const char *name = table->list[i].name;
        if (!same_variable(name, value->listener)) {
            continue;
        }
        struct listener_value *other = find(&cfg->listener_values, name, value->id);
        bool stronger = other != NULL && other->origin.kind > CONFIG_FROM_ENVIRONMENT;
        if (!stronger) {
            memcpy(value->listener, name, CONFIG_LISTENER_NAME_MAX);
        }
        if (other != NULL) {
            drop(&cfg->listener_values, stronger ? value : other);
        }
        return;
    }
}

int listener_setting_refuse(const struct config *cfg, struct el_slice listener, struct el_slice setting,
                            struct el_error *err)
{
    const struct config_listeners *table = &cfg->listener_table;
    const char *words[CONFIG_LISTENERS_MAX];
    char hint[96], name[CONFIG_LISTENER_NAME_MAX], list[CONFIG_LISTENERS_MAX * (CONFIG_LISTENER_NAME_MAX + 2)] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < table->count && used < sizeof list; i++) {
        words[i] = table->list[i].name;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", words[i]);
    }
    bool named = config_listener_name(listener, name);
    EL_ASSERT(named);
    value_nearest_text(el_slice_str(name), words, table->count, hint, sizeof hint);
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                        "%.*s: there is no listener %s%s; listeners are %s: name one of them, or add it to the setting "
                        "listeners",
                        (int)setting.len, (const char *)setting.data, name, hint, list);
}

static int refuse_need(const char *setting, const struct config_listener *listener, enum need need,
                       struct el_error *err)
{
    static const struct {
        const char *why, *remedy;
    } texts[] = {
        [NEED_TLS] = {"which has no TLS", "SSL or SASL_SSL"},
        [NEED_NAMES] = {"where no certificate says who a client is", "SSL"},
        [NEED_SASL] = {"which has no SASL", "SASL_SSL"},
    };
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                        "%s would change nothing: listener %s is %s, %s; take it away, or make the listener %s",
                        setting, listener->name, config_protocol_name(listener->protocol), texts[need].why,
                        texts[need].remedy);
}

static bool meets(enum config_protocol protocol, enum need need)
{
    switch (need) {
    case NEED_TLS:
        return config_protocol_has_tls(protocol);
    case NEED_NAMES:
        return protocol == CONFIG_SSL;
    case NEED_SASL:
        return config_protocol_has_sasl(protocol);
    }
    return false;
}

static enum need need_of(enum config_setting_id id)
{
    size_t i = 0;
    while (i + 1 < OWN_COUNT && owns[i].id != id) {
        i++;
    }
    EL_ASSERT(owns[i].id == id);
    return owns[i].need;
}

static int check_mechanisms(const char *setting, const char *list, const struct config_listener *listener,
                            struct el_error *err)
{
    struct el_slice word;
    bool some = false, plain = false;
    for (const char *rest = list; config_word_next(&rest, &word); some = true) {
        plain = plain || el_slice_eq(word, el_slice_str("PLAIN"));
    }
    if (!some) {
        return el_error_set(
            err, EVLOG_ERR_INVALID_CONFIG,
            "%s is empty, so that nobody could get in at listener %s: name a mechanism, or take it away", setting,
            listener->name);
    }
    if (plain && !config_protocol_has_tls(listener->protocol)) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "%s holds PLAIN, which is taken over TLS only: leave it out, or make listener %s SASL_SSL",
                            setting, listener->name);
    }
    return config_check_mechanisms(setting, list, err);
}

/* Which of certificate and key is the listener's own while the other one is that of all? They belong together. */
static int check_pair(const struct config *cfg, const struct listener_value *value, struct el_error *err)
{
    static const enum config_setting_id pair[] = {CONFIG_ssl_certificate_file, CONFIG_ssl_key_file};
    struct el_slice listener = el_slice_str(value->listener);
    for (size_t i = 0; i < 2; i++) {
        if (value->id == pair[i] && listener_setting_own(cfg, listener, pair[1 - i]) == NULL) {
            char name[CONFIG_NAME_MAX], other[CONFIG_NAME_MAX];
            struct listener_value missing = *value;
            missing.id = pair[1 - i];
            return el_error_set(
                err, EVLOG_ERR_INVALID_CONFIG, "%s needs %s beside it: certificate and key belong together",
                listener_value_name(value, name, sizeof name), listener_value_name(&missing, other, sizeof other));
        }
    }
    return 0;
}

static int check_value(const struct config *cfg, uint32_t index, struct el_error *err)
{
    const struct listener_value *value = &cfg->listener_values.list[index];
    int own = CONFIG_TARGET_OF_LISTENER(index), table = cfg->listeners[0] == 0 ? CONFIG_listen : CONFIG_listeners;
    const struct config_listener *listener = config_listener_find(&cfg->listener_table, el_slice_str(value->listener));
    char setting[CONFIG_NAME_MAX];
    listener_value_name(value, setting, sizeof setting);
    if (listener == NULL) {
        int code = listener_setting_refuse(cfg, el_slice_str(value->listener), el_slice_str(setting), err);
        return CONFIG_BLAME(cfg, err, code, own, table);
    }
    if (!meets(listener->protocol, need_of(value->id))) {
        int code = refuse_need(setting, listener, need_of(value->id), err);
        return CONFIG_BLAME(cfg, err, code, own, table, CONFIG_listener_map);
    }
    int code = check_pair(cfg, value, err);
    if (code == 0 && value->id == CONFIG_sasl_mechanisms) {
        code = check_mechanisms(setting, listener_value_text(cfg, value), listener, err);
    }
    return CONFIG_BLAME(cfg, err, code, own);
}

int listener_settings_check(struct config *cfg, struct el_error *err)
{
    int error = 0;
    for (uint32_t i = cfg->listener_values.count; i > 0; i--) { /* one goes at most, and not before it */
        settle_variable(cfg, &cfg->listener_values.list[EL_MIN(i, cfg->listener_values.count) - 1]);
    }
    for (uint32_t i = 0; i < cfg->listener_values.count && error == 0; i++) {
        error = check_value(cfg, i, err);
    }
    return error;
}

/* --- reload ------------------------------------------------------------------------------------------------------- */

static void say_waiting(char *waiting, size_t waiting_max, const struct listener_value *value)
{
    char name[CONFIG_NAME_MAX];
    size_t used = strlen(waiting);
    listener_value_name(value, name, sizeof name);
    snprintf(waiting + used, waiting_max - used, "%s%s", used == 0 ? "" : ", ", name);
}

/* Is it open, and a restart would close it, or give it another protocol? fresh was checked without it. */
static bool closes(const struct config *cfg, const struct config *fresh, const char *listener)
{
    struct el_slice name = el_slice_str(listener);
    const struct config_listener *now = config_listener_find(&cfg->listener_table, name);
    const struct config_listener *then = config_listener_find(&fresh->listener_table, name);
    return now != NULL && (then == NULL || then->protocol != now->protocol);
}

/* What of a fresh value takes a restart goes; it is named when it is another one than what is in force. */
static void drop_restarts(const struct config *cfg, struct config *fresh, char *waiting, size_t waiting_max)
{
    struct listener_values *values = &fresh->listener_values;
    for (uint32_t i = values->count; i > 0; i--) {
        struct listener_value *value = &values->list[i - 1];
        if (setting_at(value->id)->reload && !closes(cfg, fresh, value->listener)) {
            continue;
        }
        const struct listener_value *now = listener_setting_own(cfg, el_slice_str(value->listener), value->id);
        if (now == NULL || strcmp(listener_value_text(cfg, now), listener_value_text(fresh, value)) != 0) {
            say_waiting(waiting, waiting_max, value);
        }
        drop(values, value);
    }
}

int listener_settings_reload(const struct config *cfg, struct config *fresh, char *waiting, size_t waiting_max,
                             struct el_error *err)
{
    struct listener_values *values = &fresh->listener_values;
    for (uint32_t i = 0; i < cfg->listener_values.count; i++) { /* what is taken away takes a restart, too */
        const struct listener_value *now = &cfg->listener_values.list[i];
        if (!setting_at(now->id)->reload && find(values, now->listener, now->id) == NULL) {
            say_waiting(waiting, waiting_max, now);
        }
    }
    drop_restarts(cfg, fresh, waiting, waiting_max);
    for (uint32_t i = 0; i < cfg->listener_values.count; i++) {
        const struct listener_value *now = &cfg->listener_values.list[i];
        struct el_slice text = el_slice_str(listener_value_text(cfg, now));
        if (setting_at(now->id)->reload && !closes(cfg, fresh, now->listener)) {
            continue;
        }
        if (!fits(values, text.len, LISTENER_VALUES_MAX, sizeof values->texts)) {
            return el_error_set(err, EVLOG_ERR_LIMIT,
                                "settings of listeners that are open, and of those that a restart would open, are too "
                                "long together: start evlogd again");
        }
        add(values, now, text);
    }
    return 0;
}

void listener_settings_keep(struct config *cfg, const struct config *before, enum config_setting_id id)
{
    struct listener_values *values = &cfg->listener_values;
    for (uint32_t i = values->count; i > 0; i--) {
        if (values->list[i - 1].id == id) {
            drop(values, &values->list[i - 1]);
        }
    }
    for (uint32_t i = 0; i < before->listener_values.count; i++) {
        const struct listener_value *value = &before->listener_values.list[i];
        struct el_slice text = el_slice_str(listener_value_text(before, value));
        if (value->id != id) {
            continue;
        }
        if (!fits(values, text.len, LISTENER_VALUES_MAX, sizeof values->texts)) {
            *values = before->listener_values;
            return;
        }
        add(values, value, text);
    }
}

/* --- in force ----------------------------------------------------------------------------------------------------- */

const char *listener_setting_text(const struct config *cfg, const struct config_listener *listener,
                                  enum config_setting_id id)
{
    const struct listener_value *own = listener_setting_own(cfg, el_slice_str(listener->name), id);
    return own != NULL ? listener_value_text(cfg, own) : setting_chars(cfg, id);
}

const char *listener_setting_shown(const struct config *cfg, const struct config_listener *listener,
                                   enum config_setting_id id, char *text, size_t text_max)
{
    const struct listener_value *own = listener_setting_own(cfg, el_slice_str(listener->name), id);
    if (own == NULL) {
        return setting_text(cfg, id, text, text_max);
    }
    snprintf(text, text_max, "%s", listener_value_text(cfg, own));
    return text;
}

int listener_setting_choice(const struct config *cfg, const struct config_listener *listener, enum config_setting_id id)
{
    const struct listener_value *own = listener_setting_own(cfg, el_slice_str(listener->name), id);
    return own != NULL ? value_choice(setting_at(id)->choices, el_slice_str(listener_value_text(cfg, own)))
                       : setting_choice(cfg, id);
}

int listener_client_auth(const struct config *cfg, const struct config_listener *listener)
{
    bool own = listener_setting_own(cfg, el_slice_str(listener->name), CONFIG_ssl_client_auth) != NULL;
    return own || listener->protocol == CONFIG_SSL ? listener_setting_choice(cfg, listener, CONFIG_ssl_client_auth)
                                                   : EL_TLS_AUTH_NONE;
}

int listener_setting_target(const struct config *cfg, const struct config_listener *listener, enum config_setting_id id)
{
    const struct listener_value *own = listener_setting_own(cfg, el_slice_str(listener->name), id);
    return own != NULL ? CONFIG_TARGET_OF_LISTENER(own - cfg->listener_values.list) : (int)id;
}
