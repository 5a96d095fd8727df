/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_list.h"
#include "fail.h"

#include <core/alloc.h>
#include <stddef.h>

struct list_object {
    struct el_arena arena;
    _Alignas(max_align_t) char list[];
};

void *el_list_make(size_t list_len, el_list_fill_fn fill, const void *response, const char *noun,
                   struct evlog_failure *failure)
{
    struct list_object *object = el_calloc(1, sizeof *object + list_len);
    if (object != NULL) {
        el_arena_init(&object->arena, NULL, 0);
    }
    if (object == NULL || fill(object->list, &object->arena, response) != 0) {
        el_list_free(object == NULL ? NULL : object->list);
        (void)el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for the list of %s", noun);
        return NULL;
    }
    return object->list;
}

void el_list_free(void *list)
{
    if (list != NULL) {
        struct list_object *object = EL_CONTAINER(list, struct list_object, list);
        el_arena_reset(&object->arena);
        el_free(object);
    }
}
