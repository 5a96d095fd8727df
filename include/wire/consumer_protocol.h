/* SPDX-License-Identifier: Apache-2.0
 *
 * What members of a consumer group say to their leader and hear from it: subscriptions (the metadata of JoinGroup) and
 * assignments (of SyncGroup). Brokers pass both on as opaque bytes; the layout is that of Kafka's clients, so that
 * members of different clients can share a group. Which version has which field: client/wire/consumer_protocol.c.
 *
 * Both begin with an int16 version; bytes behind what a known version holds are a newer one's and ignored.
 * Pure functions; any thread.
 */
#ifndef EL_WIRE_CONSUMER_PROTOCOL_H
#define EL_WIRE_CONSUMER_PROTOCOL_H

#include <wire/schema.h>

#define EL_CONSUMER_PROTOCOL_MAX 3
#define EL_CONSUMER_PROTOCOL_TYPE "consumer"

/* Partitions of one topic. */
struct el_msg_consumer_protocol_partitions {
    struct el_slice topic; /* topic name */
    int32_t *partitions;   /* [partition_count] indexes */
    uint32_t partition_count;
};

/* What a member wants, and holds. */
struct el_msg_consumer_protocol_subscription {
    struct el_slice *topics; /* [topic_count] topic names */
    uint32_t topic_count;
    struct el_slice user_data;                         /* the strategy's own, null for none */
    struct el_msg_consumer_protocol_partitions *owned; /* [owned_count] by topic */
    uint32_t owned_count;
    int32_t generation_id;   /* in which owned was assigned, -1 unknown */
    struct el_slice rack_id; /* null for none */
};

/* What a member is given. */
struct el_msg_consumer_protocol_assignment {
    struct el_msg_consumer_protocol_partitions *assigned; /* [assigned_count] by topic */
    uint32_t assigned_count;
    struct el_slice user_data; /* the strategy's own, null for none */
};

extern const struct el_schema el_schema_consumer_protocol_partitions;
extern const struct el_schema el_schema_consumer_protocol_subscription;
extern const struct el_schema el_schema_consumer_protocol_assignment;

/* Read one of the two.
 *
 * schema   subscription or assignment
 * bytes    empty or null: nothing subscribed to, nothing assigned
 * arena    takes the arrays; slices point into bytes
 * returns  0 | EVLOG_ERR_TRUNCATED, EVLOG_ERR_MALFORMED | EVLOG_ERR_NO_MEMORY
 */
int el_consumer_protocol_decode(const struct el_schema *schema, struct el_slice bytes, struct el_arena *arena,
                                void *out);

/* Write one of the two in the highest version.
 *
 * out      written on success, in the arena
 * returns  0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_LIMIT a name that is too long
 */
int el_consumer_protocol_encode(const struct el_schema *schema, const void *in, struct el_arena *arena,
                                struct el_slice *out);

#endif
