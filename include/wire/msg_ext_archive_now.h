/* SPDX-License-Identifier: Apache-2.0
 *
 * ArchiveNow (key 0x4041, version 0): archive what is new at once.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_ARCHIVE_NOW_H
#define EL_WIRE_MSG_EXT_ARCHIVE_NOW_H

#include <wire/schema.h>

/* The request. */
struct el_msg_ext_archive_now_request {
    bool seal;             /* and make segments of what bundles hold */
    bool wait;             /* answer when all that was durable before the request is in the archive */
    struct el_slice topic; /* seal only: of this topic, null for all */
};

/* The response. */
struct el_msg_ext_archive_now_response {
    int16_t error;           /* enum el_kafka_error */
    struct el_slice message; /* text when error is set, else null */
    uint64_t sequence;       /* of the last root */
    uint64_t complete_ns;    /* every event appended at or before it is in the archive; 0 not yet */
};

extern const struct el_schema el_schema_ext_archive_now_request;
extern const struct el_schema el_schema_ext_archive_now_response;

#endif
