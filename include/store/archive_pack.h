/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a pack (docs/format.md section 15.3) in the caller's memory, without a heap, in two steps:
 *
 *   fill     archive_pack_begin(), then for each part archive_pack_part() and its batches: bytes are put where
 *            archive_pack_data() says (a read of the log may go straight there), archive_pack_batch() takes them up.
 *            Cheap: a shard may do it on its thread
 *   finish   archive_pack_finish(): all hashes, tables, header. As long as hashing every byte twice: a job's work
 *
 * Rows stand in the front of the buffer, data behind, so nothing is copied but the tables, once. Not thread-safe; both
 * steps may be on different threads one after the other.
 */
#ifndef EL_STORE_ARCHIVE_PACK_H
#define EL_STORE_ARCHIVE_PACK_H

#include <core/err.h>
#include <format/archive_layout.h>

struct archive_pack {
    uint8_t *buf; /* [buf_len], the caller's */
    size_t buf_len;
    struct el_archive_part *parts; /* [part_max], the caller's: as manifests state them, without the object */
    uint32_t part_max, part_count;
    uint32_t batch_max, batch_count;
    size_t data_begin, data_end; /* positions in buf */
};

/* Bytes of the buffer that are in front of the data. */
static inline size_t archive_pack_front(uint32_t part_max, uint32_t batch_max)
{
    return EL_PACK_HEADER_LEN + (size_t)part_max * EL_PACK_PART_LEN + (size_t)batch_max * EL_PACK_BATCH_LEN;
}
/* buf_len: at least archive_pack_front(); part_max 1 .. EL_PACK_PARTS_MAX. All is borrowed until the pack is
 * done with. */
void archive_pack_begin(struct archive_pack *pack, void *buf, size_t buf_len, struct el_archive_part *parts,
                        uint32_t part_max, uint32_t batch_max);
/* Begin a part; parts come by topic id and partition, each once, and have a batch at least: an empty one before this
 * is dropped. returns 0 | EVLOG_ERR_LIMIT part_max are there */
int archive_pack_part(struct archive_pack *pack, const struct el_uuid *topic_id, int32_t partition,
                      uint64_t first_leaf);
/* Where the next batch's bytes go, and how many there is room for. */
static inline uint8_t *archive_pack_data(const struct archive_pack *pack, size_t *room)
{
    *room = pack->buf_len - pack->data_end;
    return pack->buf + pack->data_end;
}
static inline uint32_t archive_pack_batch_room(const struct archive_pack *pack)
{
    return pack->batch_max - pack->batch_count;
}
struct archive_pack_entry {
    uint64_t append_time_ns;
    int64_t max_timestamp_ms;
    uint8_t salt[16];
    uint32_t len;
};
/* Take up the batch whose bytes were put at archive_pack_data(); offsets of a part rise.
 * returns 0 | EVLOG_ERR_LIMIT no room for its row, or an object would be too long: finish this one; the batch is not in
 * | EVLOG_ERR_CORRUPT the bytes are no batch of that length, or its offsets are below the one before */
int archive_pack_batch(struct archive_pack *pack, const struct archive_pack_entry *entry);
/* Take up a batch that is redacted, or one whose row is known (its bytes were put at archive_pack_data()): the row's
 * digest is compared with the bytes at once. returns as archive_pack_batch() */
int archive_pack_row(struct archive_pack *pack, const struct el_pack_batch *row);

struct archive_pack_made {
    const uint8_t *object; /* inside the buffer */
    uint64_t len;
    uint8_t sha256[32];
    uint32_t part_count; /* parts that pack->parts holds, without empty ones */
};
/* Write header, parts and tables.
 *
 * header     incarnation, shard, kind and sequence are set; the rest is filled
 * frontiers  [part_count] the trees of the parts' partitions at their first leaf, advanced on success; NULL,
 *            or one NULL among them: not asked for
 * returns    0 | EVLOG_ERR_ARGUMENT no batches | EVLOG_ERR_LIMIT
 */
int archive_pack_finish(struct archive_pack *pack, struct el_pack_header *header, struct el_frontier *const *frontiers,
                        struct archive_pack_made *made);
/* What a manifest states of a pack just made: object record without its number. */
void archive_pack_object(const struct archive_pack *pack, const struct el_pack_header *header,
                         const struct archive_pack_made *made, struct el_manifest_object *object);
/* Row of a batch of a finished pack; index counts through all parts. */
void archive_pack_get(const struct archive_pack_made *made, uint32_t index, struct el_pack_batch *row);

#endif
