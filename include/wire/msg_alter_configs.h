/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterConfigs (key 33, versions 0 to 2): the whole set of settings of topics.
 * Which version has which field: client/wire/msg_alter_configs.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_ALTER_CONFIGS_H
#define EL_WIRE_MSG_ALTER_CONFIGS_H

#include <wire/schema.h>

/* One setting and its value. */
struct el_msg_alter_configs_config {
    struct el_slice name;  /* setting */
    struct el_slice value; /* null is refused */
};

/* A topic and all its settings. */
struct el_msg_alter_configs_resource {
    int8_t resource_type;          /* 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group */
    struct el_slice resource_name; /* topic, node number, group or subscription */
    struct el_msg_alter_configs_config
        *configs; /* [config_count] the whole new set; what is not named returns to its default */
    uint32_t config_count;
};

/* The request. */
struct el_msg_alter_configs_request {
    struct el_msg_alter_configs_resource *resources; /* [resource_count] by resource */
    uint32_t resource_count;
    bool validate_only; /* check, change nothing */
};

/* What became of one resource. */
struct el_msg_alter_configs_resource_result {
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
    int8_t resource_type;          /* 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group */
    struct el_slice resource_name; /* topic, node number, group or subscription */
};

/* The response. */
struct el_msg_alter_configs_response {
    int32_t throttle_time_ms;                               /* how long to stay away, ms */
    struct el_msg_alter_configs_resource_result *responses; /* [response_count] by resource, as asked */
    uint32_t response_count;
};

extern const struct el_schema el_schema_alter_configs_config;
extern const struct el_schema el_schema_alter_configs_resource;
extern const struct el_schema el_schema_alter_configs_request;
extern const struct el_schema el_schema_alter_configs_resource_result;
extern const struct el_schema el_schema_alter_configs_response;

#endif
