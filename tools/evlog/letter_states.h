/* SPDX-License-Identifier: Apache-2.0
 *
 * Which dead letters were redriven or dropped, asked of the broker for each group and partition when its first letter
 * is seen. A broker that does not know redrives knows none that were. Where the broker does not tell, for want of a
 * right above all, the state is "unknown", and letter_states_say() tells why.
 */
#ifndef EVLOG_TOOLS_LETTER_STATES_H
#define EVLOG_TOOLS_LETTER_STATES_H

#include "dead_letter.h"

#include <evlog/redrive.h>

#define LETTER_STATES_MAX 256 /* of so many groups and partitions; what has become of others is unknown */

struct letter_states {
    struct cli *cli;
    struct letter_states_part {
        char group[256];
        int32_t partition;
        struct evlog_letter_list *list; /* NULL: all are open, or unknown */
        bool unknown;
    } * parts; /* [part_count] of LETTER_STATES_MAX */
    size_t part_count;
    bool off;                 /* nobody knows */
    uint64_t unknown_count;   /* letters whose state was said to be unknown */
    struct evlog_failure why; /* the first reason; code 0: there were too many */
};

/* "open", "redriven", "dropped" or "unknown"; static */
const char *letter_state(struct letter_states *states, const struct evlog_event *event,
                         const struct dead_letter *letter);
/* Letters from offset start on, below end, that are not open; -1: nobody knows */
int64_t letter_states_settled(struct cli *cli, const char *group, const char *topic, int32_t partition, int64_t start,
                              int64_t end);
/* Of how many letters it is unknown what has become of them, and why; nothing where it is known of all. */
void letter_states_say(const struct letter_states *states);
void letter_states_free(struct letter_states *states);

#endif
