/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of FilterFetch, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <core/limits.h>
#include <wire/msg_ext_filter_fetch.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_filter_fetch_partition
static const struct el_field ext_filter_fetch_partition_fields[] = {
    EL_INT64(T, offset,       EL_ALL),
    EL_BOOL(T, version,       EL_ALL),
    EL_INT32(T, max_bytes,    EL_ALL, .initial = INT32_MAX),
    EL_INT32(T, partition,    EL_ALL),
    EL_INT32(T, leader_epoch, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_filter_fetch_partition = EL_SCHEMA(ext_filter_fetch_partition, 0, 0, 0);

#define T struct el_msg_ext_filter_fetch_request
static const struct el_field ext_filter_fetch_request_fields[] = {
    EL_BYTES(T, key,         EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRING(T, topic,      EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_ARRAY(T, STRING, struct el_slice, types, type_count, EL_ALL),
    EL_BYTES(T, prefix,      EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_ARRAY(T, STRING, struct el_slice, filters, filter_count, EL_ALL),
    EL_UUID(T, topic_id,     EL_ALL),
    EL_INT32(T, max_bytes,   EL_ALL, .initial = EL_FETCH_LEN_MAX),
    EL_STRUCTS(T, ext_filter_fetch_partition, partitions, partition_count, EL_ALL),
    EL_INT32(T, max_wait_ms, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_filter_fetch_request = EL_SCHEMA(ext_filter_fetch_request, 0, 0, 0);

#define T struct el_msg_ext_filter_fetch_result
static const struct el_field ext_filter_fetch_result_fields[] = {
    EL_INT64(T, next,           EL_ALL, .initial = -1),
    EL_INT16(T, error,          EL_ALL),
    EL_STRUCTS(T, ext_log_fetch_batch, batches, batch_count, EL_ALL),
    EL_INT64(T, version,        EL_ALL, .initial = -1),
    EL_INT64(T, log_start,      EL_ALL, .initial = -1),
    EL_INT32(T, partition,      EL_ALL),
    EL_INT64(T, high_watermark, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_filter_fetch_result = EL_SCHEMA(ext_filter_fetch_result, 0, 0, 0);

#define T struct el_msg_ext_filter_fetch_response
static const struct el_field ext_filter_fetch_response_fields[] = {
    EL_INT16(T, error,    EL_ALL),
    EL_STRING(T, topic,   EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRING(T, message, EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UUID(T, topic_id,  EL_ALL),
    EL_STRUCTS(T, ext_filter_fetch_result, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_filter_fetch_response = EL_SCHEMA(ext_filter_fetch_response, 0, 0, 0);
