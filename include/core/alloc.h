/* SPDX-License-Identifier: Apache-2.0
 *
 * The one way to the C heap. Counted, and able to fail the n-th call on purpose (torture tests). In the broker a shard
 * thread calls none of these after el_alloc_seal(): it uses el_buddy, el_arena and el_pool.
 */
#ifndef EL_CORE_ALLOC_H
#define EL_CORE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As malloc, calloc, realloc, free; NULL on failure. len 0 is allowed and gives a non-NULL pointer. */
void *el_malloc(size_t len) __attribute__((malloc));
void *el_calloc(size_t count, size_t len) __attribute__((malloc));
void *el_realloc(void *ptr, size_t len);
void el_free(void *ptr);
char *el_strdup(const char *text);
/* What printf would print. NULL: no memory. */
char *el_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *el_memdup(const void *data, size_t len);

/* From now on an allocation on the calling thread is an assertion failure. Per thread; false lifts it.
 * returns what was so before */
bool el_alloc_seal(bool sealed);

/* Torture: make the n-th allocation from now (1 = the next) fail once; 0 switches it off. Process-wide, tests only. */
void el_alloc_fail_at(uint64_t n);
/* Allocations since el_alloc_fail_at() was called, and blocks now alive. */
uint64_t el_alloc_count(void);
uint64_t el_alloc_live(void);

#endif
