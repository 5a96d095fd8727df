/* SPDX-License-Identifier: Apache-2.0
 *
 * CreateAcls (key 30, versions 1 to 3): access rules to add.
 * Which version has which field: client/wire/msg_create_acls.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_CREATE_ACLS_H
#define EL_WIRE_MSG_CREATE_ACLS_H

#include <wire/schema.h>

/* One rule. */
struct el_msg_create_acls_creation {
    int8_t resource_type; /* enum el_acl_resource */
    struct el_slice resource_name;
    int8_t resource_pattern_type; /* enum el_acl_pattern */
    struct el_slice principal;    /* such as "User:alice" */
    struct el_slice host;         /* an address, or "*" */
    int8_t operation;             /* enum el_acl_operation */
    int8_t permission_type;       /* enum el_acl_permission */
};

/* The request. */
struct el_msg_create_acls_request {
    struct el_msg_create_acls_creation *creations; /* [creation_count] */
    uint32_t creation_count;
};

/* What became of one. */
struct el_msg_create_acls_result {
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* The response. */
struct el_msg_create_acls_response {
    int32_t throttle_time_ms;                  /* how long to stay away, ms */
    struct el_msg_create_acls_result *results; /* [result_count] in the order of the request */
    uint32_t result_count;
};

extern const struct el_schema el_schema_create_acls_creation;
extern const struct el_schema el_schema_create_acls_request;
extern const struct el_schema el_schema_create_acls_result;
extern const struct el_schema el_schema_create_acls_response;

#endif
