/* SPDX-License-Identifier: Apache-2.0
 *
 * All events that a topic holds now, in no order between partitions. For commands that look for something.
 */
#ifndef EVLOG_TOOLS_TOPIC_SCAN_H
#define EVLOG_TOOLS_TOPIC_SCAN_H

#include "cli.h"

/* Look at one event. returns false: no more of this topic */
typedef bool (*topic_scan_fn)(void *arg, const struct evlog_event *event);

/* Read a topic from its start to where it ends now. returns CLI_OK | exit code, told */
int topic_scan(struct cli *cli, const char *topic, topic_scan_fn fn, void *arg);
/* First and last offsets of all partitions: starts[*count], then ends[*count]; free with el_free().
 *
 * bounds   out; NULL where they are not known
 * returns  CLI_OK | exit code, told
 */
int topic_scan_bounds(struct cli *cli, const char *topic, int32_t *count, int64_t **bounds);

#endif
