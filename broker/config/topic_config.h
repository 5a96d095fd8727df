/* SPDX-License-Identifier: Apache-2.0
 *
 * A topic's settings: the overrides it carries, on top of the broker-wide defaults, on top of the built-in ones. The
 * settings themselves are the table topic_settings.def, the rules of values override.h. Pure functions; struct
 * topic_config is plain data that may be copied by assignment. The broker-wide defaults are a struct topic_config of
 * their own, passed as `defaults`.
 */
#ifndef EL_CONFIG_TOPIC_CONFIG_H
#define EL_CONFIG_TOPIC_CONFIG_H

#include <config/override.h>
#include <core/limits.h>

enum topic_setting_id {
#define TOPIC_SETTING(ID, name, type, default_, min, max, behaviour, choices, doc) TOPIC_##ID,
#include <config/topic_settings.def>
#undef TOPIC_SETTING
    TOPIC_SETTING_COUNT
};

/* Values of the settings with choices: the index of the choice. */
enum topic_cleanup { TOPIC_CLEANUP_DELETE = 0, TOPIC_CLEANUP_COMPACT = 1, TOPIC_CLEANUP_BOTH = 2 };
enum topic_timestamp_type { TOPIC_CREATE_TIME = 0, TOPIC_LOG_APPEND_TIME = 1 };
enum topic_partitioner { TOPIC_MURMUR2 = 0, TOPIC_CRC32 = 1, TOPIC_FNV1A = 2 };
enum topic_durability {
    TOPIC_DURABILITY_FLUSH = 0,
    TOPIC_DURABILITY_MEMORY = 1,
    TOPIC_DURABILITY_STORE = 2,
    TOPIC_DURABILITY_BOTH = 3,
};

#define TOPIC_CONFIG_BYTES_MAX 2048 /* more than topic_config_encode() ever writes */

struct topic_config {
    struct overrides set;
};
EL_STATIC_ASSERT(TOPIC_SETTING_COUNT <= OVERRIDE_ROWS_MAX, "a value for each setting");

/* The table, for the functions of override.h. */
extern const struct override_table topic_settings;

/* The row of the table; asserts that id is one. */
const struct override_row *topic_setting(enum topic_setting_id id);
/* Id of a name, -1 when there is none. Names are case sensitive. */
int topic_setting_find(struct el_slice name);

/* No overrides. */
void topic_config_init(struct topic_config *cfg);
/* Of a topic of evlog's own, whatever the defaults of topics say.
 *
 * settings  [count] name and value; each is legal
 */
void topic_config_init_own(struct topic_config *cfg, const char *const (*settings)[2], size_t count);
/* Of one that is a table: the last record of each key must stay, whatever the
 * defaults of topics say.
 *
 * large  its batches may have 16 MiB, whatever max.message.bytes is
 */
void topic_config_init_kept(struct topic_config *cfg, bool large);
/* Override one setting. Nothing changes on refusal.
 *
 * value     text, not NUL-terminated; data NULL (null on the wire) is refused
 * returns   0 | EVLOG_ERR_INVALID_CONFIG with a text that says what is allowed, or which name was perhaps meant
 */
int topic_config_set(struct topic_config *cfg, struct el_slice name, struct el_slice value, struct el_error *err);
/* Take an override back; no override is no error. returns 0 | EVLOG_ERR_INVALID_CONFIG unknown name */
int topic_config_unset(struct topic_config *cfg, struct el_slice name, struct el_error *err);

/* Effective value: cfg's override, else that of defaults, else the table's. cfg and defaults may each be NULL. */
int64_t topic_config_int(const struct topic_config *cfg, const struct topic_config *defaults, enum topic_setting_id id);
static inline bool topic_config_is_overridden(const struct topic_config *cfg, enum topic_setting_id id)
{
    return cfg != NULL && overrides_has(&cfg->set, (int)id);
}

/* Do the keys of the topic make streams? Its own setting alone says so: a default could not hold for what was made
 * before. */
static inline bool topic_config_streams(const struct topic_config *cfg)
{
    return topic_config_int(cfg, NULL, TOPIC_STREAMS) != 0;
}
/* Is an append acknowledged only when the archive has it? */
bool topic_config_needs_archive(const struct topic_config *cfg, const struct topic_config *defaults);
/* May a topic be made with these settings?
 * returns 0 | EVLOG_ERR_POLICY, EVLOG_ERR_INVALID_CONFIG with a text */
int topic_config_check_new(const struct topic_config *cfg, struct el_error *err);
/* May a topic's settings become `next`? Some are for life. returns 0 | EVLOG_ERR_POLICY with a text */
int topic_config_check_change(const struct topic_config *cfg, const struct topic_config *next, struct el_error *err);
/* Is this one of those that only a topic itself may have? */
bool topic_setting_is_own(enum topic_setting_id id);

/* What DescribeConfigs tells about one setting. Iterate with id from 0 to TOPIC_SETTING_COUNT - 1. */
void topic_config_describe(const struct topic_config *cfg, const struct topic_config *defaults,
                           enum topic_setting_id id, struct override_entry *entry);

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
