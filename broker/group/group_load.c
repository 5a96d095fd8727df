/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a partition of __consumer_offsets at start.
 *
 *   1. look up where its log begins
 *   2. read a piece, apply its records in order, go on in the next turn of the shard's loop, up to the high watermark
 *   3. members of groups that were stable have their session timeout to be heard of again; then the groups are served
 *
 * A record that does not decode, a piece that is damaged, or too little memory for what it says ends it: the
 * partition's groups are refused, for a commit that is not known would be taken for none. The log says why. A read that
 * failed without saying that something is damaged is repeated; clients are told meanwhile that groups are loading.
 */
#include <group/group_state.h>

#include <core/logger.h>
#include <inttypes.h>

#define PIECE_LEN_MAX (1u << 20)
#define RETRY_NS 100000000u /* no memory for the piece now */
#define RETRY_STORAGE_NS 1000000000u
#define NS_PER_MS 1000000u

struct group_load {
    struct group_partition *part;
    struct lookup_op lookup;
    struct read_op read;
    struct io_timer timer;
    int64_t offset; /* to be read next */
    uint64_t record_count;
    uint64_t began_ns;
    bool complained; /* of a read that failed */
};

static void load_on_timer(struct io_timer *timer);

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

static int apply(struct group_partition *part, const struct el_record *record)
{
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

static int apply_batch(struct group_load *load, const uint8_t *data, size_t len)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    int code = el_batch_open(&iter, data, len, NULL, 0);
    while (code == 0) {
        int more = el_batch_next(&iter, &record);
        if (more <= 0) {
            return more;
        }
        code = apply(load->part, &record.record);
        load->record_count++;
        if (code != 0) {
            el_log(EL_LOG_ERROR, "group", "%s partition %d: the record at offset %" PRId64 " cannot be taken: %s%s",
                   GROUPS_TOPIC, load->part->index, record.offset, evlog_error_text(code),
                   code == EVLOG_ERR_NO_MEMORY ? "; raise group.memory.max or memory.max" : "");
        }
    }
    return code;
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

static void load_end(struct group_load *load, int code)
{
    struct group_partition *part = load->part;
    struct groups *gs = part->gs;
    uint64_t took_ms = (gs->io->now_ns - load->began_ns) / NS_PER_MS;
    if (code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT || code == EVLOG_ERR_INVALID_RECORD) {
        metrics_add(gs->metrics, METRIC_GROUP_RECORDS_DAMAGED, 1);
    }
    if (code != 0 && code != EVLOG_ERR_CLOSED) {
        el_log(EL_LOG_ERROR, "group",
               "%s partition %d cannot be read at offset %" PRId64
               " (%s): its groups are refused until it can be and evlogd is started again",
               GROUPS_TOPIC, part->index, load->offset, evlog_error_text(code));
    } else if (code == 0 && load->record_count > 0) {
        el_log(EL_LOG_INFO, "group", "%s partition %d: %" PRIu64 " records read in %" PRIu64 " ms", GROUPS_TOPIC,
               part->index, load->record_count, took_ms);
    }
    if (code == 0) {
        groups_ready(part);
    }
    part->load = NULL;
    el_buddy_free(gs->buddy, load);
    group_partition_loaded(part, code);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void load_later(struct group_load *load, uint64_t delay_ns)
{
    struct io *io = load->part->gs->io;
    io_timer_set(io, &load->timer, io->now_ns + delay_ns);
}

/* Repeat what failed, when that may help. */
static bool load_again(struct group_load *load, int error)
{
    if (error == EVLOG_ERR_NO_MEMORY) {
        load_later(load, RETRY_NS);
        return true;
    }
    if (error != EVLOG_ERR_STORAGE && error != EVLOG_ERR_NO_FILES) {
        return false;
    }
    if (!load->complained) {
        el_log(EL_LOG_ERROR, "group",
               "%s partition %d cannot be read at offset %" PRId64 " (%s): trying again every second, its groups wait",
               GROUPS_TOPIC, load->part->index, load->offset, evlog_error_text(error));
    }
    load->complained = true;
    load_later(load, RETRY_STORAGE_NS);
    return true;
}

static void load_on_read(struct store_op *base)
{
    struct group_load *load = base->arg;
    struct read_op *read = &load->read;
    size_t pos = 0;
    int code = base->error;
    while (code == 0 && pos < read->data_len) {
        struct el_batch_info info;
        code = el_batch_header(read->data + pos, read->data_len - pos, &info);
        if (code == 0) {
            code = apply_batch(load, read->data + pos, info.len);
            pos += info.len;
        }
    }
    bool at_end = read->next_offset >= read->high_watermark;
    load->offset = code == 0 ? read->next_offset : load->offset;
    int error = base->error;
    store_read_release(read);
    if (error != 0 && load_again(load, error)) {
        return;
    }
    if (code != 0 || at_end) {
        load_end(load, code);
    } else {
        load_later(load, 0);
    }
}

static void load_on_timer(struct io_timer *timer)
{
    struct group_load *load = timer->arg;
    struct group_partition *part = load->part;
    if (part->gs->stopping) {
        load_end(load, EVLOG_ERR_CLOSED);
        return;
    }
    load->read = (struct read_op){
        .base = {.done = load_on_read, .arg = load},
        .topic_id = part->topic_id,
        .partition = part->index,
        .offset = load->offset,
        .max_bytes = PIECE_LEN_MAX,
        .at_least_one = true,
        .current_leader_epoch = -1,
        .last_fetched_epoch = -1,
    };
    store_read(part->gs->shard, &load->read);
}

static void load_on_lookup(struct store_op *base)
{
    struct group_load *load = base->arg;
    if (base->error != 0) {
        load_end(load, base->error);
        return;
    }
    load->offset = load->lookup.offset;
    load_later(load, 0);
}

void group_load_drop(struct group_partition *part)
{
    if (part->load != NULL) {
        io_timer_cancel(part->gs->io, &part->load->timer);
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
        .began_ns = gs->io->now_ns,
        .timer = {.fire = load_on_timer, .arg = load},
        .lookup = {.base = {.done = load_on_lookup, .arg = load},
                   .topic_id = part->topic_id,
                   .partition = part->index,
                   .timestamp = -2,
                   .current_leader_epoch = -1},
    };
    part->load = load;
    store_lookup(gs->shard, &load->lookup);
}
