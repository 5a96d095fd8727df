/* SPDX-License-Identifier: Apache-2.0 */
#include <core/alloc.h>
#include <core/assert.h>

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t alloc_live;    /* blocks handed out and not yet freed */
static _Atomic uint64_t alloc_count;   /* allocations since el_alloc_fail_at() */
static _Atomic uint64_t alloc_fail_at; /* the one that fails, 0 for none */
static _Thread_local bool alloc_sealed;

/* Count one allocation; returns false when this is the one that must fail. */
static bool alloc_admit(void)
{
    EL_ASSERT(!alloc_sealed);
    uint64_t n = atomic_fetch_add_explicit(&alloc_count, 1, memory_order_relaxed) + 1;
    return n != atomic_load_explicit(&alloc_fail_at, memory_order_relaxed);
}

static void *alloc_counted(void *ptr)
{
    if (ptr != NULL) {
        atomic_fetch_add_explicit(&alloc_live, 1, memory_order_relaxed);
    }
    return ptr;
}

void *el_malloc(size_t len)
{
    if (!alloc_admit()) {
        return NULL;
    }
    return alloc_counted(malloc(len == 0 ? 1 : len));
}

void *el_calloc(size_t count, size_t len)
{
    size_t total;
    if (!alloc_admit() || __builtin_mul_overflow(count, len, &total)) {
        return NULL;
    }
    return alloc_counted(calloc(1, total == 0 ? 1 : total));
}

void *el_realloc(void *ptr, size_t len)
{
    if (ptr == NULL) {
        return el_malloc(len);
    }
    if (!alloc_admit()) {
        return NULL;
    }
    return realloc(ptr, len == 0 ? 1 : len);
}

void el_free(void *ptr)
{
    if (ptr == NULL) {
        return;
    }
    uint64_t before = atomic_fetch_sub_explicit(&alloc_live, 1, memory_order_relaxed);
    EL_ASSERT(before > 0);
    free(ptr);
}

char *el_strdup(const char *text)
{
    return el_memdup(text, strlen(text) + 1);
}

char *el_format(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *text = len < 0 ? NULL : el_malloc((size_t)len + 1);
    if (text != NULL) {
        (void)vsnprintf(text, (size_t)len + 1, format, again);
    }
    va_end(again);
    va_end(args);
    return text;
}

void *el_memdup(const void *data, size_t len)
{
    void *copy = el_malloc(len);
    if (copy != NULL && len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

bool el_alloc_seal(bool sealed)
{
    bool before = alloc_sealed;
    alloc_sealed = sealed;
    return before;
}

void el_alloc_fail_at(uint64_t n)
{
    atomic_store(&alloc_count, 0);
    atomic_store(&alloc_fail_at, n);
}

uint64_t el_alloc_count(void)
{
    return atomic_load(&alloc_count);
}

uint64_t el_alloc_live(void)
{
    return atomic_load(&alloc_live);
}
