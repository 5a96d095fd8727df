/* SPDX-License-Identifier: Apache-2.0
 *
 * The requests of a membership and what their answers mean. Internal thread of the client, lock held.
 *
 * Joins, syncs and heartbeats have a connection of their own (a join waits at the coordinator until all members have
 * come); the search for the coordinator, metadata and LeaveGroup use those of everybody. A request owns copies of all
 * it says, so that a subscriber can be closed while it is on its way: then its answer is thrown away.
 *
 * Answers: what the coordinator says about itself leads to a new search; what it says about the member ends the
 * membership (el_member_lost) or stops it (el_member_fail); all else is tried again later.
 */
#include "fail.h"
#include "group_ask.h"
#include "subscriber_state.h"

#include <core/alloc.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_find_coordinator.h>
#include <wire/msg_heartbeat.h>
#include <wire/msg_join_group.h>
#include <wire/msg_leave_group.h>
#include <wire/msg_metadata.h>
#include <wire/msg_sync_group.h>

#define JOIN_GRACE_MS 5000 /* a coordinator may answer this much later than the rebalance allows */

struct el_member_call {
    struct el_call call;
    struct evlog_subscriber *subscriber; /* NULL: closed meanwhile */
    struct el_member_call **place;       /* where the membership keeps it, NULL: nowhere */
    struct el_arena arena;               /* of the request */
    union {
        struct el_msg_find_coordinator_request find;
        struct el_msg_join_group_request join;
        struct el_msg_sync_group_request sync;
        struct el_msg_heartbeat_request heartbeat;
        struct el_msg_leave_group_request leave;
        struct el_msg_metadata_request metadata;
    } request;
    struct el_msg_join_group_response joined; /* of a leader's join, once answered */
};

static void call_free(struct el_member_call *its)
{
    el_call_free(&its->call);
    el_arena_reset(&its->arena);
    el_free(its);
}

static struct el_member_call *call_new(struct evlog_subscriber *subscriber, enum el_api_key api, el_call_fn on_done)
{
    struct el_member_call *its = el_calloc(1, sizeof *its);
    if (its != NULL) {
        const struct el_client_config *cfg = &subscriber->client->cfg;
        its->subscriber = subscriber;
        el_arena_init(&its->arena, NULL, 0);
        el_call_init(&its->call, el_api_find(api), &its->request);
        its->call.lane = subscriber->engine.lane - 1;
        its->call.node_id = subscriber->member.coordinator;
        its->call.deadline_ns = el_now_ns() + cfg->request_timeout_ms * EL_NS_PER_MS;
        its->call.on_done = on_done;
        its->call.arg = its;
    }
    return its;
}

static void submit(struct el_member_call *its, struct el_member_call **place)
{
    EL_ASSERT(place == NULL || *place == NULL);
    its->place = place;
    if (place != NULL) {
        *place = its;
    }
    el_call_submit(its->subscriber->client, &its->call);
}

/* The call has ended: take it out of its place. returns false when nobody wants its answer; it is freed then */
static bool arrived(struct el_member_call *its)
{
    if (its->place != NULL) {
        *its->place = NULL;
    }
    if (its->subscriber == NULL) {
        call_free(its);
        return false;
    }
    return true;
}

static void let_go(struct el_member_call **place)
{
    if (*place != NULL) {
        (*place)->subscriber = NULL;
        (*place)->place = NULL;
        *place = NULL;
    }
}

static void forget_joined(struct el_member *member)
{
    if (member->joined != NULL) {
        call_free(member->joined);
        member->joined = NULL;
    }
}

void el_member_detach(struct el_member *member)
{
    let_go(&member->pending);
    let_go(&member->finding);
    let_go(&member->heartbeat);
    forget_joined(member);
}

static struct el_slice text(struct el_arena *arena, const char *source)
{
    const char *copy = source == NULL ? NULL : el_arena_strndup(arena, source, strlen(source));
    return copy == NULL ? el_slice_of(NULL, 0) : el_slice_str(copy);
}

/* --- what an answer means ---------------------------------------------------------------------------------------- */

/* Nobody answered, or the coordinator is not there any more. */
static void lose_coordinator(struct evlog_subscriber *subscriber)
{
    subscriber->member.coordinator = -1;
    el_member_backoff(subscriber);
}

static void fail(struct evlog_subscriber *subscriber, int kafka_code)
{
    char what[300];
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    (void)snprintf(what, sizeof what, "group %s", subscriber->group);
    int rc = el_fail_kafka(&why, kafka_code, el_slice_of(NULL, 0), what);
    el_fail_right(&why, "read group", subscriber->group);
    if (rc == EVLOG_ERR_FENCED_INSTANCE) {
        el_fail_hint(&why, "two programs run with group.instance.id=%.100s: give each its own",
                     subscriber->instance_id == NULL ? "" : subscriber->instance_id);
    } else if (rc == EVLOG_ERR_GROUP_PROTOCOL) {
        el_fail_hint(&why, "members of one group need a strategy in common: set partition.assignment.strategy to "
                           "what the others use, such as range,roundrobin");
    } else if (rc == EVLOG_ERR_SESSION_TIMEOUT) {
        el_fail_hint(&why, "session.timeout.ms must lie within group.min.session.timeout.ms and "
                           "group.max.session.timeout.ms of the broker");
    }
    el_member_fail(subscriber, &why);
}

/* A code of join, sync or heartbeat that is not 0. */
static void refused(struct evlog_subscriber *subscriber, int kafka_code)
{
    if (kafka_code == EL_KAFKA_NOT_COORDINATOR || kafka_code == EL_KAFKA_COORDINATOR_NOT_AVAILABLE) {
        lose_coordinator(subscriber);
        if (subscriber->member.sm.state == EL_MEMBER_SYNCING) {
            el_member_join_later(subscriber);
        }
    } else if (kafka_code == EL_KAFKA_UNKNOWN_MEMBER_ID || kafka_code == EL_KAFKA_ILLEGAL_GENERATION) {
        el_member_lost(subscriber, kafka_code == EL_KAFKA_ILLEGAL_GENERATION);
    } else if (el_kafka_error_retriable(kafka_code) || kafka_code == EL_KAFKA_REBALANCE_IN_PROGRESS ||
               kafka_code == EL_KAFKA_UNKNOWN_SERVER_ERROR) {
        el_member_join_later(subscriber);
    } else {
        fail(subscriber, kafka_code);
    }
}

/* The request failed on its way. */
static void broken(struct evlog_subscriber *subscriber, const struct evlog_failure *why)
{
    if (why->code == EVLOG_ERR_UNSUPPORTED) {
        struct evlog_failure full = *why;
        (void)el_fail(&full, EVLOG_ERR_UNSUPPORTED, "group %s: the broker has no consumer groups", subscriber->group);
        el_member_fail(subscriber, &full);
        return;
    }
    if (why->code == EVLOG_ERR_AUTHENTICATION) {
        el_member_fail(subscriber, why);
        return;
    }
    lose_coordinator(subscriber);
    if (subscriber->member.sm.state == EL_MEMBER_SYNCING) {
        el_member_join_later(subscriber);
    }
}

/* --- coordinator ------------------------------------------------------------------------------------------------- */

static void find_on_done(struct evlog_client *client, struct el_call *call)
{
    struct el_member_call *its = call->arg;
    struct el_msg_find_coordinator_response response;
    if (!arrived(its)) {
        return;
    }
    struct evlog_subscriber *subscriber = its->subscriber;
    struct el_member *member = &subscriber->member;
    int rc = call->failure.code == 0 ? el_call_decode(call, &response, NULL) : call->failure.code;
    if (rc == EVLOG_ERR_AUTHENTICATION) {
        el_member_fail(subscriber, &call->failure);
    } else if (rc != 0) {
        el_member_backoff(subscriber);
    } else if (response.error_code != 0 && !el_kafka_error_retriable(response.error_code)) {
        fail(subscriber, response.error_code);
    } else if (response.error_code != 0 || el_cluster_node(client, response.node_id) == NULL) {
        el_cluster_suspect(client);
        el_member_backoff(subscriber);
    } else {
        member->coordinator = response.node_id;
        member->retry_at_ns = 0;
        member->heartbeat_at_ns = EL_MIN(member->heartbeat_at_ns, el_now_ns());
    }
    call_free(its);
}

int el_member_send_find(struct evlog_subscriber *subscriber)
{
    struct el_member_call *its = call_new(subscriber, EL_API_FindCoordinator, find_on_done);
    if (its == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    el_coordinator_question(subscriber->group, &its->request.find);
    its->request.find.key = text(&its->arena, subscriber->group);
    if (its->request.find.key.data == NULL) {
        call_free(its);
        return EVLOG_ERR_NO_MEMORY;
    }
    its->call.lane = EL_LANE_MAIN;
    its->call.node_id = EL_NODE_ANY;
    its->call.version_max = EL_FIND_COORDINATOR_VERSION_MAX;
    submit(its, &subscriber->member.finding);
    return 0;
}

/* --- sync -------------------------------------------------------------------------------------------------------- */

static void sync_on_done(struct evlog_client *client, struct el_call *call)
{
    struct el_member_call *its = call->arg;
    struct el_msg_sync_group_response response;
    struct el_msg_consumer_protocol_assignment assignment;
    if (!arrived(its)) {
        return;
    }
    struct evlog_subscriber *subscriber = its->subscriber;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    int rc = call->failure.code;
    if (rc != 0) {
        broken(subscriber, &call->failure);
    } else if (el_call_decode(call, &response, &why) != 0) {
        broken(subscriber, &why);
    } else if (response.error_code != 0) {
        refused(subscriber, response.error_code);
    } else {
        rc = el_consumer_protocol_decode(&el_schema_consumer_protocol_assignment, response.assignment, &its->arena,
                                         &assignment);
        if (rc == 0) {
            rc = el_partition_set_copy(&subscriber->member.assigned, assignment.assigned, assignment.assigned_count);
        }
        if (rc == 0) {
            el_member_assigned(subscriber);
        } else {
            el_member_join_later(subscriber);
        }
    }
    call_free(its);
}

/* Ask for the assignment; the leader brings those of all. */
static int send_sync(struct evlog_subscriber *subscriber, const struct el_msg_join_group_response *lead)
{
    struct el_member *member = &subscriber->member;
    struct el_member_call *its = call_new(subscriber, EL_API_SyncGroup, sync_on_done);
    if (its == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_msg_sync_group_request *request = &its->request.sync;
    el_schema_init(&el_schema_sync_group_request, request);
    request->group_id = text(&its->arena, subscriber->group);
    request->generation_id = member->generation;
    request->member_id = text(&its->arena, member->id);
    request->group_instance_id = text(&its->arena, subscriber->instance_id);
    request->protocol_type = el_slice_str(EL_CONSUMER_PROTOCOL_TYPE);
    request->protocol_name = el_slice_str(el_assignor_name((enum el_assignor)member->assignor));
    bool ok = request->group_id.data != NULL && request->member_id.data != NULL &&
              (subscriber->instance_id == NULL || request->group_instance_id.data != NULL);
    int rc = !ok ? EVLOG_ERR_NO_MEMORY : lead == NULL ? 0 : el_member_divide(subscriber, lead, &its->arena, request);
    if (rc != 0) {
        call_free(its);
        return rc;
    }
    its->call.deadline_ns += subscriber->client->cfg.poll_interval_ms * EL_NS_PER_MS; /* waits for the leader */
    submit(its, &member->pending);
    return 0;
}

/* --- the leader's metadata --------------------------------------------------------------------------------------- */

static void metadata_on_done(struct evlog_client *client, struct el_call *call)
{
    struct el_member_call *its = call->arg;
    struct el_msg_metadata_response response;
    if (!arrived(its)) {
        return;
    }
    struct evlog_subscriber *subscriber = its->subscriber;
    int rc = call->failure.code == 0 ? el_call_decode(call, &response, NULL) : call->failure.code;
    if (rc == 0) {
        rc = el_cluster_take(client, &response);
    }
    if (rc == 0) {
        subscriber->member.cluster_seen = client->cluster.change_count;
        rc = send_sync(subscriber, &subscriber->member.joined->joined);
    }
    forget_joined(&subscriber->member);
    if (rc != 0) {
        el_member_join_later(subscriber);
    }
    call_free(its);
}

static int send_metadata(struct evlog_subscriber *subscriber)
{
    struct el_member_call *its = call_new(subscriber, EL_API_Metadata, metadata_on_done);
    if (its == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    uint32_t count;
    struct el_slice *names = el_member_topics_of_all(&subscriber->member.joined->joined, &its->arena, &count);
    int rc = names == NULL ? EVLOG_ERR_NO_MEMORY
                           : el_cluster_question(&its->arena, names, count, &its->request.metadata);
    if (rc != 0) {
        call_free(its);
        return rc;
    }
    its->call.lane = EL_LANE_MAIN;
    its->call.node_id = EL_NODE_ANY;
    its->call.version_max = EL_METADATA_VERSION_MAX;
    submit(its, &subscriber->member.pending);
    return 0;
}

/* --- join -------------------------------------------------------------------------------------------------------- */

static int keep_id(struct el_member *member, struct el_slice id)
{
    char *copy = el_malloc(id.len + 1);
    if (copy == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (id.len > 0) {
        memcpy(copy, id.data, id.len);
    }
    copy[id.len] = '\0';
    el_free(member->id);
    member->id = copy;
    return 0;
}

/* In a generation: as a follower, or as the leader, whose join is kept until the assignments are made. returns 0 |
 * negative: join again later */
static int joined(struct evlog_subscriber *subscriber, struct el_member_call *its)
{
    struct el_member *member = &subscriber->member;
    const struct el_msg_join_group_response *response = &its->joined;
    member->assignor = el_assignor_by_name(response->protocol_name);
    if (member->assignor < 0 || response->generation_id < 0) {
        return EVLOG_ERR_MALFORMED;
    }
    int rc = keep_id(member, response->member_id);
    if (rc != 0) {
        return rc;
    }
    member->generation = response->generation_id;
    member->is_leader = el_slice_eq(response->leader, response->member_id);
    member->heartbeat_at_ns = el_now_ns() + subscriber->client->cfg.heartbeat_ms * EL_NS_PER_MS;
    el_sm_move(&member->sm, subscriber, EL_MEMBER_SYNCING);
    if (!member->is_leader || response->skip_assignment) {
        return send_sync(subscriber, NULL);
    }
    forget_joined(member);
    member->joined = its;
    return send_metadata(subscriber);
}

static void join_refused(struct evlog_subscriber *subscriber, const struct el_msg_join_group_response *response)
{
    if (response->error_code == EL_KAFKA_MEMBER_ID_REQUIRED) {
        if (keep_id(&subscriber->member, response->member_id) != 0) {
            el_member_backoff(subscriber);
        }
        return; /* and join again at once */
    }
    refused(subscriber, response->error_code);
}

static void join_on_done(struct evlog_client *client, struct el_call *call)
{
    struct el_member_call *its = call->arg;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    if (!arrived(its)) {
        return;
    }
    struct evlog_subscriber *subscriber = its->subscriber;
    if (call->failure.code != 0) {
        broken(subscriber, &call->failure);
    } else if (el_call_decode(call, &its->joined, &why) != 0) {
        broken(subscriber, &why);
    } else if (its->joined.error_code != 0) {
        join_refused(subscriber, &its->joined);
    } else if (joined(subscriber, its) != 0) {
        el_member_join_later(subscriber);
    }
    if (subscriber->member.joined != its) {
        call_free(its);
    }
}

/* What this member says to the leader, for one strategy. */
static int fill_protocol(struct evlog_subscriber *subscriber, enum el_assignor assignor, struct el_arena *arena,
                         struct el_msg_join_group_protocol *protocol)
{
    struct el_member *member = &subscriber->member;
    struct el_msg_consumer_protocol_subscription subscription;
    el_schema_init(&el_schema_consumer_protocol_subscription, &subscription);
    subscription.topics = el_member_topics(subscriber, arena, &subscription.topic_count);
    uint8_t *user_data = el_arena_alloc(arena, sizeof(int32_t));
    if (subscription.topics == NULL || user_data == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    member->wanted_hash = el_member_hash(subscriber->client, subscription.topics, subscription.topic_count, false);
    if (el_assignor_cooperative(assignor)) {
        subscription.owned = member->held.runs;
        subscription.owned_count = member->held.run_count;
        subscription.generation_id = member->generation;
        /* The same once more, where older Java clients look for it. */
        struct el_writer w;
        el_writer_init(&w, user_data, sizeof(int32_t));
        el_write_be32(&w, (uint32_t)member->generation);
        subscription.user_data = el_slice_of(user_data, sizeof(int32_t));
    }
    protocol->name = el_slice_str(el_assignor_name(assignor));
    return el_consumer_protocol_encode(&el_schema_consumer_protocol_subscription, &subscription, arena,
                                       &protocol->metadata);
}

static int fill_join(struct evlog_subscriber *subscriber, struct el_member_call *its)
{
    const struct el_client_config *cfg = &subscriber->client->cfg;
    struct el_msg_join_group_request *request = &its->request.join;
    el_schema_init(&el_schema_join_group_request, request);
    request->group_id = text(&its->arena, subscriber->group);
    request->session_timeout_ms = (int32_t)cfg->session_timeout_ms;
    request->rebalance_timeout_ms = (int32_t)cfg->poll_interval_ms;
    request->member_id = text(&its->arena, subscriber->member.id);
    request->group_instance_id = text(&its->arena, subscriber->instance_id);
    request->protocol_type = el_slice_str(EL_CONSUMER_PROTOCOL_TYPE);
    request->protocols = el_schema_new(&el_schema_join_group_protocol, &its->arena, cfg->assignor_count);
    request->protocol_count = cfg->assignor_count;
    bool ok = request->group_id.data != NULL && request->member_id.data != NULL && request->protocols != NULL &&
              (subscriber->instance_id == NULL || request->group_instance_id.data != NULL);
    int rc = ok ? 0 : EVLOG_ERR_NO_MEMORY;
    for (uint32_t i = 0; rc == 0 && i < cfg->assignor_count; i++) {
        rc = fill_protocol(subscriber, cfg->assignors[i], &its->arena, &request->protocols[i]);
    }
    return rc;
}

int el_member_send_join(struct evlog_subscriber *subscriber)
{
    const struct el_client_config *cfg = &subscriber->client->cfg;
    struct el_member_call *its = call_new(subscriber, EL_API_JoinGroup, join_on_done);
    if (its == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int rc = fill_join(subscriber, its);
    if (rc != 0) {
        call_free(its);
        return rc;
    }
    int64_t wait_ms = EL_MAX(cfg->poll_interval_ms + JOIN_GRACE_MS, cfg->request_timeout_ms);
    its->call.deadline_ns = el_now_ns() + wait_ms * EL_NS_PER_MS;
    submit(its, &subscriber->member.pending);
    return 0;
}

/* --- heartbeat --------------------------------------------------------------------------------------------------- */

static bool is_member(const struct el_member *member)
{
    return member->sm.state == EL_MEMBER_STABLE || member->sm.state == EL_MEMBER_ADOPTING ||
           (member->sm.state == EL_MEMBER_RETREATING && member->generation >= 0);
}

static void heartbeat_on_done(struct evlog_client *client, struct el_call *call)
{
    struct el_member_call *its = call->arg;
    struct el_msg_heartbeat_response response;
    if (!arrived(its)) {
        return;
    }
    struct evlog_subscriber *subscriber = its->subscriber;
    struct el_member *member = &subscriber->member;
    int rc = call->failure.code == 0 ? el_call_decode(call, &response, NULL) : call->failure.code;
    bool counts = is_member(member) && its->request.heartbeat.generation_id == member->generation;
    if (!counts) {
        /* It asked about a membership that is over, or is being renewed. */
    } else if (rc != 0) {
        lose_coordinator(subscriber);
    } else if (response.error_code == EL_KAFKA_REBALANCE_IN_PROGRESS) {
        member->rejoin = member->rejoin || member->sm.state != EL_MEMBER_RETREATING;
    } else if (el_coordinator_error(response.error_code)) {
        lose_coordinator(subscriber);
    } else if (response.error_code == EL_KAFKA_UNKNOWN_MEMBER_ID ||
               response.error_code == EL_KAFKA_ILLEGAL_GENERATION) {
        el_member_lost(subscriber, response.error_code == EL_KAFKA_ILLEGAL_GENERATION);
    } else if (response.error_code != 0 && !el_kafka_error_retriable(response.error_code)) {
        fail(subscriber, response.error_code);
    }
    call_free(its);
}

int el_member_send_heartbeat(struct evlog_subscriber *subscriber)
{
    struct el_member *member = &subscriber->member;
    struct el_member_call *its = call_new(subscriber, EL_API_Heartbeat, heartbeat_on_done);
    if (its == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_msg_heartbeat_request *request = &its->request.heartbeat;
    el_schema_init(&el_schema_heartbeat_request, request);
    request->group_id = text(&its->arena, subscriber->group);
    request->generation_id = member->generation;
    request->member_id = text(&its->arena, member->id);
    request->group_instance_id = text(&its->arena, subscriber->instance_id);
    if (request->group_id.data == NULL || request->member_id.data == NULL ||
        (subscriber->instance_id != NULL && request->group_instance_id.data == NULL)) {
        call_free(its);
        return EVLOG_ERR_NO_MEMORY;
    }
    submit(its, &member->heartbeat);
    return 0;
}

/* --- leave ------------------------------------------------------------------------------------------------------- */

static void leave_on_done(struct evlog_client *client, struct el_call *call)
{
    struct el_member_call *its = call->arg;
    if (arrived(its)) { /* whatever it says: the session's end says the same */
        call_free(its);
    }
}

int el_member_send_leave(struct evlog_subscriber *subscriber, bool waits)
{
    struct el_member *member = &subscriber->member;
    struct el_member_call *its = call_new(subscriber, EL_API_LeaveGroup, leave_on_done);
    if (its == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_msg_leave_group_request *request = &its->request.leave;
    el_schema_init(&el_schema_leave_group_request, request);
    request->group_id = text(&its->arena, subscriber->group);
    request->members = el_schema_new(&el_schema_leave_group_member, &its->arena, 1);
    request->member_count = 1;
    if (request->members != NULL) {
        request->members[0].member_id = text(&its->arena, member->id);
    }
    if (request->group_id.data == NULL || request->members == NULL || request->members[0].member_id.data == NULL) {
        call_free(its);
        return EVLOG_ERR_NO_MEMORY;
    }
    its->call.lane = EL_LANE_MAIN; /* a join may be waiting on the other one */
    submit(its, waits ? &member->pending : NULL);
    if (!waits) {
        its->subscriber = NULL;
    }
    return 0;
}
