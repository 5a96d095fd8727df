/* SPDX-License-Identifier: Apache-2.0
 *
 * FindCoordinator (key 10, versions 0 to 6): the node that keeps a group or a transactional id.
 * Which version has which field: client/wire/msg_find_coordinator.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_FIND_COORDINATOR_H
#define EL_WIRE_MSG_FIND_COORDINATOR_H

#include <wire/schema.h>

/* The request. */
struct el_msg_find_coordinator_request {
    struct el_slice key;               /* group or transactional id */
    int8_t key_type;                   /* 0 group, 1 transaction, 2 share group */
    struct el_slice *coordinator_keys; /* [coordinator_key_count] groups or transactional ids */
    uint32_t coordinator_key_count;
};

/* The answer for one key. */
struct el_msg_find_coordinator_coordinator {
    struct el_slice key;           /* group or transactional id */
    int32_t node_id;               /* broker */
    struct el_slice host;          /* name or address */
    int32_t port;                  /* TCP port */
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* The response. */
struct el_msg_find_coordinator_response {
    int32_t throttle_time_ms;                                 /* how long to stay away, ms */
    int16_t error_code;                                       /* enum el_kafka_error */
    struct el_slice error_message;                            /* null without an error */
    int32_t node_id;                                          /* broker */
    struct el_slice host;                                     /* name or address */
    int32_t port;                                             /* TCP port */
    struct el_msg_find_coordinator_coordinator *coordinators; /* [coordinator_count] by key */
    uint32_t coordinator_count;
};

extern const struct el_schema el_schema_find_coordinator_request;
extern const struct el_schema el_schema_find_coordinator_coordinator;
extern const struct el_schema el_schema_find_coordinator_response;

#endif
