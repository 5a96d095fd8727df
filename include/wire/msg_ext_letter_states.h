/* SPDX-License-Identifier: Apache-2.0
 *
 * LetterStates (key 0x4027, version 0): which dead letters of a partition were redriven or dropped.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_LETTER_STATES_H
#define EL_WIRE_MSG_EXT_LETTER_STATES_H

#include <wire/schema.h>

/* The request. */
struct el_msg_ext_letter_states_request {
    int64_t last;          /* inclusive, -1 for all behind first */
    int64_t first;         /* offset */
    struct el_slice group; /* group */
    struct el_slice topic; /* of the letters */
    int32_t partition;     /* index */
};

/* Letters next to each other that are not open. */
struct el_msg_ext_letter_states_range {
    int64_t last;          /* inclusive */
    int64_t first;         /* offset */
    struct el_slice state; /* redriven, dropped */
};

/* The response. */
struct el_msg_ext_letter_states_response {
    int64_t end;                                   /* below it all is told */
    int16_t error;                                 /* enum el_kafka_error */
    struct el_msg_ext_letter_states_range *ranges; /* [range_count] rising */
    uint32_t range_count;
    struct el_slice message; /* text when error is set, else null */
};

extern const struct el_schema el_schema_ext_letter_states_request;
extern const struct el_schema el_schema_ext_letter_states_range;
extern const struct el_schema el_schema_ext_letter_states_response;

#endif
