/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a subscription has come in the partitions of a topic, as one word: a position (wire/position.h) for each of
 * them. To whoever keeps it the word is opaque.
 *
 * Url-safe base64, without padding, of: version byte 2 | topic id 16 | flags: bit 0 all partitions of the topic |
 * entries | 0 to 2 zero bytes, so that there is no padding | CRC-32C of all before it. An entry is three varints:
 * partitions left out before it, offset, leader epoch + 1. One word for one content.
 */
#ifndef EL_WIRE_PROGRESS_H
#define EL_WIRE_PROGRESS_H

#include <core/buffer.h>
#include <stdbool.h>
#include <wire/position.h>

#define EL_PROGRESS_ENTRIES_MAX 100000u
#define EL_PROGRESS_TEXT_MAX (4u << 20) /* characters of a word that is looked at */

struct el_progress_entry {
    int32_t partition;    /* rising */
    int32_t leader_epoch; /* of the last event, -1 unknown */
    int64_t offset;       /* next one, >= 0 */
};

struct el_progress {
    struct el_uuid topic_id;
    bool whole;                        /* of a reader of all partitions: one that is not named is new */
    struct el_progress_entry *entries; /* [count], owned */
    uint32_t count;
};

/* Append the word to a buffer, whose err says whether there was memory. */
void el_progress_format(struct el_buffer *text, const struct el_progress *progress);
/* Read such a word, or that of one position, which then is an entry without an epoch.
 *
 * progress  filled on success; el_progress_free()
 * returns   0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_FORMAT of a newer version | EVLOG_ERR_NO_MEMORY
 */
int el_progress_parse(struct el_slice text, struct el_progress *progress);
void el_progress_free(struct el_progress *progress);
/* The entry of a partition, NULL: none. */
const struct el_progress_entry *el_progress_find(const struct el_progress *progress, int32_t partition);

enum el_progress_order {
    EL_PROGRESS_EQUAL,
    EL_PROGRESS_BEFORE, /* a is, in no partition, further than b */
    EL_PROGRESS_AFTER,
    EL_PROGRESS_APART, /* each is further than the other somewhere */
};
/* Compare in the partitions that both name. returns 0 and *order | EVLOG_ERR_ARGUMENT other topics, or no partition in
 * common */
int el_progress_compare(const struct el_progress *a, const struct el_progress *b, enum el_progress_order *order);

#endif
