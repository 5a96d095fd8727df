/* SPDX-License-Identifier: Apache-2.0
 *
 * Heartbeat (key 12, versions 0 to 4): a member lives, and learns of a rebalance.
 * Which version has which field: client/wire/msg_heartbeat.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_HEARTBEAT_H
#define EL_WIRE_MSG_HEARTBEAT_H

#include <wire/schema.h>

/* The request. */
struct el_msg_heartbeat_request {
    struct el_slice group_id;          /* group */
    int32_t generation_id;             /* raised with every rebalance */
    struct el_slice member_id;         /* as the coordinator named it */
    struct el_slice group_instance_id; /* static member, null for none */
};

/* The response. */
struct el_msg_heartbeat_response {
    int32_t throttle_time_ms; /* how long to stay away, ms */
    int16_t error_code;       /* enum el_kafka_error */
};

extern const struct el_schema el_schema_heartbeat_request;
extern const struct el_schema el_schema_heartbeat_response;

#endif
