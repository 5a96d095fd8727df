/* SPDX-License-Identifier: Apache-2.0
 *
 * How the tables of wire/schema.h are written; for the files that define one.
 *
 * #define T struct el_msg_metadata_partition
 * static const struct el_field metadata_partition_fields[] = {
 *     EL_INT32(T, leader_epoch, EL_FROM(7), .initial = -1, .ignorable = true),
 *     EL_ARRAY(T, INT32, int32_t, replica_nodes, replica_node_count, EL_ALL),
 * };
 * #undef T
 * const struct el_schema el_schema_metadata_partition = EL_SCHEMA(metadata_partition, 0, 13, 9);
 *
 * Each macro refuses to compile when the member's C type is not that of the wire type.
 */
#ifndef EL_WIRE_TABLE_H
#define EL_WIRE_TABLE_H

#include <wire/schema.h>

#define EL_FROM(min) (UINT32_MAX << (min))
#define EL_UPTO(max) (UINT32_MAX >> (31 - (max)))
#define EL_BETWEEN(min, max) (EL_FROM(min) & EL_UPTO(max))
#define EL_ALL UINT32_MAX

#define EL_MEMBER_OFFSET(T, member, ctype)                                                                             \
    (uint16_t)(offsetof(T, member) +                                                                                   \
               0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((T *)0)->member), ctype) ? 1 : -1]))

#define EL_PLAIN(T, kind, ctype, member, versions_, ...)                                                               \
    {                                                                                                                  \
        .name = #member, .type = EL_TYPE_##kind, .offset = EL_MEMBER_OFFSET(T, member, ctype),                         \
        .versions = (versions_), ##__VA_ARGS__                                                                         \
    }
#define EL_BOOL(T, member, ...) EL_PLAIN(T, BOOL, bool, member, __VA_ARGS__)
#define EL_INT8(T, member, ...) EL_PLAIN(T, INT8, int8_t, member, __VA_ARGS__)
#define EL_INT16(T, member, ...) EL_PLAIN(T, INT16, int16_t, member, __VA_ARGS__)
#define EL_UINT16(T, member, ...) EL_PLAIN(T, UINT16, uint16_t, member, __VA_ARGS__)
#define EL_INT32(T, member, ...) EL_PLAIN(T, INT32, int32_t, member, __VA_ARGS__)
#define EL_UINT32(T, member, ...) EL_PLAIN(T, UINT32, uint32_t, member, __VA_ARGS__)
#define EL_INT64(T, member, ...) EL_PLAIN(T, INT64, int64_t, member, __VA_ARGS__)
#define EL_UINT64(T, member, ...) EL_PLAIN(T, UINT64, uint64_t, member, __VA_ARGS__)
#define EL_FLOAT64(T, member, ...) EL_PLAIN(T, FLOAT64, double, member, __VA_ARGS__)
#define EL_UUID(T, member, ...) EL_PLAIN(T, UUID, struct el_uuid, member, __VA_ARGS__)
#define EL_STRING(T, member, ...) EL_PLAIN(T, STRING, struct el_slice, member, __VA_ARGS__)
#define EL_BYTES(T, member, ...) EL_PLAIN(T, BYTES, struct el_slice, member, __VA_ARGS__)
#define EL_RECORDS(T, member, ...) EL_PLAIN(T, RECORDS, struct el_slice, member, __VA_ARGS__)
#define EL_STRUCT(T, sub, member, ...)                                                                                 \
    EL_PLAIN(T, STRUCT, struct el_msg_##sub, member, __VA_ARGS__, .schema = &el_schema_##sub)
#define EL_STRUCT_PTR(T, sub, member, ...)                                                                             \
    EL_PLAIN(T, STRUCT, struct el_msg_##sub *, member, __VA_ARGS__, .schema = &el_schema_##sub, .pointer = true)
#define EL_ARRAY(T, kind, ctype, member, count, versions_, ...)                                                        \
    {                                                                                                                  \
        .name = #member, .type = EL_TYPE_##kind, .offset = EL_MEMBER_OFFSET(T, member, ctype *), .array = true,        \
        .count_offset = EL_MEMBER_OFFSET(T, count, uint32_t), .versions = (versions_), ##__VA_ARGS__                   \
    }
#define EL_STRUCTS(T, sub, member, count, ...)                                                                         \
    EL_ARRAY(T, STRUCT, struct el_msg_##sub, member, count, __VA_ARGS__, .schema = &el_schema_##sub)

#define EL_SCHEMA(stem, min, max, flexible)                                                                            \
    {                                                                                                                  \
        .name = #stem, .fields = stem##_fields, .field_count = sizeof stem##_fields / sizeof stem##_fields[0],         \
        .size = sizeof(struct el_msg_##stem), .valid_min = (min), .valid_max = (max), .flexible_from = (flexible)      \
    }

#endif
