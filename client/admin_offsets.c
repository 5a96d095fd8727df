/* SPDX-License-Identifier: Apache-2.0
 *
 * Committed offsets of a group: the requests, and the calls for those who are not its members. Blocking, any thread.
 *
 * Offsets are set in the name of nobody (generation -1, no member id), which a coordinator allows only while the group
 * has no members. Setting and removing offsets twice does no harm, so both are tried again when an answer is lost.
 */
#include "admin_offsets.h"
#include "fail.h"
#include "group_ask.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <evlog/groups.h>
#include <stdio.h>
#include <stdlib.h>
#include <wire/error_code.h>
#include <wire/msg_offset_delete.h>

#define OFFSET_OF "offset of "

/* --- requests ---------------------------------------------------------------------------------------------------- */

static size_t run_of_topic(const struct evlog_partition_offset *offsets, size_t count)
{
    size_t run = 1;
    while (run < count && strcmp(offsets[run].topic, offsets[0].topic) == 0) {
        run++;
    }
    return run;
}

bool el_offsets_valid(const struct evlog_partition_offset *offsets, size_t count, struct evlog_failure *failure)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = offsets[i].topic == NULL ? 0 : strlen(offsets[i].topic);
        if (len == 0 || len > EL_TOPIC_NAME_MAX || offsets[i].partition < 0 || offsets[i].offset < 0) {
            (void)el_fail(failure, EVLOG_ERR_ARGUMENT, "offset %zu names no topic, or a number is negative", i);
            return false;
        }
    }
    if (count > EL_REQUEST_LEN_MAX) {
        (void)el_fail(failure, EVLOG_ERR_LIMIT, "too many offsets for one request");
        return false;
    }
    return true;
}

static struct el_slice copied(struct el_arena *arena, const char *text, bool *ok)
{
    const char *copy = text == NULL ? NULL : el_arena_strndup(arena, text, strlen(text));
    *ok = *ok && (text == NULL || copy != NULL);
    return copy == NULL ? el_slice_of(NULL, 0) : el_slice_str(copy);
}

int el_offset_commit_build(const struct el_committer *who, const struct evlog_partition_offset *offsets, size_t count,
                           struct el_arena *arena, struct el_msg_offset_commit_request *request)
{
    bool ok = true;
    el_schema_init(&el_schema_offset_commit_request, request);
    struct el_msg_offset_commit_topic *topic = el_schema_new(&el_schema_offset_commit_topic, arena, (uint32_t)count);
    struct el_msg_offset_commit_partition *p = el_schema_new(&el_schema_offset_commit_partition, arena,
                                                             (uint32_t)count);
    request->group_id = copied(arena, who->group, &ok);
    request->generation_id_or_member_epoch = who->generation;
    request->member_id = copied(arena, who->member_id, &ok);
    request->group_instance_id = copied(arena, who->instance_id, &ok);
    request->topics = topic;
    if (topic == NULL || p == NULL || !ok) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < count; topic++) {
        size_t end = i + run_of_topic(offsets + i, count - i);
        topic->name = el_slice_str(offsets[i].topic);
        topic->partitions = &p[i];
        topic->partition_count = (uint32_t)(end - i);
        request->topic_count++;
        for (; i < end; i++) {
            p[i].partition_index = offsets[i].partition;
            p[i].committed_offset = offsets[i].offset;
            p[i].committed_leader_epoch = offsets[i].leader_epoch;
            p[i].committed_metadata = el_slice_str("");
        }
    }
    return 0;
}

int el_offset_commit_refusal(const struct el_msg_offset_commit_response *response, char *which, size_t room)
{
    which[0] = '\0';
    for (uint32_t i = 0; i < response->topic_count; i++) {
        const struct el_msg_offset_commit_topic_result *topic = &response->topics[i];
        for (uint32_t j = 0; j < topic->partition_count; j++) {
            if (topic->partitions[j].error_code != 0) {
                (void)snprintf(which, room, "%.*s[%d]", (int)EL_MIN(topic->name.len, (size_t)EL_TOPIC_NAME_MAX),
                               topic->name.data == NULL ? "" : (const char *)topic->name.data,
                               topic->partitions[j].partition_index);
                return topic->partitions[j].error_code;
            }
        }
    }
    return 0;
}

int el_offset_commit_code(const void *response)
{
    char which[EL_TOPIC_NAME_MAX + 16];
    return el_offset_commit_refusal(response, which, sizeof which);
}

int el_offset_fetch_build(const char *group, const struct evlog_partition_offset *partitions, size_t count,
                          struct el_arena *arena, struct el_msg_offset_fetch_request *request)
{
    el_schema_init(&el_schema_offset_fetch_request, request);
    request->group_id = el_slice_str(group);
    request->topics = NULL; /* all of them */
    if (partitions == NULL) {
        return 0;
    }
    struct el_msg_offset_fetch_topic *topic = el_schema_new(&el_schema_offset_fetch_topic, arena, (uint32_t)count);
    int32_t *indexes = el_arena_alloc(arena, count * sizeof *indexes);
    if (topic == NULL || indexes == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    request->topics = topic;
    for (size_t i = 0; i < count; topic++) {
        size_t end = i + run_of_topic(partitions + i, count - i);
        topic->name = el_slice_str(partitions[i].topic);
        topic->partition_indexes = &indexes[i];
        topic->partition_index_count = (uint32_t)(end - i);
        request->topic_count++;
        for (; i < end; i++) {
            indexes[i] = partitions[i].partition;
        }
    }
    return 0;
}

int el_offset_fetch_code(const void *answer)
{
    const struct el_msg_offset_fetch_response *response = answer;
    if (response->error_code != 0) {
        return response->error_code;
    }
    for (uint32_t i = 0; i < response->topic_count; i++) {
        for (uint32_t j = 0; j < response->topics[i].partition_count; j++) {
            if (response->topics[i].partitions[j].error_code != 0) {
                return response->topics[i].partitions[j].error_code;
            }
        }
    }
    return 0;
}

/* --- all of a group ---------------------------------------------------------------------------------------------- */

struct offsets_object {
    struct evlog_group_offsets offsets;
    struct el_arena arena;
};

static int compare(const void *a, const void *b)
{
    const struct evlog_partition_offset *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static int take(const struct el_msg_offset_fetch_response *response, struct offsets_object *object)
{
    size_t count = 0;
    for (uint32_t i = 0; i < response->topic_count; i++) {
        count += response->topics[i].partition_count;
    }
    struct evlog_partition_offset *offsets = el_arena_alloc(&object->arena, (count + 1) * sizeof *offsets);
    if (offsets == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    count = 0;
    for (uint32_t i = 0; i < response->topic_count; i++) {
        const struct el_msg_offset_fetch_topic_result *topic = &response->topics[i];
        const char *name = el_arena_strndup(&object->arena, topic->name.data, topic->name.len);
        if (name == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        for (uint32_t j = 0; j < topic->partition_count; j++) {
            if (topic->partitions[j].committed_offset >= 0) {
                offsets[count++] = (struct evlog_partition_offset){
                    .topic = name,
                    .partition = topic->partitions[j].partition_index,
                    .leader_epoch = topic->partitions[j].committed_leader_epoch,
                    .offset = topic->partitions[j].committed_offset,
                };
            }
        }
    }
    qsort(offsets, count, sizeof *offsets, compare);
    object->offsets = (struct evlog_group_offsets){offsets, count};
    return 0;
}

/* verb: what was wanted of the group, as rights call it: "read" to set, "describe" to see, "delete"
 * what: "offsets", or "offset of TOPIC[N]" */
static int refused(const char *group, const char *verb, int kafka_code, const char *what, struct evlog_failure *failure)
{
    char text[600], right[32], name[EL_TOPIC_NAME_MAX + 1];
    const char *topic = strncmp(what, OFFSET_OF, strlen(OFFSET_OF)) == 0 ? name : NULL;
    (void)snprintf(name, sizeof name, "%.*s", topic == NULL ? 0 : (int)strcspn(what + strlen(OFFSET_OF), "["),
                   topic == NULL ? "" : what + strlen(OFFSET_OF));
    (void)snprintf(text, sizeof text, "%.300s of group %.250s", what, group);
    int rc = el_fail_kafka(failure, kafka_code, el_slice_of(NULL, 0), text);
    (void)snprintf(right, sizeof right, "%s group", verb);
    el_fail_right(failure, right, group);
    el_fail_right(failure, strcmp(verb, "describe") == 0 ? "describe topic" : "read topic", topic);
    return rc;
}

int evlog_group_offsets(struct evlog_client *client, const char *group, struct evlog_group_offsets **offsets,
                        struct evlog_failure *failure)
{
    struct el_msg_offset_fetch_request request;
    struct el_msg_offset_fetch_response response;
    struct el_call call;
    (void)el_offset_fetch_build(group, NULL, 0, NULL, &request);
    struct el_group_ask ask = {
        .group = group,
        .api = EL_API_OffsetFetch,
        .request = &request,
        .version_max = EL_OFFSET_FETCH_VERSION_MAX,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
        .code_of = el_offset_fetch_code,
    };
    int rc = el_group_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    int kafka_code = el_offset_fetch_code(&response);
    struct offsets_object *object = kafka_code == 0 ? el_calloc(1, sizeof *object) : NULL;
    if (kafka_code != 0) {
        rc = refused(group, "describe", kafka_code, "offsets", failure);
    } else if (object == NULL) {
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for the offsets of group %s", group);
    } else {
        el_arena_init(&object->arena, NULL, 0);
        rc = take(&response, object);
    }
    el_call_free(&call);
    if (rc != 0 && object != NULL) {
        evlog_group_offsets_free(&object->offsets);
        return el_fail(failure, rc, "no memory for the offsets of group %s", group);
    }
    if (rc == 0) {
        *offsets = &object->offsets;
    }
    return rc;
}

void evlog_group_offsets_free(struct evlog_group_offsets *offsets)
{
    if (offsets != NULL) {
        struct offsets_object *object = EL_CONTAINER(offsets, struct offsets_object, offsets);
        el_arena_reset(&object->arena);
        el_free(object);
    }
}

/* --- changing ---------------------------------------------------------------------------------------------------- */

static int explain_commit(const struct el_msg_offset_commit_response *response, const char *group,
                          struct evlog_failure *failure)
{
    char which[EL_TOPIC_NAME_MAX + 16];
    int kafka_code = el_offset_commit_refusal(response, which, sizeof which);
    if (kafka_code == 0) {
        return 0;
    }
    /* A coordinator takes offsets from outside only while the group is empty, and says so in these ways. */
    if (kafka_code == EL_KAFKA_UNKNOWN_MEMBER_ID || kafka_code == EL_KAFKA_REBALANCE_IN_PROGRESS ||
        kafka_code == EL_KAFKA_ILLEGAL_GENERATION) {
        (void)el_fail(failure, EVLOG_ERR_GROUP_NOT_EMPTY, "group %s has members: its offsets are theirs to set", group);
        el_fail_hint(failure, "stop the members, and wait until their session is over");
        return EVLOG_ERR_GROUP_NOT_EMPTY;
    }
    char what[EL_TOPIC_NAME_MAX + 64];
    (void)snprintf(what, sizeof what, OFFSET_OF "%s", which);
    return refused(group, "read", kafka_code, what, failure);
}

int evlog_group_offsets_set(struct evlog_client *client, const char *group,
                            const struct evlog_partition_offset *offsets, size_t count, struct evlog_failure *failure)
{
    struct el_msg_offset_commit_request request;
    struct el_msg_offset_commit_response response;
    struct el_call call;
    struct el_arena arena;
    struct el_committer nobody = {.group = group, .member_id = "", .generation = -1};
    if (!el_offsets_valid(offsets, count, failure)) {
        return EVLOG_ERR_ARGUMENT;
    }
    if (count == 0) {
        return 0;
    }
    el_arena_init(&arena, NULL, 0);
    int rc = el_offset_commit_build(&nobody, offsets, count, &arena, &request);
    if (rc != 0) {
        el_arena_reset(&arena);
        return el_fail(failure, rc, "no memory to set offsets of group %s", group);
    }
    struct el_group_ask ask = {
        .group = group,
        .api = EL_API_OffsetCommit,
        .request = &request,
        .version_max = EL_OFFSET_COMMIT_VERSION_MAX,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
        .code_of = el_offset_commit_code,
    };
    rc = el_group_ask(client, &ask, &call, &response, failure);
    if (rc == 0) {
        rc = explain_commit(&response, group, failure);
        el_call_free(&call);
    }
    el_arena_reset(&arena);
    return rc;
}

static int delete_code(const void *response)
{
    return ((const struct el_msg_offset_delete_response *)response)->error_code;
}

static int build_delete(const char *group, const struct evlog_partition_offset *partitions, size_t count,
                        struct el_arena *arena, struct el_msg_offset_delete_request *request)
{
    el_schema_init(&el_schema_offset_delete_request, request);
    struct el_msg_offset_delete_topic *topic = el_schema_new(&el_schema_offset_delete_topic, arena, (uint32_t)count);
    struct el_msg_offset_delete_partition *p = el_schema_new(&el_schema_offset_delete_partition, arena,
                                                             (uint32_t)count);
    if (topic == NULL || p == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    request->group_id = el_slice_str(group);
    request->topics = topic;
    for (size_t i = 0; i < count; topic++) {
        size_t end = i + run_of_topic(partitions + i, count - i);
        topic->name = el_slice_str(partitions[i].topic);
        topic->partitions = &p[i];
        topic->partition_count = (uint32_t)(end - i);
        request->topic_count++;
        for (; i < end; i++) {
            p[i].partition_index = partitions[i].partition;
        }
    }
    return 0;
}

static int explain_delete(const struct el_msg_offset_delete_response *response, const char *group,
                          struct evlog_failure *failure)
{
    if (response->error_code != 0) {
        return refused(group, "delete", response->error_code, "offsets", failure);
    }
    for (uint32_t i = 0; i < response->topic_count; i++) {
        const struct el_msg_offset_delete_topic_result *topic = &response->topics[i];
        for (uint32_t j = 0; j < topic->partition_count; j++) {
            if (topic->partitions[j].error_code != 0) {
                char what[EL_TOPIC_NAME_MAX + 64];
                (void)snprintf(what, sizeof what, OFFSET_OF "%.*s[%d]",
                               (int)EL_MIN(topic->name.len, (size_t)EL_TOPIC_NAME_MAX),
                               topic->name.data == NULL ? "" : (const char *)topic->name.data,
                               topic->partitions[j].partition_index);
                return refused(group, "delete", topic->partitions[j].error_code, what, failure);
            }
        }
    }
    return 0;
}

int evlog_group_offsets_delete(struct evlog_client *client, const char *group,
                               const struct evlog_partition_offset *partitions, size_t count,
                               struct evlog_failure *failure)
{
    struct el_msg_offset_delete_request request;
    struct el_msg_offset_delete_response response;
    struct el_call call;
    struct el_arena arena;
    for (size_t i = 0; i < count; i++) {
        if (partitions[i].topic == NULL || partitions[i].partition < 0) {
            return el_fail(failure, EVLOG_ERR_ARGUMENT, "partition %zu names no topic, or is negative", i);
        }
    }
    if (count == 0) {
        return 0;
    }
    el_arena_init(&arena, NULL, 0);
    int rc = build_delete(group, partitions, count, &arena, &request);
    if (rc != 0) {
        el_arena_reset(&arena);
        return el_fail(failure, rc, "no memory to remove offsets of group %s", group);
    }
    struct el_group_ask ask = {
        .group = group,
        .api = EL_API_OffsetDelete,
        .request = &request,
        .version_max = INT16_MAX,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
        .code_of = delete_code,
    };
    rc = el_group_ask(client, &ask, &call, &response, failure);
    if (rc == 0) {
        rc = explain_delete(&response, group, failure);
        el_call_free(&call);
    }
    el_arena_reset(&arena);
    return rc;
}
