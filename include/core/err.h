/* SPDX-License-Identifier: Apache-2.0
 *
 * Error text for cold paths (open, recover, parse, configure, connect). The place that finds the fault writes numbers
 * and names; each level above may put words in front. Hot paths return the code only.
 */
#ifndef EL_CORE_ERR_H
#define EL_CORE_ERR_H

#include <evlog/error.h>

#define EL_ERROR_TEXT_MAX 512

struct el_error {
    int code;                     /* EVLOG_ERR_, 0 when nothing failed */
    char text[EL_ERROR_TEXT_MAX]; /* NUL-terminated, cut when longer */
};

/* Set code and text; returns code, so that `return el_error_set(...)` reads well. err may be NULL. */
int el_error_set(struct el_error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Put "prefix: " before the text that is there; returns err->code (0 when err is NULL). */
int el_error_wrap(struct el_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The EVLOG_ERR_ code that stands for an errno value (ENOSPC -> NO_SPACE, EMFILE -> NO_FILES, ENOENT -> NOT_FOUND,
 * EEXIST -> EXISTS, ENOMEM -> NO_MEMORY, EAGAIN -> AGAIN, ECONNREFUSED and the like -> UNREACHABLE, else IO). Always
 * negative. */
int el_error_from_errno(int errno_value);

#endif
