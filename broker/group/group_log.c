/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing records of groups. One write is one batch: all commits of a request, or a group's state, or everything that
 * ends a group. Its memory is one block: the write, the caller's items, room for one record, the batch.
 *
 *   1. the caller makes a write, adds records, and submits it: an append to the group's own partition
 *   2. the store answers when it is durable, in the order of submission; refusals may come earlier
 *   3. the caller's done applies it, then the memory goes
 *
 * A write that failed may be in the log all the same: nobody was told that it is.
 */
#include <group/group_state.h>

#include <core/logger.h>

#define RECORD_OVERHEAD 40u /* varints of a record: lengths, deltas, attributes, no headers */

int group_write_new(struct group *group, uint32_t record_count, size_t records_len, size_t items_len,
                    struct group_write **out)
{
    size_t batch_len = EL_BATCH_HEADER_LEN + records_len + (size_t)record_count * RECORD_OVERHEAD;
    if (batch_len > EL_BATCH_LEN_MAX) {
        return EVLOG_ERR_TOO_LARGE;
    }
    size_t scratch_len = EL_MIN(records_len, record_count == 1 ? records_len : group_commit_len(group, UINT16_MAX));
    size_t head_len = EL_ALIGN_UP(sizeof(struct group_write) + items_len, 16);
    uint8_t *block = el_buddy_alloc(group->gs->buddy, head_len + scratch_len + batch_len);
    if (block == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct group_write *write = (struct group_write *)(void *)block;
    memset(write, 0, head_len);
    write->group = group;
    write->generation = group->generation;
    write->items = write + 1;
    write->scratch = block + head_len;
    write->scratch_len = scratch_len;
    el_batch_builder_init_fixed(&write->builder, block + head_len + scratch_len, batch_len);
    *out = write;
    return 0;
}

void group_write_drop(struct group_write *write)
{
    el_buddy_free(write->group->gs->buddy, write);
}

size_t group_commit_len(const struct group *group, size_t metadata_len)
{
    return 4 + group->id.len + 20 + GROUP_COMMIT_HEAD_LEN + metadata_len;
}

/* The scratch has the key, then the value. */
static void record_add(struct group_write *write, struct el_writer *w, size_t key_len, bool null_value)
{
    EL_ASSERT(w->err == 0);
    struct el_record_body body = {.key = el_slice_of(w->base, key_len)};
    if (!null_value) {
        body.value = el_slice_of(w->base + key_len, el_writer_len(w) - key_len);
    }
    int code = el_batch_builder_add(&write->builder, group_wall_ms(write->group->gs), &body);
    EL_ASSERT(code == 0);
}

static size_t key_begin(struct group_write *write, struct el_writer *w, const struct group_offset_key *key)
{
    struct group_record_key record = {.kind = GROUP_RECORD_STATE, .group_id = write->group->id};
    if (key != NULL) {
        record.kind = GROUP_RECORD_COMMIT;
        record.topic_id = key->topic_id;
        record.partition = key->partition;
    }
    el_writer_init(w, write->scratch, write->scratch_len);
    group_record_key_encode(w, &record);
    return el_writer_len(w);
}

void group_write_commit(struct group_write *write, const struct group_offset_key *key,
                        const struct group_record_commit *commit)
{
    struct el_writer w;
    size_t key_len = key_begin(write, &w, key);
    group_record_commit_encode(&w, commit);
    record_add(write, &w, key_len, false);
}

void group_write_tombstone(struct group_write *write, const struct group_offset_key *key)
{
    struct el_writer w;
    size_t key_len = key_begin(write, &w, key);
    record_add(write, &w, key_len, true);
}

/* --- the group's state -------------------------------------------------------------------------------------------- */

static struct group_record_member member_record(const struct group *group, const struct member *member, bool next)
{
    const struct group_protocol *protocol = member_protocol(member, group->protocol);
    return (struct group_record_member){
        .id = member->id,
        .instance_id = member->instance_id,
        .client_id = member->client_id,
        .host = member->host,
        .session_ms = member->session_ms,
        .rebalance_ms = member->rebalance_ms,
        .metadata = protocol == NULL ? (struct el_slice){0} : protocol->metadata,
        .assignment = next ? member->next_assignment : member->assignment,
    };
}

int group_write_state(struct group *group, bool next, struct group_write **out)
{
    struct group_record_state state = {
        .generation = group->generation,
        .time_ms = group->state_ms,
        .protocol_type = group->protocol_type,
        .protocol = group->protocol,
        .leader_id = group->leader == NULL ? (struct el_slice){0} : group->leader->id,
        .member_count = group->member_count,
    };
    size_t len = 4 + group->id.len + GROUP_STATE_HEAD_LEN + state.protocol_type.len + state.protocol.len +
                 state.leader_id.len;
    EL_LIST_EACH(node, &group->members) {
        struct group_record_member record = member_record(group, EL_CONTAINER(node, struct member, link), next);
        len += group_record_member_len(&record);
    }
    int code = len > GROUP_STATE_LEN_MAX ? EVLOG_ERR_TOO_LARGE : group_write_new(group, 1, len, 0, out);
    if (code != 0) {
        return code;
    }
    struct group_write *write = *out;
    struct el_writer w;
    size_t key_len = key_begin(write, &w, NULL);
    group_record_state_encode(&w, &state);
    EL_LIST_EACH(node, &group->members) {
        struct group_record_member record = member_record(group, EL_CONTAINER(node, struct member, link), next);
        group_record_member_encode(&w, &record);
    }
    record_add(write, &w, key_len, false);
    return 0;
}

/* --- the append --------------------------------------------------------------------------------------------------- */

static void write_on_append(struct store_op *base)
{
    struct group_write *write = EL_CONTAINER(base, struct group_write, op.base);
    struct group *group = write->group;
    struct groups *gs = group->gs;
    int error = base->error == 0 || base->error == EVLOG_ERR_CLOSED ? base->error : EVLOG_ERR_GROUP_UNAVAILABLE;
    OBJ_CHECK(group, GROUP);
    EL_ASSERT(group->writes > 0);
    if (error == EVLOG_ERR_GROUP_UNAVAILABLE && group_may_log(gs)) {
        el_log(EL_LOG_WARN, "group", "group \"%.*s\": its record cannot be stored: %s", (int)group->id.len,
               (const char *)group->id.data, evlog_error_text(base->error));
    }
    group_pin(group);
    group->writes--;
    write->done(write, error);
    el_buddy_free(gs->buddy, write);
    if (!group->removed && group->writes == 0 && !group->exclusive) {
        group_open(group);
    }
    group_unpin(group);
}

void group_write_submit(struct group_write *write, group_write_fn done)
{
    struct group *group = write->group;
    struct el_slice batch;
    int code = el_batch_builder_finish(&write->builder, EL_CODEC_NONE, NULL, &batch);
    EL_ASSERT(code == 0);
    write->done = done;
    write->op.base.done = write_on_append;
    write->op.topic_id = group->part->topic_id;
    write->op.partition = group->part->index;
    write->op.batch = batch.data;
    write->op.batch_len = (uint32_t)batch.len;
    code = el_batch_check(batch.data, batch.len, EL_BATCH_LEN_MAX, NULL, 0, &write->op.info);
    EL_ASSERT(code == 0);
    group->writes++;
    store_append(group->gs->shard, &write->op);
}
