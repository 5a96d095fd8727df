/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration file, line by line. Pure; the rules are evlog's own (ini.h), chosen so that a line is understood
 * with nothing but the section it stands in.
 *
 * 1. Each line is checked for control characters, trimmed, and is empty, a comment, a section or "key = value".
 * 2. A value ends at a comment that has a blank before it, or at its closing quote.
 *
 * What can fail: the text. The first fault ends the reading with name:line:column.
 * Invariant: what the callback is given lies inside the text.
 */
#include <config/ini.h>
#include <config/value.h>

#include <stdbool.h>

struct ini {
    const char *name;          /* of the file */
    const uint8_t *line_start; /* first byte of the current line */
    struct ini_entry entry;    /* section and positions so far */
    bool in_section;
};

static uint32_t column_of(const struct ini *ini, const uint8_t *p)
{
    return (uint32_t)(p - ini->line_start) + 1;
}

static int refuse(const struct ini *ini, const uint8_t *p, struct el_error *err, const char *text)
{
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s:%u:%u: %s", ini->name, ini->entry.line, column_of(ini, p),
                        text);
}

static bool is_comment(uint8_t c)
{
    return c == '#' || c == ';';
}

static bool is_name(struct el_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '.' && c != '_' && c != '-') {
            return false;
        }
    }
    return text.len > 0;
}

/* Nothing but blanks and a comment may follow. */
static bool is_rest(struct el_slice text)
{
    text = value_trim(text);
    return text.len == 0 || is_comment(text.data[0]);
}

static int parse_section(struct ini *ini, struct el_slice line, struct el_error *err)
{
    const uint8_t *close = memchr(line.data, ']', line.len);
    if (close == NULL) {
        return refuse(ini, line.data, err, "a section is written [name], and ']' is missing");
    }
    struct el_slice name = value_trim(el_slice_of(line.data + 1, (size_t)(close - line.data) - 1));
    struct el_slice rest = el_slice_of(close + 1, line.len - (size_t)(close - line.data) - 1);
    if (!is_name(name)) {
        return refuse(ini, line.data, err, "a section name is made of letters, digits, '.', '_' and '-'");
    }
    if (!is_rest(rest)) {
        return refuse(ini, close + 1, err, "a setting begins on a line of its own");
    }
    ini->entry.section = name;
    ini->entry.section_line = ini->entry.line;
    ini->in_section = true;
    return 0;
}

static int parse_value(struct ini *ini, struct el_slice text, struct el_error *err)
{
    struct el_slice *value = &ini->entry.value;
    *value = value_trim(text);
    ini->entry.value_column = column_of(ini, value->data);
    if (value->len > 0 && value->data[0] == '"') {
        const uint8_t *close = memchr(value->data + 1, '"', value->len - 1);
        if (close == NULL) {
            return refuse(ini, value->data, err, "the closing '\"' is missing");
        }
        size_t used = (size_t)(close - value->data) + 1;
        if (!is_rest(el_slice_of(close + 1, value->len - used))) {
            return refuse(ini, close + 1, err, "only a comment may follow the closing '\"'");
        }
        *value = el_slice_of(value->data + 1, used - 2);
        return 0;
    }
    for (size_t i = 0; i < value->len; i++) {
        bool after_blank = i == 0 || value->data[i - 1] == ' ' || value->data[i - 1] == '\t';
        if (is_comment(value->data[i]) && after_blank) {
            *value = value_trim(el_slice_of(value->data, i));
        }
    }
    return 0;
}

static int parse_line(struct ini *ini, struct el_slice line, ini_fn fn, void *arg, struct el_error *err)
{
    for (size_t i = 0; i < line.len; i++) {
        uint8_t c = line.data[i];
        bool cr_at_end = c == '\r' && i + 1 == line.len;
        if ((c < 0x20 && c != '\t' && !cr_at_end) || c == 0x7f) {
            return refuse(ini, line.data + i, err, "control characters are not allowed");
        }
    }
    struct el_slice text = value_trim(line);
    if (text.len == 0 || is_comment(text.data[0])) {
        return 0;
    }
    if (text.data[0] == '[') {
        return parse_section(ini, text, err);
    }
    const uint8_t *equals = memchr(text.data, '=', text.len);
    if (equals == NULL) {
        return refuse(ini, text.data, err, "expected 'key = value', '[section]' or a comment");
    }
    ini->entry.key = value_trim(el_slice_of(text.data, (size_t)(equals - text.data)));
    ini->entry.key_column = column_of(ini, text.data);
    if (!is_name(ini->entry.key)) {
        return refuse(ini, text.data, err, "a key is made of letters, digits, '.', '_' and '-'");
    }
    if (!ini->in_section) {
        return refuse(ini, text.data, err, "a setting stands in a section, and none has begun");
    }
    int result = parse_value(ini, el_slice_of(equals + 1, text.len - (size_t)(equals - text.data) - 1), err);
    return result != 0 ? result : fn(arg, &ini->entry, err);
}

int ini_parse(const char *name, const void *data, size_t len, ini_fn fn, void *arg, struct el_error *err)
{
    static const uint8_t byte_order_mark[3] = {0xef, 0xbb, 0xbf};
    struct ini ini = {.name = name, .line_start = data};
    const uint8_t *p = data, *end = p == NULL ? NULL : p + len;
    int result = 0;
    if (p != NULL && len >= 3 && memcmp(p, byte_order_mark, 3) == 0) {
        p += 3;
    }
    while (p != end && result == 0) {
        const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
        const uint8_t *stop = newline == NULL ? end : newline;
        ini.line_start = p;
        ini.entry.line++;
        result = parse_line(&ini, el_slice_of(p, (size_t)(stop - p)), fn, arg, err);
        p = newline == NULL ? end : newline + 1;
    }
    return result;
}
