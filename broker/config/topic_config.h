/* SPDX-License-Identifier: Apache-2.0
 *
 * A topic's settings: the overrides it carries, on top of the broker-wide defaults, on top of the built-in ones. The
 * settings themselves are the table topic_settings.def. Pure functions; struct topic_config is plain data that may be
 * copied by assignment. The broker-wide defaults are a struct topic_config of their own, passed as `defaults`.
 */
#ifndef EL_CONFIG_TOPIC_CONFIG_H
#define EL_CONFIG_TOPIC_CONFIG_H

#include <core/bytes.h>
#include <core/err.h>
#include <core/limits.h>
#include <stdbool.h>

enum topic_setting_id {
#define TOPIC_SETTING(ID, name, type, default_, min, max, behaviour, choices, doc) TOPIC_##ID,
#include <config/topic_settings.def>
#undef TOPIC_SETTING
    TOPIC_SETTING_COUNT
};

/* Numbers as DescribeConfigs has them on the wire. */
enum topic_setting_type {
    TOPIC_TYPE_BOOLEAN = 1,
    TOPIC_TYPE_STRING = 2,
    TOPIC_TYPE_INT = 3,
    TOPIC_TYPE_LONG = 5,
    TOPIC_TYPE_DOUBLE = 6,
    TOPIC_TYPE_LIST = 7,
};

enum topic_setting_behaviour {
    TOPIC_HONOURED, /* evlogd does what it says */
    TOPIC_FIXED,    /* only the default is taken */
    TOPIC_SHOWN,    /* any legal value is kept and shown; no effect */
};

/* Where an effective value comes from; numbers as DescribeConfigs has them on the wire. */
enum topic_setting_source {
    TOPIC_SOURCE_TOPIC = 1,   /* the topic's own override */
    TOPIC_SOURCE_BROKER = 4,  /* evlogd's configuration */
    TOPIC_SOURCE_DEFAULT = 5, /* the table */
};

/* Values of the settings with choices: the index of the choice. */
enum topic_cleanup { TOPIC_CLEANUP_DELETE = 0, TOPIC_CLEANUP_COMPACT = 1, TOPIC_CLEANUP_BOTH = 2 };
enum topic_timestamp_type { TOPIC_CREATE_TIME = 0, TOPIC_LOG_APPEND_TIME = 1 };
enum topic_durability { TOPIC_DURABILITY_FLUSH = 0, TOPIC_DURABILITY_MEMORY = 1 };

#define TOPIC_VALUE_TEXT_MAX 32     /* an effective value as text, with its NUL */
#define TOPIC_NAMES_TEXT_MAX 512    /* names of settings for a line of the log, with its NUL */
#define TOPIC_CONFIG_BYTES_MAX 2048 /* more than topic_config_encode() ever writes */

struct topic_setting {
    const char *name;
    const char *choices; /* words separated by '|'; "" when there are none */
    const char *doc;     /* one sentence; SHOWN settings say why they have no effect */
    int64_t default_value;
    int64_t min, max; /* inclusive */
    enum topic_setting_type type;
    enum topic_setting_behaviour behaviour;
};

struct topic_config {
    uint64_t overridden;                /* bit id: value[id] is set here */
    int64_t value[TOPIC_SETTING_COUNT]; /* 0 while not overridden */
};
EL_STATIC_ASSERT(TOPIC_SETTING_COUNT <= 64, "a bit of topic_config.overridden for each setting");

/* The row of the table; asserts that id is one. */
const struct topic_setting *topic_setting(enum topic_setting_id id);
/* Id of a name, -1 when there is none. Names are case sensitive. */
int topic_setting_find(struct el_slice name);
/* What a setting accepts, as the end of a sentence, into text[text_max]; returns text. */
const char *topic_setting_allowed(enum topic_setting_id id, char *text, size_t text_max);

/* No overrides. */
void topic_config_init(struct topic_config *cfg);
/* Override one setting. Nothing changes on refusal.
 *
 * value     text, not NUL-terminated; data NULL (null on the wire) is refused
 * returns   0 | EVLOG_ERR_INVALID_CONFIG with a text that says what is allowed, or which name was perhaps meant
 */
int topic_config_set(struct topic_config *cfg, struct el_slice name, struct el_slice value, struct el_error *err);
/* Add elements to a list, or take them away, starting from its effective value. returns 0 | EVLOG_ERR_INVALID_CONFIG,
 * nothing changes, as when the result or what is to be added is none of the choices */
int topic_config_list(struct topic_config *cfg, const struct topic_config *defaults, struct el_slice name,
                      struct el_slice value, bool add, struct el_error *err);
/* Take an override back; no override is no error. returns 0 | EVLOG_ERR_INVALID_CONFIG unknown name */
int topic_config_unset(struct topic_config *cfg, struct el_slice name, struct el_error *err);

/* Effective value: cfg's override, else that of defaults, else the table's. cfg and defaults may each be NULL. */
int64_t topic_config_int(const struct topic_config *cfg, const struct topic_config *defaults, enum topic_setting_id id);
static inline bool topic_config_is_overridden(const struct topic_config *cfg, enum topic_setting_id id)
{
    return cfg != NULL && (cfg->overridden >> id & 1) != 0;
}

/* What DescribeConfigs tells about one setting. */
struct topic_config_entry {
    const struct topic_setting *setting;
    enum topic_setting_source source;
    bool is_default;                  /* the topic itself does not override it */
    char value[TOPIC_VALUE_TEXT_MAX]; /* effective value, NUL-terminated */
};
/* Iterate with id from 0 to TOPIC_SETTING_COUNT - 1. */
void topic_config_describe(const struct topic_config *cfg, const struct topic_config *defaults,
                           enum topic_setting_id id, struct topic_config_entry *entry);

/* Names of the settings that have a value other than their default and change nothing in evlogd, separated by commas.
 *
 * before   what has been said already is left out; NULL for nothing
 * returns  text[text_max], "" when there is none; cut at its end
 */
const char *topic_config_without_effect(const struct topic_config *cfg, const struct topic_config *before, char *text,
                                        size_t text_max);

/* Overrides as bytes, for the catalogue: u32 little-endian count, then count times name NUL value NUL.
 *
 * out       [out_max], TOPIC_CONFIG_BYTES_MAX always suffices
 * returns   0 and *len | EVLOG_ERR_LIMIT
 */
int topic_config_encode(const struct topic_config *cfg, uint8_t *out, size_t out_max, size_t *len);
/* Read them back. A name or value that this version does not know is left out and logged, so that an older program can
 * open a newer catalogue.
 *
 * returns   0 | EVLOG_ERR_TRUNCATED | EVLOG_ERR_MALFORMED; *cfg is written only on 0
 */
int topic_config_decode(struct topic_config *cfg, const uint8_t *data, size_t len);

/* The same overrides with the same values. */
bool topic_config_equal(const struct topic_config *a, const struct topic_config *b);

#endif
