/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeAcls: the rules that a filter fits, those of one resource next to each other.
 */
#include <api/access_call.h>
#include <wire/msg_describe_acls.h>

struct describe_call {
    struct api *api;
    struct request *request;
    struct el_msg_describe_acls_response response;
    uint32_t rule_count, resource_count; /* counted in the first round */
    struct el_msg_describe_acls_rule *rules;
    struct auth_rule last; /* of the rule before */
    bool counting, any;
};

static bool same_resource(const struct auth_rule *a, const struct auth_rule *b)
{
    return a->resource == b->resource && a->pattern == b->pattern && el_slice_eq(a->name, b->name);
}

/* The rules of one resource come one after the other; texts stay where they are until the answer is encoded, which is
 * at once. */
static bool rule_found(void *arg, const struct auth_rule *rule)
{
    struct describe_call *call = arg;
    bool first = !call->any || !same_resource(&call->last, rule);
    call->any = true;
    call->last = *rule;
    if (call->counting) {
        call->rule_count++;
        call->resource_count += first;
        return true;
    }
    if (first) {
        struct el_msg_describe_acls_resource *next = &call->response.resources[call->response.resource_count++];
        next->resource_type = (int8_t)rule->resource;
        next->resource_name = rule->name;
        next->pattern_type = (int8_t)rule->pattern;
        next->acls = call->rules;
    }
    struct el_msg_describe_acls_resource *resource = &call->response.resources[call->response.resource_count - 1];
    struct el_msg_describe_acls_rule *out = call->rules++;
    resource->acl_count++;
    out->principal = rule->principal;
    out->host = rule->host;
    out->operation = (int8_t)rule->operation;
    out->permission_type = (int8_t)rule->permission;
    return true;
}

void api_describe_acls(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_describe_acls_request *ask = message;
    struct describe_call call = {.api = api, .request = request, .counting = true};
    el_schema_init(&el_schema_describe_acls_response, &call.response);
    struct auth_rule filter = {
        .resource = ask->resource_type_filter,
        .pattern = ask->pattern_type_filter,
        .operation = ask->operation,
        .permission = ask->permission_type,
        .name = ask->resource_name_filter,
        .principal = ask->principal_filter,
        .host = ask->host_filter,
    };
    const char *why = NULL;
    call.response.error_code = access_rules_enabled(api, &why);
    if (call.response.error_code == EL_KAFKA_NONE && auth_filter_check(&filter, &why) != 0) {
        call.response.error_code = EL_KAFKA_INVALID_REQUEST;
    }
    if (call.response.error_code != EL_KAFKA_NONE) {
        call.response.error_message = el_slice_str(why);
        request_reply(request, &el_schema_describe_acls_response, &call.response);
        return;
    }
    auth_rules_each(api->auth, &filter, rule_found, &call);
    call.response.resources = api_new(api, request, &el_schema_describe_acls_resource, call.resource_count);
    if (call.response.resources == NULL) {
        return;
    }
    call.rules = api_new(api, request, &el_schema_describe_acls_rule, call.rule_count);
    if (call.rules == NULL) {
        return;
    }
    call.counting = call.any = false;
    auth_rules_each(api->auth, &filter, rule_found, &call);
    EL_ASSERT(call.response.resource_count == call.resource_count);
    request_reply(request, &el_schema_describe_acls_response, &call.response);
}
