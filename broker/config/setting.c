/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of settings.def: every value is read and shown by its kind. A value lies in struct config as: PATH and TEXT
 * char[], ADDRESS struct config_address, CHOICE int, BOOL bool, COUNT, SIZE and DURATION int64_t; the table is checked
 * against that at compile time by the sizes.
 */
#include <config/setting.h>
#include <config/value.h>
#include <core/assert.h>
#include <core/timefmt.h>

#include <ctype.h>
#include <inttypes.h>

#define SETTING_TYPE_PATH char[CONFIG_PATH_MAX]
#define SETTING_TYPE_TEXT char[CONFIG_PATH_MAX]
#define SETTING_TYPE_URL char[CONFIG_PATH_MAX]
#define SETTING_TYPE_ADDRESS struct config_address
#define SETTING_TYPE_CHOICE int
#define SETTING_TYPE_BOOL bool
#define SETTING_TYPE_COUNT int64_t
#define SETTING_TYPE_SIZE int64_t
#define SETTING_TYPE_DURATION int64_t

#define SETTING(member, name_, section_, key_, kind_, default_, min_, max_, choices_, reload_, doc_)                   \
    EL_STATIC_ASSERT(sizeof((struct config *)0)->member == sizeof(SETTING_TYPE_##kind_), "member has the kind's type");
#include <config/settings.def>
#undef SETTING

#define SETTING_RELOAD true
#define SETTING_RESTART false

static const struct setting settings[CONFIG_SETTING_COUNT] = {
#define SETTING(member, name_, section_, key_, kind_, default_, min_, max_, choices_, reload_, doc_)                   \
    [CONFIG_##member] = {                                                                                              \
        .name = (name_),                                                                                               \
        .section = (section_),                                                                                         \
        .key = (key_),                                                                                                 \
        .default_text = (default_),                                                                                    \
        .choices = (choices_),                                                                                         \
        .doc = (doc_),                                                                                                 \
        .min = (min_),                                                                                                 \
        .max = (max_),                                                                                                 \
        .member_pos = offsetof(struct config, member),                                                                 \
        .member_len = sizeof((struct config *)0)->member,                                                              \
        .kind = SETTING_##kind_,                                                                                       \
        .reload = SETTING_##reload_,                                                                                   \
    },
#include <config/settings.def>
#undef SETTING
};

const struct setting *setting_at(enum config_setting_id id)
{
    EL_ASSERT((unsigned)id < CONFIG_SETTING_COUNT);
    return &settings[id];
}

static void *member_of(struct config *cfg, const struct setting *row)
{
    return (uint8_t *)cfg + row->member_pos;
}

static const void *member_of_const(const struct config *cfg, const struct setting *row)
{
    return (const uint8_t *)cfg + row->member_pos;
}

bool setting_equal(const struct config *a, const struct config *b, enum config_setting_id id)
{
    char text_a[SETTING_TEXT_MAX], text_b[SETTING_TEXT_MAX];
    return strcmp(setting_text(a, id, text_a, sizeof text_a), setting_text(b, id, text_b, sizeof text_b)) == 0;
}

void setting_copy(struct config *to, const struct config *from, enum config_setting_id id)
{
    const struct setting *row = setting_at(id);
    memcpy(member_of(to, row), member_of_const(from, row), row->member_len);
}

static bool has_chars(const struct setting *row)
{
    return row->kind == SETTING_PATH || row->kind == SETTING_TEXT || row->kind == SETTING_URL;
}

const char *setting_chars(const struct config *cfg, enum config_setting_id id)
{
    EL_ASSERT(has_chars(setting_at(id)));
    return member_of_const(cfg, setting_at(id));
}

int setting_choice(const struct config *cfg, enum config_setting_id id)
{
    EL_ASSERT(setting_at(id)->kind == SETTING_CHOICE);
    return *(const int *)member_of_const(cfg, setting_at(id));
}

/* --- text to value ----------------------------------------------------------------------------------------------- */

/* The parsers of core want NUL-terminated text. */
static bool short_text(struct el_slice text, char *copy, size_t copy_max)
{
    text = value_trim(text);
    if (text.len == 0 || text.len >= copy_max || memchr(text.data, 0, text.len) != NULL) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    return true;
}

bool setting_size(struct el_slice text, int64_t *len)
{
    char copy[40];
    uint64_t bytes = 0;
    if (value_int(text, len)) {
        return true;
    }
    if (!short_text(text, copy, sizeof copy) || el_size_parse(copy, &bytes, NULL) != 0 || bytes > INT64_MAX) {
        return false;
    }
    *len = (int64_t)bytes;
    return true;
}

bool setting_duration(struct el_slice text, int64_t *ms)
{
    char copy[40];
    return value_int(text, ms) || (short_text(text, copy, sizeof copy) && el_duration_parse(copy, ms, NULL) == 0);
}

static bool takes_https(const struct setting *row)
{
    return value_choice(row->choices, el_slice_str("https")) >= 0;
}

static const char *number_allowed(const struct setting *row, const char *form, char *text, size_t text_max)
{
    const char *unit = row->kind == SETTING_DURATION ? " ms" : "";
    char most[48] = "";
    if (row->max != INT64_MAX) {
        snprintf(most, sizeof most, ", at most %" PRId64 "%s", row->max, unit);
    }
    snprintf(text, text_max, "%s, at least %" PRId64 "%s%s", form, row->min, unit, most);
    return text;
}

const char *setting_allowed(const struct setting *row, char *text, size_t text_max)
{
    static const char *const forms[] = {
        [SETTING_PATH] = "a path without control characters, at most 4095 bytes",
        [SETTING_TEXT] = "a text without control characters, at most 4095 bytes",
        [SETTING_URL] = "a URL without control characters, at most 4095 bytes",
        [SETTING_ADDRESS] = "host:port or [address]:port",
        [SETTING_BOOL] = "true or false",
        [SETTING_COUNT] = "a whole number",
        [SETTING_SIZE] = "bytes such as 4096, 64MiB or 1GiB",
        [SETTING_DURATION] = "a duration such as 500ms, 30s, 10m or 7d",
    };
    switch (row->kind) {
    case SETTING_CHOICE:
        snprintf(text, text_max, "one of %s", row->choices);
        break;
    case SETTING_ADDRESS:
        snprintf(text, text_max, "%s%s%s", forms[row->kind], row->choices[0] == 0 ? "" : " or off",
                 takes_https(row) ? ", or https:// before it" : "");
        break;
    case SETTING_PATH:
    case SETTING_TEXT:
    case SETTING_URL:
    case SETTING_BOOL:
        snprintf(text, text_max, "%s", forms[row->kind]);
        break;
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION:
        number_allowed(row, forms[row->kind], text, text_max);
        break;
    }
    return text;
}

static int refuse(const struct setting *row, struct el_slice value, struct el_error *err)
{
    char allowed[SETTING_ALLOWED_MAX];
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s cannot be '%.*s': %s %s", row->name, value_shown_len(value),
                        (const char *)value.data, row->kind == SETTING_CHOICE ? "allowed is" : "it must be",
                        setting_allowed(row, allowed, sizeof allowed));
}

static bool is_host(struct el_slice host, bool bracketed)
{
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.data[i];
        if (!isalnum(c) && c != '.' && c != '-' && c != '_' && !(bracketed && (c == ':' || c == '%'))) {
            return false;
        }
    }
    bool has_colon = host.len > 0 && memchr(host.data, ':', host.len) != NULL;
    return host.len > 0 && host.len < CONFIG_HOST_MAX && has_colon == bracketed; /* brackets are for IPv6 alone */
}

static bool parse_address(struct config_address *address, struct el_slice text, bool off_allowed, bool port_optional)
{
    struct config_address result = {.port = 0};
    if (text.len == 0 || (off_allowed && el_slice_eq(text, el_slice_str("off")))) {
        result.off = text.len != 0;
        *address = result;
        return text.len != 0 || port_optional;
    }
    bool bracketed = text.data[0] == '[';
    const uint8_t *stop = memchr(text.data, bracketed ? ']' : ':', text.len);
    if (stop == NULL && (bracketed || !port_optional)) {
        return false;
    }
    const uint8_t *end = text.data + text.len, *start = text.data + (bracketed ? 1 : 0);
    stop = stop == NULL ? end : stop;
    struct el_slice host = el_slice_of(start, (size_t)(stop - start));
    const uint8_t *colon = stop + (bracketed ? 1 : 0);
    int64_t port = 0;
    if (!is_host(host, bracketed) || (colon == end && !port_optional)) {
        return false;
    }
    if (colon < end && (*colon != ':' || colon + 1 == end || !isdigit(colon[1]) ||
                        !value_int(el_slice_of(colon + 1, (size_t)(end - colon) - 1), &port) || port > 65535)) {
        return false;
    }
    memcpy(result.host, host.data, host.len);
    result.port = (uint16_t)port;
    *address = result;
    return true;
}

bool setting_address(struct config_address *address, struct el_slice text, bool port_optional)
{
    return text.len > 0 && parse_address(address, text, false, port_optional);
}

/* The schemes of URLs before an address: "https://" for TLS, "http://" for none. */
static bool parse_http_address(struct config_address *address, struct el_slice text)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i]);
        if (text.len > len && memcmp(text.data, schemes[i], len) == 0) {
            bool parsed = setting_address(address, el_slice_of(text.data + len, text.len - len), false);
            address->tls = parsed && i == 1;
            return parsed;
        }
    }
    return parse_address(address, text, true, false);
}

static bool parse_path(char *path, struct el_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return false;
        }
    }
    if (text.len >= CONFIG_PATH_MAX) {
        return false;
    }
    memset(path, 0, CONFIG_PATH_MAX);
    if (text.len > 0) {
        memcpy(path, text.data, text.len);
    }
    return true;
}

static bool parse_number(const struct setting *row, struct el_slice text, int64_t *number)
{
    int64_t value = 0;
    bool parsed = row->kind == SETTING_COUNT  ? value_int(text, &value)
                  : row->kind == SETTING_SIZE ? setting_size(text, &value)
                                              : setting_duration(text, &value);
    if (!parsed || value < row->min || value > row->max) {
        return false;
    }
    *number = value;
    return true;
}

static bool parse_by_kind(struct config *cfg, enum config_setting_id id, struct el_slice value)
{
    const struct setting *row = &settings[id];
    void *member = member_of(cfg, row);
    int choice = -1;
    switch (row->kind) {
    case SETTING_PATH:
    case SETTING_TEXT:
    case SETTING_URL:
        return parse_path(member, value);
    case SETTING_ADDRESS:
        return takes_https(row) ? parse_http_address(member, value)
                                : parse_address(member, value, row->choices[0] != 0, id == CONFIG_advertised);
    case SETTING_CHOICE:
        choice = value_choice(row->choices, value);
        if (choice >= 0) {
            *(int *)member = choice;
        }
        return choice >= 0;
    case SETTING_BOOL:
        return value_bool(value, member);
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION:
        return parse_number(row, value, member);
    }
    return false;
}

int setting_parse(struct config *cfg, enum config_setting_id id, struct el_slice value, struct el_error *err)
{
    EL_ASSERT((unsigned)id < CONFIG_SETTING_COUNT);
    EL_ASSERT(value.data != NULL);
    return parse_by_kind(cfg, id, value_trim(value)) ? 0 : refuse(&settings[id], value, err);
}

int setting_check(enum config_setting_id id, struct el_slice value, struct el_error *err)
{
    const struct setting *row = setting_at(id);
    char text[CONFIG_PATH_MAX];
    EL_ASSERT(has_chars(row) || row->kind == SETTING_CHOICE);
    struct el_slice bare = value_trim(value);
    bool taken = has_chars(row) ? parse_path(text, bare) : value_choice(row->choices, bare) >= 0;
    return taken ? 0 : refuse(row, value, err);
}

/* --- value to text ----------------------------------------------------------------------------------------------- */

struct unit {
    int64_t factor;
    const char *name;
};

/* The largest unit that divides the value; plain digits for 0, negative and odd values. */
static void unit_text(int64_t value, const struct unit *units, char *text, size_t text_max)
{
    while (units->factor > 1 && (value <= 0 || value % units->factor != 0)) {
        units++;
    }
    snprintf(text, text_max, "%" PRId64 "%s", value / units->factor, value == 0 ? "" : units->name);
}

static void address_text(const struct config_address *address, bool with_port, char *text, size_t text_max)
{
    bool brackets = strchr(address->host, ':') != NULL;
    if (address->off || address->host[0] == 0) {
        snprintf(text, text_max, "%s", address->off ? "off" : "");
        return;
    }
    int len = snprintf(text, text_max, "%s%s%s%s", address->tls ? "https://" : "", brackets ? "[" : "", address->host,
                       brackets ? "]" : "");
    if (with_port && len >= 0 && (size_t)len < text_max) {
        snprintf(text + len, text_max - (size_t)len, ":%u", address->port);
    }
}

const char *setting_text(const struct config *cfg, enum config_setting_id id, char *text, size_t text_max)
{
    static const struct unit sizes[] = {{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, ""}};
    static const struct unit durations[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    const struct setting *row = setting_at(id);
    const void *member = member_of_const(cfg, row);
    switch (row->kind) {
    case SETTING_PATH:
    case SETTING_TEXT:
    case SETTING_URL:
        snprintf(text, text_max, "%s", (const char *)member);
        break;
    case SETTING_ADDRESS:
        address_text(member, id != CONFIG_advertised || cfg->advertised.port != 0, text, text_max);
        break;
    case SETTING_CHOICE:
        value_choice_name(row->choices, *(const int *)member, text, text_max);
        break;
    case SETTING_BOOL:
        snprintf(text, text_max, "%s", *(const bool *)member ? "true" : "false");
        break;
    case SETTING_COUNT:
        snprintf(text, text_max, "%" PRId64, *(const int64_t *)member);
        break;
    case SETTING_SIZE:
        unit_text(*(const int64_t *)member, sizes, text, text_max);
        break;
    case SETTING_DURATION:
        unit_text(*(const int64_t *)member, durations, text, text_max);
        break;
    }
    return text;
}

const char *setting_plain_text(const struct config *cfg, enum config_setting_id id, char *text, size_t text_max)
{
    const struct setting *row = setting_at(id);
    if (row->kind == SETTING_SIZE || row->kind == SETTING_DURATION) {
        snprintf(text, text_max, "%" PRId64, *(const int64_t *)member_of_const(cfg, row));
        return text;
    }
    return setting_text(cfg, id, text, text_max);
}

const char *setting_flag_name(const char *name, char *text, size_t text_max)
{
    snprintf(text, text_max, "--%s", name);
    for (char *p = text; *p != 0; p++) {
        *p = *p == '.' ? '-' : *p;
    }
    return text;
}

const char *setting_variable_name(const char *section, const char *key, char *text, size_t text_max)
{
    snprintf(text, text_max, "EVLOG_%s__%s", section, key);
    for (char *p = text; *p != 0; p++) {
        *p = *p == '.' || *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    }
    return text;
}
