/* SPDX-License-Identifier: Apache-2.0
 *
 * Topics: create, change, grow, remove. Reading about them is in admin_describe.c. Blocking, any thread.
 */
#include "admin_change.h"
#include "admin_settings.h"
#include "fail.h"

#include <core/limits.h>
#include <evlog/admin.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_create_partitions.h>
#include <wire/msg_create_topics.h>
#include <wire/msg_delete_topics.h>

#define SETTING_COUNT_MAX 1000

/* "not there" says it in the same words whoever found it out. */
static int check_name(const char *name, struct evlog_failure *failure)
{
    size_t len = name == NULL ? 0 : strlen(name);
    if (len == 0 || len > EL_TOPIC_NAME_MAX) {
        return el_fail(failure, EVLOG_ERR_INVALID_TOPIC, "a topic's name has 1 to %d characters", EL_TOPIC_NAME_MAX);
    }
    return 0;
}

static int name_unknown(const char *name, int code, struct evlog_failure *failure)
{
    if (code == EVLOG_ERR_UNKNOWN_TOPIC) {
        return el_fail(failure, code, "topic %s is not there", name);
    }
    return code;
}

static int32_t timeout_ms(const struct evlog_client *client)
{
    return (int32_t)client->cfg.request_timeout_ms;
}

/* --- create ----------------------------------------------------------------------------------------------------- */

static int create_outcome(const void *response_, void *arg, struct el_slice *message)
{
    const struct el_msg_create_topics_response *response = response_;
    if (response->topic_count != 1) {
        return EL_KAFKA_UNKNOWN_SERVER_ERROR;
    }
    *message = response->topics[0].error_message;
    return response->topics[0].error_code;
}

static int create(struct evlog_client *client, const struct evlog_topic_create_options *options, struct el_arena *arena,
                  struct evlog_failure *failure)
{
    struct el_msg_create_topics_request request;
    struct el_msg_create_topics_response response;
    struct el_msg_create_topics_topic topic;
    el_schema_init(&el_schema_create_topics_request, &request);
    el_schema_init(&el_schema_create_topics_topic, &topic);
    topic.name = el_slice_str(options->name);
    topic.num_partitions = options->partition_count;
    topic.replication_factor = options->replication_factor;
    topic.configs = el_schema_new(&el_schema_create_topics_config, arena, (uint32_t)options->setting_count);
    if (topic.configs == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to create topic %s", options->name);
    }
    topic.config_count = (uint32_t)options->setting_count;
    for (uint32_t i = 0; i < topic.config_count; i++) {
        topic.configs[i].name = el_slice_str(options->settings[i].key);
        topic.configs[i].value = el_slice_str(options->settings[i].value);
    }
    request.topics = &topic;
    request.topic_count = 1;
    request.timeout_ms = timeout_ms(client);
    request.validate_only = options->validate_only;
    char what[EL_TOPIC_NAME_MAX + 32];
    (void)snprintf(what, sizeof what, "create topic %s", options->name);
    struct el_change change = {client, EL_API_CreateTopics, INT16_MAX, &request, &response, create_outcome, NULL, what};
    int rc = el_change_make(&change, failure);
    el_fail_right(failure, "create topic", options->name);
    return rc;
}

int evlog_topic_create(struct evlog_client *client, const struct evlog_topic_create_options *given,
                       struct evlog_failure *failure)
{
    struct evlog_topic_create_options full = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    const struct evlog_topic_create_options *options = &full;
    if (!EL_OPTIONS_TAKE(&full, given) || options->setting_count > SETTING_COUNT_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    int rc = check_name(options->name, failure);
    if (rc != 0) {
        return rc;
    }
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    rc = create(client, options, &arena, failure);
    el_arena_reset(&arena);
    if (rc != 0 || options->validate_only) {
        return rc;
    }
    /* The broker that answers next may not have heard yet: "create" makes the question patient. */
    struct el_topic_ask ask = {
        .name = options->name,
        .create = true,
        .fresh = true,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
    };
    int32_t count;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    rc = el_cluster_topic(client, &ask, &count, &why);
    /* It is made, though who may make topics need not see them. */
    return rc == 0 || rc == EVLOG_ERR_TOPIC_DENIED ? 0 : el_fail_copy(failure, &why);
}

/* --- alter ------------------------------------------------------------------------------------------------------ */

int evlog_topic_alter(struct evlog_client *client, const char *name, const struct evlog_setting *changes,
                      size_t change_count, bool validate_only, struct evlog_failure *failure)
{
    struct el_settings_owner owner = {EL_RESOURCE_TOPIC, "topic", name};
    int rc = check_name(name, failure);
    if (rc == 0) {
        rc = el_settings_alter(client, &owner, changes, change_count, validate_only, failure);
    }
    return name_unknown(name, rc, failure);
}

/* --- grow ------------------------------------------------------------------------------------------------------- */

static int grow_outcome(const void *response_, void *arg, struct el_slice *message)
{
    const struct el_msg_create_partitions_response *response = response_;
    if (response->result_count != 1) {
        return EL_KAFKA_UNKNOWN_SERVER_ERROR;
    }
    *message = response->results[0].error_message;
    return response->results[0].error_code;
}

int evlog_topic_grow(struct evlog_client *client, const char *name, int32_t partition_count,
                     struct evlog_failure *failure)
{
    int rc = check_name(name, failure);
    if (rc != 0) {
        return rc;
    }
    struct el_msg_create_partitions_request request;
    struct el_msg_create_partitions_response response;
    struct el_msg_create_partitions_topic topic;
    el_schema_init(&el_schema_create_partitions_request, &request);
    el_schema_init(&el_schema_create_partitions_topic, &topic);
    topic.name = el_slice_str(name);
    topic.count = partition_count;
    topic.assignments = NULL;
    request.topics = &topic;
    request.topic_count = 1;
    request.timeout_ms = timeout_ms(client);
    char what[EL_TOPIC_NAME_MAX + 32];
    (void)snprintf(what, sizeof what, "grow topic %s", name);
    struct el_change change = {client, EL_API_CreatePartitions, INT16_MAX, &request, &response, grow_outcome, NULL,
                               what};
    rc = el_change_make(&change, failure);
    el_fail_right(failure, "alter topic", name);
    el_cluster_forget(client, name);
    return name_unknown(name, rc, failure);
}

/* --- delete ----------------------------------------------------------------------------------------------------- */

static int delete_outcome(const void *response_, void *arg, struct el_slice *message)
{
    const struct el_msg_delete_topics_response *response = response_;
    if (response->response_count != 1) {
        return EL_KAFKA_UNKNOWN_SERVER_ERROR;
    }
    *message = response->responses[0].error_message;
    return response->responses[0].error_code;
}

int evlog_topic_delete(struct evlog_client *client, const char *name, struct evlog_failure *failure)
{
    int rc = check_name(name, failure);
    if (rc != 0) {
        return rc;
    }
    struct el_msg_delete_topics_request request;
    struct el_msg_delete_topics_response response;
    struct el_slice names = el_slice_str(name);
    el_schema_init(&el_schema_delete_topics_request, &request);
    request.topic_names = &names; /* version 6 would want ids or names in another place */
    request.topic_name_count = 1;
    request.timeout_ms = timeout_ms(client);
    char what[EL_TOPIC_NAME_MAX + 32];
    (void)snprintf(what, sizeof what, "remove topic %s", name);
    struct el_change change = {client, EL_API_DeleteTopics, 5, &request, &response, delete_outcome, NULL, what};
    rc = el_change_make(&change, failure);
    el_fail_right(failure, "delete topic", name);
    el_cluster_forget(client, name);
    return name_unknown(name, rc, failure);
}
