/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files about archives share.
 */
#ifndef ARCHIVE_INTERNAL_H
#define ARCHIVE_INTERNAL_H

#include <store/archive_state.h>

void archive_partition_key(uint8_t key[20], const struct el_uuid *topic_id, int32_t partition);
/* The manifest that was applied last has these bytes: its hash, and the tree with it. */
void archive_state_stand_at(struct archive_state *state, const uint8_t *manifest, size_t len);
/* A text for errors: "topic 0123.../4" */
#define ARCHIVE_PLACE_MAX 64
const char *archive_place(char text[ARCHIVE_PLACE_MAX], const struct el_uuid *topic_id, int32_t partition);

#endif
