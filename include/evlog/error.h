/* SPDX-License-Identifier: Apache-2.0
 *
 * Error codes of evlog. The table is error.def; this header turns it into an enum and four lookups.
 * Every function is pure and safe from any thread.
 */
#ifndef EVLOG_ERROR_H
#define EVLOG_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

enum evlog_error {
    EVLOG_OK = 0,
#define EVLOG_ERROR(name, number, class_, kafka_code, text) EVLOG_ERR_##name = (number),
#include <evlog/error.def>
#undef EVLOG_ERROR
};

enum evlog_error_class {
    EVLOG_CLASS_NONE,   /* success */
    EVLOG_CLASS_RETRY,  /* the same call may succeed later */
    EVLOG_CLASS_FATAL,  /* this partition, connection or program is done */
    EVLOG_CLASS_CALLER, /* the call itself is wrong; repeating it will not help */
};

/* Name such as "EVLOG_ERR_FULL"; "EVLOG_ERR_?" for an unknown code. Static storage. */
const char *evlog_error_name(int code);
/* Short English text without a full stop. Static storage. */
const char *evlog_error_text(int code);
/* Class of a code; EVLOG_CLASS_FATAL for an unknown one. */
enum evlog_error_class evlog_error_class_of(int code);
/* Kafka's error code for the wire; -1 (UNKNOWN_SERVER_ERROR) where Kafka has none. */
int evlog_error_kafka(int code);

#ifdef __cplusplus
}
#endif
#endif
