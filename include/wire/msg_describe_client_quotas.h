/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeClientQuotas (key 48, versions 0-1): limits of users, client ids and addresses.
 * Which version has which field: client/wire/msg_describe_client_quotas.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DESCRIBE_CLIENT_QUOTAS_H
#define EL_WIRE_MSG_DESCRIBE_CLIENT_QUOTAS_H

#include <wire/schema.h>

/* What entries must say of one kind of entity. */
struct el_msg_describe_client_quotas_component {
    struct el_slice entity_type; /* "user", "client-id", "ip" */
    int8_t match_type;           /* 0 this name, 1 the default, 2 any name or the default */
    struct el_slice match;       /* the name; null unless match_type is 0 */
};

/* The request. */
struct el_msg_describe_client_quotas_request {
    struct el_msg_describe_client_quotas_component *components; /* [component_count]; none: all entries */
    uint32_t component_count;
    bool strict; /* entries name no other kind than these */
};

/* A part of what an entry is about. */
struct el_msg_describe_client_quotas_entity {
    struct el_slice entity_type;
    struct el_slice entity_name; /* null: the default */
};

/* One limit. */
struct el_msg_describe_client_quotas_value {
    struct el_slice key; /* such as "producer_byte_rate" */
    double value;
};

/* All limits of one entity. */
struct el_msg_describe_client_quotas_entry {
    struct el_msg_describe_client_quotas_entity *entity; /* [entity_count] */
    uint32_t entity_count;
    struct el_msg_describe_client_quotas_value *values; /* [value_count] */
    uint32_t value_count;
};

/* The response. */
struct el_msg_describe_client_quotas_response {
    int32_t throttle_time_ms;                            /* how long to stay away, ms */
    int16_t error_code;                                  /* enum el_kafka_error */
    struct el_slice error_message;                       /* null without an error */
    struct el_msg_describe_client_quotas_entry *entries; /* [entry_count]; null with an error */
    uint32_t entry_count;
};

extern const struct el_schema el_schema_describe_client_quotas_component;
extern const struct el_schema el_schema_describe_client_quotas_request;
extern const struct el_schema el_schema_describe_client_quotas_entity;
extern const struct el_schema el_schema_describe_client_quotas_value;
extern const struct el_schema el_schema_describe_client_quotas_entry;
extern const struct el_schema el_schema_describe_client_quotas_response;

#endif
