/* SPDX-License-Identifier: Apache-2.0
 *
 * What every object store must do, whichever it is.
 */
#ifndef EL_TEST_STORE_CASES_H
#define EL_TEST_STORE_CASES_H

#include <store/object_store.h>

/* Keys that are none: refused by every call that takes one. */
void store_refuses_bad_keys(struct object_store *store);
/* Put, EXISTS, get in ranges, head, remove. */
void store_keeps_what_was_put(struct object_store *store);
/* Listing in byte order of whole keys, by prefix, above a key, ended early. */
void store_lists_in_order(struct object_store *store);
void store_stops(struct object_store *store);

int store_put_text(struct object_store *store, const char *key, const char *text);
/* Keys as "a b c", of at most 1,023 bytes; static storage. */
const char *store_keys(struct object_store *store, const char *prefix, const char *after);

#endif
