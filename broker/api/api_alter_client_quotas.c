/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterClientQuotas: limits set and removed, durable before the answer. An entry that something is wrong with changes
 * nothing; all that are sound are one change. Removing a limit that is none is no error, as in Kafka.
 */
#include <api/access_call.h>
#include <api/audit_before.h>
#include <core/address.h>
#include <wire/msg_alter_client_quotas.h>

struct alter_result {
    int16_t code;
    const char *why; /* of code */
};

/* Whom an entry is for. */
struct alter_entity {
    struct quota_entity of;
    char address[EL_ADDRESS_TEXT_MAX]; /* of.ip_name, as those of connections are written */
};

struct alter_call {
    struct access_call change;
    const struct el_msg_alter_client_quotas_request *ask;
    struct alter_result *results;  /* [ask->entry_count] */
    struct alter_entity *entities; /* the same */
    double *before;                /* [change.record_count] limits as this shard knew them */
};

/* Limits that are others now: one record of the change for each op of an entry that is sound. */
static void tell_before(const struct alter_call *call)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < call->ask->entry_count; i++) {
        const struct el_msg_alter_client_quotas_entry *entry = &call->ask->entries[i];
        for (uint32_t k = 0; call->results[i].code == EL_KAFKA_NONE && k < entry->op_count; k++, at++) {
            const struct el_msg_alter_client_quotas_op *op = &entry->ops[k];
            double after = op->remove ? 0 : op->value;
            EL_ASSERT(at < call->change.record_count);
            if (call->before[at] < after || call->before[at] > after) {
                audit_before_limit(call->change.request, &call->entities[i].of, quota_kind_find(op->key),
                                   call->before[at]);
            }
        }
    }
    EL_ASSERT(at == call->change.record_count);
}

static void alter_finish(struct access_call *change)
{
    struct alter_call *call = EL_CONTAINER(change, struct alter_call, change);
    struct el_msg_alter_client_quotas_response response;
    el_schema_init(&el_schema_alter_client_quotas_response, &response);
    response.entries = api_new(change->api, change->request, &el_schema_alter_client_quotas_result,
                               call->ask->entry_count);
    if (response.entries == NULL) {
        return;
    }
    if (change->op.error == 0 && change->record_count > 0) {
        tell_before(call);
    }
    response.entry_count = call->ask->entry_count;
    EL_ASSERT(call->results != NULL || response.entry_count == 0);
    for (uint32_t i = 0; i < call->ask->entry_count; i++) {
        const struct alter_result *result = &call->results[i];
        struct el_msg_alter_client_quotas_result *out = &response.entries[i];
        bool tried = result->code == EL_KAFKA_NONE;
        out->error_code = tried ? access_error(change->op.error) : result->code;
        out->error_message = tried ? access_error_message(change->op.error) : el_slice_str(result->why);
        out->entity = call->ask->entries[i].entity;
        out->entity_count = call->ask->entries[i].entity_count;
    }
    request_reply(change->request, &el_schema_alter_client_quotas_response, &response);
}

/* returns NULL, or what is wrong */
static const char *entity_of(const struct el_msg_alter_client_quotas_entry *entry, struct quota_entity *entity)
{
    memset(entity, 0, sizeof *entity);
    for (uint32_t i = 0; i < entry->entity_count; i++) {
        struct el_slice type = entry->entity[i].entity_type, name = entry->entity[i].entity_name;
        uint8_t *part;
        struct el_slice *to;
        if (el_slice_eq(type, el_slice_str("user"))) {
            part = &entity->user;
            to = &entity->user_name;
        } else if (el_slice_eq(type, el_slice_str("client-id"))) {
            part = &entity->client_id;
            to = &entity->client_name;
        } else if (el_slice_eq(type, el_slice_str("ip"))) {
            part = &entity->ip;
            to = &entity->ip_name;
        } else {
            return "kinds of entities are user, client-id and ip";
        }
        if (*part != QUOTA_PART_NONE) {
            return "a kind of entity is named twice";
        }
        *part = name.data == NULL ? QUOTA_PART_DEFAULT : QUOTA_PART_NAMED;
        *to = name.data == NULL ? (struct el_slice){0} : name;
    }
    const char *why = NULL;
    (void)quota_entity_check(entity, &why);
    return why;
}

static bool same(const struct quota_entity *a, const struct quota_entity *b)
{
    return a->user == b->user && a->client_id == b->client_id && a->ip == b->ip &&
           el_slice_eq(a->user_name, b->user_name) && el_slice_eq(a->client_name, b->client_name) &&
           el_slice_eq(a->ip_name, b->ip_name);
}

static bool only_removes(const struct el_msg_alter_client_quotas_entry *entry)
{
    uint32_t i = 0;
    while (i < entry->op_count && entry->ops[i].remove) {
        i++;
    }
    return i == entry->op_count;
}

/* A name of a host would hold for no connection: nothing resolves it. What stands there already can be removed.
 * returns NULL, or what is wrong */
static const char *take_address(const struct el_msg_alter_client_quotas_entry *entry, struct alter_entity *entity)
{
    struct quota_entity *of = &entity->of;
    if (of->ip != QUOTA_PART_NAMED) {
        return NULL;
    }
    if (el_address_canonical(of->ip_name, entity->address)) {
        of->ip_name = el_slice_str(entity->address);
        return NULL;
    }
    return only_removes(entry) ? NULL : "an ip is an IPv4 or IPv6 address, not the name of a host";
}

/* returns NULL, or what is wrong with the entry by itself */
static const char *entry_check(const struct el_msg_alter_client_quotas_entry *entry, struct alter_entity *entity)
{
    const char *why = entity_of(entry, &entity->of);
    why = why == NULL ? take_address(entry, entity) : why;
    uint32_t seen = 0;
    for (uint32_t i = 0; why == NULL && i < entry->op_count; i++) {
        const struct el_msg_alter_client_quotas_op *op = &entry->ops[i];
        enum quota_kind kind = quota_kind_find(op->key);
        (void)quota_limit_check(&entity->of, kind, op->remove ? 1 : op->value, &why);
        if (why == NULL && (seen & 1u << kind) != 0) {
            why = "a limit is named twice";
        }
        seen |= 1u << kind;
    }
    return why;
}

/* The checks of all entries. */
static void check_all(struct alter_call *call)
{
    struct alter_entity *entities = call->entities;
    const struct el_msg_alter_client_quotas_request *ask = call->ask;
    for (uint32_t i = 0; i < ask->entry_count; i++) {
        const char *why = entry_check(&ask->entries[i], &entities[i]);
        for (uint32_t k = 0; why == NULL && k < i; k++) {
            why = same(&entities[i].of, &entities[k].of) ? "the entity is named twice in the request" : NULL;
        }
        if (why != NULL) {
            call->results[i] = (struct alter_result){EL_KAFKA_INVALID_REQUEST, why};
            metrics_add(call->change.api->metrics, METRIC_REFUSED_OTHER, 1);
        }
    }
}

/* returns 0 | EVLOG_ERR_NO_MEMORY */
static int put_all(struct alter_call *call)
{
    const struct alter_entity *entities = call->entities;
    const struct quota_table *quotas = &call->change.api->auth->quotas;
    int code = 0;
    for (uint32_t i = 0; i < call->ask->entry_count; i++) {
        const struct el_msg_alter_client_quotas_entry *entry = &call->ask->entries[i];
        for (uint32_t k = 0; code == 0 && call->results[i].code == EL_KAFKA_NONE && k < entry->op_count; k++) {
            const struct el_msg_alter_client_quotas_op *op = &entry->ops[k];
            enum quota_kind kind = quota_kind_find(op->key);
            call->before[call->change.record_count] = quota_limit_of(quotas, &entities[i].of, kind);
            code = access_call_put_limit(&call->change, &entities[i].of, kind, op->remove ? 0 : op->value);
        }
    }
    return code;
}

static void refuse_all(struct alter_call *call, int16_t code, const char *why)
{
    for (uint32_t i = 0; i < call->ask->entry_count; i++) {
        call->results[i] = (struct alter_result){code, why};
    }
    alter_finish(&call->change);
}

void api_alter_client_quotas(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_alter_client_quotas_request *ask = message;
    struct alter_call *call = api_alloc(api, request, 1, sizeof *call);
    uint64_t total = 0;
    for (uint32_t i = 0; i < ask->entry_count; i++) {
        total += ask->entries[i].op_count;
    }
    if (call == NULL || !access_call_init(&call->change, api, request,
                                          (uint32_t)EL_MIN(total, (uint64_t)ACCESS_RECORDS_MAX), alter_finish)) {
        return;
    }
    call->ask = ask;
    call->results = api_alloc(api, request, ask->entry_count, sizeof *call->results);
    if (call->results == NULL) {
        return;
    }
    call->entities = api_alloc(api, request, ask->entry_count, sizeof *call->entities);
    if (call->entities == NULL) {
        return;
    }
    call->before = api_alloc(api, request, call->change.record_max, sizeof *call->before);
    if (call->before == NULL) {
        return;
    }
    if (!api_may(api, request, 0, EL_ACL_RESOURCE_CLUSTER, el_slice_str(EL_ACL_CLUSTER_NAME))) {
        refuse_all(call, api_error(EVLOG_ERR_CLUSTER_DENIED, false), evlog_error_text(EVLOG_ERR_CLUSTER_DENIED));
        return;
    }
    if (total > ACCESS_RECORDS_MAX || ask->entry_count > ACCESS_RECORDS_MAX) {
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
        refuse_all(call, EL_KAFKA_INVALID_REQUEST, "a request changes at most 1000 limits");
        return;
    }
    check_all(call);
    if (!ask->validate_only && put_all(call) != 0) {
        api_refuse_memory(api, request);
        return;
    }
    access_call_start(&call->change);
}
