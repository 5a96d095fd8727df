/* SPDX-License-Identifier: Apache-2.0
 *
 * ElectLeaders: this node leads every partition, so that no election is ever needed. Asked for all partitions Kafka
 * names only those whose leader had to change: none.
 */
#include <api/api.h>
#include <wire/msg_elect_leaders.h>

enum election { ELECTION_PREFERRED = 0, ELECTION_UNCLEAN = 1 };

static void fill_partition(struct api *api, const struct topic *topic, int error, int32_t partition,
                           struct el_msg_elect_leaders_partition_result *out)
{
    out->partition_id = partition;
    error = api_partition_error(topic, partition, error);
    if (error == 0) {
        out->error_code = EL_KAFKA_ELECTION_NOT_NEEDED;
        out->error_message = el_slice_str("the only replica leads already");
        return;
    }
    out->error_code = api_error(error, false);
    out->error_message = api_error_message(error);
    api_count_refusal(api, error);
}

/* returns false when the request has been refused, for want of memory */
static bool fill_topic(struct api *api, struct request *request, const struct el_msg_elect_leaders_topic *ask,
                       struct el_msg_elect_leaders_topic_result *out)
{
    int error;
    const struct topic *topic = api_topic(api, request, ask->topic, NULL, &error);
    out->topic = ask->topic;
    out->partition_result = api_new(api, request, &el_schema_elect_leaders_partition_result, ask->partition_count);
    if (out->partition_result == NULL) {
        return false;
    }
    out->partition_result_count = ask->partition_count;
    for (uint32_t i = 0; i < ask->partition_count; i++) {
        fill_partition(api, topic, error, ask->partitions[i], &out->partition_result[i]);
    }
    return true;
}

void api_elect_leaders(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_elect_leaders_request *ask = message;
    struct el_msg_elect_leaders_response response;
    el_schema_init(&el_schema_elect_leaders_response, &response);
    if (ask->election_type != ELECTION_PREFERRED && ask->election_type != ELECTION_UNCLEAN) {
        response.error_code = EL_KAFKA_INVALID_REQUEST; /* version 0 has no election type */
        api_count_refusal(api, EVLOG_ERR_INVALID_REQUEST);
        request_reply(request, &el_schema_elect_leaders_response, &response);
        return;
    }
    response.replica_election_results = api_new(api, request, &el_schema_elect_leaders_topic_result,
                                                ask->topic_partition_count);
    if (response.replica_election_results == NULL) {
        return;
    }
    response.replica_election_result_count = ask->topic_partition_count;
    for (uint32_t i = 0; i < ask->topic_partition_count; i++) {
        if (!fill_topic(api, request, &ask->topic_partitions[i], &response.replica_election_results[i])) {
            return;
        }
    }
    request_reply(request, &el_schema_elect_leaders_response, &response);
}
