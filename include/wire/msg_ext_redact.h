/* SPDX-License-Identifier: Apache-2.0
 *
 * Redact (key 0x4043, version 0): take events out of a log, its disk and its archive; or ask how far that has come.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_REDACT_H
#define EL_WIRE_MSG_EXT_REDACT_H

#include <wire/schema.h>

/* The request. */
struct el_msg_ext_redact_request {
    int64_t end;            /* first offset behind the range */
    int64_t first;          /* first offset of the range */
    struct el_slice topic;  /* name */
    struct el_slice reason; /* text, which is signed and stays; null in a dry run */
    bool dry_run;           /* change nothing */
    int32_t partition;
};

/* The response. */
struct el_msg_ext_redact_response {
    int64_t end;             /* of the whole batches that are, or would be, redacted */
    int16_t error;           /* enum el_kafka_error */
    int64_t first;           /* the same */
    struct el_slice state;   /* "nothing", "found", "local", "archive" or "complete" */
    uint64_t events;         /* found by this request; 0 when it was accepted before */
    uint64_t batches;        /* the same */
    struct el_slice message; /* text when error is set, or what is waited for; else null */
    int64_t parent_end; /* offsets below it are also in the archive that this one continues, which is not changed */
};

extern const struct el_schema el_schema_ext_redact_request;
extern const struct el_schema el_schema_ext_redact_response;

#endif
