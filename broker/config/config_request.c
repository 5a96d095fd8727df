/* SPDX-License-Identifier: Apache-2.0
 *
 * Whoever may change settings of the broker must not come to more rights by it: what decides who may do what, and which
 * files evlogd reads, is the configuration's alone.
 */
#include <config/broker_name.h>
#include <config/config_request.h>
#include <config/config_target.h>
#include <config/ini.h>
#include <config/listener_settings.h>
#include <config/setting.h>
#include <config/value.h>
#include <core/alloc.h>

#include <string.h>

struct kept {
    struct el_slice section, key, value;
};

struct edit {
    struct kept kept[CONFIG_REQUEST_CHANGES_MAX];
    size_t count;
};

const char *config_request_refusal(enum config_setting_id id)
{
    const struct setting *row = setting_at(id);
    if (!row->reload) {
        return "it takes a restart";
    }
    bool watches = strcmp(row->section, "audit") == 0;
    if (watches || strcmp(row->section, "security") == 0 || strncmp(row->name, "ssl.", 4) == 0) {
        return "it decides who may do what or what is recorded of it, so that only the configuration says it";
    }
    return NULL;
}

static int refuse_listener_setting(struct el_slice name, struct el_error *err)
{
    struct listener_place place;
    int error = listener_setting_find(LISTENER_KEY, name, &place, err);
    if (error != 0) {
        return error;
    }
    bool reload = setting_at(place.id)->reload;
    return el_error_set(err, EVLOG_ERR_POLICY,
                        "'%.*s' cannot be changed by a request: %s. Set it in [" LISTENER_SETTING_SECTION
                        "] of evlogd's configuration, %s",
                        value_shown_len(name), (const char *)name.data, LISTENER_SETTING_REFUSAL,
                        reload ? "then send it SIGHUP" : "then start it again");
}

/* Where a setting stands in the file. returns 0 | EVLOG_ERR_INVALID_CONFIG | EVLOG_ERR_POLICY */
static int place_of(struct el_slice name, struct kept *place, struct el_error *err)
{
    for (int i = 0; i < CONFIG_SETTING_COUNT; i++) {
        const struct setting *row = setting_at((enum config_setting_id)i);
        if (!el_slice_eq(name, el_slice_str(row->name))) {
            continue;
        }
        const char *refusal = config_request_refusal((enum config_setting_id)i);
        if (refusal != NULL) {
            return el_error_set(err, EVLOG_ERR_POLICY,
                                "'%s' cannot be changed by a request: %s. Set %s in [%s] of evlogd's configuration, %s",
                                row->name, refusal, row->key, row->section,
                                row->reload ? "then send it SIGHUP" : "then start it again");
        }
        place->section = el_slice_str(row->section);
        place->key = el_slice_str(row->key);
        return 0;
    }
    if (listener_setting_is(LISTENER_KEY, name)) {
        return refuse_listener_setting(name, err);
    }
    int id = broker_name_find(name);
    id = id >= 0 ? id : topic_setting_find(name);
    if (id < 0) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "evlogd has no setting '%.*s'", value_shown_len(name),
                            (const char *)name.data);
    }
    place->section = el_slice_str(CONFIG_TOPIC_SECTION);
    place->key = el_slice_str(topic_setting((enum topic_setting_id)id)->name);
    return 0;
}

int config_request_check(struct el_slice name, struct el_error *err)
{
    struct kept place;
    return place_of(name, &place, err);
}

const char *config_request_value(const struct config *cfg, struct el_slice name, char *text, size_t text_max)
{
    char whole[SETTING_TEXT_MAX];
    struct override_entry entry;
    EL_ASSERT(text_max > 0);
    text[0] = '\0';
    for (int i = 0; i < CONFIG_SETTING_COUNT; i++) {
        if (el_slice_eq(name, el_slice_str(setting_at((enum config_setting_id)i)->name))) {
            (void)snprintf(text, text_max, "%s", setting_text(cfg, (enum config_setting_id)i, whole, sizeof whole));
            return text;
        }
    }
    int id = broker_name_find(name);
    id = id >= 0 ? id : topic_setting_find(name);
    if (id >= 0) {
        topic_config_describe(NULL, &cfg->topic_defaults, (enum topic_setting_id)id, &entry);
        (void)snprintf(text, text_max, "%.*s", (int)entry.text.len, (const char *)entry.text.data);
    }
    return text;
}

static int keep(void *arg, const struct ini_entry *entry, struct el_error *err)
{
    struct edit *edit = arg;
    if (edit->count == CONFIG_REQUEST_CHANGES_MAX) {
        return el_error_set(err, EVLOG_ERR_LIMIT, "at most %u settings", CONFIG_REQUEST_CHANGES_MAX);
    }
    edit->kept[edit->count++] = (struct kept){entry->section, entry->key, entry->value};
    return 0;
}

/* Can it be read back as it is? */
static bool can_be_written(struct el_slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < 0x20 || value.data[i] == 0x7f || value.data[i] == '"') {
            return false;
        }
    }
    return value.len <= CONFIG_REQUEST_VALUE_MAX;
}

static int apply(struct edit *edit, const struct config_change *change, struct el_error *err)
{
    struct kept place = {.value = change->value};
    int error = place_of(change->name, &place, err);
    if (error == 0 && change->value.data != NULL && !can_be_written(change->value)) {
        error = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                             "the value of '%.*s' is too long, or has characters that none has",
                             value_shown_len(change->name), (const char *)change->name.data);
    }
    size_t at = 0;
    while (at < edit->count &&
           !(el_slice_eq(edit->kept[at].section, place.section) && el_slice_eq(edit->kept[at].key, place.key))) {
        at++;
    }
    if (error != 0 || (change->value.data == NULL && at == edit->count)) {
        return error;
    }
    if (change->value.data == NULL) {
        memmove(&edit->kept[at], &edit->kept[at + 1], (edit->count - at - 1) * sizeof edit->kept[0]);
        edit->count--;
    } else if (at < edit->count || edit->count < CONFIG_REQUEST_CHANGES_MAX) {
        edit->count = at < edit->count ? edit->count : edit->count + 1;
        edit->kept[at] = place;
    } else {
        error = el_error_set(err, EVLOG_ERR_LIMIT, "at most %u settings", CONFIG_REQUEST_CHANGES_MAX);
    }
    return error;
}

static bool is_first_of_section(const struct edit *edit, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (el_slice_eq(edit->kept[i].section, edit->kept[index].section)) {
            return false;
        }
    }
    return true;
}

static void write_all(const struct edit *edit, struct el_buffer *out)
{
    el_buffer_append_str(
        out, "# Settings that requests have made. They win over the configuration; evlogd writes this file.\n");
    for (size_t i = 0; i < edit->count; i++) {
        if (!is_first_of_section(edit, i)) {
            continue;
        }
        struct el_slice section = edit->kept[i].section;
        el_buffer_printf(out, "\n[%.*s]\n", (int)section.len, (const char *)section.data);
        for (size_t k = i; k < edit->count; k++) {
            const struct kept *kept = &edit->kept[k];
            if (el_slice_eq(kept->section, section)) {
                el_buffer_printf(out, "%.*s = \"%.*s\"\n", (int)kept->key.len, (const char *)kept->key.data,
                                 (int)kept->value.len, (const char *)kept->value.data);
            }
        }
    }
}

int config_request_edit(struct el_slice text, const struct config_change *changes, size_t count, struct el_buffer *out,
                        struct el_error *err)
{
    struct edit *edit = el_calloc(1, sizeof *edit);
    if (edit == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for settings");
    }
    int error = count <= CONFIG_REQUEST_CHANGES_MAX ? 0 : EVLOG_ERR_LIMIT;
    if (error != 0) {
        el_error_set(err, error, "at most %u settings in a request", CONFIG_REQUEST_CHANGES_MAX);
    }
    error = error == 0 ? ini_parse(CONFIG_REQUEST_FILE, text.data, text.len, keep, edit, err) : error;
    for (size_t i = 0; i < count && error == 0; i++) {
        error = apply(edit, &changes[i], err);
    }
    if (error == 0) {
        write_all(edit, out);
        error = el_buffer_text(out) == NULL ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for settings") : 0;
    }
    el_free(edit);
    return error;
}
