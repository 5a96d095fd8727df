/* SPDX-License-Identifier: Apache-2.0
 *
 * What the handlers share: memory from the request's arena, the count of operations under way, topics by name or id,
 * and the way from evlog's error codes to Kafka's.
 */
#include <api/api.h>
#include <core/logger.h>
#include <stdarg.h>
#include <stdio.h>

#define TEXT_LEN 512u
#define RESERVED_PREFIX "__evlog"

int api_init(struct api *api, struct store_shard *shard, const struct api_node *node)
{
    *api = (struct api){
        .magic = API_MAGIC,
        .shard = shard,
        .io = store_shard_io(shard),
        .buddy = store_shard_buddy(shard),
        .metrics = store_shard_metrics(shard),
        .node = node,
    };
    el_list_init(&api->produce_list);
    el_list_init(&api->poll_list);
    el_list_init(&api->access_list);
    share_sessions_init(&api->share, api);
    api->scratch = el_buddy_alloc(api->buddy, API_SCRATCH_LEN);
    return api->scratch == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

void api_destroy(struct api *api)
{
    OBJ_CHECK(api, API);
    EL_ASSERT(el_list_empty(&api->produce_list));
    EL_ASSERT(el_list_empty(&api->poll_list));
    EL_ASSERT(el_list_empty(&api->access_list));
    share_sessions_destroy(&api->share);
    el_buddy_free(api->buddy, api->scratch);
    api->scratch = NULL;
    api->magic = 0;
}

void api_conn_closed(void *arg, void *conn_user)
{
    struct api *api = arg;
    OBJ_CHECK(api, API);
    share_sessions_conn_closed(&api->share, conn_user);
}

void api_call_init(struct api_call *call, struct api *api, struct request *request,
                   void (*finish)(struct api_call *call))
{
    EL_ASSERT(finish != NULL);
    *call = (struct api_call){.api = api, .request = request, .pending = 1, .finish = finish};
}

void api_call_add(struct api_call *call, struct store_op *op)
{
    EL_ASSERT(call->pending > 0);
    call->pending++;
    op->done = api_call_on_op;
    op->arg = call;
}

void api_call_on_op(struct store_op *op)
{
    api_call_release(op->arg);
}

void api_call_release(struct api_call *call)
{
    EL_ASSERT(call->pending > 0);
    if (--call->pending == 0) {
        call->finish(call);
    }
}

void api_refuse_memory(struct api *api, struct request *request)
{
    metrics_add(api->metrics, METRIC_REFUSED_MEMORY, 1);
    request_close(request, "no memory left to work on it: raise memory.max or send smaller requests");
}

void *api_alloc(struct api *api, struct request *request, size_t count, size_t len)
{
    size_t total;
    void *memory = NULL;
    if (!__builtin_mul_overflow(EL_MAX(count, (size_t)1), len, &total)) {
        memory = el_arena_zalloc(&request->arena, total);
    }
    if (memory == NULL) {
        api_refuse_memory(api, request);
    }
    return memory;
}

void *api_new(struct api *api, struct request *request, const struct el_schema *schema, uint32_t count)
{
    void *memory = el_schema_new(schema, &request->arena, count);
    if (memory == NULL) {
        api_refuse_memory(api, request);
    }
    return memory;
}

struct el_slice api_text(struct request *request, const char *text)
{
    const char *copy = el_arena_strndup(&request->arena, text, strlen(text));
    return el_slice_str(copy == NULL ? "" : copy);
}

struct el_slice api_textf(struct request *request, const char *format, ...)
{
    char text[TEXT_LEN];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return api_text(request, text);
}

int32_t api_timestamp_fault(struct api *api, const struct el_batch_info *info, int64_t before_ms, int64_t after_ms)
{
    int64_t now_ms = (int64_t)(io_wall(api->io) / 1000000u);
    if (after_ms >= 0 && info->record_timestamp_max > now_ms && info->record_timestamp_max - now_ms > after_ms) {
        return info->record_timestamp_max_index;
    }
    if (before_ms >= 0 && info->record_timestamp_min >= 0 && info->record_timestamp_min < now_ms &&
        now_ms - info->record_timestamp_min > before_ms) {
        return info->record_timestamp_min_index;
    }
    return -1;
}

bool api_partition_exists(const struct topic *topic, int32_t partition)
{
    return topic != NULL && partition >= 0 && partition < topic->partition_count;
}

int api_partition_error(const struct topic *topic, int32_t partition, int error)
{
    EL_ASSERT((topic == NULL) == (error != 0));
    return error != 0 || api_partition_exists(topic, partition) ? error : EVLOG_ERR_UNKNOWN_TOPIC;
}

int api_partitions(struct api *api, const struct request *request, struct el_slice name, const struct el_uuid *id,
                   int32_t partition, struct api_partitions *out)
{
    int error;
    const struct topic *topic = api_topic(api, request, name, id, &error);
    bool all = partition == -1;
    if (error == 0 && !all) {
        error = api_partition_error(topic, partition, error);
    }
    if (error == 0) {
        *out = (struct api_partitions){topic->id, all ? 0 : partition, all ? (uint32_t)topic->partition_count : 1};
    }
    return error;
}

bool api_name_reserved(struct el_slice name)
{
    size_t len = sizeof RESERVED_PREFIX - 1;
    return (name.len >= len && memcmp(name.data, RESERVED_PREFIX, len) == 0) ||
           el_slice_eq(name, el_slice_str(GROUPS_TOPIC));
}

bool api_name_valid(struct el_slice name)
{
    if (name.len == 0 || name.len > EL_TOPIC_NAME_MAX) {
        return false;
    }
    if (el_slice_eq(name, el_slice_str(".")) || el_slice_eq(name, el_slice_str(".."))) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '_' || c == '-';
        if (!fine) {
            return false;
        }
    }
    return true;
}

bool api_is_self(const struct api *api, struct el_slice name)
{
    char own[16];
    snprintf(own, sizeof own, "%d", api->node->id);
    return el_slice_eq(name, el_slice_str(own));
}

void api_log_without_effect(struct el_slice topic, const struct topic_config *before, const struct topic_config *after)
{
    char names[OVERRIDE_NAMES_TEXT_MAX];
    if (topic_config_without_effect(after, before, names, sizeof names)[0] != '\0') {
        el_log(EL_LOG_WARN, "api", "topic %.*s: kept and shown, but without effect in evlogd: %s", (int)topic.len,
               (const char *)topic.data, names);
    }
}

void api_name_once(struct el_map *seen, struct el_slice name, int *error)
{
    const void *key = name.len == 0 ? (const void *)"" : name.data;
    int rc = el_map_put(seen, key, name.len, error);
    if (rc == EVLOG_ERR_EXISTS) {
        int *earlier = el_map_get(seen, key, name.len);
        *error = *earlier = EVLOG_ERR_INVALID_REQUEST;
    } else if (rc != 0) {
        *error = rc;
    }
}

int16_t api_error(int error, bool by_id)
{
    if (error == 0) {
        return EL_KAFKA_NONE;
    }
    if (error == EVLOG_ERR_UNKNOWN_TOPIC || error == EVLOG_ERR_UNKNOWN_TOPIC_ID) {
        return by_id ? EL_KAFKA_UNKNOWN_TOPIC_ID : EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    }
    return (int16_t)evlog_error_kafka(error);
}

int16_t api_error_since(int error, bool by_id, int version, int version_storage)
{
    int16_t code = api_error(error, by_id);
    return code == EL_KAFKA_KAFKA_STORAGE_ERROR && version < version_storage ? EL_KAFKA_NOT_LEADER_OR_FOLLOWER : code;
}

struct el_slice api_error_message(int error)
{
    return error == 0 ? (struct el_slice){0} : el_slice_str(evlog_error_text(error));
}

struct el_slice api_append_message(int error)
{
    switch (error) {
    case EVLOG_ERR_POLICY:
        return el_slice_str(
            "the topic has evlog.durability=store or both, and this broker has no archive, or has "
            "stopped archiving for good (see its log or /health/ready): mend that and start evlogd with "
            "--archive, or set evlog.durability=flush");
    case EVLOG_ERR_CONFLICT:
        return el_slice_str("the archive has other events of this partition than this disk, which is older or a copy: "
                            "restore the data directory from the archive");
    default:
        return api_error_message(error);
    }
}

static enum metric_id refusal_metric(int error)
{
    switch (error) {
    case EVLOG_ERR_CORRUPT:
        return METRIC_REFUSED_CORRUPT;
    case EVLOG_ERR_INVALID_RECORD:
        return METRIC_REFUSED_INVALID_RECORD;
    case EVLOG_ERR_TOO_LARGE:
        return METRIC_REFUSED_TOO_LARGE;
    case EVLOG_ERR_TIMESTAMP:
        return METRIC_REFUSED_TIMESTAMP;
    case EVLOG_ERR_SEQUENCE:
    case EVLOG_ERR_PRODUCER_EPOCH:
        return METRIC_REFUSED_SEQUENCE;
    case EVLOG_ERR_UNKNOWN_TOPIC:
    case EVLOG_ERR_UNKNOWN_TOPIC_ID:
        return METRIC_REFUSED_UNKNOWN_TOPIC;
    case EVLOG_ERR_FULL:
    case EVLOG_ERR_NO_SPACE:
        return METRIC_REFUSED_FULL;
    case EVLOG_ERR_STORAGE:
    case EVLOG_ERR_IO:
        return METRIC_REFUSED_STORAGE;
    case EVLOG_ERR_NO_MEMORY:
        return METRIC_REFUSED_MEMORY;
    default:
        return METRIC_REFUSED_OTHER;
    }
}

void api_count_refusal(struct api *api, int error)
{
    EL_ASSERT(error != 0);
    metrics_add(api->metrics, refusal_metric(error), 1);
}

const struct config_address *api_advertised(const struct api *api, const struct request *request)
{
    uint32_t index = request_listener_index(request);
    EL_ASSERT(index < api->node->config->listener_table.count);
    return &api->node->advertised[index];
}
