/* SPDX-License-Identifier: Apache-2.0
 *
 * Share sessions of a member of a work group, one a node: which partitions it reads, and when to fetch. Internal thread
 * of the client, lock held.
 *
 * 1. A turn makes a session for every node that leads an assigned partition.
 * 2. Outcomes go first (lease_outcome.c). Then, when the reader wants leases and none are at hand, a ShareFetch: with
 *    epoch 0 it opens the session and names all partitions, later it names what came and what went.
 * 3. Its answer is kept, undecoded as to records, for the reader (lease_events.c).
 * 4. Leases that are kept are extended when half of their time is over.
 *
 * Requests of a session have a connection of their own, since a fetch waits at the broker. Outcomes are sent while it
 * does: evlog ends the wait for them; Apache Kafka answers one request after the other, so there a fetch waits only
 * shortly while this member holds leases.
 *
 * A broken connection, a refused epoch or an answer that cannot be read lose the session: its number changes, leases
 * that came by it are over (the broker gives them to others), and the next fetch opens a new one.
 */
#include "fail.h"
#include "lease_state.h"

#include <core/alloc.h>
#include <stdlib.h>
#include <wire/error_code.h>

#define FETCH_VERSION_MAX 2
#define WAIT_SHORT_MS 50   /* of a fetch that outcomes may have to wait for */
#define KEEP_LOOK_MS 100   /* at most so often are leases looked through */
#define KEEP_RETRY_MS 1000 /* an extension that failed */

static void look_again(int64_t *until_ns, int64_t when_ns)
{
    *until_ns = EL_MIN(*until_ns, when_ns);
}

int32_t el_lease_session_epoch(struct el_lease_session *session)
{
    int32_t epoch = session->epoch;
    session->epoch = epoch == INT32_MAX ? 1 : epoch + 1;
    return epoch;
}

static void backoff(struct evlog_group *group, struct el_lease_session *session)
{
    const struct el_client_config *cfg = &group->client->cfg;
    session->failure_count++;
    session->retry_at_ns = el_now_ns() + el_client_backoff_ns(group->client, session->failure_count,
                                                              cfg->retry_backoff_ms, cfg->retry_backoff_max_ms);
}

static struct el_lease_session *session_for(struct evlog_group *group, int32_t node_id)
{
    EL_LIST_EACH(node, &group->sessions) {
        struct el_lease_session *session = EL_CONTAINER(node, struct el_lease_session, link);
        if (session->node_id == node_id) {
            return session;
        }
    }
    struct el_lease_session *fresh = el_calloc(1, sizeof *fresh);
    if (fresh != NULL) {
        fresh->node_id = node_id;
        fresh->number = ++group->session_next;
        el_list_init(&fresh->outcomes);
        el_list_push_back(&group->sessions, &fresh->link);
    }
    return fresh;
}

void el_lease_session_lost(struct evlog_group *group, struct el_lease_session *session, const struct evlog_failure *why)
{
    struct evlog_failure over = EVLOG_FAILURE_INIT;
    (void)el_fail(&over, EVLOG_ERR_LEASE, "work group %.100s: the session with node %d is lost, and its leases with it",
                  group->name, session->node_id);
    el_client_log(group->client, EVLOG_LOG_WARNING, "work group %s: session with node %d lost: %s", group->name,
                  session->node_id, why->text);
    session->number = ++group->session_next;
    session->epoch = 0;
    session->fetching = session->telling = NULL;
    while (!el_list_empty(&session->outcomes)) {
        el_outcome_end(group, EL_CONTAINER(session->outcomes.next, struct el_outcome, link), &over);
    }
    el_group_trouble(group, why);
    backoff(group, session);
    el_client_notify(group->client);
}

/* --- which partitions --------------------------------------------------------------------------------------------- */

/* The name of a source's topic, NULL while it is not known. */
static const char *name_of(struct evlog_group *group, struct el_lease_source *source)
{
    const struct el_map *known = &group->client->cluster.topics;
    for (size_t i = 0; source->topic == NULL && i < known->count; i++) {
        const struct el_topic *topic = known->entries[i].value;
        if (el_uuid_eq(&topic->id, &source->topic_id)) {
            source->topic = el_strdup(topic->name);
        }
    }
    return source->topic;
}

/* Node that leads a source, -1 unknown. */
static int32_t leader_of(struct evlog_group *group, struct el_lease_source *source)
{
    const char *name = name_of(group, source);
    return name == NULL ? -1 : el_cluster_leader(group->client, name, source->partition);
}

static bool is_for(struct evlog_group *group, struct el_lease_source *source, const struct el_lease_session *session)
{
    return source->assigned && leader_of(group, source) == session->node_id;
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

static int compare_sources(const void *a, const void *b)
{
    const struct el_lease_source *x = *(const struct el_lease_source *const *)a;
    const struct el_lease_source *y = *(const struct el_lease_source *const *)b;
    int order = memcmp(&x->topic_id, &y->topic_id, sizeof x->topic_id);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

/* Sources that come to the session (wanted), or go from it; by topic, then partition. returns NULL: no memory */
static struct el_lease_source **changes(struct evlog_group *group, const struct el_lease_session *session, bool wanted,
                                        struct el_arena *arena, uint32_t *count)
{
    uint32_t room = 0;
    *count = 0;
    EL_LIST_EACH(node, &group->sources) {
        room++;
    }
    struct el_lease_source **found = el_arena_alloc(arena, (room + 1) * sizeof(struct el_lease_source *));
    EL_LIST_EACH(node, &group->sources) {
        struct el_lease_source *source = EL_CONTAINER(node, struct el_lease_source, link);
        if (found != NULL && is_for(group, source, session) == wanted &&
            (source->listed == session->number) != wanted) {
            found[(*count)++] = source;
        }
    }
    if (found != NULL && *count > 0) {
        qsort(found, *count, sizeof *found, compare_sources);
    }
    return found;
}

static int add_wanted(struct el_lease_call *its, struct el_lease_source *const *sources, uint32_t count)
{
    struct el_msg_share_fetch_request *request = &its->request.fetch;
    struct el_msg_share_fetch_topic *topics = el_schema_new(&el_schema_share_fetch_topic, &its->arena, count);
    struct el_msg_share_fetch_partition *parts = el_schema_new(&el_schema_share_fetch_partition, &its->arena, count);
    if (topics == NULL || parts == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    request->topics = topics;
    request->topic_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || !el_uuid_eq(&sources[i]->topic_id, &sources[i - 1]->topic_id)) {
            topics[request->topic_count].topic_id = sources[i]->topic_id;
            topics[request->topic_count++].partitions = &parts[i];
        }
        parts[i].partition_index = sources[i]->partition;
        parts[i].acknowledgement_batches = EL_EMPTY;
        topics[request->topic_count - 1].partition_count++;
    }
    return 0;
}

static int add_gone(struct el_lease_call *its, struct el_lease_source *const *sources, uint32_t count)
{
    struct el_msg_share_fetch_request *request = &its->request.fetch;
    struct el_msg_share_fetch_forgotten_topic *topics = el_schema_new(&el_schema_share_fetch_forgotten_topic,
                                                                      &its->arena, count);
    int32_t *parts = el_arena_alloc(&its->arena, (count + 1) * sizeof *parts);
    if (topics == NULL || parts == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    request->forgotten_topics_data = topics;
    request->forgotten_topics_data_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || !el_uuid_eq(&sources[i]->topic_id, &sources[i - 1]->topic_id)) {
            topics[request->forgotten_topics_data_count].topic_id = sources[i]->topic_id;
            topics[request->forgotten_topics_data_count++].partitions = &parts[i];
        }
        parts[i] = sources[i]->partition;
        topics[request->forgotten_topics_data_count - 1].partition_count++;
    }
    return 0;
}

static int32_t wait_ms(const struct evlog_group *group, int64_t now_ns)
{
    bool holds = !group->client->is_evlog && (!el_list_empty(&group->held) || !el_list_empty(&group->settling));
    int64_t wanted_ms = holds ? EL_MIN(group->client->cfg.fetch_wait_ms, WAIT_SHORT_MS)
                              : group->client->cfg.fetch_wait_ms;
    int64_t left_ms = group->wanted_until_ns == EL_NEVER_NS ? INT32_MAX
                                                            : (group->wanted_until_ns - now_ns) / EL_NS_PER_MS;
    return (int32_t)EL_MAX(EL_MIN(wanted_ms, left_ms), 0);
}

static int fill_fetch(struct evlog_group *group, struct el_lease_session *session, struct el_lease_call *its)
{
    struct el_msg_share_fetch_request *request = &its->request.fetch;
    uint32_t come_count, gone_count;
    struct el_lease_source **come = changes(group, session, true, &its->arena, &come_count);
    struct el_lease_source **gone = changes(group, session, false, &its->arena, &gone_count);
    el_schema_init(&el_schema_share_fetch_request, request);
    char *name = el_arena_strndup(&its->arena, group->name, strlen(group->name));
    char *member = el_arena_strndup(&its->arena, group->member_id, strlen(group->member_id));
    if (come == NULL || gone == NULL || name == NULL || member == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (session->epoch == 0 && come_count == 0) {
        return EVLOG_ERR_AGAIN; /* nothing to read there */
    }
    request->group_id = el_slice_str(name);
    request->member_id = el_slice_str(member);
    request->max_wait_ms = wait_ms(group, el_now_ns());
    request->min_bytes = 1;
    request->max_bytes = group->client->cfg.fetch_len_max;
    request->max_records = request->batch_size = (int32_t)EL_MIN(group->wanted_count, INT32_MAX);
    request->share_acquire_mode = 1; /* not more than max_records */
    int rc = add_wanted(its, come, come_count);
    if (rc == 0) {
        rc = add_gone(its, gone, gone_count);
    }
    for (uint32_t i = 0; rc == 0 && i < come_count; i++) {
        come[i]->listed = session->number;
    }
    for (uint32_t i = 0; rc == 0 && i < gone_count; i++) {
        gone[i]->listed = 0;
    }
    return rc;
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

/* A code of the whole answer. */
static void fetch_refused(struct evlog_group *group, struct el_lease_session *session,
                          const struct el_msg_share_fetch_response *response)
{
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    int code = response->error_code;
    (void)el_fail_kafka(&why, code, response->error_message, "lease events");
    el_fail_right(&why, "read group", group->name);
    el_lease_session_lost(group, session, &why);
    if (code == EL_KAFKA_SHARE_SESSION_NOT_FOUND || code == EL_KAFKA_INVALID_SHARE_SESSION_EPOCH) {
        session->retry_at_ns = session->failure_count > 1 ? session->retry_at_ns : 0;
    } else if (code != EL_KAFKA_SHARE_SESSION_LIMIT_REACHED && !el_kafka_error_retriable(code)) {
        el_group_fail(group, &why);
    }
}

/* Codes of single partitions. returns true when there are leases in it */
static bool look_at_partitions(struct evlog_group *group, struct el_lease_session *session,
                               const struct el_msg_share_fetch_response *response)
{
    bool has_leases = false;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    for (uint32_t i = 0; i < response->response_count; i++) {
        for (uint32_t j = 0; j < response->responses[i].partition_count; j++) {
            const struct el_msg_share_fetch_partition_result *part = &response->responses[i].partitions[j];
            has_leases = has_leases || part->acquired_record_count > 0;
            if (part->error_code != 0) {
                (void)el_fail_kafka(&why, part->error_code, part->error_message, "lease events of a partition");
                el_fail_right(&why, "read topic", group->topic_count == 1 ? group->topics[0] : NULL);
            }
        }
    }
    if (why.code == 0) {
        session->failure_count = 0;
        el_group_trouble(group, NULL);
    } else {
        el_cluster_suspect(group->client);
        el_group_trouble(group, &why);
        backoff(group, session);
    }
    return has_leases;
}

static void fetch_on_done(struct evlog_client *client, struct el_call *call)
{
    struct el_lease_call *its = call->arg;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    if (!el_lease_call_arrived(its)) {
        return;
    }
    struct evlog_group *group = its->group;
    struct el_lease_session *session = its->session;
    its->arrived_ns = el_now_ns();
    if (its->session_number != session->number) {
        /* It was asked in a session that is lost. */
    } else if (call->failure.code != 0) {
        if (call->failure.code == EVLOG_ERR_UNREACHABLE) {
            el_cluster_suspect(client);
        }
        el_lease_session_lost(group, session, &call->failure);
    } else if (el_call_decode(call, &its->fetched, &why) != 0) {
        el_lease_session_lost(group, session, &why);
    } else if (its->fetched.error_code != 0) {
        fetch_refused(group, session, &its->fetched);
    } else if (look_at_partitions(group, session, &its->fetched) && el_group_works(group)) {
        el_list_push_back(&group->answers, &its->link);
        group->wanted_count = 0; /* until the reader has looked */
        el_client_notify(client);
        return;
    }
    el_lease_call_free(its);
}

static bool wants_fetch(const struct evlog_group *group, const struct el_lease_session *session, int64_t now_ns)
{
    return group->sm.state == EL_GROUP_STABLE && session->fetching == NULL && group->wanted_count > 0 &&
           now_ns < group->wanted_until_ns && el_list_empty(&group->ready) && el_list_empty(&group->answers);
}

static int send_fetch(struct evlog_group *group, struct el_lease_session *session)
{
    struct el_lease_call *its = el_lease_call_new(group, session, EL_API_ShareFetch, fetch_on_done);
    if (its == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int rc = fill_fetch(group, session, its);
    if (rc != 0) {
        el_lease_call_free(its);
        return rc == EVLOG_ERR_AGAIN ? 0 : rc;
    }
    its->request.fetch.share_session_epoch = el_lease_session_epoch(session);
    its->call.version_max = FETCH_VERSION_MAX;
    its->call.deadline_ns += its->request.fetch.max_wait_ms * EL_NS_PER_MS;
    el_lease_call_submit(its, &session->fetching);
    return 0;
}

/* --- leases that are kept ----------------------------------------------------------------------------------------- */

/* Extend what is due; returns when to look again. */
static int64_t keep(struct evlog_group *group, int64_t now_ns)
{
    int64_t next_ns = EL_NEVER_NS;
    EL_LIST_EACH(node, &group->held) {
        struct el_lease *lease = EL_CONTAINER(node, struct el_lease, link);
        if (lease->keep_until_ns <= now_ns || el_lease_is_over(lease) || lease->extending) {
            continue;
        }
        int64_t due_ns = lease->deadline_ns - lease->lease_ns / 2;
        if (due_ns > now_ns) {
            next_ns = EL_MIN(next_ns, due_ns);
            continue;
        }
        lease->extending = true;
        lease->extension.kind = EL_OUTCOME_EXTEND;
        el_outcome_queue(group, lease->session, lease->session_number, &lease->extension);
        next_ns = EL_MIN(next_ns, now_ns + KEEP_RETRY_MS * EL_NS_PER_MS);
    }
    return next_ns == EL_NEVER_NS ? next_ns : EL_MAX(next_ns, now_ns + KEEP_LOOK_MS * EL_NS_PER_MS);
}

/* --- turns ------------------------------------------------------------------------------------------------------- */

static void session_turn(struct evlog_group *group, struct el_lease_session *session, int64_t now_ns, int64_t *until_ns)
{
    if (session->retry_at_ns > now_ns) {
        look_again(until_ns, session->retry_at_ns);
        return;
    }
    int rc = 0;
    if (session->telling == NULL && !el_list_empty(&session->outcomes)) {
        rc = el_outcomes_send(group, session);
    }
    if (rc == 0 && wants_fetch(group, session, now_ns)) {
        rc = send_fetch(group, session);
    }
    if (rc != 0) {
        backoff(group, session);
        look_again(until_ns, session->retry_at_ns);
    }
}

/* A session for every node that leads something. */
static void open_sessions(struct evlog_group *group)
{
    bool lacks = false;
    EL_LIST_EACH(node, &group->sources) {
        struct el_lease_source *source = EL_CONTAINER(node, struct el_lease_source, link);
        int32_t leader = source->assigned ? leader_of(group, source) : -1;
        lacks = lacks || (source->assigned && leader < 0);
        if (leader >= 0) {
            (void)session_for(group, leader); /* without memory: at a later turn */
        }
    }
    if (lacks && !group->client->cluster.refresh_wanted) {
        group->client->cluster.refresh_wanted = true;
    }
}

void el_lease_sessions_turn(struct evlog_group *group, int64_t now_ns, int64_t *until_ns)
{
    if (group->sm.state == EL_GROUP_STABLE) {
        open_sessions(group);
    }
    if (now_ns >= group->keep_at_ns && el_group_works(group)) {
        group->keep_at_ns = keep(group, now_ns);
    }
    look_again(until_ns, group->keep_at_ns);
    EL_LIST_EACH_SAFE(node, following, &group->sessions) {
        session_turn(group, EL_CONTAINER(node, struct el_lease_session, link), now_ns, until_ns);
    }
}

bool el_lease_sessions_quiet(const struct evlog_group *group)
{
    EL_LIST_EACH(node, &group->sessions) {
        const struct el_lease_session *session = EL_CONTAINER(node, struct el_lease_session, link);
        if (session->telling != NULL || !el_list_empty(&session->outcomes)) {
            return false;
        }
    }
    return true;
}

/* --- closing ------------------------------------------------------------------------------------------------------ */

static void close_on_done(struct evlog_client *client, struct el_call *call)
{
    (void)client;
    struct el_lease_call *its = call->arg;
    if (el_lease_call_arrived(its)) { /* whatever it says: the end of the connection says the same */
        el_lease_call_free(its);
    }
}

static int send_close(struct evlog_group *group, struct el_lease_session *session)
{
    struct el_lease_call *its = el_lease_call_new(group, session, EL_API_ShareAcknowledge, close_on_done);
    if (its == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_msg_share_acknowledge_request *request = &its->request.acknowledge;
    el_schema_init(&el_schema_share_acknowledge_request, request);
    char *name = el_arena_strndup(&its->arena, group->name, strlen(group->name));
    char *member = el_arena_strndup(&its->arena, group->member_id, strlen(group->member_id));
    if (name == NULL || member == NULL) {
        el_lease_call_free(its);
        return EVLOG_ERR_NO_MEMORY;
    }
    request->group_id = el_slice_str(name);
    request->member_id = el_slice_str(member);
    request->share_session_epoch = -1;
    request->topics = EL_EMPTY;
    el_lease_call_submit(its, &session->telling);
    return 0;
}

bool el_lease_sessions_close(struct evlog_group *group)
{
    bool closed = true;
    EL_LIST_EACH(node, &group->sessions) {
        struct el_lease_session *session = EL_CONTAINER(node, struct el_lease_session, link);
        if (session->epoch > 0 && session->telling == NULL) {
            session->epoch = 0; /* one try */
            if (send_close(group, session) != 0) {
                continue;
            }
        }
        closed = closed && session->telling == NULL;
    }
    return closed;
}
