/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeLogDirs: what the partitions take on disk, and what the file system has. There is one directory. As in Kafka,
 * topics and partitions that do not exist are left out of the answer.
 *
 *   1. the partitions asked for, or all but those of evlog's own topics, become operations that ask their owners
 *   2. when all are back, those that still exist are answered
 */
#include <api/api.h>
#include <wire/msg_describe_log_dirs.h>

struct dirs_topic {
    struct el_slice name; /* in the request or in its arena */
    struct stat_op *ops;  /* [op_count] */
    uint32_t op_count;
};

struct dirs_call {
    struct api_call base;
    struct dirs_topic *topics;
    uint32_t topic_count;
};

/* --- the answer --------------------------------------------------------------------------------------------------- */

/* returns false when the request has been refused, for want of memory */
static bool fill_topic(struct dirs_call *call, const struct dirs_topic *topic,
                       struct el_msg_describe_log_dirs_topic *out)
{
    out->name = topic->name;
    out->partitions = api_new(call->base.api, call->base.request, &el_schema_describe_log_dirs_partition,
                              topic->op_count);
    if (out->partitions == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < topic->op_count; i++) {
        const struct stat_op *op = &topic->ops[i];
        if (op->base.error == 0) {
            struct el_msg_describe_log_dirs_partition *partition = &out->partitions[out->partition_count++];
            partition->partition_index = op->partition;
            partition->partition_size = (int64_t)op->stored_len;
        }
    }
    return true;
}

static void dirs_finish(struct api_call *base)
{
    struct dirs_call *call = EL_CONTAINER(base, struct dirs_call, base);
    struct el_msg_describe_log_dirs_response response;
    struct el_msg_describe_log_dirs_result dir;
    uint64_t free_bytes = 0, total_bytes = 0;
    el_schema_init(&el_schema_describe_log_dirs_response, &response);
    el_schema_init(&el_schema_describe_log_dirs_result, &dir);
    response.results = &dir;
    response.result_count = 1;
    dir.log_dir = el_slice_str(base->api->node->data_path);
    if (store_shard_space(base->api->shard, &free_bytes, &total_bytes)) {
        dir.total_bytes = (int64_t)total_bytes;
        dir.usable_bytes = (int64_t)free_bytes;
    }
    dir.topics = api_new(base->api, base->request, &el_schema_describe_log_dirs_topic, call->topic_count);
    if (dir.topics == NULL) {
        return;
    }
    for (uint32_t i = 0; i < call->topic_count; i++) {
        struct el_msg_describe_log_dirs_topic *topic = &dir.topics[dir.topic_count];
        if (!fill_topic(call, &call->topics[i], topic)) {
            return;
        }
        dir.topic_count += topic->partition_count > 0 ? 1 : 0;
    }
    request_reply(base->request, &el_schema_describe_log_dirs_response, &response);
}

/* --- the question ------------------------------------------------------------------------------------------------- */

static void add_partition(struct dirs_topic *topic, const struct topic *known, int32_t partition)
{
    EL_ASSERT(partition >= 0);
    EL_ASSERT(partition < known->partition_count);
    struct stat_op *op = &topic->ops[topic->op_count++];
    op->topic_id = known->id;
    op->partition = partition;
}

/* returns false when the request has been refused, for want of memory */
static bool ask_some(struct dirs_call *call, const struct el_msg_describe_log_dirs_request *ask)
{
    struct api *api = call->base.api;
    call->topics = api_alloc(api, call->base.request, ask->topic_count, sizeof *call->topics);
    if (call->topics == NULL) {
        return false;
    }
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        const struct el_msg_describe_log_dirs_request_topic *asked = &ask->topics[t];
        int error;
        const struct topic *known = api_topic(api, call->base.request, asked->topic, NULL, &error);
        struct dirs_topic *topic = &call->topics[call->topic_count];
        if (known == NULL) {
            continue;
        }
        topic->name = asked->topic;
        topic->ops = api_alloc(api, call->base.request, asked->partition_count, sizeof *topic->ops);
        if (topic->ops == NULL) {
            return false;
        }
        call->topic_count++;
        for (uint32_t p = 0; p < asked->partition_count; p++) {
            if (api_partition_exists(known, asked->partitions[p])) {
                add_partition(topic, known, asked->partitions[p]);
            }
        }
    }
    return true;
}

static bool ask_all(struct dirs_call *call)
{
    struct api *api = call->base.api;
    struct request *request = call->base.request;
    uint32_t count = store_topic_count(api->shard);
    call->topics = api_alloc(api, request, count, sizeof *call->topics);
    if (call->topics == NULL) {
        return false;
    }
    for (uint32_t t = 0; t < count; t++) {
        const struct topic *known = api_topic_shown(api, request, t);
        struct dirs_topic *topic = &call->topics[call->topic_count];
        if (known == NULL || known->internal) {
            continue;
        }
        topic->name = api_text(request, known->name);
        topic->ops = api_alloc(api, request, (size_t)known->partition_count, sizeof *topic->ops);
        if (topic->ops == NULL) {
            return false;
        }
        call->topic_count++;
        for (int32_t p = 0; p < known->partition_count; p++) {
            add_partition(topic, known, p);
        }
    }
    return true;
}

void api_describe_log_dirs(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_describe_log_dirs_request *ask = message;
    struct dirs_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, dirs_finish);
    if (!(ask->topics == NULL ? ask_all(call) : ask_some(call, ask))) {
        return;
    }
    for (uint32_t t = 0; t < call->topic_count; t++) {
        for (uint32_t p = 0; p < call->topics[t].op_count; p++) {
            api_call_add(&call->base, &call->topics[t].ops[p].base);
            store_stat(api->shard, &call->topics[t].ops[p]);
        }
    }
    api_call_release(&call->base);
}
