/* SPDX-License-Identifier: Apache-2.0
 *
 * See allow.h. With the authorizer off everything is allowed but one thing: no client reads the topic of users and
 * rules.
 *
 * Topics of evlog itself ask for ClusterAction on the cluster beside what any topic asks for: a rule for "*" is meant
 * for the topics that people make.
 */
#include <api/api.h>
#include <core/logger.h>

#define OWN_PREFIX "__evlog"
#define LOG_INTERVAL_NS 1000000000u

#define X(NAME, stem, key, list_min, list_max, accept_min, flexible_from, body, operation, audit) API_RULE_##operation,
static const struct api_rule api_rules[] = {
#include <wire/api.def>
};
#undef X
EL_STATIC_ASSERT(sizeof api_rules / sizeof api_rules[0] == EL_API_COUNT, "a rule for every API that is listed");

const struct api_rule *api_rule_of(const struct request *request)
{
    EL_ASSERT(request->api != NULL);
    size_t index = (size_t)(request->api - el_api_at(0));
    EL_ASSERT(index < EL_API_COUNT);
    return &api_rules[index];
}

/* --- the question ------------------------------------------------------------------------------------------------- */

static bool starts_with(struct el_slice name, const char *prefix)
{
    size_t len = strlen(prefix);
    return name.len >= len && memcmp(name.data, prefix, len) == 0;
}

/* Auditors read the audit log by a rule that names it: one for "*" is not meant for them. */
static bool may_audit(struct api *api, const struct auth_caller *caller, int operation, struct el_slice name)
{
    bool reads = operation == EL_ACL_OP_READ || operation == EL_ACL_OP_DESCRIBE;
    return reads && el_slice_eq(name, el_slice_str(AUDIT_TOPIC)) &&
           auth_named(api->auth, caller, operation, EL_ACL_RESOURCE_TOPIC, name);
}

bool api_could(struct api *api, const struct request *request, int operation, int resource, struct el_slice name)
{
    operation = operation == 0 ? api_rule_of(request)->operation : operation;
    if (request->unrecorded) {
        return false;
    }
    if (resource == EL_ACL_RESOURCE_TOPIC && operation == EL_ACL_OP_READ &&
        el_slice_eq(name, el_slice_str(ACCESS_TOPIC))) {
        return false;
    }
    if (api->auth == NULL || !api->auth->enabled) {
        return true;
    }
    struct auth_caller caller;
    request_caller(request, &caller);
    if (resource == EL_ACL_RESOURCE_TOPIC && starts_with(name, OWN_PREFIX) &&
        !auth_allowed(api->auth, &caller, EL_ACL_OP_CLUSTER_ACTION, EL_ACL_RESOURCE_CLUSTER, name)) {
        return may_audit(api, &caller, operation, name);
    }
    return auth_allowed(api->auth, &caller, operation, resource, name);
}

static void tell(struct api *api, const struct request *request, int operation, int resource, struct el_slice name)
{
    if (request->on_reply != NULL && request->unrecorded) {
        return; /* refused for another reason */
    }
    metrics_add(api->metrics, METRIC_DENIED, 1);
    api_audit_denied(api, request, operation, resource, name);
    if (api->denied_log_ns != 0 && api->io->now_ns - api->denied_log_ns < LOG_INTERVAL_NS) {
        return;
    }
    api->denied_log_ns = api->io->now_ns;
    struct auth_caller caller;
    request_caller(request, &caller);
    el_log(EL_LOG_WARN, "auth", "%.*s from %.*s: %s denied: no right to %s %s %.*s", (int)caller.principal.len,
           (const char *)caller.principal.data, (int)caller.host.len, (const char *)caller.host.data,
           request->api->name, el_acl_operation_name(operation), el_acl_resource_name(resource),
           (int)EL_MIN(name.len, (size_t)AUTH_NAME_LEN_MAX), name.data == NULL ? "" : (const char *)name.data);
}

bool api_may(struct api *api, const struct request *request, int operation, int resource, struct el_slice name)
{
    bool may = api_could(api, request, operation, resource, name);
    if (!may) {
        tell(api, request, operation == 0 ? api_rule_of(request)->operation : operation, resource, name);
    }
    return may;
}

int32_t api_operations(struct api *api, const struct request *request, int resource, struct el_slice name)
{
    uint32_t known = el_acl_operations_of(resource);
    if (api->auth == NULL) {
        return (int32_t)known;
    }
    struct auth_caller caller;
    request_caller(request, &caller);
    return (int32_t)auth_operations(api->auth, &caller, resource, name);
}

bool api_could_somewhere(struct api *api, const struct request *request, int operation, int resource)
{
    struct auth_caller caller;
    if (api->auth == NULL) {
        return true;
    }
    request_caller(request, &caller);
    return auth_allowed_somewhere(api->auth, &caller, operation, resource);
}

/* --- topics ------------------------------------------------------------------------------------------------------- */

static int topic_operation(const struct request *request)
{
    int operation = api_rule_of(request)->topic_operation;
    EL_ASSERT(operation != EL_ACL_OP_UNKNOWN);
    return operation;
}

const struct topic *api_topic_for(struct api *api, const struct request *request, int operation, struct el_slice name,
                                  int *error)
{
    if (operation != EL_ACL_OP_ANY && !api_may(api, request, operation, EL_ACL_RESOURCE_TOPIC, name)) {
        *error = EVLOG_ERR_TOPIC_DENIED;
        return NULL;
    }
    const struct topic *topic = name.len == 0 ? NULL : store_topic_by_name(api->shard, name);
    *error = topic == NULL ? EVLOG_ERR_UNKNOWN_TOPIC : 0;
    if (topic != NULL) {
        api_audit_access(api, request, operation, topic);
    }
    return topic;
}

const struct topic *api_topic(struct api *api, const struct request *request, struct el_slice name,
                              const struct el_uuid *id, int *error)
{
    int operation = topic_operation(request);
    if (id == NULL || el_uuid_is_zero(id)) {
        return api_topic_for(api, request, operation, name, error);
    }
    const struct topic *topic = store_topic_by_id(api->shard, id);
    *error = topic == NULL ? EVLOG_ERR_UNKNOWN_TOPIC_ID : 0;
    if (topic != NULL && operation != EL_ACL_OP_ANY &&
        !api_may(api, request, operation, EL_ACL_RESOURCE_TOPIC, el_slice_of(topic->name, topic->name_len))) {
        *error = EVLOG_ERR_TOPIC_DENIED;
        return NULL;
    }
    if (topic != NULL) {
        api_audit_access(api, request, operation, topic);
    }
    return topic;
}

const struct topic *api_topic_shown(struct api *api, const struct request *request, uint32_t index)
{
    const struct topic *topic = store_topic_at(api->shard, index);
    struct el_slice name = el_slice_of(topic->name, topic->name_len);
    int operation = topic_operation(request);
    bool shown = operation == EL_ACL_OP_ANY || api_could(api, request, operation, EL_ACL_RESOURCE_TOPIC, name);
    return shown ? topic : NULL;
}

bool api_config_right(struct api *api, const struct request *request, int8_t config_resource, struct el_slice name)
{
    switch (config_resource) {
    case API_RESOURCE_TOPIC:
        return true;
    case API_RESOURCE_GROUP:
        return api_may(api, request, 0, EL_ACL_RESOURCE_GROUP, name);
    default:
        return api_may(api, request, 0, EL_ACL_RESOURCE_CLUSTER, el_slice_str(EL_ACL_CLUSTER_NAME));
    }
}

/* --- the whole request -------------------------------------------------------------------------------------------- */

static const struct el_field *field_of(const struct el_schema *schema, const char *name)
{
    for (uint16_t i = 0; i < schema->field_count; i++) {
        if (strcmp(schema->fields[i].name, name) == 0) {
            return &schema->fields[i];
        }
    }
    return NULL;
}

/* The one group that a request is about, whatever its layout calls it. */
static struct el_slice group_of(const struct request *request, const void *message)
{
    const struct el_schema *schema = request->api->schema[EL_SIDE_REQUEST];
    const struct el_field *field = field_of(schema, request->api->body == EL_BODY_CBOR ? "group" : "group_id");
    EL_ASSERT(field != NULL);
    EL_ASSERT(field->type == EL_TYPE_STRING);
    EL_ASSERT(!field->array);
    return *(const struct el_slice *)(const void *)((const uint8_t *)message + field->offset);
}

int api_rule_ask(struct api *api, const struct request *request, const void *message)
{
    const struct api_rule *rule = api_rule_of(request);
    if (rule->scope != API_SCOPE_WHOLE || api->auth == NULL || !api->auth->enabled) {
        return 0;
    }
    if (rule->resource == EL_ACL_RESOURCE_CLUSTER) {
        return api_may(api, request, 0, rule->resource, el_slice_str(EL_ACL_CLUSTER_NAME)) ? 0
                                                                                           : EVLOG_ERR_CLUSTER_DENIED;
    }
    EL_ASSERT(rule->resource == EL_ACL_RESOURCE_GROUP);
    return api_may(api, request, 0, rule->resource, group_of(request, message)) ? 0 : EVLOG_ERR_GROUP_DENIED;
}

void api_rule_refuse(struct api *api, struct request *request, int error)
{
    const struct el_schema *schema = request->api->schema[EL_SIDE_RESPONSE];
    bool cbor = request->api->body == EL_BODY_CBOR;
    const struct el_field *code = field_of(schema, cbor ? "error" : "error_code");
    const struct el_field *text = field_of(schema, cbor ? "message" : "error_message");
    uint32_t version = 1u << request->api_version;
    uint8_t *response = api_new(api, request, schema, 1);
    if (response == NULL) {
        return;
    }
    /* Old versions of a few answers have no place for it and are empty then, as Kafka's are. */
    if (code != NULL && (code->versions & version) != 0) {
        EL_ASSERT(code->type == EL_TYPE_INT16);
        *(int16_t *)(void *)(response + code->offset) = api_error(error, false);
    }
    if (text != NULL && (text->versions & version) != 0 && text->type == EL_TYPE_STRING) {
        *(struct el_slice *)(void *)(response + text->offset) = api_error_message(error);
    }
    api_count_refusal(api, error);
    request_reply(request, schema, response);
}
