/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream index, as the rest of the broker sees it: one struct streams per shard, for the partitions that the shard
 * owns, of topics with evlog.streams=true.
 *
 * It is derived from the log and keeps its own place in it: what it knows of a partition covers every offset below
 * some offset, the rest is read from the log before the first append or question is taken. Newest entries are in
 * memory, older ones in sorted files that are merged in the background. docs/internals/stream-index.md.
 *
 * Appends go through store_append() as all others, with op->observed = struct stream_batch: the index checks versions
 * and event ids at the moment of admission and numbers the records. Questions are ops as in storage/store.h: the
 * caller fills one, submits it on its own shard and keeps it in place until base.done is called, once, on the same
 * thread, maybe from inside the submit call. Only what is durable is told.
 */
#ifndef EL_STREAM_STREAMS_H
#define EL_STREAM_STREAMS_H

#include <storage/store.h>
#include <stream/stream_batch.h>

struct streams;

#define STREAMS_STEP_LEN (2u << 20)
#define STREAMS_MEMORY_MIN (256u << 10) /* less is taken as so much */

struct streams_config {
    uint64_t memory_max; /* of this shard's index: newest entries, filters and heads (stream.memory.max / shards) */
    uint32_t step_len;   /* bytes that one job writes, about; 0: STREAMS_STEP_LEN. Tests make it small */
};

/* --- life --------------------------------------------------------------------------------------------------------- */

/* Read the secret of the data directory, or make it when there is none that can be read. Blocking; once, before
 * streams_create(). returns 0 | EVLOG_ERR_IO | _NO_SPACE */
int streams_secret_load(struct io *io, struct stream_secret *secret, struct el_error *err);
/* The same without making one. returns 0 | EVLOG_ERR_NOT_FOUND | _CORRUPT | _IO */
int streams_secret_read(struct disk *disk, struct stream_secret *secret);
/* Read the list of index files and register with the store. Blocking; before the shard runs.
 *
 * peers    [shard count] filled in by the callers as they are made; borrowed
 * returns  0 | EVLOG_ERR_NO_MEMORY | _IO | _FORMAT a newer evlogd wrote it: nothing is changed. A damaged index is left
 *          aside with a line in the log and made anew from the log
 */
int streams_create(struct store_shard *shard, struct streams *const *peers, const struct stream_secret *secret,
                   const struct streams_config *cfg, struct streams **streams, struct el_error *err);
/* On the shard's thread, once. */
void streams_start(struct streams *st);
/* The shard stops: questions that wait end with EVLOG_ERR_CLOSED, what is in memory goes to a file. */
void streams_stop(struct streams *st);
/* No job or op is under way: the store may stop. */
bool streams_idle(const struct streams *st);
void streams_destroy(struct streams *st);
const struct stream_secret *streams_secret(const struct streams *st);

/* --- questions ---------------------------------------------------------------------------------------------------- */

#define STREAM_FIND_MAX 4096u /* places in one answer */

struct stream_place {
    int64_t version; /* in a stream; of types -1 */
    int64_t offset;
};

/* Where the events of a stream, or those of a type, are.
 * errors: UNKNOWN_TOPIC, UNKNOWN_TOPIC_ID, ARGUMENT the topic has no streams, CLOSED, NO_MEMORY, STORAGE, CORRUPT */
struct stream_find_op {
    struct store_op base;
    struct el_uuid topic_id;
    int32_t partition;
    struct el_hash128 hash; /* of key or type */
    bool of_type;           /* positions are offsets, and not versions */
    bool raw;               /* what is hidden from readers as well; of stream_hash_deleted(): the tombstones */
    bool backward;
    int64_t from;       /* first position wanted, counted in the direction of reading; -1: the first or last there is */
    uint32_t count_max; /* 1 .. STREAM_FIND_MAX */
    /* out */
    int64_t last_version;        /* of the stream, -1 none; tombstones count */
    int64_t last_offset;         /* -1 none */
    int64_t first_version;       /* that a reader may see: behind the last soft deletion and max.count */
    bool deleted, ended;         /* soft: the last event is a tombstone; hard: for good */
    int64_t end_offset;          /* high watermark: the answer holds for the log up to it */
    struct stream_place *places; /* [count] in the direction of reading; NULL when count is 0 */
    uint32_t count;
    void *private_[16];
};
void streams_find(struct streams *st, struct stream_find_op *op);
/* Give op->places back; on the origin's thread, once, also after an error. */
void streams_find_release(struct streams *st, struct stream_find_op *op);

/* The streams of a partition by key, in byte order.
 * errors: as stream_find_op */
struct stream_name {
    struct el_slice key;
    int64_t last_version, last_offset;
    bool deleted, ended;
};
struct stream_list_op {
    struct store_op base;
    struct el_uuid topic_id;
    int32_t partition;
    struct el_slice prefix; /* of the key; may be empty */
    struct el_slice after;  /* list only keys above it; data NULL: from the start */
    uint32_t count_max;     /* 1 .. STREAM_FIND_MAX */
    bool with_deleted;
    struct stream_name *names; /* out: [count], in one block with the keys */
    uint32_t count;
    bool more; /* out: there are further ones */
    void *private_[16];
};
void streams_list(struct streams *st, struct stream_list_op *op);
void streams_list_release(struct streams *st, struct stream_list_op *op);

#endif
