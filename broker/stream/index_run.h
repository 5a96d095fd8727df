/* SPDX-License-Identifier: Apache-2.0
 *
 * A run: a sorted, immutable file of the stream index. docs/format.md section 12 is the specification;
 * format/index_layout.h has its bytes.
 *
 * Calls marked *blocking* do file I/O: in jobs and at start only, one thread at a time per writer, cursor or merge; any
 * number of threads may look into one open run. Memory: a writer, cursor or merge uses el_malloc (jobs may); what
 * an open run keeps is memory that the caller hands over.
 */
#ifndef EL_STREAM_INDEX_RUN_H
#define EL_STREAM_INDEX_RUN_H

#include <core/bytes.h>
#include <core/err.h>
#include <core/hash.h>
#include <format/index_layout.h>
#include <io/disk.h>

/* struct el_stream_entry: slot is the partition, by number in the list of index files; position is a version, or an
 * offset for types and ids; place is the offset with flags in its top bits, or the version for ids. No two entries of
 * a run are equal in slot, hash and position; of two runs that hold such a pair the newer one counts. */

#define INDEX_POSITION_END (1ull << 62) /* no version and no offset is as great: places have no room for it */

/* --- writing: blocking -------------------------------------------------------------------------------------------- */

struct index_run_writer;

/* Begin a run under path, which must not exist; its folder must.
 *
 * path      [< INDEX_PATH_LEN] copied
 * returns   0 | EVLOG_ERR_EXISTS | _NO_MEMORY | _NO_SPACE | _IO
 */
int index_run_writer_open(struct disk *disk, const char *path, uint64_t run_id, struct index_run_writer **writer,
                          struct el_error *err);
/* In order; all entries before the first name. After an error every further call returns it.
 * returns 0 | EVLOG_ERR_NO_MEMORY | _NO_SPACE | _IO | _LIMIT the file has 16 TiB */
int index_run_writer_add(struct index_run_writer *writer, const struct el_stream_entry *entry);
/* In order of slot, then bytes; keys of 0 .. EL_RUN_NAME_KEY_MAX bytes. */
int index_run_writer_add_name(struct index_run_writer *writer, uint32_t slot, struct el_slice key);
/* Bytes that have been written or wait to be. */
uint64_t index_run_writer_len(const struct index_run_writer *writer);
/* Write what is left, sync the file. The folder is synced by whoever lists the run. Once. */
int index_run_writer_finish(struct index_run_writer *writer, struct el_index_run_info *info);
/* Close and free; an unfinished file is removed. */
void index_run_writer_close(struct index_run_writer *writer);

/* --- reading ------------------------------------------------------------------------------------------------------ */

struct index_run_top;

struct index_run {
    int fd;
    struct disk *disk;
    struct el_index_run_info info;
    const struct index_run_top *top; /* [info.group_count + 1] first entry of every group, in the caller's memory */
    const uint8_t *filter;           /* behind it; NULL: not resident */
};

/* What the run says of itself, as index_run_open() wants it. Blocking: reads first and last block.
 * returns 0 | EVLOG_ERR_CORRUPT | _FORMAT | _NOT_FOUND | _IO */
int index_run_peek(struct disk *disk, const char *path, struct el_index_run_info *info, struct el_error *err);
/* Bytes of memory that an open run takes, with and without the filter: far less than the file has. */
size_t index_run_memory(const struct el_index_run_info *info, bool with_filter);
/* Open with memory[index_run_memory()], aligned to 8, which stays the caller's and is used until the run is closed.
 * Blocking: reads the top, and the filter when wanted.
 * returns 0 | EVLOG_ERR_CORRUPT | _NOT_FOUND | _NO_MEMORY | _IO */
int index_run_open(struct disk *disk, const char *path, const struct el_index_run_info *info, void *memory,
                   bool with_filter, struct index_run *run, struct el_error *err);
void index_run_close(struct index_run *run);

/* Can the run hold an entry of this slot and hash? No I/O; may be true for nothing: with the filter for about one hash
 * in a hundred, without it for nearly every one. */
bool index_run_may_hold(const struct index_run *run, uint32_t slot, struct el_hash128 hash);
/* Entries of one slot and hash with low <= position <= high, ascending or descending, at most room. Blocking; at most
 * one block of the block index and the data blocks that hold them are read, each checked.
 * returns 0, *count set | EVLOG_ERR_CORRUPT, also when one of them is at INDEX_POSITION_END or above | _IO */
int index_run_find(const struct index_run *run, uint32_t slot, struct el_hash128 hash, uint64_t low, uint64_t high,
                   bool descending, struct el_stream_entry *entries, uint32_t room, uint32_t *count);

/* Walk entries and names, each in order. Blocking. */
struct index_cursor;
/* returns 0 | EVLOG_ERR_NO_MEMORY */
int index_cursor_open(const struct index_run *run, struct index_cursor **cursor);
/* returns 1 an entry | 0 the end | EVLOG_ERR_CORRUPT | _IO */
int index_cursor_next(struct index_cursor *cursor, struct el_stream_entry *entry);
/* Go to the first name of the slot, or of a later one, that is at or above prefix, and above `after` unless its data is
 * NULL. A new cursor stands before the first name.
 * returns 0 | EVLOG_ERR_CORRUPT | _IO | _NO_MEMORY */
int index_cursor_seek_name(struct index_cursor *cursor, uint32_t slot, struct el_slice prefix, struct el_slice after);
/* returns 1 a name, its bytes valid until the next call | 0 the end of the run's names | EVLOG_ERR_CORRUPT | _IO |
 * _NO_MEMORY */
int index_cursor_next_name(struct index_cursor *cursor, uint32_t *slot, struct el_slice *key);
void index_cursor_close(struct index_cursor *cursor);

/* --- merging: blocking, in steps ---------------------------------------------------------------------------------- */

struct index_merge;
#define INDEX_MERGE_MAX 64u /* runs of one merge */

/* Merge runs[count], newest first, into one at path. keep says whether a slot still exists; called in the steps, in
 * ascending order, twice for each slot at most.
 *
 * runs      stay open until the merge is closed; the array is read in this call only
 * count     1 .. INDEX_MERGE_MAX
 */
int index_merge_open(const struct index_run *const *runs, uint32_t count, struct disk *disk, const char *path,
                     uint64_t run_id, bool (*keep)(void *arg, uint32_t slot), void *arg, struct index_merge **merge,
                     struct el_error *err);
/* Do about len bytes of it. Not again after 0 or an error.
 * returns 1 more to do | 0 the run is finished and synced | EVLOG_ERR_CORRUPT one that is read | _NO_SPACE | _IO ... */
int index_merge_step(struct index_merge *merge, size_t len, struct el_index_run_info *info);
void index_merge_close(struct index_merge *merge); /* an unfinished file is removed */

#endif
