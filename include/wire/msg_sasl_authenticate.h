/* SPDX-License-Identifier: Apache-2.0
 *
 * SaslAuthenticate (key 36, versions 0 to 2): one step of the exchange of the mechanism that was agreed on.
 * Which version has which field: client/wire/msg_sasl_authenticate.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_SASL_AUTHENTICATE_H
#define EL_WIRE_MSG_SASL_AUTHENTICATE_H

#include <wire/schema.h>

/* The request. */
struct el_msg_sasl_authenticate_request {
    struct el_slice auth_bytes; /* what the mechanism says */
};

/* The response. */
struct el_msg_sasl_authenticate_response {
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
    struct el_slice auth_bytes;    /* what the mechanism answers */
    int64_t session_lifetime_ms;   /* until the client must prove itself again, ms; 0 for ever */
};

extern const struct el_schema el_schema_sasl_authenticate_request;
extern const struct el_schema el_schema_sasl_authenticate_response;

#endif
