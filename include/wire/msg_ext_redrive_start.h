/* SPDX-License-Identifier: Apache-2.0
 *
 * RedriveStart (key 0x4025, version 0): begin a redrive of dead letters, or settle them without.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_REDRIVE_START_H
#define EL_WIRE_MSG_EXT_REDRIVE_START_H

#include <wire/schema.h>

/* Letters of one partition. */
struct el_msg_ext_redrive_start_range {
    int64_t last;      /* inclusive */
    int64_t first;     /* offset */
    int32_t partition; /* index */
};

/* The request. */
struct el_msg_ext_redrive_start_request {
    struct el_slice to;                            /* action 2: topic that letters are copied to, else null */
    struct el_slice key;                           /* only letters of this key, null for any */
    int32_t rate;                                  /* events a second, 0 as fast as it goes */
    struct el_slice group;                         /* group that the events come back to */
    struct el_slice topic;                         /* of the letters */
    int8_t action;                                 /* 0 redrive, 1 drop, 2 copy */
    struct el_msg_ext_redrive_start_range *ranges; /* [range_count] only these offsets, none for all */
    uint32_t range_count;
    struct el_slice reason;  /* only letters with this reason, null for any */
    bool dry_run;            /* count, and change nothing */
    struct el_slice pattern; /* only letters that this event pattern matches, null for any */
    int64_t since_ms;        /* only letters from then on, -1 any */
    int64_t until_ms;        /* only letters from before then, -1 any */
};

/* The response. */
struct el_msg_ext_redrive_start_response {
    uint64_t id;             /* of the redrive */
    int16_t error;           /* enum el_kafka_error */
    struct el_slice message; /* text when error is set, else null */
};

extern const struct el_schema el_schema_ext_redrive_start_range;
extern const struct el_schema el_schema_ext_redrive_start_request;
extern const struct el_schema el_schema_ext_redrive_start_response;

#endif
