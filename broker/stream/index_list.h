/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of a shard's index files: which runs count, and how far they reach in each partition. Written anew as a
 * whole (under a temporary name, synced, renamed, folder synced) each time runs come or go; what it does not name is
 * removed at start. streams/<shard>/list; docs/format.md section 12. All calls blocking: in jobs and at start.
 */
#ifndef EL_STREAM_INDEX_LIST_H
#define EL_STREAM_INDEX_LIST_H

#include <core/bytes.h>
#include <core/err.h>
#include <io/disk.h>

struct index_slot {
    uint32_t slot; /* counts from 1, never given twice in a shard */
    struct el_uuid topic_id;
    int32_t partition;
    int64_t end_offset; /* the runs hold every entry of the offsets below it */
};

struct index_list {
    uint64_t sequence; /* of this version of the list; 0: there is none on disk */
    uint64_t next_run_id;
    uint32_t next_slot;
    struct index_slot *slots; /* [slot_count] ascending by slot, all below next_slot; el_malloc */
    uint32_t slot_count;
    uint64_t *run_ids; /* [run_count] newest first, all below next_run_id; el_malloc */
    uint32_t run_count;
    uint8_t secret_tag[16]; /* XXH3-128 of the secret that the hashes were made with: another one means another index */
};

#define INDEX_LIST_RUNS_MAX 4096u
#define INDEX_LIST_SLOTS_MAX (1u << 20)

/* returns 0, an empty list when there is no file | EVLOG_ERR_CORRUPT | _FORMAT | _IO | _NO_MEMORY */
int index_list_load(struct disk *disk, uint32_t shard, struct index_list *list, struct el_error *err);
/* Replace the list on disk. After an error either may be there, whole.
 *
 * list      sequence above that of the one on disk
 * returns   0 | EVLOG_ERR_NO_SPACE | _NO_MEMORY | _IO
 */
int index_list_save(struct disk *disk, uint32_t shard, const struct index_list *list, struct el_error *err);
void index_list_free(struct index_list *list);
/* Make the shard's folder, before its first run. returns 0 | EVLOG_ERR_NO_SPACE | _IO */
int index_list_folder(struct disk *disk, uint32_t shard, struct el_error *err);
/* Remove runs and temporary files of the folder that the list does not name; other files are nobody's and stay.
 * returns 0, also when there is no folder | EVLOG_ERR_IO */
int index_list_sweep(struct disk *disk, uint32_t shard, const struct index_list *list, struct el_error *err);
/* "streams/0003/00000000000000ab.run"; path[INDEX_PATH_LEN] */
#define INDEX_PATH_LEN 64u
void index_run_path(char *path, uint32_t shard, uint64_t run_id);

#endif
