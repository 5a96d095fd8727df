/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of GroupProgress, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_group_progress.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_group_progress_request
static const struct el_field ext_group_progress_request_fields[] = {
    EL_STRING(T, group, EL_ALL),
    EL_ARRAY(T, STRING, struct el_slice, topics, topic_count, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_ext_group_progress_request = EL_SCHEMA(ext_group_progress_request, 0, 0, 0);

#define T struct el_msg_ext_group_progress_partition
static const struct el_field ext_group_progress_partition_fields[] = {
    EL_INT64(T, lag,       EL_ALL, .initial = -1),
    EL_UINT64(T, dying,    EL_ALL),
    EL_INT16(T, error,     EL_ALL),
    EL_UINT64(T, ready,    EL_ALL),
    EL_INT64(T, start,     EL_ALL, .initial = -1),
    EL_UINT64(T, leased,   EL_ALL),
    EL_UINT64(T, backoff,  EL_ALL),
    EL_UINT64(T, delayed,  EL_ALL),
    EL_UINT64(T, waiting,  EL_ALL),
    EL_INT64(T, halted_at, EL_ALL, .initial = -1),
    EL_INT32(T, partition, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_group_progress_partition =
    EL_SCHEMA(ext_group_progress_partition, 0, 0, 0);

#define T struct el_msg_ext_group_progress_topic
static const struct el_field ext_group_progress_topic_fields[] = {
    EL_STRING(T, topic,  EL_ALL),
    EL_UUID(T, topic_id, EL_ALL),
    EL_STRUCTS(T, ext_group_progress_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_group_progress_topic = EL_SCHEMA(ext_group_progress_topic, 0, 0, 0);

#define T struct el_msg_ext_group_progress_response
static const struct el_field ext_group_progress_response_fields[] = {
    EL_INT16(T, error,    EL_ALL),
    EL_STRUCTS(T, ext_group_progress_topic, topics, topic_count, EL_ALL),
    EL_STRING(T, message, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_ext_group_progress_response =
    EL_SCHEMA(ext_group_progress_response, 0, 0, 0);
