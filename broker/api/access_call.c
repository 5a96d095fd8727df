/* SPDX-License-Identifier: Apache-2.0 */
#include <api/access_call.h>

bool access_call_init(struct access_call *call, struct api *api, struct request *request, uint32_t record_max,
                      void (*finish)(struct access_call *call))
{
    call->api = api;
    call->request = request;
    call->finish = finish;
    call->record_max = EL_MIN(record_max, ACCESS_RECORDS_MAX);
    call->records = api_alloc(api, request, call->record_max, sizeof *call->records);
    return call->records != NULL;
}

static int put(struct access_call *call, const struct el_writer *key, const struct el_writer *value)
{
    if (call->record_count == call->record_max) {
        return EVLOG_ERR_LIMIT;
    }
    size_t key_len = el_writer_len(key), value_len = value == NULL ? 0 : el_writer_len(value);
    uint8_t *copy = el_arena_alloc(&call->request->arena, key_len + value_len);
    if (copy == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct access_record *record = &call->records[call->record_count++];
    memcpy(copy, key->base, key_len);
    record->key = el_slice_of(copy, key_len);
    if (value != NULL) {
        memcpy(copy + key_len, value->base, value_len);
        record->value = el_slice_of(copy + key_len, value_len);
    }
    return 0;
}

int access_call_put_rule(struct access_call *call, const struct auth_rule *rule, bool gone)
{
    uint8_t key_bytes[AUTH_RECORD_KEY_MAX], value_bytes[AUTH_RECORD_VALUE_MAX];
    struct el_writer key, value;
    el_writer_init(&key, key_bytes, sizeof key_bytes);
    el_writer_init(&value, value_bytes, sizeof value_bytes);
    auth_record_rule_key(&key, rule);
    auth_record_rule_value(&value);
    return put(call, &key, gone ? NULL : &value);
}

int access_call_put_user(struct access_call *call, const struct auth_user *user, bool gone)
{
    uint8_t key_bytes[AUTH_RECORD_KEY_MAX], value_bytes[AUTH_RECORD_VALUE_MAX];
    struct el_writer key, value;
    el_writer_init(&key, key_bytes, sizeof key_bytes);
    el_writer_init(&value, value_bytes, sizeof value_bytes);
    auth_record_user_key(&key, user);
    if (!gone) {
        auth_record_user_value(&value, user);
    }
    int code = put(call, &key, gone ? NULL : &value);
    explicit_bzero(value_bytes, sizeof value_bytes);
    return code;
}

int access_call_put_limit(struct access_call *call, const struct quota_entity *entity, enum quota_kind limit,
                          double value)
{
    uint8_t key_bytes[AUTH_RECORD_KEY_MAX], value_bytes[AUTH_RECORD_VALUE_MAX];
    struct el_writer key, bytes;
    el_writer_init(&key, key_bytes, sizeof key_bytes);
    el_writer_init(&bytes, value_bytes, sizeof value_bytes);
    auth_record_limit_key(&key, entity, limit);
    auth_record_limit_value(&bytes, value);
    return put(call, &key, value > 0 ? &bytes : NULL);
}

static void call_on_change(struct access_op *op)
{
    struct access_call *call = op->arg;
    if (op->error != 0) {
        api_count_refusal(call->api, op->error);
    }
    call->finish(call);
}

void access_call_start(struct access_call *call)
{
    call->op.records = call->records;
    call->op.record_count = call->record_count;
    call->op.done = call_on_change;
    call->op.arg = call;
    if (call->record_count == 0) {
        call->finish(call);
        return;
    }
    access_change(call->api->access, &call->op);
}

int16_t access_rules_enabled(const struct api *api, const char **why)
{
    if (api->auth != NULL && api->auth->enabled) {
        return EL_KAFKA_NONE;
    }
    *why = "the authorizer is off: set authorizer=on in evlogd's configuration, and super.users to who may add rules";
    return EL_KAFKA_SECURITY_DISABLED;
}

int16_t access_error(int error)
{
    switch (error) {
    case 0:
        return EL_KAFKA_NONE;
    case EVLOG_ERR_LIMIT:
        return EL_KAFKA_POLICY_VIOLATION;
    default:
        return api_error(error, false);
    }
}

struct el_slice access_error_message(int error)
{
    return error == EVLOG_ERR_LIMIT ? el_slice_str("a node has at most 20000 rules, and as many users and limits")
                                    : api_error_message(error);
}
