/* SPDX-License-Identifier: Apache-2.0
 *
 * Everybody is told that evlogd serves, and where: by a line on stdout, one in the log, and to systemd. Main thread.
 */
#ifndef EL_READY_H
#define EL_READY_H

#include <shard.h>

/* shards [shard_count] have their listeners; http_port is of no account when HTTP is off. */
void ready_print(const struct config *cfg, const struct shard *shards, uint32_t shard_count, uint16_t http_port);

#endif
