/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a share session:
 *
 *   1. opened by epoch 0: found by group and member, and listed with its connection
 *   2. used by requests, each of which moves the epoch on; partitions come and are forgotten
 *   3. ended: no longer found. A fetch that waits is hurried
 *   4. when no request works with it: partition by partition, what it holds is released; then it is freed
 *
 * Not before: a fetch that is under way may still take leases, and a release must come behind it.
 */
#include <api/api.h>

#define SHARE_SESSION_MAGIC OBJ_MAGIC('s', 'h', 's', 'e')
#define PARTS_PER_SESSION 64u /* on average, so that sessions cannot use up a shard's memory */
#define LEASE_MS_DEFAULT 30000
EL_STATIC_ASSERT(sizeof(uint32_t) + (size_t)2 * EL_STRING_LEN_MAX <= API_SCRATCH_LEN,
                 "a key is put together in the scratch");

/* --- life --------------------------------------------------------------------------------------------------------- */

void share_sessions_init(struct share_sessions *sessions, struct api *api)
{
    *sessions = (struct share_sessions){.api = api};
    el_pool_init(&sessions->part_pool, api->buddy, sizeof(struct share_part));
    el_pool_init(&sessions->conn_pool, api->buddy, sizeof(struct share_conn));
    el_map_init(&sessions->sessions, api->buddy);
    el_map_init(&sessions->parts, api->buddy);
    el_list_init(&sessions->ending);
}

void share_sessions_stop(struct share_sessions *sessions)
{
    sessions->stopping = true;
}

static void part_drop(struct share_session *session, struct share_part *part)
{
    struct share_sessions *owner = session->owner;
    el_list_remove(&part->place);
    el_list_remove(&part->turn);
    el_map_remove(&owner->parts, &part->key, sizeof part->key);
    el_pool_put(&owner->part_pool, part);
    session->part_count--;
}

static void session_free(struct share_session *session)
{
    struct share_sessions *owner = session->owner;
    void (*closed)(void *arg) = session->closed;
    void *arg = session->closed_arg;
    EL_ASSERT(session->ended);
    EL_ASSERT(session->use_count == 0);
    EL_ASSERT(session->part_count == 0);
    el_list_remove(&session->conn_link);
    session->magic = 0;
    el_buddy_free(owner->api->buddy, session);
    if (closed != NULL) {
        closed(arg);
    }
}

void share_sessions_destroy(struct share_sessions *sessions)
{
    EL_ASSERT(sessions->sessions.count == 0);
    EL_LIST_EACH(node, &sessions->ending) {
        struct share_session *session = EL_CONTAINER(node, struct share_session, conn_link);
        EL_ASSERT(session->closed == NULL);
        EL_LIST_EACH_SAFE(place, next, &session->parts) {
            part_drop(session, EL_CONTAINER(place, struct share_part, place));
        }
    }
    sessions->destroyed = true;
    el_map_destroy(&sessions->sessions);
    el_map_destroy(&sessions->parts);
    el_pool_destroy(&sessions->part_pool);
    el_pool_destroy(&sessions->conn_pool);
}

/* --- the end of a session ----------------------------------------------------------------------------------------- */

static void session_release_held(struct share_session *session);

static void session_on_released(struct lease_op *op)
{
    struct share_session *session = op->arg;
    OBJ_CHECK(session, SHARE_SESSION);
    lease_op_release(op);
    if (session->submitting) {
        session->returned = true;
    } else {
        session_release_held(session);
    }
}

/* The next partition that may hold something; the others are dropped. returns false when there is none */
static bool next_held(struct share_session *session)
{
    struct share_sessions *owner = session->owner;
    while (!el_list_empty(&session->parts)) {
        struct share_part *part = EL_CONTAINER(session->parts.next, struct share_part, place);
        bool held = part->held && !owner->stopping;
        if (held) {
            session->release = (struct lease_release_op){
                .base = {.group_id = session->group_id, .done = session_on_released, .arg = session},
                .topic_id = part->key.topic_id,
                .partition = part->key.partition,
                .session = session->number,
            };
        }
        part_drop(session, part);
        if (held) {
            return true;
        }
    }
    return false;
}

static void session_release_held(struct share_session *session)
{
    while (next_held(session)) {
        session->submitting = true;
        session->returned = false;
        leases_release(session->owner->api->leases, &session->release);
        session->submitting = false;
        if (!session->returned) {
            return;
        }
    }
    session_free(session);
}

void share_session_give_back(struct share_session *session)
{
    OBJ_CHECK(session, SHARE_SESSION);
    EL_ASSERT(session->use_count > 0);
    session->use_count--;
    if (session->use_count == 0 && session->ended) {
        session_release_held(session);
    }
}

static void session_hurry(struct share_session *session)
{
    if (session->hurry != NULL) {
        session->hurry(session->hurry_arg);
    }
}

void share_session_end(struct share_session *session)
{
    OBJ_CHECK(session, SHARE_SESSION);
    EL_ASSERT(!session->ended);
    session->use_count++; /* until the end of this function */
    session->ended = true;
    void *found = el_map_remove(&session->owner->sessions, session->key, session->key_len);
    EL_ASSERT(found == session);
    el_list_remove(&session->conn_link);
    el_list_push_back(&session->owner->ending, &session->conn_link);
    session_hurry(session);
    share_session_give_back(session);
}

void share_session_give_back_closed(struct share_session *session, void (*closed)(void *arg), void *arg)
{
    EL_ASSERT(session->ended);
    EL_ASSERT(session->closed == NULL);
    session->closed = closed;
    session->closed_arg = arg;
    share_session_give_back(session);
}

void share_sessions_conn_closed(struct share_sessions *sessions, struct share_conn *conn)
{
    while (!el_list_empty(&conn->sessions)) {
        share_session_end(EL_CONTAINER(conn->sessions.next, struct share_session, conn_link));
    }
    el_pool_put(&sessions->conn_pool, conn);
}

/* --- finding and opening ------------------------------------------------------------------------------------------ */

static size_t key_len_of(struct el_slice group_id, struct el_slice member_id)
{
    return sizeof(uint32_t) + group_id.len + member_id.len;
}

static void key_write(uint8_t *key, struct el_slice group_id, struct el_slice member_id)
{
    uint32_t group_len = (uint32_t)group_id.len;
    memcpy(key, &group_len, sizeof group_len);
    memcpy(key + sizeof group_len, group_id.data, group_id.len);
    memcpy(key + sizeof group_len + group_id.len, member_id.data, member_id.len);
}

/* The connection's list of sessions; NULL without memory, or when it is gone. */
static struct share_conn *conn_of(struct share_sessions *sessions, struct request *request)
{
    void **user = request_conn_user(request);
    if (user == NULL) {
        return NULL;
    }
    if (*user == NULL) {
        struct share_conn *conn = el_pool_get(&sessions->conn_pool);
        if (conn != NULL) {
            el_list_init(&conn->sessions);
        }
        *user = conn;
    }
    return *user;
}

static struct share_session *session_open(struct share_sessions *sessions, struct request *request,
                                          struct el_slice group_id, struct el_slice member_id)
{
    struct api *api = sessions->api;
    size_t key_len = key_len_of(group_id, member_id);
    bool room = sessions->sessions.count < api->node->share_sessions_max;
    struct share_conn *conn = room ? conn_of(sessions, request) : NULL;
    struct share_session *session = conn == NULL ? NULL : el_buddy_alloc(api->buddy, sizeof *session + key_len);
    if (session == NULL) {
        return NULL;
    }
    memset(session, 0, sizeof *session);
    key_write(session->key, group_id, member_id);
    session->key_len = key_len;
    if (el_map_put(&sessions->sessions, session->key, key_len, session) != 0) {
        el_buddy_free(api->buddy, session);
        return NULL;
    }
    session->magic = SHARE_SESSION_MAGIC;
    session->owner = sessions;
    session->number = leases_session(api->leases);
    session->epoch = SHARE_EPOCH_OPEN;
    session->lease_ms = LEASE_MS_DEFAULT;
    session->group_id = el_slice_of(session->key + sizeof(uint32_t), group_id.len);
    session->member_id = el_slice_of(session->key + sizeof(uint32_t) + group_id.len, member_id.len);
    el_list_init(&session->parts);
    el_list_init(&session->turns);
    el_list_push_back(&conn->sessions, &session->conn_link);
    return session;
}

struct share_session *share_session_find(struct share_sessions *sessions, struct el_slice group_id,
                                         struct el_slice member_id)
{
    size_t key_len = key_len_of(group_id, member_id);
    EL_ASSERT(key_len <= API_SCRATCH_LEN);
    key_write(sessions->api->scratch, group_id, member_id);
    struct share_session *session = el_map_get(&sessions->sessions, sessions->api->scratch, key_len);
    if (session != NULL) {
        OBJ_CHECK(session, SHARE_SESSION);
        session->use_count++;
        session_hurry(session);
    }
    return session;
}

int16_t share_session_take(struct share_sessions *sessions, struct request *request, struct el_slice group_id,
                           struct el_slice member_id, int32_t epoch, struct share_session **out)
{
    struct share_session *session = share_session_find(sessions, group_id, member_id);
    if (epoch == SHARE_EPOCH_OPEN) {
        if (session != NULL) {
            share_session_end(session);
            share_session_give_back(session);
        }
        session = session_open(sessions, request, group_id, member_id);
        if (session == NULL) {
            return EL_KAFKA_SHARE_SESSION_LIMIT_REACHED;
        }
        session->use_count++;
    }
    if (session == NULL) {
        return EL_KAFKA_SHARE_SESSION_NOT_FOUND;
    }
    if (epoch != SHARE_EPOCH_CLOSE && epoch != session->epoch) {
        share_session_give_back(session);
        return EL_KAFKA_INVALID_SHARE_SESSION_EPOCH;
    }
    session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
    if (epoch == SHARE_EPOCH_CLOSE) {
        share_session_end(session);
    }
    *out = session;
    return EL_KAFKA_NONE;
}

/* --- partitions --------------------------------------------------------------------------------------------------- */

struct share_part *share_session_part(struct share_session *session, const struct el_uuid *topic_id, int32_t partition)
{
    struct share_part_key key = {.session = session->number, .topic_id = *topic_id, .partition = partition};
    return el_map_get(&session->owner->parts, &key, sizeof key);
}

int16_t share_session_add(struct share_session *session, const struct el_uuid *topic_id, int32_t partition)
{
    struct share_sessions *owner = session->owner;
    struct share_part *part = share_session_part(session, topic_id, partition);
    if (part == NULL) {
        bool room = owner->parts.count < (uint64_t)owner->api->node->share_sessions_max * PARTS_PER_SESSION;
        part = room ? el_pool_get(&owner->part_pool) : NULL;
        if (part == NULL) {
            return EL_KAFKA_SHARE_SESSION_LIMIT_REACHED;
        }
        part->key = (struct share_part_key){session->number, *topic_id, partition, 0};
        if (el_map_put(&owner->parts, &part->key, sizeof part->key, part) != 0) {
            el_pool_put(&owner->part_pool, part);
            return EL_KAFKA_SHARE_SESSION_LIMIT_REACHED;
        }
        el_list_init(&part->turn);
        el_list_push_back(&session->parts, &part->place);
        session->part_count++;
    }
    if (el_list_empty(&part->turn)) {
        el_list_push_back(&session->turns, &part->turn);
        session->turn_count++;
    }
    return EL_KAFKA_NONE;
}

void share_session_forget(struct share_session *session, const struct el_uuid *topic_id, int32_t partition)
{
    struct share_part *part = share_session_part(session, topic_id, partition);
    if (part == NULL || el_list_empty(&part->turn)) {
        return;
    }
    el_list_remove(&part->turn);
    session->turn_count--;
    if (!part->held) {
        part_drop(session, part);
    }
}

void share_part_turn(struct share_session *session, struct share_part *part)
{
    if (!el_list_empty(&part->turn)) {
        el_list_remove(&part->turn);
        el_list_push_back(&session->turns, &part->turn);
    }
}
