/* SPDX-License-Identifier: Apache-2.0
 *
 * Overrides of settings: table, text to value and back, bytes.
 *
 * 1. overrides_set(): name -> row of the table -> value parsed by the row's type -> range -> behaviour -> the table's
 *    own check -> stored.
 * 2. overrides_int(): the set's value, else that of the defaults, else the table's. On a shard's path: two bit tests.
 * 3. overrides_encode() writes overrides by name and text, so that rows may move between versions.
 *
 * What can fail: only the caller's text. A refusal changes nothing and says what would be accepted.
 * Invariants: value[id] is 0 while bit id of `overridden` is 0, and bytes behind the last text are 0, so that equal
 * settings are equal bytes.
 */
#include <config/override.h>
#include <config/value.h>
#include <core/assert.h>
#include <core/cursor.h>
#include <core/logger.h>

#include <inttypes.h>
#include <stdio.h>

EL_STATIC_ASSERT(OVERRIDE_ROWS_MAX <= 64, "a bit of overrides.overridden for each setting");

static const struct override_row *row_of(const struct override_table *table, int id)
{
    EL_ASSERT(id >= 0);
    EL_ASSERT(id < table->count);
    return &table->rows[id];
}

int override_find(const struct override_table *table, struct el_slice name)
{
    for (int id = 0; id < table->count && name.len > 0; id++) {
        if (el_slice_eq(name, el_slice_str(table->rows[id].name)) ||
            el_slice_eq(name, el_slice_str(table->rows[id].alias))) {
            return id;
        }
    }
    return -1;
}

int8_t override_wire_type(const struct override_row *row)
{
    return row->type == OVERRIDE_TEXT ? (int8_t)OVERRIDE_STRING : (int8_t)row->type;
}

/* --- texts -------------------------------------------------------------------------------------------------------- */

static char *texts_of(struct overrides *set)
{
    return (char *)(set + 1);
}

/* Bytes of the texts before that of a setting; of all with id the table's count. */
static size_t texts_before(const struct override_table *table, const struct overrides *set, int id)
{
    size_t pos = 0;
    for (int i = 0; i < id; i++) {
        if (table->rows[i].type == OVERRIDE_TEXT && overrides_has(set, i)) {
            pos += (size_t)set->value[i] + 1;
        }
    }
    EL_ASSERT(pos <= table->texts_max);
    return pos;
}

static void text_drop(const struct override_table *table, struct overrides *set, int id)
{
    if (!overrides_has(set, id)) {
        return;
    }
    size_t pos = texts_before(table, set, id), len = (size_t)set->value[id] + 1;
    size_t end = texts_before(table, set, table->count);
    memmove(texts_of(set) + pos, texts_of(set) + pos + len, end - pos - len);
    memset(texts_of(set) + end - len, 0, len);
    set->overridden &= ~((uint64_t)1 << id);
    set->value[id] = 0;
}

/* The setting has no text. returns false when there is no room */
static bool text_put(const struct override_table *table, struct overrides *set, int id, struct el_slice text)
{
    size_t pos = texts_before(table, set, id), end = texts_before(table, set, table->count);
    EL_ASSERT(!overrides_has(set, id));
    if (text.len >= table->texts_max - end) {
        return false;
    }
    memmove(texts_of(set) + pos + text.len + 1, texts_of(set) + pos, end - pos);
    memcpy(texts_of(set) + pos, text.data, text.len);
    texts_of(set)[pos + text.len] = 0;
    set->overridden |= (uint64_t)1 << id;
    set->value[id] = (int64_t)text.len;
    return true;
}

/* --- text to value ----------------------------------------------------------------------------------------------- */

static int refuse_name(const struct override_table *table, struct el_slice name, struct el_error *err)
{
    const char *words[2 * OVERRIDE_ROWS_MAX];
    size_t count = 0;
    char hint[96];
    const char *why = table->known == NULL ? NULL : table->known(name);
    if (why != NULL) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%.*s cannot be set here: %s", value_shown_len(name),
                            (const char *)name.data, why);
    }
    for (int id = 0; id < table->count; id++) {
        words[count++] = table->rows[id].name;
        if (table->rows[id].alias[0] != 0) {
            words[count++] = table->rows[id].alias;
        }
    }
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "unknown %s '%.*s'%s", table->noun, value_shown_len(name),
                        (const char *)name.data, value_nearest_text(name, words, count, hint, sizeof hint));
}

static const char *allowed_choices(const struct override_row *row, char *text, size_t text_max)
{
    char word[OVERRIDE_VALUE_TEXT_MAX];
    size_t used = 0;
    text[0] = 0;
    for (int64_t i = row->min; i <= row->max && used < text_max; i++) {
        const char *before = i == row->min ? "" : i == row->max ? " or " : ", ";
        value_choice_name(row->choices, i, word, sizeof word);
        used += (size_t)snprintf(text + used, text_max - used, "%s'%s'", before, word);
    }
    return text;
}

const char *override_allowed(const struct override_row *row, char *text, size_t text_max)
{
    if (row->type == OVERRIDE_TEXT) {
        snprintf(text, text_max, "a text of %" PRId64 " to %" PRId64 " bytes without control characters", row->min,
                 row->max);
        return text;
    }
    if (row->choices[0] != 0) {
        return allowed_choices(row, text, text_max);
    }
    if (row->type == OVERRIDE_BOOLEAN) {
        snprintf(text, text_max, "%s", row->min == row->max ? (row->min != 0 ? "true" : "false") : "true or false");
    } else if (row->type == OVERRIDE_DOUBLE) {
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

static const char *known_refusal(const struct override_table *table, int id, struct el_slice value)
{
    for (size_t i = 0; i < table->refusal_count; i++) {
        if (table->refusals[i].id == id && el_slice_eq(value, el_slice_str(table->refusals[i].value))) {
            return table->refusals[i].why;
        }
    }
    return row_of(table, id)->behaviour == OVERRIDE_FIXED ? row_of(table, id)->doc : NULL;
}

static int refuse_value(const struct override_table *table, int id, struct el_slice value, struct el_error *err)
{
    char allowed[128];
    const struct override_row *row = row_of(table, id);
    const char *why = known_refusal(table, id, value);
    override_allowed(row, allowed, sizeof allowed);
    if (value.data == NULL) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s needs a value: %s", row->name, allowed);
    }
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s cannot be '%.*s': allowed is %s%s%s", row->name,
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
static bool parse_list(const struct override_row *row, struct el_slice value, int64_t *number)
{
    char text[OVERRIDE_VALUE_TEXT_MAX];
    for (int64_t i = row->min; i <= row->max; i++) {
        struct el_slice choice = el_slice_str(value_choice_name(row->choices, i, text, sizeof text));
        if (list_within(value, choice) && list_within(choice, value)) {
            *number = i;
            return true;
        }
    }
    return false;
}

/* Line ends and tabs may stand in a text of several lines. */
static bool parse_text(struct el_slice value, int64_t *len)
{
    for (size_t i = 0; i < value.len; i++) {
        bool control = value.data[i] < 0x20 || value.data[i] == 0x7f;
        if (control && strchr("\t\r\n", value.data[i]) == NULL) {
            return false;
        }
        if (value.data[i] == 0) {
            return false;
        }
    }
    *len = (int64_t)value.len;
    return true;
}

static bool parse_value(const struct override_row *row, struct el_slice value, int64_t *number)
{
    bool flag = false;
    int choice = -1;
    switch (row->type) {
    case OVERRIDE_INT:
    case OVERRIDE_LONG:
        return value_int(value, number);
    case OVERRIDE_DOUBLE:
        return value_millionths(value, number);
    case OVERRIDE_BOOLEAN:
        if (!value_bool(value, &flag)) {
            return false;
        }
        *number = flag ? 1 : 0;
        return true;
    case OVERRIDE_STRING:
        choice = value_choice(row->choices, value);
        *number = choice;
        return choice >= 0;
    case OVERRIDE_LIST:
        return parse_list(row, value, number);
    case OVERRIDE_TEXT:
        return parse_text(value, number);
    }
    return false;
}

static int take_text(const struct override_table *table, struct overrides *set, int id, struct el_slice text,
                     struct el_error *err)
{
    size_t used = texts_before(table, set, table->count);
    size_t own = overrides_has(set, id) ? (size_t)set->value[id] + 1 : 0;
    EL_ASSERT(own <= used);
    if (text.len >= table->texts_max - (used - own)) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "%s does not fit: the texts of all settings together may have %zu bytes",
                            row_of(table, id)->name, table->texts_max);
    }
    text_drop(table, set, id);
    bool put = text_put(table, set, id, text);
    EL_ASSERT(put);
    return 0;
}

int overrides_set(const struct override_table *table, struct overrides *set, struct el_slice name,
                  struct el_slice value, struct el_error *err)
{
    int id = override_find(table, name);
    int64_t number = 0;
    if (id < 0) {
        return refuse_name(table, name, err);
    }
    const struct override_row *row = row_of(table, id);
    value = value_trim(value);
    if (value.data == NULL || !parse_value(row, value, &number) || number < row->min || number > row->max) {
        return refuse_value(table, id, value, err);
    }
    if (row->behaviour == OVERRIDE_FIXED && number != row->default_value) {
        return refuse_value(table, id, value, err);
    }
    int code = table->check == NULL ? 0 : table->check(id, number, value, err);
    if (code != 0) {
        return code;
    }
    if (row->type == OVERRIDE_TEXT) {
        return take_text(table, set, id, value, err);
    }
    set->overridden |= (uint64_t)1 << id;
    set->value[id] = number;
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

int overrides_list(const struct override_table *table, struct overrides *set, const struct overrides *defaults,
                   const struct override_list_change *change, struct el_error *err)
{
    int id = override_find(table, change->name);
    struct overrides checked = *set;
    if (id < 0) {
        return refuse_name(table, change->name, err);
    }
    if (row_of(table, id)->type != OVERRIDE_LIST) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "append and subtract are for lists only");
    }
    if (change->value.data == NULL ||
        (change->add && overrides_set(table, &checked, change->name, change->value, err) != 0)) {
        return refuse_value(table, id, change->value, err);
    }
    struct override_entry now, added;
    char text[2 * OVERRIDE_VALUE_TEXT_MAX];
    overrides_describe(table, set, defaults, id, &now);
    overrides_describe(table, &checked, defaults, id, &added);
    struct el_slice none = el_slice_of(NULL, 0);
    text[0] = 0;
    size_t used = list_add_without(now.text, change->add ? none : change->value, text, sizeof text, 0);
    if (change->add) {
        list_add_without(added.text, now.text, text, sizeof text, used);
    }
    return overrides_set(table, set, change->name, el_slice_str(text), err);
}

int overrides_unset(const struct override_table *table, struct overrides *set, struct el_slice name,
                    struct el_error *err)
{
    int id = override_find(table, name);
    if (id < 0) {
        return refuse_name(table, name, err);
    }
    if (row_of(table, id)->type == OVERRIDE_TEXT) {
        text_drop(table, set, id);
    }
    set->overridden &= ~((uint64_t)1 << id);
    set->value[id] = 0;
    return 0;
}

void overrides_init(const struct override_table *table, struct overrides *set)
{
    memset(set, 0, sizeof *set);
    memset(texts_of(set), 0, table->texts_max);
}

/* --- value to number and text ------------------------------------------------------------------------------------ */

int64_t overrides_int(const struct override_table *table, const struct overrides *set, const struct overrides *defaults,
                      int id)
{
    const struct override_row *row = row_of(table, id);
    if (overrides_has(set, id)) {
        return set->value[id];
    }
    return overrides_has(defaults, id) ? defaults->value[id] : row->default_value;
}

struct el_slice overrides_text(const struct override_table *table, const struct overrides *set,
                               const struct overrides *defaults, int id)
{
    const struct override_row *row = row_of(table, id);
    EL_ASSERT(row->type == OVERRIDE_TEXT);
    const struct overrides *from = overrides_has(set, id) ? set : defaults;
    if (!overrides_has(from, id)) {
        return el_slice_str(row->choices);
    }
    const char *texts = (const char *)(from + 1);
    return el_slice_of(texts + texts_before(table, from, id), (size_t)from->value[id]);
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

static void value_text(const struct override_row *row, int64_t value, char *text, size_t text_max)
{
    switch (row->type) {
    case OVERRIDE_INT:
    case OVERRIDE_LONG:
        snprintf(text, text_max, "%" PRId64, value);
        return;
    case OVERRIDE_DOUBLE:
        millionths_text(value, text, text_max);
        return;
    case OVERRIDE_BOOLEAN:
        snprintf(text, text_max, "%s", value != 0 ? "true" : "false");
        return;
    case OVERRIDE_STRING:
    case OVERRIDE_LIST:
        value_choice_name(row->choices, value, text, text_max);
        return;
    case OVERRIDE_TEXT:
        text[0] = 0;
        return;
    }
}

void overrides_describe(const struct override_table *table, const struct overrides *set,
                        const struct overrides *defaults, int id, struct override_entry *entry)
{
    const struct override_row *row = row_of(table, id);
    bool own = overrides_has(set, id);
    bool broker = overrides_has(defaults, id);
    entry->setting = row;
    entry->source = own ? table->own : broker ? OVERRIDE_FROM_BROKER : OVERRIDE_FROM_DEFAULT;
    entry->is_default = !own;
    value_text(row, overrides_int(table, set, defaults, id), entry->value, sizeof entry->value);
    entry->text = row->type == OVERRIDE_TEXT ? overrides_text(table, set, defaults, id) : el_slice_str(entry->value);
}

size_t overrides_len(const struct override_table *table, const struct overrides *set)
{
    return sizeof *set + texts_before(table, set, table->count);
}

bool overrides_equal(const struct override_table *table, const struct overrides *a, const struct overrides *b)
{
    return memcmp(a, b, sizeof *a) == 0 && memcmp(a + 1, b + 1, texts_before(table, a, table->count)) == 0;
}

const char *overrides_without_effect(const struct override_table *table, const struct overrides *set,
                                     const struct overrides *before, char *text, size_t text_max)
{
    size_t used = 0;
    text[0] = 0;
    for (int id = 0; id < table->count && used < text_max; id++) {
        const struct override_row *row = row_of(table, id);
        int64_t value = overrides_int(table, set, NULL, id);
        bool said = before != NULL && overrides_int(table, before, NULL, id) == value;
        if (row->behaviour == OVERRIDE_SHOWN && value != row->default_value && !said) {
            used += (size_t)snprintf(text + used, text_max - used, "%s%s", used == 0 ? "" : ", ", row->name);
        }
    }
    return text;
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

int overrides_encode(const struct override_table *table, const struct overrides *set, uint8_t *out, size_t out_max,
                     size_t *len)
{
    struct el_writer w;
    struct override_entry entry;
    el_writer_init(&w, out, out_max);
    el_write_le32(&w, (uint32_t)__builtin_popcountll(set->overridden));
    for (int id = 0; id < table->count; id++) {
        if (!overrides_has(set, id)) {
            EL_ASSERT(set->value[id] == 0);
            continue;
        }
        overrides_describe(table, set, NULL, id, &entry);
        el_write_bytes(&w, entry.setting->name, strlen(entry.setting->name) + 1);
        el_write_bytes(&w, entry.text.data, entry.text.len);
        el_write_bytes(&w, "", 1);
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

int overrides_decode(const struct override_table *table, struct overrides *set, const uint8_t *data, size_t len)
{
    struct el_reader r;
    struct el_error err;
    el_reader_init(&r, data, len);
    overrides_init(table, set);
    uint32_t count = el_read_le32(&r);
    for (uint32_t i = 0; i < count && r.err == 0; i++) {
        struct el_slice name = read_text(&r);
        struct el_slice value = read_text(&r);
        if (r.err != 0) {
            break;
        }
        int id = override_find(table, name);
        if (id >= 0 && overrides_has(set, id)) {
            return EVLOG_ERR_MALFORMED;
        }
        if (overrides_set(table, set, name, value, &err) != 0) {
            el_log(EL_LOG_WARN, "config", "a stored %s is left out: %s", table->noun, err.text);
        }
    }
    if (r.err == 0 && el_reader_left(&r) != 0) {
        el_reader_fail(&r, EVLOG_ERR_MALFORMED);
    }
    return r.err;
}
