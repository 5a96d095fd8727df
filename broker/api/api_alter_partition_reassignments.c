/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterPartitionReassignments: a partition may be put where it is, on this node alone; that is done at once. No move is
 * ever under way that could be cancelled.
 */
#include <api/api.h>
#include <wire/msg_alter_partition_reassignments.h>

static void refuse(struct api *api, struct el_msg_alter_partition_reassignments_partition_result *out, int16_t code,
                   const char *message)
{
    out->error_code = code;
    out->error_message = el_slice_str(message);
    metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
}

static void fill_partition(struct api *api, const struct topic *topic,
                           const struct el_msg_alter_partition_reassignments_partition *ask,
                           struct el_msg_alter_partition_reassignments_partition_result *out)
{
    out->partition_index = ask->partition_index;
    out->error_message = (struct el_slice){0};
    if (!api_partition_exists(topic, ask->partition_index)) {
        out->error_code = api_error(EVLOG_ERR_UNKNOWN_TOPIC, false);
        out->error_message = api_error_message(EVLOG_ERR_UNKNOWN_TOPIC);
        api_count_refusal(api, EVLOG_ERR_UNKNOWN_TOPIC);
    } else if (ask->replicas == NULL) {
        refuse(api, out, EL_KAFKA_NO_REASSIGNMENT_IN_PROGRESS, "no move of this partition is under way");
    } else if (ask->replica_count != 1 || ask->replicas[0] != api->node->id) {
        refuse(api, out, EL_KAFKA_INVALID_REPLICA_ASSIGNMENT,
               "there is one node: each partition has one replica, on it");
    }
}

/* returns false when the request has been refused, for want of memory */
static bool fill_topic(struct api *api, struct request *request,
                       const struct el_msg_alter_partition_reassignments_topic *ask,
                       struct el_msg_alter_partition_reassignments_topic_result *out)
{
    int error;
    const struct topic *topic = api_topic(api, request, ask->name, NULL, &error);
    out->name = ask->name;
    out->partitions = api_new(api, request, &el_schema_alter_partition_reassignments_partition_result,
                              ask->partition_count);
    if (out->partitions == NULL) {
        return false;
    }
    out->partition_count = ask->partition_count;
    for (uint32_t i = 0; i < ask->partition_count; i++) {
        fill_partition(api, topic, &ask->partitions[i], &out->partitions[i]);
    }
    return true;
}

void api_alter_partition_reassignments(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_alter_partition_reassignments_request *ask = message;
    struct el_msg_alter_partition_reassignments_response response;
    el_schema_init(&el_schema_alter_partition_reassignments_response, &response);
    response.allow_replication_factor_change = ask->allow_replication_factor_change;
    response.error_message = (struct el_slice){0};
    response.responses = api_new(api, request, &el_schema_alter_partition_reassignments_topic_result, ask->topic_count);
    if (response.responses == NULL) {
        return;
    }
    response.response_count = ask->topic_count;
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        if (!fill_topic(api, request, &ask->topics[i], &response.responses[i])) {
            return;
        }
    }
    request_reply(request, &el_schema_alter_partition_reassignments_response, &response);
}
