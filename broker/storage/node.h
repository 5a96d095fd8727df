/* SPDX-License-Identifier: Apache-2.0
 *
 * The node file: which data directory this is and how its last run ended. Written under a temporary name, synced,
 * renamed, folder synced. docs/format.md section 2.
 */
#ifndef EL_STORAGE_NODE_H
#define EL_STORAGE_NODE_H

#include <core/err.h>
#include <format/node_layout.h>
#include <io/disk.h>

/* returns 0 | EVLOG_ERR_NOT_FOUND no node file | _CORRUPT | _FORMAT | _IO */
int node_load(struct disk *disk, struct el_node *node, struct el_error *err);
/* Replace the file durably. */
int node_store(struct disk *disk, const struct el_node *node, struct el_error *err);

#endif
