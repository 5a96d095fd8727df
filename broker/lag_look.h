/* SPDX-License-Identifier: Apache-2.0
 *
 * A look at how far groups are behind, for the page of metrics: the HTTP thread asks all shards and waits a moment.
 */
#ifndef EL_LAG_LOOK_H
#define EL_LAG_LOOK_H

#include <obs/lag.h>
#include <shard.h>

struct lag_look;

/* shards[count] are borrowed; they outlive it. rows_max above 0. returns 0 | EVLOG_ERR_NO_MEMORY */
int lag_look_create(struct shard *shards, uint32_t count, uint32_t rows_max, struct lag_look **look);
/* After the shards' threads have ended. NULL is ignored. */
void lag_look_destroy(struct lag_look *look);
/* Ask, one thread at a time, while the shards run; at most LAG_WAIT_MS. What page refers to stays as it is until the
 * next call. */
#define LAG_WAIT_MS 250
void lag_look_take(struct lag_look *look, struct lag_page *page);

#endif
