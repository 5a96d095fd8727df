/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of groups: their memory, their ids, and the assignment strategies ("protocols") they can do. A member is
 * found by its group's number and its id. One that only has an id yet, from the first step of a join, is pending: in
 * the same map, in a list of its own, and not counted.
 */
#include <group/group_state.h>

#include <core/utf8.h>
#include <stdio.h>

#define NS_PER_MS 1000000ull
#define UUID_TEXT_LEN 36u

/* --- finding ------------------------------------------------------------------------------------------------------ */

static size_t key_fill(uint8_t *key, const struct group *group, struct el_slice id)
{
    memcpy(key, &group->number, sizeof group->number);
    if (id.len > 0) {
        memcpy(key + sizeof group->number, id.data, id.len);
    }
    return sizeof group->number + id.len;
}

struct member *member_find(struct group *group, struct el_slice id)
{
    uint8_t key[sizeof group->number + MEMBER_ID_LEN_MAX];
    if (id.len == 0 || id.len > MEMBER_ID_LEN_MAX) {
        return NULL;
    }
    return el_map_get(&group->gs->members, key, key_fill(key, group, id));
}

struct member *member_by_instance(struct group *group, struct el_slice instance_id)
{
    EL_LIST_EACH(node, &group->members) {
        struct member *member = EL_CONTAINER(node, struct member, link);
        if (member->instance_id.data != NULL && el_slice_eq(member->instance_id, instance_id)) {
            return member;
        }
    }
    return NULL;
}

int member_check(struct group *group, struct el_slice id, struct el_slice instance_id, struct member **out)
{
    struct member *member = member_find(group, id);
    bool found = member != NULL && !member->pending;
    if (instance_id.data != NULL && !(found && el_slice_eq(member->instance_id, instance_id))) {
        return member_by_instance(group, instance_id) == NULL ? EVLOG_ERR_UNKNOWN_MEMBER : EVLOG_ERR_FENCED_INSTANCE;
    }
    if (!found) {
        return EVLOG_ERR_UNKNOWN_MEMBER;
    }
    *out = member;
    return 0;
}

int member_check_generation(struct group *group, struct el_slice id, struct el_slice instance_id, int32_t generation,
                            struct member **out)
{
    int code = member_check(group, id, instance_id, out);
    return code == 0 && generation != group->generation ? EVLOG_ERR_GENERATION : code;
}

/* A prefix of at most so many bytes that does not end inside a character. */
static size_t prefix_len(struct el_slice text, size_t len_max)
{
    size_t pos = 0;
    while (pos < text.len) {
        uint32_t point;
        size_t len = EL_MAX(el_utf8_next(text.data + pos, text.len - pos, &point), (size_t)1);
        if (pos + len > len_max) {
            break;
        }
        pos += len;
    }
    return pos;
}

struct el_slice member_new_id(struct groups *gs, const struct join_op *op, char *text)
{
    uint8_t b[16];
    struct el_slice prefix = op->instance_id.data != NULL ? op->instance_id : op->client_id;
    size_t len = prefix_len(prefix, MEMBER_PREFIX_LEN_MAX);
    io_random(gs->io, b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 9562, version 4 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    if (len > 0) {
        memcpy(text, prefix.data, len);
    }
    text[len++] = '-';
    for (size_t i = 0; i < sizeof b; i++) {
        static const char digits[] = "0123456789abcdef";
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            text[len++] = '-';
        }
        text[len++] = digits[b[i] >> 4];
        text[len++] = digits[b[i] & 15];
    }
    EL_ASSERT(len <= MEMBER_PREFIX_LEN_MAX + 1 + UUID_TEXT_LEN);
    return el_slice_of(text, len);
}

/* --- protocols ---------------------------------------------------------------------------------------------------- */

const struct group_protocol *member_protocol(const struct member *member, struct el_slice name)
{
    for (uint32_t i = 0; i < member->protocol_count; i++) {
        if (el_slice_eq(member->protocols[i].name, name)) {
            return &member->protocols[i];
        }
    }
    return NULL;
}

bool member_same_protocols(const struct member *member, const struct join_op *op)
{
    bool same = member->protocol_count == op->protocol_count;
    for (uint32_t i = 0; same && i < op->protocol_count; i++) {
        same = el_slice_eq(member->protocols[i].name, op->protocols[i].name) &&
               el_slice_eq(member->protocols[i].metadata, op->protocols[i].metadata);
    }
    return same;
}

/* Can every member do it? */
static bool all_can(const struct group *group, struct el_slice name)
{
    EL_LIST_EACH(node, &group->members) {
        if (member_protocol(EL_CONTAINER(node, struct member, link), name) == NULL) {
            return false;
        }
    }
    return true;
}

/* What a member votes for: its first that is among those that all can do. returns its index there, -1 none */
static int vote_of(const struct member *member, const struct group_protocol *const *common, uint32_t common_count)
{
    for (uint32_t i = 0; i < member->protocol_count; i++) {
        for (uint32_t k = 0; k < common_count; k++) {
            if (el_slice_eq(member->protocols[i].name, common[k]->name)) {
                return (int)k;
            }
        }
    }
    return -1;
}

struct el_slice group_choose_protocol(const struct group *group)
{
    const struct group_protocol *common[GROUP_PROTOCOLS_MAX];
    uint32_t votes[GROUP_PROTOCOLS_MAX] = {0};
    uint32_t common_count = 0, best = 0;
    if (group->member_count == 0) {
        return (struct el_slice){0};
    }
    const struct member *first = EL_CONTAINER(group->members.next, struct member, link);
    EL_ASSERT(first->protocol_count <= GROUP_PROTOCOLS_MAX);
    for (uint32_t i = 0; i < first->protocol_count; i++) {
        if (all_can(group, first->protocols[i].name)) {
            common[common_count++] = &first->protocols[i];
        }
    }
    EL_LIST_EACH(node, &group->members) {
        int vote = vote_of(EL_CONTAINER(node, struct member, link), common, common_count);
        if (vote >= 0) {
            votes[vote]++;
        }
    }
    for (uint32_t i = 1; i < common_count; i++) {
        best = votes[i] > votes[best] ? i : best;
    }
    return common_count == 0 ? (struct el_slice){0} : common[best]->name;
}

bool group_supports(const struct group *group, const struct join_op *op)
{
    if (op->protocol_type.len == 0 || op->protocol_count == 0 || op->protocol_count > GROUP_PROTOCOLS_MAX) {
        return false;
    }
    if (group->member_count == 0) {
        return true;
    }
    if (!el_slice_eq(op->protocol_type, group->protocol_type)) {
        return false;
    }
    for (uint32_t i = 0; i < op->protocol_count; i++) {
        if (all_can(group, op->protocols[i].name)) {
            return true;
        }
    }
    return false;
}

/* Copies of protocols in one piece: the array, then the bytes. NULL without memory. */
static struct group_protocol *protocols_copy(struct groups *gs, const struct group_protocol *from, uint32_t count,
                                             uint32_t *data_len)
{
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        len += from[i].name.len + from[i].metadata.len;
    }
    if (len > GROUP_STATE_LEN_MAX) {
        return NULL;
    }
    struct group_protocol *copy = group_alloc(gs, EL_MAX(count, 1u) * sizeof *copy + len);
    if (copy == NULL) {
        return NULL;
    }
    uint8_t *p = (uint8_t *)(copy + count);
    for (uint32_t i = 0; i < count; i++) {
        struct el_slice parts[2] = {from[i].name, from[i].metadata};
        for (int k = 0; k < 2; k++) {
            if (parts[k].len > 0) {
                memcpy(p, parts[k].data, parts[k].len);
            }
            parts[k].data = p;
            p += parts[k].len;
        }
        copy[i] = (struct group_protocol){.name = parts[0], .metadata = parts[1]};
    }
    *data_len = (uint32_t)len;
    return copy;
}

/* For people only: without memory the old text stays. */
static void text_update(struct groups *gs, struct el_slice *text, struct el_slice now)
{
    struct el_slice copy;
    if (now.data != NULL && !el_slice_eq(*text, now) && group_copy(gs, now, &copy)) {
        group_drop(gs, text);
        *text = copy;
    }
}

int member_update(struct member *member, const struct join_op *op)
{
    struct group *group = member->group;
    uint32_t data_len = 0;
    struct group_protocol *copy = protocols_copy(group->gs, op->protocols, op->protocol_count, &data_len);
    if (copy == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    group_free(group->gs, member->protocols);
    group->data_len -= member->data_len;
    member->protocols = copy;
    member->protocol_count = op->protocol_count;
    member->data_len = data_len;
    group->data_len += data_len;
    member->session_ms = op->session_ms;
    member->rebalance_ms = op->rebalance_ms;
    text_update(group->gs, &member->client_id, op->client_id);
    text_update(group->gs, &member->host, op->host);
    return 0;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void member_on_session(struct io_timer *timer)
{
    struct member *member = timer->arg;
    OBJ_CHECK(member, MEMBER);
    group_member_expired(member);
}

void member_alive(struct member *member)
{
    struct io *io = member->group->gs->io;
    bool waits = member->join != NULL || member->sync != NULL;
    if (member->group->gs->stopping || (waits && !member->is_new)) {
        io_timer_cancel(io, &member->session); /* it is not expected to say anything while it waits */
        return;
    }
    uint64_t ns = waits ? NEW_MEMBER_NS_MAX : (uint64_t)member->session_ms * NS_PER_MS;
    io_timer_set(io, &member->session, io->now_ns + ns);
}

static void texts_drop(struct member *member)
{
    struct groups *gs = member->group->gs;
    group_drop(gs, &member->key);
    group_drop(gs, &member->instance_id);
    group_drop(gs, &member->client_id);
    group_drop(gs, &member->host);
    group_drop(gs, &member->assignment);
    group_drop(gs, &member->next_assignment);
    group_free(gs, member->protocols);
    member->protocols = NULL;
}

/* The map's key, which holds the id. */
static int key_make(struct member *member, struct el_slice id, struct el_slice *out)
{
    uint8_t *key = group_alloc(member->group->gs, sizeof member->group->number + id.len);
    if (key == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    *out = el_slice_of(key, key_fill(key, member->group, id));
    return 0;
}

static void key_set(struct member *member, struct el_slice key)
{
    member->key = key;
    member->id = el_slice_of(key.data + sizeof member->group->number, key.len - sizeof member->group->number);
}

static struct member *member_make(struct group *group, struct el_slice id, struct el_slice instance_id,
                                  struct el_slice client_id, struct el_slice host)
{
    struct groups *gs = group->gs;
    struct el_slice key;
    EL_ASSERT(id.len > 0);
    EL_ASSERT(id.len <= MEMBER_ID_LEN_MAX);
    struct member *member = group_alloc(gs, sizeof *member);
    if (member == NULL) {
        return NULL;
    }
    member->magic = MEMBER_MAGIC;
    member->group = group;
    member->session.fire = member_on_session;
    member->session.arg = member;
    if (client_id.data == NULL) {
        client_id = el_slice_str("");
    }
    if (key_make(member, id, &key) != 0) {
        group_free(gs, member);
        return NULL;
    }
    key_set(member, key);
    if (!group_copy(gs, instance_id, &member->instance_id) || !group_copy(gs, client_id, &member->client_id) ||
        !group_copy(gs, host, &member->host) || el_map_put(&gs->members, key.data, key.len, member) != 0) {
        texts_drop(member);
        group_free(gs, member);
        return NULL;
    }
    return member;
}

struct member *member_create(struct group *group, struct el_slice id, const struct join_op *op)
{
    struct member *member = member_make(group, id, op->instance_id, op->client_id, op->host);
    if (member != NULL) {
        member->pending = member->is_new = true;
        member->session_ms = op->session_ms;
        member->rebalance_ms = op->rebalance_ms;
        el_list_push_back(&group->pending, &member->link);
        group->pending_count++;
    }
    return member;
}

void member_enter(struct member *member)
{
    struct group *group = member->group;
    EL_ASSERT(member->pending);
    EL_ASSERT(group->pending_count > 0);
    member->pending = false;
    group->pending_count--;
    el_list_remove(&member->link);
    el_list_push_back(&group->members, &member->link);
    group->member_count++;
    metrics_add(group->gs->metrics, METRIC_GROUP_MEMBERS, 1);
}

struct member *member_restore(struct group *group, const struct group_record_member *stored, struct el_slice protocol)
{
    struct group_protocol one = {.name = protocol, .metadata = stored->metadata};
    struct join_op op = {.protocols = &one,
                         .protocol_count = 1,
                         .session_ms = stored->session_ms,
                         .rebalance_ms = stored->rebalance_ms,
                         .instance_id = stored->instance_id,
                         .client_id = stored->client_id,
                         .host = stored->host};
    if (stored->id.len > MEMBER_ID_LEN_MAX || member_find(group, stored->id) != NULL) {
        return NULL;
    }
    struct member *member = member_create(group, stored->id, &op);
    if (member == NULL) {
        return NULL;
    }
    member_enter(member);
    member->is_new = false;
    if (member_update(member, &op) != 0 || !group_copy(group->gs, stored->assignment, &member->assignment)) {
        member_remove(member, EVLOG_ERR_NO_MEMORY);
        return NULL;
    }
    return member;
}

void member_remove(struct member *member, int error)
{
    struct group *group = member->group;
    struct groups *gs = group->gs;
    OBJ_CHECK(member, MEMBER);
    struct join_op *join = member->join;
    struct sync_op *sync = member->sync;
    if (join != NULL && !member->pending) {
        EL_ASSERT(group->joined_count > 0);
        group->joined_count--;
    }
    if (group->leader == member) {
        group->leader = NULL;
    }
    if (member->pending) {
        group->pending_count--;
    } else {
        group->member_count--;
        metrics_add(gs->metrics, METRIC_GROUP_MEMBERS, -1);
    }
    group->data_len -= member->data_len;
    el_list_remove(&member->link);
    io_timer_cancel(gs->io, &member->session);
    el_map_remove(&gs->members, member->key.data, member->key.len);
    texts_drop(member);
    member->magic = 0;
    group_free(gs, member);
    if (join != NULL) {
        join->base.waiter = NULL;
        join->member_id_out = el_slice_str(""); /* it has none any more */
        group_op_finish(&join->base, error);
    }
    if (sync != NULL) {
        sync->base.waiter = NULL;
        group_op_finish(&sync->base, error);
    }
}

int member_rename(struct member *member, struct el_slice id)
{
    struct groups *gs = member->group->gs;
    struct el_slice key, old = member->key;
    int code = key_make(member, id, &key);
    if (code != 0) {
        return code;
    }
    code = el_map_put(&gs->members, key.data, key.len, member);
    if (code != 0) {
        group_drop(gs, &key);
        return code;
    }
    el_map_remove(&gs->members, old.data, old.len);
    key_set(member, key);
    group_drop(gs, &old);
    return 0;
}
