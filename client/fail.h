/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling a struct evlog_failure: the one place that turns codes, errno values and Kafka's codes into what a person and
 * a program are told. Pure functions; any thread.
 */
#ifndef EL_CLIENT_FAIL_H
#define EL_CLIENT_FAIL_H

#include <core/bytes.h>
#include <core/err.h>
#include <evlog/failure.h>

/* Write a failure; failure may be NULL. The hint is the code's usual one. returns code */
int el_fail(struct evlog_failure *failure, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Replace the hint. */
void el_fail_hint(struct evlog_failure *failure, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Of a denial: name the right that was asked for, and how it is given.
 *
 * right  "OPERATION RESOURCE" in the words of 'evlog acl', such as "read topic"; nothing happens to a failure that is
 *        no denial of that kind of resource
 * name   of the resource; NULL for the cluster, or when it is not known which one
 */
void el_fail_right(struct evlog_failure *failure, const char *right, const char *name);
/* Put "prefix: " before the text. */
void el_fail_wrap(struct evlog_failure *failure, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A failure out of one of core's. returns its code */
int el_fail_from(struct evlog_failure *failure, const struct el_error *err);
/* A failure that the broker answered with.
 *
 * kafka_code  not 0
 * message     the broker's own words, or data NULL
 * what        what was asked, such as "create topic orders"
 * returns     the EVLOG_ERR_ code that stands for it
 */
int el_fail_kafka(struct evlog_failure *failure, int kafka_code, struct el_slice message, const char *what);
/* The EVLOG_ERR_ code for one of Kafka's; EVLOG_ERR_KAFKA when there is none. */
int el_code_from_kafka(int kafka_code);
/* Mark as in doubt. */
void el_fail_doubt(struct evlog_failure *failure);
/* Give a failure that was kept elsewhere to the caller. returns its code */
int el_fail_copy(struct evlog_failure *failure, const struct evlog_failure *source);

/* Take an options struct that may come from a program built against older or newer headers: full holds the defaults,
 * what given has of it replaces them. False when given->size is no size at all. */
#define EL_OPTIONS_LEN_MAX 4096
#define EL_OPTIONS_TAKE(full, given)                                                                                   \
    ((given)->size > sizeof((given)->size) && (given)->size <= EL_OPTIONS_LEN_MAX                                      \
         ? (memcpy((full), (given), EL_MIN((given)->size, sizeof *(full))), true)                                      \
         : false)

#endif
