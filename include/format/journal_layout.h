/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal on disk: groups of frames. docs/format.md section 3 is the specification; both change together.
 * All numbers little-endian. Bytes in, bytes out: no I/O here.
 *
 * Group header, 112 bytes, at a position that is a multiple of the alignment:
 *   0 8 magic "EVLOGGRP"      8 2 format      10 2 log2 of the alignment   12 4 shard         16 4 slot
 *  20 4 frame count          24 8 position    32 8 incarnation             40 8 sequence      48 4 length   52 4 flags
 *  56 8 durable through      64 8 append time 72 8 previous checksum       80 8 parent incarnation
 *  88 8 parent sequence      96 8 boot counter                            104 8 XXH3-64 of the group, this field 0
 *
 * Frame header, 64 bytes, 8-aligned inside the group, followed by its payload, padded with zeros to 8:
 *   0 1 type  1 1 flags  2 2 zero  4 4 payload length  8 16 topic id  24 4 partition  28 4 leader epoch
 *  32 8 base offset  40 8 append time  48 16 salt
 */
#ifndef EL_FORMAT_JOURNAL_LAYOUT_H
#define EL_FORMAT_JOURNAL_LAYOUT_H

#include <core/bytes.h>
#include <core/limits.h>
#include <stdbool.h>

#define EL_JOURNAL_FORMAT 1
#define EL_GROUP_MAGIC "EVLOGGRP"
#define EL_GROUP_HEADER_LEN 112u
#define EL_FRAME_HEADER_LEN 64u
#define EL_MARK_MAGIC "EVLOGMRK"
#define EL_MARK_LEN 64u

enum el_frame_type {
    EL_FRAME_BATCH = 1,        /* a record batch, as stored */
    EL_FRAME_CARRY = 2,        /* the same batch again, so that its first slot can be freed */
    EL_FRAME_LOG_START = 3,    /* base offset: new log start of the partition */
    EL_FRAME_CLOCK = 4,        /* append time: the clock never again gives a time at or below it */
    EL_FRAME_PRODUCER_IDS = 5, /* base offset: producer-id counter up to which ids may have been handed out */
};

struct el_group_header {
    uint32_t shard;
    uint32_t slot;
    uint32_t frame_count;
    uint64_t pos;             /* in the slot file */
    uint64_t incarnation;     /* random, one per start of the node */
    uint64_t sequence;        /* rises by one from group to group, across incarnations */
    uint32_t len;             /* bytes of header and frames, before padding to the alignment */
    uint32_t node_tag;        /* el_node_tag() of the directory that it belongs to */
    uint64_t durable_through; /* highest sequence known durable when this group was submitted */
    uint64_t append_time_ns;
    uint64_t previous_checksum;  /* of the group before; 0 in the first of a slot chain that is unknown */
    uint64_t parent_incarnation; /* in every group of an incarnation: the one it continues; 0 for the very first */
    uint64_t parent_sequence;    /* last accepted sequence of the parent */
    uint64_t boot;               /* boot counter of the start that wrote it */
    uint64_t checksum;
};

struct el_frame {
    enum el_frame_type type;
    struct el_uuid topic_id;
    int32_t partition;
    int32_t leader_epoch;
    int64_t base_offset;
    uint64_t append_time_ns;
    uint8_t salt[16];
    const uint8_t *payload; /* borrowed */
    uint32_t payload_len;
};

/* Bytes a frame with this payload takes in a group. */
static inline size_t el_frame_len(size_t payload_len)
{
    return EL_FRAME_HEADER_LEN + (size_t)EL_ALIGN_UP(payload_len, 8);
}

/* Write the header into the first EL_GROUP_HEADER_LEN bytes of a group whose frames follow already, and its checksum.
 * group[h->len]; sets h->checksum. */
void el_group_seal(uint8_t *group, struct el_group_header *h);
/* The first four bytes of a node id: enough to tell journals of two nodes apart, which only an accident can swap. */
static inline uint32_t el_node_tag(const struct el_uuid *node_id) { return el_get_le32(node_id->bytes); }
/* Read and verify a group.
 *
 * data      at a multiple of the alignment; len bytes may be looked at
 * whole     false: check only the header's own sense (magic, format, lengths), not the checksum
 * returns   0 | EVLOG_ERR_NOT_FOUND no group begins here | EVLOG_ERR_FORMAT newer format | EVLOG_ERR_TRUNCATED longer
 *           than len | EVLOG_ERR_CORRUPT checksum or sense
 */
int el_group_open(const uint8_t *data, size_t len, bool whole, struct el_group_header *h);

/* Write one frame at p (room: el_frame_len()); returns the bytes used. payload may be NULL with length 0. */
size_t el_frame_put(uint8_t *p, const struct el_frame *frame);
/* Read the frame at *pos of a verified group and move on.
 * returns 0 | EVLOG_ERR_NOT_FOUND at the end | EVLOG_ERR_CORRUPT lengths or type make no sense */
int el_frame_next(const uint8_t *group, const struct el_group_header *h, size_t *pos, struct el_frame *frame);

/* Durable-end mark: 64 bytes at the start of an aligned block; two blocks are written in turn.
 *   0 8 magic "EVLOGMRK"  8 4 format  12 4 shard  16 8 incarnation  24 8 sequence  32 24 zero  56 8 XXH3-64 of 0..56 */
void el_mark_put(uint8_t *p, uint32_t shard, uint64_t incarnation, uint64_t sequence);
/* returns 0 | EVLOG_ERR_CORRUPT */
int el_mark_get(const uint8_t *p, uint32_t shard, uint64_t *incarnation, uint64_t *sequence);

#endif
