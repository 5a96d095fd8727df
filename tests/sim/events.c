/* SPDX-License-Identifier: Apache-2.0
 *
 * See events.h.
 */
#include "events.h"

#include <stdio.h>
#include <storage/shard_state.h>
#include <string.h>

/* clang-format off */
const struct sim_event_info sim_event_table[EVENT_COUNT] = {
    [EVENT_START_REFUSED] = {"start-refused", false, "a start was refused, and there was a reason"},
    [EVENT_COMPACTED] = {"compacted", false, "a pass of compaction"},
    [EVENT_OFFSETS_COMPACTED] = {"offsets-compacted", true,
        "at the end of a life a partition of __consumer_offsets was compacted"},
    [EVENT_REBALANCED] = {"rebalanced", true, "a group began a generation"},
    [EVENT_MEMBER_EXPIRED] = {"member-expired", true, "a member was removed, for nothing was heard of it"},
    [EVENT_COMMITTED] = {"committed", true, "an offset was committed"},
    [EVENT_COMMIT_EXPIRED] = {"commit-expired", true, "a commit was removed for its age"},
    [EVENT_COMMIT_DELETED] = {"commit-deleted", true, "OffsetDelete said that a commit is gone"},
    [EVENT_COMMIT_GONE] = {"commit-gone", true, "a look found no commit where there had been one"},
    [EVENT_GROUP_DELETED] = {"group-deleted", true, "DeleteGroups said that a group is gone"},
    [EVENT_GROUP_ANEW] = {"group-anew", true, "a group that had ended began again"},
    [EVENT_GROUPS_UNSERVED] = {"groups-unserved", true,
        "a partition of __consumer_offsets was damaged, and its groups refused"},
    [EVENT_LIMIT_REFUSED] = {"limit-refused", true, "a request was over a limit of the configuration"},
    [EVENT_LEASED] = {"leased", true, "a member of a share group got an event for the first time"},
    [EVENT_LEASED_AGAIN] = {"leased-again", true, "a member of a share group got an event that was delivered before"},
    [EVENT_LEASE_DONE] = {"lease-done", true, "an event of a share group was acknowledged"},
    [EVENT_LEASE_LATE] = {"lease-late", true, "outcomes were refused, for their leases had ended"},
    [EVENT_LEASE_EXTENDED] = {"lease-extended", true, "a lease was extended"},
    [EVENT_DEAD_LETTER] = {"dead-letter", true, "a dead letter was found"},
    [EVENT_SHARE_FINISHED] = {"share-finished", true, "at the end nothing was left to do for a share group"},
};
/* clang-format on */

void sim_event_count(uint64_t events[EVENT_COUNT], struct store *store, uint32_t shard_count)
{
    for (uint32_t i = 0; i < shard_count; i++) {
        const struct store_shard *shard = store_shard_at(store, i);
        for (size_t k = 0; k < shard->partitions.count; k++) {
            const struct partition *part = shard->partitions.entries[k].value;
            bool offsets = strcmp(part->topic->name, "__consumer_offsets") == 0;
            events[EVENT_OFFSETS_COMPACTED] += offsets && part->clean_end > 0;
        }
    }
}

void sim_event_list(void)
{
    printf("\n%-22s %-8s %s\n", "event", "mode", "what happened");
    for (uint32_t i = 0; i < EVENT_COUNT; i++) {
        printf("%-22s %-8s %s\n", sim_event_table[i].name, sim_event_table[i].broker ? "broker" : "both",
               sim_event_table[i].what);
    }
}
