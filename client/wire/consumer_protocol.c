/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of the consumer protocol, one line a field in wire order, and the version in front of them.
 */
#include <evlog/error.h>
#include <wire/consumer_protocol.h>
#include <wire/table.h>

/* clang-format off */


#define T struct el_msg_consumer_protocol_partitions
static const struct el_field consumer_protocol_partitions_fields[] = {
    EL_STRING(T, topic, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_consumer_protocol_partitions = EL_SCHEMA(consumer_protocol_partitions, 0, 3, EL_NEVER);

#define T struct el_msg_consumer_protocol_subscription
static const struct el_field consumer_protocol_subscription_fields[] = {
    EL_ARRAY(T, STRING, struct el_slice, topics, topic_count, EL_ALL),
    EL_BYTES(T, user_data,      EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRUCTS(T, consumer_protocol_partitions, owned, owned_count, EL_FROM(1), .ignorable = true),
    EL_INT32(T, generation_id,  EL_FROM(2), .initial = -1, .ignorable = true),
    EL_STRING(T, rack_id,       EL_FROM(3), .nullable = EL_FROM(3), .null_initial = true, .ignorable = true),
};
#undef T
const struct el_schema el_schema_consumer_protocol_subscription =
    EL_SCHEMA(consumer_protocol_subscription, 0, 3, EL_NEVER);

#define T struct el_msg_consumer_protocol_assignment
static const struct el_field consumer_protocol_assignment_fields[] = {
    EL_STRUCTS(T, consumer_protocol_partitions, assigned, assigned_count, EL_ALL),
    EL_BYTES(T, user_data, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_consumer_protocol_assignment = EL_SCHEMA(consumer_protocol_assignment, 0, 3, EL_NEVER);

/* clang-format on */

int el_consumer_protocol_decode(const struct el_schema *schema, struct el_slice bytes, struct el_arena *arena,
                                void *out)
{
    struct el_reader r;
    el_schema_init(schema, out);
    if (bytes.data == NULL || bytes.len == 0) {
        return 0;
    }
    el_reader_init(&r, bytes.data, bytes.len);
    int16_t version = (int16_t)el_read_be16(&r);
    if (r.err != 0 || version < 0) {
        return r.err != 0 ? r.err : EVLOG_ERR_MALFORMED;
    }
    return el_schema_decode(schema, EL_MIN(version, EL_CONSUMER_PROTOCOL_MAX), &r, arena, out);
}

int el_consumer_protocol_encode(const struct el_schema *schema, const void *in, struct el_arena *arena,
                                struct el_slice *out)
{
    size_t len = sizeof(int16_t) + el_schema_len(schema, EL_CONSUMER_PROTOCOL_MAX, in);
    uint8_t *bytes = el_arena_alloc(arena, len);
    if (bytes == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_writer w;
    el_writer_init(&w, bytes, len);
    el_write_be16(&w, EL_CONSUMER_PROTOCOL_MAX);
    int rc = el_schema_encode(schema, EL_CONSUMER_PROTOCOL_MAX, in, &w);
    if (rc == 0) {
        *out = el_slice_of(bytes, el_writer_len(&w));
    }
    return rc;
}
