/* SPDX-License-Identifier: Apache-2.0
 *
 * GroupWhy (key 0x4021, version 0): why the events of a key wait.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_GROUP_WHY_H
#define EL_WIRE_MSG_EXT_GROUP_WHY_H

#include <wire/schema.h>

/* The request. */
struct el_msg_ext_group_why_request {
    struct el_slice key;     /* of the events */
    struct el_slice group;   /* group */
    struct el_slice topic;   /* name, null when asked by id */
    struct el_uuid topic_id; /* zero when asked by name */
    int32_t partition;       /* index, -1 for all */
};

/* What holds the key up in one partition. */
struct el_msg_ext_group_why_wait {
    struct el_slice state;   /* of the event at offset, such as "leased" */
    uint64_t behind;         /* events of the key that wait for it */
    int64_t due_ms;          /* until its lease or its wait ends, -1 no end */
    int64_t offset;          /* event that the others wait for, -1 none */
    bool parked;             /* the key is parked */
    struct el_slice message; /* why it cannot go on, null for no more than its state says */
    int32_t attempts;        /* deliveries of the event */
    int32_t partition;       /* index */
};

/* The response. */
struct el_msg_ext_group_why_response {
    int16_t error;                           /* enum el_kafka_error */
    struct el_msg_ext_group_why_wait *waits; /* [wait_count] partitions in which the key waits or is parked */
    uint32_t wait_count;
    struct el_slice message; /* text when error is set, else null */
};

extern const struct el_schema el_schema_ext_group_why_request;
extern const struct el_schema el_schema_ext_group_why_wait;
extern const struct el_schema el_schema_ext_group_why_response;

#endif
