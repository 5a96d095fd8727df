/* SPDX-License-Identifier: Apache-2.0
 *
 * Places in a log as people write them: start, end, an offset, -N before the end, +N behind the start, @TIME.
 */
#ifndef EVLOG_TOOLS_WHERE_H
#define EVLOG_TOOLS_WHERE_H

#include "cli.h"

enum where_kind { WHERE_START, WHERE_END, WHERE_OFFSET, WHERE_BEFORE_END, WHERE_BEHIND_START, WHERE_TIME };

struct where {
    enum where_kind kind;
    int64_t number; /* offset, events, or ms since 1970 */
};

/* Read a place.
 *
 * option   in whose name a mistake is told, such as "-o"
 * returns  CLI_OK | CLI_USAGE told
 */
int where_parse(const struct cli *cli, const char *option, const char *text, struct where *where);
/* A number without a sign. */
bool where_count(const char *text, int64_t *number);
/* The offset of a place, within start .. end.
 *
 * at_time  of WHERE_TIME: first offset at or after it, -1 none
 */
int64_t where_offset(const struct where *where, int64_t start, int64_t end, int64_t at_time);

#endif
