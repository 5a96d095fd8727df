/* SPDX-License-Identifier: Apache-2.0
 *
 * Intrusive doubly linked list with a sentinel head. An unlinked node points to itself.
 */
#ifndef EL_CORE_LIST_H
#define EL_CORE_LIST_H

#include <core/bytes.h>
#include <stdbool.h>

struct el_list {
    struct el_list *next;
    struct el_list *prev;
};

static inline void el_list_init(struct el_list *l) { l->next = l->prev = l; }
static inline bool el_list_empty(const struct el_list *l) { return l->next == l; }
static inline void el_list_insert_between(struct el_list *n, struct el_list *prev, struct el_list *next)
{
    n->prev = prev;
    n->next = next;
    prev->next = n;
    next->prev = n;
}
static inline void el_list_push_back(struct el_list *head, struct el_list *n)
{
    el_list_insert_between(n, head->prev, head);
}
static inline void el_list_push_front(struct el_list *head, struct el_list *n)
{
    el_list_insert_between(n, head, head->next);
}
static inline void el_list_remove(struct el_list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    el_list_init(n);
}
/* First node, unlinked; NULL when empty. */
static inline struct el_list *el_list_pop_front(struct el_list *head)
{
    struct el_list *n = head->next;
    if (n == head) {
        return NULL;
    }
    el_list_remove(n);
    return n;
}
/* Move all nodes of from to the end of to; from is empty afterwards. */
static inline void el_list_splice_back(struct el_list *to, struct el_list *from)
{
    if (el_list_empty(from)) {
        return;
    }
    struct el_list *first = from->next, *last = from->prev;
    first->prev = to->prev;
    to->prev->next = first;
    last->next = to;
    to->prev = last;
    el_list_init(from);
}

#define EL_LIST_EACH(node, head) for (struct el_list *node = (head)->next; node != (head); node = node->next)
/* The node may be removed inside the loop. */
#define EL_LIST_EACH_SAFE(node, tmp, head)                                                                             \
    for (struct el_list *node = (head)->next, *tmp = node->next; node != (head); node = tmp, tmp = node->next)

#endif
