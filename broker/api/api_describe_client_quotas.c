/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeClientQuotas: entities with their limits, all or those that fit what the request says of each kind of entity.
 */
#include <api/access_call.h>
#include <core/address.h>
#include <wire/msg_describe_client_quotas.h>

enum match_type { MATCH_NAME, MATCH_DEFAULT, MATCH_ANY };

static const char *const type_names[] = {"user", "client-id", "ip"};
#define TYPE_IP 2u
#define TYPE_COUNT (sizeof type_names / sizeof type_names[0])

/* What the request wants of each kind of entity; NULL: it says nothing. */
struct filter {
    const struct el_msg_describe_client_quotas_component *wants[TYPE_COUNT];
    struct el_slice names[TYPE_COUNT]; /* that MATCH_NAME wants */
    char address[EL_ADDRESS_TEXT_MAX]; /* one of them, as addresses of connections are written */
    bool strict;
};

static uint8_t part_of(const struct quota_entity *entity, size_t type, struct el_slice *name)
{
    *name = type == 0 ? entity->user_name : type == 1 ? entity->client_name : entity->ip_name;
    return type == 0 ? entity->user : type == 1 ? entity->client_id : entity->ip;
}

static bool part_fits(const struct filter *filter, size_t type, uint8_t part, struct el_slice name)
{
    switch (filter->wants[type]->match_type) {
    case MATCH_NAME:
        return part == QUOTA_PART_NAMED && el_slice_eq(filter->names[type], name);
    case MATCH_DEFAULT:
        return part == QUOTA_PART_DEFAULT;
    default:
        return part != QUOTA_PART_NONE;
    }
}

static bool fits(const struct filter *filter, const struct quota_entity *entity)
{
    for (size_t type = 0; type < TYPE_COUNT; type++) {
        struct el_slice name;
        uint8_t part = part_of(entity, type, &name);
        bool said = filter->wants[type] != NULL;
        if (said ? !part_fits(filter, type, part, name) : filter->strict && part != QUOTA_PART_NONE) {
            return false;
        }
    }
    return true;
}

/* returns Kafka's code, with a text in *why */
static int16_t filter_make(const struct el_msg_describe_client_quotas_request *ask, struct filter *filter,
                           const char **why)
{
    *filter = (struct filter){.strict = ask->strict && ask->component_count > 0};
    for (uint32_t i = 0; i < ask->component_count; i++) {
        const struct el_msg_describe_client_quotas_component *want = &ask->components[i];
        size_t type = 0;
        while (type < TYPE_COUNT && !el_slice_eq(want->entity_type, el_slice_str(type_names[type]))) {
            type++;
        }
        *why = "kinds of entities are user, client-id and ip";
        if (type == TYPE_COUNT) {
            return EL_KAFKA_UNSUPPORTED_VERSION; /* as Kafka says it */
        }
        *why = "a kind of entity is named twice";
        if (filter->wants[type] != NULL) {
            return EL_KAFKA_INVALID_REQUEST;
        }
        *why = "matches are 0 by name, 1 the default and 2 any; by name there is a name";
        if (want->match_type < MATCH_NAME || want->match_type > MATCH_ANY ||
            (want->match_type == MATCH_NAME && want->match.data == NULL)) {
            return EL_KAFKA_INVALID_REQUEST;
        }
        filter->wants[type] = want;
        bool address = type == TYPE_IP && el_address_canonical(want->match, filter->address);
        filter->names[type] = address ? el_slice_str(filter->address) : want->match;
    }
    *why = "limits of an ip are for no user or client-id";
    bool both = filter->wants[TYPE_IP] != NULL && (filter->wants[0] != NULL || filter->wants[1] != NULL);
    return both ? EL_KAFKA_INVALID_REQUEST : EL_KAFKA_NONE;
}

/* returns false without memory */
static bool fill(struct request *request, const struct quota_limits *limits,
                 struct el_msg_describe_client_quotas_entry *out)
{
    out->entity = el_schema_new(&el_schema_describe_client_quotas_entity, &request->arena, TYPE_COUNT);
    out->values = el_schema_new(&el_schema_describe_client_quotas_value, &request->arena, QUOTA_KIND_COUNT);
    if (out->entity == NULL || out->values == NULL) {
        return false;
    }
    for (size_t type = 0; type < TYPE_COUNT; type++) {
        struct el_slice name;
        uint8_t part = part_of(&limits->entity, type, &name);
        if (part != QUOTA_PART_NONE) {
            struct el_msg_describe_client_quotas_entity *entity = &out->entity[out->entity_count++];
            entity->entity_type = el_slice_str(type_names[type]);
            entity->entity_name = part == QUOTA_PART_NAMED ? name : (struct el_slice){0};
        }
    }
    for (int kind = 0; kind < QUOTA_KIND_COUNT; kind++) {
        if (limits->values[kind] > 0) {
            struct el_msg_describe_client_quotas_value *value = &out->values[out->value_count++];
            value->key = el_slice_str(quota_kind_name((enum quota_kind)kind));
            value->value = limits->values[kind];
        }
    }
    return true;
}

void api_describe_client_quotas(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_describe_client_quotas_request *ask = message;
    struct el_msg_describe_client_quotas_response response;
    struct filter filter;
    const char *why = NULL;
    el_schema_init(&el_schema_describe_client_quotas_response, &response);
    response.error_code = filter_make(ask, &filter, &why);
    if (response.error_code != EL_KAFKA_NONE) {
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
        response.error_message = el_slice_str(why);
        response.entries = NULL;
        request_reply(request, &el_schema_describe_client_quotas_response, &response);
        return;
    }
    const struct quota_table *table = &api->auth->quotas;
    uint32_t count = 0;
    for (uint32_t i = 0; i < quota_count(table); i++) {
        count += fits(&filter, &quota_at(table, i)->entity);
    }
    response.error_message = (struct el_slice){0};
    response.entries = api_new(api, request, &el_schema_describe_client_quotas_entry, count);
    if (response.entries == NULL) {
        return;
    }
    for (uint32_t i = 0; i < quota_count(table); i++) {
        const struct quota_limits *limits = quota_at(table, i);
        EL_ASSERT(response.entry_count <= count);
        if (fits(&filter, &limits->entity) && !fill(request, limits, &response.entries[response.entry_count++])) {
            api_refuse_memory(api, request);
            return;
        }
    }
    request_reply(request, &el_schema_describe_client_quotas_response, &response);
}
