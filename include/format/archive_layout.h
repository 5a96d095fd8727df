/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects of an archive: packs and manifests, and the leaf entries of the trees over them. docs/format.md section 15 is
 * the specification. All numbers little-endian. Bytes in, bytes out: no I/O here.
 */
#ifndef EL_FORMAT_ARCHIVE_LAYOUT_H
#define EL_FORMAT_ARCHIVE_LAYOUT_H

#include <core/buffer.h>
#include <core/bytes.h>
#include <core/crypto.h>
#include <core/cursor.h>
#include <core/limits.h>
#include <core/sign.h>
#include <format/merkle.h>

#define EL_ARCHIVE_FORMAT 1u
#define EL_LEAF_ENTRY_LEN 72u
#define EL_PACK_HEADER_LEN 64u
#define EL_PACK_PART_LEN 112u
#define EL_PACK_BATCH_LEN 96u
#define EL_PACK_PARTS_MAX 65536u
#define EL_PACK_LEN_MAX (5ull << 30)
#define EL_PACK_SHARD_MAX 9999u /* four digits in a name */
#define EL_MANIFEST_HEADER_LEN 256u
#define EL_MANIFEST_LEN_MAX (256ull << 20)
#define EL_MANIFEST_CHAIN_MAX 64u /* deltas behind a full manifest */
#define EL_MANIFEST_SETTINGS_MAX 65535u
#define EL_MANIFEST_KEY_BYTES_MAX 4096u /* of kinds that are not known today */
#define EL_MANIFEST_REASON_MAX 4096u
#define EL_ARCHIVE_KEY_MAX 256u /* bytes of an object's name below the prefix, with its NUL */

/* One batch in the tree of its partition: 72 bytes, hashed with el_merkle_leaf(). */
struct el_leaf_entry {
    int64_t first_offset;
    uint32_t record_count;
    uint64_t append_time_ns;
    int64_t max_timestamp_ms;
    int32_t leader_epoch;
    uint8_t digest[32]; /* SHA-256(salt | batch as stored) */
};

struct el_pack_batch {
    struct el_leaf_entry leaf;
    uint8_t salt[16];           /* zeros when redacted */
    uint32_t len;               /* bytes of the batch, EL_BATCH_LEN_MIN .. EL_BATCH_LEN_MAX; 0 when redacted */
    uint32_t last_offset_delta; /* last offset less first offset, at most 2^31 - 1 */
    bool redacted;
};

static inline int64_t el_pack_batch_end(const struct el_pack_batch *b)
{
    return b->leaf.first_offset + (int64_t)b->last_offset_delta + 1;
}

enum el_pack_kind { EL_PACK_BUNDLE = 1, EL_PACK_SEGMENT = 2 };

struct el_pack_header {
    uint32_t part_count;
    struct el_uuid incarnation;
    uint32_t shard;
    enum el_pack_kind kind;
    uint64_t sequence; /* of a bundle on its shard, from 1; 0 in a segment */
    uint64_t len;      /* of the whole object */
};

/* A run of consecutive leaves of one partition, in one pack. */
struct el_archive_part {
    struct el_uuid topic_id;
    int32_t partition;
    uint32_t batch_count;
    int64_t first_offset; /* of the first batch */
    int64_t end_offset;   /* behind the last batch */
    uint64_t first_leaf;  /* number of the first batch's leaf in its partition's tree */
    uint64_t object;      /* number of the object in the manifests; zero inside a pack */
    uint64_t table_pos;   /* of its batch table in the object */
    uint64_t data_pos;    /* of its first batch in the object */
    uint64_t data_len;
    uint8_t table_sha256[32];
};

static inline uint64_t el_archive_part_leaf_end(const struct el_archive_part *part)
{
    return part->first_leaf + part->batch_count;
}

enum el_manifest_kind { EL_MANIFEST_FULL = 0, EL_MANIFEST_DELTA = 1 };

struct el_manifest_header {
    enum el_manifest_kind kind;
    struct el_uuid incarnation;
    uint64_t sequence;           /* from 1 */
    uint64_t full_sequence;      /* of the full manifest that it builds on; its own in a full one */
    uint64_t cut_ns;             /* every event appended at or before it is in the archive; never falls; 0: none yet */
    uint64_t made_ms;            /* real time; never falls */
    uint8_t previous_sha256[32]; /* of the manifest before; zeros in the first */
    struct el_uuid parent;       /* incarnation that this one continues; zeros: none */
    uint64_t parent_sequence;
    uint8_t parent_root[32]; /* root of the parent's tree of manifests at that sequence */
    uint64_t body_len;
    int32_t leader_epoch;
    uint32_t record_count;
};

/* Tags of the records in a manifest. Those with the top bit set may be passed over by who does not know them. */
enum el_manifest_tag {
    EL_MANIFEST_TOPIC = 1,
    EL_MANIFEST_PARTITION = 2,
    EL_MANIFEST_OBJECT = 3,
    EL_MANIFEST_PART = 4,
    EL_MANIFEST_KEY = 5,
    EL_MANIFEST_REDACTION = 6,
    EL_MANIFEST_TREE = 7,
    EL_MANIFEST_RETIRED = 8,
};

struct el_manifest_topic {
    struct el_uuid id;
    bool deleted;
    bool internal;
    uint32_t partition_count;
    uint64_t changed_ms;
    struct el_slice name;     /* 1 .. EL_TOPIC_NAME_MAX bytes */
    struct el_slice settings; /* as in the catalogue: docs/format.md section 6 */
};

struct el_manifest_partition {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t start_offset; /* first offset that this incarnation holds; below it the parent does */
    int64_t end_offset;
    int64_t log_start;       /* offsets below it are not served */
    uint64_t last_append_ns; /* of the last batch */
    struct el_frontier tree; /* its size is the number of batches */
};

enum el_object_state { EL_OBJECT_LIVE = 1, EL_OBJECT_REPLACED = 2, EL_OBJECT_REMOVED = 3 };

struct el_manifest_object {
    uint64_t number; /* from 1, rising through all manifests */
    enum el_pack_kind kind;
    enum el_object_state state;
    uint32_t shard;
    uint32_t part_count;
    struct el_uuid topic_id; /* of a segment */
    int32_t partition;       /* of a segment */
    uint64_t sequence;       /* of a bundle: its sequence; of a segment: its first offset. Part of its name */
    uint64_t len;
    uint64_t replaced_ms; /* when it was replaced, 0 */
    uint8_t sha256[32];
};

struct el_manifest_key {
    uint32_t kind; /* enum el_sign_kind, or one that is not known yet: passed over */
    bool retired;
    uint64_t changed_ms;
    struct el_slice bytes; /* el_public_key.bytes; 1 .. EL_MANIFEST_KEY_BYTES_MAX */
};

struct el_manifest_redaction {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t first_offset;
    int64_t end_offset;
    uint64_t when_ms;
    struct el_slice reason;
};

/* Batches that left the archive by age: all below an offset. Their leaves stay, in the tiles. */
struct el_manifest_retired {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t end_offset;
    uint64_t newest_append_ns; /* of the youngest batch that left, says who wrote it */
    uint64_t when_ms;
    int64_t retention_ms;    /* that was in force: newest_append_ns is older by it at least */
    struct el_frontier tree; /* over the leaves that left; its size is their number */
};

/* Each *_get writes its result on success only. It returns 0 | EVLOG_ERR_CORRUPT a field is out of its range, a
 * reserved place is not zero | EVLOG_ERR_FORMAT a format above EL_ARCHIVE_FORMAT. A *_put asserts the same. */
void el_leaf_entry_put(uint8_t p[EL_LEAF_ENTRY_LEN], const struct el_leaf_entry *e);
int el_leaf_entry_get(const uint8_t p[EL_LEAF_ENTRY_LEN], struct el_leaf_entry *e);
/* digest of a leaf entry */
void el_leaf_digest(const uint8_t salt[16], const void *batch, size_t len, uint8_t digest[32]);
/* The same, to be done with others by el_sha256_many(). */
struct el_sha256_job el_leaf_job(const uint8_t salt[16], const void *batch, size_t len, uint8_t digest[32]);

void el_pack_header_put(uint8_t p[EL_PACK_HEADER_LEN], const struct el_pack_header *h);
int el_pack_header_get(const uint8_t p[EL_PACK_HEADER_LEN], struct el_pack_header *h);
void el_pack_batch_put(uint8_t p[EL_PACK_BATCH_LEN], const struct el_pack_batch *b);
int el_pack_batch_get(const uint8_t p[EL_PACK_BATCH_LEN], struct el_pack_batch *b);
void el_archive_part_put(uint8_t p[EL_PACK_PART_LEN], const struct el_archive_part *part);
int el_archive_part_get(const uint8_t p[EL_PACK_PART_LEN], struct el_archive_part *part);

/* The parts of a pack, as they stand behind its header: each in range, by topic id and partition, each once, tables and
 * data back to back, the last data ends with the object. parts[h->part_count * EL_PACK_PART_LEN]
 * *bad (may be NULL): number of the part at fault. returns 0 | EVLOG_ERR_CORRUPT */
int el_pack_parts_check(const struct el_pack_header *h, const uint8_t *parts, uint32_t *bad);
/* The batch table of a part: its hash, each row in range, offsets rise, offsets and lengths sum up to the part's.
 * table[part->batch_count * EL_PACK_BATCH_LEN]. *bad (may be NULL): number of the row at fault, batch_count when it is
 * the whole. returns 0 | EVLOG_ERR_CORRUPT | _FORMAT */
int el_pack_table_check(const struct el_archive_part *part, const uint8_t *table, uint32_t *bad);
/* The same, and the leaves of its rows: leaves[part->batch_count], written in any case. */
int el_pack_table_leaves(const struct el_archive_part *part, const uint8_t *table, struct el_hash256 *leaves,
                         uint32_t *bad);
/* Is batch[row->len], of a row that is not redacted, what the row says: header fields and digest?
 * returns 0 | EVLOG_ERR_CORRUPT */
int el_pack_batch_check(const struct el_pack_batch *row, const void *batch);
/* All of rows, whose batches stand back to back in data; those that are redacted have none. *bad: number of the first
 * that is not. returns 0 | EVLOG_ERR_CORRUPT */
int el_pack_rows_check(const struct el_pack_batch *rows, uint32_t count, const uint8_t *data, uint32_t *bad);
/* The same of rows as they stand in a table: el_pack_table_check() passed, or the caller has looked at each. */
int el_pack_data_check(const uint8_t *table, uint32_t count, const uint8_t *data, uint32_t *bad);
/* Fill in the digests of rows in a table that are right in all else. */
void el_pack_digests_put(uint8_t *table, uint32_t count, const uint8_t *data);
/* As el_pack_batch_check(), but for the digest, which the caller compares. */
int el_pack_batch_fields_check(const struct el_pack_batch *row, const void *batch);

/* Begin a manifest in an empty buffer, add records in the order of docs/format.md 15.4, then seal it: fills body_len
 * and record_count in *h and writes the header. A failure is sticky in out->err and reported by the seal.
 * returns 0 | EVLOG_ERR_NO_MEMORY | _LIMIT longer than EL_MANIFEST_LEN_MAX */
void el_manifest_begin(struct el_buffer *out);
void el_manifest_topic_put(struct el_buffer *out, const struct el_manifest_topic *t);
void el_manifest_partition_put(struct el_buffer *out, const struct el_manifest_partition *p);
void el_manifest_object_put(struct el_buffer *out, const struct el_manifest_object *o);
void el_manifest_part_put(struct el_buffer *out, const struct el_archive_part *part);
void el_manifest_key_put(struct el_buffer *out, const struct el_manifest_key *k);
void el_manifest_redaction_put(struct el_buffer *out, const struct el_manifest_redaction *r);
void el_manifest_retired_put(struct el_buffer *out, const struct el_manifest_retired *r);
/* Frontier of the tree of manifests before this one; exactly one record. */
void el_manifest_tree_put(struct el_buffer *out, const struct el_frontier *tree);
int el_manifest_seal(struct el_buffer *out, struct el_manifest_header *h);

/* returns 0 | EVLOG_ERR_CORRUPT | _FORMAT | _TRUNCATED p[len] ends before the manifest does; longer is CORRUPT */
int el_manifest_header_get(const uint8_t *p, size_t len, struct el_manifest_header *h);
struct el_manifest_record {
    uint32_t tag;
    struct el_slice body;
};
/* Records one after the other; *pos begins at EL_MANIFEST_HEADER_LEN. Unknown ones with bit 31 set are handed out too.
 * returns 1 one more | 0 end | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT a tag that must be known, at *pos, and is not */
int el_manifest_next(const uint8_t *p, size_t len, size_t *pos, struct el_manifest_record *record);
int el_manifest_topic_get(struct el_slice body, struct el_manifest_topic *t);
int el_manifest_partition_get(struct el_slice body, struct el_manifest_partition *p);
int el_manifest_object_get(struct el_slice body, struct el_manifest_object *o);
int el_manifest_part_get(struct el_slice body, struct el_archive_part *part);
int el_manifest_key_get(struct el_slice body, struct el_manifest_key *k);
int el_manifest_redaction_get(struct el_slice body, struct el_manifest_redaction *r);
int el_manifest_retired_get(struct el_slice body, struct el_manifest_retired *r);
int el_manifest_tree_get(struct el_slice body, struct el_frontier *tree);

/* Place of a tag in the order of records, from 0; -1 for one that is not known. */
int el_manifest_tag_rank(uint32_t tag);

/* Names of objects below the archive's prefix, NUL-terminated. */
void el_archive_key_cluster(char key[EL_ARCHIVE_KEY_MAX], const struct el_uuid *incarnation);
void el_archive_key_root(char key[EL_ARCHIVE_KEY_MAX], const struct el_uuid *incarnation, uint64_t sequence);
void el_archive_key_manifest(char key[EL_ARCHIVE_KEY_MAX], const struct el_uuid *incarnation, uint64_t sequence);
void el_archive_key_object(char key[EL_ARCHIVE_KEY_MAX], const struct el_uuid *incarnation,
                           const struct el_manifest_object *o);
/* topic_id NULL: tile of the tree of manifests */
void el_archive_key_tile(char key[EL_ARCHIVE_KEY_MAX], const struct el_uuid *incarnation,
                         const struct el_uuid *topic_id, int32_t partition, uint32_t level, uint64_t index,
                         uint32_t width);
void el_archive_key_checkpoint(char key[EL_ARCHIVE_KEY_MAX], const struct el_uuid *incarnation,
                               const struct el_uuid *topic_id, int32_t partition, uint64_t size);
/* Origins of notes and the name of the keys: "evlog/<cluster>/<incarnation>/root", ".../<topic id>/<partition>",
 * "evlog/<cluster>". */
void el_archive_origin_root(char text[EL_ARCHIVE_KEY_MAX], const struct el_uuid *cluster,
                            const struct el_uuid *incarnation);
void el_archive_origin_partition(char text[EL_ARCHIVE_KEY_MAX], const struct el_uuid *cluster,
                                 const struct el_uuid *incarnation, const struct el_uuid *topic_id, int32_t partition);
void el_archive_key_name(char text[EL_ARCHIVE_KEY_MAX], const struct el_uuid *cluster);

#endif
