/* SPDX-License-Identifier: Apache-2.0
 *
 * Which dead letters were redriven or dropped, asked of the broker for each group and partition when its first letter
 * is seen. A broker that does not know redrives knows none that were.
 */
#ifndef EVLOG_TOOLS_LETTER_STATES_H
#define EVLOG_TOOLS_LETTER_STATES_H

#include "dead_letter.h"

#include <evlog/redrive.h>

#define LETTER_STATES_MAX 256 /* of so many groups and partitions; of others the letters count as open */

struct letter_states {
    struct cli *cli;
    struct letter_states_part {
        char group[256];
        int32_t partition;
        struct evlog_letter_list *list; /* NULL: all are open */
    } * parts;                          /* [part_count] of LETTER_STATES_MAX */
    size_t part_count;
    bool off; /* nobody knows */
};

/* "open", "redriven" or "dropped"; static */
const char *letter_state(struct letter_states *states, const struct evlog_event *event,
                         const struct dead_letter *letter);
/* Letters from offset start on, below end, that are not open; -1: nobody knows */
int64_t letter_states_settled(struct cli *cli, const char *group, const char *topic, int32_t partition, int64_t start,
                              int64_t end);
void letter_states_free(struct letter_states *states);

#endif
