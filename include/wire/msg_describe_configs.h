/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeConfigs (key 32, versions 1 to 4): settings of topics and brokers.
 * Which version has which field: client/wire/msg_describe_configs.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DESCRIBE_CONFIGS_H
#define EL_WIRE_MSG_DESCRIBE_CONFIGS_H

#include <wire/schema.h>

/* A topic or broker whose settings are asked for. */
struct el_msg_describe_configs_resource {
    int8_t resource_type;                /* 2 topic, 4 broker */
    struct el_slice resource_name;       /* topic name or node number */
    struct el_slice *configuration_keys; /* [configuration_key_count] settings wanted, null for all */
    uint32_t configuration_key_count;
};

/* The request. */
struct el_msg_describe_configs_request {
    struct el_msg_describe_configs_resource *resources; /* [resource_count] by resource */
    uint32_t resource_count;
    bool include_synonyms;      /* fill synonyms */
    bool include_documentation; /* fill documentation */
};

/* One level the value could come from, strongest first. */
struct el_msg_describe_configs_synonym {
    struct el_slice name;  /* setting at that level */
    struct el_slice value; /* null for none */
    int8_t source;         /* as config_source */
};

/* One setting. */
struct el_msg_describe_configs_config {
    struct el_slice name;                             /* setting */
    struct el_slice value;                            /* null for none */
    bool read_only;                                   /* fixed at start */
    int8_t config_source;                             /* 1 topic, 2-4 broker, 5 default */
    bool is_sensitive;                                /* value is withheld */
    struct el_msg_describe_configs_synonym *synonyms; /* [synonym_count] levels it could come from */
    uint32_t synonym_count;
    int8_t config_type;            /* 1 bool, 2 string, 3 int, 5 long, 6 double, 7 list */
    struct el_slice documentation; /* help text, null unless asked for */
};

/* Settings of one resource. */
struct el_msg_describe_configs_result {
    int16_t error_code;                             /* enum el_kafka_error */
    struct el_slice error_message;                  /* null without an error */
    int8_t resource_type;                           /* 2 topic, 4 broker */
    struct el_slice resource_name;                  /* topic name or node number */
    struct el_msg_describe_configs_config *configs; /* [config_count] settings */
    uint32_t config_count;
};

/* The response. */
struct el_msg_describe_configs_response {
    int32_t throttle_time_ms;                       /* how long to stay away, ms */
    struct el_msg_describe_configs_result *results; /* [result_count] by resource */
    uint32_t result_count;
};

extern const struct el_schema el_schema_describe_configs_resource;
extern const struct el_schema el_schema_describe_configs_request;
extern const struct el_schema el_schema_describe_configs_synonym;
extern const struct el_schema el_schema_describe_configs_config;
extern const struct el_schema el_schema_describe_configs_result;
extern const struct el_schema el_schema_describe_configs_response;

#endif
