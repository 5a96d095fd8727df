/* SPDX-License-Identifier: Apache-2.0 */
#include "../../lib/test.h"

#include <core/list.h>

struct node {
    int value;
    struct el_list link;
};

static int value_of(struct el_list *l)
{
    return EL_CONTAINER(l, struct node, link)->value;
}

static void check_values(struct el_list *head, const int *values, size_t count)
{
    size_t i = 0;
    EL_LIST_EACH(l, head) {
        assert_true(i < count);
        assert_int_equal(value_of(l), values[i]);
        assert_ptr_equal(l->next->prev, l);
        assert_ptr_equal(l->prev->next, l);
        i++;
    }
    assert_int_equal(i, count);
}

TEST(list, pushes_at_both_ends_and_pops)
{
    struct node nodes[3] = {{.value = 1}, {.value = 2}, {.value = 3}};
    struct el_list head;
    el_list_init(&head);
    assert_null(el_list_pop_front(&head));
    el_list_push_back(&head, &nodes[1].link);
    el_list_push_back(&head, &nodes[2].link);
    el_list_push_front(&head, &nodes[0].link);
    check_values(&head, (int[]){1, 2, 3}, 3);
    assert_ptr_equal(el_list_pop_front(&head), &nodes[0].link);
    assert_true(el_list_empty(&nodes[0].link));
    el_list_remove(&nodes[0].link); /* an unlinked node may be removed again */
    check_values(&head, (int[]){2, 3}, 2);
}

TEST(list, nodes_may_go_while_walking)
{
    struct node nodes[5];
    struct el_list head;
    el_list_init(&head);
    for (int i = 0; i < 5; i++) {
        nodes[i].value = i;
        el_list_push_back(&head, &nodes[i].link);
    }
    EL_LIST_EACH_SAFE(l, tmp, &head) {
        if (value_of(l) % 2 == 0) {
            el_list_remove(l);
        }
    }
    check_values(&head, (int[]){1, 3}, 2);
}

TEST(list, splice_moves_all)
{
    struct node nodes[4];
    struct el_list a, b;
    el_list_init(&a);
    el_list_init(&b);
    el_list_splice_back(&a, &b);
    assert_true(el_list_empty(&a));
    for (int i = 0; i < 4; i++) {
        nodes[i].value = i;
        el_list_push_back(i < 2 ? &a : &b, &nodes[i].link);
    }
    el_list_splice_back(&a, &b);
    check_values(&a, (int[]){0, 1, 2, 3}, 4);
    assert_true(el_list_empty(&b));
}
