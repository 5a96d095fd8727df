/* SPDX-License-Identifier: Apache-2.0
 *
 * Kafka has two names for most settings of topics: that of the topic ("retention.ms") and that of the broker's default
 * for all topics ("log.retention.ms"). evlogd takes both for its defaults, and DescribeConfigs of the broker shows the
 * second. Pure functions over the table core/broker_names.def.
 */
#ifndef EL_CONFIG_BROKER_NAME_H
#define EL_CONFIG_BROKER_NAME_H

#include <config/topic_config.h>

/* Kafka's name of the broker-wide default, the topic's own where Kafka has none (evlog.*). */
const char *broker_name(enum topic_setting_id id);
/* Id of the topic setting with this broker-wide name, -1 when there is none. */
int broker_name_find(struct el_slice name);

#endif
