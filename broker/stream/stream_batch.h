/* SPDX-License-Identifier: Apache-2.0
 *
 * What the stream index must know of a record batch: made once, where the batch is checked, on any thread; carried with
 * the append to the partition's owner, which answers in the same memory.
 *
 * Streams, event ids and types are known by keyed 128-bit hashes (docs/decisions/0014). Versions count a key's records
 * in a topic from 0, in log order. Rules: docs/semantics.md, Streams.
 */
#ifndef EL_STREAM_STREAM_BATCH_H
#define EL_STREAM_STREAM_BATCH_H

#include <core/bytes.h>
#include <core/hash.h>
#include <format/batch.h>
#include <stdbool.h>

/* What an append may ask of a stream besides an exact version >= 0, which is that of its last event. */
#define STREAM_NONE (-1)   /* no event yet, or the stream was deleted so that it can begin anew */
#define STREAM_ANY (-2)    /* no check */
#define STREAM_EXISTS (-4) /* at least one event, and not deleted */

#define STREAM_HEADER_EXPECTED "evlog-expected-version" /* from any Kafka client: a number, none, any or exists */
#define STREAM_HEADER_DELETED "evlog-stream-deleted"    /* on the tombstone: soft or hard; never from a Produce */
#define STREAM_HEADER_ID "ce_id"
#define STREAM_HEADER_TYPE "ce_type"

enum stream_record_flags {
    STREAM_RECORD_KEY = 1,  /* it has a key, so it is in a stream */
    STREAM_RECORD_ID = 2,   /* it has an event id */
    STREAM_RECORD_TYPE = 4, /* it has an event type */
    STREAM_RECORD_SOFT = 8, /* deletes what came before; the stream goes on numbering */
    STREAM_RECORD_HARD = 16 /* ends the stream for good */
};

/* One record, in the order of the batch. */
struct stream_record {
    struct el_hash128 key;     /* of the key's bytes */
    struct el_hash128 id;      /* of key and event id; only with a key */
    struct el_hash128 type;    /* of the event type */
    struct el_slice key_bytes; /* borrowed until the append is done */
    int64_t expected;          /* version that the stream must have before this record; STREAM_ANY by default */
    uint32_t offset_delta;     /* from the batch's base offset */
    uint8_t flags;             /* enum stream_record_flags */
    int64_t version;           /* out: that it has got, or had from the start when it is a duplicate; -1 no key */
    int64_t offset;            /* out: the same */
};

/* A condition on a stream that the batch need not write to. */
struct stream_check {
    struct el_hash128 key;
    struct el_slice key_bytes;
    int64_t expected;
    bool failed;            /* out */
    bool deleted;           /* out: the stream's last event deletes it */
    bool ended;             /* out: and for good */
    int64_t current;        /* out: version of the stream's last event, -1 none; cited only when it is durable */
    int64_t current_offset; /* out: of that event, -1 none */
};

struct stream_batch {
    struct stream_record *records; /* [record_count] */
    uint32_t record_count;
    struct stream_check *checks; /* [check_count] all failing ones are told together */
    uint32_t check_count;
    int32_t failed_index;     /* out: record whose own check or id was refused, -1 none */
    struct stream_check told; /* out: of that record: what its stream is at, without this batch */
    int64_t cited;            /* out: greatest offset that an answer speaks of, -1 none: told when it is durable */
    void *private_;           /* the index's, while the append waits for it */
};

/* 192 random bytes of a data directory that nobody outside knows. */
struct stream_secret {
    uint8_t bytes[EL_XXH3_SECRET_LEN];
};

/* At most EL_STREAM_KEY_MAX and EL_STREAM_ID_MAX bytes. */
struct el_hash128 stream_hash_key(const struct stream_secret *secret, struct el_slice key);
struct el_hash128 stream_hash_type(const struct stream_secret *secret, struct el_slice type);
struct el_hash128 stream_hash_id(const struct stream_secret *secret, struct el_slice key, struct el_slice id);

/* Hash of a stream's tombstones, from that of its key. */
static inline struct el_hash128 stream_hash_deleted(struct el_hash128 key)
{
    return (struct el_hash128){key.low ^ 0x44656c6574656421ull, key.high};
}

#define EL_STREAM_KEY_MAX 4096u      /* bytes of a key */
#define EL_STREAM_ID_MAX 4096u       /* bytes of an event id, and of a type */
#define EL_STREAM_RECORDS_MAX 16384u /* of one batch: admission is done in one go */

struct el_arena;

/* Look through the records of a batch.
 *
 * batch     passed el_batch_check()
 * scratch   for the decompressed records: info.records_len bytes as el_batch_check() found it, none when uncompressed
 * arena     takes the records and copies of the keys; NULL: el_malloc, one block, free it with el_free(out->records)
 * trusted   an append of evlog's own, or the log: STREAM_HEADER_DELETED is obeyed and STREAM_HEADER_EXPECTED is not
 *           looked at; else the former is refused
 * out       records written, checks none; failed_index with EVLOG_ERR_INVALID_RECORD
 * why       static: what is wrong, in words for whoever sent it; written when 0 is not returned
 * returns   0 | EVLOG_ERR_INVALID_RECORD an expected version that says nothing or that has neither producer id nor
 *           event id beside it, a tombstone from outside, a key, id or type that is too long |
 *           EVLOG_ERR_TOO_LARGE more than EL_STREAM_RECORDS_MAX records | EVLOG_ERR_NO_MEMORY |
 *           what el_batch_open() returns
 */
int stream_batch_make(const struct stream_secret *secret, const void *batch, size_t len, void *scratch,
                      size_t scratch_len, struct el_arena *arena, bool trusted, struct stream_batch *out,
                      const char **why);

#endif
