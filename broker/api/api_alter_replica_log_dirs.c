/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterReplicaLogDirs: there is one data directory. Partitions are there already, and no other directory is known.
 */
#include <api/api.h>
#include <wire/msg_alter_replica_log_dirs.h>

static int16_t move(struct api *api, bool known_dir, const struct topic *topic, int32_t partition)
{
    if (!known_dir) {
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
        return EL_KAFKA_LOG_DIR_NOT_FOUND;
    }
    if (!api_partition_exists(topic, partition)) {
        api_count_refusal(api, EVLOG_ERR_UNKNOWN_TOPIC);
        return EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    }
    return EL_KAFKA_NONE;
}

/* returns false when the request has been refused, for want of memory */
static bool fill_topic(struct api *api, struct request *request, bool known_dir,
                       const struct el_msg_alter_replica_log_dirs_topic *ask,
                       struct el_msg_alter_replica_log_dirs_topic_result *out)
{
    const struct topic *topic = api_topic(api, ask->name, NULL);
    out->topic_name = ask->name;
    out->partitions = api_new(api, request, &el_schema_alter_replica_log_dirs_partition_result, ask->partition_count);
    if (out->partitions == NULL) {
        return false;
    }
    out->partition_count = ask->partition_count;
    for (uint32_t i = 0; i < ask->partition_count; i++) {
        out->partitions[i].partition_index = ask->partitions[i];
        out->partitions[i].error_code = move(api, known_dir, topic, ask->partitions[i]);
    }
    return true;
}

void api_alter_replica_log_dirs(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_alter_replica_log_dirs_request *ask = message;
    struct el_msg_alter_replica_log_dirs_response response;
    el_schema_init(&el_schema_alter_replica_log_dirs_response, &response);
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
            if (!fill_topic(api, request, known, &dir->topics[t], &response.results[response.result_count++])) {
                return;
            }
        }
    }
    request_reply(request, &el_schema_alter_replica_log_dirs_response, &response);
}
