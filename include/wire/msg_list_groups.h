/* SPDX-License-Identifier: Apache-2.0
 *
 * ListGroups (key 16, versions 0 to 5): all groups.
 * Which version has which field: client/wire/msg_list_groups.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_LIST_GROUPS_H
#define EL_WIRE_MSG_LIST_GROUPS_H

#include <wire/schema.h>

/* The request. */
struct el_msg_list_groups_request {
    struct el_slice *states_filter; /* [states_filter_count] states wanted, empty for all */
    uint32_t states_filter_count;
    struct el_slice *types_filter; /* [types_filter_count] types wanted, empty for all */
    uint32_t types_filter_count;
};

/* One group. */
struct el_msg_list_groups_group {
    struct el_slice group_id;      /* group */
    struct el_slice protocol_type; /* "consumer" for consumers */
    struct el_slice group_state;   /* name of the state */
    struct el_slice group_type;    /* "classic" or another */
};

/* The response. */
struct el_msg_list_groups_response {
    int32_t throttle_time_ms;                /* how long to stay away, ms */
    int16_t error_code;                      /* enum el_kafka_error */
    struct el_msg_list_groups_group *groups; /* [group_count] by group */
    uint32_t group_count;
};

extern const struct el_schema el_schema_list_groups_request;
extern const struct el_schema el_schema_list_groups_group;
extern const struct el_schema el_schema_list_groups_response;

#endif
