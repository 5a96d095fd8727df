/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults that evlogd finds are counted where they are found, by code that knows nothing of the audit log. Every second
 * each shard looks whether its counters have moved, those of its recovery included, and notes what has.
 */
#include <audit/audit_state.h>

#include <string.h>

static const struct fault {
    enum metric_id metric;
    const char *action;
} faults[] = {
    {METRIC_CLOCK_JUMPS, "clock_jump"},
    {METRIC_QUARANTINED_BYTES, "damage_quarantined_bytes"},
    {METRIC_SHARD_STOPPED, "shard_stopped"},
    {METRIC_ACCESS_RECORDS_DAMAGED, "access_records_damaged"},
    {METRIC_GROUP_RECORDS_DAMAGED, "group_records_damaged"},
    {METRIC_LEASE_RECORDS_DAMAGED, "work_group_records_damaged"},
};

static void fault_note(struct audit *audit, const char *action, uint64_t count)
{
    audit_note(audit,
               &(struct audit_note){
                   .class = CONFIG_AUDIT_FAULTS, .action = el_slice_str(action), .outcome = "found", .count = count});
}

void audit_faults_look(struct audit *audit)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        int64_t value = metrics_get(audit->metrics, faults[i].metric), *seen = &audit->seen[faults[i].metric];
        if (value > *seen) {
            fault_note(audit, faults[i].action, (uint64_t)(value - *seen));
        }
        *seen = value;
    }
    if (audit->lost > 0) {
        fault_note(audit, "audit_records_lost", audit->lost);
        audit->lost = 0;
    }
}
