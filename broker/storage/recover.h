/* SPDX-License-Identifier: Apache-2.0
 *
 * Bringing a data directory back after a start. Blocking, on the main thread, before any shard runs. docs/format.md
 * section 7.
 */
#ifndef EL_STORAGE_RECOVER_H
#define EL_STORAGE_RECOVER_H

#include <storage/node.h>
#include <storage/shard_state.h>

/* Recover every shard, the catalogue first; then open the journals for this start.
 *
 * returns 0 | EVLOG_ERR_CORRUPT | _FORMAT | _IO | _NO_MEMORY ...; nothing that was stored is changed before it is
 *         certain that recovery succeeds
 */
int store_recover(struct store *store, struct el_error *err);
/* Make the folders of a new data directory, or of more shards. */
int store_make_dirs(struct disk *disk, uint32_t shard_count, struct el_error *err);

#endif
