/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the files of store-driver.
 */
#ifndef EL_TEST_STORE_DRIVER_H
#define EL_TEST_STORE_DRIVER_H

#include <core/buffer.h>
#include <store/object_store.h>

/* Make a small archive, read and verify it: sequence of the root, batches read, of how many. */
int driver_archive(struct object_store *store, struct el_buffer *words, struct el_error *err);

#endif
