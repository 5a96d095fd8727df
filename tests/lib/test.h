/* SPDX-License-Identifier: Apache-2.0
 *
 * TEST(suite, claim) registers itself with the program it is linked into; tests/lib/test_main.c runs all of them
 * through cmocka. Name a test as a claim: TEST(segment, roll_keeps_unsynced_tail).
 *
 * TEST_TORTURE(suite, claim) additionally runs the body once per heap allocation it makes, failing the n-th one: the
 * body must not crash or leak, and says through el_test_failing() that an error is then a fair result.
 */
#ifndef EL_TEST_H
#define EL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct el_test {
    const char *name; /* "suite.claim" */
    void (*body)(void);
    bool torture;
    struct el_test *next;
};

void el_test_register(struct el_test *test);
/* True while an allocation is being failed on purpose. */
bool el_test_failing(void);
/* A fresh temporary folder, removed at exit; static storage until the next call. */
const char *el_test_dir(void);
/* True when body, run in a forked child with stderr closed off, ends by abort(): the way to test an assertion. */
bool el_test_aborts(void (*body)(void *arg), void *arg);
/* Between true and false a sanitizer does not ask who frees what is allocated: a simulated process is killed then. */
void el_test_may_leak(bool may);
/* Leave the running test as skipped, with a reason that is printed. */
_Noreturn void el_test_skip(const char *reason);

#define EL_TEST_DEFINE(suite, claim, torture_)                                                                         \
    static void suite##_##claim(void);                                                                                 \
    static struct el_test el_test_##suite##_##claim = {#suite "." #claim, suite##_##claim, torture_, NULL};            \
    __attribute__((constructor)) static void el_test_add_##suite##_##claim(void)                                       \
    {                                                                                                                  \
        el_test_register(&el_test_##suite##_##claim);                                                                  \
    }                                                                                                                  \
    static void suite##_##claim(void)

#define TEST(suite, claim) EL_TEST_DEFINE(suite, claim, false)
#define TEST_TORTURE(suite, claim) EL_TEST_DEFINE(suite, claim, true)

#endif
