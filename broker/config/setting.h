/* SPDX-License-Identifier: Apache-2.0
 *
 * One row of settings.def at run time: where its value lies in struct config, text to value and back. Pure functions.
 */
#ifndef EL_CONFIG_SETTING_H
#define EL_CONFIG_SETTING_H

#include <config/config.h>

enum setting_kind {
    SETTING_PATH,
    SETTING_TEXT,
    SETTING_URL,
    SETTING_ADDRESS,
    SETTING_CHOICE,
    SETTING_BOOL,
    SETTING_COUNT,
    SETTING_SIZE,
    SETTING_DURATION,
};

struct setting {
    const char *name;
    const char *section;
    const char *key;
    const char *default_text;
    const char *choices;
    const char *doc;
    int64_t min, max;  /* inclusive, of numbers */
    size_t member_pos; /* of the value in struct config */
    size_t member_len; /* bytes of the value */
    enum setting_kind kind;
    bool reload; /* takes effect on SIGHUP */
};

#define SETTING_TEXT_MAX (CONFIG_PATH_MAX + 16) /* a value as text, with its NUL */
#define SETTING_ALLOWED_MAX 160

const struct setting *setting_at(enum config_setting_id id);
/* Parse value into cfg. returns 0 | EVLOG_ERR_INVALID_CONFIG, cfg is unchanged then, the text names the setting */
int setting_parse(struct config *cfg, enum config_setting_id id, struct el_slice value, struct el_error *err);
/* Would it be taken? Of a PATH, TEXT, URL or CHOICE. returns as setting_parse() */
int setting_check(enum config_setting_id id, struct el_slice value, struct el_error *err);
/* The value of a PATH, TEXT or URL, where it lies; of a CHOICE. */
const char *setting_chars(const struct config *cfg, enum config_setting_id id);
int setting_choice(const struct config *cfg, enum config_setting_id id);
/* What it takes, as the end of a sentence, into text[text_max]; returns text. */
const char *setting_allowed(const struct setting *row, char *text, size_t text_max);
/* The value as one would write it, into text[text_max]; returns text. */
const char *setting_text(const struct config *cfg, enum config_setting_id id, char *text, size_t text_max);
/* The same without units: sizes in bytes, durations in ms. */
const char *setting_plain_text(const struct config *cfg, enum config_setting_id id, char *text, size_t text_max);
bool setting_equal(const struct config *a, const struct config *b, enum config_setting_id id);
void setting_copy(struct config *to, const struct config *from, enum config_setting_id id);
/* host:port or [address]:port; port_optional: also without the port, which is 0 then. returns false when it is none */
bool setting_address(struct config_address *address, struct el_slice text, bool port_optional);
/* A size or duration with or without a unit: "4096", "64MiB"; "-1", "7d". returns false when it is none */
bool setting_size(struct el_slice text, int64_t *len);
bool setting_duration(struct el_slice text, int64_t *ms);
/* The setting's flag ("--log-level") or variable ("EVLOG_LOG__LEVEL") into text[text_max]; returns text. */
const char *setting_flag_name(const char *name, char *text, size_t text_max);
const char *setting_variable_name(const char *section, const char *key, char *text, size_t text_max);

#endif
