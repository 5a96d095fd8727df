/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of consumer groups: they join, hand out and get partitions, live, commit and look at commits, leave, go
 * silent, and forget who they were; some are static. Each has one question under way.
 */
#include "clients.h"

#include <core/arena.h>
#include <core/assert.h>
#include <stdio.h>
#include <wire/consumer_protocol.h>
#include <wire/error_code.h>
#include <wire/msg_heartbeat.h>
#include <wire/msg_join_group.h>
#include <wire/msg_leave_group.h>
#include <wire/msg_sync_group.h>

#define JOIN_INSTANCE 5 /* first versions that know instance ids */
#define SYNC_INSTANCE 3
#define HEARTBEAT_INSTANCE 3
#define LEAVE_MEMBERS 3
#define BEAT_NS 5000000u  /* between heartbeats when all goes well */
#define TIMEOUT_MS_MIN 50 /* of what members ask for */

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
    case EL_KAFKA_GROUP_ID_NOT_FOUND:
        return m->c->groups_end;
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

static struct group_model *model_of(struct member_client *m)
{
    return &m->c->groups[m->group];
}

/* It is about to ask something. */
static void asks(struct member_client *m)
{
    const struct group_model *g = model_of(m);
    m->told_before = g->told;
    m->incarnation_before = g->incarnation;
    m->asked_ns = m->c->w->clock.now_ns;
    m->reading = m->c->rules->done;
}

/* What it asked as a member was granted, so it was one. */
static void granted(struct member_client *m)
{
    m->alive_ns = m->asked_ns;
    if (m->incarnation != m->incarnation_before) {
        world_violation(m->c->w, "group %u: it had begun anew, and a member from before was heard in generation %d",
                        m->group, m->generation);
    }
}

/* May the group have ended before this generation? Only when all that were in another one when it was asked for have
 * been silent for the shortest timeout. Those who came later may have come after the end. */
static bool may_have_ended(const struct member_client *m, int32_t generation)
{
    const struct clients *c = m->c;
    for (uint32_t i = m->group; i < CLIENT_MEMBERS; i += GROUP_CROWDED) {
        const struct member_client *other = &c->members[i];
        bool member = other != m && other->state == MEMBER_IN && other->generation != generation &&
                      other->incarnation == c->groups[m->group].incarnation && other->joined_ns <= m->asked_ns;
        if (member && c->w->clock.now_ns - other->alive_ns < TIMEOUT_MS_MIN * 1000000ull) {
            return false;
        }
    }
    return c->groups_end;
}

/* It has ended and begun again, with this generation or one before it. Who came after m asked may have come after the
 * end, in whatever generation. */
static void anew(struct member_client *m, int32_t generation)
{
    struct group_model *g = model_of(m);
    group_model_anew(m->c->w, g);
    for (uint32_t i = m->group; i < CLIENT_MEMBERS; i += GROUP_CROWDED) {
        struct member_client *other = &m->c->members[i];
        if (other->generation == generation || other->joined_ns > m->asked_ns) { /* and so does what it has asked */
            other->incarnation = other->incarnation_before = g->incarnation;
            other->told_before = 0;
        }
    }
}

/* It is heard in a generation. Those who were told a later one, or the same with another owner, may have been in a
 * group that has ended, and have read it just now. */
static void look_anew(struct member_client *m, bool back)
{
    if (back && may_have_ended(m, m->generation)) {
        anew(m, m->generation);
    }
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

/* Was the session timeout judged by the limits? */
static bool see_session(struct member_client *m, int16_t code)
{
    const struct rule_book *rules = m->c->rules;
    bool refused = code == EL_KAFKA_INVALID_SESSION_TIMEOUT;
    bool may_refuse = m->session_ms < rule_most(rules, RULE_SESSION_MIN_MS, m->reading) ||
                      m->session_ms > rule_least(rules, RULE_SESSION_MAX_MS, m->reading);
    bool may_take = m->session_ms >= rule_least(rules, RULE_SESSION_MIN_MS, m->reading) &&
                    m->session_ms <= rule_most(rules, RULE_SESSION_MAX_MS, m->reading);
    if (refused ? !may_refuse : code == EL_KAFKA_NONE && !may_take) {
        world_violation(m->c->w, "group %u: a session timeout of %d ms was %s, the limits are %lld and %lld", m->group,
                        m->session_ms, refused ? "refused" : "taken",
                        (long long)rule_least(rules, RULE_SESSION_MIN_MS, m->reading),
                        (long long)rule_most(rules, RULE_SESSION_MAX_MS, m->reading));
    }
    m->c->w->events[EVENT_LIMIT_REFUSED] += refused;
    return refused;
}

static void on_joined(void *arg, const void *response)
{
    struct member_client *m = arg;
    const struct el_msg_join_group_response *answer = response;
    if (response != NULL && see_session(m, answer->error_code)) {
        m->busy = false;
        return;
    }
    int16_t code = take(m, "join", response, response == NULL ? 0 : answer->error_code);
    if (response == NULL) {
        return;
    }
    if (code == EL_KAFKA_MEMBER_ID_REQUIRED) {
        m->tried = false;
        m->joined_ns = 0;
        copy(m->id, sizeof(m->id), answer->member_id);
        return;
    }
    fall(m, code);
    if (code != EL_KAFKA_NONE) {
        return;
    }
    /* Whoever is new makes a new generation; one that asks again may be given the present one. */
    bool fresh = !m->is_static && !m->tried_before;
    bool back = model_of(m)->incarnation == m->incarnation_before && answer->generation_id < m->told_before + fresh;
    if (back && !may_have_ended(m, answer->generation_id)) {
        world_violation(m->c->w, "group %u: a join gave generation %d after %d", m->group, answer->generation_id,
                        m->told_before);
    } else if (back) {
        anew(m, answer->generation_id);
    }
    m->tried = true;
    m->joined_ns = m->tried_before && m->joined_ns > 0 ? m->joined_ns : m->c->w->clock.now_ns;
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

/* What a consumer says that it reads: some of the topics that are there; now and then nothing that can be read. */
static struct el_slice subscription(struct member_client *m, struct el_arena *arena)
{
    const struct model *model = m->c->m;
    struct el_msg_consumer_protocol_subscription say;
    struct el_slice names[MODEL_TOPICS_MAX], out;
    if (world_chance(m->c->w, 50000)) {
        return el_slice_str("?");
    }
    el_schema_init(&el_schema_consumer_protocol_subscription, &say);
    say.topics = names;
    for (uint32_t i = m->group; i < model->topic_count; i += 2) {
        names[say.topic_count++] = el_slice_str(model->topics[i].name);
    }
    int code = el_consumer_protocol_encode(&el_schema_consumer_protocol_subscription, &say, arena, &out);
    EL_ASSERT(code == 0);
    return out;
}

static void join(struct member_client *m)
{
    struct world *w = m->c->w;
    struct el_msg_join_group_request request;
    struct el_msg_join_group_protocol protocols[2];
    struct el_arena arena;
    int version = peer_version(&m->peer, EL_API_JoinGroup);
    if (m->is_static && version < JOIN_INSTANCE) {
        version = JOIN_INSTANCE + (int)world_below(w, 5);
    }
    el_schema_init(&el_schema_join_group_request, &request);
    request.group_id = group_name(m->group);
    m->session_ms = TIMEOUT_MS_MIN + (int32_t)world_below(w, 200);
    request.session_timeout_ms = m->session_ms;
    if (version >= 1) {
        request.rebalance_timeout_ms = TIMEOUT_MS_MIN + (int32_t)world_below(w, 200);
    }
    request.member_id = el_slice_str(m->id);
    request.group_instance_id = instance_of(m, version >= JOIN_INSTANCE);
    request.protocol_type = el_slice_str("consumer");
    el_arena_init(&arena, NULL, 0);
    uint32_t count = 1 + (uint32_t)world_below(w, 2);
    for (uint32_t i = 0; i < count; i++) {
        el_schema_init(&el_schema_join_group_protocol, &protocols[i]);
        protocols[i].name = el_slice_str(i == 0 ? "range" : "other");
        protocols[i].metadata = subscription(m, &arena);
    }
    request.protocols = protocols;
    request.protocol_count = count;
    asks(m);
    m->tried_before = m->tried && m->id[0] != 0;
    m->tried = m->id[0] != 0;
    m->busy = true;
    peer_send(&m->peer, EL_API_JoinGroup, version, &request, on_joined, m);
    el_arena_reset(&arena);
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
    struct group_model *g = model_of(m);
    if (g->incarnation != m->incarnation_before) {
        m->state = MEMBER_OUT; /* this comes from before */
        return;
    }
    m->parts = answer->assignment.len == 0 ? 0 : answer->assignment.data[0];
    look_anew(m, m->generation < m->told_before || group_model_conflict(g, m->generation, m->owner, m->parts));
    group_model_assigned(m->c->w, g, m->generation, m->told_before, m->owner, m->parts);
    m->incarnation = g->incarnation;
    m->alive_ns = m->asked_ns;
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
    request.group_id = group_name(m->group);
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
    asks(m);
    m->busy = true;
    peer_send(&m->peer, EL_API_SyncGroup, version, &request, on_synced, m);
}

/* --- heartbeat and leave ------------------------------------------------------------------------------------------ */

static void on_beat(void *arg, const void *response)
{
    struct member_client *m = arg;
    const struct el_msg_heartbeat_response *answer = response;
    int16_t code = take(m, "heartbeat", response, response == NULL ? 0 : answer->error_code);
    fall(m, code);
    if (response != NULL && code == EL_KAFKA_NONE) {
        granted(m);
    }
}

static void beat(struct member_client *m)
{
    struct el_msg_heartbeat_request request;
    int version = peer_version(&m->peer, EL_API_Heartbeat);
    el_schema_init(&el_schema_heartbeat_request, &request);
    request.group_id = group_name(m->group);
    request.generation_id = m->generation;
    request.member_id = el_slice_str(m->id);
    request.group_instance_id = instance_of(m, version >= HEARTBEAT_INSTANCE);
    m->beat_ns = m->c->w->clock.now_ns + BEAT_NS;
    asks(m);
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
    request.group_id = group_name(m->group);
    if (version < LEAVE_MEMBERS) {
        request.member_id = el_slice_str(m->id);
    } else {
        member.member_id = el_slice_str(m->id);
        member.group_instance_id = instance_of(m, true);
        request.members = &member;
        request.member_count = 1;
    }
    m->alive_ns = 0; /* from now on the group may do without it */
    m->busy = true;
    peer_send(&m->peer, EL_API_LeaveGroup, version, &request, on_left, m);
}

/* --- commits ------------------------------------------------------------------------------------------------------ */

static void on_offsets(void *owner, bool told, int16_t code)
{
    struct member_client *m = owner;
    m->busy = false;
    if (told) {
        fall(m, take(m, "a question about commits", m, code));
    }
}

static void on_committed(void *owner, bool told, int16_t code)
{
    struct member_client *m = owner;
    bool taken = told && code == EL_KAFKA_NONE && m->incarnation == m->incarnation_before;
    look_anew(m, taken && m->generation < m->told_before);
    if (taken && m->generation < m->told_before) {
        world_violation(m->c->w, "group %u: a commit of generation %d was taken after %d had begun", m->group,
                        m->generation, m->told_before);
    }
    on_offsets(owner, told, code);
    if (told && code == EL_KAFKA_NONE) {
        granted(m);
    }
}

static void commit(struct member_client *m)
{
    struct offsets_who who = {.generation = m->generation, .id = el_slice_str(m->id)};
    if (m->is_static && world_chance(m->c->w, 700000)) {
        who.instance = el_slice_str(m->instance);
    }
    asks(m);
    m->offsets = (struct offsets_ask){.c = m->c, .peer = &m->peer, .owner = m, .done = on_committed, .group = m->group};
    m->busy = offsets_commit(&m->offsets, &who);
}

static void fetch(struct member_client *m)
{
    asks(m);
    m->offsets = (struct offsets_ask){.c = m->c, .peer = &m->peer, .owner = m, .done = on_offsets, .group = m->group};
    m->busy = offsets_fetch(&m->offsets);
}

/* --- what next ---------------------------------------------------------------------------------------------------- */

void member_init(struct member_client *m, struct clients *c, uint32_t index)
{
    m->c = c;
    m->group = index % GROUP_CROWDED;
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
    for (uint32_t g = 0; g < GROUP_CROWDED; g++) {
        int32_t generation = -1;
        uint8_t parts = 0;
        for (uint32_t i = g; i < CLIENT_MEMBERS; i += GROUP_CROWDED) {
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
