/* SPDX-License-Identifier: Apache-2.0
 *
 * IncrementalAlterConfigs: change single settings of topics. The settings of a resource are changed together or not at
 * all. Settings of the broker come from its configuration file and are not changed here.
 *
 * Storage takes a whole set of overrides. So the new set is made from the one this shard knows, and storage refuses it
 * with EVLOG_ERR_AGAIN when another change came first; by then this shard has that change, and the set is made anew.
 * Each such round is another's success, so that the rounds end when the others' changes do.
 */
#include <api/api.h>
#include <wire/msg_incremental_alter_configs.h>

#define ROUND_MAX 1000 /* against somebody who changes the topic all the time */

enum alter_operation { ALTER_SET = 0, ALTER_DELETE = 1, ALTER_APPEND = 2, ALTER_SUBTRACT = 3 };

struct alter_entry {
    struct topic_op op;
    struct alter_call *call;
    struct topic_config known;  /* the overrides that config was made from */
    struct topic_config config; /* the whole new set of overrides */
    uint32_t round;             /* sets made */
    int error;                  /* EVLOG_ERR_ of what was not even tried, else 0 */
    const char *message;        /* for error; static or in the request's arena */
};

struct alter_call {
    struct api_call base;
    const struct el_msg_incremental_alter_configs_request *ask;
    struct alter_entry *entries; /* [ask->resource_count] */
};

static void alter_finish(struct api_call *base)
{
    struct alter_call *call = EL_CONTAINER(base, struct alter_call, base);
    uint32_t count = call->ask->resource_count;
    struct el_msg_incremental_alter_configs_response response;
    el_schema_init(&el_schema_incremental_alter_configs_response, &response);
    response.responses = api_new(base->api, base->request, &el_schema_incremental_alter_configs_resource_result, count);
    if (response.responses == NULL) {
        return;
    }
    response.response_count = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct alter_entry *entry = &call->entries[i];
        struct el_msg_incremental_alter_configs_resource_result *out = &response.responses[i];
        int error = entry->error != 0 ? entry->error : entry->op.base.error;
        out->resource_type = call->ask->resources[i].resource_type;
        out->resource_name = call->ask->resources[i].resource_name;
        out->error_code = api_error(error, false);
        out->error_message = (struct el_slice){0};
        if (error != 0) {
            const char *text = entry->error != 0 ? entry->message : entry->op.message;
            out->error_message = text[0] == '\0' ? api_error_message(error) : el_slice_str(text);
            api_count_refusal(base->api, error);
        }
    }
    request_reply(base->request, &el_schema_incremental_alter_configs_response, &response);
}

static int entry_refuse(struct alter_entry *entry, int error, const char *message)
{
    entry->error = error;
    entry->message = message;
    return error;
}

/* The only lists that topics have hold one value that cannot change, so that adding it changes nothing and taking it
 * away is refused by the check of the empty value. */
static int change(struct topic_config *config, const struct el_msg_incremental_alter_configs_config *ask,
                  struct el_error *err)
{
    int id = topic_setting_find(ask->name);
    bool list = id >= 0 && topic_setting((enum topic_setting_id)id)->type == TOPIC_TYPE_LIST;
    switch (ask->config_operation) {
    case ALTER_SET:
        return topic_config_set(config, ask->name, ask->value, err);
    case ALTER_DELETE:
        return topic_config_unset(config, ask->name, err);
    case ALTER_APPEND:
        if (list || id < 0) {
            return topic_config_set(config, ask->name, ask->value, err);
        }
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "append and subtract are for lists only");
    case ALTER_SUBTRACT:
        if (list || id < 0) {
            return topic_config_set(config, ask->name, el_slice_str(""), err);
        }
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "append and subtract are for lists only");
    default:
        return el_error_set(err, EVLOG_ERR_INVALID_REQUEST, "operation %d: 0 set, 1 delete, 2 append, 3 subtract",
                            ask->config_operation);
    }
}

static int entry_check_topic(struct alter_call *call, const struct el_msg_incremental_alter_configs_resource *ask,
                             struct alter_entry *entry)
{
    struct api *api = call->base.api;
    const struct topic *topic = api_topic(api, ask->resource_name, NULL);
    if (topic == NULL) {
        return entry_refuse(entry, EVLOG_ERR_UNKNOWN_TOPIC, "");
    }
    if (topic->internal) {
        return entry_refuse(entry, EVLOG_ERR_POLICY, "topics of evlog itself cannot be changed");
    }
    entry->config = entry->known = topic->config;
    struct el_map seen;
    el_map_init(&seen, api->buddy);
    int error = 0;
    for (uint32_t i = 0; i < ask->config_count && error == 0; i++) {
        struct el_error err;
        api_name_once(&seen, ask->configs[i].name, &error);
        if (error != 0) {
            entry_refuse(entry, error, error == EVLOG_ERR_INVALID_REQUEST ? "a setting is named twice" : "");
            break;
        }
        error = change(&entry->config, &ask->configs[i], &err);
        if (error != 0) {
            entry_refuse(entry, error, (const char *)api_text(call->base.request, err.text).data);
        }
    }
    el_map_destroy(&seen);
    entry->op.verb = TOPIC_ALTER;
    entry->op.id = topic->id;
    entry->op.config = &entry->config;
    entry->op.expected = &entry->known;
    entry->op.validate_only = call->ask->validate_only;
    return error;
}

static int entry_check(struct alter_call *call, uint32_t index)
{
    const struct el_msg_incremental_alter_configs_resource *ask = &call->ask->resources[index];
    struct alter_entry *entry = &call->entries[index];
    if (entry->error != 0) {
        bool twice = entry->error == EVLOG_ERR_INVALID_REQUEST;
        return entry_refuse(entry, entry->error, twice ? "the topic is named twice in the request" : "");
    }
    switch (ask->resource_type) {
    case API_RESOURCE_TOPIC:
        return entry_check_topic(call, ask, entry);
    case API_RESOURCE_BROKER:
        return entry_refuse(entry, EVLOG_ERR_POLICY,
                            "settings of the broker are changed in its configuration file, then reloaded with SIGHUP");
    default:
        return entry_refuse(entry, EVLOG_ERR_INVALID_REQUEST, "only topics (2) have settings to change");
    }
}

static void alter_on_op(struct store_op *op)
{
    struct alter_entry *entry = op->arg;
    struct alter_call *call = entry->call;
    if (op->error == EVLOG_ERR_AGAIN) {
        const struct el_msg_incremental_alter_configs_resource *ask = &call->ask->resources[entry - call->entries];
        if (++entry->round == ROUND_MAX) {
            entry_refuse(entry, EVLOG_ERR_TIMED_OUT, "others change the topic all the time: try again");
        } else if (entry_check_topic(call, ask, entry) == 0) {
            store_topic_change(call->base.api->shard, &entry->op);
            return;
        }
    }
    api_call_release(&call->base);
}

void api_incremental_alter_configs(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_incremental_alter_configs_request *ask = message;
    struct alter_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, alter_finish);
    call->ask = ask;
    call->entries = api_alloc(api, request, ask->resource_count, sizeof *call->entries);
    if (call->entries == NULL) {
        return;
    }
    struct el_map seen;
    el_map_init(&seen, api->buddy);
    for (uint32_t i = 0; i < ask->resource_count; i++) {
        if (ask->resources[i].resource_type == API_RESOURCE_TOPIC) {
            api_name_once(&seen, ask->resources[i].resource_name, &call->entries[i].error);
        }
    }
    el_map_destroy(&seen);
    for (uint32_t i = 0; i < ask->resource_count; i++) {
        if (entry_check(call, i) == 0) {
            api_call_add(&call->base, &call->entries[i].op.base);
            call->entries[i].call = call;
            call->entries[i].op.base.done = alter_on_op;
            call->entries[i].op.base.arg = &call->entries[i];
            store_topic_change(api->shard, &call->entries[i].op);
        }
    }
    api_call_release(&call->base);
}
