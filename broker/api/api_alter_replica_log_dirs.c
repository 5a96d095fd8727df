/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterReplicaLogDirs: there is one data directory. Partitions are there already, and no other directory is known.
 */
#include <api/api.h>
#include <wire/msg_alter_replica_log_dirs.h>

static int16_t move(struct api *api, bool known_dir, const struct topic *topic, int32_t partition, int error)
{
    if (error == EVLOG_ERR_CLUSTER_DENIED) {
        return api_error(error, false);
    }
    if (!known_dir) {
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
        return EL_KAFKA_LOG_DIR_NOT_FOUND;
    }
    error = api_partition_error(topic, partition, error);
    if (error != 0) {
        api_count_refusal(api, error);
    }
    return api_error(error, false);
}

/* returns false when the request has been refused, for want of memory */
static bool fill_topic(struct api *api, struct request *request, bool known_dir, bool denied,
                       const struct el_msg_alter_replica_log_dirs_topic *ask,
                       struct el_msg_alter_replica_log_dirs_topic_result *out)
{
    int error = EVLOG_ERR_CLUSTER_DENIED;
    const struct topic *topic = denied ? NULL : api_topic(api, request, ask->name, NULL, &error);
    out->topic_name = ask->name;
    out->partitions = api_new(api, request, &el_schema_alter_replica_log_dirs_partition_result, ask->partition_count);
    if (out->partitions == NULL) {
        return false;
    }
    out->partition_count = ask->partition_count;
    for (uint32_t i = 0; i < ask->partition_count; i++) {
        out->partitions[i].partition_index = ask->partitions[i];
        out->partitions[i].error_code = move(api, known_dir, topic, ask->partitions[i], error);
    }
    return true;
}

void api_alter_replica_log_dirs(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_alter_replica_log_dirs_request *ask = message;
    struct el_msg_alter_replica_log_dirs_response response;
    el_schema_init(&el_schema_alter_replica_log_dirs_response, &response);
    bool denied = !api_may(api, request, 0, EL_ACL_RESOURCE_CLUSTER, el_slice_str(EL_ACL_CLUSTER_NAME));
    uint32_t count = 0;
    for (uint32_t d = 0; d < ask->dir_count; d++) {
        count += ask->dirs[d].topic_count;
    }
    response.results = api_new(api, request, &el_schema_alter_replica_log_dirs_topic_result, count);
    if (response.results == NULL) {
        return;
    }
    for (uint32_t d = 0; d < ask->dir_count; d++) {
        const struct el_msg_alter_replica_log_dirs_dir *dir = &ask->dirs[d];
        bool known = el_slice_eq(dir->path, el_slice_str(api->node->data_path));
        for (uint32_t t = 0; t < dir->topic_count; t++) {
            if (!fill_topic(api, request, known, denied, &dir->topics[t], &response.results[response.result_count++])) {
                return;
            }
        }
    }
    request_reply(request, &el_schema_alter_replica_log_dirs_response, &response);
}
