/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterClientQuotas (key 49, versions 0-1): set and remove limits of users, client ids and addresses.
 * Which version has which field: client/wire/msg_alter_client_quotas.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_ALTER_CLIENT_QUOTAS_H
#define EL_WIRE_MSG_ALTER_CLIENT_QUOTAS_H

#include <wire/schema.h>

/* A part of what an entry is about; of the request and of the response. */
struct el_msg_alter_client_quotas_entity {
    struct el_slice entity_type; /* "user", "client-id", "ip" */
    struct el_slice entity_name; /* null: the default */
};

/* One limit to set or to remove. */
struct el_msg_alter_client_quotas_op {
    struct el_slice key; /* such as "producer_byte_rate" */
    double value;        /* ignored when it is removed */
    bool remove;
};

/* What one entity gets. */
struct el_msg_alter_client_quotas_entry {
    struct el_msg_alter_client_quotas_entity *entity; /* [entity_count] */
    uint32_t entity_count;
    struct el_msg_alter_client_quotas_op *ops; /* [op_count] */
    uint32_t op_count;
};

/* The request. */
struct el_msg_alter_client_quotas_request {
    struct el_msg_alter_client_quotas_entry *entries; /* [entry_count] */
    uint32_t entry_count;
    bool validate_only;
};

/* What became of one entry. */
struct el_msg_alter_client_quotas_result {
    int16_t error_code;                               /* enum el_kafka_error */
    struct el_slice error_message;                    /* null without an error */
    struct el_msg_alter_client_quotas_entity *entity; /* [entity_count] */
    uint32_t entity_count;
};

/* The response. */
struct el_msg_alter_client_quotas_response {
    int32_t throttle_time_ms;                          /* how long to stay away, ms */
    struct el_msg_alter_client_quotas_result *entries; /* [entry_count], in the order of the request */
    uint32_t entry_count;
};

extern const struct el_schema el_schema_alter_client_quotas_entity;
extern const struct el_schema el_schema_alter_client_quotas_op;
extern const struct el_schema el_schema_alter_client_quotas_entry;
extern const struct el_schema el_schema_alter_client_quotas_request;
extern const struct el_schema el_schema_alter_client_quotas_result;
extern const struct el_schema el_schema_alter_client_quotas_response;

#endif
