/* SPDX-License-Identifier: Apache-2.0
 *
 * SaslHandshake (key 17, versions 0-1): which mechanism a client is going to prove itself with.
 * Which version has which field: client/wire/msg_sasl_handshake.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_SASL_HANDSHAKE_H
#define EL_WIRE_MSG_SASL_HANDSHAKE_H

#include <wire/schema.h>

/* The request. */
struct el_msg_sasl_handshake_request {
    struct el_slice mechanism; /* such as "SCRAM-SHA-256" */
};

/* The response. */
struct el_msg_sasl_handshake_response {
    int16_t error_code;          /* enum el_kafka_error */
    struct el_slice *mechanisms; /* [mechanism_count] that the broker takes */
    uint32_t mechanism_count;
};

extern const struct el_schema el_schema_sasl_handshake_request;
extern const struct el_schema el_schema_sasl_handshake_response;

#endif
