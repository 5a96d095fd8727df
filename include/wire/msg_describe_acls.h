/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeAcls (key 29, versions 1 to 3): access rules that a filter fits.
 * Which version has which field: client/wire/msg_describe_acls.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DESCRIBE_ACLS_H
#define EL_WIRE_MSG_DESCRIBE_ACLS_H

#include <wire/schema.h>

/* The request: a filter. */
struct el_msg_describe_acls_request {
    int8_t resource_type_filter;          /* enum el_acl_resource */
    struct el_slice resource_name_filter; /* null: any */
    int8_t pattern_type_filter;           /* enum el_acl_pattern */
    struct el_slice principal_filter;     /* null: any */
    struct el_slice host_filter;          /* null: any */
    int8_t operation;                     /* enum el_acl_operation */
    int8_t permission_type;               /* enum el_acl_permission */
};

/* One rule of a resource. */
struct el_msg_describe_acls_rule {
    struct el_slice principal; /* such as "User:alice" */
    struct el_slice host;      /* an address, or "*" */
    int8_t operation;          /* enum el_acl_operation */
    int8_t permission_type;    /* enum el_acl_permission */
};

/* Rules with the same resource. */
struct el_msg_describe_acls_resource {
    int8_t resource_type; /* enum el_acl_resource */
    struct el_slice resource_name;
    int8_t pattern_type;                    /* enum el_acl_pattern */
    struct el_msg_describe_acls_rule *acls; /* [acl_count] */
    uint32_t acl_count;
};

/* The response. */
struct el_msg_describe_acls_response {
    int32_t throttle_time_ms;                        /* how long to stay away, ms */
    int16_t error_code;                              /* enum el_kafka_error */
    struct el_slice error_message;                   /* null without an error */
    struct el_msg_describe_acls_resource *resources; /* [resource_count] */
    uint32_t resource_count;
};

extern const struct el_schema el_schema_describe_acls_request;
extern const struct el_schema el_schema_describe_acls_rule;
extern const struct el_schema el_schema_describe_acls_resource;
extern const struct el_schema el_schema_describe_acls_response;

#endif
