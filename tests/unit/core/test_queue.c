/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: nothing is lost or doubled, each producer's order is kept, and the wake-up rule (true for a push into an empty
 * queue) never leaves a sleeper with work.
 * Method: two producers against one consumer, which sleeps on a semaphore and is woken by that rule alone.
 */
#include "../../lib/test.h"

#include <core/bytes.h>
#include <core/queue.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#define PRODUCERS 2
#define MESSAGES 50000

struct message {
    struct el_qnode node;
    unsigned producer;
    unsigned number;
};

struct mailbox {
    struct el_queue queue;
    sem_t wake;
};

struct producer {
    struct mailbox *mailbox;
    struct message *messages;
    unsigned index;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct message *m = &p->messages[i];
        m->producer = p->index;
        m->number = i;
        if (el_queue_push(&p->mailbox->queue, &m->node)) {
            (void)sem_post(&p->mailbox->wake);
        }
    }
    return NULL;
}

TEST(queue, keeps_order_and_wakes_with_two_producers)
{
    struct mailbox mailbox;
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    unsigned next[PRODUCERS] = {0};
    el_queue_init(&mailbox.queue);
    assert_int_equal(sem_init(&mailbox.wake, 0, 0), 0);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){&mailbox, calloc(MESSAGES, sizeof(struct message)), i};
        assert_non_null(producers[i].messages);
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (unsigned count = 0; count < PRODUCERS * MESSAGES;) {
        struct el_qnode *node = el_queue_pop(&mailbox.queue);
        if (node == NULL) {
            while (sem_wait(&mailbox.wake) != 0) {
            }
            continue;
        }
        struct message *m = EL_CONTAINER(node, struct message, node);
        assert_int_equal(m->number, next[m->producer]);
        next[m->producer]++;
        count++;
    }
    assert_true(el_queue_empty(&mailbox.queue));
    for (unsigned i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(next[i], MESSAGES);
        free(producers[i].messages);
    }
    (void)sem_destroy(&mailbox.wake);
}

TEST(queue, first_in_first_out_and_tells_when_it_was_empty)
{
    struct el_queue q;
    struct el_qnode nodes[4];
    el_queue_init(&q);
    assert_true(el_queue_empty(&q));
    assert_null(el_queue_pop(&q));
    assert_true(el_queue_push(&q, &nodes[0]));
    assert_false(el_queue_push(&q, &nodes[1]));
    assert_ptr_equal(el_queue_pop(&q), &nodes[0]);
    assert_true(el_queue_push(&q, &nodes[2])); /* the shared side is empty: the owner holds the rest */
    assert_false(el_queue_empty(&q));
    assert_ptr_equal(el_queue_pop(&q), &nodes[1]);
    assert_ptr_equal(el_queue_pop(&q), &nodes[2]);
    assert_null(el_queue_pop(&q));
    assert_true(el_queue_empty(&q));
}
