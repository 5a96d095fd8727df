/* SPDX-License-Identifier: Apache-2.0
 *
 * ReleaseKey (key 0x4022, version 0): let a parked key, or a halted partition, go on.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_RELEASE_KEY_H
#define EL_WIRE_MSG_EXT_RELEASE_KEY_H

#include <wire/schema.h>

/* The request. */
struct el_msg_ext_release_key_request {
    struct el_slice key;     /* parked key, null for a halted partition */
    struct el_slice group;   /* group */
    bool probe;              /* release nothing, tell the token of a parked key */
    uint64_t token;          /* only while the key has it, 0 in any case */
    struct el_slice topic;   /* name, null when asked by id */
    struct el_uuid topic_id; /* zero when asked by name */
    int32_t partition;       /* index, -1 for all */
};

/* The response. */
struct el_msg_ext_release_key_response {
    int16_t error;           /* enum el_kafka_error */
    uint64_t token;          /* of the key, when it was asked for */
    struct el_slice message; /* text when error is set, else null */
    int32_t partition;       /* where the key is parked, when its token was asked for */
};

extern const struct el_schema el_schema_ext_release_key_request;
extern const struct el_schema el_schema_ext_release_key_response;

#endif
