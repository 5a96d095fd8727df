/* SPDX-License-Identifier: Apache-2.0
 *
 * Quotas: list them, set them. Blocking, any thread. A list lies in one arena with the object itself.
 */
#include "admin_change.h"
#include "admin_list.h"
#include "fail.h"

#include <core/alloc.h>
#include <evlog/admin.h>
#include <wire/msg_alter_client_quotas.h>
#include <wire/msg_describe_client_quotas.h>

#define PART_COUNT 3 /* user, client-id, ip */

/* --- list --------------------------------------------------------------------------------------------------------- */

/* returns false without memory */
static bool name_take(struct el_arena *arena, const struct el_msg_describe_client_quotas_entity *part,
                      struct evlog_quota_entity *entity)
{
    const char **name = &entity->ip;
    bool *is_default = &entity->default_ip;
    if (el_slice_eq(part->entity_type, el_slice_str("user"))) {
        name = &entity->user;
        is_default = &entity->default_user;
    } else if (el_slice_eq(part->entity_type, el_slice_str("client-id"))) {
        name = &entity->client_id;
        is_default = &entity->default_client_id;
    }
    *is_default = part->entity_name.data == NULL;
    *name = *is_default ? NULL : el_arena_strndup(arena, part->entity_name.data, part->entity_name.len);
    return *is_default || *name != NULL;
}

/* returns 0 | EVLOG_ERR_NO_MEMORY */
static int list_take(void *list_, struct el_arena *arena, const void *response_)
{
    const struct el_msg_describe_client_quotas_response *response = response_;
    struct evlog_quota_list *list = list_;
    size_t total = 0;
    for (uint32_t i = 0; i < response->entry_count; i++) {
        total += response->entries[i].value_count;
    }
    struct evlog_quota *quotas = el_arena_zalloc(arena, EL_MAX(total, (size_t)1) * sizeof *quotas);
    list->quotas = quotas;
    for (uint32_t i = 0; quotas != NULL && i < response->entry_count; i++) {
        const struct el_msg_describe_client_quotas_entry *entry = &response->entries[i];
        struct evlog_quota_entity entity = {0};
        for (uint32_t k = 0; k < entry->entity_count; k++) {
            if (!name_take(arena, &entry->entity[k], &entity)) {
                return EVLOG_ERR_NO_MEMORY;
            }
        }
        for (uint32_t k = 0; k < entry->value_count; k++) {
            struct el_slice key = entry->values[k].key;
            struct evlog_quota *quota = &quotas[list->quota_count++];
            quota->entity = entity;
            quota->key = el_arena_strndup(arena, key.data, key.len);
            quota->value = entry->values[k].value;
            if (quota->key == NULL) {
                return EVLOG_ERR_NO_MEMORY;
            }
        }
    }
    return quotas == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

int evlog_quota_list(struct evlog_client *client, struct evlog_quota_list **list, struct evlog_failure *failure)
{
    struct el_msg_describe_client_quotas_request request;
    struct el_msg_describe_client_quotas_response response;
    struct el_call call;
    el_schema_init(&el_schema_describe_client_quotas_request, &request);
    int rc = el_look(client, EL_API_DescribeClientQuotas, &request, NULL, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    if (response.error_code != 0) {
        rc = el_fail_kafka(failure, response.error_code, response.error_message, "list quotas");
        el_fail_right(failure, "describe-configs cluster", NULL);
    }
    struct evlog_quota_list *made = rc != 0 ? NULL
                                            : el_list_make(sizeof *made, list_take, &response, "quotas", failure);
    el_call_free(&call);
    if (made != NULL) {
        *list = made;
    }
    return rc == 0 && made == NULL ? EVLOG_ERR_NO_MEMORY : rc;
}

void evlog_quota_list_free(struct evlog_quota_list *list)
{
    el_list_free(list);
}

/* --- set ---------------------------------------------------------------------------------------------------------- */

/* returns how many parts there are */
static uint32_t parts_of(const struct evlog_quota_entity *entity, struct el_msg_alter_client_quotas_entity *parts)
{
    const struct {
        const char *type, *name;
        bool is_default;
    } all[PART_COUNT] = {{"user", entity->user, entity->default_user},
                         {"client-id", entity->client_id, entity->default_client_id},
                         {"ip", entity->ip, entity->default_ip}};
    uint32_t count = 0;
    for (int i = 0; i < PART_COUNT; i++) {
        if (all[i].name != NULL || all[i].is_default) {
            parts[count].entity_type = el_slice_str(all[i].type);
            parts[count].entity_name = all[i].is_default ? (struct el_slice){0} : el_slice_str(all[i].name);
            count++;
        }
    }
    return count;
}

int evlog_quota_set(struct evlog_client *client, const struct evlog_quota *quotas, size_t count,
                    struct evlog_failure *failure)
{
    struct el_msg_alter_client_quotas_request request;
    struct el_msg_alter_client_quotas_response response;
    struct el_msg_alter_client_quotas_entity parts[PART_COUNT];
    struct el_call call;
    if (client == NULL || quotas == NULL || count == 0 || count > INT16_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "setting quotas takes a client and at least one quota");
    }
    struct el_msg_alter_client_quotas_op *ops = el_calloc(count, sizeof *ops);
    if (ops == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to set quotas");
    }
    for (size_t i = 0; i < count; i++) {
        ops[i].key = el_slice_str(quotas[i].key);
        ops[i].value = quotas[i].value;
        ops[i].remove = !(quotas[i].value < 0 || quotas[i].value > 0);
    }
    struct el_msg_alter_client_quotas_entry entry = {parts, parts_of(&quotas->entity, parts), ops, (uint32_t)count};
    el_schema_init(&el_schema_alter_client_quotas_request, &request);
    request.entries = &entry;
    request.entry_count = 1;
    struct el_ask ask = {
        .api = EL_API_AlterClientQuotas,
        .request = &request,
        .version_max = INT16_MAX,
        .node_id = EL_NODE_ANY,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
        .once = true,
    };
    int rc = el_client_ask(client, &ask, &call, &response, failure);
    el_free(ops);
    if (rc != 0) {
        el_fail_wrap(failure, "set quotas");
        return rc;
    }
    if (response.entry_count != 1) {
        rc = el_fail(failure, EVLOG_ERR_MALFORMED, "set quotas: the answer is not about what was asked");
    } else if (response.entries[0].error_code != 0) {
        rc = el_fail_kafka(failure, response.entries[0].error_code, response.entries[0].error_message, "set quotas");
        el_fail_right(failure, "alter-configs cluster", NULL);
    }
    el_call_free(&call);
    return rc;
}
