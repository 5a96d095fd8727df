/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeCluster (key 60, versions 0 to 2): brokers, cluster id and controller.
 * Which version has which field: client/wire/msg_describe_cluster.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DESCRIBE_CLUSTER_H
#define EL_WIRE_MSG_DESCRIBE_CLUSTER_H

#include <wire/schema.h>

/* The request. */
struct el_msg_describe_cluster_request {
    bool include_cluster_authorized_operations; /* fill cluster_authorized_operations */
    int8_t endpoint_type;                       /* 1 brokers, 2 controllers */
    bool include_fenced_brokers;                /* also those shut out */
};

/* One broker and how to reach it. */
struct el_msg_describe_cluster_broker {
    int32_t broker_id;    /* node */
    struct el_slice host; /* name or address */
    int32_t port;         /* TCP port */
    struct el_slice rack; /* null for none */
    bool is_fenced;       /* shut out by the controller */
};

/* The response. */
struct el_msg_describe_cluster_response {
    int32_t throttle_time_ms;                       /* how long to stay away, ms */
    int16_t error_code;                             /* enum el_kafka_error */
    struct el_slice error_message;                  /* null without an error */
    int8_t endpoint_type;                           /* 1 brokers, 2 controllers */
    struct el_slice cluster_id;                     /* stable string */
    int32_t controller_id;                          /* node, -1 unknown */
    struct el_msg_describe_cluster_broker *brokers; /* [broker_count] all of the cluster */
    uint32_t broker_count;
    int32_t cluster_authorized_operations; /* bit set; INT32_MIN when not asked */
};

extern const struct el_schema el_schema_describe_cluster_request;
extern const struct el_schema el_schema_describe_cluster_broker;
extern const struct el_schema el_schema_describe_cluster_response;

#endif
