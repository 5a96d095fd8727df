/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteGroups (key 42, versions 0 to 3): remove groups without members.
 * Which version has which field: client/wire/msg_delete_groups.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DELETE_GROUPS_H
#define EL_WIRE_MSG_DELETE_GROUPS_H

#include <wire/schema.h>

/* The request. */
struct el_msg_delete_groups_request {
    struct el_slice *groups_names; /* [groups_name_count] groups to delete */
    uint32_t groups_name_count;
};

/* One outcome. */
struct el_msg_delete_groups_result {
    struct el_slice group_id;      /* group */
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* The response. */
struct el_msg_delete_groups_response {
    int32_t throttle_time_ms;                    /* how long to stay away, ms */
    struct el_msg_delete_groups_result *results; /* [result_count] by group */
    uint32_t result_count;
};

extern const struct el_schema el_schema_delete_groups_request;
extern const struct el_schema el_schema_delete_groups_result;
extern const struct el_schema el_schema_delete_groups_response;

#endif
