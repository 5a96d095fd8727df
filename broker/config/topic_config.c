/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of a topic: table, text to value and back, bytes for the catalogue.
 *
 * 1. topic_config_set(): name -> row of the table -> value parsed by the row's type -> range -> behaviour -> stored.
 * 2. topic_config_int(): the topic's value, else the broker's, else the table's. On a shard's path: two bit tests.
 * 3. topic_config_encode() writes overrides by name and text, so that rows may move between versions.
 *
 * What can fail: only the caller's text. A refusal changes nothing and says what would be accepted.
 * Invariant: value[id] is 0 while bit id of `overridden` is 0, so that equal settings are equal bytes.
 */
#include <config/topic_config.h>
#include <config/value.h>
#include <core/assert.h>
#include <core/cursor.h>
#include <core/logger.h>

#include <inttypes.h>
#include <stdio.h>

static const struct topic_setting settings[TOPIC_SETTING_COUNT] = {
#define TOPIC_SETTING(ID, name_, type_, default_, min_, max_, behaviour_, choices_, doc_)                              \
    [TOPIC_##ID] = {                                                                                                   \
        .name = (name_),                                                                                               \
        .choices = (choices_),                                                                                         \
        .doc = (doc_),                                                                                                 \
        .default_value = (default_),                                                                                   \
        .min = (min_),                                                                                                 \
        .max = (max_),                                                                                                 \
        .type = TOPIC_TYPE_##type_,                                                                                    \
        .behaviour = TOPIC_##behaviour_,                                                                               \
    },
#include <config/topic_settings.def>
#undef TOPIC_SETTING
};

/* Values that people will try and that need more than a list of what is allowed. */
static const struct {
    enum topic_setting_id id;
    const char *value;
    const char *why;
} known_refusals[] = {
    {TOPIC_DURABILITY, "store", "there is no archive yet whose copy could be waited for"},
    {TOPIC_DURABILITY, "both", "there is no archive yet whose copy could be waited for"},
};

const struct topic_setting *topic_setting(enum topic_setting_id id)
{
    EL_ASSERT((unsigned)id < TOPIC_SETTING_COUNT);
    return &settings[id];
}

int topic_setting_find(struct el_slice name)
{
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        if (el_slice_eq(name, el_slice_str(settings[id].name))) {
            return id;
        }
    }
    return -1;
}

void topic_config_init(struct topic_config *cfg)
{
    memset(cfg, 0, sizeof *cfg);
}

/* --- text to value ----------------------------------------------------------------------------------------------- */

static int refuse_name(struct el_slice name, struct el_error *err)
{
    const char *words[TOPIC_SETTING_COUNT];
    char hint[96];
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        words[id] = settings[id].name;
    }
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "unknown topic setting '%.*s'%s", value_shown_len(name),
                        (const char *)name.data,
                        value_nearest_text(name, words, TOPIC_SETTING_COUNT, hint, sizeof hint));
}

const char *topic_setting_allowed(enum topic_setting_id id, char *text, size_t text_max)
{
    const struct topic_setting *row = topic_setting(id);
    char word[TOPIC_VALUE_TEXT_MAX];
    if (row->choices[0] != 0) {
        size_t used = 0;
        text[0] = 0;
        for (int64_t i = row->min; i <= row->max && used < text_max; i++) {
            const char *before = i == row->min ? "" : i == row->max ? " or " : ", ";
            value_choice_name(row->choices, i, word, sizeof word);
            used += (size_t)snprintf(text + used, text_max - used, "%s'%s'", before, word);
        }
        return text;
    }
    if (row->type == TOPIC_TYPE_BOOLEAN) {
        snprintf(text, text_max, "%s", row->min == row->max ? (row->min != 0 ? "true" : "false") : "true or false");
    } else if (row->type == TOPIC_TYPE_DOUBLE) {
        snprintf(text, text_max, "a number from %g to %g", (double)row->min / 1e6, (double)row->max / 1e6);
    } else if (row->min == row->max) {
        snprintf(text, text_max, "%" PRId64, row->min);
    } else if (row->max == INT64_MAX) {
        snprintf(text, text_max, "a whole number of at least %" PRId64, row->min);
    } else {
        snprintf(text, text_max, "a whole number from %" PRId64 " to %" PRId64, row->min, row->max);
    }
    return text;
}

static const char *known_refusal(enum topic_setting_id id, struct el_slice value)
{
    for (size_t i = 0; i < sizeof known_refusals / sizeof known_refusals[0]; i++) {
        if (known_refusals[i].id == id && el_slice_eq(value, el_slice_str(known_refusals[i].value))) {
            return known_refusals[i].why;
        }
    }
    return settings[id].behaviour == TOPIC_FIXED ? settings[id].doc : NULL;
}

static int refuse_value(enum topic_setting_id id, struct el_slice value, struct el_error *err)
{
    char allowed[128];
    const char *why = known_refusal(id, value);
    topic_setting_allowed(id, allowed, sizeof allowed);
    if (value.data == NULL) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s needs a value: %s", settings[id].name, allowed);
    }
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s cannot be '%.*s': allowed is %s%s%s", settings[id].name,
                        value_shown_len(value), (const char *)value.data, allowed, why == NULL ? "" : "; ",
                        why == NULL ? "" : why);
}

/* The next element of a comma-separated list, without the blanks around it; false at the end. An empty list has one
 * empty element. */
static bool list_next(struct el_slice *rest, struct el_slice *element)
{
    if (rest->data == NULL) {
        return false;
    }
    const uint8_t *comma = rest->len == 0 ? NULL : memchr(rest->data, ',', rest->len);
    size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->data);
    *element = value_trim(el_slice_of(rest->data, len));
    *rest = comma == NULL ? el_slice_of(NULL, 0) : el_slice_of(comma + 1, rest->len - len - 1);
    return true;
}

static bool list_has(struct el_slice list, struct el_slice wanted)
{
    struct el_slice element;
    while (list_next(&list, &element)) {
        if (el_slice_eq(element, wanted)) {
            return true;
        }
    }
    return false;
}

static bool list_within(struct el_slice list, struct el_slice other)
{
    struct el_slice element;
    while (list_next(&list, &element)) {
        if (!list_has(other, element)) {
            return false;
        }
    }
    return true;
}

/* A choice of a list is a list: the one with the same elements, in whatever order. */
static bool parse_list(const struct topic_setting *row, struct el_slice value, int64_t *number)
{
    char text[TOPIC_VALUE_TEXT_MAX];
    for (int64_t i = row->min; i <= row->max; i++) {
        struct el_slice choice = el_slice_str(value_choice_name(row->choices, i, text, sizeof text));
        if (list_within(value, choice) && list_within(choice, value)) {
            *number = i;
            return true;
        }
    }
    return false;
}

static bool parse_value(const struct topic_setting *row, struct el_slice value, int64_t *number)
{
    bool flag = false;
    int choice = -1;
    switch (row->type) {
    case TOPIC_TYPE_INT:
    case TOPIC_TYPE_LONG:
        return value_int(value, number);
    case TOPIC_TYPE_DOUBLE:
        return value_millionths(value, number);
    case TOPIC_TYPE_BOOLEAN:
        if (!value_bool(value, &flag)) {
            return false;
        }
        *number = flag ? 1 : 0;
        return true;
    case TOPIC_TYPE_STRING:
        choice = value_choice(row->choices, value);
        *number = choice;
        return choice >= 0;
    case TOPIC_TYPE_LIST:
        return parse_list(row, value, number);
    }
    return false;
}

int topic_config_set(struct topic_config *cfg, struct el_slice name, struct el_slice value, struct el_error *err)
{
    int id = topic_setting_find(name);
    int64_t number = 0;
    if (id < 0) {
        return refuse_name(name, err);
    }
    const struct topic_setting *row = &settings[id];
    value = value_trim(value);
    if (value.data == NULL || !parse_value(row, value, &number) || number < row->min || number > row->max) {
        return refuse_value((enum topic_setting_id)id, value, err);
    }
    if (row->behaviour == TOPIC_FIXED && number != row->default_value) {
        return refuse_value((enum topic_setting_id)id, value, err);
    }
    cfg->overridden |= (uint64_t)1 << id;
    cfg->value[id] = number;
    return 0;
}

/* The elements of the list that are not in the other, after what text[used] holds. returns bytes used */
static size_t list_add_without(struct el_slice list, struct el_slice other, char *text, size_t text_max, size_t used)
{
    struct el_slice element;
    while (list_next(&list, &element) && used < text_max) {
        if (!list_has(other, element)) {
            used += (size_t)snprintf(text + used, text_max - used, "%s%.*s", used == 0 ? "" : ",", (int)element.len,
                                     (const char *)element.data);
        }
    }
    return used;
}

int topic_config_list(struct topic_config *cfg, const struct topic_config *defaults, struct el_slice name,
                      struct el_slice value, bool add, struct el_error *err)
{
    int id = topic_setting_find(name);
    struct topic_config checked = *cfg;
    if (id < 0) {
        return refuse_name(name, err);
    }
    EL_ASSERT(settings[id].type == TOPIC_TYPE_LIST);
    if (value.data == NULL || (add && topic_config_set(&checked, name, value, err) != 0)) {
        return refuse_value((enum topic_setting_id)id, value, err);
    }
    struct topic_config_entry now, added;
    char text[2 * TOPIC_VALUE_TEXT_MAX];
    topic_config_describe(cfg, defaults, (enum topic_setting_id)id, &now);
    topic_config_describe(&checked, defaults, (enum topic_setting_id)id, &added);
    struct el_slice have = el_slice_str(now.value), none = el_slice_of(NULL, 0);
    text[0] = 0;
    size_t used = list_add_without(have, add ? none : value, text, sizeof text, 0);
    if (add) {
        list_add_without(el_slice_str(added.value), have, text, sizeof text, used);
    }
    return topic_config_set(cfg, name, el_slice_str(text), err);
}

int topic_config_unset(struct topic_config *cfg, struct el_slice name, struct el_error *err)
{
    int id = topic_setting_find(name);
    if (id < 0) {
        return refuse_name(name, err);
    }
    cfg->overridden &= ~((uint64_t)1 << id);
    cfg->value[id] = 0;
    return 0;
}

/* --- value to number and text ------------------------------------------------------------------------------------ */

int64_t topic_config_int(const struct topic_config *cfg, const struct topic_config *defaults, enum topic_setting_id id)
{
    EL_ASSERT((unsigned)id < TOPIC_SETTING_COUNT);
    if (topic_config_is_overridden(cfg, id)) {
        return cfg->value[id];
    }
    return topic_config_is_overridden(defaults, id) ? defaults->value[id] : settings[id].default_value;
}

static void millionths_text(int64_t value, char *text, size_t text_max)
{
    uint64_t size = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
    int len = snprintf(text, text_max, "%s%" PRIu64 ".%06" PRIu64, value < 0 ? "-" : "", size / 1000000,
                       size % 1000000);
    while (len > 2 && text[len - 1] == '0' && text[len - 2] != '.') {
        text[--len] = 0;
    }
}

static void value_text(const struct topic_setting *row, int64_t value, char *text, size_t text_max)
{
    switch (row->type) {
    case TOPIC_TYPE_INT:
    case TOPIC_TYPE_LONG:
        snprintf(text, text_max, "%" PRId64, value);
        return;
    case TOPIC_TYPE_DOUBLE:
        millionths_text(value, text, text_max);
        return;
    case TOPIC_TYPE_BOOLEAN:
        snprintf(text, text_max, "%s", value != 0 ? "true" : "false");
        return;
    case TOPIC_TYPE_STRING:
    case TOPIC_TYPE_LIST:
        value_choice_name(row->choices, value, text, text_max);
        return;
    }
}

void topic_config_describe(const struct topic_config *cfg, const struct topic_config *defaults,
                           enum topic_setting_id id, struct topic_config_entry *entry)
{
    bool own = topic_config_is_overridden(cfg, id);
    bool broker = topic_config_is_overridden(defaults, id);
    entry->setting = topic_setting(id);
    entry->source = own ? TOPIC_SOURCE_TOPIC : broker ? TOPIC_SOURCE_BROKER : TOPIC_SOURCE_DEFAULT;
    entry->is_default = !own;
    value_text(entry->setting, topic_config_int(cfg, defaults, id), entry->value, sizeof entry->value);
}

bool topic_config_equal(const struct topic_config *a, const struct topic_config *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

const char *topic_config_without_effect(const struct topic_config *cfg, const struct topic_config *before, char *text,
                                        size_t text_max)
{
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < TOPIC_SETTING_COUNT && used < text_max; i++) {
        enum topic_setting_id id = (enum topic_setting_id)i;
        int64_t value = topic_config_int(cfg, NULL, id);
        bool said = before != NULL && topic_config_int(before, NULL, id) == value;
        if (settings[id].behaviour == TOPIC_SHOWN && value != settings[id].default_value && !said) {
            used += (size_t)snprintf(text + used, text_max - used, "%s%s", used == 0 ? "" : ", ", settings[id].name);
        }
    }
    return text;
}

/* --- bytes for the catalogue ------------------------------------------------------------------------------------- */

int topic_config_encode(const struct topic_config *cfg, uint8_t *out, size_t out_max, size_t *len)
{
    struct el_writer w;
    char text[TOPIC_VALUE_TEXT_MAX];
    el_writer_init(&w, out, out_max);
    el_write_le32(&w, (uint32_t)__builtin_popcountll(cfg->overridden));
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        if ((cfg->overridden >> id & 1) == 0) {
            EL_ASSERT(cfg->value[id] == 0);
            continue;
        }
        value_text(&settings[id], cfg->value[id], text, sizeof text);
        el_write_bytes(&w, settings[id].name, strlen(settings[id].name) + 1);
        el_write_bytes(&w, text, strlen(text) + 1);
    }
    if (w.err != 0) {
        return w.err;
    }
    *len = el_writer_len(&w);
    return 0;
}

/* Bytes up to the next NUL; data NULL when there is none. */
static struct el_slice read_text(struct el_reader *r)
{
    size_t left = el_reader_left(r);
    const uint8_t *nul = left == 0 ? NULL : memchr(r->p, 0, left);
    if (nul == NULL) {
        el_reader_fail(r, EVLOG_ERR_TRUNCATED);
        return el_slice_of(NULL, 0);
    }
    struct el_slice text = el_slice_of(r->p, (size_t)(nul - r->p));
    r->p = nul + 1;
    return text;
}

int topic_config_decode(struct topic_config *cfg, const uint8_t *data, size_t len)
{
    struct el_reader r;
    struct topic_config result;
    struct el_error err;
    el_reader_init(&r, data, len);
    topic_config_init(&result);
    uint32_t count = el_read_le32(&r);
    for (uint32_t i = 0; i < count && r.err == 0; i++) {
        struct el_slice name = read_text(&r);
        struct el_slice value = read_text(&r);
        if (r.err != 0) {
            break;
        }
        int id = topic_setting_find(name);
        if (id >= 0 && topic_config_is_overridden(&result, (enum topic_setting_id)id)) {
            return EVLOG_ERR_MALFORMED;
        }
        if (topic_config_set(&result, name, value, &err) != 0) {
            el_log(EL_LOG_WARN, "config", "a stored topic setting is left out: %s", err.text);
        }
    }
    if (r.err == 0 && el_reader_left(&r) != 0) {
        el_reader_fail(&r, EVLOG_ERR_MALFORMED);
    }
    if (r.err == 0) {
        *cfg = result;
    }
    return r.err;
}
