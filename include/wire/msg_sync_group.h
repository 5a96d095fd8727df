/* SPDX-License-Identifier: Apache-2.0
 *
 * SyncGroup (key 14, versions 0 to 5): the leader brings the assignments, everybody gets its own.
 * Which version has which field: client/wire/msg_sync_group.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_SYNC_GROUP_H
#define EL_WIRE_MSG_SYNC_GROUP_H

#include <wire/schema.h>

/* What one member shall read. */
struct el_msg_sync_group_assignment {
    struct el_slice member_id;  /* as the coordinator named it */
    struct el_slice assignment; /* opaque to the broker */
};

/* The request. */
struct el_msg_sync_group_request {
    struct el_slice group_id;                         /* group */
    int32_t generation_id;                            /* raised with every rebalance */
    struct el_slice member_id;                        /* as the coordinator named it */
    struct el_slice group_instance_id;                /* static member, null for none */
    struct el_slice protocol_type;                    /* "consumer" for consumers */
    struct el_slice protocol_name;                    /* strategy the members agreed on */
    struct el_msg_sync_group_assignment *assignments; /* [assignment_count] by member, from the leader */
    uint32_t assignment_count;
};

/* The response. */
struct el_msg_sync_group_response {
    int32_t throttle_time_ms;      /* how long to stay away, ms */
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice protocol_type; /* "consumer" for consumers */
    struct el_slice protocol_name; /* strategy the members agreed on */
    struct el_slice assignment;    /* opaque to the broker */
};

extern const struct el_schema el_schema_sync_group_assignment;
extern const struct el_schema el_schema_sync_group_request;
extern const struct el_schema el_schema_sync_group_response;

#endif
