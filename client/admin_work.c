/* SPDX-License-Identifier: Apache-2.0
 *
 * Work groups from outside: their settings, how far they are, why a key waits, and what halts. Blocking, any thread.
 *
 * Settings have evlog's names and Kafka's; a broker that is not evlog knows only its own, so the others are replaced
 * where there is the same. Why a key waits is evlog's to say.
 */
#include "admin_work.h"
#include "admin_settings.h"
#include "fail.h"
#include "group_ask.h"

#include <core/alloc.h>
#include <evlog/lease.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_describe_share_group_offsets.h>
#include <wire/msg_ext_group_progress.h>
#include <wire/msg_ext_group_why.h>
#include <wire/msg_ext_release_key.h>

#define SETTING_COUNT_MAX 1000
#define WHAT_LEN 600

/* --- settings ----------------------------------------------------------------------------------------------------- */

static const char *kafka_name(const char *name)
{
    static const char *const pairs[][2] = {
        {"lease.ms", "share.record.lock.duration.ms"},
        {"retry.max.attempts", "share.delivery.count.limit"},
        {"max.inflight", "share.partition.max.record.locks"},
        {"start", "share.auto.offset.reset"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (strcmp(name, pairs[i][0]) == 0) {
            return pairs[i][1];
        }
    }
    return name;
}

int evlog_group_set(struct evlog_client *client, const char *group, const struct evlog_setting *changes,
                    size_t change_count, bool validate_only, struct evlog_failure *failure)
{
    struct evlog_broker_info broker = {.size = sizeof broker};
    struct el_settings_owner owner = {EL_RESOURCE_GROUP, "work group", group};
    if (group == NULL || group[0] == '\0' || change_count > SETTING_COUNT_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a work group needs a name, and at most %d settings",
                       SETTING_COUNT_MAX);
    }
    int rc = evlog_client_info(client, &broker, failure);
    struct evlog_setting *renamed = rc != 0 ? NULL : el_calloc(change_count + 1, sizeof *renamed);
    if (renamed == NULL) {
        return rc != 0 ? rc : el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for settings");
    }
    for (size_t i = 0; i < change_count; i++) {
        renamed[i] = changes[i];
        renamed[i].key = broker.is_evlog ? changes[i].key : kafka_name(changes[i].key);
    }
    rc = el_settings_alter(client, &owner, renamed, change_count, validate_only, failure);
    el_free(renamed);
    if (rc != 0 && !broker.is_evlog) {
        el_fail_hint(failure, "this broker is not evlog: it knows Kafka's settings of share groups only");
    }
    return rc;
}

/* --- progress ----------------------------------------------------------------------------------------------------- */

static int progress_code(const void *response_)
{
    const struct el_msg_describe_share_group_offsets_response *response = response_;
    return response->group_count == 1 ? response->groups[0].error_code : EL_KAFKA_UNKNOWN_SERVER_ERROR;
}

/* Offsets of the topic out of an answer. returns a Kafka code, 0: all is well */
static int take_progress(const struct el_msg_describe_share_group_offsets_group_result *group,
                         struct evlog_group_progress *progress, int32_t partition_count)
{
    int code = 0;
    for (uint32_t i = 0; i < group->topic_count; i++) {
        for (uint32_t j = 0; j < group->topics[i].partition_count; j++) {
            const struct el_msg_describe_share_group_offsets_partition_result *part = &group->topics[i].partitions[j];
            if (part->error_code != 0) {
                code = part->error_code;
            } else if (part->partition_index >= 0 && part->partition_index < partition_count) {
                progress[part->partition_index] = (struct evlog_group_progress){part->start_offset, part->lag};
            }
        }
    }
    return code;
}

/* Where the group stands in the topic, or, with NULL, in all. returns 0 with the answer in *call | a failure, told */
static int ask_progress(struct evlog_client *client, const char *group,
                        struct el_msg_describe_share_group_offsets_topic *topic, struct el_call *call,
                        struct el_msg_describe_share_group_offsets_response *response, struct evlog_failure *failure)
{
    struct el_msg_describe_share_group_offsets_request request;
    struct el_msg_describe_share_group_offsets_group asked;
    el_schema_init(&el_schema_describe_share_group_offsets_request, &request);
    el_schema_init(&el_schema_describe_share_group_offsets_group, &asked);
    asked.group_id = el_slice_str(group);
    asked.topics = topic;
    asked.topic_count = topic != NULL;
    request.groups = &asked;
    request.group_count = 1;
    struct el_group_ask ask = {
        .group = group,
        .api = EL_API_DescribeShareGroupOffsets,
        .request = &request,
        .version_max = INT16_MAX,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
        .code_of = progress_code,
    };
    return el_group_ask(client, &ask, call, response, failure);
}

int evlog_group_progress(struct evlog_client *client, const char *group, const char *topic,
                         struct evlog_group_progress *progress, int32_t partition_count, struct evlog_failure *failure)
{
    struct el_msg_describe_share_group_offsets_response response;
    struct el_msg_describe_share_group_offsets_topic of;
    struct el_call call;
    int32_t *indexes = el_malloc(((size_t)EL_MAX(partition_count, 0) + 1) * sizeof *indexes);
    if (partition_count <= 0 || indexes == NULL) {
        el_free(indexes);
        return el_fail(failure, indexes == NULL ? EVLOG_ERR_NO_MEMORY : EVLOG_ERR_ARGUMENT,
                       "topic %s cannot be asked for", topic);
    }
    for (int32_t i = 0; i < partition_count; i++) {
        indexes[i] = i;
        progress[i] = (struct evlog_group_progress){-1, -1};
    }
    el_schema_init(&el_schema_describe_share_group_offsets_topic, &of);
    of.topic_name = el_slice_str(topic);
    of.partitions = indexes;
    of.partition_count = (uint32_t)partition_count;
    int rc = ask_progress(client, group, &of, &call, &response, failure);
    el_free(indexes);
    if (rc != 0) {
        return rc;
    }
    char what[300];
    int code = progress_code(&response);
    code = code != 0 ? code : take_progress(&response.groups[0], progress, partition_count);
    (void)snprintf(what, sizeof what, "work group %.250s", group);
    if (code != 0) {
        rc = el_fail_kafka(failure, code, el_slice_of(NULL, 0), what);
        el_fail_right(failure, "describe group", group);
        el_fail_right(failure, "describe topic", topic);
    }
    el_call_free(&call);
    return rc;
}

static int take_all(const struct el_msg_describe_share_group_offsets_group_result *group,
                    struct el_work_offsets *offsets)
{
    size_t room = 1;
    for (uint32_t i = 0; i < group->topic_count; i++) {
        room += group->topics[i].partition_count;
    }
    offsets->offsets = el_arena_alloc(&offsets->arena, room * sizeof *offsets->offsets);
    offsets->lags = el_arena_alloc(&offsets->arena, room * sizeof *offsets->lags);
    if (offsets->offsets == NULL || offsets->lags == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < group->topic_count; i++) {
        const struct el_msg_describe_share_group_offsets_topic_result *topic = &group->topics[i];
        const char *name = el_arena_strndup(&offsets->arena, topic->topic_name.data, topic->topic_name.len);
        if (name == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        for (uint32_t j = 0; j < topic->partition_count; j++) {
            const struct el_msg_describe_share_group_offsets_partition_result *part = &topic->partitions[j];
            if (part->error_code == 0 && part->start_offset >= 0) {
                offsets->offsets[offsets->count] = (struct evlog_partition_offset){name, part->partition_index, -1,
                                                                                   part->start_offset};
                offsets->lags[offsets->count++] = part->lag;
            }
        }
    }
    return 0;
}

int el_work_offsets_ask(struct evlog_client *client, const char *group, struct el_work_offsets *offsets,
                        struct evlog_failure *failure)
{
    struct el_msg_describe_share_group_offsets_response response;
    struct el_call call;
    char what[300];
    memset(offsets, 0, sizeof *offsets);
    el_arena_init(&offsets->arena, NULL, 0);
    int rc = ask_progress(client, group, NULL, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    (void)snprintf(what, sizeof what, "work group %.250s", group);
    int code = progress_code(&response);
    if (code != 0) {
        rc = el_fail_kafka(failure, code, el_slice_of(NULL, 0), what);
        el_fail_right(failure, "describe group", group);
    } else if (take_all(&response.groups[0], offsets) != 0) {
        el_work_offsets_free(offsets);
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for the offsets of %s", what);
    }
    el_call_free(&call);
    return rc;
}

void el_work_offsets_free(struct el_work_offsets *offsets)
{
    el_arena_reset(&offsets->arena);
    offsets->count = 0;
}

/* --- why a key waits ---------------------------------------------------------------------------------------------- */

struct waits_object {
    struct evlog_group_waits waits;
    struct el_arena arena;
};

static int why_code(const void *response)
{
    return ((const struct el_msg_ext_group_why_response *)response)->error;
}

static int copy_waits(struct waits_object *object, const struct el_msg_ext_group_why_response *response)
{
    struct evlog_group_wait *waits = el_arena_zalloc(&object->arena, (response->wait_count + 1) * sizeof *waits);
    for (uint32_t i = 0; waits != NULL && i < response->wait_count; i++) {
        const struct el_msg_ext_group_why_wait *wait = &response->waits[i];
        char *state = el_arena_strndup(
            &object->arena, wait->state.data == NULL ? (const uint8_t *)"" : wait->state.data, wait->state.len);
        char *message = el_arena_strndup(
            &object->arena, wait->message.data == NULL ? (const uint8_t *)"" : wait->message.data, wait->message.len);
        waits[i] = (struct evlog_group_wait){
            wait->partition, state, wait->parked, wait->attempts, wait->offset, wait->due_ms, wait->behind, message,
        };
        if (state == NULL || message == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    object->waits.waits = waits;
    object->waits.wait_count = response->wait_count;
    return waits == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

int evlog_group_why(struct evlog_client *client, const char *group, const char *topic, int32_t partition,
                    struct evlog_bytes key, struct evlog_group_waits **waits, struct evlog_failure *failure)
{
    struct el_msg_ext_group_why_request request;
    struct el_msg_ext_group_why_response response;
    struct el_call call;
    char what[WHAT_LEN];
    el_schema_init(&el_schema_ext_group_why_request, &request);
    request.group = el_slice_str(group);
    request.topic = el_slice_str(topic);
    request.partition = partition;
    request.key = el_slice_of(key.data, key.len);
    struct el_evlog_ask ask = {
        .api = EL_API_GroupWhy, .request = &request, .code_of = why_code, .cannot = "say why a key waits"};
    (void)snprintf(what, sizeof what, "work group %.200s, topic %.250s", group, topic);
    int rc = el_evlog_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    struct waits_object *object = NULL;
    if (why_code(&response) != 0) {
        rc = el_fail_kafka(failure, why_code(&response), response.message, what);
        el_fail_right(failure, "describe group", group);
        el_fail_right(failure, "describe topic", topic);
    }
    if (rc == 0) {
        object = el_calloc(1, sizeof *object);
        if (object != NULL) {
            el_arena_init(&object->arena, NULL, 0);
        }
        if (object == NULL || copy_waits(object, &response) != 0) {
            evlog_group_waits_free(object == NULL ? NULL : &object->waits);
            rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an answer");
        } else {
            *waits = &object->waits;
        }
    }
    el_call_free(&call);
    return rc;
}

void evlog_group_waits_free(struct evlog_group_waits *waits)
{
    if (waits != NULL) {
        struct waits_object *object = EL_CONTAINER(waits, struct waits_object, waits);
        el_arena_reset(&object->arena);
        el_free(object);
    }
}

/* --- halts -------------------------------------------------------------------------------------------------------- */

struct halts_object {
    struct evlog_group_halts halts;
    struct el_arena arena;
};

static int halts_code(const void *response)
{
    return ((const struct el_msg_ext_group_progress_response *)response)->error;
}

static int copy_halts(struct halts_object *object, const struct el_msg_ext_group_progress_response *response)
{
    size_t room = 1;
    for (uint32_t i = 0; i < response->topic_count; i++) {
        room += response->topics[i].partition_count;
    }
    struct evlog_group_halt *halts = el_arena_alloc(&object->arena, room * sizeof *halts);
    for (uint32_t i = 0; halts != NULL && i < response->topic_count; i++) {
        const struct el_msg_ext_group_progress_topic *topic = &response->topics[i];
        const char *name = el_arena_strndup(&object->arena, topic->topic.data, topic->topic.len);
        if (name == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        for (uint32_t j = 0; j < topic->partition_count; j++) {
            const struct el_msg_ext_group_progress_partition *part = &topic->partitions[j];
            if (part->error == 0 && part->halted_at >= 0) {
                halts[object->halts.halt_count++] = (struct evlog_group_halt){name, part->partition, part->halted_at};
            }
        }
    }
    object->halts.halts = halts;
    return halts == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

int evlog_group_halts(struct evlog_client *client, const char *group, struct evlog_group_halts **halts,
                      struct evlog_failure *failure)
{
    struct el_msg_ext_group_progress_request request;
    struct el_msg_ext_group_progress_response response;
    struct el_call call;
    char what[WHAT_LEN];
    el_schema_init(&el_schema_ext_group_progress_request, &request);
    request.group = el_slice_str(group);
    struct el_evlog_ask ask = {
        .api = EL_API_GroupProgress, .request = &request, .code_of = halts_code, .cannot = "halt partitions"};
    (void)snprintf(what, sizeof what, "work group %.250s", group);
    int rc = el_evlog_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    struct halts_object *object = NULL;
    if (response.error != 0) {
        rc = el_fail_kafka(failure, response.error, response.message, what);
        el_fail_right(failure, "describe group", group);
    }
    if (rc == 0) {
        object = el_calloc(1, sizeof *object);
        if (object != NULL) {
            el_arena_init(&object->arena, NULL, 0);
        }
        if (object == NULL || copy_halts(object, &response) != 0) {
            evlog_group_halts_free(object == NULL ? NULL : &object->halts);
            rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an answer");
        } else {
            *halts = &object->halts;
        }
    }
    el_call_free(&call);
    return rc;
}

void evlog_group_halts_free(struct evlog_group_halts *halts)
{
    if (halts != NULL) {
        struct halts_object *object = EL_CONTAINER(halts, struct halts_object, halts);
        el_arena_reset(&object->arena);
        el_free(object);
    }
}

static int go_on_code(const void *response)
{
    return ((const struct el_msg_ext_release_key_response *)response)->error;
}

int evlog_group_go_on(struct evlog_client *client, const char *group, const char *topic, int32_t partition,
                      struct evlog_failure *failure)
{
    struct el_msg_ext_release_key_request request;
    struct el_msg_ext_release_key_response response;
    struct el_call call;
    char what[WHAT_LEN];
    el_schema_init(&el_schema_ext_release_key_request, &request);
    request.group = el_slice_str(group);
    request.topic = el_slice_str(topic);
    request.partition = partition;
    struct el_evlog_ask ask = {
        .api = EL_API_ReleaseKey, .request = &request, .code_of = go_on_code, .cannot = "halt partitions"};
    (void)snprintf(what, sizeof what, "work group %.200s, topic %.250s", group, topic);
    int rc = el_evlog_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    if (response.error == EL_KAFKA_RESOURCE_NOT_FOUND) {
        rc = el_fail(failure, EVLOG_ERR_NOT_FOUND, "%s: no partition halts", what);
    } else if (response.error != 0) {
        rc = el_fail_kafka(failure, response.error, response.message, what);
        el_fail_right(failure, "read group", group);
        el_fail_right(failure, "read topic", topic);
    }
    el_call_free(&call);
    return rc;
}
