/* SPDX-License-Identifier: Apache-2.0
 *
 * Access rules: list, add, remove, and which of them decides. Blocking, any thread.
 */
#include "acl_decide.h"
#include "admin_change.h"
#include "admin_list.h"
#include "fail.h"

#include <core/acl.h>
#include <core/alloc.h>
#include <evlog/admin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wire/error_code.h>
#include <wire/msg_create_acls.h>
#include <wire/msg_delete_acls.h>
#include <wire/msg_describe_acls.h>

EL_STATIC_ASSERT(EVLOG_ACL_ANY == EL_ACL_OP_ANY && EVLOG_ACL_ANY == EL_ACL_RESOURCE_ANY &&
                     EVLOG_ACL_ANY == EL_ACL_PATTERN_ANY && EVLOG_ACL_ANY == EL_ACL_PERMISSION_ANY,
                 "numbers of the header are those of the wire");
EL_STATIC_ASSERT(EVLOG_ACL_ALL == EL_ACL_OP_ALL && EVLOG_ACL_IDEMPOTENT_WRITE == EL_ACL_OP_IDEMPOTENT_WRITE &&
                     EVLOG_ACL_TRANSACTIONAL_ID == EL_ACL_RESOURCE_TRANSACTIONAL_ID &&
                     EVLOG_ACL_PREFIXED == EL_ACL_PATTERN_PREFIXED && EVLOG_ACL_ALLOW == EL_ACL_PERMISSION_ALLOW,
                 "as above");

struct answer_object {
    struct evlog_acl_answer answer;
    struct evlog_acl_list *rules; /* the answer points into it; NULL none */
};

/* --- names -------------------------------------------------------------------------------------------------------- */

const char *evlog_acl_operation_name(int operation)
{
    return el_acl_operation_name(operation);
}

const char *evlog_acl_resource_name(int resource)
{
    return el_acl_resource_name(resource);
}

const char *evlog_acl_pattern_name(int pattern)
{
    return el_acl_pattern_name(pattern);
}

const char *evlog_acl_permission_name(int permission)
{
    return el_acl_permission_name(permission);
}

int evlog_acl_operation_of(const char *name)
{
    return el_acl_operation_of(el_slice_str(name));
}

int evlog_acl_resource_of(const char *name)
{
    return el_acl_resource_of(el_slice_str(name));
}

/* --- list --------------------------------------------------------------------------------------------------------- */

static int order(const void *a_, const void *b_)
{
    const struct evlog_acl *a = a_, *b = b_;
    const int pairs[][2] = {
        {strcmp(a->principal, b->principal), 0}, {a->resource, b->resource},
        {strcmp(a->name, b->name), 0},           {a->pattern, b->pattern},
        {a->permission, b->permission},          {a->operation, b->operation},
        {strcmp(a->host, b->host), 0},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i][0] != pairs[i][1]) {
            return pairs[i][0] < pairs[i][1] ? -1 : 1;
        }
    }
    return 0;
}

static char *copy(struct el_arena *arena, struct el_slice text)
{
    return el_arena_strndup(arena, text.data == NULL ? (const uint8_t *)"" : text.data, text.len);
}

static int fill_list(void *list, struct el_arena *arena, const void *response_)
{
    const struct el_msg_describe_acls_response *response = response_;
    size_t count = 0, at = 0;
    for (uint32_t i = 0; i < response->resource_count; i++) {
        count += response->resources[i].acl_count;
    }
    struct evlog_acl *acls = el_arena_zalloc(arena, (count + 1) * sizeof *acls);
    for (uint32_t i = 0; acls != NULL && i < response->resource_count; i++) {
        const struct el_msg_describe_acls_resource *resource = &response->resources[i];
        const char *name = copy(arena, resource->resource_name);
        for (uint32_t k = 0; k < resource->acl_count; k++, at++) {
            const struct el_msg_describe_acls_rule *rule = &resource->acls[k];
            acls[at] = (struct evlog_acl){
                .principal = copy(arena, rule->principal),
                .host = copy(arena, rule->host),
                .operation = rule->operation,
                .permission = rule->permission_type,
                .resource = resource->resource_type,
                .pattern = resource->pattern_type,
                .name = name,
            };
            if (name == NULL || acls[at].principal == NULL || acls[at].host == NULL) {
                return EVLOG_ERR_NO_MEMORY;
            }
        }
    }
    if (acls == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    qsort(acls, count, sizeof *acls, order);
    *(struct evlog_acl_list *)list = (struct evlog_acl_list){acls, count};
    return 0;
}

int evlog_acl_list(struct evlog_client *client, const struct evlog_acl *filter, struct evlog_acl_list **list,
                   struct evlog_failure *failure)
{
    static const struct evlog_acl all = EVLOG_ACL_FILTER_INIT;
    struct el_msg_describe_acls_request request;
    struct el_msg_describe_acls_response response;
    struct el_call call;
    filter = filter == NULL ? &all : filter;
    el_schema_init(&el_schema_describe_acls_request, &request);
    request.resource_type_filter = (int8_t)filter->resource;
    request.resource_name_filter = el_slice_str(filter->name);
    request.pattern_type_filter = (int8_t)filter->pattern;
    request.principal_filter = el_slice_str(filter->principal);
    request.host_filter = el_slice_str(filter->host);
    request.operation = (int8_t)filter->operation;
    request.permission_type = (int8_t)filter->permission;
    int rc = el_look(client, EL_API_DescribeAcls, &request, NULL, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    if (response.error_code != 0) {
        rc = el_fail_kafka(failure, response.error_code, response.error_message, "list rules");
        el_fail_right(failure, "describe cluster", NULL);
    }
    struct evlog_acl_list *made = rc != 0 ? NULL : el_list_make(sizeof *made, fill_list, &response, "rules", failure);
    el_call_free(&call);
    if (made != NULL) {
        *list = made;
    }
    return rc == 0 && made == NULL ? EVLOG_ERR_NO_MEMORY : rc;
}

void evlog_acl_list_free(struct evlog_acl_list *list)
{
    el_list_free(list);
}

/* --- change ------------------------------------------------------------------------------------------------------- */

static int check_count(size_t count, struct evlog_failure *failure)
{
    if (count == 0 || count > EVLOG_ACL_COUNT_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "one change has 1 to %d rules", EVLOG_ACL_COUNT_MAX);
    }
    return 0;
}

static int add_outcome(const void *response_, void *arg, struct el_slice *message)
{
    const struct el_msg_create_acls_response *response = response_;
    const size_t *count = arg;
    if (response->result_count != *count) {
        return EL_KAFKA_UNKNOWN_SERVER_ERROR;
    }
    for (uint32_t i = 0; i < response->result_count; i++) {
        if (response->results[i].error_code != 0) {
            *message = response->results[i].error_message;
            return response->results[i].error_code;
        }
    }
    return 0;
}

int evlog_acl_add(struct evlog_client *client, const struct evlog_acl *acls, size_t count,
                  struct evlog_failure *failure)
{
    struct el_msg_create_acls_request request;
    struct el_msg_create_acls_response response;
    struct el_arena arena;
    int rc = check_count(count, failure);
    if (rc != 0) {
        return rc;
    }
    el_arena_init(&arena, NULL, 0);
    el_schema_init(&el_schema_create_acls_request, &request);
    request.creations = el_schema_new(&el_schema_create_acls_creation, &arena, (uint32_t)count);
    if (request.creations == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to add rules");
    }
    request.creation_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct el_msg_create_acls_creation *out = &request.creations[i];
        out->resource_type = (int8_t)acls[i].resource;
        out->resource_name = el_slice_str(acls[i].name);
        out->resource_pattern_type = (int8_t)acls[i].pattern;
        out->principal = el_slice_str(acls[i].principal);
        out->host = el_slice_str(acls[i].host);
        out->operation = (int8_t)acls[i].operation;
        out->permission_type = (int8_t)acls[i].permission;
    }
    struct el_change change = {
        client, EL_API_CreateAcls, INT16_MAX, &request, &response, add_outcome, &count, "add rules",
    };
    rc = el_change_make(&change, failure);
    el_fail_right(failure, "alter cluster", NULL);
    el_arena_reset(&arena);
    return rc;
}

static int remove_outcome(const void *response_, void *arg, struct el_slice *message)
{
    const struct el_msg_delete_acls_response *response = response_;
    size_t *removed_count = arg;
    *removed_count = 0;
    for (uint32_t i = 0; i < response->filter_result_count; i++) {
        const struct el_msg_delete_acls_result *result = &response->filter_results[i];
        int code = result->error_code;
        *message = result->error_message;
        for (uint32_t k = 0; code == 0 && k < result->matching_acl_count; k++) {
            code = result->matching_acls[k].error_code;
            *message = result->matching_acls[k].error_message;
            *removed_count += code == 0;
        }
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

int evlog_acl_remove(struct evlog_client *client, const struct evlog_acl *filters, size_t count, size_t *removed_count,
                     struct evlog_failure *failure)
{
    struct el_msg_delete_acls_request request;
    struct el_msg_delete_acls_response response;
    struct el_arena arena;
    size_t removed = 0;
    int rc = check_count(count, failure);
    if (rc != 0) {
        return rc;
    }
    el_arena_init(&arena, NULL, 0);
    el_schema_init(&el_schema_delete_acls_request, &request);
    request.filters = el_schema_new(&el_schema_delete_acls_filter, &arena, (uint32_t)count);
    if (request.filters == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to remove rules");
    }
    request.filter_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct el_msg_delete_acls_filter *out = &request.filters[i];
        out->resource_type_filter = (int8_t)filters[i].resource;
        out->resource_name_filter = el_slice_str(filters[i].name);
        out->pattern_type_filter = (int8_t)filters[i].pattern;
        out->principal_filter = el_slice_str(filters[i].principal);
        out->host_filter = el_slice_str(filters[i].host);
        out->operation = (int8_t)filters[i].operation;
        out->permission_type = (int8_t)filters[i].permission;
    }
    struct el_change change = {
        client, EL_API_DeleteAcls, INT16_MAX, &request, &response, remove_outcome, &removed, "remove rules",
    };
    rc = el_change_make(&change, failure);
    el_fail_right(failure, "alter cluster", NULL);
    el_arena_reset(&arena);
    if (rc == 0 && removed_count != NULL) {
        *removed_count = removed;
    }
    return rc;
}

/* --- which rule decides ------------------------------------------------------------------------------------------- */

/* The broker's settings about rights, as far as this client may see them. */
static int take_settings(struct evlog_client *client, const char *principal, struct acl_settings *settings,
                         struct evlog_failure *failure)
{
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    struct evlog_setting_list *list;
    *settings = (struct acl_settings){.enabled = true};
    int rc = evlog_broker_settings(client, &list, &why);
    if (rc == EVLOG_ERR_CLUSTER_DENIED) {
        return 0;
    }
    if (rc != 0) {
        return el_fail_copy(failure, &why);
    }
    settings->known = true;
    for (size_t i = 0; i < list->setting_count; i++) {
        const char *key = list->settings[i].key, *value = list->settings[i].value;
        if (value != NULL && strcmp(key, "super.users") == 0) {
            settings->is_super = acl_names(value, principal);
        } else if (value != NULL && strcmp(key, "allow.everyone.if.no.acl.found") == 0) {
            settings->allow_if_none = strcmp(value, "true") == 0;
        }
    }
    evlog_setting_list_free(list);
    return 0;
}

static int check_question(const struct evlog_acl_question *question, struct evlog_failure *failure)
{
    if (question->principal == NULL || (question->name == NULL && question->resource != EVLOG_ACL_CLUSTER)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a question names a principal and a resource");
    }
    if (question->operation < 0 || question->operation >= EL_ACL_OP_COUNT ||
        (el_acl_operations_of(question->resource) & 1u << question->operation) == 0) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "nobody does %s to a %s",
                       el_acl_operation_name(question->operation), el_acl_resource_name(question->resource));
    }
    return 0;
}

int evlog_acl_explain(struct evlog_client *client, const struct evlog_acl_question *given,
                      struct evlog_acl_answer **answer, struct evlog_failure *failure)
{
    struct evlog_acl_question question = EVLOG_ACL_QUESTION_INIT;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    struct acl_settings settings;
    if (given == NULL || !EL_OPTIONS_TAKE(&question, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the question was not initialised");
    }
    int rc = check_question(&question, failure);
    if (rc == 0) {
        rc = take_settings(client, question.principal, &settings, failure);
    }
    struct answer_object *object = rc != 0 ? NULL : el_calloc(1, sizeof *object);
    if (rc == 0 && object == NULL) {
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an answer");
    }
    if (rc != 0) {
        return rc;
    }
    struct evlog_acl filter = EVLOG_ACL_FILTER_INIT;
    filter.resource = question.resource;
    filter.pattern = EVLOG_ACL_MATCH;
    filter.name = question.resource == EVLOG_ACL_CLUSTER ? EL_ACL_CLUSTER_NAME : question.name;
    rc = evlog_acl_list(client, &filter, &object->rules, &why);
    if (rc != 0 && why.kafka_code == EL_KAFKA_SECURITY_DISABLED) {
        settings.enabled = false;
        rc = 0;
    }
    if (rc == 0) {
        struct evlog_acl *acls = object->rules == NULL ? NULL : (struct evlog_acl *)(uintptr_t)object->rules->acls;
        acl_decide(&question, &settings, acls, object->rules == NULL ? 0 : object->rules->acl_count, &object->answer);
        *answer = &object->answer;
        return 0;
    }
    evlog_acl_answer_free(&object->answer);
    return el_fail_copy(failure, &why);
}

void evlog_acl_answer_free(struct evlog_acl_answer *answer)
{
    if (answer != NULL) {
        struct answer_object *object = EL_CONTAINER(answer, struct answer_object, answer);
        evlog_acl_list_free(object->rules);
        el_free(object);
    }
}
