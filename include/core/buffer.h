/* SPDX-License-Identifier: Apache-2.0
 *
 * Growing byte buffer on the heap with a sticky error: after the first failure appends do nothing, so a writer checks
 * err once at its end. All zero is a valid empty buffer. One thread.
 */
#ifndef EL_CORE_BUFFER_H
#define EL_CORE_BUFFER_H

#include <core/bytes.h>
#include <stdarg.h>
#include <stdbool.h>

struct el_buffer {
    uint8_t *data; /* [cap], NULL before the first append */
    size_t len;    /* bytes in use */
    size_t cap;    /* bytes allocated */
    int err;       /* 0 or EVLOG_ERR_NO_MEMORY */
    bool fixed;    /* memory of the caller's, see el_buffer_fix(): it does not grow and is not freed */
};

/* A buffer in the caller's memory, for threads that may not use the heap; what has no room is EVLOG_ERR_NO_MEMORY. */
void el_buffer_fix(struct el_buffer *buffer, void *data, size_t cap);

/* Room for len bytes at the end, counted at once and to be filled by the caller; NULL when memory is short. */
uint8_t *el_buffer_room(struct el_buffer *buffer, size_t len);
void el_buffer_append(struct el_buffer *buffer, const void *data, size_t len);
void el_buffer_append_str(struct el_buffer *buffer, const char *text);
void el_buffer_append_char(struct el_buffer *buffer, char c);
/* Append as printf does, without the NUL. */
void el_buffer_printf(struct el_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void el_buffer_vprintf(struct el_buffer *buffer, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
/* The bytes with a NUL behind them (not counted in len); NULL when the buffer failed. Valid until the next change. */
const char *el_buffer_text(struct el_buffer *buffer);
/* Drop the bytes and the error, keep the memory. */
void el_buffer_reset(struct el_buffer *buffer);
/* Give the memory back; the buffer is empty and can be used again. */
void el_buffer_free(struct el_buffer *buffer);

static inline struct el_slice el_buffer_slice(const struct el_buffer *buffer)
{
    return el_slice_of(buffer->data, buffer->len);
}

#endif
