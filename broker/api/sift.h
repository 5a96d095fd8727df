/* SPDX-License-Identifier: Apache-2.0
 *
 * A read through a sieve: of a partition, from an offset on, only batches in which a record is wanted, and how far it
 * has looked. It ends when it has found something, at the end of the log, or when it has read as much as one answer may
 * cost; then it is asked again. For the reads of a long_poll.
 *
 * Where the topic has streams, and the sieve asks for one key or for few types, places are looked up in the stream
 * index instead of reading all that lies between.
 */
#ifndef EL_API_SIFT_H
#define EL_API_SIFT_H

#include <api/api.h>
#include <format/sieve.h>
#include <stream/streams.h>

#define SIFT_TYPES_MAX 8u             /* more types are not looked up, but read for */
#define SIFT_READ_LEN (1u << 20)      /* most bytes of one read */
#define SIFT_READ_LEN_MIN (64u << 10) /* and least, when many partitions are read */
#define SIFT_FIRST_LEN (16u << 10)    /* and of the first, where there is an index to be asked after it */
#define SIFT_SCAN_LEN (8u << 20)      /* bytes that one answer may look at */

/* One batch that is kept. */
struct sift_batch {
    struct el_slice batch;
    uint64_t append_time_ns;
    int32_t leader_epoch;
    uint8_t salt[16];
};

/* Batches that one read has given. */
struct sift_find {
    struct sift_find *next; /* NULL: the newest */
    uint32_t count;
    struct sift_batch batches[];
};

enum sift_index {
    SIFT_BY_READING, /* there is no index, or it does not help */
    SIFT_BY_KEY,
    SIFT_BY_TYPE,
};

struct sift {
    /* set by the owner, all else zero */
    struct api *api;
    struct request *request;
    const struct el_sieve *sieve;
    enum sift_index index;
    struct el_hash128 hashes[SIFT_TYPES_MAX]; /* [hash_count] of the key, or of the types */
    uint32_t hash_count;
    uint32_t read_len;   /* most bytes of one read */
    uint64_t scan_len;   /* bytes that all reads may come to */
    bool version_wanted; /* of the first record of the key; sieve must be that key and no more */
    /* out, when the read has ended without an error; valid as long as the read's data */
    struct sift_find *finds; /* oldest first, NULL: nothing */
    uint32_t batch_count;
    int64_t version; /* wanted: of the first record of the key at or above the offset, -1 unknown */
    bool blocked;    /* there was something, but no room for it */
    bool holding;    /* the read is to be released */

    /* private */
    struct read_op *read;
    void (*done)(struct store_op *op); /* of the read, as its owner set it */
    void *arg;
    int64_t from;         /* offset asked for */
    int64_t next;         /* all below it has been looked at */
    int64_t place;        /* with located: the first offset at or above next that the index knows of */
    int64_t next_version; /* of the first record of the key at or above next, -1 unknown */
    uint32_t room;        /* bytes of batches that may be kept */
    uint32_t kept_len;
    uint64_t scanned; /* bytes, of all reads of the request */
    uint32_t steps;   /* of this read */
    struct sift_find *last;
    int64_t high_watermark, log_start;
    uint32_t found_len, found_count; /* of the read at hand: what the sieve has let through */
    uint32_t matched;                /* records of it that were wanted */
    int error;
    bool forced;   /* the first batch is given whatever its size */
    bool checked;  /* the log reaches back to `from` */
    bool located;  /* place holds */
    bool dry;      /* the last read gave nothing: ask the index */
    bool in_place; /* the last find lies in the read's own memory */
    bool waiting;
    bool looping;
    bool ended;
    struct io_op job;
    /* of the search in the index */
    struct stream_find_op find;
    uint32_t hash_turn;
    int64_t low, high; /* versions: below low lie below next, high does not */
    int64_t high_offset;
};

/* Begin. read is filled as for store_read(): offset, max_bytes (of what is kept), at_least_one, entries wanted; its
 * done is called once. At the end read->data_len are the bytes kept, and read->next_offset is how far it has looked;
 * it is released only when sift->holding. */
void sift_start(struct sift *sift, struct read_op *read);

/* --- between sift.c and its parts --------------------------------------------------------------------------------- */

/* Look for the next place in the index; goes on with sift_go(). It fails silently: then all is read. */
void sift_locate(struct sift *sift);
/* Go on after an op or a job; sets waiting back. */
void sift_go_on(struct sift *sift);
/* Keep of the read at hand the batches with a record that is wanted, pushed together at the beginning of its data. What
 * cannot be looked into is kept: who gets it sees what is wrong with it. Where patterns take long only a part is looked
 * at, and read->next_offset is lowered to the end of that. On any thread. */
void sift_run(struct sift *sift, void *scratch, size_t scratch_len);
/* Is the read at hand cheap enough to be looked at on the shard? */
bool sift_is_small(const struct sift *sift);

#endif
