/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of consumer groups. There is no coordinator yet: everything is refused as not available, which clients try
 * again.
 */
#include <api/api.h>
#include <wire/msg_delete_groups.h>
#include <wire/msg_describe_groups.h>
#include <wire/msg_heartbeat.h>
#include <wire/msg_join_group.h>
#include <wire/msg_leave_group.h>
#include <wire/msg_list_groups.h>
#include <wire/msg_offset_commit.h>
#include <wire/msg_offset_delete.h>
#include <wire/msg_offset_fetch.h>
#include <wire/msg_sync_group.h>

#define REFUSE_ALL(stem)                                                                                               \
    void api_##stem(struct api *api, struct request *request, const void *message)                                     \
    {                                                                                                                  \
        struct el_msg_##stem##_response response;                                                                      \
        el_schema_init(&el_schema_##stem##_response, &response);                                                       \
        response.error_code = EL_KAFKA_COORDINATOR_NOT_AVAILABLE;                                                      \
        request_reply(request, &el_schema_##stem##_response, &response);                                               \
    }

REFUSE_ALL(join_group)
REFUSE_ALL(sync_group)
REFUSE_ALL(heartbeat)
REFUSE_ALL(leave_group)
REFUSE_ALL(list_groups)
REFUSE_ALL(offset_delete)

void api_offset_commit(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_offset_commit_request *ask = message;
    struct el_msg_offset_commit_response response;
    el_schema_init(&el_schema_offset_commit_response, &response);
    response.topics = api_new(api, request, &el_schema_offset_commit_topic_result, ask->topic_count);
    if (response.topics == NULL) {
        return;
    }
    response.topic_count = ask->topic_count;
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        const struct el_msg_offset_commit_topic *from = &ask->topics[i];
        struct el_msg_offset_commit_topic_result *to = &response.topics[i];
        to->name = from->name;
        to->topic_id = from->topic_id;
        to->partitions = api_new(api, request, &el_schema_offset_commit_partition_result, from->partition_count);
        if (to->partitions == NULL) {
            return;
        }
        to->partition_count = from->partition_count;
        for (uint32_t k = 0; k < from->partition_count; k++) {
            to->partitions[k].partition_index = from->partitions[k].partition_index;
            to->partitions[k].error_code = EL_KAFKA_COORDINATOR_NOT_AVAILABLE;
        }
    }
    request_reply(request, &el_schema_offset_commit_response, &response);
}

void api_offset_fetch(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_offset_fetch_request *ask = message;
    struct el_msg_offset_fetch_response response;
    el_schema_init(&el_schema_offset_fetch_response, &response);
    uint32_t topic_count = request->api_version < 2 ? ask->topic_count : 0; /* no other place for the error */
    response.topics = api_new(api, request, &el_schema_offset_fetch_topic_result, topic_count);
    if (response.topics == NULL) {
        return;
    }
    response.topic_count = topic_count;
    for (uint32_t i = 0; i < topic_count; i++) {
        const struct el_msg_offset_fetch_topic *from = &ask->topics[i];
        struct el_msg_offset_fetch_topic_result *to = &response.topics[i];
        to->name = from->name;
        to->partitions = api_new(api, request, &el_schema_offset_fetch_partition_result, from->partition_index_count);
        if (to->partitions == NULL) {
            return;
        }
        to->partition_count = from->partition_index_count;
        for (uint32_t k = 0; k < to->partition_count; k++) {
            to->partitions[k].partition_index = from->partition_indexes[k];
            to->partitions[k].committed_offset = -1;
            to->partitions[k].error_code = EL_KAFKA_COORDINATOR_NOT_AVAILABLE;
        }
    }
    if (request->api_version < 8) {
        response.error_code = EL_KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    response.groups = api_new(api, request, &el_schema_offset_fetch_group_result, ask->group_count);
    if (response.groups == NULL) {
        return;
    }
    response.group_count = ask->group_count;
    for (uint32_t i = 0; i < ask->group_count; i++) {
        response.groups[i].group_id = ask->groups[i].group_id;
        response.groups[i].error_code = EL_KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    request_reply(request, &el_schema_offset_fetch_response, &response);
}

void api_describe_groups(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_describe_groups_request *ask = message;
    struct el_msg_describe_groups_response response;
    el_schema_init(&el_schema_describe_groups_response, &response);
    response.groups = api_new(api, request, &el_schema_describe_groups_group, ask->group_count);
    if (response.groups == NULL) {
        return;
    }
    response.group_count = ask->group_count;
    for (uint32_t i = 0; i < ask->group_count; i++) {
        response.groups[i].group_id = ask->groups[i];
        response.groups[i].error_code = EL_KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    request_reply(request, &el_schema_describe_groups_response, &response);
}

void api_delete_groups(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_delete_groups_request *ask = message;
    struct el_msg_delete_groups_response response;
    el_schema_init(&el_schema_delete_groups_response, &response);
    response.results = api_new(api, request, &el_schema_delete_groups_result, ask->groups_name_count);
    if (response.results == NULL) {
        return;
    }
    response.result_count = ask->groups_name_count;
    for (uint32_t i = 0; i < ask->groups_name_count; i++) {
        response.results[i].group_id = ask->groups_names[i];
        response.results[i].error_code = EL_KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    request_reply(request, &el_schema_delete_groups_response, &response);
}
