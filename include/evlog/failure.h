/* SPDX-License-Identifier: Apache-2.0
 *
 * What went wrong, for programs (code, class, retriable, in doubt) and for people (text, hint).
 *
 * The object is the caller's, usually on the stack:
 *
 *     struct evlog_failure failure = EVLOG_FAILURE_INIT;
 *     if (evlog_client_open(settings, &client, &failure) != 0) {
 *         fprintf(stderr, "%s (%s)\n", failure.text, failure.hint);
 *     }
 *
 * Every function that takes one also takes NULL. It is written on failure only, and never beyond its own size, so that
 * a program built against an older header keeps working.
 */
#ifndef EVLOG_FAILURE_H
#define EVLOG_FAILURE_H

#include <evlog/error.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EVLOG_FAILURE_TEXT_MAX 512
#define EVLOG_FAILURE_HINT_MAX 256

struct evlog_failure {
    size_t size;                        /* sizeof(struct evlog_failure), set by EVLOG_FAILURE_INIT */
    int code;                           /* EVLOG_ERR_, 0 when nothing failed */
    int kafka_code;                     /* code that the broker sent, 0 when it sent none */
    enum evlog_error_class error_class; /* what to do about it */
    bool retriable;                     /* the same call may succeed later */
    bool in_doubt;                      /* the broker may or may not have done it */
    char text[EVLOG_FAILURE_TEXT_MAX];  /* one sentence with names and numbers; may be cut */
    char hint[EVLOG_FAILURE_HINT_MAX];  /* what to try, empty when nothing helps */
};

#define EVLOG_FAILURE_INIT                                                                                             \
    {                                                                                                                  \
        .size = sizeof(struct evlog_failure)                                                                           \
    }

#ifdef __cplusplus
}
#endif
#endif
