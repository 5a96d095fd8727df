/* SPDX-License-Identifier: Apache-2.0
 *
 * IncrementalAlterConfigs (key 44, versions 0 to 1): change single settings, leaving the others.
 * Which version has which field: client/wire/msg_incremental_alter_configs.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_INCREMENTAL_ALTER_CONFIGS_H
#define EL_WIRE_MSG_INCREMENTAL_ALTER_CONFIGS_H

#include <wire/schema.h>

/* One change. */
struct el_msg_incremental_alter_configs_config {
    struct el_slice name;    /* setting */
    int8_t config_operation; /* 0 set, 1 delete, 2 append, 3 subtract */
    struct el_slice value;   /* null to delete */
};

/* Changes to one resource. */
struct el_msg_incremental_alter_configs_resource {
    int8_t resource_type;                                    /* 2 topic, 4 broker */
    struct el_slice resource_name;                           /* topic name or node number */
    struct el_msg_incremental_alter_configs_config *configs; /* [config_count] changes */
    uint32_t config_count;
};

/* The request. */
struct el_msg_incremental_alter_configs_request {
    struct el_msg_incremental_alter_configs_resource *resources; /* [resource_count] by resource */
    uint32_t resource_count;
    bool validate_only; /* check, change nothing */
};

/* Outcome for one resource. */
struct el_msg_incremental_alter_configs_resource_result {
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
    int8_t resource_type;          /* 2 topic, 4 broker */
    struct el_slice resource_name; /* topic name or node number */
};

/* The response. */
struct el_msg_incremental_alter_configs_response {
    int32_t throttle_time_ms;                                           /* how long to stay away, ms */
    struct el_msg_incremental_alter_configs_resource_result *responses; /* [response_count] by resource */
    uint32_t response_count;
};

extern const struct el_schema el_schema_incremental_alter_configs_config;
extern const struct el_schema el_schema_incremental_alter_configs_resource;
extern const struct el_schema el_schema_incremental_alter_configs_request;
extern const struct el_schema el_schema_incremental_alter_configs_resource_result;
extern const struct el_schema el_schema_incremental_alter_configs_response;

#endif
