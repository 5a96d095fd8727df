/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists that a program gets of the broker: a list and all that it points to lie in one arena, so that one free gives
 * all of it back. Pure memory, any thread.
 */
#ifndef EL_CLIENT_ADMIN_LIST_H
#define EL_CLIENT_ADMIN_LIST_H

#include "client_core.h"

/* Make the list of an answer.
 *
 * list      zeroed
 * response  struct of the api's answer
 * returns   0 | EVLOG_ERR_NO_MEMORY
 */
typedef int (*el_list_fill_fn)(void *list, struct el_arena *arena, const void *response);

/* noun     "rules", for the text of the failure
 * returns  NULL: no memory, told */
void *el_list_make(size_t list_len, el_list_fill_fn fill, const void *response, const char *noun,
                   struct evlog_failure *failure);
/* NULL is allowed. */
void el_list_free(void *list);

#endif
