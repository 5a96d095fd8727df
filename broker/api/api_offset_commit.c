/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetCommit: topics by name, from version 10 by id. Unknown topics and partitions fail alone; the others are one
 * commit, answered when it is durable.
 */
#include <api/api.h>
#include <wire/msg_offset_commit.h>

#define VERSION_GROUP_NOT_FOUND 9
#define VERSION_TOPIC_IDS 10

struct commit_call {
    struct commit_op op;
    struct api *api;
    struct request *request;
    const struct el_msg_offset_commit_request *ask;
    bool work_group;
};

static int16_t error_of(const struct commit_call *call, int error)
{
    int version = call->request->api_version;
    if (error == EVLOG_ERR_UNKNOWN_TOPIC || error == EVLOG_ERR_UNKNOWN_TOPIC_ID) {
        return api_error(error, error == EVLOG_ERR_UNKNOWN_TOPIC_ID && version >= VERSION_TOPIC_IDS);
    }
    if (error == EVLOG_ERR_GROUP_NOT_FOUND && version < VERSION_GROUP_NOT_FOUND && !call->work_group) {
        return EL_KAFKA_ILLEGAL_GENERATION;
    }
    return api_group_error(error);
}

static void commit_on_done(struct group_op *base)
{
    struct commit_call *call = EL_CONTAINER(base, struct commit_call, op.base);
    const struct el_msg_offset_commit_request *ask = call->ask;
    struct el_msg_offset_commit_response response;
    el_schema_init(&el_schema_offset_commit_response, &response);
    response.topics = api_new(call->api, call->request, &el_schema_offset_commit_topic_result, ask->topic_count);
    if (response.topics == NULL) {
        return;
    }
    const struct commit_entry *entry = call->op.entries;
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        const struct el_msg_offset_commit_topic *from = &ask->topics[i];
        if (from->partition_count == 0) {
            continue; /* nothing was asked of it */
        }
        struct el_msg_offset_commit_topic_result *to = &response.topics[response.topic_count++];
        to->name = from->name;
        to->topic_id = from->topic_id;
        to->partitions = api_new(call->api, call->request, &el_schema_offset_commit_partition_result,
                                 from->partition_count);
        if (to->partitions == NULL) {
            return;
        }
        to->partition_count = from->partition_count;
        for (uint32_t k = 0; k < from->partition_count; k++, entry++) {
            to->partitions[k].partition_index = from->partitions[k].partition_index;
            bool denied = base->error == EVLOG_ERR_GROUP_DENIED;
            to->partitions[k].error_code = error_of(call, entry->error != 0 && !denied ? entry->error : base->error);
        }
    }
    request_reply(call->request, &el_schema_offset_commit_response, &response);
}

static void entry_fill(struct commit_call *call, struct commit_entry *entry,
                       const struct el_msg_offset_commit_topic *topic,
                       const struct el_msg_offset_commit_partition *partition)
{
    bool by_id = call->request->api_version >= VERSION_TOPIC_IDS;
    entry->partition = partition->partition_index;
    entry->offset = partition->committed_offset;
    entry->leader_epoch = partition->committed_leader_epoch;
    entry->metadata = partition->committed_metadata;
    entry->error = api_group_topic(call->api, call->request, by_id ? (struct el_slice){0} : topic->name,
                                   by_id ? &topic->topic_id : NULL, entry->partition, &entry->topic_id);
    if (entry->error != 0) {
        api_count_refusal(call->api, entry->error);
    }
}

void api_offset_commit(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_offset_commit_request *ask = message;
    struct commit_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        count += ask->topics[i].partition_count;
    }
    call->op.entries = api_alloc(api, request, count, sizeof *call->op.entries);
    if (call->op.entries == NULL) {
        return;
    }
    call->api = api;
    call->request = request;
    call->ask = ask;
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        for (uint32_t k = 0; k < ask->topics[i].partition_count; k++) {
            entry_fill(call, &call->op.entries[call->op.entry_count++], &ask->topics[i], &ask->topics[i].partitions[k]);
        }
    }
    if (count == 0) {
        commit_on_done(&call->op.base);
        return;
    }
    if (!api_may(api, request, 0, EL_ACL_RESOURCE_GROUP, ask->group_id)) {
        call->op.base.error = EVLOG_ERR_GROUP_DENIED;
        commit_on_done(&call->op.base);
        return;
    }
    if (api_is_work_group(api, ask->group_id)) {
        call->work_group = true; /* it keeps a set of events, not an offset */
        call->op.base.error = EVLOG_ERR_GROUP_NOT_FOUND;
        commit_on_done(&call->op.base);
        return;
    }
    call->op.base.group_id = ask->group_id;
    call->op.base.done = commit_on_done;
    call->op.member_id = ask->member_id;
    call->op.instance_id = ask->group_instance_id;
    call->op.generation = ask->generation_id_or_member_epoch;
    groups_commit(api->groups, &call->op);
}
