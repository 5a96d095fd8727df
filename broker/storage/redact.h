/* SPDX-License-Identifier: Apache-2.0
 *
 * Redaction on a shard: store_redact(). Owner shard only.
 */
#ifndef EL_STORAGE_REDACT_H
#define EL_STORAGE_REDACT_H

#include <storage/shard_state.h>

/* The shard stops: what is under way ends as soon as it can. */
void redact_stop(struct store_shard *shard);
/* The store closes: free what it holds. */
void redact_free(struct store_shard *shard);

#endif
