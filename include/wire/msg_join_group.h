/* SPDX-License-Identifier: Apache-2.0
 *
 * JoinGroup (key 11, versions 0 to 9): become or stay a member; the answer waits for the others.
 * Which version has which field: client/wire/msg_join_group.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_JOIN_GROUP_H
#define EL_WIRE_MSG_JOIN_GROUP_H

#include <wire/schema.h>

/* One assignment strategy. */
struct el_msg_join_group_protocol {
    struct el_slice name;     /* strategy */
    struct el_slice metadata; /* opaque to the broker */
};

/* The request. */
struct el_msg_join_group_request {
    struct el_slice group_id;                     /* group */
    int32_t session_timeout_ms;                   /* silence after which it is removed, ms */
    int32_t rebalance_timeout_ms;                 /* longest wait for the other members, ms; -1: as the session's */
    struct el_slice member_id;                    /* empty at first */
    struct el_slice group_instance_id;            /* static member, null for none */
    struct el_slice protocol_type;                /* "consumer" for consumers */
    struct el_msg_join_group_protocol *protocols; /* [protocol_count] assignment strategies, best first */
    uint32_t protocol_count;
    struct el_slice reason; /* why, for the log; null for none */
};

/* A member, as the leader sees it. */
struct el_msg_join_group_member {
    struct el_slice member_id;         /* as the coordinator named it */
    struct el_slice group_instance_id; /* static member, null for none */
    struct el_slice metadata;          /* for the strategy agreed on */
};

/* The response. */
struct el_msg_join_group_response {
    int32_t throttle_time_ms;                 /* how long to stay away, ms */
    int16_t error_code;                       /* enum el_kafka_error */
    int32_t generation_id;                    /* raised with every rebalance */
    struct el_slice protocol_type;            /* "consumer" for consumers */
    struct el_slice protocol_name;            /* strategy the members agreed on */
    struct el_slice leader;                   /* member id of the leader */
    bool skip_assignment;                     /* the leader need not assign */
    struct el_slice member_id;                /* of the one who asked */
    struct el_msg_join_group_member *members; /* [member_count] for the leader, empty for others */
    uint32_t member_count;
};

extern const struct el_schema el_schema_join_group_protocol;
extern const struct el_schema el_schema_join_group_request;
extern const struct el_schema el_schema_join_group_member;
extern const struct el_schema el_schema_join_group_response;

#endif
