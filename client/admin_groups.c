/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups from outside, of consumers and of work: list, describe, delete. Blocking, any thread.
 *
 * Groups are spread over the nodes, each of which coordinates some: a list asks all of them, everything else asks the
 * group's coordinator. What is returned lies in one arena with the object itself, so that one free gives all of it
 * back.
 */
#include "admin_work.h"
#include "fail.h"
#include "group_ask.h"

#include <core/alloc.h>
#include <evlog/groups.h>
#include <stdio.h>
#include <stdlib.h>
#include <wire/consumer_protocol.h>
#include <wire/error_code.h>
#include <wire/msg_delete_groups.h>
#include <wire/msg_describe_groups.h>
#include <wire/msg_list_groups.h>
#include <wire/msg_share_group_describe.h>

struct list_object {
    struct evlog_group_list list;
    struct evlog_group_name *groups; /* [group_room] */
    size_t group_room;
    struct el_arena arena;
};

struct info_object {
    struct evlog_group_info info;
    struct el_arena arena;
};

static const char *copied(struct el_arena *arena, struct el_slice text)
{
    return el_arena_strndup(arena, text.data == NULL ? (const uint8_t *)"" : text.data, text.len);
}

/* --- list -------------------------------------------------------------------------------------------------------- */

static int list_add(struct list_object *object, const struct el_msg_list_groups_group *source)
{
    if (object->list.group_count == object->group_room) {
        size_t room = EL_MAX(2 * object->group_room, 64u);
        struct evlog_group_name *grown = el_realloc(object->groups, room * sizeof *grown);
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        object->list.groups = object->groups = grown;
        object->group_room = room;
    }
    struct evlog_group_name *group = &object->groups[object->list.group_count];
    group->name = copied(&object->arena, source->group_id);
    group->state = copied(&object->arena, source->group_state);
    group->protocol_type = copied(&object->arena, source->protocol_type);
    group->type = copied(&object->arena, source->group_type);
    if (group->name == NULL || group->state == NULL || group->protocol_type == NULL || group->type == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    object->list.group_count++;
    return 0;
}

static int list_node(struct evlog_client *client, int32_t node_id, struct list_object *object,
                     struct evlog_failure *failure)
{
    struct el_msg_list_groups_request request;
    struct el_msg_list_groups_response response;
    struct el_call call;
    el_schema_init(&el_schema_list_groups_request, &request);
    struct el_ask ask = {
        .api = EL_API_ListGroups,
        .request = &request,
        .version_max = INT16_MAX,
        .node_id = node_id,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
    };
    for (uint32_t tries = 1;; tries++) {
        int rc = el_client_ask(client, &ask, &call, &response, failure);
        if (rc != 0) {
            return rc;
        }
        int kafka_code = response.error_code;
        for (uint32_t i = 0; rc == 0 && kafka_code == 0 && i < response.group_count; i++) {
            rc = list_add(object, &response.groups[i]);
        }
        el_call_free(&call);
        if (rc != 0) {
            return el_fail(failure, rc, "no memory for a list of groups");
        }
        bool reading = el_coordinator_error(kafka_code); /* its state */
        if (!reading || !el_pause_before_retry(client, tries, ask.deadline_ns)) {
            return kafka_code == 0 ? 0 : el_fail_kafka(failure, kafka_code, el_slice_of(NULL, 0), "list groups");
        }
    }
}

/* Ids of the nodes that are known. returns NULL: no memory */
static int32_t *node_ids(struct evlog_client *client, uint32_t *count)
{
    el_client_lock(client);
    *count = client->cluster.node_count;
    int32_t *ids = el_malloc((*count + 1) * sizeof *ids);
    for (uint32_t i = 0; ids != NULL && i < *count; i++) {
        ids[i] = client->cluster.nodes[i].id;
    }
    el_client_unlock(client);
    return ids;
}

static int compare_names(const void *a, const void *b)
{
    const struct evlog_group_name *x = a, *y = b;
    return strcmp(x->name, y->name);
}

int evlog_group_list(struct evlog_client *client, struct evlog_group_list **list, struct evlog_failure *failure)
{
    uint32_t count;
    int rc = el_cluster_refresh(client, NULL, false, el_deadline(client->cfg.request_timeout_ms), failure);
    if (rc != 0) {
        return rc;
    }
    struct list_object *object = el_calloc(1, sizeof *object);
    int32_t *ids = node_ids(client, &count);
    if (object == NULL || ids == NULL) {
        el_free(object);
        el_free(ids);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a list of groups");
    }
    el_arena_init(&object->arena, NULL, 0);
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        rc = list_node(client, ids[i], object, failure);
    }
    el_free(ids);
    if (rc != 0) {
        evlog_group_list_free(&object->list);
        return rc;
    }
    if (object->list.group_count > 0) {
        qsort(object->groups, object->list.group_count, sizeof *object->groups, compare_names);
    }
    *list = &object->list;
    return 0;
}

void evlog_group_list_free(struct evlog_group_list *list)
{
    if (list != NULL) {
        struct list_object *object = EL_CONTAINER(list, struct list_object, list);
        el_arena_reset(&object->arena);
        el_free(object->groups);
        el_free(object);
    }
}

/* --- describe ---------------------------------------------------------------------------------------------------- */

static int describe_code(const void *answer)
{
    const struct el_msg_describe_groups_response *response = answer;
    return response->group_count == 1 ? response->groups[0].error_code : 0;
}

/* Partitions of a member; an assignment that is no consumer's, or cannot be read, gives none. */
static int take_partitions(struct info_object *object, struct el_slice bytes, struct evlog_group_member *member)
{
    struct el_msg_consumer_protocol_assignment assignment;
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    int rc = el_consumer_protocol_decode(&el_schema_consumer_protocol_assignment, bytes, &arena, &assignment);
    size_t count = 0;
    for (uint32_t i = 0; rc == 0 && i < assignment.assigned_count; i++) {
        count += assignment.assigned[i].partition_count;
    }
    struct evlog_partition_offset *partitions = el_arena_alloc(&object->arena, (count + 1) * sizeof *partitions);
    for (uint32_t i = 0; rc == 0 && partitions != NULL && i < assignment.assigned_count; i++) {
        const char *topic = copied(&object->arena, assignment.assigned[i].topic);
        if (topic == NULL) {
            partitions = NULL;
            break;
        }
        for (uint32_t j = 0; j < assignment.assigned[i].partition_count; j++) {
            partitions[member->partition_count++] = (struct evlog_partition_offset){
                topic,
                assignment.assigned[i].partitions[j],
                -1,
                -1,
            };
        }
    }
    member->partitions = partitions;
    el_arena_reset(&arena);
    return partitions == NULL || rc == EVLOG_ERR_NO_MEMORY ? EVLOG_ERR_NO_MEMORY : 0;
}

static int compare_members(const void *a, const void *b)
{
    const struct evlog_group_member *x = a, *y = b;
    return strcmp(x->id, y->id);
}

static int take_group(struct info_object *object, const struct el_msg_describe_groups_group *source)
{
    struct el_arena *arena = &object->arena;
    struct evlog_group_member *members = el_arena_zalloc(arena, (source->member_count + 1) * sizeof *members);
    object->info.name = copied(arena, source->group_id);
    object->info.state = copied(arena, source->group_state);
    object->info.protocol_type = copied(arena, source->protocol_type);
    object->info.strategy = copied(arena, source->protocol_data);
    if (members == NULL || object->info.name == NULL || object->info.state == NULL ||
        object->info.protocol_type == NULL || object->info.strategy == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int rc = 0;
    bool is_consumer = strcmp(object->info.protocol_type, EL_CONSUMER_PROTOCOL_TYPE) == 0;
    for (uint32_t i = 0; rc == 0 && i < source->member_count; i++) {
        const struct el_msg_describe_groups_member *member = &source->members[i];
        bool is_static = member->group_instance_id.data != NULL;
        members[i].id = copied(arena, member->member_id);
        members[i].instance_id = is_static ? copied(arena, member->group_instance_id) : NULL;
        members[i].client_id = copied(arena, member->client_id);
        members[i].host = copied(arena, member->client_host);
        bool ok = members[i].id != NULL && members[i].client_id != NULL && members[i].host != NULL &&
                  (!is_static || members[i].instance_id != NULL);
        rc = ok ? 0 : EVLOG_ERR_NO_MEMORY;
        if (rc == 0 && is_consumer) {
            rc = take_partitions(object, member->member_assignment, &members[i]);
        }
    }
    if (rc == 0) {
        qsort(members, source->member_count, sizeof *members, compare_members);
        object->info.members = members;
        object->info.member_count = source->member_count;
    }
    return rc;
}

static int take_describe(const struct el_msg_describe_groups_response *response, const char *group,
                         struct info_object **out, struct evlog_failure *failure)
{
    int kafka_code = describe_code(response);
    char what[300];
    (void)snprintf(what, sizeof what, "group %.280s", group);
    if (response->group_count != 1) {
        return el_fail(failure, EVLOG_ERR_MALFORMED, "the broker's answer about group %s cannot be read", group);
    }
    if (kafka_code != 0) {
        int rc = el_fail_kafka(failure, kafka_code, response->groups[0].error_message, what);
        el_fail_right(failure, "describe group", group);
        return rc;
    }
    if (el_slice_eq(response->groups[0].group_state, el_slice_str("Dead"))) {
        return el_fail(failure, EVLOG_ERR_GROUP_NOT_FOUND, "group %s is not there", group);
    }
    struct info_object *object = el_calloc(1, sizeof *object);
    if (object == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for group %s", group);
    }
    el_arena_init(&object->arena, NULL, 0);
    if (take_group(object, &response->groups[0]) != 0) {
        evlog_group_info_free(&object->info);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for group %s", group);
    }
    *out = object;
    return 0;
}

/* --- describe a work group --------------------------------------------------------------------------------------- */

static int share_code(const void *answer)
{
    const struct el_msg_share_group_describe_response *response = answer;
    return response->group_count == 1 ? response->groups[0].error_code : 0;
}

static int take_share_partitions(struct el_arena *arena, const struct el_msg_share_group_describe_assignment *source,
                                 struct evlog_group_member *member)
{
    size_t room = 1;
    for (uint32_t i = 0; i < source->topic_partition_count; i++) {
        room += source->topic_partitions[i].partition_count;
    }
    struct evlog_partition_offset *partitions = el_arena_alloc(arena, room * sizeof *partitions);
    for (uint32_t i = 0; partitions != NULL && i < source->topic_partition_count; i++) {
        const struct el_msg_share_group_describe_topic *topic = &source->topic_partitions[i];
        const char *name = copied(arena, topic->topic_name);
        if (name == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        for (uint32_t j = 0; j < topic->partition_count; j++) {
            partitions[member->partition_count++] = (struct evlog_partition_offset){name, topic->partitions[j], -1, -1};
        }
    }
    member->partitions = partitions;
    return partitions == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

static int take_share_group(struct info_object *object, const struct el_msg_share_group_describe_group *source)
{
    struct el_arena *arena = &object->arena;
    struct evlog_group_member *members = el_arena_zalloc(arena, (source->member_count + 1) * sizeof *members);
    object->info.name = copied(arena, source->group_id);
    object->info.state = copied(arena, source->group_state);
    object->info.protocol_type = EL_WORK_GROUP_TYPE;
    object->info.strategy = copied(arena, source->assignor_name);
    bool ok = members != NULL && object->info.name != NULL && object->info.state != NULL &&
              object->info.strategy != NULL;
    for (uint32_t i = 0; ok && i < source->member_count; i++) {
        const struct el_msg_share_group_describe_member *member = &source->members[i];
        members[i].id = copied(arena, member->member_id);
        members[i].client_id = copied(arena, member->client_id);
        members[i].host = copied(arena, member->client_host);
        ok = members[i].id != NULL && members[i].client_id != NULL && members[i].host != NULL &&
             take_share_partitions(arena, &member->assignment, &members[i]) == 0;
    }
    if (ok) {
        qsort(members, source->member_count, sizeof *members, compare_members);
        object->info.members = members;
        object->info.member_count = source->member_count;
    }
    return ok ? 0 : EVLOG_ERR_NO_MEMORY;
}

/* Is it a work group? returns 0 | EVLOG_ERR_GROUP_NOT_FOUND no, or the broker has none | another failure */
static int describe_share(struct evlog_client *client, const char *group, struct evlog_group_info **info,
                          struct evlog_failure *failure)
{
    struct el_msg_share_group_describe_request request;
    struct el_msg_share_group_describe_response response;
    struct el_call call;
    struct el_slice name = el_slice_str(group);
    el_schema_init(&el_schema_share_group_describe_request, &request);
    request.group_ids = &name;
    request.group_id_count = 1;
    struct el_group_ask ask = {
        .group = group,
        .api = EL_API_ShareGroupDescribe,
        .request = &request,
        .version_max = INT16_MAX,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
        .code_of = share_code,
    };
    int rc = el_group_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc == EVLOG_ERR_UNSUPPORTED ? EVLOG_ERR_GROUP_NOT_FOUND : rc;
    }
    struct info_object *object = NULL;
    if (response.group_count != 1 || share_code(&response) != 0 ||
        el_slice_eq(response.groups[0].group_state, el_slice_str("Dead"))) {
        rc = EVLOG_ERR_GROUP_NOT_FOUND;
    } else {
        object = el_calloc(1, sizeof *object);
        rc = object == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    }
    if (rc == 0) {
        el_arena_init(&object->arena, NULL, 0);
        rc = take_share_group(object, &response.groups[0]);
    }
    if (rc == 0) {
        object->info.coordinator = call.node_id;
        *info = &object->info;
    } else if (rc == EVLOG_ERR_NO_MEMORY) {
        evlog_group_info_free(object == NULL ? NULL : &object->info);
        (void)el_fail(failure, rc, "no memory for group %s", group);
    }
    el_call_free(&call);
    return rc;
}

int evlog_group_describe(struct evlog_client *client, const char *group, struct evlog_group_info **info,
                         struct evlog_failure *failure)
{
    struct el_msg_describe_groups_request request;
    struct el_msg_describe_groups_response response;
    struct el_call call;
    struct el_slice name = el_slice_str(group);
    struct info_object *object = NULL;
    el_schema_init(&el_schema_describe_groups_request, &request);
    request.groups = &name;
    request.group_count = 1;
    struct el_group_ask ask = {
        .group = group,
        .api = EL_API_DescribeGroups,
        .request = &request,
        .version_max = INT16_MAX,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
        .code_of = describe_code,
    };
    int rc = el_group_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    rc = take_describe(&response, group, &object, failure);
    if (rc == 0) {
        object->info.coordinator = call.node_id;
        *info = &object->info;
    }
    el_call_free(&call);
    if (rc == EVLOG_ERR_GROUP_NOT_FOUND) { /* this request does not know groups of the other kind */
        struct evlog_failure why = EVLOG_FAILURE_INIT;
        int of_share = describe_share(client, group, info, &why);
        if (of_share != EVLOG_ERR_GROUP_NOT_FOUND) {
            return of_share == 0 ? 0 : el_fail_copy(failure, &why);
        }
    }
    return rc;
}

void evlog_group_info_free(struct evlog_group_info *info)
{
    if (info != NULL) {
        struct info_object *object = EL_CONTAINER(info, struct info_object, info);
        el_arena_reset(&object->arena);
        el_free(object);
    }
}

/* --- delete ------------------------------------------------------------------------------------------------------ */

static int delete_code(const void *answer)
{
    const struct el_msg_delete_groups_response *response = answer;
    return response->result_count == 1 ? response->results[0].error_code : 0;
}

int evlog_group_delete(struct evlog_client *client, const char *group, struct evlog_failure *failure)
{
    struct el_msg_delete_groups_request request;
    struct el_msg_delete_groups_response response;
    struct el_call call;
    struct el_slice name = el_slice_str(group);
    el_schema_init(&el_schema_delete_groups_request, &request);
    request.groups_names = &name;
    request.groups_name_count = 1;
    struct el_group_ask ask = {
        .group = group,
        .api = EL_API_DeleteGroups,
        .request = &request,
        .version_max = INT16_MAX,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
        .once = true,
        .code_of = delete_code,
    };
    int rc = el_group_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    int kafka_code = delete_code(&response);
    if (response.result_count != 1) {
        rc = el_fail(failure, EVLOG_ERR_MALFORMED, "the broker's answer about group %s cannot be read", group);
    } else if (kafka_code != 0) {
        char what[300];
        (void)snprintf(what, sizeof what, "delete group %.280s", group);
        rc = el_fail_kafka(failure, kafka_code, response.results[0].error_message, what);
        el_fail_right(failure, "delete group", group);
    }
    el_call_free(&call);
    return rc;
}
