/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and rules at a start: the keys that open them, and whether they could be opened. Main thread.
 */
#ifndef EL_ACCESS_GATE_H
#define EL_ACCESS_GATE_H

#include <access/access_keys.h>
#include <shard.h>

/* Keys of the data directory, behind those of access.key when it names a file. Nothing is written: that is done when
 * what lies in the log can be opened.
 *
 * returns  0 | EVLOG_ERR_INVALID_CONFIG with a text that names the file and the remedy
 */
int access_gate_open(const struct config *cfg, const char *data_path, struct disk *disk, struct access_keys *keys,
                     struct el_error *err);
/* How far shards have come, which say so by shard.on_access.
 *
 * returns  0 all have read, or have said in the log why they cannot | EVLOG_ERR_AGAIN some have not |
 *          EVLOG_ERR_INVALID_CONFIG the key is missing, with a text that says what to do
 */
int access_gate_look(struct shard *shards, uint32_t shard_count, struct el_error *err);

#endif
