/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine does now and then, counted: a run of many seeds in which something of it never happened shows nothing
 * about it. Faults are counted by the table of faults.h.
 */
#ifndef EL_SIM_EVENTS_H
#define EL_SIM_EVENTS_H

#include "faults.h"

enum sim_event {
    EVENT_START_REFUSED,
    EVENT_COMPACTED,
    EVENT_OFFSETS_COMPACTED,
    EVENT_REBALANCED,
    EVENT_MEMBER_EXPIRED,
    EVENT_COMMITTED,
    EVENT_COMMIT_EXPIRED,
    EVENT_COMMIT_DELETED,
    EVENT_COMMIT_GONE,
    EVENT_GROUP_DELETED,
    EVENT_GROUP_ANEW,
    EVENT_GROUPS_UNSERVED,
    EVENT_LIMIT_REFUSED,
    EVENT_LEASED,
    EVENT_LEASED_AGAIN,
    EVENT_LEASE_DONE,
    EVENT_LEASE_LATE,
    EVENT_LEASE_EXTENDED,
    EVENT_DEAD_LETTER,
    EVENT_SHARE_FINISHED,
    EVENT_AUDITED,
    EVENT_ACCESS_CHANGED,
    EVENT_ACCESS_KEPT,
    EVENT_ACCESS_LOST,
    EVENT_QUOTA_SET,
    EVENT_QUOTA_KEPT,
    EVENT_SETTING_SET,
    EVENT_SETTING_KEPT,
    EVENT_SETTING_REFUSED,
    EVENT_FILTER_GAVE,
    EVENT_FILTER_PASSED,
    EVENT_LEASED_EXPIRED,
    EVENT_MOVED,
    EVENT_WORK_ENDED,
    EVENT_TRIMMED,
    EVENT_HALT_ENDED,
    EVENT_CAME_BACK,
    EVENT_BACK_UNSEEN,
    EVENT_COPIED,
    EVENT_EMITTED,
    EVENT_EMIT_LETTER,
    EVENT_REMOTE_READ,
    EVENT_LEFT_THE_DISK,
    EVENT_CAME_TO_THE_DISK,
    EVENT_RETIRED,
    EVENT_ORPHANS,
    EVENT_REDACTED,
    EVENT_REDACTED_LATER,
    EVENT_COUNT
};

struct sim_event_info {
    const char *name;
    unsigned modes; /* a bit for each enum sim_mode in which it happens */
    const char *what;
};

extern const struct sim_event_info sim_event_table[EVENT_COUNT];

static inline bool sim_event_applies(enum sim_event event, enum sim_mode mode)
{
    return (sim_event_table[event].modes >> mode & 1) != 0;
}

struct store;
/* Count what an open store shows; once, at its end. */
void sim_event_count(uint64_t events[EVENT_COUNT], struct store *store, uint32_t shard_count);
/* Print the table. */
void sim_event_list(void);

#endif
