/* SPDX-License-Identifier: Apache-2.0
 *
 * main() of every unit-test program: runs what TEST() registered, in the order of names, through cmocka.
 *
 * usage: unit_<layer> [--list] [SUBSTRING]
 *
 * 1. tests whose name contains SUBSTRING are run; a failed assertion ends that test only
 * 2. a torture test is run once as it is, then again failing allocation 1, 2, 3 ... until a run makes fewer allocations
 *    than that; after each the count of blocks alive must be what it was
 * 3. the last line is "N passed, N failed[, N skipped]"; tests/run-unit adds these up
 *
 * Exit: 0 all passed, 1 a failure, no such test or wrong use, 77 when everything was skipped.
 */
#include "test.h"
#include <core/alloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TORTURE_RUNS_MAX 100000u

static struct el_test *test_list;
static size_t skipped_count;
static uint64_t failing_at; /* the allocation that fails in this run, 0 for none */

void el_test_register(struct el_test *test)
{
    struct el_test **at = &test_list;
    while (*at != NULL && strcmp((*at)->name, test->name) < 0) {
        at = &(*at)->next;
    }
    test->next = *at;
    *at = test;
}

bool el_test_failing(void)
{
    return failing_at != 0;
}

/* Of sanitizers, where there are any. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

void el_test_may_leak(bool may)
{
    void (*say)(void) = may ? __lsan_disable : __lsan_enable;
    if (say != NULL) {
        say();
    }
}

_Noreturn void el_test_skip(const char *reason)
{
    printf("skipped: %s\n", reason);
    skipped_count++;
    skip();
    abort();
}

static void case_torture(const struct el_test *test)
{
    uint64_t live = el_alloc_live();
    for (failing_at = 1; failing_at <= TORTURE_RUNS_MAX; failing_at++) {
        el_alloc_fail_at(failing_at);
        test->body();
        uint64_t count = el_alloc_count();
        el_alloc_fail_at(0);
        if (el_alloc_live() != live) {
            fail_msg("%llu blocks alive, %llu before", (unsigned long long)el_alloc_live(), (unsigned long long)live);
        }
        if (count < failing_at) {
            failing_at = 0;
            return;
        }
    }
    fail_msg("more than %u allocations", TORTURE_RUNS_MAX);
}

static void case_run(void **state)
{
    const struct el_test *test = *state;
    failing_at = 0;
    el_alloc_fail_at(0);
    uint64_t live = el_alloc_live();
    test->body();
    if (test->torture) {
        if (el_alloc_live() != live) {
            fail_msg("%llu blocks alive, %llu before", (unsigned long long)el_alloc_live(), (unsigned long long)live);
        }
        case_torture(test);
    }
}

/* Runs after a failed test too, which has left case_run() by a jump. */
static int case_finish(void **state)
{
    (void)state;
    if (failing_at != 0) {
        printf("the failure came while allocation %llu was failed on purpose\n", (unsigned long long)failing_at);
        failing_at = 0;
    }
    el_alloc_fail_at(0);
    el_alloc_seal(false);
    (void)fflush(stdout);
    return 0;
}

static size_t select_tests(const char *filter, struct CMUnitTest *chosen)
{
    size_t count = 0;
    for (struct el_test *test = test_list; test != NULL; test = test->next) {
        if (strstr(test->name, filter) == NULL) {
            continue;
        }
        if (chosen != NULL) {
            chosen[count] = (struct CMUnitTest){test->name, case_run, NULL, case_finish, test};
        }
        count++;
    }
    return count;
}

static int list_tests(void)
{
    for (struct el_test *test = test_list; test != NULL; test = test->next) {
        printf("%s\n", test->name);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        return list_tests();
    }
    if (argc > 2 || (argc > 1 && argv[1][0] == '-')) {
        (void)fprintf(stderr, "usage: %s [--list] [SUBSTRING]\n", argv[0]);
        return 1;
    }
    const char *filter = argc > 1 ? argv[1] : "";
    size_t count = select_tests(filter, NULL);
    if (count == 0) {
        (void)fprintf(stderr, "no test has \"%s\" in its name\n", filter);
        return 1;
    }
    struct CMUnitTest *chosen = calloc(count, sizeof(*chosen));
    if (chosen == NULL) {
        return 1;
    }
    (void)select_tests(filter, chosen);
    int failed = _cmocka_run_group_tests("tests", chosen, count, NULL, NULL);
    free(chosen);
    size_t failed_count = failed < 0 ? count : (size_t)failed;
    (void)fflush(stderr);
    printf("%zu passed, %zu failed", count - failed_count - skipped_count, failed_count);
    if (skipped_count > 0) {
        printf(", %zu skipped", skipped_count);
    }
    printf("\n");
    if (failed_count > 0) {
        return 1;
    }
    return skipped_count == count ? 77 : 0;
}
