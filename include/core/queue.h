/* SPDX-License-Identifier: Apache-2.0
 *
 * Many producers, one consumer, intrusive: the mailbox between shards and from workers. Push is lock-free and keeps the
 * order of each producer; pop is for the owner only.
 */
#ifndef EL_CORE_QUEUE_H
#define EL_CORE_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct el_qnode {
    struct el_qnode *next;
};

struct el_queue {
    _Atomic(struct el_qnode *) head; /* newest first */
    struct el_qnode *out;            /* taken by the owner, oldest first */
};

static inline void el_queue_init(struct el_queue *q)
{
    atomic_init(&q->head, NULL);
    q->out = NULL;
}
/* returns true when the queue was empty, so that the owner may sleep and must be woken */
static inline bool el_queue_push(struct el_queue *q, struct el_qnode *n)
{
    struct el_qnode *old = atomic_load_explicit(&q->head, memory_order_relaxed);
    do {
        n->next = old;
    } while (!atomic_compare_exchange_weak_explicit(&q->head, &old, n, memory_order_seq_cst, memory_order_relaxed));
    return old == NULL;
}
/* Oldest node, or NULL. Owner only. */
static inline struct el_qnode *el_queue_pop(struct el_queue *q)
{
    if (q->out == NULL) {
        struct el_qnode *n = atomic_exchange_explicit(&q->head, NULL, memory_order_seq_cst);
        while (n != NULL) {
            struct el_qnode *next = n->next;
            n->next = q->out;
            q->out = n;
            n = next;
        }
    }
    struct el_qnode *n = q->out;
    if (n != NULL) {
        q->out = n->next;
    }
    return n;
}
static inline bool el_queue_empty(struct el_queue *q)
{
    return q->out == NULL && atomic_load_explicit(&q->head, memory_order_seq_cst) == NULL;
}

#endif
