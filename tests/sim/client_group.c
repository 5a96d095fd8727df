/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of consumer groups: they join, hand out and get partitions, live, commit and look at commits, leave, go
 * silent, and forget who they were; some are static. Each has one question under way.
 */
#include "clients.h"

#include <core/assert.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_heartbeat.h>
#include <wire/msg_join_group.h>
#include <wire/msg_leave_group.h>
#include <wire/msg_offset_commit.h>
#include <wire/msg_offset_fetch.h>
#include <wire/msg_sync_group.h>

#define JOIN_INSTANCE 5 /* first versions that know instance ids */
#define SYNC_INSTANCE 3
#define HEARTBEAT_INSTANCE 3
#define LEAVE_MEMBERS 3
#define COMMIT_INSTANCE 7
#define COMMIT_IDS 10
#define FETCH_GROUPS 8
#define FETCH_IDS 10
#define BEAT_NS 5000000u /* between heartbeats when all goes well */

/* What a member may be told, whatever happens around it: to try again, or that it is none any more. */
static bool is_fair(const struct member_client *m, int16_t code)
{
    switch (code) {
    case EL_KAFKA_NONE:
    case EL_KAFKA_COORDINATOR_NOT_AVAILABLE:
    case EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS:
    case EL_KAFKA_UNKNOWN_MEMBER_ID:
    case EL_KAFKA_ILLEGAL_GENERATION:
    case EL_KAFKA_REBALANCE_IN_PROGRESS:
    case EL_KAFKA_MEMBER_ID_REQUIRED:
        return true;
    case EL_KAFKA_FENCED_INSTANCE_ID:
        return m->is_static;
    case EL_KAFKA_GROUP_MAX_SIZE_REACHED:
        return m->c->w->memory_tight;
    default:
        return false;
    }
}

/* The answer has come. returns its code, or UNKNOWN_SERVER_ERROR when it is lost or a violation */
static int16_t take(struct member_client *m, const char *what, const void *response, int16_t code)
{
    m->busy = false;
    if (response == NULL) {
        return EL_KAFKA_UNKNOWN_SERVER_ERROR;
    }
    m->c->answers++;
    SIM_TRACE(m->c->w->trace, "group", (uint64_t)(what[0]), (uint64_t)code, (uint64_t)m->generation, m->peer.client);
    if (!is_fair(m, code)) {
        world_violation(m->c->w, "group %u: %s failed: %s", m->group, what, el_kafka_error_name(code));
        return EL_KAFKA_UNKNOWN_SERVER_ERROR;
    }
    return code;
}

/* It is no member any more, or not of this generation. */
static void fall(struct member_client *m, int16_t code)
{
    if (code == EL_KAFKA_UNKNOWN_MEMBER_ID || code == EL_KAFKA_FENCED_INSTANCE_ID) {
        m->id[0] = 0;
    }
    if (code != EL_KAFKA_NONE && code != EL_KAFKA_COORDINATOR_NOT_AVAILABLE &&
        code != EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS && code != EL_KAFKA_UNKNOWN_SERVER_ERROR) {
        m->state = MEMBER_OUT;
    }
}

static struct el_slice group_id(const struct member_client *m)
{
    return el_slice_str(m->group == 0 ? "sim-a" : "sim-b");
}

static struct group_model *model_of(struct member_client *m)
{
    return &m->c->groups[m->group];
}

static struct el_slice instance_of(const struct member_client *m, bool known)
{
    return m->is_static && known ? el_slice_str(m->instance) : (struct el_slice){0};
}

static void copy(char *out, size_t room, struct el_slice in)
{
    EL_ASSERT(in.len < room);
    if (in.len > 0) {
        memcpy(out, in.data, in.len);
    }
    out[in.len] = 0;
}

/* --- join --------------------------------------------------------------------------------------------------------- */

static void on_joined(void *arg, const void *response)
{
    struct member_client *m = arg;
    const struct el_msg_join_group_response *answer = response;
    int16_t code = take(m, "join", response, response == NULL ? 0 : answer->error_code);
    if (response == NULL) {
        return;
    }
    if (code == EL_KAFKA_MEMBER_ID_REQUIRED) {
        copy(m->id, sizeof(m->id), answer->member_id);
        return;
    }
    fall(m, code);
    if (code != EL_KAFKA_NONE) {
        return;
    }
    if (answer->generation_id < m->told_before) {
        world_violation(m->c->w, "group %u: a join gave generation %d after %d", m->group, answer->generation_id,
                        m->told_before);
    }
    if (strlen(m->id) != answer->member_id.len || memcmp(m->id, answer->member_id.data, answer->member_id.len) != 0) {
        /* Somebody else, as far as the group knows; a static one only has a new id. */
        m->owner = m->is_static ? m->owner : ++m->c->member_count;
    }
    copy(m->id, sizeof(m->id), answer->member_id);
    m->generation = answer->generation_id;
    m->state = MEMBER_JOINED;
    m->member_count = 0;
    if (!answer->skip_assignment) {
        EL_ASSERT(answer->member_count <= CLIENT_MEMBERS * 4);
        for (uint32_t i = 0; i < answer->member_count; i++) {
            copy(m->members[m->member_count++], sizeof(m->members[0]), answer->members[i].member_id);
        }
    }
}

static void join(struct member_client *m)
{
    struct world *w = m->c->w;
    struct el_msg_join_group_request request;
    struct el_msg_join_group_protocol protocols[2];
    int version = peer_version(&m->peer, EL_API_JoinGroup);
    if (m->is_static && version < JOIN_INSTANCE) {
        version = JOIN_INSTANCE + (int)world_below(w, 5);
    }
    el_schema_init(&el_schema_join_group_request, &request);
    request.group_id = group_id(m);
    request.session_timeout_ms = 50 + (int32_t)world_below(w, 200);
    if (version >= 1) {
        request.rebalance_timeout_ms = 50 + (int32_t)world_below(w, 200);
    }
    request.member_id = el_slice_str(m->id);
    request.group_instance_id = instance_of(m, version >= JOIN_INSTANCE);
    request.protocol_type = el_slice_str("consumer");
    uint32_t count = 1 + (uint32_t)world_below(w, 2);
    for (uint32_t i = 0; i < count; i++) {
        el_schema_init(&el_schema_join_group_protocol, &protocols[i]);
        protocols[i].name = el_slice_str(i == 0 ? "range" : "other");
        protocols[i].metadata = el_slice_str(world_chance(w, 50000) ? "other topics" : "topics");
    }
    request.protocols = protocols;
    request.protocol_count = count;
    m->told_before = model_of(m)->told;
    m->busy = true;
    peer_send(&m->peer, EL_API_JoinGroup, version, &request, on_joined, m);
}

/* --- sync --------------------------------------------------------------------------------------------------------- */

static void on_synced(void *arg, const void *response)
{
    struct member_client *m = arg;
    const struct el_msg_sync_group_response *answer = response;
    int16_t code = take(m, "sync", response, response == NULL ? 0 : answer->error_code);
    fall(m, code);
    if (response == NULL || code != EL_KAFKA_NONE) {
        m->state = MEMBER_OUT;
        return;
    }
    m->parts = answer->assignment.len == 0 ? 0 : answer->assignment.data[0];
    group_model_assigned(m->c->w, model_of(m), m->generation, m->told_before, m->owner, m->parts);
    m->state = MEMBER_IN;
    m->beat_ns = m->c->w->clock.now_ns + BEAT_NS;
}

static void sync(struct member_client *m)
{
    struct world *w = m->c->w;
    struct el_msg_sync_group_request request;
    struct el_msg_sync_group_assignment assignments[CLIENT_MEMBERS * 4];
    uint8_t parts[CLIENT_MEMBERS * 4] = {0};
    int version = peer_version(&m->peer, EL_API_SyncGroup);
    el_schema_init(&el_schema_sync_group_request, &request);
    request.group_id = group_id(m);
    request.generation_id = m->generation;
    request.member_id = el_slice_str(m->id);
    request.group_instance_id = instance_of(m, version >= SYNC_INSTANCE);
    request.protocol_type = el_slice_str("consumer");
    request.protocol_name = el_slice_str("range"); /* which all like best */
    for (uint32_t i = 0; i < GROUP_PARTS && m->member_count > 0; i++) {
        parts[world_below(w, m->member_count)] |= (uint8_t)(1u << i);
    }
    for (uint32_t i = 0; i < m->member_count; i++) {
        el_schema_init(&el_schema_sync_group_assignment, &assignments[i]);
        assignments[i].member_id = el_slice_str(m->members[i]);
        assignments[i].assignment = el_slice_of(&parts[i], 1);
    }
    request.assignments = assignments;
    request.assignment_count = m->member_count;
    m->told_before = model_of(m)->told;
    m->busy = true;
    peer_send(&m->peer, EL_API_SyncGroup, version, &request, on_synced, m);
}

/* --- heartbeat and leave ------------------------------------------------------------------------------------------ */

static void on_beat(void *arg, const void *response)
{
    struct member_client *m = arg;
    const struct el_msg_heartbeat_response *answer = response;
    fall(m, take(m, "heartbeat", response, response == NULL ? 0 : answer->error_code));
}

static void beat(struct member_client *m)
{
    struct el_msg_heartbeat_request request;
    int version = peer_version(&m->peer, EL_API_Heartbeat);
    el_schema_init(&el_schema_heartbeat_request, &request);
    request.group_id = group_id(m);
    request.generation_id = m->generation;
    request.member_id = el_slice_str(m->id);
    request.group_instance_id = instance_of(m, version >= HEARTBEAT_INSTANCE);
    m->beat_ns = m->c->w->clock.now_ns + BEAT_NS;
    m->busy = true;
    peer_send(&m->peer, EL_API_Heartbeat, version, &request, on_beat, m);
}

static void on_left(void *arg, const void *response)
{
    struct member_client *m = arg;
    const struct el_msg_leave_group_response *answer = response;
    (void)take(m, "leaving", response, response == NULL ? 0 : answer->error_code);
    m->state = MEMBER_OUT;
    m->id[0] = 0;
}

static void leave(struct member_client *m)
{
    struct el_msg_leave_group_request request;
    struct el_msg_leave_group_member member;
    int version = peer_version(&m->peer, EL_API_LeaveGroup);
    el_schema_init(&el_schema_leave_group_request, &request);
    el_schema_init(&el_schema_leave_group_member, &member);
    request.group_id = group_id(m);
    if (version < LEAVE_MEMBERS) {
        request.member_id = el_slice_str(m->id);
    } else {
        member.member_id = el_slice_str(m->id);
        member.group_instance_id = instance_of(m, true);
        request.members = &member;
        request.member_count = 1;
    }
    m->busy = true;
    peer_send(&m->peer, EL_API_LeaveGroup, version, &request, on_left, m);
}

/* --- commits ------------------------------------------------------------------------------------------------------ */

static struct group_slot *slot_of(struct member_client *m)
{
    return &model_of(m)->slots[m->topic];
}

static void on_committed(void *arg, const void *response)
{
    struct member_client *m = arg;
    const struct el_msg_offset_commit_response *answer = response;
    m->busy = false;
    if (response == NULL) {
        group_model_committed(slot_of(m), m->value, COMMIT_LOST);
        return;
    }
    EL_ASSERT(answer->topic_count == 1);
    EL_ASSERT(answer->topics[0].partition_count == 1);
    int16_t code = answer->topics[0].partitions[0].error_code;
    bool gone = (code == EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION || code == EL_KAFKA_UNKNOWN_TOPIC_ID) &&
                m->c->m->topics[m->topic].state != TOPIC_THERE;
    bool unsure = code == EL_KAFKA_COORDINATOR_NOT_AVAILABLE;
    group_model_committed(slot_of(m), m->value,
                          code == EL_KAFKA_NONE ? COMMIT_ACKED
                          : unsure              ? COMMIT_LOST
                                                : COMMIT_REFUSED);
    if (gone) {
        return;
    }
    code = take(m, "a commit", response, code);
    if (code == EL_KAFKA_NONE && m->generation < m->told_before) {
        world_violation(m->c->w, "group %u: a commit of generation %d was taken after %d had begun", m->group,
                        m->generation, m->told_before);
    }
    fall(m, code);
}

static void commit(struct member_client *m)
{
    struct el_msg_offset_commit_request request;
    struct el_msg_offset_commit_topic topic;
    struct el_msg_offset_commit_partition partition;
    m->topic = clients_topic(m->c);
    if (m->topic == UINT32_MAX) {
        return;
    }
    m->value = group_model_commit(slot_of(m));
    if (m->value == 0) {
        return;
    }
    int version = peer_version(&m->peer, EL_API_OffsetCommit);
    const struct model_topic *t = &m->c->m->topics[m->topic];
    el_schema_init(&el_schema_offset_commit_request, &request);
    el_schema_init(&el_schema_offset_commit_topic, &topic);
    el_schema_init(&el_schema_offset_commit_partition, &partition);
    request.group_id = group_id(m);
    request.generation_id_or_member_epoch = m->generation;
    request.member_id = el_slice_str(m->id);
    request.group_instance_id = instance_of(m, version >= COMMIT_INSTANCE);
    topic.name = el_slice_str(version < COMMIT_IDS ? t->name : "");
    topic.topic_id = version < COMMIT_IDS ? (struct el_uuid){{0}} : t->id;
    partition.committed_offset = m->value;
    partition.committed_metadata = el_slice_str("note");
    topic.partitions = &partition;
    topic.partition_count = 1;
    request.topics = &topic;
    request.topic_count = 1;
    m->told_before = model_of(m)->told;
    m->busy = true;
    peer_send(&m->peer, EL_API_OffsetCommit, version, &request, on_committed, m);
}

static void see_offset(struct member_client *m, int64_t offset, int16_t code)
{
    bool there = m->c->m->topics[m->topic].state == TOPIC_THERE;
    if (code == EL_KAFKA_UNKNOWN_TOPIC_ID && !there) {
        return;
    }
    if (take(m, "a look at commits", m, code) != EL_KAFKA_NONE || (offset < 0 && !there)) {
        return;
    }
    group_model_fetched(m->c->w, slot_of(m), offset < 0 ? 0 : (uint32_t)offset, m->acked_before);
}

static void on_fetched(void *arg, const void *response)
{
    struct member_client *m = arg;
    const struct el_msg_offset_fetch_response *answer = response;
    m->busy = false;
    if (response == NULL) {
        return;
    }
    if (m->version < FETCH_GROUPS) {
        if (answer->topic_count == 0) {
            (void)take(m, "a look at commits", response, answer->error_code);
            return;
        }
        const struct el_msg_offset_fetch_partition_result *r = &answer->topics[0].partitions[0];
        see_offset(m, r->committed_offset, r->error_code);
        return;
    }
    EL_ASSERT(answer->group_count == 1);
    if (answer->groups[0].topic_count == 0) {
        (void)take(m, "a look at commits", response, answer->groups[0].error_code);
        return;
    }
    const struct el_msg_offset_fetch_group_partition_result *r = &answer->groups[0].topics[0].partitions[0];
    see_offset(m, r->committed_offset, r->error_code);
}

static void fetch(struct member_client *m)
{
    static int32_t zero[1];
    struct el_msg_offset_fetch_request request;
    struct el_msg_offset_fetch_topic topic;
    struct el_msg_offset_fetch_group group;
    struct el_msg_offset_fetch_group_topic group_topic;
    m->topic = clients_topic(m->c);
    if (m->topic == UINT32_MAX) {
        return;
    }
    const struct model_topic *t = &m->c->m->topics[m->topic];
    m->version = peer_version(&m->peer, EL_API_OffsetFetch);
    el_schema_init(&el_schema_offset_fetch_request, &request);
    el_schema_init(&el_schema_offset_fetch_topic, &topic);
    el_schema_init(&el_schema_offset_fetch_group, &group);
    el_schema_init(&el_schema_offset_fetch_group_topic, &group_topic);
    if (m->version < FETCH_GROUPS) {
        request.group_id = group_id(m);
        topic.name = el_slice_str(t->name);
        topic.partition_indexes = zero;
        topic.partition_index_count = 1;
        request.topics = &topic;
        request.topic_count = 1;
    } else {
        group.group_id = group_id(m);
        group_topic.name = el_slice_str(m->version < FETCH_IDS ? t->name : "");
        group_topic.topic_id = m->version < FETCH_IDS ? (struct el_uuid){{0}} : t->id;
        group_topic.partition_indexes = zero;
        group_topic.partition_index_count = 1;
        group.topics = &group_topic;
        group.topic_count = 1;
        request.groups = &group;
        request.group_count = 1;
    }
    m->acked_before = slot_of(m)->acked;
    m->busy = true;
    peer_send(&m->peer, EL_API_OffsetFetch, m->version, &request, on_fetched, m);
}

/* --- what next ---------------------------------------------------------------------------------------------------- */

void member_init(struct member_client *m, struct clients *c, uint32_t index)
{
    m->c = c;
    m->group = index % GROUP_MODELS;
    m->is_static = index % 3 == 0;
    m->generation = -1;
    m->owner = m->is_static ? ++c->member_count : 0;
    snprintf(m->instance, sizeof(m->instance), "instance-%u", index);
}

static bool may_ask(const struct member_client *m)
{
    return !m->busy && m->peer.conn >= 0 && peer_can_ask(&m->peer);
}

/* One that was a member and does not know that it is none any more may say something still. */
static void act_in(struct member_client *m)
{
    struct world *w = m->c->w;
    uint64_t what = world_below(w, 1000);
    if (what < 550) {
        beat(m);
    } else if (what < 800) {
        commit(m);
    } else if (what < 930) {
        fetch(m);
    } else if (what < 950) {
        leave(m);
    } else if (what < 960) {
        m->silent_ns = w->clock.now_ns + world_below(w, 400000000);
    } else if (what < 970) {
        m->state = MEMBER_OUT; /* it joins again */
    } else if (what < 980) {
        m->state = MEMBER_OUT;
        m->id[0] = 0; /* it has forgotten who it was */
    }
}

void member_act(struct member_client *m)
{
    if (!may_ask(m) || m->silent_ns > m->c->w->clock.now_ns) {
        return;
    }
    switch (m->state) {
    case MEMBER_OUT:
        join(m);
        break;
    case MEMBER_JOINED:
        sync(m);
        break;
    case MEMBER_IN:
        act_in(m);
        break;
    }
}

void member_behave(struct member_client *m)
{
    if (!may_ask(m)) {
        return;
    }
    if (m->state == MEMBER_IN && m->beat_ns <= m->c->w->clock.now_ns) {
        beat(m);
    } else if (m->state != MEMBER_IN && m->beat_ns <= m->c->w->clock.now_ns) {
        m->beat_ns = m->c->w->clock.now_ns + BEAT_NS / 5; /* not at once again after a refusal */
        member_act(m);
    }
}

bool members_settled(const struct clients *c)
{
    for (uint32_t g = 0; g < GROUP_MODELS; g++) {
        int32_t generation = -1;
        uint8_t parts = 0;
        for (uint32_t i = g; i < CLIENT_MEMBERS; i += GROUP_MODELS) {
            const struct member_client *m = &c->members[i];
            if (m->state != MEMBER_IN || (generation >= 0 && m->generation != generation)) {
                return false;
            }
            generation = m->generation;
            parts |= m->parts;
        }
        if (parts != (1u << GROUP_PARTS) - 1) {
            return false;
        }
    }
    return true;
}
