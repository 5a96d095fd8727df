/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the shard's partition of __evlog_groups at start (storage/record_scan.h): settings and redrives go to
 * control, all else to the parts, which keep it as bytes until somebody uses them.
 *
 * When it cannot be read, the shard's work groups are refused, for progress that is not known would be taken for none.
 * Clients are told meanwhile that groups are loading.
 */
#include <lease/lease_group.h>
#include <storage/record_scan.h>

#include <stdio.h>

struct lease_load {
    struct leases *ls;
    struct record_scan scan;
};

static int apply(void *arg, const struct el_record *record)
{
    struct lease_load *load = arg;
    struct leases *ls = load->ls;
    struct lease_record_key key;
    int code = lease_record_key_decode(record->key, &key);
    if (code != 0) {
        return code;
    }
    if (key.kind == LEASE_RECORD_REDRIVE) {
        return ls->index == LEASE_CONTROL_SHARD
                   ? lease_redrive_restore(ls, key.group_id, (uint64_t)key.number, record->value)
                   : EVLOG_ERR_CORRUPT;
    }
    if (key.kind != LEASE_RECORD_SETTINGS) {
        return lease_part_restore(ls, &key, record->key, record->value);
    }
    /* Of another shard, when it was written there: control has always been on the same. */
    return ls->index == LEASE_CONTROL_SHARD ? lease_control_restore(ls, key.group_id, record->value)
                                            : EVLOG_ERR_CORRUPT;
}

static void load_end(void *arg, int code)
{
    struct lease_load *load = arg;
    struct leases *ls = load->ls;
    OBJ_CHECK(ls, LEASES);
    EL_ASSERT(ls->load == load);
    ls->load = NULL;
    ls->busy--;
    el_buddy_free(ls->buddy, load);
    leases_loaded(ls, code);
}

void lease_load_drop(struct leases *ls)
{
    struct lease_load *load = ls->load;
    if (load != NULL) {
        record_scan_drop(&load->scan);
        el_buddy_free(ls->buddy, load);
        ls->load = NULL;
        ls->busy--;
    }
}

void lease_load_start(struct leases *ls)
{
    struct lease_load *load = el_buddy_alloc(ls->buddy, sizeof *load);
    if (load == NULL) {
        leases_loaded(ls, EVLOG_ERR_NO_MEMORY);
        return;
    }
    *load = (struct lease_load){
        .ls = ls,
        .scan = {.shard = ls->shard,
                 .io = ls->io,
                 .metrics = ls->metrics,
                 .stopping = &ls->stopping,
                 .topic_id = ls->topic_id,
                 .partition = ls->partition,
                 .module = "lease",
                 .topic = LEASES_TOPIC,
                 .damaged = METRIC_LEASE_RECORDS_DAMAGED,
                 .take = apply,
                 .end = load_end,
                 .arg = load},
    };
    snprintf(load->scan.waiters, sizeof load->scan.waiters, "work groups on shard %u", ls->index);
    ls->load = load;
    ls->busy++;
    record_scan_start(&load->scan);
}
