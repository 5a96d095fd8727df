/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration files, and settings of topics and work groups as they arrive from a client and as they are stored.
 *
 *   1. the file reader never goes outside its text, and what it hands out lies inside it; settings of listeners are
 *      kept as they stand there;
 *   2. settings that decode, encode to bytes that decode to the same;
 *   3. a setting that is refused changes nothing; one that is taken is shown as text that sets the same value.
 */
#include <config/group_config.h>
#include <config/ini.h>
#include <config/listener_settings.h>
#include <config/setting.h>
#include <config/topic_config.h>
#include <config/value.h>
#include <core/assert.h>
#include <core/logger.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct bounds {
    const uint8_t *data;
    size_t len;
    struct config *cfg;
};

static void assert_inside(const struct bounds *bounds, struct el_slice slice)
{
    EL_ASSERT(slice.data >= bounds->data);
    EL_ASSERT(slice.data + slice.len <= bounds->data + bounds->len);
}

/* What is taken of a listener's own setting is kept as it was written. */
static void try_listener(const struct bounds *bounds, const struct ini_entry *entry)
{
    struct listener_place place = {.id = CONFIG_data};
    if (!listener_setting_is(LISTENER_KEY, entry->key) ||
        listener_setting_find(LISTENER_KEY, entry->key, &place, NULL) != 0) {
        return;
    }
    assert_inside(bounds, place.listener);
    if (listener_setting_assign(bounds->cfg, &place, entry->value, (struct config_origin){.line = entry->line}, NULL) ==
        0) {
        const struct listener_value *value = listener_setting_own(bounds->cfg, place.listener, place.id);
        EL_ASSERT(value != NULL);
        EL_ASSERT(el_slice_eq(el_slice_str(listener_value_text(bounds->cfg, value)), value_trim(entry->value)));
    }
}

static int on_entry(void *arg, const struct ini_entry *entry, struct el_error *err)
{
    const struct bounds *bounds = arg;
    static char text[SETTING_TEXT_MAX];
    assert_inside(bounds, entry->section);
    assert_inside(bounds, entry->key);
    assert_inside(bounds, entry->value);
    try_listener(bounds, entry);
    for (int i = 0; i < CONFIG_SETTING_COUNT; i++) {
        enum config_setting_id id = (enum config_setting_id)i;
        if (setting_parse(bounds->cfg, id, entry->value, err) == 0) {
            setting_text(bounds->cfg, id, text, sizeof text);
            EL_ASSERT(setting_parse(bounds->cfg, id, el_slice_str(text), NULL) == 0 || text[0] == 0);
        }
    }
    return 0;
}

static void try_file(const uint8_t *data, size_t len)
{
    static struct config cfg;
    struct bounds bounds = {data, len, &cfg};
    struct el_error err;
    cfg.listener_values.count = cfg.listener_values.texts_len = 0;
    ini_parse("fuzz", data, len, on_entry, &bounds, &err);
}

/* A set of overrides with room for the texts of either table. */
union any_config {
    struct overrides set;
    struct topic_config topic;
    struct group_config group;
};

static void try_bytes(const struct override_table *table, const uint8_t *data, size_t len)
{
    static union any_config cfg, again;
    static uint8_t bytes[GROUP_CONFIG_BYTES_MAX];
    size_t bytes_len = 0;
    if (overrides_decode(table, &cfg.set, data, len) != 0) {
        return;
    }
    int encoded = overrides_encode(table, &cfg.set, bytes, sizeof bytes, &bytes_len);
    EL_ASSERT(encoded == 0);
    int decoded = overrides_decode(table, &again.set, bytes, bytes_len);
    EL_ASSERT(decoded == 0);
    EL_ASSERT(overrides_equal(table, &cfg.set, &again.set));
}

/* The input is "name=value", and each name of the table with the input as its value. */
static void try_setting(const struct override_table *table, struct el_slice name, struct el_slice value)
{
    static union any_config cfg, before;
    struct override_entry entry;
    struct el_error err;
    overrides_init(table, &cfg.set);
    overrides_init(table, &before.set);
    if (overrides_set(table, &cfg.set, name, value, &err) != 0) {
        EL_ASSERT(overrides_equal(table, &cfg.set, &before.set));
        return;
    }
    int id = override_find(table, name);
    overrides_describe(table, &cfg.set, NULL, id, &entry);
    int result = overrides_set(table, &before.set, name, entry.text, &err);
    EL_ASSERT(result == 0);
    EL_ASSERT(overrides_equal(table, &cfg.set, &before.set));
    if (table == &group_settings) {
        struct group_start start;
        char topic[EL_TOPIC_NAME_MAX + 1];
        group_config_start(&cfg.group, 0, 0, &start);
        group_config_dead_topic(&cfg.group, name, value, topic);
        EL_ASSERT(topic[0] != 0);
    }
}

static void try_table(const struct override_table *table, const uint8_t *data, size_t len)
{
    const uint8_t *equals = len == 0 ? NULL : memchr(data, '=', len);
    try_bytes(table, data, len);
    if (equals != NULL) {
        size_t name_len = (size_t)(equals - data);
        try_setting(table, el_slice_of(data, name_len), el_slice_of(equals + 1, len - name_len - 1));
    }
    for (int id = 0; id < table->count && len < 256; id++) {
        try_setting(table, el_slice_str(table->rows[id].name), el_slice_of(data, len));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    el_log_setup(EL_LOG_ERROR, false);
    try_file(data, len);
    try_table(&topic_settings, data, len);
    try_table(&group_settings, data, len);
    return 0;
}
