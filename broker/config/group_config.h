/* SPDX-License-Identifier: Apache-2.0
 *
 * A work group's settings: the overrides it carries on top of the built-in values. The settings themselves are the
 * table group_settings.def, the rules of values override.h. Pure functions; struct group_config is plain data that may
 * be copied by assignment. It is large for its texts: who keeps many takes group_config_len() bytes of each.
 */
#ifndef EL_CONFIG_GROUP_CONFIG_H
#define EL_CONFIG_GROUP_CONFIG_H

#include <config/override.h>
#include <core/limits.h>

enum group_setting_id {
#define GROUP_SETTING(ID, name, alias, type, default_, min, max, behaviour, choices, doc) GROUP_SETTING_##ID,
#include <config/group_settings.def>
#undef GROUP_SETTING
    GROUP_SETTING_COUNT
};

/* Values of the settings with choices: the index of the choice. */
enum group_order { GROUP_ORDER_KEY = 0, GROUP_ORDER_PARTITION = 1, GROUP_ORDER_NONE = 2 };
enum group_exhausted { GROUP_EXHAUSTED_SKIP = 0, GROUP_EXHAUSTED_PARK = 1, GROUP_EXHAUSTED_HALT = 2 };
enum group_jitter { GROUP_JITTER_FULL = 0, GROUP_JITTER_NONE = 1 };
enum group_isolation { GROUP_READ_UNCOMMITTED = 0, GROUP_READ_COMMITTED = 1 };

#define GROUP_TEXTS_MAX 9776          /* all texts at their longest, each with a NUL */
#define GROUP_CONFIG_BYTES_MAX 12288u /* more than group_config_encode() ever writes */

struct group_config {
    struct overrides set;
    char texts[GROUP_TEXTS_MAX]; /* override.h's */
};
EL_STATIC_ASSERT(GROUP_SETTING_COUNT <= OVERRIDE_ROWS_MAX, "a value for each setting");
EL_STATIC_ASSERT(offsetof(struct group_config, texts) == sizeof(struct overrides), "texts lie behind the numbers");

/* The table, for the functions of override.h. */
extern const struct override_table group_settings;

/* No overrides. */
void group_config_init(struct group_config *cfg);
/* Override one setting; nothing changes on refusal. returns 0 | EVLOG_ERR_INVALID_CONFIG with a text */
int group_config_set(struct group_config *cfg, struct el_slice name, struct el_slice value, struct el_error *err);
/* Do the settings go together? Asked of a whole set before it counts. returns 0 | EVLOG_ERR_INVALID_CONFIG with a text
 */
int group_config_check(const struct group_config *cfg, struct el_error *err);

/* Effective value: cfg's override, else the table's. cfg may be NULL. */
int64_t group_config_int(const struct group_config *cfg, enum group_setting_id id);
/* The same of a TEXT; lies in cfg or is static. */
struct el_slice group_config_text(const struct group_config *cfg, enum group_setting_id id);

/* Bytes of cfg that count: whoever copies so many has a struct group_config to read, not to change. */
size_t group_config_len(const struct group_config *cfg);
/* Overrides as bytes: see overrides_encode(). out[out_max]; GROUP_CONFIG_BYTES_MAX always suffices */
int group_config_encode(const struct group_config *cfg, uint8_t *out, size_t out_max, size_t *len);
/* returns 0 | EVLOG_ERR_TRUNCATED | EVLOG_ERR_MALFORMED; *cfg is then without overrides */
int group_config_decode(struct group_config *cfg, const uint8_t *data, size_t len);
bool group_config_equal(const struct group_config *a, const struct group_config *b);

/* Where a group begins in a partition that it does not know. */
struct group_start {
    enum { GROUP_START_LATEST, GROUP_START_EARLIEST, GROUP_START_TIME, GROUP_START_OFFSET } kind;
    int64_t value; /* TIME: ms since 1970; OFFSET: the offset */
};
/* now_ms: wall time, for durations. */
void group_config_start(const struct group_config *cfg, int32_t partition, int64_t now_ms, struct group_start *start);

/* Name of the topic for dead letters of a source, always one that is allowed: characters of the group's id that no
 * topic may have become '-', and where that or the length changes the name a hash of group and topic ends it. */
void group_config_dead_topic(const struct group_config *cfg, struct el_slice topic, struct el_slice group_id,
                             char name[EL_TOPIC_NAME_MAX + 1]);

#endif
