/* SPDX-License-Identifier: Apache-2.0
 *
 * Cut, evlog's own: the end offset of every partition as of one append time, exact and the same whenever it is asked.
 * Source: docs/protocol.md, evlog requests.
 */
#include <api/api.h>
#include <wire/msg_ext_cut.h>

struct cut_topic {
    struct el_slice name; /* copy in the request's arena: the topic may be gone when the cut is done */
    struct el_uuid id;
    uint32_t first; /* index of its partition 0 in the results */
    uint32_t count; /* partitions */
};

struct cut_call {
    struct api_call base;
    struct cut_op op;
    struct cut_topic *topics;
    uint32_t topic_count;
};

static void reply_error(struct api *api, struct request *request, int error, const char *text)
{
    struct el_msg_ext_cut_response response;
    el_schema_init(&el_schema_ext_cut_response, &response);
    response.error = api_error(error, false);
    response.message = el_slice_str(text);
    api_count_refusal(api, error);
    request_reply(request, &el_schema_ext_cut_response, &response);
}

static int fill_topic(const struct cut_call *call, const struct cut_topic *topic, struct el_msg_ext_cut_topic *out)
{
    el_schema_init(&el_schema_ext_cut_topic, out); /* it may hold a topic that was deleted half-way */
    out->topic = topic->name;
    out->topic_id = topic->id;
    out->partitions = el_schema_new(&el_schema_ext_cut_partition, &call->base.request->arena, topic->count);
    if (out->partitions == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    EL_ASSERT(topic->first + topic->count <= call->op.result_count);
    for (uint32_t i = 0; i < topic->count; i++) {
        const struct cut_result *result = &call->op.results[topic->first + i];
        if (result->error != 0) {
            return result->error;
        }
        struct el_msg_ext_cut_partition *partition = &out->partitions[out->partition_count++];
        partition->partition = result->partition;
        partition->end_offset = result->end_offset;
        partition->log_start = result->log_start_offset;
    }
    return 0;
}

static void cut_finish(struct api_call *base)
{
    struct cut_call *call = EL_CONTAINER(base, struct cut_call, base);
    int error = call->op.base.error;
    if (error == EVLOG_ERR_ARGUMENT) {
        reply_error(base->api, base->request, error, "the time lies in the future: events may still come before it");
        return;
    }
    if (error != 0) {
        reply_error(base->api, base->request, error, evlog_error_text(error));
        return;
    }
    struct el_msg_ext_cut_response response;
    el_schema_init(&el_schema_ext_cut_response, &response);
    response.topics = api_new(base->api, base->request, &el_schema_ext_cut_topic, call->topic_count);
    if (response.topics == NULL) {
        return;
    }
    for (uint32_t i = 0; i < call->topic_count; i++) {
        error = fill_topic(call, &call->topics[i], &response.topics[response.topic_count]);
        if (error == EVLOG_ERR_UNKNOWN_TOPIC) {
            continue; /* deleted meanwhile: as if it had been gone before */
        }
        if (error != 0) {
            reply_error(base->api, base->request, error, evlog_error_text(error));
            return;
        }
        response.topic_count++;
    }
    response.time_ns = call->op.time_ns;
    request_reply(base->request, &el_schema_ext_cut_response, &response);
}

static int add_topic(struct cut_call *call, const struct topic *topic)
{
    struct cut_topic *out = &call->topics[call->topic_count++];
    const char *name = el_arena_strndup(&call->base.request->arena, topic->name, topic->name_len);
    out->name = el_slice_str(name);
    out->id = topic->id;
    out->first = call->op.result_count;
    out->count = (uint32_t)topic->partition_count;
    if (__builtin_add_overflow(call->op.result_count, out->count, &call->op.result_count)) {
        return EVLOG_ERR_NO_MEMORY; /* a topic named again and again */
    }
    return name == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

/* The topics asked for, or all but evlog's own. */
static int collect(struct cut_call *call, const struct el_msg_ext_cut_request *ask)
{
    struct api *api = call->base.api;
    bool all = ask->topics == NULL;
    uint32_t count = all ? store_topic_count(api->shard) : ask->topic_count;
    call->topics = el_arena_zalloc(&call->base.request->arena, EL_MAX(count, 1u) * sizeof *call->topics);
    if (call->topics == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        int error = 0;
        const struct topic *topic = all ? api_topic_shown(api, call->base.request, i)
                                        : api_topic(api, call->base.request, ask->topics[i], NULL, &error);
        if (error != 0) {
            return error;
        }
        if (all && (topic == NULL || topic->internal)) {
            continue;
        }
        error = add_topic(call, topic);
        if (error != 0) {
            return error;
        }
    }
    call->op.results = el_arena_zalloc(&call->base.request->arena,
                                       EL_MAX(call->op.result_count, 1u) * sizeof *call->op.results);
    return call->op.results == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

/* A cut is written to every journal, whatever topics it is of: not for who may see none of any. */
static bool may_cut_nothing(struct api *api, const struct request *request)
{
    return api_could_somewhere(api, request, EL_ACL_OP_DESCRIBE, EL_ACL_RESOURCE_TOPIC) ||
           api_may(api, request, EL_ACL_OP_DESCRIBE, EL_ACL_RESOURCE_CLUSTER, el_slice_str(EL_ACL_CLUSTER_NAME));
}

void api_ext_cut(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_cut_request *ask = message;
    struct cut_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, cut_finish);
    int error = collect(call, ask);
    if (error == 0 && call->topic_count == 0 && !may_cut_nothing(api, request)) {
        error = EVLOG_ERR_TOPIC_DENIED;
    }
    if (error != 0) {
        reply_error(api, request, error, evlog_error_text(error));
        return;
    }
    for (uint32_t t = 0; t < call->topic_count; t++) {
        for (uint32_t p = 0; p < call->topics[t].count; p++) {
            struct cut_result *result = &call->op.results[call->topics[t].first + p];
            result->topic_id = call->topics[t].id;
            result->partition = (int32_t)p;
        }
    }
    call->op.time_ns = ask->time_ns;
    api_call_add(&call->base, &call->op.base);
    store_cut(api->shard, &call->op);
    api_call_release(&call->base);
}
