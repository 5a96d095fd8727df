/* SPDX-License-Identifier: Apache-2.0
 *
 * Fibers over ucontext. Stacks are kept for the next fiber. AddressSanitizer is told of every switch.
 */
#include "fiber.h"

#include <core/assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#define STACK_LEN (512u << 10)

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#ifndef FIBER_ASAN
#define FIBER_ASAN 0
#endif

#if FIBER_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack, const void *bottom, size_t len);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom, size_t *len);
#endif

struct stack {
    struct stack *next; /* of the free ones; lies in the stack */
};

struct fiber {
    ucontext_t own, caller;
    void (*fn)(void *arg);
    void *arg;
    void *stack;
    void *fake_stack; /* AddressSanitizer's, of whoever does not run */
    const void *caller_stack;
    size_t caller_stack_len;
    bool ended;
};

static struct fiber *running;
static struct stack *free_stacks;

static void *stack_get(void)
{
    struct stack *stack = free_stacks;
    if (stack != NULL) {
        free_stacks = stack->next;
        return stack;
    }
    void *fresh = mmap(NULL, STACK_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EL_ASSERT(fresh != MAP_FAILED);
    return fresh;
}

static void stack_put(void *p)
{
    struct stack *stack = p;
    stack->next = free_stacks;
    free_stacks = stack;
}

/* Called on the side that leaves, just before the switch, and on the side that arrives, just after it. */
static void leave(void **fake_stack, const void *bottom, size_t len)
{
#if FIBER_ASAN
    __sanitizer_start_switch_fiber(fake_stack, bottom, len);
#else
    (void)fake_stack, (void)bottom, (void)len;
#endif
}
static void arrive(void *fake_stack, const void **bottom, size_t *len)
{
#if FIBER_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, bottom, len);
#else
    (void)fake_stack, (void)bottom, (void)len;
#endif
}

static void fiber_main(void)
{
    struct fiber *fiber = running;
    arrive(NULL, &fiber->caller_stack, &fiber->caller_stack_len);
    fiber->fn(fiber->arg);
    fiber->ended = true;
    leave(NULL, fiber->caller_stack, fiber->caller_stack_len); /* for good */
    swapcontext(&fiber->own, &fiber->caller);
}

struct fiber *fiber_create(void (*fn)(void *arg), void *arg)
{
    struct fiber *fiber = calloc(1, sizeof(*fiber));
    EL_ASSERT(fiber != NULL);
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->stack = stack_get();
    int rc = getcontext(&fiber->own);
    EL_ASSERT(rc == 0);
    fiber->own.uc_stack.ss_sp = fiber->stack;
    fiber->own.uc_stack.ss_size = STACK_LEN;
    fiber->own.uc_link = NULL;
    makecontext(&fiber->own, fiber_main, 0);
    return fiber;
}

bool fiber_run(struct fiber *fiber)
{
    void *fake_stack = NULL;
    EL_ASSERT(running == NULL);
    running = fiber;
    leave(&fake_stack, fiber->stack, STACK_LEN);
    swapcontext(&fiber->caller, &fiber->own);
    arrive(fake_stack, NULL, NULL);
    running = NULL;
    if (!fiber->ended) {
        return false;
    }
    stack_put(fiber->stack);
    free(fiber);
    return true;
}

bool fiber_pause(void)
{
    struct fiber *fiber = running;
    if (fiber == NULL) {
        return false;
    }
    leave(&fiber->fake_stack, fiber->caller_stack, fiber->caller_stack_len);
    swapcontext(&fiber->own, &fiber->caller);
    arrive(fiber->fake_stack, &fiber->caller_stack, &fiber->caller_stack_len);
    return true;
}
