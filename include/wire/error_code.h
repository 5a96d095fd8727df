/* SPDX-License-Identifier: Apache-2.0
 *
 * Error codes as they are on the wire (error_code.def). What evlog's own codes become: evlog_error_kafka().
 */
#ifndef EL_WIRE_ERROR_CODE_H
#define EL_WIRE_ERROR_CODE_H

#include <stdbool.h>

enum el_kafka_error {
#define X(name, code, retry) EL_KAFKA_##name = (code),
#include <wire/error_code.def>
#undef X
};

/* Name such as "UNKNOWN_TOPIC_ID"; "UNKNOWN_ERROR_CODE" for a number that is not in the table. Static storage. */
const char *el_kafka_error_name(int code);
/* True when a client tries again. False for a number that is not in the table. */
bool el_kafka_error_retriable(int code);

#endif
