/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of Cut, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_cut.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_cut_request
static const struct el_field ext_cut_request_fields[] = {
    EL_ARRAY(T, STRING, struct el_slice, topics, topic_count, EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UINT64(T, time_ns, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_cut_request = EL_SCHEMA(ext_cut_request, 0, 0, 0);

#define T struct el_msg_ext_cut_partition
static const struct el_field ext_cut_partition_fields[] = {
    EL_INT64(T, log_start,  EL_ALL),
    EL_INT32(T, partition,  EL_ALL),
    EL_INT64(T, end_offset, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_cut_partition = EL_SCHEMA(ext_cut_partition, 0, 0, 0);

#define T struct el_msg_ext_cut_topic
static const struct el_field ext_cut_topic_fields[] = {
    EL_STRING(T, topic,  EL_ALL),
    EL_UUID(T, topic_id, EL_ALL),
    EL_STRUCTS(T, ext_cut_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_cut_topic = EL_SCHEMA(ext_cut_topic, 0, 0, 0);

#define T struct el_msg_ext_cut_response
static const struct el_field ext_cut_response_fields[] = {
    EL_INT16(T, error,    EL_ALL),
    EL_STRUCTS(T, ext_cut_topic, topics, topic_count, EL_ALL),
    EL_STRING(T, message, EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UINT64(T, time_ns, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_cut_response = EL_SCHEMA(ext_cut_response, 0, 0, 0);
