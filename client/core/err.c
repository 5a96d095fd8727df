/* SPDX-License-Identifier: Apache-2.0 */
#include <core/err.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Formatted into a local first: err->text may itself be one of the arguments. */
int el_error_set(struct el_error *err, int code, const char *format, ...)
{
    if (err == NULL) {
        return code;
    }
    char text[EL_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    err->code = code;
    memcpy(err->text, len < 0 ? "" : text, len < 0 ? 1 : strlen(text) + 1);
    return code;
}

/* Append what fits. */
static void append_cut(char text[EL_ERROR_TEXT_MAX], size_t *used, const char *more)
{
    size_t len = strnlen(more, EL_ERROR_TEXT_MAX - 1 - *used);
    memcpy(text + *used, more, len);
    *used += len;
    text[*used] = '\0';
}

int el_error_wrap(struct el_error *err, const char *format, ...)
{
    if (err == NULL) {
        return 0;
    }
    char text[EL_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0) {
        return err->code;
    }
    size_t used = strlen(text);
    append_cut(text, &used, ": ");
    append_cut(text, &used, err->text);
    memcpy(err->text, text, used + 1);
    return err->code;
}

int el_error_from_errno(int errno_value)
{
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return EVLOG_ERR_NO_SPACE;
    case EMFILE:
    case ENFILE:
        return EVLOG_ERR_NO_FILES;
    case ENOENT:
        return EVLOG_ERR_NOT_FOUND;
    case EEXIST:
        return EVLOG_ERR_EXISTS;
    case ENOMEM:
        return EVLOG_ERR_NO_MEMORY;
    case EAGAIN:
    case EINTR:
        return EVLOG_ERR_AGAIN;
    case ETIMEDOUT:
        return EVLOG_ERR_TIMED_OUT;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EADDRNOTAVAIL:
        return EVLOG_ERR_UNREACHABLE;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
        return EVLOG_ERR_CLOSED;
    default:
        return EVLOG_ERR_IO;
    }
}
