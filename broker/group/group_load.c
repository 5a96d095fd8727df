/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a partition of __consumer_offsets at start (storage/record_scan.h). Then members of groups that were stable
 * have their session timeout to be heard of again, and the groups are served.
 *
 * When it cannot be read, the partition's groups are refused, for a commit that is not known would be taken for none.
 * Clients are told meanwhile that groups are loading.
 */
#include <group/group_state.h>
#include <storage/record_scan.h>

struct group_load {
    struct group_partition *part;
    struct record_scan scan;
};

/* --- records ------------------------------------------------------------------------------------------------------ */

static void members_clear(struct group *group)
{
    group->leader = NULL;
    while (!el_list_empty(&group->members)) {
        member_remove(EL_CONTAINER(group->members.next, struct member, link), EVLOG_ERR_UNKNOWN_MEMBER);
    }
}

static int apply_commit(struct group *group, const struct group_record_key *key, struct el_slice value)
{
    struct group_offset *offset = group_offset_find(group, &key->topic_id, key->partition);
    struct group_record_commit commit;
    if (value.data == NULL) {
        if (offset != NULL) {
            group_offset_remove(group, offset);
        }
        return 0;
    }
    int code = group_record_commit_decode(value, &commit);
    if (code != 0) {
        return code;
    }
    offset = offset == NULL ? group_offset_get(group, &key->topic_id, key->partition) : offset;
    struct el_slice metadata;
    if (offset == NULL || !group_copy(group->gs, commit.metadata, &metadata)) {
        return EVLOG_ERR_NO_MEMORY;
    }
    group_drop(group->gs, &offset->metadata);
    offset->metadata = metadata;
    offset->committed = true;
    offset->offset = commit.offset;
    offset->leader_epoch = commit.leader_epoch;
    offset->time_ms = commit.time_ms;
    return 0;
}

static int apply_state(struct group *group, struct el_slice value)
{
    struct groups *gs = group->gs;
    struct group_record_state state;
    members_clear(group);
    group->stored = value.data != NULL;
    if (value.data == NULL) {
        return 0;
    }
    int code = group_record_state_decode(value, &state);
    if (code != 0) {
        return code;
    }
    group_drop(gs, &group->protocol_type);
    group_drop(gs, &group->protocol);
    if (!group_copy(gs, state.protocol_type, &group->protocol_type) ||
        !group_copy(gs, state.protocol, &group->protocol)) {
        return EVLOG_ERR_NO_MEMORY;
    }
    group->generation = state.generation;
    group->state_ms = state.time_ms;
    for (struct group_record_member stored; group_record_member_next(&state.members, &stored);) {
        struct member *member = member_restore(group, &stored, state.protocol);
        if (member == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        if (el_slice_eq(member->id, state.leader_id)) {
            group->leader = member;
        }
    }
    return 0;
}

static int apply(void *arg, const struct el_record *record)
{
    struct group_load *load = arg;
    struct group_partition *part = load->part;
    struct group_record_key key;
    int code = group_record_key_decode(record->key, &key);
    if (code != 0) {
        return code;
    }
    struct group *group = group_find(part->gs, key.group_id);
    if (group == NULL && record->value.data == NULL) {
        return 0;
    }
    group = group == NULL ? group_create(part->gs, part, key.group_id) : group;
    if (group == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (group->part != part) {
        return EVLOG_ERR_CORRUPT; /* it belongs to another partition */
    }
    return key.kind == GROUP_RECORD_COMMIT ? apply_commit(group, &key, record->value)
                                           : apply_state(group, record->value);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void groups_ready(struct group_partition *part)
{
    EL_LIST_EACH_SAFE(node, next, &part->groups) {
        struct group *group = EL_CONTAINER(node, struct group, link);
        if (!group_remove_if_unused(group) && group->member_count > 0) {
            group_enter_stable(group);
            group_restored(group);
        }
    }
}

static void load_end(void *arg, int code)
{
    struct group_load *load = arg;
    struct group_partition *part = load->part;
    EL_ASSERT(part->load == load);
    if (code == 0) {
        groups_ready(part);
    }
    part->load = NULL;
    el_buddy_free(part->gs->buddy, load);
    group_partition_loaded(part, code);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

void group_load_drop(struct group_partition *part)
{
    if (part->load != NULL) {
        record_scan_drop(&part->load->scan);
        el_buddy_free(part->gs->buddy, part->load);
        part->load = NULL;
    }
}

void group_load_start(struct group_partition *part)
{
    struct groups *gs = part->gs;
    struct group_load *load = el_buddy_alloc(gs->buddy, sizeof *load);
    if (load == NULL) {
        group_partition_loaded(part, EVLOG_ERR_NO_MEMORY);
        return;
    }
    *load = (struct group_load){
        .part = part,
        .scan = {.shard = gs->shard,
                 .io = gs->io,
                 .metrics = gs->metrics,
                 .stopping = &gs->stopping,
                 .topic_id = part->topic_id,
                 .partition = part->index,
                 .module = "group",
                 .topic = GROUPS_TOPIC,
                 .waiters = "its groups",
                 .damaged = METRIC_GROUP_RECORDS_DAMAGED,
                 .take = apply,
                 .end = load_end,
                 .arg = load},
    };
    part->load = load;
    record_scan_start(&load->scan);
}
