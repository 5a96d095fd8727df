/* SPDX-License-Identifier: Apache-2.0
 *
 * Events that only the archive has come back to this disk, where the topic's local.retention says that they belong
 * there: after a start from the archive, or when the setting was raised. Owner shard only.
 */
#ifndef EL_STORAGE_REFILL_H
#define EL_STORAGE_REFILL_H

#include <storage/shard_state.h>

/* At intervals, each second while something is to come back, and when one has: begin with another segment, when none
 * is under way and one is due. */
void refill_look(struct store_shard *shard);
/* Does something come back to this partition now? */
bool refill_is_of(const struct partition *part);
/* The store closes: free what it holds. */
void refill_free(struct store_shard *shard);

#endif
