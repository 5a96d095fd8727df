/* SPDX-License-Identifier: Apache-2.0
 *
 * Partitions that a work group has halted: said to people, with the command that lets them go on. No dead letter tells
 * of them.
 */
#ifndef EVLOG_TOOLS_GROUP_HALTS_H
#define EVLOG_TOOLS_GROUP_HALTS_H

#include "cli.h"

#include <evlog/groups.h>

/* Of one group. What cannot be asked is not said. */
void group_halts_say(struct cli *cli, const char *group);
/* Of the work groups in a list; topic: only those that the topic of dead letters is named after, NULL all. */
void group_halts_say_all(struct cli *cli, const struct evlog_group_list *groups, const char *topic);

#endif
