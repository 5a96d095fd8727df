/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be set: a setting of evlogd, or after those one of topics, which is then the default of all topics. And
 * where its value came from. Behind them are the settings of single listeners that somebody has set; those have names
 * and places only together with a struct config. Pure functions over struct config.
 */
#ifndef EL_CONFIG_CONFIG_TARGET_H
#define EL_CONFIG_CONFIG_TARGET_H

#include <config/config.h>
#include <core/bytes.h>

#define CONFIG_TOPIC_SECTION "topics"
#define CONFIG_TARGET_COUNT (CONFIG_SETTING_COUNT + TOPIC_SETTING_COUNT)
#define CONFIG_TARGET_OF_TOPIC(id) (CONFIG_SETTING_COUNT + (int)(id))     /* of an enum topic_setting_id */
#define CONFIG_TARGET_OF_LISTENER(row) (CONFIG_TARGET_COUNT + (int)(row)) /* of listener_values, for config_blame() */
#define CONFIG_PLACE_MAX (CONFIG_PATH_MAX + 64)                           /* where a value came from, with the NUL */

bool config_target_is_topic(int target);
enum topic_setting_id config_target_topic(int target);
const char *config_target_name(int target);
const char *config_target_section(int target);
const char *config_target_key(int target);
/* The other name of a topic setting's default, as Kafka's brokers have it; the same name where there is no other. */
const char *config_target_other_name(int target);
struct config_origin *config_target_origin(struct config *cfg, int target);

/* "FILE:LINE:COLUMN", "environment variable NAME", "flag --NAME" or "default" into text[text_max]; returns text. */
const char *config_place(const struct config *cfg, int target, char *text, size_t text_max);
/* Say in a refusal where the values come from that it is about: the place of the first that somebody has set stands
 * before the text, as in refusals of a single value, and those of the others behind it. What is empty and was set by
 * nobody is not named.
 *
 * err       the refusal; may be NULL
 * code      of the refusal; 0: there is none, and nothing is done
 * targets   [count] settings, the one that is to be changed first
 * returns   code
 */
int config_blame(const struct config *cfg, struct el_error *err, int code, const int *targets, size_t count);
#define CONFIG_BLAME(cfg, err, code, ...)                                                                              \
    config_blame(cfg, err, code, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

#endif
