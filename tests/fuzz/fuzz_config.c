/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration files, and topic settings as they arrive from a client and as they lie in the catalogue.
 *
 *   1. the file reader never goes outside its text, and what it hands out lies inside it;
 *   2. settings that decode, encode to bytes that decode to the same;
 *   3. a setting that is refused changes nothing; one that is taken is shown as text that sets the same value.
 */
#include <config/ini.h>
#include <config/setting.h>
#include <config/topic_config.h>
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

static int on_entry(void *arg, const struct ini_entry *entry, struct el_error *err)
{
    const struct bounds *bounds = arg;
    static char text[SETTING_TEXT_MAX];
    assert_inside(bounds, entry->section);
    assert_inside(bounds, entry->key);
    assert_inside(bounds, entry->value);
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
    ini_parse("fuzz", data, len, on_entry, &bounds, &err);
}

static void try_bytes(const uint8_t *data, size_t len)
{
    struct topic_config cfg, again;
    uint8_t bytes[TOPIC_CONFIG_BYTES_MAX];
    size_t bytes_len = 0;
    if (topic_config_decode(&cfg, data, len) != 0) {
        return;
    }
    int encoded = topic_config_encode(&cfg, bytes, sizeof bytes, &bytes_len);
    EL_ASSERT(encoded == 0);
    int decoded = topic_config_decode(&again, bytes, bytes_len);
    EL_ASSERT(decoded == 0);
    EL_ASSERT(topic_config_equal(&cfg, &again));
}

/* The input is "name=value", and each name of the table with the input as its value. */
static void try_setting(struct el_slice name, struct el_slice value)
{
    struct topic_config cfg, before;
    struct override_entry entry;
    struct el_error err;
    topic_config_init(&cfg);
    before = cfg;
    if (topic_config_set(&cfg, name, value, &err) != 0) {
        EL_ASSERT(topic_config_equal(&cfg, &before));
        return;
    }
    int id = topic_setting_find(name);
    topic_config_describe(&cfg, NULL, (enum topic_setting_id)id, &entry);
    int result = topic_config_set(&before, name, el_slice_str(entry.value), &err);
    EL_ASSERT(result == 0);
    EL_ASSERT(topic_config_equal(&cfg, &before));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const uint8_t *equals = len == 0 ? NULL : memchr(data, '=', len);
    el_log_setup(EL_LOG_ERROR, false);
    try_file(data, len);
    try_bytes(data, len);
    if (equals != NULL) {
        size_t name_len = (size_t)(equals - data);
        try_setting(el_slice_of(data, name_len), el_slice_of(equals + 1, len - name_len - 1));
    }
    for (int id = 0; id < TOPIC_SETTING_COUNT && len < 256; id++) {
        try_setting(el_slice_str(topic_setting((enum topic_setting_id)id)->name), el_slice_of(data, len));
    }
    return 0;
}
