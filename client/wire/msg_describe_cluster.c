/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DescribeCluster, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_describe_cluster.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_describe_cluster_request
static const struct el_field describe_cluster_request_fields[] = {
    EL_BOOL(T, include_cluster_authorized_operations, EL_ALL),
    EL_INT8(T, endpoint_type,          EL_FROM(1), .initial = 1),
    EL_BOOL(T, include_fenced_brokers, EL_FROM(2)),
};
#undef T
const struct el_schema el_schema_describe_cluster_request = EL_SCHEMA(describe_cluster_request, 0, 2, 0);

#define T struct el_msg_describe_cluster_broker
static const struct el_field describe_cluster_broker_fields[] = {
    EL_INT32(T, broker_id, EL_ALL, .key = true),
    EL_STRING(T, host,     EL_ALL),
    EL_INT32(T, port,      EL_ALL),
    EL_STRING(T, rack,     EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_BOOL(T, is_fenced,  EL_FROM(2)),
};
#undef T
const struct el_schema el_schema_describe_cluster_broker = EL_SCHEMA(describe_cluster_broker, 0, 2, 0);

#define T struct el_msg_describe_cluster_response
static const struct el_field describe_cluster_response_fields[] = {
    EL_INT32(T, throttle_time_ms,              EL_ALL),
    EL_INT16(T, error_code,                    EL_ALL),
    EL_STRING(T, error_message,                EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT8(T, endpoint_type,                  EL_FROM(1), .initial = 1),
    EL_STRING(T, cluster_id,                   EL_ALL),
    EL_INT32(T, controller_id,                 EL_ALL, .initial = -1),
    EL_STRUCTS(T, describe_cluster_broker, brokers, broker_count, EL_ALL),
    EL_INT32(T, cluster_authorized_operations, EL_ALL, .initial = INT32_MIN),
};
#undef T
const struct el_schema el_schema_describe_cluster_response = EL_SCHEMA(describe_cluster_response, 0, 2, 0);
