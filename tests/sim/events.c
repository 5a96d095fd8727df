/* SPDX-License-Identifier: Apache-2.0
 *
 * See events.h.
 */
#include "events.h"

#include <stdio.h>
#include <storage/shard_state.h>
#include <string.h>

#define ALL (1u << MODE_STORE | 1u << MODE_BROKER | 1u << MODE_LEASE)
#define BROKER (1u << MODE_BROKER)
#define LEASES (1u << MODE_LEASE)
#define STORES (1u << MODE_STORE)
#define ARCHIVES (1u << MODE_ARCHIVE)

/* clang-format off */
const struct sim_event_info sim_event_table[EVENT_COUNT] = {
    [EVENT_START_REFUSED] = {"start-refused", ALL, "a start was refused, and there was a reason"},
    [EVENT_COMPACTED] = {"compacted", ALL, "a pass of compaction"},
    [EVENT_OFFSETS_COMPACTED] = {"offsets-compacted", BROKER,
        "at the end of a life a partition of __consumer_offsets was compacted"},
    [EVENT_REBALANCED] = {"rebalanced", BROKER, "a group began a generation"},
    [EVENT_MEMBER_EXPIRED] = {"member-expired", BROKER, "a member was removed, for nothing was heard of it"},
    [EVENT_COMMITTED] = {"committed", BROKER, "an offset was committed"},
    [EVENT_COMMIT_EXPIRED] = {"commit-expired", BROKER, "a commit was removed for its age"},
    [EVENT_COMMIT_DELETED] = {"commit-deleted", BROKER, "OffsetDelete said that a commit is gone"},
    [EVENT_COMMIT_GONE] = {"commit-gone", BROKER, "a look found no commit where there had been one"},
    [EVENT_GROUP_DELETED] = {"group-deleted", BROKER, "DeleteGroups said that a group is gone"},
    [EVENT_GROUP_ANEW] = {"group-anew", BROKER, "a group that had ended began again"},
    [EVENT_GROUPS_UNSERVED] = {"groups-unserved", BROKER,
        "a partition of __consumer_offsets was damaged, and its groups refused"},
    [EVENT_LIMIT_REFUSED] = {"limit-refused", BROKER, "a request was over a limit of the configuration"},
    [EVENT_LEASED] = {"leased", BROKER | LEASES, "a member of a group got an event for the first time"},
    [EVENT_LEASED_AGAIN] = {"leased-again", BROKER | LEASES, "likewise one that was delivered before"},
    [EVENT_LEASE_DONE] = {"lease-done", BROKER | LEASES, "an event of it was acknowledged"},
    [EVENT_LEASE_LATE] = {"lease-late", BROKER | LEASES, "outcomes were refused, for their leases had ended"},
    [EVENT_LEASE_EXTENDED] = {"lease-extended", BROKER | LEASES, "a lease was extended"},
    [EVENT_DEAD_LETTER] = {"dead-letter", BROKER | LEASES, "a dead letter was found"},
    [EVENT_AUDITED] = {"audited", BROKER,
        "after a start the audit log had both records of a change that was acknowledged"},
    [EVENT_ACCESS_CHANGED] = {"access-changed", BROKER, "a change of users or access rules was acknowledged"},
    [EVENT_ACCESS_KEPT] = {"access-kept", BROKER, "a start had such a change that nobody had an answer to"},
    [EVENT_ACCESS_LOST] = {"access-lost", BROKER, "a start had nothing of such a change"},
    [EVENT_QUOTA_SET] = {"quota-set", BROKER, "a change of quotas was acknowledged"},
    [EVENT_QUOTA_KEPT] = {"quota-kept", BROKER, "the first look after a start found a quota as it was acknowledged"},
    [EVENT_SETTING_SET] = {"setting-set", BROKER, "a change of the broker's settings was acknowledged"},
    [EVENT_SETTING_KEPT] = {"setting-kept", BROKER, "the first look after a start found settings as acknowledged"},
    [EVENT_SETTING_REFUSED] = {"setting-refused", BROKER, "the file of settings could not be written"},
    [EVENT_SHARE_FINISHED] = {"share-finished", BROKER, "at the end nothing was left to do for a share group"},
    [EVENT_FILTER_GAVE] = {"filter-gave", BROKER, "a filtered fetch gave a batch with a match"},
    [EVENT_FILTER_PASSED] = {"filter-passed", BROKER, "a filtered fetch passed over a batch without one"},
    [EVENT_LEASED_EXPIRED] = {"leased-expired", LEASES, "an event went by its age while a worker had it"},
    [EVENT_MOVED] = {"moved", LEASES, "an operator moved where a work group stands"},
    [EVENT_WORK_ENDED] = {"work-ended", LEASES, "a work group was deleted and made anew"},
    [EVENT_TRIMMED] = {"trimmed", LEASES, "an operator deleted the beginning of a log that is worked on"},
    [EVENT_HALT_ENDED] = {"halt-ended", LEASES, "a halted partition was let go on"},
    [EVENT_CAME_BACK] = {"came-back", LEASES, "a dead letter was found that brought its event back"},
    [EVENT_BACK_UNSEEN] = {"back-unseen", LEASES, "the same, before a worker got the event again"},
    [EVENT_COPIED] = {"copied", LEASES, "the copy of a dead letter was found"},
    [EVENT_EMITTED] = {"emitted", LEASES, "something that was emitted was found"},
    [EVENT_EMIT_LETTER] = {"emit-letter", LEASES, "the same as a dead letter, for its topic has refused it"},
    [EVENT_REMOTE_READ] = {"remote-read", STORES, "events that only the archive has were read"},
    [EVENT_CAME_TO_THE_DISK] = {"came-to-the-disk", STORES, "a segment came back from the archive"},
    [EVENT_LEFT_THE_DISK] = {"left-the-disk", STORES,
        "at the end of a life a partition had events that only the archive has"},
    [EVENT_RETIRED] = {"retired", ARCHIVES, "old events of a partition left the archive"},
    [EVENT_ORPHANS] = {"orphans", ARCHIVES, "objects that no root names were removed"},
    [EVENT_REDACTED] = {"redacted", STORES | ARCHIVES, "a redaction was said to be complete"},
    [EVENT_REDACTED_LATER] = {"redacted-later", STORES | ARCHIVES,
        "the same, of one that was asked for before a crash or a stop"},
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
            events[EVENT_LEFT_THE_DISK] += tier_has_more(part);
        }
    }
}

void sim_event_list(void)
{
    printf("\n%-22s %-14s %s\n", "event", "mode", "what happened");
    for (uint32_t i = 0; i < EVENT_COUNT; i++) {
        unsigned modes = sim_event_table[i].modes;
        printf("%-22s %-14s %s\n", sim_event_table[i].name,
               modes == ALL                   ? "all"
               : modes == BROKER              ? "broker"
               : modes == LEASES              ? "lease"
               : modes == STORES              ? "store"
               : modes == ARCHIVES            ? "archive"
               : modes == (BROKER | LEASES)   ? "broker, lease"
               : modes == (STORES | ARCHIVES) ? "store, archive"
                                              : "store, broker",
               sim_event_table[i].what);
    }
}
