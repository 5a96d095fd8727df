/* SPDX-License-Identifier: Apache-2.0 */
#include <core/alloc.h>
#include <core/assert.h>
#include <core/buffer.h>
#include <evlog/error.h>

#include <stdbool.h>
#include <stdio.h>

#define BUFFER_CAP_FIRST 256u
#define BUFFER_DOUBLE_MAX (1u << 20) /* from here on a quarter more at a time: of what is long, half would be unused */

/* Make sure that len more bytes fit; growing by a share of itself, so that n appends cost O(n). */
static bool buffer_reserve(struct el_buffer *buffer, size_t len)
{
    if (buffer->err != 0) {
        return false;
    }
    if (len <= buffer->cap - buffer->len) {
        return true;
    }
    size_t need, cap = EL_MAX(buffer->cap, BUFFER_CAP_FIRST);
    if (buffer->fixed || __builtin_add_overflow(buffer->len, len, &need) || need > SIZE_MAX / 4) {
        buffer->err = EVLOG_ERR_NO_MEMORY;
        return false;
    }
    while (cap < need) {
        cap += cap < BUFFER_DOUBLE_MAX ? cap : cap / 4;
    }
    uint8_t *data = el_realloc(buffer->data, cap);
    if (data == NULL) {
        buffer->err = EVLOG_ERR_NO_MEMORY;
        return false;
    }
    buffer->data = data;
    buffer->cap = cap;
    return true;
}

void el_buffer_fix(struct el_buffer *buffer, void *data, size_t cap)
{
    *buffer = (struct el_buffer){.data = data, .cap = cap, .fixed = true};
}

uint8_t *el_buffer_room(struct el_buffer *buffer, size_t len)
{
    EL_ASSERT(buffer->len <= buffer->cap);
    if (!buffer_reserve(buffer, EL_MAX(len, 1u))) {
        return NULL;
    }
    uint8_t *at = buffer->data + buffer->len;
    buffer->len += len;
    return at;
}

void el_buffer_append(struct el_buffer *buffer, const void *data, size_t len)
{
    uint8_t *at = el_buffer_room(buffer, len);
    if (at != NULL && len > 0) {
        memcpy(at, data, len);
    }
}

void el_buffer_append_str(struct el_buffer *buffer, const char *text)
{
    el_buffer_append(buffer, text, strlen(text));
}

void el_buffer_append_char(struct el_buffer *buffer, char c)
{
    el_buffer_append(buffer, &c, 1);
}

void el_buffer_vprintf(struct el_buffer *buffer, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len >= 0 && buffer_reserve(buffer, (size_t)len + 1)) {
        (void)vsnprintf((char *)buffer->data + buffer->len, (size_t)len + 1, format, again);
        buffer->len += (size_t)len;
    } else if (buffer->err == 0) {
        buffer->err = EVLOG_ERR_NO_MEMORY;
    }
    va_end(again);
}

void el_buffer_printf(struct el_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    el_buffer_vprintf(buffer, format, args);
    va_end(args);
}

const char *el_buffer_text(struct el_buffer *buffer)
{
    if (!buffer_reserve(buffer, 1)) {
        return NULL;
    }
    buffer->data[buffer->len] = '\0';
    return (const char *)buffer->data;
}

void el_buffer_reset(struct el_buffer *buffer)
{
    buffer->len = 0;
    buffer->err = 0;
}

void el_buffer_free(struct el_buffer *buffer)
{
    if (!buffer->fixed) {
        el_free(buffer->data);
    }
    *buffer = (struct el_buffer){0};
}
