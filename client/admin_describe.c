/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading about topics: list and describe. Blocking, any thread; nothing is changed, so a lost answer is asked for
 * again.
 *
 * What is returned lies in one arena with the object itself, so that one free gives all of it back.
 */
#include "admin_settings.h"
#include "fail.h"

#include <core/alloc.h>
#include <evlog/consumer.h>
#include <stdlib.h>
#include <wire/msg_metadata.h>

#define METADATA_VERSION_MAX 12

struct list_object {
    struct evlog_topic_list list; /* first: the public pointer is this one */
    struct el_arena arena;
};

struct info_object {
    struct evlog_topic_info info; /* first: the public pointer is this one */
    struct el_arena arena;
};

/* --- list ------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct evlog_topic_name *)a)->name, ((const struct evlog_topic_name *)b)->name);
}

static int fill_list(struct list_object *object, const struct el_msg_metadata_response *response)
{
    struct evlog_topic_name *topics = el_arena_zalloc(&object->arena, response->topic_count * sizeof *topics);
    if (topics == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    size_t count = 0;
    for (uint32_t i = 0; i < response->topic_count; i++) {
        const struct el_msg_metadata_topic *source = &response->topics[i];
        if (source->name.data == NULL || source->error_code != 0) {
            continue;
        }
        topics[count].name = el_arena_strndup(&object->arena, source->name.data, source->name.len);
        if (topics[count].name == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        memcpy(topics[count].id, source->topic_id.bytes, sizeof topics[count].id);
        topics[count].partition_count = (int32_t)source->partition_count;
        topics[count].internal = source->is_internal;
        count++;
    }
    if (count > 0) {
        qsort(topics, count, sizeof *topics, by_name);
    }
    object->list.topics = topics;
    object->list.topic_count = count;
    return 0;
}

int evlog_topic_list(struct evlog_client *client, struct evlog_topic_list **list, struct evlog_failure *failure)
{
    struct el_msg_metadata_request request;
    struct el_msg_metadata_response response;
    struct el_call call;
    el_schema_init(&el_schema_metadata_request, &request);
    request.topics = NULL;
    request.allow_auto_topic_creation = false;
    struct el_ask ask = {
        .api = EL_API_Metadata,
        .request = &request,
        .version_max = METADATA_VERSION_MAX,
        .node_id = EL_NODE_ANY,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
    };
    int rc = el_client_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    struct list_object *object = el_calloc(1, sizeof *object);
    if (object != NULL) {
        el_arena_init(&object->arena, NULL, 0);
        rc = fill_list(object, &response);
    }
    el_call_free(&call);
    if (object == NULL || rc != 0) {
        evlog_topic_list_free(object == NULL ? NULL : &object->list);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for the list of topics");
    }
    *list = &object->list;
    return 0;
}

void evlog_topic_list_free(struct evlog_topic_list *list)
{
    if (list != NULL) {
        struct list_object *object = EL_CONTAINER(list, struct list_object, list);
        el_arena_reset(&object->arena);
        el_free(object);
    }
}

/* --- describe --------------------------------------------------------------------------------------------------- */

int evlog_topic_partition_count(struct evlog_client *client, const char *name, int32_t *partition_count,
                                struct evlog_failure *failure)
{
    struct el_topic_ask ask = {.name = name, .fresh = true, .deadline_ns = el_deadline(client->cfg.request_timeout_ms)};
    return el_cluster_topic(client, &ask, partition_count, failure);
}

static int fill_partitions(struct evlog_client *client, struct info_object *object, int32_t count,
                           struct evlog_failure *failure)
{
    const char *name = object->info.name;
    struct evlog_partition_info *partitions = el_arena_zalloc(&object->arena, (size_t)count * sizeof *partitions);
    int64_t *offsets = el_arena_alloc(&object->arena, 2 * (size_t)count * sizeof *offsets);
    if (partitions == NULL || offsets == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to describe topic %s", name);
    }
    int rc = evlog_offsets_at(client, name, EVLOG_OFFSET_EARLIEST, offsets, count, failure);
    if (rc == 0) {
        rc = evlog_offsets_at(client, name, EVLOG_OFFSET_LATEST, offsets + count, count, failure);
    }
    if (rc != 0) {
        return rc;
    }
    el_client_lock(client);
    const struct el_topic *topic = el_cluster_find(client, name);
    for (int32_t i = 0; i < count; i++) {
        bool known = topic != NULL && i < topic->partition_count;
        partitions[i].index = i;
        partitions[i].leader = known ? topic->partitions[i].leader : -1;
        partitions[i].leader_epoch = known ? topic->partitions[i].leader_epoch : -1;
        partitions[i].start_offset = offsets[i];
        partitions[i].end_offset = offsets[count + i];
    }
    if (topic != NULL) {
        memcpy(object->info.id, topic->id.bytes, sizeof object->info.id);
        object->info.internal = topic->internal;
    }
    el_client_unlock(client);
    object->info.partitions = partitions;
    object->info.partition_count = (size_t)count;
    return 0;
}

static int fill_configs(struct evlog_client *client, struct info_object *object, struct evlog_failure *failure)
{
    struct el_settings_owner owner = {EL_RESOURCE_TOPIC, "topic", object->info.name};
    struct el_settings own, defaults;
    int rc = el_settings_describe(client, &owner, &object->arena, &own, &defaults, failure);
    if (rc == 0) {
        object->info.settings = own.settings;
        object->info.setting_count = own.count;
        object->info.defaults = defaults.settings;
        object->info.default_count = defaults.count;
    }
    return rc;
}

static int look(struct evlog_client *client, const char *name, bool settings, struct evlog_topic_info **info,
                struct evlog_failure *failure)
{
    int32_t count;
    int rc = evlog_topic_partition_count(client, name, &count, failure);
    if (rc != 0) {
        return rc;
    }
    struct info_object *object = el_calloc(1, sizeof *object);
    if (object == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to describe topic %s", name);
    }
    el_arena_init(&object->arena, NULL, 0);
    object->info.name = el_arena_strndup(&object->arena, name, strlen(name));
    if (object->info.name == NULL) {
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to describe topic %s", name);
    } else {
        rc = fill_partitions(client, object, count, failure);
    }
    if (rc == 0 && settings) {
        rc = fill_configs(client, object, failure);
    }
    if (rc != 0) {
        evlog_topic_info_free(&object->info);
        return rc;
    }
    *info = &object->info;
    return 0;
}

int evlog_topic_describe(struct evlog_client *client, const char *name, struct evlog_topic_info **info,
                         struct evlog_failure *failure)
{
    return look(client, name, true, info, failure);
}

int evlog_topic_look(struct evlog_client *client, const char *name, struct evlog_topic_info **info,
                     struct evlog_failure *failure)
{
    return look(client, name, false, info, failure);
}

void evlog_topic_info_free(struct evlog_topic_info *info)
{
    if (info != NULL) {
        struct info_object *object = EL_CONTAINER(info, struct info_object, info);
        el_arena_reset(&object->arena);
        el_free(object);
    }
}
