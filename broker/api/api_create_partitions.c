/* SPDX-License-Identifier: Apache-2.0
 *
 * CreatePartitions: give topics more partitions. The number only grows.
 */
#include <api/api.h>
#include <wire/msg_create_partitions.h>

struct grow_entry {
    struct topic_op op;
    int error;           /* EVLOG_ERR_ of what was not even tried, else 0 */
    const char *message; /* for error; static */
};

struct grow_call {
    struct api_call base;
    const struct el_msg_create_partitions_request *ask;
    struct grow_entry *entries; /* [ask->topic_count] */
};

static void grow_finish(struct api_call *base)
{
    struct grow_call *call = EL_CONTAINER(base, struct grow_call, base);
    uint32_t count = call->ask->topic_count;
    struct el_msg_create_partitions_response response;
    el_schema_init(&el_schema_create_partitions_response, &response);
    response.results = api_new(base->api, base->request, &el_schema_create_partitions_topic_result, count);
    if (response.results == NULL) {
        return;
    }
    response.result_count = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct grow_entry *entry = &call->entries[i];
        int error = entry->error != 0 ? entry->error : entry->op.base.error;
        response.results[i].name = call->ask->topics[i].name;
        response.results[i].error_code = api_error(error, false);
        if (error != 0) {
            const char *text = entry->error != 0 ? entry->message : entry->op.message;
            response.results[i].error_message = text == NULL || text[0] == '\0' ? api_error_message(error)
                                                                                : el_slice_str(text);
            api_count_refusal(base->api, error);
        }
    }
    request_reply(base->request, &el_schema_create_partitions_response, &response);
}

static int entry_refuse(struct grow_entry *entry, int error, const char *message)
{
    entry->error = error;
    entry->message = message;
    return error;
}

/* Every new partition by hand, if any, on this node. */
static bool assignments_fit(const struct api *api, const struct el_msg_create_partitions_topic *ask, int32_t more)
{
    if (ask->assignments == NULL) {
        return true;
    }
    if (ask->assignment_count != (uint32_t)more) {
        return false;
    }
    for (uint32_t i = 0; i < ask->assignment_count; i++) {
        if (ask->assignments[i].broker_id_count != 1 || ask->assignments[i].broker_ids[0] != api->node->id) {
            return false;
        }
    }
    return true;
}

static int entry_check(struct grow_call *call, uint32_t index)
{
    const struct el_msg_create_partitions_topic *ask = &call->ask->topics[index];
    struct grow_entry *entry = &call->entries[index];
    if (entry->error != 0) {
        bool twice = entry->error == EVLOG_ERR_INVALID_REQUEST;
        return entry_refuse(entry, entry->error, twice ? "the topic is named twice in the request" : NULL);
    }
    int error;
    const struct topic *topic = api_topic(call->base.api, call->base.request, ask->name, NULL, &error);
    if (topic == NULL) {
        return entry_refuse(entry, error, NULL);
    }
    if (topic->internal) {
        return entry_refuse(entry, EVLOG_ERR_POLICY, "topics of evlog itself cannot be changed");
    }
    if (ask->count <= topic->partition_count) {
        return entry_refuse(entry, EVLOG_ERR_INVALID_PARTITIONS, "the number of partitions can only grow");
    }
    if (!assignments_fit(call->base.api, ask, ask->count - topic->partition_count)) {
        return entry_refuse(entry, EVLOG_ERR_ASSIGNMENT, "each new partition has one replica, on this node");
    }
    entry->op.verb = TOPIC_GROW;
    entry->op.id = topic->id;
    entry->op.partition_count = ask->count;
    entry->op.validate_only = call->ask->validate_only;
    return 0;
}

void api_create_partitions(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_create_partitions_request *ask = message;
    struct grow_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, grow_finish);
    call->ask = ask;
    call->entries = api_alloc(api, request, ask->topic_count, sizeof *call->entries);
    if (call->entries == NULL) {
        return;
    }
    struct el_map seen;
    el_map_init(&seen, api->buddy);
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        api_name_once(&seen, ask->topics[i].name, &call->entries[i].error);
    }
    el_map_destroy(&seen);
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        if (entry_check(call, i) == 0) {
            api_call_add(&call->base, &call->entries[i].op.base);
            store_topic_change(api->shard, &call->entries[i].op);
        }
    }
    api_call_release(&call->base);
}
