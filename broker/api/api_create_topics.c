/* SPDX-License-Identifier: Apache-2.0
 *
 * CreateTopics. A replication factor above 1 is taken as 1 and logged, or refused where the configuration says so.
 * Source: docs/protocol.md, Metadata and topics.
 *
 *   1. each entry is checked: its name once in the request, numbers, assignments by hand, settings
 *   2. sound entries become operations of storage, which checks the name against the catalogue
 *   3. the answer tells the settings in effect from version 5 on
 */
#include <api/api.h>
#include <core/logger.h>
#include <wire/msg_create_topics.h>

#define VERSION_CONFIGS 5 /* from here on the answer has settings */

struct create_entry {
    struct topic_op op;
    struct topic_config config;
    int error;           /* EVLOG_ERR_ of what was not even tried, else 0 */
    const char *message; /* for error; static or in the request's arena */
};

struct create_call {
    struct api_call base;
    const struct el_msg_create_topics_request *ask;
    struct create_entry *entries; /* [ask->topic_count] */
    bool any_name;                /* the caller has the right to make topics of any name */
};

/* --- the answer --------------------------------------------------------------------------------------------------- */

static int fill_configs(struct create_call *call, const struct create_entry *entry,
                        struct el_msg_create_topics_topic_result *out)
{
    struct request *request = call->base.request;
    out->configs = el_schema_new(&el_schema_create_topics_config_result, &request->arena, TOPIC_SETTING_COUNT);
    if (out->configs == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    out->config_count = TOPIC_SETTING_COUNT;
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        struct override_entry shown;
        topic_config_describe(&entry->config, &call->base.api->node->topic_defaults, (enum topic_setting_id)id, &shown);
        struct el_msg_create_topics_config_result *config = &out->configs[id];
        config->name = el_slice_str(shown.setting->name);
        config->value = api_text(request, shown.value);
        config->config_source = (int8_t)shown.source;
    }
    return 0;
}

static int fill_entry(struct create_call *call, uint32_t index, struct el_msg_create_topics_topic_result *out)
{
    const struct create_entry *entry = &call->entries[index];
    int error = entry->error != 0 ? entry->error : entry->op.base.error;
    out->name = call->ask->topics[index].name;
    out->error_code = api_error(error, false);
    out->error_message = (struct el_slice){0};
    if (error != 0) {
        const char *text = entry->error != 0 ? entry->message : entry->op.message;
        out->error_message = text[0] == '\0' ? api_error_message(error) : el_slice_str(text);
        api_count_refusal(call->base.api, error);
        return 0;
    }
    if (!call->ask->validate_only) {
        out->topic_id = entry->op.id;
        api_log_without_effect(out->name, NULL, &entry->config);
    }
    if (call->base.request->api_version < VERSION_CONFIGS) {
        return 0;
    }
    out->num_partitions = entry->op.partition_count;
    out->replication_factor = 1;
    return fill_configs(call, entry, out);
}

static void create_finish(struct api_call *base)
{
    struct create_call *call = EL_CONTAINER(base, struct create_call, base);
    uint32_t count = call->ask->topic_count;
    struct el_msg_create_topics_response response;
    el_schema_init(&el_schema_create_topics_response, &response);
    response.topics = api_new(base->api, base->request, &el_schema_create_topics_topic_result, count);
    if (response.topics == NULL) {
        return;
    }
    response.topic_count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (fill_entry(call, i, &response.topics[i]) != 0) {
            metrics_add(base->api->metrics, METRIC_REFUSED_MEMORY, 1);
            request_close(base->request, "no memory left for the answer: raise memory.max");
            return;
        }
    }
    request_reply(base->request, &el_schema_create_topics_response, &response);
}

/* --- the question ------------------------------------------------------------------------------------------------- */

static int entry_refuse(struct create_entry *entry, int error, const char *message)
{
    entry->error = error;
    entry->message = message;
    return error;
}

/* Partitions assigned by hand: 0, 1, 2 ... in any order, each with one replica, this node. */
static int check_assignments(struct create_call *call, const struct el_msg_create_topics_topic *ask,
                             struct create_entry *entry)
{
    int32_t self = call->base.api->node->id;
    bool *seen = el_arena_zalloc(&call->base.request->arena, ask->assignment_count * sizeof *seen);
    if (seen == NULL) {
        return entry_refuse(entry, EVLOG_ERR_NO_MEMORY, "");
    }
    if (ask->num_partitions != -1 || ask->replication_factor != -1) {
        return entry_refuse(entry, EVLOG_ERR_INVALID_REQUEST,
                            "with assignments, partition count and replication factor are -1");
    }
    for (uint32_t i = 0; i < ask->assignment_count; i++) {
        const struct el_msg_create_topics_assignment *assignment = &ask->assignments[i];
        int32_t index = assignment->partition_index;
        if (index < 0 || (uint32_t)index >= ask->assignment_count || seen[index]) {
            return entry_refuse(entry, EVLOG_ERR_ASSIGNMENT, "assigned partitions are numbered from 0 without holes");
        }
        seen[index] = true;
        if (assignment->broker_id_count != 1 || assignment->broker_ids[0] != self) {
            return entry_refuse(entry, EVLOG_ERR_ASSIGNMENT, "each partition has one replica, on this node");
        }
    }
    entry->op.partition_count = (int32_t)ask->assignment_count;
    return 0;
}

static int check_counts(struct create_call *call, const struct el_msg_create_topics_topic *ask,
                        struct create_entry *entry)
{
    const struct api *api = call->base.api;
    if (ask->assignment_count > 0) {
        return check_assignments(call, ask, entry);
    }
    /* -1 is the default. The protocol has that from version 4 on, kafkajs sends it in 2 and 3. */
    if (ask->num_partitions < 1 && ask->num_partitions != -1) {
        return entry_refuse(entry, EVLOG_ERR_INVALID_PARTITIONS, "the number of partitions is at least 1");
    }
    if (ask->replication_factor < 1 && ask->replication_factor != -1) {
        return entry_refuse(entry, EVLOG_ERR_REPLICATION, "the replication factor is at least 1");
    }
    if (ask->replication_factor > 1) {
        if (api->node->replication_refused) {
            return entry_refuse(entry, EVLOG_ERR_REPLICATION, "there is one node: the replication factor is 1");
        }
        el_log(EL_LOG_WARN, "api", "topic %.*s was asked for with replication factor %d: there is one node, taken as 1",
               (int)ask->name.len, (const char *)ask->name.data, ask->replication_factor);
    }
    entry->op.partition_count = ask->num_partitions == -1 ? api->node->partition_count : ask->num_partitions;
    return 0;
}

static int check_configs(const struct create_call *call, const struct el_msg_create_topics_topic *ask,
                         struct create_entry *entry)
{
    topic_config_init(&entry->config);
    for (uint32_t i = 0; i < ask->config_count; i++) {
        struct el_error err;
        int error = topic_config_set(&entry->config, ask->configs[i].name, ask->configs[i].value, &err);
        if (error != 0) {
            return entry_refuse(entry, error, (const char *)api_text(call->base.request, err.text).data);
        }
    }
    return 0;
}

static int entry_check(struct create_call *call, uint32_t index)
{
    const struct el_msg_create_topics_topic *ask = &call->ask->topics[index];
    struct create_entry *entry = &call->entries[index];
    EL_ASSERT(index < call->ask->topic_count);
    if (entry->error != 0) {
        bool twice = entry->error == EVLOG_ERR_INVALID_REQUEST;
        return entry_refuse(entry, entry->error, twice ? "the topic is named twice in the request" : "");
    }
    if (!call->any_name && !api_may(call->base.api, call->base.request, 0, EL_ACL_RESOURCE_TOPIC, ask->name)) {
        return entry_refuse(entry, EVLOG_ERR_TOPIC_DENIED, "");
    }
    if (!api_name_valid(ask->name)) {
        return entry_refuse(entry, EVLOG_ERR_INVALID_TOPIC,
                            "a topic name is 1 to 249 letters, digits, dots, dashes and underscores, not . or ..");
    }
    if (api_name_reserved(ask->name)) {
        return entry_refuse(entry, EVLOG_ERR_INVALID_TOPIC, "names that begin with __evlog are evlog's own");
    }
    int error = check_counts(call, ask, entry);
    if (error == 0) {
        error = check_configs(call, ask, entry);
    }
    if (error != 0) {
        return error;
    }
    entry->op.verb = TOPIC_CREATE;
    entry->op.name = ask->name;
    entry->op.config = &entry->config;
    entry->op.validate_only = call->ask->validate_only;
    return 0;
}

void api_create_topics(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_create_topics_request *ask = message;
    struct create_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, create_finish);
    call->ask = ask;
    call->any_name = api_could(api, request, 0, EL_ACL_RESOURCE_CLUSTER, el_slice_str(EL_ACL_CLUSTER_NAME));
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
