/* SPDX-License-Identifier: Apache-2.0 */
#include <config/audit_classes.h>
#include <config/broker_name.h>
#include <config/listener_settings.h>
#include <config/setting.h>
#include <settings_record.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <evlog/error.h>
#include <stdio.h>
#include <string.h>

#define ROOM_LEN (4 * AUDIT_TEXT_SHOWN_MAX + 192u) /* one setting, with both of its values, and what closes around it */

static bool room(struct settings_record *record, const struct el_json_writer *w)
{
    bool there = w->out->cap - w->out->len >= ROOM_LEN;
    record->cut = record->cut || !there;
    return there;
}

/* before NULL: only what it is. */
static void put(struct el_json_writer *w, const char *name, const char *before, const char *after)
{
    el_json_begin_object(w);
    el_json_add_str(w, "name", name);
    if (before != NULL) {
        el_json_key(w, "before");
        audit_show_text(w, el_slice_str(before));
    }
    el_json_key(w, before == NULL ? "value" : "after");
    audit_show_text(w, el_slice_str(after));
    el_json_end_object(w);
}

/* Does it decide who may come in, who may do what, or what is recorded of it? */
static bool is_watched(const struct setting *row)
{
    return strcmp(row->section, "security") == 0 || strcmp(row->section, "audit") == 0 ||
           strncmp(row->name, "listen", strlen("listen")) == 0 || strcmp(row->name, "http") == 0 ||
           strstr(row->name, "ssl.") != NULL;
}

static uint32_t put_own(struct settings_record *record, struct el_json_writer *w, const struct config *before,
                        const struct config *after)
{
    char was[SETTING_TEXT_MAX], is[SETTING_TEXT_MAX];
    uint32_t count = 0;
    for (int i = 0; i < CONFIG_SETTING_COUNT; i++) {
        enum config_setting_id id = (enum config_setting_id)i;
        const struct setting *row = setting_at(id);
        bool told = before == NULL ? is_watched(row) && after->origin[i].kind != CONFIG_FROM_DEFAULT
                                   : row->reload && !setting_equal(before, after, id);
        if (!told || !room(record, w)) {
            continue;
        }
        put(w, row->name, before == NULL ? NULL : setting_text(before, id, was, sizeof was),
            setting_text(after, id, is, sizeof is));
        count++;
    }
    return count;
}

static bool told_of(const struct config *before, const struct config *after, const struct config_listener *listener,
                    enum config_setting_id id, char was[SETTING_TEXT_MAX], char is[SETTING_TEXT_MAX])
{
    struct el_slice name = el_slice_str(listener->name);
    bool own = listener_setting_own(after, name, id) != NULL;
    listener_setting_shown(after, listener, id, is, SETTING_TEXT_MAX);
    if (before == NULL) {
        return own;
    }
    own = own || listener_setting_own(before, name, id) != NULL;
    listener_setting_shown(before, listener, id, was, SETTING_TEXT_MAX);
    return own && strcmp(was, is) != 0;
}

/* What single listeners have in place of settings of all: all of it is watched. A listener that has a setting no more
 * has that of all instead. */
static uint32_t put_listeners(struct settings_record *record, struct el_json_writer *w, const struct config *before,
                              const struct config *after)
{
    char was[SETTING_TEXT_MAX], is[SETTING_TEXT_MAX], name[CONFIG_NAME_MAX];
    enum config_setting_id id;
    uint32_t count = 0;
    for (uint32_t i = 0; i < after->listener_table.count; i++) {
        const struct config_listener *listener = &after->listener_table.list[i];
        for (uint32_t k = 0; listener_setting_at(k, &id); k++) {
            if (!told_of(before, after, listener, id, was, is) || !room(record, w)) {
                continue;
            }
            struct listener_value value = {.id = id};
            memcpy(value.listener, listener->name, sizeof value.listener);
            put(w, listener_value_name(&value, name, sizeof name), before == NULL ? NULL : was, is);
            count++;
        }
    }
    return count;
}

static uint32_t put_topics(struct settings_record *record, struct el_json_writer *w, const struct config *before,
                           const struct config *after)
{
    struct override_entry was, is;
    uint32_t count = 0;
    for (int id = 0; before != NULL && id < TOPIC_SETTING_COUNT; id++) {
        topic_config_describe(NULL, &before->topic_defaults, (enum topic_setting_id)id, &was);
        topic_config_describe(NULL, &after->topic_defaults, (enum topic_setting_id)id, &is);
        if (el_slice_eq(was.text, is.text) || !room(record, w)) {
            continue;
        }
        el_json_begin_object(w);
        el_json_add_str(w, "name", is.setting->name);
        el_json_key(w, "before");
        audit_show_text(w, was.text);
        el_json_key(w, "after");
        audit_show_text(w, is.text);
        el_json_end_object(w);
        count++;
    }
    return count;
}

/* By the classes of the audit log from before, or those from now on. */
static bool is_wanted(const struct config *cfg)
{
    uint32_t classes;
    int code = config_audit_classes(cfg->audit_include, &classes, NULL);
    EL_ASSERT(code == 0); /* config.c has looked */
    return (classes & 1u << CONFIG_AUDIT_CHANGES) != 0;
}

/* before NULL: a start. returns false: there is nothing to tell */
static bool compare(struct settings_record *record, const struct config *before, const struct config *after)
{
    struct el_buffer out;
    struct el_json_writer w;
    record->action = before == NULL ? "start" : "reload";
    record->cut = false;
    el_buffer_fix(&out, record->settings, sizeof record->settings);
    el_json_writer_init(&w, &out);
    el_json_begin_object(&w);
    el_json_key(&w, "settings");
    el_json_begin_array(&w);
    uint32_t count = put_own(record, &w, before, after);
    count += put_listeners(record, &w, before, after);
    count += put_topics(record, &w, before, after);
    el_json_end_array(&w);
    if (before == NULL) {
        el_json_add_str(&w, "version", EVLOG_VERSION);
    }
    el_json_end_object(&w);
    int code = el_json_writer_end(&w);
    EL_ASSERT(code == 0); /* there was room for each */
    record->settings_len = out.len;
    return before == NULL || count > 0;
}

/* --- on the main thread ------------------------------------------------------------------------------------------- */

int settings_record_open(struct settings_record *record, const struct config *cfg)
{
    EL_ASSERT(record->told == NULL);
    record->told = el_malloc(sizeof *record->told);
    if (record->told == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    *record->told = *cfg;
    record->starts = record->due = true;
    return 0;
}

void settings_record_close(struct settings_record *record)
{
    el_free(record->told);
    record->told = NULL;
}

static void skip(struct config *told, const struct config *cfg, struct el_slice name)
{
    struct override_entry is;
    for (int i = 0; i < CONFIG_SETTING_COUNT; i++) {
        if (el_slice_eq(name, el_slice_str(setting_at((enum config_setting_id)i)->name))) {
            setting_copy(told, cfg, (enum config_setting_id)i);
            return;
        }
    }
    int id = broker_name_find(name);
    id = id >= 0 ? id : topic_setting_find(name);
    if (id >= 0) {
        topic_config_describe(NULL, &cfg->topic_defaults, (enum topic_setting_id)id, &is);
        (void)topic_config_set(&told->topic_defaults, el_slice_str(is.setting->name), is.text, NULL);
    }
}

void settings_record_skip(struct settings_record *record, const struct config *cfg, const struct config_change *changes,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        skip(record->told, cfg, changes[i].name);
    }
}

bool settings_record_make(struct settings_record *record, const struct config *cfg)
{
    record->due = atomic_load_explicit(&record->busy, memory_order_acquire);
    if (record->due) {
        return false;
    }
    const struct config *before = record->starts ? NULL : record->told;
    bool told = (is_wanted(record->told) || is_wanted(cfg)) && compare(record, before, cfg);
    *record->told = *cfg;
    record->starts = false;
    atomic_store_explicit(&record->busy, told, memory_order_release);
    return told;
}

bool settings_record_due(const struct settings_record *record)
{
    return record->due;
}

/* --- on the shard ------------------------------------------------------------------------------------------------- */

static void end(struct settings_record *record)
{
    atomic_store_explicit(&record->busy, false, memory_order_release);
}

static void on_written(struct audit_op *op)
{
    struct settings_record *record = op->arg;
    if (op->error != 0) {
        audit_lost(record->audit);
    }
    end(record);
}

void settings_record_write(struct settings_record *record, struct audit *audit, struct store_shard *shard)
{
    struct el_buffer out;
    struct el_json_writer w;
    bool starts = strcmp(record->action, "start") == 0;
    EL_ASSERT(atomic_load_explicit(&record->busy, memory_order_relaxed));
    if (starts && store_topic_by_name(shard, el_slice_str(AUDIT_TOPIC)) == NULL) {
        end(record);
        return;
    }
    record->audit = audit;
    record->op = (struct audit_op){.done = on_written, .arg = record};
    audit_id(audit, record->op.id);
    el_buffer_fix(&out, record->text, sizeof record->text);
    el_json_writer_init(&w, &out);
    el_json_begin_object(&w);
    audit_show_head(&w, record->op.id, config_audit_word(CONFIG_AUDIT_CHANGES), io_wall(store_shard_io(shard)));
    el_json_add_str(&w, "phase", "done");
    el_json_add_str(&w, "action", record->action);
    el_json_key(&w, "parameters");
    el_json_put_raw(&w, el_slice_of(record->settings, record->settings_len));
    if (record->cut) {
        el_json_add_bool(&w, "parameters_cut", true);
    }
    el_json_add_str(&w, "outcome", "ok");
    el_json_end_object(&w);
    int code = el_json_writer_end(&w);
    EL_ASSERT(code == 0);
    record->op.value = el_buffer_slice(&out);
    audit_write(audit, &record->op);
}
