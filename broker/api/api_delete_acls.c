/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteAcls: each filter is held against this shard's rules, which are those of the node; what they find is removed in
 * one change. A rule that two filters find is told for both.
 */
#include <api/access_call.h>
#include <api/audit_before.h>
#include <wire/msg_delete_acls.h>

struct delete_call {
    struct access_call change;
    const struct el_msg_delete_acls_request *ask;
    struct el_msg_delete_acls_result *results; /* [filter_count] */
    struct el_msg_delete_acls_result *at;      /* while rules are found */
    bool counting;                             /* the same: the first time round */
    int error;
};

static void tell_before(struct request *request, const struct el_msg_delete_acls_rule *rule)
{
    audit_before_rule(request, &(struct auth_rule){.resource = rule->resource_type,
                                                   .pattern = rule->pattern_type,
                                                   .operation = rule->operation,
                                                   .permission = rule->permission_type,
                                                   .name = rule->resource_name,
                                                   .principal = rule->principal,
                                                   .host = rule->host});
}

static void delete_finish(struct access_call *change)
{
    struct delete_call *call = EL_CONTAINER(change, struct delete_call, change);
    struct el_msg_delete_acls_response response;
    el_schema_init(&el_schema_delete_acls_response, &response);
    response.filter_results = call->results;
    response.filter_result_count = call->ask->filter_count;
    for (uint32_t i = 0; i < response.filter_result_count; i++) {
        struct el_msg_delete_acls_result *out = &call->results[i];
        for (uint32_t k = 0; k < out->matching_acl_count; k++) {
            if (change->op.error == 0) {
                tell_before(change->request, &out->matching_acls[k]);
                continue;
            }
            out->matching_acls[k].error_code = access_error(change->op.error);
            out->matching_acls[k].error_message = access_error_message(change->op.error);
        }
    }
    request_reply(change->request, &el_schema_delete_acls_response, &response);
}

static struct el_slice copy(struct delete_call *call, struct el_slice text)
{
    char *out = el_arena_strndup(&call->change.request->arena, (const char *)text.data, text.len);
    call->error = out == NULL ? EVLOG_ERR_NO_MEMORY : call->error;
    return el_slice_of(out, out == NULL ? 0 : text.len);
}

/* Count the rules of a filter, then take them down: they may change before the answer is built. */
static bool rule_found(void *arg, const struct auth_rule *rule)
{
    struct delete_call *call = arg;
    if (call->counting) {
        call->at->matching_acl_count++;
        return true;
    }
    struct el_msg_delete_acls_rule *out = &call->at->matching_acls[call->at->matching_acl_count++];
    out->resource_type = (int8_t)rule->resource;
    out->pattern_type = (int8_t)rule->pattern;
    out->operation = (int8_t)rule->operation;
    out->permission_type = (int8_t)rule->permission;
    out->resource_name = copy(call, rule->name);
    out->principal = copy(call, rule->principal);
    out->host = copy(call, rule->host);
    if (call->error == 0) {
        call->error = access_call_put_rule(&call->change, rule, true);
    }
    return call->error == 0;
}

static void filter_refuse(struct el_msg_delete_acls_result *out, int16_t code, const char *why)
{
    out->error_code = code;
    out->error_message = el_slice_str(why);
    out->matching_acls = EL_EMPTY;
    out->matching_acl_count = 0;
}

/* returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_LIMIT */
static int filter_run(struct delete_call *call, const struct auth_rule *filter, struct el_msg_delete_acls_result *out)
{
    struct request *request = call->change.request;
    call->at = out;
    call->counting = true;
    auth_rules_each(call->change.api->auth, filter, rule_found, call);
    call->counting = false;
    out->matching_acls = el_schema_new(&el_schema_delete_acls_rule, &request->arena, out->matching_acl_count);
    out->matching_acl_count = 0;
    if (out->matching_acls == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    auth_rules_each(call->change.api->auth, filter, rule_found, call);
    return call->error;
}

static struct auth_rule filter_of(const struct el_msg_delete_acls_filter *ask)
{
    return (struct auth_rule){
        .resource = ask->resource_type_filter,
        .pattern = ask->pattern_type_filter,
        .operation = ask->operation,
        .permission = ask->permission_type,
        .name = ask->resource_name_filter,
        .principal = ask->principal_filter,
        .host = ask->host_filter,
    };
}

void api_delete_acls(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_delete_acls_request *ask = message;
    struct delete_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL || !access_call_init(&call->change, api, request, ACCESS_RECORDS_MAX, delete_finish)) {
        return;
    }
    call->ask = ask;
    call->results = api_new(api, request, &el_schema_delete_acls_result, ask->filter_count);
    if (call->results == NULL) {
        return;
    }
    const char *why = NULL;
    int16_t code = access_rules_enabled(api, &why);
    if (code == EL_KAFKA_NONE &&
        !api_may(api, request, 0, EL_ACL_RESOURCE_CLUSTER, el_slice_str(EL_ACL_CLUSTER_NAME))) {
        code = api_error(EVLOG_ERR_CLUSTER_DENIED, false);
        why = evlog_error_text(EVLOG_ERR_CLUSTER_DENIED);
    }
    for (uint32_t i = 0; i < ask->filter_count; i++) {
        struct auth_rule filter = filter_of(&ask->filters[i]);
        if (code != EL_KAFKA_NONE) {
            filter_refuse(&call->results[i], code, why);
        } else if (auth_filter_check(&filter, &why) != 0) {
            filter_refuse(&call->results[i], EL_KAFKA_INVALID_REQUEST, why);
        } else if (call->error == 0 && filter_run(call, &filter, &call->results[i]) == EVLOG_ERR_NO_MEMORY) {
            api_refuse_memory(api, request);
            return;
        }
    }
    if (call->error == EVLOG_ERR_LIMIT) {
        call->change.record_count = 0; /* nothing is removed by halves */
        for (uint32_t i = 0; i < ask->filter_count; i++) {
            filter_refuse(&call->results[i], EL_KAFKA_INVALID_REQUEST,
                          "the filters find more than 1000 rules: remove them in several requests");
        }
    }
    access_call_start(&call->change);
}
