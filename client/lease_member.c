/* SPDX-License-Identifier: Apache-2.0
 *
 * Membership in a work group. Internal thread of the client, lock held.
 *
 * 1. A turn finds the coordinator when it is not known, and sends a heartbeat with epoch 0: that joins.
 * 2. The answer brings an epoch, the time of the next heartbeat and, when it has changed, the assignment, which the
 *    sessions then read (lease_session.c).
 * 3. A coordinator that does not know the member or its epoch any more makes it join anew, under the same id.
 * 4. Closing: outcomes are waited for, sessions closed, then a heartbeat with epoch -1 leaves.
 *
 * Whatever fails for a moment is tried again with backoff, for ever, and told to the reader after request.timeout.ms;
 * what trying again cannot mend stops in the state "failed", and every call of the reader says why.
 */
#include "fail.h"
#include "group_ask.h"
#include "lease_state.h"

#include <core/alloc.h>
#include <core/base64.h>
#include <stdio.h>
#include <wire/error_code.h>

#define BEAT_MS_MIN 10 /* whatever a coordinator says */
#define BEAT_MS_MAX 60000
#define ASSIGNED_MAX 100000u /* partitions of one member */

static void check(const void *object, unsigned state)
{
    const struct evlog_group *group = object;
    switch ((enum el_group_state)state) {
    case EL_GROUP_STABLE:
        EL_ASSERT(group->epoch > 0);
        break;
    case EL_GROUP_FAILED:
        EL_ASSERT(group->failure.code != 0);
        break;
    case EL_GROUP_LEFT:
        EL_ASSERT(group->beating == NULL);
        break;
    case EL_GROUP_JOINING:
    case EL_GROUP_DRAINING:
    case EL_GROUP_LEAVING:
    case EL_GROUP_STATE_COUNT:
        break;
    }
}

#define ENDS (EL_SM_TO(EL_GROUP_FAILED) | EL_SM_TO(EL_GROUP_DRAINING))

static const struct el_sm_state states[EL_GROUP_STATE_COUNT] = {
    [EL_GROUP_JOINING] = {"joining", EL_SM_TO(EL_GROUP_STABLE) | ENDS},
    [EL_GROUP_STABLE] = {"stable", EL_SM_TO(EL_GROUP_JOINING) | ENDS},
    [EL_GROUP_FAILED] = {"failed", EL_SM_TO(EL_GROUP_DRAINING)},
    [EL_GROUP_DRAINING] = {"draining", EL_SM_TO(EL_GROUP_LEAVING)},
    [EL_GROUP_LEAVING] = {"leaving", EL_SM_TO(EL_GROUP_LEFT)},
    [EL_GROUP_LEFT] = {"left", 0},
};
static const struct el_sm_table group_sm = {"work group", states, EL_GROUP_STATE_COUNT, check};

static void move(struct evlog_group *group, enum el_group_state state)
{
    if (group->sm.state != (unsigned)state) {
        el_client_log(group->client, EVLOG_LOG_DEBUG, "work group %s: %s, then %s", group->name, el_sm_name(&group->sm),
                      states[state].name);
        el_sm_move(&group->sm, group, state);
    }
}

void el_group_init(struct evlog_group *group)
{
    struct el_uuid id;
    el_sm_init(&group->sm, &group_sm, EL_GROUP_JOINING);
    group->coordinator = -1;
    group->failure.size = sizeof group->failure;
    group->trouble.size = sizeof group->trouble;
    el_list_init(&group->sources);
    el_list_init(&group->sessions);
    el_list_init(&group->calls);
    el_list_init(&group->answers);
    el_list_init(&group->ready);
    el_list_init(&group->held);
    el_list_init(&group->settling);
    group->keep_at_ns = EL_NEVER_NS;
    for (size_t i = 0; i < sizeof id.bytes; i += sizeof(uint64_t)) {
        uint64_t part = el_rng_next(&group->client->rng);
        memcpy(id.bytes + i, &part, sizeof part);
    }
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40); /* version 4: random */
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    el_uuid_format(group->member_id, &id);
}

bool el_group_has_due(const struct evlog_group *group)
{
    return !el_list_empty(&group->ready) || !el_list_empty(&group->answers) || group->sm.state == EL_GROUP_FAILED;
}

void el_group_fail(struct evlog_group *group, const struct evlog_failure *why)
{
    el_client_log(group->client, EVLOG_LOG_ERROR, "%s", why->text);
    if (el_group_works(group)) {
        group->failure = *why;
        move(group, EL_GROUP_FAILED);
        el_client_notify(group->client);
    }
}

void el_group_trouble(struct evlog_group *group, const struct evlog_failure *why)
{
    if (why == NULL) {
        group->trouble_ns = 0;
        return;
    }
    group->trouble = *why;
    group->trouble_ns = group->trouble_ns == 0 ? el_now_ns() : group->trouble_ns;
}

static void backoff(struct evlog_group *group)
{
    const struct el_client_config *cfg = &group->client->cfg;
    group->failure_count++;
    group->retry_at_ns = el_now_ns() + el_client_backoff_ns(group->client, group->failure_count, cfg->retry_backoff_ms,
                                                            cfg->retry_backoff_max_ms);
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

struct el_lease_call *el_lease_call_new(struct evlog_group *group, struct el_lease_session *session,
                                        enum el_api_key api, el_call_fn on_done)
{
    struct el_lease_call *its = el_calloc(1, sizeof *its);
    if (its != NULL) {
        its->group = group;
        its->session = session;
        its->session_number = session == NULL ? 0 : session->number;
        el_list_init(&its->link);
        el_list_init(&its->outcomes);
        el_arena_init(&its->arena, NULL, 0);
        el_call_init(&its->call, el_api_find(api), &its->request);
        its->call.lane = session == NULL ? group->lane : group->lane + 1;
        its->call.node_id = session == NULL ? group->coordinator : session->node_id;
        its->call.deadline_ns = el_now_ns() + group->client->cfg.request_timeout_ms * EL_NS_PER_MS;
        its->call.on_done = on_done;
        its->call.arg = its;
    }
    return its;
}

void el_lease_call_free(struct el_lease_call *its)
{
    EL_ASSERT(el_list_empty(&its->outcomes));
    el_call_free(&its->call);
    el_arena_reset(&its->arena);
    el_free(its);
}

void el_lease_call_submit(struct el_lease_call *its, struct el_lease_call **place)
{
    EL_ASSERT(*place == NULL);
    its->place = place;
    *place = its;
    el_list_push_back(&its->group->calls, &its->link);
    its->sent_ns = el_now_ns();
    el_call_submit(its->group->client, &its->call);
}

bool el_lease_call_arrived(struct el_lease_call *its)
{
    if (its->group == NULL) {
        el_lease_call_free(its);
        return false;
    }
    el_list_remove(&its->link);
    if (its->place != NULL && *its->place == its) {
        *its->place = NULL;
    }
    return true;
}

void el_lease_calls_detach(struct evlog_group *group)
{
    for (struct el_list *node = el_list_pop_front(&group->calls); node != NULL;
         node = el_list_pop_front(&group->calls)) {
        struct el_lease_call *its = EL_CONTAINER(node, struct el_lease_call, link);
        if (its->place != NULL && *its->place == its) {
            *its->place = NULL;
        }
        while (!el_list_empty(&its->outcomes)) { /* they belong to leases, which are freed with the group */
            el_outcome_end(group, EL_CONTAINER(its->outcomes.next, struct el_outcome, link), &group->trouble);
        }
        its->group = NULL;
        its->session = NULL;
        its->place = NULL;
    }
}

static struct el_slice text(struct el_arena *arena, const char *source)
{
    const char *copy = el_arena_strndup(arena, source, strlen(source));
    return copy == NULL ? el_slice_of(NULL, 0) : el_slice_str(copy);
}

/* --- coordinator ------------------------------------------------------------------------------------------------- */

static void lose_coordinator(struct evlog_group *group, const struct evlog_failure *why)
{
    if (why->code == EVLOG_ERR_AUTHENTICATION) {
        el_group_fail(group, why);
        return;
    }
    group->coordinator = -1;
    el_group_trouble(group, why);
    backoff(group);
}

/* A refusal that trying again does not mend. */
static void refused(struct evlog_group *group, int kafka_code, struct el_slice message)
{
    char what[300];
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    (void)snprintf(what, sizeof what, "work group %.250s", group->name);
    int rc = el_fail_kafka(&why, kafka_code, message, what);
    el_fail_right(&why, "read group", group->name);
    el_fail_right(&why, "read topic", group->topic_count == 1 ? group->topics[0] : NULL);
    if (rc == EVLOG_ERR_GROUP_NOT_FOUND || rc == EVLOG_ERR_GROUP_PROTOCOL || rc == EVLOG_ERR_GROUP_KIND) {
        (void)el_fail(&why, EVLOG_ERR_GROUP_KIND, "group %.200s is a consumer group, not a work group", group->name);
        why.kafka_code = kafka_code;
        el_fail_hint(&why, "take another name: a name belongs to one kind of group");
    }
    el_group_fail(group, &why);
}

static void find_on_done(struct evlog_client *client, struct el_call *call)
{
    struct el_lease_call *its = call->arg;
    struct el_msg_find_coordinator_response response;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    if (!el_lease_call_arrived(its)) {
        return;
    }
    struct evlog_group *group = its->group;
    int rc = call->failure.code;
    if (rc != 0) {
        lose_coordinator(group, &call->failure);
    } else if (el_call_decode(call, &response, &why) != 0) {
        lose_coordinator(group, &why);
    } else if (response.error_code != 0 && !el_kafka_error_retriable(response.error_code)) {
        refused(group, response.error_code, response.error_message);
    } else if (response.error_code != 0 || el_cluster_node(client, response.node_id) == NULL) {
        el_cluster_suspect(client);
        (void)el_fail(&why, EVLOG_ERR_GROUP_UNAVAILABLE, "work group %.200s: no node coordinates it now", group->name);
        lose_coordinator(group, &why);
    } else {
        group->coordinator = response.node_id;
        group->retry_at_ns = 0;
        group->beat_at_ns = el_now_ns();
    }
    el_lease_call_free(its);
}

static int send_find(struct evlog_group *group)
{
    struct el_lease_call *its = el_lease_call_new(group, NULL, EL_API_FindCoordinator, find_on_done);
    if (its == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    el_coordinator_question(group->name, &its->request.find);
    its->request.find.key = text(&its->arena, group->name);
    if (its->request.find.key.data == NULL) {
        el_lease_call_free(its);
        return EVLOG_ERR_NO_MEMORY;
    }
    its->call.lane = EL_LANE_MAIN;
    its->call.node_id = EL_NODE_ANY;
    its->call.version_max = EL_FIND_COORDINATOR_VERSION_MAX;
    el_lease_call_submit(its, &group->finding);
    return 0;
}

/* --- assignment -------------------------------------------------------------------------------------------------- */

static struct el_lease_source *source_of(struct evlog_group *group, const struct el_uuid *topic_id, int32_t partition)
{
    EL_LIST_EACH(node, &group->sources) {
        struct el_lease_source *source = EL_CONTAINER(node, struct el_lease_source, link);
        if (source->partition == partition && el_uuid_eq(&source->topic_id, topic_id)) {
            return source;
        }
    }
    struct el_lease_source *fresh = el_calloc(1, sizeof *fresh);
    if (fresh != NULL) {
        fresh->topic_id = *topic_id;
        fresh->partition = partition;
        el_list_push_back(&group->sources, &fresh->link);
    }
    return fresh;
}

void el_source_free(struct el_lease_source *source)
{
    el_list_remove(&source->link);
    el_free(source->topic);
    el_free(source);
}

static bool is_listed(const struct evlog_group *group, const struct el_lease_source *source)
{
    EL_LIST_EACH(node, &group->sessions) {
        if (EL_CONTAINER(node, struct el_lease_session, link)->number == source->listed) {
            return true;
        }
    }
    return false;
}

/* Take nothing as assigned, and forget what nothing points to. */
static void clear_assignment(struct evlog_group *group)
{
    EL_LIST_EACH_SAFE(node, following, &group->sources) {
        struct el_lease_source *source = EL_CONTAINER(node, struct el_lease_source, link);
        source->assigned = false;
        if (source->use_count == 0 && !is_listed(group, source)) {
            el_source_free(source);
        }
    }
}

static int take_assignment(struct evlog_group *group, const struct el_msg_share_group_heartbeat_assignment *given)
{
    uint32_t count = 0;
    clear_assignment(group);
    for (uint32_t i = 0; i < given->topic_partition_count; i++) {
        const struct el_msg_share_group_heartbeat_topic *topic = &given->topic_partitions[i];
        for (uint32_t j = 0; j < topic->partition_count && count < ASSIGNED_MAX; j++, count++) {
            struct el_lease_source *source = topic->partitions[j] < 0
                                                 ? NULL
                                                 : source_of(group, &topic->topic_id, topic->partitions[j]);
            if (source == NULL) {
                return EVLOG_ERR_NO_MEMORY;
            }
            source->assigned = true;
        }
    }
    el_client_log(group->client, EVLOG_LOG_INFO, "work group %s: epoch %d gives %u partitions", group->name,
                  group->epoch, count);
    return 0;
}

/* --- heartbeat --------------------------------------------------------------------------------------------------- */

/* The coordinator knows this member no longer: join anew. What is leased stays leased. */
static void join_anew(struct evlog_group *group)
{
    el_client_log(group->client, EVLOG_LOG_WARNING, "work group %s: the membership of epoch %d is over", group->name,
                  group->epoch);
    group->epoch = 0;
    if (el_group_works(group)) {
        clear_assignment(group);
        move(group, EL_GROUP_JOINING);
    }
}

static void beat_answered(struct evlog_group *group, const struct el_msg_share_group_heartbeat_response *response)
{
    int code = response->error_code;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    if (code == EL_KAFKA_UNKNOWN_MEMBER_ID || code == EL_KAFKA_FENCED_MEMBER_EPOCH) {
        join_anew(group);
    } else if (code != 0 && (el_coordinator_error(code) || el_kafka_error_retriable(code))) {
        (void)el_fail_kafka(&why, code, response->error_message, group->name);
        lose_coordinator(group, &why);
    } else if (code != 0) {
        refused(group, code, response->error_message);
    } else if (response->member_epoch <= 0) {
        (void)el_fail(&why, EVLOG_ERR_MALFORMED, "work group %.200s: the coordinator gave epoch %d", group->name,
                      response->member_epoch);
        lose_coordinator(group, &why);
    } else {
        int32_t interval_ms = EL_MAX(EL_MIN(response->heartbeat_interval_ms, BEAT_MS_MAX), BEAT_MS_MIN);
        group->epoch = response->member_epoch;
        group->failure_count = 0;
        group->beat_at_ns = el_now_ns() + interval_ms * EL_NS_PER_MS;
        if (response->assignment != NULL && take_assignment(group, response->assignment) != 0) {
            group->epoch = 0; /* ask for it again */
            return;
        }
        if (group->sm.state == EL_GROUP_JOINING) {
            el_group_trouble(group, NULL);
            move(group, EL_GROUP_STABLE);
        }
    }
}

static void beat_on_done(struct evlog_client *client, struct el_call *call)
{
    (void)client;
    struct el_lease_call *its = call->arg;
    struct el_msg_share_group_heartbeat_response response;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    if (!el_lease_call_arrived(its)) {
        return;
    }
    struct evlog_group *group = its->group;
    if (its->request.heartbeat.member_epoch < 0) {
        /* It has left, or its session's end says the same. */
    } else if (call->failure.code == EVLOG_ERR_UNSUPPORTED) {
        (void)el_fail(&why, EVLOG_ERR_UNSUPPORTED, "work group %.200s: the broker has no work groups", group->name);
        el_fail_hint(&why, "evlog has them, and Apache Kafka from 4.2 on (as share groups)");
        el_group_fail(group, &why);
    } else if (call->failure.code != 0) {
        lose_coordinator(group, &call->failure);
    } else if (el_call_decode(call, &response, &why) != 0) {
        lose_coordinator(group, &why);
    } else {
        beat_answered(group, &response);
    }
    el_lease_call_free(its);
}

static int send_beat(struct evlog_group *group, int32_t epoch)
{
    struct el_lease_call *its = el_lease_call_new(group, NULL, EL_API_ShareGroupHeartbeat, beat_on_done);
    if (its == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_msg_share_group_heartbeat_request *request = &its->request.heartbeat;
    el_schema_init(&el_schema_share_group_heartbeat_request, request);
    request->group_id = text(&its->arena, group->name);
    request->member_id = text(&its->arena, group->member_id);
    request->member_epoch = epoch;
    bool ok = request->group_id.data != NULL && request->member_id.data != NULL;
    if (epoch == 0) {
        request->subscribed_topic_names = el_arena_alloc(&its->arena, group->topic_count * sizeof(struct el_slice));
        ok = ok && request->subscribed_topic_names != NULL;
        for (uint32_t i = 0; ok && i < group->topic_count; i++) {
            request->subscribed_topic_names[i] = text(&its->arena, group->topics[i]);
            ok = request->subscribed_topic_names[i].data != NULL;
        }
        request->subscribed_topic_name_count = group->topic_count;
    }
    if (!ok) {
        el_lease_call_free(its);
        return EVLOG_ERR_NO_MEMORY;
    }
    el_lease_call_submit(its, &group->beating);
    return 0;
}

/* --- turns ------------------------------------------------------------------------------------------------------- */

static void look_again(int64_t *until_ns, int64_t when_ns)
{
    *until_ns = EL_MIN(*until_ns, when_ns);
}

/* Stay a member: the coordinator is known, and hears when it is time. */
static void turn_member(struct evlog_group *group, int64_t now_ns, int64_t *until_ns)
{
    bool need_not = group->epoch == 0 && !el_group_works(group);
    if (group->finding != NULL || group->beating != NULL || need_not) {
        return;
    }
    int64_t due_ns = group->coordinator < 0 ? group->retry_at_ns
                     : group->epoch == 0    ? group->retry_at_ns
                                            : EL_MAX(group->beat_at_ns, group->retry_at_ns);
    if (due_ns > now_ns) {
        look_again(until_ns, due_ns);
        return;
    }
    int rc = group->coordinator < 0 ? send_find(group) : send_beat(group, group->epoch);
    if (rc != 0) {
        backoff(group);
        look_again(until_ns, group->retry_at_ns);
    }
}

static void turn_leaving(struct evlog_group *group)
{
    if (!el_lease_sessions_close(group)) {
        return;
    }
    if (!group->leave_sent && group->beating == NULL) {
        bool must_say = group->epoch > 0 && group->coordinator >= 0;
        group->leave_sent = !must_say || send_beat(group, -1) == 0;
    }
    if (group->leave_sent && group->beating == NULL) {
        el_lease_calls_detach(group);
        move(group, EL_GROUP_LEFT);
        el_conns_retire(group->client, group->lane);
        el_client_notify(group->client);
    }
}

void el_group_leave(struct evlog_group *group)
{
    group->wanted_count = 0;
    move(group, EL_GROUP_DRAINING);
    el_client_wake(group->client);
}

void el_groups_tick(struct evlog_client *client, int64_t now_ns, int64_t *until_ns)
{
    EL_LIST_EACH_SAFE(node, following, &client->groups) {
        struct evlog_group *group = EL_CONTAINER(node, struct evlog_group, link);
        if (group->sm.state == EL_GROUP_DRAINING && el_lease_sessions_quiet(group)) {
            move(group, EL_GROUP_LEAVING);
        }
        if (el_group_works(group) || group->sm.state == EL_GROUP_DRAINING) {
            turn_member(group, now_ns, until_ns);
            el_lease_sessions_turn(group, now_ns, until_ns);
        } else if (group->sm.state == EL_GROUP_LEAVING) {
            turn_leaving(group);
        }
    }
}

uint32_t el_groups_topics(const struct evlog_client *client, struct el_slice *names, uint32_t room)
{
    uint32_t count = 0;
    EL_LIST_EACH(node, &client->groups) {
        const struct evlog_group *group = EL_CONTAINER(node, struct evlog_group, link);
        for (uint32_t i = 0; i < group->topic_count; i++, count++) {
            if (count < room) {
                names[count] = el_slice_str(group->topics[i]);
            }
        }
    }
    return count;
}
