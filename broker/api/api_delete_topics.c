/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteTopics, by name or (from version 6) by id.
 */
#include <api/api.h>
#include <wire/msg_delete_topics.h>

#define VERSION_TOPIC_IDS 6

struct delete_entry {
    struct topic_op op;
    struct el_slice name; /* data NULL for an unknown id */
    struct el_uuid topic_id;
    bool by_id;
    int error; /* EVLOG_ERR_ of what was not even tried, else 0 */
};

struct delete_call {
    struct api_call base;
    struct delete_entry *entries;
    uint32_t entry_count;
};

static const char *entry_message(const struct delete_entry *entry, int error)
{
    if (entry->error == EVLOG_ERR_POLICY) {
        return "topics of evlog itself cannot be deleted";
    }
    return entry->error == 0 && entry->op.message[0] != '\0' ? entry->op.message : evlog_error_text(error);
}

static void delete_finish(struct api_call *base)
{
    struct delete_call *call = EL_CONTAINER(base, struct delete_call, base);
    struct el_msg_delete_topics_response response;
    el_schema_init(&el_schema_delete_topics_response, &response);
    response.responses = api_new(base->api, base->request, &el_schema_delete_topics_topic_result, call->entry_count);
    if (response.responses == NULL) {
        return;
    }
    response.response_count = call->entry_count;
    for (uint32_t i = 0; i < call->entry_count; i++) {
        const struct delete_entry *entry = &call->entries[i];
        struct el_msg_delete_topics_topic_result *out = &response.responses[i];
        int error = entry->error != 0 ? entry->error : entry->op.base.error;
        out->name = entry->name;
        out->topic_id = entry->topic_id;
        out->error_code = api_error(error, entry->by_id);
        if (error != 0) {
            out->error_message = el_slice_str(entry_message(entry, error));
            api_count_refusal(base->api, error);
        }
    }
    request_reply(base->request, &el_schema_delete_topics_response, &response);
}

static void entry_ask(struct delete_call *call, struct delete_entry *entry)
{
    struct api *api = call->base.api;
    entry->by_id = !el_uuid_is_zero(&entry->topic_id);
    if (entry->by_id && entry->name.data != NULL) {
        entry->error = EVLOG_ERR_INVALID_REQUEST; /* one of the two, not both */
        return;
    }
    const struct topic *topic = api_topic(api, call->base.request, entry->name, &entry->topic_id, &entry->error);
    if (topic == NULL) {
        return;
    }
    if (topic->internal) {
        entry->error = EVLOG_ERR_POLICY;
        return;
    }
    entry->topic_id = topic->id;
    if (entry->by_id) {
        entry->name = api_text(call->base.request, topic->name);
    }
    entry->op.verb = TOPIC_DELETE;
    entry->op.id = topic->id;
    api_call_add(&call->base, &entry->op.base);
}

void api_delete_topics(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_delete_topics_request *ask = message;
    bool ids = request->api_version >= VERSION_TOPIC_IDS;
    struct delete_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, delete_finish);
    call->entry_count = ids ? ask->topic_count : ask->topic_name_count;
    call->entries = api_alloc(api, request, call->entry_count, sizeof *call->entries);
    if (call->entries == NULL) {
        return;
    }
    for (uint32_t i = 0; i < call->entry_count; i++) {
        call->entries[i].name = ids ? ask->topics[i].name : ask->topic_names[i];
        if (ids) {
            call->entries[i].topic_id = ask->topics[i].topic_id;
        }
        entry_ask(call, &call->entries[i]);
    }
    /* Submitted only now: a deletion that ends at once must not change what later entries find. */
    for (uint32_t i = 0; i < call->entry_count; i++) {
        if (call->entries[i].error == 0) {
            store_topic_change(api->shard, &call->entries[i].op);
        }
    }
    api_call_release(&call->base);
}
