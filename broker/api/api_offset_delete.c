/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetDelete: commits of topics that the group does not read.
 */
#include <api/api.h>
#include <wire/msg_offset_delete.h>

struct offset_delete_call {
    struct offset_delete_op op;
    struct api *api;
    struct request *request;
    const struct el_msg_offset_delete_request *ask;
};

static bool fill(struct offset_delete_call *call, struct el_msg_offset_delete_response *response)
{
    const struct el_msg_offset_delete_request *ask = call->ask;
    const struct offset_delete_entry *entry = call->op.entries;
    response->topics = api_new(call->api, call->request, &el_schema_offset_delete_topic_result, ask->topic_count);
    if (response->topics == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        const struct el_msg_offset_delete_topic *from = &ask->topics[i];
        if (from->partition_count == 0) {
            continue; /* nothing was asked of it */
        }
        struct el_msg_offset_delete_topic_result *to = &response->topics[response->topic_count++];
        to->name = from->name;
        to->partitions = api_new(call->api, call->request, &el_schema_offset_delete_partition_result,
                                 from->partition_count);
        if (to->partitions == NULL) {
            return false;
        }
        to->partition_count = from->partition_count;
        for (uint32_t k = 0; k < from->partition_count; k++, entry++) {
            to->partitions[k].partition_index = from->partitions[k].partition_index;
            bool unknown = entry->error == EVLOG_ERR_UNKNOWN_TOPIC || entry->error == EVLOG_ERR_UNKNOWN_TOPIC_ID;
            to->partitions[k].error_code = unknown ? api_error(entry->error, false) : api_group_error(entry->error);
        }
    }
    return true;
}

static void offset_delete_on_done(struct group_op *base)
{
    struct offset_delete_call *call = EL_CONTAINER(base, struct offset_delete_call, op.base);
    struct el_msg_offset_delete_response response;
    el_schema_init(&el_schema_offset_delete_response, &response);
    response.error_code = api_group_error(base->error);
    if (base->error == 0 && !fill(call, &response)) {
        return;
    }
    request_reply(call->request, &el_schema_offset_delete_response, &response);
}

/* Nothing is left to ask the group for, whether it exists or not. */
static bool all_denied(const struct offset_delete_op *op)
{
    for (uint32_t i = 0; i < op->entry_count; i++) {
        if (op->entries[i].error != EVLOG_ERR_TOPIC_DENIED) {
            return false;
        }
    }
    return op->entry_count > 0;
}

void api_offset_delete(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_offset_delete_request *ask = message;
    struct offset_delete_call *call = api_alloc(api, request, 1, sizeof *call);
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
            struct offset_delete_entry *entry = &call->op.entries[call->op.entry_count++];
            entry->topic = ask->topics[i].name;
            entry->partition = ask->topics[i].partitions[k].partition_index;
            entry->error = api_group_topic(api, request, entry->topic, NULL, entry->partition, &entry->topic_id);
        }
    }
    if (ask->group_id.len == 0) {
        call->op.base.error = EVLOG_ERR_INVALID_GROUP;
        offset_delete_on_done(&call->op.base);
        return;
    }
    if (all_denied(&call->op)) {
        offset_delete_on_done(&call->op.base);
        return;
    }
    call->op.base.group_id = ask->group_id;
    call->op.base.done = offset_delete_on_done;
    groups_offset_delete(api->groups, &call->op);
}
