/* SPDX-License-Identifier: Apache-2.0
 *
 * ListConfigResources (key 74, versions 0 to 1): what has settings.
 * Which version has which field: client/wire/msg_list_config_resources.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_LIST_CONFIG_RESOURCES_H
#define EL_WIRE_MSG_LIST_CONFIG_RESOURCES_H

#include <wire/schema.h>

/* The request. */
struct el_msg_list_config_resources_request {
    int8_t *resource_types; /* [resource_type_count] kinds wanted, none for all */
    uint32_t resource_type_count;
};

/* One that has settings. */
struct el_msg_list_config_resources_resource {
    struct el_slice resource_name; /* topic, node number, group or subscription */
    int8_t resource_type;          /* 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group */
};

/* The response. */
struct el_msg_list_config_resources_response {
    int32_t throttle_time_ms;                                       /* how long to stay away, ms */
    int16_t error_code;                                             /* enum el_kafka_error */
    struct el_msg_list_config_resources_resource *config_resources; /* [config_resource_count] what there is */
    uint32_t config_resource_count;
};

extern const struct el_schema el_schema_list_config_resources_request;
extern const struct el_schema el_schema_list_config_resources_resource;
extern const struct el_schema el_schema_list_config_resources_response;

#endif
