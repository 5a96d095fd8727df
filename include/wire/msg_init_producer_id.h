/* SPDX-License-Identifier: Apache-2.0
 *
 * InitProducerId (key 22, versions 0 to 5): producer id and epoch for an idempotent producer.
 * Which version has which field: client/wire/msg_init_producer_id.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_INIT_PRODUCER_ID_H
#define EL_WIRE_MSG_INIT_PRODUCER_ID_H

#include <wire/schema.h>

/* The request. */
struct el_msg_init_producer_id_request {
    struct el_slice transactional_id; /* null for a producer without transactions */
    int32_t transaction_timeout_ms;   /* ignored without a transactional id */
    int64_t producer_id;              /* to raise its epoch, -1 for a new id */
    int16_t producer_epoch;           /* -1 for none */
};

/* The response. */
struct el_msg_init_producer_id_response {
    int32_t throttle_time_ms; /* how long to stay away, ms */
    int16_t error_code;       /* enum el_kafka_error */
    int64_t producer_id;      /* -1 for none */
    int16_t producer_epoch;   /* -1 for none */
};

extern const struct el_schema el_schema_init_producer_id_request;
extern const struct el_schema el_schema_init_producer_id_response;

#endif
