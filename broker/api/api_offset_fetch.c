/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetFetch: commits of one group, from version 8 of several; of the topics named, or of all. There are no pending
 * commits of transactions, so that RequireStable changes nothing.
 *
 *   1. each group is asked on its shard, all at the same time
 *   2. topics named are looked up first: one that is gone has no commits. Of all commits those of gone topics are left
 *      out; the others are put together by topic
 */
#include <api/api.h>
#include <wire/msg_offset_fetch.h>

#define VERSION_TOP_ERROR 2
#define VERSION_GROUPS 8
#define VERSION_TOPIC_IDS 10

/* A topic with partitions, as any version asks for it. */
struct fetch_topic {
    struct el_slice name;
    struct el_uuid id;
    bool unknown; /* there is no such topic */
    bool denied;  /* the caller may not know of it */
    const int32_t *partitions;
    uint32_t partition_count;
};

struct fetch_group {
    struct offsets_op op;
    struct fetch_topic *topics; /* [topic_count] */
    uint32_t topic_count;
};

struct fetch_call {
    struct api_call base;
    struct fetch_group *groups; /* [group_count] */
    uint32_t group_count;
};

/* --- the answer --------------------------------------------------------------------------------------------------- */

/* One topic of an answer, in the layout of versions from 8; older ones are made from it. */
static bool add_partitions(struct fetch_call *call, struct el_msg_offset_fetch_group_topic_result *out, uint32_t count)
{
    out->partitions = el_schema_new(&el_schema_offset_fetch_group_partition_result, &call->base.request->arena, count);
    return out->partitions != NULL;
}

static void add_partition(struct el_msg_offset_fetch_group_topic_result *out, const struct offset_view *view,
                          int16_t error)
{
    struct el_msg_offset_fetch_group_partition_result *partition = &out->partitions[out->partition_count++];
    partition->partition_index = view->partition;
    partition->committed_offset = view->offset;
    partition->committed_leader_epoch = view->leader_epoch;
    partition->metadata = view->metadata;
    partition->error_code = error;
}

/* The topics that were named. These functions return false when there is no memory. */
static bool fill_named(struct fetch_call *call, const struct fetch_group *group,
                       struct el_msg_offset_fetch_group_result *out)
{
    const struct offset_view *view = group->op.views;
    bool by_id = call->base.request->api_version >= VERSION_TOPIC_IDS;
    out->topics = el_schema_new(&el_schema_offset_fetch_group_topic_result, &call->base.request->arena,
                                group->topic_count);
    if (out->topics == NULL) {
        return false;
    }
    out->topic_count = group->topic_count;
    for (uint32_t i = 0; i < group->topic_count; i++) {
        const struct fetch_topic *topic = &group->topics[i];
        struct el_msg_offset_fetch_group_topic_result *to = &out->topics[i];
        to->name = topic->name;
        to->topic_id = topic->id;
        if (!add_partitions(call, to, topic->partition_count)) {
            return false;
        }
        for (uint32_t k = 0; k < topic->partition_count; k++) {
            add_partition(to, view++,
                          topic->denied             ? EL_KAFKA_TOPIC_AUTHORIZATION_FAILED
                          : topic->unknown && by_id ? EL_KAFKA_UNKNOWN_TOPIC_ID
                                                    : EL_KAFKA_NONE);
        }
    }
    EL_ASSERT(view == group->op.views + group->op.view_count); /* each is answered, and in its place */
    return true;
}

/* Count the commits of each topic that is there, then put them in. */
static bool fill_by_topic(struct fetch_call *call, const struct fetch_group *group, struct el_map *seen,
                          struct el_msg_offset_fetch_group_result *out)
{
    struct api *api = call->base.api;
    for (uint32_t i = 0; i < group->op.view_count; i++) {
        const struct offset_view *view = &group->op.views[i];
        const struct topic *topic = store_topic_by_id(api->shard, &view->topic_id);
        struct el_msg_offset_fetch_group_topic_result *to = el_map_get(seen, &view->topic_id, sizeof view->topic_id);
        if (topic == NULL ||
            (to == NULL && !api_could(api, call->base.request, EL_ACL_OP_DESCRIBE, EL_ACL_RESOURCE_TOPIC,
                                      el_slice_of(topic->name, topic->name_len)))) {
            continue;
        }
        if (to == NULL) {
            EL_ASSERT(out->topic_count < group->op.view_count);
            to = &out->topics[out->topic_count++];
            to->name = el_slice_of(topic->name, topic->name_len);
            to->topic_id = topic->id;
            if (el_map_put(seen, &view->topic_id, sizeof view->topic_id, to) != 0) {
                return false;
            }
        }
        to->partition_count++;
    }
    for (uint32_t i = 0; i < out->topic_count; i++) {
        uint32_t count = out->topics[i].partition_count;
        out->topics[i].partition_count = 0;
        if (!add_partitions(call, &out->topics[i], count)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < group->op.view_count; i++) {
        const struct offset_view *view = &group->op.views[i];
        struct el_msg_offset_fetch_group_topic_result *to = el_map_get(seen, &view->topic_id, sizeof view->topic_id);
        if (to != NULL) {
            add_partition(to, view, EL_KAFKA_NONE);
        }
    }
    return true;
}

static bool fill_all(struct fetch_call *call, const struct fetch_group *group,
                     struct el_msg_offset_fetch_group_result *out)
{
    struct el_map seen;
    out->topics = el_schema_new(&el_schema_offset_fetch_group_topic_result, &call->base.request->arena,
                                group->op.view_count);
    if (out->topics == NULL) {
        return false;
    }
    el_map_init(&seen, call->base.api->buddy);
    bool filled = fill_by_topic(call, group, &seen, out);
    el_map_destroy(&seen);
    return filled;
}

static bool fill_group(struct fetch_call *call, const struct fetch_group *group,
                       struct el_msg_offset_fetch_group_result *out)
{
    out->group_id = group->op.base.group_id;
    out->error_code = api_group_error(group->op.base.error);
    if (out->error_code != EL_KAFKA_NONE && call->base.request->api_version >= VERSION_TOP_ERROR) {
        return true;
    }
    return group->op.all ? fill_all(call, group, out) : fill_named(call, group, out);
}

/* The answer of versions before 8. */
static bool fill_old(struct fetch_call *call, const struct el_msg_offset_fetch_group_result *from,
                     struct el_msg_offset_fetch_response *out)
{
    struct request *request = call->base.request;
    out->error_code = request->api_version >= VERSION_TOP_ERROR ? from->error_code : EL_KAFKA_NONE;
    out->topics = el_schema_new(&el_schema_offset_fetch_topic_result, &request->arena, from->topic_count);
    if (out->topics == NULL) {
        return false;
    }
    out->topic_count = from->topic_count;
    for (uint32_t i = 0; i < from->topic_count; i++) {
        const struct el_msg_offset_fetch_group_topic_result *topic = &from->topics[i];
        struct el_msg_offset_fetch_topic_result *to = &out->topics[i];
        to->name = topic->name;
        to->partitions = el_schema_new(&el_schema_offset_fetch_partition_result, &request->arena,
                                       topic->partition_count);
        if (to->partitions == NULL) {
            return false;
        }
        to->partition_count = topic->partition_count;
        for (uint32_t k = 0; k < topic->partition_count; k++) {
            to->partitions[k] = (struct el_msg_offset_fetch_partition_result){
                .partition_index = topic->partitions[k].partition_index,
                .committed_offset = topic->partitions[k].committed_offset,
                .committed_leader_epoch = topic->partitions[k].committed_leader_epoch,
                .metadata = topic->partitions[k].metadata,
                .error_code = from->error_code != 0 ? from->error_code : topic->partitions[k].error_code,
            };
        }
    }
    return true;
}

static bool fill(struct fetch_call *call, struct el_msg_offset_fetch_response *response)
{
    struct request *request = call->base.request;
    struct el_msg_offset_fetch_group_result *groups = el_schema_new(&el_schema_offset_fetch_group_result,
                                                                    &request->arena, call->group_count);
    if (groups == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < call->group_count; i++) {
        if (!fill_group(call, &call->groups[i], &groups[i])) {
            return false;
        }
    }
    if (request->api_version < VERSION_GROUPS) {
        return fill_old(call, &groups[0], response);
    }
    response->groups = groups;
    response->group_count = call->group_count;
    return true;
}

static void blocks_release(struct fetch_call *call)
{
    for (uint32_t i = 0; i < call->group_count; i++) {
        group_op_release(&call->groups[i].op.base);
    }
}

static void fetch_on_release(struct request *request)
{
    blocks_release(request->user);
}

static void fetch_finish(struct api_call *base)
{
    struct fetch_call *call = EL_CONTAINER(base, struct fetch_call, base);
    struct el_msg_offset_fetch_response response;
    el_schema_init(&el_schema_offset_fetch_response, &response);
    if (!fill(call, &response)) {
        blocks_release(call);
        api_refuse_memory(base->api, base->request);
        return;
    }
    request_reply_release(base->request, &el_schema_offset_fetch_response, &response, fetch_on_release);
}

/* --- the question ------------------------------------------------------------------------------------------------- */

/* One topic asked for; its partitions become views of the group. */
static void topic_take(struct fetch_call *call, struct fetch_topic *out, struct offset_view *views)
{
    int error;
    const struct topic *topic = api_topic(call->base.api, call->base.request, out->name, &out->id, &error);
    out->unknown = topic == NULL;
    out->denied = error == EVLOG_ERR_TOPIC_DENIED;
    for (uint32_t i = 0; i < out->partition_count; i++) {
        views[i].partition = out->partitions[i];
        if (topic != NULL) {
            views[i].topic_id = topic->id; /* else zero, which no commit has */
        }
    }
}

/* returns false when the request has been refused */
static bool group_take(struct fetch_call *call, struct fetch_group *group)
{
    struct api *api = call->base.api;
    uint32_t count = 0, next = 0;
    for (uint32_t i = 0; i < group->topic_count; i++) {
        count += group->topics[i].partition_count;
    }
    group->op.views = api_alloc(api, call->base.request, count, sizeof *group->op.views);
    if (group->op.views == NULL) {
        return false;
    }
    group->op.view_count = count;
    for (uint32_t i = 0; i < group->topic_count; i++) {
        topic_take(call, &group->topics[i], &group->op.views[next]);
        next += group->topics[i].partition_count;
    }
    EL_ASSERT(next == count);
    return true;
}

static bool take_old(struct fetch_call *call, const struct el_msg_offset_fetch_request *ask)
{
    struct fetch_group *group = &call->groups[0];
    group->op.base.group_id = ask->group_id;
    group->op.all = ask->topics == NULL && call->base.request->api_version >= VERSION_TOP_ERROR;
    group->topic_count = ask->topic_count;
    group->topics = api_alloc(call->base.api, call->base.request, ask->topic_count, sizeof *group->topics);
    if (group->topics == NULL) {
        return false;
    }
    EL_ASSERT(ask->topics != NULL || ask->topic_count == 0);
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        group->topics[i].name = ask->topics[i].name;
        group->topics[i].partitions = ask->topics[i].partition_indexes;
        group->topics[i].partition_count = ask->topics[i].partition_index_count;
    }
    return group_take(call, group);
}

static bool take_group(struct fetch_call *call, struct fetch_group *group, const struct el_msg_offset_fetch_group *ask)
{
    bool by_id = call->base.request->api_version >= VERSION_TOPIC_IDS;
    group->op.base.group_id = ask->group_id;
    group->op.all = ask->topics == NULL;
    group->topic_count = ask->topic_count;
    group->topics = api_alloc(call->base.api, call->base.request, ask->topic_count, sizeof *group->topics);
    if (group->topics == NULL) {
        return false;
    }
    EL_ASSERT(ask->topics != NULL || ask->topic_count == 0);
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        group->topics[i].name = by_id ? (struct el_slice){0} : ask->topics[i].name;
        group->topics[i].id = ask->topics[i].topic_id;
        group->topics[i].partitions = ask->topics[i].partition_indexes;
        group->topics[i].partition_count = ask->topics[i].partition_index_count;
    }
    return group_take(call, group);
}

void api_offset_fetch(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_offset_fetch_request *ask = message;
    struct fetch_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    bool old = request->api_version < VERSION_GROUPS;
    api_call_init(&call->base, api, request, fetch_finish);
    request->user = call;
    call->group_count = old ? 1 : ask->group_count;
    call->groups = api_alloc(api, request, call->group_count, sizeof *call->groups);
    if (call->groups == NULL || (old && !take_old(call, ask))) {
        return;
    }
    for (uint32_t i = 0; !old && i < call->group_count; i++) {
        if (!take_group(call, &call->groups[i], &ask->groups[i])) {
            return;
        }
    }
    for (uint32_t i = 0; i < call->group_count; i++) {
        if (!api_may(api, request, 0, EL_ACL_RESOURCE_GROUP, call->groups[i].op.base.group_id)) {
            call->groups[i].op.base.error = EVLOG_ERR_GROUP_DENIED;
            for (uint32_t k = 0; k < call->groups[i].op.view_count; k++) {
                call->groups[i].op.views[k].offset = -1;
            }
            continue;
        }
        api_call_add_group(&call->base, &call->groups[i].op.base, api_call_on_group);
        groups_offsets(api->groups, &call->groups[i].op);
    }
    api_call_release(&call->base);
}
