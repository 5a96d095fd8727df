/* SPDX-License-Identifier: Apache-2.0
 *
 * Timers of a shard: a binary heap of borrowed struct io_timer, the earliest at [1]. Also the inbox loop that every
 * backend runs.
 *
 * The heap lives in address space of its own, reserved at the first timer and touched on use, so that arming a timer
 * never calls malloc and cannot fail for a reason that a caller could handle.
 */
#include <core/assert.h>
#include <io/io.h>

#include <sys/mman.h>

#define TIMER_MAX_FIRST (1u << 20) /* 8 MiB of address space; far above one timer per connection */

static size_t heap_len(uint32_t timer_max)
{
    return ((size_t)timer_max + 1) * sizeof(struct io_timer *);
}

static void heap_grow(struct io *io)
{
    void *heap;
    uint32_t timer_max = TIMER_MAX_FIRST;
    if (io->timers == NULL) {
        heap = mmap(NULL, heap_len(timer_max), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                    0);
    } else {
        timer_max = io->timer_max * 2;
        heap = mremap(io->timers, heap_len(io->timer_max), heap_len(timer_max), MREMAP_MAYMOVE);
    }
    EL_ASSERT(heap != MAP_FAILED);
    io->timers = heap;
    io->timer_max = timer_max;
}

static void heap_put(struct io *io, uint32_t index, struct io_timer *timer)
{
    EL_ASSERT(index >= 1);
    EL_ASSERT(index <= io->timer_max);
    io->timers[index] = timer;
    timer->heap_index = index;
}

static void heap_up(struct io *io, uint32_t index)
{
    struct io_timer *timer = io->timers[index];
    while (index > 1 && io->timers[index / 2]->at_ns > timer->at_ns) {
        heap_put(io, index, io->timers[index / 2]);
        index /= 2;
    }
    heap_put(io, index, timer);
}

static void heap_down(struct io *io, uint32_t index)
{
    struct io_timer *timer = io->timers[index];
    for (;;) {
        uint32_t child = index * 2;
        if (child > io->timer_count) {
            break;
        }
        if (child < io->timer_count && io->timers[child + 1]->at_ns < io->timers[child]->at_ns) {
            child++;
        }
        if (io->timers[child]->at_ns >= timer->at_ns) {
            break;
        }
        heap_put(io, index, io->timers[child]);
        index = child;
    }
    heap_put(io, index, timer);
}

void io_timer_set(struct io *io, struct io_timer *timer, uint64_t at_ns)
{
    EL_ASSERT(timer->fire != NULL);
    timer->at_ns = at_ns;
    if (timer->heap_index == 0) {
        if (io->timers == NULL || io->timer_count == io->timer_max) {
            heap_grow(io);
        }
        heap_put(io, ++io->timer_count, timer);
    }
    EL_ASSERT(timer->heap_index <= io->timer_count);
    EL_ASSERT(io->timers[timer->heap_index] == timer);
    heap_up(io, timer->heap_index);
    heap_down(io, timer->heap_index);
}

void io_timer_cancel(struct io *io, struct io_timer *timer)
{
    uint32_t index = timer->heap_index;
    if (index == 0) {
        return;
    }
    EL_ASSERT(index <= io->timer_count);
    EL_ASSERT(io->timers[index] == timer);
    timer->heap_index = 0;
    struct io_timer *last = io->timers[io->timer_count--];
    if (last == timer) {
        return;
    }
    heap_put(io, index, last);
    heap_up(io, index);
    heap_down(io, last->heap_index);
}

uint64_t io_timer_next(const struct io *io)
{
    return io->timer_count == 0 ? UINT64_MAX : io->timers[1]->at_ns;
}

/* A timer that arms itself for now again runs in the next step: one round is at most the timers armed at its start. */
void io_timer_run(struct io *io)
{
    for (uint32_t left = io->timer_count; left > 0 && io_timer_next(io) <= io->now_ns; left--) {
        struct io_timer *timer = io->timers[1];
        EL_ASSERT(timer->heap_index == 1);
        io_timer_cancel(io, timer);
        timer->fire(timer);
    }
}

void io_timer_free(struct io *io)
{
    if (io->timers != NULL) {
        munmap(io->timers, heap_len(io->timer_max));
    }
    io->timers = NULL;
    io->timer_count = io->timer_max = 0;
}

void io_inbox_run(struct io *io)
{
    struct el_qnode *node = el_queue_pop(&io->inbox);
    while (node != NULL) {
        struct io_message *message = EL_CONTAINER(node, struct io_message, node);
        message->run(message);
        node = el_queue_pop(&io->inbox);
    }
}
