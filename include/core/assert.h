/* SPDX-License-Identifier: Apache-2.0
 *
 * Assertions. On in release: they state what must hold for correct code, never what disk or network bytes must look
 * like. A failed one prints file, line and condition and aborts; recovery then finds only durable state.
 */
#ifndef EL_CORE_ASSERT_H
#define EL_CORE_ASSERT_H

/* Print "file:line: assertion failed: text" to stderr and abort. */
_Noreturn void el_assert_fail(const char *file, int line, const char *text);

#define EL_ASSERT(cond)                                                                                                \
    do {                                                                                                               \
        if (__builtin_expect(!(cond), 0)) {                                                                            \
            el_assert_fail(__FILE__, __LINE__, #cond);                                                                 \
        }                                                                                                              \
    } while (0)

#define EL_STATIC_ASSERT(cond, why) _Static_assert(cond, why)

#ifdef EL_DEBUG
#define EL_DEBUG_ASSERT(cond) EL_ASSERT(cond)
#else
#define EL_DEBUG_ASSERT(cond) ((void)0)
#endif

/* Long-lived objects begin with a magic; check it where one arrives through void * or a completion. */
#define OBJ_MAGIC(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define OBJ_CHECK(ptr, NAME) EL_ASSERT((ptr) != NULL && (ptr)->magic == NAME##_MAGIC)

#endif
