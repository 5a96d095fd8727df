/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys that seal users and rules, as a node has them: read before shards begin, made and written by shard 0 when
 * all shards have read what there is (access_prepare.c). docs/format.md section 17.
 */
#ifndef EL_ACCESS_ACCESS_KEYS_H
#define EL_ACCESS_ACCESS_KEYS_H

#include <format/access_seal.h>
#include <io/disk.h>

/* All shards read it while they read records; after that it is shard 0's. */
struct access_keys {
    struct el_access_keys keys;
    bool unsaved; /* the file has not all of them, or not in this order */
    bool forget;  /* when records cannot be opened everything is forgotten, and the start goes on */
};

/* Read the file; without one there are no keys.
 *
 * returns  0 | EVLOG_ERR_INVALID_CONFIG it is no file of keys | what the disk says, with a text
 */
int access_keys_load(struct disk *disk, struct access_keys *keys, struct el_error *err);
/* Write the file: durable when this returns 0, and until then the old one is there. Blocking. returns what the disk
 * says */
int access_keys_save(struct disk *disk, const struct el_access_keys *keys);

#endif
