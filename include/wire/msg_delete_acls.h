/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteAcls (key 31, versions 1 to 3): access rules to remove, by filters.
 * Which version has which field: client/wire/msg_delete_acls.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DELETE_ACLS_H
#define EL_WIRE_MSG_DELETE_ACLS_H

#include <wire/schema.h>

/* One filter. */
struct el_msg_delete_acls_filter {
    int8_t resource_type_filter;          /* enum el_acl_resource */
    struct el_slice resource_name_filter; /* null: any */
    int8_t pattern_type_filter;           /* enum el_acl_pattern */
    struct el_slice principal_filter;     /* null: any */
    struct el_slice host_filter;          /* null: any */
    int8_t operation;                     /* enum el_acl_operation */
    int8_t permission_type;               /* enum el_acl_permission */
};

/* The request. */
struct el_msg_delete_acls_request {
    struct el_msg_delete_acls_filter *filters; /* [filter_count] */
    uint32_t filter_count;
};

/* A rule that was removed. */
struct el_msg_delete_acls_rule {
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
    int8_t resource_type;          /* enum el_acl_resource */
    struct el_slice resource_name;
    int8_t pattern_type;       /* enum el_acl_pattern */
    struct el_slice principal; /* such as "User:alice" */
    struct el_slice host;      /* an address, or "*" */
    int8_t operation;          /* enum el_acl_operation */
    int8_t permission_type;    /* enum el_acl_permission */
};

/* What became of one filter. */
struct el_msg_delete_acls_result {
    int16_t error_code;                            /* enum el_kafka_error */
    struct el_slice error_message;                 /* null without an error */
    struct el_msg_delete_acls_rule *matching_acls; /* [matching_acl_count] */
    uint32_t matching_acl_count;
};

/* The response. */
struct el_msg_delete_acls_response {
    int32_t throttle_time_ms;                         /* how long to stay away, ms */
    struct el_msg_delete_acls_result *filter_results; /* [filter_result_count] in the order of the request */
    uint32_t filter_result_count;
};

extern const struct el_schema el_schema_delete_acls_filter;
extern const struct el_schema el_schema_delete_acls_request;
extern const struct el_schema el_schema_delete_acls_rule;
extern const struct el_schema el_schema_delete_acls_result;
extern const struct el_schema el_schema_delete_acls_response;

#endif
