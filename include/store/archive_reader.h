/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading an archive with nothing but its objects. A reader stands at a root: everything it says is covered by that
 * root's tree of manifests, every batch it hands out has the digest that its leaf says. Given public keys, the root's
 * note must be signed with one of them, or with one that manifests signed so state as its successor.
 *
 * Blocking; memory comes from the heap, and is asked for as bytes arrive, never because an object claims a length. A
 * reader is for one thread at a time; several readers may share a store. Errors of the store are passed on: after
 * EVLOG_ERR_AGAIN the same call may be made again.
 */
#ifndef EL_STORE_ARCHIVE_READER_H
#define EL_STORE_ARCHIVE_READER_H

#include <core/sign.h>
#include <format/note.h>
#include <store/archive_state.h>
#include <store/archive_tiles.h>

struct archive_reader;

struct archive_reader_options {
    const struct el_public_key *keys; /* [key_count]; none: no signature is looked at */
    size_t key_count;
    const struct el_uuid *incarnation; /* NULL: the one that no other names as its parent */
    uint64_t sequence;                 /* of the root; 0: the newest */
    const struct el_hash256 *root;     /* that it must have; NULL: any */
    uint32_t depth;                    /* the reader's own */
};

/* A root, as its note says. */
struct archive_root {
    struct el_uuid cluster;
    struct el_uuid incarnation;
    uint64_t sequence; /* manifests that it covers */
    struct el_hash256 hash;
    uint8_t note[EL_NOTE_LEN_MAX]; /* [note_len] */
    size_t note_len;
};

/* Open an archive at a root; the store is borrowed.
 *
 * returns  0 | EVLOG_ERR_NOT_FOUND no archive, incarnation or root there | EVLOG_ERR_CONFLICT several incarnations,
 *          none of which continues the others: say which | EVLOG_ERR_CORRUPT something is not as the root says, or not
 *          signed by the keys | EVLOG_ERR_FORMAT | EVLOG_ERR_NO_MEMORY | what the store says
 */
int archive_reader_open(struct object_store *store, const struct archive_reader_options *options,
                        struct archive_reader **reader, struct el_error *err);
void archive_reader_close(struct archive_reader *reader); /* NULL is passed through */
/* Look for a newer root and go to it. *moved (may be NULL): there was one. Data read before stays valid.
 * returns  0 | as archive_reader_open(); EVLOG_ERR_CORRUPT too when the new root is not what the old can have become */
int archive_reader_refresh(struct archive_reader *reader, bool *moved, struct el_error *err);

const struct archive_root *archive_reader_root(const struct archive_reader *reader);
/* Valid until the next refresh or close. */
const struct archive_state *archive_reader_state(const struct archive_reader *reader);
/* Memory that it and those of its parents take, bytes, about. */
uint64_t archive_reader_memory(const struct archive_reader *reader);
/* Close the reader, keep its state: for a writer that goes on from it. */
struct archive_state *archive_reader_take_state(struct archive_reader *reader);
/* Keys that are trusted now: those given, and their successors. returns their number */
size_t archive_reader_keys(const struct archive_reader *reader, struct el_public_key keys[EL_SIGN_KEYS_MAX]);
/* The incarnation that this one continues, at the root that it names; *parent NULL: it continues none. Opened once,
 * owned by the reader. returns as archive_reader_open() */
int archive_reader_parent(struct archive_reader *reader, struct archive_reader **parent, struct el_error *err);

struct archive_range {
    int64_t start_offset; /* first that this archive and its parents hold */
    int64_t log_start;    /* offsets below it are not served */
    int64_t end_offset;
    uint64_t last_append_ns;
};
/* returns  0 | EVLOG_ERR_UNKNOWN_TOPIC the archive says nothing of such a partition | as archive_reader_parent() */
int archive_reader_range(struct archive_reader *reader, const struct el_uuid *topic_id, int32_t partition,
                         struct archive_range *range, struct el_error *err);

/* --- events ------------------------------------------------------------------------------------------------------- */

struct archive_batches {
    struct el_pack_batch *rows; /* [count], in order of offsets */
    uint32_t count;
    uint8_t *data; /* batches of rows that are not redacted, back to back */
    size_t data_len;
    uint64_t first_leaf;        /* of rows[0], in its partition's tree ... */
    struct el_uuid incarnation; /* ... of this incarnation */
    int64_t next_offset;        /* where to read on: behind the last row; the end offset when count is 0 */
    size_t row_max, data_max;   /* memory */
};
/* Read whole batches of a partition, from the one that contains or follows offset on, as many as have len_max bytes
 * together, but one at least. Each was compared with its leaf. Redacted ones come as rows without bytes. Log start is
 * not looked at. out: all zero at first; its memory is used again by the next read, and freed by
 * archive_batches_free(). A batch that begins below offset is handed out whole.
 *
 * returns  0, count 0: nothing at or above offset | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_CORRUPT names object and byte |
 *          EVLOG_ERR_NO_MEMORY | what the store says
 */
int archive_reader_read(struct archive_reader *reader, const struct el_uuid *topic_id, int32_t partition,
                        int64_t offset, size_t len_max, struct archive_batches *out, struct el_error *err);
void archive_batches_free(struct archive_batches *batches);

enum archive_time { ARCHIVE_APPEND_TIME_NS, ARCHIVE_EVENT_TIME_MS };
/* First offset of the first batch whose append time, or event time, is at or above time; *offset -1: there is none.
 * By append time a few tables are read, by event time all up to it. returns as archive_reader_read() */
int archive_reader_seek(struct archive_reader *reader, const struct el_uuid *topic_id, int32_t partition,
                        enum archive_time by, int64_t time, int64_t *offset, struct el_error *err);
/* The same among batches that end above from_offset. */
struct archive_seek {
    enum archive_time by;
    int64_t time;
    int64_t from_offset;
};
int archive_reader_seek_from(struct archive_reader *reader, const struct el_uuid *topic_id, int32_t partition,
                             const struct archive_seek *seek, int64_t *offset, struct el_error *err);
/* First offset from which on there are at most len bytes of batches below end_offset, parents' too; roughly, for the
 * offsets of a part share its bytes alike. returns as archive_reader_range() */
int archive_reader_seek_size(struct archive_reader *reader, const struct el_uuid *topic_id, int32_t partition,
                             int64_t end_offset, uint64_t len, int64_t *offset, struct el_error *err);

/* --- where batches lie -------------------------------------------------------------------------------------------- */

/* Consecutive batches of a partition in one object. */
struct archive_piece {
    int64_t first_offset, end_offset;
    uint64_t data_len; /* bytes of the batches */
    struct el_uuid incarnation;
    struct el_manifest_object object; /* that holds it ... */
    char key[EL_ARCHIVE_KEY_MAX];     /* ... and its name */
};
/* The one that holds offset, or the next one; nothing is read but manifests of parents.
 * returns 0, first_offset -1: there is none | EVLOG_ERR_UNKNOWN_TOPIC | as archive_reader_parent() */
int archive_reader_piece(struct archive_reader *reader, const struct el_uuid *topic_id, int32_t partition,
                         int64_t offset, struct archive_piece *piece, struct el_error *err);

struct archive_newest {
    int64_t time_ms;      /* the greatest event time, in ... */
    int64_t first_offset; /* ... the first batch that has it; -1: none in range, or redacted */
    int64_t next_offset;  /* where the next piece begins, or after it */
    int32_t leader_epoch;
};
/* Among the batches of one piece, that which holds offset or the next one, those that end above offset and begin below
 * end_offset. One table is read at most. returns as archive_reader_piece() | as archive_reader_read() */
int archive_reader_newest(struct archive_reader *reader, const struct el_uuid *topic_id, int32_t partition,
                          int64_t offset, int64_t end_offset, struct archive_newest *out, struct el_error *err);

/* --- parts of it, for who verifies ----------------------------------------------------------------------------------
 * */

/* Incarnations below the prefix, in order of their names. returns 0 | what the store says | EVLOG_ERR_LIMIT above max
 * */
int archive_incarnations(struct object_store *store, struct el_uuid *ids, size_t max, size_t *count,
                         struct el_error *err);
/* Newest root above `after`; *sequence 0: there is none. */
int archive_root_newest(struct object_store *store, const struct el_uuid *incarnation, uint64_t after,
                        uint64_t *sequence, struct el_error *err);
/* Read and take apart a root's note; no signature is looked at. returns 0 | EVLOG_ERR_CORRUPT | what the store says */
int archive_root_get(struct object_store *store, const struct el_uuid *incarnation, uint64_t sequence,
                     struct archive_root *root, struct el_error *err);
/* The same of a note's text, from a file say. */
int archive_root_parse(struct el_slice note, struct archive_root *root, struct el_error *err);
/* Bytes [pos, pos + len) of an object into memory that grows as they come; *data is freed by el_free().
 * returns 0 | EVLOG_ERR_TRUNCATED the object ends before | _NO_MEMORY | what the store says */
int archive_fetch(struct object_store *store, const char *key, uint64_t pos, uint64_t len, uint8_t **data,
                  struct el_error *err);
/* Read manifests up to `sequence` into a new state: the full one and its deltas. root (may be NULL): must be the
 * tree's. returns 0 | EVLOG_ERR_CORRUPT names the object | ... */
int archive_state_load(struct object_store *store, const struct el_uuid *incarnation, uint64_t sequence,
                       const struct el_hash256 *root, struct archive_state **state, struct el_error *err);

#endif
