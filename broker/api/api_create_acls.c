/* SPDX-License-Identifier: Apache-2.0
 *
 * CreateAcls: rules that are sound are added together, and hold on every shard when the answer leaves; the others fail
 * alone. A rule that is there already is no error.
 */
#include <api/access_call.h>
#include <core/address.h>
#include <wire/msg_create_acls.h>

struct create_call {
    struct access_call change;
    const struct el_msg_create_acls_request *ask;
    int16_t *codes;       /* [creation_count] of those that were not tried, else 0 */
    const char **reasons; /* the same */
};

/* Rules that open something to everybody, whatever it is called: an alert looks at their number. */
static void count_wide(const struct create_call *call)
{
    for (uint32_t i = 0; i < call->ask->creation_count; i++) {
        const struct el_msg_create_acls_creation *rule = &call->ask->creations[i];
        bool whole = rule->resource_type == EL_ACL_RESOURCE_CLUSTER ||
                     el_slice_eq(rule->resource_name, el_slice_str("*"));
        if (call->change.op.error == 0 && call->codes[i] == EL_KAFKA_NONE && whole &&
            rule->permission_type == EL_ACL_PERMISSION_ALLOW && el_slice_eq(rule->principal, el_slice_str("User:*"))) {
            metrics_add(call->change.api->metrics, METRIC_WIDE_RULES, 1);
        }
    }
}

static void create_finish(struct access_call *change)
{
    struct create_call *call = EL_CONTAINER(change, struct create_call, change);
    struct el_msg_create_acls_response response;
    el_schema_init(&el_schema_create_acls_response, &response);
    uint32_t count = call->ask->creation_count;
    response.results = api_new(change->api, change->request, &el_schema_create_acls_result, count);
    if (response.results == NULL) {
        return;
    }
    response.result_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct el_msg_create_acls_result *out = &response.results[i];
        bool tried = call->codes[i] == EL_KAFKA_NONE;
        out->error_code = tried ? access_error(change->op.error) : call->codes[i];
        out->error_message = tried ? access_error_message(change->op.error) : el_slice_str(call->reasons[i]);
    }
    count_wide(call);
    request_reply(change->request, &el_schema_create_acls_response, &response);
}

static struct auth_rule rule_of(const struct el_msg_create_acls_creation *ask)
{
    return (struct auth_rule){
        .resource = ask->resource_type,
        .pattern = ask->resource_pattern_type,
        .operation = ask->operation,
        .permission = ask->permission_type,
        .name = ask->resource_name,
        .principal = ask->principal,
        .host = ask->host,
    };
}

static int16_t creation_take(struct create_call *call, uint32_t index, const char **why)
{
    char address[EL_ADDRESS_TEXT_MAX];
    struct auth_rule rule = rule_of(&call->ask->creations[index]);
    if (el_address_canonical(rule.host, address)) {
        rule.host = el_slice_str(address); /* as it will be compared with; Java writes IPv6 in another way */
    }
    if (auth_rule_check(&rule, why) != 0) {
        return EL_KAFKA_INVALID_REQUEST;
    }
    int code = access_call_put_rule(&call->change, &rule, false);
    *why = code == EVLOG_ERR_LIMIT ? "one request adds at most 1000 rules" : evlog_error_text(code);
    return code == EVLOG_ERR_LIMIT ? EL_KAFKA_INVALID_REQUEST : access_error(code);
}

void api_create_acls(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_create_acls_request *ask = message;
    struct create_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL || !access_call_init(&call->change, api, request, ask->creation_count, create_finish)) {
        return;
    }
    call->ask = ask;
    call->codes = api_alloc(api, request, ask->creation_count, sizeof *call->codes);
    call->reasons = call->codes == NULL ? NULL : api_alloc(api, request, ask->creation_count, sizeof *call->reasons);
    if (call->reasons == NULL) {
        return;
    }
    const char *why = NULL;
    int16_t code = access_rules_enabled(api, &why);
    if (code == EL_KAFKA_NONE &&
        !api_may(api, request, 0, EL_ACL_RESOURCE_CLUSTER, el_slice_str(EL_ACL_CLUSTER_NAME))) {
        code = api_error(EVLOG_ERR_CLUSTER_DENIED, false);
        why = evlog_error_text(EVLOG_ERR_CLUSTER_DENIED);
    }
    for (uint32_t i = 0; i < ask->creation_count; i++) {
        call->reasons[i] = why;
        call->codes[i] = code == EL_KAFKA_NONE ? creation_take(call, i, &call->reasons[i]) : code;
    }
    access_call_start(&call->change);
}
