/* SPDX-License-Identifier: Apache-2.0
 *
 * How the state keeps parts and objects, of which there are many: as they are in nearly every archive, in half of the
 * memory that their structs take. One that does not come back the same from its slim form is kept whole, somewhere
 * else, and the slim one says where: so whatever a manifest states is kept, and common things are kept small.
 */
#ifndef ARCHIVE_SLIM_H
#define ARCHIVE_SLIM_H

#include <store/archive_state.h>

/* Topic and partition are those of the partition that has it. */
struct archive_slim_part {
    uint8_t table_sha256[32]; /* or where it is kept whole, when batch_count is 0, as it never is */
    uint64_t first_offset : 48;
    uint64_t first_leaf : 48;
    uint32_t offset_count;
    uint32_t batch_count;
    uint32_t object;
    uint32_t table_pos;
    uint32_t data_pos;
    uint32_t data_len;
} __attribute__((packed, aligned(4)));

struct archive_slim_object {
    uint8_t sha256[32]; /* or where it is kept whole */
    uint64_t sequence : 48;
    uint64_t live_len : 32, part_count : 16; /* of one that is live; else, 48 bits: when it was replaced, ms */
    uint32_t number;
    uint32_t len;
    uint32_t place; /* of a bundle: its shard; of a segment: index of its partition */
    uint16_t stated_parts;
    uint8_t kind : 2, state : 2, dirty : 1, whole : 1;
} __attribute__((packed, aligned(4)));

EL_STATIC_ASSERT(sizeof(struct archive_slim_part) == 68, "docs/archive.md says how much an object takes");
EL_STATIC_ASSERT(sizeof(struct archive_slim_object) == 60, "docs/archive.md says how much an object takes");

/* Room for one more item. returns 0 | EVLOG_ERR_NO_MEMORY */
int archive_grow(void **items, size_t count, size_t *max, size_t item_len);
/* Give back what nothing is in. */
void archive_state_trim(struct archive_state *state);
/* Memory of all objects and parts, bytes. */
uint64_t archive_slim_memory(const struct archive_state *state);

/* Put a part in the place of [from, to), which may be none, or NULL: take them out.
 * returns 0 | EVLOG_ERR_NO_MEMORY: they are as they were */
int archive_parts_replace(struct archive_partition *partition, uint32_t from, uint32_t to,
                          const struct el_archive_part *part);
void archive_parts_free(struct archive_partition *partition);

/* Index of an object; SIZE_MAX: it is not there. */
size_t archive_object_index(const struct archive_state *state, uint64_t number);
/* Add one with a higher number than all, or say anew what the one at index is.
 * returns 0 | EVLOG_ERR_NO_MEMORY, never for one of which less counts than before */
int archive_object_add(struct archive_state *state, const struct archive_object *object);
int archive_object_put(struct archive_state *state, size_t index, const struct archive_object *object);
/* Those that were removed are forgotten. */
void archive_objects_forget(struct archive_state *state);
void archive_objects_free(struct archive_state *state);

#endif
